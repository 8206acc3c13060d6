"""Open uploads: what is aborted is forgotten, what is forgotten is aborted; and a large copy whose key needs
a repair says all that became of it.

The stories are told again for every request that their workers send, and that goes wrong without anybody
dying. After each worker every upload that a row remembers has to be there; once everything rests, none.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from s3replicator.decisions.events import Upload
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.outcome import Result
from s3replicator.usecases.batch import BatchResult
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Call, Fate, Worker
from tests.unit.protocol.world import REPLICA, Terms
from tests.unit.test_protocol_rules import KEY, LARGE, FaultyWorld, Stage, shown

#: Without these being written a row says what it said before.
_RECORDING: Final = frozenset({"write", "put_rows"})


class WatchedWorld(FaultyWorld):
    """Whoever has ended leaves no row that remembers what is not there."""

    unrecorded = False

    def step(self, worker: Worker, fate: Fate = Fate.DONE) -> None:
        is_faulty = self.sent == self._at and fate is Fate.DONE
        self.unrecorded |= is_faulty and worker.call is not None and worker.call.name in _RECORDING
        super().step(worker, fate)
        if worker.call is None and not self.unrecorded:
            assert list(self.remembered_in_vain()) == []

    def remembered_in_vain(self) -> Iterator[str]:
        for version_id, row in self.ledger.history(LedgerKey(REPLICA, KEY))[1].items():
            if row.upload is not None and row.upload.upload_id not in self.replica.uploads:
                yield f"{version_id}: {row.status} {row.reason} {row.upload.upload_id}"


def _through(stage: Stage, *queues: Queue) -> None:
    """What waits in these queues is worked on, in one after the other."""
    for queue in queues:
        for letter in stage.world.queues.waiting(queue):
            stage.deliver(letter, queue=queue)


def _asked_for(stage: Stage) -> None:
    """The newest is large and lies too low: an upload to copy it again from is to be prepared."""
    late, large = stage.put(), stage.put(LARGE)
    stage.deliver(large)
    _through(stage, Queue.LARGE)
    stage.deliver(late)
    _through(stage, Queue.DEAD_LETTER)


def _prepared(stage: Stage) -> None:
    """It is ready, and its message waits."""
    _asked_for(stage)
    _through(stage, Queue.LARGE)


def _is_removed_meanwhile(stage: Stage) -> None:
    _prepared(stage)
    for _ in stage.replicas():
        stage.remove_foreign()
    stage.drain()


def _is_removed_while_its_tags_change(stage: Stage) -> None:
    _prepared(stage)
    stage.deliver(stage.tag(0, "red"))
    stage.remove_foreign(1)
    stage.drain()


def _stands_on_top_again(stage: Stage) -> None:
    """What lay above it is gone before its upload is completed."""
    _prepared(stage)
    stage.remove_foreign()
    stage.deliver(stage.tag(0, "red"))
    stage.drain()


def _comes_twice(stage: Stage) -> None:
    _prepared(stage)
    for letter in stage.world.queues.waiting(Queue.DEAD_LETTER):
        stage.world.duplicate(Queue.DEAD_LETTER, letter)
    stage.drain()


def _is_prepared_twice(stage: Stage) -> None:
    _asked_for(stage)
    for letter in stage.world.queues.waiting(Queue.LARGE):
        stage.world.duplicate(Queue.LARGE, letter)
    stage.drain()


def _is_swept_while_it_is_prepared(stage: Stage) -> None:
    _prepared(stage)
    stage.world.wait(8000)
    stage.world.finish(stage.world.sweep())
    stage.drain()


def _is_refused_in_the_end(stage: Stage) -> None:
    """First its parts cannot be copied for now, then not at all."""
    _asked_for(stage)
    stage.world.refused["copy_part"] = Fate.REFUSED
    _through(stage, Queue.LARGE)
    stage.world.wait(4000)
    stage.world.finish(stage.world.sweep())
    _through(stage, Queue.DEAD_LETTER)
    stage.world.refused["copy_part"] = Fate.DENIED
    _through(stage, Queue.LARGE)
    stage.world.refused.clear()
    stage.drain()


STORIES: Final[dict[str, Callable[[Stage], object]]] = {
    "removed meanwhile": _is_removed_meanwhile,
    "removed while its tags change": _is_removed_while_its_tags_change,
    "on top again": _stands_on_top_again,
    "told of twice": _comes_twice,
    "prepared twice": _is_prepared_twice,
    "swept": _is_swept_while_it_is_prepared,
    "refused in the end": _is_refused_in_the_end,
}


@pytest.mark.parametrize("fault", [Fate.REFUSED, Fate.DENIED, Fate.LOST])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_no_row_remembers_an_upload_that_was_aborted(story: Callable[[Stage], object], fault: Fate) -> None:
    at = 0
    while True:
        stage = Stage(WatchedWorld(Terms(), fault, at))
        story(stage)
        stage.comes_to_rest()
        if stage.world.sent <= at:
            return
        at += 1


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_no_upload_stays_open_that_no_row_remembers(story: Callable[[Stage], object]) -> None:
    stage = Stage(WatchedWorld(Terms()))
    story(stage)
    stage.comes_to_rest()
    assert stage.world.replica.uploads == {}


@pytest.mark.parametrize("request_name", ["tags", "create_upload", "copy_part"])
def test_a_large_copy_that_failed_comes_again_if_nobody_could_be_asked_to_repair_its_key(
    request_name: str,
) -> None:
    """Its row waits, and its key needs the second function: two things have come of one message."""
    stage = Stage.of()
    late, new, large = stage.put(), stage.put(), stage.put(LARGE)
    for letter in (new, late, large):
        stage.deliver(letter)
    stage.world.refused["versions"] = Fate.DENIED
    _through(stage, Queue.DEAD_LETTER)
    stage.world.refused.clear()
    stage.world.refused |= {request_name: Fate.REFUSED, "hand_over": Fate.REFUSED}
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    worker = stage.take(letter, queue=Queue.LARGE)
    stage.world.finish(worker)
    assert isinstance(worker.answer, BatchResult)
    assert [outcome.result for outcome in worker.answer.outcomes] == [Result.DELAYED, Result.DEFERRED]
    assert stage.world.queues.waiting(Queue.LARGE) == [letter]
    stage.world.refused.clear()
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def _aborted(stage: Stage) -> list[object]:
    told = (event.what for event in stage.world.scheduler.trace)
    return [call.arguments[1] for call in told if isinstance(call, Call) and call.name == "abort"]


def test_an_upload_that_was_used_is_not_aborted() -> None:
    stage = Stage.of()
    _prepared(stage)
    stage.drain()
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)
    assert _aborted(stage) == []


def test_an_upload_whose_parts_are_refused_for_good_does_not_stay_open() -> None:
    """First they are refused for now, so that the row remembers it."""
    stage = Stage.of()
    _asked_for(stage)
    stage.world.refused["copy_part"] = Fate.REFUSED
    _through(stage, Queue.LARGE)
    stage.world.wait(4000)
    stage.world.finish(stage.world.sweep())
    _through(stage, Queue.DEAD_LETTER)
    stage.world.refused["copy_part"] = Fate.DENIED
    _through(stage, Queue.LARGE)
    assert stage.world.queues.letters[Queue.PARKED] != []
    assert [row.upload for row in stage.rows()] == [None, None]
    assert stage.world.replica.uploads == {}


def test_an_upload_that_failed_twice_for_now_is_the_same_one() -> None:
    """What has been copied of it is not copied again."""
    stage = Stage.of()
    _asked_for(stage)
    stage.world.refused["copy_part"] = Fate.REFUSED
    for _ in range(2):
        _through(stage, Queue.LARGE)
        stage.world.wait(4000)
        stage.world.finish(stage.world.sweep())
        _through(stage, Queue.DEAD_LETTER)
    assert len(stage.world.replica.uploads) == 1
    assert _aborted(stage) == []
    stage.world.refused.clear()
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


@pytest.mark.parametrize("is_open", [False, True])
def test_what_a_former_release_left_remembered_is_forgotten_when_its_key_is_settled(is_open: bool) -> None:
    stage = Stage.of()
    stage.deliver(stage.put(LARGE))
    stage.drain()
    place = LedgerKey(REPLICA, KEY)
    ((version_id, row),) = stage.world.ledger.history(place)[1].items()
    left = Upload("gone", "nonce", 0.0)
    if is_open:
        left = replace(left, upload_id=stage.world.replica.begin(KEY, "begun"))
    stage.world.ledger.forge(place, version_id, replace(row, upload=left))
    stage.settle()
    assert [row.upload for row in stage.rows()] == [None]
    assert stage.world.replica.uploads == {}


def test_of_two_uploads_prepared_for_one_version_the_one_that_was_chosen_is_used() -> None:
    """Its message comes twice, and both workers hand over what they have prepared."""
    stage = Stage.of()
    late, new = stage.put(LARGE), stage.put()
    stage.deliver(new)
    stage.deliver(late)
    [letter] = stage.world.queues.waiting(Queue.LARGE)
    stage.world.duplicate(Queue.LARGE, letter)
    workers = [stage.take(one, queue=Queue.LARGE) for one in stage.world.queues.waiting(Queue.LARGE)]
    for worker in workers:
        # Both before either has recorded it.
        stage.until(worker, "lease")
    for worker in workers:
        stage.world.finish(worker)
    stage.drain()
    assert shown(stage.world.replica) == shown(stage.world.source)
    begun = [told for told in stage.world.scheduler.trace if ".create_upload(" in str(told)]
    assert len(begun) == 2
