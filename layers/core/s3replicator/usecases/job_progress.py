"""What a worker of a job keeps of its batch, so that the next call goes on where it ended."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from s3replicator.decisions.job_report import Task, lines_of, tasks_of
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.selection import Portion, portion_of, portions
from s3replicator.decisions.versions import ListedVersion
from s3replicator.ports import JobStore


@dataclass(frozen=True, slots=True)
class Divided:
    """A key of many versions: it is the batch's ``number``-th, its versions have been written down in so many
    ``portions``, and ``done`` of them are."""

    number: int
    portions: int
    done: int = 0

    @property
    def ended(self) -> bool:
        return self.done >= self.portions


@dataclass(slots=True)
class BatchProgress:
    """The keys that are done, how often each has been tried, and their tasks. It is kept as the document
    ``name``; beside it the portions of long keys, and the tasks of those portions that are done: so no call
    lists, reads or writes again what is behind it."""

    store: JobStore
    name: str
    done: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    divided: dict[str, Divided] = field(default_factory=dict)
    _tasks: dict[tuple[str, str, LedgerKey], Task] = field(default_factory=dict)

    @classmethod
    def read(cls, store: JobStore, name: str) -> "BatchProgress":
        progress, body = cls(store, name), store.read(name)
        if body is not None:
            keys, _, lines = body.partition(b"\n")
            told = json.loads(keys)
            progress.done, progress.tries = set(told["done"]), Counter(told["tries"])
            progress.divided = {key: Divided(*one) for key, one in told.get("divided", {}).items()}
            progress.add(tasks_of(lines))
        return progress

    def add(self, tasks: Iterable[Task]) -> None:
        """What is told again of a version takes the place of what was told before."""
        for task in tasks:
            # Of one version there may be several findings.
            self._tasks[task.key, f"{task.version} {task.finding}", task.place] = task

    def of(self, key: str) -> Iterator[Task]:
        """Without those of portions that are done."""
        return (task for task in self._tasks.values() if task.key == key)

    def save(self) -> None:
        keys = {"done": sorted(self.done), "tries": self.tries}
        if self.divided:
            told = {key: [one.number, one.portions, one.done] for key, one in self.divided.items()}
            keys["divided"] = told
        self.store.write(self.name, json.dumps(keys).encode() + b"\n" + lines_of(self._tasks.values()))

    def results(self) -> bytes:
        """The tasks of the whole batch, each version once: a portion may tell of one of another, too, which
        had to be looked after for its sake."""
        whole = BatchProgress(self.store, self.name)
        for one in self.divided.values():
            for number in range(one.done):
                body = self.store.read(self._beside("tasks", one.number, number))
                assert body is not None, "it was written before the portion was called done"
                whole.add(tasks_of(body))
        whole.add(self._tasks.values())
        return lines_of(whole._tasks.values())

    # -- keys of many versions

    def divide(self, key: str, versions: Sequence[ListedVersion], most: int) -> None:
        """Write down these versions of a key, the oldest first, so many in a portion."""
        number, count = len(self.divided), 0
        for portion in portions(versions, most):
            self.store.write(self._beside("versions", number, count), portion.encode())
            count += 1
        self.divided[key] = Divided(number, count)
        self.save()

    def portion(self, key: str) -> Portion:
        """The next one to be worked on."""
        one = self.divided[key]
        body = self.store.read(self._beside("versions", one.number, one.done))
        assert body is not None, "it was written before the key was called divided"
        return portion_of(body)

    def portion_done(self, key: str) -> None:
        one = self.divided[key]
        done = {which: task for which, task in self._tasks.items() if task.key == key}
        self.store.write(self._beside("tasks", one.number, one.done), lines_of(done.values()))
        self._tasks = {which: task for which, task in self._tasks.items() if which not in done}
        self.divided[key] = replace(one, done=one.done + 1)
        self.save()

    def _beside(self, what: str, key: int, portion: int) -> str:
        return f"{self.name.removesuffix('.jsonl')}-{key}-{what}-{portion:06}.jsonl"
