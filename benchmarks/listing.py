"""How fast a bucket is listed by many threads, and in how much memory.

Run it: ``python -m benchmarks.listing``. The bucket is made up as it is listed, and answers after 30 ms; the
threads are real. The memory is what is allocated at most while all keys are visited, made-up pages included.
"""

import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, overload

from s3replicator.adapters.runtime import SystemClock, Threads
from s3replicator.usecases.listing import Buckets, Checkpoint, KeyVersions, Walk
from tests.unit.memory_listing import MemoryLister

LATENCY: Final = 0.03  # seconds
PAGE: Final = 100
SPEED_KEYS: Final = 1000 * PAGE
THREADS: Final = (16, 24, 32)
SIZES: Final = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Names(Sequence[str]):
    """As many keys as wanted, none of them in memory."""

    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self.size))]
        if not 0 <= index < self.size:
            raise IndexError(index)
        return f"data/part-{index:09d}.parquet"


@dataclass(slots=True)
class Counter:
    keys: int = 0

    def key(self, key: str, found: Sequence[KeyVersions]) -> None:
        assert found[0].key == key
        self.keys += 1

    def flush(self) -> int:
        return self.keys


def walk(lister: MemoryLister, threads: int) -> None:
    clock = SystemClock()
    reader = Walk(Buckets([lister], "", 100, PAGE), Threads(threads), threads, clock)
    reached = reader.run(
        lambda _name: Counter(), lambda _checkpoint: None, Checkpoint(), deadline=clock.now() + 3600
    )
    assert sum(reached.memos.values()) == len(lister.keys)


def slow_lister() -> MemoryLister:
    return MemoryLister(Names(SPEED_KEYS), pause=partial(time.sleep, LATENCY))


def seconds(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def peak(keys: int, threads: int) -> float:
    """In MiB, of what a walk allocates."""
    lister = MemoryLister(Names(keys), pause=partial(time.sleep, 0.001))
    tracemalloc.start()
    walk(lister, threads)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def main() -> None:
    print(f"{SPEED_KEYS // PAGE} pages of {PAGE} keys, {LATENCY * 1000:.0f} ms each\n")
    alone = seconds(partial(walk, slow_lister(), 1))
    print(f"  serial      {alone:6.2f} s")
    for threads in THREADS:
        lister = slow_lister()
        together = seconds(partial(walk, lister, threads))
        print(
            f"  {threads} threads  {together:6.2f} s   {alone / together:4.1f} times as fast,"
            f" {lister.calls} requests"
        )
    print("\npeak memory, 16 threads\n")
    for keys in SIZES:
        print(f"  {keys:>7} keys  {peak(keys, 16):6.2f} MiB")


if __name__ == "__main__":
    main()
