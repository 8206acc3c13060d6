"""What Amazon S3 refuses is refused with the same code, and a message that says where, what, and what to do.

C37 is scenario 37 of part C of the acceptance list; B1 and B8 are the tables of Amazon S3's rule schema and
of what PutBucketReplication refuses. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import json
import time
from typing import Any

import pytest

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import MAX_DOCUMENT, InvalidConfiguration
from tests.unit.replication_documents import (
    ACCOUNT,
    ARN,
    BLUE,
    KMS_KEY,
    OFF,
    ON,
    OTHER_ACCOUNT,
    OTHER_ARN,
    RED,
    RULE,
    SOURCE,
    THRESHOLD,
    TIME,
    TO_DESTINATION,
    WITH_KEY,
    accepted,
    document,
    refused,
    rule,
    to,
    v1,
)

MALFORMED, ARGUMENT, REQUEST = "MalformedXML", "InvalidArgument", "InvalidRequest"


def only(name: str, written: Any, code: str, field: str, *said: str) -> Any:
    """A document of this one rule is refused: the field within the rule, and what the message has to say."""
    return several(name, document(written), code, f"Rules[0].{field}" if field else "Rules[0]", *said)


def several(name: str, written: Any, code: str, field: str, *said: str) -> Any:
    """A document is refused."""
    return pytest.param(written, code, field, said, id=name)


SELECTION = "SourceSelectionCriteria"
KMS, CHANGES = "SseKmsEncryptedObjects", "ReplicaModifications"
MARKERS = "DeleteMarkerReplication"
THRESHOLD_FIELD = "Destination.Metrics.EventThreshold"

REFUSED = [
    # the document
    several("empty", "", MALFORMED, "", "not JSON"),
    several("XML", "<ReplicationConfiguration/>", MALFORMED, "", "not JSON"),
    several("a list", "[]", MALFORMED, "", "[]", "object"),
    several("no Rules", "{}", MALFORMED, "", "Rules is missing"),
    several("a member twice", '{"Rules": [], "Rules": []}', MALFORMED, "", "'Rules' appears twice"),
    several("misspelt", {"Rules": [RULE], "Rule": []}, MALFORMED, "", "'Rule'", "Role, Rules"),
    several("Role is a number", {"Rules": [RULE], "Role": 7}, ARGUMENT, "Role", "7", "string"),
    # Rules
    several("B8 C37 no rule", document(), MALFORMED, "Rules", "[]", "between 1 and 1000"),
    several(
        "B1 B8 C37 1001 rules",
        document(*(rule(ID=f"r{n}", Priority=n) for n in range(1001))),
        *(REQUEST, "Rules", "1000"),
    ),
    several("Rules not a list", {"Rules": {}}, MALFORMED, "Rules", "{}", "array"),
    *(
        only(f"a rule that is {value}", value, MALFORMED, "", json.dumps(value), "object")
        for value in (None, "text", 7, ["rule"])
    ),
    only("a rule with a misspelling", rule(Prioritry=3), MALFORMED, "", "'Prioritry'", "Priority"),
    # ID
    only("B1 B8 C38 ID of 256 characters", rule(ID="i" * 256), ARGUMENT, "ID", "255"),
    only("B1 B8 C38 ID not ASCII", rule(ID="règle"), ARGUMENT, "ID", "règle", "ASCII"),
    only("ID a number", rule(ID=7), ARGUMENT, "ID", "7", "string"),
    only("ID with a control character", rule(ID="a\x00b"), ARGUMENT, "ID", "ASCII"),
    several(
        "B1 B8 C38 ID twice",
        document(rule(ID="twice"), rule(ID="twice", Priority=2)),
        *(REQUEST, "Rules[1].ID", "'twice'", "Rules[0]", "its own"),
    ),
    # Priority
    only("B8 C43 no Priority", rule(Priority=None), REQUEST, "", "Priority is missing", "with Filter"),
    only("Priority negative", rule(Priority=-1), MALFORMED, "Priority", "-1", "0"),
    only("Priority too big", rule(Priority=2**31), MALFORMED, "Priority", "2147483648"),
    only("B1 Priority text", rule(Priority="1"), MALFORMED, "Priority", '"1"', "integer"),
    only("B1 Priority a fraction", rule(Priority=1.5), MALFORMED, "Priority", "1.5"),
    only("Priority a boolean", rule(Priority=True), MALFORMED, "Priority", "true"),
    several(
        "B8 C44 Priority twice for one destination",
        document(rule(ID="a", Priority=4), rule(ID="b", Priority=4)),
        *(REQUEST, "Rules[1].Priority", "4", "Rules[0]", "'replica-bucket'", "its own"),
    ),
    several(
        "B8 C44 Priority twice, one of them disabled",
        document(rule(ID="a", Priority=4, Status="Disabled"), rule(ID="b", Priority=4)),
        *(REQUEST, "Rules[1].Priority", "4"),
    ),
    # Status
    only("B1 B8 no Status", rule(Status=None), MALFORMED, "", "Status is missing"),
    only("B8 C41 bad Status", rule(Status="On"), MALFORMED, "Status", '"On"', '"Enabled" or "Disabled"'),
    only("B8 C41 Status in small", rule(Status="enabled"), MALFORMED, "Status", '"enabled"'),
    # Filter
    only("B1 neither Filter nor Prefix", rule(Filter=None), MALFORMED, "", "Filter is missing", "Filter"),
    only("B8 C40 prefix", rule(Filter={"Prefix": "p" * 1025}), ARGUMENT, "Filter.Prefix", "1024"),
    only(
        "B8 C40 prefix in And",
        rule(Filter={"And": {"Prefix": "p" * 1025}}),
        *(ARGUMENT, "Filter.And.Prefix", "1024"),
    ),
    *(
        only(f"B1 B8 C46 {' and '.join(both)} without And", rule(Filter=both), MALFORMED, "Filter", "And")
        for both in (
            {"Prefix": "a", "Tag": RED},
            {"Prefix": "a", "And": {"Prefix": "b"}},
            {"Tag": RED, "And": {"Prefix": "b"}},
        )
    ),
    only(
        "Tag without Value",
        rule(Filter={"Tag": {"Key": "colour"}}),
        *(MALFORMED, "Filter.Tag", "Value is missing"),
    ),
    *(
        only(name, rule(Filter={"Tag": {"Key": key, "Value": value}}), ARGUMENT, f"Filter.Tag.{field}", said)
        for name, key, value, field, said in (
            ("Tag with an empty key", "", "v", "Key", "empty"),
            ("Tag key of 129 characters", "k" * 129, "", "Key", "128"),
            ("Tag value of 257 characters", "k", "v" * 257, "Value", "256"),
        )
    ),
    only("B1 Tags not in And", rule(Filter={"Tags": [RED]}), MALFORMED, "Filter", "'Tags'"),
    only("Tag in And", rule(Filter={"And": {"Tag": RED}}), MALFORMED, "Filter.And", "'Tag'", "Prefix, Tags"),
    only("And with nothing", rule(Filter={"And": {}}), MALFORMED, "Filter.And", "empty", '"Filter": {}'),
    only(
        "And with no tags",
        rule(Filter={"And": {"Tags": []}}),
        *(MALFORMED, "Filter.And.Tags", "empty", '"Filter": {}'),
    ),
    only(
        "a tag key twice",
        rule(Filter={"And": {"Tags": [RED, BLUE]}}),
        *(REQUEST, "Filter.And.Tags", "'colour'", "2 times", "at most once"),
    ),
    # DeleteMarkerReplication
    only(
        "B1 B8 C43 no DeleteMarkerReplication",
        rule(DeleteMarkerReplication=None),
        *(REQUEST, "", "DeleteMarkerReplication is missing", "with Filter"),
    ),
    only("no status of markers", rule(DeleteMarkerReplication={}), MALFORMED, MARKERS, "Status is missing"),
    only(
        "B8 bad status of markers",
        rule(DeleteMarkerReplication={"Status": "yes"}),
        *(MALFORMED, f"{MARKERS}.Status", '"yes"', '"Enabled" or "Disabled"'),
    ),
    *(
        only(
            f"B1 B8 delete markers with a tag filter, {next(iter(tagged))}",
            rule(Filter=tagged, DeleteMarkerReplication=ON),
            *(REQUEST, f"{MARKERS}.Status", "'Enabled'", "tag", "write 'Disabled'"),
        )
        for tagged in ({"Tag": RED}, {"And": {"Prefix": "a", "Tags": [RED]}})
    ),
    # the older form
    only("B1 Prefix beside Filter", rule(Prefix=""), MALFORMED, "Prefix", "put the prefix into Filter"),
    only("B8 C40 prefix of the older form", v1(Prefix="p" * 1025), ARGUMENT, "Prefix", "1024"),
    only("Prefix a number", v1(Prefix=7), ARGUMENT, "Prefix", "7", "string"),
    *(
        only(
            f"B1 B8 DeleteMarkerReplication {switch['Status']} in the older form",
            v1(DeleteMarkerReplication=switch),
            *(REQUEST, MARKERS, "cannot be used in a rule of the older form", "remove it"),
        )
        for switch in (ON, OFF)
    ),
    only("Priority in the older form", v1(Priority=1), REQUEST, "Priority", "cannot be used", "older form"),
    only(
        "B1 ReplicaModifications in the older form",
        v1(SourceSelectionCriteria={CHANGES: ON}),
        *(REQUEST, f"{SELECTION}.{CHANGES}", "cannot be used", "older form"),
    ),
    *(
        several(
            f"overlapping prefixes in the older form, {one!r} and {two!r}",
            document(v1(ID="a", Prefix=one), v1(ID="b", Prefix="other/"), v1(ID="c", Prefix=two)),
            *(REQUEST, f"Rules[{at}].Prefix", repr(one), repr(two), "overlaps", "'replica-bucket'"),
        )
        for one, two, at in (("logs/", "logs/a/", 2), ("logs/a/", "logs/", 0), ("logs/", "logs/", 2))
    ),
    *(
        several(
            f"both forms, Rules[{at}] of the older one",
            document(*rules),
            *(REQUEST, f"Rules[{at}].Prefix", "one form", "Filter"),
        )
        for at, rules in ((0, (v1(ID="a"), rule())), (1, (rule(), v1(ID="a"))))
    ),
    # SourceSelectionCriteria
    only("nothing selected", rule(SourceSelectionCriteria={}), REQUEST, SELECTION, "empty", "leave it out"),
    only(
        "something else selected",
        rule(SourceSelectionCriteria={"SseCEncryptedObjects": ON}),
        *(MALFORMED, SELECTION, "'SseCEncryptedObjects'", KMS),
    ),
    *(
        only(
            f"B8 {name} without Status",
            {**to(EncryptionConfiguration=WITH_KEY), SELECTION: {name: {}}},
            *(MALFORMED, f"{SELECTION}.{name}", "Status is missing", '{"Status": "Enabled"}'),
        )
        for name in (KMS, CHANGES)
    ),
    *(
        only(
            f"B1 B8 bad status of {name}",
            {**to(EncryptionConfiguration=WITH_KEY), SELECTION: {name: {"Status": "true"}}},
            *(MALFORMED, f"{SELECTION}.{name}.Status", '"true"', '"Enabled" or "Disabled"'),
        )
        for name in (KMS, CHANGES)
    ),
    *(
        only(
            f"B1 C50 {KMS} {switch['Status']} without a key",
            rule(SourceSelectionCriteria={KMS: switch}),
            *(REQUEST, "Destination.EncryptionConfiguration", "is missing", KMS, "ReplicaKmsKeyID"),
        )
        for switch in (ON, OFF)
    ),
    # Destination
    only("B8 no Destination", rule(Destination=None), MALFORMED, "", "Destination is missing"),
    only("B1 no Bucket", rule(Destination={}), MALFORMED, "Destination", "Bucket is missing"),
    only("misspelt", to(Class="STANDARD"), MALFORMED, "Destination", "'Class'", "StorageClass"),
    *(
        only(
            f"B8 Bucket {bucket!r}",
            rule(Destination={"Bucket": bucket}),
            *(ARGUMENT, "Destination.Bucket", json.dumps(bucket), "arn:aws:s3:::"),
        )
        for bucket in (
            *("replica-bucket", "arn:aws:s3:::", "arn:aws:s3:::ab", "arn:aws:s3:::Replica", f"{ARN}/*", ""),
            *(f"{ARN}\n", f" {ARN}", "arn:aws:sqs:us-east-1:123456789012:queue", "s3://replica-bucket", 7),
            "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
        )
    ),
    several(
        "B8 C49 the destination is the source",
        document(rule(), rule(ID="b", Destination={"Bucket": f"arn:aws:s3:::{SOURCE}"})),
        *(REQUEST, "Rules[1].Destination.Bucket", f"'{SOURCE}'", "source bucket itself", "another"),
    ),
    several(
        "C49 the destination is the source, with other keys",
        document(
            rule(
                Destination={"Bucket": f"arn:aws:s3:::{SOURCE}"},
                Extensions={"KeyTransform": {"AddPrefix": "copies/"}},
            )
        ),
        *(REQUEST, "Rules[0].Destination.Bucket", "source bucket itself"),
    ),
    *(
        only(
            f"B1 B8 StorageClass {name}",
            to(StorageClass=name),
            *(MALFORMED, "Destination.StorageClass", f'"{name}"', "STANDARD_IA"),
        )
        for name in ("TAPE", "standard", "FSX_OPENZFS", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "")
    ),
    # Account and AccessControlTranslation
    *(
        only(
            f"B8 Account {account!r}",
            to(Account=account),
            *(ARGUMENT, "Destination.Account", json.dumps(account), "twelve digits"),
        )
        for account in ("", "12345678901", "1234567890123", "12345678901x", 111122223333)
    ),
    several(
        "B8 Accounts that differ for one bucket",
        document(
            rule(Destination={"Bucket": ARN, "Account": ACCOUNT}),
            rule(ID="b", Priority=2, Destination={"Bucket": OTHER_ARN, "Account": OTHER_ACCOUNT}),
            rule(ID="c", Priority=3, Destination={"Bucket": ARN, "Account": OTHER_ACCOUNT}),
        ),
        *(ARGUMENT, "Rules[2].Destination.Account", f"'{OTHER_ACCOUNT}'", f"Rules[0] says '{ACCOUNT}'"),
    ),
    *(
        only(
            f"B1 B8 C47 AccessControlTranslation without Account, {form}",
            made(Destination={"Bucket": ARN, "AccessControlTranslation": TO_DESTINATION}),
            *(REQUEST, "Destination.Account", "is missing", "AccessControlTranslation", "'replica-bucket'"),
        )
        for form, made in (("V2", rule), ("V1", v1))
    ),
    only(
        "B1 AccessControlTranslation without Owner",
        to(Account=ACCOUNT, AccessControlTranslation={}),
        *(MALFORMED, "Destination.AccessControlTranslation", "Owner is missing"),
    ),
    only(
        "B1 another Owner",
        to(Account=ACCOUNT, AccessControlTranslation={"Owner": "Source"}),
        *(MALFORMED, "Destination.AccessControlTranslation.Owner", '"Source"', 'write "Destination"'),
    ),
    # EncryptionConfiguration
    only(
        "B1 EncryptionConfiguration without SseKmsEncryptedObjects",
        to(EncryptionConfiguration=WITH_KEY),
        *(REQUEST, f"{SELECTION}.{KMS}", "is missing", "EncryptionConfiguration"),
    ),
    only(
        "B1 EncryptionConfiguration with ReplicaModifications alone",
        {**to(EncryptionConfiguration=WITH_KEY), SELECTION: {CHANGES: ON}},
        *(REQUEST, f"{SELECTION}.{KMS}", "is missing"),
    ),
    only(
        "B1 C50 EncryptionConfiguration without a key",
        {**to(EncryptionConfiguration={}), SELECTION: {KMS: ON}},
        *(REQUEST, "Destination.EncryptionConfiguration", "ReplicaKmsKeyID is missing"),
    ),
    *(
        only(
            f"B1 ReplicaKmsKeyID {key!r}",
            {**to(EncryptionConfiguration={"ReplicaKmsKeyID": key}), SELECTION: {KMS: ON}},
            *(ARGUMENT, "Destination.EncryptionConfiguration.ReplicaKmsKeyID", json.dumps(key), "ARN"),
        )
        for key in (
            *("", "alias/replicas", "1234abcd-12ab-34cd-56ef-1234567890ab", f"{KMS_KEY} ", f"{KMS_KEY}\n"),
            *("arn:aws:kms::111122223333:key/1234", "arn:aws:s3:::bucket", 7),
        )
    ),
    # ReplicationTime and Metrics
    *(
        only(
            f"B1 B8 ReplicationTime without {left_out}",
            to(Metrics=THRESHOLD, ReplicationTime={k: v for k, v in TIME.items() if k != left_out}),
            *(ARGUMENT, "Destination.ReplicationTime", f"{left_out} is missing", '"Time": {"Minutes": 15}'),
        )
        for left_out in ("Status", "Time")
    ),
    only(
        "B8 bad status of ReplicationTime",
        to(Metrics=THRESHOLD, ReplicationTime={**TIME, "Status": "On"}),
        *(MALFORMED, "Destination.ReplicationTime.Status", '"On"'),
    ),
    *(
        only(
            f"B1 B8 a time of {minutes!r} minutes",
            to(Metrics=THRESHOLD, ReplicationTime={"Status": "Enabled", "Time": {"Minutes": minutes}}),
            *(ARGUMENT, "Destination.ReplicationTime.Time.Minutes", json.dumps(minutes), "write 15"),
        )
        for minutes in (10, 0, -15, 14.5, "15", True)
    ),
    only(
        "B8 a time without minutes",
        to(Metrics=THRESHOLD, ReplicationTime={"Status": "Enabled", "Time": {}}),
        *(ARGUMENT, "Destination.ReplicationTime.Time", "Minutes is missing", '{"Minutes": 15}'),
    ),
    *(
        only(
            f"B1 B8 ReplicationTime {time['Status']} without Metrics",
            to(ReplicationTime=time),
            *(REQUEST, "Destination.Metrics", "is missing", "ReplicationTime"),
        )
        for time in (TIME, {**TIME, "Status": "Disabled"})
    ),
    *(
        only(
            f"B1 B8 ReplicationTime {time['Status']} and Metrics {metrics['Status']}",
            to(ReplicationTime=time, Metrics=metrics),
            *(REQUEST, "Destination.Metrics.Status", f"'{metrics['Status']}'", f"'{time['Status']}'", "same"),
        )
        for time, metrics in (
            (TIME, {**THRESHOLD, "Status": "Disabled"}),
            (TIME, OFF),
            ({**TIME, "Status": "Disabled"}, ON),
        )
    ),
    only("B8 Metrics without Status", to(Metrics={}), ARGUMENT, "Destination.Metrics", "Status is missing"),
    only(
        "B8 bad status of Metrics",
        to(Metrics={"Status": "On"}),
        *(MALFORMED, "Destination.Metrics.Status", '"On"'),
    ),
    *(
        only(
            f"B1 B8 a threshold of {minutes!r} minutes",
            to(ReplicationTime=TIME, Metrics={"Status": "Enabled", "EventThreshold": {"Minutes": minutes}}),
            *(ARGUMENT, f"{THRESHOLD_FIELD}.Minutes", json.dumps(minutes), "write 15"),
        )
        for minutes in (10, 0, "15")
    ),
    only(
        "B8 a threshold without minutes",
        to(ReplicationTime=TIME, Metrics={"Status": "Enabled", "EventThreshold": {}}),
        *(ARGUMENT, THRESHOLD_FIELD, "Minutes is missing"),
    ),
    *(
        only(
            f"B1 B8 a threshold without an enabled ReplicationTime, {name}",
            to(**members),
            *(ARGUMENT, THRESHOLD_FIELD, "ReplicationTime is not specified or Disabled", "remove it"),
        )
        for name, members in (
            ("none", {"Metrics": THRESHOLD}),
            ("disabled", {"Metrics": THRESHOLD, "ReplicationTime": {**TIME, "Status": "Disabled"}}),
            ("none, metrics disabled", {"Metrics": {**THRESHOLD, "Status": "Disabled"}}),
        )
    ),
    only(
        "an enabled ReplicationTime without a threshold",
        to(ReplicationTime=TIME, Metrics=ON),
        *(ARGUMENT, THRESHOLD_FIELD, "is missing", '{"Minutes": 15}'),
    ),
    # what Amazon no longer takes
    *(
        only(
            f"B1 B8 ExistingObjectReplication {switch['Status']}",
            rule(ExistingObjectReplication=switch),
            *(MALFORMED, "ExistingObjectReplication", "remove it", "s3rctl backfill"),
        )
        for switch in (ON, OFF)
    ),
]


@pytest.mark.parametrize(("written", "code", "field", "said"), REFUSED)
def test_a_document_amazon_s3_refuses_is_refused_with_its_code(
    written: Any, code: str, field: str, said: tuple[str, ...]
) -> None:
    failure = refused(written)
    assert (failure.code, failure.field) == (code, field)
    assert str(failure).startswith(f"{code}: {field}")
    for words in said:
        assert words in failure.problem


def test_a_refusal_names_the_rule_it_is_about_as_well_as_its_place() -> None:
    written = document(rule(ID="one"), rule(ID="two", Priority=2, Status="On"))
    assert str(refused(written)).startswith('MalformedXML: Rules[1].Status: rule "two": "On" must be one of')
    written = document(rule(ID="one"), rule(ID="two", Destination={"Bucket": ARN}))
    assert str(refused(written)).startswith('InvalidRequest: Rules[1].Priority: rule "two": 1 is also')


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_rule_without_a_name_is_known_by_its_place(name: Any) -> None:
    written = rule(ID=name, Priority=1.5) if name != 7 else rule(ID=name)
    assert "rule " not in refused(document(written)).problem


def test_a_document_larger_than_amazon_takes_is_refused() -> None:
    """B1: the whole configuration has at most 2 MB."""
    written = json.dumps(document(rule()))
    assert accepted(json.loads(written.ljust(MAX_DOCUMENT))).rules
    failure = refused(written.ljust(MAX_DOCUMENT + 1))
    assert failure.code == "InvalidRequest"
    assert str(MAX_DOCUMENT + 1) in failure.problem


def test_a_document_of_many_members_is_judged_at_once() -> None:
    """The functions read the configuration while messages wait."""
    members = ", ".join(f'"member-{number}": 0' for number in range(90_000))
    before = time.thread_time()
    assert refused(f"{{{members}}}").code == "MalformedXML"
    # A tenth of a second's work; minutes' if each member were looked for among all others.
    assert time.thread_time() - before < 10


def test_a_long_value_or_name_is_not_repeated_in_full() -> None:
    assert len(str(refused(document(rule(ID="i" * 250, Status="x" * 10_000))))) < 400


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="MalformedXML: the document is not JSON"):
        parse(b"\xff\xfe\xfd")
