"""One pass over the changes of one key at one destination, under one lease.

The fast path and the second function walk the same way. They differ in what they may do about a key that
another worker left unsettled, and about a version that is not the newest: that is their ``Path``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from s3replicator.decisions.failures import (
    AmbiguousWrite,
    Reason,
    ReplicationError,
    RetryableError,
    TerminalError,
)
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.order import Place
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.ports import Conflict, Duplicate, Granted, Held
from s3replicator.usecases.endings import (
    busy,
    deferred,
    discard_upload,
    failed_row,
    hand_over,
    park,
    to_large_lane,
    under_way,
    waiting_row,
)
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, adopt, take_lease
from s3replicator.usecases.work import Work

#: How often a visible write is tried under one lease before the version waits for the sweep.
_PUBLISH_TRIES: Final = 2

_RESULTS: Final = {
    Status.TOMBSTONE: Result.GONE,
    Status.NOT_ELIGIBLE: Result.NOT_ELIGIBLE,
    Status.PENDING: Result.DELAYED,
}

WorkOutcome = tuple[Work, Outcome]


class Path(Protocol):
    def enter(self, leased: LeasedKey, /) -> Reason | None:
        """Make an unfit key fit for work. A reason means that this path cannot: hand over."""
        ...

    def hands_over_late(self) -> bool:
        """Whether somebody else is to decide about a version that is not the newest."""
        ...

    def leave(self, leased: LeasedKey, /) -> Reason | None:
        """The end of the pass. A reason means that somebody else has to finish."""
        ...


@dataclass(slots=True)
class _Pass:
    """What has been decided, and what is to be sent as soon as the ledger says so."""

    leased: LeasedKey
    deadline: float
    outcomes: list[WorkOutcome] = field(default_factory=list)
    elsewhere: list[tuple[Work, Outcome]] = field(default_factory=list)
    park: list[tuple[Work, Row]] = field(default_factory=list)


class KeyPass:
    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path

    def run(self, works: Sequence[Work], deadline: float) -> list[WorkOutcome]:
        """``works`` are changes of one key at one destination, oldest first; ``deadline`` is when this
        worker's time is up.

        Raises ``RetryableError`` or ``LeaseLost`` when the ledger cannot be written: then nothing may be
        acknowledged, and whatever was published will be found by its intent.
        """
        done: list[WorkOutcome] = []
        for index, work in enumerate(works):
            answer, leased = take_lease(self._engine, work, deadline)
            rest = works[index:]
            match answer:
                case Duplicate(row):
                    done.append((work, work.outcome(Result.DUPLICATE, row, reason=row.status)))
                case Held():
                    return done + [(later, busy(later)) for later in rest]
                case Conflict(source):
                    return done + [(later, self._park_conflict(later, source)) for later in rest]
                case Granted():
                    assert leased is not None
                    return done + self._walk(_Pass(leased, deadline), rest)
        return done

    def _walk(self, state: _Pass, works: Sequence[Work]) -> list[WorkOutcome]:
        leased = state.leased
        for work in works:
            if not self._engine.may_publish(state.deadline):
                state.outcomes.append((work, work.outcome(Result.DEFERRED, reason=Reason.BUSY)))
                continue
            try:
                reason = None if leased.fit else self._path.enter(leased)
                if reason is None:
                    self._one(state, work)
                else:
                    self._hand_over(state, work, reason)
            except ReplicationError as failure:
                self._fail(state, work, failure)
        leased.withdraw()
        try:
            leftover = self._path.leave(leased)
        except RetryableError as failure:
            # What has been done is recorded all the same; the messages come again for what has not.
            leased.release()
            self._send(state)
            return [(work, deferred(work, failure)) for work, _ in state.outcomes]
        leased.release()
        self._send(state)
        if leftover is not None:
            self._call_for_help(state, leftover)
        return state.outcomes

    def _one(self, state: _Pass, work: Work) -> None:
        leased = state.leased
        row = leased.row(work.version_id)
        if row is not None and row.final:
            discard_upload(self._engine, work)
            state.outcomes.append((work, work.outcome(Result.DUPLICATE, row, reason=row.status)))
        elif work.failure is not None:
            self._fail(state, work, work.failure)
        elif leased.place(work) is not Place.NEWEST:
            if self._path.hands_over_late():
                self._hand_over(state, work, Reason.LATE_VERSION)
            else:
                discard_upload(self._engine, work)
                row = self._wait(state, work, Reason.LATE_VERSION, sent=False)
                state.outcomes.append((work, work.outcome(Result.LATE, row)))
        elif work.large:
            self._to_large_lane(state, work)
        else:
            self._publish(state, work)

    def _publish(self, state: _Pass, work: Work) -> None:
        doubt: AmbiguousWrite | None = None
        for _ in range(_PUBLISH_TRIES):
            if doubt is not None:
                self._engine.clock.sleep(self._engine.dice.random())
                if not self._engine.may_publish(state.deadline):
                    raise doubt
            try:
                row = state.leased.publish(work)
                break
            except AmbiguousWrite as failure:
                found = state.leased.resolve()
                if found is not None:
                    row = adopt(state.leased, work, found)
                    break
                doubt = failure
        else:
            assert doubt is not None
            raise doubt
        if row.status is Status.FAILED:
            state.park.append((work, row))
        else:
            state.outcomes.append((work, work.outcome(Result.REPLICATED, row)))

    # -- what ends otherwise

    def _hand_over(self, state: _Pass, work: Work, reason: Reason) -> None:
        row = self._wait(state, work, reason, sent=True)
        state.elsewhere.append((work, work.outcome(Result.HANDED_OVER, row)))

    def _to_large_lane(self, state: _Pass, work: Work) -> None:
        row = state.leased.head.rows.get(work.version_id)
        if row is not None:
            state.leased.set_row(work.version_id, under_way(self._engine, row))
        state.elsewhere.append((work, work.outcome(Result.SENT_TO_LARGE_LANE)))

    def _wait(self, state: _Pass, work: Work, reason: Reason, *, sent: bool) -> Row:
        old = state.leased.row(work.version_id)
        row = waiting_row(self._engine, work, old, reason, sent=sent)
        state.leased.set_row(work.version_id, row)
        return row

    def _fail(self, state: _Pass, work: Work, failure: ReplicationError) -> None:
        old = state.leased.row(work.version_id)
        if old is not None and old.final:
            # The failure is the key's, not this version's: what is final stays so.
            again = isinstance(failure, RetryableError)
            duplicate = work.outcome(Result.DUPLICATE, old, reason=old.status)
            state.outcomes.append((work, deferred(work, failure) if again else duplicate))
            return
        row = failed_row(self._engine, work, old, failure)
        state.leased.set_row(work.version_id, row)
        if row.status is not Status.PENDING:
            discard_upload(self._engine, work)
        if row.status is Status.FAILED:
            state.park.append((work, row))
        else:
            state.outcomes.append((work, work.outcome(_RESULTS[row.status], row)))

    def _park_conflict(self, work: Work, source: str) -> Outcome:
        """The head is another key's, so there is no row: the parked message alone says so."""
        detail = f"the key at the destination belongs to {source}"
        conflict = TerminalError(Reason.KEY_CONFLICT, detail)
        return park(self._engine, work, failed_row(self._engine, work, None, conflict))

    # -- what is sent, once the ledger says so

    def _send(self, state: _Pass) -> None:
        for work, outcome in state.elsewhere:
            large = outcome.result is Result.SENT_TO_LARGE_LANE
            send = to_large_lane if large else hand_over
            state.outcomes.append((work, send(self._engine, work, outcome)))
        for work, row in state.park:
            state.outcomes.append((work, park(self._engine, work, row)))

    def _call_for_help(self, state: _Pass, reason: Reason) -> None:
        """The key needs the second function: a message for it, unless one is under way anyway."""
        results = {outcome.result for _, outcome in state.outcomes}
        if results & {Result.HANDED_OVER, Result.DELAYED, Result.DEFERRED}:
            return
        work, _ = state.outcomes[0]
        sent = hand_over(self._engine, work, work.outcome(Result.HANDED_OVER, reason=reason))
        if sent.result is Result.DEFERRED:
            state.outcomes[0] = (work, sent)
