"""Reconciling one key: what both sides and the ledger say now, and what is done about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.drift import Drift, Finding, compare
from s3replicator.decisions.failures import Reason, RetryableError, SourceGone
from s3replicator.decisions.job import Job
from s3replicator.decisions.job_report import Task, TaskStatus
from s3replicator.decisions.ledger import Head, LedgerKey, Row, Status, source_name
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.outcome import Result
from s3replicator.decisions.rules import contenders
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import Kind, VersionRef
from s3replicator.usecases import refresh
from s3replicator.usecases.by_hand import ByHand, Report, Request
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.recall import recognise
from s3replicator.usecases.routing import Router


class KeyBusy(Exception):
    """Another worker holds the key, or time is up: look again later."""


def settled(by_hand: ByHand, request: Request, deadline: float) -> Report:
    """Raises ``KeyBusy``, and ``RetryableError`` where the ledger could not say what is left open."""
    report = by_hand.settle(request, deadline)
    if report.busy or any(outcome.reason == Reason.BUSY for outcome in report.outcomes):
        raise KeyBusy
    for outcome in report.outcomes:
        if outcome.reason == Reason.LEDGER_UNAVAILABLE:
            raise RetryableError(Reason.LEDGER_UNAVAILABLE, outcome.detail or "")
    return report


@dataclass(frozen=True, slots=True)
class Reconciler:
    """``peers`` as in ``ByHand``."""

    engine: Engine
    by_hand: ByHand
    source_bucket: str
    peers: frozenset[str] = frozenset()

    def run(self, job: Job, key: str, configuration: Configuration, deadline: float) -> list[Task]:
        """A task for each thing that is not as it should be. Raises ``KeyBusy`` and ``RetryableError``."""
        selected = contenders(configuration, key)
        tasks: list[Task] = []
        for destination in self.engine.destinations:
            rules = selected.get(destination, ())
            look = _Look(self, job, LedgerKey(destination, key), rules, configuration)
            findings = look.findings()
            report = self._put_right(job, look.key, findings, deadline)
            left = look.findings() if report is not None else findings
            tasks += [_task(look.key, finding, left, job, report) for finding in findings]
        return tasks

    def _put_right(
        self, job: Job, key: LedgerKey, findings: Sequence[Finding], deadline: float
    ) -> Report | None:
        """None if there is nothing to be done."""
        wanted = [
            finding
            for finding in findings
            if not finding.known or (job.restore_lost and finding.drift is Drift.LOST)
        ]
        if not job.repair or not wanted:
            return None
        request = Request(
            bucket=self.source_bucket,
            key=key.key,
            destinations=(key.destination,),
            restore_lost=job.restore_lost,
            compare=job.deep,
        )
        return settled(self.by_hand, request, deadline)


@dataclass(frozen=True, slots=True)
class _Look:
    """One key at one destination, as it is now."""

    reconciler: Reconciler
    job: Job
    key: LedgerKey
    rules: Sequence[Rule]
    configuration: Configuration

    def findings(self) -> list[Finding]:
        engine = self.reconciler.engine
        head, rows = engine.ledger.history(self.key)
        source = engine.source.versions(self.reconciler.source_bucket, self.key.key)
        if head is None and not (source and self.rules):
            return []
        sides = Sides(source, engine.destination(self.key.destination).versions(self.key.key))
        wanted = [listed.version_id for listed in source if listed.version_id not in rows]
        found = compare(
            rows,
            sides,
            {vid for vid in wanted if self._is_selected(sides, vid)},
            interrupted=is_interrupted(head, engine.clock.now()),
            shared=bool(self.reconciler.peers),
        )
        found += self._unrecorded(rows, sides)
        return found + (self._differences(rows) if self.job.deep else [])

    def _is_selected(self, sides: Sides, version_id: str) -> bool:
        """Whether a version that no row knows should have one: the rules may ask for its tags, and it may be
        a replica itself."""
        listed = next(one for one in sides.source if one.version_id == version_id)
        if not self.rules or (listed.kind is Kind.MARKER and self.reconciler.peers):
            return False
        fresh = Row(kind=listed.kind, status=Status.PENDING, order=facts_of(listed))
        source = source_name(VersionRef(self.reconciler.source_bucket, self.key.key, ""))
        change = letters.change_of(source, version_id, fresh, self.key.destination)
        router = Router(self.reconciler.engine.source)
        works = router.route(replace(change, destination=None), self.configuration)
        return any(
            work.destination == self.key.destination and not isinstance(work.failure, SourceGone)
            for work in works
        )

    def _unrecorded(self, rows: Mapping[str, Row], sides: Sides) -> list[Finding]:
        source = source_name(VersionRef(self.reconciler.source_bucket, self.key.key, ""))
        recognised = recognise(self.reconciler.engine, self.key, source, rows, sides)
        found = []
        for replica, what in recognised.items():
            row = rows.get(what.version_id)
            drift = Drift.TWICE if row is not None and row.live else Drift.UNRECORDED
            # Nothing says where a replica belongs whose source is gone: it can only be told of.
            hopeless = drift is Drift.UNRECORDED and not sides.lists(what.version_id)
            found.append(Finding(drift, what.version_id, f"the replica {replica}", known=hopeless))
        return found

    def _differences(self, rows: Mapping[str, Row]) -> list[Finding]:
        engine, found = self.reconciler.engine, []
        for vid, row in rows.items():
            if row.kind is not Kind.OBJECT or row.replica is None or row.status is not Status.COMPLETED:
                continue
            ref = VersionRef(self.reconciler.source_bucket, self.key.key, vid)
            try:
                difference = refresh.difference(
                    engine, engine.destination(self.key.destination), ref, row.replica
                )
            except SourceGone:
                continue
            if difference is not None and str(difference):
                found.append(Finding(Drift.DIFFERENT, vid, str(difference)))
        return found


def is_interrupted(head: Head | None, now: float) -> bool:
    """Whether something was left undone, and nobody is at work on it."""
    return head is not None and not head.clean and (head.lease is None or head.lease.expires < now)


def _task(key: LedgerKey, finding: Finding, left: Sequence[Finding], job: Job, report: Report | None) -> Task:
    task = Task(
        key=key.key,
        version=finding.version_id or None,
        destination=key.destination,
        status=TaskStatus.SUCCEEDED,
        detail=finding.detail,
        finding=None if finding.known else finding.drift,
    )
    if finding.drift is Drift.LOST and not job.restore_lost:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.REPLICA_LOST)
    if finding.drift is Drift.UNRECORDED and finding.known:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.SRC_VERSION_NOT_FOUND)
    if report is None:
        return replace(task, status=TaskStatus.SKIPPED, detail=finding.detail or "a dry run")
    if all((one.drift, one.version_id) != (finding.drift, finding.version_id) for one in left):
        return task
    about = [one for one in report.outcomes if one.version_id in (finding.version_id, None)]
    under_way = any(one.result in (Result.SENT_TO_LARGE_LANE, Result.DELAYED) for one in about)
    why = next((one for one in about if one.reason), None)
    return replace(
        task,
        status=TaskStatus.PENDING if under_way else TaskStatus.FAILED,
        reason=why.reason if why else Reason.UNSETTLED,
        detail=why.detail if why else finding.detail,
    )
