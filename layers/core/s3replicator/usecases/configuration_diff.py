"""What another configuration would change for real keys: those of a list, or of the source's listing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.configuration_changes import Difference, Tally
from s3replicator.decisions.failures import SourceGone
from s3replicator.decisions.rules import Facts, needs_object, needs_tags
from s3replicator.decisions.versions import Kind, ListedVersion, Tag, VersionRef
from s3replicator.ports import Lister, Parallel, Source
from s3replicator.usecases.listing import KeyRange, groups

#: Keys that are looked at together.
_BATCH: Final = 1000

#: A key, and its newest version, if it is known.
_Entry = tuple[str, ListedVersion | None]


@dataclass(frozen=True, slots=True)
class KeyComparison:
    """Of each key only the newest version counts, if it is no delete marker. ``source`` tells whom to ask of
    which bucket, where there is something to ask; ``tell`` gets what has been found so far, now and then."""

    before: Configuration
    after: Configuration
    source: Callable[[], tuple[Source, str]]
    parallel: Parallel
    tell: Callable[[Tally], None]

    def of_keys(self, keys: Iterable[str]) -> Tally:
        """Raises the failures of reading the source."""
        return self._of((key, None) for key in keys)

    def of_listing(self, lister: Lister, prefix: str, limit: int) -> tuple[Tally, bool]:
        """The first keys that begin with ``prefix``, and whether these are all. Raises the failures of
        reading the source."""
        listed = (
            (group.key, group.versions[0])
            for group in groups(lister, prefix, KeyRange(), most_versions=1)
            if group.versions[0].kind is Kind.OBJECT
        )
        tally = self._of(islice(listed, limit))
        return tally, next(listed, None) is None

    def _of(self, entries: Iterator[_Entry]) -> Tally:
        tally = Tally()
        while batch := list(islice(entries, _BATCH)):
            pairs = [(Difference.of(self.before, self.after, key), newest) for key, newest in batch]
            for (difference, _), facts in zip(pairs, self._facts(pairs), strict=True):
                if facts is None:
                    tally.missing += 1
                else:
                    tally.add(difference.changes(facts))
            self.tell(tally)
        return tally

    def _facts(self, pairs: Sequence[tuple[Difference, ListedVersion | None]]) -> list[Facts | None]:
        """What the rules ask for, of each; None if there is no such object."""
        asking = [each for each in pairs if needs_tags(each[0].asking) or needs_object(each[0].asking)]
        if not asking:
            return [Facts()] * len(pairs)
        source, bucket = self.source()
        read = self.parallel.map(lambda pair: _read(source, bucket, *pair), asking)
        told = {difference.key: facts for (difference, _), facts in zip(asking, read, strict=True)}
        return [told.get(difference.key, Facts()) for difference, _ in pairs]


def _read(source: Source, bucket: str, difference: Difference, newest: ListedVersion | None) -> Facts | None:
    if newest is None:
        newest = next(iter(source.versions(bucket, difference.key)), None)
    if newest is None or newest.kind is not Kind.OBJECT:
        return None
    tags: frozenset[Tag] = frozenset()
    if needs_tags(difference.asking):
        try:
            tags = source.tags(VersionRef(bucket, difference.key, newest.version_id))
        except SourceGone:
            return None
    return Facts(tags, newest.size, newest.storage_class)
