"""The protocol holds, whatever happens. HYPOTHESIS_PROFILE=night looks for longer."""

import os
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.protocol.machine import Machine

_UNHURRIED: Final = settings(
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
PROFILES: Final = {
    "quick": settings(_UNHURRIED, max_examples=300, stateful_step_count=30, derandomize=True),
    # Random wherever it runs: Hypothesis itself derandomizes where CI is set.
    "night": settings(
        _UNHURRIED, max_examples=50_000, stateful_step_count=60, derandomize=False, print_blob=True
    ),
}


def test_every_key_converges() -> None:
    profile = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]
    run_state_machine_as_test(Machine, settings=profile)
