"""One object put right by hand: ``s3rctl settle``, answered by the real function."""

import time
from dataclasses import replace
from typing import Any

import pytest

from s3replicator.decisions.ledger import Lease, LedgerKey, source_name
from s3replicator.decisions.versions import VersionRef
from s3replicator.usecases import settle_request
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import stay_within_the_hour
from tests.functional.s3rctl_tool import (
    Answer,
    Event,
    LambdaAnswer,
    Tool,
    answering,
    deploy,
    failed,
    refused,
    run_handler,
)
from tests.functional.world import DESTINATIONS, ONE, SOURCE, TWO, World

KEY = f"s3://{SOURCE}/key"
PURGING = {"Extensions": {"VersionDeletes": {"Status": "Enabled"}}}


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr(settle_request, "PAUSE", 0.01)
    deploy(world)
    return Tool(capsys)


def settle(s3rctl: Tool, *options: str) -> Answer:
    with answering():
        return s3rctl("settle", KEY, *options)


def statuses(answer: Answer) -> list[list[str]]:
    """By version, newest first: its status at each destination."""
    return [[at["status"] for at in version["destinations"]] for version in answer.json["versions"]]


def remove_replica(world: World, bucket: str = ONE) -> None:
    world.s3.delete_object(Bucket=bucket, Key="key", VersionId=world.head("key", bucket)["VersionId"])


AT_ONE = LedgerKey(ONE, "key")


def take_lease(world: World) -> None:
    """Somebody is at work on the key at the first destination."""
    now, source = time.time(), source_name(VersionRef(SOURCE, "key", ""))
    world.ledger.lease(AT_ONE, source, None, lease=Lease("token", now + 600), intent=None, now=now)


def test_versions_no_event_told_of_are_copied_in_order(world: World, s3rctl: Tool) -> None:
    world.put("key", b"1")
    world.put("key", b"2")
    with answering() as asked:
        answer = s3rctl("settle", KEY, "--json")
    assert answer.code == 0
    assert statuses(answer) == [["COMPLETED", "COMPLETED"]] * 2
    assert (answer.json["settled"], answer.json["busy"]) == (True, [])
    for bucket in DESTINATIONS:
        assert world.versions("key", bucket) == ["2", "1"]
    told = {(o["destination"], o["versionId"], o["result"]) for o in answer.json["outcomes"]}
    listed = [version["versionId"] for version in answer.json["versions"]]
    assert told == {(bucket, each, "Replicated") for bucket in DESTINATIONS for each in listed}
    assert asked == [
        {
            "settle": {
                "bucket": SOURCE,
                "key": "key",
                "destinations": [ONE, TWO],
                "restoreLost": False,
                "purge": False,
            }
        }
    ]


def test_the_table_is_that_of_status_and_what_was_done_is_kept_out_of_it(world: World, s3rctl: Tool) -> None:
    world.put("key")
    answer = settle(s3rctl)
    assert answer.code == 0
    assert answer.out == s3rctl("status", KEY).out
    assert f"at {ONE}: Replicated" in answer.err


def test_what_is_settled_is_left_alone(world: World, s3rctl: Tool) -> None:
    world.deliver(world.put("key"))
    answer = settle(s3rctl, "--json")
    assert (answer.code, answer.json["outcomes"]) == (0, [])
    assert world.versions("key") == ["content"]


def test_what_failed_is_tried_again_once_its_cause_is_gone(world: World, s3rctl: Tool) -> None:
    denied: dict[str, Any] = {"status": 403, "code": "AccessDenied", "when": to_bucket(TWO)}
    with faults(Fault("CopyObject", **denied)):
        world.deliver(world.put("key"))
    with faults(Fault("CopyObject", **denied)):
        answer = settle(s3rctl, "--json")
    assert (answer.code, answer.json["settled"]) == (1, False)
    assert statuses(answer) == [["COMPLETED", "FAILED"]]
    assert settle(s3rctl, "--destination", ONE).code == 0
    answer = settle(s3rctl, "--json")
    assert answer.code == 0
    assert statuses(answer) == [["COMPLETED", "COMPLETED"]]


def test_a_replica_that_others_removed_comes_back_only_if_that_is_asked_for(
    world: World, s3rctl: Tool
) -> None:
    world.deliver(world.put("key"))
    remove_replica(world)
    answer = settle(s3rctl, "--json")
    assert answer.code == 0
    [version] = answer.json["versions"]
    assert [at["isLost"] for at in version["destinations"]] == [True, False]
    assert world.versions("key") == []
    answer = settle(s3rctl, "--restore-lost", "--json")
    assert answer.code == 0
    [version] = answer.json["versions"]
    assert [at["isLost"] for at in version["destinations"]] == [False, False]
    assert world.versions("key") == ["content"]


def test_replicas_of_versions_that_are_gone_go_only_with_purge(world: World, s3rctl: Tool) -> None:
    world.rules(PURGING)
    events = [world.put("key", b"1"), world.put("key", b"2")]
    world.deliver(*events)
    world.purge(events[0])
    assert settle(s3rctl).code == 0
    assert world.versions("key") == ["2", "1"]
    answer = settle(s3rctl, "--purge", "--json")
    assert answer.code == 0
    assert [outcome["result"] for outcome in answer.json["outcomes"]] == ["Removed"]
    assert world.versions("key") == ["2"]


def test_purge_removes_nothing_where_the_rule_does_not_replicate_version_deletes(
    world: World, s3rctl: Tool
) -> None:
    event = world.put("key")
    world.deliver(event)
    world.purge(event)
    answer = settle(s3rctl, "--purge")
    assert answer.code == 0
    assert f"kept at {ONE}, {TWO}" in answer.err
    assert world.versions("key") == ["content"]


def test_what_the_breaker_holds_back_remains(
    world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_within_the_hour(monkeypatch)
    world.rules({"Extensions": {"VersionDeletes": {"Status": "Enabled", "MaxPerHour": 1}}})
    events = [world.put("key", b"1"), world.put("key", b"2"), world.put("key", b"3")]
    world.deliver(*events)
    for event in events[:2]:
        world.purge(event)
    answer = settle(s3rctl, "--purge", "--json")
    assert (answer.code, answer.json["settled"]) == (1, False)
    assert len(world.versions("key")) == 2
    reasons = [version["destinations"][0]["reason"] for version in answer.json["versions"]]
    assert sorted(filter(None, reasons)) == ["VersionDeletesHalted"]
    assert s3rctl("breaker", "close", "--yes").code == 0
    assert settle(s3rctl).code == 0
    assert world.versions("key") == ["3"]


def test_a_key_that_another_worker_holds_is_asked_for_again(world: World, s3rctl: Tool) -> None:
    world.put("key")
    take_lease(world)

    def before_the_other_ended(event: Event) -> LambdaAnswer:
        answer = run_handler(event)
        if len(asked) == 1:
            world.ledger.write(AT_ONE, "token", replace(world.ledger_head("key"), lease=None))
        return answer

    with answering(before_the_other_ended) as asked:
        answer = s3rctl("settle", KEY, "--json")
    assert answer.code == 0
    assert statuses(answer) == [["COMPLETED", "COMPLETED"]]
    assert [event["settle"]["destinations"] for event in asked] == [[ONE, TWO], [ONE]]
    assert f"Another worker is at work on the key at {ONE}: waiting" in answer.err


def test_a_worker_that_does_not_end_is_told_of(
    world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_request, "PATIENCE", 0.1)
    world.put("key")
    take_lease(world)
    answer = settle(s3rctl, "--json")
    assert answer.code == 1
    assert (answer.json["settled"], answer.json["busy"]) == (False, [ONE])
    assert statuses(answer) == [["PENDING", "COMPLETED"]]
    assert "run this again" in answer.err


def test_a_large_object_is_pending_until_it_has_been_copied(
    world: World, s3rctl: Tool, small_parts: int
) -> None:
    world.rules({})
    world.put_parts("key", [bytes(small_parts), b"rest"])
    answer = settle(s3rctl, "--json")
    assert answer.code == 1
    assert statuses(answer)[0][0] == "PENDING"
    assert [outcome["result"] for outcome in answer.json["outcomes"]] == ["SentToLargeLane"]
    world.drain()
    answer = settle(s3rctl, "--json")
    assert answer.code == 0
    assert statuses(answer)[0][0] == "COMPLETED"


def test_only_what_was_asked_for_is_done_and_told(world: World, s3rctl: Tool) -> None:
    world.put("key")
    answer = settle(s3rctl, "--json", "--destination", TWO, "--destination", TWO)
    assert answer.code == 0
    assert statuses(answer) == [["COMPLETED"]]
    assert world.versions("key", ONE) == []
    assert world.versions("key", TWO) == ["content"]


@pytest.mark.parametrize("json", [["--json"], []])
def test_an_unknown_key_is_not_found(s3rctl: Tool, json: list[str]) -> None:
    answer = settle(s3rctl, *json)
    assert answer.code == 1
    if json:
        assert (answer.json["versions"], answer.json["settled"]) == ([], False)
    else:
        assert f"Neither the source nor the ledger knows {KEY}" in answer.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([f"s3://{ONE}/key"], SOURCE),
        ([KEY, "--destination", "elsewhere"], f"which has {ONE}, {TWO}"),
    ],
)
def test_what_the_stack_does_not_have_is_refused_before_anything_is_done(
    s3rctl: Tool, arguments: list[str], told: str
) -> None:
    with answering() as asked:
        answer = s3rctl("settle", *arguments)
    assert (answer.code, answer.out, asked) == (2, "", [])
    assert told in answer.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda: failed("RetryableError", "ConfigurationUnreadable: no JSON"), "ConfigurationUnreadable"),
        (lambda: failed("Sandbox.Timedout", "Task timed out after 300.00 seconds"), "timed out"),
        (lambda: refused("AccessDeniedException"), "AccessDeniedException"),
        (lambda: refused("TooManyRequestsException"), "TooManyRequestsException"),
    ],
    ids=["configuration", "time", "permission", "throttled"],
)
def test_a_function_that_does_not_answer_is_told_of(s3rctl: Tool, given: Any, told: str) -> None:
    with answering(lambda _event: given()):
        answer = s3rctl("settle", KEY)
    assert (answer.code, answer.out) == (2, "")
    assert "function retry" in answer.err
    assert told in answer.err


def test_a_version_that_came_meanwhile_is_told_as_it_is(world: World, s3rctl: Tool) -> None:
    world.put("key", b"1")

    def overtaken(event: Event) -> LambdaAnswer:
        answer = run_handler(event)
        world.put("key", b"2")
        return answer

    with answering(overtaken):
        answer = s3rctl("settle", KEY, "--json")
    assert answer.code == 1
    assert [at[0] for at in statuses(answer)] == ["PENDING", "COMPLETED"]
