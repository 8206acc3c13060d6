"""Lets moto take every event that Amazon S3 knows, and tell of the EventBridgeConfiguration of a bucket,
which it takes and then keeps to itself."""

from functools import cache
from typing import Any, Final

import botocore.session
import pytest
from moto.s3.models import S3Backend
from moto.s3.notifications import S3NotificationEvent
from moto.s3.responses import S3Response

_EVENTBRIDGE: Final = "EventBridgeConfiguration"

_serialized = S3Response.serialized


def notify_as_s3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3NotificationEvent, "is_event_valid", lambda event: event in _events())
    monkeypatch.setattr(S3Response, "serialized", _with_eventbridge)


@cache
def _events() -> frozenset[str]:
    shape: Any = botocore.session.get_session().get_service_model("s3").shape_for("Event")
    return frozenset(shape.enum)


def _with_eventbridge(self: S3Response, action_result: Any) -> Any:
    if self.data.get("Action") == "GetBucketNotificationConfiguration":
        backend: S3Backend = self.backend
        found = backend.get_bucket_notification_configuration(self.bucket_name)
        if found is not None and found.event_bridge is not None:
            action_result.result[_EVENTBRIDGE] = {}
    return _serialized(self, action_result)
