"""The account's default event bus, to which replication events go.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.announcements import Announcement
from s3replicator.decisions.failures import Reason, RetryableError

#: The ``source`` of our events, for the rules of those who listen. The roles may send no others.
SOURCE: Final = "s3-replicator"

#: What one PutEvents takes.
_MOST_AT_ONCE: Final = 10

#: The bus may refuse some of the events of a request, and takes them a moment later.
_TRIES: Final = 3


class EventBus:
    """``make_client`` is called when there is something to tell for the first time: mostly there is nothing,
    and making a client costs tens of milliseconds."""

    def __init__(self, make_client: Callable[[], Any], source_bucket: str) -> None:
        self._make_client = make_client
        self._source_bucket = source_bucket

    @cached_property
    def _client(self) -> Any:
        return self._make_client()

    def tell(self, announcements: Sequence[Announcement]) -> None:
        """Raises ``RetryableError`` if some could not be sent."""
        waiting = [self._entry(announcement) for announcement in announcements]
        for _ in range(_TRIES):
            waiting = self._send(waiting)
        if waiting:
            raise RetryableError(Reason.UNAVAILABLE, f"{len(waiting)} events were refused: {waiting}")

    def _send(self, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those that were refused."""
        refused: list[Mapping[str, Any]] = []
        for start in range(0, len(entries), _MOST_AT_ONCE):
            sent = entries[start : start + _MOST_AT_ONCE]
            try:
                answer = self._client.put_events(Entries=sent)
            except (ClientError, BotoCoreError) as error:
                raise RetryableError(Reason.UNAVAILABLE, f"{error}: {sent}") from error
            refused += [
                entry for entry, said in zip(sent, answer["Entries"], strict=True) if "ErrorCode" in said
            ]
        return refused

    def _entry(self, announcement: Announcement) -> Mapping[str, Any]:
        partition = self._client.meta.partition
        return {
            "Source": SOURCE,
            "DetailType": announcement.event.value,
            "Resources": [f"arn:{partition}:s3:::{self._source_bucket}"],
            "Detail": json.dumps(announcement.detail(self._source_bucket, partition)),
        }
