"""What walks have found once does not come back; see traces.py."""

import pytest

from tests.unit.protocol.traces import NOT_YET_KEPT, TRACES
from tests.unit.protocol.walk import broken


@pytest.mark.parametrize("promise", TRACES)
def test_a_promise_that_was_broken_is_kept(promise: str, request: pytest.FixtureRequest) -> None:
    if promise in NOT_YET_KEPT:
        request.applymarker(pytest.mark.xfail(strict=True, reason=NOT_YET_KEPT[promise]))
    assert broken(TRACES[promise]) is None


def test_every_promise_that_is_not_yet_kept_has_a_trace() -> None:
    assert NOT_YET_KEPT.keys() <= TRACES.keys()
