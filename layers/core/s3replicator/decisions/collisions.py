"""Rules of one bucket that put two keys of the source at one key there: found by a search.

Two keys get one replica key only if they end alike: each is a beginning, fixed by its rule's prefixes, and
behind both is the same word. So words are tried, made of the rules' own constants: a head, substrings, a
tail, kept apart by a letter that no rule names. These are enough. Take any word that lets two keys meet:

- The longest head that it begins with decides about every prefix: after it comes the letter, so that nothing
  longer matches. Heads are what is left of prefixes behind the fixed beginning, and of substrings that begin
  in it. The longest suffix that it ends with decides about suffixes in the same way.
- Of the substrings that the two rules ask for, one each is kept. Everything else is left out: to contain less
  never makes a stronger rule take a key.
- Words that are over before anything differs, the ends of suffixes that begin in the fixed beginning, are
  tried as they are.

Only where a key of 1024 bytes has no room for the letters, not everything is tried: the parts are laid over
each other, in every way that two of them can be. What is found is shown: two keys, each of them decided by
its rule for some object. ADR 38 says what comes of it.
"""

import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Final

from s3replicator.decisions.configuration import MAX_KEY, Configuration, Filter, KeyNames, Rule
from s3replicator.decisions.key_ranges import KeyRange, overlap, overlapping

#: So often a rule is looked at in one search, at most: some seconds' work. Only documents with hundreds of
#: rules in each other's way take as much.
MOST_LOOKS: Final = 2_000_000

#: Words that are tried for every pair of ranges before any pair is searched to its end: most collisions show
#: at once, and what takes long must not hide them.
_FIRST: Final = 6

#: Letters of a suffix that are compared before anything else is.
_ENDING: Final = 16

#: Looks that it takes to press the parts of a word together.
_CROWDED: Final = 50

STORAGE_CLASSES: Final = (
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

    def __str__(self) -> str:
        return (
            f"{self.key!r} by rule {self.rule.id!r} and {self.other_key!r} by rule {self.other_rule.id!r}"
            f" would both be replicated to {self.replica!r} in {self.rule.destination.bucket!r}"
        )


@dataclass(frozen=True, slots=True)
class Search:
    """What came of a search. If it is not ``complete``, the rules were too many to look at every pair."""

    collision: Collision | None = None
    complete: bool = True


def search_collision(configuration: Configuration, most: int | None = None) -> Search:
    """``most``: so often a rule is looked at, at most."""
    by_bucket: dict[str, list[Rule]] = defaultdict(list)
    for rule in configuration.ranked:
        by_bucket[rule.destination.bucket].append(rule)
    letter = _unused_letter(configuration.ranked)
    looks = _Looks(MOST_LOOKS if most is None else most)
    searches = [_OfBucket(ranked, letter, looks) for ranked in by_bucket.values()]
    try:
        found = _first(search.run(_FIRST) for search in searches)
        if found is None:
            found = _first(search.run(None) for search in searches if not search.finished)
    except _TooMany:
        return Search(complete=False)
    return Search(found)


def _first(found: Iterable[Collision | None]) -> Collision | None:
    return next((one for one in found if one is not None), None)


class _TooMany(Exception):
    """The search has looked at rules as often as it may."""


@dataclass(slots=True)
class _Looks:
    left: int

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _TooMany


# -- pairs of ranges


@dataclass(frozen=True, slots=True)
class _Side:
    """A rule and keys that begin with ``start``. ``stronger`` are the rules that win over it for some of
    those keys."""

    rule: Rule
    start: str
    stronger: tuple[Rule, ...]

    @property
    def names(self) -> KeyNames:
        return self.rule.filter.names

    @property
    def filters(self) -> list[Filter]:
        return [rule.filter for rule in (self.rule, *self.stronger)]

    def decides(self, key: str) -> bool:
        """Whether for some object of that name the rule decides."""
        return self.rule.filter.admits(key) and _object(
            self.rule.filter, [rule.filter for rule in self.stronger if rule.filter.admits(key)]
        )


@dataclass(frozen=True, slots=True)
class _Endings:
    """The last letters of a rule's suffixes, and all that these end in."""

    suffixes: frozenset[str]
    ends: frozenset[str]

    @classmethod
    def of(cls, names: KeyNames) -> "_Endings":
        cut = frozenset(suffix[-_ENDING:] for suffix in names.suffixes)
        return cls(cut, frozenset(suffix[start:] for suffix in cut for start in range(len(suffix))))

    def meet(self, other: "_Endings") -> bool:
        """Whether a key can end in a suffix of both, as far as their last letters tell."""
        if not self.suffixes or not other.suffixes:
            return True
        return not (self.suffixes.isdisjoint(other.ends) and other.suffixes.isdisjoint(self.ends))


class _OfBucket:
    """The search among the rules of one bucket, the strongest first. ``finished``: all pairs have been
    searched to their end."""

    def __init__(self, ranked: Sequence[Rule], letter: str, looks: _Looks) -> None:
        self.finished = True
        self._ranked = ranked
        self._places = {rule.id: place for place, rule in enumerate(ranked)}
        self._letter = letter
        self._looks = looks
        self._endings: dict[str, _Endings] = {}
        self._stronger: dict[str, list[Rule]] = {}
        self._sides: dict[tuple[str, str], _Side | None] = {}

    def run(self, words: int | None) -> Collision | None:
        """``words``: so many are tried for each pair at most."""
        self.finished = True
        for one, other in overlapping(self._ranked):
            if self._end_alike(one.rule, other.rule):
                sides = [side for side in (self._side(one), self._side(other)) if side is not None]
                found = self._meeting(sides[0], sides[1], one.replica, words) if len(sides) == 2 else None
                if found is not None:
                    return found
        return None

    def _end_alike(self, one: Rule, other: Rule) -> bool:
        """Whether some keys may end as both rules ask; of most pairs of rules with suffixes none do."""
        here, there = (
            self._endings.get(rule.id) or self._endings.setdefault(rule.id, _Endings.of(rule.filter.names))
            for rule in (one, other)
        )
        self._looks.take(1 + (len(here.suffixes) + len(there.suffixes)) // 50)
        return here.meet(there)

    def _side(self, of: KeyRange) -> _Side | None:
        """None if stronger rules take all objects with those keys."""
        known = (of.rule.id, of.source)
        if known not in self._sides:
            self._sides[known] = self._found_side(of)
        return self._sides[known]

    def _found_side(self, of: KeyRange) -> _Side | None:
        candidates = self._candidates(of.rule)
        self._looks.take(len(candidates) // 2)
        stronger = [rule for rule in candidates if _may_admit(rule.filter, of.source)]
        always = [rule.filter for rule in stronger if _admits_all(rule.filter, of.source)]
        return _Side(of.rule, of.source, tuple(stronger)) if _object(of.rule.filter, always) else None

    def _candidates(self, rule: Rule) -> list[Rule]:
        """The stronger rules that can take objects with no more tags than the rule asks for: others are
        got past by an object without their tags."""
        if rule.id not in self._stronger:
            ranked = self._ranked[: self._places[rule.id]]
            self._looks.take(len(ranked) // 2)
            self._stronger[rule.id] = [one for one in ranked if one.filter.tags <= rule.filter.tags]
        return self._stronger[rule.id]

    def _meeting(self, one: _Side, other: _Side, replica: str, words: int | None) -> Collision | None:
        cost = 2 + len(one.stronger) + len(other.stronger)
        self._looks.take(4 * cost)
        for tried, word in enumerate(_words(one, other, replica, self._letter, self._looks)):
            if tried == words:
                self.finished = False
                break
            self._looks.take(cost)
            key, other_key = one.start + word, other.start + word
            if (
                all(_is_key(each) for each in (key, other_key, replica + word))
                and one.decides(key)
                and other.decides(other_key)
            ):
                return Collision(one.rule, key, other.rule, other_key, replica + word)
        return None


def _may_admit(filter_: Filter, start: str) -> bool:
    """Whether the filter admits any key that begins with ``start``, as far as beginnings tell."""
    names = filter_.names
    return (
        overlap(filter_.prefix, start)
        and (not names.prefixes or any(overlap(prefix, start) for prefix in names.prefixes))
        and not start.startswith(names.not_prefixes)
    )


def _admits_all(filter_: Filter, start: str) -> bool:
    """Whether it admits every key that begins with ``start``."""
    names = filter_.names
    return (
        start.startswith(filter_.prefix)
        and (not names.prefixes or start.startswith(names.prefixes))
        and not (names.suffixes or names.substrings or names.not_suffixes)
        and not any(overlap(prefix, start) for prefix in names.not_prefixes)
    )


def _is_key(key: str) -> bool:
    """Whether S3 can store an object under that name. No name of UTF-8 has half a surrogate pair."""
    try:
        return 0 < len(key.encode()) <= MAX_KEY
    except UnicodeEncodeError:
        return False


# -- words


def _words(one: _Side, other: _Side, replica: str, letter: str, looks: _Looks) -> Iterator[str]:
    """What may follow both beginnings, the likely ones first."""
    most = MAX_KEY - max(_size(each) for each in (one.start, other.start, replica))
    heads = [head for head in _heads(one, other) if _begin(one, other, head + letter) and _size(head) <= most]
    tails = [tail for tail in _tails(one, other) if _end(one, other, letter + tail) and _size(tail) <= most]
    for tail, middle, head in product(tails, _middles(one, other), heads):
        word = letter.join((head, *middle, tail))
        if _size(word) <= most:
            yield word
        else:
            looks.take(_CROWDED)
            yield from _crowded(head, middle, tail, letter, most)
    yield from _bare(one, other)


def _heads(one: _Side, other: _Side) -> dict[str, None]:
    """How a word begins, as far as rules tell: by what is left of a prefix behind the beginning of a key, or
    of a substring that begins there."""
    rests = (
        constant[len(side.start) :]
        for side in (one, other)
        for filter_ in side.filters
        for constant in (filter_.prefix, *filter_.names.prefixes, *filter_.names.not_prefixes)
        if constant.startswith(side.start)
    )
    begun = (rest for side in (one, other) for part in side.names.substrings for rest in _rests(side, part))
    return dict.fromkeys(["", *rests, *begun])


def _tails(one: _Side, other: _Side) -> dict[str, None]:
    """How it ends."""
    ends = (
        suffix
        for side in (one, other)
        for filter_ in side.filters
        for suffix in (*filter_.names.suffixes, *filter_.names.not_suffixes)
    )
    return dict.fromkeys(["", *ends])


def _middles(one: _Side, other: _Side) -> Iterable[tuple[str, ...]]:
    """What it contains: of each rule one of the substrings it asks for, or none where the rest of the key has
    one."""
    here, there = _shortest(one.names.substrings), _shortest(other.names.substrings)
    if not any(rule.filter.names.substrings for side in (one, other) for rule in side.stronger):
        # Which one it is matters only to stronger rules.
        here, there = here[:1], there[:1]
    pairs = product([*here, ""], [*there, ""])
    return dict.fromkeys(tuple(part for part in pair if part) for pair in pairs)


def _shortest(parts: Iterable[str]) -> list[str]:
    """Without those that contain another one."""
    ordered = sorted(dict.fromkeys(parts), key=len)
    return [
        part for place, part in enumerate(ordered) if not any(shorter in part for shorter in ordered[:place])
    ]


def _crowded(head: str, middle: tuple[str, ...], tail: str, letter: str, most: int) -> Iterator[str]:
    """Where there is no room to keep the parts of a word apart: in every way that leaves the key short
    enough."""
    for parts in dict.fromkeys((middle, middle[::-1])):
        words = [head]
        for part in (*parts, tail):
            longer = dict.fromkeys(each for word in words for each in _behind(word, part, letter))
            words = [word for word in longer if _size(word) <= most]
        yield from words


def _behind(word: str, part: str, letter: str) -> Iterator[str]:
    """``word`` with ``part`` behind it, or in it as far as it goes."""
    if part in word:
        yield word
    for shared in range(min(len(word), len(part)), 0, -1):
        if word.endswith(part[:shared]):
            yield word + part[shared:]
    yield word + part
    yield word + letter + part


def _bare(one: _Side, other: _Side) -> Iterator[str]:
    """Words without that letter: those that are over before anything could differ."""
    yield ""
    for side in (one, other):
        for filter_ in side.filters:
            for suffix in (*filter_.names.suffixes, *filter_.names.not_suffixes):
                yield from _rests(side, suffix)


def _rests(side: _Side, part: str) -> Iterator[str]:
    """What of ``part`` is left where the beginning of the key ends with the start of it."""
    for shared in range(1, min(len(part), len(side.start)) + 1):
        if side.start.endswith(part[:shared]):
            yield part[shared:]


def _begin(one: _Side, other: _Side, word: str) -> bool:
    """Whether both rules admit keys that begin like this."""
    return all(
        (not side.names.prefixes or (side.start + word).startswith(side.names.prefixes))
        and (side.start + word).startswith(side.rule.filter.prefix)
        and not (side.start + word).startswith(side.names.not_prefixes)
        for side in (one, other)
    )


def _end(one: _Side, other: _Side, word: str) -> bool:
    """Whether both rules admit keys that end like this."""
    return all(
        (not side.names.suffixes or word.endswith(side.names.suffixes))
        and not word.endswith(side.names.not_suffixes)
        for side in (one, other)
    )


def _size(word: str) -> int:
    return len(word.encode("utf-8", "surrogatepass"))


def _unused_letter(rules: Iterable[Rule]) -> str:
    """One that no constant of the rules has; there is one, as a document is smaller than Unicode."""
    used = set().union(*(part for rule in rules for part in _constants(rule)))
    common = chain("x" + string.ascii_letters + string.digits, map(chr, range(0xA1, 0xD800)))
    return next(letter for letter in chain(common, map(chr, range(0x10000, 0x110000))) if letter not in used)


def _constants(rule: Rule) -> Iterator[str]:
    names = rule.filter.names
    yield from (rule.filter.prefix, rule.transform.strip, rule.transform.add)
    yield from (*names.prefixes, *names.suffixes, *names.substrings, *names.not_prefixes, *names.not_suffixes)


# -- objects


def _object(asked: Filter, stronger: Iterable[Filter]) -> bool:
    """Whether there is an object that ``asked`` is for and none of ``stronger``, whatever their keys. It has
    no more tags than it needs, and those of ``stronger`` are among them."""
    return any(
        _size_is_free(asked, [one for one in stronger if storage_class in (one.storage_classes or _ALL)])
        for storage_class in asked.storage_classes or STORAGE_CLASSES
    )


def _size_is_free(asked: Filter, taken: Iterable[Filter]) -> bool:
    size = _least(asked)
    for one in sorted(taken, key=_least):
        if _least(one) > size:
            break
        if one.smaller_than is None:
            return False
        size = max(size, one.smaller_than)
    return asked.smaller_than is None or size < asked.smaller_than


def _least(filter_: Filter) -> int:
    """The size of the smallest object it takes."""
    return 0 if filter_.larger_than is None else filter_.larger_than + 1


_ALL: Final = frozenset(STORAGE_CLASSES)
