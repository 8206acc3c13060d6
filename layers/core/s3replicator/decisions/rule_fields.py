"""The members of a rule, flat, in the words of the document: to compare rules, and to show them."""

from typing import TypeAlias

from s3replicator.decisions.configuration import Rule

#: None where the document says nothing; a list of texts; else what it says.
Value: TypeAlias = str | int | list[str] | None


def fields_of(rule: Rule) -> dict[str, Value]:
    """All but the rule's ID."""
    return {**selection_of(rule), **treatment_of(rule), **transform_of(rule)}


def selection_of(rule: Rule) -> dict[str, Value]:
    """Which versions it is for, and where they go."""
    asked, names = rule.filter, rule.filter.names
    return {
        "Status": _status(rule.enabled),
        "Priority": rule.priority,
        "Filter.Prefix": asked.prefix or None,
        "Filter.Tags": [f"{tag.key}={tag.value}" for tag in sorted(asked.tags)] or None,
        "Extensions.KeyNameConstraint.MatchAnyPrefix": list(names.prefixes) or None,
        "Extensions.KeyNameConstraint.MatchAnySuffix": list(names.suffixes) or None,
        "Extensions.KeyNameConstraint.MatchAnySubstring": list(names.substrings) or None,
        "Extensions.KeyNameConstraint.ExcludePrefix": list(names.not_prefixes) or None,
        "Extensions.KeyNameConstraint.ExcludeSuffix": list(names.not_suffixes) or None,
        "Extensions.ObjectSizeGreaterThanBytes": asked.larger_than,
        "Extensions.ObjectSizeLessThanBytes": asked.smaller_than,
        "Extensions.MatchAnyStorageClass": sorted(asked.storage_classes) or None,
        "Destination.Bucket": rule.destination.bucket,
    }


def treatment_of(rule: Rule) -> dict[str, Value]:
    """What becomes of what it decides for."""
    destination = rule.destination
    return {
        "DeleteMarkerReplication": _status(rule.delete_markers),
        "SourceSelectionCriteria.SseKmsEncryptedObjects": _status(rule.kms),
        "SourceSelectionCriteria.ReplicaModifications": _status(rule.replica_modifications),
        "Destination.Account": destination.account,
        "Destination.AccessControlTranslation.Owner": "Destination" if destination.owner_override else None,
        "Destination.StorageClass": destination.storage_class,
        "Destination.EncryptionConfiguration.ReplicaKmsKeyID": destination.kms_key,
        "Destination.ReplicationTime": _status(destination.time_control),
        "Destination.Metrics": _status(destination.metrics),
        "Extensions.LateVersions": rule.late_versions,
        "Extensions.Replicas": _status(rule.replicas),
        "Extensions.VersionDeletes": _status(rule.version_deletes is not None),
        "Extensions.VersionDeletes.MaxPerHour": rule.version_deletes,
        "Extensions.TagLater": _status(rule.tag_later),
    }


def transform_of(rule: Rule) -> dict[str, Value]:
    """Which keys its replicas have."""
    return {
        "Extensions.KeyTransform.StripPrefix": rule.transform.strip or None,
        "Extensions.KeyTransform.AddPrefix": rule.transform.add or None,
    }


def _status(on: bool) -> str:
    return "Enabled" if on else "Disabled"
