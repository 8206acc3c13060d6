"""ListObjectVersions of a whole bucket, page by page."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from s3replicator.adapters.owned_bucket import OwnedBucket, unknown
from s3replicator.adapters.s3_answers import read_any_key
from s3replicator.adapters.s3_errors import failures_of
from s3replicator.adapters.s3_listing import keep_order, listed_in, recency
from s3replicator.decisions.failures import Call
from s3replicator.decisions.versions import NULL, ListedVersion, version_name
from s3replicator.ports import OpenUpload, Page, Position


class S3Lister:
    """Lists one bucket: the source by the names of its versions, a destination by the ids S3 knows. ``owner``
    tells the account it has to belong to, if that is known."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        *,
        source: bool = False,
        owner: Callable[[], str | None] = unknown,
    ) -> None:
        self._client = client
        self._bucket = OwnedBucket(bucket, owner)
        self._source = source
        keep_order(client)
        read_any_key(client)

    def page(self, prefix: str, after: Position | None, most: int = 1000) -> Page:
        # XML cannot carry every character of a key. The SDK has keys and markers encoded, and decodes them,
        # as long as nobody else asks for an encoding.
        with failures_of(Call.SRC_LIST if self._source else Call.DST_LIST):
            answer = self._client.list_object_versions(
                **self._bucket.named(), Prefix=prefix, MaxKeys=most, **_markers(after)
            )
        listed = sorted(listed_in(answer), key=lambda entry: (entry[0], *recency(entry[1])))
        if self._source:
            listed = [(key, _by_name(version)) for key, version in listed]
        return Page(listed, _end(answer))

    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            **self._bucket.named(), Prefix=prefix, EncodingType="url"
        )
        with failures_of(Call.DST_LIST):
            for page in pages:
                for upload in page.get("Uploads", []):
                    yield OpenUpload(upload["Key"], upload["UploadId"], upload["Initiated"].timestamp())


def _markers(after: Position | None) -> dict[str, str]:
    if after is None:
        return {}
    if after.version_id is None:
        return {"KeyMarker": after.key}
    return {"KeyMarker": after.key, "VersionIdMarker": after.version_id}


def _end(answer: Mapping[str, Any]) -> Position | None:
    """Where the next page begins, with the id S3 knows. S3 goes on in its place if the version is gone."""
    if not answer["IsTruncated"]:
        return None
    return Position(answer["NextKeyMarker"], answer.get("NextVersionIdMarker"))


def _by_name(version: ListedVersion) -> ListedVersion:
    if version.version_id != NULL:
        return version
    return replace(version, version_id=version_name(NULL, version.last_modified, version.etag))
