"""Destinations of another account: whose replicas are, and that nobody else's bucket gets any.

Moto checks no owner. What S3 answers where an expected owner is not the owner is played here.
"""

from typing import Any, Final

import pytest

from tests.functional import jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.recorder import ApiCall
from tests.functional.world import ONE, SOURCE, TWO, World

ACCOUNT: Final = "210987654321"
DENIED: Final[dict[str, Any]] = {"status": 403, "code": "AccessDenied", "message": "Access Denied"}

OWNED: Final[dict[str, Any]] = {"Destination": {"Bucket": f"arn:aws:s3:::{ONE}", "Account": ACCOUNT}}
OVERRIDDEN: Final[dict[str, Any]] = {
    "Destination": {**OWNED["Destination"], "AccessControlTranslation": {"Owner": "Destination"}}
}

WRITES: Final = ("CopyObject", "CreateMultipartUpload")


@pytest.fixture
def overridden(world: World) -> World:
    world.rules(OVERRIDDEN)
    return world


def expects_owner(request: Any) -> bool:
    return "x-amz-expected-bucket-owner" in request.headers and to_bucket(ONE)(request)


def made_at(world: World, bucket: str) -> list[ApiCall]:
    made = [call for calls in world.calls.values() for call in calls if call.service == "s3"]
    return [call for call in made if call.arguments["Bucket"] == bucket]


def acl_of(world: World, operation: str) -> str | None:
    [call] = [call for call in made_at(world, ONE) if call.operation == operation]
    acl: str | None = call.arguments.get("ACL")
    return acl


def test_with_owner_override_a_replica_is_given_to_the_owner_of_the_bucket(overridden: World) -> None:
    """N211."""
    overridden.deliver(overridden.put("key", Tagging="a=b"))
    assert acl_of(overridden, "CopyObject") == "bucket-owner-full-control"
    assert overridden.tags("key", str(overridden.row("key").replica)) == {"a": "b"}


def test_and_so_is_a_large_one(overridden: World, small_parts: int) -> None:
    overridden.deliver(overridden.put_parts("key", [bytes(small_parts), b"rest"]))
    overridden.drain()
    assert acl_of(overridden, "CreateMultipartUpload") == "bucket-owner-full-control"
    assert overridden.row("key").status == "COMPLETED"


@pytest.mark.parametrize("size", [1, 6 * 1024**2], ids=["small", "large"])
def test_a_replica_that_is_copied_again_stays_the_owners(
    overridden: World, small_parts: int, size: int
) -> None:
    """Its source is gone, and a late version has to go below it."""
    late, gone = overridden.put("key", b"late"), overridden.put("key", bytes(size))
    overridden.deliver(gone)
    overridden.drain()
    overridden.purge(gone)
    overridden.deliver(late)
    overridden.drain()

    assert overridden.versions("key") == ["\0" * size, "late"]
    written = [call for call in made_at(overridden, ONE) if call.operation in WRITES]
    assert len(written) == 3
    assert {call.arguments.get("ACL") for call in written} == {"bucket-owner-full-control"}


def test_without_it_no_acl_is_sent(world: World) -> None:
    world.rules(OWNED)
    world.deliver(world.put("key"))
    assert acl_of(world, "CopyObject") is None


def test_with_owner_override_a_changed_acl_is_not_followed(overridden: World) -> None:
    """F104."""
    put = overridden.put("key")
    overridden.deliver(put)
    version_id = overridden.version_of(put)
    overridden.s3.put_object_acl(Bucket=SOURCE, Key="key", VersionId=version_id, ACL="public-read")
    assert overridden.deliver(overridden.event("ObjectAcl:Put", "key", version_id)).failed == []

    replica = overridden.row("key").replica
    grants = overridden.s3.get_object_acl(Bucket=ONE, Key="key", VersionId=replica)["Grants"]
    assert {grant["Permission"] for grant in grants} == {"FULL_CONTROL"}
    assert overridden.row("key").owed == frozenset()
    assert overridden.at_rest("key")


def test_changed_tags_are_followed_all_the_same(overridden: World) -> None:
    put = overridden.put("key")
    overridden.deliver(put)
    overridden.deliver(overridden.tag(put, colour="red"))
    assert overridden.tags("key", str(overridden.row("key").replica)) == {"colour": "red"}


def test_every_request_says_whose_the_destination_has_to_be(world: World, small_parts: int) -> None:
    world.rules(OWNED, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    first, second = world.put("key", b"1"), world.put("key", b"2")
    world.deliver(second)
    world.deliver(first, world.put_parts("large", [bytes(small_parts), b"rest"]))
    world.drain()
    world.deliver(world.tag(second, a="b"))
    world.settle("key")

    assert world.versions("key", ONE) == world.versions("key", TWO) == ["2", "1"]
    assert {call.arguments.get("ExpectedBucketOwner") for call in made_at(world, ONE)} == {ACCOUNT}
    assert {call.arguments.get("ExpectedBucketOwner") for call in made_at(world, TWO)} == {None}
    assert {call.operation for call in made_at(world, ONE)} >= {
        "CopyObject",
        "DeleteObject",
        "ListObjectVersions",
        "HeadObject",
        "CreateMultipartUpload",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "PutObjectTagging",
    }


def test_a_job_asks_for_the_owner_too(world: World) -> None:
    world.rules(OWNED)
    world.put("key")
    jobs.run(world, "backfill")

    assert world.versions("key") == ["content"]
    assert {call.arguments.get("ExpectedBucketOwner") for call in made_at(world, ONE)} == {ACCOUNT}


def test_a_bucket_that_is_somebody_elses_gets_nothing_and_the_reason_says_so(world: World) -> None:
    world.rules(OWNED)
    refusals = [Fault(operation, when=expects_owner, **DENIED) for operation in ("CopyObject", "HeadBucket")]
    with faults(*refusals):
        assert world.deliver(world.put("key")).failed == []

    assert world.row("key").status == "FAILED"
    [parked] = world.parked()
    assert parked["reason"] == "DstBucketOwnerMismatch"
    assert parked["detail"] == (
        f"{ONE!r} does not belong to {ACCOUNT}, which a rule names as its Destination.Account"
    )
    assert world.versions("key") == []
    assert world.at_rest("key")


@pytest.mark.parametrize("look", [None, {"status": 403, "code": ""}], ids=["it is his", "nobody may look"])
def test_where_the_owner_is_the_right_one_it_is_a_permission(
    world: World, look: dict[str, Any] | None
) -> None:
    world.rules(OWNED)
    planned = [Fault("CopyObject", **DENIED)]
    planned += [Fault("HeadBucket", **look, times=2)] if look else []
    with faults(*planned):
        world.deliver(world.put("key"))

    [parked] = world.parked()
    assert parked["reason"] == "DstPutObjectNotPermitted"


def test_removing_a_replica_from_somebody_elses_bucket_says_so_too(world: World) -> None:
    world.rules({**OWNED, "Extensions": {"VersionDeletes": {"Status": "Enabled"}}})
    put = world.put("key")
    world.deliver(put)
    deleted = world.purge(put)
    refusals = [
        Fault(operation, when=expects_owner, **DENIED, times=9)
        for operation in ("DeleteObject", "HeadBucket")
    ]
    with faults(*refusals):
        world.deliver(deleted)
        world.drain()

    assert world.row("key").reason == "DstBucketOwnerMismatch"
    assert world.versions("key") == ["content"]
