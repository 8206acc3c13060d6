"""A Lambda invocation, translated: an SQS batch or a bare S3 event in, the answer Lambda expects out."""

from typing import Any, Final, Protocol

from s3replicator import telemetry
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.failures import RetryableError
from s3replicator.usecases.batch import BatchResult, Message
from s3replicator.usecases.by_hand import Request
from s3replicator.wiring import Function

#: Seconds kept for the answer itself.
_RESERVE: Final = 2.0


class LambdaContext(Protocol):
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
    telemetry.report(result.outcomes, function.settings.source_bucket)
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
    telemetry.report(report.outcomes, function.settings.source_bucket)
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
    telemetry.report(result.outcomes, function.settings.source_bucket)
    _return(function, records, result)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in result.returned]}


def _return(function: Function, records: list[dict[str, Any]], result: BatchResult) -> None:
    receipts = {record["messageId"]: record["receiptHandle"] for record in records}
    delays = {receipts[name]: seconds for name, seconds in result.returned.items()}
    try:
        function.inbox.return_after(delays)
    except RetryableError as failure:
        # They come back all the same, only later: when their visibility timeout ends.
        telemetry.logger.warning("could not shorten the wait", detail=failure.detail)
