"""What every pass over a key needs, gathered once."""

from collections.abc import Mapping
from dataclasses import dataclass

from s3replicator.decisions.backoff import RetryPolicy
from s3replicator.decisions.failures import Reason, RetryableError, TerminalError
from s3replicator.ports import Clock, DestinationBucket, Dice, Ledger, Outbox, Parallel, Source


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. ``publish`` is the longest a client waits for the answer to a visible write; ``grace`` is
    how long a lease outlives its worker's time, so that what S3 is still doing for a dead worker is
    over before anybody else begins."""

    grace: float
    publish: float
    defer: float
    retry: RetryPolicy


@dataclass(frozen=True, slots=True)
class Engine:
    source: Source
    destinations: Mapping[str, DestinationBucket]
    ledger: Ledger
    outbox: Outbox
    clock: Clock
    dice: Dice
    parallel: Parallel
    timing: Timing

    def destination(self, name: str) -> DestinationBucket:
        """Raises ``TerminalError`` if the stack does not have it, or not any more."""
        try:
            return self.destinations[name]
        except KeyError:
            raise TerminalError(
                Reason.DESTINATION_NOT_IN_STACK,
                f"the stack's parameter Destinations does not name {name!r}, only"
                f" {', '.join(sorted(self.destinations))}",
            ) from None

    def may_publish(self, deadline: float) -> bool:
        """False when a visible write begun now might outlive this worker."""
        return self.clock.now() + self.timing.publish <= deadline

    def check_time(self, deadline: float) -> None:
        """Raises ``RetryableError`` when it is too late for another request."""
        if not self.may_publish(deadline):
            raise RetryableError(Reason.BUSY, "the worker's time is up")
