"""The ledger's items, as values, and what follows from them. See docs/architecture.md, "The ledger".

A head item per destination key holds the lease, the one write that may be in doubt (the intent), and the
newest rows, one per source version. Only the holder of the lease changes a head, so a change is a new
value of the whole head, written under the condition that the lease is still ours.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from s3replicator.decisions.events import ChangeKind, Origin, Upload
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.versions import Kind, VersionRef

#: Rows kept in the head itself. Two keep it under 1 KB, which is what one write unit pays for.
INLINE_ROWS: Final = 2

#: How many versions that have no row are remembered because something about them has changed. The newest: of
#: the others no creation event is still to come.
MOST_HEARD: Final = 20

#: So many ids beside that of its replica does a row remember of a kind. An item takes 400 KB.
MOST_IDS: Final = 100

#: Shards of the index of open work, so that one destination's failures do not share a partition.
SHARDS: Final = 16

#: The due time of open work that waits for something other than time.
NEVER: Final = 32503680000.0  # the year 3000


class Status(StrEnum):
    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    SUPERSEDED = "SUPERSEDED"
    TOMBSTONE = "TOMBSTONE"


#: A row with one of these is never worked on again on account of an event.
FINAL: Final = frozenset({Status.COMPLETED, Status.SUPERSEDED, Status.TOMBSTONE})


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """What must be serialised: one key at one destination."""

    destination: str
    key: str

    def other_than(self, source_key: str) -> str | None:
        """The key, if it is not that of the source."""
        return None if self.key == source_key else self.key

    @property
    def shard(self) -> str:
        digest = hashlib.sha256(f"{self.destination}/{self.key}".encode()).digest()
        return shard_name(self.destination, digest[0] % SHARDS)


def shard_name(destination: str, number: int) -> str:
    return f"{destination}#{number}"


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What orders a version among the others of its key, when the source no longer lists it."""

    sequencer: str | None
    last_modified: float
    multipart: bool = False

    @property
    def rank(self) -> str | None:
        """What its sequencer says of its place; None if there is none, or if it says nothing."""
        if self.sequencer is None or self.multipart:
            return None
        return sequencer_rank(self.sequencer)

    @property
    def second(self) -> int:
        """S3 tells times in whole seconds: within one they order nothing."""
        return int(self.last_modified)


def sequencer_rank(sequencer: str) -> str:
    """Compares as sequencers do: the shorter is padded on the right with zeros, then both as text."""
    return sequencer.upper().rstrip("0")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change a head, until ``expires`` (seconds since the epoch)."""

    token: str
    expires: float


@dataclass(frozen=True, slots=True)
class Intent:
    """The visible write that has been announced and not yet accounted for; ``at`` is when.

    ``unstamped_size`` is the size in bytes of a replica that has no room for a stamp, and can be recognised
    by its place, size and time only; and by ``unstamped_etag``, where its ETag can be foretold.
    """

    nonce: str
    version_id: str
    kind: Kind
    at: float
    order: OrderFacts
    unstamped_size: int | None = None
    unstamped_etag: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One source version at one destination. Times in seconds since the epoch.

    ``left`` are our ids still to be removed, ``blocked`` those the destination refuses to remove, ``stray``
    those that may be foreign and are never removed. ``doubt`` marks a replica that may be somebody else's;
    ``proven`` that it holds the version's bytes all the same. Without that, nothing is copied from it.
    ``lost`` means that others removed the replica: it is not copied again unless an operator asks.
    ``purged`` means that somebody deleted the source version, and the rules replicate that. ``owed`` are
    changes of the source version (tags, ACL, lock, annotations) that its replica, or the replica to come,
    has not been given yet; ``acl`` means that its ACL has been changed, which no copy carries along.
    ``threshold`` is when the version is late, where its rule has that told; ``missed`` means that it has
    been.
    """

    kind: Kind
    status: Status
    order: OrderFacts
    replica: str | None = None
    nonce: str | None = None
    doubt: bool = False
    proven: bool = False
    lost: bool = False
    purged: bool = False
    owed: frozenset[ChangeKind] = frozenset()
    acl: bool = False
    left: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    rule: str | None = None
    reason: str | None = None
    detail: str | None = None
    request_id: str | None = None
    attempts: int = 0
    first_failure: float | None = None
    last_failure: float | None = None
    due: float | None = None
    event_time: float | None = None
    completed: float | None = None
    threshold: float | None = None
    missed: bool = False
    #: What a large copy had done when it failed.
    upload: Upload | None = None
    #: What was decided of a version that looks like a replica.
    origin: Origin | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def live(self) -> bool:
        return self.replica is not None

    @property
    def open(self) -> bool:
        """True for what an operator should see in the index of open work."""
        return not self.final or self.reason is not None

    @property
    def standing(self) -> Status:
        """The status that is told of it. What is COMPLETED goes back to PENDING, as with Amazon, until its
        replica has what it is owed; it has FAILED if only an operator can help."""
        if self.status is not Status.COMPLETED or not (self.live and self.owed):
            return self.status
        return Status.FAILED if self.reason is not None and self.due is None else Status.PENDING

    @property
    def late_at(self) -> float | None:
        """When somebody has to be told that it is late; None if nobody has to, or has been already."""
        waits = self.status is Status.PENDING and not self.missed
        return self.threshold if waits else None

    @property
    def swept_at(self) -> float | None:
        """Its place in the index of open work: when it is due or late, or ``NEVER``; None if it has none."""
        if not self.open:
            return None
        return min(moment for moment in (self.due, self.late_at, NEVER) if moment is not None)

    def owing(self, change: ChangeKind) -> "Row":
        """The row after such a change has been heard of."""
        acl = self.acl or change is ChangeKind.ACL_CHANGED
        return replace(self, owed=self.owed | {change}, acl=acl)

    def copied_anew(self, *, by_parts: bool, tagged: bool = False) -> "Row":
        """The row of a replica that has just been made: what its copy has not carried along is owed. No copy
        takes an ACL, one part by part no annotations, and no tags either unless it is known to be ``tagged``.
        """
        row = self.owing(ChangeKind.ACL_CHANGED) if self.acl else self
        if not by_parts:
            return row
        row = row.owing(ChangeKind.ANNOTATED)
        return row if tagged else row.owing(ChangeKind.TAGGED)

    @property
    def copyable(self) -> bool:
        """Whether what its replica holds is known to be the version's."""
        return self.kind is Kind.MARKER or self.proven or not self.doubt

    @property
    def claims_nothing(self) -> bool:
        """True if nothing of the version is at the destination, and nobody will bring it there: it is gone at
        the source, or no rule selects it for this place any more."""
        ended = self.status is Status.TOMBSTONE and not self.open
        unwanted = self.status is Status.NOT_ELIGIBLE and self.reason == Reason.RULE_GONE
        here = self.live or self.left or self.blocked or self.upload
        return (ended or unwanted) and not here and self.due is None

    def with_stray(self, *ids: str) -> "Row":
        """The oldest of too many are forgotten. Whoever compares the two sides finds them again."""
        return replace(self, stray=(*self.stray, *ids)[-MOST_IDS:])

    @property
    def full(self) -> bool:
        """Whether it has so many former replicas that cannot be removed that it shall not be copied again."""
        return len(self.left) + len(self.blocked) >= MOST_IDS

    def ids(self) -> Iterator[str]:
        if self.replica is not None:
            yield self.replica
        yield from self.left
        yield from self.blocked
        yield from self.stray


@dataclass(frozen=True, slots=True)
class Spent:
    """How many versions have been copied again for late ones in an hour, and how many bytes of them. ``hour``
    counts from the epoch."""

    hour: int
    versions: int = 0
    size: int = 0

    def and_one_more(self, size: int, now: float) -> "Spent":
        hour = hour_of(now)
        before = self if hour == self.hour else Spent(hour)
        return Spent(hour, before.versions + 1, before.size + size)


@dataclass(frozen=True, slots=True)
class Head:
    """``source`` is the key at the source whose versions are replicated here.

    ``top`` orders the newest live replica among the rows that have spilled to items of their own;
    ``top_ranks``: of those of its second it certainly is, by their sequencers. ``spent`` is what has been
    copied again for late versions. Both may be lost at any time.
    ``generation`` counts the leases: rows that have spilled carry the one they were written under, so
    that nobody who has lost the lease without knowing it overwrites what a later holder wrote. ``heard`` is
    what has changed about versions that have no row, the newest last: it makes nothing wanted, and is owed to
    a version that comes. ``stray`` are ids that a former source key of this place knew as perhaps not ours:
    they are never removed.
    """

    source: str
    lease: Lease | None = None
    intent: Intent | None = None
    unsettled: bool = False
    rows: Mapping[str, Row] = field(default_factory=dict)
    spilled: bool = False
    top: tuple[str, OrderFacts] | None = None
    generation: int = 0
    heard: Mapping[str, frozenset[ChangeKind]] = field(default_factory=dict)
    stray: tuple[str, ...] = ()
    top_ranks: bool = field(default=False, compare=False)
    spent: Spent | None = field(default=None, compare=False)

    def is_of(self, source: str) -> bool:
        """Whether it tells of this key at the source: nobody acts on the head of another one."""
        return self.source == source

    def is_vacant(self, rows: Mapping[str, Row], now: float) -> bool:
        """Whether another source key may take the place over. ``rows`` are all of this one's, those that have
        spilled included."""
        held = self.lease is not None and self.lease.expires >= now
        return self.clean and not held and all(row.claims_nothing for row in rows.values())

    def taken_over(self, source: str, rows: Mapping[str, Row]) -> "Head":
        """The head of another source key in its place; ``rows`` as for ``is_vacant``. What has been heard of
        the former one's versions stays: they may come yet."""
        stray = dict.fromkeys([*self.stray, *(one for row in rows.values() for one in row.stray)])
        ids = tuple(stray)[-MOST_IDS:]
        return Head(source, generation=self.generation, stray=ids, heard=self.heard)

    @property
    def clean(self) -> bool:
        return self.intent is None and not self.unsettled

    def with_row(self, version_id: str, row: Row) -> "Head":
        """What has been heard of the version is owed to it."""
        for change in self.heard.get(version_id, ()):
            row = row.owing(change)
        heard = {vid: changes for vid, changes in self.heard.items() if vid != version_id}
        return replace(self, rows={**self.rows, version_id: row}, heard=heard)

    def hearing(self, version_id: str, change: ChangeKind) -> "Head":
        """The head after a change has been heard of, of a version that has no row."""
        changes = self.heard.get(version_id, frozenset()) | {change}
        others = [entry for entry in self.heard.items() if entry[0] != version_id]
        return replace(self, heard=dict([*others, (version_id, changes)][-MOST_HEARD:]))

    def live(self) -> dict[str, OrderFacts]:
        """What orders each live replica, the spilled ones represented by the newest."""
        orders = {vid: row.order for vid, row in self.rows.items() if row.live}
        if self.top is not None:
            orders.setdefault(*self.top)
        return orders

    def with_top_of(self, rows: Mapping[str, Row]) -> "Head":
        """``top`` found anew among all ``rows`` of the key, those of the head included."""
        live = [(vid, row.order) for vid, row in rows.items() if row.live and vid not in self.rows]
        return replace(self, top=None, top_ranks=False)._with_top_among(live)

    def _with_top_among(self, live: Sequence[tuple[str, OrderFacts]]) -> "Head":
        """The newest of these, and of those that ``top`` stands for."""
        everything = [*live, *([self.top] if self.top else [])]
        if not everything:
            return self
        second = max(order.second for _, order in everything)
        of_second = [entry for entry in everything if entry[1].second == second]
        unsure = self.top is not None and self.top in of_second and not self.top_ranks
        ranks = not unsure and all(order.rank is not None for _, order in of_second)
        if ranks:
            top = max(of_second, key=lambda entry: (entry[1].rank or "", recency(entry[1])))
        else:
            top = max(everything, key=lambda entry: recency(entry[1]))
        return replace(self, top=top, top_ranks=ranks)

    def due(self) -> float | None:
        """When the sweep shall look at this head again; None if nothing in it is open."""
        return min((due for row in self.rows.values() if (due := row.swept_at) is not None), default=None)

    def spill(self) -> tuple["Head", dict[str, Row]]:
        """Move rows out, so that the head stays small whatever a key goes through."""
        excess = len(self.rows) - INLINE_ROWS
        if excess <= 0:
            return self, {}
        # A row without a replica orders nothing; among replicas the head must know the newest.
        movable = sorted(self.rows, key=lambda vid: (self.rows[vid].live, recency(self.rows[vid].order)))
        out = {vid: self.rows[vid] for vid in movable[:excess]}
        kept = {vid: row for vid, row in self.rows.items() if vid not in out}
        live_out = [(vid, row.order) for vid, row in out.items() if row.live]
        return replace(self._with_top_among(live_out), rows=kept, spilled=True), out


def hour_of(now: float) -> int:
    return int(now // 3600)


def recency(order: OrderFacts) -> tuple[float, str]:
    """A rough order, good enough to choose what to spill; never used to decide what is newer."""
    return (order.last_modified, order.sequencer or "")


def source_name(ref: VersionRef) -> str:
    return f"{ref.bucket}/{ref.key}"


def source_ref(source: str, version_id: str) -> VersionRef:
    """The version a row of a head with this ``source`` stands for; bucket names contain no slash."""
    bucket, _, key = source.partition("/")
    return VersionRef(bucket, key, version_id)
