"""A destination bucket: copies, delete markers and uploads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from botocore.exceptions import ClientError

from s3replicator.adapters.s3_errors import failures_of, status_of
from s3replicator.adapters.s3_listing import keep_order, versions_of
from s3replicator.adapters.s3_objects import ALGORITHMS, checksum_of, metadata_of
from s3replicator.decisions.failures import Call, Reason, TerminalError
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import (
    Checksum,
    ListedVersion,
    Published,
    ReplicaHead,
    VersionRef,
)
from s3replicator.ports import CopiedPart

_RAW_HEADERS: Final[ContextVar[Mapping[str, str]]] = ContextVar("raw_headers")


class S3Destination:
    """``publisher`` sends each request once; ``client`` may repeat."""

    def __init__(self, bucket: str, client: Any, publisher: Any) -> None:
        self._bucket = bucket
        self._client = client
        self._publisher = publisher
        keep_order(client)
        for sender, operation in ((publisher, "CopyObject"), (client, "CreateMultipartUpload")):
            sender.meta.events.register(
                f"before-call.s3.{operation}", _add_raw_headers, unique_id=f"raw-{operation}"
            )

    # -- visible writes

    def copy(self, ref: VersionRef, key: str, request: ReplicaRequest) -> Published:
        with failures_of(Call.DST_COPY), _raw(request.raw_headers):
            answer = self._publisher.copy_object(
                Bucket=self._bucket, Key=key, CopySource=_source(ref), **request.arguments
            )
        result = answer["CopyObjectResult"]
        return self._published(answer, result["ETag"], checksum_of(result))

    def put_marker(self, key: str) -> Published:
        with failures_of(Call.DST_MARK):
            answer = self._publisher.delete_object(Bucket=self._bucket, Key=key)
        return self._published(answer, "", None)

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CopiedPart],
        algorithm: str | None,
        expected: Checksum | None,
    ) -> Published:
        arguments: dict[str, Any] = {}
        if expected is not None:
            arguments[f"Checksum{expected.algorithm}"] = expected.value
            arguments["ChecksumType"] = "FULL_OBJECT"
        with failures_of(Call.DST_COMPLETE):
            answer = self._publisher.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_completed(part, algorithm) for part in parts]},
                **arguments,
            )
        return self._published(answer, answer["ETag"], checksum_of(answer))

    def _published(self, answer: Mapping[str, Any], etag: str, checksum: Checksum | None) -> Published:
        version_id = answer.get("VersionId")
        if version_id in (None, "null"):
            raise TerminalError(
                Reason.DST_BUCKET_UNVERSIONED,
                f"versioning is not enabled on {self._bucket!r}: the write made no version",
                answer["ResponseMetadata"].get("RequestId"),
            )
        return Published(version_id, etag, answer.get("ServerSideEncryption"), checksum)

    # -- reads

    def versions(self, key: str) -> Sequence[ListedVersion]:
        with failures_of(Call.DST_LIST):
            return versions_of(self._client, self._bucket, key)

    def head(self, key: str, version_id: str) -> ReplicaHead | None:
        with failures_of(Call.DST_READ):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key, VersionId=version_id)
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
        return ReplicaHead(answer["ContentLength"], answer["ETag"], metadata_of(answer))

    # -- uploads

    def create_upload(self, key: str, request: ReplicaRequest) -> str:
        with failures_of(Call.DST_CREATE), _raw(request.raw_headers):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **request.arguments)
        return str(answer["UploadId"])

    def copy_part(self, ref: VersionRef, etag: str, key: str, upload_id: str, part: Part) -> CopiedPart:
        with failures_of(Call.DST_PART):
            answer = self._client.upload_part_copy(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=part.number,
                CopySource=_source(ref),
                CopySourceIfMatch=etag,
                CopySourceRange=part.range,
            )
        return _copied(part.number, answer["CopyPartResult"])

    def parts(self, key: str, upload_id: str) -> Mapping[int, CopiedPart] | None:
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=key, UploadId=upload_id
        )
        with failures_of(Call.DST_PARTS):
            try:
                listed = [part for page in pages for part in page.get("Parts", [])]
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchUpload":
                    return None
                raise
        return {part["PartNumber"]: _copied(part["PartNumber"], part) for part in listed}

    def abort(self, key: str, upload_id: str) -> None:
        with failures_of(Call.DST_ABORT):
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise


def _source(ref: VersionRef) -> dict[str, str]:
    return {"Bucket": ref.bucket, "Key": ref.key, "VersionId": ref.version_id}


def _copied(number: int, answer: Mapping[str, Any]) -> CopiedPart:
    values = (answer.get(f"Checksum{algorithm}") for algorithm in ALGORITHMS)
    return CopiedPart(number, answer["ETag"], next((value for value in values if value), None))


def _completed(part: CopiedPart, algorithm: str | None) -> dict[str, Any]:
    completed: dict[str, Any] = {"PartNumber": part.number, "ETag": part.etag}
    if algorithm and part.checksum:
        completed[f"Checksum{algorithm}"] = part.checksum
    return completed


@contextmanager
def _raw(headers: Mapping[str, str]) -> Iterator[None]:
    """Headers for the one request sent inside."""
    token = _RAW_HEADERS.set(headers)
    try:
        yield
    finally:
        _RAW_HEADERS.reset(token)


def _add_raw_headers(params: dict[str, Any], **_: Any) -> None:
    params["headers"].update(_RAW_HEADERS.get({}))
