"""What another configuration says otherwise: of its rules, and of keys."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    LateVersions,
    Rule,
)
from s3replicator.decisions.configuration_changes import (
    ANOTHER_KEY,
    ANOTHER_RULE,
    DROPPED,
    SELECTED,
    Change,
    Difference,
    Example,
    FieldChange,
    Tally,
    rule_changes,
)
from s3replicator.decisions.rule_fields import fields_of, treatment_of
from s3replicator.decisions.rules import Facts, contenders, needs_object, needs_tags, winner
from s3replicator.decisions.versions import Tag
from tests.unit.rule_sets import configurations, facts, words

PLAIN = Rule("rule", 1, enabled=True, filter=Filter(), delete_markers=False, destination=Destination("one"))

#: A rule that says something else than ``PLAIN`` in every respect.
OTHER = Rule(
    "other",
    2,
    enabled=False,
    filter=Filter(
        "in/",
        frozenset({Tag("a", "b")}),
        KeyNames(("in/a",), (".csv",), ("x",), ("in/b",), (".tmp",)),
        10,
        20,
        frozenset({"STANDARD"}),
    ),
    delete_markers=True,
    destination=Destination("two", "GLACIER", "123456789012", True, "key", True, True),
    late_versions=LateVersions.SKIP,
    version_deletes=5,
    transform=KeyTransform("in/", "eu/"),
    kms=True,
    replica_modifications=True,
    replicas=True,
    tag_later=True,
)


def one_by_one(plain: Any, other: Any) -> Iterator[tuple[str, Any]]:
    """``plain`` with one value, however deep, taken from ``other``; and what that value is called."""
    for each in fields(plain):
        mine, theirs = getattr(plain, each.name), getattr(other, each.name)
        if is_dataclass(mine):
            for name, changed in one_by_one(mine, theirs):
                yield f"{each.name}.{name}", replace(plain, **{each.name: changed})
        else:
            assert mine != theirs, each.name
            yield each.name, replace(plain, **{each.name: theirs})


def test_whatever_a_rule_can_say_is_a_field() -> None:
    for name, changed in one_by_one(PLAIN, OTHER):
        if name != "id":
            assert fields_of(changed) != fields_of(PLAIN), name


def test_rules_are_known_by_their_ids() -> None:
    kept, gone, new = PLAIN, replace(PLAIN, id="gone"), replace(PLAIN, id="new")
    changed = replace(kept, priority=7, destination=Destination("one", "GLACIER"))
    changes = rule_changes(Configuration((kept, gone)), Configuration((new, changed)))
    assert (changes.added, changes.removed) == ((new,), (gone,))
    assert changes.changed == {
        "rule": (FieldChange("Priority", 1, 7), FieldChange("Destination.StorageClass", None, "GLACIER"))
    }


@given(configurations(), configurations())
def test_only_equal_rules_are_unchanged(one: Configuration, other: Configuration) -> None:
    assert rule_changes(one, one).none
    same = {rule.id: rule for rule in one.rules} == {rule.id: rule for rule in other.rules}
    assert rule_changes(one, other).none == same


def changes_of(one: Configuration, other: Configuration, key: str, facts: Facts) -> set[Change]:
    return {change for change, _ in Difference.of(one, other, key).changes(facts)}


@settings(max_examples=300)
@given(configurations(), configurations(), words, facts)
def test_what_changes_for_a_key_is_what_its_rules_say(
    one: Configuration, other: Configuration, key: str, facts: Facts
) -> None:
    expected: set[Change] = set()
    old, new = contenders(one, key), contenders(other, key)
    for bucket in {*old, *new}:
        before, after = winner(old.get(bucket, ()), facts), winner(new.get(bucket, ()), facts)
        if before is None and after is not None:
            expected.add(Change(bucket, SELECTED, None, after.id))
        elif after is None and before is not None:
            expected.add(Change(bucket, DROPPED, before.id, None))
        elif before is not None and after is not None:
            if before.id != after.id:
                expected.add(Change(bucket, ANOTHER_RULE, before.id, after.id))
            if before.transform.of(key) != after.transform.of(key):
                expected.add(Change(bucket, ANOTHER_KEY))
            was, now = treatment_of(before), treatment_of(after)
            expected |= {Change(bucket, name, was[name], now[name]) for name in was if was[name] != now[name]}
    assert changes_of(one, other, key, facts) == expected


@given(configurations(), configurations(), words, facts)
def test_what_is_not_asked_for_changes_nothing(
    one: Configuration, other: Configuration, key: str, facts: Facts
) -> None:
    asking = Difference.of(one, other, key).asking
    known = replace(facts, tags=facts.tags if needs_tags(asking) else frozenset())
    if not needs_object(asking):
        known = Facts(known.tags)
    assert changes_of(one, other, key, facts) == changes_of(one, other, key, known)


@given(configurations(), words, st.randoms())
def test_the_order_of_rules_changes_nothing(one: Configuration, key: str, random: Any) -> None:
    shuffled = list(one.rules)
    random.shuffle(shuffled)
    assert Difference.of(one, Configuration(tuple(shuffled)), key).asking == {}


def test_changes_are_counted_and_some_keys_are_kept() -> None:
    moved = replace(PLAIN, transform=KeyTransform("", "eu/"), destination=Destination("one", "GLACIER"))
    tally = Tally()
    for number in range(5):
        difference = Difference.of(Configuration((PLAIN,)), Configuration((moved,)), f"key-{number}")
        tally.add(difference.changes(Facts()))
    tally.add([])
    assert (tally.compared, tally.changed) == (6, 5)
    classes = Change("one", "Destination.StorageClass", None, "GLACIER")
    assert tally.counts == {Change("one", ANOTHER_KEY): 5, classes: 5}
    assert tally.examples[classes] == [Example(f"key-{n}", f"key-{n}", f"eu/key-{n}") for n in range(3)]
