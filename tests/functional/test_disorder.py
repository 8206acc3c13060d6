"""Twice, late, half-way and in doubt: what the fast path does, and what it leaves to the second function."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import Intent, Lease, LedgerKey, OrderFacts
from s3replicator.decisions.versions import Kind
from tests.functional.faults import Fault, faults
from tests.functional.passing_time import sleep_until
from tests.functional.world import ONE, SOURCE, Event, World


@pytest.fixture
def one(world: World) -> World:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    return world


def test_the_same_event_twenty_times_makes_one_replica(one: World) -> None:
    """E79: in one batch, in parallel, and later."""
    event = one.put("key")
    one.deliver(*[event] * 10)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: one.deliver(event), range(9)))
    one.deliver(event)

    assert one.versions("key") == ["content"]


def test_a_version_that_comes_late_is_put_in_its_place(one: World) -> None:
    """E80: v2 is current at the end, v1 below it, each once."""
    old, new = one.put("key", b"old"), one.put("key", b"new")
    one.deliver(new)
    one.deliver(old)
    one.drain()

    assert one.versions("key") == ["new", "old"]
    assert [row.status for row in one.rows("key")] == ["COMPLETED", "COMPLETED"]
    assert one.at_rest("key")
    assert one.parked() == []
    assert one.ledger_head("key").due() is None, "nothing is left in the index of open work"


def test_a_delete_marker_that_overtakes_its_object_stays_on_top(one: World) -> None:
    """D71."""
    one.deliver(one.put("key", b"old"))
    put, mark = one.put("key", b"new"), one.mark("key")
    one.deliver(mark)
    one.deliver(put)
    one.drain()

    assert one.versions("key") == ["marker", "new", "old"]


def test_versions_swapped_in_one_batch_are_put_in_order(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")

    one.deliver(second, first)

    assert [row.status for row in one.rows("key")] == ["COMPLETED", "COMPLETED"]
    assert one.content("key") == "second"


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_makes_no_second_replica(one: World, times: int) -> None:
    """E89: found by its stamp."""
    with faults(Fault("CopyObject", effect=True, times=times)):
        assert one.deliver(one.put("key")).failed == []
    one.drain()

    assert one.versions("key") == ["content"]
    row = one.row("key")
    assert row.status == "COMPLETED"
    assert row.replica == one.head("key")["VersionId"]
    assert one.at_rest("key")


def test_a_lost_answer_of_a_delete_marker_makes_no_second_marker(one: World) -> None:
    one.deliver(one.put("key"))
    mark = one.mark("key")
    with faults(Fault("DeleteObject", effect=True)):
        one.deliver(mark)
    one.drain()

    assert one.versions("key") == ["marker", "content"]
    marker = one.rows("key")[1]
    assert (marker.status, marker.doubt) == ("COMPLETED", True)


def test_a_lost_answer_without_room_for_a_stamp_is_adopted_in_doubt(one: World) -> None:
    event = one.put("full", b"12345", Metadata={"filler": "x" * 2042})
    with faults(Fault("CopyObject", effect=True)):
        one.deliver(event)
    one.drain()

    assert one.versions("full") == ["12345"]
    assert one.row("full").doubt


def test_a_lost_answer_of_a_completed_upload_makes_no_second_replica(one: World, small_parts: int) -> None:
    event = one.put_parts("large", [bytes(small_parts), b"rest"])
    one.deliver(event)
    with faults(Fault("CompleteMultipartUpload", effect=True)):
        one.drain()

    assert len(one.versions("large")) == 1
    assert one.row("large").status == "COMPLETED"
    assert one.at_rest("large")
    assert one.open_uploads() == 0


def crash_after_copy(world: World, event: Event) -> None:
    """Leave everything as a worker leaves it that dies between the copy and its record."""
    with faults(
        Fault("CopyObject", effect=True),
        Fault("ListObjectVersions", status=500, times=9),
        Fault("PutItem", status=500, code="InternalServerError", times=99),
    ):
        assert world.deliver(event).failed == [0]
    head = world.ledger_head("key")
    assert head.lease is not None
    assert head.intent is not None


def expire_lease(world: World) -> None:
    key = LedgerKey(ONE, "key")
    head = world.ledger_head("key")
    assert head.lease is not None
    expired = replace(head, lease=Lease(head.lease.token, SystemClock().now() - 1))
    world.ledger.write(key, head.lease.token, expired)


def test_a_worker_that_dies_between_copy_and_record_leaves_one_replica(one: World) -> None:
    """E89."""
    event = one.put("key")
    crash_after_copy(one, event)
    assert one.deliver(event).failed == [0], "the key is still held"

    expire_lease(one)
    assert one.deliver(event).failed == []
    one.drain()

    assert one.versions("key") == ["content"]
    assert one.row("key").status == "COMPLETED"
    assert one.at_rest("key")


def test_an_object_gone_after_the_worker_died_leaves_nothing_open(one: World) -> None:
    event = one.put("key")
    crash_after_copy(one, event)
    one.purge(event)
    expire_lease(one)
    one.deliver(event)
    one.drain()

    assert one.at_rest("key")
    assert one.row("key").status == "COMPLETED"
    assert len(one.versions("key")) == 1


def test_a_newer_version_after_the_worker_died_comes_out_on_top(one: World) -> None:
    first = one.put("key", b"first")
    crash_after_copy(one, first)
    expire_lease(one)
    second = one.put("key", b"second")
    one.deliver(second)
    one.drain()
    one.deliver(first)
    one.drain()

    assert one.content("key") == "second"
    assert [row.status for row in one.rows("key")] == ["COMPLETED", "COMPLETED"]
    assert sorted(one.versions("key")) == ["first", "second"]


def test_a_crash_before_the_copy_costs_nothing(one: World) -> None:
    """The lease and the intent are there, the destination is empty."""
    event = one.put("key")
    version_id = event["Records"][0]["s3"]["object"]["versionId"]
    key, now = LedgerKey(ONE, "key"), SystemClock().now()
    intent = Intent("nonce", version_id, Kind.OBJECT, now, OrderFacts(None, now))
    one.ledger.lease(
        key, "source-bucket/key", version_id, lease=Lease("dead", now - 1), intent=intent, now=now
    )

    one.deliver(event)
    one.drain()

    assert one.versions("key") == ["content"]
    assert one.row("key").status == "COMPLETED"
    assert one.at_rest("key")


def test_a_held_key_gives_its_messages_back_and_delays_no_other(one: World) -> None:
    """E91."""
    held, free = one.put("held"), one.put("free")
    now = SystemClock().now()
    one.ledger.lease(
        LedgerKey(ONE, "held"),
        "source-bucket/held",
        "other",
        lease=Lease("somebody", now + 60),
        intent=None,
        now=now,
    )

    delivery = one.deliver(held, free)

    assert delivery.failed == [0]
    assert delivery.recording.sent["ChangeMessageVisibilityBatch"] == 1
    assert one.versions("free") == ["content"]
    assert one.versions("held") == []


def test_a_foreign_version_is_never_mistaken_for_ours(one: World) -> None:
    """D73: somebody writes to the destination by hand."""
    one.deliver(one.put("key", b"first"))
    one.s3.put_object(Bucket=ONE, Key="key", Body=b"foreign")
    with faults(Fault("CopyObject", effect=True)):
        one.deliver(one.put("key", b"second"))
    one.drain()
    one.deliver(one.mark("key"))

    assert one.versions("key")[0] == "marker"
    assert sorted(one.versions("key")[1:]) == ["first", "foreign", "second"]


def test_a_large_copy_goes_on_where_the_last_worker_stopped(one: World, small_parts: int) -> None:
    """I134: no part is copied twice."""
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 3))
    [body] = one.take("large")
    stopped = one.deliver(body, to="replicate_large", seconds=60)
    assert stopped.recording.sent["CreateMultipartUpload"] == 1
    assert one.versions("large") == []

    one.drain()

    assert one.head("large")["ContentLength"] == 3 * small_parts
    assert one.open_uploads() == 0


def test_a_large_copy_that_fails_for_good_leaves_no_upload(one: World, small_parts: int) -> None:
    """I136."""
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 2))
    with faults(Fault("UploadPartCopy", status=403, code="AccessDenied", times=9)):
        one.drain()

    assert one.open_uploads() == 0
    assert [told["reason"] for told in one.parked()] == ["DstMultipartUploadNotPermitted"]
    assert one.at_rest("large")


def test_a_large_copy_interrupted_by_an_outage_is_resumed(one: World, small_parts: int) -> None:
    """J: the row remembers the upload."""
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 2))
    with faults(Fault("UploadPartCopy", status=503, code="SlowDown", times=99)):
        one.drain()
    row = one.row("large")
    assert (row.status, row.reason) == ("PENDING", "Throttled")
    assert row.upload is not None
    sleep_until(row.due)

    one.sweep()
    one.drain()

    assert one.row("large").status == "COMPLETED"
    assert one.open_uploads() == 0


def test_a_refused_completion_is_parked_and_cleaned_up(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 2))
    with faults(Fault("CompleteMultipartUpload", status=403, code="AccessDenied", times=9)):
        one.drain()

    assert [told["reason"] for told in one.parked()] == ["DstMultipartCompleteNotPermitted"]
    assert one.open_uploads() == 0
    assert one.at_rest("large")


def test_a_200_with_an_error_inside_is_no_success(one: World, small_parts: int) -> None:
    """I137."""
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 2))
    with faults(Fault("CompleteMultipartUpload", status=200, code="InternalError", times=2)):
        one.drain()
    row = one.row("large")
    assert row.status == "PENDING"
    sleep_until(row.due)
    one.sweep()
    one.drain()

    assert len(one.versions("large")) == 1
    assert one.row("large").status == "COMPLETED"


def test_a_late_large_object_is_put_below_the_newer_one(one: World, small_parts: int) -> None:
    large = one.put_parts("key", [bytes(small_parts), b"rest"])
    one.deliver(one.put("key", b"newer"))
    one.deliver(large)
    one.drain()

    assert [content[-5:] for content in one.versions("key")] == ["newer", "\0rest"]
    assert [row.status for row in one.rows("key")] == ["COMPLETED", "COMPLETED"]
    assert one.open_uploads() == 0
    assert one.at_rest("key")


def test_a_ledger_that_fails_after_the_copy_makes_no_second_replica(one: World) -> None:
    """The row of the version may have spilled: reading it can fail when the copy has been made."""
    for number in range(4):
        one.deliver(one.put("key", f"v{number}".encode()))
    event = one.put("key", b"new")
    for operation in ("GetItem", "PutItem"):
        with faults(Fault(operation, status=500, code="InternalServerError", times=99)):
            assert one.deliver(event).failed == [0]
        expire_lease(one)
    one.deliver(event)
    one.drain()

    assert sorted(one.versions("key")) == ["new", "v0", "v1", "v2", "v3"]
    assert one.rows("key")[-1].status == "COMPLETED"
    assert one.at_rest("key")


@pytest.mark.parametrize("operation", ["UpdateItem", "PutItem"])
def test_a_large_copy_survives_an_outage_of_the_ledger(one: World, small_parts: int, operation: str) -> None:
    """The parts are not copied again, and no upload is left behind."""
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    with faults(Fault(operation, status=500, code="InternalServerError", times=99)):
        assert one.deliver(*one.take("large"), to="replicate_large").failed == []
    if operation == "PutItem":
        expire_lease(one)
    time.sleep(2)
    one.drain()

    assert one.row("key").status == "COMPLETED"
    assert one.open_uploads() == 0
    assert one.at_rest("key")


def test_sequencers_of_different_keys_are_never_compared(one: World) -> None:
    """E85: a key's first version arrives, however late its sequencer is among those of other keys."""
    low, high = one.put("low"), one.put("high")
    one.deliver(high)
    one.deliver(low)

    assert one.versions("low") == one.versions("high") == ["content"]
    assert one.take("dead-letter") == []


def test_a_source_that_is_replaced_while_its_parts_are_copied_is_copied_anew(
    one: World, small_parts: int
) -> None:
    """E88: every part is pinned to what was seen; no object is mixed of two."""
    one.deliver(one.put_parts("large", [bytes(small_parts), b"rest"]))
    with faults(Fault("UploadPartCopy", status=412, code="PreconditionFailed")):
        one.deliver(*one.take("large"), to="replicate_large")
    row = one.row("large")
    assert (row.status, one.versions("large")) == ("PENDING", [])
    sleep_until(row.due)
    one.sweep()
    one.drain()

    assert one.content("large") == one.content("large", SOURCE)
    assert one.open_uploads() == 0


def test_the_source_is_only_read(one: World) -> None:
    """K178, K179: whatever happens at either side, nothing is ever written there."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    one.deliver(second)
    one.deliver(first, one.tag(first, colour="red"), one.mark("key"))
    one.drain()
    one.s3.put_object(Bucket=ONE, Key="other", Body=b"written at the destination")
    one.settle("key")

    at_source = [
        call.operation
        for calls in one.calls.values()
        for call in calls
        if call.arguments.get("Bucket") == SOURCE
    ]
    assert at_source
    assert {
        operation for operation in at_source if not operation.startswith(("Get", "Head", "List"))
    } == set()
    assert one.versions("other", SOURCE) == []
