"""The stamp: what a replica says about itself in its user metadata.

It names the source version, the nonce of the publish that made the replica, and a digest of the place it
was written for: a user's copy of a replica carries the stamp along, but lies elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions.versions import SourceObject, VersionRef

RESERVED: Final = "s3replicator-"
_SOURCE: Final = f"{RESERVED}source"
_VERSION: Final = f"{RESERVED}version"
_NONCE: Final = f"{RESERVED}nonce"
_PLACE: Final = f"{RESERVED}place"

#: S3's limit on the names and values of user metadata together, in bytes.
METADATA_LIMIT: Final = 2048


@dataclass(frozen=True, slots=True)
class Stamp:
    source_bucket: str
    version_id: str
    nonce: str
    place: str

    @classmethod
    def of(cls, source: VersionRef, nonce: str, bucket: str, key: str) -> "Stamp":
        return cls(source.bucket, source.version_id, nonce, place_of(bucket, key))

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> "Stamp | None":
        try:
            return cls(*(metadata[name] for name in (_SOURCE, _VERSION, _NONCE, _PLACE)))
        except KeyError:
            return None

    def metadata(self) -> dict[str, str]:
        return {
            _SOURCE: self.source_bucket,
            _VERSION: self.version_id,
            _NONCE: self.nonce,
            _PLACE: self.place,
        }


def is_replica(version: SourceObject) -> bool:
    """True for a replica, ours or Amazon's. A user's copy of one lies elsewhere than its stamp says."""
    stamp = Stamp.read(version.metadata)
    here = place_of(version.ref.bucket, version.ref.key)
    return version.native_replica or (stamp is not None and stamp.place == here)


def place_of(bucket: str, key: str) -> str:
    """A short digest of a place; the key itself could fill half of the room for metadata."""
    return hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()[:16]


def without_stamp(metadata: Mapping[str, str]) -> dict[str, str]:
    """The user's own metadata: a stamp carried along from elsewhere says nothing about this object."""
    return {name: value for name, value in metadata.items() if not name.startswith(RESERVED)}


def has_room(metadata: Mapping[str, str], stamp: Stamp) -> bool:
    merged = {**metadata, **stamp.metadata()}
    used = sum(len(name.encode()) + len(value.encode()) for name, value in merged.items())
    return used <= METADATA_LIMIT
