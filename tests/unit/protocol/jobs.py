"""A job in the hands of a test: its survey is done at once, and workers work on its batches."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.job import Job, JobKind, Standing, job_document, parse_job
from s3replicator.decisions.job_report import Task, tasks_of
from s3replicator.decisions.placement import Placement, placements
from s3replicator.ports import JobStore, Ledger
from s3replicator.usecases.examine import Examiner, Terms
from s3replicator.usecases.listing import KeyVersions
from tests.unit.protocol.memory_bucket import MemoryBucket

#: What a backfill takes up, by what the ledger says; and what it takes up when it is to replicate replicas,
#: too, where a job can ask for that.
_WITHOUT_A_REPLICA: Final = ("NONE", "FAILED")
_REPLICAS: Final = tuple(name for name in ("REPLICA",) if name in Standing.__members__)


@dataclass(slots=True)
class MemoryJobStore:
    """What jobs keep, by name."""

    documents: dict[str, bytes] = field(default_factory=dict)
    _claims: dict[str, tuple[str, float]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def claim(self, name: str, now: float, until: float) -> str | None:
        held = self._claims.get(name)
        if held is not None and held[1] > now:
            return None
        claim = f"claim-{next(self._numbers)}"
        self._claims[name] = claim, until
        return claim

    def release(self, name: str, claim: str) -> None:
        if self._claims.get(name, ("",))[0] == claim:
            del self._claims[name]

    def read(self, name: str) -> bytes | None:
        return self.documents.get(name)

    def write(self, name: str, body: bytes) -> None:
        self.documents[name] = body

    def names(self, prefix: str) -> Iterable[str]:
        return sorted(name for name in self.documents if name.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Site:
    """What a survey reads."""

    source: MemoryBucket
    replica: MemoryBucket
    ledger: Ledger
    configuration: Configuration
    peers: frozenset[str]
    now: float


def request(kind: JobKind, *, onward: bool) -> dict[str, Any]:
    """What is asked of a job. A reconcile is a deep one."""
    if kind is JobKind.RECONCILE:
        return {"Kind": kind.value, "Deep": True}
    return {
        "Kind": kind.value,
        "ObjectReplicationStatuses": [*_WITHOUT_A_REPLICA, *(_REPLICAS if onward else ())],
    }


def begun(
    store: MemoryJobStore, site: Site, job_id: str, asked: Mapping[str, Any], keys: Iterable[str]
) -> list[str]:
    """Write down a job and its batches; the names of those."""
    job = parse_job(job_id, asked)
    store.write(f"{job.folder}job.json", _encoded(job))
    there = placements(site.configuration, [site.replica.name])
    examiner = Examiner(_terms(store, site, job, there), "range")
    for key in sorted(keys):
        replicas = [_versions(site.replica, placement.place(key).key) for placement in there]
        examiner.key(key, [_versions(site.source, key), *replicas])
    examiner.flush()
    return list(store.names(f"{job.folder}batches/"))


def results(store: JobStore, batch: str) -> Iterator[Task]:
    """What a batch that is done says that it did."""
    return tasks_of(store.read(batch.replace("/batches/", "/results/")) or b"")


def _terms(store: JobStore, site: Site, job: Job, there: Sequence[Placement]) -> Terms:
    return Terms(
        job=job,
        configuration=site.configuration,
        source_bucket=site.source.name,
        placements=there,
        ledger=site.ledger,
        store=store,
        peers=site.peers,
        now=site.now,
    )


def _encoded(job: Job) -> bytes:
    return json.dumps(job_document(job)).encode()


def _versions(bucket: MemoryBucket, key: str) -> KeyVersions:
    return KeyVersions(key, tuple(bucket.listed(key)))
