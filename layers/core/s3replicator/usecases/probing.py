"""Probes at destinations: written and read by the role that replicates, read, copied and deleted by the role
that may delete versions. Whatever else fails, a probe is deleted, or its version is told."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from s3replicator.decisions import problems
from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.denials import about_failure
from s3replicator.decisions.failures import NotEligible, ReplicationError
from s3replicator.decisions.findings import Check, Finding, fine
from s3replicator.decisions.probe import TAGS, Probe, Written, is_probe, planned, probe_request
from s3replicator.decisions.replica import ReplicaRequest, check_eligible, copy_request, upload_request
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import NULL, Lock, SourceObject
from s3replicator.ports import Clock, DestinationBucket, Parallel

#: How long a probe is locked that has to be: it has to end in the future when S3 looks. In seconds.
RETENTION: Final = 5.0

#: S3's clock need not be ours, in seconds.
_SKEW: Final = 1.0

_NO_RULES: Final = Configuration(())

T = TypeVar("T")


class Rules(Protocol):
    def read(self) -> Configuration | None:
        """Those in force at this moment; None if there are none yet. Raises ``ReplicationError`` if they
        cannot be read, or are invalid."""
        ...


class Probes(Protocol):
    """Requests that only a check makes."""

    def put(self, probe: Probe, request: ReplicaRequest) -> str:
        """The version id: ``null`` if the bucket is not versioned."""
        ...

    def read(self, probe: Probe, version_id: str) -> None:
        """Unlike HEAD, it says why it is denied."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """``locked``: replicas there can have a retention. ``locking``: they get one if they come without.
    ``acls``: the source's ACLs are followed."""

    probe: Probe
    locked: bool
    locking: bool
    acls: bool


@dataclass(slots=True)
class Report:
    """``written`` are all versions of probes that are there now."""

    findings: list[Finding] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.findings += other.findings
        self.written += other.written

    def attempt(self, check: Check, probe: Probe, call: Callable[[], T]) -> T | None:
        """The answer, and a finding either way; None if it failed."""
        try:
            answer = call()
        except ReplicationError as failure:
            self.findings.append(about_failure(check, probe.bucket, failure, probe.kms_key))
            return None
        self.findings.append(fine(check, probe.bucket, "permitted"))
        return answer


@dataclass(frozen=True, slots=True)
class ProbeWriting:
    """``regions`` has each destination's, for whoever has to type a command."""

    regions: Mapping[str, str]
    replicas: Mapping[str, DestinationBucket]
    probes: Mapping[str, Probes]
    parallel: Parallel
    clock: Clock

    def run(self, tasks: Iterable[Task], nonce: str) -> Report:
        report = Report()
        for each in self.parallel.map(lambda task: self._write(task, nonce), tasks):
            report.add(each)
        return report

    def _write(self, task: Task, nonce: str) -> Report:
        report, probe = Report(), task.probe
        replicas, probes = self.replicas[probe.bucket], self.probes[probe.bucket]
        until = self.clock.now() + RETENTION if task.locked else None
        request = probe_request(probe, nonce, until)
        version = report.attempt(Check.WRITE, probe, lambda: probes.put(probe, request))
        if version is None:
            return report
        report.written.append(Written(probe.bucket, probe.key, version, until, task.locking))
        if version == NULL:
            region = self.regions[probe.bucket]
            unversioned = problems.DESTINATION_UNVERSIONED.at(probe.bucket, status="off", region=region)
            report.findings.append(unversioned)
            return report
        report.attempt(Check.TAG, probe, lambda: replicas.put_tags(probe.key, version, TAGS))
        if task.acls and not (probe.rule and probe.rule.destination.owner_override):
            report.attempt(Check.ACL, probe, lambda: replicas.put_acl(probe.key, version, frozenset()))
        report.attempt(Check.READ, probe, lambda: probes.read(probe, version))
        report.attempt(Check.READ, probe, lambda: replicas.tags(probe.key, version))
        if probe.markers:
            marker = report.attempt(Check.MARKER, probe, lambda: replicas.put_marker(probe.key))
            if marker is not None:
                report.written.append(Written(probe.bucket, probe.key, marker.version_id))
        return report


@dataclass(frozen=True, slots=True)
class ProbeRemoval:
    regions: Mapping[str, str]
    replicas: Mapping[str, DestinationBucket]
    rules: Rules
    parallel: Parallel
    clock: Clock

    def run(self, nonce: str, written: Iterable[Written]) -> list[Finding]:
        """Try out what else is done with replicas, then delete every version of this check's probes: those
        that were told of, and those that are listed, if the writer could not tell."""
        probes = planned(self._rules_in_force(), self.regions, nonce).probes
        told: dict[Probe, list[Written]] = {probe: [] for probe in probes}
        for version in written:
            # Nothing else is ever deleted here, whatever is asked.
            if is_probe(version.key) and nonce in version.key and version.bucket in self.regions:
                known = (p for p in told if (p.bucket, p.key) == (version.bucket, version.key))
                probe = next(known, Probe(version.bucket, version.key))
                told.setdefault(probe, []).append(version)
        reports = self.parallel.map(lambda probe: self._remove(probe, told[probe], nonce), told)
        return [finding for report in reports for finding in report.findings]

    def _rules_in_force(self) -> Configuration:
        """What keeps them from being read has been told by the writer, and must not keep us from deleting."""
        with suppress(ReplicationError):
            return self.rules.read() or _NO_RULES
        return _NO_RULES

    def _remove(self, probe: Probe, written: list[Written], nonce: str) -> Report:
        report, replicas = Report(), self.replicas[probe.bucket]
        replica = self._read(report, probe, written[0]) if written else None
        ends = max((version.until for version in written if version.until is not None), default=None)
        if ends is not None:
            self.clock.sleep(max(0.0, ends + _SKEW - self.clock.now()))
        if replica is not None and not written[0].locking:
            self._copy_again(report, probe, replica, nonce)
        versions = dict.fromkeys(version.version_id for version in written)
        try:
            # Newest first, markers included; what was copied above is among them.
            versions = dict.fromkeys(each.version_id for each in replicas.versions(probe.key)) | versions
        except ReplicationError as failure:
            report.findings.append(about_failure(Check.DELETE, probe.bucket, failure))
        for version_id in versions:
            self._delete(report, probe, version_id)
        return report

    def _delete(self, report: Report, probe: Probe, version_id: str) -> None:
        try:
            self.replicas[probe.bucket].remove(probe.key, version_id)
        except ReplicationError as failure:
            report.findings.append(about_failure(Check.DELETE, probe.bucket, failure))
            report.findings.append(
                problems.PROBE_STAYS.at(
                    probe.bucket,
                    code=failure.reason,
                    key=probe.key,
                    version=version_id,
                    told=failure.detail.rstrip("."),
                    region=self.regions[probe.bucket],
                )
            )
        else:
            report.findings.append(fine(Check.DELETE, probe.bucket, "permitted"))

    def _read(self, report: Report, probe: Probe, written: Written) -> SourceObject | None:
        """All that a copy of a replica takes over."""
        replicas, key, version = self.replicas[probe.bucket], probe.key, written.version_id
        tags = report.attempt(Check.READ, probe, lambda: replicas.tags(key, version))
        if tags is not None and tags != TAGS:
            report.findings.append(problems.READ_OTHERWISE.at(probe.bucket))
        return report.attempt(Check.READ, probe, lambda: replicas.head(key, version))

    def _copy_again(self, report: Report, probe: Probe, replica: SourceObject, nonce: str) -> None:
        """As one, and in parts, as far as nothing becomes visible. What was locked is not any more."""
        replica = replace(replica, lock=Lock())
        try:
            check_eligible(replica, None)
        except NotEligible:
            return  # it is archived, as rules want it
        replicas, key = self.replicas[probe.bucket], probe.key
        stamp = Stamp.of(replica.ref, nonce, probe.bucket, key)
        again = copy_request(replica, probe.rule, stamp, again=True)
        report.attempt(Check.COPY, probe, lambda: replicas.copy(replica.ref, key, again))
        in_parts = upload_request(replica, probe.rule, stamp, TAGS, again=True)
        upload = report.attempt(Check.PARTS, probe, lambda: replicas.create_upload(key, in_parts))
        if upload is not None:
            report.attempt(Check.PARTS, probe, lambda: replicas.parts(key, upload))
            self._abort(report, probe, upload)

    def _abort(self, report: Report, probe: Probe, upload: str) -> None:
        try:
            self.replicas[probe.bucket].abort(probe.key, upload)
        except ReplicationError as failure:
            report.findings.append(about_failure(Check.PARTS, probe.bucket, failure))
            report.findings.append(
                problems.UPLOAD_STAYS.at(
                    probe.bucket,
                    code=failure.reason,
                    key=probe.key,
                    upload=upload,
                    told=failure.detail.rstrip("."),
                    region=self.regions[probe.bucket],
                )
            )
