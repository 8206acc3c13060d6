"""Breaks the protocol one rule at a time, and tells which test noticed: ``python -m tests.mutants``."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.laboratory import Laboratory, Unusable, Verdict

#: How many run at once.
_AT_ONCE: Final = 2

#: No file of tests takes as many seconds with the code as it is.
_ENDLESS: Final = 1800.0

#: A mutant may take so many times as long as the code itself, but at least so many seconds.
_PATIENCE: Final = 8
_AT_LEAST: Final = 120.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """``limits`` are the files of the tests, and the seconds each may take."""

    original: Laboratory
    limits: dict[str, float]
    verbose: bool

    def run(self, mutant: Mutant) -> Verdict:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mutant-") as place:
            laboratory = self.original.copy(Path(place) / mutant.name)
            laboratory.apply(mutant.edits)
            for stage in _stages(mutant.tests):
                limit = max(_AT_LEAST, _PATIENCE * sum(self.limits[file] for file in stage))
                verdict = laboratory.test(stage, limit)
                if verdict.caught_by is not None:
                    break
        if self.verbose:
            _say(verdict.output)
        return Verdict(verdict.caught_by, time.monotonic() - began)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="this mutant, and what it broke")
    parser.add_argument("--list", action="store_true", help="the mutants and the rules they break")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.only or ()) - {mutant.name for mutant in MUTANTS}
    if unknown:
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = [mutant for mutant in MUTANTS if not chosen.only or mutant.name in chosen.only]
    if chosen.list:
        _say("\n".join(f"{mutant.name:<40} {mutant.rule}" for mutant in mutants))
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as place:
            original = Laboratory.of_working_tree(Path(place).resolve() / "original")
            limits = _baseline(original, _files(mutants))
            experiment = Experiment(original, limits, verbose=bool(chosen.only))
            caught = sum(_table(experiment, mutants))
    except Unusable as problem:
        _say(str(problem))
        return 1
    _say(f"{caught} of {len(mutants)} caught")
    return 0 if caught == len(mutants) else 1


def _files(mutants: Sequence[Mutant]) -> list[str]:
    """Each file once, in the order of the stages."""
    return sorted({file for mutant in mutants for file in mutant.tests})


def _baseline(original: Laboratory, files: Sequence[str]) -> dict[str, float]:
    """How many seconds each file takes with the code as it is. Raises ``Unusable`` if that does not pass."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        verdicts = list(pool.map(lambda file: original.test([file], _ENDLESS), files))
    for verdict in verdicts:
        if verdict.caught_by is not None:
            raise Unusable(f"{verdict.output}\nThe code as it is does not pass: {verdict.caught_by}")
    _say(f"The code as it is passes {', '.join(files)}.\n")
    return {file: verdict.seconds for file, verdict in zip(files, verdicts, strict=True)}


def _table(experiment: Experiment, mutants: Sequence[Mutant]) -> Iterator[bool]:
    """Says what became of each mutant; yields whether it was caught."""
    widths = [max(len(mutant.name) for mutant in mutants), max(len(mutant.rule) for mutant in mutants)]
    _say(_row(widths, "mutant", "rule", "seconds", "caught by"))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for mutant, verdict in zip(mutants, pool.map(experiment.run, mutants), strict=True):
            seconds = f"{verdict.seconds:.0f}"
            _say(_row(widths, mutant.name, mutant.rule, seconds, verdict.caught_by or "NOTHING"))
            yield verdict.caught_by is not None


def _row(widths: Sequence[int], name: str, rule: str, seconds: str, caught_by: str) -> str:
    return f"{name:<{widths[0]}} | {rule:<{widths[1]}} | {seconds:>7} | {caught_by}"


def _stages(files: Sequence[str]) -> Iterator[list[str]]:
    """The files as they are run together: those of one folder that follow each other."""
    for _, stage in groupby(files, key=lambda file: Path(file).parent):
        yield list(stage)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
