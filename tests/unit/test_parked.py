"""Parked messages, read whatever they hold, and named by the beginning of their ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.parked import AmbiguousId, NoSuchMessage, ParkedMessage, named, read, short_ids

ids = st.sets(st.text("ab-", min_size=1, max_size=12), max_size=20)


@given(ids)
def test_a_short_id_names_the_message_it_was_made_from(whole: set[str]) -> None:
    # Ids of one length, as a queue gives them.
    padded = {name.ljust(12, "0") for name in whole}
    messages = [ParkedMessage(name, "", {}, None) for name in padded]
    for name, short in short_ids(padded).items():
        assert len(short) >= 8
        assert [message.id for message in named(messages, [short])] == [name]


def test_a_name_is_that_of_exactly_one_message() -> None:
    messages = [ParkedMessage(name, "", {}, None) for name in ("abc", "abd")]
    assert [message.id for message in named(messages, ["abc", "abd", "abc"])] == ["abc", "abd"]
    with pytest.raises(AmbiguousId):
        named(messages, ["ab"])
    with pytest.raises(NoSuchMessage):
        named(messages, ["abc", "x"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.text() | values.map(json.dumps), st.dictionaries(st.text(max_size=8), st.text(max_size=8)))
def test_any_message_can_be_read(body: str, attributes: dict[str, str]) -> None:
    message = read("id", body, attributes, None)
    assert message.body == body
    assert not message.readable
    assert message.reason == attributes.get("reason")


@given(st.dictionaries(st.sampled_from(["reason", "rule", "attempts", "firstFailure", "detail"]), values))
def test_whatever_an_envelope_holds_is_told_or_left_out(envelope: dict[str, object]) -> None:
    record = {
        "eventTime": "2026-01-02T03:04:05Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "bucket"}, "object": {"key": "a+key", "versionId": "v"}},
        "s3replicator": envelope,
    }
    message = read("id", json.dumps({"Records": [record]}), {}, None)
    assert (message.key, message.version_id, message.records) == ("a key", "v", 1)
    assert message.attempts is None or isinstance(envelope["attempts"], int | str)
