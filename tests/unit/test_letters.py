"""What the functions send to each other, and to people, is an S3 event that says what happened."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions import letters
from s3replicator.decisions.events import (
    ENVELOPE,
    EVENT_NAMES,
    Change,
    ChangeKind,
    Upload,
    build_record,
    parse_event,
    with_envelope,
)
from s3replicator.decisions.ledger import LedgerKey, OrderFacts, Row, Status, source_name
from s3replicator.decisions.versions import Kind, VersionRef
from tests.unit.strategies import buckets, keys, rows, sequencers, times, uploads, version_ids

#: Attributes of an SQS message: at most ten, none of them empty, of characters XML can carry.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
MOST_ATTRIBUTES = 10
ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
ATTRIBUTE_VALUE = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")

rule_ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)
request_ids = st.none() | st.text("0123456789ABCDEF", min_size=16, max_size=16)
failed_rows = st.builds(
    replace,
    rows,
    status=st.just(Status.FAILED),
    reason=st.sampled_from(["DstBucketNotFound", "DstPutObjectNotPermitted"]),
    request_id=request_ids,
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """As they come in: from S3, or sent back by ourselves."""
    record = build_record(
        kind=draw(st.sampled_from(sorted(EVENT_NAMES))),
        ref=draw(st.builds(VersionRef, buckets, keys, version_ids)),
        sequencer=draw(st.none() | sequencers),
        event_time=draw(times),
    )
    record = {**record, "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"}}
    if draw(st.booleans()):
        upload = draw(st.none() | uploads)
        carried = upload and {"id": upload.upload_id, "nonce": upload.nonce, "started": upload.started}
        record = with_envelope(record, {"destination": draw(buckets), "upload": carried, "reason": "KeyBusy"})
    return only({"Records": [record]})


def only(body: Any) -> Change:
    """The one change in a message, after a journey through a queue."""
    intake = parse_event(json.loads(json.dumps(body)))
    assert intake.unreadable == ()
    [change] = intake.changes
    return change


# -- parked


@given(changes(), buckets, st.none() | rule_ids, failed_rows)
def test_a_parked_message_is_the_same_change_for_its_destination_only(
    change: Change, destination: str, rule: str | None, row: Row
) -> None:
    """Sent back by any tool, it is evaluated again for that destination; what was uploaded is gone."""
    body, _ = letters.parked(change, destination, rule, row)
    assert only(body) == replace(change, destination=destination, upload=None, origin=row.origin)


@given(changes(), buckets, st.none() | rule_ids, failed_rows)
def test_a_parked_message_has_attributes_that_sqs_takes(
    change: Change, destination: str, rule: str | None, row: Row
) -> None:
    _, attributes = letters.parked(change, destination, rule, row)
    assert len(attributes) <= MOST_ATTRIBUTES
    for name, value in attributes.items():
        assert ATTRIBUTE_NAME.fullmatch(name)
        assert type(value) is str
        assert ATTRIBUTE_VALUE.fullmatch(value)


@given(changes(), buckets, rule_ids, failed_rows)
def test_the_attributes_say_what_the_body_says(change: Change, destination: str, rule: str, row: Row) -> None:
    body, attributes = letters.parked(change, destination, rule, row)
    [record] = body["Records"]
    for name, value in attributes.items():
        assert str(record[ENVELOPE][name]) == value


def test_a_parked_message_tells_an_operator_all_that_is_known() -> None:
    change = only(
        {"Records": [build_record(kind=ChangeKind.CREATED, ref=REF, sequencer="0A", event_time=12.5)]}
    )
    row = Row(
        Kind.OBJECT,
        Status.FAILED,
        OrderFacts("0A", 12.5),
        reason="DstPutObjectNotPermitted",
        detail="copying to the destination: AccessDenied",
        request_id="7Q3K5T9XB2",
        attempts=4,
        first_failure=1795338904.25,
        last_failure=1795338906.5,
    )
    body, attributes = letters.parked(change, "replica-bucket", "everything", row)
    assert attributes == {
        "destination": "replica-bucket",
        "rule": "everything",
        "reason": "DstPutObjectNotPermitted",
        "attempts": "4",
        "firstFailure": "2026-11-22T09:15:04.250+00:00",
        "lastFailure": "2026-11-22T09:15:06.500+00:00",
        "requestId": "7Q3K5T9XB2",
    }
    [record] = body["Records"]
    assert record[ENVELOPE]["detail"] == "copying to the destination: AccessDenied"
    assert record[ENVELOPE]["attempts"] == 4


@pytest.mark.parametrize("unknown", [None, ""])
def test_what_is_not_known_is_left_out(unknown: str | None) -> None:
    """SQS refuses an empty attribute, and the message would never be parked."""
    change = only(
        {"Records": [build_record(kind=ChangeKind.CREATED, ref=REF, sequencer=None, event_time=0.0)]}
    )
    row = Row(Kind.OBJECT, Status.FAILED, OrderFacts(None, 0.0), reason="KeyBusy", request_id=unknown)
    _, attributes = letters.parked(change, "replica-bucket", None, row)
    assert attributes == {"destination": "replica-bucket", "reason": "KeyBusy", "attempts": "0"}


# -- sent on

REF = VersionRef("source-bucket", "in/red flower.jpg", "096fKKXTRTtl3on89fVO.nfljtsv6qko")


@given(changes(), buckets, st.none() | st.just("KeyBusy"), st.none() | uploads)
def test_a_change_is_sent_on_for_one_destination_with_what_was_uploaded(
    change: Change, destination: str, reason: str | None, upload: Upload | None
) -> None:
    body = letters.for_destination(change, destination, reason=reason, upload=upload)
    sent = only(body)
    assert sent == replace(change, destination=destination, upload=upload)
    assert sent.record[ENVELOPE].get("reason") == reason


@given(changes(), buckets)
def test_a_record_keeps_what_s3_said(change: Change, destination: str) -> None:
    sent = only(letters.for_destination(change, destination))
    before = {name: value for name, value in change.record.items() if name != ENVELOPE}
    assert {name: value for name, value in sent.record.items() if name != ENVELOPE} == before


# -- rebuilt from a row


@given(st.builds(VersionRef, buckets, keys, version_ids), rows, buckets)
def test_a_due_row_becomes_the_event_s3_sent_once(ref: VersionRef, row: Row, destination: str) -> None:
    row = replace(row, event_time=row.event_time or None)
    sent = only(letters.from_row(source_name(ref), ref.version_id, row, LedgerKey(destination, ref.key)))
    assert sent == Change(
        kind=ChangeKind.MARKED if row.kind is Kind.MARKER else ChangeKind.CREATED,
        event="ObjectRemoved:DeleteMarkerCreated" if row.kind is Kind.MARKER else "ObjectCreated:Put",
        bucket=ref.bucket,
        key=ref.key,
        version_id=ref.version_id,
        sequencer=row.order.sequencer,
        event_time=row.order.last_modified if row.event_time is None else row.event_time,
        destination=destination,
        upload=row.upload,
        origin=row.origin,
    )
