"""Lets moto list versions as Amazon S3 does.

Moto begins after the first version of the key marker's key, or of the key that follows where it does not
exist, and finds nothing at all where the marked version does not exist; and it sends keys as they are, some
of which XML cannot carry. It lists versions and markers apart, so their times must tell their order: each
change takes a second here.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final
from urllib.parse import quote_plus

import pytest
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

_DAWN: Final = datetime(2026, 11, 22, 16, 30)  # noqa: DTZ001 - as moto has it

_in_full = S3Backend.list_object_versions
_serialized = S3Response.serialized


def list_as_s3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = _moments()
    monkeypatch.setattr("moto.s3.models.utcnow", lambda: next(moments))
    monkeypatch.setattr(S3Backend, "list_object_versions", _paged)
    monkeypatch.setattr(S3Response, "serialized", _with_encoding)


def _moments() -> Iterator[datetime]:
    return (_DAWN + timedelta(seconds=number) for number in count())


def _paged(
    self: S3Backend,
    bucket_name: str,
    *,
    delimiter: str | None,
    key_marker: str | None,
    max_keys: int,
    prefix: str,
    version_id_marker: str | None,
) -> tuple[list[Any], list[str], list[Any], str | None, str | None]:
    assert delimiter is None
    versions, _, markers, _, _ = _in_full(self, bucket_name, max_keys=None, prefix=prefix)
    listed: list[Any] = sorted([*versions, *markers], key=lambda one: one.last_modified, reverse=True)
    listed.sort(key=lambda one: one.name)
    begin = sum(one.name <= (key_marker or "") for one in listed)
    places = {(one.name, one.version_id or "null"): place for place, one in enumerate(listed)}
    if version_id_marker:
        begin = places.get((key_marker, version_id_marker), begin - 1) + 1
    end = begin + max_keys
    page = listed[begin:end]
    for one in page:
        one.name = _encoded(one.name)
    last = page[-1] if page and end < len(listed) else None
    return (
        [one for one in page if one in versions],
        [],
        [one for one in page if one in markers],
        last and last.name,
        last and (last.version_id or "null"),
    )


def _with_encoding(self: S3Response, action_result: Any) -> Any:
    if self.data.get("Action") == "ListObjectVersions":
        answer = action_result.result
        answer |= {name: _encoded(answer[name]) for name in ("Prefix", "KeyMarker")}
        answer["EncodingType"] = "url"
    return _serialized(self, action_result)


def _encoded(key: str) -> str:
    return quote_plus(key, safe="/")
