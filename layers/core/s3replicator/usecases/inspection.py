"""Where is this object, and why is it not there: every version of a key at every destination."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.failures import ReplicationError, SourceGone
from s3replicator.decisions.inspection import (
    AtDestination,
    History,
    State,
    VersionReport,
    awaited,
    passed_over,
    with_unlisted,
)
from s3replicator.decisions.ledger import LedgerKey, source_name
from s3replicator.decisions.provenance import MARKER_MAY_BE_PEERS, Evidence, Verdict, judge
from s3replicator.decisions.rules import Facts, contenders, needs_tags, places, winner
from s3replicator.decisions.versions import Kind, ListedVersion, SourceObject, Tag, VersionRef, id_for_s3
from s3replicator.ports import Ledger, Parallel, Source
from s3replicator.usecases.evidence import OlderVersions


@dataclass(frozen=True, slots=True)
class Inspection:
    """``peers`` as in ``Batch``."""

    source: Source
    ledger: Ledger
    parallel: Parallel
    peers: frozenset[str] = frozenset()

    def of_key(
        self,
        bucket: str,
        key: str,
        destinations: Iterable[str],
        configuration: Configuration,
        only: str | None = None,
    ) -> list[VersionReport]:
        """Every version that the source lists or the ledger knows, newest first, or ``only`` those of this
        name or S3's id."""
        rules = contenders(configuration, key)
        # A rule may name a bucket the stack does not: the functions record that they cannot reach it.
        names = list(dict.fromkeys([*destinations, *rules]))
        # Where rules put replicas, and where they are if no rule ever gave them another key.
        keys = list(dict.fromkeys([*places(configuration, key), *(LedgerKey(name, key) for name in names)]))
        source = source_name(VersionRef(bucket, key, ""))
        found = self.parallel.map(lambda place: self._history(place, source), keys)
        histories = dict(zip(keys, found, strict=True))
        listed = self.source.versions(bucket, key)
        judge = _Judge(self.source, bucket, key, listed, rules=rules, histories=histories, peers=self.peers)

        def report(entry: tuple[ListedVersion, bool]) -> VersionReport:
            version, is_listed = entry
            return VersionReport(
                version_id=version.version_id,
                kind=version.kind,
                last_modified=version.last_modified,
                size=version.size if is_listed and version.kind is Kind.OBJECT else None,
                latest=version.latest,
                listed=is_listed,
                destinations=tuple(judge.told(version, is_listed, name) for name in names),
            )

        merged = with_unlisted(listed, (history for history in histories.values() if judge.owns(history)))
        return self.parallel.map(report, (v for v in merged if only is None or _is_called(v[0], only)))

    def _history(self, place: LedgerKey, source: str) -> History:
        head, rows = self.ledger.history(place)
        is_another_s = head is not None and not head.is_of(source)
        return History(head, rows, self.ledger.conflicts(place, source) if is_another_s else {})


def _is_called(version: ListedVersion, name: str) -> bool:
    return name in (version.version_id, id_for_s3(version.version_id))


class _Judge:
    """Judges the versions of one key. What must be read of the source is read once, and only if needed."""

    def __init__(
        self,
        source: Source,
        bucket: str,
        key: str,
        listed: Sequence[ListedVersion],
        *,
        rules: Mapping[str, tuple[Rule, ...]],
        histories: Mapping[LedgerKey, History],
        peers: frozenset[str],
    ) -> None:
        self._source = source
        self._bucket = bucket
        self._key = key
        self._listed = listed
        self._rules = rules
        self._histories = histories
        self._peers = peers
        # Two threads may both ask at first; the answers are the same.
        self._tags: Callable[[str], frozenset[Tag]] = cache(self._read_tags)
        self._evidence: Callable[[str], Evidence | None] = cache(self._find_evidence)

    def owns(self, history: History) -> bool:
        """False if the key at the destination belongs to another source key."""
        return history.head is None or history.head.is_of(source_name(self._ref("")))

    def told(self, version: ListedVersion, is_listed: bool, destination: str) -> AtDestination:
        recorded = self._recorded(version, destination)
        if recorded is not None and (recorded.rule is not None or recorded.state is not State.PENDING):
            return recorded
        # Of a version that is gone there is nothing left that a rule could be asked about.
        rule = self._rule(version, destination) if is_listed else None
        if recorded is not None:
            return replace(recorded, rule=rule.id if rule else None)
        if rule is None:
            return AtDestination(destination, State.NONE)
        verdict = self._verdict(version, destination, rule)
        if verdict is not None and verdict.passed_over:
            return passed_over(destination, rule, verdict.told)
        place = LedgerKey(destination, rule.transform.of(self._key))
        history = self._histories[place]
        if history.head is not None and not self.owns(history):
            at = history.of_another_key(destination, version.version_id, rule, history.head)
        else:
            at = awaited(destination, rule)
        return replace(at, replica_key=place.other_than(self._key))

    def _recorded(self, version: ListedVersion, destination: str) -> AtDestination | None:
        """What the ledger says of it, wherever a rule has put its replica; the place it is in counts most."""
        told = [
            replace(at, replica_key=place.other_than(self._key))
            for place, history in self._histories.items()
            if place.destination == destination
            and self.owns(history)
            and (at := history.told(destination, version.version_id)) is not None
        ]
        return next((at for at in told if at.replica is not None), next(iter(told), None))

    def _rule(self, version: ListedVersion, destination: str) -> Rule | None:
        contending = self._rules.get(destination, ())
        judged = self._judged_by(version)
        facts = Facts(size=judged.size, storage_class=judged.storage_class) if judged else Facts()
        if judged and needs_tags({destination: contending}):
            facts = replace(facts, tags=self._tags(judged.version_id))
        rule = winner(contending, facts)
        if rule and version.kind is Kind.MARKER and not rule.delete_markers:
            return None
        return rule

    def _judged_by(self, version: ListedVersion) -> ListedVersion | None:
        """What rules look at: a delete marker is judged by the version below it."""
        below = iter(self._listed)
        for listed in below:
            if listed.version_id == version.version_id:
                candidates = [listed, *below]
                return next((one for one in candidates if one.kind is Kind.OBJECT), None)
        return None

    def _read_tags(self, version_id: str) -> frozenset[Tag]:
        try:
            return self._source.tags(self._ref(version_id))
        except SourceGone:
            return frozenset()

    def _verdict(self, version: ListedVersion, destination: str, rule: Rule) -> Verdict | None:
        if version.kind is Kind.MARKER:
            return MARKER_MAY_BE_PEERS if self._peers else None
        evidence = self._evidence(version.version_id)
        return judge(evidence, destination, rule_asks=rule.replicas) if evidence is not None else None

    def _find_evidence(self, version_id: str) -> Evidence | None:
        """None if it cannot be looked at, and is called what any other version would be."""
        try:
            version = self._source.head(self._ref(version_id))
            if isinstance(version, SourceObject):
                found = Evidence(version, may_be_peers=bool(self._peers))
                return OlderVersions(self._source).of(found)
        except ReplicationError:
            pass
        return None

    def _ref(self, version_id: str) -> VersionRef:
        return VersionRef(self._bucket, self._key, version_id)
