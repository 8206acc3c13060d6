"""The composition root of the custom resource, which needs nothing of the engine's."""

import time
from collections.abc import Callable

import boto3
from botocore.config import Config

from s3replicator.adapters.bucket_admin import BucketAdmin
from s3replicator.usecases.bucket_setup import BucketSetup

# Short enough that a bucket nobody answers for becomes a message before CloudFormation gives up.
_CLIENT = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


def build_bucket_setup(note: Callable[[str], None]) -> BucketSetup:
    admin = BucketAdmin(boto3.client("s3", config=_CLIENT), time.sleep)
    return BucketSetup(buckets=admin, pause=time.sleep, note=note)
