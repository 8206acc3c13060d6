"""The custom resource at the end of a deployment: the real handler, and the functions it has checked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, Final

import boto3
import pytest
from moto.cloudformation.models import cloudformation_backends

from functions.bucket_setup import app
from s3replicator.decisions import problems
from s3replicator.decisions.deployment import SetupRefused
from s3replicator.decisions.findings import Check, Finding
from s3replicator.usecases import deployment_check, probing
from s3replicator.usecases.deployment_check import DeploymentCheck
from tests.functional.configurations import COLLIDING
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.s3rctl_tool import Event, LambdaAnswer, functions_answering, refused, running
from tests.functional.world import DESTINATIONS, ONE, World

STACK: Final = "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/guid"
CONTEXT: Final = SimpleNamespace(log_group_name="/aws/lambda/stack/bucket-setup", log_stream_name="stream")
DENIAL: Final = "not authorized to perform: s3:PutObject with an explicit deny in a resource-based policy"


def running_unless_refused(name: str) -> Callable[[Event], LambdaAnswer]:
    run = running(name)

    def answer(event: Event) -> LambdaAnswer:
        if _refusing:
            _refusing.pop()
            return refused("AccessDeniedException")
        return run(event)

    return answer


#: As often as this is long, a function may not be invoked.
_refusing: list[bool] = []


@dataclass
class CloudFormation:
    """Where the answers go, and what is asked."""

    url: str = ""
    stack: str = STACK
    answers: list[dict[str, Any]] = field(default_factory=list)

    def send(self, kind: str) -> dict[str, Any]:
        request = {
            "RequestType": kind,
            "RequestId": "request",
            "StackId": self.stack,
            "LogicalResourceId": "DeploymentCheck",
            "ResourceType": "Custom::DeploymentCheck",
            "ResponseURL": self.url,
            "ResourceProperties": {
                "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:bucket-setup",
                "ReplicateFunction": "replicate-function",
                "RetryFunction": "retry-function",
            },
            **({} if kind == "Create" else {"PhysicalResourceId": "deployment-check"}),
        }
        app.handler(request, CONTEXT)
        return self.answers.pop()


@pytest.fixture
def cloudformation(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudFormation]:
    monkeypatch.setattr(probing, "RETENTION", 0.1)
    monkeypatch.setattr(probing, "_SKEW", 0.1)
    monkeypatch.setattr(deployment_check, "PAUSES", (0.01, 0.01, 0.01))
    app.deployment_check.cache_clear()
    told = CloudFormation()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            told.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/answer"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        answering = {f"{name}-function": running_unless_refused(name) for name in ("replicate", "retry")}
        with functions_answering(answering):
            yield told
        server.shutdown()
        thread.join()
    _refusing.clear()


@contextmanager
def denied(times: int = 99, message: str = "Access Denied") -> Iterator[None]:
    fault = Fault(
        "PutObject", status=403, code="AccessDenied", message=message, times=times, when=to_bucket(ONE)
    )
    with faults(fault):
        yield


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_what_can_replicate_is_deployed(
    kind: str, cloudformation: CloudFormation, caplog: pytest.LogCaptureFixture
) -> None:
    answer = cloudformation.send(kind)
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "deployment-check"
    # What is only a warning is for the log.
    assert f"{ONE} has no lifecycle rule that aborts incomplete multipart uploads" in caplog.text


def test_what_cannot_replicate_is_not_deployed_and_it_is_said_why(cloudformation: CloudFormation) -> None:
    with denied():
        answer = cloudformation.send("Create")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(f"{ONE}: DstPutObjectNotPermitted: S3 denied something at {ONE}")
    assert "lifecycle" not in answer["Reason"]


def test_a_role_whose_policy_is_new_is_waited_for(cloudformation: CloudFormation) -> None:
    with denied(times=2):
        assert cloudformation.send("Create")["Status"] == "SUCCESS"


def test_a_function_that_may_not_be_invoked_yet_is_waited_for(cloudformation: CloudFormation) -> None:
    _refusing.extend([True] * 4)
    assert cloudformation.send("Create")["Status"] == "SUCCESS"


def test_a_function_that_may_never_be_invoked_fails_the_deployment(cloudformation: CloudFormation) -> None:
    _refusing.extend([True] * 99)
    answer = cloudformation.send("Create")
    assert answer["Status"] == "FAILED"
    assert "function replicate-function cannot be invoked" in answer["Reason"]


def test_what_will_not_pass_is_not_waited_for(world: World, cloudformation: CloudFormation) -> None:
    role = "User: arn:aws:sts::123456789012:assumed-role/role/session is"
    fault = Fault("PutObject", status=403, code="AccessDenied", message=f"{role} {DENIAL}", times=99)
    with faults(fault):
        assert cloudformation.send("Create")["Status"] == "FAILED"
    assert fault.happened == len(DESTINATIONS)
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    assert "versioning Suspended" in cloudformation.send("Create")["Reason"]


def test_a_stack_without_a_configuration_yet_is_deployed(
    world: World, cloudformation: CloudFormation
) -> None:
    [found] = world.s3.list_objects_v2(Bucket="control-bucket")["Contents"]
    world.s3.delete_object(Bucket="control-bucket", Key=found["Key"])
    assert cloudformation.send("Create")["Status"] == "SUCCESS"


@pytest.mark.parametrize(("kind", "answered"), [("Create", "FAILED"), ("Update", "SUCCESS")])
def test_rules_that_collide_keep_a_stack_from_coming_to_be_but_not_one_that_runs_from_a_new_release(
    kind: str,
    answered: str,
    world: World,
    cloudformation: CloudFormation,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world.rules(*COLLIDING)
    answer = cloudformation.send(kind)
    assert answer["Status"] == answered
    told = caplog.text if kind == "Update" else answer["Reason"]
    assert "two keys of the source at one key" in told
    assert "'bbb'" in told


def test_a_delete_is_answered_without_a_look(cloudformation: CloudFormation) -> None:
    _refusing.extend([True])
    assert cloudformation.send("Delete")["Status"] == "SUCCESS"
    assert _refusing


@pytest.mark.parametrize(
    ("stack_is", "answered"),
    [("UPDATE_IN_PROGRESS", "FAILED"), ("UPDATE_ROLLBACK_IN_PROGRESS", "SUCCESS")],
)
def test_a_stack_that_goes_back_is_not_stopped_on_its_way(
    stack_is: str, answered: str, cloudformation: CloudFormation, caplog: pytest.LogCaptureFixture
) -> None:
    """What it goes back to need not work any more; a stack that can go nowhere is worse."""
    template = {"Resources": {"Something": {"Type": "AWS::SQS::Queue"}}}
    made = boto3.client("cloudformation").create_stack(StackName="stack", TemplateBody=json.dumps(template))
    [stack] = cloudformation_backends["123456789012"]["us-east-1"].stacks.values()
    stack.status = stack_is
    cloudformation.stack = made["StackId"]
    with denied():
        assert cloudformation.send("Update")["Status"] == answered
    if answered == "SUCCESS":
        assert f"The stack goes back to what would not work now: {ONE}: DstPut" in caplog.text


def test_a_stack_that_nobody_knows_of_is_not_taken_for_one_that_goes_back(
    cloudformation: CloudFormation,
) -> None:
    with denied():
        assert cloudformation.send("Update")["Status"] == "FAILED"


@dataclass
class Slow:
    """A check that takes its time, on a clock of its own."""

    time: float = 0.0
    runs: int = 0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def run(self) -> list[Finding]:
        self.runs += 1
        self.time += 40
        denial = {"code": "DstPutObjectNotPermitted", "told": "Access Denied"}
        return [problems.DENIED_SILENTLY.at(ONE, check=Check.WRITE, **denial)]

    def is_rolling_back(self, stack_id: str) -> bool:
        return False


def test_a_check_that_takes_long_is_not_made_so_often_that_nobody_waits_for_the_answer() -> None:
    slow = Slow()
    check = DeploymentCheck(lambda *_: slow, slow, slow, note=lambda _: None)
    properties = {"ReplicateFunction": "one", "RetryFunction": "two"}
    with pytest.raises(SetupRefused):
        check.answer({"RequestType": "Create", "StackId": STACK, "ResourceProperties": properties})
    assert slow.runs == 2
