"""The custom resource: checks the buckets, and brings the source's events to our queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.custom_resource import Answer, success
from s3replicator.decisions.deployment import (
    BucketFacts,
    BucketRefused,
    Destination,
    attributes,
    check_destination,
    check_source,
    default_configuration,
    parse_destinations,
)
from s3replicator.decisions.notifications import Entry, EventSource, Wiring
from s3replicator.usecases.notification_wiring import Notifications, NotificationWiring


class Buckets(Notifications, Protocol):
    """S3 as a deployment sees it; what S3 refuses is raised as BucketRefused."""

    def facts(self, bucket: str) -> BucketFacts: ...

    def put_if_absent(self, bucket: str, key: str, body: str) -> None:
        """Writes a JSON document unless the key exists already."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties of the custom resource. ``handover``: for how many seconds both ways serve when the one
    that events come by is changed."""

    source: str
    destinations: tuple[Destination, ...]
    wiring: Wiring
    handover: float
    control_bucket: str
    write_default: bool
    partition: str
    region: str

    @classmethod
    def read(cls, properties: Mapping[str, Any]) -> Self:
        source = properties["SourceBucket"]
        return cls(
            source=source,
            destinations=parse_destinations(properties["Destinations"], source),
            wiring=_wiring(properties),
            handover=float(properties["HandoverSeconds"]),
            control_bucket=properties["ControlBucket"],
            write_default=properties["DefaultRule"] == "Enabled",
            partition=properties["Partition"],
            region=properties["Region"],
        )


@dataclass(frozen=True, slots=True)
class BucketSetup:
    buckets: Buckets
    pause: Callable[[float], None]
    note: Callable[[str], None]  # takes what an operator should find in the log

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """CloudFormation's request carried out; raises if it cannot be."""
        identifier = request["ResourceProperties"]["NotificationId"]
        if request["RequestType"] == "Delete":
            return self._deleted(request, identifier)
        wanted = Wanted.read(request["ResourceProperties"])
        former = request.get("OldResourceProperties", request["ResourceProperties"])
        data = self._established(wanted, _event_source(former))
        if former["SourceBucket"] != wanted.source:
            self._leave_former(former["SourceBucket"], wanted.wiring)
        return success(request, identifier, data)

    def _established(self, wanted: Wanted, former: EventSource) -> dict[str, str]:
        """Everything is checked before anything is changed."""
        check_source(self.buckets.facts(wanted.source), wanted.region)
        destinations = [
            check_destination(destination, self.buckets.facts(destination.bucket), wanted.region)
            for destination in wanted.destinations
        ]
        data = attributes(destinations, wanted.partition)
        self._wire(wanted, former)
        if wanted.write_default:
            # Last, so that a first deployment that fails can take its empty control bucket away.
            self.buckets.put_if_absent(
                wanted.control_bucket,
                OBJECT_KEY,
                default_configuration(destinations, wanted.partition),
            )
        return data

    def _wire(self, wanted: Wanted, former: EventSource) -> None:
        """Without a gap. The rule that takes events from EventBridge was made before we are asked, and goes
        after the answer; S3 itself takes about five minutes to follow a change.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-enable-disable-notification-intro.html
        """
        way = NotificationWiring(self.buckets, wanted.source, wanted.wiring, self.pause)
        way.begin()
        if wanted.wiring.source is not former or not way.is_finished():
            self.note(
                f"Events of {wanted.source} come by {wanted.wiring.source} from now on; the former way serves"
                f" for another {wanted.handover:g} seconds, as S3 takes some minutes to follow"
            )
            self.pause(wanted.handover)
        way.finish()

    def _deleted(self, request: Mapping[str, Any], identifier: str) -> Answer:
        physical_id = request["PhysicalResourceId"]
        properties = request["ResourceProperties"]
        try:
            self._leave(properties["SourceBucket"], _wiring(properties))
        except BucketRefused as refusal:
            # After a Create that failed (it answered with another id, or not at all) there is
            # nothing to protect, and an error here would keep the stack from rolling back.
            if physical_id == identifier:
                raise
            self.note(f"Nothing taken out of the notifications: {refusal}")
        return success(request, physical_id)

    def _leave_former(self, bucket: str, wiring: Wiring) -> None:
        """A bucket we may no longer touch must not stop the move to another one."""
        try:
            self._leave(bucket, wiring)
        except BucketRefused as refusal:
            self.note(f"Entry {wiring.entry.identifier} stays in the notifications of {bucket}: {refusal}")

    def _leave(self, bucket: str, wiring: Wiring) -> None:
        try:
            NotificationWiring(self.buckets, bucket, wiring, self.pause).leave()
        except BucketRefused as refusal:
            if refusal.code != "NoSuchBucket":
                raise


def _wiring(properties: Mapping[str, Any]) -> Wiring:
    entry = Entry(properties["NotificationId"], properties["QueueArn"])
    return Wiring(entry, _event_source(properties))


def _event_source(properties: Mapping[str, Any]) -> EventSource:
    """A stack of a former release has only notifications."""
    return EventSource(properties.get("EventSource", EventSource.NOTIFICATION))
