"""Every promise about one key at once, while requests are lost, delayed and refused: a small storm.

``python -m tests.e2e.storm`` makes a large one.
"""

import sys

import pytest

from tests.e2e.proxy import Fault, FaultProxy
from tests.e2e.storm import Plan, Storm
from tests.e2e.world import World


def test_after_a_storm_the_destination_converges_on_the_source(
    proxied: World, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Storm(proxied, proxy, Plan(keys=8, seconds=10)).run()
    with capsys.disabled():
        sys.stdout.write(f"\n{report}\n")
    assert report.faults[Fault.DROP_AFTER]
    assert not report.by_events
    assert not report.by_hand
