"""Manifests: lists of versions that a job is to be about, made by somebody else.

Either CSV with the columns bucket, key and perhaps version id, as S3 Batch Operations takes it, or the CSV
files of an S3 Inventory, whose columns its ``manifest.json`` names. In both, keys are URL-encoded.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/specify-batchjob-manifest.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import csv
import re
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


#: How many of them a line has at least.
_FEWEST: Final = 2

#: The number of a row's line, among its values; no column is called so.
_LINE: Final = ""

_UNENDED: Final = (
    "line {} has a quotation that does not end on it: close it, or double the quote that is meant itself"
)
_TRUTH: Final = {"true": True, "false": False}
_HALF_ENCODED: Final = re.compile("%(?![0-9A-Fa-f]{2})")
#: "URL-ready, opaque strings that are no more than 1,024 bytes long", or none.
_VERSION_ID: Final = re.compile(r"[!-~]{0,1024}")
_BUCKET_ARN: Final = re.compile(r"arn:[a-z-]+:s3:::(?P<name>[A-Za-z0-9._-]{3,255})")


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
    bucket = _bucket_of(arn)
    for key, _ in files:
        if not isinstance(key, str) or not key:
            raise InvalidManifest(f"a file of the inventory has the key {key!r}, which is none")
    if of != source_bucket:
        raise InvalidManifest(f"the inventory is of {of!r}; the stack replicates from {source_bucket!r}")
    if form != "CSV":
        raise InvalidManifest(
            f"the inventory's format is {form}; only CSV can be read: change its output format"
        )
    check_columns(columns)
    return Inventory(bucket, files, columns)


def _bucket_of(arn: object) -> str:
    found = _BUCKET_ARN.fullmatch(arn) if isinstance(arn, str) else None
    if found is None:
        raise InvalidManifest(
            f"destinationBucket is {arn!r}; it must be the ARN of a bucket (arn:aws:s3:::NAME)"
        )
    return found["name"]


def check_columns(columns: Sequence[str]) -> None:
    """Raises ``InvalidManifest``."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InvalidManifest(
            f"the column {twice[0]} is there twice, so that nobody can say which one counts"
        )
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


def columns_of(lines: Iterable[str]) -> Sequence[str]:
    """Those of a plain manifest, by its first line. Raises ``InvalidManifest``."""
    _, first = next(_values(lines), (0, []))
    return PLAIN[: max(_FEWEST, min(len(PLAIN), len(first)))]


def _values(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The values of each line that has any, with its number. What CSV would let pass is refused: keys are
    URL-encoded, so that a quotation ends where its line does."""
    reader = csv.reader(lines, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            if reader.line_num > number or "unexpected end" in str(error):
                raise InvalidManifest(_UNENDED.format(number)) from None
            raise InvalidManifest(f"line {number} is no CSV: {error}") from None
        if values is None:
            return
        if reader.line_num > number:
            raise InvalidManifest(_UNENDED.format(number))
        if values:
            yield number, values


def _rows(lines: Iterable[str], columns: Sequence[str], source_bucket: str) -> Iterator[dict[str, str]]:
    for number, values in _values(lines):
        if not _FEWEST <= len(values) <= len(columns):
            has = f"line {number} has {len(values)} columns, not {', '.join(columns)}"
            raise InvalidManifest(f"{has}: {_short(','.join(values))}")
        row = dict(zip(columns, values, strict=False))
        if row["Bucket"] != source_bucket:
            hint = ": leave the names of the columns out" if row["Key"].lower() == "key" else ""
            raise InvalidManifest(
                f"line {number} is of the bucket {_short(row['Bucket'])}; the stack replicates from"
                f" {source_bucket!r}{hint}"
            )
        _check_version(number, row.get("VersionId", ""))
        key = _key(number, row["Key"])
        # A plain manifest may leave the version id out.
        if len(values) < len(columns) and tuple(columns) != PLAIN:
            raise InvalidManifest(
                f"line {number}: what is said of the key {_short(key)} cannot be read: it has {len(values)}"
                f" columns, not {', '.join(columns)}"
            )
        yield {**row, "Key": key, _LINE: str(number)}


def _key(number: int, encoded: str) -> str:
    try:
        key = "" if _HALF_ENCODED.search(encoded) else unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise InvalidManifest(
            f"line {number} has the key {_short(encoded)}; it must be URL-encoded UTF-8, with %25 for a"
            " percent sign"
        )
    return key


def _check_version(number: int, version_id: str) -> None:
    if not _VERSION_ID.fullmatch(version_id):
        raise InvalidManifest(f"line {number} has the version id {_short(version_id)}, which is none of S3's")


def _listed(row: Mapping[str, str]) -> ListedVersion:
    try:
        modified, octets = _time(row["LastModifiedDate"]), _whole(row["Size"])
        latest, marker = (_TRUTH[row[name]] for name in ("IsLatest", "IsDeleteMarker"))
    except (KeyError, ValueError, OverflowError) as error:
        raise InvalidManifest(
            f"line {row[_LINE]}: what is said of the key {_short(row['Key'])} cannot be read: {error!r}"
        ) from None
    etag = row.get("ETag", "")
    return ListedVersion(
        version_id=version_name(row["VersionId"] or NULL, modified, f'"{etag}"' if etag else ""),
        kind=Kind.MARKER if marker else Kind.OBJECT,
        last_modified=modified,
        etag=f'"{etag}"' if etag else "",
        size=octets,
        latest=latest,
        storage_class=row.get("StorageClass") or "STANDARD",
    )


def _whole(text: str) -> int:
    """A delete marker has no size."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"Size is {text!r}")
    return int(text or 0)


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:97]}...")


def _time(text: str) -> float:
    moment = datetime.fromisoformat(text)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if seconds < 0:
        raise ValueError(f"LastModifiedDate is {text!r}")
    return seconds
