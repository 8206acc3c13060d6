"""The custom resource: checks the buckets, keeps our entry in the source's notifications."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.deployment import (
    BucketFacts,
    BucketRefused,
    Destination,
    SetupRefused,
    attributes,
    check_destination,
    check_source,
    default_configuration,
    parse_destinations,
)
from s3replicator.decisions.notifications import Configuration, Entry, merge, remove, rivals

ANSWER_LIMIT: Final = 4096  # bytes CloudFormation reads of an answer
PAUSE: Final = 2.0  # seconds: S3 shows a change of a bucket's settings to all readers a bit later

Answer = dict[str, Any]


class Buckets(Protocol):
    """S3 as a deployment sees it; what S3 refuses is raised as BucketRefused."""

    def facts(self, bucket: str) -> BucketFacts: ...

    def notifications(self, bucket: str) -> Configuration: ...

    def put_notifications(self, bucket: str, configuration: Configuration) -> None:
        """Replaces the whole configuration; the targets of other people are not validated."""

    def natively_replicated_to(self, bucket: str) -> frozenset[str]:
        """The buckets that enabled rules of Amazon's own replication name."""

    def put_if_absent(self, bucket: str, key: str, body: str) -> None:
        """Writes a JSON document unless the key exists already."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The properties of the custom resource."""

    source: str
    destinations: tuple[Destination, ...]
    entry: Entry
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
            entry=Entry(properties["NotificationId"], properties["QueueArn"]),
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
        data = self._established(wanted)
        former = request.get("OldResourceProperties", {}).get("SourceBucket", wanted.source)
        if former != wanted.source:
            self._leave_former(former, identifier)
        # An update keeps the id it was given: another one would make CloudFormation send a Delete
        # for the old one, which would take out the entry just put in.
        return _answer(request, "SUCCESS", request.get("PhysicalResourceId", identifier), Data=data)

    def _established(self, wanted: Wanted) -> dict[str, str]:
        """Everything is checked before anything is changed."""
        check_source(self.buckets.facts(wanted.source), wanted.region)
        destinations = [
            check_destination(destination, self.buckets.facts(destination.bucket), wanted.region)
            for destination in wanted.destinations
        ]
        data = attributes(destinations, wanted.partition)
        self._change(
            wanted.source,
            change=lambda found: merge(found, wanted.entry),
            in_the_way=lambda found: rivals(found, wanted.entry),
        )
        self._warn_of_native_rules(wanted)
        if wanted.write_default:
            # Last, so that a first deployment that fails can take its empty control bucket away.
            self.buckets.put_if_absent(
                wanted.control_bucket,
                OBJECT_KEY,
                default_configuration(destinations, wanted.partition),
            )
        return data

    def _warn_of_native_rules(self, wanted: Wanted) -> None:
        ours = {destination.bucket for destination in wanted.destinations}
        for name in sorted(ours & self.buckets.natively_replicated_to(wanted.source)):
            self.note(
                f"Amazon S3's own replication of {wanted.source} has enabled rules for {name}, too: every new"
                " version will have two replicas there. Take them out: aws s3api get-bucket-replication"
                f" --bucket {wanted.source}"
            )

    def _deleted(self, request: Mapping[str, Any], identifier: str) -> Answer:
        physical_id = request["PhysicalResourceId"]
        try:
            self._leave(request["ResourceProperties"]["SourceBucket"], identifier)
        except BucketRefused as refusal:
            # After a Create that failed (it answered with another id, or not at all) there is
            # nothing to protect, and an error here would keep the stack from rolling back.
            if physical_id == identifier:
                raise
            self.note(f"Nothing taken out of the notifications: {refusal}")
        return _answer(request, "SUCCESS", physical_id)

    def _leave_former(self, bucket: str, identifier: str) -> None:
        """A bucket we may no longer touch must not stop the move to another one."""
        try:
            self._leave(bucket, identifier)
        except BucketRefused as refusal:
            self.note(f"Entry {identifier} stays in the notifications of {bucket}: {refusal}")

    def _leave(self, bucket: str, identifier: str) -> None:
        try:
            self._change(bucket, change=lambda found: remove(found, identifier), in_the_way=lambda _: [])
        except BucketRefused as refusal:
            if refusal.code != "NoSuchBucket":
                raise

    def _change(
        self,
        bucket: str,
        *,
        change: Callable[[Configuration], Configuration],
        in_the_way: Callable[[Configuration], list[str]],
    ) -> None:
        """Read, change, write the whole, read back.

        S3 has no conditional write for this. Whoever read before our write and wrote after it has
        undone the change, which the second reading shows; then it is made once more, on what they
        wrote.
        """
        for _ in range(2):
            found = self.buckets.notifications(bucket)
            changed = change(found)
            if changed == found:
                return
            try:
                self.buckets.put_notifications(bucket, changed)
            except BucketRefused as refusal:
                entries = in_the_way(found)
                if refusal.code == "InvalidArgument" and entries:
                    raise SetupRefused(
                        f"S3 refused a notification entry for bucket {bucket}: {refusal.message}"
                        f" Entries that receive the same events: {', '.join(entries)}. Take them"
                        " out, or let them be served from a topic or EventBridge. To see them: aws"
                        f" s3api get-bucket-notification-configuration --bucket {bucket}"
                    ) from refusal
                raise
            written = self.buckets.notifications(bucket)
            if change(written) == written:
                return
            self.pause(PAUSE)
        if (last := self.buckets.notifications(bucket)) != change(last):
            raise SetupRefused(
                f"The notification configuration of bucket {bucket} was overwritten twice while"
                " this stack changed it. Deploy again when nothing else changes it."
            )


def failure(request: Mapping[str, Any], reason: str) -> Answer:
    """The answer to a request that was not carried out, short enough for CloudFormation."""
    refused = f"{request.get('ResourceProperties', {}).get('NotificationId', 'bucket-setup')}/refused"
    physical_id = request.get("PhysicalResourceId", refused)
    answer = _answer(request, "FAILED", physical_id, Reason=reason)
    excess = len(json.dumps(answer)) - ANSWER_LIMIT
    if excess <= 0:
        return answer
    # A character takes at least one byte, so this is enough for the dots as well.
    return answer | {"Reason": reason[: -excess - 3] + "..."}


def _answer(
    request: Mapping[str, Any], status: str, physical_id: str, **more: str | dict[str, str]
) -> Answer:
    return {
        "Status": status,
        "PhysicalResourceId": physical_id,
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
        **more,
    }
