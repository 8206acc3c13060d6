"""The code of the release before this one, taken from the history where that is at hand: at work in the world
of these tests beside the code of today, on the same buckets, queues and ledger.
"""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.functional.world import HANDLERS

COMMIT: Final = "129c91ca64e576f8436ebb12ca182b7aa25f906b"

_ROOT: Final = Path(__file__).parents[2]
_LAYER: Final = Path("layers/core")
_NEEDED: Final = ("functions", f"{_LAYER}/s3replicator")
#: Both releases have packages of these names.
_PACKAGES: Final = ("s3replicator", "functions")


class NotAtHand(Exception):
    """There is no history here, or it does not go back so far, as in a shallow clone."""


def unpack(folder: Path) -> None:
    """Put the former code into a folder. Raises ``NotAtHand``."""
    command = ["git", "-C", str(_ROOT), "archive", "--format=tar", COMMIT, *_NEEDED]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise NotAtHand("there is no git") from missing
    if done.returncode:
        raise NotAtHand(done.stderr.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


@dataclass(frozen=True)
class FormerRelease:
    """Modules of its own. ``handlers`` stand where those of today do; see ``HANDLERS``."""

    folder: Path
    modules: dict[str, ModuleType]
    handlers: Mapping[str, ModuleType]

    @classmethod
    def at(cls, folder: Path) -> "FormerRelease":
        """What has been unpacked there."""
        release = cls(folder, {}, {})
        with release._imported():
            apps = {name: import_module(app.__name__) for name, app in HANDLERS.items()}
        for app in apps.values():
            assert app.__file__ is not None
            assert Path(app.__file__).is_relative_to(folder), "this is the code of today"
        stand_ins = {name: release._stand_in(app) for name, app in apps.items()}
        return cls(folder, release.modules, stand_ins)

    def plan(self) -> ModuleType:
        """Its sizes of copies and parts."""
        return self.modules["s3replicator.decisions.plan"]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Every function is the former one."""
        with pytest.MonkeyPatch.context() as patch:
            for name, handler in self.handlers.items():
                handler.function.cache_clear()
                patch.setitem(HANDLERS, name, handler)
            yield

    def _stand_in(self, app: ModuleType) -> ModuleType:
        def handler(event: Any, context: Any) -> Any:
            with self._imported():
                return app.handler(event, context)

        stand_in = ModuleType(f"former {app.__name__}")
        vars(stand_in).update(handler=handler, function=app.function)
        return stand_in

    @contextmanager
    def _imported(self) -> Iterator[None]:
        """Whatever is imported meanwhile is the former release's."""
        today = _taken_out()
        sys.modules.update(self.modules)
        before, sys.path[:] = list(sys.path), [str(self.folder), str(self.folder / _LAYER), *sys.path]
        try:
            yield
        finally:
            sys.path[:] = before
            self.modules.update(_taken_out())
            sys.modules.update(today)


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]
    return {name: sys.modules.pop(name) for name in names}
