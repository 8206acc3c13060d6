"""The deployed stack as its users see it: buckets, queues and the ledger, and words to speak of them."""

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb.client import DynamoDBClient
from mypy_boto3_iam.client import IAMClient
from mypy_boto3_lambda.client import LambdaClient
from mypy_boto3_s3.client import S3Client
from mypy_boto3_sqs.client import SQSClient

from local.server import ACCESS_KEY, REGION, SECRET_KEY
from local.stack import BIN, Stack
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.adapters.ledger_items import head_item
from s3replicator.adapters.s3_listing import keep_order, versions_of
from s3replicator.decisions.ledger import Head, LedgerKey, Row, Status
from s3replicator.decisions.stamp import without_stamp
from s3replicator.decisions.versions import Kind, ListedVersion

SOURCE: Final = "e2e-source"
NEAR: Final = "e2e-near"
FAR: Final = "e2e-far"
#: Tests take permissions and versioning away from this one.
FRAGILE: Final = "e2e-fragile"
#: And delete this one.
DOOMED: Final = "e2e-doomed"
DESTINATIONS: Final = (NEAR, f"{FAR}:eu-west-1", FRAGILE, DOOMED)

#: Of the stack whose functions reach AWS through the proxy.
PROXIED_SOURCE: Final = "e2e-proxied-source"
PROXIED_REPLICAS: Final = "e2e-proxied-replicas"
PROXIED_PARAMETERS: Final = {"LeaseGraceSeconds": "1", "RetryMaximumAttempts": "30"}

#: More deletes of versions than any test makes.
MANY: Final = 1_000_000

#: What the stack is deployed with.
CACHE_SECONDS: Final = 2

#: How long a test waits for what has to come, in seconds. It takes a moment, or six minutes if the function
#: that had its message was ended; what has not come after this is not slow, but does not come.
PATIENCE: Final = 600.0

T = TypeVar("T")
Record = dict[str, Any]
Rule = dict[str, Any]


def rule(
    prefix: str | None,
    destination: str,
    *,
    markers: bool = True,
    tags: Mapping[str, str] | None = None,
    storage_class: str | None = None,
    enabled: bool = True,
    version_deletes: bool = False,
) -> Rule:
    """One rule as Amazon S3 spells it, without its ID and Priority."""
    listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    chosen: dict[str, Any]
    if prefix is None:
        [tag] = listed
        chosen = {"Tag": tag}
    elif listed:
        chosen = {"And": {"Prefix": prefix, "Tags": listed}}
    else:
        chosen = {"Prefix": prefix}
    target = {"Bucket": f"arn:aws:s3:::{destination}"}
    if storage_class is not None:
        target["StorageClass"] = storage_class
    extensions: Rule = (
        {"VersionDeletes": {"Status": "Enabled", "MaxPerHour": MANY}} if version_deletes else {}
    )
    return {
        "Filter": chosen,
        "Status": "Enabled" if enabled else "Disabled",
        "DeleteMarkerReplication": {"Status": "Enabled" if markers else "Disabled"},
        "Destination": target,
        **({"Extensions": extensions} if extensions else {}),
    }


def configuration(rules: Iterable[Rule]) -> dict[str, Any]:
    """Later rules win."""
    return {
        "Rules": [{"ID": f"rule-{number}", "Priority": number, **one} for number, one in enumerate(rules)]
    }


#: What is in force in every test; keys below no prefix of these are not replicated.
RULES: Final = (
    rule("one/", NEAR),
    rule("both/", NEAR),
    rule("both/", FAR),
    rule("kept/", NEAR, markers=False),
    rule("tagged/", NEAR, markers=False, tags={"k1": "v1"}),
    rule("judged/xyz", NEAR),
    rule("judged/xy", NEAR, markers=False, tags={"k1": "v1"}),
    rule("class/", NEAR, storage_class="GLACIER_IR"),
    rule("class/", NEAR, storage_class="STANDARD_IA"),
    rule("off/", NEAR, enabled=False),
    rule("risky/", NEAR),
    rule("risky/", FRAGILE),
    rule("doomed/", NEAR),
    rule("doomed/", DOOMED),
)

PROXIED_RULES: Final = (rule("", PROXIED_REPLICAS), rule("purged/", PROXIED_REPLICAS, version_deletes=True))


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Poll until the condition is true, and return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {result!r}")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Contents:
    """All of an object version that replication promises to keep; the stamp is left out."""

    size: int
    sha256: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    storage_class: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A parked message. ``body`` is what ``text`` says, if it is JSON."""

    text: str
    attributes: Mapping[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def reason(self) -> str:
        return self.attributes["reason"]


class World:
    """A deployed stack, and a part of every lane's prefix that no other test writes to."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.source = stack.outputs["SourceBucketName"]
        self.name = uuid.uuid4().hex[:8]
        self.s3: S3Client = self.client("s3")
        self.sqs: SQSClient = self.client("sqs")
        self.dynamodb: DynamoDBClient = self.client("dynamodb")
        self.functions: LambdaClient = self.client("lambda")
        self.iam: IAMClient = self.client("iam")
        self.ledger = DynamoLedger(self.dynamodb, stack.outputs["LedgerTableName"])
        keep_order(self.s3)

    def client(self, service: Any, **credentials: str) -> Any:
        """Without ``credentials`` root's: it may do anything."""
        root = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        # The stubs know a service by its literal name only.
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.stack.endpoint,
            region_name=REGION,
            **(credentials or root),
            config=Config(
                proxies={},
                max_pool_connections=32,
                # Longer than any function may run: a request that is given up is sent again.
                read_timeout=900,
                # What the user did not ask for must not be in the source.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

    def folder(self, lane: str) -> str:
        """A prefix below ``lane`` that is this test's alone."""
        return f"{lane}/{self.name}/"

    # -- the source

    def put(self, key: str, body: bytes = b"", **attributes: Any) -> str:
        """Returns the version id."""
        return self.s3.put_object(Bucket=self.source, Key=key, Body=body, **attributes)["VersionId"]

    def delete(self, key: str) -> str:
        """Returns the version id of the delete marker."""
        return self.s3.delete_object(Bucket=self.source, Key=key)["VersionId"]

    def put_parts(self, key: str, parts: Sequence[bytes | memoryview], **attributes: Any) -> str:
        """A multipart upload; returns the version id."""
        upload = self.s3.create_multipart_upload(Bucket=self.source, Key=key, **attributes)["UploadId"]
        etags = [
            self.s3.upload_part(
                Bucket=self.source, Key=key, UploadId=upload, PartNumber=number, Body=bytes(part)
            )["ETag"]
            for number, part in enumerate(parts, start=1)
        ]
        answer = self.s3.complete_multipart_upload(
            Bucket=self.source,
            Key=key,
            UploadId=upload,
            MultipartUpload={
                "Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
            },
        )
        return answer["VersionId"]

    def set_versioning(self, bucket: str, status: Literal["Enabled", "Suspended"]) -> None:
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    # -- any bucket

    def versions(self, bucket: str, key: str) -> Sequence[ListedVersion]:
        """Versions and delete markers of exactly this key, newest first."""
        return versions_of(self.s3, {"Bucket": bucket}, key)

    def current(self, bucket: str, key: str) -> ListedVersion | None:
        return next(iter(self.versions(bucket, key)), None)

    def is_hidden(self, bucket: str, key: str) -> bool:
        """Whether a reader without a version id is told that there is no such key."""
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            return error.response["Error"]["Code"] == "404"
        return False

    def read(self, bucket: str, key: str, version_id: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key, VersionId=version_id)["Body"].read()

    def contents(self, bucket: str, key: str, version_id: str) -> Contents:
        answer = self.s3.get_object(Bucket=bucket, Key=key, VersionId=version_id)
        digest, size = sha256(), 0
        for chunk in answer["Body"].iter_chunks(1 << 20):
            digest.update(chunk)
            size += len(chunk)
        sent = answer["ResponseMetadata"]["HTTPHeaders"]
        tags = self.s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version_id)["TagSet"]
        return Contents(
            size=size,
            sha256=digest.hexdigest(),
            headers={name: sent[name] for name in _KEPT_HEADERS if name in sent},
            metadata=without_stamp(answer["Metadata"]),
            tags={tag["Key"]: tag["Value"] for tag in tags},
            storage_class=answer.get("StorageClass", "STANDARD"),
        )

    def make_bucket(self, name: str, **attributes: Any) -> None:
        """A versioned one."""
        self.s3.create_bucket(Bucket=name, **attributes)
        self.set_versioning(name, "Enabled")

    def empty(self, bucket: str) -> None:
        """Remove every version, so that the bucket could be deleted."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for page in pages:
            for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                self.s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])

    # -- the ledger

    def rows(self, destination: str, key: str) -> Mapping[str, Row]:
        """By source version id."""
        return self.ledger.history(LedgerKey(destination, key))[1]

    def head(self, destination: str, key: str) -> Head | None:
        return self.ledger.history(LedgerKey(destination, key))[0]

    def settles(self, destination: str, key: str) -> Head:
        """Wait until nobody works on the key, and nothing about it is in doubt."""

        def settled() -> Head | None:
            head = self.head(destination, key)
            return head if head is not None and head.clean and head.lease is None else None

        return _certain(wait_until(settled, f"{key!r} is settled at {destination}"))

    def write_head(self, destination: str, key: str, head: Head) -> None:
        """As a worker that died has left it."""
        self.dynamodb.put_item(
            TableName=self.stack.outputs["LedgerTableName"],
            Item=head_item(LedgerKey(destination, key), head),
        )

    def ends(
        self,
        destination: str,
        key: str,
        version_id: str,
        status: Status = Status.COMPLETED,
        seconds: float = PATIENCE,
    ) -> Row:
        """Wait until the version has this status at the destination."""

        def row() -> Row | None:
            found = self.rows(destination, key).get(version_id)
            return found if found is not None and found.status is status else None

        try:
            return _certain(wait_until(row, f"{key!r} is {status} at {destination}", seconds))
        except AssertionError as error:
            found = self.rows(destination, key).get(version_id)
            letters = [letter.attributes for letter in self.parked()]
            raise AssertionError(f"{error}; the ledger: {found}; parked: {letters}") from None

    def arrives(self, destination: str, key: str, version_id: str, seconds: float = PATIENCE) -> str:
        """Wait for the replica, and return its version id."""
        return _certain(self.ends(destination, key, version_id, seconds=seconds).replica)

    def arrives_exactly(self, destination: str, key: str, version_id: str) -> str:
        """Wait for the replica, and compare it with its source in all that we promise."""
        replica = self.arrives(destination, key, version_id)
        assert self.contents(destination, key, replica) == self.contents(self.source, key, version_id)
        return replica

    # -- queues

    def send(self, *records: Record) -> None:
        """One message with these records, as S3 or an operator would send it to the ingest queue."""
        self.send_text(json.dumps({"Records": list(records)}))

    def send_text(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.stack.outputs["IngestQueueUrl"], MessageBody=body)

    def send_together(self, bodies: Sequence[str]) -> None:
        """Up to ten messages at once, so that one worker is likely to get them all."""
        answer = self.sqs.send_message_batch(
            QueueUrl=self.stack.outputs["IngestQueueUrl"],
            Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)],
        )
        assert not answer.get("Failed")

    def is_quiet(self) -> bool:
        """Nothing waits, is delayed or is being worked on."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        for queue in ("IngestQueueUrl", "LargeQueueUrl", "DeadLetterQueueUrl"):
            url = self.stack.outputs[queue]
            told: Mapping[Any, str] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
                "Attributes"
            ]
            if any(told.get(name, "0") != "0" for name in names):
                return False
        return True

    def becomes_quiet(self, seconds: float = PATIENCE) -> None:
        wait_until(self.is_quiet, "all queues are empty", seconds)

    def parked(self, folder: str | None = None) -> list[Letter]:
        """What is parked, about keys below ``folder`` if one is given; it stays parked."""
        url = self.stack.outputs["ParkedQueueUrl"]
        taken = list(self._receive(url))
        for message in taken:
            self.sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        letters = [
            Letter(
                message["Body"],
                {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
            )
            for message in taken
        ]
        return [letter for letter in letters if folder is None or _is_about(letter.text, folder)]

    def is_parked(self, folder: str, count: int = 1) -> list[Letter]:
        """Wait for exactly this many letters about keys below the folder."""

        def enough() -> list[Letter] | None:
            letters = self.parked(folder)
            return letters if len(letters) >= count else None

        letters = _certain(wait_until(enough, f"{count} parked below {folder}"))
        assert len(letters) == count
        return letters

    def clear_parked(self) -> None:
        url = self.stack.outputs["ParkedQueueUrl"]
        for message in self._receive(url):
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _receive(self, url: str) -> Iterator[Any]:
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                # None comes twice, however long it takes to receive them all.
                VisibilityTimeout=600,
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            yield from messages
            if not messages:
                return

    @contextmanager
    def notifications_held_back(self) -> Iterator[Callable[[str, int], list[Record]]]:
        """Nothing is replicated meanwhile. Yields how to take a number of records about keys below a
        folder out of the ingest queue, in the order in which S3 made them.
        """
        [mapping] = self.functions.list_event_source_mappings(
            FunctionName=self.stack.outputs["ReplicateFunctionName"]
        )["EventSourceMappings"]
        name = mapping["UUID"]
        self.functions.update_event_source_mapping(UUID=name, Enabled=False)
        try:
            wait_until(
                lambda: self.functions.get_event_source_mapping(UUID=name)["State"] == "Disabled",
                "the ingest queue is not read",
            )
            yield self._take
        finally:
            self.functions.update_event_source_mapping(UUID=name, Enabled=True)

    def _take(self, folder: str, count: int) -> list[Record]:
        url = self.stack.outputs["IngestQueueUrl"]
        taken: list[Record] = []

        def enough() -> bool:
            for message in list(self._receive(url)):
                if _is_about(message["Body"], folder):
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    taken.extend(json.loads(message["Body"])["Records"])
                else:
                    self.sqs.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                    )
            return len(taken) >= count

        wait_until(enough, f"S3 has sent {count} records about {folder}")
        assert len(taken) == count
        return sorted(taken, key=lambda record: str(record["s3"]["object"].get("sequencer")))

    def invoke(self, output: str, event: Any) -> Any:
        """Call a function as the console would; returns its answer."""
        answer = self.functions.invoke(
            FunctionName=self.stack.outputs[output], Payload=json.dumps(event).encode()
        )
        said = answer["Payload"].read().decode()
        assert not answer.get("FunctionError"), said
        return json.loads(said)

    def settle(self, key: str) -> list[dict[str, Any]]:
        """As ``s3rctl`` does it for one key; returns what came of it, once nobody else held the key."""

        def done() -> dict[str, Any] | None:
            asked = {"bucket": self.source, "key": key, "restoreLost": False, "purge": False}
            report: dict[str, Any] = self.invoke("RetryFunctionName", {"settle": asked})
            return None if report["busy"] else report

        outcomes: list[dict[str, Any]] = _certain(wait_until(done, f"{key!r} is settled by hand"))["outcomes"]
        return outcomes

    def sweep(self) -> None:
        """What the schedule does once a minute, now."""
        self.invoke("RetryFunctionName", {"sweep": True})

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """The schedule's sweep, once a second."""
        ended = threading.Event()

        def sweep() -> None:
            while not ended.wait(1.0):
                self.sweep()

        with ThreadPoolExecutor(1) as threads:
            sweeps = threads.submit(sweep)
            try:
                yield
            finally:
                ended.set()
            sweeps.result()

    # -- the operator

    def s3rctl(self, *arguments: str, code: int = 0) -> str:
        """Run the real tool; returns what it printed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [BIN / "s3rctl", *arguments],
            env={**environment, **self.stack.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def configure(self, rules: Iterable[Rule]) -> None:
        """Returns when every function works by these rules."""
        self.s3.put_object(
            Bucket=self.stack.outputs["ControlBucketName"],
            Key=self.stack.outputs["ConfigurationUri"].rpartition("/")[2],
            Body=json.dumps(configuration(rules)).encode(),
        )
        # No function keeps the one before for longer; nothing tells when the last has let go of it. One that
        # was reading it just then counts from the end of that.
        time.sleep(CACHE_SECONDS + 1)

    @contextmanager
    def also(self, *rules: Rule) -> Iterator[None]:
        """Further rules for a while, stronger than the others."""
        self.configure([*RULES, *rules])
        try:
            yield
        finally:
            self.configure(RULES)

    @contextmanager
    def denied(self, bucket: str, folder: str, *actions: str) -> Iterator[None]:
        """The bucket's owner denies these actions to everybody, below the folder."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": list(actions),
                    "Resource": f"arn:aws:s3:::{bucket}/{folder}*",
                }
            ],
        }
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        try:
            yield
        finally:
            self.s3.delete_bucket_policy(Bucket=bucket)

    @contextmanager
    def without_permission(self, action: str) -> Iterator[None]:
        """The role of ``replicate`` as it would be if the template did not have this action."""
        role = self.role_of("ReplicateFunctionName")
        [policy] = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        written: Any = self.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        before = json.dumps(written)
        for statement in written["Statement"]:
            listed = statement["Action"]
            listed = [listed] if isinstance(listed, str) else listed
            statement["Action"] = [one for one in listed if one != action]
        written["Statement"] = [one for one in written["Statement"] if one["Action"]]
        assert json.dumps(written) != before, f"{role} has no {action}"
        self.iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(written))
        try:
            yield
        finally:
            self.iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=before)

    def role_of(self, output: str) -> str:
        function = self.stack.outputs[output]
        role = self.functions.get_function_configuration(FunctionName=function)["Role"]
        return role.rpartition("/")[2]

    # -- what must be true of a key once it is quiet

    def converges(self, destination: str, key: str, seconds: float = PATIENCE) -> None:
        """Wait until every version at the source has arrived and the key is at rest; then look whether the
        two sides agree. A delete marker that came late is left out.
        """

        def arrived() -> bool:
            head, rows = self.head(destination, key), self.rows(destination, key)
            listed = self.versions(self.source, key)
            at_rest = head is not None and head.clean and head.lease is None
            return at_rest and all(
                version.version_id in rows and _is_done(rows[version.version_id]) for version in listed
            )

        wait_until(arrived, f"every version of {key!r} has arrived at {destination}", seconds)
        self._agree(destination, key)

    def _agree(self, destination: str, key: str) -> None:
        source, replicas = self.versions(self.source, key), self.versions(destination, key)
        rows = self.rows(destination, key)
        assert rows.keys() == {version.version_id for version in source}
        wanted = [
            _certain(rows[version.version_id].replica)
            for version in source
            if rows[version.version_id].status is Status.COMPLETED
        ]
        # Once each, in the order of the source, nothing else beside them, and the newest on top.
        assert [replica.version_id for replica in replicas] == wanted
        assert wanted[0] == rows[source[0].version_id].replica
        assert replicas[0].kind is source[0].kind
        if source[0].kind is Kind.OBJECT:
            assert self.read(destination, key, wanted[0]) == self.read(self.source, key, source[0].version_id)


_KEPT_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
)


def _is_done(row: Row) -> bool:
    late_marker = row.status is Status.SUPERSEDED and row.kind is Kind.MARKER
    return row.status is Status.COMPLETED or late_marker


def _is_about(body: str, folder: str) -> bool:
    try:
        records = json.loads(body)["Records"]
        keys = [unquote_plus(record["s3"]["object"]["key"]) for record in records]
    except (ValueError, KeyError, TypeError):
        return folder in body
    return any(key.startswith(folder) for key in keys)


def _certain(value: T | None) -> T:
    assert value is not None
    return value
