"""What only an operator can help with is parked, wherever the worker dies that found it out. The row is
written first; it is due until its message is known to be sent."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from s3replicator.decisions.ledger import Status
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Fate, Worker
from tests.unit.test_protocol_rules import LARGE, Stage

#: More requests than any of these workers sends.
_MOST: Final = 60


@dataclass(frozen=True)
class Scene:
    """``prepare`` ends with the worker whose requests are about to fail for good: those called ``denied``.
    Whoever had the key settled ``by_hand``, and got no answer, asks again."""

    prepare: Callable[[Stage], Worker]
    denied: str
    by_hand: bool = False
    messages: int = 1


def _new(stage: Stage) -> Worker:
    return stage.take(stage.put())


def _large(stage: Stage) -> Worker:
    stage.deliver(stage.put(LARGE))
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    return stage.take(letter, queue=Queue.LARGE)


def _changed(stage: Stage) -> Worker:
    stage.deliver(stage.put())
    return stage.take(stage.tag(0, "red"))


def _changed_while_copied(stage: Stage) -> Worker:
    put, tagged = stage.put(), stage.grant(0, "reader")
    stage.deliver(tagged)
    return stage.take(put)


def _late(stage: Stage) -> Worker:
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    [letter] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    return stage.take(letter, queue=Queue.DEAD_LETTER)


def _by_hand(stage: Stage) -> Worker:
    stage.world.lose(stage.put())
    return stage.world.settle("key")


def _two_by_hand(stage: Stage) -> Worker:
    """The second is announced when the first has failed."""
    for _ in range(2):
        stage.world.lose(stage.put())
    return stage.world.settle("key")


SCENES: Final = {
    "a new version": Scene(_new, "copy"),
    "a large version that cannot be completed": Scene(_large, "complete"),
    "a large version whose parts cannot be copied": Scene(_large, "copy_part"),
    "a change": Scene(_changed, "put_tags"),
    "a change before its version": Scene(_changed_while_copied, "put_acl"),
    "a late version": Scene(_late, "copy"),
    "former copies that cannot be removed": Scene(_late, "remove"),
    "settled by hand": Scene(_by_hand, "copy", by_hand=True),
    "several that are settled by hand": Scene(_two_by_hand, "copy", by_hand=True, messages=2),
}
each_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())


def begun(scene: Scene, calls: int) -> tuple[Stage, Worker]:
    """The worker has sent so many requests."""
    stage = Stage.of()
    worker = scene.prepare(stage)
    stage.world.refused = {scene.denied: Fate.DENIED}
    for _ in range(calls):
        if worker.call is not None:
            stage.world.step(worker)
    return stage, worker


def is_parked(scene: Scene, stage: Stage) -> bool:
    """Each version, in the time that all retries take."""
    if scene.by_hand and not stage.rows():
        stage.lease_runs_out()
        stage.settle()
    for _ in range(12):
        stage.world.wait(4000)
        for letter in stage.world.queues.waiting(Queue.INGEST):
            stage.deliver(letter)
        stage.world.finish(stage.world.sweep())
        stage.drain()
    told = {letter.body for letter in stage.world.queues.letters[Queue.PARKED]}
    return len({_version_of(body) for body in told}) == scene.messages


def _version_of(body: str) -> str:
    [record] = json.loads(body)["Records"]
    return str(record["s3"]["object"]["versionId"])


@each_scene
@pytest.mark.parametrize("fate", [Fate.DIES_BEFORE, Fate.DIES_AFTER])
def test_it_is_parked_wherever_its_worker_dies(scene: Scene, fate: Fate) -> None:
    for calls in range(_MOST):
        stage, worker = begun(scene, calls)
        if worker.call is None:
            break
        stage.world.step(worker, fate)
        assert is_parked(scene, stage), f"not after {calls} requests, before {worker.call}"
    else:
        raise AssertionError("the worker does not come to an end")


@each_scene
def test_it_is_parked_though_the_queue_was_out_of_reach(scene: Scene) -> None:
    stage, worker = begun(scene, 0)
    stage.world.refused["park"] = Fate.REFUSED
    stage.world.finish(worker)
    del stage.world.refused["park"]
    assert is_parked(scene, stage)


@each_scene
def test_it_is_parked_once_where_nothing_else_goes_wrong(scene: Scene) -> None:
    stage, worker = begun(scene, 0)
    stage.world.finish(worker)
    assert is_parked(scene, stage)
    assert len(stage.world.queues.letters[Queue.PARKED]) == scene.messages


def test_nothing_is_parked_by_who_has_lost_the_lease() -> None:
    """Whoever has it now may have put right what failed."""
    stage = Stage.of()
    letter = stage.put()
    stage.world.duplicate(Queue.INGEST, letter)
    slow, again = stage.world.queues.waiting(Queue.INGEST)
    worker = stage.take(slow)
    stage.world.step(stage.until(worker, "copy"), Fate.DENIED)
    stage.world.clock.advance_to(stage.world.clock.now() + 2000)
    stage.deliver(again)
    stage.drain()
    stage.world.finish(worker)
    assert stage.rows()[0].status is Status.COMPLETED
    assert not stage.world.queues.letters[Queue.PARKED]
