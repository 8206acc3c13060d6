"""Random sequences against the real handlers, with faults, crashes and an operator who retries what is parked."""

import json
import os
import random
import time
from typing import Any

import pytest

from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import LedgerKey
from tests.functional import faults as F
from tests.functional.faults import Fault
from tests.functional.conftest import count_small_objects_as_large
from tests.functional.scratch_attack_one import DELETES, DENIED, MARKERS, SLOW, make_all_due
from tests.functional.world import ONE, SOURCE, TABLE, World

import moto.s3.responses as R


S3OPS = ["CopyObject", "DeleteObject", "ListObjectVersions", "HeadObject", "CompleteMultipartUpload", "UploadPartCopy",
         "CreateMultipartUpload", "GetObjectTagging", "PutObjectTagging", "ListParts", "AbortMultipartUpload"]
OTHER = ["PutItem", "UpdateItem", "GetItem", "Query", "SendMessage"]
START, COUNT = int(os.environ.get("FUZZ_START", "0")), int(os.environ.get("FUZZ_COUNT", "20"))
ONLY_RETRYABLE = os.environ.get("FUZZ_403") != "1"


def some_fault(rng: random.Random) -> Fault:
    op = rng.choice(S3OPS + OTHER)
    times = rng.choice([1, 1, 2, 4, 8])
    if op in OTHER:
        return Fault(op, effect=rng.random() < 0.5, status=500, code="InternalServerError", times=times)
    kind = rng.random()
    if kind < 0.4:
        return Fault(op, effect=rng.random() < 0.6, times=times)
    if kind < 0.8 or ONLY_RETRYABLE:
        return Fault(op, effect=rng.random() < 0.3, times=times, **SLOW)
    return Fault(op, times=times, **DENIED)


class Run:
    def __init__(self, world: World, rng: random.Random) -> None:
        self.world, self.rng = world, rng
        self.log: list[str] = []
        self.pool: dict[str, list[Any]] = {"replicate": [], "replicate_large": [], "retry": []}
        self.rule = rng.choice([MARKERS, DELETES, DELETES, {**MARKERS, "Extensions": {"LateVersions": "Skip"}},
                                {**DELETES, "Extensions": {**DELETES["Extensions"], "LateVersions": "Skip"}}])
        world.rules(self.rule)
        self.events: list[Any] = []
        self.purged = 0
        self.steps = 0

    def source_op(self) -> None:
        rng, world = self.rng, self.world
        creates = [e for e in self.events if e["Records"][0]["eventName"] != "x"]
        what = rng.choices(["put", "large", "mark", "purge", "tag"], [5, 1.5, 1.5, 2, 1.5])[0]
        if what == "put" or not creates:
            event = world.put("key", f"content{len(self.events)}".encode()); self.events.append(event)
        elif what == "large":
            event = world.put_parts("key", [bytes(5 * 1024**2), f"rest{len(self.events)}".encode()]); self.events.append(event)
        elif what == "mark":
            event = world.mark("key"); self.events.append(event)
        elif what == "purge":
            victim = rng.choice(creates)
            event = world.purge(victim); self.events.remove(victim); self.purged += 1
        else:
            objects = [e for e in creates if "ObjectCreated" in e["Records"][0]["eventName"]]
            if not objects:
                return
            event = world.tag(rng.choice(objects), colour=str(rng.random()))
            what = "tag"
        self.log.append(f"{what} {world.version_of(event)[:6]}")
        self.pool["replicate"].append(json.dumps(event))

    def fetch(self) -> None:
        self.pool["replicate_large"] += self.world.take("large")
        self.pool["retry"] += self.world.take("dead-letter")

    def step(self, faulty: bool) -> bool:
        """One batch to one function; False if there is nothing."""
        self.fetch()
        full = [name for name, bodies in self.pool.items() if bodies]
        if not full:
            return False
        name = self.rng.choice(full)
        bodies = self.pool[name]
        self.rng.shuffle(bodies)
        size = 1 if name == "replicate_large" else self.rng.choice([1, 1, 2, 5])
        batch = [bodies.pop() for _ in range(min(size, len(bodies)))]
        if faulty and self.rng.random() < 0.15:
            bodies.append(batch[0])  # delivered twice
        F._faults.clear()
        if faulty:
            F._faults.extend(some_fault(self.rng) for _ in range(self.rng.choice([0, 0, 1, 1, 2])))
        told = [f"{f.operation}{'+' if f.effect else ''}:{f.status}x{f.times}" for f in F._faults]
        seconds = None
        if faulty and self.rng.random() < 0.1:
            seconds = self.rng.choice([5, 30, 65, 200])
        result = self.world.deliver(*batch, to=name, seconds=seconds)
        F._faults.clear()
        bodies += [batch[n] for n in result.failed]
        brief = [(json.loads(b)["Records"][0]["eventName"][-8:], json.loads(b)["Records"][0]["s3"]["object"]["versionId"][:6],
                  json.loads(b)["Records"][0].get("s3replicator", {}).get("prepare", "")) for b in batch]
        self.log.append(f"{name} {brief} {told} {seconds or ''} failed={result.failed}")
        self.steps += 1
        return True

    def expire(self) -> None:
        for item in self.world.dynamodb.scan(TableName=TABLE)["Items"]:
            if "lease" in item:
                item["lease"]["M"]["expires"] = {"N": "1"}
                self.world.dynamodb.put_item(TableName=TABLE, Item=item)

    def chaos(self) -> None:
        for _ in range(self.rng.randint(2, 7)):
            self.source_op()
            while self.rng.random() < 0.6 and self.step(faulty=True):
                pass
            if self.rng.random() < 0.3:
                self.expire()
            if self.rng.random() < 0.2:
                make_all_due(self.world)
                self.world.sweep()
                self.log.append("sweep")
        for _ in range(self.rng.randint(0, 12)):
            self.step(faulty=True)
            if self.rng.random() < 0.3:
                self.expire()

    def calm(self) -> None:
        for round_ in range(40):
            self.expire()
            moved = False
            for _ in range(60):
                if not self.step(faulty=False):
                    break
                moved = True
            else:
                raise AssertionError("does not run dry")
            parked = self.world.take("parked")
            self.parked = len(parked)
            if parked:
                self.log.append(f"operator retries {len(parked)}")
            self.pool["replicate"] += parked
            make_all_due(self.world)
            self.world.sweep()
            self.fetch()
            if not parked and not any(self.pool.values()):
                if not moved or round_ > 2:
                    return
        raise AssertionError("never quiet")

    def check(self) -> None:
        world = self.world
        head, rows = world.ledger.history(LedgerKey(ONE, "key"))
        def listing(bucket: str) -> list[Any]:
            from s3replicator.adapters.s3_listing import keep_order, versions_of
            keep_order(world.s3)
            return list(versions_of(world.s3, bucket, "key"))
        source, dest = listing(SOURCE), listing(ONE)
        if head is None:
            assert not source or not dest
            assert not source, "never replicated"
            return
        assert head.lease is None and head.clean, "not at rest"
        for vid, row in rows.items():
            assert row.final, f"{vid[:6]} {row.status} {row.reason}"
            assert row.due is None, f"{vid[:6]} due"
            assert not row.left, f"{vid[:6]} left"
        here = {v.version_id for v in dest}
        known = [i for row in rows.values() for i in row.ids()]
        assert len(known) == len(set(known)), "one id twice"
        assert here <= set(known), f"orphans {here - set(known)}"
        place = {v.version_id: n for n, v in enumerate(dest)}
        last = -1
        for v in source:
            row = rows.get(v.version_id)
            assert row is not None, f"no row for {v.version_id[:6]}"
            if row.status == "SUPERSEDED":
                continue
            assert row.status == "COMPLETED", f"{v.version_id[:6]} {row.status}"
            assert row.replica in place, f"{v.version_id[:6]} replica missing"
            assert place[row.replica] > last, "order"
            last = place[row.replica]
            if v.kind == "object":
                want = world.tags("key", v.version_id, SOURCE)
                have = world.tags("key", row.replica)
                assert want == have, f"tags of {v.version_id[:6]}: {want} {have}"
        listed = {v.version_id for v in source}
        if "VersionDeletes" in str(self.rule):
            for vid, row in rows.items():
                if vid not in listed:
                    assert row.replica is None, f"{vid[:6]} still has a replica"
            if source and dest:
                newest = rows[source[0].version_id]
                assert newest.replica == dest[0].version_id, "current"
        assert world.ledger.count_open(ONE) == 0, "open work"
        assert world.open_uploads() == 0, "uploads"


@pytest.mark.parametrize("seed", range(START, START + COUNT))
def test_fuzz(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
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
    run = Run(world, random.Random(seed))
    try:
        run.chaos()
        run.calm()
        run.check()
    except BaseException as error:
        _, rows = world.ledger.history(LedgerKey(ONE, "key"))
        print(f"\nSEED {seed} {type(error).__name__} {str(error)[:200]} rule={run.rule.get('Extensions')}")
        if os.environ.get("FUZZ_LOG"):
            print("\n".join(run.log[-150:]))
            for vid, row in rows.items():
                print(vid[:6], row)
        raise
    finally:
        F._faults.clear()
