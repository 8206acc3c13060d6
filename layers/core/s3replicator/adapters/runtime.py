"""The machine we run on: its clock, its dice and its threads."""

import random
import secrets
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
    """``workers`` requests at a time; they wait for S3, not for the processor."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=workers)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        listed = list(items)
        if len(listed) == 1:
            # Not only quicker: a pool whose threads wait for threads of the same pool can stand still.
            return [function(listed[0])]
        return list(self._pool.map(function, listed))
