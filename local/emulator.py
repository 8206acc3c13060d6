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
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import eventbridge, iam, lambda_svc, s3, stepfunctions
from ministack.services.cloudformation import provisioners

# The corrections replace parts of this version: another one is looked at before it is used.
VERSION: Final = "1.5.33"

#: How the emulator answers one S3 operation: bucket, key, and what else there is of the request; the query
#: comes last.
Handler = Callable[..., Any]


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


def know_events_by_their_source() -> None:
    """``events:source`` in a policy is the source of the events that a request puts onto a bus. The emulator
    does not know the key, and denies what depends on it."""
    named, resolve = iam_actions.extract_iam_action, iam_evaluator._resolve_condition_key
    sources: ContextVar[set[str]] = ContextVar("sources")

    def with_sources(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        action = named(service, method, path, headers, body, *rest)
        if action == "events:PutEvents":
            sources.set({entry.get("Source", "") for entry in json.loads(body)["Entries"]})
        return action

    def by_source(key: str, ctx: Any) -> Any:
        if key.lower() != "events:source":
            return resolve(key, ctx)
        put = sources.get(set())
        return put.pop() if len(put) == 1 else None

    iam_actions.extract_iam_action = with_sources
    iam_evaluator._resolve_condition_key = by_source


def know_a_session_by_its_role() -> None:
    """``aws:PrincipalArn`` is the ARN of the role, whatever the session of it is called. The emulator's is
    that of the session, so that no condition can name a function by its role."""
    resolve = iam_evaluator._resolve_condition_key

    def by_role(key: str, ctx: Any) -> Any:
        value = resolve(key, ctx)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
            return value
        account, role = value.split(":")[4], iam_evaluator._role_name_from_assumed_arn(value)
        return f"arn:aws:iam::{account}:role/{role}"

    iam_evaluator._resolve_condition_key = by_role


def judge_another_account_by_its_role() -> None:
    """A bucket's policy can name a role of another account. The emulator asks it about their root only."""
    evaluate = iam_evaluator.evaluate_resource_policy

    def of_caller(document: Any, ctx: Any, *rest: Any, **named: Any) -> Any:
        caller = iam_evaluator.caller_arn()
        if ctx.principal_type == "Root" and caller.split(":")[4] == ctx.principal_account:
            ctx = replace(ctx, principal_arn=caller)
        return evaluate(document, ctx, *rest, **named)

    iam_evaluator.evaluate_resource_policy = of_caller


def copy_from_another_account() -> None:
    """The source of a copy may belong to another account than the bucket it is copied to. The emulator looks
    for it in the account of the latter; whether it may be read has been decided by then."""

    def lent(handle: Handler) -> Handler:
        def handled(bucket: str, key: str, *rest: Any) -> Any:
            path, _, query = rest[-1].get("x-amz-copy-source", "").lstrip("/").partition("?")
            source, _, source_key = unquote(path).partition("/")
            owner = s3._bucket_owner_account(source)
            if owner in (None, get_account_id()):
                return handle(bucket, key, *rest)
            version = dict(parse_qsl(query)).get("versionId")
            lent_out: list[tuple[Any, Any]] = [
                (s3._buckets, source),
                (s3._object_versions, (source, source_key)),
                (s3._object_tags, (source, source_key, version)),
            ]
            lendings = [(store, name, store.get_scoped(owner, None, name)) for store, name in lent_out]
            for store, name, value in lendings:
                if value is not None:
                    store[name] = value
            try:
                return handle(bucket, key, *rest)
            finally:
                for store, name, _ in lendings:
                    store.pop(name, None)

        return handled

    s3._copy_object = lent(s3._copy_object)
    s3._upload_part_copy = lent(s3._upload_part_copy)


def reach_versions_below_a_delete_marker() -> None:
    """S3 tells and changes tags and ACLs of any version; the emulator only those of keys that are not
    hidden."""

    def of_any_version(handle: Handler) -> Handler:
        def handled(bucket: str, key: str, *rest: Any) -> Any:
            held, query = s3._ensure_bucket(bucket), rest[-1]
            if held is None or key in held["objects"] or "versionId" not in query:
                return handle(bucket, key, *rest)
            held["objects"][key] = None
            try:
                return handle(bucket, key, *rest)
            finally:
                del held["objects"][key]

        return handled

    s3._get_object_tagging = of_any_version(s3._get_object_tagging)
    s3._put_object_tagging = of_any_version(s3._put_object_tagging)
    s3._delete_object_tagging = of_any_version(s3._delete_object_tagging)
    s3._get_object_acl = of_any_version(s3._get_object_acl)
    s3._put_object_acl = of_any_version(s3._put_object_acl)


def tell_of_tags_and_acls() -> None:
    """S3 sends records of changed tags, ACLs and retentions, without a sequencer. The emulator sends none; of
    annotations it tells by itself."""

    def telling(event: str, handle: Handler, stored: Mapping[Any, Any] | None = None) -> Handler:
        """With ``stored``, only of what has changed there."""

        def handled(bucket: str, key: str, *rest: Any) -> Any:
            held = s3._ensure_bucket(bucket)
            version = held and s3._resolve_subresource_version(rest[-1], held, key)
            before = stored.get((bucket, key, version)) if stored is not None else None
            answer = handle(bucket, key, *rest)
            changed = stored is None or stored.get((bucket, key, version)) != before
            if answer[0] < 300 and changed:
                listed = s3._object_versions.get((bucket, key), [])
                told: Mapping[str, Any] = next(
                    (one for one in listed if one["version_id"] == (version or "null")), {}
                )
                s3._fire_s3_event_async(
                    bucket, key, event, told.get("size", 0), told.get("etag", ""), version_id=version
                )
            return answer

        return handled

    s3._put_object_tagging = telling("s3:ObjectTagging:Put", s3._put_object_tagging)
    s3._delete_object_tagging = telling("s3:ObjectTagging:Delete", s3._delete_object_tagging)
    s3._put_object_acl = telling("s3:ObjectAcl:Put", s3._put_object_acl, s3._object_acl)
    s3._put_object_retention = telling("s3:ObjectRetention:Put", s3._put_object_retention)


def tell_of_every_delete_marker() -> None:
    """S3 sends a record of every delete marker; the emulator of none for a key that is hidden already, or
    never was."""
    make = s3._record_delete_marker

    def telling(bucket: str, key: str, current: Any) -> Any:
        marker = make(bucket, key, current)
        if current is None:
            event = "s3:ObjectRemoved:DeleteMarkerCreated"
            s3._fire_s3_event_async(
                bucket, key, event, deletion_type="Delete Marker Created", version_id=marker
            )
        return marker

    s3._record_delete_marker = telling


def name_who_did_it() -> None:
    """S3's records name the principal by its unique id; the emulator's all say EXAMPLE."""
    fire = s3._fire_s3_event_async

    def principal() -> str:
        account, who = iam_evaluator.caller_arn().split(":", 5)[4:]
        kind, *path = who.split("/")
        if kind == "assumed-role":
            role, session = path
            return f"AWS:{iam._roles.get_scoped(account, None, role)['RoleId']}:{session}"
        if kind == "user":
            return f"AWS:{iam._users.get_scoped(account, None, path[-1])['UserId']}"
        return f"AWS:{account}"

    def fire_named(*given: Any, record_extra: dict[str, Any] | None = None, **named: Any) -> None:
        extra = {"userIdentity": {"principalId": principal()}, **(record_extra or {})}
        fire(*given, record_extra=extra, **named)

    s3._fire_s3_event_async = fire_named


def tell_eventbridge_all_that_s3_tells() -> None:
    """S3's events for EventBridge name the version, and tell of changed tags and ACLs by names of their own,
    without a sequencer; of retentions and annotations S3 documents none. The emulator's name no version, and
    call what it does not know an object created."""
    names = {
        "s3:ObjectTagging:Put": "Object Tags Added",
        "s3:ObjectTagging:Delete": "Object Tags Deleted",
        "s3:ObjectAcl:Put": "Object ACL Updated",
    }
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event
    fired: ContextVar[tuple[str, str | None]] = ContextVar("fired")

    def fire_and_remember(bucket: str, key: str, event: str, *rest: Any, **named: Any) -> None:
        fired.set((event, named.get("version_id")))
        fire(bucket, key, event, *rest, **named)

    def dispatch_in_full(event: dict[str, Any], *rest: Any) -> Any:
        if event["Source"] != "aws.s3":
            return dispatch(event, *rest)
        (name, version), detail = fired.get(), json.loads(event["Detail"])
        if name.startswith(("s3:ObjectRetention:", "s3:ObjectAnnotation:")):
            return None
        told = detail["object"]
        if version:
            told["version-id"] = version
        if event["DetailType"] == "Object Deleted":
            del told["size"]
        if name in names:
            del told["size"], told["sequencer"], detail["reason"]
        kind = names.get(name, event["DetailType"])
        return dispatch({**event, "DetailType": kind, "Detail": json.dumps(detail)}, *rest)

    s3._fire_s3_event = fire_and_remember
    eventbridge._dispatch_event = dispatch_in_full


def copy_as_the_headers_say() -> None:
    """CopyObject takes the storage class and the lock from its own headers, and defaults where there are
    none; the emulator takes the source's."""
    copy = s3._copy_object

    def by_headers(bucket: str, key: str, headers: dict[str, str]) -> Any:
        answer = copy(bucket, key, {"x-amz-storage-class": "STANDARD", **headers})
        if version_id := answer[1].get("x-amz-version-id"):
            for store in (s3._object_retention, s3._object_legal_hold):
                store.pop((bucket, key, version_id), None)
            s3._apply_object_lock_from_headers(bucket, key, headers, version_id)
        return answer

    s3._copy_object = by_headers


def keep_what_uploads_are_given() -> None:
    """S3 takes an object's tags and lock with CreateMultipartUpload; the emulator drops them."""
    create, complete = s3._create_multipart_upload, s3._complete_multipart_upload

    def create_with_headers(bucket: str, key: str, headers: dict[str, str]) -> Any:
        answer = create(bucket, key, headers)
        if started := re.search(rb"<UploadId>([^<]+)</UploadId>", answer[2]):
            s3._multipart_uploads[started.group(1).decode()]["headers"] = headers
        return answer

    def complete_with_headers(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        answer = complete(bucket, key, body, query, headers)
        if upload and (version_id := answer[1].get("x-amz-version-id")):
            given = upload["headers"]
            if "x-amz-tagging" in given:
                tags = dict(parse_qsl(given["x-amz-tagging"], keep_blank_values=True))
                s3._object_tags[bucket, key, version_id] = tags
            s3._apply_object_lock_from_headers(bucket, key, given, version_id)
        return answer

    s3._create_multipart_upload = create_with_headers
    s3._complete_multipart_upload = complete_with_headers


def give_native_replicas_the_ids_of_their_sources() -> None:
    """A replica that S3 itself makes has the version id of its source; the emulator's has one of its own. It
    makes the replica first."""
    record, fresh = s3._record_object_version, s3.new_uuid
    of_replica: ContextVar[str | None] = ContextVar("of_replica", default=None)

    def record_with_its_id(bucket: str, key: str, prior: Any, made: dict[str, Any], data: Any) -> Any:
        _, replica, _ = made.get("_replica") or (None, None, None)
        token = of_replica.set(replica)
        try:
            return record(bucket, key, prior, made, data)
        finally:
            of_replica.reset(token)

    s3._record_object_version = record_with_its_id
    s3.new_uuid = lambda: of_replica.get() or fresh()


def name_errors_by_their_class() -> None:
    """An error that a function raises is known by the name of its class, and so do states retry it. The
    emulator calls every one Runtime.HandlerError; the class stands in the traceback it logs."""
    execute = lambda_svc._execute_function_warm
    raised = re.compile(r"^Traceback .*:\n(?:[ \t].*\n)+(?:\w+\.)*(\w+)", re.MULTILINE)

    def named(*given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = execute(*given)
        body = answer["body"]
        if answer.get("error") and body["errorType"] == "Runtime.HandlerError":
            # Of errors raised from others the last one is what was raised.
            body["errorType"] = (raised.findall(answer["log"]) or [body["errorType"]])[-1]
        return answer

    lambda_svc._execute_function_warm = named


def take_concurrency_from_a_path() -> None:
    """A map may take its MaxConcurrency from its input; the emulator then begins 64 children at once."""
    run = stepfunctions._run_distributed_map

    def run_with_number(state: dict[str, Any], given: Any, effective: Any, *rest: Any) -> Any:
        if "MaxConcurrencyPath" in state:
            most = stepfunctions._resolve_path(state["MaxConcurrencyPath"], effective)
            state = {**state, "MaxConcurrency": most}
        return run(state, given, effective, *rest)

    stepfunctions._run_distributed_map = run_with_number


def end_what_a_stopped_execution_has_begun() -> None:
    """With an execution end the children of its maps, and what waits to be tried again. The emulator's go on,
    and their errors make of an execution that was stopped one that has failed."""
    execute, invoke = stepfunctions._execute_task, stepfunctions._invoke_resource_with_timeout
    fail = stepfunctions._fail_execution
    parent: ContextVar[str] = ContextVar("parent")

    def execute_for(state: Any, given: Any, execution: Any, context: dict[str, Any]) -> Any:
        parent.set(context["Execution"]["Id"])
        return execute(state, given, execution, context)

    def invoke_unless_stopped(*given: Any) -> Any:
        if stepfunctions._executions[parent.get()]["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("Stopped", "the execution has been stopped")
        return invoke(*given)

    def fail_unless_stopped(execution: dict[str, Any], *why: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, *why)

    stepfunctions._execute_task = execute_for
    stepfunctions._invoke_resource_with_timeout = invoke_unless_stopped
    stepfunctions._fail_execution = fail_unless_stopped


def start_named_executions_on_a_schedule() -> None:
    """A schedule can have any request of any service for its target, and a word for its own turn in it; the
    emulator knows neither. Only this one request is used."""
    send = eventbridge._invoke_target

    def send_or_start(target: dict[str, Any], event: dict[str, Any], *rest: Any) -> None:
        if not target["Arn"].endswith(":scheduler:::aws-sdk:sfn:startExecution"):
            send(target, event, *rest)
            return
        turn = event["EventId"].replace("-", "")[:16]
        asked = json.loads(target["Input"].replace("<aws.scheduler.execution-id>", turn))
        stepfunctions._start_execution({name[0].lower() + name[1:]: value for name, value in asked.items()})

    eventbridge._invoke_target = send_or_start


def main() -> None:
    installed = version("ministack")
    assert installed == VERSION, f"MiniStack {installed} is not the {VERSION} this was written for"
    read_numbers_of_event_sources()
    match_every_character_of_a_key()
    know_batches_by_their_action()
    know_events_by_their_source()
    know_a_session_by_its_role()
    judge_another_account_by_its_role()
    reach_versions_below_a_delete_marker()
    tell_of_tags_and_acls()
    tell_of_every_delete_marker()
    name_who_did_it()
    tell_eventbridge_all_that_s3_tells()
    copy_as_the_headers_say()
    copy_from_another_account()
    keep_what_uploads_are_given()
    give_native_replicas_the_ids_of_their_sources()
    name_errors_by_their_class()
    take_concurrency_from_a_path()
    end_what_a_stopped_execution_has_begun()
    start_named_executions_on_a_schedule()
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
