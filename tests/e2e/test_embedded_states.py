"""The corrections that local/emulator.py makes to state machines and their schedules: without them the
emulator does not do as AWS does."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.world import World, wait_until

ENDED: Final = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}


class Machine:
    """A state machine of a test's own."""

    def __init__(self, world: World, start: str, **states: dict[str, Any]) -> None:
        self.states = world.client("stepfunctions")
        self.arn = self.states.create_state_machine(
            name=world.name,
            definition=json.dumps({"StartAt": start, "States": states}),
            roleArn=world.iam.get_role(RoleName=world.role_of("RetryFunctionName"))["Role"]["Arn"],
        )["stateMachineArn"]

    def start(self, given: Any) -> str:
        arn: str = self.states.start_execution(stateMachineArn=self.arn, input=json.dumps(given))[
            "executionArn"
        ]
        return arn

    def ended(self, execution: str) -> dict[str, Any]:
        def end() -> dict[str, Any] | None:
            found: dict[str, Any] = self.states.describe_execution(executionArn=execution)
            return found if found["status"] in ENDED else None

        found = wait_until(end, "the execution has ended")
        assert found is not None
        return found

    def map_run(self, execution: str) -> dict[str, Any]:
        def begun() -> list[dict[str, Any]]:
            runs: list[dict[str, Any]] = self.states.list_map_runs(executionArn=execution)["mapRuns"]
            return runs

        [run] = wait_until(begun, "the map has begun")
        told: dict[str, Any] = self.states.describe_map_run(mapRunArn=run["mapRunArn"])
        return told


def distributed(start: str, more: dict[str, Any], **states: dict[str, Any]) -> dict[str, Any]:
    """A map over the list ``items`` of its input."""
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": start,
            "States": states,
        },
        **more,
        "End": True,
    }


def test_a_state_knows_the_error_of_a_function_by_its_class(world: World) -> None:
    machine = Machine(
        world,
        "Ask",
        Ask={
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": world.stack.outputs["SurveyFunctionName"], "Payload.$": "$"},
            "TimeoutSeconds": 60,
            "Catch": [{"ErrorEquals": ["InvalidJob"], "Next": "Known"}],
            "End": True,
        },
        Known={"Type": "Succeed"},
    )
    asked = {"step": "survey", "job": "no such kind", "request": {"Kind": "none"}}
    ended = machine.ended(machine.start(asked))
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["Error"] == "InvalidJob"


def test_a_map_begins_as_many_children_at_once_as_its_input_says(world: World) -> None:
    work = distributed("Child", {"MaxConcurrencyPath": "$.most"}, Child={"Type": "Pass", "End": True})
    machine = Machine(world, "Work", Work=work)
    execution = machine.start({"items": [1, 2, 3], "most": 2})
    assert machine.ended(execution)["status"] == "SUCCEEDED"
    assert machine.map_run(execution)["maxConcurrency"] == 2


def test_an_execution_that_is_stopped_ends_with_all_it_has_begun(world: World) -> None:
    bucket = f"states-{world.name}"
    world.make_bucket(bucket)
    work = distributed(
        "Rest",
        {"MaxConcurrency": 1, "ToleratedFailurePercentage": 100.0},
        Rest={"Type": "Wait", "Seconds": 1, "Next": "Copy"},
        Copy={
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:copyObject",
            "Parameters": {
                "Bucket": bucket,
                "Key.$": "$",
                "CopySource.$": f"States.Format('{bucket}/original-{{}}', $)",
            },
            "TimeoutSeconds": 60,
            "Retry": [
                {
                    "ErrorEquals": ["S3.NoSuchKeyException"],
                    "IntervalSeconds": 1,
                    "BackoffRate": 1.0,
                    "MaxAttempts": 1000,
                }
            ],
            "End": True,
        },
    )
    machine = Machine(world, "Work", Work=work)

    def made() -> set[str]:
        listed = world.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {entry["Key"] for entry in listed if not entry["Key"].startswith("original")}

    world.s3.put_object(Bucket=bucket, Key="original-a")
    execution = machine.start({"items": ["a", "b", "c"]})
    wait_until(made, "the first child has ended")
    machine.states.stop_execution(executionArn=execution)
    # Until now the second child could not have ended, however much time it had.
    for name in ("b", "c"):
        world.s3.put_object(Bucket=bucket, Key=f"original-{name}")
    time.sleep(2.5)
    assert made() == {"a"}
    assert machine.ended(execution)["status"] == "ABORTED"


def test_a_schedule_starts_an_execution_by_a_name_of_its_own(world: World) -> None:
    machine = Machine(world, "End", End={"Type": "Succeed"})
    scheduler = world.client("scheduler")
    asked = {
        "StateMachineArn": machine.arn,
        "Name": "turn-<aws.scheduler.execution-id>",
        "Input": json.dumps({"asked": True}),
    }
    scheduler.create_schedule(
        Name=world.name,
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sfn:startExecution",
            "RoleArn": "arn:aws:iam::000000000000:role/any",
            "Input": json.dumps(asked),
        },
    )

    def started() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = machine.states.list_executions(stateMachineArn=machine.arn)[
            "executions"
        ]
        return found

    [execution] = wait_until(started, "the schedule has come round")
    assert len(execution["name"]) == len("turn-") + 16
    assert "<" not in execution["name"]
    assert json.loads(machine.ended(execution["executionArn"])["output"]) == {"asked": True}
