"""How the events of a bucket get to our queue: one entry of ours in its notification configuration, or
EventBridge switched on there; beside entries that are not ours, and stay as they are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

# As GetBucketNotificationConfiguration answers it and PutBucketNotificationConfiguration takes it:
# always the whole configuration, so whatever is left out of a put is lost.
Configuration = Mapping[str, Any]

QUEUES: Final = "QueueConfigurations"
# The kinds of entry whose event types S3 does not allow to overlap, and where each goes to.
TARGETS: Final = {
    QUEUES: "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
#: Empty, and there or not: S3 then sends EventBridge every event of the bucket.
EVENTBRIDGE: Final = "EventBridgeConfiguration"
#: What was found there and is not known here: names of elements of S3's answer. They are lost when it is put.
UNKNOWN: Final = "s3replicator.unknown"
# Of deletions those that somebody asked for: a lifecycle rule's have names of their own.
EVENTS: Final = (
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:ObjectTagging:*",
    "s3:ObjectAcl:Put",
    "s3:ObjectRetention:Put",
    "s3:ObjectAnnotation:*",
)
_FAMILIES: Final = tuple(event.rpartition(":")[0] + ":" for event in EVENTS)

_STACK: Final = "s3-replicator-"


class EventSource(StrEnum):
    """The values of the template's parameter."""

    NOTIFICATION = "Notification"
    EVENTBRIDGE = "EventBridge"


def identifier_of(stack_name: str) -> str:
    """What the entry of a stack is called."""
    return f"{_STACK}{stack_name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Every object of the bucket: rules are evaluated by the functions, not by S3's filters."""

    identifier: str
    queue_arn: str

    def document(self) -> dict[str, Any]:
        return {"Id": self.identifier, "QueueArn": self.queue_arn, "Events": list(EVENTS)}

    def differences(self, found: Mapping[str, Any]) -> list[str]:
        """In what an entry S3 lists under our name is another one; S3 may list events in another order."""
        told = []
        if found.get("QueueArn") != self.queue_arn:
            told.append(f"sends to {found.get('QueueArn')} instead of {self.queue_arn}")
        events = found.get("Events", [])
        if sorted(events) != sorted(EVENTS):
            told.append(f"names the events {', '.join(events)} instead of {', '.join(EVENTS)}")
        if filtered := _filter(found):
            told.append(f"is only for keys with {filtered}")
        return told


@dataclass(frozen=True, slots=True)
class Wiring:
    """The way that is wanted. Changing it, the new way is there before the former one is taken out.

    EventBridge is never switched off: nothing in the configuration says who else lives on it.
    """

    entry: Entry
    source: EventSource

    @property
    def is_an_entry(self) -> bool:
        return self.source is EventSource.NOTIFICATION

    def begun(self, configuration: Configuration) -> Configuration:
        """With the way that is wanted; a former one is still there. The same object if nothing is to do."""
        if self.is_an_entry:
            return merge(configuration, self.entry)
        if EVENTBRIDGE in configuration:
            return configuration
        return {**configuration, EVENTBRIDGE: {}}

    def finished(self, configuration: Configuration) -> Configuration:
        """With the way that is wanted, and no other of ours. The same object if nothing is to do."""
        begun = self.begun(configuration)
        if self.is_an_entry:
            return begun
        return remove(begun, self.entry.identifier)

    def problem(self, configuration: Configuration) -> str | None:
        """What is not as it is wanted, as the predicate of a sentence about the bucket; None if all is."""
        ours = _ours(configuration, self.entry.identifier)
        if not self.is_an_entry:
            if EVENTBRIDGE not in configuration:
                return "does not send its events to EventBridge"
            if ours:
                return f"sends every event twice, as entry {self.entry.identifier} is still there"
            return None
        if not ours:
            return f"has no notification entry {self.entry.identifier}"
        if len(ours) > 1:
            return f"has {len(ours)} notification entries {self.entry.identifier}"
        differences = self.entry.differences(ours[0])
        if differences:
            return f"has a notification entry {self.entry.identifier} that {', and '.join(differences)}"
        return None


def merge(configuration: Configuration, entry: Entry) -> Configuration:
    """The configuration with ``entry`` in it once; the same object if it is there already."""
    ours = _ours(configuration, entry.identifier)
    if len(ours) == 1 and not entry.differences(ours[0]):
        return configuration
    return {**configuration, QUEUES: [*_others(configuration, entry.identifier), entry.document()]}


def remove(configuration: Configuration, identifier: str) -> Configuration:
    """The configuration without the entry of that name; the same object if there is none."""
    if not _ours(configuration, identifier):
        return configuration
    others = _others(configuration, identifier)
    rest = {kind: entries for kind, entries in configuration.items() if kind != QUEUES}
    # S3 lists no empty kinds, so neither do we.
    return {**rest, QUEUES: others} if others else rest


@dataclass(frozen=True, slots=True)
class Rival:
    """An entry that receives events of ours. ``filtered`` says of which keys, empty if of all; ``stack`` is
    the name of the stack of this kind that it belongs to, if it does."""

    identifier: str
    target: str
    events: tuple[str, ...]
    filtered: str
    stack: str | None

    def __str__(self) -> str:
        limits = f" for keys with {self.filtered}" if self.filtered else ""
        return f"{self.identifier} ({', '.join(self.events)}{limits}, to {self.target})"


def rivals(configuration: Configuration, identifier: str) -> list[Rival]:
    """The entries besides ours that S3 would not allow beside it.

    S3 refuses two entries that have an event type in common, unless no key can pass the filters of both:
    their prefixes or their suffixes must exclude each other. Ours has no filter, which excludes no other, so
    theirs do not matter. EventBridge overlaps with nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    """
    return [
        Rival(
            identifier=found.get("Id", "(without an Id)"),
            target=found.get(target, "an unknown target"),
            events=tuple(found.get("Events", [])),
            filtered=_filter(found),
            stack=_stack_of(kind, found),
        )
        for kind, target, found in _entries(configuration)
        if not (kind == QUEUES and found.get("Id") == identifier)
        and any(theirs.startswith(_FAMILIES) for theirs in found.get("Events", []))
    ]


def _stack_of(kind: str, found: Mapping[str, Any]) -> str | None:
    identifier: str = found.get("Id", "")
    if kind != QUEUES or not identifier.startswith(_STACK):
        return None
    return identifier.removeprefix(_STACK)


def _entries(configuration: Configuration) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for kind, target in TARGETS.items():
        for found in configuration.get(kind, []):
            yield kind, target, found


def _ours(configuration: Configuration, identifier: str) -> list[Mapping[str, Any]]:
    queues: Sequence[Mapping[str, Any]] = configuration.get(QUEUES, [])
    return [found for found in queues if found.get("Id") == identifier]


def _others(configuration: Configuration, identifier: str) -> list[Mapping[str, Any]]:
    queues: Sequence[Mapping[str, Any]] = configuration.get(QUEUES, [])
    return [found for found in queues if found.get("Id") != identifier]


def _filter(found: Mapping[str, Any]) -> str:
    rules = found.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    # S3 takes and lists the names in either case, and an empty value as one that matches any key.
    return " and ".join(f"{rule['Name'].lower()} {rule['Value']!r}" for rule in rules if rule.get("Value"))
