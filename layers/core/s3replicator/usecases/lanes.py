"""What each function does with the changes of one key at one destination."""

from collections.abc import Callable, Sequence

from s3replicator.decisions.outcome import Result
from s3replicator.usecases.endings import to_large_lane
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.key_pass import KeyPass, WorkOutcome
from s3replicator.usecases.large_copy import LargeCopy
from s3replicator.usecases.paths import FastPath, SettlingPath
from s3replicator.usecases.work import Work

#: Takes the works of one key, oldest first, and the moment the worker's time is up.
Lane = Callable[[Sequence[Work], float], list[WorkOutcome]]


def replicate(engine: Engine) -> Lane:
    """Copy what one request can copy; the rest goes to the large lane."""
    key_pass = KeyPass(engine, FastPath())

    def run(works: Sequence[Work], deadline: float) -> list[WorkOutcome]:
        sent = [
            (work, to_large_lane(engine, work, work.outcome(Result.SENT_TO_LARGE_LANE)))
            for work in works
            if work.large
        ]
        return sent + key_pass.run([work for work in works if not work.large], deadline)

    return run


def replicate_large(engine: Engine) -> Lane:
    """Multipart copies, one after the other: each keeps all connections busy by itself."""
    key_pass, large_copy = KeyPass(engine, FastPath()), LargeCopy(engine)

    def run(works: Sequence[Work], deadline: float) -> list[WorkOutcome]:
        copied = [(work, large_copy.run(work, deadline)) for work in works if work.large]
        return copied + key_pass.run([work for work in works if not work.large], deadline)

    return run


def retry(engine: Engine) -> Lane:
    """What the other two could not finish."""
    return KeyPass(engine, SettlingPath()).run
