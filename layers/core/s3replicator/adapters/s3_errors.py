"""S3's error answers, and the SDK's own, as the failures the use cases know."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
)

from s3replicator.decisions.failures import (
    PUBLISHING,
    AmbiguousWrite,
    Call,
    Reason,
    ReplicationError,
    RetryableError,
    TerminalError,
    classify,
)

#: No connection was made, so nothing was sent.
_NOT_SENT: Final = (ConnectTimeoutError, EndpointConnectionError)


#: Knows better, of some errors, what they mean.
Explanation = Callable[[ClientError], ReplicationError | None]


@contextmanager
def failures_of(call: Call, explain: Explanation | None = None) -> Iterator[None]:
    """Raise SDK errors as ``ReplicationError``."""
    try:
        yield
    except ClientError as error:
        explained = explain(error) if explain else None
        raise explained or translate(call, error) from error
    except ParamValidationError as error:
        # Nothing was sent: the arguments do not fit the API, and never will.
        raise TerminalError(Reason.REQUEST_REFUSED, f"{call}: {error}") from error
    except BotoCoreError as error:
        in_doubt = call in PUBLISHING and not isinstance(error, _NOT_SENT)
        unanswered = AmbiguousWrite if in_doubt else RetryableError
        raise unanswered(Reason.UNAVAILABLE, f"{call}: {error}") from error


def translate(call: Call, error: ClientError) -> ReplicationError:
    told = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata")
    return classify(
        call,
        code=told.get("Code", ""),
        status=metadata["HTTPStatusCode"] if metadata else 0,
        message=told.get("Message", ""),
        request_id=metadata.get("RequestId") if metadata else None,
    )


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
