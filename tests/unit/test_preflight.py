"""What a check decides without looking: what a denial says, which probes there are, what counts."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    AS_IT_IS,
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.denials import Denial, Layer, understood
from s3replicator.decisions.deployment import Presence
from s3replicator.decisions.findings import Check, Finding, Severity, arranged, failed, fine, warnings
from s3replicator.decisions.preflight import (
    Bucket,
    LifecycleRule,
    LockSetting,
    NativeRule,
    Unseen,
    about_destination,
    about_left_out,
    may_be_probed,
    onward,
    region_of_key,
)
from s3replicator.decisions.probe import FOLDER, MOST, Written, is_probe, planned, probe_request
from s3replicator.decisions.stamp import Stamp, place_of
from tests.unit.strategies import keys

NONCE = "ABCDEFGHabcdef-_"
SESSION = "arn:aws:sts::111122223333:assumed-role/stack-ReplicateRole-1ABC/session"
ROLE = "stack-ReplicateRole-1ABC"
OBJECT = "arn:aws:s3:::replicas/key"


def rule(number: int = 1, *, bucket: str = "replicas", **more: Any) -> Rule:
    destination = more.pop("destination", Destination(bucket))
    given: dict[str, Any] = {"enabled": True, "filter": Filter(), "delete_markers": False, **more}
    return Rule(id=f"rule-{number}", priority=number, destination=destination, **given)


def configuration(*rules: Rule) -> Configuration:
    return Configuration(rules)


# -- denials


@pytest.mark.parametrize(
    ("ending", "layer", "explicit"),
    [
        ("because no identity-based policy allows the s3:PutObject action", Layer.IDENTITY, False),
        ("with an explicit deny in an identity-based policy", Layer.IDENTITY, True),
        ("because no resource-based policy allows the s3:PutObject action", Layer.RESOURCE, False),
        ("with an explicit deny in a resource-based policy", Layer.RESOURCE, True),
        ("with an explicit deny in a service control policy", Layer.CONTROL, True),
        ("because no service control policy allows the s3:PutObject action", Layer.CONTROL, False),
        ("with an explicit deny in a resource control policy", Layer.RESOURCE_CONTROL, True),
        ("because no permissions boundary allows the s3:PutObject action", Layer.BOUNDARY, False),
        ("because no session policy allows the s3:PutObject action", Layer.SESSION, False),
        ("because no VPC endpoint policy allows the s3:PutObject action", Layer.ENDPOINT, False),
    ],
)
def test_a_denial_is_understood(ending: str, layer: Layer, explicit: bool) -> None:
    told = f'User: {SESSION} is not authorized to perform: s3:PutObject on resource: "{OBJECT}" {ending}'
    assert understood(f"copying to the destination: AccessDenied {told}") == Denial(
        ROLE, "s3:PutObject", layer, explicit, OBJECT
    )


def test_what_kms_says_without_naming_the_key_is_understood() -> None:
    told = (
        f"User: {SESSION} is not authorized to perform: kms:GenerateDataKey on this resource because the"
        " resource does not exist in this Region, no resource-based policies allow access, or a"
        " resource-based policy explicitly denies access"
    )
    assert understood(told) == Denial(ROLE, "kms:GenerateDataKey", Layer.RESOURCE, explicit=False)


@pytest.mark.parametrize(
    "told",
    [
        "Access Denied",
        "",
        f"User: {SESSION} is not authorized to perform: s3:PutObject",
        "Access Denied because object protected by object lock.",
    ],
)
def test_what_does_not_say_who_denies_is_not_understood(told: str) -> None:
    assert understood(told) is None


def test_a_principal_that_is_no_session_of_a_role_is_told_as_it_is() -> None:
    user = "arn:aws:iam::111122223333:user/operator"
    denial = understood(
        f"User: {user} is not authorized to perform: s3:GetObject with an explicit deny in a"
        " service control policy"
    )
    assert denial is not None
    assert denial.role == user


@given(st.text(max_size=200))
def test_no_message_is_too_strange(message: str) -> None:
    understood(f"User: {message} is not authorized to perform: {message}")
    understood(message)


# -- findings


def finding(check: Check, subject: str, severity: Severity = Severity.FAILED, message: str = "x") -> Finding:
    return Finding(check, subject, severity, message)


def test_findings_are_told_once_by_subject_and_check() -> None:
    given = [
        fine(Check.DELETE, "b", "permitted"),
        fine(Check.WRITE, "a", "permitted"),
        fine(Check.WRITE, "b", "permitted"),
        fine(Check.WRITE, "a", "permitted"),
    ]
    told = [(found.subject, found.check) for found in arranged(given)]
    assert told == [("b", Check.WRITE), ("b", Check.DELETE), ("a", Check.WRITE)]


def test_what_is_wrong_takes_the_place_of_what_is_fine() -> None:
    wrong = finding(Check.WRITE, "a")
    told = arranged([fine(Check.WRITE, "a", "permitted"), wrong, fine(Check.WRITE, "b", "permitted")])
    assert told == [wrong, fine(Check.WRITE, "b", "permitted")]


def test_failures_and_warnings_are_told_apart() -> None:
    wrong, doubtful = finding(Check.WRITE, "a"), finding(Check.UPLOADS, "a", Severity.WARNING)
    given = [wrong, doubtful, fine(Check.READ, "a", "permitted")]
    assert (failed(given), warnings(given)) == ([wrong], [doubtful])


def test_a_finding_is_read_as_it_was_written() -> None:
    given = finding(Check.WRITE, "a")
    assert Finding.read(given.document()) == given
    assert Written.read(Written("a", "b", "c", 1.0, locking=True).document()) == Written(
        "a", "b", "c", 1.0, locking=True
    )


# -- probes


def test_a_bucket_without_rules_gets_the_plainest_probe() -> None:
    [probe] = planned(configuration(), ["replicas"], NONCE).probes
    assert (probe.bucket, probe.key, probe.rule) == ("replicas", f"{FOLDER}{NONCE}-0", None)
    request = probe_request(probe, NONCE, None)
    assert request.arguments["StorageClass"] == "STANDARD"
    assert request.arguments["ServerSideEncryption"] == "AES256"
    assert "ObjectLockMode" not in request.arguments


def test_each_kind_of_replica_has_its_probe_wherever_it_is_made() -> None:
    alike = [rule(number, filter=Filter(prefix=f"{number}/")) for number in range(3)]
    kinds = [
        rule(9),
        rule(10, destination=Destination("replicas", storage_class="STANDARD_IA")),
        rule(11, transform=KeyTransform(add="team/")),
        rule(12, destination=Destination("replicas", account="1" * 12, owner_override=True)),
        rule(13, kms=True, destination=Destination("replicas", kms_key="key")),
    ]
    plan = planned(configuration(*alike, *kinds, rule(14, bucket="others")), ["replicas"], NONCE)
    probes = plan.probes
    assert len({probe.key for probe in probes}) == len(probes) == 8
    places = Counter(probe.key.partition(FOLDER)[0] for probe in probes)
    assert places == {"0/": 1, "1/": 1, "2/": 1, "team/": 1, "": 4}
    assert [probe.kms_key for probe in probes if probe.kms] == ["key"]
    assert {probe.bucket for probe in probes} == {"replicas"}
    assert plan.left_out == {}


@pytest.mark.parametrize(
    ("filter_", "transform", "prefixes"),
    [
        (Filter(), AS_IT_IS, [""]),
        (Filter("logs/"), AS_IT_IS, ["logs/"]),
        (Filter("logs/"), KeyTransform("", "eu/"), ["eu/logs/"]),
        (Filter("logs/app/"), KeyTransform("logs/", ""), ["app/"]),
        (Filter("logs/"), KeyTransform("logs/", "eu/"), ["eu/"]),
        (
            Filter("in/", names=KeyNames(("in/a/", "in/b/", "out/"), not_prefixes=("in/b",))),
            KeyTransform("in/", "eu/"),
            ["eu/a/"],
        ),
    ],
)
def test_a_probe_lies_behind_what_all_keys_of_replicas_begin_with(
    filter_: Filter, transform: KeyTransform, prefixes: list[str]
) -> None:
    plan = planned(configuration(rule(filter=filter_, transform=transform)), ["replicas"], NONCE)
    assert [probe.key.partition(FOLDER)[0] for probe in plan.probes] == prefixes


def test_of_more_than_twenty_each_kind_comes_first_then_each_prefix_and_the_others_are_named() -> None:
    plain = [rule(100 - n, filter=Filter(f"{n}/")) for n in range(25)]
    cold = Destination("replicas", storage_class="GLACIER")
    same_places = [rule(50 - n, filter=Filter(f"{n}/"), destination=cold) for n in range(25)]
    marking = rule(1, filter=Filter("last/"), delete_markers=True)
    plan = planned(configuration(*plain, *same_places, marking), ["replicas", "others"], NONCE)
    probes = [probe for probe in plan.probes if probe.bucket == "replicas"]
    assert len(probes) == MOST == 20
    classes = Counter(probe.rule.destination.storage_class for probe in probes if probe.rule)
    assert classes == {None: 19, "GLACIER": 1}
    assert [probe.key.partition(FOLDER)[0] for probe in probes if probe.markers] == ["last/"]
    tried = {probe.key.partition(FOLDER)[0] for probe in probes}
    assert set(plan.left_out["replicas"]) >= {f"{n}/" for n in range(25)} - tried
    # Where only one of two kinds was tried, that is no more known.
    assert "1/" in plan.left_out["replicas"]
    [told] = about_left_out(plan)
    assert told.severity is Severity.WARNING
    assert "'24/'" in told.message or "more" in told.message


def test_a_prefix_that_leaves_no_room_is_not_probed_and_named() -> None:
    short, long = "k" * 960, "\N{GRINNING FACE}" * 250
    rules = configuration(rule(1, filter=Filter(short)), rule(2, filter=Filter(long)))
    plan = planned(rules, ["replicas"], NONCE)
    assert [probe.key.partition(FOLDER)[0] for probe in plan.probes] == [short]
    assert plan.left_out == {"replicas": (long,)}
    assert all(len(probe.key.encode()) <= 1024 for probe in plan.probes)


def test_a_rule_that_is_off_has_no_probe() -> None:
    off = rule(enabled=False, destination=Destination("replicas", storage_class="GLACIER"))
    [probe] = planned(configuration(off), ["replicas"], NONCE).probes
    assert probe.rule is None


def test_markers_are_tried_where_a_rule_replicates_them() -> None:
    rules = configuration(
        rule(1), rule(2, delete_markers=True), rule(3, filter=Filter("logs/")), rule(4, bucket="others")
    )
    plan = planned(rules, ["replicas", "others"], NONCE)
    found = {(probe.bucket, probe.key.partition(FOLDER)[0]): probe.markers for probe in plan.probes}
    assert found == {("replicas", ""): True, ("replicas", "logs/"): False, ("others", ""): False}


def test_a_probe_bears_a_stamp_that_is_nobodys() -> None:
    """Whoever reads it takes it for a replica where it lies, and for the replica of no version there is."""
    [probe] = planned(configuration(), ["replicas"], NONCE).probes
    metadata = probe_request(probe, NONCE, None).arguments["Metadata"]
    stamp = Stamp.read(metadata)
    assert stamp is not None
    assert stamp.place == place_of("replicas", probe.key)
    assert not stamp.source_bucket.isalnum()


@given(keys)
def test_no_key_of_a_user_is_taken_for_a_probe(key: str) -> None:
    assert not is_probe(key)
    assert not is_probe(f"{FOLDER}{key[:15]}")
    assert not is_probe(f"{FOLDER}{NONCE}-0/{key}")


@given(keys, st.integers(0, 1000))
def test_every_probe_is_recognised(prefix: str, number: int) -> None:
    assert is_probe(f"{prefix}{FOLDER}{NONCE}-{number}")


# -- settings


FOUND = Bucket("replicas", Presence.FOUND, "eu-west-1", "Enabled")
SOURCE = Bucket("source", Presence.FOUND, "us-east-1", "Enabled")


def checked(bucket: Bucket, *rules: Rule, source: Bucket = SOURCE) -> dict[Check, Finding]:
    found = arranged(about_destination(bucket, "eu-west-1", source, configuration(*rules), {}))
    return {each.check: each for each in found}


def aborting(prefix: str = "") -> LifecycleRule:
    return LifecycleRule("abort", prefix, removes="", aborts_uploads=True)


@pytest.mark.parametrize(
    ("lifecycle", "rules", "severity"),
    [
        ((), (), Severity.WARNING),
        ((aborting(),), (), Severity.OK),
        ((aborting("logs/"),), (), Severity.WARNING),
        ((aborting("logs/"),), (rule(filter=Filter(prefix="logs/app/")),), Severity.OK),
        ((aborting("logs/"),), (rule(filter=Filter(prefix="log")),), Severity.WARNING),
        ((aborting("a/"), aborting("b/")), (rule(filter=Filter(prefix="b/")),), Severity.OK),
        (
            (aborting("in/a/"),),
            (rule(filter=Filter("in/", names=KeyNames(("in/a/x", "in/a/y")))),),
            Severity.OK,
        ),
        ((aborting("eu/"),), (rule(transform=KeyTransform(add="eu/")),), Severity.OK),
    ],
)
def test_uploads_have_to_be_aborted_wherever_replicas_go(
    lifecycle: tuple[LifecycleRule, ...], rules: tuple[Rule, ...], severity: Severity
) -> None:
    bucket = Bucket("replicas", Presence.FOUND, "eu-west-1", "Enabled", lifecycle=lifecycle)
    assert checked(bucket, *rules)[Check.UPLOADS].severity is severity


@pytest.mark.parametrize(
    ("prefix", "told"), [("", True), ("logs/", True), ("logs/app/", True), ("tmp/", False)]
)
def test_only_what_removes_replicas_is_told_of(prefix: str, told: bool) -> None:
    expiring = LifecycleRule("expire", prefix, removes="current versions after 1 days", aborts_uploads=False)
    bucket = Bucket("replicas", Presence.FOUND, "eu-west-1", "Enabled", lifecycle=(expiring,))
    found = checked(bucket, rule(filter=Filter(prefix="logs/")))[Check.EXPIRATION]
    assert (found.severity is Severity.WARNING) == told


def test_object_lock_on_both_sides_or_none_or_ready_for_it_is_fine() -> None:
    locking = LockSetting("GOVERNANCE for 30 days")
    for there, here in (
        (None, None),
        (LockSetting(), LockSetting()),
        (None, LockSetting()),
        (LockSetting(), locking),
    ):
        source = Bucket("source", Presence.FOUND, "us-east-1", "Enabled", lock=there)
        bucket = Bucket("replicas", Presence.FOUND, "eu-west-1", "Enabled", lock=here)
        assert checked(bucket, source=source)[Check.OBJECT_LOCK].severity is Severity.OK


def test_acls_matter_only_where_they_are_followed() -> None:
    source = Bucket("source", Presence.FOUND, "us-east-1", "Enabled", ownership="ObjectWriter")
    mine = rule(destination=Destination("replicas", account="1" * 12, owner_override=True))
    assert checked(FOUND, source=source)[Check.OWNERSHIP].severity is Severity.WARNING
    assert checked(FOUND, mine, source=source)[Check.OWNERSHIP].severity is Severity.OK
    assert checked(FOUND)[Check.OWNERSHIP].severity is Severity.OK


def test_a_bucket_that_cannot_be_looked_at_is_probed_all_the_same() -> None:
    unseen = Unseen("s3:GetBucketVersioning", "AccessDenied: Access Denied")
    assert may_be_probed(Bucket("replicas", Presence.FORBIDDEN, versioning=unseen))
    assert not may_be_probed(Bucket("replicas", Presence.MISSING))
    assert not may_be_probed(Bucket("replicas", Presence.FOUND, versioning="Suspended"))
    assert not may_be_probed(Bucket("replicas", Presence.FOUND, versioning="Enabled", not_of=frozenset("1")))


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ((), None),
        ((NativeRule("onward", "", tagged=False),), "onward"),
        ((NativeRule("onward", "logs/", tagged=False),), None),
        ((NativeRule("onward", ".s3", tagged=False),), "onward"),
        ((NativeRule("onward", "", tagged=True),), None),
        (Unseen("s3:GetReplicationConfiguration", "AccessDenied"), None),
    ],
)
def test_a_probe_is_kept_from_amazons_own_replication(
    native: tuple[NativeRule, ...] | Unseen, expected: str | None
) -> None:
    bucket = Bucket("replicas", Presence.FOUND, versioning="Enabled", native=native)
    assert onward(bucket, f"{FOLDER}{NONCE}-0") == expected


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("arn:aws:kms:eu-west-1:111122223333:key/1234", "eu-west-1"),
        ("arn:aws:kms:eu-west-1:111122223333:alias/mine", "eu-west-1"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", ""),
        ("alias/mine", ""),
    ],
)
def test_the_region_of_a_key_is_in_its_arn(name: str, region: str) -> None:
    assert region_of_key(name) == region
