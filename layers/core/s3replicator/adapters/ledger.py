"""The ledger in DynamoDB. See docs/architecture.md, "The ledger"."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.ledger_items import (
    HEAD,
    SCHEMA,
    encode,
    head_item,
    head_key,
    intent_value,
    lease_value,
    partition,
    read_due,
    read_head,
    read_row,
    row_item,
    row_key,
)
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
from s3replicator.ports import Conflict, DueItem, Duplicate, Granted, Held, LeaseAnswer, LeaseLost

INDEX: Final = "open-work"

_FREE: Final = "(attribute_not_exists(#lease) OR #lease.#expires < :now)"
_OURS: Final = "(attribute_not_exists(#source) OR #source = :source)"
_UNSETTLED_VERSION: Final = (
    "NOT (#rows.#version.#status IN (:completed, :superseded, :tombstone)"
    " AND attribute_not_exists(#intent) AND attribute_not_exists(#unsettled))"
)
_NOT_FINAL: Final = "NOT #row.#status IN (:completed, :superseded, :tombstone)"
_FINAL_VALUES: Final = {f":{status.lower()}": status for status in FINAL}
_LEASE_CONDITION: Final = f"{_FREE} AND {_OURS} AND {_UNSETTLED_VERSION}"


class DynamoLedger:
    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def lease(
        self,
        key: LedgerKey,
        source: str,
        version_id: str,
        *,
        lease: Lease,
        intent: Intent | None,
        now: float,
    ) -> LeaseAnswer:
        settings = {
            "#lease": ("=", lease_value(lease)),
            "#source": ("=", source),
            "#schema": ("=", SCHEMA),
            "#rows": ("keep", {}),
        }
        if intent is not None:
            settings["#intent"] = ("keep", intent_value(intent))
        update = ", ".join(
            f"{name} = :new_{name[1:]}" if how == "=" else f"{name} = if_not_exists({name}, :new_{name[1:]})"
            for name, (how, _) in settings.items()
        )
        names = ("lease", "expires", "source", "rows", "status", "intent", "unsettled", "schema")
        values = {f":new_{name[1:]}": value for name, (_, value) in settings.items()}
        try:
            with _ledger_failures():
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=head_key(key),
                    UpdateExpression=f"SET {update}",
                    ConditionExpression=_LEASE_CONDITION,
                    ExpressionAttributeNames={
                        **{f"#{name}": name for name in names},
                        "#version": version_id,
                    },
                    ExpressionAttributeValues=encode(
                        {**values, **_FINAL_VALUES, ":now": now, ":source": source}
                    ),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except _ConditionFailed as refused:
            return _why_refused(read_head(refused.item), source, version_id, lease)
        return Granted(read_head(answer["Attributes"]))

    def write(self, key: LedgerKey, token: str, head: Head) -> None:
        item = head_item(key, head)
        try:
            with _ledger_failures():
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="#lease.#token = :token",
                    ExpressionAttributeNames={"#lease": "lease", "#token": "token"},
                    ExpressionAttributeValues=encode({":token": token}),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except _ConditionFailed as refused:
            # The SDK repeats a request whose answer was lost; the first one may have released the lease.
            if not refused.item or read_head(refused.item) != read_head(item):
                raise LeaseLost(f"{key}: the lease was taken over") from None

    def row(self, key: LedgerKey, version_id: str) -> Row | None:
        with _ledger_failures():
            answer = self._client.get_item(
                TableName=self._table, Key=row_key(key, version_id), ConsistentRead=True
            )
        return read_row(answer["Item"])[1] if "Item" in answer else None

    def peek(self, key: LedgerKey, version_id: str) -> Row | None:
        with _ledger_failures():
            answer = self._client.get_item(TableName=self._table, Key=head_key(key), ConsistentRead=True)
        if "Item" not in answer:
            return None
        head = read_head(answer["Item"])
        row = head.rows.get(version_id)
        return self.row(key, version_id) if row is None and head.spilled else row

    def put_rows(self, key: LedgerKey, source: str, rows: Mapping[str, Row]) -> None:
        for version_id, row in rows.items():
            # What is final stays so, even if a worker that has lost its lease without knowing says otherwise.
            with contextlib.suppress(_ConditionFailed), _ledger_failures():
                self._client.put_item(
                    TableName=self._table,
                    Item=row_item(key, source, version_id, row),
                    ConditionExpression=_NOT_FINAL,
                    ExpressionAttributeNames={"#row": "row", "#status": "status"},
                    ExpressionAttributeValues=encode(_FINAL_VALUES),
                )

    def history(self, key: LedgerKey) -> tuple[Head | None, Mapping[str, Row]]:
        head: Head | None = None
        rows: dict[str, Row] = {}
        for item in self._query(
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": "pk"},
            ExpressionAttributeValues=encode({":pk": partition(key)}),
            ConsistentRead=True,
        ):
            if item["sk"]["S"] == HEAD:
                head = read_head(item)
            else:
                rows.update([read_row(item)])
        return head, {**rows, **(head.rows if head else {})}

    def due(self, destination: str, now: float) -> Iterable[DueItem]:
        for number in range(SHARDS):
            for item in self._query(
                IndexName=INDEX,
                KeyConditionExpression="#open = :shard AND #due <= :now",
                ExpressionAttributeNames={"#open": "open", "#due": "due"},
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
                    KeyConditionExpression="#open = :shard",
                    ExpressionAttributeNames={"#open": "open"},
                    ExpressionAttributeValues=encode({":shard": shard_name(destination, number)}),
                )
                for number in range(SHARDS)
            ]
        return sum(answer["Count"] for answer in answers)

    def postpone(self, item: DueItem, due: float) -> None:
        [version_id, *_] = item.rows
        try:
            with _ledger_failures():
                self._client.update_item(
                    TableName=self._table,
                    Key=row_key(item.key, version_id) if item.spilled else head_key(item.key),
                    UpdateExpression="SET #due = :later",
                    ConditionExpression="#due = :seen AND attribute_not_exists(#lease)",
                    ExpressionAttributeNames={"#due": "due", "#lease": "lease"},
                    ExpressionAttributeValues=encode({":later": due, ":seen": item.due}),
                )
        except _ConditionFailed:
            # Somebody is at work on it, or has finished: then the item says what is due itself.
            return

    def _query(self, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        with _ledger_failures():
            for page in self._pages(**arguments):
                yield from page["Items"]

    def _pages(self, **arguments: Any) -> Iterable[Mapping[str, Any]]:
        pages: Iterable[Mapping[str, Any]] = self._client.get_paginator("query").paginate(
            TableName=self._table, **arguments
        )
        return pages


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


def _why_refused(head: Head, source: str, version_id: str, lease: Lease) -> LeaseAnswer:
    if head.source != source:
        return Conflict(head.source)
    if head.lease is not None and head.lease.token == lease.token:
        # The SDK repeated the request: the first one was granted.
        return Granted(head)
    row = head.rows.get(version_id)
    if row is not None and row.final and head.clean:
        return Duplicate(row)
    return Held()
