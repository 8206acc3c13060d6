"""Rules that would put two keys in one place are found, and no others are called so."""

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3replicator.decisions.collisions import MOST_LOOKS, Collision, Search, search_collision
from s3replicator.decisions.configuration import (
    AS_IT_IS,
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.key_ranges import admitted_prefixes
from s3replicator.decisions.versions import Tag
from tests.unit.collision_oracle import judge

BUCKETS = ["one", "two"]
RED, BLUE = Tag("colour", "red"), Tag("colour", "blue")


def rule(number: int, filter_: Filter, transform: KeyTransform = AS_IT_IS, **members: Any) -> Rule:
    """The higher its number, the stronger it is."""
    given_ = {"id": f"rule-{number}", "priority": number, "enabled": True, "delete_markers": False}
    return Rule(
        **{**given_, "destination": Destination("one"), **members}, filter=filter_, transform=transform
    )


def collide(*rules: Rule) -> bool:
    return find(*rules) is not None


def find(*rules: Rule) -> Collision | None:
    search = search_collision(Configuration(rules))
    assert search.complete
    return search.collision


IN_TO_EU = KeyTransform("in/", "eu/")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(
            [rule(1, Filter()), rule(2, Filter("in/"), IN_TO_EU)], True, id="one moves into another"
        ),
        pytest.param([rule(1, Filter("a/")), rule(2, Filter("in/"), IN_TO_EU)], False, id="beside it"),
        pytest.param([rule(1, Filter("eu/a/")), rule(2, Filter("in/"), IN_TO_EU)], True, id="around it"),
        pytest.param(
            [rule(1, Filter("eu/a")), rule(2, Filter("in/b"), IN_TO_EU)], False, id="elsewhere in it"
        ),
        pytest.param(
            [rule(1, Filter("in/"), IN_TO_EU), rule(2, Filter("in/a/"), IN_TO_EU)],
            False,
            id="the same transform",
        ),
        pytest.param(
            [rule(1, Filter("in/"), IN_TO_EU), rule(2, Filter("in/a/"), KeyTransform("in/a/", "eu/a/"))],
            False,
            id="the same transform in other words",
        ),
        pytest.param(
            [rule(1, Filter("in/"), KeyTransform("in/")), rule(2, Filter("on/"), KeyTransform("on/"))],
            True,
            id="two prefixes stripped",
        ),
        pytest.param(
            [rule(1, Filter("a/"), KeyTransform("", "x/")), rule(2, Filter("b/"), KeyTransform("", "x/"))],
            False,
            id="a prefix added to both",
        ),
        pytest.param(
            [rule(1, Filter()), rule(2, Filter("in/"), KeyTransform("in/", "in/moved/"))],
            False,
            id="what is in its way is moved by the stronger rule",
        ),
        pytest.param(
            [rule(2, Filter()), rule(1, Filter("in/"), KeyTransform("in/", "in/moved/"))],
            False,
            id="the stronger rule leaves nothing to move",
        ),
        pytest.param(
            [rule(1, Filter()), rule(2, Filter("in/", frozenset({RED})), KeyTransform("in/", "in/moved/"))],
            True,
            id="what is in its way may have no tag",
        ),
        pytest.param(
            [
                rule(1, Filter("in/", frozenset({RED})), KeyTransform("in/", "")),
                rule(2, Filter("", frozenset({BLUE}))),
            ],
            True,
            id="different tags",
        ),
        pytest.param(
            [
                rule(1, Filter()),
                rule(2, Filter("in/", larger_than=9), KeyTransform("in/", "in/moved/")),
                rule(3, Filter("in/", smaller_than=10)),
            ],
            True,
            id="a small object in the way of a large one",
        ),
        pytest.param(
            [
                rule(1, Filter("in/"), KeyTransform("in/", "")),
                rule(2, Filter("in/", larger_than=9)),
                rule(3, Filter("in/", smaller_than=10)),
                rule(0, Filter()),
            ],
            False,
            id="two stronger rules together leave nothing",
        ),
        pytest.param(
            [
                rule(1, Filter("in/"), KeyTransform("in/", "")),
                rule(2, Filter("in/", storage_classes=frozenset({"STANDARD"}))),
                rule(0, Filter()),
            ],
            True,
            id="a stronger rule for one storage class",
        ),
        pytest.param(
            [
                rule(1, Filter(names=KeyNames(suffixes=(".log",)))),
                rule(2, Filter("in/", names=KeyNames(suffixes=(".gz",))), IN_TO_EU),
            ],
            False,
            id="suffixes that differ",
        ),
        pytest.param(
            [
                rule(1, Filter(names=KeyNames(suffixes=("log", ".gz")))),
                rule(
                    2,
                    Filter("in/", names=KeyNames(suffixes=("a.log",), substrings=("2026", "2027"))),
                    IN_TO_EU,
                ),
            ],
            True,
            id="suffixes that agree",
        ),
        pytest.param(
            [rule(1, Filter(names=KeyNames(not_prefixes=("eu/",)))), rule(2, Filter("in/"), IN_TO_EU)],
            False,
            id="kept out of the way",
        ),
        pytest.param(
            [
                rule(1, Filter(names=KeyNames(prefixes=("b/", "eu/")))),
                rule(2, Filter(names=KeyNames(prefixes=("in/a/", "in/b/"))), IN_TO_EU),
            ],
            True,
            id="one of several prefixes",
        ),
        pytest.param(
            [rule(1, Filter("k" * 1024)), rule(2, Filter("i" + "k" * 1023), KeyTransform("i", "k"))],
            True,
            id="keys that are as long as keys can be",
        ),
        pytest.param(
            [rule(1, Filter("k" * 1024)), rule(2, Filter("k" * 1023), KeyTransform("", "k" * 2))],
            False,
            id="keys that would be longer",
        ),
        pytest.param(
            [
                rule(1, Filter("\N{GRINNING FACE}" * 255)),
                rule(2, Filter(), KeyTransform("", "\N{GRINNING FACE}" * 256)),
            ],
            False,
            id="nothing is left of one of the keys",
        ),
        pytest.param(
            [
                rule(1, Filter("eu/", names=KeyNames(suffixes=("k" * 600,)))),
                rule(
                    2,
                    Filter("in/", names=KeyNames(prefixes=("in/" + "k" * 500,), substrings=("km",))),
                    IN_TO_EU,
                ),
            ],
            False,
            id="what is asked for does not fit into one key",
        ),
        pytest.param(
            [
                rule(1, Filter("eu/", names=KeyNames(suffixes=("k" * 600,)))),
                rule(
                    2,
                    Filter("in/", names=KeyNames(prefixes=("in/" + "k" * 500,), substrings=("kk",))),
                    IN_TO_EU,
                ),
            ],
            True,
            id="what is asked for fits if it is pressed together",
        ),
        pytest.param(
            [
                rule(1, Filter("eu/", names=KeyNames(not_suffixes=("b",)))),
                rule(2, Filter("in/", names=KeyNames(suffixes=("a", "b"))), IN_TO_EU),
                rule(3, Filter("in/", names=KeyNames(suffixes=("a",)))),
            ],
            False,
            id="what one rule leaves the other does not take",
        ),
        pytest.param(
            [
                rule(1, Filter("eu/")),
                rule(2, Filter("in/"), IN_TO_EU),
                rule(3, Filter("in/", names=KeyNames(not_prefixes=("in/a",), not_suffixes=("z",)))),
            ],
            True,
            id="a stronger rule leaves keys that begin or end in some way",
        ),
        pytest.param(
            [
                rule(1, Filter("eu/")),
                rule(2, Filter("in/", names=KeyNames(substrings=("cold", "dog"))), IN_TO_EU),
                rule(3, Filter("in/", names=KeyNames(substrings=("old", "do")))),
            ],
            False,
            id="a stronger rule takes whatever contains what a weaker one asks for",
        ),
        pytest.param(
            [
                rule(1, Filter("aba")),
                rule(2, Filter("ab", names=KeyNames(substrings=("bac",))), KeyTransform("ab", "aba")),
            ],
            True,
            id="a substring that begins in the prefix",
        ),
        pytest.param(
            [
                rule(1, Filter("", names=KeyNames(suffixes=("in/a",))), KeyTransform("", "eu/")),
                rule(2, Filter("x", names=KeyNames(not_suffixes=("n/a",))), KeyTransform("x", "eu/in/")),
            ],
            True,
            id="a suffix that begins before what both keys end in",
        ),
        pytest.param(
            [
                rule(3, Filter("a/", frozenset({RED})), KeyTransform("a/", "ab")),
                rule(2, Filter("", names=KeyNames(not_suffixes=(".tmp",))), KeyTransform("", "a")),
            ],
            True,
            id="a tag rule whose other keys go by the weaker one",
        ),
        pytest.param(
            [
                rule(1, Filter(names=KeyNames(substrings=("d", "/b"))), KeyTransform("", "d")),
                rule(2, Filter(names=KeyNames(substrings=("d",)))),
            ],
            True,
            id="a substring that the prefix of one key has, and of the other must not be there",
        ),
        pytest.param(
            [rule(1, Filter("\ud800")), rule(2, Filter("in/"), KeyTransform("in/", "\ud800"))],
            False,
            id="no key has half of a surrogate pair",
        ),
    ],
)
def test_a_collision_is_found_where_there_can_be_one(rules: list[Rule], expected: bool) -> None:
    assert collide(*rules) == expected
    assert collide(*reversed(rules)) == expected


def test_only_rules_in_force_for_one_bucket_collide() -> None:
    moving = rule(2, Filter("in/"), IN_TO_EU)
    assert collide(rule(1, Filter()), moving)
    assert not collide(rule(1, Filter(), enabled=False), moving)
    assert not collide(rule(1, Filter(), destination=Destination("two")), moving)


def test_a_prefix_that_other_prefixes_begin_with_admits_no_less() -> None:
    assert admitted_prefixes(Filter("a")) == ("a",)
    assert admitted_prefixes(
        Filter("a/", names=KeyNames(("a/b", "a", "b", "a/c"), not_prefixes=("a/c",)))
    ) == (
        "a/b",
        "a/",
    )
    assert admitted_prefixes(Filter("a", names=KeyNames(("b",)))) == ()


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(lambda n: (Filter(f"{n}/"), KeyTransform(f"{n}/", f"{n}/moved/")), id="prefixes"),
        pytest.param(
            lambda n: (Filter(names=KeyNames(suffixes=(f".{n}.x",))), KeyTransform("", "a/" * (n % 2))),
            id="suffixes",
        ),
        pytest.param(
            lambda n: (Filter("a/"), KeyTransform("a/", "a/" if n > 500 else "a/a/")), id="all hidden by one"
        ),
    ],
)
def test_many_rules_that_stand_in_each_others_way_are_judged_in_time(
    others: Callable[[int], tuple[Filter, KeyTransform]],
) -> None:
    """The functions read the configuration while messages wait."""
    rules = [rule(number, *others(number)) for number in range(1, 1000)]
    before = time.thread_time()
    assert not collide(rule(0, Filter("moved/")), *rules)
    # A second's work; of every pair of rules with every other rule it would be many minutes'.
    assert time.thread_time() - before < 60


def test_a_search_that_would_take_too_long_says_so_and_names_no_keys() -> None:
    rules = [rule(number, Filter(f"{number}/"), KeyTransform(f"{number}/", "x/")) for number in range(9)]
    assert search_collision(Configuration(tuple(rules)), most=5) == Search(None, complete=False)
    assert search_collision(Configuration(tuple(rules))).collision is not None


def hundred(form: str) -> tuple[str, ...]:
    return tuple(form.format(number) for number in range(100))


def crowd() -> list[Rule]:
    """Rules that hide each other, of which more words could be made than can be tried."""
    in_the_way = [
        rule(
            100 + number,
            Filter(
                "in/",
                names=KeyNames(
                    not_prefixes=hundred(f"in/{number}a{{}}/"),
                    not_suffixes=hundred(f"b{number}-{{}}"),
                    substrings=("c",),
                ),
            ),
        )
        for number in range(50)
    ]
    hidden = Filter("in/", names=KeyNames(substrings=("cd", "dc")))
    all_with_d = rule(200, Filter("in/", names=KeyNames(substrings=("d",))))
    return [rule(98, Filter("eu/")), rule(99, hidden, IN_TO_EU), all_with_d, *in_the_way]


def test_however_large_rules_are_the_search_comes_to_an_end() -> None:
    before = time.thread_time()
    assert search_collision(Configuration(tuple(crowd())), MOST_LOOKS // 10) == Search(None, complete=False)
    assert time.thread_time() - before < 12


def test_what_shows_at_once_is_found_though_others_take_too_long() -> None:
    plain = [rule(2, Filter("a/"), KeyTransform("a/", "z/")), rule(1, Filter("z/"))]
    search = search_collision(Configuration((*crowd(), *plain)), MOST_LOOKS // 10)
    assert search.collision is not None
    assert search.collision.replica.startswith("z/")


# -- held against all keys there are

LETTERS = "ab"
KEYS = ["".join(letters) for length in range(1, 5) for letters in product(LETTERS, repeat=length)]
OBJECTS = list(product([frozenset(), frozenset({RED})], [0, 3, 5, 8, 10], ["STANDARD", "GLACIER"]))

words = st.text(LETTERS, max_size=2)
parts = st.lists(st.text(LETTERS, min_size=1, max_size=2), max_size=2).map(tuple)
key_names = st.builds(KeyNames, parts, parts, parts, parts, parts)


@st.composite
def configurations(draw: st.DrawFn, names: st.SearchStrategy[KeyNames]) -> Configuration:
    rules = []
    for number in draw(st.permutations(range(draw(st.integers(2, 4))))):
        filter_ = Filter(
            draw(words),
            frozenset({RED}) if draw(st.booleans()) else frozenset(),
            draw(names),
            draw(st.sampled_from([None, None, 2, 7])),
            draw(st.sampled_from([None, None, 5, 10])),
            frozenset({"GLACIER"}) if draw(st.booleans()) else frozenset(),
        )
        strip = draw(st.sampled_from([filter_.prefix[:length] for length in range(len(filter_.prefix) + 1)]))
        destination = Destination(draw(st.sampled_from(BUCKETS)))
        transform = KeyTransform(strip, draw(words))
        rules.append(rule(number, filter_, transform, destination=destination))
    return Configuration(tuple(rules))


def deciding(configuration: Configuration, key: str) -> list[Rule]:
    """Rules that decide for ``key``, for one object or another."""
    found = []
    for bucket, (tags, size, storage_class) in product(BUCKETS, OBJECTS):
        matching = [
            each
            for each in configuration.rules
            if each.destination.bucket == bucket
            and each.filter.admits(key)
            and each.filter.tags <= tags
            and (each.filter.larger_than is None or size > each.filter.larger_than)
            and (each.filter.smaller_than is None or size < each.filter.smaller_than)
            and (not each.filter.storage_classes or storage_class in each.filter.storage_classes)
        ]
        found += [each for each in matching if each.priority == max(one.priority for one in matching)]
    return found


def collisions(configuration: Configuration) -> set[tuple[str, str]]:
    """Places where two of all keys come to lie."""
    places: dict[tuple[str, str], set[str]] = {}
    for key in KEYS:
        for each in deciding(configuration, key):
            replica = each.transform.add + key[len(each.transform.strip) :]
            if replica:
                places.setdefault((each.destination.bucket, replica), set()).add(key)
    return {place for place, keys in places.items() if len(keys) > 1}


@settings(max_examples=200)
@given(configurations(st.just(KeyNames()) | key_names))
def test_every_collision_is_found(configuration: Configuration) -> None:
    assert (find(*configuration.rules) is not None) >= bool(collisions(configuration))


@settings(max_examples=200)
@given(configurations(st.just(KeyNames()) | key_names))
def test_what_is_called_a_collision_is_one(configuration: Configuration) -> None:
    found = find(*configuration.rules)
    if found is not None:
        assert found.rule in deciding(configuration, found.key)
        assert found.other_rule in deciding(configuration, found.other_key)
        assert found.key != found.other_key
        assert found.rule.destination == found.other_rule.destination
        assert found.rule.transform.of(found.key) == found.replica
        assert found.other_rule.transform.of(found.other_key) == found.replica


# -- held against an oracle


def test_no_random_rule_set_has_keys_that_meet_unreported_nor_is_one_refused_for_nothing() -> None:
    """Twenty thousand of them: ``python -m tests.unit.collision_oracle``."""
    found = judge(300)
    assert (found.unreported, found.unconfirmed, found.unfinished) == ([], [], 0)
    # The sets are such that much is found, and much is not.
    assert 50 < found.meeting < 250
