"""What is told on the account's event bus: what fails, and what is not there after 15 minutes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest

from s3replicator.adapters.event_bus import EventBus
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.announcements import Announcement
from s3replicator.decisions.announcements import Event as Told
from s3replicator.decisions.failures import RetryableError
from tests.functional import jobs
from tests.functional.faults import Fault, faults
from tests.functional.passing_time import let_time_pass
from tests.functional.world import ONE, SOURCE, TWO, Event, World

MINUTES_15: Final = {"Status": "Enabled", "Time": {"Minutes": 15}}
METRICS: Final = {"Metrics": {"Status": "Enabled"}}
TIME_CONTROL: Final[dict[str, Any]] = {
    "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
    "ReplicationTime": MINUTES_15,
}
SLOW: Final[dict[str, Any]] = {"status": 503, "code": "SlowDown", "times": 99}
DENIED: Final[dict[str, Any]] = {"status": 403, "code": "AccessDenied"}


def rule(destination: dict[str, Any], bucket: str = ONE, **more: Any) -> dict[str, Any]:
    return {"Destination": {"Bucket": f"arn:aws:s3:::{bucket}", **destination}, **more}


class Listener:
    """A rule on the bus, whose target is a queue."""

    def __init__(self) -> None:
        self._sqs = boto3.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="listener")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        events = boto3.client("events")
        events.put_rule(Name="listener", EventPattern=json.dumps({"source": ["s3-replicator"]}))
        events.put_targets(Rule="listener", Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}])

    def heard(self) -> list[dict[str, Any]]:
        """What has come since the last time."""
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def names(self) -> list[str]:
        return [event["detail-type"] for event in self.heard()]


@pytest.fixture
def listener(world: World) -> Listener:
    world.rules(rule(TIME_CONTROL, DeleteMarkerReplication={"Status": "Enabled"}))
    return Listener()


def aged(event: Event, minutes: float = 16) -> Event:
    """The event as it is when it was written so long ago."""
    record = event["Records"][0]
    written = datetime.fromisoformat(record["eventTime"]) - timedelta(minutes=minutes)
    record["eventTime"] = written.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def held_up(world: World, event: Event) -> None:
    with faults(Fault("CopyObject", **SLOW)):
        world.deliver(event)


def test_a_version_that_comes_in_time_is_not_told_of(world: World, listener: Listener) -> None:
    recording = world.deliver(world.put("key")).recording
    world.sweep()
    assert listener.names() == []
    assert "PutEvents" not in recording.sent


def test_a_late_version_is_told_of_once_and_again_when_it_is_there(world: World, listener: Listener) -> None:
    """M203."""
    began = datetime.now(UTC).replace(microsecond=0)
    put = aged(world.put("key"))
    held_up(world, put)
    assert listener.names() == []
    world.sweep()
    [missed] = listener.heard()
    world.sweep()
    with faults(Fault("CopyObject", **SLOW)):
        let_time_pass(world, rounds=1)
    assert listener.names() == []
    let_time_pass(world)
    [late] = listener.heard()
    world.deliver(put)
    let_time_pass(world)

    assert listener.names() == []
    assert missed["detail-type"] == "OperationMissedThreshold"
    assert missed["source"] == "s3-replicator"
    assert missed["resources"] == [f"arn:aws:s3:::{SOURCE}"]
    assert missed["detail"] == {
        "version": "0",
        "bucket": {"name": SOURCE},
        "object": {"key": "key", "version-id": world.version_of(put)},
        "replicationEventData": {
            "replicationRuleId": "rule-1",
            "destinationBucket": f"arn:aws:s3:::{ONE}",
            "s3Operation": "OBJECT_PUT",
            "requestTime": put["Records"][0]["eventTime"],
            "threshold": 15,
        },
    }
    assert late["detail-type"] == "OperationReplicatedAfterThreshold"
    told = dict(late["detail"]["replicationEventData"])
    replicated = datetime.fromisoformat(told.pop("replicationTime"))
    assert told == missed["detail"]["replicationEventData"]
    assert began <= replicated <= datetime.now(UTC)


def test_it_is_told_of_when_it_becomes_late_and_not_before(world: World, listener: Listener) -> None:
    put = aged(world.put("key"), minutes=14)
    written = datetime.fromisoformat(put["Records"][0]["eventTime"]).timestamp()
    held_up(world, put)
    world.sweep()
    assert listener.names() == []
    assert world.row("key").late_at == written + 900


def test_a_version_that_waits_for_long_is_not_swept_again_for_being_late(
    world: World, listener: Listener
) -> None:
    """Its own due time is far off: a message is under way."""
    first, second = aged(world.put("key", b"1")), aged(world.put("key", b"2"))
    world.deliver(second)
    world.deliver(first)  # handed over, with half an hour for the message
    assert listener.names() == ["OperationMissedThreshold", "OperationReplicatedAfterThreshold"]
    world.take("dead-letter")
    world.sweep()
    assert listener.names() == ["OperationMissedThreshold"]
    assert world.take("dead-letter") == []
    [due] = [row.due for row in world.rows("key") if row.due is not None]
    assert world.ledger_head("key").due() == due


def test_a_version_that_has_waited_in_a_queue_is_told_of_when_it_is_there(
    world: World, listener: Listener
) -> None:
    """Nobody knew of it before."""
    world.deliver(aged(world.put("key")))
    assert listener.names() == ["OperationMissedThreshold", "OperationReplicatedAfterThreshold"]
    world.deliver(aged(world.put("key")), aged(world.put("other")))
    assert len(listener.names()) == 4


def test_a_row_that_has_spilled_is_told_of_too(world: World, listener: Listener) -> None:
    events = [aged(world.put("key", str(number).encode())) for number in range(3)]
    held_up(world, events[0])
    world.deliver(events[1], events[2])  # wait until somebody has looked what became of the first
    assert world.ledger_head("key").spilled
    world.sweep()
    assert listener.names() == ["OperationMissedThreshold"] * 3
    world.sweep()
    assert listener.names() == []


def test_each_destination_is_told_of_by_its_own_rule(world: World) -> None:
    world.rules(rule(TIME_CONTROL), rule(METRICS, TWO))
    listener = Listener()
    held_up(world, aged(world.put("key")))
    world.sweep()
    [missed] = listener.heard()
    assert missed["detail"]["replicationEventData"]["destinationBucket"] == f"arn:aws:s3:::{ONE}"


@pytest.mark.parametrize("destination", [{}, METRICS], ids=["nothing", "metrics"])
def test_without_replication_time_nothing_is_late(world: World, destination: dict[str, Any]) -> None:
    """As with Amazon: it is what promises the 15 minutes."""
    world.rules(rule(destination))
    listener = Listener()
    world.deliver(aged(world.put("key")))
    held_up(world, aged(world.put("key")))
    world.sweep()
    let_time_pass(world)
    assert listener.names() == []
    assert world.versions("key") == ["content", "content"]


def test_a_delete_marker_is_never_late(world: World, listener: Listener) -> None:
    world.deliver(world.put("key"))
    world.deliver(aged(world.mark("key")))
    assert listener.names() == []
    assert world.versions("key")[0] == "marker"


def test_what_a_job_brings_is_never_late(world: World, listener: Listener, small_parts: int) -> None:
    """Large objects, too, though the large lane brings those."""
    world.put("old")
    world.put_parts("large", [bytes(small_parts), b"rest"])
    for key in ("old", "large"):
        aged(world.event("ObjectCreated:Put", key, "unused"))
    jobs.run(world, "backfill", between=world.drain)
    assert world.versions("old") == ["content"]
    assert len(world.versions("large")) == 1
    assert listener.names() == []


def test_a_replica_that_is_restored_is_not_late(
    world: World, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deliver(world.put("key"))
    assert listener.names() == []
    world.s3.delete_object(Bucket=ONE, Key="key", VersionId=world.row("key").replica)
    now = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + 3600)
    world.settle("key", restoreLost=True)
    let_time_pass(world)
    assert world.versions("key") == ["content"]
    assert listener.names() == []


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda world, put: world.purge(put), id="deleted at the source"),
        pytest.param(lambda world, _: world.rules({"Filter": {"Prefix": "x"}}), id="the rule has changed"),
    ],
)
def test_a_late_version_that_need_not_come_any_more_is_not_tracked_any_more(
    world: World, listener: Listener, end: Callable[[World, Event], object]
) -> None:
    put = aged(world.put("key"))
    held_up(world, put)
    world.sweep()
    assert listener.names() == ["OperationMissedThreshold"]
    end(world, put)
    world.settings()  # new environments read the rules anew
    let_time_pass(world)
    world.deliver(put)
    let_time_pass(world)

    [told] = listener.heard()
    assert told["detail-type"] == "OperationNotTracked"
    assert told["detail"]["replicationEventData"]["replicationRuleId"] == "rule-1"
    assert world.versions("key") == []


def test_a_version_that_is_not_late_ends_in_silence(world: World, listener: Listener) -> None:
    put = world.put("key")
    held_up(world, put)
    world.purge(put)
    let_time_pass(world)
    assert world.row("key").status == "TOMBSTONE"
    assert listener.names() == []


@pytest.mark.parametrize("destination", [METRICS, TIME_CONTROL], ids=["metrics", "replication time"])
def test_a_failure_is_told_of_with_its_reason(world: World, destination: dict[str, Any]) -> None:
    """M202."""
    world.rules(rule(destination))
    listener = Listener()
    put = world.put("key")
    with faults(Fault("CopyObject", **DENIED)):
        world.deliver(put)

    [failed] = listener.heard()
    assert failed["detail-type"] == "OperationFailedReplication"
    assert failed["detail"]["replicationEventData"] == {
        "replicationRuleId": "rule-1",
        "destinationBucket": f"arn:aws:s3:::{ONE}",
        "s3Operation": "OBJECT_PUT",
        "requestTime": put["Records"][0]["eventTime"],
        "failureReason": "DstPutObjectNotPermitted",
    }


def test_without_metrics_a_failure_is_not_told_of(world: World) -> None:
    world.rules({})
    listener = Listener()
    with faults(Fault("CopyObject", **DENIED)):
        world.deliver(world.put("key"))
    assert listener.names() == []
    assert len(world.take("parked")) == 1


def test_a_version_that_has_failed_is_not_late_when_an_operator_sends_it_again(
    world: World, listener: Listener
) -> None:
    with faults(Fault("CopyObject", **DENIED)):
        world.deliver(world.put("key"))
    assert listener.names() == ["OperationFailedReplication"]
    [parked] = [json.loads(body) for body in world.take("parked")]
    world.deliver({**parked, "Records": aged(parked, minutes=60)["Records"]})
    assert world.row("key").status == "COMPLETED"
    assert listener.names() == []


def test_a_failed_tag_change_is_told_of_as_such(world: World, listener: Listener) -> None:
    put = world.put("key")
    world.deliver(put)
    tagged = world.tag(put, a="b")
    with faults(Fault("PutObjectTagging", **DENIED)):
        world.deliver(tagged)
    [failed] = listener.heard()
    assert failed["detail"]["replicationEventData"]["s3Operation"] == "OBJECT_PUT_TAGGING"


def test_a_large_object_on_whose_parts_somebody_works_is_told_of_once(
    world: World, listener: Listener, small_parts: int
) -> None:
    """It has no row before it is there; its message remembers."""
    put = aged(world.put_parts("key", [bytes(small_parts), b"rest"]))
    world.deliver(put)
    assert listener.names() == []
    world.deliver(*world.take("large"), to="replicate_large", seconds=30)
    assert listener.names() == ["OperationMissedThreshold"]
    world.deliver(*world.take("large"), to="replicate_large", seconds=30)
    assert listener.names() == []
    world.drain()

    assert listener.names() == ["OperationReplicatedAfterThreshold"]
    assert world.row("key").status == "COMPLETED"


def test_a_large_object_that_is_late_and_fails_is_told_of_as_failed(
    world: World, listener: Listener, small_parts: int
) -> None:
    world.deliver(aged(world.put_parts("key", [bytes(small_parts), b"rest"])))
    with faults(Fault("UploadPartCopy", **DENIED, times=9)):
        world.drain()
    assert listener.names() == ["OperationMissedThreshold", "OperationFailedReplication"]


def test_late_versions_are_counted(
    world: World, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    held_up(world, aged(world.put("key")))
    world.deliver(aged(world.put("other")))
    world.sweep()
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    missed = [metrics for metrics in printed if "ReplicationThresholdMissed" in metrics]
    assert [metrics["ReplicationThresholdMissed"] for metrics in missed] == [[1.0], [1.0]]
    assert {metrics["SourceBucket"] for metrics in missed} == {SOURCE}


def test_a_bus_that_cannot_be_reached_holds_up_nothing(
    world: World, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    with faults(Fault("PutEvents", status=500, code="InternalFailure", times=9)):
        assert world.deliver(aged(world.put("key"))).failed == []
    assert world.row("key").status == "COMPLETED"
    assert "events not sent" in caplog.text


def announcement(key: str) -> Announcement:
    return Announcement(Told.FAILED, key, "version", ONE, "rule", "OBJECT_PUT", 1.0, "Reason")


def test_events_are_sent_ten_at_a_time(world: World, listener: Listener) -> None:
    EventBus(lambda: boto3.client("events"), SOURCE).tell(
        [announcement(f"{number:02}") for number in range(21)]
    )
    assert [event["detail"]["object"]["key"] for event in listener.heard()] == [f"{n:02}" for n in range(21)]


class Refusing:
    """A bus that takes only the first event of each request, for a while."""

    def __init__(self, client: Any, times: int) -> None:
        self.meta = client.meta
        self._client = client
        self._times = times

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - the SDK's name
        self._times -= 1
        if self._times < 0:
            return dict(self._client.put_events(Entries=Entries))
        self._client.put_events(Entries=Entries[:1])
        return {"Entries": [{"EventId": "1"}, *({"ErrorCode": "ThrottlingException"} for _ in Entries[1:])]}


def test_events_that_the_bus_refuses_are_sent_again(world: World, listener: Listener) -> None:
    EventBus(lambda: Refusing(boto3.client("events"), 2), SOURCE).tell([announcement(key) for key in "abcd"])
    assert [event["detail"]["object"]["key"] for event in listener.heard()] == ["a", "b", "c", "d"]
    with pytest.raises(RetryableError, match="1 events were refused"):
        EventBus(lambda: Refusing(boto3.client("events"), 9), SOURCE).tell(
            [announcement(key) for key in "abcd"]
        )
