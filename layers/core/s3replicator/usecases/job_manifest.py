"""A user's manifest: checked whole, and kept in the folder of the job that is about it."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from s3replicator.decisions.job import Filters, Job
from s3replicator.decisions.manifest import InvalidManifest, Inventory, columns_of, entries, inventory
from s3replicator.ports import JobStore

#: How much of a manifest in JSON may be there before its first character.
_BRACE: Final = re.compile(rb"(\xef\xbb\xbf)?\s*\{")


class ManifestFiles(Protocol):
    """Raises ``InvalidManifest`` for what is not there, or may not be read."""

    def read(self, where: str) -> bytes:
        """``where``: a path, or s3://bucket/key."""
        ...

    def copy(self, bucket: str, key: str, to: str) -> None:
        """Copy an object to a name in the control bucket."""
        ...


@dataclass(frozen=True, slots=True)
class JobManifest:
    """``keys``: those of a plain manifest, whose ``body`` is kept as it is; else the files of ``of`` are
    copied."""

    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    body: bytes = b""
    of: Inventory | None = None

    def __str__(self) -> str:
        if self.of is not None:
            return f"an inventory of {len(self.of.files)} files"
        return f"{len(self.keys)} keys"

    def is_passed_over(self, filters: Filters) -> bool:
        """Whether no key fits, as far as they are known here."""
        return self.of is None and not any(map(filters.selects_key, self.keys))


def examine(files: ManifestFiles, where: str, source_bucket: str) -> JobManifest:
    """Raises ``InvalidManifest``, before anything has been written."""
    body = files.read(where)
    if where.endswith(".json") or _BRACE.match(body):
        found = inventory(_document(body), source_bucket)
        if not found.files:
            raise InvalidManifest(f"{where} names no file: the inventory is empty")
        return JobManifest(found.columns, of=found)
    text = "".join(_unzipped(body))
    columns = tuple(columns_of(io.StringIO(text, newline="")))
    keys = tuple(entry.key for entry in entries(io.StringIO(text, newline=""), columns, source_bucket))
    if not keys:
        raise InvalidManifest(f"{where} names no version: a line is bucket,key or bucket,key,versionId")
    return JobManifest(columns, keys, text.encode())


def keep(files: ManifestFiles, store: JobStore, job: Job, manifest: JobManifest) -> None:
    folder = f"{job.folder}manifest/"
    if manifest.of is None:
        store.write(f"{folder}00000.csv", manifest.body)
        return
    for number, (key, _) in enumerate(manifest.of.files):
        files.copy(manifest.of.bucket, key, f"{folder}{number:05}.csv.gz")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"this is no manifest.json of an S3 Inventory: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a name appears twice in the same object")
    return unique


def _unzipped(body: bytes) -> Iterator[str]:
    """Lines of text, zipped or not."""
    try:
        plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        yield from io.StringIO(plain.decode("utf-8-sig"), newline="")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InvalidManifest(f"the manifest is no CSV in UTF-8, nor that gzipped: {error}") from None
