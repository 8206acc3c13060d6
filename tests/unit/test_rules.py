"""The rule that decides is the one Amazon S3 would let decide."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rules import measure, mixed
from s3replicator.decisions.configuration import Configuration, Destination, Filter, Rule
from s3replicator.decisions.rules import Facts, contenders, needs_object, needs_tags, winner
from s3replicator.decisions.versions import Tag
from tests.unit.rule_sets import CLASSES, configurations, facts, words


def selects(rule: Rule, key: str, facts: Facts) -> bool:
    """As the documentation puts it, one sentence after the other."""
    if not rule.enabled:
        return False
    asked, names = rule.filter, rule.filter.names
    if not key.startswith(asked.prefix):
        return False
    begins = [prefix for prefix in names.prefixes if key[: len(prefix)] == prefix]
    ends = [suffix for suffix in names.suffixes if key[-len(suffix) :] == suffix]
    contains = [part for part in names.substrings if key.count(part) > 0]
    if (
        (names.prefixes and not begins)
        or (names.suffixes and not ends)
        or (names.substrings and not contains)
    ):
        return False
    if [prefix for prefix in names.not_prefixes if key[: len(prefix)] == prefix]:
        return False
    if [suffix for suffix in names.not_suffixes if key[-len(suffix) :] == suffix]:
        return False
    if [tag for tag in asked.tags if tag not in facts.tags]:
        return False
    if asked.larger_than is not None and facts.size <= asked.larger_than:
        return False
    if asked.smaller_than is not None and facts.size >= asked.smaller_than:
        return False
    return not asked.storage_classes or facts.storage_class in asked.storage_classes


def slowly(configuration: Configuration, key: str, facts: Facts) -> dict[str, str]:
    """By bucket the rule that decides."""
    deciding: dict[str, Rule] = {}
    for rule in configuration.rules:
        bucket = rule.destination.bucket
        stronger = bucket not in deciding or rule.priority > deciding[bucket].priority
        if selects(rule, key, facts) and stronger:
            deciding[bucket] = rule
    return {bucket: rule.id for bucket, rule in deciding.items()}


def quickly(configuration: Configuration, key: str, facts: Facts) -> dict[str, str]:
    won = {bucket: winner(rules, facts) for bucket, rules in contenders(configuration, key).items()}
    return {bucket: rule.id for bucket, rule in won.items() if rule is not None}


@settings(max_examples=500)
@given(configurations(), words, facts)
def test_the_choice_agrees_with_the_obvious_one(configuration: Configuration, key: str, facts: Facts) -> None:
    assert quickly(configuration, key, facts) == slowly(configuration, key, facts)


@given(configurations(), words)
def test_only_rules_that_the_key_fits_contend(configuration: Configuration, key: str) -> None:
    for bucket, rules in contenders(configuration, key).items():
        assert rules
        assert [rule.priority for rule in rules] == sorted((r.priority for r in rules), reverse=True)
        for rule in rules:
            assert (rule.enabled, rule.destination.bucket) == (True, bucket)
            anything = replace(rule, filter=Filter(rule.filter.prefix, names=rule.filter.names))
            assert selects(anything, key, Facts())


#: One object for each answer that rules can give of objects: any tags, sizes and classes that rules name, and
#: others.
OBJECTS = [
    Facts(frozenset(Tag(key, value) for key, value in zip("kl", values, strict=True) if value), size, name)
    for values in product(["", "1", "2"], repeat=2)
    for size in range(7)
    for name in [*CLASSES, "another class"]
]


@settings(max_examples=200)
@given(configurations(), words)
def test_a_rule_contends_unless_a_stronger_one_takes_all_that_it_takes(
    configuration: Configuration, key: str
) -> None:
    taken = {
        rule.id: {about for about in OBJECTS if selects(rule, key, about)} for rule in configuration.rules
    }
    expected = {
        rule.id
        for rule in configuration.rules
        if taken[rule.id]
        and not any(
            taken[rule.id] <= taken[other.id]
            for other in configuration.rules
            if other.destination == rule.destination and other.priority > rule.priority
        )
    }
    listed = {rule.id for rules in contenders(configuration, key).values() for rule in rules}
    # Whoever asks for what no object has takes nothing, and may be listed or not.
    assert {name for name in listed if taken[name]} == expected


ONE, ANOTHER = Tag("k", "1"), Tag("l", "2")


@pytest.mark.parametrize(
    ("stronger", "weaker", "covered"),
    [
        (Filter(), Filter(tags=frozenset({ONE})), True),
        (Filter(), Filter(larger_than=2), True),
        (Filter(tags=frozenset({ONE})), Filter(tags=frozenset({ONE})), True),
        (Filter(tags=frozenset({ONE})), Filter(tags=frozenset({ONE, ANOTHER})), True),
        (Filter(tags=frozenset({ONE, ANOTHER})), Filter(tags=frozenset({ONE, ANOTHER})), True),
        (Filter(tags=frozenset({ONE, ANOTHER})), Filter(tags=frozenset({ONE})), False),
        (Filter(tags=frozenset({ONE})), Filter(tags=frozenset({ANOTHER})), False),
        (Filter(tags=frozenset({ONE})), Filter(), False),
        (Filter(larger_than=2), Filter(larger_than=2), True),
        (Filter(larger_than=2), Filter(tags=frozenset({ONE}), larger_than=2), True),
        (Filter(larger_than=2), Filter(tags=frozenset({ONE, ANOTHER}), larger_than=3), True),
        (Filter(tags=frozenset({ONE}), larger_than=2), Filter(larger_than=2), False),
        (Filter(larger_than=3), Filter(larger_than=2), False),
        (Filter(larger_than=2), Filter(smaller_than=9), False),
        (Filter(smaller_than=9), Filter(smaller_than=9), True),
        (Filter(smaller_than=9), Filter(smaller_than=8), True),
        (Filter(smaller_than=8), Filter(smaller_than=9), False),
        (Filter(storage_classes=frozenset("ab")), Filter(storage_classes=frozenset("a")), True),
        (Filter(storage_classes=frozenset("a")), Filter(storage_classes=frozenset("ab")), False),
        (Filter(storage_classes=frozenset("a")), Filter(), False),
    ],
)
def test_a_rule_that_a_stronger_one_covers_is_not_listed(
    stronger: Filter, weaker: Filter, covered: bool
) -> None:
    above, below = (replace(rule("", priority), filter=one) for priority, one in ((2, stronger), (1, weaker)))
    listed = contenders(Configuration((below, above)), "key")["one"]
    assert listed == ((above,) if covered else (above, below))


@given(configurations(), words, facts, facts)
def test_what_is_not_needed_changes_nothing(
    configuration: Configuration, key: str, one: Facts, other: Facts
) -> None:
    contending = contenders(configuration, key)
    if not needs_tags(contending):
        other = replace(one, tags=other.tags)
        assert quickly(configuration, key, one) == quickly(configuration, key, other)
    if not needs_object(contending):
        other = replace(other, tags=one.tags)
        assert quickly(configuration, key, one) == quickly(configuration, key, other)


@given(configurations(), words)
def test_tags_are_asked_for_only_if_they_can_change_the_choice(
    configuration: Configuration, key: str
) -> None:
    contending = contenders(configuration, key)
    if needs_tags(contending) and not needs_object(contending):
        kinds = [frozenset[Tag](), *(rule.filter.tags for rule in configuration.rules)]
        choices = [quickly(configuration, key, Facts(tags)) for tags in kinds]
        assert any(choice != choices[0] for choice in choices)


@given(configurations(), words, facts, st.randoms())
def test_the_order_of_rules_in_the_document_does_not_matter(
    configuration: Configuration, key: str, facts: Facts, random: Random
) -> None:
    shuffled = list(configuration.rules)
    random.shuffle(shuffled)
    assert quickly(Configuration(tuple(shuffled)), key, facts) == quickly(configuration, key, facts)


# -- the acceptance list


def rule(
    name: str, priority: int, prefix: str = "", tags: Iterable[Tag] = (), *, bucket: str = "one"
) -> Rule:
    return Rule(name, priority, True, Filter(prefix, frozenset(tags)), False, Destination(bucket))


def off(rule: Rule) -> Rule:
    return replace(rule, enabled=False)


RED = Tag("colour", "red")


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        ([RED], {"one": "red"}),
        ([Tag("colour", "blue")], {}),
        ([], {}),
        ([RED, Tag("x", "y")], {"one": "red"}),
    ],
)
def test_a_tag_filter_selects_objects_with_that_key_and_value(
    tags: list[Tag], chosen: dict[str, str]
) -> None:
    """B19."""
    configuration = Configuration((rule("red", 1, tags=[RED]),))
    assert quickly(configuration, "any", Facts(frozenset(tags))) == chosen


@pytest.mark.parametrize(
    ("key", "tags", "selected"), [("xy/a", [RED], True), ("xa/a", [RED], False), ("xy/a", [], False)]
)
def test_a_prefix_and_tags_are_wanted_together(key: str, tags: list[Tag], selected: bool) -> None:
    """B20."""
    configuration = Configuration((rule("both", 1, "xy", [RED]),))
    assert bool(quickly(configuration, key, Facts(frozenset(tags)))) is selected


def test_an_object_with_the_tag_is_judged_by_the_stronger_rule_another_by_the_weaker() -> None:
    """B22, B23."""
    configuration = Configuration((rule("weak", 1, "xyz"), rule("strong", 2, "xy", [RED])))
    assert quickly(configuration, "xyz/o", Facts(frozenset({RED}))) == {"one": "strong"}
    assert quickly(configuration, "xyz/o", Facts()) == {"one": "weak"}


def test_the_highest_number_wins_and_every_destination_is_served() -> None:
    """B25."""
    configuration = Configuration(
        (rule("low", 1), rule("high", 2, "star"), rule("elsewhere", 1, bucket="two"))
    )
    assert quickly(configuration, "starship", Facts()) == {"one": "high", "two": "elsewhere"}
    assert quickly(configuration, "planet", Facts()) == {"one": "low", "two": "elsewhere"}


def test_a_disabled_rule_selects_nothing_and_hides_nothing() -> None:
    """B26."""
    configuration = Configuration((off(rule("off", 2)), rule("on", 1)))
    assert quickly(configuration, "any", Facts()) == {"one": "on"}
    assert quickly(Configuration((off(rule("off", 2)),)), "any", Facts()) == {}


@pytest.mark.parametrize(
    ("prefix", "key", "selected"),
    [
        *(("", "", True), ("", "any", True), ("a/", "a/", True), ("a/", "a/b", True), ("a/", "a", False)),
        *(("a", "A", False), ("é", "e\u0301", False), ("a b", "a b/c", True), ("a+b", "a b/c", False)),
    ],
)
def test_a_prefix_is_compared_as_it_stands(prefix: str, key: str, selected: bool) -> None:
    configuration = Configuration((rule("prefix", 1, prefix),))
    assert bool(contenders(configuration, key)) is selected
    assert not needs_tags(contenders(configuration, key))


# -- how long it takes


def test_the_largest_document_is_evaluated_in_less_than_a_millisecond() -> None:
    """Of the processor's time, for one object on average."""
    assert measure(mixed, objects=100).ours < 1
