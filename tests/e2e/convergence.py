"""What must be true of a key at a destination once nothing is left to do: the invariants of the protocol."""

from collections import Counter
from collections.abc import Iterator, Mapping

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.versions import Kind, ListedVersion
from tests.e2e.world import World


def differences(world: World, destination: str, key: str, *, version_deletes: bool) -> list[str]:
    """What is not so, in words; nothing if the destination has converged on the source.

    ``version_deletes`` says whether the rule replicates them. Where it does not, replicas of versions that
    the source no longer lists stay.
    """
    return [
        f"{key}: {difference}"
        for difference in _Sides(world, destination, key).differences(version_deletes=version_deletes)
    ]


class _Sides:
    """Both lists of a key, newest first, and its rows."""

    def __init__(self, world: World, destination: str, key: str) -> None:
        self.world, self.destination, self.key = world, destination, key
        self.source = world.versions(world.source, key)
        self.replicas = world.versions(destination, key)
        self.rows: Mapping[str, Row] = world.rows(destination, key)

    def differences(self, *, version_deletes: bool) -> Iterator[str]:
        yield from self._not_at_rest()
        yield from self._not_once()
        yield from self._not_in_order()
        yield from self._not_current(version_deletes=version_deletes)
        yield from self._not_exact()

    def _not_at_rest(self) -> Iterator[str]:
        head = self.world.head(self.destination, self.key)
        if head is not None and not (head.clean and head.lease is None):
            yield f"is not at rest: {head.lease}, {head.intent}, unsettled: {head.unsettled}"
        for version_id, row in self.rows.items():
            if not row.final or row.left or row.lost:
                yield f"{version_id} is not done: {row}"
        uploads = self.world.s3.list_multipart_uploads(Bucket=self.destination, Prefix=self.key)
        if uploads.get("Uploads"):
            yield "has an open upload at the destination"

    def _not_once(self) -> Iterator[str]:
        """Every version has its replica, or a newer one that has; every replica has its row."""
        newer_one_is_there = False
        for version in self.source:
            row = self.rows.get(version.version_id)
            live = row is not None and row.status is Status.COMPLETED and row.live
            newer_one_is_there |= live
            if row is None:
                yield f"{version.version_id} has no row"
            elif not live and not (row.status is Status.SUPERSEDED and newer_one_is_there):
                yield f"{version.version_id} has no replica: {row}"
        known = Counter(version_id for row in self.rows.values() for version_id in row.ids())
        listed = {replica.version_id for replica in self.replicas}
        for version_id in listed - known.keys():
            yield f"{version_id} at the destination is nobody's replica"
        for version_id, count in known.items():
            if count > 1:
                yield f"{version_id} is the replica of {count} versions"
        for version_id, row in self.rows.items():
            if row.replica is not None and row.replica not in listed:
                yield f"{row.replica}, the replica of {version_id}, is not there"

    def _not_in_order(self) -> Iterator[str]:
        wanted = [row.replica for version in self.source if (row := self._row(version)) and row.live]
        found = [replica.version_id for replica in self.replicas if replica.version_id in wanted]
        if found != wanted:
            yield f"stands in the order {found} instead of {wanted}"

    def _not_current(self, *, version_deletes: bool) -> Iterator[str]:
        here = {version.version_id for version in self.source}
        gone = {vid: row for vid, row in self.rows.items() if vid not in here and row.live}
        if version_deletes and gone:
            yield f"keeps replicas of deleted versions: {list(gone)}"
        if not self.source:
            if version_deletes and self.replicas and self.replicas[0].kind is Kind.OBJECT:
                yield "is visible at the destination, and gone from the source"
            return
        newest = self.source[0]
        row = self._row(newest)
        if row is None or any(_is_newer(other, row) for other in gone.values()):
            return
        if not self.replicas or self.replicas[0].version_id != row.replica:
            yield f"{newest.version_id} is current at the source, and its replica {row.replica} is not"

    def _not_exact(self) -> Iterator[str]:
        for version in self.source:
            row = self._row(version)
            if row is None or row.replica is None or version.kind is Kind.MARKER:
                continue
            wanted = self.world.contents(self.world.source, self.key, version.version_id)
            found = self.world.contents(self.destination, self.key, row.replica)
            if found != wanted:
                yield f"{version.version_id} has {wanted}, and its replica {found}"

    def _row(self, version: ListedVersion) -> Row | None:
        return self.rows.get(version.version_id)


def _is_newer(row: Row, other: Row) -> bool:
    """The embedded AWS numbers all versions of a key in the order of its list, uploads included."""
    return (row.order.sequencer or "") > (other.order.sequencer or "")
