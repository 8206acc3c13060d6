"""What was decided of a version that looks like a replica, as rows and messages keep it: it may be lost, and
then it is decided again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from s3replicator.adapters.ledger_items import read_row, row_item
from s3replicator.decisions import letters
from s3replicator.decisions.events import ENVELOPE, Change, Origin, parse_body
from s3replicator.decisions.ledger import LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind, SourceObject
from s3replicator.usecases.work import Work

KEY = LedgerKey("replica-bucket", "key")
ROW = Row(Kind.OBJECT, Status.PENDING, OrderFacts("0A", 12.0), event_time=12.0, origin=Origin.ONWARD)


def only(body: Mapping[str, Any]) -> Change:
    [change] = parse_body(json.dumps(body)).changes
    return change


@pytest.mark.parametrize("origin", [None, *Origin])
def test_a_row_and_every_message_made_of_it_say_the_same(origin: Origin | None) -> None:
    row = Row(Kind.OBJECT, Status.FAILED, OrderFacts("0A", 12.0), event_time=12.0, origin=origin)
    item = row_item(KEY, "source-bucket/key", 1, "v1", row)
    assert read_row(item) == ("v1", row)
    assert ("origin" in item["row"]["M"]) == (origin is not None)
    change = only(letters.from_row("source-bucket/key", "v1", row, KEY))
    assert change.origin is origin
    assert only(letters.for_destination(change, "replica-bucket")).origin is origin
    assert only(letters.parked(change, "replica-bucket", "rule", row)[0]).origin is origin


def test_what_is_read_at_last_is_decided_at_last() -> None:
    """Else a retry that is not told who wrote it would decide once more."""
    waits = replace(ROW, origin=Origin.UNDECIDED)
    change = only(letters.from_row("source-bucket/key", "v1", waits, KEY))
    unread = Work(change, "replica-bucket", None)
    assert unread.row(Status.PENDING, waits).origin is Origin.UNDECIDED
    version = SourceObject(change.ref, 1, '"etag"', 12.0)
    read = Work(replace(change, origin=None), "replica-bucket", None, source=version)
    assert read.row(Status.PENDING, waits).origin is None


@pytest.mark.parametrize("before", [None, Origin.USER, Origin.ONWARD])
def test_what_was_decided_is_not_undecided_by_who_cannot_look(before: Origin | None) -> None:
    change = only(letters.from_row("source-bucket/key", "v1", replace(ROW, origin=Origin.UNDECIDED), KEY))
    row = Work(change, "replica-bucket", None).row(Status.PENDING, replace(ROW, origin=before))
    assert row.origin is before


def test_a_row_of_the_former_release_says_nothing() -> None:
    item = row_item(KEY, "source-bucket/key", 1, "v1", ROW)
    del item["row"]["M"]["origin"]
    assert read_row(item)[1].origin is None


def test_what_a_later_release_may_say_is_decided_again() -> None:
    item = row_item(KEY, "source-bucket/key", 1, "v1", ROW)
    item["row"]["M"]["origin"] = {"S": "something else"}
    assert read_row(item)[1].origin is None


@pytest.mark.parametrize("said", ["something else", "", 7, None, {}, []])
def test_a_message_that_says_something_else_is_still_a_message(said: object) -> None:
    body = letters.from_row("source-bucket/key", "v1", ROW, KEY)
    body["Records"][0][ENVELOPE]["origin"] = said
    change = only(body)
    assert (change.origin, change.destination) == (None, "replica-bucket")
