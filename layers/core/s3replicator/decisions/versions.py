"""What is known about the versions of one key, at the source and at a destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

#: The id of what is written while versioning is not enabled. It is used again and again.
NULL: Final = "null"

#: Of the seconds in a name. Anybody may send a name; these are enough for some thousand years.
_MOST_DIGITS: Final = 11


class Kind(StrEnum):
    OBJECT = "object"
    MARKER = "marker"


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class VersionRef:
    """One source version, by name."""

    bucket: str
    key: str
    version_id: str


def version_name(version_id: str, last_modified: float, etag: str = "") -> str:
    """What a source version is called here: its id, and for a null version what tells it from the one
    that was, or will be, in its place. A delete marker has no ``etag``."""
    if version_id != NULL:
        return version_id
    content = etag.strip('"')
    return f"{NULL}@{int(last_modified)}-{content}" if content else f"{NULL}@{int(last_modified)}"


def is_null(version_name: str) -> bool:
    return version_name == NULL or version_name.startswith(f"{NULL}@")


def named_time(version_name: str) -> float | None:
    """When a null version was written, as its name says, in seconds since the epoch; None for any other, and
    for one that nobody has looked at."""
    _, _, named = version_name.partition(f"{NULL}@")
    seconds = named.partition("-")[0]
    return float(seconds) if seconds.isdecimal() and len(seconds) <= _MOST_DIGITS else None


def id_for_s3(version_name: str) -> str:
    """The version id that S3 knows it by."""
    return NULL if is_null(version_name) else version_name


def is_multipart(etag: str) -> bool:
    """Whether what has this ETag came from a multipart upload."""
    return "-" in etag


@dataclass(frozen=True, slots=True)
class Checksum:
    """An additional checksum: ``algorithm`` as in ``ChecksumAlgorithm``, ``value`` in base64."""

    algorithm: str
    value: str
    full_object: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """Object Lock settings, as ``HeadObject`` returns them; ``until`` in seconds since the epoch."""

    mode: str | None = None
    until: float | None = None
    legal_hold: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """An entry of an ACL: ``grantee`` as in a grant header, ``id="..."`` or ``uri="..."``."""

    permission: str
    grantee: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation of an object version, without its payload; ``size`` in bytes."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class SourceObject:
    """Everything ``HeadObject`` tells about an object version. Times in seconds since the epoch.

    ``encryption`` is the kind of server-side encryption; with ``aws:kms`` and ``aws:kms:dsse`` ``kms_key`` is
    the key's ARN, and ``bucket_key`` whether a Bucket Key stands between it and the object.
    """

    ref: VersionRef
    size: int
    etag: str
    last_modified: float
    content_type: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    website_redirect: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    missing_metadata: int = 0
    storage_class: str = "STANDARD"
    archive_status: str | None = None
    restored: bool = False
    encryption: str | None = None
    kms_key: str | None = None
    bucket_key: bool = False
    checksum: Checksum | None = None
    lock: Lock = Lock()
    #: Made by Amazon's own replication.
    native_replica: bool = False

    @property
    def multipart(self) -> bool:
        """True if the source itself came from a multipart upload, which S3 orders by its start."""
        return is_multipart(self.etag)


@dataclass(frozen=True, slots=True)
class SourceMarker:
    """A delete marker at the source."""

    ref: VersionRef
    last_modified: float
    multipart: bool = False


SourceVersion = SourceObject | SourceMarker


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A row of ``ListObjectVersions``."""

    version_id: str
    kind: Kind
    last_modified: float
    etag: str = ""
    size: int = 0
    latest: bool = False
    storage_class: str = "STANDARD"

    @property
    def multipart(self) -> bool:
        return is_multipart(self.etag)


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to a visible write at a destination."""

    version_id: str
    etag: str = ""
    encryption: str | None = None
    checksum: Checksum | None = None
