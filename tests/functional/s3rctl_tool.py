"""The operator tool in the world of the functional tests: a stack to find, and the command line."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest
from botocore.response import StreamingBody

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


def deploy(world: World, name: str = STACK) -> None:
    """Give the world's buckets, queues and table a stack whose outputs name them."""
    outputs = {
        "SourceBucketName": SOURCE,
        "DestinationBuckets": ",".join(f"{name}:{region}" for name, region in DESTINATIONS.items()),
        "LedgerTableName": TABLE,
        "ControlBucketName": CONTROL,
        "IngestQueueUrl": world.queues["ingest"],
        "ParkedQueueUrl": world.queues["parked"],
        "RetryFunctionName": "retry",
    }
    template = {
        "Parameters": {"ConfigurationCacheSeconds": {"Type": "Number", "Default": CACHE_SECONDS}},
        "Resources": {"Something": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


# -- Lambda, which the tool calls and the mocked AWS has not: it answers between the SDK and the wire.


def run_handler(event: Event) -> LambdaAnswer:
    """The real handler of the retry function."""
    # The metrics it prints are not the tool's.
    with redirect_stdout(io.StringIO()):
        return returned(HANDLERS["retry"].handler(event, Context(TIMEOUTS["retry"])))


def returned(value: object) -> LambdaAnswer:
    body = json.dumps(value).encode()
    return 200, {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body))}


def failed(kind: str, message: str) -> LambdaAnswer:
    """The handler raised, or ran out of time."""
    status, answer = returned({"errorType": kind, "errorMessage": message, "stackTrace": []})
    return status, {**answer, "FunctionError": "Unhandled"}


def refused(code: str) -> LambdaAnswer:
    return 403, {"Error": {"Code": code, "Message": "made up"}, "ResponseMetadata": {"HTTPStatusCode": 403}}


_function: Callable[[Event], LambdaAnswer] | None = None


def _invoke(params: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
    if _function is None:
        return None
    assert params["url_path"] == "/2015-03-31/functions/retry/invocations"
    status, answer = _function(json.loads(params["body"]))
    return SimpleNamespace(status_code=status), answer


botocore.handlers.BUILTIN_HANDLERS.append(("before-call.lambda.Invoke", _invoke))


@contextmanager
def answering(function: Callable[[Event], LambdaAnswer] = run_handler) -> Iterator[list[Event]]:
    """Invocations of the retry function are answered by ``function``; the list fills with their events."""
    global _function  # noqa: PLW0603 - clients are made, and handlers called, far from here
    asked: list[Event] = []

    def answer(event: Event) -> LambdaAnswer:
        asked.append(event)
        return function(event)

    _function = answer
    try:
        yield asked
    finally:
        _function = None
