"""Multipart uploads at a destination that nobody goes on with: invisible, and stored all the same.

Nothing tells whose an upload is, so it is told of and left; a lifecycle rule of the bucket aborts it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from s3replicator.decisions.drift import Drift
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.job_report import Task, TaskStatus
from s3replicator.decisions.ledger import LedgerKey, source_name
from s3replicator.decisions.versions import VersionRef
from s3replicator.ports import Ledger, OpenUpload
from s3replicator.usecases.placed_listing import PlacedLister

#: A large copy goes on for some hours at most. In seconds.
_ABANDONED: Final = 86400.0


def stray_uploads(
    ledger: Ledger, lister: PlacedLister, prefix: str, now: float, source_bucket: str
) -> Iterator[Task]:
    """A task for each upload of more than a day at a place that the ledger knows as this source key's, and
    that no row remembers. If they cannot be listed one task says so, and nothing else depends on it."""
    for upload in _listed(lister, prefix):
        if isinstance(upload, ReplicationError):
            yield Task(
                key=prefix,
                version=None,
                destination=lister.placement.bucket,
                status=TaskStatus.FAILED,
                reason=upload.reason,
                detail=f"open uploads cannot be listed: {upload.detail}",
                finding=Drift.STRAY_UPLOAD,
            )
            return
        place = lister.placement.place(upload.key)
        source = source_name(VersionRef(source_bucket, upload.key, ""))
        if now - upload.started > _ABANDONED and _is_stray(ledger, place, source, upload):
            begun = datetime.fromtimestamp(upload.started, UTC).isoformat(timespec="seconds")
            yield Task(
                key=upload.key,
                version=None,
                destination=place.destination,
                replica_key=place.other_than(upload.key),
                status=TaskStatus.SKIPPED,
                detail=f"the upload {upload.upload_id}, begun {begun}",
                finding=Drift.STRAY_UPLOAD,
            )


def _listed(lister: PlacedLister, prefix: str) -> Iterator[OpenUpload | ReplicationError]:
    try:
        yield from lister.uploads(prefix)
    except ReplicationError as failure:
        yield failure


def _is_stray(ledger: Ledger, place: LedgerKey, source: str, upload: OpenUpload) -> bool:
    head, rows = ledger.history(place)
    remembered = {row.upload.upload_id for row in rows.values() if row.upload is not None}
    return head is not None and head.is_of(source) and upload.upload_id not in remembered
