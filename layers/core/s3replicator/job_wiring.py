"""What the functions of a job are put together from: those of its workers, its beginning and its end."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from s3replicator import telemetry
from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.adapters.job_store import S3JobStore
from s3replicator.adapters.runtime import Threads
from s3replicator.settings import Settings
from s3replicator.usecases import lanes
from s3replicator.usecases.job_batch import JobBatch
from s3replicator.usecases.job_finish import JobFinish
from s3replicator.usecases.reconcile import Reconciler
from s3replicator.usecases.survey import Survey
from s3replicator.wiring import batch_of, by_hand_of, parts_of

#: Threads that list. Each has a page and a key of every bucket in memory.
_READERS: Final = 24


@dataclass(frozen=True, slots=True)
class Surveyor:
    """The beginning of a job and its end."""

    survey: Survey
    finish: JobFinish


def backfill(settings: Settings) -> JobBatch:
    parts = parts_of(settings, connections=32, publish_seconds=60)
    by_hand = by_hand_of(parts)
    return JobBatch(
        engine=parts.engine,
        batch=batch_of(parts, lanes.job(parts.engine)),
        by_hand=by_hand,
        reconciler=Reconciler(parts.engine, by_hand, settings.source_bucket, settings.peer_principals),
        configurations=parts.configurations,
        store=S3JobStore(parts.home, settings.control_bucket),
        source_bucket=settings.source_bucket,
    )


def survey(settings: Settings) -> Surveyor:
    # It publishes nothing.
    parts = parts_of(settings, connections=64, publish_seconds=25)
    engine, store = parts.engine, S3JobStore(parts.home, settings.control_bucket)
    listers = {
        name: S3Lister(parts.clients.s3(region), name, owner=partial(parts.configurations.owner_of, name))
        for name, region in settings.destinations.items()
    }
    return Surveyor(
        survey=Survey(
            ledger=engine.ledger,
            source=S3Lister(parts.home, settings.source_bucket, source=True),
            destinations=listers,
            configurations=parts.configurations,
            store=store,
            clock=engine.clock,
            parallel=Threads(_READERS),
            workers=_READERS,
            source_bucket=settings.source_bucket,
            peers=settings.peer_principals,
        ),
        finish=JobFinish(
            ledger=engine.ledger,
            store=store,
            clock=engine.clock,
            parallel=engine.parallel,
            source_bucket=settings.source_bucket,
            control_bucket=settings.control_bucket,
            report_drift=telemetry.report_drift,
        ),
    )
