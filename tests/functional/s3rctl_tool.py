"""The operator tool in the world of the functional tests: a stack to find, and the command line."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from s3rctl.main import main
from tests.functional.world import CONTROL, DESTINATIONS, SOURCE, TABLE, World

STACK = "s3-replicator"
CACHE_SECONDS = 7


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
    }
    template = {
        "Parameters": {"ConfigurationCacheSeconds": {"Type": "Number", "Default": CACHE_SECONDS}},
        "Resources": {"Something": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
