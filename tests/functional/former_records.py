"""What the release before this one leaves behind: scenes that its own code plays, kept as they are then.
``python -m tests.functional.former_records`` plays them, and writes former_records.json anew.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from moto import mock_aws

from s3replicator.decisions import plan
from tests.conftest import set_environment
from tests.functional import jobs, snapshot
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.former_release import COMMIT, FormerRelease, unpack
from tests.functional.test_disorder import crash_after_copy, expire_lease
from tests.functional.test_version_deletes import deletes
from tests.functional.world import ONE, World

FILE: Final = Path(__file__).with_suffix(".json")
PART: Final = plan.MIN_PART

_SLOW_DOWN: Final = Fault("CopyObject", status=503, code="SlowDown", times=99)


def _history(world: World) -> None:
    """Most rows have spilled; a marker in between, another version gone for good."""
    events = [world.put("key", str(number).encode(), Tagging=f"number={number}") for number in range(5)]
    events.insert(3, world.mark("key"))
    world.deliver(*events)
    world.deliver(world.put("key", b"newest"), world.purge(events[1]))
    world.drain()


def _to_be_deleted(world: World) -> None:
    """A version's delete waits for whoever may do it."""
    first, second = world.put("key", b"first"), world.put("key", b"second")
    world.deliver(first, second)
    world.deliver(world.purge(first))


def _handed_over(world: World) -> None:
    """A late version, whose message waits for the second function."""
    late, new = world.put("key", b"late"), world.put("key", b"new")
    world.deliver(new)
    world.deliver(late)


def _due(world: World) -> None:
    """A version that was refused for now, and tags that could not be put."""
    tagged = world.put("tagged")
    world.deliver(tagged)
    refused = Fault("PutObjectTagging", status=503, code="SlowDown", times=99, when=to_bucket(ONE))
    with faults(replace(_SLOW_DOWN), refused):
        world.deliver(world.put("key"))
        world.deliver(world.tag(tagged, colour="red"))


def _parked(world: World) -> None:
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=99)):
        world.deliver(world.put("key"))


def _left_by_a_dead_worker(world: World) -> None:
    """It made a replica that the ledger does not know; its lease has run out."""
    event = world.put("key")
    crash_after_copy(world, event)
    expire_lease(world)
    _sent_again(world, event)


def _large_in_flight(world: World) -> None:
    """A message carries an upload; there was no time for its parts."""
    world.deliver(world.put_parts("key", [bytes(PART), b"rest"], Tagging="colour=red"))
    world.deliver(*world.take("large"), to="replicate_large", seconds=80)


def _large_that_failed(world: World) -> None:
    """A row remembers an upload of which one part is there."""
    world.deliver(world.put_parts("key", [bytes(PART)] * 2 + [b"rest"]))
    with faults(Fault("UploadPartCopy", status=503, code="SlowDown", times=99, after=1)):
        world.deliver(*world.take("large"), to="replicate_large")


def _large_that_lies_too_low(world: World) -> None:
    """Its upload has been prepared for the second function."""
    late, large = world.put("key", b"late"), world.put_parts("key", [bytes(PART), b"rest"])
    world.deliver(large)
    world.drain()
    world.deliver(late)
    world.deliver(*world.take("dead-letter"), to="retry")
    world.deliver(*world.take("large"), to="replicate_large")


def _backfill(world: World) -> None:
    """It has been surveyed, nothing has been done."""
    for number in range(3):
        world.put("key", str(number).encode())
        world.put(f"other {number}", Tagging="colour=red")
    jobs.survey(world, "job", {"Kind": "backfill"})


def _sent_again(world: World, event: Mapping[str, Any]) -> None:
    world.sqs.send_message(QueueUrl=world.queues["ingest"], MessageBody=json.dumps(event))


SCENES: Final[Mapping[str, Callable[[World], None]]] = {
    scene.__name__.strip("_"): scene
    for scene in (
        *(_history, _to_be_deleted, _handed_over, _due, _parked, _left_by_a_dead_worker),
        *(_large_in_flight, _large_that_failed, _large_that_lies_too_low, _backfill),
    )
}


def record(release: FormerRelease) -> dict[str, Any]:
    return {"commit": COMMIT, "scenes": {name: _recorded(release, scene) for name, scene in SCENES.items()}}


def _recorded(release: FormerRelease, scene: Callable[[World], None]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch)
        for name in ("SINGLE_COPY_LIMIT", "_PART"):
            patch.setattr(release.plan(), name, PART)
        with mock_aws():
            world = World(patch)
            world.rules({**deletes(), "ID": "everything"})
            with release.at_work():
                scene(world)
            return snapshot.taken(world)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        document = record(FormerRelease.at(Path(folder)))
    FILE.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{FILE.name}: {', '.join(document['scenes'])}\n")


if __name__ == "__main__":
    main()
