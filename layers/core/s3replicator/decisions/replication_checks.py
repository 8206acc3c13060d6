"""What the members of a rule, and the rules of a document, have to say together.

The codes are those Amazon S3 answers with under the same condition.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ReplicationErrorCodeList
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from s3replicator.decisions.collisions import search_collision
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration, Rule
from s3replicator.decisions.key_ranges import admitted_prefixes


@dataclass(frozen=True, slots=True)
class _Read:
    """A rule, as it is written and as it is read, and its place in the document."""

    index: int
    written: Mapping[str, Any]
    rule: Rule

    @property
    def is_v1(self) -> bool:
        return "Filter" not in self.written

    @property
    def bucket(self) -> str:
        return self.rule.destination.bucket

    def refusal(self, code: str, field: str, problem: str) -> InvalidConfiguration:
        return InvalidConfiguration(code, f"Rules[{self.index}].{field}", problem)


def check(
    written: Sequence[Mapping[str, Any]], configuration: Configuration, source_bucket: str | None
) -> None:
    """``written`` are the rules of a document of the right shape, ``configuration`` what they say."""
    rules = _read(written, configuration)
    _check_form(rules)
    _check_ids(rules)
    for each in rules:
        for checked in _OF_ONE_RULE:
            checked(each)
    _check_source(rules, source_bucket)
    _check_accounts(rules)
    if rules[0].is_v1:
        _check_prefixes(rules)
    else:
        _check_priorities(rules)


def check_collisions(written: Sequence[Mapping[str, Any]], configuration: Configuration) -> None:
    """What a document has to say besides, that shall be put in force: no two keys of the source may get one
    key at a destination. One that is in force already is used as it is, and a check of the deployment tells
    of it."""
    found = search_collision(configuration).collision
    if found is None:
        return
    reads = {read.rule.id: read for read in _read(written, configuration)}
    one, other = ((reads[found.rule.id], found.key), (reads[found.other_rule.id], found.other_key))
    if "KeyTransform" not in one[0].written.get("Extensions", {}):
        one, other = other, one
    raise one[0].refusal(
        "InvalidRequest",
        "Extensions.KeyTransform",
        f"{one[1]!r} and, by Rules[{other[0].index}], {other[1]!r} would both be replicated to"
        f" {found.replica!r} in {one[0].bucket!r}; choose prefixes that keep them apart",
    )


def _read(written: Sequence[Mapping[str, Any]], configuration: Configuration) -> list[_Read]:
    return [
        _Read(index, one, rule)
        for index, (one, rule) in enumerate(zip(written, configuration.rules, strict=True))
    ]


# -- one rule


def _check_tags(read: _Read) -> None:
    both = read.written.get("Filter", {}).get("And", {})
    if both.get("Tags") == [] and "Prefix" not in both:
        raise read.refusal(
            "MalformedXML",
            "Filter.And.Tags",
            'is empty, and there is no Prefix; name tags, or write "Filter": {} for every object',
        )
    for key, count in Counter(tag["Key"] for tag in both.get("Tags", ())).items():
        if count > 1:
            raise read.refusal(
                "InvalidRequest",
                "Filter.And.Tags",
                f"the tag key {key!r} is given {count} times; an object has it at most once",
            )
    if read.rule.filter.tags and read.rule.delete_markers:
        raise read.refusal(
            "InvalidRequest",
            "DeleteMarkerReplication.Status",
            "'Enabled' cannot be combined with a tag filter, since delete markers have no tags;"
            " write 'Disabled'",
        )


def _check_tag_later(read: _Read) -> None:
    if read.rule.tag_later and not read.rule.filter.tags:
        raise read.refusal(
            "InvalidRequest",
            "Extensions.TagLater",
            "is Enabled, and the filter asks for no tag; name the tags in Filter, or remove TagLater",
        )


def _check_owner(read: _Read) -> None:
    if read.rule.destination.owner_override and read.rule.destination.account is None:
        raise read.refusal(
            "InvalidRequest",
            "Destination.Account",
            f"is missing beside AccessControlTranslation; give the account that owns {read.bucket!r}",
        )


def _check_encryption(read: _Read) -> None:
    asked = "SseKmsEncryptedObjects" in read.written.get("SourceSelectionCriteria", {})
    if asked and read.rule.destination.kms_key is None:
        raise read.refusal(
            "InvalidRequest",
            "Destination.EncryptionConfiguration",
            "is missing, and SourceSelectionCriteria has SseKmsEncryptedObjects; add"
            ' {"ReplicaKmsKeyID": ...}, the ARN of a key in the destination\'s region',
        )
    if not asked and read.rule.destination.kms_key is not None:
        raise read.refusal(
            "InvalidRequest",
            "SourceSelectionCriteria.SseKmsEncryptedObjects",
            'is missing, and Destination has EncryptionConfiguration; add {"Status": "Enabled"}, or'
            " remove EncryptionConfiguration: other objects take the destination's own encryption",
        )


def _check_time_control(read: _Read) -> None:
    destination = read.written["Destination"]
    time, metrics = destination.get("ReplicationTime"), destination.get("Metrics")
    enabled = read.rule.destination.time_control
    if time is not None and metrics is None:
        raise read.refusal(
            "InvalidRequest",
            "Destination.Metrics",
            "is missing beside ReplicationTime; add it, with the same Status",
        )
    if metrics is not None and "EventThreshold" in metrics and not enabled:
        raise read.refusal(
            "InvalidArgument",
            "Destination.Metrics.EventThreshold",
            "cannot be used when ReplicationTime is not specified or Disabled; remove it, or enable"
            " ReplicationTime",
        )
    if time is not None and time["Status"] != metrics["Status"]:
        raise read.refusal(
            "InvalidRequest",
            "Destination.Metrics.Status",
            f"is {metrics['Status']!r}, and that of ReplicationTime {time['Status']!r}; write the same",
        )
    if enabled and "EventThreshold" not in metrics:
        raise read.refusal(
            "InvalidArgument",
            "Destination.Metrics.EventThreshold",
            'is missing beside an enabled ReplicationTime; add {"Minutes": 15}',
        )


def _check_selects_something(read: _Read) -> None:
    """A rule that can match nothing would replicate nothing, in silence."""
    larger, smaller = read.rule.filter.larger_than, read.rule.filter.smaller_than
    if larger is not None and smaller is not None and smaller <= larger + 1:
        raise read.refusal(
            "InvalidRequest",
            "Extensions.ObjectSizeLessThanBytes",
            f"no object has fewer than {smaller} and more than {larger} bytes; give a larger number,"
            " or leave one of the two out",
        )
    names = read.rule.filter.names
    if not admitted_prefixes(read.rule.filter):
        raise read.refusal(
            "InvalidRequest",
            "Extensions.KeyNameConstraint",
            f"no key begins with {read.rule.filter.prefix!r}, as the filter asks, and with what"
            " MatchAnyPrefix and ExcludePrefix leave; make one of them wider",
        )
    if names.suffixes and all(suffix.endswith(names.not_suffixes) for suffix in names.suffixes):
        raise read.refusal(
            "InvalidRequest",
            "Extensions.KeyNameConstraint.ExcludeSuffix",
            "excludes every key that MatchAnySuffix admits; make it narrower",
        )


def _check_transform(read: _Read) -> None:
    strip = read.rule.transform.strip
    for prefix in admitted_prefixes(read.rule.filter):
        if not prefix.startswith(strip):
            keys = f"keys that begin with {prefix!r}" if prefix else "every key"
            raise read.refusal(
                "InvalidRequest",
                "Extensions.KeyTransform.StripPrefix",
                f"{strip!r} cannot be stripped from all of the rule's keys, as it is for {keys}; make the"
                f" filter's prefix, or every MatchAnyPrefix, begin with {strip!r}",
            )


_OF_ONE_RULE: Final[tuple[Callable[[_Read], None], ...]] = (
    _check_tags,
    _check_tag_later,
    _check_owner,
    _check_encryption,
    _check_time_control,
    _check_selects_something,
    _check_transform,
)


# -- several rules


def _check_form(rules: Sequence[_Read]) -> None:
    if len({read.is_v1 for read in rules}) > 1:
        older = next(read for read in rules if read.is_v1)
        raise older.refusal(
            "InvalidRequest",
            "Prefix",
            "this rule has Prefix, the older form, and another one Filter: a document has rules of one form;"
            ' write "Filter": {"Prefix": ...} here too, with Priority and DeleteMarkerReplication',
        )


def _check_ids(rules: Sequence[_Read]) -> None:
    for index, before in _again([read.rule.id for read in rules]):
        raise rules[index].refusal(
            "InvalidRequest",
            "ID",
            f"{rules[index].rule.id!r} is also the ID of Rules[{before}]; give every rule its own",
        )


def _check_source(rules: Sequence[_Read], source_bucket: str | None) -> None:
    for read in rules:
        if read.bucket == source_bucket:
            raise read.refusal(
                "InvalidRequest",
                "Destination.Bucket",
                f"{source_bucket!r} is the source bucket itself; name another bucket",
            )


def _check_accounts(rules: Sequence[_Read]) -> None:
    owners: dict[str, _Read] = {}
    for read in rules:
        account = read.rule.destination.account
        if account is None:
            continue
        first = owners.setdefault(read.bucket, read)
        owner = first.rule.destination.account
        if account != owner:
            raise read.refusal(
                "InvalidArgument",
                "Destination.Account",
                f"{account!r} cannot own {read.bucket!r}, as Rules[{first.index}] says {owner!r};"
                " give the one that does in both",
            )


def _check_priorities(rules: Sequence[_Read]) -> None:
    for index, before in _again([(read.bucket, read.rule.priority) for read in rules]):
        raise rules[index].refusal(
            "InvalidRequest",
            "Priority",
            f"{rules[index].rule.priority} is also the priority of Rules[{before}] for the same"
            f" destination {rules[index].bucket!r}; give each its own, the highest wins",
        )


def _check_prefixes(rules: Sequence[_Read]) -> None:
    """Rules of the older form have no priority, so that nothing would say which of two decides."""
    prefixes: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for read in rules:
        prefixes[read.bucket].append((read.rule.filter.prefix, read.index))
    for bucket, found in prefixes.items():
        # What begins with a prefix stands right behind it.
        for (shorter, one), (longer, other) in pairwise(sorted(found)):
            if longer.startswith(shorter):
                raise rules[other].refusal(
                    "InvalidRequest",
                    "Prefix",
                    f"{longer!r} overlaps with {shorter!r} of Rules[{one}] for the same destination"
                    f" {bucket!r}; write Filter and Priority in both, so that the higher one decides",
                )


def _again(values: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Places of values that stood before, with the place where they first did."""
    first: dict[object, int] = {}
    for index, value in enumerate(values):
        before = first.setdefault(value, index)
        if before != index:
            yield index, before
