"""Every key is read, once, whoever reads it, and whenever the reading is interrupted."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.usecases.listing import (
    Buckets,
    Checkpoint,
    KeyRange,
    KeyStream,
    KeyVersions,
    Walk,
    groups,
    merged,
)
from tests.unit.memory_listing import Killed, MemoryLister, Simulation
from tests.unit.strategies import AWKWARD_KEYS

T = TypeVar("T")
R = TypeVar("R")

#: Versions newest first, by key.
Bucket = dict[str, tuple[ListedVersion, ...]]

NEVER: Final = 1e12

keys = (
    st.sampled_from(AWKWARD_KEYS) | st.text("ab/", min_size=1, max_size=5) | st.text(min_size=1, max_size=4)
)
prefixes = st.sampled_from(["", "", "a", "a/", "b"])
page_sizes = st.integers(1, 5) | st.integers(1, 50)


def some_bucket(seed: int, size: int, most_versions: int) -> "Bucket":
    """``size`` keys and a few awkward ones; most of them have few versions."""
    chance = Random(seed)
    alphabet = chance.choice(["ab/", "0123456789", "abcdefghijklmnopqrstuvwxyz/", "aé顧\U0001f600\x01~"])
    depth = chance.choice([4, 12])
    names = {"".join(chance.choices(alphabet, k=chance.randint(1, depth))) for _ in range(size)}
    names.update(chance.sample(AWKWARD_KEYS, chance.randint(0, 5)))
    return {key: versions(key, chance.choice([1, 1, 1, 1, 2, most_versions])) for key in sorted(names)}


buckets = st.builds(
    some_bucket, st.integers(0, 2**32), st.integers(0, 20) | st.integers(0, 200), st.integers(3, 30)
)


def versions(key: str, number: int) -> tuple[ListedVersion, ...]:
    return tuple(
        # As null versions: the same id may be in use for other keys.
        ListedVersion("null" if age == number else f"{age}", Kind.OBJECT, float(number - age), f"{key}{age}")
        for age in range(1, number + 1)
    )


def lister_of(bucket: Bucket) -> MemoryLister:
    return MemoryLister(sorted(bucket, key=str.encode), bucket.__getitem__)


def shown(bucket: Bucket, key: str, most_versions: int) -> KeyVersions:
    found = bucket.get(key, ())
    return KeyVersions(key, found[:most_versions], complete=len(found) <= most_versions)


def selected(bucket: Bucket, prefix: str) -> list[str]:
    return sorted((key for key in bucket if key.startswith(prefix)), key=str.encode)


# -- one after the other


@given(
    buckets, prefixes, st.builds(KeyRange, st.none() | keys, st.none() | keys), st.integers(1, 10), page_sizes
)
def test_a_range_has_its_keys_in_order_with_all_their_versions(
    bucket: Bucket, prefix: str, asked: KeyRange, most_versions: int, page_size: int
) -> None:
    listed = groups(lister_of(bucket), prefix, asked, most_versions, page_size)
    assert list(listed) == [
        shown(bucket, key, most_versions)
        for key in selected(bucket, prefix)
        if (asked.after is None or key > asked.after) and (asked.until is None or key <= asked.until)
    ]


def test_what_a_key_has_too_many_of_is_passed_over_unread() -> None:
    lister = lister_of({"a": versions("a", 1), "b": versions("b", 10_000), "c": versions("c", 1)})
    listed = groups(lister, "", KeyRange(), most_versions=100, page_size=50)
    assert [(one.key, len(one.versions), one.complete) for one in listed] == [
        ("a", 1, True),
        ("b", 100, False),
        ("c", 1, True),
    ]
    assert lister.calls == 4


def test_a_range_is_read_no_further_than_its_end() -> None:
    lister = lister_of({f"{number:03d}": versions("", 1) for number in range(1000)})
    assert len(list(groups(lister, "", KeyRange("099", "199"), 10, page_size=60))) == 100
    assert lister.calls == 2


def test_a_stream_tells_how_far_it_has_read() -> None:
    stream = KeyStream(lister_of({key: versions(key, 1) for key in "abcdef"}), "", None, 10, page_size=3)
    reader = iter(stream)
    next(reader)
    assert (stream.read_to, stream.pages) == ("c", 1)
    assert [one.key for one in reader] == list("bcdef")
    assert (stream.read_to, stream.pages) == (None, 2)


@given(st.lists(buckets, max_size=4), page_sizes)
def test_buckets_are_read_side_by_side(several: list[Bucket], page_size: int) -> None:
    streams = [groups(lister_of(bucket), "", KeyRange(), 10, page_size) for bucket in several]
    assert list(merged(streams)) == [
        (key, tuple(shown(bucket, key, 10) for bucket in several))
        for key in selected(dict.fromkeys((key for one in several for key in one), ()), "")
    ]


def test_a_checkpoint_survives_json() -> None:
    checkpoint = Checkpoint((KeyRange(None, "\x00ü"), KeyRange("\U0001f600", None)), {"1-1": {"files": 2}}, 3)
    assert Checkpoint.of(json.loads(json.dumps(checkpoint.document()))) == checkpoint
    assert not Checkpoint().finished


# -- at once

Visit = tuple[str, tuple[KeyVersions, ...]]


@dataclass
class Disk:
    """Outlives a process: the files of each range, and the last checkpoint."""

    files: dict[str, list[list[Visit]]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    checkpoint: str = field(default_factory=lambda: json.dumps(Checkpoint().document()))
    checkpoints: int = 0

    def begin(self) -> Checkpoint:
        """Forget what was written after the last checkpoint."""
        checkpoint = Checkpoint.of(json.loads(self.checkpoint))
        self.files = {name: self.files[name][:count] for name, count in checkpoint.memos.items()}
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        assert all(keys.after is None or keys.after != keys.until for keys in checkpoint.todo)
        for one, next_one in pairwise(checkpoint.todo):
            assert one.until is not None
            assert next_one.after is not None
            assert one.until <= next_one.after, "disjoint, and in order"
        self.checkpoint = json.dumps(checkpoint.document())
        self.checkpoints += 1

    def visits(self) -> list[Visit]:
        return [visit for files in self.files.values() for file in files for visit in file]


@dataclass
class Scribe:
    """Writes what it is given into files."""

    disk: Disk
    name: str
    pause: Callable[[], None] = lambda: None
    last: str | None = None
    unwritten: list[Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.name not in self.disk.names, "a name is given once, whatever happens"
        self.disk.names.add(self.name)

    def key(self, key: str, found: Sequence[KeyVersions]) -> None:
        assert self.last is None or self.last < key
        self.last = key
        self.unwritten.append((key, tuple(found)))
        self.pause()

    def flush(self) -> int | None:
        if self.unwritten:
            self.disk.files.setdefault(self.name, []).append(self.unwritten)
            self.unwritten = []
        self.pause()
        return len(self.disk.files.get(self.name, ())) or None


@dataclass
class Worlds:
    """A source and its replica, read by simulated threads."""

    sides: list[Bucket]
    prefix: str
    workers: int
    page_size: int
    chance: Random
    most_versions: int = 5
    disk: Disk = field(default_factory=Disk)
    #: Requests that fail, of a thousand.
    failing: int = 0
    before_step: Callable[[Simulation], None] = lambda _simulation: None
    listers: list[MemoryLister] = field(default_factory=list)

    def run(self, deadline: float = NEVER) -> Checkpoint:
        """One process, as long as it lives."""
        simulation = Simulation(self.chance)
        simulation.before_step = lambda: self.before_step(simulation)
        disk = self.disk

        def pause() -> None:
            simulation.sleep(0.03)

        self.listers = [lister_of(side) for side in self.sides]
        for lister in self.listers:
            lister.pause = lambda: self._request(simulation)
        walk = Walk(
            Buckets(self.listers, self.prefix, self.most_versions, self.page_size),
            simulation,
            self.workers,
            simulation,
            gate=simulation.gate,
        )

        saving: list[Checkpoint] = []

        def save(checkpoint: Checkpoint) -> None:
            assert not saving, "one at a time"
            saving.append(checkpoint)
            pause()
            disk.save(saving.pop())

        begin = disk.begin()
        return walk.run(lambda name: Scribe(disk, name, pause), save, begin, deadline=deadline, interval=0.1)

    def _request(self, simulation: Simulation) -> None:
        simulation.sleep(0.03)
        if self.chance.randrange(1000) < self.failing:
            raise RetryableError(Reason.THROTTLED, "slow down")

    def check(self) -> None:
        """Everything has been visited once, with all its versions."""
        wanted = {key for side in self.sides for key in selected(side, self.prefix)}
        visits = sorted(self.disk.visits(), key=lambda visit: visit[0])
        assert visits == [
            (key, tuple(shown(side, key, self.most_versions) for side in self.sides))
            for key in sorted(wanted)
        ]


worlds = st.builds(
    Worlds,
    st.lists(buckets, min_size=1, max_size=3),
    prefixes,
    st.integers(1, 8),
    page_sizes,
    st.integers(0, 2**32).map(Random),
)


@settings(max_examples=200)
@given(worlds)
def test_every_key_is_visited_once(world: Worlds) -> None:
    assert world.run().finished
    world.check()


@settings(max_examples=200)
@given(worlds, st.lists(st.integers(1, 1000), max_size=6))
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(world: Worlds, kills: list[int]) -> None:
    for last in kills:

        def kill(simulation: Simulation, last: int = last) -> None:
            if simulation.steps == last:
                raise Killed

        world.before_step = kill
        with suppress(Killed):
            world.run()
    world.before_step = lambda _simulation: None
    assert world.run().finished
    world.check()


@settings(max_examples=100)
@given(worlds, st.floats(0.01, 1.0))
def test_a_run_ends_at_its_deadline_and_is_gone_on_with(world: Worlds, seconds: float) -> None:
    finished = False
    for _ in range(1000):
        before = world.disk.begin()
        reached = world.run(deadline=seconds)
        assert reached == world.disk.begin(), "what is returned has been saved"
        assert sum(map(len, world.disk.files.values())) == sum(reached.memos.values()), "nothing in vain"
        finished = reached.finished
        if finished or reached.todo == before.todo:
            break
    if not finished:
        # So little time that not a single page can be read.
        world.run()
    world.check()


@settings(max_examples=100)
@given(worlds, st.integers(1, 300))
def test_a_failure_ends_the_run_and_loses_nothing(world: Worlds, failing: int) -> None:
    world.failing = failing
    for _ in range(5):
        try:
            world.run()
        except RetryableError:
            continue
        break
    world.failing = 0
    world.run()
    world.check()


@settings(max_examples=100)
@given(worlds, st.lists(keys, max_size=20), st.lists(keys, max_size=20))
def test_keys_that_come_and_go_disturb_no_others(world: Worlds, comers: list[str], goers: list[str]) -> None:
    changed = {*comers, *goers}
    steady = {key for side in world.sides for key in selected(side, world.prefix)} - changed
    changes = [(key, True) for key in comers] + [(key, False) for key in goers]
    world.chance.shuffle(changes)

    def change(_simulation: Simulation) -> None:
        if changes and world.chance.random() < 0.2:
            key, comes = changes.pop()
            for side, lister in zip(world.sides, world.listers, strict=True):
                if comes:
                    side.setdefault(key, versions(key, 2))
                else:
                    side.pop(key, None)
                lister.keys = sorted(side)

    world.before_step = change
    world.run()
    visited = [key for key, _ in world.disk.visits()]
    assert len(visited) == len(set(visited))
    assert steady <= set(visited)


def test_checkpoints_are_saved_on_the_way() -> None:
    numbers: Bucket = {f"{number:04d}": versions("", 1) for number in range(300)}
    world = Worlds([numbers], "", 4, 10, Random(1))
    world.run()
    # It takes some three seconds, at a checkpoint every tenth of a second.
    assert world.disk.checkpoints > 10


def test_nothing_is_visited_after_the_deadline() -> None:
    numbers: Bucket = {f"{number:04d}": versions("", 1) for number in range(300)}
    world = Worlds([numbers], "", 4, 10, Random(1))
    reached = world.run(deadline=1.0)
    assert not reached.finished
    assert 0 < len(world.disk.visits()) < 200
    assert world.run(deadline=1.0).runs == 2
    assert world.run().finished
    world.check()


def test_threads_that_are_left_alone_end_at_their_next_key() -> None:
    numbers: Bucket = {f"{number:03d}": versions("", 1) for number in range(100)}
    left: list[Callable[[int], object]] = []

    class Interrupted:
        def map(self, function: Callable[[Any], R], items: Any) -> list[R]:
            left.append(function)
            raise KeyboardInterrupt

    disk, lister = Disk(), lister_of(numbers)
    walk = Walk(Buckets([lister], "", 5), Interrupted(), 4, Simulation())
    with pytest.raises(KeyboardInterrupt):
        walk.run(lambda name: Scribe(disk, name), disk.save, Checkpoint(), deadline=NEVER)
    left[0](0)
    assert not disk.files


def test_what_is_beyond_a_range_is_not_read() -> None:
    bucket = {"a": versions("a", 1), "b": versions("b", 1000), "c": versions("c", 1)}
    world = Worlds([bucket], "", 1, 10, Random(1), most_versions=1000)
    world.disk.save(Checkpoint((KeyRange(None, "a"),)))
    assert world.run().finished
    assert [key for key, _ in world.disk.visits()] == ["a"]
    assert world.listers[0].calls == 1


def test_no_part_of_less_than_a_page_is_taken_off() -> None:
    numbers: Bucket = {f"{number:03d}": versions("", 1) for number in range(200)}
    world = Worlds([numbers], "", 8, 100, Random(1))
    world.run()
    assert len(world.disk.files) == 1


def test_a_walk_that_is_finished_does_nothing() -> None:
    world = Worlds([{"a": versions("a", 1)}], "", 2, 10, Random(1))
    world.run()
    assert world.run().finished
    world.check()


def test_a_failing_visitor_ends_the_walk() -> None:
    class Broken:
        def key(self, key: str, found: Sequence[KeyVersions]) -> None:
            raise ValueError(key)

        def flush(self) -> None:
            raise AssertionError("what failed is not kept")

    saved: list[Checkpoint] = []
    simulation = Simulation()
    walk = Walk(
        Buckets([lister_of({"a": versions("a", 1)})], "", 5), simulation, 3, simulation, gate=simulation.gate
    )
    with pytest.raises(ValueError, match="a"):
        walk.run(lambda _name: Broken(), saved.append, Checkpoint(), deadline=NEVER)
    assert saved[-1].todo == (KeyRange(),)


class RealThreads:
    def map(self, function: Callable[[T], R], items: Any) -> list[R]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(function, items))


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that interrupt each other all the time."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_real_threads_do_the_same() -> None:
    chance = Random(7)
    bucket: Bucket = {
        f"{chance.getrandbits(32):08x}": versions("", chance.choice([1, 1, 1, 9])) for _ in range(3000)
    }
    replica = {key: found for key, found in bucket.items() if chance.random() < 0.5}
    clock, disk = Simulation(), Disk()
    walk = Walk(Buckets([lister_of(bucket), lister_of(replica)], "", 5, 20), RealThreads(), 16, clock)
    assert walk.run(lambda name: Scribe(disk, name), disk.save, Checkpoint(), deadline=NEVER).finished
    assert len(disk.files) > 1
    assert sorted(disk.visits()) == [
        (key, (shown(bucket, key, 5), shown(replica, key, 5))) for key in sorted(bucket)
    ]


# -- how long it takes, at 30 ms a page

LATENCY: Final = 0.03
NAMES: Final[dict[str, Callable[[Random, int], str]]] = {
    "numbers": lambda _chance, number: f"k{number:08d}",
    "random": lambda chance, _number: f"data/{chance.getrandbits(128):032x}",
    "dates": lambda chance, _number: (
        f"logs/2024/{chance.randint(1, 12):02d}/{chance.randint(1, 28):02d}/{chance.getrandbits(64):x}.gz"
    ),
    "one deep folder": lambda _chance, number: (
        f"tenant-0001/region=eu/table=orders/part-{number:06d}.parquet"
    ),
    "one big folder": lambda chance, number: (
        f"big/{number:07d}" if chance.random() < 0.9 else f"{chance.choice('acdxyz')}/{number}"
    ),
    "Chinese": lambda chance, number: f"顧客/{chr(chance.randint(0x4E00, 0x9FFF))}{number}",
}


def simulated(lister: MemoryLister, workers: int, seconds_a_key: float = 0) -> tuple[float, int]:
    """The seconds that a walk takes, and how many keys it visits."""
    simulation = Simulation()
    visited: list[str] = []

    class Counter:
        def key(self, key: str, found: Sequence[KeyVersions]) -> None:
            visited.append(key)
            if seconds_a_key:
                simulation.sleep(seconds_a_key)

        def flush(self) -> None:
            pass

    lister.pause = lambda: simulation.sleep(LATENCY)
    walk = Walk(Buckets([lister], "", 5, 100), simulation, workers, simulation, gate=simulation.gate)
    walk.run(lambda _name: Counter(), lambda _checkpoint: None, Checkpoint(), deadline=NEVER)
    return simulation.now(), len(visited)


@pytest.mark.parametrize("kind", NAMES)
def test_sixteen_threads_are_ten_times_as_fast_as_one(kind: str) -> None:
    chance = Random(3)
    listed = sorted({NAMES[kind](chance, number) for number in range(100_000)})
    alone, sixteen = MemoryLister(listed), MemoryLister(listed)
    serial, all_alone = simulated(alone, 1)
    parallel, all_together = simulated(sixteen, 16)
    assert all_alone == all_together == len(listed)
    assert alone.calls == 1000
    assert serial / parallel > 10
    assert sixteen.calls < 1.3 * alone.calls, "and few pages are read in vain"


def test_a_bucket_of_a_page_is_listed_once() -> None:
    lister = MemoryLister([f"{number:03d}" for number in range(90)])
    simulated(lister, 16)
    assert lister.calls == 1


def test_work_that_takes_longer_than_listing_is_divided_as_well() -> None:
    listed = [f"{number:06d}" for number in range(10_000)]
    serial, _ = simulated(MemoryLister(listed), 1, seconds_a_key=0.01)
    parallel, _ = simulated(MemoryLister(listed), 16, seconds_a_key=0.01)
    assert serial / parallel > 8


def test_those_who_wait_for_slow_work_do_not_list_all_the_time() -> None:
    # Most of it is in one page, and nothing can be taken off.
    lister = MemoryLister([f"{'a' * 30}/{number:03d}" for number in range(190)])
    simulated(lister, 16, seconds_a_key=1)
    assert lister.calls <= 16
