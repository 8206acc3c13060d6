"""Recognising replicas that the ledger does not know: after it was lost, or a worker's row was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from s3replicator.decisions.drift import unknown_objects
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.recollection import Recognised, recollect
from s3replicator.decisions.replica import digest_of
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import SourceObject
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
    """One HEAD for each object at the destination that no row knows, the oldest first, until then."""
    bucket, recognised = engine.destination(place.key.destination), dict[str, Recognised]()
    for version_id in reversed(unknown_objects(rows, sides.destination)):
        if engine.clock.now() > until:
            return Recognition(recognised, complete=False)
        replica = bucket.head(place.key.key, version_id)
        found = _recognised(place, replica, version_id) if replica is not None else None
        if found is not None:
            recognised[version_id] = found
    return Recognition(recognised, complete=True)


def _recognised(place: Place, replica: SourceObject, version_id: str) -> Recognised | None:
    stamp = Stamp.read(replica.metadata)
    if stamp is not None:
        # A user's copy of a replica carries the stamp along, but lies elsewhere.
        ours = stamp.place == place_of(place.key.destination, place.key.key)
        same = stamp.source_bucket == source_ref(place.source, "").bucket
        return Recognised(stamp.version_id, stamp.nonce, digest_of(replica)) if ours and same else None
    return Recognised(version_id) if replica.native_replica else None
