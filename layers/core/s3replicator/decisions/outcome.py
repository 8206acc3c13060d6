"""What became of one change at one destination."""

from dataclasses import dataclass
from enum import StrEnum

from s3replicator.decisions.announcements import Announcement


class Result(StrEnum):
    REPLICATED = "Replicated"
    DUPLICATE = "Duplicate"
    GONE = "Gone"
    #: No rule selects it: nothing is recorded.
    NOT_SELECTED = "NotSelected"
    #: It is itself a replica, or may be one: nothing is recorded, and it is counted.
    PASSED_OVER = "PassedOver"
    NOT_ELIGIBLE = "NotEligible"
    #: It came after a newer version, and is left out.
    SUPERSEDED = "Superseded"
    #: The deletion of a version has been replicated.
    REMOVED = "Removed"
    #: The replica has what has changed of the source version.
    UPDATED = "Updated"
    #: A replica that the ledger did not know has been recognised.
    ADOPTED = "Adopted"
    #: Sent to the second function.
    HANDED_OVER = "HandedOver"
    #: Sent to the lane for multipart copies.
    SENT_TO_LARGE_LANE = "SentToLargeLane"
    #: A due row in the ledger; the sweep sends it round again.
    DELAYED = "Delayed"
    PARKED = "Parked"
    #: Asked for by hand, and refused: whoever asked is told.
    FAILED = "Failed"
    #: Neither recorded nor parked: the message must come again.
    DEFERRED = "Deferred"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``lag`` is in seconds, from the event to the record of the replica."""

    result: Result
    key: str | None = None
    version_id: str | None = None
    destination: str | None = None
    #: The key there, if it is another one.
    replica_key: str | None = None
    rule: str | None = None
    reason: str | None = None
    detail: str | None = None
    request_id: str | None = None
    replica: str | None = None
    lag: float | None = None
    size: int | None = None
    #: A declared peer's replica has been passed over, as it should be.
    expected: bool = False
    #: The key is held by another worker: the message may come back soon.
    busy: bool = False
    #: What is to be told on the event bus.
    announcements: tuple[Announcement, ...] = ()
