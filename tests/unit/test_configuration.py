"""What Amazon S3 accepts is accepted, and what it refuses is refused with the same code.

Rows of the acceptance list are named in docstrings: C37 is scenario 37 of part C.
"""

import json
import time
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import (
    MAX_DOCUMENT,
    Configuration,
    Destination,
    Filter,
    InvalidConfiguration,
    LateVersions,
    Rule,
)
from s3replicator.decisions.deployment import Destination as Deployed
from s3replicator.decisions.deployment import default_configuration
from s3replicator.decisions.replication_document import default_document
from s3replicator.decisions.versions import Tag
from tests.unit.strategies import buckets, json_values, spoiled

SOURCE = "source-bucket"
ARN = "arn:aws:s3:::replica-bucket"
OTHER_ARN = "arn:aws:s3:::other-bucket"

RULE: dict[str, Any] = {
    "ID": "everything",
    "Priority": 1,
    "Filter": {},
    "Status": "Enabled",
    "DeleteMarkerReplication": {"Status": "Disabled"},
    "Destination": {"Bucket": ARN},
}
RED, BLUE = {"Key": "colour", "Value": "red"}, {"Key": "colour", "Value": "blue"}


def rule(**members: Any) -> dict[str, Any]:
    """A valid rule with other members, or without those that are None."""
    merged = {**deepcopy(RULE), **members}
    return {name: value for name, value in merged.items() if value is not None}


def to(**members: Any) -> dict[str, Any]:
    """A valid rule with other members in its destination."""
    return rule(Destination={"Bucket": ARN, **members})


def extended(**members: Any) -> dict[str, Any]:
    """A valid rule with these extensions."""
    return rule(Extensions=members)


def version_deletes(**members: Any) -> dict[str, Any]:
    return extended(VersionDeletes=members)


def document(*rules: Any) -> dict[str, Any]:
    return {"Rules": list(rules)}


def accepted(written: Any) -> Configuration:
    return parse(json.dumps(written), SOURCE)


def refused(written: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as failure:
        parse(written if isinstance(written, str) else json.dumps(written), SOURCE)
    return failure.value


# -- what is refused: (document, code, field, what the message has to say)

MISSING = [
    pytest.param(
        document(rule(**{name: None})), "MalformedXML", "Rules[0]", [name, "is missing"], id=f"no {name}"
    )
    for name in ("Priority", "Filter", "Status", "DeleteMarkerReplication", "Destination")
]
NO_RULES: list[Any] = [None, "text", 7, []]
NOT_A_RULE = [
    pytest.param(
        document(value),
        "MalformedXML",
        "Rules[0]",
        [json.dumps(value), "object"],
        id=f"a rule that is {value}",
    )
    for value in NO_RULES
]
REFUSED = [
    # the document
    pytest.param("", "MalformedXML", "", ["not JSON"], id="empty"),
    pytest.param("<ReplicationConfiguration/>", "MalformedXML", "", ["not JSON"], id="XML"),
    pytest.param("[]", "MalformedXML", "", ["[]", "object"], id="a list"),
    pytest.param("{}", "MalformedXML", "", ["Rules is missing"], id="no Rules"),
    pytest.param(
        '{"Rules": [], "Rules": []}', "MalformedXML", "", ["'Rules' appears twice"], id="a member twice"
    ),
    pytest.param(
        {"Rules": [RULE], "Rule": []}, "MalformedXML", "", ["'Rule'", "Role, Rules"], id="a misspelt member"
    ),
    # Rules
    pytest.param(document(), "MalformedXML", "Rules", ["[]", "between 1 and 1000"], id="C37 no rule"),
    pytest.param(
        document(*(rule(ID=f"r{n}", Priority=n) for n in range(1001))),
        "InvalidRequest",
        "Rules",
        ["1000"],
        id="C37 1001 rules",
    ),
    pytest.param({"Rules": {}}, "MalformedXML", "Rules", ["{}", "array"], id="Rules not a list"),
    *NOT_A_RULE,
    *MISSING,
    pytest.param(
        document(rule(Prioritry=3)),
        "MalformedXML",
        "Rules[0]",
        ["'Prioritry'", "Priority"],
        id="a misspelling",
    ),
    # ID
    pytest.param(
        document(rule(ID="i" * 256)), "InvalidArgument", "Rules[0].ID", ["255"], id="C38 ID of 256 characters"
    ),
    pytest.param(
        document(rule(ID="règle")),
        "InvalidArgument",
        "Rules[0].ID",
        ["règle", "ASCII"],
        id="C38 ID not ASCII",
    ),
    pytest.param(
        document(rule(ID="twice"), rule(ID="twice", Priority=2)),
        "InvalidRequest",
        "Rules[1].ID",
        ["'twice'", "Rules[0]", "its own"],
        id="C38 ID twice",
    ),
    pytest.param(document(rule(ID=7)), "InvalidArgument", "Rules[0].ID", ["7", "string"], id="ID a number"),
    pytest.param(
        document(rule(ID="a\x00b")),
        "InvalidArgument",
        "Rules[0].ID",
        ["ASCII"],
        id="ID with a control character",
    ),
    # Priority
    pytest.param(
        document(rule(Priority=-1)), "MalformedXML", "Rules[0].Priority", ["-1", "0"], id="Priority negative"
    ),
    pytest.param(
        document(rule(Priority=2**31)),
        "MalformedXML",
        "Rules[0].Priority",
        ["2147483648"],
        id="Priority too big",
    ),
    pytest.param(
        document(rule(Priority="1")),
        "MalformedXML",
        "Rules[0].Priority",
        ['"1"', "integer"],
        id="Priority text",
    ),
    pytest.param(
        document(rule(Priority=1.5)), "MalformedXML", "Rules[0].Priority", ["1.5"], id="Priority a fraction"
    ),
    pytest.param(
        document(rule(Priority=True)), "MalformedXML", "Rules[0].Priority", ["true"], id="Priority a boolean"
    ),
    pytest.param(
        document(rule(ID="a", Priority=4), rule(ID="b", Priority=4)),
        "InvalidRequest",
        "Rules[1].Priority",
        ["4", "Rules[0]", "'replica-bucket'", "its own"],
        id="C44 Priority twice for one destination",
    ),
    # Status
    pytest.param(
        document(rule(Status="On")),
        "MalformedXML",
        "Rules[0].Status",
        ['"On"', '"Enabled" or "Disabled"'],
        id="C41 bad Status",
    ),
    pytest.param(
        document(rule(Status="enabled")),
        "MalformedXML",
        "Rules[0].Status",
        ['"enabled"'],
        id="C41 Status in small",
    ),
    # Filter
    pytest.param(
        document(rule(Filter={"Prefix": "p" * 1025})),
        "InvalidArgument",
        "Rules[0].Filter.Prefix",
        ["1024"],
        id="C40 prefix of 1025 characters",
    ),
    pytest.param(
        document(rule(Filter={"And": {"Prefix": "p" * 1025}})),
        "InvalidArgument",
        "Rules[0].Filter.And.Prefix",
        ["1024"],
        id="C40 prefix of 1025 characters in And",
    ),
    pytest.param(
        document(rule(Filter={"Prefix": "a", "Tag": RED})),
        "MalformedXML",
        "Rules[0].Filter",
        ["at most one", "And"],
        id="C46 Prefix and Tag without And",
    ),
    pytest.param(
        document(rule(Filter={"Prefix": "a", "And": {"Prefix": "b"}})),
        "MalformedXML",
        "Rules[0].Filter",
        ["at most one"],
        id="Prefix beside And",
    ),
    pytest.param(
        document(rule(Filter={"Tag": {"Key": "colour"}})),
        "MalformedXML",
        "Rules[0].Filter.Tag",
        ["Value is missing"],
        id="Tag without Value",
    ),
    pytest.param(
        document(rule(Filter={"Tag": {"Key": "", "Value": "v"}})),
        "InvalidArgument",
        "Rules[0].Filter.Tag.Key",
        ["empty"],
        id="Tag with an empty key",
    ),
    pytest.param(
        document(rule(Filter={"Tag": {"Key": "k" * 129, "Value": ""}})),
        "InvalidArgument",
        "Rules[0].Filter.Tag.Key",
        ["128"],
        id="Tag key of 129 characters",
    ),
    pytest.param(
        document(rule(Filter={"Tag": {"Key": "k", "Value": "v" * 257}})),
        "InvalidArgument",
        "Rules[0].Filter.Tag.Value",
        ["256"],
        id="Tag value of 257 characters",
    ),
    pytest.param(
        document(rule(Filter={"Tags": [RED]})),
        "MalformedXML",
        "Rules[0].Filter",
        ["'Tags'"],
        id="Tags not in And",
    ),
    pytest.param(
        document(rule(Filter={"And": {"Tag": RED}})),
        "MalformedXML",
        "Rules[0].Filter.And",
        ["'Tag'", "Prefix, Tags"],
        id="Tag in And",
    ),
    pytest.param(
        document(rule(Filter={"And": {"Tags": [RED, BLUE]}})),
        "InvalidRequest",
        "Rules[0].Filter.And.Tags",
        ["'colour'", "2 times", "at most once"],
        id="a tag key twice",
    ),
    # DeleteMarkerReplication
    pytest.param(
        document(rule(DeleteMarkerReplication={})),
        "MalformedXML",
        "Rules[0].DeleteMarkerReplication",
        ["Status is missing"],
        id="no status of delete markers",
    ),
    pytest.param(
        document(rule(DeleteMarkerReplication={"Status": "yes"})),
        "MalformedXML",
        "Rules[0].DeleteMarkerReplication.Status",
        ['"yes"', '"Enabled" or "Disabled"'],
        id="bad status of delete markers",
    ),
    *(
        pytest.param(
            document(rule(Filter=tagged, DeleteMarkerReplication={"Status": "Enabled"})),
            "InvalidRequest",
            "Rules[0].DeleteMarkerReplication.Status",
            ["'Enabled'", "tag", "write 'Disabled'"],
            id=f"delete markers with a tag filter, {next(iter(tagged))}",
        )
        for tagged in ({"Tag": RED}, {"And": {"Prefix": "a", "Tags": [RED]}})
    ),
    # Destination
    pytest.param(
        document(rule(Destination={})),
        "MalformedXML",
        "Rules[0].Destination",
        ["Bucket is missing"],
        id="no Bucket",
    ),
    *(
        pytest.param(
            document(rule(Destination={"Bucket": bucket})),
            "InvalidArgument",
            "Rules[0].Destination.Bucket",
            [json.dumps(bucket), "arn:aws:s3:::"],
            id=f"Bucket {bucket!r}",
        )
        for bucket in (
            *("replica-bucket", "arn:aws:s3:::", "arn:aws:s3:::ab", "arn:aws:s3:::Replica", f"{ARN}/*", ""),
            *(f"{ARN}\n", f" {ARN}", "arn:aws:sqs:us-east-1:123456789012:queue", "s3://replica-bucket", 7),
            "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
        )
    ),
    pytest.param(
        document(to(StorageClass="TAPE")),
        "MalformedXML",
        "Rules[0].Destination.StorageClass",
        ['"TAPE"', "STANDARD_IA"],
        id="bad StorageClass",
    ),
    pytest.param(
        document(to(StorageClass="FSX_OPENZFS")),
        "MalformedXML",
        "Rules[0].Destination.StorageClass",
        ['"FSX_OPENZFS"'],
        id="StorageClass of another kind of bucket",
    ),
    pytest.param(
        document(rule(), rule(ID="b", Destination={"Bucket": f"arn:aws:s3:::{SOURCE}"})),
        "InvalidRequest",
        "Rules[1].Destination.Bucket",
        [f"'{SOURCE}'", "source bucket itself", "another"],
        id="C49 the destination is the source",
    ),
    # what Amazon no longer takes
    pytest.param(
        document(rule(ExistingObjectReplication={"Status": "Enabled"})),
        "MalformedXML",
        "Rules[0].ExistingObjectReplication",
        ["remove it"],
        id="ExistingObjectReplication",
    ),
]

REFUSED_EXTENSIONS = [
    *(
        pytest.param(
            rule(Extensions=value), "Extensions", [json.dumps(value), "object"], id=f"Extensions {value!r}"
        )
        for value in ("LateVersions", 7, ["Skip"])
    ),
    pytest.param(
        extended(LateVersion="Skip"),
        "Extensions",
        ["'LateVersion'", "LateVersions, VersionDeletes"],
        id="a misspelling",
    ),
    *(
        pytest.param(
            extended(LateVersions=value),
            "Extensions.LateVersions",
            [json.dumps(value), 'write "Replay" or "Skip"'],
            id=f"LateVersions {value!r}",
        )
        for value in ("skip", "Enabled", "", True, None, {"Status": "Enabled"})
    ),
    *(
        pytest.param(
            extended(VersionDeletes=value),
            "Extensions.VersionDeletes",
            [json.dumps(value), "object", 'write {"Status": "Enabled"}'],
            id=f"VersionDeletes {value!r}",
        )
        for value in ("Enabled", True, 1000, None)
    ),
    pytest.param(
        version_deletes(MaxPerHour=10),
        "Extensions.VersionDeletes",
        ["Status is missing", 'write {"Status": "Enabled"}'],
        id="VersionDeletes without Status",
    ),
    pytest.param(
        version_deletes(Status="On"),
        "Extensions.VersionDeletes.Status",
        ['"On"', '"Enabled" or "Disabled"'],
        id="bad Status of VersionDeletes",
    ),
    pytest.param(
        version_deletes(Status="Enabled", PerHour=10),
        "Extensions.VersionDeletes",
        ["'PerHour'", "Status, MaxPerHour"],
        id="a misspelt limit",
    ),
    *(
        pytest.param(
            version_deletes(Status=status, MaxPerHour=value),
            "Extensions.VersionDeletes.MaxPerHour",
            [json.dumps(value), "whole number from 1"],
            id=f"MaxPerHour {value!r}, {status}",
        )
        for status in ("Enabled", "Disabled")
        for value in (0, -1, 0.5, "1000", True, None, 2**31)
    ),
]


@pytest.mark.parametrize(("written", "field", "said"), REFUSED_EXTENSIONS)
def test_an_extension_that_says_nothing_sensible_is_refused_with_its_field_value_and_fix(
    written: Any, field: str, said: list[str]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("MalformedXML", f"Rules[0].{field}")
    for words in said:
        assert words in failure.problem


@pytest.mark.parametrize(("written", "code", "field", "said"), REFUSED)
def test_a_document_amazon_s3_refuses_is_refused_with_its_code(
    written: Any, code: str, field: str, said: list[str]
) -> None:
    """Part C, and every row of the rule schema and of the validation list that this release covers."""
    failure = refused(written)
    assert (failure.code, failure.field) == (code, field)
    assert str(failure).startswith(f"{code}: {field}")
    for words in said:
        assert words in failure.problem


NOT_YET = [
    ("Destination.Account", to(Account="123456789012")),
    ("Destination.AccessControlTranslation", to(AccessControlTranslation={"Owner": "Destination"})),
    ("Destination.EncryptionConfiguration", to(EncryptionConfiguration={"ReplicaKmsKeyID": "key"})),
    ("Destination.Metrics", to(Metrics={"Status": "Enabled"})),
    ("Destination.ReplicationTime", to(ReplicationTime={"Status": "Enabled", "Time": {"Minutes": 15}})),
    (
        "SourceSelectionCriteria",
        rule(SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}}),
    ),
    ("Extensions.KeyNameConstraint", extended(KeyNameConstraint={"MatchAnySuffix": [".csv"]})),
    ("Extensions.ObjectSizeGreaterThanBytes", extended(ObjectSizeGreaterThanBytes=0)),
    ("Extensions.ObjectSizeLessThanBytes", extended(ObjectSizeLessThanBytes=1024)),
    ("Extensions.MatchAnyStorageClass", extended(MatchAnyStorageClass=["STANDARD"])),
    ("Extensions.KeyTransform", extended(LateVersions="Skip", KeyTransform={"StripPrefix": "in/"})),
    ("Extensions.PreserveParts", extended(PreserveParts={"Status": "Enabled"})),
    ("Extensions.Destination", extended(Destination={"Region": "eu-west-1"})),
    ("Prefix", rule(Prefix="in/")),
    ("Prefix", {"Prefix": "", "Status": "Enabled", "Destination": {"Bucket": ARN}}),
]


@pytest.mark.parametrize(("member", "written"), NOT_YET, ids=[member for member, _ in NOT_YET])
def test_what_this_release_does_not_do_yet_is_refused_by_name_and_never_ignored(
    member: str, written: dict[str, Any]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("NotImplemented", f"Rules[0].{member}")
    assert "this release" in failure.problem


def test_a_document_larger_than_amazon_takes_is_refused() -> None:
    written = json.dumps(document(rule()))
    assert accepted(json.loads(written.ljust(MAX_DOCUMENT))).rules
    failure = refused(written.ljust(MAX_DOCUMENT + 1))
    assert failure.code == "InvalidRequest"
    assert str(MAX_DOCUMENT + 1) in failure.problem


def test_a_document_of_many_members_is_judged_at_once() -> None:
    """The functions read the configuration while messages wait."""
    members = ", ".join(f'"member-{number}": 0' for number in range(20_000))
    before = time.monotonic()
    assert refused(f"{{{members}}}").code == "MalformedXML"
    assert time.monotonic() - before < 2


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert len(str(refused(document(rule(Status="x" * 10_000))))) < 300


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="MalformedXML: the document is not JSON"):
        parse(b"\xff\xfe\xfd")


# -- what is accepted

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
        pytest.param(document(rule(Filter={"And": {}})), id="And with nothing"),
        pytest.param(document(rule(Status="Disabled")), id="disabled"),
        pytest.param(document(rule(Destination={"Bucket": "arn:aws-cn:s3:::bucket.in.china"})), id="China"),
        pytest.param(document(rule(Destination={"Bucket": "arn:aws-us-gov:s3:::b-1"})), id="GovCloud"),
        pytest.param({**document(rule()), "Role": ""}, id="a role that is not used anyway"),
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


@pytest.mark.parametrize(
    ("extensions", "late_versions", "limit"),
    [
        ({}, LateVersions.REPLAY, None),
        ({"LateVersions": "Replay"}, LateVersions.REPLAY, None),
        ({"LateVersions": "Skip"}, LateVersions.SKIP, None),
        ({"VersionDeletes": {"Status": "Enabled"}}, LateVersions.REPLAY, 1000),
        ({"VersionDeletes": {"Status": "Enabled", "MaxPerHour": 1}}, LateVersions.REPLAY, 1),
        ({"VersionDeletes": {"Status": "Enabled", "MaxPerHour": 2**31 - 1}}, LateVersions.REPLAY, 2**31 - 1),
        ({"VersionDeletes": {"Status": "Disabled"}}, LateVersions.REPLAY, None),
        ({"VersionDeletes": {"Status": "Disabled", "MaxPerHour": 50}}, LateVersions.REPLAY, None),
        (
            {"LateVersions": "Skip", "VersionDeletes": {"Status": "Enabled", "MaxPerHour": 50}},
            LateVersions.SKIP,
            50,
        ),
    ],
    ids=json.dumps,
)
def test_extensions_are_read(extensions: dict[str, Any], late_versions: LateVersions, limit: int) -> None:
    [only] = accepted(document(rule(Extensions=extensions))).rules
    assert (only.late_versions, only.version_deletes) == (late_versions, limit)


def test_without_extensions_a_rule_does_what_amazons_does_and_late_versions_are_replayed() -> None:
    [only] = accepted(document(rule())).rules
    assert (only.late_versions, only.version_deletes) == (LateVersions.REPLAY, None)


def test_a_limit_written_as_a_fraction_is_a_whole_number_all_the_same() -> None:
    written = json.dumps(document(version_deletes(Status="Enabled", MaxPerHour=10))).replace("10}", "10.0}")
    [only] = parse(written).rules
    assert repr(only.version_deletes) == "10"


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


# -- properties

ascii_names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
tag_lists = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=3).map(
    lambda tags: [{"Key": key, "Value": value} for key, value in tags.items()]
)
filters: st.SearchStrategy[dict[str, Any]] = (
    st.just({})
    | st.fixed_dictionaries({"Prefix": st.text(max_size=10)})
    | tag_lists.filter(bool).map(lambda tags: {"Tag": tags[0]})
    | st.fixed_dictionaries({}, optional={"Prefix": st.text(max_size=10), "Tags": tag_lists}).map(
        lambda both: {"And": both}
    )
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    places = draw(
        st.lists(
            st.tuples(st.sampled_from([ARN, OTHER_ARN]), st.integers(0, 2**31 - 1)),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    rules = []
    for number, (arn, priority) in enumerate(places):
        selected = draw(filters)
        tagged = "Tag" in selected or bool(selected.get("And", {}).get("Tags"))
        markers = "Disabled" if tagged else draw(st.sampled_from(["Enabled", "Disabled"]))
        rules.append(
            {
                "ID": f"{number}{draw(ascii_names)}",
                "Priority": priority,
                "Status": draw(st.sampled_from(["Enabled", "Disabled"])),
                "Filter": selected,
                "DeleteMarkerReplication": {"Status": markers},
                "Destination": {"Bucket": arn},
            }
        )
    return {"Rules": rules}


@given(documents())
def test_a_valid_document_is_read_as_it_is_written(written: dict[str, Any]) -> None:
    rules = accepted(written).rules
    assert len(rules) == len(written["Rules"])
    for read, wrote in zip(rules, written["Rules"], strict=True):
        both = wrote["Filter"].get("And", wrote["Filter"])
        tags = both.get("Tags", []) + [both[name] for name in ("Tag",) if name in both]
        assert (read.id, read.priority) == (wrote["ID"], wrote["Priority"])
        assert read.enabled == (wrote["Status"] == "Enabled")
        assert read.delete_markers == (wrote["DeleteMarkerReplication"]["Status"] == "Enabled")
        assert wrote["Destination"]["Bucket"].endswith(f":{read.destination.bucket}")
        assert read.filter.prefix == both.get("Prefix", "")
        assert read.filter.tags == {Tag(tag["Key"], tag["Value"]) for tag in tags}


def check_answer(text: str | bytes) -> None:
    """A configuration, or a refusal that says something; nothing else."""
    failure = None
    try:
        parse(text, SOURCE)
    except InvalidConfiguration as refusal:
        failure = refusal
    if failure is not None:
        assert failure.code in ("MalformedXML", "InvalidArgument", "InvalidRequest", "NotImplemented")
        assert failure.problem


@given(st.text() | json_values.map(json.dumps) | st.binary())
def test_whatever_is_put_there_is_a_configuration_or_refused(text: str | bytes) -> None:
    check_answer(text)


EXTENSIONS = {"LateVersions": "Skip", "VersionDeletes": {"Status": "Enabled", "MaxPerHour": 10}}


@given(
    spoiled(
        document(
            rule(Filter={"And": {"Prefix": "a", "Tags": [RED]}}),
            rule(ID="b", Priority=2, Extensions=EXTENSIONS),
        )
    )
)
def test_a_document_with_any_value_spoiled_is_a_configuration_or_refused(written: Any) -> None:
    check_answer(json.dumps(written))


PLACES: list[tuple[str, list[Any]]] = [
    ("", []),
    ("Rules[0]", ["Rules", 0]),
    ("Rules[0].Filter.And", ["Rules", 0, "Filter", "And"]),
    ("Rules[0].Filter.And.Tags[0]", ["Rules", 0, "Filter", "And", "Tags", 0]),
    ("Rules[0].DeleteMarkerReplication", ["Rules", 0, "DeleteMarkerReplication"]),
    ("Rules[0].Destination", ["Rules", 0, "Destination"]),
    ("Rules[0].Extensions", ["Rules", 0, "Extensions"]),
    ("Rules[0].Extensions.VersionDeletes", ["Rules", 0, "Extensions", "VersionDeletes"]),
]


@given(st.sampled_from(PLACES), st.from_regex(r"[a-z]{3,8}", fullmatch=True), json_values)
def test_a_member_nobody_knows_is_refused_by_name_wherever_it_stands(
    place: tuple[str, list[Any]], name: str, value: Any
) -> None:
    field, path = place
    selected = {"And": {"Prefix": "a", "Tags": [dict(RED)]}}
    written = document(rule(Filter=selected, Extensions=deepcopy(EXTENSIONS)))
    inside: Any = written
    for step in path:
        inside = inside[step]
    inside[name] = value
    failure = refused(written)
    assert (failure.code, failure.field) == ("MalformedXML", field)
    assert repr(name) in failure.problem


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
