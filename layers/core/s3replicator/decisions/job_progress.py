"""How far a job has come: what the state machine tells of it, and what its folder does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from s3replicator.decisions.job import JobKind
from s3replicator.decisions.job_report import Summary


class RunStatus(StrEnum):
    """As Step Functions calls them."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    #: Somebody stopped it.
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"


class Phase(StrEnum):
    #: Lists, and decides what there is to be worked on.
    SURVEY = "survey"
    WORK = "work"
    #: Waits for what is still under way, and writes the completion report.
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the state machine, by its name; a job that is started again has several. Times in
    seconds since the epoch. ``problem`` is why it failed."""

    name: str
    status: RunStatus
    started: float
    ended: float | None = None
    job: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None

    @property
    def running(self) -> bool:
        return self.status is RunStatus.RUNNING

    @property
    def kind(self) -> str | None:
        kind = self.request.get("Kind")
        return kind if isinstance(kind, str) else None


@dataclass(frozen=True, slots=True)
class Batches:
    """How many there are, and how many of them are done; ``failed`` are among these."""

    total: int
    done: int
    failed: int
    running: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """``survey`` is what the survey has written down so far; ``summary`` is there once the report is."""

    job: str
    run: Run
    batches: Batches | None = None
    survey: Mapping[str, Any] = field(default_factory=dict)
    summary: Summary | None = None

    @property
    def totals(self) -> Mapping[str, int]:
        """What the survey has counted."""
        totals: Mapping[str, int] = self.survey.get("totals", {})
        return totals

    @property
    def phase(self) -> Phase | None:
        """None once it has ended."""
        if not self.run.running:
            return None
        if self.batches is not None:
            return Phase.WORK if self.batches.running else Phase.REPORT
        nothing_to_do = self.survey.get("done") and not self.totals.get("batches")
        return Phase.REPORT if nothing_to_do else Phase.SURVEY

    @property
    def complete(self) -> bool:
        """It has ended, and every batch was worked through."""
        return self.run.status is RunStatus.SUCCEEDED and not (self.batches and self.batches.failed)

    @property
    def succeeded(self) -> bool:
        """It is complete, and nothing is left for anybody to look after; what a dry run found is."""
        if not self.complete or self.summary is None:
            return False
        only_found = bool(self.run.request.get("DryRun")) and bool(self.summary.findings)
        return self.summary.succeeded and not only_found


def run_name(job_id: str, number: int) -> str:
    """A name can be used once in 90 days: the first run's is the job's id, the others say which they are."""
    return job_id if number == 1 else f"{job_id}-{number}"


def new_id(kind: JobKind, now: float) -> str:
    return f"{kind}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
