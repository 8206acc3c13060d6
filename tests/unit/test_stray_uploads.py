"""Uploads that nobody goes on with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from s3replicator.decisions.events import Upload
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.job_report import TaskStatus
from s3replicator.decisions.ledger import Head, LedgerKey, Row
from s3replicator.decisions.placement import Placement
from s3replicator.ports import OpenUpload
from s3replicator.usecases.placed_listing import PlacedLister
from s3replicator.usecases.stray_uploads import stray_uploads
from tests.unit.test_settling import row

NOW = 1_800_000_000.0
DAY = 86400.0


class Uploads:
    def __init__(self, *uploads: OpenUpload) -> None:
        self._uploads = uploads

    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        return [upload for upload in self._uploads if upload.key.startswith(prefix)]


class Unlistable(Uploads):
    """The list ends in a failure."""

    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        yield from super().uploads(prefix)
        raise RetryableError(Reason.UNAVAILABLE, "no answer")


class Rows:
    """A ledger that knows one key."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows

    def history(self, key: LedgerKey) -> tuple[Head | None, Mapping[str, Row]]:
        return (Head("source/key"), self._rows) if key.key == "key" else (None, {})


def found(rows: Mapping[str, Row], *uploads: OpenUpload, prefix: str = "") -> list[str | None]:
    bucket: Any = Uploads(*uploads)
    ledger: Any = Rows(rows)
    tasks = stray_uploads(ledger, PlacedLister(bucket, Placement("bucket")), prefix, NOW, "source")
    return [task.detail for task in tasks]


def test_uploads_that_cannot_be_listed_are_told_of_and_end_nothing() -> None:
    bucket: Any = Unlistable(OpenUpload("key", "u1", 0.0))
    ledger: Any = Rows({})
    tasks = list(stray_uploads(ledger, PlacedLister(bucket, Placement("bucket")), "", NOW, "source"))
    assert [(task.status, task.reason) for task in tasks] == [
        (TaskStatus.SKIPPED, None),
        (TaskStatus.FAILED, Reason.UNAVAILABLE),
    ]
    assert (tasks[1].key, tasks[1].destination, tasks[1].finding) == ("", "bucket", "StrayUpload")
    assert tasks[1].detail == "open uploads cannot be listed: no answer"


def test_one_of_more_than_a_day_at_a_key_of_ours_is_told_of() -> None:
    old = OpenUpload("key", "u1", NOW - DAY - 1)
    assert found({}, old) == ["the upload u1, begun 2027-01-14T07:59:59+00:00"]
    assert found({}, old, prefix="other/") == []


def test_one_that_may_be_under_way_is_not() -> None:
    assert found({}, OpenUpload("key", "u1", NOW - DAY)) == []


def test_one_that_a_row_remembers_is_not() -> None:
    waiting = replace(row("a"), upload=Upload("u1", "nonce", 0.0))
    assert found({"a": waiting}, OpenUpload("key", "u1", 0.0)) == []


def test_one_at_a_key_that_we_never_wrote_is_somebody_elses() -> None:
    assert found({}, OpenUpload("theirs", "u1", 0.0)) == []
