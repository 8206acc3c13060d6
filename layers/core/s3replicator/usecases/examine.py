"""Examining a range of keys for a job: what has to be done is written down in batches, key by key.

Whether anything has to be done is seen from the two lists and the heads of the ledger, read a hundred at a
time: a key that is in order costs nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.drift import compare, unknown_objects
from s3replicator.decisions.job import Job, JobKind
from s3replicator.decisions.ledger import Head, LedgerKey, Row
from s3replicator.decisions.rules import contenders
from s3replicator.decisions.selection import (
    MOST_BYTES,
    MOST_VERSIONS,
    MOST_VERSIONS_OF_A_KEY,
    Line,
    select,
    standing,
)
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.ports import JobStore, Ledger
from s3replicator.usecases.listing import KeyVersions
from s3replicator.usecases.reconcile import is_interrupted

#: Keys whose heads are read together: what one request takes.
_AT_ONCE = 100


@dataclass(slots=True)
class Totals:
    """What has been looked at, and what came of it. ``bytes`` are those of the source's versions."""

    keys: int = 0
    versions: int = 0
    bytes: int = 0
    selected: int = 0
    batches: int = 0

    def add(self, other: "Totals | Mapping[str, int]") -> None:
        told = other if isinstance(other, Mapping) else other.document()
        for name, count in told.items():
            setattr(self, name, getattr(self, name) + count)

    def document(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Terms:
    """What every range of a job shares. ``destinations`` in the order of the streams."""

    job: Job
    configuration: Configuration
    destinations: Sequence[str]
    ledger: Ledger
    store: JobStore
    peers: frozenset[str]
    now: float


@dataclass(slots=True)
class _Key:
    """A key at the source, and by destination what is there."""

    key: str
    source: KeyVersions | None
    replicas: Mapping[str, KeyVersions | None]


@dataclass(slots=True)
class Examiner:
    """One range. ``name`` is part of the names of its batches, ``batches`` how many it has had before."""

    terms: Terms
    name: str
    batches: int = 0
    totals: Totals = field(default_factory=Totals)
    _waiting: list[_Key] = field(default_factory=list)
    _lines: list[bytes] = field(default_factory=list)
    _weight: int = 0

    def key(self, key: str, streams: Sequence[KeyVersions | None]) -> None:
        """The streams: what the source has of the key, then each destination; None for nothing."""
        source, *replicas = streams
        self.totals.keys += source is not None
        if source is not None:
            self.totals.versions += len(source.versions)
            self.totals.bytes += sum(version.size for version in source.versions)
        found = dict(zip(self.terms.destinations, replicas, strict=True))
        self._waiting.append(_Key(key, source, found))
        if len(self._waiting) * len(self.terms.destinations) >= _AT_ONCE:
            self._examine()

    def flush(self) -> None:
        """Everything that has been seen is in a batch afterwards."""
        self._examine()
        self._write()

    # -- batches

    def _add(self, line: Line) -> None:
        body = line.encode()
        size = sum(map(len, self._lines)) + len(body)
        if self._lines and (self._weight + line.weight > MOST_VERSIONS or size > MOST_BYTES):
            self._write()
        self._lines.append(body)
        self._weight += line.weight
        self.totals.selected += line.weight

    def _write(self) -> None:
        if not self._lines:
            return
        name = f"{self.terms.job.folder}batches/{self.name}-{self.batches:06d}.jsonl"
        self.terms.store.write(name, b"".join(self._lines))
        self.batches += 1
        self.totals.batches += 1
        self._lines, self._weight = [], 0

    # -- keys

    def _examine(self) -> None:
        waiting, self._waiting = self._waiting, []
        looked_at = [one for one in waiting if self._may_matter(one)]
        wanted = [LedgerKey(bucket, one.key) for one in looked_at for bucket in self.terms.destinations]
        heads = self.terms.ledger.heads(wanted) if wanted else {}
        for one in looked_at:
            line = self._line(one, {d: heads.get(LedgerKey(d, one.key)) for d in self.terms.destinations})
            if line is not None:
                self._add(line)

    def _may_matter(self, one: _Key) -> bool:
        job = self.terms.job
        if not job.filters.selects_key(one.key):
            return False
        return one.source is not None or job.kind is JobKind.RECONCILE

    def _line(self, one: _Key, heads: Mapping[str, Head | None]) -> Line | None:
        selected = contenders(self.terms.configuration, one.key)
        if self.terms.job.kind is JobKind.BACKFILL:
            return self._to_replicate(one, selected, heads)
        differs = any(
            self._differs(one, bucket, selected.get(bucket, ()), head) for bucket, head in heads.items()
        )
        return Line(one.key) if differs else None

    def _rows(self, bucket: str, key: str, head: Head | None) -> Mapping[str, Row]:
        if head is None:
            return {}
        spilled = self.terms.ledger.spilled(LedgerKey(bucket, key)) if head.spilled else {}
        return {**spilled, **head.rows}

    def _to_replicate(
        self,
        one: _Key,
        selected: Mapping[str, Sequence[Rule]],
        heads: Mapping[str, Head | None],
    ) -> Line | None:
        job = self.terms.job
        contending = [bucket for bucket in self.terms.destinations if bucket in selected]
        if one.source is None or not contending:
            return None
        if not one.source.complete:
            return Line(one.key)
        markers = self._markers([rule for bucket in contending for rule in selected[bucket]])
        versions = select(job, one.key, one.source.versions, markers=markers)
        known = {bucket: self._rows(bucket, one.key, heads[bucket]) for bucket in contending} if versions else {}
        if job.restore_lost and any(
            self._is_lost(known[bucket].get(version.version_id), one.replicas[bucket])
            for version in versions
            for bucket in contending
        ):
            return Line(one.key, restore=True)
        wanted = tuple(
            version
            for version in versions
            if any(standing(known[bucket].get(version.version_id)) in job.standings for bucket in contending)
        )
        if len(wanted) > MOST_VERSIONS_OF_A_KEY:
            return Line(one.key)
        return Line(one.key, wanted) if wanted else None

    @staticmethod
    def _is_lost(row: Row | None, replicas: KeyVersions | None) -> bool:
        if row is None:
            return False
        return row.lost or (row.live and not _lists(replicas, row.replica))

    def _differs(self, one: _Key, bucket: str, rules: Sequence[Rule], head: Head | None) -> bool:
        source, replicas = one.source, one.replicas[bucket]
        if head is None and (source is None or not rules):
            return False
        if not ((source is None or source.complete) and (replicas is None or replicas.complete)):
            return True
        rows = self._rows(bucket, one.key, head)
        sides = Sides(_versions(source), _versions(replicas))
        markers = self._markers(rules)
        wanted = [one for one in sides.source if rules and (markers or one.kind is Kind.OBJECT)]
        found = compare(
            rows,
            sides,
            {version.version_id for version in wanted},
            interrupted=is_interrupted(head, self.terms.now),
            shared=bool(self.terms.peers),
        )
        if found or unknown_objects(rows, sides.destination):
            return True
        return self.terms.job.deep and any(row.live for row in rows.values())

    def _markers(self, rules: Sequence[Rule]) -> bool:
        """Nothing in a delete marker says who wrote it: with peers, only its event tells."""
        return not self.terms.peers and any(rule.delete_markers for rule in rules)


def _versions(found: KeyVersions | None) -> Sequence[ListedVersion]:
    return found.versions if found is not None else ()


def _lists(found: KeyVersions | None, replica: str | None) -> bool:
    return any(version.version_id == replica for version in _versions(found))
