"""The permissions of template.yaml, held against the calls the functions really make: both ways.

The calls are those of every path of test_api_calls. What is granted and used by none of them needs a
reason here.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import VersionRef
from tests.conftest import set_environment
from tests.functional import jobs
from tests.functional.conftest import count_small_objects_as_large
from tests.functional.faults import Fault, faults
from tests.functional.recorder import ApiCall
from tests.functional.test_api_calls import PATHS
from tests.functional.world import CONTROL, ONE, SOURCE, World

TEMPLATE: Final[dict[str, Any]] = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
ROLES: Final = {
    "replicate": "ReplicateRole",
    "replicate_large": "ReplicateLargeRole",
    "retry": "RetryRole",
}
JOB_ROLES: Final = {"survey": "SurveyRole", "backfill": "BackfillRole"}

OF_BUCKETS: Final = {
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
}

OF_UPLOADS: Final = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
}

#: The key of objects that a KMS key encrypts.
ENCRYPTED: Final = "encrypted"
BY_KMS: Final[dict[str, Any]] = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee",
}
TO_ANOTHER_ACCOUNT: Final[dict[str, Any]] = {
    "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
    "Destination": {
        "Bucket": f"arn:aws:s3:::{ONE}",
        "Account": "210987654321",
        "AccessControlTranslation": {"Owner": "Destination"},
        "EncryptionConfiguration": {
            "ReplicaKmsKeyID": "arn:aws:kms:us-east-1:123456789012:key/6666ffff-77aa-88bb-99cc-000000dddddd"
        },
        "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
        "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
    },
}

#: An action on a kind of resource.
Grant = tuple[str, str]

MISSING_IS_404 = "without it S3 answers 403 for a key that is missing, and gone would look like denied"
BY_LAMBDA = "asked for by Lambda itself, which reads the queue under the function's role"
BY_LAMBDA_LOGS = "asked for by Lambda itself, which writes the log"
LOCK_IN_HEAD = "HeadObject leaves the lock headers out without it"

UNUSED: Final[dict[Grant, str]] = {
    ("s3:ListBucket", "source bucket"): MISSING_IS_404,
    ("s3:ListBucket", "destination bucket"): MISSING_IS_404,
    ("s3:ListBucket", "control bucket"): MISSING_IS_404,
    ("s3:GetObjectRetention", "source object"): LOCK_IN_HEAD,
    ("s3:GetObjectLegalHold", "source object"): LOCK_IN_HEAD,
    ("s3:GetObjectRetention", "destination object"): LOCK_IN_HEAD,
    ("s3:GetObjectLegalHold", "destination object"): LOCK_IN_HEAD,
    ("sqs:ReceiveMessage", "own queue"): BY_LAMBDA,
    ("sqs:DeleteMessage", "own queue"): BY_LAMBDA,
    ("sqs:GetQueueAttributes", "own queue"): BY_LAMBDA,
    ("logs:CreateLogStream", "log"): BY_LAMBDA_LOGS,
    ("logs:PutLogEvents", "log"): BY_LAMBDA_LOGS,
}


def needed(call: ApiCall) -> Iterator[Grant]:
    """The permissions one call needs, as the API reference of each operation names them."""
    arguments = call.arguments
    if call.service == "s3":
        yield from _needed_of_s3(call.operation, arguments)
        yield from _needed_of_kms(call.operation, arguments)
    elif call.service == "dynamodb":
        yield f"dynamodb:{call.operation}", "ledger index" if "IndexName" in arguments else "ledger"
    elif call.service == "kms":
        yield f"kms:{call.operation}", "destination keys"
    elif call.service == "events":
        yield f"events:{call.operation}", "event bus"
    else:
        queue = arguments["QueueUrl"].rpartition("/")[2]
        yield f"sqs:{call.operation.removesuffix('Batch')}", f"{queue} queue"


def _needed_of_s3(operation: str, arguments: dict[str, Any]) -> Iterator[Grant]:
    where = _side(arguments["Bucket"])
    version = "Version" if "VersionId" in arguments else ""
    match operation:
        case "HeadObject" | "GetObject":
            yield f"s3:GetObject{version}", f"{where} object"
        case _ if operation.endswith(("ObjectTagging", "ObjectAcl", "ObjectAnnotation", "ObjectAnnotations")):
            verb, what = operation.split("Object")
            yield f"s3:{verb}Object{version}{what}", f"{where} object"
            if what.startswith("Annotation"):
                # The API reference names only this one; of every other request IAM means the one above.
                yield f"s3:{verb}Object{what}", f"{where} object"
        case "PutObjectRetention" | "PutObjectLegalHold":
            # These two are the same for any version.
            yield f"s3:{operation}", f"{where} object"
        case _ if operation in OF_BUCKETS:
            yield OF_BUCKETS[operation], f"{where} bucket"
        case _ if operation in OF_UPLOADS:
            yield OF_UPLOADS[operation], f"{where} object"
        case "PutObject" | "CreateMultipartUpload" | "CompleteMultipartUpload" if where == "destination":
            yield from _write(arguments)
        case "PutObject":
            yield "s3:PutObject", f"{where} object"
        case "CopyObject":
            origin = _side(_copied_bucket(arguments))
            yield from {
                ("s3:GetObjectVersion", f"{origin} object"),
                ("s3:GetObjectVersionTagging", f"{origin} object"),
                ("s3:GetObjectAnnotation", f"{origin} object"),
                # As with the requests for annotations alone.
                ("s3:GetObjectVersionAnnotation", f"{origin} object"),
                ("s3:PutObjectTagging", "destination object"),
                ("s3:PutObjectAnnotation", "destination object"),
            }
            yield from _write(arguments)
        case "UploadPartCopy":
            yield "s3:GetObjectVersion", f"{_side(_copied_bucket(arguments))} object"
            yield "s3:PutObject", "destination object"
        case "DeleteObject":
            yield f"s3:DeleteObject{version}", f"{where} object"
        case _:
            raise AssertionError(f"which permission does {operation} need?")


def _needed_of_kms(operation: str, arguments: dict[str, Any]) -> Iterator[Grant]:
    """The permissions that S3 needs of whoever asks it for this, with the keys of an encrypted object.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    if arguments.get("Key") != ENCRYPTED:
        return
    match operation:
        case "HeadObject" if "ChecksumMode" in arguments:
            yield "kms:Decrypt", f"{_side(arguments['Bucket'])} keys"
        case "GetObjectAnnotation":
            # They are encrypted as their object is.
            yield "kms:Decrypt", f"{_side(arguments['Bucket'])} keys"
        case "PutObjectAnnotation":
            yield "kms:GenerateDataKey", f"{_side(arguments['Bucket'])} keys"
        case "CopyObject" | "UploadPartCopy":
            yield "kms:Decrypt", f"{_side(_copied_bucket(arguments))} keys"
    if "SSEKMSKeyId" in arguments:
        yield "kms:GenerateDataKey", "destination keys"
    if operation in ("UploadPartCopy", "CompleteMultipartUpload"):
        yield "kms:Decrypt", "destination keys"


def _side(bucket: str) -> str:
    return "source" if bucket == SOURCE else "control" if bucket == CONTROL else "destination"


def _copied_bucket(arguments: dict[str, Any]) -> str:
    """``CopySource`` is recorded as it is sent: bucket/key?versionId=..."""
    bucket: str = arguments["CopySource"].partition("/")[0]
    return bucket


def _write(arguments: dict[str, Any]) -> Iterator[Grant]:
    yield "s3:PutObject", "destination object"
    for name, action in (
        ("Tagging", "s3:PutObjectTagging"),
        ("ACL", "s3:PutObjectAcl"),
        ("ObjectLockMode", "s3:PutObjectRetention"),
        ("ObjectLockLegalHoldStatus", "s3:PutObjectLegalHold"),
    ):
        if name in arguments:
            yield action, "destination object"


def granted(role: str, own_queue: str) -> Iterator[Grant]:
    attached = [
        resource["Properties"]
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::IAM::Policy" and {"Ref": role} in resource["Properties"]["Roles"]
    ]
    for policy in [*TEMPLATE["Resources"][role]["Properties"]["Policies"], *attached]:
        for statement in policy["PolicyDocument"]["Statement"]:
            for resource in _listed(statement["Resource"]):
                place = _place(resource)
                for action in _listed(statement["Action"]):
                    own = place == own_queue and action != "sqs:SendMessage"
                    yield action, "own queue" if own else place


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _place(resource: Any) -> str:
    text = str(resource)
    places = {
        r"SourceKmsKeys": "source keys",
        r"ReplicaKmsKeys": "destination keys",
        r"event-bus": "event bus",
        r"DestinationObjectArns": "destination object",
        r"DestinationBucketArns": "destination bucket",
        r"\$\{SourceBucket\}/\*": "source object",
        r"\$\{SourceBucket\}": "source bucket",
        r"ControlBucket.Arn\}/": "control object",
        r"ControlBucket": "control bucket",
        r"LedgerTable.*index": "ledger index",
        r"LedgerTable": "ledger",
        r"IngestQueue": "ingest queue",
        r"LargeQueue": "large queue",
        r"DeadLetterQueue": "dead-letter queue",
        r"ParkedQueue": "parked queue",
        r"Logs": "log",
    }
    return next(place for pattern, place in places.items() if re.search(pattern, text))


OWN_QUEUE: Final = {
    "replicate": "ingest queue",
    "replicate_large": "large queue",
    "retry": "dead-letter queue",
}


def take_the_fast_path_elsewhere(world: World, function: str) -> None:
    """What one function can do the others can: their messages are alike."""
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    events = [world.put("key"), world.put("key"), world.put("key"), world.mark("key")]
    world.deliver(*events, to=function)
    world.deliver(events[0], to=function)
    with faults(Fault("CopyObject", effect=True)):
        world.deliver(world.put("key"), to=function)
    with faults(Fault("CopyObject", status=403, code="AccessDenied")):
        world.deliver(world.put("other"), to=function)
    with faults(Fault("UpdateItem", status=500, code="InternalServerError", times=99)):
        world.deliver(world.put("unrecorded"), to=function)
    world.deliver(world.put_parts("key", [b"multipart"]), to=function)
    until = datetime.now(UTC) + timedelta(days=1)
    lock: dict[str, Any] = {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": until,
        "ObjectLockLegalHoldStatus": "ON",
    }
    world.deliver(world.put("locked", **lock), to=function)
    world.deliver(world.put("large and locked", bytes(6 * 1024**2), **lock), to=function)
    world.deliver(world.put("large"), to=function)
    large = world.put_parts("large", [bytes(6 * 1024**2), b"rest"])
    world.annotate(large, caption="a rose")
    world.deliver(large, to=function)


def discard_an_upload(world: World, function: str) -> None:
    """A large copy was under way when its source was deleted."""
    event = world.put_parts("gone", [bytes(6 * 1024**2), b"rest"])
    world.purge(event)
    started = world.s3.create_multipart_upload(Bucket=ONE, Key="gone")["UploadId"]
    upload = {"id": started, "nonce": "n", "started": 0}
    event["Records"][0]["s3replicator"] = {"destination": ONE, "upload": upload}
    world.deliver(event, to=function)
    assert world.open_uploads() == 0


def follow_changes(world: World, function: str) -> None:
    """What may change of a version that has been replicated."""
    event = world.put("followed")
    version_id = world.version_of(event)
    world.deliver(event, to=function)
    world.deliver(world.tag(event, k="v"), to=function)
    world.s3.put_object_acl(Bucket=SOURCE, Key="followed", VersionId=version_id, ACL="public-read")
    world.deliver(world.event("ObjectAcl:Put", "followed", version_id), to=function)
    world.deliver(world.retain(event, datetime.now(UTC) + timedelta(days=1)), to=function)
    # One of the same size is another one all the same.
    for caption in ("a rose", "a leaf", None):
        world.deliver(world.annotate(event, caption=caption, kind="plant"), to=function)


def replay_below_what_is_gone(world: World, size: int, key: str = "replayed", **written: Any) -> None:
    """A late version, and above it one of which only the replica is left: that is copied again."""
    late, gone = world.put(key, b"late", **written), world.put(key, bytes(size), Tagging="k=v", **written)
    world.deliver(gone)
    world.drain()
    world.purge(gone)
    world.deliver(late)
    world.drain()
    assert world.versions(key) == ["\0" * size, "late"]


def replicate_encrypted(world: World, function: str) -> None:
    """By KMS, into a bucket whose owner gets the replicas; and what is late is told of."""
    world.rules(TO_ANOTHER_ACCOUNT)
    put = world.put(ENCRYPTED, **BY_KMS)
    world.deliver(put, to=function)
    for caption in ("a rose", "a leaf"):
        world.deliver(world.annotate(put, caption=caption), to=function)
    world.deliver(world.put(ENCRYPTED, bytes(6 * 1024**2), **BY_KMS), to=function)
    world.drain()
    late = world.put("late")
    late["Records"][0]["eventTime"] = "2026-01-01T00:00:00Z"
    world.deliver(late, to=function)
    with faults(Fault("CopyObject", status=403, code="AccessDenied")):
        world.deliver(world.put("denied"), to=function)
    assert {row.status for row in world.rows(ENCRYPTED)} == {"COMPLETED"}


def bring_changes_of_a_replica_back(world: World, function: str) -> None:
    """The replica, by its stamp, is in our source, and the version it was made of at the destination."""
    world.rules({"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}})
    origin = world.s3.put_object(Bucket=ONE, Key="synced", Body=b"content")["VersionId"]
    stamp = Stamp.of(VersionRef(ONE, "synced", origin), "nonce", SOURCE, "synced")
    replica = world.put("synced", Metadata=stamp.metadata())
    changed = world.tag(replica, k="v")
    version_id = world.version_of(replica)
    world.s3.put_object_acl(Bucket=SOURCE, Key="synced", VersionId=version_id, ACL="public-read")
    world.deliver(changed, to=function)
    world.deliver(world.event("ObjectAcl:Put", "synced", version_id), to=function)
    assert world.tags("synced", origin) == {"k": "v"}


def replay_encrypted(world: World, size: int) -> None:
    world.rules(TO_ANOTHER_ACCOUNT)
    replay_below_what_is_gone(world, size, ENCRYPTED, **BY_KMS)


def check_the_deployment(world: World) -> None:
    """With all that it looks at, and a bucket that replicates markers and follows ACLs."""
    world.rules(TO_ANOTHER_ACCOUNT, {"DeleteMarkerReplication": {"Status": "Enabled"}})
    world.put("object")
    world.check()


def settle_by_hand(world: World) -> None:
    """What no event told of: a version, its lock, and that another one is gone."""
    world.rules({"Extensions": {"VersionDeletes": {"Status": "Enabled"}}})
    gone = world.put("settled")
    world.deliver(gone)
    world.put("settled")
    world.purge(gone)
    world.settle("settled", purge=True)
    until = datetime.now(UTC) + timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    world.s3.put_object_retention(Bucket=SOURCE, Key="settled", Retention=retention)
    world.s3.put_object_legal_hold(Bucket=SOURCE, Key="settled", LegalHold={"Status": "ON"})
    world.settle("settled")
    assert world.head("settled")["ObjectLockLegalHoldStatus"] == "ON"
    assert len(world.versions("settled")) == 1


def run_jobs(world: World) -> None:
    """What is missing, lost, large or another's."""
    world.put("old")
    large = world.put_parts("large", [bytes(6 * 1024**2), b"rest"])
    world.deliver(world.put("lost"))
    world.s3.delete_object(Bucket=ONE, Key="lost", VersionId=world.row("lost").replica)
    with faults(Fault("CopyObject", status=503, code="SlowDown")):
        jobs.run(world, "backfill", between=world.drain)
    world.s3.put_object(Bucket=ONE, Key="lost", Body=b"theirs")
    jobs.run(world, "reconcile", Kind="reconcile", Deep=True, RestoreLost=True, between=world.drain)
    for number in range(4):
        world.deliver(world.put("many", str(number).encode()))
    jobs.run(world, "spilled", Kind="reconcile")
    assert large


@pytest.fixture(scope="module")
def asked() -> dict[str, set[Grant]]:
    """What each function has asked for, over all paths."""
    calls: dict[str, list[ApiCall]] = defaultdict(list)
    runs: list[Callable[[World], object]] = [path.run for path in PATHS.values()]
    runs += [partial(discard_an_upload, function=name) for name in ROLES]
    runs += [partial(take_the_fast_path_elsewhere, function=name) for name in ROLES]
    runs += [partial(follow_changes, function=name) for name in ROLES]
    for replay in (replay_below_what_is_gone, replay_encrypted):
        runs += [partial(replay, size=size) for size in (1, 6 * 1024**2)]
    runs += [partial(replicate_encrypted, function=name) for name in ROLES]
    # The large lane hears of no such change.
    runs += [partial(bring_changes_of_a_replica_back, function=name) for name in ("replicate", "retry")]
    runs += [check_the_deployment, settle_by_hand, run_jobs]
    for run in runs:
        with pytest.MonkeyPatch.context() as patch, mock_aws():
            set_environment(patch)
            count_small_objects_as_large(patch)
            world = World(patch)
            world.rules({})
            run(world)
            for function, made in world.calls.items():
                calls[function] += made
    return {function: {grant for call in made for grant in needed(call)} for function, made in calls.items()}


@pytest.mark.parametrize("function", ROLES)
def test_a_function_is_granted_exactly_what_it_asks_for(function: str, asked: dict[str, set[Grant]]) -> None:
    own = OWN_QUEUE[function]
    wanted = {
        (action, "own queue" if place == own and action != "sqs:SendMessage" else place)
        for action, place in asked[function]
    }
    grants = set(granted(ROLES[function], own))

    assert wanted - grants == set(), "called, and not granted"
    excused = set(UNUSED)
    assert grants - wanted - excused == set(), "granted, and never called"
    assert excused - grants == set(), "excused, and not even granted"


@pytest.mark.parametrize("function", JOB_ROLES)
def test_a_function_of_jobs_is_granted_exactly_what_it_asks_for(
    function: str, asked: dict[str, set[Grant]]
) -> None:
    wanted = asked[function]
    if function == "backfill":
        # The engine is that of the retry function, without its queue and its sweep; and what a job does is in
        # its report, and told of nowhere else.
        own = {
            ("sqs:ChangeMessageVisibility", "dead-letter queue"),
            ("dynamodb:Query", "ledger index"),
            ("events:PutEvents", "event bus"),
        }
        wanted |= asked["retry"] - own
    grants = set(granted(JOB_ROLES[function], ""))

    assert wanted - grants == set(), "called, and not granted"
    excused = set(UNUSED)
    assert grants - wanted - excused == set(), "granted, and never called"
