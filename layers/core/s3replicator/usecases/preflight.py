"""The check of a deployment, as the role that replicates: settings are looked at, the source is read, and
probes are written, which the other role removes again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from s3replicator.decisions import problems
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.denials import about_failure
from s3replicator.decisions.failures import NotEligible, ReplicationError, SourceGone
from s3replicator.decisions.findings import Check, Finding, fine
from s3replicator.decisions.preflight import (
    ACLS_OFF,
    Bucket,
    Key,
    LockSetting,
    Unseen,
    about_configuration,
    about_destination,
    about_left_out,
    about_source,
    may_be_probed,
    onward,
)
from s3replicator.decisions.probe import Probe, planned
from s3replicator.decisions.provenance import says_replica
from s3replicator.decisions.versions import Kind, SourceObject, VersionRef
from s3replicator.ports import Lister, Parallel, Source
from s3replicator.usecases.probing import ProbeWriting, Report, Rules, Task

_NO_RULES: Final = Configuration(())

#: Objects at the source that are looked at to see whether others write replicas there.
_MOST_LOOKED_AT: Final = 20


class Settings(Protocol):
    """What buckets and keys say of themselves. Nothing is raised: what cannot be looked at is ``Unseen``."""

    def source(self, bucket: str) -> Bucket: ...

    def destination(self, bucket: str, region: str, owners: Iterable[str]) -> Bucket:
        """``owners`` are the accounts that rules name as its owner."""
        ...

    def key(self, name: str, region: str) -> Key | Unseen | None: ...


@dataclass(frozen=True, slots=True)
class Preflight:
    """``destinations`` maps the stack's buckets to their regions, ``region`` is the stack's own; ``peers`` as
    in ``Batch``."""

    source_bucket: str
    region: str
    destinations: Mapping[str, str]
    rules: Rules
    settings: Settings
    source: Source
    source_lister: Lister
    writing: ProbeWriting
    parallel: Parallel
    peers: frozenset[str] = frozenset()

    def run(self, nonce: str) -> Report:
        """``nonce`` names the probes of this check."""
        report = Report()
        configuration = self._configuration(report)
        source, *destinations = self._look_at_buckets(configuration)
        report.findings += about_source(source, self.region, self.destinations)
        report.findings += self._read_source(source)
        report.findings += self._look_for_replicas(source, configuration)
        keys = self._look_at_keys(configuration)
        for bucket in destinations:
            region = self.destinations[bucket.name]
            of_bucket = {name: key for (name, where), key in keys.items() if where == region}
            report.findings += about_destination(bucket, region, source, configuration, of_bucket)
        self._probe(report, configuration, source, destinations, nonce)
        return report

    # -- the configuration

    def _configuration(self, report: Report) -> Configuration:
        try:
            configuration = self.rules.read()
        except ReplicationError as error:
            told = error.detail.rstrip(".")
            report.findings.append(problems.UNUSABLE_CONFIGURATION.at("configuration", told=told))
            return _NO_RULES
        if configuration is None:
            report.findings.append(problems.NO_CONFIGURATION.at("configuration"))
            return _NO_RULES
        named = f"{len(configuration.ranked)} enabled of {len(configuration.rules)} rules"
        report.findings.append(fine(Check.CONFIGURATION, "configuration", named))
        report.findings += about_configuration(configuration, self.destinations)
        return configuration

    # -- settings

    def _look_at_buckets(self, configuration: Configuration) -> list[Bucket]:
        owners: dict[str, list[str]] = {name: [] for name in self.destinations}
        for rule in configuration.ranked:
            if rule.destination.account and rule.destination.bucket in owners:
                owners[rule.destination.bucket].append(rule.destination.account)

        def look(name: str) -> Bucket:
            if name == self.source_bucket:
                return self.settings.source(name)
            return self.settings.destination(name, self.destinations[name], dict.fromkeys(owners[name]))

        return self.parallel.map(look, [self.source_bucket, *self.destinations])

    def _look_at_keys(self, configuration: Configuration) -> dict[tuple[str, str], Key | Unseen | None]:
        """By name and region."""
        wanted = {
            (to.kms_key, self.destinations[to.bucket])
            for rule in configuration.ranked
            for to in [rule.destination]
            if rule.kms and to.kms_key is not None and to.bucket in self.destinations
        }
        listed = sorted(wanted)
        found = self.parallel.map(lambda key: self.settings.key(*key), listed)
        return dict(zip(listed, found, strict=True))

    # -- the source

    def _read_source(self, source: Bucket) -> Iterator[Finding]:
        """One version is listed and read, if there is any."""
        if not may_be_probed(source):
            return
        name = source.name
        try:
            listed = self.source_lister.page("", None, most=1).versions
            for key, version in listed:
                ref = VersionRef(name, key, version.version_id)
                if version.kind is Kind.OBJECT:
                    self.source.head(ref)
                    self.source.tags(ref)
        except (NotEligible, SourceGone):
            pass  # it has been read, or somebody was quicker
        except ReplicationError as failure:
            yield about_failure(Check.SOURCE, name, failure)
            return
        yield fine(Check.SOURCE, name, "a version was read" if listed else "it is empty")

    def _look_for_replicas(self, source: Bucket, configuration: Configuration) -> Iterator[Finding]:
        """Nothing in a delete marker says who wrote it. Whether others write replicas here is seen from some
        of the youngest objects on the first page of the listing; what is not among them is not found."""
        circling = not self.peers and any(rule.delete_markers for rule in configuration.ranked)
        if not circling or not may_be_probed(source):
            return
        try:
            listed = self.source_lister.page("", None).versions
            objects = [(key, version) for key, version in listed if version.kind is Kind.OBJECT]
            youngest = sorted(objects, key=lambda one: -one[1].last_modified)[:_MOST_LOOKED_AT]
            refs = [VersionRef(source.name, key, version.version_id) for key, version in youngest]
            replicas = [ref for ref in self.parallel.map(self._replica, refs) if ref is not None]
        except ReplicationError:
            return  # that the source cannot be read is told already
        if replicas:
            yield problems.MARKERS_MAY_CIRCLE.at(source.name, key=replicas[0].key)
        else:
            yield fine(Check.LOOPS, source.name, "no replicas of others were seen")

    def _replica(self, ref: VersionRef) -> VersionRef | None:
        try:
            version = self.source.head(ref)
        except (NotEligible, SourceGone):
            return None
        return ref if isinstance(version, SourceObject) and says_replica(version) else None

    # -- the probes

    def _probe(
        self,
        report: Report,
        configuration: Configuration,
        source: Bucket,
        destinations: Iterable[Bucket],
        nonce: str,
    ) -> None:
        found = {bucket.name: bucket for bucket in destinations if may_be_probed(bucket)}
        tasks: list[Task] = []
        plan = planned(configuration, found, nonce)
        report.findings += about_left_out(plan)
        for probe in plan.probes:
            bucket = found[probe.bucket]
            onward_to = onward(bucket, probe.key)
            if onward_to is None:
                tasks.append(_task(probe, bucket, source))
            else:
                report.findings.append(problems.NOT_PROBED.at(probe.bucket, onward=onward_to))
        report.add(self.writing.run(tasks, nonce))


def _task(probe: Probe, bucket: Bucket, source: Bucket) -> Task:
    locks = isinstance(bucket.lock, LockSetting)
    locking = isinstance(bucket.lock, LockSetting) and bool(bucket.lock.retention)
    follows_acls = not isinstance(source.ownership, Unseen) and source.ownership != ACLS_OFF
    return Task(
        probe,
        locked=locking or (locks and isinstance(source.lock, LockSetting)),
        locking=locking,
        acls=follows_acls,
    )
