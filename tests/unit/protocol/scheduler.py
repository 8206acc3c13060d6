"""Several workers at once, as a test wants it: every worker stops before every call of a port, and the test
decides who goes on, and what becomes of the call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

from s3replicator.decisions.failures import (
    AmbiguousWrite,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
    TerminalError,
)
from s3replicator.decisions.ledger import LedgerKey, Row
from s3replicator.decisions.versions import ListedVersion, VersionRef
from s3replicator.ports import LeaseLost
from tests.unit.protocol.telling import short

#: Calls after which a version is visible at the destination; see ``ports.DestinationBucket``.
PUBLISHING: Final = frozenset({"copy", "put_marker", "complete"})


#: Calls that name one version of the source.
_READING: Final = frozenset({"head", "tags", "acl", "annotations", "annotation"})
_COPYING: Final = frozenset({"copy", "copy_part"})

#: No job needs as many calls.
_ENDLESS: Final = 10_000


class Port(StrEnum):
    SOURCE = "source"
    DESTINATION = "destination"
    LEDGER = "ledger"
    OUTBOX = "outbox"


class Fate(StrEnum):
    """What becomes of a call, and of the worker that makes it."""

    DONE = "done"
    #: For now: a 503, after which a visible write may have happened.
    REFUSED = "refused"
    #: For good, as when a permission is missing; the ledger and the queues refuse for now only.
    DENIED = "denied"
    LOST = "answer lost"
    #: The source answers that there is no such version, though there is.
    ABSENT = "not there"
    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    #: The worker is dead, the request is still under way.
    DIES_AMID = "dies, and the request is under way"


_REASONS: Final = {Port.LEDGER: Reason.LEDGER_UNAVAILABLE, Port.OUTBOX: Reason.QUEUE_UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that somebody is about to send. ``place`` is the bucket, where there are several."""

    port: Port
    place: str
    name: str
    method: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    @property
    def publishes(self) -> bool:
        return self.port is Port.DESTINATION and self.name in PUBLISHING

    @property
    def key(self) -> LedgerKey | None:
        """Of a request that changes a key at a destination."""
        if self.port is not Port.DESTINATION:
            return None
        position = {"copy": 1, "copy_part": 2}.get(self.name, 0)
        return LedgerKey(self.place, self.arguments[position])

    @property
    def names_source_version(self) -> bool:
        """Whether S3 may answer that there is no such version at the source."""
        return self.name in (_READING if self.port is Port.SOURCE else _COPYING)

    @property
    def read(self) -> VersionRef | None:
        """The version of the source that it names."""
        first = self.arguments[0] if self.names_source_version else None
        return first if isinstance(first, VersionRef) else None

    def run(self) -> Any:
        return self.method(*self.arguments, **self.keywords)

    def unanswered(self, reason: Reason | None = None) -> ReplicationError:
        """What the caller hears who never learns what became of it."""
        failure = AmbiguousWrite if self.publishes else RetryableError
        return failure(reason or _REASONS.get(self.port, Reason.UNAVAILABLE), f"{self.name}: no answer")

    def refused(self) -> ReplicationError:
        return self.unanswered(_REASONS.get(self.port, Reason.THROTTLED))

    def absent(self) -> ReplicationError:
        return SourceGone(Reason.SRC_VERSION_NOT_FOUND, f"{self.name}: there is no such version")

    def denied(self) -> ReplicationError:
        if self.port in _REASONS:
            return self.refused()
        return TerminalError(Reason.REQUEST_REFUSED, f"{self.name}: not allowed")


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the trace."""

    who: str
    what: object
    fate: Fate | None = None
    answer: object = None

    def __str__(self) -> str:
        if not isinstance(self.what, Call):
            return f"{self.who}: {self.what}"
        call = self.what
        told = [*map(short, call.arguments), *(f"{n}={short(v)}" for n, v in call.keywords.items())]
        fate = "" if self.fate is Fate.DONE else f" [{self.fate}]"
        place = f"{call.place}." if call.place else f"{call.port}."
        return f"{self.who}: {place}{call.name}({', '.join(told)}){fate} -> {short(self.answer)}"


class Worker(greenlet):
    """A job under way. ``call`` is what it has stopped before; None once it has ended."""

    def __init__(self, name: str, job: Callable[[], Any]) -> None:
        super().__init__()
        self.name = name
        self.call: Call | None = None
        self.killed = False
        self.calls = 0
        self.answer: Any = None
        #: What ended the job, if nobody handled it.
        self.failure: Exception | None = None
        self._job = job

    def run(self, _started: object) -> None:
        try:
            self.answer = self._job()
        except Exception as failure:
            self.failure = failure

    def ask(self, call: Call) -> Any:
        """Called by the job itself: stop, until the test answers."""
        if self.killed:
            # Whatever tidies up after a worker that has been killed in truth never runs.
            raise GreenletExit
        assert self.parent is not None
        return self.parent.switch(call)

    def go_on(self, answer: Any = None) -> None:
        self.call = self.switch(answer)

    def go_on_failing(self, failure: Exception) -> None:
        self.call = self.throw(failure)

    def kill(self) -> None:
        self.killed = True
        self.call = None
        self.throw(GreenletExit)
        assert self.dead, f"{self.name} has survived"


@dataclass(slots=True)
class Zombie:
    """A request whose sender is dead."""

    who: str
    call: Call


@dataclass(slots=True)
class Scheduler:
    """``check`` looks at every call before it is sent."""

    check: Callable[[Worker, Call], None] = lambda _worker, _call: None
    workers: list[Worker] = field(default_factory=list)
    zombies: list[Zombie] = field(default_factory=list)
    trace: list[Event] = field(default_factory=list)

    def port(self, port: Port, target: object, place: str = "", *, paged: bool = False) -> Any:
        """``target``, before whose methods workers stop; where listings are ``paged``, before every page."""
        if paged:
            return _PagedPort(port, target, place)
        return (_LedgerPort if port is Port.LEDGER else _Port)(port, target, place)

    def start(self, name: str, job: Callable[[], Any]) -> Worker:
        """Let a new worker run up to its first call."""
        worker = Worker(name, job)
        self.workers.append(worker)
        worker.go_on()
        self._bury(worker)
        return worker

    def step(self, worker: Worker, fate: Fate = Fate.DONE) -> None:
        """Decide about the call a worker has stopped before, and let it run up to the next one."""
        call = worker.call
        assert call is not None
        worker.calls += 1
        if fate is Fate.ABSENT and not call.names_source_version:
            fate = Fate.DONE
        assert worker.calls < _ENDLESS, f"{worker.name} does not come to an end"
        if fate not in (Fate.DIES_BEFORE, Fate.REFUSED, Fate.DENIED, Fate.ABSENT):
            self.check(worker, call)
        answer: Any = None
        failure: Exception | None = None
        if fate in (Fate.DONE, Fate.LOST, Fate.DIES_AFTER):
            try:
                answer = call.run()
            except (ReplicationError, LeaseLost) as error:
                failure = error
        self.trace.append(Event(worker.name, call, fate, failure or answer))
        match fate:
            case Fate.DONE if failure is None:
                worker.go_on(answer)
            case Fate.DONE:
                assert failure is not None
                worker.go_on_failing(failure)
            case Fate.REFUSED:
                worker.go_on_failing(call.refused())
            case Fate.DENIED:
                worker.go_on_failing(call.denied())
            case Fate.ABSENT:
                worker.go_on_failing(call.absent())
            case Fate.LOST:
                worker.go_on_failing(call.unanswered())
            case _:
                if fate is Fate.DIES_AMID:
                    self.zombies.append(Zombie(worker.name, call))
                worker.kill()
        self._bury(worker)

    def finish(self, worker: Worker) -> None:
        while worker.call is not None:
            self.step(worker)

    def land(self, zombie: Zombie) -> None:
        """A request that was under way takes effect; nobody waits for the answer."""
        self.zombies.remove(zombie)
        try:
            answer: object = zombie.call.run()
        except (ReplicationError, LeaseLost) as failure:
            answer = failure
        self.trace.append(Event(f"{zombie.who}, dead", zombie.call, Fate.DONE, answer))

    def note(self, what: object) -> None:
        self.trace.append(Event("-", what))

    def _bury(self, worker: Worker) -> None:
        if worker.call is None:
            self.workers.remove(worker)

    def close(self) -> None:
        """Nobody goes on from here."""
        for worker in list(self.workers):
            worker.kill()
        self.workers.clear()


class _Port:
    def __init__(self, port: Port, target: object, place: str) -> None:
        self._port, self._target, self._place = port, target, place

    def __getattr__(self, name: str) -> Callable[..., Any]:
        stopping = self._stopping(name, getattr(self._target, name))
        # The next time there is nothing to look up.
        setattr(self, name, stopping)
        return stopping

    def _stopping(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def stop(*arguments: Any, **keywords: Any) -> Any:
            call = Call(self._port, self._place, name, method, arguments, keywords)
            current = getcurrent()
            return current.ask(call) if isinstance(current, Worker) else call.run()

        return stop


class _LedgerPort(_Port):
    """Workers stop as requests go: one method sends several, another none before its answer is looked at."""

    def __init__(self, port: Port, target: object, place: str) -> None:
        super().__init__(port, target, place)
        ledger: Any = target
        self._put_row = self._stopping("put_rows", ledger.put_rows)
        self.due = self._stopping("due", lambda *query: list(ledger.due(*query)))

    def put_rows(self, key: LedgerKey, source: str, generation: int, rows: Mapping[str, Row]) -> None:
        for version_id, row in rows.items():
            self._put_row(key, source, generation, {version_id: row})


#: Versions on a page of a listing.
_PAGE: Final = 2


class _PagedPort(_Port):
    """A listing takes a request for each page, and what happens between them may or may not be seen."""

    def __init__(self, port: Port, target: object, place: str) -> None:
        super().__init__(port, target, place)
        paged: Any = target
        self._page = self._stopping("page", paged.page)

    def versions(self, *asked: Any, **more: Any) -> Sequence[ListedVersion]:
        """Whatever else it is asked: where it may end early, it does not; whom it asks whether there is time,
        it asks between two pages."""
        where = [name for name in asked if isinstance(name, str)]
        hurried = [one for one in (*asked, *more.values()) if callable(one)]
        found: list[ListedVersion]
        found, after = self._page(*where, None, _PAGE)
        while after is not None:
            for in_time in hurried:
                in_time()
            page, after = self._page(*where, after, _PAGE)
            found = [*found, *page]
        return found
