"""Values in few words, for whoever reads a trace."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, Row
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import (
    Kind,
    ListedVersion,
    Published,
    SourceMarker,
    SourceObject,
    VersionRef,
)
from s3replicator.ports import CopiedPart, DueItem, Duplicate, Granted

_LONGEST: Final = 160


def short(value: object) -> str:
    tell = _WORDS.get(type(value))
    if tell is not None:
        return tell(value)
    match value:
        case str():
            return _cut(value)
        case Mapping() if "Records" in value:
            [record] = value["Records"]
            said = {name: told for name, told in record.get("s3replicator", {}).items() if told}
            return f"{record['eventName']} {record['s3']['object']['versionId']} {said or ''}"
        case Mapping():
            return "{" + ", ".join(f"{short(name)}: {short(held)}" for name, held in value.items()) + "}"
        case Sequence() | frozenset():
            return "[" + ", ".join(map(short, value)) + "]"
        case Exception():
            return f"{type(value).__name__} {value}"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) < _LONGEST else f"{text[:_LONGEST]}…"


def _request(request: ReplicaRequest) -> str:
    stamp = Stamp.read(request.arguments.get("Metadata", {}))
    return f"nonce {stamp.nonce}" if stamp else "no stamp"


def _row(row: Row) -> str:
    said = [str(row.status)]
    said += [f"replica {row.replica}"] if row.replica else []
    said += [name for name in ("doubt", "lost", "purged") if getattr(row, name)]
    said += [
        f"{name} {', '.join(ids)}" for name in ("left", "blocked", "stray") if (ids := getattr(row, name))
    ]
    said += [str(row.reason)] if row.reason else []
    said += [f"owed {', '.join(sorted(row.owed))}"] if row.owed else []
    said += [f"due {row.due:.0f}"] if row.due is not None else []
    said += [f"upload {row.upload.upload_id}"] if row.upload else []
    return " ".join(said)


def _head(head: Head) -> str:
    said = [f"intent {short(head.intent)}"] if head.intent else []
    said += ["unsettled"] if head.unsettled else []
    said += [f"spilled, top {head.top[0] if head.top else None}"] if head.spilled else []
    said += [f"leased {head.lease.token}"] if head.lease else []
    return f"<{', '.join([*said, short(head.rows)])}>"


_WORDS: Final[Mapping[type, Callable[[Any], str]]] = {
    CopiedPart: lambda _part: "copied",
    DueItem: lambda item: f"{item.key.key} {short(item.rows)}" + (" spilled" if item.spilled else ""),
    Duplicate: lambda answer: f"duplicate: {_row(answer.row)}",
    Granted: lambda answer: f"granted: {_head(answer.head)}",
    Head: _head,
    Intent: lambda intent: f"{intent.kind} {intent.version_id} as {intent.nonce}",
    Lease: lambda lease: f"{lease.token} until {lease.expires:.0f}",
    LedgerKey: lambda key: str(key.key),
    ListedVersion: lambda listed: listed.version_id + ("*" if listed.kind is Kind.MARKER else ""),
    Part: lambda part: f"part {part.number}",
    Published: lambda published: str(published.version_id),
    ReplicaRequest: _request,
    Row: _row,
    SourceMarker: lambda version: f"marker {version.ref.version_id}",
    SourceObject: lambda version: f"object {version.ref.version_id}",
    VersionRef: lambda ref: f"{ref.bucket.partition('-')[0]}/{ref.version_id}",
}
