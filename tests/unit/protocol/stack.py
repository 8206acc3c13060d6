"""A stack of a wider world: its rules change while everything is under way, reads say that something is not
there, requests fail again and again or take long, and others write messages, rows and stamps in its name.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from math import inf
from typing import Any, Final

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.events import ENVELOPE
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.job import JobKind
from s3replicator.decisions.job_report import TaskStatus
from s3replicator.decisions.ledger import LedgerKey, Row, Status, source_name, source_ref
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.removal import SKEW_OF_S3
from s3replicator.decisions.settling import COPIES_AN_HOUR
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, VersionRef, id_for_s3, is_null
from s3replicator.usecases import lanes
from s3replicator.usecases.batch import Batch
from s3replicator.usecases.by_hand import ByHand, Request
from s3replicator.usecases.job_batch import JobBatch
from s3replicator.usecases.reconcile import Reconciler
from tests.unit.protocol import jobs
from tests.unit.protocol.invariants import MAKING, Quiet, problems_of_place
from tests.unit.protocol.memory_bucket import FOREIGN, USER, Version
from tests.unit.protocol.memory_queues import Letter, Queue
from tests.unit.protocol.records import record
from tests.unit.protocol.scheduler import Call, Fate, Worker
from tests.unit.protocol.world import CROWD, Part, Site, Terms, Violation, World

#: How often the operator sends the same round again that is parked.
_PATIENCE: Final = 3

#: How long a function may run, in seconds.
_LONGEST: Final = 900.0

#: How often replicas of a key are copied again in an hour at most, however often a version comes late.
MOST_COPIED_AGAIN: Final = COPIES_AN_HOUR


#: What is drawn into a world that the plain one does not know; see the walks.
class Feature(StrEnum):
    MEETING = "several source keys at one place"
    RULES = "rules change"
    SLOW = "calls take time"
    PAGES = "listings come in pages"
    ABSENCE = "a listed version is said not to be there"
    SKEW = "clocks are apart"
    PEERS = "stacks replicate to each other"
    IN_PLACE = "copies in place"
    JOB = "a job"
    MESSAGE = "a forged message"
    ROW = "a forged row"
    STAMP = "a forged stamp"
    FOLLOWING = "a change of a version that nobody was told of"
    FAILING = "a request fails again and again"
    BURST = "many versions at once"
    FAILOVER = "a source is lost"


class Forgery(StrEnum):
    """What somebody makes up who may only send messages."""

    CREATED = "for another place"
    ELSEWHERE = "for a destination that is none"
    SETTLE = "settle"
    PREPARE = "prepare"
    UPLOAD = "an upload of somebody"
    DELETED = "a version delete"
    MARKED = "an object is a marker"


class Stack(World):
    def __init__(self, terms: Terms, site: Site, part: Part) -> None:
        super().__init__(terms, site, part)
        self.role = part.principal
        self.in_force = terms
        #: Rules that are, or have been, in force.
        self.ever: list[Terms] = [terms]
        #: What has happened of that which the plain world does not know.
        self.seen: Counter[Feature] = Counter()
        #: Reads of a version, by key and name, that are yet to say that it is not there.
        self.hidden: Counter[tuple[str, str]] = Counter()
        #: What becomes of all calls of a name.
        self.failing: dict[str, Fate] = {}
        #: Replicas are to be replicated, too.
        self.onward = False
        #: It does not work any more, or not yet.
        self.down = False
        self._told: dict[LedgerKey, set[str]] = defaultdict(set)
        self._named: dict[str, set[str]] = defaultdict(set)
        self._passed_over: dict[str, set[str]] = defaultdict(set)
        self._forged: set[str] = set()
        self._said_deleted: set[str] = set()
        #: When a null version of a key was last said to be deleted.
        self._null_said_deleted: dict[str, float] = {}
        #: Versions that a made-up message says a user wrote.
        self._said_written: set[str] = set()
        self._copied: dict[LedgerKey, list[float]] = defaultdict(list)
        self._unparked: Counter[str] = Counter()
        self._store = jobs.MemoryJobStore()
        #: By the names of workers: the job and its batch.
        self._batches: dict[str, tuple[str, str]] = {}
        self._undone: list[tuple[str, str]] = []
        self._calls = 0
        self._resting = False

    # -- rules

    @property
    def changed(self) -> bool:
        return len(self.ever) > 1

    def place(self, key: str) -> LedgerKey:
        return self.in_force.place(key, self.replica.name)

    def places(self, key: str) -> list[LedgerKey]:
        """Wherever rules put replicas of the key, or did; the present place first."""
        every = (self.in_force, *self.ever)
        return list(dict.fromkeys(terms.place(key, self.replica.name) for terms in every))

    def known_keys(self) -> list[str]:
        """The source's, as far as anybody has heard of them."""
        return sorted(self.past)

    def reconfigure(self, **changed: Any) -> None:
        self.in_force = replace(self.in_force, **changed)
        self.ever.append(self.in_force)
        self._rules.configuration = self.in_force.configuration(self.replica.name)
        self.seen[Feature.RULES] += 1
        self.scheduler.note(f"rules: {changed}")

    # -- users

    def put_before(self, key: str) -> None:
        """Before there were any rules: nobody is told."""
        known = len(self.queues.letters[Queue.INGEST])
        self.put(key)
        [letter] = self.queues.letters[Queue.INGEST][known:]
        self.lose(letter)

    def copy_at_source(self, key: str, version_id: str) -> None:
        made = self.source.copy_in_place(key, version_id)
        self.seen[Feature.IN_PLACE] += 1
        self.scheduler.note(f"source: copy {version_id} of {key} in place: {made}")

    def store_otherwise(self, key: str, version_id: str) -> None:
        """Somebody changes the storage class of a replica, which takes a copy in place."""
        made = self.replica.copy_in_place(self.place(key).key, version_id, storage_class="STANDARD_IA")
        self.seen[Feature.IN_PLACE] += 1
        self.foreign[key].add("copy")
        self.scheduler.note(f"foreign: copy {version_id} of {key} in place, as STANDARD_IA: {made}")

    def put_stamped(self, key: str) -> None:
        """Somebody writes an object at the source that bears a stamp for its place."""
        stamp = Stamp.of(VersionRef("elsewhere", key, "made up"), "made up", self.source.name, key)
        made = self.source.put(key, self._body(), metadata=stamp.metadata())
        self.seen[Feature.STAMP] += 1
        self.scheduler.note(f"source: put {key} with a stamp for this place: {made}")

    def plant(self, key: str, version: Version, *, size: int) -> None:
        """Somebody writes an object at the destination that bears the stamp of a replica, and holds other
        bytes: with the same ones it would be as good as a replica."""
        place = self.place(key)
        ref = VersionRef(self.source.name, key, version.name)
        stamp = Stamp.of(ref, "made up", place.destination, place.key)
        self.foreign[key].add("put")
        made = self.replica.put(place.key, f"planted {self._body()}", size=size, metadata=stamp.metadata())
        self.seen[Feature.STAMP] += 1
        self.scheduler.note(f"foreign: put {key} with the stamp of a replica of {version.name}: {made}")

    # -- whoever may send messages, or write to the ledger

    def forge(self, forgery: Forgery, key: str, version: Version, other: str, queue: Queue) -> None:
        """A message about this version, and perhaps about the place of another key."""
        event, told = "ObjectCreated:Put", dict[str, Any](destination=self.replica.name)
        place = self.place(key)
        match forgery:
            case Forgery.CREATED:
                told["replicaKey"] = self.place(other).key
            case Forgery.ELSEWHERE:
                told = {"destination": "elsewhere", "replicaKey": key}
            case Forgery.SETTLE:
                told |= {"settle": True, "replicaKey": self.place(other).key}
            case Forgery.PREPARE:
                told |= {"prepare": True, "replicaKey": place.key}
                event = event if version.contents else "ObjectRemoved:DeleteMarkerCreated"
            case Forgery.UPLOAD:
                upload = self._upload_of_another(place)
                told |= {"upload": upload, "replicaKey": place.key}
            case Forgery.DELETED:
                # Once the version has expired nobody can tell this from what S3 says.
                event, told = "ObjectRemoved:Delete", {}
                self._said_deleted.add(version.name)
                if is_null(version.name):
                    self._null_said_deleted[key] = self.clock.now()
            case Forgery.MARKED:
                event, told = "ObjectRemoved:DeleteMarkerCreated", {}
        made = record(
            event,
            self.source.name,
            key,
            version.version_id,
            at=self.clock.now(),
            principal=USER,
            sequencer=None,
        )
        letter = self.queues.send(queue, {"Records": [{**made, ENVELOPE: told} if told else made]})
        if event.startswith(MAKING):
            self._told[place].add(version.name)
            self._said_written.add(version.name)
        self.seen[Feature.MESSAGE] += 1
        self.scheduler.note(f"forged {letter.id} of {key}: {event} of {version.name} {told}")

    def _upload_of_another(self, place: LedgerKey) -> dict[str, Any]:
        """Somebody's own upload at this place."""
        upload_id = self.replica.begin(place.key, "another's")
        return {"id": upload_id, "nonce": "made up", "started": self.clock.now()}

    def forge_left(self, key: str, which: int) -> None:
        """Somebody writes the id of a foreign version into a row: it is to be removed."""
        place = self.place(key)
        foreign = [one for one in self.replica.versions(place.key) if not one.truth.ours]
        head = self.ledger.head(place)
        if not foreign or head is None or not head.rows:
            return
        chosen = foreign[which % len(foreign)]
        made = chosen.version_id
        vid, row = sorted(head.rows.items())[which % len(head.rows)]
        if _bears_out(chosen, vid, row):
            # The limit that is named: who may write both the ledger and the destination is believed.
            return
        if made not in row.ids() and self.ledger.forge(place, vid, replace(row, left=(*row.left, made))):
            self._forged.add(made)
            self.seen[Feature.ROW] += 1
            self.scheduler.note(f"forged row of {vid} of {key}: {made} is left")

    # -- messages

    def _hear(self, record: Mapping[str, Any], version: Version) -> None:
        super()._hear(record, version)
        key = record["s3"]["object"]["key"]
        if any(self._is_asked_for(key, worker) for worker in self._jobs):
            # It may be gone again when that worker ends.
            self._ask_for(key)
        if self.down:
            self.queues.letters[Queue.INGEST].pop()
            self.past[key][version.name].unheard.add(record["eventName"])
        if self._is_by_peer(record):
            self.past[key][version.name].by_peers.add(record["eventName"])
        for stack in self.site.stacks:
            if stack.replica is self.source and isinstance(stack, Stack):
                stack._overhear(record, version)

    def _is_by_peer(self, record: Mapping[str, Any]) -> bool:
        return any(peer in record["userIdentity"]["principalId"] for peer in self.peers)

    def _overhear(self, record: Mapping[str, Any], version: Version) -> None:
        """What happens at the destination, which is a source, too."""
        if record["userIdentity"]["principalId"] == self.role:
            return
        key, event = record["s3"]["object"]["key"], record["eventName"]
        if event.startswith("ObjectCreated:"):
            self.foreign[key].add("copy" if version.truth.copied else "put")
        elif event == "ObjectRemoved:DeleteMarkerCreated":
            self.foreign[key].add("mark")
        elif event.endswith(":Delete") and (version.truth.writer == self.role or self._is_claimed(version)):
            self.foreign[key].add("remove")
            self.restored[key].discard(version.truth.source or "")

    def _is_claimed(self, version: Version) -> bool:
        """Whether another stack's is taken for a replica, in doubt."""
        places = {place for key in self.known_keys() for place in self.places(key)}
        rows = (row for place in places for row in self.ledger.history(place)[1].values())
        return any(row.replica == version.version_id for row in rows)

    def take(self, queue: Queue, letters: "list[Letter] | Any") -> Worker:
        for letter in letters:
            self._note_taken(letter)
        return super().take(queue, letters)

    def is_of_s3(self, letter: Letter) -> bool:
        return letter.id in self._about

    def _note_taken(self, letter: Letter) -> None:
        for told in json.loads(letter.body)["Records"]:
            name, key = self._about.get(letter.id), told["s3"]["object"]["key"]
            if name is not None and told["eventName"].startswith(MAKING):
                self._told[self.place(key)].add(name)
            elif told["eventName"].startswith(MAKING):
                self._told[self.place(key)] |= self._told_before(key, told["s3"]["object"]["versionId"])
            elif name is not None and told["eventName"].startswith(_FOLLOWING):
                self.seen[Feature.FOLLOWING] += name not in self._told[self.place(key)]
        self._see_meetings()

    def _told_before(self, key: str, version_id: str) -> set[str]:
        """Versions that a letter of ours is about, and of whose making somebody was told, perhaps under other
        rules."""
        heard = set().union(*(self._told[place] for place in self.places(key)))
        return {name for name in heard if _is_called(name, version_id)}

    def _see_meetings(self) -> None:
        if self.in_force.stripped and len({self.place(key) for key in self.past}) < len(self.past):
            self.seen[Feature.MEETING] = 1

    def expire_parked(self) -> None:
        """What is parked is kept for so long only. Of all but conflicts there are rows."""
        for letter in list(self.queues.letters[Queue.PARKED]):
            if letter.attributes.get("reason") == Reason.KEY_CONFLICT:
                self.queues.delete(Queue.PARKED, letter)
                self.scheduler.note(f"{letter.id} has expired: {_identity(letter)}")

    def _unpark(self) -> bool:
        sent = False
        for letter in list(self.queues.letters[Queue.PARKED]):
            told = _identity(letter)
            self._unparked[told] += 1
            if self._unparked[told] <= _PATIENCE:
                self.queues.delete(Queue.PARKED, letter)
                self.queues.send(Queue.INGEST, letter.body)
                sent = True
        return sent

    # -- workers

    def step(self, worker: Worker, fate: Fate = Fate.DONE) -> None:
        call = worker.call
        assert call is not None
        fate = self._met(call, fate)
        if fate is Fate.ABSENT:
            self.seen[Feature.ABSENCE] += 1
        if self.terms.takes and not self._resting and fate not in _DEADLY:
            fate = self._take_time(worker, call, fate)
            if worker.call is not call:
                return
        self._see(call)
        super().step(worker, fate)

    def _see(self, call: Call) -> None:
        if self.terms.skews:
            self.seen[Feature.SKEW] = 1
        if call.name == "page":
            self.seen[Feature.PAGES] += 1

    def _met(self, call: Call, fate: Fate) -> Fate:
        """What becomes of a call that nothing else is to happen to."""
        ref = call.read
        if fate is Fate.ABSENT and (ref is None or ref.bucket != self.source.name):
            return Fate.DONE
        if fate is not Fate.DONE or self._resting:
            return fate
        if ref is not None and self.hidden[ref.key, ref.version_id] > 0:
            self.hidden[ref.key, ref.version_id] -= 1
            return Fate.ABSENT
        failing = self.failing.get(call.name, fate)
        if failing is not fate:
            self.seen[Feature.FAILING] += 1
        return failing

    def _take_time(self, worker: Worker, call: Call, fate: Fate) -> Fate:
        """Time passes before the call takes effect; its function may be stopped before it hears of that."""
        self._calls += 1
        seconds = self.terms.takes[self._calls % len(self.terms.takes)]
        if not seconds:
            return fate
        self.seen[Feature.SLOW] += 1
        job = self._jobs[worker]
        until = self.clock.now() + seconds
        if job.ends <= until:
            self.clock.advance_to(job.ends)
            return Fate.DIES_AFTER
        for stack in self.site.stacks:
            stack.run_out(until)
        self.clock.advance_to(until)
        return fate

    def _look_after(self, worker: Worker) -> None:
        if worker.call is None:
            # Apart from what has been done there may be what has been passed over.
            for told in ("outcomes", "passed_over"):
                for outcome in getattr(worker.answer, told, ()):
                    self._note_outcome(outcome)
            asked = self._jobs[worker].asked
            if asked is not None or worker.name in self._batches:
                self._ask_for(*([asked.key] if asked else self.known_keys()))
        super()._look_after(worker)
        if worker.call is None and worker.name in self._batches:
            job_id, batch = self._batches.pop(worker.name)
            if worker.killed or worker.failure is not None or not worker.answer["done"]:
                self._undone.append((job_id, batch))
            else:
                self._holds_true(batch)

    def _note_outcome(self, outcome: Outcome) -> None:
        silent = outcome.result is Result.NOT_SELECTED and outcome.reason is None
        if outcome.key is not None and outcome.version_id is not None and not silent:
            self._named[outcome.key].add(outcome.version_id)
            if outcome.result is Result.PASSED_OVER or outcome.reason == Reason.SRC_IS_REPLICA:
                self._passed_over[outcome.key].add(outcome.version_id)

    def _settle(self, request: Request) -> Worker:
        self._ask_for(request.key)
        return super()._settle(request)

    def _is_asked_for(self, key: str, worker: Worker) -> bool:
        """Whether the worker does what an operator wants of this key."""
        asked = self._jobs[worker].asked
        return worker.name in self._batches or (asked is not None and asked.key == key)

    def _ask_for(self, *keys: str) -> None:
        """An operator wants all versions of these keys, of which events may never have told: those there are
        when the worker begins, while it works, and when it ends."""
        for key in keys:
            for place in self.places(key):
                self._told[place] |= {version.name for version in self.source.versions(key)}

    # -- jobs

    def begin_job(self, kind: JobKind) -> list[Worker]:
        self.site.count += 1
        job_id = f"job-{self.site.count}"
        self._ask_for(*self.known_keys())
        surveyed = jobs.Site(
            self.source,
            self.replica,
            self.ledger,
            self._rules.current(),
            self.peers,
            self.clock.now(),
        )
        asked = jobs.request(kind, onward=self.onward)
        batches = jobs.begun(self._store, surveyed, job_id, asked, self.known_keys())
        self.seen[Feature.JOB] += bool(batches)
        return [self._run_batch(job_id, batch) for batch in batches]

    def _run_batch(self, job_id: str, batch: str) -> Worker:
        name = self._name()
        engine = self._engine(name, 60)
        by_hand = ByHand(engine, self._rules, self.source.name, self.peers)
        job_batch = JobBatch(
            engine=engine,
            batch=Batch(engine, self._rules, self.source.name, lanes.retry(engine), self.peers),
            by_hand=by_hand,
            reconciler=Reconciler(engine, by_hand, self.source.name, self.peers),
            configurations=self._rules,
            store=self._store,
            source_bucket=self.source.name,
        )
        self.scheduler.note(f"{name} works on {batch}")
        self._batches[name] = job_id, batch
        return self._start(name, lambda until: job_batch.run(job_id, batch, until), 900)

    def _holds_true(self, batch: str) -> None:
        """What a job says has been replicated is there."""
        for task in jobs.results(self._store, batch):
            if task.version is not None and task.reason is not None:
                self._named[task.key].add(task.version)
            if task.status is not TaskStatus.SUCCEEDED or task.finding or task.version is None:
                continue
            listed = any(one.name == task.version for one in self.source.versions(task.key))
            if not listed or "remove" in self._done_by_others(task.place):
                continue
            row = self.ledger.history(task.place)[1].get(task.version)
            there = self.replica.versions(task.place.key)
            true = any(one.truth.ours and one.truth.source == task.version for one in there)
            if not true and not (row is not None and row.doubt):
                raise Violation(f"the job says that {task.version} of {task.key} is replicated: it is not")

    def _ask_again(self) -> bool:
        asked = super()._ask_again()
        undone, self._undone = self._undone, []
        for job_id, batch in undone:
            self.finish(self._run_batch(job_id, batch))
        return asked or bool(undone)

    # -- rest

    def rest(self) -> None:
        """Nothing goes wrong any more."""
        self._resting = True
        for zombie in list(self.scheduler.zombies):
            self.land(zombie)
        for worker in list(self.scheduler.workers):
            self.finish(worker)

    def has_news(self) -> bool:
        return any(self.queues.waiting(queue) for queue in (Queue.INGEST, Queue.LARGE, Queue.DEAD_LETTER))

    def go_down(self) -> None:
        """It is lost, with its source."""
        self.down = True
        self.scheduler.close()
        self.scheduler.zombies.clear()

    def problems(self, *, reconciled: bool) -> Iterator[str]:
        for key in self.known_keys():
            for place in self.places(key):
                former = place != self.place(key)
                found = problems_of_place(self._quiet(key, place, reconciled), former=former)
                yield from (f"{place.destination}/{place.key}, of {key}: {problem}" for problem in found)

    def _quiet(self, key: str, place: LedgerKey, reconciled: bool) -> Quiet:
        head, rows = self.ledger.history(place)
        mine = head is None or head.source == source_name(VersionRef(self.source.name, key, ""))
        past, plain = self.past[key], not self.changed
        return Quiet(
            source=self.source.versions(key),
            destination=self._there(key, place),
            uploads=sum(
                upload.key == place.key and upload.truth.ours for upload in self.replica.uploads.values()
            ),
            head=head,
            rows=rows,
            past=past,
            foreign=self._done_by_others(place),
            restored=frozenset(self.restored[key]),
            markers=all(terms.markers for terms in self.ever),
            version_deletes=plain and self.terms.most_deletes is not None,
            late=self._late(),
            reconciled=reconciled and place == self.place(key),
            tidy=not self.faults,
            now=self.clock.now() + max(self.terms.skews, default=0.0),
            changed=self.changed,
            skewed=bool(self.terms.skews),
            shared=bool(self.peers),
            onward=self.onward,
            named=frozenset(self._named[key]),
            passed_over=frozenset(self._passed_over[key]),
            waiting=self._waiting(key),
            told=None if reconciled else frozenset(self._told[place]),
            rival=None if mine or head is None else head.source,
            rightful=head is not None and place in self.places(source_ref(head.source, "").key),
            empty=head is not None and head.clean and all(_is_nothing(row) for row in rows.values()),
            forged=frozenset(self._forged),
        )

    def _done_by_others(self, place: LedgerKey) -> frozenset[str]:
        """At a place, whichever key of the source it was said to be of."""
        return frozenset().union(*(done for key, done in self.foreign.items() if place in self.places(key)))

    def _late(self) -> LateVersions:
        skipped = any(terms.late is LateVersions.SKIP for terms in self.ever)
        return LateVersions.SKIP if skipped else LateVersions.REPLAY

    def _there(self, key: str, place: LedgerKey) -> list[Version]:
        """Without the replicas of another key of the source."""
        seen, past = map(self._seen_from_here, self.replica.versions(place.key)), self.past[key]
        return [one for one in seen if one.truth.source is None or one.truth.source in past]

    def _seen_from_here(self, version: Version) -> Version:
        """What other stacks wrote is foreign."""
        if not version.truth.ours or version.truth.writer == self.role:
            return version
        return replace(version, truth=FOREIGN)

    def _waiting(self, key: str) -> frozenset[str]:
        """Versions of the key that an operator can see waiting, parked or open in the ledger."""
        found: set[str] = set()
        for letter in self.queues.letters[Queue.PARKED]:
            for told in json.loads(letter.body).get("Records", ()):
                stored = told["s3"]["object"]
                if stored["key"] == key:
                    names = (name for name in self.past[key] if _is_called(name, stored["versionId"]))
                    found.update(names)
        source = source_name(VersionRef(self.source.name, key, ""))
        for item in self.ledger.due(self.replica.name, float("inf")):
            if item.source == source:
                found |= item.rows.keys()
        return frozenset(found)

    def settled(self, place: LedgerKey) -> Mapping[str, Row]:
        """Its rows, but for those that say at every look when that was, and what they know to be others'."""
        rows = self.ledger.history(place)[1]
        kept = {vid: row for vid, row in rows.items() if row.status is not Status.NOT_ELIGIBLE}
        return {vid: replace(row, stray=()) for vid, row in kept.items()}

    def copies_in_place_on_top(self) -> dict[LedgerKey, tuple[str, frozenset[str]]]:
        """By place: a user's copy in place of the current replica, and the versions that have replicas."""
        if self._forged:
            # What is not removed, though its row says so, is covered like anything that others wrote.
            return {}
        found = {}
        for key in self.known_keys():
            place = self.place(key)
            listed, there = self.source.versions(key), self.replica.versions(place.key)
            if not listed or not there or there[0].truth.copied is None:
                continue
            newest, top = listed[0].contents, there[0].contents
            below = next((one.contents for one in there if one.truth.ours), None)
            if newest is not None and top is not None and newest.body == top.body and below is not None:
                if below.body != top.body:
                    # Another replica has been put between it and what it is a copy of.
                    continue
                rows = self.ledger.history(place)[1]
                standing = frozenset(vid for vid, row in rows.items() if row.live)
                found[place] = there[0].version_id, standing
        return found

    # -- what must be so at every moment

    def _check(self, worker: Worker, call: Call) -> None:
        super()._check(worker, call)
        key = call.key
        if key is None:
            return
        ref = call.read
        if ref is not None and ref.bucket == self.source.name:
            self._is_no_replica(ref)
        if call.publishes:
            self._is_within_bounds(key)

    def _is_no_replica(self, ref: VersionRef) -> None:
        """What a stack wrote is not replicated onward, unless somebody asks: else it would go round."""
        version = next((one for one in self.source.versions(ref.key) if one.name == ref.version_id), None)
        if self.terms.topology.fails_over:
            # There is nobody any more to whom it could come back.
            return
        if self.peers and ref.version_id in self._said_written:
            # Where peers are known, the event of a version is what tells who wrote it.
            return
        if version is not None and version.truth.ours and not self.onward:
            raise Violation(f"{version.name} of {ref.key} is a replica, and goes onward")

    def _is_within_bounds(self, key: LedgerKey) -> None:
        intent = self.ledger.open_intent(key)
        row = self.ledger.history(key)[1].get(intent.version_id) if intent else None
        if row is None or not row.live:
            return
        now = self.clock.now()
        recent = [moment for moment in self._copied[key] if moment > now - 3600]
        self._copied[key] = [*recent, now]
        if len(recent) >= MOST_COPIED_AGAIN:
            raise Violation(f"replicas of {key.key} are copied again {len(recent) + 1} times in an hour")

    def _watch(self, key: LedgerKey, version_id: str, before: Row | None, after: Row | None) -> None:
        super()._watch(key, version_id, before, after)
        if before is None or after is None or before.status is not Status.SUPERSEDED or not after.live:
            return
        if after.doubt and after.nonce is not None:
            # Whoever meant to write it has died, and the row may have been written before that.
            return
        claimed = self.replica.find(key.key, after.replica or "")
        if claimed is not None and not claimed.truth.ours:
            raise Violation(f"{claimed.version_id}, which is foreign, is taken for {version_id}: {after}")

    def _is_long_gone(self, key: LedgerKey, name: str) -> bool:
        pasts = (past for one, past in self.past.items() if key in self.places(one))
        known = [past[name] for past in pasts if name in past]
        long_ago = self.clock.now() - _LONGEST
        return bool(known) and all(
            one.deleted is not None and not one.twice and one.deleted < long_ago for one in known
        )

    def _may_go(self, key: LedgerKey, replica: str) -> None:
        """As in the plain world; and no version of any key loses its only replica while it is alive."""
        version = self.replica.find(key.key, replica)
        if version is None or not version.truth.ours or version.truth.writer != self.role:
            # If it is there, the bucket itself says that it is foreign.
            return
        name = version.truth.source
        owners = (one for one, past in self.past.items() if name in past and key in self.places(one))
        owner = next(owners, None)
        rows = self.ledger.history(key)[1]
        others = [one for one in self.replica.versions(key.key) if one.version_id != replica]
        # Of two that have had one name, nobody can tell which is deleted.
        alive = owner is not None and any(
            one.name == name and not self.past[owner][one.name].twice for one in self.source.versions(owner)
        )
        row = rows.get(name or "")
        # Nothing tells one delete marker from another: what has been taken for it stands for it.
        mistaken = row is not None and row.doubt and row.replica not in (None, replica)
        found = mistaken or any(one.truth.ours and one.truth.source == name for one in others)
        # Nobody can tell what others remove in the moment before a request is sent.
        meanwhile = row is not None and row.replica in self.removed_meanwhile
        if alive and not (found or meanwhile):
            raise Violation(f"{replica} is removed, the only replica of {name} of {owner}, which is alive")
        for vid, row in rows.items():
            if replica in row.left:
                return
            if replica == row.replica:
                if row.purged and owner is not None and self._may_be_purged(owner, vid):
                    return
                raise Violation(f"{replica} is removed, the only replica of {vid}")
        raise Violation(f"{replica} of {key} is removed, and the ledger does not know it")

    def _may_be_purged(self, key: str, name: str) -> bool:
        said = self._null_said_deleted.get(key, -inf)
        # Any that there may have been by then, to the second.
        is_said_null = is_null(name) and self.past[key][name].modified <= said + 1
        if name in self._said_deleted or is_said_null or self.past[key][name].twice:
            return True
        before = self.terms
        if any(terms.most_deletes is not None for terms in self.ever):
            self.terms = replace(before, most_deletes=1)
        try:
            return super()._may_be_purged(key, name)
        finally:
            self.terms = before


#: Events of what may change of a version.
_FOLLOWING: Final = ("ObjectTagging:", "ObjectAcl:", "ObjectAnnotation:", "ObjectRetention:")

_DEADLY: Final = frozenset({Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.DIES_AMID})


def _is_called(name: str, version_id: str) -> bool:
    """Whether a record with this id may be about the version: ids of null versions do not say which."""
    return version_id in (name, id_for_s3(name))


def _is_nothing(row: Any) -> bool:
    return row.status == "TOMBSTONE" and not any(row.ids())


def _identity(letter: Letter) -> str:
    """What a parked message is about, however often it has been parked."""
    document = json.loads(letter.body)
    told = [
        (one.get("eventName"), one["s3"]["object"]["key"], one["s3"]["object"].get("versionId"))
        for one in document.get("Records", ())
    ]
    return repr((told, letter.attributes.get("reason"), letter.attributes.get("destination")))


def _bears_out(foreign: Version, version_id: str, row: Row) -> bool:
    """Whether the version itself says what is written into the row: a marker says nothing but its time."""
    if foreign.contents is None:
        return row.kind is Kind.MARKER and foreign.last_modified >= row.order.last_modified - SKEW_OF_S3
    stamp = Stamp.read(foreign.contents.metadata)
    if stamp is None:
        # What has no room for a stamp says as little.
        return row.kind is Kind.OBJECT and CROWD in foreign.contents.metadata
    return stamp.version_id == version_id
