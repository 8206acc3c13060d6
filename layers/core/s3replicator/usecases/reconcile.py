"""Reconciling one key: what both sides and the ledger say now, and what is done about it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.drift import Drift, Finding, compare, foreign_on_top, is_missing
from s3replicator.decisions.failures import PassedOver, Reason, RetryableError, SourceGone
from s3replicator.decisions.job import Job
from s3replicator.decisions.job_report import KeyRows, Task, TaskStatus
from s3replicator.decisions.ledger import Head, LedgerKey, Row, Status, source_name
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.recollection import Recognised, in_their_place, users_copies
from s3replicator.decisions.rules import places
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import Kind, ListedVersion, VersionRef
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.by_hand import ByHand, Request
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.recall import Place, recognise
from s3replicator.usecases.refresh import Pair
from s3replicator.usecases.routing import Router
from s3replicator.usecases.work import Work

_UNDER_WAY: Final = frozenset({Result.SENT_TO_LARGE_LANE, Result.DELAYED})

#: Nothing is known of the key yet, which has to be looked at again.
_COME_BACK: Final = frozenset({Reason.BUSY, Reason.LEDGER_UNAVAILABLE})


#: What others have done at the destination, and what is undone only if it is asked for.
_RESTORED: Final = frozenset({Drift.LOST, Drift.COPIED_IN_PLACE})
#: The same would be found by the next look.
_NO_TIME: Final = RetryableError(Reason.BUSY, "there was no time to look at every version of the key")


class KeyBusy(Exception):
    """Another worker holds the key, or time is up: look again later."""


def settled(by_hand: ByHand, request: Request, deadline: float) -> Iterator[Outcome]:
    """What came of it. Raises ``KeyBusy``, and ``RetryableError`` where the ledger could not say what is left
    open, after what has been done nevertheless."""
    report = by_hand.settle(request, deadline)
    yield from (outcome for outcome in report.outcomes if outcome.reason not in _COME_BACK)
    yield from report.passed_over
    if report.busy or any(outcome.reason == Reason.BUSY for outcome in report.outcomes):
        raise KeyBusy
    for outcome in report.outcomes:
        if outcome.reason == Reason.LEDGER_UNAVAILABLE:
            raise RetryableError(Reason.LEDGER_UNAVAILABLE, outcome.detail or "")


@dataclass(frozen=True, slots=True)
class Reconciler:
    """``peers`` as in ``ByHand``."""

    engine: Engine
    by_hand: ByHand
    source_bucket: str
    peers: frozenset[str] = frozenset()

    def run(self, job: Job, key: str, configuration: Configuration, deadline: float) -> Iterator[Task]:
        """A task for each thing that is not as it should be: as soon as it is found, since it is not found
        again when others put it right, and once more when it is known what came of it.

        Raises ``KeyBusy`` and ``RetryableError``.
        """
        selected = places(configuration, key)
        here = (LedgerKey(destination, key) for destination in self.engine.destinations)
        ours = (place for place in selected if place.destination in self.engine.destinations)
        for place in dict.fromkeys([*ours, *here]):
            look = _Look(self, job, key, place, selected.get(place, ()), configuration, deadline)
            seen, outcomes = look.see(), None
            findings = seen.findings
            if job.repair and any(_is_wanted(finding, job) for finding in findings):
                # What nothing names cannot be looked after by the report.
                yield from (_found(look, finding) for finding in findings if finding.version_id)
                outcomes = list(self._put_right(job, look, deadline))
            yield from _tasks(look, findings, outcomes)
            if not seen.complete:
                raise KeyBusy if outcomes else _NO_TIME

    def _put_right(self, job: Job, look: "_Look", deadline: float) -> Iterator[Outcome]:
        request = Request(
            bucket=self.source_bucket,
            key=look.source_key,
            destinations=(look.key.destination,),
            restore_lost=job.restore_lost,
            compare=job.deep,
        )
        return settled(self.by_hand, request, deadline)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What has been found of a key, and the rows it was compared with; there may be more unless
    ``complete``. ``is_open``: the ledger says that somebody comes back for the key."""

    findings: list[Finding]
    rows: Mapping[str, Row]
    complete: bool = True
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """One key at one destination, as it is now."""

    reconciler: Reconciler
    job: Job
    source_key: str
    key: LedgerKey
    rules: Sequence[Rule]
    configuration: Configuration
    deadline: float

    def see(self) -> _Seen:
        """Raises ``KeyBusy`` while another worker is at work on it: nothing is as it should be then. Raises
        ``RetryableError`` also when time is up."""
        engine = self.reconciler.engine
        head, rows = engine.ledger.history(self.key, self._in_time)
        if head is not None and head.lease is not None and head.lease.expires >= engine.clock.now():
            raise KeyBusy
        another = head is not None and not head.is_of(self._source)
        if another:
            # What another source key has there is none of this one's: it has nothing.
            head, rows = None, {}
        source = engine.source.versions(self.reconciler.source_bucket, self.source_key, self._in_time)
        if head is None and not (source and self.rules):
            return _Seen([], rows)
        bucket = engine.destination(self.key.destination)
        sides = Sides(source, [] if another else bucket.versions(self.key.key, self._in_time))
        now = engine.clock.now()
        # Time is left for putting right what is found by then.
        expected, until = now - self.job.grace, now + (self.deadline - now) / 3
        wanted = [
            listed
            for listed in source
            if is_missing(rows.get(listed.version_id)) and listed.last_modified <= expected
        ]
        works: dict[str, Work] = {}
        for listed in reversed(wanted):
            if engine.clock.now() > until:
                break
            work = self._work(listed)
            if work is not None:
                works[listed.version_id] = work
        complete = not wanted or engine.clock.now() <= until
        passed_over = {
            vid: work.failure.detail for vid, work in works.items() if isinstance(work.failure, PassedOver)
        }
        recognition = recognise(engine, Place(self.key, self._source), rows, sides, until)
        complete, recognised = complete and recognition.complete, recognition.objects
        copies = users_copies(rows, sides.destination, recognised)
        placed = in_their_place(rows, sides.destination, copies)
        found = compare(
            rows,
            sides,
            works.keys() - passed_over.keys(),
            interrupted=is_interrupted(head, now),
            shared=bool(self.reconciler.peers),
            copies=placed,
        )
        found += [Finding(Drift.PASSED_OVER, vid, why, known=True) for vid, why in passed_over.items()]
        # What hides a newer replica is told of as overwritten, unless others may write there.
        covering = None if self.reconciler.peers else foreign_on_top(rows, sides)
        hiding = set(covering[1] if covering is not None else ()) - placed
        found += [
            Finding(Drift.COPIED_IN_PLACE, vid, f"the copy {copy}", known=True)
            for copy, vid in copies.items()
            if copy not in hiding
        ]
        unrecorded = {copy: what for copy, what in recognised.items() if copy not in copies}
        found += self._unrecorded(rows, sides, unrecorded)
        found += self._differences(rows) if self.job.deep else []
        is_open = (head is not None and not head.clean) or any(row.due is not None for row in rows.values())
        return _Seen(found, rows, complete, is_open)

    @property
    def _source(self) -> str:
        return source_name(VersionRef(self.reconciler.source_bucket, self.source_key, ""))

    def _in_time(self) -> None:
        self.reconciler.engine.check_time(self.deadline)

    def _work(self, listed: ListedVersion) -> Work | None:
        """What a version that no row knows should have come to: the rules may ask for its tags, and it may be
        a replica itself."""
        if not self.rules or (listed.kind is Kind.MARKER and self.reconciler.peers):
            return None
        fresh = Row(kind=listed.kind, status=Status.PENDING, order=facts_of(listed))
        change = letters.change_of(self._source, listed.version_id, fresh, self.key)
        router = Router.of(self.reconciler.engine, self.reconciler.peers)
        works = router.route(replace(change, destination=None), self.configuration)
        return next((work for work in works if work.key == self.key and not self._is_gone(work)), None)

    def _is_gone(self, work: Work) -> bool:
        source, failure = self.reconciler.engine.source, work.failure
        return failure is not None and isinstance(confirmed(source, work.change.ref, failure), SourceGone)

    @staticmethod
    def _unrecorded(
        rows: Mapping[str, Row], sides: Sides, recognised: Mapping[str, Recognised]
    ) -> list[Finding]:
        found = []
        for replica, what in recognised.items():
            row = rows.get(what.version_id)
            drift = Drift.TWICE if row is not None and row.live else Drift.UNRECORDED
            # Nothing says where a replica belongs whose source is gone: it can only be told of.
            hopeless = drift is Drift.UNRECORDED and not sides.lists(what.version_id)
            found.append(Finding(drift, what.version_id, f"the replica {replica}", known=hopeless))
        return found

    def _differences(self, rows: Mapping[str, Row]) -> list[Finding]:
        engine, found = self.reconciler.engine, []
        for vid, row in rows.items():
            if row.kind is not Kind.OBJECT or row.replica is None or row.status is not Status.COMPLETED:
                continue
            ref = VersionRef(self.reconciler.source_bucket, self.source_key, vid)
            try:
                difference = Pair(engine, self.key, ref, row.replica).difference(
                    self.deadline, annotations=True
                )
            except SourceGone as gone:
                answer = confirmed(engine.source, ref, gone)
                if answer is not gone:
                    raise answer from gone
                continue
            if difference is not None and str(difference):
                found.append(Finding(Drift.DIFFERENT, vid, str(difference)))
        return found


def is_interrupted(head: Head | None, now: float) -> bool:
    """Whether something was left undone, and nobody is at work on it."""
    return head is not None and not head.clean and (head.lease is None or head.lease.expires < now)


def _is_wanted(finding: Finding, job: Job) -> bool:
    return not finding.known or (job.restore_lost and finding.drift in _RESTORED)


def _found(look: _Look, finding: Finding) -> Task:
    return Task(
        key=look.source_key,
        version=finding.version_id or None,
        destination=look.key.destination,
        replica_key=look.key.other_than(look.source_key),
        status=TaskStatus.PENDING,
        detail=finding.detail,
        finding=None if finding.known else finding.drift,
    )


def _tasks(look: _Look, findings: Sequence[Finding], outcomes: Sequence[Outcome] | None) -> Iterator[Task]:
    """``outcomes``: of putting it right; None if that was not asked for. Raises ``RetryableError`` if that
    was not even begun: nobody comes back for it then."""
    if outcomes is None:
        yield from (_task(look, finding) for finding in findings)
        return
    seen = look.see()
    delayed = next((one for one in outcomes if one.result is Result.DELAYED), None)
    is_left = any(one.drift is not Drift.DIFFERENT and not one.known for one in seen.findings)
    if delayed is not None and delayed.reason is not None and is_left and not seen.is_open:
        raise RetryableError(Reason(delayed.reason), delayed.detail or "")
    after = _After(
        {(one.drift, one.version_id) for one in seen.findings},
        KeyRows.of(seen.rows, is_open=seen.is_open),
        _by_version(outcomes),
    )
    yield from (_task(look, finding, after) for finding in findings)


@dataclass(frozen=True, slots=True)
class _After:
    """What there is to say after something has been put right: what is ``left`` of the findings, what the
    ledger says, and what came of it, by version."""

    left: Collection[tuple[Drift, str]]
    rows: KeyRows
    outcomes: Mapping[str | None, Sequence[Outcome]]

    def about(self, version_id: str) -> list[Outcome]:
        return [*self.outcomes.get(version_id, ()), *self.outcomes.get(None, ())]


def _by_version(outcomes: Iterable[Outcome]) -> Mapping[str | None, Sequence[Outcome]]:
    found: dict[str | None, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        found[outcome.version_id].append(outcome)
    return found


def _task(look: _Look, finding: Finding, after: _After | None = None) -> Task:
    task = replace(_found(look, finding), status=TaskStatus.SUCCEEDED)
    if finding.drift is Drift.LOST and not look.job.restore_lost:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.REPLICA_LOST)
    is_left = after is None or (finding.drift, finding.version_id) in after.left
    if finding.drift is Drift.COPIED_IN_PLACE and is_left:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.REPLICA_COPIED)
    if finding.drift is Drift.PASSED_OVER:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.SRC_IS_REPLICA)
    if finding.drift is Drift.UNRECORDED and finding.known:
        return replace(task, status=TaskStatus.SKIPPED, reason=Reason.SRC_VERSION_NOT_FOUND)
    if after is None:
        return replace(task, status=TaskStatus.SKIPPED, detail=finding.detail or "a dry run")
    if not is_left:
        # Not found again need not be right: it may be known, and somebody come back for it.
        return after.rows.ended(task)
    about = after.about(finding.version_id)
    # Nobody comes back for a difference that could not be put right.
    under_way = finding.drift is not Drift.DIFFERENT and any(one.result in _UNDER_WAY for one in about)
    why = next((one for one in about if one.reason), None)
    return replace(
        task,
        status=TaskStatus.PENDING if under_way else TaskStatus.FAILED,
        reason=why.reason if why else Reason.UNSETTLED,
        detail=why.detail if why else finding.detail,
    )
