"""Faults at awkward moments: each of these once made a second replica, lost an upload, or wedged a key."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

import functions.retry.app
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import INLINE_ROWS, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, VersionRef
from tests.functional.faults import Fault, faults
from tests.functional.world import ONE, SOURCE, TABLE, Event, World

KEY = LedgerKey(ONE, "key")
SLOW: dict[str, Any] = {"status": 503, "code": "SlowDown"}
LEDGER_DOWN: dict[str, Any] = {"status": 500, "code": "InternalServerError"}


@pytest.fixture
def one(world: World) -> World:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    return world


def wait_and_sweep(one: World) -> None:
    time.sleep(1.1)
    one.sweep()
    one.drain()


def hold(one: World, name: str = "somebody") -> None:
    now = time.time()
    one.ledger.lease(KEY, f"{SOURCE}/key", "other", lease=Lease(name, now + 60), intent=None, now=now)


def let_go(one: World, name: str = "somebody") -> None:
    one.ledger.write(KEY, name, replace(one.ledger_head("key"), lease=None))


def leave_doubt(one: World) -> Event:
    """An intent nobody has resolved: the copy's answer was lost, and so was the list's."""
    second = one.put("key", b"second")
    with faults(Fault("CopyObject"), Fault("ListObjectVersions", times=4, **SLOW)):
        one.deliver(second)
    assert one.ledger_head("key").intent is not None
    return second


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied")])
def test_a_completed_version_stays_completed_whatever_fails_on_its_key(
    one: World, status: int, code: str
) -> None:
    first = one.put("key", b"first")
    one.deliver(first)
    leave_doubt(one)
    one.deliver(first)  # a duplicate
    with faults(Fault("ListObjectVersions", status=status, code=code, times=9)):
        one.drain()
    assert one.rows("key")[0].status == "COMPLETED"


def test_a_completed_version_is_not_published_again(one: World) -> None:
    first = one.put("key", b"first")
    one.deliver(first)
    one.purge(leave_doubt(one))
    one.deliver(first)
    with faults(Fault("ListObjectVersions", times=4, **SLOW)):
        one.drain()
    wait_and_sweep(one)
    assert one.versions("key") == ["first"]


def test_a_spilled_completed_row_is_final(one: World) -> None:
    events = [one.put("key", str(number).encode()) for number in range(4)]
    one.deliver(*events)
    with faults(Fault("GetItem", times=6, **LEDGER_DOWN)):
        one.deliver(events[0])
    wait_and_sweep(one)
    assert {row.status for row in one.rows("key")} == {"COMPLETED"}


def test_a_list_denied_after_an_upload_was_completed_leaves_no_lease(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    with faults(Fault("ListObjectVersions", status=403, code="AccessDenied", times=99)):
        assert one.deliver(*one.take("large"), to="replicate_large").failed == []
    assert one.ledger_head("key").lease is None


def test_a_list_that_fails_after_an_upload_was_completed_leaves_no_lease(
    one: World, small_parts: int
) -> None:
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    with faults(Fault("ListObjectVersions", times=4, **SLOW)):
        one.deliver(*one.take("large"), to="replicate_large")
    assert one.ledger_head("key").lease is None, "held for 20 minutes in AWS, for one LIST"


def test_a_list_denied_before_an_upload_is_completed_is_parked(one: World, small_parts: int) -> None:
    one.deliver(one.put("key", b"1"))
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    with faults(Fault("ListObjectVersions", status=403, code="AccessDenied", times=99)):
        assert one.deliver(*one.take("large"), to="replicate_large").failed == []
    assert one.parked()
    assert one.ledger_head("key").lease is None
    assert one.open_uploads() == 0


def test_parts_fail_while_the_key_is_held(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    [body] = one.take("large")
    hold(one)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        failed = one.deliver(body, to="replicate_large").failed
    let_go(one)
    if failed:
        one.deliver(body, to="replicate_large")
    one.drain()
    wait_and_sweep(one)
    assert one.row("key").status == "COMPLETED"
    assert one.open_uploads() == 0


def test_a_duplicate_event_forgets_the_upload_of_the_row(one: World, small_parts: int) -> None:
    event = one.put_parts("key", [bytes(small_parts), b"rest"])
    one.deliver(event)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        one.drain()
    assert one.row("key").upload
    one.deliver(event)
    one.drain()
    wait_and_sweep(one)
    assert one.row("key").status == "COMPLETED"
    assert one.open_uploads() == 0


def test_a_late_version_leaves_no_upload(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    one.deliver(*one.take("large"), to="replicate_large", seconds=60)
    [resumed] = one.take("large")
    with faults(Fault("CopyObject", effect=True)):
        one.deliver(one.put("key", b"newer"))  # leaves the key unsettled
    one.deliver(resumed, to="replicate_large")
    one.drain()
    assert [row.status for row in one.rows("key")] == ["COMPLETED", "COMPLETED"]
    assert one.open_uploads() == 0


def test_nothing_is_published_past_the_deadline(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event, passed = one.put("key"), {"seconds": 0.0}
    monkeypatch.setattr(SystemClock, "now", lambda _self: time.time() + passed["seconds"])

    def slow(_request: object) -> bool:
        passed["seconds"] = 25.0  # the read timeout
        return True

    with faults(Fault("CopyObject", when=slow)):
        delivery = one.deliver(event, seconds=30)
    assert delivery.recording.sent["CopyObject"] == 1


def test_every_publish_is_announced(one: World) -> None:
    first, second = one.put("key", b"1"), one.put("key", b"2")
    twin = json.loads(json.dumps(second))
    twin["Records"][0]["eventTime"] = "2030-01-01T00:00:00.000Z"
    announced = []

    def look(_request: object) -> bool:
        intent = one.ledger_head("key").intent
        announced.append(intent.version_id if intent else None)
        return False

    watch = Fault("CopyObject", when=look, happened=0)
    down = Fault("PutItem", times=6, **LEDGER_DOWN)
    with pytest.raises(AssertionError, match="nothing sent CopyObject"), faults(down, watch):
        one.deliver(first, second, twin)
    published = [event["Records"][0]["s3"]["object"]["versionId"] for event in (first, second)]
    assert announced in (published[:1], published)


def test_rows_that_have_spilled_leave_the_index_when_they_are_done(one: World) -> None:
    events = [one.put("key", str(number).encode()) for number in range(3)]
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=9)):
        one.deliver(*events)
    for body in one.take("parked"):
        one.deliver(body)
    one.drain()
    assert [row.status for row in one.rows("key")] == ["COMPLETED"] * 3
    assert one.ledger.count_open(ONE) == 0


def test_a_replica_closes_its_row(one: World) -> None:
    stamp = Stamp.of(VersionRef("peer", "key", "v"), "nonce", SOURCE, "key")
    event = one.put("key", Metadata=stamp.metadata())
    with faults(Fault("HeadObject", times=9, **SLOW)):
        one.deliver(event)
    wait_and_sweep(one)
    assert one.row("key").status != "PENDING"


@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchVersion"), (403, "AccessDenied")])
def test_a_key_is_settled_after_a_publish_in_doubt_that_ends_refused(
    one: World, status: int, code: str
) -> None:
    with faults(Fault("CopyObject", **SLOW), Fault("CopyObject", status=status, code=code)):
        one.deliver(one.put("key"))
    one.drain()
    wait_and_sweep(one)
    assert one.at_rest("key")


def test_a_strange_time_does_not_stop_the_sweep(one: World) -> None:
    event = one.put("key")
    event["Records"][0]["eventTime"] = "0001-01-01T00:00:00+23:00"
    with faults(Fault("HeadObject", times=99, **SLOW)):
        one.deliver(event, one.put("good"))
    time.sleep(1.1)
    one.sweep()


def test_the_sweep_does_not_postpone_a_newer_due_time(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with faults(Fault("HeadObject", times=9, **SLOW)):
        one.deliver(one.put("key"))
    time.sleep(1.1)

    class RetryIsQuick:
        def hand_over(self, body: object) -> None:
            with faults(Fault("HeadObject", times=9, **SLOW)):
                one.deliver(json.dumps(body), to="retry")

    monkeypatch.setattr(functions.retry.app.function().sweep, "_outbox", RetryIsQuick())
    one.sweep()
    head = {"pk": {"S": f"{ONE}#key"}, "sk": {"S": "HEAD"}}
    item = one.dynamodb.get_item(TableName=TABLE, Key=head)["Item"]
    assert float(item["due"]["N"]) <= (one.row("key").due or 0) + 1


def test_a_key_no_ledger_takes_is_parked(one: World) -> None:
    event = one.put("key")
    event["Records"][0]["s3"]["object"]["key"] = "k" * 2100
    assert one.deliver(event).failed == []


def test_what_an_operator_sends_round_again_begins_a_new_budget(one: World) -> None:
    with faults(Fault("CopyObject", effect=True)):
        one.deliver(one.put("key", b"a"))  # unsettled
    one.take("dead-letter")
    event = one.put("key", b"b")
    failed = Row(
        kind=Kind.OBJECT,
        status=Status.FAILED,
        order=OrderFacts(None, time.time()),
        attempts=3,
        reason="Throttled",
        first_failure=1.0,
        last_failure=2.0,
    )
    hold(one, "t")
    head = one.ledger_head("key")
    version_id = event["Records"][0]["s3"]["object"]["versionId"]
    one.ledger.write(KEY, "t", replace(head, lease=None, rows={**head.rows, version_id: failed}))
    one.deliver(event)  # retried by an operator
    with faults(Fault("CopyObject", times=9, **SLOW)):
        one.drain()
    assert one.rows("key")[-1].status == "PENDING"


def test_a_late_version_stays_below_a_marker(one: World) -> None:
    one.deliver(one.put("key", b"a"), one.put("key", b"b"))
    one.deliver(one.put("key", b"d"))
    late, mark = one.put("key", b"late"), one.mark("key")
    one.deliver(mark)
    one.deliver(late)
    one.drain()
    assert one.versions("key")[0] == "marker"


def test_an_outage_of_a_hot_key_leaves_a_small_head_and_heals(one: World) -> None:
    events = [one.put("key", str(number).encode()) for number in range(6)]
    with faults(Fault("HeadObject", times=99, **SLOW)):
        one.deliver(*events)
    assert len(one.ledger_head("key").rows) <= INLINE_ROWS
    assert {row.reason for row in one.rows("key")} == {"Throttled"}

    wait_and_sweep(one)

    assert one.content("key") == "5"
    assert {row.status for row in one.rows("key")} <= {"COMPLETED", "PENDING"}
    assert {row.reason for row in one.rows("key")} <= {None, "LateVersion"}
