"""The end of a job: what is still under way is waited for, then everything is summed up and reported."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from s3replicator.decisions.job import Job, parse_job
from s3replicator.decisions.job_report import (
    KeyRows,
    ReportFile,
    Summary,
    Task,
    TaskStatus,
    ended,
    lines_of,
    report_file,
    report_lines,
    report_manifest,
    tasks_of,
)
from s3replicator.decisions.ledger import LedgerKey, source_name
from s3replicator.decisions.versions import VersionRef
from s3replicator.ports import Clock, JobStore, Ledger, Parallel

#: How often what is under way is looked at before the report is made without it: about six hours.
_LOOKS: Final = 80
_LONGEST_WAIT: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Part:
    """What one file of results comes to."""

    summary: Summary
    files: tuple[ReportFile, ...] = ()


@dataclass(frozen=True, slots=True)
class JobFinish:
    """``control_bucket`` keeps the report. ``report_drift`` is told how many findings there were."""

    ledger: Ledger
    store: JobStore
    clock: Clock
    parallel: Parallel
    source_bucket: str
    control_bucket: str
    report_drift: Callable[[str, int], None]

    def run(self, job_id: str, attempt: int) -> dict[str, Any]:
        """{"done": bool, "wait": seconds until it should be called again, "failed": batches that came to no
        end}; ``attempt`` counts from 0."""
        job, survey = self._job(job_id)
        last = attempt >= _LOOKS or not job.repair
        names = list(self.store.names(f"{job.folder}results/"))
        pending = sum(self.parallel.map(self._look_again, names))
        if pending and not last:
            return {"done": False, "wait": min(_LONGEST_WAIT, 5.0 * 2 ** min(attempt, 10)), "failed": 0}
        parts = self.parallel.map(lambda name: self._report(job, name), names)
        totals = survey.get("totals", {})
        summary = Summary(versions=totals.get("versions", 0), octets=totals.get("bytes", 0))
        for part in parts:
            summary += part.summary
        failed = self._without_results(job, names)
        told = {"survey": totals, "batchesFailed": failed, "ended": self.clock.now()}
        self._write(job, {**summary.document(), **told}, [file for part in parts for file in part.files])
        self.report_drift(self.source_bucket, sum(summary.findings.values()))
        return {"done": True, "wait": 0, "failed": failed}

    def _without_results(self, job: Job, results: Sequence[str]) -> int:
        ended = {name.rpartition("/")[2] for name in results}
        return sum(name.rpartition("/")[2] not in ended for name in self.store.names(f"{job.folder}batches/"))

    def _job(self, job_id: str) -> tuple[Job, Mapping[str, Any]]:
        folder = parse_job(job_id, {"Kind": "backfill"}).folder
        documents = [self.store.read(f"{folder}{name}.json") for name in ("job", "survey")]
        job, survey = (json.loads(body) if body is not None else {} for body in documents)
        return parse_job(job_id, job), survey

    # -- what was under way

    def _look_again(self, name: str) -> int:
        """Bring a file of results up to date; how many tasks are still under way."""
        tasks = list(tasks_of(self.store.read(name) or b""))
        # The tasks of one key follow each other, and are thousands perhaps.
        rows_of = lru_cache(maxsize=1)(self._rows)
        now = [self._as_it_is(task, rows_of) if task.status is TaskStatus.PENDING else task for task in tasks]
        if now != tasks:
            self.store.write(name, lines_of(now))
        return sum(task.status is TaskStatus.PENDING for task in now)

    def _rows(self, place: LedgerKey, source: str) -> KeyRows:
        head, rows = self.ledger.history(place)
        if head is None or not head.is_of(source):
            return KeyRows.of({})
        return KeyRows.of(rows, is_open=not head.clean)

    def _as_it_is(self, task: Task, rows_of: Callable[[LedgerKey, str], KeyRows]) -> Task:
        if task.version is None:
            return task
        source = source_name(VersionRef(self.source_bucket, task.key, ""))
        if task.finding is not None:
            return rows_of(task.place, source).ended(task)
        row = self.ledger.peek(task.place, source, task.version)
        return task if row is None else ended(task, row)

    # -- the report

    def _report(self, job: Job, name: str) -> _Part:
        tasks = list(tasks_of(self.store.read(name) or b""))
        told = report_lines(self.source_bucket, tasks, failed_only=job.failed_only)
        short = name.rpartition("/")[2].removesuffix(".jsonl")
        files = []
        for status, body in told.items():
            key = f"{job.folder}report/{short}-{status.told}.csv"
            self.store.write(key, body)
            files.append(report_file(status, key, body))
        return _Part(Summary.of(tasks), tuple(files))

    def _write(self, job: Job, summary: Mapping[str, Any], files: Sequence[ReportFile]) -> None:
        manifest = report_manifest(self.control_bucket, files, self.clock.now())
        for name, document in (("manifest", manifest), ("summary", summary)):
            self.store.write(f"{job.folder}report/{name}.json", json.dumps(document, indent=2).encode())
