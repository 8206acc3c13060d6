"""What work on one key costs that has many versions: time, reads of the ledger, lists, memory.

Run it: ``python -m benchmarks.one_key``. The use cases are the real ones, on S3 and a ledger in memory; what
is read is decoded as in the adapters, so that it takes the room that it takes there. The functions' own
clock counts what requests take (``LATENCY``) and what is computed, ``SLOWER`` times: a function of 512 MB has
about 0.3 of a processor. Memory is what a call allocates at most, measured in a run of its own. It exits
with 1 if a promise is not kept.
"""

import argparse
import gc
import json
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final

from s3replicator.adapters.ledger_items import read_row, row_item
from s3replicator.decisions.backoff import RetryPolicy
from s3replicator.decisions.configuration import Configuration, Destination, Filter, Rule
from s3replicator.decisions.job_report import Task, TaskStatus, lines_of
from s3replicator.decisions.ledger import Head, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.selection import Line
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, ListedVersion, Published, SourceVersion, VersionRef
from s3replicator.ports import InTime, OpenUpload, Page, Position, unhurried
from s3replicator.usecases import lanes
from s3replicator.usecases.batch import Batch, BatchResult, Message
from s3replicator.usecases.by_hand import ByHand, Request
from s3replicator.usecases.engine import Engine, Timing
from s3replicator.usecases.job_batch import JobBatch
from s3replicator.usecases.job_finish import JobFinish
from s3replicator.usecases.lanes import Lane
from s3replicator.usecases.reconcile import Reconciler
from s3replicator.usecases.survey import Survey
from tests.unit.protocol.memory_bucket import Contents, MemoryBucket, Truth, Version
from tests.unit.protocol.memory_ledger import MemoryLedger
from tests.unit.protocol.memory_queues import MemoryQueues, Queue
from tests.unit.protocol.memory_s3 import MemoryDestination, MemoryS3, MemorySource
from tests.unit.protocol.records import record, sequencer
from tests.unit.protocol.runtime import DAWN, CountingDice, OneByOne
from tests.unit.test_survey import Store

SIZES: Final = (100, 1_000, 10_000, 100_000)
SOURCE, REPLICA, KEY = "source-bucket", "destination-bucket", "key"
PLACE: Final = LedgerKey(REPLICA, KEY)

#: Who writes replicas.
WRITER: Final = "AWS:AROAEXAMPLEROLE:worker"

#: Seconds a function may run, by its name in template.yaml.
LIMITS: Final = {
    "replicate": 60.0,
    "replicate-large": 900.0,
    "retry": 300.0,
    "backfill": 900.0,
    "survey": 900.0,
}
#: Kept for a function's answer, as in its invocation.
RESERVE: Final = 2.0

#: What a function of 512 MB needs longer than a whole processor.
SLOWER: Final = 3.5

#: Seconds a request takes; of a list and of a query that of each page.
LATENCY: Final = {"list": 0.1, "query": 0.1, "read": 0.005, "write": 0.008, "head": 0.025, "copy": 0.06}
#: Versions in a page of a list, and rows in one of a query, which holds 1 MB.
PAGE, QUERY = 1000, 2500
#: Seconds of a whole processor that the SDK needs to parse a page of a list.
PARSED: Final = 0.03

#: Of which the quickest counts.
_RUNS: Final = 3

MOST_GROWTH, MOST_READS, MOST_MIB = 13.0, 3.0, 350.0


class Clock:
    """Of a function: it goes on while requests are under way, and while something is computed."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._begun = time.process_time()

    def now(self) -> float:
        return DAWN + self._waited + (time.process_time() - self._begun) * SLOWER

    def sleep(self, seconds: float) -> None:
        self._waited += seconds

    def advance_to(self, moment: float) -> None:
        self._waited += max(0.0, moment - self.now())


@dataclass(slots=True)
class Meter:
    """What is asked for, and how long that takes."""

    clock: Clock
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, what: str, number: int = 1, waits: int | None = None) -> None:
        self.counts[what] += number
        self.clock.sleep(LATENCY[what] * (number if waits is None else waits))

    def paged(self, in_time: InTime) -> InTime:
        """Before each page but the first."""

        def next_page() -> None:
            in_time()
            self.page()

        self.page()
        return next_page

    def page(self) -> None:
        self.count("list")
        self.clock.sleep(PARSED * SLOWER)

    @staticmethod
    def fresh(versions: Sequence[ListedVersion]) -> Sequence[ListedVersion]:
        return [replace(one, version_id=_own(one.version_id), etag=_own(one.etag)) for one in versions]

    def queried(self, rows: int) -> None:
        self.count("query", rows, max(1, -(-rows // QUERY)))


def _own(text: str) -> str:
    """A string of its own, as one that has just been received is."""
    return f"{text} "[:-1]


class MeteredLedger(MemoryLedger):
    """Rows are decoded from items, as they are in the adapter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter
        self._items: dict[str, tuple[Row, Mapping[str, Any]]] = {}

    def remember(self) -> None:
        """Have the items at hand: encoding them is no part of what is measured."""
        for vid, row in super().spilled(PLACE, f"{SOURCE}/{KEY}").items():
            self._items[vid] = (row, row_item(PLACE, f"{SOURCE}/{KEY}", 1, vid, row))

    def lease(self, key: LedgerKey, *rest: Any, **named: Any) -> Any:
        self._meter.count("write")
        return super().lease(key, *rest, **named)

    def write(self, key: LedgerKey, token: str, head: Head) -> None:
        self._meter.count("write")
        super().write(key, token, head)

    def put_rows(self, key: LedgerKey, source: str, generation: int, rows: Mapping[str, Row]) -> None:
        self._meter.count("write", len(rows))
        super().put_rows(key, source, generation, rows)

    def row(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        self._meter.count("read")
        return super().row(key, source, version_id)

    def head(self, key: LedgerKey) -> Head | None:
        self._meter.count("read")
        return super().head(key)

    def spilled(self, key: LedgerKey, source: str, in_time: InTime = unhurried) -> Mapping[str, Row]:
        rows = super().spilled(key, source, in_time)
        self._meter.queried(len(rows))
        return dict(self._read(vid, row) for vid, row in rows.items())

    def history(self, key: LedgerKey, in_time: InTime = unhurried) -> tuple[Head | None, Mapping[str, Row]]:
        # The head comes with the same query.
        head = super().head(key)
        return head, {**self.spilled(key, f"{SOURCE}/{KEY}", in_time), **(head.rows if head else {})}

    def _read(self, vid: str, row: Row) -> tuple[str, Row]:
        known = self._items.get(vid)
        if known is None or known[0] is not row:
            return _own(vid), row
        vid, read = read_row(known[1])
        return _own(vid), replace(read, replica=_own(read.replica or ""), nonce=_own(read.nonce or ""))


class MeteredSource(MemorySource):
    def __init__(self, s3: MemoryS3, meter: Meter) -> None:
        super().__init__(s3)
        self._meter = meter

    def head(self, ref: VersionRef) -> SourceVersion:
        self._meter.count("head")
        return super().head(ref)

    def versions(
        self,
        bucket: str,
        key: str,
        in_time: InTime = unhurried,
        until: Collection[str] = (),
        above: str | None = None,
    ) -> Sequence[ListedVersion]:
        return self._meter.fresh(super().versions(bucket, key, self._meter.paged(in_time), until, above))


class MeteredDestination(MemoryDestination):
    def __init__(self, s3: MemoryS3, meter: Meter) -> None:
        super().__init__(s3, REPLICA, role=WRITER)
        self._meter = meter

    def copy(self, ref: VersionRef, key: str, request: ReplicaRequest) -> Published:
        self._meter.count("copy")
        return super().copy(ref, key, request)

    def remove(self, key: str, version_id: str) -> None:
        self._meter.count("head")
        super().remove(key, version_id)

    def versions(
        self, key: str, in_time: InTime = unhurried, until: Collection[str] = ()
    ) -> Sequence[ListedVersion]:
        return self._meter.fresh(super().versions(key, self._meter.paged(in_time), until))


class MeteredLister:
    """A bucket that has this key only."""

    def __init__(self, bucket: MemoryBucket, meter: Meter) -> None:
        self._bucket = bucket
        self._meter = meter

    def page(self, prefix: str, after: Position | None, most: int = 1000) -> Page:
        assert KEY.startswith(prefix)
        self._meter.page()
        if after is not None and after.version_id is None:
            return Page([], None)
        pages = self._bucket.pages(KEY, after.version_id if after else None, most)
        page = [(KEY, one) for one in self._meter.fresh(next(pages, []))]
        return Page(page, Position(KEY, page[-1][1].version_id) if next(pages, None) else None)

    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        assert KEY.startswith(prefix)
        return ()


class Rules:
    def current(self) -> Configuration:
        rule = Rule("rule", 1, True, Filter(), True, Destination(REPLICA), version_deletes=10**9)
        return Configuration((rule,))


class World:
    """The key. ``write`` makes versions whose events nobody has heard of, ``replicate`` their replicas and
    rows, as if they had come one by one."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.meter = Meter(self.clock)
        clock: Any = self.clock
        self.s3 = MemoryS3.with_buckets(clock, SOURCE, REPLICA)
        self.source: MemoryBucket = self.s3.buckets[SOURCE]
        self.replica: MemoryBucket = self.s3.buckets[REPLICA]
        self.ledger = MeteredLedger(self.meter)
        self.queues = MemoryQueues()
        self.store = Store()
        self._number = 0
        #: Calls of a job; the longest of them in seconds, and what the greediest allocates, in bytes.
        self.calls, self.longest, self.peak = 0, 0.0, 0

    # -- how it comes about

    def write(self, number: int, begun: float, interval: float) -> list[Version]:
        """``number`` versions; ``interval`` is the seconds between two."""
        return [self._write(begun + index * interval) for index in range(number)]

    def _write(self, moment: float) -> Version:
        self._number += 1
        return self.source.add(KEY, Contents(body=f"body {self._number}"), moment=moment)

    def replicate(self, versions: Sequence[Version]) -> None:
        rows = {version.version_id: self._replica_of(version) for version in versions}
        small, out = Head(f"{SOURCE}/{KEY}", rows=rows).spill()
        lease = Lease("made", DAWN + 1)
        self.ledger.lease(PLACE, small.source, None, lease=lease, intent=None, now=DAWN)
        self.ledger.put_rows(PLACE, small.source, 1, out)
        self.ledger.write(PLACE, lease.token, replace(small, generation=1))
        self.ledger.remember()

    def _replica_of(self, version: Version) -> Row:
        assert version.contents is not None
        ref, nonce = VersionRef(SOURCE, KEY, version.version_id), f"nonce-{version.version_id}"
        stamp = Stamp.of(ref, nonce, PLACE.destination, KEY)
        made = self.replica.add(
            KEY,
            replace(version.contents, metadata=stamp.metadata()),
            truth=Truth(True, version.version_id, WRITER, KEY),
            moment=version.last_modified,
        )
        order = OrderFacts(sequencer(version.place), version.last_modified)
        return Row(
            Kind.OBJECT,
            Status.COMPLETED,
            order,
            replica=made.version_id,
            nonce=nonce,
            rule="rule",
            event_time=version.last_modified,
            completed=version.last_modified,
        )

    def expire(self, versions: Iterable[Version]) -> None:
        """At the source, as a lifecycle rule does."""
        for version in versions:
            self.source.drop(KEY, version.version_id)

    # -- the functions

    def events(self, versions: Sequence[Version]) -> BatchResult:
        """The events of versions, in one batch of the first function."""
        messages = [Message(f"{n}", json.dumps(_event(version))) for n, version in enumerate(versions)]
        return self._batch(lanes.replicate, 25).process(messages, self.deadline("replicate"))

    def hand_overs(self) -> BatchResult:
        """What has been handed over, in one batch of the second function."""
        letters_ = self.queues.waiting(Queue.DEAD_LETTER)
        for letter in letters_:
            self.queues.delete(Queue.DEAD_LETTER, letter)
        messages = [Message(letter.id, letter.body) for letter in letters_]
        return self._batch(lanes.retry, 60).process(messages, self.deadline("retry"))

    def large(self) -> BatchResult:
        """What waits for the lane of large objects."""
        letters_ = self.queues.waiting(Queue.LARGE)
        messages = [Message(letter.id, letter.body) for letter in letters_]
        return self._batch(lanes.replicate_large, 60).process(messages, self.deadline("replicate-large"))

    def settle(self) -> None:
        report = self.by_hand().settle(Request(SOURCE, KEY, compare=False), self.deadline("retry"))
        assert not report.busy, report

    def reconcile(self) -> None:
        self._until_done("reconcile")

    def backfill(self) -> None:
        self._until_done("backfill")

    def survey(self) -> None:
        survey = Survey(
            source=MeteredLister(self.source, self.meter),
            destinations={REPLICA: MeteredLister(self.replica, self.meter)},
            ledger=self.ledger,
            configurations=Rules(),
            store=self.store,
            clock=self.clock,
            parallel=OneByOne(),
            workers=1,
            source_bucket=SOURCE,
        )
        self._call(
            lambda: bool(survey.run("backfill", {"Kind": "backfill"}, self.deadline("survey"))["done"])
        )

    def report(self) -> None:
        finish = JobFinish(
            ledger=self.ledger,
            store=self.store,
            clock=self.clock,
            parallel=OneByOne(),
            source_bucket=SOURCE,
            control_bucket="control-bucket",
            report_drift=lambda _bucket, _findings: None,
        )
        self._call(lambda: bool(finish.run("backfill", 0)["done"]))

    def _until_done(self, kind: str) -> None:
        """A call that has had its time goes on in the next one."""
        while not self._call(lambda: self.call(kind)):
            pass

    def _call(self, act: Callable[[], bool]) -> bool:
        begun, before = self.clock.now(), tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        done = act()
        self.peak = max(self.peak, tracemalloc.get_traced_memory()[1] - before)
        self.longest = max(self.longest, self.clock.now() - begun)
        self.calls += 1
        return done

    def call(self, kind: str) -> bool:
        """One call of a job; whether it has come to the end."""
        batch = f"jobs/{kind}/batches/1-1-000000.jsonl"
        self.store.write(f"jobs/{kind}/job.json", json.dumps({"Kind": kind}).encode())
        self.store.write(batch, Line(KEY).encode())
        engine, by_hand = self.engine(60), self.by_hand()
        job = JobBatch(
            engine=engine,
            batch=self._batch(lanes.job, 60),
            by_hand=by_hand,
            reconciler=Reconciler(engine, by_hand, SOURCE),
            configurations=Rules(),
            store=self.store,
            source_bucket=SOURCE,
        )
        return bool(job.run(kind, batch, self.deadline("backfill"))["done"])

    def _batch(self, lane: Callable[[Engine], Lane], publish: float) -> Batch:
        engine = self.engine(publish)
        return Batch(engine, Rules(), SOURCE, lane(engine))

    def by_hand(self) -> ByHand:
        return ByHand(self.engine(60), Rules(), SOURCE)

    def engine(self, publish: float) -> Engine:
        self._number += 1
        return Engine(
            source=MeteredSource(self.s3, self.meter),
            destinations={REPLICA: MeteredDestination(self.s3, self.meter)},
            ledger=self.ledger,
            outbox=self.queues,
            clock=self.clock,
            dice=CountingDice(f"worker {self._number}"),
            parallel=OneByOne(),
            timing=Timing(300, publish, 5, RetryPolicy(60, 3600, 20)),
        )

    def deadline(self, function: str) -> float:
        return self.clock.now() + LIMITS[function] - RESERVE


def _event(version: Version) -> dict[str, Any]:
    told = record(
        "ObjectCreated:Put",
        SOURCE,
        KEY,
        version.version_id,
        at=version.last_modified,
        principal="AWS:AIDAEXAMPLEUSER",
        sequencer=sequencer(version.place),
        etag=version.etag,
        size=1,
    )
    return {"Records": [told]}


# -- what is measured: a key of so many versions, and what is done with it then

Step = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Case:
    """``function`` is the one that ``act`` runs, whose time is the limit."""

    name: str
    function: str
    prepare: Callable[[World, int], Step]
    #: Versions that ``act`` deals with, if not all of them.
    written: int | None = None


def listed(act: Step) -> Callable[[World, int], Step]:
    """One write a minute, all of them listed and replicated."""

    def prepare(world: World, size: int) -> Step:
        world.replicate(world.write(size, DAWN - 60 * size, 60))
        return act

    return prepare


def gone(act: Step) -> Callable[[World, int], Step]:
    """The same, and all but one have expired at the source."""

    def prepare(world: World, size: int) -> Step:
        versions = world.write(size, DAWN - 60 * size, 60)
        world.replicate(versions)
        world.expire(versions[:-1])
        return act

    return prepare


def burst(world: World, size: int) -> Step:
    """50 writes a second, and 800 more whose events come in batches of ten."""
    begun = DAWN - (size + BURST) / 50
    world.replicate(world.write(size, begun, 1 / 50))
    more = world.write(BURST, begun + size / 50, 1 / 50)

    def act(world: World) -> None:
        for start in range(0, len(more), 10):
            world.events(more[start : start + 10])

    return act


def late(below: int) -> Callable[[World, int], Step]:
    """All are replicated but one, which has so many newer ones; its event comes last."""

    def prepare(world: World, size: int) -> Step:
        versions = world.write(size, DAWN - 60 * size, 60)
        place = max(0, size - 1 - below)
        world.replicate([*versions[:place], *versions[place + 1 :]])

        def act(world: World) -> None:
            begun = world.clock.now()
            world.events([versions[place]])
            assert world.clock.now() - begun < LIMITS["replicate"], "the first function hands over in time"
            world.hand_overs()

        return act

    return prepare


def new(act: Step, interval: float = 60) -> Callable[[World, int], Step]:
    """Nothing has been replicated yet."""

    def prepare(world: World, size: int) -> Step:
        world.write(size, DAWN - interval * size, interval)
        return act

    return prepare


def one_more(world: World) -> None:
    world.events(world.write(1, DAWN, 0))


def one_large(world: World) -> None:
    """In parts; the bytes take their time, which is not counted."""
    contents = Contents(body="large", size=3 * SINGLE_COPY_LIMIT)
    world.events([world.source.add(KEY, contents, moment=world.clock.now())])
    world.large()


def replicated(world: World, size: int) -> Step:
    """By a job, whose report is to be made."""
    versions = world.write(size, DAWN - 60 * size, 60)
    tasks = [Task(KEY, one.name, REPLICA, TaskStatus.SUCCEEDED, replica=one.name) for one in versions]
    world.store.write("jobs/backfill/job.json", json.dumps({"Kind": "backfill"}).encode())
    world.store.write("jobs/backfill/results/1-1-000000.jsonl", lines_of(tasks))
    return World.report


BURST: Final = 800

CASES: Final = (
    Case("listed: an event", "replicate", listed(one_more), 1),
    Case("listed: settle", "retry", listed(World.settle)),
    Case("listed: reconcile", "backfill", listed(World.reconcile)),
    Case("gone: an event", "replicate", gone(one_more), 1),
    Case("gone: settle", "retry", gone(World.settle)),
    Case("gone: reconcile", "backfill", gone(World.reconcile)),
    Case("50 a second: 800 events", "replicate", burst, BURST),
    Case("late: below 10", "retry", late(10)),
    Case("late: below all", "retry", late(10**9)),
    Case("new: survey", "survey", new(World.survey)),
    Case("new: backfill", "backfill", new(World.backfill)),
    Case("new, 50 a second", "backfill", new(World.backfill, 1 / 50)),
    Case("new: report", "survey", replicated),
    Case("large: an event", "replicate-large", listed(one_large), 1),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """``computed`` in seconds of a whole processor; ``call`` is the longest call, by the function's clock."""

    computed: float
    call: float
    calls: int
    counts: Mapping[str, int]
    peak: float

    def reads(self, versions: int) -> float:
        return (self.counts.get("query", 0) + self.counts.get("read", 0)) / versions


def measure(case: Case, size: int, *, memory: bool, runs: int = 1) -> Figures:
    """Of several runs the time of the quickest counts: others use the machine, too."""
    computed, call = inf, inf
    for _ in range(runs):
        world, act = _prepared(case, size)
        begun, clock = time.process_time(), world.clock.now()
        act(world)
        computed = min(computed, time.process_time() - begun)
        call = min(call, world.longest or world.clock.now() - clock)
    peak = 0.0
    if memory:
        again, act = _prepared(case, size)
        tracemalloc.start()
        act(again)
        peak = (again.peak or tracemalloc.get_traced_memory()[1]) / 2**20
        tracemalloc.stop()
    return Figures(computed, call, max(1, world.calls), world.meter.counts, peak)


def _prepared(case: Case, size: int) -> tuple[World, Step]:
    world = World()
    act = case.prepare(world, size)
    world.meter.counts.clear()
    # No function has the world itself in its memory, to be looked through again and again.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return world, act


def failings(case: Case, sizes: Mapping[int, Figures]) -> list[str]:
    """What of the promises is not kept."""
    found = []
    for size, figures in sizes.items():
        reads = figures.reads(case.written or size)
        if size >= 1000 and reads > MOST_READS and case.written != 1:
            found.append(f"{case.name}, {size} versions: {reads:.1f} reads of the ledger a version")
        if figures.call > LIMITS[case.function] and case.written != BURST:
            found.append(f"{case.name}, {size} versions: a call takes {figures.call:.0f} s")
        if figures.peak > MOST_MIB:
            found.append(f"{case.name}, {size} versions: {figures.peak:.0f} MiB")
    if {10_000, 100_000} <= sizes.keys():
        growth = sizes[100_000].computed / sizes[10_000].computed
        if growth > MOST_GROWTH and sizes[100_000].computed > 1:
            found.append(f"{case.name}: ten times the versions take {growth:.1f} times as long")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many versions the key has")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--no-memory", action="store_true", help="measure time only")
    asked = parser.parse_args(arguments)
    print(
        f"{'case':<24} {'versions':>8} {'computed':>9} {'call':>7} {'limit':>5} {'calls':>5} {'reads':>8}"
        f" {'a version':>9} {'writes':>7} {'lists':>6} {'copies':>7} {'peak MiB':>8}"
    )
    problems: list[str] = []
    for case in (case for case in CASES if case.name.startswith(asked.only)):
        done: dict[int, Figures] = {}
        for size in asked.sizes:
            done[size] = figures = measure(case, size, memory=not asked.no_memory, runs=_RUNS)
            counts, limit = figures.counts, LIMITS[case.function]
            reads = counts.get("query", 0) + counts.get("read", 0)
            print(
                f"{case.name:<24} {size:>8} {figures.computed:>8.2f}s {figures.call:>6.1f}s {limit:>4.0f}s"
                f" {figures.calls:>5} {reads:>8} {figures.reads(case.written or size):>9.2f}"
                f" {counts.get('write', 0):>7} {counts.get('list', 0):>6} {counts.get('copy', 0):>7}"
                f" {figures.peak:>8.1f}",
                flush=True,
            )
        problems += failings(case, done)
    print("\n" + ("\n".join(problems) or "every promise is kept"))
    if problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
