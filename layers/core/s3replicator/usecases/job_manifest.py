"""A user's manifest: checked whole, and kept in the folder of the job that is about it."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from s3replicator.decisions.job import Job
from s3replicator.decisions.manifest import PLAIN, InvalidManifest, Inventory, entries, inventory
from s3replicator.ports import JobStore

#: How many columns of a plain manifest must be there.
_FEWEST: Final = 2


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
    """``keys``: how many entries a plain manifest has, whose ``body`` is kept as it is; else the files of
    ``of`` are copied."""

    columns: tuple[str, ...]
    keys: int = 0
    body: bytes = b""
    of: Inventory | None = None

    def __str__(self) -> str:
        if self.of is not None:
            return f"an inventory of {len(self.of.files)} files"
        return f"{self.keys} keys"


def examine(files: ManifestFiles, where: str, source_bucket: str) -> JobManifest:
    """Raises ``InvalidManifest``, before anything has been written."""
    body = files.read(where)
    if where.endswith(".json"):
        found = inventory(_document(body), source_bucket)
        if not found.files:
            raise InvalidManifest(f"{where} names no file: the inventory is empty")
        return JobManifest(found.columns, of=found)
    text = "".join(_unzipped(body))
    first: list[str] = next(csv.reader(io.StringIO(text, newline="")), [])
    columns = PLAIN[: max(_FEWEST, min(len(PLAIN), len(first)))]
    keys = sum(1 for _ in entries(io.StringIO(text, newline=""), columns, source_bucket))
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
        return json.loads(body)
    except ValueError as error:
        raise InvalidManifest(f"this is no manifest.json of an S3 Inventory: {error}") from None


def _unzipped(body: bytes) -> Iterator[str]:
    """Lines of text, zipped or not."""
    try:
        plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        yield from io.StringIO(plain.decode("utf-8-sig"), newline="")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InvalidManifest(f"the manifest is no CSV in UTF-8, nor that gzipped: {error}") from None
