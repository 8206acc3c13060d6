"""The source bucket: reads only."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from s3replicator.adapters.s3_errors import failures_of, status_of, translate
from s3replicator.adapters.s3_listing import keep_order, versions_of
from s3replicator.adapters.s3_objects import source_marker, source_object
from s3replicator.decisions.failures import Call, NotEligible, Reason, RetryableError
from s3replicator.decisions.versions import ListedVersion, SourceMarker, SourceVersion, Tag, VersionRef


class S3Source:
    def __init__(self, client: Any) -> None:
        self._client = client
        keep_order(client)

    def head(self, ref: VersionRef) -> SourceVersion:
        with failures_of(Call.SRC_READ):
            try:
                answer = self._client.head_object(**_named(ref), ChecksumMode="ENABLED")
            except ClientError as error:
                marker = _marker_in(error, ref)
                if marker is None and status_of(error) in (400, 403, 404):
                    marker = self._explain(ref)
                if marker is None:
                    raise
                return marker
        return source_object(ref, answer)

    def tags(self, ref: VersionRef) -> frozenset[Tag]:
        with failures_of(Call.SRC_TAGS):
            answer = self._client.get_object_tagging(**_named(ref))
        return frozenset(Tag(tag["Key"], tag["Value"]) for tag in answer["TagSet"])

    def versions(self, bucket: str, key: str) -> Sequence[ListedVersion]:
        with failures_of(Call.SRC_LIST):
            return versions_of(self._client, bucket, key)

    def _explain(self, ref: VersionRef) -> SourceMarker:
        """A refused HEAD has no body: 404 may mean the key, the version or the bucket. A GET tells.

        Returns if it is a delete marker, which GET shows to those who may not HEAD it.
        """
        try:
            answer = self._client.get_object(**_named(ref), Range="bytes=0-0")
        except ClientError as error:
            marker = _marker_in(error, ref)
            if marker is not None:
                return marker
            code = error.response["Error"]["Code"]
            message = error.response["Error"].get("Message", "")
            if code == "InvalidRequest" and "Server Side Encryption" in message:
                raise NotEligible(
                    Reason.SRC_OBJECT_NOT_ELIGIBLE,
                    "the object is encrypted with a key of its owner's (SSE-C), which only the owner has",
                ) from error
            raise translate(Call.SRC_READ, error) from error
        answer["Body"].close()
        raise RetryableError(Reason.UNAVAILABLE, "HEAD was refused, GET of the same version was not")


def _named(ref: VersionRef) -> dict[str, str]:
    return {"Bucket": ref.bucket, "Key": ref.key, "VersionId": ref.version_id}


def _marker_in(error: ClientError, ref: VersionRef) -> SourceMarker | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if status_of(error) == 405 and headers.get("x-amz-delete-marker") == "true":
        return source_marker(ref, headers)
    return None
