"""Faults between the SDK and AWS: refusals, lost requests, and answers lost after the effect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, RLock
from typing import Any, Final

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from tests.functional.moto_headers import refuse_long_headers


@dataclass
class Fault:
    """What happens to a request of ``operation``, ``times`` times, the first ``after`` left alone.

    ``effect``: whether the request reaches AWS. ``status`` None: no answer comes; otherwise that status
    with an error body of ``code``.
    """

    operation: str
    effect: bool = False
    status: int | None = None
    code: str = "InternalError"
    message: str = "made up"
    times: int = 1
    after: int = 0
    when: Callable[[Any], bool] = field(default=lambda _request: True)
    happened: int = 0

    def answer(self, event_name: str, request: Any, **rest: Any) -> AWSResponse:
        self.happened += 1
        if self.effect:
            _from_moto(event_name, request, **rest)
        if self.status is None:
            raise ReadTimeoutError(endpoint_url=request.url)
        body = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        headers = HTTPHeaders.from_dict({"x-amz-request-id": "REQUEST1"})
        return AWSResponse(request.url, self.status, headers, Raw(body.encode()))


class Raw:
    """As much of a response stream as botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body
        self._body = b""

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body


class Killed(BaseException):
    """The process is gone: nothing of ours can catch it."""


@dataclass
class Kill:
    """A process is killed at its request of this number, from 0: before that is sent, or with ``effect``
    before its answer is heard. It sends nothing after that. ``sent`` are all that were to be."""

    at: int
    effect: bool
    sent: int = 0
    _one_at_a_time: Lock = field(default_factory=Lock)

    def meet(self, event_name: str, request: Any, **rest: Any) -> None:
        with self._one_at_a_time:
            number, self.sent = self.sent, self.sent + 1
        if number == self.at and self.effect:
            _from_moto(event_name, request, **rest)
        if number >= self.at:
            raise Killed(event_name)


_faults: list[Fault] = []
_kills: list[Kill] = []


def _intercept(event_name: str, request: Any, **rest: Any) -> AWSResponse | None:
    for kill in _kills:
        kill.meet(event_name, request, **rest)
    operation = event_name.rpartition(".")[2]
    for fault in _faults:
        if fault.operation != operation or fault.happened >= fault.times or not fault.when(request):
            continue
        if fault.after > 0:
            fault.after -= 1
            continue
        return fault.answer(event_name, request, **rest)
    return _from_moto(event_name, request, **rest)


#: Of two conditional writes at once one fails, as in AWS; with moto both may find their condition true.
_ONE_AT_A_TIME: Final = RLock()


def _from_moto(event_name: str, request: Any, **rest: Any) -> AWSResponse | None:
    refused = refuse_long_headers(event_name, request)
    if refused is not None:
        return refused
    with _ONE_AT_A_TIME:
        answer: AWSResponse | None = botocore_stubber(event_name, request, **rest)
    return answer


# In the place of moto's own handler: botocore calls all handlers, whatever the first one answers.
_handlers = botocore.handlers.BUILTIN_HANDLERS
_handlers[_handlers.index(("before-send", botocore_stubber))] = ("before-send", _intercept)


@contextmanager
def faults(*planned: Fault) -> Iterator[None]:
    """All of them must have happened when the block ends."""
    _faults.extend(planned)
    try:
        yield
    finally:
        _faults.clear()
    for fault in planned:
        assert fault.happened, f"nothing sent {fault.operation}"


@contextmanager
def killed(at: int, *, effect: bool) -> Iterator[Kill]:
    """What sends requests meanwhile dies at one of them, if it sends so many."""
    kill = Kill(at, effect)
    _kills.append(kill)
    try:
        with suppress(Killed):
            yield kill
    finally:
        _kills.remove(kill)


@contextmanager
def no_faults() -> Iterator[None]:
    """A while without those that are planned."""
    planned = _faults.copy()
    _faults.clear()
    try:
        yield
    finally:
        _faults.extend(planned)


def to_bucket(name: str) -> Callable[[Any], bool]:
    return lambda request: f"{name}." in request.url or f"/{name}/" in request.url
