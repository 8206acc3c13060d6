"""The listing of a destination, as if its replicas had the keys of their sources."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from s3replicator.decisions.configuration import MAX_KEY
from s3replicator.decisions.placement import Placement
from s3replicator.ports import OpenUpload, Page, Position, UploadLister


@dataclass(frozen=True, slots=True)
class PlacedLister:
    """An ``UploadLister`` whose prefixes and keys are the source's."""

    lister: UploadLister
    placement: Placement

    def page(self, prefix: str, after: Position | None, most: int = 1000) -> Page:
        here = self.placement.prefix(prefix)
        if here is None or (after is not None and self._is_past(after)):
            return Page((), None)
        page = self.lister.page(here, self._begin(after), most)
        placed = [(self.placement.source_key(key), version) for key, version in page.versions]
        versions = [entry for entry in placed if after is None or entry[0] >= after.key]
        end = page.after
        return Page(versions, end and replace(end, key=self.placement.source_key(end.key)))

    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        here = self.placement.prefix(prefix)
        for upload in self.lister.uploads(here) if here is not None else ():
            yield replace(upload, key=self.placement.source_key(upload.key))

    def _is_past(self, after: Position) -> bool:
        strip = self.placement.transform.strip
        return after.key > strip and not after.key.startswith(strip)

    def _begin(self, after: Position | None) -> Position | None:
        key = None if after is None else self.placement.prefix(after.key)
        if after is None or not key or not self.placement.has(after.key):
            return None
        if len(key.encode()) > MAX_KEY:
            # No key here is that long, and S3 takes no such place.
            return Position(key.encode()[:MAX_KEY].decode(errors="ignore"))
        return replace(after, key=key)
