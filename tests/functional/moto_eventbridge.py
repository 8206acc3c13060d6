"""Lets moto tell of the EventBridgeConfiguration of a bucket, which it takes and then keeps to itself."""

from typing import Any, Final

import pytest
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

_EVENTBRIDGE: Final = "EventBridgeConfiguration"

_serialized = S3Response.serialized


def tell_of_eventbridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Response, "serialized", _with_eventbridge)


def _with_eventbridge(self: S3Response, action_result: Any) -> Any:
    if self.data.get("Action") == "GetBucketNotificationConfiguration":
        backend: S3Backend = self.backend
        found = backend.get_bucket_notification_configuration(self.bucket_name)
        if found is not None and found.event_bridge is not None:
            action_result.result[_EVENTBRIDGE] = {}
    return _serialized(self, action_result)
