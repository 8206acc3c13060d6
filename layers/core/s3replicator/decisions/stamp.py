"""The stamp: what a replica says about itself in its user metadata.

It names the source version, the nonce of the publish that made the replica, and a digest of the place it
was written for: a user's copy of a replica carries the stamp along, but lies elsewhere. The stamp of a
replica that was carried onward also has a trace: the buckets its bytes came through.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions.versions import VersionRef

RESERVED: Final = "s3replicator-"
_SOURCE: Final = f"{RESERVED}source"
_VERSION: Final = f"{RESERVED}version"
_NONCE: Final = f"{RESERVED}nonce"
_PLACE: Final = f"{RESERVED}place"
_TRACE: Final = f"{RESERVED}trace"

#: S3's limit on the names and values of user metadata together, in bytes.
METADATA_LIMIT: Final = 2048

#: A trace has room for so many buckets.
MOST_TRACED: Final = 16

_DIGEST: Final = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """``trace`` are the digests of the buckets that it came through before ``source_bucket``."""

    source_bucket: str
    version_id: str
    nonce: str
    place: str
    trace: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, source: VersionRef, nonce: str, bucket: str, key: str, trace: frozenset[str] = frozenset()
    ) -> "Stamp":
        """``trace`` are the digests of the buckets that the source version itself came through."""
        former = trace - {bucket_digest(source.bucket)}
        return cls(source.bucket, source.version_id, nonce, place_of(bucket, key), former)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> "Stamp | None":
        try:
            bucket, version_id, nonce, place = (
                metadata[name] for name in (_SOURCE, _VERSION, _NONCE, _PLACE)
            )
        except KeyError:
            return None
        told = frozenset(_DIGEST.findall(metadata.get(_TRACE, "")))
        return cls(bucket, version_id, nonce, place, told - {bucket_digest(bucket)})

    @property
    def came_through(self) -> frozenset[str]:
        """The digests of all buckets it came through. Without a trace that is the one it was copied from."""
        return self.trace | {bucket_digest(self.source_bucket)}

    def names(self, bucket: str, key: str) -> bool:
        """Whether it was written for this place."""
        return self.place == place_of(bucket, key)

    def metadata(self) -> dict[str, str]:
        told = {
            _SOURCE: self.source_bucket,
            _VERSION: self.version_id,
            _NONCE: self.nonce,
            _PLACE: self.place,
        }
        # Most replicas have been nowhere else, and their metadata shall have all the room there is.
        return told | {_TRACE: ",".join(sorted(self.came_through))} if self.trace else told


def place_of(bucket: str, key: str) -> str:
    """A short digest of a place; the key itself could fill half of the room for metadata."""
    return hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()[:16]


def bucket_digest(bucket: str) -> str:
    return hashlib.sha256(bucket.encode()).hexdigest()[:16]


def without_stamp(metadata: Mapping[str, str]) -> dict[str, str]:
    """The user's own metadata: a stamp carried along from elsewhere says nothing about this object."""
    return {name: value for name, value in metadata.items() if not name.startswith(RESERVED)}


def has_room(metadata: Mapping[str, str], stamp: Stamp) -> bool:
    merged = {**metadata, **stamp.metadata()}
    used = sum(len(name.encode()) + len(value.encode()) for name, value in merged.items())
    return used <= METADATA_LIMIT
