"""Reading Amazon S3's own document: its rules as values, and what the schema cannot check of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from s3replicator.decisions.configuration import (
    MAX_VERSION_DELETES,
    Configuration,
    Destination,
    Filter,
    InvalidConfiguration,
    LateVersions,
    Rule,
)
from s3replicator.decisions.versions import Tag


def from_document(document: Mapping[str, Any], source_bucket: str | None = None) -> Configuration:
    """Read a document whose shape has been checked against the schema.

    Raises ``InvalidConfiguration`` where its rules contradict each other, or the bucket they are for.
    """
    names = _names(document["Rules"])
    rules = tuple(_rule(name, rule) for name, rule in zip(names, document["Rules"], strict=True))
    _check_destinations(rules, source_bucket)
    _check_ids(rules)
    _check_priorities(rules)
    _check_tags(document, rules)
    return Configuration(rules)


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
    destination, extensions = rule["Destination"], rule.get("Extensions", {})
    return Rule(
        id=name,
        priority=rule["Priority"],
        enabled=rule["Status"] == "Enabled",
        filter=_filter(rule["Filter"]),
        delete_markers=rule["DeleteMarkerReplication"]["Status"] == "Enabled",
        destination=Destination(
            bucket=destination["Bucket"].rpartition(":")[2],
            storage_class=destination.get("StorageClass"),
        ),
        late_versions=LateVersions(extensions.get("LateVersions", LateVersions.REPLAY)),
        version_deletes=_version_deletes(extensions.get("VersionDeletes")),
    )


def _filter(document: Mapping[str, Any]) -> Filter:
    both = document.get("And", document)
    tags = both.get("Tags", [document["Tag"]] if "Tag" in document else [])
    return Filter(
        prefix=both.get("Prefix", ""),
        tags=frozenset(Tag(tag["Key"], tag["Value"]) for tag in tags),
    )


def _version_deletes(document: Mapping[str, Any] | None) -> int | None:
    if document is None or document["Status"] == "Disabled":
        return None
    # JSON knows one kind of number, and 10.0 is a whole one.
    return int(document.get("MaxPerHour", MAX_VERSION_DELETES))


def _check_destinations(rules: tuple[Rule, ...], source_bucket: str | None) -> None:
    for index, rule in enumerate(rules):
        if rule.destination.bucket == source_bucket:
            raise InvalidConfiguration(
                "InvalidRequest",
                f"Rules[{index}].Destination.Bucket",
                f"{source_bucket!r} is the source bucket itself; name another bucket",
            )


def _check_ids(rules: tuple[Rule, ...]) -> None:
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if rule.id in seen:
            raise InvalidConfiguration(
                "InvalidRequest",
                f"Rules[{index}].ID",
                f"{rule.id!r} is also the ID of Rules[{seen[rule.id]}]; give every rule its own",
            )
        seen[rule.id] = index


def _check_priorities(rules: tuple[Rule, ...]) -> None:
    seen: dict[tuple[str, int], int] = {}
    for index, rule in enumerate(rules):
        place = (rule.destination.bucket, rule.priority)
        if place in seen:
            raise InvalidConfiguration(
                "InvalidRequest",
                f"Rules[{index}].Priority",
                f"{rule.priority} is also the priority of Rules[{seen[place]}] for the same "
                f"destination {rule.destination.bucket!r}; give each its own, the highest wins",
            )
        seen[place] = index


def _check_tags(document: Mapping[str, Any], rules: tuple[Rule, ...]) -> None:
    for index, (rule, written) in enumerate(zip(rules, document["Rules"], strict=True)):
        keys = Counter(tag["Key"] for tag in written["Filter"].get("And", {}).get("Tags", []))
        for key, count in keys.items():
            if count > 1:
                raise InvalidConfiguration(
                    "InvalidRequest",
                    f"Rules[{index}].Filter.And.Tags",
                    f"the tag key {key!r} is given {count} times; an object has it at most once",
                )
        if rule.filter.tags and rule.delete_markers:
            raise InvalidConfiguration(
                "InvalidRequest",
                f"Rules[{index}].DeleteMarkerReplication.Status",
                "'Enabled' cannot be combined with a tag filter, since delete markers have no tags;"
                " write 'Disabled'",
            )
