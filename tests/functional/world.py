"""A small world around the real handlers: buckets, queues and a ledger, and S3's notifications.

A test writes to the source, which makes events as S3 would; it delivers them when and how it likes, and
looks at the destinations.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote_plus

import boto3
import pytest

import functions.backfill.app
import functions.replicate.app
import functions.replicate_large.app
import functions.retry.app
import functions.survey.app
from s3replicator.adapters.ledger import INDEX, DynamoLedger
from s3replicator.adapters.runtime import SystemDice
from s3replicator.decisions.configuration import OBJECT_KEY
from s3replicator.decisions.findings import Finding
from s3replicator.decisions.ledger import Head, LedgerKey, Row
from s3replicator.decisions.replication_document import default_document
from s3replicator.usecases.check_request import CheckRequest
from tests.functional.moto_annotations import annotate_as_s3_does
from tests.functional.moto_furniture import Furniture, put_aside, set_up
from tests.functional.moto_notifications import notify_as_s3_does
from tests.functional.moto_tags import tag_as_s3_does
from tests.functional.recorder import ApiCall, Recording, recording

SOURCE: Final = "source-bucket"
DESTINATIONS: Final = {"replica-one": "us-east-1", "replica-two": "eu-west-1"}
ONE, TWO = DESTINATIONS
CONTROL: Final = "control-bucket"
TABLE: Final = "ledger"

HANDLERS: Final = {
    "replicate": functions.replicate.app,
    "replicate_large": functions.replicate_large.app,
    "retry": functions.retry.app,
    "survey": functions.survey.app,
    "backfill": functions.backfill.app,
}

#: Seconds a function may run, as in template.yaml.
TIMEOUTS: Final = {"replicate": 60.0, "replicate_large": 900.0, "retry": 300.0}

Event = dict[str, Any]


@dataclass
class Context:
    """What Lambda hands to a handler."""

    seconds: float = 60
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Delivery:
    """The answer of a handler: ``failed`` are the positions of the messages that must come again."""

    failed: list[int]
    recording: Recording


@dataclass(frozen=True)
class _Function:
    """A function that is called and answers."""

    world: "World"
    name: str
    then: Callable[[], object] = lambda: None

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        with recording() as recorded:
            answer: dict[str, Any] = HANDLERS[self.name].handler(dict(event), Context(TIMEOUTS[self.name]))
        self.world.calls[self.name] += recorded.calls
        self.then()
        return answer


@cache
def _furniture() -> Furniture:
    """What is in each world from the start: its buckets and its ledger."""
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
    for name in (SOURCE, CONTROL, *DESTINATIONS):
        region = DESTINATIONS.get(name, "us-east-1")
        where: Any = (
            {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, **where)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "open", "AttributeType": "S"},
            {"AttributeName": "due", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "open", "KeyType": "HASH"},
                    {"AttributeName": "due", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return put_aside()


@dataclass
class World:
    monkeypatch: pytest.MonkeyPatch
    s3: Any = field(init=False)
    sqs: Any = field(init=False)
    dynamodb: Any = field(init=False)
    ledger: DynamoLedger = field(init=False)
    queues: dict[str, str] = field(init=False)
    #: What each function has asked of AWS so far.
    calls: dict[str, list[ApiCall]] = field(default_factory=lambda: defaultdict(list))
    sequence: int = 0x0055AED6DCD90281E5

    def __post_init__(self) -> None:
        annotate_as_s3_does(self.monkeypatch)
        notify_as_s3_does(self.monkeypatch)
        tag_as_s3_does(self.monkeypatch)
        self.s3, self.sqs, self.dynamodb = (boto3.client(name) for name in ("s3", "sqs", "dynamodb"))
        set_up(_furniture())
        self.ledger = DynamoLedger(self.dynamodb, TABLE)
        self.queues = {
            name: self.sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("ingest", "large", "dead-letter", "parked")
        }
        self.configure(default_document({name: f"arn:aws:s3:::{name}" for name in DESTINATIONS}))
        self.settings()

    def settings(self, **changed: str) -> None:
        """Give the functions their environment, and forget what they know."""
        values = {
            "AWS_REGION": "us-east-1",
            "SOURCE_BUCKET": SOURCE,
            "DESTINATIONS": ",".join(f"{name}:{region}" for name, region in DESTINATIONS.items()),
            "LEDGER_TABLE": TABLE,
            "CONTROL_BUCKET": CONTROL,
            "INGEST_QUEUE_URL": self.queues["ingest"],
            "LARGE_QUEUE_URL": self.queues["large"],
            "DEAD_LETTER_QUEUE_URL": self.queues["dead-letter"],
            "PARKED_QUEUE_URL": self.queues["parked"],
            "LEASE_GRACE_SECONDS": "5",
            "CONFIGURATION_CACHE_SECONDS": "1",
            "DEFER_SECONDS": "1",
            "RETRY_BASE_SECONDS": "1",
            "RETRY_MAXIMUM_SECONDS": "5",
            "RETRY_MAXIMUM_ATTEMPTS": "3",
            **changed,
        }
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)
        for app in HANDLERS.values():
            app.function.cache_clear()

    # -- the operator

    def configure(self, document: Mapping[str, Any]) -> None:
        self.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=json.dumps(document))

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """Put rules in force; each says what differs from "everything to the first destination"."""
        self.configure(
            {
                "Rules": [
                    {
                        "ID": f"rule-{number}",
                        "Priority": number,
                        "Filter": {},
                        "Status": "Enabled",
                        "DeleteMarkerReplication": {"Status": "Disabled"},
                        "Destination": {"Bucket": f"arn:aws:s3:::{ONE}"},
                        **rule,
                    }
                    for number, rule in enumerate(rules, start=1)
                ]
            }
        )

    # -- the source

    def put(self, key: str, body: bytes = b"content", **arguments: Any) -> Event:
        answer = self.s3.put_object(Bucket=SOURCE, Key=key, Body=body, **arguments)
        version_id = answer.get("VersionId", "null")
        return self.event("ObjectCreated:Put", key, version_id, etag=answer["ETag"])

    def put_parts(self, key: str, parts: Iterable[bytes], **arguments: Any) -> Event:
        """A multipart upload."""
        upload = self.s3.create_multipart_upload(Bucket=SOURCE, Key=key, **arguments)
        named = {"Bucket": SOURCE, "Key": key, "UploadId": upload["UploadId"]}
        done = [
            {
                "PartNumber": number,
                "ETag": self.s3.upload_part(PartNumber=number, Body=part, **named)["ETag"],
            }
            for number, part in enumerate(parts, start=1)
        ]
        answer = self.s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **named)
        name = "ObjectCreated:CompleteMultipartUpload"
        return self.event(name, key, answer["VersionId"], etag=answer["ETag"])

    def mark(self, key: str) -> Event:
        """A delete without a version id: a delete marker."""
        answer = self.s3.delete_object(Bucket=SOURCE, Key=key)
        return self.event("ObjectRemoved:DeleteMarkerCreated", key, answer["VersionId"])

    def purge(self, event: Event) -> Event:
        """Delete the version of an event for good."""
        key, version_id = self.key_of(event), self.version_of(event)
        self.s3.delete_object(Bucket=SOURCE, Key=key, VersionId=version_id)
        return self.event("ObjectRemoved:Delete", key, version_id)

    def tag(self, event: Event, **tags: str) -> Event:
        """Give the version of an event these tags, and no others."""
        key, version_id = self.key_of(event), self.version_of(event)
        tagging = {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
        self.s3.put_object_tagging(Bucket=SOURCE, Key=key, VersionId=version_id, Tagging=tagging)
        return self._unordered("ObjectTagging:Put", key, version_id)

    def annotate(self, event: Event, **annotations: str | None) -> Event:
        """Put these annotations on the version of an event, or take away what is None; of the last of them
        the answer tells."""
        key, version_id = self.key_of(event), self.version_of(event)
        named = {"Bucket": SOURCE, "Key": key, "VersionId": version_id}
        how = "Put"
        for name, payload in annotations.items():
            if payload is None:
                self.s3.delete_object_annotation(**named, AnnotationName=name)
            else:
                self.s3.put_object_annotation(
                    **named, AnnotationName=name, AnnotationPayload=payload.encode()
                )
            how = "Delete" if payload is None else "Put"
        return self._unordered(f"ObjectAnnotation:{how}", key, version_id)

    def retain(self, event: Event, until: datetime, mode: str = "GOVERNANCE") -> Event:
        """Nobody is kept from setting it as they like."""
        key, version_id = self.key_of(event), self.version_of(event)
        self.s3.put_object_retention(
            Bucket=SOURCE,
            Key=key,
            VersionId=version_id,
            Retention={"Mode": mode, "RetainUntilDate": until},
            BypassGovernanceRetention=True,
        )
        return self._unordered("ObjectRetention:Put", key, version_id)

    def _unordered(self, name: str, key: str, version_id: str) -> Event:
        event = self.event(name, key, version_id)
        del event["Records"][0]["s3"]["object"]["sequencer"]
        return event

    @staticmethod
    def key_of(event: Event) -> str:
        return str(event["key"])

    @staticmethod
    def version_of(event: Event) -> str:
        return str(event["Records"][0]["s3"]["object"]["versionId"])

    def event(self, name: str, key: str, version_id: str, etag: str = "") -> Event:
        self.sequence += 0x11
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": now,
            "eventName": name,
            "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": SOURCE, "arn": f"arn:aws:s3:::{SOURCE}"},
                "object": {
                    "key": quote_plus(key),
                    "versionId": version_id,
                    "eTag": etag.strip('"'),
                    "sequencer": f"{self.sequence:018X}",
                },
            },
        }
        return {"Records": [record], "key": key}

    # -- the functions

    def deliver(
        self, *bodies: Event | str, to: str = "replicate", seconds: float | None = None, received: int = 1
    ) -> Delivery:
        """One batch of messages, as the event source hands it to a function."""
        records = [
            {
                "messageId": str(index),
                "receiptHandle": f"receipt-{uuid.uuid4()}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(received)},
                "eventSource": "aws:sqs",
            }
            for index, body in enumerate(bodies)
        ]
        with recording() as recorded:
            answer = HANDLERS[to].handler({"Records": records}, Context(seconds or TIMEOUTS[to]))
        self.calls[to] += recorded.calls
        failed = [int(entry["itemIdentifier"]) for entry in answer["batchItemFailures"]]
        return Delivery(failed, recorded)

    def invoke(self, event: Any, to: str = "replicate") -> Recording:
        """A bare invocation."""
        with recording() as recorded:
            HANDLERS[to].handler(event, Context(TIMEOUTS[to]))
        self.calls[to] += recorded.calls
        return recorded

    def drain(self) -> None:
        """Let the other functions work until their queues are empty."""
        for _ in range(50):
            moved = [
                self.deliver(*bodies, to=function)
                for queue, function in (("large", "replicate_large"), ("dead-letter", "retry"))
                if (bodies := self.take(queue))
            ]
            if not moved:
                return
        raise AssertionError("the queues do not run dry")

    def take(self, queue: str) -> list[str]:
        """Receive, and delete, what waits in a queue."""
        return [message["Body"] for message in self.messages(queue)]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.queues[queue],
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                self.sqs.delete_message(QueueUrl=self.queues[queue], ReceiptHandle=message["ReceiptHandle"])
                found.append(message)

    def sweep(self) -> None:
        self.invoke({"sweep": True}, to="retry")

    def settle(self, key: str, **asked: Any) -> dict[str, Any]:
        """By hand, as s3rctl asks for it."""
        event = {"settle": {"bucket": SOURCE, "key": key, **asked}}
        with recording() as recorded:
            answer: dict[str, Any] = HANDLERS["retry"].handler(event, Context(TIMEOUTS["retry"]))
        self.calls["retry"] += recorded.calls
        return answer

    def check(self, between: Callable[[], object] = lambda: None) -> list[Finding]:
        """As s3rctl and the deployment ask for it. ``between`` happens after the probes have been written."""
        writer, remover = _Function(self, "replicate", between), _Function(self, "retry")
        return CheckRequest(writer, remover, SystemDice()).run()

    # -- what is so

    def versions(self, key: str, bucket: str = ONE) -> list[str]:
        """What a bucket holds of a key, newest first: contents, and "marker" for a delete marker."""
        answer = self.s3.list_object_versions(Bucket=bucket, Prefix=key)
        entries = [(v, "version") for v in answer.get("Versions", []) if v["Key"] == key]
        entries += [(m, "marker") for m in answer.get("DeleteMarkers", []) if m["Key"] == key]
        entries.sort(key=lambda entry: (entry[0]["IsLatest"], entry[0]["LastModified"]), reverse=True)
        return [
            kind if kind == "marker" else self.content(key, bucket, entry["VersionId"])
            for entry, kind in entries
        ]

    def content(self, key: str, bucket: str = ONE, version_id: str | None = None) -> str:
        which = {"VersionId": version_id} if version_id else {}
        return str(self.s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read().decode())

    def tags(self, key: str, version_id: str, bucket: str = ONE) -> dict[str, str]:
        answer = self.s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version_id)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def annotations(self, key: str, version_id: str, bucket: str = ONE) -> dict[str, str]:
        named = {"Bucket": bucket, "Key": key, "VersionId": version_id}
        listed = self.s3.list_object_annotations(**named)["Annotations"]
        return {
            name: self.s3.get_object_annotation(**named, AnnotationName=name)["AnnotationPayload"]
            .read()
            .decode()
            for name in (one["AnnotationName"] for one in listed)
        }

    def head(self, key: str, bucket: str = ONE) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.head_object(Bucket=bucket, Key=key)
        return answer

    def ledger_head(self, key: str, bucket: str = ONE) -> Head:
        head, _ = self.ledger.history(LedgerKey(bucket, key))
        assert head is not None, f"the ledger knows nothing of {key} at {bucket}"
        return head

    def rows(self, key: str, bucket: str = ONE) -> list[Row]:
        """Every row of a key, oldest event first."""
        _, rows = self.ledger.history(LedgerKey(bucket, key))
        return sorted(rows.values(), key=lambda row: row.order.sequencer or "")

    def row(self, key: str, bucket: str = ONE) -> Row:
        [row] = self.rows(key, bucket)
        return row

    def at_rest(self, key: str, bucket: str = ONE) -> bool:
        head = self.ledger_head(key, bucket)
        return head.lease is None and head.clean

    def open_uploads(self, bucket: str = ONE) -> int:
        return len(self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    def parked(self) -> list[dict[str, Any]]:
        """What operators find: the added information of each parked record."""
        bodies = [json.loads(body) for body in self.take("parked")]
        return [record["s3replicator"] for body in bodies for record in body["Records"]]
