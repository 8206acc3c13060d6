"""Recognising replicas that the ledger does not know: after it was lost, or a worker's row was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from s3replicator.decisions.drift import unknown_objects
from s3replicator.decisions.failures import NotEligible, ReplicationError, RetryableError, SourceGone
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.recollection import Recognised, recollect
from s3replicator.decisions.replica import digest_of, has_same_content, is_listed_alike, may_hold_the_same
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import Checksum, ListedVersion, SourceObject, SourceVersion
from s3replicator.usecases.absence import confirmed
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey


@dataclass(frozen=True, slots=True)
class Recognition:
    """Objects at a destination, by their version ids there; all that no row knows if ``complete``, else the
    oldest of them."""

    objects: Mapping[str, Recognised]
    complete: bool


@dataclass(frozen=True, slots=True)
class Recalled:
    """The source versions that got a row; all there are if ``complete``."""

    adopted: Sequence[str]
    complete: bool


def recall(engine: Engine, leased: LeasedKey, sides: Sides, until: float, *, markers: bool) -> Recalled:
    """Give rows to replicas that say by themselves what they are, and look at them until then. Takes effect
    with the next write. Raises the failures of reading the destination."""
    rows = leased.rows()
    # What a former source key of the place knew as perhaps foreign still is.
    known = [one for one in sides.destination if one.version_id not in leased.head.stray]
    sides = replace(sides, destination=known)
    found = recognise(engine, Place(leased.key, leased.head.source), rows, sides, until)
    # A marker is recognised by its place among all others.
    changed = recollect(rows, sides, found.objects, markers=markers and found.complete)
    for vid, row in changed.items():
        leased.save()
        leased.set_row(vid, row)
    adopted = [vid for vid, row in changed.items() if vid not in rows or rows[vid].replica != row.replica]
    return Recalled(adopted, found.complete)


@dataclass(frozen=True, slots=True)
class Place:
    """A key at a destination, and the key of the source whose versions are replicated there."""

    key: LedgerKey
    source: str


def recognise(
    engine: Engine, place: Place, rows: Mapping[str, Row], sides: Sides, until: float
) -> Recognition:
    """One HEAD for each object at the destination that no row knows, the oldest first, until then. Where the
    lists do not tell whether it holds the bytes of the version that it names, one of that, and perhaps
    another for its checksum. Raises ``RetryableError``."""
    bucket, recognised = engine.destination(place.key.destination), dict[str, Recognised]()
    comparison = _Comparison(engine, place, rows, sides)
    for version_id in reversed(unknown_objects(rows, sides.destination)):
        if engine.clock.now() > until:
            return Recognition(recognised, complete=False)
        replica = bucket.head(place.key.key, version_id)
        found = _recognised(place, replica, version_id) if replica is not None else None
        if replica is None or found is None:
            continue
        alike = comparison.is_alike(found.version_id, replica)
        # What holds other bytes is another object, whatever it says of itself.
        if alike is not False:
            recognised[version_id] = replace(found, proven=alike is True)
    return Recognition(recognised, complete=True)


@dataclass(slots=True)
class _Comparison:
    """Whether objects at the destination hold the bytes of the source versions that they say they are
    replicas of."""

    engine: Engine
    place: Place
    rows: Mapping[str, Row]
    sides: Sides
    _source: Mapping[str, ListedVersion] = field(init=False)
    _there: Mapping[str, ListedVersion] = field(init=False)
    _read: dict[str, SourceVersion | ReplicationError] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._source = {one.version_id: one for one in self.sides.source}
        self._there = {one.version_id: one for one in self.sides.destination}

    def is_alike(self, version_id: str, replica: SourceObject) -> bool | None:
        """None if nobody can tell. Raises ``RetryableError``."""
        listed = self._source.get(version_id)
        told = is_listed_alike(listed, replica) if listed is not None else None
        if told is None and listed is not None:
            told = self._has_same_content(version_id, replica)
        return False if told is None and self._is_unlike_its_replica(version_id, replica) else told

    def _is_unlike_its_replica(self, version_id: str, other: SourceObject) -> bool:
        """Of a version that is gone, or cannot be compared, its replica tells what it held."""
        row = self.rows.get(version_id)
        if row is None or row.replica is None or not row.copyable:
            return False
        replica = self._there.get(row.replica)
        return replica is not None and not may_hold_the_same(replica, other.size, digest_of(other))

    def _has_same_content(self, version_id: str, replica: SourceObject) -> bool | None:
        version = self._version(version_id)
        if isinstance(version, SourceGone | NotEligible):
            # Nothing can have been copied of what no copy can read.
            return False
        if not isinstance(version, SourceObject):
            return None
        same = has_same_content(version, replica)
        if same is None and version.checksum is not None:
            same = has_same_content(version, replace(replica, checksum=self._checksum(replica)))
        return same

    def _version(self, version_id: str) -> SourceVersion | ReplicationError:
        """One HEAD, or why there is no answer. Raises ``RetryableError``."""
        if version_id not in self._read:
            ref, source = source_ref(self.place.source, version_id), self.engine.source
            try:
                self._read[version_id] = source.head(ref)
            except ReplicationError as failure:
                answer = confirmed(source, ref, failure)
                if isinstance(answer, RetryableError):
                    raise answer from failure
                self._read[version_id] = answer
        return self._read[version_id]

    def _checksum(self, replica: SourceObject) -> Checksum | None:
        """Of what a KMS key encrypts it may be refused, which proves nothing. Raises ``RetryableError``."""
        key = self.place.key
        try:
            return self.engine.destination(key.destination).checksum(key.key, replica.ref.version_id)
        except RetryableError:
            raise
        except ReplicationError:
            return None


def _recognised(place: Place, replica: SourceObject, version_id: str) -> Recognised | None:
    stamp = Stamp.read(replica.metadata)
    if stamp is not None:
        # A user's copy of a replica carries the stamp along, but lies elsewhere.
        ours = stamp.place == place_of(place.key.destination, place.key.key)
        same = stamp.source_bucket == source_ref(place.source, "").bucket
        return Recognised(stamp.version_id, stamp.nonce, digest_of(replica)) if ours and same else None
    return Recognised(version_id) if replica.native_replica else None
