"""How work on a version ends when it does not end with a replica: a row that says so, and a message to
whoever acts next. Rows are written first; what cannot be sent makes the original message come again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from s3replicator.decisions import letters
from s3replicator.decisions.failures import (
    NotEligible,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
)
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.work import Work

#: Details are for people; the head item must stay small.
_DETAIL_LENGTH: Final = 300

#: An upload that is being prepared is begun anew after this many seconds, should its message be lost.
_PREPARING: Final = 7200.0

#: Work that has been sent elsewhere is due after this many seconds, should its message be lost.
_ELSEWHERE: Final = 1800.0


def failed_row(engine: Engine, work: Work, old: Row | None, failure: ReplicationError) -> Row:
    """The row after an attempt that failed. A failed row that is tried again begins a new budget."""
    if isinstance(failure, SourceGone):
        return work.row(Status.TOMBSTONE, old)
    now = engine.clock.now()
    again = old if old is not None and old.status is Status.PENDING else None
    attempts = (again.attempts if again else 0) + 1
    retry = engine.timing.retry
    status, due = Status.FAILED, None
    if isinstance(failure, NotEligible):
        status = Status.NOT_ELIGIBLE
    elif isinstance(failure, RetryableError) and not retry.exhausted(attempts):
        status, due = Status.PENDING, now + retry.delay(attempts, engine.dice.random())
    return replace(
        work.row(status, old),
        reason=failure.reason,
        detail=failure.detail[:_DETAIL_LENGTH],
        request_id=failure.request_id,
        attempts=attempts,
        first_failure=(again.first_failure if again else None) or now,
        last_failure=now,
        due=due,
        upload=(work.change.upload or (old.upload if old else None)) if status is Status.PENDING else None,
    )


def waiting_row(engine: Engine, work: Work, old: Row | None, reason: Reason) -> Row:
    """The row of a version that waits for a message, or for its turn; due in case neither comes."""
    again = old if old is not None and old.status is Status.PENDING else None
    return replace(
        work.row(Status.PENDING, old),
        reason=reason,
        attempts=again.attempts if again else 0,
        first_failure=again.first_failure if again else None,
        due=engine.clock.now() + _ELSEWHERE,
        upload=work.change.upload or (old.upload if old else None),
    )


def stuck_row(engine: Engine, row: Row, failure: ReplicationError) -> Row:
    """The row of a replica that is there, and in whose place or state something is wrong that could not be
    put right. Without a due time it waits for an operator; one that has waited begins a new budget."""
    now = engine.clock.now()
    before = row.attempts if row.due is not None else 0
    attempts = before + 1
    retry = engine.timing.retry
    again = isinstance(failure, RetryableError) and not retry.exhausted(attempts)
    return replace(
        row,
        reason=failure.reason,
        detail=failure.detail[:_DETAIL_LENGTH],
        request_id=failure.request_id,
        attempts=attempts,
        first_failure=row.first_failure if before else now,
        last_failure=now,
        due=now + retry.delay(attempts, engine.dice.random()) if again else None,
    )


def unhindered(row: Row) -> Row:
    """The row of a settled version after what was in its way has gone."""
    locked = Reason.DST_OBJECT_LOCKED if row.blocked else None
    return replace(row, reason=locked, detail=None, due=None, attempts=0)


def owing_nothing(row: Row) -> Row:
    """The row of a replica that has been given all it was owed, or will never be."""
    return replace(unhindered(row) if row.attempts else row, owed=frozenset())


def being_prepared(engine: Engine, row: Row) -> Row:
    """The row of a version that is copied part by part before it can be put in its place."""
    status = Status.PENDING if row.status is Status.SUPERSEDED else row.status
    return replace(row, status=status, reason=Reason.OUT_OF_ORDER, due=engine.clock.now() + _PREPARING)


def is_being_prepared(engine: Engine, row: Row) -> bool:
    return row.reason == Reason.OUT_OF_ORDER and row.due is not None and row.due > engine.clock.now()


def is_given_up(row: Row) -> bool:
    """Whether what is wrong with a replica waits for an operator: see ``stuck_row``."""
    return row.final and row.reason is not None and row.due is None and row.attempts > 0


def under_way(engine: Engine, row: Row) -> Row:
    """The open row of a version that somebody is working on: the sweep shall leave it alone."""
    return replace(row, due=engine.clock.now() + _ELSEWHERE)


def busy(work: Work) -> Outcome:
    return work.outcome(Result.DEFERRED, reason=Reason.BUSY, busy=True)


def park(engine: Engine, work: Work, row: Row) -> Outcome:
    body, attributes = letters.parked(work.change, work.destination, work.rule.id if work.rule else None, row)
    try:
        engine.outbox.park(body, attributes)
    except RetryableError as failure:
        return deferred(work, failure)
    return work.outcome(Result.PARKED, row)


def park_as_it_came(engine: Engine, body: Mapping[str, Any] | str, failure: ReplicationError) -> Outcome:
    """Park what cannot be tied to a version and a destination."""
    told = {"reason": str(failure.reason), "detail": failure.detail[:_DETAIL_LENGTH]}
    try:
        engine.outbox.park(body, told)
    except RetryableError as unsent:
        return Outcome(Result.DEFERRED, reason=unsent.reason, detail=unsent.detail)
    return Outcome(Result.PARKED, reason=failure.reason, detail=failure.detail)


def hand_over(engine: Engine, work: Work, outcome: Outcome) -> Outcome:
    """Send the change to the second function; ``outcome`` says why."""
    try:
        engine.outbox.hand_over(_letter(work, outcome))
    except RetryableError as failure:
        return deferred(work, failure)
    return outcome


def to_large_lane(engine: Engine, work: Work, outcome: Outcome, delay: float = 0) -> Outcome:
    try:
        engine.outbox.to_large_lane(_letter(work, outcome), delay)
    except RetryableError as failure:
        return deferred(work, failure)
    return outcome


def _letter(work: Work, outcome: Outcome) -> dict[str, object]:
    return letters.for_destination(
        work.change, work.destination, reason=outcome.reason, upload=work.change.upload
    )


def deferred(work: Work, failure: ReplicationError) -> Outcome:
    return work.outcome(Result.DEFERRED, reason=failure.reason, detail=failure.detail)
