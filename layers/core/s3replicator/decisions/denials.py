"""What AWS says when it denies something: who may not do what, and which policy is in the way.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from s3replicator.decisions import problems
from s3replicator.decisions.failures import ReplicationError, RetryableError, TerminalError
from s3replicator.decisions.findings import Check, Finding


class Layer(StrEnum):
    """The kind of policy that decided, as AWS calls it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    ENDPOINT = "VPC endpoint policy"


@dataclass(frozen=True, slots=True)
class Denial:
    """``role`` is the name of the role, ``action`` for example s3:PutObject. ``resource`` is an ARN, empty
    where none is named. ``explicit``: a statement denies it; otherwise none allows it."""

    role: str
    action: str
    layer: Layer
    explicit: bool
    resource: str = ""

    @property
    def about_key(self) -> bool:
        return self.action.startswith("kms:")


_SENTENCE: Final = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r'(?: on (?:this resource|resource: "?(?P<resource>[^"\s]+)"?))?(?P<why>.*)',
    re.DOTALL,
)
#: An organisation's policies before the resource's, whose name is a part of one of theirs.
_NAMES: Final = {
    Layer.CONTROL: "service control polic",
    Layer.RESOURCE_CONTROL: "resource control polic",
    Layer.BOUNDARY: "permissions boundar",
    Layer.SESSION: "session polic",
    Layer.ENDPOINT: "VPC endpoint polic",
    Layer.IDENTITY: "identity-based polic",
    Layer.RESOURCE: "resource-based polic",
}


def understood(message: str) -> Denial | None:
    """None if the message does not say."""
    sentence = _SENTENCE.search(message)
    if sentence is None:
        return None
    why = sentence["why"]
    layer = next((layer for layer, name in _NAMES.items() if name in why), None)
    if layer is None:
        return None
    # A key's policy that would have to allow it, and one that denies it, are told alike.
    explicit = "with an explicit deny" in why
    return Denial(_role(sentence["who"]), sentence["action"], layer, explicit, sentence["resource"] or "")


def _role(principal: str) -> str:
    """Of arn:aws:sts::account:assumed-role/role/session the role; whatever else it is, as it is."""
    _, found, rest = principal.partition(":assumed-role/")
    return rest.partition("/")[0] if found else principal


def about_failure(check: Check, bucket: str, failure: ReplicationError, key: str | None = None) -> Finding:
    """Why a request of the check's failed; ``key`` is the KMS key that it named."""
    code, told = str(failure.reason), failure.detail.rstrip(".")
    if isinstance(failure, RetryableError):
        return problems.UNANSWERED.at(bucket, check=check, code=code, told=told)
    denial = understood(failure.detail)
    if denial is None:
        denied = isinstance(failure, TerminalError) and code.endswith("NotPermitted")
        problem = problems.DENIED_SILENTLY if denied else problems.REFUSED
        return problem.at(bucket, check=check, code=code, told=told)
    role, action = denial.role, denial.action
    if denial.about_key:
        named = key or denial.resource or "the key of its default encryption"
        problem = problems.KEY_NOT_IN_STACK if denial.layer is Layer.IDENTITY else problems.DENIED_BY_KEY
        return problem.at(bucket, check=check, code=code, resource=named, key=named, role=role, action=action)
    if denial.layer is not Layer.RESOURCE:
        layer = denial.layer
        return problems.DENIED_ELSEWHERE.at(
            bucket, check=check, code=code, layer=layer, role=role, action=action
        )
    problem = problems.DENIED_BY_POLICY if denial.explicit else problems.NOT_ALLOWED_BY_POLICY
    return problem.at(bucket, check=check, code=code, role=role, action=action)
