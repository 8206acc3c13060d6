"""Further stacks, of the template that sam has built and uploaded for the one under test."""

import json
from typing import Any, Final, Self

from mypy_boto3_cloudformation.client import CloudFormationClient

from local.stack import STACK_NAME, Stack
from tests.e2e.world import World, wait_until

_ENDED: Final = ("_COMPLETE", "_FAILED")

#: Several at a time, each checks its buckets by functions that have to be started first. In seconds: what is
#: not broken has ended long before.
_PATIENCE: Final = 900.0

#: A bucket for templates.
_TEMPLATES: Final = "e2e-templates"


class Deployment:
    """One more stack. A parameter it is not given is as the first stack has it."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._endpoint = world.stack.endpoint
        self._cloudformation: CloudFormationClient = world.client("cloudformation")
        original = self._cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Original")
        # A template of more than 51,200 bytes has to be in a bucket.
        world.s3.create_bucket(Bucket=_TEMPLATES)
        world.s3.put_object(Bucket=_TEMPLATES, Key=name, Body=_text(original["TemplateBody"]))
        self._parameters = {
            each["ParameterKey"]: each["ParameterValue"] for each in self._describe(STACK_NAME)["Parameters"]
        }

    def create(self, **parameters: str) -> Self:
        """Returns at once, like ``update``."""
        self._cloudformation.create_stack(**self._request(parameters))
        return self

    def update(self, **parameters: str) -> Self:
        self._cloudformation.update_stack(**self._request(parameters))
        return self

    def ended(self) -> str:
        """Wait for the end of what has been begun, and return the status."""
        ended = f"the deployment of {self.name} has ended"
        wait_until(lambda: self._status().endswith(_ENDED), ended, _PATIENCE)
        return self._status()

    def deployed(self) -> Stack:
        status = self.ended()
        assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), f"{self.name}: {status}"
        outputs = self._describe(self.name)["Outputs"]
        return Stack(self._endpoint, {each["OutputKey"]: each["OutputValue"] for each in outputs})

    def refusals(self, resource: str) -> list[str]:
        """Why a resource could not be created."""
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] == "CREATE_FAILED" and event.get("LogicalResourceId") == resource
        ]

    def delete(self) -> None:
        self._cloudformation.delete_stack(StackName=self.name)
        wait_until(self._is_gone, f"{self.name} is deleted", _PATIENCE)

    def _request(self, parameters: dict[str, str]) -> dict[str, Any]:
        self._parameters |= parameters
        return {
            "StackName": self.name,
            "TemplateURL": f"{self._endpoint}/{_TEMPLATES}/{self.name}",
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters.items()
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }

    def _describe(self, name: str) -> Any:
        [stack] = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
        return stack

    def _status(self) -> str:
        return str(self._describe(self.name)["StackStatus"])

    def _is_gone(self) -> bool:
        stacks = self._cloudformation.list_stacks()["StackSummaries"]
        return not any(
            stack["StackName"] == self.name and stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks
        )


def _text(template: object) -> str:
    """As CloudFormation gave it: text, or, of JSON, an object."""
    return template if isinstance(template, str) else json.dumps(template)
