"""Whatever stands where the configuration should is a configuration, or refused with a reason."""

import json
from copy import deepcopy
from importlib.resources import files
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from s3replicator.adapters.configuration_document import SCHEMA
from tests.unit.replication_documents import (
    ACCOUNT,
    ARN,
    OFF,
    ON,
    RED,
    THRESHOLD,
    TIME,
    TO_DESTINATION,
    WITH_KEY,
    accepted,
    check_answer,
    document,
    refused,
    rule,
)
from tests.unit.strategies import json_values, spoiled

#: Every member there is, in two rules, none of them in two places at once.
FULL: dict[str, Any] = json.loads(
    json.dumps(
        document(
            {
                "ID": "full",
                "Priority": 1,
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "in/", "Tags": [RED]}},
                "DeleteMarkerReplication": OFF,
                "SourceSelectionCriteria": {"SseKmsEncryptedObjects": ON, "ReplicaModifications": ON},
                "Destination": {
                    "Bucket": ARN,
                    "Account": ACCOUNT,
                    "StorageClass": "STANDARD_IA",
                    "AccessControlTranslation": TO_DESTINATION,
                    "EncryptionConfiguration": WITH_KEY,
                    "ReplicationTime": TIME,
                    "Metrics": THRESHOLD,
                },
                "Extensions": {
                    "LateVersions": "Skip",
                    "VersionDeletes": {"Status": "Enabled", "MaxPerHour": 10},
                    "Replicas": {"Status": "Enabled"},
                    "KeyNameConstraint": {
                        "MatchAnyPrefix": ["in/a/"],
                        "MatchAnySuffix": [".gz"],
                        "MatchAnySubstring": ["/2026/"],
                        "ExcludePrefix": ["in/a/tmp/"],
                        "ExcludeSuffix": ["~.gz"],
                    },
                    "ObjectSizeGreaterThanBytes": 0,
                    "ObjectSizeLessThanBytes": 1024,
                    "MatchAnyStorageClass": ["STANDARD"],
                    "KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"},
                },
            },
            rule(
                ID="tagged",
                Priority=2,
                Filter={"Tag": RED},
                Extensions={"TagLater": {"Status": "Enabled"}},
            ),
        )
    )
)


def objects(inside: Any, field: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object in a document, with its field."""
    if isinstance(inside, list):
        return [each for index, one in enumerate(inside) for each in objects(one, f"{field}[{index}]")]
    if not isinstance(inside, dict):
        return []
    below = [
        each for name, one in inside.items() for each in objects(one, f"{field}.{name}".removeprefix("."))
    ]
    return [(field, inside), *below]


FIELDS = [field for field, _ in objects(FULL)]


def named(schema: Any) -> set[str]:
    """The names of all members a schema knows."""
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())) | {name for inside in schema.values() for name in named(inside)}


def test_the_full_document_has_every_member() -> None:
    assert len(accepted(FULL).rules) == 2
    schema = json.loads(files("s3replicator").joinpath(SCHEMA).read_text())
    written = {name for _, inside in objects(FULL) for name in inside}
    assert named(schema) - written == {"Role", "ExistingObjectReplication", "PreserveParts"}


@given(st.text() | json_values.map(json.dumps) | st.binary())
def test_whatever_is_put_there_is_a_configuration_or_refused(text: str | bytes) -> None:
    check_answer(text)


@given(spoiled(FULL))
def test_a_document_with_any_value_spoiled_is_a_configuration_or_refused(written: Any) -> None:
    check_answer(json.dumps(written))


@given(st.sampled_from(FIELDS), st.from_regex(r"[a-z]{3,8}", fullmatch=True), json_values)
def test_a_member_nobody_knows_is_refused_by_name_wherever_it_stands(
    field: str, name: str, value: Any
) -> None:
    written = deepcopy(FULL)
    inside = dict(objects(written))[field]
    # A filter has one member.
    if field.endswith(".Filter"):
        inside.clear()
    inside[name] = value
    failure = refused(written)
    assert (failure.code, failure.field) == ("MalformedXML", field)
    assert repr(name) in failure.problem
