"""The stack's custom resources: whatever happens, CloudFormation gets an answer."""

from functools import cache
from typing import Any, Final

from s3replicator.adapters.stack_response import send
from s3replicator.decisions.custom_resource import failure
from s3replicator.decisions.deployment import BucketRefused, SetupRefused
from s3replicator.setup_wiring import build_bucket_setup, build_deployment_check
from s3replicator.telemetry import logger
from s3replicator.usecases.bucket_setup import BucketSetup
from s3replicator.usecases.deployment_check import DeploymentCheck

#: The one at the end of a deployment.
_CHECK: Final = "Custom::DeploymentCheck"


@cache
def dependencies() -> BucketSetup:
    return build_bucket_setup(note=logger.warning)


@cache
def deployment_check() -> DeploymentCheck:
    return build_deployment_check(note=logger.warning)


def handler(request: dict[str, Any], context: Any) -> None:
    """``request`` is logged without its ResponseURL, which is a credential."""
    logger.info("asked", kind=request["RequestType"], properties=request["ResourceProperties"])
    name = request["LogicalResourceId"]
    try:
        resource = deployment_check() if request["ResourceType"] == _CHECK else dependencies()
        answer = resource.answer(request)
    except (SetupRefused, BucketRefused) as refusal:
        logger.warning("refused", reason=str(refusal))
        answer = failure(request, name, str(refusal))
    # An unanswered request holds the stack until its timeout, so nothing may escape.
    except Exception as error:
        logger.exception("failed")
        where = f"log stream {context.log_stream_name} in {context.log_group_name}"
        answer = failure(request, name, f"{type(error).__name__}: {error} (see {where})")
    send(request["ResponseURL"], answer)
    logger.info("answered", status=answer["Status"])
