"""What the use cases need from the world. Adapters provide it; tests provide it in memory.

Every method may raise the failures of ``decisions.failures``, already classified.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from s3replicator.decisions.breaker import Breaker
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, Row
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import (
    Annotation,
    Checksum,
    Grant,
    ListedVersion,
    Lock,
    Published,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
)

T = TypeVar("T")
R = TypeVar("R")


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None: ...


#: Called before another page is asked for. What it raises ends the reading: there is no time for more.
InTime = Callable[[], object]


def unhurried() -> None:
    """There is time for every page."""


class Dice(Protocol):
    """Randomness: tests need to repeat it."""

    def random(self) -> float:
        """In [0, 1)."""
        ...

    def token(self) -> str:
        """A new name that has never been used."""
        ...


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the listing of a bucket: just after this version of this key, or, without a version, after
    all versions of the key."""

    key: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a bucket's listing in S3's order: keys ascending by their UTF-8 bytes, and of each key the
    versions newest first. ``after`` is where the next page begins; None if this is the last."""

    versions: Sequence[tuple[str, ListedVersion]]
    after: Position | None


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload, neither completed nor aborted; ``started`` in seconds since the epoch."""

    key: str
    upload_id: str
    started: float


class Lister(Protocol):
    """Lists one whole bucket, versions and delete markers."""

    def page(self, prefix: str, after: Position | None, most: int = 1000) -> Page:
        """``after`` need not be a key that exists. ``most`` is from 1 to 1000."""
        ...


class UploadLister(Lister, Protocol):
    """Lists what is under way in it, too."""

    def uploads(self, prefix: str) -> Iterable[OpenUpload]: ...


class JobStore(Protocol):
    """What a job keeps: small documents, by name, each written whole."""

    def claim(self, name: str, now: float, until: float) -> str | None:
        """Have ``name`` for oneself until then, or until it is released; None if another has it. Times in
        seconds since the epoch. Returns what ``release`` needs."""
        ...

    def release(self, name: str, claim: str) -> None: ...

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, body: bytes) -> None: ...

    def names(self, prefix: str) -> Iterable[str]:
        """In ascending order."""
        ...


class Source(Protocol):
    def head(self, ref: VersionRef) -> SourceVersion:
        """Raises ``SourceGone``, ``NotEligible``."""
        ...

    def tags(self, ref: VersionRef) -> frozenset[Tag]: ...

    def acl(self, ref: VersionRef) -> frozenset[Grant]: ...

    def annotations(self, ref: VersionRef) -> Mapping[str, Annotation]:
        """By name."""
        ...

    def annotation(self, ref: VersionRef, name: str) -> bytes | None:
        """Its payload, at most 1 MiB; None if there is no such annotation any more."""
        ...

    def versions(
        self,
        bucket: str,
        key: str,
        in_time: InTime = unhurried,
        until: Collection[str] = (),
        above: str | None = None,
    ) -> Sequence[ListedVersion]:
        """All versions and delete markers of exactly this key, newest first; if ``until`` names some, those
        below the page that tells of the last of them may be missing. With ``above`` only those below that
        version; should it be gone, those below some other place, or none."""
        ...


@dataclass(frozen=True, slots=True)
class CopiedPart:
    number: int
    etag: str
    checksum: str | None = None


class DestinationBucket(Protocol):
    """One destination. ``copy``, ``put_marker`` and ``complete`` publish: they are sent once, and raise
    ``AmbiguousWrite`` when the answer does not tell whether they took effect."""

    def copy(self, ref: VersionRef, key: str, request: ReplicaRequest) -> Published: ...

    def put_marker(self, key: str) -> Published: ...

    def versions(
        self, key: str, in_time: InTime = unhurried, until: Collection[str] = ()
    ) -> Sequence[ListedVersion]:
        """As of a source."""
        ...

    def head(self, key: str, version_id: str) -> SourceObject | None:
        """None if there is no such version any more."""
        ...

    def checksum(self, key: str, version_id: str) -> Checksum | None:
        """What S3 has computed over the content, if it has; None also if there is no such version any more.
        Of what a KMS key encrypts it is shown to those who may use the key."""
        ...

    def tags(self, key: str, version_id: str) -> frozenset[Tag]: ...

    def acl(self, key: str, version_id: str) -> frozenset[Grant]: ...

    def annotations(self, key: str, version_id: str) -> Mapping[str, Annotation]: ...

    def annotation(self, key: str, version_id: str, name: str) -> bytes | None: ...

    def remove(self, key: str, version_id: str) -> None:
        """Delete one version for good; one already gone is fine. Raises ``TerminalError`` with
        DstObjectLocked if a retention or legal hold forbids it."""
        ...

    def put_tags(self, key: str, version_id: str, tags: frozenset[Tag]) -> None: ...

    def put_acl(self, key: str, version_id: str, grants: frozenset[Grant]) -> None:
        """Nothing happens where the bucket has ACLs disabled."""
        ...

    def put_lock(self, key: str, version_id: str, lock: Lock) -> None:
        """Retention and legal hold, as far as they are given."""
        ...

    def put_annotation(self, key: str, version_id: str, name: str, payload: bytes) -> None: ...

    def remove_annotation(self, key: str, version_id: str, name: str) -> None:
        """One already gone is fine."""
        ...

    def create_upload(self, key: str, request: ReplicaRequest) -> str: ...

    def copy_part(self, ref: VersionRef, etag: str, key: str, upload_id: str, part: Part) -> CopiedPart: ...

    def parts(self, key: str, upload_id: str) -> Mapping[int, CopiedPart] | None:
        """By number; None if the upload no longer exists."""
        ...

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CopiedPart],
        algorithm: str | None,
        expected: Checksum | None,
    ) -> Published: ...

    def abort(self, key: str, upload_id: str) -> None:
        """An upload already gone is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease is ours; ``head`` is the item as it is now, the lease included."""

    head: Head


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else holds the lease."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The version is settled already; ``row`` says how."""

    row: Row


@dataclass(frozen=True, slots=True)
class Conflict:
    """The destination key already belongs to another source key; ``head`` is the item as it is now."""

    source: str
    head: Head | None = field(default=None, compare=False, repr=False)


LeaseAnswer = Granted | Held | Duplicate | Conflict


@dataclass(frozen=True, slots=True)
class DueItem:
    """A head, or a row that has spilled, with open work that is due since ``due``. ``conflict``: a version
    that has no row, since the place is another source key's."""

    key: LedgerKey
    source: str
    rows: Mapping[str, Row]
    due: float
    spilled: bool = False
    conflict: bool = False


class LeaseLost(Exception):
    """A write under a lease found that the lease is no longer ours. Nothing was written."""


class Ledger(Protocol):
    def lease(
        self,
        key: LedgerKey,
        source: str,
        version_id: str | None,
        *,
        lease: Lease,
        intent: Intent | None,
        now: float,
    ) -> LeaseAnswer:
        """One conditional write: take the lease if it is free, announcing ``intent`` unless one is open.

        With a ``version_id`` the answer is ``Duplicate`` if that version is settled.
        """
        ...

    def take_over(
        self, key: LedgerKey, seen: Head, head: Head, *, lease: Lease, intent: Intent | None, now: float
    ) -> LeaseAnswer:
        """One conditional write: ``head``, which is of another source key, in place of the one that was
        ``seen``, and its lease; ``Conflict`` or ``Held`` if somebody has worked on it meanwhile. What has
        been heard of versions without a row stays."""
        ...

    def write(self, key: LedgerKey, token: str, head: Head) -> None:
        """Replace the head, if the lease with ``token`` is still held. Raises ``LeaseLost``."""
        ...

    def row(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        """A row that has spilled. Here as below, those of another source key than ``source`` are none: it had
        the place before."""
        ...

    def head(self, key: LedgerKey) -> Head | None:
        """What the head says now, without a lease."""
        ...

    def heads(self, keys: Sequence[LedgerKey]) -> Mapping[LedgerKey, Head]:
        """The heads there are, read together, and perhaps a moment old."""
        ...

    def peek(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        """What is said of a version, wherever it is, without a lease: it may change at any time, unless it is
        final. While the place is another source key's, that is what ``record_conflict`` has said."""
        ...

    def put_rows(self, key: LedgerKey, source: str, generation: int, rows: Mapping[str, Row]) -> None:
        """Write rows as items of their own. Raises ``LeaseLost`` if a later generation has written one."""
        ...

    def spilled(self, key: LedgerKey, source: str, in_time: InTime = unhurried) -> Mapping[str, Row]:
        """The rows that are items of their own, as they are there: the head may know better."""
        ...

    def history(self, key: LedgerKey, in_time: InTime = unhurried) -> tuple[Head | None, Mapping[str, Row]]:
        """The head, and every row of its source key, spilled or not."""
        ...

    def conflicts(self, key: LedgerKey, source: str) -> Mapping[str, Row]:
        """Versions of ``source`` that are kept out, since the place is another source key's."""
        ...

    def record_conflict(self, key: LedgerKey, source: str, version_id: str, row: Row) -> None:
        """Open work, until it is closed: an item of its own, as the head is another's."""
        ...

    def close_conflict(self, key: LedgerKey, source: str, version_id: str) -> None:
        """Nothing happens if there is none."""
        ...

    def due(self, destination: str, now: float) -> Iterable["DueItem"]:
        """What of a destination's open work is due."""
        ...

    def count_open(self, destination: str) -> int:
        """How much open work a destination has, due or not: heads, and rows that have spilled.
        Thousands are not counted on."""
        ...

    def allow_version_delete(self, destination: str, limit: int, now: float) -> bool:
        """Count one more; False if that is more than ``limit`` in this hour, or the breaker is open."""
        ...

    def allow_copy_delete(self, destination: str, limit: int, now: float) -> bool:
        """The same of former copies, which opens nothing: the next hour begins anew."""
        ...

    def breaker(self, destination: str) -> Breaker | None:
        """None if no version has ever been deleted there."""
        ...

    def close_breaker(self, destination: str) -> None:
        """Begin counting anew."""
        ...

    def close(self, item: "DueItem") -> None:
        """Take a row that has spilled out of the index of open work: the head has a newer one."""
        ...

    def postpone(self, item: "DueItem", due: float, missed: Collection[str] = ()) -> bool:
        """Let the sweep pass over it until ``due``, and remember of these versions that it has been told that
        they are late; False, and nothing done, if somebody has worked on it meanwhile."""
        ...


class Outbox(Protocol):
    """Bodies are S3 events."""

    def to_large_lane(self, body: Mapping[str, Any], delay: float = 0) -> None: ...

    def hand_over(self, body: Mapping[str, Any]) -> None:
        """To the dead-letter queue, for the second function."""
        ...

    def park(self, body: Mapping[str, Any] | str, attributes: Mapping[str, str]) -> None: ...


class Configurations(Protocol):
    def current(self) -> Configuration:
        """Raises ``RetryableError`` with ConfigurationUnreadable."""
        ...


class Parallel(Protocol):
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Call ``function`` on every item at once; the results in the order of the items."""
        ...
