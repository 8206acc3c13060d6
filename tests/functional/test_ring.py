"""A ring of three stacks that do not know each other, by notifications, by EventBridge and by jobs."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.functional import jobs
from tests.functional.test_eventbridge import bridged
from tests.functional.test_replicas import copied_in_place, event_of
from tests.functional.world import ONE, SOURCE, TWO, World

RING: Final = (SOURCE, ONE, TWO)
NEXT: Final = dict(zip(RING, (ONE, TWO, SOURCE), strict=True))
REGIONS: Final = {SOURCE: "us-east-1", ONE: "us-east-1", TWO: "eu-west-1"}
ROUNDS: Final = 50


@dataclass
class Ring:
    world: World
    patch: pytest.MonkeyPatch
    by_eventbridge: bool
    seen: set[tuple[str, str]] = field(default_factory=set)
    #: What somebody has written, by bucket.
    made: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for bucket in RING:
            self.world.s3.create_bucket(Bucket=f"control-of-{bucket}")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tests.functional.world.CONTROL", f"control-of-{bucket}")
                self.world.rules({"Destination": {"Bucket": f"arn:aws:s3:::{NEXT[bucket]}"}})

    def stack_of(self, bucket: str) -> None:
        """From now on its functions answer."""
        control, to = f"control-of-{bucket}", NEXT[bucket]
        self.patch.setattr("tests.functional.jobs.CONTROL", control)
        self.world.settings(SOURCE_BUCKET=bucket, DESTINATIONS=f"{to}:{REGIONS[to]}", CONTROL_BUCKET=control)

    def listed(self, bucket: str) -> list[dict[str, Any]]:
        """Oldest first."""
        versions = self.world.s3.list_object_versions(Bucket=bucket).get("Versions", [])
        return sorted(versions, key=lambda version: version["LastModified"])

    def write(self, number: int) -> None:
        """Every fifth time a replica is copied in place, to restore it perhaps."""
        bucket, key = RING[number % 3], f"key-{number % 4}"
        replicas = [
            v["VersionId"] for v in self.listed(bucket) if v["Key"] == key and self.is_stamped(bucket, v)
        ]
        if number % 5 == 4 and replicas:
            copied_in_place(self.world, bucket, key, replicas[0])
        else:
            self.world.s3.put_object(Bucket=bucket, Key=key, Body=f"{number}".encode())
        self.made[bucket] += 1

    def is_stamped(self, bucket: str, version: dict[str, Any]) -> bool:
        named = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        return "s3replicator-nonce" in self.world.s3.head_object(**named)["Metadata"]

    def deliver(self) -> int:
        """To each stack the events of what is new in its source; how many."""
        told = 0
        for bucket in RING:
            new = [v for v in self.listed(bucket) if (bucket, v["VersionId"]) not in self.seen]
            self.seen |= {(bucket, version["VersionId"]) for version in new}
            told += len(new)
            if new:
                self.stack_of(bucket)
                self.world.deliver(*(self.event(bucket, version) for version in new))
                self.world.drain()
        return told

    def event(self, bucket: str, version: dict[str, Any]) -> dict[str, Any]:
        event = event_of(self.world, bucket, version["Key"], version["VersionId"], "ObjectCreated:Put")
        if not self.by_eventbridge:
            return event
        told = bridged(self.world, event)
        told["detail"]["bucket"]["name"] = bucket
        return told

    def counts(self) -> dict[str, int]:
        return {bucket: len(self.listed(bucket)) for bucket in RING}


@pytest.mark.parametrize("by_eventbridge", [False, True], ids=["notifications", "eventbridge"])
def test_each_object_goes_one_hop_and_nothing_goes_round(
    world: World, monkeypatch: pytest.MonkeyPatch, by_eventbridge: bool
) -> None:
    ring = Ring(world, monkeypatch, by_eventbridge)
    for number in range(ROUNDS):
        ring.write(number)
        if number % 5 == 3:
            # What was written, then what came of it; after that there is nothing more.
            assert [ring.deliver() > 0, ring.deliver() > 0, ring.deliver() > 0] == [True, True, False]
    while ring.deliver():
        pass
    before = {there: here for here, there in NEXT.items()}
    expected = {bucket: ring.made[bucket] + ring.made[before[bucket]] for bucket in RING}
    assert ring.counts() == expected
    for kind in ("reconcile", "backfill"):
        for bucket in RING:
            ring.stack_of(bucket)
            done = jobs.run(world, f"{kind}-of-{bucket}", Kind=kind)
            assert done.count("CopyObject") == done.count("DeleteObject") == 0
    assert ring.counts() == expected
