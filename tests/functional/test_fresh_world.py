"""No test finds what another one left: not in the mocked AWS, in clients, in settings or in functions."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

import functions.replicate.app
from s3replicator.adapters.clients import Clients
from s3replicator.adapters.ledger import INDEX
from s3replicator.decisions.configuration import OBJECT_KEY
from tests.functional.faults import Fault, faults
from tests.functional.world import CONTROL, DESTINATIONS, ONE, SOURCE, TABLE, TWO, World

BUCKETS: Final = (CONTROL, *DESTINATIONS, SOURCE)
QUEUES: Final = ("dead-letter", "ingest", "large", "parked")

#: What handlers saw that a test left on its clients.
_seen: list[str] = []


# Twice: in whatever order they run, the second one comes after what the first one did.
@pytest.mark.parametrize("turn", ["one", "another"])
def test_a_world_holds_nothing_of_an_earlier_one(world: World, turn: str) -> None:
    assert state(world) == FRESH
    assert_clients_are_new(world)

    change_everything(world)

    changed = state(world)
    assert [part for part in FRESH if changed[part] == FRESH[part]] == []
    wear_out_clients(world)


FRESH: Final[dict[str, Any]] = {
    "buckets": list(BUCKETS),
    "objects": [(CONTROL, OBJECT_KEY)],
    "uploads": 0,
    "versioning": dict.fromkeys(BUCKETS, "Enabled"),
    "notifications": {},
    "bucket tags": [],
    "locks": {"ObjectLockEnabled": "Enabled"},
    "tables": [TABLE],
    "items": 0,
    "index": True,
    "queues": list(QUEUES),
    "waiting": dict.fromkeys(QUEUES, ("0", "0")),
    "rules": [],
    "region": "us-east-1",
    "settings": ("5", None),
    "functions": 0,
}


def state(world: World) -> dict[str, Any]:
    """What differs in a world that is not fresh."""
    s3, table = world.s3, world.dynamodb.describe_table(TableName=TABLE)["Table"]
    here = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    listed = {name: s3.list_object_versions(Bucket=name) for name in here}
    tagging = boto3.client("resourcegroupstaggingapi", region_name="us-east-1")
    told = s3.get_bucket_notification_configuration(Bucket=SOURCE)
    return {
        "buckets": sorted(here),
        "objects": [
            (name, entry["Key"])
            for name, answer in listed.items()
            for entry in answer.get("Versions", []) + answer.get("DeleteMarkers", [])
        ],
        "uploads": world.open_uploads(),
        "versioning": {name: s3.get_bucket_versioning(Bucket=name)["Status"] for name in here},
        "notifications": {name: value for name, value in told.items() if name != "ResponseMetadata"},
        "bucket tags": tagging.get_resources()["ResourceTagMappingList"],
        "locks": s3.get_object_lock_configuration(Bucket=ONE)["ObjectLockConfiguration"],
        "tables": world.dynamodb.list_tables()["TableNames"],
        "items": world.dynamodb.scan(TableName=TABLE)["Count"],
        "index": bool(table.get("GlobalSecondaryIndexes")),
        "queues": sorted(url.rpartition("/")[2] for url in world.sqs.list_queues()["QueueUrls"]),
        "waiting": {name: waiting(world, name) for name in QUEUES},
        "rules": boto3.client("events", region_name="us-east-1").list_rules()["Rules"],
        "region": boto3.client("s3").meta.region_name,
        "settings": (os.environ["LEASE_GRACE_SECONDS"], os.environ.get("LEFT_BY_A_TEST")),
        "functions": functions.replicate.app.function.cache_info().currsize,
    }


def waiting(world: World, queue: str) -> tuple[str, str]:
    """How many messages wait, and how many are with somebody."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    answer = world.sqs.get_queue_attributes(QueueUrl=world.queues[queue], AttributeNames=list(names))
    waits, is_out = (answer["Attributes"][name] for name in names)
    return waits, is_out


def change_everything(world: World) -> None:
    s3, sqs, dynamodb = world.s3, world.sqs, world.dynamodb
    world.deliver(world.put("delivered"))
    for bucket in DESTINATIONS:
        version = s3.head_object(Bucket=bucket, Key="delivered")["VersionId"]
        s3.delete_object(Bucket=bucket, Key="delivered", VersionId=version)

    s3.delete_bucket(Bucket=TWO)
    s3.create_bucket(Bucket="left-by-a-test")
    s3.put_bucket_versioning(Bucket="left-by-a-test", VersioningConfiguration={"Status": "Suspended"})
    s3.put_bucket_tagging(Bucket=SOURCE, Tagging={"TagSet": [{"Key": "left", "Value": "here"}]})
    queue = {"QueueArn": "arn:aws:sqs:us-east-1:123456789012:ingest", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=SOURCE, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    s3.put_object_lock_configuration(
        Bucket=ONE,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    s3.create_multipart_upload(Bucket=ONE, Key="upload")
    for bucket in (SOURCE, ONE):
        version = s3.put_object(Bucket=bucket, Key="key", Body=b"left", Tagging="left=here")["VersionId"]
        s3.put_object_retention(
            Bucket=bucket,
            Key="key",
            VersionId=version,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)},
        )
        s3.delete_object(Bucket=bucket, Key="key")

    boto3.client("events").put_rule(Name="left-by-a-test", ScheduleExpression="rate(1 day)")
    boto3.setup_default_session(region_name="eu-west-1")
    world.monkeypatch.setenv("LEASE_GRACE_SECONDS", "77")
    world.monkeypatch.setenv("LEFT_BY_A_TEST", "yes")

    dynamodb.create_table(
        TableName="left-by-a-test",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    dynamodb.update_table(TableName=TABLE, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": INDEX}}])

    sqs.create_queue(QueueName="left-by-a-test")
    for url in world.queues.values():
        sqs.send_message(QueueUrl=url, MessageBody="in flight")
        sqs.receive_message(QueueUrl=url)
        sqs.send_message(QueueUrl=url, MessageBody="waiting")


def wear_out_clients(world: World) -> None:
    """Leave handlers on clients, and nothing of what they may repeat."""
    ours = Clients("us-east-1", 1).s3("us-east-1")
    for client in (world.s3, ours):
        client.meta.events.register("before-call.s3.ListBuckets", lambda **_: _seen.append("called"))
        client.list_buckets()
    assert _seen == ["called", "called"]
    _seen.clear()
    with faults(Fault("HeadBucket", status=500, times=1000)):
        repeated = [repetitions(ours) for _ in range(200)]
    assert (repeated[0], repeated[-1]) == (3, 0)


def assert_clients_are_new(world: World) -> None:
    ours = Clients("us-east-1", 1).s3("us-east-1")
    for client in (world.s3, ours):
        client.list_buckets()
    assert _seen == []
    with faults(Fault("HeadBucket", status=500, times=4)):
        assert repetitions(ours) == 3


def repetitions(client: Any) -> int:
    with pytest.raises(ClientError) as refused:
        client.head_bucket(Bucket=SOURCE)
    return refused.value.response["ResponseMetadata"]["RetryAttempts"]
