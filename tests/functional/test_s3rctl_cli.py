"""What holds for every command of the operator tool: help, exit codes, how the stack is found."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

from s3rctl.main import parser
from s3replicator.decisions.stack import OUTPUTS
from tests.functional.s3rctl_tool import Tool, deploy
from tests.functional.world import SOURCE, World

ROOT = Path(__file__).parents[2]

Command = tuple[tuple[str, ...], argparse.ArgumentParser]


def commands(of: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Command]:
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, own in action.choices.items():
                yield (*path, name), own
                yield from commands(own, (*path, name))


ALL = dict(commands(parser()))
LEAVES = {path: own for path, own in ALL.items() if not dict(commands(own))}
JOB_COMMANDS = {"start": [], "watch": ["id"], "list": [], "stop": ["id"], "report": ["id"]}
NEED_A_STACK = [
    ["status", f"s3://{SOURCE}/key"],
    ["config", "show"],
    ["config", "put", str(ROOT / "pyproject.toml")],
    ["parked", "list"],
    ["parked", "show", "id"],
    ["parked", "retry", "--all"],
    ["parked", "drop", "--all"],
    ["settle", f"s3://{SOURCE}/key"],
    ["breaker", "show"],
    ["breaker", "close", "--yes"],
    ["config", "history"],
    ["config", "rollback", "version"],
    ["config", "explain", f"s3://{SOURCE}/key"],
    ["config", "diff", "current", "current"],
    *([kind, name, *given] for kind in ("backfill", "reconcile") for name, given in JOB_COMMANDS.items()),
    ["check"],
    ["policy", "destination", "bucket"],
    ["policy", "key", "key"],
    ["failed", "list"],
    ["failed", "count"],
    ["failed", "retry", "--all"],
]


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    return Tool(capsys)


# -- help


def test_the_commands_of_this_release() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        *("status", "settle", "check", "policy destination", "policy key"),
        *("config validate", "config show", "config put", "config history", "config rollback"),
        *("config explain", "config diff", "config import"),
        *(f"{kind} {name}" for kind in ("backfill", "reconcile") for name in JOB_COMMANDS),
        *("failed list", "failed count", "failed retry"),
        *("parked list", "parked show", "parked retry", "parked drop"),
        *("breaker show", "breaker close"),
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], path: tuple[str, ...]) -> None:
    answer = Tool(capsys)(*path, "--help")
    assert answer.code == 0
    assert len(ALL[path].description or "") > 80
    for action in ALL[path]._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action.dest


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_json_and_examples_that_parse(path: tuple[str, ...]) -> None:
    assert "--json" in LEAVES[path]._option_string_actions
    _, _, examples = (LEAVES[path].epilog or "").partition("examples:\n")
    for line in examples.splitlines():
        # A pipe before it, or a file behind it, is the shell's affair.
        words = line.rpartition("| ")[2].partition(" >")[0].replace("'", "").split()
        assert words[: 1 + len(path)] == ["s3rctl", *path]
    assert examples


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert Tool(capsys)("--version").out == f"s3rctl {version('s3-replicator')}\n"


WRONG = [
    *(["policy"], ["policy", "destination"], ["policy", "key"], ["check", "bucket"]),
    *([], ["config"], ["parked"], ["breaker"], ["nonsense"], ["status"], ["settle"]),
    *(["config", "put"], ["breaker", "show", "--yes"], ["backfill"], ["backfill", "watch"]),
    *(["reconcile", "report", "a/b"], ["failed"], ["failed", "list", "--limit", "0"], ["config", "rollback"]),
    *(["config", "explain"], ["config", "diff", "old.json"], ["config", "import"]),
    ["config", "diff", "old.json", "new.json", "--keys", "keys.txt", "--prefix", "p"],
]


@pytest.mark.parametrize("wrong", WRONG, ids=" ".join)
def test_wrong_usage_exits_with_two(capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    answer = Tool(capsys)(*wrong)
    assert answer.code == 2
    assert "usage: s3rctl" in answer.err


# -- finding the stack


def test_the_template_has_the_outputs_the_tool_works_by() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Outputs"].keys() >= OUTPUTS
    assert "ConfigurationCacheSeconds" in template["Parameters"]


@pytest.mark.parametrize("command", NEED_A_STACK, ids=lambda command: " ".join(command[:2]))
def test_without_a_stack_no_command_can_work(s3rctl: Tool, command: list[str]) -> None:
    answer = s3rctl(*command)
    assert answer.code == 2
    assert answer.out == ""
    assert "no stack 's3-replicator' in us-east-1" in answer.err


def test_the_stack_is_named_before_or_after_the_command_or_by_the_environment(
    world: World, s3rctl: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(world, "mine")
    assert s3rctl("config", "show").code == 2
    assert s3rctl("--stack", "mine", "config", "show").code == 0
    assert s3rctl("config", "show", "--stack", "mine").code == 0
    monkeypatch.setenv("STACK_NAME", "mine")
    assert s3rctl("config", "show").code == 0
    assert s3rctl("config", "show", "--stack", "another").code == 2


def test_the_region_is_asked_for_or_that_of_the_environment(world: World, s3rctl: Tool) -> None:
    deploy(world)
    assert s3rctl("config", "show").code == 0
    answer = s3rctl("config", "show", "--region", "eu-central-1")
    assert answer.code == 2
    assert "eu-central-1" in answer.err


def test_a_stack_of_another_kind_is_refused_by_what_it_lacks(world: World, s3rctl: Tool) -> None:
    boto3.client("cloudformation").create_stack(
        StackName="s3-replicator",
        TemplateBody='{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}',
    )
    answer = s3rctl("config", "show")
    assert answer.code == 2
    assert "LedgerTableName" in answer.err


# -- where there is no AWS


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command, without anything that would tell it who it is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [Path(sys.executable).parent / "s3rctl", *arguments],
        env={
            **clean,
            "HOME": str(tmp_path),
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "no AWS credentials"),
        ({}, "region"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
        ({"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "no url"}, "no url"),
    ],
    ids=["credentials", "region", "profile", "endpoint"],
)
def test_what_is_missing_is_said_in_a_sentence(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    ended = run(tmp_path, "parked", "list", **environment)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_seen_enough_is_no_failure_to_tell_of(tmp_path: Path) -> None:
    command = f"{Path(sys.executable).parent / 's3rctl'} config validate - --json"
    rules = ",".join(
        f'{{"ID":"{n}","Priority":{n},"Filter":{{}},"Status":"Enabled","DeleteMarkerReplication":'
        '{"Status":"Enabled"},"Destination":{"Bucket":"arn:aws:s3:::replicas"}}'
        for n in range(1000)
    )
    ended = subprocess.run(
        ["bash", "-c", f"{command} | true"],
        input=f'{{"Rules":[{rules}]}}',
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stderr == ""
