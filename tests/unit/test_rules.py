"""The rule that decides is the one Amazon S3 would let decide."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.configuration import Configuration, Destination, Filter, Rule
from s3replicator.decisions.rules import Facts, contenders, needs_tags, winner
from s3replicator.decisions.versions import Tag

BUCKETS = ["one", "two", "three"]

# Few letters, so that prefixes, keys and tags meet.
words = st.text("ab/", max_size=4)
tag_sets = st.dictionaries(st.sampled_from("kl"), st.sampled_from("12")).map(
    lambda tags: frozenset(Tag(key, value) for key, value in tags.items())
)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    places = draw(st.lists(st.tuples(st.sampled_from(BUCKETS), st.integers(0, 9)), unique=True, max_size=10))
    return Configuration(
        tuple(
            Rule(
                id=f"rule-{number}",
                priority=priority,
                enabled=draw(st.booleans() | st.just(value=True)),
                filter=Filter(draw(words), draw(tag_sets)),
                delete_markers=False,
                destination=Destination(bucket),
            )
            for number, (bucket, priority) in enumerate(places)
        )
    )


def slowly(configuration: Configuration, key: str, tags: frozenset[Tag]) -> dict[str, str]:
    """By bucket the rule that decides, as Amazon's documentation puts it."""
    deciding: dict[str, Rule] = {}
    for rule in configuration.rules:
        applies = rule.enabled and key.startswith(rule.filter.prefix)
        for tag in rule.filter.tags:
            applies = applies and tag in tags
        bucket = rule.destination.bucket
        if applies and (bucket not in deciding or rule.priority > deciding[bucket].priority):
            deciding[bucket] = rule
    return {bucket: rule.id for bucket, rule in deciding.items()}


def quickly(configuration: Configuration, key: str, tags: frozenset[Tag]) -> dict[str, str]:
    won = {bucket: winner(rules, Facts(tags)) for bucket, rules in contenders(configuration, key).items()}
    return {bucket: rule.id for bucket, rule in won.items() if rule is not None}


@given(configurations(), words, tag_sets)
def test_the_choice_agrees_with_the_obvious_one(
    configuration: Configuration, key: str, tags: frozenset[Tag]
) -> None:
    assert quickly(configuration, key, tags) == slowly(configuration, key, tags)


@given(configurations(), words)
def test_every_contender_wins_for_some_object(configuration: Configuration, key: str) -> None:
    for rules in contenders(configuration, key).values():
        for rule in rules:
            # If it does not win with its own tags alone, more tags only help stronger rules.
            assert winner(rules, Facts(rule.filter.tags)) is rule


@given(configurations(), words, tag_sets, tag_sets)
def test_tags_that_are_not_needed_change_nothing(
    configuration: Configuration, key: str, one: frozenset[Tag], other: frozenset[Tag]
) -> None:
    if not needs_tags(contenders(configuration, key)):
        assert quickly(configuration, key, one) == quickly(configuration, key, other)


@given(configurations(), words)
def test_tags_are_asked_for_only_if_they_can_change_the_choice(
    configuration: Configuration, key: str
) -> None:
    if needs_tags(contenders(configuration, key)):
        kinds = [frozenset[Tag](), *(rule.filter.tags for rule in configuration.rules)]
        choices = [quickly(configuration, key, tags) for tags in kinds]
        assert any(choice != choices[0] for choice in choices)


@given(configurations(), words, tag_sets, st.randoms())
def test_the_order_of_rules_in_the_document_does_not_matter(
    configuration: Configuration, key: str, tags: frozenset[Tag], random: Random
) -> None:
    shuffled = list(configuration.rules)
    random.shuffle(shuffled)
    assert quickly(Configuration(tuple(shuffled)), key, tags) == quickly(configuration, key, tags)


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
    assert quickly(configuration, "any", frozenset(tags)) == chosen


@pytest.mark.parametrize(
    ("key", "tags", "selected"), [("xy/a", [RED], True), ("xa/a", [RED], False), ("xy/a", [], False)]
)
def test_a_prefix_and_tags_are_wanted_together(key: str, tags: list[Tag], selected: bool) -> None:
    """B20."""
    configuration = Configuration((rule("both", 1, "xy", [RED]),))
    assert bool(quickly(configuration, key, frozenset(tags))) is selected


def test_an_object_with_the_tag_is_judged_by_the_stronger_rule_another_by_the_weaker() -> None:
    """B22, B23."""
    configuration = Configuration((rule("weak", 1, "xyz"), rule("strong", 2, "xy", [RED])))
    assert quickly(configuration, "xyz/o", frozenset({RED})) == {"one": "strong"}
    assert quickly(configuration, "xyz/o", frozenset()) == {"one": "weak"}


def test_the_highest_number_wins_and_every_destination_is_served() -> None:
    """B25."""
    configuration = Configuration(
        (rule("low", 1), rule("high", 2, "star"), rule("elsewhere", 1, bucket="two"))
    )
    assert quickly(configuration, "starship", frozenset()) == {"one": "high", "two": "elsewhere"}
    assert quickly(configuration, "planet", frozenset()) == {"one": "low", "two": "elsewhere"}


def test_a_disabled_rule_selects_nothing_and_hides_nothing() -> None:
    """B26."""
    configuration = Configuration((off(rule("off", 2)), rule("on", 1)))
    assert quickly(configuration, "any", frozenset()) == {"one": "on"}
    assert quickly(Configuration((off(rule("off", 2)),)), "any", frozenset()) == {}


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
