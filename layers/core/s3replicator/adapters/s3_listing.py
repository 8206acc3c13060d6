"""ListObjectVersions of one key, versions and delete markers in S3's own order."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

from s3replicator.decisions.versions import Kind, ListedVersion

_ORDER: Final = "s3replicator.order"


def keep_order(client: Any) -> None:
    """The SDK sorts versions and delete markers into two lists; keep the order they were listed in.

    Times have steps of a second, so they cannot tell it afterwards.
    """
    client.meta.events.register("after-call.s3.ListObjectVersions", _remember_order, unique_id=_ORDER)


def _remember_order(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code != 200:
        return
    listed = ElementTree.fromstring(http_response.content)  # noqa: S314 - S3 itself is trusted
    parsed[_ORDER] = [
        _text(entry, "VersionId") for entry in listed if _local_name(entry) in ("Version", "DeleteMarker")
    ]


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(entry: ElementTree.Element, name: str) -> str:
    return next((child.text or "" for child in entry if _local_name(child) == name), "")


def versions_of(client: Any, bucket: str, key: str) -> Sequence[ListedVersion]:
    """All versions and delete markers of exactly this key, newest first."""
    found: list[ListedVersion] = []
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        entries = {
            entry["VersionId"]: _listed(entry, kind)
            for name, kind in (("Versions", Kind.OBJECT), ("DeleteMarkers", Kind.MARKER))
            for entry in page.get(name, [])
            if entry["Key"] == key
        }
        # The key itself is the first of all keys that begin with it; an id such as "null" is not its alone.
        found += [entries.pop(version_id) for version_id in page[_ORDER] if version_id in entries]
        if any(entry["Key"] != key for entry in page.get("Versions", [])) or any(
            entry["Key"] != key for entry in page.get("DeleteMarkers", [])
        ):
            break
    # Where S3 lists by recency this changes nothing. Stores that list markers apart need it; where their
    # times tie, the order of the list stands.
    return sorted(found, key=lambda version: (not version.latest, -version.last_modified))


def _listed(entry: Mapping[str, Any], kind: Kind) -> ListedVersion:
    return ListedVersion(
        version_id=entry["VersionId"],
        kind=kind,
        last_modified=entry["LastModified"].timestamp(),
        etag=entry.get("ETag", ""),
        size=entry.get("Size", 0),
        latest=entry.get("IsLatest", False),
        storage_class=entry.get("StorageClass", "STANDARD"),
    )
