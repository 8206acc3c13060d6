"""The composition root: the one place that makes clients and puts use cases together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from s3replicator import telemetry
from s3replicator.adapters.clients import Clients
from s3replicator.adapters.configuration_store import ConfigurationStore
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.event_bus import EventBus
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.adapters.queues import SqsInbox, SqsOutbox
from s3replicator.adapters.runtime import SystemClock, SystemDice, Threads
from s3replicator.adapters.source import S3Source
from s3replicator.settings import Settings
from s3replicator.usecases import lanes
from s3replicator.usecases.batch import Batch
from s3replicator.usecases.by_hand import ByHand
from s3replicator.usecases.engine import Engine, Timing
from s3replicator.usecases.lanes import Lane
from s3replicator.usecases.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Function:
    """What a handler needs."""

    settings: Settings
    batch: Batch
    inbox: SqsInbox
    bus: EventBus
    sweep: Sweep
    by_hand: ByHand


def replicate(settings: Settings) -> Function:
    return _build(settings, settings.ingest_queue_url, lanes.replicate, connections=32, publish_seconds=25)


def replicate_large(settings: Settings) -> Function:
    # Completing an upload of ten thousand parts can take minutes.
    return _build(
        settings, settings.large_queue_url, lanes.replicate_large, connections=100, publish_seconds=240
    )


def retry(settings: Settings) -> Function:
    return _build(settings, settings.dead_letter_queue_url, lanes.retry, connections=32, publish_seconds=60)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every function is put together from."""

    settings: Settings
    clients: Clients
    home: Any
    sqs: Any
    engine: Engine
    configurations: ConfigurationStore


def _build(
    settings: Settings,
    own_queue: str,
    lane: Callable[[Engine], Lane],
    *,
    connections: int,
    publish_seconds: float,
) -> Function:
    parts = parts_of(settings, connections, publish_seconds)
    engine = parts.engine
    return Function(
        settings=settings,
        batch=batch_of(parts, lane(engine)),
        inbox=SqsInbox(parts.sqs, own_queue),
        bus=EventBus(parts.clients.events, settings.source_bucket),
        sweep=Sweep(engine.ledger, engine.outbox, engine.clock),
        by_hand=by_hand_of(parts),
    )


def batch_of(parts: Parts, lane: Lane) -> Batch:
    settings = parts.settings
    return Batch(parts.engine, parts.configurations, settings.source_bucket, lane, settings.peer_principals)


def by_hand_of(parts: Parts) -> ByHand:
    settings = parts.settings
    return ByHand(parts.engine, parts.configurations, settings.source_bucket, settings.peer_principals)


def parts_of(settings: Settings, connections: int, publish_seconds: float) -> Parts:
    clients, clock = Clients(settings.region, connections), SystemClock()
    home = clients.s3(clients.region)
    sqs = clients.sqs()
    outbox = SqsOutbox(
        sqs,
        large=settings.large_queue_url,
        dead_letter=settings.dead_letter_queue_url,
        parked=settings.parked_queue_url,
    )
    configurations = ConfigurationStore(
        home,
        settings.control_bucket,
        settings.source_bucket,
        cache=settings.configuration_cache,
        clock=clock,
        report=telemetry.report_unreadable_configuration,
        report_collision=partial(telemetry.report_colliding_rules, settings.source_bucket),
    )
    engine = Engine(
        source=S3Source(home),
        destinations=_destinations(settings, clients, publish_seconds, configurations),
        ledger=DynamoLedger(clients.dynamodb(), settings.ledger_table),
        outbox=outbox,
        clock=clock,
        dice=SystemDice(),
        parallel=Threads(connections),
        timing=Timing(settings.lease_grace, publish_seconds, settings.defer, settings.retry),
    )
    return Parts(settings, clients, home, sqs, engine, configurations)


def _destinations(
    settings: Settings, clients: Clients, publish_seconds: float, configurations: ConfigurationStore
) -> dict[str, S3Destination]:
    """One pair of clients a region: making a client costs tens of milliseconds."""
    pairs = {
        region: (clients.s3(region), clients.s3_publisher(region, publish_seconds))
        for region in set(settings.destinations.values())
    }
    return {
        bucket: S3Destination(bucket, *pairs[region], owner=partial(configurations.owner_of, bucket))
        for bucket, region in settings.destinations.items()
    }
