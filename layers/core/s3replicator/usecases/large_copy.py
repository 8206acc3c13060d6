"""Large objects: a multipart upload is prepared without a lease and published under one.

The open upload is its own checkpoint. When the worker's time is up, or somebody else holds the key, the
change goes back to the queue with the upload's id, and the next worker goes on from ``ListParts``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from s3replicator.decisions.announcements import Announcement, of_late, threshold_of
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import Upload
from s3replicator.decisions.failures import (
    NotEligible,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
    blamed,
)
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.plan import Part, is_large, plan_copy
from s3replicator.decisions.replica import check_eligible, upload_request
from s3replicator.decisions.versions import SourceObject, Tag
from s3replicator.ports import Conflict, CopiedPart, DestinationBucket, Duplicate, Granted, Held
from s3replicator.usecases.endings import (
    hand_over,
    to_large_lane,
)
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.key_pass import KeyPass
from s3replicator.usecases.leased_key import take_lease
from s3replicator.usecases.pass_state import RESULTS, PassState
from s3replicator.usecases.upload_pass import UploadPass
from s3replicator.usecases.uploads import discard_upload
from s3replicator.usecases.work import Work

#: No part is begun in the last seconds of a worker's time.
_MARGIN: Final = 90.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    upload: Upload
    parts: Mapping[int, CopiedPart]
    complete: bool


class LargeCopy:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, work: Work, configuration: Configuration, deadline: float) -> list[Outcome]:
        """Copy one large object, or as much of it as there is time for. Returns all that has come of it: say,
        its row waits, and nobody could be asked to repair its key.

        Raises ``RetryableError`` or ``LeaseLost`` when the ledger cannot be written.
        """
        known = self._engine.ledger.peek(work.key, work.source_key, work.version_id)
        late = self._lateness(work, known)
        if late:
            work = replace(work, change=replace(work.change, missed=True))
        first, *others = self._go_on(work, known, configuration, deadline)
        return [replace(first, announcements=(*late, *first.announcements)), *others]

    def _lateness(self, work: Work, known: Row | None) -> tuple[Announcement, ...]:
        """What has to be told of a version that is late and has no row; of rows that wait the sweep tells."""
        threshold = threshold_of(work.change, work.rule, work.kind)
        if known is not None or work.change.missed or threshold is None:
            return ()
        if self._engine.clock.now() < threshold:
            return ()
        return (of_late(work.change, work.destination, work.rule),)

    def _go_on(
        self, work: Work, known: Row | None, configuration: Configuration, deadline: float
    ) -> list[Outcome]:
        if known is not None and known.status is Status.FAILED and known.reason == Reason.KEY_CONFLICT:
            # Before so much is copied: does the place still belong to another source key?
            return self._without_copying(work, configuration, deadline)
        if work.change.prepare:
            work = self._as_asked_for(work, known)
            if not (work.large or work.failure):
                return self._without_copying(work, configuration, deadline)
        if work.change.prepare and isinstance(work.failure, SourceGone | NotEligible):
            # Whoever settles the key decides what is to be copied instead.
            discard_upload(self._engine, work, known)
            return [hand_over(self._engine, work.with_upload(None), work.outcome(Result.HANDED_OVER))]
        if work.failure is not None or (known is not None and known.final and not _is_awaited(work, known)):
            # A duplicate, or what a dead worker left unsettled: nothing has to be copied for either.
            return self._without_copying(work, configuration, deadline)
        if known is not None and known.upload is not None and work.change.upload is None:
            work = replace(work, change=replace(work.change, upload=known.upload))
        try:
            work, prepared = self._prepare(work, deadline)
        except _PartsFailed as stopped:
            return self._record_failure(stopped.work, stopped.failure, configuration, deadline)
        except ReplicationError as failure:
            return self._record_failure(work, failure, configuration, deadline)
        if prepared.complete and work.change.prepare:
            # Whoever settles the key will complete it, or abort it.
            return self._or_resume(work, [hand_over(self._engine, work, work.outcome(Result.HANDED_OVER))])
        if not prepared.complete or not self._engine.may_publish(deadline):
            return [self._resume_later(work, delay=0)]
        return self._take(work, prepared, configuration, deadline)

    def _take(
        self, work: Work, prepared: _Prepared, configuration: Configuration, deadline: float
    ) -> list[Outcome]:
        """All parts are there: ask for the lease, and publish."""
        intent = work.intent(prepared.upload.nonce, prepared.upload.started)
        try:
            answer, leased = take_lease(self._engine, work, deadline, intent)
        except RetryableError:
            # The parts are there; a message that comes again as it was would copy them once more.
            return [self._resume_later(work, delay=self._engine.timing.defer)]
        match answer:
            case Duplicate(row):
                discard_upload(self._engine, work, row)
                return [work.outcome(RESULTS[row.status], row, reason=row.status)]
            case Held():
                return [self._resume_later(work, delay=self._engine.timing.defer)]
            case Conflict():
                discard_upload(self._engine, work)
                return self._without_copying(work.with_upload(None), configuration, deadline)
            case Granted():
                assert leased is not None
                state = PassState(self._engine, leased, configuration, deadline, [work])
                ended = UploadPass(state, work, prepared.upload, prepared.parts).run()
                return ended or [self._resume_later(work, delay=self._engine.timing.defer)]

    # -- without a lease

    def _as_asked_for(self, work: Work, known: Row | None) -> Work:
        """Uploads are prepared for versions that wait for them, and are large: the ledger says which."""
        if known is None:
            return replace(work, change=replace(work.change, prepare=False, replica=None))
        work = self._to_be_copied_again(work, known)
        if work.failure is not None or work.large:
            return work
        return replace(work, change=replace(work.change, prepare=False, replica=None))

    def _to_be_copied_again(self, work: Work, known: Row) -> Work:
        """The source version may be gone: then our own replica is copied."""
        replica = work.change.replica
        if replica is None or replica != known.replica or not known.copyable:
            return work
        try:
            found = self._engine.destination(work.destination).head(work.key.key, replica)
        except ReplicationError as failure:
            return replace(work, failure=failure)
        if found is None or not is_large(found.size):
            return work
        return replace(work, source=found, failure=None, again=known)

    def _prepare(self, work: Work, deadline: float) -> tuple[Work, _Prepared]:
        """Start the upload, or go on with the one the change carries, and copy the parts it lacks."""
        source, bucket = self._source(work), self._engine.destination(work.destination)
        check_eligible(source, None if work.again else work.rule, large=True)
        upload = work.change.upload
        have = bucket.parts(work.key.key, upload.upload_id) if upload else None
        if upload is None or have is None:
            upload, have = self._start(work, source, bucket), {}
        work = replace(work, change=replace(work.change, upload=upload))
        plan = plan_copy(source.size)
        missing = [part for part in plan.parts() if part.number not in have]
        copied = self._copy_parts(work, source, bucket, missing, deadline)
        parts = {**have, **{part.number: part for part in copied}}
        return work, _Prepared(upload, parts, complete=len(parts) == plan.part_count)

    def _start(self, work: Work, source: SourceObject, bucket: DestinationBucket) -> Upload:
        tags = self._tags(work)
        nonce, started = self._engine.dice.token(), self._engine.clock.now()
        again = work.again is not None
        request = upload_request(source, work.rule, work.stamp(nonce), tags, again=again)
        upload_id = bucket.create_upload(work.key.key, request)
        return Upload(upload_id, nonce, started, tagged=not request.owes_tags)

    def _tags(self, work: Work) -> frozenset[Tag]:
        if work.again is not None and work.again.replica is not None:
            return self._engine.destination(work.destination).tags(work.key.key, work.again.replica)
        return self._engine.source.tags(work.change.ref)

    def _copy_parts(
        self,
        work: Work,
        source: SourceObject,
        bucket: DestinationBucket,
        missing: list[Part],
        deadline: float,
    ) -> list[CopiedPart]:
        """As many of the missing parts as there is time for. Raises ``_PartsFailed``."""
        assert work.change.upload is not None
        upload_id = work.change.upload.upload_id
        failures: list[ReplicationError] = []

        def copy(part: Part) -> CopiedPart | None:
            if failures or self._engine.clock.now() + _MARGIN > deadline:
                return None
            try:
                return bucket.copy_part(source.ref, source.etag, work.key.key, upload_id, part)
            except ReplicationError as failure:
                failures.append(blamed(failure, source.kms_key))
                return None

        copied = self._engine.parallel.map(copy, missing)
        if failures:
            raise _PartsFailed(work, failures[0])
        return [part for part in copied if part is not None]

    def _resume_later(self, work: Work, delay: float) -> Outcome:
        outcome = work.outcome(Result.SENT_TO_LARGE_LANE, reason=Reason.BUSY)
        return to_large_lane(self._engine, work, outcome, delay)

    def _record_failure(
        self, work: Work, failure: ReplicationError, configuration: Configuration, deadline: float
    ) -> list[Outcome]:
        outcomes = self._without_copying(replace(work, failure=failure), configuration, deadline)
        return self._or_resume(work, outcomes) if work.change.upload is not None else outcomes

    def _or_resume(self, work: Work, outcomes: list[Outcome]) -> list[Outcome]:
        """A message that comes again as it was would copy all parts once more, unless the row says more."""
        if all(outcome.result is Result.DEFERRED for outcome in outcomes):
            return [self._resume_later(work, delay=self._engine.timing.defer)]
        return outcomes

    def _without_copying(self, work: Work, configuration: Configuration, deadline: float) -> list[Outcome]:
        done = KeyPass(self._engine, settles=False).run([work], configuration, deadline)
        return [outcome for _, outcome in done]

    @staticmethod
    def _source(work: Work) -> SourceObject:
        assert isinstance(work.source, SourceObject)
        return work.source


class _PartsFailed(Exception):
    """Copying stopped; ``work`` carries the upload as far as it came."""

    def __init__(self, work: Work, failure: ReplicationError) -> None:
        super().__init__(failure)
        self.work = work
        self.failure = failure


def _is_awaited(work: Work, known: Row) -> bool:
    """Whether somebody who settles the key still waits for this upload."""
    return work.change.prepare and known.reason == Reason.OUT_OF_ORDER
