from typing import Any

import pytest

from s3replicator.decisions.ledger import LedgerKey
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.scratch_attack_one import (
    DELETES, DENIED, MARKERS, SLOW, deliver, ledger_down, make_all_due, rounds,
)
from tests.functional.world import ONE, SOURCE, TABLE, Event, World


def items(world: World, key: str = "key") -> list[Any]:
    found = world.dynamodb.query(TableName=TABLE, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": f"{ONE}#{key}"}})["Items"]
    return [(i["sk"]["S"], "open" in i) for i in found]


def test_s74_spilled_copy(world: World) -> None:
    world.rules(MARKERS)
    events = [world.put("key", str(n).encode()) for n in range(3)]
    with faults(Fault("CopyObject", times=99, **SLOW)):
        world.deliver(*events)
        make_all_due(world)
        world.sweep()
        world.drain()
    print(items(world), [(r.status, r.due) for r in world.rows("key")])
    sent = rounds(world)
    print("rows", [(r.status, r.due) for r in world.rows("key")])
    print(items(world), sent)
    assert sent == 0
    assert world.ledger.count_open(ONE) == 0


def late_large_swept(world: World, small_parts: int) -> None:
    """A late large object whose next attempt has to be prepared."""
    world.rules(MARKERS)
    large = world.put_parts("key", [bytes(small_parts), b"rest"])
    newer = world.put("key", b"newer")
    deliver(world, newer)
    world.deliver(large)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        world.drain()
    make_all_due(world)
    world.sweep()


@pytest.mark.parametrize("how", ["denied", "noteligible"])
def test_s7_hot_loop(world: World, small_parts: int, how: str, monkeypatch: Any) -> None:
    late_large_swept(world, small_parts)
    with faults(Fault("UploadPartCopy", times=999, **DENIED)):
        try:
            world.drain()
        finally:
            print("parked", len(world.parked()), "uploads", world.open_uploads(), "large calls", len(world.calls["replicate_large"]))


def test_upload_leak_complete_denied(world: World, small_parts: int) -> None:
    late_large_swept(world, small_parts)
    with faults(Fault("CompleteMultipartUpload", times=999, **DENIED)):
        world.drain()
    print([(r.status, r.reason, r.due) for r in world.rows("key")], len(world.parked()))
    assert world.open_uploads() == 0


def test_upload_leak_zero_parts(world: World, small_parts: int) -> None:
    late_large_swept(world, small_parts)
    print(world.open_uploads())
    world.drain()
    print([(r.status, r.reason, r.due) for r in world.rows("key")], len(world.parked()))
    assert world.open_uploads() == 0


def newest_large_again(world: World, small_parts: int) -> None:
    """The newest is large, and has to be copied again above a late one."""
    world.rules(MARKERS)
    late = world.put("key", b"late")
    large = world.put_parts("key", [bytes(small_parts), b"rest"])
    deliver(world, large)
    world.deliver(late)
    world.deliver(*world.take("dead-letter"), to="retry")


def test_upload_leak_final_transient(world: World, small_parts: int) -> None:
    newest_large_again(world, small_parts)
    with faults(Fault("UploadPartCopy", times=8, **SLOW)):
        world.deliver(*world.take("large"), to="replicate_large")
    print([(r.status, r.reason, r.due, r.upload) for r in world.rows("key")], world.open_uploads())
    rounds(world)
    assert [v[-4:] for v in world.versions("key")] == ["rest", "late"]
    assert world.open_uploads() == 0


def test_upload_leak_final_terminal(world: World, small_parts: int) -> None:
    newest_large_again(world, small_parts)
    with faults(Fault("UploadPartCopy", times=8, **DENIED)):
        world.deliver(*world.take("large"), to="replicate_large")
    print([(r.status, r.reason, r.due, r.upload) for r in world.rows("key")], len(world.parked()))
    assert world.open_uploads() == 0


def test_many_prepares(world: World, small_parts: int) -> None:
    newest_large_again(world, small_parts)
    for n in range(3):
        world.deliver(world.put("key", f"more{n}".encode()))
        world.deliver(*world.take("dead-letter"), to="retry")
    large = world.take("large")
    print("prepares", len(large))
    before = len(world.calls["replicate_large"])
    world.deliver(large[0], to="replicate_large")
    world.drain()
    one_ = sum(c.operation == "UploadPartCopy" for c in world.calls["replicate_large"])
    for body in large[1:]:
        world.deliver(body, to="replicate_large")
        world.drain()
    print(one_, sum(c.operation == "UploadPartCopy" for c in world.calls["replicate_large"]))
    print(world.versions("key")[0][-5:], world.at_rest("key"), world.open_uploads())
    assert len(large) == 1


def test_prepare_pingpong(world: World, small_parts: int) -> None:
    """A prepare message for a version that is not final, on a settled key, where it is the newest."""
    world.rules(DELETES)
    late_large_swept(world, small_parts)
    world.rules(DELETES)
    import time; time.sleep(1.1)
    world.deliver(*world.take("dead-letter"), to="retry")
    prepare = world.take("large")
    print(len(prepare))
    # its twin fails
    with faults(Fault("UploadPartCopy", times=8, **SLOW)):
        world.deliver(*prepare, to="replicate_large")
    newer = world.ledger.history(LedgerKey(ONE, "key"))[0]
    # the newer one goes
    vid = next(v for v, r in newer.rows.items() if r.live)
    world.s3.delete_object(Bucket=SOURCE, Key="key", VersionId=vid)
    deliver(world, world.event("ObjectRemoved:Delete", "key", vid))
    print([(r.status, r.reason, r.due) for r in world.rows("key")], world.at_rest("key"))
    world.deliver(*prepare, to="replicate_large")
    world.drain()
    print([(r.status, r.reason, r.due) for r in world.rows("key")], world.at_rest("key"))


def test_s74b(world: World) -> None:
    world.rules(MARKERS)
    import time
    events = [world.put("key", b"0")]
    world.purge(events[0])
    time.sleep(1.1)
    events += [world.put("key", b"1"), world.put("key", b"2")]
    with faults(Fault("CopyObject", times=99, **SLOW)):
        world.deliver(*events)
        make_all_due(world)
        world.sweep()
        world.drain()
    print(items(world), [(r.status, r.due) for r in world.rows("key")])
    print(world.at_rest("key"))
    sent = rounds(world)
    print("rows", [(r.status, r.due) for r in world.rows("key")])
    print(items(world), sent)
    assert sent == 0
    assert world.ledger.count_open(ONE) == 0
