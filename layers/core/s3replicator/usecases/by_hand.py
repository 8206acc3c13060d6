"""Settling one key because an operator asks for it: every version that the rules select is wanted, whatever
events said, and what differs in tags, lock or annotations is put right."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Final

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.drift import foreign_on_top
from s3replicator.decisions.failures import (
    PassedOver,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
)
from s3replicator.decisions.ledger import LedgerKey, Row, Status, source_name, source_ref
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.removal import named_in
from s3replicator.decisions.rules import places
from s3replicator.decisions.settling import Sides, reopened
from s3replicator.decisions.versions import NULL, Kind, ListedVersion, VersionRef
from s3replicator.ports import Configurations, Conflict, LeaseLost
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.conflicts import conflict, remember
from s3replicator.usecases.endings import to_large_lane, under_way
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, lease_key
from s3replicator.usecases.pass_state import park_recorded
from s3replicator.usecases.recall import Recalled, recall
from s3replicator.usecases.refresh import Pair
from s3replicator.usecases.routing import Router, passed_over
from s3replicator.usecases.settling import Settlement, Unfinished
from s3replicator.usecases.work import Work

_TRIED_AGAIN: Final = frozenset({Status.PENDING, Status.FAILED, Status.NOT_ELIGIBLE})


#: Versions that are read and copied together.
_AT_ONCE: Final = 1000

#: Asked again, there is time for the rest.
_LATER: Final = RetryableError(Reason.BUSY, "the worker's time is up")


@dataclass(frozen=True, slots=True)
class Request:
    """``restore_lost``: copy again what others removed at the destination, and what they have written
    something above. ``purge``: also delete replicas of versions that the source no longer lists, where the
    rules replicate version deletes. ``compare``: also put tags, lock and annotations right, object by
    object."""

    bucket: str
    key: str
    destinations: tuple[str, ...] = ()
    restore_lost: bool = False
    purge: bool = False
    compare: bool = True


@dataclass(slots=True)
class Report:
    """``busy`` are destinations where another worker holds the key: ask again. ``passed_over`` are replicas
    that are not carried onward: nothing has become of them, but a job tells of them."""

    outcomes: list[Outcome] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    passed_over: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ByHand:
    """``source_bucket`` and ``peers`` as in ``Batch``."""

    engine: Engine
    configurations: Configurations
    source_bucket: str
    peers: frozenset[str] = frozenset()

    def settle(self, request: Request, deadline: float) -> Report:
        """Raises the failures of reading the configuration and the source."""
        if request.bucket != self.source_bucket:
            detail = f"the stack replicates from {self.source_bucket!r}, not from {request.bucket!r}"
            wrong = Outcome(Result.NOT_SELECTED, request.key, reason=Reason.WRONG_SOURCE, detail=detail)
            return Report([wrong])
        configuration = self.configurations.current()
        report = Report()
        selected = places(configuration, request.key)
        exists = cache(lambda: bool(self._listed(request, deadline)))
        for key in self._places(request, selected):
            try:
                if self._is_known(request, key) or (key in selected and exists()):
                    self._settle(request, key, configuration, deadline, report)
            except LeaseLost:
                report.busy.append(key.destination)
            except ReplicationError as failure:
                report.outcomes.append(_failed(request.key, key, failure))
        return report

    def _listed(self, request: Request, deadline: float) -> Sequence[ListedVersion]:
        in_time = partial(self.engine.check_time, deadline)
        return self.engine.source.versions(request.bucket, request.key, in_time)

    def _places(self, request: Request, selected: Iterable[LedgerKey]) -> list[LedgerKey]:
        """Where rules put replicas, and where they are if no rule ever gave them another key."""
        asked = request.destinations or tuple(self.engine.destinations)
        ours = [key for key in selected if key.destination in asked]
        return list(dict.fromkeys([*ours, *(LedgerKey(destination, request.key) for destination in asked)]))

    def _is_known(self, request: Request, key: LedgerKey) -> bool:
        head = self.engine.ledger.head(key)
        return head is not None and head.is_of(source_name(VersionRef(request.bucket, request.key, "")))

    def recall(self, bucket: str, key: str, deadline: float) -> bool:
        """Recognise replicas that the ledger does not know, and open again what it calls gone and the source
        lists; nothing else. False if it cannot be done now."""
        configuration = self.configurations.current()
        for ledger_key in places(configuration, key):
            try:
                source = source_name(VersionRef(bucket, key, ""))
                answer, leased = lease_key(self.engine, ledger_key, source, deadline)
                if isinstance(answer, Conflict):
                    # Nothing there is of this key, however often it is looked at.
                    continue
                if leased is None:
                    return False
                if not self._recall_alone(leased, configuration, deadline):
                    return False
            except (LeaseLost, RetryableError):
                return False
        return True

    def _recall_alone(self, leased: LeasedKey, configuration: Configuration, deadline: float) -> bool:
        try:
            if leased.in_doubt:
                return True
            sides = leased.sides()
            complete = self._recall(leased, sides, configuration, deadline).complete
            self._reopen(leased, sides)
            return complete
        finally:
            # What has been recognised by now need not be looked at again.
            leased.release()

    def _recall(
        self, leased: LeasedKey, sides: Sides, configuration: Configuration, deadline: float
    ) -> Recalled:
        """Looking may take half of the time there is."""
        rules, now = leased.contending(configuration), self.engine.clock.now()
        markers = not self.peers and any(rule.delete_markers for rule in rules)
        return recall(self.engine, leased, sides, now + (deadline - now) / 2, markers=markers)

    def _reopen(self, leased: LeasedKey, sides: Sides) -> None:
        for vid, row in leased.rows().items():
            leased.save()
            if row.status is Status.TOMBSTONE and sides.lists(vid):
                leased.set_row(vid, under_way(self.engine, reopened(row)))

    def _settle(
        self,
        request: Request,
        key: LedgerKey,
        configuration: Configuration,
        deadline: float,
        report: Report,
    ) -> None:
        source = source_name(VersionRef(request.bucket, request.key, ""))
        answer, leased = lease_key(self.engine, key, source, deadline)
        if isinstance(answer, Conflict):
            self._review(request, key, answer.source, configuration, deadline)
            raise conflict(answer.source, source)
        if leased is None:
            report.busy.append(key.destination)
        else:
            self._under_lease(request, leased, configuration, deadline, report)

    def _under_lease(
        self,
        request: Request,
        leased: LeasedKey,
        configuration: Configuration,
        deadline: float,
        report: Report,
    ) -> None:
        settlement = Settlement(self.engine, leased, configuration, deadline)
        failures: list[ReplicationError] = []
        try:
            if leased.in_doubt:
                leased.resolve()
            recalled = self._recall(leased, settlement.sides(), configuration, deadline)
            report.outcomes += [
                _outcome(request.key, leased.key, Result.ADOPTED, version_id=vid)
                for vid in sorted(recalled.adopted)
            ]
            if recalled.complete:
                before = _replicas(leased)
                self._put_in_order(request, leased, settlement, configuration, report)
                if _replicas(leased) != before:
                    # Users' copies of what has been copied again are no longer known by its nonce.
                    self._recall(leased, settlement.sides(), configuration, deadline)
                if request.compare:
                    report.outcomes += self._compare(request.key, leased, deadline)
            else:
                # What has not been recognised yet would be copied again.
                failures.append(_LATER)
        except Unfinished as stopped:
            failures.append(stopped.failure)
        except ReplicationError as failure:
            failures.append(failure)
        leased.withdraw()
        sent = [outcome for _, outcome in park_recorded(self.engine, leased, settlement.parked)]
        leased.release()
        report.outcomes += [_failed(request.key, leased.key, failure) for failure in failures]
        for result, versions in (
            (Result.REPLICATED, settlement.published),
            (Result.REMOVED, settlement.removed),
        ):
            report.outcomes += [
                _outcome(request.key, leased.key, result, version_id=vid) for vid in sorted(versions)
            ]
        report.outcomes += sent + self._send(leased, settlement)

    def _send(self, leased: LeasedKey, settlement: Settlement) -> list[Outcome]:
        sent = [
            to_large_lane(self.engine, work, work.outcome(Result.SENT_TO_LARGE_LANE))
            for work in settlement.to_prepare
        ]
        if not leased.fit and not settlement.to_prepare:
            # By hand there is no message that comes again by itself.
            now = self.engine.clock.now()
            letter = letters.to_settle(leased.head.source, NULL, leased.key, now)
            self.engine.outbox.hand_over(letter)
        return sent

    @staticmethod
    def _cover(leased: LeasedKey, settlement: Settlement) -> None:
        """What others wrote above the newest replica stays, below another copy of it."""
        covering = foreign_on_top(leased.rows(), settlement.sides())
        if covering is not None:
            vid, above = covering
            row = leased.rows()[vid]
            leased.set_row(vid, row.with_stray(*above))

    def _put_in_order(
        self,
        request: Request,
        leased: LeasedKey,
        settlement: Settlement,
        configuration: Configuration,
        report: Report,
    ) -> None:
        """So many versions at a time that there is room for what is read of them. Raises ``Unfinished``."""
        if request.restore_lost and not self.peers:
            self._cover(leased, settlement)
        self._release_blocked(request, leased, settlement)
        rows = leased.rows()
        todo = deque(
            listed
            for listed in reversed(settlement.sides().source)
            if _is_to_be_tried(rows.get(listed.version_id), request, settlement)
        )
        while True:
            self._ask(todo, leased, settlement, configuration, report)
            settlement.run()
            if not todo:
                return
            if not self.engine.may_publish(settlement.deadline):
                raise Unfinished(_LATER)
            settlement.forget_asked()

    def _ask(
        self,
        todo: deque[ListedVersion],
        leased: LeasedKey,
        settlement: Settlement,
        configuration: Configuration,
        report: Report,
    ) -> None:
        """Reading may take half of the time there is."""
        now = self.engine.clock.now()
        until = now + (settlement.deadline - now) / 2
        for _ in range(min(_AT_ONCE, len(todo))):
            if self.engine.clock.now() > until:
                return
            listed = todo.popleft()
            row = leased.row(listed.version_id)
            if row is None:
                self._ask_for_unknown(listed, leased, settlement, configuration, report)
            else:
                settlement.ask_again(listed.version_id, row)

    @staticmethod
    def _release_blocked(request: Request, leased: LeasedKey, settlement: Settlement) -> None:
        for vid, row in leased.rows().items():
            leased.save()
            # The lock may have ended.
            unblocked = replace(row, left=(*row.left, *row.blocked), blocked=())
            if row.blocked:
                leased.set_row(vid, replace(unblocked, reason=None, detail=None))
            elif row.reason == Reason.NOT_OURS and not settlement.sides().has(named_in(row.detail)):
                # Somebody has seen it, and removed what was theirs to remove.
                leased.set_row(vid, replace(row, reason=None, detail=None))
            if request.purge and row.live and not settlement.sides().lists(vid):
                settlement.purge(vid, unblocked)

    def _ask_for_unknown(
        self,
        listed: ListedVersion,
        leased: LeasedKey,
        settlement: Settlement,
        configuration: Configuration,
        report: Report,
    ) -> None:
        if listed.kind is Kind.MARKER and self.peers:
            # Nothing in a delete marker says who wrote it: it may be a peer's own replica.
            return
        for work in self._wanted(listed, leased.head.source, leased.key, configuration):
            if isinstance(work.failure, PassedOver):
                report.passed_over.append(passed_over(work, work.failure))
            else:
                settlement.ask(work)

    def _wanted(
        self, listed: ListedVersion, source: str, key: LedgerKey, configuration: Configuration
    ) -> list[Work]:
        """What the rules ask for of a version that has no row at this place, replicas included."""
        fresh = Row(kind=listed.kind, status=Status.PENDING, order=facts_of(listed))
        change = letters.change_of(source, listed.version_id, fresh, key)
        routed = Router.of(self.engine, self.peers).route(replace(change, destination=None), configuration)
        return [work for work in routed if work.key == key]

    def _review(
        self,
        request: Request,
        key: LedgerKey,
        owner: str,
        configuration: Configuration,
        deadline: float,
    ) -> None:
        """The place is another source key's: what is kept out of it is said to be, if there is time."""
        source = source_name(VersionRef(request.bucket, request.key, ""))
        known = self.engine.ledger.conflicts(key, source)
        listed = {one.version_id: one for one in self.engine.source.versions(request.bucket, request.key)}
        for version_id in known.keys() - listed.keys():
            self.engine.ledger.close_conflict(key, source, version_id)
        for version in listed.values():
            if not self.engine.may_publish(deadline):
                return
            if version.kind is Kind.MARKER and self.peers:
                continue
            routed = self._wanted(version, source, key, configuration)
            works = [work for work in routed if not isinstance(work.failure, PassedOver)]
            if version.version_id not in known:
                for work in works:
                    remember(self.engine, work, owner)
            elif not works:
                self.engine.ledger.close_conflict(key, source, version.version_id)

    def _compare(self, source_key: str, leased: LeasedKey, deadline: float) -> list[Outcome]:
        """What could not be compared, or not be put right."""
        outcomes: list[Outcome] = []
        for vid, row in leased.rows().items():
            if row.kind is not Kind.OBJECT or row.replica is None or row.status is not Status.COMPLETED:
                continue
            if not self.engine.may_publish(deadline):
                return [*outcomes, _failed(source_key, leased.key, _LATER)]
            try:
                failures = self._compare_one(leased, vid, row, row.replica, deadline)
            except ReplicationError as failure:
                answer = confirmed(self.engine.source, source_ref(leased.head.source, vid), failure)
                failures = [] if isinstance(answer, SourceGone) else [answer]
            outcomes += [_failed(source_key, leased.key, failure, vid) for failure in failures]
        return outcomes

    def _compare_one(
        self, leased: LeasedKey, vid: str, row: Row, replica: str, deadline: float
    ) -> list[ReplicationError]:
        pair = Pair(self.engine, leased.key, source_ref(leased.head.source, vid), replica)
        found = pair.difference(deadline, annotations=True)
        if found is None:
            return []
        if found.alike and row.reason == Reason.VERIFICATION_FAILED:
            leased.set_row(vid, replace(row, reason=None, detail=None))
        return pair.put_right(found, deadline)


def _replicas(leased: LeasedKey) -> set[str | None]:
    return {row.replica for row in leased.rows().values()}


def _is_to_be_tried(row: Row | None, request: Request, settlement: Settlement) -> bool:
    if row is None or row.status in _TRIED_AGAIN:
        return True
    return request.restore_lost and settlement.is_lost(row)


def _outcome(
    source_key: str,
    key: LedgerKey,
    result: Result,
    *,
    version_id: str | None = None,
    failure: ReplicationError | None = None,
) -> Outcome:
    return Outcome(
        result,
        key=source_key,
        version_id=version_id,
        destination=key.destination,
        replica_key=key.other_than(source_key),
        reason=failure.reason if failure else None,
        detail=failure.detail if failure else None,
    )


def _failed(
    source_key: str, key: LedgerKey, failure: ReplicationError, version_id: str | None = None
) -> Outcome:
    result = Result.DELAYED if isinstance(failure, RetryableError) else Result.FAILED
    return _outcome(source_key, key, result, version_id=version_id, failure=failure)
