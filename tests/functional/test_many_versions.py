"""A key of many versions, by the real functions, in several calls.

2000 versions take a minute and a half of a processor, most of it in moto: each version takes six requests, of
three milliseconds or more. So there are as many in the longer run only, with HYPOTHESIS_PROFILE=night.
"""

import os
from typing import Any

import pytest

from s3replicator.usecases import by_hand, job_batch
from tests.functional import jobs
from tests.functional.jobs import Run
from tests.functional.world import ONE, SOURCE, TABLE, World

VERSIONS = 2000 if os.environ.get("HYPOTHESIS_PROFILE") == "night" else 500

#: A call begins something for so many seconds; what it has begun takes longer.
SECONDS = VERSIONS / 500

#: Kept by a worker of a job for what it has begun.
KEPT = 60 + 60 + 2


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that have been called."""
    made: list[str] = []
    invoke = jobs.invoke

    def counted(world: World, function: str, *arguments: Any) -> dict[str, Any]:
        made.append(function)
        return invoke(world, function, *arguments)

    monkeypatch.setattr(jobs, "invoke", counted)
    monkeypatch.setattr(job_batch, "MOST_VERSIONS", VERSIONS // 5)
    monkeypatch.setattr(by_hand, "_AT_ONCE", VERSIONS // 5)
    return made


def run(world: World, job: str, seconds: float = 60, **request: Any) -> Run:
    return jobs.run(world, job, seconds=KEPT + seconds, **request)


def test_a_key_of_many_versions_is_backfilled_reconciled_and_repaired(world: World, calls: list[str]) -> None:
    """In several calls, and in the order of its versions."""
    world.rules({})
    for number in range(VERSIONS):
        world.put("key", str(number).encode())

    done = run(world, "backfill", SECONDS)

    assert listed(world, ONE) == listed(world, SOURCE)
    assert done.summary["statuses"] == {"SUCCEEDED": VERSIONS, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
    assert done.count("CopyObject") == VERSIONS
    assert calls.count("backfill") > 2

    looked = run(world, "look", Kind="reconcile")
    assert (looked.tasks, looked.writes()) == ([], [])

    spoil(world)
    repaired = run(world, "repair", Kind="reconcile", RestoreLost=True)
    assert {task["finding"]: task["status"] for task in repaired.tasks} == {
        "Lost": "SUCCEEDED",
        "Missing": "SUCCEEDED",
        "Unrecorded": "SUCCEEDED",
    }
    # The one that was lost, and those above it.
    assert repaired.count("CopyObject") == 3
    assert listed(world, ONE) == listed(world, SOURCE)
    assert world.at_rest("key")


def versions(world: World, bucket: str) -> list[dict[str, Any]]:
    """Newest first."""
    pages = world.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="key")
    return [version for page in pages for version in page["Versions"]]


def listed(world: World, bucket: str) -> list[str]:
    """What every version holds, newest first."""
    return [version["ETag"] for version in versions(world, bucket)]


def spoil(world: World) -> None:
    """Somebody removes a replica, and the ledger loses the row of another."""
    lost = versions(world, ONE)[2]["VersionId"]
    world.s3.delete_object(Bucket=ONE, Key="key", VersionId=lost)
    forgotten = versions(world, SOURCE)[VERSIONS // 2]["VersionId"]
    row = {"pk": {"S": f"{ONE}#key"}, "sk": {"S": f"V#{forgotten}"}}
    world.dynamodb.delete_item(TableName=TABLE, Key=row)
