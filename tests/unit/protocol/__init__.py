"""The proving ground of the replication protocol; see docs/architecture.md, "The ledger".

``world`` has one stack; ``stack`` and ``network`` add what happens where users, operators and others do more,
and clocks, rules and answers are not to be relied on. The model knows who wrote a version, and which version
of which key it is a replica of: so it judges by what is so, not by what the ledger says. What nobody can know
is forgiven in words of the invariants.

``walk`` draws scripts of acts. The plain profile is the one stack, with the seeds it has always had; in the
wide one each walk has a few features. What walks have found is kept in ``traces``.

Threads that truly run beside each other are not here: they are tested where they are started.
"""

import pytest

pytest.register_assert_rewrite(
    "tests.unit.protocol.conformance",
    "tests.unit.protocol.ledger_conformance",
)
