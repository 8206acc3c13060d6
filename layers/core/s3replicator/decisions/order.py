"""Which of two versions of a key is the newer one.

S3 ranks a multipart object by when its upload was started, so its event's sequencer, taken when the
upload was completed, says nothing about its place; and sequencers exist for events only.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from s3replicator.decisions.ledger import OrderFacts, sequencer_rank
from s3replicator.decisions.versions import ListedVersion


class Place(Enum):
    """Where a version stands among the live replicas of its key."""

    NEWEST = auto()
    LATE = auto()
    #: Sequencers cannot tell: the source's list must be asked.
    UNKNOWN = auto()


def place_by_sequencer(order: OrderFacts, live: Mapping[str, OrderFacts]) -> Place:
    answers = [newer_by_sequencer(order, other) for other in live.values()]
    if False in answers:
        return Place.LATE
    return Place.UNKNOWN if None in answers else Place.NEWEST


def place_by_list(
    version_id: str,
    order: OrderFacts,
    live: Mapping[str, OrderFacts],
    listed: Sequence[ListedVersion],
) -> Place:
    """``listed`` is the source's ListObjectVersions of the key, newest first."""
    rank = {version.version_id: index for index, version in enumerate(listed)}
    for other_id, other in live.items():
        if version_id in rank and other_id in rank and newer_by_sequencer(order, other) is None:
            newer = rank[version_id] < rank[other_id]
        else:
            newer = is_newer(order, other, tie=rank.get(version_id) == 0)
        if not newer:
            return Place.LATE
    return Place.NEWEST


def is_newer(one: OrderFacts, other: OrderFacts, *, tie: bool) -> bool:
    """Where the source does not list both: by sequencers, else by times. LastModified has steps of a
    second; within one, ``tie`` is the answer."""
    newer = decidedly_newer(one, other)
    return tie if newer is None else newer


def decidedly_newer(one: OrderFacts, other: OrderFacts) -> bool | None:
    """None if neither sequencers nor times can tell."""
    newer = newer_by_sequencer(one, other)
    if newer is None and one.last_modified != other.last_modified:
        newer = one.last_modified > other.last_modified
    return newer


def newer_by_sequencer(one: OrderFacts, other: OrderFacts) -> bool | None:
    if one.multipart or other.multipart or one.sequencer is None or other.sequencer is None:
        return None
    ranks = sequencer_rank(one.sequencer), sequencer_rank(other.sequencer)
    return ranks[0] > ranks[1] if ranks[0] != ranks[1] else None


def facts_of(listed: ListedVersion) -> OrderFacts:
    """What orders a version that no event has told of."""
    return OrderFacts(None, listed.last_modified, multipart=listed.multipart)
