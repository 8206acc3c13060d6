"""Copies of the package and its tests, where mutants are let loose."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants import witness
from tests.mutants.catalogue import PACKAGE, Edit

ROOT: Final = Path(__file__).parents[2]

#: What the tests need beside the package.
_NEEDED: Final = ("pyproject.toml", "benchmarks", "events", "functions", "tests")

#: pytest's exit codes.
_PASSED, _FAILED = 0, 1


class Unusable(Exception):
    """The tests could not be run at all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``caught_by`` is the test that failed, or that did not end; None if all passed. In seconds."""

    caught_by: str | None
    seconds: float
    output: str = ""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A directory with everything the tests need, and nothing else."""

    path: Path

    @classmethod
    def of_working_tree(cls, path: Path) -> "Laboratory":
        for name in (*_NEEDED, PACKAGE):
            source, target = ROOT / name, path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        return cls(path)

    def copy(self, path: Path) -> "Laboratory":
        return Laboratory(Path(shutil.copytree(self.path, path)))

    def apply(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            file = self.path / PACKAGE / edit.file
            file.write_text(edit.apply(file.read_text()))

    def test(self, files: Sequence[str], timeout: float) -> Verdict:
        """Run these files up to the first test that fails."""
        with tempfile.NamedTemporaryFile(dir=self.path, prefix="report-", delete=False) as created:
            report = Path(created.name)
        began = time.monotonic()
        try:
            done = self._pytest(files, report, timeout)
        except subprocess.TimeoutExpired:
            return Verdict(f"timeout: {_last(report, witness.RUNNING)}", time.monotonic() - began)
        seconds = time.monotonic() - began
        if done.returncode == _PASSED:
            return Verdict(None, seconds)
        caught_by = _last(report, witness.FAILED)
        if done.returncode != _FAILED or caught_by is None:
            raise Unusable(done.stdout)
        return Verdict(caught_by, seconds, done.stdout)

    def _pytest(
        self, files: Sequence[str], report: Path, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        package = self.path / PACKAGE
        environment = {
            **os.environ,
            # Before the editable install, which names the working tree.
            "PYTHONPATH": str(package.parent),
            "PYTHONHASHSEED": "0",
            witness.PACKAGE: str(package),
            witness.REPORT: str(report),
        }
        options = ["-q", "-x", "-p", witness.__name__, "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )


def _last(report: Path, beginning: str) -> str | None:
    told = [line for line in report.read_text().splitlines() if line.startswith(beginning)]
    return told[-1].removeprefix(beginning) if told else None
