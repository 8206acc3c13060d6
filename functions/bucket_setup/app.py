"""The stack's custom resource: whatever happens, CloudFormation gets an answer."""

from functools import cache
from typing import Any

from s3replicator.adapters.stack_response import send
from s3replicator.decisions.deployment import BucketRefused, SetupRefused
from s3replicator.setup_wiring import build_bucket_setup
from s3replicator.telemetry import logger
from s3replicator.usecases.bucket_setup import BucketSetup, failure


@cache
def dependencies() -> BucketSetup:
    return build_bucket_setup(note=logger.warning)


def handler(request: dict[str, Any], context: Any) -> None:
    """``request`` is logged without its ResponseURL, which is a credential."""
    logger.info("asked", kind=request["RequestType"], properties=request["ResourceProperties"])
    try:
        answer = dependencies().answer(request)
    except (SetupRefused, BucketRefused) as refusal:
        logger.warning("refused", reason=str(refusal))
        answer = failure(request, str(refusal))
    # An unanswered request holds the stack until its timeout, so nothing may escape.
    except Exception as error:
        logger.exception("failed")
        where = f"log stream {context.log_stream_name} in {context.log_group_name}"
        answer = failure(request, f"{type(error).__name__}: {error} (see {where})")
    send(request["ResponseURL"], answer)
    logger.info("answered", status=answer["Status"])
