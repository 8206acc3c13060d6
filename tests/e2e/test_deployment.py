"""What a deployment does to the buckets it is given, and what it refuses."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from mypy_boto3_cloudformation.client import CloudFormationClient

from local.stack import STACK_NAME
from tests.e2e.world import DOOMED, NEAR, SOURCE, World, wait_until

UNVERSIONED = "e2e-unversioned"
OTHER_SOURCE = "e2e-other-source"
ENDED = ("_COMPLETE", "_FAILED")


class Deployments:
    """Further stacks of the template that sam has built and uploaded for the one under test."""

    def __init__(self, world: World) -> None:
        self.cloudformation: CloudFormationClient = world.client("cloudformation")
        self.name = f"other-{world.name}"
        self.template = str(
            self.cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Original")["TemplateBody"]
        )
        [stack] = self.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}

    @contextmanager
    def deployed(self, **parameters: str) -> Iterator[str]:
        """Deploy with these parameters differing; yields the status it ends in, and deletes it again."""
        chosen: Mapping[str, str] = {**self.parameters, **parameters}
        self.cloudformation.create_stack(
            StackName=self.name,
            TemplateBody=self.template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in chosen.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        try:
            wait_until(lambda: self.status().endswith(ENDED), "the deployment has ended")
            yield self.status()
        finally:
            self.cloudformation.delete_stack(StackName=self.name)
            wait_until(self.is_gone, "the stack is deleted")

    def status(self) -> str:
        [stack] = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return stack["StackStatus"]

    def is_gone(self) -> bool:
        stacks = self.cloudformation.list_stacks()["StackSummaries"]
        return not any(
            stack["StackName"] == self.name and stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks
        )

    def outputs(self) -> dict[str, str]:
        [stack] = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def reasons(self) -> list[str]:
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] == "CREATE_FAILED" and event.get("LogicalResourceId") == "BucketSetup"
        ]


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
    deployments = Deployments(world)
    try:
        with deployments.deployed(**parameters) as status:
            assert status == "ROLLBACK_COMPLETE"
            [reason] = deployments.reasons()
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
    deployments = Deployments(world)
    key = f"{world.name}/from another source"
    with deployments.deployed(
        SourceBucket=OTHER_SOURCE, Destinations=DOOMED, DefaultRule="Enabled"
    ) as status:
        assert status == "CREATE_COMPLETE"
        after = notifications(world, OTHER_SOURCE)
        assert after.keys() == {"theirs", f"s3-replicator-{deployments.name}"}
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
