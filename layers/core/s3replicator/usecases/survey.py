"""The beginning of a job: the listings of both sides are read side by side, by many threads, and what has to
be done is written down in batches. Called again and again until it is done."""

import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.job import InvalidJob, Job, JobKind, job_document, parse_job
from s3replicator.decisions.job_reach import new_job
from s3replicator.decisions.job_report import lines_of
from s3replicator.decisions.manifest import Entry, InvalidManifest, entries
from s3replicator.decisions.placement import placements
from s3replicator.decisions.prices import Load
from s3replicator.decisions.selection import MOST_VERSIONS
from s3replicator.ports import Clock, Configurations, JobStore, Ledger, Lister, Parallel, UploadLister
from s3replicator.usecases.examine import Examiner, Terms, Totals
from s3replicator.usecases.listing import Buckets, Checkpoint, KeyVersions, Walk
from s3replicator.usecases.placed_listing import PlacedLister
from s3replicator.usecases.stray_uploads import stray_uploads

#: Nothing is begun in the last seconds of a call.
_MARGIN: Final = 60.0


class SurveyUnderWay(RetryableError):
    """Another call surveys for the same job: that of an execution that was stopped goes on to its end. Both
    would name their batches alike. The state machine knows it by the name of this class."""


@dataclass(frozen=True, slots=True)
class Survey:
    """``workers`` threads read; ``parallel`` must be able to run them at once."""

    source: Lister
    destinations: Mapping[str, UploadLister]
    ledger: Ledger
    configurations: Configurations
    store: JobStore
    clock: Clock
    parallel: Parallel
    workers: int
    source_bucket: str
    peers: frozenset[str] = frozenset()

    def run(self, job_id: str, request: Mapping[str, Any] | None, deadline: float) -> dict[str, Any]:
        """{"done": bool, "batches": how many there are}. Without a ``request`` the job must have been begun.

        Raises ``InvalidJob``, also if the id is another job's, ``SurveyUnderWay`` and ``RetryableError``.
        """
        name = f"{_folder(job_id)}survey.claim"
        claim = self.store.claim(name, self.clock.now(), deadline + _MARGIN)
        if claim is None:
            raise SurveyUnderWay(Reason.BUSY, f"another survey of the job {job_id} is under way")
        try:
            return self._survey(self._begin(job_id, request), deadline)
        finally:
            self.store.release(name, claim)

    def _survey(self, job: Job, deadline: float) -> dict[str, Any]:
        checkpoint = _read(self.store.read(_place(job)))
        self._empty_batches_made_in_vain(job, checkpoint)
        configuration = self.configurations.current()
        there = [
            PlacedLister(self.destinations[placement.bucket], placement)
            for placement in placements(configuration, self.destinations)
        ]
        terms = Terms(
            job=job,
            configuration=configuration,
            source_bucket=self.source_bucket,
            placements=tuple(lister.placement for lister in there),
            ledger=self.ledger,
            store=self.store,
            peers=self.peers,
            now=self.clock.now(),
        )
        if job.columns:
            reached = self._read_manifest(terms, checkpoint, deadline - _MARGIN)
        else:
            buckets = Buckets((self.source, *there), job.prefix, MOST_VERSIONS)
            reached = Walk(buckets, self.parallel, self.workers, self.clock).run(
                lambda name: Examiner(terms, name),
                lambda reached: self._save(job, reached),
                checkpoint,
                deadline=deadline - _MARGIN,
            )
        if reached.finished and job.kind is JobKind.RECONCILE:
            self._tell_of_uploads(job, there)
        return {"done": reached.finished, "batches": _totals(reached)["batches"]}

    def _tell_of_uploads(self, job: Job, there: Sequence[PlacedLister]) -> None:
        now = self.clock.now()
        found = [
            task
            for lister in there
            for task in stray_uploads(self.ledger, lister, job.prefix, now, self.source_bucket)
        ]
        if found:
            self.store.write(f"{job.folder}results/uploads.jsonl", lines_of(found))

    def _save(self, job: Job, checkpoint: Checkpoint) -> None:
        self.store.write(_place(job), _document(checkpoint))

    def _read_manifest(self, terms: Terms, checkpoint: Checkpoint, deadline: float) -> Checkpoint:
        """File by file. One that was not read to its end is read again from its beginning."""
        job = terms.job
        for name in self.store.names(f"{job.folder}manifest/"):
            short = name.rpartition("/")[2].partition(".")[0]
            if short in checkpoint.memos:
                continue
            if self.clock.now() > deadline:
                return checkpoint
            examiner, nothing = Examiner(terms, short), [KeyVersions("")] * len(terms.placements)
            for entry in self._entries(name, job):
                if entry.versions:
                    examiner.key(entry.key, [KeyVersions(entry.key, entry.versions), *nothing])
                else:
                    examiner.named(entry.key, entry.ids)
            memos = {**checkpoint.memos, short: examiner.flush()}
            checkpoint = replace(checkpoint, memos=memos)
            self._save(job, checkpoint)
        checkpoint = replace(checkpoint, todo=())
        self._save(job, checkpoint)
        return checkpoint

    def _entries(self, name: str, job: Job) -> Iterator[Entry]:
        """Raises ``InvalidManifest``, which names the file."""
        try:
            yield from entries(self._lines(name), job.columns, self.source_bucket)
        except InvalidManifest as invalid:
            raise InvalidManifest(f"{name}: {invalid}") from None
        # What is no gzip, is cut off, or is no text.
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise InvalidManifest(f"{name} is no CSV in UTF-8, nor that gzipped: {error}") from None

    def _lines(self, name: str) -> Iterator[str]:
        body = self.store.read(name)
        if body is None:
            raise InvalidManifest("it was there, and has been removed")
        if name.endswith(".gz"):
            if not body:
                raise EOFError("it is empty")  # which is taken for a file without lines, else
            with gzip.open(io.BytesIO(body), "rt", encoding="utf-8", newline="") as lines:
                yield from lines
        else:
            yield from io.StringIO(body.decode(), newline="")

    def _begin(self, job_id: str, request: Mapping[str, Any] | None) -> Job:
        known = self.store.read(f"{_folder(job_id)}job.json")
        if known is None:
            if request is None:
                raise InvalidJob([f"there is no job {job_id}"])
            job = new_job(job_id, request)
            self.store.write(f"{job.folder}job.json", json.dumps(job_document(job), indent=2).encode())
            return job
        job = parse_job(job_id, json.loads(known))
        if request is not None and parse_job(job_id, request) != job:
            raise InvalidJob([f"the id {job_id} is that of a job with another request: choose another id"])
        return job

    def _empty_batches_made_in_vain(self, job: Job, checkpoint: Checkpoint) -> None:
        """What a call that died wrote after its last checkpoint is in other batches now."""
        for name in self.store.names(f"{job.folder}batches/"):
            of_range, _, number = name.rpartition("/")[2].removesuffix(".jsonl").rpartition("-")
            if not number.isdecimal():
                continue  # none of ours
            memo = checkpoint.memos.get(of_range)
            if memo is None or int(number) >= memo["totals"]["batches"]:
                self.store.write(name, b"")


def _folder(job_id: str) -> str:
    return parse_job(job_id, {"Kind": "backfill"}).folder


def _place(job: Job) -> str:
    return f"{job.folder}survey.json"


def _totals(checkpoint: Checkpoint) -> dict[str, int]:
    totals = Counter(Totals().document())
    for memo in checkpoint.memos.values():
        totals.update(memo["totals"])
    return dict(totals)


def _document(checkpoint: Checkpoint) -> bytes:
    loads: dict[str, Load] = {}
    for memo in checkpoint.memos.values():
        for bucket, load in memo["load"].items():
            loads[bucket] = loads.get(bucket, Load()) + Load.read(load)
    told = {
        "done": checkpoint.finished,
        "totals": _totals(checkpoint),
        "load": {bucket: load.document() for bucket, load in loads.items()},
        "checkpoint": checkpoint.document(),
    }
    return json.dumps(told).encode()


def _read(body: bytes | None) -> Checkpoint:
    return Checkpoint.of(json.loads(body)["checkpoint"]) if body is not None else Checkpoint()
