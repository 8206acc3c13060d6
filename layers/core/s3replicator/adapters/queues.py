"""The queues between the functions, and the queue a function reads from."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.failures import Reason, RetryableError

#: The longest an SQS message can be delayed, and the longest it can stay invisible, in seconds.
_LONGEST_DELAY: Final = 900
_LONGEST_INVISIBILITY: Final = 43_200

_BATCH: Final = 10

#: What SQS answers of a message that is too large; and of much else.
_TOO_LARGE: Final = frozenset({"InvalidParameterValue", "InvalidMessageContents"})

#: What JSON may have as it is, and a message may not: it takes the characters of XML 1.0.
_ESCAPED: Final = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class SqsOutbox:
    def __init__(self, client: Any, *, large: str, dead_letter: str, parked: str) -> None:
        self._client = client
        self._large = large
        self._dead_letter = dead_letter
        self._parked = parked

    def to_large_lane(self, body: Mapping[str, Any], delay: float = 0) -> None:
        self._send_one_of(self._large, _forms(body, {}), delay=delay)

    def hand_over(self, body: Mapping[str, Any]) -> None:
        self._send_one_of(self._dead_letter, _forms(body, {}))

    def park(self, body: Mapping[str, Any] | str, attributes: Mapping[str, str]) -> None:
        self._send_one_of(self._parked, _forms(body, attributes))

    def _send_one_of(self, queue: str, forms: Iterable["_Form"], delay: float = 0) -> None:
        """The first that the queue takes. Which one is too large only the queue knows: the limit is an
        attribute of it."""
        with _queue_failures():
            refusal: ClientError | None = None
            for body, attributes in forms:
                try:
                    self._send(queue, body, attributes, delay)
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _TOO_LARGE:
                        raise
                    refusal = error
                else:
                    return
            assert refusal is not None
            raise refusal

    def _send(self, queue: str, body: str, attributes: Mapping[str, str], delay: float) -> None:
        told = {
            name: {"DataType": "String", "StringValue": _printable(value)}
            for name, value in attributes.items()
            if value
        }
        more: dict[str, Any] = {"MessageAttributes": told} if told else {}
        self._client.send_message(
            QueueUrl=queue, MessageBody=body, DelaySeconds=min(round(delay), _LONGEST_DELAY), **more
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


#: One way to say what a message says: its body, and its attributes.
_Form = tuple[str, Mapping[str, str]]


def _forms(body: Mapping[str, Any] | str, attributes: Mapping[str, str]) -> Iterator[_Form]:
    """The clearest first; then what takes less room, down to what came: that has been in a queue before."""
    if isinstance(body, str):
        yield body, attributes
        yield body, {name: value for name, value in attributes.items() if name == "reason"}
        yield body, {}
        return
    yield json.dumps(body), attributes
    dense = _ESCAPED.sub(_escape, json.dumps(body, ensure_ascii=False, separators=(",", ":")))
    yield dense, attributes
    yield dense, {}


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _printable(text: str) -> str:
    """SQS takes the characters of XML 1.0 only; error messages can hold others."""
    return "".join(c if c in "\t\n\r" or c >= " " else "?" for c in text)


@contextmanager
def _queue_failures() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise RetryableError(Reason.QUEUE_UNAVAILABLE, str(error)) from error
