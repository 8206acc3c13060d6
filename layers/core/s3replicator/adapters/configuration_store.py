"""The replication configuration in the control bucket, cached."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.configuration_document import parse_in_force
from s3replicator.decisions.collisions import search_collision
from s3replicator.decisions.configuration import OBJECT_KEY, Configuration, InvalidConfiguration
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.ports import Clock

#: A function searches for rules that collide for some tenths of a second at most, while messages wait: what
#: takes longer is found by `s3rctl config validate` and `s3rctl check`.
_MOST_LOOKS: Final = 200_000


class ConfigurationStore:
    """Reads the document at most once in ``cache`` seconds, and only if it has changed.

    A configuration that cannot be read any more does not undo the last good one; ``report`` is told of
    it every time. So is ``report_collision`` of one that lets keys of the source meet at a destination: it
    was let in by a former release, and is used as it is.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        source_bucket: str,
        *,
        cache: float,
        clock: Clock,
        report: Callable[[str], None],
        report_collision: Callable[[str], None],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._source_bucket = source_bucket
        self._cache = cache
        self._clock = clock
        self._report = report
        self._report_collision = report_collision
        self._known: Configuration | None = None
        self._collision: str | None = None
        self._owners: Mapping[str, str] = {}
        self._etag: str | None = None
        self._fresh_until = 0.0

    def current(self) -> Configuration:
        if self._known is not None and self._clock.now() < self._fresh_until:
            return self._known
        try:
            self._known = self._read() or self._known
        except (ClientError, BotoCoreError, InvalidConfiguration) as error:
            problem = f"s3://{self._bucket}/{OBJECT_KEY}: {error}"
            self._report(problem)
            if self._known is None:
                raise RetryableError(Reason.CONFIGURATION_UNREADABLE, problem) from error
        if self._collision is not None:
            self._report_collision(self._collision)
        self._fresh_until = self._clock.now() + self._cache
        assert self._known is not None
        return self._known

    def owner_of(self, bucket: str) -> str | None:
        """The account that has to own a destination, as the rules last read say: the strongest that does."""
        return self._owners.get(bucket)

    def _read(self) -> Configuration | None:
        """None if it has not changed."""
        unless_known = {"IfNoneMatch": self._etag} if self._etag else {}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=OBJECT_KEY, **unless_known)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 304:
                return None
            raise
        configuration = parse_in_force(answer["Body"].read(), self._source_bucket)
        self._etag = answer["ETag"]
        collision = search_collision(configuration, _MOST_LOOKS).collision
        self._collision = None if collision is None else str(collision)
        self._owners = {
            rule.destination.bucket: rule.destination.account
            for rule in reversed(configuration.ranked)
            if rule.destination.account is not None
        }
        return configuration
