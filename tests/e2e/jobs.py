"""Jobs of the deployed state machine, and what the two sides have afterwards."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.decisions.versions import Kind
from tests.e2e.world import World, wait_until

#: How long a whole job may take, in seconds.
LONG: Final = 1200.0


def start(world: World, job: str, execution: str | None = None, **request: Any) -> str:
    machine = world.stack.outputs["BackfillStateMachineArn"]
    answer = world.client("stepfunctions").start_execution(
        stateMachineArn=machine,
        name=execution or job,
        input=json.dumps({"job": job, "request": {"Kind": "backfill", **request}}),
    )
    return str(answer["executionArn"])


def end(world: World, execution: str) -> None:
    states = world.client("stepfunctions")

    def status() -> str | None:
        told = states.describe_execution(executionArn=execution)
        return None if told["status"] == "RUNNING" else f"{told['status']} {told.get('cause', '')}"

    ended = wait_until(status, "the job has ended", LONG)
    assert str(ended).startswith("SUCCEEDED"), ended


def summary(world: World, job: str) -> dict[str, Any]:
    name = f"jobs/{job}/report/summary.json"
    body = world.s3.get_object(Bucket=world.stack.outputs["ControlBucketName"], Key=name)["Body"]
    told: dict[str, Any] = json.loads(body.read())
    return told


def histories(world: World, bucket: str, prefix: str = "") -> dict[str, list[str]]:
    """By key: content or "marker" of every version, newest first."""
    found: dict[str, list[str]] = defaultdict(list)
    lister, after = S3Lister(world.s3, bucket, source=False), None
    while True:
        page = lister.page(prefix, after)
        for key, version in page.versions:
            found[key].append("marker" if version.kind is Kind.MARKER else version.etag)
        if page.after is None:
            return found
        after = page.after


@contextmanager
def withheld(world: World, prefix: str, count: int) -> Iterator[None]:
    """Of what happens meanwhile below a prefix all events are lost, so many: S3 may send them later than it
    answers, so they are waited for and taken away."""
    with world.notifications_held_back() as take:
        yield
        take(prefix, count)
