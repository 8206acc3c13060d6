"""A pytest plugin for the run of one mutant: it makes sure that the mutant is what is tested, and writes
down what failed, or, should the run never end, what was being tested.
"""

import os
from pathlib import Path
from typing import Final

import pytest

import s3replicator

#: The package that must be imported, and the file for what there is to tell.
PACKAGE: Final = "MUTANT_PACKAGE"
REPORT: Final = "MUTANT_REPORT"

FAILED: Final = "failed "
RUNNING: Final = "running "


def pytest_configure() -> None:
    imported = Path(s3replicator.__file__).parent
    if imported != Path(os.environ[PACKAGE]):
        raise pytest.UsageError(f"{imported} would be tested, not {os.environ[PACKAGE]}")


def pytest_runtest_logstart(nodeid: str) -> None:
    _tell(RUNNING + nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _tell(FAILED + report.nodeid)


def _tell(what: str) -> None:
    with Path(os.environ[REPORT]).open("a") as report:
        report.write(f"{what}\n")
