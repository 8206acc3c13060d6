"""Changes of a null version: the one that is there now need not be the one an event told of.

What is there has a name of its own, and so have its row and its letters. A change whose version cannot be
named any more has no row; but a worker that died may have left something at the destination on its account.
"""

from collections.abc import Sequence
from dataclasses import replace

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import Change
from s3replicator.decisions.failures import NotEligible, RetryableError, SourceGone
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.rules import places
from s3replicator.decisions.versions import NULL
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.endings import deferred, failed_row, park
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.work import Work


def or_ended(
    engine: Engine, change: Change, works: Sequence[Work], configuration: Configuration
) -> Sequence[Work | Outcome]:
    """The works of a change, as far as they have a name; the others end here. Raises ``RetryableError`` if
    the ledger cannot be read."""
    if change.version_id != NULL:
        return works
    if works:
        return [work if work.version_id != NULL else _end(engine, work) for work in works]
    if change.destination is not None:
        unselected = [Work(change, change.destination, None)]
    else:
        unselected = [
            Work(replace(change, replica_key=place.other_than(change.key)), place.destination, None)
            for place in places(configuration, change.key)
        ]
    return [work.only_settling() for work in unselected if _is_interrupted(engine, work)]


def _end(engine: Engine, work: Work) -> Work | Outcome:
    if work.failure is None:
        return work
    match confirmed(engine.source, work.change.ref, work.failure):
        case RetryableError() as failure:
            return deferred(work, failure)
        case SourceGone():
            return work.only_settling() if _is_interrupted(engine, work) else work.outcome(Result.GONE)
        case NotEligible() as failure:
            return work.outcome(Result.NOT_SELECTED, reason=failure.reason)
        case failure:
            return park(engine, work, failed_row(engine, work, None, failure))


def _is_interrupted(engine: Engine, work: Work) -> bool:
    head = engine.ledger.head(work.key)
    return head is not None and head.is_of(work.source_key) and not head.clean
