"""``s3rctl config diff``: what another configuration would change, in its rules and for real keys."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from s3rctl.arguments import at_most, key_text
from s3rctl.bar import progress_bar
from s3rctl.common import DONE, CannotWork, Commands, command, connect, note, plural, print_json, print_table
from s3rctl.config_file import none_in_force, read_file, refuse, unknown
from s3rctl.config_rules import rule_document, shown
from s3replicator.adapters.configuration_document import parse, parse_in_force
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration, Rule
from s3replicator.decisions.configuration_changes import (
    ANOTHER_KEY,
    Change,
    Example,
    RuleChanges,
    Tally,
    rule_changes,
)
from s3replicator.operator_wiring import Operator, threads
from s3replicator.ports import Source
from s3replicator.usecases.configuration_diff import KeyComparison

#: How the one in force is called.
_CURRENT: Final = "current"

_DESCRIPTION: Final = f"""\
OLD and NEW are files, or - for standard input, or `{_CURRENT}` for the configuration in force, or the id of a
version of it, as `s3rctl config history` tells it. Rules are known by their IDs: those that are added or
removed are listed, and of the others every field that says something else.

With --prefix the current objects of the source are judged by both, with --keys those of a list: how many are
newly selected for a destination, or no longer, or decided by another rule, or get another key, storage class
or anything else there, each with some examples. Objects are looked at only if the rules ask for more than a
key; a key of a list then counts only if there is such an object. Nothing is changed, neither here nor there.

Rules say what happens to versions written from then on. What is newly selected and there already is brought
by `s3rctl backfill`; what is no longer selected keeps its replicas.

Two files, and keys that need not be looked at, need no stack. Exits with 1 if one of the two is invalid, or
does not exist."""

_EXAMPLES: Final = f"""\
  s3rctl config diff {_CURRENT} rules.json
  s3rctl config diff {_CURRENT} rules.json --prefix reports/
  s3rctl config diff 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY {_CURRENT} --prefix logs/ --limit 100000 --json
  cut -f 1 keys.txt | s3rctl config diff old.json new.json --keys -"""


def add_to(own: Commands) -> None:
    parser = command(
        own,
        "diff",
        summary="say what another configuration would change, for real keys",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    parser.add_argument("old", metavar="OLD", help=f"a file, -, `{_CURRENT}`, or a version")
    parser.add_argument("new", metavar="NEW", help="likewise")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--keys", metavar="FILE", help="for the keys of this file (or -), one on each line")
    keys.add_argument(
        "--prefix", type=key_text, metavar="P", help="for current objects whose keys begin with P ('': all)"
    )
    at_most(parser, 10_000, "with --prefix, the first N objects")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    if [given.old, given.new, given.keys].count("-") > 1:
        raise CannotWork("standard input can be read only once")
    connected = cache(lambda: connect(given))
    read = []
    for name in (given.old, given.new):
        stored = not _is_file(name)
        body = _stored(name, connected()) if stored else read_file(name)
        if body is None:
            in_force = name == _CURRENT
            return none_in_force(connected().configuration().uri) if in_force else unknown(name)
        try:
            read.append(parse_in_force(body, connected().stack.source_bucket) if stored else parse(body))
        except InvalidConfiguration as error:
            return refuse(given, name, error)
    old, new = read
    changes = rule_changes(old, new)
    found = _compare(given, old, new, connected)
    if given.json:
        print_json(_document(changes, found))
    else:
        _print_rules(changes)
        if found is not None:
            _print_keys(found)
    return DONE


def _is_file(name: str) -> bool:
    """What could be a file is one: a version's id has neither a folder nor an ending."""
    return name == "-" or (
        name != _CURRENT and (name.endswith(".json") or "/" in name or Path(name).exists())
    )


def _stored(name: str, operator: Operator) -> bytes | None:
    stored = operator.configuration().read(None if name == _CURRENT else name)
    return stored.body if stored is not None else None


# -- for keys


@dataclass(frozen=True, slots=True)
class _Found:
    """``complete``: all keys that were asked for have been looked at."""

    tally: Tally
    complete: bool


def _compare(
    given: argparse.Namespace, old: Configuration, new: Configuration, connected: Callable[[], Operator]
) -> _Found | None:
    if given.keys is None and given.prefix is None:
        return None
    total = given.limit
    with progress_bar() as bar:

        def tell(tally: Tally) -> None:
            looked_at = tally.compared + tally.missing
            bar.show(looked_at, total, f"{plural(looked_at, 'key')} looked at")

        comparison = KeyComparison(old, new, lambda: _source(connected()), threads(), tell)
        if given.prefix is not None:
            return _Found(*comparison.of_listing(connected().source_lister(), given.prefix, given.limit))
        keys = _keys(given.keys)
        total = len(keys)
        return _Found(comparison.of_keys(keys), complete=True)


def _source(operator: Operator) -> tuple[Source, str]:
    return operator.source(), operator.stack.source_bucket


def _keys(name: str) -> list[str]:
    try:
        lines = read_file(name).decode().split("\n")
    except UnicodeDecodeError as error:
        raise CannotWork(f"{name} is not UTF-8, as keys in S3 are: {error}") from error
    return [key for key in (line.removesuffix("\r") for line in lines) if key]


# -- as tables


def _print_rules(changes: RuleChanges) -> None:
    if changes.none:
        print("The rules are the same")
        return
    print_table(
        ["RULE", "CHANGE", "BEFORE", "AFTER"],
        [
            *([rule.id, "added", None, _summary(rule)] for rule in changes.added),
            *([rule.id, "removed", _summary(rule), None] for rule in changes.removed),
            *(
                [name, each.field, shown(each.before), shown(each.after)]
                for name, fields in changes.changed.items()
                for each in fields
            ),
        ],
    )


def _summary(rule: Rule) -> str:
    prefix = f"{rule.filter.prefix!r}" if rule.filter.prefix else "every key"
    state = "" if rule.enabled else ", disabled"
    return f"{prefix} to {rule.destination.bucket}, priority {rule.priority}{state}"


def _print_keys(found: _Found) -> None:
    tally = found.tally
    print(f"\nOf {plural(tally.compared, 'key')} {tally.changed} would be treated otherwise")
    if tally.counts:
        print()
        print_table(
            ["DESTINATION", "CHANGE", "BEFORE", "AFTER", "KEYS", "SUCH AS"],
            [
                [
                    change.bucket,
                    change.what,
                    shown(change.before),
                    shown(change.after),
                    str(count),
                    ", ".join(_told(change, example) for example in tally.examples[change]),
                ]
                for change, count in tally.counts.items()
            ],
        )
    if tally.missing:
        note(f"{plural(tally.missing, 'key')} could not be judged: the source has no such object")
    if not found.complete:
        note("There are more objects: see --limit")


def _told(change: Change, example: Example) -> str:
    return f"{example.before} -> {example.after}" if change.what == ANOTHER_KEY else example.key


# -- as a document


def _document(changes: RuleChanges, found: _Found | None) -> dict[str, Any]:
    return {
        "rules": {
            "added": [rule_document(rule) for rule in changes.added],
            "removed": [rule_document(rule) for rule in changes.removed],
            "changed": [
                {
                    "id": name,
                    "fields": [
                        {"field": each.field, "before": each.before, "after": each.after} for each in fields
                    ],
                }
                for name, fields in changes.changed.items()
            ],
        },
        "keys": _keys_document(found) if found is not None else None,
    }


def _keys_document(found: _Found) -> dict[str, Any]:
    tally = found.tally
    return {
        "complete": found.complete,
        "compared": tally.compared,
        "changed": tally.changed,
        "missing": tally.missing,
        "changes": [
            {
                "destination": change.bucket,
                "change": change.what,
                "before": change.before,
                "after": change.after,
                "count": count,
                "examples": [
                    {"key": each.key, "replicaKeyBefore": each.before, "replicaKeyAfter": each.after}
                    for each in tally.examples[change]
                ],
            }
            for change, count in tally.counts.items()
        ],
    }
