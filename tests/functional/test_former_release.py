"""The release before this one and today's, in turns on the same ledger, queues and buckets: as while a stack
is brought up to date, or put back. What the former left is also kept, recorded: see test_former_records.py.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import pytest

from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.versions import Kind
from tests.functional import former_release, jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.former_release import FormerRelease, NotAtHand, unpack
from tests.functional.passing_time import let_time_pass
from tests.functional.test_disorder import crash_after_copy, expire_lease
from tests.functional.test_identity import free, to_eu, use
from tests.functional.test_version_deletes import deletes
from tests.functional.world import ONE, SOURCE, TABLE, World

#: Everything up to a yield is done by one release, what follows by the other.
Story = Callable[[World], Iterator[None]]

_STORIES: Final[dict[str, Story]] = {}


def _story(told: Story) -> Story:
    _STORIES[told.__name__] = told
    return told


@pytest.fixture(scope="session")
def former(tmp_path_factory: pytest.TempPathFactory) -> FormerRelease:
    folder = tmp_path_factory.mktemp("former")
    try:
        unpack(folder)
    except NotAtHand as reason:
        pytest.skip(f"the code of the former release is not at hand: {reason}")
    return FormerRelease.at(folder)


@pytest.fixture
def both(world: World, former: FormerRelease, small_parts: int, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("SINGLE_COPY_LIMIT", "_PART"):
        monkeypatch.setattr(former.plan(), name, small_parts)
    world.rules({**deletes(), "ID": "everything"})
    return world


# -- what is told


@_story
def a_history(world: World) -> Iterator[None]:
    """Rows of the one spill, and are read by the other; every event comes twice."""
    events = []
    for turn in range(5):
        for number in range(3):
            events.append(world.put("key", f"{turn}.{number}".encode()))
            world.deliver(events[-1])
        yield
        world.deliver(*events)


@_story
def late_versions(world: World) -> Iterator[None]:
    first, late, newest = (world.put("key", body) for body in (b"first", b"late", b"newest"))
    world.deliver(first)
    yield
    world.deliver(newest)
    yield
    world.deliver(late)
    yield
    world.drain()
    yield
    world.deliver(late, newest)
    world.drain()


@_story
def markers(world: World) -> Iterator[None]:
    world.deliver(world.put("key", b"old"))
    yield
    mark = world.mark("key")
    world.deliver(mark)
    yield
    undeleted = world.purge(mark)
    world.deliver(undeleted)
    yield
    world.drain()
    yield
    world.deliver(world.put("key", b"new"), undeleted)
    world.drain()


@_story
def a_deleted_version(world: World) -> Iterator[None]:
    first, second, third = (world.put("key", body) for body in (b"1", b"2", b"3"))
    world.deliver(first, second, third)
    yield
    world.deliver(world.purge(second))
    yield
    world.drain()
    yield
    world.deliver(second)
    world.drain()
    yield
    world.deliver(world.purge(third))
    world.drain()


@_story
def tags(world: World) -> Iterator[None]:
    """The last ones overtake their version."""
    put = world.put("key")
    world.deliver(put)
    yield
    world.deliver(world.tag(put, colour="red"))
    yield
    world.deliver(world.tag(put, colour="green"))
    yield
    late = world.put("key", b"new")
    world.deliver(world.tag(late, colour="blue"))
    yield
    world.deliver(late)
    world.drain()


@_story
def tags_that_could_not_be_put(world: World) -> Iterator[None]:
    put = world.put("key")
    world.deliver(put)
    yield
    with faults(Fault("PutObjectTagging", status=503, code="SlowDown", times=99, when=to_bucket(ONE))):
        world.deliver(world.tag(put, colour="red"))
    yield
    let_time_pass(world)


@_story
def what_was_refused_for_now(world: World) -> Iterator[None]:
    """It is due, and the other one sweeps."""
    with faults(Fault("CopyObject", status=503, code="SlowDown", times=99)):
        world.deliver(world.put("key", b"1"))
        yield
        let_time_pass(world, rounds=1)
    yield
    world.deliver(world.put("key", b"2"))
    yield
    let_time_pass(world)


@_story
def what_was_parked(world: World) -> Iterator[None]:
    """Sent to the ingest queue again, as an operator does."""
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=99)):
        world.deliver(world.put("key"))
    yield
    world.deliver(*world.take("parked"))
    world.drain()


@_story
def a_worker_that_died(world: World) -> Iterator[None]:
    """Between its copy and the record: the other one finds what it made."""
    event = world.put("key")
    crash_after_copy(world, event)
    expire_lease(world)
    yield
    assert world.deliver(event).failed == []
    world.drain()


@_story
def a_large_copy(world: World) -> Iterator[None]:
    """Its upload is begun by the one, its parts are copied by the other."""
    world.deliver(world.put_parts("key", [bytes(PART), b"rest"], Tagging="colour=red"))
    yield
    # Too late to begin a part.
    world.deliver(*world.take("large"), to="replicate_large", seconds=80)
    assert world.open_uploads() == 1
    yield
    world.deliver(*world.take("large"), to="replicate_large", seconds=80)
    yield
    world.drain()


@_story
def a_large_copy_that_failed(world: World) -> Iterator[None]:
    """The row remembers the upload."""
    world.deliver(world.put_parts("key", [bytes(PART), b"rest"]))
    yield
    with faults(Fault("UploadPartCopy", status=503, code="SlowDown", times=99)):
        world.deliver(*world.take("large"), to="replicate_large")
    assert world.row("key").upload is not None
    yield
    let_time_pass(world)


@_story
def a_large_copy_that_lies_too_low(world: World) -> Iterator[None]:
    """It is prepared by the one, for the other to complete."""
    late, large = world.put("key", b"late"), world.put_parts("key", [bytes(PART), b"rest"])
    world.deliver(large)
    world.drain()
    yield
    world.deliver(late)
    yield
    world.deliver(*world.take("dead-letter"), to="retry")
    yield
    world.deliver(*world.take("large"), to="replicate_large")
    assert world.open_uploads() == 1
    yield
    world.drain()


@_story
def what_others_removed(world: World) -> Iterator[None]:
    world.deliver(world.put("key"))
    yield
    world.s3.delete_object(Bucket=ONE, Key="key", VersionId=world.row("key").replica)
    world.settle("key")
    yield
    world.settle("key", restoreLost=True)
    world.drain()


@_story
def a_backfill(world: World) -> Iterator[None]:
    """Surveyed, worked on and reported by one and the other."""
    for number in range(5):
        world.put("key", str(number).encode())
        world.put(f"other {number}")
    jobs.survey(world, "job", {"Kind": "backfill"})
    yield
    for name in jobs.names(world, "jobs/job/batches/"):
        jobs.work(world, "job", name)
    yield
    world.drain()
    jobs.finish(world, "job")
    assert jobs.document(world, "jobs/job/report/summary.json")["statuses"]["SUCCEEDED"] == 10
    yield
    again = jobs.run(world, "again")
    assert again.writes() == []


@_story
def a_reconcile(world: World) -> Iterator[None]:
    """Its ledger is lost, and rebuilt from the stamps that the one has written, by the other."""
    for number in range(3):
        world.deliver(world.put("key", str(number).encode()))
    yield
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        world.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    rebuilt = jobs.run(world, "rebuild", Kind="reconcile")
    assert not any(call.operation == "CopyObject" for call in rebuilt.calls)
    yield
    assert jobs.run(world, "look", Kind="reconcile").tasks == []


PART: Final = 5 * 1024 * 1024


@pytest.mark.parametrize("former_begins", [True, False], ids=["former first", "today first"])
@pytest.mark.parametrize("story", _STORIES.values(), ids=_STORIES.keys())
def test_each_release_goes_on_with_what_the_other_has_left(
    both: World, former: FormerRelease, story: Story, former_begins: bool
) -> None:
    told = story(both)
    for is_former in cycle((former_begins, not former_begins)):
        with former.at_work() if is_former else nullcontext():
            if next(told, _story) is _story:
                break
    let_time_pass(both, rounds=2)
    everything_is_where_it_should_be(both)
    for key in _keys(both, SOURCE):
        both.deliver(both.put(key, b"another"))
    both.drain()
    everything_is_where_it_should_be(both)


@pytest.mark.parametrize("lacking", ["history", "git"])
def test_without_the_history_it_is_said_what_is_not_at_hand(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking == "history":
        monkeypatch.setattr(former_release, "COMMIT", "0" * 40)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAtHand, match=r"there is no git|0{40}"):
        unpack(tmp_path)


def test_what_only_today_knows_may_be_lost(both: World, former: FormerRelease) -> None:
    """The former release writes the head whole, without what it does not know."""
    both.deliver(both.put("key", b"1"))
    unheard_of = both.put("key", b"2")
    both.deliver(both.tag(unheard_of, colour="red"))
    assert both.ledger_head("key").heard != {}
    with former.at_work():
        both.deliver(both.put("key", b"3"))
    assert both.ledger_head("key").heard == {}
    both.deliver(unheard_of)
    both.drain()
    everything_is_where_it_should_be(both)


def test_what_today_keeps_out_of_a_place_hinders_no_former_sweep(both: World, former: FormerRelease) -> None:
    """A key is kept out because another one has its place: an item that the former release does not know."""
    use(both, to_eu("in/"))
    owner = both.put("in/x", b"of in")
    both.deliver(owner)
    use(both, to_eu("other/"))
    both.deliver(both.put("other/x", b"of other"))
    with former.at_work():
        both.sweep()
        both.drain()
        both.deliver(both.put("other/y"))
        assert both.settle("other/x")["outcomes"] != []
    free(both, owner)
    both.deliver(*both.take("parked"))
    both.drain()
    assert both.versions("eu/x") == ["of other"]
    assert both.versions("eu/y") == ["content"]
    assert both.parked() == []


def everything_is_where_it_should_be(world: World) -> None:
    """Each live version has its replica, in order, and nothing else is there; nobody has anything to do."""
    assert {name: world.messages(name) for name in world.queues} == {name: [] for name in world.queues}
    assert world.open_uploads() == 0
    for key in _keys(world, SOURCE) | _keys(world, ONE):
        _is_in_order(world, key)


def _is_in_order(world: World, key: str) -> None:
    assert world.versions(key) == world.versions(key, SOURCE)
    assert world.at_rest(key)
    assert world.ledger_head(key).due() is None
    _, rows = world.ledger.history(LedgerKey(ONE, key))
    assert {row.status for row in rows.values()} <= {"COMPLETED", "TOMBSTONE"}
    remembered = [(row.left, row.blocked, row.stray, row.upload, row.owed) for row in rows.values()]
    assert remembered == [((), (), (), None, frozenset())] * len(rows)
    replicas = {version_id: row.replica for version_id, row in rows.items() if row.replica is not None}
    assert sorted(replicas.values()) == _ids(world, key, ONE)
    assert sorted(replicas) == _ids(world, key, SOURCE)
    for version_id, replica in replicas.items():
        if rows[version_id].kind is Kind.OBJECT:
            assert world.tags(key, replica) == world.tags(key, version_id, SOURCE)


def _keys(world: World, bucket: str) -> set[str]:
    return {one["Key"] for one in _listed(world, bucket)}


def _ids(world: World, key: str, bucket: str) -> list[str]:
    return sorted(one["VersionId"] for one in _listed(world, bucket) if one["Key"] == key)


def _listed(world: World, bucket: str) -> list[dict[str, Any]]:
    answer = world.s3.list_object_versions(Bucket=bucket)
    return [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
