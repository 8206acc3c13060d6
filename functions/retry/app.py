"""Finishes what the other functions could not: the dead-letter queue, once a minute the sweep, a key that an
operator asks for, and the probes of a check."""

import os
from functools import cache
from typing import Any

from s3replicator import check_wiring, invocation, telemetry, wiring
from s3replicator.settings import Settings
from s3replicator.telemetry import logger


@cache
def function() -> wiring.Function:
    return wiring.retry(Settings.from_env(os.environ))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: invocation.LambdaContext) -> dict[str, Any]:
    if event.get("sweep"):
        return sweep(context)
    if "settle" in event:
        return invocation.settle(function(), event["settle"], context)
    if "check" in event:
        return invocation.remove_probes(check_wiring.probe_removal(function().settings), event["check"])
    return invocation.serve(function(), event, context)


def sweep(context: invocation.LambdaContext) -> dict[str, Any]:
    settings = function().settings
    swept = function().sweep.run(list(settings.destinations), invocation.deadline(context))
    telemetry.report_pending(settings.source_bucket, swept.open)
    invocation.tell(function(), swept.missed)
    return {"sent": dict(swept.sent), "open": dict(swept.open)}
