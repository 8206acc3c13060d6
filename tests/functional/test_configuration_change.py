"""What becomes of work that is under way when the rules change."""

from typing import Any

import pytest

from s3replicator.decisions.ledger import LedgerKey, Status
from tests.functional import jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import let_time_pass
from tests.functional.world import ONE, TWO, World

UNAVAILABLE: dict[str, Any] = {"status": 503, "code": "SlowDown", "times": 9}
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied", "times": 9}
OFF = {"Status": "Disabled"}


@pytest.fixture
def one(world: World) -> World:
    world.rules({})
    return world


def change(world: World, *rules: dict[str, Any]) -> None:
    world.rules(*rules)
    world.settings()  # what the functions have cached is too old


def test_an_event_that_comes_after_its_rule_went_leaves_nothing_behind(one: World) -> None:
    event = one.put("key")
    change(one, OFF)
    assert one.deliver(event).failed == []
    assert one.versions("key") == []
    assert one.parked() == []


def test_what_waits_is_tried_as_the_rule_says_now(one: World) -> None:
    with faults(Fault("CopyObject", **UNAVAILABLE)):
        one.deliver(one.put("key"))
    change(one, {"Destination": {"Bucket": f"arn:aws:s3:::{ONE}", "StorageClass": "STANDARD_IA"}})
    let_time_pass(one)
    assert one.head("key")["StorageClass"] == "STANDARD_IA"


def test_what_waits_for_a_rule_that_is_gone_is_closed(one: World) -> None:
    with faults(Fault("CopyObject", **UNAVAILABLE)):
        one.deliver(one.put("key"))
    change(one, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    let_time_pass(one)
    row = one.row("key")
    assert (row.status, row.reason, row.due) == (Status.NOT_ELIGIBLE, "RuleNoLongerSelects", None)
    assert (one.versions("key"), one.versions("key", TWO)) == ([], [])


def test_a_parked_message_that_is_sent_back_too_late_closes_its_row(one: World) -> None:
    with faults(Fault("CopyObject", **DENIED)):
        one.deliver(one.put("key"))
    [body] = one.take("parked")
    change(one, OFF)
    one.deliver(body)
    one.drain()
    assert one.row("key").reason == "RuleNoLongerSelects"
    assert one.parked() == []


def test_the_upload_of_a_large_object_is_aborted(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 3))
    [body] = one.take("large")
    one.deliver(body, to="replicate_large", seconds=60)
    assert one.open_uploads() == 1
    change(one, OFF)
    one.drain()
    assert one.open_uploads() == 0
    assert one.versions("large") == []
    # Its message alone told of it, and no message makes a row where the rules ask for nothing.
    assert one.ledger.history(LedgerKey(ONE, "large")) == (None, {})


def test_a_replica_stays(one: World) -> None:
    one.deliver(one.put("key"))
    change(one, OFF)
    assert jobs.run(one, Kind="reconcile").writes() == []
    assert one.versions("key") == ["content"]
    assert one.row("key").status is Status.COMPLETED


def test_tags_that_a_replica_is_owed_are_not_given_any_more(one: World) -> None:
    event = one.put("key")
    one.deliver(event)
    tagged = one.tag(event, colour="red")
    with faults(Fault("PutObjectTagging", when=to_bucket(ONE), **UNAVAILABLE)):
        one.deliver(tagged)
    assert one.row("key").owed
    change(one, OFF)
    let_time_pass(one)
    row = one.row("key")
    assert (row.status, row.owed, row.due) == (Status.COMPLETED, frozenset(), None)
    assert one.tags("key", one.head("key")["VersionId"]) == {}


def test_version_deletes_are_those_of_the_rule_in_force(one: World) -> None:
    one.rules({"Extensions": {"VersionDeletes": {"Status": "Enabled"}}})
    event = one.put("key")
    one.deliver(event)
    removed = one.purge(event)
    change(one, {})
    one.deliver(removed)
    one.drain()
    assert one.versions("key") == ["content"]


def test_a_rule_that_is_added_begins_now_and_a_backfill_brings_the_rest(one: World) -> None:
    one.deliver(one.put("before"))
    change(one, {}, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    one.deliver(one.put("after"))
    assert (one.versions("before", TWO), one.versions("after", TWO)) == ([], ["content"])
    assert jobs.run(one).count("CopyObject") == 1
    assert one.versions("before", TWO) == ["content"]
