"""Reading Amazon S3's own document: its rules as values, once their shape has been checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from s3replicator.decisions.configuration import (
    MAX_VERSION_DELETES,
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    LateVersions,
    Rule,
)
from s3replicator.decisions.replication_checks import check, check_collisions
from s3replicator.decisions.versions import Tag


def from_document(
    document: Mapping[str, Any], source_bucket: str | None = None, *, in_force: bool = False
) -> Configuration:
    """Read a document whose shape has been checked against the schema.

    Raises ``InvalidConfiguration`` where its rules contradict themselves, each other, or the bucket they
    are for. Where keys may collide, only a document that is not ``in_force`` yet is refused.
    """
    written = document["Rules"]
    rules = tuple(_rule(name, rule) for name, rule in zip(_names(written), written, strict=True))
    configuration = Configuration(rules)
    check(written, configuration, source_bucket)
    if not in_force:
        check_collisions(written, configuration)
    return configuration


def default_document(buckets: Mapping[str, str]) -> dict[str, Any]:
    """Every new object, and every delete marker, to every destination: ``buckets`` maps name to ARN."""
    return {
        "Rules": [
            {
                "ID": f"everything-to-{name}",
                "Priority": number,
                "Filter": {},
                "Status": "Enabled",
                "DeleteMarkerReplication": {"Status": "Enabled"},
                "Destination": {"Bucket": arn},
            }
            for number, (name, arn) in enumerate(buckets.items(), start=1)
        ]
    }


def _names(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    """A rule without an ID gets one by its place, that nobody else has."""
    given = {rule["ID"] for rule in rules if rule.get("ID")}
    names = []
    for number, rule in enumerate(rules, start=1):
        name = f"rule-{number}"
        while name in given:
            name = f"{name}-"
        names.append(rule.get("ID") or name)
    return names


def _rule(name: str, rule: Mapping[str, Any]) -> Rule:
    extensions = rule.get("Extensions", {})
    selection = rule.get("SourceSelectionCriteria", {})
    transform = extensions.get("KeyTransform", {})
    return Rule(
        id=name,
        # Rules of the older form have none, and never compete.
        priority=int(rule.get("Priority", 0)),
        enabled=_is_on(rule),
        filter=_filter(rule.get("Filter", rule), extensions),
        # "If you use V1 ..., Amazon S3 replicates delete markers that resulted from user actions."
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html
        delete_markers="Filter" not in rule or _is_on(rule["DeleteMarkerReplication"]),
        destination=_destination(rule["Destination"]),
        late_versions=LateVersions(extensions.get("LateVersions", LateVersions.REPLAY)),
        version_deletes=_version_deletes(extensions.get("VersionDeletes")),
        transform=KeyTransform(transform.get("StripPrefix", ""), transform.get("AddPrefix", "")),
        kms=_is_on(selection.get("SseKmsEncryptedObjects")),
        replica_modifications=_is_on(selection.get("ReplicaModifications")),
        replicas=_is_on(extensions.get("Replicas")),
        tag_later=_is_on(extensions.get("TagLater")),
    )


def _is_on(switch: Mapping[str, Any] | None) -> bool:
    return switch is not None and switch["Status"] == "Enabled"


def _filter(document: Mapping[str, Any], extensions: Mapping[str, Any]) -> Filter:
    both = document.get("And", document)
    tags = both.get("Tags", [document["Tag"]] if "Tag" in document else [])
    return Filter(
        prefix=both.get("Prefix", ""),
        tags=frozenset(Tag(tag["Key"], tag["Value"]) for tag in tags),
        names=_key_names(extensions.get("KeyNameConstraint", {})),
        larger_than=_whole(extensions.get("ObjectSizeGreaterThanBytes")),
        smaller_than=_whole(extensions.get("ObjectSizeLessThanBytes")),
        storage_classes=frozenset(extensions.get("MatchAnyStorageClass", ())),
    )


def _key_names(document: Mapping[str, Sequence[str]]) -> KeyNames:
    return KeyNames(
        prefixes=tuple(document.get("MatchAnyPrefix", ())),
        suffixes=tuple(document.get("MatchAnySuffix", ())),
        substrings=tuple(document.get("MatchAnySubstring", ())),
        not_prefixes=tuple(document.get("ExcludePrefix", ())),
        not_suffixes=tuple(document.get("ExcludeSuffix", ())),
    )


def _destination(document: Mapping[str, Any]) -> Destination:
    return Destination(
        bucket=document["Bucket"].rpartition(":")[2],
        storage_class=document.get("StorageClass"),
        account=document.get("Account"),
        owner_override="AccessControlTranslation" in document,
        kms_key=document.get("EncryptionConfiguration", {}).get("ReplicaKmsKeyID"),
        metrics=_is_on(document.get("Metrics")),
        time_control=_is_on(document.get("ReplicationTime")),
    )


def _version_deletes(document: Mapping[str, Any] | None) -> int | None:
    if document is None or not _is_on(document):
        return None
    return int(document.get("MaxPerHour", MAX_VERSION_DELETES))


def _whole(number: float | None) -> int | None:
    """JSON knows one kind of number, and 10.0 is a whole one."""
    return None if number is None else int(number)
