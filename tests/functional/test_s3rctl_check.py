"""``s3rctl check`` and ``s3rctl policy``: the tool, answered by the real functions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
import pytest

from s3replicator.decisions import problems
from s3replicator.decisions.notifications import EVENTS
from s3replicator.usecases import probing
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.s3rctl_tool import Answer, Tool, deploy, functions_answering, refused, running
from tests.functional.world import DESTINATIONS, ONE, SOURCE, TWO, World

ACCOUNT: Final = "123456789012"
KINDS: Final = (
    *("ReplicateRole", "ReplicateLargeRole", "RetryRole", "BackfillRole", "SurveyRole"),
    "BucketSetupRole",
)
ROLES: Final = {kind: f"arn:aws:iam::{ACCOUNT}:role/s3-replicator-{kind}-1ABC" for kind in KINDS}
KEY: Final = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WHO: Final = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/s3-replicator-ReplicateRole-1ABC/session"
DENIED: Final = f"{WHO} is not authorized to perform: s3:PutObject"
ENTRY: Final = "s3-replicator-s3-replicator"


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr(probing, "RETENTION", 0.1)
    monkeypatch.setattr(probing, "_SKEW", 0.1)
    deploy(
        world,
        ReplicateFunctionName="replicate",
        IngestQueueArn=queue_arn(world),
        RoleArns=",".join(f"{kind}={arn}" for kind, arn in ROLES.items()),
    )
    wire(world)
    for bucket in DESTINATIONS:
        abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
        rule = {"ID": "abort", "Status": "Enabled", "Filter": {"Prefix": ""}, **abort}
        world.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    return Tool(capsys)


def queue_arn(world: World) -> str:
    attributes = world.sqs.get_queue_attributes(QueueUrl=world.queues["ingest"], AttributeNames=["QueueArn"])
    return str(attributes["Attributes"]["QueueArn"])


def wire(world: World, *others: dict[str, Any]) -> None:
    ours = {"Id": ENTRY, "QueueArn": queue_arn(world), "Events": list(EVENTS)}
    notify(world, ours, *others)


def notify(world: World, *entries: dict[str, Any]) -> None:
    world.s3.put_bucket_notification_configuration(
        Bucket=SOURCE, NotificationConfiguration={"QueueConfigurations": list(entries)}
    )


def check(s3rctl: Tool, *options: str) -> Answer:
    with functions_answering({name: running(name) for name in ("replicate", "retry")}):
        return s3rctl("check", *options)


@contextmanager
def denied(message: str) -> Iterator[None]:
    fault = Fault(
        "PutObject", status=403, code="AccessDenied", message=message, times=99, when=to_bucket(ONE)
    )
    with faults(fault):
        yield


# -- check


def test_a_healthy_stack_has_nothing_but_ok_in_its_table(s3rctl: Tool) -> None:
    answer = check(s3rctl)
    assert answer.code == 0
    heading, *lines = answer.out.splitlines()
    assert heading.split() == ["SUBJECT", "CHECK", "RESULT", "CODE", "WHAT", "TO", "DO"]
    assert len(lines) > 30
    assert {line.split("  ")[0] for line in lines} == {"configuration", SOURCE, ONE, TWO}
    assert not [line for line in lines if " ok " not in f"{line} "]
    assert answer.err == ""


def test_what_failed_is_said_with_what_to_do_and_what_to_paste(s3rctl: Tool) -> None:
    with denied(f"{DENIED} because no resource-based policy allows the s3:PutObject action"):
        answer = check(s3rctl)
    assert answer.code == 1
    [line] = [line for line in answer.out.splitlines() if " failed " in line]
    assert line.split("  ")[0] == ONE
    assert "DstPutObjectNotPermitted" in line
    expected = f"The bucket policy of {ONE} does not allow s3-replicator-ReplicateRole-1ABC s3:PutObject."
    assert f"{expected} Add to it what s3rctl policy destination {ONE} prints." in line
    table, _, pasted = answer.out.partition(f"\nBucket policy for {ONE}")
    assert json.loads(pasted[pasted.index("{") :]) == json.loads(s3rctl("policy", "destination", ONE).out)
    assert table
    assert "1 failed, 0 warnings" in answer.err


def test_a_warning_does_not_fail_the_check(world: World, s3rctl: Tool) -> None:
    world.s3.delete_bucket_lifecycle(Bucket=ONE)
    answer = check(s3rctl)
    assert answer.code == 0
    [line] = [line for line in answer.out.splitlines() if " warning " in line]
    assert ONE in line
    pasted = json.loads(answer.out[answer.out.index("{") :])
    world.s3.put_bucket_lifecycle_configuration(Bucket=ONE, LifecycleConfiguration=pasted)
    assert " warning " not in check(s3rctl).out


def test_for_scripts_there_is_a_document(s3rctl: Tool) -> None:
    with denied(f"{DENIED} with an explicit deny in a resource-based policy"):
        answer = check(s3rctl, "--json")
    assert answer.code == 1
    document = answer.json
    assert document["ok"] is False
    [failed] = [finding for finding in document["findings"] if finding["severity"] == "failed"]
    assert (failed["subject"], failed["check"]) == (ONE, "write a replica")
    assert failed["code"] == "DstPutObjectNotPermitted"
    [told] = document["documents"]
    assert told["resource"] == ONE
    assert told["document"] == {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(ROLES.values())}}}


def test_a_key_that_may_not_be_used_is_told_with_its_statements(world: World, s3rctl: Tool) -> None:
    world.rules(
        {
            "Destination": {
                "Bucket": f"arn:aws:s3:::{ONE}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": KEY},
            },
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        }
    )
    with denied(
        f"{WHO} is not authorized to perform: kms:GenerateDataKey on resource: {KEY} because no"
        " resource-based policy allows the kms:GenerateDataKey action"
    ):
        document = check(s3rctl, "--json").json
    [told] = [each for each in document["documents"] if each["remedy"] == "key policy"]
    assert told["resource"] == KEY
    assert told["document"] == json.loads(s3rctl("policy", "key", KEY).out)


OTHERS: Final = {
    "Id": "theirs",
    "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:theirs",
    "Events": ["s3:ObjectRestore:*"],
}


def test_an_entry_that_somebody_has_overwritten_is_found_and_repaired(world: World, s3rctl: Tool) -> None:
    notify(world, OTHERS)
    answer = check(s3rctl)
    assert answer.code == 1
    [line] = [line for line in answer.out.splitlines() if " failed " in line]
    assert line.split("  ")[0] == SOURCE
    assert problems.NOT_WIRED.sentence.partition("{")[0] in line
    assert "s3rctl check --fix" in line

    repaired = check(s3rctl, "--fix")
    assert repaired.code == 0
    assert "Repaired: " in repaired.err
    entries = world.s3.get_bucket_notification_configuration(Bucket=SOURCE)["QueueConfigurations"]
    assert {entry["Id"] for entry in entries} == {"theirs", ENTRY}
    assert "Repaired" not in check(s3rctl, "--fix").err


def test_who_may_not_look_at_the_notifications_is_told_so(s3rctl: Tool) -> None:
    fault = Fault(
        "GetBucketNotificationConfiguration", status=403, code="AccessDenied", message="Access Denied"
    )
    with faults(fault):
        answer = check(s3rctl, "--fix")
    assert answer.code == 0
    [line] = [line for line in answer.out.splitlines() if " warning " in line]
    told = f"GetBucketNotificationConfiguration on bucket {SOURCE}: AccessDenied: Access Denied"
    assert problems.NOTIFICATIONS_UNSEEN.at(SOURCE, told=told).message in line


def test_an_entry_in_the_way_is_not_touched(world: World, s3rctl: Tool) -> None:
    theirs = {**OTHERS, "Events": ["s3:ObjectCreated:*"]}
    notify(world, theirs)
    answer = check(s3rctl, "--fix")
    assert answer.code == 1
    assert "theirs" in answer.out
    entries = world.s3.get_bucket_notification_configuration(Bucket=SOURCE)["QueueConfigurations"]
    assert [entry["Id"] for entry in entries] == ["theirs"]


def test_a_function_that_may_not_be_invoked_is_no_finding(s3rctl: Tool) -> None:
    with functions_answering(
        dict.fromkeys(("replicate", "retry"), lambda _: refused("AccessDeniedException"))
    ):
        answer = s3rctl("check")
    assert answer.code == 2
    assert "function replicate cannot be invoked" in answer.err


def test_a_stack_of_a_former_release_says_so(world: World, s3rctl: Tool) -> None:
    deploy(world, "former", IngestQueueArn=queue_arn(world))
    for command in (["check"], ["policy", "destination", ONE]):
        answer = s3rctl(*command, "--stack", "former")
        assert answer.code == 2
        assert "RoleArns" in answer.err


# -- policy


def test_the_policy_names_the_roles_of_the_stack_and_can_be_applied(world: World, s3rctl: Tool) -> None:
    answer = s3rctl("policy", "destination", ONE)
    assert answer.code == 0
    world.s3.put_bucket_policy(Bucket=ONE, Policy=answer.out)
    statements = json.loads(answer.out)["Statement"]
    named = {arn for statement in statements for arn in statement["Principal"]["AWS"]}
    assert named == set(ROLES.values())
    assert {statement["Resource"] for statement in statements} == {
        f"arn:aws:s3:::{ONE}/*",
        f"arn:aws:s3:::{ONE}",
    }
    [deleting] = [s for s in statements if "s3:DeleteObjectVersion" in s["Action"]]
    assert deleting["Principal"]["AWS"] == [ROLES["RetryRole"], ROLES["BackfillRole"]]
    assert s3rctl("policy", "destination", ONE, "--json").json == json.loads(answer.out)


def test_before_the_stack_is_there_the_policy_names_the_roles_it_will_have(s3rctl: Tool) -> None:
    answer = s3rctl("policy", "destination", "elsewhere", "--account", "444455556666", "--stack", "mine")
    assert answer.code == 0
    for statement in json.loads(answer.out)["Statement"]:
        assert statement["Principal"] == {"AWS": "arn:aws:iam::444455556666:root"}
        for pattern in statement["Condition"]["ArnLike"]["aws:PrincipalArn"]:
            assert pattern.startswith("arn:aws:iam::444455556666:role/mine-")
            assert pattern.endswith("Role-*")


def test_a_long_name_of_a_stack_is_cut_as_cloudformation_cuts_it(s3rctl: Tool) -> None:
    name = "a-stack-with-a-name-that-leaves-no-room-for-the-name-of-a-role"
    answer = s3rctl("policy", "destination", "elsewhere", "--account", "444455556666", "--stack", name)
    [pattern] = json.loads(answer.out)["Statement"][-1]["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert pattern == "arn:aws:iam::444455556666:role/a-stack-with-a-name-that*-ReplicateRole-*"


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-1", "aws")]
)
def test_the_partition_is_that_of_the_region(region: str, partition: str, s3rctl: Tool) -> None:
    answer = s3rctl("policy", "destination", "b", "--account", "444455556666", "--region", region)
    assert f'"arn:{partition}:s3:::b/*"' in answer.out


def test_without_a_stack_and_without_an_account_there_is_a_hint(s3rctl: Tool) -> None:
    answer = s3rctl("policy", "destination", ONE, "--stack", "nowhere")
    assert answer.code == 2
    assert "--account" in answer.err


def test_an_account_is_twelve_digits(s3rctl: Tool) -> None:
    answer = s3rctl("policy", "destination", ONE, "--account", "1234")
    assert answer.code == 2
    assert "12 digits" in answer.err


def test_the_statements_of_a_key_are_to_be_added_to_its_policy(world: World, s3rctl: Tool) -> None:
    answer = s3rctl("policy", "key", KEY)
    assert answer.code == 0
    statements = json.loads(answer.out)["Statement"]
    assert "must not be replaced" in answer.err
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"] += statements
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    by_action = {action: s["Principal"]["AWS"] for s in statements for action in s["Action"]}
    assert by_action["kms:GenerateDataKey"] == [ROLES[kind] for kind in KINDS[:4]]
    assert by_action["kms:Decrypt"] == [ROLES[kind] for kind in KINDS[:4]]
    assert by_action["kms:DescribeKey"] == [ROLES["ReplicateRole"]]


def test_the_keys_that_rules_name_for_a_destination_are_told_of(world: World, s3rctl: Tool) -> None:
    world.rules(
        {
            "Destination": {
                "Bucket": f"arn:aws:s3:::{ONE}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": KEY},
            },
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        }
    )
    assert f"s3rctl policy key {KEY}" in s3rctl("policy", "destination", ONE).err
    assert s3rctl("policy", "destination", TWO).err == ""
