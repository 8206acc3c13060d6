"""Which keys a rule is for and where it puts them, as ranges: all keys that begin with some prefix.

Two rules collide if their transforms put two keys of the source in one place of a bucket. What is found
here is certain, as two such keys are shown; what is not found is told of when it happens.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

from s3replicator.decisions.configuration import (
    MAX_KEY,
    Configuration,
    Filter,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.rules import Facts, matches, winner

#: So many pairs of keys are tried, and so often a rule is held against an object for each of them, at most.
#: In most documents no ranges overlap, or two keys collide at once; others must not hold up a function.
_TRIES: Final = 2000
_JUDGED: Final = 5000

#: How the rest of a key can begin, behind the prefix of its rule.
_RESTS: Final = ("x", "0", "/x", "~", "")

_STORAGE_CLASSES: Final = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
    *("GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"),
)


@dataclass(frozen=True, slots=True)
class Collision:
    """``rule`` replicates ``key``, and ``other_rule`` ``other_key``, to ``replica`` in the same bucket."""

    rule: Rule
    key: str
    other_rule: Rule
    other_key: str
    replica: str


def admitted_prefixes(filter_: Filter) -> tuple[str, ...]:
    """How the keys begin that ``filter_`` admits. None: it admits none."""
    prefix, names = filter_.prefix, filter_.names
    longer = [one if one.startswith(prefix) else prefix for one in names.prefixes if _overlap(one, prefix)]
    found = dict.fromkeys(longer if names.prefixes else [prefix])
    return tuple(one for one in found if not one.startswith(names.not_prefixes))


def find_collision(configuration: Configuration) -> Collision | None:
    by_bucket: dict[str, list[Rule]] = defaultdict(list)
    for rule in configuration.ranked:
        by_bucket[rule.destination.bucket].append(rule)
    for ranked in by_bucket.values():
        found = next((pair for pair in islice(_tried(ranked), _TRIES) if pair is not None), None)
        if found is not None:
            return found
    return None


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


# -- ranges that overlap


@dataclass(frozen=True, slots=True)
class _Range:
    """Keys that begin with ``source``, which ``rule`` puts where keys begin with ``replica``."""

    rule: Rule
    source: str
    replica: str


#: Ranges by what their transforms do. Those that do the same never collide.
_Ranges = dict[KeyTransform, list[_Range]]


def _tried(ranked: list[Rule]) -> Iterator[Collision | None]:
    """One after the other, what came of pairs of keys; None where it is no collision."""
    for one, other in _overlapping(ranked):
        longer = max(one.replica, other.replica, key=len)
        before = one.source + longer[len(one.replica) :]
        other_before = other.source + longer[len(other.replica) :]
        yield None
        for rest in _rests(one.rule.filter, other.rule.filter):
            pair = Collision(one.rule, before + rest, other.rule, other_before + rest, longer + rest)
            yield pair if _happens(pair, ranked) else None


def _overlapping(ranked: list[Rule]) -> Iterator[tuple[_Range, _Range]]:
    """Pairs of ranges that have replicas in common, of different transforms."""
    ranges: dict[str, _Ranges] = defaultdict(lambda: defaultdict(list))
    for rule in ranked:
        for source in admitted_prefixes(rule.filter):
            replica = rule.transform.add + source.removeprefix(rule.transform.strip)
            ranges[replica][_simplest(rule.transform)].append(_Range(rule, source, replica))
    if len({transform for level in ranges.values() for transform in level}) < 2:
        return
    # In this order what lies within a range comes right after it.
    around: list[str] = []
    for replica in sorted(ranges):
        while around and not replica.startswith(around[-1]):
            around.pop()
        around.append(replica)
        for outer in around:
            for (transform, ones), (other, others) in product(ranges[outer].items(), ranges[replica].items()):
                if transform != other:
                    yield from product(ones, others)


def _simplest(transform: KeyTransform) -> KeyTransform:
    """The same mapping with the shortest prefixes: a/c to b/c is a to b, for keys that begin with a/c."""
    strip, add = transform.strip, transform.add
    while strip and add and strip[-1] == add[-1]:
        strip, add = strip[:-1], add[:-1]
    return KeyTransform(strip, add)


# -- two keys that collide


def _rests(one: Filter, other: Filter) -> Iterator[str]:
    """What may follow, so that both filters admit it as far as they look at the ends of keys."""
    parts = "".join((*one.names.substrings[:1], *other.names.substrings[:1]))
    ends = dict.fromkeys(
        max(pair, key=len)
        for pair in product(one.names.suffixes or ("",), other.names.suffixes or ("",))
        if pair[0].endswith(pair[1]) or pair[1].endswith(pair[0])
    )
    for start, end in product(_RESTS, ends):
        yield f"{start}{parts}{end}"


def _happens(pair: Collision, ranked: list[Rule]) -> bool:
    return (
        pair.rule.filter.admits(pair.key)
        and pair.other_rule.filter.admits(pair.other_key)
        and all(0 < _size(key) <= MAX_KEY for key in (pair.key, pair.other_key, pair.replica))
        and _decides(pair.rule, pair.key, ranked)
        and _decides(pair.other_rule, pair.other_key, ranked)
    )


def _size(key: str) -> int:
    return len(key.encode("utf-8", "surrogatepass"))


def _decides(rule: Rule, key: str, ranked: list[Rule]) -> bool:
    """Whether an object can have ``key`` for which ``rule``, and no stronger one, decides."""
    stronger = [one for one in ranked[: ranked.index(rule)] if one.filter.admits(key)]
    contending = [*stronger, rule]
    objects = islice(_objects(rule, contending), _JUDGED // len(contending) + 1)
    return any(winner(contending, facts) is rule for facts in objects)


def _objects(rule: Rule, contending: list[Rule]) -> Iterator[Facts]:
    """Of all objects that ``rule`` is for and that differ to ``contending`` one each, with no more tags than
    the rule asks for."""
    filters = [one.filter for one in contending]
    larger = {one.larger_than + 1 for one in filters if one.larger_than is not None}
    sizes = {0} | larger | {one.smaller_than for one in filters if one.smaller_than is not None}
    matters = any(one.storage_classes for one in filters)
    for size, storage_class in product(sorted(sizes), _STORAGE_CLASSES if matters else ("STANDARD",)):
        facts = Facts(rule.filter.tags, size, storage_class)
        if matches(rule.filter, facts):
            yield facts
