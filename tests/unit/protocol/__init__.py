"""The proving ground of the replication protocol; see docs/architecture.md, "The ledger"."""

import pytest

pytest.register_assert_rewrite(
    "tests.unit.protocol.conformance",
    "tests.unit.protocol.ledger_conformance",
)
