"""A place that is another key's: what is kept out of it is seen, and comes in when the place is free."""

import json
from typing import Any

import pytest

from s3replicator.adapters.ledger_items import read_due
from s3replicator.decisions.ledger import NEVER, Head, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, VersionRef
from tests.functional import jobs
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import ONE, SOURCE, TABLE, TWO, Event, World

PLACE = LedgerKey(ONE, "eu/x")
OWNER = f"{SOURCE}/in/x"


def to_eu(prefix: str) -> dict[str, Any]:
    """What is below the prefix comes below eu/."""
    return {
        "Filter": {"Prefix": prefix},
        "Extensions": {
            "KeyTransform": {"StripPrefix": prefix, "AddPrefix": "eu/"},
            "VersionDeletes": {"Status": "Enabled"},
        },
    }


def use(world: World, *rules: dict[str, Any]) -> None:
    world.rules(*rules)
    world.settings()  # what the functions have cached is too old


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", lambda *_: None)
    deploy(world)
    return Tool(capsys)


@pytest.fixture
def first(world: World) -> Event:
    """in/x has been replicated to eu/x, where by now other/x belongs."""
    use(world, to_eu("in/"))
    event = world.put("in/x", b"of in")
    world.deliver(event)
    use(world, to_eu("other/"))
    return event


def free(world: World, event: Event) -> None:
    use(world, to_eu("in/"))
    world.deliver(world.purge(event))
    world.drain()
    use(world, to_eu("other/"))


def test_an_operator_sees_what_is_kept_out_and_by_what(world: World, first: Event, s3rctl: Tool) -> None:
    world.deliver(world.put("other/x", b"of other"))
    [version] = s3rctl("failed", "list", "--json").json["versions"]
    assert (version["key"], version["status"], version["reason"], version["due"]) == (
        "eu/x",
        "FAILED",
        "DestinationKeyConflict",
        None,
    )
    assert OWNER in version["detail"]
    assert f"{SOURCE}/other/x" in version["detail"]
    assert OWNER in s3rctl("failed", "list").out
    [group] = s3rctl("failed", "count", "--json").json["groups"]
    assert (group["reason"], group["count"]) == ("DestinationKeyConflict", 1)
    [version] = s3rctl("status", f"s3://{SOURCE}/other/x", "--json").json["versions"]
    at = {each["destination"]: each for each in version["destinations"]}[ONE]
    assert (at["status"], at["reason"], at["attempts"]) == ("FAILED", "DestinationKeyConflict", 1)
    assert OWNER in at["detail"]


def test_explaining_a_key_says_whose_its_place_is(world: World, first: Event, s3rctl: Tool) -> None:
    world.put("other/x", b"of other")
    told = s3rctl("config", "explain", f"s3://{SOURCE}/other/x", "--json")
    at = {each["destination"]: each for each in told.json["destinations"]}[ONE]
    assert (told.code, at["replicated"]) == (1, False)
    assert at["problem"] == f"DestinationKeyConflict: the key at the destination belongs to {OWNER}"
    free(world, first)
    assert s3rctl("config", "explain", f"s3://{SOURCE}/other/x").code == 0


def test_what_was_kept_out_is_retried_when_the_place_is_free(
    world: World, first: Event, s3rctl: Tool
) -> None:
    world.deliver(world.put("other/x", b"of other"))
    free(world, first)
    assert s3rctl("status", f"s3://{SOURCE}/other/x", "--json").code == 0
    assert s3rctl("failed", "retry", "--all", "--yes").code == 0
    world.drain()
    assert world.versions("eu/x") == ["of other"]
    assert world.ledger_head("eu/x").source == f"{SOURCE}/other/x"
    assert s3rctl("failed", "list", "--json").json["versions"] == []
    assert world.ledger.count_open(ONE) == 0


def test_purging_one_key_leaves_the_replica_of_another_alone(world: World, first: Event) -> None:
    """The late message of the one, and the event of the other, come in one batch."""
    [record] = world.put("in/x", b"late of in")["Records"]
    record["s3replicator"] = {"destination": ONE, "replicaKey": "eu/x"}
    world.deliver(json.dumps({"Records": [record]}), world.put("other/x", b"of other"))
    use(world, to_eu("in/"))
    told = world.settle("in/x", purge=True)
    assert "Removed" not in [outcome["result"] for outcome in told["outcomes"]]
    assert set(world.ledger.history(PLACE)[1]) <= {
        version["VersionId"]
        for version in world.s3.list_object_versions(Bucket=SOURCE, Prefix="in/x")["Versions"]
    }


def test_a_backfill_tells_of_a_conflict_and_ends(world: World, first: Event) -> None:
    world.put("other/x", b"1")
    world.put("other/x", b"2")
    for name in ("one", "two"):
        run = jobs.run(world, name, Prefix="other/")
        assert run.told("status") == ["FAILED"] * 2
        assert run.told("reason") == ["DestinationKeyConflict"] * 2
    assert world.versions("eu/x") == ["of in"]
    assert world.ledger.count_open(ONE) == 2
    # Parked when the first of them found it.
    assert len(world.parked()) == 2


def test_a_reconcile_tells_of_a_conflict_and_compares_nothing_of_another_key(
    world: World, first: Event
) -> None:
    world.put("other/x", b"of other")
    # Somebody has written above the replica of the other key, which is nothing of this one's.
    world.s3.put_object(Bucket=ONE, Key="eu/x", Body=b"foreign")
    dry = jobs.run(world, "dry", Kind="reconcile", Prefix="other/", DryRun=True, Deep=True)
    assert (dry.told("finding"), dry.writes()) == (["Missing"], [])
    run = jobs.run(world, "wet", Kind="reconcile", Prefix="other/", Deep=True)
    assert (run.told("finding"), run.told("status")) == (["Missing"], ["FAILED"])
    assert run.told("reason") == ["DestinationKeyConflict"]
    assert world.versions("eu/x") == ["foreign", "of in"]
    # Nobody had told of it, and now it is open work.
    assert world.ledger.count_open(ONE) == 1


def test_a_reconcile_brings_what_was_kept_out_when_the_place_is_free(world: World, first: Event) -> None:
    world.deliver(world.put("other/x", b"of other"))
    free(world, first)
    run = jobs.run(world, Kind="reconcile", Prefix="other/")
    assert (run.told("finding"), run.told("status")) == (["Missing"], ["SUCCEEDED"])
    assert (world.versions("eu/x"), world.ledger.count_open(ONE)) == (["of other"], 0)


def test_a_large_object_that_is_kept_out_ends_its_job(world: World, first: Event, small_parts: int) -> None:
    world.put_parts("other/x", [bytes(small_parts), b"rest"])
    run = jobs.run(world, between=world.drain, Prefix="other/")
    assert (run.told("status"), run.told("reason")) == (["FAILED"], ["DestinationKeyConflict"])
    assert world.open_uploads() == 0


def test_a_made_up_destination_becomes_no_metric_and_no_item(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    use(world, {})
    [record] = world.put("key")["Records"]
    for destination in ("made-up", TWO, f"{ONE}#somewhere"):
        for to in ("replicate", "replicate_large", "retry"):
            for more in ({}, {"settle": True}, {"prepare": True, "replica": "r1"}, {"replicaKey": "eu/y"}):
                record["s3replicator"] = {"destination": destination, **more}
                assert world.deliver(json.dumps({"Records": [record]}), to=to).failed == []
    written = capsys.readouterr().out
    metrics = [line for line in written.splitlines() if "CloudWatchMetrics" in line]
    assert all(json.loads(line).get("DestinationBucket", ONE) == ONE for line in metrics)
    places = {item["pk"]["S"] for item in world.dynamodb.scan(TableName=TABLE)["Items"]}
    assert places <= {f"{ONE}#key"}
    assert world.parked() == []


def test_a_change_of_a_replica_acts_on_no_head_of_another_key(world: World) -> None:
    """The place of the version that it was made of is another source key's, as this ledger knows."""
    sync = {"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}}
    use(world, sync)
    original = world.s3.put_object(Bucket=ONE, Key="key", Body=b"content")["VersionId"]
    stamp = Stamp.of(VersionRef(ONE, "key", original), "nonce", SOURCE, "key")
    replica = world.put("key", b"content", Metadata=stamp.metadata())
    live = Row(Kind.OBJECT, Status.COMPLETED, OrderFacts("0A", 1.0), replica="r1")
    place, token = LedgerKey(ONE, "key"), Lease("token", 2.0)
    world.ledger.lease(place, "former-source/key", None, lease=token, intent=None, now=1.0)
    world.ledger.write(place, "token", Head("former-source/key", rows={"v1": live}))
    world.deliver(world.tag(replica, colour="red"))
    [parked] = world.parked()
    assert parked["reason"] == "DestinationKeyConflict"
    assert world.tags("key", original) == {}
    assert world.ledger_head("key").rows == {"v1": live}


def test_the_item_of_a_conflict_is_one_that_the_former_release_passes_over(
    world: World, first: Event
) -> None:
    """It looks for rows by the beginning of their sort key, sweeps what is due, and shows what is in the
    index by ``source``, ``version`` and ``row``."""
    world.deliver(world.put("other/x", b"of other"))
    [item] = [one for one in world.dynamodb.scan(TableName=TABLE)["Items"] if one["sk"]["S"] != "HEAD"]
    assert item["pk"] == {"S": f"{ONE}#eu/x"}
    assert item["sk"]["S"].startswith("C#")
    assert (item["schema"], float(item["due"]["N"])) == ({"N": "2"}, NEVER)
    assert {"source", "version", "row", "open"} <= item.keys()
    found = read_due(item)
    assert (found.key, found.source, found.conflict, found.spilled) == (
        PLACE,
        f"{SOURCE}/other/x",
        True,
        False,
    )
    [row] = found.rows.values()
    assert row.status is Status.FAILED
