"""What reaches the ingest queue by other ways, in other sizes, or about keys that look like ours: nothing of
it is lost, and nothing comes back for ever."""

import json
from typing import Any

import boto3
import pytest

from s3replicator.adapters.source import S3Source
from s3replicator.decisions.failures import Reason, SourceGone
from s3replicator.decisions.probe import BODY, FOLDER, Probe, probe_request
from s3replicator.decisions.versions import SourceVersion, VersionRef
from tests.functional import jobs
from tests.functional.test_s3rctl_parked import visible
from tests.functional.world import ONE, SOURCE, TABLE, World

TOPIC = "arn:aws:sns:us-east-1:123456789012:source-bucket-events"


def ledger_items() -> list[dict[str, Any]]:
    return boto3.client("dynamodb").scan(TableName=TABLE)["Items"]


def enveloped(event: dict[str, Any]) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": TOPIC, "Message": json.dumps(event)})


def test_an_event_from_a_topic_is_replicated(world: World) -> None:
    assert world.deliver(enveloped(world.put("a key+"))).failed == []
    assert world.versions("a key+", ONE) == ["content"]
    assert visible(world) == 0


def test_what_a_topic_asks_to_be_confirmed_is_parked_with_what_to_do(world: World) -> None:
    body = json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": TOPIC, "SubscribeURL": "https://x"})
    assert world.deliver(body).failed == []
    [parked] = world.messages("parked")
    assert parked["Body"] == body
    assert "open its SubscribeURL" in parked["MessageAttributes"]["detail"]["StringValue"]


LIMIT = 1_048_576


def padded(event: dict[str, Any], filler: str) -> str:
    """As large as a message may be, in the characters of ``filler``, which JSON need not escape."""
    event["Records"][0]["requestParameters"] = {"filler": ""}
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    # What we add to a record, and the attributes of a parked message, take less than this.
    room = (LIMIT - 2000 - len(text.encode())) // len(filler.encode())
    return text.replace('"filler":""', f'"filler":"{filler * room}"')


@pytest.mark.parametrize("filler", ["x", "\u00e9", "\u6587", "\U0001f600"])
@pytest.mark.parametrize("spoil", ["time", "source", "destination"])
def test_a_message_as_large_as_there_is_is_parked_in_any_alphabet(
    world: World, filler: str, spoil: str
) -> None:
    """What nobody can understand, what is of another bucket, and a change that fails."""
    event = world.put("key")
    match spoil:
        case "time":
            event["Records"][0]["eventTime"] = "soon"
        case "source":
            event["Records"][0]["s3"]["bucket"]["name"] = "elsewhere"
        case "destination":
            world.s3.delete_bucket(Bucket=ONE)
    body = padded(event, filler)
    assert world.deliver(body).failed == []
    [parked] = world.take("parked")
    assert filler * 100 in parked or json.dumps(filler * 100)[1:-1] in parked
    assert len(parked.encode()) <= LIMIT
    [record] = json.loads(parked)["Records"]
    assert record["requestParameters"] == json.loads(body)["Records"][0]["requestParameters"]


def test_a_message_that_leaves_no_room_for_a_reason_is_parked_without_one(world: World) -> None:
    body = "\u00e9" * (LIMIT // 2)
    assert world.deliver(body).failed == []
    assert world.take("parked") == [body]


def test_characters_that_a_message_may_not_have_stay_escaped(world: World) -> None:
    """JSON can name what SQS does not take."""
    event = world.put("key")
    event["Records"][0]["eventTime"] = "soon"
    body = padded(event, "\u6587").replace("\u6587" * 20, "\\ufffe\\uffff\\ud800\\u0000\\u001b\\u0085", 1)
    assert world.deliver(body).failed == []
    [parked] = world.take("parked")
    assert not {"\ufffe", "\uffff", "\ud800", "\x00", "\x1b", "\x85"} & set(parked)
    assert json.loads(parked)["Records"] == json.loads(body)["Records"]


def test_one_message_leaves_no_thousands_of_rows(world: World) -> None:
    """Four thousand made-up keys: the message is parked as it came, and nothing else is left of it."""
    records = [
        {
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-11-22T10:00:00Z",
            "s3": {"bucket": {"name": SOURCE}, "object": {"key": f"made-up-{n}", "versionId": "v"}},
        }
        for n in range(4000)
    ]
    body = json.dumps({"Records": records})
    assert 600_000 < len(body) < LIMIT
    assert world.deliver(body).failed == []
    assert world.take("parked") == [body]
    assert ledger_items() == []


# -- keys that look like those of probes

KEY = f"reports/{FOLDER}abcdefghijklmnop-1"


def test_an_object_of_a_user_with_the_key_of_a_probe_is_replicated(world: World) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    world.deliver(world.put(KEY, b"a user's"))
    assert world.versions(KEY, ONE) == ["a user's"]
    world.deliver(world.mark(KEY))
    assert world.versions(KEY, ONE) == ["marker", "a user's"]


def test_one_wrong_answer_makes_no_probe_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers 404 for a version that it lists."""

    def gone(_: S3Source, ref: VersionRef) -> SourceVersion:
        raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, "made up")

    world.rules({})
    event = world.put(KEY, b"a user's")
    with monkeypatch.context() as patch:
        patch.setattr(S3Source, "head", gone)
        world.deliver(event)
    assert world.rows(KEY) != []
    world.deliver(event)
    world.drain()
    assert world.versions(KEY, ONE) == ["a user's"]


def test_a_backfill_brings_it_too(world: World) -> None:
    world.rules({})
    world.put(KEY, b"a user's")
    jobs.run(world)
    assert world.versions(KEY, ONE) == ["a user's"]


@pytest.mark.parametrize("stage", ["there", "hidden", "marker gone", "gone"])
def test_a_probe_of_another_stack_is_passed_over(world: World, stage: str) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    asked = probe_request(Probe(SOURCE, KEY), "nonce", None).arguments
    version = world.s3.put_object(Bucket=SOURCE, Key=KEY, Body=BODY, **asked)["VersionId"]
    marker = world.s3.delete_object(Bucket=SOURCE, Key=KEY)["VersionId"]
    if stage in ("there", "marker gone", "gone"):
        world.s3.delete_object(Bucket=SOURCE, Key=KEY, VersionId=marker)
    if stage == "gone":
        world.s3.delete_object(Bucket=SOURCE, Key=KEY, VersionId=version)
    world.deliver(world.event("ObjectCreated:Put", KEY, version))
    world.deliver(world.event("ObjectRemoved:DeleteMarkerCreated", KEY, marker))
    world.deliver(world.event("ObjectTagging:Put", KEY, version))
    assert world.versions(KEY, ONE) == []
    assert ledger_items() == []
    assert visible(world) == 0
