"""What waits for an operator, seen, retried and dropped: ``s3rctl parked``."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from s3replicator.adapters import parked_queue
from s3replicator.adapters.parked_queue import SqsParkedQueue
from s3replicator.adapters.runtime import Threads
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import ONE, SOURCE, TWO, World


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    # moto has one server, which need not be waited for.
    monkeypatch.setattr(parked_queue, "_WAIT", 0)
    deploy(world)
    return Tool(capsys)


@pytest.fixture
def park(world: World) -> Callable[[str], dict[str, Any]]:
    """Parks a version through the functions: its second destination is gone."""

    def parked(key: str) -> dict[str, Any]:
        if any(bucket["Name"] == TWO for bucket in world.s3.list_buckets()["Buckets"]):
            world.s3.delete_bucket(Bucket=TWO)
        event = world.put(key)
        world.deliver(event)
        return event

    return parked


def put_back(world: World) -> None:
    where: Any = {"LocationConstraint": "eu-west-1"}
    world.s3.create_bucket(Bucket=TWO, CreateBucketConfiguration=where)
    world.s3.put_bucket_versioning(Bucket=TWO, VersioningConfiguration={"Status": "Enabled"})


def visible(world: World, queue: str = "parked") -> int:
    answer = world.sqs.get_queue_attributes(
        QueueUrl=world.queues[queue], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def listed(s3rctl: Tool, *options: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = s3rctl("parked", "list", "--json", *options).json["messages"]
    return messages


Park = Callable[[str], dict[str, Any]]


# -- list and show


def test_a_parked_message_says_what_it_is_about_and_why(world: World, s3rctl: Tool, park: Park) -> None:
    event = park("a key+%2B")
    [message] = listed(s3rctl)
    assert message["reason"] == "DstBucketNotFound"
    assert message["destination"] == TWO
    assert (message["bucket"], message["key"]) == (SOURCE, "a key+%2B")
    assert message["versionId"] == event["Records"][0]["s3"]["object"]["versionId"]
    assert message["rule"] == f"everything-to-{TWO}"
    assert message["attempts"] == 1
    assert message["firstFailure"] == message["lastFailure"] is not None
    assert message["requestId"]
    assert "NoSuchBucket" in message["detail"]
    assert message["parkedAt"]
    assert message["readable"] is True
    table = s3rctl("parked", "list").out
    for told in (message["id"][:8], "DstBucketNotFound", TWO, "a key+%2B", message["versionId"]):
        assert told in table


def test_a_version_from_before_versioning_is_called_as_s3_calls_it(world: World, s3rctl: Tool) -> None:
    body = json.dumps(world.event("ObjectCreated:Put", "key", "null@1700000000-0123456789abcdef"))
    world.sqs.send_message(QueueUrl=world.queues["parked"], MessageBody=body)
    [message] = listed(s3rctl)
    assert message["versionId"] == "null"
    assert "null@" not in s3rctl("parked", "list").out


def test_an_empty_queue_is_listed_as_empty(s3rctl: Tool) -> None:
    answer = s3rctl("parked", "list")
    assert (answer.code, answer.out) == (0, "Nothing is parked\n")
    assert s3rctl("parked", "list", "--json").json == {"messages": [], "complete": True}


def test_looking_takes_nothing_away(world: World, s3rctl: Tool, park: Park) -> None:
    for number in range(25):
        park(f"key {number}")
    assert visible(world) == 25
    for _ in range(2):
        assert {message["key"] for message in listed(s3rctl)} == {f"key {n}" for n in range(25)}
        assert visible(world) == 25


def test_the_oldest_comes_first(world: World, s3rctl: Tool, park: Park) -> None:
    for number in range(12):
        park(f"key {number:02}")
    assert [message["key"] for message in listed(s3rctl)] == [f"key {n:02}" for n in range(12)]


def test_a_listing_can_be_short_and_says_so(world: World, s3rctl: Tool, park: Park) -> None:
    for number in range(12):
        park(f"key {number}")
    answer = s3rctl("parked", "list", "--json", "--limit", "3")
    assert len(answer.json["messages"]) == 3
    assert answer.json["complete"] is False
    assert "more" in s3rctl("parked", "list", "--limit", "3").err
    assert visible(world) == 12
    for wrong in ("0", "-1", "x", "1.5"):
        assert s3rctl("parked", "list", "--limit", wrong).code == 2


def test_a_listing_can_be_narrowed(world: World, s3rctl: Tool, park: Park) -> None:
    park("key")
    world.deliver("no event at all")
    assert [m["key"] for m in listed(s3rctl, "--reason", "DstBucketNotFound")] == ["key"]
    assert [m["key"] for m in listed(s3rctl, "--destination", TWO)] == ["key"]
    assert [m["key"] for m in listed(s3rctl, "--reason", "UnreadableEvent")] == [None]
    assert listed(s3rctl, "--destination", ONE) == []


@pytest.mark.parametrize(
    "body", ["not JSON \u202e", "[]", "{}", '{"Records": [{"s3": 1}]}', '{"Records": [1]}']
)
def test_what_nobody_can_read_is_listed_as_such(world: World, s3rctl: Tool, body: str) -> None:
    world.deliver(body)
    [message] = listed(s3rctl)
    assert message["readable"] is False
    assert message["reason"] == "UnreadableEvent"
    assert message["detail"]
    assert message["key"] is None
    shown = s3rctl("parked", "list").out
    assert "unreadable" in shown
    assert "\u202e" not in shown


def test_a_message_that_came_by_another_way_is_listed_too(world: World, s3rctl: Tool) -> None:
    """The queues' own redrive, the net below everything, adds nothing to a message."""
    first, second = world.put("first"), world.put("second")
    body = {"Records": [*first["Records"], *second["Records"]]}
    world.sqs.send_message(QueueUrl=world.queues["parked"], MessageBody=json.dumps(body))
    [message] = listed(s3rctl)
    assert (message["key"], message["records"], message["reason"]) == ("first", 2, None)
    assert "first (and 1 more)" in s3rctl("parked", "list").out


def test_a_terminal_sees_no_control_character_of_a_message(world: World, s3rctl: Tool, park: Park) -> None:
    park("a\x1b[2Jb\nc")
    for command in (["list"], ["show", listed(s3rctl)[0]["id"]], ["retry", "--all"]):
        shown = s3rctl("parked", *command).out
        assert "\x1b" not in shown
        assert "a\\x1b[2Jb\\nc" in shown


def test_one_message_is_shown_in_full(world: World, s3rctl: Tool, park: Park) -> None:
    park("key")
    [listed_as] = listed(s3rctl)
    short = listed_as["id"][:8]
    answer = s3rctl("parked", "show", short, "--json")
    assert answer.code == 0
    assert listed_as.items() <= answer.json.items()
    assert json.loads(answer.json["body"])["Records"][0]["s3replicator"]["destination"] == TWO
    assert answer.json["attributes"]["reason"] == "DstBucketNotFound"
    text = s3rctl("parked", "show", short).out
    for told in ("NoSuchBucket", listed_as["requestId"], '"Records"'):
        assert told in text
    assert visible(world) == 1


def test_an_id_must_be_that_of_one_message(world: World, s3rctl: Tool, park: Park) -> None:
    park("one")
    park("two")
    assert s3rctl("parked", "show", "no-such-id").code == 1
    ambiguous = s3rctl("parked", "show", "")
    assert ambiguous.code == 2
    assert "several" in ambiguous.err
    known = listed(s3rctl)[0]["id"]
    assert s3rctl("parked", "drop", known, "no-such-id", "--yes").code == 1
    assert visible(world) == 2


# -- retry


def test_a_retried_message_arrives_once_the_cause_is_removed(world: World, s3rctl: Tool, park: Park) -> None:
    park("key")
    put_back(world)
    [parked] = listed(s3rctl)
    body = s3rctl("parked", "show", parked["id"], "--json").json["body"]
    answer = s3rctl("parked", "retry", parked["id"][:8], "--yes")
    assert (answer.code, answer.out) == (0, "1 message retried\n")
    assert listed(s3rctl) == []
    [sent] = world.take("ingest")
    assert sent == body
    world.deliver(sent)
    assert world.versions("key", TWO) == ["content"]
    assert world.versions("key", ONE) == ["content"]


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_nothing_changes_without_yes(world: World, s3rctl: Tool, park: Park, action: str) -> None:
    park("one")
    park("two")
    answer = s3rctl("parked", action, "--all")
    assert answer.code == 0
    assert "one" in answer.out
    assert "--yes" in answer.out
    told = s3rctl("parked", action, "--all", "--json").json
    assert told["done"] is False
    assert len(told["messages"]) == 2
    assert visible(world) == 2
    assert visible(world, "ingest") == 0


def test_messages_are_chosen_by_reason_and_destination(world: World, s3rctl: Tool, park: Park) -> None:
    park("one")
    park("two")
    world.deliver("no event at all")
    assert s3rctl("parked", "retry", "--destination", ONE, "--yes").code == 1
    answer = s3rctl(
        "parked", "retry", "--reason", "DstBucketNotFound", "--destination", TWO, "--yes", "--json"
    )
    assert answer.code == 0
    assert answer.json["done"] is True
    assert {m["key"] for m in answer.json["messages"]} == {"one", "two"}
    assert all(m["result"]["status"] == "retried" for m in answer.json["messages"])
    assert len(world.take("ingest")) == 2
    assert [m["reason"] for m in listed(s3rctl)] == ["UnreadableEvent"]


def test_everything_can_be_retried_at_once(world: World, s3rctl: Tool, park: Park) -> None:
    for number in range(23):
        park(f"key {number}")
    put_back(world)
    assert s3rctl("parked", "retry", "--all", "--yes").out == "23 messages retried\n"
    assert visible(world) == 0
    world.deliver(*world.take("ingest"))
    assert all(world.versions(f"key {number}", TWO) == ["content"] for number in range(23))


@pytest.mark.parametrize("wrong", [[], ["--yes"], ["id", "--all"], ["id", "--reason", "x"]])
@pytest.mark.parametrize("action", ["retry", "drop"])
def test_a_selection_must_be_plain(capsys: pytest.CaptureFixture[str], action: str, wrong: list[str]) -> None:
    assert Tool(capsys)("parked", action, *wrong).code == 2


def test_there_may_be_nothing_to_retry(s3rctl: Tool) -> None:
    answer = s3rctl("parked", "retry", "--all", "--yes")
    assert (answer.code, answer.out) == (1, "Nothing parked matches\n")


def test_a_message_whose_successor_is_refused_stays(world: World, s3rctl: Tool, park: Park) -> None:
    park("key")
    world.sqs.delete_queue(QueueUrl=world.queues["ingest"])
    answer = s3rctl("parked", "retry", "--all", "--yes")
    assert answer.code == 1
    assert "stays parked" in answer.err
    assert "0 messages retried" in answer.out
    assert visible(world) == 1
    told = s3rctl("parked", "retry", "--all", "--yes", "--json")
    assert told.code == 1
    [message] = told.json["messages"]
    assert message["result"]["status"] == "failed"
    assert (message["result"]["sent"], message["result"]["removed"]) == (False, False)
    assert visible(world) == 1


def test_of_several_messages_only_the_accepted_ones_go(
    world: World, s3rctl: Tool, park: Park, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        park(f"key {number}")
    refused = listed(s3rctl)[2]["id"]
    send_round = SqsParkedQueue.send_round

    def send_all_but_one(self: SqsParkedQueue, message: Any) -> None:
        if message.id == refused:
            monkeypatch.setattr(self, "_ingest", "http://sqs.us-east-1.amazonaws.com/123456789012/gone")
        send_round(self, message)

    def one_after_the_other(_: Any, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in sorted(items, key=lambda item: item.id == refused)]

    monkeypatch.setattr(SqsParkedQueue, "send_round", send_all_but_one)
    monkeypatch.setattr("s3replicator.adapters.runtime.Threads.map", one_after_the_other)
    answer = s3rctl("parked", "retry", "--all", "--yes")
    assert answer.code == 1
    assert "3 messages retried" in answer.out
    assert refused in answer.err
    assert [message["id"] for message in listed(s3rctl)] == [refused]
    assert visible(world, "ingest") == 3


def test_a_message_sent_and_not_removed_is_told_of(
    world: World, s3rctl: Tool, park: Park, monkeypatch: pytest.MonkeyPatch
) -> None:
    park("key")
    make_client = boto3.session.Session.client

    def client(self: Any, service: str, *arguments: Any, **options: Any) -> Any:
        made = make_client(self, service, *arguments, **options)  # type: ignore[call-overload]  # any service
        if service == "sqs":
            made.meta.events.register("before-send.sqs.DeleteMessage", refuse)
        return made

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteMessage")

    monkeypatch.setattr(boto3.session.Session, "client", client)
    answer = s3rctl("parked", "retry", "--all", "--yes")
    assert answer.code == 1
    assert "still parked" in answer.err
    assert visible(world) == 1
    assert visible(world, "ingest") == 1


# -- drop


def test_a_dropped_message_is_gone_and_the_ledger_still_knows(world: World, s3rctl: Tool, park: Park) -> None:
    park("one")
    park("two")
    one = next(message["id"] for message in listed(s3rctl) if message["key"] == "one")
    answer = s3rctl("parked", "drop", one, "--yes")
    assert (answer.code, answer.out) == (0, "1 message dropped\n")
    assert [message["key"] for message in listed(s3rctl)] == ["two"]
    assert visible(world, "ingest") == 0
    [version] = s3rctl("status", f"s3://{SOURCE}/one", "--json").json["versions"]
    assert version["status"] == "FAILED"


# -- interruptions


def test_an_interrupted_command_gives_back_what_it_holds(
    world: World, s3rctl: Tool, park: Park, monkeypatch: pytest.MonkeyPatch
) -> None:
    park("key")
    take = SqsParkedQueue.take

    def take_and_be_interrupted(self: SqsParkedQueue) -> Any:
        found = take(self)
        if not found:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(SqsParkedQueue, "take", take_and_be_interrupted)
    assert s3rctl("parked", "retry", "--all", "--yes").code == 130
    assert visible(world) == 1


# -- queues that are longer than can be looked at


@pytest.fixture
def long_queue(world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Thirty messages, of which a command sees ten or so; their ids."""
    body = json.dumps(world.event("ObjectCreated:Put", "key", "v"))
    sent = [
        world.sqs.send_message(QueueUrl=world.queues["parked"], MessageBody=body)["MessageId"]
        for _ in range(30)
    ]
    for name in ("_MOST", "_MOST_AT_ONCE"):
        monkeypatch.setattr(f"s3rctl.parked.{name}", 10)
    return sent


def test_what_was_not_looked_at_is_not_denied(s3rctl: Tool, long_queue: list[str]) -> None:
    for command in (["show", "zzz"], ["retry", "zzz", "--yes"], ["drop", "zzz", "--yes"]):
        answer = s3rctl("parked", *command)
        assert answer.code == 1
        assert "only 10 messages of the queue were looked at" in answer.err
        assert "it may be among the others" in answer.err
        assert "no parked message has" not in answer.err
    for command in (["list", "--reason", "X"], ["retry", "--reason", "X"]):
        answer = s3rctl("parked", *command)
        assert answer.out == "Nothing that was looked at matches\n"
        assert "Only 10 messages of the queue were looked at" in answer.err


def test_half_an_id_of_part_of_a_queue_is_not_acted_upon(
    world: World, s3rctl: Tool, long_queue: list[str]
) -> None:
    seen = s3rctl("parked", "list", "--limit", "5", "--json").json["messages"][0]["id"]
    answer = s3rctl("parked", "drop", seen[:8], "--yes")
    if answer.code == 2:
        assert "give the whole id" in answer.err
    assert s3rctl("parked", "show", seen[:8]).code in (0, 1)
    assert visible(world) == 30


def test_a_whole_id_is_looked_for_as_far_as_the_queue_goes(
    world: World, s3rctl: Tool, long_queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3rctl.parked._MOST", 100_000)
    for wanted in (long_queue[0], long_queue[29]):
        answer = s3rctl("parked", "show", wanted, "--json")
        assert answer.json["id"] == wanted
        assert "Only" not in answer.err
        assert visible(world) == 30
    answer = s3rctl("parked", "drop", long_queue[29], "--yes")
    assert answer.out == "1 message dropped\n"
    assert visible(world) == 29


def test_a_long_queue_is_read_by_many_requests_at_a_time(
    world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        world.sqs.send_message(QueueUrl=world.queues["parked"], MessageBody=str(number))
    rounds = []
    mapped = Threads.map

    def counted(self: Threads, function: Any, items: Any) -> Any:
        rounds.append(len(list(items)))
        return mapped(self, function, items)

    monkeypatch.setattr(Threads, "map", counted)
    assert len(listed(s3rctl, "--limit", "1000")) == 200
    assert rounds[:4] == [2, 4, 8, 16]
    assert visible(world) == 200
