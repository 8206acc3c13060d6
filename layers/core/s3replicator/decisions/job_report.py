"""What a job did: its tasks, their sum, and the completion report in the form of S3 Batch Operations.

A task is one version at one destination. The report tells of it with a line of CSV, as S3 does of an object:

    Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage

* ``Key`` is URL-encoded. ``VersionId`` is S3's, so that a null version is called null.
* ``TaskStatus`` is ``succeeded`` or ``failed``, and in two cases what S3 has no word for. ``skipped``:
  nothing was to be done, because the version is gone, or cannot or shall not be replicated; its reason
  stands in ``ErrorCode``, and it never counts as failed. ``pending``: still under way when the report was
  written; the ledger tells how it ended.
* ``ErrorCode`` is a reason code, ``HTTPStatusCode`` 200 or empty: several requests make one task. (S3
  declares this order in its manifests, though an example of it shows the two the other way round.)
* ``ResultMessage`` is a JSON object: the destination, and what else is known.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
"""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import LedgerKey, Row, Status
from s3replicator.decisions.versions import id_for_s3

FORMAT: Final = "Report_CSV_20180820"
SCHEMA: Final = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"


#: What a report's files are called, and no more than any system takes: nothing that leads elsewhere.
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def is_file_name(text: str) -> bool:
    """Whether an object of the report's folder may become a file of this name."""
    return _FILE_NAME.fullmatch(text) is not None


class TaskStatus(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    PENDING = "PENDING"

    @property
    def told(self) -> str:
        """As the report calls it."""
        return self.value.lower()


#: What a report of the failed tasks only tells of: whatever somebody may have to look after.
UNFINISHED: Final = frozenset({TaskStatus.FAILED, TaskStatus.PENDING})


@dataclass(frozen=True, slots=True)
class Task:
    """One version at one destination. ``version`` is its name at the source; None where only the replica is
    known. ``replica`` is the version id at the destination, ``replica_key`` the key there if it is another,
    ``finding`` what a comparison found wrong."""

    key: str
    version: str | None
    destination: str
    status: TaskStatus
    reason: str | None = None
    detail: str | None = None
    replica: str | None = None
    finding: str | None = None
    replica_key: str | None = None

    @property
    def only_found(self) -> bool:
        """Nothing is known yet of what became of it."""
        return self.status is TaskStatus.PENDING and self.finding is not None and self.reason is None

    @property
    def place(self) -> LedgerKey:
        """Where the replica is, or should be."""
        return LedgerKey(self.destination, self.replica_key or self.key)


_STATUSES: Final = {
    Status.COMPLETED: TaskStatus.SUCCEEDED,
    Status.FAILED: TaskStatus.FAILED,
    Status.PENDING: TaskStatus.PENDING,
    Status.NOT_ELIGIBLE: TaskStatus.SKIPPED,
    Status.SUPERSEDED: TaskStatus.SKIPPED,
    Status.TOMBSTONE: TaskStatus.SKIPPED,
}


def ended(task: Task, row: Row) -> Task:
    """The task, as the ledger tells of it by now."""
    status = _STATUSES[row.standing]
    if status is TaskStatus.SUCCEEDED and row.due is not None:
        # The replica is gone, or in the wrong place, and somebody comes back for that.
        status = TaskStatus.PENDING
    if status is TaskStatus.SUCCEEDED and not row.live:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.REPLICA_LOST)
    succeeded = status is TaskStatus.SUCCEEDED
    return replace(
        task,
        status=status,
        reason=None if succeeded else row.reason or row.standing,
        detail=None if succeeded else row.detail,
        replica=row.replica,
    )


@dataclass(frozen=True, slots=True)
class KeyRows:
    """What the ledger says of a key by now, for many findings."""

    rows: Mapping[str, Row]
    late: Mapping[str, Row]
    is_open: bool

    @classmethod
    def of(cls, rows: Mapping[str, Row], *, is_open: bool = False) -> "KeyRows":
        """``late``: one that somebody comes back for, if there is any; ``is_open``: the whole key is, and no
        row need say so."""
        late = islice(((vid, row) for vid, row in rows.items() if row.due is not None), 1)
        return cls(rows, dict(late), is_open)

    def ended(self, finding: Task) -> Task:
        vid = finding.version or ""
        own = {vid: self.rows[vid]} if vid in self.rows else {}
        told = ended_finding(finding, {**self.late, **own})
        if self.is_open and told.status is TaskStatus.SUCCEEDED:
            return replace(told, status=TaskStatus.PENDING, reason=Reason.UNSETTLED)
        return told


def ended_finding(task: Task, rows: Mapping[str, Row]) -> Task:
    """Like ``ended``, of a finding: the versions of a key are in order when nobody comes back for any."""
    row = rows.get(task.version or "")
    if row is None:
        return task
    told = ended(task, row)
    late = next((one for one in rows.values() if one.due is not None), None)
    if told.status is not TaskStatus.SUCCEEDED or late is None:
        return told
    return replace(told, status=TaskStatus.PENDING, reason=late.reason or late.status, detail=late.detail)


def lines_of(tasks: Iterable[Task]) -> bytes:
    """A results file: a line of JSON a task."""
    return b"".join(json.dumps(_document(task)).encode() + b"\n" for task in tasks)


def tasks_of(body: bytes) -> Iterator[Task]:
    """The tasks of a results file."""
    for line in body.split(b"\n"):
        if line:
            told = json.loads(line)
            yield Task(**{**told, "status": TaskStatus(told["status"])})


def _document(task: Task) -> dict[str, Any]:
    return {
        "key": task.key,
        "version": task.version,
        "destination": task.destination,
        "status": task.status,
        **_told(task, "reason", "detail", "replica", "finding", "replica_key"),
    }


def _told(task: Task, *names: str) -> dict[str, str]:
    """Those that are known."""
    return {name: value for name in names if (value := getattr(task, name)) is not None}


# -- the sum


@dataclass(frozen=True, slots=True)
class Summary:
    """A sum over tasks, made file by file: summaries can be added. ``versions`` and ``octets`` (bytes) are
    what was looked at, ``counts`` the tasks by status and reason ("" for none)."""

    versions: int = 0
    octets: int = 0
    counts: Mapping[tuple[TaskStatus, str], int] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> "Summary":
        counts: Counter[tuple[TaskStatus, str]] = Counter()
        findings: Counter[str] = Counter()
        for task in tasks:
            counts[task.status, task.reason or ""] += 1
            if task.finding is not None:
                findings[task.finding] += 1
        return cls(counts=counts, findings=findings)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Summary":
        """What ``document`` gave."""
        return cls(
            versions=document["versions"],
            octets=document["bytes"],
            counts={
                (TaskStatus(status), reason): count
                for status, reasons in document["reasons"].items()
                for reason, count in reasons.items()
            },
            findings=dict(document["findings"]),
        )

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            self.versions + other.versions,
            self.octets + other.octets,
            Counter(self.counts) + Counter(other.counts),
            Counter(self.findings) + Counter(other.findings),
        )

    @property
    def tasks(self) -> int:
        return sum(self.counts.values())

    def count(self, status: TaskStatus) -> int:
        return sum(count for (told, _), count in self.counts.items() if told is status)

    @property
    def succeeded(self) -> bool:
        """Nothing is left for anybody to look after."""
        return not any(self.count(status) for status in UNFINISHED)

    def reasons(self, status: TaskStatus) -> dict[str, int]:
        """How many of this status there are for each reason, the most frequent first."""
        told = {reason: count for (held, reason), count in self.counts.items() if held is status}
        return dict(sorted(told.items(), key=lambda entry: (-entry[1], entry[0])))

    def document(self) -> dict[str, Any]:
        return {
            "versions": self.versions,
            "bytes": self.octets,
            "tasks": self.tasks,
            "statuses": {status.value: self.count(status) for status in TaskStatus},
            "reasons": {status.value: told for status in TaskStatus if (told := self.reasons(status))},
            "findings": dict(sorted(self.findings.items())),
        }


# -- the completion report


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A CSV file of the report. ``md5`` is that of its body, in hexadecimal."""

    status: TaskStatus
    key: str
    md5: str


def report_lines(bucket: str, tasks: Iterable[Task], *, failed_only: bool) -> dict[TaskStatus, bytes]:
    """Lines of CSV, by the kind of file that they belong into. ``bucket`` is the source's name."""
    told: dict[TaskStatus, io.StringIO] = {}
    for task in tasks:
        if not failed_only or task.status in UNFINISHED:
            written = csv.writer(told.setdefault(task.status, io.StringIO(newline="")), lineterminator="\n")
            written.writerow(_row(bucket, task))
    return {status: text.getvalue().encode() for status, text in told.items()}


def report_file(status: TaskStatus, key: str, body: bytes) -> ReportFile:
    return ReportFile(status, key, hashlib.md5(body, usedforsecurity=False).hexdigest())


def report_manifest(bucket: str, files: Sequence[ReportFile], created: float) -> dict[str, Any]:
    """``manifest.json``. ``bucket`` is where the report is kept, ``created`` in seconds since the epoch."""
    moment = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
    return {
        "Format": FORMAT,
        "ReportCreationDate": moment.replace("+00:00", "Z"),
        "Results": [
            {
                "TaskExecutionStatus": file.status.told,
                "Bucket": bucket,
                "MD5Checksum": file.md5,
                "Key": file.key,
            }
            for file in files
        ],
        "ReportSchema": SCHEMA,
    }


def _row(bucket: str, task: Task) -> list[str]:
    message = {"destination": task.destination, **_told(task, "replica", "finding", "detail")}
    return [
        bucket,
        quote(task.key),
        id_for_s3(task.version) if task.version is not None else "",
        task.status.told,
        task.reason or "",
        "200" if task.status is TaskStatus.SUCCEEDED else "",
        json.dumps(message),
    ]
