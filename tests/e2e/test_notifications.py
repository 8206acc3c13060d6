"""The way events take from a bucket to its stack, beside what others have set up there."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

import pytest

from tests.e2e.deployments import Deployment
from tests.e2e.world import DOOMED, SOURCE, World, wait_until

EVENTBRIDGE: Final = "EventBridgeConfiguration"
#: No account's, so nothing is delivered there; what counts is that the entry stays.
FUNCTION: Final = "arn:aws:lambda:us-east-1:000000000000:function:theirs"


@dataclass
class Theirs:
    """A bucket that is somebody's, and their queue, which may get their own entries' records."""

    world: World
    bucket: str = field(init=False)
    replicas: str = field(init=False)
    queue: str = field(init=False)
    queue_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.bucket, self.replicas = f"theirs-{self.world.name}", f"theirs-{self.world.name}-replicas"
        for name in (self.bucket, self.replicas):
            self.world.make_bucket(name)
        sqs = self.world.sqs
        self.queue_url = sqs.create_queue(QueueName=self.bucket)["QueueUrl"]
        self.queue = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        sending = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.queue,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [sending]})
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": policy})

    def set_up(self, configuration: Any) -> dict[str, Any]:
        """Returns what is there then."""
        self.world.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration, SkipDestinationValidation=True
        )
        return self.notifications()

    def notifications(self) -> dict[str, Any]:
        return notifications(self.world, self.bucket)

    def entry(self, name: str, *events: str, **more: Any) -> dict[str, Any]:
        return {"Id": name, "QueueArn": self.queue, "Events": list(events), **more}

    def parameters(self, **more: str) -> dict[str, str]:
        return {
            "SourceBucket": self.bucket,
            "Destinations": self.replicas,
            "DefaultRule": "Enabled",
            **more,
        }

    def remove(self) -> None:
        for name in (self.bucket, self.replicas):
            self.world.empty(name)
            self.world.s3.delete_bucket(Bucket=name)
        self.world.sqs.delete_queue(QueueUrl=self.queue_url)


@pytest.fixture
def theirs(world: World) -> Iterator[Theirs]:
    found = Theirs(world)
    yield found
    found.remove()


@contextmanager
def deployment(world: World, **parameters: str) -> Iterator[Deployment]:
    """Under way; deleted again."""
    made = Deployment(world, f"events-{world.name}").create(**parameters)
    try:
        yield made
    finally:
        made.ended()
        made.delete()


def notifications(world: World, bucket: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(world.s3.get_bucket_notification_configuration(Bucket=bucket))
    del found["ResponseMetadata"]
    return found


def without(configuration: dict[str, Any], stack: str) -> dict[str, Any]:
    kept = {
        kind: [entry for entry in entries if entry["Id"] != f"s3-replicator-{stack}"]
        for kind, entries in configuration.items()
        if kind != EVENTBRIDGE
    }
    return {kind: entries for kind, entries in kept.items() if entries}


@pytest.mark.parametrize("eventbridge", [False, True], ids=["EventBridge off", "EventBridge on"])
def test_deployed_changed_and_deleted_a_stack_leaves_what_they_have_as_it_was(
    world: World, theirs: Theirs, eventbridge: bool
) -> None:
    in_folder = {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}]}}
    before = theirs.set_up(
        {
            "QueueConfigurations": [
                theirs.entry("restores", "s3:ObjectRestore:Completed"),
                theirs.entry("expired", "s3:LifecycleExpiration:*", Filter=in_folder),
            ],
            "LambdaFunctionConfigurations": [
                {"Id": "moved", "LambdaFunctionArn": FUNCTION, "Events": ["s3:LifecycleTransition"]}
            ],
            **({EVENTBRIDGE: {}} if eventbridge else {}),
        }
    )
    entries = without(before, "nobody's")
    with deployment(world, **theirs.parameters()) as stack:
        stack.deployed()
        assert without(theirs.notifications(), stack.name) == entries
        assert theirs.notifications() != before
        for change in ({"LogLevel": "WARNING"}, {"EventSource": "EventBridge"}, {"LogLevel": "INFO"}):
            stack.update(**change).deployed()
            assert without(theirs.notifications(), stack.name) == entries
        # By EventBridge there is nothing of ours beside them.
        assert theirs.notifications() == {**before, EVENTBRIDGE: {}}
        stack.update(EventSource="Notification").deployed()
        assert without(theirs.notifications(), stack.name) == entries
    # EventBridge alone may be on that was not: others may live on it by now.
    assert theirs.notifications() == {**before, EVENTBRIDGE: {}}


def test_a_stack_that_never_used_eventbridge_leaves_it_as_it_was(world: World, theirs: Theirs) -> None:
    before = theirs.set_up(
        {"QueueConfigurations": [theirs.entry("restores", "s3:ObjectRestore:*")], EVENTBRIDGE: {}}
    )
    with deployment(world, **theirs.parameters()) as stack:
        stack.deployed()
        assert EVENTBRIDGE in theirs.notifications()
    assert theirs.notifications() == before


def test_an_entry_in_the_way_fails_the_deployment_which_names_it(world: World, theirs: Theirs) -> None:
    before = theirs.set_up({"QueueConfigurations": [theirs.entry("uploads", "s3:ObjectCreated:Put")]})
    with deployment(world, **theirs.parameters()) as stack:
        assert stack.ended() == "ROLLBACK_COMPLETE"
        [reason] = stack.refusals("BucketSetup")
    assert f"In the way: uploads (s3:ObjectCreated:Put, to {theirs.queue})" in reason
    assert "EventSource=EventBridge" in reason
    assert theirs.notifications() == before


def test_a_second_stack_at_the_same_bucket_is_told_which_one_is_there(world: World) -> None:
    before = notifications(world, SOURCE)
    with deployment(world, SourceBucket=SOURCE, Destinations=DOOMED) as stack:
        assert stack.ended() == "ROLLBACK_COMPLETE"
        [reason] = stack.refusals("BucketSetup")
    assert "In the way: s3-replicator-s3-replicator (" in reason
    assert "Stack s3-replicator replicates from this bucket already" in reason
    assert notifications(world, SOURCE) == before


def test_by_eventbridge_everything_is_replicated_that_notifications_tell_of(
    world: World, theirs: Theirs
) -> None:
    """Beside an entry that a notification of ours would overlap with, and that goes on being served."""
    before = theirs.set_up({"QueueConfigurations": [theirs.entry("uploads", "s3:ObjectCreated:*")]})
    key, s3 = "in/red flower+leaf 100%.jpg", world.s3
    with deployment(world, **theirs.parameters(EventSource="EventBridge")) as stack:
        there = World(stack.deployed())
        assert theirs.notifications() == {**before, EVENTBRIDGE: {}}

        version = there.put(key, b"one", Tagging="a=1")
        replica = there.arrives(theirs.replicas, key, version)
        tagging: Any = {"TagSet": [{"Key": "b", "Value": "2"}]}
        s3.put_object_tagging(Bucket=theirs.bucket, Key=key, VersionId=version, Tagging=tagging)
        wait_until(lambda: tags(world, theirs.replicas, key, replica) == {"b": "2"}, "the tags have followed")
        s3.delete_object_tagging(Bucket=theirs.bucket, Key=key, VersionId=version)
        wait_until(lambda: tags(world, theirs.replicas, key, replica) == {}, "and are gone")
        there.arrives(theirs.replicas, key, there.put_parts(key, [b"two"]))
        there.delete(key)
        wait_until(lambda: world.is_hidden(theirs.replicas, key), "the delete marker has arrived")
        there.converges(theirs.replicas, key)

        # A message that came by EventBridge and cannot be read is seen.
        there.send_text(json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": key}))
        [letter] = there.is_parked(key)
        assert letter.reason == "UnreadableEvent"
        there.clear_parked()
    assert theirs.notifications() == {**before, EVENTBRIDGE: {}}
    assert world.sqs.receive_message(QueueUrl=theirs.queue_url)["Messages"]


def tags(world: World, bucket: str, key: str, version: str) -> dict[str, str]:
    told = world.s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in told}


def test_nothing_is_missed_while_the_way_is_changed(world: World, theirs: Theirs) -> None:
    with deployment(world, **theirs.parameters()) as stack:
        there = World(stack.deployed())
        with writing(lambda number: there.put(f"moving/{number}", b"x")) as written:
            for source in ("EventBridge", "Notification"):
                changing = stack.update(EventSource=source)
                more_is_written(written)
                changing.deployed()
        for number, version in enumerate(written):
            there.arrives(theirs.replicas, f"moving/{number}", version)
            assert len(world.versions(theirs.replicas, f"moving/{number}")) == 1
        there.becomes_quiet()


def more_is_written(written: list[str]) -> None:
    before = len(written)
    wait_until(lambda: len(written) > before, "another object has been written")


@contextmanager
def writing(write: Callable[[int], str]) -> Iterator[list[str]]:
    """Some objects a second; yields their version ids, which are all there at the end."""
    written: list[str] = []
    ended = Event()

    def go_on() -> None:
        while not ended.is_set():
            written.append(write(len(written)))
            time.sleep(0.2)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(go_on)
        try:
            yield written
        finally:
            ended.set()
        running.result()
