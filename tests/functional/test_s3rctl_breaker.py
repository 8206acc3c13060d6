"""What stops a mass of version deletes, seen and closed: ``s3rctl breaker``."""

import time

import pytest

from s3replicator.decisions.breaker import hour_of
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import DESTINATIONS, ONE, TWO, World


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    deploy(world)
    return Tool(capsys)


def open_breaker(world: World, destination: str, limit: int = 2, now: float | None = None) -> None:
    """One delete more than an hour may see."""
    moment = now or time.time()
    allowed = [world.ledger.allow_version_delete(destination, limit, moment) for _ in range(limit + 1)]
    assert allowed == [True] * limit + [False]


def test_where_no_version_was_ever_deleted_the_breaker_is_closed(s3rctl: Tool) -> None:
    answer = s3rctl("breaker", "show", "--json")
    assert answer.code == 0
    assert answer.json["breakers"] == [
        {"destination": name, "open": False, "opened": None, "hour": None, "count": 0}
        for name in DESTINATIONS
    ]


def test_deletes_are_counted_and_a_closed_breaker_is_no_reason_to_worry(world: World, s3rctl: Tool) -> None:
    now = time.time()
    assert world.ledger.allow_version_delete(ONE, 2, now)
    answer = s3rctl("breaker", "show", "--json")
    assert answer.code == 0
    assert answer.json["breakers"][0] == {
        "destination": ONE,
        "open": False,
        "opened": None,
        "hour": hour_of(now),
        "count": 1,
    }
    heading, one, two = s3rctl("breaker", "show").out.splitlines()
    assert heading.split() == ["DESTINATION", "BREAKER", "SINCE", "HOUR", "DELETED"]
    assert one.split() == [ONE, "closed", "-", hour_of(now), "1"]
    assert two.split() == [TWO, "closed", "-", "-", "0"]


def test_an_open_breaker_is_shown_with_its_time_and_exits_with_one(world: World, s3rctl: Tool) -> None:
    open_breaker(world, TWO, now=1_800_000_000.0)
    answer = s3rctl("breaker", "show", "--json")
    assert answer.code == 1
    assert [each["open"] for each in answer.json["breakers"]] == [False, True]
    assert answer.json["breakers"][1]["opened"] == "2027-01-15T08:00:00.000+00:00"
    assert "2027-01-15 08:00:00Z" in s3rctl("breaker", "show").out
    assert s3rctl("breaker", "show", "--destination", ONE).code == 0
    assert s3rctl("breaker", "show", "--destination", TWO).code == 1


def test_nothing_is_closed_without_yes(world: World, s3rctl: Tool) -> None:
    open_breaker(world, ONE)
    answer = s3rctl("breaker", "close")
    assert answer.code == 0
    assert f"The breaker at {ONE} would be closed; nothing is done without --yes" in answer.out
    assert s3rctl("breaker", "close", "--json").json["done"] is False
    assert s3rctl("breaker", "show").code == 1


def test_a_closed_breaker_lets_versions_be_deleted_again(world: World, s3rctl: Tool) -> None:
    open_breaker(world, ONE)
    answer = s3rctl("breaker", "close", "--yes")
    assert answer.code == 0
    assert f"Closed at {ONE}" in answer.out
    assert "within the hour" in answer.out
    assert "s3rctl settle" in answer.out
    assert s3rctl("breaker", "show").code == 0
    assert world.ledger.allow_version_delete(ONE, 2, time.time())


def test_only_the_breaker_that_was_named_is_closed(world: World, s3rctl: Tool) -> None:
    for destination in DESTINATIONS:
        open_breaker(world, destination)
    answer = s3rctl("breaker", "close", "--destination", TWO, "--yes", "--json")
    assert answer.code == 0
    assert [each["destination"] for each in answer.json["breakers"]] == [TWO]
    assert answer.json["done"] is True
    shown = s3rctl("breaker", "show", "--json").json["breakers"]
    assert [each["open"] for each in shown] == [True, False]


@pytest.mark.parametrize("options", [["--yes"], []])
def test_where_none_is_open_there_is_nothing_to_close(s3rctl: Tool, options: list[str]) -> None:
    answer = s3rctl("breaker", "close", *options)
    assert answer.code == 1
    assert "No breaker is open" in answer.out


@pytest.mark.parametrize("command", ["show", "close"])
def test_a_destination_the_stack_does_not_have_is_refused(s3rctl: Tool, command: str) -> None:
    answer = s3rctl("breaker", command, "--destination", "elsewhere")
    assert answer.code == 2
    assert f"which has {ONE}, {TWO}" in answer.err
