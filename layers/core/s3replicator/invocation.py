"""A Lambda invocation, translated: an SQS batch or a bare S3 event in, the answer Lambda expects out."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from s3replicator import telemetry
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.announcements import Announcement
from s3replicator.decisions.failures import RetryableError
from s3replicator.decisions.findings import Finding
from s3replicator.decisions.outcome import Outcome
from s3replicator.decisions.probe import Written
from s3replicator.usecases.batch import BatchResult, Message
from s3replicator.usecases.by_hand import Request
from s3replicator.usecases.preflight import Preflight
from s3replicator.usecases.probing import ProbeRemoval
from s3replicator.wiring import Function

#: Seconds kept for the answer itself.
_RESERVE: Final = 2.0


class LambdaContext(Protocol):
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int: ...


class NotReplicated(Exception):
    """Part of an event delivered without a queue was neither recorded nor parked: deliver it again."""


def serve(function: Function, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an SQS batch with the messages that must come again, a bare S3 event with nothing.

    Raises ``NotReplicated`` for a bare event, ``UnreadableEvent`` if it is no event at all.
    """
    until = deadline(context)
    records = event.get("Records")
    if isinstance(records, list) and records and "receiptHandle" in records[0]:
        return _serve_queue(function, records, until)
    result = function.batch.process_event(event, until)
    _report(function, result.outcomes)
    telemetry.report_unversioned(function.settings.source_bucket, result.unversioned)
    if result.returned:
        reasons = sorted({f"{o.reason}: {o.detail}" for o in result.outcomes if o.result == "Deferred"})
        raise NotReplicated("; ".join(reasons))
    return {}


def settle(function: Function, asked: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Settle one key by hand. ``asked``: {"bucket", "key", "destinations"?, "restoreLost"?, "purge"?}; the
    answer: {"outcomes": [{"destination", "versionId", "result", "reason", "detail"}], "busy": [destination]}.
    """
    request = Request(
        bucket=asked["bucket"],
        key=asked["key"],
        destinations=tuple(asked.get("destinations") or ()),
        restore_lost=bool(asked.get("restoreLost")),
        purge=bool(asked.get("purge")),
    )
    report = function.by_hand.settle(request, deadline(context))
    _report(function, report.outcomes)
    told = [
        {
            "destination": outcome.destination,
            "versionId": outcome.version_id,
            "result": outcome.result.value,
            "reason": outcome.reason,
            "detail": outcome.detail,
        }
        for outcome in report.outcomes
    ]
    return {"outcomes": told, "busy": report.busy}


def check(preflight: Preflight, asked: dict[str, Any]) -> dict[str, Any]:
    """Look at the deployment and write probes. ``asked``: {"nonce"}, which names them; the answer:
    {"findings": [finding], "written": [{"bucket", "key", "versionId", "until"}]}."""
    report = preflight.run(asked["nonce"])
    return {"findings": _told(report.findings), "written": [each.document() for each in report.written]}


def remove_probes(removal: ProbeRemoval, asked: dict[str, Any]) -> dict[str, Any]:
    """Try out the rest with the probes of that name, and delete them. ``asked``: {"nonce", "written"}, as
    ``check`` has answered; the answer: {"findings": [finding]}."""
    written = [Written.read(version) for version in asked["written"]]
    return {"findings": _told(removal.run(asked["nonce"], written))}


def _told(findings: list[Finding]) -> list[dict[str, Any]]:
    return [finding.document() for finding in findings]


def account_of(context: LambdaContext) -> str:
    """The account that the function, and with it the stack, is in."""
    return context.invoked_function_arn.split(":")[4]


def deadline(context: LambdaContext) -> float:
    """When this invocation has to be done, in seconds since the epoch."""
    return SystemClock().now() + context.get_remaining_time_in_millis() / 1000 - _RESERVE


def _serve_queue(function: Function, records: list[dict[str, Any]], until: float) -> dict[str, Any]:
    messages = [
        Message(
            record["messageId"],
            record["body"],
            int(record["attributes"]["ApproximateReceiveCount"]),
        )
        for record in records
    ]
    result = function.batch.process(messages, until)
    _report(function, result.outcomes)
    telemetry.report_unversioned(function.settings.source_bucket, result.unversioned)
    _return(function, records, result)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in result.returned]}


def _report(function: Function, outcomes: Iterable[Outcome]) -> None:
    listed = list(outcomes)
    telemetry.report(listed, function.settings.source_bucket)
    tell(function, [announcement for outcome in listed for announcement in outcome.announcements])


def tell(function: Function, announcements: Sequence[Announcement]) -> None:
    """On the event bus. The ledger says the same, so an event that cannot be sent holds up nothing."""
    if not announcements:
        return
    telemetry.report_announced(announcements, function.settings.source_bucket)
    try:
        function.bus.tell(announcements)
    except RetryableError as failure:
        telemetry.logger.error("events not sent", detail=failure.detail)


def _return(function: Function, records: list[dict[str, Any]], result: BatchResult) -> None:
    receipts = {record["messageId"]: record["receiptHandle"] for record in records}
    delays = {receipts[name]: seconds for name, seconds in result.returned.items()}
    try:
        function.inbox.return_after(delays)
    except RetryableError as failure:
        # They come back all the same, only later: when their visibility timeout ends.
        telemetry.logger.warning("could not shorten the wait", detail=failure.detail)
