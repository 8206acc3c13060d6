"""The rules of a replication configuration, as a table and as a document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from s3rctl.common import print_table
from s3replicator.decisions.configuration import LateVersions, Rule
from s3replicator.decisions.rule_fields import Value


def shown(value: Value) -> str | None:
    """A value of a rule, for people."""
    if isinstance(value, list):
        return ", ".join(value)
    return None if value is None else str(value)


# -- as a table


def print_rules(rules: Sequence[Rule]) -> None:
    """The strongest first, as they are chosen. What no rule says anything about has no column."""
    ranked = sorted(rules, key=lambda rule: -rule.priority)
    cells = {heading: [cell(rule) for rule in ranked] for heading, cell in _CELLS.items()}
    used = {heading: column for heading, column in cells.items() if heading in _ALWAYS or any(column)}
    print_table(list(used), list(zip(*used.values(), strict=True)))


def _key_names(rule: Rule) -> str:
    names = rule.filter.names
    told = {
        "begins with": names.prefixes,
        "ends in": names.suffixes,
        "contains": names.substrings,
        "does not begin with": names.not_prefixes,
        "does not end in": names.not_suffixes,
    }
    return "; ".join(f"{how} {' or '.join(map(repr, parts))}" for how, parts in told.items() if parts)


def _size(rule: Rule) -> str:
    bounds = ((">", rule.filter.larger_than), ("<", rule.filter.smaller_than))
    return ", ".join(f"{sign} {bound} B" for sign, bound in bounds if bound is not None)


def _key_there(rule: Rule) -> str:
    strip, add = rule.transform.strip, rule.transform.add
    return f"{strip}* -> {add}*" if strip or add else ""


def _owner(rule: Rule) -> str:
    account = rule.destination.account or ""
    return f"{account}, owns replicas" if rule.destination.owner_override else account


def _time(rule: Rule) -> str:
    if rule.destination.time_control:
        return "15 min"
    return "metrics" if rule.destination.metrics else ""


def _version_deletes(rule: Rule) -> str:
    return "" if rule.version_deletes is None else f"{rule.version_deletes} an hour"


_CELLS: Final[Mapping[str, Callable[[Rule], str]]] = {
    "RULE": lambda rule: rule.id,
    "STATUS": lambda rule: "Enabled" if rule.enabled else "Disabled",
    "PRIORITY": lambda rule: str(rule.priority),
    "PREFIX": lambda rule: rule.filter.prefix,
    "KEYS": _key_names,
    "TAGS": lambda rule: ", ".join(f"{tag.key}={tag.value}" for tag in sorted(rule.filter.tags)),
    "SIZE": _size,
    "CLASSES": lambda rule: ", ".join(sorted(rule.filter.storage_classes)),
    "DELETE MARKERS": lambda rule: "yes" if rule.delete_markers else "no",
    "DESTINATION": lambda rule: rule.destination.bucket,
    "KEY THERE": _key_there,
    "CLASS THERE": lambda rule: rule.destination.storage_class or "",
    "ACCOUNT": _owner,
    "KMS KEY": lambda rule: (rule.destination.kms_key or "no key") if rule.kms else "",
    "TIME CONTROL": _time,
    "REPLICA CHANGES": lambda rule: "yes" if rule.replica_modifications else "",
    "REPLICAS ONWARD": lambda rule: "yes" if rule.replicas else "",
    "LATE VERSIONS": lambda rule: "" if rule.late_versions is LateVersions.REPLAY else rule.late_versions,
    "VERSION DELETES": _version_deletes,
    "TAG LATER": lambda rule: "yes" if rule.tag_later else "",
}
_ALWAYS: Final = frozenset({"RULE", "STATUS", "PRIORITY", "PREFIX", "DELETE MARKERS", "DESTINATION"})


# -- as a document


def rule_document(rule: Rule) -> dict[str, Any]:
    asked, names, destination = rule.filter, rule.filter.names, rule.destination
    return {
        "id": rule.id,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "prefix": asked.prefix,
        "keyNames": {
            "matchAnyPrefix": list(names.prefixes),
            "matchAnySuffix": list(names.suffixes),
            "matchAnySubstring": list(names.substrings),
            "excludePrefix": list(names.not_prefixes),
            "excludeSuffix": list(names.not_suffixes),
        },
        "tags": [{"key": tag.key, "value": tag.value} for tag in sorted(asked.tags)],
        "largerThan": asked.larger_than,
        "smallerThan": asked.smaller_than,
        "storageClasses": sorted(asked.storage_classes),
        "deleteMarkers": rule.delete_markers,
        "encryptedWithKms": rule.kms,
        "replicaModifications": rule.replica_modifications,
        "replicasOnward": rule.replicas,
        "destination": destination.bucket,
        "account": destination.account,
        "ownerOverride": destination.owner_override,
        "storageClass": destination.storage_class,
        "kmsKey": destination.kms_key,
        "metrics": destination.metrics,
        "timeControl": destination.time_control,
        "keyTransform": {"stripPrefix": rule.transform.strip, "addPrefix": rule.transform.add},
        "lateVersions": rule.late_versions,
        "versionDeletesPerHour": rule.version_deletes,
        "tagLater": rule.tag_later,
    }
