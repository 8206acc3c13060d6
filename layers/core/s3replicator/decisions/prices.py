"""What requests cost, and what a job is going to cost.

The prices are Amazon's public ones in us-east-1, in USD; other regions differ by some per cent, and accounts
by what they have agreed on. Storage is not in them.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from s3replicator.decisions.plan import GIB, plan_copy
from s3replicator.decisions.versions import Kind, ListedVersion

#: Per million. S3 does not charge for deletes; DynamoDB is on demand, with items of up to 1 KB.
REQUESTS: Final[Mapping[str, float]] = {
    "CopyObject": 5.00,
    "CreateMultipartUpload": 5.00,
    "UploadPartCopy": 5.00,
    "CompleteMultipartUpload": 5.00,
    "ListObjectVersions": 5.00,
    "ListObjectAnnotations": 5.00,
    "HeadObject": 0.40,
    "GetObject": 0.40,
    "GetObjectTagging": 0.40,
    "ListParts": 0.40,
    "DeleteObject": 0.00,
    "UpdateItem": 0.625,
    "PutItem": 0.625,
    "GetItem": 0.125,
    "SendMessage": 0.40,
}
SQS_REQUEST: Final = 0.40
LAMBDA_REQUEST: Final = 0.20
LAMBDA_GB_SECOND: Final = 13.3334
STATE_TRANSITION: Final = 25.00

#: Per GiB that goes from one region to another. That of most pairs; to and from some it is several times
#: as much, and between neighbours half.
TRANSFER_GIB: Final = 0.02

# What one version takes at one destination, as the functions do it.
OBJECT: Final[Mapping[str, int]] = {"HeadObject": 1, "CopyObject": 1, "UpdateItem": 1, "PutItem": 1}
MARKER: Final[Mapping[str, int]] = {"HeadObject": 1, "DeleteObject": 1, "UpdateItem": 1, "PutItem": 1}
#: Without its parts, and with the message that hands it to the lane of large copies.
LARGE: Final[Mapping[str, int]] = {
    "HeadObject": 3,
    "SendMessage": 1,
    "GetObjectTagging": 1,
    "CreateMultipartUpload": 1,
    "CompleteMultipartUpload": 1,
    "ListObjectVersions": 1,
    "ListObjectAnnotations": 1,
    "GetItem": 1,
    "UpdateItem": 1,
    "PutItem": 3,
}
PART: Final[Mapping[str, int]] = {"UploadPartCopy": 1}

#: Versions on a page of a listing, and at most in a batch.
_PAGE: Final = 1000
#: A batch starts a child of the state machine, which is a single state.
_TRANSITIONS: Final = 2
#: Assumed: what a version keeps a function busy, in seconds, and how much memory that has.
SECONDS: Final = 0.01
MEMORY_GIB: Final = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What a destination is to be given; loads can be added. ``large`` are the objects copied in ``parts``,
    ``objects`` the others; ``octets`` (bytes) are of both."""

    objects: int = 0
    large: int = 0
    parts: int = 0
    markers: int = 0
    octets: int = 0

    @classmethod
    def of(cls, version: ListedVersion) -> "Load":
        if version.kind is Kind.MARKER:
            return cls(markers=1)
        parts = plan_copy(version.size).part_count
        if parts:
            return cls(large=1, parts=parts, octets=version.size)
        return cls(objects=1, octets=version.size)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Load":
        """What ``document`` gave."""
        told = dict(document)
        return cls(octets=told.pop("bytes"), **told)

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.objects + other.objects,
            self.large + other.large,
            self.parts + other.parts,
            self.markers + other.markers,
            self.octets + other.octets,
        )

    @property
    def versions(self) -> int:
        return self.objects + self.large + self.markers

    def document(self) -> dict[str, int]:
        told = asdict(self)
        told["bytes"] = told.pop("octets")
        return told


@dataclass(frozen=True, slots=True)
class Estimate:
    """``requests`` by operation; the dollars of these, of what goes to another region, and of the functions
    and the state machine that do it."""

    requests: Mapping[str, int]
    requests_usd: float
    transfer_usd: float
    computing_usd: float

    @property
    def usd(self) -> float:
        return self.requests_usd + self.transfer_usd + self.computing_usd

    def document(self) -> dict[str, Any]:
        return {
            "requests": dict(self.requests),
            "requestsUsd": round(self.requests_usd, 4),
            "transferUsd": round(self.transfer_usd, 4),
            "computingUsd": round(self.computing_usd, 4),
            "totalUsd": round(self.usd, 4),
        }


def estimate(loads: Mapping[str, Load], remote: Collection[str], listed: int) -> Estimate:
    """What a job is going to cost that gives each destination its load, those of another region being
    ``remote``, after so many versions have been listed, at all sides together."""
    requests = Counter({"ListObjectVersions": _whole(listed, _PAGE)})
    for load in loads.values():
        for calls, times in (
            (OBJECT, load.objects),
            (MARKER, load.markers),
            (LARGE, load.large),
            (PART, load.parts),
        ):
            requests += Counter({operation: count * times for operation, count in calls.items()})
    versions = sum(load.versions for load in loads.values())
    seconds = SECONDS * (versions + sum(load.parts for load in loads.values()))
    batches = _whole(versions, _PAGE)
    computing = (
        batches * (LAMBDA_REQUEST + _TRANSITIONS * STATE_TRANSITION) + seconds * MEMORY_GIB * LAMBDA_GB_SECOND
    )
    transferred = sum(load.octets for name, load in loads.items() if name in remote)
    return Estimate(
        dict(sorted(requests.items())),
        usd(requests),
        transferred / GIB * TRANSFER_GIB,
        computing / 1e6,
    )


def usd(requests: Mapping[str, int]) -> float:
    """By operation."""
    return sum(REQUESTS[operation] * count for operation, count in requests.items()) / 1e6


def _whole(amount: int, unit: int) -> int:
    """How many units hold it."""
    return -(-amount // unit)
