"""Many changes of few keys, while the network between the functions and AWS loses, delays and refuses
requests.

``python -m tests.e2e.storm --keys 50 --seconds 120`` deploys the stack into an embedded AWS of its own. Ends
with 1 if anything has not converged afterwards.
"""

import argparse
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from local import server
from local.home import ROOT, Home
from local.server import HOST
from local.stack import Wanted
from local.up import up
from s3replicator.decisions.versions import Kind
from tests.e2e.convergence import differences
from tests.e2e.proxy import Fault, FaultProxy, Rule
from tests.e2e.world import (
    PROXIED_PARAMETERS,
    PROXIED_REPLICAS,
    PROXIED_RULES,
    PROXIED_SOURCE,
    World,
    wait_until,
)

WRITERS: Final = 4
#: A worker whose writes of the ledger fail for good keeps the lease of its key until it runs out; the second
#: function's is the longest here, in seconds.
QUIET: Final = 1200.0

#: How long S3 may take to tell of a change, in seconds.
LAST_EVENTS: Final = 30.0

#: What makes a version visible or removes one. The SDK repeats none of the first three.
VISIBLE: Final = ("CopyObject", "DeleteObject", "CompleteMultipartUpload", "DeleteObjectVersion")


def weather(share: float, crashes: float) -> tuple[Rule, ...]:
    """``share`` of all requests, and of visible writes more. ``crashes`` is the share of the ledger's writes
    that fail whatever the SDK does: as if the worker had died there, before or after it took effect."""
    return (
        Rule(Fault.DROP_BEFORE, ("UpdateItem",), chance=crashes / 2, for_good=True),
        Rule(Fault.DROP_AFTER, ("UpdateItem",), chance=crashes / 2, for_good=True),
        Rule(Fault.DROP_BEFORE, VISIBLE, chance=share),
        Rule(Fault.DROP_AFTER, VISIBLE, chance=2 * share),
        Rule(Fault.DROP_BEFORE, chance=share * 0.3),
        Rule(Fault.DROP_AFTER, chance=share * 0.3),
        Rule(Fault.REFUSE, chance=share * 0.2),
        Rule(Fault.DELAY, chance=share * 0.2, seconds=1.0),
    )


@dataclass(slots=True)
class Report:
    """``unquiet`` are the seconds from the last change until there was nothing left to do; ``by_events`` and
    ``by_hand`` what differed then, and after every key had been settled by hand."""

    operations: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    unquiet: float = 0.0
    settled: Counter[str] = field(default_factory=Counter)
    by_events: Sequence[str] = ()
    by_hand: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join(
            (
                f"changes at the source: {_told(self.operations)}",
                f"requests of the functions: {self.requests}; {_told(self.faults)}",
                f"quiet {self.unquiet:.1f} s after the last change",
                *(f"  differs: {difference}" for difference in self.by_events),
                f"settled by hand: {_told(self.settled)}",
                *(f"  still differs: {difference}" for difference in self.by_hand),
            )
        )


def _told(counted: Counter[Any]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counted.items())) or "nothing"


@dataclass(frozen=True, slots=True)
class Plan:
    """There are as many changes, over all keys, as ``rate`` in each of the ``seconds``, however long they
    take; ``faults`` and ``crashes`` are shares, as in ``weather``."""

    keys: int
    seconds: float
    rate: float = 10.0
    faults: float = 0.05
    crashes: float = 0.0
    seed: int = 0


class Storm:
    """Half of the keys are below ``purged/``, where deletes of versions are replicated."""

    def __init__(self, world: World, proxy: FaultProxy, plan: Plan) -> None:
        self.world, self.proxy, self.plan = world, proxy, plan
        self.folders = (world.folder("purged"), world.folder("stays"))
        self.keys = [f"{self.folders[number % 2]}{number:03}" for number in range(plan.keys)]
        self.report = Report()

    def run(self) -> Report:
        # The functions are awake when it begins.
        self.world.arrives(PROXIED_REPLICAS, self.keys[0], self.world.put(self.keys[0]))
        seen, done = self.proxy.seen.total(), self.proxy.done.copy()
        with self.world.sweeping():
            with self.proxy.faults(*weather(self.plan.faults, self.plan.crashes)):
                self._change()
                changed = time.monotonic()
                # However far behind the functions are, all that they do meets the weather.
                wait_until(self.world.is_quiet, "all queues are empty", QUIET)
            self.report.requests = self.proxy.seen.total() - seen
            for (fault, _), count in (self.proxy.done - done).items():
                self.report.faults[fault] += count
            wait_until(self._is_quiet, "everything is done", QUIET)
            self._is_told_of()
        self.report.unquiet = time.monotonic() - changed
        self.report.by_events = self._differences()
        for key in self.keys:
            self.report.settled.update(outcome["result"] for outcome in self.world.settle(key))
        self.report.by_hand = self._differences()
        return self.report

    def _change(self) -> None:
        changes = math.ceil(self.plan.rate * self.plan.seconds / WRITERS)
        with ThreadPoolExecutor(WRITERS) as threads:
            writers = [
                threads.submit(Writer(self, random.Random(f"{self.plan.seed}/{number}")).write, changes)
                for number in range(WRITERS)
            ]
        for writer in writers:
            self.report.operations += writer.result()

    def _is_quiet(self) -> bool:
        if not self.world.is_quiet():
            return False
        for key in self.keys:
            head = self.world.head(PROXIED_REPLICAS, key)
            if head is not None and not (head.clean and head.lease is None):
                return False
            if any(row.due is not None for row in self.world.rows(PROXIED_REPLICAS, key).values()):
                return False
        return True

    def _is_told_of(self) -> None:
        """S3 may tell of the last changes when all others have been dealt with. What still differs after this
        is not for want of an event."""
        until = time.monotonic() + LAST_EVENTS
        while time.monotonic() < until and (self._differences() or not self._is_quiet()):
            time.sleep(0.2)

    def _differences(self) -> list[str]:
        parked = [
            f"{folder}: {letter.attributes}"
            for folder in self.folders
            for letter in self.world.parked(folder)
        ]
        purged = self.folders[0]
        return parked + [
            difference
            for key in self.keys
            for difference in differences(
                self.world, PROXIED_REPLICAS, key, version_deletes=key.startswith(purged)
            )
        ]


class Writer:
    """One of those who change the source."""

    def __init__(self, storm: Storm, dice: random.Random) -> None:
        self.world, self.keys, self.dice = storm.world, storm.keys, dice
        self.pause = WRITERS / storm.plan.rate
        self.choices: Mapping[Callable[[str], bool], int] = {
            self.put: 8,
            self.upload: 2,
            self.delete: 4,
            self.undelete: 2,
            self.delete_version: 2,
            self.tag: 4,
        }

    def write(self, changes: int) -> Counter[str]:
        done: Counter[str] = Counter()
        for _ in range(changes):
            [change] = self.dice.choices([*self.choices], [*self.choices.values()])
            try:
                if change(self.dice.choice(self.keys)):
                    done[change.__name__] += 1
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchVersion"):
                    raise
                # Another writer was faster.
            time.sleep(self.dice.uniform(0, 2 * self.pause))
        return done

    # -- changes; each says whether there was anything to change

    def put(self, key: str) -> bool:
        self.world.put(key, self.dice.randbytes(100), Tagging=f"n={self.dice.random()}")
        return True

    def upload(self, key: str) -> bool:
        self.world.put_parts(key, [self.dice.randbytes(100)], Metadata={"n": str(self.dice.random())})
        return True

    def delete(self, key: str) -> bool:
        self.world.delete(key)
        return True

    def undelete(self, key: str) -> bool:
        current = self.world.current(self.world.source, key)
        if current is None or current.kind is not Kind.MARKER:
            return False
        self._delete_version(key, current.version_id)
        return True

    def delete_version(self, key: str) -> bool:
        versions = self.world.versions(self.world.source, key)
        if not versions:
            return False
        self._delete_version(key, self.dice.choice(versions).version_id)
        return True

    def _delete_version(self, key: str, version_id: str) -> None:
        self.world.s3.delete_object(Bucket=self.world.source, Key=key, VersionId=version_id)

    def tag(self, key: str) -> bool:
        objects = [one for one in self.world.versions(self.world.source, key) if one.kind is Kind.OBJECT]
        if not objects:
            return False
        self.world.s3.put_object_tagging(
            Bucket=self.world.source,
            Key=key,
            VersionId=self.dice.choice(objects).version_id,
            Tagging={"TagSet": [{"Key": "n", "Value": str(self.dice.random())}]},
        )
        return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.storm", description=__doc__)
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=10.0, help="changes a second, over all keys")
    parser.add_argument("--faults", type=float, default=0.05, help="share of all requests")
    parser.add_argument("--crashes", type=float, default=0.01, help="share of the writes of the ledger")
    parser.add_argument("--seed", type=int, default=0)
    plan = Plan(**vars(parser.parse_args()))
    home, port = Home(ROOT / ".local/storm"), server.free_port()
    server.stop(home)  # what an interrupted run has left behind
    with FaultProxy(f"http://{HOST}:{port}", plan.seed) as proxy:
        parameters = {**PROXIED_PARAMETERS, "EndpointUrl": proxy.endpoint}
        wanted = Wanted(source=PROXIED_SOURCE, destinations=(PROXIED_REPLICAS,), parameters=parameters)
        try:
            world = World(up(home, wanted, port))
            world.configure(PROXIED_RULES)
            report = Storm(world, proxy, plan).run()
        finally:
            server.stop(home)
    sys.stdout.write(f"{report}\n")
    return 1 if report.by_events or report.by_hand else 0


if __name__ == "__main__":
    sys.exit(main())
