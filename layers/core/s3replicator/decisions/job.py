"""A job over objects that are there already: what it looks at, and what it may do.

A job's id is its identity: started again under the same id it goes on where it was, and a job that has
ended does nothing. A document that names something we do not know is refused.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from s3replicator.decisions.provenance import JobAsks
from s3replicator.decisions.versions import Kind, ListedVersion

#: Also part of the name of a Step Functions execution, which takes 80 characters.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_BATCH: Final = re.compile(r"[A-Za-z0-9_-]+\.jsonl")

E = TypeVar("E", bound=StrEnum)

#: Where a job keeps its documents in the control bucket.
FOLDER: Final = "jobs/"


class JobKind(StrEnum):
    #: Replicate source versions that were there before the rules.
    BACKFILL = "backfill"
    #: Compare both sides with the ledger, and put right what differs.
    RECONCILE = "reconcile"


class Scope(StrEnum):
    CURRENT = "current"
    ALL = "all"


class Standing(StrEnum):
    """What the ledger says of a version at a destination, before the job; of one it says nothing about, what
    the version says of itself."""

    NONE = "NONE"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    #: A replica that another stack, or Amazon's own replication, has written to the source.
    REPLICA = "REPLICA"


#: What a job takes that does not say.
DEFAULT_STANDINGS: Final = frozenset({Standing.NONE, Standing.FAILED})


@dataclass(frozen=True, slots=True)
class Filters:
    """Those of S3 Batch Replication; all that are given must hold. Times in seconds since the epoch, sizes in
    bytes. A delete marker has neither size nor storage class: filters by these leave it out."""

    created_after: float | None = None
    created_before: float | None = None
    larger_than: int | None = None
    smaller_than: int | None = None
    storage_classes: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()

    def selects_key(self, key: str) -> bool:
        return (
            (not self.prefixes or key.startswith(self.prefixes))
            and (not self.suffixes or key.endswith(self.suffixes))
            and (not self.substrings or any(part in key for part in self.substrings))
        )

    def selects(self, version: ListedVersion) -> bool:
        moment = version.last_modified
        if self.created_after is not None and moment <= self.created_after:
            return False
        if self.created_before is not None and moment >= self.created_before:
            return False
        if version.kind is Kind.MARKER:
            return self.larger_than is None and self.smaller_than is None and not self.storage_classes
        return (
            (self.larger_than is None or version.size > self.larger_than)
            and (self.smaller_than is None or version.size < self.smaller_than)
            and (not self.storage_classes or version.storage_class in self.storage_classes)
        )


@dataclass(frozen=True, slots=True)
class Job:
    """``columns`` are those of a manifest, whose files lie in the job's folder: the job is about its
    versions; empty: about those that are listed. ``standings``: which versions a backfill takes, by what the
    ledger says of them. ``repair`` is False for a dry run. ``restore_lost``: copy again what others removed
    at the destination. ``deep``: a reconcile also compares tags, lock and annotations, object by object.
    ``grace``: it leaves versions younger than so many seconds to their events, which may be in a queue."""

    id: str
    kind: JobKind
    prefix: str = ""
    scope: Scope = Scope.ALL
    filters: Filters = field(default_factory=Filters)
    standings: frozenset[Standing] = DEFAULT_STANDINGS
    repair: bool = True
    restore_lost: bool = False
    deep: bool = False
    grace: int = 0
    failed_only: bool = False
    columns: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return folder_of(self.id)

    def is_batch(self, name: str) -> bool:
        """Whether an object of the control bucket is one of its batches: the names of its results and claims
        are made from those."""
        folder = f"{self.folder}batches/"
        return name.startswith(folder) and _BATCH.fullmatch(name, len(folder)) is not None

    @property
    def asks(self) -> JobAsks:
        """Of versions that the ledger does not know. The others have been selected by their rows."""
        replicas = Standing.REPLICA in self.standings
        return JobAsks(replicas, others=not replicas or Standing.NONE in self.standings)

    def leaves_out_markers(self, peers: Collection[str]) -> bool:
        """Nothing in a delete marker says who wrote it. With peers it counts as a replica, unless its event
        says otherwise."""
        return bool(peers) and Standing.REPLICA not in self.standings


def folder_of(job_id: str) -> str:
    return f"{FOLDER}{job_id}/"


def is_job_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class InvalidJob(Exception):
    """``problems`` say each what is wrong, and what would be right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_job(job_id: str, document: Mapping[str, Any]) -> Job:
    """Raises ``InvalidJob``. The document's members are optional but for Kind; it is what ``job_document``
    gives. Of a job that is to begin ``job_reach.new_job`` asks for more."""
    reader = _Reader(document)
    if not is_job_id(job_id):
        reader.problems.append(
            f"the job's id is {job_id!r}; it may have 1 to 64 letters, digits, hyphens and underscores"
        )
    job = Job(
        id=job_id,
        kind=reader.one_of("Kind", JobKind, None),
        prefix=reader.text("Prefix"),
        scope=reader.one_of("Scope", Scope, Scope.ALL),
        filters=Filters(
            created_after=reader.time("CreatedAfter"),
            created_before=reader.time("CreatedBefore"),
            larger_than=reader.number("ObjectSizeGreaterThanBytes", "bytes"),
            smaller_than=reader.number("ObjectSizeLessThanBytes", "bytes"),
            storage_classes=frozenset(reader.texts("MatchAnyStorageClass")),
            prefixes=reader.texts("MatchAnyPrefix"),
            suffixes=reader.texts("MatchAnySuffix"),
            substrings=reader.texts("MatchAnySubstring"),
        ),
        standings=frozenset(reader.some_of("ObjectReplicationStatuses", Standing)) or DEFAULT_STANDINGS,
        repair=not reader.flag("DryRun"),
        restore_lost=reader.flag("RestoreLost"),
        deep=reader.flag("Deep"),
        grace=reader.number("GraceSeconds", "seconds") or 0,
        failed_only=reader.one_of("ReportScope", ReportScope, ReportScope.ALL) is ReportScope.FAILED,
        columns=reader.texts("ManifestColumns"),
    )
    if job.columns and (job.kind is JobKind.RECONCILE or job.restore_lost):
        reader.problems.append(
            "ManifestColumns: with a manifest a job only replicates; without it, it can reconcile and restore"
        )
    reader.refuse_unknown()
    if reader.problems:
        raise InvalidJob(reader.problems)
    return job


class ReportScope(StrEnum):
    """As S3 Batch Operations calls them."""

    ALL = "AllTasks"
    FAILED = "FailedTasksOnly"


def job_document(job: Job) -> dict[str, Any]:
    filters = job.filters
    told = {
        "Kind": job.kind.value,
        "Prefix": job.prefix or None,
        "Scope": job.scope.value,
        "CreatedAfter": _iso(filters.created_after),
        "CreatedBefore": _iso(filters.created_before),
        "ObjectSizeGreaterThanBytes": filters.larger_than,
        "ObjectSizeLessThanBytes": filters.smaller_than,
        "MatchAnyStorageClass": sorted(filters.storage_classes) or None,
        "MatchAnyPrefix": list(filters.prefixes) or None,
        "MatchAnySuffix": list(filters.suffixes) or None,
        "MatchAnySubstring": list(filters.substrings) or None,
        "ObjectReplicationStatuses": sorted(job.standings),
        "DryRun": (not job.repair) or None,
        "RestoreLost": job.restore_lost or None,
        "Deep": job.deep or None,
        "GraceSeconds": job.grace or None,
        "ManifestColumns": list(job.columns) or None,
        "ReportScope": (ReportScope.FAILED if job.failed_only else ReportScope.ALL).value,
    }
    return {name: value for name, value in told.items() if value is not None}


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


class _Reader:
    """Reads members, and notes what is wrong with each."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._read: set[str] = set()
        self.problems: list[str] = []

    def _get(self, name: str, what: str, fits: Callable[[Any], bool]) -> Any:
        self._read.add(name)
        value = self._document.get(name)
        if value is not None and not fits(value):
            self.problems.append(f"{name} is {value!r}; it must be {what}")
            return None
        return value

    def text(self, name: str) -> str:
        return self._get(name, "text", _is_text) or ""

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._get(
            name,
            "a list of texts, none of them empty",
            lambda value: isinstance(value, list) and all(one and _is_text(one) for one in value),
        )
        return tuple(found or ())

    def number(self, name: str, unit: str) -> int | None:
        found: int | None = self._get(
            name,
            f"a whole number of {unit}, 0 or more",
            lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        )
        return found

    def flag(self, name: str) -> bool:
        return bool(self._get(name, "true or false", lambda value: isinstance(value, bool)))

    def time(self, name: str) -> float | None:
        value = self._get(name, "a time such as 2026-01-31T00:00:00Z", _is_time)
        return _time(value).timestamp() if value is not None else None

    def one_of(self, name: str, choices: type[E], default: E | None) -> E:
        what = " or ".join(choice.value for choice in choices)
        value = self._get(name, what, lambda value: value in [choice.value for choice in choices])
        if default is None and self._document.get(name) is None:
            self.problems.append(f"{name} is missing; it must be {what}")
        return choices(value) if value is not None else default or next(iter(choices))

    def some_of(self, name: str, choices: type[E]) -> list[E]:
        known = [choice.value for choice in choices]
        value = self._get(
            name,
            f"a list of {', '.join(known)}",
            lambda value: isinstance(value, list) and value != [] and all(one in known for one in value),
        )
        return [choices(one) for one in value or ()]

    def refuse_unknown(self) -> None:
        self.problems += [
            f"{name} is unknown; known are {', '.join(sorted(self._read))}"
            for name in sorted(self._document.keys() - self._read)
        ]


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_time(value: Any) -> bool:
    """True for what can be written down again."""
    try:
        _iso(_time(value).timestamp())
    except (OverflowError, TypeError, ValueError):
        return False
    return True


def _is_text(value: Any) -> bool:
    """True for what a key can be or begin with. JSON can also say half a character."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
