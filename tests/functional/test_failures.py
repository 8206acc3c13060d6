"""What an operator sees of each class of failure, and what cures it."""

import json
from typing import Any

import pytest

from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import sleep_until
from tests.functional.world import ONE, TWO, World


@pytest.fixture
def one(world: World) -> World:
    """A world with one destination."""
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    return world


def denied(operation: str, **more: Any) -> Fault:
    return Fault(operation, status=403, code="AccessDenied", times=9, **more)


TERMINAL = [
    (denied("CopyObject"), "DstPutObjectNotPermitted"),
    (
        denied("CopyObject", message="User: x is not authorized to perform: s3:PutObjectTagging on y"),
        "DstPutTaggingNotPermitted",
    ),
    (
        denied("CopyObject", message="User: x is not authorized to perform: s3:PutObjectRetention on y"),
        "DstPutRetentionNotPermitted",
    ),
    (Fault("CopyObject", status=404, code="NoSuchBucket", times=9), "DstBucketNotFound"),
    (Fault("CopyObject", status=400, code="KMS.DisabledException", times=9), "DstKmsKeyInvalidState"),
    (Fault("CopyObject", status=400, code="KMS.NotFoundException", times=9), "DstKmsKeyNotFound"),
    (Fault("CopyObject", status=400, code="InvalidRequest", times=9), "RequestRefused"),
]


@pytest.mark.parametrize(("fault", "reason"), TERMINAL, ids=[reason for _, reason in TERMINAL])
def test_what_is_hopeless_is_parked_at_once_with_its_reason(one: World, fault: Fault, reason: str) -> None:
    """J146, J149, F107."""
    fault.happened = 0
    event = one.put("key")
    with faults(fault):
        assert one.deliver(event).failed == []

    assert fault.happened == 1, "no hot retries"
    row = one.row("key")
    assert (row.status, row.reason, row.request_id) == ("FAILED", reason, "REQUEST1")
    [message] = one.messages("parked")
    told = json.loads(message["Body"])["Records"][0]["s3replicator"]
    assert (told["destination"], told["rule"], told["reason"]) == (ONE, "rule-1", reason)
    assert told["attempts"] == 1
    assert told["firstFailure"] == told["lastFailure"]
    attributes = {name: held["StringValue"] for name, held in message["MessageAttributes"].items()}
    assert attributes["reason"] == reason
    assert attributes["destination"] == ONE
    assert attributes["requestId"] == "REQUEST1"
    assert one.versions("key") == []

    one.deliver(message["Body"])
    assert one.versions("key") == ["content"], "sent back to the ingest queue, it is tried again"
    assert one.row("key").status == "COMPLETED"
    assert one.row("key").reason is None


def test_a_denied_delete_marker_is_parked(one: World) -> None:
    """D74."""
    one.deliver(one.put("key"))
    mark = one.mark("key")
    with faults(denied("DeleteObject")):
        one.deliver(mark)

    assert one.versions("key") == ["content"]
    assert [told["reason"] for told in one.parked()] == ["DstDelObjNotPermitted"]


def test_a_source_that_may_not_be_read_is_parked(one: World) -> None:
    """J146: HEAD has no body, so a GET is asked for the reason."""
    with faults(denied("HeadObject"), denied("GetObject", when=to_bucket("source-bucket"))):
        one.deliver(one.put("key"))

    assert [told["reason"] for told in one.parked()] == ["SrcGetObjectNotPermitted"]


def test_tags_that_may_not_be_read_are_never_lost_in_silence(world: World) -> None:
    """F106: native fails, and so do we."""
    world.rules({"Filter": {"Tag": {"Key": "k", "Value": "v"}}})
    with faults(denied("GetObjectTagging")):
        world.deliver(world.put("key", Tagging="k=v"))

    assert world.versions("key") == []
    assert [told["reason"] for told in world.parked()] == ["SrcGetTaggingNotPermitted"]


def test_one_denied_destination_does_not_stop_the_other(world: World) -> None:
    """J161."""
    event = world.put("key")
    with faults(denied("CopyObject", when=to_bucket(TWO))):
        assert world.deliver(event).failed == []

    assert world.versions("key", ONE) == ["content"]
    assert world.row("key", ONE).status == "COMPLETED"
    assert world.row("key", TWO).status == "FAILED"
    [body] = world.take("parked")

    retried = world.deliver(body)

    assert retried.recording.sent["CopyObject"] == 1, "only the failed one"
    assert world.versions("key", TWO) == ["content"]
    assert len(world.versions("key", ONE)) == 1


def test_an_outage_waits_in_the_ledger_and_heals_by_the_sweep(one: World) -> None:
    """J143, J151: the message is acknowledged; the row says why, and when it is tried again."""
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=9)):
        assert one.deliver(one.put("key")).failed == []

    row = one.row("key")
    assert (row.status, row.reason, row.attempts) == ("PENDING", "Throttled", 1)
    assert row.due is not None
    assert one.parked() == []
    sleep_until(row.due)
    one.sweep()
    one.drain()

    assert one.versions("key") == ["content"]
    assert one.row("key").status == "COMPLETED"
    assert one.ledger_head("key").due() is None, "nothing open is left in the index"


def test_a_key_is_not_swept_twice_while_its_message_is_under_way(one: World) -> None:
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=9)):
        one.deliver(one.put("key"))
    sleep_until(one.row("key").due)
    one.sweep()
    one.sweep()

    assert len(one.take("dead-letter")) == 1


def test_what_no_retry_cures_is_parked_in_the_end(one: World) -> None:
    """J151, J152: parked once, after the last attempt."""
    event = one.put("key")
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=999)):
        one.deliver(event)
        for attempt in (2, 3):
            row = one.row("key")
            assert (row.status, row.attempts) == ("PENDING", attempt - 1)
            assert one.parked() == []
            sleep_until(row.due)
            one.sweep()
            one.drain()

    row = one.row("key")
    assert (row.status, row.attempts, row.reason) == ("FAILED", 3, "Throttled")
    [told] = one.parked()
    assert (told["attempts"], told["reason"]) == (3, "Throttled")
    assert told["firstFailure"] < told["lastFailure"]


def test_an_archived_object_is_recorded_as_not_eligible(one: World) -> None:
    """B2, L194."""
    assert one.deliver(one.put("cold", StorageClass="GLACIER")).failed == []

    row = one.row("cold")
    assert (row.status, row.reason) == ("NOT_ELIGIBLE", "SrcObjectNotEligible")
    assert "archived" in (row.detail or "")
    assert one.parked() == []
    assert one.versions("cold") == []


def test_an_object_encrypted_with_kms_needs_an_opt_in(one: World) -> None:
    """H121."""
    one.deliver(one.put("secret", ServerSideEncryption="aws:kms"))

    assert one.row("secret").status == "NOT_ELIGIBLE"
    assert one.versions("secret") == []


def test_an_object_encrypted_with_its_owners_key_is_not_eligible(one: World) -> None:
    event = one.put("owners")
    message = "The object was stored using a form of Server Side Encryption."
    with faults(
        Fault("HeadObject", status=400, code="400", times=9),
        Fault(
            "GetObject",
            status=400,
            code="InvalidRequest",
            message=message,
            when=to_bucket("source-bucket"),
        ),
    ):
        one.deliver(event)

    row = one.row("owners")
    assert (row.status, row.reason) == ("NOT_ELIGIBLE", "SrcObjectNotEligible")
    assert "SSE-C" in (row.detail or "")


def test_a_rule_disabled_between_failure_and_retry_closes_the_row(one: World) -> None:
    """B28."""
    with faults(Fault("HeadObject", status=503, code="SlowDown", times=9)):
        one.deliver(one.put("key"))
    one.rules({"Status": "Disabled"})
    one.settings()
    sleep_until(one.row("key").due)
    one.sweep()
    one.drain()

    row = one.row("key")
    assert (row.status, row.reason) == ("NOT_ELIGIBLE", "RuleNoLongerSelects")
    assert one.versions("key") == []


def test_a_destination_the_stack_does_not_have_is_parked_with_the_fix(one: World) -> None:
    one.rules({"Destination": {"Bucket": "arn:aws:s3:::unheard-of"}})
    one.deliver(one.put("key"))

    [told] = one.parked()
    assert told["reason"] == "DestinationNotInStack"
    assert "Destinations" in told["detail"]
    assert one.row("key", "unheard-of").status == "FAILED"


def test_an_unversioned_destination_is_told(one: World) -> None:
    """C53."""
    one.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Suspended"})
    one.deliver(one.put("key"))

    [body] = one.take("parked")
    assert json.loads(body)["Records"][0]["s3replicator"]["reason"] == "DstBucketUnversioned"

    one.s3.put_bucket_versioning(Bucket=ONE, VersioningConfiguration={"Status": "Enabled"})
    one.deliver(body)
    one.drain()
    assert one.content("key") == "content"
    assert one.row("key").status == "COMPLETED"


@pytest.mark.parametrize("told", ["null", None])
def test_a_source_whose_versioning_is_suspended_alarms(
    one: World, told: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """C52. S3 does not refuse it, as it does where Amazon's own rules are."""
    event = one.put("key")
    stored = event["Records"][0]["s3"]["object"]
    stored["versionId"] = told
    if told is None:
        del stored["versionId"]
    one.deliver(event)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["SourceUnversioned"] for line in printed if "SourceUnversioned" in line] == [[1.0]]

    one.deliver(one.put("other"))
    assert "SourceUnversioned" not in capsys.readouterr().out


def test_without_a_ledger_nothing_is_acknowledged_and_nothing_copied(one: World) -> None:
    event = one.put("key")
    one.dynamodb.delete_table(TableName="ledger")

    assert one.deliver(event).failed == [0]
    assert one.versions("key") == []


@pytest.mark.parametrize("document", [None, "not json", '{"Rules": []}'])
def test_a_configuration_that_cannot_be_read_gives_every_message_back(
    one: World, document: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"Bucket": "control-bucket", "Key": "replication-configuration.json"}
    if document is None:
        one.s3.delete_object(**name)
    else:
        one.s3.put_object(**name, Body=document)
    one.settings()

    assert one.deliver(one.put("key")).failed == [0]
    assert one.parked() == []
    assert '"ConfigurationUnreadable"' in capsys.readouterr().out


def test_the_last_good_configuration_stays_in_force(one: World, capsys: pytest.CaptureFixture[str]) -> None:
    one.settings(CONFIGURATION_CACHE_SECONDS="0")
    one.deliver(one.put("first"))
    one.s3.put_object(Bucket="control-bucket", Key="replication-configuration.json", Body="not json")

    assert one.deliver(one.put("second")).failed == []
    assert one.versions("second") == ["content"]
    assert '"ConfigurationUnreadable"' in capsys.readouterr().out


def test_a_message_that_cannot_be_parked_comes_again(one: World) -> None:
    with faults(denied("CopyObject"), Fault("SendMessage", status=500, times=9)):
        assert one.deliver(one.put("key")).failed == [0]

    assert one.row("key").status == "FAILED"


def test_failures_are_counted_under_the_native_name(one: World, capsys: pytest.CaptureFixture[str]) -> None:
    """M202: one failure, with its rule and destination."""
    with faults(denied("CopyObject")):
        one.deliver(one.put("key"))

    emitted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    [metrics] = [line for line in emitted if "OperationsFailedReplication" in line]
    assert metrics["OperationsFailedReplication"] == [1.0]
    assert (metrics["RuleId"], metrics["DestinationBucket"]) == ("rule-1", ONE)
    assert metrics["SourceBucket"] == "source-bucket"


def test_a_large_object_for_a_destination_the_stack_does_not_have_is_parked(
    one: World, small_parts: int
) -> None:
    one.rules({"Destination": {"Bucket": "arn:aws:s3:::unheard-of"}})
    one.deliver(one.put_parts("large", [bytes(small_parts), b"rest"]))
    one.drain()

    assert [told["reason"] for told in one.parked()] == ["DestinationNotInStack"]


@pytest.mark.parametrize("function", ["replicate_large", "retry"])
def test_a_destination_taken_out_during_a_large_copy_is_told(
    one: World, small_parts: int, function: str
) -> None:
    one.deliver(one.put_parts("large", [bytes(small_parts)] * 2))
    one.deliver(*one.take("large"), to="replicate_large", seconds=60)
    one.settings(DESTINATIONS=f"{TWO}:eu-west-1")

    assert one.deliver(*one.take("large"), to=function).failed == []
    assert [told["reason"] for told in one.parked()] == ["DestinationNotInStack"]


def test_only_the_rules_that_select_a_version_hear_of_its_failure(world: World) -> None:
    tagged = {"Filter": {"Tag": {"Key": "k", "Value": "v"}}}
    world.rules({}, {**tagged, "Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    world.deliver(world.put("secret", ServerSideEncryption="aws:kms"))

    assert world.row("secret", ONE).status == "NOT_ELIGIBLE"
    with pytest.raises(AssertionError, match="knows nothing"):
        world.ledger_head("secret", TWO)
