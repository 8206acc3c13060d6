"""The nth call of the slow path fails, in every way; then time passes and the operator retries."""

import json
import os
import random
import time
from typing import Any

import moto.s3.responses as R
import pytest

from s3replicator.adapters.runtime import SystemClock
from tests.functional import faults as F
from tests.functional.conftest import count_small_objects_as_large
from tests.functional.faults import Fault
from tests.functional.scratch_attack_fuzz import Run
from tests.functional.scratch_attack_one import DELETES, DENIED, MARKERS, SLOW, deliver, make_all_due
from tests.functional.world import ONE, SOURCE, TABLE, World

KINDS: dict[str, dict[str, Any]] = {
    "slow": {"status": 503, "code": "SlowDown", "times": 5},
    "lost": {"effect": True, "times": 5},
    "denied": {"status": 403, "code": "AccessDenied"},
    "lease": {"status": 400, "code": "ConditionalCheckFailedException"},
}


class Nth(Fault):
    pass


def make(kind: str, n: int) -> Any:
    seen = {"n": 0}
    spec = KINDS[kind]

    class AnyOp(str):
        def __eq__(self, other: object) -> bool:
            self.last = other
            return True
        __hash__ = str.__hash__

    op = AnyOp("any")
    armed: dict[str, Any] = {}

    def when(request: Any) -> bool:
        if armed:
            return bool(armed["op"] == op.last)  # SDK's own retries of the same operation
        if seen["n"] == n:
            if op.last in ("PutItem", "UpdateItem") or kind != "lease":
                armed["op"] = op.last
                return True
        seen["n"] += 1
        return False

    fault = Fault(op, when=when, **spec)
    return fault, armed


def late(world: World) -> list[str]:
    events = [world.put("key", str(n).encode()) for n in range(4)]
    world.deliver(events[0]), world.deliver(events[2]), world.deliver(events[3])
    world.deliver(events[1], world.tag(events[2], a="b"), world.purge(events[0]))
    return world.take("dead-letter")


def doubt(world: World) -> list[str]:
    first, second = world.put("key", b"1"), world.put("key", b"2")
    mark = world.mark("key")
    world.deliver(first)
    F._faults.extend([Fault("DeleteObject", effect=True), Fault("ListObjectVersions", times=4, **SLOW)])
    world.deliver(mark)
    F._faults.clear()
    world.deliver(second)
    make_all_due(world)
    world.sweep()
    return world.take("dead-letter")


def large(world: World) -> list[str]:
    a = world.put_parts("key", [bytes(5 * 1024**2), b"rest"])
    b = world.put("key", b"newer")
    world.deliver(b)
    world.deliver(a)
    world.deliver(*world.take("large"), to="replicate_large")
    return world.take("dead-letter")


@pytest.mark.parametrize("scenario", [late, doubt, large], ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("n", range(int(os.environ.get("N0", "0")), int(os.environ.get("N1", "26"))))
def test_nth(world: World, n: int, kind: str, scenario: Any, monkeypatch: Any) -> None:
    count_small_objects_as_large(monkeypatch)
    monkeypatch.setattr(time, "sleep", lambda _s: None)
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, _s: None)
    original = R.S3Response._tagging_from_xml
    def tagging(self: Any, *a: Any, **k: Any) -> Any:
        try:
            return original(self, *a, **k)
        except TypeError:
            return {}
    monkeypatch.setattr(R.S3Response, "_tagging_from_xml", tagging)
    world.settings(RETRY_BASE_SECONDS="0.01", RETRY_MAXIMUM_SECONDS="0.02")
    run = Run(world, random.Random(1))
    run.rule = DELETES
    world.rules(DELETES)
    bodies = scenario(world)
    fault, armed = make(kind, n)
    F._faults.append(fault)
    d = world.deliver(*bodies, to="retry")
    F._faults.clear()
    if not armed:
        pytest.skip("no such call")
    parked = [json.loads(b)["Records"][0] for b in world.take("parked")]
    run.pool["retry"] += [bodies[i] for i in d.failed]
    run.pool["replicate"] += [json.dumps({"Records": [p]}) for p in parked]
    try:
        run.calm()
        run.check()
    except BaseException as error:
        if os.environ.get("FUZZ_LOG"): print("\n".join(run.log[-12:])); print(world.ledger.history(__import__("s3replicator.decisions.ledger",fromlist=["x"]).LedgerKey(ONE,"key")))
        print(f"\nN {n} {kind} {scenario.__name__} at {armed['op']} failed={d.failed} parked={len(parked)}: {type(error).__name__} {str(error)[:150]}")
        raise
    finally:
        F._faults.clear()
