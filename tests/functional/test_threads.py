"""No thread waits for its own pool: whatever is done in parallel may be done from within what is."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import pytest

from s3replicator.adapters.runtime import Threads
from tests.functional import jobs
from tests.functional.world import ONE, TWO, World

T = TypeVar("T")
R = TypeVar("R")

#: Far more than any of this takes: what waits for itself waits for ever.
_FOR_EVER: Final = 120.0


def in_time(work: Callable[[], R]) -> R:
    """The answer, unless it never comes."""
    answers: list[R] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as failure:  # the thread that waits shall raise it
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_FOR_EVER)
    assert not thread.is_alive(), "the threads wait for each other"
    if failures:
        raise failures[0]
    return answers[0]


def slowly(number: int) -> int:
    time.sleep(0.001)
    return number


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_more_items_than_threads_at_every_depth(depth: int) -> None:
    threads = Threads(2)

    def total(level: int) -> int:
        items = range(1, 6)
        if level == 0:
            return sum(threads.map(slowly, items))
        return sum(threads.map(lambda number: slowly(number) * total(level - 1), items))

    assert in_time(lambda: total(depth)) == 15 ** (depth + 1)


def test_two_pools_may_use_each_other() -> None:
    outer, inner = Threads(2), Threads(2)
    nested = in_time(lambda: outer.map(lambda _: inner.map(slowly, range(5)), range(5)))
    assert nested == [list(range(5))] * 5


def test_what_fails_inside_is_raised_outside() -> None:
    threads = Threads(2)

    def fail(number: int) -> int:
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        in_time(lambda: threads.map(lambda _: threads.map(fail, range(3)), range(3)))


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch, world: World) -> World:
    """Every function has a pool of one thread, and whatever it does in parallel it does from within that."""
    plain = Threads.map

    def from_within(self: Threads, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        listed = list(items)
        return plain(self, lambda first: plain(self, function, listed) if first else [], (True, False))[0]

    monkeypatch.setattr("s3replicator.wiring.Threads", lambda _workers: Threads(1))
    monkeypatch.setattr("s3replicator.job_wiring.Threads", lambda _workers: Threads(1))
    monkeypatch.setattr(Threads, "map", from_within)
    world.settings()
    world.rules({}, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    return world


def annotated(world: World, count: int) -> list[Any]:
    """Objects whose annotations differ from their replicas' in nothing that a listing shows."""
    events = [world.put(f"key-{number}") for number in range(count)]
    for event in events:
        world.annotate(event, caption="a flower", mood="calm")
    return events


def test_a_batch_of_changed_annotations_at_two_destinations(one_thread: World) -> None:
    puts = annotated(one_thread, 4)
    in_time(lambda: one_thread.deliver(*puts))
    changed = [one_thread.annotate(put, caption="a tree", mood="wild") for put in puts]
    assert in_time(lambda: one_thread.deliver(*changed)).failed == []
    for put in puts:
        for bucket in (ONE, TWO):
            replica = one_thread.row(one_thread.key_of(put), bucket).replica
            assert replica is not None
            held = one_thread.annotations(one_thread.key_of(put), replica, bucket)
            assert held == {"caption": "a tree", "mood": "wild"}


def test_a_deep_reconcile_of_annotated_objects(one_thread: World) -> None:
    in_time(lambda: one_thread.deliver(*annotated(one_thread, 6)))
    done = in_time(lambda: jobs.run(one_thread, Kind="reconcile", Deep=True))
    assert done.tasks == []
