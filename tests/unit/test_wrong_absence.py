"""A source may answer that a version is not there, though it is: such an answer closes nothing, and loses
nothing. What it has closed in an earlier release is opened again by whoever lists."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.ledger import Lease, LedgerKey, Row, Status
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.versions import Kind
from s3replicator.ports import Granted
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Call, Fate, Port, Worker
from tests.unit.protocol.world import REPLICA, SOURCE
from tests.unit.test_protocol_rules import KEY, LARGE, Stage, shown


def is_told_of_nothing(stage: Stage, worker: Worker, request: str = "head", times: int = 1) -> None:
    """The source answers one request as if there were no such version."""
    stage.until(worker, request, times)
    assert worker.call is not None, f"{request} is never sent"
    stage.world.step(worker, Fate.ABSENT)
    stage.world.finish(worker)


def arrives(stage: Stage) -> None:
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


@pytest.mark.parametrize("size", [1, LARGE])
def test_a_version_that_is_listed_is_not_gone(size: int) -> None:
    stage = Stage.of()
    letter = stage.put(size)
    is_told_of_nothing(stage, stage.take(letter))
    [row] = stage.rows()
    assert row.status is Status.PENDING
    assert row.due is not None
    arrives(stage)


def test_nor_is_a_delete_marker() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    is_told_of_nothing(stage, stage.take(stage.mark()))
    arrives(stage)


def test_nor_is_what_cannot_be_copied_all_at_once() -> None:
    stage = Stage.of()
    stage.deliver(stage.put(LARGE))
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    is_told_of_nothing(stage, stage.take(letter, queue=Queue.LARGE))
    arrives(stage)


def test_nor_what_is_said_to_be_gone_when_it_is_copied() -> None:
    stage = Stage.of()
    is_told_of_nothing(stage, stage.take(stage.put()), "copy")
    arrives(stage)


def test_nor_a_null_version() -> None:
    stage = Stage.of()
    stage.world.switch(versioning=False)
    is_told_of_nothing(stage, stage.take(stage.put()))
    arrives(stage)


def test_whoever_cannot_list_does_not_call_it_gone() -> None:
    stage = Stage.of()
    worker = stage.until(stage.take(stage.put()), "head")
    stage.world.step(worker, Fate.ABSENT)
    stage.world.step(stage.until(worker, "versions"), Fate.REFUSED)
    stage.world.finish(worker)
    assert stage.rows()[0].status is Status.PENDING
    arrives(stage)


def test_a_version_that_is_listed_and_never_there_is_parked() -> None:
    """It is tried as often as anything else, and an operator is told."""
    stage = Stage.of()
    letter = stage.put()
    stage.world.refused["head"] = Fate.ABSENT
    stage.deliver(letter)
    stage.lease_runs_out()
    for _ in range(10):
        stage.world.finish(stage.world.sweep())
        stage.drain()
        stage.world.wait(4000)
    [row] = stage.rows()
    assert row.status is Status.FAILED
    assert row.reason == "SrcVersionNotFound"
    assert len(stage.world.queues.letters[Queue.PARKED]) == 1


@pytest.mark.parametrize(
    ("change", "read", "owed"),
    [
        (Stage.tag, "tags", ChangeKind.TAGGED),
        (Stage.grant, "acl", ChangeKind.ACL_CHANGED),
        (Stage.annotate, "annotations", ChangeKind.ANNOTATED),
    ],
)
def test_what_a_replica_is_owed_is_not_forgotten(
    change: Callable[[Stage, int, str], object], read: str, owed: ChangeKind
) -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    change(stage, 0, "green")
    [letter, *_] = stage.world.queues.waiting(Queue.INGEST)
    is_told_of_nothing(stage, stage.take(letter), read)
    assert stage.rows()[0].owed == {owed}
    arrives(stage)


def with_a_tombstone(stage: Stage) -> None:
    """The newest version is called gone, as a former release did after one wrong answer; nothing else will
    tell of it."""
    letter = stage.put()
    newest = stage.world.source.listed(KEY)[0]
    ledger, key, now = stage.world.ledger, LedgerKey(REPLICA, KEY), stage.world.clock.now()
    lease = Lease("former release", now + 60)
    granted = ledger.lease(key, f"{SOURCE}/{KEY}", None, lease=lease, intent=None, now=now)
    assert isinstance(granted, Granted)
    gone = Row(Kind.OBJECT, Status.TOMBSTONE, facts_of(newest))
    ledger.write(key, lease.token, replace(granted.head.with_row(newest.version_id, gone), lease=None))
    stage.deliver(letter)


def test_an_event_alone_does_not_open_a_tombstone() -> None:
    """A message of a delete marker may come long after the marker has been deleted."""
    stage = Stage.of()
    with_a_tombstone(stage)
    stage.drain()
    assert stage.replicas() == []
    assert stage.rows()[0].status is Status.TOMBSTONE


def test_a_tombstone_of_what_is_listed_is_opened_by_settling() -> None:
    stage = Stage.of()
    with_a_tombstone(stage)
    stage.settle()
    assert stage.rows()[0].status is Status.COMPLETED
    arrives(stage)


def test_and_by_whatever_else_settles_the_key() -> None:
    """A late version does."""
    stage = Stage.of()
    late = stage.put()
    with_a_tombstone(stage)
    newest = stage.put()
    stage.deliver(newest)
    stage.deliver(late)
    arrives(stage)


def test_what_is_opened_again_and_never_there_is_parked() -> None:
    stage = Stage.of()
    with_a_tombstone(stage)
    stage.world.refused["head"] = Fate.ABSENT
    stage.settle()
    for _ in range(10):
        stage.world.wait(4000)
        stage.world.finish(stage.world.sweep())
        stage.drain()
    assert stage.rows()[0].status is Status.FAILED
    assert len(stage.world.queues.letters[Queue.PARKED]) == 1


def test_a_tombstone_of_what_is_not_listed_stays() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    gone = stage.put()
    stage.purge()
    stage.deliver(gone)
    before = stage.rows()
    stage.settle()
    assert stage.rows() == before
    assert [row.status for row in before] == [Status.TOMBSTONE, Status.COMPLETED]


def test_the_list_that_has_to_agree_is_made_after_the_answer() -> None:
    """One that was made before, to find the version's place, says nothing about it."""
    stage = Stage.of()
    stage.deliver(stage.put())
    worker = stage.until(stage.take(stage.end(stage.begin())), "copy")
    listed_before = lists_of(stage)
    stage.world.step(worker, Fate.ABSENT)
    stage.world.finish(worker)
    assert (listed_before, lists_of(stage)) == (1, 2)
    arrives(stage)


def lists_of(stage: Stage) -> int:
    calls = (event.what for event in stage.world.scheduler.trace)
    return sum(
        isinstance(call, Call) and (call.port, call.name) == (Port.SOURCE, "versions") for call in calls
    )
