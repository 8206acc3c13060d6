"""What every test gets: an identity that no account knows, and the files in events/."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.botocore_once import made_once

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def clients_share_what_never_changes() -> Iterator[None]:
    with made_once():
        yield


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def set_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten mock can then never reach an account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def event_file() -> Callable[[str], Any]:
    """Loads a file of events/ by its name."""

    def load(name: str) -> Any:
        return json.loads((ROOT / "events" / name).read_text())

    return load
