"""Both sides compared with the ledger: what is wrong is found, put right, or only told of."""

from typing import Any

import pytest

from tests.functional import jobs
from tests.functional.jobs import Run
from tests.functional.world import ONE, SOURCE, TABLE, World

MARKERS: dict[str, Any] = {"DeleteMarkerReplication": {"Status": "Enabled"}}


@pytest.fixture
def one(world: World) -> World:
    """Some keys in order: one with history, one deleted."""
    world.rules(MARKERS)
    for number in range(3):
        world.deliver(world.put("key", str(number).encode()))
    world.deliver(world.put("gone"))
    world.deliver(world.mark("gone"))
    return world


def reconcile(world: World, job: str = "job", **request: Any) -> Run:
    return jobs.run(world, job, Kind="reconcile", **request)


def found(done: Run) -> list[tuple[str, str, str]]:
    return sorted((task["key"], task.get("finding", ""), task["status"]) for task in done.tasks)


def test_where_everything_is_in_order_nothing_is_written(one: World) -> None:
    done = reconcile(one)
    assert done.tasks == []
    assert done.batches == 0
    assert done.writes() == []


def test_a_deep_look_at_what_is_in_order_writes_nothing(one: World) -> None:
    done = reconcile(one, Deep=True)
    assert done.tasks == []
    assert done.writes() == []


def test_what_events_missed_is_copied(one: World) -> None:
    one.put("key", b"3")
    one.put("new")
    one.mark("key")

    done = reconcile(one)

    assert found(done) == [
        ("key", "Missing", "SUCCEEDED"),
        ("key", "Missing", "SUCCEEDED"),
        ("new", "Missing", "SUCCEEDED"),
    ]
    assert one.versions("key")[:2] == ["marker", "3"]
    assert one.versions("new") == ["content"]
    assert reconcile(one, "again").tasks == []


def test_a_missing_version_below_others(one: World) -> None:
    late = one.put("other", b"late")
    one.deliver(one.put("other", b"newer"))
    assert late
    assert found(reconcile(one)) == [("other", "Missing", "SUCCEEDED")]
    assert one.versions("other") == ["newer", "late"]


def remove_replica(world: World, key: str, number: int) -> None:
    world.s3.delete_object(Bucket=ONE, Key=key, VersionId=world.rows(key)[number].replica)


def test_what_others_removed_is_told_of_and_left(one: World) -> None:
    """Perhaps a lifecycle rule removed it, which would be fought otherwise."""
    remove_replica(one, "key", 1)

    done = reconcile(one)
    assert found(done) == [("key", "Lost", "SKIPPED")]
    assert done.tasks[0]["reason"] == "ReplicaLost"
    assert len(one.versions("key")) == 2

    # From then on it is no news.
    again = reconcile(one, "again")
    assert found(again) == [("key", "", "SKIPPED")]
    assert again.summary["findings"] == {}


def test_what_others_removed_comes_back_if_asked(one: World) -> None:
    remove_replica(one, "key", 1)
    assert found(reconcile(one, RestoreLost=True)) == [("key", "Lost", "SUCCEEDED")]
    assert one.versions("key") == ["2", "1", "0"]
    assert reconcile(one, "again", RestoreLost=True).writes() == []


def test_a_replica_that_no_row_knows_is_recorded(one: World) -> None:
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        one.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    before = {key: one.versions(key) for key in ("key", "gone")}

    done = reconcile(one)

    assert done.count("CopyObject") == done.count("DeleteObject") == 0
    assert {key: one.versions(key) for key in ("key", "gone")} == before
    assert {task["status"] for task in done.tasks} == {"SUCCEEDED"}
    assert {row.status for key in ("key", "gone") for row in one.rows(key)} == {"COMPLETED"}
    assert reconcile(one, "again").tasks == []


def test_what_cannot_be_recovered_is_told_of(one: World) -> None:
    """The ledger was lost, and the source version of a replica is gone: nothing says where it belongs."""
    [version] = [
        listed["VersionId"]
        for listed in one.s3.list_object_versions(Bucket=SOURCE, Prefix="key")["Versions"]
        if one.content("key", SOURCE, listed["VersionId"]) == "1"
    ]
    one.s3.delete_object(Bucket=SOURCE, Key="key", VersionId=version)
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        one.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})

    done = reconcile(one)

    told = [task for task in done.tasks if task["status"] != "SUCCEEDED"]
    assert [(task["version"], task["status"], task["reason"]) for task in told] == [
        (version, "SKIPPED", "SrcVersionNotFound")
    ]
    assert one.versions("key") == ["2", "1", "0"]
    # From then on it is no news.
    assert reconcile(one, "again").summary["findings"] == {}


def test_a_second_replica_is_recorded_and_kept(one: World) -> None:
    replica = one.rows("key")[0].replica
    one.s3.copy_object(Bucket=ONE, Key="key", CopySource={"Bucket": ONE, "Key": "key", "VersionId": replica})
    done = reconcile(one)
    assert ("key", "Twice", "SUCCEEDED") in found(done)
    # Nobody can know that it is not a user's, so it stays, below the newest.
    assert one.versions("key") == ["2", "0", "1", "0"]
    assert reconcile(one, "again").tasks == []


def test_replicas_in_the_wrong_order(one: World) -> None:
    """The ledger believes that the oldest one is the copy that was made last."""
    first = one.rows("key")[0]
    again = one.s3.copy_object(
        Bucket=ONE, Key="key", CopySource={"Bucket": ONE, "Key": "key", "VersionId": first.replica}
    )
    pretend(one, first.replica, again["VersionId"])

    assert found(reconcile(one)) == [("key", "WrongOrder", "SUCCEEDED")]
    assert one.versions("key")[:3] == ["2", "1", "0"]
    assert reconcile(one, "again").tasks == []


def pretend(world: World, replica: str | None, other: str) -> None:
    """The row of ``replica`` says ``other``; the former becomes a copy that is still to be removed."""
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        for row in [item.get("row"), *item.get("rows", {"M": {}})["M"].values()]:
            if row and row["M"].get("replica") == {"S": replica}:
                row["M"]["replica"] = {"S": other}
                row["M"]["left"] = {"L": [{"S": replica}]}
                world.dynamodb.put_item(TableName=TABLE, Item=item)


def test_somebody_has_written_over_the_replica(one: World) -> None:
    """Scenario 193."""
    one.s3.put_object(Bucket=ONE, Key="key", Body=b"altered")

    assert [task["finding"] for task in reconcile(one, DryRun=True).tasks] == ["Overwritten"]
    assert one.content("key") == "altered"

    done = reconcile(one, "again", RestoreLost=True)
    assert found(done) == [("key", "Overwritten", "SUCCEEDED")]
    # What is not ours is never removed.
    assert one.versions("key") == ["2", "altered", "1", "0"]
    assert reconcile(one, "third").tasks == []


def test_a_repair_that_nobody_went_on_with(one: World) -> None:
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        if item["sk"]["S"] == "HEAD" and item["pk"]["S"].endswith("#gone"):
            one.dynamodb.put_item(TableName=TABLE, Item={**item, "unsettled": {"BOOL": True}})
    assert found(reconcile(one)) == [("gone", "Unsettled", "SUCCEEDED")]
    assert one.at_rest("gone")


def test_tags_that_differ(one: World) -> None:
    one.s3.put_object_tagging(
        Bucket=SOURCE, Key="key", Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]}
    )
    assert reconcile(one).tasks == []

    assert found(reconcile(one, "dry", Deep=True, DryRun=True)) == [("key", "Different", "SKIPPED")]
    assert found(reconcile(one, "deep", Deep=True)) == [("key", "Different", "SUCCEEDED")]
    assert one.tags("key", str(one.rows("key")[-1].replica)) == {"colour": "red"}


def test_uploads_that_nobody_goes_on_with(one: World) -> None:
    """moto says of all uploads that they were begun in 2010."""
    for key in ("key", "theirs"):
        one.s3.create_multipart_upload(Bucket=ONE, Key=key)
    assert found(reconcile(one)) == [("key", "StrayUpload", "SKIPPED")]
    # Nothing tells whose they are.
    assert one.open_uploads() == 2


def test_a_dry_run_tells_and_does_nothing(one: World) -> None:
    one.put("new")
    remove_replica(one, "key", 0)
    done = reconcile(one, DryRun=True)
    assert {task["finding"] for task in done.tasks} == {"Missing", "Lost"}
    assert done.writes() == []
    assert one.versions("new") == []


def test_what_was_found_is_a_metric(one: World, capsys: pytest.CaptureFixture[str]) -> None:
    one.put("new")
    reconcile(one)
    assert '"DriftFound":[1.0]' in capsys.readouterr().out


def test_versions_that_no_rule_selects_are_no_drift(world: World) -> None:
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}})
    world.put("untagged")
    done = reconcile(world)
    assert done.tasks == []
    assert done.writes() == []


def test_foreign_objects_are_left_alone(one: World) -> None:
    one.s3.put_object(Bucket=ONE, Key="theirs", Body=b"content")
    done = reconcile(one, RestoreLost=True)
    assert done.tasks == []
    assert one.versions("theirs") == ["content"]
