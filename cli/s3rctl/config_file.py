"""A replication configuration as it is given, and what is said of one that cannot be used."""

import argparse
import json
from pathlib import Path

from s3rctl.common import NOT_DONE, CannotWork, complain, print_json
from s3rctl.streams import standard_input
from s3replicator.adapters.configuration_document import text_of
from s3replicator.decisions.collisions import search_collision
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration


def read_file(name: str) -> bytes:
    """``name``: of a file, or - for standard input. Raises ``CannotWork``."""
    if name == "-":
        return standard_input()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CannotWork(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CannotWork(f"{name} is no name of a file: {error}") from error


def readable(body: bytes) -> str:
    """A stored document as a terminal may show it: what cannot be printed is escaped as JSON does it, so that
    the document says the same."""
    try:
        text = text_of(body)
    except InvalidConfiguration:
        text = body.decode(errors="backslashreplace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else json.dumps(c)[1:-1] for c in lines)


def refuse(given: argparse.Namespace, name: str, error: InvalidConfiguration) -> int:
    if given.json:
        print_json({"valid": False, "code": error.code, "field": error.field, "problem": error.problem})
    else:
        complain(f"{name}: {error}")
    return NOT_DONE


def not_compared(configuration: Configuration) -> str | None:
    """What is said where the rules are too many for the search to come to an end."""
    if search_collision(configuration).complete:
        return None
    return (
        "the rules are too many to find out whether two keys of the source could get one key at a"
        " destination; if two do, the second is parked with DestinationKeyConflict"
    )


def none_in_force(uri: str) -> int:
    complain(f"{uri} does not exist: nothing is replicated until `s3rctl config put FILE`")
    return NOT_DONE


def unknown(version_id: str) -> int:
    complain(f"the configuration has no version {version_id}: see `s3rctl config history`")
    return NOT_DONE
