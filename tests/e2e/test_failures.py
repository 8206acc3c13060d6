"""What the operator sees when an object cannot be replicated, and how it gets there: scenarios J."""

import json
from typing import Any, Final

import pytest

from s3replicator.decisions.ledger import Status
from tests.e2e.world import DOOMED, FAR, FRAGILE, NEAR, SOURCE, World, wait_until

MIB: Final = 1 << 20


def test_one_denied_destination_is_parked_fixed_and_retried_alone(world: World) -> None:
    """Scenario 161."""
    folder = world.folder("risky")
    key = folder + "object"
    with world.denied(FRAGILE, folder, "s3:PutObject"):
        version = world.put(key, b"x", Tagging="a=b")
        good = world.arrives_exactly(NEAR, key, version)
        row = world.ends(FRAGILE, key, version, Status.FAILED)
        assert row.reason == "DstPutObjectNotPermitted"
        told = json.loads(world.s3rctl("status", f"s3://{SOURCE}/{key}", "--json"))
        assert {at["destination"]: at["status"] for at in told["versions"][0]["destinations"]} == {
            NEAR: "COMPLETED",
            FRAGILE: "FAILED",
            FAR: "NONE",
            DOOMED: "NONE",
        }
        assert told["versions"][0]["status"] == "FAILED"
        [listed] = json.loads(world.s3rctl("parked", "list", "--json"))["messages"]
        assert (listed["key"], listed["versionId"], listed["destination"], listed["reason"]) == (
            key,
            version,
            FRAGILE,
            "DstPutObjectNotPermitted",
        )
        assert not world.versions(FRAGILE, key)
    world.s3rctl("parked", "retry", "--all", "--yes")
    world.arrives_exactly(FRAGILE, key, version)
    world.becomes_quiet()
    assert [each.version_id for each in world.versions(NEAR, key)] == [good]
    assert json.loads(world.s3rctl("parked", "list", "--json"))["messages"] == []


def test_a_parked_message_is_an_event_that_any_tool_can_send_back(world: World) -> None:
    """DESIGN 2: the console moves the body to the ingest queue, and nothing else."""
    folder = world.folder("risky")
    key = folder + "a b+c/ü"
    with world.denied(FRAGILE, folder, "s3:PutObject"):
        version = world.put(key, b"x")
        world.ends(FRAGILE, key, version, Status.FAILED)
        [letter] = world.is_parked(folder)
    [record] = letter.body["Records"]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["object"]["versionId"] == version
    envelope = record["s3replicator"]
    assert envelope["destination"] == FRAGILE
    assert envelope["reason"] == "DstPutObjectNotPermitted"
    assert envelope["attempts"] == 1
    assert envelope["firstFailure"] == envelope["lastFailure"]
    assert letter.attributes["destination"] == FRAGILE
    world.send_text(letter.text)
    world.arrives_exactly(FRAGILE, key, version)


def test_what_is_still_denied_is_parked_again(world: World) -> None:
    folder = world.folder("risky")
    key = folder + "object"
    with world.denied(FRAGILE, folder, "s3:PutObject"):
        version = world.put(key, b"x")
        world.is_parked(folder)
        world.s3rctl("parked", "retry", "--all", "--yes")
        world.becomes_quiet()
        world.is_parked(folder)
        assert world.ends(FRAGILE, key, version, Status.FAILED).attempts == 1
    shown = world.s3rctl("parked", "drop", "--all")
    assert key in shown
    world.is_parked(folder)
    world.s3rctl("parked", "drop", "--all", "--yes")
    assert not world.parked(folder)
    assert world.rows(FRAGILE, key)[version].status is Status.FAILED


def test_a_parked_version_retried_after_a_newer_one_does_not_become_current(world: World) -> None:
    """Scenario 160."""
    folder = world.folder("risky")
    key = folder + "object"
    with world.denied(FRAGILE, folder, "s3:PutObject"):
        old = world.put(key, b"old")
        world.ends(FRAGILE, key, old, Status.FAILED)
        world.is_parked(folder)
    new = world.put(key, b"new")
    world.arrives_exactly(FRAGILE, key, new)
    world.s3rctl("parked", "retry", "--all", "--yes")
    world.arrives_exactly(FRAGILE, key, old)
    world.converges(FRAGILE, key)


def test_a_denied_large_object_leaves_no_open_upload(world: World) -> None:
    """Scenario 136."""
    folder = world.folder("risky")
    key = folder + "large"
    with world.denied(FRAGILE, folder, "s3:PutObject"):
        version = world.put(key, bytes(129 * MIB))
        world.arrives(NEAR, key, version)
        row = world.ends(FRAGILE, key, version, Status.FAILED)
        assert row.reason == "DstMultipartInitNotPermitted"
        world.is_parked(folder)
        assert not world.s3.list_multipart_uploads(Bucket=FRAGILE).get("Uploads")
    world.s3rctl("parked", "retry", "--reason", "DstMultipartInitNotPermitted", "--yes")
    world.arrives_exactly(FRAGILE, key, version)


def test_a_destination_that_is_gone_parks_its_objects_until_it_is_back(world: World) -> None:
    """Scenario 149."""
    key = world.folder("doomed") + "object"
    world.s3.delete_bucket(Bucket=DOOMED)
    try:
        version = world.put(key, b"x")
        world.arrives_exactly(NEAR, key, version)
        assert world.ends(DOOMED, key, version, Status.FAILED).reason == "DstBucketNotFound"
        world.is_parked(world.folder("doomed"))
    finally:
        world.s3.create_bucket(Bucket=DOOMED)
        world.s3.put_bucket_versioning(Bucket=DOOMED, VersioningConfiguration={"Status": "Enabled"})
    world.s3rctl("parked", "retry", "--destination", DOOMED, "--yes")
    world.arrives_exactly(DOOMED, key, version)
    world.empty(DOOMED)


def test_a_destination_that_lost_its_versioning_is_told_apart(world: World) -> None:
    """Scenario 53."""
    folder = world.folder("risky")
    key = folder + "object"
    world.s3.put_bucket_versioning(Bucket=FRAGILE, VersioningConfiguration={"Status": "Suspended"})
    try:
        version = world.put(key, b"x")
        assert world.ends(FRAGILE, key, version, Status.FAILED).reason == "DstBucketUnversioned"
        world.is_parked(folder)
    finally:
        world.s3.put_bucket_versioning(Bucket=FRAGILE, VersioningConfiguration={"Status": "Enabled"})
    world.s3rctl("parked", "retry", "--all", "--yes")
    world.arrives_exactly(FRAGILE, key, version)


@pytest.mark.parametrize("action", ["s3:GetObjectVersion"])
def test_a_source_that_must_not_be_read_parks_its_objects_with_the_reason(world: World, action: str) -> None:
    """Scenario 146: the template's roles are enforced, so what is missing in them is missed."""
    folder = world.folder("one")
    key = folder + "object"
    with world.without_permission(action):
        version = world.put(key, b"x")
        row = world.ends(NEAR, key, version, Status.FAILED)
        assert row.reason == "SrcGetObjectNotPermitted"
        assert action in str(row.detail)
        [letter] = world.is_parked(folder)
        assert letter.reason == "SrcGetObjectNotPermitted"
        assert not world.versions(NEAR, key)
    world.s3rctl("parked", "retry", "--all", "--yes")
    world.arrives_exactly(NEAR, key, version)


# -- messages


def test_a_vanished_version_among_good_ones_is_a_success(world: World) -> None:
    """Scenario 163: several records in one message, each handled for itself."""
    folder = world.folder("one")
    keys = [f"{folder}{n}" for n in range(3)]
    with world.notifications_held_back() as take:
        versions = [world.put(key, b"x") for key in keys]
        records = take(folder, 3)
        world.s3.delete_object(Bucket=SOURCE, Key=keys[1], VersionId=versions[1])
        world.send(*records)
    world.ends(NEAR, keys[1], versions[1], Status.TOMBSTONE)
    for n in (0, 2):
        world.arrives_exactly(NEAR, keys[n], versions[n])
    world.becomes_quiet()
    assert not world.versions(NEAR, keys[1])
    assert not world.parked(folder)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{not json", id="no JSON"),
        pytest.param('["Records"]', id="no object"),
        pytest.param('{"detail": {"bucket": {"name": "b"}}}', id="no Records"),
        pytest.param('{"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}', id="no bucket"),
    ],
)
def test_a_message_nobody_can_read_is_parked_once_as_it_came(world: World, body: str) -> None:
    """DESIGN 2, and LESSONS on poison."""
    world.send_text(body)

    def letters() -> list[Any]:
        return world.parked()

    [letter] = wait_until(letters, "it is parked")
    assert letter.reason == "UnreadableEvent"
    assert letter.text == body or json.loads(letter.text) == json.loads(body)
    world.becomes_quiet()
    assert len(world.parked()) == 1
    [listed] = json.loads(world.s3rctl("parked", "list", "--json"))["messages"]
    assert listed["reason"] == "UnreadableEvent"
    assert not listed["readable"] or listed["key"] is None


def test_one_bad_message_does_not_hold_up_a_batch(world: World) -> None:
    """Scenario 94."""
    folder = world.folder("one")
    with world.notifications_held_back() as take:
        versions = {f"{folder}{n}": world.put(f"{folder}{n}", b"x") for n in range(9)}
        records = take(folder, 9)
        world.send_together(["poison", *(json.dumps({"Records": [record]}) for record in records)])
    for key, version in versions.items():
        world.arrives_exactly(NEAR, key, version)
    [letter] = wait_until(world.parked, "it is parked")
    assert letter.text == "poison"
    world.becomes_quiet()


def test_the_test_event_of_s3_is_ignored(world: World) -> None:
    """Scenario 92."""
    world.send_text(
        json.dumps(
            {
                "Service": "Amazon S3",
                "Event": "s3:TestEvent",
                "Time": "2031-01-01T00:00:00.000Z",
                "Bucket": SOURCE,
                "RequestId": "5582815E1AEA5ADF",
                "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
            }
        )
    )
    world.becomes_quiet()
    assert not world.parked()
