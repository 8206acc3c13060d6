"""A place has one head, which is one source key's: no path mixes two, and what is empty can be taken over."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Filter
from s3replicator.decisions.events import ChangeKind, Origin, Upload, parse_event
from s3replicator.decisions.failures import Reason, RetryableError, SourceGone, TerminalError
from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.open_work import Wanted
from s3replicator.decisions.outcome import Result
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.decisions.versions import Kind, Tag, VersionRef
from s3replicator.ports import Granted
from s3replicator.usecases.leased_key import LeasedKey, NotOurs, lease_key
from s3replicator.usecases.open_work import OpenWork
from s3replicator.usecases.settling import Settlement
from s3replicator.usecases.work import Work
from tests.unit.places import PLACE, REPLICA, SOURCE, Places, rule
from tests.unit.protocol.memory_queues import MemoryQueues, Queue
from tests.unit.protocol.memory_s3 import MemorySource
from tests.unit.protocol.runtime import DAWN

IN, OTHER = f"{SOURCE}/in/x", f"{SOURCE}/other/x"
UNTIL: Final = DAWN + 1e6


def version_of(record: Any) -> str:
    return str(record["s3"]["object"]["versionId"])


def results(report: Any) -> list[Result]:
    return [outcome.result for outcome in report.outcomes]


@pytest.fixture
def moved() -> Places:
    """in/x has been replicated to eu/x; by now that is where other/x belongs."""
    places = Places(rule("in/"))
    places.deliver(places.put("in/x", "of in"))
    places.use(rule("other/"))
    return places


def handed_over(places: Places, record: Any) -> dict[str, Any]:
    """The message of one function to another, about in/x at its place."""
    [change] = parse_event({"Records": [record]}).changes
    letter = letters.for_destination(replace(change, replica_key="eu/x"), REPLICA)
    return dict(letter["Records"][0])


# -- two source keys at one place


def test_two_source_keys_in_one_batch_are_never_mixed_under_one_head(moved: Places) -> None:
    late = handed_over(moved, moved.put("in/x", "late"))
    moved.deliver(late, moved.put("other/x", "of other"))
    moved.drain()
    assert set(moved.rows()) <= {one.version_id for one in moved.source.versions("in/x")}
    assert moved.bodies() == ["of in"]


def test_purging_one_source_key_never_removes_the_replica_of_another(moved: Places) -> None:
    """A live version's only replica, at a place that had been another key's."""
    late = handed_over(moved, moved.put("in/x", "late"))
    moved.use(rule("other/", deletes=1000))
    moved.deliver(late, moved.put("other/x", "of other"))
    moved.use(rule("in/", deletes=1000, number=1))
    assert Result.REMOVED not in results(moved.settle("in/x", purge=True))
    moved.use(rule("other/", deletes=1000))
    assert Result.REMOVED not in results(moved.settle("other/x", purge=True))
    assert "of in" in moved.bodies()


def test_keys_that_come_to_one_place_follow_each_other_in_a_batch() -> None:
    """The second finds the lease given up, and not held."""
    places = Places(rule("in/"), rule("other/", number=2))
    result = places.deliver(places.put("in/x", "of in"), places.put("other/x", "of other"))
    assert result.returned == {}
    assert sorted(results(result)) == [Result.PARKED, Result.REPLICATED]


def test_there_is_no_lease_on_the_head_of_another_source_key(moved: Places) -> None:
    head = moved.head()
    assert head is not None
    with pytest.raises(NotOurs):
        LeasedKey(moved.engine(), PLACE, OTHER, "token", head, announced=None)


def test_a_lease_takes_no_work_of_another_source_key(moved: Places) -> None:
    engine = moved.engine()
    _, leased = lease_key(engine, PLACE, IN, UNTIL)
    assert leased is not None
    [change] = parse_event({"Records": [moved.put("other/x", "of other")]}).changes
    foreign = Work(replace(change, replica_key="eu/x"), REPLICA, None)
    settlement = Settlement(engine, leased, moved.rules.current(), UNTIL)
    attempts: list[Callable[[Work], object]] = [
        leased.hear,
        leased.publish,
        settlement.ask,
        settlement.complete,
        settlement.forget,
    ]
    for attempt in attempts:
        with pytest.raises(NotOurs):
            attempt(foreign)
    elsewhere = replace(foreign, change=replace(foreign.change, key="in/x", replica_key="eu/y"))
    with pytest.raises(NotOurs):
        leased.hear(elsewhere)


def test_what_is_to_be_recalled_at_a_place_of_another_key_is_done_with(moved: Places) -> None:
    """A job would come back for it for ever."""
    moved.put("other/x", "of other")
    assert moved.by_hand().recall(SOURCE, "other/x", UNTIL)


def test_a_null_version_that_is_gone_asks_nothing_of_a_head_of_another_key(moved: Places) -> None:
    head = moved.head()
    assert head is not None
    lease_key(moved.engine(), PLACE, IN, DAWN)  # a worker that died
    moved.clock.sleep(10_000)
    moved.ledger.lease(PLACE, IN, None, lease=Lease("t", UNTIL), intent=None, now=moved.clock.now())
    moved.ledger.write(PLACE, "t", replace(head, unsettled=True))
    moved.source.suspend()
    record = moved.put("other/x", "null")
    moved.source.purge("other/x", "null")
    assert results(moved.deliver(record)) == [Result.GONE]


# -- an empty place can be taken over


ORDER: Final = OrderFacts("0A", DAWN)
GONE: Final = Row(Kind.OBJECT, Status.TOMBSTONE, ORDER)
UNWANTED: Final = Row(Kind.OBJECT, Status.NOT_ELIGIBLE, ORDER, reason=Reason.RULE_GONE)


@pytest.mark.parametrize(
    "rows", [{}, {"v1": GONE}, {"v1": GONE, "v2": UNWANTED}, {"v1": replace(GONE, stray=("r1",))}], ids=str
)
def test_a_head_that_claims_nothing_is_vacant(rows: dict[str, Row]) -> None:
    assert Head(IN, rows=rows).is_vacant(rows, DAWN)
    expired = Head(IN, Lease("dead", DAWN - 1), rows=rows)
    assert expired.is_vacant(rows, DAWN)


@pytest.mark.parametrize(
    "row",
    [
        *(replace(GONE, status=status) for status in Status if status is not Status.TOMBSTONE),
        replace(UNWANTED, reason=Reason.SRC_OBJECT_NOT_ELIGIBLE),
        *(
            replace(row, **claim)
            for row in (GONE, UNWANTED)
            for claim in (
                {"replica": "r1"},
                {"left": ("r1",)},
                {"blocked": ("r1",)},
                {"due": DAWN},
                {"upload": Upload("u", "n", DAWN)},
            )
        ),
        replace(GONE, reason=Reason.DST_OBJECT_LOCKED),
    ],
    ids=str,
)
def test_a_head_that_claims_anything_is_not(row: Row) -> None:
    rows = {"v1": row, "v2": GONE}
    assert not Head(IN, rows=rows).is_vacant(rows, DAWN)


@pytest.mark.parametrize(
    "busy",
    [
        {"lease": Lease("worker", DAWN)},
        {"unsettled": True},
        {"intent": Intent("n", "v1", Kind.OBJECT, DAWN, ORDER)},
    ],
    ids=str,
)
def test_a_head_that_is_worked_on_is_not(busy: dict[str, Any]) -> None:
    assert not Head(IN, **busy).is_vacant({}, DAWN)


def test_a_place_whose_versions_are_all_gone_can_be_taken_over() -> None:
    places = Places(rule("in/", deletes=1000))
    record = places.put("in/x", "of in")
    places.deliver(record)
    places.deliver(places.purge(record))
    places.drain()
    assert [row.status for row in places.rows().values()] == [Status.TOMBSTONE]

    places.use(rule("other/"))
    places.deliver(places.put("other/x", "of other"))
    head = places.head()
    assert head is not None
    assert (head.source, head.clean, head.lease) == (OTHER, True, None)
    assert places.bodies() == ["of other"]
    assert [row.status for row in places.rows().values()] == [Status.COMPLETED]
    # And the one before is a stranger now.
    places.use(rule("in/"))
    assert results(places.deliver(places.put("in/x", "again"))) == [Result.PARKED]


def test_a_place_that_no_rule_gave_the_key_in_time_can_be_taken_over() -> None:
    """The copy failed, and before it was tried again the rule had changed."""
    places = Places(rule("in/"))
    record = places.put("in/x", "of in")
    waiting = Row(Kind.OBJECT, Status.PENDING, ORDER, reason=Reason.THROTTLED, due=DAWN)
    _leave(places, Head(IN, rows={version_of(record): waiting}))
    places.use(rule("other/"))
    places.sweep()
    places.drain()
    assert [row.reason for row in places.rows().values()] == [Reason.RULE_GONE]
    assert results(places.deliver(places.put("other/x", "of other"))) == [Result.REPLICATED]
    assert places.parked() == []


def _leave(
    places: Places, head: Head, spilled: dict[str, Row] | None = None, *, place: LedgerKey = PLACE
) -> Head:
    """The head as a worker of its source key leaves it."""
    now = places.clock.now()
    answer = places.ledger.lease(place, head.source, None, lease=Lease("t", now), intent=None, now=now)
    assert isinstance(answer, Granted)
    generation = answer.head.generation
    places.ledger.put_rows(place, head.source, generation, spilled or {})
    head = replace(head, generation=generation, spilled=bool(spilled))
    places.ledger.write(place, "t", head)
    return head


def test_ids_that_are_perhaps_foreign_are_kept_when_a_place_is_taken_over() -> None:
    places = Places(rule("other/"))
    rows = {"v1": replace(GONE, stray=("r1",)), "v2": replace(GONE, stray=("r2", "r3"))}
    _leave(places, Head(IN, rows=rows), {"v0": replace(GONE, stray=("r0", "r1"))})
    places.deliver(places.put("other/x", "of other"))
    head = places.head()
    assert head is not None
    assert (head.source, set(head.stray)) == (OTHER, {"r0", "r1", "r2", "r3"})
    # It is none that a worker could have made and not accounted for.
    _, leased = lease_key(places.engine(), PLACE, OTHER, UNTIL)
    assert leased is not None
    assert set(head.stray) <= leased._known_ids()


def test_a_marker_that_is_perhaps_foreign_is_not_recognised_as_the_next_key_s() -> None:
    places = Places(rule("other/"))
    foreign = places.s3.buckets[REPLICA].mark("eu/x")
    _leave(places, Head(IN, rows={"v1": replace(GONE, stray=(foreign,))}))
    places.mark("other/x")
    assert places.by_hand().recall(SOURCE, "other/x", UNTIL)
    head = places.head()
    assert head is not None
    assert (head.source, head.stray, places.rows()) == (OTHER, (foreign,), {})


def test_what_has_spilled_decides_too(moved: Places) -> None:
    """A live replica among the rows that are not in the head."""
    live = Row(Kind.OBJECT, Status.COMPLETED, ORDER, replica="r0")
    _leave(moved, Head(IN, rows={"v1": GONE}), {"v0": live})
    assert results(moved.deliver(moved.put("other/x", "of other"))) == [Result.PARKED]


def test_spilled_rows_of_a_former_source_key_are_nobody_s() -> None:
    places = Places(rule("other/"))
    _leave(places, Head(IN, rows={"v1": GONE}), {"v0": GONE})
    for number in range(4):
        places.deliver(places.put("other/x", f"{number}"))
    head = places.head()
    assert head is not None
    assert head.spilled
    assert places.rows().keys() == {one.version_id for one in places.source.versions("other/x")}
    assert set(places.ledger.spilled(PLACE, OTHER)) | set(head.rows) == set(places.rows())
    assert places.ledger.row(PLACE, OTHER, "v0") is None
    assert places.ledger.peek(PLACE, OTHER, "v0") is None
    _, leased = lease_key(places.engine(), PLACE, OTHER, UNTIL)
    assert leased is not None
    assert leased.rows().keys() == places.rows().keys()
    assert leased.row("v0") is None


def test_an_open_row_of_a_former_source_key_is_swept_away() -> None:
    """A copy of a row that a dead worker spilled, while the head had a newer one."""
    places = Places(rule("other/"))
    _leave(places, Head(IN, rows={"v1": GONE}))
    open_row = Row(Kind.OBJECT, Status.PENDING, ORDER, reason=Reason.THROTTLED, due=DAWN)
    places.ledger.put_rows(PLACE, IN, 1, {"v1": open_row})
    places.deliver(places.put("other/x", "of other"))
    work = OpenWork(_Items(places), places.ledger, places.queues, places.clock)
    assert list(work.rows([REPLICA], Wanted())) == []
    assert places.sweep().sent[REPLICA] == 0
    assert places.ledger.count_open(REPLICA) == 0


class _Items:
    def __init__(self, places: Places) -> None:
        self._places = places

    def items(self, destination: str, after: str | None = None) -> Any:
        assert after is None
        return [(item, "place") for item in self._places.ledger._open(destination)]

    def destination_of(self, token: str) -> str:
        raise AssertionError(token)


def test_two_that_take_over_at_once_get_one_place_only() -> None:
    places = Places(rule("other/"))
    seen = _leave(places, Head(IN, rows={"v1": GONE}))
    now = places.clock.now()
    _, first = lease_key(places.engine(), PLACE, OTHER, UNTIL)
    answer = places.ledger.take_over(
        PLACE, seen, Head(f"{SOURCE}/third"), lease=Lease("second", UNTIL), intent=None, now=now
    )
    assert first is not None
    assert getattr(answer, "source", None) == OTHER


def test_settling_does_not_stumble_over_a_place_that_the_rules_have_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor when the version's tags, which the rule asks for, cannot be read."""

    def refuse(_source: MemorySource, ref: VersionRef) -> None:
        raise TerminalError(Reason.SRC_GET_TAGGING_NOT_PERMITTED, f"the tags of {ref.key}")

    places = Places(rule(""))
    record = places.put("in/x", "of in")
    here = LedgerKey(REPLICA, "in/x")
    waiting = Row(Kind.OBJECT, Status.PENDING, ORDER, reason=Reason.THROTTLED, due=DAWN)
    _leave(places, Head(IN, rows={version_of(record): waiting}), place=here)
    asking = replace(rule("in/"), filter=Filter(prefix="in/", tags=frozenset({Tag("class", "public")})))
    places.use(asking)
    monkeypatch.setattr(MemorySource, "tags", refuse)
    places.settle("in/x")
    [row] = places.rows(here).values()
    assert (row.status, row.reason) == (Status.FAILED, Reason.SRC_GET_TAGGING_NOT_PERMITTED)


# -- a conflict is open work


def test_a_conflict_is_open_work_until_it_is_resolved(moved: Places) -> None:
    """The message about it expires; what the ledger says does not."""
    record = moved.put("other/x", "of other")
    assert results(moved.deliver(record)) == [Result.PARKED]
    [row] = moved.kept_out("other/x").values()
    assert (row.status, row.reason, row.due) == (Status.FAILED, Reason.KEY_CONFLICT, None)
    assert IN in str(row.detail)
    assert moved.ledger.count_open(REPLICA) == 1
    assert moved.sweep().sent[REPLICA] == 0
    [parked] = moved.parked()
    assert (parked["reason"], parked["replicaKey"]) == (Reason.KEY_CONFLICT, "eu/x")


def test_a_conflict_is_parked_once_however_often_s3_tells_of_it(moved: Places) -> None:
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    again = moved.deliver(record)
    assert (results(again), again.returned) == ([Result.FAILED], {})
    assert len(moved.parked()) == 1


def test_a_conflict_that_is_sent_round_again_is_parked_again(moved: Places) -> None:
    moved.deliver(moved.put("other/x", "of other"))
    [letter] = moved.take(Queue.PARKED)
    assert results(moved.process([letter.body])) == [Result.PARKED]
    [row] = moved.kept_out("other/x").values()
    assert row.attempts == 2
    assert len(moved.parked()) == 1


def test_a_conflict_that_could_not_be_parked_is_not_recorded(
    moved: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its message would come again, be found in the ledger, and never be parked."""

    def refuse(*_: object) -> None:
        raise RetryableError(Reason.QUEUE_UNAVAILABLE, "full")

    record = moved.put("other/x", "of other")
    with monkeypatch.context() as refusing:
        refusing.setattr(MemoryQueues, "park", refuse)
        assert list(moved.deliver(record).returned) == ["0"]
    assert moved.kept_out("other/x") == {}
    assert results(moved.deliver(record)) == [Result.PARKED]


def free(places: Places) -> None:
    """The replica of in/x goes, as its version does."""
    places.use(rule("in/", deletes=1000))
    for version in list(places.source.versions("in/x")):
        places.source.purge("in/x", version.version_id)
        places.deliver(places.heard[-1])
    places.drain()
    places.use(rule("other/"))


def test_a_conflict_ends_when_the_place_is_free_and_all_that_was_kept_out_comes_in(moved: Places) -> None:
    for body in ("1", "2"):
        moved.deliver(moved.put("other/x", body))
    free(moved)
    # One is tried again, or a third one comes: the others get rows that are due.
    moved.deliver(moved.put("other/x", "3"))
    assert moved.kept_out("other/x") == {}
    moved.sweep()
    moved.drain()
    assert moved.bodies() == ["3", "2", "1"]
    assert moved.ledger.count_open(REPLICA) == 0


def test_a_conflict_that_is_retried_after_the_place_is_free_is_replicated(moved: Places) -> None:
    moved.deliver(moved.put("other/x", "of other"))
    free(moved)
    [letter] = moved.take(Queue.PARKED)
    moved.process([letter.body])
    assert (moved.bodies(), moved.kept_out("other/x")) == (["of other"], {})


def test_a_large_one_too(moved: Places) -> None:
    moved.deliver(moved.put("other/x", "large", size=SINGLE_COPY_LIMIT + 1))
    moved.drain()
    assert moved.s3.buckets[REPLICA].uploads == {}
    [letter] = moved.take(Queue.PARKED)
    assert len(moved.kept_out("other/x")) == 1
    moved.process([letter.body])
    moved.drain()
    # Nothing was copied to find out that the place is still taken.
    assert moved.s3.buckets[REPLICA].uploads == {}
    [letter] = moved.take(Queue.PARKED)
    free(moved)
    moved.process([letter.body])
    for _ in range(3):
        moved.drain()
        moved.clock.sleep(7200)
        moved.sweep()
    assert (moved.bodies(), moved.kept_out("other/x")) == (["large"], {})
    assert moved.ledger.count_open(REPLICA) == 0


def test_a_conflict_ends_when_its_version_is_gone(moved: Places) -> None:
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    moved.source.purge("other/x", version_of(record))
    moved.process([letter.body for letter in moved.take(Queue.PARKED)])
    assert moved.kept_out("other/x") == {}
    assert moved.parked() == []


def test_a_delete_of_the_version_ends_it_if_the_version_is_really_gone(moved: Places) -> None:
    moved.use(rule("other/", deletes=1000))
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    forged = {**record, "eventName": "ObjectRemoved:Delete"}
    moved.deliver(forged, to=Queue.DEAD_LETTER)
    assert len(moved.kept_out("other/x")) == 1
    moved.deliver(moved.purge(record), to=Queue.DEAD_LETTER)
    assert moved.kept_out("other/x") == {}
    assert moved.bodies() == ["of in"]


def test_a_conflict_ends_when_no_rule_puts_the_version_there_any_more(moved: Places) -> None:
    moved.deliver(moved.put("other/x", "of other"))
    moved.use(rule("other/", to="elsewhere/"))
    moved.process([letter.body for letter in moved.take(Queue.PARKED)])
    assert moved.kept_out("other/x") == {}
    assert moved.bodies("elsewhere/x") == ["of other"]


def test_a_later_change_of_what_is_kept_out_is_owed_to_it(moved: Places) -> None:
    """And one of a version that is not kept out makes none; its message alone tells of it."""
    record = moved.put("other/x", "of other")
    tagged = {**record, "eventName": "ObjectAcl:Put"}
    assert results(moved.deliver(tagged)) == [Result.PARKED]
    assert moved.kept_out("other/x") == {}
    moved.deliver(record)
    assert results(moved.deliver(tagged)) == [Result.FAILED]
    [row] = moved.kept_out("other/x").values()
    assert (row.status, row.owed) == (Status.FAILED, frozenset({ChangeKind.ACL_CHANGED}))


def test_what_is_owed_to_what_is_kept_out_stays_so_when_it_is_retried(moved: Places) -> None:
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    moved.deliver({**record, "eventName": "ObjectAcl:Put"})
    [letter] = moved.take(Queue.PARKED)
    moved.process([letter.body])
    [row] = moved.kept_out("other/x").values()
    assert (row.attempts, row.owed, row.acl) == (2, frozenset({ChangeKind.ACL_CHANGED}), True)


def test_what_is_owed_to_what_is_kept_out_stays_so_while_it_may_not_be_copied(moved: Places) -> None:
    """It is archived, and an operator tries again; then it is restored."""
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    moved.deliver({**record, "eventName": "ObjectAcl:Put"})
    [letter] = moved.take(Queue.PARKED)
    moved.source.change("other/x", version_of(record), storage_class="GLACIER")
    assert results(moved.process([letter.body])) == [Result.NOT_ELIGIBLE]
    [row] = moved.kept_out("other/x").values()
    assert (row.status, row.owed) == (Status.NOT_ELIGIBLE, frozenset({ChangeKind.ACL_CHANGED}))


def test_an_event_decides_for_what_a_job_kept_out_unseen(moved: Places) -> None:
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    [(vid, row)] = moved.kept_out("other/x").items()
    unseen = replace(row, origin=Origin.UNDECIDED)
    moved.ledger.record_conflict(PLACE, OTHER, vid, unseen)
    assert results(moved.deliver(record)) == [Result.FAILED]
    assert moved.kept_out("other/x") == {vid: row}


def test_a_listed_version_that_is_called_gone_stays_kept_out(
    moved: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer does not prove that it is."""

    def gone(_source: MemorySource, ref: VersionRef) -> None:
        raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, ref.key)

    record = moved.put("other/x", "of other")
    moved.deliver(record)
    monkeypatch.setattr(MemorySource, "head", gone)
    moved.process([letter.body for letter in moved.take(Queue.PARKED)])
    moved.deliver({**record, "eventName": "ObjectRemoved:Delete"}, to=Queue.DEAD_LETTER)
    assert len(moved.kept_out("other/x")) == 1


def test_a_conflict_that_outlived_its_end_is_closed_by_the_next_retry(moved: Places) -> None:
    """Whoever let the version in died before it could close it."""
    record = moved.put("other/x", "of other")
    moved.deliver(record)
    [row] = moved.kept_out("other/x").values()
    letters_ = [letter.body for letter in moved.take(Queue.PARKED)]
    free(moved)
    moved.process(letters_)
    moved.ledger.record_conflict(PLACE, OTHER, version_of(record), row)
    moved.process(letters_)
    assert moved.kept_out("other/x") == {}
    assert moved.bodies() == ["of other"]


def test_what_cannot_be_replicated_is_said_to_be_so_where_another_key_is(moved: Places) -> None:
    archived = moved.put("other/x", "of other", storage_class="GLACIER")
    assert results(moved.deliver(archived)) == [Result.NOT_ELIGIBLE]
    [row] = moved.kept_out("other/x").values()
    assert (row.status, row.reason) == (Status.NOT_ELIGIBLE, Reason.SRC_OBJECT_NOT_ELIGIBLE)
    assert moved.parked() == []


def test_settling_by_hand_says_of_every_version_that_it_is_kept_out(moved: Places) -> None:
    first, second = moved.put("other/x", "1"), moved.put("other/x", "2")
    moved.deliver(first)
    moved.source.purge("other/x", version_of(first))
    report = moved.settle("other/x")
    assert [(one.result, one.reason) for one in report.outcomes] == [(Result.FAILED, Reason.KEY_CONFLICT)]
    assert list(moved.kept_out("other/x")) == [version_of(second)]
    free(moved)
    assert results(moved.settle("other/x")) == [Result.REPLICATED]
    assert (moved.bodies(), moved.kept_out("other/x")) == (["2"], {})


def test_a_version_of_another_key_at_the_same_place_is_not_looked_up_in_its_head(moved: Places) -> None:
    [version_id] = moved.rows()
    assert moved.ledger.peek(PLACE, IN, version_id) is not None
    assert moved.ledger.peek(PLACE, OTHER, version_id) is None
    moved.deliver(moved.put("other/x", "of other"))
    [(kept, row)] = moved.kept_out("other/x").items()
    assert moved.ledger.peek(PLACE, OTHER, kept) == row
    assert moved.ledger.peek(PLACE, IN, kept) is None


def test_no_head_is_made_at_a_place_that_is_taken(moved: Places) -> None:
    moved.deliver(moved.put("other/x", "of other"))
    assert list(moved.places()) == [PLACE]
    assert LedgerKey(REPLICA, "other/x") not in moved.places()
