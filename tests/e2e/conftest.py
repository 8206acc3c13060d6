"""One stack, deployed once into an embedded AWS of its own, with IAM enforced, for all of these tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from local import server
from local.home import ROOT, Home
from local.stack import Stack, Wanted
from local.up import up
from tests.e2e.deployments import Deployment
from tests.e2e.proxy import FaultProxy
from tests.e2e.world import (
    CACHE_SECONDS,
    DESTINATIONS,
    PROXIED_PARAMETERS,
    PROXIED_REPLICAS,
    PROXIED_RULES,
    PROXIED_SOURCE,
    RULES,
    SOURCE,
    World,
)

HERE: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    home = Home(ROOT / ".local/test")
    wanted = Wanted(
        source=SOURCE,
        destinations=DESTINATIONS,
        parameters={"ConfigurationCacheSeconds": str(CACHE_SECONDS)},
    )
    server.stop(home)  # what an interrupted run has left behind
    try:
        deployed = up(home, wanted, port=server.free_port())
        World(deployed).configure(RULES)
        yield deployed
    finally:
        server.stop(home)


@pytest.fixture(scope="package")
def proxy(stack: Stack) -> Iterator[FaultProxy]:
    with FaultProxy(stack.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="package")
def proxied_stack(stack: Stack, proxy: FaultProxy) -> Stack:
    """Another stack, whose functions reach AWS through the proxy. It replicates every object, and below
    ``purged/`` also deletes of versions. It ends with the embedded AWS."""
    first = World(stack)
    for bucket in (PROXIED_SOURCE, PROXIED_REPLICAS):
        first.make_bucket(bucket)
    creating = Deployment(first, "proxied").create(
        SourceBucket=PROXIED_SOURCE,
        Destinations=PROXIED_REPLICAS,
        EndpointUrl=proxy.endpoint,
        **PROXIED_PARAMETERS,
    )
    deployed = creating.deployed()
    World(deployed).configure(PROXIED_RULES)
    return deployed


@pytest.fixture
def world(stack: Stack) -> Iterator[World]:
    world = World(stack)
    yield world
    world.clear_parked()


@pytest.fixture
def proxied(proxied_stack: Stack) -> Iterator[World]:
    world = World(proxied_stack)
    yield world
    world.clear_parked()
