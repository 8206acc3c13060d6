"""``s3rctl settle``: one key looked at and put right, by hand."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from s3rctl import status
from s3rctl.arguments import chosen_destinations, object_at_source, some_destinations
from s3rctl.common import DONE, NOT_DONE, Commands, command, complain, connect, note, print_json, safe
from s3replicator.decisions.inspection import VersionReport
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.versions import id_for_s3
from s3replicator.usecases.by_hand import Report, Request

#: What leaves something to be done, by another function or by an operator.
_UNFINISHED: Final = frozenset(
    {Result.HANDED_OVER, Result.SENT_TO_LARGE_LANE, Result.DELAYED, Result.PARKED, Result.DEFERRED}
)

_DESCRIPTION: Final = """\
The stack's retry function lists the key at the source and at each destination, compares both with the
ledger, and does what is missing: it copies every version that a rule selects and that is not there, puts
replicas that stand in the wrong order where they belong, and brings tags, locks and annotations up to date.
What is right already is left alone, so it can be run as often as you like.

Use it when `s3rctl status` shows something that does not get on by itself: events that were lost, versions
that failed and whose cause has been removed, replicas that others removed or changed.

It needs no --yes: it never removes anything that the replicator did not write, and without --purge only
what a newer copy of the same version has replaced.

  --restore-lost  copies again what others have removed at the destination. Without it that stays so: a
                  lifecycle rule of the destination would otherwise be fought for ever.
  --purge         also removes replicas of versions that the source no longer lists, where the rule has
                  VersionDeletes enabled. The source does not tell why a version is gone, so this follows
                  its lifecycle rules, too. The breaker on version deletes counts what is removed.

While another worker holds the key it is asked again, for some minutes. A large object is copied part by
part by another function: it stays PENDING until that has finished, which `s3rctl status` tells.

Shows what `s3rctl status` shows. Exits with 0 if every version is settled; with 1 if something remains
(failed, pending, or held by another worker), or if neither the source nor the ledger knows the key."""

_EXAMPLES: Final = """\
  s3rctl settle s3://my-bucket/reports/2026.csv
  s3rctl settle s3://my-bucket/key --destination my-replicas --restore-lost
  s3rctl settle s3://my-bucket/key --purge --json"""


def add_to(commands: Commands) -> None:
    parser = command(
        commands,
        "settle",
        summary="put one object right at every destination",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    object_at_source(parser)
    parser.add_argument("--restore-lost", action="store_true", help="copy again what others removed")
    parser.add_argument(
        "--purge", action="store_true", help="remove replicas of versions the source no longer lists"
    )
    some_destinations(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    bucket, key = given.object
    operator = connect(given)
    status.check_source(operator, bucket)
    chosen = chosen_destinations(operator.stack, given)
    request = Request(bucket, key, chosen, restore_lost=given.restore_lost, purge=given.purge)
    report = operator.settle_request().send(request, _tell_waiting)
    versions = _at(chosen, status.inspect(operator, bucket, key))
    settled = bool(versions) and _is_settled(report, versions)
    if given.json:
        print_json(
            {
                **status.document(bucket, key, versions),
                "settled": settled,
                "outcomes": [_document(outcome) for outcome in report.outcomes],
                "busy": report.busy,
            }
        )
    elif versions:
        status.print_versions(versions)
    else:
        print(safe(f"Neither the source nor the ledger knows s3://{bucket}/{key}"))
    _tell(report)
    if given.purge:
        _tell_kept(versions)
    return DONE if settled else NOT_DONE


def _at(destinations: Sequence[str], versions: Iterable[VersionReport]) -> list[VersionReport]:
    """What was not asked for is not told of."""
    return [
        replace(
            version,
            destinations=tuple(at for at in version.destinations if at.destination in destinations),
        )
        for version in versions
    ]


def _is_settled(report: Report, versions: Iterable[VersionReport]) -> bool:
    return (
        not report.busy
        and not any(outcome.result in _UNFINISHED for outcome in report.outcomes)
        and all(at.settled for version in versions for at in version.destinations)
    )


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "destination": outcome.destination,
        "versionId": id_for_s3(outcome.version_id) if outcome.version_id else None,
        "result": outcome.result,
        "reason": outcome.reason,
        "detail": outcome.detail,
    }


def _tell_waiting(destinations: Sequence[str]) -> None:
    note(f"Another worker is at work on the key at {', '.join(destinations)}: waiting")


def _tell(report: Report) -> None:
    for outcome in report.outcomes:
        told = _document(outcome)
        which = f"version {told['versionId']}" if told["versionId"] else "the key"
        why = ": ".join(filter(None, (told["reason"], told["detail"])))
        note(f"{which} at {outcome.destination}: {outcome.result}{f', {why}' if why else ''}")
    if report.busy:
        complain(
            f"another worker still holds the key at {', '.join(report.busy)}: it finishes by itself, or loses"
            " the key some minutes after it died; run this again"
        )


def _tell_kept(versions: Iterable[VersionReport]) -> None:
    kept = {
        at.destination
        for version in versions
        if not version.listed
        for at in version.destinations
        if at.replica is not None and not at.purged
    }
    if kept:
        note(
            f"Replicas of versions that are gone are kept at {', '.join(sorted(kept))}:"
            " the rule does not have VersionDeletes enabled"
        )
