"""All that can happen to a world, as acts that a few small values describe.

An act that makes no sense at the moment does nothing, so any script of acts can be run, and be shortened.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from s3replicator.decisions.outcome import Result
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.usecases.by_hand import Report
from tests.unit.protocol.invariants import problems_of
from tests.unit.protocol.memory_bucket import Version
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.memory_s3 import ForeignVersionRemoved
from tests.unit.protocol.scheduler import Fate, Worker
from tests.unit.protocol.stack import Feature
from tests.unit.protocol.world import Terms, Violation, World

T = TypeVar("T")

KEYS: Final = ("a", "b")
LARGE: Final = SINGLE_COPY_LIMIT + 1
_MOST_WORKERS: Final = 4
#: How often an operator asks for the same.
PATIENCE: Final = 8

#: What an act may be told, by the name of its parameter; what is here twice is drawn more often. ``which``
#: is one of several, taken modulo how many there are.
CHOICES: Final[dict[str, Sequence[object]]] = {
    "key": ("a", "a", "a", "b"),
    "which": tuple(range(8)),
    "large": (False, False, False, True),
    "crowded": (False, False, False, False, False, True),
    "versioning": (False, True, True),
    "colour": ("red", "green"),
    "marker": (False, True),
    "copy": (False, True),
    "queue": (Queue.INGEST, Queue.INGEST, Queue.DEAD_LETTER, Queue.LARGE),
    "count": (1, 1, 2, 3),
    "steps": tuple(range(13)),
    "fate": tuple(Fate),
    "restore": (False, False, True),
    "purge": (False, False, True),
    "seconds": (0.3, 1, 7, 40, 70, 250, 700, 1300),
    "amid": (False, True),
}


class Acts:
    def __init__(self, terms: Terms) -> None:
        self.world = World(terms)
        self._uploads: list[str] = []

    # -- users at the source

    def put(self, key: str, large: bool, crowded: bool) -> None:
        self.world.put(key, LARGE if large else 1, crowded=crowded)

    def mark(self, key: str) -> None:
        self.world.mark(key)

    def begin_upload(self, key: str, large: bool) -> None:
        self._uploads.append(self.world.begin(key, LARGE if large else 2))

    def end_upload(self, which: int) -> None:
        if self._uploads:
            self.world.end(self._uploads.pop(which % len(self._uploads)))

    def purge(self, key: str, which: int) -> None:
        self._change(key, which, lambda version: self.world.purge(key, version.version_id))

    def expire(self, key: str, which: int) -> None:
        self._change(key, which, lambda version: self.world.expire(key, version.version_id))

    def tag(self, key: str, which: int, colour: str) -> None:
        self._change(key, which, lambda version: self.world.tag(key, version.version_id, colour))

    def grant(self, key: str, which: int, colour: str) -> None:
        self._change(key, which, lambda version: self.world.grant(key, version.version_id, colour))

    def annotate(self, key: str, which: int, colour: str) -> None:
        self._change(key, which, lambda version: self.world.annotate(key, version.version_id, colour))

    def switch(self, versioning: bool) -> None:
        self.world.switch(versioning)

    def _change(self, key: str, which: int, change: Callable[[Version], None]) -> None:
        versions = self.world.source.versions(key)
        if versions:
            change(pick(versions, which))

    # -- others at the destination

    def write_foreign(self, key: str, marker: bool) -> None:
        if marker:
            self.world.mark_foreign(key)
        else:
            self.world.put_foreign(key)

    def meddle(self, key: str, which: int, copy: bool) -> None:
        """Copy one of our replicas in place, or remove one that the ledger knows.

        Who does both between a crash and its repair leaves a version that nothing tells from the one it was
        copied from, so no key sees both.
        """
        if ("remove" if copy else "copy") in self.world.foreign[key]:
            return
        known = self.world.quiet(key, reconciled=False).claimed()
        ours = [
            version
            for version in self.world.replicas(key)
            if (version.truth.ours and version.contents if copy else version.version_id in known)
        ]
        if ours:
            act = self.world.copy_foreign if copy else self.world.remove_foreign
            act(key, pick(ours, which).version_id)

    # -- messages and workers

    def handle(self, queue: Queue, which: int) -> None:
        """A message is dealt with in one go."""
        letters = self.world.queues.waiting(queue)
        if letters:
            self.world.finish(self.world.take(queue, [pick(letters, which)]))

    def work(self, queue: Queue, which: int, count: int, steps: int, fate: Fate) -> None:
        """A worker gets messages, and as far as it gets."""
        letters = self.world.queues.waiting(queue)
        if letters and self._is_room():
            batch = [letters[(which + index) % len(letters)] for index in range(min(count, len(letters)))]
            self._go(self.world.take(queue, batch), steps, fate)

    def sweep(self, steps: int, fate: Fate) -> None:
        if self._is_room():
            self._go(self.world.sweep(), steps, fate)

    def settle(self, key: str, restore: bool, purge: bool, steps: int, fate: Fate) -> None:
        if self._is_room():
            self._go(self.world.settle(key, restore_lost=restore, purge=purge), steps, fate)

    def go_on(self, which: int, steps: int, fate: Fate) -> None:
        if self.world.scheduler.workers:
            self._go(pick(self.world.scheduler.workers, which), steps, fate)

    def finish(self, which: int) -> None:
        if self.world.scheduler.workers:
            self.world.finish(pick(self.world.scheduler.workers, which))

    def _is_room(self) -> bool:
        return len(self.world.scheduler.workers) < _MOST_WORKERS

    def _go(self, worker: Worker, steps: int, fate: Fate) -> None:
        """So many calls, and then one that may go wrong; the worker stops before the next."""
        self.world.go_on(worker, steps)
        if worker.call is not None:
            self.world.step(worker, fate)

    def duplicate(self, queue: Queue, which: int) -> None:
        letters = self.world.queues.letters[queue]
        if letters:
            self.world.duplicate(queue, pick(letters, which))

    def lose(self, which: int) -> None:
        letters = [letter for letter in self.world.queues.waiting(Queue.INGEST) if not letter.received]
        if letters:
            self.world.lose(pick(letters, which))

    def land(self, which: int) -> None:
        if self.world.scheduler.zombies:
            self.world.land(pick(self.world.scheduler.zombies, which))

    def wait(self, seconds: float, amid: bool) -> None:
        self.world.wait(seconds, amid=amid)

    # -- the end

    def come_to_rest(self) -> None:
        """Whatever has happened: in the end the invariants hold, first by what events alone have brought
        about, then after every key has been settled by hand; and doing that again changes nothing."""
        self.world.run_dry()
        self.world.scheduler.note("it is quiet")
        self._check("by events alone", reconciled=False)
        self._reconcile()
        self._check("once settled by hand", reconciled=True)
        before = self._state()
        self._reconcile()
        if self._state() != before:
            raise Violation("settling by hand again still changes something")

    def _reconcile(self) -> None:
        """As an operator does: who is told that something is under way asks again later."""
        for _ in range(PATIENCE):
            reports = [self.world.reconcile(key) for key in KEYS]
            self.world.run_dry()
            if all(is_done(report) for report in reports):
                return
        raise Violation("settling by hand does not come to an end")

    def _check(self, when: str, *, reconciled: bool) -> None:
        for key in KEYS:
            problems = problems_of(self.world.quiet(key, reconciled=reconciled))
            if problems:
                raise Violation(f"{when}, {key}:\n  " + "\n  ".join(problems))

    def _state(self) -> object:
        return [
            (
                [version.version_id for version in self.world.replicas(key)],
                self.world.ledger.history(self.world.terms.place(key))[1],
            )
            for key in KEYS
        ]

    def close(self) -> None:
        self.world.close()

    @property
    def seen(self) -> Counter[Feature]:
        """Nothing of the wider world."""
        return Counter()

    def told(self, act: Callable[[], object]) -> None:
        """Whatever breaks the protocol says how it came to that."""
        try:
            act()
        except (AssertionError, ForeignVersionRemoved) as violation:
            trace = "\n".join(map(str, self.world.scheduler.trace))
            raise Violation(f"{violation}\n{self.world.terms}\n{trace}") from violation


def is_done(report: Report) -> bool:
    results = {outcome.result for outcome in report.outcomes}
    return not report.busy and not results & {Result.DELAYED, Result.SENT_TO_LARGE_LANE}


def pick(several: Sequence[T], which: int) -> T:
    return several[which % len(several)]
