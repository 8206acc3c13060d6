"""Existing objects and lost events, by the deployed state machine."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest

from tests.e2e.convergence import differences
from tests.e2e.deployments import Deployment
from tests.e2e.jobs import LONG, end, histories, start, summary, withheld
from tests.e2e.world import World, wait_until

SOURCE: Final = "e2e-backfill-source"
REPLICAS: Final = "e2e-backfill-replicas"
KEYS: Final = 2000
MOST_VERSIONS: Final = 30


@pytest.fixture(scope="module")
def filled(world_of_all: World) -> World:
    """A stack that was deployed when its source was full already."""
    first = world_of_all
    for bucket in (SOURCE, REPLICAS):
        first.make_bucket(bucket)
    fill(first, random.Random(4))
    deployed = Deployment(first, "backfilled").create(SourceBucket=SOURCE, Destinations=REPLICAS).deployed()
    return World(deployed)


@pytest.fixture(scope="module")
def world_of_all(stack: Any) -> World:
    return World(stack)


def fill(world: World, chance: random.Random) -> None:
    """Keys of one version mostly; some with many, delete markers between and above them."""

    def history(number: int, versions: int, seed: int) -> None:
        own, key = random.Random(seed), f"{number % 7}/{number:05}/ü+%.txt"
        for version in range(versions):
            if version and own.random() < 0.15:
                world.s3.delete_object(Bucket=SOURCE, Key=key)
            else:
                world.s3.put_object(Bucket=SOURCE, Key=key, Body=f"{key} {version}".encode())

    with ThreadPoolExecutor(8) as pool:
        for number in range(KEYS):
            versions = MOST_VERSIONS if number % 100 == 0 else chance.choice((1, 1, 1, 2, 3))
            pool.submit(history, number, versions, chance.randrange(1 << 30))


@contextmanager
def written_to_meanwhile(world: World, keys: list[str]) -> Iterator[None]:
    chance, going_on = random.Random(5), [True]

    def write() -> None:
        while going_on:
            key = chance.choice(keys)
            world.put(key, f"{key} live {chance.random()}".encode())
            time.sleep(0.05)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            going_on.clear()
            writing.result()


def unexplained(world: World) -> list[str]:
    """Keys whose replicas are not as their sources, though both are at rest. Where a live version came first,
    delete markers below it are left out; nothing else may differ."""
    sources, replicas = histories(world, SOURCE), histories(world, REPLICAS)
    apart = [key for key in sources if sources[key] != replicas[key]]
    return [
        key
        for key in apart
        if sources[key][:1] != replicas[key][:1]
        or _objects(sources[key]) != _objects(replicas[key])
        or differences(world, REPLICAS, key, version_deletes=False)
    ]


def _objects(history: list[str]) -> list[str]:
    return [version for version in history if version != "marker"]


def test_everything_that_was_there_arrives_while_others_write(filled: World) -> None:
    keys = sorted(histories(filled, SOURCE))
    assert len(keys) == KEYS
    with written_to_meanwhile(filled, keys):
        end(filled, start(filled, "everything"))
    told = summary(filled, "everything")
    assert told["statuses"]["FAILED"] == told["statuses"]["PENDING"] == 0

    wait_until(lambda: not unexplained(filled), "both sides are equal", LONG)
    # A replica is there before it is recorded.
    filled.becomes_quiet()
    for key in random.Random(6).sample(keys, 20):
        assert differences(filled, REPLICAS, key, version_deletes=False) == []

    end(filled, start(filled, "again"))
    assert summary(filled, "again")["survey"]["selected"] == 0


def test_a_run_that_is_killed_again_and_again_ends_right(filled: World) -> None:
    """Stopped at a random moment ten times; nothing is copied twice."""
    chance, states = random.Random(7), filled.client("stepfunctions")
    keys = [f"killed/{number:03}" for number in range(300)]
    with withheld(filled, "killed/", 2 * len(keys)), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: [filled.put(key, b"1"), filled.put(key, b"2")], keys))
    for attempt in range(10):
        execution = start(filled, "killed", f"killed-{attempt}", Prefix="killed/")
        time.sleep(chance.uniform(0.1, 2.5))
        with suppress(states.exceptions.ValidationException):  # it has ended by then
            states.stop_execution(executionArn=execution)
    end(filled, start(filled, "killed", "killed-last", Prefix="killed/"))

    assert summary(filled, "killed")["statuses"] == {
        "SUCCEEDED": 600,
        "FAILED": 0,
        "SKIPPED": 0,
        "PENDING": 0,
    }
    assert histories(filled, SOURCE, "killed/") == histories(filled, REPLICAS, "killed/")


def test_what_only_its_owner_can_read_is_skipped(filled: World) -> None:
    """SSE-C: the embedded AWS refuses to show such an object without its key, as S3 does."""
    own: Any = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    with withheld(filled, "owned/", 2):
        filled.put("owned/secret", b"content", **own)
        filled.put("owned/plain", b"content")
    for job in ("owned", "owned-again"):
        end(filled, start(filled, job, Prefix="owned/"))
        told = summary(filled, job)
        assert told["statuses"]["FAILED"] == told["statuses"]["PENDING"] == told["batchesFailed"] == 0
        assert told["reasons"]["SKIPPED"] == {"SrcObjectNotEligible": 1}
    assert histories(filled, REPLICAS, "owned/").keys() == {"owned/plain"}


def test_what_events_missed_is_found_and_brought_over(filled: World) -> None:
    """One in ten events is lost."""
    keys = [f"lossy/{number:03}" for number in range(100)]
    for number, key in enumerate(keys):
        if number % 10:
            filled.put(key, b"content")
    wait_until(lambda: len(histories(filled, REPLICAS, "lossy/")) == 90, "the others have arrived")
    filled.becomes_quiet()
    with withheld(filled, "lossy/", 10):
        for key in keys[::10]:
            filled.put(key, b"content")

    end(filled, start(filled, "lossy", Kind="reconcile", Prefix="lossy/"))

    assert summary(filled, "lossy")["findings"] == {"Missing": 10}
    assert histories(filled, SOURCE, "lossy/") == histories(filled, REPLICAS, "lossy/")
    end(filled, start(filled, "lossy-again", Kind="reconcile", Prefix="lossy/"))
    assert summary(filled, "lossy-again")["findings"] == {}
