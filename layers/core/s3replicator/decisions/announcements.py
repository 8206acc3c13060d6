"""What is told of replication to whoever listens on the account's event bus: the four events of Amazon S3,
where a rule asks for them.

A rule with ``Metrics`` has failures told. One with ``ReplicationTime`` also has told what is not there 15
minutes after its event, once, and what has become of it then.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from s3replicator.decisions.configuration import Rule
from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.ledger import Row, source_ref
from s3replicator.decisions.versions import Kind, id_for_s3

#: Seconds from its event after which a version is late: the only time that ``ReplicationTime`` takes.
THRESHOLD: Final = 15 * 60.0


class Event(StrEnum):
    FAILED = "OperationFailedReplication"
    MISSED_THRESHOLD = "OperationMissedThreshold"
    REPLICATED_LATE = "OperationReplicatedAfterThreshold"
    NOT_TRACKED = "OperationNotTracked"


#: What Amazon documents of these is ``OBJECT_PUT``; the others are called in the same way.
_OPERATIONS: Final = {
    ChangeKind.CREATED: "OBJECT_PUT",
    ChangeKind.MARKED: "OBJECT_DELETE",
    ChangeKind.REMOVED: "OBJECT_VERSION_DELETE",
    ChangeKind.TAGGED: "OBJECT_PUT_TAGGING",
    ChangeKind.ACL_CHANGED: "OBJECT_PUT_ACL",
    ChangeKind.LOCK_CHANGED: "OBJECT_PUT_RETENTION",
    ChangeKind.ANNOTATED: "OBJECT_PUT_ANNOTATION",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event about one version at one destination; ``requested`` is when the version was written,
    ``replicated`` when its replica was, in seconds since the epoch."""

    event: Event
    key: str
    version_id: str
    destination: str
    rule: str | None
    operation: str
    requested: float
    reason: str | None = None
    replicated: float | None = None

    def detail(self, source_bucket: str, partition: str) -> dict[str, Any]:
        """The event's own part, its members called as in Amazon's notifications and events."""
        said = {
            "replicationRuleId": self.rule,
            "destinationBucket": f"arn:{partition}:s3:::{self.destination}",
            "s3Operation": self.operation,
            "requestTime": _iso(self.requested),
            "failureReason": self.reason,
            "threshold": None if self.event is Event.FAILED else int(THRESHOLD / 60),
            "replicationTime": None if self.replicated is None else _iso(self.replicated),
        }
        return {
            "version": "0",
            "bucket": {"name": source_bucket},
            "object": {"key": self.key, "version-id": id_for_s3(self.version_id)},
            "replicationEventData": {name: value for name, value in said.items() if value is not None},
        }


def threshold_of(change: Change, rule: Rule | None, kind: Kind) -> float | None:
    """When a version that has just been heard of becomes late, in seconds since the epoch; None if nobody
    wants to know. As with Amazon, jobs and delete markers have all the time there is."""
    from_s3 = change.kind is ChangeKind.CREATED and change.sequencer is not None
    if rule is None or not rule.destination.time_control or not from_s3 or kind is not Kind.OBJECT:
        return None
    return change.event_time + THRESHOLD


def of_replicated(change: Change, destination: str, row: Row) -> tuple[Announcement, ...]:
    """``row`` is that of the new replica."""
    late = row.threshold is not None and row.completed is not None and row.completed > row.threshold
    if not (late or row.missed):
        return ()
    told = _about(Event.REPLICATED_LATE, change, destination, row, replicated=row.completed)
    if row.missed:
        return (told,)
    # Nobody has known of it before: it waited in a queue.
    return (_about(Event.MISSED_THRESHOLD, change, destination, row), told)


def of_failed(change: Change, destination: str, rule: Rule | None, row: Row) -> tuple[Announcement, ...]:
    if rule is None or not (rule.destination.metrics or rule.destination.time_control):
        return ()
    return (_about(Event.FAILED, change, destination, row, reason=row.reason),)


def of_given_up(change: Change, destination: str, row: Row) -> tuple[Announcement, ...]:
    """A version that need not be replicated any more, or cannot be: whoever was told that it was late waits
    for it."""
    if not row.missed or change.kind is ChangeKind.SETTLE:
        return ()
    return (_about(Event.NOT_TRACKED, change, destination, row, reason=row.reason),)


def of_missed(source: str, version_id: str, destination: str, row: Row) -> Announcement:
    """A row that is still waiting."""
    ref = source_ref(source, version_id)
    return Announcement(
        Event.MISSED_THRESHOLD,
        key=ref.key,
        version_id=version_id,
        destination=destination,
        rule=row.rule,
        operation=_OPERATIONS[ChangeKind.CREATED],
        requested=row.event_time or row.order.last_modified,
    )


def of_late(change: Change, destination: str, rule: Rule | None) -> Announcement:
    """A version without a row: a large object, on whose parts somebody is at work."""
    return Announcement(
        Event.MISSED_THRESHOLD,
        key=change.key,
        version_id=change.version_id,
        destination=destination,
        rule=rule.id if rule else None,
        operation=_OPERATIONS[ChangeKind.CREATED],
        requested=change.event_time,
    )


def _about(
    event: Event,
    change: Change,
    destination: str,
    row: Row,
    *,
    reason: str | None = None,
    replicated: float | None = None,
) -> Announcement:
    return Announcement(
        event,
        key=change.key,
        version_id=change.version_id,
        destination=destination,
        rule=row.rule,
        operation=_OPERATIONS.get(change.kind, _OPERATIONS[ChangeKind.CREATED]),
        requested=change.event_time,
        reason=reason,
        replicated=replicated,
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
