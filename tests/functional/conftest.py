"""The world of the functional tests, fresh for each."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from moto import mock_aws

from s3replicator.decisions import plan
from tests.functional.moto_many import of_many_versions
from tests.functional.moto_urls import found_once
from tests.functional.world import World


@pytest.fixture(autouse=True, scope="session")
def services_are_found_once() -> Iterator[None]:
    with found_once(), of_many_versions():
        yield


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let objects above the smallest size of a part count as large; returns that size."""
    count_small_objects_as_large(monkeypatch)
    return plan.MIN_PART


def count_small_objects_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SINGLE_COPY_LIMIT", plan.MIN_PART)
    monkeypatch.setattr(plan, "_PART", plan.MIN_PART)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The SDK waits before it repeats a request; what these tests look at is that it does.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    with mock_aws():
        yield World(monkeypatch)
