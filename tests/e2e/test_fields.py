"""What the fields of a rule mean that Amazon has beside its filter: key, owner, time, events; under IAM."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.e2e.world import FRAGILE, NEAR, Rule, World, rule, wait_until

ACCOUNT: Final = "000000000000"
REPLICA_KEY: Final = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/6666ffff-77aa-88bb-99cc-000000dddddd"
TIME_CONTROL: Final[dict[str, Any]] = {
    "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
    "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
}


def to(bucket: str, prefix: str, **destination: Any) -> Rule:
    made = rule(prefix, bucket)
    return {**made, "Destination": {**made["Destination"], **destination}}


@contextmanager
def listening(world: World) -> Iterator[Any]:
    """Calls what takes the events that have come, by name, from the account's bus."""
    events, name = world.client("events"), f"listener-{world.name}"
    queue = world.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = world.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["s3-replicator"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def take(key: str) -> list[dict[str, Any]]:
        answer = world.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        heard = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return [event for event in heard if event["detail"]["object"]["key"] == key]

    try:
        yield take
    finally:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        world.sqs.delete_queue(QueueUrl=queue)


def test_a_failure_is_told_of_on_the_bus_and_so_is_what_is_late(world: World) -> None:
    """M202, M203."""
    folder = world.folder("told")
    with listening(world) as heard, world.also(to(FRAGILE, folder, **TIME_CONTROL)):
        denied, late = folder + "denied", folder + "late"
        with world.denied(FRAGILE, denied, "s3:PutObject"):
            world.put(denied, b"x")
            [failed] = wait_until(lambda: heard(denied), "the event of the failure")
        with world.notifications_held_back() as held:
            version = world.put(late, b"x")
            [record] = held(late, 1)
        written = datetime.now(UTC) - timedelta(minutes=16)
        world.send({**record, "eventTime": written.isoformat(timespec="milliseconds")})
        world.arrives(FRAGILE, late, version)

        def both() -> list[dict[str, Any]]:
            events: list[dict[str, Any]] = heard(late)
            return events if len(events) == 2 else []

        told = wait_until(both, "the events of the late version")

    assert failed["detail-type"] == "OperationFailedReplication"
    assert failed["detail"]["replicationEventData"]["failureReason"] == "DstPutObjectNotPermitted"
    assert {event["detail-type"] for event in told} == {
        "OperationMissedThreshold",
        "OperationReplicatedAfterThreshold",
    }


def test_a_replica_has_the_key_and_the_owner_that_its_rule_names(world: World) -> None:
    """H122, N211, in one account."""
    folder = world.folder("owned")
    owned = to(
        NEAR,
        folder,
        Account=ACCOUNT,
        AccessControlTranslation={"Owner": "Destination"},
        EncryptionConfiguration={"ReplicaKmsKeyID": REPLICA_KEY},
    )
    opted_in = {**owned, "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}
    with world.also(opted_in):
        encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": REPLICA_KEY.replace("6666", "1111")}
        version = world.put(folder + "key", b"x", **encrypted)
        replica = world.arrives(NEAR, folder + "key", version)

    found = world.s3.head_object(Bucket=NEAR, Key=folder + "key", VersionId=replica)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", REPLICA_KEY)
