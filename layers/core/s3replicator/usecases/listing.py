"""Reading the listings of buckets: key by key, several buckets side by side, and by many threads at once.

A listing can be read from any key on, so the key space is divided by keys, whatever they look like. Nobody
knows beforehand where the keys are. A walk begins with one range, and whoever has nothing to do takes the
upper part of a range that somebody else is reading; that part is looked for by listing a page from somewhere
in the middle.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import Condition
from types import TracebackType
from typing import Any, Final, Protocol

from s3replicator.decisions.keyspace import Probe, Search
from s3replicator.decisions.versions import ListedVersion
from s3replicator.ports import Clock, Lister, Page, Parallel, Position

#: What S3 lists in one answer at most.
_PAGE: Final = 1000

#: How many looks are taken at a range at most, each at the price of a page, to find a part to take off: so
#: many at first, and another with every page that its reader reads.
_LOOKS: Final = 12


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys above ``after``, up to and with ``until``; None is the end of the bucket."""

    after: str | None = None
    until: str | None = None

    def holds(self, key: str) -> bool:
        return (self.after is None or key > self.after) and (self.until is None or key <= self.until)


@dataclass(frozen=True, slots=True)
class KeyVersions:
    """A key, and its versions and delete markers, newest first; all of them if ``complete``, else the
    newest."""

    key: str
    versions: tuple[ListedVersion, ...] = ()
    complete: bool = True


class KeyStream:
    """Reads one bucket's listing key by key, and no further than ``goes_on`` says.

    It holds a page and a key. What a key has beyond ``most_versions`` is passed over without being read.
    """

    def __init__(
        self,
        lister: Lister,
        prefix: str,
        after: Position | None,
        most_versions: int,
        *,
        goes_on: Callable[[str], bool] = lambda _key: True,
        page_size: int = _PAGE,
        first: Page | None = None,
    ) -> None:
        """``first`` is the page that begins at ``after``, if it has been read already."""
        self._lister = lister
        self._prefix = prefix
        self._after = after
        self._most_versions = most_versions
        self._goes_on = goes_on
        self._page_size = page_size
        self._first = first
        self.pages = 0
        #: The last key that has been read; None if nothing is left to read.
        self.read_to: str | None = None

    def __iter__(self) -> Iterator[KeyVersions]:
        key: str | None = None
        versions: list[ListedVersion] = []
        complete = True
        after = self._after
        while True:
            page = self._read(after)
            for name, version in page.versions:
                if name != key:
                    if key is not None:
                        yield KeyVersions(key, tuple(versions), complete)
                    if not self._goes_on(name):
                        self.read_to = None
                        return
                    key, versions, complete = name, [], True
                if len(versions) < self._most_versions:
                    versions.append(version)
                else:
                    complete = False
            if page.after is None:
                break
            after = page.after if complete or key is None else Position(key)
            # One page at a time in memory.
            del page
        if key is not None:
            yield KeyVersions(key, tuple(versions), complete)

    def _read(self, after: Position | None) -> Page:
        page, self._first = self._first or self._lister.page(self._prefix, after, self._page_size), None
        self.pages += 1
        if page.after is None:
            self.read_to = None
        elif page.versions:
            self.read_to = page.versions[-1][0]
        return page


def groups(
    lister: Lister, prefix: str, keys: KeyRange, most_versions: int, page_size: int = _PAGE
) -> Iterator[KeyVersions]:
    """The keys of a range that begin with ``prefix``, in order."""
    after = None if keys.after is None else Position(keys.after)
    return iter(KeyStream(lister, prefix, after, most_versions, goes_on=keys.holds, page_size=page_size))


def merged(streams: Sequence[Iterable[KeyVersions]]) -> Iterator[tuple[str, tuple[KeyVersions, ...]]]:
    """Every key of any stream, in order, with what each of the streams has of it: perhaps no version."""
    readers = [iter(stream) for stream in streams]
    heads = [next(reader, None) for reader in readers]
    while True:
        key = min((head.key for head in heads if head is not None), default=None)
        if key is None:
            return
        yield (
            key,
            tuple(head if head is not None and head.key == key else KeyVersions(key) for head in heads),
        )
        heads = [
            next(reader, None) if head is not None and head.key == key else head
            for reader, head in zip(readers, heads, strict=True)
        ]


# -- by many threads at once


class Visitor(Protocol):
    """Deals with the keys of one range, in order, in one thread."""

    def key(self, key: str, found: Sequence[KeyVersions]) -> None:
        """``found``: what each bucket has of the key, in the order of the listers."""
        ...

    def flush(self) -> Any:
        """Make what has been done up to now durable. Returns what shall be remembered of it all, from the
        first key of the range on, in place of what was returned before: anything JSON can say, None for
        nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a walk has come. ``todo``: what is left, disjoint, in order. ``memos``: by the names of ranges,
    what visitors asked to remember. ``runs``: how many times the walk has been begun or resumed."""

    todo: tuple[KeyRange, ...] = (KeyRange(),)
    memos: Mapping[str, Any] = field(default_factory=dict)
    runs: int = 0

    @property
    def finished(self) -> bool:
        return not self.todo

    def document(self) -> dict[str, Any]:
        """For JSON."""
        todo = [[keys.after, keys.until] for keys in self.todo]
        return {"todo": todo, "memos": dict(self.memos), "runs": self.runs}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Checkpoint":
        todo = tuple(KeyRange(after, until) for after, until in document["todo"])
        return cls(todo, document["memos"], document["runs"])


class Gate(Protocol):
    """What the threads of a walk share is touched behind it only. ``threading.Condition`` is one."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> Any: ...

    def wait(self) -> Any: ...

    def notify_all(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a walk reads: everything of a prefix, side by side."""

    listers: Sequence[Lister]
    prefix: str
    most_versions: int
    page_size: int = _PAGE


class Walk:
    """Reads ``buckets`` with ``workers`` threads, which ``parallel`` must be able to run at once.

    Each range has one visitor, and a name that no other range of the walk ever gets, in any of its runs: what
    is left of a range when a run ends is a new range for the next one. So what a visitor has made durable
    under its range's name is known by the checkpoint's memo of that name, and what goes beyond it was made
    after the checkpoint, and will be made again.
    """

    def __init__(
        self,
        buckets: Buckets,
        parallel: Parallel,
        workers: int,
        clock: Clock,
        *,
        gate: Callable[[], Gate] = Condition,
    ) -> None:
        self._buckets = buckets
        self._parallel = parallel
        self._workers = workers
        self._clock = clock
        self._gate = gate

    def run(
        self,
        visitor: Callable[[str], Visitor],
        save: Callable[[Checkpoint], None],
        begin: Checkpoint,
        *,
        deadline: float,
        interval: float = 60.0,
    ) -> Checkpoint:
        """Go on from ``begin`` until all is done, or until the first key after ``deadline``, in seconds since
        the epoch. Returns how far it came.

        ``visitor`` makes one for a range, given the range's name. ``save`` is called with a checkpoint at
        once, about every ``interval`` seconds, and in the end, by one thread at a time; a process that dies
        loses what came after the last one. A failure, of a lister or a visitor, ends the run in all threads
        and is raised, when the rest has been saved.
        """
        if begin.finished:
            return begin
        run = _Run(
            self._buckets,
            self._clock,
            self._gate(),
            begin,
            visitor=visitor,
            save=save,
            deadline=deadline,
            interval=interval,
        )
        # Names given from here on must not be given again.
        save(run.checkpoint())
        try:
            self._parallel.map(lambda _number: run.work(), range(self._workers))
        finally:
            run.stop()
        reached = run.checkpoint()
        save(reached)
        if run.failure is not None:
            raise run.failure
        return reached


@dataclass(slots=True, eq=False)
class _Range:
    """A range that is being read, or waits to be. Its end comes nearer when somebody takes its upper part."""

    name: str
    #: What is up to it has been made durable.
    after: str | None
    until: str | None
    #: Finds where to take something off.
    search: Search
    #: Pages that begin at ``after``, by lister.
    first: Mapping[int, Page] = field(default_factory=dict)
    #: The last key that the visitor was given.
    visited: str | None = None
    #: The last key whose page the reader has. None: there is nothing to take from what it has to read.
    read_to: str | None = None
    pages: int = 0
    #: Nothing is left to visit.
    over: bool = False
    #: Somebody is looking for something to take off.
    looked_at: bool = False
    looks: int = 0

    def holds(self, key: str) -> bool:
        return self.until is None or key <= self.until


@dataclass(frozen=True, slots=True)
class _Look:
    """Somebody looks at what a range has above a key. Until that is done nobody else moves its end."""

    taken_from: _Range
    probe: Probe


class _Run:
    def __init__(
        self,
        buckets: Buckets,
        clock: Clock,
        gate: Gate,
        begin: Checkpoint,
        *,
        visitor: Callable[[str], Visitor],
        save: Callable[[Checkpoint], None],
        deadline: float,
        interval: float,
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        self._gate = gate
        self._visitor = visitor
        self._save = save
        self._deadline = deadline
        self._interval = interval
        self._runs = begin.runs + 1
        self._memos = dict(begin.memos)
        self._names = count(1)
        self._waiting = [
            _Range(self._name(), keys.after, keys.until, Search(keys.until)) for keys in reversed(begin.todo)
        ]
        #: The one that was looked at longest ago first.
        self._reading: list[_Range] = []
        self._stopped = False
        self._saving = False
        self._saved = clock.now()
        self.failure: Exception | None = None

    def work(self) -> None:
        """What each thread does."""
        try:
            while (mine := self._next()) is not None:
                self._read(mine)
        except Exception as failure:
            with self._gate:
                self.failure = self.failure or failure
                self._stop()

    def stop(self) -> None:
        """Let every thread end at its next key."""
        with self._gate:
            self._stop()

    def _is_stopped(self) -> bool:
        if not self._stopped and self._clock.now() >= self._deadline:
            self._stop()
        return self._stopped

    def _stop(self) -> None:
        self._stopped = True
        self._gate.notify_all()

    def checkpoint(self) -> Checkpoint:
        with self._gate:
            todo = [
                KeyRange(one.after, one.until)
                for one in (*self._waiting, *self._reading)
                # Else its reader has come to where it was cut off, and does not know yet.
                if one.after is None or one.after != one.until
            ]
            return Checkpoint(
                tuple(sorted(todo, key=lambda keys: keys.after or "")), dict(self._memos), self._runs
            )

    def _name(self) -> str:
        return f"{self._runs}-{next(self._names)}"

    # -- reading a range

    def _read(self, mine: _Range) -> None:
        visitor = self._visitor(mine.name)
        streams = self._streams(mine)
        due = self._clock.now() + self._interval
        for key, found in merged(streams):
            if not self._may_visit(mine, key, streams):
                break
            visitor.key(key, found)
            if self._clock.now() >= due:
                self._flush(mine, visitor)
                self._save_if_due()
                due = self._clock.now() + self._interval
        else:
            mine.over = True
        self._flush(mine, visitor)
        if mine.over:
            with self._gate:
                self._reading.remove(mine)
                self._gate.notify_all()

    def _streams(self, mine: _Range) -> list[KeyStream]:
        buckets = self._buckets
        after = None if mine.after is None else Position(mine.after)
        first, mine.first = mine.first, {}
        return [
            KeyStream(
                lister,
                buckets.prefix,
                after,
                buckets.most_versions,
                goes_on=mine.holds,
                page_size=buckets.page_size,
                first=first.get(number),
            )
            for number, lister in enumerate(buckets.listers)
        ]

    def _may_visit(self, mine: _Range, key: str, streams: Iterable[KeyStream]) -> bool:
        with self._gate:
            if self._is_stopped():
                return False
            if not mine.holds(key):
                mine.over = True
                return False
            mine.visited = key
            read_to = min((one.read_to for one in streams if one.read_to is not None), default=None)
            if read_to != mine.read_to:
                mine.read_to = read_to
                mine.pages = max(one.pages for one in streams)
                self._gate.notify_all()
            return True

    def _flush(self, mine: _Range, visitor: Visitor) -> None:
        memo = visitor.flush()
        with self._gate:
            if mine.visited is not None:
                mine.after = mine.visited
            if memo is not None:
                self._memos[mine.name] = memo

    def _save_if_due(self) -> None:
        with self._gate:
            if self._saving or self._clock.now() < self._saved + self._interval:
                return
            self._saving = True
        self._save(self.checkpoint())
        with self._gate:
            self._saving = False
            self._saved = self._clock.now()

    # -- finding a range to read

    def _next(self) -> _Range | None:
        """A range that waits, or else a part of one that is being read. None if there will be neither."""
        while True:
            found = self._wait()
            if not isinstance(found, _Look):
                return found
            part = self._take(found)
            if part is not None:
                return part

    def _wait(self) -> _Range | _Look | None:
        with self._gate:
            while True:
                if self._is_stopped() or not (self._waiting or self._reading):
                    return None
                if self._waiting:
                    self._reading.append(self._waiting.pop())
                    return self._reading[-1]
                look = self._look()
                if look is not None:
                    return look
                self._gate.wait()

    def _look(self) -> _Look | None:
        for one in self._reading:
            if one.over or one.looked_at or one.read_to is None or one.looks >= _LOOKS + one.pages:
                continue
            probe = one.search.probe(one.read_to, self._buckets.prefix)
            if probe is not None:
                one.looked_at = True
                one.looks += 1
                self._reading.remove(one)
                self._reading.append(one)
                return _Look(one, probe)
        return None

    def _take(self, look: _Look) -> _Range | None:
        """The part above the key, if there is more than a page of it."""
        one, key = look.taken_from, look.probe.key
        page = self._page_above(key, one.until)
        with self._gate:
            one.looked_at = False
            if page is None:
                one.search = one.search.few_above(look.probe)
                return None
            if not look.probe.decisive:
                one.search = one.search.many_above(look.probe)
                return None
            if self._stopped or one.over or (one.visited is not None and one.visited > key):
                return None
            part = _Range(self._name(), key, one.until, Search(one.search.high), page)
            one.until, one.search, one.looks = key, Search(key), 0
            self._reading.append(part)
            return part

    def _page_above(self, key: str, until: str | None) -> Mapping[int, Page] | None:
        """The first page above a key of a bucket that has more than this one, by the number of its lister."""
        for number, lister in enumerate(self._buckets.listers):
            page = lister.page(self._buckets.prefix, Position(key), self._buckets.page_size)
            if page.after is not None and page.versions and (until is None or page.versions[-1][0] < until):
                return {number: page}
        return None
