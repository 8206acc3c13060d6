"""Scratch: suspicions."""

import json
import time
from typing import Any

import pytest

from s3replicator.decisions.ledger import LedgerKey
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.world import ONE, SOURCE, TABLE, Event, World

MARKERS = {"DeleteMarkerReplication": {"Status": "Enabled"}}
DELETES = {**MARKERS, "Extensions": {"VersionDeletes": {"Status": "Enabled"}}}
SLOW: dict[str, Any] = {"status": 503, "code": "SlowDown"}
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}


@pytest.fixture
def one(world: World) -> World:
    world.rules(DELETES)
    return world


def deliver(world: World, *events: Event) -> None:
    for event in events:
        assert world.deliver(event).failed == []
        world.drain()


def rounds(world: World, times: int = 6) -> int:
    """Time passes: sweep whatever is due. Returns how many messages went round in the last round."""
    sent = 0
    for _ in range(times):
        make_all_due(world)
        world.sweep()
        bodies = world.take("dead-letter")
        sent = len(bodies)
        if bodies:
            world.deliver(*bodies, to="retry")
        world.drain()
    return sent


def make_all_due(world: World) -> None:
    """Let every open item with a due time be due now."""
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        if "due" not in item or float(item["due"]["N"]) > 30000000000:
            continue
        past = {"N": "1"}
        item["due"] = past
        for row in [item.get("row"), *(item.get("rows", {"M": {}})["M"].values())]:
            if row and "due" in row["M"]:
                row["M"]["due"] = past
        world.dynamodb.put_item(TableName=TABLE, Item=item)


def ledger_down(op: str, times: int = 99) -> Fault:
    return Fault(op, status=500, code="InternalServerError", times=times)


# S1
def test_s1_removed_and_list_fails(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    gone = one.purge(first)
    one.deliver(gone)
    with faults(Fault("ListObjectVersions", times=4, **SLOW)):
        d = one.deliver(*one.take("dead-letter"), to="retry")
    print("failed", d.failed, one.rows("key")[0])
    sent = rounds(one)
    print("still sent", sent, one.ledger.count_open(ONE))
    assert one.versions("key") == ["second"]


def test_s1b_null(one: World) -> None:
    one.s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Suspended"})
    null = one.put("key", b"null")
    deliver(one, null)
    gone = one.purge(null)
    one.deliver(gone)
    with faults(Fault("ListObjectVersions", times=4, **SLOW)):
        one.deliver(*one.take("dead-letter"), to="retry")
    _, rows = one.ledger.history(LedgerKey(ONE, "key"))
    print(rows)
    sent = rounds(one)
    print("still sent", sent, one.ledger.count_open(ONE))
    assert one.versions("key") == []
    assert sent == 0


# S104
def test_s104_tag_change_lost(world: World) -> None:
    world.rules(MARKERS)
    first = world.put("key", b"first")
    deliver(world, first)
    with faults(Fault("CopyObject", effect=True), Fault("ListObjectVersions", times=4, **SLOW)):
        world.deliver(world.put("key", b"second"))  # in doubt
    tagged = world.tag(first, colour="blue")
    world.deliver(tagged)
    with faults(Fault("ListObjectVersions", times=4, **SLOW)):
        d = world.deliver(*world.take("dead-letter"), to="retry")
    print(d.failed)
    rounds(world)
    assert world.at_rest("key")
    assert world.tags("key", world.rows("key")[0].replica or "") == {"colour": "blue"}


def test_s104b_tag_change_terminal(world: World) -> None:
    world.rules(MARKERS)
    first = world.put("key", b"first")
    deliver(world, first)
    tagged = world.tag(first, colour="blue")
    with faults(Fault("HeadObject", times=9, **DENIED), Fault("GetObject", times=9, when=to_bucket(SOURCE), **DENIED)):
        d = world.deliver(tagged)
    assert d.failed or world.parked()


# S7/S61
@pytest.mark.parametrize("status", [DENIED])
def test_s7_hot_loop(world: World, small_parts: int, status: Any) -> None:
    world.rules(MARKERS)
    large = world.put_parts("key", [bytes(small_parts), b"rest"])
    deliver(world, world.put("key", b"newer"))
    world.deliver(large)
    with faults(Fault("UploadPartCopy", times=999, **status)):
        try:
            world.drain()
        finally:
            print("parked", len(world.parked()), "calls", len(world.calls["replicate_large"]))


# S17/S74
def test_s74_spilled_copy(world: World) -> None:
    world.rules(MARKERS)
    for n in range(4):
        deliver(world, world.put("key", str(n).encode()))
    event = world.put("key", b"new")
    with faults(Fault("CopyObject", times=9, **SLOW)):
        world.deliver(event)
        make_all_due(world)
        world.sweep()
        world.drain()
    items = world.dynamodb.query(TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": f"{ONE}#key"}})["Items"]
    print([(i["sk"]["S"], "open" in i) for i in items])
    sent = rounds(world)
    print("rows", [(r.status, r.due) for r in world.rows("key")])
    items = world.dynamodb.query(TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": f"{ONE}#key"}})["Items"]
    print([(i["sk"]["S"], "open" in i) for i in items])
    assert sent == 0
    assert world.ledger.count_open(ONE) == 0


# S41
def test_s41_wrong_bucket(world: World) -> None:
    world.rules(MARKERS)
    print(world.settle("key", bucket="typo-bucket"))
    deliver(world, world.put("key"))
    assert world.versions("key") == ["content"], world.parked()


# S10
def test_s10_by_hand_large_and_small(world: World, small_parts: int) -> None:
    world.rules(MARKERS)
    world.put_parts("key", [bytes(small_parts), b"rest"])
    world.put("key", b"1")
    world.put("key", b"2")
    print(world.settle("key"))
    world.drain()
    rounds(world)
    print([(r.status, r.reason, r.due) for r in world.rows("key")])
    assert [v[-4:] for v in world.versions("key")] == ["2", "1", "rest"]


def test_s192_by_hand_in_doubt(world: World) -> None:
    world.rules(MARKERS)
    world.put("key", b"1")
    # fail only lists after the copy
    copied = {"done": False}

    def copy(_r: Any) -> bool:
        copied["done"] = True
        return True

    with faults(
        Fault("CopyObject", effect=True, when=copy),
        Fault("ListObjectVersions", times=8, when=lambda r: copied["done"], **SLOW),
    ):
        print(world.settle("key"))
    rounds(world)
    assert world.at_rest("key")


# S41 lost
def test_restore_lost_fails(world: World) -> None:
    world.rules(MARKERS)
    deliver(world, world.put("key", b"1"))
    world.s3.delete_object(Bucket=ONE, Key="key", VersionId=world.row("key").replica)
    world.settle("key")
    assert world.row("key").lost
    with faults(Fault("CopyObject", **DENIED)):
        print(world.settle("key", restoreLost=True))
    print(world.row("key"))
    assert world.row("key").status == "COMPLETED"
