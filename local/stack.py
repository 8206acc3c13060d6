"""Deploys the real template into the emulator with the real sam, and says what came of it."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_cloudformation.client import CloudFormationClient
from mypy_boto3_s3.client import S3Client
from mypy_boto3_s3.literals import BucketLocationConstraintType

from local.home import ROOT, Home, LocalError, Progress
from local.server import ACCESS_KEY, REGION, SECRET_KEY, Server

STACK_NAME: Final = "s3-replicator"
BIN: Final = Path(sys.executable).parent
TAIL_LINES: Final = 20
# What sam says while it succeeds or fails is kept; more than a deployment ever takes.
SAM_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to replicate: names of buckets, each destination ``bucket`` or ``bucket:region``."""

    source: str = "source-bucket"
    destinations: tuple[str, ...] = ("replica-bucket", "replica-bucket-eu:eu-west-1")
    configuration: Path | None = None
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack and how to reach it."""

    endpoint: str
    outputs: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What any AWS tool needs to see in its environment; root's credentials."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "STACK_NAME": STACK_NAME,
        }


def deploy(home: Home, server: Server, wanted: Wanted, progress: Progress) -> Stack:
    """Make the buckets, build, deploy, and put the configuration in force if one is given."""
    bare = Stack(server.endpoint, outputs={})
    for name in (wanted.source, *wanted.destinations):
        if _make_bucket(server, name):
            progress.say(f"made bucket {name}")

    home.deploy_log.write_text("")
    progress.say("sam build")
    settings = ("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local")
    folders = ("--build-dir", str(home.build), "--cache-dir", str(home.cache))
    _run(home, bare, "sam", "build", *settings, *folders)
    progress.say("sam deploy")
    parameters = _parameters(server, wanted)
    overrides = (f"{name}={value}" for name, value in parameters.items())
    template = ("--template-file", str(home.build / "template.yaml"))
    try:
        _run(home, bare, "sam", "deploy", *settings, *template, "--parameter-overrides", *overrides)
    except LocalError as error:
        reasons = "\n".join(_failures(home, server))
        raise LocalError(f"{error}\n{reasons}") from error

    stack = Stack(server.endpoint, _outputs(server))
    home.outputs.write_text(json.dumps(stack.outputs, indent=2, sort_keys=True) + "\n")
    home.environment.write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in stack.environment.items())
    )
    variables = {"Parameters": _function_variables(stack)}
    home.function_variables.write_text(json.dumps(variables, indent=2, sort_keys=True) + "\n")
    if wanted.configuration is not None:
        progress.say(f"s3rctl config put {wanted.configuration}")
        _run(home, stack, "s3rctl", "config", "put", str(wanted.configuration.resolve()))
        # A function that read the one before keeps it no longer than this.
        time.sleep(float(parameters["ConfigurationCacheSeconds"]) + 0.5)
    return stack


def _function_variables(stack: Stack) -> dict[str, str]:
    """What ``sam local invoke`` cannot know of the functions' environment: names made at deployment, and
    this machine as a container sees it."""
    return {
        "AWS_ENDPOINT_URL": stack.endpoint.replace("127.0.0.1", "host.docker.internal"),
        "SOURCE_BUCKET": stack.outputs["SourceBucketName"],
        "DESTINATIONS": stack.outputs["DestinationBuckets"],
        "LEDGER_TABLE": stack.outputs["LedgerTableName"],
        "CONTROL_BUCKET": stack.outputs["ControlBucketName"],
        "INGEST_QUEUE_URL": stack.outputs["IngestQueueUrl"],
        "LARGE_QUEUE_URL": stack.outputs["LargeQueueUrl"],
        "DEAD_LETTER_QUEUE_URL": stack.outputs["DeadLetterQueueUrl"],
        "PARKED_QUEUE_URL": stack.outputs["ParkedQueueUrl"],
    }


def _make_bucket(server: Server, name: str) -> bool:
    """Make a versioned bucket unless it exists: an existing one is the caller's own affair."""
    bucket, _, region = name.partition(":")
    s3 = _s3(server, region or REGION)
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
    else:
        return False
    if region and region != REGION:
        location: BucketLocationConstraintType = region  # type: ignore[assignment]  # any name
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": location})
    else:
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return True


def _parameters(server: Server, wanted: Wanted) -> dict[str, str]:
    """Given on sam's command line they replace the section's, so both are joined here."""
    document = tomllib.loads((ROOT / "samconfig.toml").read_text())
    section = document["local"]["deploy"]["parameters"]["parameter_overrides"]
    return {
        **dict(entry.split("=", 1) for entry in section),
        "SourceBucket": wanted.source,
        "Destinations": ",".join(wanted.destinations),
        "DefaultRule": "Enabled" if wanted.configuration is None else "Disabled",
        "EndpointUrl": server.endpoint,
        **wanted.parameters,
    }


def _run(home: Home, stack: Stack, program: str, *arguments: str) -> None:
    """Run one of the tools, its output into the log; on failure show the end of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= stack.environment
    environment |= {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        "SAM_CLI_POLL_DELAY": "1",
        "SAM_CLI_TELEMETRY": "0",
    }
    with home.deploy_log.open("a") as log:
        start = log.tell()
        log.write(f"$ {shlex.join([program, *arguments])}\n")
        log.flush()
        code = subprocess.run(
            [BIN / program, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=SAM_SECONDS,
            check=False,
        ).returncode
    if code != 0:
        with home.deploy_log.open() as log:
            log.seek(start)
            tail = "".join(log.readlines()[-TAIL_LINES:])
        name = shlex.join([program, arguments[0]])
        raise LocalError(f"{tail}\n{name} failed ({code}); the whole log is {home.deploy_log}")


def _failures(home: Home, server: Server) -> Iterator[str]:
    """Why a deployment failed: sam's own last words are about the rollback."""
    with contextlib.suppress(ClientError):
        for event in _cloudformation(server).describe_stack_events(StackName=STACK_NAME)["StackEvents"]:
            if event.get("ResourceStatus", "").endswith("_FAILED"):
                yield f"{event.get('LogicalResourceId')}: {event.get('ResourceStatusReason')}"
    for line in home.server_log.read_text().splitlines():
        if " ERROR " in line:
            yield line


def _outputs(server: Server) -> dict[str, str]:
    (found,) = _cloudformation(server).describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def _cloudformation(server: Server) -> CloudFormationClient:
    return boto3.client(
        "cloudformation",
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(proxies={}),
    )


def _s3(server: Server, region: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )
