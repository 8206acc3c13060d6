"""A store on a loopback port that answers as Amazon S3 does, byte by byte.

What the SDK makes of an answer is a part of what is tested with it: header values are bytes, keys come back
in XML that is none, a HEAD has no body, an error may come inside a 200, and the header section of a request
ends at 8 KB. Values of headers are ISO 8859-1 to S3, for signatures, too; user metadata that is not ASCII is
told, and taken, as RFC 2047 says.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

import base64
import contextlib
import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.header import decode_header, make_header
from itertools import count
from typing import Final
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.etree import ElementTree

from botocore import xform_name

MAX_HEADERS: Final = 8192
MAX_METADATA: Final = 2048
MODIFIED: Final = "Sun, 22 Nov 2026 16:30:00 GMT"
_LISTED: Final = "2026-11-22T16:30:00.000Z"
_META: Final = "x-amz-meta-"
_REDIRECT: Final = "x-amz-website-redirect-location"
#: Headers that S3 stores and gives back as they came.
SYSTEM: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
_VERSION_ID: Final = re.compile(r"null|[A-Za-z0-9._-]{32}")
_OWNER: Final = "<Owner><ID>owner</ID></Owner>"


@dataclass(frozen=True)
class Request:
    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, bytes]
    body: bytes
    #: Of the whole header section, in bytes.
    size: int

    def text(self, name: str) -> str:
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, bytes] = field(default_factory=dict)
    body: bytes = b""
    #: Where the body is cut, to be sent bit by bit.
    chunks: Sequence[bytes] = ()


@dataclass(frozen=True)
class Stored:
    """A version. ``metadata`` as S3 keeps it: text."""

    version_id: str
    body: bytes
    headers: Mapping[str, bytes]
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[tuple[str, str], ...] = ()
    grants: tuple[tuple[str, str], ...] = (("FULL_CONTROL", 'id="owner"'),)
    multipart: bool = False

    @property
    def etag(self) -> str:
        digest = hashlib.md5(self.body, usedforsecurity=False).hexdigest()
        return f'"{digest}-1"' if self.multipart else f'"{digest}"'


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str = "", **told: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or code
        self.told = told


@dataclass
class _Upload:
    bucket: str
    key: str
    stored: Stored
    parts: dict[int, bytes] = field(default_factory=dict)


class WireS3:
    """``told`` are answers to be given instead, by operation; ``page`` is the most that a list tells at once.
    ``decodes``: whether metadata is treated as S3 does; other stores give back the bytes they were given."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.empty()

    def empty(self) -> None:
        self.versions: dict[tuple[str, str], list[Stored]] = {}
        self.uploads: dict[str, _Upload] = {}
        self.requests: list[Request] = []
        self.told: dict[str, Answer] = {}
        self.page = 1000
        self.decodes = True

    # -- what a test does without a request

    def put(self, bucket: str, key: str, body: bytes = b"content", **stored: object) -> Stored:
        """``headers`` are bytes by name; ``metadata``, ``tags`` and so on as in ``Stored``."""
        made = replace(Stored(f"{next(self._numbers):032d}", body, {}), **stored)  # type: ignore[arg-type]  # by name
        self.versions.setdefault((bucket, key), []).append(made)
        return made

    def newest(self, bucket: str, key: str) -> Stored:
        return self.versions[bucket, key][-1]

    @property
    def largest(self) -> int:
        """The size of the largest header section, in bytes."""
        return max(request.size for request in self.requests)

    def sent(self, operation: str) -> list[Request]:
        return [request for request in self.requests if request.operation == operation]

    # -- requests

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            if request.operation in self.told:
                return self.told[request.operation]
            try:
                if request.size > MAX_HEADERS:
                    message = "Your request header section exceeds the maximum allowed size."
                    raise Refused(400, "RequestHeaderSectionTooLarge", message)
                answer: Answer = getattr(self, f"_{xform_name(request.operation)}")(request)
            except Refused as refused:
                return refusal(request, refused)
            return answer

    def _named(self, bucket: str, key: str, version_id: str | None) -> Stored:
        if version_id is not None and not _VERSION_ID.fullmatch(version_id):
            raise Refused(400, "InvalidArgument", "Invalid version id specified", ArgumentName="versionId")
        versions = self.versions.get((bucket, key), [])
        if version_id is None and versions:
            return versions[-1]
        for stored in versions:
            if stored.version_id == version_id:
                return stored
        code = "NoSuchKey" if version_id is None else "NoSuchVersion"
        raise Refused(404, code, "It does not exist.", Key=key, VersionId=version_id or "")

    def _of(self, request: Request) -> Stored:
        return self._named(request.bucket, request.key, request.query.get("versionId"))

    def _change(self, request: Request, **changed: object) -> Answer:
        stored = self._of(request)
        versions = self.versions[request.bucket, request.key]
        versions[versions.index(stored)] = replace(stored, **changed)  # type: ignore[arg-type]  # by name
        return Answer(200)

    def _head_object(self, request: Request) -> Answer:
        return Answer(200, self._shown(self._of(request)))

    def _get_object(self, request: Request) -> Answer:
        stored = self._of(request)
        return Answer(206 if "range" in request.headers else 200, self._shown(stored), stored.body[:1])

    def _shown(self, stored: Stored) -> dict[str, bytes]:
        shown = {
            "Last-Modified": MODIFIED.encode(),
            "ETag": stored.etag.encode(),
            "x-amz-version-id": stored.version_id.encode(),
            "x-amz-server-side-encryption": b"AES256",
            "Content-Type": b"binary/octet-stream",
            "Content-Length": str(len(stored.body)).encode(),
        }
        shown |= {name.title(): value for name, value in stored.headers.items()}
        if stored.tags:
            shown["x-amz-tagging-count"] = str(len(stored.tags)).encode()
        missing = 0
        for name, value in stored.metadata.items():
            if self.decodes and any(character < " " or character == "\x7f" for character in value):
                missing += 1
            else:
                shown[_META + name] = _told(value) if self.decodes else value.encode("latin-1")
        if missing:
            shown["x-amz-missing-meta"] = str(missing).encode()
        return shown

    def _described(self, request: Request) -> Stored:
        """What the headers of a request say of a version to come."""
        headers = {name: request.headers[name] for name in (*SYSTEM, _REDIRECT) if name in request.headers}
        metadata = {
            name.removeprefix(_META): self._taken(value)
            for name, value in request.headers.items()
            if name.startswith(_META)
        }
        size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
        if size > MAX_METADATA:
            raise Refused(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed size")
        storage_class = request.headers.get("x-amz-storage-class", b"STANDARD")
        if storage_class != b"STANDARD":
            headers["x-amz-storage-class"] = storage_class
        tags = tuple(sorted(parse_qsl(request.text("x-amz-tagging"))))
        return Stored(f"{next(self._numbers):032d}", b"", headers, metadata, tags)

    def _taken(self, value: bytes) -> str:
        text = value.decode("latin-1")
        if not self.decodes or not text.startswith("=?"):
            return text
        with contextlib.suppress(LookupError, UnicodeError, ValueError):
            return str(make_header(decode_header(text)))
        return text

    def _copied(self, request: Request) -> Stored:
        path, _, query = request.text("x-amz-copy-source").partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        return self._named(bucket, key, dict(parse_qsl(query)).get("versionId"))

    def _copy_object(self, request: Request) -> Answer:
        source, made = self._copied(request), self._described(request)
        if request.headers["x-amz-metadata-directive"] == b"COPY":
            kept = {name: value for name, value in made.headers.items() if name.startswith("x-amz-")}
            taken = {name: value for name, value in source.headers.items() if name in SYSTEM}
            made = replace(made, headers={**taken, **kept}, metadata=source.metadata)
        self.versions.setdefault((request.bucket, request.key), []).append(
            replace(made, body=source.body, tags=source.tags)
        )
        told = f"<ETag>{_escaped(source.etag)}</ETag><LastModified>{_LISTED}</LastModified>"
        return _document("CopyObjectResult", told, {"x-amz-version-id": made.version_id.encode()})

    def _create_multipart_upload(self, request: Request) -> Answer:
        made = replace(self._described(request), multipart=True)
        upload_id = f"upload-{made.version_id}"
        self.uploads[upload_id] = _Upload(request.bucket, request.key, made)
        return _document("InitiateMultipartUploadResult", _place(request) + _tag("UploadId", upload_id))

    def _upload(self, request: Request) -> _Upload:
        found = self.uploads.get(request.query["uploadId"])
        if found is None:
            raise Refused(404, "NoSuchUpload", UploadId=request.query["uploadId"], Key=request.key)
        return found

    def _upload_part_copy(self, request: Request) -> Answer:
        upload, source = self._upload(request), self._copied(request)
        if request.text("x-amz-copy-source-if-match") not in ("", source.etag):
            raise Refused(412, "PreconditionFailed", Key=request.key)
        first, _, last = request.text("x-amz-copy-source-range").removeprefix("bytes=").partition("-")
        upload.parts[int(request.query["partNumber"])] = source.body[int(first) : int(last) + 1]
        told = f'<ETag>"part"</ETag><LastModified>{_LISTED}</LastModified>'
        return _document("CopyPartResult", told)

    def _list_parts(self, request: Request) -> Answer:
        parts = "".join(
            f'<Part>{_tag("PartNumber", str(number))}<ETag>"part"</ETag><Size>{len(part)}</Size></Part>'
            for number, part in self._upload(request).parts.items()
        )
        return _document("ListPartsResult", f"{_place(request)}<IsTruncated>false</IsTruncated>{parts}")

    def _complete_multipart_upload(self, request: Request) -> Answer:
        upload = self._upload(request)
        del self.uploads[request.query["uploadId"]]
        body = b"".join(upload.parts[number] for number in sorted(upload.parts))
        made = replace(upload.stored, body=body)
        self.versions.setdefault((request.bucket, request.key), []).append(made)
        told = _document("CompleteMultipartUploadResult", _place(request) + _tag("ETag", made.etag))
        # S3 sends white space while it puts the parts together.
        head, _, rest = told.body.partition(b"\n")
        version = {"x-amz-version-id": made.version_id.encode()}
        return Answer(200, version, chunks=[head, b"\n", b" " * 8, rest])

    def _abort_multipart_upload(self, request: Request) -> Answer:
        self._upload(request)
        del self.uploads[request.query["uploadId"]]
        return Answer(204)

    def _list_multipart_uploads(self, request: Request) -> Answer:
        query = request.query
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        found = sorted(
            (upload.key, upload_id)
            for upload_id, upload in self.uploads.items()
            if upload.bucket == request.bucket and upload.key.startswith(query.get("prefix", ""))
        )
        rest = [one for one in found if one > after]
        told = "".join(
            f"<Upload>{_key(request, 'Key', key)}{_tag('UploadId', upload_id)}"
            f"<Initiated>{_LISTED}</Initiated></Upload>"
            for key, upload_id in rest[: self.page]
        )
        told += _end(request, rest, self.page, "NextUploadIdMarker")
        return _document("ListMultipartUploadsResult", told)

    def _list_object_versions(self, request: Request) -> Answer:
        query = request.query
        listed = [
            (key, stored.version_id)
            for (bucket, key), versions in sorted(self.versions.items())
            for stored in reversed(versions)
            if bucket == request.bucket and key.startswith(query.get("prefix", ""))
        ]
        marker = (query.get("key-marker", ""), query.get("version-id-marker", ""))
        rest = listed[listed.index(marker) + 1 :] if marker in listed else listed
        told = "".join(
            f"<Version>{_key(request, 'Key', key)}{_tag('VersionId', version_id)}<IsLatest>false</IsLatest>"
            f"<LastModified>{_LISTED}</LastModified><Size>1</Size>{_OWNER}</Version>"
            for key, version_id in rest[: self.page]
        )
        told = _key(request, "Prefix", query.get("prefix", "")) + told
        return _document("ListVersionsResult", told + _end(request, rest, self.page, "NextVersionIdMarker"))

    def _get_object_tagging(self, request: Request) -> Answer:
        tags = "".join(
            f"<Tag>{_tag('Key', key)}{_tag('Value', value)}</Tag>" for key, value in self._of(request).tags
        )
        return _document("Tagging", f"<TagSet>{tags}</TagSet>")

    def _put_object_tagging(self, request: Request) -> Answer:
        found = [tuple(part.text or "" for part in tag) for tag in _elements(request.body, "Tag")]
        return self._change(request, tags=tuple(sorted(found)))

    def _get_object_acl(self, request: Request) -> Answer:
        grants = "".join(
            f'<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x">'
            f"{_who(who)}</Grantee>"
            f"{_tag('Permission', permission)}</Grant>"
            for permission, who in self._of(request).grants
        )
        return _document("AccessControlPolicy", f"{_OWNER}<AccessControlList>{grants}</AccessControlList>")

    def _put_object_acl(self, request: Request) -> Answer:
        if request.body:
            if not _elements(request.body, "Owner"):
                raise Refused(400, "MalformedACLError")
            found = [
                (grant.findtext("{*}Permission") or "", _grantee(grant))
                for grant in _elements(request.body, "Grant")
            ]
            return self._change(request, grants=tuple(sorted(found)))
        prefix = "x-amz-grant-"
        found = [
            (name.removeprefix(prefix).replace("-", "_").upper(), who.strip())
            for name in request.headers
            if name.startswith(prefix)
            for who in request.text(name).split(",")
        ]
        return self._change(request, grants=tuple(sorted(found)))


def _who(grantee: str) -> str:
    kind, _, named = grantee.partition("=")
    return _tag(kind.upper(), named.strip('"'))


def _grantee(grant: ElementTree.Element) -> str:
    uri = grant.findtext("{*}Grantee/{*}URI")
    return f'uri="{uri}"' if uri else f'id="{grant.findtext("{*}Grantee/{*}ID")}"'


def _elements(body: bytes, name: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(body).findall(f".//{{*}}{name}")  # noqa: S314 - the SDK wrote it


def _told(value: str) -> bytes:
    if value.isascii():
        return value.encode()
    return b"=?UTF-8?B?" + base64.b64encode(value.encode()) + b"?="


def _end(request: Request, rest: Sequence[tuple[str, str]], page: int, marker: str) -> str:
    encoding = _tag("EncodingType", "url") if "encoding-type" in request.query else ""
    if len(rest) <= page:
        return f"<IsTruncated>false</IsTruncated>{encoding}"
    key, identifier = rest[page - 1]
    next_key = _key(request, "NextKeyMarker", key)
    return f"<IsTruncated>true</IsTruncated>{encoding}{next_key}{_tag(marker, identifier)}"


def _key(request: Request, name: str, key: str) -> str:
    encoded = request.query.get("encoding-type") == "url"
    return _tag(name, quote_plus(key, safe="/") if encoded else key)


def _place(request: Request) -> str:
    return _tag("Bucket", request.bucket) + _tag("Key", request.key)


def _tag(name: str, text: str) -> str:
    return f"<{name}>{_escaped(text)}</{name}>"


def _escaped(text: str) -> str:
    """As S3 writes it, whether XML knows such a character or not."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return re.sub("[\x00-\x1f\ufffe\uffff]", lambda found: f"&#x{ord(found.group()):x};", text)


def _document(name: str, told: str, headers: Mapping[str, bytes] | None = None) -> Answer:
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    body = f'{declared}<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{told}</{name}>'
    return Answer(200, {"Content-Type": b"application/xml", **(headers or {})}, body.encode())


def refusal(request: Request, refused: Refused) -> Answer:
    told = {"Code": refused.code, "Message": refused.message, **refused.told, "RequestId": "REQUEST1"}
    body = "".join(_tag(name, text) for name, text in told.items())
    headers = {"Content-Type": b"application/xml", "x-amz-request-id": b"REQUEST1"}
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'
    return Answer(refused.status, headers, b"" if request.operation == "HeadObject" else document.encode())
