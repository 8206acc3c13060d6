"""The composition root of the custom resources, which need nothing of the engine's."""

import time
from collections.abc import Callable

import boto3
from botocore.config import Config

from s3replicator.adapters.bucket_admin import BucketAdmin
from s3replicator.adapters.lambda_function import LambdaFunction
from s3replicator.adapters.runtime import SystemClock, SystemDice
from s3replicator.adapters.stack_status import StackStatus
from s3replicator.usecases.bucket_setup import BucketSetup
from s3replicator.usecases.check_request import CheckRequest
from s3replicator.usecases.deployment_check import DeploymentCheck

# Short enough that a bucket nobody answers for becomes a message before CloudFormation gives up.
_CLIENT = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


def build_bucket_setup(note: Callable[[str], None]) -> BucketSetup:
    admin = BucketAdmin(boto3.client("s3", config=_CLIENT), time.sleep)
    return BucketSetup(buckets=admin, pause=time.sleep, note=note)


# A check is made once: whoever asks again would have the probes written twice. The function that writes them
# may run for a minute, and one that removes them waits for locks to end.
_INVOKING = Config(connect_timeout=3, read_timeout=75, retries={"mode": "standard", "total_max_attempts": 1})


def build_deployment_check(note: Callable[[str], None]) -> DeploymentCheck:
    functions = boto3.client("lambda", config=_INVOKING)

    def checks(replicate: str, retry: str) -> CheckRequest:
        return CheckRequest(
            LambdaFunction(functions, replicate), LambdaFunction(functions, retry), SystemDice()
        )

    stacks = StackStatus(boto3.client("cloudformation", config=_CLIENT))
    return DeploymentCheck(checks, stacks, SystemClock(), note)
