"""What rules are asked about: a version or delete marker as it is at the source, or as it is imagined."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from s3replicator.decisions.configuration import Rule
from s3replicator.decisions.explanation import AtBucket
from s3replicator.decisions.failures import NotEligible, Reason, SourceGone
from s3replicator.decisions.ledger import LedgerKey, source_name
from s3replicator.decisions.provenance import Evidence
from s3replicator.decisions.rules import Facts, needs_tags
from s3replicator.decisions.versions import (
    Kind,
    ListedVersion,
    SourceMarker,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
    id_for_s3,
)
from s3replicator.ports import Ledger, Source
from s3replicator.usecases.evidence import OlderVersions

#: By bucket, rules that may have something to ask.
Asking = Mapping[str, Iterable[Rule]]


@dataclass(frozen=True, slots=True)
class Imagined:
    """What is taken for granted; of the rest the source is asked. ``marker``: a delete marker that is written
    now, whose facts are those of what it hides."""

    tags: frozenset[Tag] | None = None
    size: int | None = None
    storage_class: str | None = None
    encryption: str | None = None
    marker: bool = False

    def lacks(self, asking: Asking) -> list[str]:
        """What the rules ask for, and is not given."""
        filters = [rule.filter for rules in asking.values() for rule in rules]
        sizes = any(each.larger_than is not None or each.smaller_than is not None for each in filters)
        wanted = {
            "tags": self.tags is None and needs_tags(asking),
            "size": self.size is None and sizes,
            "storage class": self.storage_class is None and any(each.storage_classes for each in filters),
        }
        return [name for name, lacking in wanted.items() if lacking]


@dataclass(frozen=True, slots=True)
class Subject:
    """``facts`` are those of the object, or of what a delete marker hides. ``problem``: why it cannot be
    looked at as it is. ``imagined``: nothing about it was read. ``copied_in_place`` as in ``Evidence``."""

    version: SourceVersion
    facts: Facts
    problem: str | None = None
    imagined: bool = False
    copied_in_place: bool = False


def with_owners(ledger: Ledger, ref: VersionRef, told: Iterable[AtBucket]) -> list[AtBucket]:
    """What the rules say, and where the place that they give the replica is another source key's."""
    return [replace(at, problem=at.problem or _owner(ledger, ref, at)) for at in told]


def _owner(ledger: Ledger, ref: VersionRef, at: AtBucket) -> str | None:
    if at.rule is None or at.replica_key is None:
        return None
    head = ledger.head(LedgerKey(at.bucket, at.replica_key))
    if head is None or head.is_of(source_name(ref)) or head.is_vacant(head.rows, 0):
        return None
    return f"{Reason.KEY_CONFLICT}: the key at the destination belongs to {head.source}"


def imagine(ref: VersionRef, given: Imagined) -> Subject:
    """Nothing is read. What is not given is as good as anything: no rule asks for it."""
    version = SourceMarker(ref, 0.0) if given.marker else _object(ref)
    return _with(given, Subject(version, Facts(), imagined=True))


@dataclass(frozen=True, slots=True)
class Subjects:
    source: Source

    def find(
        self, bucket: str, key: str, given: Imagined, asking: Asking, version_id: str | None = None
    ) -> Subject | None:
        """The version of this name or S3's id; without one the newest, or the delete marker to be written
        above it. None if there is none. Raises the failures of reading the source."""
        listed = self.source.versions(bucket, key)
        if given.marker:
            marker = VersionRef(bucket, key, "")
            facts = self._hidden(bucket, key, listed, given, asking)
            return _with(given, Subject(SourceMarker(marker, 0.0), facts))
        for place, version in enumerate(listed):
            if version_id in (None, version.version_id, id_for_s3(version.version_id)):
                return self._subject(
                    VersionRef(bucket, key, version.version_id), listed[place:], given, asking
                )
        return None

    def _subject(
        self, ref: VersionRef, listed: Sequence[ListedVersion], given: Imagined, asking: Asking
    ) -> Subject | None:
        """``listed``: the version, and what is below it."""
        newest, *below = listed
        if newest.kind is Kind.MARKER:
            facts = self._hidden(ref.bucket, ref.key, below, given, asking)
            return _with(given, Subject(SourceMarker(ref, newest.last_modified), facts))
        problem = None
        try:
            version = self.source.head(ref)
            tags = self._tags(ref, given, asking)
        except SourceGone:
            return None
        except NotEligible as failure:
            version, tags, problem = _object(ref), self._tags(ref, given, asking), failure.detail
        subject = Subject(version, Facts(tags, newest.size, newest.storage_class), problem)
        if isinstance(version, SourceObject):
            evidence = OlderVersions(self.source).of(Evidence(version))
            subject = replace(subject, copied_in_place=evidence.copied_in_place)
        return _with(given, subject)

    def _hidden(
        self, bucket: str, key: str, below: Iterable[ListedVersion], given: Imagined, asking: Asking
    ) -> Facts:
        """A delete marker is judged by the newest object below it."""
        for version in below:
            if version.kind is Kind.OBJECT:
                with contextlib.suppress(SourceGone):  # then the one below it is what the marker hides
                    tags = self._tags(VersionRef(bucket, key, version.version_id), given, asking)
                    return Facts(tags, version.size, version.storage_class)
        return Facts()

    def _tags(self, ref: VersionRef, given: Imagined, asking: Asking) -> frozenset[Tag]:
        return self.source.tags(ref) if given.tags is None and needs_tags(asking) else frozenset()


def _object(ref: VersionRef) -> SourceObject:
    return SourceObject(ref, size=0, etag="", last_modified=0.0)


def _with(given: Imagined, subject: Subject) -> Subject:
    facts = Facts(
        subject.facts.tags if given.tags is None else given.tags,
        subject.facts.size if given.size is None else given.size,
        subject.facts.storage_class if given.storage_class is None else given.storage_class,
    )
    version = subject.version
    if isinstance(version, SourceObject):
        encryption = version.encryption if given.encryption is None else given.encryption
        version = replace(version, size=facts.size, storage_class=facts.storage_class, encryption=encryption)
    return replace(subject, version=version, facts=facts)
