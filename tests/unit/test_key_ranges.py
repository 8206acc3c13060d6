"""Rules that would put two keys in one place are found, and no others are called so."""

import time
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    AS_IT_IS,
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.key_ranges import admitted_prefixes, find_collision
from s3replicator.decisions.versions import Tag

BUCKETS = ["one", "two"]
RED, BLUE = Tag("colour", "red"), Tag("colour", "blue")


def rule(number: int, filter_: Filter, transform: KeyTransform = AS_IT_IS, **members: Any) -> Rule:
    """The higher its number, the stronger it is."""
    given_ = {"id": f"rule-{number}", "priority": number, "enabled": True, "delete_markers": False}
    return Rule(
        **{**given_, "destination": Destination("one"), **members}, filter=filter_, transform=transform
    )


def collide(*rules: Rule) -> bool:
    found = find_collision(Configuration(rules))
    return found is not None


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


def test_many_rules_that_stand_in_each_others_way_are_judged_in_time() -> None:
    """The functions read the configuration while messages wait."""
    rules = [rule(0, Filter())]
    for number in range(1, 1000):
        prefix = f"{number}/"
        rules.append(rule(number, Filter(prefix), KeyTransform(prefix, f"{prefix}moved/")))
    before = time.thread_time()
    assert not collide(*rules)
    # Half a second's work; of every pair of rules with every other rule it would be many minutes'.
    assert time.thread_time() - before < 60


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
@given(configurations(st.just(KeyNames())))
def test_with_prefixes_alone_every_collision_is_found(configuration: Configuration) -> None:
    assert (find_collision(configuration) is not None) >= bool(collisions(configuration))


@settings(max_examples=200)
@given(configurations(st.just(KeyNames()) | key_names))
def test_what_is_called_a_collision_is_one(configuration: Configuration) -> None:
    found = find_collision(configuration)
    if found is not None:
        assert found.rule in deciding(configuration, found.key)
        assert found.other_rule in deciding(configuration, found.other_key)
        assert found.key != found.other_key
        assert found.rule.destination == found.other_rule.destination
        assert found.rule.transform.of(found.key) == found.replica
        assert found.other_rule.transform.of(found.other_key) == found.replica
