"""``s3rctl config``: the replication configuration checked, shown, and put in force."""

import argparse
import json
from typing import Any, Final

from s3rctl import config_change, config_diff, config_explain, config_import
from s3rctl.arguments import file_to_read
from s3rctl.common import (
    DONE,
    NOT_DONE,
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
    safe,
)
from s3rctl.config_file import none_in_force, not_compared, read_file, readable, refuse, unknown
from s3rctl.config_rules import print_rules, rule_document
from s3replicator.adapters.configuration_document import parse, parse_in_force, text_of, to_store
from s3replicator.adapters.configuration_object import Stored
from s3replicator.decisions.collisions import search_collision
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration

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
Prints the document as it was written, and on standard error which version of it that is. With --version-id
a former one is shown.

Exits with 1 if none has been written, or if it is invalid. If the one in force is, the functions work with
the last good one they have seen."""


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
    file_to_read(validate)
    validate.set_defaults(run=run_validate)
    show = command(
        own,
        "show",
        summary="show the replication configuration in force",
        description=_SHOW,
        examples="  s3rctl config show\n  s3rctl config show > rules.json\n"
        "  s3rctl config show --version-id 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
    )
    show.add_argument("--version-id", metavar="VERSION", help="this version, instead of the one in force")
    show.set_defaults(run=run_show)
    config_explain.add_to(own)
    config_diff.add_to(own)
    config_import.add_to(own)
    config_change.add_to(own)


# -- validate


def run_validate(given: argparse.Namespace) -> int:
    body = read_file(given.file)
    try:
        configuration = parse(to_store(body))
    except InvalidConfiguration as error:
        return refuse(given, given.file, error)
    warning = not_compared(configuration)
    if given.json:
        rules = [rule_document(rule) for rule in configuration.rules]
        print_json({"valid": True, "rules": rules, "warning": warning})
    else:
        print(safe(f"{given.file}: valid, {plural(len(configuration.rules), 'rule')}"))
        print_rules(configuration.rules)
    if warning is not None:
        note(f"Note: {warning}")
    return DONE


# -- show


def run_show(given: argparse.Namespace) -> int:
    operator = connect(given)
    where = operator.configuration()
    stored = where.read(given.version_id)
    if stored is None and given.version_id is not None:
        return unknown(given.version_id)
    if stored is None:
        return none_in_force(where.uri)
    problem = warning = None
    try:
        configuration = parse_in_force(stored.body, operator.stack.source_bucket)
        operator.stack.check(configuration)
        warning = _collision(configuration)
    except InvalidConfiguration as error:
        problem = str(error)
    if given.json:
        print_json({**_stored_document(where.uri, stored, problem), "warning": warning})
    else:
        note(f"{where.uri}, version {stored.version_id}, written at {moment(stored.written)}")
        print(readable(stored.body).rstrip("\n"))
    if problem is not None:
        which = "in force" if given.version_id is None else "shown"
        complain(f"the configuration {which} cannot be used: {problem}")
    if warning is not None:
        note(f"Note: {warning}")
    return DONE if problem is None else NOT_DONE


def _collision(configuration: Configuration) -> str | None:
    """A former release let some rules in that `config put` would refuse now."""
    found = search_collision(configuration).collision
    return None if found is None else f"{found}; `s3rctl config put` would refuse these rules now"


def _stored_document(uri: str, stored: Stored, problem: str | None) -> dict[str, Any]:
    try:
        document = json.loads(text_of(stored.body))
    except (ValueError, RecursionError, InvalidConfiguration):
        document = None
    return {
        "uri": uri,
        "versionId": stored.version_id,
        "written": iso(stored.written),
        "problem": problem,
        "document": document,
    }
