"""Buckets and tables that are asked for once and then copied, so that each world has its own at once."""

from copy import deepcopy
from dataclasses import dataclass

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, S3Backend, s3_backends


@dataclass(frozen=True)
class Furniture:
    """Copies of what moto has, which nobody uses."""

    buckets: dict[str, FakeBucket]
    accounts: dict[str, tuple[str, str]]
    tables: dict[str, Table]


def put_aside() -> Furniture:
    """All buckets and tables there are, which must be empty."""
    return Furniture(
        deepcopy(_s3().buckets), deepcopy(s3_backends.bucket_accounts), deepcopy(dict(_dynamodb().tables))
    )


def set_up(furniture: Furniture) -> None:
    _s3().buckets.update(deepcopy(furniture.buckets))
    s3_backends.bucket_accounts.update(furniture.accounts)
    _dynamodb().tables.update(deepcopy(furniture.tables))


def _s3() -> S3Backend:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _dynamodb() -> DynamoDBBackend:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
