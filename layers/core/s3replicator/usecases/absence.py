"""Whether a version is gone: one answer is not enough.

S3 answers 404 for a version it has, if rarely; other stores do so more often. Whoever believes it closes the
version for good, so the source's list, made after that answer, has to agree.
"""

from collections.abc import Sequence

from s3replicator.decisions.failures import Reason, ReplicationError, RetryableError, SourceGone
from s3replicator.decisions.versions import NULL, ListedVersion, VersionRef, is_null
from s3replicator.ports import Source


def confirmed(source: Source, ref: VersionRef, failure: ReplicationError) -> ReplicationError:
    """The failure of a request for this version. If it says that the version is gone, the source is listed:
    what is listed is to be tried again, and so is what cannot be listed now."""
    if not isinstance(failure, SourceGone):
        return failure
    try:
        listed = source.versions(ref.bucket, ref.key, until=(ref.version_id,))
    except ReplicationError as unread:
        return unread
    return judged(listed, ref.version_id, failure)


def judged(listed: Sequence[ListedVersion], version_id: str, gone: SourceGone) -> ReplicationError:
    """The same where the list has been made already."""
    if not any(_is_meant(version, version_id) for version in listed):
        return gone
    detail = f"the source lists the version, and answers that it is not there: {gone.detail}"
    return RetryableError(Reason.SRC_VERSION_NOT_FOUND, detail, gone.request_id)


def _is_meant(listed: ListedVersion, version_id: str) -> bool:
    """A null version that nobody has looked at has no name of its own yet."""
    if version_id == NULL:
        return is_null(listed.version_id)
    return listed.version_id == version_id
