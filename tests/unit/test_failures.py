"""What an error answer means, and what is done about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.failures import (
    PUBLISHING,
    AmbiguousWrite,
    Call,
    NotEligible,
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
    TerminalError,
    UnreadableEvent,
    blamed,
    classify,
    reason_told,
)

SOURCE_READS = (Call.SRC_READ, Call.SRC_TAGS, Call.SRC_LIST, Call.SRC_ACL)

Answer = tuple[str, int, str]

LOCKED = "Access Denied because object protected by object lock."
COPY_OF_MARKER = "The source of a copy request may not specifically refer to a delete marker by version id."

# (request, (code, status, message)) -> (class, reason)
TABLE: list[tuple[Call, Answer, type[ReplicationError], Reason]] = [
    # nobody's fault: again
    (Call.SRC_READ, ("InternalError", 500, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_PART, ("InternalError", 500, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("InternalError", 500, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_MARK, ("InternalError", 500, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COMPLETE, ("InternalError", 500, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_CREATE, ("BadGateway", 502, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.SRC_READ, ("SlowDown", 503, ""), RetryableError, Reason.THROTTLED),
    (Call.SRC_READ, ("ServiceUnavailable", 503, ""), RetryableError, Reason.THROTTLED),
    (Call.DST_COPY, ("SlowDown", 503, ""), AmbiguousWrite, Reason.THROTTLED),
    (Call.DST_COPY, ("SlowDown", 200, ""), AmbiguousWrite, Reason.THROTTLED),
    (Call.SRC_READ, ("TooManyRequests", 429, ""), RetryableError, Reason.THROTTLED),
    (Call.DST_COPY, ("KMS.ThrottlingException", 400, ""), AmbiguousWrite, Reason.THROTTLED),
    (Call.DST_PART, ("ThrottlingException", 400, ""), RetryableError, Reason.THROTTLED),
    (Call.DST_COPY, ("OperationAborted", 409, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("ConditionalRequestConflict", 409, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_PART, ("RequestTimeout", 400, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COMPLETE, ("InternalError", 200, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("", 0, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_PART, ("NoSuchUpload", 404, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COMPLETE, ("NoSuchUpload", 404, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_PART, ("PreconditionFailed", 412, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_TAG, ("NoSuchVersion", 404, ""), ReplicaLost, Reason.REPLICA_LOST),
    (Call.DST_REMOVE, ("InternalError", 500, ""), RetryableError, Reason.UNAVAILABLE),
    # refused for now, and certainly not done
    (Call.DST_COPY, ("PreconditionFailed", 412, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("ExpiredToken", 400, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_MARK, ("ExpiredToken", 400, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COMPLETE, ("RequestTimeTooSkewed", 403, ""), RetryableError, Reason.UNAVAILABLE),
    # the same, met after the work had begun
    (Call.DST_COPY, ("PreconditionFailed", 200, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("ExpiredToken", 200, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COMPLETE, ("RequestTimeout", 400, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    # gone
    (Call.SRC_READ, ("NoSuchKey", 404, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.SRC_READ, ("NoSuchVersion", 404, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.SRC_TAGS, ("NoSuchVersion", 404, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.DST_COPY, ("NoSuchKey", 404, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.DST_PART, ("NoSuchVersion", 404, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    # gone: a null version in whose place a delete marker is now
    (Call.DST_COPY, ("InvalidRequest", 400, COPY_OF_MARKER), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.DST_PART, ("InvalidRequest", 400, COPY_OF_MARKER), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.SRC_TAGS, ("MethodNotAllowed", 405, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.SRC_ACL, ("MethodNotAllowed", 405, ""), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.DST_TAG, ("MethodNotAllowed", 405, ""), TerminalError, Reason.REQUEST_REFUSED),
    # buckets
    (Call.SRC_READ, ("NoSuchBucket", 404, ""), TerminalError, Reason.SRC_BUCKET_NOT_FOUND),
    (Call.SRC_LIST, ("NoSuchBucket", 404, ""), TerminalError, Reason.SRC_BUCKET_NOT_FOUND),
    (Call.DST_COPY, ("NoSuchBucket", 404, ""), TerminalError, Reason.DST_BUCKET_NOT_FOUND),
    (Call.DST_LIST, ("NoSuchBucket", 404, ""), TerminalError, Reason.DST_BUCKET_NOT_FOUND),
    # not eligible
    (Call.DST_COPY, ("InvalidObjectState", 403, ""), NotEligible, Reason.SRC_OBJECT_NOT_ELIGIBLE),
    (Call.DST_COPY, ("ObjectNotInActiveTierError", 403, ""), NotEligible, Reason.SRC_OBJECT_NOT_ELIGIBLE),
    (Call.DST_PART, ("InvalidObjectState", 403, ""), NotEligible, Reason.SRC_OBJECT_NOT_ELIGIBLE),
    # keys
    (Call.DST_COPY, ("KMS.DisabledException", 400, ""), TerminalError, Reason.DST_KMS_KEY_INVALID_STATE),
    (
        Call.DST_COPY,
        ("KMS.KMSInvalidStateException", 400, ""),
        TerminalError,
        Reason.DST_KMS_KEY_INVALID_STATE,
    ),
    (Call.SRC_READ, ("KMS.DisabledException", 400, ""), TerminalError, Reason.SRC_KMS_KEY_INVALID_STATE),
    (Call.DST_COPY, ("KMS.NotFoundException", 400, ""), TerminalError, Reason.DST_KMS_KEY_NOT_FOUND),
    (Call.SRC_READ, ("KMS.NotFoundException", 400, ""), TerminalError, Reason.SRC_KMS_KEY_INVALID_STATE),
    (
        Call.DST_PART,
        ("KMS.InvalidKeyUsageException", 400, ""),
        TerminalError,
        Reason.DST_KMS_KEY_INVALID_STATE,
    ),
    (Call.DST_CREATE, ("KMS.NotFoundException", 400, ""), TerminalError, Reason.DST_KMS_KEY_NOT_FOUND),
    # keys, and nobody's fault
    (Call.SRC_READ, ("KMS.ThrottlingException", 400, ""), RetryableError, Reason.THROTTLED),
    (Call.DST_PART, ("KMS.KMSInternalException", 400, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.SRC_READ, ("KMS.KeyUnavailableException", 400, ""), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("KMS.DependencyTimeoutException", 400, ""), AmbiguousWrite, Reason.UNAVAILABLE),
    # permissions: by request
    (Call.SRC_READ, ("AccessDenied", 403, ""), TerminalError, Reason.SRC_GET_NOT_PERMITTED),
    (Call.SRC_TAGS, ("AccessDenied", 403, ""), TerminalError, Reason.SRC_GET_TAGGING_NOT_PERMITTED),
    (Call.SRC_LIST, ("AccessDenied", 403, ""), TerminalError, Reason.SRC_LIST_NOT_PERMITTED),
    (Call.DST_COPY, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PUT_NOT_PERMITTED),
    (Call.DST_MARK, ("AccessDenied", 403, ""), TerminalError, Reason.DST_DELETE_NOT_PERMITTED),
    (Call.DST_CREATE, ("AccessDenied", 403, ""), TerminalError, Reason.DST_INIT_NOT_PERMITTED),
    (Call.DST_PART, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PART_NOT_PERMITTED),
    (Call.DST_COMPLETE, ("AccessDenied", 403, ""), TerminalError, Reason.DST_COMPLETE_NOT_PERMITTED),
    (Call.DST_READ, ("AccessDenied", 403, ""), TerminalError, Reason.DST_READ_NOT_PERMITTED),
    (Call.DST_LIST, ("AccessDenied", 403, ""), TerminalError, Reason.DST_LIST_NOT_PERMITTED),
    (Call.SRC_READ, ("403", 403, "Forbidden"), TerminalError, Reason.SRC_GET_NOT_PERMITTED),
    (Call.SRC_ACL, ("AccessDenied", 403, ""), TerminalError, Reason.SRC_GET_ACL_NOT_PERMITTED),
    (Call.DST_REMOVE, ("AccessDenied", 403, ""), TerminalError, Reason.DST_DELETE_NOT_PERMITTED),
    (Call.DST_TAG, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PUT_TAGGING_NOT_PERMITTED),
    (Call.DST_ACL, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PUT_ACL_NOT_PERMITTED),
    (Call.DST_RETENTION, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PUT_RETENTION_NOT_PERMITTED),
    (Call.DST_LEGAL_HOLD, ("AccessDenied", 403, ""), TerminalError, Reason.DST_PUT_LEGAL_HOLD_NOT_PERMITTED),
    # Object Lock
    (Call.DST_REMOVE, ("AccessDenied", 403, LOCKED), TerminalError, Reason.DST_OBJECT_LOCKED),
    (Call.DST_RETENTION, ("AccessDenied", 403, LOCKED), TerminalError, Reason.DST_OBJECT_LOCKED),
    (
        Call.DST_COPY,
        ("InvalidRequest", 400, "Bucket is missing Object Lock Configuration"),
        TerminalError,
        Reason.DST_LOCK_CONFIG_MISSING,
    ),
    (
        Call.DST_CREATE,
        ("ObjectLockConfigurationNotFoundError", 404, ""),
        TerminalError,
        Reason.DST_LOCK_CONFIG_MISSING,
    ),
    # refused, and nobody knows why
    (Call.DST_COPY, ("InvalidRequest", 400, ""), TerminalError, Reason.REQUEST_REFUSED),
    (Call.DST_COPY, ("EntityTooLarge", 400, ""), TerminalError, Reason.REQUEST_REFUSED),
    # no body tells more than the status
    (Call.SRC_READ, ("404", 404, "Not Found"), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_TAG, ("404", 404, "Not Found"), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("404", 404, "Not Found"), AmbiguousWrite, Reason.UNAVAILABLE),
    (Call.DST_COPY, ("412", 412, "Precondition Failed"), RetryableError, Reason.UNAVAILABLE),
    (Call.DST_PART, ("412", 412, "Precondition Failed"), RetryableError, Reason.UNAVAILABLE),
    (Call.SRC_TAGS, ("405", 405, "Method Not Allowed"), SourceGone, Reason.SRC_VERSION_NOT_FOUND),
    (Call.SRC_READ, ("403", 403, "Forbidden"), TerminalError, Reason.SRC_GET_NOT_PERMITTED),
    (Call.SRC_READ, ("400", 400, "Bad Request"), TerminalError, Reason.REQUEST_REFUSED),
    # no version can have such an id
    (
        Call.SRC_READ,
        ("InvalidArgument", 400, "Invalid version id specified"),
        SourceGone,
        Reason.SRC_VERSION_NOT_FOUND,
    ),
    (
        Call.DST_COPY,
        ("InvalidArgument", 400, "Invalid version id specified"),
        SourceGone,
        Reason.SRC_VERSION_NOT_FOUND,
    ),
    (
        Call.DST_READ,
        ("InvalidArgument", 400, "Invalid version id specified"),
        TerminalError,
        Reason.REQUEST_REFUSED,
    ),
    (Call.DST_COPY, ("InvalidArgument", 400, "Invalid x"), TerminalError, Reason.REQUEST_REFUSED),
]


@pytest.mark.parametrize(
    ("call", "answer", "expected", "reason"),
    TABLE,
    ids=[f"{call.name} {code} {status} {message}" for call, (code, status, message), *_ in TABLE],
)
def test_an_answer_is_classified(
    call: Call, answer: Answer, expected: type[ReplicationError], reason: Reason
) -> None:
    failure = classify(call, *answer, "7Q3K5T9XB2")
    assert (type(failure), failure.reason) == (expected, reason)
    assert failure.request_id == "7Q3K5T9XB2"


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("s3:GetObject", Reason.SRC_GET_NOT_PERMITTED),
        ("s3:GetObjectVersion", Reason.SRC_GET_NOT_PERMITTED),
        ("s3:GetObjectTagging", Reason.SRC_GET_TAGGING_NOT_PERMITTED),
        ("s3:GetObjectVersionTagging", Reason.SRC_GET_TAGGING_NOT_PERMITTED),
        ("s3:PutObjectTagging", Reason.DST_PUT_TAGGING_NOT_PERMITTED),
        ("s3:PutObjectRetention", Reason.DST_PUT_RETENTION_NOT_PERMITTED),
        ("s3:PutObjectLegalHold", Reason.DST_PUT_LEGAL_HOLD_NOT_PERMITTED),
        ("s3:PutObjectAcl", Reason.DST_PUT_ACL_NOT_PERMITTED),
        ("s3:PutObject", Reason.DST_PUT_NOT_PERMITTED),
        ("s3:SomethingNew", Reason.DST_PUT_NOT_PERMITTED),
        ("kms:GenerateDataKey", Reason.DST_PUT_NOT_PERMITTED),
        ("kms:Decrypt", Reason.SRC_GET_NOT_PERMITTED),
    ],
)
def test_a_refused_copy_says_which_permission_is_missing(action: str, reason: Reason) -> None:
    assert classify(Call.DST_COPY, "AccessDenied", 403, _unauthorized(action)).reason is reason


def test_a_missing_permission_is_no_lock_whatever_the_key_is_called() -> None:
    message = _unauthorized("s3:DeleteObjectVersion", key="protected by object lock.txt")
    refused = classify(Call.DST_REMOVE, "AccessDenied", 403, message)
    assert refused.reason is Reason.DST_DELETE_NOT_PERMITTED


KEY = "arn:aws:kms:us-east-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [
        (Call.DST_COPY, "KMS.DisabledException", Reason.SRC_KMS_KEY_INVALID_STATE),
        (Call.DST_PART, "KMS.KMSInvalidStateException", Reason.SRC_KMS_KEY_INVALID_STATE),
        (Call.DST_COPY, "KMS.NotFoundException", Reason.SRC_KMS_KEY_INVALID_STATE),
        (Call.DST_PART, "AccessDenied", Reason.SRC_GET_NOT_PERMITTED),
    ],
)
def test_of_two_keys_the_one_that_s3_names_is_to_blame(call: Call, code: str, reason: Reason) -> None:
    """H124."""
    status = 403 if code == "AccessDenied" else 400
    failure = classify(call, code, status, f"{KEY} cannot be used", "7Q3K5T9XB2")
    of_source = blamed(failure, KEY)
    assert (type(of_source), of_source.reason) == (type(failure), reason)
    assert (of_source.detail, of_source.request_id) == (failure.detail, "7Q3K5T9XB2")
    for source_key in (None, KEY.replace("1111", "2222")):
        assert blamed(failure, source_key) is failure


@pytest.mark.parametrize(
    "action", ["s3:GetObjectVersion", "s3:GetObjectVersionTagging", "s3:ListObjectAnnotations"]
)
def test_a_replica_that_may_not_be_read_is_not_taken_for_its_source(action: str) -> None:
    """Both are read by the same requests."""
    failure = classify(Call.DST_READ, "AccessDenied", 403, _unauthorized(action))
    assert failure.reason is Reason.DST_READ_NOT_PERMITTED


def test_no_key_is_to_blame_for_anything_else() -> None:
    failure = classify(Call.DST_COPY, "SlowDown", 503, KEY)
    assert blamed(failure, KEY) is failure


def _unauthorized(action: str, key: str = "key") -> str:
    return (
        "User: arn:aws:sts::123456789012:assumed-role/replicate/replicate is not authorized to perform:"
        f' {action} on resource: "arn:aws:s3:::replica-bucket/{key}" because no policy allows it'
    )


# -- properties

codes = (
    st.sampled_from(sorted({code for _, (code, *_), *_ in TABLE}))
    | st.from_regex(r"[A-Z][A-Za-z.]{0,30}", fullmatch=True)
    | st.just("")
)
statuses = st.sampled_from([0, 200, 301, 400, 403, 404, 405, 409, 412, 429, 500, 502, 503, 504, 599])
calls = st.sampled_from(Call)


@given(calls, codes, statuses, st.text(max_size=60))
def test_every_answer_has_a_reason_and_tells_what_was_asked(
    call: Call, code: str, status: int, message: str
) -> None:
    failure = classify(call, code, status, message)
    assert isinstance(failure, RetryableError | TerminalError | NotEligible | SourceGone | ReplicaLost)
    assert failure.detail.startswith(call)
    assert code in failure.detail
    assert str(failure).startswith(f"{failure.reason}: ")


@given(calls, codes, statuses)
def test_a_visible_write_that_may_be_repeated_may_also_have_happened(
    call: Call, code: str, status: int
) -> None:
    """Unless S3 has said that it did nothing."""
    failure = classify(call, code, status, "")
    not_performed = (code, status) in {
        ("ExpiredToken", 400),
        ("PreconditionFailed", 412),
        ("RequestTimeTooSkewed", 403),
    }
    in_doubt = call in PUBLISHING and isinstance(failure, RetryableError) and not not_performed
    assert isinstance(failure, AmbiguousWrite) == in_doubt


@given(calls, st.from_regex(r"Unheard[A-Z][a-z]{1,9}", fullmatch=True), st.integers(500, 599))
def test_an_unknown_error_of_the_server_is_tried_again(call: Call, code: str, status: int) -> None:
    assert isinstance(classify(call, code, status, ""), RetryableError)


@given(
    calls,
    st.from_regex(r"Unheard[A-Z][a-z]{1,9}", fullmatch=True),
    st.integers(400, 499).filter(lambda status: status not in (403, 409, 429)),
)
def test_an_unknown_refusal_is_final(call: Call, code: str, status: int) -> None:
    failure = classify(call, code, status, "")
    assert (type(failure), failure.reason) == (TerminalError, Reason.REQUEST_REFUSED)


@pytest.mark.parametrize("call", SOURCE_READS, ids=lambda call: call.name)
def test_a_failed_read_of_the_source_is_never_blamed_on_the_destination(call: Call) -> None:
    answers = {answer for _, answer, *_ in TABLE}
    blamed = {answer for answer in answers if classify(call, *answer).reason.startswith("Dst")}
    assert blamed == set()


@pytest.mark.parametrize(
    "call",
    [
        *(Call.DST_READ, Call.DST_LIST, Call.DST_PARTS, Call.DST_ABORT, Call.DST_REMOVE),
        *(Call.DST_TAG, Call.DST_ACL, Call.DST_RETENTION, Call.DST_LEGAL_HOLD),
    ],
    ids=lambda call: call.name,
)
def test_what_is_missing_at_the_destination_does_not_make_the_source_gone(call: Call) -> None:
    """A tombstone would end the version for good."""
    for code in ("NoSuchKey", "NoSuchVersion"):
        assert not isinstance(classify(call, code, 404, ""), SourceGone)


# -- the codes are a contract

AMAZONS = {
    *(
        "AssumeRoleNotPermitted",
        "DstBucketInvalidRegion",
        "DstBucketNotFound",
        "DstBucketObjectLockConfigMissing",
    ),
    *("DstBucketUnversioned", "DstDelObjNotPermitted", "DstKmsKeyInvalidState", "DstKmsKeyNotFound"),
    *("DstMultipartCompleteNotPermitted", "DstMultipartInitNotPermitted", "DstMultipartUploadNotPermitted"),
    *(
        "DstObjectHardDeleted",
        "DstPutAclNotPermitted",
        "DstPutLegalHoldNotPermitted",
        "DstPutObjectNotPermitted",
    ),
    *(
        "DstPutRetentionNotPermitted",
        "DstPutTaggingNotPermitted",
        "DstVersionNotFound",
        "InitiateReplicationNotPermitted",
    ),
    *(
        "SrcBucketInvalidRegion",
        "SrcBucketNotFound",
        "SrcBucketReplicationConfigMissing",
        "SrcGetAclNotPermitted",
    ),
    *("SrcGetLegalHoldNotPermitted", "SrcGetObjectNotPermitted", "SrcGetRetentionNotPermitted"),
    *("SrcGetTaggingNotPermitted", "SrcHeadObjectNotPermitted", "SrcKeyNotFound", "SrcKmsKeyInvalidState"),
    *("SrcObjectNotEligible", "SrcObjectNotFound", "SrcReplicationNotPending", "SrcVersionNotFound"),
}

OURS = {
    *(
        "UnreadableEvent",
        "KeyBusy",
        "ConfigurationUnreadable",
        "DestinationNotInStack",
        "DstListBucketNotPermitted",
        "DstPutAnnotationNotPermitted",
        "SrcGetAnnotationNotPermitted",
    ),
    *(
        "DstGetObjectNotPermitted",
        "DstBucketOwnerMismatch",
        "DstObjectLocked",
        "DestinationKeyConflict",
        "LateVersion",
        "LedgerUnavailable",
        "OutOfOrder",
        "DstVersionNotOurs",
        "QueueUnavailable",
    ),
    *(
        "ReplayTooLarge",
        "RequestRefused",
        "RuleNoLongerSelects",
        "ReplicaCopiedInPlace",
        "ReplicaLost",
        "SrcListBucketNotPermitted",
        "SrcObjectIsReplica",
        "Throttled",
        "TooManyCopies",
    ),
    *("ServiceUnavailable", "UnexpectedError", "KeyUnsettled", "VerificationFailed", "WrongSourceBucket"),
    "VersionDeletesHalted",
}


def test_every_reason_is_amazons_or_listed_as_ours() -> None:
    """They appear in ledgers, messages and alarms of running stacks: none is renamed."""
    assert {*Reason} <= AMAZONS | OURS
    assert {*Reason} >= OURS
    assert not AMAZONS & OURS


def test_a_message_nobody_understands_has_a_reason_of_its_own() -> None:
    failure = UnreadableEvent("the message is not JSON")
    assert (failure.reason, failure.request_id) == (Reason.BAD_EVENT, None)
    assert str(failure) == "UnreadableEvent: the message is not JSON"


@pytest.mark.parametrize("reason", Reason)
def test_a_row_tells_a_reason(reason: Reason) -> None:
    assert reason_told(str(reason)) is reason


@pytest.mark.parametrize("told", [None, "", "ReasonOfALaterRelease"])
def test_a_reason_of_a_later_release_surprises_nobody(told: str | None) -> None:
    assert reason_told(told) is Reason.UNEXPECTED
