"""What an operator is told about the versions of one key: the ledger's rows, and what they leave open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from s3replicator.decisions.configuration import Rule
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Head, Row, Status, recency
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import Kind, ListedVersion, SourceObject


class State(StrEnum):
    """The statuses of the ledger, and what is true where it has no row."""

    FAILED = "FAILED"
    PENDING = "PENDING"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    SUPERSEDED = "SUPERSEDED"
    TOMBSTONE = "TOMBSTONE"
    COMPLETED = "COMPLETED"
    #: The version is itself a replica, which is not replicated onward.
    REPLICA = "REPLICA"
    #: No rule selects it.
    NONE = "NONE"


#: What a version is called that has several states, one per destination: the first of these it has.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html
_WORST_FIRST: Final = tuple(State)


@dataclass(frozen=True, slots=True)
class AtDestination:
    """One version at one destination. Times in seconds since the epoch, ``lag`` in seconds."""

    destination: str
    state: State
    rule: str | None = None
    reason: str | None = None
    detail: str | None = None
    replica: str | None = None
    #: The replica was recognised by its place, size and time only.
    doubt: bool = False
    lag: float | None = None
    attempts: int = 0
    due: float | None = None
    first_failure: float | None = None
    last_failure: float | None = None
    request_id: str | None = None
    completed: float | None = None


@dataclass(frozen=True, slots=True)
class VersionReport:
    """``size`` is None for a delete marker, and for a version the source no longer lists."""

    version_id: str
    kind: Kind
    last_modified: float
    size: int | None
    latest: bool
    listed: bool
    destinations: tuple[AtDestination, ...]

    @property
    def state(self) -> State:
        return aggregate(at.state for at in self.destinations)


def aggregate(states: Iterable[State]) -> State:
    """One failure makes it FAILED, else one that is pending PENDING; COMPLETED takes all of them."""
    found = set(states)
    return next((state for state in _WORST_FIRST if state in found), State.NONE)


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows of a key at one destination."""

    head: Head | None
    rows: Mapping[str, Row]

    def told(self, destination: str, version_id: str) -> AtDestination | None:
        """What the ledger says of a version; None if it says nothing."""
        row = self.rows.get(version_id)
        intent = self.head.intent if self.head else None
        announced = intent is not None and intent.version_id == version_id
        if row is not None and (row.status is Status.COMPLETED or not announced):
            return _from_row(destination, row)
        if announced:
            return AtDestination(
                destination,
                State.PENDING,
                rule=row.rule if row else None,
                detail="its replica has been announced in the ledger and not yet accounted for",
                attempts=row.attempts if row else 0,
            )
        return None

    def facts(self) -> Mapping[str, tuple[Kind, float, str]]:
        """Of every version: its kind, and what orders it roughly."""
        known = {version_id: (row.kind, *recency(row.order)) for version_id, row in self.rows.items()}
        intent = self.head.intent if self.head else None
        if intent is not None:
            known.setdefault(intent.version_id, (intent.kind, *recency(intent.order)))
        return known


def _from_row(destination: str, row: Row) -> AtDestination:
    lag = None
    if row.completed is not None and row.event_time is not None:
        lag = max(0.0, round(row.completed - row.event_time, 3))
    return AtDestination(
        destination,
        State(row.status),
        rule=row.rule,
        reason=row.reason,
        detail=row.detail,
        replica=row.replica,
        doubt=row.doubt,
        lag=lag,
        attempts=row.attempts,
        due=row.due,
        first_failure=row.first_failure,
        last_failure=row.last_failure,
        request_id=row.request_id,
        completed=row.completed,
    )


def of_another_key(destination: str, rule: Rule, owner: str) -> AtDestination:
    """The destination key belongs to another source key: what is parked has no row."""
    detail = f"the key at the destination belongs to {owner}"
    return AtDestination(destination, State.FAILED, rule=rule.id, reason=Reason.KEY_CONFLICT, detail=detail)


def awaited(destination: str, rule: Rule) -> AtDestination:
    detail = "the rule selects it, and the ledger knows nothing of it: no event has been worked on yet"
    return AtDestination(destination, State.PENDING, rule=rule.id, detail=detail)


def is_replica(version: SourceObject) -> bool:
    """True for a replica, ours or Amazon's. A user's copy of one lies elsewhere than its stamp says."""
    stamp = Stamp.read(version.metadata)
    here = place_of(version.ref.bucket, version.ref.key)
    return version.native_replica or (stamp is not None and stamp.place == here)


def with_unlisted(
    listed: Sequence[ListedVersion], histories: Iterable[History]
) -> list[tuple[ListedVersion, bool]]:
    """The source's list, newest first, and what only the ledger still knows put in by its time.

    Each with whether the source lists it. The source's own order is never changed.
    """
    at_source = {version.version_id for version in listed}
    gone: dict[str, tuple[Kind, float, str]] = {}
    for history in histories:
        gone |= {vid: facts for vid, facts in history.facts().items() if vid not in at_source}
    merged = [(version, True) for version in listed]
    # Oldest first, so that among those put at the same place the newest comes to stand in front.
    for version_id, (kind, modified, _) in sorted(gone.items(), key=lambda entry: entry[1][1:]):
        index = next((i for i, (version, _) in enumerate(merged) if version.last_modified <= modified), None)
        merged.insert(
            len(merged) if index is None else index, (ListedVersion(version_id, kind, modified), False)
        )
    return merged
