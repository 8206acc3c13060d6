"""What a stack is doing, from CloudFormation."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


class StackStatus:
    def __init__(self, client: "CloudFormationClient") -> None:
        self._client = client

    def is_rolling_back(self, stack_id: str) -> bool:
        """False if CloudFormation does not say."""
        try:
            [found] = self._client.describe_stacks(StackName=stack_id)["Stacks"]
        except (ClientError, BotoCoreError):
            return False
        return "ROLLBACK" in found["StackStatus"]
