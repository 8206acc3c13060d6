"""Replicas under other keys than their sources."""

from typing import Any

import pytest

from s3replicator.decisions.ledger import Status
from s3replicator.decisions.stamp import place_of
from tests.functional import jobs
from tests.functional.configurations import COLLIDING, MEETING
from tests.functional.faults import Fault, faults
from tests.functional.passing_time import let_time_pass
from tests.functional.world import ONE, SOURCE, TABLE, World

TO_EU = {"KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"}}
MARKERS = {"DeleteMarkerReplication": {"Status": "Enabled"}}


def moved(world: World, **more: Any) -> None:
    """Everything under in/ comes under eu/."""
    extensions = TO_EU | more.pop("Extensions", {})
    world.rules({"Filter": {"Prefix": "in/"}, **more, "Extensions": extensions})


def test_a_replica_has_the_key_that_its_rule_gives_it(world: World) -> None:
    """B31."""
    moved(world)
    world.deliver(world.put("in/a b", b"content"), world.put("elsewhere", b"content"))
    assert world.versions("eu/a b") == ["content"]
    assert world.versions("in/a b") == world.versions("elsewhere") == []

    metadata = world.head("eu/a b")["Metadata"]
    assert metadata["s3replicator-place"] == place_of(ONE, "eu/a b")
    row = world.row("eu/a b")
    assert (row.status, world.ledger_head("eu/a b").source) == (Status.COMPLETED, f"{SOURCE}/in/a b")


def test_versions_keep_their_order_and_markers_their_place(world: World) -> None:
    moved(world, **MARKERS)
    first, second, marker = world.put("in/x", b"1"), world.put("in/x", b"2"), world.mark("in/x")
    world.deliver(second)
    world.deliver(marker, first)
    world.drain()
    assert world.versions("eu/x") == ["marker", "2", "1"]


def test_a_large_object_has_it_too(world: World, small_parts: int) -> None:
    moved(world)
    world.deliver(world.put_parts("in/large", [bytes(small_parts), b"rest"]))
    world.drain()
    assert world.head("eu/large")["ContentLength"] == small_parts + 4
    assert world.open_uploads() == 0


def test_a_late_large_object_is_put_in_its_place(world: World, small_parts: int) -> None:
    moved(world)
    large, small = world.put_parts("in/x", [bytes(small_parts), b"rest"]), world.put("in/x", b"small")
    world.deliver(small)
    world.deliver(large)
    world.drain()
    assert world.versions("eu/x") == ["small", "\0" * small_parts + "rest"]
    assert world.at_rest("eu/x")


def test_what_changes_later_reaches_the_replica(world: World) -> None:
    moved(world)
    event = world.put("in/x")
    world.deliver(event)
    world.deliver(world.tag(event, colour="red"))
    world.drain()
    replica = world.row("eu/x").replica
    assert replica is not None
    assert world.tags("eu/x", replica) == {"colour": "red"}


def test_deletes_of_versions_find_it(world: World) -> None:
    moved(world, Extensions={"VersionDeletes": {"Status": "Enabled"}})
    first, second = world.put("in/x", b"1"), world.put("in/x", b"2")
    world.deliver(first, second)
    world.deliver(world.purge(second))
    world.drain()
    assert world.versions("eu/x") == ["1"]


def test_two_keys_that_come_to_one_are_a_reported_conflict(world: World) -> None:
    """Rules that could do so at once are refused; these have been in force one after the other."""
    moved(world)
    world.deliver(world.put("in/x", b"of in"))
    transform = {"StripPrefix": "other/", "AddPrefix": "eu/"}
    world.rules({"Filter": {"Prefix": "other/"}, "Extensions": {"KeyTransform": transform}})
    world.settings()
    world.deliver(world.put("other/x", b"of other"))
    world.drain()
    [parked] = world.parked()
    assert parked["reason"] == "DestinationKeyConflict"
    assert f"{SOURCE}/in/x" in parked["detail"]
    assert world.versions("eu/x") == ["of in"]


def test_rules_that_a_former_release_let_in_replicate_though_keys_collide(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """They would be refused now. In force they are told of, and never unreadable."""
    first, second, replica = MEETING
    world.rules(*COLLIDING)
    world.settings()
    assert world.deliver(world.put(first, b"first"), world.put("other")).failed == []
    assert world.deliver(world.put(second, b"second")).failed == []
    world.drain()
    assert world.versions("other") == ["content"]
    assert world.versions(replica) == ["first"]
    assert [parked["reason"] for parked in world.parked()] == ["DestinationKeyConflict"]
    told = capsys.readouterr().out
    assert '"RulesCollide"' in told
    assert '"ConfigurationUnreadable"' not in told
    [problem] = {vars(record)["problem"] for record in caplog.records if record.msg == "rules collide"}
    assert "'bbb' by rule 'rule-1'" in problem


def test_rules_that_collide_are_told_of_as_long_as_they_are_in_force(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.rules(*COLLIDING)
    world.settings(CONFIGURATION_CACHE_SECONDS="0")
    for key in ("first", "second"):
        world.deliver(world.put(key))
        assert '"RulesCollide"' in capsys.readouterr().out
    world.rules(COLLIDING[1])
    world.deliver(world.put("third"))
    assert '"RulesCollide"' not in capsys.readouterr().out


def test_work_in_flight_moves_with_the_rule(world: World) -> None:
    """The copy failed, and before it was tried again the rule got another key for it."""
    world.rules({"Filter": {"Prefix": "in/"}})
    with faults(Fault("CopyObject", status=503, code="SlowDown", times=9)):
        world.deliver(world.put("in/x"))
    moved(world)
    world.settings()
    let_time_pass(world)

    assert (world.versions("in/x"), world.versions("eu/x")) == ([], ["content"])
    assert (world.row("in/x").status, world.row("in/x").reason) == (
        Status.NOT_ELIGIBLE,
        "RuleNoLongerSelects",
    )
    assert world.row("eu/x").status is Status.COMPLETED
    assert world.parked() == []


def test_a_parked_message_sent_back_is_tried_where_it_belongs(world: World) -> None:
    moved(world)
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=9)):
        world.deliver(world.put("in/x"))
    [body] = world.take("parked")
    world.deliver(body)
    world.drain()
    assert world.versions("eu/x") == ["content"]


def test_settling_by_hand_finds_every_place(world: World) -> None:
    """A key has been replicated as it was, and by another rule since."""
    world.rules({"Filter": {"Prefix": "in/"}})
    world.deliver(world.put("in/x", b"1"))
    moved(world)
    world.settings()
    world.put("in/x", b"2")
    told = world.settle("in/x")
    assert world.versions("eu/x") == ["2", "1"]
    assert world.versions("in/x") == ["1"]
    assert {outcome["result"] for outcome in told["outcomes"]} == {"Replicated"}


def test_a_backfill_brings_what_was_there_before(world: World) -> None:
    moved(world, **MARKERS)
    for number in range(3):
        world.put("in/x", str(number).encode())
    world.put("in/y")
    world.mark("in/y")
    world.put("elsewhere")
    done = jobs.run(world)
    assert done.summary["statuses"]["SUCCEEDED"] == 5
    assert set(done.told("replica_key")) == {"eu/x", "eu/y"}
    assert (world.versions("eu/x"), world.versions("eu/y")) == (["2", "1", "0"], ["marker", "content"])
    assert jobs.run(world, "again").summary["survey"]["selected"] == 0


@pytest.mark.parametrize("prefix", ["", "in/", "in/x"])
def test_a_reconcile_compares_what_belongs_together(world: World, prefix: str) -> None:
    moved(world)
    world.deliver(world.put("in/x"), world.put("in/xy"))
    world.put("in/x", b"missed")
    lost = world.row("eu/xy").replica
    world.s3.delete_object(Bucket=ONE, Key="eu/xy", VersionId=lost)
    assert jobs.run(world, "one", Kind="reconcile", Prefix=prefix).told("finding") == ["Missing", "Lost"]
    assert world.versions("eu/x") == ["missed", "content"]

    jobs.run(world, "two", Kind="reconcile", Prefix=prefix, RestoreLost=True)
    assert world.versions("eu/xy") == ["content"]
    converged = jobs.run(world, "three", Kind="reconcile", Prefix=prefix)
    assert (converged.tasks, converged.writes()) == ([], [])


def test_the_ledger_can_be_rebuilt(world: World) -> None:
    moved(world)
    world.deliver(world.put("in/x", b"1"), world.put("in/x", b"2"))
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        world.dynamodb.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    rebuilt = jobs.run(world, Kind="reconcile")
    assert rebuilt.count("CopyObject") == 0
    assert world.versions("eu/x") == ["2", "1"]
    assert {row.status for row in world.rows("eu/x")} == {Status.COMPLETED}


@pytest.mark.parametrize(
    ("key", "add", "problem"),
    [("in/", "", "nothing is left of the key"), ("in/" + "k" * 1000, "eu" * 20, "1040 bytes")],
)
def test_a_key_that_cannot_be_transformed_is_recorded(world: World, key: str, add: str, problem: str) -> None:
    moved(world, Extensions={"KeyTransform": {"StripPrefix": "in/", "AddPrefix": add}})
    world.deliver(world.put(key))
    row = world.row(key)
    assert (row.status, row.reason) == (Status.NOT_ELIGIBLE, "SrcObjectNotEligible")
    assert problem in str(row.detail)
    assert "Versions" not in world.s3.list_object_versions(Bucket=ONE)
