"""Which rule decides for an object, per destination bucket."""

from collections.abc import Iterable, Mapping

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.versions import Tag


def contenders(configuration: Configuration, key: str) -> dict[str, tuple[Rule, ...]]:
    """By destination bucket, the enabled rules that could decide for ``key``, the strongest first.

    A rule that asks for all the tags a stronger one asks for can never win, and is not listed.
    """
    chosen: dict[str, list[Rule]] = {}
    for rule in sorted(configuration.rules, key=lambda rule: -rule.priority):
        if not rule.enabled or not key.startswith(rule.filter.prefix):
            continue
        stronger = chosen.setdefault(rule.destination.bucket, [])
        if not any(held.filter.tags <= rule.filter.tags for held in stronger):
            stronger.append(rule)
    return {bucket: tuple(rules) for bucket, rules in chosen.items()}


def needs_tags(rules: Mapping[str, tuple[Rule, ...]]) -> bool:
    """True if the object's tags are needed to choose."""
    return any(rule.filter.tags for contending in rules.values() for rule in contending)


def winner(contending: Iterable[Rule], tags: frozenset[Tag]) -> Rule | None:
    return next((rule for rule in contending if rule.filter.tags <= tags), None)
