"""Examining a range of keys for a job: what has to be done is written down in batches, key by key.

Whether anything has to be done is seen from the two lists and the heads of the ledger, read a hundred at a
time: a key that is in order costs nothing else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.drift import compare, unknown_objects
from s3replicator.decisions.job import Job, JobKind
from s3replicator.decisions.ledger import Head, LedgerKey, Row, source_name
from s3replicator.decisions.placement import Placement
from s3replicator.decisions.prices import Load
from s3replicator.decisions.probe import is_probe
from s3replicator.decisions.rules import Facts, contenders, fits
from s3replicator.decisions.selection import (
    MOST_BYTES,
    MOST_VERSIONS,
    MOST_VERSIONS_OF_A_KEY,
    Line,
    is_taken,
    select,
)
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import Kind, ListedVersion, VersionRef
from s3replicator.ports import JobStore, Ledger
from s3replicator.usecases.listing import KeyVersions
from s3replicator.usecases.reconcile import is_interrupted

#: Keys whose heads are read together: what one request takes.
_AT_ONCE: Final = 100


@dataclass(slots=True)
class Totals:
    """What has been looked at, and what came of it. ``bytes`` are those of the source's versions."""

    keys: int = 0
    versions: int = 0
    bytes: int = 0
    selected: int = 0
    batches: int = 0

    def document(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every range of a job shares. ``placements`` in the order of the streams."""

    job: Job
    configuration: Configuration
    source_bucket: str
    placements: Sequence[Placement]
    ledger: Ledger
    store: JobStore
    peers: frozenset[str]
    now: float


@dataclass(slots=True)
class _Key:
    """A key at the source, and what there is of it wherever replicas may be."""

    key: str
    source: KeyVersions
    replicas: Mapping[Placement, KeyVersions]


@dataclass(slots=True)
class Examiner:
    """One range. ``name`` is part of the names of its batches."""

    terms: Terms
    name: str
    totals: Totals = field(default_factory=Totals)
    loads: dict[str, Load] = field(default_factory=dict)
    _waiting: list[_Key] = field(default_factory=list)
    _lines: list[bytes] = field(default_factory=list)
    _weight: int = 0
    _size: int = 0

    def key(self, key: str, found: Sequence[KeyVersions]) -> None:
        """``found``: what the source has of the key, then each destination."""
        source, *replicas = found
        self.totals.keys += bool(source.versions)
        self.totals.versions += len(source.versions)
        self.totals.bytes += sum(version.size for version in source.versions)
        by_placement = dict(zip(self.terms.placements, replicas, strict=True))
        here = {placement: found for placement, found in by_placement.items() if placement.has(key)}
        self._waiting.append(_Key(key, source, here))
        if len(self._waiting) * len(self.terms.placements) >= _AT_ONCE:
            self._examine()

    def named(self, key: str, ids: tuple[str, ...]) -> None:
        """A key of a manifest that does not say enough of its versions."""
        self.totals.keys += 1
        self.totals.versions += max(1, len(ids))
        if self.terms.job.filters.selects_key(key):
            self._add(Line(key, only=ids))

    def flush(self) -> dict[str, Any]:
        """Everything that has been seen is in a batch afterwards. Returns the totals, and what a backfill has
        to bring to each destination."""
        self._examine()
        self._write()
        loads = {bucket: load.document() for bucket, load in self.loads.items()}
        return {"totals": self.totals.document(), "load": loads}

    # -- batches

    def _add(self, line: Line) -> None:
        body = line.encode()
        weight, size = self._weight + line.weight, self._size + len(body)
        if self._lines and (weight > MOST_VERSIONS or size > MOST_BYTES):
            self._write()
        self._lines.append(body)
        self._weight += line.weight
        self._size += len(body)
        self.totals.selected += line.weight

    def _write(self) -> None:
        if not self._lines:
            return
        name = f"{self.terms.job.folder}batches/{self.name}-{self.totals.batches:06d}.jsonl"
        self.terms.store.write(name, b"".join(self._lines))
        self.totals.batches += 1
        self._lines, self._weight, self._size = [], 0, 0

    # -- keys

    def _examine(self) -> None:
        waiting, self._waiting = self._waiting, []
        looked_at = [one for one in waiting if self._may_matter(one)]
        wanted = [placement.place(one.key) for one in looked_at for placement in one.replicas]
        heads = self.terms.ledger.heads(wanted) if wanted else {}
        for one in looked_at:
            source = source_name(VersionRef(self.terms.source_bucket, one.key, ""))
            found = {placement: heads.get(placement.place(one.key)) for placement in one.replicas}
            # The place may belong to another key, which whoever works on this one will find out.
            ours = {p: head if head and head.is_of(source) else None for p, head in found.items()}
            line = self._line(one, ours)
            if line is not None:
                self._add(line)

    def _may_matter(self, one: _Key) -> bool:
        job = self.terms.job
        if not job.filters.selects_key(one.key):
            return False
        if is_probe(one.key) and not one.source.versions:
            return False  # a check is under way, whose probe is at a destination
        return bool(one.source.versions) or job.kind is JobKind.RECONCILE

    def _line(self, one: _Key, heads: Mapping[Placement, Head | None]) -> Line | None:
        contending = contenders(self.terms.configuration, one.key)
        selected = {
            placement: [
                rule for rule in contending.get(placement.bucket, ()) if rule.transform == placement.transform
            ]
            for placement in heads
        }
        if self.terms.job.kind is JobKind.BACKFILL:
            return self._to_replicate(one, selected, heads)
        differs = any(self._differs(one, p, selected[p], head) for p, head in heads.items())
        return Line(one.key, counted=_count(one)) if differs else None

    def _rows(self, place: LedgerKey, head: Head | None) -> Mapping[str, Row]:
        if head is None:
            return {}
        spilled = self.terms.ledger.spilled(place, head.source) if head.spilled else {}
        return {**spilled, **head.rows}

    def _to_replicate(
        self,
        one: _Key,
        selected: Mapping[Placement, Sequence[Rule]],
        heads: Mapping[Placement, Head | None],
    ) -> Line | None:
        job = self.terms.job
        contending = [placement for placement, rules in selected.items() if rules]
        if not contending:
            return None
        if not one.source.complete:
            return Line(one.key, recall=any(one.replicas[placement].versions for placement in contending))
        rules = [rule for placement in contending for rule in selected[placement]]
        markers = self._markers(rules)
        versions = [
            version
            for version in select(job, one.key, one.source.versions, markers=markers)
            if _may_be_selected(version, rules, markers=markers)
        ]
        if not versions:
            return None
        known = {p: self._rows(p.place(one.key), heads[p]) for p in contending}
        there = {p: {replica.version_id for replica in one.replicas[p].versions} for p in contending}
        if job.restore_lost and any(
            self._is_lost(rows.get(version.version_id), there[placement])
            for version in versions
            for placement, rows in known.items()
        ):
            return Line(one.key, restore=True, counted=_count(one))
        wanted = tuple(version for version in versions if self._weigh(version, known))
        if not wanted:
            return None
        recall = any(unknown_objects(rows, one.replicas[p].versions) for p, rows in known.items())
        return Line(one.key, wanted if len(wanted) <= MOST_VERSIONS_OF_A_KEY else None, recall=recall)

    def _weigh(self, version: ListedVersion, known: Mapping[Placement, Mapping[str, Row]]) -> bool:
        """Whether any of these places is to be given the version; added to the loads of their buckets."""
        job = self.terms.job
        lacking = {p.bucket for p, rows in known.items() if is_taken(job, rows.get(version.version_id))}
        for bucket in lacking:
            self.loads[bucket] = self.loads.get(bucket, Load()) + Load.of(version)
        return bool(lacking)

    @staticmethod
    def _is_lost(row: Row | None, there: Collection[str]) -> bool:
        return row is not None and (row.lost or (row.live and row.replica not in there))

    def _differs(self, one: _Key, placement: Placement, rules: Sequence[Rule], head: Head | None) -> bool:
        source, replicas = one.source, one.replicas[placement]
        if head is None and not (source.versions and rules):
            return False
        if not (source.complete and replicas.complete):
            return True
        rows = self._rows(placement.place(one.key), head)
        sides = Sides(source.versions, replicas.versions)
        markers = self._markers(rules)
        wanted = [version for version in sides.source if _may_be_selected(version, rules, markers=markers)]
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
        left_out = self.terms.job.leaves_out_markers(self.terms.peers)
        return not left_out and any(rule.delete_markers for rule in rules)


def _may_be_selected(version: ListedVersion, rules: Iterable[Rule], *, markers: bool) -> bool:
    """By what a list tells of it, which is all but its tags."""
    if version.kind is Kind.MARKER:
        return markers
    facts = Facts(size=version.size, storage_class=version.storage_class)
    return any(fits(rule.filter, facts) for rule in rules)


def _count(one: _Key) -> int | None:
    """How many versions a key has; None if not all of them have been listed."""
    if not all(listed.complete for listed in (one.source, *one.replicas.values())):
        return None
    return len(one.source.versions)
