"""A stack's outputs and parameters, from CloudFormation."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.stack import Stack, StackUnusable

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


def read_stack(client: "CloudFormationClient", name: str) -> Stack:
    """Raises ``StackUnusable``."""
    region = client.meta.region_name
    try:
        [found] = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] == "ValidationError" and "does not exist" in told["Message"]:
            raise StackUnusable(
                f"there is no stack {name!r} in {region}: name another one with --stack or STACK_NAME,"
                " another region with --region"
            ) from error
        raise StackUnusable(f"stack {name!r} in {region} cannot be read: {error}") from error
    except BotoCoreError as error:
        raise StackUnusable(f"stack {name!r} in {region} cannot be read: {error}") from error
    return Stack.read(
        name,
        region,
        found["StackStatus"],
        {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])},
    )
