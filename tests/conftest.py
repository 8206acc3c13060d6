"""What every test gets: an identity that no account knows, and the files in events/."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

ROOT = Path(__file__).parents[1]

# Each mocked world has its own session, and each session would read Amazon's models from disk again.
_read = cache(JSONFileLoader().load_file)


@pytest.fixture(autouse=True, scope="session")
def models_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: _read(path))
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
