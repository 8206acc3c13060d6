"""Documents made from botocore's own shapes: none that Amazon S3 takes is refused, none that it refuses is
taken. Where our schema and botocore's shapes differ, the reason stands here."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any, Final

import pytest
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3replicator.adapters.configuration_document import SCHEMA, parse
from s3replicator.decisions.configuration import InvalidConfiguration
from tests.unit.replication_demands import DEMANDS, VALUES, Document
from tests.unit.replication_documents import (
    OTHER_ARN,
    RED,
    SOURCE,
    accepted,
    document,
    rule,
    v1,
)
from tests.unit.strategies import spoiled
from tests.unit.test_configuration_robustness import FULL


@cache
def operation() -> OperationModel:
    model = ServiceModel(Loader().load_service_model("s3", "service-2"))
    return model.operation_model("PutBucketReplication")


@cache
def request_shape() -> Any:
    return operation().input_shape


@cache
def configuration_shape() -> Any:
    return request_shape().members["ReplicationConfiguration"]


# -- the shapes and the schema, side by side

DIFFERENCES: Final = {
    "Role: required there": "the functions have their own roles",
    "Rules[].Extensions: only here": "what Amazon S3 has no words for",
    "Rules[].ExistingObjectReplication: never accepted here": "Amazon S3 answers with MalformedXML",
    "Rules[].Filter.And: not empty here": "Amazon S3 wants something to combine",
    "Rules[].DeleteMarkerReplication.Status: required here": "without it nothing is said",
    "Rules[].SourceSelectionCriteria: not empty here": "Amazon S3 answers with InvalidRequest",
    "Rules[].Destination.StorageClass: only there OUTPOSTS": "of buckets on Outposts",
    "Rules[].Destination.StorageClass: only there SNOW": "of Snow devices",
    "Rules[].Destination.StorageClass: only there EXPRESS_ONEZONE": "of directory buckets",
    "Rules[].Destination.StorageClass: only there FSX_OPENZFS": "not when replicating, says botocore",
    "Rules[].Destination.StorageClass: only there FSX_ONTAP": "of file systems behind access points",
    "Rules[].Destination.StorageClass: only there AWS_BACKUP_WARM": "of what AWS Backup keeps",
    "Rules[].Destination.StorageClass: only there AWS_BACKUP_LOW_COST_WARM": "of what AWS Backup keeps",
    "Rules[].Destination.EncryptionConfiguration.ReplicaKmsKeyID: required here": "it has no other member",
    "Rules[].Destination.ReplicationTime.Time.Minutes: required here": "InvalidArgument without it",
    "Rules[].Destination.Metrics.EventThreshold.Minutes: required here": "InvalidArgument without it",
    # Values that a shape calls any string or number, and that Amazon S3 looks at all the same.
    "Rules: minItems": "a configuration has a rule",
    "Rules: maxItems": "and at most 1000",
    "Rules[].ID: maxLength": "the documentation says so",
    "Rules[].ID: pattern": "ASCII only, say the error codes",
    "Rules[].Priority: minimum": "from 0",
    "Rules[].Priority: maximum": "an int of XML Schema",
    "Rules[].Prefix: maxLength": "the length of the longest key",
    "Rules[].Filter: maxProperties": "one of three, says the documentation",
    "Rules[].Filter.Prefix: maxLength": "the length of the longest key",
    "Rules[].Filter.Tag.Key: maxLength": "of the longest tag",
    "Rules[].Filter.Tag.Value: maxLength": "of the longest tag",
    "Rules[].Filter.And.Prefix: maxLength": "the length of the longest key",
    "Rules[].Filter.And.Tags[].Key: maxLength": "of the longest tag",
    "Rules[].Filter.And.Tags[].Value: maxLength": "of the longest tag",
    "Rules[].Destination.Bucket: pattern": "the ARN of a bucket",
    "Rules[].Destination.Account: pattern": "an account has twelve digits",
    "Rules[].Destination.EncryptionConfiguration.ReplicaKmsKeyID: maxLength": "of the longest ARN of a key",
    "Rules[].Destination.EncryptionConfiguration.ReplicaKmsKeyID: pattern": "the ARN of a key or an alias",
    "Rules[].Destination.ReplicationTime.Time.Minutes: enum": "15, says the documentation",
    "Rules[].Destination.Metrics.EventThreshold.Minutes: enum": "15, says the documentation",
}

_NARROWER = (
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)
_TYPES = {"structure": "object", "list": "array", "string": "string", "integer": "integer"}


def differences(
    shape: Any, schema: Mapping[str, Any], top: Mapping[str, Any], path: str = ""
) -> Iterator[str]:
    if "$ref" in schema:
        schema = top["definitions"][schema["$ref"].rpartition("/")[2]]
    if "not" in schema:
        yield f"{path}: never accepted here"
        return
    assert schema.get("type", "string") == _TYPES[shape.type_name], path
    yield from (f"{path}: {limit}" for limit in _NARROWER if _limits(shape, schema, limit))
    if schema.get("minProperties"):
        yield f"{path}: not empty here"
    there, here = set(getattr(shape, "enum", ())), set(schema.get("enum", ()))
    if there:
        yield from (f"{path}: only there {value}" for value in there - here)
        assert here <= there, path
    elif here:
        yield f"{path}: enum"
    if shape.type_name == "list":
        yield from differences(shape.member, schema["items"], top, f"{path}[]")
    if shape.type_name == "structure":
        yield from _members(shape, schema, top, f"{path}.".removeprefix("."))


def _limits(shape: Any, schema: Mapping[str, Any], limit: str) -> bool:
    return limit in schema and not (limit == "minLength" and schema[limit] == shape.metadata.get("min"))


def _members(shape: Any, schema: Mapping[str, Any], top: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        if name not in schema["properties"]:
            yield f"{path}{name}: only there"
            continue
        yield from differences(member, schema["properties"][name], top, f"{path}{name}")
        required = name in shape.required_members, name in schema.get("required", ())
        if required == (True, False):
            yield f"{path}{name}: required there"
        if required == (False, True):
            yield f"{path}{name}: required here"
    yield from (f"{path}{name}: only here" for name in schema["properties"] if name not in shape.members)


def test_every_difference_between_botocores_shapes_and_our_schema_has_a_reason() -> None:
    schema = json.loads(files("s3replicator").joinpath(SCHEMA).read_text())
    found = list(differences(configuration_shape(), schema, schema))
    assert len(found) == len(set(found))
    assert set(found) == set(DIFFERENCES)
    assert all(DIFFERENCES.values())


# -- documents from the shapes


def documents_of(shape: Any, name: str) -> st.SearchStrategy[Any]:
    if shape.type_name == "structure":
        members = {each: documents_of(member, each) for each, member in shape.members.items()}
        return st.fixed_dictionaries(
            {each: members[each] for each in shape.required_members},
            optional={each: members[each] for each in members if each not in shape.required_members},
        )
    if shape.type_name == "list":
        return st.lists(documents_of(shape.member, name), max_size=3)
    return st.sampled_from(getattr(shape, "enum", ()) or VALUES[name])


@cache
def any_documents() -> st.SearchStrategy[Document]:
    return documents_of(configuration_shape(), "")


NAMES: Final = [demand.name for demand in DEMANDS]


@st.composite
def documents(draw: st.DrawFn, left: st.SearchStrategy[set[str]]) -> Document:
    """What Amazon S3 asks is met; only the demands of ``left`` are left as they are drawn."""
    written = deepcopy(draw(any_documents()))
    kept = draw(left)
    # What mends one may break another.
    for _ in range(3):
        for demand in DEMANDS:
            if demand.name not in kept and demand.broken(written):
                demand.mend(written)
    return written


def broken_in(written: Document) -> list[str]:
    return [demand.name for demand in DEMANDS if demand.broken(written)]


def test_every_demand_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(documents(st.just(set())))
def test_no_document_that_amazon_s3_takes_is_refused(written: Document) -> None:
    assert broken_in(written) == []
    assert len(parse(json.dumps(written), SOURCE).rules) == len(written["Rules"])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(documents(st.sets(st.sampled_from(NAMES), max_size=3)))
def test_no_document_that_amazon_s3_refuses_is_taken(written: Document) -> None:
    broken = {demand.code for demand in DEMANDS if demand.broken(written)}
    if broken:
        with pytest.raises(InvalidConfiguration) as failure:
            parse(json.dumps(written), SOURCE)
        assert failure.value.code in broken
    else:
        assert parse(json.dumps(written), SOURCE).rules


#: What only Amazon S3 refuses, as far as is known, and why it is taken here.
ONLY_THERE: Final = {
    "a document without Role": document(rule()),  # the functions have their own roles
    # What decides is asked for each bucket, so that numbers have to differ in one bucket only.
    "the same Priority for two buckets": document(
        rule(ID="a"), rule(ID="b", Destination={"Bucket": OTHER_ARN})
    ),
    # What is meant is plain.
    "And of one tag": document(rule(Filter={"And": {"Tags": [RED]}})),
    "And of a prefix": document(rule(Filter={"And": {"Prefix": "logs/"}})),
    # "Number of distinct destination bucket ARNs cannot exceed 1": a limit of the older form only.
    "two buckets in the older form": document(v1(ID="a"), v1(ID="b", Destination={"Bucket": OTHER_ARN})),
}


@pytest.mark.parametrize("written", ONLY_THERE.values(), ids=ONLY_THERE)
def test_what_only_amazon_s3_refuses_is_taken_for_a_reason(written: Document) -> None:
    assert len(accepted(written).rules) == len(written["Rules"])


# -- and back


def sent(written: Document) -> Document:
    """What the AWS CLI would send: no extensions, a role, and whole numbers written as such."""
    stripped = json.loads(json.dumps(written), parse_float=lambda number: int(float(number)))
    for each in stripped["Rules"]:
        each.pop("Extensions", None)
    return {"Role": "", **stripped}


def check_takes(written: Document) -> None:
    parameters = {"Bucket": SOURCE, "ReplicationConfiguration": sent(written)}
    report = ParamValidator().validate(parameters, request_shape())
    assert not report.has_errors(), report.generate_report()
    request = create_serializer("rest-xml").serialize_to_request(parameters, operation())
    assert request["body"].startswith(b"<ReplicationConfiguration")


@given(spoiled(FULL))
def test_botocore_takes_what_is_accepted(written: Any) -> None:
    try:
        parse(json.dumps(written), SOURCE)
    except InvalidConfiguration:
        return
    check_takes(written)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(documents(st.just(set())))
def test_botocore_takes_its_own_documents(written: Document) -> None:
    check_takes(written)
