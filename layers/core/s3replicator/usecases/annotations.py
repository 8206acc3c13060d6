"""The annotations of a replica: named payloads that are added to an object version, and taken away again.

``CopyObject`` takes them along; a copy part by part does not.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations.html
"""

from collections.abc import Callable
from dataclasses import dataclass

from s3replicator.decisions.versions import VersionRef
from s3replicator.ports import DestinationBucket, Parallel, Source


@dataclass(frozen=True, slots=True)
class Differing:
    """Names: what the replica lacks or has otherwise, and what it has too much."""

    missing: tuple[str, ...]
    surplus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """Those of one source version and of its replica, which is called ``key`` and ``replica``. ``fresh``: it
    has just been made, so it has none that the source has not."""

    parallel: Parallel
    source: Source
    ref: VersionRef
    bucket: DestinationBucket
    key: str
    replica: str
    fresh: bool = False

    def compare(self, check_time: Callable[[], None]) -> Differing | None:
        """None if there is no difference. ``check_time`` is called before each request for a payload, and
        raises what is to be raised when there is no time for another one. Raises ``SourceGone`` and
        ``ReplicaLost``."""
        wanted = self.source.annotations(self.ref)
        if self.fresh and not wanted:
            return None
        has = self.bucket.annotations(self.key, self.replica)

        def is_alike(name: str) -> bool:
            theirs, ours = wanted[name], has.get(name)
            if ours is None or ours.size != theirs.size:
                return False
            if ours.etag == theirs.etag:
                return True
            # With a KMS key an ETag says nothing about the content.
            check_time()
            return self._read(name) == self.bucket.annotation(self.key, self.replica, name)

        alike = self.parallel.map(is_alike, wanted)
        differing = Differing(
            missing=tuple(name for name, same in zip(wanted, alike, strict=True) if not same),
            surplus=tuple(has.keys() - wanted.keys()),
        )
        return differing if differing.missing or differing.surplus else None

    def _read(self, name: str) -> bytes | None:
        return self.source.annotation(self.ref, name)

    def put_right(self, differing: Differing, check_time: Callable[[], None]) -> None:
        """``check_time`` as above: there may be a thousand. What has been done is not done again the next
        time."""
        for name in differing.missing:
            check_time()
            payload = self._read(name)
            # Taken away meanwhile: of that, another event tells.
            if payload is not None:
                self.bucket.put_annotation(self.key, self.replica, name, payload)
        for name in differing.surplus:
            check_time()
            self.bucket.remove_annotation(self.key, self.replica, name)
