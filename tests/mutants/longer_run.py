"""The state machine once more, longer than in every run of the tests, and always the same."""

from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.protocol.machine import Machine

#: A violation is enough: nobody looks for the shortest way to it.
_LONGER: Final = settings(
    max_examples=1500,
    stateful_step_count=40,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def test_the_key_converges_in_a_longer_run() -> None:
    run_state_machine_as_test(Machine, settings=_LONGER)
