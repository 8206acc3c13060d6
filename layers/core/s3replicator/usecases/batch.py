"""A batch of messages: other keys in parallel, the changes of one key in order under one lease."""

import traceback
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import Change, ChangeKind, Intake, parse_body, parse_event
from s3replicator.decisions.failures import (
    PassedOver,
    Reason,
    ReplicationError,
    RetryableError,
    TerminalError,
    UnreadableEvent,
)
from s3replicator.decisions.ledger import LedgerKey, sequencer_rank
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.provenance import JobAsks, Writer
from s3replicator.decisions.versions import NULL
from s3replicator.ports import Configurations, LeaseLost
from s3replicator.usecases.endings import busy, failed_row, park, park_as_it_came
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.envelopes import Envelopes
from s3replicator.usecases.evidence import writer_of
from s3replicator.usecases.lanes import Lane
from s3replicator.usecases.null_changes import or_ended
from s3replicator.usecases.replica_changes import ReplicaChanges
from s3replicator.usecases.routing import Router, passed_over
from s3replicator.usecases.work import Work


@dataclass(frozen=True, slots=True)
class Message:
    """``received`` counts how often it has been handed out, this time included."""

    id: str
    body: str
    received: int = 1


@dataclass
class BatchResult:
    """``returned`` maps the messages that must come again to the seconds until they may. ``unversioned``
    counts what was written while the source was not versioned."""

    outcomes: list[Outcome] = field(default_factory=list)
    returned: dict[str, float] = field(default_factory=dict)
    unversioned: int = 0


@dataclass
class _Tally:
    """Which outcomes belong to which messages. Several messages may tell of one change."""

    messages: dict[Change, set[str]] = field(default_factory=lambda: defaultdict(set))
    outcomes: list[tuple[frozenset[str], Outcome]] = field(default_factory=list)

    def of_change(self, change: Change, outcome: Outcome) -> None:
        self.outcomes.append((frozenset(self.messages[change]), outcome))

    def of_message(self, message_id: str, outcome: Outcome) -> None:
        self.outcomes.append((frozenset({message_id}), outcome))


class Batch:
    """``source_bucket`` is the only bucket this stack replicates from. What ``peers`` wrote there, unique ids
    of the roles of stacks that replicate to it, are replicas."""

    def __init__(
        self,
        engine: Engine,
        configurations: Configurations,
        source_bucket: str,
        lane: Lane,
        peers: frozenset[str] = frozenset(),
    ) -> None:
        self._engine = engine
        self._configurations = configurations
        self._source_bucket = source_bucket
        self._lane = lane
        self._peers = peers
        self._router = Router.of(engine, peers)
        self._envelopes = Envelopes(engine)
        self._replica_changes = ReplicaChanges(engine)

    def process(
        self,
        messages: Sequence[Message],
        deadline: float,
        job: JobAsks | None = None,
        above: str | None = None,
    ) -> BatchResult:
        """Deal with every record of every message. ``deadline``: seconds since the epoch; ``job``: what asks,
        if no event does; ``above``, as of a ``Work``, if all are of one key."""
        tally = _Tally()
        for message in messages:
            try:
                intake = parse_body(message.body)
            except UnreadableEvent as failure:
                outcome = park_as_it_came(self._engine, message.body, failure)
                tally.of_message(message.id, outcome)
            else:
                self._admit(message.id, intake, tally)
        self._replicate(tally, deadline, job, above)
        return self._sum_up(messages, tally)

    def process_event(self, event: object, deadline: float) -> BatchResult:
        """A bare S3 event, as S3 itself or ``sam local invoke`` delivers it.

        Raises ``UnreadableEvent``: whoever invoked us shall hear of it.
        """
        tally = _Tally()
        self._admit("event", parse_event(event), tally)
        self._replicate(tally, deadline)
        return self._sum_up([Message("event", "")], tally)

    # -- from messages to changes

    def _admit(self, message_id: str, intake: Intake, tally: _Tally) -> None:
        for record, failure in intake.unreadable:
            parked = park_as_it_came(self._engine, {"Records": [record]}, failure)
            tally.of_message(message_id, parked)
        for change in intake.changes:
            problem = self._unacceptable(change)
            if problem is not None:
                body = {"Records": [change.record]}
                tally.of_message(message_id, park_as_it_came(self._engine, body, problem))
            elif change.kind is not ChangeKind.OTHER and not self._is_peers_alone(change):
                tally.messages[change].add(message_id)

    def _is_peers_alone(self, change: Change) -> bool:
        """What a peer does to its own replicas. The replicas themselves are looked at, and counted."""
        return change.is_by(self._peers) and writer_of(change, self._peers) is not Writer.PEER

    def _unacceptable(self, change: Change) -> TerminalError | None:
        if change.bucket != self._source_bucket:
            return TerminalError(
                Reason.WRONG_SOURCE,
                f"the record is of bucket {change.bucket!r}; this stack replicates from"
                f" {self._source_bucket!r}",
            )
        return None

    # -- from changes to outcomes

    def _replicate(
        self, tally: _Tally, deadline: float, job: JobAsks | None = None, above: str | None = None
    ) -> None:
        changes = list(tally.messages)
        if not changes:
            return
        try:
            configuration = self._configurations.current()
        except RetryableError as failure:
            for change in changes:
                tally.of_change(change, _deferred(change, failure.reason, failure.detail))
            return
        # The lease of a place serialises it, and is asked for on behalf of one source key: other keys that
        # come to the place follow, one after the other, as they would only find it held.
        places: dict[LedgerKey, dict[str, list[Work]]] = defaultdict(lambda: defaultdict(list))
        routed = self._engine.parallel.map(
            lambda change: self._route(change, configuration, deadline, job), changes
        )
        for change, works in zip(changes, routed, strict=True):
            if not works:
                tally.of_change(change, _about(change, Result.NOT_SELECTED))
            for work in works:
                if isinstance(work, Outcome):
                    tally.of_change(change, work)
                    continue
                # A null version has got the name of what is there now.
                tally.messages[work.change] |= tally.messages[change]
                placed = work if above is None else replace(work, above=above)
                places[work.key][work.source_key].append(placed)
        results = self._engine.parallel.map(
            lambda groups: self._run_place(list(groups.values()), configuration, deadline), places.values()
        )
        for place in results:
            for work, outcome in place:
                tally.of_change(work.change, outcome)

    def _run_place(
        self, groups: Sequence[Sequence[Work]], configuration: Configuration, deadline: float
    ) -> list[tuple[Work, Outcome]]:
        return [
            done for works in groups for done in self._run(sorted(works, key=_age), configuration, deadline)
        ]

    def _route(
        self, change: Change, configuration: Configuration, deadline: float, job: JobAsks | None
    ) -> Sequence[Work | Outcome]:
        try:
            change = self._envelopes.proven(change, configuration)
            followed = self._replica_changes.follow(change, configuration, deadline)
            if followed is not None:
                return [followed]
            routed = self._router.route(change, configuration, job)
            wanted = self._envelopes.without_unknown(routed)
            if routed and not wanted:
                return [_about(change, Result.NOT_SELECTED, Reason.RULE_GONE)]
            works: list[Work] = []
            seen: list[Outcome] = []
            for work in wanted:
                if isinstance(work.failure, PassedOver) and not self._is_kept(work):
                    left = self._left_behind(work, work.failure)
                    works += [left] if left is not None else []
                    if left is None or left.change.kind is ChangeKind.SETTLE:
                        seen.append(passed_over(work, work.failure))
                else:
                    works.append(self._within_stack(work))
            if seen and not works:
                return seen
            return [*seen, *or_ended(self._engine, change, works, configuration)]
        except RetryableError as failure:
            return [_deferred(change, failure.reason, failure.detail)]
        except ReplicationError as failure:
            # The ledger takes no such name, now or later.
            return [park_as_it_came(self._engine, {"Records": [change.record]}, failure)]
        # One change's surprise must not give back the messages of all others.
        except Exception:
            return [_deferred(change, Reason.UNEXPECTED, traceback.format_exc(limit=-3))]

    def _left_behind(self, work: Work, failure: PassedOver) -> Work | None:
        """What is to be done about an earlier try of what is passed over, if there was one. It may have been
        decided otherwise: its original was there still, or another null version, or it could not be read.
        What a peer's event says never changes."""
        if failure.expected or work.change.follows:
            return None
        head = self._engine.ledger.head(work.key)
        if head is None or not head.is_of(work.source_key):
            return None
        row = head.rows.get(work.version_id)
        if row is None and head.spilled:
            row = self._engine.ledger.row(work.key, work.source_key, work.version_id)
        if row is not None and not row.final:
            return self._within_stack(work)
        return None if head.clean else work.only_settling()

    def _is_kept(self, work: Work) -> bool:
        """A replica that nobody asks for gets no row. One that was sent round ends in its own, and what
        changes about a version that may be none is remembered."""
        change, ledger = work.change, self._engine.ledger
        if change.destination is None:
            return change.follows and work.may_come
        return ledger.peek(work.key, work.source_key, work.version_id) is not None

    def _within_stack(self, work: Work) -> Work:
        try:
            self._engine.destination(work.destination)
        except TerminalError as failure:
            return replace(work, failure=failure)
        return work

    def _run(
        self, works: Sequence[Work], configuration: Configuration, deadline: float
    ) -> Iterable[tuple[Work, Outcome]]:
        try:
            return self._lane(works, configuration, deadline)
        except LeaseLost:
            return [(work, busy(work)) for work in works]
        except TerminalError as failure:
            # The ledger itself refuses: there is no row, the parked message alone says so.
            rows = [failed_row(self._engine, work, None, failure) for work in works]
            return [(work, park(self._engine, work, row)) for work, row in zip(works, rows, strict=True)]
        except ReplicationError as failure:
            told: tuple[Reason, str] = (failure.reason, failure.detail)
        # Nor must one key's.
        except Exception:
            told = (Reason.UNEXPECTED, traceback.format_exc(limit=-3))
        reason, detail = told
        return [(work, work.outcome(Result.DEFERRED, reason=reason, detail=detail)) for work in works]

    # -- from outcomes to messages

    def _sum_up(self, messages: Iterable[Message], tally: _Tally) -> BatchResult:
        result = BatchResult([outcome for _, outcome in tally.outcomes])
        result.unversioned = sum(_is_unversioned(change) for change in tally.messages)
        deferred: dict[str, list[Outcome]] = defaultdict(list)
        for ids, outcome in tally.outcomes:
            for message_id in ids if outcome.result is Result.DEFERRED else ():
                deferred[message_id].append(outcome)
        for message in messages:
            if message.id in deferred:
                result.returned[message.id] = self._delay(message, deferred[message.id])
        return result

    def _delay(self, message: Message, deferred: Iterable[Outcome]) -> float:
        """A busy key is free again soon; an outage takes longer, the longer it has lasted."""
        timing, dice = self._engine.timing, self._engine.dice
        if all(outcome.busy for outcome in deferred):
            return timing.defer * (0.5 + dice.random() / 2)
        return timing.retry.delay(message.received, dice.random())


def _age(work: Work) -> tuple[bool, str, float]:
    """Oldest first. Without a sequencer (a replayed event) there is only its time."""
    sequencer = work.change.sequencer
    return (sequencer is None, sequencer_rank(sequencer or ""), work.change.event_time)


def _is_unversioned(change: Change) -> bool:
    """Whether S3 itself tells of a write that made no version: letters of ours name null versions."""
    written = change.kind in (ChangeKind.CREATED, ChangeKind.MARKED)
    return written and change.version_id == NULL and change.destination is None


def _about(change: Change, result: Result, reason: Reason | None = None) -> Outcome:
    return Outcome(
        result,
        key=change.key,
        version_id=change.version_id,
        destination=change.destination,
        reason=reason,
    )


def _deferred(change: Change, reason: Reason, detail: str) -> Outcome:
    return replace(_about(change, Result.DEFERRED), reason=reason, detail=detail)
