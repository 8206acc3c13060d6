"""The state machine and the random walks once more, longer than in every run of the tests."""

from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.protocol.machine import Machine
from tests.unit.protocol.walk import broken, drawn

#: A violation is enough: nobody looks for the shortest way to it.
_LONGER: Final = settings(
    max_examples=1000,
    stateful_step_count=40,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

_SEEDS: Final = range(5000)


def test_every_key_converges_on_more_walks() -> None:
    for seed in _SEEDS:
        violation = broken(drawn(seed))
        assert violation is None, f"seed {seed}: {violation}"


def test_the_key_converges_in_a_longer_run() -> None:
    run_state_machine_as_test(Machine, settings=_LONGER)
