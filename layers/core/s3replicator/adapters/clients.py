"""How clients are configured. The composition root makes them, nobody else."""

from typing import Any

import boto3
from botocore.config import Config


class Clients:
    """Makes clients for one account and endpoint. An endpoint given by AWS_ENDPOINT_URL applies to all."""

    def __init__(self, region: str, connections: int) -> None:
        self.region = region
        self._connections = connections

    def s3(self, region: str) -> Any:
        """For requests that make nothing visible: a few quick tries."""
        return self._s3(region, attempts=4, read_timeout=20)

    def s3_publisher(self, region: str, read_timeout: float) -> Any:
        """For requests that make a version visible. They are sent once: a request whose answer was lost may
        have taken effect, and sent again it would make a second version."""
        return self._s3(region, attempts=1, read_timeout=read_timeout)

    def dynamodb(self) -> Any:
        return self._client("dynamodb", self.region, attempts=6, read_timeout=5)

    def kms(self, region: str) -> Any:
        return self._client("kms", region, attempts=4, read_timeout=10)

    def events(self) -> Any:
        return self._client("events", self.region, attempts=4, read_timeout=5)

    def sqs(self) -> Any:
        return self._client("sqs", self.region, attempts=4, read_timeout=10)

    def _s3(self, region: str, *, attempts: int, read_timeout: float) -> Any:
        # A checksum nobody asked for would change what the replica carries.
        checksums = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        return self._client("s3", region, attempts=attempts, read_timeout=read_timeout, **checksums)

    def _client(
        self, service: str, region: str, *, attempts: int, read_timeout: float, **options: Any
    ) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=read_timeout,
            max_pool_connections=self._connections,
            **options,
        )
        # The stubs know a service by its literal name only.
        make: Any = boto3.client
        return make(service, region_name=region, config=config)
