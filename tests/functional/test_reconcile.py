"""Both sides compared with the ledger: what is wrong is found, put right, or only told of."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, Self

import pytest

from functions.backfill.app import Unfinished
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.ledger import Head, Lease, LedgerKey
from s3replicator.ports import Granted
from tests.functional import jobs
from tests.functional.faults import Fault, faults, no_faults
from tests.functional.jobs import Run
from tests.functional.passing_time import let_leases_run_out, let_time_pass
from tests.functional.test_disorder import expire_lease
from tests.functional.world import ONE, SOURCE, TABLE, TWO, World

MARKERS: dict[str, Any] = {"DeleteMarkerReplication": {"Status": "Enabled"}}


@pytest.fixture
def one(world: World) -> World:
    """Some keys in order: one with history, one deleted."""
    world.rules(MARKERS)
    for number in range(3):
        world.deliver(world.put("key", str(number).encode()))
    world.deliver(world.put("gone"))
    world.deliver(world.mark("gone"))
    return world


def reconcile(world: World, job: str = "job", **request: Any) -> Run:
    return jobs.run(world, job, Kind="reconcile", **request)


def found(done: Run) -> list[tuple[str, str, str]]:
    return sorted((task["key"], task.get("finding", ""), task["status"]) for task in done.tasks)


def test_where_everything_is_in_order_nothing_is_written(one: World) -> None:
    done = reconcile(one)
    assert done.tasks == []
    assert done.batches == 0
    assert done.writes() == []


def test_a_deep_look_at_what_is_in_order_writes_nothing(one: World) -> None:
    done = reconcile(one, Deep=True)
    assert done.tasks == []
    assert done.writes() == []


def test_a_deep_look_at_many_keys_takes_few_batches(one: World) -> None:
    """A batch costs two state transitions, however little is in it."""
    for number in range(20):
        one.deliver(one.put(f"small-{number}"))
    done = reconcile(one, Deep=True)
    assert done.batches == 1
    # Three of one key, one and its marker of another.
    assert done.summary["survey"]["selected"] == done.summary["survey"]["versions"] == 20 + 3 + 2


def test_what_has_just_been_written_is_left_to_its_event(one: World) -> None:
    """In a bucket that is written to, something is always under way: that is no drift."""
    one.put("young")
    assert found(reconcile(one, "scheduled", GraceSeconds=900)) == []
    assert one.versions("young") == []
    assert found(reconcile(one, "asked")) == [("young", "Missing", "SUCCEEDED")]


def test_what_its_event_should_have_brought_long_ago_is_missing(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.put("old")
    now = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + 901)
    assert found(reconcile(one, GraceSeconds=900)) == [("old", "Missing", "SUCCEEDED")]
    assert one.versions("old") == ["content"]


def test_what_events_missed_is_copied(one: World) -> None:
    one.put("key", b"3")
    one.put("new")
    one.mark("key")

    done = reconcile(one)

    assert found(done) == [
        ("key", "Missing", "SUCCEEDED"),
        ("key", "Missing", "SUCCEEDED"),
        ("new", "Missing", "SUCCEEDED"),
    ]
    assert one.versions("key")[:2] == ["marker", "3"]
    assert one.versions("new") == ["content"]
    assert reconcile(one, "again").tasks == []


def test_a_missing_version_below_others(one: World) -> None:
    late = one.put("other", b"late")
    one.deliver(one.put("other", b"newer"))
    assert late
    assert found(reconcile(one)) == [("other", "Missing", "SUCCEEDED")]
    assert one.versions("other") == ["newer", "late"]


def remove_replica(world: World, key: str, number: int) -> None:
    world.s3.delete_object(Bucket=ONE, Key=key, VersionId=world.rows(key)[number].replica)


def test_what_others_removed_is_told_of_and_left(one: World) -> None:
    """Perhaps a lifecycle rule removed it, which would be fought otherwise."""
    remove_replica(one, "key", 1)

    done = reconcile(one)
    assert found(done) == [("key", "Lost", "SKIPPED")]
    assert done.tasks[0]["reason"] == "ReplicaLost"
    assert len(one.versions("key")) == 2

    # From then on it is no news.
    again = reconcile(one, "again")
    assert found(again) == [("key", "", "SKIPPED")]
    assert again.summary["findings"] == {}


def test_what_others_removed_comes_back_if_asked(one: World) -> None:
    remove_replica(one, "key", 1)
    assert found(reconcile(one, RestoreLost=True)) == [("key", "Lost", "SUCCEEDED")]
    assert one.versions("key") == ["2", "1", "0"]
    assert reconcile(one, "again", RestoreLost=True).writes() == []


def test_a_replica_that_no_row_knows_is_recorded(one: World) -> None:
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        one.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    before = {key: one.versions(key) for key in ("key", "gone")}

    done = reconcile(one)

    assert done.count("CopyObject") == done.count("DeleteObject") == 0
    assert {key: one.versions(key) for key in ("key", "gone")} == before
    assert {task["status"] for task in done.tasks} == {"SUCCEEDED"}
    assert {row.status for key in ("key", "gone") for row in one.rows(key)} == {"COMPLETED"}
    assert reconcile(one, "again").tasks == []


def test_what_cannot_be_recovered_is_told_of(one: World) -> None:
    """The ledger was lost, and the source version of a replica is gone: nothing says where it belongs."""
    [version] = [
        listed["VersionId"]
        for listed in one.s3.list_object_versions(Bucket=SOURCE, Prefix="key")["Versions"]
        if one.content("key", SOURCE, listed["VersionId"]) == "1"
    ]
    one.s3.delete_object(Bucket=SOURCE, Key="key", VersionId=version)
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        one.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})

    done = reconcile(one)

    told = [task for task in done.tasks if task["status"] != "SUCCEEDED"]
    assert [(task["version"], task["status"], task["reason"]) for task in told] == [
        (version, "SKIPPED", "SrcVersionNotFound")
    ]
    assert one.versions("key") == ["2", "1", "0"]
    # From then on it is no news.
    assert reconcile(one, "again").summary["findings"] == {}


def test_a_second_replica_is_recorded_and_kept(one: World) -> None:
    """It has a nonce of its own, as every copy of ours has."""
    named: Any = {"Bucket": ONE, "Key": "key"}
    replica = one.s3.get_object(**named, VersionId=one.rows("key")[0].replica)
    stamp = {**replica["Metadata"], "s3replicator-nonce": "another"}
    one.s3.put_object(**named, Body=replica["Body"].read(), Metadata=stamp)
    done = reconcile(one)
    assert ("key", "Twice", "SUCCEEDED") in found(done)
    # Nobody can know that it is not a user's, so it stays, below the newest.
    assert one.versions("key") == ["2", "0", "1", "0"]
    assert reconcile(one, "again").tasks == []


def test_replicas_in_the_wrong_order(one: World) -> None:
    """The ledger believes that the oldest one is the copy that was made last."""
    first = one.rows("key")[0]
    again = one.s3.copy_object(
        Bucket=ONE, Key="key", CopySource={"Bucket": ONE, "Key": "key", "VersionId": first.replica}
    )
    pretend(one, first.replica, again["VersionId"])

    assert found(reconcile(one)) == [("key", "WrongOrder", "SUCCEEDED")]
    assert one.versions("key")[:3] == ["2", "1", "0"]
    assert reconcile(one, "again").tasks == []


def pretend(world: World, replica: str | None, other: str) -> None:
    """The row of ``replica`` says ``other``; the former becomes a copy that is still to be removed."""
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        for row in [item.get("row"), *item.get("rows", {"M": {}})["M"].values()]:
            if row and row["M"].get("replica") == {"S": replica}:
                row["M"]["replica"] = {"S": other}
                row["M"]["left"] = {"L": [{"S": replica}]}
                world.dynamodb.put_item(TableName=TABLE, Item=item)


def test_somebody_has_written_over_the_replica(one: World) -> None:
    """Scenario 193."""
    one.s3.put_object(Bucket=ONE, Key="key", Body=b"altered")

    assert [task["finding"] for task in reconcile(one, DryRun=True).tasks] == ["Overwritten"]
    assert one.content("key") == "altered"

    done = reconcile(one, "again", RestoreLost=True)
    assert found(done) == [("key", "Overwritten", "SUCCEEDED")]
    # What is not ours is never removed.
    assert one.versions("key") == ["2", "altered", "1", "0"]
    assert reconcile(one, "third").tasks == []


def test_a_repair_that_nobody_went_on_with(one: World) -> None:
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        if item["sk"]["S"] == "HEAD" and item["pk"]["S"].endswith("#gone"):
            one.dynamodb.put_item(TableName=TABLE, Item={**item, "unsettled": {"BOOL": True}})
    assert found(reconcile(one)) == [("gone", "Unsettled", "SUCCEEDED")]
    assert one.at_rest("gone")


def test_tags_that_differ(one: World) -> None:
    one.s3.put_object_tagging(
        Bucket=SOURCE, Key="key", Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]}
    )
    assert reconcile(one).tasks == []

    assert found(reconcile(one, "dry", Deep=True, DryRun=True)) == [("key", "Different", "SKIPPED")]
    assert found(reconcile(one, "deep", Deep=True)) == [("key", "Different", "SUCCEEDED")]
    assert one.tags("key", str(one.rows("key")[-1].replica)) == {"colour": "red"}


def test_tags_that_somebody_changed_at_the_replica(one: World) -> None:
    """Scenario 193."""
    one.deliver(one.put("tagged", Tagging="colour=red"))
    replica = str(one.row("tagged").replica)
    tags = {"TagSet": [{"Key": "colour", "Value": "green"}]}
    one.s3.put_object_tagging(Bucket=ONE, Key="tagged", VersionId=replica, Tagging=tags)
    assert found(reconcile(one, "dry", Deep=True, DryRun=True)) == [("tagged", "Different", "SKIPPED")]
    assert one.tags("tagged", replica) == {"colour": "green"}
    assert found(reconcile(one, "deep", Deep=True)) == [("tagged", "Different", "SUCCEEDED")]
    assert one.tags("tagged", replica) == {"colour": "red"}


# -- locks that differ

DAY: Final = timedelta(days=1)
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html; moto refuses nothing.
LOCKED: Final[Any] = {
    "status": 403,
    "code": "AccessDenied",
    "message": "Access Denied because object protected by object lock.",
}


@dataclass(frozen=True)
class Locked:
    """A version at the source and its replica, both retained until ``until``."""

    world: World
    version: str
    replica: str
    until: datetime

    def retain(self, bucket: str, mode: str, until: datetime) -> Self:
        retention = {"Mode": mode, "RetainUntilDate": until}
        self.world.s3.put_object_retention(**self._of(bucket), Retention=retention)
        return self

    def hold(self, bucket: str, status: str) -> Self:
        self.world.s3.put_object_legal_hold(**self._of(bucket), LegalHold={"Status": status})
        return self

    def lock(self, bucket: str = ONE) -> tuple[str, datetime, str]:
        """Mode, until when, and whether it is held."""
        told = self.world.s3.head_object(**self._of(bucket))
        held = told.get("ObjectLockLegalHoldStatus", "OFF")
        return told["ObjectLockMode"], told["ObjectLockRetainUntilDate"], held

    def _of(self, bucket: str) -> dict[str, str]:
        version = self.version if bucket == SOURCE else self.replica
        return {"Bucket": bucket, "Key": "locked", "VersionId": version}


@pytest.fixture
def locked(world: World) -> Locked:
    world.rules(MARKERS)
    event = world.put("locked")
    world.deliver(event)
    until = datetime.now(UTC).replace(microsecond=0) + 30 * DAY
    made = Locked(world, world.version_of(event), str(world.row("locked").replica), until)
    # moto asks for a checksum of a copy that is locked, as S3 does of an upload only.
    for bucket in (SOURCE, ONE):
        made.retain(bucket, "GOVERNANCE", until)
    assert made.lock() == made.lock(SOURCE) == ("GOVERNANCE", until, "OFF")
    return made


#: What is done by hand, and what the replica has after a deep reconcile.
CHANGES: Final[dict[str, Callable[[Locked], Any]]] = {
    "extended at the source": lambda it: it.retain(SOURCE, "GOVERNANCE", it.until + DAY),
    "made stricter at the source": lambda it: it.retain(SOURCE, "COMPLIANCE", it.until),
    "shortened at the replica": lambda it: it.retain(ONE, "GOVERNANCE", it.until - DAY),
    "held at the source": lambda it: it.hold(SOURCE, "ON"),
    "let go of at the source": lambda it: it.hold(SOURCE, "ON").hold(ONE, "ON").hold(SOURCE, "OFF"),
    "let go of at the replica": lambda it: it.hold(SOURCE, "ON").hold(ONE, "ON").hold(ONE, "OFF"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_lock_that_differs(locked: Locked, change: Callable[[Locked], Any]) -> None:
    """Scenario 116: S3 sends no event of a legal hold."""
    change(locked)
    before = locked.lock()
    assert reconcile(locked.world).tasks == []

    dry = reconcile(locked.world, "dry", Deep=True, DryRun=True)
    assert found(dry) == [("locked", "Different", "SKIPPED")]
    assert dry.writes() == []
    assert locked.lock() == before

    assert found(reconcile(locked.world, "deep", Deep=True)) == [("locked", "Different", "SUCCEEDED")]
    assert locked.lock() == locked.lock(SOURCE)
    again = reconcile(locked.world, "again", Deep=True)
    assert again.tasks == []
    assert again.writes() == []


#: A lock at the destination that the source never had: its owner's, or the bucket's default.
OWN: Final[dict[str, Callable[[Locked], Any]]] = {
    "held": lambda it: it.hold(ONE, "ON"),
    "never held": lambda it: it.hold(ONE, "OFF"),
}


@pytest.mark.parametrize("change", OWN.values(), ids=OWN)
def test_a_lock_of_the_destination_alone_is_left(locked: Locked, change: Callable[[Locked], Any]) -> None:
    change(locked)
    before = locked.lock()
    done = reconcile(locked.world, Deep=True)
    assert done.tasks == []
    assert done.writes() == []
    assert locked.lock() == before


def test_a_retention_of_the_destination_alone_is_left(one: World) -> None:
    replica = str(one.rows("key")[-1].replica)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + DAY}
    one.s3.put_object_retention(Bucket=ONE, Key="key", VersionId=replica, Retention=retention)
    assert reconcile(one, Deep=True).tasks == []


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_retention_that_cannot_be_shortened(locked: Locked, mode: str) -> None:
    """It ends, and says why; no role may bypass governance, and nobody may shorten compliance."""
    locked.retain(ONE, mode, locked.until + DAY)
    before = locked.lock()
    for job in ("first", "second"):
        with faults(Fault("PutObjectRetention", times=99, **LOCKED)):
            done = reconcile(locked.world, job, Deep=True)
        assert found(done) == [("locked", "Different", "FAILED")]
        assert done.tasks[0]["version"] == locked.version
        assert done.tasks[0]["reason"] == "DstObjectLocked"
        assert "protected by object lock" in done.tasks[0]["detail"]
        assert done.summary["statuses"] == {"SUCCEEDED": 0, "FAILED": 1, "SKIPPED": 0, "PENDING": 0}
        assert done.count("PutObjectRetention") == 1
    assert locked.lock() == before
    # The version itself is where it belongs: there is nothing to be tried again.
    assert locked.world.at_rest("locked")
    assert locked.world.row("locked").status == "COMPLETED"
    assert locked.world.parked() == []


def test_what_is_refused_keeps_nothing_else_from_being_put_right(locked: Locked) -> None:
    """Neither the hold nor the tags of the version, nor another version of its key."""
    world, named = locked.world, {"Bucket": SOURCE, "Key": "locked"}
    world.deliver(world.put("locked", b"newer"))
    newer = world.rows("locked")[-1]
    world.s3.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "a", "Value": "newer"}]})
    locked.retain(ONE, "COMPLIANCE", locked.until + DAY)
    locked.hold(SOURCE, "ON")

    with faults(Fault("PutObjectRetention", times=99, **LOCKED)):
        done = reconcile(world, Deep=True)

    assert sorted((task["status"], task.get("reason")) for task in done.tasks) == [
        ("FAILED", "DstObjectLocked"),
        ("SUCCEEDED", None),
    ]
    assert locked.lock() == ("COMPLIANCE", locked.until + DAY, "ON")
    assert world.tags("locked", str(newer.replica)) == {"a": "newer"}


def test_each_version_is_told_of_with_its_own_reason(locked: Locked) -> None:
    world = locked.world
    world.deliver(world.put("locked", b"newer"))
    world.s3.put_object_tagging(Bucket=SOURCE, Key="locked", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    locked.retain(ONE, "COMPLIANCE", locked.until + DAY)
    refused = Fault("PutObjectTagging", status=403, code="AccessDenied", times=99)
    with faults(Fault("PutObjectRetention", times=99, **LOCKED), refused):
        done = reconcile(world, Deep=True)
    assert {task["version"] == locked.version: task["reason"] for task in done.tasks} == {
        True: "DstObjectLocked",
        False: "DstPutTaggingNotPermitted",
    }


def test_what_could_not_be_put_right_for_a_moment_is_no_success(one: World) -> None:
    """The replica is there, so the ledger calls its version COMPLETED; its tags are still the former ones."""
    one.s3.put_object_tagging(
        Bucket=SOURCE, Key="key", Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]}
    )
    with faults(Fault("PutObjectTagging", status=503, code="SlowDown", times=99)):
        done = reconcile(one, Deep=True)
    assert found(done) == [("key", "Different", "FAILED")]
    assert done.tasks[0]["reason"] == "Throttled"
    assert found(reconcile(one, "again", Deep=True)) == [("key", "Different", "SUCCEEDED")]


# -- repairs that take longer, and others at work


SLOW: Final[Any] = {"status": 503, "code": "SlowDown", "times": 9}


def statuses(world: World) -> list[str]:
    told = [line for name in jobs.names(world, "jobs/job/results/") for line in jobs.lines(world, name)]
    return [task["status"] for task in told]


def put_in_wrong_order(world: World, key: str = "key") -> None:
    first = world.rows(key)[0]
    source = {"Bucket": ONE, "Key": key, "VersionId": first.replica}
    again = world.s3.copy_object(Bucket=ONE, Key=key, CopySource=source)
    pretend(world, first.replica, again["VersionId"])


def write_over(world: World) -> None:
    world.s3.put_object(Bucket=ONE, Key="key", Body=b"altered")


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (put_in_wrong_order, "WrongOrder"),
        (write_over, "Overwritten"),
        (lambda world: remove_replica(world, "key", 2), "Lost"),
        (lambda world: world.put("key", b"2"), "Missing"),
    ],
    ids=["wrong order", "written over", "lost", "missing"],
)
def test_a_repair_that_is_delayed_is_pending_until_it_is_done(
    one: World, spoil: Callable[[World], Any], finding: str
) -> None:
    """The ledger calls a version COMPLETED that has been copied, wherever the copy lies."""
    spoil(one)
    seen: list[list[str]] = []

    def between() -> None:
        """Before the report is begun, and whenever it has looked."""
        seen.append(statuses(one))
        if len(seen) > 1:
            with no_faults():
                let_time_pass(one, rounds=1)

    with faults(Fault("CopyObject", **SLOW)):
        done = reconcile(one, RestoreLost=True, between=between)

    assert seen[:2] == [["PENDING"], ["PENDING"]]
    assert found(done) == [("key", finding, "SUCCEEDED")]
    assert one.content("key") == "2"
    assert one.at_rest("key")
    assert reconcile(one, "again", RestoreLost=True).tasks == []


def test_a_missing_version_that_is_refused_is_a_failure(one: World) -> None:
    one.put("new")
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=9)):
        done = reconcile(one)
    assert found(done) == [("new", "Missing", "FAILED")]
    assert done.tasks[0]["reason"] == "DstPutObjectNotPermitted"
    assert done.summary["statuses"]["FAILED"] == 1
    assert len(one.parked()) == 1


def test_a_missing_version_that_cannot_be_copied_is_told_of(one: World) -> None:
    one.put("archived", StorageClass="GLACIER")
    done = reconcile(one)
    assert found(done) == [("archived", "Missing", "SKIPPED")]
    assert done.tasks[0]["reason"] == "SrcObjectNotEligible"
    assert one.versions("archived") == []
    # From then on it is no news.
    assert reconcile(one, "again").tasks == []


def hold(world: World, key: LedgerKey) -> Head:
    """Another worker does."""
    now = SystemClock().now()
    answer = world.ledger.lease(
        key, f"{SOURCE}/{key.key}", None, lease=Lease("another", now + 60), intent=None, now=now
    )
    assert isinstance(answer, Granted)
    return answer.head


def let_go(world: World, key: LedgerKey, head: Head) -> None:
    world.ledger.write(key, "another", replace(head, lease=None))


@pytest.mark.parametrize("kind", ["reconcile", "backfill"])
def test_a_key_that_is_held_at_one_destination_is_told_of_at_both(world: World, kind: str) -> None:
    """What was put right at the other one while this one was waited for is not found again."""
    world.rules(MARKERS, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}, **MARKERS})
    world.deliver(world.put("key"))
    for bucket in (ONE, TWO):
        world.s3.delete_object(Bucket=bucket, Key="key", VersionId=world.row("key", bucket).replica)
    request: dict[str, Any] = {"Kind": kind, "RestoreLost": True}
    jobs.survey(world, "job", request)
    [name] = jobs.names(world, "jobs/job/batches/")
    key = LedgerKey(TWO, "key")
    head = hold(world, key)
    with pytest.raises(Unfinished):
        jobs.invoke(world, "backfill", {"job": "job", "batch": name})
    let_go(world, key, head)

    done = jobs.run(world, "job", **request)

    told = sorted((task["destination"], task["status"]) for task in done.tasks)
    assert told == [(ONE, "SUCCEEDED"), (TWO, "SUCCEEDED")]
    assert (world.versions("key"), world.versions("key", TWO)) == (["content"], ["content"])


@pytest.mark.parametrize("dry", [True, False], ids=["dry", "repairing"])
def test_a_key_that_somebody_is_at_work_on_is_not_judged(one: World, dry: bool) -> None:
    """Between the copy and its row everything looks wrong."""
    event = one.put("key", b"3")
    with faults(Fault("PutItem", status=500, code="InternalServerError", times=99)):
        one.deliver(event)
    assert one.ledger_head("key").lease is not None
    assert one.versions("key")[0] == "3"

    request: dict[str, Any] = {"Kind": "reconcile", "DryRun": dry}
    jobs.survey(one, "job", request)
    [name] = jobs.names(one, "jobs/job/batches/")
    with pytest.raises(Unfinished):
        jobs.invoke(one, "backfill", {"job": "job", "batch": name})

    expire_lease(one)
    one.deliver(event)
    one.drain()
    assert jobs.run(one, "job", **request).tasks == []
    assert one.versions("key") == ["3", "2", "1", "0"]


DRIFT: Final = {
    "ordered": "WrongOrder",
    "lost": "Lost",
    "tagged": "Different",
    "missing": "Missing",
    "older missing": "Missing",
}


def let_drift(world: World) -> None:
    for key in ("ordered", "lost", "tagged"):
        for number in range(3):
            world.deliver(world.put(key, str(number).encode()))
    put_in_wrong_order(world, "ordered")
    remove_replica(world, "lost", 1)
    tags = {"TagSet": [{"Key": "colour", "Value": "red"}]}
    world.s3.put_object_tagging(Bucket=SOURCE, Key="tagged", Tagging=tags)
    for number in range(3):
        event = world.put("older missing", str(number).encode())
        if number:
            world.deliver(event)
        world.put("missing", str(number).encode())


def is_right(world: World, key: str) -> bool:
    if key == "tagged":
        return world.tags(key, str(world.rows(key)[-1].replica)) == {"colour": "red"}
    return world.versions(key)[:3] == ["2", "1", "0"]


@pytest.mark.parametrize(
    ("operation", "skipped", "effect"),
    [
        ("CopyObject", 0, False),
        ("CopyObject", 6, False),
        ("CopyObject", 3, True),
        ("HeadObject", 5, False),
        ("ListObjectVersions", 5, False),
        ("PutItem", 0, False),
        ("PutItem", 5, True),
        ("PutObjectTagging", 0, False),
        ("UpdateItem", 3, False),
    ],
)
def test_whatever_fails_the_report_agrees_with_the_bucket(
    world: World, operation: str, skipped: int, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success is what has been put right by then, and everything that was wrong is told of."""
    world.rules(MARKERS)
    let_drift(world)
    let_leases_run_out(world, monkeypatch, *DRIFT)
    counter = count()
    how: dict[str, Any] = {} if effect else {"status": 503, "code": "SlowDown"}
    with faults(Fault(operation, effect=effect, times=6, when=lambda _: next(counter) >= skipped, **how)):
        done = reconcile(world, Deep=True, RestoreLost=True)

    told = {(task["key"], task.get("finding")) for task in done.tasks}
    untold = DRIFT.items() - told
    # A key that could not be looked at is told of as such.
    assert {key for key, _ in untold} <= {key for key, finding in told if finding is None}
    succeeded = {task["key"] for task in done.tasks if task["status"] == "SUCCEEDED"}
    assert [key for key in succeeded if not is_right(world, key)] == []

    let_time_pass(world)
    reconcile(world, "again", Deep=True, RestoreLost=True)
    assert [key for key in DRIFT if not is_right(world, key)] == []
    assert reconcile(world, "third", Deep=True, RestoreLost=True).writes() == []


@pytest.mark.parametrize("skipped", range(8))
def test_no_list_that_fails_makes_success_of_what_was_not_put_right(one: World, skipped: int) -> None:
    """The row of a lost replica says COMPLETED, before and after."""
    remove_replica(one, "key", 1)
    counter = count()
    late = Fault(
        "ListObjectVersions", status=503, code="SlowDown", times=6, when=lambda _: next(counter) >= skipped
    )
    with faults(late):
        done = reconcile(one, RestoreLost=True)
    if any(task["status"] == "SUCCEEDED" for task in done.tasks):
        assert one.versions("key")[:3] == ["2", "1", "0"]
    let_time_pass(one)
    reconcile(one, "again", RestoreLost=True)
    assert one.versions("key")[:3] == ["2", "1", "0"]


def test_workers_of_one_batch_lose_no_finding_of_each_other(one: World) -> None:
    """The ones of an execution that was stopped work on. What one has put right, no other finds."""
    keys = [f"new-{number:02}" for number in range(12)]
    for key in keys:
        for number in range(3):
            one.put(key, str(number).encode())
    jobs.survey(one, "job", {"Kind": "reconcile"})
    batches = jobs.names(one, "jobs/job/batches/")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: jobs.work(one, "job", name, beside=True), batches * 2))

    done = jobs.run(one, "job", Kind="reconcile")

    assert found(done) == sorted((key, "Missing", "SUCCEEDED") for key in keys for _ in range(3))
    assert done.summary["findings"] == {"Missing": 36}
    assert [one.versions(key) for key in keys] == [["2", "1", "0"]] * 12


def test_a_reconcile_goes_on_where_uploads_cannot_be_listed(one: World) -> None:
    one.put("missed")
    with faults(Fault("ListMultipartUploads", status=403, code="AccessDenied", times=99)):
        done = reconcile(one)
    assert one.versions("missed") == ["content"]
    told = {
        (task["key"], task["status"], task["reason"])
        for task in done.tasks
        if task.get("finding") == "StrayUpload"
    }
    assert told == {("", "FAILED", "DstListBucketNotPermitted")}


def test_uploads_that_nobody_goes_on_with(one: World) -> None:
    """moto says of all uploads that they were begun in 2010."""
    for key in ("key", "theirs"):
        one.s3.create_multipart_upload(Bucket=ONE, Key=key)
    assert found(reconcile(one)) == [("key", "StrayUpload", "SKIPPED")]
    # Nothing tells whose they are.
    assert one.open_uploads() == 2


def test_a_dry_run_tells_and_does_nothing(one: World) -> None:
    one.put("new")
    remove_replica(one, "key", 0)
    done = reconcile(one, DryRun=True)
    assert {task["finding"] for task in done.tasks} == {"Missing", "Lost"}
    assert done.writes() == []
    assert one.versions("new") == []


def test_what_was_found_is_a_metric(one: World, capsys: pytest.CaptureFixture[str]) -> None:
    one.put("new")
    reconcile(one)
    assert '"DriftFound":[1.0]' in capsys.readouterr().out


def test_versions_that_no_rule_selects_are_no_drift(world: World) -> None:
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}})
    world.put("untagged")
    done = reconcile(world)
    assert done.tasks == []
    assert done.writes() == []


def test_foreign_objects_are_left_alone(one: World) -> None:
    one.s3.put_object(Bucket=ONE, Key="theirs", Body=b"content")
    done = reconcile(one, RestoreLost=True)
    assert done.tasks == []
    assert one.versions("theirs") == ["content"]
