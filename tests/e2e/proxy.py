"""Stands between the functions and the embedded AWS, and loses, delays or refuses requests by rule.

A request is forwarded as it came, its Host header included: the signature covers that. Nothing but the
standard library, and as little as a conversation between botocore and the emulator needs.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from local.server import HOST

_CHUNK: Final = 1 << 16
#: Well below the time after which the emulator closes a connection nobody uses, in seconds.
_IDLE: Final = 30.0
#: What concerns one connection only.
_HOP_BY_HOP: Final = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})


class Fault(StrEnum):
    #: The connection ends, and nothing has happened.
    DROP_BEFORE = "dropped before"
    #: It has happened, and the connection ends without an answer.
    DROP_AFTER = "dropped after"
    DELAY = "delayed"
    #: 503, and nothing has happened.
    REFUSE = "refused"


@dataclass(frozen=True, slots=True)
class Request:
    """``operation`` is the name in the API, but for a delete of one version, which is named as in IAM.
    ``resource`` is the bucket and the key of an S3 request; ``call`` is the same when the SDK repeats it."""

    service: str
    operation: str
    resource: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to requests for one of these ``operations`` (none: for any) whose resource contains
    ``resource``: each time with this ``chance``, but not the first ``spared``, and at most so many ``times``.
    A delay takes up to ``seconds``. What is ``for_good`` happens to all repetitions, too.
    """

    fault: Fault
    operations: Collection[str] = ()
    resource: str = ""
    chance: float = 1.0
    spared: int = 0
    times: int | None = None
    seconds: float = 0.0
    for_good: bool = False

    def fits(self, request: Request) -> bool:
        named = not self.operations or request.operation in self.operations
        return named and self.resource in request.resource


class FaultProxy:
    """Listens on a free port of the loopback until it is closed.

    ``done`` counts what was done to which operation, ``seen`` all requests by operation.
    """

    def __init__(self, upstream: str, seed: int = 0) -> None:
        self.seen: Counter[str] = Counter()
        self.done: Counter[tuple[Fault, str]] = Counter()
        self._dice = random.Random(seed)
        self._rules: list[Rule] = []
        self._met: Counter[Rule] = Counter()
        self._doomed: set[tuple[Rule, str]] = set()
        self._lock = threading.Lock()
        self._server = _Server(self, upstream)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    @contextmanager
    def faults(self, *rules: Rule) -> Iterator[None]:
        """The first rule that fits, and whose dice fall so, is applied."""
        with self._lock:
            self._rules.extend(rules)
        try:
            yield
        finally:
            with self._lock:
                self._rules = [rule for rule in self._rules if rule not in rules]
                for rule in rules:
                    del self._met[rule]

    def judge(self, request: Request) -> tuple[Fault | None, float]:
        """What is to be done to this request, and for a delay its seconds."""
        with self._lock:
            self.seen[request.operation] += 1
            for rule in self._rules:
                if rule.fits(request) and self._is_turn_of(rule, request):
                    self.done[rule.fault, request.operation] += 1
                    return rule.fault, self._dice.uniform(0, rule.seconds)
        return None, 0.0

    def _is_turn_of(self, rule: Rule, request: Request) -> bool:
        if (rule, request.call) in self._doomed:
            return True
        if self._dice.random() >= rule.chance:
            return False
        if rule.for_good:
            self._doomed.add((rule, request.call))
        self._met[rule] += 1
        met = self._met[rule] - rule.spared
        return met > 0 and (rule.times is None or met <= rule.times)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy, upstream: str) -> None:
        super().__init__((HOST, 0), _Conversation)
        self.proxy = proxy
        self.upstream = urlsplit(upstream).netloc


class _Conversation(BaseHTTPRequestHandler):
    """One connection of a client's, in a thread of its own, with one of ours to the emulator."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = HTTPConnection(self.server.upstream)
        self._used = 0.0

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """The tests say what they need to."""

    def _handle(self) -> None:
        try:
            self._serve(request_of(self.command, self.path, self.headers))
        except (OSError, HTTPException):
            # One of the two is gone; the other learns of it as it would without us.
            self._upstream.close()
            self.close_connection = True

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - their names in the base class

    def _serve(self, request: Request) -> None:
        fault, seconds = self.server.proxy.judge(request)
        if fault is Fault.DROP_BEFORE:
            self.close_connection = True
            return
        if fault is Fault.REFUSE:
            for _ in self._body():
                pass
            self._refuse(request)
            return
        if fault is Fault.DELAY:
            time.sleep(seconds)
        answer = self._forward()
        if fault is Fault.DROP_AFTER:
            answer.read()
            self.close_connection = True
            return
        self._return(answer)

    def _body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            chunk = self.rfile.read(min(left, _CHUNK))
            if not chunk:
                raise ConnectionError("the client ended in the middle of its request")
            left -= len(chunk)
            yield chunk

    def _forward(self) -> HTTPResponse:
        if time.monotonic() - self._used > _IDLE:
            self._upstream.close()
        self._used = time.monotonic()
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self._upstream.putheader(name, value)
        self._upstream.endheaders()
        for chunk in self._body():
            self._upstream.send(chunk)
        return self._upstream.getresponse()

    def _return(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        # Of unknown length, it can only be sent in chunks again.
        chunked = answer.length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := answer.read(_CHUNK):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, request: Request) -> None:
        body = _SLOW_DOWN if request.service == "s3" else _UNAVAILABLE
        self.send_response_only(HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_SLOW_DOWN: Final = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_UNAVAILABLE: Final = b'{"__type": "ServiceUnavailable", "message": "Please try again shortly."}'


# -------------------------------------------------------------------------------- what is being asked


def request_of(method: str, path: str, headers: Message) -> Request:
    """Which service and operation a request is for."""
    target, call = headers.get("X-Amz-Target"), headers.get("Amz-Sdk-Invocation-Id", "")
    if target is not None:
        service, _, operation = target.rpartition(".")
        return Request(service.partition("_")[0].removeprefix("Amazon").lower(), operation, call=call)
    address = urlsplit(path)
    query = parse_qs(address.query, keep_blank_values=True)
    bucket, _, key = address.path.lstrip("/").partition("/")
    copies = "X-Amz-Copy-Source" in headers
    operation = _of_object(method, query, copies=copies) if key else _of_bucket(method, query)
    return Request("s3", operation, unquote(f"{bucket}/{key}"), call)


_VERBS: Final = {"DELETE": "Delete", "GET": "Get", "HEAD": "Head", "POST": "Post", "PUT": "Put"}
_SUBRESOURCES: Final = {
    "acl": "ObjectAcl",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
}
_OF_UPLOADS: Final = {
    "DELETE": "AbortMultipartUpload",
    "GET": "ListParts",
    "POST": "CompleteMultipartUpload",
    "PUT": "UploadPart",
}


def _of_object(method: str, query: Mapping[str, object], *, copies: bool) -> str:
    if "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        return _OF_UPLOADS[method] + ("Copy" if copies else "")
    if copies:
        return "CopyObject"
    found = next((name for parameter, name in _SUBRESOURCES.items() if parameter in query), "Object")
    version = "Version" if (method, found) == ("DELETE", "Object") and "versionId" in query else ""
    return _VERBS[method] + found + version


def _of_bucket(method: str, query: Mapping[str, object]) -> str:
    if method == "GET" and "versions" in query:
        return "ListObjectVersions"
    return _VERBS[method] + "Bucket"
