"""What all commands share: options, exit codes, and how things are shown."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeAlias

from s3replicator.operator_wiring import Operator, operator_of

# argparse gives the type no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DONE: Final = 0
NOT_DONE: Final = 1
CANNOT_WORK: Final = 2
INTERRUPTED: Final = 130


class CannotWork(Exception):
    """What was asked cannot even be tried; the text says why."""


#: Shown where there is nothing to show.
NOTHING: Final = "-"

# -- the command line


def shared_options(parser: argparse.ArgumentParser, *, stack: object, region: object) -> None:
    """``--stack`` and ``--region``, which are understood before a command and after it."""
    options = parser.add_argument_group("the stack")
    options.add_argument(
        "--stack",
        metavar="NAME",
        default=stack,
        help="its name (default: the environment's STACK_NAME, else s3-replicator)",
    )
    options.add_argument("--region", default=region, help="its region (default: as for any AWS tool)")


def subcommands(parser: argparse.ArgumentParser) -> Commands:
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def group(commands: Commands, name: str, *, summary: str, description: str) -> Commands:
    """A command that only has commands of its own."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{_sentence(summary)}\n\n{description}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return subcommands(parser)


def command(
    commands: Commands,
    name: str,
    *,
    summary: str,
    description: str,
    examples: str,
    needs_stack: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{_sentence(summary)}\n\n{description}",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, for scripts")
    if needs_stack:
        # What is not given here must not hide what was given before the command.
        shared_options(parser, stack=argparse.SUPPRESS, region=argparse.SUPPRESS)
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def connect(given: argparse.Namespace) -> Operator:
    """The stack that was asked for. Raises ``StackUnusable``."""
    return operator_of(given.stack, given.region)


def said_yes(given: argparse.Namespace, question: str) -> bool:
    """Whether to do it: ``--yes`` was given, or whoever sits at the terminal says so."""
    if given.yes:
        return True
    if given.json or not _at_a_terminal():
        note("Nothing is done without --yes")
        return False
    try:
        answer = input(f"{safe(question)} [y/N] ")
    except (EOFError, UnicodeDecodeError):
        # Ctrl-D, or no text: no yes.
        print()
        return False
    return answer.strip().lower() in ("y", "yes")


def _at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    streams = (sys.stdin, sys.stdout)
    return all(stream is not None and not stream.closed and stream.isatty() for stream in streams)


# -- output


def complain(problem: str) -> None:
    note(f"s3rctl: {problem}")


def note(text: str) -> None:
    """For people: kept out of what scripts read. Where they do not listen the exit code says enough."""
    with suppress(OSError):
        print(safe(text), file=sys.stderr)


def print_json(document: object) -> None:
    print(json.dumps(document, indent=2))


def safe(text: str) -> str:
    """The text on one line, without anything a terminal would obey; a backslash is doubled, so that what
    is shown stands for one text only."""
    return "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in text
    )


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    lines = [headings, *([safe(cell) if cell else NOTHING for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def moment(seconds: float | None) -> str | None:
    """A time for people."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def iso(seconds: float | None) -> str | None:
    """A time for scripts."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def size(octets: int | None) -> str | None:
    if octets is None:
        return None
    if octets < 1024:
        return f"{octets} B"
    amount = float(octets)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def plural(count: int, what: str, many: str | None = None) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {many or f'{what}s'}"
