"""The operator tool in the world of the functional tests: a stack to find, and the command line."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest
from botocore.response import StreamingBody
from moto.stepfunctions.models import stepfunctions_backends

from s3rctl.main import main
from tests.functional.world import (
    CONTROL,
    DESTINATIONS,
    HANDLERS,
    SOURCE,
    TABLE,
    TIMEOUTS,
    Context,
    World,
)

STACK = "s3-replicator"
CACHE_SECONDS = 7

Event = dict[str, Any]
#: What Lambda answers: the status of its own answer, and the answer.
LambdaAnswer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Tool:
    """Called as on the command line."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Answer:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            sys.exit(main(arguments))
        code = leaving.value.code
        assert isinstance(code, int)
        return Answer(code, *self.capsys.readouterr())


def sign_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no AWS. The tests' network is closed anyway."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    # What an earlier test had is remembered.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def deploy(world: World, name: str = STACK, parameters: Mapping[str, str] = {}, **more: str) -> None:
    """Give the world's buckets, queues and table a stack whose outputs name them, and what ``more`` does."""
    outputs = {
        "SourceBucketName": SOURCE,
        "DestinationBuckets": ",".join(f"{name}:{region}" for name, region in DESTINATIONS.items()),
        "LedgerTableName": TABLE,
        "ControlBucketName": CONTROL,
        "IngestQueueUrl": world.queues["ingest"],
        "ParkedQueueUrl": world.queues["parked"],
        "DeadLetterQueueUrl": world.queues["dead-letter"],
        "RetryFunctionName": "retry",
        **more,
    }
    template = {
        "Parameters": {
            "ConfigurationCacheSeconds": {"Type": "Number", "Default": CACHE_SECONDS},
            **{key: {"Type": "String", "Default": value} for key, value in parameters.items()},
        },
        "Resources": {"Something": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


# -- Lambda, which the tool calls and the mocked AWS has not: it answers between the SDK and the wire.


def running(name: str) -> Callable[[Event], LambdaAnswer]:
    """The real handler of a function."""

    def run(event: Event) -> LambdaAnswer:
        # The metrics it prints are not the tool's.
        with redirect_stdout(io.StringIO()):
            return returned(HANDLERS[name].handler(event, Context(TIMEOUTS[name])))

    return run


run_handler = running("retry")


def returned(value: object) -> LambdaAnswer:
    body = json.dumps(value).encode()
    return 200, {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body))}


def failed(kind: str, message: str) -> LambdaAnswer:
    """The handler raised, or ran out of time."""
    status, answer = returned({"errorType": kind, "errorMessage": message, "stackTrace": []})
    return status, {**answer, "FunctionError": "Unhandled"}


def refused(code: str) -> LambdaAnswer:
    return 403, {"Error": {"Code": code, "Message": "made up"}, "ResponseMetadata": {"HTTPStatusCode": 403}}


_functions: dict[str, Callable[[Event], LambdaAnswer]] = {}


def _invoke(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
    if not _functions:
        return None
    name = params["url_path"].removeprefix("/2015-03-31/functions/").removesuffix("/invocations")
    status, answer = _functions[name](json.loads(params["body"]))
    return SimpleNamespace(status_code=status), answer


botocore.handlers.BUILTIN_HANDLERS.append(("before-call.lambda.Invoke", _invoke))


@contextmanager
def functions_answering(functions: Mapping[str, Callable[[Event], LambdaAnswer]]) -> Iterator[None]:
    """Invocations are answered by these, by the names of the functions."""
    _functions.update(functions)
    try:
        yield
    finally:
        _functions.clear()


@contextmanager
def answering(function: Callable[[Event], LambdaAnswer] = run_handler) -> Iterator[list[Event]]:
    """Invocations of the retry function are answered by ``function``; the list fills with their events."""
    asked: list[Event] = []

    def answer(event: Event) -> LambdaAnswer:
        asked.append(event)
        return function(event)

    with functions_answering({"retry": answer}):
        yield asked


# -- Step Functions: the mocked one starts and stops executions, and a test says how they get on.


@dataclass
class Machine:
    """The state machine that does the jobs. ``batches``: the item counts of an execution's map run, and
    whether it is running; by the execution's name."""

    arn: str
    batches: dict[str, tuple[dict[str, int], bool]] = field(default_factory=dict)

    def started(self) -> dict[str, Event]:
        """What each execution was given, by name, the oldest first."""
        return {execution.name: json.loads(execution.execution_input) for execution in self._executions()}

    def end(self, name: str, status: str = "SUCCEEDED", error: str | None = None) -> None:
        [execution] = [each for each in self._executions() if each.name == name]
        execution.status, execution.error, execution.stop_date = status, error, datetime.now(UTC)

    def work(self, name: str, total: int, *, running: bool = True, **counts: int) -> None:
        """Counts as Step Functions has them: succeeded, failed, timedOut, aborted, ..."""
        zero = dict.fromkeys(("succeeded", "failed", "timedOut", "aborted"), 0)
        self.batches[name] = {**zero, "total": total, **counts}, running

    def _executions(self) -> list[Any]:
        _, _, _, region, account, _, _ = self.arn.split(":")
        machines = stepfunctions_backends[account][region].state_machines
        found: list[Any] = next(machine.executions for machine in machines if machine.arn == self.arn)
        return found


def make_machine(name: str = "jobs") -> Machine:
    answer = boto3.client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/jobs",
    )
    machine = Machine(answer["stateMachineArn"])
    _machines[:] = [machine]
    return machine


_machines: list[Machine] = []


# Other tests have machines of their own: what is not about this one goes on to whoever answers.


def _list_map_runs(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
    execution, _, name = json.loads(params["body"])["executionArn"].rpartition(":")
    for machine in _machines:
        if execution == machine.arn.replace(":stateMachine:", ":execution:"):
            run = {"mapRunArn": name, "startDate": datetime.now(UTC)}
            return SimpleNamespace(status_code=200), {"mapRuns": [run] if name in machine.batches else []}
    return None


def _describe_map_run(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
    name = json.loads(params["body"])["mapRunArn"]
    for machine in _machines:
        if name in machine.batches:
            counts, running = machine.batches[name]
            status = "RUNNING" if running else "SUCCEEDED"
            return SimpleNamespace(status_code=200), {"status": status, "itemCounts": counts}
    return None


botocore.handlers.BUILTIN_HANDLERS += [
    ("before-call.sfn.ListMapRuns", _list_map_runs),
    ("before-call.sfn.DescribeMapRun", _describe_map_run),
]
