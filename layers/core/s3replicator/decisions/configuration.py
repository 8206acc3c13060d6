"""The replication configuration, as values. ``replication_document`` reads them from Amazon S3's document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from s3replicator.decisions.versions import Tag

#: The document's key in the control bucket.
OBJECT_KEY: Final = "replication-configuration.json"

#: The size of the largest document S3 takes, in bytes.
MAX_DOCUMENT: Final = 2 * 1024 * 1024

#: The longest key S3 takes, in bytes of UTF-8.
MAX_KEY: Final = 1024

#: Deletes of versions in an hour that a rule replicates, unless it says another number.
MAX_VERSION_DELETES: Final = 1000


class InvalidConfiguration(Exception):
    """The document cannot be used. ``code`` is what Amazon S3 would answer, ``field`` a path such as
    ``Rules[0].Destination.Bucket``."""

    def __init__(self, code: str, field: str, problem: str) -> None:
        super().__init__(f"{code}: {field}: {problem}" if field else f"{code}: {problem}")
        self.code = code
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class KeyNames:
    """Keys that begin with any of ``prefixes``, end in any of ``suffixes``, contain any of ``substrings``
    (each empty: all do), and neither begin with one of ``not_prefixes`` nor end in one of
    ``not_suffixes``."""

    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    not_prefixes: tuple[str, ...] = ()
    not_suffixes: tuple[str, ...] = ()

    def admit(self, key: str) -> bool:
        return (
            (not self.prefixes or key.startswith(self.prefixes))
            and (not self.suffixes or key.endswith(self.suffixes))
            and (not self.substrings or any(part in key for part in self.substrings))
            and not (self.not_prefixes and key.startswith(self.not_prefixes))
            and not (self.not_suffixes and key.endswith(self.not_suffixes))
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """What a rule selects: keys that begin with ``prefix`` and that ``names`` admits, objects that carry all
    of ``tags``, are larger than ``larger_than`` and smaller than ``smaller_than`` bytes, and are in one of
    ``storage_classes`` (empty: in any)."""

    prefix: str = ""
    tags: frozenset[Tag] = frozenset()
    names: KeyNames = KeyNames()
    larger_than: int | None = None
    smaller_than: int | None = None
    storage_classes: frozenset[str] = frozenset()

    def admits(self, key: str) -> bool:
        return key.startswith(self.prefix) and self.names.admit(key)

    @property
    def looks_at_object(self) -> bool:
        """Whether size or storage class matter."""
        return bool(self.larger_than is not None or self.smaller_than is not None or self.storage_classes)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where replicas go. Without ``storage_class`` a replica keeps its source's. With ``owner_override`` it
    belongs to ``account``, which owns the bucket; ``kms_key`` encrypts replicas of what a KMS key encrypts.
    ``metrics`` and ``time_control`` say that what takes more than 15 minutes is told of."""

    bucket: str
    storage_class: str | None = None
    account: str | None = None
    owner_override: bool = False
    kms_key: str | None = None
    metrics: bool = False
    time_control: bool = False


@dataclass(frozen=True, slots=True)
class KeyTransform:
    """A replica's key: the source's without the prefix ``strip``, behind ``add``."""

    strip: str = ""
    add: str = ""

    def of(self, key: str) -> str:
        """A key that cannot be transformed is not replicated: it stays as it is."""
        return key if self.problem(key) else self._transformed(key)

    def problem(self, key: str) -> str | None:
        """Why a key cannot be transformed, if so."""
        transformed = self._transformed(key)
        if not transformed:
            return f"nothing is left of the key without {self.strip!r}"
        length = len(transformed.encode())
        if length > MAX_KEY and transformed != key:
            return f"the replica's key would have {length} bytes, and S3 takes at most {MAX_KEY}"
        return None

    def _transformed(self, key: str) -> str:
        return self.add + key.removeprefix(self.strip)


#: A replica has its source's key.
AS_IT_IS: Final = KeyTransform()


class LateVersions(StrEnum):
    """What becomes of a version that arrives after a newer one: copied, and the newer ones copied again
    above it, or left out."""

    REPLAY = "Replay"
    SKIP = "Skip"


@dataclass(frozen=True, slots=True)
class Rule:
    """``version_deletes`` is how many deletes of versions are replicated in an hour at most; None means
    that they are not replicated. ``kms`` says whether objects are replicated that a KMS key encrypts,
    ``replica_modifications`` whether changes of tags, ACL and lock are that others made on replicas,
    ``tag_later`` whether a current version is replicated that is given the rule's tags later on,
    ``replicas`` whether replicas that others have written to the source are carried onward."""

    id: str
    priority: int
    enabled: bool
    filter: Filter
    delete_markers: bool
    destination: Destination
    late_versions: LateVersions = LateVersions.REPLAY
    version_deletes: int | None = None
    transform: KeyTransform = AS_IT_IS
    kms: bool = False
    replica_modifications: bool = False
    replicas: bool = False
    tag_later: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """``ranked``: the enabled rules, the strongest first."""

    rules: tuple[Rule, ...]
    ranked: tuple[Rule, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        enabled = (rule for rule in self.rules if rule.enabled)
        object.__setattr__(self, "ranked", tuple(sorted(enabled, key=lambda rule: -rule.priority)))
