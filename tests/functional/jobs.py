"""Jobs, run as the state machine runs them: survey until done, every batch until done, report until done."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.backfill.app import Unfinished
from s3replicator.decisions.failures import AmbiguousWrite, RetryableError
from tests.functional.recorder import ApiCall, recording
from tests.functional.world import CONTROL, HANDLERS, Context, World

#: Requests that change something.
WRITES = ("Put", "Update", "Delete", "Copy", "Create", "Complete", "Upload", "Abort", "Send", "Batch")


@dataclass
class Run:
    """What a job has come to. ``calls`` are all requests of its functions."""

    summary: dict[str, Any]
    tasks: list[dict[str, Any]]
    batches: int
    calls: list[ApiCall] = field(default_factory=list)

    def count(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.calls)

    def writes(self) -> list[str]:
        """Requests that change a bucket with objects, or the ledger."""
        return [
            call.operation
            for call in self.calls
            if call.operation.startswith(WRITES)
            and call.operation != "BatchGetItem"
            and call.arguments.get("Bucket") != CONTROL
        ]

    def told(self, name: str) -> list[Any]:
        return [task.get(name) for task in self.tasks]


def run(
    world: World,
    job: str = "job",
    *,
    seconds: float = 900,
    between: Callable[[], None] = lambda: None,
    **request: Any,
) -> Run:
    """``between`` happens before each look at what is under way."""
    request = {"Kind": "backfill", **request}
    before = {name: len(world.calls[name]) for name in ("survey", "backfill")}
    surveyed = survey(world, job, request, seconds)
    for name in names(world, f"jobs/{job}/batches/"):
        work(world, job, name, seconds)
    between()
    finish(world, job, between)
    return Run(
        summary=document(world, f"jobs/{job}/report/summary.json"),
        tasks=[task for name in names(world, f"jobs/{job}/results/") for task in lines(world, name)],
        batches=surveyed["batches"],
        calls=[call for name, made in before.items() for call in world.calls[name][made:]],
    )


def invoke(world: World, function: str, event: dict[str, Any], seconds: float = 900) -> dict[str, Any]:
    with recording() as recorded:
        try:
            answer: dict[str, Any] = HANDLERS[function].handler(event, Context(seconds))
        finally:
            world.calls[function] += recorded.calls
    return answer


def survey(
    world: World, job: str, request: Mapping[str, Any] | None, seconds: float = 900, *, beside: bool = False
) -> dict[str, Any]:
    """``beside``: in a thread, where another may be at the same work, which is waited for."""
    event = {"step": "survey", "job": job, "request": request}
    for _ in range(50):
        answer = _retried(world, "survey", event, seconds, beside=beside)
        if answer["done"]:
            return answer
    raise AssertionError("the survey does not end")


def work(world: World, job: str, name: str, seconds: float = 900, *, beside: bool = False) -> None:
    _retried(world, "backfill", {"job": job, "batch": name}, seconds, beside=beside)


def _retried(
    world: World, function: str, event: dict[str, Any], seconds: float = 900, *, beside: bool = False
) -> dict[str, Any]:
    """As the state machine retries: by the names of these errors, and no others."""
    tries, pause = (6000, 0.05) if beside else (50, 0.0)
    for _ in range(tries):
        with contextlib.suppress(RetryableError, AmbiguousWrite, Unfinished):
            return invoke(world, function, event, seconds)
        time.sleep(pause)
    raise AssertionError(f"{function} does not end")


def finish(world: World, job: str, between: Callable[[], None] = lambda: None) -> None:
    attempt = 0
    while True:
        answer = _retried(world, "survey", {"step": "report", "job": job, "attempt": attempt})
        if answer["done"]:
            return
        attempt = answer["attempt"]
        between()


def names(world: World, prefix: str) -> list[str]:
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=CONTROL, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def text(world: World, name: str) -> str:
    return str(world.s3.get_object(Bucket=CONTROL, Key=name)["Body"].read().decode())


def document(world: World, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text(world, name))
    return told


def lines(world: World, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(world, name).splitlines()]
