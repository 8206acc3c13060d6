"""Versions that are kept out of a place, because it is another source key's.

Nothing of them may be in its head, so each is an item of its own: open work, which an operator sees and has
tried again. It is closed when the version has a row there, is gone, or is not wanted there any more.
"""

from dataclasses import replace

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import NotEligible, Reason, SourceGone, TerminalError
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.versions import NULL
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.endings import failed_row, park
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.work import Work


def conflict(owner: str, source: str) -> TerminalError:
    """The place of ``source`` is another source key's."""
    detail = f"the key at the destination belongs to {owner}, and {source} is kept out of it"
    return TerminalError(Reason.KEY_CONFLICT, detail)


def keep_out(engine: Engine, work: Work, owner: str) -> Outcome:
    """What becomes of a change whose place is another source key's, ``owner``. Raises ``RetryableError`` when
    the ledger cannot be written, or the source not be read: then nothing may be acknowledged."""
    match work.change.kind:
        case ChangeKind.SETTLE:
            return work.outcome(Result.DUPLICATE)
        case ChangeKind.REMOVED:
            return _removed(engine, work)
    if work.change.follows:
        return _followed(engine, work, owner)
    failure = work.failure and confirmed(engine.source, work.change.ref, work.failure)
    match failure:
        case SourceGone():
            return _close(engine, work, Result.GONE)
        case NotEligible(reason=Reason.RULE_GONE as reason):
            return _close(engine, work, Result.NOT_SELECTED, reason)
        case NotEligible() as refused:
            known = engine.ledger.peek(work.key, work.source_key, work.version_id)
            row = failed_row(engine, work, known, refused)
            _record(engine, work, row)
            return work.outcome(Result.NOT_ELIGIBLE, row)
    return _park(engine, work, owner)


def _removed(engine: Engine, work: Work) -> Outcome:
    """There is no replica of it to remove. The event alone does not prove that the version is gone."""
    if work.version_id == NULL:
        return work.outcome(Result.NOT_SELECTED)
    try:
        engine.source.head(work.change.ref)
    except SourceGone as gone:
        if isinstance(confirmed(engine.source, work.change.ref, gone), SourceGone):
            return _close(engine, work, Result.GONE)
    except NotEligible:
        pass
    return work.outcome(Result.NOT_SELECTED)


def _followed(engine: Engine, work: Work, owner: str) -> Outcome:
    """A change of a version makes none. One that is kept out is owed it; of any other the parked message
    alone tells, as the head is another's."""
    known = engine.ledger.peek(work.key, work.source_key, work.version_id)
    if known is None:
        return park(engine, work, _kept_out(engine, work, owner, None))
    _record(engine, work, known.owing(work.change.kind))
    return work.outcome(Result.FAILED, known)


def _park(engine: Engine, work: Work, owner: str) -> Outcome:
    """Parked once, unless somebody sends it round again. The message goes first: what dies between the two
    comes again, and is parked twice rather than never."""
    known = engine.ledger.peek(work.key, work.source_key, work.version_id)
    row = _kept_out(engine, work, owner, known)
    if known is not None and known.status is Status.FAILED and work.change.destination is None:
        if known.origin is not row.origin:
            _record(engine, work, replace(known, origin=row.origin))
        return work.outcome(Result.FAILED, known)
    outcome = park(engine, work, row)
    if outcome.result is Result.PARKED:
        _record(engine, work, row)
    return outcome


def _kept_out(engine: Engine, work: Work, owner: str, known: Row | None) -> Row:
    row = failed_row(engine, work, known, conflict(owner, work.source_key))
    if known is None:
        return row
    return replace(row, attempts=known.attempts + 1, first_failure=known.first_failure)


def _record(engine: Engine, work: Work, row: Row) -> None:
    engine.ledger.record_conflict(work.key, work.source_key, work.version_id, row)


def _close(engine: Engine, work: Work, result: Result, reason: str | None = None) -> Outcome:
    engine.ledger.close_conflict(work.key, work.source_key, work.version_id)
    return work.outcome(result, reason=reason)


def remember(engine: Engine, work: Work, owner: str) -> None:
    """Of a version that nobody has told of that it is kept out, should it be replicated at all."""
    if not isinstance(work.failure, SourceGone | NotEligible):
        _record(engine, work, _kept_out(engine, work, owner, None))
