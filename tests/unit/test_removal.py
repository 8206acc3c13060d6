"""Nothing is removed on the word of the ledger alone: what goes bears out itself that it is ours."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from s3replicator.decisions.ledger import Head, Lease, LedgerKey, Row
from s3replicator.decisions.stamp import METADATA_LIMIT, Stamp
from s3replicator.decisions.versions import VersionRef
from s3replicator.ports import Granted
from s3replicator.usecases import settling
from tests.unit.protocol.memory_bucket import Truth
from tests.unit.protocol.memory_queues import Letter, Queue
from tests.unit.protocol.scheduler import Worker
from tests.unit.protocol.world import REPLICA, SOURCE
from tests.unit.test_protocol_rules import KEY, Stage, shown

PLACE: Final = LedgerKey(REPLICA, KEY)


#: Who writes at the destination in this world, as its owner is listed.
_WRITER: Final = "AWS:AROAEXAMPLEROLE:worker"


def forge(stage: Stage, change: Callable[[Row], Row]) -> None:
    """Whoever may write the ledger says so in the newest row, and that the key has to be looked after."""
    ledger, now = stage.world.ledger, stage.world.clock.now()
    granted = ledger.lease(
        PLACE, f"{SOURCE}/{KEY}", None, lease=Lease("forger", now + 60), intent=None, now=now
    )
    assert isinstance(granted, Granted)
    head: Head = granted.head
    newest = max(head.rows, key=lambda vid: stage.world.past[KEY][vid].place)
    head = head.with_row(newest, change(head.rows[newest]))
    ledger.write(PLACE, "forger", replace(head, lease=None, unsettled=True))


def foreign(stage: Stage, **metadata: Any) -> str:
    stage.world.foreign[KEY].add("put")
    return str(stage.world.replica.put(KEY, "foreign", **metadata))


def foreign_marker(stage: Stage) -> str:
    stage.world.foreign[KEY].add("mark")
    return str(stage.world.replica.mark(KEY))


def is_settled(stage: Stage) -> None:
    """By the second function, and then by hand."""
    for _ in range(3):
        stage.drain()
        stage.world.wait(4000)
        stage.world.finish(stage.world.sweep())
    stage.settle()


def test_a_foreign_version_that_a_row_calls_a_former_copy_stays() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    planted = foreign(stage)
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert "foreign" in shown(stage.world.replica)
    row = stage.rows()[0]
    assert (row.left, row.stray) == ((), (planted,))


def test_the_refusal_has_a_reason() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    planted = foreign(stage)
    forge(stage, lambda row: replace(row, left=(planted,)))
    letter = stage.put()
    stage.deliver(letter)
    stage.drain()
    refused = stage.rows()[1]
    assert refused.reason == "DstVersionNotOurs"
    assert planted in (refused.detail or "")


def test_the_refusal_is_told_though_its_version_is_copied_again() -> None:
    """What somebody else wrote lies on top, and is covered."""
    stage = Stage.of()
    stage.deliver(stage.put())
    planted = foreign(stage)
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    [row] = stage.rows()
    assert stage.replicas()[0].version_id == row.replica
    assert (row.reason, row.stray) == ("DstVersionNotOurs", (planted,))


@pytest.mark.parametrize("deletes", [None, 1000])
def test_a_foreign_version_that_a_row_calls_its_replica_stays(deletes: int | None) -> None:
    """And says that somebody deleted the version."""
    stage = Stage.of(most_deletes=deletes)
    stage.deliver(stage.put())
    planted = foreign(stage)
    stage.expire(0)
    forge(stage, lambda row: replace(row, replica=planted, purged=True))
    is_settled(stage)
    assert "foreign" in shown(stage.world.replica)


def test_a_stamp_of_another_version_is_no_proof() -> None:
    """A replica of one version in the row of another: the first may have no other."""
    stage = Stage.of()
    stage.deliver(stage.put(), stage.put())
    [newest, oldest] = stage.replicas()
    forge(stage, lambda row: replace(row, left=(oldest.version_id,)))
    is_settled(stage)
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert newest.version_id in [version.version_id for version in stage.replicas()]


def test_nor_is_one_of_another_place() -> None:
    stage = Stage.of()
    put = stage.put()
    stage.deliver(put)
    version = stage.source()[0].version_id
    elsewhere = Stamp.of(VersionRef(SOURCE, KEY, version), "nonce", "another-bucket", KEY)
    planted = foreign(stage, metadata=elsewhere.metadata())
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert "foreign" in shown(stage.world.replica)


def test_a_marker_that_is_younger_than_its_copy_is_not_what_that_replaced() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.deliver(stage.mark())
    stage.world.wait(10)
    planted = foreign_marker(stage)
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


def test_a_marker_that_is_older_than_its_version_is_no_copy_of_it() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    planted = foreign_marker(stage)
    stage.world.wait(100)
    stage.deliver(stage.mark())
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


@pytest.mark.parametrize("make", [Stage.put, Stage.mark])
def test_what_is_of_another_kind_is_no_copy(make: Callable[[Stage], Letter]) -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.deliver(make(stage))
    planted = foreign_marker(stage) if make is Stage.put else foreign(stage)
    stage.deliver(make(stage))
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


def test_nor_one_that_was_not_written_when_its_row_says() -> None:
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put())
    planted = foreign_marker(stage)
    stage.world.wait(5000)
    stage.deliver(stage.mark())
    stage.expire(0)
    forge(stage, lambda row: replace(row, replica=planted, purged=True))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


def test_nor_is_one_removed_as_the_replica_of_a_version_that_was_deleted() -> None:
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put())
    planted = foreign_marker(stage)
    stage.expire(0)
    forge(stage, lambda row: replace(row, replica=planted, purged=True))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


@pytest.mark.parametrize("doubt", [False, True])
def test_no_marker_is_removed_while_a_replica_of_the_key_is_in_doubt(doubt: bool) -> None:
    """Where none is, a former copy goes."""
    stage = Stage.of()
    marked = stage.mark()
    stage.world.wait(10)
    truth = Truth(True, stage.source()[0].version_id, _WRITER, KEY)
    former = stage.world.replica.add(KEY, None, truth=truth).version_id
    stage.world.wait(10)
    stage.deliver(marked)
    forge(stage, lambda row: replace(row, left=(former,), doubt=doubt))
    is_settled(stage)
    assert (former in [version.version_id for version in stage.replicas()]) is doubt


def test_what_has_no_room_for_a_stamp_is_no_copy_of_what_bears_one() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    planted = foreign(stage, metadata={"all": "x" * METADATA_LIMIT})
    forge(stage, lambda row: replace(row, left=(planted,)))
    is_settled(stage)
    assert planted in [version.version_id for version in stage.replicas()]


@pytest.mark.parametrize("plant", [foreign, foreign_marker])
def test_the_only_copy_stays_though_its_row_calls_it_a_former_one(plant: Callable[[Stage], str]) -> None:
    """And names as the newer one what somebody else has written."""
    stage = Stage.of()
    stage.deliver(stage.put())
    [ours] = stage.replicas()
    newer = plant(stage)
    forge(stage, lambda row: replace(row, replica=newer, left=(ours.version_id,)))
    is_settled(stage)
    assert ours.version_id in [version.version_id for version in stage.replicas()]


def test_a_former_copy_of_an_expired_version_stays_where_deletes_are_not_replicated() -> None:
    """Its row says that its version was deleted, and that it has no other copy."""
    stage = Stage.of()
    stage.deliver(stage.put())
    [ours] = stage.replicas()
    stage.expire(0)
    forge(stage, lambda row: replace(row, replica=None, left=(ours.version_id,), purged=True))
    is_settled(stage)
    assert stage.replicas() == [ours]


def test_one_former_copy_goes_for_each_new_one_and_is_not_counted() -> None:
    stage = Stage.of(most_deletes=1)
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    stage.drain()
    assert shown(stage.world.replica) == shown(stage.world.source)
    breaker = stage.world.ledger.breaker(REPLICA)
    assert breaker is None or breaker.count == 0


def left_twice(stage: Stage) -> None:
    """Two former copies of one version, left by workers that died."""
    letters = [stage.put() for _ in range(3)]
    stage.deliver(letters[2])
    for late in (letters[1], letters[0]):
        stage.deliver(late)
        sent = stage.world.queues.waiting(Queue.DEAD_LETTER)[-1]
        stage.dies_before(stage.take(sent, queue=Queue.DEAD_LETTER), "remove")
        stage.lease_runs_out()
    assert len(stage.rows()[0].left) == 2


def test_every_other_delete_is_counted_whoever_asked() -> None:
    stage = Stage.of()
    left_twice(stage)
    stage.settle()
    assert shown(stage.world.replica) == shown(stage.world.source)
    ledger, now = stage.world.ledger, stage.world.clock.now()
    assert [ledger.allow_copy_delete(REPLICA, 2, now) for _ in range(2)] == [True, False]


def test_former_copies_do_not_stop_the_deletes_that_a_rule_replicates() -> None:
    """Nor the other way round: each has a count of its own."""
    stage = Stage.of(most_deletes=1)
    left_twice(stage)
    stage.settle()
    stage.deliver(stage.purge())
    stage.drain()
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert not stage.rows()[0].live


def test_more_former_copies_than_an_hour_allows_wait_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MOST_COPIES", 0)
    stage = Stage.of()
    left_twice(stage)
    stage.settle()
    [row, *_] = stage.rows()
    assert (row.reason, len(row.left)) == ("VersionDeletesHalted", 1)
    assert stage.world.ledger.breaker(REPLICA) is None
    monkeypatch.undo()
    stage.world.wait(4000)
    is_settled(stage)
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert stage.rows()[0].reason is None


def test_nothing_is_removed_for_a_newer_copy_that_has_gone_meanwhile() -> None:
    """The list names it still."""
    stage = Stage.of()
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    stage.dies_before(stage.take(sent, queue=Queue.DEAD_LETTER), "remove")
    stage.lease_runs_out()
    [row, _] = stage.rows()
    [former], newer = row.left, row.replica
    assert newer is not None
    stage.expire(0)
    worker = stage.world.settle(KEY)
    for _ in range(2):
        # The lists of both sides.
        stage.world.step(stage.until(worker, "versions"))
    stage.world.foreign[KEY].add("remove")
    stage.world.replica.purge(KEY, newer)
    stage.world.finish(worker)
    assert former in [version.version_id for version in stage.replicas()]


def test_what_could_bear_no_stamp_for_whatever_reason_is_removed_as_ours() -> None:
    """Metadata of many entries, which takes no more."""
    stage = Stage.of(most_deletes=1000)
    stage.world.source.put(KEY, "body", metadata={f"name-{number}": "v" for number in range(90)})
    stage.deliver(stage.world.queues.waiting(Queue.INGEST)[-1])
    [ours] = stage.replicas()
    assert ours.contents is not None
    assert Stamp.read(ours.contents.metadata) is None
    stage.deliver(stage.purge())
    stage.drain()
    assert stage.replicas() == []


def test_a_clock_that_is_behind_tells_nothing_of_what_replaced_what() -> None:
    stage = Stage.of(skews=(-20.0,))
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    stage.drain()
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert stage.rows()[0].reason is None


def test_a_refusal_is_told_until_what_it_names_is_gone() -> None:
    """Whatever else lies there that is not ours."""
    stage = Stage.of()
    stage.deliver(stage.put())
    first, second = foreign(stage), foreign(stage)
    forge(stage, lambda row: replace(row, left=(second,), stray=(first,)))
    for _ in range(2):
        is_settled(stage)
        assert stage.rows()[0].reason == "DstVersionNotOurs"
    stage.world.foreign[KEY].add("remove")
    stage.world.replica.purge(KEY, second)
    is_settled(stage)
    assert (stage.rows()[0].reason, stage.rows()[0].stray) == (None, (first,))


def test_what_is_gone_already_needs_no_proof() -> None:
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put())
    purged = stage.purge()
    worker = stage.until(_retry(stage, purged), "head")
    stage.world.foreign[KEY].add("remove")
    stage.world.replica.purge(KEY, stage.replicas()[0].version_id)
    stage.world.finish(worker)
    stage.comes_to_rest()
    assert stage.replicas() == []


def _retry(stage: Stage, letter: Letter) -> Worker:
    """What the second function makes of a letter."""
    stage.deliver(letter)
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    return stage.take(sent, queue=Queue.DEAD_LETTER)


def test_what_a_lock_keeps_is_not_asked_for_and_not_counted() -> None:
    stage = Stage.of(most_deletes=1, locked=True)
    stage.deliver(stage.put())
    stage.deliver(stage.purge())
    stage.drain()
    [row] = stage.rows()
    assert (row.reason, len(row.blocked)) == ("DstObjectLocked", 1)
    breaker = stage.world.ledger.breaker(REPLICA)
    assert breaker is None or breaker.count == 0
