"""The ledger in memory: items under conditions, as DynamoDB keeps them.

Items hold values of their own: nothing that a caller changes later is changed here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from s3replicator.decisions.breaker import Breaker, hour_of
from s3replicator.decisions.ledger import (
    Head,
    Intent,
    Lease,
    LedgerKey,
    OrderFacts,
    Row,
)
from s3replicator.ports import (
    Conflict,
    DueItem,
    Duplicate,
    Granted,
    Held,
    InTime,
    LeaseAnswer,
    LeaseLost,
    unhurried,
)

#: Rows in a page of a query, which holds 1 MB.
ROWS: Final = 2500

#: Told of every change of a row: of which version, from what, to what.
Watch = Callable[[LedgerKey, str, Row | None, Row | None], None]


@dataclass(slots=True)
class _HeadItem:
    """``due`` is an attribute of its own, which puts the item into the index of open work."""

    head: Head
    due: float | None

    def miss(self, version_id: str) -> None:
        self.head = self.head.with_row(version_id, replace(self.head.rows[version_id], missed=True))


@dataclass(slots=True)
class _RowItem:
    source: str
    generation: int
    row: Row
    due: float | None

    def miss(self, _version_id: str) -> None:
        self.row = replace(self.row, missed=True)


@dataclass(slots=True)
class _Partition:
    head: _HeadItem | None = None
    rows: dict[str, _RowItem] = field(default_factory=dict)
    #: By source key and version.
    conflicts: dict[tuple[str, str], _RowItem] = field(default_factory=dict)

    def spilled(self, source: str) -> dict[str, Row]:
        return {version_id: item.row for version_id, item in self.rows.items() if item.source == source}

    def spilled_row(self, source: str, version_id: str) -> Row | None:
        item = self.rows.get(version_id)
        return item.row if item is not None and item.source == source else None

    def row(self, version_id: str) -> Row | None:
        """The row that counts: the head's own, else one that has spilled, if the head says that any has."""
        head = self.head.head if self.head else None
        if head is None or (version_id not in head.rows and not head.spilled):
            return None
        return head.rows.get(version_id) or self.spilled_row(head.source, version_id)


class MemoryLedger:
    def __init__(self, watch: Watch = lambda *_: None) -> None:
        self._watch = watch
        self._partitions: dict[LedgerKey, _Partition] = {}
        self._breakers: dict[str, Breaker] = {}
        self._copies: dict[tuple[str, str], int] = {}

    # -- heads

    def lease(
        self,
        key: LedgerKey,
        source: str,
        version_id: str | None,
        *,
        lease: Lease,
        intent: Intent | None,
        now: float,
    ) -> LeaseAnswer:
        part = self._partition(key)
        held = part.head.head if part.head else Head(source)
        row = held.rows.get(version_id) if version_id is not None else None
        settled = row is not None and row.final and held.clean
        free = held.lease is None or held.lease.expires < _ms(now)
        if held.source != source:
            return Conflict(held.source, _copied(held))
        if not free or settled:
            if held.lease is not None and held.lease.token == lease.token:
                # The SDK repeated the request: the first one was granted.
                return Granted(_copied(held))
            return Duplicate(row) if row is not None and settled else Held()
        granted = replace(
            held,
            lease=Lease(lease.token, _ms(lease.expires)),
            intent=held.intent or (_intent(intent) if intent else None),
            generation=held.generation + 1,
        )
        part.head = _HeadItem(granted, part.head.due if part.head else None)
        return Granted(_copied(granted))

    def take_over(
        self, key: LedgerKey, seen: Head, head: Head, *, lease: Lease, intent: Intent | None, now: float
    ) -> LeaseAnswer:
        part = self._partition(key)
        assert part.head is not None
        held = part.head.head
        free = held.lease is None or held.lease.expires < _ms(now)
        same = (held.source, held.rows, held.generation) == (seen.source, seen.rows, seen.generation)
        if not (same and free and held.clean):
            return self._why_not_taken_over(held, head.source, lease)
        granted = replace(
            _kept(head),
            heard=held.heard,
            lease=Lease(lease.token, _ms(lease.expires)),
            intent=_intent(intent) if intent else None,
            generation=held.generation + 1,
        )
        part.head = _HeadItem(granted, None)
        return Granted(_copied(granted))

    @staticmethod
    def _why_not_taken_over(held: Head, source: str, lease: Lease) -> LeaseAnswer:
        if held.source != source:
            return Conflict(held.source, _copied(held))
        repeated = held.lease is not None and held.lease.token == lease.token
        return Granted(_copied(held)) if repeated else Held()

    def write(self, key: LedgerKey, token: str, head: Head) -> None:
        part, kept = self._partition(key), _kept(head)
        if part.head is None or part.head.head.lease is None or part.head.head.lease.token != token:
            # The SDK repeats a request whose answer was lost; the first one may have released the lease.
            if part.head is None or part.head.head != kept:
                raise LeaseLost(f"{key}: the lease was taken over")
            return
        touched = {*part.head.head.rows, *kept.rows}
        before = {version_id: part.row(version_id) for version_id in touched}
        due = kept.due()
        part.head = _HeadItem(kept, _ms(due) if due is not None else None)
        self._tell(key, part, before)

    def open_intent(self, key: LedgerKey) -> Intent | None:
        """What has been announced; for a test to look at, while others are at work."""
        part = self._partition(key)
        return part.head.head.intent if part.head else None

    def places(self) -> list[LedgerKey]:
        """Where there is a head."""
        return [key for key, part in self._partitions.items() if part.head is not None]

    def holder(self, key: LedgerKey) -> Lease | None:
        part = self._partition(key)
        return part.head.head.lease if part.head else None

    def forge(self, key: LedgerKey, version_id: str, row: Row) -> bool:
        """Somebody else writes a row of the head, and does not ask for the lease; False while it is held."""
        part = self._partition(key)
        if part.head is None or part.head.head.lease is not None:
            return False
        part.head = replace(part.head, head=part.head.head.with_row(version_id, row))
        return True

    def lose(self) -> None:
        """All of it is gone."""
        self._partitions.clear()

    # -- rows

    def row(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        return self._partition(key).spilled_row(source, version_id)

    def head(self, key: LedgerKey) -> Head | None:
        part = self._partition(key)
        return _copied(part.head.head) if part.head else None

    def heads(self, keys: Sequence[LedgerKey]) -> Mapping[LedgerKey, Head]:
        found = {key: self.head(key) for key in keys}
        return {key: head for key, head in found.items() if head is not None}

    def peek(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        part = self._partition(key)
        if part.head is None:
            return None
        if part.head.head.source != source:
            return self.conflicts(key, source).get(version_id)
        row = part.head.head.rows.get(version_id)
        return self.row(key, source, version_id) if row is None and part.head.head.spilled else row

    def put_rows(self, key: LedgerKey, source: str, generation: int, rows: Mapping[str, Row]) -> None:
        part = self._partition(key)
        for version_id, row in rows.items():
            there = part.rows.get(version_id)
            if there is not None and there.generation > generation:
                raise LeaseLost(f"{key}: a later holder of the lease has written {version_id!r}")
            before = {version_id: part.row(version_id)}
            kept = _row(row)
            part.rows[version_id] = _RowItem(source, generation, kept, kept.swept_at)
            self._tell(key, part, before)

    def spilled(self, key: LedgerKey, source: str, in_time: InTime = unhurried) -> Mapping[str, Row]:
        for _ in range(ROWS, len(self._partition(key).rows), ROWS):
            in_time()
        return self._partition(key).spilled(source)

    def history(self, key: LedgerKey, in_time: InTime = unhurried) -> tuple[Head | None, Mapping[str, Row]]:
        part = self._partition(key)
        for _ in range(ROWS, len(part.rows), ROWS):
            in_time()
        if part.head is None:
            return None, {version_id: item.row for version_id, item in part.rows.items()}
        head = part.head.head
        return _copied(head), {**part.spilled(head.source), **head.rows}

    # -- what is kept out

    def conflicts(self, key: LedgerKey, source: str) -> Mapping[str, Row]:
        items = self._partition(key).conflicts.items()
        return {version_id: item.row for (of, version_id), item in items if of == source}

    def record_conflict(self, key: LedgerKey, source: str, version_id: str, row: Row) -> None:
        kept = _row(row)
        self._partition(key).conflicts[source, version_id] = _RowItem(source, 0, kept, kept.swept_at)

    def close_conflict(self, key: LedgerKey, source: str, version_id: str) -> None:
        self._partition(key).conflicts.pop((source, version_id), None)

    # -- the index of open work

    def due(self, destination: str, now: float) -> Iterable[DueItem]:
        """Shard by shard, the longest due first."""
        found = [item for item in self._open(destination) if item.due <= _ms(now)]
        return sorted(found, key=lambda item: (_shard_number(item.key), item.due))

    def count_open(self, destination: str) -> int:
        return len(self._open(destination))

    def postpone(self, item: DueItem, due: float, missed: Collection[str] = ()) -> bool:
        part = self._partition(item.key)
        if item.spilled:
            [version_id] = item.rows
            there: _RowItem | _HeadItem | None = part.rows.get(version_id)
        else:
            there = part.head if part.head and part.head.head.lease is None else None
        if there is None or there.due != _ms(item.due):
            return False
        there.due = _ms(due)
        for version_id in missed:
            there.miss(version_id)
        return True

    def close(self, item: DueItem) -> None:
        [version_id] = item.rows
        there = self._partition(item.key).rows.get(version_id)
        if there is not None and there.due == _ms(item.due):
            there.due = None

    # -- the breaker on version deletes

    def allow_version_delete(self, destination: str, limit: int, now: float) -> bool:
        hour = hour_of(now)
        breaker = self._breakers.get(destination)
        if breaker is not None and breaker.opened is not None:
            return False
        if breaker is None or breaker.hour < hour:
            breaker = Breaker(hour, 0)
        allowed = breaker.count < limit
        self._breakers[destination] = (
            replace(breaker, count=breaker.count + 1) if allowed else replace(breaker, opened=_ms(now))
        )
        return allowed

    def allow_copy_delete(self, destination: str, limit: int, now: float) -> bool:
        counted = self._copies.get((destination, hour_of(now)), 0)
        self._copies[destination, hour_of(now)] = counted + (counted < limit)
        return counted < limit

    def breaker(self, destination: str) -> Breaker | None:
        return self._breakers.get(destination)

    def close_breaker(self, destination: str) -> None:
        breaker = self._breakers.get(destination)
        if breaker is not None and breaker.opened is not None:
            self._breakers[destination] = replace(breaker, count=0, opened=None)

    # -- what they have in common

    def _partition(self, key: LedgerKey) -> _Partition:
        return self._partitions.setdefault(key, _Partition())

    def _open(self, destination: str) -> list[DueItem]:
        found: list[DueItem] = []
        for key, part in self._partitions.items():
            if key.destination != destination:
                continue
            if part.head is not None and part.head.due is not None:
                found.append(DueItem(key, part.head.head.source, dict(part.head.head.rows), part.head.due))
            for version_id, item in part.rows.items():
                if item.due is not None:
                    found.append(DueItem(key, item.source, {version_id: item.row}, item.due, spilled=True))
            for (source, version_id), item in part.conflicts.items():
                if item.due is not None:
                    found.append(DueItem(key, source, {version_id: item.row}, item.due, conflict=True))
        return found

    def _tell(self, key: LedgerKey, part: _Partition, before: Mapping[str, Row | None]) -> None:
        for version_id, row in before.items():
            now = part.row(version_id)
            if now != row:
                self._watch(key, version_id, row, now)


@lru_cache
def _shard_number(key: LedgerKey) -> int:
    return int(key.shard.rpartition("#")[2])


def _ms(moment: float) -> float:
    """DynamoDB's numbers are decimal; milliseconds are all that is kept of a time."""
    return round(moment, 3)


def _copied(head: Head) -> Head:
    return replace(head, rows=dict(head.rows))


def _kept(head: Head) -> Head:
    """As it comes back from the table."""
    return replace(
        head,
        lease=Lease(head.lease.token, _ms(head.lease.expires)) if head.lease else None,
        intent=_intent(head.intent) if head.intent else None,
        rows={version_id: _row(row) for version_id, row in head.rows.items()},
        top=(head.top[0], _order(head.top[1])) if head.top else None,
    )


def _intent(intent: Intent) -> Intent:
    return replace(intent, at=_ms(intent.at), order=_order(intent.order))


def _order(order: OrderFacts) -> OrderFacts:
    return replace(order, last_modified=_ms(order.last_modified))


@lru_cache(maxsize=65536)
def _row(row: Row) -> Row:
    times: dict[str, Any] = {
        name: _ms(moment)
        for name in ("first_failure", "last_failure", "due", "event_time", "completed")
        if (moment := getattr(row, name)) is not None
    }
    upload = replace(row.upload, started=_ms(row.upload.started)) if row.upload else None
    reason = str(row.reason) if row.reason is not None else None
    return replace(row, order=_order(row.order), upload=upload, reason=reason, **times)
