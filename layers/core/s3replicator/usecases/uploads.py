"""Completing a multipart upload that has been prepared."""

from collections.abc import Mapping

from s3replicator.decisions.events import Upload
from s3replicator.decisions.replica import expected_upload_checksum
from s3replicator.decisions.versions import Published, SourceObject
from s3replicator.ports import CopiedPart, DestinationBucket
from s3replicator.usecases.work import Work


def complete_upload(
    bucket: DestinationBucket, work: Work, upload: Upload, parts: Mapping[int, CopiedPart]
) -> Published:
    """``parts`` are all of them, by number. Raises the failures of ``DestinationBucket.complete``."""
    source = work.source
    assert isinstance(source, SourceObject)
    return bucket.complete(
        work.change.key,
        upload.upload_id,
        [parts[number] for number in sorted(parts)],
        source.checksum.algorithm if source.checksum else None,
        expected_upload_checksum(source),
    )
