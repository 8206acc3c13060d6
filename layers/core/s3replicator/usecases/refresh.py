"""What changes about a version after it was written: its tags, its ACL, its retention.

An event only says that something has changed: its row owes that to the replica until it has been given. The
source's state is read under the lease, so the last one to hold it is right.
"""

from dataclasses import dataclass, replace

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import ReplicaLost, ReplicationError, SourceGone
from s3replicator.decisions.ledger import Row, source_ref
from s3replicator.decisions.replica import matches
from s3replicator.decisions.settling import removed_by_others
from s3replicator.decisions.versions import Lock, SourceObject, Tag, VersionRef
from s3replicator.ports import DestinationBucket
from s3replicator.usecases.endings import owing_nothing, stuck_row
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey


def pay(engine: Engine, leased: LeasedKey, version_id: str) -> ReplicationError | None:
    """Give a live replica what its row owes it, as the source has it now. What stands in the way, if anything
    does, is in the row, too: due, unless only an operator can help. Takes effect with the next write."""
    row = leased.row(version_id)
    assert row is not None
    failure: ReplicationError | None = None
    try:
        for change in sorted(row.owed):
            _give(engine, leased, version_id, row, change)
    except ReplicaLost as lost:
        failure, row = lost, removed_by_others(row)
    except SourceGone:
        row = owing_nothing(row)
    except ReplicationError as reason:
        failure, row = reason, stuck_row(engine, row, reason)
    else:
        row = owing_nothing(row)
    leased.set_row(version_id, row)
    return failure


def _give(engine: Engine, leased: LeasedKey, version_id: str, row: Row, change: ChangeKind) -> None:
    ref = source_ref(leased.head.source, version_id)
    assert row.replica is not None
    if change is ChangeKind.TAGGED:
        leased.bucket.put_tags(ref.key, row.replica, engine.source.tags(ref))
    else:
        leased.bucket.put_acl(ref.key, row.replica, engine.source.acl(ref))


@dataclass(frozen=True, slots=True)
class Difference:
    """What a replica should have and has not; ``alike``: it has the size of its source."""

    tags: frozenset[Tag] | None = None
    lock: Lock | None = None
    alike: bool = True

    def __str__(self) -> str:
        said = {"tags": self.tags is not None, "retention": self.lock is not None, "size": not self.alike}
        return ", ".join(name for name, differs in said.items() if differs)


def difference(engine: Engine, bucket: DestinationBucket, ref: VersionRef, replica: str) -> Difference | None:
    """None if either is no object that can be compared. Raises ``SourceGone``."""
    version, tags = engine.source.head(ref), engine.source.tags(ref)
    ours = bucket.head(ref.key, replica)
    if ours is None or not isinstance(version, SourceObject):
        return None
    wanted, has = _in_force(version.lock), _in_force(ours.lock)
    return Difference(
        tags=tags if bucket.tags(ref.key, replica) != tags else None,
        lock=wanted if wanted not in (has, Lock()) else None,
        alike=matches(version, ours),
    )


def put_right(bucket: DestinationBucket, key: str, replica: str, found: Difference) -> None:
    """Give the replica the source's tags and retention where they differ."""
    if found.tags is not None:
        bucket.put_tags(key, replica, found.tags)
    if found.lock is not None:
        bucket.put_lock(key, replica, found.lock)


def _in_force(lock: Lock) -> Lock:
    """A hold that is off is none; and what a bucket without Object Lock cannot be told."""
    return replace(lock, legal_hold=None) if lock.legal_hold == "OFF" else lock
