"""Events that come through an SNS topic tell the same as those S3 sends itself."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from s3replicator.decisions.events import MOST_RECORDS, Intake, parse_body, parse_event
from s3replicator.decisions.failures import UnreadableEvent
from tests.unit.strategies import json_values

Load = Callable[[str], Any]

# https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html
MEMBERS = {
    *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp"),
    *("SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL"),
}
TOPIC = "arn:aws:sns:us-east-1:123456789012:source-bucket-events"


CARRIED = ["eventbridge-object-created-put.json", "test-event.json", "version-deleted.json"]


def envelope(message: object, **members: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": TOPIC, "Message": message, **members}


def test_the_file_has_the_members_that_aws_documents(event_file: Load) -> None:
    assert event_file("sns-object-created-put.json").keys() == MEMBERS


def test_an_event_is_taken_out_of_its_envelope(event_file: Load) -> None:
    found = parse_body(json.dumps(event_file("sns-object-created-put.json")))
    assert found == parse_event(event_file("object-created-put.json"))
    # As it is sent on, it is S3's own record: whoever reads it next need not know which way it came.
    assert found.changes[0].record == event_file("object-created-put.json")["Records"][0]


@pytest.mark.parametrize(
    "name", ["eventbridge-object-created-put.json", "test-event.json", "version-deleted.json"]
)
def test_a_topic_carries_whatever_tells_of_the_source(event_file: Load, name: str) -> None:
    event = event_file(name)
    assert parse_event(envelope(json.dumps(event))) == parse_event(event)


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_confirmation_says_what_to_do(kind: str) -> None:
    with pytest.raises(UnreadableEvent, match=f"{kind} of the topic '{TOPIC}': .* open its SubscribeURL"):
        parse_event(envelope("You have chosen ...", Type=kind, SubscribeURL="https://..."))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (envelope("hello"), "the message is not JSON"),
        (envelope(""), "the message is not JSON"),
        (envelope(None), "has no text as its Message"),
        (envelope({"Records": []}), "has no text as its Message"),
        (envelope("5"), "a JSON int"),
        (envelope("{}"), "no list of Records"),
        (envelope("[" * 100_000), "nested too deeply"),
        (envelope("{}", Type=5), "Type of an SNS message is 5"),
        (envelope("{}", Type=[]), "Type of an SNS message is"),
        (envelope(json.dumps(envelope("{}"))), "holds another SNS message"),
        ({"Type": "Notification", "TopicArn": TOPIC}, "has no text as its Message"),
    ],
)
def test_what_is_no_event_says_so(event: dict[str, Any], told: str) -> None:
    with pytest.raises(UnreadableEvent, match=told):
        parse_event(event)


@given(json_values)
def test_whatever_is_published_is_read_or_unreadable(message: Any) -> None:
    for published in (message, json.dumps(message)):
        with contextlib.suppress(UnreadableEvent):
            assert isinstance(parse_event(envelope(published)), Intake)


def test_a_message_of_more_records_than_anybody_sends_is_not_taken_apart(event_file: Load) -> None:
    [record] = event_file("object-created-put.json")["Records"]
    assert len(parse_event({"Records": [record] * MOST_RECORDS}).changes) == MOST_RECORDS
    with pytest.raises(UnreadableEvent, match=r"has 4000 records; .* at most 100 are taken"):
        parse_event({"Records": [record] * 4000})
