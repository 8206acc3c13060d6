"""Asking for a key again until nobody else is at work on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.usecases.by_hand import Request
from s3replicator.usecases.settle_request import PATIENCE, PAUSE, SettleRequest

ASKED = Request("source", "key", ("one", "two", "three"), restore_lost=True)


@dataclass
class World:
    """``answers`` are what the function returns, in turn, and the last one for ever; each takes some
    ``seconds``."""

    answers: Sequence[Mapping[str, Any]]
    seconds: float = 0.0
    moment: float = 1000.0
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    waited_for: list[list[str]] = field(default_factory=list)

    def now(self) -> float:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += seconds

    def invoke(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(event["settle"])
        self.moment += self.seconds
        return self.answers[min(len(self.asked), len(self.answers)) - 1]

    def waiting(self, destinations: Sequence[str]) -> None:
        self.waited_for.append(list(destinations))


def done(destination: str, version_id: str = "v") -> dict[str, Any]:
    return told(destination, "Replicated", version_id)


def told(
    destination: str, result: str, version_id: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    return {
        "destination": destination,
        "versionId": version_id,
        "result": result,
        "reason": reason,
        "detail": None,
    }


def answer(*outcomes: Mapping[str, Any], busy: Sequence[str] = ()) -> dict[str, Any]:
    return {"outcomes": list(outcomes), "busy": list(busy)}


def test_a_key_nobody_holds_is_asked_for_once() -> None:
    world = World([answer(done("one"), done("two"))])
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert world.asked == [
        {
            "bucket": "source",
            "key": "key",
            "destinations": ["one", "two", "three"],
            "restoreLost": True,
            "purge": False,
        }
    ]
    assert report.outcomes[0] == Outcome(Result.REPLICATED, key="key", version_id="v", destination="one")
    assert (report.busy, world.waited_for, world.moment) == ([], [], 1000.0)


def test_only_who_was_busy_is_asked_again() -> None:
    world = World([answer(done("one"), busy=["two", "three"]), answer(done("three"), busy=["two"]), answer()])
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert [asked["destinations"] for asked in world.asked] == [
        ["one", "two", "three"],
        ["two", "three"],
        ["two"],
    ]
    assert world.waited_for == [["two", "three"], ["two"]]
    assert [outcome.destination for outcome in report.outcomes] == ["one", "three"]
    assert report.busy == []


def test_a_worker_whose_time_was_up_goes_on_where_it_stopped() -> None:
    stopped = told("one", "Delayed", reason="KeyBusy")
    world = World([answer(done("one", "v1"), stopped), answer(done("one", "v2"))])
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert [asked["destinations"] for asked in world.asked[1:]] == [["one"]]
    assert [(each.version_id, each.result) for each in report.outcomes] == [
        ("v1", Result.REPLICATED),
        ("v2", Result.REPLICATED),
    ]


def test_what_failed_is_told_and_not_asked_again() -> None:
    world = World([answer(told("one", "Delayed", reason="DstBucketNotFound"))])
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert len(world.asked) == 1
    assert [outcome.reason for outcome in report.outcomes] == ["DstBucketNotFound"]


def test_patience_ends() -> None:
    world = World([answer(busy=["two"])])
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert report.busy == ["two"]
    assert len(world.asked) == PATIENCE / PAUSE + 1


def test_a_function_that_takes_long_is_asked_only_while_there_is_patience() -> None:
    world = World([answer(busy=["two"])], seconds=PATIENCE)
    report = SettleRequest(world, world).send(ASKED, world.waiting)
    assert (report.busy, len(world.asked)) == (["two"], 1)
