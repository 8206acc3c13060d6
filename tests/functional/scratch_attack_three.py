import json
import time
from collections import Counter
from typing import Any

import pytest

from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import LedgerKey
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.scratch_attack_one import (
    DELETES, DENIED, MARKERS, SLOW, deliver, ledger_down, make_all_due, rounds,
)
from tests.functional.scratch_attack_two import late_large_swept, newest_large_again, items
from tests.functional.world import ONE, SOURCE, TABLE, Event, World
import s3replicator.telemetry as telemetry


@pytest.fixture
def told(monkeypatch: Any) -> list[Any]:
    seen: list[Any] = []
    original = telemetry.report

    def report(outcomes: Any, source: str) -> None:
        outcomes = list(outcomes)
        seen.extend(outcomes)
        original(outcomes, source)
    monkeypatch.setattr(telemetry, "report", report)
    return seen


def test_replicated_twice_tag(world: World, told: Any) -> None:
    """Late version created and tagged, in one batch of the second function."""
    world.rules(MARKERS)
    first, second = world.put("key", b"1"), world.put("key", b"2")
    deliver(world, second)
    told.clear()
    world.deliver(first, world.tag(first, a="b"))
    bodies = world.take("dead-letter")
    assert len(bodies) == 2
    world.deliver(*bodies, to="retry")
    print([(o.result, o.version_id) for o in told])
    assert Counter(o.result for o in told)["Replicated"] == 1


def test_replicated_twice_sweep(world: World, told: Any) -> None:
    world.rules(MARKERS)
    first, second = world.put("key", b"1"), world.put("key", b"2")
    deliver(world, second)
    told.clear()
    world.deliver(first)
    make_all_due(world)
    world.sweep()
    bodies = world.take("dead-letter")
    print(len(bodies))
    world.deliver(*bodies, to="retry")
    print([(o.result, o.version_id) for o in told])
    assert Counter(o.result for o in told)["Replicated"] == 1


def test_replicated_again_on_replay(world: World, told: Any) -> None:
    """A duplicate of the newest, while a late one is replayed under it."""
    world.rules(MARKERS)
    first, second = world.put("key", b"1"), world.put("key", b"2")
    deliver(world, second)
    world.deliver(first)
    world.deliver(second, *world.take("dead-letter"), to="retry")
    print([(o.result, o.version_id, o.lag) for o in told])
    assert Counter(o.result for o in told)["Replicated"] == 2


def test_outbox_down_for_large(world: World, small_parts: int, told: Any) -> None:
    """endings: what cannot be sent makes the original message come again."""
    world.rules(MARKERS)
    late = world.put("key", b"late")
    large = world.put_parts("key", [bytes(small_parts), b"rest"])
    deliver(world, large)
    world.deliver(late)
    bodies = world.take("dead-letter")
    told.clear()
    with faults(Fault("SendMessage", times=99, status=500, code="InternalError")):
        d = world.deliver(*bodies, to="retry")
    print(d.failed, [(o.result, o.version_id, o.reason) for o in told])
    assert d.failed == [0]


def test_outbox_down_for_parking_of_another(world: World, told: Any) -> None:
    world.rules(DELETES)
    late, newer = world.put("key", b"late"), world.put("key", b"newer")
    deliver(world, newer)
    world.deliver(late)
    bodies = world.take("dead-letter")
    told.clear()
    denial = Fault("DeleteObject", times=9, **DENIED)
    with faults(denial, Fault("SendMessage", times=99, status=500, code="InternalError")):
        d = world.deliver(*bodies, to="retry")
    print(d.failed, [(o.result, o.version_id, o.reason) for o in told])
    print(world.parked(), [(r.status, r.reason, r.due, r.left) for r in world.rows("key")])
    assert d.failed == [0]


def test_live_recopy_denied_parks_for_ever(world: World, told: Any) -> None:
    world.rules(MARKERS)
    late, newer = world.put("key", b"late"), world.put("key", b"newer")
    deliver(world, newer)
    world.deliver(late)
    vid = world.version_of(newer)
    with faults(Fault("CopyObject", times=999, when=lambda r: vid in str(r.headers), **DENIED)):
        world.drain()
        deliver(world, world.put("key", b"newest"))
        n = []
        for _ in range(5):
            rounds(world, 1)
            n.append(len(world.take("parked")))
    print(n, [(r.status, r.reason, r.due) for r in world.rows("key")], world.versions("key"))
    rounds(world)
    print(world.versions("key"))
    assert sum(n) <= 3


def test_spilled_large_under_way(world: World, small_parts: int) -> None:
    world.rules(MARKERS)
    deliver(world, world.put("key", b"1"), world.put("key", b"2"), world.put("key", b"3"))
    large = world.put_parts("key", [bytes(small_parts), b"rest"])
    world.deliver(large)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        world.drain()
    make_all_due(world)
    world.sweep()
    world.deliver(*world.take("dead-letter"), to="retry")
    [row] = [r for r in world.rows("key") if r.status == "PENDING"]
    print(row.due, time.time(), items(world))
    assert row.due is not None and row.due > time.time() + 1000


def test_tombstone_with_replica(world: World, monkeypatch: Any) -> None:
    import s3replicator.usecases.leased_key as lk
    world.rules(MARKERS)
    put = world.put("key")
    monkeypatch.setattr(lk, "is_proven", lambda *_: False)
    monkeypatch.setattr(lk, "is_disproven", lambda *_: True)
    world.deliver(put)
    assert world.row("key").status == "FAILED"
    body = world.take("parked")
    world.purge(put)
    world.deliver(*body)
    world.drain()
    row = world.row("key")
    print(row)
    assert not (row.status == "TOMBSTONE" and row.live)


def test_lock_off(world: World) -> None:
    """Destination without Object Lock, source hold switched off."""
    world.rules(MARKERS)
    # a bucket without lock
    put = world.put("key", ObjectLockLegalHoldStatus="OFF")
    deliver(world, put)
    from moto.s3.models import s3_backends
    from moto.core import DEFAULT_ACCOUNT_ID
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[ONE].object_lock_enabled = False
    print(world.settle("key"))
    print(world.settle("key"))


def test_halted_null(world: World, told: Any) -> None:
    world.rules({**MARKERS, "Extensions": {"VersionDeletes": {"Status": "Enabled", "MaxPerHour": 1}}})


def test_conflict_by_hand(world: World) -> None:
    world.rules(MARKERS)
    print(world.settle("nokey"))
    print(world.ledger.history(LedgerKey(ONE, "nokey")))
    print(world.settle("nokey", destinations=["typo"]))


@pytest.mark.parametrize("count", [3, 40])
def test_spilled(world: World, count: int) -> None:
    world.rules(DELETES)
    events = [world.put("key", str(n).encode()) for n in range(count)]
    late = events[1]
    for e in events[:1] + events[2:]:
        world.deliver(e)
    world.drain()
    world.deliver(late)
    bodies = world.take("dead-letter")
    d = world.deliver(*bodies, to="retry")
    print(count, dict(d.recording.sent), world.versions("key")[:3], world.at_rest("key"))
    world.deliver(world.purge(events[0]), world.purge(events[-1]), world.purge(events[2]))
    bodies = world.take("dead-letter")
    d = world.deliver(*bodies, to="retry")
    print(dict(d.recording.sent), world.versions("key")[:3], len(world.versions("key")), world.at_rest("key"))
    assert len(world.versions("key")) == count - 3
    new = world.put("key", b"new")
    print(dict(world.deliver(new).recording.sent))
    assert world.content("key") == "new"
