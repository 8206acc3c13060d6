"""One pass over the changes of one key at one destination, under one lease.

Every function walks the fast path: versions that are newer than everything that is there. What else there
is, the second function settles; the others hand it over.
"""

from collections.abc import Sequence
from typing import Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import AmbiguousWrite, Reason, ReplicationError
from s3replicator.decisions.ledger import Status
from s3replicator.decisions.order import Place
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.ports import Conflict, Duplicate, Granted, Held
from s3replicator.usecases.conflicts import keep_out
from s3replicator.usecases.endings import busy, is_given_up
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, adopt, take_lease
from s3replicator.usecases.pass_state import RESULTS, PassState, WorkOutcome
from s3replicator.usecases.settle_pass import settle
from s3replicator.usecases.uploads import discard_upload
from s3replicator.usecases.work import Work

#: How often a visible write is tried under one lease before the version waits for the sweep.
_PUBLISH_TRIES: Final = 2


class KeyPass:
    """``settles``: whether this function may settle a key, or hands over what needs it; ``spares`` as of a
    ``Settlement``."""

    def __init__(self, engine: Engine, *, settles: bool, spares: bool = False) -> None:
        self._engine = engine
        self._settles = settles
        self._spares = spares

    def run(self, works: Sequence[Work], configuration: Configuration, deadline: float) -> list[WorkOutcome]:
        """``works`` are changes of one source key at one place, oldest first; ``deadline`` is when this
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
                    discard_upload(self._engine, work, row)
                    self._close_conflict(work)
                    done.append((work, work.outcome(RESULTS[row.status], row, reason=row.status)))
                case Held():
                    return done + [(later, busy(later)) for later in rest]
                case Conflict(owner):
                    return done + [(later, self._keep_out(later, owner)) for later in rest]
                case Granted():
                    assert leased is not None
                    state = PassState(self._engine, leased, configuration, deadline, rest, self._spares)
                    self._walk(state)
                    return done + state.outcomes
        return done

    def _walk(self, state: PassState) -> None:
        leased, settled = state.leased, False
        for index, work in enumerate(state.works):
            if not self._engine.may_publish(state.deadline):
                state.outcomes += [(late, busy(late)) for late in state.works[index:]]
                break
            try:
                leased.hear(work)
                reason = self._why_not_here(leased, work)
                if reason is None:
                    self._one(state, work)
                elif not self._settles:
                    state.hand_over(work, reason)
                else:
                    settled = True
                    settle(state, state.works[index:])
                    break
            except ReplicationError as failure:
                state.fail(work, failure)
        leased.withdraw()
        if self._settles and not leased.fit and not settled:
            settle(state, [])
        state.close()
        if not self._settles and not leased.fit:
            state.call_for_help()

    def _why_not_here(self, leased: LeasedKey, work: Work) -> Reason | None:
        """Why the fast path cannot deal with it; None if it can."""
        if leased.in_doubt:
            return Reason.UNSETTLED
        if work.failure is not None and not self._settles:
            return Reason.UNSETTLED if _is_retried(leased, work) else None
        if not leased.fit or work.change.kind is ChangeKind.REMOVED:
            return Reason.UNSETTLED
        if not leased.creates(work):
            return None
        row = leased.row(work.version_id)
        if row is not None and row.final and row.due is not None and not row.owed:
            # Written by a worker that died before the head could say that the key is unsettled.
            return Reason.UNSETTLED
        if work.failure is not None or work.change.kind is ChangeKind.SETTLE or (row and row.final):
            return None
        return None if leased.place(work) is Place.NEWEST else Reason.LATE_VERSION

    def _one(self, state: PassState, work: Work) -> None:
        row = state.leased.row(work.version_id)
        if work.change.kind is ChangeKind.SETTLE:
            state.tell(work, Result.DUPLICATE, row)
        elif not state.leased.creates(work):
            state.only_heard(work)
        elif row is not None and row.final and not (work.change.prepare and work.failure):
            state.duplicate(work, row)
        elif work.failure is not None:
            state.fail(work, work.failure)
        elif work.large:
            state.to_large_lane(work)
        else:
            self._publish(state, work)

    def _publish(self, state: PassState, work: Work) -> None:
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
            state.park(work, row)
        else:
            state.replicated(work)

    def _keep_out(self, work: Work, owner: str) -> Outcome:
        outcome = keep_out(self._engine, work, owner)
        discard_upload(self._engine, work)
        return outcome

    def _close_conflict(self, work: Work) -> None:
        """Whoever gave the version its row may have died before that."""
        if work.change.kept_out:
            self._engine.ledger.close_conflict(work.key, work.source_key, work.version_id)


def _is_retried(leased: LeasedKey, work: Work) -> bool:
    """Whether somebody has a replica tried again that could not be put in its place: it needs no source."""
    if work.change.destination is None or not leased.creates(work) or leased.fit:
        return False
    row = leased.row(work.version_id)
    return row is not None and is_given_up(row)
