"""The queues between the functions, and the queue a function reads from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.failures import Reason, RetryableError

#: The longest an SQS message can be delayed, and the longest it can stay invisible, in seconds.
_LONGEST_DELAY: Final = 900
_LONGEST_INVISIBILITY: Final = 43_200

_BATCH: Final = 10


class SqsOutbox:
    def __init__(self, client: Any, *, large: str, dead_letter: str, parked: str) -> None:
        self._client = client
        self._large = large
        self._dead_letter = dead_letter
        self._parked = parked

    def to_large_lane(self, body: Mapping[str, Any], delay: float = 0) -> None:
        self._send(self._large, json.dumps(body), delay=delay)

    def hand_over(self, body: Mapping[str, Any]) -> None:
        self._send(self._dead_letter, json.dumps(body))

    def park(self, body: Mapping[str, Any] | str, attributes: Mapping[str, str]) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self._send(
            self._parked,
            text,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": _printable(value)}
                for name, value in attributes.items()
                if value
            },
        )

    def _send(self, queue: str, body: str, *, delay: float = 0, **arguments: Any) -> None:
        with _queue_failures():
            self._client.send_message(
                QueueUrl=queue,
                MessageBody=body,
                DelaySeconds=min(round(delay), _LONGEST_DELAY),
                **arguments,
            )


class SqsInbox:
    """The queue a function reads from."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def return_after(self, seconds_by_receipt: Mapping[str, float]) -> None:
        """Let messages that were not dealt with be seen again, each after its number of seconds.

        Without this they stay invisible for the rest of the queue's visibility timeout.
        """
        entries = [
            {
                "Id": str(number),
                "ReceiptHandle": receipt,
                "VisibilityTimeout": min(max(round(seconds), 0), _LONGEST_INVISIBILITY),
            }
            for number, (receipt, seconds) in enumerate(seconds_by_receipt.items())
        ]
        with _queue_failures():
            for first in range(0, len(entries), _BATCH):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url, Entries=entries[first : first + _BATCH]
                )


def _printable(text: str) -> str:
    """SQS takes the characters of XML 1.0 only; error messages can hold others."""
    return "".join(c if c in "\t\n\r" or c >= " " else "?" for c in text)


@contextmanager
def _queue_failures() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise RetryableError(Reason.QUEUE_UNAVAILABLE, str(error)) from error
