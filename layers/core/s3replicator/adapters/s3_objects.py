"""What HeadObject and the copy calls tell, as values.

Values of headers stay as the SDK tells them: text in which each character stands for a byte.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from s3replicator.decisions.versions import (
    Annotation,
    Checksum,
    Grant,
    Lock,
    SourceMarker,
    SourceObject,
    Tag,
    VersionRef,
)

ALGORITHMS: Final = (
    "CRC64NVME",
    "CRC32",
    "CRC32C",
    "SHA1",
    "SHA256",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)


def checksum_of(answer: Mapping[str, Any]) -> Checksum | None:
    for algorithm in ALGORITHMS:
        value = answer.get(f"Checksum{algorithm}")
        if value:
            # A composite checksum ends in the number of parts; older answers lack the type.
            kind = answer.get("ChecksumType") or ("COMPOSITE" if "-" in value else "FULL_OBJECT")
            return Checksum(algorithm, value, full_object=kind == "FULL_OBJECT")
    return None


def source_object(ref: VersionRef, answer: Mapping[str, Any]) -> SourceObject:
    return SourceObject(
        ref=ref,
        size=answer["ContentLength"],
        etag=answer["ETag"],
        last_modified=answer["LastModified"].timestamp(),
        content_type=answer.get("ContentType"),
        content_encoding=answer.get("ContentEncoding"),
        content_language=answer.get("ContentLanguage"),
        content_disposition=answer.get("ContentDisposition"),
        cache_control=answer.get("CacheControl"),
        # The SDK takes away what it cannot read as a time.
        expires=answer.get("ExpiresString"),
        website_redirect=answer.get("WebsiteRedirectLocation"),
        metadata=answer.get("Metadata", {}),
        missing_metadata=answer.get("MissingMeta", 0),
        storage_class=answer.get("StorageClass", "STANDARD"),
        archive_status=answer.get("ArchiveStatus"),
        restored='ongoing-request="false"' in answer.get("Restore", ""),
        encryption=answer.get("ServerSideEncryption"),
        kms_key=answer.get("SSEKMSKeyId"),
        bucket_key=answer.get("BucketKeyEnabled", False),
        checksum=checksum_of(answer),
        lock=_lock_in_force(answer),
        native_replica=answer.get("ReplicationStatus") == "REPLICA",
    )


def _lock_in_force(answer: Mapping[str, Any]) -> Lock:
    """S3 goes on showing a retention that has run out, and refuses it for a new object."""
    hold = answer.get("ObjectLockLegalHoldStatus")
    until = answer.get("ObjectLockRetainUntilDate")
    if until is None or until <= datetime.now(UTC):
        return Lock(legal_hold=hold)
    return Lock(answer.get("ObjectLockMode"), until.timestamp(), hold)


def source_marker(ref: VersionRef, headers: Mapping[str, str]) -> SourceMarker:
    """From the headers of the refusal S3 answers with when a delete marker is read (405)."""
    modified = headers.get("last-modified")
    return SourceMarker(ref, parsedate_to_datetime(modified).timestamp() if modified else 0.0)


def tags_of(answer: Mapping[str, Any]) -> frozenset[Tag]:
    return frozenset(Tag(tag["Key"], tag["Value"]) for tag in answer["TagSet"])


def grants_of(answer: Mapping[str, Any]) -> frozenset[Grant]:
    return frozenset(Grant(grant["Permission"], _grantee(grant["Grantee"])) for grant in answer["Grants"])


def _grantee(grantee: Mapping[str, str]) -> str:
    """As in a grant header. S3 answers with a user's id or a group's URI, whatever was given to it."""
    return f'uri="{grantee["URI"]}"' if "URI" in grantee else f'id="{grantee["ID"]}"'


def annotations_of(client: Any, named: Mapping[str, str]) -> dict[str, Annotation]:
    """What ``ListObjectAnnotations`` tells of one version, by name."""
    pages = client.get_paginator("list_object_annotations").paginate(**named)
    listed = (one for page in pages for one in page.get("Annotations", []))
    return {one["AnnotationName"]: Annotation(one["Size"], one.get("ETag", "")) for one in listed}


def payload_of(client: Any, named: Mapping[str, str], name: str) -> bytes | None:
    """None if the version has no annotation of this name."""
    try:
        answer = client.get_object_annotation(**named, AnnotationName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchAnnotation":
            return None
        raise
    payload: bytes = answer["AnnotationPayload"].read()
    return payload
