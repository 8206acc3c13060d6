"""The one place where order is judged: which step brings a key closer to its source.

``decide`` looks at the ledger's rows and at what both sides list, and names the next step; whoever takes
it looks and asks again. So it does not matter where the last one stopped: late versions, version deletes,
interrupted repairs, uploads that came to lie elsewhere and reconciling by hand are all the same walk.

The destination can only be appended to. What already stands in order, seen from the oldest, is kept; the
rest is published again, oldest first; what that leaves behind is removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Final

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.in_order import InOrder, Placed
from s3replicator.decisions.ledger import MOST_IDS, Row, Spent, Status, hour_of
from s3replicator.decisions.versions import Kind, ListedVersion

#: A late version is replayed under at most so many newer ones, and so many bytes of them: while they are
#: copied again, readers see the late one.
MOST_NEWER_VERSIONS: Final = 100
MOST_NEWER_BYTES: Final = 5 * 1024**3

#: And all late versions of a key together have at most so many newer ones copied again in an hour, and so
#: many bytes of them. A busy key has many late versions, each below few.
COPIES_AN_HOUR: Final = 1000
BYTES_AN_HOUR: Final = 50 * 1024**3

#: A version that waits with one of these waits for its place in the order, and for nothing else.
WAITING_FOR_ORDER: Final = frozenset({Reason.LATE_VERSION, Reason.UNSETTLED, Reason.OUT_OF_ORDER})


@dataclass(frozen=True, slots=True)
class Record:
    """Rows that no longer say what is so."""

    rows: Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class Publish:
    """Copy a version, or write its marker, on top of everything at the destination."""

    version_id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete one of our versions at the destination."""

    version_id: str
    replica: str


Step = Record | Publish | Remove


@dataclass(frozen=True)
class Sides:
    """What both sides list of a key, newest first."""

    source: Sequence[ListedVersion]
    destination: Sequence[ListedVersion]

    def lists(self, version_id: str) -> bool:
        return version_id in self._listed

    def has(self, replica: str | None) -> bool:
        """Whether the destination lists it."""
        return replica in self._there

    def find(self, replica: str | None) -> ListedVersion | None:
        """As the destination lists it."""
        return self._by_id.get(replica or "")

    @cached_property
    def _by_id(self) -> dict[str, ListedVersion]:
        return {version.version_id: version for version in self.destination}

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(version.version_id for version in self.source)

    @cached_property
    def _there(self) -> frozenset[str]:
        return frozenset(version.version_id for version in self.destination)


@dataclass(frozen=True, slots=True)
class Replays:
    """How many newer versions may be copied again for a late one, and how many bytes of them."""

    versions: int = MOST_NEWER_VERSIONS
    size: int = MOST_NEWER_BYTES


def left_in_hour(spent: Spent | None, now: float) -> Replays:
    """What may still be copied again for the late versions of a key in this hour."""
    if spent is None or spent.hour != hour_of(now):
        return Replays()
    return Replays(
        min(MOST_NEWER_VERSIONS, max(0, COPIES_AN_HOUR - spent.versions)),
        min(MOST_NEWER_BYTES, max(0, BYTES_AN_HOUR - spent.size)),
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted beside what is there.

    ``asked`` are versions to be tried now, whatever their rows say; ``failed`` are those that were tried
    in vain, and hold up nobody; ``kept`` the ids at the destination that must not, or cannot, be removed now.
    """

    asked: frozenset[str] = frozenset()
    late: LateVersions = LateVersions.REPLAY
    failed: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    replays: Replays = Replays()


def decide(rows: Mapping[str, Row], sides: Sides, wish: Wish) -> Step | None:
    """The next step; None if nothing is left to do."""
    return next(iter(plan(rows, sides, wish)), None)


def plan(rows: Mapping[str, Row], sides: Sides, wish: Wish) -> Sequence[Step]:
    """The next step, and those that will be named after it, if each does what it is there for and nothing
    else: a version published lies on top, its order what it was; what is removed is gone."""
    key = _Key(rows, sides, wish)
    changed = key.outdated()
    if changed:
        return [Record(changed)]
    superseded, chain = key.split(key.wanted())
    if superseded:
        return [Record(superseded)]
    misplaced = key.misplaced(chain)
    if misplaced:
        return [Publish(vid) for vid in misplaced]
    if chain and key.is_covered(chain[-1]):
        return [Publish(chain[-1])]
    return list(key.removable())


def tombstone(row: Row) -> Row:
    """The row of a version that is gone at the source and has no replica."""
    return replace(
        row,
        status=Status.TOMBSTONE,
        replica=None,
        reason=None,
        detail=None,
        due=None,
        attempts=0,
        upload=None,
    )


def reopened(row: Row) -> Row:
    """The row of a version that was once called gone, and is listed: it waits for its turn, as if its event
    had just come, and is tried as often as any other."""
    return replace(row, status=Status.PENDING, reason=Reason.UNSETTLED)


def removed_by_others(row: Row) -> Row:
    """The row of a version whose replica somebody else removed, perhaps a lifecycle rule that would be fought
    otherwise: it is not wanted back, whatever the row was waiting for."""
    lost = replace(row, replica=None, lost=True, threshold=None, missed=False)
    return replace(lost, reason=None, detail=None, due=None, attempts=0)


@dataclass(frozen=True, slots=True)
class _Above:
    """What stands above a version: so many, so many of them with a replica that will do, of so many bytes.
    ``full``: one of these shall not be copied again."""

    versions: int = 0
    here: int = 0
    size: int = 0
    full: bool = False


@dataclass(slots=True)
class _Key:
    rows: Mapping[str, Row]
    sides: Sides
    wish: Wish
    #: Place at the source and at the destination, the oldest first.
    _rank: dict[str, int] = field(init=False)
    _place: dict[str, int] = field(init=False)
    _size: dict[str, int] = field(init=False)
    #: The place at the source of the newest version whose replica others removed.
    _lost_rank: int = field(init=False)
    #: Whether where a replica lies has decided the order of any.
    _tied: bool = False

    def __post_init__(self) -> None:
        self._rank = {v.version_id: n for n, v in enumerate(reversed(self.sides.source))}
        self._place = {v.version_id: n for n, v in enumerate(reversed(self.sides.destination))}
        self._size = {v.version_id: v.size for v in self.sides.destination}
        lost = (self._rank.get(vid, -1) for vid, row in self.rows.items() if row.lost)
        self._lost_rank = max(lost, default=-1)

    # -- rows and the world

    def outdated(self) -> dict[str, Row]:
        found = {vid: self._as_it_is(vid, row) for vid, row in self.rows.items()}
        return {vid: row for vid, row in found.items() if row is not self.rows[vid]}

    def _as_it_is(self, version_id: str, row: Row) -> Row:
        row = self._trimmed(row)
        here = row.replica in self._place
        if version_id in self._rank:
            if row.status is Status.TOMBSTONE:
                return reopened(row)
            return removed_by_others(row) if row.live and not here else row
        if row.status is Status.TOMBSTONE:
            return row
        if not here:
            return tombstone(row)
        if row.doubt and (row.purged or not row.copyable):
            # It can neither be removed nor be put in its place again.
            assert row.replica is not None
            return tombstone(row.with_stray(row.replica))
        return row

    def _trimmed(self, row: Row) -> Row:
        """What is not there any more needs not be remembered."""
        if all(one in self._place for one in (*row.left, *row.blocked, *row.stray)):
            return _told_if_full(row)
        left, blocked, stray = (
            tuple(one for one in ids if one in self._place) for ids in (row.left, row.blocked, row.stray)
        )
        unblocked = bool(row.blocked) and not blocked
        row = replace(row, left=left, blocked=blocked, stray=stray)
        if unblocked and row.reason == Reason.DST_OBJECT_LOCKED:
            row = replace(row, reason=None, detail=None)
        return _told_if_full(row)

    def _is_here(self, version_id: str) -> bool:
        """Whether the version has a replica that will do."""
        row, wish = self.rows[version_id], self.wish
        tried_again = version_id in wish.asked and version_id not in wish.failed
        return row.replica in self._place and (row.final or not tried_again)

    # -- which versions, in which order

    def wanted(self) -> list[str]:
        """The versions that should have a replica, oldest first: listed ones at their places, and among
        them those that are gone from the source and keep their replicas."""
        wanted = [
            version.version_id
            for version in reversed(self.sides.source)
            if version.version_id in self.rows and self._is_wanted(version.version_id)
        ]
        gone = [vid for vid in self.rows if vid not in self._rank and self._is_kept(vid)]
        if not gone:
            return wanted
        # The newest listed one stands above what may be as new, since it is what the source shows.
        newest = wanted[-1] if wanted else None
        in_order = InOrder(self._placed(vid, newest) for vid in wanted)
        for vid in sorted(gone, key=self._age):
            in_order.place(self._placed(vid, newest), self._at(vid))
        self._tied = in_order.tied
        return list(in_order)

    def _placed(self, version_id: str, newest: str | None) -> Placed:
        row = self.rows[version_id]
        if version_id != newest and self._is_here(version_id):
            return version_id, row.order, self._at(version_id)
        # What is left out as late, nothing has to make way for.
        is_asked_for = version_id == newest or version_id in self.wish.asked
        is_left_out = row.status is Status.SUPERSEDED and not is_asked_for
        return version_id, row.order, -inf if is_left_out else inf

    def _is_wanted(self, version_id: str) -> bool:
        row = self.rows[version_id]
        if version_id in self.wish.failed:
            return False
        if version_id in self.wish.asked or row.live:
            return True
        if row.status is Status.SUPERSEDED:
            return True
        if _is_wanted_back(row):
            return True
        return row.status is Status.PENDING and row.reason in WAITING_FOR_ORDER

    def _is_kept(self, version_id: str) -> bool:
        """Whether a version that is gone is to stand in its place, and has not been tried in vain."""
        return self._stays(version_id) and version_id not in self.wish.failed

    def _stays(self, version_id: str) -> bool:
        """Whether the replica of a version that is gone stays in its place."""
        row = self.rows[version_id]
        return row.live and not row.purged

    def _age(self, version_id: str) -> tuple[float, str]:
        order = self.rows[version_id].order
        return order.last_modified, order.sequencer or ""

    def _at(self, version_id: str) -> int:
        replica = self.rows[version_id].replica
        assert replica is not None
        return self._place[replica]

    # -- late versions

    def split(self, wanted: Sequence[str]) -> tuple[dict[str, Row], list[str]]:
        """Late versions that are left out, as rows to be written, and the versions that form the chain."""
        superseded: dict[str, Row] = {}
        chain: list[str] = []
        for vid, above in zip(wanted, self._above_each(wanted), strict=True):
            row, reason = self.rows[vid], None
            if self._is_here(vid) or not self._is_late(vid, above):
                chain.append(vid)
            elif row.status is Status.SUPERSEDED:
                continue
            elif self._is_left_out(row) or (reason := self._replay_is_too_large(above)):
                if not row.final:
                    superseded[vid] = _superseded(row, reason)
                elif _is_wanted_back(row):
                    # One that was lost, and is asked for again, stays lost.
                    superseded[vid] = removed_by_others(row)
            else:
                chain.append(vid)
        return superseded, chain

    def _above_each(self, wanted: Sequence[str]) -> list[_Above]:
        above, found = _Above(), list[_Above]()
        for vid in reversed(wanted):
            found.append(above)
            row, is_here = self.rows[vid], self._is_here(vid)
            above = _Above(
                above.versions + 1,
                above.here + is_here,
                above.size + (self._size.get(row.replica or "", 0) if is_here else 0),
                above.full or (is_here and row.full),
            )
        return found[::-1]

    def _is_late(self, version_id: str, above: _Above) -> bool:
        if above.here:
            return True
        if self.rows[version_id].status is Status.SUPERSEDED and above.versions:
            return True
        # A newer replica that others removed was there: what is older has been late ever since.
        return self._lost_rank > self._rank.get(version_id, -1)

    def _is_left_out(self, row: Row) -> bool:
        """Replaying a late delete marker would show a deletion that is not so."""
        return row.kind is Kind.MARKER or self.wish.late is LateVersions.SKIP

    def _replay_is_too_large(self, above: _Above) -> Reason | None:
        most = self.wish.replays
        if above.here > most.versions or above.size > most.size or above.full:
            return Reason.REPLAY_TOO_LARGE
        return None

    # -- what to do

    def misplaced(self, chain: Sequence[str]) -> Sequence[str]:
        """The oldest one without a replica, or whose replica lies below its predecessor's; and all above it,
        which lie below it when it has been published. It alone where that may move others."""
        top = -1
        for number, vid in enumerate(chain):
            if not self._is_here(vid) or self._at(vid) < top:
                alone = self._tied or any(self.rows[other].lost for other in chain[number:])
                return chain[number : number + 1] if alone else chain[number:]
            top = self._at(vid)
        return ()

    def is_covered(self, newest: str) -> bool:
        """Whether something that was ours, and cannot be removed, hides the newest replica."""
        others = (one for row in self.rows.values() for one in (*row.stray, *row.blocked))
        return any(self._place.get(one, -1) > self._at(newest) for one in others)

    def removable(self) -> Iterator[Remove]:
        for vid, row in self.rows.items():
            if row.live and not row.final:
                # Its replica could not be verified: what it was to replace may be the only good one.
                continue
            for left in row.left:
                if left not in self.wish.kept:
                    yield Remove(vid, left)
        for vid, row in self.rows.items():
            gone = vid not in self._rank and not self._stays(vid)
            if gone and row.replica is not None and row.replica not in self.wish.kept:
                yield Remove(vid, row.replica)
                if row.left and not row.final:
                    # What it was to replace may go then.
                    return


def _is_wanted_back(row: Row) -> bool:
    """Whether an operator has asked for a replica that others removed, and that is under way."""
    return row.lost and row.reason not in (None, Reason.DST_OBJECT_LOCKED, Reason.NOT_OURS)


def _told_if_full(row: Row) -> Row:
    """The row says so if it has forgotten, or will forget, what may be copies of its version."""
    is_full = row.live and row.final and len(row.stray) >= MOST_IDS
    if is_full and row.reason is None:
        return replace(row, reason=Reason.TOO_MANY_COPIES, detail=_FULL)
    if row.reason == Reason.TOO_MANY_COPIES and row.detail == _FULL and not is_full:
        return replace(row, reason=None, detail=None)
    return row


_FULL: Final = f"{MOST_IDS} versions at the destination, or more, may be copies of this one"


def _superseded(row: Row, reason: Reason | None) -> Row:
    return replace(
        row, status=Status.SUPERSEDED, reason=reason, detail=None, due=None, attempts=0, upload=None
    )
