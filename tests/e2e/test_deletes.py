"""Delete markers, and what is never deleted: scenarios D."""

from s3replicator.decisions.ledger import Status
from s3replicator.decisions.versions import Kind
from tests.e2e.world import FAR, FRAGILE, NEAR, SOURCE, World, wait_until


def test_a_delete_marker_hides_the_object_everywhere(world: World) -> None:
    """Scenario 55."""
    key = world.folder("both") + "object"
    version = world.put(key, b"x")
    for destination in (NEAR, FAR):
        world.arrives(destination, key, version)
    marker = world.delete(key)
    for destination in (NEAR, FAR):
        replica = world.arrives(destination, key, marker)
        assert world.is_hidden(destination, key)
        current = world.current(destination, key)
        assert current is not None
        assert (current.version_id, current.kind) == (replica, Kind.MARKER)
        world.converges(destination, key)


def test_an_object_written_after_its_marker_is_visible_again(world: World) -> None:
    key = world.folder("one") + "object"
    for _ in range(2):
        world.arrives(NEAR, key, world.put(key, b"x"))
        world.arrives(NEAR, key, world.delete(key))
        assert world.is_hidden(NEAR, key)
    world.arrives_exactly(NEAR, key, world.put(key, b"back again"))
    assert not world.is_hidden(NEAR, key)
    world.converges(NEAR, key)


def test_without_delete_marker_replication_the_object_stays(world: World) -> None:
    """Scenario 56."""
    key = world.folder("kept") + "object"
    version = world.put(key, b"x")
    replica = world.arrives(NEAR, key, version)
    world.delete(key)
    world.becomes_quiet()
    assert world.is_hidden(SOURCE, key)
    assert [each.version_id for each in world.versions(NEAR, key)] == [replica]
    assert set(world.rows(NEAR, key)) == {version}


def test_deleting_a_key_that_never_existed_is_no_failure(world: World) -> None:
    """Scenario 58: S3 makes a marker, and says so."""
    key = world.folder("one") + "never"
    marker = world.delete(key)
    world.arrives(NEAR, key, marker)
    assert world.is_hidden(NEAR, key)
    world.converges(NEAR, key)


def test_forty_nine_objects_deleted_at_once_are_all_hidden(world: World) -> None:
    """Scenario 59."""
    folder = world.folder("one")
    versions = {f"{folder}{n:02}": world.put(f"{folder}{n:02}", b"x") for n in range(49)}
    for key, version in versions.items():
        world.arrives(NEAR, key, version)
    answer = world.s3.delete_objects(Bucket=SOURCE, Delete={"Objects": [{"Key": key} for key in versions]})
    assert not answer.get("Errors")
    wait_until(
        lambda: world.s3.list_objects_v2(Bucket=NEAR, Prefix=folder)["KeyCount"] == 0,
        "all 49 are hidden",
    )
    world.becomes_quiet()
    for key in versions:
        world.converges(NEAR, key)


def test_a_version_deleted_at_the_source_stays_at_the_destination(world: World) -> None:
    """Scenario 61: version deletes are off."""
    key = world.folder("one") + "object"
    version = world.put(key, b"x")
    replica = world.arrives(NEAR, key, version)
    world.s3.delete_object(Bucket=SOURCE, Key=key, VersionId=version)
    world.becomes_quiet()
    assert not world.versions(SOURCE, key)
    assert [each.version_id for each in world.versions(NEAR, key)] == [replica]
    assert world.rows(NEAR, key)[version].status is Status.COMPLETED
    assert not world.parked(world.folder("one"))


def test_keys_written_and_deleted_in_a_loop_end_hidden(world: World) -> None:
    """Scenario 70, in small."""
    folder = world.folder("one")
    keys = [f"{folder}{n:02}" for n in range(40)]
    for key in keys:
        world.put(key, b"x")
        world.delete(key)
    for key in keys:
        world.converges(NEAR, key)
        assert world.is_hidden(NEAR, key)


def test_a_delete_that_overtakes_its_object_keeps_the_key_hidden(world: World) -> None:
    """Scenario 71: the object is late, and is put below the marker."""
    folder = world.folder("one")
    key = folder + "object"
    with world.notifications_held_back() as take:
        version, marker = world.put(key, b"x"), world.delete(key)
        created, deleted = take(folder, 2)
    world.send(deleted)
    world.arrives(NEAR, key, marker)
    world.send(created)
    world.arrives_exactly(NEAR, key, version)
    world.converges(NEAR, key)
    assert world.is_hidden(NEAR, key)
    assert not world.parked(folder)


def test_a_version_of_somebody_elses_is_hidden_like_ours_and_never_deleted(world: World) -> None:
    """Scenario 73."""
    key = world.folder("one") + "object"
    version = world.put(key, b"ours")
    replica = world.arrives(NEAR, key, version)
    foreign = world.s3.put_object(Bucket=NEAR, Key=key, Body=b"foreign")["VersionId"]
    marker = world.arrives(NEAR, key, world.delete(key))
    listed = [each.version_id for each in world.versions(NEAR, key)]
    assert listed == [marker, foreign, replica]


def test_a_destination_that_denies_deletes_keeps_the_object_and_says_so(world: World) -> None:
    """Scenario 74."""
    folder = world.folder("risky")
    key = folder + "object"
    version = world.put(key, b"x")
    for destination in (NEAR, FRAGILE):
        world.arrives(destination, key, version)
    with world.denied(FRAGILE, folder, "s3:DeleteObject"):
        marker = world.delete(key)
        world.arrives(NEAR, key, marker)
        row = world.ends(FRAGILE, key, marker, Status.FAILED)
        assert row.reason == "DstDelObjNotPermitted"
        [letter] = world.is_parked(folder)
        assert letter.reason == "DstDelObjNotPermitted"
        assert not world.is_hidden(FRAGILE, key)
    world.s3rctl("parked", "retry", "--all", "--yes")
    world.arrives(FRAGILE, key, marker)
    assert world.is_hidden(FRAGILE, key)
