"""Copies new versions of the source bucket, and writes delete markers, in order; checks the deployment."""

import os
from functools import cache
from typing import Any

from s3replicator import check_wiring, invocation, wiring
from s3replicator.settings import Settings
from s3replicator.telemetry import logger


@cache
def function() -> wiring.Function:
    return wiring.replicate(Settings.from_env(os.environ))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: invocation.LambdaContext) -> dict[str, Any]:
    if "check" in event:
        preflight = check_wiring.preflight(function().settings, invocation.account_of(context))
        return invocation.check(preflight, event["check"])
    return invocation.serve(function(), event, context)
