"""The probe: a small object that a check writes to a destination, reads, copies and deletes again.

It lies where the replicas of a rule lie: behind the prefix that all their keys have, so that a policy about
it says of the probe what it says of them; and in a folder of its own. No stack that comes upon it replicates
it. It is known by what it is, not by its key alone: an object of a user that happens to have such a key is
replicated like any other.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final, Self

from s3replicator.decisions.configuration import MAX_KEY, Configuration, Rule
from s3replicator.decisions.key_ranges import ranges_of
from s3replicator.decisions.replica import ReplicaRequest, upload_request
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import Lock, SourceObject, Tag, VersionRef

#: The reserved folder, at the root of a bucket or below any prefix.
FOLDER: Final = ".s3-replicator-probe/"

TAGS: Final = frozenset({Tag("s3-replicator", "probe")})
BODY: Final = b"A probe of s3-replicator, which s3rctl check has written and deletes again.\n"

#: No name of a bucket and no version id, so that a probe is never taken for the replica of anything.
_NOTHING: Final = "(probe)"


#: So many probes are written to a destination at most.
MOST: Final = 20

#: The name of a check, which is of 12 random bytes, and the number of the probe at its destination.
_NONCE: Final = 16
_NAME: Final = re.compile(re.escape(FOLDER) + rf"[A-Za-z0-9_-]{{{_NONCE}}}-[0-9]+\Z")


def is_probe(key: str) -> bool:
    """Whether a probe may have this key. A user's object may have it, too: see ``is_written_by_a_check``."""
    return _NAME.search(key) is not None


def is_written_by_a_check(version: SourceObject) -> bool:
    """Whether it is a probe: by its key, its stamp, and its size."""
    stamp = Stamp.read(version.metadata)
    return (
        is_probe(version.ref.key)
        and version.size == len(BODY)
        and stamp is not None
        and (stamp.source_bucket, stamp.version_id) == (_NOTHING, _NOTHING)
        and stamp.place == place_of(version.ref.bucket, version.ref.key)
    )


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of replica at one destination: what ``rule`` makes of a version that is, or is not, encrypted
    with a KMS key. Without a rule it is what a rule would make that asks for nothing. ``markers`` says
    whether a rule that makes such replicas replicates delete markers, too."""

    bucket: str
    key: str
    rule: Rule | None = None
    kms: bool = False
    markers: bool = False

    @property
    def owner(self) -> str | None:
        return self.rule.destination.account if self.rule else None

    @property
    def kms_key(self) -> str | None:
        return self.rule.destination.kms_key if self.rule and self.kms else None


@dataclass(frozen=True, slots=True)
class Written:
    """A version of a probe. ``until`` is when its retention ends, in seconds since the epoch; None if it has
    none. ``locking``: whatever is written to the bucket without a retention is given one there, and could not
    be deleted again."""

    bucket: str
    key: str
    version_id: str
    until: float | None = None
    locking: bool = False

    def document(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "key": self.key,
            "versionId": self.version_id,
            "until": self.until,
            "locking": self.locking,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        names = ("bucket", "key", "versionId", "until", "locking")
        return cls(*(document[name] for name in names))


@dataclass(frozen=True, slots=True)
class Plan:
    """``left_out``: by bucket, what the keys of those replicas begin with of which none is tried."""

    probes: tuple[Probe, ...]
    left_out: Mapping[str, tuple[str, ...]]


def planned(configuration: Configuration, buckets: Iterable[str], nonce: str) -> Plan:
    """In each of these buckets a probe for each kind of replica that the rules make, wherever they make it,
    and at least one; but no more than ``MOST``."""
    probes: list[Probe] = []
    left_out: dict[str, tuple[str, ...]] = {}
    for bucket in buckets:
        places = _places(rule for rule in configuration.ranked if rule.destination.bucket == bucket)
        tried = [place for place in _in_turn(places) if _has_room(place)][:MOST]
        probes += [place.probe(bucket, nonce, number) for number, place in enumerate(tried)]
        if not places:
            probes.append(Probe(bucket, _key("", nonce, 0)))
        left_out[bucket] = tuple(dict.fromkeys(one.prefix for one in places if one not in tried))
    return Plan(tuple(probes), {bucket: prefixes for bucket, prefixes in left_out.items() if prefixes})


@dataclass(frozen=True, slots=True)
class _Place:
    """``rule`` makes replicas whose keys begin with ``prefix``; ``kind`` is what else is the same for all
    rules that make such replicas, and ``markers`` whether one of them replicates delete markers."""

    prefix: str
    kind: tuple[object, ...]
    rule: Rule
    kms: bool
    markers: bool

    def probe(self, bucket: str, nonce: str, number: int) -> Probe:
        return Probe(bucket, _key(self.prefix, nonce, number), self.rule, self.kms, self.markers)


def _places(rules: Iterable[Rule]) -> list[_Place]:
    found: dict[tuple[object, ...], _Place] = {}
    for rule in rules:
        to = rule.destination
        stored = (to.storage_class, to.owner_override, to.account)
        for prefix, kms in product(_prefixes(rule), (False, True) if rule.kms else (False,)):
            kind = (*stored, to.kms_key if kms else None)
            same = found.setdefault((prefix, kind), _Place(prefix, kind, rule, kms, rule.delete_markers))
            if rule.delete_markers and not same.markers:
                found[prefix, kind] = replace(same, markers=True)
    return list(found.values())


def _prefixes(rule: Rule) -> Iterable[str]:
    return dict.fromkeys(each.replica for each in ranges_of(rule))


def _in_turn(places: Iterable[_Place]) -> list[_Place]:
    """The first of every kind, then the first with every prefix, then the rest."""
    kinds: set[object] = set()
    prefixes: set[str] = set()
    turns: tuple[list[_Place], ...] = ([], [], [])
    for place in places:
        kind = (place.kind, place.markers)
        turn = 0 if kind not in kinds else 1 if place.prefix not in prefixes else 2
        turns[turn].append(place)
        kinds.add(kind)
        prefixes.add(place.prefix)
    return [place for turn in turns for place in turn]


def _key(prefix: str, nonce: str, number: int) -> str:
    return f"{prefix}{FOLDER}{nonce}-{number}"


def _has_room(place: _Place) -> bool:
    return len(_key(place.prefix, "-" * _NONCE, MOST).encode()) <= MAX_KEY


def probe_request(probe: Probe, nonce: str, until: float | None) -> ReplicaRequest:
    """What PutObject is asked for, as the upload of a replica would be. Whoever reads the stamp, a stack of
    any release, takes the probe for a replica, and does not replicate it."""
    nothing = SourceObject(
        VersionRef(_NOTHING, probe.key, _NOTHING),
        size=len(BODY),
        etag="",
        last_modified=0.0,
        content_type="text/plain",
        encryption="aws:kms" if probe.kms else "AES256",
        lock=Lock("GOVERNANCE", until) if until is not None else Lock(),
    )
    stamp = Stamp.of(nothing.ref, nonce, probe.bucket, probe.key)
    return upload_request(nothing, probe.rule, stamp, TAGS)
