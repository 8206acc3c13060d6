"""What one object costs, in API calls: counted as the requests go out, and asserted exactly, per path.

The other half of the bargain is here too: the permissions of the template are held against the very same
calls, both ways.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from tests.functional.faults import Fault, faults
from tests.functional.passing_time import sleep_until
from tests.functional.recorder import Recording
from tests.functional.world import ONE, World

TAG_RULE: Final = {"Filter": {"Tag": {"Key": "k", "Value": "v"}}}
MARKERS: Final = {"DeleteMarkerReplication": {"Status": "Enabled"}}

#: The configuration is read once in a while, not once an object.
CONFIGURATION: Final = {"GetObject": 1}


@dataclass(frozen=True)
class Path:
    """``run`` gets a world with one destination and returns what the named function did."""

    function: str
    run: Callable[[World], Recording]
    calls: Mapping[str, int]


def small(world: World) -> Recording:
    return world.deliver(world.put("key")).recording


def not_selected(world: World) -> Recording:
    world.rules({"Filter": {"Prefix": "other/"}})
    return world.deliver(world.put("key")).recording


def with_tag_rule(world: World) -> Recording:
    world.rules(TAG_RULE)
    return world.deliver(world.put("key", Tagging="k=v")).recording


def marker(world: World) -> Recording:
    world.rules(MARKERS)
    world.deliver(world.put("key"))
    return world.deliver(world.mark("key")).recording


def two_versions_at_once(world: World) -> Recording:
    return world.deliver(world.put("key"), world.put("key")).recording


def third_version(world: World) -> Recording:
    world.deliver(world.put("key"), world.put("key"))
    return world.deliver(world.put("key")).recording


def duplicate(world: World) -> Recording:
    event = world.put("key")
    world.deliver(event)
    return world.deliver(event).recording


def multipart_source(world: World) -> Recording:
    """Small, but its ETag proves nothing: one look at the replica."""
    return world.deliver(world.put_parts("key", [b"small"])).recording


def multipart_overwrite(world: World) -> Recording:
    """Sequencers cannot tell where a multipart object stands: one list of the source."""
    world.deliver(world.put("key"))
    return world.deliver(world.put_parts("key", [b"small"])).recording


def gone(world: World) -> Recording:
    event = world.put("key")
    world.purge(event)
    return world.deliver(event).recording


def denied(world: World) -> Recording:
    with faults(Fault("CopyObject", status=403, code="AccessDenied")):
        return world.deliver(world.put("key")).recording


def throttled(world: World) -> Recording:
    with faults(Fault("CopyObject", status=503, code="SlowDown")):
        return world.deliver(world.put("key")).recording


def late(world: World) -> Recording:
    first, second = world.put("key"), world.put("key")
    world.deliver(second)
    return world.deliver(first).recording


def late_in_the_second_function(world: World) -> Recording:
    late(world)
    return world.deliver(*world.take("dead-letter"), to="retry").recording


def to_the_large_lane(world: World) -> Recording:
    return world.deliver(_large(world)).recording


def large(world: World) -> Recording:
    """Three parts."""
    world.deliver(_large(world))
    return world.deliver(*world.take("large"), to="replicate_large").recording


def large_duplicate(world: World) -> Recording:
    event = _large(world)
    world.deliver(event, to="replicate_large")
    return world.deliver(event, to="replicate_large").recording


def large_given_up(world: World) -> Recording:
    """A part is refused: the upload is aborted."""
    world.deliver(_large(world))
    with faults(Fault("UploadPartCopy", status=403, code="AccessDenied", times=9)):
        bodies = world.take("large")
        return world.deliver(*bodies, to="replicate_large").recording


def large_resumed(world: World) -> Recording:
    """The first worker's time was up after it had started the upload."""
    world.deliver(_large(world))
    world.deliver(*world.take("large"), to="replicate_large", seconds=30)
    return world.deliver(*world.take("large"), to="replicate_large").recording


def _large(world: World) -> dict[str, object]:
    part = bytes(5 * 1024**2)
    return world.put_parts("key", [part, part, b"rest"])


def large_with_tags(world: World) -> Recording:
    part = bytes(5 * 1024**2)
    world.deliver(world.put_parts("key", [part, b"rest"], Tagging="a=b"))
    return world.deliver(*world.take("large"), to="replicate_large").recording


def answer_lost(world: World) -> Recording:
    """The copy took effect, nobody heard: found by its stamp, without a second copy."""
    with faults(Fault("CopyObject", effect=True)):
        return world.deliver(world.put("key")).recording


def swept(world: World) -> Recording:
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=9)):
        world.deliver(world.put("key"))
    sleep_until(world.ledger_head("key").due())
    return world.invoke({"sweep": True}, to="retry")


PATHS: Final = {
    "small": Path("replicate", small, {"HeadObject": 1, "CopyObject": 1, "UpdateItem": 1, "PutItem": 1}),
    "not selected": Path("replicate", not_selected, {}),
    "tag rule": Path(
        "replicate",
        with_tag_rule,
        {"GetObjectTagging": 1, "HeadObject": 1, "CopyObject": 1, "UpdateItem": 1, "PutItem": 1},
    ),
    "marker": Path("replicate", marker, {"HeadObject": 1, "DeleteObject": 1, "UpdateItem": 1, "PutItem": 1}),
    "two versions at once": Path(
        "replicate",
        two_versions_at_once,
        {"HeadObject": 2, "CopyObject": 2, "UpdateItem": 1, "PutItem": 2},
    ),
    "third version": Path(
        # The oldest row moves out of the head.
        "replicate",
        third_version,
        {"HeadObject": 1, "CopyObject": 1, "UpdateItem": 1, "PutItem": 2},
    ),
    "duplicate": Path("replicate", duplicate, {"HeadObject": 1, "UpdateItem": 1}),
    "multipart source": Path(
        "replicate",
        multipart_source,
        {"HeadObject": 2, "CopyObject": 1, "UpdateItem": 1, "PutItem": 1},
    ),
    "multipart overwrite": Path(
        "replicate",
        multipart_overwrite,
        {"HeadObject": 2, "CopyObject": 1, "ListObjectVersions": 1, "UpdateItem": 1, "PutItem": 1},
    ),
    "gone": Path(
        "replicate",
        gone,
        {"HeadObject": 1, "GetObject": 1, "ListObjectVersions": 1, "UpdateItem": 1, "PutItem": 1},
    ),
    "denied": Path(
        "replicate",
        denied,
        # The row before the message, and after it that it is sent.
        {"HeadObject": 1, "CopyObject": 1, "UpdateItem": 1, "PutItem": 2, "SendMessage": 1},
    ),
    "throttled once": Path(
        # Nobody knows whether a refused copy took effect: look, announce again, copy again, ask for help.
        "replicate",
        throttled,
        {
            "HeadObject": 1,
            "CopyObject": 2,
            "ListObjectVersions": 1,
            "UpdateItem": 1,
            "PutItem": 2,
            "SendMessage": 1,
        },
    ),
    "answer lost": Path(
        "replicate",
        answer_lost,
        {
            "HeadObject": 2,
            "CopyObject": 1,
            "ListObjectVersions": 1,
            "UpdateItem": 1,
            "PutItem": 1,
            "SendMessage": 1,
        },
    ),
    "late": Path("replicate", late, {"HeadObject": 1, "UpdateItem": 1, "PutItem": 1, "SendMessage": 1}),
    "late, second function": Path(
        "retry",
        late_in_the_second_function,
        # The late version, and the newer one again above it: n + 1 copies, n deletes.
        {
            "HeadObject": 3,
            "UpdateItem": 1,
            "ListObjectVersions": 2,
            "CopyObject": 2,
            "DeleteObject": 1,
            "PutItem": 3,
        },
    ),
    "to the large lane": Path("replicate", to_the_large_lane, {"HeadObject": 1, "SendMessage": 1}),
    "large, three parts": Path(
        "replicate_large",
        large,
        {
            "HeadObject": 2,
            "GetObjectTagging": 1,
            "CreateMultipartUpload": 1,
            "UploadPartCopy": 3,
            "CompleteMultipartUpload": 1,
            "ListObjectAnnotations": 1,
            "ListObjectVersions": 1,
            "GetItem": 1,
            "UpdateItem": 1,
            "PutItem": 3,
        },
    ),
    "large, resumed": Path(
        "replicate_large",
        large_resumed,
        {
            "HeadObject": 2,
            "ListParts": 1,
            "UploadPartCopy": 3,
            "CompleteMultipartUpload": 1,
            "ListObjectAnnotations": 1,
            "ListObjectVersions": 1,
            "GetItem": 1,
            "UpdateItem": 1,
            "PutItem": 3,
        },
    ),
    "large, tagged": Path(
        "replicate_large",
        large_with_tags,
        {
            "HeadObject": 2,
            "GetObjectTagging": 1,
            "CreateMultipartUpload": 1,
            "UploadPartCopy": 2,
            "CompleteMultipartUpload": 1,
            "ListObjectAnnotations": 1,
            "ListObjectVersions": 1,
            "GetItem": 1,
            "UpdateItem": 1,
            "PutItem": 3,
        },
    ),
    "large, duplicate": Path(
        "replicate_large", large_duplicate, {"HeadObject": 1, "GetItem": 1, "UpdateItem": 1}
    ),
    "sweep": Path(
        # Two destinations, sixteen shards, what is due and what is open; one message, one mark.
        "retry",
        swept,
        {"Query": 64, "SendMessage": 1, "UpdateItem": 1},
    ),
}


@pytest.fixture
def one_destination(world: World, small_parts: int) -> World:
    world.rules({})
    return world


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_a_path_costs_exactly(one_destination: World, path: Path) -> None:
    sent = path.run(one_destination).sent
    extra = {} if path.function == "retry" and "Query" in path.calls else CONFIGURATION
    expected = dict(path.calls)
    for operation, count in extra.items():
        if sent[operation] > expected.get(operation, 0):
            expected[operation] = expected.get(operation, 0) + count

    assert dict(sent) == expected


def test_the_configuration_is_read_once_for_many_objects(one_destination: World) -> None:
    events = [one_destination.put(f"key/{n}") for n in range(10)]

    assert one_destination.deliver(*events).recording.sent["GetObject"] == 1
    assert [one_destination.versions(f"key/{n}", ONE) for n in range(10)] == [["content"]] * 10
