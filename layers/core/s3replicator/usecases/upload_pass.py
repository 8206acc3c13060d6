"""Publishing a prepared upload under the lease: the second half of a large copy."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from s3replicator.decisions.events import Upload
from s3replicator.decisions.failures import AmbiguousWrite, Reason, ReplicationError, RetryableError
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.order import Place
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.ports import CopiedPart, LeaseLost
from s3replicator.usecases.endings import being_prepared, failed_row, hand_over, waiting_row
from s3replicator.usecases.leased_key import LeasedKey, adopt
from s3replicator.usecases.pass_state import PassState, park_recorded
from s3replicator.usecases.uploads import complete_upload, discard_upload
from s3replicator.usecases.work import Work


@dataclass(frozen=True, slots=True)
class UploadPass:
    """``parts`` of the upload are all there are, by number; ``work`` is the only one of the pass."""

    state: PassState
    work: Work
    upload: Upload
    parts: Mapping[int, CopiedPart]

    def run(self) -> list[Outcome]:
        """All that has come of the work; nothing if nothing was published and the key is as it was found: try
        again later.

        Raises ``RetryableError`` or ``LeaseLost`` when the ledger cannot be written.
        """
        leased = self._leased
        try:
            otherwise = self._make_ready()
        except RetryableError:
            self._give_up_for_now()
            return []
        except ReplicationError as failure:
            leased.withdraw()
            return [self._fail(failure)]
        if otherwise:
            return otherwise
        if not self._has_time():
            leased.head = replace(leased.head, unsettled=False)
            self._give_up_for_now()
            return []
        try:
            row = self._complete()
        except ReplicationError as failure:
            if not leased.in_doubt and not isinstance(failure, AmbiguousWrite):
                leased.head = replace(leased.head, unsettled=False)
            return [self._fail(failure)]
        leased.write()
        return self._account_for(row)

    @property
    def _leased(self) -> LeasedKey:
        return self.state.leased

    def _has_time(self) -> bool:
        return self.state.engine.may_publish(self.state.deadline)

    # -- before

    def _make_ready(self) -> list[Outcome]:
        """Everything before the upload may be completed; what has come of the work if it may not."""
        leased = self._leased
        leased.hear(self.work)
        if not leased.fit:
            return [self._hand_over(Reason.UNSETTLED)]
        row = leased.row(self.work.version_id)
        if row is not None and row.final:
            leased.withdraw()
            self.state.duplicate(self.work, row)
            return self._end()
        if leased.place(self.work) is not Place.NEWEST:
            # What has been copied is not thrown away: whoever settles the key completes it, or aborts it.
            return [self._hand_over(Reason.LATE_VERSION)]
        # S3 ranks the replica by when its upload was started. Until the list has shown where that is,
        # a crash must lead to the second function.
        leased.unsettle()
        leased.write()
        return []

    def _give_up_for_now(self) -> None:
        """Nothing has been published: leave the key as it was found."""
        self._leased.withdraw()
        # A lease that cannot be given up runs out.
        with contextlib.suppress(RetryableError, LeaseLost):
            self._leased.release()

    def _hand_over(self, reason: Reason) -> Outcome:
        leased, engine = self._leased, self.state.engine
        leased.withdraw()
        row = leased.row(self.work.version_id)
        if row is None or not row.final:
            row = being_prepared(engine, waiting_row(engine, self.work, row, reason))
            leased.set_row(self.work.version_id, row)
        leased.release()
        return hand_over(engine, self.work, self.work.outcome(Result.HANDED_OVER, row, reason=reason))

    # -- the visible write

    def _complete(self) -> Row:
        """An upload can be completed once, so a request whose answer was lost may be sent again."""
        leased = self._leased
        try:
            return self._send()
        except AmbiguousWrite:
            found = leased.resolve()
            if found is not None:
                return adopt(leased, self.work, found)
            if not self._has_time():
                raise
            leased.announce(self.work, self.upload)
        try:
            return self._send()
        except AmbiguousWrite:
            found = leased.resolve()
            if found is None:
                raise
            return adopt(leased, self.work, found)

    def _send(self) -> Row:
        with self._leased.sending():
            published = complete_upload(self._leased.bucket, self.work, self.upload, self.parts)
        return self._leased.account(self.work, self.upload.nonce, published, tagged=self.upload.tagged)

    # -- after

    def _account_for(self, row: Row) -> list[Outcome]:
        """The lease is given up in a settled state if the destination's list shows the replica on top."""
        if row.status is Status.FAILED:
            self.state.park(self.work, row)
        else:
            self.state.replicated(self.work)
        if self._stands_on_top(row):
            self._leased.head = replace(self._leased.head, unsettled=False)
        return self._end()

    def _stands_on_top(self, row: Row) -> bool:
        try:
            return self._leased.is_on_top(row.replica)
        except ReplicationError:
            # Nobody could look, so somebody else has to.
            return False

    def _fail(self, failure: ReplicationError) -> Outcome:
        failure = self._leased.confirmed(self.work, failure)
        old = self._leased.row(self.work.version_id)
        row = failed_row(self.state.engine, self.work, old, failure)
        if row.status is Status.PENDING:
            self._leased.set_row(self.work.version_id, row)
            self._leased.release()
            return self.work.outcome(Result.DELAYED, row)
        discard_upload(self.state.engine, self.work, old)
        self._leased.set_row(self.work.version_id, row)
        [(_, parked)] = park_recorded(self.state.engine, self._leased, [(self.work, row)])
        self._leased.release()
        return parked

    def _end(self) -> list[Outcome]:
        self.state.close()
        if not self._leased.fit:
            self.state.call_for_help()
        return [outcome for _, outcome in self.state.outcomes]
