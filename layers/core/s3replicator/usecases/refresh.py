"""What changes about a version after it was written: its tags, its ACL, its retention.

An event only says that something has changed: its row owes that to the replica until it has been given. The
source's state is read under the lease, so the last one to hold it is right.
"""

from dataclasses import dataclass, replace
from functools import partial

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import ReplicaLost, ReplicationError, SourceGone
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.replica import matches
from s3replicator.decisions.settling import removed_by_others
from s3replicator.decisions.versions import Lock, SourceObject, Tag, VersionRef
from s3replicator.ports import DestinationBucket
from s3replicator.usecases.endings import owing_nothing, stuck_row
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey


def pay(
    engine: Engine, leased: LeasedKey, version_id: str, configuration: Configuration
) -> ReplicationError | None:
    """Give a live replica what its row owes it, as the source has it now. What stands in the way, if anything
    does, is in the row, too: due, unless only an operator can help. Takes effect with the next write."""
    row = leased.row(version_id)
    assert row is not None
    failure: ReplicationError | None = None
    try:
        for change in sorted(row.owed):
            if change is not ChangeKind.ACL_CHANGED or _has_sources_acl(leased, row, configuration):
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


def _has_sources_acl(leased: LeasedKey, row: Row, configuration: Configuration) -> bool:
    """Not with owner override: then the ACL is the destination owner's affair.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-change-owner.html
    """
    rules = (rule for rule in leased.contending(configuration) if rule.id == row.rule)
    return not any(rule.destination.owner_override for rule in rules)


def _give(engine: Engine, leased: LeasedKey, version_id: str, row: Row, change: ChangeKind) -> None:
    ref = source_ref(leased.head.source, version_id)
    assert row.replica is not None
    if change is ChangeKind.TAGGED:
        leased.bucket.put_tags(leased.key.key, row.replica, engine.source.tags(ref))
    else:
        leased.bucket.put_acl(leased.key.key, row.replica, engine.source.acl(ref))


@dataclass(frozen=True, slots=True)
class Difference:
    """What a replica should have and has not; ``alike``: it has the size of its source."""

    tags: frozenset[Tag] | None = None
    lock: Lock | None = None
    alike: bool = True

    def __str__(self) -> str:
        lock = self.lock or Lock()
        said = {
            "tags": self.tags is not None,
            "retention": lock.until is not None,
            "legal hold": lock.legal_hold is not None,
            "size": not self.alike,
        }
        return ", ".join(name for name, differs in said.items() if differs)


def difference(engine: Engine, key: LedgerKey, ref: VersionRef, replica: str) -> Difference | None:
    """None if either is no object that can be compared. Raises ``SourceGone``."""
    bucket = engine.destination(key.destination)
    version, tags = engine.source.head(ref), engine.source.tags(ref)
    ours = bucket.head(key.key, replica)
    if ours is None or not isinstance(version, SourceObject):
        return None
    return Difference(
        tags=tags if bucket.tags(key.key, replica) != tags else None,
        lock=_lacking(version.lock, ours.lock),
        alike=matches(version, ours),
    )


def put_right(bucket: DestinationBucket, key: str, replica: str, found: Difference) -> list[ReplicationError]:
    """Give the replica what it lacks. What is refused is returned, and holds up nothing else."""
    steps = [] if found.tags is None else [partial(bucket.put_tags, key, replica, found.tags)]
    if found.lock is not None:
        parts = (replace(found.lock, legal_hold=None), Lock(legal_hold=found.lock.legal_hold))
        steps += [partial(bucket.put_lock, key, replica, part) for part in parts]
    failures: list[ReplicationError] = []
    for step in steps:
        try:
            step()
        except ReplicationError as failure:
            failures.append(failure)
    return failures


def _lacking(wanted: Lock, has: Lock) -> Lock | None:
    """What of the source's lock the replica has not. A lock that the source never had is the destination's
    own; a hold that is off is none, and a bucket without Object Lock cannot be told of it."""
    retained = wanted.until is None or (wanted.mode, wanted.until) == (has.mode, has.until)
    held = wanted.legal_hold is None or wanted.legal_hold == (has.legal_hold or "OFF")
    lacking = Lock(
        mode=None if retained else wanted.mode,
        until=None if retained else wanted.until,
        legal_hold=None if held else wanted.legal_hold,
    )
    return None if lacking == Lock() else lacking
