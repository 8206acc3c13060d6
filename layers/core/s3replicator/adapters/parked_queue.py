"""The parked queue, as an operator reads it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.parked import ParkedMessage, read

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

#: How long what has been taken stays invisible, should nobody give it back, in seconds.
HELD: Final = 120

#: An answer that has waited has asked every server of the queue, so that an empty one means empty.
_WAIT: Final = 1

_BATCH: Final = 10


class SqsParkedQueue:
    def __init__(self, client: "SQSClient", parked: str, ingest: str) -> None:
        self._client = client
        self._parked = parked
        self._ingest = ingest
        self._receipts: dict[str, str] = {}

    def take(self) -> Sequence[ParkedMessage]:
        with _failures():
            answer = self._client.receive_message(
                QueueUrl=self._parked,
                MaxNumberOfMessages=_BATCH,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
                VisibilityTimeout=HELD,
                WaitTimeSeconds=_WAIT,
            )
        messages = answer.get("Messages", [])
        self._receipts |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        return [_read(message) for message in messages]

    def send_round(self, message: ParkedMessage) -> None:
        with _failures():
            self._client.send_message(QueueUrl=self._ingest, MessageBody=message.body)

    def remove(self, message: ParkedMessage) -> None:
        with _failures():
            self._client.delete_message(QueueUrl=self._parked, ReceiptHandle=self._receipts[message.id])

    def give_back(self, messages: Sequence[ParkedMessage]) -> None:
        with _failures():
            for first in range(0, len(messages), _BATCH):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._parked,
                    Entries=[
                        {
                            "Id": str(number),
                            "ReceiptHandle": self._receipts[message.id],
                            "VisibilityTimeout": 0,
                        }
                        for number, message in enumerate(messages[first : first + _BATCH])
                    ],
                )


def _read(message: "MessageTypeDef") -> ParkedMessage:
    sent = message.get("Attributes", {}).get("SentTimestamp")
    return read(
        message["MessageId"],
        message["Body"],
        {
            name: attribute["StringValue"]
            for name, attribute in message.get("MessageAttributes", {}).items()
            if "StringValue" in attribute
        },
        int(sent) / 1000 if sent else None,
    )


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise RetryableError(Reason.QUEUE_UNAVAILABLE, str(error)) from error
