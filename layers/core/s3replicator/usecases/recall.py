"""Recognising replicas that the ledger does not know: after it was lost, or a worker's row was."""

from collections.abc import Mapping
from dataclasses import replace

from s3replicator.decisions.drift import unknown_objects
from s3replicator.decisions.ledger import LedgerKey, Row, source_ref
from s3replicator.decisions.recollection import Recognised, recollect
from s3replicator.decisions.replica import digest_of
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import SourceObject
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey


def recall(engine: Engine, leased: LeasedKey, sides: Sides, *, markers: bool) -> list[str]:
    """Give rows to replicas that say by themselves what they are; the source versions that got one. Takes
    effect with the next write. Raises the failures of reading the destination."""
    rows = leased.rows()
    # What a former source key of the place knew as perhaps foreign still is.
    known = [one for one in sides.destination if one.version_id not in leased.head.stray]
    sides = replace(sides, destination=known)
    recognised = recognise(engine, leased.key, leased.head.source, rows, sides)
    changed = recollect(rows, sides, recognised, markers=markers)
    for vid, row in changed.items():
        leased.set_row(vid, row)
    return [vid for vid, row in changed.items() if vid not in rows or rows[vid].replica != row.replica]


def recognise(
    engine: Engine, key: LedgerKey, source: str, rows: Mapping[str, Row], sides: Sides
) -> dict[str, Recognised]:
    """One HEAD for each object at the destination that no row knows; by its version id there."""
    bucket, recognised = engine.destination(key.destination), {}
    for version_id in unknown_objects(rows, sides.destination):
        replica = bucket.head(key.key, version_id)
        found = _recognised(key, source, replica, version_id) if replica is not None else None
        if found is not None:
            recognised[version_id] = found
    return recognised


def _recognised(key: LedgerKey, source: str, replica: SourceObject, version_id: str) -> Recognised | None:
    stamp = Stamp.read(replica.metadata)
    if stamp is not None:
        # A user's copy of a replica carries the stamp along, but lies elsewhere.
        ours = stamp.place == place_of(key.destination, key.key)
        same = stamp.source_bucket == source_ref(source, "").bucket
        return Recognised(stamp.version_id, stamp.nonce, digest_of(replica)) if ours and same else None
    return Recognised(version_id) if replica.native_replica else None
