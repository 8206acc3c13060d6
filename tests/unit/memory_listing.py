"""Listings in memory, and threads that read them as a test wants it: in simulated time, in any order."""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.ports import Page, Position

T = TypeVar("T")
R = TypeVar("R")


def one_version(_key: str) -> Sequence[ListedVersion]:
    return (ListedVersion("only", Kind.OBJECT, 0.0, latest=True),)


@dataclass
class MemoryLister:
    """A bucket with ``keys``, in their order, and what ``versions`` says of each, newest first.

    ``pause`` is called with every request, before the answer is made.
    """

    keys: Sequence[str]
    versions: Callable[[str], Sequence[ListedVersion]] = one_version
    pause: Callable[[], None] = lambda: None
    calls: int = 0

    def page(self, prefix: str, after: Position | None, most: int = 1000) -> Page:
        assert 1 <= most <= 1000
        assert after is None or len(after.key.encode()) <= 1024
        self.calls += 1
        self.pause()
        place = bisect_left(self.keys, prefix)
        if after is not None:
            whole = after.version_id is None
            place = max(place, (bisect_right if whole else bisect_left)(self.keys, after.key))
        listed: list[tuple[str, ListedVersion]] = []
        while place < len(self.keys) and (key := self.keys[place]).startswith(prefix):
            for version in self._versions(key, after):
                if len(listed) == most:
                    last, shown = listed[-1]
                    return Page(listed, Position(last, shown.version_id))
                listed.append((key, version))
            place += 1
        return Page(listed, None)

    def _versions(self, key: str, after: Position | None) -> Sequence[ListedVersion]:
        versions = self.versions(key)
        if after is None or after.key != key:
            return versions
        ids = [version.version_id for version in versions]
        # Of a version that is gone nobody knows the place; what has come instead is newer.
        return versions[ids.index(after.version_id) + 1 :] if after.version_id in ids else ()


class Killed(Exception):
    """The process is dead: none of its threads goes on."""


@dataclass
class Simulation:
    """Clock, threads and their gate. A thread runs until it sleeps, waits, or comes to the gate; then another
    one does. ``chance`` decides on who is quicker, else they are equally quick."""

    chance: Random | None = None
    #: Called before each step; may raise ``Killed``.
    before_step: Callable[[], None] = lambda: None
    steps: int = 0
    _now: float = 0.0
    _ready: list[tuple[float, int, greenlet]] = field(default_factory=list)
    _order: Any = field(default_factory=count)

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        current = getcurrent()
        if current.parent is None:
            self._now += seconds
            return
        self.wake(current, seconds * (self.chance.random() if self.chance else 1.0))
        current.parent.switch()

    def wake(self, thread: greenlet, seconds: float = 0.0) -> None:
        heapq.heappush(self._ready, (self._now + seconds, next(self._order), thread))

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        results: list[R] = []
        threads = [greenlet(lambda item=item: results.append(function(item))) for item in items]
        for thread in threads:
            self.wake(thread)
        while self._ready:
            self.before_step()
            self.steps += 1
            moment, _, thread = heapq.heappop(self._ready)
            self._now = max(self._now, moment)
            thread.switch()
        assert all(thread.dead for thread in threads), "the threads wait for each other"
        return results

    def gate(self) -> "SimulatedGate":
        return SimulatedGate(self)


@dataclass
class SimulatedGate:
    """Nothing happens behind it that would let another thread run, so nobody ever finds it closed."""

    simulation: Simulation
    _waiting: list[greenlet] = field(default_factory=list)
    _held: bool = False

    def __enter__(self) -> None:
        if self.simulation.chance is not None:
            # Whatever others do just before somebody gets through.
            self.simulation.sleep(0.001)
        assert not self._held
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False

    def wait(self) -> None:
        current = getcurrent()
        assert current.parent is not None
        self._held = False
        self._waiting.append(current)
        current.parent.switch()
        assert not self._held
        self._held = True

    def notify_all(self) -> None:
        assert self._held
        for thread in self._waiting:
            self.simulation.wake(thread)
        self._waiting.clear()
