"""Replication configuration documents to begin with, and what becomes of one."""

import json
from copy import deepcopy
from typing import Any

import pytest

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration

SOURCE = "source-bucket"
ARN = "arn:aws:s3:::replica-bucket"
OTHER_ARN = "arn:aws:s3:::other-bucket"
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
KMS_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

RED, BLUE = {"Key": "colour", "Value": "red"}, {"Key": "colour", "Value": "blue"}

RULE: dict[str, Any] = {
    "ID": "everything",
    "Priority": 1,
    "Filter": {},
    "Status": "Enabled",
    "DeleteMarkerReplication": {"Status": "Disabled"},
    "Destination": {"Bucket": ARN},
}

ON, OFF = {"Status": "Enabled"}, {"Status": "Disabled"}
FIFTEEN = {"Minutes": 15}
TIME, NO_TIME = {"Status": "Enabled", "Time": FIFTEEN}, {"Status": "Disabled", "Time": FIFTEEN}
THRESHOLD = {"Status": "Enabled", "EventThreshold": FIFTEEN}
TO_DESTINATION = {"Owner": "Destination"}
WITH_KEY = {"ReplicaKmsKeyID": KMS_KEY}


def rule(**members: Any) -> dict[str, Any]:
    """A valid rule with other members, or without those that are None."""
    merged = {**deepcopy(RULE), **members}
    return {name: value for name, value in merged.items() if value is not None}


def v1(**members: Any) -> dict[str, Any]:
    """A valid rule of the older form, likewise."""
    older: dict[str, Any] = {"Priority": None, "Filter": None, "DeleteMarkerReplication": None, "Prefix": ""}
    return rule(**{**older, **members})


def to(**members: Any) -> dict[str, Any]:
    """A valid rule with other members in its destination."""
    return rule(Destination={"Bucket": ARN, **members})


def extended(**members: Any) -> dict[str, Any]:
    """A valid rule with these extensions."""
    return rule(Extensions=members)


def document(*rules: Any) -> dict[str, Any]:
    return {"Rules": list(rules)}


def accepted(written: Any) -> Configuration:
    return parse(json.dumps(written), SOURCE)


def refused(written: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as failure:
        parse(written if isinstance(written, str) else json.dumps(written), SOURCE)
    return failure.value


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
