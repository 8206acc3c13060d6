"""One change at one destination: the unit every use case works on."""

from dataclasses import dataclass, replace
from typing import Final

from s3replicator.decisions.announcements import (
    Announcement,
    of_failed,
    of_given_up,
    of_replicated,
    threshold_of,
)
from s3replicator.decisions.configuration import Rule
from s3replicator.decisions.events import Change, ChangeKind, Origin, Upload
from s3replicator.decisions.failures import NotEligible, PassedOver, ReplicationError, SourceGone
from s3replicator.decisions.ledger import Intent, LedgerKey, OrderFacts, Row, Status, source_name
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.plan import is_large
from s3replicator.decisions.provenance import trace_of
from s3replicator.decisions.replica import bears_stamp, foretold_etag
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, SourceObject, SourceVersion, is_null, named_time

#: What a version is that may still arrive.
_UNREPLICATED: Final = frozenset({Status.PENDING, Status.FAILED})


@dataclass(frozen=True, slots=True)
class Work:
    """``source`` is what was read of the source version, ``failure`` why it could not be read.

    ``again`` is the row whose replica is copied again, from the replica itself: the source version is gone.
    ``above`` is a version that the source has listed above this one, and above those it comes with: there
    its list may be begun.
    """

    change: Change
    destination: str
    rule: Rule | None
    source: SourceVersion | None = None
    failure: ReplicationError | None = None
    again: Row | None = None
    above: str | None = None

    @property
    def version_id(self) -> str:
        return self.change.ref.version_id

    @property
    def kind(self) -> Kind:
        if self.source is None:
            return self.change.version_kind
        return Kind.OBJECT if isinstance(self.source, SourceObject) else Kind.MARKER

    @property
    def key(self) -> LedgerKey:
        return LedgerKey(self.destination, self.change.replica_key or self.change.key)

    @property
    def source_key(self) -> str:
        """Whose head it may be worked on under."""
        return source_name(self.change.ref)

    @property
    def size(self) -> int | None:
        return self.source.size if isinstance(self.source, SourceObject) else None

    @property
    def large(self) -> bool:
        """True if a multipart copy is what has to be done."""
        return self.failure is None and self.size is not None and is_large(self.size)

    @property
    def publishable(self) -> bool:
        return self.source is not None and self.failure is None

    @property
    def may_come(self) -> bool:
        """Whether the version may still be replicated, as far as is known."""
        if isinstance(self.failure, PassedOver) and self.failure.undecided:
            return self.rule is not None
        return self.rule is not None and not isinstance(self.failure, SourceGone | NotEligible)

    @property
    def gains_tags(self) -> bool:
        """Whether it may have come under its rule by tags that it has been given after it was written."""
        rule = self.rule
        return self.change.kind is ChangeKind.TAGGED and rule is not None and rule.tag_later

    @property
    def may_copy_replica(self) -> bool:
        """Whether our own replica, which needs nothing of the source, has not been tried yet."""
        return self.kind is Kind.OBJECT and self.again is None

    def with_upload(self, upload: Upload | None) -> "Work":
        return replace(self, change=replace(self.change, upload=upload))

    def only_settling(self) -> "Work":
        change = replace(self.change, kind=ChangeKind.SETTLE, upload=None, prepare=False, replica=None)
        return replace(self, change=change)

    @property
    def order(self) -> OrderFacts:
        if self.again is not None:
            return self.again.order
        if self.source is None:
            replaced = named_time(self.version_id)
            if replaced is not None:
                # It has been read, and came after the one that the event told of.
                return OrderFacts(None, replaced)
            return OrderFacts(self.change.sequencer, self.change.event_time)
        # The null version that is there now need not be the one that the event told of.
        sequencer = None if is_null(self.version_id) else self.change.sequencer
        return OrderFacts(sequencer, self.source.last_modified, multipart=self.source.multipart)

    def intent(self, nonce: str, at: float) -> Intent:
        intent = Intent(nonce=nonce, version_id=self.version_id, kind=self.kind, at=at, order=self.order)
        if not isinstance(self.source, SourceObject):
            return intent
        if bears_stamp(self.source, self.stamp(nonce), by_parts=self.large):
            return intent
        return replace(intent, unstamped_size=self.size, unstamped_etag=foretold_etag(self.source))

    def stamp(self, nonce: str) -> Stamp:
        """Without room for its trace it has none; only a job takes along what has not."""
        stamp = Stamp.of(self.change.ref, nonce, self.destination, self.key.key, self._trace())
        if not stamp.trace or not isinstance(self.source, SourceObject):
            return stamp
        fits = bears_stamp(self.source, stamp, by_parts=self.large)
        return stamp if fits else replace(stamp, trace=frozenset())

    def _trace(self) -> frozenset[str]:
        """The buckets that the source version came through. What somebody wrote there came through none."""
        if not isinstance(self.source, SourceObject):
            return frozenset()
        if self.again is not None:
            made_before = Stamp.read(self.source.metadata)
            return made_before.trace if made_before else frozenset()
        return trace_of(self.source) if self.change.origin is Origin.ONWARD else frozenset()

    def row(self, status: Status, old: Row | None = None) -> Row:
        """A row for this version; what an earlier attempt left at the destination is kept in it, and what
        it knew of a source that cannot be read any more."""
        fresh = Row(
            kind=self.kind,
            status=status,
            order=self.order,
            rule=self.rule.id if self.rule else None,
            event_time=self.change.event_time,
            threshold=self._threshold(status, old),
            missed=self.change.missed or (old is not None and old.missed and old.status in _UNREPLICATED),
            origin=self._origin(old),
        )
        if self.change.follows:
            fresh = fresh.owing(self.change.kind)
        if old is None:
            return fresh
        return replace(
            fresh,
            kind=old.kind if self.source is None else fresh.kind,
            order=old.order if self.source is None else fresh.order,
            replica=old.replica,
            nonce=old.nonce,
            doubt=old.doubt,
            left=old.left,
            blocked=old.blocked,
            stray=old.stray,
            purged=old.purged,
            owed=old.owed | fresh.owed,
            acl=old.acl or fresh.acl,
            rule=fresh.rule or old.rule,
        )

    def _origin(self, old: Row | None) -> Origin | None:
        """What has been decided of the version, now or before."""
        told, known = self.change.origin, old.origin if old is not None else None
        if old is None or (told is not None and told.is_decision):
            return told
        if known is not None and known.is_decision:
            return known
        # A change that does not say so has been decided, or is of a version that needs no decision.
        return known if told is Origin.UNDECIDED else told

    def _threshold(self, status: Status, old: Row | None) -> float | None:
        """A version is late or not the first time it is to be replicated, and then only."""
        untold = self.rule is not None and not self.rule.destination.time_control
        if untold or status not in (Status.PENDING, Status.COMPLETED):
            return None
        return old.threshold if old is not None else threshold_of(self.change, self.rule, self.kind)

    def outcome(
        self,
        result: Result,
        row: Row | None = None,
        *,
        reason: str | None = None,
        detail: str | None = None,
        busy: bool = False,
    ) -> Outcome:
        """What became of this work; ``row`` is what the ledger says of it now."""
        lag = None
        if result is Result.REPLICATED and row and row.completed is not None:
            lag = max(0.0, row.completed - self.change.event_time)
        return Outcome(
            result,
            key=self.change.key,
            version_id=self.change.version_id,
            destination=self.destination,
            replica_key=self.change.replica_key,
            rule=self.rule.id if self.rule else None,
            reason=reason or (row.reason if row else None),
            detail=detail or (row.detail if row else None),
            request_id=row.request_id if row else None,
            replica=row.replica if row else None,
            lag=lag,
            size=self.size,
            busy=busy,
            announcements=self._announcements(result, row, reason),
        )

    def _announcements(self, result: Result, row: Row | None, reason: str | None) -> tuple[Announcement, ...]:
        if row is None:
            return ()
        match result:
            case Result.REPLICATED:
                return of_replicated(self.change, self.destination, row)
            case Result.PARKED:
                return of_failed(self.change, self.destination, self.rule, row)
            case Result.GONE | Result.NOT_ELIGIBLE | Result.SUPERSEDED if reason != row.status:
                return of_given_up(self.change, self.destination, row)
        # Nothing has become of it, or it had before.
        return ()
