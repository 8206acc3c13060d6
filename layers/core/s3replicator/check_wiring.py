"""What the two functions of a check are put together from, made when a check is asked for."""

from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.adapters.bucket_settings import AwsSettings
from s3replicator.adapters.configuration_object import ConfigurationObject
from s3replicator.adapters.probe_requests import S3Probes
from s3replicator.adapters.rules_in_force import RulesInForce
from s3replicator.settings import Settings
from s3replicator.usecases.preflight import Preflight
from s3replicator.usecases.probing import ProbeRemoval, ProbeWriting
from s3replicator.wiring import Parts, parts_of


def preflight(settings: Settings, account: str) -> Preflight:
    """``account`` is the stack's own."""
    parts = parts_of(settings, connections=32, publish_seconds=25)
    engine, clients = parts.engine, parts.clients
    of_region = {region: clients.s3(region) for region in {settings.region, *settings.destinations.values()}}
    return Preflight(
        source_bucket=settings.source_bucket,
        region=settings.region,
        destinations=settings.destinations,
        rules=_rules(parts),
        settings=AwsSettings(of_region.__getitem__, clients.kms, settings.region, account),
        source=engine.source,
        source_lister=S3Lister(parts.home, settings.source_bucket, source=True),
        writing=ProbeWriting(
            regions=settings.destinations,
            replicas=engine.destinations,
            probes={name: S3Probes(of_region[region]) for name, region in settings.destinations.items()},
            parallel=engine.parallel,
            clock=engine.clock,
        ),
        parallel=engine.parallel,
        peers=settings.peer_principals,
    )


def probe_removal(settings: Settings) -> ProbeRemoval:
    parts = parts_of(settings, connections=32, publish_seconds=60)
    engine = parts.engine
    return ProbeRemoval(
        regions=settings.destinations,
        replicas=engine.destinations,
        rules=_rules(parts),
        parallel=engine.parallel,
        clock=engine.clock,
    )


def _rules(parts: Parts) -> RulesInForce:
    settings = parts.settings
    where = ConfigurationObject(parts.home, settings.control_bucket)
    return RulesInForce(where, settings.source_bucket)
