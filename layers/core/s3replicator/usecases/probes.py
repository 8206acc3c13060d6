"""Changes that tell of a probe: another stack's check has written one into our source."""

from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.failures import ReplicationError, SourceGone
from s3replicator.decisions.probe import is_probe, is_written_by_a_check
from s3replicator.decisions.versions import Kind, SourceObject, VersionRef, id_for_s3
from s3replicator.ports import Source
from s3replicator.usecases.absence import confirmed


def is_of_a_probe(source: Source, change: Change) -> bool:
    """Whether nothing is to be done. The version is looked at only if its key is that of a probe. What cannot
    be looked at is a user's: it goes its way, on which the same failure is met and recorded."""
    if not is_probe(change.key) or change.destination is not None:
        return False
    try:
        if change.kind is ChangeKind.MARKED:
            return _hides_a_probe(source, change)
        if change.kind in (ChangeKind.REMOVED, ChangeKind.SETTLE):
            # The ledger knows nothing of probes, and whatever it knows is a user's.
            return False
        return _is_probe(source, change.ref)
    except ReplicationError:
        return False


def _is_probe(source: Source, ref: VersionRef) -> bool:
    try:
        version = source.head(ref)
    except SourceGone as gone:
        # A probe is there for seconds. What a user has deleted before its event came need not be copied.
        return isinstance(confirmed(source, ref, gone), SourceGone)
    return isinstance(version, SourceObject) and is_written_by_a_check(version)


def _hides_a_probe(source: Source, change: Change) -> bool:
    """Whether the delete marker is gone again, or lies above a probe."""
    listed = iter(source.versions(change.bucket, change.key))
    asked = id_for_s3(change.version_id)
    if not any(id_for_s3(version.version_id) == asked for version in listed):
        return True
    below = next((version for version in listed if version.kind is Kind.OBJECT), None)
    if below is None:
        return False
    return _is_probe(source, VersionRef(change.bucket, change.key, below.version_id))
