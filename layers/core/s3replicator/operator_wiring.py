"""The composition root of the operator tool: finds the stack, and everything else by its outputs."""

import time
from dataclasses import dataclass
from typing import Any, Final

from botocore.config import Config

from s3replicator.adapters import operator_clients
from s3replicator.adapters.bucket_admin import BucketAdmin
from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.adapters.configuration_object import ConfigurationObject
from s3replicator.adapters.executions import Executions
from s3replicator.adapters.job_store import S3JobStore
from s3replicator.adapters.lambda_function import LambdaFunction
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.adapters.manifest_files import OperatorsFiles
from s3replicator.adapters.native_replication import NativeReplication, native_replication
from s3replicator.adapters.open_work import DeadLetterQueue, DynamoOpenWork
from s3replicator.adapters.parked_queue import SqsParkedQueue
from s3replicator.adapters.runtime import SystemClock, SystemDice, Threads
from s3replicator.adapters.source import S3Source
from s3replicator.adapters.stack_outputs import read_stack
from s3replicator.decisions.notifications import Entry, Wiring, identifier_of
from s3replicator.decisions.stack import INGEST_QUEUE, JOB_MACHINE, ROLE_ARNS, Stack, StackUnusable
from s3replicator.ports import Ledger, Lister, Parallel, Source
from s3replicator.usecases.check_request import CheckRequest
from s3replicator.usecases.inspection import Inspection
from s3replicator.usecases.job_control import JobControl
from s3replicator.usecases.notification_wiring import NotificationWiring
from s3replicator.usecases.open_work import OpenWork
from s3replicator.usecases.parked import Parked
from s3replicator.usecases.settle_request import SettleRequest

#: Requests at a time.
_THREADS: Final = 16

_CLIENT: Final = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=_THREADS,
)

#: A function answers when it is done; the longest may run for 5 minutes, in which nothing is said.
_INVOKING: Final = _CLIENT.merge(Config(read_timeout=310, tcp_keepalive=True))

#: What is not to be done twice because an answer was lost.
_INVOKING_ONCE: Final = _INVOKING.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))


@dataclass(frozen=True, slots=True)
class Operator:
    """What the commands need of a stack, each made when it is asked for: a command needs one or two."""

    stack: Stack
    region: str | None

    def ledger(self) -> Ledger:
        return DynamoLedger(_client("dynamodb", self.region), self.stack.ledger_table)

    def inspection(self) -> Inspection:
        return Inspection(self.source(), self.ledger(), Threads(_THREADS), self.stack.peers)

    def source(self) -> Source:
        return source_in(self.region)

    def source_lister(self) -> Lister:
        return S3Lister(_client("s3", self.region), self.stack.source_bucket, source=True)

    def settle_request(self) -> SettleRequest:
        client = _client("lambda", self.region, _INVOKING)
        return SettleRequest(LambdaFunction(client, self.stack.retry_function), SystemClock())

    def configuration(self) -> ConfigurationObject:
        return ConfigurationObject(_client("s3", self.region), self.stack.control_bucket)

    def parked(self) -> Parked:
        stack = self.stack
        queue = SqsParkedQueue(_client("sqs", self.region), stack.parked_queue_url, stack.ingest_queue_url)
        return Parked(queue, Threads(_THREADS), SystemClock())

    def open_work(self) -> OpenWork:
        return OpenWork(
            DynamoOpenWork(_client("dynamodb", self.region), self.stack.ledger_table),
            self.ledger(),
            DeadLetterQueue(_client("sqs", self.region), self.stack.dead_letter_queue_url),
            SystemClock(),
        )

    def manifest_files(self) -> OperatorsFiles:
        return OperatorsFiles(_client("s3", self.region), self.stack.control_bucket)

    def check_request(self) -> CheckRequest:
        """Raises ``StackUnusable``."""
        stack = self.stack
        if stack.replicate_function is None or not stack.roles:
            raise _of_a_former_release(stack, ROLE_ARNS, "a check of itself")
        client = _client("lambda", self.region, _INVOKING_ONCE)
        return CheckRequest(
            LambdaFunction(client, stack.replicate_function),
            LambdaFunction(client, stack.retry_function),
            SystemDice(),
        )

    def wiring(self) -> NotificationWiring:
        """Raises ``StackUnusable``."""
        stack = self.stack
        if stack.ingest_queue_arn is None:
            raise _of_a_former_release(stack, INGEST_QUEUE, "a look at its notifications")
        # A denial is told at once: an operator's rights are not new, as a role's may be.
        admin = BucketAdmin(_client("s3", self.region), time.sleep, denials=1)
        entry = Entry(identifier_of(stack.name), stack.ingest_queue_arn)
        return NotificationWiring(admin, stack.source_bucket, Wiring(entry, stack.event_source), time.sleep)

    def jobs(self) -> JobControl:
        """Raises ``StackUnusable``."""
        stack = self.stack
        if stack.job_machine is None:
            raise _of_a_former_release(stack, JOB_MACHINE, "backfill and reconcile")
        return JobControl(
            Executions(_client("stepfunctions", self.region), stack.job_machine),
            S3JobStore(_client("s3", self.region), stack.control_bucket),
            Threads(_THREADS),
            SystemClock(),
        )


def operator_of(stack_name: str, region: str | None) -> Operator:
    """Raises ``StackUnusable``."""
    return Operator(read_stack(_client("cloudformation", region), stack_name), region)


def partition_of(region: str | None) -> str:
    """The partition of a region, or of the one that is asked for by default. Raises ``StackUnusable``."""
    return operator_clients.partition_of(region)


def _of_a_former_release(stack: Stack, output: str, lacking: str) -> StackUnusable:
    return StackUnusable(
        f"stack {stack.name!r} has no output {output}, as it was deployed by a release without {lacking}:"
        " deploy this release (sam build && sam deploy)"
    )


def source_in(region: str | None) -> Source:
    """Any bucket, without a stack. Raises ``StackUnusable``."""
    return S3Source(_client("s3", region))


def own_rules_of(bucket: str, region: str | None) -> NativeReplication | None:
    """Those by which Amazon S3 itself replicates it. Raises ``BucketRefused``, ``StackUnusable``."""
    return native_replication(_client("s3", region), bucket)


def threads() -> Parallel:
    return Threads(_THREADS)


def _client(service: str, region: str | None, config: Config = _CLIENT) -> Any:
    return operator_clients.client(service, region, config)
