"""Where to cut a range of keys in two, knowing nothing of the keys but a few that have been seen.

S3 lists keys by their UTF-8 bytes. That is the order of their characters' code points, and so the order in
which Python compares strings.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

#: A longer key is refused, also as the place where a listing begins. In bytes of UTF-8.
_LONGEST: Final = 1024
#: The bytes that a character takes at most.
_WIDEST: Final = 4

#: The surrogates are no characters, and have no UTF-8: (first, how many).
_SURROGATES: Final = (0xD800, 0x800)
#: The places of characters are their code points with the surrogates left out.
_LAST: Final = 0x10FFFF - 0x800

#: Keys are mostly ASCII: (first place, how much a character weighs when a middle is looked for).
_WEIGHTS: Final = (
    (0x00, 1),  # control characters
    (0x20, 1 << 18),  # ASCII
    (0x7F, 1 << 9),  # the other alphabets
    (0x800, 1 << 4),  # mostly CJK
    (0xD800, 1),
)
_FIRSTS: Final = [first for first, _ in _WEIGHTS]
#: What all the places before each of the firsts weigh together.
_BEFORE: Final = list(
    accumulate(
        ((end - first) * weight for (first, weight), end in zip(_WEIGHTS, _FIRSTS[1:], strict=False)),
        initial=0,
    )
)
#: Where a key has one of these, others have another of the same: (first, last) place, and the extra weight.
_CLASSES: Final = tuple((ord(ends[0]), ord(ends[1])) for ends in ("09", "AZ", "az"))
_AKIN: Final = 1 << 22


def between(low: str, high: str | None, prefix: str = "") -> str | None:
    """A key that begins with ``prefix``, above ``low`` and below ``high``, with about as many likely keys on
    its one side as on its other; None if there is none.

    ``low`` may be below all keys of the prefix, and ``high`` above them; None is the end of the prefix. The
    keys are told apart by the first character at which they can differ.
    """
    return _Space.of(low, high, prefix).middle()


@dataclass(frozen=True, slots=True)
class Probe:
    """Look whether there are many keys above ``key``: if there are, and it is ``decisive``, cut there.

    ``index`` is that of the character that is changed.
    """

    key: str
    index: int
    decisive: bool


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for the key at which to cut a range, by looking at what lies above some keys.

    Keys often begin with the same hundred characters, and differ in a few. At each of those hundred a cut
    divides nothing, and near the last it divides next to nothing. So first the character is looked for at
    which many keys differ from the range's lowest key, by halving the key; then the middle of what is found
    at that character, by halving the alphabet. Once it is known it is the first guess for the next cut.

    There are few keys above ``high`` (None: the end of the prefix). ``index``: many keys differ from the
    lowest at this character, or before.
    """

    high: str | None = None
    index: int | None = None
    #: Whether the first character where keys can differ has been tried in vain.
    deeper: bool = False

    def probe(self, low: str, prefix: str) -> Probe | None:
        """What to look at next; what is up to ``low`` stays. None: there is nothing to cut."""
        space = _Space.of(low, self.high, prefix)
        level = space.level
        if level is None:
            return None
        if self.deeper:
            end = min(space.deepest + 1, len(space.low))
            if self.index is not None and level <= self.index < end:
                end = self.index
            if level < end:
                index = (level + end) // 2
                return Probe(space.above(index), index, decisive=False)
        middle = space.middle()
        return None if middle is None else Probe(middle, level, decisive=True)

    def few_above(self, probe: Probe) -> "Search":
        return Search(probe.key, self.index, deeper=True)

    def many_above(self, probe: Probe) -> "Search":
        return replace(self, index=probe.index)


@dataclass(frozen=True, slots=True)
class _Space:
    """The keys above ``low``, below ``high``, that begin with a prefix.

    ``level`` is the first index at which such a key can differ from ``low``, with a character from ``first``
    to ``last`` (by place), or None: no key is there. ``deepest`` is the last at which it can.
    """

    low: str
    level: int | None = None
    first: int = 0
    last: int = 0
    deepest: int = 0

    @classmethod
    def of(cls, low: str, high: str | None, prefix: str) -> "_Space":
        if high is not None and not high.startswith(prefix):
            if high < prefix:
                return cls(low)
            high = None
        low = max(low, prefix)
        if not low.startswith(prefix) or (high is not None and high <= low):
            return cls(low)
        shared = -1 if high is None else _common(low, high)
        deepest = _room(low)
        for level in range(max(len(prefix), shared), deepest + 1):
            first = _place(low[level]) + 1 if level < len(low) else 0
            last = _LAST
            if high is not None and level == shared:
                # The key must be below ``high``: it may only begin as it does if that goes on.
                last = _place(high[level]) - (len(high) == level + 1)
            if first <= last:
                return cls(low, level, first, last, deepest)
        return cls(low)

    def middle(self) -> str | None:
        if self.level is None:
            return None
        akin = self.low[self.level] if self.level < len(self.low) else ""
        half = (_weight(self.first, akin) + _weight(self.last + 1, akin)) // 2
        place = bisect_right(range(self.first, self.last), half, key=lambda place: _weight(place + 1, akin))
        return self.low[: self.level] + _character(self.first + place)

    def above(self, index: int) -> str:
        """The first key above all that begin as ``low`` does up to and with ``index``. There is one from
        ``level`` on."""
        while _place(self.low[index]) == _LAST:
            index -= 1
        return self.low[:index] + _character(_place(self.low[index]) + 1)


def _common(one: str, other: str) -> int:
    """How many characters two strings have in common from their beginning."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))


def _room(key: str) -> int:
    """How many characters of a key can be kept before another one that is not too long."""
    size = 0
    for index, character in enumerate(key):
        size += len(character.encode())
        if size > _LONGEST - _WIDEST:
            return index
    return len(key)


def _place(character: str) -> int:
    code = ord(character)
    first, count = _SURROGATES
    return code if code < first else code - count


def _character(place: int) -> str:
    first, count = _SURROGATES
    return chr(place if place < first else place + count)


def _weight(place: int, akin: str) -> int:
    """What all the places before this one weigh together, where another key has ``akin``."""
    index = bisect_right(_FIRSTS, place) - 1
    first, each = _WEIGHTS[index]
    extra = sum(
        _AKIN * (min(max(place, begin), end + 1) - begin)
        for begin, end in _CLASSES
        if akin and begin <= ord(akin) <= end
    )
    return _BEFORE[index] + (place - first) * each + extra
