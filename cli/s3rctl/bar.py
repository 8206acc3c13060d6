"""How far something has come, on standard error: a line that changes on a terminal, else one now and then."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from s3rctl.common import safe

_WIDTH: Final = 30
_ERASE: Final = "\r\x1b[K"


class Bar:
    """``show`` as often as there is news."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._said: object = None

    def show(self, done: int, total: int, text: str, *, milestone: object = None) -> None:
        """On what is no terminal only if the ``milestone``, or the tenth that is done, is another one.
        Without a ``total`` no bar is shown."""
        tenth = 10 * done // total if total else 0
        if self._terminal:
            bar = f"[{'#' * (_WIDTH * done // total):.<{_WIDTH}}] " if total else ""
            _show(f"{_ERASE}{bar}{safe(text)}", end="")
        elif self._said != (milestone, tenth):
            _show(safe(text))
        self._said = (milestone, tenth)

    def end(self) -> None:
        if self._terminal and self._said is not None:
            _show(_ERASE, end="")


def _show(text: str, end: str = "\n") -> None:
    # What is being done goes on, whether or not somebody looks.
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


@contextmanager
def progress_bar() -> Iterator[Bar]:
    bar = Bar()
    try:
        yield bar
    finally:
        bar.end()
