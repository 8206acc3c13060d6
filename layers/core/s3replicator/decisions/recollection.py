"""What the destination itself tells about its replicas: rows for a ledger that does not know them.

An object says by its stamp which version it is a replica of; one that Amazon's own replication made has the
version id of its source. Anybody can write a stamp, so its bytes have to be those of the version. A delete
marker says nothing, and is recognised by its place among those that do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.order import facts_of
from s3replicator.decisions.replica import may_hold_the_same
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import Kind, ListedVersion


@dataclass(frozen=True, slots=True)
class Recognised:
    """An object at the destination: the source version it is a replica of, and the nonce of its publish; no
    nonce if Amazon's own replication made it. ``digest`` is its ETag, where that is one of its bytes.
    ``proven``: its bytes are those of the version; else nobody could compare them."""

    version_id: str
    nonce: str | None = None
    digest: str | None = None
    proven: bool = True


def recollect(
    rows: Mapping[str, Row], sides: Sides, recognised: Mapping[str, Recognised], *, markers: bool
) -> dict[str, Row]:
    """The rows that change. ``recognised`` is by version id at the destination; ``markers``: whether delete
    markers are replicated at all.

    Replicas of versions that the source no longer lists stay unknown: nothing says where they belong.
    """
    recollection = _Recollection(dict(rows), sides, recognised)
    copies = users_copies(rows, sides.destination, recognised)
    found = [
        (listed, recognised[listed.version_id])
        for listed in reversed(sides.destination)
        if listed.version_id in recognised and listed.version_id not in copies
    ]
    # Of several the oldest counts, but nothing that is in doubt before what is proven.
    for listed, what in sorted(found, key=lambda one: not one[1].proven):
        recollection.object(listed, what)
    if markers:
        recollection.markers()
    return {vid: row for vid, row in recollection.rows.items() if rows.get(vid) != row}


def users_copies(
    rows: Mapping[str, Row], destination: Sequence[ListedVersion], recognised: Mapping[str, Recognised]
) -> dict[str, str]:
    """Copies that users made of replicas that are still there, for another storage class or to restore one:
    by version id at the destination, the source version. They hold the same bytes and bear the same nonce,
    which no two copies of ours do: so they are a user's to keep."""
    listed = {version.version_id: version for version in destination}
    copies: dict[str, str] = {}
    for copy, found in recognised.items():
        row = rows.get(found.version_id)
        replica = listed.get(row.replica) if row is not None and row.replica is not None else None
        if row is not None and replica is not None and _is_copy(found, listed[copy], row, replica):
            copies[copy] = found.version_id
    return copies


def in_their_place(
    rows: Mapping[str, Row], destination: Sequence[ListedVersion], copies: Mapping[str, str]
) -> set[str]:
    """Those of the copies that lie above what they were made of, with no other replica between: readers see
    what they should."""
    replicas = {row.replica: vid for vid, row in rows.items() if row.replica is not None}
    placed: set[str] = set()
    above: list[str] = []
    for listed in destination:
        vid = replicas.get(listed.version_id)
        if vid is None:
            above.append(listed.version_id)
        else:
            placed |= {copy for copy in above if copies.get(copy) == vid}
            above = []
    return placed


def _is_copy(found: Recognised, copy: ListedVersion, row: Row, replica: ListedVersion) -> bool:
    same_nonce = found.nonce is not None and found.nonce == row.nonce
    return same_nonce and may_hold_the_same(replica, copy.size, found.digest)


@dataclass(slots=True)
class _Recollection:
    rows: dict[str, Row]
    sides: Sides
    recognised: Mapping[str, Recognised]
    _source: dict[str, ListedVersion] = field(init=False)
    _here: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._source = {listed.version_id: listed for listed in self.sides.source}
        self._here = {listed.version_id for listed in self.sides.destination}

    def object(self, replica: ListedVersion, found: Recognised) -> None:
        source = self._source.get(found.version_id)
        row = self.rows.get(found.version_id)
        if row is not None and replica.version_id in row.ids():
            return
        if row is not None and row.live and row.replica in self._here:
            # It may be a user's all the same, and is never removed.
            self.rows[found.version_id] = row.with_stray(replica.version_id)
        elif source is not None:
            self._adopt(source, replica, found)

    def markers(self) -> None:
        """Between two replicas that are known, as many unknown markers as the source has there without a row:
        those are they. Where the numbers differ, nobody can say which is which; and a row without a replica
        says why it has none."""
        known = {
            row.replica: vid
            for vid, row in self.rows.items()
            if row.replica is not None and row.replica in self._here
        }
        of_ids = {one for row in self.rows.values() for one in row.ids()}
        source: dict[tuple[str, str], list[ListedVersion]] = {}
        for between, found in _gaps(self.sides.source, {vid: vid for vid in known.values()}):
            source.setdefault(between, found)
        for bounds, markers in _gaps(self.sides.destination, known):
            ours = [listed for listed in markers if listed.version_id not in of_ids]
            missing = [listed for listed in source.get(bounds, ()) if listed.version_id not in self.rows]
            if len(ours) == len(missing):
                for replica, listed in zip(ours, missing, strict=True):
                    self._adopt(listed, replica, Recognised(listed.version_id, proven=False))

    def _adopt(self, source: ListedVersion, replica: ListedVersion, found: Recognised) -> None:
        old, nonce = self.rows.get(source.version_id), found.nonce
        # What bears no stamp, or that of a replica that is gone, may be somebody else's.
        doubt = not found.proven or nonce is None or (old is not None and old.nonce == nonce)
        fresh = old or Row(kind=source.kind, status=Status.PENDING, order=facts_of(source))
        self.rows[source.version_id] = replace(
            # Nobody knows what it had been given when it was last looked after.
            fresh.copied_anew(by_parts=replica.multipart and nonce is not None),
            status=Status.COMPLETED,
            replica=replica.version_id,
            nonce=nonce,
            doubt=doubt,
            proven=doubt and found.proven,
            lost=False,
            reason=None,
            detail=None,
            due=None,
            attempts=0,
            completed=replica.last_modified,
        )


def _gaps(
    listed: Sequence[ListedVersion], known: Mapping[str, str]
) -> Iterator[tuple[tuple[str, str], list[ListedVersion]]]:
    """The markers between each two known versions, newest first; the ends of the list bound as "" does."""
    above, markers = "", list[ListedVersion]()
    for version in listed:
        vid = known.get(version.version_id)
        if vid is not None:
            yield (above, vid), markers
            above, markers = vid, []
        elif version.kind is Kind.MARKER:
            markers.append(version)
    yield (above, ""), markers
