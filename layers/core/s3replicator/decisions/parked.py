"""Parked messages, as an operator sees them: what each is about, and which ones are meant."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from s3replicator.decisions.events import ENVELOPE, Change, parse_body
from s3replicator.decisions.failures import UnreadableEvent

#: The shortest id that is shown.
_SHORTEST: Final = 8


#: How long the ids are that SQS gives.
_WHOLE: Final = 36


def is_whole_id(text: str) -> bool:
    """Whether no other message can have an id that begins so."""
    return len(text) >= _WHOLE


class NoSuchMessage(Exception):
    """No parked message has this id."""


class AmbiguousId(Exception):
    """Several parked messages have ids that begin like this."""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """``parked_at`` is in seconds since the epoch. Failures' times are as the message tells them.

    ``records`` counts what can be understood: one in what the functions park about a version; several,
    or none, in a message parked as it came.
    """

    id: str
    body: str
    attributes: Mapping[str, str]
    parked_at: float | None
    records: int = 0
    reason: str | None = None
    detail: str | None = None
    bucket: str | None = None
    key: str | None = None
    version_id: str | None = None
    destination: str | None = None
    rule: str | None = None
    attempts: int | None = None
    first_failure: str | None = None
    last_failure: str | None = None
    request_id: str | None = None

    @property
    def readable(self) -> bool:
        return self.records > 0


def read(message_id: str, body: str, attributes: Mapping[str, str], parked_at: float | None) -> ParkedMessage:
    """Whatever the body and the attributes tell; a message nobody can understand is a message, too."""
    change, count, problem = _changes(body)
    envelope = change.record.get(ENVELOPE, {}) if change else {}
    said = {**_texts(envelope), **attributes}
    attempts = said.get("attempts", "")
    return ParkedMessage(
        id=message_id,
        body=body,
        attributes=attributes,
        parked_at=parked_at,
        records=count,
        reason=said.get("reason"),
        detail=said.get("detail") or problem,
        bucket=change.bucket if change else None,
        key=change.key if change else None,
        version_id=change.version_id if change else None,
        destination=said.get("destination"),
        rule=said.get("rule"),
        attempts=int(attempts) if attempts.isdecimal() else None,
        first_failure=said.get("firstFailure"),
        last_failure=said.get("lastFailure"),
        request_id=said.get("requestId"),
    )


def _changes(body: str) -> tuple[Change | None, int, str | None]:
    """The first change in a body, how many there are, and what is wrong with it."""
    try:
        intake = parse_body(body)
    except UnreadableEvent as failure:
        return None, 0, failure.detail
    problem = intake.unreadable[0][1].detail if intake.unreadable else None
    return next(iter(intake.changes), None), len(intake.changes), problem


def _texts(envelope: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in envelope.items() if isinstance(value, str | int)}


def oldest_first(messages: Iterable[ParkedMessage]) -> list[ParkedMessage]:
    return sorted(messages, key=lambda message: (message.parked_at or 0.0, message.id))


def matching(
    messages: Iterable[ParkedMessage], reason: str | None, destination: str | None
) -> list[ParkedMessage]:
    return [
        message
        for message in messages
        if reason in (None, message.reason) and destination in (None, message.destination)
    ]


def named(messages: Sequence[ParkedMessage], beginnings: Iterable[str]) -> list[ParkedMessage]:
    """The messages whose ids begin as given. Raises ``NoSuchMessage``, ``AmbiguousId``."""
    chosen: dict[str, ParkedMessage] = {}
    for beginning in beginnings:
        found = [message for message in messages if message.id.startswith(beginning)]
        if not found:
            raise NoSuchMessage(beginning)
        if len(found) > 1:
            raise AmbiguousId(beginning)
        chosen[found[0].id] = found[0]
    return list(chosen.values())


def short_ids(ids: Collection[str]) -> dict[str, str]:
    """Each id cut to what still tells it from the others."""
    # An id differs from all others where it differs from its neighbours in alphabetical order.
    listed = sorted(ids)
    short: dict[str, str] = {}
    for index, whole in enumerate(listed):
        neighbours = listed[max(index - 1, 0) : index] + listed[index + 1 : index + 2]
        shared = max((_shared_length(whole, other) for other in neighbours), default=0)
        short[whole] = whole[: max(_SHORTEST, shared + 1)]
    return short


def _shared_length(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
