"""Replica or not, through the real handlers: what is passed over is seen, and what somebody wrote arrives.

A stack whose source is ``ONE`` or ``TWO`` stands for the next one of a chain or ring: it has its own rules,
and the same ledger table, in which its keys are others.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from s3replicator.decisions import letters
from s3replicator.decisions.events import Origin
from s3replicator.decisions.ledger import LedgerKey, Row
from s3replicator.decisions.stamp import bucket_digest, place_of
from tests.functional import jobs
from tests.functional.faults import Fault, faults
from tests.functional.test_eventbridge import bridged
from tests.functional.world import ONE, SOURCE, TWO, Event, World

PEER: Final = "AROAEXAMPLEPEER00000"
USER: Final = "AROAEXAMPLEUSER00000"
NEXT_CONTROL: Final = "control-of-the-next-stack"
MARKERS: Final[dict[str, Any]] = {"DeleteMarkerReplication": {"Status": "Enabled"}}
ONWARD: Final[dict[str, Any]] = {"Extensions": {"Replicas": {"Status": "Enabled"}}}
FULL: Final = {"note": "x" * 2000}


@pytest.fixture(autouse=True)
def to_one(world: World) -> None:
    """Everything goes to one destination."""
    world.rules(MARKERS)


def stamp(key: str, bucket: str = SOURCE, nonce: str = "nonce") -> dict[str, str]:
    """What anybody can write who may write an object."""
    return {
        "s3replicator-source": "elsewhere",
        "s3replicator-version": "v",
        "s3replicator-nonce": nonce,
        "s3replicator-place": place_of(bucket, key),
    }


def by(event: Event, principal: str) -> Event:
    event["Records"][0]["userIdentity"]["principalId"] = f"AWS:{principal}:session"
    return event


def passed_over(printed: str) -> int:
    """The sum of the metric."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return int(sum(sum(line["ReplicasPassedOver"]) for line in lines if "ReplicasPassedOver" in line))


@contextmanager
def next_stack(
    world: World, source: str, to: str, *, peers: str = "", rule: dict[str, Any] | None = None
) -> Iterator[World]:
    """The functions of a stack that replicates ``source`` to ``to``."""
    control = f"{NEXT_CONTROL}-{source}-{to}"
    world.s3.create_bucket(Bucket=control)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.functional.world.CONTROL", control)
        world.rules({**(MARKERS if rule is None else rule), "Destination": {"Bucket": f"arn:aws:s3:::{to}"}})
        patch.setattr("tests.functional.world.SOURCE", source)
        patch.setattr("tests.functional.jobs.CONTROL", control)
        world.settings(
            SOURCE_BUCKET=source,
            DESTINATIONS=f"{to}:{'eu-west-1' if to == TWO else 'us-east-1'}",
            CONTROL_BUCKET=control,
            PEER_PRINCIPALS=peers,
        )
        yield world
    world.settings(PEER_PRINCIPALS="")


def event_of(world: World, bucket: str, key: str, version_id: str, name: str = "ObjectCreated:Copy") -> Event:
    event = world.event(name, key, version_id)
    event["Records"][0]["s3"]["bucket"] = {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}
    return event


def copied_in_place(world: World, bucket: str, key: str, version_id: str, **arguments: Any) -> str:
    source = {"Bucket": bucket, "Key": key, "VersionId": version_id}
    answer = world.s3.copy_object(Bucket=bucket, Key=key, CopySource=source, **arguments)
    return str(answer["VersionId"])


# -- a stamp that anybody can write


def test_with_peers_what_a_user_wrote_is_replicated_whatever_stamp_it_bears(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    world.deliver(world.put("key", b"old"))
    world.deliver(world.put("key", b"new", Metadata=stamp("key")))
    assert world.versions("key") == ["new", "old"]
    assert [row.origin for row in world.rows("key")] == [None, Origin.USER]


def test_what_a_user_wrote_stays_a_users_when_it_is_sent_round(world: World) -> None:
    """The sweep makes its event from the row, which says nothing of who wrote it."""
    world.settings(PEER_PRINCIPALS=PEER)
    event = world.put("key", Metadata=stamp("key"))
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    world.deliver(event)
    [before] = world.rows("key")
    assert (before.status, before.origin) == ("FAILED", Origin.USER)
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    [parked] = world.take("parked")
    body = json.loads(parked)
    del body["Records"][0]["userIdentity"]
    world.deliver(json.dumps(body))
    assert world.versions("key")[0] == "content"


def test_tags_of_what_a_user_wrote_follow_though_it_bears_a_stamp(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    event = world.put("key", Metadata=stamp("key"))
    world.deliver(event)
    world.deliver(world.tag(event, colour="red"))
    replica = world.row("key").replica
    assert replica is not None
    assert world.tags("key", replica) == {"colour": "red"}


@pytest.mark.parametrize("by_eventbridge", [True, False])
def test_without_peers_it_is_passed_over_and_counted(
    world: World,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    by_eventbridge: bool,
) -> None:
    event = world.put("key", Metadata=stamp("key"))
    capsys.readouterr()
    delivery = world.deliver(bridged(world, event) if by_eventbridge else event)
    assert (delivery.failed, world.versions("key")) == ([], [])
    assert passed_over(capsys.readouterr().out) == 1
    assert "PassedOver" in caplog.messages
    world.deliver(world.put("other"))
    assert passed_over(capsys.readouterr().out) == 0


def test_what_is_passed_over_has_no_row_and_nothing_is_parked(world: World) -> None:
    world.deliver(world.put("key", Metadata=stamp("key")))
    assert world.ledger.history(LedgerKey(ONE, "key")) == (None, {})
    assert world.parked() == []


def test_what_a_peer_wrote_is_counted_and_nothing_is_read(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    events = [by(world.put("key"), PEER), by(world.mark("key"), PEER)]
    capsys.readouterr()
    delivery = world.deliver(*events)
    assert [call for call in delivery.recording.calls if call.arguments.get("Bucket") == SOURCE] == []
    assert (world.versions("key"), passed_over(capsys.readouterr().out)) == ([], 2)
    assert "PassedOver" not in caplog.messages


def test_what_a_peer_changes_later_is_not_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    put = world.put("key")
    capsys.readouterr()
    world.deliver(by(world.tag(put, a="1"), PEER))
    assert (world.versions("key"), passed_over(capsys.readouterr().out)) == ([], 0)


def test_who_changes_a_replica_later_has_not_written_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody tags what a peer wrote: it stays a replica, and is not counted once more."""
    world.settings(PEER_PRINCIPALS=PEER)
    put = world.put("key", Metadata=stamp("key"))
    world.deliver(by(put, PEER))
    capsys.readouterr()
    world.deliver(world.tag(put, a="1"))
    assert (world.versions("key"), passed_over(capsys.readouterr().out)) == ([], 0)


def test_who_gives_a_replica_the_tag_that_its_rule_asks_for_has_not_written_it(world: World) -> None:
    """Else it would be taken for a user's, and carried onward."""
    later = {"TagLater": {"Status": "Enabled"}}
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}, "Extensions": later})
    world.settings(PEER_PRINCIPALS=PEER)
    theirs, ours = world.put("theirs", Metadata=stamp("theirs")), world.put("ours")
    world.deliver(by(theirs, PEER), by(ours, USER))
    world.deliver(world.tag(theirs, copy="yes"), world.tag(ours, copy="yes"))
    assert (world.versions("theirs"), world.versions("ours")) == ([], ["content"])


# -- a copy in place


@pytest.mark.parametrize("peers", ["", PEER])
@pytest.mark.parametrize("without_writer", [True, False])
def test_an_older_version_restored_in_place_goes_to_the_other_side(
    world: World, peers: str, without_writer: bool
) -> None:
    """The other side made it, and it bears the stamp of this place."""
    world.deliver(world.put("key", b"first"), world.put("key", b"second"))
    first, _ = world.rows("key")
    assert first.replica is not None
    with next_stack(world, ONE, SOURCE, peers=peers):
        restored = copied_in_place(world, ONE, "key", first.replica)
        event = event_of(world, ONE, "key", restored)
        if without_writer:
            event["Records"][0]["userIdentity"] = {}
        world.deliver(event)
    assert world.versions("key", SOURCE) == ["first", "second", "first"]
    world.settings(PEER_PRINCIPALS=peers)
    back = event_of(world, SOURCE, "key", world.head("key", SOURCE)["VersionId"])
    world.deliver(by(back, peers) if peers else back)
    assert world.versions("key", ONE) == ["first", "second", "first"]


def test_a_plain_replica_costs_one_list_and_one_read_more_and_one_without_a_stamp_nothing(
    world: World,
) -> None:
    plain = world.deliver(world.put("plain")).recording.sent
    assert plain["ListObjectVersions"] == 0
    assert plain["HeadObject"] == 1
    replica = world.deliver(world.put("key", Metadata=stamp("key"))).recording.sent
    assert (replica["ListObjectVersions"], replica["HeadObject"], replica["GetItem"]) == (1, 1, 1)


def test_an_older_version_of_another_nonce_is_no_original(world: World) -> None:
    world.deliver(world.put("key", Metadata=stamp("key", nonce="one")))
    world.deliver(world.put("key", Metadata=stamp("key", nonce="two")))
    assert world.versions("key") == []


# -- carried onward


def test_a_rule_that_asks_carries_a_replica_onward_with_its_trace(world: World) -> None:
    """Not back to where it came from, though that stack's rule asks, too."""
    world.deliver(world.put("key"))
    replica = world.row("key").replica
    assert replica is not None
    with next_stack(world, ONE, TWO, rule=ONWARD):
        world.deliver(event_of(world, ONE, "key", replica))
    there = world.head("key", TWO)
    digests = sorted([bucket_digest(SOURCE), bucket_digest(ONE)])
    assert there["Metadata"]["s3replicator-trace"].split(",") == digests
    with next_stack(world, TWO, SOURCE, rule=ONWARD):
        world.deliver(event_of(world, TWO, "key", there["VersionId"]))
    assert world.versions("key", SOURCE) == ["content"]


def test_a_peers_object_is_carried_onward_and_its_marker_is_not(world: World) -> None:
    world.rules({**MARKERS, **ONWARD})
    world.settings(PEER_PRINCIPALS=PEER)
    world.deliver(by(world.put("key", Metadata=stamp("key")), PEER), by(world.mark("key"), PEER))
    assert world.versions("key") == ["content"]


def test_what_is_carried_onward_is_carried_by_every_lane(world: World, small_parts: int) -> None:
    world.rules(ONWARD)
    body = b"x" * (2 * small_parts + 4)
    world.deliver(world.put("key", body, Metadata=stamp("key")))
    world.drain()
    assert world.row("key").origin is Origin.ONWARD
    told = world.head("key")["Metadata"]["s3replicator-trace"].split(",")
    assert told == sorted([bucket_digest("elsewhere"), bucket_digest(SOURCE)])


def test_a_peers_large_object_is_carried_onward_for_its_destination_only(
    world: World, small_parts: int
) -> None:
    """Its message says that it was decided, and for which destination."""
    world.rules(ONWARD, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    world.settings(PEER_PRINCIPALS=PEER)
    world.deliver(by(world.put("key", b"x" * (small_parts + 1), Metadata=stamp("key")), PEER))
    world.rules({}, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    world.settings(PEER_PRINCIPALS=PEER)
    world.drain()
    assert (len(world.versions("key", ONE)), world.versions("key", TWO)) == (1, [])
    assert world.ledger.history(LedgerKey(TWO, "key")) == (None, {})


def test_no_message_decides_for_a_version_without_naming_its_destination(world: World) -> None:
    """Whoever may send messages might have a replica go round."""
    event = world.put("key", Metadata=stamp("key"))
    event["Records"][0]["s3replicator"] = {"origin": "user"}
    world.deliver(event)
    assert world.versions("key") == []


@pytest.mark.parametrize("origin", [None, "nonsense"])
def test_no_message_makes_a_row_of_a_replica_by_naming_its_destination(
    world: World, capsys: pytest.CaptureFixture[str], origin: str | None
) -> None:
    event = world.put("key", Metadata=stamp("key"))
    event["Records"][0]["s3replicator"] = {"destination": ONE, "origin": origin}
    capsys.readouterr()
    world.deliver(event)
    assert world.ledger.history(LedgerKey(ONE, "key")) == (None, {})
    assert passed_over(capsys.readouterr().out) == 1


# -- jobs


def test_a_backfill_names_replicas_and_carries_none(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    world.put("plain")
    done = jobs.run(world)
    assert world.versions("key") == []
    assert [(t["key"], t["status"], t.get("reason")) for t in sorted(done.tasks, key=lambda t: t["key"])] == [
        ("key", "SKIPPED", "SrcObjectIsReplica"),
        ("plain", "SUCCEEDED", None),
    ]


def test_a_dry_run_says_what_the_backfill_does(world: World) -> None:
    for number in range(3):
        world.put(f"replica-{number}", Metadata=stamp(f"replica-{number}"))
        world.put(f"plain-{number}")
    for name, statuses in (("all", ["NONE", "FAILED"]), ("replicas", ["REPLICA"])):
        dry = jobs.run(world, f"{name}-dry", DryRun=True, ObjectReplicationStatuses=statuses)
        assert dry.writes() == []
        would = {t["key"] for t in dry.tasks if t.get("reason") is None}
        told = {t["key"]: t["reason"] for t in dry.tasks if t.get("reason") is not None}
        done = jobs.run(world, name, ObjectReplicationStatuses=statuses)
        assert {t["key"] for t in done.tasks if t["status"] == "SUCCEEDED"} == would
        assert {t["key"]: t["reason"] for t in done.tasks if t["status"] == "SKIPPED"} == told
    assert world.versions("replica-1") == world.versions("plain-1") == ["content"]


def test_a_job_for_replicas_leaves_the_others(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    world.put("plain")
    done = jobs.run(world, ObjectReplicationStatuses=["REPLICA"])
    assert (world.versions("key"), world.versions("plain")) == (["content"], [])
    assert done.summary["tasks"] == 1
    assert jobs.run(world, "again", ObjectReplicationStatuses=["REPLICA"]).writes() == []


def test_a_job_for_replicas_and_what_failed_leaves_what_was_never_tried(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    world.put("never")
    failing = world.put("failed")
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    world.deliver(failing)
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    done = jobs.run(world, ObjectReplicationStatuses=["REPLICA", "FAILED"])
    assert {(task["key"], task["status"]) for task in done.tasks} == {
        ("key", "SUCCEEDED"),
        ("failed", "SUCCEEDED"),
    }
    assert world.versions("never") == []


def test_a_job_goes_on_with_a_replica_that_failed(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    jobs.run(world, "first", ObjectReplicationStatuses=["REPLICA"])
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    jobs.run(world, "second", ObjectReplicationStatuses=["REPLICA"])
    assert world.row("key").status == "COMPLETED"


def test_what_failed_as_a_users_is_a_users_for_a_job(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    event = world.put("key", Metadata=stamp("key"))
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    world.deliver(event)
    world.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    jobs.run(world, ObjectReplicationStatuses=["FAILED"])
    assert world.row("key").status == "COMPLETED"


def test_a_reconcile_names_replicas_and_finds_no_drift(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    done = jobs.run(world, Kind="reconcile")
    assert [(task["key"], task["status"], task["reason"]) for task in done.tasks] == [
        ("key", "SKIPPED", "SrcObjectIsReplica")
    ]
    assert (done.summary["findings"], world.versions("key")) == ({}, [])


def test_a_reconcile_brings_what_was_copied_in_place(world: World) -> None:
    first = world.version_of(world.put("key", Metadata=stamp("key")))
    copied_in_place(world, SOURCE, "key", first)
    jobs.run(world, Kind="reconcile")
    assert world.versions("key") == ["content"]
    assert jobs.run(world, "again", Kind="reconcile").writes() == []


# -- what cannot bear a stamp


def test_in_a_stack_with_peers_no_job_carries_what_may_be_a_peers_replica(world: World) -> None:
    """It bears no stamp, and a job has no event that says who wrote it."""
    world.settings(PEER_PRINCIPALS=PEER)
    world.deliver(by(world.put("theirs", Metadata=FULL), PEER))
    for number in range(2):
        done = jobs.run(world, f"reconcile-{number}", Kind="reconcile")
        assert [task["reason"] for task in done.tasks] == ["SrcObjectIsReplica"]
        done = jobs.run(world, f"backfill-{number}")
        assert [task["reason"] for task in done.tasks] == ["SrcObjectIsReplica"]
        world.settle("theirs")
    assert world.versions("theirs") == []
    jobs.run(world, ObjectReplicationStatuses=["REPLICA"])
    assert world.versions("theirs") == ["content"]


def test_in_a_stack_with_peers_what_a_user_wrote_arrives_though_it_bears_no_stamp(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    event = world.put("ours", Metadata=FULL)
    world.deliver(event)
    assert world.versions("ours") == ["content"]
    assert jobs.run(world, Kind="reconcile").tasks == []
    world.deliver(world.tag(event, a="1"))
    replica = world.row("ours").replica
    assert replica is not None
    assert world.tags("ours", replica) == {"a": "1"}


@pytest.mark.parametrize(("writer", "there"), [(PEER, []), (USER, ["content"])])
def test_who_wrote_what_could_not_be_looked_at_is_not_forgotten(
    world: World, writer: str, there: list[str]
) -> None:
    """The job that tries it again has no event that would say so."""
    world.rules(ONWARD)
    world.settings(PEER_PRINCIPALS=PEER)
    event = by(world.put("key", Metadata=FULL), writer)
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=99)):
        world.deliver(event)
    assert world.row("key").status == "PENDING"
    done = jobs.run(world, ObjectReplicationStatuses=["FAILED"])
    assert [task.get("reason") for task in done.tasks] == [None if there else "SrcObjectIsReplica"]
    assert world.versions("key") == there


def test_what_a_job_could_not_look_at_is_not_sent_onward_by_the_sweep(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    world.put("key", Metadata=FULL)
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=99)):
        jobs.run(world)
    assert world.row("key").origin is Origin.UNDECIDED
    world.deliver(json.dumps(letters.from_row(f"{SOURCE}/key", *newest(world, "key"))), to="retry")
    assert (world.row("key").status, world.row("key").reason) == ("NOT_ELIGIBLE", "SrcObjectIsReplica")
    assert world.versions("key") == []


def unreadable() -> Fault:
    return Fault("HeadObject", status=503, code="SlowDown", times=99)


def swept(world: World, key: str = "key") -> str:
    """What the sweep sends round for the only row of a key."""
    return json.dumps(letters.from_row(f"{SOURCE}/{key}", *newest(world, key)))


def test_a_users_event_decides_though_it_cannot_read_the_version_either(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    event = by(world.put("key", Metadata=FULL), USER)
    with faults(unreadable()):
        jobs.run(world)
        world.deliver(event)
    world.deliver(swept(world), to="retry")
    assert world.versions("key") == ["content"]


@pytest.mark.parametrize("metadata", [FULL, stamp("key"), {}])
@pytest.mark.parametrize("job_first", [False, True])
@pytest.mark.parametrize("again", ["sweep", "job"])
def test_what_a_user_wrote_arrives_though_its_event_could_not_read_it(
    world: World, metadata: dict[str, str], job_first: bool, again: str
) -> None:
    """Whoever tries it again has no event that would say who wrote it."""
    world.settings(PEER_PRINCIPALS=PEER)
    event = by(world.put("key", Metadata=metadata), USER)
    with faults(unreadable()):
        if job_first:
            jobs.run(world, "first")
        world.deliver(event)
    if again == "sweep":
        world.deliver(swept(world), to="retry")
    else:
        jobs.run(world, "again", ObjectReplicationStatuses=["FAILED"])
    assert world.versions("key") == ["content"]


def test_what_was_decided_since_is_not_undone_by_what_was_sent_round_before(world: World) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    event = by(world.put("key", Metadata=FULL), USER)
    with faults(unreadable()):
        jobs.run(world)
    sent = swept(world)
    with faults(Fault("CopyObject", status=503, code="SlowDown", times=99)):
        world.deliver(event)
    world.deliver(sent, to="retry")
    assert world.versions("key") == ["content"]


def test_what_was_published_had_been_decided_though_its_answer_was_lost(world: World) -> None:
    """Else an older version that comes late would end above it."""
    world.settings(PEER_PRINCIPALS=PEER)
    old = by(world.put("key", b"old"), USER)
    new = by(world.put_parts("key", [b"new"], Metadata=FULL), USER)
    with faults(unreadable()):
        jobs.run(world)
    with faults(Fault("CopyObject", effect=True, times=1)):
        world.deliver(new)
    world.drain()
    world.deliver(old)
    world.drain()
    assert world.versions("key")[0] == "new"
    assert [row.origin for row in world.rows("key")] == [None, None]


@pytest.mark.parametrize("asked", [["REPLICA"], ["REPLICA", "NONE"]])
@pytest.mark.parametrize("metadata", [FULL, stamp("key")])
def test_a_job_for_replicas_brings_what_ended_as_one(
    world: World, asked: list[str], metadata: dict[str, str]
) -> None:
    world.settings(PEER_PRINCIPALS=PEER)
    world.put("key", Metadata=metadata)
    with faults(unreadable()):
        jobs.run(world)
    world.deliver(swept(world), to="retry")
    assert (world.row("key").status, world.row("key").reason) == ("NOT_ELIGIBLE", "SrcObjectIsReplica")
    jobs.run(world, "again", ObjectReplicationStatuses=asked)
    assert world.versions("key") == ["content"]


@pytest.mark.parametrize("digits", [12, 20, 150, 400])
def test_a_null_version_of_a_time_that_is_none_surprises_nobody(world: World, digits: int) -> None:
    made_up = world.event("ObjectCreated:Put", "key", f"null@{'9' * digits}")
    for function in ("replicate", "retry"):
        assert world.deliver(made_up, to=function).failed == []


def newest(world: World, key: str) -> tuple[str, Row, LedgerKey]:
    [(version_id, row)] = world.ledger_head(key).rows.items()
    return version_id, row, LedgerKey(ONE, key)


def test_without_peers_what_cannot_bear_a_stamp_is_backfilled(world: World) -> None:
    world.put("key", Metadata=FULL)
    jobs.run(world)
    assert world.versions("key") == ["content"]


# -- by hand


def test_a_settled_key_leaves_a_replica_alone(world: World) -> None:
    world.put("key", Metadata=stamp("key"))
    assert world.settle("key") == {"outcomes": [], "busy": []}
    assert world.versions("key") == []
