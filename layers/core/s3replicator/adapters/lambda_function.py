"""A function of the stack, called from outside."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.stack import StackUnusable

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaFunction:
    def __init__(self, client: "LambdaClient", name: str) -> None:
        self._client = client
        self._name = name

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What the handler returned. Raises ``StackUnusable``."""
        try:
            answer = self._client.invoke(FunctionName=self._name, Payload=json.dumps(event))
            body = answer["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            raise StackUnusable(f"function {self._name} cannot be invoked: {error}") from error
        returned: dict[str, Any] = json.loads(body)
        if answer.get("FunctionError"):
            told = ": ".join(returned[name] for name in ("errorType", "errorMessage") if name in returned)
            raise StackUnusable(f"function {self._name} failed, and its log tells more: {told}")
        return returned
