"""A check of a deployment, asked of its functions: one writes probes, the other removes them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from s3replicator.decisions import problems
from s3replicator.decisions.findings import Finding, arranged
from s3replicator.decisions.probe import Written
from s3replicator.decisions.stack import StackUnusable
from s3replicator.ports import Dice

_CHECK: Final = "check"


class Function(Protocol):
    def invoke(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the function returns. Raises ``StackUnusable`` if it cannot be called, or failed."""
        ...


@dataclass(frozen=True, slots=True)
class CheckRequest:
    replicate: Function
    retry: Function
    dice: Dice

    def run(self) -> list[Finding]:
        """Raises ``StackUnusable``; what the first function has written by then is removed all the same."""
        nonce = self.dice.token()
        try:
            answer = self.replicate.invoke({_CHECK: {"nonce": nonce}})
        except StackUnusable:
            with suppress(StackUnusable):
                self.retry.invoke({_CHECK: {"nonce": nonce, "written": []}})
            raise
        findings = [Finding.read(told) for told in answer["findings"]]
        try:
            removed = self.retry.invoke({_CHECK: {"nonce": nonce, "written": answer["written"]}})
        except StackUnusable as error:
            findings += [_stays(Written.read(told), error) for told in answer["written"]]
            if not answer["written"]:
                raise
        else:
            findings += [Finding.read(told) for told in removed["findings"]]
        return arranged(findings)


def _stays(version: Written, error: StackUnusable) -> Finding:
    return problems.PROBE_STAYS.at(
        version.bucket,
        key=version.key,
        version=version.version_id,
        told=str(error).rstrip("."),
        region="",
    )
