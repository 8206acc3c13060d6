"""Records what the code under test asks of AWS, below everything of ours."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.handlers


@dataclass(frozen=True)
class ApiCall:
    """One operation, with the arguments the caller gave."""

    service: str
    operation: str
    arguments: dict[str, Any] = field(hash=False)


@dataclass
class Recording:
    """``sent`` counts requests as they go out, so a repeated one counts twice."""

    calls: list[ApiCall] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)


_current: Recording | None = None
_whole: Recording | None = None


def _call(params: dict[str, Any], model: Any, **_: Any) -> None:
    for one in filter(None, (_current, _whole)):
        service = model.service_model.service_name
        one.calls.append(ApiCall(service, model.name, dict(params)))


def _request(operation_name: str, **_: Any) -> None:
    for one in filter(None, (_current, _whole)):
        one.sent[operation_name] += 1


# Every client made from here on reports; threads of the code under test included.
botocore.handlers.BUILTIN_HANDLERS += [
    ("before-parameter-build", _call),
    ("request-created", _request),
]


@contextmanager
def recording() -> Iterator[Recording]:
    global _current  # noqa: PLW0603 - the hook is called in threads that no context variable reaches
    _current, before = Recording(), _current
    try:
        yield _current
    finally:
        _current = before


@contextmanager
def recording_all() -> Iterator[Recording]:
    """Whatever else is recorded meanwhile: ``recording`` does not know which of several has called."""
    global _whole  # noqa: PLW0603 - as above
    _whole = Recording()
    try:
        yield _whole
    finally:
        _whole = None
