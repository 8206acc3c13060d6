"""``s3rctl config``: the replication configuration checked, shown, and put in force."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

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
    safe,
)
from s3replicator.adapters.configuration_document import parse
from s3replicator.adapters.configuration_object import Overtaken, Stored
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration, Rule
from s3replicator.decisions.versions import Tag

_GROUP: Final = """\
The replication configuration says which objects go where. It is the document that
`aws s3api put-bucket-replication --replication-configuration` takes; the stack keeps it, with every former
version of it, in its control bucket."""

_VALIDATE: Final = """\
Needs no stack, no credentials and no network. What only a stack can tell, whether it has the destinations
the rules name, is checked by `s3rctl config put`.

Exits with 1 if the document is invalid, and says which field is wrong and what to do; with 2 if the file
cannot be read."""

_SHOW: Final = """\
Prints the document as it was written, and on standard error which version of it that is.

Exits with 1 if none has been written, or if the one in force is invalid: then the functions work with the
last good one they have seen."""

_PUT: Final = """\
Checks the document first. It is refused if it is invalid, or if a rule names a bucket that is not a
destination of the stack, or the source itself.

This changes what is replicated from now on, at once and without asking for --yes: the command line says it
all, and `s3rctl config show` and the control bucket's versions tell the way back. Objects that are there
already are not touched. Two people never overwrite each other's work without noticing: the document is
written only in the place of the one that was read, and with --replacing only in the place of the version
that you started from.

Exits with 1 if nothing was written."""


def add_to(commands: Commands) -> None:
    own = group(
        commands,
        "config",
        summary="check, show and replace the replication configuration",
        description=_GROUP,
    )
    validate = command(
        own,
        "validate",
        summary="check a replication configuration file",
        description=_VALIDATE,
        examples="  s3rctl config validate rules.json\n  jq .new rules.json | s3rctl config validate -",
        needs_stack=False,
    )
    validate.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    validate.set_defaults(run=run_validate)
    show = command(
        own,
        "show",
        summary="show the replication configuration in force",
        description=_SHOW,
        examples="  s3rctl config show\n  s3rctl config show > rules.json",
    )
    show.set_defaults(run=run_show)
    put = command(
        own,
        "put",
        summary="put a replication configuration in force",
        description=_PUT,
        examples="  s3rctl config put rules.json\n"
        "  s3rctl config put rules.json --replacing 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
    )
    put.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    put.add_argument(
        "--replacing",
        metavar="VERSION",
        help="write only if this version, as `config show` told it, is still in force",
    )
    put.set_defaults(run=run_put)


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CannotWork(f"{name} cannot be read: {error.strerror}") from error


# -- validate


def run_validate(given: argparse.Namespace) -> int:
    body = _read(given.file)
    try:
        configuration = parse(body)
    except InvalidConfiguration as error:
        return _refuse(given, error)
    if given.json:
        print_json({"valid": True, "rules": [_rule_document(rule) for rule in configuration.rules]})
    else:
        print(safe(f"{given.file}: valid, {plural(len(configuration.rules), 'rule')}"))
        _print_rules(configuration)
    return DONE


def _refuse(given: argparse.Namespace, error: InvalidConfiguration) -> int:
    if given.json:
        print_json({"valid": False, "code": error.code, "field": error.field, "problem": error.problem})
    else:
        complain(f"{given.file}: {error}")
    return NOT_DONE


def _print_rules(configuration: Configuration) -> None:
    print_table(
        [
            *("RULE", "STATUS", "PRIORITY", "PREFIX", "TAGS", "DELETE MARKERS", "DESTINATION", "CLASS"),
            *("LATE VERSIONS", "VERSION DELETES"),
        ],
        [
            [
                rule.id,
                "Enabled" if rule.enabled else "Disabled",
                str(rule.priority),
                rule.filter.prefix,
                ", ".join(f"{tag.key}={tag.value}" for tag in sorted(rule.filter.tags)),
                "yes" if rule.delete_markers else "no",
                rule.destination.bucket,
                rule.destination.storage_class,
                rule.late_versions,
                "no" if rule.version_deletes is None else f"{rule.version_deletes} an hour",
            ]
            # The strongest first, as they are chosen.
            for rule in sorted(configuration.rules, key=lambda rule: -rule.priority)
        ],
    )


def _rule_document(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "prefix": rule.filter.prefix,
        "tags": [_tag_document(tag) for tag in sorted(rule.filter.tags)],
        "deleteMarkers": rule.delete_markers,
        "destination": rule.destination.bucket,
        "storageClass": rule.destination.storage_class,
        "lateVersions": rule.late_versions,
        "versionDeletesPerHour": rule.version_deletes,
    }


def _tag_document(tag: Tag) -> dict[str, str]:
    return {"key": tag.key, "value": tag.value}


# -- show


def run_show(given: argparse.Namespace) -> int:
    operator = connect(given)
    where = operator.configuration()
    stored = where.read()
    if stored is None:
        complain(f"{where.uri} does not exist: nothing is replicated until `s3rctl config put FILE`")
        return NOT_DONE
    problem = None
    try:
        operator.stack.check(parse(stored.body, operator.stack.source_bucket))
    except InvalidConfiguration as error:
        problem = str(error)
    if given.json:
        print_json(_stored_document(where.uri, stored, problem))
    else:
        note(f"{where.uri}, version {stored.version_id}, written at {moment(stored.written)}")
        print(stored.body.decode(errors="backslashreplace").rstrip("\n"))
    if problem is not None:
        complain(f"the configuration in force cannot be used: {problem}")
    return DONE if problem is None else NOT_DONE


def _stored_document(uri: str, stored: Stored, problem: str | None) -> dict[str, Any]:
    try:
        document = json.loads(stored.body)
    except ValueError:
        document = None
    return {
        "uri": uri,
        "versionId": stored.version_id,
        "written": iso(stored.written),
        "problem": problem,
        "document": document,
    }


# -- put


def run_put(given: argparse.Namespace) -> int:
    body = _read(given.file)
    operator = connect(given)
    stack, where = operator.stack, operator.configuration()
    try:
        configuration = parse(body, stack.source_bucket)
        stack.check(configuration)
    except InvalidConfiguration as error:
        return _refuse(given, error)
    former = where.read()
    if given.replacing not in (None, former.version_id if former else None):
        in_force = f"version {former.version_id}" if former else "none at all"
        complain(f"not written: version {given.replacing} is no longer in force, but {in_force}")
        return NOT_DONE
    if former is not None and former.body == body:
        return _tell(given, former.version_id, written=False, seconds=stack.configuration_cache)
    try:
        version_id = where.replace(former, body)
    except Overtaken:
        complain(
            "not written: somebody else has written another configuration this moment;"
            " see `s3rctl config show`, and put yours again if it is still right"
        )
        return NOT_DONE
    return _tell(given, version_id, written=True, seconds=stack.configuration_cache)


def _tell(given: argparse.Namespace, version_id: str, *, written: bool, seconds: int) -> int:
    if given.json:
        print_json({"versionId": version_id, "written": written, "inUseWithinSeconds": seconds})
    elif written:
        print(f"Written as version {version_id}; in use within {plural(seconds, 'second')}")
    else:
        print(f"Nothing to write: version {version_id}, which is in force, says the same")
    return DONE
