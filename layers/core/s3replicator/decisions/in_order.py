"""Versions of a key in their order, oldest first; and where one belongs that the source no longer lists.

A tree with the versions as its leaves. Every node knows the bounds of what orders those below it, so that a
place is found without looking at each of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from s3replicator.decisions.ledger import OrderFacts

#: The most branches of a node.
_MOST: Final = 32

#: A sequencer that ranks, and the time where two rank alike.
_Rank = tuple[str, float]


@dataclass(slots=True)
class _Span:
    """One version, or those below a node, and the bounds of what orders them: all times, the times of those
    without a usable sequencer, and the ranks of the others. ``height`` is the highest one's."""

    oldest: float
    newest: float
    oldest_unranked: float
    newest_unranked: float
    lowest_rank: _Rank | None
    highest_rank: _Rank | None
    height: float
    count: int = 1
    version_id: str = ""
    parts: list["_Span"] = field(default_factory=list)

    def widen(self, other: "_Span") -> None:
        self.oldest = min(self.oldest, other.oldest)
        self.newest = max(self.newest, other.newest)
        self.oldest_unranked = min(self.oldest_unranked, other.oldest_unranked)
        self.newest_unranked = max(self.newest_unranked, other.newest_unranked)
        self.height = max(self.height, other.height)
        self.count += other.count
        if other.lowest_rank is not None and other.highest_rank is not None:
            self.lowest_rank = min(self.lowest_rank or other.lowest_rank, other.lowest_rank)
            self.highest_rank = max(self.highest_rank or other.highest_rank, other.highest_rank)


#: Whether any version of a span is such a one.
_Test = Callable[[_Span], bool]


#: A version, what orders it, and its height.
Placed = tuple[str, OrderFacts, float]


class InOrder:
    """Versions, given oldest first; then others are put among them.

    A version's height is where its replica lies at the destination; ``inf`` for one that others have to make
    way for.
    """

    def __init__(self, versions: Iterable[Placed]) -> None:
        level = [_leaf(*version) for version in versions]
        while len(level) > _MOST:
            # Half full: there is room for others.
            level = [_node(level[at : at + _MOST // 2]) for at in range(0, len(level), _MOST // 2)]
        self._root = _node(level)
        #: Whether the place of any depended on where replicas lie.
        self.tied = False

    def place(self, version: Placed, lies: int) -> None:
        """Above all that is decidedly older, and below what is decidedly newer. Where that leaves a choice,
        below the first that is not lower at the destination than its replica ``lies``."""
        leaf = _leaf(*version)
        is_older, is_newer = _comparing(leaf)
        lowest = _last(self._root, is_older) + 1
        highest = _first(self._root, lowest, is_newer)
        if lowest < highest:
            self.tied = True
            highest = min(highest, _first(self._root, lowest, lambda span: span.height >= lies))
        halves = _insert(self._root, highest, leaf)
        self._root = halves[0] if len(halves) == 1 else _node(halves)

    def __iter__(self) -> Iterator[str]:
        return (leaf.version_id for leaf in _leaves(self._root))


def _leaf(version_id: str, order: OrderFacts, height: float) -> _Span:
    time = order.last_modified
    if order.rank is None:
        return _Span(time, time, time, time, None, None, height, version_id=version_id)
    rank = (order.rank, time)
    return _Span(time, time, inf, -inf, rank, rank, height, version_id=version_id)


def _node(parts: Iterable[_Span]) -> _Span:
    node = _Span(inf, -inf, inf, -inf, None, None, -inf, count=0)
    for part in parts:
        node.widen(part)
        node.parts.append(part)
    return node


def _comparing(leaf: _Span) -> tuple[_Test, _Test]:
    """Whether any version of a span is decidedly older, and decidedly newer, than this one."""
    time, rank = leaf.newest, leaf.highest_rank
    if rank is None:
        return lambda span: span.oldest < time, lambda span: span.newest > time
    return (
        lambda span: (
            span.oldest_unranked < time or (span.lowest_rank is not None and span.lowest_rank < rank)
        ),
        lambda span: (
            span.newest_unranked > time or (span.highest_rank is not None and span.highest_rank > rank)
        ),
    )


def _last(node: _Span, test: _Test) -> int:
    """The index of the last such version; -1 if there is none."""
    end = node.count
    for part in reversed(node.parts):
        end -= part.count
        if test(part):
            return end + (_last(part, test) if part.parts else 0)
    return -1


def _first(node: _Span, start: int, test: _Test) -> int:
    """The index of the first such version from ``start`` on; the number of all if there is none."""
    begin = 0
    for part in node.parts:
        end = begin + part.count
        if end > start and test(part):
            index = _first(part, start - begin, test) if part.parts else 0
            if index < part.count:
                return begin + index
        begin = end
    return node.count


def _insert(node: _Span, index: int, leaf: _Span) -> list[_Span]:
    """The node with another leaf; or its two halves, if it has become too large."""
    number = 0
    for part in node.parts:
        if index < part.count or (part.parts and index == part.count):
            break
        index -= part.count
        number += 1
    is_lowest = number == len(node.parts) or not node.parts[number].parts
    if is_lowest:
        node.parts.insert(number, leaf)
    else:
        node.parts[number : number + 1] = _insert(node.parts[number], index, leaf)
    node.widen(leaf)
    if len(node.parts) <= _MOST:
        return [node]
    middle = len(node.parts) // 2
    return [_node(node.parts[:middle]), _node(node.parts[middle:])]


def _leaves(node: _Span) -> Iterator[_Span]:
    for part in node.parts:
        if part.parts:
            yield from _leaves(part)
        else:
            yield part
