"""Where replicas lie at a destination, seen from the keys of the source."""

from collections.abc import Iterable
from dataclasses import dataclass

from s3replicator.decisions.configuration import AS_IT_IS, Configuration, KeyTransform
from s3replicator.decisions.ledger import LedgerKey


@dataclass(frozen=True, slots=True)
class Placement:
    """The keys of a destination bucket that one way of transforming keys leads to.

    Both sides have the same order, as all keys lose and get the same beginnings.
    """

    bucket: str
    transform: KeyTransform = AS_IT_IS

    def place(self, source_key: str) -> LedgerKey:
        """Where the ledger has a key of the source."""
        return LedgerKey(self.bucket, self.transform.of(source_key))

    def source_key(self, key: str) -> str:
        """Of a key at the destination that ``prefix`` admits."""
        return self.transform.strip + key.removeprefix(self.transform.add)

    def has(self, source_key: str) -> bool:
        """Whether a rule that puts replicas here can select the key."""
        return source_key.startswith(self.transform.strip)

    def prefix(self, source_prefix: str) -> str | None:
        """What keys here begin with whose sources begin with ``source_prefix``; None if there are none."""
        strip, add = self.transform.strip, self.transform.add
        if source_prefix.startswith(strip):
            return add + source_prefix.removeprefix(strip)
        return add if strip.startswith(source_prefix) else None


def placements(configuration: Configuration, buckets: Iterable[str]) -> list[Placement]:
    """Wherever the rules in force put replicas, at each of ``buckets``; and where they would be by
    themselves, at those that no rule names."""
    found: list[Placement] = []
    for bucket in buckets:
        transforms = (rule.transform for rule in configuration.ranked if rule.destination.bucket == bucket)
        here = [Placement(bucket, transform) for transform in dict.fromkeys(transforms)]
        found += here or [Placement(bucket)]
    return found
