"""The memory does what it claims; tests/functional and tests/e2e hold the same cases against others."""

import pytest

from tests.unit.protocol.conformance import S3_CASES, S3Case, Stage
from tests.unit.protocol.ledger_conformance import LEDGER_CASES, LedgerCase
from tests.unit.protocol.memory_ledger import MemoryLedger
from tests.unit.protocol.memory_s3 import MemoryDestination, MemoryS3, MemorySource
from tests.unit.protocol.runtime import ManualClock


@pytest.mark.parametrize("case", S3_CASES, ids=lambda case: case.__name__)
def test_s3(case: S3Case) -> None:
    clock = ManualClock()
    s3 = MemoryS3.with_buckets(clock, "source", "destination")
    case(
        Stage(
            MemorySource(s3),
            MemoryDestination(s3, "destination"),
            s3.buckets["source"],
            s3.buckets["destination"],
            "key",
            wait=lambda: clock.sleep(1),
        )
    )


@pytest.mark.parametrize("case", LEDGER_CASES, ids=lambda case: case.__name__)
def test_ledger(case: LedgerCase) -> None:
    case(MemoryLedger(), "destination")
