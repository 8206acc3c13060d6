"""What changes about a version after it was written: its tags, its ACL, its lock, its annotations.

An event only says that something has changed: its row owes that to the replica until it has been given. The
source's state is read under the lease, so the last one to hold it is right.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import (
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
)
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.replica import matches
from s3replicator.decisions.settling import removed_by_others
from s3replicator.decisions.versions import Lock, SourceObject, Tag, VersionRef, is_null
from s3replicator.ports import DestinationBucket
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.annotations import Annotations, Differing
from s3replicator.usecases.endings import owing_nothing, stuck_row
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey

#: The retention that nobody may shorten.
_COMPLIANCE: Final = "COMPLIANCE"

#: In which order a replica is given what it is owed. What is locked takes no annotations any more.
_IN_TURN: Final = (
    ChangeKind.TAGGED,
    ChangeKind.ACL_CHANGED,
    ChangeKind.ANNOTATED,
    ChangeKind.LOCK_CHANGED,
)


def pay(
    engine: Engine,
    leased: LeasedKey,
    version_id: str,
    configuration: Configuration,
    deadline: float,
    *,
    fresh: bool,
) -> ReplicationError | None:
    """Give a live replica what its row owes it, as the source has it now; ``fresh``: it has just been made.
    What stands in the way, if anything does, is in the row, too: due, unless only an operator can help. It
    holds up nothing else that is owed. Takes effect with the next write."""
    row = leased.row(version_id)
    assert row is not None
    assert row.replica is not None
    pair = Pair(engine, leased.key, source_ref(leased.head.source, version_id), row.replica, fresh)
    failures: dict[ChangeKind, ReplicationError] = {}
    try:
        if row.owed and is_null(version_id):
            # Only this request tells whether another one has taken its place.
            engine.source.head(pair.ref)
        for change in sorted(row.owed, key=_IN_TURN.index):
            if change is ChangeKind.ACL_CHANGED and not _has_sources_acl(leased, row, configuration):
                continue
            try:
                pair.give(change, deadline)
            except (ReplicaLost, SourceGone):
                raise
            except ReplicationError as reason:
                failures[change] = reason
    except ReplicaLost as lost:
        leased.set_row(version_id, removed_by_others(row))
        return lost
    except SourceGone as gone:
        answer = confirmed(engine.source, pair.ref, gone)
        failures = {} if answer is gone else dict.fromkeys(row.owed, answer)
    except ReplicationError as unread:
        failures = dict.fromkeys(row.owed, unread)
    if not failures:
        leased.set_row(version_id, owing_nothing(row))
        return None
    failure = _foremost(failures.values())
    leased.set_row(version_id, replace(stuck_row(engine, row, failure), owed=frozenset(failures)))
    return failure


def is_news(change: ChangeKind | None, before: Row, now: Row) -> bool:
    """Whether to park what ``pay`` could not give, and only an operator can help with: once is enough, unless
    ``change``, which was asked for, is a part of it."""
    if not now.live or now.due is not None:
        return False
    return before.due is not None or before.reason != now.reason or change in now.owed


def _foremost(failures: Collection[ReplicationError]) -> ReplicationError:
    """What may work later is waited for; what only an operator can mend is told of after that."""
    later = (failure for failure in failures if isinstance(failure, RetryableError))
    return next(later, next(iter(failures)))


def _has_sources_acl(leased: LeasedKey, row: Row, configuration: Configuration) -> bool:
    """Not with owner override: then the ACL is the destination owner's affair.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-change-owner.html
    """
    rules = (rule for rule in leased.contending(configuration) if rule.id == row.rule)
    return not any(rule.destination.owner_override for rule in rules)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a replica should have and has not; ``alike``: it has the size of its source."""

    tags: frozenset[Tag] | None = None
    lock: Lock | None = None
    annotations: Differing | None = None
    alike: bool = True

    def __str__(self) -> str:
        lock = self.lock or Lock()
        said = {
            "tags": self.tags is not None,
            "retention": lock.until is not None,
            "legal hold": lock.legal_hold is not None,
            "annotations": self.annotations is not None,
            "size": not self.alike,
        }
        return ", ".join(name for name, differs in said.items() if differs)


@dataclass(frozen=True, slots=True)
class Pair:
    """A source version, and its replica: the version ``replica`` at the place ``key``. ``fresh``: the replica
    has just been made."""

    engine: Engine
    key: LedgerKey
    ref: VersionRef
    replica: str
    fresh: bool = False
    #: Whether a hold may be taken off, and a retention be shortened.
    may_loosen: bool = True

    def difference(self, deadline: float, *, annotations: bool) -> Difference | None:
        """None if either is no object that can be compared. Raises ``SourceGone``. Two reads of each side,
        and one more where ``annotations`` count, too."""
        source, bucket, key = self.engine.source, self._bucket, self.key.key
        version, tags = source.head(self.ref), source.tags(self.ref)
        ours = bucket.head(key, self.replica)
        if ours is None or not isinstance(version, SourceObject):
            return None
        return Difference(
            tags=tags if bucket.tags(key, self.replica) != tags else None,
            lock=self._lacking(version.lock, ours.lock),
            annotations=self._differing(deadline) if annotations else None,
            alike=matches(version, ours),
        )

    def put_right(self, found: Difference, deadline: float) -> list[ReplicationError]:
        """Give the replica what it lacks. What is refused is returned, and holds up nothing else. Raises
        ``SourceGone`` and ``ReplicaLost``."""
        bucket, key, replica = self._bucket, self.key.key, self.replica
        steps: list[Callable[[], None]] = []
        if found.tags is not None:
            steps.append(partial(bucket.put_tags, key, replica, found.tags))
        if found.annotations is not None:
            in_time = partial(self.engine.check_time, deadline)
            steps.append(partial(self._annotations.put_right, found.annotations, in_time))
        if found.lock is not None:
            # Last, as a locked replica takes no annotations. Apart: one may be refused, and the other not.
            parts = (replace(found.lock, legal_hold=None), Lock(legal_hold=found.lock.legal_hold))
            steps += [partial(bucket.put_lock, key, replica, part) for part in parts]
        failures: list[ReplicationError] = []
        for step in steps:
            try:
                step()
            except (ReplicaLost, SourceGone):
                raise
            except ReplicationError as failure:
                failures.append(failure)
        return failures

    def give(self, change: ChangeKind, deadline: float) -> None:
        """What the source has now, of that which has changed. Raises ``SourceGone`` and ``ReplicaLost``."""
        source, bucket, key, replica = self.engine.source, self._bucket, self.key.key, self.replica
        match change:
            case ChangeKind.TAGGED:
                bucket.put_tags(key, replica, source.tags(self.ref))
            case ChangeKind.ACL_CHANGED:
                bucket.put_acl(key, replica, source.acl(self.ref))
            case ChangeKind.LOCK_CHANGED:
                lock = self._lock()
                # An event of annotations may come after that of a lock, when it is too late for them.
                annotations = self._differing(deadline) if lock is not None else None
                self._bring(Difference(lock=lock, annotations=annotations), deadline)
            case ChangeKind.ANNOTATED:
                self._bring(Difference(annotations=self._differing(deadline)), deadline)
            case _:
                raise AssertionError(change)

    def _bring(self, found: Difference, deadline: float) -> None:
        failures = self.put_right(found, deadline)
        if failures:
            raise _foremost(failures)

    def _differing(self, deadline: float) -> Differing | None:
        return self._annotations.compare(partial(self.engine.check_time, deadline))

    def _lock(self) -> Lock | None:
        """What of the source's lock the replica has not."""
        version, ours = self.engine.source.head(self.ref), self._bucket.head(self.key.key, self.replica)
        if ours is None:
            raise ReplicaLost(Reason.REPLICA_LOST, f"there is no version {self.replica} any more")
        return self._lacking(version.lock, ours.lock) if isinstance(version, SourceObject) else None

    def _lacking(self, wanted: Lock, has: Lock) -> Lock | None:
        return _lacking(wanted if self.may_loosen else _tightest(wanted, has), has)

    @property
    def _bucket(self) -> DestinationBucket:
        return self.engine.destination(self.key.destination)

    @property
    def _annotations(self) -> Annotations:
        engine, key = self.engine, self.key.key
        return Annotations(
            engine.parallel, engine.source, self.ref, self._bucket, key, self.replica, self.fresh
        )


def _tightest(wanted: Lock, has: Lock) -> Lock:
    """What is wanted, as far as it protects more than what there is."""
    holds = wanted.legal_hold == "ON"
    protects = (wanted.until or 0.0) >= (has.until or 0.0) and not (
        has.mode == _COMPLIANCE and wanted.mode != _COMPLIANCE
    )
    return Lock(
        mode=wanted.mode if protects else None,
        until=wanted.until if protects else None,
        legal_hold="ON" if holds else None,
    )


def _lacking(wanted: Lock, has: Lock) -> Lock | None:
    """What of the source's lock the replica has not. A lock that the source never had is the destination's
    own; a hold that is off is none, and a bucket without Object Lock cannot be told of it."""
    retained = wanted.until is None or (wanted.mode, wanted.until) == (has.mode, has.until)
    held = wanted.legal_hold is None or wanted.legal_hold == (has.legal_hold or "OFF")
    lacking = Lock(
        mode=None if retained else wanted.mode,
        until=None if retained else wanted.until,
        legal_hold=None if held else wanted.legal_hold,
    )
    return None if lacking == Lock() else lacking
