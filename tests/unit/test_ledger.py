"""What follows from the ledger's values, whatever they are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.ledger import (
    INLINE_ROWS,
    NEVER,
    SHARDS,
    Head,
    Intent,
    LedgerKey,
    OrderFacts,
    Row,
    Status,
    recency,
    shard_name,
    source_name,
    source_ref,
)
from s3replicator.decisions.versions import Kind, VersionRef
from tests.unit.strategies import buckets, keys, version_ids


def completed(at: float, replica: str | None = "r", sequencer: str | None = None) -> Row:
    return Row(Kind.OBJECT, Status.COMPLETED, OrderFacts(sequencer, at), replica=replica)


def waiting(due: float | None, at: float = 0.0) -> Row:
    return Row(Kind.OBJECT, Status.PENDING, OrderFacts(None, at), reason="Throttled", due=due)


INTENT = Intent("nonce", "v", Kind.OBJECT, 1.0, OrderFacts(None, 1.0))

# Only what these decisions look at, so that there is time for many of them.
rows = st.builds(
    Row,
    kind=st.just(Kind.OBJECT),
    status=st.sampled_from(Status),
    order=st.builds(OrderFacts, st.sampled_from([None, "0A", "0B", "0B0"]), st.integers(0, 9).map(float)),
    replica=st.sampled_from([None, "replica"]),
    reason=st.sampled_from([None, "Throttled"]),
    due=st.none() | st.integers(0, 9).map(float),
)
heads = st.builds(
    Head,
    source=st.just("source-bucket/key"),
    rows=st.dictionaries(st.sampled_from("abcdef"), rows),
    spilled=st.booleans(),
    top=st.none() | st.tuples(st.sampled_from("gh"), rows.map(lambda row: row.order)),
)


def head_of(**named: Row) -> Head:
    return Head("source-bucket/key", rows=named)


# -- keys


def test_a_key_stays_in_the_shard_it_was_first_in() -> None:
    """Changing this would hide the open work of a running stack."""
    shards = {key: LedgerKey("replica-bucket", key).shard for key in ("a", "in/report.csv", "ünï/☃")}
    assert shards == {
        "a": "replica-bucket#7",
        "in/report.csv": "replica-bucket#4",
        "ünï/☃": "replica-bucket#10",
    }


@given(buckets, keys)
def test_every_key_is_in_one_of_its_destinations_shards(destination: str, key: str) -> None:
    shards = {shard_name(destination, number) for number in range(SHARDS)}
    assert LedgerKey(destination, key).shard in shards


def test_keys_are_spread_over_all_shards() -> None:
    used = {LedgerKey("replica-bucket", f"logs/{number}").shard for number in range(500)}
    assert len(used) == SHARDS


@given(buckets, keys, version_ids)
def test_a_source_version_is_found_again_from_its_row(bucket: str, key: str, version_id: str) -> None:
    ref = VersionRef(bucket, key, version_id)
    assert source_ref(source_name(ref), version_id) == ref


# -- rows


@pytest.mark.parametrize(
    ("status", "reason", "is_final", "is_open"),
    [
        (Status.PENDING, None, False, True),
        (Status.PENDING, "Throttled", False, True),
        (Status.FAILED, "DstBucketNotFound", False, True),
        (Status.NOT_ELIGIBLE, "SrcObjectNotEligible", False, True),
        (Status.COMPLETED, None, True, False),
        (Status.COMPLETED, "VerificationFailed", True, True),
        (Status.SUPERSEDED, None, True, False),
        (Status.TOMBSTONE, None, True, False),
    ],
)
def test_open_is_what_an_operator_should_see(
    status: Status, reason: str | None, is_final: bool, is_open: bool
) -> None:
    row = Row(Kind.OBJECT, status, OrderFacts(None, 0.0), reason=reason)
    assert (row.final, row.open) == (is_final, is_open)


@pytest.mark.parametrize("status", Status)
def test_a_replica_that_is_owed_something_is_not_told_of_as_completed(status: Status) -> None:
    """As with Amazon: a change of tags makes it PENDING again."""
    row = Row(Kind.OBJECT, status, OrderFacts(None, 1.0), replica="r", owed=frozenset({ChangeKind.TAGGED}))
    completed = status is Status.COMPLETED
    assert row.standing is (Status.PENDING if completed else status)
    waiting = replace(row, reason="Throttled", due=9.0)
    assert waiting.standing is (Status.PENDING if completed else status)
    assert replace(row, reason="DstPutAclNotPermitted").standing is (Status.FAILED if completed else status)
    # What has no replica is owed nothing yet, and what is paid is what it was.
    assert replace(row, replica=None).standing is replace(row, owed=frozenset()).standing is status


def test_the_ids_of_a_row_are_all_that_are_ours_or_may_be() -> None:
    row = replace(completed(1.0, "r"), left=("l1", "l2"), blocked=("b",), stray=("s",))
    assert list(row.ids()) == ["r", "l1", "l2", "b", "s"]
    assert list(completed(1.0, None).ids()) == []


# -- what is due


@given(heads)
def test_a_head_is_due_when_its_first_open_row_is(head: Head) -> None:
    open_rows = [row for row in head.rows.values() if row.open]
    dues = [moment for row in open_rows for moment in (row.due, row.late_at) if moment is not None]
    if not open_rows:
        assert head.due() is None
    else:
        assert head.due() == (min(dues) if dues else NEVER)


@pytest.mark.parametrize(
    ("status", "missed", "late_at"),
    [
        (Status.PENDING, False, 900.0),
        (Status.PENDING, True, None),
        (Status.FAILED, False, None),
        (Status.COMPLETED, False, None),
    ],
)
def test_only_what_is_under_way_can_be_late_and_once(
    status: Status, missed: bool, late_at: float | None
) -> None:
    row = Row(Kind.OBJECT, status, OrderFacts(None, 0.0), reason="r", due=1e4, threshold=900.0, missed=missed)
    assert row.late_at == late_at
    assert row.swept_at == (late_at or 1e4)


def test_open_work_that_waits_for_somebody_is_listed_and_never_due() -> None:
    head = head_of(v=Row(Kind.OBJECT, Status.FAILED, OrderFacts(None, 0.0), reason="DstBucketNotFound"))
    assert head.due() == NEVER


def test_a_settled_key_is_not_in_the_index_of_open_work() -> None:
    assert head_of(v=completed(1.0)).due() is None
    assert Head("source-bucket/key").due() is None


# -- what is live


@given(heads)
def test_live_are_the_rows_with_a_replica_and_the_newest_that_has_spilled(head: Head) -> None:
    live = head.live()
    for version_id, row in head.rows.items():
        if row.live:
            assert live[version_id] == row.order
    here = {version_id for version_id, row in head.rows.items() if row.live}
    assert set(live) == here | ({head.top[0]} if head.top else set())


@pytest.mark.parametrize(
    ("intent", "unsettled", "clean"),
    [(None, False, True), (INTENT, False, False), (None, True, False), (INTENT, True, False)],
)
def test_a_head_is_clean_if_nothing_is_in_doubt(intent: Intent | None, unsettled: bool, clean: bool) -> None:
    assert Head("source-bucket/key", intent=intent, unsettled=unsettled).clean is clean


# -- spilling


def test_what_was_heard_of_a_version_outlives_another_key_in_its_place() -> None:
    heard = {"a": frozenset({ChangeKind.ACL_CHANGED})}
    taken = Head("source-bucket/a", heard=heard).taken_over("source-bucket/b", {})
    again = taken.taken_over("source-bucket/a", {})
    assert again.with_row("a", Row(Kind.OBJECT, Status.PENDING, OrderFacts(None, 1))).rows["a"].acl


@given(heads)
def test_spilling_loses_no_row_and_keeps_the_head_small(head: Head) -> None:
    small, out = head.spill()
    assert {**small.rows, **out} == head.rows
    assert not set(small.rows) & set(out)
    assert len(small.rows) == min(len(head.rows), INLINE_ROWS)


@given(heads)
def test_spilling_changes_nothing_but_the_rows(head: Head) -> None:
    small, out = head.spill()
    assert replace(small, rows=head.rows, spilled=head.spilled, top=head.top) == head
    assert small.spilled == (head.spilled or bool(out))
    if not out:
        assert small is head
    assert small.spill() == (small, {})


@given(st.lists(rows, min_size=1, max_size=8))
def test_the_newest_live_replica_is_known_however_often_rows_spill(entries: list[Row]) -> None:
    head = Head("source-bucket/key")
    everything: dict[str, Row] = {}
    for version_id, row in zip("abcdefgh", entries, strict=False):
        head, _ = head.with_row(version_id, row).spill()
        everything[version_id] = row
        live = [(recency(row.order), vid) for vid, row in everything.items() if row.live]
        newest = [vid for rank, vid in live if rank == max(live)[0]]
        assert set(newest) & set(head.live()) or not newest


def test_what_spills_first_is_what_orders_nothing_then_the_oldest() -> None:
    head = head_of(
        oldest=completed(1.0),
        tombstone=Row(Kind.OBJECT, Status.TOMBSTONE, OrderFacts(None, 9.0)),
        waiting=waiting(due=5.0, at=0.0),
        newest=completed(4.0),
        middle=completed(3.0),
    )
    small, out = head.spill()
    assert set(small.rows) == {"newest", "middle"}
    assert small.top == ("oldest", OrderFacts(None, 1.0))
    assert list(out) == ["waiting", "tombstone", "oldest"]


def test_a_tombstone_that_spills_does_not_become_the_newest() -> None:
    tombstone = Row(Kind.OBJECT, Status.TOMBSTONE, OrderFacts(None, 9.0))
    small, out = head_of(gone=tombstone, one=completed(1.0), two=completed(2.0)).spill()
    assert (list(out), small.top) == (["gone"], None)


def test_a_late_version_that_waits_for_its_turn_spills_too() -> None:
    head = head_of(newest=completed(9.0), one=waiting(None), two=waiting(None), three=waiting(None))
    small, out = head.spill()
    assert (set(small.rows), set(out)) == ({"newest", "three"}, {"one", "two"})


def test_an_older_replica_that_spills_later_does_not_become_the_newest() -> None:
    head = Head("source-bucket/key", spilled=True, top=("newest", OrderFacts(None, 9.0)))
    for version_id, at in (("late", 3.0), ("later", 4.0), ("latest", 5.0)):
        head, _ = head.with_row(version_id, completed(at)).spill()
    assert head.top == ("newest", OrderFacts(None, 9.0))


def test_with_row_replaces_and_leaves_the_old_head_alone() -> None:
    before = head_of(v=waiting(due=1.0))
    after = before.with_row("v", completed(2.0)).with_row("w", completed(3.0))
    assert before.rows == {"v": waiting(due=1.0)}
    assert after.rows == {"v": completed(2.0), "w": completed(3.0)}
