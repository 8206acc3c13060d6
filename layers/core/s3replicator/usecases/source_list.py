"""What the source lists of a key under its lease: as much of it as has been asked for."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from operator import itemgetter

from s3replicator.decisions.failures import SourceGone, TerminalError
from s3replicator.decisions.versions import ListedVersion

#: Lists the versions below one of them, or all if None, down to the page that has the last of some.
List = Callable[[str | None, Collection[str]], Sequence[ListedVersion]]

#: By version id, with its number in the list, the newest first.
_Listed = dict[str, tuple[int, ListedVersion]]


class SourceList:
    """``above`` is a version under which all may stand that will be asked for, if anybody knows one: then the
    list need not be read from its beginning."""

    def __init__(self, list_: List, above: str | None = None) -> None:
        self._list = list_
        self._above = above
        self._window: _Listed = {}
        self._top: _Listed = {}
        self._complete = False

    def with_newest(self, ids: Collection[str]) -> Sequence[ListedVersion]:
        """The newest version, and those of ``ids`` that are listed, in the order of the list."""
        if not (self._complete or self._top.keys() >= set(ids)):
            self._top = _numbered(self._list(None, ids))
            self._complete = not self._top.keys() >= set(ids)
        newest = next(iter(self._top), None)
        return _of({newest, *ids}, self._top)

    def among(self, ids: Collection[str]) -> Sequence[ListedVersion]:
        """The same, the newest perhaps left out if all of ``ids`` are listed: they are compared with each
        other only."""
        if self._is_in_window(ids):
            return _of(ids, self._window)
        return self.with_newest(ids)

    def _is_in_window(self, ids: Collection[str]) -> bool:
        """What is found below ``above`` stands in its order there, wherever that list has begun. What is not
        found may stand elsewhere: then the list is read from its beginning."""
        if self._above is not None:
            above, self._above = self._above, None
            # Nobody can list below a version whose id the store does not take any more.
            with suppress(TerminalError, SourceGone):
                self._window = _numbered(self._list(above, ids))
        return self._window.keys() >= set(ids)


def _numbered(listed: Sequence[ListedVersion]) -> _Listed:
    return {one.version_id: (number, one) for number, one in enumerate(listed)}


def _of(ids: Collection[str | None], listed: _Listed) -> Sequence[ListedVersion]:
    found = (listed[vid] for vid in ids if vid in listed)
    return [one for _, one in sorted(found, key=itemgetter(0))]
