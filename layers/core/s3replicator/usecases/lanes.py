"""What each function does with the changes of one key at one destination."""

from collections.abc import Callable, Sequence

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import ChangeKind
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.usecases.endings import hand_over, to_large_lane
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.key_pass import KeyPass
from s3replicator.usecases.large_copy import LargeCopy
from s3replicator.usecases.pass_state import WorkOutcome
from s3replicator.usecases.work import Work

#: Takes the works of one key, oldest first, the rules, and the moment the worker's time is up.
Lane = Callable[[Sequence[Work], Configuration, float], list[WorkOutcome]]


def replicate(engine: Engine) -> Lane:
    """Copy what one request can copy; the rest goes elsewhere."""
    key_pass = KeyPass(engine, settles=False)

    def run(works: Sequence[Work], configuration: Configuration, deadline: float) -> list[WorkOutcome]:
        elsewhere = [(work, _send_elsewhere(engine, work)) for work in works if _is_elsewhere(work)]
        here = [work for work in works if not _is_elsewhere(work)]
        return elsewhere + key_pass.run(here, configuration, deadline)

    return run


def replicate_large(engine: Engine) -> Lane:
    """Multipart copies, one after the other: each keeps all connections busy by itself."""
    key_pass, large_copy = KeyPass(engine, settles=False), LargeCopy(engine)

    def run(works: Sequence[Work], configuration: Configuration, deadline: float) -> list[WorkOutcome]:
        done: list[WorkOutcome] = []
        for work in works:
            if work.change.kind is ChangeKind.REMOVED:
                done.append((work, _send_elsewhere(engine, work)))
            elif work.large or work.change.prepare:
                outcomes = large_copy.run(work, configuration, deadline)
                done += [(work, outcome) for outcome in outcomes]
            else:
                done += key_pass.run([work], configuration, deadline)
        return done

    return run


def retry(engine: Engine) -> Lane:
    """What the other two could not finish."""
    return KeyPass(engine, settles=True, spares=True).run


def job(engine: Engine) -> Lane:
    """What a job asks for, whatever it costs."""
    return KeyPass(engine, settles=True).run


def _is_elsewhere(work: Work) -> bool:
    large = work.large and work.change.kind is ChangeKind.CREATED
    return large or work.change.kind is ChangeKind.REMOVED


def _send_elsewhere(engine: Engine, work: Work) -> Outcome:
    """Only the second function may delete a version, and only the large lane has time for parts."""
    if work.change.kind is ChangeKind.REMOVED:
        return hand_over(engine, work, work.outcome(Result.HANDED_OVER))
    return to_large_lane(engine, work, work.outcome(Result.SENT_TO_LARGE_LANE))
