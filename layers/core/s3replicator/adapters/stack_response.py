"""The answer to CloudFormation: a PUT to the address its request names."""

import json
from collections.abc import Mapping
from typing import Any, Final

import urllib3

TIMEOUT: Final = 5.0  # seconds; with the tries below well within the function's own timeout
TRIES: Final = urllib3.Retry(
    total=4, backoff_factor=0.5, status_forcelist=[500, 502, 503, 504], allowed_methods=["PUT"]
)


def send(url: str, answer: Mapping[str, Any]) -> None:
    """Raises if CloudFormation did not take it, so that Lambda calls the function again."""
    reply = urllib3.PoolManager().request(
        "PUT",
        url,
        body=json.dumps(answer).encode(),
        # The address is signed for a request without a content type.
        headers={"Content-Type": ""},
        timeout=TIMEOUT,
        retries=TRIES,
    )
    if reply.status >= 300:
        raise urllib3.exceptions.HTTPError(f"CloudFormation answered {reply.status}")
