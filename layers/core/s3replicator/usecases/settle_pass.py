"""Settling as part of a pass: what the works ask of it, and what became of them."""

from collections.abc import Mapping, Sequence

from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.failures import Reason, ReplicationError
from s3replicator.decisions.ledger import Row
from s3replicator.decisions.outcome import Result
from s3replicator.usecases.endings import busy
from s3replicator.usecases.pass_state import RESULTS, PassState
from s3replicator.usecases.settling import Settlement, Unfinished
from s3replicator.usecases.uploads import discard_upload
from s3replicator.usecases.work import Work


def settle(state: PassState, works: Sequence[Work]) -> None:
    """Settle the key, these works with it."""
    settlement = Settlement(
        state.engine,
        state.leased,
        state.configuration,
        state.deadline,
        spares=state.spares,
        only_orders=all(work.change.kind is ChangeKind.SETTLE for work in works),
    )
    deleted: dict[int, str] = {}
    broken: ReplicationError | None = None
    try:
        if state.leased.in_doubt:
            state.leased.resolve()
        for work in works:
            if work.change.kind is ChangeKind.REMOVED:
                deleted[id(work)] = settlement.forget(work)
            else:
                _admit(state, settlement, work)
        settlement.run()
    except Unfinished as stopped:
        if stopped.failure.reason is Reason.BUSY:
            state.outcomes.append((state.works[0], busy(state.works[0])))
    except ReplicationError as failure:
        broken = failure
    given = {work.version_id: work for work in works}
    state.parked += [(given.get(work.version_id, work), row) for work, row in settlement.parked]
    state.elsewhere += [(work, work.outcome(Result.SENT_TO_LARGE_LANE)) for work in settlement.to_prepare]
    untold = state.untold(works)
    for work in untold:
        if broken is None or work.version_id in settlement.published:
            _sum_up(state, settlement, work, deleted)
    if broken is not None:
        _fail(state, state.untold(untold) or state.works[:1], broken)


def _fail(state: PassState, works: Sequence[Work], failure: ReplicationError) -> None:
    """The key could not be looked at, or recorded: somebody has to come back, whatever else was done."""
    for work in works:
        if failure.reason is Reason.BUSY:
            # There was no time for it, which is no fault of this version.
            state.outcomes.append((work, busy(work)))
        else:
            state.fail_on_key(work, failure)


def _admit(state: PassState, settlement: Settlement, work: Work) -> None:
    if work.change.kind is ChangeKind.SETTLE:
        return
    state.leased.hear(work)
    row = state.leased.row(work.version_id)
    if not state.leased.creates(work):
        return
    if row is None or not row.final:
        settlement.ask(work)
    elif work.change.prepare:
        settlement.complete(work)


def _sum_up(state: PassState, settlement: Settlement, work: Work, deleted: Mapping[int, str]) -> None:
    row = state.leased.row(work.version_id)
    needed = work.version_id in settlement.awaited
    if id(work) in deleted:
        _sum_up_deletion(state, settlement, work, deleted[id(work)])
    elif work.change.kind is ChangeKind.SETTLE:
        state.tell(work, RESULTS[row.status] if row else Result.DUPLICATE, row)
    elif row is None:
        state.only_heard(work)
    elif needed or (row.upload is not None and row.upload == work.change.upload):
        # Its upload is still wanted.
        state.tell(work, Result.DELAYED, row)
    elif work.version_id in settlement.published:
        settlement.published.remove(work.version_id)
        discard_upload(state.engine, work, row)
        state.tell(work, Result.REPLICATED, row)
    elif row.final:
        discard_upload(state.engine, work, row)
        updated = Result.DELAYED if row.owed else Result.UPDATED
        state.tell(work, updated if work.change.follows and row.live else RESULTS[row.status], row)
    else:
        state.tell(work, RESULTS[row.status], row)


def _sum_up_deletion(state: PassState, settlement: Settlement, work: Work, version_id: str) -> None:
    row: Row | None = state.leased.row(version_id)
    if version_id in settlement.removed:
        state.tell(work, Result.REMOVED, row)
    elif row is not None and row.live:
        # It was not a delete, or is held back.
        state.tell(work, Result.DELAYED if row.purged else Result.NOT_SELECTED, row)
    else:
        state.tell(work, Result.GONE, row)
