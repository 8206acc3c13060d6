"""What ``s3rctl backfill`` and ``s3rctl reconcile`` share: jobs are started, watched, listed, stopped and
reported alike."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from s3rctl import job_report
from s3rctl.arguments import at_most, key_text, without_asking
from s3rctl.bar import Bar, progress_bar
from s3rctl.common import (
    DONE,
    NOT_DONE,
    CannotWork,
    Commands,
    command,
    complain,
    connect,
    iso,
    moment,
    note,
    plural,
    print_json,
    print_table,
    safe,
    said_yes,
    size,
)
from s3rctl.job_report import print_summary, unknown
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.job import InvalidJob, Job, JobKind, is_job_id, job_document
from s3replicator.decisions.job_progress import Phase, Progress, Run, new_id
from s3replicator.decisions.job_reach import beyond_rules, new_job
from s3replicator.decisions.manifest import InvalidManifest
from s3replicator.operator_wiring import Operator
from s3replicator.usecases.job_control import CannotStart, JobControl, NoSuchJob
from s3replicator.usecases.job_manifest import JobManifest, ManifestFiles, examine, keep

_WATCH: Final = """\
Shows how far a job has come, until it ends: it surveys the buckets and writes down what there is to do, works
through that in batches, waits for what is still under way, and writes its report. To stop watching (Ctrl-C)
does not stop the job.

Exits with 0 if every task succeeded or had nothing to do; with 1 if some failed or are still under way, if
the job failed or was stopped, or if a dry run found something that is not as it should be."""

_LIST: Final = """\
The newest jobs first, each with its latest run. Runs of more than 90 days ago are forgotten; the reports of
their jobs are not (`report`)."""

_STOP: Final = """\
What the workers have begun they finish; nothing is undone, and what has been replicated stays. Started again
under its id the job goes on where it was: see `start --id`.

Nothing is stopped without --yes, or a yes at the terminal. Exits with 1 if the job is not running."""

# -- the command line


def add_shared(own: Commands, kind: JobKind, example: str) -> None:
    """``watch``, ``list``, ``stop`` and ``report``. ``example`` is an id."""
    about = f"s3rctl {kind}"
    watch = command(
        own,
        "watch",
        summary="show how far a job has come, until it ends",
        description=_WATCH,
        examples=f"  {about} watch {example}",
    )
    listing = command(
        own,
        "list",
        summary="list jobs",
        description=_LIST,
        examples=f"  {about} list\n  {about} list --limit 100 --json",
    )
    at_most(listing, 20, "look at the newest N runs")
    listing.set_defaults(run=lambda given: _list(given, kind))
    stop = command(
        own,
        "stop",
        summary="stop a job that is running",
        description=_STOP,
        examples=f"  {about} stop {example} --yes",
    )
    without_asking(stop)
    report = job_report.add_to(own, about, example)
    for parser, run in ((watch, _watch), (stop, _stop), (report, job_report.run)):
        parser.add_argument("id", metavar="ID", type=_id, help="the job's id")
        parser.set_defaults(run=run)


def start_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prefix",
        type=key_text,
        metavar="P",
        action="append",
        default=[],
        help="only keys that begin with P; may be given several times (default: all keys)",
    )
    parser.add_argument(
        "--id",
        type=_id,
        metavar="ID",
        help="the job's id; with that of a job that did not end, and nothing else, it goes on",
    )
    parser.add_argument("--dry-run", action="store_true", help="look, and report; change nothing")
    parser.add_argument(
        "--failed-only", action="store_true", help="report only what failed, or is still under way"
    )
    without_asking(parser)
    parser.add_argument("--watch", action="store_true", help="then show how far it has come, until it ends")
    parser.set_defaults(refuse=parser.error)


def _id(text: str) -> str:
    if not is_job_id(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no job's id: these are 1 to 64 letters, digits, hyphens and underscores"
        )
    return text


def prefixes(given: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """What all keys begin with, and what else: one of these."""
    if len(given.prefix) < 2:
        return "".join(given.prefix), ()
    first, last = min(given.prefix), max(given.prefix)
    shared = next((i for i, c in enumerate(first) if not last.startswith(c, i)), len(first))
    return first[:shared], tuple(given.prefix)


# -- start


def start(given: argparse.Namespace, asked: Job, manifest: str | None = None) -> int:
    """Start what was asked for; without ``--id`` a new id is made. ``manifest``: where a list of the versions
    is that are meant."""
    operator = connect(given)
    control = operator.jobs()
    files = operator.manifest_files()
    listed = _listed(given, files, manifest, operator.stack.source_bucket) if manifest else None
    if listed is not None and listed.is_passed_over(asked.filters):
        given.refuse(f"no key of {manifest} fits the filters: widen them, or name another list")
    job = _identified(given, operator, control, replace(asked, columns=listed.columns) if listed else asked)
    if not given.json:
        _print_job(operator, job)
        if listed is not None:
            note(f"  {'Manifest:':<28} {listed}")
    if not said_yes(given, "Start it?"):
        if given.json:
            print_json({"done": False, "id": job.id, "request": job_document(job)})
        return DONE
    try:
        prepare = partial(keep, files, control.store, job, listed) if listed is not None else None
        run = control.start(job, prepare)
    except (CannotStart, InvalidManifest) as problem:
        complain(str(problem))
        return NOT_DONE
    if given.watch:
        note(f"Started {job.id}")
        return _watch_until_it_ends(given, control, job.id)
    if given.json:
        print_json({"done": True, **_run_document(run), "request": job_document(job)})
    else:
        note(f"Started. To see how far it has come: s3rctl {job.kind} watch {job.id}")
        print(job.id)
    return DONE


def _listed(
    given: argparse.Namespace, files: ManifestFiles, manifest: str, source_bucket: str
) -> JobManifest:
    try:
        return examine(files, manifest, source_bucket)
    except InvalidManifest as invalid:
        given.refuse(f"--manifest: {invalid}")
        raise


def _identified(given: argparse.Namespace, operator: Operator, control: JobControl, asked: Job) -> Job:
    """The job, by its id, once it is known that it can do something. Raises ``CannotWork``."""
    job = replace(asked, id=given.id or new_id(asked.kind, control.clock.now()))
    try:
        job = new_job(job.id, job_document(job))
        if given.id is not None and job == Job(job.id, job.kind):
            # Only the id was given: to go on with what was asked for at first.
            known = control.stored(given.id, job.kind)
            if known is not None:
                return known
    except InvalidJob as invalid:
        given.refuse(str(invalid))
    pointless = _beyond_rules(job, operator)
    if pointless is not None:
        raise CannotWork(pointless)
    return job


def _beyond_rules(job: Job, operator: Operator) -> str | None:
    """Why the rules in force give the job nothing to do, as far as they can be read."""
    try:
        rules = operator.configuration().rules(operator.stack.source_bucket)
    except ReplicationError as failure:
        note(f"What rules select could not be looked at: {failure.detail}")
        return None
    return beyond_rules(job, rules)


def _print_job(operator: Operator, job: Job) -> None:
    stack = operator.stack
    note(f"A {job.kind} of {stack.source_bucket} to {', '.join(stack.destinations)}, as its rules say:")
    for name, value in {"Id": job.id, **job_document(job)}.items():
        told = ", ".join(value) if isinstance(value, list) else "yes" if value is True else str(value)
        note(f"  {name + ':':<28} {told}")


# -- watch


def _watch(given: argparse.Namespace) -> int:
    return _watch_until_it_ends(given, connect(given).jobs(), given.id)


def _watch_until_it_ends(given: argparse.Namespace, control: JobControl, job_id: str) -> int:
    try:
        with progress_bar() as bar:
            ended = control.watch(job_id, lambda progress: _show(bar, progress))
    except NoSuchJob:
        return unknown(job_id)
    if given.json:
        summary = ended.summary.document() if ended.summary is not None else None
        print_json({**_run_document(ended.run), "summary": summary})
    elif ended.summary is not None:
        print_summary(ended.summary)
    run = ended.run
    took = f", after {_duration((run.ended or run.started) - run.started)}"
    problem = f": {run.problem}" if run.problem else ""
    note(f"Job {job_id} {run.status}{took}{problem}")
    if ended.batches is not None and ended.batches.failed:
        lost = plural(ended.batches.failed, "batch", "batches")
        complain(f"{lost} could not be worked through, and the report does not tell of them")
    if not ended.complete:
        note(f"To go on with it: s3rctl {run.kind} start --id {job_id}")
    return DONE if ended.succeeded else NOT_DONE


def _show(bar: Bar, progress: Progress) -> None:
    phase, batches = progress.phase, progress.batches
    if phase is Phase.WORK and batches is not None:
        failed = f", {batches.failed} failed" if batches.failed else ""
        text = f"work: {batches.done} of {plural(batches.total, 'batch', 'batches')}{failed}"
        bar.show(batches.done, batches.total, text, milestone=phase)
    elif phase is Phase.SURVEY:
        bar.show(0, 0, f"survey: {_surveyed(progress.totals)}", milestone=phase)
    elif phase is Phase.REPORT:
        bar.show(0, 0, "report: waiting for what is still under way, and summing up", milestone=phase)


def _surveyed(totals: Mapping[str, Any]) -> str:
    known = [
        plural(totals[name], what, many)
        for name, what, many in (
            ("keys", "key", "keys"),
            ("versions", "version", "versions"),
            ("batches", "batch", "batches"),
        )
        if name in totals
    ]
    if "bytes" in totals:
        known.append(str(size(totals["bytes"])))
    return ", ".join(known) or "begins"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    told = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{rest} s"]
    return " ".join(told)


# -- list and stop


def _list(given: argparse.Namespace, kind: JobKind) -> int:
    runs = [run for run in connect(given).jobs().latest(given.limit) if run.kind == kind]
    if given.json:
        print_json({"jobs": [_run_document(run) for run in runs]})
    elif runs:
        print_table(
            ["JOB", "STATUS", "STARTED", "ENDED", "SCOPE", "PREFIX"],
            [
                [run.job, run.status, moment(run.started), moment(run.ended), _scope(run), _prefix(run)]
                for run in runs
            ],
        )
    else:
        print(f"No {kind} has been started")
    return DONE


def _scope(run: Run) -> str:
    told = [str(run.request.get("Scope", ""))] + ["dry run"] * bool(run.request.get("DryRun"))
    return ", ".join(told)


def _prefix(run: Run) -> str:
    any_of = run.request.get("MatchAnyPrefix")
    prefixes = any_of if isinstance(any_of, list) else []
    return ", ".join(map(str, prefixes)) or str(run.request.get("Prefix", ""))


def _stop(given: argparse.Namespace) -> int:
    control = connect(given).jobs()
    try:
        run = control.progress(given.id).run
        if run.running and said_yes(given, f"Stop job {given.id}?"):
            run = control.stop(given.id) or run
            done = True
        else:
            done = False
    except NoSuchJob:
        return unknown(given.id)
    if given.json:
        print_json({"done": done, **_run_document(run)})
    elif done:
        print(safe(f"Stopped. To go on with it: s3rctl {run.kind} start --id {given.id}"))
    elif run.running:
        print(f"Job {given.id} would be stopped")
    else:
        print(f"Job {given.id} is not running: {run.status}")
    return DONE if done or run.running else NOT_DONE


# -- documents


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "id": run.job,
        "run": run.name,
        "kind": run.kind,
        "status": run.status,
        "started": iso(run.started),
        "ended": iso(run.ended),
        "problem": run.problem,
        "request": run.request,
    }
