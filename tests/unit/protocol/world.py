"""A source, a destination, the ledger, the queues and the functions' use cases, in the hands of a test.

Whatever happens is checked at once, as far as it can be: nothing is published unannounced, nothing changed
without the lease, nothing foreign removed, no final row reopened.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from typing import Any, Final

from s3replicator.decisions.backoff import RetryPolicy
from s3replicator.decisions.configuration import (
    Configuration,
    Destination,
    Filter,
    KeyTransform,
    LateVersions,
    Rule,
)
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import LedgerKey, Row, Status
from s3replicator.decisions.outcome import Result
from s3replicator.decisions.stamp import METADATA_LIMIT, Stamp
from s3replicator.decisions.versions import Grant, Kind, Tag, is_null
from s3replicator.usecases import lanes
from s3replicator.usecases.batch import Batch, BatchResult, Message
from s3replicator.usecases.by_hand import ByHand, Report, Request
from s3replicator.usecases.engine import Engine, Timing
from s3replicator.usecases.lanes import Lane
from s3replicator.usecases.sweep import Sweep
from tests.unit.protocol.invariants import MAKING, Past, Quiet
from tests.unit.protocol.memory_bucket import LIFECYCLE, OWNER, MemoryBucket, UploadOrder, Version
from tests.unit.protocol.memory_ledger import MemoryLedger
from tests.unit.protocol.memory_queues import Letter, MemoryQueues, Queue
from tests.unit.protocol.memory_s3 import MemoryDestination, MemoryS3, MemorySource
from tests.unit.protocol.runtime import CountingDice, ManualClock, OneByOne, SkewedClock
from tests.unit.protocol.scheduler import Call, Event, Fate, Port, Scheduler, Worker, Zombie
from tests.unit.protocol.telling import short

SOURCE: Final = "source-bucket"
REPLICA: Final = "destination-bucket"
THIRD: Final = "third-bucket"

#: The name of user metadata that leaves no room for more.
CROWD: Final = "everything"

#: As the template has them, but fewer attempts: what is given up shall be seen, too.
_GRACE: Final = 300.0
_DEFER: Final = 5.0
_RETRY: Final = RetryPolicy(base=60, maximum=3600, attempts=4)
#: Kept for a function's answer.
_RESERVE: Final = 2.0

#: What a worker asks for between its last look and a removal.
_REMOVING: Final = frozenset({"allow_copy_delete", "allow_version_delete", "write", "remove"})

_CHANGING: Final = frozenset(
    {"remove", "put_tags", "put_acl", "put_lock", "put_annotation", "remove_annotation"}
)


class Topology(StrEnum):
    """Which stacks there are."""

    ONE = auto()
    TWO_WAY = auto()
    CHAIN = auto()
    RING = auto()
    #: The second stack is there once the source of the first is lost. It goes on to a third bucket, or back.
    FAILOVER = auto()
    FAILBACK = auto()

    def __repr__(self) -> str:
        return f"Topology.{self.name}"

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """Which bucket is replicated to which, by a stack each."""
        return _PAIRS[self]

    @property
    def fails_over(self) -> bool:
        return self in (Topology.FAILOVER, Topology.FAILBACK)


_PAIRS: Final = {
    Topology.ONE: ((SOURCE, REPLICA),),
    Topology.TWO_WAY: ((SOURCE, REPLICA), (REPLICA, SOURCE)),
    Topology.CHAIN: ((SOURCE, REPLICA), (REPLICA, THIRD)),
    Topology.RING: ((SOURCE, REPLICA), (REPLICA, THIRD), (THIRD, SOURCE)),
    Topology.FAILOVER: ((SOURCE, REPLICA), (REPLICA, THIRD)),
    Topology.FAILBACK: ((SOURCE, REPLICA), (REPLICA, SOURCE)),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The rule in force, and what kind of destination it is for. ``most_deletes``: of versions, in an hour;
    None if the rule does not replicate them."""

    markers: bool = True
    most_deletes: int | None = None
    late: LateVersions = LateVersions.REPLAY
    order: UploadOrder = UploadOrder.INITIATION
    locked: bool = False
    #: What the keys of replicas begin with, before those of their sources; and what another rule takes away
    #: from the beginning of keys first, so that two keys may come to one place.
    added: str = ""
    stripped: str = ""
    #: Whether what is tagged later is replicated then; the rule asks for no tags here, so any will do.
    tag_later: bool = False
    #: By how much the clocks of workers are ahead of S3's, and how long calls take, in seconds: of one after
    #: the other, again and again.
    skews: tuple[float, ...] = ()
    takes: tuple[float, ...] = ()
    #: Whether every page of a listing is a call of its own.
    paged: bool = False
    topology: Topology = Topology.ONE
    #: Whether stacks know each other as peers.
    declared: bool = False

    @property
    def circling(self) -> bool:
        """Whether delete markers could go round: nothing tells whose one is where stacks do not know each
        other."""
        return not (self.topology is Topology.ONE or self.topology.fails_over or self.declared)

    def configuration(self, replica: str = REPLICA) -> Configuration:
        rule = Rule(
            "rule",
            1,
            enabled=True,
            filter=Filter(),
            delete_markers=self.markers,
            destination=Destination(replica),
            late_versions=self.late,
            version_deletes=self.most_deletes,
            transform=KeyTransform(add=self.added),
            tag_later=self.tag_later,
        )
        if not self.stripped:
            return Configuration((rule,))
        strips = replace(
            rule,
            id="strips",
            priority=2,
            filter=Filter(prefix=self.stripped),
            transform=KeyTransform(self.stripped, self.added),
        )
        return Configuration((rule, strips))

    def place(self, key: str, replica: str = REPLICA) -> LedgerKey:
        return LedgerKey(replica, self.added + (key.removeprefix(self.stripped) if self.stripped else key))


@dataclass(frozen=True, slots=True)
class _Function:
    """``seconds`` it may run, and how long it waits for the answer to a visible write, as in template.yaml
    and the wiring."""

    seconds: float
    publish: float
    lane: Callable[[Engine], Lane]


_FUNCTIONS: Final = {
    Queue.INGEST: _Function(60, 25, lanes.replicate),
    Queue.LARGE: _Function(900, 240, lanes.replicate_large),
    Queue.DEAD_LETTER: _Function(300, 60, lanes.retry),
}


@dataclass(slots=True)
class _Job:
    """A worker's messages, or what an operator asked of it, and when its function's time is up; ``lost`` are
    versions whose replicas were missing when it began."""

    queue: Queue | None
    letters: list[Letter]
    ends: float
    asked: Request | None = None
    lost: frozenset[str] = frozenset()


class Violation(AssertionError):
    """The protocol has been broken; the trace says how."""


@dataclass(slots=True)
class _Rules:
    configuration: Configuration

    def current(self) -> Configuration:
        return self.configuration


@dataclass(slots=True)
class Site:
    """What all stacks of a test share: time, S3, and what has happened. ``count`` numbers bodies and workers
    alike."""

    s3: MemoryS3
    clock: ManualClock
    trace: list[Event] = field(default_factory=list)
    stacks: "list[World]" = field(default_factory=list)
    count: int = 0

    @classmethod
    def of(cls, terms: Terms) -> "Site":
        clock = ManualClock()
        names = dict.fromkeys(name for pair in terms.topology.pairs for name in pair)
        alone = terms.topology is Topology.ONE
        order = terms.order if alone else UploadOrder.INITIATION
        return cls(MemoryS3.with_buckets(clock, *names, order=order), clock)


@dataclass(frozen=True, slots=True)
class Part:
    """What one stack does: ``source`` and ``replica`` are the names of its buckets, ``role`` is the unique id
    of its workers' role, and ``peers`` are those of stacks that it knows to replicate to its source."""

    source: str = SOURCE
    replica: str = REPLICA
    role: str = "AROAEXAMPLEROLE"
    peers: frozenset[str] = frozenset()

    @property
    def principal(self) -> str:
        """As in a record's ``userIdentity``."""
        return f"AWS:{self.role}:worker"


class World:
    """One stack, and what users and others do to its buckets."""

    def __init__(self, terms: Terms, site: Site | None = None, part: Part = Part()) -> None:
        source, replica = part.source, part.replica
        self.terms = terms
        self.site = site or Site.of(terms)
        self.site.stacks.append(self)
        self.clock = self.site.clock
        self.queues = MemoryQueues()
        self.s3 = self.site.s3
        self.peers = part.peers
        self.source: MemoryBucket = self.s3.buckets[source]
        self.source.hear(self._hear)
        self.replica: MemoryBucket = self.s3.buckets[replica]
        self.replica.locked = terms.locked
        self.ledger = MemoryLedger(self._watch)
        self.scheduler = Scheduler(self._check, trace=self.site.trace)
        #: By key and name: every source version there has ever been.
        self.past: dict[str, dict[str, Past]] = defaultdict(dict)
        #: Keys at the destination where somebody else has been at work, and what they did.
        self.foreign: dict[str, set[str]] = defaultdict(set)
        #: What others removed while a worker that had looked at it was about to remove something.
        self.removed_meanwhile: set[str] = set()
        #: By key: what others removed and an operator has asked for since.
        self.restored: dict[str, set[str]] = defaultdict(set)
        #: Keys that an operator has had purged by hand.
        self.purged: set[str] = set()
        self.faults = 0
        self._rules = _Rules(terms.configuration(replica))
        self._jobs: dict[Worker, _Job] = {}
        self._unanswered: list[Request] = []
        #: The source version that a message from S3 is about.
        self._about: dict[str, str] = {}
        port = self.scheduler.port
        self._source = port(Port.SOURCE, MemorySource(self.s3), paged=terms.paged)
        destination = MemoryDestination(self.s3, replica, self._intended, part.principal)
        self._destinations = {replica: port(Port.DESTINATION, destination, replica, paged=terms.paged)}
        self._ledger = port(Port.LEDGER, self.ledger)
        self._outbox = port(Port.OUTBOX, self.queues)

    # -- what users do at the source

    def put(self, key: str, size: int = 1, *, crowded: bool = False) -> None:
        """``crowded``: with so much metadata that nothing can be added."""
        metadata = {CROWD: "x" * (METADATA_LIMIT - 20)} if crowded else {}
        self._done(f"put {key}", self.source.put, key, self._body(), size=size, metadata=metadata)

    def begin(self, key: str, size: int = 2) -> str:
        upload_id = self.source.begin(key, self._body(), size=size)
        self.scheduler.note(f"source: begin {key}: {upload_id}")
        return upload_id

    def end(self, upload_id: str) -> None:
        self._done(f"end {upload_id}", self.source.end, upload_id)

    def mark(self, key: str) -> None:
        self._done(f"mark {key}", self.source.mark, key)

    def purge(self, key: str, version_id: str) -> None:
        self._done(f"purge {version_id} of {key}", self.source.purge, key, version_id)

    def expire(self, key: str, version_id: str) -> None:
        """A lifecycle rule deletes a version."""
        self.scheduler.note(f"source: expire {version_id} of {key}")
        self.source.purge(key, version_id, by=LIFECYCLE)

    def tag(self, key: str, version_id: str, colour: str) -> None:
        self._done(f"tag {version_id} {colour}", self.source.tag, key, version_id, {Tag("colour", colour)})

    def grant(self, key: str, version_id: str, grantee: str) -> None:
        grants = {OWNER, Grant("READ", f'id="{grantee}"')}
        self._done(f"grant {version_id} {grantee}", self.source.grant, key, version_id, grants)

    def annotate(self, key: str, version_id: str, colour: str) -> None:
        """With what it has not: so some are added, some are changed, and some are taken away."""
        version = self.source.find(key, version_id)
        held = version.contents.annotations if version and version.contents else {}
        annotations = {} if colour in held else {colour: b"text", "count": b"x" * (1 + len(held))}
        self._done(f"annotate {version_id} {colour}", self.source.annotate, key, version_id, annotations)

    def switch(self, versioning: bool) -> None:
        """Enable versioning, or suspend it."""
        self.scheduler.note(f"source: versioning {'enabled' if versioning else 'suspended'}")
        if versioning:
            self.source.enable()
        else:
            self.source.suspend()

    def _body(self) -> str:
        self.site.count += 1
        return f"body {self.site.count}"

    def _done(self, what: str, act: Callable[..., object], *arguments: Any, **keywords: Any) -> None:
        made = act(*arguments, **keywords)
        self.scheduler.note(f"source: {what}" + (f": {made}" if made else ""))

    def _hear(self, record: Mapping[str, Any], version: Version) -> None:
        """S3 tells; and what it tells of has now been seen at the source."""
        key, past = record["s3"]["object"]["key"], self.past[record["s3"]["object"]["key"]]
        contents, event = version.contents, record["eventName"]
        known = past.get(version.name)
        if known is None:
            past[version.name] = Past(
                version.kind,
                version.place,
                version.last_modified,
                contents.body if contents else None,
                crowded=bool(contents and CROWD in contents.metadata),
                by_stack=version.truth.ours,
                stamped=bool(contents and Stamp.read(contents.metadata)),
                copied=version.truth.copied,
            )
        elif event.startswith(MAKING):
            known.place, known.twice = version.place, True
        if event == "ObjectRemoved:Delete":
            past[version.name].deleted = self.clock.now()
        letter = self.queues.send(Queue.INGEST, {"Records": [record]})
        self._about[letter.id] = version.name
        listed = {one.name for one in self.source.versions(key)}
        for name, one in past.items():
            if name not in listed and one.deleted is None:
                # Expired, or a null version that another one has replaced.
                one.expired = True

    # -- what others do at the destination

    def put_foreign(self, key: str) -> None:
        self.foreign[key].add("put")
        self.scheduler.note(f"foreign: put {key}: {self.replica.put(self.place(key).key, 'foreign')}")

    def mark_foreign(self, key: str) -> None:
        self.foreign[key].add("mark")
        self.scheduler.note(f"foreign: mark {key}: {self.replica.mark(self.place(key).key)}")

    def copy_foreign(self, key: str, version_id: str) -> None:
        self.foreign[key].add("copy")
        made = self.replica.copy_in_place(self.place(key).key, version_id)
        self.scheduler.note(f"foreign: copy {version_id} of {key} in place: {made}")

    def remove_foreign(self, key: str, version_id: str) -> None:
        self.foreign[key].add("remove")
        self.scheduler.note(f"foreign: remove {version_id} of {key}")
        removed = self.replica.find(self.place(key).key, version_id)
        assert removed is not None
        self.restored[key].discard(removed.truth.source or "")
        if any(worker.call and worker.call.name in _REMOVING for worker in self.scheduler.workers):
            self.removed_meanwhile.add(version_id)
        self.replica.purge(self.place(key).key, version_id)

    # -- messages

    def duplicate(self, queue: Queue, letter: Letter) -> None:
        again = self.queues.send(queue, letter.body)
        if letter.id in self._about:
            self._about[again.id] = self._about[letter.id]
        self.scheduler.note(f"{letter.id} is delivered twice")

    def lose(self, letter: Letter) -> None:
        """S3's notification never arrives."""
        [record] = json.loads(letter.body)["Records"]
        self.queues.delete(Queue.INGEST, letter)
        # What is being worked on may have been read before this happened.
        copies = [other.body for other in self.queues.waiting(Queue.INGEST)]
        name = self._about[letter.id]
        if letter.body not in copies:
            self.past[record["s3"]["object"]["key"]][name].unheard.add(record["eventName"])
        self.scheduler.note(f"{letter.id} is lost: {record['eventName']} of {name}")

    # -- workers

    def take(self, queue: Queue, letters: Sequence[Letter]) -> Worker:
        """A worker of the function that reads this queue gets a batch of messages."""
        function = _FUNCTIONS[queue]
        name = self._name()
        for letter in letters:
            self.queues.take(letter)
        messages = [Message(letter.id, letter.body, letter.received) for letter in letters]
        engine = self._engine(name, function.publish)
        batch = Batch(engine, self._rules, self.source.name, function.lane(engine), self.peers)
        self.scheduler.note(f"{name} of {queue} takes {', '.join(map(_told, letters))}")
        return self._start(
            name,
            lambda until: batch.process(messages, until),
            function.seconds,
            queue=queue,
            letters=list(letters),
        )

    def sweep(self) -> Worker:
        name = self._name()
        sweep = Sweep(self._ledger, self._outbox, self.clock)
        self.scheduler.note(f"{name} sweeps")
        return self._start(name, lambda until: sweep.run([self.replica.name], until), 300)

    def settle(self, key: str, *, restore_lost: bool = False, purge: bool = False) -> Worker:
        """An operator has a key settled."""
        return self._settle(Request(self.source.name, key, restore_lost=restore_lost, purge=purge))

    def _settle(self, request: Request) -> Worker:
        name = self._name()
        by_hand = ByHand(self._engine(name, 60), self._rules, self.source.name, self.peers)
        if request.purge:
            self.purged.add(request.key)
        how = " purging" * request.purge + " restoring" * request.restore_lost
        self.scheduler.note(f"{name} settles {request.key} by hand{how}")
        return self._start(name, lambda until: by_hand.settle(request, until), 300, asked=request)

    def reconcile(self, key: str) -> Report:
        """Have a key settled, and wait for the answer."""
        worker = self.settle(key)
        self.finish(worker)
        assert isinstance(worker.answer, Report), f"settling {key} by hand failed: {worker.failure}"
        return worker.answer

    def _name(self) -> str:
        self.site.count += 1
        return f"w{self.site.count}"

    def place(self, key: str) -> LedgerKey:
        """Where replicas of a key of the source lie."""
        return self.terms.place(key, self.replica.name)

    def _engine(self, name: str, publish: float) -> Engine:
        return Engine(
            source=self._source,
            destinations=self._destinations,
            ledger=self._ledger,
            outbox=self._outbox,
            clock=SkewedClock(self.clock, self.ahead(name)) if self.terms.skews else self.clock,
            dice=CountingDice(name),
            parallel=OneByOne(),
            timing=Timing(_GRACE, publish, _DEFER, _RETRY),
        )

    def ahead(self, name: str) -> float:
        """By how many seconds the clock of a worker is ahead of S3's."""
        skews = self.terms.skews
        return skews[int(name[1:]) % len(skews)] if skews else 0.0

    def _start(
        self,
        name: str,
        job: Callable[[float], object],
        seconds: float,
        *,
        queue: Queue | None = None,
        letters: list[Letter] | None = None,
        asked: Request | None = None,
    ) -> Worker:
        ends = self.clock.now() + seconds
        until = ends - _RESERVE + self.ahead(name)
        worker = self.scheduler.start(name, lambda: job(until))
        lost = self._lost(asked.key) if asked is not None and asked.restore_lost else frozenset()
        self._jobs[worker] = _Job(queue, letters or [], ends, asked, lost)
        self._look_after(worker)
        return worker

    def step(self, worker: Worker, fate: Fate = Fate.DONE) -> None:
        if fate is Fate.DIES_AMID and worker.call is not None and worker.call.name in ("lease", "take_over"):
            # It would be over long before the worker's messages come again.
            fate = Fate.DIES_AFTER
        self.faults += fate is not Fate.DONE
        self.scheduler.step(worker, fate)
        self._look_after(worker)

    def go_on(self, worker: Worker, steps: int) -> None:
        """So many calls, or as many as there are."""
        while worker.call is not None and steps > 0:
            self.step(worker)
            steps -= 1

    def finish(self, worker: Worker) -> None:
        while worker.call is not None:
            self.step(worker)

    def land(self, zombie: Zombie) -> None:
        self.scheduler.land(zombie)

    def _look_after(self, worker: Worker) -> None:
        """Messages of a worker that has ended: done with, or to come again."""
        if worker.call is not None:
            return
        job = self._jobs.pop(worker)
        if worker.killed or worker.failure is not None:
            again = [letter.id for letter in job.letters]
        else:
            again = list(self._returned(worker))
        for letter in job.letters:
            assert job.queue is not None
            if letter.id in again:
                self.queues.give_back(letter)
            else:
                self.queues.delete(job.queue, letter)
        if job.asked is not None:
            if _is_answer(worker.answer, job.asked):
                self.restored[job.asked.key] |= job.lost
            else:
                self._unanswered.append(job.asked)
        if not worker.killed:
            self.scheduler.note(f"{worker.name} {_ending(worker)}{'; again' if again else ''}")

    def replicas(self, key: str) -> list[Version]:
        """What lies where the replicas of a key of the source do, newest first."""
        return self.replica.versions(self.place(key).key)

    def _lost(self, key: str) -> frozenset[str]:
        """Versions whose replicas others have removed, recorded or not."""
        there = {one.version_id for one in self.replicas(key)}
        rows = self.ledger.history(self.place(key))[1]
        return frozenset(
            vid for vid, row in rows.items() if row.lost or (row.live and row.replica not in there)
        )

    def _returned(self, worker: Worker) -> Iterable[str]:
        answer = worker.answer
        for outcome in getattr(answer, "outcomes", []):
            if outcome.reason == Reason.UNEXPECTED:
                raise Violation(f"{worker.name} was surprised:\n{outcome.detail}")
        return answer.returned if isinstance(answer, BatchResult) else []

    # -- time

    def wait(self, seconds: float, *, amid: bool = False) -> None:
        """Time passes: functions whose time is up are killed, with or without their last request taking
        effect later, and a request whose sender is dead takes effect before the lease has run out."""
        until = self.clock.now() + seconds
        for stack in self.site.stacks:
            stack.run_out(until, amid=amid)
        self.clock.advance_to(until)
        self.scheduler.note(f"{seconds:g} seconds pass")

    def run_out(self, until: float, *, amid: bool = False) -> None:
        """What of this stack does not last until then."""
        for worker in list(self.scheduler.workers):
            if self._jobs[worker].ends <= until:
                self.step(worker, Fate.DIES_AMID if amid else Fate.DIES_BEFORE)
        for zombie in list(self.scheduler.zombies):
            if self._must_land_by(zombie) <= until:
                self.land(zombie)

    def _must_land_by(self, zombie: Zombie) -> float:
        key = zombie.call.key
        lease = self.ledger.holder(key) if key is not None else None
        # Whose clock is ahead sees it expire before.
        return lease.expires - max(self.terms.skews, default=0.0) if lease is not None else float("inf")

    # -- rest

    def run_dry(self) -> None:
        """No more faults, and time enough: everything that waits is worked on."""
        for zombie in list(self.scheduler.zombies):
            self.land(zombie)
        for worker in list(self.scheduler.workers):
            self.finish(worker)
        self.wait(1300)
        for _ in range(100):
            busy = self._work_once()
            if not busy and self._nothing_due() and not self._unpark() and not self._ask_again():
                return
            self.ledger.close_breaker(self.replica.name)
            # As long as the longest lease: a message that waits for a dead worker's comes again and again.
            self.wait(1300)
            self.finish(self.sweep())
        raise Violation("it does not come to rest")

    def _work_once(self) -> bool:
        waiting = [(queue, letter) for queue in _FUNCTIONS for letter in self.queues.waiting(queue)]
        for queue, letter in waiting:
            self.finish(self.take(queue, [letter]))
        return bool(waiting)

    def _nothing_due(self) -> bool:
        waiting = any(self.queues.letters[queue] for queue in _FUNCTIONS)
        return not waiting and not any(self.ledger.due(self.replica.name, self.clock.now() + 1e6))

    def _unpark(self) -> bool:
        """The operator sends what is parked to the ingest queue."""
        parked = list(self.queues.letters[Queue.PARKED])
        for letter in parked:
            self.queues.delete(Queue.PARKED, letter)
            self.queues.send(Queue.INGEST, letter.body)
        return bool(parked)

    def quiet(self, key: str, *, reconciled: bool) -> Quiet:
        head, rows = self.ledger.history(self.place(key))
        return Quiet(
            source=self.source.versions(key),
            destination=self.replicas(key),
            uploads=sum(upload.key == self.place(key).key for upload in self.replica.uploads.values()),
            head=head,
            rows=rows,
            past=self.past[key],
            foreign=frozenset(self.foreign[key]),
            restored=frozenset(self.restored[key]),
            markers=self.terms.markers,
            version_deletes=self.terms.most_deletes is not None,
            late=self.terms.late,
            reconciled=reconciled,
            tidy=not self.faults,
            now=self.clock.now(),
        )

    def _ask_again(self) -> bool:
        """An operator who got no answer repeats the question, and so does one who hears that not everything
        could be recorded or sent, or that what was to be restored failed."""
        asked, self._unanswered = self._unanswered, []
        for request in asked:
            self.finish(self._settle(request))
        return bool(asked)

    def close(self) -> None:
        self.scheduler.close()

    # -- what must be so at every moment

    def _intended(self, key: str) -> str | None:
        intent = self.ledger.open_intent(LedgerKey(self.replica.name, key))
        return intent.version_id if intent else None

    def _check(self, worker: Worker, call: Call) -> None:
        key = call.key
        if key is None or not (call.publishes or call.name in _CHANGING):
            return
        lease = self.ledger.holder(key)
        now = self.clock.now() + self.ahead(worker.name)
        if lease is None or not lease.token.startswith(f"{worker.name}-") or lease.expires < now:
            raise Violation(f"{worker.name} changes {key} without holding its lease: {call.name}")
        if call.publishes:
            self._is_announced(key, call)
        if call.name == "remove":
            self._may_go(key, call.arguments[1])

    def _is_announced(self, key: LedgerKey, call: Call) -> None:
        intent = self.ledger.open_intent(key)
        if intent is None:
            raise Violation(f"{call.name} of {key} is not announced")
        if call.name == "put_marker":
            if intent.kind is not Kind.MARKER:
                raise Violation(f"a marker is written, and {intent} is announced")
            return
        metadata = (
            call.arguments[2].arguments.get("Metadata", {})
            if call.name == "copy"
            else self.replica.uploads[call.arguments[1]].contents.metadata
            if call.arguments[1] in self.replica.uploads
            else {}
        )
        stamp = Stamp.read(metadata)
        if stamp is not None and (stamp.nonce, stamp.version_id) != (intent.nonce, intent.version_id):
            raise Violation(f"{stamp} is published, and {intent} is announced")

    def _may_go(self, key: LedgerKey, replica: str) -> None:
        """What is removed is in the ledger: superseded, or of a version that somebody deleted."""
        for version_id, row in self.ledger.history(key)[1].items():
            if replica in row.left:
                return
            if replica == row.replica:
                if row.purged and self._may_be_purged(key.key.removeprefix(self.terms.added), version_id):
                    return
                raise Violation(f"{replica} is removed, the only replica of {version_id}: {short(row)}")
        raise Violation(f"{replica} of {key} is removed, and the ledger does not know it")

    def _is_long_gone(self, key: LedgerKey, name: str) -> bool:
        """Whether nobody at work can have seen the version in a list."""
        past = self.past[key.key.removeprefix(self.terms.added)].get(name)
        longest = max(function.seconds for function in _FUNCTIONS.values())
        if past is None or past.deleted is None or past.twice:
            return False
        return self.clock.now() - past.deleted > longest

    def _may_be_purged(self, key: str, name: str) -> bool:
        """Whether somebody deleted the version, or an operator wants those gone that S3 no longer lists."""
        if self.terms.most_deletes is None or any(one.name == name for one in self.source.versions(key)):
            return False
        deleted = {one for one, past in self.past[key].items() if past.deleted is not None}
        # A delete of the null version does not say which one it meant.
        return key in self.purged or name in deleted or (is_null(name) and any(map(is_null, deleted)))

    def _watch(self, key: LedgerKey, version_id: str, before: Row | None, after: Row | None) -> None:
        if before is None:
            return
        if after is None:
            raise Violation(f"the row of {version_id} of {key} is gone; it was {before}")
        allowed = set(Status)
        if before.status is Status.COMPLETED:
            allowed = {Status.COMPLETED, Status.TOMBSTONE}
            if before.doubt:
                # It may have been anybody's.
                allowed.add(Status.NOT_ELIGIBLE)
        elif before.status is Status.TOMBSTONE and self._is_long_gone(key, version_id):
            allowed = {Status.TOMBSTONE}
        if after.status not in allowed:
            raise Violation(f"the row of {version_id} of {key} went from {before} to {after}")


def _is_answer(answer: object, asked: Request) -> bool:
    if not isinstance(answer, Report) or answer.busy:
        return False
    reasons = {outcome.reason for outcome in answer.outcomes if outcome.version_id is None}
    unrecorded = reasons & {Reason.LEDGER_UNAVAILABLE, Reason.QUEUE_UNAVAILABLE}
    unsent = any(outcome.result is Result.DEFERRED for outcome in answer.outcomes)
    # Who hears that another key has the place, has been answered.
    failed = reasons - {None, Reason.OUT_OF_ORDER, Reason.KEY_CONFLICT}
    return not (unrecorded or unsent or (failed and asked.restore_lost))


def _ending(worker: Worker) -> str:
    if worker.failure is not None:
        return f"fails: {worker.failure}"
    outcomes = getattr(worker.answer, "outcomes", [])
    told = [f"{one.result} {one.version_id} {one.reason or ''}" for one in outcomes]
    return f"ends: {', '.join(told) or worker.answer}"


def _told(letter: Letter) -> str:
    records = json.loads(letter.body)["Records"]
    return f"{letter.id} " + ", ".join(f"{r['eventName']} {r['s3']['object']['versionId']}" for r in records)
