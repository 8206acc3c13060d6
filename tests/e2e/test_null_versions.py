"""What is written while versioning is suspended has the id "null", again and again."""

from collections.abc import Iterator

import pytest

from s3replicator.decisions.ledger import Status
from s3replicator.decisions.versions import Kind, is_null
from tests.e2e.world import NEAR, SOURCE, World, rule, wait_until


@pytest.fixture
def suspended(world: World) -> Iterator[World]:
    """Somebody has suspended versioning at the source since the stack was deployed."""
    world.set_versioning(SOURCE, "Suspended")
    try:
        yield world
    finally:
        world.set_versioning(SOURCE, "Enabled")


def replicas(world: World, key: str) -> list[bytes | None]:
    """Contents, newest first; None for a delete marker."""
    return [
        world.read(NEAR, key, listed.version_id) if listed.kind is Kind.OBJECT else None
        for listed in world.versions(NEAR, key)
    ]


def is_on_top(world: World, key: str, content: bytes) -> None:
    wait_until(lambda: replicas(world, key)[:1] == [content], f"{content!r} is on top")


def test_a_null_version_is_replicated_under_a_name_that_tells_it_from_the_next_one(suspended: World) -> None:
    """Each that was seen has its replica, the newest on top; none is recorded with another's content."""
    world, key = suspended, suspended.folder("one") + "null"
    for content in (b"first", b"the second"):
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=content)
        is_on_top(world, key, content)
    world.settles(NEAR, key)

    assert replicas(world, key) == [b"the second", b"first"]
    rows = world.rows(NEAR, key)
    assert len(rows) == 2
    assert all(is_null(name) and name != "null" for name in rows)
    assert {row.status for row in rows.values()} <= {Status.COMPLETED}
    assert all(name in world.s3rctl("status", f"s3://{SOURCE}/{key}", "--json") for name in rows)


def test_the_same_null_version_twice_makes_one_replica(suspended: World) -> None:
    world, key = suspended, suspended.folder("one") + "twice"
    with world.notifications_held_back() as take:
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"once")
        [record] = take(world.folder("one"), 1)
    world.send(record)
    world.send(record)
    wait_until(lambda: replicas(world, key), "it has arrived")
    world.becomes_quiet()

    assert replicas(world, key) == [b"once"]


def test_an_event_that_comes_after_the_next_write_copies_what_is_there(suspended: World) -> None:
    """Never the first one's record with the second one's bytes."""
    world, key = suspended, suspended.folder("one") + "overtaken"
    with world.notifications_held_back() as take:
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"first")
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"the second")
        records = take(world.folder("one"), 2)
    for record in records:
        world.send(record)
        world.becomes_quiet()

    assert replicas(world, key) == [b"the second"]
    assert [row.status for row in world.rows(NEAR, key).values()] == [Status.COMPLETED]


def test_a_delete_hides_the_key(suspended: World) -> None:
    """Scenario 67: a null delete marker takes the place of the null version, which keeps its replica."""
    world, key = suspended, suspended.folder("one") + "hidden"
    world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"content")
    wait_until(lambda: replicas(world, key), "it has arrived")
    world.s3.delete_object(Bucket=SOURCE, Key=key)
    wait_until(lambda: replicas(world, key)[0] is None, "it is hidden")
    world.settles(NEAR, key)

    assert replicas(world, key) == [None, b"content"]


def test_a_null_version_and_a_real_one_are_both_deleted(suspended: World) -> None:
    """Scenario 68: no leftovers."""
    world, key = suspended, suspended.folder("one") + "both"
    with world.also(rule("one/", NEAR, version_deletes=True)):
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"null")
        wait_until(lambda: len(replicas(world, key)) == 1, "the null version has arrived")
        world.set_versioning(SOURCE, "Enabled")
        real = world.put(key, b"real")
        world.arrives(NEAR, key, real)
        for version in ("null", real):
            world.s3.delete_object(Bucket=SOURCE, Key=key, VersionId=version)
        wait_until(lambda: not world.versions(NEAR, key), "both are gone")
        world.settles(NEAR, key)
