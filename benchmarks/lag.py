"""How fast objects arrive, beside what the embedded AWS itself needs from S3 to a Lambda function.

``python -m benchmarks.lag`` deploys the stack into an embedded AWS of its own. The second figure is of a
function that does nothing with an event but note the time in a table: the emulator and this machine are
in both figures, the replicator only in the first.
"""

import io
import json
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import boto3
from botocore.config import Config

from local import server
from local.home import ROOT, Home
from local.server import ACCESS_KEY, REGION, SECRET_KEY
from local.stack import Stack, Wanted
from local.up import up
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.decisions.ledger import LedgerKey

SOURCE: Final = "benchmark-source"
DESTINATION: Final = "benchmark-replicas"
OBJECTS: Final = 500
BODY: Final = bytes(1024)
WRITERS: Final = 16
#: As ``samconfig.toml`` has it for the embedded AWS.
CONCURRENCY: Final = 2
PATIENCE: Final = 300.0

NOTE_THE_TIME: Final = """
import json, os, time
import boto3

table = boto3.client("dynamodb", endpoint_url=os.environ["ENDPOINT"])

def handler(event, context):
    for message in event["Records"]:
        for record in json.loads(message["body"]).get("Records", []):
            stored = record["s3"]["object"]
            table.put_item(TableName=os.environ["TABLE"], Item={
                "key": {"S": stored["key"]},
                "event": {"S": record["eventTime"]},
                "at": {"N": str(time.time())},
            })
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """``lags`` in seconds, from the time S3 wrote into the event to the record of its being dealt with;
    ``seconds`` from the first write to the last record."""

    what: str
    seconds: float
    lags: Sequence[float]

    def lag(self, share: float) -> float:
        ordered = sorted(self.lags)
        return ordered[min(round(share * len(ordered)), len(ordered) - 1)]

    def __str__(self) -> str:
        return (
            f"{self.what:<28} {len(self.lags):>5} objects {len(self.lags) / self.seconds:>6.1f} /s"
            f"   lag p50 {self.lag(0.5):>6.2f} s  p99 {self.lag(0.99):>6.2f} s"
        )


class Clients:
    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.s3: Any = self._client("s3")
        self.sqs: Any = self._client("sqs")
        self.iam: Any = self._client("iam")
        self.dynamodb: Any = self._client("dynamodb")
        self.functions: Any = self._client("lambda")

    @property
    def endpoint(self) -> str:
        return self._endpoint

    def _client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, max_pool_connections=WRITERS, s3={"addressing_style": "path"}),
        )


def replicated(stack: Stack, source: str, destination: str, prefix: str, objects: int = OBJECTS) -> Figures:
    """Of objects written at once below a prefix that the rules send to ``destination``."""
    clients = Clients(stack.endpoint)
    ledger = DynamoLedger(clients.dynamodb, stack.outputs["LedgerTableName"])
    keys = [f"{prefix}{number:05}" for number in range(objects)]
    began = time.time()
    versions = _write(clients, source, keys)
    _wait(lambda: _listed(clients, destination, prefix) >= objects, "every object has arrived")
    ends: dict[str, float] = {}
    lags: list[float] = []

    def recorded() -> bool:
        for key in keys:
            if key not in ends:
                row = ledger.history(LedgerKey(destination, key))[1].get(versions[key])
                if row is None or row.completed is None or row.event_time is None:
                    return False
                ends[key] = row.completed
                lags.append(row.completed - row.event_time)
        return True

    _wait(recorded, "every object is recorded")
    return Figures("s3-replicator", max(ends.values()) - began, lags)


def bare(stack: Stack, objects: int = OBJECTS) -> Figures:
    """The same writes, to a bucket whose events only have their time noted."""
    clients = Clients(stack.endpoint)
    with _bare_function(clients) as name:
        _write(clients, name, ["warm-up"])
        _wait(lambda: len(_noted(clients, name)) == 1, "the function has started")
        began = time.time()
        _write(clients, name, [f"{number:05}" for number in range(objects)])
        _wait(lambda: len(_noted(clients, name)) == objects + 1, "every event has been noted")
        noted = [times for key, times in _noted(clients, name).items() if key != "warm-up"]
    return Figures(
        "emulator, S3 to Lambda only",
        max(at for _, at in noted) - began,
        [at - event for event, at in noted],
    )


def _write(clients: Clients, bucket: str, keys: Sequence[str]) -> dict[str, str]:
    def put(key: str) -> str:
        return str(clients.s3.put_object(Bucket=bucket, Key=key, Body=BODY).get("VersionId"))

    with ThreadPoolExecutor(WRITERS) as writers:
        return dict(zip(keys, writers.map(put, keys), strict=True))


def _listed(clients: Clients, bucket: str, prefix: str) -> int:
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return sum(page["KeyCount"] for page in pages)


def _noted(clients: Clients, table: str) -> dict[str, tuple[float, float]]:
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=table)
    return {
        item["key"]["S"]: (_seconds(item["event"]["S"]), float(item["at"]["N"]))
        for page in pages
        for item in page["Items"]
    }


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.2)


@contextmanager
def _bare_function(clients: Clients) -> Iterator[str]:
    """A bucket, a queue, a function and a table of one name, wired as the stack's are."""
    name = f"bare-{uuid.uuid4().hex[:8]}"
    allowed = [
        {"Effect": "Allow", "Action": ["dynamodb:PutItem", "sqs:*", "logs:*"], "Resource": "*"},
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))["Role"]["Arn"]
    clients.iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_policy(allowed))
    clients.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
    )
    url = clients.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "360"})["QueueUrl"]
    queue = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    notifying = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    clients.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy([notifying])})
    clients.functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": _zipped(NOTE_THE_TIME)},
        Timeout=60,
        MemorySize=512,
        Environment={"Variables": {"ENDPOINT": clients.endpoint, "TABLE": name}},
    )
    mapping = clients.functions.create_event_source_mapping(
        FunctionName=name,
        EventSourceArn=queue,
        BatchSize=10,
        ScalingConfig={"MaximumConcurrency": CONCURRENCY},
    )["UUID"]
    clients.s3.create_bucket(Bucket=name)
    clients.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    clients.s3.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    try:
        yield name
    finally:
        clients.functions.delete_event_source_mapping(UUID=mapping)
        clients.functions.delete_function(FunctionName=name)
        clients.sqs.delete_queue(QueueUrl=url)


def _policy(statements: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _zipped(source: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("app.py", source)
    return held.getvalue()


def main() -> int:
    home = Home(ROOT / ".local/benchmark")
    server.stop(home)
    try:
        stack = up(home, Wanted(source=SOURCE, destinations=(DESTINATION,)), port=server.free_port())
        replicated(stack, SOURCE, DESTINATION, "warm-up/", objects=20)
        print(replicated(stack, SOURCE, DESTINATION, "measured/"))
        print(bare(stack))
    finally:
        server.stop(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
