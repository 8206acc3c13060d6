"""Many objects at once. Whether it is fast is for a reader to judge; that all arrive is tested."""

import sys

import pytest

from benchmarks.lag import OBJECTS, bare, replicated
from tests.e2e.world import NEAR, SOURCE, World


def test_five_hundred_objects_written_at_once_all_arrive(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    replicated(world.stack, SOURCE, NEAR, world.folder("one") + "warm-up/", objects=20)
    ours = replicated(world.stack, SOURCE, NEAR, world.folder("one") + "measured/")
    theirs = bare(world.stack)
    with capsys.disabled():
        sys.stdout.write(f"\n{ours}\n{theirs}\n")
    assert len(ours.lags) == OBJECTS
    world.becomes_quiet()
    assert not world.parked()
