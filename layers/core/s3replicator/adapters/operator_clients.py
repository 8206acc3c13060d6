"""The SDK's clients for an operator, whose environment may be anything: what is wrong with it is said in a
sentence that names the setting, its value, and what to do."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    InvalidRegionError,
    NoRegionError,
    ProfileNotFound,
    UnknownRegionError,
)

from s3replicator.decisions.stack import StackUnusable

#: What can be part of a host's name. The SDK takes an empty one, and fails when it signs a request.
_REGION: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")

_ENDPOINT: Final = "AWS_ENDPOINT_URL"

#: By what the SDK raises, what to do.
_FIXES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (ProfileNotFound, "name one that `aws configure list-profiles` lists in AWS_PROFILE, or unset it"),
    (
        ConfigParseError,
        "mend that file, or name another one in AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE",
    ),
    (
        (NoRegionError, InvalidRegionError, UnknownRegionError),
        "give one such as us-east-1 with --region, or in AWS_DEFAULT_REGION",
    ),
)
_FIX: Final = "look at the variables AWS_... of the environment, and at the profile in the AWS config file"


def client(service: str, region: str | None, config: Config) -> Any:
    """Raises ``StackUnusable``. Nothing is sent, unless credentials have to be fetched."""
    _check_endpoints(os.environ)
    with _settings():
        session = _session()
        _check_region(region if region is not None else session.region_name)
        # The stubs know a service by its literal name only.
        make: Any = session.client
        made = make(service, region_name=region, config=config)
        credentials = session.get_credentials()
        if credentials is not None:
            # Those that are fetched are fetched here, where whatever goes wrong is about them.
            credentials.get_frozen_credentials()
            return made
    raise StackUnusable(
        "there are no AWS credentials: sign in, choose a profile (AWS_PROFILE), or set"
        " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def partition_of(region: str | None) -> str:
    """The partition of a region, or of the one that is asked for by default. Raises ``StackUnusable``."""
    with _settings():
        session = _session()
        return session.get_partition_for_region(region or session.region_name or "us-east-1")


def _session() -> boto3.session.Session:
    """The one that `boto3.client` would use: credentials are looked for once."""
    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    return boto3.DEFAULT_SESSION


def _check_endpoints(environment: Mapping[str, str]) -> None:
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    for name, value in environment.items():
        # An empty one is none, for the SDK as well.
        if name.startswith(_ENDPOINT) and value and not _is_url(value):
            raise StackUnusable(
                f"{name} is {value!r}, and has to be a URL such as http://localhost:4566: correct it, or"
                " unset it"
            )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port finds out whether it is one.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_region(region: str | None) -> None:
    if region is not None and not _REGION.fullmatch(region):
        raise StackUnusable(
            f"the region is {region!r}, and cannot be one: give one such as us-east-1 with --region, or in"
            " AWS_DEFAULT_REGION"
        )


@contextmanager
def _settings() -> Iterator[None]:
    try:
        yield
    # Besides its own errors the SDK lets through whatever files, programs and parsers raise; its native part
    # raises RuntimeError.
    except (BotoCoreError, ClientError, OSError, ValueError, RuntimeError) as error:
        fix = next((fix for kind, fix in _FIXES if isinstance(error, kind)), _FIX)
        raise StackUnusable(f"AWS cannot be reached: {str(error).rstrip('.')}: {fix}") from error
