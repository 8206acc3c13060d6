"""What a job takes up: which versions of a key, and how they are handed to its workers, in batches."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from s3replicator.decisions.events import Origin
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.job import Job, Scope, Standing
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.versions import Kind, ListedVersion, id_for_s3

#: A key with more versions than this is named only: whoever works on it lists it.
MOST_VERSIONS_OF_A_KEY: Final = 500

#: A batch is full with so many versions, or so many bytes. One worker deals with it in a few minutes.
MOST_VERSIONS: Final = 2000
MOST_BYTES: Final = 400_000


@dataclass(frozen=True, slots=True)
class Line:
    """A key to be worked on. ``versions``: these, the oldest first; None if the worker has to list them.
    ``restore``: replicas that others removed are to be copied again. ``recall``: the destinations hold
    objects that may be replicas the ledger does not know. ``only``: the ids of the versions that are meant,
    if not all are; "" is the current one. ``counted``: how many versions the worker will list, where that is
    known; it is not written down."""

    key: str
    versions: tuple[ListedVersion, ...] | None = None
    restore: bool = False
    recall: bool = False
    only: tuple[str, ...] | None = None
    counted: int | None = field(default=None, compare=False)

    @property
    def weight(self) -> int:
        known = self.versions if self.versions is not None else self.only
        if known is not None:
            return max(1, len(known))
        return MOST_VERSIONS_OF_A_KEY if self.counted is None else max(1, self.counted)

    def encode(self) -> bytes:
        versions = self.versions
        told: dict[str, Any] = {
            "key": self.key,
            "versions": None if versions is None else [_told(version) for version in versions],
        }
        told |= {name: True for name in ("restore", "recall") if getattr(self, name)}
        if self.only is not None:
            told["only"] = self.only
        return json.dumps(told).encode() + b"\n"

    def means(self, version: ListedVersion) -> bool:
        """Whether a version that the source lists is one of those that are meant."""
        if self.only is None:
            return True
        return id_for_s3(version.version_id) in self.only or ("" in self.only and version.latest)

    def missing_in(self, listed: Sequence[ListedVersion]) -> list[str | None]:
        """The ids that are meant and that the source does not list; None if it should have a current one."""
        known = {id_for_s3(version.version_id) for version in listed} | ({""} if listed else set())
        return [name or None for name in dict.fromkeys(self.only or ()) if name not in known]

    def __add__(self, other: "Line") -> "Line":
        """Both, of one key: a manifest may name a key in several places."""
        listed = self.versions is None or other.versions is None
        versions = None if listed else (*(self.versions or ()), *(other.versions or ()))
        all_of_it = self.only is None or other.only is None
        return Line(
            self.key,
            versions and tuple(sorted(versions, key=lambda version: version.last_modified)),
            self.restore or other.restore,
            self.recall or other.recall,
            None if all_of_it else (*(self.only or ()), *(other.only or ())),
        )


def _told(version: ListedVersion) -> list[Any]:
    return [version.version_id, version.kind, version.last_modified]


def _version(told: Sequence[Any]) -> ListedVersion:
    return ListedVersion(told[0], Kind(told[1]), told[2])


def keys_of(body: bytes) -> list[Line]:
    """The lines of a batch, one for each key."""
    found: dict[str, Line] = {}
    for line in lines_of(body):
        found[line.key] = found[line.key] + line if line.key in found else line
    return list(found.values())


def lines_of(body: bytes) -> Iterator[Line]:
    """The lines of a batch."""
    for line in body.split(b"\n"):
        if line:
            told = json.loads(line)
            versions = told["versions"]
            yield Line(
                told["key"],
                None if versions is None else tuple(_version(one) for one in versions),
                told.get("restore", False),
                told.get("recall", False),
                tuple(told["only"]) if "only" in told else None,
            )


@dataclass(frozen=True, slots=True)
class Portion:
    """Versions of a key that are worked on together, the oldest first. ``above`` is the one that follows, in
    the next portion; None if this is the last."""

    versions: tuple[ListedVersion, ...]
    above: str | None = None

    def encode(self) -> bytes:
        told = {"versions": [_told(version) for version in self.versions], "above": self.above}
        return json.dumps(told).encode()


def portion_of(body: bytes) -> Portion:
    told = json.loads(body)
    return Portion(tuple(_version(one) for one in told["versions"]), told["above"])


def portions(versions: Sequence[ListedVersion], most: int) -> Iterator[Portion]:
    """``versions``, the oldest first, some ``most`` at a time. What is of one second stays together, as long
    as that is not half as many again: times do not order it, so whoever goes on would have to look at what
    is there of it already."""
    begin = 0
    while begin < len(versions):
        end = min(begin + most, len(versions))
        while end < min(begin + most + most // 2, len(versions)) and (
            _second(versions[end]) == _second(versions[end - 1])
        ):
            end += 1
        above = versions[end].version_id if end < len(versions) else None
        yield Portion(tuple(versions[begin:end]), above)
        begin = end


def _second(version: ListedVersion) -> int:
    return int(version.last_modified)


def select(
    job: Job, key: str, newest_first: Sequence[ListedVersion], *, markers: bool
) -> list[ListedVersion]:
    """The versions of a key that the job is about, the oldest first."""
    if not job.filters.selects_key(key):
        return []
    if job.scope is Scope.CURRENT:
        newest_first = [one for one in newest_first[:1] if one.kind is Kind.OBJECT]
    return [
        version
        for version in reversed(newest_first)
        if (version.kind is Kind.OBJECT or markers) and job.filters.selects(version)
    ]


def is_taken(job: Job, row: Row | None) -> bool:
    """Whether the job is about a version at a destination, by what the ledger says. Of one it does not know,
    the version itself has to say whether it is a replica."""
    if row is None:
        return not job.standings.isdisjoint({Standing.NONE, Standing.REPLICA})
    is_replica = row.origin is Origin.ONWARD or row.reason == Reason.SRC_IS_REPLICA
    now = standing(row)
    return now in job.standings or (
        is_replica and Standing.REPLICA in job.standings and now is Standing.FAILED
    )


def standing(row: Row | None) -> Standing:
    if row is None:
        return Standing.NONE
    # What waits is tried at once: its message may have been lost. What was called gone is listed after all.
    finished = row.status in (Status.COMPLETED, Status.SUPERSEDED)
    return Standing.COMPLETED if finished else Standing.FAILED
