"""The standard streams, which may be closed, full, or of an encoding that cannot show a key."""

import io
import os
import sys
from contextlib import suppress

from s3rctl.common import CannotWork


def prepare() -> None:
    """Raises ``CannotWork`` if there is nowhere to write an answer to: nothing is begun then."""
    if sys.stderr is None or sys.stderr.closed:
        # Python would write what is for standard error to standard output instead, amid a document.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    if sys.stdout is None or sys.stdout.closed:
        raise CannotWork("standard output is closed: give it somewhere to write, such as a file or /dev/null")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character of a key shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Write what is left. Raises ``OSError`` if it cannot be written."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def give_up() -> None:
    """What is left cannot be written, and must not be tried again when Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def standard_input() -> bytes:
    """All of it. Raises ``CannotWork``."""
    if sys.stdin is None or sys.stdin.closed:
        raise CannotWork("standard input is closed: name a file instead of -")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise CannotWork(f"standard input cannot be read: {error.strerror}") from error
