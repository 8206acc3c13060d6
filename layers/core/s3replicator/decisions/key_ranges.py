"""Which keys a rule is for and where it puts them, as ranges: all keys that begin with some prefix."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from s3replicator.decisions.configuration import Filter, KeyTransform, Rule


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys that begin with ``source``, which ``rule`` puts where keys begin with ``replica``."""

    rule: Rule
    source: str
    replica: str

    def within(self, replica: str) -> "KeyRange":
        """The part of it whose replicas begin with ``replica``, which begins with the replicas' prefix."""
        return KeyRange(self.rule, self.source + replica[len(self.replica) :], replica)


def admitted_prefixes(filter_: Filter) -> tuple[str, ...]:
    """How the keys begin that ``filter_`` admits. None: it admits none."""
    prefix, names = filter_.prefix, filter_.names
    longer = [one if one.startswith(prefix) else prefix for one in names.prefixes if overlap(one, prefix)]
    found = dict.fromkeys(longer if names.prefixes else [prefix])
    return tuple(one for one in found if not one.startswith(names.not_prefixes))


def ranges_of(rule: Rule) -> Iterator[KeyRange]:
    """Together they have all keys of the rule."""
    for source in admitted_prefixes(rule.filter):
        yield KeyRange(rule, source, rule.transform.add + source.removeprefix(rule.transform.strip))


def overlap(one: str, other: str) -> bool:
    """Whether some keys begin with both."""
    return one.startswith(other) or other.startswith(one)


def overlapping(rules: Sequence[Rule]) -> Iterator[tuple[KeyRange, KeyRange]]:
    """Pairs of ranges whose replicas begin alike, cut to what they have in common. Rules whose transforms do
    the same never collide, and are no pair."""
    ranges = _by_replica(rules)
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
                # Of two on the same level each would come twice.
                if transform != other and (outer != replica or _order(transform) < _order(other)):
                    for one, another in product(ones, others):
                        yield one.within(replica), another


#: Ranges by what their transforms do.
_Level = dict[KeyTransform, list[KeyRange]]


def _by_replica(rules: Sequence[Rule]) -> dict[str, _Level]:
    ranges: dict[str, _Level] = defaultdict(lambda: defaultdict(list))
    for rule in rules:
        for each in ranges_of(rule):
            ranges[each.replica][_simplest(rule.transform)].append(each)
    return ranges


def _order(transform: KeyTransform) -> tuple[str, str]:
    return transform.strip, transform.add


def _simplest(transform: KeyTransform) -> KeyTransform:
    """The same mapping with the shortest prefixes: a/c to b/c is a to b, for keys that begin with a/c."""
    strip, add = transform.strip, transform.add
    while strip and add and strip[-1] == add[-1]:
        strip, add = strip[:-1], add[:-1]
    return KeyTransform(strip, add)
