"""What Amazon S3 accepts is accepted, and means the same.

Rows of the acceptance list are named in docstrings: C37 is scenario 37 of part C.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import Configuration, Destination, Filter, Rule
from s3replicator.decisions.deployment import Destination as Deployed
from s3replicator.decisions.deployment import default_configuration
from s3replicator.decisions.replication_document import default_document
from s3replicator.decisions.versions import Tag
from tests.unit.replication_documents import (
    ACCOUNT,
    ARN,
    KMS_KEY,
    NO_TIME,
    OFF,
    ON,
    OTHER_ACCOUNT,
    OTHER_ARN,
    RED,
    SOURCE,
    THRESHOLD,
    TIME,
    TO_DESTINATION,
    WITH_KEY,
    accepted,
    document,
    rule,
    to,
    v1,
)
from tests.unit.strategies import buckets

# -- Amazon's own examples

CLI_EXAMPLE = {
    "Role": "arn:aws:iam::123456789012:role/s3-replication-role",
    "Rules": [
        {
            "Status": "Enabled",
            "Priority": 1,
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Filter": {"Prefix": ""},
            "Destination": {"Bucket": "arn:aws:s3:::my-bucket-backup"},
        }
    ],
}
PREFIX_EXAMPLE = {
    "Role": "arn:aws:iam::123456789012:role/role-name",
    "Rules": [
        {
            "Status": "Enabled",
            "Priority": 1,
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Filter": {"Prefix": "Tax"},
            "Destination": {"Bucket": "arn:aws:s3:::destination-bucket"},
        }
    ],
}
AND_EXAMPLE = {
    "Rules": [
        {
            "Status": "Enabled",
            "Priority": 1,
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Filter": {
                "And": {
                    "Prefix": "Tax/",
                    "Tags": [{"Key": "tagA", "Value": "valueA"}, {"Key": "tagB", "Value": "valueB"}],
                }
            },
            "Destination": {"Bucket": "arn:aws:s3:::destination-bucket"},
        }
    ],
}
OVERLAP_EXAMPLE = {
    "Rules": [
        {
            "ID": prefix,
            "Status": "Enabled",
            "Priority": priority,
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Filter": {"Prefix": prefix},
            "Destination": {"Bucket": "arn:aws:s3:::amzn-s3-demo-bucket1", **storage},
        }
        for priority, prefix, storage in (
            (1, "star", {}),
            (2, "starship", {"StorageClass": "STANDARD_IA"}),
        )
    ],
}
V1_EXAMPLE = {
    "Role": "arn:aws:iam::123456789012:role/role-name",
    "Rules": [
        {
            "Status": "Enabled",
            "Prefix": "key-prefix",
            "Destination": {"Bucket": "arn:aws:s3:::destinationbucket"},
        }
    ],
}
KMS_EXAMPLE = {
    "Role": "arn:aws:iam::123456789012:role/role-name",
    "Rules": [
        {
            "ID": "Rule-1",
            "Priority": 1,
            "Status": "Enabled",
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Filter": {"Prefix": "Tax"},
            "Destination": {
                "Bucket": "arn:aws:s3:::amzn-s3-demo-destination-bucket",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": KMS_KEY},
            },
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        }
    ],
}
MODIFICATIONS_EXAMPLE = {
    "Rules": [
        {
            "Status": "Enabled",
            "Filter": {"Prefix": "Tax"},
            "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": "arn:aws:s3:::amzn-s3-demo-destination-bucket"},
            "Priority": 1,
        }
    ],
}
TIME_CONTROL_EXAMPLE = {
    "Rules": [
        {
            "Status": "Enabled",
            "Filter": {"Prefix": "Tax"},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {
                "Bucket": "arn:aws:s3:::amzn-s3-demo-destination-bucket",
                "Account": "123456789012",
                "AccessControlTranslation": {"Owner": "Destination"},
                "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
                "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
            },
            "Priority": 1,
        }
    ],
}
TWO_DESTINATIONS_EXAMPLE = {
    "Rules": [
        {
            "ID": f"Rule-{number}",
            "Status": "Enabled",
            "Priority": number,
            "Filter": {},
            "DeleteMarkerReplication": {"Status": "Enabled"},
            "Destination": {"Bucket": f"arn:aws:s3:::amzn-s3-demo-bucket{number}"},
        }
        for number in (1, 2)
    ],
}


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        pytest.param(
            CLI_EXAMPLE,
            [Rule("rule-1", 1, True, Filter(), False, Destination("my-bucket-backup"))],
            id="aws s3api put-bucket-replication",
        ),
        pytest.param(
            PREFIX_EXAMPLE,
            [Rule("rule-1", 1, True, Filter("Tax"), False, Destination("destination-bucket"))],
            id="walkthrough",
        ),
        pytest.param(
            AND_EXAMPLE,
            [
                Rule(
                    "rule-1",
                    1,
                    True,
                    Filter("Tax/", frozenset({Tag("tagA", "valueA"), Tag("tagB", "valueB")})),
                    False,
                    Destination("destination-bucket"),
                )
            ],
            id="a prefix and two tags",
        ),
        pytest.param(
            OVERLAP_EXAMPLE,
            [
                Rule("star", 1, True, Filter("star"), False, Destination("amzn-s3-demo-bucket1")),
                Rule(
                    "starship",
                    2,
                    True,
                    Filter("starship"),
                    False,
                    Destination("amzn-s3-demo-bucket1", "STANDARD_IA"),
                ),
            ],
            id="overlapping prefixes",
        ),
        pytest.param(
            TWO_DESTINATIONS_EXAMPLE,
            [
                Rule("Rule-1", 1, True, Filter(), True, Destination("amzn-s3-demo-bucket1")),
                Rule("Rule-2", 2, True, Filter(), True, Destination("amzn-s3-demo-bucket2")),
            ],
            id="two destinations",
        ),
        pytest.param(
            V1_EXAMPLE,
            [Rule("rule-1", 0, True, Filter("key-prefix"), True, Destination("destinationbucket"))],
            id="the older form",
        ),
        pytest.param(
            KMS_EXAMPLE,
            [
                Rule(
                    *("Rule-1", 1, True, Filter("Tax"), False),
                    Destination("amzn-s3-demo-destination-bucket", kms_key=KMS_KEY),
                    kms=True,
                )
            ],
            id="SSE-KMS",
        ),
        pytest.param(
            MODIFICATIONS_EXAMPLE,
            [
                Rule(
                    *("rule-1", 1, True, Filter("Tax"), False),
                    Destination("amzn-s3-demo-destination-bucket"),
                    replica_modifications=True,
                )
            ],
            id="replica modifications",
        ),
        pytest.param(
            TIME_CONTROL_EXAMPLE,
            [
                Rule(
                    *("rule-1", 1, True, Filter("Tax"), False),
                    Destination(
                        "amzn-s3-demo-destination-bucket",
                        account="123456789012",
                        owner_override=True,
                        metrics=True,
                        time_control=True,
                    ),
                )
            ],
            id="time control and another owner",
        ),
    ],
)
def test_the_examples_of_amazons_own_documentation_are_read_as_they_are(
    written: dict[str, Any], rules: list[Rule]
) -> None:
    assert accepted(written) == Configuration(tuple(rules))


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(document(*(rule(ID=f"r{n}", Priority=n) for n in range(1000))), id="1000 rules"),
        pytest.param(document(rule(ID="i" * 255)), id="ID of 255 characters"),
        pytest.param(document(rule(ID=None)), id="no ID"),
        pytest.param(document(rule(ID="")), id="an empty ID"),
        pytest.param(document(rule(Priority=0)), id="the lowest priority"),
        pytest.param(document(rule(Priority=2**31 - 1)), id="the highest priority"),
        pytest.param(
            document(rule(ID="a"), rule(ID="b", Destination={"Bucket": OTHER_ARN})),
            id="equal priorities for different destinations",
        ),
        pytest.param(document(rule(Filter={"Prefix": "p" * 1024})), id="prefix of 1024 characters"),
        pytest.param(
            document(rule(Filter={"Tag": {"Key": "k" * 128, "Value": "v" * 256}})), id="longest tag"
        ),
        pytest.param(document(rule(Filter={"Tag": {"Key": "k", "Value": ""}})), id="tag without a value"),
        *(
            pytest.param(document(rule(Filter={"And": both})), id=f"And with {name}")
            for name, both in (
                ("a prefix", {"Prefix": ""}),
                ("a prefix and no tags", {"Prefix": "a", "Tags": []}),
                ("a tag", {"Tags": [RED]}),
            )
        ),
        pytest.param(document(rule(Status="Disabled")), id="disabled"),
        pytest.param(document(rule(Destination={"Bucket": "arn:aws-cn:s3:::bucket.in.china"})), id="China"),
        pytest.param(document(rule(Destination={"Bucket": "arn:aws-us-gov:s3:::b-1"})), id="GovCloud"),
        pytest.param({**document(rule()), "Role": ""}, id="a role that is not used anyway"),
        pytest.param(document(v1(Prefix="p" * 1024)), id="prefix of 1024 characters in the older form"),
        pytest.param(
            document(
                v1(ID="a", Prefix="logs/"),
                v1(ID="b", Prefix="data/"),
                v1(ID="c", Destination={"Bucket": OTHER_ARN}),
            ),
            id="prefixes of the older form that do not overlap in one bucket",
        ),
        pytest.param(
            document(
                rule(Destination={"Bucket": ARN, "Account": ACCOUNT}),
                rule(ID="b", Priority=2),
                rule(ID="c", Priority=3, Destination={"Bucket": OTHER_ARN, "Account": OTHER_ACCOUNT}),
            ),
            id="accounts of two buckets",
        ),
    ],
)
def test_what_is_within_the_limits_is_accepted(written: dict[str, Any]) -> None:
    assert len(accepted(written).rules) == len(written["Rules"])


@pytest.mark.parametrize(
    "storage_class",
    [
        *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
        *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
    ],
)
def test_every_storage_class_of_a_general_purpose_bucket_is_accepted(storage_class: str) -> None:
    [only] = accepted(document(to(StorageClass=storage_class))).rules
    assert only.destination.storage_class == storage_class


# -- what is read


@pytest.mark.parametrize("switch", [ON, OFF], ids=["on", "off"])
def test_the_switches_of_a_rule_are_read(switch: dict[str, str]) -> None:
    written = {
        **to(EncryptionConfiguration=WITH_KEY, Metrics=switch),
        "Status": switch["Status"],
        "DeleteMarkerReplication": switch,
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": switch, "ReplicaModifications": switch},
    }
    [only] = accepted(document(written)).rules
    read = (only.enabled, only.delete_markers, only.kms, only.replica_modifications, only.destination.metrics)
    assert read == (switch == ON,) * 5


def test_what_a_rule_does_not_ask_for_is_not_done() -> None:
    [only] = accepted(document(rule())).rules
    assert only == Rule("everything", 1, True, Filter(), False, Destination("replica-bucket"))


@pytest.mark.parametrize(
    ("members", "destination"),
    [
        pytest.param({"Account": ACCOUNT}, Destination("replica-bucket", account=ACCOUNT), id="an account"),
        pytest.param(
            {"Account": ACCOUNT, "AccessControlTranslation": TO_DESTINATION},
            Destination("replica-bucket", account=ACCOUNT, owner_override=True),
            id="its owner",
        ),
        pytest.param({"Metrics": ON}, Destination("replica-bucket", metrics=True), id="metrics alone"),
        pytest.param({"Metrics": OFF, "ReplicationTime": NO_TIME}, Destination("replica-bucket"), id="off"),
        pytest.param(
            {"Metrics": THRESHOLD, "ReplicationTime": TIME},
            Destination("replica-bucket", metrics=True, time_control=True),
            id="time control",
        ),
    ],
)
def test_the_members_of_a_destination_are_read(members: dict[str, Any], destination: Destination) -> None:
    [only] = accepted(document(to(**members))).rules
    assert only.destination == destination


@pytest.mark.parametrize(
    "key",
    [
        KMS_KEY,
        "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:alias/team/replicas_1",
        "arn:aws-cn:kms:cn-north-1:111122223333:alias/aws/s3",
    ],
)
def test_a_key_is_named_by_its_arn_or_an_aliass(key: str) -> None:
    written = {
        **to(EncryptionConfiguration={"ReplicaKmsKeyID": key}),
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": ON},
    }
    [only] = accepted(document(written)).rules
    assert only.destination.kms_key == key


@pytest.mark.parametrize("members", [{}, {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": ON}}])
def test_a_rule_of_the_older_form_replicates_every_delete_marker(members: dict[str, Any]) -> None:
    """And may ask for what came before the newer form: another owner, and encrypted objects."""
    destination = {"Bucket": ARN, "Account": ACCOUNT, "AccessControlTranslation": TO_DESTINATION}
    if members:
        destination["EncryptionConfiguration"] = WITH_KEY
    [only] = accepted(document(v1(Prefix="logs/", Destination=destination, **members))).rules
    assert (only.filter, only.delete_markers, only.kms) == (Filter("logs/"), True, bool(members))
    assert only.destination.owner_override


def test_a_rule_without_an_id_gets_one_that_nobody_else_has() -> None:
    """Amazon S3 makes one up; a document it takes must not fail for a name the user never wrote."""
    written = document(rule(ID=None), rule(ID="rule-1", Priority=2), rule(ID=None, Priority=3))
    names = [each.id for each in accepted(written).rules]
    assert names[1] == "rule-1"
    assert len(set(names)) == 3


def test_only_the_bucket_that_is_replicated_is_forbidden_as_a_destination() -> None:
    written = json.dumps(document(rule(Destination={"Bucket": f"arn:aws:s3:::{SOURCE}"})))
    assert parse(written, "another-bucket").rules
    assert parse(written).rules


# -- the default


@given(st.lists(buckets.filter(lambda name: name != SOURCE), min_size=1, max_size=4, unique=True))
def test_the_default_replicates_everything_everywhere(names: list[str]) -> None:
    configuration = accepted(default_document({name: f"arn:aws:s3:::{name}" for name in names}))
    assert [each.destination.bucket for each in configuration.rules] == names
    for each in configuration.rules:
        assert (each.enabled, each.filter, each.delete_markers) == (True, Filter(), True)


def test_what_the_deployment_writes_is_the_default() -> None:
    deployed = [Deployed("replica-one", "us-east-1"), Deployed("replica-two", "eu-west-1")]
    written = default_configuration(deployed, "aws")
    assert json.loads(written) == default_document(
        {name: f"arn:aws:s3:::{name}" for name in ("replica-one", "replica-two")}
    )
    assert parse(written, SOURCE).rules
