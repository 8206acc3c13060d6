"""Events that come through EventBridge, through the real handlers: they do what notifications do."""

import json
from datetime import UTC, datetime
from typing import Final

import pytest

from s3replicator.decisions.failures import UnreadableEvent
from tests.functional.world import ONE, SOURCE, TWO, Event, World

#: Detail-type and detail of what the world's source tells by its notifications.
TOLD: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "ObjectCreated:Put": ("Object Created", {"reason": "PutObject"}),
    "ObjectCreated:CompleteMultipartUpload": ("Object Created", {"reason": "CompleteMultipartUpload"}),
    "ObjectRemoved:DeleteMarkerCreated": (
        "Object Deleted",
        {"reason": "DeleteObject", "deletion-type": "Delete Marker Created"},
    ),
    "ObjectRemoved:Delete": (
        "Object Deleted",
        {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"},
    ),
    "ObjectTagging:Put": ("Object Tags Added", {}),
}
VERSION_DELETES: Final = {"Extensions": {"VersionDeletes": {"Status": "Enabled"}}}


def bridged(world: World, event: Event, **detail: str) -> Event:
    """The event as EventBridge delivers it; ``detail`` says what is different, ``_`` for ``-``."""
    [record] = event["Records"]
    stored = record["s3"]["object"]
    kind, told = TOLD[record["eventName"]]
    about = {"key": world.key_of(event), "version-id": stored["versionId"], "etag": stored["eTag"]}
    if "sequencer" in stored:
        about["sequencer"] = stored["sequencer"]
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "123456789012",
        "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{SOURCE}"],
        "detail": {
            "version": "0",
            "event-version": "1.0",
            "bucket": {"name": SOURCE},
            "object": about,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            **told,
            **{name.replace("_", "-"): value for name, value in detail.items()},
        },
    }


@pytest.mark.parametrize("key", ["in/red flower+leaf.jpg", "a%20b", "a+b c", "ünï/☃\n100%"])
@pytest.mark.parametrize("by_eventbridge", [True, False])
def test_a_key_is_the_right_one_whichever_way_its_event_comes(
    world: World, key: str, by_eventbridge: bool
) -> None:
    """E95."""
    event = world.put(key, key.encode())
    assert world.deliver(bridged(world, event) if by_eventbridge else event).failed == []
    assert world.versions(key) == [key]
    assert world.row(key).status == "COMPLETED"


def test_versions_and_delete_markers_arrive_in_their_order(world: World) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    events = [world.put("k", b"one"), world.put("k", b"two"), world.mark("k")]
    assert world.deliver(*(bridged(world, event) for event in events)).failed == []
    assert world.versions("k") == ["marker", "two", "one"]


def test_a_change_of_tags_is_followed(world: World) -> None:
    event = world.put("k", Tagging="a=1")
    world.deliver(bridged(world, event))
    replica = world.head("k")["VersionId"]
    assert world.deliver(bridged(world, world.tag(event, b="2"))).failed == []
    assert world.tags("k", replica) == {"b": "2"}


def test_a_version_that_somebody_deleted_is_deleted_where_a_rule_says_so(world: World) -> None:
    world.rules(VERSION_DELETES)
    event = world.put("k")
    world.deliver(bridged(world, event))
    world.deliver(bridged(world, world.purge(event)))
    world.drain()
    assert world.versions("k") == []


@pytest.mark.parametrize("hidden", [True, False], ids=["marker", "version"])
def test_what_a_lifecycle_rule_deletes_is_not(world: World, hidden: bool) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}, **VERSION_DELETES})
    event = world.put("k")
    world.deliver(bridged(world, event))
    deleted = world.mark("k") if hidden else world.purge(event)
    expired = bridged(world, deleted, reason="Lifecycle Expiration", requester="s3.amazonaws.com")
    assert world.deliver(expired).failed == []
    world.drain()
    assert world.versions("k") == ["content"]


def test_the_same_change_by_both_ways_makes_one_replica(world: World) -> None:
    """While the way is changed both serve, and one batch may hold both."""
    event = world.put("k")
    assert world.deliver(event, bridged(world, event)).failed == []
    assert world.deliver(bridged(world, event), event).failed == []
    assert world.versions("k") == ["content"]


def test_a_mixed_batch_is_dealt_with_message_by_message(world: World) -> None:
    spoiled = bridged(world, world.put("spoiled"))
    del spoiled["detail"]["object"]["key"]

    delivery = world.deliver(
        world.put("classic"), bridged(world, world.put("bridged")), spoiled, "no event at all"
    )

    assert delivery.failed == []
    assert world.versions("classic") == ["content"]
    assert world.versions("bridged") == ["content"]
    assert world.versions("spoiled") == []
    parked = world.messages("parked")
    assert sorted(message["Body"] for message in parked) == sorted([json.dumps(spoiled), "no event at all"])
    [told] = [
        message["MessageAttributes"]["detail"]["StringValue"]
        for message in parked
        if message["Body"] != "no event at all"
    ]
    assert told == "the event has no detail.object.key"


def test_an_event_of_another_bucket_is_parked(world: World) -> None:
    event = bridged(world, world.put("k"))
    event["detail"]["bucket"]["name"] = "another-bucket"
    assert world.deliver(event).failed == []
    [message] = world.messages("parked")
    assert message["MessageAttributes"]["reason"]["StringValue"] == "WrongSourceBucket"


def test_an_event_that_eventbridge_could_not_bring_to_the_ingest_queue_is_replicated(world: World) -> None:
    """It puts it into the dead-letter queue, which the retry function reads."""
    event = bridged(world, world.put("k"))
    world.sqs.send_message(
        QueueUrl=world.queues["dead-letter"],
        MessageBody=json.dumps(event),
        MessageAttributes={"ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}},
    )
    world.drain()
    assert world.versions("k") == world.versions("k", TWO) == ["content"]


def test_a_large_object_is_handed_over_as_any_other(world: World, small_parts: int) -> None:
    body = b"x" * small_parts + b"y"
    event = world.put("large +%", body)
    world.deliver(bridged(world, event))
    # Whoever reads it next, or sends it back by hand, finds a record as of a notification.
    handed = world.take("large")
    assert [set(json.loads(text)) for text in handed] == [{"Records"}] * len(handed)
    for text in handed:
        world.deliver(text, to="replicate_large")
    world.drain()
    assert world.versions("large +%") == [body.decode()]


def test_a_bare_event_is_replicated(world: World) -> None:
    """As EventBridge hands it to a function that is the target of a rule itself."""
    world.invoke(bridged(world, world.put("k")))
    assert world.versions("k", ONE) == ["content"]


def test_a_bare_event_that_is_none_is_told_to_whoever_invoked_us(world: World) -> None:
    with pytest.raises(UnreadableEvent, match=r"no detail\.bucket\.name"):
        world.invoke({"detail-type": "Object Created", "source": "aws.s3"})
