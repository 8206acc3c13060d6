"""A bucket of replicas becomes a source: whatever it holds arrives, by the job that the runbook names."""

from typing import Any, Final

import pytest

from tests.functional import jobs
from tests.functional.test_replicas import FULL, MARKERS, next_stack
from tests.functional.world import ONE, SOURCE, TWO, World

#: As in the runbook: replicas, and what was written here since.
FAILOVER: Final[dict[str, Any]] = {"ObjectReplicationStatuses": ["NONE", "FAILED", "REPLICA"]}


@pytest.fixture
def lost(world: World) -> World:
    """The source was replicated to ``ONE``, and is gone."""
    world.rules(MARKERS)
    for number in range(3):
        world.deliver(world.put("versions", str(number).encode()))
    world.deliver(world.put("deleted"), world.put("full", Metadata=FULL))
    world.deliver(world.mark("deleted"))
    empty(world, SOURCE)
    return world


def empty(world: World, bucket: str) -> None:
    listed = world.s3.list_object_versions(Bucket=bucket)
    for entry in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        world.s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def everything(world: World, bucket: str) -> dict[str, list[str]]:
    return {key: world.versions(key, bucket) for key in ("versions", "deleted", "full", "since")}


EXPECTED: Final = {
    "versions": ["2", "1", "0"],
    "deleted": ["marker", "content"],
    "full": ["content"],
    "since": ["content"],
}


@pytest.mark.parametrize("to", [TWO, SOURCE], ids=["to another bucket", "back to an empty one"])
def test_everything_arrives_and_the_dry_run_said_so(lost: World, to: str) -> None:
    lost.s3.put_object(Bucket=ONE, Key="since", Body=b"content")
    with next_stack(lost, ONE, to):
        dry = jobs.run(lost, "dry", DryRun=True, **FAILOVER)
        assert (dry.writes(), dry.summary["statuses"]["SKIPPED"]) == ([], 7)
        assert [task.get("reason") for task in dry.tasks] == [None] * 7
        done = jobs.run(lost, "failover", **FAILOVER)
        assert done.summary["statuses"] == {"SUCCEEDED": 7, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
        assert jobs.run(lost, "again", **FAILOVER).writes() == []
    assert everything(lost, to) == everything(lost, ONE) == EXPECTED


def test_replicas_alone_arrive_if_only_they_are_asked_for(lost: World) -> None:
    """What cannot say whether it is one is among them: a delete marker, and what has no room for a stamp."""
    lost.s3.put_object(Bucket=ONE, Key="since", Body=b"content")
    with next_stack(lost, ONE, TWO):
        jobs.run(lost, ObjectReplicationStatuses=["REPLICA"])
    assert everything(lost, TWO) == {**EXPECTED, "since": []}


def test_without_the_status_replica_a_job_says_what_it_passes_over(lost: World) -> None:
    with next_stack(lost, ONE, TWO, rule={}):
        dry = jobs.run(lost, "dry", DryRun=True)
        done = jobs.run(lost, "backfill")
    named = sorted((task["key"], task["reason"]) for task in done.tasks if task.get("reason"))
    assert named == [("deleted", "SrcObjectIsReplica"), *[("versions", "SrcObjectIsReplica")] * 3]
    assert sorted((t["key"], t["reason"]) for t in dry.tasks if t.get("reason")) == named


def test_where_peers_are_declared_the_job_brings_their_markers_too(lost: World) -> None:
    with next_stack(lost, ONE, TWO, peers="AROAEXAMPLEPEER00000"):
        jobs.run(lost, **FAILOVER)
    assert everything(lost, TWO) == {**EXPECTED, "since": []}


def test_what_was_filled_back_does_not_come_over_again(lost: World) -> None:
    """The rebuilt source has its stack again: what the job has written there are replicas to it."""
    with next_stack(lost, ONE, SOURCE):
        jobs.run(lost, **FAILOVER)
    done = jobs.run(lost, "reconcile", Kind="reconcile")
    assert {task.get("reason") for task in done.tasks if task["key"] == "versions"} >= {"SrcObjectIsReplica"}
    assert lost.versions("versions", ONE) == ["2", "1", "0"]
