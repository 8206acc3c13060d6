"""Several keys of a source, and rules that change, on the proving ground's memory S3, ledger and queues."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from s3replicator.decisions.backoff import RetryPolicy
from s3replicator.decisions.configuration import (
    Configuration,
    Destination,
    Filter,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Head, LedgerKey, Row
from s3replicator.usecases import lanes
from s3replicator.usecases.batch import Batch, BatchResult, Message
from s3replicator.usecases.by_hand import ByHand, Report, Request
from s3replicator.usecases.engine import Engine, Timing
from s3replicator.usecases.lanes import Lane
from s3replicator.usecases.sweep import Sweep, Swept
from tests.unit.protocol.memory_bucket import MemoryBucket, Version
from tests.unit.protocol.memory_ledger import MemoryLedger
from tests.unit.protocol.memory_queues import MemoryQueues, Queue
from tests.unit.protocol.memory_s3 import MemoryDestination, MemoryS3, MemorySource
from tests.unit.protocol.runtime import CountingDice, ManualClock, OneByOne

SOURCE: Final = "source-bucket"
REPLICA: Final = "replica-bucket"
OTHER: Final = "other-bucket"
PLACE: Final = LedgerKey(REPLICA, "eu/x")

#: Seconds a function may run; longer than any test.
_TIME: Final = 290.0


def rule(
    prefix: str = "", *, to: str = "eu/", bucket: str = REPLICA, number: int = 1, deletes: int | None = None
) -> Rule:
    """What is below ``prefix`` comes below ``to``."""
    return Rule(
        f"rule-{number}",
        number,
        enabled=True,
        filter=Filter(prefix=prefix),
        delete_markers=True,
        destination=Destination(bucket),
        version_deletes=deletes,
        transform=KeyTransform(strip=prefix, add=to),
    )


class Rules:
    def __init__(self) -> None:
        self.configuration = Configuration(())

    def current(self) -> Configuration:
        return self.configuration


class Places:
    """What a test writes to the source is told of by ``heard``, and worked on when the test says so."""

    def __init__(self, *rules: Rule) -> None:
        self.clock = ManualClock()
        self.queues = MemoryQueues()
        self.heard: list[Mapping[str, Any]] = []
        self.s3 = MemoryS3.with_buckets(self.clock, SOURCE, REPLICA, OTHER, notify=self._hear)
        self.source: MemoryBucket = self.s3.buckets[SOURCE]
        self.ledger = MemoryLedger()
        self.rules = Rules()
        self.use(*rules)
        self._count = 0

    def _hear(self, record: Mapping[str, Any], _version: Version) -> None:
        self.clock.sleep(1)
        self.heard.append(record)

    def use(self, *rules: Rule) -> None:
        self.rules.configuration = Configuration(rules)

    def put(self, key: str, body: str, **attributes: Any) -> dict[str, Any]:
        self.source.put(key, body, **attributes)
        return dict(self.heard[-1])

    def mark(self, key: str) -> dict[str, Any]:
        self.source.mark(key)
        return dict(self.heard[-1])

    def purge(self, record: Mapping[str, Any]) -> dict[str, Any]:
        stored = record["s3"]["object"]
        self.source.purge(stored["key"], stored["versionId"])
        return dict(self.heard[-1])

    # -- the functions

    def engine(self) -> Engine:
        self._count += 1
        destinations = {
            name: MemoryDestination(self.s3, name, partial(self._intended, name)) for name in (REPLICA, OTHER)
        }
        return Engine(
            source=MemorySource(self.s3),
            destinations=destinations,
            ledger=self.ledger,
            outbox=self.queues,
            clock=self.clock,
            dice=CountingDice(f"w{self._count}"),
            parallel=OneByOne(),
            timing=Timing(300.0, 25.0, 5.0, RetryPolicy(60, 3600, 4)),
        )

    def _intended(self, bucket: str, key: str) -> str | None:
        intent = self.ledger.open_intent(LedgerKey(bucket, key))
        return intent.version_id if intent else None

    def deliver(self, *records: Mapping[str, Any], to: Queue = Queue.INGEST) -> BatchResult:
        """One batch, each record a message."""
        return self.process([{"Records": [record]} for record in records], to)

    def process(self, bodies: Sequence[Any], to: Queue = Queue.INGEST) -> BatchResult:
        engine = self.engine()
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        messages = [Message(str(number), text) for number, text in enumerate(texts)]
        batch = Batch(engine, self.rules, SOURCE, _LANES[to](engine))
        result = batch.process(messages, self.clock.now() + _TIME)
        surprises = [one.detail for one in result.outcomes if one.reason == Reason.UNEXPECTED]
        assert not surprises, surprises[0]
        return result

    def drain(self) -> None:
        """Let the other functions work until their queues are empty."""
        for _ in range(50):
            moved = [
                self.process([letter.body for letter in letters], queue)
                for queue in (Queue.LARGE, Queue.DEAD_LETTER)
                if (letters := self.take(queue))
            ]
            if not moved:
                return
        raise AssertionError("the queues do not run dry")

    def take(self, queue: Queue) -> list[Any]:
        letters = list(self.queues.letters[queue])
        for letter in letters:
            self.queues.delete(queue, letter)
        return letters

    def parked(self) -> list[dict[str, Any]]:
        return [
            record.get("s3replicator", {})
            for letter in self.take(Queue.PARKED)
            for record in json.loads(letter.body)["Records"]
        ]

    def by_hand(self) -> ByHand:
        return ByHand(self.engine(), self.rules, SOURCE)

    def settle(self, key: str, **asked: Any) -> Report:
        return self.by_hand().settle(Request(SOURCE, key, **asked), self.clock.now() + _TIME)

    def sweep(self) -> Swept:
        sweep = Sweep(self.ledger, self.queues, self.clock)
        return sweep.run([REPLICA, OTHER], self.clock.now() + _TIME)

    # -- what is so

    def bodies(self, key: str = PLACE.key, bucket: str = REPLICA) -> list[str]:
        """What lies there, newest first."""
        versions = self.s3.buckets[bucket].versions(key)
        return [one.contents.body if one.contents else "marker" for one in versions]

    def head(self, place: LedgerKey = PLACE) -> Head | None:
        return self.ledger.head(place)

    def rows(self, place: LedgerKey = PLACE) -> Mapping[str, Row]:
        return self.ledger.history(place)[1]

    def kept_out(self, key: str, place: LedgerKey = PLACE) -> Mapping[str, Row]:
        return self.ledger.conflicts(place, f"{SOURCE}/{key}")

    def places(self) -> Iterable[LedgerKey]:
        """Where the ledger has a head."""
        return self.ledger.places()


_LANES: Final[Mapping[Queue, Callable[[Engine], Lane]]] = {
    Queue.INGEST: lanes.replicate,
    Queue.LARGE: lanes.replicate_large,
    Queue.DEAD_LETTER: lanes.retry,
}
