"""Events of S3 that come through an SNS topic: the envelope, and the message in it.

A bucket whose events go to a topic already, for several readers, cannot send them to our queue as well:
then the queue subscribes to the topic. With raw message delivery it gets what S3 has sent, without it the
envelope.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from collections.abc import Mapping
from typing import Any, Final

from s3replicator.decisions.failures import UnreadableEvent

_NOTIFICATION: Final = "Notification"

#: What SNS asks where the queue is in another account than the subscriber.
_CONFIRMATIONS: Final = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


def is_from_sns(document: Mapping[str, Any]) -> bool:
    """A record of S3, and an event of EventBridge, has none of these members."""
    return "TopicArn" in document and "Type" in document


def message_of(envelope: Mapping[str, Any]) -> str:
    """What was published, as it was. Raises ``UnreadableEvent``."""
    kind = envelope["Type"]
    if isinstance(kind, str) and kind in _CONFIRMATIONS:
        raise UnreadableEvent(
            f"the message is a {kind} of the topic {envelope['TopicArn']!r}: to confirm the subscription,"
            " open its SubscribeURL; then drop the message"
        )
    if kind != _NOTIFICATION:
        raise UnreadableEvent(f"the Type of an SNS message is {kind!r}, not {_NOTIFICATION!r}")
    message = envelope.get("Message")
    if not isinstance(message, str):
        raise UnreadableEvent("the SNS message has no text as its Message")
    return message
