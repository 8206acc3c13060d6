"""Stacks whose sources are each other's destinations: scenarios K.

A and B replicate to each other below ``two/``; below ``ring/`` A replicates to B, B to C, and C to A. Each
stack knows the principals of those that write into its source.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from local.stack import Stack
from s3replicator.decisions.ledger import Status
from s3replicator.decisions.versions import Kind
from tests.e2e.deployments import Deployment
from tests.e2e.world import Rule, World, rule, wait_until

A, B, C = BUCKETS = "e2e-a", "e2e-b", "e2e-c"
RULES: Final[Mapping[str, Sequence[Rule]]] = {
    A: (rule("two/", B, version_deletes=True), rule("ring/", B)),
    B: (rule("two/", A, version_deletes=True), rule("ring/", C)),
    C: (rule("ring/", A),),
}
DESTINATIONS: Final = {A: (B,), B: (A, C), C: (A,)}


@pytest.fixture(scope="module")
def sites_stacks(stack: Stack) -> Mapping[str, Stack]:
    """By source. They end with the embedded AWS."""
    first = World(stack)
    for bucket in BUCKETS:
        first.make_bucket(bucket)
    deployments = {
        source: Deployment(first, f"from-{source}").create(
            SourceBucket=source, Destinations=",".join(destinations), DefaultRule="Disabled"
        )
        for source, destinations in DESTINATIONS.items()
    }
    writers = {
        source: deployment.deployed().outputs["WriterPrincipals"]
        for source, deployment in deployments.items()
    }
    for source, deployment in deployments.items():
        peers = (writers[other] for other, destinations in DESTINATIONS.items() if source in destinations)
        deployment.update(PeerPrincipals=",".join(peers))
    stacks = {source: deployment.deployed() for source, deployment in deployments.items()}
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda source: World(stacks[source]).configure(RULES[source]), BUCKETS))
    for stack_of_source in stacks.values():
        forget_probes(World(stack_of_source))
    return stacks


def forget_probes(world: World) -> None:
    """The check of a deployment writes to destinations, which are sources here. The emulator ends a function
    whose stack is updated, whatever it is doing, and its messages are then hidden for minutes."""
    world.sqs.purge_queue(QueueUrl=world.stack.outputs["IngestQueueUrl"])


class Sites:
    """The three worlds; ``a`` and ``b`` replicate to each other."""

    def __init__(self, stacks: Mapping[str, Stack]) -> None:
        self.worlds = {source: World(stack) for source, stack in stacks.items()}
        self.a, self.b, self.c = (self.worlds[bucket] for bucket in BUCKETS)

    def key(self, lane: str) -> str:
        return self.a.folder(lane) + "object"

    def become_quiet(self) -> None:
        """Whatever the replicas have set off has been dealt with."""
        for _ in range(2):
            for world in self.worlds.values():
                world.becomes_quiet()
            # S3 needs a moment from the write to the record of it.
            time.sleep(0.3)

    def listed(self, key: str) -> dict[str, list[str]]:
        """The ids of all versions of the key, newest first, by bucket."""
        return {bucket: [v.version_id for v in self.a.versions(bucket, key)] for bucket in BUCKETS}

    def known(self, key: str) -> dict[str, Collection[str]]:
        """The source versions that each stack has rows of, by source."""
        return {
            source: {vid for destination in DESTINATIONS[source] for vid in world.rows(destination, key)}
            for source, world in self.worlds.items()
        }


@pytest.fixture
def sites(sites_stacks: Mapping[str, Stack]) -> Sites:
    return Sites(sites_stacks)


def test_an_object_arrives_on_the_other_side_and_does_not_come_back(sites: Sites) -> None:
    """Scenario 166."""
    key = sites.key("two")
    first = sites.a.put(key, b"from A")
    replica = sites.a.arrives_exactly(B, key, first)
    sites.become_quiet()
    assert sites.listed(key) == {A: [first], B: [replica], C: []}
    second = sites.b.put(key, b"from B")
    back = sites.b.arrives_exactly(A, key, second)
    sites.become_quiet()
    assert sites.listed(key) == {A: [back, first], B: [second, replica], C: []}
    assert sites.known(key) == {A: {first}, B: {second}, C: set()}


def test_a_large_object_does_not_come_back_either(sites: Sites) -> None:
    key = sites.key("two")
    version = sites.a.put(key, bytes(129 << 20))
    replica = sites.a.arrives(B, key, version)
    sites.become_quiet()
    assert sites.listed(key) == {A: [version], B: [replica], C: []}


def test_a_delete_makes_one_marker_on_each_side(sites: Sites) -> None:
    """Scenario 167."""
    key = sites.key("two")
    first = sites.a.put(key)
    replica = sites.a.arrives(B, key, first)
    marker = sites.a.delete(key)
    hidden = sites.a.arrives(B, key, marker)
    sites.become_quiet()
    assert sites.listed(key) == {A: [marker, first], B: [hidden, replica], C: []}
    assert sites.known(key) == {A: {marker, first}, B: set(), C: set()}


def test_a_replica_that_is_deleted_where_it_arrived_is_deleted_at_its_origin(sites: Sites) -> None:
    """Whose version is hidden does not matter: each side is the other's replica."""
    key = sites.key("two")
    first = sites.a.put(key)
    replica = sites.a.arrives(B, key, first)
    marker = sites.b.delete(key)
    hidden = sites.b.arrives(A, key, marker)
    sites.become_quiet()
    assert sites.listed(key) == {A: [hidden, first], B: [marker, replica], C: []}


def test_markers_made_on_both_sides_at_once_do_not_echo(sites: Sites) -> None:
    """Scenario 83."""
    key = sites.key("two")
    first = sites.a.put(key)
    replica = sites.a.arrives(B, key, first)
    for _ in range(3):
        with ThreadPoolExecutor(2) as threads:
            markers = threads.submit(sites.a.delete, key), threads.submit(sites.b.delete, key)
        at_b = sites.a.arrives(B, key, markers[0].result())
        at_a = sites.b.arrives(A, key, markers[1].result())
        sites.become_quiet()
        listed = sites.listed(key)
        assert set(listed[A][:2]) == {markers[0].result(), at_a}
        assert set(listed[B][:2]) == {markers[1].result(), at_b}
    assert (listed[A][-1], listed[B][-1]) == (first, replica)
    assert (len(listed[A]), len(listed[B])) == (7, 7)


def test_many_changes_on_both_sides_at_once_go_over_once(sites: Sites) -> None:
    keys = [f"{sites.key('two')}-{number}" for number in range(5)]

    def change(world: World) -> dict[str, set[str]]:
        made: dict[str, set[str]] = {key: set() for key in keys}
        for number in range(6):
            for key in keys:
                made[key].add(world.delete(key) if number % 3 == 2 else world.put(key, b"x"))
        return made

    with ThreadPoolExecutor(2) as threads:
        at_a, at_b = threads.map(change, (sites.a, sites.b))
    for key in keys:
        is_known(sites.a, B, key, at_a[key])
        is_known(sites.b, A, key, at_b[key])
    sites.become_quiet()
    for key in keys:
        of_a, of_b = sites.a.rows(B, key), sites.b.rows(A, key)
        assert (set(of_a), set(of_b)) == (at_a[key], at_b[key])
        listed = sites.listed(key)
        assert set(listed[A]) == at_a[key] | {row.replica for row in of_b.values() if row.replica}
        assert set(listed[B]) == at_b[key] | {row.replica for row in of_a.values() if row.replica}
        assert {row.status for row in (*of_a.values(), *of_b.values())} <= {
            Status.COMPLETED,
            Status.SUPERSEDED,
        }


def is_known(world: World, destination: str, key: str, versions: set[str]) -> None:
    """S3 may tell of the last of them when all others have been dealt with."""
    wait_until(lambda: versions <= world.rows(destination, key).keys(), f"S3 has told of all of {key!r}")


def test_a_deleted_version_goes_on_the_other_side_and_nothing_comes_back(sites: Sites) -> None:
    key = sites.key("two")
    first, second = sites.a.put(key, b"first"), sites.a.put(key, b"second")
    replicas = [sites.a.arrives(B, key, version) for version in (first, second)]
    sites.a.s3.delete_object(Bucket=A, Key=key, VersionId=second)
    sites.a.ends(B, key, second, Status.TOMBSTONE)
    sites.become_quiet()
    assert sites.listed(key) == {A: [first], B: [replicas[0]], C: []}
    assert sites.known(key)[B] == set()


def test_a_replica_deleted_by_somebody_leaves_its_source_alone(sites: Sites) -> None:
    """The replica is a version at B, but B's own stack never replicated it."""
    key = sites.key("two")
    first = sites.a.put(key)
    replica = sites.a.arrives(B, key, first)
    sites.b.s3.delete_object(Bucket=B, Key=key, VersionId=replica)
    sites.become_quiet()
    assert sites.listed(key) == {A: [first], B: [], C: []}


def test_an_undelete_shows_the_object_on_both_sides(sites: Sites) -> None:
    key = sites.key("two")
    first = sites.a.put(key)
    replica = sites.a.arrives(B, key, first)
    marker = sites.a.delete(key)
    sites.a.arrives(B, key, marker)
    sites.a.s3.delete_object(Bucket=A, Key=key, VersionId=marker)
    sites.a.ends(B, key, marker, Status.TOMBSTONE)
    sites.become_quiet()
    assert sites.listed(key) == {A: [first], B: [replica], C: []}


def test_settling_by_hand_takes_no_replica_for_an_original(sites: Sites) -> None:
    """Not even a delete marker, which says nowhere who wrote it."""
    key = sites.key("two")
    sites.a.arrives(B, key, sites.a.put(key, b"first"))
    sites.a.arrives(B, key, sites.a.delete(key))
    sites.a.arrives(B, key, sites.a.put(key, b"second"))
    sites.become_quiet()
    before = sites.listed(key)
    for world in (sites.a, sites.b):
        assert world.settle(key) == []
    sites.become_quiet()
    assert sites.listed(key) == before


def test_tags_changed_at_a_replica_leave_its_source_alone(sites: Sites) -> None:
    """Scenario 169; changed at the source, they follow."""
    key = sites.key("two")
    first = sites.a.put(key, Tagging="of=A")
    replica = sites.a.arrives(B, key, first)
    sites.a.s3.put_object_tagging(
        Bucket=B, Key=key, VersionId=replica, Tagging={"TagSet": [{"Key": "of", "Value": "B"}]}
    )
    sites.become_quiet()
    assert sites.a.contents(A, key, first).tags == {"of": "A"}
    assert sites.a.contents(B, key, replica).tags == {"of": "B"}
    sites.a.s3.put_object_tagging(
        Bucket=A, Key=key, VersionId=first, Tagging={"TagSet": [{"Key": "of", "Value": "A again"}]}
    )
    wait_until(lambda: sites.a.contents(B, key, replica).tags == {"of": "A again"}, "the tags have followed")
    sites.become_quiet()
    assert sites.listed(key) == {A: [first], B: [replica], C: []}
    assert sites.a.contents(A, key, first).tags == {"of": "A again"}
    assert sites.known(key)[B] == set()


@pytest.mark.parametrize("at", BUCKETS)
def test_in_a_ring_a_replica_goes_no_further(sites: Sites, at: str) -> None:
    """Scenarios 170 and 172: with its marker, and in a ring as in a chain."""
    key = sites.key("ring")
    world, destination = sites.worlds[at], {A: B, B: C, C: A}[at]
    version = world.put(key, b"round")
    replica = world.arrives(destination, key, version)
    marker = world.delete(key)
    hidden = world.arrives(destination, key, marker)
    sites.become_quiet()
    nowhere: dict[str, list[str]] = {bucket: [] for bucket in BUCKETS}
    assert sites.listed(key) == nowhere | {at: [marker, version], destination: [hidden, replica]}
    assert [v.kind for v in world.versions(destination, key)] == [Kind.MARKER, Kind.OBJECT]
