"""The money objects cost, by the calls that are really made, and what a job is said to be going to cost."""

from collections import Counter

import pytest

from benchmarks.cost import usd_per_million
from s3replicator.decisions import prices
from s3replicator.decisions.plan import GIB, MIB
from s3replicator.decisions.prices import Load, estimate
from s3replicator.decisions.versions import Kind, ListedVersion
from tests.functional.test_api_calls import PATHS


def listed(size: int = 0, kind: Kind = Kind.OBJECT) -> ListedVersion:
    return ListedVersion("version", kind, 1.0, size=size)


def test_a_million_small_objects_cost_at_most_seven_dollars_thirty() -> None:
    assert usd_per_million(PATHS["small"].calls) <= 7.30


def test_every_call_has_its_price() -> None:
    priced = {*prices.OBJECT, *prices.MARKER, *prices.LARGE, *prices.PART}
    assert priced <= prices.REQUESTS.keys()


def test_an_estimate_is_made_of_the_calls_that_are_counted() -> None:
    assert PATHS["small"].calls == prices.OBJECT
    assert PATHS["marker"].calls == prices.MARKER
    three_parts = Counter(PATHS["to the large lane"].calls) + Counter(PATHS["large, three parts"].calls)
    assert Counter(prices.LARGE) + Counter({name: 3 * n for name, n in prices.PART.items()}) == three_parts


def test_a_load_tells_apart_what_is_copied_differently() -> None:
    load = sum((Load.of(listed(size)) for size in (0, 10, 128 * MIB, 129 * MIB)), Load())
    load += Load.of(listed(kind=Kind.MARKER))
    assert load == Load(objects=3, large=1, parts=3, markers=1, octets=257 * MIB + 10)
    assert load.versions == 5
    assert Load.read(load.document()) == load


def test_nothing_costs_nothing() -> None:
    assert estimate({}, set(), 0).usd == 0
    assert estimate({"a": Load()}, {"a"}, 0).requests == {}


def test_a_million_small_objects_of_a_backfill_cost_about_what_live_ones_do() -> None:
    told = estimate({"a": Load(objects=10**6)}, set(), listed=10**6)
    assert told.requests == {
        "CopyObject": 10**6,
        "HeadObject": 10**6,
        "UpdateItem": 10**6,
        "PutItem": 10**6,
        "ListObjectVersions": 1000,
    }
    assert told.transfer_usd == 0
    assert usd_per_million(PATHS["small"].calls) - 0.60 < told.usd < usd_per_million(PATHS["small"].calls)


def test_to_orchestrate_a_million_costs_five_cents() -> None:
    at_work = prices.SECONDS * prices.MEMORY_GIB * prices.LAMBDA_GB_SECOND
    told = estimate({"a": Load(objects=10**6)}, set(), 0).computing_usd
    assert told - at_work == pytest.approx(0.05, abs=0.001)


def test_only_what_leaves_the_region_is_paid_by_the_byte() -> None:
    loads = {"near": Load(octets=100 * GIB), "far": Load(octets=50 * GIB)}
    assert estimate(loads, {"far"}, 0).transfer_usd == pytest.approx(1.0)
    assert estimate(loads, {"far"}, 0).document()["transferUsd"] == 1.0
