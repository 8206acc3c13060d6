"""Delays grow, vary and stay within their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.backoff import RetryPolicy

seconds = st.floats(0.1, 1000)
policies = st.builds(
    lambda base, factor, attempts: RetryPolicy(base, base * factor, attempts),
    seconds,
    st.floats(1, 10_000),
    st.integers(1, 100),
)
dice = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10) | st.integers(1, 10**9)


@given(policies, attempts, dice)
def test_a_delay_is_never_at_once_and_never_beyond_the_maximum(
    policy: RetryPolicy, attempts: int, random: float
) -> None:
    assert policy.base / 2 <= policy.delay(attempts, random) <= policy.maximum


@given(policies, attempts, dice, dice)
def test_more_luck_or_more_attempts_never_make_it_shorter(
    policy: RetryPolicy, attempts: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert policy.delay(attempts, low) <= policy.delay(attempts, high) <= policy.delay(attempts + 1, high)


@pytest.mark.parametrize(("attempts", "ceiling"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 20), (50, 20)])
def test_the_ceiling_doubles_with_every_attempt(attempts: int, ceiling: float) -> None:
    policy = RetryPolicy(base=2, maximum=20, attempts=9)
    assert policy.delay(attempts, 0.75) == 0.75 * ceiling
    assert policy.delay(attempts, 0) == 1


@pytest.mark.parametrize(("attempts", "exhausted"), [(0, False), (3, False), (4, True), (5, True)])
def test_the_budget_is_used_up_by_as_many_attempts_as_it_names(attempts: int, exhausted: bool) -> None:
    assert RetryPolicy(base=1, maximum=5, attempts=4).exhausted(attempts) is exhausted
