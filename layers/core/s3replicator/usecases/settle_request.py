"""Having a key settled by the function that may do it, and waiting until nobody else is at work on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from s3replicator.decisions.failures import Reason
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.ports import Clock
from s3replicator.usecases.by_hand import Report, Request

#: How long to wait for other workers, and between two looks, in seconds.
PATIENCE: Final = 300.0
PAUSE: Final = 2.0


class Function(Protocol):
    def invoke(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the function that settles returns."""
        ...


@dataclass(frozen=True, slots=True)
class SettleRequest:
    function: Function
    clock: Clock

    def send(self, request: Request, waiting: Callable[[Sequence[str]], object]) -> Report:
        """Ask until every destination has been served, or patience ends; ``waiting`` is told for which."""
        report = Report()
        until = self.clock.now() + PATIENCE
        while True:
            answer = self.function.invoke({"settle": _document(request)})
            outcomes = [_outcome(request, told) for told in answer["outcomes"]]
            stopped = [outcome for outcome in outcomes if outcome.reason == Reason.BUSY]
            again = [*answer["busy"], *(outcome.destination for outcome in stopped if outcome.destination)]
            report.outcomes += [outcome for outcome in outcomes if outcome not in stopped]
            report.busy = list(dict.fromkeys(again))
            if not report.busy or self.clock.now() >= until:
                return report
            waiting(report.busy)
            self.clock.sleep(PAUSE)
            request = replace(request, destinations=tuple(report.busy))


def _document(request: Request) -> dict[str, Any]:
    return {
        "bucket": request.bucket,
        "key": request.key,
        "destinations": list(request.destinations),
        "restoreLost": request.restore_lost,
        "purge": request.purge,
    }


def _outcome(request: Request, told: Mapping[str, Any]) -> Outcome:
    return Outcome(
        Result(told["result"]),
        key=request.key,
        version_id=told["versionId"],
        destination=told["destination"],
        reason=told["reason"],
        detail=told["detail"],
    )
