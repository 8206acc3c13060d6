"""Where the two sides of a key and the ledger disagree, though nobody is at work on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.settling import Publish, Record, Remove, Sides, Wish, decide
from s3replicator.decisions.versions import Kind, ListedVersion


class Drift(StrEnum):
    #: A source version that the rules may select, and no row knows, or that a row calls gone.
    MISSING = "Missing"
    #: Others have removed a replica, or a lifecycle rule at the destination.
    LOST = "Lost"
    #: A replica of ours that no row knows.
    UNRECORDED = "Unrecorded"
    #: A version has more than one replica.
    TWICE = "Twice"
    #: Replicas do not stand in the order of their sources.
    WRONG_ORDER = "WrongOrder"
    #: Somebody else has written above the newest replica.
    OVERWRITTEN = "Overwritten"
    #: Somebody has copied a replica in place: known, and left as it is.
    COPIED_IN_PLACE = "CopiedInPlace"
    #: A repair was interrupted, and nobody comes back.
    UNSETTLED = "Unsettled"
    #: A multipart upload that nobody goes on with, at a key of ours.
    STRAY_UPLOAD = "StrayUpload"
    #: No drift: a replica at the source that nobody asks to carry onward.
    PASSED_OVER = "PassedOver"
    #: Tags, retention or size are not the source's.
    DIFFERENT = "Different"


@dataclass(frozen=True, slots=True)
class Finding:
    """``known``: the ledger says it already, so it is no news."""

    drift: Drift
    version_id: str
    detail: str | None = None
    known: bool = False


def compare(
    rows: Mapping[str, Row],
    sides: Sides,
    wanted: Collection[str],
    *,
    interrupted: bool,
    shared: bool,
    copies: Collection[str] = (),
) -> list[Finding]:
    """What can be seen in the lists. ``wanted`` are the source versions that the rules may select;
    ``interrupted``: the head is not clean, and nobody holds its lease; ``shared``: others may write to the
    destination; ``copies``: ids there of users' copies of replicas, which cover nothing."""
    missing = [
        version.version_id
        for version in sides.source
        if version.version_id in wanted and is_missing(rows.get(version.version_id))
    ]
    found = [Finding(Drift.MISSING, vid) for vid in missing]
    now = _as_it_is(rows, sides)
    found += [
        Finding(Drift.LOST, vid, known=rows[vid].lost)
        for vid, row in now.items()
        if row.lost and sides.lists(vid)
    ]
    if interrupted:
        newest = sides.source[0].version_id if sides.source else ""
        return [*found, Finding(Drift.UNSETTLED, newest)]
    if any(row.due is not None for row in rows.values()):
        # What is wrong is known, and somebody comes back.
        return found
    match decide(now, sides, Wish()):
        case Publish(version_id) if version_id not in missing:
            drift = Drift.WRONG_ORDER if now[version_id].live else Drift.UNSETTLED
            found.append(Finding(drift, version_id))
        case Remove(version_id, replica):
            found.append(Finding(Drift.TWICE, version_id, f"the former replica {replica}"))
    covering = None if shared else foreign_on_top(now, sides)
    if covering is not None and (above := [one for one in covering[1] if one not in copies]):
        found.append(Finding(Drift.OVERWRITTEN, covering[0], f"by {', '.join(above)}"))
    return found


def is_missing(row: Row | None) -> bool:
    """Whether nobody comes back for a version that the source lists: no row knows it, or its row says that it
    is gone."""
    return row is None or row.status is Status.TOMBSTONE


def foreign_on_top(rows: Mapping[str, Row], sides: Sides) -> tuple[str, list[str]] | None:
    """What others wrote above the newest replica, and the source version of that; None if nothing."""
    replicas = {row.replica: vid for vid, row in rows.items() if row.replica is not None}
    ours = {one for row in rows.values() for one in row.ids()}
    above: list[str] = []
    for listed in sides.destination:
        if listed.version_id in replicas:
            return (replicas[listed.version_id], above) if above else None
        if listed.version_id not in ours:
            above.append(listed.version_id)
    return None


def unknown_objects(rows: Mapping[str, Row], destination: Sequence[ListedVersion]) -> list[str]:
    """Ids at the destination that no row knows: only a look at each tells whose they are."""
    known = {one for row in rows.values() for one in row.ids()}
    return [
        listed.version_id
        for listed in destination
        if listed.kind is Kind.OBJECT and listed.version_id not in known
    ]


def _as_it_is(rows: Mapping[str, Row], sides: Sides) -> dict[str, Row]:
    now = dict(rows)
    while isinstance(step := decide(now, sides, Wish()), Record):
        now |= step.rows
    return now
