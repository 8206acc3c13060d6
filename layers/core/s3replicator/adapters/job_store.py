"""What a job keeps, as objects of the control bucket."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

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
