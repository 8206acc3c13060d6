"""``s3rctl status``: every version of a key at every destination."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, Final

from s3rctl.arguments import object_at_source
from s3rctl.common import (
    DONE,
    NOT_DONE,
    CannotWork,
    Commands,
    command,
    connect,
    iso,
    moment,
    print_json,
    print_table,
    safe,
    size,
)
from s3replicator.decisions.inspection import AtDestination, VersionReport
from s3replicator.decisions.versions import NULL, id_for_s3, is_null
from s3replicator.operator_wiring import Operator

_DESCRIPTION: Final = """\
Every version the source lists, and every one the ledger still knows of, newest first; for each destination
its status, with the reason, the replica's version id, and the lag from the event to the replica.

  COMPLETED     the replica was made; if others removed it, or it is still to be deleted, that is told
  PENDING       on its way, or waiting: until a time that is told, or for its event; or the replica is there,
                and lacks what has changed of its version since
  FAILED        given up, and parked: see `s3rctl parked`
  NOT_ELIGIBLE  cannot be replicated as it is stored now; the reason says why
  SUPERSEDED    a newer version was there first, and the rules do not ask for this one any more
  TOMBSTONE     the source version is gone
  REPLICA       is itself a replica, or may be one; replicas are not replicated onward, unless a rule or a job
                asks for it; the reason says how that is known
  NONE          no rule selects it

A version of which the ledger knows nothing is PENDING if a rule selects it. The status of a version as a
whole is FAILED if it is so at one destination, else PENDING if it is so at one, and COMPLETED only if it is
so at all that a rule selects. A version written while versioning was not enabled is called null, as by S3.
The key is taken as it is written: nothing in it is decoded.

Exits with 1 if neither the source nor the ledger knows the key."""

_EXAMPLES: Final = """\
  s3rctl status s3://my-bucket/reports/2026.csv
  s3rctl status 's3://my-bucket/a key?with#anything' --json
  s3rctl status s3://my-bucket/key --version-id 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"""


def add_to(commands: Commands) -> None:
    parser = command(
        commands,
        "status",
        summary="show every version of an object at every destination",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    object_at_source(parser)
    parser.add_argument("--version-id", metavar="ID", help="only this version")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    bucket, key = given.object
    operator = connect(given)
    check_source(operator, bucket)
    versions = inspect(operator, bucket, key, given.version_id)
    if given.json:
        print_json(document(bucket, key, versions))
    elif versions:
        print_versions(versions)
    else:
        which = f"version {given.version_id} of " if given.version_id else ""
        print(safe(f"Neither the source nor the ledger knows {which}s3://{bucket}/{key}"))
    return DONE if versions else NOT_DONE


def check_source(operator: Operator, bucket: str) -> None:
    """Raises ``CannotWork`` if the stack does not replicate from this bucket."""
    stack = operator.stack
    if bucket != stack.source_bucket:
        raise CannotWork(
            f"stack {stack.name!r} replicates from {stack.source_bucket!r}, not from {bucket!r}:"
            " name an object at the source, or another stack with --stack"
        )


def inspect(operator: Operator, bucket: str, key: str, only: str | None = None) -> list[VersionReport]:
    rules = operator.configuration().rules(bucket)
    return operator.inspection().of_key(bucket, key, operator.stack.destinations, rules, only)


def document(bucket: str, key: str, versions: Iterable[VersionReport]) -> dict[str, Any]:
    return {"bucket": bucket, "key": key, "versions": [_document(version) for version in versions]}


def _document(version: VersionReport) -> dict[str, Any]:
    return {
        "versionId": id_for_s3(version.version_id),
        # What tells a null version from others that were in its place.
        "versionName": version.version_id,
        "kind": version.kind,
        "isLatest": version.latest,
        "isAtSource": version.listed,
        "lastModified": iso(version.last_modified),
        "size": version.size,
        "status": version.state,
        "destinations": [_at_document(at) for at in version.destinations],
    }


def _at_document(at: AtDestination) -> dict[str, Any]:
    return {
        "destination": at.destination,
        "replicaKey": at.replica_key,
        "status": at.state,
        "reason": at.reason,
        "detail": at.detail,
        "rule": at.rule,
        "replicaVersionId": at.replica,
        "isInDoubt": at.doubt,
        "isLost": at.lost,
        "isPurged": at.purged,
        "lagSeconds": at.lag,
        "completed": iso(at.completed),
        "attempts": at.attempts,
        "due": iso(at.due),
        "firstFailure": iso(at.first_failure),
        "lastFailure": iso(at.last_failure),
        "requestId": at.request_id,
    }


def print_versions(versions: Sequence[VersionReport]) -> None:
    rows: list[Sequence[str | None]] = []
    for version in versions:
        about = [
            id_for_s3(version.version_id),
            _kind(version),
            moment(version.last_modified),
            size(version.size),
            version.state,
        ]
        # Said once, of the version; then what differs, a line per destination.
        for at in version.destinations:
            rows.append([*about, _place(at), at.state, _lag(at), at.replica, at.rule])
            about = [" "] * len(about)
    print_table(
        ["VERSION", "KIND", "MODIFIED", "SIZE", "STATUS", "DESTINATION", "THERE", "LAG", "REPLICA", "RULE"],
        rows,
    )
    explained = [(v, at) for v in versions for at in v.destinations if at.reason or at.detail or at.doubt]
    for version, at in explained:
        print(f"\n{safe(_name(version))} at {safe(_place(at))}: {at.state}")
        for line in _explanation(at):
            print(f"  {safe(line)}")


def _place(at: AtDestination) -> str:
    return at.destination if at.replica_key is None else f"{at.destination}/{at.replica_key}"


def _name(version: VersionReport) -> str:
    """There may be many null versions, the others gone."""
    if is_null(version.version_id):
        return f"{NULL} ({moment(version.last_modified)})"
    return version.version_id


def _kind(version: VersionReport) -> str:
    place = "current" if version.latest else "noncurrent" if version.listed else "gone"
    return f"{place} {version.kind}"


def _lag(at: AtDestination) -> str | None:
    return None if at.lag is None else f"{at.lag:.1f} s"


def _explanation(at: AtDestination) -> list[str]:
    lines = [": ".join(part for part in (at.reason, at.detail) if part)] if at.reason or at.detail else []
    if at.doubt:
        lines.append("nothing proves whose the replica is: it may be somebody else's, and is never removed")
    if at.attempts:
        lines.append(
            f"attempts: {at.attempts}, the first at {moment(at.first_failure)}, the last at"
            f" {moment(at.last_failure)}"
        )
    if at.due is not None:
        lines.append(f"due again at {moment(at.due)}")
    if at.request_id:
        lines.append(f"S3 request id: {at.request_id}")
    return lines
