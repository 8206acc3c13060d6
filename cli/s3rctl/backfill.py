"""``s3rctl backfill``: objects that were there before are replicated."""

import argparse
from typing import Final

from s3rctl import jobs
from s3rctl.arguments import between, key_text, size_given
from s3rctl.common import Commands, command, group
from s3replicator.decisions.job import DEFAULT_STANDINGS, Filters, Job, JobKind, Scope, Standing

_GROUP: Final = """\
Replication begins with the events of new versions. What was written before the stack was deployed, or before
a rule selected it, is brought over by a backfill: a job that lists the source, and has every version that
the rules in force select, and that is not there, replicated by the same engine and with the same promises
as new ones. Versions of a key arrive in their order, delete markers where they belong.

It can be run while objects are being written, and as often as you like: what the ledger knows as replicated
is not copied again. What fails does not stop it; it stands in the report, and goes the usual way (retried,
or parked). A job is known by its id: killed or stopped, and started again under its id, it goes on where it
was."""

_START: Final = """\
Returns once the job is started, and prints its id.

What is selected can be narrowed by the filters of S3 Batch Replication; of several, all must hold. --status
is what the ledger says of a version at a destination: NONE, it knows nothing; FAILED, given up, waiting or
not eligible; COMPLETED, replicated. REPLICA are versions that it does not know, and that are replicas
themselves or may be: they are replicated onward, even to a bucket that they came from, when a lost bucket
is filled again. Without it NONE and FAILED are taken. A delete marker has no size and no storage class:
filters by these leave it out.

  --manifest takes a list instead of listing the source: a file, or s3://bucket/key. Either CSV with lines
             bucket,key or bucket,key,versionId, keys URL-encoded, as for S3 Batch Operations, such as
             my-bucket,reports/a%20b.pdf; no heading, gzipped if you like. Without a version id the current
             version is meant. Or the manifest.json of an S3 Inventory in CSV. It is
             checked whole, and kept with the job.
  --resync   also copies again what others have removed at the destination, lifecycle rules included. Without
             it what was removed stays removed.
  --dry-run  finds out what would be done, and what it would cost, and does nothing: see `report`.

Nothing is started without --yes, or a yes at the terminal. With --watch it exits as `watch` does."""

_EXAMPLES: Final = """\
  s3rctl backfill start --dry-run --yes --watch
  s3rctl backfill start --yes
  s3rctl backfill start --prefix reports/ --current --created-after 2026-01-01 --yes
  s3rctl backfill start --status FAILED --yes --watch
  s3rctl backfill start --status REPLICA --status NONE --status FAILED --yes
  s3rctl backfill start --manifest list.csv --yes
  s3rctl backfill start --manifest s3://inventories/source/all/2026-11-22T01-00Z/manifest.json --yes
  s3rctl backfill start --id backfill-20260131-120000 --yes"""


def add_to(commands: Commands) -> None:
    own = group(commands, "backfill", summary="replicate objects that were there before", description=_GROUP)
    start = command(own, "start", summary="start a backfill", description=_START, examples=_EXAMPLES)
    jobs.start_options(start)
    _filters(start)
    start.set_defaults(run=run_start)
    jobs.add_shared(own, JobKind.BACKFILL, "backfill-20260131-120000")


def _filters(parser: argparse.ArgumentParser) -> None:
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--all-versions", action="store_true", help="all versions and delete markers (the default)"
    )
    scope.add_argument("--current", action="store_true", help="only current versions, and no delete markers")
    between(parser, "created", "versions written")
    for name in ("larger", "smaller"):
        parser.add_argument(
            f"--{name}-than",
            type=size_given,
            metavar="SIZE",
            help=f"only objects {name} than this, such as 1MiB",
        )
    for name, what in (
        ("storage-class", "of this storage class"),
        ("suffix", "whose key ends with this"),
        ("substring", "whose key contains this"),
    ):
        parser.add_argument(
            f"--{name}",
            type=key_text,
            action="append",
            default=[],
            metavar="TEXT",
            help=f"only versions {what}, or another one that is given",
        )
    parser.add_argument(
        "--status",
        action="append",
        choices=[standing.value for standing in Standing],
        help="only versions of this status, or another one that is given (default: NONE and FAILED)",
    )
    parser.add_argument(
        "--manifest",
        metavar="WHAT",
        help="only versions of this list: a CSV file, or the manifest.json of an S3 Inventory",
    )
    parser.add_argument("--resync", action="store_true", help="also copy again what others have removed")


def run_start(given: argparse.Namespace) -> int:
    if given.manifest is not None and given.resync:
        given.refuse("--manifest and --resync exclude each other: with a manifest a job only replicates")
    # A prefix narrows a listing; a manifest is not listed, so that it has to be a filter.
    prefix, prefixes = jobs.prefixes(given) if given.manifest is None else ("", tuple(given.prefix))
    standings = frozenset(Standing(status) for status in given.status or ())
    if not standings:
        standings = DEFAULT_STANDINGS | ({Standing.COMPLETED} if given.resync else frozenset())
    return jobs.start(
        given,
        Job(
            id="",
            kind=JobKind.BACKFILL,
            prefix=prefix,
            scope=Scope.CURRENT if given.current else Scope.ALL,
            filters=Filters(
                created_after=given.created_after,
                created_before=given.created_before,
                larger_than=given.larger_than,
                smaller_than=given.smaller_than,
                storage_classes=frozenset(given.storage_class),
                prefixes=prefixes,
                suffixes=tuple(given.suffix),
                substrings=tuple(given.substring),
            ),
            standings=standings,
            repair=not given.dry_run,
            restore_lost=given.resync,
            failed_only=given.failed_only,
        ),
        given.manifest,
    )
