"""What a pass over a leased key has decided, and what is to be sent as soon as the ledger says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import (
    NotEligible,
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
)
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.usecases.endings import (
    deferred,
    failed_row,
    hand_over,
    owing_nothing,
    park,
    stuck_row,
    to_large_lane,
    under_way,
    waiting_row,
)
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey
from s3replicator.usecases.refresh import is_news, pay
from s3replicator.usecases.uploads import discard_upload
from s3replicator.usecases.work import Work

#: What became of a version, by its status.
RESULTS: Final = {
    Status.COMPLETED: Result.DUPLICATE,
    Status.TOMBSTONE: Result.GONE,
    Status.SUPERSEDED: Result.SUPERSEDED,
    Status.NOT_ELIGIBLE: Result.NOT_ELIGIBLE,
    Status.PENDING: Result.DELAYED,
    Status.FAILED: Result.PARKED,
}

WorkOutcome = tuple[Work, Outcome]


@dataclass(slots=True)
class PassState:
    """``works`` are what the pass has been given; ``spares`` as of a ``Settlement``."""

    engine: Engine
    leased: LeasedKey
    configuration: Configuration
    deadline: float
    works: Sequence[Work]
    spares: bool = False
    outcomes: list[WorkOutcome] = field(default_factory=list)
    elsewhere: list[WorkOutcome] = field(default_factory=list)
    parked: list[tuple[Work, Row]] = field(default_factory=list)

    def tell(self, work: Work, result: Result, row: Row | None = None, *, reason: str | None = None) -> None:
        self.outcomes.append((work, work.outcome(result, row, reason=reason)))

    def park(self, work: Work, row: Row) -> None:
        """When the pass ends; its row says so before."""
        self.leased.untold.add(work.version_id)
        self.parked.append((work, row))

    def untold(self, works: Sequence[Work]) -> list[Work]:
        """Those of whom nothing has been said yet."""
        told = {id(work) for work, _ in [*self.outcomes, *self.elsewhere, *self.parked]}
        return [work for work in works if id(work) not in told]

    # -- ends of one work

    def duplicate(self, work: Work, row: Row) -> None:
        """Its version has been settled before."""
        discard_upload(self.engine, work, row)
        if not (work.change.follows and row.live):
            self.tell(work, RESULTS[row.status], row, reason=row.status)
        elif work.failure is not None and work.failure.reason is Reason.RULE_GONE:
            self.leased.set_row(work.version_id, owing_nothing(row))
            self.tell(work, Result.NOT_SELECTED, row, reason=work.failure.reason)
        else:
            self._pay(work, Result.UPDATED, Result.DELAYED, fresh=False)

    def only_heard(self, work: Work) -> None:
        """A change of a version that has no row: it is owed to the replica, should one ever be made."""
        self.tell(work, Result.NOT_SELECTED, reason=work.failure.reason if work.failure else None)

    def replicated(self, work: Work) -> None:
        self._pay(work, Result.REPLICATED, Result.REPLICATED, fresh=True)

    def _pay(self, work: Work, paid: Result, owed: Result, *, fresh: bool) -> None:
        """What has changed of the version since it was replicated, or while it was."""
        before = self.leased.row(work.version_id)
        assert before is not None
        failure = pay(
            self.engine, self.leased, work.version_id, self.configuration, self.deadline, fresh=fresh
        )
        row = self.leased.row(work.version_id)
        assert row is not None
        if isinstance(failure, ReplicaLost):
            self.tell(work, Result.DUPLICATE, row, reason=failure.reason)
        elif failure is not None and is_news(work.change.kind, before, row):
            self.park(work, row)
        else:
            self.tell(work, owed if row.due is not None else paid, row)

    def fail(self, work: Work, failure: ReplicationError) -> None:
        """The row, or the message, of a work that failed."""
        failure = self.leased.confirmed(work, failure)
        row = self.leased.row(work.version_id)
        if row is None or not row.final or not work.change.prepare:
            self.fail_on_key(work, failure)
        elif row.reason == Reason.OUT_OF_ORDER:
            self._fail_preparing(work, row, failure)
        else:
            # Nobody waits for the upload any more.
            self.duplicate(work, row)

    def fail_on_key(self, work: Work, failure: ReplicationError) -> None:
        """The same where the failure is not the work's own: somebody has to come back in any case."""
        row = self.leased.row(work.version_id)
        has_no_row = work.change.kind in (ChangeKind.REMOVED, ChangeKind.SETTLE)
        only_told_by_message = has_no_row or not self.leased.creates(work)
        if (row is not None and row.final) or only_told_by_message:
            self._fail_as_it_came(work, row, failure)
        elif isinstance(failure, SourceGone) and row is not None and row.live:
            # A replica that could not be verified: it stays, and its row goes on saying so.
            self.tell(work, Result.GONE, row)
        else:
            self._fail_version(work, row, failure)

    def _fail_version(self, work: Work, old: Row | None, failure: ReplicationError) -> None:
        row = failed_row(self.engine, work, old, failure)
        if row.status is not Status.PENDING:
            discard_upload(self.engine, work, old)
        self.leased.set_row(work.version_id, row)
        if row.status is Status.FAILED:
            self.park(work, row)
        else:
            self.tell(work, RESULTS[row.status], row)

    def _fail_as_it_came(self, work: Work, row: Row | None, failure: ReplicationError) -> None:
        """No row can say what this change asks for: its message comes again, or is parked."""
        match failure:
            case RetryableError():
                self.outcomes.append((work, deferred(work, failure)))
            case SourceGone():
                self.tell(work, Result.GONE, row)
            case NotEligible():
                self.tell(work, Result.NOT_SELECTED, row, reason=failure.reason)
            case _:
                if work.change.follows and row is not None and row.live:
                    row = stuck_row(self.engine, row, failure)
                    self.leased.set_row(work.version_id, row)
                else:
                    row = failed_row(self.engine, work, None, failure)
                self.park(work, row)

    def _fail_preparing(self, work: Work, old: Row, failure: ReplicationError) -> None:
        """An upload for a version whose replica has to be copied again."""
        row = stuck_row(self.engine, old, failure)
        if row.due is None:
            discard_upload(self.engine, work, old)
            row = replace(row, upload=None)
            self.park(work, row)
        else:
            row = replace(row, upload=work.change.upload or old.upload)
            self.tell(work, Result.DELAYED, row)
        self.leased.set_row(work.version_id, row)

    def hand_over(self, work: Work, reason: Reason) -> None:
        row = self.leased.row(work.version_id)
        may_wait = work.change.kind is not ChangeKind.SETTLE and self.leased.creates(work)
        if may_wait and (row is None or not row.final):
            row = waiting_row(self.engine, work, row, reason)
            self.leased.set_row(work.version_id, row)
        self.elsewhere.append((work, work.outcome(Result.HANDED_OVER, row, reason=reason)))

    def to_large_lane(self, work: Work) -> None:
        row = self.leased.row(work.version_id)
        if row is not None and not row.final:
            self.leased.set_row(work.version_id, under_way(self.engine, row))
        # Nobody waits for an upload to be prepared: the large lane may complete it itself.
        change = replace(work.change, prepare=False, replica=None)
        self.elsewhere.append((replace(work, change=change), work.outcome(Result.SENT_TO_LARGE_LANE)))

    # -- what is sent, once the ledger says so

    def close(self) -> None:
        """Give the lease up, and send what is to be sent."""
        sent = park_recorded(self.engine, self.leased, self.parked)
        self.leased.release()
        sent += [(work, _send(self.engine, work, outcome)) for work, outcome in self.elsewhere]
        self.outcomes += sent
        given = {id(work) for work in self.works}
        for work, outcome in sent:
            if outcome.result is Result.DEFERRED and id(work) not in given:
                # No message told of this one: another has to come again in its place.
                self.outcomes.append((self.works[0], outcome))

    def call_for_help(self) -> None:
        """The key needs the second function: a message that asks for nothing else, unless one is under way
        anyway."""
        if {outcome.result for _, outcome in self.outcomes} & {Result.HANDED_OVER, Result.DEFERRED}:
            return
        work = self.works[0].only_settling()
        outcome = hand_over(self.engine, work, work.outcome(Result.HANDED_OVER, reason=Reason.UNSETTLED))
        if outcome.result is Result.DEFERRED:
            self.outcomes.append((self.works[0], outcome))


def park_recorded(engine: Engine, leased: LeasedKey, parked: Sequence[tuple[Work, Row]]) -> list[WorkOutcome]:
    """Park what has failed for good, its rows written before: an event that comes again may find a final row,
    and stop there. So they are due until it is known that their messages are sent; that takes effect with the
    next write."""
    waiting = [work.version_id for work, _ in parked if _is_final_word(leased.row(work.version_id))]
    for version_id in waiting:
        row = leased.row(version_id)
        assert row is not None
        leased.set_row(version_id, under_way(engine, row))
    if waiting:
        leased.write()
    sent = [(work, park(engine, work, row)) for work, row in parked]
    for work, outcome in sent:
        row = leased.row(work.version_id)
        if row is not None and work.version_id in waiting and outcome.result is Result.PARKED:
            leased.untold.discard(work.version_id)
            leased.set_row(work.version_id, replace(row, due=None))
    return sent


def _is_final_word(row: Row | None) -> bool:
    """Whether nobody would come back for it. Some failures have no row."""
    return row is not None and row.open and row.due is None


def _send(engine: Engine, work: Work, outcome: Outcome) -> Outcome:
    large = outcome.result is Result.SENT_TO_LARGE_LANE
    return to_large_lane(engine, work, outcome) if large else hand_over(engine, work, outcome)
