"""Arguments that several commands have, and the values of options."""

import argparse
import os
from datetime import UTC, datetime
from typing import Final

from s3rctl.common import CannotWork
from s3replicator.decisions.stack import Stack

# -- what several commands have


def object_at_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("object", metavar="s3://BUCKET/KEY", type=_url, help="the object, at the source")


def some_destinations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--destination",
        metavar="BUCKET",
        action="append",
        default=[],
        dest="destinations",
        help="only at this destination; may be given several times (default: at all)",
    )


def chosen_destinations(stack: Stack, given: argparse.Namespace) -> tuple[str, ...]:
    """Those that were named, or all. Raises ``CannotWork`` if the stack does not have one."""
    for bucket in given.destinations:
        if bucket not in stack.destinations:
            raise CannotWork(
                f"{bucket!r} is not a destination of stack {stack.name!r}, which has"
                f" {', '.join(stack.destinations)}"
            )
    return tuple(dict.fromkeys(given.destinations)) or stack.destinations


def file_to_read(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")


def at_most(parser: argparse.ArgumentParser, default: int, what: str) -> None:
    """``--limit``; ``what`` with N in it."""
    parser.add_argument(
        "--limit", type=positive, default=default, metavar="N", help=f"{what} (default: %(default)s)"
    )


def between(parser: argparse.ArgumentParser, name: str, what: str) -> None:
    """``--NAME-after`` and ``--NAME-before``."""
    for end, how in (("after", "later"), ("before", "earlier")):
        parser.add_argument(
            f"--{name}-{end}",
            type=moment_given,
            metavar="TIME",
            help=f"only {what} {how} than this, such as 2026-01-31T12:00:00Z",
        )


def without_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do it without asking")


# -- values

_SCHEME: Final = "s3://"


def _url(text: str) -> tuple[str, str]:
    url = key_text(text)
    bucket, _, key = url.removeprefix(_SCHEME).partition("/")
    if not url.startswith(_SCHEME) or not bucket or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form s3://bucket/key")
    return bucket, key


def key_text(text: str) -> str:
    """The value of an option: a key, or a part of one."""
    try:
        # The shell's bytes: keys are UTF-8, whatever this terminal's encoding is.
        return os.fsencode(text).decode()
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8, as keys in S3 are") from None


#: Larger numbers mean nothing to any command, and not all of what they are given to can take them.
_MOST_DIGITS: Final = 12

#: The last second of the year 9999, since the epoch: no later time can be written down.
_LAST_SECOND: Final = 253_402_300_799


def positive(text: str) -> int:
    """The value of an option."""
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or int(text) == 0:
        raise argparse.ArgumentTypeError(
            f"{_short(text)} is not a whole number above 0, of at most {_MOST_DIGITS} digits"
        )
    return int(text)


def moment_given(text: str) -> float:
    """The value of an option: a time, in UTC if it does not say otherwise; in seconds since the epoch."""
    try:
        given = datetime.fromisoformat(text)
        seconds = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{_short(text)} is no time such as 2026-01-31T12:00:00Z") from None
    if not 0 <= seconds <= _LAST_SECOND:
        raise argparse.ArgumentTypeError(f"{_short(text)} is no time from 1970 to 9999, as S3 has them")
    return seconds


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


_UNITS: Final = {"": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "TIB": 1024**4}


def size_given(text: str) -> int:
    """The value of an option: a number of bytes."""
    digits = text.rstrip("KMGTiBkmgtb")
    unit = _UNITS.get(text[len(digits) :].strip().upper())
    digits = digits.strip()
    if unit is None or not digits.isascii() or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"{_short(text)} is no size such as 1048576 or 1MiB")
    return int(digits) * unit
