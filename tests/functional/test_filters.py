"""What rules can ask of an object that Amazon's cannot: any of several names, its size, its storage class."""

from typing import Any

import pytest

from tests.functional import jobs
from tests.functional.world import ONE, TWO, World

MARKERS = {"DeleteMarkerReplication": {"Status": "Enabled"}}


def only(world: World, **extensions: Any) -> None:
    world.rules({**MARKERS, "Extensions": extensions})


def replicated(world: World, bucket: str = ONE) -> list[str]:
    answer = world.s3.list_object_versions(Bucket=bucket)
    entries = answer.get("Versions", []) + answer.get("DeleteMarkers", [])
    return sorted(entry["Key"] for entry in entries)


CONSTRAINTS = {
    "MatchAnyPrefix": (["a/", "b/"], ["a/1.csv", "b/2.txt"]),
    "MatchAnySuffix": ([".csv", ".parquet"], ["a/1.csv", "c/3.csv"]),
    "MatchAnySubstring": (["/2", "/3"], ["b/2.txt", "c/3.csv"]),
    "ExcludePrefix": (["a/"], ["b/2.txt", "c/3.csv"]),
    "ExcludeSuffix": ([".csv"], ["b/2.txt"]),
}


@pytest.mark.parametrize("member", CONSTRAINTS)
def test_names_are_matched(world: World, member: str) -> None:
    values, expected = CONSTRAINTS[member]
    only(world, KeyNameConstraint={member: values})
    world.deliver(*(world.put(key) for key in ("a/1.csv", "b/2.txt", "c/3.csv")))
    assert replicated(world) == expected


def test_sizes_are_bounds_that_are_not_reached(world: World) -> None:
    only(world, ObjectSizeGreaterThanBytes=2, ObjectSizeLessThanBytes=5)
    world.deliver(*(world.put(f"{size}", b"x" * size) for size in range(7)))
    assert replicated(world) == ["3", "4"]


def test_classes_are_matched(world: World) -> None:
    only(world, MatchAnyStorageClass=["STANDARD_IA", "ONEZONE_IA"])
    for storage_class in ("STANDARD", "STANDARD_IA", "ONEZONE_IA"):
        world.deliver(world.put(storage_class, StorageClass=storage_class))
    assert replicated(world) == ["ONEZONE_IA", "STANDARD_IA"]


def test_a_delete_marker_is_judged_by_the_version_it_hides(world: World) -> None:
    only(world, ObjectSizeGreaterThanBytes=2)
    for key, body in (("small", b"1"), ("large", b"123")):
        world.deliver(world.put(key, body))
        world.deliver(world.mark(key))
    assert (world.versions("small"), world.versions("large")) == ([], ["marker", "123"])


def test_the_stronger_rule_decides_by_size(world: World) -> None:
    world.rules(
        {"Destination": {"Bucket": f"arn:aws:s3:::{ONE}", "StorageClass": "STANDARD_IA"}},
        {"Extensions": {"ObjectSizeLessThanBytes": 3}},
    )
    world.deliver(world.put("small", b"1"), world.put("large", b"123"))
    assert world.head("large")["StorageClass"] == "STANDARD_IA"
    assert "StorageClass" not in world.head("small")


def test_a_rule_of_another_destination_needs_no_look_of_its_own(world: World) -> None:
    """Size and class come with the HEAD that every copy needs."""
    world.rules(
        {"Extensions": {"ObjectSizeGreaterThanBytes": 2}}, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}}
    )
    sent = world.deliver(world.put("large", b"123"), world.put("small", b"1"))
    assert sent.recording.sent["HeadObject"] == 2
    assert sent.recording.sent["GetObjectTagging"] == 0
    assert (replicated(world), replicated(world, TWO)) == (["large"], ["large", "small"])


def test_a_change_of_tags_of_what_no_rule_selects_is_none_of_ours(world: World) -> None:
    only(world, ObjectSizeGreaterThanBytes=2)
    event = world.put("small", b"1")
    world.deliver(event)
    world.deliver(world.tag(event, colour="red"))
    assert replicated(world) == []
    assert world.parked() == []


def test_jobs_select_by_them_too(world: World) -> None:
    """What a list tells is enough: nothing that is not selected costs a request."""
    only(world, ObjectSizeGreaterThanBytes=2, KeyNameConstraint={"ExcludePrefix": ["tmp/"]})
    for key, body in (("small", b"1"), ("large", b"123"), ("tmp/large", b"123")):
        world.put(key, body)
    done = jobs.run(world)
    assert (done.summary["survey"]["selected"], replicated(world)) == (1, ["large"])
    assert jobs.run(world, "reconcile", Kind="reconcile").batches == 0
