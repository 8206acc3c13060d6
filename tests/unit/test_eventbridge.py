"""Events that come through EventBridge are understood as those of notifications are, or unreadable."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.eventbridge import DETAIL_TYPES
from s3replicator.decisions.events import Change, ChangeKind, parse_body, parse_event
from s3replicator.decisions.failures import UnreadableEvent
from tests.unit.strategies import json_values, keys, spoiled

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-11-22T09:15:04Z",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::source-bucket"],
    "detail": {
        "version": "0",
        "event-version": "1.0",
        "bucket": {"name": "source-bucket"},
        "object": {
            "key": "in/red flower.jpg",
            "size": 1024,
            "etag": "d41d8cd98f00b204e9800998ecf8427e",
            "version-id": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "192.0.2.17",
        "reason": "PutObject",
    },
}


def told(**changes: Any) -> dict[str, Any]:
    """The event with members of its detail replaced, ``_`` for ``-``; ``kind`` is the detail-type."""
    event = deepcopy(EVENT)
    event["detail-type"] = changes.pop("kind", event["detail-type"])
    event["detail"] |= {name.replace("_", "-"): value for name, value in changes.items()}
    return event


def of_object(**changes: Any) -> dict[str, Any]:
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return told(object={**EVENT["detail"]["object"], **changed})


def only(event: object) -> Change:
    [change] = parse_event(event).changes
    return change


def refused(event: object) -> str:
    with pytest.raises(UnreadableEvent) as failure:
        parse_body(json.dumps(event))
    return failure.value.detail


def test_an_event_becomes_a_change() -> None:
    assert only(EVENT) == Change(
        kind=ChangeKind.CREATED,
        event="ObjectCreated:Put",
        bucket="source-bucket",
        key="in/red flower.jpg",
        version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
        sequencer="0055AED6DCD90281E5",
        event_time=1795338904.0,
        principal=None,
    )


@pytest.mark.parametrize(
    ("kind", "detail", "event", "change"),
    [
        ("Object Created", {"reason": "PutObject"}, "ObjectCreated:Put", ChangeKind.CREATED),
        ("Object Created", {"reason": "POST Object"}, "ObjectCreated:Post", ChangeKind.CREATED),
        ("Object Created", {"reason": "CopyObject"}, "ObjectCreated:Copy", ChangeKind.CREATED),
        (
            "Object Created",
            {"reason": "CompleteMultipartUpload"},
            "ObjectCreated:CompleteMultipartUpload",
            ChangeKind.CREATED,
        ),
        # However it was made: it is there.
        ("Object Created", {"reason": "SomethingNew"}, "ObjectCreated:SomethingNew", ChangeKind.CREATED),
        ("Object Created", {"reason": None}, "ObjectCreated:*", ChangeKind.CREATED),
        (
            "Object Deleted",
            {"reason": "DeleteObject", "deletion_type": "Delete Marker Created"},
            "ObjectRemoved:DeleteMarkerCreated",
            ChangeKind.MARKED,
        ),
        (
            "Object Deleted",
            {"reason": "DeleteObject", "deletion_type": "Permanently Deleted"},
            "ObjectRemoved:Delete",
            ChangeKind.REMOVED,
        ),
        (
            "Object Deleted",
            {"reason": "Lifecycle Expiration", "deletion_type": "Delete Marker Created"},
            "LifecycleExpiration:DeleteMarkerCreated",
            ChangeKind.OTHER,
        ),
        (
            "Object Deleted",
            {"reason": "Lifecycle Expiration", "deletion_type": "Permanently Deleted"},
            "LifecycleExpiration:Delete",
            ChangeKind.OTHER,
        ),
        ("Object Tags Added", {}, "ObjectTagging:Put", ChangeKind.TAGGED),
        ("Object Tags Deleted", {}, "ObjectTagging:Delete", ChangeKind.TAGGED),
        ("Object ACL Updated", {}, "ObjectAcl:Put", ChangeKind.ACL_CHANGED),
        ("Object Restore Completed", {}, "Object Restore Completed", ChangeKind.OTHER),
        ("Object Storage Class Changed", {}, "Object Storage Class Changed", ChangeKind.OTHER),
        ("Something New", {}, "Something New", ChangeKind.OTHER),
    ],
)
def test_the_detail_says_what_happened(
    kind: str, detail: dict[str, Any], event: str, change: ChangeKind
) -> None:
    understood = only(told(kind=kind, **detail))
    assert (understood.event, understood.kind) == (event, change)


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        (
            {"reason": "DeleteObject", "deletion_type": "Hidden"},
            "deletion-type of a deletion is 'Hidden'; this release reads Permanently Deleted, Delete Marker"
            " Created",
        ),
        ({"reason": "DeleteObject"}, "deletion-type of a deletion is None"),
        ({"reason": "Intelligence", "deletion_type": "Permanently Deleted"}, "is 'Intelligence'"),
        ({"reason": None, "deletion_type": "Permanently Deleted"}, "reason of a deletion is None"),
        ({"reason": ["DeleteObject"], "deletion_type": "Permanently Deleted"}, "not text"),
    ],
)
def test_a_deletion_that_is_not_understood_is_seen_by_an_operator(detail: dict[str, Any], why: str) -> None:
    """Whether somebody asked for it decides whether it is replicated."""
    assert why in refused(told(kind="Object Deleted", **detail))


@given(keys)
def test_a_key_is_taken_as_it_is(key: str) -> None:
    """E95: notifications encode it, EventBridge does not."""
    change = only(of_object(key=key))
    assert change.key == key
    # What is built of it later is a record like any other.
    assert only({"Records": [change.record]}) == change


@pytest.mark.parametrize("key", ["a+b c", "a%20b", "%2B", "100%", "ü/☃\n"])
def test_what_looks_encoded_is_not_decoded(key: str) -> None:
    assert only(of_object(key=key)).key == key


@pytest.mark.parametrize("version", [None, "", "null"])
def test_without_versioning_it_is_the_null_version(version: str | None) -> None:
    assert only(of_object(version_id=version)).version_id == "null"


def test_what_has_no_sequencer_has_none() -> None:
    event = told(kind="Object Tags Added", object={"key": "k", "version-id": "v", "etag": "e"})
    assert only(event).sequencer is None


@pytest.mark.parametrize("requester", ["123456789012", "s3.amazonaws.com", "AROAPEER"])
def test_nobody_can_be_known_by_an_account(requester: str) -> None:
    change = only(told(requester=requester))
    assert change.principal is None
    assert not change.is_by(frozenset({"AROAPEER", "123456789012"}))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (("detail-type",), "the event has no detail-type"),
        (("time",), "the event has no time"),
        (("detail",), "the event has no detail.bucket.name"),
        (("detail", "bucket"), "the event has no detail.bucket.name"),
        (("detail", "bucket", "name"), "the event has no detail.bucket.name"),
        (("detail", "object"), "the event has no detail.object.key"),
        (("detail", "object", "key"), "the event has no detail.object.key"),
    ],
)
@pytest.mark.parametrize("value", [None, "", 7, [], {}], ids=repr)
def test_an_event_without_what_names_an_object_is_unreadable(
    path: tuple[str, ...], value: object, why: str
) -> None:
    event = deepcopy(EVENT)
    place = event
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert refused(event) == why


@pytest.mark.parametrize("source", ["aws.sqs", "my.app", "", None, 3])
def test_an_event_of_another_service_is_unreadable(source: object) -> None:
    assert refused({**EVENT, "source": source}) == f"source is {source!r}, not 'aws.s3'"


@pytest.mark.parametrize("version", ["1.0", "1.7", "1"])
def test_later_minor_versions_are_read(version: str) -> None:
    assert only(told(event_version=version)) == only(EVENT)


def test_an_event_from_before_there_were_versions_is_read() -> None:
    event = deepcopy(EVENT)
    del event["detail"]["event-version"]
    assert only(event) == only(EVENT)


@pytest.mark.parametrize("version", ["2.0", "10.0", "0", "", None, 1.0, []])
def test_other_major_versions_are_not(version: object) -> None:
    assert refused(told(event_version=version)) == f"event-version is {version!r}; this release reads 1.x"


@given(spoiled(EVENT))
def test_an_event_with_any_value_spoiled_is_understood_or_unreadable(event: Any) -> None:
    try:
        intake = parse_body(json.dumps(event))
    except UnreadableEvent:
        return
    for change in intake.changes:
        assert change.bucket
        assert change.key
        assert change.version_id


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=3))
def test_members_nobody_knows_yet_change_nothing(unknown: dict[str, Any]) -> None:
    event = deepcopy(EVENT)
    for place in (event, event["detail"], event["detail"]["bucket"], event["detail"]["object"]):
        place.update({name: value for name, value in unknown.items() if name not in [*place, "Event"]})
    assert only(event) == only(EVENT)


def test_everything_that_is_replicated_is_asked_for() -> None:
    assert set(DETAIL_TYPES) == {
        "Object Created",
        "Object Deleted",
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
    }
