"""What changes of a version after it was written, by the events that S3 sends of it, under IAM."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.e2e.deployments import Deployment
from tests.e2e.world import NEAR, World, wait_until

MIB: Final = 1 << 20
SOON: Final = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
LATER: Final = SOON + timedelta(days=8)


def annotate(world: World, key: str, version: str, **annotations: str | None) -> None:
    """Put these on a version, or take away what is None."""
    named: Any = {"Bucket": world.source, "Key": key, "VersionId": version}
    for name, text in annotations.items():
        if text is None:
            world.s3.delete_object_annotation(**named, AnnotationName=name)
        else:
            world.s3.put_object_annotation(**named, AnnotationName=name, AnnotationPayload=text.encode())


def annotations(world: World, bucket: str, key: str, version: str) -> dict[str, str]:
    named: Any = {"Bucket": bucket, "Key": key, "VersionId": version}
    found: dict[str, str] = {}
    for one in world.s3.list_object_annotations(**named).get("Annotations", []):
        name = one["AnnotationName"]
        # One that was listed may be taken away before it is read.
        with suppress(world.s3.exceptions.NoSuchAnnotation):
            answer = world.s3.get_object_annotation(**named, AnnotationName=name)
            found[name] = answer["AnnotationPayload"].read().decode()
    return found


def follow(world: World, bucket: str, key: str, replica: str, wanted: dict[str, str]) -> None:
    wait_until(
        lambda: annotations(world, bucket, key, replica) == wanted, "the annotations are as at the source"
    )


def test_annotations_come_along_and_follow(world: World) -> None:
    """F110."""
    key = world.folder("one") + "annotated ü"
    first = world.put(key, b"first")
    annotate(world, key, first, caption="a flower")
    replica = world.arrives(NEAR, key, first)
    follow(world, NEAR, key, replica, {"caption": "a flower"})

    second = world.arrives(NEAR, key, world.put(key, b"second"))
    annotate(world, key, first, caption="a leaf", mood="calm")
    follow(world, NEAR, key, replica, {"caption": "a leaf", "mood": "calm"})
    annotate(world, key, first, caption=None)
    follow(world, NEAR, key, replica, {"mood": "calm"})
    assert annotations(world, NEAR, key, second) == {}
    world.converges(NEAR, key)


def test_a_large_object_is_completed_with_its_annotations(world: World) -> None:
    """F109: no copy part by part takes them along."""
    key = world.folder("one") + "annotated.bin"
    with world.notifications_held_back() as held:
        version = world.put_parts(key, [bytes(65 * MIB), bytes(65 * MIB)])
        wanted = {"caption": "zeros", "count": "136314880", "mood": "calm"}
        annotate(world, key, version, **wanted)
        # Of the object only: what tells of the annotations is lost.
        [created] = [record for record in held(key, 4) if "ObjectCreated" in record["eventName"]]
    world.send(created)
    replica = world.arrives(NEAR, key, version)
    follow(world, NEAR, key, replica, wanted)
    world.converges(NEAR, key)
    assert not world.rows(NEAR, key)[version].owed


@pytest.fixture
def locked(world: World) -> Iterator[World]:
    """A stack with Object Lock on both sides. What is locked in them stays there."""
    source, replicas = f"locked-{world.name}", f"locked-{world.name}-replicas"
    for name in (source, replicas):
        world.make_bucket(name, ObjectLockEnabledForBucket=True)
    stack = Deployment(world, source)
    stack.create(SourceBucket=source, Destinations=replicas, DefaultRule="Enabled")
    yield World(stack.deployed())
    stack.delete()


def test_a_retention_that_is_extended_is_extended_at_the_replica(locked: World) -> None:
    """G115."""
    replicas, key = f"{locked.source}-replicas", "kept"
    lock: Any = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": SOON}
    version = locked.put(key, b"x", ContentMD5="ndTkYSaMgDT1yFZOFVxnpg==", **lock)
    replica = locked.arrives(replicas, key, version)

    def retention() -> datetime:
        head = locked.s3.head_object(Bucket=replicas, Key=key, VersionId=replica)
        return head["ObjectLockRetainUntilDate"]

    assert retention() == SOON
    locked.s3.put_object_retention(
        Bucket=locked.source,
        Key=key,
        VersionId=version,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": LATER},
    )
    wait_until(lambda: retention() == LATER, "the retention is as at the source")
    locked.converges(replicas, key)
    assert locked.parked() == []
