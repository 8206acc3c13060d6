"""What must hold of statemachines/backfill.asl.json: its shape, what it costs, and that another interpreter
than the embedded AWS's runs it."""

import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from functions.backfill.app import Unfinished
from s3replicator.decisions.failures import RetryableError
from s3replicator.decisions.job import FOLDER
from s3replicator.decisions.selection import MOST_VERSIONS, MOST_VERSIONS_OF_A_KEY
from s3replicator.usecases.survey import SurveyUnderWay
from tests.template.test_template import FUNCTIONS, RESOURCES, get_att, statements_of, strings

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "statemachines/backfill.asl.json").read_text()
MACHINE: Final[dict[str, Any]] = json.loads(TEXT)
PROPERTIES: Final[dict[str, Any]] = RESOURCES["BackfillStateMachine"]["Properties"]
WORK: Final[dict[str, Any]] = MACHINE["States"]["Work"]
CHILD: Final[dict[str, Any]] = WORK["ItemProcessor"]

#: What AWS says can pass; the last three are how a state learns that its function was cut off.
OF_LAMBDA: Final = frozenset(
    {
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
#: In USD
STATE_TRANSITION: Final = 25 / 1e6
#: Bytes that a state's input or output, or an execution's, may have.
MOST_PAYLOAD: Final = 256 * 1024
#: The longest that there are: a job's id, and an execution's name.
JOB: Final = "j" * 64
NAME: Final = "n" * 80


def all_states() -> dict[str, dict[str, Any]]:
    return {**MACHINE["States"], **CHILD["States"]}


TASKS: Final = {name: state for name, state in all_states().items() if state["Type"] == "Task"}


def retryable() -> set[str]:
    """The names of the classes whose instances mean: the same input may succeed later."""
    found, waiting = set(), [RetryableError]
    while waiting:
        one = waiting.pop()
        found.add(one.__name__)
        waiting += one.__subclasses__()
    return found


#: What only one of the tasks ever fails with.
ITS_OWN: Final[dict[str, str | None]] = {
    "RunBatch": Unfinished.__name__,
    "Survey": SurveyUnderWay.__name__,
    "Report": None,
}


def function_of(task: dict[str, Any]) -> str:
    """The logical id of the function that a task runs."""
    key = re.fullmatch(r"\$\{(\w+)\}", task["Parameters"]["FunctionName"])
    assert key
    name: str = PROPERTIES["DefinitionSubstitutions"][key[1]]["Fn::GetAtt"][0]
    return name


# Its shape


def successors(state: dict[str, Any]) -> Iterator[str]:
    for branch in (state, *state.get("Choices", []), *state.get("Catch", [])):
        yield from (branch[name] for name in ("Next", "Default") if name in branch)


@pytest.mark.parametrize("machine", [MACHINE, CHILD], ids=["job", "batch"])
def test_every_state_can_be_reached_and_leads_on_or_ends(machine: dict[str, Any]) -> None:
    reached, waiting = set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += successors(machine["States"][name])
    assert reached == set(machine["States"])
    for name, state in machine["States"].items():
        ends = state.get("End") or state["Type"] in ("Succeed", "Fail")
        assert bool(ends) != bool(list(successors(state))), name


def test_every_substitution_is_given_and_used() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(PROPERTIES["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_outlasts_its_function_but_not_by_much(name: str) -> None:
    """Otherwise a second one would begin while the first still runs, or a lost one be waited for for ever."""
    timeout = FUNCTIONS[function_of(TASKS[name])]["Timeout"]
    assert timeout == 900, "as long as Lambda lets a function run"
    assert timeout < TASKS[name]["TimeoutSeconds"] <= timeout + 60


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_is_retried_only_for_what_can_pass(name: str) -> None:
    retried = [error for retrier in TASKS[name]["Retry"] for error in retrier["ErrorEquals"]]
    assert len(retried) == len(set(retried))
    assert set(retried) == (retryable() - set(ITS_OWN.values())) | OF_LAMBDA | {ITS_OWN[name]} - {None}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_retry_waits_longer_each_time_and_ends(name: str) -> None:
    for retrier in TASKS[name]["Retry"]:
        assert retrier["BackoffRate"] > 1
        assert retrier["IntervalSeconds"] < retrier["MaxDelaySeconds"] <= 300
        assert retrier["MaxAttempts"] <= 200


def test_an_outage_of_a_quarter_of_an_hour_fails_no_batch() -> None:
    [retrier] = [
        one for one in CHILD["States"]["RunBatch"]["Retry"] if "RetryableError" in one["ErrorEquals"]
    ]
    waits = [
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt, retrier["MaxDelaySeconds"])
        for attempt in range(retrier["MaxAttempts"])
    ]
    # A wait with full jitter is half as long on average.
    assert sum(waits) / 2 > 0.75 * 900


def test_a_failed_batch_stops_no_other_and_what_they_answer_goes_to_s3() -> None:
    assert WORK["ToleratedFailurePercentage"] == 100
    assert WORK["ResultPath"] is None
    assert WORK["ResultWriter"]["Parameters"]["Bucket"] == "${ControlBucket}"


def test_the_report_is_made_whatever_the_work_came_to() -> None:
    [caught] = WORK["Catch"]
    assert caught["ErrorEquals"] == ["States.ALL"]
    assert caught["Next"] == WORK["Next"] == "Report"


def test_children_may_take_as_long_as_a_function_may() -> None:
    """An express one would be ended after 5 minutes."""
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_its_folder_is_the_one_the_functions_use() -> None:
    places = [text for text in strings(MACHINE) if text.startswith("States.Format")]
    assert len(places) == 2
    assert all(text.startswith(f"States.Format('{FOLDER}{{}}/") for text in places)


def test_its_role_may_list_and_write_where_it_does() -> None:
    granted = {statement["Sid"]: statement for statement in statements_of("BackfillStateMachineRole")}
    assert granted["FindBatches"]["Condition"] == {"StringLike": {"s3:prefix": f"{FOLDER}*"}}
    outputs = granted["WriteOutputsOfBatches"]["Resource"]["Fn::Sub"]
    assert outputs == f"${{ControlBucket.Arn}}/{FOLDER}*/map/*"
    assert granted["RunFunctions"]["Resource"] == [
        get_att(name) for name in ("SurveyFunction", "BackfillFunction")
    ]
    children = granted["FollowStopAndResumeChildren"]["Resource"]
    assert any(f"/{WORK['Label']}:" in text for text in strings(children))


# What it costs


def transitions(batches: int) -> int:
    """Of a job whose steps are each done at once: the states it goes through, and for each batch the start
    of a child and the states of that."""
    own = {
        "IsNamed",
        "NameAfterExecution",
        "Begin",
        "Survey",
        "IsSurveyed",
        "Work",
        "Report",
        "IsReported",
        "Reported",
    }
    assert own <= set(MACHINE["States"])
    return len(own) + batches * (1 + len(CHILD["States"]))


def test_a_million_versions_cost_at_most_five_cents_in_transitions() -> None:
    full = math.ceil(1_000_000 / MOST_VERSIONS)
    cost = transitions(full) * STATE_TRANSITION
    assert 0.02 < cost <= 0.05
    # A batch is half full at least, unless keys are long: a key of many versions is a batch's half at most.
    assert MOST_VERSIONS_OF_A_KEY <= MOST_VERSIONS / 2
    assert transitions(2 * full) * STATE_TRANSITION < 0.051


# How it runs


@dataclass
class Functions:
    """Stands for both functions: what they are asked, and what they answer or how they fail."""

    control: Any
    bucket: str
    batches: int = 2
    surveys: int = 2
    reports: int = 2
    failed: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    fails: Callable[[dict[str, Any], int], str | None] = lambda _payload, _time: None

    def invoke(self, parameters: dict[str, Any], **_more: Any) -> dict[str, Any]:
        """In the place of a request to Lambda."""
        payload = json.loads(parameters["Payload"])
        self.asked.append(payload)
        times = sum(one == payload for one in self.asked)
        error = self.fails(payload, times)
        if error is not None:
            told = {"errorType": error, "errorMessage": "made up"}
            return {"FunctionError": "Unhandled", "Payload": told, "StatusCode": 200}
        return {"Payload": self._answer(payload, times), "StatusCode": 200, "ExecutedVersion": "$LATEST"}

    def _answer(self, payload: dict[str, Any], times: int) -> dict[str, Any]:
        match payload.get("step"):
            case "survey":
                name = f"{FOLDER}{payload['job']}/batches/{times:06}.jsonl"
                if self.batches >= times:
                    self.control.put_object(Bucket=self.bucket, Key=name, Body=b"{}")
                return {"done": times == self.surveys, "batches": min(times, self.batches)}
            case "report":
                n = payload["attempt"]
                done = n + 1 == self.reports
                return {"done": done, "wait": 0, "attempt": n + 1, "failed": self.failed if done else 0}
        return {"done": True}

    def steps(self, step: str | None) -> list[dict[str, Any]]:
        return [payload for payload in self.asked if payload.get("step") == step]


@dataclass
class Runner:
    """Moto's interpreter, with the machine as it is deployed."""

    states: Any
    functions: Functions
    machine: str

    def run(self, given: dict[str, Any], name: str = NAME) -> dict[str, Any]:
        """The execution, when it has ended."""
        arn = self.states.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps(given))[
            "executionArn"
        ]
        until = time.monotonic() + 300
        while (told := self.states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < until, self.states.get_execution_history(executionArn=arn)["events"][
                -3:
            ]
            time.sleep(0.02)
        found: dict[str, Any] = told
        return found

    def entered(self, execution: dict[str, Any]) -> list[tuple[str, int]]:
        """The job's states in order, and how many bytes each was given."""
        events = self.states.get_execution_history(executionArn=execution["executionArn"])["events"]
        details = [
            event["stateEnteredEventDetails"] for event in events if "stateEnteredEventDetails" in event
        ]
        return [
            (one["name"], len(one["input"].encode())) for one in details if one["name"] in MACHINE["States"]
        ]


def deployed() -> str:
    """The definition as the template makes it, but for one thing that moto cannot do."""
    text = TEXT
    for name, value in {
        "Partition": "aws",
        "SurveyFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:survey",
        "BackfillFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:backfill",
        "ControlBucket": "control",
        "Concurrency": "20",
    }.items():
        text = text.replace(f"${{{name}}}", value)
    definition: dict[str, Any] = json.loads(text)
    # It looks for the path in what the children answered instead of in the state's input.
    written = definition["States"]["Work"]["ResultWriter"]["Parameters"]
    written["Prefix"] = written.pop("Prefix.$")
    return json.dumps(definition)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    place = "moto.stepfunctions.parser.asl.component"
    monkeypatch.setattr(
        f"{place}.common.retry.retrier_decl.time", SimpleNamespace(sleep=lambda _seconds: None)
    )
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="control")
        functions = Functions(s3, "control")
        monkeypatch.setattr(
            f"{place}.state.exec.state_task.lambda_eval_utils._invoke_lambda_function", functions.invoke
        )
        states = boto3.client("stepfunctions", region_name="us-east-1")
        machine = states.create_state_machine(
            name="backfill", definition=deployed(), roleArn="arn:aws:iam::123456789012:role/states"
        )["stateMachineArn"]
        yield Runner(states, functions, machine)


REQUEST: Final = {"Kind": "backfill"}


def test_a_job_is_surveyed_worked_on_and_reported_each_until_it_is_done(runner: Runner) -> None:
    execution = runner.run({"request": REQUEST, "job": "existing"})
    assert execution["status"] == "SUCCEEDED", execution
    asked = runner.functions
    assert asked.steps("survey") == [{"step": "survey", "job": "existing", "request": REQUEST}] * 2
    assert sorted(batch["batch"] for batch in asked.steps(None)) == [
        "jobs/existing/batches/000001.jsonl",
        "jobs/existing/batches/000002.jsonl",
    ]
    assert all(batch.keys() == {"job", "batch"} and batch["job"] == "existing" for batch in asked.steps(None))
    assert asked.steps("report") == [{"step": "report", "job": "existing", "attempt": n} for n in (0, 1)]


def test_a_job_without_a_name_is_called_as_its_execution(runner: Runner) -> None:
    runner.run({"request": REQUEST}, name="reconcile-d32c5kddcf5bb8c3")
    assert {payload["job"] for payload in runner.functions.asked} == {"reconcile-d32c5kddcf5bb8c3"}


def test_where_nothing_is_to_be_done_no_work_begins(runner: Runner) -> None:
    runner.functions.batches, runner.functions.surveys, runner.functions.reports = 0, 1, 1
    execution = runner.run({"request": REQUEST})
    assert execution["status"] == "SUCCEEDED"
    assert [name for name, _ in runner.entered(execution)] == [
        "IsNamed",
        "NameAfterExecution",
        "Begin",
        "Survey",
        "IsSurveyed",
        "Report",
        "IsReported",
        "Reported",
    ]


def test_a_batch_that_is_not_done_is_run_again(runner: Runner) -> None:
    runner.functions.fails = lambda payload, times: "Unfinished" if "batch" in payload and times < 4 else None
    assert runner.run({"request": REQUEST})["status"] == "SUCCEEDED"
    assert set(Counter(batch["batch"] for batch in runner.functions.steps(None)).values()) == {4}


# moto lets no function fail with a name that is the interpreter's own.
@pytest.mark.parametrize(
    "error", sorted((retryable() | OF_LAMBDA) - {*ITS_OWN.values(), "States.Timeout"}, key=str)
)
def test_every_step_goes_on_after_what_passes(runner: Runner, error: str) -> None:
    runner.functions.fails = lambda _payload, times: error if times == 1 else None
    runner.functions.surveys = 2  # the first fails, and counts
    assert runner.run({"request": REQUEST, "job": "existing"})["status"] == "SUCCEEDED"
    assert len(runner.functions.steps("survey")) == 2
    assert len(runner.functions.steps("report")) == 4


def test_a_survey_that_outlived_its_execution_is_waited_for(runner: Runner) -> None:
    runner.functions.fails = lambda payload, times: (
        SurveyUnderWay.__name__ if payload.get("step") == "survey" and times == 1 else None
    )
    assert runner.run({"request": REQUEST, "job": "existing"})["status"] == "SUCCEEDED"


def test_it_is_waited_for_as_long_as_a_function_may_run() -> None:
    [retrier] = [one for one in TASKS["Survey"]["Retry"] if SurveyUnderWay.__name__ in one["ErrorEquals"]]
    waits = [
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** attempt, retrier["MaxDelaySeconds"])
        for attempt in range(retrier["MaxAttempts"])
    ]
    assert "JitterStrategy" not in retrier
    assert sum(waits) > TASKS["Survey"]["TimeoutSeconds"] + 60


def test_batches_that_fail_for_good_are_reported_and_stop_nothing(runner: Runner) -> None:
    runner.functions.fails = lambda payload, _times: (
        "KeyError" if "000001" in payload.get("batch", "") else None
    )
    assert runner.run({"request": REQUEST})["status"] == "SUCCEEDED"
    assert len(runner.functions.steps(None)) == 2, "none is tried again"
    assert len(runner.functions.steps("report")) == 2


def test_nobody_takes_a_job_for_done_whose_batches_failed(runner: Runner) -> None:
    runner.functions.failed = 1
    execution = runner.run({"request": REQUEST})
    assert (execution["status"], execution["error"]) == ("FAILED", "BatchesFailed")
    assert len(runner.functions.steps("report")) == 2


def test_work_that_fails_as_a_whole_is_reported_and_told(runner: Runner) -> None:
    """The batches cannot even be listed."""
    s3 = runner.functions.control
    s3.delete_bucket(Bucket="control")
    s3.create_bucket(Bucket="elsewhere")
    runner.functions.bucket = "elsewhere"
    execution = runner.run({"request": REQUEST})
    assert execution["status"] == "FAILED"
    assert runner.entered(execution)[-1][0] == "WorkFailed"
    assert runner.functions.steps(None) == []
    assert len(runner.functions.steps("report")) == 2


def test_a_survey_that_cannot_be_made_fails_the_job_at_once(runner: Runner) -> None:
    runner.functions.fails = lambda _payload, _times: "InvalidJob"
    execution = runner.run({"request": REQUEST})
    assert (execution["status"], execution["error"]) == ("FAILED", "InvalidJob")
    assert len(runner.functions.asked) == 1


def test_whatever_is_asked_for_no_state_is_given_a_thousandth_of_what_it_may_have(runner: Runner) -> None:
    request = {"Kind": "backfill", "MatchAnyPrefix": ["p" * 1000] * 260}
    given = {"request": request, "job": JOB}
    assert MOST_PAYLOAD - 2000 < len(json.dumps(given)) < MOST_PAYLOAD
    execution = runner.run(given)
    assert execution["status"] == "SUCCEEDED", execution
    assert runner.functions.steps("survey")[0]["request"] == request
    (first, _), (second, _), *later = runner.entered(execution)
    assert [first, second] == ["IsNamed", "Begin"], "they get what was given, and hand none of it on"
    assert max(size for _, size in later) < MOST_PAYLOAD / 1000
    assert len(execution["output"]) < MOST_PAYLOAD / 1000
