"""Events that come twice, out of order, or after a worker has died: scenarios E."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

from s3replicator.decisions.ledger import Head, Intent, Lease, OrderFacts, Row, Status
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, VersionRef
from tests.e2e.world import DOOMED, FAR, FRAGILE, NEAR, SOURCE, Record, World

OTHERS = (FAR, FRAGILE, DOOMED)


def test_an_event_delivered_twenty_times_makes_one_replica(world: World) -> None:
    """Scenario 79: in parallel, and again later, also to the function itself."""
    folder = world.folder("both")
    key = folder + "object"
    with world.notifications_held_back() as take:
        version = world.put(key, b"once")
        [record] = take(folder, 1)
    body = json.dumps({"Records": [record]})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(world.send_together, [[body] * 5] * 4))
    replicas = {destination: world.arrives(destination, key, version) for destination in (NEAR, FAR)}
    world.send_together([body] * 3)
    world.send(record, record)
    assert world.invoke("ReplicateFunctionName", {"Records": [record]}) == {}
    assert world.invoke("RetryFunctionName", {"Records": [record]}) == {}
    world.becomes_quiet()
    for destination, replica in replicas.items():
        assert [each.version_id for each in world.versions(destination, key)] == [replica]
        world.converges(destination, key)
    assert not world.parked(folder)


def test_a_bare_event_is_replicated_like_a_queued_one(world: World) -> None:
    folder = world.folder("one")
    key = folder + "a b+c"
    with world.notifications_held_back() as take:
        version = world.put(key, b"bare")
        [record] = take(folder, 1)
        assert world.invoke("ReplicateFunctionName", {"Records": [record]}) == {}
        world.arrives_exactly(NEAR, key, version)


def test_twenty_writes_to_each_of_fifty_keys_end_with_the_newest_everywhere(world: World) -> None:
    """Scenario 82; ten of the keys go to two destinations."""
    folders = [world.folder("both")] * 10 + [world.folder("one")] * 40
    keys = [f"{folder}{n:02}" for n, folder in enumerate(folders)]

    def write(key: str) -> list[str]:
        return [world.put(key, f"{key} {n}".encode()) for n in range(20)]

    with ThreadPoolExecutor(10) as threads:
        written = dict(zip(keys, threads.map(write, keys), strict=True))
    for key, versions in written.items():
        for destination in (NEAR, FAR) if key.startswith("both/") else (NEAR,):
            world.converges(destination, key)
            assert world.rows(destination, key).keys() == set(versions)
    world.becomes_quiet()
    assert not world.parked()


def test_a_busy_key_keeps_its_order_and_does_not_hold_up_others(world: World) -> None:
    """Scenario 91."""
    folder = world.folder("one")
    hot, cold = folder + "hot", folder + "cold"
    for n in range(50):
        world.put(hot, str(n).encode())
    other = world.put(cold, b"other")
    for n in range(50, 100):
        world.put(hot, str(n).encode())
    arrived = world.ends(NEAR, cold, other).completed
    world.converges(NEAR, hot)
    rows = world.rows(NEAR, hot).values()
    assert arrived is not None
    assert arrived < max(row.completed or 0.0 for row in rows)
    assert not any(row.attempts for row in rows), "waiting is no failure"
    assert not world.parked(folder)


def test_a_version_that_comes_after_a_newer_one_is_put_below_it(world: World) -> None:
    """Scenario 80."""
    folder = world.folder("one")
    key = folder + "swapped"
    with world.notifications_held_back() as take:
        first, second = world.put(key, b"first"), world.put(key, b"second")
        records = take(folder, 2)
    world.send(records[1])
    world.arrives_exactly(NEAR, key, second)
    world.send(records[0])
    world.arrives_exactly(NEAR, key, first)
    world.converges(NEAR, key)
    assert not world.parked(folder)
    told = json.loads(world.s3rctl("status", f"s3://{SOURCE}/{key}", "--json"))
    for version in told["versions"]:
        there = {at["destination"]: (at["status"], at["reason"]) for at in version["destinations"]}
        assert there == {NEAR: ("COMPLETED", None)} | dict.fromkeys(OTHERS, ("NONE", None))


def test_both_versions_in_one_batch_are_copied_in_their_order(world: World) -> None:
    """Scenarios 80 and 163: swapped within what one worker gets."""
    folder = world.folder("one")
    key = folder + "together"
    with world.notifications_held_back() as take:
        versions = [world.put(key, str(n).encode()) for n in range(5)]
        records = take(folder, 5)
    world.send(*reversed(records))
    for version in versions:
        world.arrives_exactly(NEAR, key, version)
    world.converges(NEAR, key)


# -- workers that die


class Crash:
    """A version whose worker has died after it took the lease and announced what it would write."""

    def __init__(self, world: World, lane: str) -> None:
        self.world = world
        self.folder = world.folder(lane)
        self.key = self.folder + "object"

    def write(self, body: bytes) -> tuple[str, Record]:
        with self.world.notifications_held_back() as take:
            version = self.world.put(self.key, body)
            [record] = take(self.folder, 1)
        return version, record

    def die(self, version: str, record: Record, kind: Kind = Kind.OBJECT, lease: float = -1.0) -> None:
        """``lease``: how many seconds from now the dead worker's lease ends; another call changes that."""
        now = time.time()
        order = OrderFacts(record["s3"]["object"]["sequencer"], now - 5)
        head = self.world.head(NEAR, self.key) or Head(f"{SOURCE}/{self.key}")
        intent = Intent(nonce="nonce-of-the-dead", version_id=version, kind=kind, at=now - 4, order=order)
        left = Head(head.source, Lease("token-of-the-dead", now + lease), intent, head.unsettled, head.rows)
        self.world.write_head(NEAR, self.key, left)

    def copy(self, version: str) -> str:
        """What the worker made before it died; returns the replica's version id."""
        stamp = Stamp.of(VersionRef(SOURCE, self.key, version), "nonce-of-the-dead", NEAR, self.key)
        answer = self.world.s3.copy_object(
            Bucket=NEAR,
            Key=self.key,
            CopySource={"Bucket": SOURCE, "Key": self.key, "VersionId": version},
            MetadataDirective="REPLACE",
            Metadata=stamp.metadata(),
        )
        return answer["VersionId"]

    def is_settled(self) -> None:
        self.world.becomes_quiet()
        self.world.settles(NEAR, self.key)
        assert not self.world.parked(self.folder)


def test_a_replica_whose_worker_died_before_it_said_so_is_adopted(world: World) -> None:
    """Scenario 89."""
    crash = Crash(world, "one")
    version, record = crash.write(b"x")
    replica = crash.copy(version)
    crash.die(version, record)
    world.send(record)
    assert world.arrives(NEAR, crash.key, version) == replica
    crash.is_settled()
    world.converges(NEAR, crash.key)


def test_a_large_replica_whose_worker_died_before_it_said_so_is_adopted(world: World) -> None:
    """Scenario 89, in the other lane: what was uploaded again meanwhile is thrown away."""
    crash = Crash(world, "one")
    version, record = crash.write(bytes(129 << 20))
    replica = crash.copy(version)
    crash.die(version, record)
    world.send(record)
    assert world.arrives(NEAR, crash.key, version) == replica
    crash.is_settled()
    world.converges(NEAR, crash.key)
    assert not world.s3.list_multipart_uploads(Bucket=NEAR, Prefix=crash.key).get("Uploads")


def test_a_copy_that_was_announced_and_never_made_is_made_once(world: World) -> None:
    """Scenario 89, the other way."""
    crash = Crash(world, "one")
    version, record = crash.write(b"x")
    crash.die(version, record)
    world.send(record)
    world.arrives_exactly(NEAR, crash.key, version)
    crash.is_settled()
    world.converges(NEAR, crash.key)


def test_a_marker_whose_worker_died_before_it_said_so_is_adopted_in_doubt(world: World) -> None:
    """Scenario 89: a marker carries no stamp."""
    crash = Crash(world, "one")
    world.arrives(NEAR, crash.key, world.put(crash.key, b"x"))
    with world.notifications_held_back() as take:
        marker = world.delete(crash.key)
        [record] = take(crash.folder, 1)
    replica = world.s3.delete_object(Bucket=NEAR, Key=crash.key)["VersionId"]
    crash.die(marker, record, Kind.MARKER)
    world.send(record)
    row = world.ends(NEAR, crash.key, marker)
    assert (row.replica, row.doubt) == (replica, True)
    crash.is_settled()
    world.converges(NEAR, crash.key)


def test_a_new_version_does_not_forget_what_a_dead_worker_left(world: World) -> None:
    """The dead worker's own event is lost; another version of the key comes along."""
    crash = Crash(world, "one")
    version, record = crash.write(b"old")
    replica = crash.copy(version)
    crash.die(version, record)
    newer = world.put(crash.key, b"new")
    assert world.arrives(NEAR, crash.key, version) == replica
    world.arrives_exactly(NEAR, crash.key, newer)
    crash.is_settled()
    world.converges(NEAR, crash.key)


def test_a_key_that_another_worker_holds_is_given_back_alone(world: World) -> None:
    """Scenario 94: the rest of the batch is done meanwhile."""
    crash = Crash(world, "one")
    version, record = crash.write(b"held")
    others = [f"{crash.folder}other-{n}" for n in range(9)]
    with world.notifications_held_back() as take:
        versions = {key: world.put(key, b"x") for key in others}
        records = take(crash.folder, 9)
        crash.die(version, record, lease=3600.0)
        world.send_together([json.dumps({"Records": [one]}) for one in (record, *records)])
    for key, other in versions.items():
        world.arrives(NEAR, key, other)
    assert not world.rows(NEAR, crash.key)
    assert not world.versions(NEAR, crash.key)
    crash.die(version, record)
    world.arrives_exactly(NEAR, crash.key, version)
    crash.is_settled()
    world.converges(NEAR, crash.key)


def test_what_is_due_is_sent_round_by_the_sweep(world: World) -> None:
    """A row that waits for its time, as an attempt that met an outage leaves it."""
    crash = Crash(world, "one")
    version, record = crash.write(b"x")
    now = time.time()
    row = Row(
        kind=Kind.OBJECT,
        status=Status.PENDING,
        order=OrderFacts(record["s3"]["object"]["sequencer"], now),
        rule="rule-0",
        reason="ServiceUnavailable",
        attempts=2,
        first_failure=now - 60,
        last_failure=now - 30,
        due=now - 1,
        event_time=now - 60,
    )
    world.write_head(NEAR, crash.key, Head(f"{SOURCE}/{crash.key}", rows={version: row}))
    world.sweep()
    world.arrives_exactly(NEAR, crash.key, version)
    crash.is_settled()
    world.converges(NEAR, crash.key)
