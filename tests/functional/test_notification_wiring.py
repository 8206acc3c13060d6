"""What an operator is told of the source's notifications, and what the tool puts right there."""

import time
from typing import Any

import pytest

from s3replicator.decisions.deployment import BucketRefused, SetupRefused
from s3replicator.decisions.notifications import EVENTBRIDGE, EVENTS
from s3replicator.decisions.stack import StackUnusable
from s3replicator.operator_wiring import operator_of
from s3replicator.usecases.notification_wiring import NotificationWiring
from tests.functional.s3rctl_tool import STACK, deploy
from tests.functional.world import SOURCE, World

QUEUE = "arn:aws:sqs:us-east-1:123456789012:ingest"
OURS: dict[str, Any] = {"Id": f"s3-replicator-{STACK}", "QueueArn": QUEUE, "Events": list(EVENTS)}
THEIRS: dict[str, Any] = {
    "Id": "theirs",
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:theirs",
    "Events": ["s3:ObjectRestore:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
}
IN_THE_WAY: dict[str, Any] = {
    "Id": "uploads",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads",
    "Events": ["s3:ObjectCreated:*"],
}


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def deployed(world: World, event_source: str | None = None) -> NotificationWiring:
    """Without an event source, of a release that had no such parameter."""
    deploy(world, parameters={"EventSource": event_source} if event_source else {}, IngestQueueArn=QUEUE)
    return operator_of(STACK, None).wiring()


def put(world: World, *queues: dict[str, Any], **more: Any) -> None:
    world.s3.put_bucket_notification_configuration(
        Bucket=SOURCE,
        NotificationConfiguration={"QueueConfigurations": list(queues), **more},
        SkipDestinationValidation=True,
    )


def found(world: World) -> dict[str, Any]:
    told: dict[str, Any] = dict(world.s3.get_bucket_notification_configuration(Bucket=SOURCE))
    del told["ResponseMetadata"]
    return told


@pytest.mark.parametrize("event_source", [None, "Notification"])
def test_an_entry_that_is_as_it_should_be_is_no_problem(world: World, event_source: str | None) -> None:
    put(world, THEIRS, {**OURS, "Events": list(reversed(EVENTS))})
    before = found(world)
    wiring = deployed(world, event_source)
    assert wiring.problem() is None
    wiring.repair()
    assert found(world) == before


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param([], "has no notification entry", id="taken out"),
        pytest.param([{**OURS, "QueueArn": f"{QUEUE}-old"}], f"sends to {QUEUE}-old instead of", id="queue"),
        pytest.param(
            [{**OURS, "Events": ["s3:ObjectCreated:*"]}],
            "names the events s3:ObjectCreated:* instead of",
            id="events",
        ),
        pytest.param(
            [{**OURS, "Filter": THEIRS["Filter"]}], "is only for keys with prefix 'in/'", id="filter"
        ),
    ],
)
def test_an_entry_that_is_not_is_told_of_and_put_right_beside_theirs(
    world: World, there: list[dict[str, Any]], told: str
) -> None:
    put(world, THEIRS, *there, EventBridgeConfiguration={})
    wiring = deployed(world, "Notification")

    problem = wiring.problem()
    wiring.repair()

    assert problem is not None
    assert problem.startswith(f"Bucket {SOURCE} has")
    assert told in problem
    assert problem.endswith("s3rctl check --fix puts it right.")
    assert found(world) == {"QueueConfigurations": [THEIRS, OURS], EVENTBRIDGE: {}}
    assert wiring.problem() is None


def test_an_entry_that_cannot_be_put_back_is_not_and_the_one_in_its_way_is_named(world: World) -> None:
    put(world, THEIRS, TopicConfigurations=[IN_THE_WAY])
    before = found(world)
    with pytest.raises(SetupRefused, match=r"In the way: uploads \(s3:ObjectCreated:\*, to arn:aws:sns:"):
        deployed(world).repair()
    assert found(world) == before


def test_eventbridge_that_was_switched_off_is_switched_on(world: World) -> None:
    """Whatever else there is, even where it would be in the way of an entry."""
    put(world, THEIRS, TopicConfigurations=[IN_THE_WAY])
    before = found(world)
    wiring = deployed(world, "EventBridge")
    assert wiring.problem() == (
        f"Bucket {SOURCE} does not send its events to EventBridge: s3rctl check --fix puts it right."
    )
    wiring.repair()
    assert found(world) == {**before, EVENTBRIDGE: {}}
    assert wiring.problem() is None


def test_a_former_entry_is_taken_out_only_once_eventbridge_has_had_time(world: World) -> None:
    put(world, THEIRS, OURS)
    wiring = deployed(world, "EventBridge")
    wiring.repair()
    assert found(world) == {"QueueConfigurations": [THEIRS, OURS], EVENTBRIDGE: {}}
    assert "sends every event twice" in (wiring.problem() or "")
    wiring.repair()
    assert found(world) == {"QueueConfigurations": [THEIRS], EVENTBRIDGE: {}}
    assert wiring.problem() is None


def test_a_bucket_that_is_gone_is_told(world: World) -> None:
    world.s3.delete_bucket(Bucket=SOURCE)
    with pytest.raises(BucketRefused, match="NoSuchBucket"):
        deployed(world).problem()


def test_a_stack_of_a_former_release_is_told_to_be_deployed_again(world: World) -> None:
    deploy(world)
    with pytest.raises(StackUnusable, match="no output IngestQueueArn"):
        operator_of(STACK, None).wiring()
