"""S3's error answers, and the SDK's own, as the failures the use cases know."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError

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
    except (BotoCoreError, ResponseParserError) as error:
        raise unanswered(call, f"{error}", sent=not isinstance(error, _NOT_SENT)) from error


def unanswered(call: Call, problem: str, *, sent: bool = True) -> RetryableError:
    """There was no answer, or none that can be read."""
    failure = AmbiguousWrite if sent and call in PUBLISHING else RetryableError
    return failure(Reason.UNAVAILABLE, f"{call}: {problem}")


def told(call: Call, answer: Mapping[str, Any], name: str) -> Any:
    """What S3 has to say in this answer. An answer without it is one that was cut off."""
    if name not in answer:
        raise unanswered(call, f"the answer does not tell the {name}")
    return answer[name]


def translate(call: Call, error: ClientError) -> ReplicationError:
    refusal = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata")
    status = metadata["HTTPStatusCode"] if metadata else 0
    return classify(
        call,
        # What is empty is read as None. Where there is no body the SDK takes the status for the code.
        code=refusal.get("Code") or str(status),
        status=status,
        message=refusal.get("Message") or "",
        request_id=metadata.get("RequestId") if metadata else None,
    )


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
