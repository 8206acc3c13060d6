"""Three stacks in a ring that do not know each other: A replicates to B, B to C, and C to A.

Delete markers bear no stamp, so none of their rules replicates them: without peers they would go round.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from local.stack import Stack
from s3replicator.decisions.stamp import RESERVED, Stamp, bucket_digest
from s3replicator.decisions.versions import Kind
from tests.e2e.deployments import Deployment
from tests.e2e.test_two_way import forget_probes
from tests.e2e.world import Rule, World, rule, wait_until

A, B, C = RING = "e2e-ring-a", "e2e-ring-b", "e2e-ring-c"
NEXT: Final = {A: B, B: C, C: A}
ROUNDS: Final = 50
#: Each of these is carried to all three.
ONWARD_ROUNDS: Final = 15


def rules(bucket: str) -> list[Rule]:
    onward: Rule = {"Extensions": {"Replicas": {"Status": "Enabled"}}}
    hop = rule("hop/", NEXT[bucket], markers=False)
    return [hop, {**rule("onward/", NEXT[bucket], markers=False), **onward}]


@pytest.fixture(scope="module")
def ring(stack: Stack) -> Mapping[str, World]:
    """By source. They end with the embedded AWS."""
    first = World(stack)
    for bucket in RING:
        first.make_bucket(bucket)
    deployments = {
        bucket: Deployment(first, f"from-{bucket}").create(
            SourceBucket=bucket, Destinations=NEXT[bucket], DefaultRule="Disabled"
        )
        for bucket in RING
    }
    worlds = {bucket: World(deployment.deployed()) for bucket, deployment in deployments.items()}
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda bucket: worlds[bucket].configure(rules(bucket)), RING))
    for world in worlds.values():
        forget_probes(world)
    return worlds


class Game:
    """Rounds of writes; ``made`` counts what somebody has written, by bucket and key."""

    def __init__(self, ring: Mapping[str, World], lane: str) -> None:
        self.ring = ring
        folder = ring[A].folder(lane)
        self.keys = [f"{folder}{number}" for number in range(5)]
        self.made: Counter[tuple[str, str]] = Counter()
        self.copied = 0

    def play(self, number: int) -> None:
        """Every fifth round somebody copies a replica in place, to restore it perhaps."""
        bucket, key = RING[number % 3], self.keys[number % len(self.keys)]
        replica = None
        if number % 5 == 4:
            # What is put in order meanwhile may take the original away.
            self.become_quiet()
            replica = self._replica(bucket, key)
        if replica is None:
            self.ring[bucket].put(key, f"round {number}".encode())
        else:
            source: Any = {"Bucket": bucket, "Key": key, "VersionId": replica}
            self.ring[bucket].s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
            self.copied += 1
        self.made[bucket, key] += 1

    def _replica(self, bucket: str, key: str) -> str | None:
        world = self.ring[bucket]
        for version in world.versions(bucket, key):
            if version.kind is Kind.OBJECT:
                held = world.s3.head_object(Bucket=bucket, Key=key, VersionId=version.version_id)
                if any(name.startswith(RESERVED) for name in held["Metadata"]):
                    return version.version_id
        return None

    def listed(self) -> dict[tuple[str, str], int]:
        return {
            (bucket, key): len(self.ring[bucket].versions(bucket, key))
            for bucket in RING
            for key in self.keys
        }

    def held(self, bucket: str, key: str) -> Iterator[tuple[str, Stamp | None]]:
        """The content of each version, and its stamp."""
        world = self.ring[bucket]
        for version in world.versions(bucket, key):
            answer = world.s3.get_object(Bucket=bucket, Key=key, VersionId=version.version_id)
            yield answer["Body"].read().decode(), Stamp.read(answer["Metadata"])

    def become_quiet(self) -> None:
        for _ in range(3):
            for world in self.ring.values():
                world.becomes_quiet()


def test_an_object_goes_one_hop_and_nothing_goes_round(ring: Mapping[str, World]) -> None:
    game = Game(ring, "hop")
    for number in range(ROUNDS):
        game.play(number)
    before = {there: here for here, there in NEXT.items()}
    expected = {
        (bucket, key): game.made[bucket, key] + game.made[before[bucket], key]
        for bucket in RING
        for key in game.keys
    }
    wait_until(lambda: sum(game.listed().values()) >= sum(expected.values()), "everything has arrived")
    game.become_quiet()
    assert game.listed() == expected
    assert sum(game.made.values()) == ROUNDS
    assert game.copied > 0


def test_what_is_carried_onward_goes_to_every_bucket_and_not_back(ring: Mapping[str, World]) -> None:
    """What had to be copied again to stand in order is carried onward again; but nothing comes back."""
    game = Game(ring, "onward")
    for number in range(ONWARD_ROUNDS):
        game.play(number)
    written = {key: {content for b in RING for content, _ in game.held(b, key)} for key in game.keys}
    wait_until(
        lambda: all({c for c, _ in game.held(b, key)} == written[key] for b in RING for key in game.keys),
        "everything has arrived everywhere",
    )
    game.become_quiet()
    for bucket, key in itertools.product(RING, game.keys):
        stamps = [stamp for _, stamp in game.held(bucket, key) if stamp is not None]
        arrived = [stamp for stamp in stamps if stamp.names(bucket, key)]
        assert all(bucket_digest(bucket) not in stamp.came_through for stamp in arrived)
    assert sum(len(content) for content in written.values()) == ONWARD_ROUNDS - game.copied
    assert game.copied > 0
