"""Whatever a user has in the notification configuration stays as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.notifications import (
    EVENTBRIDGE,
    EVENTS,
    QUEUES,
    TARGETS,
    Configuration,
    Entry,
    EventSource,
    Wiring,
    identifier_of,
    merge,
    remove,
    rivals,
)

OURS = Entry("s3-replicator-prod", "arn:aws:sqs:eu-west-1:123456789012:ingest")
BY_ENTRY = Wiring(OURS, EventSource.NOTIFICATION)
BY_EVENTBRIDGE = Wiring(OURS, EventSource.EVENTBRIDGE)

event_types = st.sampled_from(
    [
        "s3:ObjectCreated:*",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectRestore:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
        "s3:ObjectRetention:Put",
        "s3:ObjectAnnotation:*",
        "s3:LifecycleExpiration:*",
    ]
)
filters = st.fixed_dictionaries(
    {
        "Key": st.fixed_dictionaries(
            {
                "FilterRules": st.lists(
                    st.fixed_dictionaries(
                        {"Name": st.sampled_from(["prefix", "suffix"]), "Value": st.text(max_size=5)}
                    ),
                    max_size=2,
                )
            }
        )
    }
)


def entries(target: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    entry = st.fixed_dictionaries(
        {
            "Id": st.text(min_size=1, max_size=8).filter(lambda name: name != OURS.identifier),
            target: st.from_regex(r"arn:aws:[a-z]{3}:[a-z]{2,8}", fullmatch=True),
            "Events": st.lists(event_types, min_size=1, max_size=3, unique=True),
        },
        optional={"Filter": filters},
    )
    # S3 lists a kind only if there is an entry of it.
    return st.lists(entry, min_size=1, max_size=3)


configurations = st.fixed_dictionaries(
    {},
    optional={kind: entries(target) for kind, target in TARGETS.items()} | {EVENTBRIDGE: st.just({})},
)


def of_others(configuration: Configuration) -> dict[str, Any]:
    """Everything but our entry, in its order."""
    queues = [entry for entry in configuration.get(QUEUES, []) if entry["Id"] != OURS.identifier]
    rest = {kind: value for kind, value in configuration.items() if kind != QUEUES}
    return rest | ({QUEUES: queues} if queues else {})


def ours_in(configuration: Configuration) -> list[dict[str, Any]]:
    return [entry for entry in configuration.get(QUEUES, []) if entry["Id"] == OURS.identifier]


@given(configurations)
def test_put_in_and_taken_out_again_leaves_the_configuration_as_it_was(before: Configuration) -> None:
    assert remove(merge(before, OURS), OURS.identifier) == before


@given(configurations)
def test_our_entry_is_there_once_however_often_it_is_put_in(before: Configuration) -> None:
    once = merge(before, OURS)
    assert ours_in(once) == [OURS.document()]
    assert merge(once, OURS) is once


@given(configurations)
def test_entries_of_others_are_the_same_before_and_after(before: Configuration) -> None:
    assert of_others(merge(before, OURS)) == before


@given(configurations, st.permutations(EVENTS))
def test_our_entry_is_known_again_in_whatever_order_s3_lists_its_events(
    before: Configuration, events: list[str]
) -> None:
    listed = {**before, QUEUES: [*before.get(QUEUES, []), {**OURS.document(), "Events": events}]}
    assert merge(listed, OURS) is listed


@pytest.mark.parametrize(
    "difference",
    [
        {"QueueArn": "arn:aws:sqs:eu-west-1:123456789012:another"},
        {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]},
        {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}},
    ],
    ids=lambda difference: next(iter(difference)),
)
@given(before=configurations)
def test_an_entry_of_ours_that_somebody_changed_is_put_right(
    difference: dict[str, Any], before: Configuration
) -> None:
    changed = {**before, QUEUES: [{**OURS.document(), **difference}, *before.get(QUEUES, [])]}
    mended = merge(changed, OURS)
    assert ours_in(mended) == [OURS.document()]
    assert of_others(mended) == before


@given(configurations)
def test_taking_out_what_is_not_there_changes_nothing(before: Configuration) -> None:
    assert remove(before, OURS.identifier) is before


def test_what_is_replicated_is_subscribed_to_and_nothing_a_lifecycle_rule_does() -> None:
    assert OURS.document()["Events"] == [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
        "s3:ObjectRetention:Put",
        "s3:ObjectAnnotation:*",
    ]


# -- the way that is wanted

wirings = st.sampled_from([BY_ENTRY, BY_EVENTBRIDGE])


@given(configurations, st.lists(wirings, max_size=4))
def test_however_often_the_way_is_changed_what_others_have_is_as_it_was(
    before: Configuration, changes: list[Wiring]
) -> None:
    """EventBridge alone may be on that was not: it is never switched off."""
    now = before
    for wanted in changes:
        now = wanted.finished(wanted.begun(now))
        assert wanted.problem(now) is None
    after = dict(remove(now, OURS.identifier))
    if BY_EVENTBRIDGE in changes and EVENTBRIDGE not in before:
        assert after.pop(EVENTBRIDGE) == {}
    assert after == before


@given(configurations, wirings, wirings)
def test_while_the_way_is_changed_both_are_there(
    before: Configuration, former: Wiring, wanted: Wiring
) -> None:
    both = wanted.begun(former.finished(before))
    for wiring in (former, wanted):
        assert wiring.begun(both) is both


@given(configurations, wirings)
def test_there_is_a_problem_exactly_if_there_is_something_to_do(
    before: Configuration, wanted: Wiring
) -> None:
    assert (wanted.problem(before) is None) is (wanted.finished(before) is before)
    done = wanted.finished(before)
    assert wanted.finished(done) is done


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        (BY_ENTRY, {}, "has no notification entry s3-replicator-prod"),
        (
            BY_ENTRY,
            {QUEUES: [{**OURS.document(), "QueueArn": "arn:q"}]},
            "has a notification entry s3-replicator-prod that sends to arn:q instead of"
            " arn:aws:sqs:eu-west-1:123456789012:ingest",
        ),
        (
            BY_ENTRY,
            {QUEUES: [{**OURS.document(), "Events": ["s3:ObjectCreated:*"]}]},
            "has a notification entry s3-replicator-prod that names the events s3:ObjectCreated:* instead of"
            " s3:ObjectCreated:*, s3:ObjectRemoved:*, s3:ObjectTagging:*, s3:ObjectAcl:Put,"
            " s3:ObjectRetention:Put, s3:ObjectAnnotation:*",
        ),
        (
            BY_ENTRY,
            {
                QUEUES: [
                    {
                        **OURS.document(),
                        "QueueArn": "arn:q",
                        "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}]}},
                    }
                ]
            },
            "has a notification entry s3-replicator-prod that sends to arn:q instead of"
            " arn:aws:sqs:eu-west-1:123456789012:ingest, and is only for keys with prefix 'in/'",
        ),
        (
            BY_ENTRY,
            {QUEUES: [OURS.document(), OURS.document()]},
            "has 2 notification entries s3-replicator-prod",
        ),
        (BY_EVENTBRIDGE, {QUEUES: [OURS.document()]}, "does not send its events to EventBridge"),
        (
            BY_EVENTBRIDGE,
            {QUEUES: [OURS.document()], EVENTBRIDGE: {}},
            "sends every event twice, as entry s3-replicator-prod is still there",
        ),
    ],
)
def test_what_is_wrong_is_said(wanted: Wiring, found: Configuration, told: str) -> None:
    assert wanted.problem(found) == told


def test_a_filter_that_lets_every_key_pass_is_none() -> None:
    """The console writes such a one."""
    rules = [{"Name": "Prefix", "Value": ""}, {"Name": "Suffix", "Value": ""}]
    found = {QUEUES: [{**OURS.document(), "Filter": {"Key": {"FilterRules": rules}}}]}
    assert merge(found, OURS) is found


# -- overlaps


@pytest.mark.parametrize(
    ("event", "overlaps"),
    [
        ("s3:ObjectCreated:*", True),
        ("s3:ObjectCreated:Put", True),
        ("s3:ObjectCreated:CompleteMultipartUpload", True),
        ("s3:ObjectRemoved:*", True),
        ("s3:ObjectRemoved:Delete", True),
        ("s3:ObjectRemoved:DeleteMarkerCreated", True),
        ("s3:ObjectTagging:Delete", True),
        ("s3:ObjectAcl:Put", True),
        ("s3:ObjectRetention:Put", True),
        ("s3:ObjectAnnotation:Delete", True),
        ("s3:ObjectRestore:*", False),
        ("s3:LifecycleExpiration:*", False),
        ("s3:LifecycleExpiration:DeleteMarkerCreated", False),
        ("s3:LifecycleTransition", False),
        ("s3:IntelligentTiering", False),
        ("s3:Replication:*", False),
        ("s3:ReducedRedundancyLostObject", False),
    ],
)
@pytest.mark.parametrize(("kind", "target"), TARGETS.items())
def test_entries_overlap_that_have_an_event_in_common(
    kind: str, target: str, event: str, overlaps: bool
) -> None:
    theirs = {"Id": "theirs", target: "arn:theirs", "Events": ["s3:ObjectRestore:Post", event]}
    assert bool(rivals({kind: [theirs]}, OURS.identifier)) is overlaps


@given(filters)
def test_no_filter_of_theirs_keeps_an_entry_from_overlapping(theirs: dict[str, Any]) -> None:
    """Ours has none, and the root prefix overlaps with any other."""
    entry = {"Id": "theirs", "TopicArn": "arn:t", "Events": ["s3:ObjectCreated:Put"], "Filter": theirs}
    assert rivals({"TopicConfigurations": [entry]}, OURS.identifier)


def test_eventbridge_is_in_nobodys_way() -> None:
    assert rivals({EVENTBRIDGE: {}, QUEUES: [OURS.document()]}, OURS.identifier) == []


def test_an_entry_in_the_way_is_named_with_all_that_tells_it_from_others() -> None:
    filtered = [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".jpg"}]
    configuration = {
        QUEUES: [
            OURS.document(),
            {"Id": "restores", "QueueArn": "arn:q", "Events": ["s3:ObjectRestore:*"]},
        ],
        "TopicConfigurations": [
            {
                "Id": "uploads",
                "TopicArn": "arn:t",
                "Events": ["s3:ObjectCreated:Put", "s3:ObjectRestore:*"],
                "Filter": {"Key": {"FilterRules": filtered}},
            }
        ],
        "LambdaFunctionConfigurations": [
            {"Id": OURS.identifier, "LambdaFunctionArn": "arn:l", "Events": ["s3:ObjectRemoved:*"]},
            {"Id": "expired", "LambdaFunctionArn": "arn:o", "Events": ["s3:LifecycleExpiration:*"]},
        ],
    }
    found = rivals(configuration, OURS.identifier)
    assert list(map(str, found)) == [
        "uploads (s3:ObjectCreated:Put, s3:ObjectRestore:* for keys with prefix 'in/' and suffix '.jpg', to"
        " arn:t)",
        "s3-replicator-prod (s3:ObjectRemoved:*, to arn:l)",
    ]
    assert [rival.stack for rival in found] == [None, None]


def test_the_entry_of_another_stack_is_known_by_its_name() -> None:
    theirs = Entry(identifier_of("archive"), "arn:aws:sqs:eu-west-1:123456789012:other")
    [found] = rivals({QUEUES: [OURS.document(), theirs.document()]}, OURS.identifier)
    assert found.stack == "archive"
