"""What is added to a record is believed as far as the rules or the ledger bear it out, and never parks, loses
or diverts the record."""

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3replicator.decisions.failures import Reason, TerminalError
from s3replicator.decisions.ledger import LedgerKey, Status
from s3replicator.decisions.outcome import Result
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.decisions.rules import places as places_of
from s3replicator.decisions.versions import Kind
from tests.unit.places import OTHER, PLACE, REPLICA, SOURCE, Places, rule
from tests.unit.protocol.memory_ledger import MemoryLedger
from tests.unit.protocol.memory_queues import Queue

MADE_UP: Final = "made-up-bucket"


@pytest.fixture
def places() -> Places:
    """in/ comes to eu/ of one bucket, and other/ to x/ of two."""
    return Places(*_RULES)


_RULES: Final = (
    rule("in/", deletes=1000),
    rule("other/", to="x/", number=2, deletes=1000),
    rule("other/", to="x/", bucket=OTHER, number=3),
)


def with_envelope(record: dict[str, Any], **said: Any) -> dict[str, Any]:
    return {**record, "s3replicator": said}


def everywhere(places: Places) -> dict[LedgerKey, set[LedgerKey]]:
    """Where the ledger has heads, and where the rules put the key of each."""
    configuration = places.rules.current()
    found = {}
    for place in places.places():
        head = places.ledger.head(place)
        assert head is not None
        bucket, _, key = head.source.partition("/")
        assert bucket == SOURCE
        found[place] = set(places_of(configuration, key))
    return found


def assert_no_place_is_claimed(places: Places) -> None:
    for place, given_by_rules in everywhere(places).items():
        assert place in given_by_rules


# -- what is forged


@pytest.mark.parametrize("to", [Queue.INGEST, Queue.DEAD_LETTER, Queue.LARGE])
@pytest.mark.parametrize("key", ["other/y", "nobody's", "in/x"])
@pytest.mark.parametrize("settle", [True, False])
def test_no_envelope_claims_a_place(places: Places, to: Queue, key: str, settle: bool) -> None:
    """The key that belongs there would be kept out for ever."""
    record = places.put(key, "forged")
    for destination in (REPLICA, OTHER, MADE_UP):
        for place in ("eu/x", "somewhere", key):
            said = {"destination": destination, "replicaKey": place, "settle": settle}
            places.deliver(with_envelope(record, **said), to=to)
    places.drain()
    assert_no_place_is_claimed(places)
    places.deliver(places.put("in/x", "of in"))
    assert places.bodies()[0] == "of in"
    assert places.parked() == []


def test_a_made_up_destination_is_named_to_nobody(places: Places) -> None:
    """It would be a metric of its own, for a month."""
    record = places.put("in/x", "of in")
    result = places.deliver(with_envelope(record, destination=MADE_UP))
    [outcome] = result.outcomes
    assert (outcome.result, outcome.reason) == (Result.NOT_SELECTED, Reason.RULE_GONE)
    assert list(places.places()) == []
    assert (result.returned, places.parked()) == ({}, [])


def test_a_record_is_worked_on_where_the_rules_put_it_whatever_place_is_added(places: Places) -> None:
    record = places.put("in/x", "of in")
    places.deliver(with_envelope(record, destination=REPLICA, replicaKey="somewhere"))
    assert places.bodies() == ["of in"]
    assert places.bodies("somewhere") == []


@pytest.mark.parametrize("said", [7, ["list"], {"upload": 7}, {"destination": {}}, {"prepare": True}])
def test_an_addition_that_makes_no_sense_neither_parks_nor_loses_the_record(
    places: Places, said: object
) -> None:
    record = {**places.put("other/x", "of other"), "s3replicator": said}
    assert places.deliver(record).returned == {}
    assert (places.bodies("x/x"), places.bodies("x/x", OTHER)) == (["of other"], ["of other"])
    assert places.parked() == []


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("to", [Queue.INGEST, Queue.LARGE, Queue.DEAD_LETTER])
def test_an_upload_that_nobody_waits_for_is_not_prepared(places: Places, to: Queue, large: bool) -> None:
    """Of a marker there is none, which was asserted for ever."""
    size = SINGLE_COPY_LIMIT + 1 if large else 1
    version, marker = places.put("in/x", "of in", size=size), places.mark("in/x")
    for record in (version, marker):
        told = with_envelope(record, destination=REPLICA, replicaKey="eu/x", prepare=True, replica="r1")
        assert places.deliver(told, to=to).returned == {}
    for _ in range(4):
        places.drain()
        places.clock.sleep(7200)
        places.sweep()
    assert places.bodies() == ["marker", "of in"]
    assert places.s3.buckets[REPLICA].uploads == {}


def test_a_head_of_another_key_is_not_touched_by_a_destination_with_a_number_sign() -> None:
    """The first "#" ends the bucket's name in the ledger."""
    places = Places(rule("", to=""))
    places.deliver(places.put("a#b", "right"))
    record = places.put("b", "forged")
    places.deliver(with_envelope(record, destination=f"{REPLICA}#a", settle=True), to=Queue.DEAD_LETTER)
    assert places.rows(LedgerKey(REPLICA, "a#b"))
    assert_no_place_is_claimed(places)


def test_a_place_that_the_ledger_does_not_take_is_parked_and_does_not_come_again(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB refuses keys of more than 2048 bytes, at any time."""

    def refuse(_ledger: MemoryLedger, key: LedgerKey) -> None:
        raise TerminalError(Reason.LEDGER_UNAVAILABLE, f"{len(key.key)} bytes exceed the maximum")

    monkeypatch.setattr(MemoryLedger, "head", refuse)
    record = places.put("k" * 2100, "forged")
    assert places.deliver(with_envelope(record, destination=REPLICA, settle=True)).returned == {}
    assert len(places.take(Queue.PARKED)) == 1


# -- what is ours


def test_what_the_ledger_knows_is_closed_when_its_rule_is_gone(places: Places) -> None:
    record = places.put("in/x", "of in")
    places.deliver(record)
    late = places.put("in/x", "late")
    places.deliver(places.put("in/x", "newest"))
    places.deliver(late)
    [letter] = places.take(Queue.DEAD_LETTER)
    places.use(rule("other/"))
    places.process([letter.body], Queue.DEAD_LETTER)
    row = places.rows()[late["s3"]["object"]["versionId"]]
    assert (row.status, row.reason) == (Status.NOT_ELIGIBLE, Reason.RULE_GONE)


def test_a_message_without_a_row_makes_none_where_its_rule_is_gone(places: Places) -> None:
    record = places.put("in/x", "large", size=SINGLE_COPY_LIMIT + 1)
    places.deliver(record)
    [letter] = places.take(Queue.LARGE)
    places.use(rule("other/"))
    [outcome] = places.process([letter.body], Queue.LARGE).outcomes
    assert (outcome.result, outcome.reason) == (Result.NOT_SELECTED, Reason.RULE_GONE)
    assert list(places.places()) == []


def test_a_key_that_is_to_be_settled_is(places: Places) -> None:
    record = places.put("in/x", "of in")
    places.deliver(record)
    told = with_envelope(record, destination=REPLICA, replicaKey="eu/x", settle=True)
    assert [one.result for one in places.deliver(told, to=Queue.DEAD_LETTER).outcomes] == [Result.DUPLICATE]


#: Messages as the release of November 2026 sent them; the version and the upload are filled in.
RECORDED: Final = {
    "handed over": '{"destination": "replica-bucket", "replicaKey": "eu/x", "reason": "LateVersion"}',
    "swept": '{"destination": "replica-bucket", "replicaKey": "eu/x", "rule": "rule-1",'
    ' "reason": "RequestThrottled"}',
    "parked": '{"destination": "replica-bucket", "rule": "rule-1", "reason": "DstPutObjectNotPermitted",'
    ' "attempts": 1, "firstFailure": "2026-11-22T09:15:04.123+00:00",'
    ' "lastFailure": "2026-11-22T09:15:04.123+00:00", "requestId": "4442587FB7D0A2F9",'
    ' "replicaKey": "eu/x", "detail": "Access Denied"}',
    "a conflict, parked": '{"destination": "replica-bucket", "rule": "rule-1",'
    ' "reason": "DestinationKeyConflict", "attempts": 1, "replicaKey": "eu/x",'
    ' "detail": "the key at the destination belongs to source-bucket/other/x"}',
    "late, and told of": '{"destination": "replica-bucket", "replicaKey": "eu/x", "missed": true}',
    "to the large lane": '{"destination": "replica-bucket", "replicaKey": "eu/x"}',
    "to the large lane again": '{"destination": "replica-bucket", "replicaKey": "eu/x", "reason": "KeyBusy",'
    ' "upload": {"id": "no-longer-there", "nonce": "w1-1", "started": 1795338904.5}}',
}


@pytest.mark.parametrize("size", [1, SINGLE_COPY_LIMIT + 1])
@pytest.mark.parametrize("said", RECORDED.values(), ids=RECORDED)
@pytest.mark.parametrize("to", [Queue.INGEST, Queue.LARGE, Queue.DEAD_LETTER])
def test_messages_of_the_former_release_are_still_understood(
    places: Places, said: str, to: Queue, size: int
) -> None:
    record = {**places.put("in/x", "of in", size=size), "s3replicator": json.loads(said)}
    assert places.deliver(record, to=to).returned == {}
    places.drain()
    assert places.bodies() == ["of in"]
    assert [row.status for row in places.rows().values()] == [Status.COMPLETED]


def test_an_upload_that_the_former_release_began_is_completed(places: Places) -> None:
    record = places.put("in/x", "large", size=SINGLE_COPY_LIMIT + 1)
    places.deliver(record)
    [letter] = places.take(Queue.LARGE)
    said = json.loads(letter.body)["Records"][0]["s3replicator"]
    assert said == {"destination": REPLICA, "replicaKey": "eu/x"}
    places.process([letter.body], Queue.LARGE)
    assert places.bodies() == ["large"]


# -- anything at all

_names = st.sampled_from(
    [
        REPLICA,
        OTHER,
        MADE_UP,
        SOURCE,
        f"{REPLICA}#eu",
        "a/b",
        "",
        "b" * 300,
        "\ud800",
        "eu/x",
        "x/x",
        "k" * 1100,
    ]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _names,
    lambda held: st.lists(held, max_size=2) | st.dictionaries(st.text(max_size=5), held, max_size=2),
    max_leaves=4,
)
_uploads = _json | st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=5) | _json,
        "nonce": st.text(max_size=5) | _json,
        "started": st.floats() | st.integers(0, 2**40) | _json,
    },
)
_envelopes = _json | st.fixed_dictionaries(
    {},
    optional={
        "destination": _names | _json,
        "replicaKey": st.sampled_from(["eu/x", "eu/y", "x/x", "in/x", "other/x", "nobody's"]) | _json,
        "upload": _uploads,
        "prepare": st.booleans() | _json,
        "missed": st.booleans() | _json,
        "settle": st.booleans() | _json,
        "replica": st.text(max_size=5) | _json,
        "reason": st.sampled_from([*Reason]) | _json,
        "rule": _json,
        "attempts": _json,
    },
)
_events = st.sampled_from(
    [
        None,
        "ObjectCreated:Put",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "ObjectRetention:Put",
        "ObjectAnnotation:Put",
        "LifecycleExpiration:Delete",
    ]
)
_written = st.tuples(
    st.sampled_from(["in/x", "in/y", "other/x", "nobody's"]),
    st.sampled_from(["small", "large", "marker", "gone"]),
)
_messages = st.tuples(
    st.integers(0, 3),
    _events,
    _envelopes,
    st.sampled_from([Queue.INGEST, Queue.LARGE, Queue.DEAD_LETTER]),
)


def _write(places: Places, key: str, what: str) -> dict[str, Any]:
    if what == "marker":
        return places.mark(key)
    record = places.put(
        key, f"{what} {len(places.heard)}", size=SINGLE_COPY_LIMIT + 1 if what == "large" else 1
    )
    if what == "gone":
        places.source.purge(key, record["s3"]["object"]["versionId"])
    return record


@settings(max_examples=200)
@given(st.lists(_written, min_size=1, max_size=4), st.lists(_messages, max_size=6))
def test_whatever_is_added_to_records_every_version_is_where_the_rules_put_it(
    written: list[tuple[str, str]], messages: list[tuple[int, str | None, Any, Queue]]
) -> None:
    places = Places(*_RULES)
    records = [_write(places, key, what) for key, what in written]
    for number, event, envelope, to in messages:
        record = records[number % len(records)]
        forged = {**record, "eventName": event or record["eventName"], "s3replicator": envelope}
        places.deliver(forged, to=to)
    assert_no_place_is_claimed(places)

    for heard in places.heard:
        places.deliver(heard)
    for _ in range(12):
        places.process([letter.body for letter in places.take(Queue.PARKED)])
        places.drain()
        places.clock.sleep(7200)
        places.sweep()
    assert_no_place_is_claimed(places)
    for heard in places.heard:
        key, version_id = heard["s3"]["object"]["key"], heard["s3"]["object"]["versionId"]
        for place in places_of(places.rules.current(), key):
            row = places.rows(place).get(version_id)
            if places.source.find(key, version_id) is not None:
                assert row is not None, (place, version_id)
                # A marker that comes late may be left out.
                late = row.status is Status.SUPERSEDED and row.kind is Kind.MARKER
                assert late or row.status is Status.COMPLETED, (place, version_id, row)


def test_the_place_of_a_test_is_that_of_its_rule() -> None:
    assert PLACE in places_of(Places(*_RULES).rules.current(), "in/x")
