"""The ledger in DynamoDB. See docs/architecture.md, "The ledger"."""

import contextlib
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.ledger_items import (
    HEAD,
    ROW,
    SCHEMA,
    Item,
    breaker_key,
    conflict_item,
    conflict_key,
    conflict_prefix,
    copies_key,
    encode,
    head_item,
    head_key,
    intent_value,
    is_open,
    is_row,
    key_of,
    lease_value,
    partition,
    read_breaker,
    read_due,
    read_head,
    read_row,
    row_item,
    row_key,
    rows_value,
    source_of,
)
from s3replicator.decisions.breaker import Breaker, hour_of
from s3replicator.decisions.failures import Reason, RetryableError, TerminalError
from s3replicator.decisions.ledger import (
    FINAL,
    SHARDS,
    Head,
    Intent,
    Lease,
    LedgerKey,
    Row,
    shard_name,
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

INDEX: Final = "open-work"

_FREE: Final = "(attribute_not_exists(#lease) OR #lease.#expires < :now)"
_OURS: Final = "(attribute_not_exists(#source) OR #source = :source)"
#: The head as it was seen, and at rest: whoever leases it is counted, and whoever writes it changes its rows.
_AS_SEEN: Final = (
    "#source = :former AND #rows = :rows AND attribute_not_exists(#intent)"
    " AND attribute_not_exists(#unsettled)"
    " AND (attribute_not_exists(#generation) OR #generation = :generation)"
)
_HOLDS: Final = "#lease.#token = :token"
_KNOWN: Final = "(attribute_not_exists(#schema) OR #schema <= :schema)"
_UNSETTLED_VERSION: Final = (
    "NOT (#rows.#version.#status IN (:completed, :superseded, :tombstone)"
    " AND attribute_not_exists(#intent) AND attribute_not_exists(#unsettled))"
)
_FINAL_VALUES: Final = {f":{status.lower()}": status for status in FINAL}
_NOT_LATER: Final = "attribute_not_exists(#generation) OR #generation <= :generation"

# Several workers count version deletes at once, and some see the hour change before others. ``last`` names
# the delete counted last: the SDK repeats a request whose answer was lost, and none shall count twice.
_MAY_COUNT: Final = (
    "#hour >= :hour AND #count < :limit AND attribute_not_exists(#opened) AND NOT #last = :delete"
)
_COUNT: Final = "SET #last = :delete ADD #count :one"
_NEW_HOUR: Final = "attribute_not_exists(#opened) AND (attribute_not_exists(#hour) OR #hour < :hour)"
_BEGIN_HOUR: Final = "SET #hour = :hour, #count = :zero, #schema = :schema"
_FULL: Final = "attribute_not_exists(#opened) AND #hour >= :hour AND #count >= :limit"
_OPEN: Final = "SET #opened = :now"

_IN_PARTITION: Final = "#pk = :pk"
_IN_SHARD: Final = "#open = :shard"
_DUE: Final = f"{_IN_SHARD} AND #due <= :now"

#: What one BatchGetItem takes.
_MOST_AT_ONCE: Final = 100

_NAME: Final = re.compile(r"#\w+")


class DynamoLedger:
    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

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
        update = (
            "SET #lease = :lease, #source = :source, #schema = :schema,"
            " #rows = if_not_exists(#rows, :no_rows)"
        )
        condition = f"{_FREE} AND {_OURS} AND {_KNOWN}"
        values = {
            ":lease": lease_value(lease),
            ":source": source,
            ":schema": SCHEMA,
            ":no_rows": {},
            ":now": now,
            ":one": 1,
        }
        special = {}
        if intent is not None:
            update += ", #intent = if_not_exists(#intent, :intent)"
            values[":intent"] = intent_value(intent)
        if version_id is not None:
            condition += f" AND {_UNSETTLED_VERSION}"
            values |= _FINAL_VALUES
            special["#version"] = version_id
        update += " ADD #generation :one"
        try:
            item = self._update(head_key(key), update, condition, values, special)
        except _ConditionFailed as refused:
            return _why_refused(read_head(refused.item), source, version_id, lease)
        return Granted(read_head(item))

    def take_over(
        self, key: LedgerKey, seen: Head, head: Head, *, lease: Lease, intent: Intent | None, now: float
    ) -> LeaseAnswer:
        update = "SET #lease = :lease, #source = :source, #schema = :schema, #rows = :no_rows"
        values = {
            ":lease": lease_value(lease),
            ":source": head.source,
            ":schema": SCHEMA,
            ":no_rows": {},
            ":former": seen.source,
            ":rows": rows_value(seen.rows),
            ":generation": seen.generation,
            ":now": now,
            ":one": 1,
        }
        removed = ["#spilled", "#top", "#open", "#due"]
        if intent is not None:
            update += ", #intent = :intent"
            values[":intent"] = intent_value(intent)
        if head.stray:
            update += ", #stray = :stray"
            values[":stray"] = list(head.stray)
        else:
            removed.append("#stray")
        update += f" ADD #generation :one REMOVE {', '.join(removed)}"
        try:
            item = self._update(head_key(key), update, f"{_AS_SEEN} AND {_FREE} AND {_KNOWN}", values)
        except _ConditionFailed as refused:
            return _why_refused(read_head(refused.item), head.source, None, lease)
        return Granted(read_head(item))

    def write(self, key: LedgerKey, token: str, head: Head) -> None:
        item = head_item(key, head)
        try:
            with _ledger_failures():
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=_HOLDS,
                    ExpressionAttributeNames=_names(_HOLDS),
                    ExpressionAttributeValues=encode({":token": token}),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except _ConditionFailed as refused:
            # The SDK repeats a request whose answer was lost; the first one may have released the lease.
            if not refused.item or read_head(refused.item) != read_head(item):
                raise LeaseLost(f"{key}: the lease was taken over") from None

    def row(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        item = self._item(row_key(key, version_id))
        return read_row(item)[1] if item is not None and source_of(item) == source else None

    def _item(self, item_key: Mapping[str, Any]) -> Mapping[str, Any] | None:
        with _ledger_failures():
            answer = self._client.get_item(TableName=self._table, Key=item_key, ConsistentRead=True)
        item: Mapping[str, Any] | None = answer.get("Item")
        return item

    def head(self, key: LedgerKey) -> Head | None:
        item = self._item(head_key(key))
        return read_head(item) if item is not None else None

    def heads(self, keys: Sequence[LedgerKey]) -> Mapping[LedgerKey, Head]:
        found: dict[LedgerKey, Head] = {}
        for start in range(0, len(keys), _MOST_AT_ONCE):
            wanted: list[Mapping[str, Any]] = [head_key(key) for key in keys[start : start + _MOST_AT_ONCE]]
            while wanted:
                with _ledger_failures():
                    answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": wanted}})
                items = answer["Responses"].get(self._table, [])
                found |= {key_of(item): read_head(item) for item in items}
                # The table may take a part of them only, the size of the answer or its throughput allowing.
                wanted = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        return found

    def peek(self, key: LedgerKey, source: str, version_id: str) -> Row | None:
        head = self.head(key)
        if head is None:
            return None
        if not head.is_of(source):
            item = self._item(conflict_key(key, source, version_id))
            return read_row(item)[1] if item is not None and is_open(item) else None
        row = head.rows.get(version_id)
        return self.row(key, source, version_id) if row is None and head.spilled else row

    def put_rows(self, key: LedgerKey, source: str, generation: int, rows: Mapping[str, Row]) -> None:
        for version_id, row in rows.items():
            try:
                with _ledger_failures():
                    self._client.put_item(
                        TableName=self._table,
                        Item=row_item(key, source, generation, version_id, row),
                        ConditionExpression=_NOT_LATER,
                        ExpressionAttributeNames=_names(_NOT_LATER),
                        ExpressionAttributeValues=encode({":generation": generation}),
                    )
            except _ConditionFailed:
                raise LeaseLost(f"{key}: a later holder of the lease has written {version_id!r}") from None

    def spilled(self, key: LedgerKey, source: str, in_time: InTime = unhurried) -> Mapping[str, Row]:
        items = self._beginning(key, ROW, in_time)
        return dict(read_row(item) for item in items if source_of(item) == source)

    def _beginning(
        self, key: LedgerKey, prefix: str, in_time: InTime = unhurried
    ) -> Iterator[Mapping[str, Any]]:
        """The items whose sort keys begin so."""
        return self._query(
            in_time,
            KeyConditionExpression="#pk = :pk AND begins_with(#sk, :prefix)",
            ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
            ExpressionAttributeValues=encode({":pk": partition(key), ":prefix": prefix}),
            ConsistentRead=True,
        )

    def history(self, key: LedgerKey, in_time: InTime = unhurried) -> tuple[Head | None, Mapping[str, Row]]:
        head: Head | None = None
        rows: list[Mapping[str, Any]] = []
        for item in self._query(
            in_time,
            KeyConditionExpression=_IN_PARTITION,
            ExpressionAttributeNames=_names(_IN_PARTITION),
            ExpressionAttributeValues=encode({":pk": partition(key)}),
            ConsistentRead=True,
        ):
            if item["sk"]["S"] == HEAD:
                head = read_head(item)
            elif is_row(item):
                rows.append(item)
        spilled = dict(read_row(item) for item in rows if head is None or head.is_of(source_of(item)))
        return head, {**spilled, **(head.rows if head else {})}

    def conflicts(self, key: LedgerKey, source: str) -> Mapping[str, Row]:
        return dict(read_row(item) for item in self._beginning(key, conflict_prefix(source)) if is_open(item))

    def record_conflict(self, key: LedgerKey, source: str, version_id: str, row: Row) -> None:
        with _ledger_failures():
            self._client.put_item(TableName=self._table, Item=conflict_item(key, source, version_id, row))

    def close_conflict(self, key: LedgerKey, source: str, version_id: str) -> None:
        # The item stays, out of the index and of account: nobody needs the right to delete items.
        with contextlib.suppress(_ConditionFailed), _ledger_failures():
            self._client.update_item(
                TableName=self._table,
                Key=conflict_key(key, source, version_id),
                UpdateExpression="REMOVE #open, #due",
                ConditionExpression="attribute_exists(#open)",
                ExpressionAttributeNames={"#open": "open", "#due": "due"},
            )

    def due(self, destination: str, now: float) -> Iterable[DueItem]:
        for number in range(SHARDS):
            for item in self._query(
                IndexName=INDEX,
                KeyConditionExpression=_DUE,
                ExpressionAttributeNames=_names(_DUE),
                ExpressionAttributeValues=encode({":shard": shard_name(destination, number), ":now": now}),
            ):
                yield read_due(item)

    def count_open(self, destination: str) -> int:
        with _ledger_failures():
            answers = [
                self._client.query(
                    TableName=self._table,
                    IndexName=INDEX,
                    Select="COUNT",
                    KeyConditionExpression=_IN_SHARD,
                    ExpressionAttributeNames=_names(_IN_SHARD),
                    ExpressionAttributeValues=encode({":shard": shard_name(destination, number)}),
                )
                for number in range(SHARDS)
            ]
        return sum(answer["Count"] for answer in answers)

    def allow_version_delete(self, destination: str, limit: int, now: float) -> bool:
        return self._count_delete(breaker_key(destination), limit, now, opens=True)

    def allow_copy_delete(self, destination: str, limit: int, now: float) -> bool:
        return self._count_delete(copies_key(destination), limit, now, opens=False)

    def _count_delete(self, key: Item, limit: int, now: float, *, opens: bool) -> bool:
        hour, delete = hour_of(now), str(uuid.uuid4())
        while True:
            try:
                counted = {":hour": hour, ":limit": limit, ":delete": delete, ":one": 1}
                self._update(key, _COUNT, _MAY_COUNT, counted)
                return True
            except _ConditionFailed as refused:
                item = refused.item
            if item.get("last") == {"S": delete}:
                return True
            breaker = read_breaker(item) if item else None
            if breaker is not None and breaker.opened is not None:
                return False
            if breaker is not None and breaker.hour >= hour and breaker.count >= limit and not opens:
                return False
            # Whether this is refused because another worker was first, or not: look again.
            with contextlib.suppress(_ConditionFailed):
                if breaker is None or breaker.hour < hour:
                    begun = {":hour": hour, ":zero": 0, ":schema": SCHEMA}
                    self._update(key, _BEGIN_HOUR, _NEW_HOUR, begun)
                else:
                    self._update(key, _OPEN, _FULL, {":hour": hour, ":limit": limit, ":now": now})

    def breaker(self, destination: str) -> Breaker | None:
        with _ledger_failures():
            answer = self._client.get_item(
                TableName=self._table, Key=breaker_key(destination), ConsistentRead=True
            )
        return read_breaker(answer["Item"]) if "Item" in answer else None

    def close_breaker(self, destination: str) -> None:
        seen = self.breaker(destination)
        if seen is None or seen.opened is None:
            return
        # A breaker that has opened again meanwhile has something new to tell.
        with contextlib.suppress(_ConditionFailed):
            self._update(
                breaker_key(destination),
                "SET #count = :zero REMOVE #opened",
                "#opened = :seen",
                {":zero": 0, ":seen": seen.opened},
            )

    def close(self, item: DueItem) -> None:
        [version_id] = item.rows
        with contextlib.suppress(_ConditionFailed), _ledger_failures():
            self._client.update_item(
                TableName=self._table,
                Key=row_key(item.key, version_id),
                UpdateExpression="REMOVE #open, #due",
                ConditionExpression="#due = :seen",
                ExpressionAttributeNames={"#open": "open", "#due": "due"},
                ExpressionAttributeValues=encode({":seen": item.due}),
            )

    def postpone(self, item: DueItem, due: float, missed: Collection[str] = ()) -> bool:
        [version_id, *_] = item.rows
        names = {} if item.spilled else {f"#v{number}": version for number, version in enumerate(missed)}
        rows = ["#row"] if item.spilled and missed else [f"#rows.{name}" for name in names]
        there = "".join(f" AND attribute_exists({row})" for row in rows)
        try:
            self._update(
                row_key(item.key, version_id) if item.spilled else head_key(item.key),
                ", ".join(["SET #due = :later", *(f"{row}.#missed = :yes" for row in rows)]),
                f"#due = :seen AND attribute_not_exists(#lease){there}",
                {":later": due, ":seen": item.due, **({":yes": True} if rows else {})},
                names,
            )
        except _ConditionFailed:
            # Somebody is at work on it, or has finished: then the item says itself what is due.
            return False
        return True

    def _update(
        self,
        key: Mapping[str, Any],
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """The item as it is now. Raises ``_ConditionFailed`` with the item as it was."""
        with _ledger_failures():
            answer = self._client.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={**_names(update, condition), **(names or {})},
                ExpressionAttributeValues=encode(values),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        attributes: Mapping[str, Any] = answer["Attributes"]
        return attributes

    def _query(self, in_time: InTime = unhurried, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        with _ledger_failures():
            for page in self._pages(**arguments):
                yield from page["Items"]
                if "LastEvaluatedKey" in page:
                    in_time()

    def _pages(self, **arguments: Any) -> Iterable[Mapping[str, Any]]:
        pages: Iterable[Mapping[str, Any]] = self._client.get_paginator("query").paginate(
            TableName=self._table, **arguments
        )
        return pages


def _names(*expressions: str) -> dict[str, str]:
    """What expressions call ``#due`` is the attribute ``due``; some of ours are reserved words."""
    return {name: name[1:] for expression in expressions for name in _NAME.findall(expression)}


class _ConditionFailed(Exception):
    """Carries the item as it was."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__("the condition of a ledger write did not hold")
        self.item = item


@contextmanager
def _ledger_failures() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            held: Any = error.response.get("Item", {})
            raise _ConditionFailed(held) from error
        if error.response["Error"]["Code"] == "ValidationException":
            # What does not fit into the ledger will not fit later either.
            raise TerminalError(Reason.LEDGER_UNAVAILABLE, str(error)) from error
        raise RetryableError(Reason.LEDGER_UNAVAILABLE, str(error)) from error
    except BotoCoreError as error:
        raise RetryableError(Reason.LEDGER_UNAVAILABLE, str(error)) from error


def _why_refused(head: Head, source: str, version_id: str | None, lease: Lease) -> LeaseAnswer:
    if head.source != source:
        return Conflict(head.source, head)
    if head.lease is not None and head.lease.token == lease.token:
        # The SDK repeated the request: the first one was granted.
        return Granted(head)
    row = head.rows.get(version_id) if version_id is not None else None
    if row is not None and row.final and head.clean:
        return Duplicate(row)
    return Held()
