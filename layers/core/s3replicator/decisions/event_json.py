"""The JSON of events: text that is read out of it, and the record that is written."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from s3replicator.decisions.failures import UnreadableEvent


def text_at(document: Mapping[str, Any], *path: str, of: str = "record") -> str:
    """What stands at ``path``. Raises ``UnreadableEvent`` if it is no text, or none that can be stored;
    ``of`` is what the document is called then."""
    value: object = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise UnreadableEvent(f"the {of} has no {'.'.join(path)}")
    return utf8(value, path[-1])


def optional_text(document: Mapping[str, Any], name: str) -> str | None:
    """None if it is not there, or empty. Raises ``UnreadableEvent`` if it is anything but text."""
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UnreadableEvent(f"{name} is {value!r}, not text")
    return utf8(value, name)


def utf8(value: str, name: str) -> str:
    """JSON can name half of a character; nothing that is sent or stored can hold it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnreadableEvent(f"{name} {value!a} is not UTF-8") from None
    return value


def new_record(*, name: str, time: str, bucket: str, key: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """A record as S3 would have sent it in a notification.

    ``time`` is ISO 8601 in UTC, ``key`` as it is, ``stored`` what else there is to say of the object, by the
    names that S3 uses there: ``versionId``, ``sequencer`` and so on.
    """
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": time,
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket},
            "object": {"key": quote_plus(key, safe="/"), **stored},
        },
    }
