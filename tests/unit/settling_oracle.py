"""The former ``decide``, which looks at everything again and again: what the quick one has to agree with.

It is the rule as it is told, version by version, and takes the square of their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.order import decidedly_newer
from s3replicator.decisions.settling import (
    WAITING_FOR_ORDER,
    Publish,
    Record,
    Remove,
    Sides,
    Step,
    Wish,
    removed_by_others,
    reopened,
    tombstone,
)
from s3replicator.decisions.versions import Kind


def decide(rows: Mapping[str, Row], sides: Sides, wish: Wish) -> Step | None:
    """The next step; None if nothing is left to do."""
    key = _Key(rows, sides, wish)
    changed = key.outdated()
    if changed:
        return Record(changed)
    wanted = key.wanted()
    superseded, chain = key.split(wanted)
    if superseded:
        return Record(superseded)
    misplaced = key.first_misplaced(chain)
    if misplaced is not None:
        return Publish(misplaced)
    if chain and key.is_covered(chain[-1]):
        return Publish(chain[-1])
    return next(key.removable(), None)


@dataclass(slots=True)
class _Key:
    rows: Mapping[str, Row]
    sides: Sides
    wish: Wish
    #: Place at the source and at the destination, the oldest first.
    _rank: dict[str, int] = field(init=False)
    _place: dict[str, int] = field(init=False)
    _size: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rank = {v.version_id: n for n, v in enumerate(reversed(self.sides.source))}
        self._place = {v.version_id: n for n, v in enumerate(reversed(self.sides.destination))}
        self._size = {v.version_id: v.size for v in self.sides.destination}

    # -- rows and the world

    def outdated(self) -> dict[str, Row]:
        found = {vid: self._as_it_is(vid, row) for vid, row in self.rows.items()}
        return {vid: row for vid, row in found.items() if row != self.rows[vid]}

    def _as_it_is(self, version_id: str, row: Row) -> Row:
        row = replace(row, left=tuple(one for one in row.left if one in self._place))
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
            assert row.replica is not None
            return tombstone(replace(row, stray=(*row.stray, row.replica)))
        return row

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
        newest = wanted[-1] if wanted else None
        gone = [vid for vid in self.rows if vid not in self._rank and self._is_kept(vid)]
        for vid in sorted(gone, key=self._age):
            wanted.insert(self._place_of_gone(vid, wanted, newest), vid)
        return wanted

    def _place_of_gone(self, gone: str, wanted: Sequence[str], newest: str | None) -> int:
        """Above all that is decidedly older, and below what is decidedly newer. Where that leaves a choice,
        the newest listed one wins, since it is what the source shows; the others stay as they stand."""
        facts = self.rows[gone].order
        newer = [decidedly_newer(self.rows[other].order, facts) for other in wanted]
        lowest = max((n + 1 for n, above in enumerate(newer) if above is False), default=0)
        highest = next((n for n, above in enumerate(newer) if above and n >= lowest), len(wanted))
        for n in range(lowest, highest):
            other = wanted[n]
            lies_below = self._is_here(other) and self._at(other) < self._at(gone)
            if other == newest or not (lies_below or self._is_left_out_already(other)):
                return n
        return highest

    def _is_left_out_already(self, version_id: str) -> bool:
        row = self.rows[version_id]
        is_late = row.status is Status.SUPERSEDED and version_id not in self.wish.asked
        return is_late and not self._is_here(version_id)

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
        for index, vid in enumerate(wanted):
            row, newer = self.rows[vid], wanted[index + 1 :]
            reason = None
            if self._is_here(vid) or not self._is_late(vid, newer):
                chain.append(vid)
            elif row.status is Status.SUPERSEDED:
                continue
            elif self._is_left_out(row) or (reason := self._replay_is_too_large(newer)):
                if not row.final:
                    superseded[vid] = _superseded(row, reason)
                elif _is_wanted_back(row):
                    # One that was lost, and is asked for again, stays lost.
                    superseded[vid] = removed_by_others(row)
            else:
                chain.append(vid)
        return superseded, chain

    def _is_late(self, version_id: str, newer: Sequence[str]) -> bool:
        if any(self._is_here(other) for other in newer):
            return True
        if self.rows[version_id].status is Status.SUPERSEDED and newer:
            return True
        # A newer replica that others removed was there: what is older has been late ever since.
        mine = self._rank.get(version_id, -1)
        return any(row.lost and self._rank.get(vid, -1) > mine for vid, row in self.rows.items())

    def _is_left_out(self, row: Row) -> bool:
        """Replaying a late delete marker would show a deletion that is not so."""
        return row.kind is Kind.MARKER or self.wish.late is LateVersions.SKIP

    def _replay_is_too_large(self, newer: Sequence[str]) -> Reason | None:
        again = [self._size.get(self.rows[vid].replica or "", 0) for vid in newer if self._is_here(vid)]
        most = self.wish.replays
        if len(again) > most.versions or sum(again) > most.size:
            return Reason.REPLAY_TOO_LARGE
        return None

    # -- what to do

    def first_misplaced(self, chain: Sequence[str]) -> str | None:
        """The oldest one without a replica, or whose replica lies below its predecessor's."""
        top = -1
        for vid in chain:
            if not self._is_here(vid) or self._at(vid) < top:
                return vid
            top = self._at(vid)
        return None

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


def _is_wanted_back(row: Row) -> bool:
    """Whether an operator has asked for a replica that others removed, and that is under way."""
    return row.lost and row.reason not in (None, Reason.DST_OBJECT_LOCKED, Reason.NOT_OURS)


def _superseded(row: Row, reason: Reason | None) -> Row:
    return replace(
        row, status=Status.SUPERSEDED, reason=reason, detail=None, due=None, attempts=0, upload=None
    )
