"""The money a million small objects cost, by the calls that are really made."""

from benchmarks.cost import usd_per_million
from tests.functional.test_api_calls import PATHS


def test_a_million_small_objects_cost_at_most_seven_dollars_thirty() -> None:
    assert usd_per_million(PATHS["small"].calls) <= 7.30
