"""What the operator is told of replicas at the source."""

import json
from pathlib import Path

import pytest

from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.test_replicas import FULL, MARKERS, ONWARD, PEER, by, copied_in_place, stamp
from tests.functional.world import ONE, SOURCE, World


@pytest.fixture(autouse=True)
def to_one(world: World) -> None:
    world.rules(MARKERS)


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    deploy(world)
    return Tool(capsys)


def test_status_names_a_replica_and_says_why(world: World, s3rctl: Tool) -> None:
    world.put("key", Metadata=stamp("key"))
    told = s3rctl("status", f"s3://{SOURCE}/key", "--json").json
    [at, *_] = told["versions"][0]["destinations"]
    assert (at["status"], at["reason"]) == ("REPLICA", "SrcObjectIsReplica")
    assert "its stamp says that it is itself a replica" in at["detail"]


def test_status_and_explain_know_a_copy_in_place(world: World, s3rctl: Tool) -> None:
    first = world.version_of(world.put("key", Metadata=stamp("key")))
    copied_in_place(world, SOURCE, "key", first)
    told = s3rctl("status", f"s3://{SOURCE}/key", "--json").json
    assert [version["status"] for version in told["versions"]] == ["PENDING", "REPLICA"]
    assert s3rctl("config", "explain", f"s3://{SOURCE}/key").code == 0
    refused = s3rctl("config", "explain", f"s3://{SOURCE}/key", "--version-id", first)
    assert refused.code == 1
    assert "replicas are not replicated onward" in refused.out


def test_where_peers_are_declared_status_names_what_may_be_theirs(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A delete marker, and what has no room for a stamp: no job takes them, so they are not on their way."""
    deploy(world, "with-peers", {"PeerPrincipals": PEER})
    world.settings(PEER_PRINCIPALS=PEER)
    theirs = world.put("key", Metadata=FULL)
    world.deliver(by(theirs, PEER), by(world.mark("key"), PEER))
    told = Tool(capsys)("--stack", "with-peers", "status", f"s3://{SOURCE}/key", "--json").json
    found = [(v["kind"], v["status"], v["destinations"][0]["reason"]) for v in told["versions"]]
    assert found == [
        ("marker", "REPLICA", "SrcObjectIsReplica"),
        ("object", "REPLICA", "SrcObjectIsReplica"),
    ]


def test_explain_and_status_know_a_rule_that_carries_replicas_onward(world: World, s3rctl: Tool) -> None:
    world.put("key", Metadata=stamp("key"))
    world.rules(ONWARD)
    assert s3rctl("config", "explain", f"s3://{SOURCE}/key").code == 0
    told = s3rctl("status", f"s3://{SOURCE}/key", "--json").json
    assert told["versions"][0]["status"] == "PENDING"


def test_a_table_of_rules_says_which_carry_replicas_onward(s3rctl: Tool, tmp_path: Path) -> None:
    rule = {
        "ID": "onward",
        "Priority": 1,
        "Filter": {},
        "Status": "Enabled",
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{ONE}"},
        **ONWARD,
    }
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"Rules": [rule]}))
    assert "REPLICAS ONWARD" in s3rctl("config", "validate", str(file)).out
    [told] = s3rctl("config", "validate", str(file), "--json").json["rules"]
    assert told["replicasOnward"] is True


def test_no_rule_carries_a_replica_to_where_it_came_from(world: World, s3rctl: Tool) -> None:
    world.rules(ONWARD)
    world.put("key", Metadata={**stamp("key"), "s3replicator-source": ONE})
    refused = s3rctl("config", "explain", f"s3://{SOURCE}/key")
    assert refused.code == 1
    assert "it came through the destination" in refused.out
