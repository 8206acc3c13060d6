"""Unit tests are pure: whoever opens a socket in one has not written a unit test."""

import pytest
from hypothesis import settings

# A slow machine is not a failure.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """pytest-socket refuses every socket for the length of a test."""
