"""``s3rctl failed``: the versions that are not where they should be, from the ledger."""

import argparse
from collections.abc import Sequence
from typing import Any, Final

from s3rctl.arguments import (
    at_most,
    between,
    chosen_destinations,
    key_text,
    positive,
    some_destinations,
    without_asking,
)
from s3rctl.bar import progress_bar
from s3rctl.common import (
    DONE,
    NOT_DONE,
    CannotWork,
    Commands,
    command,
    complain,
    connect,
    group,
    iso,
    moment,
    note,
    plural,
    print_json,
    print_table,
    said_yes,
)
from s3replicator.decisions.failures import Reason, ReplicationError
from s3replicator.decisions.ledger import Status
from s3replicator.decisions.open_work import Group, NoSuchPlace, OpenRow, Wanted, grouped
from s3replicator.decisions.versions import id_for_s3
from s3replicator.usecases.open_work import OpenWork

_GROUP: Final = """\
The ledger keeps what is not done, for as long as it takes: versions that failed for good and wait for
somebody (FAILED), that are tried again at a time that is told (PENDING), that cannot be replicated as they
are stored (NOT_ELIGIBLE), what is kept out since another key has its place (DestinationKeyConflict), and what
could not be put right about versions that are settled.

`s3rctl parked` shows the messages about the first of these. A message can be lost, or dropped, or expire
after 14 days; the ledger's row stays."""

_LIST: Final = """\
One line per version and destination. The list has no order over all: it comes in sixteen parts for each
destination, in each what is due first, then what waits for somebody.

A long list comes in pages: what is printed at the end of one, given with --after, begins the next."""

_COUNT: Final = """\
How many versions there are for each destination, status and reason, and when the first of them failed last.
All of the open work is read for it."""

_RETRY: Final = """\
After the cause has been removed. For each version an event is sent to the function that settles, as if S3
had sent it: it is judged by the rules in force, copied if it is not there, and put in its place. Sent twice
does no harm. What fails again is recorded and parked again; the messages that are parked already stay until
they are dropped (`s3rctl parked drop`).

What is settled but for something that no event can put right is left alone: see `s3rctl settle`.

Nothing is sent without --yes, or a yes at the terminal, and nothing with --dry-run.

Exits with 1 if nothing matches, or if the queue does not take it all."""


def add_to(commands: Commands) -> None:
    own = group(
        commands, "failed", summary="see and retry what is not where it should be", description=_GROUP
    )
    listing = command(
        own,
        "list",
        summary="list what is not done, with the reasons",
        description=_LIST,
        examples="  s3rctl failed list\n"
        "  s3rctl failed list --reason DstPutObjectNotPermitted --prefix reports/ --limit 20\n"
        "  s3rctl failed list --status FAILED --failed-after 2026-01-31 --json",
    )
    _filters(listing)
    at_most(listing, 100, "about N lines")
    listing.add_argument("--after", metavar="PLACE", help="go on where a former page ended")
    listing.set_defaults(run=run_list)
    count = command(
        own,
        "count",
        summary="count what is not done, by reason",
        description=_COUNT,
        examples="  s3rctl failed count\n  s3rctl failed count --destination my-replicas --json",
    )
    _filters(count)
    count.set_defaults(run=run_count)
    retry = command(
        own,
        "retry",
        summary="try again what is not done",
        description=_RETRY,
        examples="  s3rctl failed retry --reason DstPutObjectNotPermitted --dry-run\n"
        "  s3rctl failed retry --destination my-replicas --rate 10 --yes\n"
        "  s3rctl failed retry --all --yes",
    )
    _filters(retry)
    retry.add_argument("--all", action="store_true", help="everything")
    at_most(retry, 100_000, "about N versions at most")
    retry.add_argument(
        "--rate",
        type=positive,
        default=50,
        metavar="N",
        help="at most N a second, to spare what has just recovered (default: %(default)s)",
    )
    retry.add_argument("--dry-run", action="store_true", help="only say what would be done")
    without_asking(retry)
    retry.set_defaults(run=run_retry, refuse=retry.error)


def _filters(parser: argparse.ArgumentParser) -> None:
    some_destinations(parser)
    parser.add_argument("--reason", metavar="CODE", help="only what failed for this reason")
    parser.add_argument("--rule", metavar="ID", help="only what this rule selected")
    parser.add_argument(
        "--prefix", type=key_text, default="", metavar="P", help="only keys that begin with P"
    )
    parser.add_argument(
        "--status", choices=[status.value for status in Status], help="only versions of this status"
    )
    between(parser, "failed", "what failed last")


def _wanted(given: argparse.Namespace) -> Wanted:
    return Wanted(
        status=Status(given.status) if given.status else None,
        reason=given.reason,
        rule=given.rule,
        prefix=given.prefix,
        failed_after=given.failed_after,
        failed_before=given.failed_before,
    )


# -- list and count


def run_list(given: argparse.Namespace) -> int:
    operator = connect(given)
    destinations = chosen_destinations(operator.stack, given)
    try:
        rows, after = operator.open_work().page(destinations, _wanted(given), given.limit, given.after)
    except NoSuchPlace as problem:
        raise CannotWork(f"--after: {problem}") from problem
    if given.json:
        print_json({"versions": [_document(found) for found in rows], "after": after})
    elif rows:
        _print_rows(rows)
    else:
        print("Nothing that matches is open")
    if after is not None:
        note(f"There is more: --after {after}")
    return DONE


def run_count(given: argparse.Namespace) -> int:
    operator = connect(given)
    destinations = chosen_destinations(operator.stack, given)
    groups = grouped(operator.open_work().rows(destinations, _wanted(given)))
    total = sum(group.count for group in groups)
    if given.json:
        print_json({"count": total, "groups": _group_documents(groups)})
    elif groups:
        _print_groups(groups)
    else:
        print("Nothing that matches is open")
    return DONE


def _document(found: OpenRow) -> dict[str, Any]:
    row = found.row
    return {
        "destination": found.key.destination,
        "key": found.key.key,
        "versionId": id_for_s3(found.version_id),
        # What tells a null version from others that were in its place.
        "versionName": found.version_id,
        "status": row.standing,
        "reason": row.reason,
        "detail": row.detail,
        "rule": row.rule,
        "attempts": row.attempts,
        "firstFailure": iso(row.first_failure),
        "lastFailure": iso(row.last_failure),
        "due": iso(row.due),
        "requestId": row.request_id,
    }


def _print_rows(rows: Sequence[OpenRow]) -> None:
    print_table(
        ["FAILED", "STATUS", "REASON", "DESTINATION", "RULE", "ATTEMPTS", "DUE", "VERSION", "KEY"],
        [
            [
                moment(found.moment),
                found.row.standing,
                found.row.reason,
                found.key.destination,
                found.row.rule,
                str(found.row.attempts),
                moment(found.row.due),
                id_for_s3(found.version_id),
                _key(found),
            ]
            for found in rows
        ],
    )


def _key(found: OpenRow) -> str:
    """With whose the place is, where that is what keeps the version out."""
    in_the_way = found.row.detail if found.row.reason == Reason.KEY_CONFLICT else None
    return f"{found.key.key} ({in_the_way})" if in_the_way else found.key.key


def _group_documents(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {
            "destination": group.destination,
            "status": group.status,
            "reason": group.reason,
            "count": group.count,
            "oldest": iso(group.oldest),
        }
        for group in groups
    ]


def _print_groups(groups: Sequence[Group]) -> None:
    print_table(
        ["DESTINATION", "STATUS", "REASON", "VERSIONS", "OLDEST"],
        [
            [group.destination, group.status, group.reason, str(group.count), moment(group.oldest)]
            for group in groups
        ],
    )


# -- retry


def run_retry(given: argparse.Namespace) -> int:
    wanted = _wanted(given)
    if given.all == (wanted != Wanted() or bool(given.destinations)):
        given.refuse("which versions? Select them by --reason, --destination, ..., or take --all: not both")
    operator = connect(given)
    work = operator.open_work()
    # All are read before the first is sent: what fails again at once must not be found again.
    found, after = work.page(chosen_destinations(operator.stack, given), wanted, given.limit)
    rows = [each for each in found if each.can_be_retried]
    if rows and not given.json:
        _print_groups(grouped(rows))
    ready = bool(rows) and not given.dry_run and said_yes(given, f"Retry {plural(len(rows), 'version')}?")
    sent, problem = _send(work, rows, given.rate) if ready else (0, None)
    if given.json:
        print_json(
            {
                "done": ready,
                "count": len(rows),
                "sent": sent,
                "complete": after is None,
                "problem": problem,
                "groups": _group_documents(grouped(rows)),
            }
        )
    elif not rows:
        print("Nothing that matches can be retried")
    elif ready:
        print(f"{plural(sent, 'version')} sent to be tried again")
    else:
        print(f"{plural(len(rows), 'version')} would be retried")
    if problem is not None:
        complain(f"the others stay as they are: {problem}")
    if after is not None:
        note(
            f"There is more than the {plural(len(found), 'version')} looked at: run this again for the others"
        )
    return NOT_DONE if problem is not None or not rows else DONE


def _send(work: OpenWork, rows: Sequence[OpenRow], rate: float) -> tuple[int, str | None]:
    """How many were sent, and what kept it from going on."""
    sent = 0

    def tell(_: OpenRow) -> None:
        nonlocal sent
        sent += 1
        bar.show(sent, len(rows), f"{sent} of {plural(len(rows), 'version')} sent")

    with progress_bar() as bar:
        try:
            work.retry(rows, rate, tell)
        except ReplicationError as failure:
            return sent, failure.detail
    return sent, None
