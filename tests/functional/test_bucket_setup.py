"""The custom resource as CloudFormation sees it: the real handler, and what it leaves in the buckets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from functions.bucket_setup import app
from s3replicator.adapters.bucket_admin import BucketAdmin
from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.notifications import EVENTBRIDGE, EVENTS, Configuration, EventSource
from s3replicator.usecases.bucket_setup import BucketSetup
from tests.functional.moto_notifications import notify_as_s3_does

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IDENTIFIER = "s3-replicator-stack"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:ingest"
USERS: dict[str, list[dict[str, Any]]] = {
    "QueueConfigurations": [
        {
            "Id": "restores",
            "QueueArn": "arn:aws:sqs:us-east-1:123456789012:users",
            "Events": ["s3:ObjectRestore:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
        }
    ],
    "LambdaFunctionConfigurations": [
        {
            "Id": "transitions",
            "LambdaFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:transitions",
            "Events": ["s3:LifecycleTransition"],
        }
    ],
}
CONTEXT = SimpleNamespace(log_group_name="/aws/lambda/stack/bucket-setup", log_stream_name="stream")


@dataclass
class CloudFormation:
    """The place answers are sent to; ``refusals`` are statuses it gives before it takes one."""

    url: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = stack.refusals.pop(0) if stack.refusals else 200
            if status == 200:
                stack.answers.append(json.loads(body))
                stack.content_types.append(self.headers["Content-Type"])
                stack.lengths.append(len(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stack = CloudFormation(f"http://127.0.0.1:{server.server_port}/answer?X-Amz-Signature=secret")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield stack
        server.shutdown()
        thread.join()


@dataclass
class World:
    s3: "S3Client"
    stack: CloudFormation

    def make(self, bucket: str, *, region: str = "us-east-1", versioning: str = "Enabled") -> None:
        if region == "us-east-1":
            self.s3.create_bucket(Bucket=bucket)
        else:
            place: Any = {"LocationConstraint": region}
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        if versioning:
            status: Any = {"Status": versioning}
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)

    def notifications(self, bucket: str = "source") -> dict[str, Any]:
        found: dict[str, Any] = dict(self.s3.get_bucket_notification_configuration(Bucket=bucket))
        del found["ResponseMetadata"]
        return found

    def set_notifications(self, configuration: Any, bucket: str = "source") -> None:
        self.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration, SkipDestinationValidation=True
        )

    def entries(self, bucket: str = "source") -> list[str]:
        return [entry["Id"] for entry in self.notifications(bucket).get("QueueConfigurations", [])]

    def configuration(self) -> str | None:
        found = self.s3.list_objects_v2(Bucket="control").get("Contents", [])
        if not found:
            return None
        return self.s3.get_object(Bucket="control", Key=found[0]["Key"])["Body"].read().decode()

    def send(self, kind: str, physical_id: str | None = None, **changes: Any) -> dict[str, Any]:
        """CloudFormation's request, and the answer it gets; ``old`` are OldResourceProperties."""
        old = changes.pop("old", {})
        properties = {
            "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bucket-setup",
            "SourceBucket": "source",
            "Destinations": ["near", "far:eu-west-1"],
            "NotificationId": IDENTIFIER,
            "QueueArn": QUEUE,
            "ControlBucket": "control",
            "DefaultRule": "Enabled",
            "EventSource": "Notification",
            "HandoverSeconds": "600",
            "Partition": "aws",
            "Region": "us-east-1",
        }
        request = {
            "RequestType": kind,
            "RequestId": "request",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/guid",
            "LogicalResourceId": "BucketSetup",
            "ResourceType": "Custom::BucketSetup",
            "ResponseURL": self.stack.url,
            "ResourceProperties": {
                name: value for name, value in (properties | changes).items() if value is not None
            },
        }
        if physical_id:
            request["PhysicalResourceId"] = physical_id
        if kind == "Update":
            former = properties | old
            request["OldResourceProperties"] = {n: value for n, value in former.items() if value is not None}
        before = len(self.stack.answers)
        app.handler(request, CONTEXT)
        assert len(self.stack.answers) == before + 1
        answer = self.stack.answers[-1]
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            assert answer[name] == request[name]
        return answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, cloudformation: CloudFormation) -> Iterator[World]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # Waiting is for AWS's sake and tested on its own below.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    notify_as_s3_does(monkeypatch)
    with mock_aws():
        app.dependencies.cache_clear()
        world = World(boto3.client("s3"), cloudformation)
        world.make("source")
        world.make("near")
        world.make("far", region="eu-west-1")
        world.make("control")
        users: Any = USERS
        world.s3.put_bucket_notification_configuration(Bucket="source", NotificationConfiguration=users)
        assert world.notifications() == USERS
        yield world


def test_a_new_stack_gets_its_entry_beside_the_users(world: World) -> None:
    answer = world.send("Create")

    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == IDENTIFIER
    found = world.notifications()
    ours = found["QueueConfigurations"].pop()
    assert found == USERS
    assert ours == {
        "Id": IDENTIFIER,
        "QueueArn": QUEUE,
        "Events": list(EVENTS),
    }


def test_the_entry_of_a_former_release_is_brought_up_to_date(world: World) -> None:
    former = {
        "Id": IDENTIFIER,
        "QueueArn": QUEUE,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
    }
    there: Any = {**USERS, "QueueConfigurations": [*USERS["QueueConfigurations"], former]}
    world.s3.put_bucket_notification_configuration(Bucket="source", NotificationConfiguration=there)

    answer = world.send("Update", IDENTIFIER, old={"NotificationEvents": former["Events"]})

    assert answer["Status"] == "SUCCESS"
    assert world.entries() == ["restores", IDENTIFIER]
    assert world.notifications()["QueueConfigurations"][1]["Events"] == list(EVENTS)


def test_the_rest_of_the_stack_learns_the_destinations_with_their_regions(world: World) -> None:
    assert world.send("Create", Destinations=["near", "far"])["Data"] == {
        "Destinations": "near:us-east-1,far:eu-west-1",
        "DestinationBucketArns": "arn:aws:s3:::near,arn:aws:s3:::far",
        "DestinationObjectArns": "arn:aws:s3:::near/*,arn:aws:s3:::far/*",
    }


def test_in_another_partition_the_arns_are_that_partitions(world: World) -> None:
    answer = world.send("Create", Partition="aws-cn")
    assert answer["Data"]["DestinationBucketArns"] == "arn:aws-cn:s3:::near,arn:aws-cn:s3:::far"
    assert '"arn:aws-cn:s3:::near"' in (world.configuration() or "")


def test_the_first_configuration_sends_every_new_object_everywhere(world: World) -> None:
    world.send("Create")

    text = world.configuration()
    assert text is not None
    assert len(parse(text, "source").rules) == 2
    rules = json.loads(text)["Rules"]
    assert [rule["Destination"]["Bucket"] for rule in rules] == ["arn:aws:s3:::near", "arn:aws:s3:::far"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert [rule["Filter"] for rule in rules] == [{}, {}]
    # What S3 itself takes, but for the role, which it asks for and we do not need.
    native: Any = {"Role": "arn:aws:iam::123456789012:role/replication", "Rules": rules}
    world.s3.put_bucket_replication(Bucket="source", ReplicationConfiguration=native)


def test_a_configuration_that_is_there_stays(world: World) -> None:
    world.s3.put_object(Bucket="control", Key=OBJECT_KEY, Body=b"the operator's")
    assert world.send("Create")["Status"] == "SUCCESS"
    assert world.configuration() == "the operator's"


def test_without_the_default_rule_no_configuration_is_written(world: World) -> None:
    assert world.send("Create", DefaultRule="Disabled")["Status"] == "SUCCESS"
    assert world.configuration() is None


@pytest.mark.parametrize(
    ("changes", "phrases"),
    [
        pytest.param(
            {"SourceBucket": "plain"},
            [
                "Source bucket plain has versioning off",
                "aws s3api put-bucket-versioning --bucket plain --region us-east-1"
                " --versioning-configuration Status=Enabled",
            ],
            id="source not versioned",
        ),
        pytest.param(
            {"Destinations": ["near", "paused"]},
            [
                "Destination bucket paused has versioning Suspended",
                "aws s3api put-bucket-versioning --bucket paused --region eu-west-1",
            ],
            id="destination suspended",
        ),
        pytest.param(
            {"SourceBucket": "nowhere"},
            ["Source bucket nowhere does not exist", "aws s3 mb s3://nowhere --region us-east-1"],
            id="source missing",
        ),
        pytest.param(
            {"Destinations": ["nowhere:eu-west-1"]},
            ["Destination bucket nowhere does not exist", "aws s3 mb s3://nowhere --region eu-west-1"],
            id="destination missing",
        ),
        pytest.param(
            {"Destinations": ["far:us-west-2"]},
            ["far is in eu-west-1", "says us-west-2", "Write far:eu-west-1"],
            id="destination in another region than said",
        ),
        pytest.param(
            {"SourceBucket": "far", "Destinations": ["near"]},
            ["far is in eu-west-1", "this stack is in us-east-1", "sam deploy --region eu-west-1"],
            id="source in another region than the stack",
        ),
        pytest.param(
            {"Destinations": ["near", "near:us-east-1"]},
            ["Destination near is named more than once"],
            id="destination twice",
        ),
        pytest.param(
            {"Destinations": ["near", "source"]},
            ["source is the source and a destination"],
            id="destination is the source",
        ),
    ],
)
def test_a_deployment_that_cannot_work_says_what_to_do_and_changes_nothing(
    world: World, changes: dict[str, Any], phrases: list[str]
) -> None:
    world.make("plain", versioning="")
    world.make("paused", region="eu-west-1", versioning="Suspended")

    answer = world.send("Create", **changes)

    assert answer["Status"] == "FAILED"
    for phrase in phrases:
        assert phrase in answer["Reason"]
    assert world.notifications() == USERS
    assert world.configuration() is None


def test_more_destinations_than_an_answer_can_name_are_refused_before_anything_changes(
    world: World,
) -> None:
    names = [f"a-destination-with-a-rather-long-name-{number:02}" for number in range(30)]
    for name in names:
        world.make(name)

    answer = world.send("Create", Destinations=names)

    assert answer["Status"] == "FAILED"
    assert "30 destinations are too many for one stack" in answer["Reason"]
    assert world.notifications() == USERS


def test_delete_takes_out_our_entry_only(world: World) -> None:
    created = world.send("Create")
    answer = world.send("Delete", created["PhysicalResourceId"])
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == created["PhysicalResourceId"]
    assert world.notifications() == USERS
    assert world.configuration() is not None


def test_delete_succeeds_when_the_bucket_is_gone(world: World) -> None:
    created = world.send("Create")
    world.s3.delete_bucket(Bucket="source")
    assert world.send("Delete", created["PhysicalResourceId"])["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    "changes",
    [{"SourceBucket": "plain"}, {"SourceBucket": "nowhere"}, {"Destinations": ["nowhere"]}],
    ids=["source not versioned", "source missing", "destination missing"],
)
def test_a_create_that_failed_is_taken_back_without_an_error(world: World, changes: dict[str, Any]) -> None:
    world.make("plain", versioning="")
    failed = world.send("Create", **changes)
    assert failed["Status"] == "FAILED"
    assert world.send("Delete", failed["PhysicalResourceId"], **changes)["Status"] == "SUCCESS"
    assert world.notifications() == USERS


def test_an_update_keeps_the_id_it_was_given(world: World) -> None:
    """Another one would be a replacement, whose Delete takes out the entry just put in."""
    world.send("Create")
    answer = world.send("Update", "an id of an earlier release", Destinations=["near"])
    assert answer["PhysicalResourceId"] == "an id of an earlier release"
    assert answer["Data"]["Destinations"] == "near:us-east-1"
    assert world.entries() == ["restores", IDENTIFIER]


def test_an_update_that_fails_keeps_the_id_too(world: World) -> None:
    created = world.send("Create")
    answer = world.send("Update", created["PhysicalResourceId"], Destinations=["nowhere"])
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"] == created["PhysicalResourceId"]
    assert world.entries() == ["restores", IDENTIFIER]


def test_a_new_queue_takes_the_place_of_the_old_one(world: World) -> None:
    created = world.send("Create")
    world.send("Update", created["PhysicalResourceId"], QueueArn=f"{QUEUE}-2")
    ours = world.notifications()["QueueConfigurations"][1:]
    assert [entry["QueueArn"] for entry in ours] == [f"{QUEUE}-2"]


def test_when_the_source_changes_the_entry_moves(world: World) -> None:
    world.make("next")
    created = world.send("Create")
    answer = world.send("Update", created["PhysicalResourceId"], SourceBucket="next")
    assert answer["Status"] == "SUCCESS"
    assert world.entries("next") == [IDENTIFIER]
    assert world.notifications("source") == USERS


def test_when_the_source_changes_a_former_one_that_is_gone_does_not_matter(world: World) -> None:
    world.make("next")
    created = world.send("Create")
    world.s3.delete_bucket(Bucket="source")
    answer = world.send("Update", created["PhysicalResourceId"], SourceBucket="next")
    assert answer["Status"] == "SUCCESS"
    assert world.entries("next") == [IDENTIFIER]


def test_what_nobody_foresaw_is_answered_too(world: World) -> None:
    answer = world.send("Create", QueueArn=None)
    assert answer["Status"] == "FAILED"
    assert "KeyError" in answer["Reason"]
    assert "/aws/lambda/stack/bucket-setup" in answer["Reason"]


def test_a_long_reason_is_cut_to_what_cloudformation_reads(world: World) -> None:
    answer = world.send("Create", SourceBucket="nö" * 3000)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].endswith("...")
    assert world.stack.lengths[-1] <= 4096


def test_the_answer_is_sent_again_until_it_is_taken(world: World) -> None:
    world.stack.refusals = [503, 500]
    assert world.send("Create")["Status"] == "SUCCESS"
    # The address is signed for a request without one.
    assert world.stack.content_types == [""]


def test_the_address_of_the_answer_is_in_no_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.send("Create")
    world.send("Create", QueueArn=None)
    assert "X-Amz-Signature" not in capsys.readouterr().out


@dataclass
class Interference:
    """S3 with somebody else at work, and the waits of who meets them."""

    world: World
    pauses: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, operation: str, status: int, code: str, message: str = "", times: int = 100) -> None:
        """S3 answers the next requests so, and does nothing."""
        error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
        left = [(SimpleNamespace(status_code=status), error)] * times
        events: Any = self.world.s3.meta.events
        events.register_first(f"before-call.s3.{operation}", lambda **_: left.pop() if left else None)

    def admin(self) -> BucketAdmin:
        return BucketAdmin(self.world.s3, self.pauses.append)

    def setup(self, buckets: BucketAdmin | None = None) -> BucketSetup:
        return BucketSetup(buckets or self.admin(), self.pauses.append, self.notes.append)

    def install(self, monkeypatch: pytest.MonkeyPatch, setup: BucketSetup) -> None:
        monkeypatch.setattr(app, "dependencies", lambda: setup)


@pytest.fixture
def interference(world: World) -> Interference:
    return Interference(world)


def test_a_denial_that_passes_is_waited_for(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new role's policy reaches S3 some seconds after the stack goes on."""
    interference.refuse("HeadBucket", 403, "403", "Forbidden", times=3)
    interference.install(monkeypatch, interference.setup())
    assert interference.world.send("Create")["Status"] == "SUCCESS"
    assert 10 <= sum(interference.pauses) <= 30


def test_a_denial_that_stays_is_told(interference: Interference, monkeypatch: pytest.MonkeyPatch) -> None:
    interference.refuse("HeadBucket", 403, "403", "Forbidden")
    interference.install(monkeypatch, interference.setup())
    answer = interference.world.send("Create")
    assert answer["Status"] == "FAILED"
    assert "Source bucket source exists" in answer["Reason"]
    assert "AccessDenied" in answer["Reason"]
    assert sum(interference.pauses) <= 30


def test_a_create_that_failed_for_a_denial_is_taken_back_without_an_error(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    interference.refuse("GetBucketNotificationConfiguration", 403, "AccessDenied")
    interference.install(monkeypatch, interference.setup())
    failed = interference.world.send("Create")
    assert failed["Status"] == "FAILED"
    assert "GetBucketNotificationConfiguration on bucket source: AccessDenied" in failed["Reason"]
    answer = interference.world.send("Delete", failed["PhysicalResourceId"])
    assert answer["Status"] == "SUCCESS"
    assert interference.notes


def test_a_delete_that_is_denied_fails_so_that_nothing_stays_behind_unseen(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = interference.world.send("Create")
    interference.refuse("PutBucketNotificationConfiguration", 403, "AccessDenied")
    interference.install(monkeypatch, interference.setup())
    answer = interference.world.send("Delete", created["PhysicalResourceId"])
    assert answer["Status"] == "FAILED"
    assert "AccessDenied" in answer["Reason"]


def test_a_former_source_that_denies_us_does_not_hold_up_the_move(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = interference.world
    world.make("next")
    created = world.send("Create")

    class Closed(BucketAdmin):
        def notifications(self, bucket: str) -> Configuration:
            if bucket == "source":
                interference.refuse("GetBucketNotificationConfiguration", 403, "AccessDenied", times=5)
            return super().notifications(bucket)

    closed = Closed(world.s3, interference.pauses.append)
    interference.install(monkeypatch, interference.setup(closed))
    answer = world.send("Update", created["PhysicalResourceId"], SourceBucket="next")
    assert answer["Status"] == "SUCCESS"
    assert world.entries("next") == [IDENTIFIER]
    (note,) = interference.notes
    assert f"{IDENTIFIER} stays in the notifications of source" in note


UPLOADS: dict[str, Any] = {
    "Id": "uploads",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads",
    "Events": ["s3:ObjectCreated:Put"],
    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
}


def test_an_entry_in_the_way_is_named_before_s3_is_asked(world: World) -> None:
    """moto would take it."""
    theirs = {"TopicConfigurations": [UPLOADS]}
    world.set_notifications(theirs)

    answer = world.send("Create")

    assert answer["Status"] == "FAILED"
    for phrase in (
        "S3 allows no two entries that overlap",
        "uploads (s3:ObjectCreated:Put for keys with prefix 'in/', to arn:aws:sns:us-east-1:",
        "EventSource=EventBridge",
        "aws s3api get-bucket-notification-configuration --bucket source",
    ):
        assert phrase in answer["Reason"]
    assert world.notifications() == theirs


def test_an_entry_that_comes_into_the_way_later_is_no_hindrance_while_ours_is_right(world: World) -> None:
    """S3 would not have let it in; whether it may stay is not for us to say."""
    created = world.send("Create")
    world.set_notifications({**world.notifications(), "TopicConfigurations": [UPLOADS]})
    assert world.send("Update", created["PhysicalResourceId"])["Status"] == "SUCCESS"
    assert world.notifications()["TopicConfigurations"] == [UPLOADS]


def test_a_second_stack_at_the_same_bucket_is_told_which_one_is_there(world: World) -> None:
    world.send("Create")
    before = world.notifications()

    answer = world.send("Create", NotificationId="s3-replicator-archive", QueueArn=f"{QUEUE}-of-archive")

    assert answer["Status"] == "FAILED"
    assert f"In the way: {IDENTIFIER} (" in answer["Reason"]
    assert "Stack stack replicates from this bucket already" in answer["Reason"]
    assert "EventSource=EventBridge" in answer["Reason"]
    assert world.notifications() == before


def test_a_second_stack_can_come_in_by_eventbridge(world: World) -> None:
    world.send("Create")
    first = world.notifications()
    second = {"NotificationId": "s3-replicator-archive", "EventSource": "EventBridge"}

    created = world.send("Create", **second)

    assert created["Status"] == "SUCCESS"
    assert world.notifications() == {**first, EVENTBRIDGE: {}}
    assert world.send("Delete", created["PhysicalResourceId"], **second)["Status"] == "SUCCESS"
    assert world.notifications() == {**first, EVENTBRIDGE: {}}


# -- by EventBridge


def test_by_eventbridge_nothing_is_put_in_beside_the_users_entries(world: World) -> None:
    """Not even one that would overlap with ours is in the way."""
    theirs = {**USERS, "TopicConfigurations": [UPLOADS]}
    world.set_notifications(theirs)
    assert world.send("Create", EventSource="EventBridge")["Status"] == "SUCCESS"
    assert world.notifications() == {**theirs, EVENTBRIDGE: {}}


@pytest.mark.parametrize("before", [{}, {EVENTBRIDGE: {}}], ids=["it was off", "it was on"])
def test_eventbridge_is_never_switched_off(world: World, before: dict[str, Any]) -> None:
    """Whoever else lives on it: the configuration does not say."""
    world.set_notifications({**USERS, **before})
    created = world.send("Create", EventSource="EventBridge")
    answer = world.send("Delete", created["PhysicalResourceId"], EventSource="EventBridge")
    assert answer["Status"] == "SUCCESS"
    assert world.notifications() == {**USERS, EVENTBRIDGE: {}}


def test_a_user_who_lives_on_eventbridge_keeps_it(world: World) -> None:
    world.set_notifications({**USERS, EVENTBRIDGE: {}})
    created = world.send("Create")
    assert world.notifications()[EVENTBRIDGE] == {}
    world.send("Delete", created["PhysicalResourceId"])
    assert world.notifications() == {**USERS, EVENTBRIDGE: {}}


def test_a_first_deployment_waits_for_nothing(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    interference.install(monkeypatch, interference.setup())
    for source in EventSource:
        assert interference.world.send("Create", EventSource=source)["Status"] == "SUCCESS"
        interference.world.set_notifications(USERS)
    assert interference.pauses == []


@pytest.mark.parametrize(
    ("former", "wanted"),
    [("Notification", "EventBridge"), ("EventBridge", "Notification")],
)
def test_when_the_way_is_changed_both_serve_until_s3_has_followed(
    interference: Interference, monkeypatch: pytest.MonkeyPatch, former: str, wanted: str
) -> None:
    world = interference.world
    interference.install(monkeypatch, interference.setup())
    created = world.send("Create", EventSource=former)
    meanwhile: list[dict[str, Any]] = []

    def pause(seconds: float) -> None:
        interference.pauses.append(seconds)
        meanwhile.append(world.notifications())

    setup = BucketSetup(interference.admin(), pause, interference.notes.append)
    interference.install(monkeypatch, setup)
    answer = world.send(
        "Update", created["PhysicalResourceId"], EventSource=wanted, old={"EventSource": former}
    )

    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == created["PhysicalResourceId"]
    assert interference.pauses == [600.0]
    [both] = meanwhile
    assert EVENTBRIDGE in both
    assert IDENTIFIER in [entry["Id"] for entry in both["QueueConfigurations"]]
    assert world.entries() == ["restores"] + [IDENTIFIER] * (wanted == "Notification")
    assert EVENTBRIDGE in world.notifications()
    assert f"come by {wanted}" in interference.notes[0]


def test_a_change_that_was_broken_off_is_gone_on_with(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation then says that nothing has changed; what is there says otherwise."""
    world = interference.world
    created = world.send("Create")
    world.set_notifications({**world.notifications(), EVENTBRIDGE: {}})
    interference.install(monkeypatch, interference.setup())
    by_eventbridge = {"EventSource": "EventBridge"}
    world.send("Update", created["PhysicalResourceId"], **by_eventbridge, old=by_eventbridge)
    assert interference.pauses == [600.0]
    assert world.notifications() == {**USERS, EVENTBRIDGE: {}}


def test_a_stack_of_a_former_release_has_only_notifications(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = interference.world
    created = world.send("Create")
    interference.install(monkeypatch, interference.setup())
    old = {"EventSource": None, "HandoverSeconds": None}
    assert world.send("Update", created["PhysicalResourceId"], old=old)["Status"] == "SUCCESS"
    assert interference.pauses == []
    world.send("Update", created["PhysicalResourceId"], EventSource="EventBridge", old=old)
    assert interference.pauses == [600.0]


def test_when_the_way_back_is_taken_meanwhile_the_change_is_refused(world: World) -> None:
    by_eventbridge = {"EventSource": "EventBridge"}
    created = world.send("Create", **by_eventbridge)
    world.set_notifications({"TopicConfigurations": [UPLOADS], EVENTBRIDGE: {}})
    answer = world.send("Update", created["PhysicalResourceId"], old=by_eventbridge)
    assert answer["Status"] == "FAILED"
    assert "In the way: uploads" in answer["Reason"]
    assert world.notifications() == {"TopicConfigurations": [UPLOADS], EVENTBRIDGE: {}}


def test_when_the_source_changes_eventbridge_is_switched_on_at_the_new_one(world: World) -> None:
    world.make("next")
    created = world.send("Create", EventSource="EventBridge")
    answer = world.send(
        "Update",
        created["PhysicalResourceId"],
        EventSource="EventBridge",
        SourceBucket="next",
        old={"EventSource": "EventBridge"},
    )
    assert answer["Status"] == "SUCCESS"
    assert world.notifications("next") == {EVENTBRIDGE: {}}
    assert world.notifications("source") == {**USERS, EVENTBRIDGE: {}}


# -- whatever users have

theirs_alone = st.sampled_from(
    ["s3:ObjectRestore:*", "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:Replication:*"]
)
and_ours = st.sampled_from(["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete", "s3:ObjectTagging:Put"])


@st.composite
def users_configurations(draw: st.DrawFn) -> dict[str, Any]:
    """What a user may have there; no two entries overlap, as each has a prefix of its own."""
    found: dict[str, Any] = {EVENTBRIDGE: {}} if draw(st.booleans()) else {}
    for number in range(draw(st.integers(0, 4))):
        kind, target, service = draw(
            st.sampled_from(
                [
                    ("QueueConfigurations", "QueueArn", "sqs"),
                    ("TopicConfigurations", "TopicArn", "sns"),
                    ("LambdaFunctionConfigurations", "LambdaFunctionArn", "lambda"),
                ]
            )
        )
        rules = [{"Name": "prefix", "Value": f"{number}/"}]
        if draw(st.booleans()):
            rules.append({"Name": "suffix", "Value": draw(st.sampled_from([".jpg", "a+b", "%20"]))})
        entry = {
            "Id": f"{draw(st.sampled_from(['uploads', 's3-replicator-x', 'ü', 'a&b']))}-{number}",
            target: f"arn:aws:{service}:us-east-1:123456789012:{number}",
            "Events": draw(st.lists(theirs_alone | and_ours, min_size=1, max_size=3, unique=True)),
            "Filter": {"Key": {"FilterRules": rules}},
        }
        found.setdefault(kind, []).append(entry)
    return found


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(users_configurations(), st.lists(st.sampled_from(EventSource), min_size=1, max_size=3))
def test_created_updated_and_deleted_a_stack_leaves_everything_as_it_was(
    world: World, theirs: dict[str, Any], ways: list[EventSource]
) -> None:
    """EventBridge alone may be on that was not."""
    world.set_notifications(theirs)
    physical_id = IDENTIFIER
    for number, way in enumerate(ways):
        changes: dict[str, Any] = {"EventSource": way}
        if number == 0:
            world.send("Create", **changes)
        else:
            world.send("Update", physical_id, **changes, old={"EventSource": ways[number - 1]})
        # Refused or not.
        assert others(world.notifications()) == others(theirs)
    assert world.send("Delete", physical_id, EventSource=ways[-1])["Status"] == "SUCCESS"
    left = world.notifications()
    if EventSource.EVENTBRIDGE in ways:
        assert left.pop(EVENTBRIDGE) == {}
        theirs = {kind: value for kind, value in theirs.items() if kind != EVENTBRIDGE}
    assert left == theirs


def others(configuration: dict[str, Any]) -> dict[str, Any]:
    """All entries but ours."""
    kept = {
        kind: [entry for entry in entries if entry["Id"] != IDENTIFIER]
        for kind, entries in configuration.items()
        if kind != EVENTBRIDGE
    }
    return {kind: entries for kind, entries in kept.items() if entries}


class Raced(BucketAdmin):
    """Another stack reads before our write and writes after it, ``races`` times."""

    def __init__(self, s3: "S3Client", pause: Callable[[float], None], races: int) -> None:
        super().__init__(s3, pause)
        self.races = races

    def put_notifications(self, bucket: str, configuration: Configuration) -> None:
        read_by_the_other = super().notifications(bucket)
        super().put_notifications(bucket, configuration)
        if self.races:
            self.races -= 1
            other = {
                "Id": "other-stack",
                "QueueArn": "arn:aws:sqs:us-east-1:123456789012:other",
                "Events": ["s3:IntelligentTiering"],
            }
            queues = [e for e in read_by_the_other["QueueConfigurations"] if e["Id"] != other["Id"]]
            super().put_notifications(bucket, {**read_by_the_other, "QueueConfigurations": [*queues, other]})


def test_two_stacks_that_write_at_once_both_end_up_with_their_entry(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced = Raced(interference.world.s3, interference.pauses.append, races=1)
    interference.install(monkeypatch, interference.setup(raced))
    assert interference.world.send("Create")["Status"] == "SUCCESS"
    assert interference.world.entries() == ["restores", "other-stack", IDENTIFIER]


def test_a_configuration_that_is_overwritten_again_and_again_fails_the_deployment(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    raced = Raced(interference.world.s3, interference.pauses.append, races=9)
    interference.install(monkeypatch, interference.setup(raced))
    answer = interference.world.send("Create")
    assert answer["Status"] == "FAILED"
    assert "was overwritten twice" in answer["Reason"]
    assert interference.world.entries() == ["restores", "other-stack"]


def test_a_reading_that_lags_behind_our_write_is_not_taken_for_another_writer(
    interference: Interference, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = interference.world

    class Lagging(BucketAdmin):
        stale: Configuration | None = None

        def put_notifications(self, bucket: str, configuration: Configuration) -> None:
            self.stale = super().notifications(bucket)
            super().put_notifications(bucket, configuration)

        def notifications(self, bucket: str) -> Configuration:
            if self.stale is not None:
                found, self.stale = self.stale, None
                return found
            return super().notifications(bucket)

    lagging = Lagging(world.s3, interference.pauses.append)
    interference.install(monkeypatch, interference.setup(lagging))
    assert world.send("Create")["Status"] == "SUCCESS"
    assert world.entries() == ["restores", IDENTIFIER]
