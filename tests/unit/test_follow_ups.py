"""What changes about a version after it was written makes no version of it: only creation events and jobs do.
What was heard before the version came is given to its replica all the same."""

import json
from collections.abc import Callable
from itertools import permutations
from typing import Final

import pytest

from s3replicator.decisions.events import ENVELOPE
from s3replicator.decisions.ledger import MOST_HEARD, LedgerKey, Status
from s3replicator.decisions.versions import Tag
from tests.unit.protocol.invariants import problems_of
from tests.unit.protocol.memory_queues import Letter, Queue
from tests.unit.protocol.scheduler import Fate
from tests.unit.protocol.world import REPLICA
from tests.unit.test_protocol_rules import KEY, LARGE, Stage, shown

Change = Callable[[Stage, int], Letter]
CHANGES: Final[dict[str, Change]] = {
    "tags": lambda stage, number: stage.tag(number, "red"),
    "an ACL": lambda stage, number: stage.grant(number, "reader"),
    "annotations": lambda stage, number: stage.annotate(number, "red"),
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


def with_an_unknown_version(stage: Stage, size: int = 1) -> None:
    """It was there before the rules, so nobody has been told of it."""
    stage.world.lose(stage.put(size))


@each_change
@pytest.mark.parametrize("large", [False, True])
def test_what_was_there_before_is_not_copied_because_it_is_changed(change: Change, large: bool) -> None:
    stage = Stage.of()
    with_an_unknown_version(stage, LARGE if large else 1)
    change(stage, 0)
    stage.comes_to_rest()
    assert stage.replicas() == []
    assert stage.rows() == []


@each_change
def test_nor_does_it_become_current(change: Change) -> None:
    stage = Stage.of()
    with_an_unknown_version(stage)
    stage.deliver(stage.put())
    change(stage, 1)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)[:1]


@each_change
def test_nor_when_its_key_has_to_be_settled(change: Change) -> None:
    stage = Stage.of()
    with_an_unknown_version(stage)
    stage.dies_after(stage.take(stage.put()), "copy")
    change(stage, 1)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)[:1]


@pytest.mark.parametrize("size", [1, LARGE])
@pytest.mark.parametrize("order", list(permutations(range(4))))
@pytest.mark.parametrize("at_once", [False, True])
def test_what_was_heard_before_the_version_came_is_given_to_it(
    size: int, order: tuple[int, ...], at_once: bool
) -> None:
    """In one batch and in several, in every order."""
    stage = Stage.of()
    letters = [stage.put(size), *(change(stage, 0) for change in CHANGES.values())]
    others = [one for one in stage.world.queues.waiting(Queue.INGEST) if one not in letters]
    told = [letters[number] for number in order] + others
    if at_once:
        stage.deliver(*told)
    else:
        for letter in told:
            stage.deliver(letter)
    stage.comes_to_rest()
    [replica] = stage.replicas()
    assert replica.contents is not None
    assert replica.contents.tags == {Tag("colour", "red")}
    assert problems_of(stage.world.quiet(KEY, reconciled=False)) == []


def test_what_was_heard_is_given_to_what_a_job_brings() -> None:
    """No copy carries an ACL."""
    stage = Stage.of()
    with_an_unknown_version(stage)
    stage.deliver(stage.grant(0, "reader"))
    stage.settle()
    [replica], [source] = stage.replicas(), stage.source()
    assert replica.contents is not None
    assert source.contents is not None
    assert replica.contents.grants == source.contents.grants


def heard(stage: Stage) -> set[str]:
    head = stage.world.ledger.head(LedgerKey(REPLICA, KEY))
    return set(head.heard) if head else set()


def test_what_is_heard_of_many_versions_does_not_fill_the_ledger() -> None:
    """The newest are remembered: a creation event that is still to come is one of a new version."""
    stage = Stage.of()
    for _ in range(MOST_HEARD + 3):
        with_an_unknown_version(stage)
        stage.deliver(stage.grant(0, "reader"))
        stage.world.wait(10)
    assert heard(stage) == {version.name for version in stage.source()[:MOST_HEARD]}


def test_a_version_that_waits_is_brought_by_whatever_tells_of_it() -> None:
    """Its creation event has made a row."""
    stage = Stage.of()
    stage.world.refused["copy"] = Fate.REFUSED
    stage.deliver(stage.put())
    stage.world.refused.clear()
    assert stage.rows()[0].status is Status.PENDING
    stage.lease_runs_out()
    stage.deliver(stage.tag(0, "red"))
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_what_a_worker_heard_that_could_not_say_so_comes_again() -> None:
    stage = Stage.of()
    put, granted = stage.put(), stage.grant(0, "reader")
    stage.dies_before(stage.take(granted), "write")
    stage.deliver(put)
    stage.comes_to_rest()
    assert problems_of(stage.world.quiet(KEY, reconciled=False)) == []


def test_a_current_version_that_gains_its_tags_is_replicated_where_the_rule_says_so() -> None:
    stage = Stage.of(tag_later=True)
    with_an_unknown_version(stage)
    stage.tag(0, "red")
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)
    [replica] = stage.replicas()
    assert replica.contents is not None
    assert replica.contents.tags == {Tag("colour", "red")}


def test_tags_are_brought_though_another_worker_completes_an_upload_made_before_them() -> None:
    """Nobody has heard of them before the large lane: a former release sent them there."""
    stage = Stage.of(tag_later=True)
    stage.deliver(stage.put(LARGE))
    [made] = stage.world.queues.waiting(Queue.LARGE)
    completing = stage.until(stage.take(made, queue=Queue.LARGE), "complete")
    [record] = json.loads(stage.tag(0, "red").body)["Records"]
    told = {"Records": [{**record, ENVELOPE: {"destination": REPLICA}}]}
    changing = stage.take(stage.world.queues.send(Queue.LARGE, told), queue=Queue.LARGE)
    stage.until(changing, "lease")
    stage.world.finish(completing)
    stage.world.finish(changing)
    [replica] = stage.replicas()
    assert replica.contents is not None
    assert replica.contents.tags == {Tag("colour", "red")}


def test_and_an_older_one_is_not() -> None:
    stage = Stage.of(tag_later=True)
    with_an_unknown_version(stage)
    stage.deliver(stage.put())
    stage.tag(1, "red")
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)[:1]


@pytest.mark.parametrize("change", [CHANGES["an ACL"], CHANGES["annotations"]])
def test_nor_one_that_gains_something_else(change: Change) -> None:
    stage = Stage.of(tag_later=True)
    with_an_unknown_version(stage)
    change(stage, 0)
    stage.comes_to_rest()
    assert stage.replicas() == []
