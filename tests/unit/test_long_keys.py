"""A backfill of a key of many versions is divided: what a portion costs does not grow with the key.

Calls, pages, rows and bytes are counted, never time.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import pytest

from benchmarks.one_key import KEY, LATENCY, LIMITS, PLACE, World
from s3replicator.decisions.failures import Call, classify
from s3replicator.decisions.job_report import Task, TaskStatus, lines_of, tasks_of
from s3replicator.decisions.selection import Portion, portion_of, portions
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.usecases import job_batch
from s3replicator.usecases.job_progress import BatchProgress
from s3replicator.usecases.source_list import SourceList
from tests.unit.protocol import memory_s3
from tests.unit.protocol.memory_bucket import MemoryBucket, Version
from tests.unit.protocol.runtime import DAWN
from tests.unit.test_one_key import TWICE, bodies
from tests.unit.test_survey import Store

PORTION = 30
RESULTS = "jobs/backfill/results/1-1-000000.jsonl"
PARTIAL = "jobs/backfill/partial/1-1-000000.jsonl"


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """And pages to go with them."""
    monkeypatch.setattr(job_batch, "MOST_VERSIONS", PORTION)
    monkeypatch.setattr(memory_s3, "PAGE", 10)


@pytest.fixture
def slow_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call deals with two portions of many."""
    monkeypatch.setitem(LATENCY, "copy", 10.0)


@dataclass
class CountingStore(Store):
    """``octets`` are written and read, ``left`` writes succeed before the worker dies."""

    octets: int = 0
    written: list[str] = field(default_factory=list)
    left: float = float("inf")

    def read(self, name: str) -> bytes | None:
        body = super().read(name)
        self.octets += len(body or b"")
        return body

    def write(self, name: str, body: bytes) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.octets += len(body)
        self.written.append(name)
        super().write(name, body)


class Killed(BaseException):
    """The worker is no more. Not an ``Exception``: nobody shall handle it."""


def key_of(size: int, every: float = 60.0) -> World:
    """So many versions, so many seconds from one to the next; nothing has been replicated."""
    world = World()
    world.store = CountingStore()
    world.write(size, DAWN - every * size, every)
    world.meter.counts.clear()
    return world


def octets(world: World) -> int:
    assert isinstance(world.store, CountingStore)
    return world.store.octets


def backfilled(size: int, every: float = 60.0) -> World:
    world = key_of(size, every)
    world.backfill()
    is_complete(world, size)
    return world


def is_complete(world: World, size: int) -> None:
    """Everything is there, in order, copied once and told of once."""
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))
    assert world.meter.counts["copy"] == size
    told = list(tasks_of(world.store.documents[RESULTS]))
    assert {task.status for task in told} == {TaskStatus.SUCCEEDED}
    assert len({task.version for task in told}) == len(told) == size


# -- what it costs


def test_pages_listed_by_a_first_backfill_grow_with_the_versions() -> None:
    few, many = backfilled(300), backfilled(600)
    assert many.meter.counts["list"] < TWICE * few.meter.counts["list"]


@pytest.mark.usefixtures("slow_copies")
def test_pages_listed_do_not_grow_with_the_calls() -> None:
    """No call lists again what is behind it, or ahead of it."""
    few, many = backfilled(300), backfilled(600)
    assert few.calls > 3
    assert many.calls > few.calls + 3
    assert many.meter.counts["list"] < TWICE * few.meter.counts["list"]
    # The whole list once, and twice what a portion holds, for what it is compared with.
    assert many.meter.counts["list"] <= 600 / 10 + 2 * 600 / 10


@pytest.mark.usefixtures("slow_copies")
def test_what_is_kept_of_a_job_is_not_written_and_read_anew_with_every_portion() -> None:
    few, many = backfilled(300), backfilled(600)
    assert octets(many) < TWICE * octets(few)


def test_versions_of_one_second_do_not_have_every_row_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven writes a second that no event has told of: nothing but the list orders them. Neither a portion
    nor a call ends within a second."""
    monkeypatch.setitem(LATENCY, "copy", 9.0)
    world = backfilled(600, every=1 / 7)
    assert world.calls > 5
    assert world.meter.counts["query"] == 0
    assert world.meter.counts["read"] <= 600


@pytest.mark.usefixtures("slow_copies")
def test_every_call_ends_in_time() -> None:
    world = backfilled(300)
    assert world.longest < LIMITS["backfill"]


# -- and what it keeps


def test_the_version_that_a_portion_is_listed_below_may_be_gone_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Moto finds nothing below it then."""
    world = key_of(200)
    purge_each_above(world, monkeypatch)
    world.backfill()
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))


@pytest.mark.parametrize("begin", [0, 6])
def test_a_list_may_begin_anywhere_if_that_version_is_gone(
    monkeypatch: pytest.MonkeyPatch, begin: int
) -> None:
    """Amazon S3 goes on in its place; another store may begin anew, or somewhere below."""
    world = key_of(200)
    purge_each_above(world, monkeypatch)
    pages = MemoryBucket.pages

    def elsewhere(
        self: MemoryBucket, key: str, above: str | None, size: int
    ) -> Iterator[list[ListedVersion]]:
        is_gone = above is not None and self.find(key, above) is None
        return islice(pages(self, key, None if is_gone else above, size), begin if is_gone else 0, None)

    monkeypatch.setattr(MemoryBucket, "pages", elsewhere)
    world.backfill()
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))


def purge_each_above(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as a portion is worked on, the version above it goes."""
    bring = job_batch.JobBatch._bring

    def purged(
        self: job_batch.JobBatch, job: object, versions: object, *rest: object, **named: object
    ) -> object:
        above = rest[-1]
        if isinstance(above, str):
            world.source.drop(KEY, above)
        call: object = bring
        assert callable(call)
        return call(self, job, versions, *rest, **named)

    monkeypatch.setattr(job_batch.JobBatch, "_bring", purged)


def test_a_backfill_may_be_cut_off_at_every_write_of_what_it_keeps() -> None:
    whole = backfilled(100)
    assert isinstance(whole.store, CountingStore)
    for cut in range(len(whole.store.written)):
        world = key_of(100)
        assert isinstance(world.store, CountingStore)
        # The job and its batch are written with every call.
        world.store.left = cut
        with pytest.raises(Killed):
            world.backfill()
        world.store.left = float("inf")
        world.clock.sleep(1000)
        world.backfill()
        is_complete(world, 100)


def test_what_a_former_release_has_kept_of_a_job_is_gone_on_from() -> None:
    """It listed the key with every call, and kept all tasks in one document."""
    world = key_of(100)
    versions: list[Version] = world.source.versions(KEY)[::-1]
    world.replicate(versions[:40])
    told = [Task(KEY, one.name, PLACE.destination, TaskStatus.SUCCEEDED) for one in versions[:40]]
    keys = {"done": [], "tries": {KEY: 1}}
    world.store.write(PARTIAL, json.dumps(keys).encode() + b"\n" + lines_of(told))
    world.meter.counts.clear()

    world.backfill()

    assert world.meter.counts["copy"] == 60
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))
    assert len(list(tasks_of(world.store.documents[RESULTS]))) == 100


@pytest.mark.usefixtures("slow_copies")
def test_a_former_release_can_go_on_from_what_is_kept_now() -> None:
    """It reads the keys that are done, the tries, and the tasks, and asks for the rest once more."""
    world = key_of(300)
    world.call("backfill")
    keys, _, lines = world.store.documents[PARTIAL].partition(b"\n")
    assert {"done", "tries"} <= json.loads(keys).keys()
    assert all(task.status is TaskStatus.SUCCEEDED for task in tasks_of(lines))

    del world.store.documents[PARTIAL]
    world.backfill()

    is_complete(world, 300)


# -- portions


def listed(*moments: float) -> Sequence[ListedVersion]:
    return [ListedVersion(f"v{number}", Kind.OBJECT, moment) for number, moment in enumerate(moments)]


def sizes(versions: Sequence[ListedVersion], most: int) -> list[int]:
    return [len(portion.versions) for portion in portions(versions, most)]


def test_portions_are_all_versions_in_their_order() -> None:
    versions = listed(*range(25))
    found = list(portions(versions, 10))
    assert [version for portion in found for version in portion.versions] == versions
    assert [portion.above for portion in found] == ["v10", "v20", None]


def test_a_portion_ends_with_a_second() -> None:
    assert sizes(listed(1, 2, 3, 3.2, 4, 5, 5.9), 2) == [2, 2, 3]


def test_a_second_of_too_many_versions_is_divided() -> None:
    assert sizes(listed(*[1.0] * 40), 10) == [15, 15, 10]


def test_nothing_is_no_portion() -> None:
    assert list(portions([], 10)) == []


def test_a_portion_is_kept_as_it_is() -> None:
    versions = (ListedVersion("a", Kind.OBJECT, 1.5), ListedVersion("b", Kind.MARKER, 2.0))
    for portion in (Portion(versions, "c"), Portion(versions)):
        assert portion_of(portion.encode()) == portion


def test_a_version_that_two_portions_tell_of_counts_once() -> None:
    """Of one portion's versions another may tell, which had to be copied again for its sake."""
    store = Store()
    progress = BatchProgress(store, PARTIAL)
    versions = listed(2.0, 1.0)
    progress.divide(KEY, versions, 1)
    older, newer = (
        Task(KEY, one.version_id, PLACE.destination, TaskStatus.SUCCEEDED) for one in versions[::-1]
    )
    progress.add([older, replace(newer, status=TaskStatus.PENDING)])
    progress.portion_done(KEY)
    progress.add([newer])
    progress.portion_done(KEY)
    assert list(tasks_of(BatchProgress.read(store, PARTIAL).results())) == [older, newer]


# -- the list of the source


@dataclass
class Listed:
    """A list, newest first, and how it has been asked for."""

    names: str
    asked: list[str | None] = field(default_factory=list)
    #: Where it begins below a version that is gone.
    refuses: bool = False

    def __call__(self, above: str | None, _until: object) -> list[ListedVersion]:
        self.asked.append(above)
        if above is not None and self.refuses:
            raise classify(Call.SRC_LIST, "InvalidArgument", 400, "Invalid version id specified")
        begin = 0 if above is None else self.names.index(above) + 1
        return [ListedVersion(name, Kind.OBJECT, 0.0) for name in self.names[begin:]]


def names(found: Sequence[ListedVersion]) -> str:
    return "".join(one.version_id for one in found)


def test_what_is_listed_below_a_version_is_compared_there() -> None:
    asked = Listed("edcba")
    source = SourceList(asked, "d")
    assert names(source.among({"a", "c"})) == "ca"
    assert names(source.among({"b", "a"})) == "ba"
    assert asked.asked == ["d"]


def test_what_may_stand_above_is_looked_for_in_the_whole_list() -> None:
    """One that is not found below may be the newest of all."""
    asked = Listed("edcba")
    source = SourceList(asked, "d")
    assert names(source.among({"a", "e"})) == "ea"
    assert names(source.among({"c", "a"})) == "ca"
    assert asked.asked == ["d", None]


def test_a_list_that_cannot_begin_there_is_read_from_its_beginning() -> None:
    asked = Listed("edcba", refuses=True)
    assert names(SourceList(asked, "d").among({"a", "b"})) == "eba"
    assert asked.asked == ["d", None]


def test_who_asks_for_the_newest_is_told_the_newest_of_all() -> None:
    asked = Listed("edcba")
    source = SourceList(asked, "d")
    source.among({"a", "b"})
    assert names(source.with_newest({"b"})) == "eb"
    assert asked.asked == ["d", None]
