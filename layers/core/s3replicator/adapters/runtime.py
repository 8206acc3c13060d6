"""The machine we run on: its clock, its dice and its threads."""

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class SystemClock:
    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SystemDice:
    def random(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing

    def token(self) -> str:
        return secrets.token_urlsafe(12)


class Threads:
    """``workers`` requests at a time; they wait for S3, not for the processor.

    What one of these threads asks to be done in parallel it does itself, one after the other: if it waited
    for the others, which may be waiting for it, nothing would go on.
    """

    def __init__(self, workers: int) -> None:
        self._ours = threading.local()
        self._pool = ThreadPoolExecutor(max_workers=workers, initializer=self._begin)

    def _begin(self) -> None:
        self._ours.is_worker = True

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        listed = list(items)
        if len(listed) == 1 or getattr(self._ours, "is_worker", False):
            return [function(item) for item in listed]
        return list(self._pool.map(function, listed))
