"""Amazon S3 in memory, behind the ports ``Source`` and ``DestinationBucket``.

What it claims to do as S3 does is in conformance.py, and is held against other implementations there.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl

from s3replicator.decisions.failures import Call, ReplicationError, classify
from s3replicator.decisions.plan import MAX_PART, Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import (
    NULL,
    Annotation,
    Checksum,
    Grant,
    ListedVersion,
    Lock,
    Published,
    SourceMarker,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
    id_for_s3,
)
from s3replicator.ports import CopiedPart, InTime, unhurried
from tests.unit.protocol.memory_bucket import (
    Contents,
    MemoryBucket,
    Notify,
    Truth,
    Upload,
    UploadOrder,
    Version,
    checksum_of,
    etag_of,
)
from tests.unit.protocol.runtime import ManualClock

ENCRYPTION: Final = "AES256"

#: Versions in a page of a list.
PAGE: Final = 1000

#: Arguments of CopyObject and CreateMultipartUpload, and what HeadObject calls them.
#: Until when a bucket keeps its objects that locks each of them.
_FOR_EVER: Final = 4_000_000_000.0

_HEADERS: Final = {
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
    "WebsiteRedirectLocation": "website_redirect",
    "Expires": "expires",
}
_KNOWN: Final = {
    *_HEADERS,
    "ChecksumAlgorithm",
    "ChecksumType",
    "CopySourceIfMatch",
    "Metadata",
    "MetadataDirective",
    "ObjectLockLegalHoldStatus",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ServerSideEncryption",
    "StorageClass",
    "Tagging",
    "TaggingDirective",
}


_COPIED_MARKER: Final = (
    "The source of a copy request may not specifically refer to a delete marker by version id."
)


class ForeignVersionRemoved(BaseException):
    """The engine has deleted what it did not write. Not an ``Exception``: nobody shall handle it."""


@dataclass(frozen=True, slots=True)
class MemoryS3:
    """All buckets of the world, by name."""

    clock: ManualClock
    buckets: dict[str, MemoryBucket]

    @classmethod
    def with_buckets(
        cls,
        clock: ManualClock,
        *names: str,
        order: UploadOrder = UploadOrder.INITIATION,
        notify: Notify | None = None,
    ) -> "MemoryS3":
        """``notify`` is told of what happens in the first of them. ``order`` is that of all others: what
        a source does is AWS's."""
        places, [source, *others] = count(1), names
        buckets = {source: MemoryBucket(source, clock, places, notify=notify)}
        buckets |= {name: MemoryBucket(name, clock, places, order) for name in others}
        return cls(clock, buckets)

    def read(self, call: Call, ref: VersionRef) -> Version:
        """Raises what S3 answers if there is no such version, or not any more."""
        bucket = self.buckets.get(ref.bucket)
        if bucket is None:
            raise classify(call, "NoSuchBucket", 404, ref.bucket)
        version = bucket.find(ref.key, id_for_s3(ref.version_id))
        if version is None:
            raise classify(call, "NoSuchVersion", 404, ref.version_id)
        return version


class MemorySource:
    def __init__(self, s3: MemoryS3) -> None:
        self._s3 = s3

    def head(self, ref: VersionRef) -> SourceVersion:
        version = self._s3.read(Call.SRC_READ, ref)
        if ref.version_id not in (NULL, version.name):
            raise classify(Call.SRC_READ, "NoSuchVersion", 404, f"another version replaced {ref.version_id}")
        named = replace(ref, version_id=version.name)
        if version.contents is None:
            return SourceMarker(named, version.last_modified)
        return _source_object(named, version, version.contents)

    def tags(self, ref: VersionRef) -> frozenset[Tag]:
        return self._contents(Call.SRC_TAGS, ref).tags

    def acl(self, ref: VersionRef) -> frozenset[Grant]:
        return self._contents(Call.SRC_ACL, ref).grants

    def annotations(self, ref: VersionRef) -> Mapping[str, Annotation]:
        return _listed_annotations(self._contents(Call.SRC_ANNOTATIONS, ref))

    def annotation(self, ref: VersionRef, name: str) -> bytes | None:
        return self._contents(Call.SRC_ANNOTATIONS, ref).annotations.get(name)

    def versions(
        self,
        bucket: str,
        key: str,
        in_time: InTime = unhurried,
        until: Collection[str] = (),
        above: str | None = None,
    ) -> Sequence[ListedVersion]:
        return _in_pages(self._s3.buckets[bucket].pages(key, above, PAGE), in_time, until)

    def page(
        self, bucket: str, key: str, after: int | None, size: int
    ) -> tuple[list[ListedVersion], int | None]:
        return self._s3.buckets[bucket].page(key, after, size)

    def _contents(self, call: Call, ref: VersionRef) -> Contents:
        return _of_object(call, self._s3.read(call, ref))


class MemoryDestination:
    """``intended`` names the source version a marker is being written for, as far as anybody can know. What
    is written, is by ``role``."""

    def __init__(
        self,
        s3: MemoryS3,
        bucket: str,
        intended: Callable[[str], str | None] = lambda _key: None,
        role: str = "AWS:AROAEXAMPLEROLE:worker",
    ) -> None:
        self._s3 = s3
        self._bucket = s3.buckets[bucket]
        self._intended = intended
        self._role = role

    # -- visible writes

    def copy(self, ref: VersionRef, key: str, request: ReplicaRequest) -> Published:
        version, contents = self._copied(Call.DST_COPY, ref, request.arguments["CopySourceIfMatch"])
        if contents.size > MAX_PART:
            raise classify(Call.DST_COPY, "InvalidRequest", 400, "larger than 5 GiB")
        stored = _stored(request, contents)
        made = self._bucket.add(key, stored, truth=self._replica_of(ref, version))
        self._tell("ObjectCreated:Copy", key, made)
        return Published(made.version_id, made.etag, ENCRYPTION, stored.checksum)

    def put_marker(self, key: str) -> Published:
        made = self._bucket.add(key, None, truth=Truth(True, self._intended(key), self._role))
        self._tell("ObjectRemoved:DeleteMarkerCreated", key, made)
        return Published(made.version_id)

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CopiedPart],
        algorithm: str | None,
        expected: Checksum | None,
    ) -> Published:
        upload = self._upload(Call.DST_COMPLETE, key, upload_id)
        given = {part.number: part.etag for part in parts}
        if not given or any(upload.parts.get(number, ("",))[0] != etag for number, etag in given.items()):
            raise classify(Call.DST_COMPLETE, "InvalidPart", 400, repr(given))
        upload.parts = {number: part for number, part in upload.parts.items() if number in given}
        made = self._bucket.finish(upload_id)
        assert made.contents is not None
        checksum = checksum_of(algorithm, made.contents.body) if algorithm else None
        assert expected is None or expected == checksum, "the parts are not what was to be copied"
        self._bucket.change(key, made.version_id, checksum=checksum)
        self._tell("ObjectCreated:CompleteMultipartUpload", key, made)
        return Published(made.version_id, made.etag, ENCRYPTION, checksum)

    # -- reads

    def versions(
        self, key: str, in_time: InTime = unhurried, until: Collection[str] = ()
    ) -> Sequence[ListedVersion]:
        return _in_pages(self._bucket.pages(key, None, PAGE), in_time, until)

    def checksum(self, key: str, version_id: str) -> Checksum | None:
        version = self._bucket.find(key, version_id)
        return version.contents.checksum if version and version.contents else None

    def page(self, key: str, after: int | None, size: int) -> tuple[list[ListedVersion], int | None]:
        return self._bucket.page(key, after, size)

    def head(self, key: str, version_id: str) -> SourceObject | None:
        version = self._bucket.find(key, version_id)
        if version is None:
            return None
        contents = _of_object(Call.DST_READ, version)
        if self._bucket.locked:
            # What the bucket gives to each new object, and HEAD tells of.
            contents = replace(contents, lock=replace(contents.lock, mode="GOVERNANCE", until=_FOR_EVER))
        # S3 tells a checksum only if it is asked for.
        contents = replace(contents, checksum=None)
        return _source_object(VersionRef(self._bucket.name, key, version_id), version, contents)

    def tags(self, key: str, version_id: str) -> frozenset[Tag]:
        return self._contents(Call.DST_READ, key, version_id).tags

    def acl(self, key: str, version_id: str) -> frozenset[Grant]:
        return self._contents(Call.DST_READ, key, version_id).grants

    def annotations(self, key: str, version_id: str) -> Mapping[str, Annotation]:
        return _listed_annotations(self._contents(Call.DST_READ, key, version_id))

    def annotation(self, key: str, version_id: str, name: str) -> bytes | None:
        return self._contents(Call.DST_READ, key, version_id).annotations.get(name)

    # -- replicas changed and removed

    def remove(self, key: str, version_id: str) -> None:
        version = self._bucket.find(key, version_id)
        if version is None:
            return
        if not version.truth.ours or version.truth.writer != self._role:
            raise ForeignVersionRemoved(f"{version_id} of {key} at {self._bucket.name} is not ours")
        if version.contents is not None and (self._bucket.locked or self._is_locked(version.contents.lock)):
            message = "Access Denied because object protected by object lock."
            raise classify(Call.DST_REMOVE, "AccessDenied", 403, message)
        self._bucket.drop(key, version_id)
        self._tell("ObjectRemoved:Delete", key, version)

    def put_tags(self, key: str, version_id: str, tags: frozenset[Tag]) -> None:
        self._change("ObjectTagging:Put", Call.DST_TAG, key, version_id, tags=tags)

    def put_acl(self, key: str, version_id: str, grants: frozenset[Grant]) -> None:
        self._change("ObjectAcl:Put", Call.DST_ACL, key, version_id, grants=grants)

    def put_lock(self, key: str, version_id: str, lock: Lock) -> None:
        held = self._contents(Call.DST_RETENTION, key, version_id).lock
        given = {
            name: value for name in ("mode", "until", "legal_hold") if (value := getattr(lock, name, None))
        }
        lock = replace(held, **given)
        self._change("ObjectRetention:Put", Call.DST_RETENTION, key, version_id, lock=lock)

    def put_annotation(self, key: str, version_id: str, name: str, payload: bytes) -> None:
        has = self._contents(Call.DST_ANNOTATION, key, version_id).annotations
        annotations = {**has, name: payload}
        self._change("ObjectAnnotation:Put", Call.DST_ANNOTATION, key, version_id, annotations=annotations)

    def remove_annotation(self, key: str, version_id: str, name: str) -> None:
        has = self._contents(Call.DST_ANNOTATION, key, version_id).annotations
        left = {other: payload for other, payload in has.items() if other != name}
        self._change("ObjectAnnotation:Delete", Call.DST_ANNOTATION, key, version_id, annotations=left)

    def _change(self, event: str, call: Call, key: str, version_id: str, **changed: Any) -> None:
        self._contents(call, key, version_id)
        version = self._bucket.change(key, version_id, **changed)
        assert version is not None
        self._tell(event, key, version, ordered=False)

    def _tell(self, event: str, key: str, version: Version, *, ordered: bool = True) -> None:
        """Whoever has this bucket for a source hears of it."""
        self._bucket.tell(event, key, version, principal=self._role, ordered=ordered)

    # -- uploads

    def create_upload(self, key: str, request: ReplicaRequest) -> str:
        return self._bucket.start(key, _stored(request, Contents()))

    def copy_part(self, ref: VersionRef, etag: str, key: str, upload_id: str, part: Part) -> CopiedPart:
        upload = self._upload(Call.DST_PART, key, upload_id)
        version, contents = self._copied(Call.DST_PART, ref, etag)
        upload.truth = self._replica_of(ref, version)
        copied = CopiedPart(part.number, etag_of(f"{contents.body}/{part.range}"))
        upload.parts[part.number] = (copied.etag, (contents.body, part.first, part.last))
        return copied

    def parts(self, key: str, upload_id: str) -> Mapping[int, CopiedPart] | None:
        upload = self._bucket.uploads.get(upload_id)
        if upload is None or upload.key != key:
            return None
        return {number: CopiedPart(number, etag) for number, (etag, _) in upload.parts.items()}

    def abort(self, key: str, upload_id: str) -> None:
        if self.parts(key, upload_id) is not None:
            self._bucket.uploads.pop(upload_id)

    # -- what they have in common

    def _copied(self, call: Call, ref: VersionRef, etag: str) -> tuple[Version, Contents]:
        version = self._s3.read(call, ref)
        contents = _of_object(call, version)
        if version.etag != etag:
            raise classify(call, "PreconditionFailed", 412, "CopySourceIfMatch")
        return version, contents

    def _replica_of(self, ref: VersionRef, version: Version) -> Truth:
        """A replica made from a replica stands for the same source version."""
        if ref.bucket == self._bucket.name:
            return Truth(True, version.truth.source, self._role, version.truth.key)
        return Truth(True, version.name, self._role, ref.key)

    def _contents(self, call: Call, key: str, version_id: str) -> Contents:
        return _of_object(call, self._s3.read(call, VersionRef(self._bucket.name, key, version_id)))

    def _upload(self, call: Call, key: str, upload_id: str) -> Upload:
        """An upload is of its key: at another S3 knows none of that id."""
        upload = self._bucket.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise classify(call, "NoSuchUpload", 404, upload_id)
        return upload

    def _is_locked(self, lock: Lock) -> bool:
        return lock.legal_hold == "ON" or (lock.until is not None and lock.until > self._s3.clock.now())


def _in_pages(
    pages: Iterable[list[ListedVersion]], in_time: InTime, until: Collection[str]
) -> Sequence[ListedVersion]:
    missing, listed = set(until), list[ListedVersion]()
    for page in pages:
        if listed:
            if until and not missing:
                break
            in_time()
        listed += page
        missing -= {version.version_id for version in page}
    return listed


def _listed_annotations(contents: Contents) -> dict[str, Annotation]:
    return {
        name: Annotation(len(payload), etag_of(payload.decode()))
        for name, payload in contents.annotations.items()
    }


def _of_object(call: Call, version: Version) -> Contents:
    if version.contents is None:
        raise _not_an_object(call)
    return version.contents


def _not_an_object(call: Call) -> ReplicationError:
    if call in (Call.DST_COPY, Call.DST_PART):
        return classify(call, "InvalidRequest", 400, _COPIED_MARKER)
    return classify(call, "MethodNotAllowed", 405, "the version is a delete marker")


def _stored(request: ReplicaRequest, source: Contents) -> Contents:
    """What a request with these arguments makes of ``source``; for a new upload that is nothing yet."""
    told = {**request.arguments, **request.raw_headers}
    assert told.keys() <= _KNOWN, f"unknown to this model: {told.keys() - _KNOWN}"
    described = told.get("MetadataDirective") == "COPY"
    copies_tags = told.get("TaggingDirective") == "COPY"
    until = told.get("ObjectLockRetainUntilDate")
    algorithm = told.get("ChecksumAlgorithm")
    return Contents(
        body=source.body,
        size=source.size,
        metadata=source.metadata if described else dict(told.get("Metadata", {})),
        headers=source.headers if described else {name: told[name] for name in _HEADERS if name in told},
        annotations=source.annotations,
        tags=source.tags if copies_tags else frozenset(Tag(*t) for t in parse_qsl(told.get("Tagging", ""))),
        lock=Lock(
            told.get("ObjectLockMode"),
            until.timestamp() if until else None,
            told.get("ObjectLockLegalHoldStatus"),
        ),
        storage_class=told.get("StorageClass", "STANDARD"),
        checksum=checksum_of(algorithm, source.body) if algorithm else None,
    )


def _source_object(ref: VersionRef, version: Version, contents: Contents) -> SourceObject:
    return SourceObject(
        ref=ref,
        size=contents.size,
        etag=version.etag,
        last_modified=version.last_modified,
        metadata=contents.metadata,
        storage_class=contents.storage_class,
        encryption=ENCRYPTION,
        checksum=contents.checksum,
        lock=contents.lock,
        **{_HEADERS[name]: value for name, value in contents.headers.items()},  # type: ignore[arg-type]
    )
