"""Failures, sorted by what to do next.

* ReplicationError
  x RetryableError    the same input may succeed later    -> a few quick tries, then a due row in the ledger
    - AmbiguousWrite  a visible write may have happened   -> resolve the intent before anything else
  x TerminalError     waits until somebody changes something -> parked at once, with its reason
  x NotEligible       the object cannot be replicated as it is -> recorded and counted
    - PassedOver      it is a replica, which nobody asks for   -> counted, and without a row
  x SourceGone        the source version no longer exists -> success, a tombstone
  x ReplicaLost     others have removed the replica       -> recorded, and not copied again
  x UnreadableEvent   a message nobody can understand     -> parked as it came

Every failure carries a reason code. The codes are Amazon S3's own where it has one
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html) and are a
contract: they appear in the ledger, in parked messages, in metrics, and as headings of docs/runbook.md.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a version is not (yet) at a destination."""

    # Amazon S3's codes
    DST_BUCKET_NOT_FOUND = "DstBucketNotFound"
    DST_BUCKET_UNVERSIONED = "DstBucketUnversioned"
    DST_DELETE_NOT_PERMITTED = "DstDelObjNotPermitted"
    DST_KMS_KEY_INVALID_STATE = "DstKmsKeyInvalidState"
    DST_KMS_KEY_NOT_FOUND = "DstKmsKeyNotFound"
    DST_COMPLETE_NOT_PERMITTED = "DstMultipartCompleteNotPermitted"
    DST_INIT_NOT_PERMITTED = "DstMultipartInitNotPermitted"
    DST_PART_NOT_PERMITTED = "DstMultipartUploadNotPermitted"
    DST_PUT_ACL_NOT_PERMITTED = "DstPutAclNotPermitted"
    DST_PUT_LEGAL_HOLD_NOT_PERMITTED = "DstPutLegalHoldNotPermitted"
    DST_PUT_NOT_PERMITTED = "DstPutObjectNotPermitted"
    DST_PUT_RETENTION_NOT_PERMITTED = "DstPutRetentionNotPermitted"
    DST_PUT_TAGGING_NOT_PERMITTED = "DstPutTaggingNotPermitted"
    DST_LOCK_CONFIG_MISSING = "DstBucketObjectLockConfigMissing"
    SRC_BUCKET_NOT_FOUND = "SrcBucketNotFound"
    SRC_GET_ACL_NOT_PERMITTED = "SrcGetAclNotPermitted"
    SRC_GET_NOT_PERMITTED = "SrcGetObjectNotPermitted"
    SRC_GET_TAGGING_NOT_PERMITTED = "SrcGetTaggingNotPermitted"
    SRC_KMS_KEY_INVALID_STATE = "SrcKmsKeyInvalidState"
    SRC_OBJECT_NOT_ELIGIBLE = "SrcObjectNotEligible"
    SRC_VERSION_NOT_FOUND = "SrcVersionNotFound"
    # Ours, where Amazon has none
    BAD_EVENT = "UnreadableEvent"
    BUSY = "KeyBusy"
    CONFIGURATION_UNREADABLE = "ConfigurationUnreadable"
    DESTINATION_NOT_IN_STACK = "DestinationNotInStack"
    DST_PUT_ANNOTATION_NOT_PERMITTED = "DstPutAnnotationNotPermitted"
    DST_LIST_NOT_PERMITTED = "DstListBucketNotPermitted"
    DST_OBJECT_LOCKED = "DstObjectLocked"
    DST_OWNER_MISMATCH = "DstBucketOwnerMismatch"
    DST_READ_NOT_PERMITTED = "DstGetObjectNotPermitted"
    KEY_CONFLICT = "DestinationKeyConflict"
    LATE_VERSION = "LateVersion"
    LEDGER_UNAVAILABLE = "LedgerUnavailable"
    OUT_OF_ORDER = "OutOfOrder"
    NOT_OURS = "DstVersionNotOurs"
    QUEUE_UNAVAILABLE = "QueueUnavailable"
    REPLAY_TOO_LARGE = "ReplayTooLarge"
    REPLICA_COPIED = "ReplicaCopiedInPlace"
    REPLICA_LOST = "ReplicaLost"
    REQUEST_REFUSED = "RequestRefused"
    RULE_GONE = "RuleNoLongerSelects"
    SRC_GET_ANNOTATION_NOT_PERMITTED = "SrcGetAnnotationNotPermitted"
    SRC_IS_REPLICA = "SrcObjectIsReplica"
    SRC_LIST_NOT_PERMITTED = "SrcListBucketNotPermitted"
    THROTTLED = "Throttled"
    TOO_MANY_COPIES = "TooManyCopies"
    UNAVAILABLE = "ServiceUnavailable"
    UNEXPECTED = "UnexpectedError"
    UNSETTLED = "KeyUnsettled"
    VERIFICATION_FAILED = "VerificationFailed"
    VERSION_DELETES_HALTED = "VersionDeletesHalted"
    WRONG_SOURCE = "WrongSourceBucket"


def reason_told(told: str | None) -> Reason:
    """The reason that a row tells. A later release may have others."""
    return next((reason for reason in Reason if reason == told), Reason.UNEXPECTED)


class ReplicationError(Exception):
    """Base of everything this package raises on purpose."""

    def __init__(self, reason: Reason, detail: str, request_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.request_id = request_id


class RetryableError(ReplicationError):
    """The same input may succeed later."""


class AmbiguousWrite(RetryableError):
    """The request was sent, and nobody knows whether it took effect."""


class TerminalError(ReplicationError):
    """The same input fails the same way until somebody changes something."""


class NotEligible(ReplicationError):
    """Amazon S3 does not let this object be replicated as it is stored now."""


class PassedOver(NotEligible):
    """The version is a replica, or may be one, and nobody asks for it to be carried onward. ``expected``: a
    declared peer wrote it; ``undecided``: only the event that tells of its creation can say who did."""

    def __init__(self, detail: str, *, expected: bool = False, undecided: bool = False) -> None:
        super().__init__(Reason.SRC_IS_REPLICA, detail)
        self.expected = expected
        self.undecided = undecided


class SourceGone(ReplicationError):
    """The source version has been deleted meanwhile: nothing is left to replicate."""


class ReplicaLost(ReplicationError):
    """Somebody else has removed the replica."""


class UnreadableEvent(ReplicationError):
    """A message, or a record in it, that cannot be understood."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.BAD_EVENT, detail)


class Call(StrEnum):
    """Which request failed; the same error code means different things for different requests."""

    SRC_READ = "reading the source version"
    SRC_TAGS = "reading the source version's tags"
    SRC_LIST = "listing the source key"
    SRC_ACL = "reading the source version's ACL"
    SRC_ANNOTATIONS = "reading the source version's annotations"
    DST_COPY = "copying to the destination"
    DST_MARK = "writing the delete marker"
    DST_CREATE = "starting the upload"
    DST_PART = "copying a part"
    DST_COMPLETE = "completing the upload"
    DST_ABORT = "aborting the upload"
    DST_PARTS = "listing the upload's parts"
    DST_READ = "reading the replica"
    DST_LIST = "listing the destination key"
    DST_REMOVE = "deleting a replica"
    DST_TAG = "changing the replica's tags"
    DST_ACL = "changing the replica's ACL"
    DST_RETENTION = "changing the replica's retention"
    DST_LEGAL_HOLD = "changing the replica's legal hold"
    DST_ANNOTATION = "changing the replica's annotations"


#: Requests that make a version visible when they succeed.
PUBLISHING: Final = frozenset({Call.DST_COPY, Call.DST_MARK, Call.DST_COMPLETE})

#: Requests for what belongs to the source version, and delete markers have not.
_SOURCE_PARTS: Final = frozenset({Call.SRC_TAGS, Call.SRC_ACL, Call.SRC_ANNOTATIONS})
_SOURCE_READS: Final = _SOURCE_PARTS | {Call.SRC_READ, Call.SRC_LIST}

#: Requests that name the source version: a missing key or version can only be that one.
_SOURCE_NAMED: Final = _SOURCE_READS | {Call.DST_COPY, Call.DST_PART}

#: Requests that name a replica by its version id.
_REPLICA_NAMED: Final = frozenset(
    {
        Call.DST_READ,
        Call.DST_TAG,
        Call.DST_ACL,
        Call.DST_RETENTION,
        Call.DST_LEGAL_HOLD,
        Call.DST_ANNOTATION,
    }
)

_DENIED: Final[Mapping[Call, Reason]] = {
    Call.SRC_READ: Reason.SRC_GET_NOT_PERMITTED,
    Call.SRC_TAGS: Reason.SRC_GET_TAGGING_NOT_PERMITTED,
    Call.SRC_LIST: Reason.SRC_LIST_NOT_PERMITTED,
    Call.SRC_ACL: Reason.SRC_GET_ACL_NOT_PERMITTED,
    Call.SRC_ANNOTATIONS: Reason.SRC_GET_ANNOTATION_NOT_PERMITTED,
    Call.DST_COPY: Reason.DST_PUT_NOT_PERMITTED,
    Call.DST_MARK: Reason.DST_DELETE_NOT_PERMITTED,
    Call.DST_CREATE: Reason.DST_INIT_NOT_PERMITTED,
    Call.DST_PART: Reason.DST_PART_NOT_PERMITTED,
    Call.DST_COMPLETE: Reason.DST_COMPLETE_NOT_PERMITTED,
    Call.DST_ABORT: Reason.DST_PART_NOT_PERMITTED,
    Call.DST_PARTS: Reason.DST_PART_NOT_PERMITTED,
    Call.DST_READ: Reason.DST_READ_NOT_PERMITTED,
    Call.DST_LIST: Reason.DST_LIST_NOT_PERMITTED,
    Call.DST_REMOVE: Reason.DST_DELETE_NOT_PERMITTED,
    Call.DST_TAG: Reason.DST_PUT_TAGGING_NOT_PERMITTED,
    Call.DST_ACL: Reason.DST_PUT_ACL_NOT_PERMITTED,
    Call.DST_RETENTION: Reason.DST_PUT_RETENTION_NOT_PERMITTED,
    Call.DST_LEGAL_HOLD: Reason.DST_PUT_LEGAL_HOLD_NOT_PERMITTED,
    Call.DST_ANNOTATION: Reason.DST_PUT_ANNOTATION_NOT_PERMITTED,
}

# A copy needs several permissions at once; where the answer names the one that was missing, so do we.
_DENIED_ACTION: Final[Mapping[str, Reason]] = {
    "s3:GetObject": Reason.SRC_GET_NOT_PERMITTED,
    "s3:GetObjectVersion": Reason.SRC_GET_NOT_PERMITTED,
    "s3:GetObjectTagging": Reason.SRC_GET_TAGGING_NOT_PERMITTED,
    "s3:GetObjectVersionTagging": Reason.SRC_GET_TAGGING_NOT_PERMITTED,
    "s3:GetObjectAnnotation": Reason.SRC_GET_ANNOTATION_NOT_PERMITTED,
    "s3:GetObjectVersionAnnotation": Reason.SRC_GET_ANNOTATION_NOT_PERMITTED,
    "s3:PutObjectTagging": Reason.DST_PUT_TAGGING_NOT_PERMITTED,
    "s3:PutObjectRetention": Reason.DST_PUT_RETENTION_NOT_PERMITTED,
    "s3:PutObjectLegalHold": Reason.DST_PUT_LEGAL_HOLD_NOT_PERMITTED,
    "s3:PutObjectAcl": Reason.DST_PUT_ACL_NOT_PERMITTED,
    "s3:PutObjectAnnotation": Reason.DST_PUT_ANNOTATION_NOT_PERMITTED,
}
_ACTION_IN_MESSAGE: Final = re.compile(r"not authorized to perform: ((?:s3|kms):\w+)")

_THROTTLES: Final = frozenset(
    {
        "KMS.ThrottlingException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# An upload that is gone is begun anew; a pinned ETag that differs means that what we read was replaced.
_TRANSIENT: Final = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "ExpiredToken",
        "KMS.DependencyTimeoutException",
        "KMS.KMSInternalException",
        "KMS.KeyUnavailableException",
        "NoSuchKey",
        "NoSuchUpload",
        "NoSuchVersion",
        "OperationAborted",
        "PreconditionFailed",
        "RequestTimeTooSkewed",
        "RequestTimeout",
    }
)
# Answers to a visible write, as (code, status), that are worth another try and yet definite: S3 looks at who
# asks, and at the conditions, before it does anything. The status is part of it, because an error inside a
# 200 was met under way. Nothing is promised of the others: after a server error or SlowDown the request may
# have been processed, and a conflict (409) may be one with what a dead worker has sent.
_NOT_PERFORMED: Final = frozenset(
    {("ExpiredToken", 400), ("PreconditionFailed", 412), ("RequestTimeTooSkewed", 403)}
)
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
#: S3's message about a version that a retention or a legal hold keeps as it is; the code is AccessDenied.
_LOCKED: Final = "protected by object lock"
#: Where no body could be read, the SDK puts the status in the place of the code. That something is missing
#: does not say what, so it proves nothing.
_CODE_OF_STATUS: Final[Mapping[str, str]] = {"405": "MethodNotAllowed", "412": "PreconditionFailed"}
_MISSING: Final = "404"
_ARCHIVED: Final = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_DENIALS: Final = frozenset({"AccessDenied", "AccountProblem", "AllAccessDisabled"})
# What KMS says of a key is told by S3 with this in front:
# https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors
_KMS_STATE: Final = frozenset(
    {"KMS.DisabledException", "KMS.InvalidKeyUsageException", "KMS.KMSInvalidStateException"}
)
_KMS_MISSING: Final = "KMS.NotFoundException"
_DECRYPT: Final = "kms:Decrypt"


def classify(
    call: Call, code: str, status: int, message: str, request_id: str | None = None
) -> ReplicationError:
    """Turn an S3 error answer into the failure that says what to do next.

    ``code`` is the error code of the body, ``status`` the HTTP status. What is unknown is retryable,
    because the retry budget bounds it; what S3 refused outright (4xx) is terminal.
    """
    detail = f"{call}: {code} {message}".strip()
    code = _CODE_OF_STATUS.get(code, code)
    error, reason = _verdict(call, code, status, message)
    if error is RetryableError and call in PUBLISHING and (code, status) not in _NOT_PERFORMED:
        error = AmbiguousWrite
    return error(reason, detail, request_id)


def _verdict(call: Call, code: str, status: int, message: str) -> tuple[type[ReplicationError], Reason]:
    of_source = call in _SOURCE_READS
    if code in _THROTTLES or status in (429, 503):
        return RetryableError, Reason.THROTTLED
    if code in _GONE and call in _SOURCE_NAMED:
        return SourceGone, Reason.SRC_VERSION_NOT_FOUND
    if code in _GONE and call in _REPLICA_NAMED:
        return ReplicaLost, Reason.REPLICA_LOST
    if _is_of_marker(call, code, message) or _is_no_id(call, code, message):
        return SourceGone, Reason.SRC_VERSION_NOT_FOUND
    if code in _TRANSIENT or code == _MISSING or status >= 500 or status in (0, 200, 409):
        return RetryableError, Reason.UNAVAILABLE
    if code == "NoSuchBucket":
        return TerminalError, Reason.SRC_BUCKET_NOT_FOUND if of_source else Reason.DST_BUCKET_NOT_FOUND
    if code in _ARCHIVED:
        return NotEligible, Reason.SRC_OBJECT_NOT_ELIGIBLE
    if code in _KMS_STATE:
        state = Reason.SRC_KMS_KEY_INVALID_STATE if of_source else Reason.DST_KMS_KEY_INVALID_STATE
        return TerminalError, state
    if code == _KMS_MISSING:
        missing = Reason.SRC_KMS_KEY_INVALID_STATE if of_source else Reason.DST_KMS_KEY_NOT_FOUND
        return TerminalError, missing
    if code in _DENIALS or status == 403:
        return TerminalError, _denied(call, message)
    if not of_source and ("ObjectLock" in code or "Object Lock" in message):
        return TerminalError, Reason.DST_LOCK_CONFIG_MISSING
    return TerminalError, Reason.REQUEST_REFUSED


def _is_of_marker(call: Call, code: str, message: str) -> bool:
    """True if S3 refuses because the source version is a delete marker. It was an object when we looked, so
    it was a null version, and the marker has taken its place."""
    if call in _SOURCE_PARTS:
        return code == "MethodNotAllowed"
    return call in (Call.DST_COPY, Call.DST_PART) and code == "InvalidRequest" and "delete marker" in message


def _is_no_id(call: Call, code: str, message: str) -> bool:
    """True if S3 refuses because no version can have such an id."""
    return call in _SOURCE_NAMED and code == "InvalidArgument" and "version id" in message.lower()


def _denied(call: Call, message: str) -> Reason:
    named = _ACTION_IN_MESSAGE.search(message)
    if named and named.group(1) == _DECRYPT and call is Call.DST_COPY:
        # What is written takes a new data key; only what is read is decrypted.
        return Reason.SRC_GET_NOT_PERMITTED
    if named and call is not Call.DST_READ:
        # What reads the source is named as what reads a replica.
        return _DENIED_ACTION.get(named.group(1), _DENIED[call])
    if call not in _SOURCE_READS and _LOCKED in message:
        return Reason.DST_OBJECT_LOCKED
    return _DENIED[call]


def may_be_about_key(code: str) -> bool:
    """Whether S3 may have refused because of an object's KMS key: out of order, or not for us to use."""
    return code in _KMS_STATE or code == _KMS_MISSING or code in _DENIALS


#: What is said of a destination's key, and what is meant if the key is the source's.
_OF_SOURCE_KEY: Final[Mapping[Reason, Reason]] = {
    Reason.DST_KMS_KEY_INVALID_STATE: Reason.SRC_KMS_KEY_INVALID_STATE,
    Reason.DST_KMS_KEY_NOT_FOUND: Reason.SRC_KMS_KEY_INVALID_STATE,
    Reason.DST_PART_NOT_PERMITTED: Reason.SRC_GET_NOT_PERMITTED,
}


def blamed(failure: ReplicationError, source_key: str | None) -> ReplicationError:
    """The failure of a request that uses two KMS keys, that of what is copied and the replica's: S3 names the
    one that is meant in its message only."""
    reason = _OF_SOURCE_KEY.get(failure.reason)
    if reason is None or source_key is None or source_key not in failure.detail:
        return failure
    return type(failure)(reason, failure.detail, failure.request_id)
