"""From Amazon's own replication to this one: what it has made is adopted, and not copied again."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.versions import Kind
from tests.e2e.deployments import Deployment
from tests.e2e.jobs import end, histories, start, summary, withheld
from tests.e2e.world import World, wait_until

SOURCE: Final = "e2e-native-source"
REPLICAS: Final = "e2e-native-replicas"
STACK: Final = "native"

RULE: Final[Mapping[str, Any]] = {
    "ID": "all",
    "Priority": 1,
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "DeleteMarkerReplication": {"Status": "Enabled"},
    "Destination": {"Bucket": f"arn:aws:s3:::{REPLICAS}"},
}

#: What was there when this stack came: number of versions, and where in them somebody deleted the key.
KEYS: Final = {f"adopted/{number:02}/ü+%.txt": number % 4 + 1 for number in range(24)}
DELETED: Final = sorted(KEYS)[::5]


@pytest.fixture(scope="module")
def before(stack: Any) -> World:
    """Replicated by Amazon S3 alone."""
    first = World(stack)
    for bucket in (SOURCE, REPLICAS):
        first.make_bucket(bucket)
    let_amazon_replicate(first)
    for key, versions in KEYS.items():
        for number in range(versions):
            body = f"{key} {number}".encode()
            first.s3.put_object(Bucket=SOURCE, Key=key, Body=body, Tagging="colour=blue")
        if key in DELETED:
            first.s3.delete_object(Bucket=SOURCE, Key=key)
    return first


def let_amazon_replicate(world: World) -> None:
    rules: Any = {"Role": "arn:aws:iam::000000000000:role/native", "Rules": [RULE]}
    world.s3.put_bucket_replication(Bucket=SOURCE, ReplicationConfiguration=rules)


@pytest.fixture(scope="module")
def world(before: World) -> World:
    """This stack, deployed while the native rules are still in force."""
    return World(Deployment(before, STACK).create(SourceBucket=SOURCE, Destinations=REPLICAS).deployed())


def ids(world: World, bucket: str) -> dict[str, list[str]]:
    """Of every version and marker, by key, newest first."""
    return {key: [each.version_id for each in world.versions(bucket, key)] for key in KEYS}


def objects(world: World, bucket: str) -> dict[str, list[str]]:
    listed = {key: world.versions(bucket, key) for key in KEYS}
    return {
        key: [each.version_id for each in versions if each.kind is Kind.OBJECT]
        for key, versions in listed.items()
    }


def status_of(world: World, bucket: str, key: str, version: str) -> str | None:
    told = world.s3.head_object(Bucket=bucket, Key=key, VersionId=version)
    return told.get("ReplicationStatus")


def test_it_begins_with_what_amazon_has_replicated(before: World) -> None:
    assert objects(before, SOURCE) == objects(before, REPLICAS)
    assert histories(before, SOURCE) == histories(before, REPLICAS)
    key = sorted(KEYS)[3]
    for version in objects(before, SOURCE)[key]:
        assert status_of(before, SOURCE, key, version) == "COMPLETED"
        assert status_of(before, REPLICAS, key, version) == "REPLICA"


def test_native_rules_that_are_still_in_force_are_warned_of(world: World) -> None:
    told = [line for line in log_of_the_deployment(world) if "own replication" in line]
    assert told
    assert all(SOURCE in line and REPLICAS in line and "WARNING" in line for line in told)


def log_of_the_deployment(world: World) -> list[str]:
    logs = world.client("logs")

    def lines() -> list[str]:
        told = logs.filter_log_events(logGroupName=f"/aws/lambda/{STACK}/bucket-setup")
        return [event["message"] for event in told["events"]]

    return wait_until(lines, "the deployment has written its log")


def test_what_amazon_has_replicated_is_adopted_and_not_copied_again(world: World) -> None:
    world.s3.delete_bucket_replication(Bucket=SOURCE)
    sources, replicas = ids(world, SOURCE), ids(world, REPLICAS)

    end(world, start(world, "adopting"))

    assert ids(world, REPLICAS) == replicas
    told = summary(world, "adopting")["statuses"]
    everything = sum(map(len, sources.values()))
    assert told == {"SUCCEEDED": everything, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
    for key, versions in sources.items():
        rows = world.rows(REPLICAS, key)
        # Replicas of objects are called as their sources are; those of markers are known by their place.
        assert [adopted(rows[version]) for version in versions] == replicas[key]

    end(world, start(world, "again"))
    assert summary(world, "again")["survey"]["selected"] == 0
    end(world, start(world, "compared", Kind="reconcile", Deep=True))
    assert summary(world, "compared")["findings"] == {}
    assert ids(world, REPLICAS) == replicas


def adopted(row: Row) -> str | None:
    assert row.status is Status.COMPLETED
    return row.replica


def test_status_shows_what_was_adopted(world: World) -> None:
    key = DELETED[1]
    told = json.loads(world.s3rctl("status", f"s3://{SOURCE}/{key}", "--stack", STACK, "--json"))
    replicas = world.versions(REPLICAS, key)
    assert len(told["versions"]) == len(replicas) == KEYS[key] + 1
    for version, replica in zip(told["versions"], replicas, strict=True):
        assert version["status"] == "COMPLETED"
        [there] = version["destinations"]
        assert (there["destination"], there["status"]) == (REPLICAS, "COMPLETED")
        assert there["replicaVersionId"] == replica.version_id
        assert there["isInDoubt"]
        assert not there["isLost"]


def test_what_is_written_afterwards_comes_above_what_was_adopted(world: World) -> None:
    key = DELETED[2]
    before = [each.version_id for each in world.versions(REPLICAS, key)]
    version = world.put(key, b"afterwards")
    replica = world.arrives(REPLICAS, key, version)
    assert [each.version_id for each in world.versions(REPLICAS, key)] == [replica, *before]


def test_tags_changed_afterwards_reach_what_was_adopted(world: World) -> None:
    key = sorted(KEYS)[7]
    newest, *_ = world.versions(SOURCE, key)
    named: Any = {"Key": key, "VersionId": newest.version_id}
    tags: Any = [{"Key": "colour", "Value": "red"}]
    world.s3.put_object_tagging(Bucket=SOURCE, **named, Tagging={"TagSet": tags})
    wait_until(
        lambda: world.s3.get_object_tagging(Bucket=REPLICAS, **named)["TagSet"] == tags,
        "the adopted replica has the new tags",
    )


def test_where_both_serve_a_pair_the_second_replica_is_told_of_and_kept(world: World) -> None:
    """What the warning warns of."""
    key = "both/key"
    let_amazon_replicate(world)
    try:
        version = world.put(key, b"content")
        replica = world.arrives(REPLICAS, key, version)
        both = {each.version_id for each in world.versions(REPLICAS, key)}
        assert both == {version, replica}
    finally:
        world.s3.delete_bucket_replication(Bucket=SOURCE)
    end(world, start(world, "twice", Kind="reconcile", Prefix="both/"))
    assert summary(world, "twice")["findings"] == {"Twice": 1}
    assert {each.version_id for each in world.versions(REPLICAS, key)} == both
    end(world, start(world, "twice-again", Kind="reconcile", Prefix="both/"))
    assert summary(world, "twice-again")["findings"] == {}


def test_what_amazon_left_undone_is_brought_over(world: World) -> None:
    """Versions from before the native rules, below what they replicated."""
    key = "older/key"
    with withheld(world, "older/", 2):
        older = world.put(key, b"older")
        let_amazon_replicate(world)
        newer = world.put(key, b"newer")
        world.s3.delete_bucket_replication(Bucket=SOURCE)
    assert [each.version_id for each in world.versions(REPLICAS, key)] == [newer]

    end(world, start(world, "older", Prefix="older/"))

    rows = world.rows(REPLICAS, key)
    assert {rows[older].status, rows[newer].status} == {Status.COMPLETED}
    listed = world.versions(REPLICAS, key)
    bodies = [world.read(REPLICAS, key, each.version_id) for each in listed]
    # What was adopted is in doubt, and never removed: it stays below its own copy.
    assert bodies == [b"newer", b"older", b"newer"]
    assert world.settles(REPLICAS, key).clean
