"""The source bucket: reads only.

A null version is asked for by the id that S3 knows, and called by the name that tells it from the one that
was, or will be, in its place.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import ClientError, ConnectionClosedError

from s3replicator.adapters.s3_answers import read_any_key
from s3replicator.adapters.s3_errors import failures_of, status_of, translate
from s3replicator.adapters.s3_listing import keep_order, versions_of
from s3replicator.adapters.s3_objects import (
    annotations_of,
    grants_of,
    payload_of,
    source_marker,
    source_object,
    tags_of,
)
from s3replicator.decisions.failures import (
    Call,
    NotEligible,
    Reason,
    RetryableError,
    SourceGone,
    may_be_about_key,
)
from s3replicator.decisions.versions import (
    NULL,
    Annotation,
    Grant,
    ListedVersion,
    SourceMarker,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
    id_for_s3,
    is_null,
    version_name,
)
from s3replicator.ports import InTime, unhurried

#: http.client reads a hundred.
_TOO_MANY_HEADERS: Final = (
    "its user metadata has more entries than can be read: an answer has at most 100 headers"
)


class S3Source:
    def __init__(self, client: Any) -> None:
        self._client = client
        keep_order(client)
        read_any_key(client)

    def head(self, ref: VersionRef) -> SourceVersion:
        found = self._head(ref)
        return _by_name(found) if is_null(ref.version_id) else found

    def _head(self, ref: VersionRef) -> SourceVersion:
        with failures_of(Call.SRC_READ):
            try:
                answer = self._client.head_object(**_named(ref), ChecksumMode="ENABLED")
            except ClientError as error:
                marker = _marker_in(error, ref)
                if marker is not None:
                    return marker
                if status_of(error) in (400, 403, 404):
                    return self._explain(ref)
                raise
            except ConnectionClosedError as error:
                if "headers" in str(error.kwargs.get("error")):
                    raise NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, _TOO_MANY_HEADERS) from error
                raise
        return source_object(ref, answer)

    def tags(self, ref: VersionRef) -> frozenset[Tag]:
        with failures_of(Call.SRC_TAGS):
            answer = self._client.get_object_tagging(**_named(ref))
        return tags_of(answer)

    def acl(self, ref: VersionRef) -> frozenset[Grant]:
        with failures_of(Call.SRC_ACL):
            answer = self._client.get_object_acl(**_named(ref))
        return grants_of(answer)

    def annotations(self, ref: VersionRef) -> Mapping[str, Annotation]:
        with failures_of(Call.SRC_ANNOTATIONS):
            return annotations_of(self._client, _named(ref))

    def annotation(self, ref: VersionRef, name: str) -> bytes | None:
        with failures_of(Call.SRC_ANNOTATIONS):
            return payload_of(self._client, _named(ref), name)

    def versions(
        self,
        bucket: str,
        key: str,
        in_time: InTime = unhurried,
        until: Collection[str] = (),
        above: str | None = None,
    ) -> Sequence[ListedVersion]:
        begin = None if above is None else id_for_s3(above)
        with failures_of(Call.SRC_LIST):
            listed = versions_of(self._client, {"Bucket": bucket}, key, in_time, until, above=begin)
        return [replace(version, version_id=_name_of(version)) for version in listed]

    def _explain(self, ref: VersionRef) -> SourceVersion:
        """A refused HEAD has no body: 404 may mean the key, the version or the bucket. A GET tells.

        Returns if it is a delete marker, which GET shows to those who may not HEAD it, or an object that can
        be looked at all the same.
        """
        try:
            answer = self._client.get_object(**_named(ref), Range="bytes=0-0")
        except ClientError as error:
            marker = _marker_in(error, ref)
            if marker is not None:
                return marker
            code = error.response["Error"]["Code"]
            message = error.response["Error"].get("Message") or ""
            if code == "InvalidRequest" and "Server Side Encryption" in message:
                raise NotEligible(
                    Reason.SRC_OBJECT_NOT_ELIGIBLE,
                    "the object is encrypted with a key of its owner's (SSE-C), which only the owner has",
                ) from error
            encrypted = self._without_its_key(ref) if may_be_about_key(code) else None
            if encrypted is None:
                raise translate(Call.SRC_READ, error) from error
            return encrypted
        answer["Body"].close()
        raise RetryableError(Reason.UNAVAILABLE, "HEAD was refused, GET of the same version was not")

    def _without_its_key(self, ref: VersionRef) -> SourceObject | None:
        """The object without its checksum, which S3 shows only to those who may use the object's KMS key.
        None if no KMS key encrypts it."""
        try:
            answer = self._client.head_object(**_named(ref))
        except ClientError:
            return None
        return source_object(ref, answer) if "SSEKMSKeyId" in answer else None


def _named(ref: VersionRef) -> dict[str, str]:
    return {"Bucket": ref.bucket, "Key": ref.key, "VersionId": id_for_s3(ref.version_id)}


def _by_name(found: SourceVersion) -> SourceVersion:
    """A null version under its name. Raises ``SourceGone`` if it is not the one that was asked for."""
    asked = found.ref.version_id
    etag = found.etag if isinstance(found, SourceObject) else ""
    name = version_name(NULL, found.last_modified, etag)
    if asked not in (NULL, name):
        raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, f"the version {asked} has been replaced by {name}")
    return replace(found, ref=replace(found.ref, version_id=name))


def _name_of(listed: ListedVersion) -> str:
    return version_name(listed.version_id, listed.last_modified, listed.etag)


def _marker_in(error: ClientError, ref: VersionRef) -> SourceMarker | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if status_of(error) == 405 and headers.get("x-amz-delete-marker") == "true":
        return source_marker(ref, headers)
    return None
