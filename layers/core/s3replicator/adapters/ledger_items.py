"""The ledger's values as DynamoDB items, and back.

A new attribute may be added at any time; an item with a newer ``schema`` than ours is refused rather than
misread, because a head is always written whole.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from s3replicator.decisions.breaker import Breaker
from s3replicator.decisions.events import ChangeKind, Origin, Upload
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.ledger import (
    Head,
    Intent,
    Lease,
    LedgerKey,
    OrderFacts,
    Row,
    Spent,
    Status,
)
from s3replicator.decisions.versions import Kind
from s3replicator.ports import DueItem

#: 2: the head counts its leases, and an older release would forget the count.
SCHEMA: Final = 2
HEAD: Final = "HEAD"
_BREAKER: Final = "BREAKER"
_COPIES: Final = "COPIES"
ROW: Final = "V#"
#: A version that is kept out of a place of another source key. Former releases pass over it.
CONFLICT: Final = "C#"
_LONGEST_ID: Final = 200

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

Item = dict[str, Any]


def partition(key: LedgerKey) -> str:
    """Bucket names contain no '#', so the first one ends the destination."""
    return f"{key.destination}#{key.key}"


def key_of(item: Mapping[str, Any]) -> LedgerKey:
    destination, _, key = item["pk"]["S"].partition("#")
    return LedgerKey(destination, key)


def head_key(key: LedgerKey) -> Item:
    return {"pk": {"S": partition(key)}, "sk": {"S": HEAD}}


def row_key(key: LedgerKey, version_id: str) -> Item:
    return {"pk": {"S": partition(key)}, "sk": {"S": ROW + _short(version_id)}}


def conflict_prefix(source: str) -> str:
    """How the sort keys of a source key's conflicts at a place begin."""
    return f"{CONFLICT}{hashlib.sha256(source.encode()).hexdigest()}#"


def conflict_key(key: LedgerKey, source: str, version_id: str) -> Item:
    return {"pk": {"S": partition(key)}, "sk": {"S": conflict_prefix(source) + _short(version_id)}}


def _short(version_id: str) -> str:
    if len(version_id.encode()) <= _LONGEST_ID:
        return version_id
    return hashlib.sha256(version_id.encode()).hexdigest()


def is_row(item: Mapping[str, Any]) -> bool:
    """True for a row that has spilled; what else a partition holds beside the head is not of the key."""
    return str(item["sk"]["S"]).startswith(ROW)


def is_open(item: Mapping[str, Any]) -> bool:
    """True for what is in the index of open work."""
    return "open" in item


def breaker_key(destination: str) -> Item:
    """No object has an empty key, so this partition is the destination's own."""
    return {"pk": {"S": partition(LedgerKey(destination, ""))}, "sk": {"S": _BREAKER}}


def copies_key(destination: str) -> Item:
    """Beside the breaker: what is counted of former copies."""
    return {"pk": {"S": partition(LedgerKey(destination, ""))}, "sk": {"S": _COPIES}}


def head_item(key: LedgerKey, head: Head) -> Item:
    due = head.due()
    values = {
        "schema": SCHEMA,
        "source": head.source,
        "lease": lease_value(head.lease) if head.lease else None,
        "intent": intent_value(head.intent) if head.intent else None,
        "unsettled": head.unsettled or None,
        "rows": rows_value(head.rows),
        "spilled": head.spilled or None,
        "top": {"version": head.top[0], **_order_value(head.top[1])} if head.top else None,
        "ranks": head.top_ranks or None,
        "spent": _spent_value(head.spent) if head.spent else None,
        "generation": head.generation or None,
        # A list, as the order of a map is lost.
        "heard": [{"version": vid, "changes": sorted(changes)} for vid, changes in head.heard.items()]
        or None,
        "stray": list(head.stray) or None,
        "open": key.shard if due is not None else None,
        "due": due,
    }
    return {**head_key(key), **encode(values)}


def row_item(key: LedgerKey, source: str, generation: int, version_id: str, row: Row) -> Item:
    values = {**_told_values(key, source, version_id, row), "generation": generation}
    return {**row_key(key, version_id), **encode(values)}


def conflict_item(key: LedgerKey, source: str, version_id: str, row: Row) -> Item:
    values = _told_values(key, source, version_id, row)
    return {**conflict_key(key, source, version_id), **encode(values)}


def _told_values(key: LedgerKey, source: str, version_id: str, row: Row) -> Item:
    return {
        "schema": SCHEMA,
        "source": source,
        "version": version_id,
        "row": _row_value(row),
        "open": key.shard if row.open else None,
        "due": row.swept_at,
    }


def rows_value(rows: Mapping[str, Row]) -> Item:
    return {version_id: _row_value(row) for version_id, row in rows.items()}


def lease_value(lease: Lease) -> Item:
    return {"token": lease.token, "expires": lease.expires}


def intent_value(intent: Intent) -> Item:
    value = {
        "nonce": intent.nonce,
        "version": intent.version_id,
        "kind": intent.kind,
        "at": intent.at,
        "size": intent.unstamped_size,
        "etag": intent.unstamped_etag,
        **_order_value(intent.order),
    }
    return _present(value)


def _spent_value(spent: Spent) -> Item:
    return {"hour": spent.hour, "versions": spent.versions, "bytes": spent.size}


def _read_spent(value: Item | None) -> Spent | None:
    return Spent(int(value["hour"]), int(value["versions"]), int(value["bytes"])) if value else None


def _order_value(order: OrderFacts) -> Item:
    return _present(
        {
            "sequencer": order.sequencer,
            "modified": order.last_modified,
            "multipart": order.multipart or None,
        }
    )


def _row_value(row: Row) -> Item:
    return _present(
        {
            "kind": row.kind,
            "status": row.status,
            **_order_value(row.order),
            "replica": row.replica,
            "nonce": row.nonce,
            "doubt": row.doubt or None,
            "proven": row.proven or None,
            "lost": row.lost or None,
            "purged": row.purged or None,
            "owed": sorted(row.owed) or None,
            "acl": row.acl or None,
            "left": list(row.left) or None,
            "blocked": list(row.blocked) or None,
            "stray": list(row.stray) or None,
            "rule": row.rule,
            "reason": row.reason,
            "detail": row.detail,
            "request": row.request_id,
            "attempts": row.attempts or None,
            "first": row.first_failure,
            "last": row.last_failure,
            "due": row.due,
            "event": row.event_time,
            "completed": row.completed,
            "threshold": row.threshold,
            "missed": row.missed or None,
            "upload": _upload_value(row.upload) if row.upload else None,
            "origin": row.origin,
        }
    )


def _upload_value(upload: Upload) -> Item:
    told = {"id": upload.upload_id, "nonce": upload.nonce, "started": upload.started}
    return {**told, "tagged": True} if upload.tagged else told


def _present(value: Mapping[str, Any]) -> Item:
    return {name: held for name, held in value.items() if held is not None}


def encode(values: Mapping[str, Any]) -> Item:
    """Typed attributes; what is None is left out."""
    return {name: _serialize(_exact(value)) for name, value in _present(values).items()}


def _exact(value: Any) -> Any:
    """DynamoDB's numbers are decimal; milliseconds are all we need of a time."""
    if isinstance(value, float):
        return Decimal(str(round(value, 3)))
    if isinstance(value, dict):
        return {name: _exact(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_exact(held) for held in value]
    if isinstance(value, str):
        return str(value)
    return value


def read_head(item: Mapping[str, Any]) -> Head:
    values = _decode(item)
    top = values.get("top")
    return Head(
        source=values["source"],
        lease=_read_lease(values.get("lease")),
        intent=_read_intent(values.get("intent")),
        unsettled=values.get("unsettled", False),
        rows={version_id: _read_row(row) for version_id, row in values["rows"].items()},
        spilled=values.get("spilled", False),
        top=(top["version"], _read_order(top)) if top else None,
        top_ranks=values.get("ranks", False),
        spent=_read_spent(values.get("spent")),
        generation=int(values.get("generation", 0)),
        heard={
            heard["version"]: frozenset(ChangeKind(change) for change in heard["changes"])
            for heard in values.get("heard", ())
        },
        stray=tuple(values.get("stray", ())),
    )


def read_row(item: Mapping[str, Any]) -> tuple[str, Row]:
    values = _decode(item)
    return values["version"], _read_row(values["row"])


def read_due(item: Mapping[str, Any]) -> DueItem:
    """An item of the index of open work."""
    due = float(_deserialize(item["due"]))
    if item["sk"]["S"] == HEAD:
        head = read_head(item)
        return DueItem(key_of(item), head.source, head.rows, due)
    version_id, row = read_row(item)
    conflict = str(item["sk"]["S"]).startswith(CONFLICT)
    return DueItem(
        key_of(item), source_of(item), {version_id: row}, due, spilled=not conflict, conflict=conflict
    )


def source_of(item: Mapping[str, Any]) -> str:
    """The key at the source that an item tells of."""
    return str(item["source"]["S"])


def read_breaker(item: Mapping[str, Any]) -> Breaker:
    values = _decode(item)
    return Breaker(values["hour"], int(values["count"]), _time(values.get("opened")))


def _decode(item: Mapping[str, Any]) -> Item:
    values = {name: _deserialize(value) for name, value in item.items()}
    if values["schema"] > SCHEMA:
        raise RetryableError(
            Reason.LEDGER_UNAVAILABLE,
            f"the ledger holds schema {values['schema']}, this release reads {SCHEMA}: finish the deployment",
        )
    return values


def _read_lease(value: Item | None) -> Lease | None:
    return Lease(value["token"], float(value["expires"])) if value else None


def _read_intent(value: Item | None) -> Intent | None:
    if value is None:
        return None
    size = value.get("size")
    return Intent(
        nonce=value["nonce"],
        version_id=value["version"],
        kind=Kind(value["kind"]),
        at=float(value["at"]),
        order=_read_order(value),
        unstamped_size=int(size) if size is not None else None,
        unstamped_etag=value.get("etag"),
    )


def _read_order(value: Item) -> OrderFacts:
    return OrderFacts(value.get("sequencer"), float(value["modified"]), value.get("multipart", False))


def _read_row(value: Item) -> Row:
    return Row(
        kind=Kind(value["kind"]),
        status=Status(value["status"]),
        order=_read_order(value),
        replica=value.get("replica"),
        nonce=value.get("nonce"),
        doubt=value.get("doubt", False),
        proven=value.get("proven", False),
        lost=value.get("lost", False),
        purged=value.get("purged", False),
        owed=frozenset(ChangeKind(change) for change in value.get("owed", ())),
        acl=value.get("acl", False),
        left=tuple(value.get("left", ())),
        blocked=tuple(value.get("blocked", ())),
        stray=tuple(value.get("stray", ())),
        rule=value.get("rule"),
        reason=value.get("reason"),
        detail=value.get("detail"),
        request_id=value.get("request"),
        attempts=int(value.get("attempts", 0)),
        first_failure=_time(value.get("first")),
        last_failure=_time(value.get("last")),
        due=_time(value.get("due")),
        event_time=_time(value.get("event")),
        completed=_time(value.get("completed")),
        threshold=_time(value.get("threshold")),
        missed=value.get("missed", False),
        upload=_read_upload(value.get("upload")),
        origin=_read_origin(value.get("origin")),
    )


def _read_origin(value: str | None) -> Origin | None:
    """What a later release may say, and this one does not know, is decided again."""
    return next((origin for origin in Origin if origin == value), None)


def _read_upload(value: Item | None) -> Upload | None:
    if not value:
        return None
    # A former release does not say it, and loses it from what it writes again.
    tagged = value.get("tagged") is True
    return Upload(value["id"], value["nonce"], float(value["started"]), tagged)


def _time(value: Decimal | None) -> float | None:
    return float(value) if value is not None else None
