"""Objects that KMS keys encrypt: replicated where a rule opts in to that, with the key it names for replicas.

Moto keeps what is asked for and encrypts nothing; it knows no key and no permission to use one. What S3 and
KMS answer then is played here.
"""

from typing import Any, Final

import pytest

from tests.functional import jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import let_time_pass
from tests.functional.world import ONE, SOURCE, TABLE, TWO, World

SOURCE_KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"
REPLICA_KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/6666ffff-77aa-88bb-99cc-000000dddddd"
KMS: Final[dict[str, Any]] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": SOURCE_KEY}
DSSE: Final[dict[str, Any]] = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": SOURCE_KEY}

OPT_IN: Final[dict[str, Any]] = {
    "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
    "Destination": {
        "Bucket": f"arn:aws:s3:::{ONE}",
        "EncryptionConfiguration": {"ReplicaKmsKeyID": REPLICA_KEY},
    },
}
DENIED: Final = "User: me is not authorized to perform: kms:Decrypt on resource: " + SOURCE_KEY


@pytest.fixture
def opted_in(world: World) -> World:
    world.rules(OPT_IN)
    return world


def asks_for_checksum(request: Any) -> bool:
    return to_bucket(SOURCE)(request) and "x-amz-checksum-mode" in request.headers


def refused_key(code: str, status: int, message: str) -> tuple[Fault, Fault]:
    """The key of the source may not be used, or cannot be: HEAD, which has no body, and GET are refused."""
    return (
        Fault("HeadObject", status=status, code="", message="", when=asks_for_checksum),
        Fault("GetObject", status=status, code=code, message=message, when=to_bucket(SOURCE)),
    )


@pytest.mark.parametrize("encryption", [KMS, DSSE], ids=["kms", "dsse"])
def test_without_opt_in_it_is_not_eligible_and_the_detail_says_how_to_opt_in(
    world: World, encryption: dict[str, Any]
) -> None:
    """H121."""
    world.rules({})
    assert world.deliver(world.put("key", **encryption)).failed == []

    row = world.row("key")
    assert (row.status, row.reason) == ("NOT_ELIGIBLE", "SrcObjectNotEligible")
    assert "'rule-1'" in str(row.detail)
    assert "SourceSelectionCriteria.SseKmsEncryptedObjects" in str(row.detail)
    assert world.versions("key") == []
    assert world.take("parked") == []


@pytest.mark.parametrize("bucket_key", [True, False])
def test_with_opt_in_the_replica_has_the_key_of_the_rule(opted_in: World, bucket_key: bool) -> None:
    """H122."""
    opted_in.deliver(opted_in.put("key", **KMS, BucketKeyEnabled=bucket_key))

    replica = opted_in.head("key")
    assert (replica["ServerSideEncryption"], replica["SSEKMSKeyId"]) == ("aws:kms", REPLICA_KEY)
    assert replica.get("BucketKeyEnabled", False) is bucket_key
    assert opted_in.content("key") == "content"
    assert opted_in.row("key").status == "COMPLETED"


def test_two_layers_of_encryption_stay_two(opted_in: World) -> None:
    calls = opted_in.deliver(opted_in.put("key", **DSSE)).recording.calls
    [copy] = [call.arguments for call in calls if call.operation == "CopyObject"]
    assert copy["SSEKMSKeyId"] == REPLICA_KEY, "moto does not tell the key of these"
    assert opted_in.head("key")["ServerSideEncryption"] == "aws:kms:dsse"


def test_what_no_kms_key_encrypts_is_not_encrypted_by_one(opted_in: World) -> None:
    opted_in.deliver(opted_in.put("key", ServerSideEncryption="AES256"))
    replica = opted_in.head("key")
    assert replica["ServerSideEncryption"] == "AES256"
    assert "SSEKMSKeyId" not in replica


def test_a_large_replica_has_the_key_of_the_rule(opted_in: World, small_parts: int) -> None:
    opted_in.deliver(opted_in.put_parts("key", [bytes(small_parts), b"rest"], **KMS))
    opted_in.drain()

    replica = opted_in.head("key")
    assert (replica["ServerSideEncryption"], replica["SSEKMSKeyId"]) == ("aws:kms", REPLICA_KEY)
    assert opted_in.row("key").status == "COMPLETED"


def test_each_destination_goes_by_its_own_rule(world: World) -> None:
    world.rules(OPT_IN, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    world.deliver(world.put("key", **KMS))

    assert world.row("key", ONE).status == "COMPLETED"
    assert world.row("key", TWO).status == "NOT_ELIGIBLE"
    assert world.versions("key", TWO) == []


def test_a_replica_that_is_copied_again_keeps_its_key(opted_in: World) -> None:
    """Its source is gone, and a late version has to go below it."""
    late, gone = opted_in.put("key", b"late", **KMS), opted_in.put("key", b"gone", **KMS)
    opted_in.deliver(gone)
    opted_in.purge(gone)
    opted_in.deliver(late)
    opted_in.drain()

    assert opted_in.versions("key") == ["gone", "late"]
    assert opted_in.head("key")["SSEKMSKeyId"] == REPLICA_KEY


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [("AccessDenied", 403, DENIED), ("KMS.DisabledException", 400, SOURCE_KEY + " is disabled.")],
)
def test_without_opt_in_it_does_not_matter_whether_its_key_can_be_used(
    world: World, code: str, status: int, message: str
) -> None:
    """S3 shows a checksum only to those who may use the key, and tells the rest without it."""
    world.rules({})
    with faults(*refused_key(code, status, message)):
        world.deliver(world.put("key", **KMS))

    assert world.row("key").status == "NOT_ELIGIBLE"
    assert world.take("parked") == []


def test_a_denied_object_that_no_kms_key_encrypts_is_denied(world: World) -> None:
    world.rules({})
    with faults(*refused_key("AccessDenied", 403, "Access Denied")):
        world.deliver(world.put("key"))

    [parked] = world.parked()
    assert parked["reason"] == "SrcGetObjectNotPermitted"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"{SOURCE_KEY} is disabled.", "SrcKmsKeyInvalidState"),
        (f"{REPLICA_KEY} is disabled.", "DstKmsKeyInvalidState"),
    ],
)
def test_a_disabled_key_is_parked_and_replicated_once_it_is_enabled(
    opted_in: World, message: str, reason: str
) -> None:
    """H124: of the two keys of a copy, S3 names the one that is meant."""
    with faults(Fault("CopyObject", status=400, code="KMS.DisabledException", message=message)):
        opted_in.deliver(opted_in.put("key", **KMS))
    assert opted_in.row("key").status == "FAILED"
    [body] = opted_in.take("parked")
    assert opted_in.row("key").reason == reason

    opted_in.deliver(body)
    assert opted_in.row("key").status == "COMPLETED"


def test_a_disabled_key_of_a_large_object_is_told_apart_as_well(opted_in: World, small_parts: int) -> None:
    told = Fault(
        "UploadPartCopy", status=400, code="KMS.DisabledException", message=f"{SOURCE_KEY} is off", times=9
    )
    with faults(told):
        opted_in.deliver(opted_in.put_parts("key", [bytes(small_parts), b"rest"], **KMS))
        opted_in.drain()

    [parked] = opted_in.parked()
    assert parked["reason"] == "SrcKmsKeyInvalidState"
    assert opted_in.open_uploads() == 0


def test_a_key_that_is_not_there_is_parked(opted_in: World) -> None:
    with faults(Fault("CopyObject", status=400, code="KMS.NotFoundException", message=REPLICA_KEY)):
        opted_in.deliver(opted_in.put("key", **KMS))

    [parked] = opted_in.parked()
    assert parked["reason"] == "DstKmsKeyNotFound"


def test_kms_that_asks_to_slow_down_is_waited_for(opted_in: World) -> None:
    """H125."""
    with faults(Fault("CopyObject", status=400, code="KMS.ThrottlingException", times=9)):
        opted_in.deliver(opted_in.put("key", **KMS))
    assert (opted_in.row("key").status, opted_in.row("key").reason) == ("PENDING", "Throttled")
    let_time_pass(opted_in)

    assert opted_in.row("key").status == "COMPLETED"
    assert opted_in.versions("key") == ["content"]
    assert opted_in.take("parked") == []


# -- a ledger that was lost


def lose_ledger(world: World) -> None:
    for item in world.dynamodb.scan(TableName=TABLE)["Items"]:
        world.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})


def test_a_replica_is_proven_by_its_checksum(opted_in: World) -> None:
    """No ETag tells what a KMS key has encrypted, even if it looks the same."""
    opted_in.deliver(opted_in.put("key", **KMS, ChecksumAlgorithm="SHA256"))
    replica = opted_in.row("key").replica
    lose_ledger(opted_in)
    run = jobs.run(opted_in, "job", Kind="reconcile")
    assert run.count("CopyObject") == 0
    row = opted_in.row("key")
    assert (row.replica, row.status, row.doubt) == (replica, "COMPLETED", False)


def test_a_checksum_that_may_not_be_read_proves_nothing(opted_in: World) -> None:
    opted_in.deliver(opted_in.put("key", **KMS, ChecksumAlgorithm="SHA256"))
    lose_ledger(opted_in)

    def asks_replica(request: Any) -> bool:
        return to_bucket(ONE)(request) and "x-amz-checksum-mode" in request.headers

    denied = Fault("HeadObject", status=403, code="", message="", when=asks_replica, times=99)
    with faults(denied):
        jobs.run(opted_in, "job", Kind="reconcile")
    assert opted_in.row("key").doubt


def test_other_bytes_under_our_stamp_are_no_replica_though_a_key_encrypts_them(opted_in: World) -> None:
    event = opted_in.put("key", b"true", **KMS, ChecksumAlgorithm="SHA256")
    opted_in.deliver(event)
    metadata = opted_in.head("key")["Metadata"]
    opted_in.s3.delete_object(Bucket=ONE, Key="key", VersionId=opted_in.row("key").replica)
    lose_ledger(opted_in)
    forged = {"Bucket": ONE, "Key": "key", "Body": b"fake", "Metadata": metadata}
    opted_in.s3.put_object(**forged, **KMS, ChecksumAlgorithm="SHA256")
    jobs.run(opted_in, "job", Kind="reconcile")
    assert opted_in.versions("key") == ["true", "fake"]
    assert not opted_in.row("key").doubt
