"""Unit tests are pure: whoever opens a socket in one has not written a unit test."""

import os

import pytest
from hypothesis import HealthCheck, settings

# To be slow is not to fail; and every run has the same examples, but for HYPOTHESIS_PROFILE=night, which
# looks for others.
settings.register_profile(
    "unit",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("HYPOTHESIS_PROFILE") != "night",
)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """pytest-socket refuses every socket for the length of a test."""
