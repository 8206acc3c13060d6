"""The executions of the state machine that does the jobs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.job_progress import Batches, Run, RunStatus
from s3replicator.decisions.stack import StackUnusable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef


class Executions:
    """Raises ``StackUnusable``. ``machine`` is the state machine's ARN."""

    def __init__(self, client: "SFNClient", machine: str) -> None:
        self._client = client
        self._machine = machine

    def start(self, name: str, document: Mapping[str, Any]) -> bool:
        """False if the name has been used."""
        with self._failures():
            try:
                self._client.start_execution(
                    stateMachineArn=self._machine, name=name, input=json.dumps(document)
                )
            except self._client.exceptions.ExecutionAlreadyExists:
                return False
        return True

    def find(self, name: str) -> Run | None:
        with self._failures():
            try:
                return _run(self._client.describe_execution(executionArn=self._arn(name)))
            except self._client.exceptions.ExecutionDoesNotExist:
                return None

    def latest(self, most: int) -> Sequence[str]:
        """Names, the newest first."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._machine, PaginationConfig={"MaxItems": most, "PageSize": min(most, 1000)}
        )
        with self._failures():
            return [entry["name"] for page in pages for entry in page["executions"]]

    def stop(self, name: str) -> None:
        with self._failures():
            self._client.stop_execution(executionArn=self._arn(name), cause="stopped by an operator")

    def batches(self, name: str) -> Batches | None:
        """None if it has not begun to work on any."""
        with self._failures():
            runs = self._client.list_map_runs(executionArn=self._arn(name))["mapRuns"]
            if not runs:
                return None
            newest = max(runs, key=lambda run: run["startDate"])
            told = self._client.describe_map_run(mapRunArn=newest["mapRunArn"])
        counts = told["itemCounts"]
        failed = counts["failed"] + counts["timedOut"] + counts["aborted"]
        return Batches(
            total=counts["total"],
            done=counts["succeeded"] + failed,
            failed=failed,
            running=told["status"] == "RUNNING",
        )

    def _arn(self, name: str) -> str:
        return f"{self._machine.replace(':stateMachine:', ':execution:', 1)}:{name}"

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise StackUnusable(f"state machine {self._machine} does not answer: {error}") from error


def _run(told: "DescribeExecutionOutputTypeDef") -> Run:
    # Whoever starts it by other means may give it anything that is JSON, and need not name the job.
    given = json.loads(told.get("input", "{}"))
    given = given if isinstance(given, dict) else {}
    job, request = given.get("job"), given.get("request")
    ended = told.get("stopDate")
    problem = ": ".join(filter(None, (told.get("error"), told.get("cause"))))
    return Run(
        name=told["name"],
        status=RunStatus(told["status"]),
        started=told["startDate"].timestamp(),
        ended=ended.timestamp() if ended is not None else None,
        job=job if isinstance(job, str) and job else told["name"],
        request=request if isinstance(request, dict) else {},
        problem=problem or None,
    )
