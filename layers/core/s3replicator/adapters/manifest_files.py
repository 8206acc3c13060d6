"""Manifests on disk and in S3, read with an operator's own permissions."""

from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.manifest import InvalidManifest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class OperatorsFiles:
    def __init__(self, client: "S3Client", control_bucket: str) -> None:
        self._client = client
        self._control_bucket = control_bucket

    def read(self, where: str) -> bytes:
        try:
            if not where.startswith("s3://"):
                return Path(where).read_bytes()
            bucket, _, key = where.removeprefix("s3://").partition("/")
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        # A name that no file can have is a ValueError.
        except (OSError, ValueError, ClientError, BotoCoreError) as error:
            raise InvalidManifest(f"{where} cannot be read: {error}") from error

    def copy(self, bucket: str, key: str, to: str) -> None:
        try:
            # Without its tags, which it would take another permission to read.
            self._client.copy_object(
                Bucket=self._control_bucket,
                Key=to,
                CopySource={"Bucket": bucket, "Key": key},
                TaggingDirective="REPLACE",
            )
        except (ClientError, BotoCoreError) as error:
            raise InvalidManifest(f"s3://{bucket}/{key} cannot be copied: {error}") from error
