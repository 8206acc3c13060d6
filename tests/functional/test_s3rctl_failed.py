"""What is not where it should be, from the ledger: ``s3rctl failed``."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from s3replicator.adapters.ledger_items import row_item
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.ledger import Head, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind
from tests.functional.faults import Fault, faults
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import ONE, SOURCE, TABLE, TWO, World

NOW = 1_800_000_000.0

FAILED = Row(
    Kind.OBJECT,
    Status.FAILED,
    OrderFacts("0A", NOW - 60),
    rule="rule-1",
    reason="DstBucketNotFound",
    detail="copying to the destination: NoSuchBucket",
    request_id="REQUEST1",
    attempts=3,
    first_failure=NOW - 10,
    last_failure=NOW,
)
WAITING = replace(FAILED, status=Status.PENDING, reason="Throttled", due=NOW + 60)
COMPLETED = Row(Kind.OBJECT, Status.COMPLETED, OrderFacts("0A", NOW), replica="replica")


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", lambda *_: None)
    deploy(world)
    return Tool(capsys)


def record(world: World, key: str, *rows: Row, destination: str = ONE) -> None:
    """Into the head of a key, the versions called v1, v2, ..."""
    where = LedgerKey(destination, key)
    lease = Lease("token", time.time() + 60)
    world.ledger.lease(where, f"{SOURCE}/{key}", None, lease=lease, intent=None, now=time.time())
    numbered = {f"v{number}": row for number, row in enumerate(rows, start=1)}
    world.ledger.write(where, "token", Head(f"{SOURCE}/{key}", rows=numbered))


def listed(s3rctl: Tool, *options: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = s3rctl("failed", "list", "--json", *options).json["versions"]
    return versions


def keys(s3rctl: Tool, *options: str) -> set[str]:
    return {version["key"] for version in listed(s3rctl, *options)}


# -- list


def test_a_version_that_failed_is_told_with_all_the_ledger_knows(world: World, s3rctl: Tool) -> None:
    record(world, "a key", FAILED)
    [version] = listed(s3rctl)
    assert version == {
        "destination": ONE,
        "key": "a key",
        "versionId": "v1",
        "versionName": "v1",
        "status": "FAILED",
        "reason": "DstBucketNotFound",
        "detail": "copying to the destination: NoSuchBucket",
        "rule": "rule-1",
        "attempts": 3,
        "firstFailure": "2027-01-15T07:59:50.000+00:00",
        "lastFailure": "2027-01-15T08:00:00.000+00:00",
        "due": None,
        "requestId": "REQUEST1",
    }
    heading, line = s3rctl("failed", "list").out.splitlines()
    assert heading.split()[:4] == ["FAILED", "STATUS", "REASON", "DESTINATION"]
    for told in ("2027-01-15 08:00:00Z", "DstBucketNotFound", ONE, "rule-1", "v1", "a key"):
        assert told in line


def test_what_the_functions_could_not_do_is_found(world: World, s3rctl: Tool) -> None:
    world.s3.delete_bucket(Bucket=TWO)
    world.deliver(world.put("key"))
    [version] = listed(s3rctl)
    assert (version["destination"], version["reason"]) == (TWO, "DstBucketNotFound")


def test_what_is_done_is_not_listed(world: World, s3rctl: Tool) -> None:
    world.deliver(world.put("key"))
    answer = s3rctl("failed", "list")
    assert (answer.code, answer.out) == (0, "Nothing that matches is open\n")
    assert s3rctl("failed", "list", "--json").json == {"versions": [], "after": None}


def test_a_settled_version_is_listed_while_something_is_wrong_with_it(world: World, s3rctl: Tool) -> None:
    record(world, "key", COMPLETED, replace(COMPLETED, reason="DstObjectLocked"))
    assert [(v["versionId"], v["reason"]) for v in listed(s3rctl)] == [("v2", "DstObjectLocked")]


def test_the_list_can_be_narrowed(world: World, s3rctl: Tool) -> None:
    record(world, "a/failed", FAILED)
    record(world, "a/waiting", WAITING)
    record(world, "b/elsewhere", FAILED, destination=TWO)
    record(world, "b/early", replace(FAILED, rule="rule-2", last_failure=NOW - 3600, first_failure=None))
    everything = {"a/failed", "a/waiting", "b/elsewhere", "b/early"}
    assert keys(s3rctl) == everything
    assert keys(s3rctl, "--destination", TWO) == {"b/elsewhere"}
    assert keys(s3rctl, "--destination", TWO, "--destination", ONE) == everything
    assert keys(s3rctl, "--reason", "Throttled") == {"a/waiting"}
    assert keys(s3rctl, "--status", "PENDING") == {"a/waiting"}
    assert keys(s3rctl, "--rule", "rule-2") == {"b/early"}
    assert keys(s3rctl, "--prefix", "b/") == {"b/elsewhere", "b/early"}
    assert keys(s3rctl, "--failed-before", "2027-01-15T07:30:00Z") == {"b/early"}
    assert keys(s3rctl, "--failed-after", "2027-01-15T07:30:00") == everything - {"b/early"}
    assert keys(s3rctl, "--prefix", "b/", "--rule", "rule-1", "--status", "FAILED") == {"b/elsewhere"}


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_list_in_pages_tells_everything_once(world: World, s3rctl: Tool, size: int) -> None:
    expected = set()
    for number in range(9):
        for destination in (ONE, TWO):
            record(
                world, f"key {number}", FAILED, replace(WAITING, due=NOW + number), destination=destination
            )
            expected |= {(destination, f"key {number}", version) for version in ("v1", "v2")}
    seen: list[tuple[str, str, str]] = []
    after: list[str] = []
    while True:
        page = s3rctl("failed", "list", "--json", "--limit", str(size), *after)
        assert page.code == 0
        seen += [(v["destination"], v["key"], v["versionId"]) for v in page.json["versions"]]
        # Rows of one head stay together.
        assert len(page.json["versions"]) <= size + 1
        if page.json["after"] is None:
            break
        assert "--after" in page.err
        after = ["--after", page.json["after"]]
    assert len(seen) == len(expected)
    assert set(seen) == expected


def test_a_long_shard_is_read_to_its_end(world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3replicator.decisions.ledger.SHARDS", 1)
    monkeypatch.setattr("s3replicator.adapters.open_work.SHARDS", 1)
    long = replace(FAILED, detail="x" * 100_000)
    for number in range(25):
        record(world, f"key {number}", long)
    assert len(keys(s3rctl)) == 25


@pytest.mark.parametrize("wrong", ["x", "", "WyJhIl0=", "bnVsbA==", "WzEsMiwzXQ=="])
def test_what_is_no_place_in_the_list_is_refused(s3rctl: Tool, wrong: str) -> None:
    answer = s3rctl("failed", "list", "--after", wrong)
    assert answer.code == 2
    assert "--after" in answer.err
    assert "Traceback" not in answer.err


def test_a_place_is_in_the_list_of_its_destination(world: World, s3rctl: Tool) -> None:
    for number in range(3):
        record(world, f"key {number}", FAILED)
    place = s3rctl("failed", "list", "--limit", "1", "--json").json["after"]
    answer = s3rctl("failed", "list", "--destination", TWO, "--after", place)
    assert answer.code == 2
    assert ONE in answer.err


def spill(world: World, key: str, version_id: str, row: Row) -> None:
    """A row that is an item of its own."""
    world.dynamodb.put_item(
        TableName=TABLE, Item=row_item(LedgerKey(ONE, key), f"{SOURCE}/{key}", 1, version_id, row)
    )


def test_a_row_that_has_spilled_is_listed_unless_the_head_knows_a_newer_one(
    world: World, s3rctl: Tool
) -> None:
    record(world, "key", COMPLETED)
    spill(world, "key", "v1", FAILED)
    spill(world, "key", "v0", FAILED)
    assert [version["versionId"] for version in listed(s3rctl)] == ["v0"]


def test_a_terminal_sees_no_control_character_of_a_key(world: World, s3rctl: Tool) -> None:
    record(world, "a\x1b[2Jb", FAILED)
    assert "a\\x1b[2Jb" in s3rctl("failed", "list").out


# -- count


def test_what_failed_is_counted_by_reason(world: World, s3rctl: Tool) -> None:
    for number in range(3):
        record(world, f"key {number}", replace(FAILED, last_failure=NOW - number), WAITING)
    record(world, "key", FAILED, destination=TWO)
    told = s3rctl("failed", "count", "--json")
    assert told.code == 0
    assert told.json["count"] == 7
    assert [(g["destination"], g["status"], g["reason"], g["count"]) for g in told.json["groups"]] == [
        (ONE, "FAILED", "DstBucketNotFound", 3),
        (ONE, "PENDING", "Throttled", 3),
        (TWO, "FAILED", "DstBucketNotFound", 1),
    ]
    assert told.json["groups"][0]["oldest"] == "2027-01-15T07:59:58.000+00:00"
    table = s3rctl("failed", "count", "--destination", TWO).out.splitlines()
    assert table[0].split() == ["DESTINATION", "STATUS", "REASON", "VERSIONS", "OLDEST"]
    assert table[1].split()[:4] == [TWO, "FAILED", "DstBucketNotFound", "1"]


def test_there_may_be_nothing_to_count(s3rctl: Tool) -> None:
    assert s3rctl("failed", "count").out == "Nothing that matches is open\n"
    assert s3rctl("failed", "count", "--json").json == {"count": 0, "groups": []}


# -- retry


def sent(world: World) -> list[tuple[str, str]]:
    """Key and destination of what waits for the function that settles."""
    records = [json.loads(body)["Records"][0] for body in world.take("dead-letter")]
    return sorted((r["s3"]["object"]["key"], r["s3replicator"]["destination"]) for r in records)


def test_what_failed_arrives_once_the_cause_is_removed(world: World, s3rctl: Tool) -> None:
    world.s3.delete_bucket(Bucket=TWO)
    world.deliver(world.put("a key"))
    where: Any = {"LocationConstraint": "eu-west-1"}
    world.s3.create_bucket(Bucket=TWO, CreateBucketConfiguration=where)
    world.s3.put_bucket_versioning(Bucket=TWO, VersioningConfiguration={"Status": "Enabled"})
    answer = s3rctl("failed", "retry", "--reason", "DstBucketNotFound", "--yes")
    assert answer.code == 0
    assert "1 version sent to be tried again" in answer.out
    world.drain()
    assert world.versions("a key", TWO) == ["content"]
    assert listed(s3rctl) == []


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--dry-run", "--yes"]])
def test_nothing_is_sent_without_yes(world: World, s3rctl: Tool, options: list[str]) -> None:
    record(world, "key", FAILED)
    answer = s3rctl("failed", "retry", "--all", *options)
    assert answer.code == 0
    assert "DstBucketNotFound" in answer.out
    assert "1 version would be retried" in answer.out
    told = s3rctl("failed", "retry", "--all", "--json", *options).json
    assert (told["done"], told["count"], told["sent"]) == (False, 1, 0)
    assert sent(world) == []


def test_only_what_was_selected_is_sent(world: World, s3rctl: Tool) -> None:
    record(world, "a", FAILED)
    record(world, "b", WAITING)
    record(world, "c", FAILED, destination=TWO)
    told = s3rctl("failed", "retry", "--status", "FAILED", "--destination", ONE, "--yes", "--json")
    assert (told.code, told.json["done"], told.json["sent"], told.json["complete"]) == (0, True, 1, True)
    assert sent(world) == [("a", ONE)]
    s3rctl("failed", "retry", "--all", "--yes")
    assert sent(world) == [("a", ONE), ("b", ONE), ("c", TWO)]


def test_what_no_event_can_put_right_is_left_alone(world: World, s3rctl: Tool) -> None:
    record(world, "locked", replace(COMPLETED, reason="DstObjectLocked"))
    answer = s3rctl("failed", "retry", "--all", "--yes")
    assert (answer.code, answer.out) == (1, "Nothing that matches can be retried\n")
    owing = replace(COMPLETED, reason="Throttled", owed=frozenset({ChangeKind.TAGGED}))
    record(world, "owing", owing)
    assert s3rctl("failed", "retry", "--all", "--yes").code == 0
    assert sent(world) == [("owing", ONE)]


def test_a_retry_can_be_short_and_says_so(world: World, s3rctl: Tool) -> None:
    for number in range(5):
        record(world, f"key{number}", FAILED)
    answer = s3rctl("failed", "retry", "--all", "--limit", "2", "--yes")
    assert answer.code == 0
    assert "2 versions sent" in answer.out
    assert "There is more" in answer.err
    assert len(sent(world)) == 2


def test_no_more_are_sent_in_a_second_than_was_said(
    world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def sleep(_: Any, seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.now", lambda _: now[0])
    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", sleep)
    for number in range(21):
        record(world, f"key{number}", FAILED)
    assert s3rctl("failed", "retry", "--all", "--rate", "10", "--yes").code == 0
    assert now[0] == pytest.approx(2.0)
    assert len(sent(world)) == 21


def test_a_queue_that_takes_no_more_is_told_of(world: World, s3rctl: Tool) -> None:
    for number in range(3):
        record(world, f"key{number}", FAILED)
    with faults(Fault("SendMessage", status=403, code="AccessDenied", times=9)):
        answer = s3rctl("failed", "retry", "--all", "--yes")
    assert answer.code == 1
    assert "0 versions sent" in answer.out
    assert "AccessDenied" in answer.err


@pytest.mark.parametrize(
    "wrong", [[], ["--yes"], ["--all", "--reason", "x"], ["--all", "--destination", ONE]]
)
def test_a_selection_must_be_plain(capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    answer = Tool(capsys)("failed", "retry", *wrong)
    assert answer.code == 2
    assert "which versions?" in answer.err


@pytest.mark.parametrize("command", ["list", "count", "retry"])
def test_a_destination_the_stack_does_not_have_is_refused(s3rctl: Tool, command: str) -> None:
    answer = s3rctl("failed", command, "--destination", "elsewhere")
    assert answer.code == 2
    assert f"which has {ONE}, {TWO}" in answer.err
