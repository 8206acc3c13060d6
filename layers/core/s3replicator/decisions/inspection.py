"""What an operator is told about the versions of one key: the ledger's rows, and what they leave open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from s3replicator.decisions.configuration import Rule
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Head, OrderFacts, Row, Status, recency, sequencer_rank
from s3replicator.decisions.versions import Kind, ListedVersion


class State(StrEnum):
    """The statuses of the ledger, and what is true where it has no row."""

    FAILED = "FAILED"
    PENDING = "PENDING"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    SUPERSEDED = "SUPERSEDED"
    TOMBSTONE = "TOMBSTONE"
    #: The version is itself a replica, or may be one, and is not carried onward.
    REPLICA = "REPLICA"
    COMPLETED = "COMPLETED"
    #: No rule selects it.
    NONE = "NONE"


#: What a version is called that has several states, one per destination: the first of these it has. Where
#: Amazon S3 has a name for it, it is S3's: FAILED if one has failed, else PENDING if one is pending, and
#: COMPLETED only if all are that it should be at.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html
_WORST_FIRST: Final = tuple(State)

_LOST: Final = "removed at the destination by others; s3rctl settle --restore-lost copies it again"
_PURGED: Final = "deleted at the source, and its replica is still there"


@dataclass(frozen=True, slots=True)
class AtDestination:
    """One version at one destination. Times in seconds since the epoch, ``lag`` in seconds."""

    destination: str
    state: State
    rule: str | None = None
    reason: str | None = None
    detail: str | None = None
    replica: str | None = None
    #: Nothing proves whose the replica is.
    doubt: bool = False
    #: Others have removed the replica.
    lost: bool = False
    #: The key there, if it is another one.
    replica_key: str | None = None
    #: Somebody deleted the version at the source, and the rules replicate that.
    purged: bool = False
    lag: float | None = None
    attempts: int = 0
    due: float | None = None
    first_failure: float | None = None
    last_failure: float | None = None
    request_id: str | None = None
    completed: float | None = None

    @property
    def settled(self) -> bool:
        """Nothing is left to be done, by the functions or by an operator."""
        if self.state in (State.COMPLETED, State.TOMBSTONE):
            # What could not be put right about a replica, or could not be removed.
            return self.reason is None
        return self.state not in (State.FAILED, State.PENDING)


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
    """What the ledger knows of a key at one destination. ``kept_out`` are the versions that it knows to be
    kept out of it, where the place is another source key's."""

    head: Head | None
    rows: Mapping[str, Row]
    kept_out: Mapping[str, Row] = field(default_factory=dict)

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

    def of_another_key(self, destination: str, version_id: str, rule: Rule, head: Head) -> AtDestination:
        """The place is another source key's, as its ``head`` says."""
        row = self.kept_out.get(version_id)
        if row is not None:
            return _from_row(destination, row)
        if head.is_vacant(self.rows, 0):
            return awaited(destination, rule)
        return AtDestination(
            destination,
            State.FAILED,
            rule=rule.id,
            reason=Reason.KEY_CONFLICT,
            detail=f"the key at the destination belongs to {head.source}",
        )

    def known(self) -> Mapping[str, tuple[Kind, OrderFacts]]:
        """Of every version: its kind, and what orders it."""
        known = {version_id: (row.kind, row.order) for version_id, row in self.rows.items()}
        intent = self.head.intent if self.head else None
        if intent is not None:
            known.setdefault(intent.version_id, (intent.kind, intent.order))
        return known


def _from_row(destination: str, row: Row) -> AtDestination:
    lag = None
    if row.completed is not None and row.event_time is not None:
        lag = max(0.0, round(row.completed - row.event_time, 3))
    return AtDestination(
        destination,
        State(row.standing),
        rule=row.rule,
        reason=row.reason,
        detail=_detail(row),
        replica=row.replica,
        doubt=row.doubt,
        lost=row.lost,
        purged=row.purged,
        lag=lag,
        attempts=row.attempts,
        due=row.due,
        first_failure=row.first_failure,
        last_failure=row.last_failure,
        request_id=row.request_id,
        completed=row.completed,
    )


def _detail(row: Row) -> str | None:
    """What the row says, and what follows from it."""
    told = [row.detail]
    if row.lost and row.status is not Status.TOMBSTONE:
        told.append(_LOST)
    if row.purged and (row.live or row.blocked):
        told.append(_PURGED)
    return "; ".join(filter(None, told)) or None


def passed_over(destination: str, rule: Rule, why: str) -> AtDestination:
    return AtDestination(destination, State.REPLICA, rule=rule.id, reason=Reason.SRC_IS_REPLICA, detail=why)


def awaited(destination: str, rule: Rule) -> AtDestination:
    detail = "the rule selects it, and the ledger knows nothing of it: no event has been worked on yet"
    return AtDestination(destination, State.PENDING, rule=rule.id, detail=detail)


def with_unlisted(
    listed: Sequence[ListedVersion], histories: Iterable[History]
) -> list[tuple[ListedVersion, bool]]:
    """The source's list, newest first, and what only the ledger still knows put in where it stood.

    Each with whether the source lists it. The source's own order is never changed.
    """
    known: dict[str, tuple[Kind, OrderFacts]] = {}
    for history in histories:
        known |= history.known()
    orders = {version_id: order for version_id, (_, order) in known.items()}
    merged = [(version, True) for version in listed]
    at_source = {version.version_id for version in listed}
    gone = [version_id for version_id in known if version_id not in at_source]
    # Oldest first, so that each is put in front of the older ones.
    for version_id in sorted(gone, key=lambda gone_id: recency(orders[gone_id])):
        kind, order = known[version_id]
        behind = (i for i, (other, _) in enumerate(merged) if _is_newer(order, other, orders))
        merged.insert(
            next(behind, len(merged)), (ListedVersion(version_id, kind, order.last_modified), False)
        )
    return merged


def _is_newer(order: OrderFacts, other: ListedVersion, orders: Mapping[str, OrderFacts]) -> bool:
    """Times have steps of a second; within one, sequencers tell where the ledger has them."""
    if order.last_modified != other.last_modified:
        return order.last_modified > other.last_modified
    sequencer = orders[other.version_id].sequencer if other.version_id in orders else None
    if order.sequencer is None or sequencer is None:
        return False
    return sequencer_rank(order.sequencer) > sequencer_rank(sequencer)
