"""The custom resource at the end of a deployment: a stack that would not replicate does not come to be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from s3replicator.decisions.custom_resource import Answer, success
from s3replicator.decisions.deployment import SetupRefused
from s3replicator.decisions.findings import Check, Finding, Remedy, Severity, warnings
from s3replicator.decisions.stack import StackUnusable
from s3replicator.ports import Clock

#: A role's policies take some seconds to reach the services, and these roles may be new: what is denied is
#: asked again after so many seconds.
PAUSES: Final = (3.0, 6.0, 9.0)

#: After so many seconds nothing is asked again, however long it took.
PATIENCE: Final = 60.0

_PASSING: Final = ("NotPermitted", "ServiceUnavailable", "Throttled")


class Checks(Protocol):
    def run(self) -> list[Finding]:
        """Raises ``StackUnusable``."""
        ...


class Stacks(Protocol):
    def is_rolling_back(self, stack_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class DeploymentCheck:
    """``checks`` makes the check of the two functions it is given the names of."""

    checks: Callable[[str, str], Checks]
    stacks: Stacks
    clock: Clock
    note: Callable[[str], None]  # takes what an operator should find in the log

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Raises ``SetupRefused``, which says what is wrong and what to do."""
        identifier = "deployment-check"
        if request["RequestType"] == "Delete":
            return success(request, identifier)
        properties = request["ResourceProperties"]
        checks = self.checks(properties["ReplicateFunction"], properties["RetryFunction"])
        problem = self._problem(checks, new=request["RequestType"] == "Create")
        if problem is None:
            return success(request, identifier)
        # What a stack goes back to has worked before. If it does not now, going back is still the best there
        # is: a stack that can neither go forth nor back is stuck.
        if request["RequestType"] == "Update" and self.stacks.is_rolling_back(request["StackId"]):
            self.note(f"The stack goes back to what would not work now: {problem}")
            return success(request, identifier)
        raise SetupRefused(problem)

    def _problem(self, checks: Checks, *, new: bool) -> str | None:
        until = self.clock.now() + PATIENCE
        for pause in (*PAUSES, None):
            try:
                found = checks.run()
            except StackUnusable as error:
                problem = str(error)
            else:
                wrong = [each for each in found if _is_refused(each, new=new)]
                if not wrong:
                    for finding in warnings(found):
                        self.note(str(finding))
                    return None
                problem = " ".join(map(str, wrong))
                if not any(map(_may_pass, wrong)):
                    break
            if pause is None or self.clock.now() + pause > until:
                break
            self.clock.sleep(pause)
        return problem


def _is_refused(finding: Finding, *, new: bool) -> bool:
    """Rules that collide keep a stack from coming to be. One that runs with them, as a former release let it,
    can be deployed again."""
    collides = finding.check is Check.COLLISIONS and finding.code is not None
    return finding.severity is Severity.FAILED or (new and collides)


def _may_pass(finding: Finding) -> bool:
    """Whether it can be that a policy is new, or S3 was busy. What a bucket's policy denies stays denied."""
    code = finding.code or ""
    return finding.remedy is not Remedy.EXEMPTION and code.endswith(_PASSING)
