"""The settings of buckets and keys, for a check. Nothing here changes anything or raises: what we may not
look at is told as such."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.s3_errors import status_of
from s3replicator.decisions.deployment import Presence
from s3replicator.decisions.preflight import (
    WRITER_OWNS,
    Bucket,
    Key,
    LifecycleRule,
    LockSetting,
    NativeRule,
    Unseen,
)

T = TypeVar("T")

#: What each request needs to be allowed.
VERSIONING: Final = "s3:GetBucketVersioning"
OBJECT_LOCK: Final = "s3:GetBucketObjectLockConfiguration"
OWNERSHIP: Final = "s3:GetBucketOwnershipControls"
REPLICATION: Final = "s3:GetReplicationConfiguration"
LIFECYCLE: Final = "s3:GetLifecycleConfiguration"
KEY: Final = "kms:DescribeKey"


class AwsSettings:
    """``s3`` and ``kms`` make a client for a region; ``account`` is the one that the stack is in."""

    def __init__(
        self, s3: Callable[[str], Any], kms: Callable[[str], Any], region: str, account: str
    ) -> None:
        self._s3 = s3
        self._kms = kms
        self._region = region
        self._account = account

    def source(self, bucket: str) -> Bucket:
        return self._bucket(bucket, self._region, owners=(), with_lifecycle=False)

    def destination(self, bucket: str, region: str, owners: Iterable[str]) -> Bucket:
        return self._bucket(bucket, region, owners, with_lifecycle=True)

    def key(self, name: str, region: str) -> Key | Unseen | None:
        try:
            found = self._kms(region).describe_key(KeyId=name)["KeyMetadata"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NotFoundException":
                return None
            return Unseen(KEY, _words(error))
        except BotoCoreError as error:
            return Unseen(KEY, _words(error))
        usage, spec = found.get("KeyUsage"), found.get("KeySpec")
        fits = usage in (None, "ENCRYPT_DECRYPT") and spec in (None, "SYMMETRIC_DEFAULT")
        return Key(found["KeyState"], unfit="" if fits else f"{usage}, {spec}")

    def _bucket(self, name: str, region: str, owners: Iterable[str], *, with_lifecycle: bool) -> Bucket:
        client = self._s3(region)
        presence, real_region = _found(client, name)
        if presence is Presence.MISSING:
            return Bucket(name, presence)
        listable = presence is Presence.FOUND
        return Bucket(
            name,
            presence,
            region=real_region,
            versioning=_look(VERSIONING, lambda: _versioning(client, name)),
            lock=_look(OBJECT_LOCK, lambda: _lock(client, name)),
            ownership=_look(OWNERSHIP, lambda: _ownership(client, name)),
            native=_look(REPLICATION, lambda: tuple(_native(client, name))),
            lifecycle=_look(LIFECYCLE, lambda: tuple(_lifecycle(client, name))) if with_lifecycle else (),
            ours=not listable or _belongs_to(client, name, self._account),
            not_of=frozenset(owner for owner in owners if listable and not _belongs_to(client, name, owner)),
        )


def _found(client: Any, bucket: str) -> tuple[Presence, str]:
    """Whether it is there, and its region, which S3 tells even those who may not list it."""
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if status_of(error) == 404:
            return Presence.MISSING, ""
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return Presence.FORBIDDEN, headers.get("x-amz-bucket-region", "")
    except BotoCoreError:
        return Presence.FORBIDDEN, ""
    return Presence.FOUND, answer.get("BucketRegion", "")


def _belongs_to(client: Any, bucket: str, account: str) -> bool:
    """Of a bucket that may be listed: S3 then denies it only because of the account."""
    try:
        client.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        return status_of(error) != 403
    except BotoCoreError:
        pass
    return True


def _look(action: str, call: Callable[[], T]) -> T | Unseen:
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        return Unseen(action, _words(error))


def _words(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return f"{told.get('Code', '')}: {told.get('Message', '')}".strip(": .")
    return str(error).rstrip(".")


def _unless_absent(call: Callable[[], T], code: str) -> T | None:
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] == code:
            return None
        raise


def _versioning(client: Any, bucket: str) -> str:
    return str(client.get_bucket_versioning(Bucket=bucket).get("Status", ""))


def _lock(client: Any, bucket: str) -> LockSetting | None:
    answer = _unless_absent(
        lambda: client.get_object_lock_configuration(Bucket=bucket), "ObjectLockConfigurationNotFoundError"
    )
    found = (answer or {}).get("ObjectLockConfiguration", {})
    if found.get("ObjectLockEnabled") != "Enabled":
        return None
    retention = found.get("Rule", {}).get("DefaultRetention", {})
    if not retention.get("Mode"):
        return LockSetting()
    period = f"{retention['Days']} days" if retention.get("Days") else f"{retention.get('Years')} years"
    return LockSetting(f"{retention['Mode']} for {period}")


def _ownership(client: Any, bucket: str) -> str:
    answer = _unless_absent(
        lambda: client.get_bucket_ownership_controls(Bucket=bucket), "OwnershipControlsNotFoundError"
    )
    if answer is None:
        # A bucket older than the setting is as one where the writer owns.
        return WRITER_OWNS
    [rule] = answer["OwnershipControls"]["Rules"]
    return str(rule["ObjectOwnership"])


def _native(client: Any, bucket: str) -> Iterator[NativeRule]:
    answer = _unless_absent(
        lambda: client.get_bucket_replication(Bucket=bucket), "ReplicationConfigurationNotFoundError"
    )
    for rule in (answer or {}).get("ReplicationConfiguration", {}).get("Rules", []):
        if rule["Status"] == "Enabled":
            to = rule["Destination"]["Bucket"].rpartition(":")[2]
            yield NativeRule(to, _prefix(rule), _is_by_tags(rule))


def _is_by_tags(rule: Mapping[str, Any]) -> bool:
    chosen = rule.get("Filter", {})
    return bool(chosen.get("Tag") or chosen.get("And", {}).get("Tags"))


def _lifecycle(client: Any, bucket: str) -> Iterator[LifecycleRule]:
    answer = _unless_absent(
        lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket), "NoSuchLifecycleConfiguration"
    )
    for number, rule in enumerate((answer or {}).get("Rules", []), start=1):
        if rule["Status"] == "Enabled":
            yield LifecycleRule(
                rule.get("ID") or f"number {number}",
                _prefix(rule),
                removes=_removed(rule),
                aborts_uploads="AbortIncompleteMultipartUpload" in rule,
            )


def _removed(rule: Mapping[str, Any]) -> str:
    current, noncurrent = rule.get("Expiration", {}), rule.get("NoncurrentVersionExpiration", {})
    told = []
    if "Days" in current:
        told.append(f"current versions after {current['Days']} days")
    elif "Date" in current:
        told.append(f"current versions after {current['Date']:%Y-%m-%d}")
    if "NoncurrentDays" in noncurrent:
        told.append(f"noncurrent versions after {noncurrent['NoncurrentDays']} days")
    return " and ".join(told)


def _prefix(rule: Mapping[str, Any]) -> str:
    """Of a rule of the older form, of one whose filter has a prefix, and of one that has more beside it."""
    chosen = rule.get("Filter", {})
    return str(rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or "")
