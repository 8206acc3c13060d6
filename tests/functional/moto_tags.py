"""Lets moto take a TagSet without tags, as Amazon S3 does: an object has none then."""

import pytest
from moto.s3.responses import S3Response

_read = S3Response._tagging_from_xml


def tag_as_s3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Response, "_tagging_from_xml", _none_or_some)


def _none_or_some(self: S3Response) -> dict[str, str]:
    return _read(self) if b"<Tag>" in _bytes(self.body) else {}


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body
