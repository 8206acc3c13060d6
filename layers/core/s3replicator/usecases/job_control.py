"""Jobs, as an operator sees them: started, watched, stopped, and what became of them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from s3replicator.decisions.failures import Reason, TerminalError
from s3replicator.decisions.job import InvalidJob, Job, JobKind, folder_of, job_document, parse_job
from s3replicator.decisions.job_progress import Batches, Progress, Run, run_name
from s3replicator.decisions.job_report import Summary
from s3replicator.ports import Clock, JobStore, Parallel

#: Between two looks at a job that is running, in seconds.
PAUSE: Final = 2.0

#: A job is not started again more often than this.
_MOST_RUNS: Final = 100


class NoSuchJob(Exception):
    """No job has this id, or it was so long ago that nothing knows it any more."""


class DocumentSpoiled(TerminalError):
    """What a job keeps is not as the functions write it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            Reason.REQUEST_REFUSED,
            f"{name} in the control bucket is not what a job has written: {problem};"
            " find out who writes there",
        )


class CannotStart(Exception):
    """The text says why not."""


class Machine(Protocol):
    """What runs the jobs."""

    def start(self, name: str, document: Mapping[str, Any]) -> bool:
        """False if the name has been used."""
        ...

    def find(self, name: str) -> Run | None: ...

    def latest(self, most: int) -> Sequence[str]:
        """Names, the newest first."""
        ...

    def stop(self, name: str) -> None: ...

    def batches(self, name: str) -> Batches | None:
        """None if it has not begun to work on any."""
        ...


@dataclass(frozen=True, slots=True)
class JobReport:
    """``request`` is what was asked for, ``manifest`` that of the completion report, ``survey`` what is known
    of what was looked at."""

    request: Mapping[str, Any] | None
    survey: Mapping[str, Any]
    summary: Summary | None
    manifest: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class JobControl:
    machine: Machine
    store: JobStore
    parallel: Parallel
    clock: Clock

    def start(self, job: Job, prepare: Callable[[], object] | None = None) -> Run:
        """The job goes on if it did not end. ``prepare`` writes its manifest, and is called once nothing
        stands against it. Raises ``CannotStart``."""
        runs = self._runs(job.id)
        self._check(job, runs)
        self._check_manifest(job, runs, given=prepare is not None)
        if prepare is not None:
            prepare()
        document = {"request": job_document(job), "job": job.id}
        for number in range(1, _MOST_RUNS):
            # The first name that is free: another job's run may have it, or another operator is quicker.
            name = run_name(job.id, number)
            if self.machine.find(name) is None and self.machine.start(name, document):
                return self._found(name)
        raise CannotStart(f"job {job.id} has been started {_MOST_RUNS} times: start one with another id")

    def _check(self, job: Job, runs: Sequence[Run]) -> None:
        if runs and runs[-1].running:
            raise CannotStart(f"job {job.id} is running already")
        known = self._document(f"{job.folder}job.json")
        if known is not None and known != job_document(job):
            raise CannotStart(f"job {job.id} was asked for something else: leave the id out, or give another")
        # A run that failed writes a report as well, if it can.
        if self._progress(job.id, runs[-1]).complete if runs else self._summary(job.id) is not None:
            raise CannotStart(
                f"job {job.id} has ended, and does nothing again: leave the id out, or give another"
            )

    def _check_manifest(self, job: Job, runs: Sequence[Run], *, given: bool) -> None:
        """A manifest is never replaced: what the survey has read of it would stay."""
        if runs and not given:
            return
        if next(iter(self.store.names(f"{job.folder}manifest/")), None) is not None:
            raise CannotStart(
                f"job {job.id} has its manifest: leave --manifest out to go on with it, or give another id"
                if runs
                else f"a manifest was left by a start of {job.id} that did not succeed: give another id"
            )

    def stored(self, job_id: str, kind: JobKind) -> Job | None:
        """What a job of this kind was asked for at first; None if there is none."""
        document: Mapping[str, Any] | None = self._document(f"{folder_of(job_id)}job.json")
        if document is None:
            # The survey has not come to write it.
            document = next((run.request for run in self._runs(job_id) if run.request), None)
        if document is None:
            return None
        try:
            job = parse_job(job_id, document)
        except InvalidJob as invalid:
            raise DocumentSpoiled(f"{folder_of(job_id)}job.json", str(invalid)) from invalid
        return job if job.kind is kind else None

    def _found(self, name: str) -> Run:
        run = self.machine.find(name)
        if run is None:
            raise NoSuchJob(name)
        return run

    def _runs(self, job_id: str) -> list[Run]:
        """Oldest first."""
        runs: list[Run] = []
        for number in range(1, _MOST_RUNS):
            run = self.machine.find(run_name(job_id, number))
            if run is None:
                break
            if run.job == job_id:
                runs.append(run)
        return runs

    def progress(self, job_id: str) -> Progress:
        """Raises ``NoSuchJob``."""
        runs = self._runs(job_id)
        if not runs:
            raise NoSuchJob(job_id)
        return self._progress(job_id, runs[-1])

    def _progress(self, job_id: str, run: Run) -> Progress:
        return Progress(
            job_id,
            run,
            batches=self.machine.batches(run.name),
            survey=self._survey(job_id),
            summary=self._summary(job_id) if not run.running else None,
        )

    def watch(self, job_id: str, told: Callable[[Progress], object]) -> Progress:
        """Until it has ended; ``told`` hears of every look. Raises ``NoSuchJob``."""
        progress = self.progress(job_id)
        while True:
            told(progress)
            if not progress.run.running:
                return progress
            self.clock.sleep(PAUSE)
            progress = self._progress(job_id, self._found(progress.run.name))

    def stop(self, job_id: str) -> Run | None:
        """The run that was stopped; None if none is running. Raises ``NoSuchJob``."""
        run = self.progress(job_id).run
        if not run.running:
            return None
        self.machine.stop(run.name)
        return self._found(run.name)

    def latest(self, most: int) -> list[Run]:
        """The newest run of each job, the newest first, among so many runs."""
        found = self.parallel.map(self.machine.find, self.machine.latest(most))
        newest: dict[str, Run] = {}
        for run in found:
            if run is not None and run.job is not None:
                newest.setdefault(run.job, run)
        return list(newest.values())

    def report(self, job_id: str) -> JobReport:
        """Raises ``NoSuchJob``."""
        request, manifest = (
            self._document(f"{folder_of(job_id)}{name}.json") for name in ("job", "report/manifest")
        )
        if request is None and not self._runs(job_id):
            raise NoSuchJob(job_id)
        return JobReport(request, self._survey(job_id), self._summary(job_id), manifest)

    def report_names(self, job_id: str) -> Iterator[str]:
        """What lies in the folder of the completion report, by the names there. Whoever may write there gives
        them: they need not be names of files."""
        folder = _report_folder(job_id)
        return (name.removeprefix(folder) for name in self.store.names(folder))

    def report_file(self, job_id: str, name: str) -> bytes | None:
        return self.store.read(f"{_report_folder(job_id)}{name}")

    def _summary(self, job_id: str) -> Summary | None:
        name = f"{_report_folder(job_id)}summary.json"
        document = self._document(name)
        try:
            return Summary.read(document) if document is not None else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DocumentSpoiled(name, repr(error)) from error

    def _survey(self, job_id: str) -> dict[str, Any]:
        return self._document(f"{folder_of(job_id)}survey.json") or {}

    def _document(self, name: str) -> dict[str, Any] | None:
        body = self.store.read(name)
        if body is None:
            return None
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DocumentSpoiled(name, str(error)) from error
        if not isinstance(document, dict):
            raise DocumentSpoiled(name, f"it is a JSON {type(document).__name__}, not an object")
        return document


def _report_folder(job_id: str) -> str:
    return f"{folder_of(job_id)}report/"
