"""A bucket's own replication configuration taken over: ``s3rctl config import``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from s3replicator.decisions.configuration import OBJECT_KEY
from tests.functional.faults import Fault, Raw, faults
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import CONTROL, ONE, SOURCE, TWO, World

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0d2f6b1e"
RULE = f"""
  <Rule>
    <ID>reports</ID><Priority>2</Priority><Status>Enabled</Status>
    <Filter><And><Prefix>reports/</Prefix><Tag><Key>class</Key><Value>public</Value></Tag></And></Filter>
    <SourceSelectionCriteria>
      <SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>
    </SourceSelectionCriteria>
    <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>
    <Destination>
      <Bucket>arn:aws:s3:::{TWO}</Bucket>
      <EncryptionConfiguration><ReplicaKmsKeyID>{KEY}</ReplicaKmsKeyID></EncryptionConfiguration>
    </Destination>
  </Rule>"""
OLD_RULE = f"""
  <Rule>
    <ID>all</ID><Status>Enabled</Status><Prefix></Prefix><Destination><Bucket>arn:aws:s3:::{ONE}</Bucket></Destination>
  </Rule>"""
EXPECTED = {
    "Role": "arn:aws:iam::123456789012:role/replication",
    "Rules": [
        {
            "ID": "reports",
            "Priority": 2,
            "Filter": {"And": {"Prefix": "reports/", "Tags": [{"Key": "class", "Value": "public"}]}},
            "Status": "Enabled",
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": f"arn:aws:s3:::{TWO}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": KEY},
            },
            "DeleteMarkerReplication": {"Status": "Disabled"},
        }
    ],
}


@dataclass
class Answer(Fault):
    """What S3 answers, in place of the mocked one, which forgets most of what a rule says."""

    body: str = ""

    def answer(self, event_name: str, request: Any, **rest: Any) -> AWSResponse:
        self.happened += 1
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw(self.body.encode()))


@contextmanager
def having(*rules: str) -> Iterator[None]:
    """The source has these rules of its own."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Role>{EXPECTED['Role']}</Role>{''.join(rules)}</ReplicationConfiguration>"
    )
    with faults(Answer("GetBucketReplication", times=99, body=xml)):
        yield


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    return Tool(capsys)


def imported(s3rctl: Tool, *more: str) -> Any:
    return s3rctl("config", "import", "--bucket", SOURCE, *more)


def test_rules_are_taken_as_they_are_and_need_no_stack(s3rctl: Tool) -> None:
    with having(RULE):
        answer = imported(s3rctl)
        told = imported(s3rctl, "--json").json
    assert answer.code == 0
    assert json.loads(answer.out) == EXPECTED
    steps = [line.strip() for line in answer.err.splitlines()]
    assert steps == [
        "What is left to do:",
        f"sam deploy --parameter-overrides DefaultRule=Disabled SourceBucket={SOURCE} Destinations={TWO}"
        f" SourceKmsKeys=<the ARNs of the keys that encrypt objects of {SOURCE}> ReplicaKmsKeys={KEY}",
        f"aws s3api delete-bucket-replication --bucket {SOURCE}",
        "s3rctl config put rules.json",
        "s3rctl backfill start --yes",
    ]
    assert (told["complete"], told["remarks"], told["document"]) == (True, [], EXPECTED)
    assert (told["parameters"]["Destinations"], told["parameters"]["ReplicaKmsKeys"]) == (TWO, KEY)


def test_what_is_taken_can_be_checked(s3rctl: Tool, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    for rule in (RULE, OLD_RULE):
        with having(rule):
            file.write_text(imported(s3rctl).out)
        assert s3rctl("config", "validate", str(file)).code == 0


def test_what_is_not_taken_is_named(s3rctl: Tool) -> None:
    existing = RULE.replace(
        "<Destination>",
        "<ExistingObjectReplication><Status>Enabled</Status></ExistingObjectReplication><Destination>",
    )
    with having(existing):
        answer = imported(s3rctl)
    assert answer.code == 0
    assert json.loads(answer.out) == EXPECTED
    assert "Rules[0].ExistingObjectReplication: rule 'reports': is not taken" in answer.err


def test_a_rule_that_cannot_be_taken_is_left_out(s3rctl: Tool) -> None:
    elsewhere = RULE.replace("reports<", "elsewhere<").replace(
        f"<Bucket>arn:aws:s3:::{TWO}</Bucket>",
        f"<Bucket>arn:aws:s3:::{ONE}</Bucket><StorageClass>OUTPOSTS</StorageClass>",
    )
    with having(elsewhere, RULE):
        answer = imported(s3rctl)
        told = imported(s3rctl, "--json")
        put = imported(s3rctl, "--put")
    assert answer.code == told.code == put.code == 1
    assert json.loads(answer.out) == EXPECTED
    assert "Rules[0].Destination.StorageClass" in answer.err
    assert told.json["complete"] is False
    assert [remark["field"] for remark in told.json["remarks"]] == ["Rules[0].Destination.StorageClass"]
    assert "not written" in put.err


def test_what_the_sdk_does_not_know_is_not_lost_in_silence(s3rctl: Tool) -> None:
    with having(RULE.replace("</Rule>", "<Moonlight><Status>Enabled</Status></Moonlight></Rule>")):
        answer = imported(s3rctl)
    assert answer.code == 1
    assert "Moonlight: this release's SDK does not know it" in answer.err


def test_it_is_put_in_force_if_it_is_whole(world: World, s3rctl: Tool) -> None:
    deploy(world)
    with having(OLD_RULE):
        answer = imported(s3rctl, "--put")
    assert answer.code == 0
    assert f"delete-bucket-replication --bucket {SOURCE}" in answer.err
    body = json.loads(world.s3.get_object(Bucket=CONTROL, Key=OBJECT_KEY)["Body"].read())
    assert [rule["ID"] for rule in body["Rules"]] == ["all"]
    world.deliver(world.put("key"))
    assert (world.versions("key", ONE), world.versions("key", TWO)) == (["content"], [])


def test_what_the_stack_cannot_do_is_not_put(world: World, s3rctl: Tool) -> None:
    deploy(world)
    before = world.s3.head_object(Bucket=CONTROL, Key=OBJECT_KEY)["VersionId"]
    with having(RULE):
        answer = imported(s3rctl, "--put")
        elsewhere = s3rctl("config", "import", "--bucket", ONE, "--put")
    assert (answer.code, elsewhere.code) == (1, 2)
    assert f"ReplicaKmsKeys={KEY}" in answer.err
    assert f"replicates from {SOURCE!r}" in elsewhere.err
    assert world.s3.head_object(Bucket=CONTROL, Key=OBJECT_KEY)["VersionId"] == before


def test_a_bucket_without_such_rules_is_told(s3rctl: Tool) -> None:
    answer = imported(s3rctl)
    assert answer.code == 1
    assert "no replication configuration of its own" in answer.err
    missing = s3rctl("config", "import", "--bucket", "no-such-bucket")
    assert missing.code == 2
    assert "NoSuchBucket" in missing.err
