"""What changes about a version after it was written: its tags, its ACL, its retention.

The source's state is read under the lease, whatever the event said, so the last one to hold it is right.
"""

from s3replicator.decisions.events import Change, ChangeKind
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
    """Give the replica the source's tags and retention where they differ; whether they did."""
    version, tags = engine.source.head(ref), engine.source.tags(ref)
    ours = bucket.head(ref.key, replica)
    if ours is None or not isinstance(version, SourceObject):
        return False
    differs = bucket.tags(ref.key, replica) != tags
    if differs:
        bucket.put_tags(ref.key, replica, tags)
    if version.lock not in (ours.lock, Lock()):
        bucket.put_lock(ref.key, replica, version.lock)
        differs = True
    return differs
