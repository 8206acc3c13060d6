"""A cut is where it may be, and is found soon, wherever the keys are."""

from bisect import bisect_right
from random import Random
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3replicator.decisions.keyspace import Search, between
from tests.unit.strategies import AWKWARD_KEYS

keys = st.sampled_from(AWKWARD_KEYS) | st.text(max_size=8) | st.text("ab\x00\U0010ffff", max_size=6)
prefixes = st.sampled_from(["", "a", "a/", "\U0010ffff", "\x00"]) | st.text(max_size=3)


@given(keys, keys)
def test_the_order_of_strings_is_that_of_their_bytes(one: str, other: str) -> None:
    assert (one < other) == (one.encode() < other.encode())


@given(keys, st.none() | keys, prefixes)
@example("a", "a\x00", "")
@example("a", "a\x00\x00", "")
@example("", None, "\U0010ffff")
@example("\U0010ffff", None, "")
@example("\ud7ff", "\ue000", "")
@example("k" * 1024, None, "")
def test_what_is_between_is_between(low: str, high: str | None, prefix: str) -> None:
    found = between(low, high, prefix)
    if found is not None:
        assert found.startswith(prefix)
        assert len(found.encode()) <= 1024, "and valid, or this would have failed"
        assert low < found
        assert high is None or found < high


@given(keys.filter(lambda key: len(key) < 200), keys)
def test_there_is_nothing_between_only_where_there_is_nothing(low: str, high: str) -> None:
    # The next of all strings is the one with a character more.
    assert (between(low, high) is None) == (high <= low + "\x00")


@given(keys, st.none() | keys, prefixes)
def test_halving_comes_to_an_end(low: str, high: str | None, prefix: str) -> None:
    for _ in range(35 * (len(low) + 2)):
        middle = between(low, high, prefix)
        if middle is None:
            return
        high = middle
    raise AssertionError("no end")


@given(keys, st.none() | keys, prefixes, st.randoms())
def test_a_search_comes_to_an_end_whatever_it_finds(
    low: str, high: str | None, prefix: str, chance: Random
) -> None:
    search = Search(high)
    for _ in range(40 * (len(low) + 2)):
        probe = search.probe(low, prefix)
        if probe is None:
            return
        assert probe.key.startswith(prefix)
        assert low < probe.key
        assert search.high is None or probe.key < search.high
        assert len(probe.key.encode()) <= 1024
        many = chance.random() < 0.3
        if many and probe.decisive:
            return
        search = search.many_above(probe) if many else search.few_above(probe)
    raise AssertionError("no end")


_CHANCE: Final = Random(20)
_COUNT: Final = 20_000

BUCKETS: Final = {
    "numbers": [f"k{number:08d}" for number in range(_COUNT)],
    "random": [f"data/{_CHANCE.getrandbits(128):032x}" for _ in range(_COUNT)],
    "dates": [
        f"logs/2024/{_CHANCE.randint(1, 12):02d}/{_CHANCE.randint(1, 28):02d}/{_CHANCE.getrandbits(64):x}.gz"
        for _ in range(_COUNT)
    ],
    "one folder deep down": [
        f"tenant-0001/region=eu-west-1/table=orders/dt=2024-05-17/part-{number:05d}-c000.snappy.parquet"
        for number in range(_COUNT)
    ],
    "one big folder among small ones": [
        *(f"big/{number:07d}" for number in range(_COUNT)),
        *(f"{letter}/{number}" for letter in "axyz" for number in range(10)),
    ],
    "Chinese": [
        f"顧客/{chr(_CHANCE.randint(0x4E00, 0x9FFF))}{chr(_CHANCE.randint(0x4E00, 0x9FFF))}{number}"
        for number in range(_COUNT)
    ],
}


def looks(listed: list[str], low: str, search: Search, many: int) -> tuple[int, str]:
    """How many looks it takes to find a cut above ``low``, and the cut."""
    for count in range(1, 100):
        probe = search.probe(low, "")
        assert probe is not None
        above = len(listed) - bisect_right(listed, probe.key)
        if above > many and probe.decisive:
            return count, probe.key
        search = search.many_above(probe) if above > many else search.few_above(probe)
    raise AssertionError("not found")


@pytest.mark.parametrize("name", BUCKETS)
def test_a_few_looks_find_a_cut_that_divides_the_keys(name: str) -> None:
    listed = sorted(set(BUCKETS[name]))
    count, cut = looks(listed, listed[99], Search(), many=100)
    assert count <= 20
    part = bisect_right(listed, cut) / len(listed)
    assert 0.05 < part < 0.95


@pytest.mark.parametrize("name", BUCKETS)
def test_the_next_cut_takes_a_look_or_two(name: str) -> None:
    listed = sorted(set(BUCKETS[name]))
    _, cut = looks(listed, listed[99], Search(), many=100)
    below = listed[: bisect_right(listed, cut)]
    count, _ = looks(below, below[99], Search(cut), many=100)
    assert count <= 8
