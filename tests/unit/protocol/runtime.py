"""The machine the use cases run on, in the hands of a test: its clock, its dice, its threads."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: 2027-01-15T08:00:00Z
DAWN: Final = 1_800_000_000.0


class ManualClock:
    def __init__(self, now: float = DAWN) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance_to(self._now + seconds)

    def advance_to(self, moment: float) -> None:
        # Milliseconds are all that the ledger keeps of a time.
        self._now = max(self._now, round(moment, 3))


class SkewedClock:
    """A worker's clock, so many seconds ahead of another."""

    def __init__(self, clock: ManualClock, ahead: float) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> float:
        return self._clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


class CountingDice:
    """Tokens say whose they are; chance is always half."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._count = 0

    def random(self) -> float:
        return 0.5

    def token(self) -> str:
        self._count += 1
        return f"{self._owner}-{self._count}"


class OneByOne:
    """A worker whose threads take turns, so that a run can be repeated."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        return [function(item) for item in items]
