"""Somebody who works with a bucket through the SDK; see conformance.User."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from s3replicator.decisions.versions import Tag


class BotoUser:
    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._keys: dict[str, str] = {}
        self.name = name

    def put(self, key: str, body: str, *, tags: frozenset[Tag] = frozenset()) -> str:
        tagging = urlencode([(tag.key, tag.value) for tag in tags])
        answer = self._client.put_object(Bucket=self.name, Key=key, Body=body.encode(), Tagging=tagging)
        return str(answer.get("VersionId", "null"))

    def begin(self, key: str, body: str) -> str:
        upload_id = str(self._client.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"])
        self._client.upload_part(
            Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=1, Body=body.encode()
        )
        self._keys[upload_id] = key
        return upload_id

    def end(self, upload_id: str) -> str:
        upload = {"Bucket": self.name, "Key": self._keys.pop(upload_id), "UploadId": upload_id}
        parts = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            for part in self._client.list_parts(**upload)["Parts"]
        ]
        answer = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        return str(answer["VersionId"])

    def mark(self, key: str) -> str:
        return str(self._client.delete_object(Bucket=self.name, Key=key).get("VersionId", "null"))

    def purge(self, key: str, version_id: str) -> None:
        try:
            self._client.delete_object(Bucket=self.name, Key=key, VersionId=version_id)
        except ClientError as error:
            # Amazon's answer is the same whether the version was there or not; other stores tell.
            if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchVersion"):
                raise

    def tag(self, key: str, version_id: str, tags: Iterable[Tag]) -> None:
        tag_set = [{"Key": tag.key, "Value": tag.value} for tag in tags]
        self._client.put_object_tagging(
            Bucket=self.name, Key=key, VersionId=version_id, Tagging={"TagSet": tag_set}
        )

    def suspend(self) -> None:
        self._version("Suspended")

    def enable(self) -> None:
        self._version("Enabled")

    def _version(self, status: str) -> None:
        self._client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": status})
