"""Lets moto take 8 KB of headers, as Amazon S3 does; moto takes any number."""

from collections.abc import Iterator
from typing import Any, Final

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

_MOST: Final = 8192
_REFUSAL: Final = (
    b"<Error><Code>RequestHeaderSectionTooLarge</Code>"
    b"<Message>Your request header section exceeds the maximum allowed size.</Message></Error>"
)


def refuse_long_headers(event_name: str, request: Any) -> AWSResponse | None:
    if not event_name.startswith("before-send.s3."):
        return None
    size = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.items())
    return AWSResponse(request.url, 400, HTTPHeaders(), _Raw()) if size > _MOST else None


class _Raw:
    """As much of a response stream as botocore reads."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield _REFUSAL
