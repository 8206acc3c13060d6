"""One batch of a job: its keys, through the same engine and ledger as everything else.

A batch may be given out again at any time. What its keys have come to is kept as soon as it is known, and
what the ledger calls COMPLETED is not copied again.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import parse_body
from s3replicator.decisions.failures import Reason, ReplicationError, RetryableError
from s3replicator.decisions.job import InvalidJob, Job, JobKind, parse_job
from s3replicator.decisions.job_report import Task, TaskStatus
from s3replicator.decisions.ledger import LedgerKey, Status, source_name
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.rules import places
from s3replicator.decisions.selection import MOST_VERSIONS, Line, keys_of, select
from s3replicator.decisions.versions import ListedVersion, VersionRef
from s3replicator.ports import Configurations, JobStore, LeaseLost
from s3replicator.usecases.batch import Batch, Message
from s3replicator.usecases.by_hand import ByHand, Request
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.job_progress import BatchProgress
from s3replicator.usecases.reconcile import KeyBusy, Reconciler, settled
from s3replicator.usecases.routing import Router
from s3replicator.usecases.work import Work

#: Keys begun together: what is known of them is written down before the next ones are begun.
_AT_ONCE: Final = 100

#: Nothing is begun in the last seconds of a worker's time, beyond what publishing needs anyway.
_MARGIN: Final = 60.0

#: How often a key is come back to that cannot be looked at, before the report says so.
_TRIES: Final = 5

_STATUSES: Final = {
    Result.REPLICATED: TaskStatus.SUCCEEDED,
    Result.DUPLICATE: TaskStatus.SUCCEEDED,
    Result.UPDATED: TaskStatus.SUCCEEDED,
    Result.ADOPTED: TaskStatus.SUCCEEDED,
    Result.REMOVED: TaskStatus.SUCCEEDED,
    Result.GONE: TaskStatus.SKIPPED,
    Result.NOT_ELIGIBLE: TaskStatus.SKIPPED,
    Result.PASSED_OVER: TaskStatus.SKIPPED,
    Result.SUPERSEDED: TaskStatus.SKIPPED,
    Result.HANDED_OVER: TaskStatus.PENDING,
    Result.SENT_TO_LARGE_LANE: TaskStatus.PENDING,
    Result.DELAYED: TaskStatus.PENDING,
    Result.PARKED: TaskStatus.FAILED,
    Result.FAILED: TaskStatus.FAILED,
}


#: A version of a key.
_Version = tuple[str, ListedVersion]


@dataclass(frozen=True, slots=True)
class JobBatch:
    """``batch`` replicates with the lane of the second function, which may settle a key itself."""

    engine: Engine
    batch: Batch
    by_hand: ByHand
    reconciler: Reconciler
    configurations: Configurations
    store: JobStore
    source_bucket: str

    def run(self, job_id: str, name: str, deadline: float) -> dict[str, Any]:
        """{"done": bool, "wait": seconds until it should be given out again}. Raises ``RetryableError``."""
        job = self._job(job_id)
        if not job.is_batch(name):
            raise InvalidJob([f"{name!r} is none of the job's batches"])
        claimed = name.replace("/batches/", "/claims/")
        claim = self.store.claim(claimed, self.engine.clock.now(), deadline + _MARGIN)
        if claim is None:
            # One of an execution that was stopped works to its end. What it finds and puts right is not found
            # again, and only its results tell of it.
            return {"done": False, "wait": self.engine.timing.defer}
        try:
            return self._work(job, name, deadline)
        finally:
            self.store.release(claimed, claim)

    def _work(self, job: Job, name: str, deadline: float) -> dict[str, Any]:
        results, kept = (name.replace("/batches/", f"/{to}/") for to in ("results", "partial"))
        lines = self._lines(name)
        if self.store.read(results) is not None:
            return {"done": True, "wait": 0}
        progress = BatchProgress.read(self.store, kept)
        configuration = self.configurations.current()
        todo = [line for line in lines if line.key not in progress.done]
        for start in range(0, len(todo), _AT_ONCE):
            if not self._has_time(deadline):
                return {"done": False, "wait": 0}
            self._some(job, todo[start : start + _AT_ONCE], configuration, deadline, progress)
            progress.save()
        if len(progress.done) < len(lines):
            return {"done": False, "wait": self.engine.timing.defer}
        self.store.write(results, progress.results())
        return {"done": True, "wait": 0}

    def _job(self, job_id: str) -> Job:
        body = self.store.read(f"{parse_job(job_id, {'Kind': 'backfill'}).folder}job.json")
        assert body is not None, "the survey has written it"
        return parse_job(job_id, json.loads(body))

    def _lines(self, name: str) -> list[Line]:
        body = self.store.read(name)
        assert body is not None, "the survey has written it"
        return keys_of(body)

    def _has_time(self, deadline: float) -> bool:
        return self.engine.may_publish(deadline - _MARGIN)

    def _some(
        self,
        job: Job,
        lines: Sequence[Line],
        configuration: Configuration,
        deadline: float,
        progress: BatchProgress,
    ) -> None:
        if job.kind is JobKind.BACKFILL and job.repair:
            plain = [line for line in lines if not line.restore]
            recalled = self.engine.parallel.map(
                lambda line: line.key in progress.divided or self._recall(line, deadline), plain
            )
            known = [line for line, is_done in zip(plain, recalled, strict=True) if is_done]
            self._backfill(job, known, configuration, deadline, progress)
            lines = [line for line in lines if line.restore]
        progress.tries.update(line.key for line in lines)
        each = self.engine.parallel.map(
            lambda line: self._one(job, line, configuration, deadline, progress), lines
        )
        for line, (tasks, is_done) in zip(lines, each, strict=True):
            progress.add(tasks)
            if is_done:
                progress.done.add(line.key)

    # -- versions to be replicated

    def _recall(self, line: Line, deadline: float) -> bool:
        """What is there already is not copied again. False if the key could not be looked at now."""
        return not line.recall or self.by_hand.recall(self.source_bucket, line.key, deadline)

    def _backfill(
        self,
        job: Job,
        lines: Sequence[Line],
        configuration: Configuration,
        deadline: float,
        progress: BatchProgress,
    ) -> None:
        """As if their events had come, in the order of the versions; so many at a time that there is room for
        what is read of them."""
        todo: deque[Sequence[_Version]] = deque()
        unfinished: set[str] = set()
        for line in lines:
            try:
                if line.key not in progress.divided:
                    todo.append(self._todo(job, line, configuration, deadline, progress))
            except RetryableError as failure:
                if failure.reason is not Reason.BUSY:
                    raise
                unfinished.add(line.key)
        while todo and self._has_time(deadline):
            window = [*todo.popleft()]
            while todo and len(window) + len(todo[0]) <= MOST_VERSIONS:
                window += todo.popleft()
            unfinished |= self._bring(job, window, deadline, progress)
            if todo:
                progress.save()
        unfinished |= {key for versions in todo for key, _ in versions}
        for line in lines:
            divided = line.key in progress.divided
            if divided and not self._in_portions(job, line.key, configuration, deadline, progress):
                unfinished.add(line.key)
        progress.tries.update(line.key for line in lines)
        progress.done |= {line.key for line in lines} - unfinished

    def _in_portions(
        self, job: Job, key: str, configuration: Configuration, deadline: float, progress: BatchProgress
    ) -> bool:
        """Whether the key is done. A portion is not begun if the one before took longer than is left: cut off
        within a second of many versions, it would have the next call read all rows for those."""
        took = 0.0
        while not progress.divided[key].ended:
            begun = self.engine.clock.now()
            if not self._has_time(deadline - took):
                return False
            portion = progress.portion(key)
            left = self._untold(key, portion.versions, configuration, progress)
            if self._bring(job, [(key, version) for version in left], deadline, progress, portion.above):
                # What is newer than one that comes again has to wait for it.
                progress.save()
                return False
            progress.portion_done(key)
            took = self.engine.clock.now() - begun
        return True

    def _bring(
        self,
        job: Job,
        versions: Sequence[_Version],
        deadline: float,
        progress: BatchProgress,
        above: str | None = None,
    ) -> set[str]:
        """The keys that are not done with these versions; ``above`` as of ``Batch.process``. An event does
        not open what was called gone; who lists the key does, and then they are told of once more."""
        messages = {f"{n}": Message(f"{n}", self._letter(*one)) for n, one in enumerate(versions)}
        keys = {f"{n}": key for n, (key, _) in enumerate(versions)}
        result = self.batch.process([*messages.values()], deadline, job.asks, above)
        progress.add(_task(outcome) for outcome in result.outcomes if outcome.result in _STATUSES)
        unfinished = {keys[message] for message in result.returned}
        closed = {outcome.key for outcome in result.outcomes if outcome.reason == Status.TOMBSTONE}
        opened = {key for key in closed if key and self.by_hand.recall(self.source_bucket, key, deadline)}
        if opened:
            again = [message for number, message in messages.items() if keys[number] in opened]
            result = self.batch.process(again, deadline, job.asks, above)
            progress.add(_task(outcome) for outcome in result.outcomes if outcome.result in _STATUSES)
            unfinished |= {keys[message] for message in result.returned}
        return unfinished | {key for key in closed - opened if key}

    def _todo(
        self, job: Job, line: Line, configuration: Configuration, deadline: float, progress: BatchProgress
    ) -> Sequence[_Version]:
        """What became of some may have been told already. A key of many versions is divided, for several
        calls: nothing is left to be done at once."""
        versions, missing = self._versions(job, line, configuration, deadline)
        progress.add(missing)
        begun = progress.tries[line.key] > 0
        left = self._untold(line.key, versions, configuration, progress) if begun else versions
        if len(left) > MOST_VERSIONS:
            progress.divide(line.key, left, MOST_VERSIONS)
            return []
        return [(line.key, version) for version in left]

    def _untold(
        self,
        key: str,
        versions: Sequence[ListedVersion],
        configuration: Configuration,
        progress: BatchProgress,
    ) -> Sequence[ListedVersion]:
        told: dict[str | None, set[LedgerKey]] = defaultdict(set)
        for task in progress.of(key):
            if task.status is not TaskStatus.PENDING:
                told[task.version].add(task.place)
        all_places = places(configuration, key).keys()
        return [version for version in versions if not all_places <= told[version.version_id]]

    def _versions(
        self, job: Job, line: Line, configuration: Configuration, deadline: float
    ) -> tuple[Sequence[ListedVersion], list[Task]]:
        """What is to be done of a key, and what is named that the source does not list."""
        if line.versions is not None:
            return line.versions, []
        rules = [rule for held in places(configuration, line.key).values() for rule in held]
        in_time = partial(self.engine.check_time, deadline)
        left_out = job.leaves_out_markers(self.reconciler.peers)
        markers = not left_out and any(rule.delete_markers for rule in rules)
        listed = self.engine.source.versions(self.source_bucket, line.key, in_time)
        missing = [
            replace(
                _task_at(line.key, name, place),
                status=TaskStatus.SKIPPED,
                reason=Reason.SRC_VERSION_NOT_FOUND,
                detail="the source does not list it",
            )
            for name in line.missing_in(listed)
            for place in places(configuration, line.key)
        ]
        meant = [version for version in listed if line.means(version)]
        return select(job, line.key, meant, markers=markers), missing

    def _letter(self, key: str, version: ListedVersion) -> str:
        source = source_name(VersionRef(self.source_bucket, key, ""))
        return json.dumps(letters.of_listed(source, version))

    # -- keys to be settled

    def _one(
        self, job: Job, line: Line, configuration: Configuration, deadline: float, progress: BatchProgress
    ) -> tuple[list[Task], bool]:
        """What is known of the key, and whether that is all."""
        tasks: list[Task] = []
        if not self._has_time(deadline):
            return tasks, False
        try:
            for task in self._tasks(job, line, configuration, deadline):
                tasks.append(task)
        except (KeyBusy, LeaseLost):
            return tasks, False
        except ReplicationError as failure:
            if isinstance(failure, RetryableError) and progress.tries[line.key] < _TRIES:
                return tasks, False
            # Nobody comes back for what has been found.
            given_up = [task for task in (*progress.of(line.key), *tasks) if task.only_found]
            given_up += [_task_at(line.key, None, place) for place in places(configuration, line.key)]
            tasks += [
                replace(task, status=TaskStatus.FAILED, reason=failure.reason, detail=failure.detail)
                for task in given_up
            ]
        return tasks, True

    def _tasks(self, job: Job, line: Line, configuration: Configuration, deadline: float) -> Iterator[Task]:
        if job.kind is JobKind.RECONCILE:
            yield from self.reconciler.run(job, line.key, configuration, deadline)
        elif job.repair:
            request = Request(self.source_bucket, line.key, restore_lost=True, compare=False)
            yield from (_task(outcome) for outcome in settled(self.by_hand, request, deadline))
        else:
            yield from self._plan(job, line, configuration, deadline)

    def _plan(self, job: Job, line: Line, configuration: Configuration, deadline: float) -> list[Task]:
        """A dry run: what is found out about each version is what the job would find out. Raises the failures
        that a second try may cure."""
        router = Router.of(self.engine, self.reconciler.peers)
        versions, tasks = self._versions(job, line, configuration, deadline)
        for version in versions:
            self.engine.check_time(deadline)
            [change] = parse_body(self._letter(line.key, version)).changes
            tasks += [_planned(work) for work in router.route(change, configuration, job.asks)]
        return tasks


def _task_at(key: str, version: str | None, place: LedgerKey) -> Task:
    return Task(key, version, place.destination, TaskStatus.PENDING, replica_key=place.other_than(key))


def _planned(work: Work) -> Task:
    failure = work.failure
    if isinstance(failure, RetryableError):
        raise failure
    task = replace(
        _task_at(work.change.key, work.version_id, work.key), status=TaskStatus.SKIPPED, detail="a dry run"
    )
    return task if failure is None else replace(task, reason=failure.reason, detail=failure.detail)


def _task(outcome: Outcome) -> Task:
    assert outcome.key is not None
    status, reason = _STATUSES[outcome.result], outcome.reason or outcome.result
    if outcome.result is Result.DUPLICATE and outcome.replica is None:
        # It was replicated, and others have removed the replica.
        status, reason = TaskStatus.SKIPPED, Reason.REPLICA_LOST
    succeeded = status is TaskStatus.SUCCEEDED
    return Task(
        key=outcome.key,
        version=outcome.version_id,
        destination=outcome.destination or "",
        status=status,
        reason=None if succeeded else reason,
        detail=None if succeeded else outcome.detail,
        replica=outcome.replica,
        replica_key=outcome.replica_key,
    )
