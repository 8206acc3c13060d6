"""Why a rule decides for an object or a delete marker, and why every other one does not.

What is chosen is asked of ``rules`` alone. A filter is the conjunction of its conditions, and each of them is
a filter of its own: why one does not select an object is found out by asking for them one by one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from s3replicator.decisions.configuration import Configuration, Filter, KeyNames, Rule
from s3replicator.decisions.failures import NotEligible
from s3replicator.decisions.probe import FOLDER, is_written_by_a_check
from s3replicator.decisions.provenance import Evidence, judge
from s3replicator.decisions.replica import check_eligible
from s3replicator.decisions.rules import Facts, contenders, matches, winner
from s3replicator.decisions.versions import SourceMarker, SourceObject, SourceVersion, Tag


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule. ``selects``: its filter does; it decides only if there are no ``reasons`` why not."""

    rule: Rule
    selects: bool
    reasons: tuple[str, ...]

    @property
    def decides(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class AtBucket:
    """A destination bucket, and its rules, the strongest first. ``rule`` decides for it; it does not
    replicate the version for the ``problem``, if there is one."""

    bucket: str
    rules: tuple[Explained, ...]
    rule: Rule | None
    replica_key: str | None
    problem: str | None

    @property
    def replicated(self) -> bool:
        return self.rule is not None and self.problem is None


def explain(
    configuration: Configuration,
    version: SourceVersion,
    facts: Facts,
    *,
    destinations: Iterable[str] = (),
    problem: str | None = None,
    copied_in_place: bool = False,
) -> list[AtBucket]:
    """For each bucket that a rule names, and for ``destinations``.

    ``facts`` are those of the object, or of what a delete marker hides. ``problem``: why it cannot be looked
    at as it is, whatever the rules say. ``copied_in_place`` as in ``Evidence``.
    """
    contending = contenders(configuration, version.ref.key)
    rules: dict[str, list[Rule]] = {bucket: [] for bucket in destinations}
    for rule in configuration.rules:
        rules.setdefault(rule.destination.bucket, []).append(rule)
    return [
        _at_bucket(
            bucket,
            rules[bucket],
            winner(contending.get(bucket, ()), facts),
            version=version,
            facts=facts,
            problem=problem,
            copied_in_place=copied_in_place,
        )
        for bucket in rules
    ]


def asked_of(configuration: Configuration, key: str) -> dict[str, list[Rule]]:
    """By bucket, the rules that have something to ask of an object with this key, disabled ones included."""
    asking: dict[str, list[Rule]] = {}
    for rule in configuration.rules:
        if rule.filter.admits(key):
            asking.setdefault(rule.destination.bucket, []).append(rule)
    return asking


def _at_bucket(
    bucket: str,
    rules: Iterable[Rule],
    decides: Rule | None,
    *,
    version: SourceVersion,
    facts: Facts,
    problem: str | None,
    copied_in_place: bool,
) -> AtBucket:
    strongest_first = sorted(rules, key=lambda rule: -rule.priority)
    return AtBucket(
        bucket=bucket,
        rules=tuple(_explained(rule, decides, version.ref.key, facts) for rule in strongest_first),
        rule=decides,
        replica_key=_replica_key(version.ref.key, decides) if decides else None,
        problem=_problem(version, decides, problem, copied_in_place=copied_in_place) if decides else None,
    )


def _replica_key(key: str, rule: Rule) -> str | None:
    return None if rule.transform.problem(key) else rule.transform.of(key)


def _explained(rule: Rule, decides: Rule | None, key: str, facts: Facts) -> Explained:
    unmet = tuple(_unmet(rule.filter, key, facts))
    reasons = unmet if rule.enabled else ("it is disabled", *unmet)
    if not reasons and rule is not decides and decides is not None:
        reasons = (f"rule {decides.id!r} is stronger, with priority {decides.priority}",)
    return Explained(rule, selects=not unmet, reasons=reasons)


def _problem(version: SourceVersion, rule: Rule, problem: str | None, *, copied_in_place: bool) -> str | None:
    """Why what the rule selects is not replicated."""
    if isinstance(version, SourceObject) and is_written_by_a_check(version):
        return f"it is a probe that a check has written below {FOLDER!r}, and probes are never replicated"
    if isinstance(version, SourceMarker):
        if not rule.delete_markers:
            told = f"rule {rule.id!r} does not replicate delete markers"
            return f"{told} (DeleteMarkerReplication.Status Disabled)"
        return rule.transform.problem(version.ref.key)
    if problem is None:
        evidence = Evidence(version, copied_in_place=copied_in_place)
        verdict = judge(evidence, rule.destination.bucket, rule_asks=rule.replicas)
        if verdict.passed_over:
            return verdict.told
    return problem or rule.transform.problem(version.ref.key) or _not_eligible(version, rule)


def _not_eligible(version: SourceObject, rule: Rule) -> str | None:
    try:
        check_eligible(version, rule)
    except NotEligible as failure:
        return failure.detail
    return None


def _unmet(filter_: Filter, key: str, facts: Facts) -> Iterator[str]:
    """What the filter asks for and does not find. The object is looked at only if the key is right."""
    about_key = [told for condition, told in _of_key(filter_) if not condition.admits(key)]
    yield from about_key
    if not about_key:
        yield from (told for condition, told in _of_object(filter_, facts) if not matches(condition, facts))


def _of_key(filter_: Filter) -> Iterator[tuple[Filter, str]]:
    """The conditions, each with what is said of a key that does not meet it."""
    if filter_.prefix:
        yield Filter(filter_.prefix), f"the key does not begin with {filter_.prefix!r}"
    names = filter_.names
    if names.prefixes:
        told = f"the key does not begin with {_any(names.prefixes)}"
        yield Filter(names=KeyNames(prefixes=names.prefixes)), told
    if names.suffixes:
        told = f"the key does not end in {_any(names.suffixes)}"
        yield Filter(names=KeyNames(suffixes=names.suffixes)), told
    if names.substrings:
        told = f"the key does not contain {_any(names.substrings)}"
        yield Filter(names=KeyNames(substrings=names.substrings)), told
    for excluded in names.not_prefixes:
        told = f"keys that begin with {excluded!r} are excluded"
        yield Filter(names=KeyNames(not_prefixes=(excluded,))), told
    for excluded in names.not_suffixes:
        told = f"keys that end in {excluded!r} are excluded"
        yield Filter(names=KeyNames(not_suffixes=(excluded,))), told


def _of_object(filter_: Filter, facts: Facts) -> Iterator[tuple[Filter, str]]:
    for tag in sorted(filter_.tags):
        yield Filter(tags=frozenset({tag})), _without(tag, facts)
    if filter_.larger_than is not None:
        told = f"its size, {facts.size} bytes, is not larger than {filter_.larger_than}"
        yield Filter(larger_than=filter_.larger_than), told
    if filter_.smaller_than is not None:
        told = f"its size, {facts.size} bytes, is not smaller than {filter_.smaller_than}"
        yield Filter(smaller_than=filter_.smaller_than), told
    if filter_.storage_classes:
        told = f"its storage class, {facts.storage_class}, is not {_any(sorted(filter_.storage_classes))}"
        yield Filter(storage_classes=filter_.storage_classes), told


def _without(tag: Tag, facts: Facts) -> str:
    other = next((held.value for held in facts.tags if held.key == tag.key), None)
    wanted = f"tag {tag.key}={tag.value} is missing"
    return wanted if other is None else f"{wanted}: {tag.key} is {other!r}"


def _any(values: Iterable[str]) -> str:
    return " or ".join(repr(value) for value in values)
