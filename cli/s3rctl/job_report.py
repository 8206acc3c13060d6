"""What a job has done, shown and saved."""

import argparse
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from s3rctl.common import (
    DONE,
    NOT_DONE,
    CannotWork,
    Commands,
    command,
    complain,
    connect,
    note,
    plural,
    print_json,
    print_table,
    size,
)
from s3replicator.decisions.job import folder_of
from s3replicator.decisions.job_report import Summary, TaskStatus, is_file_name
from s3replicator.decisions.prices import Estimate, Load, estimate
from s3replicator.operator_wiring import Operator
from s3replicator.usecases.job_control import JobControl, JobReport, NoSuchJob

_REPORT: Final = """\
Once a job has ended: how many tasks succeeded, failed or were skipped, and why. A task is one version at one
destination. Skipped is what had nothing to be done: it is gone, or cannot or shall not be replicated. Of a
dry run also what it would have cost, from Amazon's public prices.

The report itself is in the control bucket, in the form of the completion reports of S3 Batch Operations: a
manifest.json, and CSV files of the columns Bucket, Key (URL-encoded), VersionId, TaskStatus, ErrorCode,
HTTPStatusCode, ResultMessage.

Exits with 1 if there is no report yet."""


def add_to(own: Commands, about: str, example: str) -> argparse.ArgumentParser:
    """``about`` are the words before it, ``example`` is an id."""
    parser = command(
        own,
        "report",
        summary="show what a job has done",
        description=_REPORT,
        examples=f"  {about} report {example}\n  {about} report {example} --download report-files",
    )
    parser.add_argument("--download", metavar="DIR", help="save the files of the report in this folder")
    return parser


def run(given: argparse.Namespace) -> int:
    operator = connect(given)
    control = operator.jobs()
    try:
        report = control.report(given.id)
    except NoSuchJob:
        return unknown(given.id)
    if report.summary is None:
        complain(f"job {given.id} has not written its report yet; it does when it ends (`watch` tells)")
        return NOT_DONE
    saved = _download(control, given.id, Path(given.download)) if given.download is not None else None
    cost = _estimate(operator, report)
    if given.json:
        print_json(
            {
                "id": given.id,
                "summary": report.summary.document(),
                "estimate": cost.document() if cost else None,
                "manifest": report.manifest,
            }
        )
        return DONE
    print_summary(report.summary)
    if cost is not None:
        _print_estimate(cost)
    if saved is not None:
        note(f"Saved {plural(saved, 'file')} in {given.download}")
    else:
        note(f"All of it: s3://{operator.stack.control_bucket}/{folder_of(given.id)}report/")
    return DONE


def _download(control: JobControl, job_id: str, folder: Path) -> int:
    """How many files were saved. Nothing is written anywhere else than in the folder, and nothing at all if
    a name is none of a file there."""
    names = [name for name in control.report_names(job_id) if name]
    for name in names:
        if not is_file_name(name):
            raise CannotWork(
                f"{folder_of(job_id)}report/ has an object {name!r}, which no job has written, and which"
                " cannot become a file: nothing was saved; find out who writes there, and remove it"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            body = control.report_file(job_id, name)
            if body is not None:
                _save(folder / name, body)
    except OSError as error:
        raise CannotWork(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise CannotWork(f"{str(folder)!r} is no name of a folder: {error}") from error
    return len(names)


def _save(path: Path, body: bytes) -> None:
    """What the name may be a link to, or a device, stays as it is."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(
            errno.EEXIST, "it is there, and is no file; remove it, or name another folder", str(path)
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(body)


def _estimate(operator: Operator, report: JobReport) -> Estimate | None:
    """Of a dry run only: what the others have cost the bill tells."""
    loads = report.survey.get("load", {})
    if not report.request or not report.request.get("DryRun"):
        return None
    listed = report.survey.get("totals", {}).get("versions", 0)
    return estimate({name: Load.read(load) for name, load in loads.items()}, operator.stack.remote, listed)


def _print_estimate(cost: Estimate) -> None:
    print(
        f"\nIt would cost about {cost.usd:.2f} USD: {cost.requests_usd:.2f} for requests,"
        f" {cost.transfer_usd:.2f} for transfer to other regions, {cost.computing_usd:.2f} for computing"
    )
    print_table(["REQUEST", "COUNT"], [[name, str(count)] for name, count in cost.requests.items()])


def print_summary(summary: Summary) -> None:
    looked_at = f"{plural(summary.versions, 'version')} of {size(summary.octets)}"
    print(f"{looked_at} looked at, {plural(summary.tasks, 'task')}")
    rows: list[Sequence[str | None]] = [
        [status, reason, str(count)]
        for status in TaskStatus
        for reason, count in summary.reasons(status).items()
    ]
    if rows:
        print_table(["STATUS", "REASON", "TASKS"], rows)
    if summary.findings:
        print_table(["FOUND", "TIMES"], [[name, str(n)] for name, n in sorted(summary.findings.items())])


def unknown(job_id: str) -> int:
    complain(
        f"nothing is known of a job {job_id}: `s3rctl backfill list` and `reconcile list` tell of others"
    )
    return NOT_DONE
