"""Settling one key because an operator asks for it: every version that the rules select is wanted, whatever
events said, and what differs in tags or retention is put right."""

from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.failures import Reason, ReplicationError, RetryableError, SourceGone
from s3replicator.decisions.ledger import LedgerKey, Row, Status, source_name, source_ref
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.rules import contenders
from s3replicator.decisions.versions import Kind, ListedVersion, VersionRef
from s3replicator.ports import Configurations, Conflict, Granted, LeaseLost
from s3replicator.usecases import refresh
from s3replicator.usecases.endings import out_of_order, park, to_large_lane
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, lease_key
from s3replicator.usecases.routing import Router
from s3replicator.usecases.settling import Settlement, Unfinished, UploadNeeded
from s3replicator.usecases.work import Work

_TRIED_AGAIN: Final = frozenset({Status.PENDING, Status.FAILED, Status.NOT_ELIGIBLE})


@dataclass(frozen=True, slots=True)
class Request:
    """``restore_lost``: copy again what others removed at the destination. ``purge``: also delete replicas
    of versions that the source no longer lists, where the rules replicate version deletes."""

    bucket: str
    key: str
    destinations: tuple[str, ...] = ()
    restore_lost: bool = False
    purge: bool = False


@dataclass(slots=True)
class Report:
    """``busy`` are destinations where another worker holds the key: ask again."""

    outcomes: list[Outcome] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ByHand:
    """``peers`` as in ``Batch``."""

    engine: Engine
    configurations: Configurations
    peers: frozenset[str] = frozenset()

    def settle(self, request: Request, deadline: float) -> Report:
        """Raises the failures of reading the configuration and the ledger."""
        configuration = self.configurations.current()
        report = Report()
        selected = contenders(configuration, request.key)
        for destination in request.destinations or self.engine.destinations:
            if destination in selected or self._knows(LedgerKey(destination, request.key)):
                self._settle(request, destination, configuration, deadline, report)
        return report

    def _knows(self, key: LedgerKey) -> bool:
        return self.engine.ledger.history(key)[0] is not None

    def _settle(
        self,
        request: Request,
        destination: str,
        configuration: Configuration,
        deadline: float,
        report: Report,
    ) -> None:
        key = LedgerKey(destination, request.key)
        source = source_name(VersionRef(request.bucket, request.key, ""))
        answer, leased = lease_key(self.engine, key, source, deadline)
        if isinstance(answer, Conflict):
            detail = f"the key at the destination belongs to {answer.source}"
            report.outcomes.append(_outcome(key, Result.DEFERRED, Reason.KEY_CONFLICT, detail))
        elif not isinstance(answer, Granted) or leased is None:
            report.busy.append(destination)
        else:
            try:
                self._under_lease(request, leased, configuration, deadline, report)
            except LeaseLost:
                report.busy.append(destination)
            except RetryableError as failure:
                report.outcomes.append(_failed(key, failure))

    def _under_lease(
        self,
        request: Request,
        leased: LeasedKey,
        configuration: Configuration,
        deadline: float,
        report: Report,
    ) -> None:
        settlement = Settlement(self.engine, leased, configuration, deadline)
        needed: Work | None = None
        try:
            if leased.in_doubt:
                leased.resolve()
            self._ask(request, leased, settlement, configuration)
            settlement.run()
            self._compare(leased)
        except UploadNeeded as large:
            needed = large.work
            row = leased.row(needed.version_id)
            assert row is not None
            leased.set_row(needed.version_id, out_of_order(self.engine, row))
        except Unfinished as stopped:
            report.outcomes.append(_failed(leased.key, stopped.failure))
        except ReplicationError as failure:
            report.outcomes.append(_failed(leased.key, failure))
        leased.withdraw()
        leased.release()
        if needed is not None:
            outcome = needed.outcome(Result.SENT_TO_LARGE_LANE)
            report.outcomes.append(to_large_lane(self.engine, needed, outcome))
        report.outcomes += [park(self.engine, work, row) for work, row in settlement.parked]
        report.outcomes += [
            _outcome(leased.key, Result.REPLICATED, version_id=vid) for vid in sorted(settlement.published)
        ]
        report.outcomes += [
            _outcome(leased.key, Result.REMOVED, version_id=vid) for vid in sorted(settlement.removed)
        ]

    def _ask(
        self, request: Request, leased: LeasedKey, settlement: Settlement, configuration: Configuration
    ) -> None:
        rows = leased.rows()
        for listed in reversed(settlement.sides().source):
            row = rows.get(listed.version_id)
            if row is None:
                self._ask_for_unknown(listed, leased, settlement, configuration)
            elif (row.lost and request.restore_lost) or row.status in _TRIED_AGAIN:
                settlement.ask_again(listed.version_id, row)
        for vid, row in rows.items():
            # The lock may have ended.
            unblocked = replace(row, left=(*row.left, *row.blocked), blocked=())
            if row.blocked:
                leased.set_row(vid, replace(unblocked, reason=None, detail=None))
            if request.purge and row.live and not settlement.sides().lists(vid):
                settlement.purge(vid, unblocked)

    def _ask_for_unknown(
        self,
        listed: ListedVersion,
        leased: LeasedKey,
        settlement: Settlement,
        configuration: Configuration,
    ) -> None:
        if listed.kind is Kind.MARKER and self.peers:
            # Nothing in a delete marker says who wrote it: it may be a peer's own replica.
            return
        fresh = Row(kind=listed.kind, status=Status.PENDING, order=facts_of(listed))
        change = letters.change_of(leased.head.source, listed.version_id, fresh, leased.key.destination)
        works = Router(self.engine.source).route(replace(change, destination=None), configuration)
        for work in works:
            if work.destination == leased.key.destination:
                settlement.ask(work)

    def _compare(self, leased: LeasedKey) -> None:
        for vid, row in leased.rows().items():
            if row.kind is Kind.OBJECT and row.replica is not None and row.status is Status.COMPLETED:
                try:
                    ref = source_ref(leased.head.source, vid)
                    refresh.compare(self.engine, leased.bucket, ref, row.replica)
                except SourceGone:
                    continue


def _outcome(
    key: LedgerKey,
    result: Result,
    reason: str | None = None,
    detail: str | None = None,
    version_id: str | None = None,
) -> Outcome:
    return Outcome(
        result,
        key=key.key,
        version_id=version_id,
        destination=key.destination,
        reason=reason,
        detail=detail,
    )


def _failed(key: LedgerKey, failure: ReplicationError) -> Outcome:
    return _outcome(key, Result.DELAYED, failure.reason, failure.detail)
