"""From a change to the work it means: which destinations, by which rule, and what the source holds."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.failures import NotEligible, Reason, ReplicationError, SourceGone
from s3replicator.decisions.replica import check_eligible
from s3replicator.decisions.rules import Facts, contenders, needs_tags, winner
from s3replicator.decisions.stamp import is_replica
from s3replicator.decisions.versions import (
    Kind,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
    id_for_s3,
)
from s3replicator.ports import Source
from s3replicator.usecases.work import Work

_RULE_GONE: Final = "no enabled rule selects this version for this destination any more"


@dataclass(frozen=True, slots=True)
class Router:
    source: Source

    def route(self, change: Change, configuration: Configuration) -> Sequence[Work]:
        """The work of one change; empty if no rule selects it. Failures to read are part of the work."""
        if change.kind is ChangeKind.SETTLE and change.destination is not None:
            return [Work(change, change.destination, None)]
        if change.kind is ChangeKind.REMOVED:
            return _removals(change, configuration)
        contending = contenders(configuration, change.key)
        if change.destination is not None:
            # Sent back by us: there is, or may be, a row that must not stay open.
            contending = {change.destination: contending.get(change.destination, ())}
        try:
            chosen = self._choose(change, contending)
        except ReplicationError as failure:
            # Nobody can say which of them decides, so all of them are told.
            return [
                Work(change, bucket, next(iter(rules), None), failure=failure)
                for bucket, rules in contending.items()
            ]
        closed = [] if change.destination is None else _closed(change, chosen)
        wanted = {bucket: rule for bucket, rule in chosen.items() if rule is not None}
        if not wanted:
            return closed
        try:
            version = self._read(change)
        except ReplicationError as failure:
            read = [Work(change, bucket, rule, failure=failure) for bucket, rule in wanted.items()]
        else:
            kind = Kind.OBJECT if isinstance(version, SourceObject) else Kind.MARKER
            if kind is not change.version_kind:
                # Another null version has taken its place meanwhile: the rules may say otherwise of that.
                now = ChangeKind.MARKED if kind is Kind.MARKER else ChangeKind.CREATED
                return self.route(replace(change, kind=now), configuration)
            change = replace(change, version_id=version.ref.version_id)
            if isinstance(version, SourceObject) and is_replica(version):
                # Replicas are not replicated onward. Nobody asks for them, unless a row is open already.
                if change.destination is None:
                    return []
                onward = NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, "the version is a replica itself")
                return [Work(change, bucket, rule, failure=onward) for bucket, rule in wanted.items()]
            read = [Work(change, bucket, rule, source=version) for bucket, rule in wanted.items()]
        return read + closed

    def _choose(self, change: Change, contending: dict[str, tuple[Rule, ...]]) -> dict[str, Rule | None]:
        tags: frozenset[Tag] = frozenset()
        if needs_tags(contending):
            tags = self._tags(change)
        chosen = {bucket: winner(rules, Facts(tags)) for bucket, rules in contending.items()}
        if change.kind is ChangeKind.MARKED:
            chosen = {b: r if r and r.delete_markers else None for b, r in chosen.items()}
        return chosen

    def _tags(self, change: Change) -> frozenset[Tag]:
        """The tags a rule looks at; a delete marker has none and is judged by the version below it."""
        if change.kind is not ChangeKind.MARKED:
            return self.source.tags(change.ref)
        listed = iter(self.source.versions(change.bucket, change.key))
        asked = id_for_s3(change.version_id)
        if not any(id_for_s3(version.version_id) == asked for version in listed):
            raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, "the delete marker is no longer listed")
        for below in listed:
            if below.kind is Kind.OBJECT:
                with contextlib.suppress(SourceGone):  # then the one below it is what the marker hides
                    return self.source.tags(VersionRef(change.bucket, change.key, below.version_id))
        return frozenset()

    def _read(self, change: Change) -> SourceVersion:
        version = self.source.head(change.ref)
        if isinstance(version, SourceObject):
            check_eligible(version)
        elif not version.last_modified:
            # A store that does not say when: the event does.
            version = replace(version, last_modified=change.event_time)
        return version


def _removals(change: Change, configuration: Configuration) -> list[Work]:
    """Which destinations may have to delete a version: its tags are gone with it, so every rule counts that
    could have selected it. The ledger knows which one did."""
    contending = contenders(configuration, change.key)
    return [
        Work(change, bucket, next(rule for rule in rules if rule.version_deletes is not None))
        for bucket, rules in contending.items()
        if change.destination in (None, bucket) and any(rule.version_deletes is not None for rule in rules)
    ]


def _closed(change: Change, chosen: dict[str, Rule | None]) -> list[Work]:
    """Work we had begun, and that the rules have meanwhile stopped asking for."""
    failure = NotEligible(Reason.RULE_GONE, _RULE_GONE)
    return [Work(change, bucket, None, failure=failure) for bucket, rule in chosen.items() if rule is None]
