"""What a deployment does to the buckets it is given, and what it refuses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.deployments import Deployment
from tests.e2e.world import DOOMED, NEAR, SOURCE, World, wait_until

UNVERSIONED = "e2e-unversioned"
OTHER_SOURCE = "e2e-other-source"


@contextmanager
def another_stack(world: World, **parameters: str) -> Iterator[tuple[Deployment, str]]:
    """With these parameters differing; yields it and the status its deployment ends in, and deletes it
    again."""
    deployment = Deployment(world, f"other-{world.name}").create(**parameters)
    try:
        yield deployment, deployment.ended()
    finally:
        deployment.delete()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        pytest.param(
            {"Destinations": f"{NEAR},{UNVERSIONED}"},
            f"Destination bucket {UNVERSIONED} has versioning off",
            id="scenario 35",
        ),
        pytest.param(
            {"SourceBucket": UNVERSIONED, "Destinations": NEAR},
            f"Source bucket {UNVERSIONED} has versioning off",
            id="scenario 34",
        ),
        pytest.param({"Destinations": f"{NEAR},e2e-nowhere"}, "e2e-nowhere", id="no such bucket"),
    ],
)
def test_a_bucket_that_cannot_be_replicated_fails_the_deployment_and_says_why(
    world: World, parameters: dict[str, str], told: str
) -> None:
    world.s3.create_bucket(Bucket=UNVERSIONED)
    before = notifications(world, SOURCE)
    try:
        with another_stack(world, **parameters) as (deployment, status):
            assert status == "ROLLBACK_COMPLETE"
            [reason] = deployment.refusals("BucketSetup")
            assert told in reason
    finally:
        world.s3.delete_bucket(Bucket=UNVERSIONED)
    assert notifications(world, SOURCE) == before


def test_a_stack_leaves_what_others_have_set_up_at_its_source_as_it_is(world: World) -> None:
    """Their notification stays while the stack is there, and when it has gone."""
    theirs = f"theirs-{world.name}"
    url = world.sqs.create_queue(QueueName=theirs)["QueueUrl"]
    queue = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sending = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sending]})
    world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    world.s3.create_bucket(Bucket=OTHER_SOURCE)
    world.s3.put_bucket_versioning(Bucket=OTHER_SOURCE, VersioningConfiguration={"Status": "Enabled"})
    world.s3.put_bucket_notification_configuration(
        Bucket=OTHER_SOURCE,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"Id": "theirs", "QueueArn": queue, "Events": ["s3:ObjectRestore:Completed"]}
            ]
        },
    )
    before = notifications(world, OTHER_SOURCE)
    key = f"{world.name}/from another source"
    parameters = {"SourceBucket": OTHER_SOURCE, "Destinations": DOOMED, "DefaultRule": "Enabled"}
    with another_stack(world, **parameters) as (deployment, status):
        assert status == "CREATE_COMPLETE"
        after = notifications(world, OTHER_SOURCE)
        assert after.keys() == {"theirs", f"s3-replicator-{deployment.name}"}
        assert after["theirs"] == before["theirs"]
        world.s3.put_object(Bucket=OTHER_SOURCE, Key=key, Body=b"x")
        wait_until(lambda: world.versions(DOOMED, key), "the default configuration replicates everything")
    assert notifications(world, OTHER_SOURCE) == before
    world.empty(DOOMED)
    world.empty(OTHER_SOURCE)
    world.s3.delete_bucket(Bucket=OTHER_SOURCE)
    world.sqs.delete_queue(QueueUrl=url)


def notifications(world: World, bucket: str) -> dict[str, str]:
    """By id, without the order in which S3 tells them."""
    told = world.s3.get_bucket_notification_configuration(Bucket=bucket)
    return {
        entry["Id"]: json.dumps({**entry, "Events": sorted(entry["Events"])}, sort_keys=True)
        for entry in told.get("QueueConfigurations", [])
    }
