"""What the release before this one has left behind, as it was recorded: today's goes on with it. See
former_records.py; and test_former_release.py, where both take turns.
"""

import json
from typing import Any, Final

import pytest

from tests.functional import jobs, snapshot
from tests.functional.former_records import FILE, SCENES
from tests.functional.former_release import COMMIT
from tests.functional.passing_time import let_time_pass
from tests.functional.test_former_release import everything_is_where_it_should_be
from tests.functional.world import SOURCE, World

_RECORDED: Final[dict[str, Any]] = json.loads(FILE.read_text())


@pytest.fixture
def today(world: World, small_parts: int) -> World:
    """Nothing here is large but what has several parts."""
    assert small_parts
    return world


@pytest.mark.parametrize("scene", _RECORDED["scenes"])
def test_today_goes_on_with_what_the_former_release_has_left(today: World, scene: str) -> None:
    snapshot.restore(today, _RECORDED["scenes"][scene])
    for queue in ("parked", "ingest"):
        for body in today.take(queue):
            assert today.deliver(body).failed == []
    today.drain()
    for name in jobs.names(today, "jobs/job/batches/"):
        jobs.work(today, "job", name)
    let_time_pass(today, rounds=2)

    everything_is_where_it_should_be(today)
    for key in _keys(today):
        today.deliver(today.put(key, b"another"))
    today.drain()
    everything_is_where_it_should_be(today)


def _keys(world: World) -> set[str]:
    return {one["Key"] for one in world.s3.list_object_versions(Bucket=SOURCE)["Versions"]}


def test_a_backfill_that_the_former_release_has_surveyed_is_reported(today: World) -> None:
    snapshot.restore(today, _RECORDED["scenes"]["backfill"])
    for name in jobs.names(today, "jobs/job/batches/"):
        jobs.work(today, "job", name)
    jobs.finish(today, "job")

    summary = jobs.document(today, "jobs/job/report/summary.json")
    assert summary["statuses"] == {"SUCCEEDED": 6, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}


def test_every_scene_is_recorded() -> None:
    assert _RECORDED["commit"] == COMMIT
    assert set(_RECORDED["scenes"]) == set(SCENES)
