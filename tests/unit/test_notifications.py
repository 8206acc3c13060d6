"""Whatever a user has in the notification configuration stays as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.notifications import (
    EVENTS,
    QUEUES,
    TARGETS,
    Configuration,
    Entry,
    merge,
    remove,
    rivals,
)

OURS = Entry("s3-replicator-prod", "arn:aws:sqs:eu-west-1:123456789012:ingest")

event_types = st.sampled_from(
    [
        "s3:ObjectCreated:*",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectRestore:*",
        "s3:ObjectTagging:*",
        "s3:ObjectAcl:Put",
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
    optional={kind: entries(target) for kind, target in TARGETS.items()}
    | {"EventBridgeConfiguration": st.just({})},
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
    ]


def test_an_entry_in_the_way_is_named_with_its_target() -> None:
    configuration = {
        QUEUES: [
            OURS.document(),
            {"Id": "restores", "QueueArn": "arn:q", "Events": ["s3:ObjectRestore:*"]},
        ],
        "TopicConfigurations": [{"Id": "uploads", "TopicArn": "arn:t", "Events": ["s3:ObjectCreated:Put"]}],
        "LambdaFunctionConfigurations": [
            {"Id": "deletes", "LambdaFunctionArn": "arn:l", "Events": ["s3:ObjectRemoved:*"]},
            {"Id": "tags", "LambdaFunctionArn": "arn:m", "Events": ["s3:ObjectTagging:Delete"]},
            {"Id": "acls", "LambdaFunctionArn": "arn:n", "Events": ["s3:ObjectAcl:Put"]},
            {"Id": "expired", "LambdaFunctionArn": "arn:o", "Events": ["s3:LifecycleExpiration:*"]},
        ],
        "EventBridgeConfiguration": {},
    }
    assert rivals(configuration, OURS) == [
        "uploads (arn:t)",
        "deletes (arn:l)",
        "tags (arn:m)",
        "acls (arn:n)",
    ]
