"""A job's tasks, their sum, and a completion report that tools made for S3 Batch Operations can read."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.job_report import (
    UNFINISHED,
    ReportFile,
    Summary,
    Task,
    TaskStatus,
    ended,
    ended_finding,
    is_file_name,
    lines_of,
    report_file,
    report_lines,
    report_manifest,
    tasks_of,
)
from s3replicator.decisions.ledger import OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind
from tests.unit.strategies import buckets, keys, version_ids, version_names

COLUMNS = ["Bucket", "Key", "VersionId", "TaskStatus", "ErrorCode", "HTTPStatusCode", "ResultMessage"]

_reasons = st.sampled_from(["DstBucketNotFound", "SrcObjectNotEligible", "ReplicaLost"])
tasks = st.builds(
    Task,
    key=keys,
    version=st.none() | version_names,
    destination=buckets,
    status=st.sampled_from(TaskStatus),
    reason=st.none() | _reasons,
    detail=st.none() | st.text(max_size=40),
    replica=st.none() | version_ids,
    finding=st.none() | st.sampled_from(["Missing", "Lost"]),
)
jobs = st.lists(tasks, max_size=12)
summaries = st.builds(
    lambda told, versions, octets: Summary.of(told) + Summary(versions, octets),
    jobs,
    st.integers(0, 10**9),
    st.integers(0, 2**50),
)


def rows(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(body.decode().splitlines(), COLUMNS, strict=True))


# -- results files


@given(jobs)
def test_tasks_are_read_back_as_they_were_written(told: list[Task]) -> None:
    assert list(tasks_of(lines_of(told))) == told


@given(jobs)
def test_a_task_is_one_line(told: list[Task]) -> None:
    body = lines_of(told)
    assert body.count(b"\n") == len(told)
    assert body.decode("ascii").splitlines() == [line for line in body.decode().split("\n") if line]


def test_a_line_says_only_what_is_known() -> None:
    task = Task("a/key", "v1", "replicas", TaskStatus.SUCCEEDED, replica="r1")
    assert json.loads(lines_of([task])) == {
        "key": "a/key",
        "version": "v1",
        "destination": "replicas",
        "status": "SUCCEEDED",
        "replica": "r1",
    }


# -- the sum


@given(summaries, summaries, summaries)
def test_summaries_add_up_in_any_order(one: Summary, two: Summary, three: Summary) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + Summary() == one


@given(jobs, jobs)
def test_the_sum_of_two_files_is_that_of_their_tasks(one: list[Task], two: list[Task]) -> None:
    whole = Summary.of([*one, *two])
    assert Summary.of(one) + Summary.of(two) == whole
    assert whole.tasks == len(one) + len(two) == sum(whole.count(status) for status in TaskStatus)


@given(summaries)
def test_a_summary_is_read_back_as_it_was_written(summary: Summary) -> None:
    assert Summary.read(json.loads(json.dumps(summary.document()))) == summary


def task(status: TaskStatus, reason: str | None = None, finding: str | None = None) -> Task:
    return Task("key", "v", "replicas", status, reason=reason, finding=finding)


# -- how tasks end

THERE = Row(
    kind=Kind.OBJECT, status=Status.COMPLETED, order=OrderFacts(None, 1.0), replica="r", completed=2.0
)
LOST = replace(THERE, replica=None, lost=True)
#: Its annotations, for example, after its parts.
OWED = replace(THERE, owed=frozenset({ChangeKind.ANNOTATED}))


def come_back_for(row: Row) -> Row:
    """In the wrong place, without its new tags, or being copied again."""
    return replace(row, reason="Throttled", detail="SlowDown", due=3.0)


@pytest.mark.parametrize(
    ("row", "status", "reason"),
    [
        (THERE, TaskStatus.SUCCEEDED, None),
        (LOST, TaskStatus.SKIPPED, "ReplicaLost"),
        (OWED, TaskStatus.PENDING, "PENDING"),
        (replace(OWED, reason="DstObjectLocked"), TaskStatus.FAILED, "DstObjectLocked"),
        (come_back_for(THERE), TaskStatus.PENDING, "Throttled"),
        (come_back_for(LOST), TaskStatus.PENDING, "Throttled"),
        (replace(THERE, status=Status.FAILED, reason="Throttled"), TaskStatus.FAILED, "Throttled"),
        (replace(THERE, status=Status.SUPERSEDED), TaskStatus.SKIPPED, "SUPERSEDED"),
    ],
)
def test_a_task_ends_as_its_row_does(row: Row, status: TaskStatus, reason: str | None) -> None:
    told = ended(task(TaskStatus.PENDING), row)
    assert (told.status, told.reason) == (status, reason)


def test_a_finding_is_put_right_when_nobody_comes_back_for_any_version_of_its_key() -> None:
    found, late = task(TaskStatus.PENDING, finding="Lost"), come_back_for(THERE)
    assert ended_finding(found, {"v": THERE, "other": THERE}).status is TaskStatus.SUCCEEDED
    told = ended_finding(found, {"v": THERE, "other": late})
    assert (told.status, told.reason) == (TaskStatus.PENDING, "Throttled")
    failed = replace(THERE, status=Status.FAILED)
    assert ended_finding(found, {"v": failed, "other": late}).status is TaskStatus.FAILED
    assert ended_finding(found, {"other": THERE}) == found


def test_a_summary_counts_by_status_reason_and_finding() -> None:
    summary = Summary(3, 100) + Summary.of(
        [
            task(TaskStatus.SUCCEEDED, finding="Missing"),
            task(TaskStatus.FAILED, "DstBucketNotFound", "Missing"),
            task(TaskStatus.FAILED, "DstBucketNotFound"),
            task(TaskStatus.FAILED, "Throttled"),
            task(TaskStatus.SKIPPED, "SrcObjectNotEligible"),
        ]
    )
    assert summary.document() == {
        "versions": 3,
        "bytes": 100,
        "tasks": 5,
        "statuses": {"SUCCEEDED": 1, "FAILED": 3, "SKIPPED": 1, "PENDING": 0},
        "reasons": {
            "SUCCEEDED": {"": 1},
            "FAILED": {"DstBucketNotFound": 2, "Throttled": 1},
            "SKIPPED": {"SrcObjectNotEligible": 1},
        },
        "findings": {"Missing": 2},
    }
    assert list(summary.reasons(TaskStatus.FAILED)) == ["DstBucketNotFound", "Throttled"]


def test_what_was_skipped_is_no_failure() -> None:
    assert Summary().succeeded
    assert Summary.of([task(TaskStatus.SUCCEEDED), task(TaskStatus.SKIPPED, "SrcVersionNotFound")]).succeeded
    assert not Summary.of([task(TaskStatus.FAILED)]).succeeded
    assert not Summary.of([task(TaskStatus.PENDING)]).succeeded


# -- the completion report


@given(buckets, jobs)
def test_the_report_tells_every_task_once(bucket: str, told: list[Task]) -> None:
    files = report_lines(bucket, told, failed_only=False)
    assert sum(len(rows(body)) for body in files.values()) == len(told)
    for status, body in files.items():
        expected = [each for each in told if each.status is status]
        for row, each in zip(rows(body), expected, strict=True):
            assert row["Bucket"] == bucket
            assert unquote(row["Key"]) == each.key
            assert row["TaskStatus"] == status.lower()
            assert row["ErrorCode"] == (each.reason or "")
            assert json.loads(row["ResultMessage"])["destination"] == each.destination


@given(buckets, jobs)
def test_a_report_of_failures_leaves_out_what_needs_nobody(bucket: str, told: list[Task]) -> None:
    files = report_lines(bucket, told, failed_only=True)
    assert files.keys() <= UNFINISHED
    assert files == {
        status: body
        for status, body in report_lines(bucket, told, failed_only=False).items()
        if status in UNFINISHED
    }


def test_a_report_can_be_made_piece_by_piece() -> None:
    one, two = task(TaskStatus.FAILED, "Throttled"), task(TaskStatus.FAILED, "KeyBusy")

    def failed(told: Sequence[Task]) -> bytes:
        return report_lines("source", told, failed_only=False)[TaskStatus.FAILED]

    assert failed([one]) + failed([two]) == failed([one, two])


def test_lines_are_those_of_s3_batch_operations() -> None:
    told = [
        Task("a b/ü,c.jpg", "null@1-ab", "replicas", TaskStatus.SUCCEEDED, replica="r1"),
        Task("k", "v", "replicas", TaskStatus.FAILED, "DstBucketNotFound", 'says "no"\nthe bucket'),
        Task("k", None, "replicas", TaskStatus.SKIPPED, "ReplicaLost", finding="Lost"),
    ]
    assert report_lines("photos", told, failed_only=False) == {
        TaskStatus.SUCCEEDED: b"photos,a%20b/%C3%BC%2Cc.jpg,null,succeeded,,200,"
        b'"{""destination"": ""replicas"", ""replica"": ""r1""}"\n',
        TaskStatus.FAILED: b"photos,k,v,failed,DstBucketNotFound,,"
        b'"{""destination"": ""replicas"", ""detail"": ""says \\""no\\""\\nthe bucket""}"\n',
        TaskStatus.SKIPPED: b"photos,k,,skipped,ReplicaLost,,"
        b'"{""destination"": ""replicas"", ""finding"": ""Lost""}"\n',
    }


def test_the_manifest_is_that_of_s3_batch_operations() -> None:
    file = report_file(TaskStatus.FAILED, "jobs/one/report/failed-1.csv", b"body")
    assert file == ReportFile(TaskStatus.FAILED, file.key, "841a2d689ad86bd1611447453c22c6fc")
    assert report_manifest("control", [file], 1_554_486_519.725) == {
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": "2019-04-05T17:48:39.725Z",
        "Results": [
            {
                "TaskExecutionStatus": "failed",
                "Bucket": "control",
                "MD5Checksum": file.md5,
                "Key": "jobs/one/report/failed-1.csv",
            }
        ],
        "ReportSchema": ", ".join(COLUMNS),
    }


def test_what_jobs_write_are_names_of_files_and_nothing_that_leads_elsewhere() -> None:
    for name in ("manifest.json", "summary.json", "1-2-000003-succeeded.csv", "uploads-failed.csv"):
        assert is_file_name(name)
    for name in (
        "",
        ".",
        "..",
        "../x",
        "/x",
        "a/b",
        "a\\b",
        ".bashrc",
        "a\0b",
        "a\n",
        "x" * 201,
        "-rf",
        "c:x",
    ):
        assert not is_file_name(name)
