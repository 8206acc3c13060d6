"""What can happen to a wider world, beside all that can happen to the plain one; see acts.py."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.job import JobKind
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.usecases.by_hand import Report
from tests.unit.protocol import acts
from tests.unit.protocol.acts import Acts, is_done, pick
from tests.unit.protocol.memory_bucket import Version
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.network import Network
from tests.unit.protocol.scheduler import Fate
from tests.unit.protocol.stack import Feature, Forgery, Stack
from tests.unit.protocol.world import Terms, Violation

#: Taken away from the beginning of a key, this makes one key of two.
STRIPPED: Final = "x/"
MEETING_KEYS: Final = ("a", "a", "x/a", "x/a", "b")

#: As in acts.py.
CHOICES: Final[dict[str, Sequence[object]]] = {
    **acts.CHOICES,
    "at": (0, 1, 2),
    "what": ("stripped", "stripped", "added", "late", "markers", "deletes"),
    "on": (False, True),
    # That somebody else's upload may be named in a message is known, and has a trace of its own.
    "forgery": tuple(forgery for forgery in Forgery if forgery is not Forgery.UPLOAD),
    "size": (1, 1, 4),
    "lane": (Queue.INGEST, Queue.INGEST, Queue.DEAD_LETTER, Queue.LARGE),
    "request": (
        *("park", "park", "park", "park"),
        *("copy", "copy", "put_marker", "remove", "hand_over", "to_large_lane"),
        *("tags", "put_tags", "acl", "put_acl", "annotations", "annotations", "put_annotation"),
        *("versions", "parts", "write"),
    ),
    "how": (Fate.REFUSED, Fate.DENIED, Fate.DENIED, Fate.DENIED, Fate.LOST, Fate.DIES_BEFORE),
    "kind": tuple(JobKind),
    "many": (4, 8, 45),
    "late": (0, 1, 3),
    "other": ("b", "x/a"),
}


class WideActs(Acts):
    """Acts are about one stack, ``world``, until they ``turn`` to another."""

    world: Stack

    def __init__(self, terms: Terms) -> None:
        self.network = Network(terms)
        self.world = self.network.stacks[0]
        self._begun: list[tuple[Stack, str]] = []

    @property
    def seen(self) -> Counter[Feature]:
        return self.network.seen

    def close(self) -> None:
        self.network.close()

    def turn(self, at: int) -> None:
        self.world = pick(self.network.up, at)

    # -- users

    def put(self, key: str, large: bool, crowded: bool) -> None:
        # Nobody can know the replica of what has no room for a stamp, but who hears of its writer.
        alone = len(self.network.up) == 1
        super().put(key, large, crowded and (alone or self.world.terms.declared))

    def put_before(self, key: str) -> None:
        self.world.put_before(key)

    def put_stamped(self, key: str) -> None:
        self.world.put_stamped(key)

    def begin_upload(self, key: str, large: bool) -> None:
        self._begun.append((self.world, self.world.begin(key, acts.LARGE if large else 2)))

    def end_upload(self, which: int) -> None:
        if self._begun:
            stack, upload = self._begun.pop(which % len(self._begun))
            if not stack.down and upload in stack.source.uploads:
                stack.end(upload)

    def lose(self, which: int) -> None:
        """Of what S3 tells, and nobody has made up."""
        letters = [one for one in self.world.queues.waiting(Queue.INGEST) if self.world.is_of_s3(one)]
        fresh = [letter for letter in letters if not letter.received]
        if fresh:
            self.world.lose(pick(fresh, which))

    def copy_at_source(self, key: str, which: int) -> None:
        """Somebody restores a version by a copy in place."""

        def copy(version: Version) -> None:
            if version.contents is not None and not self._is_guarded(key, version, "remove"):
                self.world.copy_at_source(key, version.version_id)

        self._change(key, which, copy)

    def purge(self, key: str, which: int) -> None:
        self._unless_copied(key, which, self.world.purge)

    def expire(self, key: str, which: int) -> None:
        self._unless_copied(key, which, self.world.expire)

    def _unless_copied(self, key: str, which: int, act: Callable[[str, str], None]) -> None:
        versions = self.world.source.versions(key)
        if versions and not self._is_guarded(key, pick(versions, which), "copy"):
            act(key, pick(versions, which).version_id)

    def _is_guarded(self, key: str, version: Version, done: str) -> bool:
        """Who copies a replica in place and removes one before a repair leaves what nothing tells apart."""
        return version.truth.ours and any(
            done in stack.foreign[key] for stack in self.network.stacks if stack.replica is self.world.source
        )

    def _change(self, key: str, which: int, change: Callable[[Version], None]) -> None:
        versions = self.world.source.versions(key)
        if versions:
            change(pick(versions, which))

    def tag(self, key: str, which: int, colour: str) -> None:
        if self._is_the_users_own(key, which):
            super().tag(key, which, colour)

    def grant(self, key: str, which: int, colour: str) -> None:
        if self._is_the_users_own(key, which):
            super().grant(key, which, colour)

    def annotate(self, key: str, which: int, colour: str) -> None:
        if self._is_the_users_own(key, which):
            super().annotate(key, which, colour)

    def _is_the_users_own(self, key: str, which: int) -> bool:
        versions = self.world.source.versions(key)
        return bool(versions) and not pick(versions, which).truth.ours

    def burst(self, key: str, many: int, late: int) -> None:
        """Many versions, each replicated at once; and some uploads that were begun before them all."""
        self._begun += [(self.world, self.world.begin(key)) for _ in range(late)]
        for _ in range(many):
            self.world.put(key)
            letter = self.world.queues.letters[Queue.INGEST][-1]
            self.world.finish(self.world.take(Queue.INGEST, [letter]))
        self.world.seen[Feature.BURST] += 1

    # -- others at the destination

    def store_otherwise(self, key: str, which: int) -> None:
        ours = [one for one in self.world.replicas(key) if one.truth.ours and one.contents]
        if ours and "remove" not in self.world.foreign[key]:
            self.world.store_otherwise(key, pick(ours, which).version_id)

    def plant(self, key: str, which: int, size: int) -> None:
        objects = [one for one in self.world.source.versions(key) if one.contents]
        if objects:
            self.world.plant(key, pick(objects, which), size=size)

    # -- whoever may send messages, or write to the ledger

    def forge(self, forgery: Forgery, key: str, which: int, other: str, lane: Queue) -> None:
        versions = self.world.source.versions(key)
        if versions:
            self.world.forge(forgery, key, pick(versions, which), other, lane)

    def forge_left(self, key: str, which: int) -> None:
        if all(one.truth.ours for one in self.world.replicas(key)):
            self.world.put_foreign(key)
        self.world.forge_left(key, which)

    # -- what goes wrong

    def hide(self, key: str, which: int) -> None:
        """The next read of this version says that it is not there."""

        def hidden(version: Version) -> None:
            self.world.hidden[key, version.name] += 1
            self.world.scheduler.note(f"source: {version.name} of {key} is not found once")

        self._change(key, which, hidden)

    def fail(self, request: str, how: Fate) -> None:
        """From now on all these requests go wrong."""
        self.world.failing[request] = how
        self.world.scheduler.note(f"every {request} is {how}")

    def heal(self) -> None:
        self.world.failing.clear()

    def expire_parked(self) -> None:
        self.world.expire_parked()

    def fail_over(self) -> None:
        if self.network.terms.topology.fails_over:
            self.network.fail_over()
            self.turn(0)

    # -- operators

    def reconfigure(self, what: str, on: bool) -> None:
        match what:
            case "stripped":
                self.world.reconfigure(stripped=STRIPPED if on else "")
            case "added":
                self.world.reconfigure(added="eu/" if on else "")
            case "late":
                self.world.reconfigure(late=LateVersions.SKIP if on else LateVersions.REPLAY)
            case "markers":
                self.world.reconfigure(markers=on and not self.world.terms.circling)
            case "deletes":
                self.world.reconfigure(most_deletes=1000 if on else None)

    def job(self, kind: JobKind, steps: int, fate: Fate) -> None:
        if self._is_room():
            for worker in self.world.begin_job(kind):
                self._go(worker, steps, fate)

    def finish_job(self, kind: JobKind) -> None:
        for worker in self.world.begin_job(kind):
            self.world.finish(worker)

    # -- workers

    def go_on(self, which: int, steps: int, fate: Fate) -> None:
        self._with(which, lambda: Acts.go_on(self, which, steps, fate))

    def finish(self, which: int) -> None:
        self._with(which, lambda: Acts.finish(self, which))

    def _with(self, which: int, act: Callable[[], None]) -> None:
        """About the stack of any worker."""
        workers = self.network.workers
        if not workers:
            return
        before = self.world
        self.world, _ = pick(workers, which)
        try:
            act()
        finally:
            self.world = before

    # -- the end

    def come_to_rest(self) -> None:
        self.network.rest()
        self.world.scheduler.note("it is quiet")
        self._check_all("by events alone", reconciled=False)
        self.network.copy_what_was_lost()
        covered = [(stack, stack.copies_in_place_on_top()) for stack in self.network.up]
        self._reconcile()
        self._check_all("once settled by hand", reconciled=True)
        for stack, before in covered:
            _stays_on_top(stack, before)
        state = self._state()
        self._reconcile()
        if self._state() != state:
            raise Violation("settling by hand again still changes something")

    def _reconcile(self) -> None:
        for times in range(acts.PATIENCE):
            reports = [stack.reconcile(key) for stack in self.network.up for key in stack.known_keys()]
            self.network.rest()
            # Who found its place taken asks once more, when the other has been looked after.
            ended = times > 0 or not any(map(_is_kept_out, reports))
            if ended and all(is_done(report) for report in reports):
                return
        raise Violation("settling by hand does not come to an end")

    def _check_all(self, when: str, *, reconciled: bool) -> None:
        problems = [one for stack in self.network.up for one in stack.problems(reconciled=reconciled)]
        if problems:
            raise Violation(f"{when}:\n  " + "\n  ".join(problems))

    def _state(self) -> object:
        return [
            (
                place,
                [version.version_id for version in stack.replica.versions(place.key)],
                stack.settled(place),
            )
            for stack in self.network.up
            for key in stack.known_keys()
            for place in stack.places(key)
        ]


def _is_kept_out(report: Report) -> bool:
    return any(outcome.reason == Reason.KEY_CONFLICT for outcome in report.outcomes)


def _stays_on_top(stack: Stack, before: Mapping[LedgerKey, tuple[str, frozenset[str]]]) -> None:
    """Settling by hand leaves a user's copy in place of the current replica on top, unless it had a version
    to add."""
    for place, (top, standing) in before.items():
        now = frozenset(vid for vid, row in stack.ledger.history(place)[1].items() if row.live)
        if stack.replica.versions(place.key)[0].version_id != top and now == standing:
            raise Violation(f"settling by hand wrote above {top}, a user's copy in place of the newest")
