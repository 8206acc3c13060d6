"""What the tests of the protocol take for granted, held against the real adapters over the embedded AWS."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from local.stack import Stack
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.ledger import INDEX, DynamoLedger
from s3replicator.adapters.source import S3Source
from tests.e2e.world import World
from tests.unit.protocol.boto_user import BotoUser
from tests.unit.protocol.conformance import S3_CASES, S3Case, Stage, against
from tests.unit.protocol.ledger_conformance import LEDGER_CASES, LedgerCase

SOURCE: Final = "conformance-source"
DESTINATION: Final = "conformance-destination"
TABLE: Final = "conformance-ledger"


@dataclass(frozen=True, slots=True)
class Place:
    """Buckets and a table that no function of the stack knows."""

    s3: Any
    ledger: DynamoLedger


@pytest.fixture(scope="module")
def place(stack: Stack) -> Iterator[Place]:
    world = World(stack)
    for bucket in (SOURCE, DESTINATION):
        # As buckets were made for years: new ones have ACLs disabled.
        world.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True, ObjectOwnership="ObjectWriter")
        world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    deployed = world.dynamodb.describe_table(TableName=stack.outputs["LedgerTableName"])["Table"]
    [index] = deployed["GlobalSecondaryIndexes"]
    world.dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=deployed["AttributeDefinitions"],
        KeySchema=deployed["KeySchema"],
        GlobalSecondaryIndexes=[
            {"IndexName": INDEX, "KeySchema": index["KeySchema"], "Projection": index["Projection"]}
        ],
    )
    yield Place(world.s3, DynamoLedger(world.dynamodb, TABLE))
    world.dynamodb.delete_table(TableName=TABLE)


@pytest.mark.parametrize("case", against("MiniStack", S3_CASES))
def test_s3(place: Place, case: S3Case) -> None:
    case(
        Stage(
            S3Source(place.s3),
            S3Destination(DESTINATION, place.s3, place.s3),
            BotoUser(place.s3, SOURCE),
            BotoUser(place.s3, DESTINATION),
            case.__name__,
            wait=lambda: time.sleep(1),
        )
    )


@pytest.mark.parametrize("case", against("MiniStack", LEDGER_CASES))
def test_ledger(place: Place, case: LedgerCase) -> None:
    case(place.ledger, case.__name__)
