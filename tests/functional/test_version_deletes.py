"""Deletes of versions by their ids: replicated where the rules say so, through the ledger only."""

from collections.abc import Iterator
from typing import Any

import pytest

from s3replicator.decisions.ledger import LedgerKey
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import stay_within_the_hour
from tests.functional.world import ONE, SOURCE, Event, World

MARKERS = {"DeleteMarkerReplication": {"Status": "Enabled"}}


def deletes(limit: int = 1000) -> dict[str, object]:
    return {**MARKERS, "Extensions": {"VersionDeletes": {"Status": "Enabled", "MaxPerHour": limit}}}


@pytest.fixture
def one(world: World) -> World:
    """One rule, version deletes on."""
    world.rules(deletes())
    return world


def deliver(world: World, *events: Event) -> None:
    for event in events:
        assert world.deliver(event).failed == []
        world.drain()


def deletes_a_replica(request: Any) -> bool:
    return "versionId" in request.url and to_bucket(ONE)(request)


@pytest.fixture
def refused() -> Iterator[Fault]:
    fault = Fault(
        "DeleteObject",
        status=403,
        code="AccessDenied",
        message="not authorized to perform: s3:DeleteObjectVersion",
        times=99,
        when=deletes_a_replica,
    )
    with faults(fault):
        yield fault


def test_the_replica_of_a_noncurrent_version_goes_with_it(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    deliver(one, one.purge(first))

    assert one.versions("key") == ["second"]
    assert [row.status for row in one.rows("key")] == ["TOMBSTONE", "COMPLETED"]
    assert one.at_rest("key")


def test_the_replica_of_the_current_version_goes_with_it(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    deliver(one, one.purge(second))

    assert one.versions("key") == ["first"]
    assert one.at_rest("key")


def test_without_the_extension_the_destination_keeps_what_the_source_loses(world: World) -> None:
    """D61."""
    world.rules(MARKERS)
    first = world.put("key")
    deliver(world, first)
    deliver(world, world.purge(first))

    assert world.versions("key") == ["content"]
    assert world.row("key").status == "COMPLETED"


def test_a_delete_marker_that_is_deleted_shows_the_object_again(one: World) -> None:
    """D62: undelete."""
    put = one.put("key")
    mark = one.mark("key")
    deliver(one, put, mark)
    assert one.versions("key") == ["marker", "content"]

    deliver(one, one.purge(mark))
    assert one.versions("key") == ["content"]


def test_the_same_delete_again_deletes_nothing_more(one: World) -> None:
    """D64."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    gone = one.purge(first)
    deliver(one, gone, gone, gone)

    removed = [call for call in one.calls["retry"] if call.operation == "DeleteObject"]
    assert len(removed) == 1
    assert one.versions("key") == ["second"]


def test_a_replica_that_is_gone_already_is_a_success(one: World) -> None:
    """D65."""
    put = one.put("key")
    deliver(one, put)
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=one.row("key").replica)
    deliver(one, one.purge(put))

    assert one.row("key").status == "TOMBSTONE"
    assert one.parked() == []


def test_a_delete_that_overtakes_its_create_leaves_a_tombstone(one: World) -> None:
    put = one.put("key")
    deliver(one, one.purge(put))
    deliver(one, put)

    assert one.versions("key") == []
    assert one.row("key").status == "TOMBSTONE"


def test_a_delete_of_a_marker_that_overtakes_it_hides_nothing(one: World) -> None:
    """Otherwise the key would be hidden for ever."""
    put = one.put("key")
    mark = one.mark("key")
    gone = one.purge(mark)
    deliver(one, put, gone, mark)

    assert one.versions("key") == ["content"]


def test_a_foreign_version_is_never_deleted(one: World) -> None:
    """D73."""
    put = one.put("key")
    deliver(one, put)
    one.s3.put_object(Bucket=ONE, Key="key", Body=b"theirs")
    deliver(one, one.purge(put))

    assert one.versions("key") == ["theirs"]


def test_what_may_not_be_deleted_stays_and_is_parked_with_its_reason(one: World, refused: Fault) -> None:
    """D74."""
    put = one.put("key")
    deliver(one, put)
    deliver(one, one.purge(put))

    assert refused.happened
    assert one.versions("key") == ["content"]
    [parked] = one.parked()
    assert parked["reason"] == "DstDelObjNotPermitted"
    assert one.row("key").reason == "DstDelObjNotPermitted"


def test_what_was_refused_is_deleted_when_the_operator_has_seen_to_it(one: World) -> None:
    put = one.put("key")
    denial = Fault("DeleteObject", status=403, code="AccessDenied", when=deletes_a_replica)
    with faults(denial):
        deliver(one, put)
        deliver(one, one.purge(put))
    [body] = one.take("parked")
    one.deliver(body)
    one.drain()

    assert one.versions("key") == []
    assert one.row("key").status == "TOMBSTONE"
    assert one.at_rest("key")


def test_a_locked_replica_is_refused_once_with_its_reason(one: World) -> None:
    """D76: no endless retry, and what the source shows is what the destination shows."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    locked = Fault(
        "DeleteObject",
        status=403,
        code="AccessDenied",
        message="Access Denied because object protected by object lock.",
        when=deletes_a_replica,
    )
    with faults(locked):
        deliver(one, one.purge(second))

    assert locked.happened == 1
    assert one.content("key") == "first"
    row = one.rows("key")[1]
    assert (row.status, row.reason, len(row.blocked)) == ("TOMBSTONE", "DstObjectLocked", 1)
    assert one.parked() == []
    one.sweep()
    assert one.take("dead-letter") == []

    one.settle("key")
    assert one.versions("key") == ["first"], "by hand it is tried again: the retention may have ended"
    assert one.rows("key")[1].reason is None


def test_too_many_deletes_open_the_breaker_until_an_operator_closes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D77."""
    stay_within_the_hour(monkeypatch)
    world.rules(deletes(limit=2))
    puts = [world.put(f"key{number}") for number in range(4)]
    deliver(world, *puts)
    deliver(world, *(world.purge(put) for put in puts))

    kept = [number for number in range(4) if world.versions(f"key{number}")]
    assert kept == [2, 3]
    breaker = world.ledger.breaker(ONE)
    assert breaker is not None
    assert breaker.opened is not None
    for number in kept:
        row = world.row(f"key{number}")
        assert (row.status, row.reason) == ("COMPLETED", "VersionDeletesHalted")
        assert row.due is not None, "it is tried again by itself once the breaker is closed"
    assert world.parked() == []

    world.ledger.close_breaker(ONE)
    for number in kept:
        world.settle(f"key{number}")
        assert world.versions(f"key{number}") == []


def test_new_versions_of_a_key_whose_deletes_are_halted_arrive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay_within_the_hour(monkeypatch)
    world.rules(deletes(limit=1))
    first, other = world.put("other"), world.put("key", b"old")
    deliver(world, first, other)
    deliver(world, world.purge(first), world.purge(other))
    deliver(world, world.put("key", b"new"))

    assert world.versions("key") == ["new", "old"]


def test_a_lifecycle_expiration_is_not_replicated(one: World) -> None:
    """Not by its own event, and not by a later change of the key either."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    one.purge(first)
    deliver(one, one.event("LifecycleExpiration:Delete", "key", one.version_of(first)))
    deliver(one, one.purge(one.put("key", b"third")))
    one.settle("key")

    assert one.versions("key") == ["second", "first"]


def test_by_hand_what_the_source_no_longer_lists_can_be_purged(one: World) -> None:
    """A lost event: only an operator can know that it was no expiration."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    one.purge(first)
    one.settle("key")
    assert one.versions("key") == ["second", "first"]

    one.settle("key", purge=True)
    assert one.versions("key") == ["second"]
    assert one.ledger.history(LedgerKey(ONE, "key"))[0] is not None


def test_by_hand_nothing_is_purged_where_the_rule_keeps_it(world: World) -> None:
    world.rules(MARKERS)
    first = world.put("key")
    deliver(world, first)
    world.purge(first)
    world.settle("key", purge=True)

    assert world.versions("key") == ["content"]


def test_a_null_version_and_a_real_one_both_go(one: World) -> None:
    """D68."""
    suspend(one)
    null = one.put("key", b"null")
    enable(one)
    real = one.put("key", b"real")
    deliver(one, null, real)
    assert one.versions("key") == ["real", "null"]

    deliver(one, one.purge(null), one.purge(real))
    assert one.versions("key") == []
    assert one.at_rest("key")


def suspend(world: World) -> None:
    world.s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Suspended"})


def enable(world: World) -> None:
    world.s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Enabled"})
