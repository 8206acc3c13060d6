"""Requests that are lost on their way, and answers that are lost on theirs: scenario 89 on the wire.

A proxy between the functions and AWS ends connections and refuses requests. A visible write that the SDK sent
again of its own accord would make a second replica here.
"""

from collections.abc import Callable
from typing import Final

import pytest

from s3replicator.decisions.ledger import Row, Status
from tests.e2e.convergence import differences
from tests.e2e.proxy import Fault, FaultProxy, Rule
from tests.e2e.world import PROXIED_REPLICAS, World, wait_until

MIB: Final = 1 << 20

Write = Callable[[World, str], str]


def an_object(world: World, key: str) -> str:
    return world.put(key, b"x")


def a_large_object(world: World, key: str) -> str:
    return world.put(key, bytes(129 * MIB))


def a_delete_marker(world: World, key: str) -> str:
    return world.delete(key)


VISIBLE_WRITES: Final = [
    pytest.param("CopyObject", an_object, id="copy"),
    pytest.param("DeleteObject", a_delete_marker, id="marker"),
    pytest.param("CompleteMultipartUpload", a_large_object, id="upload"),
]


class Key:
    """A key with one version that has arrived, and then another in whose way something comes."""

    def __init__(self, world: World, proxy: FaultProxy) -> None:
        self.world, self.proxy = world, proxy
        self.folder = world.folder("purged")
        self.name = self.folder + "object"
        self.original = world.put(self.name, b"first")
        self.first = world.arrives(PROXIED_REPLICAS, self.name, self.original)
        world.becomes_quiet()
        self._before = proxy.seen.copy()

    def sent(self, operation: str) -> int:
        return self.proxy.seen[operation] - self._before[operation]

    def replicas(self) -> list[str]:
        return [each.version_id for each in self.world.versions(PROXIED_REPLICAS, self.name)]

    def ends(self, version: str, status: Status = Status.COMPLETED) -> Row:
        """Wait until the version has this status, and nothing is left to be done."""
        with self.world.sweeping():
            self.world.ends(PROXIED_REPLICAS, self.name, version, status)
            self.world.becomes_quiet()
            self.world.settles(PROXIED_REPLICAS, self.name)
        assert not differences(self.world, PROXIED_REPLICAS, self.name, version_deletes=True)
        assert not self.world.parked(self.folder)
        return self.world.rows(PROXIED_REPLICAS, self.name)[version]

    def ends_with_one_replica_of(self, version: str) -> None:
        """Beside that of the first."""
        row = self.ends(version)
        assert self.replicas() == [row.replica, self.first]


@pytest.fixture
def key(proxied: World, proxy: FaultProxy) -> Key:
    return Key(proxied, proxy)


@pytest.mark.parametrize(("operation", "write"), VISIBLE_WRITES)
def test_a_write_whose_answer_is_lost_is_found_and_not_made_again(
    key: Key, operation: str, write: Write
) -> None:
    with key.proxy.faults(Rule(Fault.DROP_AFTER, (operation,), resource=key.name, times=1)):
        version = write(key.world, key.name)
        key.ends_with_one_replica_of(version)
    assert key.sent(operation) == 1


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.REFUSE])
@pytest.mark.parametrize(("operation", "write"), VISIBLE_WRITES)
def test_a_write_that_was_never_made_is_made_once(
    key: Key, operation: str, write: Write, fault: Fault
) -> None:
    with key.proxy.faults(Rule(fault, (operation,), resource=key.name, times=1)):
        version = write(key.world, key.name)
        key.ends_with_one_replica_of(version)
    assert key.sent(operation) == 2


def test_a_write_that_cannot_be_looked_for_now_is_found_later(key: Key) -> None:
    """The answer is lost, and the destination cannot be listed; nor could a copy be made again then."""
    away = Rule(Fault.REFUSE, ("ListObjectVersions",), resource=PROXIED_REPLICAS)
    with key.proxy.faults(Rule(Fault.DROP_AFTER, ("CopyObject",), resource=key.name, times=1)):
        with key.proxy.faults(away):
            version = an_object(key.world, key.name)
            wait_until(
                lambda: key.world.rows(PROXIED_REPLICAS, key.name).get(version),
                "the attempt has been given up",
            )
        key.ends_with_one_replica_of(version)
    assert key.sent("CopyObject") == 1


@pytest.mark.parametrize("spared", [pytest.param(0, id="lease"), pytest.param(1, id="record")])
@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.REFUSE])
def test_a_write_of_the_ledger_that_gets_no_answer_is_sent_again(key: Key, fault: Fault, spared: int) -> None:
    with key.proxy.faults(Rule(fault, ("UpdateItem",), spared=spared, times=1)):
        version = an_object(key.world, key.name)
        key.ends_with_one_replica_of(version)
    assert key.proxy.done[fault, "UpdateItem"]
    assert key.sent("CopyObject") == 1


def test_versions_are_put_in_order_however_many_answers_are_lost(key: Key) -> None:
    """A late version, and the newer one above it: copied, copied again, and the former copy removed."""
    with key.world.notifications_held_back() as take:
        late, newest = key.world.put(key.name, b"late"), key.world.put(key.name, b"newest")
        records = take(key.folder, 2)
    key.world.send(records[1])
    key.world.arrives(PROXIED_REPLICAS, key.name, newest)
    with key.proxy.faults(
        Rule(Fault.DROP_AFTER, ("CopyObject",), resource=key.name, times=2),
        Rule(Fault.DROP_AFTER, ("DeleteObjectVersion",), resource=key.name, times=1),
    ):
        key.world.send(records[0])
        row = key.ends(late)
    assert key.replicas() == [key.ends(newest).replica, row.replica, key.first]
    assert key.sent("CopyObject") == 3


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.REFUSE])
def test_a_delete_of_a_version_that_gets_no_answer_removes_that_one_only(key: Key, fault: Fault) -> None:
    second = an_object(key.world, key.name)
    row = key.ends(second)
    with key.proxy.faults(Rule(fault, ("DeleteObjectVersion",), resource=key.name, times=1)):
        key.world.s3.delete_object(Bucket=key.world.source, Key=key.name, VersionId=key.original)
        key.ends(key.original, Status.TOMBSTONE)
    assert key.replicas() == [row.replica]
    assert key.proxy.done[fault, "DeleteObjectVersion"]
