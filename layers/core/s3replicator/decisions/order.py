"""Which of two versions of a key is the newer one.

S3 ranks a multipart object by when its upload was started, so its event's sequencer, taken when the
upload was completed, says nothing about its place; and sequencers exist for events only.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from s3replicator.decisions.ledger import OrderFacts
from s3replicator.decisions.versions import ListedVersion


class Place(Enum):
    """Where a version stands among the live replicas of its key."""

    NEWEST = auto()
    LATE = auto()
    #: Sequencers cannot tell: the source's list must be asked.
    UNKNOWN = auto()


def place_by_sequencer(order: OrderFacts, live: Mapping[str, OrderFacts]) -> Place:
    answers = [_newer_by_sequencer(order, other) for other in live.values()]
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
        newer = _newer_by_sequencer(order, other)
        if newer is None and version_id in rank and other_id in rank:
            newer = rank[version_id] < rank[other_id]
        if newer is None:
            newer = _newer_by_time(order, other, is_newest=rank.get(version_id) == 0)
        if not newer:
            return Place.LATE
    return Place.NEWEST


def _newer_by_sequencer(one: OrderFacts, other: OrderFacts) -> bool | None:
    if one.multipart or other.multipart or one.sequencer is None or other.sequencer is None:
        return None
    return sequencer_rank(one.sequencer) > sequencer_rank(other.sequencer)


def sequencer_rank(sequencer: str) -> str:
    """Compares as sequencers do: the shorter is padded on the right with zeros, then both as text."""
    return sequencer.upper().rstrip("0")


def _newer_by_time(one: OrderFacts, other: OrderFacts, *, is_newest: bool) -> bool:
    """LastModified has steps of a second; in a tie the source's newest version wins."""
    if one.last_modified != other.last_modified:
        return one.last_modified > other.last_modified
    return is_newest
