"""Manifests: lists of versions that a job is to be about, made by somebody else.

Either CSV with the columns bucket, key and perhaps version id, as S3 Batch Operations takes it, or the CSV
files of an S3 Inventory, whose columns its ``manifest.json`` names. In both, keys are URL-encoded.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/specify-batchjob-manifest.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final
from urllib.parse import unquote_plus

from s3replicator.decisions.versions import NULL, Kind, ListedVersion, version_name

#: The columns of a manifest that says nothing of its columns.
PLAIN: Final = ("Bucket", "Key", "VersionId")

#: Without these a version cannot be judged, and its key has to be listed.
_FACTS: Final = frozenset({"VersionId", "IsLatest", "IsDeleteMarker", "LastModifiedDate", "Size"})


class InvalidManifest(Exception):
    """Says where, what is wrong, and what would be right."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, and what the manifest says of it: ``versions``, newest first, if it says enough to judge them,
    else the ids that are meant; "" is the current version."""

    key: str
    versions: tuple[ListedVersion, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """``bucket`` is where ``files``, gzipped, are kept: (key, MD5 in hexadecimal)."""

    bucket: str
    files: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]


def inventory(document: Mapping[str, Any], source_bucket: str) -> Inventory:
    """What a ``manifest.json`` says. Raises ``InvalidManifest``."""
    try:
        of, form, arn = document["sourceBucket"], document["fileFormat"], document["destinationBucket"]
        columns = tuple(column.strip() for column in document["fileSchema"].split(","))
        files = tuple((file["key"], file["MD5checksum"]) for file in document["files"])
    except (KeyError, TypeError, AttributeError) as missing:
        raise InvalidManifest(f"this is no manifest.json of an S3 Inventory: {missing!r}") from None
    if of != source_bucket:
        raise InvalidManifest(f"the inventory is of {of!r}; the stack replicates from {source_bucket!r}")
    if form != "CSV":
        raise InvalidManifest(
            f"the inventory's format is {form}; only CSV can be read: change its output format"
        )
    check_columns(columns)
    return Inventory(str(arn).rpartition(":")[2], files, columns)


def check_columns(columns: Sequence[str]) -> None:
    """Raises ``InvalidManifest``."""
    if "Bucket" not in columns or "Key" not in columns:
        raise InvalidManifest(f"the columns are {', '.join(columns)}; Bucket and Key must be among them")


def entries(lines: Iterable[str], columns: Sequence[str], source_bucket: str) -> Iterator[Entry]:
    """Rows of one key that follow each other are one entry. Raises ``InvalidManifest``."""
    rows = _rows(lines, columns, source_bucket)
    for key, group in groupby(rows, key=lambda row: row["Key"]):
        told = list(group)
        if columns and set(columns) >= _FACTS:
            versions = sorted(map(_listed, told), key=lambda one: (not one.latest, -one.last_modified))
            yield Entry(key, versions=tuple(versions))
        else:
            # An inventory leaves the id of a null version empty; elsewhere that is the current version.
            empty = NULL if {"IsLatest", "VersionId"} <= set(columns) else ""
            ids = dict.fromkeys(row.get("VersionId") or empty for row in told)
            yield Entry(key, ids=tuple(ids))


def _rows(lines: Iterable[str], columns: Sequence[str], source_bucket: str) -> Iterator[dict[str, str]]:
    reader = csv.reader(lines)
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise InvalidManifest(f"line {reader.line_num} is no CSV: {error}") from None
        if values is None:
            return
        if not values:
            continue
        number = reader.line_num
        # A plain manifest may leave the version id out.
        row = dict(zip(columns, values, strict=False))
        if len(values) > len(columns) or "Key" not in row:
            raise InvalidManifest(
                f"line {number} has {len(values)} columns, not {', '.join(columns)}: {','.join(values)!r}"
            )
        if row["Bucket"] != source_bucket:
            of = row["Bucket"]
            hint = ": leave the names of the columns out" if row["Key"].lower() == "key" else ""
            raise InvalidManifest(
                f"line {number} is of the bucket {of!r}; the stack replicates from {source_bucket!r}{hint}"
            )
        try:
            key = unquote_plus(row["Key"], errors="strict")
        except UnicodeDecodeError:
            key = ""
        if not key:
            raise InvalidManifest(f"line {number} has the key {row['Key']!r}; it must be URL-encoded UTF-8")
        yield {**row, "Key": key}


def _listed(row: Mapping[str, str]) -> ListedVersion:
    try:
        modified, octets = _time(row["LastModifiedDate"]), int(row["Size"] or 0)
    except (KeyError, ValueError) as error:
        raise InvalidManifest(f"what is said of the key {row['Key']!r} cannot be read: {error!r}") from None
    etag = row.get("ETag", "")
    return ListedVersion(
        version_id=version_name(row["VersionId"] or NULL, modified, f'"{etag}"' if etag else ""),
        kind=Kind.MARKER if row["IsDeleteMarker"] == "true" else Kind.OBJECT,
        last_modified=modified,
        etag=f'"{etag}"' if etag else "",
        size=octets,
        latest=row["IsLatest"] == "true",
        storage_class=row.get("StorageClass") or "STANDARD",
    )


def _time(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
