"""No command ends in a traceback, whatever the environment, the arguments or the streams it is given: it says
in a sentence what is wrong. Every command of the tool is run, also those that are added later: with its first
example in every broken environment, and with the values of its options in every wrong form."""

import errno
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import boto3
import pytest

from s3rctl.main import main, parser
from s3replicator.decisions.stack import StackUnusable
from tests.functional.s3rctl_tool import Answer, deploy, make_machine
from tests.functional.test_s3rctl_cli import LEAVES
from tests.functional.world import ONE, SOURCE, World

#: Those that work without AWS, at least as their first example asks.
OFFLINE = {("config", "validate")}

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
RULE = {
    "Priority": 1,
    "Filter": {},
    "Status": "Enabled",
    "DeleteMarkerReplication": {"Status": "Enabled"},
    "Destination": {"Bucket": f"arn:aws:s3:::{ONE}"},
}
RULES = json.dumps({"Rules": [RULE]})


@cache
def _example(path: tuple[str, ...]) -> tuple[str, ...]:
    _, _, examples = (LEAVES[path].epilog or "").partition("examples:\n")
    words = shlex.split(examples.splitlines()[0].rpartition("| ")[2].partition(" >")[0])[1:]
    return tuple(word.replace("my-bucket", SOURCE).replace("my-replicas", ONE) for word in words)


def example(path: tuple[str, ...]) -> list[str]:
    """The arguments of a command's first example, of the world's buckets."""
    return list(_example(path))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples name, and nothing of the machine's in the environment."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name == "STACK_NAME":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    (tmp_path / "rules.json").write_text(RULES)
    (tmp_path / "keys.txt").write_text("key\n")
    (tmp_path / "broken").write_text("[default\nregion = us-east-1\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name, line in {
        "no-program": "credential_process = /nonexistent/program",
        "half-quoted": "credential_process = 'program",
        "no-document": "credential_process = echo nonsense",
        "no-source": "role_arn = role\nsource_profile = nobody",
        "no-login": "sso_session = nobody\nsso_account_id = 1\nsso_role_name = role",
    }.items():
        (tmp_path / name).write_text(f"[default]\nregion = us-east-1\n{line}\n")
    return tmp_path


# -- the environment

#: What is set, and what is told of it.
ENVIRONMENTS: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "AWS_"),
    "no credentials": ({"AWS_DEFAULT_REGION": "us-east-1"}, "no AWS credentials"),
    "unknown profile": ({"AWS_PROFILE": "nobody"}, "nobody"),
    "empty profile": ({**KEYS, "AWS_PROFILE": ""}, "AWS_PROFILE"),
    "broken config file": ({"AWS_CONFIG_FILE": "broken"}, "broken"),
    "broken credentials file": ({**KEYS, "AWS_SHARED_CREDENTIALS_FILE": "broken"}, "broken"),
    "binary config file": ({"AWS_CONFIG_FILE": "binary"}, "binary"),
    "a folder as config file": ({"AWS_CONFIG_FILE": "."}, "AWS_"),
    "a program that is not there": ({"AWS_CONFIG_FILE": "no-program"}, "/nonexistent/program"),
    "half a quotation": ({"AWS_CONFIG_FILE": "half-quoted"}, "AWS"),
    "a program that says nonsense": ({"AWS_CONFIG_FILE": "no-document"}, "AWS"),
    "a source profile that is not there": ({"AWS_CONFIG_FILE": "no-source"}, "nobody"),
    "a login that is not there": ({"AWS_CONFIG_FILE": "no-login"}, "nobody"),
    "half a pair of keys": (
        {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key"},
        "AWS_SECRET_ACCESS_KEY",
    ),
    "a token file that is not there": (
        {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token",
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/operator",
        },
        "/nonexistent/token",
    ),
    "a place of credentials that is none": (
        {"AWS_DEFAULT_REGION": "us-east-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "nonsense"},
        "AWS",
    ),
    "empty region": ({**KEYS, "AWS_DEFAULT_REGION": ""}, "the region is ''"),
    "no region at all": ({**KEYS, "AWS_DEFAULT_REGION": "no region"}, "'no region'"),
    "a region of no alphabet": ({**KEYS, "AWS_DEFAULT_REGION": "\u00e9"}, "AWS_DEFAULT_REGION"),
    "endpoint without scheme": ({**KEYS, "AWS_ENDPOINT_URL": "localhost:4566"}, "'localhost:4566'"),
    "endpoint without host": ({**KEYS, "AWS_ENDPOINT_URL": "http://"}, "AWS_ENDPOINT_URL"),
    "endpoint of half an address": ({**KEYS, "AWS_ENDPOINT_URL": "http://[bad"}, "AWS_ENDPOINT_URL"),
    "endpoint with too large a port": ({**KEYS, "AWS_ENDPOINT_URL": "http://localhost:99999"}, "99999"),
    "endpoint with no number as port": ({**KEYS, "AWS_ENDPOINT_URL": "http://localhost:port"}, "port"),
    "endpoint of another kind": ({**KEYS, "AWS_ENDPOINT_URL": "ftp://localhost"}, "ftp://localhost"),
    "endpoint of one service": ({**KEYS, "AWS_ENDPOINT_URL_S3": "nonsense"}, "AWS_ENDPOINT_URL_S3"),
    "unknown defaults": ({**KEYS, "AWS_DEFAULTS_MODE": "bogus"}, "bogus"),
    "unknown checksums": ({**KEYS, "AWS_REQUEST_CHECKSUM_CALCULATION": "bogus"}, "bogus"),
    "unknown retries": ({**KEYS, "AWS_RETRY_MODE": "bogus", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ""),
    "a number that is none": ({**KEYS, "AWS_METADATA_SERVICE_TIMEOUT": "soon", "AWS_ACCESS_KEY_ID": ""}, ""),
    "a stack's name that is no text": ({**KEYS, "STACK_NAME": "\udcff"}, "not UTF-8"),
    "nobody answers": ({**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
}


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Whatever is raised but an exit is a traceback."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        sys.exit(main(arguments))
    code = leaving.value.code
    assert isinstance(code, int)
    return Answer(code, *capsys.readouterr())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_environment_ends_a_command_in_a_traceback(
    name: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, told = ENVIRONMENTS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    for path in LEAVES:
        answer = ended(capsys, *example(path))
        if path in OFFLINE and answer.code == 0:
            continue
        assert answer.code == 2, (path, answer)
        assert answer.out == "", path
        assert told in answer.err, (path, answer.err)
        assert answer.err.count("\n") == 1, (path, answer.err)
        assert answer.err.startswith("s3rctl: "), (path, answer.err)


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["policy", "destination", "bucket", "--account", "111122223333"],
        ["config", "explain", "s3://bucket/key", "--file", "rules.json"],
        ["config", "import", "--bucket", "bucket"],
        ["config", "diff", "rules.json", "rules.json", "--prefix", "p"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_nor_where_no_stack_is_asked(
    name: str,
    arguments: list[str],
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in ENVIRONMENTS[name][0].items():
        monkeypatch.setenv(variable, value)
    answer = ended(capsys, *arguments)
    assert answer.code in (0, 2), answer
    assert (answer.err == "") or answer.err.startswith("s3rctl: ")


# -- what options and files are given

WRONG_VALUES = [
    *("", "-", "-x/", "\udcff", "\x1b[31m", "nan", "inf", "-1", "0", "1e9", "9" * 5000, "x" * 5000),
    *("0000-01-01", "99999-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999Z", "NaN"),
    *("2026-02-30", "s3://", "s3:///", "s3://bucket", "1 PiB", "key=value,key=value", "=", ",", "/"),
]


def options_of(path: tuple[str, ...]) -> Iterator[str]:
    for action in LEAVES[path]._actions:
        if action.option_strings and action.nargs is None:
            yield action.option_strings[-1]


@pytest.fixture
def offline(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS cannot be reached: what is wrong is found out before. The command line is built once."""

    def unreachable(_stack: str, _region: str | None) -> None:
        raise StackUnusable("there is no AWS here")

    monkeypatch.setattr("s3rctl.common.operator_of", unreachable)
    monkeypatch.setattr("s3rctl.main.parser", cache(parser))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_no_value_of_an_option_ends_a_command_in_a_traceback(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for option in options_of(path):
        for value in WRONG_VALUES:
            answer = ended(capsys, *example(path), f"{option}={value}")
            assert answer.code in (0, 1, 2), (option, value, answer)
            assert "\x1b" not in answer.out + answer.err, (option, value)


#: The arguments that name files.
FILES = {"file", "keys", "manifest", "old", "new", "download"}


@pytest.mark.parametrize("name", ["missing", ".", "binary", "unreadable", "a\0b", "rules.json/x", "x" * 300])
def test_no_file_ends_a_command_in_a_traceback(
    name: str,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy(world, BackfillStateMachineArn=make_machine().arn)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("s3rctl.main.parser", cache(parser))
    (tmp_path / "rules.json").write_text(RULES)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "unreadable").write_text("{}")
    (tmp_path / "unreadable").chmod(0)
    for path, own in LEAVES.items():
        for action in own._actions:
            if action.dest not in FILES:
                continue
            words = example(path)
            if action.option_strings:
                given = [*words, f"{action.option_strings[0]}={name}"]
            else:
                given = [name if word == "rules.json" else word for word in words]
            answer = ended(capsys, *given)
            # Who may do everything can read everything.
            assert answer.code in (1, 2) or name == "unreadable", (given, answer)


# -- the streams


class Full(io.RawIOBase):
    """Takes nothing, for this reason."""

    def __init__(self, reason: int) -> None:
        self._reason = reason

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(self._reason, os.strerror(self._reason))


def full(reason: int, encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(Full(reason)), encoding=encoding)


def closed() -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


#: By the name of a stream and what is wrong with it: what it is, and the exit codes that are right then.
STREAMS: dict[str, tuple[str, Callable[[], object], set[int]]] = {
    "no stdout": ("stdout", lambda: None, {2}),
    "closed stdout": ("stdout", closed, {2}),
    "full stdout": ("stdout", lambda: full(errno.ENOSPC), {1, 2}),
    "stdout nobody reads": ("stdout", lambda: full(errno.EPIPE), {1, 2}),
    "no stderr": ("stderr", lambda: None, {0, 1, 2}),
    "closed stderr": ("stderr", closed, {0, 1, 2}),
    "full stderr": ("stderr", lambda: full(errno.ENOSPC), {0, 1, 2}),
    "stderr nobody reads": ("stderr", lambda: full(errno.EPIPE), {0, 1, 2}),
    "no stdin": ("stdin", lambda: None, {0, 1, 2}),
    "closed stdin": ("stdin", closed, {0, 1, 2}),
}


@pytest.mark.parametrize("name", STREAMS)
def test_no_stream_ends_a_command_in_a_traceback(
    name: str,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deploy(world)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("s3replicator.adapters.parked_queue._WAIT", 0)
    (tmp_path / "rules.json").write_text(RULES)
    which, make, codes = STREAMS[name]
    for path in LEAVES:
        with monkeypatch.context() as patch:
            patch.setattr(sys, which, make())
            if which != "stderr":
                assert ended(capsys, *example(path)).code in codes, path
            else:
                with pytest.raises(SystemExit) as leaving:
                    sys.exit(main(example(path)))
                assert leaving.value.code in codes, path


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_that_cannot_be_written_is_no_traceback(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", full(errno.ENOSPC))
    answer = ended(capsys, *path, "--help")
    assert (answer.code, answer.err) == (
        2,
        "s3rctl: standard output cannot be written: No space left on device\n",
    )


def shell(here: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command, by a shell that joins its streams as users do."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LC_", "LANG"))
    }
    return subprocess.run(
        ["bash", "-c", line],
        cwd=here,
        env={**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("s3rctl config validate rules.json >&-", 2, "standard output is closed"),
        ("s3rctl --help >&-", 2, "standard output is closed"),
        ("s3rctl config validate rules.json >/dev/full", 2, "No space left on device"),
        ("s3rctl --help >/dev/full", 2, "No space left on device"),
        ("s3rctl config validate - <&-", 2, "standard input is closed"),
        ("s3rctl config validate rules.json --json 2>&-", 0, ""),
        ("s3rctl config validate missing 2>&-", 2, ""),
        ("(trap '' PIPE; s3rctl --help; echo $? >&2) | head -0", 0, ""),
        ("s3rctl config validate rules.json | head -0", 0, ""),
        ("HOME= s3rctl config validate rules.json", 0, ""),
        ("env -u HOME s3rctl config validate rules.json", 0, ""),
    ],
)
def test_pipes_and_closed_streams_are_no_traceback(here: Path, line: str, code: int, told: str) -> None:
    ended = shell(here, line)
    assert ended.returncode == code, ended
    assert told in ended.stderr
    for word in ("Traceback", "Exception ignored", "Error:"):
        assert word not in ended.stderr


@pytest.mark.parametrize(
    "encoding", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}]
)
def test_a_key_of_any_alphabet_is_no_traceback_in_any_locale(here: Path, encoding: dict[str, str]) -> None:
    line = "s3rctl config explain s3://bucket/r\u00e9sum\u00e9-\u6587 --file rules.json --marker"
    ended = shell(here, line, PYTHONCOERCECLOCALE="0", **encoding)
    assert ended.returncode == 0, ended
    assert "Traceback" not in ended.stderr


def test_an_interrupted_command_says_so_by_its_code(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("s3rctl.common.operator_of", interrupt)
    answer = ended(capsys, "status", "s3://bucket/key")
    assert (answer.code, answer.err) == (130, "")


# -- values that look like options


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_value_may_begin_with_a_hyphen(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """All options that take free text."""
    for action in LEAVES[path]._actions:
        if not action.option_strings or action.nargs is not None or action.choices:
            continue
        option = action.option_strings[-1]
        if action.type is not None and action.type.__name__ != "key_text":  # type: ignore[union-attr]  # a function
            continue
        given = parser().parse_args([*example(path), option, "-x/"])
        assert getattr(given, action.dest) in ("-x/", ["-x/"])


def test_what_could_be_an_option_is_taken_for_one_and_the_other_way_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ended(capsys, "backfill", "start", "--prefix", "--yes")
    assert answer.code == 2
    assert "write --prefix=--yes" in answer.err
    answer = ended(capsys, "config", "rollback", "-abc")
    assert answer.code == 2
    assert "-- -abc" in answer.err
    assert parser().parse_args(["config", "rollback", "--", "-abc"]).version == "-abc"
    answer = ended(capsys, "config", "show", "--stack", "--json")
    assert answer.code == 2
    assert "write --stack=--json" in answer.err
