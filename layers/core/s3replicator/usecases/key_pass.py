"""One pass over the changes of one key at one destination, under one lease.

Every function walks the fast path: versions that are newer than everything that is there. What else there
is, the second function settles; the others hand it over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
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
    out_of_order,
    park,
    stuck_row,
    to_large_lane,
    under_way,
    waiting_row,
)
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, adopt, take_lease
from s3replicator.usecases.refresh import follow
from s3replicator.usecases.settling import Settlement, Unfinished, UploadNeeded
from s3replicator.usecases.work import Work

#: How often a visible write is tried under one lease before the version waits for the sweep.
_PUBLISH_TRIES: Final = 2

_RESULTS: Final = {
    Status.COMPLETED: Result.DUPLICATE,
    Status.TOMBSTONE: Result.GONE,
    Status.SUPERSEDED: Result.SUPERSEDED,
    Status.NOT_ELIGIBLE: Result.NOT_ELIGIBLE,
    Status.PENDING: Result.DELAYED,
    Status.FAILED: Result.PARKED,
}

_FOLLOWING: Final = frozenset({ChangeKind.TAGGED, ChangeKind.ACL_CHANGED})

WorkOutcome = tuple[Work, Outcome]


@dataclass(slots=True)
class _Pass:
    """What has been decided, and what is to be sent as soon as the ledger says so."""

    leased: LeasedKey
    configuration: Configuration
    deadline: float
    #: Settling has been tried, or cannot succeed now: once is enough for one pass.
    settled: bool = False
    outcomes: list[WorkOutcome] = field(default_factory=list)
    elsewhere: list[WorkOutcome] = field(default_factory=list)
    park: list[tuple[Work, Row]] = field(default_factory=list)


class KeyPass:
    """``settles``: whether this function may settle a key, or hands over what needs it."""

    def __init__(self, engine: Engine, *, settles: bool) -> None:
        self._engine = engine
        self._settles = settles

    def run(self, works: Sequence[Work], configuration: Configuration, deadline: float) -> list[WorkOutcome]:
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
                    discard_upload(self._engine, work)
                    done.append((work, work.outcome(Result.DUPLICATE, row, reason=row.status)))
                case Held():
                    return done + [(later, busy(later)) for later in rest]
                case Conflict(source):
                    return done + [(later, self._park_conflict(later, source)) for later in rest]
                case Granted():
                    assert leased is not None
                    return done + self._walk(_Pass(leased, configuration, deadline), rest)
        return done

    def _walk(self, state: _Pass, works: Sequence[Work]) -> list[WorkOutcome]:
        leased = state.leased
        for index, work in enumerate(works):
            if not self._engine.may_publish(state.deadline):
                state.outcomes += [(late, busy(late)) for late in works[index:]]
                break
            try:
                reason = self._why_not_here(leased, work)
                if reason is None:
                    self._one(state, work)
                elif self._settles:
                    self._settle(state, works[index:], work)
                    break
                else:
                    self._hand_over(state, work, reason)
            except ReplicationError as failure:
                self._fail(state, work, failure)
        leased.withdraw()
        if self._settles and not leased.fit and not state.settled:
            self._settle(state, [], works[0])
        leased.release()
        self._send(state)
        if not leased.fit and not state.settled:
            self._call_for_help(state)
        return state.outcomes

    # -- the fast path

    def _why_not_here(self, leased: LeasedKey, work: Work) -> Reason | None:
        """Why the fast path cannot deal with it; None if it can."""
        if leased.in_doubt:
            return Reason.UNSETTLED
        if work.failure is not None and not self._settles:
            return None
        if not leased.fit:
            return Reason.UNSETTLED
        if work.change.kind is ChangeKind.REMOVED:
            return Reason.UNSETTLED
        row = leased.row(work.version_id)
        if work.failure is not None or (row is not None and row.final):
            return None
        return None if leased.place(work) is Place.NEWEST else Reason.LATE_VERSION

    def _one(self, state: _Pass, work: Work) -> None:
        row = state.leased.row(work.version_id)
        if work.failure is not None:
            self._fail(state, work, work.failure)
        elif row is not None and row.final:
            self._settled_before(state, work, row)
        elif work.large:
            self._to_large_lane(state, work)
        else:
            self._publish(state, work)

    def _settled_before(self, state: _Pass, work: Work, row: Row) -> None:
        discard_upload(self._engine, work)
        if work.change.kind in _FOLLOWING and row.live:
            self._follow(state, work, row)
        else:
            state.outcomes.append((work, work.outcome(Result.DUPLICATE, row, reason=row.status)))

    def _follow(self, state: _Pass, work: Work, row: Row) -> None:
        """Tags or ACL have changed since the version was replicated."""
        assert row.replica is not None
        try:
            follow(self._engine, state.leased.bucket, work.change, row.replica)
        except SourceGone:
            state.outcomes.append((work, work.outcome(Result.GONE, row)))
        except RetryableError as failure:
            state.outcomes.append((work, deferred(work, failure)))
        except ReplicationError as failure:
            row = stuck_row(self._engine, row, failure)
            state.leased.set_row(work.version_id, row)
            state.park.append((work, row))
        else:
            if row.attempts:
                row = replace(row, reason=None, detail=None, due=None, attempts=0)
                state.leased.set_row(work.version_id, row)
            state.outcomes.append((work, work.outcome(Result.UPDATED, row)))

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
        if row.left:
            # An earlier attempt left a replica that was no good.
            state.leased.unsettle()
        if row.status is Status.FAILED:
            state.park.append((work, row))
        else:
            state.outcomes.append((work, work.outcome(Result.REPLICATED, row)))

    # -- settling

    def _settle(self, state: _Pass, works: Sequence[Work], anchor: Work) -> None:
        """Settle the key, these works with it. What keeps that from happening is said of ``anchor``."""
        state.settled = True
        settlement = Settlement(self._engine, state.leased, state.configuration, state.deadline)
        try:
            if state.leased.in_doubt:
                state.leased.resolve()
            for work in works:
                self._admit(state, settlement, work)
            settlement.run()
        except UploadNeeded as needed:
            self._prepare(state, works, needed.work)
        except Unfinished as stopped:
            if stopped.failure.reason is Reason.BUSY:
                state.outcomes.append((anchor, busy(anchor)))
        except ReplicationError as failure:
            self._fail(state, anchor, failure)
        given = {work.version_id: work for work in works}
        state.park += [(given.get(work.version_id, work), row) for work, row in settlement.parked]
        self._sum_up(state, settlement, works)

    def _admit(self, state: _Pass, settlement: Settlement, work: Work) -> None:
        row = state.leased.row(work.version_id)
        if work.change.kind is ChangeKind.REMOVED:
            settlement.forget(work)
        elif row is None or not row.final:
            settlement.ask(work)
        elif work.change.prepare:
            settlement.works[work.version_id] = work

    def _prepare(self, state: _Pass, works: Sequence[Work], needed: Work) -> None:
        row = state.leased.row(needed.version_id)
        assert row is not None
        state.leased.set_row(needed.version_id, out_of_order(self._engine, row))
        state.elsewhere.append((needed, needed.outcome(Result.SENT_TO_LARGE_LANE)))
        for work in works:
            if work.version_id == needed.version_id:
                state.outcomes.append((work, work.outcome(Result.SENT_TO_LARGE_LANE)))

    def _sum_up(self, state: _Pass, settlement: Settlement, works: Sequence[Work]) -> None:
        """What became of each work, as far as that has not been said yet."""
        told = {id(work) for work, _ in [*state.outcomes, *state.park]}
        for work in works:
            if id(work) in told:
                continue
            row = state.leased.row(work.version_id)
            if row is not None and row.final:
                self._came_to_rest(state, settlement, work, row)
            elif work.change.kind is ChangeKind.REMOVED:
                # Nothing was ever known of it, or it is still there.
                state.outcomes.append((work, work.outcome(Result.NOT_SELECTED)))
            elif row is not None and row.status is not Status.PENDING:
                state.outcomes.append((work, work.outcome(_RESULTS[row.status], row)))
            else:
                if row is None or row.due is None:
                    row = waiting_row(self._engine, work, row, Reason.UNSETTLED, sent=True)
                    state.leased.set_row(work.version_id, row)
                state.outcomes.append((work, work.outcome(Result.DELAYED, row)))

    def _came_to_rest(self, state: _Pass, settlement: Settlement, work: Work, row: Row) -> None:
        version_id = work.version_id
        discard_upload(self._engine, work)
        if version_id in settlement.published:
            state.outcomes.append((work, work.outcome(Result.REPLICATED, row)))
        elif version_id in settlement.removed:
            state.outcomes.append((work, work.outcome(Result.REMOVED, row)))
        elif row.due is not None:
            state.outcomes.append((work, work.outcome(Result.DELAYED, row)))
        elif work.change.kind in _FOLLOWING and row.live:
            self._follow(state, work, row)
        else:
            state.outcomes.append((work, work.outcome(_RESULTS[row.status], row, reason=row.status)))

    # -- what ends otherwise

    def _hand_over(self, state: _Pass, work: Work, reason: Reason) -> None:
        old = state.leased.row(work.version_id)
        row = waiting_row(self._engine, work, old, reason, sent=True)
        state.leased.set_row(work.version_id, row)
        state.elsewhere.append((work, work.outcome(Result.HANDED_OVER, row)))

    def _to_large_lane(self, state: _Pass, work: Work) -> None:
        row = state.leased.head.rows.get(work.version_id)
        if row is not None:
            state.leased.set_row(work.version_id, under_way(self._engine, row))
        state.elsewhere.append((work, work.outcome(Result.SENT_TO_LARGE_LANE)))

    def _fail(self, state: _Pass, work: Work, failure: ReplicationError) -> None:
        old = state.leased.row(work.version_id)
        if old is not None and old.final:
            self._fail_on_final(state, work, old, failure)
            return
        row = failed_row(self._engine, work, old, failure)
        state.leased.set_row(work.version_id, row)
        if row.status is not Status.PENDING:
            discard_upload(self._engine, work)
        if row.status is Status.FAILED:
            state.park.append((work, row))
        else:
            state.outcomes.append((work, work.outcome(_RESULTS[row.status], row)))

    def _fail_on_final(self, state: _Pass, work: Work, old: Row, failure: ReplicationError) -> None:
        """The failure is the key's, not this version's: its status stays as it is."""
        if state.settled or work.change.prepare:
            state.settled = True
            row = stuck_row(self._engine, old, failure)
            state.leased.set_row(work.version_id, row)
            if row.due is None:
                state.park.append((work, row))
            else:
                state.outcomes.append((work, work.outcome(Result.DELAYED, row)))
        elif isinstance(failure, RetryableError):
            state.outcomes.append((work, deferred(work, failure)))
        else:
            state.outcomes.append((work, work.outcome(Result.DUPLICATE, old, reason=old.status)))

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

    def _call_for_help(self, state: _Pass) -> None:
        """The key needs the second function: a message for it, unless one is under way anyway."""
        results = {outcome.result for _, outcome in state.outcomes}
        if results & {Result.HANDED_OVER, Result.DELAYED, Result.DEFERRED}:
            return
        work, _ = state.outcomes[0]
        sent = hand_over(self._engine, work, work.outcome(Result.HANDED_OVER, reason=Reason.UNSETTLED))
        if sent.result is Result.DEFERRED:
            state.outcomes[0] = (work, sent)
