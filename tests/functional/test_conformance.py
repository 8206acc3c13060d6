"""What the tests of the protocol take for granted, held against the real adapters over moto."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from moto import mock_aws

from s3replicator.adapters.clients import Clients
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.source import S3Source
from tests.conftest import set_environment
from tests.functional.world import ONE, SOURCE, World
from tests.unit.protocol.boto_user import BotoUser
from tests.unit.protocol.conformance import S3_CASES, S3Case, Stage, against
from tests.unit.protocol.ledger_conformance import LEDGER_CASES, LedgerCase


class Time:
    """Moto's: a second ends where a case waits, and nowhere else."""

    def __init__(self) -> None:
        self._second = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        self._moments = count()

    def now(self) -> datetime:
        return self._second + timedelta(microseconds=next(self._moments))

    def wait(self) -> None:
        self._second += timedelta(seconds=1)


@pytest.fixture(scope="module")
def time() -> Time:
    return Time()


@pytest.fixture(scope="module")
def world(time: Time) -> Iterator[World]:
    """One for all cases: each has a key, or a destination, of its own."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        set_environment(patch)
        patch.setattr("moto.s3.models.utcnow", time.now)
        yield World(patch)


@pytest.mark.parametrize("case", against("moto", S3_CASES))
def test_s3(world: World, time: Time, case: S3Case) -> None:
    clients = Clients("us-east-1", connections=1)
    client, publisher = clients.s3("us-east-1"), clients.s3_publisher("us-east-1", read_timeout=5)
    case(
        Stage(
            S3Source(client),
            S3Destination(ONE, client, publisher),
            BotoUser(client, SOURCE),
            BotoUser(client, ONE),
            case.__name__,
            wait=time.wait,
        )
    )


@pytest.mark.parametrize("case", against("moto", LEDGER_CASES))
def test_ledger(world: World, case: LedgerCase) -> None:
    case(world.ledger, case.__name__)
