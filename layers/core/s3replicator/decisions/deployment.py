"""What a deployment asks for, judged against the buckets that are there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

# CloudFormation takes 4096 bytes from a custom resource; identifiers need up to a fifth of them.
ATTRIBUTES_LIMIT: Final = 3200


class SetupRefused(Exception):
    """The deployment cannot work; the text says what was found and how to mend it."""


class BucketRefused(Exception):
    """S3 refused a request about a bucket; ``code`` is S3's, for example NoSuchBucket."""

    def __init__(self, bucket: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation} on bucket {bucket}: {code}: {message}")
        self.code = code
        self.message = message


class Presence(Enum):
    FOUND = auto()
    MISSING = auto()
    FORBIDDEN = auto()


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What S3 says of a bucket; ``versioning`` is empty if it was never switched on."""

    name: str
    presence: Presence
    region: str = ""
    versioning: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    bucket: str
    region: str = ""

    def __str__(self) -> str:
        return f"{self.bucket}:{self.region}"


def parse_destinations(values: Sequence[str], source: str) -> tuple[Destination, ...]:
    """Read ``bucket`` or ``bucket:region``; an omitted region stays empty until it is looked up."""
    destinations = []
    for value in values:
        bucket, _, region = value.strip().partition(":")
        destinations.append(Destination(bucket, region))
    names = [destination.bucket for destination in destinations]
    if source in names:
        raise SetupRefused(f"Bucket {source} is the source and a destination: choose another one.")
    for name in names:
        if names.count(name) > 1:
            raise SetupRefused(f"Destination {name} is named more than once: name it once.")
    return tuple(destinations)


def check_source(facts: BucketFacts, stack_region: str) -> None:
    _check("Source bucket", facts, stack_region)
    if facts.region != stack_region:
        raise SetupRefused(
            f"Source bucket {facts.name} is in {facts.region}, but this stack is in {stack_region}."
            " S3 sends notifications only to a queue in the bucket's own region. Deploy the stack"
            f" there: sam deploy --region {facts.region}"
        )


def check_destination(wanted: Destination, facts: BucketFacts, stack_region: str) -> Destination:
    """The destination with its region."""
    _check("Destination bucket", facts, wanted.region or stack_region)
    if wanted.region and wanted.region != facts.region:
        raise SetupRefused(
            f"Destination bucket {facts.name} is in {facts.region}, but the parameter Destinations"
            f" says {wanted.region}. Write {facts.name}:{facts.region}, or only {facts.name} to have"
            " the region looked up."
        )
    return Destination(facts.name, facts.region)


def _check(role: str, facts: BucketFacts, expected_region: str) -> None:
    if facts.presence is Presence.MISSING:
        raise SetupRefused(
            f"{role} {facts.name} does not exist. Create it:"
            f" aws s3 mb s3://{facts.name} --region {expected_region}"
        )
    if facts.presence is Presence.FORBIDDEN:
        raise SetupRefused(
            f"{role} {facts.name} exists, but this stack's setup function may not look at it"
            " (AccessDenied). If it belongs to another account, its bucket policy has to allow what this"
            f" prints, with the id of this stack's account: s3rctl policy destination {facts.name}"
            " --account ID"
        )
    if facts.versioning != "Enabled":
        raise SetupRefused(
            f"{role} {facts.name} has versioning {facts.versioning or 'off'}, and replication needs"
            f" it Enabled. Enable it: aws s3api put-bucket-versioning --bucket {facts.name}"
            f" --region {facts.region} --versioning-configuration Status=Enabled"
        )


def bucket_arn(bucket: str, partition: str) -> str:
    return f"arn:{partition}:s3:::{bucket}"


def attributes(destinations: Sequence[Destination], partition: str) -> dict[str, str]:
    """What the rest of the stack may ask of the custom resource."""
    arns = [bucket_arn(destination.bucket, partition) for destination in destinations]
    found = {
        "Destinations": ",".join(str(destination) for destination in destinations),
        "DestinationBucketArns": ",".join(arns),
        "DestinationObjectArns": ",".join(f"{arn}/*" for arn in arns),
    }
    size = len(json.dumps(found))
    if size > ATTRIBUTES_LIMIT:
        raise SetupRefused(
            f"{len(destinations)} destinations are too many for one stack: their names take {size}"
            f" bytes in an answer to CloudFormation that has room for {ATTRIBUTES_LIMIT}. Name"
            " fewer of them."
        )
    return found


def default_configuration(destinations: Sequence[Destination], partition: str) -> str:
    """Every new object to every destination, as ``put-bucket-replication`` would take it."""
    rules = [
        {
            "ID": f"everything-to-{destination.bucket}",
            "Priority": priority,
            "Filter": {},
            "Status": "Enabled",
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "Destination": {"Bucket": bucket_arn(destination.bucket, partition)},
        }
        for priority, destination in enumerate(destinations, start=1)
    ]
    return json.dumps({"Rules": rules}, indent=2) + "\n"
