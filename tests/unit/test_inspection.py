"""What is told of a key as a whole: one status from several, one list from several sources."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.inspection import AtDestination, History, State, aggregate, with_unlisted
from s3replicator.decisions.ledger import Head, Intent, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind, ListedVersion


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ("COMPLETED COMPLETED", "COMPLETED"),
        ("COMPLETED FAILED", "FAILED"),
        ("PENDING FAILED", "FAILED"),
        ("COMPLETED PENDING", "PENDING"),
        ("PENDING NOT_ELIGIBLE", "PENDING"),
        ("COMPLETED SUPERSEDED", "SUPERSEDED"),
        ("COMPLETED TOMBSTONE", "TOMBSTONE"),
        ("COMPLETED NOT_ELIGIBLE", "NOT_ELIGIBLE"),
        ("COMPLETED REPLICA", "REPLICA"),
        ("SUPERSEDED NOT_ELIGIBLE TOMBSTONE", "NOT_ELIGIBLE"),
        ("PENDING SUPERSEDED TOMBSTONE NONE", "PENDING"),
        ("FAILED NOT_ELIGIBLE SUPERSEDED TOMBSTONE NONE", "FAILED"),
        ("COMPLETED COMPLETED NONE", "COMPLETED"),
        ("COMPLETED NONE", "COMPLETED"),
        ("REPLICA NONE", "REPLICA"),
        ("NONE NONE", "NONE"),
        ("", "NONE"),
    ],
)
def test_the_status_of_a_version_is_that_of_its_worst_destination(states: str, told: str) -> None:
    for order in permutations(states.split()):
        assert aggregate(State(state) for state in order) is State(told)


@given(st.lists(st.sampled_from(State), max_size=6))
def test_where_amazon_has_a_status_for_several_destinations_it_is_amazons(states: list[State]) -> None:
    told, selected = aggregate(states), [state for state in states if state is not State.NONE]
    assert (told is State.FAILED) == (State.FAILED in states)
    assert (told is State.PENDING) == (State.PENDING in states and State.FAILED not in states)
    assert (told is State.COMPLETED) == (selected != [] and set(selected) == {State.COMPLETED})
    assert (told is State.NONE) == (selected == [])


def test_every_status_of_the_ledger_has_a_name_here() -> None:
    assert {status.value for status in Status} <= {state.value for state in State}


def row(modified: float, sequencer: str | None = None) -> Row:
    return Row(Kind.OBJECT, Status.COMPLETED, OrderFacts(sequencer, modified))


def told(status: Status = Status.COMPLETED, **changes: Any) -> AtDestination:
    found = History(None, {"v": replace(row(1.0), status=status, **changes)}).told("bucket", "v")
    assert found is not None
    return found


LOST = "removed at the destination by others; s3rctl settle --restore-lost copies it again"
STILL_THERE = "deleted at the source, and its replica is still there"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, None),
        ({"detail": "the row's own"}, "the row's own"),
        ({"lost": True}, LOST),
        ({"lost": True, "detail": "the row's own"}, f"the row's own; {LOST}"),
        # There is nothing left to copy it from.
        ({"lost": True, "status": Status.TOMBSTONE}, None),
        ({"purged": True, "replica": "r"}, STILL_THERE),
        (
            {"purged": True, "blocked": ("r",), "status": Status.TOMBSTONE, "detail": "lo"},
            f"lo; {STILL_THERE}",
        ),
        ({"purged": True, "status": Status.TOMBSTONE}, None),
        ({"replica": "r"}, None),
    ],
)
def test_what_became_of_a_replica_is_told_beside_the_status(
    changes: dict[str, Any], detail: str | None
) -> None:
    assert told(**changes).detail == detail


@pytest.mark.parametrize(
    ("status", "changes", "settled"),
    [
        (Status.COMPLETED, {}, True),
        (Status.COMPLETED, {"lost": True}, True),
        (Status.COMPLETED, {"reason": "VersionDeletesHalted", "purged": True, "replica": "r"}, False),
        (Status.TOMBSTONE, {}, True),
        (Status.TOMBSTONE, {"reason": "DstObjectLocked", "blocked": ("r",)}, False),
        (Status.SUPERSEDED, {}, True),
        (Status.SUPERSEDED, {"reason": "ReplayTooLarge"}, True),
        (Status.NOT_ELIGIBLE, {"reason": "SrcObjectNotEligible"}, True),
        (Status.PENDING, {"reason": "ServiceUnavailable"}, False),
        (Status.FAILED, {"reason": "DstBucketNotFound"}, False),
    ],
)
def test_settled_is_what_nobody_can_do_anything_about(
    status: Status, changes: dict[str, Any], settled: bool
) -> None:
    assert told(status, **changes).settled == settled


@pytest.mark.parametrize("state", [State.REPLICA, State.NONE])
def test_what_is_not_replicated_is_settled(state: State) -> None:
    assert AtDestination("bucket", state).settled


def names(listed: list[ListedVersion], rows: dict[str, Row]) -> list[str]:
    merged = with_unlisted(listed, [History(None, rows)])
    return [version.version_id for version, _ in merged]


def version(version_id: str, modified: float) -> ListedVersion:
    return ListedVersion(version_id, Kind.OBJECT, modified)


def test_a_version_that_is_gone_stands_where_it_stood() -> None:
    listed = [version("c", 30.0), version("a", 10.0)]
    assert names(listed, {"b": row(20.0), "d": row(40.0), "0": row(1.0)}) == ["d", "c", "b", "a", "0"]


def test_within_a_second_the_sequencer_tells() -> None:
    listed = [version("b", 10.0)]
    rows = {"a": row(10.0, "0A"), "b": row(10.0, "0B"), "c": row(10.0, "0C")}
    assert names(listed, rows) == ["c", "b", "a"]


def test_without_a_sequencer_what_is_listed_stands_above() -> None:
    assert names([version("b", 10.0)], {"a": row(10.0, "0A")}) == ["b", "a"]


def test_a_version_that_is_only_announced_is_known() -> None:
    intent = Intent("nonce", "v", Kind.MARKER, 1.0, OrderFacts(None, 5.0))
    [(found, is_listed)] = with_unlisted([], [History(Head("source/key", intent=intent), {})])
    assert (found, is_listed) == (ListedVersion("v", Kind.MARKER, 5.0), False)


def test_a_replica_that_is_there_stays_completed_while_another_is_announced() -> None:
    intent = Intent("nonce", "v", Kind.OBJECT, 1.0, OrderFacts(None, 1.0))
    head = Head("source/key", intent=intent)
    completed = History(head, {"v": row(1.0)}).told("bucket", "v")
    assert completed is not None
    assert completed.state is State.COMPLETED
    announced = History(head, {}).told("bucket", "v")
    assert announced is not None
    assert announced.state is State.PENDING


@given(
    st.lists(st.integers(0, 5), max_size=6),
    st.dictionaries(st.text("xyz", min_size=1, max_size=3), st.integers(0, 5), max_size=6),
)
def test_the_source_s_own_order_never_changes_and_nothing_is_left_out(
    times: list[int], gone: dict[str, int]
) -> None:
    listed = [version(str(index), float(time)) for index, time in enumerate(times)]
    merged = with_unlisted(listed, [History(None, {name: row(float(at)) for name, at in gone.items()})])
    assert [each for each, is_listed in merged if is_listed] == listed
    assert {each.version_id for each, is_listed in merged if not is_listed} == set(gone)
