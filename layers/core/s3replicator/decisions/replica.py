"""What a replica must look like: the arguments of the request that makes it, and how to verify it.

Every attribute is set explicitly, because the defaults of CopyObject and CreateMultipartUpload (storage
class, encryption, checksum, lock, redirect) differ from what replication means.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from s3replicator.decisions.configuration import Destination, Rule
from s3replicator.decisions.failures import NotEligible, Reason
from s3replicator.decisions.plan import is_large
from s3replicator.decisions.stamp import Stamp, has_room, without_stamp
from s3replicator.decisions.versions import (
    Checksum,
    Kind,
    ListedVersion,
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

_METADATA: Final = "x-amz-meta-"
_REDIRECT: Final = "x-amz-website-redirect-location"
#: The headers that a source's are sent again by, as the SDK calls them, and as HTTP does.
_HEADERS: Final[Mapping[str, str]] = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "Expires": "Expires",
    "WebsiteRedirectLocation": _REDIRECT,
}
#: The bytes that S3 takes as the header section of a request, without those that every request has: who
#: sends it (the token of a session alone has more than a thousand), and how the replica is to be stored.
_ROOM: Final = 8192 - 2560
#: Python reads an answer of a hundred headers at most; with a stamp a replica has four more than its source.
_MOST_ENTRIES: Final = 64
#: Tags come as a body, ten with 384 characters each; encoded for a header they can be ten times as long.
_TAGS_BY_HEADER: Final = 4096


@dataclass(frozen=True, slots=True)
class ReplicaRequest:
    """Arguments for CopyObject or CreateMultipartUpload, without the destination's bucket and key.

    ``raw_headers`` are sent as they stand, each character a byte: the SDK would reformat a date, and encode
    anew what is not ASCII. With ``owes_tags`` the tags have no room in the request, and are to be given to
    the replica when it is there.
    """

    arguments: Mapping[str, Any]
    raw_headers: Mapping[str, str]
    stamped: bool
    owes_tags: bool = False


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
    elif not _can_be_sent(source.website_redirect or ""):
        problem = (
            "its website redirect holds characters that no signed request can carry; no copy takes it along"
        )
    elif large:
        problem = _lost_by_parts(source)
    if problem:
        raise NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, problem)


def _lost_by_parts(source: SourceObject) -> str | None:
    """What a copy part by part would lose, as only its request carries it."""
    if source.missing_metadata:
        return (
            f"{source.missing_metadata} entries of user metadata cannot be read through the API, so a"
            " multipart copy would lose them"
        )
    if not _can_all_be_sent(source.metadata):
        return (
            "user metadata holds characters that no signed request can carry, so a multipart copy would lose"
            " them"
        )
    size = _size(_described(source, without_stamp(source.metadata)))
    if size > _ROOM:
        return (
            f"its headers and user metadata take {size} bytes of the 8 KB that S3 takes as the headers of a"
            " request, so a multipart copy would lose them"
        )
    return None


def bears_stamp(source: SourceObject, stamp: Stamp, *, by_parts: bool) -> bool:
    """Whether a replica of it will. Not without room for one, nor with metadata that S3 cannot show us or
    we cannot send: S3 itself copies that, and then nothing can be added."""
    metadata = without_stamp(source.metadata)
    if source.missing_metadata or len(metadata) > _MOST_ENTRIES:
        return False
    if not has_room(metadata, stamp) or not _can_all_be_sent(metadata):
        return False
    size = _size(_described(source, metadata | stamp.metadata()))
    if not by_parts:
        size += len(quote(f"{source.ref.bucket}/{source.ref.key}?versionId={source.ref.version_id}"))
    return size <= _ROOM


def copy_request(
    source: SourceObject, rule: Rule | None, stamp: Stamp, *, again: bool = False
) -> ReplicaRequest:
    """One CopyObject. Tags are copied by S3 itself, in the same request. ``again``: ``source`` is our own
    replica, which says itself how it is stored, but for whose it is."""
    stamped = bears_stamp(source, stamp, by_parts=False)
    request = _described(source, without_stamp(source.metadata) | stamp.metadata())
    arguments: dict[str, Any] = {
        **request.arguments,
        **_stored(source, rule, again=again),
        "TaggingDirective": "COPY",
        "CopySourceIfMatch": source.etag,
    }
    if source.checksum:
        arguments["ChecksumAlgorithm"] = source.checksum.algorithm
    if not stamped:
        # Metadata that must not be touched is copied by S3, headers included; a redirect never is.
        described = request.arguments.keys() - {"WebsiteRedirectLocation"}
        arguments = {name: value for name, value in arguments.items() if name not in described}
        arguments["MetadataDirective"] = "COPY"
        raw = {name: value for name, value in request.raw_headers.items() if name == _REDIRECT}
        return ReplicaRequest(arguments, raw, stamped=False)
    arguments["MetadataDirective"] = "REPLACE"
    return replace(request, arguments=arguments)


def upload_request(
    source: SourceObject, rule: Rule | None, stamp: Stamp, tags: Iterable[Tag], *, again: bool = False
) -> ReplicaRequest:
    """The CreateMultipartUpload of a large replica, its tags included where there is room; ``again`` as
    above. Raises ``NotEligible`` if nobody could give them to it later: the source may be gone."""
    metadata = without_stamp(source.metadata)
    stamped = bears_stamp(source, stamp, by_parts=True)
    request = _described(source, metadata | stamp.metadata() if stamped else metadata)
    arguments = {**request.arguments, **_stored(source, rule, again=again)}
    tagging = urlencode([(tag.key, tag.value) for tag in sorted(tags)])
    owes_tags = len(tagging) > min(_TAGS_BY_HEADER, _ROOM - _size(request))
    if owes_tags and again:
        problem = f"its tags take {len(tagging)} bytes as a header, and S3 takes 8 KB of all headers"
        raise NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, problem)
    if tagging and not owes_tags:
        arguments["Tagging"] = tagging
    if source.checksum:
        arguments["ChecksumAlgorithm"] = source.checksum.algorithm
        arguments["ChecksumType"] = "FULL_OBJECT" if _is_full_object_upload(source.checksum) else "COMPOSITE"
    return replace(request, arguments=arguments, stamped=stamped, owes_tags=owes_tags)


def _described(source: SourceObject, metadata: Mapping[str, str]) -> ReplicaRequest:
    """The headers, and this user metadata."""
    headers = {
        "CacheControl": source.cache_control,
        "ContentDisposition": source.content_disposition,
        "ContentEncoding": source.content_encoding,
        "ContentLanguage": source.content_language,
        "ContentType": source.content_type,
        "Expires": source.expires,
        "WebsiteRedirectLocation": source.website_redirect,
    }
    return _sent(headers, metadata)


def _sent(headers: Mapping[str, str | None], metadata: Mapping[str, str]) -> ReplicaRequest:
    """By the SDK what it sends as it is, all else byte by byte."""
    told = {name: value for name, value in headers.items() if value is not None}
    raw = {_HEADERS[name]: value for name, value in told.items() if name == "Expires" or not _is_plain(value)}
    arguments: dict[str, Any] = {name: value for name, value in told.items() if _HEADERS[name] not in raw}
    raw |= {_METADATA + name: value for name, value in metadata.items() if not value.isascii()}
    arguments["Metadata"] = {name: value for name, value in metadata.items() if value.isascii()}
    return ReplicaRequest(arguments, {name: value for name, value in raw.items() if value}, stamped=True)


def _is_plain(value: str) -> bool:
    return all(" " <= character <= "~" for character in value)


def _can_be_sent(value: str) -> bool:
    """Whether a header of Amazon's own can have this value. The SDK takes some bytes beyond ASCII for white
    space, and signs a single space for them."""
    return value.isascii() or value.split() == re.findall(r"[^ \t]+", value)


def _can_all_be_sent(metadata: Mapping[str, str]) -> bool:
    return all(map(_can_be_sent, metadata.values()))


def _size(request: ReplicaRequest) -> int:
    """Of its headers, in bytes. Most of them are named once more by the signature."""
    headers = {**request.arguments, **request.raw_headers}
    headers |= {_METADATA + name: value for name, value in headers.pop("Metadata").items()}
    return sum(
        2 * len(_HEADERS.get(name, name)) + len(value) + len(": \r\n;") for name, value in headers.items()
    )


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


def digest_of(version: SourceObject) -> str | None:
    """The ETag, where it tells about the bytes alone: not of an upload, nor where a KMS key is used."""
    return None if version.multipart or version.encryption in _KMS else version.etag


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


def is_listed_alike(listed: ListedVersion, replica: SourceObject) -> bool | None:
    """Whether a replica holds the bytes of a listed version, as far as the list tells, which says nothing of
    encryption; None if that does not decide."""
    if listed.kind is Kind.MARKER or listed.size != replica.size:
        return False
    return True if replica.encryption not in _KMS and replica.etag == listed.etag else None


def may_hold_the_same(replica: ListedVersion, size: int, digest: str | None) -> bool:
    """Whether an object of this size and ``digest_of`` can hold the bytes of a listed replica."""
    # Of what has just been written nobody has listed the ETag yet.
    comparable = digest is not None and replica.etag != "" and not replica.multipart
    return replica.size == size and (not comparable or digest == replica.etag)


def is_disproven(source: SourceObject, published: Published) -> bool:
    """True if the answer to a CopyObject shows that the replica holds other bytes."""
    ours, theirs = source.checksum, published.checksum
    if not (ours and theirs and ours.full_object and theirs.full_object):
        return False
    return ours.algorithm == theirs.algorithm and ours.value != theirs.value


def matches(source: SourceObject, replica: SourceObject) -> bool:
    """The comparison that is left when neither ETag nor checksum can be compared."""
    return replica.size == source.size
