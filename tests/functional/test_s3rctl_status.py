"""Where is this object, and why is it not there: ``s3rctl status``."""

from dataclasses import replace
from typing import Any

import pytest

from s3replicator.decisions.ledger import Intent, Lease, LedgerKey, OrderFacts, Status, source_name
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import VersionRef
from tests.functional.s3rctl_tool import Answer, Tool, deploy
from tests.functional.world import DESTINATIONS, ONE, SOURCE, TWO, World


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    deploy(world)
    return Tool(capsys)


def version_id(event: dict[str, Any]) -> str:
    return str(event["Records"][0]["s3"]["object"]["versionId"])


def of(answer: Answer, wanted: str) -> dict[str, Any]:
    """One version of a JSON answer, its destinations by name."""
    [version] = [each for each in answer.json["versions"] if each["versionId"] == wanted]
    return {**version, "at": {at["destination"]: at for at in version["destinations"]}}


def statuses(answer: Answer) -> list[tuple[str, list[str]]]:
    """By version, newest first: its status, and its status at each destination."""
    return [
        (version["status"], [at["status"] for at in version["destinations"]])
        for version in answer.json["versions"]
    ]


def test_a_replicated_version_is_completed_with_its_replica_lag_and_rule(world: World, s3rctl: Tool) -> None:
    event = world.put("key", b"12345")
    world.deliver(event)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert answer.code == 0
    assert (answer.json["bucket"], answer.json["key"]) == (SOURCE, "key")
    version = of(answer, version_id(event))
    assert version["status"] == "COMPLETED"
    assert (version["kind"], version["isLatest"], version["size"]) == ("object", True, 5)
    assert version["lastModified"].endswith("+00:00")
    for bucket in DESTINATIONS:
        at = version["at"][bucket]
        assert at["status"] == "COMPLETED"
        assert at["rule"] == f"everything-to-{bucket}"
        assert at["replicaVersionId"] == world.head("key", bucket)["VersionId"]
        assert 0 <= at["lagSeconds"] < 60
        assert at["reason"] is None


def test_the_newest_version_comes_first_and_markers_are_versions_too(world: World, s3rctl: Tool) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    events = [world.put("key", b"1"), world.put("key", b"22"), world.mark("key")]
    world.deliver(*events)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    versions = answer.json["versions"]
    assert [v["versionId"] for v in versions] == [version_id(event) for event in reversed(events)]
    assert [v["kind"] for v in versions] == ["marker", "object", "object"]
    assert [v["isLatest"] for v in versions] == [True, False, False]
    assert [v["size"] for v in versions] == [None, 2, 1]
    assert statuses(answer) == [("COMPLETED", ["COMPLETED", "NONE"])] * 3


def test_a_version_without_a_row_is_pending_if_a_rule_selects_it_else_none(
    world: World, s3rctl: Tool
) -> None:
    world.rules({"Filter": {"Prefix": "in/"}})
    world.put("in/key")
    world.put("out/key")
    assert statuses(s3rctl("status", f"s3://{SOURCE}/in/key", "--json")) == [("PENDING", ["PENDING", "NONE"])]
    assert statuses(s3rctl("status", f"s3://{SOURCE}/out/key", "--json")) == [("NONE", ["NONE", "NONE"])]


def test_a_disabled_rule_selects_nothing(world: World, s3rctl: Tool) -> None:
    world.rules({"Status": "Disabled"})
    world.put("key")
    assert statuses(s3rctl("status", f"s3://{SOURCE}/key", "--json")) == [("NONE", ["NONE", "NONE"])]


def test_without_a_configuration_no_rule_selects_anything(world: World, s3rctl: Tool) -> None:
    world.s3.delete_object(Bucket="control-bucket", Key="replication-configuration.json")
    world.put("key")
    assert statuses(s3rctl("status", f"s3://{SOURCE}/key", "--json")) == [("NONE", ["NONE", "NONE"])]


def test_tags_decide_where_a_rule_asks_for_them(world: World, s3rctl: Tool) -> None:
    world.rules({"Filter": {"Tag": {"Key": "team", "Value": "a"}}})
    world.put("key", Tagging="team=a")
    world.put("key", Tagging="team=b")
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert [status for status, _ in statuses(answer)] == ["NONE", "PENDING"]


def test_a_delete_marker_is_judged_by_the_version_below_it(world: World, s3rctl: Tool) -> None:
    enabled, disabled = {"Status": "Enabled"}, {"Status": "Disabled"}
    tagged = {"Tag": {"Key": "keep", "Value": "yes"}}
    world.rules(
        {"DeleteMarkerReplication": enabled},
        {"Filter": tagged, "DeleteMarkerReplication": disabled, "Priority": 9},
    )
    world.put("key")
    world.mark("key")
    world.put("key", Tagging="keep=yes")
    world.mark("key")
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert [status for status, _ in statuses(answer)] == ["NONE", "PENDING", "PENDING", "PENDING"]


def test_a_failure_at_one_destination_makes_the_version_failed(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.s3.delete_bucket(Bucket=TWO)
    world.deliver(event)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert statuses(answer) == [("FAILED", ["COMPLETED", "FAILED"])]
    failed = of(answer, version_id(event))["at"][TWO]
    assert failed["reason"] == "DstBucketNotFound"
    assert failed["attempts"] == 1
    assert failed["firstFailure"] == failed["lastFailure"] is not None
    assert "NoSuchBucket" in failed["detail"]
    shown = s3rctl("status", f"s3://{SOURCE}/key").out
    assert "DstBucketNotFound" in shown
    assert "attempts: 1" in shown


def test_what_waits_for_its_time_says_when_it_is_due(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.deliver(event)
    rewrite(world, event, status=Status.PENDING, reason="ServiceUnavailable", due=4102444800.0, attempts=3)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert statuses(answer) == [("PENDING", ["PENDING", "COMPLETED"])]
    at = of(answer, version_id(event))["at"][ONE]
    assert (at["reason"], at["attempts"]) == ("ServiceUnavailable", 3)
    assert at["due"] == "2100-01-01T00:00:00.000+00:00"
    assert "due again at 2100-01-01 00:00:00Z" in s3rctl("status", f"s3://{SOURCE}/key").out


def rewrite(world: World, event: dict[str, Any], bucket: str = ONE, **changes: Any) -> None:
    """Change what the ledger says of a version."""
    key, version = LedgerKey(bucket, world.key_of(event)), version_id(event)
    name = source_name(VersionRef(SOURCE, key.key, version))
    # Any other version: that of a settled row would be called a duplicate.
    world.ledger.lease(key, name, "another", lease=Lease("token", 9e9), intent=None, now=1.0)
    head = world.ledger_head(key.key, bucket)
    row = replace(head.rows[version], **changes)
    world.ledger.write(key, "token", replace(head, lease=None, rows={**head.rows, version: row}))


def test_an_announced_version_is_pending(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.deliver(event)
    [row] = world.rows("key")
    newer = world.put("key")
    key = LedgerKey(ONE, "key")
    intent = Intent("nonce", version_id(newer), row.kind, 1.0, row.order)
    name = source_name(VersionRef(SOURCE, "key", ""))
    world.ledger.lease(key, name, intent.version_id, lease=Lease("token", 2.0), intent=intent, now=1.0)
    world.rules({"Status": "Disabled"})
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert statuses(answer) == [
        ("PENDING", ["PENDING", "NONE"]),
        ("COMPLETED", ["COMPLETED", "COMPLETED"]),
    ]


def test_a_replica_that_others_removed_is_told_with_the_way_to_get_it_back(
    world: World, s3rctl: Tool
) -> None:
    event = world.put("key")
    world.deliver(event)
    rewrite(world, event, replica=None, lost=True)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert answer.code == 0
    at = of(answer, version_id(event))["at"]
    assert (at[ONE]["status"], at[ONE]["isLost"], at[ONE]["replicaVersionId"]) == ("COMPLETED", True, None)
    assert at[ONE]["detail"] == (
        "removed at the destination by others; s3rctl settle --restore-lost copies it again"
    )
    assert (at[TWO]["isLost"], at[TWO]["detail"]) == (False, None)
    assert "settle --restore-lost" in s3rctl("status", f"s3://{SOURCE}/key").out


def test_a_replica_that_is_still_to_be_deleted_is_told_of(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.deliver(event)
    world.purge(event)
    rewrite(world, event, purged=True, reason="VersionDeletesHalted", detail="see the breaker")
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    at = of(answer, version_id(event))["at"]
    assert (at[ONE]["reason"], at[ONE]["isPurged"], at[TWO]["isPurged"]) == (
        "VersionDeletesHalted",
        True,
        False,
    )
    assert at[ONE]["detail"] == "see the breaker; deleted at the source, and its replica is still there"
    assert "still there" in s3rctl("status", f"s3://{SOURCE}/key").out


def test_versions_from_before_versioning_are_called_as_s3_calls_them(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.deliver(event)
    [row] = world.rows("key")
    names = [f"null@{moment:.0f}-{moment:032x}" for moment in (1_700_000_000, 1_800_000_000)]
    key, source = LedgerKey(ONE, "key"), source_name(VersionRef(SOURCE, "key", ""))
    world.ledger.lease(key, source, None, lease=Lease("token", 9e9), intent=None, now=1.0)
    rows = {
        name: replace(row, status=Status.TOMBSTONE, replica=None, order=OrderFacts(None, moment), detail="x")
        for name, moment in zip(names, (1_700_000_000.0, 1_800_000_000.0), strict=True)
    }
    world.ledger.write(key, "token", replace(world.ledger_head("key"), lease=None, rows=rows))

    answer = s3rctl("status", f"s3://{SOURCE}/key", "--version-id", "null", "--json")
    assert answer.code == 0
    assert [v["versionId"] for v in answer.json["versions"]] == ["null", "null"]
    assert {v["versionName"] for v in answer.json["versions"]} == set(names)
    shown = s3rctl("status", f"s3://{SOURCE}/key").out
    assert "null@" not in shown
    assert f"null (2023-11-14 22:13:20Z) at {ONE}: TOMBSTONE" in shown
    [only] = s3rctl("status", f"s3://{SOURCE}/key", "--version-id", names[0], "--json").json["versions"]
    assert only["versionName"] == names[0]


def test_a_version_gone_from_the_source_is_still_told_of(world: World, s3rctl: Tool) -> None:
    events = [world.put("key", b"1"), world.put("key", b"2")]
    world.deliver(*events)
    world.purge(events[0])
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert [v["versionId"] for v in answer.json["versions"]] == [version_id(e) for e in reversed(events)]
    gone = of(answer, version_id(events[0]))
    assert (gone["isAtSource"], gone["isLatest"], gone["size"]) == (False, False, None)
    assert gone["status"] == "COMPLETED"


def test_a_version_deleted_before_its_turn_is_a_tombstone(world: World, s3rctl: Tool) -> None:
    event = world.put("key")
    world.purge(event)
    world.deliver(event)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert answer.code == 0
    assert statuses(answer) == [("TOMBSTONE", ["TOMBSTONE", "TOMBSTONE"])]


def test_rows_that_have_left_the_head_are_found(world: World, s3rctl: Tool) -> None:
    events = [world.put("key", str(number).encode()) for number in range(5)]
    world.deliver(*events)
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json")
    assert statuses(answer) == [("COMPLETED", ["COMPLETED", "COMPLETED"])] * 5


def test_a_replica_at_the_source_is_called_one(world: World, s3rctl: Tool) -> None:
    stamp = Stamp.of(VersionRef("elsewhere", "key", "v1"), "nonce", SOURCE, "key")
    world.put("key", Metadata=stamp.metadata())
    world.put("copy of it", Metadata=stamp.metadata())
    assert statuses(s3rctl("status", f"s3://{SOURCE}/key", "--json")) == [("REPLICA", ["REPLICA"] * 2)]
    assert statuses(s3rctl("status", f"s3://{SOURCE}/copy of it", "--json")) == [("PENDING", ["PENDING"] * 2)]


def test_a_destination_the_stack_does_not_have_is_shown_with_what_became_of_it(
    world: World, s3rctl: Tool
) -> None:
    world.rules({"Destination": {"Bucket": "arn:aws:s3:::forgotten-bucket"}})
    world.deliver(world.put("key"))
    [version] = s3rctl("status", f"s3://{SOURCE}/key", "--json").json["versions"]
    at = {each["destination"]: each for each in version["destinations"]}
    assert at["forgotten-bucket"]["status"] == "FAILED"
    assert at["forgotten-bucket"]["reason"] == "DestinationNotInStack"


def test_a_destination_key_of_another_source_is_a_failure(world: World, s3rctl: Tool) -> None:
    world.put("key")
    key = LedgerKey(ONE, "key")
    world.ledger.lease(key, "former-source/key", "v1", lease=Lease("token", 2.0), intent=None, now=1.0)
    [version] = s3rctl("status", f"s3://{SOURCE}/key", "--json").json["versions"]
    assert version["destinations"][0]["reason"] == "DestinationKeyConflict"
    assert "former-source/key" in version["destinations"][0]["detail"]


def test_one_version_can_be_asked_for(world: World, s3rctl: Tool) -> None:
    events = [world.put("key", b"1"), world.put("key", b"2")]
    answer = s3rctl("status", f"s3://{SOURCE}/key", "--json", "--version-id", version_id(events[0]))
    assert [v["versionId"] for v in answer.json["versions"]] == [version_id(events[0])]
    missing = s3rctl("status", f"s3://{SOURCE}/key", "--version-id", "none-such")
    assert missing.code == 1
    assert "none-such" in missing.out


@pytest.mark.parametrize("json", [["--json"], []])
def test_an_unknown_key_is_not_found(s3rctl: Tool, json: list[str]) -> None:
    answer = s3rctl("status", f"s3://{SOURCE}/no/such/key", *json)
    assert answer.code == 1
    if json:
        assert answer.json == {"bucket": SOURCE, "key": "no/such/key", "versions": []}
    else:
        assert "no/such/key" in answer.out


def test_a_longer_key_is_another_key(world: World, s3rctl: Tool) -> None:
    world.put("keys")
    assert s3rctl("status", f"s3://{SOURCE}/key").code == 1


@pytest.mark.parametrize("key", ["a b+c%20d%2B", "what?is#this", "/slash//es/", "žluť/\U0001f40e", "--all"])
def test_a_key_is_taken_as_it_is_written(world: World, s3rctl: Tool, key: str) -> None:
    world.deliver(world.put(key))
    answer = s3rctl("status", f"s3://{SOURCE}/{key}", "--json")
    assert answer.json["key"] == key
    assert statuses(answer) == [("COMPLETED", ["COMPLETED", "COMPLETED"])]


def test_a_terminal_sees_no_control_character_of_a_key(world: World, s3rctl: Tool) -> None:
    answer = s3rctl("status", f"s3://{SOURCE}/a\x9b31mb\tc\nd\\e\u202ef")
    assert "a\\x9b31mb\\tc\\nd\\\\e\\u202ef" in answer.out


def test_the_table_has_a_line_per_version_and_destination(world: World, s3rctl: Tool) -> None:
    event = world.put("key", b"x" * 2048)
    world.deliver(event)
    heading, first, second = s3rctl("status", f"s3://{SOURCE}/key").out.splitlines()
    assert heading.split() == [
        *("VERSION", "KIND", "MODIFIED", "SIZE", "STATUS"),
        *("DESTINATION", "THERE", "LAG", "REPLICA", "RULE"),
    ]
    assert first.startswith(version_id(event))
    assert "2.0 KiB" in first
    assert ONE in first
    assert TWO in second
    assert world.head("key", TWO)["VersionId"] in second


def test_another_bucket_than_the_source_is_refused(s3rctl: Tool) -> None:
    answer = s3rctl("status", f"s3://{ONE}/key")
    assert answer.code == 2
    assert SOURCE in answer.err


@pytest.mark.parametrize("url", ["key", f"s3://{SOURCE}", f"s3://{SOURCE}/", "s3:///key", "http://a/b", ""])
def test_what_is_no_s3_url_is_wrong_usage(capsys: pytest.CaptureFixture[str], url: str) -> None:
    answer = Tool(capsys)("status", url)
    assert answer.code == 2
    assert "s3://bucket/key" in answer.err


def test_a_key_that_is_not_utf8_cannot_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Tool(capsys)("status", f"s3://{SOURCE}/\udcff")
    assert answer.code == 2
    assert "UTF-8" in answer.err


def test_a_configuration_that_cannot_be_used_is_named(world: World, s3rctl: Tool) -> None:
    world.configure({"Rules": []})
    answer = s3rctl("status", f"s3://{SOURCE}/key")
    assert answer.code == 2
    assert "ConfigurationUnreadable" in answer.err
    assert "Rules" in answer.err
