"""When to try again: exponential backoff with full jitter, and when to stop."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays in seconds; an attempt is one pass of a worker over a version."""

    base: float
    maximum: float
    attempts: int

    def exhausted(self, attempts: int) -> bool:
        return attempts >= self.attempts

    def delay(self, attempts: int, random: float) -> float:
        """Seconds to wait after ``attempts`` failed attempts (at least one); ``random`` is in [0, 1).

        Full jitter over the exponential ceiling, but never less than half the base: a retry at once
        would meet the same outage.
        """
        # Doubling beyond the ceiling only overflows; sixty-four doublings reach any ceiling.
        ceiling = min(self.maximum, self.base * 2.0 ** min(attempts - 1, 64))
        return max(self.base / 2, ceiling * random)
