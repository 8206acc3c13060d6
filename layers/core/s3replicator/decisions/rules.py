"""Which rule decides for an object, per destination bucket.

Of the rules for one bucket that match, the one with the highest priority wins; every bucket is served.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ReplicationRule.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions.configuration import Configuration, Filter, Rule
from s3replicator.decisions.ledger import LedgerKey
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
    chosen: dict[str, _Chosen] = {}
    for rule in configuration.ranked:
        bucket = rule.destination.bucket
        stronger = chosen.get(bucket)
        # What passes over most rules comes first: one that takes any object, and the key.
        if (stronger is None or not stronger.complete) and rule.filter.admits(key):
            if stronger is None:
                stronger = chosen[bucket] = _Chosen()
            stronger.offer(rule)
    return {bucket: tuple(each.rules) for bucket, each in chosen.items()}


class _Chosen:
    """The rules for one bucket that could decide. ``complete``: the weakest of them takes any object.

    There may be a thousand, each for a tag of its own, so they are not compared one by one. A rule is covered
    only by one whose tags are all among its own, and that one is found by one of them.
    """

    __slots__ = ("_found_by", "complete", "rules")

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.complete = False
        #: By a set of one tag, or of none where none is asked for. A set, unlike a tag, knows its hash.
        self._found_by: dict[frozenset[Tag], list[Filter]] = {}

    def offer(self, rule: Rule) -> None:
        """A rule weaker than those before."""
        asked = rule.filter
        if not asked.tags and not asked.looks_at_object:
            self.complete = True
        else:
            single = (asked.tags,) if len(asked.tags) < 2 else [frozenset({tag}) for tag in asked.tags]
            for tags in (_NO_TAGS, *single):
                for held in self._found_by.get(tags, ()):
                    if _covers(held, asked):
                        return
            rarest = single[0] if len(single) == 1 else min(single, key=self._count)
            self._found_by.setdefault(rarest, []).append(asked)
        self.rules.append(rule)

    def _count(self, tags: frozenset[Tag]) -> int:
        return len(self._found_by.get(tags, ()))


_NO_TAGS: Final[frozenset[Tag]] = frozenset()


def contenders_at(configuration: Configuration, source_key: str, key: LedgerKey) -> tuple[Rule, ...]:
    """Those of the rules for a destination that give replicas of the source's key this key there."""
    rules = contenders(configuration, source_key).get(key.destination, ())
    return tuple(rule for rule in rules if rule.transform.of(source_key) == key.key)


def places(configuration: Configuration, source_key: str) -> dict[LedgerKey, tuple[Rule, ...]]:
    """Where replicas of a key may lie, and by which rules, the strongest first."""
    found: dict[LedgerKey, list[Rule]] = {}
    for bucket, rules in contenders(configuration, source_key).items():
        for rule in rules:
            found.setdefault(LedgerKey(bucket, rule.transform.of(source_key)), []).append(rule)
    return {key: tuple(rules) for key, rules in found.items()}


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
    return filter_.tags <= facts.tags and fits(filter_, facts)


def fits(filter_: Filter, facts: Facts) -> bool:
    """The same, whatever its tags are."""
    return (
        (filter_.larger_than is None or facts.size > filter_.larger_than)
        and (filter_.smaller_than is None or facts.size < filter_.smaller_than)
        and (not filter_.storage_classes or facts.storage_class in filter_.storage_classes)
    )


def winner(contending: Iterable[Rule], facts: Facts) -> Rule | None:
    return next((rule for rule in contending if matches(rule.filter, facts)), None)
