"""The check of a deployment: everything that can be wrong is made so, and found; and no probe is ever left.

The sentences are those of decisions/problems.py, which docs/runbook.md quotes.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import boto3
import pytest

import functions.retry.app
from s3replicator.decisions import collisions, problems
from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.findings import Check, Finding, Severity
from s3replicator.decisions.probe import FOLDER, is_probe
from s3replicator.decisions.problems import Problem
from s3replicator.decisions.stack import StackUnusable
from s3replicator.decisions.stamp import place_of
from s3replicator.usecases import probing
from tests.functional.configurations import COLLIDING
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.world import CONTROL, DESTINATIONS, ONE, SOURCE, TABLE, TWO, Context, World

ACCOUNT: Final = "123456789012"
OTHER: Final = "444455556666"
ROLE: Final = "s3-replicator-ReplicateRole-1ABC"
WHO: Final = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/s3-replicator-ReplicateFunction-2DEF"
KEY_ARN: Final = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture(autouse=True)
def short_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "RETENTION", 0.1)
    monkeypatch.setattr(probing, "_SKEW", 0.1)


# -- the ways things can be


def to(bucket: str = ONE, **more: Any) -> dict[str, Any]:
    """What of a rule says where to."""
    return {"Destination": {"Bucket": f"arn:aws:s3:::{bucket}", **more}}


def owned_by(account: str) -> dict[str, Any]:
    return to(Account=account)


def overriding(account: str) -> dict[str, Any]:
    return to(Account=account, AccessControlTranslation={"Owner": "Destination"})


def encrypting(key: str) -> dict[str, Any]:
    return {
        **to(EncryptionConfiguration={"ReplicaKmsKeyID": key}),
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
    }


def denied(operation: str, message: str, bucket: str = ONE) -> Fault:
    return Fault(
        operation, status=403, code="AccessDenied", message=message, times=99, when=to_bucket(bucket)
    )


def not_owned_by(account: str) -> Fault:
    """S3 denies a request that names another owner than the bucket's."""

    def named(request: Any) -> bool:
        owner = request.headers.get("x-amz-expected-bucket-owner", b"")
        return to_bucket(ONE)(request) and owner in (account, account.encode())

    return Fault("HeadBucket", status=403, code="AccessDenied", times=99, when=named)


def remade(world: World, bucket: str, *, lock: bool) -> None:
    """Without, or with, Object Lock."""
    world.s3.delete_bucket(Bucket=bucket)
    world.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=lock)
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def suspended(world: World, bucket: str) -> None:
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def owner_owns(world: World, bucket: str) -> None:
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    world.s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)


def natively_replicated(world: World, bucket: str, target: str, **chosen: Any) -> None:
    rule = {
        "ID": "theirs",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": chosen or {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
    }
    document = {"Role": f"arn:aws:iam::{ACCOUNT}:role/theirs", "Rules": [rule]}
    world.s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=document)


def with_lifecycle(world: World, bucket: str, *rules: dict[str, Any]) -> None:
    listed = [
        {"ID": f"rule-{n}", "Status": "Enabled", "Filter": {"Prefix": ""}, **r} for n, r in enumerate(rules)
    ]
    world.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": listed})


def key_made(world: World, **attributes: Any) -> str:
    metadata = boto3.client("kms").create_key(**attributes)["KeyMetadata"]
    return str(metadata["Arn"])


EXPLICIT = "with an explicit deny in a resource-based policy"
RESOURCE = f'"arn:aws:s3:::{ONE}/key"'
#: What AWS says of a denial, by what is in the way.
NOT_ALLOWED = f"{WHO} is not authorized to perform: s3:PutObject on resource: {RESOURCE} because no"
BY_POLICY = f"{WHO} is not authorized to perform: s3:PutObject on resource: {RESOURCE} {EXPLICIT}"
BY_ORGANISATION = (
    f"{WHO} is not authorized to perform: s3:PutObject with an explicit deny in a service control policy"
)
BY_KEY = (
    f"{WHO} is not authorized to perform: kms:GenerateDataKey on this resource because the resource does not"
    " exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly"
    " denies access"
)
BY_OWN_POLICY_OF_KEY = (
    f"{WHO} is not authorized to perform: kms:GenerateDataKey on resource: {KEY_ARN} because no"
    " identity-based policy allows the kms:GenerateDataKey action"
)


@contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, value)
        yield


Preparation = Callable[[World], "AbstractContextManager[object] | None"]


@dataclass(frozen=True)
class Provocation:
    """``prepare`` breaks something, if need be for as long as its context lasts."""

    prepare: Preparation
    subject: str = ONE
    check: Check | None = None
    code: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def rules(*given: dict[str, Any]) -> Preparation:
    def prepare(world: World) -> None:
        world.rules(*given)

    return prepare


def meeting(*planned: Fault) -> Preparation:
    return lambda _: faults(*planned)


def both(*preparations: Preparation) -> Preparation:
    def prepare(world: World) -> AbstractContextManager[object]:
        stack = ExitStack()
        for each in preparations:
            stack.enter_context(each(world) or nullcontext())
        return stack

    return prepare


def key_disabled(world: World) -> None:
    key = key_made(world)
    boto3.client("kms").disable_key(KeyId=key.rpartition("/")[2])
    world.rules(encrypting(key))


def key_of_another_kind(world: World) -> None:
    world.rules(encrypting(key_made(world, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")))


def source_without_lock_and_destination_locking(world: World) -> None:
    remade(world, SOURCE, lock=False)
    retention = {"Mode": "GOVERNANCE", "Days": 30}
    world.s3.put_object_lock_configuration(
        Bucket=ONE,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )


RULE = {"rule": "rule-1"}
WHAT = {"role": ROLE, "action": "s3:PutObject"}
WITH_KEY = {"role": ROLE, "action": "kms:GenerateDataKey", "key": KEY_ARN}


def refused_put(prepare: Preparation, code: str = "DstPutObjectNotPermitted", **names: str) -> Provocation:
    return Provocation(prepare, check=Check.WRITE, code=code, names=names)


PROVOKED: Final[dict[str, Provocation]] = {
    "NO_CONFIGURATION": Provocation(
        lambda world: world.s3.delete_object(Bucket=CONTROL, Key=OBJECT_KEY) and None,
        "configuration",
    ),
    "UNUSABLE_CONFIGURATION": Provocation(
        lambda world: world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=b"{") and None,
        "configuration",
        names={
            "told": f"s3://{CONTROL}/{OBJECT_KEY}: MalformedXML: the document is not JSON: Expecting property"
            " name enclosed in double quotes: line 1 column 2 (char 1)"
        },
    ),
    "NOT_IN_STACK": Provocation(rules(to("elsewhere")), "elsewhere", names=RULE),
    "RULES_COLLIDE": Provocation(
        rules(*COLLIDING),
        names={
            "told": "'ab' by rule 'rule-2' and 'bbb' by rule 'rule-1' would both be replicated to 'ab'"
            f" in {ONE!r}"
        },
    ),
    "NOT_COMPARED": Provocation(
        both(rules(*COLLIDING), lambda _: replaced(collisions, "MOST_LOOKS", 5)), "configuration"
    ),
    "SOURCE_MISSING": Provocation(lambda world: world.s3.delete_bucket(Bucket=SOURCE) and None, SOURCE),
    "DESTINATION_MISSING": Provocation(lambda world: world.s3.delete_bucket(Bucket=ONE) and None),
    "SOURCE_HIDDEN": Provocation(meeting(denied("HeadBucket", "", SOURCE)), SOURCE),
    "DESTINATION_HIDDEN": Provocation(meeting(denied("HeadBucket", ""))),
    "SOURCE_ELSEWHERE": Provocation(
        lambda world: world.settings(AWS_REGION="eu-west-1"),
        SOURCE,
        names={"region": "us-east-1", "expected": "eu-west-1"},
    ),
    "DESTINATION_ELSEWHERE": Provocation(
        lambda world: world.settings(DESTINATIONS=f"{ONE}:eu-west-1"),
        names={"region": "us-east-1", "expected": "eu-west-1"},
    ),
    "OTHER_OWNER": Provocation(
        both(rules(owned_by(OTHER)), meeting(not_owned_by(OTHER))), names=RULE | {"account": OTHER}
    ),
    "SOURCE_UNVERSIONED": Provocation(
        lambda world: suspended(world, SOURCE), SOURCE, names={"status": "Suspended"}
    ),
    "DESTINATION_UNVERSIONED": Provocation(
        lambda world: suspended(world, ONE), names={"status": "Suspended"}
    ),
    "UNSEEN": Provocation(
        meeting(denied("GetBucketLifecycleConfiguration", "Access Denied")),
        check=Check.UPLOADS,
        names={"told": "AccessDenied: Access Denied"},
    ),
    "NO_OBJECT_LOCK": Provocation(lambda world: remade(world, ONE, lock=False)),
    "LOCKED_BY_DEFAULT": Provocation(
        source_without_lock_and_destination_locking, names={"retention": "GOVERNANCE for 30 days"}
    ),
    "ACLS_DISABLED": Provocation(lambda world: owner_owns(world, ONE)),
    "OWNER_KEPT": Provocation(
        both(rules(overriding(OTHER)), meeting(not_owned_by(ACCOUNT))),
        names=RULE | {"ownership": "ObjectWriter"},
    ),
    "REPLICAS_ARE_OURS": Provocation(meeting(not_owned_by(ACCOUNT)), names={"ownership": "ObjectWriter"}),
    "KEY_MISSING": Provocation(rules(encrypting(KEY_ARN)), names=RULE | {"key": KEY_ARN}),
    "KEY_ELSEWHERE": Provocation(
        rules(encrypting(KEY_ARN.replace("us-east-1", "eu-west-1"))),
        names=RULE | {"key": KEY_ARN.replace("us-east-1", "eu-west-1"), "region": "us-east-1"},
    ),
    "KEY_UNUSABLE": Provocation(key_disabled, names=RULE | {"state": "Disabled"}),
    "KEY_UNFIT": Provocation(key_of_another_kind, names=RULE | {"state": "GENERATE_VERIFY_MAC, HMAC_256"}),
    "REPLICATED_TWICE": Provocation(
        lambda world: natively_replicated(world, SOURCE, ONE), names={"source": SOURCE}
    ),
    "UPLOADS_STAY": Provocation(lambda world: with_lifecycle(world, ONE, {"Expiration": {"Days": 1}})),
    "EXPIRES": Provocation(
        lambda world: with_lifecycle(
            world, ONE, {"Expiration": {"Days": 365}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
        ),
        names={
            "rule": "rule-0",
            "what": "current versions after 365 days and noncurrent versions after 30 days",
        },
    ),
    "DENIED_BY_POLICY": refused_put(meeting(denied("PutObject", BY_POLICY)), **WHAT),
    "NOT_ALLOWED_BY_POLICY": refused_put(
        meeting(denied("PutObject", f"{NOT_ALLOWED} resource-based policy allows the s3:PutObject action")),
        **WHAT,
    ),
    "DENIED_ELSEWHERE": refused_put(
        meeting(denied("PutObject", BY_ORGANISATION)), layer="service control policy", **WHAT
    ),
    "DENIED_SILENTLY": refused_put(
        meeting(denied("PutObject", "Access Denied")),
        told="copying to the destination: AccessDenied Access Denied",
    ),
    "DENIED_BY_KEY": refused_put(
        both(rules(encrypting(KEY_ARN)), meeting(denied("PutObject", BY_KEY))), **WITH_KEY
    ),
    "KEY_NOT_IN_STACK": refused_put(
        both(rules(encrypting(KEY_ARN)), meeting(denied("PutObject", BY_OWN_POLICY_OF_KEY))), **WITH_KEY
    ),
    "REFUSED": refused_put(
        meeting(Fault("PutObject", status=400, code="InvalidStorageClass", times=99, when=to_bucket(ONE))),
        code="RequestRefused",
        told="copying to the destination: InvalidStorageClass made up",
    ),
    "UNANSWERED": refused_put(
        meeting(Fault("PutObject", status=503, code="SlowDown", times=99, when=to_bucket(ONE))),
        code="Throttled",
        told="copying to the destination: SlowDown made up",
    ),
    "PLACES_NOT_PROBED": Provocation(
        rules({"Filter": {"Prefix": "k" * 1000}}), names={"places": f"'{'k' * 77}...'"}
    ),
    "NOT_PROBED": Provocation(
        lambda world: natively_replicated(world, ONE, "onward-bucket"), names={"onward": "onward-bucket"}
    ),
}
#: And these further below.
PROVOKED_APART: Final = {"READ_OTHERWISE", "PROBE_STAYS", "UPLOAD_STAYS", "MARKERS_MAY_CIRCLE"}
#: And these in test_s3rctl_check.py: notifications are looked at with the operator's own rights.
PROVOKED_ELSEWHERE: Final = {"NOT_WIRED", "NOTIFICATIONS_UNSEEN"}

WARNINGS: Final = {
    *("NO_CONFIGURATION", "UNSEEN", "LOCKED_BY_DEFAULT", "ACLS_DISABLED", "REPLICAS_ARE_OURS"),
    *(
        "REPLICATED_TWICE",
        "MARKERS_MAY_CIRCLE",
        "UPLOADS_STAY",
        "EXPIRES",
        "NOT_PROBED",
        "RULES_COLLIDE",
        "NOT_COMPARED",
        "PLACES_NOT_PROBED",
    ),
}


def all_problems() -> dict[str, Problem]:
    return {name: value for name, value in vars(problems).items() if isinstance(value, Problem)}


def test_everything_that_can_be_found_is_provoked() -> None:
    assert PROVOKED.keys() | PROVOKED_APART | PROVOKED_ELSEWHERE == all_problems().keys()


@pytest.mark.parametrize("name", sorted(PROVOKED))
def test_what_is_wrong_is_found_and_said(name: str, world: World) -> None:
    problem, provoked = all_problems()[name], PROVOKED[name]
    with provoked.prepare(world) or nullcontext():
        found = world.check()

    names = {"bucket": provoked.subject, **provoked.names}
    if name in ("KEY_UNUSABLE", "KEY_UNFIT"):
        [key] = boto3.client("kms").list_keys()["Keys"]
        names["key"] = key["KeyArn"]
    message = problem.sentence.format_map(names)
    told = [finding for finding in found if finding.message == message]
    assert told, "\n".join(map(str, found))
    finding = told[0]
    assert finding.subject == provoked.subject
    assert finding.check is (problem.check or provoked.check)
    assert finding.code == (problem.code or provoked.code)
    assert finding.severity is (Severity.WARNING if name in WARNINGS else Severity.FAILED)
    assert finding.fix
    assert "{" not in finding.message + finding.fix.replace("{ObjectOwnership", "")
    assert_no_probe_is_left(world)


def assert_no_probe_is_left(world: World) -> None:
    for bucket in DESTINATIONS:
        if bucket not in [each["Name"] for each in world.s3.list_buckets()["Buckets"]]:
            continue
        listed = world.s3.list_object_versions(Bucket=bucket)
        assert not listed.get("Versions")
        assert not listed.get("DeleteMarkers")
        assert world.open_uploads(bucket) == 0


def wrong(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.severity is not Severity.OK]


ABORTING: Final = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


def healthy(world: World) -> None:
    for bucket in DESTINATIONS:
        with_lifecycle(world, bucket, ABORTING)


def test_of_a_healthy_deployment_nothing_is_said_but_that_it_is(world: World) -> None:
    healthy(world)
    world.put("object", Tagging="k=v")
    found = world.check()
    assert wrong(found) == []
    subjects = [finding.subject for finding in found]
    assert list(dict.fromkeys(subjects)) == ["configuration", SOURCE, ONE, TWO]
    tried = {finding.check for finding in found if finding.subject == ONE}
    assert tried >= {
        *(Check.EXISTENCE, Check.REGION, Check.VERSIONING, Check.OBJECT_LOCK, Check.OWNERSHIP),
        *(Check.UPLOADS, Check.EXPIRATION, Check.WRITE, Check.TAG, Check.ACL, Check.READ, Check.MARKER),
        *(Check.COPY, Check.PARTS, Check.DELETE),
    }
    assert_no_probe_is_left(world)
    assert world.versions("object", SOURCE) == ["content"]


def test_nothing_is_written_where_it_could_not_be_removed_by_its_id(world: World) -> None:
    suspended(world, ONE)
    world.check()
    of_one = [call.operation for call in world.calls["replicate"] if call.arguments.get("Bucket") == ONE]
    assert not [operation for operation in of_one if operation.startswith(("Put", "Delete"))]


# -- the probe


def test_a_probe_is_what_a_rule_would_make_of_a_version(world: World) -> None:
    """Storage class, key, owner and place; and one without a key, as objects that have none get none."""
    key = key_made(world)
    rule = encrypting(key)
    rule["Destination"] |= {
        "StorageClass": "STANDARD_IA",
        "Account": ACCOUNT,
        "AccessControlTranslation": {"Owner": "Destination"},
    }
    world.rules({**rule, "Extensions": {"KeyTransform": {"AddPrefix": "team/"}}})
    world.check()
    sent = [call.arguments for call in world.calls["replicate"] if call.operation == "PutObject"]
    of_one = [arguments for arguments in sent if arguments["Bucket"] == ONE]
    assert len(of_one) == 2
    for arguments in of_one:
        assert arguments["Key"].startswith(f"team/{FOLDER}")
        assert is_probe(arguments["Key"])
        assert arguments["StorageClass"] == "STANDARD_IA"
        assert arguments["ACL"] == "bucket-owner-full-control"
        assert arguments["ExpectedBucketOwner"] == ACCOUNT
        assert arguments["Tagging"]
    assert {arguments["ServerSideEncryption"] for arguments in of_one} == {"AES256", "aws:kms"}
    assert {arguments.get("SSEKMSKeyId") for arguments in of_one} == {None, key}
    [plain] = [arguments for arguments in sent if arguments["Bucket"] == TWO]
    assert plain["Key"].startswith(FOLDER)
    assert "ACL" not in plain
    assert_no_probe_is_left(world)


def denied_outside(prefix: str, *operations: str) -> AbstractContextManager[object]:
    """As by a policy whose Deny has NotResource BUCKET/PREFIX*. Deletes by version id are let through."""

    def outside(request: Any) -> bool:
        url = urlsplit(request.url)
        key = unquote(url.path).removeprefix(f"/{ONE}").removeprefix("/")
        return to_bucket(ONE)(request) and "versionId" not in url.query and not key.startswith(prefix)

    return faults(
        *(
            Fault(
                operation,
                status=403,
                code="AccessDenied",
                message=BY_POLICY,
                times=99,
                when=outside,
                happened=1,
            )
            for operation in operations
        )
    )


WRITING: Final = ("PutObject", "DeleteObject", "CopyObject", "CreateMultipartUpload")


@pytest.mark.parametrize(
    ("rule", "prefix"),
    [
        ({"Filter": {"Prefix": "eu/"}}, "eu/"),
        (
            {
                "Filter": {"Prefix": "in/"},
                "Extensions": {"KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"}},
            },
            "eu/",
        ),
        (
            {
                "Filter": {"Prefix": "in/"},
                "Extensions": {
                    "KeyNameConstraint": {"MatchAnyPrefix": ["in/eu/a/", "in/eu/b/"]},
                    "KeyTransform": {"StripPrefix": "in/"},
                },
            },
            "eu/",
        ),
    ],
    ids=["its prefix", "its transform", "its prefixes"],
)
def test_a_probe_lies_where_the_replicas_of_a_rule_lie(
    world: World, rule: dict[str, Any], prefix: str
) -> None:
    """What a policy denies elsewhere is nobody's concern; what it denies there is."""
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}, **rule})
    with denied_outside(prefix, *WRITING):
        found = world.check()
    assert [str(finding) for finding in found if finding.severity is Severity.FAILED] == []
    assert_no_probe_is_left(world)
    with denied_outside("asia/", *WRITING):
        found = world.check()
    denied_there = [finding.check for finding in found if finding.severity is Severity.FAILED]
    assert Check.WRITE in denied_there
    assert_no_probe_is_left(world)


def test_a_delete_marker_is_tried_only_where_a_rule_would_write_one(world: World) -> None:
    world.rules(
        {"Filter": {"Prefix": "eu/"}, "DeleteMarkerReplication": {"Status": "Enabled"}},
        {"Filter": {"Prefix": "asia/"}},
    )
    with denied_outside("eu/", "DeleteObject"):
        found = world.check()
    assert [str(finding) for finding in found if finding.check is Check.MARKER and finding.code] == []


def test_of_many_prefixes_twenty_are_probed_and_the_others_named(world: World) -> None:
    world.rules(*({"Filter": {"Prefix": f"{number:02}/"}} for number in range(23)))
    found = world.check()
    sent = [call.arguments for call in world.calls["replicate"] if call.operation == "PutObject"]
    assert sum(arguments["Bucket"] == ONE for arguments in sent) == 20
    [told] = [
        finding
        for finding in found
        if finding.check is Check.WRITE and finding.code is None and finding.severity is Severity.WARNING
    ]
    assert told.subject == ONE
    for number in range(23):
        probed = any(arguments["Key"].startswith(f"{number:02}/") for arguments in sent)
        assert (f"'{number:02}/'" in told.message) != probed
    assert_no_probe_is_left(world)


def test_a_delete_marker_is_tried_only_where_rules_replicate_some(world: World) -> None:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}}, to(TWO))
    found = world.check()
    assert [finding.subject for finding in found if finding.check is Check.MARKER] == [ONE]
    assert_no_probe_is_left(world)


def test_where_a_bucket_locks_what_it_is_given_a_probe_is_locked_for_a_moment_only(world: World) -> None:
    source_without_lock_and_destination_locking(world)
    found = world.check()
    assert [finding.check for finding in found if finding.severity is Severity.FAILED] == []
    # A copy would be locked for thirty days.
    assert not [finding for finding in found if finding.check is Check.COPY and finding.subject == ONE]
    assert_no_probe_is_left(world)


def test_a_bucket_whose_lock_cannot_be_seen_is_given_nothing_that_it_could_lock(world: World) -> None:
    """S3 takes no object with a retention without a checksum, so it refuses what would get one by default."""
    with faults(denied("GetObjectLockConfiguration", "Access Denied")):
        world.check()
    [sent] = [
        call.arguments
        for call in world.calls["replicate"]
        if call.operation == "PutObject" and call.arguments["Bucket"] == ONE
    ]
    assert "ObjectLockMode" not in sent
    assert "ChecksumAlgorithm" not in sent
    assert "ContentMD5" not in sent


def test_a_step_that_fails_does_not_keep_the_probe_from_being_removed(world: World) -> None:
    for operation in ("PutObjectTagging", "HeadObject", "CopyObject", "CreateMultipartUpload", "ListParts"):
        with faults(denied(operation, BY_POLICY)):
            found = world.check()
        assert [finding for finding in found if finding.severity is Severity.FAILED], operation
        assert_no_probe_is_left(world)


def test_a_writer_that_dies_leaves_its_probe_to_the_remover(world: World) -> None:
    """Its answer never came, so the probes are found by their name."""

    def dies() -> None:
        assert world.s3.list_object_versions(Bucket=ONE)["Versions"]
        raise StackUnusable("function replicate failed: timed out")

    with pytest.raises(StackUnusable):
        world.check(between=dies)
    assert_no_probe_is_left(world)


def test_a_probe_whose_tags_somebody_changes_is_told_of(world: World) -> None:
    def retag() -> None:
        for version in world.s3.list_object_versions(Bucket=ONE)["Versions"]:
            which = {"Key": version["Key"], "VersionId": version["VersionId"]}
            tagging = {"TagSet": [{"Key": "theirs", "Value": "yes"}]}
            world.s3.put_object_tagging(Bucket=ONE, Tagging=tagging, **which)

    found = world.check(between=retag)
    assert problems.READ_OTHERWISE.at(ONE) in found
    assert_no_probe_is_left(world)


def by_version(request: Any) -> bool:
    return "versionId=" in request.url and to_bucket(ONE)(request)


def test_a_probe_that_cannot_be_deleted_is_told_with_its_version_id(world: World) -> None:
    message = BY_POLICY.replace("s3:PutObject", "s3:DeleteObjectVersion")
    refusing = Fault(
        "DeleteObject", status=403, code="AccessDenied", message=message, times=99, when=by_version
    )
    with faults(refusing):
        found = world.check()
    left = world.s3.list_object_versions(Bucket=ONE)
    versions = {each["VersionId"]: each["Key"] for each in left["Versions"] + left["DeleteMarkers"]}
    assert versions
    told = [finding for finding in found if finding.check is Check.DELETE and finding.subject == ONE]
    for version, key in versions.items():
        expected = problems.PROBE_STAYS.at(
            ONE,
            code="DstDelObjNotPermitted",
            key=key,
            version=version,
            told=f"deleting a replica: AccessDenied {message}",
            region="us-east-1",
        )
        assert expected in told
        assert f"--key {key} --version-id {version}" in expected.fix
    denial = problems.DENIED_BY_POLICY.at(
        ONE,
        check=Check.DELETE,
        code="DstDelObjNotPermitted",
        role=ROLE,
        action="s3:DeleteObjectVersion",
    )
    assert denial in told


def test_a_remover_that_fails_leaves_no_probe_unsaid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def break_remover() -> None:
        for bucket in DESTINATIONS:
            listed = world.s3.list_object_versions(Bucket=bucket)
            written.extend(each["VersionId"] for each in listed["Versions"] + listed["DeleteMarkers"])
        monkeypatch.setattr(functions.retry.app, "handler", unusable)

    found = world.check(between=break_remover)
    told = [finding.message for finding in found if finding.check is Check.DELETE]
    assert written
    for version in written:
        assert [message for message in told if f"version {version}, could not be deleted" in message]


def unusable(event: Any, context: Any) -> None:
    raise StackUnusable("function retry cannot be invoked: AccessDeniedException")


def test_an_upload_that_cannot_be_aborted_is_told_with_its_id(world: World) -> None:
    message = BY_POLICY.replace("s3:PutObject", "s3:AbortMultipartUpload")
    with faults(denied("AbortMultipartUpload", message)):
        found = world.check()
    [upload] = world.s3.list_multipart_uploads(Bucket=ONE)["Uploads"]
    expected = problems.UPLOAD_STAYS.at(
        ONE,
        code="DstMultipartUploadNotPermitted",
        key=upload["Key"],
        upload=upload["UploadId"],
        told=f"aborting the upload: AccessDenied {message}",
        region="us-east-1",
    )
    assert expected in found


def test_the_remover_deletes_nothing_but_probes_of_this_check(world: World) -> None:
    """Whatever it is told to."""
    users = world.s3.put_object(Bucket=ONE, Key="users", Body=b"")["VersionId"]
    other = f"{FOLDER}{'A' * 16}-0"
    others = world.s3.put_object(Bucket=ONE, Key=other, Body=b"")["VersionId"]
    written = [
        {"bucket": ONE, "key": key, "versionId": version, "until": None, "locking": True}
        for key, version in (("users", users), (other, others))
    ]
    event = {"check": {"nonce": "B" * 16, "written": written}}
    functions.retry.app.handler(event, Context(300))
    kept = [version["Key"] for version in world.s3.list_object_versions(Bucket=ONE)["Versions"]]
    assert kept == [other, "users"]


def test_a_probe_that_another_stack_comes_upon_is_not_replicated(world: World) -> None:
    """The source of one stack can be a destination of another."""
    key = f"{FOLDER}{'A' * 16}-0"
    written, marked = world.put(key), world.mark(key)
    world.deliver(written, marked, world.purge(marked), world.purge(written))
    world.drain()
    assert world.parked() == []
    for bucket in DESTINATIONS:
        assert world.versions(key, bucket) == []
    assert world.dynamodb.scan(TableName=TABLE)["Items"] == []


# -- the answers


def test_what_is_found_survives_the_way_to_whoever_asked(world: World) -> None:
    found = world.check()
    assert [Finding.read(json.loads(json.dumps(each.document()))) for each in found] == found


def test_of_a_check_that_fails_for_one_kind_of_replica_it_is_not_said_that_it_succeeds(world: World) -> None:
    key = key_made(world)
    world.rules(encrypting(key))
    with faults(
        Fault("PutObject", status=403, code="AccessDenied", message=BY_KEY, when=lambda r: key_in(r, key))
    ):
        found = world.check()
    told = [finding for finding in found if (finding.subject, finding.check) == (ONE, Check.WRITE)]
    assert [finding.severity for finding in told] == [Severity.FAILED]


def key_in(request: Any, key: str) -> bool:
    named = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id", b"")
    return named in (key, key.encode())


# -- replicas of others at the source


def loops(world: World) -> list[Finding]:
    return [found for found in world.check() if found.check is Check.LOOPS]


@pytest.fixture
def replica(world: World) -> World:
    """Another stack has written to the source; the rules replicate delete markers."""
    names = ("source", "version", "nonce")
    metadata = {f"s3replicator-{name}": name for name in names} | {
        "s3replicator-place": place_of(SOURCE, "theirs")
    }
    world.put("plain")
    world.put("theirs", Metadata=metadata)
    return world


def test_where_others_write_replicas_and_no_peers_are_known_markers_may_circle(replica: World) -> None:
    assert loops(replica) == [problems.MARKERS_MAY_CIRCLE.at(SOURCE, key="theirs")]


def test_with_peers_or_without_markers_nothing_can_circle_and_nothing_is_looked_at(replica: World) -> None:
    replica.settings(PEER_PRINCIPALS="AROAEXAMPLEPEER00000")
    assert loops(replica) == []
    replica.settings(PEER_PRINCIPALS="")
    replica.rules({})
    assert loops(replica) == []


def test_where_nobody_else_writes_replicas_that_is_said(world: World) -> None:
    world.put("plain")
    world.s3.put_object(Bucket=SOURCE, Key="copied", Metadata={"s3replicator-place": "elsewhere"})
    [found] = loops(world)
    assert found.severity is Severity.OK
