"""Versions that an earlier release called gone after one wrong answer, and that the source lists: jobs and
operators bring them, and reports say what is so."""

from dataclasses import replace
from typing import Any

import pytest

from s3replicator.decisions.ledger import Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind
from s3replicator.ports import Granted
from tests.functional import jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.test_backfill import give_manifest
from tests.functional.world import ONE, SOURCE, Event, World


@pytest.fixture
def one(world: World) -> World:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    return world


def called_gone(world: World, key: str = "key") -> Event:
    """A version that is there, and whose row is a tombstone."""
    event = world.put(key)
    ledger_key, lease = LedgerKey(ONE, key), Lease("former release", 1.0)
    granted = world.ledger.lease(ledger_key, f"{SOURCE}/{key}", None, lease=lease, intent=None, now=0.0)
    assert isinstance(granted, Granted)
    row = Row(Kind.OBJECT, Status.TOMBSTONE, OrderFacts(None, 1.0), rule="rule-1")
    head = granted.head.with_row(world.version_of(event), row)
    world.ledger.write(ledger_key, lease.token, replace(head, lease=None))
    return event


def statuses(done: jobs.Run) -> list[tuple[str, str]]:
    return sorted((task["key"], task["status"]) for task in done.tasks)


def test_its_event_alone_does_not_bring_it(one: World) -> None:
    one.deliver(called_gone(one))
    assert one.versions("key") == []


def test_an_operator_brings_it(one: World) -> None:
    called_gone(one)
    one.settle("key")
    assert one.versions("key") == ["content"]
    assert one.row("key").status == "COMPLETED"


def test_a_backfill_brings_it(one: World) -> None:
    called_gone(one)
    done = jobs.run(one)
    assert one.versions("key") == ["content"]
    assert statuses(done) == [("key", "SUCCEEDED")]
    assert one.at_rest("key")


def test_a_backfill_of_others_leaves_it(one: World) -> None:
    called_gone(one, "a")
    one.put("b")
    jobs.run(one, Prefix="b")
    assert one.versions("a") == []


def test_a_list_of_keys_brings_it(one: World) -> None:
    called_gone(one)
    give_manifest(one, "job", **{"00000.csv": f"{SOURCE},key\n".encode()})
    done = jobs.run(one, ManifestColumns=["Bucket", "Key"])
    assert one.versions("key") == ["content"]
    assert statuses(done) == [("key", "SUCCEEDED")]


def test_a_reconcile_finds_it_and_brings_it(one: World) -> None:
    called_gone(one)
    seen = jobs.run(one, "dry", Kind="reconcile", DryRun=True)
    assert [(task["key"], task["finding"]) for task in seen.tasks] == [("key", "Missing")]
    done = jobs.run(one, Kind="reconcile")
    assert one.versions("key") == ["content"]
    assert statuses(done) == [("key", "SUCCEEDED")]
    assert jobs.run(one, "again", Kind="reconcile").tasks == []


def test_the_report_does_not_call_done_what_is_not(one: World) -> None:
    """The source goes on answering that it is not there."""
    called_gone(one)
    gone: dict[str, Any] = {"status": 404, "code": "NoSuchVersion", "times": 1000, "when": to_bucket(SOURCE)}
    with faults(Fault("HeadObject", **gone), Fault("GetObject", **gone)):
        done = jobs.run(one)
    assert one.versions("key") == []
    assert done.summary["statuses"]["SUCCEEDED"] == 0
    assert one.row("key").status == "PENDING"


def test_what_others_removed_is_not_called_replicated(one: World) -> None:
    """By a backfill of a list that names it."""
    one.deliver(one.put("key"))
    replica = one.row("key").replica
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=replica)
    one.settle("key")
    give_manifest(one, "job", **{"00000.csv": f"{SOURCE},key\n".encode()})
    done = jobs.run(one, ManifestColumns=["Bucket", "Key"])
    assert [(task["status"], task["reason"]) for task in done.tasks] == [("SKIPPED", "ReplicaLost")]
