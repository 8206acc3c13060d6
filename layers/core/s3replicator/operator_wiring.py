"""The composition root of the operator tool: finds the stack, and everything else by its outputs."""

from dataclasses import dataclass
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from s3replicator.adapters.configuration_object import ConfigurationObject
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.adapters.parked_queue import SqsParkedQueue
from s3replicator.adapters.runtime import SystemClock, Threads
from s3replicator.adapters.source import S3Source
from s3replicator.adapters.stack_outputs import read_stack
from s3replicator.decisions.stack import Stack, StackUnusable
from s3replicator.usecases.inspection import Inspection
from s3replicator.usecases.parked import Parked

#: Requests at a time.
_THREADS: Final = 16

_CLIENT: Final = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=_THREADS,
)


@dataclass(frozen=True, slots=True)
class Operator:
    """What the commands need of a stack."""

    stack: Stack
    inspection: Inspection
    configuration: ConfigurationObject
    parked: Parked


def operator_of(stack_name: str, region: str | None) -> Operator:
    """Raises ``StackUnusable``."""
    try:
        session = boto3.session.Session(region_name=region)
        cloudformation = session.client("cloudformation", config=_CLIENT)
    # The SDK tells of an unknown profile or region by one, of an endpoint that is no URL by the other.
    except (BotoCoreError, ValueError) as error:
        raise StackUnusable(f"AWS cannot be reached: {error}") from error
    stack = read_stack(cloudformation, stack_name)
    s3, sqs = session.client("s3", config=_CLIENT), session.client("sqs", config=_CLIENT)
    ledger = DynamoLedger(session.client("dynamodb", config=_CLIENT), stack.ledger_table)
    threads = Threads(_THREADS)
    queue = SqsParkedQueue(sqs, stack.parked_queue_url, stack.ingest_queue_url)
    return Operator(
        stack=stack,
        inspection=Inspection(S3Source(s3), ledger, threads),
        configuration=ConfigurationObject(s3, stack.control_bucket),
        parked=Parked(queue, threads, SystemClock()),
    )
