"""The commands that move messages, killed at each of their requests, before it is sent and before its answer
is heard: nothing is lost, and the same command, given again, does the rest.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import Queue, sqs_backends

from s3replicator.adapters import parked_queue
from tests.functional.faults import Kill, killed
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.test_s3rctl_failed import FAILED, record
from tests.functional.world import ONE, TABLE, World

#: More than one answer holds.
MESSAGES = 3


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr(parked_queue, "_WAIT", 0)
    monkeypatch.setattr(parked_queue, "_BATCH", MESSAGES - 1)
    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", lambda *_: None)
    deploy(world)
    return Tool(capsys)


def until_it_lives(run: Callable[[], Any], *, effect: bool) -> Iterator[Kill]:
    """Once for each request, until it sends no more than it may."""
    for at in range(1000):
        with killed(at, effect=effect) as kill:
            run()
        yield kill
        if kill.sent <= at:
            assert at > MESSAGES, "it was killed at every message"
            return
    raise AssertionError("it does not end")


def queue_of(world: World, name: str) -> Queue:
    return sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].queues[world.queues[name].rpartition("/")[2]]


def lies_in(world: World, name: str) -> list[str]:
    """The bodies in a queue, those that somebody holds included."""
    return [message.body for message in queue_of(world, name)._messages]


def let_go(world: World, name: str) -> None:
    """What somebody has held comes back: its time is over."""
    queue = queue_of(world, name)
    for message in queue._messages:
        message.visible_at = 0
    queue.pending_messages.clear()


@pytest.fixture
def parked(world: World) -> list[str]:
    """The bodies of messages of two reasons, the first one's first."""
    return [body(world, f"{number}") for number in range(MESSAGES)]


def body(world: World, key: str) -> str:
    event = world.event("ObjectCreated:Put", key, f"v{key}")
    return json.dumps({"Records": event["Records"]})


def fill(world: World, bodies: list[str]) -> None:
    for name in ("parked", "ingest"):
        queue_of(world, name)._messages.clear()
    for number, each in enumerate(bodies):
        reason = {"DataType": "String", "StringValue": "A" if number else "B"}
        world.sqs.send_message(
            QueueUrl=world.queues["parked"], MessageBody=each, MessageAttributes={"reason": reason}
        )


@pytest.mark.parametrize("effect", [False, True], ids=["before it is sent", "before its answer"])
def test_no_parked_message_is_lost_when_sending_it_round_is_killed(
    world: World, s3rctl: Tool, parked: list[str], effect: bool
) -> None:
    fill(world, parked)
    for _ in until_it_lives(lambda: s3rctl("parked", "retry", "--all", "--yes"), effect=effect):
        there = {*lies_in(world, "parked"), *lies_in(world, "ingest")}
        assert there == set(parked)
        let_go(world, "parked")
        s3rctl("parked", "retry", "--all", "--yes")
        assert lies_in(world, "parked") == []
        assert set(lies_in(world, "ingest")) == set(parked)
        fill(world, parked)


@pytest.mark.parametrize("effect", [False, True], ids=["before it is sent", "before its answer"])
def test_nothing_but_what_was_named_is_lost_when_dropping_is_killed(
    world: World, s3rctl: Tool, parked: list[str], effect: bool
) -> None:
    fill(world, parked)
    for _ in until_it_lives(lambda: s3rctl("parked", "drop", "--reason", "A", "--yes"), effect=effect):
        assert parked[0] in lies_in(world, "parked")
        assert lies_in(world, "ingest") == []
        let_go(world, "parked")
        s3rctl("parked", "drop", "--reason", "A", "--yes")
        let_go(world, "parked")
        assert lies_in(world, "parked") == parked[:1]
        fill(world, parked)


@pytest.mark.parametrize("effect", [False, True], ids=["before it is sent", "before its answer"])
def test_no_version_is_forgotten_when_trying_it_again_is_killed(
    world: World, s3rctl: Tool, effect: bool
) -> None:
    for number in range(MESSAGES):
        record(world, f"key {number}", FAILED)
    ledger = items(world)
    for _ in until_it_lives(lambda: s3rctl("failed", "retry", "--destination", ONE, "--yes"), effect=effect):
        assert items(world) == ledger
        s3rctl("failed", "retry", "--destination", ONE, "--yes")
        sent = Counter(key for each in lies_in(world, "dead-letter") for key in keys_in(each))
        assert set(sent) == {f"key+{number}" for number in range(MESSAGES)}
        queue_of(world, "dead-letter")._messages.clear()


def items(world: World) -> list[Any]:
    return sorted(world.dynamodb.scan(TableName=TABLE)["Items"], key=lambda item: str(item["pk"]))


def keys_in(body: str) -> list[str]:
    return [record["s3"]["object"]["key"] for record in json.loads(body)["Records"]]
