"""Finds out what a job has to do, and at its end tells what came of it. Called again until it is done."""

import math
import os
from functools import cache
from typing import Any

from s3replicator import invocation, job_wiring
from s3replicator.settings import Settings
from s3replicator.telemetry import logger


@cache
def function() -> job_wiring.Surveyor:
    return job_wiring.survey(Settings.from_env(os.environ))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: invocation.LambdaContext) -> dict[str, Any]:
    """``event``: {"step": "survey", "job": id, "request": document}; the answer: {"done", "batches"}. Or
    {"step": "report", "job": id, "attempt": from 0}; the answer: {"done", "wait": whole seconds, "attempt":
    of the next call, "failed": how many batches have}."""
    if event["step"] == "survey":
        until = invocation.deadline(context)
        return function().survey.run(event["job"], event["request"], until)
    reported = function().finish.run(event["job"], event["attempt"])
    # A state that waits takes whole seconds, and cannot count.
    return {
        "done": reported["done"],
        "wait": math.ceil(reported["wait"]),
        "attempt": event["attempt"] + 1,
        "failed": reported["failed"],
    }
