"""The replication configuration as an object in the control bucket: read, and replaced without losing
what somebody else has written meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.configuration_document import parse_in_force
from s3replicator.decisions.configuration import OBJECT_KEY, Configuration, InvalidConfiguration
from s3replicator.decisions.failures import Reason, RetryableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What S3 answers when the object is no longer the one a write names.
_OVERTAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


#: What it answers when there is no such object or version: also of a delete marker, and of what is no id.
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "InvalidArgument"})


class Overtaken(Exception):
    """Somebody else has written the configuration meanwhile. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """``written`` is in seconds since the epoch."""

    body: bytes
    etag: str
    version_id: str
    written: float


@dataclass(frozen=True, slots=True)
class Former:
    """A version, as the bucket lists it. ``octets`` is its size in bytes; None where it was deleted.
    ``written`` is in seconds since the epoch."""

    version_id: str
    written: float
    octets: int | None
    in_force: bool


class ConfigurationObject:
    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}/{OBJECT_KEY}"

    def read(self, version_id: str | None = None) -> Stored | None:
        """The one in force, or a former one. None if there is none: it was never written, or deleted."""
        which: dict[str, Any] = {"VersionId": version_id} if version_id is not None else {}
        with self._failures():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=OBJECT_KEY, **which)
                body = answer["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
        return Stored(body, answer["ETag"], answer["VersionId"], answer["LastModified"].timestamp())

    def history(self) -> list[Former]:
        """Newest first."""
        found: list[Former] = []
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=OBJECT_KEY
        )
        with self._failures():
            for page in pages:
                found += [
                    Former(
                        entry["VersionId"],
                        entry["LastModified"].timestamp(),
                        entry["Size"],
                        entry["IsLatest"],
                    )
                    for entry in page.get("Versions", [])
                    if entry["Key"] == OBJECT_KEY
                ]
                found += [
                    Former(entry["VersionId"], entry["LastModified"].timestamp(), None, entry["IsLatest"])
                    for entry in page.get("DeleteMarkers", [])
                    if entry["Key"] == OBJECT_KEY
                ]
        # Versions and delete markers come in two lists, each in its order.
        return sorted(found, key=lambda former: (not former.in_force, -former.written))

    def rules(self, source_bucket: str) -> Configuration:
        """The rules in force; none if no configuration has been written."""
        stored = self.read()
        if stored is None:
            return Configuration(())
        try:
            return parse_in_force(stored.body, source_bucket)
        except InvalidConfiguration as error:
            raise RetryableError(Reason.CONFIGURATION_UNREADABLE, f"{self.uri}: {error}") from error

    def replace(self, former: Stored | None, body: bytes) -> str:
        """Write ``body`` in the place of ``former``; the new version's id. Raises ``Overtaken``."""
        with self._failures():
            try:
                if former is None:
                    answer = self._client.put_object(
                        Bucket=self._bucket,
                        Key=OBJECT_KEY,
                        Body=body,
                        ContentType="application/json",
                        IfNoneMatch="*",
                    )
                else:
                    answer = self._client.put_object(
                        Bucket=self._bucket,
                        Key=OBJECT_KEY,
                        Body=body,
                        ContentType="application/json",
                        IfMatch=former.etag,
                    )
            except ClientError as error:
                if error.response["Error"]["Code"] in _OVERTAKEN:
                    raise Overtaken from error
                raise
        return answer["VersionId"]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise RetryableError(Reason.CONFIGURATION_UNREADABLE, f"{self.uri}: {error}") from error
