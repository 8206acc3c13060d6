"""What is adopted after a crash, on what proof; and what becomes of what is in doubt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from s3replicator.decisions.ledger import Status
from s3replicator.usecases.engine import Engine
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.runtime import ManualClock
from tests.unit.protocol.scheduler import Fate, Worker
from tests.unit.protocol.world import Terms
from tests.unit.test_protocol_rules import KEY, LARGE, FaultyWorld, Stage, shown


@dataclass
class Ahead:
    """A worker's clock that is not S3's."""

    clock: ManualClock
    seconds: float

    def now(self) -> float:
        return self.clock.now() + self.seconds

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


class SkewedWorld(FaultyWorld):
    """The clocks of workers are so many seconds ahead of S3's, and so is what they take for the end of their
    time."""

    seconds = 0.0

    def _start(self, name: str, job: Callable[[float], object], seconds: float, **more: Any) -> Worker:
        return super()._start(name, lambda until: job(until + self.seconds), seconds, **more)

    def _engine(self, name: str, publish: float) -> Engine:
        return replace(super()._engine(name, publish), clock=Ahead(self.clock, self.seconds))


@pytest.mark.parametrize("seconds", [7.0, 60.0, 800.0])
@pytest.mark.parametrize("size", [1, LARGE])
def test_a_nonce_proves_whose_it_is_whatever_the_clocks_say(seconds: float, size: int) -> None:
    """S3 takes requests of clocks that are up to 15 minutes from its own."""
    world = SkewedWorld(Terms())
    world.seconds = seconds
    stage = Stage(world)
    put = stage.put(size)
    if size == LARGE:
        stage.deliver(put)
        [letter] = stage.world.queues.waiting(Queue.LARGE)
        stage.dies_after(stage.take(letter, queue=Queue.LARGE), "complete")
    else:
        stage.dies_after(stage.take(put), "copy")
    stage.world.wait(2000)
    stage.comes_to_rest()
    assert len(stage.replicas()) == 1


def foreign(stage: Stage, size: int = 1, **contents: Any) -> str:
    stage.world.foreign[KEY].add("put")
    return str(stage.world.replica.put(KEY, "foreign", size=size, **contents))


def test_what_bears_the_stamp_of_another_replica_is_not_adopted() -> None:
    """A user's copy of an older replica, of the same size, while what is wanted has no room for a stamp and
    an ETag that nobody can foretell."""
    stage = Stage.of()
    stage.deliver(stage.put(LARGE))
    stage.drain()
    [older] = stage.replicas()
    stage.deliver(stage.put(LARGE, crowded=True))
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    stage.dies_before(stage.take(letter, queue=Queue.LARGE), "complete")
    stage.world.copy_foreign(KEY, older.version_id)
    stage.comes_to_rest()
    assert not any(row.doubt for row in stage.rows())


def in_doubt(stage: Stage) -> str:
    """A foreign object, adopted for a version without room for a stamp, whose size it has; its id."""
    stage.deliver(stage.put(LARGE, crowded=True))
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    stage.dies_before(stage.take(letter, queue=Queue.LARGE), "complete")
    planted = foreign(stage, LARGE)
    stage.lease_runs_out()
    for sent in stage.world.queues.waiting(Queue.LARGE):
        stage.deliver(sent, queue=Queue.LARGE)
    stage.drain()
    assert [(row.replica, row.doubt) for row in stage.rows()] == [(planted, True)]
    return planted


def test_nothing_is_copied_from_what_is_in_doubt() -> None:
    """Its source is gone, and what came before it arrives: the bytes may be anybody's."""
    stage = Stage.of()
    late = stage.put()
    planted = in_doubt(stage)
    stage.expire(0)
    stage.deliver(late)
    stage.drain()
    stage.comes_to_rest()
    newest, oldest = stage.rows()
    assert newest.status is Status.TOMBSTONE
    assert newest.stray == (planted,)
    assert oldest.status is Status.COMPLETED
    assert [body for body in shown(stage.world.replica) if body == "foreign"] == ["foreign"]
    assert shown(stage.world.replica)[0] == shown(stage.world.source)[0]


def test_nothing_is_copied_from_what_is_in_doubt_where_its_source_may_not_be() -> None:
    """It has been archived since. An older version arrives, above which it would have to be copied again."""
    stage = Stage.of()
    late = stage.put()
    planted = in_doubt(stage)
    archive(stage, 0)
    stage.deliver(late)
    stage.drain()
    newest, oldest = stage.rows()
    assert (newest.status, newest.replica, newest.stray) == (Status.NOT_ELIGIBLE, None, (planted,))
    assert oldest.status is Status.COMPLETED
    assert shown(stage.world.replica) == [shown(stage.world.source)[1], "foreign"]
    stage.settle()
    assert shown(stage.world.replica) == [shown(stage.world.source)[1], "foreign"]


def test_a_lost_replica_that_was_in_doubt_stays_lost_where_its_source_may_not_be_copied() -> None:
    stage = Stage.of()
    in_doubt(stage)
    stage.remove_foreign()
    stage.settle()
    archive(stage, 0)
    stage.settle(restore_lost=True)
    [row] = stage.rows()
    assert (row.status, row.lost) == (Status.COMPLETED, True)


def archive(stage: Stage, number: int) -> None:
    """A lifecycle rule moves a version of the source: 0 is the newest."""
    stage.world.source.change(KEY, stage.source()[number].version_id, storage_class="GLACIER")


def test_nothing_is_copied_from_what_is_in_doubt_where_its_source_is_refused() -> None:
    """It stays where it is, and an operator is told."""
    stage = Stage.of()
    late = stage.put()
    planted = in_doubt(stage)
    stage.deliver(late)
    stage.world.refused = {"copy_part": Fate.DENIED, "create_upload": Fate.DENIED}
    stage.drain()
    assert shown(stage.world.replica).count("foreign") == 1
    assert planted in stage.rows()[0].ids()


def test_what_is_copied_again_from_its_source_is_not_in_doubt_any_more() -> None:
    stage = Stage.of()
    late = stage.put()
    planted = in_doubt(stage)
    stage.deliver(late)
    stage.drain()
    stage.comes_to_rest()
    newest = stage.rows()[0]
    assert not newest.doubt
    assert newest.stray == (planted,)
    assert shown(stage.world.replica)[0] == shown(stage.world.source)[0]


def test_what_holds_the_same_bytes_may_be_copied() -> None:
    """An ETag that was foretold says what it holds, if not whose it is."""
    stage = Stage.of()
    late, new = stage.put(), stage.put(crowded=True)
    stage.dies_after(stage.take(new), "copy")
    stage.lease_runs_out()
    stage.deliver(new)
    stage.drain()
    [row] = stage.rows()
    assert (row.doubt, row.proven) == (True, True)
    stage.expire(0)
    everything = shown(stage.world.replica)
    stage.deliver(late)
    stage.drain()
    stage.comes_to_rest()
    assert shown(stage.world.replica)[0] == everything[0]
