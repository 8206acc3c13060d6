"""Multipart uploads that have been prepared: completed, or given up."""

import contextlib
from collections.abc import Mapping

from s3replicator.decisions.events import Upload
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.ledger import LedgerKey, Row
from s3replicator.decisions.replica import expected_upload_checksum
from s3replicator.decisions.versions import Published, SourceObject
from s3replicator.ports import CopiedPart, DestinationBucket
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.work import Work


def complete_upload(
    bucket: DestinationBucket, work: Work, upload: Upload, parts: Mapping[int, CopiedPart]
) -> Published:
    """``parts`` are all of them, by number. Raises the failures of ``DestinationBucket.complete``."""
    source = work.source
    assert isinstance(source, SourceObject)
    return bucket.complete(
        work.key.key,
        upload.upload_id,
        [parts[number] for number in sorted(parts)],
        source.checksum.algorithm if source.checksum else None,
        expected_upload_checksum(source),
    )


def discard_upload(engine: Engine, work: Work, row: Row | None = None) -> None:
    """Abort the upload the change carries, if any: but for one that the ``row`` of its version remembers,
    which is used, or aborted, with the row; and one that its replica was made of."""
    upload = work.change.upload
    if upload is None:
        return
    if row is not None and (row.upload == upload or row.nonce == upload.nonce):
        return
    abort_upload(engine, work.key, upload)


def abort_upload(engine: Engine, key: LedgerKey, upload: Upload) -> None:
    """What cannot be aborted now is left to the bucket's lifecycle rule: it is invisible, and its version is
    settled."""
    bucket = engine.destinations.get(key.destination)
    if bucket is not None:
        with contextlib.suppress(ReplicationError):
            bucket.abort(key.key, upload.upload_id)
