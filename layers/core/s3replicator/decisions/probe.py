"""The probe: a small object that a check writes to a destination, reads, copies and deletes again.

It lies where the replicas of a rule lie, so that a policy about their prefix is met, in a folder that is
reserved for probes: nothing there is ever replicated, by whichever stack comes upon it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.replica import ReplicaRequest, upload_request
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Lock, SourceObject, Tag, VersionRef

#: The reserved folder, at the root of a bucket or below any prefix.
FOLDER: Final = ".s3-replicator-probe/"

TAGS: Final = frozenset({Tag("s3-replicator", "probe")})
BODY: Final = b"A probe of s3-replicator, which s3rctl check has written and deletes again.\n"

#: No name of a bucket and no version id, so that a probe is never taken for the replica of anything.
_NOTHING: Final = "(probe)"


#: The name of a check, which is of 12 random bytes, and the number of the kind of replica.
_NAME: Final = re.compile(re.escape(FOLDER) + r"[A-Za-z0-9_-]{16}-[0-9]+\Z")


def is_probe(key: str) -> bool:
    return _NAME.search(key) is not None


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of replica at one destination: what ``rule`` makes of a version that is, or is not, encrypted
    with a KMS key. Without a rule it is what a rule would make that asks for nothing. ``markers`` says
    whether a rule for the bucket replicates delete markers."""

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


def planned(configuration: Configuration, buckets: Iterable[str], nonce: str) -> list[Probe]:
    """A probe for each kind of replica that the rules make in these buckets, and at least one each."""
    return [
        Probe(bucket, f"{_place(rule)}{FOLDER}{nonce}-{number}", rule, kms, markers)
        for bucket in buckets
        for markers in [any(rule.delete_markers for rule in _rules(configuration, bucket))]
        for number, (rule, kms) in enumerate(_kinds(_rules(configuration, bucket)))
    ]


def _rules(configuration: Configuration, bucket: str) -> list[Rule]:
    return [rule for rule in configuration.ranked if rule.destination.bucket == bucket]


def _kinds(rules: Iterable[Rule]) -> list[tuple[Rule | None, bool]]:
    kinds: dict[tuple[object, ...], tuple[Rule, bool]] = {}
    for rule in rules:
        to = rule.destination
        stored = (rule.transform.add, to.storage_class, to.owner_override, to.account)
        kinds.setdefault((*stored, None), (rule, False))
        if rule.kms:
            kinds.setdefault((*stored, to.kms_key), (rule, True))
    return list(kinds.values()) or [(None, False)]


def _place(rule: Rule | None) -> str:
    return rule.transform.add if rule else ""


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
