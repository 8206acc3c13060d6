"""What work on a key costs that has many versions; and that every call ends in time, and the next goes on.

``python -m benchmarks.one_key`` measures the same with more versions.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import one_key
from benchmarks.one_key import CASES, KEY, LATENCY, LIMITS, PLACE, SOURCE, WRITER, Figures, World, measure
from s3replicator.decisions.ledger import MOST_IDS, Head, Lease, OrderFacts, Row, Status
from s3replicator.decisions.settling import Sides, Wish, decide
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, ListedVersion, VersionRef
from s3replicator.usecases import by_hand, job_batch, leased_key
from s3replicator.usecases.by_hand import Request
from tests.unit.protocol import memory_s3
from tests.unit.protocol.memory_bucket import Contents, Truth, Version
from tests.unit.protocol.runtime import DAWN

#: A little more than twice, for twice as many versions: what grows as n log n does.
TWICE = 2.6


def figures(name: str, size: int) -> Figures:
    [case] = [case for case in CASES if case.name == name]
    return measure(case, size, memory=False)


def calls_of(act: Callable[[], object]) -> int:
    """How many functions are called. Unlike time, that is the same on every machine."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def grows_with(act: Callable[[int], Callable[[], object]], size: int) -> float:
    return calls_of(act(2 * size)) / calls_of(act(size))


# -- what a step costs


def gone(size: int) -> Callable[[], object]:
    """All but one have expired at the source, whose history the destination keeps."""
    rows = {f"v{n}": row(f"r{n}", age=60.0 * n) for n in range(size)}
    source = [ListedVersion(f"v{size - 1}", Kind.OBJECT, 60.0 * size)]
    sides = Sides(source, [ListedVersion(f"r{n}", Kind.OBJECT, 0.0) for n in reversed(range(size))])
    return lambda: decide(rows, sides, Wish())


def waiting(size: int) -> Callable[[], object]:
    """All are listed, and none has a replica."""
    rows = {f"v{n}": row(None, age=60.0 * n) for n in range(size)}
    sides = Sides([ListedVersion(f"v{n}", Kind.OBJECT, 60.0 * n) for n in reversed(range(size))], [])
    return lambda: decide(rows, sides, Wish(asked=frozenset(rows)))


def tied(size: int) -> Callable[[], object]:
    """All but one are gone, and all are of one second."""
    rows = {f"v{n}": row(f"r{n}", age=1.0) for n in range(size)}
    source = [ListedVersion(f"v{size - 1}", Kind.OBJECT, 1.0)]
    sides = Sides(source, [ListedVersion(f"r{n}", Kind.OBJECT, 0.0) for n in reversed(range(size))])
    return lambda: decide(rows, sides, Wish())


def row(replica: str | None, age: float) -> Row:
    status = Status.COMPLETED if replica else Status.PENDING
    return Row(Kind.OBJECT, status, OrderFacts(None, age), replica=replica)


@pytest.mark.parametrize("key", [gone, waiting, tied])
def test_a_step_costs_little_more_than_the_versions_of_its_key(
    key: Callable[[int], Callable[[], object]],
) -> None:
    assert grows_with(key, 1000) < TWICE


def acting(name: str) -> Callable[[int], Callable[[], object]]:
    [case] = [case for case in CASES if case.name == name]

    def prepared(size: int) -> Callable[[], object]:
        world = World()
        act = case.prepare(world, size)
        return lambda: act(world)

    return prepared


@pytest.mark.parametrize(
    "name", ["listed: settle", "listed: reconcile", "gone: settle", "gone: reconcile", "new: backfill"]
)
def test_work_on_a_key_costs_little_more_than_its_versions(name: str) -> None:
    assert grows_with(acting(name), 400) < TWICE


def test_putting_many_versions_in_order_takes_no_look_at_all_of_them_for_each() -> None:
    """None of them is known: each is published, one after the other, by whoever settles the key."""

    def unknown(size: int) -> Callable[[], object]:
        world = World()
        world.write(size, DAWN - 60 * size, 60)
        return world.settle

    assert grows_with(unknown, 300) < TWICE


@pytest.mark.parametrize("case", [case for case in CASES if case.written != 1], ids=lambda case: case.name)
def test_the_ledger_is_read_three_times_a_version_at_most(case: one_key.Case) -> None:
    measured = measure(case, 1000, memory=False)
    assert measured.reads(case.written or 1000) <= 3


def test_what_a_burst_reads_does_not_grow_with_the_history() -> None:
    """50 writes a second: most of them are of the second of the newest row that has spilled."""
    few, many = (figures("50 a second: 800 events", size) for size in (100, 2000))
    assert many.reads(800) == few.reads(800) <= 1


def test_what_an_upload_asks_of_the_source_does_not_grow_with_the_history() -> None:
    """Sequencers do not order an upload, so the list is asked: down to what is compared, not to its end."""
    world = World()
    world.replicate(world.write(3500, DAWN - 60 * 3500, 60))
    [version] = world.write(1, DAWN, 0)
    uploaded = replace(version, etag='"many-2"')
    world.source.drop(KEY, version.version_id)
    again = world.source.add(KEY, version.contents, etag=uploaded.etag, moment=DAWN)
    world.meter.counts.clear()

    world.events([again])

    assert world.meter.counts["list"] == 1
    assert len(world.replica.versions(KEY)) == 3501


# -- in time


@pytest.fixture
def pages_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a list takes six seconds."""
    monkeypatch.setattr(memory_s3, "PAGE", 10)
    monkeypatch.setitem(LATENCY, "list", 6.0)


def seconds(world: World, act: Callable[[], object]) -> float:
    begun = world.clock.now()
    act()
    return world.clock.now() - begun


def is_free(world: World) -> bool:
    return world.ledger.holder(PLACE) is None


@pytest.mark.usefixtures("pages_of_ten")
def test_whoever_has_no_time_to_list_a_key_ends_in_time_and_lets_it_go() -> None:
    world = World()
    world.replicate(world.write(1000, DAWN - 60_000, 60))
    reports: list[Any] = []

    def settle() -> None:
        reports.append(world.by_hand().settle(Request(SOURCE, KEY), world.deadline("retry")))

    assert seconds(world, settle) < LIMITS["retry"]
    assert [outcome.reason for outcome in reports[0].outcomes] == ["KeyBusy"]
    assert is_free(world)


@pytest.mark.usefixtures("pages_of_ten")
def test_a_version_whose_place_there_is_no_time_to_look_for_is_left_to_the_second_function() -> None:
    """What came before it is gone from the source, so the list has to be read to its end."""
    world = World()
    versions = world.write(1000, DAWN - 60_000, 60)
    world.replicate(versions)
    world.expire(versions[-1:])
    uploaded = world.source.add(KEY, Contents(body="uploaded"), etag='"uploaded-2"', moment=DAWN)

    assert seconds(world, lambda: world.events([uploaded])) < LIMITS["replicate"]

    told = world.ledger.history(PLACE)[1][uploaded.version_id]
    assert (told.status, told.reason) == (Status.PENDING, "KeyBusy")
    assert told.due is not None
    assert is_free(world)


def test_what_has_been_recognised_when_time_is_up_is_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger is lost: every call recognises some, and nothing is copied once more."""
    monkeypatch.setattr(one_key.MeteredDestination, "head", slow_head)
    world = World()
    for version in world.write(300, DAWN - 60 * 300, 60):
        stamped(world, version)
    known: list[int] = []
    for _ in range(10):
        assert seconds(world, world.settle) < LIMITS["retry"]
        known.append(len(world.ledger.history(PLACE)[1]))
    assert 0 < known[0] < known[1] < known[-1] == 300
    assert world.meter.counts["copy"] == 0
    assert len(world.replica.versions(KEY)) == 300


def slow_head(self: one_key.MeteredDestination, key: str, version_id: str) -> object:
    self._meter.clock.sleep(2.0)
    return memory_s3.MemoryDestination.head(self, key, version_id)


def stamped(world: World, version: Version) -> Version:
    assert version.contents is not None
    ref = VersionRef(SOURCE, KEY, version.version_id)
    stamp = Stamp.of(ref, f"nonce {version.version_id}", PLACE.destination, KEY)
    contents = replace(version.contents, metadata=stamp.metadata())
    truth = Truth(True, version.version_id, WRITER, KEY)
    return world.replica.add(KEY, contents, truth=truth, moment=version.last_modified)


def test_rows_are_written_as_long_as_there_is_time_and_the_next_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All have expired at the source before any was replicated: each leaves a tombstone."""
    monkeypatch.setitem(LATENCY, "write", 0.5)
    world = World()
    pending(world, world.write(600, DAWN - 60 * 600, 60))
    buried: list[int] = []
    for _ in range(4):
        assert seconds(world, world.settle) < LIMITS["retry"]
        rows = world.ledger.history(PLACE)[1].values()
        buried.append(sum(one.status is Status.TOMBSTONE for one in rows))
        assert is_free(world)
    assert 0 < buried[0] < buried[-1] == 600


def pending(world: World, versions: list[Version]) -> None:
    """Rows without replicas, of versions that are gone."""
    source = f"{SOURCE}/{KEY}"
    lease = Lease("made", DAWN + 1)
    world.ledger.lease(PLACE, source, None, lease=lease, intent=None, now=DAWN)
    rows = {one.version_id: row(None, one.last_modified) for one in versions}
    small, out = Head(source, rows=rows, generation=1).spill()
    world.ledger.put_rows(PLACE, source, 1, out)
    world.ledger.write(PLACE, lease.token, small)
    world.expire(versions)


@pytest.mark.usefixtures("pages_of_ten")
def test_that_there_was_no_time_for_a_version_is_no_failure_of_its_own() -> None:
    """It comes again as it came: its attempts are left for what fails."""
    world = World()
    versions = world.write(1000, DAWN - 60_000, 60)
    world.replicate([*versions[:-2], versions[-1]])
    world.events([versions[-2]])
    begun = world.clock.now()

    result = world.hand_overs()

    assert world.clock.now() - begun < LIMITS["retry"]
    assert len(result.returned) == 1
    told = world.ledger.history(PLACE)[1][versions[-2].version_id]
    assert (told.status, told.attempts) == (Status.PENDING, 0)
    assert is_free(world)


# -- in portions


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_batch, "MOST_VERSIONS", 30)
    monkeypatch.setattr(by_hand, "_AT_ONCE", 30)
    monkeypatch.setattr(leased_key, "_MANY", 10)


def bodies(versions: list[Version]) -> list[str]:
    return [version.contents.body for version in versions if version.contents is not None]


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("how", [World.backfill, World.settle, World.reconcile])
def test_what_is_worked_on_in_portions_ends_in_order(how: Callable[[World], None]) -> None:
    """And nothing is copied twice, however many calls it takes."""
    world = World()
    world.write(200, DAWN - 60 * 200, 60)
    how(world)
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))
    head, rows = world.ledger.history(PLACE)
    assert head is not None
    assert head.clean
    assert len(head.rows) <= 2
    assert {row.status for row in rows.values()} == {Status.COMPLETED}
    assert world.meter.counts["copy"] == 200


@pytest.mark.usefixtures("small_portions")
def test_a_backfill_that_runs_out_of_time_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LATENCY, "copy", 10.0)
    world = World()
    world.write(200, DAWN - 60 * 200, 60)
    world.backfill()
    assert world.calls > 2
    assert world.longest < LIMITS["backfill"]
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))
    assert world.meter.counts["copy"] == 200
    results = world.store.documents["jobs/backfill/results/1-1-000000.jsonl"]
    assert results.count(b"SUCCEEDED") == 200


@pytest.mark.usefixtures("small_portions")
def test_nothing_newer_is_copied_while_an_older_one_has_to_come_again() -> None:
    """Another worker holds the key: the portions that follow wait, too."""
    world = World()
    world.write(100, DAWN - 6000, 60)
    lease = Lease("another", world.clock.now() + 600)
    source = f"{SOURCE}/{KEY}"
    world.ledger.lease(PLACE, source, None, lease=lease, intent=None, now=world.clock.now())
    world.meter.counts.clear()

    assert not world.call("backfill")

    assert world.meter.counts["write"] == 1


# -- what a row remembers


def test_a_row_remembers_only_what_is_still_there() -> None:
    known = {"a": replace(row("ra", 0.0), left=("x",), blocked=("y",), stray=("z", "there"))}
    known["a"] = replace(known["a"], reason="DstObjectLocked")
    source, there = [ListedVersion("a", Kind.OBJECT, 0.0)], ("ra", "there")
    sides = Sides(source, [ListedVersion(one, Kind.OBJECT, 0.0) for one in there])
    step = decide(known, sides, Wish())
    told = getattr(step, "rows", {})["a"]
    assert (told.left, told.blocked, told.stray, told.reason) == ((), (), ("there",), None)


def test_copies_of_a_replica_do_not_fill_its_row() -> None:
    """A user copies our replica in place, again and again: each copy bears our stamp."""
    world = World()
    [version] = world.write(1, DAWN - 60, 0)
    replica = stamped(world, version)
    for _ in range(MOST_IDS + 20):
        world.replica.copy_in_place(KEY, replica.version_id)
    world.settle()
    told = world.ledger.history(PLACE)[1][version.version_id]
    assert len(told.stray) == MOST_IDS
    assert told.reason == "TooManyCopies"


def test_a_version_is_not_copied_again_while_its_former_copies_cannot_go() -> None:
    """A late one below it is left out: its replay would add to them."""
    full = replace(row("rb", 1.0), blocked=tuple(f"x{n}" for n in range(MOST_IDS)))
    known = {"a": row(None, 0.0), "b": full}
    there = ["rb", *full.blocked]
    sides = Sides(
        [ListedVersion("b", Kind.OBJECT, 1.0), ListedVersion("a", Kind.OBJECT, 0.0)],
        [ListedVersion(one, Kind.OBJECT, 0.0) for one in there],
    )
    step = decide(known, sides, Wish(asked=frozenset("a")))
    told = getattr(step, "rows", {})["a"]
    assert (told.status, told.reason) == (Status.SUPERSEDED, "ReplayTooLarge")


# -- late versions by the hour


def late_ones(world: World, number: int, newer: int) -> list[Version]:
    """So many that nobody has heard of, below so many that are replicated."""
    late = world.write(number, DAWN - 60 * (newer + number), 60)
    world.replicate(world.write(newer, DAWN - 60 * newer, 60))
    world.meter.counts.clear()
    return late


def deliver(world: World, version: Version) -> Row:
    world.events([version])
    world.hand_overs()
    return world.ledger.history(PLACE)[1][version.version_id]


@pytest.fixture
def scanty_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few versions are needed to see where it ends."""
    monkeypatch.setattr("s3replicator.decisions.settling.COPIES_AN_HOUR", 100)


@pytest.mark.usefixtures("scanty_hour")
def test_late_versions_cost_a_key_no_more_than_an_hour_allows() -> None:
    world = World()
    late = late_ones(world, 8, newer=40)
    statuses = [deliver(world, version).status for version in reversed(late)]
    copied = world.meter.counts["copy"]
    assert statuses[:2] == [Status.COMPLETED] * 2
    assert set(statuses[2:]) == {Status.SUPERSEDED}
    assert copied <= 100 + 2
    assert world.ledger.history(PLACE)[1][late[0].version_id].reason == "ReplayTooLarge"


@pytest.mark.usefixtures("scanty_hour")
def test_an_hour_later_late_versions_are_put_in_their_place_again() -> None:
    world = World()
    late = late_ones(world, 3, newer=60)
    assert deliver(world, late[2]).status is Status.COMPLETED
    assert deliver(world, late[1]).status is Status.SUPERSEDED
    world.clock.sleep(3600)
    assert deliver(world, late[0]).status is Status.COMPLETED


@pytest.mark.usefixtures("scanty_hour")
def test_what_an_operator_asks_for_is_not_limited_by_the_hour() -> None:
    world = World()
    late = late_ones(world, 3, newer=60)
    deliver(world, late[2])
    world.settle()
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))


@pytest.mark.usefixtures("scanty_hour")
def test_a_job_is_not_limited_by_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older versions below newer ones, in portions: each of them has the newer ones copied again."""
    monkeypatch.setattr(job_batch, "MOST_VERSIONS", 5)
    world = World()
    late_ones(world, 20, newer=60)
    world.backfill()
    assert bodies(world.replica.versions(KEY)) == bodies(world.source.versions(KEY))
