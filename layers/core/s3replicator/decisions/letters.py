"""The messages the functions send: S3 events, with what we know added to the record."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from s3replicator.decisions.events import (
    EVENT_NAMES,
    Change,
    ChangeKind,
    Upload,
    build_record,
    parse_event,
    with_envelope,
)
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.versions import Kind, ListedVersion, is_null


def event(record: Mapping[str, Any], envelope: Mapping[str, Any]) -> dict[str, Any]:
    return {"Records": [with_envelope(record, envelope)]}


def for_destination(
    change: Change, destination: str, *, reason: str | None = None, upload: Upload | None = None
) -> dict[str, Any]:
    """The change again, for one destination only, with what a large copy has already done."""
    return event(
        _named(change),
        {
            "destination": destination,
            "replicaKey": change.replica_key,
            "reason": reason,
            "upload": _carried(upload),
            "prepare": change.prepare or None,
            "missed": change.missed or None,
            "replica": change.replica,
            "origin": change.origin,
            "settle": change.kind is ChangeKind.SETTLE or None,
        },
    )


def from_row(source: str, version_id: str, row: Row, key: LedgerKey) -> dict[str, Any]:
    """A due row of ``key`` as an event, as S3 would have sent it."""
    ref = source_ref(source, version_id)
    record = build_record(
        kind=_asked_for(row),
        ref=ref,
        sequencer=row.order.sequencer,
        event_time=row.event_time or row.order.last_modified,
    )
    return event(
        record,
        {
            "destination": key.destination,
            "replicaKey": key.other_than(ref.key),
            "rule": row.rule,
            "reason": row.reason,
            "upload": _carried(row.upload),
            "origin": row.origin,
        },
    )


def of_listed(source: str, version: ListedVersion) -> dict[str, Any]:
    """A version that was there before, as if its event had come now."""
    record = build_record(
        kind=ChangeKind.MARKED if version.kind is Kind.MARKER else ChangeKind.CREATED,
        ref=source_ref(source, version.version_id),
        sequencer=None,
        # Whole seconds, as S3 tells them: within one of them the order is that of the list.
        event_time=float(int(version.last_modified)),
    )
    return {"Records": [record]}


def to_settle(source: str, version_id: str, key: LedgerKey, now: float) -> dict[str, Any]:
    """Asks for nothing but that the key be settled; the version only makes it an event."""
    ref = source_ref(source, version_id)
    record = build_record(kind=ChangeKind.CREATED, ref=ref, sequencer=None, event_time=now)
    said = {"destination": key.destination, "replicaKey": key.other_than(ref.key), "settle": True}
    return event(record, said)


def change_of(source: str, version_id: str, row: Row, key: LedgerKey) -> Change:
    """The change that a row of ``key`` stands for."""
    [change] = parse_event(from_row(source, version_id, row, key)).changes
    return change


def parked(
    change: Change, destination: str, rule: str | None, row: Row
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the attributes of a parked message: sent to the ingest queue by any tool, it is
    evaluated again, for this destination only."""
    said = {
        "destination": destination,
        "rule": rule,
        "reason": row.reason,
        "attempts": row.attempts,
        "firstFailure": _iso(row.first_failure),
        "lastFailure": _iso(row.last_failure),
        "requestId": row.request_id,
    }
    # A key may have characters that attributes may not.
    more = {"replicaKey": change.replica_key, "detail": row.detail, "origin": row.origin}
    envelope = {**said, **more, "settle": change.kind is ChangeKind.SETTLE or None}
    attributes = {name: str(value) for name, value in said.items() if value not in (None, "")}
    return event(_named(change) | _asking_for(row), envelope), attributes


def _asked_for(row: Row) -> ChangeKind:
    if row.final and row.live and row.owed:
        return min(row.owed)
    return ChangeKind.MARKED if row.kind is Kind.MARKER else ChangeKind.CREATED


def _asking_for(row: Row) -> dict[str, str]:
    """Whatever the change was: of a settled version only what it owes its replica is left to ask for."""
    return {"eventName": EVENT_NAMES[_asked_for(row)]} if row.final and row.live and row.owed else {}


def _named(change: Change) -> dict[str, Any]:
    """The record; with the name of a null version, which "null" need not be any more when it is read."""
    if not is_null(change.version_id):
        return dict(change.record)
    stored = {**change.record["s3"]["object"], "versionId": change.version_id}
    return {**change.record, "s3": {**change.record["s3"], "object": stored}}


def _carried(upload: Upload | None) -> dict[str, Any] | None:
    if upload is None:
        return None
    told = {"id": upload.upload_id, "nonce": upload.nonce, "started": upload.started}
    return {**told, "tagged": True} if upload.tagged else told


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
