"""ListObjectVersions of one key, versions and delete markers in S3's own order."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

from s3replicator.adapters.s3_answers import readable
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.ports import InTime, unhurried

_ORDER: Final = "s3replicator.order"

#: By the name that an entry has in the answer; the SDK's lists are called so in the plural.
_KINDS: Final = {"Version": Kind.OBJECT, "DeleteMarker": Kind.MARKER}


def keep_order(client: Any) -> None:
    """The SDK sorts versions and delete markers into two lists; keep the order they were listed in.

    Times have steps of a second, so they cannot tell it afterwards.
    """
    client.meta.events.register("after-call.s3.ListObjectVersions", _remember_order, unique_id=_ORDER)


def _remember_order(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code != 200:
        return
    listed = ElementTree.fromstring(readable(http_response.content))  # noqa: S314 - S3 itself is trusted
    parsed[_ORDER] = [name for entry in listed if (name := _local_name(entry)) in _KINDS]


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def listed_in(answer: Mapping[str, Any]) -> Iterator[tuple[str, ListedVersion]]:
    """The keys and versions of an answer of ListObjectVersions, in the order they were listed in."""
    entries = {name: iter(answer.get(f"{name}s", ())) for name in _KINDS}
    for name in answer[_ORDER]:
        entry = next(entries[name])
        yield entry["Key"], _listed(entry, _KINDS[name])


def recency(version: ListedVersion) -> tuple[bool, float]:
    """To sort the versions of a key newest first.

    Where S3 lists by recency this changes nothing. Stores that list markers apart need it; where their
    times tie, the order of the list stands.
    """
    return (not version.latest, -version.last_modified)


def versions_of(
    client: Any,
    where: Mapping[str, str],
    key: str,
    in_time: InTime = unhurried,
    until: Collection[str] = (),
    *,
    above: str | None = None,
) -> Sequence[ListedVersion]:
    """Versions and delete markers of exactly this key, newest first: all of them, or those down to the page
    that has the last of ``until``, or those that come after ``above``. ``where`` says which bucket, and
    perhaps whose it has to be."""
    found: list[ListedVersion] = []
    missing = set(until)
    begin = {} if above is None else {"KeyMarker": key, "VersionIdMarker": above}
    for page in client.get_paginator("list_object_versions").paginate(**where, Prefix=key, **begin):
        listed = list(listed_in(page))
        found += [version for name, version in listed if name == key]
        # The key itself is the first of all keys that begin with it.
        if any(name != key for name, _ in listed):
            break
        missing -= {version.version_id for _, version in listed}
        if until and not missing:
            break
        if page.get("IsTruncated"):
            in_time()
    return sorted(found, key=recency)


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
