"""Where one embedded AWS keeps what is its own, and how its steps are told on the terminal."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


class LocalError(Exception):
    """What keeps the embedded AWS from running, in a sentence for whoever typed the command."""


@dataclass(frozen=True, slots=True)
class Home:
    """One folder, one emulator: a clone's own, and another for tests that must not meet it."""

    folder: Path = ROOT / ".local"

    @property
    def lock(self) -> Path:
        """Held by the emulator while it lives; says its process id and port."""
        return self.folder / "emulator.lock"

    @property
    def server_log(self) -> Path:
        return self.folder / "emulator.log"

    @property
    def deploy_log(self) -> Path:
        return self.folder / "deploy.log"

    @property
    def scratch(self) -> Path:
        """The emulator's temporary files: unpacked functions, mostly."""
        return self.folder / "tmp"

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def environment(self) -> Path:
        return self.folder / "env"

    @property
    def function_variables(self) -> Path:
        """For ``sam local invoke --env-vars``."""
        return self.folder / "sam-env.json"

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs.json"


class Progress:
    """Says each step with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, step: str) -> None:
        print(f"[{time.monotonic() - self._start:6.1f} s] {step}", file=sys.stderr, flush=True)
