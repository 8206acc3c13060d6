"""The survey of a job: what it asks for, what it writes, and how it goes on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from s3replicator.adapters.runtime import Threads
from s3replicator.decisions.configuration import Configuration, Destination, Filter, Rule
from s3replicator.decisions.job import InvalidJob
from s3replicator.decisions.ledger import Head, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.selection import MOST_BYTES, MOST_VERSIONS, lines_of
from s3replicator.decisions.versions import Kind
from s3replicator.ports import OpenUpload
from s3replicator.usecases.survey import Survey
from tests.unit.memory_listing import MemoryLister, one_version

SOURCE, REPLICA = "source", "replica"
REQUEST = {"Kind": "backfill"}


class Lister(MemoryLister):
    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        return []


@dataclass
class Store:
    documents: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> bytes | None:
        return self.documents.get(name)

    def write(self, name: str, body: bytes) -> None:
        self.documents[name] = body

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.documents if name.startswith(prefix))

    def claim(self, name: str, now: float, until: float) -> str | None:
        if float(self.documents.get(name, b"0")) > now:
            return None
        self.documents[name] = repr(until).encode()
        return "claim"

    def release(self, name: str, claim: str) -> None:
        self.documents[name] = b"0"


@dataclass
class Ledger:
    """``done``: whether it knows every version as replicated; ``asked`` for how many heads at a time."""

    done: bool = False
    asked: list[int] = field(default_factory=list)

    def heads(self, keys: Sequence[LedgerKey]) -> Mapping[LedgerKey, Head]:
        self.asked.append(len(keys))
        if not self.done:
            return {}
        row = Row(Kind.OBJECT, Status.COMPLETED, OrderFacts(None, 0.0), replica="v")
        return {key: Head(f"{SOURCE}/{key.key}", rows={key.key: row}) for key in keys}


class Clock:
    def now(self) -> float:
        return 1_800_000_000.0

    def sleep(self, seconds: float) -> None: ...


class Rules:
    def current(self) -> Configuration:
        rule = Rule("rule", 1, True, Filter(), True, Destination(REPLICA))
        return Configuration((rule,))


@dataclass
class Stage:
    keys: int
    ledger: Ledger = field(default_factory=Ledger)
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        names = [f"data/part-{number:07}" for number in range(self.keys)]
        self.source, self.replica = Lister(names), Lister([])

    def run(self, job: str = "job", request: dict[str, Any] | None = REQUEST) -> dict[str, Any]:
        parts: Any = {"ledger": self.ledger, "configurations": Rules()}
        survey = Survey(
            source=self.source,
            destinations={REPLICA: self.replica},
            store=self.store,
            clock=Clock(),
            parallel=Threads(4),
            workers=4,
            source_bucket=SOURCE,
            **parts,
        )
        return survey.run(job, request, Clock().now() + 900)

    def batches(self) -> list[bytes]:
        return [self.store.documents[name] for name in self.store.names("jobs/job/batches/")]

    def selected(self) -> list[str]:
        return [line.key for body in self.batches() for line in lines_of(body)]


@pytest.mark.parametrize("keys", [0, 1, 99, 1000, 10_000])
def test_what_is_asked_for_grows_with_the_keys(keys: int) -> None:
    """A page for a thousand versions a side, a request of the ledger for a hundred keys, and a few for every
    time that a range was divided."""
    stage = Stage(keys)
    assert stage.run()["done"]

    assert sorted(stage.selected()) == stage.source.keys
    ranges = len(json.loads(stage.store.documents["jobs/job/survey.json"])["checkpoint"]["memos"])
    pages = -(-keys // 1000)
    assert stage.source.calls + stage.replica.calls <= 2 * (pages + 14 * ranges)
    assert sum(stage.ledger.asked) == keys
    assert len(stage.ledger.asked) <= keys // 100 + ranges
    assert all(0 < asked <= 100 for asked in stage.ledger.asked)


def test_a_batch_is_bounded() -> None:
    stage = Stage(5000)
    stage.run()
    for body in stage.batches():
        assert len(body) <= MOST_BYTES
        assert sum(line.weight for line in lines_of(body)) <= MOST_VERSIONS


def test_where_everything_is_replicated_there_is_no_batch() -> None:
    stage = Stage(1000, Ledger(done=True))
    stage.source.versions = lambda key: [replace(one_version(key)[0], version_id=key)]
    assert stage.run() == {"done": True, "batches": 0}


def test_a_job_that_has_been_surveyed_is_not_surveyed_again() -> None:
    stage = Stage(100)
    stage.run()
    calls = stage.source.calls
    assert stage.run(request=None) == {"done": True, "batches": 1}
    assert stage.source.calls == calls


def test_what_was_written_after_the_last_checkpoint_is_emptied() -> None:
    """A survey died between a batch and its checkpoint: the keys are in other batches now."""
    stage = Stage(100)
    stage.store.documents["jobs/job/batches/1-7-000000.jsonl"] = b'{"key": "twice", "versions": null}\n'
    stage.run()
    assert stage.store.documents["jobs/job/batches/1-7-000000.jsonl"] == b""
    assert "twice" not in stage.selected()


def test_a_job_that_nobody_has_begun_needs_a_request() -> None:
    with pytest.raises(InvalidJob, match="there is no job job"):
        Stage(0).run(request=None)
