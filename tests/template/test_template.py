"""What must hold of template.yaml, whatever else changes in it."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from samtranslator.yaml_helper import yaml_parse

from s3replicator import telemetry
from s3replicator.adapters import event_bus
from s3replicator.decisions import job
from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.deployment import Destination, SetupRefused, attributes
from s3replicator.decisions.eventbridge import DETAIL_TYPES
from s3replicator.decisions.notifications import EVENTS, EventSource, identifier_of
from s3replicator.settings import InvalidSettings, Settings

ROOT: Final = Path(__file__).parents[2]
TEMPLATE: Final[dict[str, Any]] = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: Final[dict[str, Any]] = TEMPLATE["Resources"]
GLOBALS: Final[dict[str, Any]] = TEMPLATE["Globals"]["Function"]

FOURTEEN_DAYS: Final = 14 * 24 * 60 * 60
RETAINED: Final = {"Retain", "RetainExceptOnCreate"}
#: Characters in all inline policies of a role together, white space not counted.
POLICY_LIMIT: Final = 10_240


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


FUNCTIONS: Final = of_type("AWS::Serverless::Function")
QUEUES: Final = of_type("AWS::SQS::Queue")
ALARMS: Final = of_type("AWS::CloudWatch::Alarm")
RULE: Final = of_type("AWS::Events::Rule")["SourceEvents"]
EVENTBRIDGE: Final = {"Service": "events.amazonaws.com"}
ENGINE: Final = sorted(set(FUNCTIONS) - {"BucketSetupFunction"})
WRITERS: Final = sorted(set(ENGINE) - {"SurveyFunction"})


def get_att(name: str, attribute: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def strings(value: Any) -> Iterator[str]:
    """Every string in it, those inside functions too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def role_of(function: str) -> str:
    name: str = FUNCTIONS[function]["Role"]["Fn::GetAtt"][0]
    return name


def statements_of(role: str) -> list[dict[str, Any]]:
    """The role's own and those of policies attached to it."""
    policies = list(RESOURCES[role]["Properties"]["Policies"])
    policies += [p for p in of_type("AWS::IAM::Policy").values() if {"Ref": role} in p["Roles"]]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def resource_statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        for name, policy in of_type(kind).items():
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def every_grant() -> Iterator[tuple[str, dict[str, Any]]]:
    for role in of_type("AWS::IAM::Role"):
        for statement in statements_of(role):
            yield role, statement
    for name, statement in resource_statements():
        if statement["Effect"] == "Allow":
            yield name, statement


def sqs_events(function: str) -> dict[str, dict[str, Any]]:
    """Of each queue the function consumes, the event's properties."""
    return {
        event["Properties"]["Queue"]["Fn::GetAtt"][0]: event["Properties"]
        for event in FUNCTIONS[function].get("Events", {}).values()
        if event["Type"] == "SQS"
    }


def resolve(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The few intrinsic functions that do not need an account."""
    match value:
        case {"Ref": name}:
            return parameters[name]
        case {"Fn::Join": [str(delimiter), items]}:
            return delimiter.join(resolve(items, parameters))
        case {"Fn::Split": [delimiter, text]}:
            return resolve(text, parameters).split(delimiter)
        case {"Fn::Equals": [left, right]}:
            return resolve(left, parameters) == resolve(right, parameters)
        case {"Fn::If": [condition, yes, no]}:
            holds = resolve(TEMPLATE["Conditions"][condition], parameters)
            return resolve(yes if holds else no, parameters)
        case list():
            return [resolve(item, parameters) for item in value]
        case str():
            return value
    raise AssertionError(f"cannot resolve {value}")


# Parameters and outputs


@pytest.mark.parametrize("name", sorted(TEMPLATE["Parameters"]))
def test_a_parameter_has_a_sentence_and_a_constraint_that_says_what_it_wants(name: str) -> None:
    parameter = TEMPLATE["Parameters"][name]
    assert parameter["Description"].endswith(".")
    assert re.search("[A-Za-z]{3}", parameter["ConstraintDescription"])
    assert parameter.keys() & {"AllowedPattern", "AllowedValues", "MinValue"}
    if parameter["Type"] == "Number" and "AllowedValues" not in parameter:
        assert parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]


@pytest.mark.parametrize("environment", ["default", "local", "prod"])
def test_samconfig_sets_only_parameters_there_are_to_values_they_allow(environment: str) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for override in config[environment]["deploy"]["parameters"].get("parameter_overrides", []):
        name, value = override.split("=", 1)
        parameter = TEMPLATE["Parameters"][name]
        if parameter["Type"] == "Number":
            assert parameter["MinValue"] <= int(value) <= parameter["MaxValue"], name


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("replica", True),
        ("replica.with-dots", True),
        ("replica:eu-central-1", True),
        ("replica:us-gov-west-1", True),
        ("replica:us-iso-east-1", True),
        ("arn:aws:s3:::replica", False),
        ("s3://replica", False),
        ("Replica", False),
        ("replica:", False),
        ("replica:frankfurt", False),
    ],
)
def test_a_destination_is_a_bucket_and_perhaps_a_region(value: str, good: bool) -> None:
    pattern = TEMPLATE["Parameters"]["Destinations"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == good


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("AROA0123456789ABCDEFG", True),
        ("AROA0123456789ABCDEFG,AROAGFEDCBA9876543210", True),
        ("AROA0123456789ABCDEFG, AROAGFEDCBA9876543210", False),
        ("AROA0123456789ABCDEFG,", False),
        ("arn:aws:iam::123456789012:role/replicate", False),
        ("AROA0123456789ABCDEFG:session", False),
        ("123456789012", False),
    ],
)
def test_a_peer_is_named_by_the_unique_ids_of_its_roles(value: str, good: bool) -> None:
    pattern = TEMPLATE["Parameters"]["PeerPrincipals"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == good


def test_who_writes_replicas_is_named_for_the_stacks_of_the_other_direction() -> None:
    delimiter, written = TEMPLATE["Outputs"]["WriterPrincipals"]["Value"]["Fn::Join"]
    assert delimiter == ","
    assert sorted(map(str, written)) == sorted(str(get_att(role_of(name), "RoleId")) for name in WRITERS)
    assert {role for role, statement in every_grant() if writes_replicas(statement)} == set(
        map(role_of, WRITERS)
    )


def writes_replicas(statement: dict[str, Any]) -> bool:
    checked = {"Fn::Split": [",", get_att("BucketSetup", "DestinationObjectArns")]}
    writes = any(re.match("s3:(Put|Delete)", action) for action in as_list(statement["Action"]))
    return writes and statement["Resource"] == checked


def test_the_outputs_that_tools_and_people_rely_on_are_there() -> None:
    assert set(TEMPLATE["Outputs"]) >= {
        "SourceBucketName",
        "IngestQueueUrl",
        "IngestQueueArn",
        "LargeQueueUrl",
        "DeadLetterQueueUrl",
        "ParkedQueueUrl",
        "LedgerTableName",
        "ControlBucketName",
        "ConfigurationUri",
        "ReplicateFunctionName",
        "ReplicateLargeFunctionName",
        "RetryFunctionName",
        "SurveyFunctionName",
        "BackfillFunctionName",
        "BackfillStateMachineArn",
        "DestinationBuckets",
        "WriterPrincipals",
    }


def test_no_output_has_the_name_of_a_parameter() -> None:
    """sam takes the one for the other, and fails if the parameter is a list."""
    assert not TEMPLATE["Outputs"].keys() & TEMPLATE["Parameters"].keys()


def test_every_place_names_the_configuration_alike() -> None:
    named = {text for text in strings(TEMPLATE) if "replication-configuration" in text}
    assert named
    assert all(text.endswith(f"/{OBJECT_KEY}") for text in named)


# What stays


@pytest.mark.parametrize("name", ["LedgerTable", "ControlBucket", "ControlBucketPolicy"])
def test_what_holds_state_survives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] in RETAINED
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_the_ledger_can_be_restored_and_is_encrypted() -> None:
    (table,) = of_type("AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_open_work_is_found_by_its_own_index() -> None:
    (index,) = RESOURCES["LedgerTable"]["Properties"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "open-work"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["open", "due"]


def test_what_jobs_wrote_is_forgotten_and_nothing_else() -> None:
    [rule] = RESOURCES["ControlBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["Prefix"]) == ("Enabled", job.FOLDER)
    assert rule["ExpirationInDays"] == 90
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 90
    assert not OBJECT_KEY.startswith(job.FOLDER)


def test_every_bucket_is_versioned_encrypted_and_private() -> None:
    for name, bucket in of_type("AWS::S3::Bucket").items():
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}, name
        assert bucket["BucketEncryption"], name
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name


# Queues


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_a_queue_keeps_messages_as_long_as_sqs_can_and_encrypted(name: str) -> None:
    assert QUEUES[name]["MessageRetentionPeriod"] == FOURTEEN_DAYS
    assert QUEUES[name]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("function", ENGINE)
def test_a_message_stays_hidden_six_times_as_long_as_its_function_may_run(function: str) -> None:
    for queue in sqs_events(function):
        assert QUEUES[queue]["VisibilityTimeout"] >= 6 * FUNCTIONS[function]["Timeout"]


def test_every_queue_but_the_parked_one_has_one_consumer() -> None:
    consumed = [queue for function in ENGINE for queue in sqs_events(function)]
    assert sorted(consumed) == sorted(set(QUEUES) - {"ParkedQueue"})


@pytest.mark.parametrize(
    ("queue", "target"),
    [
        ("IngestQueue", "DeadLetterQueue"),
        ("LargeQueue", "DeadLetterQueue"),
        ("DeadLetterQueue", "ParkedQueue"),
    ],
)
def test_a_redrive_is_only_a_net(queue: str, target: str) -> None:
    """Attempts are counted in the ledger; a lease can make a message be received hundreds of times."""
    redrive = QUEUES[queue]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": get_att(target), "maxReceiveCount": 1000}


@pytest.mark.parametrize("name", sorted([*QUEUES, *of_type("AWS::S3::Bucket")]))
def test_queues_and_buckets_are_reached_over_tls_only(name: str) -> None:
    denials = [
        statement
        for _, statement in resource_statements()
        if statement["Effect"] == "Deny" and get_att(name) in as_list(statement["Resource"])
    ]
    (denial,) = denials
    assert denial["Principal"] == "*"
    assert denial["Action"] in {"sqs:*", "s3:*"}
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def may_send_from_outside() -> list[dict[str, Any]]:
    return [s for _, s in resource_statements() if s["Effect"] == "Allow" and "sqs" in str(s)]


def test_only_the_source_bucket_of_this_account_may_send_to_a_queue_from_outside() -> None:
    (statement,) = [s for s in may_send_from_outside() if s["Principal"] != EVENTBRIDGE]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == get_att("IngestQueue")
    assert statement["Condition"] == {
        "ArnEquals": {
            "aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:s3:::${SourceBucket}"},
        },
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    }


def test_and_the_rule_of_this_stack_that_takes_its_events_from_eventbridge() -> None:
    """Whether or not it is there: EventBridge drops at once what it may not deliver, so no change of the
    parameter may come to the policies before it comes to the rule."""
    statements = [s for s in may_send_from_outside() if s["Principal"] == EVENTBRIDGE]
    (target,) = RULE["Targets"]
    assert [s["Resource"] for s in statements] == [target["Arn"], target["DeadLetterConfig"]["Arn"]]
    name, variables = RULE["Name"]["Fn::Sub"]
    arn = f"arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:rule/{name}"
    for statement in statements:
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::Sub": [arn, variables]}}}
    assert set(RESOURCES["SourceEvents"]["DependsOn"]) == {"IngestQueuePolicy", "DeadLetterQueuePolicy"}


# EventBridge


def test_the_rule_takes_what_is_replicated_of_this_bucket_and_nothing_else() -> None:
    assert RESOURCES["SourceEvents"]["Condition"] == "UsesEventBridge"
    wanted = {"Fn::Equals": [{"Ref": "EventSource"}, "EventBridge"]}
    assert TEMPLATE["Conditions"]["UsesEventBridge"] == wanted
    assert RULE["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": list(DETAIL_TYPES),
        "detail": {"bucket": {"name": [{"Ref": "SourceBucket"}]}},
    }


def test_an_event_that_eventbridge_cannot_deliver_comes_to_the_retry_function() -> None:
    (target,) = RULE["Targets"]
    assert target["Arn"] == get_att("IngestQueue")
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
    assert target["DeadLetterConfig"] == {"Arn": get_att("DeadLetterQueue")}
    assert "DeadLetterQueue" in sqs_events("RetryFunction")


def test_the_rule_is_called_as_no_other_stacks_and_never_too_long() -> None:
    """Its ARN must be known before it is there, and the name of a stack can be twice as long as a rule's."""
    name, variables = RULE["Name"]["Fn::Sub"]
    assert variables == {"Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}
    assert len(name.replace("${Id}", "12345678-1234-1234-1234-123456789012")) <= 64


def test_events_come_by_either_way_all_the_time_that_it_is_changed() -> None:
    """The rule is made before the entry goes, since the resource refers to it; and CloudFormation deletes
    what is no longer wanted after all updates."""
    setup = RESOURCES["BucketSetup"]["Properties"]
    assert setup["EventSource"] == {"Ref": "EventSource"}
    assert setup["Rule"] == {"Fn::If": ["UsesEventBridge", get_att("SourceEvents"), ""]}
    assert setup["HandoverSeconds"] == {"Ref": "HandoverSeconds"}
    # S3 takes about five minutes.
    assert TEMPLATE["Parameters"]["HandoverSeconds"]["Default"] >= 2 * 5 * 60
    longest = TEMPLATE["Parameters"]["HandoverSeconds"]["MaxValue"]
    assert FUNCTIONS["BucketSetupFunction"]["Timeout"] >= longest + 110


def test_the_ways_events_come_by_are_those_the_setup_knows() -> None:
    parameter = TEMPLATE["Parameters"]["EventSource"]
    assert parameter["AllowedValues"] == list(EventSource)
    assert parameter["Default"] == EventSource.NOTIFICATION


@pytest.mark.parametrize(
    ("source", "peers", "good"),
    [
        ("Notification", "", True),
        ("Notification", "AROA0123456789ABCDEFG", True),
        ("EventBridge", "", True),
        ("EventBridge", "AROA0123456789ABCDEFG", False),
    ],
)
def test_peers_are_not_combined_with_a_way_that_cannot_tell_them(source: str, peers: str, good: bool) -> None:
    """Delete markers carry no stamp; a peer's would be replicated back to where they came from, for ever."""
    rule = TEMPLATE["Rules"]["PeersAreKnownByNotifications"]
    parameters = {"EventSource": source, "PeerPrincipals": peers}
    (assertion,) = rule["Assertions"]
    applies = resolve(rule["RuleCondition"], parameters)
    assert (not applies or resolve(assertion["Assert"], parameters)) is good


def test_the_entry_of_a_stack_is_called_as_the_tool_expects() -> None:
    name = RESOURCES["BucketSetup"]["Properties"]["NotificationId"]
    assert name == {"Fn::Sub": identifier_of("${AWS::StackName}")}


# Permissions


def test_no_grant_has_a_wildcard_but_for_what_has_no_name_beforehand() -> None:
    execution = (
        "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${BackfillStateMachine.Name}"
    )
    open_ended = {
        "arn:${AWS::Partition}:s3:::${SourceBucket}/*",
        "${ControlBucket.Arn}/jobs/*",
        "${ControlBucket.Arn}/jobs/*/map/*",
        f"{execution}:*",
        f"{execution}/Work:*",
    }
    for name, statement in every_grant():
        for action in as_list(statement["Action"]):
            assert "*" not in action, f"{name} {statement['Sid']}"
        if (name, statement["Sid"]) != ("BackfillStateMachineRole", "DeliverLogs"):
            for text in strings(statement["Resource"]):
                assert "*" not in text or text in open_ended, f"{name} {statement['Sid']}"


def test_only_logs_are_granted_without_a_resource() -> None:
    """Their deliveries have none; the list is the one that Step Functions demands."""
    for name, statement in every_grant():
        if statement["Resource"] == "*":
            assert name == "BackfillStateMachineRole"
            assert all(re.match("logs:[A-Z]", action) for action in statement["Action"])
            assert "logs:PutLogEvents" not in statement["Action"]


def test_every_statement_has_a_name_and_says_one_thing_once() -> None:
    for name, statement in every_grant():
        actions = as_list(statement["Action"])
        assert statement["Sid"].isalnum(), name
        assert len(actions) == len(set(actions)), name


def test_no_policy_is_managed_elsewhere() -> None:
    assert not of_type("AWS::IAM::ManagedPolicy")
    for name, role in of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, name
    for name, function in FUNCTIONS.items():
        assert "Policies" not in function, name


def test_every_role_is_for_one_and_only_its_service_may_take_it() -> None:
    expected = {role_of(function): "lambda.amazonaws.com" for function in FUNCTIONS}
    assert len(expected) == len(FUNCTIONS)
    expected["BackfillStateMachineRole"] = "states.amazonaws.com"
    expected["ReconcileScheduleRole"] = "scheduler.amazonaws.com"
    assert expected.keys() == of_type("AWS::IAM::Role").keys()
    for role, service in expected.items():
        (trust,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": service}
        own = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        assert trust.get("Condition") == (None if service.startswith("lambda") else own), role


def test_only_the_second_function_and_jobs_may_delete_a_version_and_only_at_the_destinations() -> None:
    allowed = [
        (name, statement["Resource"])
        for name, statement in every_grant()
        if "s3:DeleteObjectVersion" in as_list(statement["Action"])
    ]
    destinations = {"Fn::Split": [",", get_att("BucketSetup", "DestinationObjectArns")]}
    assert sorted(allowed) == [("BackfillRole", destinations), ("RetryRole", destinations)]


def test_jobs_may_at_the_buckets_what_the_second_function_may() -> None:
    """They do the same there, and what they may not do would only be found out in the middle of a job."""

    def at_the_buckets(role: str) -> dict[str, Any]:
        found = [s for s in statements_of(role) if "ControlBucket" not in str(s["Resource"])]
        return {s["Sid"]: s for s in found if any("s3:" in action for action in as_list(s["Action"]))}

    assert at_the_buckets("BackfillRole") == at_the_buckets("RetryRole")
    assert at_the_buckets("BackfillRole")


def test_the_survey_changes_nothing_but_what_it_keeps_about_jobs() -> None:
    changes = {
        (action, str(statement["Resource"]))
        for statement in statements_of("SurveyRole")
        for action in as_list(statement["Action"])
        if not re.match("(s3:(Get|List)|dynamodb:(BatchGet|Get|Query)|logs:)", action)
    }
    assert changes == {("s3:PutObject", str({"Fn::Sub": "${ControlBucket.Arn}/jobs/*"}))}


def test_what_a_job_keeps_is_below_its_folder() -> None:
    for role in ("SurveyRole", "BackfillRole"):
        (kept,) = [s for s in statements_of(role) if s["Sid"] == "KeepJobs"]
        assert kept["Resource"] == {"Fn::Sub": f"${{ControlBucket.Arn}}/{job.FOLDER}*"}


def test_nobody_may_get_round_a_lock_or_stop_versioning() -> None:
    forbidden = {"s3:BypassGovernanceRetention", "s3:PutBucketVersioning"}
    for name, statement in every_grant():
        assert not forbidden & set(as_list(statement["Action"])), name


@pytest.mark.parametrize("function", ENGINE)
@pytest.mark.parametrize("length", [3, 63])
def test_a_policy_has_room_for_as_many_destinations_as_a_stack_may_have(function: str, length: int) -> None:
    found = longest_attributes(length)
    placeholder = "x" * 150  # longer than the name of any table, queue, bucket or log group

    def arns(resource: Any) -> Any:
        match resource:
            case {"Fn::Split": [",", {"Fn::GetAtt": ["BucketSetup", attribute]}]}:
                return found[attribute].split(",")
            case list():
                return [placeholder] * len(resource)
        return placeholder

    statements = [
        {**statement, "Resource": arns(statement["Resource"])}
        for statement in statements_of(role_of(function))
    ]
    assert len(json.dumps(statements, separators=(",", ":"))) < POLICY_LIMIT


def longest_attributes(length: int) -> dict[str, str]:
    """Of as many destinations as one stack can have, their names that long."""
    found: dict[str, str] = {}
    chosen: list[Destination] = []
    while True:
        chosen.append(Destination(f"{len(chosen):0{length}}", "us-east-1"))
        try:
            found = attributes(chosen, "aws")
        except SetupRefused:
            return found


def test_the_source_is_only_read_but_for_its_notifications() -> None:
    source = {
        "arn:${AWS::Partition}:s3:::${SourceBucket}",
        "arn:${AWS::Partition}:s3:::${SourceBucket}/*",
    }
    writes = {
        (name, action)
        for name, statement in every_grant()
        if source & set(strings(statement["Resource"]))
        for action in as_list(statement["Action"])
        if not re.match("s3:(Get|List)", action)
    }
    assert writes == {("BucketSetupRole", "s3:PutBucketNotification")}


def test_destinations_are_written_only_where_the_stack_has_checked_them() -> None:
    checked = {"Fn::Split": [",", get_att("BucketSetup", "DestinationObjectArns")]}
    writes = re.compile("s3:(Put|Delete)Object[A-Z]|s3:DeleteObject$")
    for name, statement in every_grant():
        if any(writes.match(action) for action in as_list(statement["Action"])):
            assert statement["Resource"] == checked, name


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize(
    ("destinations", "buckets"),
    [
        (["one"], {"one"}),
        (["one:eu-west-1"], {"one"}),
        (["one", "two:eu-west-1", "three"], {"one", "two", "three"}),
        (["one:us-east-1", "two:us-east-1"], {"one", "two"}),
    ],
)
def test_the_setup_may_look_at_the_destinations_and_no_other_bucket(
    partition: str, destinations: list[str], buckets: set[str]
) -> None:
    (statement,) = [s for s in statements_of("BucketSetupRole") if s["Sid"] == "CheckDestinations"]
    parameters = {"Destinations": destinations, "AWS::Partition": partition}
    arns = set(resolve(statement["Resource"], parameters))
    assert arns >= {f"arn:{partition}:s3:::{bucket}" for bucket in buckets}
    others = arns - {f"arn:{partition}:s3:::{bucket}" for bucket in buckets}
    # No bucket's name has a "=".
    assert all(arn.startswith(f"arn:{partition}:s3:::region=") for arn in others)


# Functions


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_logs_to_a_group_that_forgets_and_to_no_other(function: str) -> None:
    group = FUNCTIONS[function]["LoggingConfig"]["LogGroup"]["Ref"]
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    (logging,) = [s for s in statements_of(role_of(function)) if "logs:" in str(s["Action"])]
    assert logging["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert logging["Resource"] == get_att(group)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_concurrency_is_not_taken_from_the_account(function: str) -> None:
    """Reserving some fails in an account that has only ten."""
    assert "ReservedConcurrentExecutions" not in {**GLOBALS, **FUNCTIONS[function]}
    for queue, event in sqs_events(function).items():
        assert event["ScalingConfig"]["MaximumConcurrency"], queue


@pytest.mark.parametrize("function", ENGINE)
def test_a_batch_is_acknowledged_message_by_message(function: str) -> None:
    for event in sqs_events(function).values():
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_lambda_does_not_cut_the_chain_of_a_function_that_queues_feed_and_that_feeds_them(
    function: str,
) -> None:
    feeds = any("sqs:SendMessage" in s["Action"] for s in statements_of(role_of(function)))
    fed = bool(sqs_events(function))
    assert FUNCTIONS[function].get("RecursiveLoop") == ("Allow" if feeds and fed else None)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_nothing_is_traced(function: str) -> None:
    assert "Tracing" not in {
        **GLOBALS,
        **FUNCTIONS[function],
        **RESOURCES["BackfillStateMachine"]["Properties"],
    }


def test_the_sweep_runs_once_a_minute_and_a_failed_one_is_not_repeated() -> None:
    events = FUNCTIONS["RetryFunction"]["Events"].values()
    (sweep,) = [event["Properties"] for event in events if event["Type"] == "Schedule"]
    assert sweep["Schedule"] == "rate(1 minute)"
    assert sweep["Input"] == '{"sweep": true}'
    assert FUNCTIONS["RetryFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"] == 0


class Asked(dict[str, str]):
    """An environment that has nothing and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return default

    def __missing__(self, key: str) -> str:
        self.names.add(key)
        return ""


@pytest.mark.parametrize("function", ENGINE)
def test_a_function_is_given_exactly_the_settings_it_reads(function: str) -> None:
    asked = Asked()
    with pytest.raises(InvalidSettings):
        Settings.from_env(asked)
    # Lambda sets the region, and takes it from nobody. botocore and Powertools read the other two.
    read = asked.names - {"AWS_REGION"} | {"AWS_ENDPOINT_URL", "LOG_LEVEL"}
    own = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    assert {**GLOBALS["Environment"]["Variables"], **own}.keys() == read


def test_the_setup_is_given_no_setting_of_the_engine() -> None:
    assert RESOURCES["BucketSetupFunction"]["IgnoreGlobals"] == ["Environment"]
    own = FUNCTIONS["BucketSetupFunction"]["Environment"]["Variables"]
    assert own.keys() == {"AWS_ENDPOINT_URL", "LOG_LEVEL"}


def test_the_build_needs_no_interpreter_of_the_runtime() -> None:
    layers = of_type("AWS::Serverless::LayerVersion")
    for source, names in (("layers/core", layers), ("functions", FUNCTIONS)):
        makefile = (ROOT / source / "Makefile").read_text()
        for name in names:
            assert RESOURCES[name]["Metadata"] == {"BuildMethod": "makefile"}, name
            assert f"build-{name}:" in makefile


# Backfill and reconcile


def test_the_state_machine_logs_what_fails_to_a_group_that_forgets() -> None:
    logging = RESOURCES["BackfillStateMachine"]["Properties"]["Logging"]
    assert logging["Level"] == "ERROR"
    (to,) = logging["Destinations"]
    # Its ARN ends in ":*", as Step Functions wants it.
    assert to == {"CloudWatchLogsLogGroup": {"LogGroupArn": get_att("BackfillStateMachineLogs")}}
    group = RESOURCES["BackfillStateMachineLogs"]["Properties"]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert group["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        ("rate(1 hour)", True),
        ("rate(12 hours)", True),
        ("rate(7 days)", True),
        ("cron(0 3 ? * SUN *)", True),
        ("cron(15 10 L * ? 2026-2030)", True),
        ("rate(0 days)", False),
        ("rate(1 days)", False),
        ("rate(2 day)", False),
        ("rate(1 week)", False),
        ("cron(0 3 * * *)", False),
        ("every day", False),
        ("at(2026-01-31T00:00:00)", False),
    ],
)
def test_a_schedule_is_one_that_comes_again(value: str, good: bool) -> None:
    pattern = TEMPLATE["Parameters"]["ReconcileSchedule"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == good


def test_nothing_is_reconciled_by_itself_unless_asked_for() -> None:
    assert TEMPLATE["Parameters"]["ReconcileSchedule"]["Default"] == ""
    scheduled = {name for name, resource in RESOURCES.items() if "HasReconcileSchedule" in str(resource)}
    assert scheduled == {"ReconcileTimetable", "ReconcileScheduleRole"}


def test_a_scheduled_reconcile_is_a_job_named_as_its_execution() -> None:
    target = RESOURCES["ReconcileTimetable"]["Properties"]["Target"]
    assert target["Arn"] == {"Fn::Sub": "arn:${AWS::Partition}:scheduler:::aws-sdk:sfn:startExecution"}
    asked = json.loads(target["Input"]["Fn::Sub"])
    assert asked["StateMachineArn"] == "${BackfillStateMachine}"
    name = asked["Name"].replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3")
    parsed = job.parse_job(name, json.loads(asked["Input"])["request"])
    assert parsed.kind is job.JobKind.RECONCILE
    assert parsed.repair
    assert not parsed.restore_lost, "a lifecycle rule of the destination would be fought for ever"
    assert parsed.grace == 15 * 60, "what has just been written is no drift"


# The custom resource


def test_the_source_is_wired_after_its_queue_accepts_notifications() -> None:
    assert RESOURCES["BucketSetup"]["DependsOn"] == "IngestQueuePolicy"


def test_a_stack_of_a_former_release_gets_the_events_that_are_new() -> None:
    """CloudFormation calls the function again only if a property of the resource has changed."""
    assert RESOURCES["BucketSetup"]["Properties"]["NotificationEvents"] == list(EVENTS)


def test_a_setup_that_cannot_answer_does_not_hold_the_stack_for_an_hour() -> None:
    timeout = FUNCTIONS["BucketSetupFunction"]["Timeout"]
    assert timeout < RESOURCES["BucketSetup"]["Properties"]["ServiceTimeout"] <= 900


def test_the_setup_can_leave_a_former_source() -> None:
    """The role is updated before the custom resource and names the new source; this one after it."""
    former = RESOURCES["FormerSourcePolicy"]
    assert former["DependsOn"] == "BucketSetup"
    assert former["Properties"]["Roles"] == [{"Ref": "BucketSetupRole"}]
    (statement,) = former["Properties"]["PolicyDocument"]["Statement"]
    (own,) = [s for s in statements_of("BucketSetupRole") if s["Sid"] == "KeepOurNotification"]
    assert (statement["Action"], statement["Resource"]) == (own["Action"], own["Resource"])


# Alarms


def headings(document: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    lines = re.findall(r"^#+ +(.+?) *$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_names_a_heading_of_the_runbook(name: str) -> None:
    found = re.search(r" docs/runbook\.md#([a-z0-9-]+)$", ALARMS[name]["AlarmDescription"])
    assert found
    assert found[1] in headings((ROOT / "docs/runbook.md").read_text())


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_goes_to_the_operator_if_there_is_an_address(name: str) -> None:
    actions = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert ALARMS[name]["AlarmActions"] == actions


def test_replicas_passed_over_ring_only_where_no_peers_are_declared() -> None:
    """Where they are, each replica is passed over, and that is how it should be."""
    assert RESOURCES["ReplicasPassedOverAlarm"]["Condition"] == "HasNoPeers"
    assert TEMPLATE["Conditions"]["HasNoPeers"] == {"Fn::Equals": [{"Ref": "PeerPrincipals"}, ""]}
    others = [name for name in ALARMS if name != "ReplicasPassedOverAlarm"]
    assert all(RESOURCES[name].get("Condition") != "HasNoPeers" for name in others)


def watched() -> set[tuple[str, str, str]]:
    """Namespace, metric and the resource, or name, it is watched for."""
    return {
        (alarm["Namespace"], alarm["MetricName"], next(strings(dimension["Value"])))
        for alarm in ALARMS.values()
        for dimension in alarm["Dimensions"]
    }


def test_what_must_not_go_unseen_is_watched() -> None:
    assert watched() >= {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "ParkedQueue"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "IngestQueue"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "LargeQueue"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "DeadLetterQueue"),
        ("AWS/Lambda", "Errors", "RetryFunction"),
        ("AWS/Events", "Invocations", "RetryFunctionSweep"),
        ("AWS/Events", "InvocationsFailedToBeSentToDlq", "SourceEvents"),
        ("AWS/States", "ExecutionsFailed", "BackfillStateMachine"),
        ("AWS/States", "ExecutionsTimedOut", "BackfillStateMachine"),
        ("AWS/States", "ExecutionsAborted", "BackfillStateMachine"),
        (telemetry.NAMESPACE, telemetry.DRIFT, telemetry.SERVICE),
        (telemetry.NAMESPACE, telemetry.DRIFT, "SourceBucket"),
        (telemetry.NAMESPACE, telemetry.CONFIGURATION_UNREADABLE, telemetry.SERVICE),
        (telemetry.NAMESPACE, telemetry.THRESHOLD_MISSED, telemetry.SERVICE),
        (telemetry.NAMESPACE, telemetry.THRESHOLD_MISSED, "SourceBucket"),
        (telemetry.NAMESPACE, telemetry.PASSED_OVER, telemetry.SERVICE),
        (telemetry.NAMESPACE, telemetry.PASSED_OVER, "SourceBucket"),
        (telemetry.NAMESPACE, telemetry.VERSION_DELETES_HALTED, telemetry.SERVICE),
        (telemetry.NAMESPACE, telemetry.VERSION_DELETES_HALTED, "SourceBucket"),
    }


# What rules may ask for

KMS_KEY: Final = "arn:aws:kms:eu-central-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"


@pytest.mark.parametrize("parameter", ["SourceKmsKeys", "ReplicaKmsKeys"])
@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("", True),
        (KMS_KEY, True),
        (f"{KMS_KEY},{KMS_KEY.replace('1111aaaa', 'mrk-')}", True),
        (KMS_KEY.replace("arn:aws:", "arn:aws-cn:"), True),
        (f"{KMS_KEY}, {KMS_KEY}", False),
        (f"{KMS_KEY},", False),
        (KMS_KEY.replace("key/", "alias/"), False),
        (KMS_KEY.rpartition("/")[2], False),
        (f"{KMS_KEY}/*", False),
        ("*", False),
    ],
)
def test_a_key_is_named_by_its_arn(parameter: str, value: str, good: bool) -> None:
    """An alias says nothing in a policy."""
    assert bool(re.fullmatch(TEMPLATE["Parameters"][parameter]["AllowedPattern"], value)) == good


def grants_of_keys() -> dict[tuple[str, str, str], set[str]]:
    """By role, parameter, and what stands between: the actions."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for name, statement in every_grant():
        actions = {action for action in as_list(statement["Action"]) if action.startswith("kms:")}
        if actions:
            [parameter] = [text for text in strings(statement["Resource"]) if text.endswith("KmsKeys")]
            via = next(strings(statement.get("Condition", {})), "directly")
            found.setdefault((name, parameter, via), set()).update(actions)
    return found


def test_keys_may_be_used_through_s3_only_and_for_what_each_function_does() -> None:
    """A copy takes a data key for the replica; copying part by part, and a replica again, reads replicas, and
    so does whoever compares annotations."""
    s3 = "s3.*.${AWS::URLSuffix}"
    read, write = {"kms:Decrypt"}, {"kms:GenerateDataKey"}
    assert grants_of_keys() == {
        **{(role_of(function), "SourceKmsKeys", s3): read for function in WRITERS},
        **{(role_of(function), "ReplicaKmsKeys", s3): read | write for function in WRITERS},
        ("ReplicateRole", "ReplicaKmsKeys", "directly"): {"kms:DescribeKey"},
    }
    for _, statement in every_grant():
        if "kms:" in str(statement["Action"]) and "Condition" in statement:
            assert statement["Condition"].keys() == {"StringLike"}
            assert statement["Condition"]["StringLike"].keys() == {"kms:ViaService"}


@pytest.mark.parametrize(
    ("policy", "parameter"),
    [
        ("SourceKeysPolicy", "SourceKmsKeys"),
        ("ReplicaKeysPolicy", "ReplicaKmsKeys"),
        ("ReplicateKeysPolicy", "ReplicaKmsKeys"),
    ],
)
def test_without_keys_nothing_is_granted(policy: str, parameter: str) -> None:
    condition = TEMPLATE["Conditions"][RESOURCES[policy]["Condition"]]
    assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}
    for statement in RESOURCES[policy]["Properties"]["PolicyDocument"]["Statement"]:
        assert statement["Resource"] == {"Fn::Split": [",", {"Ref": parameter}]}


def test_only_our_own_events_may_be_sent_and_to_the_default_bus() -> None:
    sending = {name: s for name, s in every_grant() if "events:PutEvents" in as_list(s["Action"])}
    assert sending.keys() == {role_of(function) for function in WRITERS} - {"BackfillRole"}
    for statement in sending.values():
        bus = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
        assert statement["Resource"] == {"Fn::Sub": bus}
        assert statement["Condition"] == {"StringEquals": {"events:source": event_bus.SOURCE}}


def test_a_dropped_chain_is_seen_for_every_function_that_may_have_one() -> None:
    feeding = {name for name, function in FUNCTIONS.items() if "RecursiveLoop" in function}
    metric = "RecursiveInvocationsDropped"
    assert {name for _, found, name in watched() if found == metric} == feeding


def test_as_many_large_objects_are_worked_on_at_once_as_the_parameter_says() -> None:
    [event] = sqs_events("ReplicateLargeFunction").values()
    assert event["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "LargeConcurrency"}}
    parameter = TEMPLATE["Parameters"]["LargeConcurrency"]
    # What a queue takes, and what it was before there was the parameter.
    assert (parameter["MinValue"], parameter["MaxValue"], parameter["Default"]) == (2, 1000, 10)
