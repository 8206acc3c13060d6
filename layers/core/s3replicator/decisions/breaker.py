"""The breaker on version deletes: a mistake at the source must not empty a destination.

Deletes are counted by the hour. The first one above the limit opens the breaker; from then on nothing is
deleted at that destination until an operator has looked and closes it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Breaker:
    """``hour`` as in 2026-11-22T16 (UTC); ``opened`` in seconds since the epoch, None while closed."""

    hour: str
    count: int
    opened: float | None = None


def hour_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H")
