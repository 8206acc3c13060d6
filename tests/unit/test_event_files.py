"""The files in events/ are what their names say, in the shapes AWS documents."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3replicator.decisions.events import ENVELOPE, Change, ChangeKind, Intake, parse_body, parse_event
from s3replicator.decisions.failures import Reason, UnreadableEvent
from s3replicator.decisions.versions import Kind

EVENTS = Path(__file__).parents[2] / "events"
Load = Callable[[str], Any]

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
RECORD_MEMBERS = {
    *("eventVersion", "eventSource", "awsRegion", "eventTime", "eventName"),
    *("userIdentity", "requestParameters", "responseElements", "s3"),
}
S3_MEMBERS = {"s3SchemaVersion", "configurationId", "bucket", "object"}
OBJECT_MEMBERS = {"key", "size", "eTag", "versionId", "sequencer"}

# https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
MESSAGE_MEMBERS = {
    *("messageId", "receiptHandle", "body", "attributes", "messageAttributes"),
    *("md5OfBody", "eventSource", "eventSourceARN", "awsRegion"),
}
MESSAGE_ATTRIBUTES = {
    *("ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"),
}

SINGLE = [
    "object-created-put.json",
    "object-created-copy.json",
    "object-created-multipart.json",
    "object-created-special-key.json",
    "object-created-future-minor-version.json",
    "delete-marker-created.json",
    "version-deleted.json",
    "lifecycle-expiration.json",
    "object-tagging-put.json",
    "object-acl-put.json",
    "object-retention-put.json",
    "object-annotation-put.json",
    "parked-message.json",
]
BATCHES = ["sqs-batch.json", "sqs-batch-with-poison.json"]
#: ``test_sns`` looks at the last one.
OTHERS = ["test-event.json", "sweep.json", "sns-object-created-put.json"]

#: The same events as EventBridge delivers them; each tells of what the file does that it is named with.
BRIDGED = {
    "eventbridge-object-created-put.json": "object-created-put.json",
    "eventbridge-object-created-copy.json": "object-created-copy.json",
    "eventbridge-object-created-multipart.json": "object-created-multipart.json",
    "eventbridge-object-created-special-key.json": "object-created-special-key.json",
    "eventbridge-delete-marker-created.json": "delete-marker-created.json",
    "eventbridge-version-deleted.json": "version-deleted.json",
    "eventbridge-lifecycle-expiration.json": "lifecycle-expiration.json",
    "eventbridge-object-tags-added.json": "object-tagging-put.json",
    "eventbridge-object-tags-deleted.json": "object-tagging-put.json",
    "eventbridge-object-acl-updated.json": "object-acl-put.json",
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
EVENT_MEMBERS = {
    *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"),
}
DETAIL_MEMBERS = {"version", "event-version", "bucket", "object", "request-id", "requester"}
DETAIL_MEMBERS_OF_SOME = {"source-ip-address", "reason", "deletion-type"}
BRIDGED_OBJECT_MEMBERS = {"key", "size", "etag", "version-id", "sequencer"}

FILES = sorted([*SINGLE, *BATCHES, *OTHERS, *BRIDGED])


def test_every_file_is_known_here() -> None:
    assert sorted(path.name for path in EVENTS.iterdir()) == FILES


def only(document: object) -> Change:
    intake = parse_event(document)
    assert intake.unreadable == ()
    [change] = intake.changes
    return change


@pytest.mark.parametrize("name", SINGLE)
def test_an_s3_event_has_the_documented_shape(event_file: Load, name: str) -> None:
    [record] = event_file(name)["Records"]
    allowed = RECORD_MEMBERS | {ENVELOPE} if name == "parked-message.json" else RECORD_MEMBERS
    if name != "object-created-future-minor-version.json":
        assert set(record) == allowed
        assert set(record["s3"]) == S3_MEMBERS
        assert set(record["s3"]["object"]) <= OBJECT_MEMBERS
        assert record["eventVersion"] in ("2.1", "2.3")
    assert record["s3"]["bucket"]["name"] == "source-bucket"
    assert record["s3"]["bucket"]["arn"] == "arn:aws:s3:::source-bucket"
    assert len(record["s3"]["object"]["versionId"]) == 32


@pytest.mark.parametrize(
    ("name", "event", "kind"),
    [
        ("object-created-put.json", "ObjectCreated:Put", ChangeKind.CREATED),
        ("object-created-copy.json", "ObjectCreated:Copy", ChangeKind.CREATED),
        ("object-created-multipart.json", "ObjectCreated:CompleteMultipartUpload", ChangeKind.CREATED),
        ("object-created-special-key.json", "ObjectCreated:Put", ChangeKind.CREATED),
        ("object-created-future-minor-version.json", "ObjectCreated:Put", ChangeKind.CREATED),
        ("delete-marker-created.json", "ObjectRemoved:DeleteMarkerCreated", ChangeKind.MARKED),
        ("version-deleted.json", "ObjectRemoved:Delete", ChangeKind.REMOVED),
        ("lifecycle-expiration.json", "LifecycleExpiration:Delete", ChangeKind.OTHER),
        ("object-tagging-put.json", "ObjectTagging:Put", ChangeKind.TAGGED),
        ("object-acl-put.json", "ObjectAcl:Put", ChangeKind.ACL_CHANGED),
        ("object-retention-put.json", "ObjectRetention:Put", ChangeKind.LOCK_CHANGED),
        ("object-annotation-put.json", "ObjectAnnotation:Put", ChangeKind.ANNOTATED),
        ("parked-message.json", "ObjectCreated:Put", ChangeKind.CREATED),
    ],
)
def test_a_file_tells_of_the_change_it_is_named_after(
    event_file: Load, name: str, event: str, kind: ChangeKind
) -> None:
    change = only(event_file(name))
    assert (change.event, change.kind, change.bucket) == (event, kind, "source-bucket")
    assert change.version_id
    # S3 gives one to what creates or deletes only.
    assert bool(change.sequencer) is not change.follows


@pytest.mark.parametrize("name", BRIDGED)
def test_an_event_of_eventbridge_has_the_documented_shape(event_file: Load, name: str) -> None:
    event = event_file(name)
    detail = event["detail"]
    assert set(event) == EVENT_MEMBERS
    assert DETAIL_MEMBERS <= set(detail) <= DETAIL_MEMBERS | DETAIL_MEMBERS_OF_SOME
    assert set(detail["object"]) <= BRIDGED_OBJECT_MEMBERS
    assert event["resources"] == [f"arn:aws:s3:::{detail['bucket']['name']}"]
    assert ("deletion-type" in detail) is (event["detail-type"] == "Object Deleted")
    assert event["time"].endswith("Z")
    assert "." not in event["time"]
    # Nobody asked for what a lifecycle rule does.
    assert ("source-ip-address" in detail) is (detail["requester"] == event["account"])


@pytest.mark.parametrize(("name", "classic"), BRIDGED.items())
def test_an_event_of_eventbridge_tells_of_the_same_change(event_file: Load, name: str, classic: str) -> None:
    """But for who did it, which it does not say, and fractions of seconds."""
    bridged, told = only(event_file(name)), only(event_file(classic))
    same = replace(told, principal=None, event_time=float(int(told.event_time)))
    if name == "eventbridge-object-tags-deleted.json":
        same = replace(same, event="ObjectTagging:Delete")
    assert bridged == same


def test_a_multipart_object_shows_its_parts_in_its_etag(event_file: Load) -> None:
    [record] = event_file("object-created-multipart.json")["Records"]
    assert record["s3"]["object"]["eTag"].endswith("-25")
    assert record["s3"]["object"]["size"] == 25 * 8 * 1024**2


def test_the_special_key_holds_everything_that_goes_wrong(event_file: Load) -> None:
    assert only(event_file("object-created-special-key.json")).key == (
        "in/red flower+leaf 100% ü+n☃\nline 2?a=1&b#2 %2B.jpg"
    )


def test_a_delete_marker_is_a_version_without_a_size(event_file: Load) -> None:
    [record] = event_file("delete-marker-created.json")["Records"]
    assert "size" not in record["s3"]["object"]
    assert only(event_file("delete-marker-created.json")).version_kind is Kind.MARKER


def test_a_deleted_version_is_one_that_was_created(event_file: Load) -> None:
    assert only(event_file("version-deleted.json")).ref == only(event_file("object-created-put.json")).ref


def test_a_future_minor_version_tells_the_same(event_file: Load) -> None:
    [future] = event_file("object-created-future-minor-version.json")["Records"]
    assert float(future["eventVersion"]) > 2.6
    assert not set(future) <= RECORD_MEMBERS
    assert only({"Records": [future]}) == only(event_file("object-created-put.json"))


def test_the_test_event_tells_of_nothing(event_file: Load) -> None:
    assert parse_event(event_file("test-event.json")) == Intake(())


def test_a_parked_message_is_for_its_destination_only(event_file: Load) -> None:
    change = only(event_file("parked-message.json"))
    created = only(event_file("object-created-put.json"))
    assert (change.ref, change.destination) == (created.ref, "replica-bucket")
    said = change.record[ENVELOPE]
    assert Reason(said["reason"]) is Reason.DST_PUT_NOT_PERMITTED
    assert set(said) >= {"rule", "attempts", "firstFailure", "lastFailure", "requestId"}


def test_a_sweep_is_no_s3_event(event_file: Load) -> None:
    assert event_file("sweep.json") == {"sweep": True}
    with pytest.raises(UnreadableEvent):
        parse_event(event_file("sweep.json"))


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_has_the_shape_lambda_delivers(event_file: Load, name: str) -> None:
    messages = event_file(name)["Records"]
    assert len({message["messageId"] for message in messages}) == len(messages)
    for message in messages:
        assert set(message) == MESSAGE_MEMBERS
        assert set(message["attributes"]) == MESSAGE_ATTRIBUTES
        assert message["attributes"]["ApproximateReceiveCount"].isdigit()
        assert message["eventSource"] == "aws:sqs"
        digest = hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()
        assert message["md5OfBody"] == digest


def test_the_batch_holds_two_events_one_of_two_records(event_file: Load) -> None:
    intakes = [parse_body(message["body"]) for message in event_file("sqs-batch.json")["Records"]]
    assert [[change.kind for change in intake.changes] for intake in intakes] == [
        [ChangeKind.CREATED],
        [ChangeKind.CREATED, ChangeKind.MARKED],
    ]
    assert not any(intake.unreadable for intake in intakes)


def test_the_poisoned_batch_holds_a_good_event_no_event_and_half_an_event(event_file: Load) -> None:
    good, poison, half = (message["body"] for message in event_file("sqs-batch-with-poison.json")["Records"])
    assert len(parse_body(good).changes) == 1
    with pytest.raises(UnreadableEvent):
        parse_body(poison)
    intake = parse_body(half)
    assert (len(intake.changes), len(intake.unreadable)) == (1, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_written_the_way_the_others_are(name: str) -> None:
    text = (EVENTS / name).read_text()
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
