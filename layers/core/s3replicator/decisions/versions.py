"""What is known about the versions of one key, at the source and at a destination."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class SourceObject:
    """Everything ``HeadObject`` tells about an object version. Times in seconds since the epoch."""

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
    checksum: Checksum | None = None
    lock: Lock = Lock()
    #: Made by Amazon's own replication.
    native_replica: bool = False

    @property
    def multipart(self) -> bool:
        """True if the source itself came from a multipart upload, which S3 orders by its start."""
        return "-" in self.etag


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


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to a visible write at a destination."""

    version_id: str
    etag: str = ""
    encryption: str | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class ReplicaHead:
    """What ``HeadObject`` tells about a version at a destination."""

    size: int
    etag: str
    metadata: Mapping[str, str]
