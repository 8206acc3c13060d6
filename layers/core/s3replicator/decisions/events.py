"""S3 event notifications, reduced to changes. The only module that knows the shape of a record; events that
come through EventBridge are turned into records first, those that come through SNS taken out of its envelope.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

from s3replicator.decisions.event_json import new_record, optional_text, text_at
from s3replicator.decisions.eventbridge import as_record, is_from_eventbridge
from s3replicator.decisions.failures import Reason, UnreadableEvent
from s3replicator.decisions.sns import is_from_sns, message_of
from s3replicator.decisions.versions import NULL, Kind, VersionRef

#: The object we add to a record of our own: which destination it is for, and what happened so far.
ENVELOPE: Final = "s3replicator"

#: Seconds since the epoch, in the year 10000: later than any time a record can name.
_END_OF_TIME: Final = 253402300800

#: S3 sends one record in a message, and so do we. Somebody may replay some together; more than these cannot
#: be worked on in a function's time together with nine other messages, and would come back again and again.
MOST_RECORDS: Final = 100

_HEXADECIMAL: Final = re.compile("[0-9A-Fa-f]+")

#: Bytes: of a bucket's name, of a key, and of a name that S3 or a function has made up.
_LONGEST_BUCKET: Final = 255
_LONGEST_KEY: Final = 1024
_LONGEST_NAME: Final = 2048


class ChangeKind(StrEnum):
    CREATED = auto()
    MARKED = auto()
    #: Somebody deleted a version, or a delete marker, by its id.
    REMOVED = auto()
    TAGGED = auto()
    ACL_CHANGED = auto()
    #: Its retention; of a legal hold S3 tells nobody.
    LOCK_CHANGED = auto()
    ANNOTATED = auto()
    #: Our own: the key is to be settled, and nothing else is asked for.
    SETTLE = auto()
    #: Lifecycle expirations and whatever else S3 may tell: not replicated.
    OTHER = auto()


#: What may change of a version after it was written.
_FOLLOWED: Final = frozenset(
    {ChangeKind.TAGGED, ChangeKind.ACL_CHANGED, ChangeKind.LOCK_CHANGED, ChangeKind.ANNOTATED}
)

_KINDS: Final = {
    "ObjectRemoved:DeleteMarkerCreated": ChangeKind.MARKED,
    "ObjectRemoved:Delete": ChangeKind.REMOVED,
    "ObjectAcl:Put": ChangeKind.ACL_CHANGED,
    "ObjectRetention:Put": ChangeKind.LOCK_CHANGED,
}

#: By the first part of an event's name, whatever the second says.
_FAMILIES: Final = {
    "ObjectCreated": ChangeKind.CREATED,
    "ObjectTagging": ChangeKind.TAGGED,
    "ObjectAnnotation": ChangeKind.ANNOTATED,
}

#: How a change is called in the records we build.
EVENT_NAMES: Final = {
    ChangeKind.CREATED: "ObjectCreated:Put",
    ChangeKind.MARKED: "ObjectRemoved:DeleteMarkerCreated",
    ChangeKind.TAGGED: "ObjectTagging:Put",
    ChangeKind.ACL_CHANGED: "ObjectAcl:Put",
    ChangeKind.LOCK_CHANGED: "ObjectRetention:Put",
    ChangeKind.ANNOTATED: "ObjectAnnotation:Put",
}


class Origin(StrEnum):
    """What has been decided of a version that looks like a replica. Rows and messages remember it: who wrote
    it, or which job asked for it, is not known to whoever tries it again."""

    #: Somebody wrote it here, whatever its stamp says.
    USER = "user"
    #: It is a replica, and it is carried onward.
    ONWARD = "onward"
    #: Nothing yet: it could not be looked at, and it is not known who wrote it, though there are peers.
    UNDECIDED = "undecided"
    #: Nothing yet either, but its event names a writer who is no peer.
    NO_PEER = "no-peer"

    @property
    def is_decision(self) -> bool:
        return self in (Origin.USER, Origin.ONWARD)


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way at a destination: the nonce in its stamp, and when it was started
    (seconds since the epoch). ``tagged``: it is known to have been given all tags."""

    upload_id: str
    nonce: str
    started: float
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """One event record. ``version_id`` is ``NULL`` where versioning was not enabled when it happened."""

    kind: ChangeKind
    event: str
    bucket: str
    key: str
    version_id: str
    sequencer: str | None
    #: Seconds since the epoch.
    event_time: float
    #: Only this destination, if the record was sent back by us; otherwise all that the rules select.
    destination: str | None = None
    #: The key there, if it is another one.
    replica_key: str | None = None
    #: The open upload a large copy left behind when its time was up.
    upload: Upload | None = None
    #: Only prepare an upload: the second function will complete it.
    prepare: bool = False
    #: It has been told that the version is late.
    missed: bool = False
    #: Copy from this version at the destination, since the source version is gone.
    replica: str | None = None
    #: It was kept out of its place, which was another source key's.
    kept_out: bool = False
    #: What has been decided of the version, where it looks like a replica.
    origin: Origin | None = None
    #: Who caused it, as in ``AWS:AROAEXAMPLEID:session``.
    principal: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def ref(self) -> VersionRef:
        return VersionRef(self.bucket, self.key, self.version_id)

    @property
    def version_kind(self) -> Kind:
        return Kind.MARKER if self.kind is ChangeKind.MARKED else Kind.OBJECT

    @property
    def follows(self) -> bool:
        """Whether it is about what may change of a version after it was written."""
        return self.kind in _FOLLOWED

    def as_s3_told(self) -> "Change":
        """Without what we, or somebody else, have added to the record; but for this destination only, if one
        was added."""
        return Change(
            kind=_kind(self.event),
            event=self.event,
            bucket=self.bucket,
            key=self.key,
            version_id=self.version_id,
            sequencer=self.sequencer,
            event_time=self.event_time,
            destination=self.destination,
            principal=self.principal,
            record=self.record,
        )

    def is_by(self, principals: frozenset[str]) -> bool:
        """Whether one of these did it: unique ids of users or roles."""
        return self.principal is not None and not principals.isdisjoint(self.principal.split(":")[1:2])


@dataclass(frozen=True, slots=True)
class Intake:
    """The changes of one message, and the records in it that make no sense."""

    changes: tuple[Change, ...]
    unreadable: tuple[tuple[Mapping[str, Any], UnreadableEvent], ...] = ()


def parse_body(body: str) -> Intake:
    """Read the body of a message.

    Raises ``UnreadableEvent`` if it is neither an S3 event nor the test event S3 sends when a
    notification is configured.
    """
    return parse_event(_document(body))


def _document(body: str) -> object:
    try:
        document: object = json.loads(body)
    except ValueError as error:
        raise UnreadableEvent(f"the message is not JSON: {error}") from None
    except RecursionError:
        raise UnreadableEvent("the message is JSON nested too deeply to be an event") from None
    return document


def parse_event(document: object) -> Intake:
    """Read an S3 event; see ``parse_body``."""
    if isinstance(document, dict) and is_from_sns(document):
        document = _document(message_of(document))
        if isinstance(document, dict) and is_from_sns(document):
            raise UnreadableEvent("the SNS message holds another SNS message, not an event of S3")
    if not isinstance(document, dict):
        raise UnreadableEvent(f"the message is a JSON {type(document).__name__}, not an object")
    if document.get("Event") == "s3:TestEvent":
        return Intake(())
    if is_from_eventbridge(document):
        return Intake((_parse_record(as_record(document)),))
    records = document.get("Records")
    if not isinstance(records, list):
        raise UnreadableEvent("the message has no list of Records, and is not an s3:TestEvent")
    if len(records) > MOST_RECORDS:
        raise UnreadableEvent(
            f"the message has {len(records)} records; S3 sends one in each, and at most {MOST_RECORDS} are"
            " taken: send them in several messages"
        )
    changes: list[Change] = []
    unreadable: list[tuple[Mapping[str, Any], UnreadableEvent]] = []
    for record in records:
        try:
            changes.append(_parse_record(record))
        except UnreadableEvent as error:
            unreadable.append((record, error))
    return Intake(tuple(changes), tuple(unreadable))


def _parse_record(record: object) -> Change:
    if not isinstance(record, dict):
        raise UnreadableEvent(f"a record is a JSON {type(record).__name__}, not an object")
    if record.get("eventSource", "aws:s3") != "aws:s3":
        raise UnreadableEvent(f"eventSource is {record['eventSource']!r}, not 'aws:s3'")
    version = record.get("eventVersion", "2.0")
    if not isinstance(version, str) or version.split(".")[0] != "2":
        raise UnreadableEvent(f"eventVersion is {version!r}; this release reads 2.x")
    event = text_at(record, "eventName")
    bucket = text_at(record, "s3", "bucket", "name")
    key = _decode_key(text_at(record, "s3", "object", "key"))
    stored = record["s3"]["object"]
    change = Change(
        kind=_kind(event),
        event=event.removeprefix("s3:"),
        bucket=bucket,
        key=key,
        version_id=optional_text(stored, "versionId") or NULL,
        sequencer=_sequencer(stored),
        event_time=_event_time(record),
        principal=_principal(record),
        record=record,
    )
    envelope = record.get(ENVELOPE)
    return _with_envelope(change, envelope) if isinstance(envelope, dict) else change


def _with_envelope(change: Change, envelope: Mapping[str, Any]) -> Change:
    """What has been added to the record, if it is all in the form that we write, else its destination at
    most. Whoever wrote it: the record is S3's all the same."""
    try:
        change = replace(change, destination=_bucket(optional_text(envelope, "destination")))
        return _as_added(change, envelope)
    except UnreadableEvent:
        return change


def _as_added(change: Change, envelope: Mapping[str, Any]) -> Change:
    """Raises ``UnreadableEvent``."""
    return replace(
        change,
        kind=ChangeKind.SETTLE if envelope.get("settle") is True else change.kind,
        replica_key=_short(optional_text(envelope, "replicaKey"), _LONGEST_KEY),
        upload=_upload(envelope),
        prepare=envelope.get("prepare") is True,
        missed=envelope.get("missed") is True,
        replica=_short(optional_text(envelope, "replica")),
        kept_out=envelope.get("reason") == Reason.KEY_CONFLICT,
        origin=_origin(envelope),
    )


def _bucket(name: str | None) -> str | None:
    """With one of these it could be taken for the name of another place."""
    if name is not None and ("#" in name or "/" in name):
        raise UnreadableEvent(f"{name!r} is no name of a bucket")
    return _short(name, _LONGEST_BUCKET)


Text = TypeVar("Text", bound=str | None)


def _short(value: Text, longest: int = _LONGEST_NAME) -> Text:
    if value is not None and len(value.encode()) > longest:
        raise UnreadableEvent(f"{len(value.encode())} bytes of {ENVELOPE} are no name of ours")
    return value


def _kind(event: str) -> ChangeKind:
    name = event.removeprefix("s3:")
    family, colon, _ = name.partition(":")
    if colon and family in _FAMILIES:
        return _FAMILIES[family]
    return _KINDS.get(name, ChangeKind.OTHER)


def _origin(envelope: Mapping[str, Any]) -> Origin | None:
    """A word that is not known says nothing: then it is decided again."""
    told = envelope.get("origin")
    return next((origin for origin in Origin if origin == told), None)


def _principal(record: Mapping[str, Any]) -> str | None:
    identity = record.get("userIdentity")
    principal = identity.get("principalId") if isinstance(identity, dict) else None
    return principal if isinstance(principal, str) else None


def _decode_key(encoded: str) -> str:
    """Keys are form-encoded: a space is '+', a plus sign '%2B'. Decoded exactly once."""
    try:
        return unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        raise UnreadableEvent(f"the key {encoded!r} is not UTF-8") from None


def _sequencer(stored: Mapping[str, Any]) -> str | None:
    value = optional_text(stored, "sequencer")
    if value is None:
        return None
    if not _HEXADECIMAL.fullmatch(value):
        raise UnreadableEvent(f"sequencer is {value!r}, not a hexadecimal number")
    return value.upper()


def _event_time(record: Mapping[str, Any]) -> float:
    text = text_at(record, "eventTime")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableEvent(f"eventTime is {text!r}, not an ISO 8601 time") from None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < _END_OF_TIME:
        raise UnreadableEvent(f"eventTime is {text!r}, no time an event can have")
    return seconds


def _upload(envelope: Mapping[str, Any]) -> Upload | None:
    stored = envelope.get("upload")
    if stored is None:
        return None
    started = stored.get("started") if isinstance(stored, dict) else None
    if not isinstance(started, int | float) or not 0 <= started < _END_OF_TIME:
        raise UnreadableEvent(f"{ENVELOPE}.upload.started is not a time")
    upload_id, nonce = (_short(text_at(envelope, "upload", name)) for name in ("id", "nonce"))
    return Upload(upload_id, nonce, float(started), tagged=stored.get("tagged") is True)


def build_record(
    *,
    kind: ChangeKind,
    ref: VersionRef,
    sequencer: str | None,
    event_time: float,
) -> dict[str, Any]:
    """An event record for a version the ledger knows, as S3 would have sent it."""
    stored = {"versionId": ref.version_id}
    if sequencer is not None:
        stored["sequencer"] = sequencer
    moment = datetime.fromtimestamp(event_time, UTC)
    return new_record(
        name=EVENT_NAMES[kind],
        time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        bucket=ref.bucket,
        key=ref.key,
        stored=stored,
    )


def with_envelope(record: Mapping[str, Any], envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The record, saying what we know about it; what is None is left out."""
    said = {name: value for name, value in envelope.items() if value is not None}
    return {**record, ENVELOPE: said}
