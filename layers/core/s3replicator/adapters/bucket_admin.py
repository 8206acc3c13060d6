"""Buckets and their settings in S3, for the deployment; the engine never changes a setting."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.decisions.deployment import BucketFacts, BucketRefused, Presence
from s3replicator.decisions.notifications import UNKNOWN, Configuration

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef

# A role's policy takes some seconds to reach S3, and this function is the first to use a new role:
# a denial counts only when it stays.
DENIALS: Final = 5
DENIAL_PAUSE: Final = 4.0  # seconds

# HeadBucket's errors have no body, so botocore names them by their number.
_DENIED: Final = ("403", "AccessDenied")
_MISSING: Final = ("404", "NoSuchBucket")

T = TypeVar("T")


class BucketAdmin:
    """``denials``: how often in a row S3 has to deny a request until that counts."""

    def __init__(self, s3: "S3Client", pause: Callable[[float], None], denials: int = DENIALS) -> None:
        self._s3 = s3
        self._pause = pause
        self._denials = denials
        events: Any = s3.meta.events
        events.register(
            "after-call.s3.GetBucketNotificationConfiguration", _tell_unknown, unique_id=f"{UNKNOWN}.elements"
        )

    def facts(self, bucket: str) -> BucketFacts:
        try:
            head = self._ask(bucket, "HeadBucket", lambda: self._s3.head_bucket(Bucket=bucket))
            versioning = self._ask(
                bucket,
                "GetBucketVersioning",
                lambda: self._s3.get_bucket_versioning(Bucket=bucket),
            )
        except BucketRefused as refusal:
            if refusal.code in _MISSING:
                return BucketFacts(bucket, Presence.MISSING)
            if refusal.code in _DENIED:
                return BucketFacts(bucket, Presence.FORBIDDEN)
            raise
        return BucketFacts(
            name=bucket,
            presence=Presence.FOUND,
            region=head["BucketRegion"],
            versioning=versioning.get("Status", ""),
        )

    def notifications(self, bucket: str) -> Configuration:
        reply = self._ask(
            bucket,
            "GetBucketNotificationConfiguration",
            lambda: self._s3.get_bucket_notification_configuration(Bucket=bucket),
        )
        return {name: value for name, value in reply.items() if name != "ResponseMetadata"}

    def put_notifications(self, bucket: str, configuration: Configuration) -> None:
        if unknown := configuration.get(UNKNOWN):
            message = (
                f"the configuration holds {', '.join(unknown)}, which this release does not know: it would be"
                " lost if it was written again. Deploy a release that knows it, or change our entry by hand"
            )
            raise BucketRefused(bucket, "PutBucketNotificationConfiguration", "UnknownElements", message)
        # Without the skip S3 sends a test to every target in the configuration, and a user's entry
        # whose target is gone would stop the deployment.
        document = cast("NotificationConfigurationTypeDef", configuration)
        self._ask(
            bucket,
            "PutBucketNotificationConfiguration",
            lambda: self._s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=document, SkipDestinationValidation=True
            ),
        )

    def put_if_absent(self, bucket: str, key: str, body: str) -> None:
        try:
            self._ask(
                bucket,
                "PutObject",
                lambda: self._s3.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=body.encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                ),
            )
        except BucketRefused as refusal:
            # It exists, or somebody is writing it this moment.
            if refusal.code not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise

    def _ask(self, bucket: str, operation: str, call: Callable[[], T]) -> T:
        for attempt in range(1, self._denials + 1):
            try:
                return call()
            except ClientError as error:
                detail: Any = error.response["Error"]
                code = detail.get("Code", "Unknown")
                if code not in _DENIED or attempt == self._denials:
                    message = detail.get("Message") or ""
                    raise BucketRefused(bucket, operation, code, message) from error
            except BotoCoreError as error:
                code = type(error).__name__
                raise BucketRefused(bucket, operation, code, str(error)) from error
            self._pause(DENIAL_PAUSE)
        raise AssertionError("the last attempt returns or raises")


def _tell_unknown(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """The SDK leaves out what it does not know, and whoever writes back what it told removes it."""
    if http_response.status_code != 200 or not http_response.content:
        return
    found = ElementTree.fromstring(http_response.content)  # noqa: S314 - S3 itself is trusted
    if unknown := sorted(set(_unknown(found, model.output_shape))):
        parsed[UNKNOWN] = unknown


def _unknown(element: ElementTree.Element, shape: Any) -> Iterator[str]:
    """The names of what is in this element, and the SDK's model of it does not have."""
    known = {}
    if shape.type_name == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    for child in element:
        name = child.tag.rpartition("}")[2]
        member = known.get(name)
        if member is None:
            yield name
        else:
            yield from _unknown(child, member.member if member.type_name == "list" else member)
