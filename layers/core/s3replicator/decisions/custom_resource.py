"""CloudFormation's requests to a custom resource, answered.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

import json
from collections.abc import Mapping
from typing import Any, Final

#: Bytes that CloudFormation reads of an answer.
ANSWER_LIMIT: Final = 4096

Answer = dict[str, Any]


def success(request: Mapping[str, Any], physical_id: str, data: Mapping[str, str] | None = None) -> Answer:
    """An update keeps the id it was given: another one would make CloudFormation send a Delete for the old
    one."""
    kept = request.get("PhysicalResourceId", physical_id)
    return _answer(request, "SUCCESS", kept) | ({} if data is None else {"Data": dict(data)})


def failure(request: Mapping[str, Any], physical_id: str, reason: str) -> Answer:
    """The answer to a request that was not carried out, short enough for CloudFormation."""
    kept = request.get("PhysicalResourceId", f"{physical_id}/refused")
    answer = _answer(request, "FAILED", kept) | {"Reason": reason}
    excess = len(json.dumps(answer)) - ANSWER_LIMIT
    if excess <= 0:
        return answer
    # A character takes at least one byte, so this is enough for the dots as well.
    return answer | {"Reason": reason[: -excess - 3] + "..."}


def _answer(request: Mapping[str, Any], status: str, physical_id: str) -> Answer:
    return {
        "Status": status,
        "PhysicalResourceId": physical_id,
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
    }
