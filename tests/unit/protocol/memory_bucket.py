"""A versioned bucket in memory, as Amazon S3 keeps one, with what its users do to it.

Versions have a place, newest first, that ids and times do not tell: ids are opaque, and LastModified has
steps of a second. Where an upload stands is a choice: at AWS it is placed and dated by when it was started.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from itertools import count, pairwise
from typing import Any, Final

from s3replicator.decisions.versions import (
    NULL,
    Checksum,
    Grant,
    Kind,
    ListedVersion,
    Lock,
    Tag,
    id_for_s3,
    version_name,
)
from tests.unit.protocol.records import record, sequencer
from tests.unit.protocol.runtime import ManualClock

#: As in a record's ``userIdentity``.
USER: Final = "AWS:AIDAEXAMPLEUSER"
LIFECYCLE: Final = "s3.amazonaws.com"


#: What an ACL says that nobody has changed.
OWNER: Final = Grant("FULL_CONTROL", 'id="owner"')


#: Takes a record, and the version it is about, which a record does not always name.
Notify = Callable[[dict[str, Any], "Version"], None]


class UploadOrder(StrEnum):
    """Where a completed upload stands among the versions of its key."""

    INITIATION = "initiation"
    COMPLETION = "completion"


@dataclass(frozen=True, slots=True)
class Truth:
    """Who wrote a version, and of which source version it is a replica. No request tells.

    ``ours``: a stack did, ``writer``, and the replicated version is ``source`` of ``key``. ``copied``: a user
    made it of this version, of the same key."""

    ours: bool = False
    source: str | None = None
    writer: str = ""
    key: str | None = None
    copied: str | None = None


FOREIGN: Final = Truth()


@dataclass(frozen=True, slots=True)
class Contents:
    """What an object holds. Equal ``body``, equal bytes; ``headers`` by their names in ``CopyObject``."""

    body: str = ""
    size: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[Tag] = frozenset()
    annotations: Mapping[str, bytes] = field(default_factory=dict)
    grants: frozenset[Grant] = frozenset({OWNER})
    lock: Lock = field(default_factory=Lock)
    storage_class: str = "STANDARD"
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """``contents`` is None for a delete marker; ``place`` grows with age's opposite: newer is higher."""

    version_id: str
    place: int
    last_modified: float
    contents: Contents | None
    etag: str = ""
    truth: Truth = FOREIGN

    @property
    def kind(self) -> Kind:
        return Kind.MARKER if self.contents is None else Kind.OBJECT

    @property
    def name(self) -> str:
        return version_name(self.version_id, self.last_modified, self.etag)


@dataclass(slots=True)
class Upload:
    """A multipart upload under way. ``parts`` maps number to ETag, and to the bytes: body, first, last."""

    key: str
    place: int
    started: float
    contents: Contents
    truth: Truth = FOREIGN
    parts: dict[int, tuple[str, tuple[str, int, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Key:
    """The versions of a key: oldest first, and by their ids."""

    in_order: list[Version] = field(default_factory=list)
    by_id: dict[str, Version] = field(default_factory=dict)

    def add(self, version: Version) -> None:
        insort(self.in_order, version, key=_place)
        self.by_id[version.version_id] = version

    def remove(self, version: Version) -> None:
        del self.in_order[self._index(version)]
        del self.by_id[version.version_id]

    def replace(self, version: Version, by: Version) -> None:
        self.in_order[self._index(version)] = by
        self.by_id[by.version_id] = by

    def older_than(self, version_id: str) -> int | None:
        """How many are; None if there is no such version."""
        version = self.by_id.get(version_id)
        return None if version is None else self._index(version)

    def _index(self, version: Version) -> int:
        return bisect_left(self.in_order, version.place, key=_place)


def _place(version: Version) -> int:
    return version.place


def _listed(version: Version, *, latest: bool) -> ListedVersion:
    contents = version.contents
    return ListedVersion(
        version.name,
        version.kind,
        version.last_modified,
        version.etag,
        contents.size if contents else 0,
        latest=latest,
        storage_class=contents.storage_class if contents else "STANDARD",
    )


class MemoryBucket:
    """``places`` is shared by all buckets, so that what happened first is known across them."""

    def __init__(
        self,
        name: str,
        clock: ManualClock,
        places: "count[int]",
        order: UploadOrder = UploadOrder.INITIATION,
        notify: Notify | None = None,
    ) -> None:
        self.name = name
        self.order = order
        #: Object Lock: no object can be removed.
        self.locked = False
        self.uploads: dict[str, Upload] = {}
        self._clock = clock
        self._places = places
        self._notify = notify
        self._suspended = False
        self._keys: dict[str, _Key] = {}

    # -- what is so

    def versions(self, key: str) -> list[Version]:
        """Newest first."""
        return self._key(key).in_order[::-1]

    def find(self, key: str, version_id: str) -> Version | None:
        return self._key(key).by_id.get(version_id)

    def listed(self, key: str) -> list[ListedVersion]:
        """Newest first."""
        return [one for page in self.pages(key, None, 1000) for one in page]

    def pages(self, key: str, above: str | None, size: int) -> Iterator[list[ListedVersion]]:
        """So many versions in each, newest first; with ``above`` those that come after it, or none if it is
        gone. Amazon S3 goes on in its place then, which is easier."""
        versions = self.versions(key)
        first = 0
        if above is not None:
            older = self._key(key).older_than(id_for_s3(above))
            first = len(versions) - (older or 0)
        for begin in range(first, len(versions), size):
            page = enumerate(versions[begin : begin + size], begin)
            yield [_listed(one, latest=index == 0) for index, one in page]

    def page(self, key: str, after: int | None, size: int) -> tuple[list[ListedVersion], int | None]:
        """So many versions, older than the place ``after``, and where the next page begins."""
        listed = self.listed(key)
        places = [one.place for one in self.versions(key)]
        first = next((n for n, place in enumerate(places) if after is None or place < after), len(places))
        last = first + size
        return listed[first:last], places[last - 1] if last < len(places) else None

    # -- writes

    def add(
        self,
        key: str,
        contents: Contents | None,
        *,
        truth: Truth = FOREIGN,
        etag: str | None = None,
        place: int | None = None,
        moment: float | None = None,
    ) -> Version:
        """A new version: on top, and of now, unless ``place`` and ``moment`` say otherwise."""
        number = next(self._places)
        if etag is None:
            etag = etag_of(contents.body) if contents else ""
        version = Version(
            version_id=NULL if self._suspended else _version_id(self.name, number),
            place=number if place is None else place,
            last_modified=float(int(self._clock.now() if moment is None else moment)),
            contents=contents,
            etag=etag,
            truth=truth,
        )
        versions = self._keys.setdefault(key, _Key())
        former = versions.by_id.get(version.version_id)
        if former is not None:
            # There is one null version, and whatever is written takes its place.
            versions.remove(former)
        versions.add(version)
        return version

    def change(self, key: str, version_id: str, **changed: Any) -> Version | None:
        """Change what can be changed of an object version: tags, grants, lock, annotations."""
        found = self.find(key, version_id)
        if found is None or found.contents is None:
            return None
        version = replace(found, contents=replace(found.contents, **changed))
        self._key(key).replace(found, version)
        return version

    def drop(self, key: str, version_id: str) -> Version | None:
        found = self.find(key, version_id)
        if found is not None:
            self._key(key).remove(found)
        return found

    def _key(self, key: str) -> _Key:
        return self._keys.get(key) or _Key()

    def start(self, key: str, contents: Contents, truth: Truth = FOREIGN) -> str:
        number = next(self._places)
        upload_id = f"upload-{number}"
        self.uploads[upload_id] = Upload(key, number, self._clock.now(), contents, truth)
        return upload_id

    def finish(self, upload_id: str) -> Version:
        upload = self.uploads.pop(upload_id)
        pieces = [piece for _, (_, piece) in sorted(upload.parts.items())]
        body, size = _joined(pieces)
        by_start = self.order is UploadOrder.INITIATION
        return self.add(
            upload.key,
            replace(upload.contents, body=body, size=size),
            truth=upload.truth,
            etag=f'{etag_of(body)[:-1]}-{len(pieces)}"',
            place=upload.place if by_start else None,
            moment=upload.started if by_start else None,
        )

    # -- what users do; answers are version ids

    def put(self, key: str, body: str, **attributes: Any) -> str:
        return self._created("Put", key, self.add(key, Contents(body=body, **attributes)))

    def begin(self, key: str, body: str, *, size: int = 2, **attributes: Any) -> str:
        """Start a multipart upload, and send its two parts; returns its id."""
        upload_id = self.start(key, Contents(size=size, **attributes))
        for number, (first, end) in enumerate(((0, size // 2), (size // 2, size)), start=1):
            self.uploads[upload_id].parts[number] = (f'"{number}"', (body, first, end - 1))
        return upload_id

    def end(self, upload_id: str) -> str:
        key = self.uploads[upload_id].key
        return self._created("CompleteMultipartUpload", key, self.finish(upload_id))

    def copy_in_place(self, key: str, version_id: str, **changed: Any) -> str:
        """A user's copy of a version onto its own key; user metadata comes along, ACL and lock do not."""
        copied = self.find(key, version_id)
        assert copied is not None
        assert copied.contents is not None
        contents = replace(copied.contents, grants=frozenset({OWNER}), lock=Lock(), **changed)
        made = self.add(key, contents, truth=Truth(copied=copied.version_id))
        return self._created("Copy", key, made)

    def mark(self, key: str) -> str:
        version = self.add(key, None)
        self.tell("ObjectRemoved:DeleteMarkerCreated", key, version)
        return version.version_id

    def purge(self, key: str, version_id: str, *, by: str = USER) -> None:
        version = self.drop(key, version_id)
        if version is not None:
            event = "LifecycleExpiration:Delete" if by == LIFECYCLE else "ObjectRemoved:Delete"
            self.tell(event, key, version, principal=by)

    def tag(self, key: str, version_id: str, tags: Iterable[Tag]) -> None:
        version = self.change(key, version_id, tags=frozenset(tags))
        if version is not None:
            self.tell("ObjectTagging:Put", key, version, ordered=False)

    def grant(self, key: str, version_id: str, grants: Iterable[Grant]) -> None:
        version = self.change(key, version_id, grants=frozenset(grants))
        if version is not None:
            self.tell("ObjectAcl:Put", key, version, ordered=False)

    def annotate(self, key: str, version_id: str, annotations: Mapping[str, bytes]) -> None:
        """Give it these annotations, and take the others away."""
        before = self.find(key, version_id)
        version = self.change(key, version_id, annotations=annotations)
        if before is None or before.contents is None or version is None:
            return
        for name, payload in annotations.items():
            if before.contents.annotations.get(name) != payload:
                self.tell("ObjectAnnotation:Put", key, version, ordered=False)
        for _ in before.contents.annotations.keys() - annotations.keys():
            self.tell("ObjectAnnotation:Delete", key, version, ordered=False)

    def retain(self, key: str, version_id: str, lock: Lock) -> None:
        version = self.change(key, version_id, lock=lock)
        if version is not None:
            self.tell("ObjectRetention:Put", key, version, ordered=False)

    def suspend(self) -> None:
        self._suspended = True

    def enable(self) -> None:
        self._suspended = False

    def _created(self, how: str, key: str, version: Version) -> str:
        self.tell(f"ObjectCreated:{how}", key, version)
        return version.version_id

    def hear(self, notify: Notify) -> None:
        """From now on tell this one of what happens, and no other."""
        self._notify = notify

    def tell(
        self, event: str, key: str, version: Version, *, principal: str = USER, ordered: bool = True
    ) -> None:
        if self._notify is None:
            return
        self._notify(
            record(
                event,
                self.name,
                key,
                version.version_id,
                at=self._clock.now(),
                principal=principal,
                sequencer=sequencer(next(self._places)) if ordered else None,
                etag=version.etag,
                size=version.contents.size if version.contents and ordered else None,
            ),
            version,
        )


@lru_cache(maxsize=4096)
def etag_of(body: str) -> str:
    return f'"{hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()}"'


@lru_cache(maxsize=4096)
def checksum_of(algorithm: str, body: str) -> Checksum:
    digest = hashlib.sha256(f"{algorithm}/{body}".encode()).hexdigest()
    return Checksum(algorithm, digest[:12], full_object=True)


def _version_id(bucket: str, number: int) -> str:
    """In no order, yet with a number for whoever reads a trace."""
    return f"{hashlib.sha256(f'{bucket}/{number}'.encode()).hexdigest()[:6]}.{bucket[:1]}{number}"


def _joined(pieces: Iterable[tuple[str, int, int]]) -> tuple[str, int]:
    """The bytes of all pieces: those of one body, if they follow each other from its beginning."""
    listed = list(pieces)
    bodies = {body for body, _, _ in listed}
    following = all(one[2] + 1 == other[1] for one, other in pairwise(listed))
    size = sum(last - first + 1 for _, first, last in listed)
    if len(bodies) == 1 and following and listed[0][1] == 0:
        return bodies.pop(), size
    return repr(listed), size
