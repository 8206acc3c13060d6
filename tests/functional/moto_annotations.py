"""Gives moto's objects annotations, which it does not know: PutObjectAnnotation and its relatives, and copies
that take them along."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest
from moto.s3.exceptions import MissingKey
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response

Answer = tuple[int, dict[str, str], bytes]

#: Where moto's object keeps them.
_ANNOTATIONS: Final = "_annotations"

_get, _put, _delete = (
    S3Response._key_response_get,
    S3Response._key_response_put,
    S3Response._key_response_delete,
)
_copy = S3Backend.copy_object


def annotate_as_s3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        return _asked(self, "GET", query) if "annotation" in query else _get(self, query, key_name)

    def put(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        return _asked(self, "PUT", query) if "annotation" in query else _put(self, query, key_name)

    def delete(self: S3Response, bucket: str, query: dict[str, Any], key_name: str) -> Any:
        if "annotation" in query:
            return _asked(self, "DELETE", query)
        return _delete(self, bucket, query, key_name)

    def copy(self: S3Backend, src_key: FakeKey, bucket: str, key: str, *rest: Any, **named: Any) -> None:
        _copy(self, src_key, bucket, key, *rest, **named)
        vars(self.get_object(bucket, key))[_ANNOTATIONS] = dict(vars(src_key).get(_ANNOTATIONS, {}))

    monkeypatch.setattr(S3Response, "_key_response_get", get)
    monkeypatch.setattr(S3Response, "_key_response_put", put)
    monkeypatch.setattr(S3Response, "_key_response_delete", delete)
    monkeypatch.setattr(S3Backend, "copy_object", copy)


def _asked(self: S3Response, method: str, query: Mapping[str, list[str]]) -> Answer:
    version_id, name = (query.get(parameter, [None])[0] for parameter in ("versionId", "annotationName"))
    stored = self.backend.get_object(self.bucket_name, self.parse_key_name(), version_id=version_id)
    if not isinstance(stored, FakeKey):
        raise MissingKey
    has: dict[str, bytes] = vars(stored).setdefault(_ANNOTATIONS, {})
    if name is None:
        return HTTPStatus.OK, {}, _listed(has)
    if method == "PUT":
        has[name] = self.body
        return HTTPStatus.OK, {"ETag": _etag(self.body)}, tostring(Element("PutObjectAnnotationOutput"))
    if method == "DELETE":
        has.pop(name, None)
        return HTTPStatus.NO_CONTENT, {}, b""
    if name not in has:
        return HTTPStatus.NOT_FOUND, {}, _error("NoSuchAnnotation")
    return HTTPStatus.OK, {"ETag": _etag(has[name])}, has[name]


def _listed(has: Mapping[str, bytes]) -> bytes:
    root = Element("ListObjectAnnotationsOutput")
    annotations = SubElement(root, "Annotations")
    for name, payload in has.items():
        entry = SubElement(annotations, "AnnotationEntry")
        told = {
            "AnnotationName": name,
            "ETag": _etag(payload),
            "LastModified": datetime.now(UTC).isoformat(timespec="seconds"),
            "Size": str(len(payload)),
        }
        for element, value in told.items():
            SubElement(entry, element).text = value
    return tostring(root)


def _error(code: str) -> bytes:
    root = Element("Error")
    SubElement(root, "Code").text = code
    return tostring(root)


def _etag(payload: bytes) -> str:
    return f'"{hashlib.md5(payload, usedforsecurity=False).hexdigest()}"'
