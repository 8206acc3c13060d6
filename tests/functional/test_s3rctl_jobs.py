"""Backfill and reconcile as an operator sees them: ``s3rctl backfill``, ``s3rctl reconcile``."""

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest

from s3replicator.decisions.job import job_document, parse_job
from s3replicator.decisions.job_report import Summary, Task, TaskStatus
from s3replicator.decisions.prices import Load
from s3replicator.usecases import job_control
from tests.functional import jobs
from tests.functional.s3rctl_tool import Answer, Machine, Tool, deploy, make_machine
from tests.functional.world import CONTROL, ONE, SOURCE, TWO, World

KINDS = ["backfill", "reconcile"]


@pytest.fixture
def machine(world: World) -> Machine:
    made = make_machine()
    deploy(world, BackfillStateMachineArn=made.arn)
    return made


@pytest.fixture
def s3rctl(machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    monkeypatch.setattr(job_control, "PAUSE", 0)
    return Tool(capsys)


def keep(world: World, job_id: str, **documents: Any) -> None:
    """What the functions write into a job's folder; ``_`` in a name stands for ``/``."""
    for name, document in documents.items():
        key = f"jobs/{job_id}/{name.replace('_', '/')}.json"
        world.s3.put_object(Bucket=CONTROL, Key=key, Body=json.dumps(document))


def summary(**counts: int) -> dict[str, Any]:
    tasks = [
        Task(
            f"key {n}",
            "v",
            ONE,
            TaskStatus(status.upper()),
            "DstBucketNotFound" if status == "failed" else None,
        )
        for status, count in counts.items()
        for n in range(count)
    ]
    return (Summary(versions=len(tasks), octets=2048) + Summary.of(tasks)).document()


def start(s3rctl: Tool, kind: str = "backfill", *options: str) -> str:
    answer = s3rctl(kind, "start", "--yes", *options)
    assert answer.code == 0, answer.err
    return answer.out.strip()


# -- start


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_is_started_and_its_id_is_all_a_script_reads(s3rctl: Tool, machine: Machine, kind: str) -> None:
    job_id = start(s3rctl, kind)
    assert job_id.startswith(f"{kind}-")
    [(name, given)] = machine.started().items()
    assert name == given["job"] == job_id
    assert parse_job(job_id, given["request"]).kind == kind


def test_every_option_says_what_it_means(s3rctl: Tool, machine: Machine) -> None:
    start(
        s3rctl,
        "backfill",
        *("--id", "mine", "--current", "--resync", "--dry-run", "--failed-only"),
        *("--created-after", "2026-01-01", "--created-before", "2026-01-31T13:00:00+01:00"),
        *("--larger-than", "0", "--smaller-than", "5 MiB", "--storage-class", "STANDARD"),
        *("--storage-class", "GLACIER", "--prefix", "reports/a", "--prefix", "reports/b/"),
        *("--suffix", ".csv", "--substring", "2026", "--status", "FAILED", "--status", "NONE"),
    )
    assert machine.started()["mine"]["request"] == {
        "Kind": "backfill",
        "Prefix": "reports/",
        "Scope": "current",
        "CreatedAfter": "2026-01-01T00:00:00Z",
        "CreatedBefore": "2026-01-31T12:00:00Z",
        "ObjectSizeGreaterThanBytes": 0,
        "ObjectSizeLessThanBytes": 5 * 1024**2,
        "MatchAnyStorageClass": ["GLACIER", "STANDARD"],
        "MatchAnyPrefix": ["reports/a", "reports/b/"],
        "MatchAnySuffix": [".csv"],
        "MatchAnySubstring": ["2026"],
        "ObjectReplicationStatuses": ["FAILED", "NONE"],
        "DryRun": True,
        "RestoreLost": True,
        "ReportScope": "FailedTasksOnly",
    }


def test_what_is_not_said_is_left_wide(s3rctl: Tool, machine: Machine) -> None:
    job_id = start(s3rctl, "backfill", "--all-versions", "--prefix", "p/")
    assert machine.started()[job_id]["request"] == {
        "Kind": "backfill",
        "Prefix": "p/",
        "Scope": "all",
        "ObjectReplicationStatuses": ["FAILED", "NONE"],
        "ReportScope": "AllTasks",
    }


def test_to_restore_what_was_removed_is_to_look_at_what_was_replicated(
    s3rctl: Tool, machine: Machine
) -> None:
    job_id = start(s3rctl, "backfill", "--resync")
    request = machine.started()[job_id]["request"]
    assert request["ObjectReplicationStatuses"] == ["COMPLETED", "FAILED", "NONE"]


def test_a_reconcile_has_its_own_options(s3rctl: Tool, machine: Machine) -> None:
    options = ("--restore-lost", "--deep", "--grace", "900", "--dry-run", "--prefix", "p/")
    job_id = start(s3rctl, "reconcile", *options)
    request = machine.started()[job_id]["request"]
    told = {
        "Kind": "reconcile",
        "Prefix": "p/",
        "RestoreLost": True,
        "Deep": True,
        "GraceSeconds": 900,
        "DryRun": True,
    }
    assert {name: request[name] for name in told} == told


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_started_without_yes(s3rctl: Tool, machine: Machine, kind: str) -> None:
    answer = s3rctl(kind, "start", "--prefix", "p/")
    assert answer.code == 0
    assert answer.out == ""
    for told in (SOURCE, ONE, TWO, "Prefix:", "p/", "Nothing is done without --yes"):
        assert told in answer.err
    told = s3rctl(kind, "start", "--json").json
    assert (told["done"], told["request"]["Kind"]) == (False, kind)
    assert machine.started() == {}


@pytest.mark.parametrize(("said", "started"), [("y\n", 1), ("YES\n", 1), ("\n", 0), ("n\n", 0)])
def test_at_a_terminal_one_is_asked(
    s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch, said: str, started: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(said))
    monkeypatch.setattr("sys.stdout", Terminal())
    assert s3rctl("backfill", "start").code == 0
    assert len(machine.started()) == started


def test_json_tells_what_was_started(s3rctl: Tool, machine: Machine) -> None:
    told = s3rctl("reconcile", "start", "--id", "mine", "--yes", "--json").json
    assert (told["done"], told["id"], told["run"], told["status"]) == (True, "mine", "mine", "RUNNING")
    assert told["request"] == machine.started()["mine"]["request"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--id", "a b"], "1 to 64 letters"),
        (["--created-after", "soon"], "2026-01-31T12:00:00Z"),
        (["--larger-than", "much"], "1MiB"),
        (["--status", "replica"], "invalid choice"),
        (["--current", "--all-versions"], "not allowed with"),
        (["--suffix", ""], "MatchAnySuffix is ['']; it must be a list of texts, none of them empty"),
        (["--prefix", "\udcff"], "UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(s3rctl: Tool, wrong: list[str], told: str) -> None:
    answer = s3rctl("backfill", "start", "--yes", *wrong)
    assert answer.code == 2
    assert told in answer.err


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (["--storage-class", "standard"], "write STANDARD"),
        (["--larger-than", "2MiB", "--smaller-than", "1MiB"], "no size is between them"),
        (["--created-after", "2026-02-01", "--created-before", "2026-01-01"], "no time is between them"),
        (["--smaller-than", "0"], "no object is smaller than that"),
        (["--created-before", "2001-01-01"], "nothing older"),
        (["--suffix", "x" * 1025], "no key in S3 has more than 1024"),
        (["--prefix", "q/"], "no enabled rule selects anything that these filters do"),
    ],
)
def test_a_backfill_that_can_match_nothing_is_refused(
    world: World, s3rctl: Tool, machine: Machine, filters: list[str], told: str
) -> None:
    world.rules({"Filter": {"Prefix": "p/"}})
    for options in (["--yes"], ["--dry-run", "--yes"], []):
        answer = s3rctl("backfill", "start", *filters, *options)
        assert answer.code == 2
        assert told in answer.err
    assert machine.started() == {}


def test_a_job_that_began_goes_on_whatever_the_rules_say_now(
    world: World, s3rctl: Tool, machine: Machine
) -> None:
    asked = {"Kind": "backfill", "Prefix": "q/", "MatchAnyStorageClass": ["standard"]}
    keep(world, "mine", job=job_document(parse_job("mine", asked)))
    world.rules({"Filter": {"Prefix": "p/"}})
    assert s3rctl("backfill", "start", "--id", "mine", "--yes").code == 0
    assert machine.started()["mine"]["request"]["MatchAnyStorageClass"] == ["standard"]


def test_a_manifest_none_of_whose_keys_fits_is_refused(
    s3rctl: Tool, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(f"{SOURCE},a.csv\n{SOURCE},b.csv\n")
    where = str(tmp_path / "list.csv")
    answer = s3rctl("backfill", "start", "--manifest", where, "--suffix", ".pdf", "--yes")
    assert answer.code == 2
    assert "fits the filters" in answer.err
    assert machine.started() == {}


@pytest.mark.parametrize("lines", [2, 20_000])
def test_a_manifest_with_a_quotation_that_is_not_closed_is_refused_by_its_line(
    s3rctl: Tool, machine: Machine, tmp_path: Path, lines: int
) -> None:
    (tmp_path / "list.csv").write_text(f'{SOURCE},a\n{SOURCE},"b\n' + f"{SOURCE},c\n" * lines)
    answer = s3rctl("backfill", "start", "--manifest", str(tmp_path / "list.csv"), "--yes")
    assert answer.code == 2
    assert "line 2 has a quotation that does not end on it" in answer.err
    assert machine.started() == {}


@pytest.mark.parametrize(
    "command", [["start"], ["watch", "mine"], ["list"], ["stop", "mine"], ["report", "mine"]]
)
def test_a_stack_of_a_former_release_has_no_jobs(world: World, s3rctl: Tool, command: list[str]) -> None:
    deploy(world, "former")
    answer = s3rctl("--stack", "former", "backfill", *command)
    assert answer.code == 2
    assert "BackfillStateMachineArn" in answer.err
    assert "sam deploy" in answer.err


# -- a job's id


def test_a_job_that_did_not_end_goes_on_under_its_id(world: World, s3rctl: Tool, machine: Machine) -> None:
    for number in range(1, 4):
        start(s3rctl, "backfill", "--id", "mine", "--prefix", "p/")
        keep(world, "mine", job=machine.started()["mine"]["request"])
        machine.end("mine" if number == 1 else f"mine-{number}", "FAILED")
    assert list(machine.started()) == ["mine", "mine-2", "mine-3"]
    assert {given["job"] for given in machine.started().values()} == {"mine"}
    assert len({json.dumps(given) for given in machine.started().values()}) == 1


def test_to_go_on_the_id_is_enough(world: World, s3rctl: Tool, machine: Machine) -> None:
    start(s3rctl, "backfill", "--id", "mine", "--prefix", "p/", "--current")
    keep(world, "mine", job=machine.started()["mine"]["request"])
    machine.end("mine", "ABORTED")
    start(s3rctl, "backfill", "--id", "mine")
    assert machine.started()["mine-2"] == machine.started()["mine"]


def test_an_id_is_not_used_for_something_else(world: World, s3rctl: Tool, machine: Machine) -> None:
    keep(world, "mine", job=job_document(parse_job("mine", {"Kind": "backfill", "Prefix": "p/"})))
    for command in (["backfill", "start", "--prefix", "q/"], ["reconcile", "start"]):
        answer = s3rctl(*command, "--id", "mine", "--yes")
        assert answer.code == 1
        assert "asked for something else" in answer.err
    assert machine.started() == {}


def test_a_job_that_is_running_is_not_started_again(s3rctl: Tool, machine: Machine) -> None:
    start(s3rctl, "backfill", "--id", "mine")
    answer = s3rctl("backfill", "start", "--id", "mine", "--yes")
    assert answer.code == 1
    assert "running already" in answer.err
    assert len(machine.started()) == 1


@pytest.mark.parametrize("remembered", [True, False])
def test_a_job_that_has_ended_is_not_started_again(
    world: World, s3rctl: Tool, machine: Machine, remembered: bool
) -> None:
    if remembered:
        start(s3rctl, "backfill", "--id", "mine")
        machine.end("mine")
    keep(world, "mine", report_summary=summary(succeeded=1))
    answer = s3rctl("backfill", "start", "--id", "mine", "--yes")
    assert answer.code == 1
    assert "has ended" in answer.err


def test_a_job_that_failed_goes_on_though_it_has_a_report(
    world: World, s3rctl: Tool, machine: Machine
) -> None:
    start(s3rctl, "backfill", "--id", "mine")
    machine.end("mine", "FAILED")
    keep(world, "mine", report_summary=summary(failed=1))
    start(s3rctl, "backfill", "--id", "mine")
    assert list(machine.started()) == ["mine", "mine-2"]


def test_a_run_of_another_job_is_not_taken_for_ones_own(world: World, s3rctl: Tool, machine: Machine) -> None:
    start(s3rctl, "backfill", "--id", "mine-2")
    start(s3rctl, "backfill", "--id", "mine")
    machine.end("mine", "FAILED")
    start(s3rctl, "backfill", "--id", "mine")
    assert {name: given["job"] for name, given in machine.started().items()} == {
        "mine-2": "mine-2",
        "mine": "mine",
        "mine-3": "mine",
    }
    machine.end("mine-3", "ABORTED")
    assert s3rctl("backfill", "watch", "mine", "--json").json["run"] == "mine-3"


# -- watch


def watch_to_the_end(
    s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch, job_id: str, *steps: Any
) -> Answer:
    """Watched while the steps are taken, one between two looks."""
    waiting = list(steps)
    monkeypatch.setattr(
        "s3replicator.adapters.runtime.SystemClock.sleep", lambda *_: waiting.pop(0)() if waiting else None
    )
    answer = s3rctl("backfill", "watch", job_id)
    assert not waiting
    return answer


def test_a_job_is_watched_through_its_phases(
    world: World, s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start(s3rctl)

    def surveyed() -> None:
        keep(world, job_id, survey={"totals": {"keys": 40, "versions": 1200, "bytes": 2048, "batches": 1}})

    def end() -> None:
        keep(world, job_id, report_summary=summary(succeeded=3, skipped=1))
        machine.end(job_id)

    answer = watch_to_the_end(
        s3rctl,
        machine,
        monkeypatch,
        job_id,
        surveyed,
        lambda: machine.work(job_id, 10),
        lambda: machine.work(job_id, 10, succeeded=5),
        lambda: machine.work(job_id, 10, succeeded=10, running=False),
        end,
    )
    assert answer.code == 0
    assert answer.err.splitlines()[:4] == [
        "survey: begins",
        "work: 0 of 10 batches",
        "work: 5 of 10 batches",
        "report: waiting for what is still under way, and summing up",
    ]
    assert f"Job {job_id} SUCCEEDED" in answer.err
    assert "4 versions of 2.0 KiB looked at, 4 tasks" in answer.out
    assert answer.out.splitlines()[1:] == [
        "STATUS     REASON  TASKS",
        "SUCCEEDED  -       3",
        "SKIPPED    -       1",
    ]


def test_a_terminal_sees_one_line_that_changes(
    world: World, s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3rctl.bar.sys.stderr.isatty", lambda: True, raising=False)
    job_id = start(s3rctl)
    machine.work(job_id, 4, succeeded=1)

    def end() -> None:
        machine.end(job_id, "ABORTED")

    answer = watch_to_the_end(s3rctl, machine, monkeypatch, job_id, end)
    assert answer.code == 1
    assert "\r\x1b[K[#######.......................] work: 1 of 4 batches\r\x1b[K" in answer.err


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (("SUCCEEDED", {"succeeded": 2}), 0),
        (("SUCCEEDED", {"succeeded": 2, "skipped": 1}), 0),
        (("SUCCEEDED", {}), 0),
        (("SUCCEEDED", {"succeeded": 2, "failed": 1}), 1),
        (("SUCCEEDED", {"pending": 1}), 1),
        (("FAILED", {"succeeded": 2}), 1),
        (("ABORTED", {}), 1),
        (("TIMED_OUT", {}), 1),
    ],
)
def test_watching_exits_with_what_came_of_it(
    world: World, s3rctl: Tool, machine: Machine, ended: tuple[str, dict[str, int]], code: int
) -> None:
    status, counts = ended
    job_id = start(s3rctl)
    machine.end(job_id, status, "States.Runtime")
    keep(world, job_id, report_summary=summary(**counts))
    answer = s3rctl("backfill", "watch", job_id, "--json")
    assert answer.code == code
    assert answer.json["status"] == status
    assert answer.json["summary"]["statuses"] == {
        name: counts.get(name.lower(), 0) for name in ("SUCCEEDED", "FAILED", "SKIPPED", "PENDING")
    }


def test_a_batch_that_failed_is_no_success_and_can_be_gone_on_with(
    world: World, s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start(s3rctl, "backfill", "--id", "mine")
    machine.work(job_id, 3, succeeded=1, timedOut=1)

    def end() -> None:
        machine.work(job_id, 3, succeeded=2, timedOut=1, running=False)
        keep(world, job_id, report_summary=summary(succeeded=2))
        machine.end(job_id)

    answer = watch_to_the_end(s3rctl, machine, monkeypatch, job_id, end)
    assert answer.code == 1
    assert "work: 2 of 3 batches, 1 failed" in answer.err
    assert "1 batch could not be worked through" in answer.err
    assert "start --id mine" in answer.err
    start(s3rctl, "backfill", "--id", "mine")


def test_where_there_is_nothing_to_do_the_report_comes_at_once(
    world: World, s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = start(s3rctl)

    def end() -> None:
        keep(world, job_id, report_summary=summary())
        machine.end(job_id)

    keep(world, job_id, survey={"done": True, "totals": {"batches": 0}})
    answer = watch_to_the_end(s3rctl, machine, monkeypatch, job_id, end)
    assert answer.code == 0
    assert answer.err.startswith("report: ")


def test_a_job_that_failed_says_why_and_how_to_go_on(s3rctl: Tool, machine: Machine) -> None:
    job_id = start(s3rctl, "reconcile")
    machine.end(job_id, "FAILED", "Lambda.TooManyRequestsException")
    answer = s3rctl("reconcile", "watch", job_id)
    assert answer.code == 1
    assert "FAILED" in answer.err
    assert "Lambda.TooManyRequestsException" in answer.err
    assert f"s3rctl reconcile start --id {job_id}" in answer.err


def test_a_dry_run_that_found_something_is_no_success(world: World, s3rctl: Tool, machine: Machine) -> None:
    found = Summary.of([Task("key", "v", ONE, TaskStatus.SKIPPED, finding="Missing")]).document()
    for number, options in enumerate((["--dry-run"], [])):
        job_id = start(s3rctl, "reconcile", "--id", f"job-{number}", *options)
        machine.end(job_id)
        keep(world, job_id, report_summary=found)
        answer = s3rctl("reconcile", "watch", job_id)
        assert answer.code == (1 if options else 0)
        assert "Missing  1" in answer.out


def test_started_and_watched_at_once(
    world: World, s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> None:
        keep(world, "mine", report_summary=summary(failed=1))
        machine.end("mine")

    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", end)
    answer = s3rctl("backfill", "start", "--id", "mine", "--yes", "--watch")
    assert answer.code == 1
    assert "FAILED  DstBucketNotFound  1" in answer.out


def test_to_stop_watching_stops_nothing(
    s3rctl: Tool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    job_id = start(s3rctl)
    monkeypatch.setattr("s3replicator.adapters.runtime.SystemClock.sleep", interrupt)
    assert s3rctl("backfill", "watch", job_id).code == 130
    assert s3rctl("backfill", "list", "--json").json["jobs"][0]["status"] == "RUNNING"


@pytest.mark.parametrize("command", ["watch", "stop", "report"])
def test_a_job_nobody_knows_is_said_to_be_unknown(s3rctl: Tool, command: str) -> None:
    answer = s3rctl("backfill", command, "nobodys")
    assert answer.code == 1
    assert "nothing is known of a job nobodys" in answer.err


# -- list and stop


def test_jobs_are_listed_by_kind_with_their_latest_run(world: World, s3rctl: Tool, machine: Machine) -> None:
    assert s3rctl("backfill", "list").out == "No backfill has been started\n"
    start(s3rctl, "backfill", "--id", "one", "--prefix", "p/", "--dry-run")
    start(s3rctl, "reconcile", "--id", "other")
    machine.end("one", "FAILED")
    start(s3rctl, "backfill", "--id", "one", "--prefix", "p/", "--dry-run")
    listed = s3rctl("backfill", "list", "--json").json["jobs"]
    assert [(job["id"], job["run"], job["status"]) for job in listed] == [("one", "one-2", "RUNNING")]
    assert listed[0]["started"]
    assert listed[0]["ended"] is None
    assert listed[0]["request"]["Prefix"] == "p/"
    heading, line = s3rctl("backfill", "list").out.splitlines()
    assert heading.split() == ["JOB", "STATUS", "STARTED", "ENDED", "SCOPE", "PREFIX"]
    assert line.split()[:2] == ["one", "RUNNING"]
    assert "all, dry run" in line
    assert line.endswith("p/")
    assert [job["id"] for job in s3rctl("reconcile", "list", "--json").json["jobs"]] == ["other"]


def test_a_job_is_stopped_only_with_yes(s3rctl: Tool, machine: Machine) -> None:
    job_id = start(s3rctl)
    answer = s3rctl("backfill", "stop", job_id)
    assert answer.code == 0
    assert "would be stopped" in answer.out
    assert s3rctl("backfill", "stop", job_id, "--json").json["done"] is False
    assert s3rctl("backfill", "stop", job_id, "--yes").code == 0
    assert s3rctl("backfill", "list", "--json").json["jobs"][0]["status"] == "ABORTED"
    again = s3rctl("backfill", "stop", job_id, "--yes", "--json")
    assert (again.code, again.json["done"], again.json["status"]) == (1, False, "ABORTED")


# -- report


ASKED = {"Kind": "backfill"}
MANIFEST = {"Format": "Report_CSV_20180820", "Results": []}


def test_a_report_says_what_became_of_the_tasks(world: World, s3rctl: Tool) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(succeeded=2, failed=1), report_manifest=MANIFEST)
    answer = s3rctl("backfill", "report", "mine")
    assert answer.code == 0
    assert "FAILED     DstBucketNotFound  1" in answer.out
    assert f"s3://{CONTROL}/jobs/mine/report/" in answer.err
    told = s3rctl("reconcile", "report", "mine", "--json").json
    assert told["summary"]["tasks"] == 3
    assert told["manifest"] == MANIFEST
    assert told["estimate"] is None


def test_a_report_that_is_not_there_yet_is_no_error_of_the_asker(s3rctl: Tool) -> None:
    job_id = start(s3rctl)
    answer = s3rctl("backfill", "report", job_id)
    assert answer.code == 1
    assert "has not written its report yet" in answer.err


def test_the_files_of_a_report_are_saved(world: World, s3rctl: Tool, tmp_path: Path) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1), report_manifest=MANIFEST)
    world.s3.put_object(Bucket=CONTROL, Key="jobs/mine/report/0-failed.csv", Body=b"a,b\n")
    folder = tmp_path / "new" / "folder"
    answer = s3rctl("backfill", "report", "mine", "--download", str(folder))
    assert answer.code == 0
    assert "3 files" in answer.err
    assert (folder / "0-failed.csv").read_bytes() == b"a,b\n"
    assert json.loads((folder / "manifest.json").read_text()) == MANIFEST
    assert sorted(path.name for path in folder.iterdir()) == ["0-failed.csv", "manifest.json", "summary.json"]


def test_a_folder_that_cannot_be_written_is_said(world: World, s3rctl: Tool, tmp_path: Path) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1))
    (tmp_path / "file").write_text("")
    answer = s3rctl("backfill", "report", "mine", "--download", str(tmp_path / "file"))
    assert answer.code == 2
    assert "cannot be written" in answer.err


@pytest.mark.parametrize(
    "name",
    [
        *("../escaped", "../../escaped", "/escaped", "sub/escaped", "a/../../escaped", "..", "...", "."),
        *(".bashrc", "a\\escaped", "a\nb", "\x1b[2J", "x" * 300, "-rf", "c:escaped"),
    ],
)
def test_a_report_is_saved_in_its_folder_and_nowhere_else(
    world: World, s3rctl: Tool, tmp_path: Path, name: str
) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1), report_manifest=MANIFEST)
    world.s3.put_object(Bucket=CONTROL, Key=f"jobs/mine/report/{name}", Body=b"planted")
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    answer = s3rctl("backfill", "report", "mine", "--download", str(folder))
    assert answer.code == 2
    assert "no job has written" in answer.err
    assert "\x1b" not in answer.err
    assert answer.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["job", "survey", "report/summary", "report/manifest"])
@pytest.mark.parametrize("body", [b"\xff", b"[]", b"{", b"5", b'{"versions": {}}', b"[" * 100_000])
def test_a_document_that_no_job_has_written_is_told(
    world: World, s3rctl: Tool, name: str, body: bytes
) -> None:
    keep(world, "mine", job=ASKED, survey={}, report_summary=summary(failed=1), report_manifest=MANIFEST)
    world.s3.put_object(Bucket=CONTROL, Key=f"jobs/mine/{name}.json", Body=body)
    for command in (["report", "mine"], ["report", "mine", "--json"], ["start", "--id", "mine", "--yes"]):
        answer = s3rctl("backfill", *command)
        assert answer.code in (0, 1, 2)
        if answer.code == 2:
            assert f"jobs/mine/{name}.json in the control bucket is not what a job has written" in answer.err


def test_an_execution_that_was_started_with_anything_is_listed(s3rctl: Tool, machine: Machine) -> None:
    client = boto3.client("stepfunctions")
    requests = [
        *("5", "[]", '{"request": 5}', '{"job": 5, "request": {"Kind": "backfill"}}'),
        '{"request": {"Kind": "backfill", "MatchAnyPrefix": [1, "\\u001b[2J"], "Scope": {}}}',
        '{"request": {"Kind": "backfill", "MatchAnyPrefix": 5, "Prefix": ["\\u001b"]}}',
        '{"request": {"Kind": ["backfill"]}}',
    ]
    for number, request in enumerate(requests):
        client.start_execution(stateMachineArn=machine.arn, name=f"run-{number}", input=request)
    for command in (["list"], ["list", "--json"], ["stop", "run-4", "--yes"], ["stop", "run-6", "--yes"]):
        answer = s3rctl("backfill", *command)
        assert answer.code in (0, 1), answer
        assert "\x1b" not in answer.out + answer.err


def test_the_marker_of_the_folder_itself_is_no_file(world: World, s3rctl: Tool, tmp_path: Path) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1))
    world.s3.put_object(Bucket=CONTROL, Key="jobs/mine/report/", Body=b"")
    answer = s3rctl("backfill", "report", "mine", "--download", str(tmp_path / "new"))
    assert answer.code == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["summary.json"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_a_report_would_overwrite_elsewhere_stays_as_it_is(
    world: World, s3rctl: Tool, tmp_path: Path, kind: str
) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1))
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    there = folder / "summary.json"
    match kind:
        case "link":
            elsewhere.write_text("mine")
            there.symlink_to(elsewhere)
        case "dangling link":
            there.symlink_to(elsewhere)
        case "folder":
            there.mkdir()
        case "pipe":
            os.mkfifo(there)
    answer = s3rctl("backfill", "report", "mine", "--download", str(folder))
    assert answer.code == 2
    assert str(there) in answer.err
    assert not elsewhere.exists() or elsewhere.read_text() == "mine"


def test_a_report_is_saved_again_over_itself(world: World, s3rctl: Tool, tmp_path: Path) -> None:
    keep(world, "mine", job=ASKED, report_summary=summary(failed=1))
    for _ in range(2):
        assert s3rctl("backfill", "report", "mine", "--download", str(tmp_path)).code == 0


def test_a_dry_run_says_what_it_would_cost(world: World, s3rctl: Tool) -> None:
    loads = {ONE: Load(objects=10**6, octets=10**9), TWO: Load(markers=2, octets=100 * 1024**3)}
    keep(
        world,
        "mine",
        job={**ASKED, "DryRun": True},
        report_summary=summary(skipped=2),
        survey={
            "totals": {"versions": 10**6},
            "load": {name: load.document() for name, load in loads.items()},
        },
    )
    told = s3rctl("backfill", "report", "mine", "--json").json["estimate"]
    assert told["requests"]["CopyObject"] == 10**6
    assert told["requests"]["DeleteObject"] == 2
    # Only the second destination is in another region.
    assert told["transferUsd"] == 2.0
    keep(world, "mine", job=ASKED)
    assert s3rctl("backfill", "report", "mine", "--json").json["estimate"] is None
    keep(world, "mine", job={**ASKED, "DryRun": True})
    answer = s3rctl("backfill", "report", "mine")
    assert "It would cost about 8.77 USD" in answer.out
    assert "CopyObject" in answer.out


# -- with the functions that do the jobs


def run_what_was_started(world: World, machine: Machine, job_id: str) -> None:
    """As the state machine would."""
    jobs.run(world, job_id, **machine.started()[job_id]["request"])
    machine.end(job_id)


def test_what_was_there_before_is_backfilled_and_reported(
    world: World, s3rctl: Tool, machine: Machine, tmp_path: Path
) -> None:
    for number in range(3):
        world.put(f"p/key {number}", b"old")
        world.put(f"p/key {number}", b"new")
    world.put("q/key")
    planned = start(s3rctl, "backfill", "--id", "planned", "--prefix", "p/", "--dry-run")
    run_what_was_started(world, machine, planned)
    assert s3rctl("backfill", "watch", planned).code == 0
    told = s3rctl("backfill", "report", planned, "--json").json
    assert told["estimate"]["requests"]["CopyObject"] == 12
    assert world.versions("p/key 0", ONE) == []

    job_id = start(s3rctl, "backfill", "--id", "done", "--prefix", "p/")
    run_what_was_started(world, machine, job_id)
    watched = s3rctl("backfill", "watch", job_id, "--json")
    assert watched.code == 0
    assert watched.json["summary"]["statuses"]["SUCCEEDED"] == 12
    assert [world.versions("p/key 2", bucket) for bucket in (ONE, TWO)] == [["new", "old"]] * 2
    assert world.versions("q/key", ONE) == []
    assert s3rctl("backfill", "report", job_id, "--download", str(tmp_path)).code == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    lines = [
        line
        for file in manifest["Results"]
        for line in (tmp_path / file["Key"].rpartition("/")[2]).read_text().splitlines()
    ]
    assert len(lines) == 12
    assert all(line.startswith(f"{SOURCE},p/key%20") for line in lines)


def test_a_reconcile_tells_of_drift_and_puts_it_right(world: World, s3rctl: Tool, machine: Machine) -> None:
    world.put("lost event")
    for job_id, options, code in (("look", ["--dry-run"], 1), ("repair", [], 0), ("again", ["--dry-run"], 0)):
        start(s3rctl, "reconcile", "--id", job_id, *options)
        run_what_was_started(world, machine, job_id)
        assert s3rctl("reconcile", "watch", job_id).code == code
    assert "Missing" in s3rctl("reconcile", "report", "look").out
    assert world.versions("lost event", TWO) == ["content"]


# -- manifests


def test_a_manifest_is_checked_kept_and_worked_through(
    s3rctl: Tool, machine: Machine, world: World, tmp_path: Path
) -> None:
    world.rules({})
    old = world.put("a key", b"old")
    world.put("a key", b"new")
    world.put("other")
    listed = tmp_path / "list.csv.gz"
    listed.write_bytes(gzip.compress(f"{SOURCE},a%20key,{world.version_of(old)}\n".encode()))

    job_id = start(s3rctl, "backfill", "--manifest", str(listed))

    request = machine.started()[job_id]["request"]
    assert request["ManifestColumns"] == ["Bucket", "Key", "VersionId"]
    jobs.run(world, job_id, **request)
    assert (world.versions("a key"), world.versions("other")) == (["old"], [])


def test_an_inventory_is_copied_into_the_jobs_folder(s3rctl: Tool, machine: Machine, world: World) -> None:
    world.rules({})
    world.put("key")
    world.s3.create_bucket(Bucket="inventories")
    rows = gzip.compress(f'"{SOURCE}","key"\n'.encode())
    world.s3.put_object(Bucket="inventories", Key="data/1.csv.gz", Body=rows)
    document = {
        "sourceBucket": SOURCE,
        "destinationBucket": "arn:aws:s3:::inventories",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key",
        "files": [{"key": "data/1.csv.gz", "MD5checksum": "unknown"}],
    }
    world.s3.put_object(Bucket="inventories", Key="all/manifest.json", Body=json.dumps(document))

    job_id = start(s3rctl, "backfill", "--manifest", "s3://inventories/all/manifest.json")

    jobs.run(world, job_id, **machine.started()[job_id]["request"])
    assert world.versions("key") == ["content"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"elsewhere,key\n", "line 1 is of the bucket 'elsewhere'"),
        (b"", "names no version"),
        (b"\x1f\x8bnonsense", "no CSV in UTF-8, nor that gzipped"),
        (b"\xff\xfe", "no CSV in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_meant_starts_nothing(
    s3rctl: Tool, machine: Machine, tmp_path: Path, body: bytes | None, problem: str
) -> None:
    listed = tmp_path / "list.csv"
    if body is not None:
        listed.write_bytes(body)
    answer = s3rctl("backfill", "start", "--yes", "--manifest", str(listed))
    assert answer.code == 2
    assert problem in answer.err
    assert machine.started() == {}


def test_a_manifest_excludes_restoring(s3rctl: Tool, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"{SOURCE},key\n")
    answer = s3rctl("backfill", "start", "--yes", "--resync", "--manifest", str(tmp_path / "list.csv"))
    assert answer.code == 2
    assert "with a manifest a job only replicates" in answer.err
    assert machine.started() == {}


def test_a_manifest_is_narrowed_by_a_prefix(
    s3rctl: Tool, machine: Machine, world: World, tmp_path: Path
) -> None:
    for key in ("p/key", "q/key"):
        world.put(key)
    (tmp_path / "list.csv").write_text(f"{SOURCE},p/key\n{SOURCE},q/key\n")
    job_id = start(s3rctl, "backfill", "--prefix", "p/", "--manifest", str(tmp_path / "list.csv"))
    run_what_was_started(world, machine, job_id)
    assert (world.versions("p/key", ONE), world.versions("q/key", ONE)) == (["content"], [])


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_with_a_manifest_goes_on_with_the_one_it_has(
    s3rctl: Tool, machine: Machine, world: World, tmp_path: Path, begun: bool
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"{SOURCE},key\n")
    start(s3rctl, "backfill", "--id", "mine", "--manifest", str(listed))
    if begun:
        keep(world, "mine", job=machine.started()["mine"]["request"])
    machine.end("mine", "FAILED")
    listed.write_text(f"{SOURCE},another\n")
    answer = s3rctl("backfill", "start", "--id", "mine", "--manifest", str(listed), "--yes")
    assert (answer.code, "has its manifest: leave --manifest out" in answer.err) == (1, True)
    assert jobs.text(world, "jobs/mine/manifest/00000.csv") == f"{SOURCE},key\n"
    start(s3rctl, "backfill", "--id", "mine")
    assert machine.started()["mine-2"] == machine.started()["mine"]


def test_what_a_failed_start_left_of_a_manifest_starts_nothing(
    s3rctl: Tool, machine: Machine, world: World
) -> None:
    world.s3.put_object(Bucket=CONTROL, Key="jobs/mine/manifest/00000.csv.gz", Body=b"")
    answer = s3rctl("backfill", "start", "--id", "mine", "--yes")
    assert (answer.code, "did not succeed: give another id" in answer.err) == (1, True)
    assert machine.started() == {}


def test_nothing_of_a_manifest_is_kept_without_yes(
    s3rctl: Tool, machine: Machine, world: World, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(f"{SOURCE},key\n")
    answer = s3rctl("backfill", "start", "--manifest", str(tmp_path / "list.csv"))
    assert (answer.code, "1 key" in answer.err) == (0, True)
    assert jobs.names(world, "jobs/") == []
