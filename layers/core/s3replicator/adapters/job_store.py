"""What a job keeps, as objects of the control bucket."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from s3replicator.adapters.s3_errors import status_of
from s3replicator.decisions.failures import Reason, RetryableError, TerminalError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What S3 refuses although it may accept the same later.
_PASSING: Final = frozenset(
    {
        "ExpiredToken",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_ANOTHER_WAS_FASTER: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class S3JobStore:
    """Raises ``RetryableError``, and ``TerminalError`` for what S3 will refuse again: no such bucket, no
    permission."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, name: str) -> bytes | None:
        with self._failures(name):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

    def write(self, name: str, body: bytes) -> None:
        with self._failures(name):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=body)

    def names(self, prefix: str) -> Iterable[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with self._failures(prefix):
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def claim(self, name: str, now: float, until: float) -> str | None:
        with self._failures(name):
            try:
                held = self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchKey":
                    raise
                return self._claimed(name, until, IfNoneMatch="*")
            if float(held["Body"].read().split()[0]) > now:
                return None
            return self._claimed(name, until, IfMatch=held["ETag"])

    def release(self, name: str, claim: str) -> None:
        with self._failures(name):
            self._claimed(name, 0.0, IfMatch=claim)

    def _claimed(self, name: str, until: float, **condition: Any) -> str | None:
        body = f"{until} {uuid4()}".encode()
        try:
            written = self._client.put_object(Bucket=self._bucket, Key=name, Body=body, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ANOTHER_WAS_FASTER:
                raise
            # The faster one may have been ourselves: the SDK sends again what it has no answer to.
            found = self._client.get_object(Bucket=self._bucket, Key=name)
            return found["ETag"] if found["Body"].read() == body else None
        return written["ETag"]

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        try:
            yield
        except ParamValidationError as error:
            raise TerminalError(Reason.REQUEST_REFUSED, self._told(name, error)) from error
        except ClientError as error:
            if error.response["Error"]["Code"] in _PASSING or not 400 <= status_of(error) < 500:
                raise RetryableError(Reason.UNAVAILABLE, self._told(name, error)) from error
            raise TerminalError(Reason.REQUEST_REFUSED, self._told(name, error)) from error
        except BotoCoreError as error:
            raise RetryableError(Reason.UNAVAILABLE, self._told(name, error)) from error

    def _told(self, name: str, error: Exception) -> str:
        return f"s3://{self._bucket}/{name}: {error}"
