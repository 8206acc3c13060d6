"""One entry of ours in a bucket's notification configuration, beside entries that are not ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# Of deletions those that somebody asked for: a lifecycle rule's have names of their own.
EVENTS: Final = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put")
_FAMILIES: Final = tuple(event.rpartition(":")[0] + ":" for event in EVENTS)


@dataclass(frozen=True, slots=True)
class Entry:
    """Every object of the bucket: rules are evaluated by the functions, not by S3's filters."""

    identifier: str
    queue_arn: str

    def document(self) -> dict[str, Any]:
        return {"Id": self.identifier, "QueueArn": self.queue_arn, "Events": list(EVENTS)}

    def is_done_by(self, found: Mapping[str, Any]) -> bool:
        """Whether an entry S3 lists is this one; S3 may list events in another order."""
        rules = found.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        return (
            found.get("Id") == self.identifier
            and found.get("QueueArn") == self.queue_arn
            and sorted(found.get("Events", [])) == sorted(EVENTS)
            and not rules
        )


def merge(configuration: Configuration, entry: Entry) -> Configuration:
    """The configuration with ``entry`` in it once; the same object if it is there already."""
    queues: Sequence[Mapping[str, Any]] = configuration.get(QUEUES, [])
    ours = [found for found in queues if found.get("Id") == entry.identifier]
    if len(ours) == 1 and entry.is_done_by(ours[0]):
        return configuration
    others = [found for found in queues if found.get("Id") != entry.identifier]
    return {**configuration, QUEUES: [*others, entry.document()]}


def remove(configuration: Configuration, identifier: str) -> Configuration:
    """The configuration without the entry of that name; the same object if there is none."""
    queues: Sequence[Mapping[str, Any]] = configuration.get(QUEUES, [])
    others = [found for found in queues if found.get("Id") != identifier]
    if len(others) == len(queues):
        return configuration
    rest = {kind: entries for kind, entries in configuration.items() if kind != QUEUES}
    # S3 lists no empty kinds, so neither do we.
    return {**rest, QUEUES: others} if others else rest


def rivals(configuration: Configuration, entry: Entry) -> list[str]:
    """Other entries, by name and target, that already receive an event type of ours.

    Our entry has no filter, so it overlaps with every filter, and S3 allows no overlap.
    """
    return [
        f"{found.get('Id', '(no id)')} ({found.get(target, 'unknown target')})"
        for kind, target in TARGETS.items()
        for found in configuration.get(kind, [])
        if found.get("Id") != entry.identifier
        and any(theirs.startswith(_FAMILIES) for theirs in found.get("Events", []))
    ]
