"""New versions and delete markers, through the real handlers."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from s3replicator.decisions.stamp import METADATA_LIMIT
from s3replicator.invocation import NotReplicated
from tests.functional.world import ONE, SOURCE, TWO, World

KEYS = [
    *("myobj", "_myobj", ":", "&", ".", "..", "...", ".o", ".o."),
    *("a b", "a+b", "a%20b", "a%2Bb", "q?x=1", "hash#x", "e=1&f", "ünï/☃", "line\nbreak", "tab\tx"),
    *("trailing ", "quote\"'", "k" * 1024),
]


@pytest.mark.parametrize("key", KEYS, ids=[str(n) for n in range(len(KEYS))])
def test_any_key_arrives_under_exactly_the_same_key(world: World, key: str) -> None:
    """A2, A4."""
    assert world.deliver(world.put(key, key.encode())).failed == []

    assert world.versions(key) == [key]
    [listed] = world.s3.list_objects_v2(Bucket=ONE)["Contents"]
    assert listed["Key"] == key


def test_an_object_arrives_with_its_metadata_and_tags_at_every_destination(world: World) -> None:
    """A1, K176."""
    event = world.put("report.csv", b"hello", Metadata={"owner": "me"}, Tagging="team=blue")

    assert world.deliver(event).failed == []

    for bucket in (ONE, TWO):
        assert world.versions("report.csv", bucket) == ["hello"]
        assert world.head("report.csv", bucket)["Metadata"]["owner"] == "me"
        assert world.row("report.csv", bucket).status == "COMPLETED"
        assert world.at_rest("report.csv", bucket)
        tags = world.s3.get_object_tagging(Bucket=bucket, Key="report.csv")["TagSet"]
        assert tags == [{"Key": "team", "Value": "blue"}]


def test_every_header_is_kept(world: World) -> None:
    """A16."""
    headers: dict[str, Any] = {
        "CacheControl": "max-age=60, private",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de-CH",
        "ContentType": "text/x-test; charset=utf-8",
        "Expires": datetime(2033, 12, 1, 16, tzinfo=UTC),
        "WebsiteRedirectLocation": "/elsewhere",
    }
    world.deliver(world.put("headed", **headers))

    replica = world.head("headed")
    assert {name: replica[name] for name in headers} == headers


def test_metadata_without_room_for_a_stamp_is_kept_whole(world: World) -> None:
    """A16: 2 KB of user metadata."""
    metadata = {"filler": "x" * (METADATA_LIMIT - len("filler"))}
    world.deliver(world.put("full", Metadata=metadata, CacheControl="no-cache"))

    replica = world.head("full")
    assert replica["Metadata"] == metadata
    assert replica["CacheControl"] == "no-cache"
    assert world.row("full").status == "COMPLETED"


def test_mail_safe_metadata_is_kept_as_it_is_written(world: World) -> None:
    """A17: S3 shows other than ASCII values in the form of RFC 2047."""
    world.deliver(world.put("mail", Metadata={"name": "=?UTF-8?B?w7xuw68=?="}))

    assert world.head("mail")["Metadata"]["name"] == "=?UTF-8?B?w7xuw68=?="


@pytest.mark.parametrize("body", [b"", b"x"], ids=["empty", "one byte"])
def test_the_smallest_objects_arrive(world: World, body: bytes) -> None:
    """A7, A8."""
    world.deliver(world.put("small", body))

    assert world.versions("small") == [body.decode()]


def test_versions_arrive_in_their_order(world: World) -> None:
    """A5."""
    events = [world.put("key", f"v{n}".encode()) for n in range(5)]

    assert world.deliver(*events).failed == []

    assert [row.status for row in world.rows("key")] == ["COMPLETED"] * 5
    assert world.content("key") == "v4"
    replicas = [row.replica for row in world.rows("key")]
    listed = world.s3.list_object_versions(Bucket=ONE, Prefix="key")["Versions"]
    assert [version["VersionId"] for version in reversed(listed)] == replicas


@pytest.mark.parametrize("way", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_each_way_to_create_an_object_makes_one_replica(world: World, way: str) -> None:
    """A10."""
    event = world.put("created")
    event["Records"][0]["eventName"] = f"ObjectCreated:{way}"

    world.deliver(event)

    assert world.versions("created") == ["content"]


def test_the_storage_class_is_kept_unless_the_rule_names_one(world: World) -> None:
    """I142."""
    two = {"Bucket": f"arn:aws:s3:::{TWO}", "StorageClass": "GLACIER_IR"}
    world.rules({}, {"Destination": two})
    world.deliver(world.put("cold", StorageClass="STANDARD_IA"))

    assert world.head("cold", ONE)["StorageClass"] == "STANDARD_IA"
    assert world.head("cold", TWO)["StorageClass"] == "GLACIER_IR"


def test_the_checksum_algorithm_is_kept(world: World) -> None:
    """I140."""
    world.deliver(world.put("summed", ChecksumAlgorithm="SHA256"))

    replica = world.s3.head_object(Bucket=ONE, Key="summed", ChecksumMode="ENABLED")
    source = world.s3.head_object(Bucket=SOURCE, Key="summed", ChecksumMode="ENABLED")
    assert replica["ChecksumSHA256"] == source["ChecksumSHA256"]


def test_a_large_object_is_copied_in_parts_with_tags_and_metadata(world: World, small_parts: int) -> None:
    """I130, A16: through the large lane."""
    part = bytes(small_parts)
    event = world.put_parts(
        "large", [part, part, b"rest"], Metadata={"a": "b"}, Tagging="x=1%202", CacheControl="no-store"
    )

    assert world.deliver(event).failed == []
    world.drain()

    replica = world.head("large")
    assert replica["ContentLength"] == 2 * small_parts + 4
    assert replica["Metadata"]["a"] == "b"
    assert replica["CacheControl"] == "no-store"
    tags = world.s3.get_object_tagging(Bucket=ONE, Key="large")["TagSet"]
    assert tags == [{"Key": "x", "Value": "1 2"}]
    assert world.row("large").status == "COMPLETED"
    assert world.at_rest("large")
    assert world.open_uploads() == 0


def test_a_key_no_rule_selects_leaves_no_trace(world: World) -> None:
    """M206."""
    world.rules({"Filter": {"Prefix": "in/"}})

    assert world.deliver(world.put("out/x")).failed == []

    assert world.versions("out/x") == []
    assert world.dynamodb.scan(TableName="ledger")["Count"] == 0


# -- rules

TAG = {"Tag": {"Key": "k1", "Value": "v1"}}


def test_a_tag_rule_selects_by_the_tags_at_creation(world: World) -> None:
    """B19."""
    world.rules({"Filter": TAG})
    world.deliver(
        world.put("yes", Tagging="k1=v1&k2=x"), world.put("other", Tagging="k1=v2"), world.put("none")
    )

    assert [world.versions(key) for key in ("yes", "other", "none")] == [["content"], [], []]


def test_a_prefix_and_a_tag_must_both_match(world: World) -> None:
    """B20."""
    world.rules({"Filter": {"And": {"Prefix": "xy", "Tags": [TAG["Tag"]]}}})
    world.deliver(world.put("xy/a", Tagging="k1=v1"), world.put("xa/a", Tagging="k1=v1"), world.put("xy/b"))

    assert [world.versions(key) for key in ("xy/a", "xa/a", "xy/b")] == [["content"], [], []]


@pytest.mark.parametrize(("tagging", "hidden"), [("k1=v1", False), ("", True)], ids=["B22", "B23"])
def test_a_delete_marker_is_judged_by_the_tags_below_it(world: World, tagging: str, hidden: bool) -> None:
    world.rules(
        {"Filter": {"Prefix": "xyz"}, "DeleteMarkerReplication": {"Status": "Enabled"}},
        {"Filter": {"And": {"Prefix": "xy", "Tags": [TAG["Tag"]]}}},
    )
    world.deliver(world.put("xyz/o", Tagging=tagging), world.mark("xyz/o"))

    assert world.versions("xyz/o") == (["marker", "content"] if hidden else ["content"])


def test_of_overlapping_rules_the_highest_priority_wins(world: World) -> None:
    """B25."""
    destination = f"arn:aws:s3:::{ONE}"
    world.rules(
        {"Destination": {"Bucket": destination, "StorageClass": "STANDARD_IA"}},
        {"Destination": {"Bucket": destination, "StorageClass": "ONEZONE_IA"}},
    )
    world.deliver(world.put("key"))

    assert world.versions("key") == ["content"]
    assert world.head("key")["StorageClass"] == "ONEZONE_IA"


def test_a_disabled_rule_replicates_nothing(world: World) -> None:
    """B26."""
    world.rules({"Status": "Disabled"})
    world.deliver(world.put("key"))

    assert world.versions("key") == []


# -- deletes


def test_a_delete_marker_hides_the_key_at_the_destination(world: World) -> None:
    """D55."""
    world.deliver(world.put("key"), world.mark("key"))

    assert world.versions("key") == ["marker", "content"]
    assert [row.kind for row in world.rows("key")] == ["object", "marker"]
    assert [row.status for row in world.rows("key")] == ["COMPLETED"] * 2


def test_a_delete_marker_is_not_replicated_when_the_rule_says_so(world: World) -> None:
    """D56."""
    world.rules({})
    world.deliver(world.put("key"), world.mark("key"))

    assert world.versions("key") == ["content"]


def test_many_keys_deleted_at_once_are_all_hidden(world: World) -> None:
    """D59."""
    keys = [f"many/{n}" for n in range(49)]
    for key in keys:
        world.deliver(world.put(key))
    marks = [world.mark(key) for key in keys]
    for first in range(0, 49, 10):
        assert world.deliver(*marks[first : first + 10]).failed == []

    assert all(world.versions(key) == ["marker", "content"] for key in keys)


def test_a_version_delete_leaves_the_replica(world: World) -> None:
    """D61."""
    # The rules are not read anew between the two events, however far apart they are.
    world.settings(CONFIGURATION_CACHE_SECONDS="3600")
    put = world.put("key")
    world.deliver(put)
    world.purge(put)
    version_id = put["Records"][0]["s3"]["object"]["versionId"]

    delivery = world.deliver(world.event("ObjectRemoved:Delete", "key", version_id))

    assert delivery.failed == []
    assert delivery.recording.calls == []
    assert world.versions("key") == ["content"]


def test_a_lifecycle_expiration_is_not_replicated(world: World) -> None:
    """D: lifecycle deletes are never replicated."""
    world.deliver(world.put("key"))
    mark = world.mark("key")
    mark["Records"][0]["eventName"] = "LifecycleExpiration:DeleteMarkerCreated"

    world.deliver(mark)

    assert world.versions("key") == ["content"]


# -- messages


def test_the_test_event_of_a_new_notification_is_acknowledged(
    world: World, event_file: Callable[[str], Any]
) -> None:
    """E92."""
    delivery = world.deliver(event_file("test-event.json"))

    assert (delivery.failed, delivery.recording.calls) == ([], [])
    assert world.parked() == []


def test_each_record_of_a_message_is_handled(world: World) -> None:
    """J163."""
    first, second = world.put("one"), world.put("two")

    world.deliver({"Records": first["Records"] + second["Records"]})

    assert world.versions("one") == world.versions("two") == ["content"]


def test_a_vanished_version_among_good_ones_disturbs_nobody(world: World) -> None:
    """D, J: gone is success, and leaves a tombstone."""
    good, gone, fine = world.put("good"), world.put("gone"), world.put("fine")
    world.purge(gone)

    assert world.deliver(good, gone, fine).failed == []

    assert world.versions("good") == world.versions("fine") == ["content"]
    assert world.row("gone").status == "TOMBSTONE"
    assert world.parked() == []


@pytest.mark.parametrize("body", ["no json", "{}", "[]", "null", '{"Records": 5}'])
def test_a_message_nobody_can_read_is_parked_once_as_it_came(world: World, body: str) -> None:
    """E94, J: beside good ones."""
    assert world.deliver(body, world.put("good")).failed == []

    [message] = world.messages("parked")
    assert message["Body"] == body
    assert message["MessageAttributes"]["reason"]["StringValue"] == "UnreadableEvent"
    assert world.versions("good") == ["content"]


def test_a_record_nobody_can_read_is_parked_alone(world: World) -> None:
    event = world.put("good")
    broken = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {}}}

    world.deliver({"Records": [broken, *event["Records"]]})

    [message] = world.messages("parked")
    assert json.loads(message["Body"]) == {"Records": [broken]}
    assert world.versions("good") == ["content"]


def test_newer_minor_versions_and_unknown_members_are_tolerated(world: World) -> None:
    event = world.put("key")
    event["Records"][0] |= {"eventVersion": "2.99", "novelty": {"a": 1}}

    world.deliver(event)

    assert world.versions("key") == ["content"]


def test_an_event_of_another_bucket_is_parked(world: World) -> None:
    event = world.put("key")
    event["Records"][0]["s3"]["bucket"]["name"] = "somebody-elses"

    assert world.deliver(event).failed == []

    [message] = world.messages("parked")
    assert message["MessageAttributes"]["reason"]["StringValue"] == "WrongSourceBucket"


def test_a_bare_event_is_replicated(world: World) -> None:
    world.invoke(world.put("bare"))

    assert world.versions("bare") == ["content"]


def test_a_bare_event_raises_when_something_is_neither_recorded_nor_parked(world: World) -> None:
    world.dynamodb.delete_table(TableName="ledger")

    with pytest.raises(NotReplicated, match="LedgerUnavailable"):
        world.invoke(world.put("bare"))


def test_a_replica_is_not_replicated_onward(world: World) -> None:
    """K170: it says itself that it was written for this place."""
    world.deliver(world.put("key"))
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    replica = world.head("key")
    world.settings(SOURCE_BUCKET=ONE, DESTINATIONS=f"{TWO}:eu-west-1")
    event = world.event("ObjectCreated:Copy", "key", replica["VersionId"])
    event["Records"][0]["s3"]["bucket"]["name"] = ONE

    delivery = world.deliver(event)

    assert delivery.recording.sent["CopyObject"] == 0
    assert len(world.versions("key", TWO)) == 1


def test_a_users_copy_of_a_replica_is_replicated(world: World) -> None:
    """K170: it carries the stamp of another place."""
    world.deliver(world.put("key"))
    copied = world.s3.copy_object(Bucket=SOURCE, Key="copy", CopySource={"Bucket": ONE, "Key": "key"})
    world.deliver(world.event("ObjectCreated:Copy", "copy", copied["VersionId"]))

    assert world.versions("copy") == ["content"]
