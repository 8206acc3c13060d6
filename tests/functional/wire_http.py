"""HTTP for the store of ``wire``: header values are bytes, and a request has to be signed as S3 checks it."""

import contextlib
import hashlib
import hmac
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from tests.functional.wire import Answer, Refused, Request, WireS3, refusal

SECRET: Final = "testing"

_OPERATIONS: Final[Mapping[tuple[str, str], str]] = {
    ("HEAD", ""): "HeadObject",
    ("GET", ""): "GetObject",
    ("GET", "acl"): "GetObjectAcl",
    ("PUT", "acl"): "PutObjectAcl",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("PUT", "uploadId"): "UploadPartCopy",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "notification"): "GetBucketNotificationConfiguration",
    ("PUT", "notification"): "PutBucketNotificationConfiguration",
    ("PUT", ""): "CopyObject",
}
_WHAT: Final = ("acl", "tagging", "versions", "uploads", "uploadId", "notification")


class _Handler(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._one():
                pass

    def _one(self) -> bool:
        line = self.rfile.readline()
        if not line:
            return False
        size, headers = 0, {}
        while (header := self.rfile.readline()).strip():
            size += len(header)
            name, _, value = header.partition(b":")
            headers[name.decode("ascii").lower()] = value.strip(b" \t\r\n")
        body = self.rfile.read(int(headers.get("content-length", b"0")))
        method, target, _ = line.decode("ascii").split(" ")
        request = _read(method, target, headers, body, size)
        if not _is_signed(method, target, headers):
            refused = Refused(
                403, "SignatureDoesNotMatch", "The request signature we calculated does not match"
            )
            answer = refusal(request, refused)
        else:
            answer = self.server.store.answer(request)
        self._send(method, answer)
        return True

    def _send(self, method: str, answer: Answer) -> None:
        headers = dict(answer.headers)
        if answer.chunks:
            headers["Transfer-Encoding"] = b"chunked"
        else:
            headers.setdefault("Content-Length", str(len(answer.body)).encode())
            if method != "HEAD":
                headers["Content-Length"] = str(len(answer.body)).encode()
        lines = [name.encode() + b": " + value + b"\r\n" for name, value in headers.items()]
        self.wfile.write(b"HTTP/1.1 %d Answer\r\n" % answer.status + b"".join(lines) + b"\r\n")
        if method != "HEAD":
            for chunk in answer.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n" if answer.chunks else answer.body)


def _read(method: str, target: str, headers: Mapping[str, bytes], body: bytes, size: int) -> Request:
    path, _, query = target.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    what = next((name for name in _WHAT if name in asked), "")
    return Request(_OPERATIONS[method, what], bucket, key, asked, headers, body, size)


def _is_signed(method: str, target: str, headers: Mapping[str, bytes]) -> bool:
    """Signed with ``SECRET``, as S3 computes it; every header of Amazon's has to be."""
    found = re.match(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\S+), SignedHeaders=(\S+), Signature=(\w+)",
        headers["authorization"].decode(),
    )
    assert found is not None
    scope, signed, signature = found.groups()
    if any(name.startswith("x-amz-") and name not in signed.split(";") for name in headers):
        return False
    path, _, query = target.partition("?")
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    values = {name: " ".join(headers[name].decode("latin-1").split()) for name in signed.split(";")}
    canonical = [
        method,
        path,
        "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs),
        *(f"{name}:{value}" for name, value in values.items()),
        "",
        signed,
        headers["x-amz-content-sha256"].decode(),
    ]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    key = b"AWS4" + SECRET.encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"].decode(), scope, digest])
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    store: WireS3


@contextlib.contextmanager
def serving(store: WireS3) -> Iterator[tuple[WireS3, str]]:
    """The store and its address, while it is there."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.store = store
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield store, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
