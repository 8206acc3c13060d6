"""What changes about a version after it was written: its tags, its ACL, its retention.

The source's state is read under the lease, whatever the event said, so the last one to hold it is right.
"""

from dataclasses import replace

from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.replica import matches
from s3replicator.decisions.versions import Lock, SourceObject, VersionRef
from s3replicator.ports import DestinationBucket
from s3replicator.usecases.engine import Engine


def follow(engine: Engine, bucket: DestinationBucket, change: Change, replica: str) -> None:
    """Give the replica what the change is about, as the source has it now. Raises ``SourceGone``."""
    if change.kind is ChangeKind.TAGGED:
        bucket.put_tags(change.key, replica, engine.source.tags(change.ref))
    else:
        bucket.put_acl(change.key, replica, engine.source.acl(change.ref))


def compare(engine: Engine, bucket: DestinationBucket, ref: VersionRef, replica: str) -> bool:
    """Give the replica the source's tags and retention where they differ. Whether it has the size of its
    source."""
    version, tags = engine.source.head(ref), engine.source.tags(ref)
    ours = bucket.head(ref.key, replica)
    if ours is None or not isinstance(version, SourceObject):
        return False
    if bucket.tags(ref.key, replica) != tags:
        bucket.put_tags(ref.key, replica, tags)
    wanted, has = _in_force(version.lock), _in_force(ours.lock)
    if wanted not in (has, Lock()):
        bucket.put_lock(ref.key, replica, wanted)
    return matches(version, ours)


def _in_force(lock: Lock) -> Lock:
    """A hold that is off is none; and what a bucket without Object Lock cannot be told."""
    return replace(lock, legal_hold=None) if lock.legal_hold == "OFF" else lock
