"""The check of a deployment in the template and in the documents: what it may do, when, and what it says."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from s3replicator.decisions import policies, problems
from s3replicator.decisions.findings import Check, Severity
from s3replicator.decisions.problems import Problem
from tests.template.test_docs import README, RUNBOOK, headings, names, prose, table
from tests.template.test_template import FUNCTIONS, RESOURCES, TEMPLATE, as_list, get_att, statements_of

OBJECTS: Final = {"Fn::Split": [",", get_att("BucketSetup", "DestinationObjectArns")]}
BUCKETS: Final = {"Fn::Split": [",", get_att("BucketSetup", "DestinationBucketArns")]}
CHECK: Final[dict[str, Any]] = RESOURCES["DeploymentCheck"]


def all_problems() -> dict[str, Problem]:
    return {name: value for name, value in vars(problems).items() if isinstance(value, Problem)}


# The custom resource


def test_the_deployment_is_checked_by_the_two_functions_and_no_others_may_be_asked() -> None:
    assert CHECK["DependsOn"] == "DeploymentCheckPolicy"
    properties = CHECK["Properties"]
    assert properties["ServiceToken"] == get_att("BucketSetupFunction")
    asked = [properties["ReplicateFunction"], properties["RetryFunction"]]
    assert asked == [{"Ref": "ReplicateFunction"}, {"Ref": "RetryFunction"}]
    [invoking] = [s for s in statements_of("BucketSetupRole") if "lambda:" in str(s["Action"])]
    assert invoking["Action"] == "lambda:InvokeFunction"
    assert invoking["Resource"] == [get_att("ReplicateFunction"), get_att("RetryFunction")]
    [looking] = [s for s in statements_of("BucketSetupRole") if "cloudformation:" in str(s["Action"])]
    assert (looking["Action"], looking["Resource"]) == (
        "cloudformation:DescribeStacks",
        {"Ref": "AWS::StackId"},
    )


def test_a_check_that_cannot_answer_does_not_hold_the_stack_for_an_hour() -> None:
    assert 120 < CHECK["Properties"]["ServiceTimeout"] <= 300


def test_an_update_of_anything_that_matters_to_it_is_checked_again() -> None:
    """CloudFormation calls the function again only if a property of the resource has changed."""
    text = str(CHECK["Properties"])
    for name in ("SourceBucket", "EventSource", "SourceKmsKeys", "ReplicaKmsKeys"):
        assert f"'{name}'" in text
    assert str(get_att("BucketSetup", "Destinations")) in text
    assert str({"Ref": "CoreLayer"}) in text


def test_the_policies_of_keys_are_there_before_the_check() -> None:
    attached = {
        name
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::IAM::Policy" and "ReplicaKmsKeys" in str(resource)
    }
    assert attached
    for name in attached:
        assert str({"Ref": name}) in str(CHECK["Properties"])


def test_the_check_uses_no_permission_that_replicating_does_not_but_to_look() -> None:
    [there] = [s for s in statements_of("ReplicateRole") if s["Sid"] == "CheckDestinations"]
    [here] = [s for s in statements_of("ReplicateRole") if s["Sid"] == "CheckSource"]
    for statement in (there, here):
        assert all(re.match("s3:Get", action) for action in statement["Action"])


# What policies of other accounts have to allow


def granted(role: str, resource: Any) -> set[str]:
    return {
        action
        for statement in statements_of(role)
        if statement["Resource"] == resource and statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
    }


def told(permissions: tuple[policies.Permission, ...], role: str) -> set[str]:
    return {action for permission in permissions if role in permission.roles for action in permission.actions}


@pytest.mark.parametrize("role", policies.ROLES)
def test_a_bucket_policy_allows_each_role_just_what_it_does(role: str) -> None:
    assert told(policies.OBJECTS, role) == granted(role, OBJECTS)
    of_bucket = granted(role, BUCKETS)
    if role == policies.SETUP:
        # It works before the destinations have been looked up.
        [checking] = [s for s in statements_of(role) if s["Sid"] == "CheckDestinations"]
        of_bucket = set(checking["Action"])
    assert told(policies.BUCKET, role) == of_bucket


@pytest.mark.parametrize("role", policies.ROLES)
def test_a_key_policy_allows_each_role_just_what_it_does(role: str) -> None:
    keys = {"Fn::Split": [",", {"Ref": "ReplicaKmsKeys"}]}
    assert told((*policies.THROUGH_S3, *policies.DIRECTLY), role) == granted(role, keys)


def test_no_role_that_reaches_into_destinations_is_forgotten() -> None:
    reaching = {
        name
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::IAM::Role"
        and any(
            s["Resource"] in (OBJECTS, BUCKETS) or s["Sid"] == "CheckDestinations"
            for s in statements_of(name)
        )
    }
    assert reaching == set(policies.ROLES)
    _, listed = TEMPLATE["Outputs"]["RoleArns"]["Value"]["Fn::Join"]
    assert [entry["Fn::Sub"] for entry in listed] == [f"{role}=${{{role}.Arn}}" for role in policies.ROLES]


def test_no_role_is_named_in_two_statements_for_the_same_action() -> None:
    for permissions in (policies.OBJECTS, policies.BUCKET, policies.THROUGH_S3, policies.DIRECTLY):
        actions = [action for permission in permissions for action in permission.actions]
        assert len(actions) == len(set(actions))


# The documents


def quoted() -> Iterator[list[str]]:
    yield from table(RUNBOOK, "sentence")


def test_the_runbook_quotes_every_finding_and_no_other() -> None:
    told_of = [names(row[0])[0] for row in quoted()]
    assert sorted(told_of) == sorted(problem.quoted for problem in all_problems().values())


def test_the_runbook_says_how_bad_each_finding_is_and_what_to_do() -> None:
    by_sentence = {problem.quoted: problem for problem in all_problems().values()}
    for row in quoted():
        problem = by_sentence[names(row[0])[0]]
        assert row[1].startswith(problem.severity), row
        if problem.code is not None:
            assert f"`{problem.code}`" in row[1] or f"[{problem.code}]" in row[1], row
        assert len(row[2]) > 20, row


def test_the_runbook_tells_of_every_check() -> None:
    told_of = {name for row in table(RUNBOOK, "check") for name in names(row[0])}
    assert told_of == set(Check)
    assert {"failed", "warning", "ok"} == set(Severity)


def test_the_documents_say_how_to_check() -> None:
    assert "Preflight" in headings(RUNBOOK)
    for command in ("s3rctl check", "s3rctl check --fix", "s3rctl policy destination"):
        assert command in README.read_text()
    assert "DeploymentCheck" in prose(RUNBOOK)
    assert FUNCTIONS["BucketSetupFunction"]["Description"]
