"""Which rule decides for an object, per destination bucket.

Of the rules for one bucket that match, the one with the highest priority wins; every bucket is served.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ReplicationRule.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from s3replicator.decisions.configuration import Configuration, Filter, Rule
from s3replicator.decisions.versions import Tag


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules ask of an object besides its key; whatever no rule asks for may be left out. Of a delete
    marker it is what they ask of the version that it hides."""

    tags: frozenset[Tag] = frozenset()
    size: int = 0
    storage_class: str = "STANDARD"


def contenders(configuration: Configuration, key: str) -> dict[str, tuple[Rule, ...]]:
    """By destination bucket, the enabled rules that could decide for ``key``, the strongest first.

    A rule that asks for all that a stronger one asks for can never win, and is not listed.
    """
    chosen: dict[str, list[Rule]] = {}
    for rule in configuration.ranked:
        if not rule.filter.admits(key):
            continue
        stronger = chosen.setdefault(rule.destination.bucket, [])
        if not any(_covers(held.filter, rule.filter) for held in stronger):
            stronger.append(rule)
    return {bucket: tuple(rules) for bucket, rules in chosen.items()}


def _covers(one: Filter, other: Filter) -> bool:
    """Whether ``one`` matches whatever ``other`` matches, of objects whose keys both admit."""
    classes = not one.storage_classes or (
        bool(other.storage_classes) and other.storage_classes <= one.storage_classes
    )
    larger = one.larger_than is None or (
        other.larger_than is not None and other.larger_than >= one.larger_than
    )
    smaller = one.smaller_than is None or (
        other.smaller_than is not None and other.smaller_than <= one.smaller_than
    )
    return one.tags <= other.tags and classes and larger and smaller


def needs_tags(rules: Mapping[str, Iterable[Rule]]) -> bool:
    """True if the object's tags are needed to choose."""
    return any(rule.filter.tags for contending in rules.values() for rule in contending)


def needs_object(rules: Mapping[str, Iterable[Rule]]) -> bool:
    """True if its size or storage class is needed to choose."""
    return any(rule.filter.looks_at_object for contending in rules.values() for rule in contending)


def matches(filter_: Filter, facts: Facts) -> bool:
    """Whether an object whose key the filter admits is selected."""
    return (
        filter_.tags <= facts.tags
        and (filter_.larger_than is None or facts.size > filter_.larger_than)
        and (filter_.smaller_than is None or facts.size < filter_.smaller_than)
        and (not filter_.storage_classes or facts.storage_class in filter_.storage_classes)
    )


def winner(contending: Iterable[Rule], facts: Facts) -> Rule | None:
    return next((rule for rule in contending if matches(rule.filter, facts)), None)
