"""Works through one batch of a job. Called again until the batch is done."""

import os
from functools import cache
from typing import Any

from s3replicator import invocation, job_wiring
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.settings import Settings
from s3replicator.telemetry import logger
from s3replicator.usecases.job_batch import JobBatch


class Unfinished(RetryableError):
    """Time is up, or others hold keys of the batch. The state machine knows it by the name of this class; an
    answer that it would have to look at would double what it costs."""


@cache
def function() -> JobBatch:
    return job_wiring.backfill(Settings.from_env(os.environ))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: invocation.LambdaContext) -> dict[str, Any]:
    """``event``: {"job": id, "batch": name}; the answer: {"done": true}. Raises ``Unfinished``."""
    worked = function().run(event["job"], event["batch"], invocation.deadline(context))
    if not worked["done"]:
        raise Unfinished(Reason.BUSY, f"{event['batch']} is not done")
    return {"done": True}
