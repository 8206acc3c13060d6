"""What an operator asks of the open work: the versions that are not where they should be, and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from s3replicator.decisions.ledger import LedgerKey, Row, Status


class NoSuchPlace(Exception):
    """This is no place in the list that was asked for."""


@dataclass(frozen=True, slots=True)
class OpenRow:
    """``version_id`` is the version's name at the source; ``token`` the place after it in the list."""

    key: LedgerKey
    source: str
    version_id: str
    row: Row
    token: str

    @property
    def moment(self) -> float:
        """When it failed last; of what has not been tried, when it was written. Seconds since the epoch."""
        row = self.row
        return row.last_failure or row.first_failure or row.event_time or row.order.last_modified

    @property
    def can_be_retried(self) -> bool:
        """An event does nothing for a version that is settled, unless its replica is owed a change."""
        return not self.row.final or (self.row.live and bool(self.row.owed))


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that are given must hold. Times in seconds since the epoch."""

    status: Status | None = None
    reason: str | None = None
    rule: str | None = None
    prefix: str = ""
    failed_after: float | None = None
    failed_before: float | None = None

    def selects(self, found: OpenRow) -> bool:
        row = found.row
        return (
            row.open
            and found.key.key.startswith(self.prefix)
            and self.status in (None, row.standing)
            and self.reason in (None, row.reason)
            and self.rule in (None, row.rule)
            and (self.failed_after is None or found.moment > self.failed_after)
            and (self.failed_before is None or found.moment < self.failed_before)
        )


@dataclass(frozen=True, slots=True)
class Group:
    """``oldest`` is when the first of them failed last, in seconds since the epoch."""

    destination: str
    status: Status
    reason: str | None
    count: int
    oldest: float


def grouped(rows: Iterable[OpenRow]) -> list[Group]:
    """By destination, status and reason; of each destination the most frequent first."""
    counts: Counter[tuple[str, Status, str | None]] = Counter()
    oldest: dict[tuple[str, Status, str | None], float] = {}
    for found in rows:
        about = (found.key.destination, found.row.standing, found.row.reason)
        counts[about] += 1
        oldest[about] = min(oldest.get(about, found.moment), found.moment)
    groups = [Group(*about, count=count, oldest=oldest[about]) for about, count in counts.items()]
    return sorted(groups, key=lambda group: (group.destination, -group.count, group.reason or ""))
