"""The embedded AWS itself: serves MiniStack until told to stop, with a few corrections.

Runs inside the emulator's own environment, as ``python -m local.emulator`` with the settings that
``local.server`` puts into the environment. Each correction is one function with its reason, named
in ``main``; everything else stays as the emulator has it.
"""

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import s3
from ministack.services.cloudformation import provisioners

# The corrections replace parts of this version: another one is looked at before it is used.
VERSION: Final = "1.5.33"


async def behind_tls(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """The loopback stands for TLS: the stack's TLS-only policies would refuse every request."""
    if scope["type"] == "http":
        scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
    answer: Awaitable[None] = app(scope, receive, send)
    await answer


def read_numbers_of_event_sources() -> None:
    """A Number parameter reaches a resource as a string. CloudFormation makes it a number again;
    the emulator does not, and its poller then fails on it for good."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create, update = handlers["create"], handlers["update"]

    def numbers(properties: dict[str, Any]) -> dict[str, Any]:
        read = dict(properties)
        if "BatchSize" in read:
            read["BatchSize"] = int(read["BatchSize"])
        if "ScalingConfig" in read:
            read["ScalingConfig"] = {key: int(n) for key, n in read["ScalingConfig"].items()}
        return read

    handlers["create"] = lambda logical_id, properties, stack: create(logical_id, numbers(properties), stack)
    handlers["update"] = lambda physical_id, old, new, stack: update(
        physical_id, numbers(old), numbers(new), stack
    )


def match_every_character_of_a_key() -> None:
    """IAM's ``*`` matches any character. The emulator's stops at a line break, which a key may hold."""
    compiled = iam_evaluator._fnmatch_compile

    def with_line_breaks(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        exact: re.Pattern[str] = compiled(pattern, ignore_case)
        return re.compile(exact.pattern, exact.flags | re.DOTALL)

    iam_evaluator._fnmatch_compile = with_line_breaks


def know_batches_by_their_action() -> None:
    """IAM has no action for the batch form of an SQS request; the emulator asks for one."""
    named = iam_actions.extract_iam_action

    def without_batch(service: str, *rest: Any) -> str | None:
        action: str | None = named(service, *rest)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = without_batch


def read_tags_below_a_delete_marker() -> None:
    """S3 tells the tags of any version; the emulator only those of keys that are not hidden."""
    read = s3._get_object_tagging

    def of_any_version(bucket: str, key: str, query: dict[str, Any] | None = None) -> Any:
        held = s3._ensure_bucket(bucket)
        if held is None or key in held["objects"] or "versionId" not in (query or {}):
            return read(bucket, key, query)
        held["objects"][key] = None
        try:
            return read(bucket, key, query)
        finally:
            del held["objects"][key]

    s3._get_object_tagging = of_any_version


def keep_the_tags_of_uploads() -> None:
    """S3 takes an object's tags with CreateMultipartUpload; the emulator drops them."""
    create, complete = s3._create_multipart_upload, s3._complete_multipart_upload

    def create_tagged(bucket: str, key: str, headers: dict[str, str]) -> Any:
        answer = create(bucket, key, headers)
        started = re.search(rb"<UploadId>([^<]+)</UploadId>", answer[2])
        if started and "x-amz-tagging" in headers:
            tags = dict(parse_qsl(headers["x-amz-tagging"], keep_blank_values=True))
            s3._multipart_uploads[started.group(1).decode()]["tags"] = tags
        return answer

    def complete_tagged(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId")) or {}
        answer = complete(bucket, key, body, query, headers)
        if "tags" in upload and "x-amz-version-id" in answer[1]:
            s3._object_tags[bucket, key, answer[1]["x-amz-version-id"]] = upload["tags"]
        return answer

    s3._create_multipart_upload = create_tagged
    s3._complete_multipart_upload = complete_tagged


def main() -> None:
    installed = version("ministack")
    assert installed == VERSION, f"MiniStack {installed} is not the {VERSION} this was written for"
    read_numbers_of_event_sources()
    match_every_character_of_a_key()
    know_batches_by_their_action()
    read_tags_below_a_delete_marker()
    keep_the_tags_of_uploads()
    port = int(os.environ["GATEWAY_PORT"])

    # Held until this process is gone, however it goes: who finds it free knows nothing runs here.
    # The Lambda workers do not inherit it.
    with Path(os.environ["EMULATOR_LOCK"]).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "port": port}))
        lock.flush()

        config = Config()
        config.bind = [f"{os.environ['BIND_HOST']}:{port}"]
        config.keep_alive_timeout = 75
        asyncio.run(serve(behind_tls, config))


if __name__ == "__main__":
    main()
