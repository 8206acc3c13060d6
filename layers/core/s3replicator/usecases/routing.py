"""From a change to the work it means: which destinations, by which rule, and what the source holds."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.events import Change, ChangeKind, Origin
from s3replicator.decisions.failures import NotEligible, PassedOver, Reason, ReplicationError, SourceGone
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.provenance import Evidence, Ground, JobAsks, Verdict, Writer, judge
from s3replicator.decisions.replica import check_eligible
from s3replicator.decisions.rules import Facts, contenders, needs_object, needs_tags, places, winner
from s3replicator.decisions.versions import (
    Kind,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
    id_for_s3,
)
from s3replicator.ports import Source
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.evidence import OlderVersions, Peek, evidence_of, remembered, writer_of
from s3replicator.usecases.probes import is_of_a_probe
from s3replicator.usecases.work import Work

_RULE_GONE: Final = "no enabled rule selects this version for this place any more"

#: By destination bucket, the rules that could decide, the strongest first.
_Contending = Mapping[str, Sequence[Rule]]


@dataclass(frozen=True, slots=True)
class Router:
    """``peek`` reads the ledger; ``peers`` as in ``Batch``."""

    source: Source
    peek: Peek
    peers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, engine: Engine, peers: frozenset[str] = frozenset()) -> "Router":
        return cls(engine.source, engine.ledger.peek, peers)

    def route(
        self, change: Change, configuration: Configuration, job: JobAsks | None = None
    ) -> Sequence[Work]:
        """The work of one change; empty if no rule selects it. Failures to read are part of the work, and a
        replica that is passed over is one that fails with ``PassedOver``. ``job`` is what brings the change,
        if that is no event."""
        if change.kind is ChangeKind.OTHER or is_of_a_probe(self.source, change):
            return []
        if change.kind is ChangeKind.SETTLE and change.destination is not None:
            return [Work(change, change.destination, None)]
        if change.kind is ChangeKind.REMOVED:
            return _removals(change, configuration)
        contending = contenders(configuration, change.key)
        if change.destination is None and self._is_passed_over_unseen(change, contending):
            return _passed_over_unseen(change, contending)
        if change.destination is not None:
            # Sent back by us: there is, or may be, a row that must not stay open.
            contending = {change.destination: contending.get(change.destination, ())}
        else:
            change = self._in_case_it_cannot_be_read(change)
        looked_at = _LookedAt(self.source, change)
        try:
            if needs_object(contending) and (other := looked_at.turned_into()) is not None:
                return self.route(other, configuration, job)
            chosen = _choose(change, contending, looked_at.facts(contending))
        except ReplicationError as failure:
            # Nobody can say which of them decides, so all of them are told.
            return [
                _work(change, bucket, next(iter(rules), None), failure=failure)
                for bucket, rules in contending.items()
            ]
        wanted = {bucket: rule for bucket, rule in chosen.items() if rule is not None}
        closed = _closed(change, wanted)
        if not wanted:
            return closed
        try:
            version = looked_at.version()
        except ReplicationError as failure:
            return [_work(change, bucket, rule, failure=failure) for bucket, rule in wanted.items()] + closed
        other = looked_at.turned_into()
        if other is not None:
            return self.route(other, configuration, job)
        change = replace(change, version_id=version.ref.version_id)
        if not isinstance(version, SourceObject):
            return [_judged(change, bucket, rule, version) for bucket, rule in wanted.items()] + closed
        case = _Case(self, change, evidence_of(version, change, self.peers), job)
        works = [case.work(bucket, rule) for bucket, rule in wanted.items()]
        return [work for work in works if work is not None] + closed

    def _in_case_it_cannot_be_read(self, change: Change) -> Change:
        """With what whoever tries it again will not know: see ``Origin``."""
        if not self.peers or change.origin is not None or change.version_kind is not Kind.OBJECT:
            return change
        is_others = writer_of(change, self.peers) is Writer.OTHER
        return replace(change, origin=Origin.NO_PEER if is_others else Origin.UNDECIDED)

    def _is_passed_over_unseen(self, change: Change, contending: _Contending) -> bool:
        """Whether a peer wrote it, and no rule can carry it onward. Of a delete marker nobody could say where
        it has been: it might go round for ever."""
        rules = (rule for contenders in contending.values() for rule in contenders)
        carried = change.kind is not ChangeKind.MARKED and any(rule.replicas for rule in rules)
        return writer_of(change, self.peers) is Writer.PEER and not carried


@dataclass(slots=True)
class _Case:
    """An object at the source: whether it is a replica, and what becomes of it at each destination."""

    router: Router
    change: Change
    evidence: Evidence
    job: JobAsks | None
    _history: bool = False

    def work(self, bucket: str, rule: Rule) -> Work | None:
        """None if the job does not ask for it."""
        change = self.change
        try:
            verdict = self._verdict(bucket, rule)
        except ReplicationError as failure:
            return _work(change, bucket, rule, failure=failure)
        if verdict.passed_over:
            return _work(change, bucket, rule, failure=_why_passed_over(verdict))
        if not verdict.wanted:
            return None
        return _judged(replace(change, origin=verdict.origin), bucket, rule, self.evidence.version)

    def _verdict(self, bucket: str, rule: Rule) -> Verdict:
        evidence = self.evidence
        change = self.change
        if self.job is not None or change.follows or change.origin is Origin.UNDECIDED:
            # The ledger knows what the event of the version said, perhaps after this change was sent round.
            there = LedgerKey(bucket, rule.transform.of(change.key))
            evidence = remembered(evidence, there, self.router.peek, self.job)
        if evidence.decided is None and not self._history:
            self.evidence = OlderVersions(self.router.source).of(evidence)
            self._history, evidence = True, self.evidence
        return judge(evidence, bucket, rule_asks=rule.replicas, job=self.job)


def _passed_over_unseen(change: Change, contending: _Contending) -> list[Work]:
    """Nothing is read."""
    peers = _why_passed_over(Verdict(Ground.PEER, replica=True, wanted=False))
    deciding = {bucket: _selecting(change, rules) for bucket, rules in contending.items()}
    return [_work(change, bucket, rule, failure=peers) for bucket, rule in deciding.items() if rule]


def _why_passed_over(verdict: Verdict) -> PassedOver:
    undecided = verdict.ground is Ground.MAY_BE_PEERS
    return PassedOver(verdict.told, expected=verdict.expected, undecided=undecided)


def _selecting(change: Change, rules: Sequence[Rule]) -> Rule | None:
    marked = change.kind is ChangeKind.MARKED
    return next((rule for rule in rules if rule.delete_markers or not marked), None)


@dataclass(slots=True)
class _LookedAt:
    """What has been read of a change's version: each thing once, and only if it is needed."""

    source: Source
    change: Change
    _version: SourceVersion | None = field(default=None)

    def version(self) -> SourceVersion:
        if self._version is None:
            version = self.source.head(self.change.ref)
            if not isinstance(version, SourceObject) and not version.last_modified:
                # A store that does not say when: the event does.
                version = replace(version, last_modified=self.change.event_time)
            self._version = version
        return self._version

    def turned_into(self) -> Change | None:
        """Another null version has taken its place meanwhile, and the rules may say otherwise of that."""
        kind = Kind.OBJECT if isinstance(self.version(), SourceObject) else Kind.MARKER
        if kind is self.change.version_kind:
            return None
        now = ChangeKind.MARKED if kind is Kind.MARKER else ChangeKind.CREATED
        return replace(self.change, kind=now)

    def facts(self, rules: _Contending) -> Facts:
        """What these rules ask of the version; a delete marker is judged by the version below it."""
        tags, version = needs_tags(rules), needs_object(rules)
        if not (tags or version):
            return Facts()
        if self.change.kind is ChangeKind.MARKED:
            return self._facts_below(with_tags=tags)
        facts = Facts(self.source.tags(self.change.ref)) if tags else Facts()
        if version:
            found = self.version()
            assert isinstance(found, SourceObject)
            facts = replace(facts, size=found.size, storage_class=found.storage_class)
        return facts

    def _facts_below(self, *, with_tags: bool) -> Facts:
        change = self.change
        listed = iter(self.source.versions(change.bucket, change.key))
        asked = id_for_s3(change.version_id)
        if not any(id_for_s3(version.version_id) == asked for version in listed):
            raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, "the delete marker is no longer listed")
        for below in listed:
            if below.kind is Kind.OBJECT:
                with contextlib.suppress(SourceGone):  # then the one below it is what the marker hides
                    tags = self._tags(below.version_id) if with_tags else frozenset[Tag]()
                    return Facts(tags, below.size, below.storage_class)
        return Facts()

    def _tags(self, version_id: str) -> frozenset[Tag]:
        ref = VersionRef(self.change.bucket, self.change.key, version_id)
        try:
            return self.source.tags(ref)
        except SourceGone as gone:
            raise confirmed(self.source, ref, gone) from gone


def _choose(change: Change, contending: _Contending, facts: Facts) -> dict[str, Rule | None]:
    chosen = {bucket: winner(rules, facts) for bucket, rules in contending.items()}
    if change.kind is ChangeKind.MARKED:
        return {b: rule if rule and rule.delete_markers else None for b, rule in chosen.items()}
    return chosen


def _judged(change: Change, bucket: str, rule: Rule, version: SourceVersion) -> Work:
    problem = rule.transform.problem(change.key)
    if problem is not None:
        failure = NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, problem)
        return _work(change, bucket, rule, failure=failure)
    try:
        if isinstance(version, SourceObject):
            check_eligible(version, rule)
    except NotEligible as failure:
        return _work(change, bucket, rule, failure=failure)
    return _work(change, bucket, rule, source=version)


def _work(
    change: Change,
    bucket: str,
    rule: Rule | None,
    *,
    source: SourceVersion | None = None,
    failure: ReplicationError | None = None,
) -> Work:
    """At the place that the rule gives the key; without one, where the change says."""
    if rule is not None:
        there = LedgerKey(bucket, rule.transform.of(change.key)).other_than(change.key)
        change = replace(change, replica_key=there)
    return Work(change, bucket, rule, source=source, failure=failure)


def _removals(change: Change, configuration: Configuration) -> list[Work]:
    """Where a version may have to be deleted: its tags are gone with it, so every rule counts that could have
    selected it. The ledger knows which one did."""
    found = places(configuration, change.key)
    if change.destination is not None:
        found = {key: rules for key, rules in found.items() if key.destination == change.destination}
        here = LedgerKey(change.destination, change.replica_key or change.key)
        found = {here: found[here]} if here in found else found
    deleting = {
        key: [rule for rule in rules if rule.version_deletes is not None] for key, rules in found.items()
    }
    return [_work(change, key.destination, rules[0]) for key, rules in deleting.items() if rules]


def passed_over(work: Work, failure: PassedOver) -> Outcome:
    """What is changed of a replica afterwards is not counted again."""
    result = Result.NOT_SELECTED if work.change.follows else Result.PASSED_OVER
    outcome = work.outcome(result, reason=failure.reason, detail=failure.detail)
    return replace(outcome, expected=failure.expected)


def _closed(change: Change, wanted: Mapping[str, Rule]) -> list[Work]:
    """Work we had begun, and that the rules have meanwhile stopped asking for, here or at all."""
    if change.destination is None:
        return []
    rule = wanted.get(change.destination)
    here = change.replica_key or change.key
    if rule is not None and rule.transform.of(change.key) == here:
        return []
    return [Work(change, change.destination, None, failure=NotEligible(Reason.RULE_GONE, _RULE_GONE))]
