"""A destination bucket: copies, delete markers and uploads, and what is changed on a replica later."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from s3replicator.adapters.owned_bucket import OwnedBucket, unknown
from s3replicator.adapters.s3_answers import read_any_key
from s3replicator.adapters.s3_errors import failures_of, status_of, told, translate
from s3replicator.adapters.s3_listing import keep_order, versions_of
from s3replicator.adapters.s3_objects import (
    ALGORITHMS,
    annotations_of,
    checksum_of,
    grants_of,
    payload_of,
    source_object,
    tags_of,
)
from s3replicator.decisions.failures import Call, Reason, ReplicaLost, ReplicationError, TerminalError
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import (
    Annotation,
    Checksum,
    Grant,
    ListedVersion,
    Lock,
    Published,
    SourceObject,
    Tag,
    VersionRef,
    id_for_s3,
)
from s3replicator.ports import CopiedPart, InTime, unhurried

_GRANT_HEADERS: Final = {
    "FULL_CONTROL": "GrantFullControl",
    "READ": "GrantRead",
    "READ_ACP": "GrantReadACP",
    "WRITE": "GrantWrite",
    "WRITE_ACP": "GrantWriteACP",
}

#: S3 takes 8 KB of headers, and an ACL may have a hundred grants.
_GRANTS_BY_HEADER: Final = 4096

_RAW_HEADERS: Final[ContextVar[Mapping[str, str]]] = ContextVar("raw_headers")


class S3Destination:
    """``publisher`` sends each request once; ``client`` may repeat. ``owner`` tells the account that has to
    own the bucket, if that is known."""

    def __init__(
        self, bucket: str, client: Any, publisher: Any, owner: Callable[[], str | None] = unknown
    ) -> None:
        self._bucket = OwnedBucket(bucket, owner)
        self._client = client
        self._publisher = publisher
        keep_order(client)
        for sender, operation in ((publisher, "CopyObject"), (client, "CreateMultipartUpload")):
            read_any_key(sender)
            events = sender.meta.events
            events.register(f"before-call.s3.{operation}", _sign_raw_headers, unique_id=f"sign-{operation}")
            events.register_first(
                f"before-send.s3.{operation}", _add_raw_headers, unique_id=f"raw-{operation}"
            )

    def _failures_of(self, call: Call) -> AbstractContextManager[None]:
        return failures_of(call, self._somebody_elses)

    def _somebody_elses(self, error: ClientError) -> TerminalError | None:
        """S3 says "access denied", too, where the bucket is not whose it has to be. A second look tells."""
        here = self._bucket.named()
        if status_of(error) != 403 or "ExpectedBucketOwner" not in here:
            return None
        if self._look(Bucket=self._bucket.name) != 200 or self._look(**here) != 403:
            return None
        return TerminalError(
            Reason.DST_OWNER_MISMATCH,
            f"{self._bucket.name!r} does not belong to {here['ExpectedBucketOwner']}, which a rule names as"
            " its Destination.Account",
            error.response["ResponseMetadata"].get("RequestId"),
        )

    def _look(self, **bucket: str) -> int:
        """The status S3 answers with when it is asked for the bucket."""
        try:
            self._client.head_bucket(**bucket)
        except ClientError as error:
            return status_of(error)
        return 200

    # -- visible writes

    def copy(self, ref: VersionRef, key: str, request: ReplicaRequest) -> Published:
        with self._failures_of(Call.DST_COPY), _raw(request.raw_headers):
            answer = self._publisher.copy_object(
                **self._bucket.named(), Key=key, CopySource=_source(ref), **request.arguments
            )
            result = answer.get("CopyObjectResult", {})
            etag = told(Call.DST_COPY, result, "ETag")
        return self._published(answer, etag, checksum_of(result))

    def put_marker(self, key: str) -> Published:
        with self._failures_of(Call.DST_MARK):
            answer = self._publisher.delete_object(**self._bucket.named(), Key=key)
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
        with self._failures_of(Call.DST_COMPLETE):
            answer = self._publisher.complete_multipart_upload(
                **self._bucket.named(),
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_completed(part, algorithm) for part in parts]},
                **arguments,
            )
            etag = told(Call.DST_COMPLETE, answer, "ETag")
        return self._published(answer, etag, checksum_of(answer))

    def _published(self, answer: Mapping[str, Any], etag: str, checksum: Checksum | None) -> Published:
        version_id = answer.get("VersionId")
        if version_id in (None, "null"):
            raise TerminalError(
                Reason.DST_BUCKET_UNVERSIONED,
                f"versioning is not enabled on {self._bucket.name!r}: the write made no version",
                answer["ResponseMetadata"].get("RequestId"),
            )
        return Published(version_id, etag, answer.get("ServerSideEncryption"), checksum)

    # -- reads

    def versions(
        self, key: str, in_time: InTime = unhurried, until: Collection[str] = ()
    ) -> Sequence[ListedVersion]:
        with self._failures_of(Call.DST_LIST):
            return versions_of(self._client, self._bucket.named(), key, in_time, until)

    def head(self, key: str, version_id: str) -> SourceObject | None:
        return self._head(key, version_id)

    def checksum(self, key: str, version_id: str) -> Checksum | None:
        found = self._head(key, version_id, ChecksumMode="ENABLED")
        return found.checksum if found else None

    def _head(self, key: str, version_id: str, **asked: str) -> SourceObject | None:
        with self._failures_of(Call.DST_READ):
            try:
                answer = self._client.head_object(**self._replica(key, version_id), **asked)
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
        return source_object(VersionRef(self._bucket.name, key, version_id), answer)

    def tags(self, key: str, version_id: str) -> frozenset[Tag]:
        with self._failures_of(Call.DST_READ):
            answer = self._client.get_object_tagging(**self._replica(key, version_id))
        return tags_of(answer)

    def acl(self, key: str, version_id: str) -> frozenset[Grant]:
        with self._failures_of(Call.DST_READ):
            answer = self._client.get_object_acl(**self._replica(key, version_id))
        return grants_of(answer)

    def annotations(self, key: str, version_id: str) -> Mapping[str, Annotation]:
        with self._failures_of(Call.DST_READ):
            return annotations_of(self._client, self._replica(key, version_id))

    def annotation(self, key: str, version_id: str, name: str) -> bytes | None:
        with self._failures_of(Call.DST_READ):
            return payload_of(self._client, self._replica(key, version_id), name)

    # -- changes of a replica that is there; each can be repeated

    def remove(self, key: str, version_id: str) -> None:
        with self._failures_of(Call.DST_REMOVE):
            try:
                self._client.delete_object(**self._replica(key, version_id))
            except ClientError as error:
                # Amazon's answer is the same whether the version was there or not; other stores tell.
                if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                    return
                not_ours = self._somebody_elses(error)
                if not_ours is not None:
                    raise not_ours from error
                failure = translate(Call.DST_REMOVE, error)
                denied = failure.reason is Reason.DST_DELETE_NOT_PERMITTED
                if denied and "not authorized" not in failure.detail and self._is_locked(key, version_id):
                    # A bare "Access Denied" does not tell a lock from a missing permission.
                    failure = TerminalError(Reason.DST_OBJECT_LOCKED, failure.detail, failure.request_id)
                raise failure from error

    def _is_locked(self, key: str, version_id: str) -> bool:
        try:
            replica = self.head(key, version_id)
        except ReplicationError:
            return False
        return replica is not None and (replica.lock.until is not None or replica.lock.legal_hold == "ON")

    def put_tags(self, key: str, version_id: str, tags: frozenset[Tag]) -> None:
        # An empty set removes them all, and needs no other permission.
        tag_set = [{"Key": tag.key, "Value": tag.value} for tag in sorted(tags)]
        with self._failures_of(Call.DST_TAG):
            self._client.put_object_tagging(**self._replica(key, version_id), Tagging={"TagSet": tag_set})

    def put_acl(self, key: str, version_id: str, grants: frozenset[Grant]) -> None:
        with self._failures_of(Call.DST_ACL):
            try:
                self._client.put_object_acl(
                    **self._replica(key, version_id), **self._acl(key, version_id, grants)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessControlListNotSupported":
                    raise

    def _acl(self, key: str, version_id: str, grants: frozenset[Grant]) -> dict[str, Any]:
        headers = _grant_headers(grants)
        if sum(map(len, headers.values())) <= _GRANTS_BY_HEADER:
            return headers
        listed = [{"Permission": grant.permission, "Grantee": _grantee(grant)} for grant in sorted(grants)]
        return {"AccessControlPolicy": {"Owner": self._owner_of(key, version_id), "Grants": listed}}

    def _owner_of(self, key: str, version_id: str) -> dict[str, str]:
        """A body has to name the owner, too. Who may list needs no permission for ACLs to know that."""
        for page in self._client.get_paginator("list_object_versions").paginate(
            **self._bucket.named(), Prefix=key
        ):
            for version in page.get("Versions", []):
                if (version["Key"], version["VersionId"]) == (key, version_id):
                    return {"ID": version["Owner"]["ID"]}
        raise ReplicaLost(Reason.REPLICA_LOST, f"there is no version {version_id} any more")

    def put_lock(self, key: str, version_id: str, lock: Lock) -> None:
        replica = self._replica(key, version_id)
        if lock.mode is not None and lock.until is not None:
            until = datetime.fromtimestamp(lock.until, UTC)
            retention = {"Mode": lock.mode, "RetainUntilDate": until}
            with self._failures_of(Call.DST_RETENTION):
                self._client.put_object_retention(**replica, Retention=retention)
        if lock.legal_hold is not None:
            with self._failures_of(Call.DST_LEGAL_HOLD):
                self._client.put_object_legal_hold(**replica, LegalHold={"Status": lock.legal_hold})

    def put_annotation(self, key: str, version_id: str, name: str, payload: bytes) -> None:
        replica = self._replica(key, version_id)
        with self._failures_of(Call.DST_ANNOTATION):
            self._client.put_object_annotation(**replica, AnnotationName=name, AnnotationPayload=payload)

    def remove_annotation(self, key: str, version_id: str, name: str) -> None:
        with self._failures_of(Call.DST_ANNOTATION):
            try:
                self._client.delete_object_annotation(**self._replica(key, version_id), AnnotationName=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchAnnotation":
                    raise

    def _replica(self, key: str, version_id: str) -> dict[str, str]:
        return {**self._bucket.named(), "Key": key, "VersionId": version_id}

    # -- uploads

    def create_upload(self, key: str, request: ReplicaRequest) -> str:
        with self._failures_of(Call.DST_CREATE), _raw(request.raw_headers):
            answer = self._client.create_multipart_upload(
                **self._bucket.named(), Key=key, **request.arguments
            )
            return str(told(Call.DST_CREATE, answer, "UploadId"))

    def copy_part(self, ref: VersionRef, etag: str, key: str, upload_id: str, part: Part) -> CopiedPart:
        with self._failures_of(Call.DST_PART):
            answer = self._client.upload_part_copy(
                **self._bucket.named(),
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
            **self._bucket.named(), Key=key, UploadId=upload_id
        )
        with self._failures_of(Call.DST_PARTS):
            try:
                listed = [part for page in pages for part in page.get("Parts", [])]
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchUpload":
                    return None
                raise
        return {part["PartNumber"]: _copied(part["PartNumber"], part) for part in listed}

    def abort(self, key: str, upload_id: str) -> None:
        with self._failures_of(Call.DST_ABORT):
            try:
                self._client.abort_multipart_upload(**self._bucket.named(), Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise


def _source(ref: VersionRef) -> dict[str, str]:
    return {"Bucket": ref.bucket, "Key": ref.key, "VersionId": id_for_s3(ref.version_id)}


def _grant_headers(grants: frozenset[Grant]) -> dict[str, str]:
    """The ACL that consists of these grants; headers cannot say that there is none, so the owner's stands
    for it, who has them anyway."""
    if not grants:
        return {"ACL": "private"}
    grantees = defaultdict(list)
    for grant in sorted(grants):
        grantees[_GRANT_HEADERS[grant.permission]].append(grant.grantee)
    return {header: ", ".join(named) for header, named in grantees.items()}


def _grantee(grant: Grant) -> dict[str, str]:
    kind, _, named = grant.grantee.partition("=")
    of_group = kind == "uri"
    return {"Type": "Group" if of_group else "CanonicalUser", kind.upper(): named.strip('"')}


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
    """Headers for the one request sent inside. Each character stands for a byte."""
    token = _RAW_HEADERS.set(headers)
    try:
        yield
    finally:
        _RAW_HEADERS.reset(token)


def _sign_raw_headers(params: dict[str, Any], **_: Any) -> None:
    """Those of Amazon's own have to be signed, and S3 takes each byte of a header for a character when it
    does. The others are not signed: the SDK does not know all of them as S3 does."""
    raw = _RAW_HEADERS.get({})
    params["headers"].update({name: raw[name] for name in raw if name.startswith("x-amz-")})


def _add_raw_headers(request: Any, **_: Any) -> None:
    """Byte by byte, when the request is signed: the SDK writes headers in UTF-8, and S3 reads bytes."""
    for name, value in _RAW_HEADERS.get({}).items():
        request.headers[name] = _bytes_of(value)


def _bytes_of(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        # Not from a header that came as bytes.
        return value.encode()
