"""What Amazon S3 has no words for: what is read, and what is refused."""

import json
from typing import Any

import pytest

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import KeyNames, KeyTransform, LateVersions
from tests.unit.replication_documents import (
    OTHER_ARN,
    accepted,
    document,
    extended,
    refused,
    rule,
    v1,
)

CLASSES = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
    *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
)
LISTS = ("MatchAnyPrefix", "MatchAnySuffix", "MatchAnySubstring", "ExcludePrefix", "ExcludeSuffix")
EMPTY: dict[str, Any] = {}
SIZES = ("ObjectSizeGreaterThanBytes", "ObjectSizeLessThanBytes")


def version_deletes(**members: Any) -> dict[str, Any]:
    return extended(VersionDeletes=members)


def named(prefix: str = "", /, **members: Any) -> dict[str, Any]:
    """A rule for keys with ``prefix``, with this KeyNameConstraint."""
    return {**extended(KeyNameConstraint=members), "Filter": {"Prefix": prefix}}


def moved(prefix: str = "", /, **members: Any) -> dict[str, Any]:
    """A rule for keys with ``prefix``, with this KeyTransform."""
    return {**extended(KeyTransform=members), "Filter": {"Prefix": prefix}}


def refusal(name: str, written: Any, field: str, *said: str) -> Any:
    return pytest.param(written, f"Extensions.{field}".rstrip("."), said, id=name)


# -- what has the wrong shape

MALFORMED = [
    *(
        refusal(f"Extensions {value!r}", rule(Extensions=value), "", json.dumps(value), "object")
        for value in ("LateVersions", 7, ["Skip"])
    ),
    refusal("a misspelling", extended(LateVersion="Skip"), "", "'LateVersion'", "LateVersions, VersionDele"),
    *(
        refusal(
            f"LateVersions {value!r}",
            extended(LateVersions=value),
            *("LateVersions", json.dumps(value), 'write "Replay" or "Skip"'),
        )
        for value in ("skip", "Enabled", "", True, None, {"Status": "Enabled"})
    ),
    *(
        refusal(
            f"VersionDeletes {value!r}",
            extended(VersionDeletes=value),
            *("VersionDeletes", json.dumps(value), "object", 'write {"Status": "Enabled"}'),
        )
        for value in ("Enabled", True, 1000, None)
    ),
    refusal(
        "VersionDeletes without Status",
        version_deletes(MaxPerHour=10),
        *("VersionDeletes", "Status is missing", 'write {"Status": "Enabled"}'),
    ),
    refusal(
        "bad Status of VersionDeletes",
        version_deletes(Status="On"),
        *("VersionDeletes.Status", '"On"', '"Enabled" or "Disabled"'),
    ),
    refusal(
        "a misspelt limit",
        version_deletes(Status="Enabled", PerHour=10),
        *("VersionDeletes", "'PerHour'", "Status, MaxPerHour"),
    ),
    *(
        refusal(
            f"MaxPerHour {value!r}, {status}",
            version_deletes(Status=status, MaxPerHour=value),
            *("VersionDeletes.MaxPerHour", json.dumps(value), "whole number from 1"),
        )
        for status in ("Enabled", "Disabled")
        for value in (0, -1, 0.5, "1000", True, None, 2**31)
    ),
    *(
        refusal(
            f"KeyNameConstraint {value!r}",
            extended(KeyNameConstraint=value),
            *("KeyNameConstraint", json.dumps(value), "object"),
        )
        for value in ("logs/", ["logs/"], None)
    ),
    refusal(
        "a key name constraint of Amazon's that does not exist",
        named(MatchAnyRegex=[".*"]),
        *("KeyNameConstraint", "'MatchAnyRegex'", ", ".join(LISTS)),
    ),
    *(
        refusal(
            f"{name} {value!r}",
            named(**{name: value}),
            *(f"KeyNameConstraint.{name}", json.dumps(value), "at most 100"),
        )
        for name in LISTS
        for value in ("logs/", None, {"Prefix": "a"})
    ),
    *(
        refusal(
            f"{name} of 101",
            named(**{name: [f"{n}/" for n in range(101)]}),
            *(f"KeyNameConstraint.{name}", "at most 100 members"),
        )
        for name in LISTS
    ),
    *(
        refusal(
            f"{name} with {what}",
            named(**{name: ["a", value]}),
            *(f"KeyNameConstraint.{name}[1]", "1 to 1024 characters"),
        )
        for name in LISTS
        for what, value in (("an empty string", ""), ("a number", 7), ("1025 characters", "k" * 1025))
    ),
    *(
        refusal(f"{name} {value!r}", extended(**{name: value}), name, json.dumps(value), "whole number")
        for name in SIZES
        for value in (-1, 0.5, "1024", True, None)
    ),
    refusal(
        "smaller than nothing",
        extended(ObjectSizeLessThanBytes=0),
        *("ObjectSizeLessThanBytes", "0 must be at least 1"),
    ),
    *(
        refusal(
            f"MatchAnyStorageClass {value!r}",
            extended(MatchAnyStorageClass=value),
            *("MatchAnyStorageClass", json.dumps(value), "list of storage classes"),
        )
        for value in ("STANDARD", None, {"Any": ["STANDARD"]})
    ),
    refusal(
        "a storage class there is not",
        extended(MatchAnyStorageClass=["STANDARD", "TAPE"]),
        *("MatchAnyStorageClass[1]", '"TAPE"', "storage class of general purpose buckets"),
    ),
    *(
        refusal(f"KeyTransform {value!r}", extended(KeyTransform=value), "KeyTransform", json.dumps(value))
        for value in ("eu/", ["eu/"], None, EMPTY)
    ),
    refusal(
        "a misspelt transform",
        extended(KeyTransform={"RemovePrefix": "in/"}),
        *("KeyTransform", "'RemovePrefix'", "StripPrefix, AddPrefix"),
    ),
]

WRONG_TYPE = [
    refusal(f"{name} {what}", moved(**{name: value}), f"KeyTransform.{name}", said)
    for name in ("StripPrefix", "AddPrefix")
    for what, value, said in (
        ("a number", 7, "string"),
        ("null", None, "string"),
        ("of 1025 characters", "k" * 1025, "1024"),
    )
]


@pytest.mark.parametrize(("written", "field", "said"), MALFORMED)
def test_an_extension_that_says_nothing_sensible_is_refused_with_its_field_value_and_fix(
    written: Any, field: str, said: tuple[str, ...]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("MalformedXML", f"Rules[0].{field}")
    for words in said:
        assert words in failure.problem


@pytest.mark.parametrize(("written", "field", "said"), WRONG_TYPE)
def test_a_prefix_is_refused_as_amazon_s3_refuses_one(
    written: Any, field: str, said: tuple[str, ...]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("InvalidArgument", f"Rules[0].{field}")
    for words in said:
        assert words in failure.problem


NOT_YET = [
    ("PreserveParts", extended(PreserveParts={"Status": "Enabled"})),
    ("Destination", extended(Destination={"Region": "eu-west-1"})),
    ("Destination", extended(LateVersions="Skip", Destination=None)),
]


@pytest.mark.parametrize(("member", "written"), NOT_YET)
def test_what_this_release_does_not_do_is_refused_by_name_and_never_ignored(
    member: str, written: dict[str, Any]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("NotImplemented", f"Rules[0].Extensions.{member}")
    assert "this release" in failure.problem


# -- what cannot be meant

POINTLESS = [
    *(
        refusal(
            f"larger than {larger}, smaller than {smaller}",
            extended(ObjectSizeGreaterThanBytes=larger, ObjectSizeLessThanBytes=smaller),
            *("ObjectSizeLessThanBytes", f"fewer than {smaller} and more than {larger} bytes"),
        )
        for larger, smaller in ((10, 11), (10, 10), (10, 5), (0, 1))
    ),
    *(
        refusal(f"no key has {name}", named("logs/", **constraint), "KeyNameConstraint", "'logs/'", "wider")
        for name, constraint in (
            ("another prefix", {"MatchAnyPrefix": ["data/", "log-"]}),
            ("the filter's prefix and not it", {"ExcludePrefix": ["a/", "logs/"]}),
            ("it and not its beginning", {"ExcludePrefix": ["log"]}),
            (
                "one of the prefixes and none of them",
                {"MatchAnyPrefix": ["logs/a/", "logs/b/"], "ExcludePrefix": ["logs/b", "logs/a"]},
            ),
        )
    ),
    refusal(
        "every suffix excluded",
        named(MatchAnySuffix=["a.tmp", "b.tmp"], ExcludeSuffix=["x", ".tmp"]),
        *("KeyNameConstraint.ExcludeSuffix", "every key", "MatchAnySuffix"),
    ),
    *(
        refusal(
            f"{strip!r} stripped from {name}",
            written,
            *("KeyTransform.StripPrefix", f"{strip!r} cannot be stripped", found, f"begin with {strip!r}"),
        )
        for strip, name, found, written in (
            ("in/", "every key", "every key", moved(StripPrefix="in/")),
            ("in/", "other keys", "begin with 'out/'", moved("out/", StripPrefix="in/")),
            ("in/a/", "keys of a shorter prefix", "begin with 'in/'", moved("in/", StripPrefix="in/a/")),
            (
                "in/",
                "some of the prefixes",
                "begin with 'out/'",
                extended(
                    KeyNameConstraint={"MatchAnyPrefix": ["in/a", "out/"]},
                    KeyTransform={"StripPrefix": "in/"},
                ),
            ),
        )
    ),
]


@pytest.mark.parametrize(("written", "field", "said"), POINTLESS)
def test_what_would_do_nothing_or_not_what_it_says_is_refused(
    written: Any, field: str, said: tuple[str, ...]
) -> None:
    failure = refused(document(written))
    assert (failure.code, failure.field) == ("InvalidRequest", f"Rules[0].{field}")
    for words in said:
        assert words in failure.problem


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(extended(ObjectSizeGreaterThanBytes=10, ObjectSizeLessThanBytes=12), id="eleven bytes"),
        pytest.param(named("logs/", MatchAnyPrefix=["logs/a/", "data/"]), id="one of the prefixes"),
        pytest.param(named("logs/", MatchAnyPrefix=["log"]), id="a shorter prefix"),
        pytest.param(named("logs/", ExcludePrefix=["logs/tmp/"]), id="all but some"),
        pytest.param(
            named(MatchAnySuffix=[".log", "a.tmp"], ExcludeSuffix=[".tmp"]), id="one of the suffixes"
        ),
        pytest.param(moved("in/", StripPrefix="in/"), id="the filter's prefix stripped"),
        pytest.param(moved("in/a/", StripPrefix="in"), id="a part of it"),
        pytest.param(
            extended(
                KeyNameConstraint={"MatchAnyPrefix": ["in/a/", "in/b/"]}, KeyTransform={"StripPrefix": "in/"}
            ),
            id="what all prefixes begin with",
        ),
        pytest.param(
            {
                **extended(
                    KeyNameConstraint={"MatchAnyPrefix": ["in/a/", "out/"]},
                    KeyTransform={"StripPrefix": "in/"},
                ),
                "Filter": {"Prefix": "in/"},
            },
            id="what those begin with that the filter admits",
        ),
        pytest.param(v1(Prefix="in/", Extensions={"KeyTransform": {"StripPrefix": "in/"}}), id="V1"),
        pytest.param(moved(AddPrefix="k" * 1024), id="a prefix that leaves room for no key"),
    ],
)
def test_what_can_be_meant_is_accepted(written: Any) -> None:
    assert accepted(document(written)).rules


# -- what is read


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
def test_late_versions_and_version_deletes_are_read(
    extensions: dict[str, Any], late_versions: LateVersions, limit: int
) -> None:
    [only] = accepted(document(rule(Extensions=extensions))).rules
    assert (only.late_versions, only.version_deletes) == (late_versions, limit)


def test_without_extensions_a_rule_does_what_amazons_does_and_late_versions_are_replayed() -> None:
    [only] = accepted(document(rule())).rules
    assert (only.late_versions, only.version_deletes) == (LateVersions.REPLAY, None)
    assert (only.filter.names, only.transform) == (KeyNames(), KeyTransform())
    assert (only.filter.larger_than, only.filter.smaller_than) == (None, None)
    assert only.filter.storage_classes == frozenset()


def test_key_names_are_read() -> None:
    written = {
        "MatchAnyPrefix": ["logs/", "data/"],
        "MatchAnySuffix": [".gz"],
        "MatchAnySubstring": ["/2026/", "/2027/"],
        "ExcludePrefix": ["logs/tmp/"],
        "ExcludeSuffix": ["~", ".part"],
    }
    [only] = accepted(document(named(**written))).rules
    assert only.filter.names == KeyNames(
        ("logs/", "data/"), (".gz",), ("/2026/", "/2027/"), ("logs/tmp/",), ("~", ".part")
    )


@pytest.mark.parametrize("names", [{}, *({name: []} for name in LISTS)], ids=json.dumps)
def test_a_list_that_is_empty_asks_for_nothing(names: dict[str, Any]) -> None:
    [only] = accepted(document(named("logs/", **names))).rules
    assert only.filter.names == KeyNames()
    assert only.filter.admits("logs/x")


@pytest.mark.parametrize("name", LISTS)
def test_a_hundred_parts_of_keys_are_accepted(name: str) -> None:
    parts = [f"{number}/".rjust(1024, "k") for number in range(100)]
    assert accepted(document(named(**{name: parts}))).rules


def test_sizes_are_read() -> None:
    [only] = accepted(
        document(extended(ObjectSizeGreaterThanBytes=0, ObjectSizeLessThanBytes=50 * 2**40))
    ).rules
    assert (only.filter.larger_than, only.filter.smaller_than) == (0, 50 * 2**40)


def test_a_number_written_as_a_fraction_is_a_whole_number_all_the_same() -> None:
    written = json.dumps(
        document(
            extended(
                VersionDeletes={"Status": "Enabled", "MaxPerHour": 10},
                ObjectSizeGreaterThanBytes=10,
                ObjectSizeLessThanBytes=1010,
            )
            | {"Priority": 10}
        )
    )
    [only] = parse(written.replace("10,", "10.0,").replace("10}", "10.0}")).rules
    read = [only.version_deletes, only.filter.larger_than, only.filter.smaller_than, only.priority]
    assert repr(read) == "[10, 10, 1010, 10]"


@pytest.mark.parametrize("storage_class", CLASSES)
def test_storage_classes_are_read(storage_class: str) -> None:
    [only] = accepted(document(extended(MatchAnyStorageClass=[storage_class, "STANDARD"]))).rules
    assert only.filter.storage_classes == {storage_class, "STANDARD"}


@pytest.mark.parametrize(
    ("written", "transform"),
    [
        ({"StripPrefix": "in/"}, KeyTransform("in/", "")),
        ({"AddPrefix": "eu/"}, KeyTransform("", "eu/")),
        ({"StripPrefix": "in/", "AddPrefix": "eu/"}, KeyTransform("in/", "eu/")),
        ({"StripPrefix": "", "AddPrefix": ""}, KeyTransform()),
    ],
    ids=str,
)
def test_a_transform_is_read(written: dict[str, str], transform: KeyTransform) -> None:
    """B31: keys arrive without what is stripped, behind what is added."""
    [only] = accepted(document(moved("in/", **written))).rules
    assert only.transform == transform


# -- two rules that put two keys in one place


def test_a_collision_is_refused_with_two_keys_that_collide() -> None:
    """B31: the second source key that maps to the same target key is refused as a collision."""
    everything = rule(ID="everything")
    europe = {**moved("in/", StripPrefix="in/", AddPrefix="eu/"), "ID": "europe", "Priority": 2}
    for rules, place, other in (((everything, europe), 1, 0), ((europe, everything), 0, 1)):
        failure = refused(document(*rules))
        assert (failure.code, failure.field) == (
            "InvalidRequest",
            f"Rules[{place}].Extensions.KeyTransform",
        )
        for words in (
            *("'in/x'", "'eu/x'", f"Rules[{other}]", "'replica-bucket'", 'rule "europe"', "keep them apart"),
        ):
            assert words in failure.problem


@pytest.mark.parametrize(
    "changed",
    [
        {"Status": "Disabled"},
        {"Destination": {"Bucket": OTHER_ARN}},
        {"Filter": {"Prefix": "asia/"}},
    ],
    ids=json.dumps,
)
def test_rules_that_never_meet_do_not_collide(changed: dict[str, Any]) -> None:
    europe = {**moved("in/", StripPrefix="in/", AddPrefix="eu/"), "ID": "europe", "Priority": 2}
    assert accepted(document(rule(**changed), europe)).rules
