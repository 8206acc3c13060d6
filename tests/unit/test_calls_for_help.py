"""What a worker of the large lane cannot do itself, and cannot send on either: its message comes again."""

from s3replicator.decisions.ledger import Status
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Fate
from tests.unit.test_protocol_rules import LARGE, Stage, shown


def unsettled(stage: Stage) -> None:
    """Whoever put a late version in its place died before he was done."""
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    [letter] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    stage.dies_before(stage.take(letter, queue=Queue.DEAD_LETTER), "remove")
    stage.lease_runs_out()


def test_a_large_copy_that_fails_where_help_cannot_be_called_for_comes_again() -> None:
    stage = Stage.of()
    stage.deliver(stage.put(LARGE))
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    unsettled(stage)
    stage.world.refused = {"create_upload": Fate.REFUSED, "hand_over": Fate.REFUSED}
    worker = stage.take(letter, queue=Queue.LARGE)
    stage.world.finish(worker)
    assert worker.failure is None
    assert letter in stage.world.queues.letters[Queue.LARGE]
    stage.world.refused = {}
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert {row.status for row in stage.rows()} == {Status.COMPLETED}
