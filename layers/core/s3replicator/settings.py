"""What the template tells a function, through its environment. The only reader of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from s3replicator.decisions.backoff import RetryPolicy


class InvalidSettings(Exception):
    """The environment does not say what the function needs to know."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``destinations`` maps bucket to region; ``region`` is the stack's own. Times in seconds.

    ``peer_principals`` are the unique ids of those whose writes to the source are replicas already.
    """

    region: str
    source_bucket: str
    destinations: Mapping[str, str]
    ledger_table: str
    control_bucket: str
    ingest_queue_url: str
    large_queue_url: str
    dead_letter_queue_url: str
    parked_queue_url: str
    lease_grace: float
    configuration_cache: float
    defer: float
    retry: RetryPolicy
    peer_principals: frozenset[str] = frozenset()

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises ``InvalidSettings``, which names everything that is missing or wrong at once."""
        reader = _Reader(environment)
        settings = cls(
            region=reader.text("AWS_REGION"),
            source_bucket=reader.text("SOURCE_BUCKET"),
            destinations=reader.destinations("DESTINATIONS"),
            ledger_table=reader.text("LEDGER_TABLE"),
            control_bucket=reader.text("CONTROL_BUCKET"),
            ingest_queue_url=reader.text("INGEST_QUEUE_URL"),
            large_queue_url=reader.text("LARGE_QUEUE_URL"),
            dead_letter_queue_url=reader.text("DEAD_LETTER_QUEUE_URL"),
            parked_queue_url=reader.text("PARKED_QUEUE_URL"),
            lease_grace=reader.number("LEASE_GRACE_SECONDS"),
            configuration_cache=reader.number("CONFIGURATION_CACHE_SECONDS"),
            defer=reader.number("DEFER_SECONDS"),
            retry=RetryPolicy(
                base=reader.number("RETRY_BASE_SECONDS"),
                maximum=reader.number("RETRY_MAXIMUM_SECONDS"),
                attempts=int(reader.number("RETRY_MAXIMUM_ATTEMPTS")),
            ),
            peer_principals=reader.unique_ids("PEER_PRINCIPALS"),
        )
        if reader.problems:
            raise InvalidSettings("; ".join(reader.problems))
        return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        value = self._environment.get(name, "")
        if not value:
            self.problems.append(f"{name} is not set")
        return value

    def number(self, name: str) -> float:
        value = self.text(name)
        try:
            number = float(value or 0)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.problems.append(f"{name} is {value!r}, not a number")
            return 0
        return number

    def destinations(self, name: str) -> dict[str, str]:
        regions: dict[str, str] = {}
        for entry in self.text(name).split(","):
            bucket, _, region = entry.partition(":")
            if bucket and region:
                regions[bucket] = region
            elif entry:
                self.problems.append(f"{name} has {entry!r}, not bucket:region")
        if not regions and self._environment.get(name):
            self.problems.append(f"{name} names no destination")
        return regions

    def unique_ids(self, name: str) -> frozenset[str]:
        """May be empty. An ARN would match no event record, and a loop would go on in silence."""
        entries = frozenset(filter(None, self._environment.get(name, "").split(",")))
        self.problems += [
            f"{name} has {entry!r}, not the unique id of a role or user"
            for entry in sorted(entries)
            if not (entry.isascii() and entry.isalnum())
        ]
        return entries
