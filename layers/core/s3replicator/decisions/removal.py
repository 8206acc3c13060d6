"""Whether a version at the destination is certainly ours: nothing else is ever removed.

The ledger says which versions this stack has written. But whoever may write the ledger could write any id
into it, so the version itself has to bear it out. An object does so by its stamp, which nobody can give to a
version that is there already. A delete marker, and an object whose metadata has no room for a stamp, can only
be held against what its row says.
"""

from dataclasses import dataclass, replace
from typing import Final

from s3replicator.decisions.ledger import Row
from s3replicator.decisions.replica import bears_stamp
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import Kind, ListedVersion, Lock, SourceObject, VersionRef

#: How far apart the moments may be at which S3 wrote a version and its row says that it did, in seconds: S3
#: refuses requests of a clock that is more than 15 minutes from its own.
_APART: Final = 901.0

#: How far apart the clocks of S3 itself may be in two regions, in seconds.
SKEW_OF_S3: Final = 60.0


@dataclass(frozen=True, slots=True)
class Removal:
    """A version to be removed: ``replica`` of ``row``, or an id in its ``left``. ``ref`` is the source
    version; ``bucket`` and ``key`` say where the replica is. ``listed`` is it there, ``newer`` what the row
    has as its replica; ``just_made``: whether that has been written a moment ago. ``in_doubt``: whether any
    replica of the key is."""

    ref: VersionRef
    row: Row
    replica: str
    bucket: str
    key: str
    listed: ListedVersion | None
    newer: ListedVersion | None
    just_made: bool
    in_doubt: bool

    @property
    def is_object(self) -> bool:
        """Whether it can be looked at: a HEAD of a delete marker is refused."""
        return self.listed is not None and self.listed.kind is self.row.kind is Kind.OBJECT

    @property
    def replaced(self) -> bool:
        """Whether it goes because a newer copy is there. Else the version itself has been deleted."""
        return self.replica != self.row.replica and not (self.row.purged and self.row.replica is None)

    def needs_newer(self, found: SourceObject | None) -> bool:
        """Whether the newer copy has to be looked at, too."""
        if found is None or self.newer is None or not self.replaced:
            return False
        return not self.just_made or Stamp.read(found.metadata) is None

    def doubt(self, found: SourceObject | None, newer: SourceObject | None) -> str | None:
        """Why it has to stay, as a sentence; None if it is ours and may go. ``found`` is the object itself,
        ``newer`` the newer copy, each where it has been looked at."""
        doubt = self._doubt_of_unmarked() if found is None else self._doubt_of_object(found)
        if doubt is None and self.replaced:
            return self._doubt_of_newer(found, newer)
        return doubt

    def _doubt_of_object(self, found: SourceObject) -> str | None:
        if self._may_be_unstamped(found):
            return self._doubt_of_unmarked()
        return self._doubt_of_stamp(found)

    def _may_be_unstamped(self, found: SourceObject) -> bool:
        """Unstamped, as a copy of it would have been, too: see ``bears_stamp``."""
        if Stamp.read(found.metadata) is not None:
            return False
        needed = Stamp.of(self.ref, self.row.nonce or "", self.bucket, self.key)
        return not bears_stamp(replace(found, ref=self.ref), needed, by_parts=False)

    def _doubt_of_stamp(self, found: SourceObject) -> str | None:
        stamp = Stamp.read(found.metadata)
        if stamp is None:
            return "it bears no stamp, and has room for one"
        if stamp.place != place_of(self.bucket, self.key):
            return "its stamp is of another place"
        if (stamp.source_bucket, stamp.version_id) != (self.ref.bucket, self.ref.version_id):
            return f"its stamp names the version {stamp.version_id} of {stamp.source_bucket}"
        return None

    def _doubt_of_unmarked(self) -> str | None:
        """Of what says nothing itself: kind and time have to be those of its row, and nothing about the key
        in doubt."""
        if self.listed is None or self.listed.kind is not self.row.kind:
            return f"it is no {self.row.kind}"
        if self.in_doubt:
            return "another replica of the key is in doubt, and nothing tells the two apart"
        if self.replaced:
            is_too_old = self.listed.last_modified < self.row.order.last_modified - SKEW_OF_S3
            return "it is older than the version at the source" if is_too_old else None
        return None if self._is_of_its_time(self.listed) else "it was not written when its row says so"

    def _doubt_of_newer(self, found: SourceObject | None, newer_found: SourceObject | None) -> str | None:
        listed, newer = self.listed, self.newer
        if listed is None or newer is None or (newer.kind, newer.size) != (listed.kind, listed.size):
            return "no newer copy of the same size is there"
        # When it was made, the clock here says, and not S3's.
        if listed.last_modified > newer.last_modified and not self.just_made:
            return "it is younger than what replaced it"
        if found is None or newer_found is None:
            return None
        if self._may_be_unstamped(newer_found):
            # One copy has as much metadata as the other.
            is_copy = self._may_be_unstamped(found)
        else:
            is_copy = self._doubt_of_stamp(newer_found) is None and not self._may_be_unstamped(found)
        return None if is_copy else "what the ledger says replaced it is not a copy of the same version"

    def _is_of_its_time(self, listed: ListedVersion) -> bool:
        """An upload is dated by its start, which may be long before it was recorded."""
        recorded = self.row.completed
        if recorded is None or listed.last_modified > recorded + _APART:
            return False
        return listed.multipart or listed.last_modified >= recorded - _APART


def refusal(replica: str, doubt: str) -> str:
    """For people, and for ``named_in``."""
    return f"{replica} at the destination is not removed: {doubt}"


def named_in(told: str | None) -> str:
    """The id that a refusal is about."""
    return (told or "").partition(" ")[0]


def is_locked(lock: Lock, now: float) -> bool:
    """Whether S3 refuses to delete the version at this moment."""
    return lock.legal_hold == "ON" or (lock.until is not None and lock.until > now)
