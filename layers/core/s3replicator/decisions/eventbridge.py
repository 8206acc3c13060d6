"""Events of S3 as EventBridge delivers them, turned into the records of notifications.

They tell the same in other words: one event a message, keys as they are instead of encoded, times in whole
seconds, and of who did it only the account. So nothing behind this has to know which way an event came.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from collections.abc import Mapping
from typing import Any, Final

from s3replicator.decisions.event_json import new_record, optional_text, text_at
from s3replicator.decisions.failures import UnreadableEvent

#: What we ask for; the rule in the template names the same.
CREATED: Final = "Object Created"
DELETED: Final = "Object Deleted"
#: By the name of the event in a notification.
NAMES: Final = {
    "Object Tags Added": "ObjectTagging:Put",
    "Object Tags Deleted": "ObjectTagging:Delete",
    "Object ACL Updated": "ObjectAcl:Put",
}
DETAIL_TYPES: Final = (CREATED, DELETED, *NAMES)

_SOURCE: Final = "aws.s3"

_REASONS_OF_CREATION: Final = {
    "PutObject": "Put",
    "POST Object": "Post",
    "CopyObject": "Copy",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}
#: What a lifecycle rule does has a name of its own in notifications, and is not replicated.
_REASONS_OF_DELETION: Final = {
    "DeleteObject": "ObjectRemoved",
    "Lifecycle Expiration": "LifecycleExpiration",
}
_DELETIONS: Final = {
    "Permanently Deleted": "Delete",
    "Delete Marker Created": "DeleteMarkerCreated",
}

#: The members of ``detail.object`` that a notification has too, and what they are called there.
_OF_THE_OBJECT: Final = {
    "version-id": "versionId",
    "sequencer": "sequencer",
    "size": "size",
    "etag": "eTag",
}


def is_from_eventbridge(document: Mapping[str, Any]) -> bool:
    return "detail-type" in document


def as_record(event: Mapping[str, Any]) -> dict[str, Any]:
    """The record S3 would have sent in a notification. Raises ``UnreadableEvent``."""
    if event.get("source") != _SOURCE:
        raise UnreadableEvent(f"source is {event.get('source')!r}, not {_SOURCE!r}")
    detail_type = text_at(event, "detail-type", of="event")
    bucket = text_at(event, "detail", "bucket", "name", of="event")
    key = text_at(event, "detail", "object", "key", of="event")
    detail = event["detail"]
    version = detail.get("event-version", "1.0")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise UnreadableEvent(f"event-version is {version!r}; this release reads 1.x")
    about = detail["object"]
    told = {classic: about[name] for name, classic in _OF_THE_OBJECT.items() if name in about}
    return new_record(
        name=_name(detail_type, detail),
        time=text_at(event, "time", of="event"),
        bucket=bucket,
        key=key,
        stored=told,
    )


def _name(detail_type: str, detail: Mapping[str, Any]) -> str:
    """What the event is called in a notification; what notifications have no name for keeps its own."""
    if detail_type == CREATED:
        reason = optional_text(detail, "reason") or "*"
        return f"ObjectCreated:{_REASONS_OF_CREATION.get(reason, reason)}"
    if detail_type == DELETED:
        # Of a deletion one has to know whether somebody asked for it, and what it left.
        family = _one_of(_REASONS_OF_DELETION, detail, "reason")
        return f"{family}:{_one_of(_DELETIONS, detail, 'deletion-type')}"
    return NAMES.get(detail_type, detail_type)


def _one_of(known: Mapping[str, str], detail: Mapping[str, Any], name: str) -> str:
    value = optional_text(detail, name)
    if value is None or value not in known:
        raise UnreadableEvent(f"{name} of a deletion is {value!r}; this release reads {', '.join(known)}")
    return known[value]
