"""``s3rctl reconcile``: both sides compared with the ledger, and what differs put right."""

import argparse
from typing import Final

from s3rctl import jobs
from s3rctl.arguments import positive
from s3rctl.common import Commands, command, group
from s3replicator.decisions.job import Filters, Job, JobKind

_GROUP: Final = """\
Events can be lost, and people and lifecycle rules change replicas. A reconcile lists the source and every
destination, compares both with the ledger, and has what differs put right by the same engine that
replicates: what `s3rctl settle` does for one key, for all of them. What is as it should be costs a listing,
and is left alone.

What it looks for: versions that a rule selects and that no event told of (Missing), replicas that others
removed (Lost), replicas of ours the ledger does not know (Unrecorded), two replicas of one version (Twice),
replicas in the wrong order (WrongOrder), keys whose repair was interrupted (Unsettled), and with --deep tags,
locks and annotations that are not the source's (Different)."""

_START: Final = """\
Returns once the job is started, and prints its id.

  --restore-lost  also copies again what others have removed at the destination. Without it that is reported
                  and stays so: a lifecycle rule of the destination would otherwise be fought for ever.
  --deep          also compares tags, locks and annotations: six requests for every object.
  --grace SECONDS leaves versions younger than that to their events: in a bucket that is written to, some are
                  always under way. 900 is enough unless the queues are behind; a scheduled reconcile has it.
  --dry-run       only reports. Then `watch` exits with 1 if anything was found.

Nothing is started without --yes, or a yes at the terminal. With --watch it exits as `watch` does."""

_EXAMPLES: Final = """\
  s3rctl reconcile start --dry-run --yes --watch
  s3rctl reconcile start --prefix reports/ --yes
  s3rctl reconcile start --restore-lost --yes --watch"""


def add_to(commands: Commands) -> None:
    own = group(
        commands,
        "reconcile",
        summary="find what is not as it should be, and put it right",
        description=_GROUP,
    )
    start = command(own, "start", summary="start a reconcile", description=_START, examples=_EXAMPLES)
    jobs.start_options(start)
    start.add_argument("--restore-lost", action="store_true", help="copy again what others have removed")
    start.add_argument(
        "--deep", action="store_true", help="also compare tags, locks and annotations, object by object"
    )
    start.add_argument(
        "--grace",
        metavar="SECONDS",
        type=positive,
        default=0,
        help="leave versions younger than that to their events (default 0)",
    )
    start.set_defaults(run=run_start)
    jobs.add_shared(own, JobKind.RECONCILE, "reconcile-20260131-120000")


def run_start(given: argparse.Namespace) -> int:
    prefix, prefixes = jobs.prefixes(given)
    return jobs.start(
        given,
        Job(
            id="",
            kind=JobKind.RECONCILE,
            prefix=prefix,
            filters=Filters(prefixes=prefixes),
            repair=not given.dry_run,
            restore_lost=given.restore_lost,
            deep=given.deep,
            grace=given.grace,
            failed_only=given.failed_only,
        ),
    )
