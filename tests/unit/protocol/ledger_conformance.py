"""What the memory's ledger claims to do as DynamoDB does it; see conformance.py."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from s3replicator.decisions.events import ChangeKind, Upload
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind
from s3replicator.ports import Conflict, Duplicate, Granted, Held, LeaseAnswer, LeaseLost, Ledger
from tests.unit.protocol.runtime import DAWN

SOURCE: Final = "source-bucket/key"

#: Takes a ledger, and a destination nobody else has used.
LedgerCase = Callable[[Ledger, str], None]
LEDGER_CASES: Final[list[LedgerCase]] = []


def _case(case: LedgerCase) -> LedgerCase:
    LEDGER_CASES.append(case)
    return case


def _key(destination: str) -> LedgerKey:
    return LedgerKey(destination, "a key/with ünïcode#and more")


def _take(
    ledger: Ledger,
    destination: str,
    worker: str = "mine",
    version_id: str | None = "v1",
    *,
    seconds: float = 60,
    intent: Intent | None = None,
    now: float = DAWN,
    source: str = SOURCE,
) -> LeaseAnswer:
    lease = Lease(worker, now + seconds)
    return ledger.lease(_key(destination), source, version_id, lease=lease, intent=intent, now=now)


def _taken(ledger: Ledger, destination: str, worker: str = "mine", now: float = DAWN) -> Head:
    answer = _take(ledger, destination, worker, version_id=None, now=now)
    assert isinstance(answer, Granted)
    return answer.head


def _leave(ledger: Ledger, destination: str, **changed: object) -> Head:
    """The head as a worker leaves it that has given up its lease."""
    head = replace(_taken(ledger, destination, "before"), lease=None, **changed)  # type: ignore[arg-type]  # by name
    ledger.write(_key(destination), "before", head)
    return head


def _row(status: Status = Status.COMPLETED, **values: object) -> Row:
    return Row(Kind.OBJECT, status, OrderFacts("0A", DAWN), **values)  # type: ignore[arg-type]  # by name


_INTENT: Final = Intent("nonce", "v1", Kind.OBJECT, DAWN, OrderFacts("0A", DAWN))

# -- leases


@_case
def a_free_key_is_leased(ledger: Ledger, destination: str) -> None:
    answer = _take(ledger, destination)
    assert answer == Granted(Head(SOURCE, Lease("mine", DAWN + 60), generation=1))


@_case
def a_lease_announces(ledger: Ledger, destination: str) -> None:
    answer = _take(ledger, destination, intent=_INTENT)
    assert isinstance(answer, Granted)
    assert answer.head.intent == _INTENT


@_case
def an_open_intent_is_kept(ledger: Ledger, destination: str) -> None:
    _take(ledger, destination, "dead", intent=_INTENT)
    answer = _take(ledger, destination, intent=replace(_INTENT, nonce="other"), now=DAWN + 61)
    assert isinstance(answer, Granted)
    assert answer.head.intent == _INTENT


@_case
def a_lease_excludes(ledger: Ledger, destination: str) -> None:
    _take(ledger, destination, "other")
    assert _take(ledger, destination) == Held()
    assert _take(ledger, destination, version_id=None) == Held()


@_case
def a_lease_runs_out_after_its_last_moment(ledger: Ledger, destination: str) -> None:
    _take(ledger, destination, "dead", seconds=60)
    assert _take(ledger, destination, now=DAWN + 60) == Held()
    answer = _take(ledger, destination, now=DAWN + 60.001)
    assert isinstance(answer, Granted)
    assert answer.head.generation == 2


@_case
def a_repeated_request_is_granted_once(ledger: Ledger, destination: str) -> None:
    first = _take(ledger, destination, intent=_INTENT)
    assert _take(ledger, destination, intent=_INTENT) == first


@_case
def every_lease_is_counted(ledger: Ledger, destination: str) -> None:
    for number in range(1, 4):
        head = _taken(ledger, destination)
        assert head.generation == number
        ledger.write(_key(destination), "mine", replace(head, lease=None))


@_case
def a_settled_version_is_a_duplicate(ledger: Ledger, destination: str) -> None:
    for status in (Status.COMPLETED, Status.SUPERSEDED, Status.TOMBSTONE):
        _leave(ledger, destination, rows={"v1": _row(status)})
        assert _take(ledger, destination) == Duplicate(_row(status))


@_case
def a_duplicate_is_one_whoever_holds_the_lease(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()})
    _taken(ledger, destination, "other")
    assert _take(ledger, destination) == Duplicate(_row())


@_case
def an_open_row_is_no_duplicate(ledger: Ledger, destination: str) -> None:
    for status in (Status.PENDING, Status.FAILED, Status.NOT_ELIGIBLE):
        head = _leave(ledger, destination, rows={"v1": _row(status)})
        answer = _take(ledger, destination, "next")
        assert isinstance(answer, Granted)
        ledger.write(_key(destination), "next", replace(head, generation=answer.head.generation))


@_case
def another_version_is_no_duplicate(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()})
    assert isinstance(_take(ledger, destination, version_id="v2"), Granted)


@_case
def nothing_is_a_duplicate_while_an_intent_is_open(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()}, intent=_INTENT)
    assert isinstance(_take(ledger, destination), Granted)


@_case
def nothing_is_a_duplicate_of_an_unsettled_key(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()}, unsettled=True)
    assert isinstance(_take(ledger, destination), Granted)


@_case
def who_names_no_version_gets_the_lease(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()})
    assert isinstance(_take(ledger, destination, version_id=None), Granted)


@_case
def a_key_belongs_to_one_source(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row()})
    conflict = Conflict(SOURCE)
    assert _take(ledger, destination, source="source-bucket/other") == conflict
    _taken(ledger, destination)
    assert _take(ledger, destination, source="source-bucket/other") == conflict


# -- places that change hands

_OTHER: Final = "source-bucket/other"


def _take_over(
    ledger: Ledger,
    destination: str,
    seen: Head,
    head: Head,
    worker: str = "mine",
    *,
    intent: Intent | None = None,
    now: float = DAWN,
) -> LeaseAnswer:
    lease = Lease(worker, now + 60)
    return ledger.take_over(_key(destination), seen, head, lease=lease, intent=intent, now=now)


@_case
def a_conflict_shows_the_head(ledger: Ledger, destination: str) -> None:
    head = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)})
    answer = _take(ledger, destination, source=_OTHER)
    assert isinstance(answer, Conflict)
    assert answer.head == head


@_case
def a_place_is_taken_over_in_one_write(ledger: Ledger, destination: str) -> None:
    rows = {"v1": _row(Status.TOMBSTONE, completed=DAWN + 0.123), "v2": _row(Status.NOT_ELIGIBLE)}
    top = ("v0", OrderFacts(None, DAWN))
    heard = {"v3": frozenset({ChangeKind.ACL_CHANGED})}
    seen = _leave(ledger, destination, rows=rows, spilled=True, top=top, heard=heard)
    intent = replace(_INTENT, version_id="w1")
    head = Head(_OTHER, stray=("r1", "r2"), heard=heard)
    answer = _take_over(ledger, destination, seen, head, intent=intent)
    lease = Lease("mine", DAWN + 60)
    assert answer == Granted(replace(head, lease=lease, intent=intent, generation=2))
    assert ledger.head(_key(destination)) == answer.head
    assert ledger.count_open(destination) == 0
    ledger.write(_key(destination), "mine", replace(answer.head, lease=None, intent=None))
    assert _take(ledger, destination, version_id=None) == Conflict(_OTHER)


@_case
def who_comes_too_late_to_take_over_is_refused(ledger: Ledger, destination: str) -> None:
    seen = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)})
    _take_over(ledger, destination, seen, Head(_OTHER), "first")
    assert _take_over(ledger, destination, seen, Head("source-bucket/third")) == Conflict(_OTHER)
    assert _take_over(ledger, destination, seen, Head(_OTHER)) == Held()


@_case
def a_repeated_take_over_is_granted_once(ledger: Ledger, destination: str) -> None:
    seen = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)})
    first = _take_over(ledger, destination, seen, Head(_OTHER))
    assert _take_over(ledger, destination, seen, Head(_OTHER)) == first


@_case
def what_has_changed_meanwhile_is_not_taken_over(ledger: Ledger, destination: str) -> None:
    seen = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)})
    # The same head, but somebody has had the lease since, and may have spilled rows.
    head = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)})
    assert _take_over(ledger, destination, seen, Head(_OTHER)) == Conflict(SOURCE)
    assert _take_over(ledger, destination, replace(head, rows={}), Head(_OTHER)) == Conflict(SOURCE)
    assert ledger.head(_key(destination)) == head


@_case
def what_is_worked_on_is_not_taken_over(ledger: Ledger, destination: str) -> None:
    held = _taken(ledger, destination, "worker")
    assert _take_over(ledger, destination, held, Head(_OTHER), now=DAWN + 60) == Conflict(SOURCE)
    ledger.write(_key(destination), "worker", replace(held, lease=None, intent=_INTENT))
    seen = replace(held, lease=None)
    assert _take_over(ledger, destination, seen, Head(_OTHER)) == Conflict(SOURCE)
    head = _leave(ledger, destination, unsettled=True)
    assert _take_over(ledger, destination, head, Head(_OTHER)) == Conflict(SOURCE)


@_case
def what_a_dead_worker_left_at_rest_is_taken_over(ledger: Ledger, destination: str) -> None:
    held = _taken(ledger, destination, "dead")
    assert isinstance(_take_over(ledger, destination, held, Head(_OTHER), now=DAWN + 61), Granted)
    with pytest.raises(LeaseLost):
        ledger.write(_key(destination), "dead", replace(held, lease=None))


@_case
def rows_of_a_former_source_key_are_none(ledger: Ledger, destination: str) -> None:
    key = _key(destination)
    seen = _leave(ledger, destination, rows={"v1": _row(Status.TOMBSTONE)}, spilled=True)
    ledger.put_rows(key, SOURCE, seen.generation, {"v0": _row(Status.TOMBSTONE)})
    answer = _take_over(ledger, destination, seen, Head(_OTHER))
    assert isinstance(answer, Granted)
    ledger.put_rows(key, _OTHER, answer.head.generation, {"w0": _row()})
    head = replace(answer.head, lease=None, rows={"w1": _row()}, spilled=True)
    ledger.write(key, "mine", head)
    assert ledger.history(key) == (head, {"w0": _row(), "w1": _row()})
    assert ledger.spilled(key, _OTHER) == {"w0": _row()}
    assert ledger.spilled(key, SOURCE) == {"v0": _row(Status.TOMBSTONE)}
    assert (ledger.row(key, _OTHER, "v0"), ledger.row(key, SOURCE, "w0")) == (None, None)
    assert (ledger.peek(key, _OTHER, "v0"), ledger.peek(key, _OTHER, "w0")) == (None, _row())
    assert (ledger.peek(key, SOURCE, "v0"), ledger.peek(key, SOURCE, "w1")) == (None, None)


@_case
def what_is_kept_out_of_a_place_is_open_work(ledger: Ledger, destination: str) -> None:
    key = _key(destination)
    head = _leave(ledger, destination, rows={"v1": _row()})
    kept = {"w1": _row(Status.FAILED, reason=Reason.KEY_CONFLICT), "w" * 300: _row(Status.FAILED)}
    for version_id, row in kept.items():
        ledger.record_conflict(key, _OTHER, version_id, row)
    assert ledger.conflicts(key, _OTHER) == kept
    assert ledger.conflicts(key, SOURCE) == {}
    assert ledger.peek(key, _OTHER, "w1") == kept["w1"]
    assert ledger.peek(key, SOURCE, "w1") is None
    # It is no row of the head, and waits for nothing but an operator.
    assert ledger.history(key) == (head, {"v1": _row()})
    assert ledger.spilled(key, _OTHER) == {}
    assert ledger.count_open(destination) == 2
    assert list(ledger.due(destination, DAWN + 1e6)) == []


@_case
def what_is_no_longer_kept_out_is_not_open(ledger: Ledger, destination: str) -> None:
    key = _key(destination)
    row = _row(Status.FAILED, reason=Reason.KEY_CONFLICT)
    _leave(ledger, destination)
    ledger.close_conflict(key, _OTHER, "w1")
    ledger.record_conflict(key, _OTHER, "w1", row)
    ledger.close_conflict(key, _OTHER, "w2")
    ledger.close_conflict(key, SOURCE, "w1")
    assert ledger.conflicts(key, _OTHER) == {"w1": row}
    for _ in range(2):
        ledger.close_conflict(key, _OTHER, "w1")
    assert (ledger.conflicts(key, _OTHER), ledger.count_open(destination)) == ({}, 0)
    assert ledger.peek(key, _OTHER, "w1") is None
    ledger.record_conflict(key, _OTHER, "w1", row)
    assert ledger.conflicts(key, _OTHER) == {"w1": row}


# -- writes of the head


@_case
def the_holder_writes(ledger: Ledger, destination: str) -> None:
    order = OrderFacts(None, DAWN + 0.25, multipart=True)
    head = replace(
        _taken(ledger, destination),
        intent=_INTENT,
        unsettled=True,
        rows={"v1": _row(), "v2": _row(Status.PENDING)},
        spilled=True,
        top=("v0", order),
    )
    ledger.write(_key(destination), "mine", head)
    assert ledger.history(_key(destination)) == (head, head.rows)


@_case
def a_row_comes_back_as_it_was_written(ledger: Ledger, destination: str) -> None:
    row = Row(
        kind=Kind.MARKER,
        status=Status.FAILED,
        order=OrderFacts("00AF", DAWN, multipart=True),
        replica="r1",
        nonce="nonce",
        doubt=True,
        lost=True,
        purged=True,
        owed=frozenset({ChangeKind.TAGGED, ChangeKind.ACL_CHANGED}),
        acl=True,
        left=("r2", "r3"),
        blocked=("r4",),
        stray=("r5",),
        rule="rule",
        reason=Reason.THROTTLED,
        detail="ünïcode",
        request_id="request",
        attempts=3,
        first_failure=DAWN + 0.1,
        last_failure=DAWN + 0.25,
        due=DAWN + 0.5,
        event_time=DAWN + 0.125,
        completed=DAWN + 1.042,
        upload=Upload("upload", "nonce", DAWN + 0.001),
    )
    _leave(ledger, destination, rows={"v1": row})
    assert ledger.peek(_key(destination), SOURCE, "v1") == row


@_case
def a_head_is_read_without_a_lease(ledger: Ledger, destination: str) -> None:
    assert ledger.head(_key(destination)) is None
    head = _leave(ledger, destination, rows={"v1": _row()})
    assert ledger.head(_key(destination)) == head


@_case
def milliseconds_are_kept(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(completed=DAWN + 0.12345)})
    row = ledger.peek(_key(destination), SOURCE, "v1")
    assert row is not None
    assert row.completed == DAWN + 0.123


@_case
def nobody_else_writes(ledger: Ledger, destination: str) -> None:
    head = _taken(ledger, destination)
    with pytest.raises(LeaseLost):
        ledger.write(_key(destination), "other", replace(head, unsettled=True))
    assert ledger.history(_key(destination))[0] == head


@_case
def nobody_writes_without_a_lease(ledger: Ledger, destination: str) -> None:
    with pytest.raises(LeaseLost):
        ledger.write(_key(destination), "mine", Head(SOURCE))
    released = _leave(ledger, destination)
    with pytest.raises(LeaseLost):
        ledger.write(_key(destination), "before", replace(released, unsettled=True))


@_case
def nobody_writes_once_another_has_the_lease(ledger: Ledger, destination: str) -> None:
    head = _taken(ledger, destination, "slow")
    taken_over = _taken(ledger, destination, "mine", now=DAWN + 61)
    with pytest.raises(LeaseLost):
        ledger.write(_key(destination), "slow", replace(head, lease=None))
    assert ledger.history(_key(destination))[0] == taken_over


@_case
def a_lease_that_nobody_has_taken_over_still_writes(ledger: Ledger, destination: str) -> None:
    head = replace(_taken(ledger, destination), lease=None, unsettled=True)
    ledger.write(_key(destination), "mine", head)
    assert ledger.history(_key(destination))[0] == head


@_case
def a_repeated_release_is_fine(ledger: Ledger, destination: str) -> None:
    head = replace(_taken(ledger, destination), lease=None, rows={"v1": _row()})
    ledger.write(_key(destination), "mine", head)
    ledger.write(_key(destination), "mine", head)
    assert ledger.history(_key(destination))[0] == head


# -- rows that have spilled


@_case
def spilled_rows_are_found(ledger: Ledger, destination: str) -> None:
    head = _taken(ledger, destination)
    rows = {"v1": _row(), "v" * 300: _row(Status.SUPERSEDED)}
    ledger.put_rows(_key(destination), SOURCE, head.generation, rows)
    assert {version_id: ledger.row(_key(destination), SOURCE, version_id) for version_id in rows} == rows
    assert ledger.row(_key(destination), SOURCE, "v2") is None
    assert ledger.history(_key(destination)) == (head, rows)


@_case
def the_head_s_own_row_counts(ledger: Ledger, destination: str) -> None:
    head = _leave(ledger, destination, rows={"v1": _row()}, spilled=True)
    ledger.put_rows(_key(destination), SOURCE, head.generation, {"v1": _row(Status.PENDING)})
    assert ledger.peek(_key(destination), SOURCE, "v1") == _row()
    assert ledger.history(_key(destination)) == (head, {"v1": _row()})
    assert ledger.spilled(_key(destination), SOURCE) == {"v1": _row(Status.PENDING)}


@_case
def a_row_is_looked_for_where_the_head_says(ledger: Ledger, destination: str) -> None:
    assert ledger.peek(_key(destination), SOURCE, "v1") is None
    head = _leave(ledger, destination)
    ledger.put_rows(_key(destination), SOURCE, head.generation, {"v1": _row()})
    assert ledger.peek(_key(destination), SOURCE, "v1") is None
    _leave(ledger, destination, spilled=True)
    assert ledger.peek(_key(destination), SOURCE, "v1") == _row()


@_case
def a_later_holder_s_row_stays(ledger: Ledger, destination: str) -> None:
    key = _key(destination)
    ledger.put_rows(key, SOURCE, 2, {"v2": _row()})
    with pytest.raises(LeaseLost):
        ledger.put_rows(key, SOURCE, 1, {"v1": _row(), "v2": _row(Status.PENDING), "v3": _row()})
    # One after the other: what came before the refusal has been written.
    found = [ledger.row(key, SOURCE, version_id) for version_id in ("v1", "v2", "v3")]
    assert found == [_row(), _row(), None]


@_case
def the_same_holder_may_change_its_mind(ledger: Ledger, destination: str) -> None:
    for generation, status in ((1, Status.PENDING), (1, Status.FAILED), (3, Status.COMPLETED)):
        ledger.put_rows(_key(destination), SOURCE, generation, {"v1": _row(status)})
        assert ledger.row(_key(destination), SOURCE, "v1") == _row(status)


# -- the index of open work


@_case
def what_is_due_is_found(ledger: Ledger, destination: str) -> None:
    rows = {"v1": _row(), "v2": _row(Status.PENDING, due=DAWN + 10)}
    _leave(ledger, destination, rows=rows)
    ledger.put_rows(_key(destination), SOURCE, 1, {"v3": _row(Status.PENDING, due=DAWN + 20)})
    assert list(ledger.due(destination, DAWN + 9)) == []
    [head] = ledger.due(destination, DAWN + 10)
    assert (head.key, head.source, head.rows, head.due) == (_key(destination), SOURCE, rows, DAWN + 10)
    assert not head.spilled
    [spilled] = [item for item in ledger.due(destination, DAWN + 20) if item.spilled]
    assert (list(spilled.rows), spilled.due) == (["v3"], DAWN + 20)
    assert ledger.count_open(destination) == 2


@_case
def what_is_done_is_not_open(ledger: Ledger, destination: str) -> None:
    head = _leave(ledger, destination, rows={"v1": _row(Status.FAILED)})
    ledger.put_rows(_key(destination), SOURCE, 1, {"v2": _row(Status.PENDING)})
    assert ledger.count_open(destination) == 2
    assert list(ledger.due(destination, DAWN + 1e6)) == []
    generation = _leave(ledger, destination, rows={"v1": _row()}).generation
    ledger.put_rows(_key(destination), head.source, generation, {"v2": _row()})
    assert ledger.count_open(destination) == 0


@_case
def a_final_row_with_a_reason_is_open(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(reason=Reason.OUT_OF_ORDER)})
    assert ledger.count_open(destination) == 1


@_case
def what_is_postponed_is_due_later(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(Status.PENDING, due=DAWN)})
    ledger.put_rows(_key(destination), SOURCE, 1, {"v2": _row(Status.PENDING, due=DAWN)})
    for item in list(ledger.due(destination, DAWN)):
        assert ledger.postpone(item, DAWN + 100)
    assert list(ledger.due(destination, DAWN + 99)) == []
    assert len(list(ledger.due(destination, DAWN + 100))) == 2


@_case
def a_version_that_will_be_late_is_found_then(ledger: Ledger, destination: str) -> None:
    rows = {
        "v1": _row(Status.PENDING, due=DAWN + 1000, threshold=DAWN + 900),
        "v2": _row(Status.FAILED, threshold=DAWN + 100),
    }
    _leave(ledger, destination, rows=rows)
    ledger.put_rows(_key(destination), SOURCE, 1, {"v3": _row(Status.PENDING, threshold=DAWN + 901)})
    assert list(ledger.due(destination, DAWN + 899)) == []
    [head] = ledger.due(destination, DAWN + 900)
    [spilled] = [item for item in ledger.due(destination, DAWN + 901) if item.spilled]

    assert ledger.postpone(head, DAWN + 1000, {"v1"})
    assert ledger.postpone(spilled, DAWN + 2000, {"v3"})
    assert list(ledger.due(destination, DAWN + 999)) == []
    later = [row for item in ledger.due(destination, DAWN + 2000) for row in item.rows.items()]
    assert {vid: row.missed for vid, row in later} == {"v1": True, "v2": False, "v3": True}
    [head] = ledger.due(destination, DAWN + 1000)
    assert head.rows["v1"] == replace(rows["v1"], missed=True)


@_case
def what_somebody_works_on_is_not_postponed(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(Status.PENDING, due=DAWN)})
    [item] = ledger.due(destination, DAWN)
    _taken(ledger, destination)
    assert not ledger.postpone(item, DAWN + 100, {"v1"})
    [found] = ledger.due(destination, DAWN)
    assert (found.due, found.rows["v1"].missed) == (DAWN, False)


@_case
def what_has_changed_is_not_postponed(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(Status.PENDING, due=DAWN)})
    [item] = ledger.due(destination, DAWN)
    _leave(ledger, destination, rows={"v1": _row(Status.PENDING, due=DAWN + 1)})
    assert not ledger.postpone(item, DAWN + 100, {"v1"})
    [found] = ledger.due(destination, DAWN + 1)
    assert (found.due, found.rows["v1"].missed) == (DAWN + 1, False)


@_case
def a_spilled_row_leaves_the_index_when_it_is_closed(ledger: Ledger, destination: str) -> None:
    row = _row(Status.PENDING, due=DAWN)
    ledger.put_rows(_key(destination), SOURCE, 1, {"v1": row, "v2": row})
    first, second = ledger.due(destination, DAWN)
    ledger.close(first)
    ledger.postpone(second, DAWN + 100)
    ledger.close(second)
    assert ledger.count_open(destination) == 1
    assert ledger.spilled(_key(destination), SOURCE) == {"v1": row, "v2": row}


@_case
def a_lease_leaves_the_index_as_it_is(ledger: Ledger, destination: str) -> None:
    _leave(ledger, destination, rows={"v1": _row(Status.PENDING, due=DAWN)})
    _taken(ledger, destination)
    assert len(list(ledger.due(destination, DAWN))) == 1


# -- the breaker


@_case
def deletes_are_counted_by_the_hour(ledger: Ledger, destination: str) -> None:
    assert ledger.breaker(destination) is None
    allowed = [ledger.allow_version_delete(destination, 2, DAWN + second) for second in range(2)]
    assert allowed == [True, True]
    assert ledger.allow_version_delete(destination, 2, DAWN + 3600)
    breaker = ledger.breaker(destination)
    assert breaker is not None
    assert (breaker.count, breaker.opened) == (1, None)


@_case
def one_too_many_opens_the_breaker(ledger: Ledger, destination: str) -> None:
    allowed = [ledger.allow_version_delete(destination, 1, DAWN) for _ in range(3)]
    assert allowed == [True, False, False]
    assert not ledger.allow_version_delete(destination, 100, DAWN + 7200)
    breaker = ledger.breaker(destination)
    assert breaker is not None
    assert breaker.opened == DAWN


@_case
def former_copies_have_a_count_of_their_own(ledger: Ledger, destination: str) -> None:
    allowed = [ledger.allow_copy_delete(destination, 2, DAWN + second) for second in range(3)]
    assert allowed == [True, True, False]
    assert ledger.breaker(destination) is None
    assert ledger.allow_version_delete(destination, 1, DAWN)
    assert [ledger.allow_copy_delete(destination, 1, DAWN + 3600) for _ in range(2)] == [True, False]


@_case
def a_closed_breaker_counts_anew(ledger: Ledger, destination: str) -> None:
    for _ in range(2):
        ledger.allow_version_delete(destination, 1, DAWN)
    ledger.close_breaker(destination)
    assert [ledger.allow_version_delete(destination, 1, DAWN) for _ in range(2)] == [True, False]
    ledger.close_breaker(f"{destination}-other")


@_case
def the_breaker_is_not_open_work(ledger: Ledger, destination: str) -> None:
    for _ in range(2):
        ledger.allow_version_delete(destination, 1, DAWN)
    assert ledger.count_open(destination) == 0
    assert ledger.history(LedgerKey(destination, "")) == (None, {})
