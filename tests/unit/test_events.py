"""Whatever arrives is understood, or said to be unreadable; nothing else happens."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.events import (
    ENVELOPE,
    EVENT_NAMES,
    Change,
    ChangeKind,
    Upload,
    build_record,
    parse_body,
    parse_event,
    with_envelope,
)
from s3replicator.decisions.failures import Reason, UnreadableEvent
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.versions import Kind, VersionRef
from tests.unit.strategies import (
    buckets,
    json_values,
    keys,
    sequencers,
    spoiled,
    times,
    uploads,
    version_ids,
)

RECORD: dict[str, Any] = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-east-1",
    "eventTime": "2026-11-22T09:15:04.123Z",
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
    "s3": {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "source-bucket", "arn": "arn:aws:s3:::source-bucket"},
        "object": {
            "key": "in/red+flower.jpg",
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
RETURNED: dict[str, Any] = {
    **RECORD,
    ENVELOPE: {
        "destination": "replica-bucket",
        "reason": "Throttled",
        "upload": {"id": "an-upload", "nonce": "a-nonce", "started": 1795338904.5},
    },
}


def event(*records: object) -> dict[str, Any]:
    return {"Records": list(records)}


def changed(record: dict[str, Any], *path: str, value: object) -> dict[str, Any]:
    """The record with the value at ``path`` replaced."""
    copy = deepcopy(record)
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return copy


def only(document: object) -> Change:
    intake = parse_event(document)
    assert intake.unreadable == ()
    [change] = intake.changes
    return change


# -- anything at all


@given(st.text() | json_values.map(json.dumps))
def test_whatever_text_arrives_is_understood_or_unreadable(body: str) -> None:
    unreadable = None
    try:
        parse_body(body)
    except UnreadableEvent as failure:
        unreadable = failure
    if unreadable is not None:
        assert unreadable.reason is Reason.BAD_EVENT
        assert unreadable.detail


@given(spoiled(event(RECORD, RETURNED)))
def test_an_event_with_any_value_spoiled_is_accounted_for_record_by_record(document: Any) -> None:
    body = json.dumps(document)
    try:
        intake = parse_body(body)
    except UnreadableEvent:
        return
    assert len(intake.changes) + len(intake.unreadable) == len(json.loads(body)["Records"])
    for change in intake.changes:
        assert change.bucket
        assert change.key
        assert change.version_id != ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "not JSON"),
        ("not JSON", "not JSON"),
        ('{"Records": [', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "a JSON list, not an object"),
        ("null", "a JSON NoneType, not an object"),
        ("{}", "no list of Records"),
        ('{"Records": {}}', "no list of Records"),
        ('{"Records": null}', "no list of Records"),
        ('{"Event": "s3:SomethingElse"}', "no list of Records"),
        ('{"detail-type": "Object Created", "source": "aws.s3"}', "no detail.bucket.name"),
        ('{"Type": "Notification", "Message": "{}"}', "no list of Records"),
    ],
)
def test_a_message_that_is_no_event_says_why(body: str, told: str) -> None:
    with pytest.raises(UnreadableEvent, match=told):
        parse_body(body)


def test_the_test_event_of_a_new_notification_is_nothing_to_do() -> None:
    sent = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "source-bucket"}
    assert parse_body(json.dumps(sent)) == parse_event(event())
    assert parse_event(sent).changes == ()


# -- one record


def test_a_record_becomes_a_change() -> None:
    assert only(event(RECORD)) == Change(
        kind=ChangeKind.CREATED,
        event="ObjectCreated:Put",
        bucket="source-bucket",
        key="in/red flower.jpg",
        version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
        sequencer="0055AED6DCD90281E5",
        event_time=1795338904.123,
        principal="AWS:AIDAJDPLRKLG7UEXAMPLE",
    )


def test_a_change_keeps_its_record_as_it_came() -> None:
    assert only(event(RETURNED)).record == RETURNED


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Put", ChangeKind.CREATED),
        ("ObjectCreated:Post", ChangeKind.CREATED),
        ("ObjectCreated:Copy", ChangeKind.CREATED),
        ("ObjectCreated:CompleteMultipartUpload", ChangeKind.CREATED),
        ("s3:ObjectCreated:Put", ChangeKind.CREATED),
        ("ObjectRemoved:DeleteMarkerCreated", ChangeKind.MARKED),
        ("s3:ObjectRemoved:DeleteMarkerCreated", ChangeKind.MARKED),
        ("ObjectRemoved:Delete", ChangeKind.REMOVED),
        ("LifecycleExpiration:Delete", ChangeKind.OTHER),
        ("LifecycleExpiration:DeleteMarkerCreated", ChangeKind.OTHER),
        ("LifecycleTransition", ChangeKind.OTHER),
        ("ObjectTagging:Put", ChangeKind.TAGGED),
        ("ObjectTagging:Delete", ChangeKind.TAGGED),
        ("ObjectAcl:Put", ChangeKind.ACL_CHANGED),
        ("ObjectRetention:Put", ChangeKind.LOCK_CHANGED),
        ("ObjectAnnotation:Put", ChangeKind.ANNOTATED),
        ("ObjectAnnotation:Delete", ChangeKind.ANNOTATED),
        ("ObjectRestore:Completed", ChangeKind.OTHER),
        ("ReducedRedundancyLostObject", ChangeKind.OTHER),
        ("ObjectCreatedSomehow", ChangeKind.OTHER),
        ("SomethingNew", ChangeKind.OTHER),
    ],
)
def test_the_name_says_what_happened(name: str, kind: ChangeKind) -> None:
    """A10; D: what lifecycle does is not replicated."""
    change = only(event(changed(RECORD, "eventName", value=name)))
    assert change.kind is kind
    assert change.event == name.removeprefix("s3:")
    assert change.version_kind is (Kind.MARKER if kind is ChangeKind.MARKED else Kind.OBJECT)


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.3", "2.6", "2.99", "2", "2.1.7"])
def test_later_minor_versions_are_read(version: str) -> None:
    assert only(event(changed(RECORD, "eventVersion", value=version))).key == "in/red flower.jpg"


@pytest.mark.parametrize("version", ["3.0", "1.0", "20.1", "", "latest", None, 2, 2.1, [], {}])
def test_other_major_versions_are_not(version: object) -> None:
    intake = parse_event(event(changed(RECORD, "eventVersion", value=version)))
    [(_, failure)] = intake.unreadable
    assert intake.changes == ()
    assert failure.detail == f"eventVersion is {version!r}; this release reads 2.x"


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=3))
def test_fields_nobody_knows_yet_change_nothing(unknown: dict[str, Any]) -> None:
    future = deepcopy(RECORD)
    for place in (future, future["s3"], future["s3"]["bucket"], future["s3"]["object"]):
        place.update({name: value for name, value in unknown.items() if name not in [*place, ENVELOPE]})
    assert only(event(future)) == only(event(RECORD))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (("eventName",), "no eventName"),
        (("eventTime",), "no eventTime"),
        (("s3",), "no s3.bucket.name"),
        (("s3", "bucket"), "no s3.bucket.name"),
        (("s3", "bucket", "name"), "no s3.bucket.name"),
        (("s3", "object"), "no s3.object.key"),
        (("s3", "object", "key"), "no s3.object.key"),
    ],
)
@pytest.mark.parametrize("value", [None, "", 7, [], {}], ids=repr)
def test_a_record_without_what_names_an_object_is_unreadable(
    path: tuple[str, ...], value: object, told: str
) -> None:
    [(record, failure)] = parse_event(event(changed(RECORD, *path, value=value))).unreadable
    assert told in failure.detail
    assert record == changed(RECORD, *path, value=value)


@pytest.mark.parametrize("source", ["aws:sqs", "aws:sns", "", None, 3])
def test_a_record_of_another_service_is_unreadable(source: object) -> None:
    [(_, failure)] = parse_event(event(changed(RECORD, "eventSource", value=source))).unreadable
    assert failure.detail == f"eventSource is {source!r}, not 'aws:s3'"


@pytest.mark.parametrize("record", [None, "text", 7, [], [RECORD]], ids=type)
def test_a_record_that_is_no_object_is_unreadable(record: object) -> None:
    assert len(parse_event(event(record)).unreadable) == 1


def test_one_bad_record_does_not_take_the_good_ones_along() -> None:
    bad = changed(RECORD, "s3", "object", "key", value="")
    marker = changed(RECORD, "eventName", value="ObjectRemoved:DeleteMarkerCreated")

    intake = parse_event(event(RECORD, bad, marker))

    assert [change.kind for change in intake.changes] == [ChangeKind.CREATED, ChangeKind.MARKED]
    assert [record for record, _ in intake.unreadable] == [bad]


# -- versions, sequencers, times


@pytest.mark.parametrize("value", [None, ""])
def test_without_versioning_it_is_the_null_version(value: object) -> None:
    assert only(event(changed(RECORD, "s3", "object", "versionId", value=value))).version_id == "null"


@pytest.mark.parametrize(
    ("principal", "is_theirs"),
    [
        ("AWS:AROAPEER", True),
        ("AWS:AROAPEER:session", True),
        ("AWS:AROAOTHER:session", False),
        ("AWS:AROAOTHER:AROAPEER", False),
        ("AROAPEER", False),
        ("EXAMPLE", False),
        (None, False),
        (7, False),
    ],
)
def test_a_change_knows_who_caused_it(principal: object, is_theirs: bool) -> None:
    """The second part is the unique id; the third is a name that anybody may choose."""
    change = only(event(changed(RECORD, "userIdentity", "principalId", value=principal)))
    assert change.is_by(frozenset({"AROAPEER"})) is is_theirs


@pytest.mark.parametrize("identity", [None, "AWS:AROAPEER", []])
def test_a_change_may_come_without_an_author(identity: object) -> None:
    assert not only(event(changed(RECORD, "userIdentity", value=identity))).is_by(frozenset({"AROAPEER"}))


@pytest.mark.parametrize("name", ["versionId", "sequencer"])
@pytest.mark.parametrize("value", [7, [], {}, False], ids=repr)
def test_what_should_be_text_and_is_not_is_unreadable(name: str, value: object) -> None:
    [(_, failure)] = parse_event(event(changed(RECORD, "s3", "object", name, value=value))).unreadable
    assert failure.detail == f"{name} is {value!r}, not text"


@pytest.mark.parametrize(
    ("value", "sequencer"),
    [
        *(("0055aed6dcd90281e5", "0055AED6DCD90281E5"), ("00", "00"), ("1", "1")),
        *((None, None), ("", None)),
    ],
)
def test_a_sequencer_is_a_hexadecimal_number_or_absent(value: str | None, sequencer: str | None) -> None:
    assert only(event(changed(RECORD, "s3", "object", "sequencer", value=value))).sequencer == sequencer


@pytest.mark.parametrize("value", ["xyz", "00 55", "0x55", "-1", "55\n", " 55", "\uff15"])
def test_a_sequencer_that_is_none_is_unreadable(value: str) -> None:
    [(_, failure)] = parse_event(event(changed(RECORD, "s3", "object", "sequencer", value=value))).unreadable
    assert failure.detail == f"sequencer is {value!r}, not a hexadecimal number"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00.000Z", 0.0),
        ("2026-11-22T09:15:04.123Z", 1795338904.123),
        ("2026-11-22T09:15:04Z", 1795338904.0),
        ("2026-11-22T10:15:04.123+01:00", 1795338904.123),
        ("2026-11-22T09:15:04.123", 1795338904.123),
    ],
)
def test_the_time_of_an_event_is_in_seconds_since_the_epoch(text: str, seconds: float) -> None:
    assert only(event(changed(RECORD, "eventTime", value=text))).event_time == seconds


@pytest.mark.parametrize("text", ["yesterday", "1795338904", "22.11.2026"])
def test_a_time_that_is_none_is_unreadable(text: str) -> None:
    [(_, failure)] = parse_event(event(changed(RECORD, "eventTime", value=text))).unreadable
    assert failure.detail == f"eventTime is {text!r}, not an ISO 8601 time"


# -- keys


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("plain/key.txt", "plain/key.txt"),
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%2520b", "a%20b"),
        ("a%252Bb", "a%2Bb"),
        ("100%25", "100%"),
        ("%C3%BCn%C3%AF/%E2%98%83", "ünï/☃"),
        ("line%0Abreak", "line\nbreak"),
        ("q%3Fx%3D1%26y%23z", "q?x=1&y#z"),
        ("ünï", "ünï"),
        ("50%zz", "50%zz"),
    ],
)
def test_a_key_is_decoded_exactly_once(encoded: str, key: str) -> None:
    """A4."""
    assert only(event(changed(RECORD, "s3", "object", "key", value=encoded))).key == key


@pytest.mark.parametrize("encoded", ["%FF", "in/%C3", "%ED%A0%80", "a\ud800b", "\udcff"], ids=ascii)
def test_a_key_that_is_not_utf8_is_unreadable(encoded: str) -> None:
    """Nothing that comes later could store it, or ask S3 for it."""
    intake = parse_event(event(changed(RECORD, "s3", "object", "key", value=encoded)))
    assert intake.changes == ()
    [(_, failure)] = intake.unreadable
    assert "not UTF-8" in failure.detail


def test_a_version_id_that_is_not_utf8_is_unreadable() -> None:
    intake = parse_event(event(changed(RECORD, "s3", "object", "versionId", value="\ud800")))
    assert len(intake.unreadable) == 1


# -- records of our own


refs = st.builds(VersionRef, buckets, keys, version_ids)


@given(st.sampled_from(sorted(EVENT_NAMES)), refs, st.none() | sequencers, times)
def test_a_record_we_build_is_read_back_as_the_same_change(
    kind: ChangeKind, ref: VersionRef, sequencer: str | None, moment: float
) -> None:
    record = build_record(kind=kind, ref=ref, sequencer=sequencer, event_time=moment)

    change = only(json.loads(json.dumps(event(record))))

    assert change.ref == ref
    assert change.kind is kind
    assert change.version_kind is (Kind.MARKER if kind is ChangeKind.MARKED else Kind.OBJECT)
    assert (change.sequencer, change.event_time) == (sequencer, moment)
    assert (change.destination, change.upload) == (None, None)


def test_a_record_we_build_tells_the_time_as_s3_does() -> None:
    ref = VersionRef("source-bucket", "key", "v" * 32)
    record = build_record(kind=ChangeKind.CREATED, ref=ref, sequencer=None, event_time=1795338904.1234)
    assert record["eventTime"] == "2026-11-22T09:15:04.123Z"


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("reports/2026/november.csv", "reports/2026/november.csv"),
        ("in/red flower.jpg", "in/red+flower.jpg"),
        ("a+b", "a%2Bb"),
        ("ü", "%C3%BC"),
    ],
)
def test_a_record_we_build_spells_its_key_as_s3_does(key: str, encoded: str) -> None:
    ref = VersionRef("source-bucket", key, "v" * 32)
    record = build_record(kind=ChangeKind.CREATED, ref=ref, sequencer=None, event_time=0.0)
    assert record["s3"]["object"]["key"] == encoded


@given(
    st.fixed_dictionaries({}, optional={"destination": st.none() | buckets, "reason": st.none() | st.text()}),
    st.none() | uploads,
)
def test_what_we_say_about_a_record_is_read_back(said: dict[str, Any], upload: Upload | None) -> None:
    carried = upload and {"id": upload.upload_id, "nonce": upload.nonce, "started": upload.started}
    carried = carried and {**carried, "tagged": upload is not None and upload.tagged}
    before = deepcopy(RETURNED)

    returned = with_envelope(RETURNED, {**said, "upload": carried})

    assert before == RETURNED
    assert None not in returned[ENVELOPE].values()
    change = only(json.loads(json.dumps(event(returned))))
    assert change.destination == said.get("destination")
    assert change.upload == upload


@pytest.mark.parametrize("said", [None, {}])
def test_an_envelope_without_content_says_nothing(said: object) -> None:
    assert only(event({**RECORD, ENVELOPE: said})) == only(event(RECORD))


@pytest.mark.parametrize(
    "said",
    [
        *("text", ["list"], 7, {"destination": 7}, {"upload": "text"}, {"upload": {}}),
        {"upload": {"nonce": "n", "started": 1.0}},
        {"upload": {"id": "u", "started": 1.0}},
        {"upload": {"id": "u", "nonce": "n", "started": "then"}},
        {"upload": {"id": "u", "nonce": "n", "started": None}},
    ],
    ids=repr,
)
def test_an_envelope_that_makes_no_sense_says_nothing(said: object) -> None:
    """The record is S3's, whoever has added what: it is neither lost nor parked."""
    assert only(event({**RECORD, ENVELOPE: said})) == only(event(RECORD))


@pytest.mark.parametrize("started", ["1e999", "-1e999", "NaN", "1" + "0" * 400], ids=lambda text: text[:6])
def test_a_start_that_is_no_point_in_time_says_nothing(started: str) -> None:
    """The ledger could not hold it."""
    body = json.dumps(event(RETURNED)).replace("1795338904.5", started)
    [change] = parse_body(body).changes
    assert (change.upload, change.destination) == (None, RETURNED[ENVELOPE]["destination"])


@pytest.mark.parametrize("name", ["replica#key", "replica/key", "\ud800", "b" * 3000])
def test_what_is_no_name_of_a_bucket_names_no_destination(name: str) -> None:
    """The first "#" ends the destination in the ledger: with another one it would be another place."""
    said = {"destination": name, "replicaKey": "key", "settle": True}
    assert only(event({**RECORD, ENVELOPE: said})) == only(event(RECORD))


@pytest.mark.parametrize(
    "more", [{"replicaKey": "k" * 1025}, {"replicaKey": 7}, {"upload": 7}, {"replica": []}]
)
def test_a_destination_counts_even_if_the_rest_makes_no_sense(more: dict[str, Any]) -> None:
    change = only(event({**RECORD, ENVELOPE: {"destination": "replica", "settle": True, **more}}))
    assert change == replace(only(event(RECORD)), destination="replica")


# -- as values


def test_the_same_change_told_twice_is_one() -> None:
    """Another request id, another event time zone: S3 sends an event at least once."""
    again = changed(RECORD, "awsRegion", value="elsewhere")
    assert only(event(RECORD)) == only(event(again))
    assert len({only(event(RECORD)), only(event(again))}) == 1


@given(keys)
def test_every_key_that_is_read_can_be_serialised(key: str) -> None:
    ref = VersionRef("source-bucket", key, "v" * 32)
    record = build_record(kind=ChangeKind.CREATED, ref=ref, sequencer="00", event_time=0.0)
    assert LedgerKey("replica-bucket", only(event(record)).key).shard
