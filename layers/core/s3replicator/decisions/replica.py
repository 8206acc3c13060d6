"""What a replica must look like: the arguments of the request that makes it, and how to verify it.

Every attribute is set explicitly, because the defaults of CopyObject and CreateMultipartUpload (storage
class, encryption, checksum, lock, redirect) differ from what replication means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from s3replicator.decisions.configuration import Destination, Rule
from s3replicator.decisions.failures import NotEligible, Reason
from s3replicator.decisions.plan import is_large
from s3replicator.decisions.stamp import Stamp, has_room, without_stamp
from s3replicator.decisions.versions import (
    Checksum,
    Published,
    SourceObject,
    Tag,
)

_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_SSE_KMS: Final = "aws:kms"
_KMS: Final = frozenset({_SSE_KMS, "aws:kms:dsse"})
#: A canned ACL. With it the owner of a bucket that prefers so owns what others write there; where the owner
#: always does, it is the only one that is accepted.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
_TO_BUCKET_OWNER: Final = "bucket-owner-full-control"
#: What S3 computes over a whole multipart object; of the others it knows only sums of the parts' sums.
_FULL_OBJECT_UPLOADS: Final = frozenset({"CRC32", "CRC32C", "CRC64NVME"})
_ONLY_FULL_OBJECT: Final = "CRC64NVME"


@dataclass(frozen=True, slots=True)
class ReplicaRequest:
    """Arguments for CopyObject or CreateMultipartUpload, without the destination's bucket and key.

    ``raw_headers`` are sent as they stand: the SDK would reformat a date, or refuse one that is none.
    """

    arguments: Mapping[str, Any]
    raw_headers: Mapping[str, str]
    stamped: bool


def check_eligible(source: SourceObject, rule: Rule | None, *, large: bool = False) -> None:
    """Raises ``NotEligible`` for what cannot be copied now, or only by losing something. Our own replica,
    copied again, needs no ``rule``."""
    problem = None
    archived = source.storage_class in _ARCHIVES or source.archive_status is not None
    if archived and not source.restored:
        place = source.archive_status or source.storage_class
        problem = f"the object is archived ({place}); restore it first"
    elif source.encryption in _KMS and rule is not None and not rule.kms:
        problem = (
            f"the object is encrypted with {source.encryption}, and rule {rule.id!r} does not opt in to that:"
            " it takes SourceSelectionCriteria.SseKmsEncryptedObjects.Status Enabled, and a key for replicas"
            " as Destination.EncryptionConfiguration.ReplicaKmsKeyID"
        )
    elif large and source.missing_metadata:
        problem = (
            f"{source.missing_metadata} entries of user metadata cannot be read through the API, so a"
            " multipart copy would lose them"
        )
    if problem:
        raise NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, problem)


def copy_request(
    source: SourceObject, rule: Rule | None, stamp: Stamp, *, again: bool = False
) -> ReplicaRequest:
    """One CopyObject. Tags are copied by S3 itself, in the same request. ``again``: ``source`` is our own
    replica, which says itself how it is stored, but for whose it is."""
    request = _described(source, stamp)
    arguments: dict[str, Any] = {
        **request.arguments,
        **_stored(source, rule, again=again),
        "TaggingDirective": "COPY",
        "CopySourceIfMatch": source.etag,
    }
    if source.checksum:
        arguments["ChecksumAlgorithm"] = source.checksum.algorithm
    if not request.stamped:
        # Metadata that must not be touched is copied by S3, headers included; a redirect never is.
        arguments = {name: value for name, value in arguments.items() if name not in request.arguments}
        arguments["MetadataDirective"] = "COPY"
        if source.website_redirect:
            arguments["WebsiteRedirectLocation"] = source.website_redirect
        return ReplicaRequest(arguments, {}, stamped=False)
    arguments["MetadataDirective"] = "REPLACE"
    return replace(request, arguments=arguments)


def upload_request(
    source: SourceObject, rule: Rule | None, stamp: Stamp, tags: Iterable[Tag], *, again: bool = False
) -> ReplicaRequest:
    """The CreateMultipartUpload of a large replica, its tags included; ``again`` as above."""
    request = _described(source, stamp)
    arguments = {**request.arguments, **_stored(source, rule, again=again)}
    tagging = urlencode([(tag.key, tag.value) for tag in sorted(tags)])
    if tagging:
        arguments["Tagging"] = tagging
    if source.checksum:
        arguments["ChecksumAlgorithm"] = source.checksum.algorithm
        arguments["ChecksumType"] = "FULL_OBJECT" if _is_full_object_upload(source.checksum) else "COMPOSITE"
    return replace(request, arguments=arguments)


def _described(source: SourceObject, stamp: Stamp) -> ReplicaRequest:
    """The headers and user metadata. Without room for a stamp, or with metadata S3 cannot show us, none
    is written."""
    metadata = without_stamp(source.metadata)
    stamped = has_room(metadata, stamp) and not source.missing_metadata
    if stamped:
        metadata |= stamp.metadata()
    described = {
        "CacheControl": source.cache_control,
        "ContentDisposition": source.content_disposition,
        "ContentEncoding": source.content_encoding,
        "ContentLanguage": source.content_language,
        "ContentType": source.content_type,
        "WebsiteRedirectLocation": source.website_redirect,
        "Metadata": metadata,
    }
    arguments = {name: value for name, value in described.items() if value is not None}
    return ReplicaRequest(arguments, {"Expires": source.expires} if source.expires else {}, stamped=stamped)


def stored_as(
    destination: Destination, encryption: str | None, *, bucket_key: bool = False
) -> dict[str, Any]:
    """What a destination asks of an object that is encrypted at the source in this way, with a Bucket Key or
    without: arguments for CopyObject, CreateMultipartUpload and PutObject."""
    stored = _encrypted(encryption, destination.kms_key, bucket_key=bucket_key)
    if destination.storage_class:
        stored["StorageClass"] = destination.storage_class
    return stored | _owned(destination)


def _owned(destination: Destination) -> dict[str, Any]:
    return {"ACL": _TO_BUCKET_OWNER} if destination.owner_override else {}


def _stored(source: SourceObject, rule: Rule | None, *, again: bool) -> dict[str, Any]:
    stored: dict[str, Any] = {"StorageClass": source.storage_class}
    if rule is not None and not again:
        stored |= stored_as(rule.destination, source.encryption, bucket_key=source.bucket_key)
    else:
        stored |= _encrypted(source.encryption, source.kms_key, bucket_key=source.bucket_key)
        stored |= _owned(rule.destination) if rule else {}
    if source.lock.mode and source.lock.until:
        stored["ObjectLockMode"] = source.lock.mode
        stored["ObjectLockRetainUntilDate"] = datetime.fromtimestamp(source.lock.until, UTC)
    if source.lock.legal_hold == "ON":
        stored["ObjectLockLegalHoldStatus"] = "ON"
    return stored


def _encrypted(encryption: str | None, kms_key: str | None, *, bucket_key: bool) -> dict[str, Any]:
    """In the same way as the source; if that is by KMS, with this key."""
    if not encryption:
        return {}
    encrypted: dict[str, Any] = {"ServerSideEncryption": encryption}
    if encryption in _KMS and kms_key:
        encrypted["SSEKMSKeyId"] = kms_key
    if encryption == _SSE_KMS:
        # Two layers of encryption know no Bucket Keys.
        encrypted["BucketKeyEnabled"] = bucket_key
    return encrypted


def _is_full_object_upload(checksum: Checksum) -> bool:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html"""
    if checksum.algorithm == _ONLY_FULL_OBJECT:
        return True
    return checksum.full_object and checksum.algorithm in _FULL_OBJECT_UPLOADS


def expected_upload_checksum(source: SourceObject) -> Checksum | None:
    """The checksum S3 itself shall hold the completed upload against, where the two are comparable."""
    checksum = source.checksum
    if checksum and checksum.full_object and _is_full_object_upload(checksum):
        return checksum
    return None


def foretold_etag(source: SourceObject) -> str | None:
    """The ETag that a single copy of it will have; None if that cannot be told: an upload, or what is copied
    part by part, or what is not encrypted as its replica certainly will be."""
    is_plain = source.encryption == "AES256" and not source.multipart and not is_large(source.size)
    return source.etag if is_plain else None


def is_proven(source: SourceObject, published: Published) -> bool:
    """True if the answer to a CopyObject shows that the replica holds the source's bytes.

    A checksum is one of the bytes, however they are encrypted. An ETag is only where no KMS key is used.
    """
    ours, theirs = source.checksum, published.checksum
    if ours and theirs and ours.full_object and theirs.full_object:
        return ours == theirs
    plain_md5 = "-" not in source.etag and source.encryption not in _KMS
    same_encryption = published.encryption == source.encryption
    return plain_md5 and same_encryption and source.etag == published.etag


def has_same_content(one: SourceObject, other: SourceObject) -> bool | None:
    """Whether two objects hold the same bytes, by what S3 says of them; None if that cannot be compared."""
    ours, theirs = one.checksum, other.checksum
    if ours and theirs and ours.full_object and theirs.full_object and ours.algorithm == theirs.algorithm:
        return ours.value == theirs.value
    if one.size != other.size:
        return False
    if one.encryption in _KMS or other.encryption in _KMS:
        return None
    # That of an upload depends on its parts: the same content may have another one.
    return True if one.etag == other.etag else None if one.multipart or other.multipart else False


def is_disproven(source: SourceObject, published: Published) -> bool:
    """True if the answer to a CopyObject shows that the replica holds other bytes."""
    ours, theirs = source.checksum, published.checksum
    if not (ours and theirs and ours.full_object and theirs.full_object):
        return False
    return ours.algorithm == theirs.algorithm and ours.value != theirs.value


def matches(source: SourceObject, replica: SourceObject) -> bool:
    """The comparison that is left when neither ETag nor checksum can be compared."""
    return replica.size == source.size
