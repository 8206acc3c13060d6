"""Time, made to pass: what is due is swept. And made to stand still."""

import time
from dataclasses import replace
from typing import Any

import pytest

from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import Lease, LedgerKey
from tests.functional import jobs
from tests.functional.faults import no_faults
from tests.functional.world import CONTROL, ONE, TABLE, World


def let_time_pass(world: World, rounds: int = 6) -> int:
    """Whatever is due is swept, again and again. Returns how many messages the last round had."""
    sent = 0
    for _ in range(rounds):
        make_all_due(world)
        world.sweep()
        bodies = world.take("dead-letter")
        sent = len(bodies)
        if bodies:
            world.deliver(*bodies, to="retry")
        world.drain()
    return sent


def make_all_due(world: World) -> None:
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        if "due" not in item or float(item["due"]["N"]) > 30000000000:
            continue
        item["due"] = {"N": "1"}
        for row in [item.get("row"), *item.get("rows", {"M": {}})["M"].values()]:
            if row and "due" in row["M"]:
                row["M"]["due"] = {"N": "1"}
        world.dynamodb.put_item(TableName=TABLE, Item=item)


def sleep_until(moment: float | None) -> None:
    """The clock of the functions says so then, too: it and the one that sleeps need not go alike."""
    while (left := (moment or 0.0) - time.time()) > 0:
        time.sleep(left)


def stay_within_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deletes of versions are counted by the hour; no other one begins."""
    monkeypatch.setattr("s3replicator.adapters.ledger.hour_of", lambda _moment: "2027-01-15T08")


def let_leases_run_out(world: World, monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """One whose answer was lost is held by nobody. Between two calls of a job's functions the leases of these
    keys run out, and what a survey or a batch has claimed."""
    invoke = jobs.invoke

    def invoked(*arguments: Any) -> Any:
        with no_faults():
            for claim in ("jobs/job/survey.claim", *jobs.names(world, "jobs/job/claims/")):
                world.s3.delete_object(Bucket=CONTROL, Key=claim)
            for key in keys:
                head = world.ledger.head(LedgerKey(ONE, key))
                if head is not None and head.lease is not None:
                    expired = replace(head, lease=Lease(head.lease.token, SystemClock().now() - 1))
                    world.ledger.write(LedgerKey(ONE, key), head.lease.token, expired)
        return invoke(*arguments)

    monkeypatch.setattr(jobs, "invoke", invoked)
