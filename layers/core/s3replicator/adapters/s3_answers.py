"""What the SDK cannot read of S3's answers, made readable before it tries.

A key may hold characters that XML 1.0 does not know. S3 names them all the same, ``&#x8;`` for a backspace,
and the SDK's parser takes the whole answer for damaged. Nobody here needs a key that comes back in an answer,
but for lists, which have them encoded; so such characters are replaced.
"""

import re
from typing import Any, Final
from urllib.parse import unquote_plus

#: What is read here is written somewhere else, so nothing in it may be replaced.
_TAKEN_OVER: Final = frozenset({"GetObjectAcl", "GetObjectTagging", "ListObjectAnnotations"})

_REFERENCE: Final = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,8}));")
#: Controls, surrogates, and U+FFFE and U+FFFF, in UTF-8.
_NO_XML: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xed[\xa0-\xbf][\x80-\xbf]|\xef\xbf[\xbe\xbf]")
_REPLACEMENT: Final = "\ufffd".encode()


def read_any_key(client: Any) -> None:
    """Let this client read answers with any key in them, and list uploads at any key.

    The SDK looks for errors inside of successes before any other handler of S3's answers, and takes what it
    cannot read for one. Handlers of all services come before those of one.
    """
    events = client.meta.events
    events.register_first("before-parse.*.*", _make_readable, unique_id="s3replicator.readable")
    events.register("after-call.s3.ListMultipartUploads", _decode_uploads, unique_id="s3replicator.uploads")


def _make_readable(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    body = response_dict["body"]
    if isinstance(body, bytes) and (
        response_dict["status_code"] >= 300 or operation_model.name not in _TAKEN_OVER
    ):
        response_dict["body"] = readable(body)


def readable(body: bytes) -> bytes:
    """An answer in XML, its characters that XML does not know replaced."""
    if not body.lstrip().startswith(b"<"):
        return body
    return _NO_XML.sub(_REPLACEMENT, _REFERENCE.sub(_known, body))


def _known(reference: re.Match[bytes]) -> bytes:
    hexadecimal, decimal = reference.groups()
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return reference.group() if _is_xml(code) else _REPLACEMENT


def _is_xml(code: int) -> bool:
    """https://www.w3.org/TR/xml/#charsets"""
    ranges = ((0x20, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x10FFFF))
    return code in (0x9, 0xA, 0xD) or any(first <= code <= last for first, last in ranges)


def _decode_uploads(parsed: dict[str, Any], **_: Any) -> None:
    """As the SDK does for all other lists. The marker is decoded, too: it is sent again for the next page."""
    if parsed.get("EncodingType") != "url":
        return
    for name in ("KeyMarker", "NextKeyMarker", "Prefix"):
        if name in parsed:
            parsed[name] = unquote_plus(parsed[name])
    for upload in parsed.get("Uploads", []):
        upload["Key"] = unquote_plus(upload["Key"])
