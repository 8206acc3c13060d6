"""The replication configuration replaced, and its history: ``s3rctl config put``, and what follows it."""

import argparse
from functools import partial
from typing import Final

from s3rctl.arguments import at_most, file_to_read, without_asking
from s3rctl.common import (
    DONE,
    NOT_DONE,
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
    said_yes,
    size,
)
from s3rctl.config_file import none_in_force, not_compared, read_file, readable, refuse, unknown
from s3replicator.adapters.configuration_document import parse, to_store
from s3replicator.adapters.configuration_object import Former, Overtaken
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration
from s3replicator.decisions.stack import Stack
from s3replicator.operator_wiring import Operator

_PUT: Final = """\
Checks the document first. It is refused if it is invalid, if a rule names a bucket that is not a destination
of the stack, or the source itself, or a KMS key that the functions may not use. Then it says which parameter
of the stack has to name it (Destinations, ReplicaKmsKeys): only that takes a deployment. Whatever else rules
say, new rules included, needs none.

It is stored in UTF-8, whichever encoding it comes in, and without the wrapper ReplicationConfiguration that
`aws s3api get-bucket-replication` prints.

This changes what is replicated from now on, at once and without asking for --yes: the command line says it
all, and `s3rctl config history` and `rollback` are the way back. Objects that are there
already are not touched. Two people never overwrite each other's work without noticing: the document is
written only in the place of the one that was read, and with --replacing only in the place of the version
that you started from.

Exits with 1 if nothing was written."""

_HISTORY: Final = """\
The versions of the document that the control bucket keeps, the newest first, with the time each was written.
`s3rctl config show --version-id` shows one, `s3rctl config rollback` puts one in force again.

Exits with 1 if there is none."""

_ROLLBACK: Final = """\
The former version is written anew, as the newest one: nothing is lost, and this can be undone the same way.
Like any document it is checked first, and written only in the place of the one that was read. Objects that
are there already are not touched: what those rules select of them, a backfill brings.

Nothing is written without --yes, or a yes at the terminal: without it, the version is shown. Exits with 1 if
there is no such version, if it is invalid, or if another has been written meanwhile."""


def add_to(own: Commands) -> None:
    replace = command(
        own,
        "put",
        summary="put a replication configuration in force",
        description=_PUT,
        examples="  s3rctl config put rules.json\n"
        "  s3rctl config put rules.json --replacing 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
    )
    file_to_read(replace)
    _replacing(replace)
    replace.set_defaults(run=run_put)
    history = command(
        own,
        "history",
        summary="list the versions of the replication configuration",
        description=_HISTORY,
        examples="  s3rctl config history\n  s3rctl config history --limit 3 --json",
    )
    at_most(history, 20, "the newest N")
    history.set_defaults(run=run_history)
    rollback = command(
        own,
        "rollback",
        summary="put a former version of the replication configuration in force",
        description=_ROLLBACK,
        examples="  s3rctl config rollback 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY\n"
        "  s3rctl config rollback 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY --yes",
    )
    rollback.add_argument("version", metavar="VERSION", help="the version, as `config history` tells it")
    _replacing(rollback)
    without_asking(rollback)
    rollback.set_defaults(run=run_rollback)


def _replacing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replacing",
        metavar="VERSION",
        help="write only if this version, as `config show` told it, is still in force",
    )


# -- put


def run_put(given: argparse.Namespace) -> int:
    body = read_file(given.file)
    return put(given, connect(given), given.file, body)


def put(given: argparse.Namespace, operator: Operator, name: str, body: bytes) -> int:
    """``name`` is what the document is called where it is refused."""
    stack, where = operator.stack, operator.configuration()
    try:
        body = to_store(body)
        configuration = _checked(stack, body)
    except InvalidConfiguration as error:
        return refuse(given, name, error)
    former = where.read()
    if given.replacing not in (None, former.version_id if former else None):
        in_force = f"version {former.version_id}" if former else "none at all"
        complain(f"not written: version {given.replacing} is no longer in force, but {in_force}")
        return NOT_DONE
    warnings = [
        each for each in (stack.doubt(configuration), not_compared(configuration)) if each is not None
    ]
    tell = partial(_tell, given, seconds=stack.configuration_cache, warning="; ".join(warnings) or None)
    if former is not None and former.body == body:
        return tell(former.version_id, written=False)
    try:
        version_id = where.replace(former, body)
    except Overtaken:
        complain(
            "not written: somebody else has written another configuration this moment;"
            " see `s3rctl config show`, and put yours again if it is still right"
        )
        return NOT_DONE
    return tell(version_id, written=True)


def _checked(stack: Stack, body: bytes) -> Configuration:
    """Raises ``InvalidConfiguration``."""
    configuration = parse(body, stack.source_bucket)
    stack.check(configuration)
    return configuration


def _tell(
    given: argparse.Namespace, version_id: str, *, written: bool, seconds: int, warning: str | None
) -> int:
    if given.json:
        told = {"versionId": version_id, "written": written, "inUseWithinSeconds": seconds}
        print_json({**told, "warning": warning})
    elif written:
        print(f"Written as version {version_id}; in use within {plural(seconds, 'second')}")
    else:
        print(f"Nothing to write: version {version_id}, which is in force, says the same")
    if warning is not None:
        note(f"Note: {warning}")
    return DONE


# -- history and rollback


def run_history(given: argparse.Namespace) -> int:
    where = connect(given).configuration()
    versions = where.history()
    shown = versions[: given.limit]
    if given.json:
        print_json(
            {
                "uri": where.uri,
                "complete": len(shown) == len(versions),
                "versions": [
                    {
                        "versionId": version.version_id,
                        "written": iso(version.written),
                        "bytes": version.octets,
                        "deleted": version.octets is None,
                        "inForce": version.in_force,
                    }
                    for version in shown
                ],
            }
        )
    elif shown:
        print_table(
            ["VERSION", "WRITTEN", "SIZE", "STATE"],
            [
                [version.version_id, moment(version.written), size(version.octets), _state(version)]
                for version in shown
            ],
        )
    else:
        none_in_force(where.uri)
    if len(shown) < len(versions):
        note(f"There are {len(versions) - len(shown)} older ones: --limit {len(versions)}")
    return DONE if versions else NOT_DONE


def _state(version: Former) -> str | None:
    if version.octets is None:
        return "deleted"
    return "in force" if version.in_force else None


def run_rollback(given: argparse.Namespace) -> int:
    operator = connect(given)
    former = operator.configuration().read(given.version)
    if former is None:
        return unknown(given.version)
    name = f"version {former.version_id}"
    try:
        _checked(operator.stack, former.body)
    except InvalidConfiguration as error:
        return refuse(given, name, error)
    if not given.json:
        note(f"{name}, written at {moment(former.written)}:")
        for line in readable(former.body).split("\n"):
            note(line)
    if not said_yes(given, "Put it in force?"):
        if given.json:
            print_json({"versionId": former.version_id, "written": False})
        return DONE
    return put(given, operator, name, former.body)
