"""Amazon S3's own replication configuration of a bucket, read."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.deployment import BucketRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_OPERATION: Final = "GetBucketReplication"
_NONE: Final = "ReplicationConfigurationNotFoundError"
_ELEMENT: Final = re.compile(rb"<([A-Za-z]\w*)")


@dataclass(frozen=True, slots=True)
class NativeReplication:
    """``unknown``: elements of S3's answer that the SDK does not know, and so leaves out."""

    document: dict[str, Any]
    unknown: tuple[str, ...]


def native_replication(client: "S3Client", bucket: str) -> NativeReplication | None:
    """None if the bucket has none. Raises ``BucketRefused``."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: Any) -> None:
        bodies.append(response_dict["body"])

    event = f"before-parse.s3.{_OPERATION}"
    client.meta.events.register(event, keep)
    try:
        answer: Any = client.get_bucket_replication(Bucket=bucket)
    except ClientError as error:
        told = error.response["Error"]
        if told["Code"] == _NONE:
            return None
        raise BucketRefused(bucket, _OPERATION, told["Code"], told.get("Message") or "") from error
    except BotoCoreError as error:
        raise BucketRefused(bucket, _OPERATION, type(error).__name__, str(error)) from error
    finally:
        client.meta.events.unregister(event, keep)
    shape = client.meta.service_model.operation_model(_OPERATION).output_shape
    said = {name.decode() for name in _ELEMENT.findall(bodies[-1])}
    return NativeReplication(answer["ReplicationConfiguration"], tuple(sorted(said - _known(shape))))


def _known(shape: Any) -> set[str]:
    """The names that elements of a shape have in S3's answer."""
    if shape.type_name == "list":
        return _known(shape.member)
    if shape.type_name != "structure":
        return set()
    names: set[str] = set()
    for name, member in shape.members.items():
        names |= {member.serialization.get("name", name)} | _known(member)
    return names
