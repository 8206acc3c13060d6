"""What Amazon S3 asks of a replication configuration beyond the shapes of its API, each with the code it
answers with, and how a document is made to meet it. Written down apart from what checks it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from tests.unit.replication_documents import ACCOUNT, ARN, KMS_KEY, OTHER_ACCOUNT, OTHER_ARN, SOURCE

Document = dict[str, Any]

MALFORMED, ARGUMENT, REQUEST = "MalformedXML", "InvalidArgument", "InvalidRequest"
CRITERIA, DESTINATION = "SourceSelectionCriteria", "Destination"
STORED = ("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING")

#: What the shapes leave open, by the name of the member: what Amazon S3 takes, and what it does not.
VALUES: Final[dict[str, list[Any]]] = {
    "Role": ["arn:aws:iam::111122223333:role/replication"],
    "ID": ["", "one", "two", "three", "four", "i" * 255, "i" * 256, "règle"],
    "Priority": [0, 1, 2, 3, 2**31 - 1, -1, 2**31],
    "Prefix": ["", "a/", "a/b/", "c/", "p" * 1024, "p" * 1025],
    "Key": ["colour", "size", "k" * 128, "k" * 129],
    "Value": ["", "red", "v" * 256, "v" * 257],
    "Bucket": [ARN, OTHER_ARN, "arn:aws-cn:s3:::third-bucket", f"arn:aws:s3:::{SOURCE}", "replica-bucket"],
    "Account": [ACCOUNT, OTHER_ACCOUNT, "", "42"],
    "ReplicaKmsKeyID": [KMS_KEY, f"{KMS_KEY[:40]}alias/replicas", "alias/replicas"],
    "Minutes": [15, 10],
}


@dataclass(frozen=True)
class Demand:
    """``broken`` tells whether a document does not meet it, ``mend`` makes it do so."""

    name: str
    code: str
    broken: Callable[[Document], bool]
    mend: Callable[[Document], object]


def of_each(
    name: str, code: str, broken: Callable[[Document], bool], mend: Callable[[Document], object]
) -> Demand:
    """A demand on each rule by itself."""

    def mend_all(document: Document) -> None:
        for rule in document["Rules"]:
            if broken(rule):
                mend(rule)

    return Demand(name, code, lambda document: any(map(broken, document["Rules"])), mend_all)


def value(name: str, code: str, path: str, allowed: Callable[[Any], bool]) -> Demand:
    """A demand on a value of each rule, where there is one; the first of VALUES meets it."""
    *above, last = path.split(".")

    def broken(rule: Document) -> bool:
        inside = within(rule, *above)
        return last in inside and not allowed(inside[last])

    def mend(rule: Document) -> None:
        within(rule, *above)[last] = VALUES.get(last, ["STANDARD"])[0]

    return of_each(name, code, broken, mend)


def within(rule: Document, *path: str) -> Document:
    for step in path:
        rule = rule.get(step, {})
    return rule


def tags(rule: Document) -> list[Document]:
    selected = rule.get("Filter", {})
    return [*within(selected, "And").get("Tags", []), *(selected[name] for name in selected if name == "Tag")]


def is_v1(rule: Document) -> bool:
    return "Filter" not in rule


def pairs(document: Document) -> Iterator[tuple[Document, Document]]:
    """Of rules for one bucket."""
    for one, other in combinations(document["Rules"], 2):
        if one["Destination"]["Bucket"] == other["Destination"]["Bucket"]:
            yield one, other


def overlap(one: Document, other: Document) -> bool:
    a, b = one.get("Prefix", ""), other.get("Prefix", "")
    return is_v1(one) and is_v1(other) and (a.startswith(b) or b.startswith(a))


def asks_for_kms(rule: Document) -> bool:
    return "SseKmsEncryptedObjects" in rule.get("SourceSelectionCriteria", {})


def key_of(rule: Document) -> Any:
    return within(rule, "Destination", "EncryptionConfiguration").get("ReplicaKmsKeyID")


def time_of(rule: Document) -> Any:
    return rule["Destination"].get("ReplicationTime")


def metrics_of(rule: Document) -> Any:
    return rule["Destination"].get("Metrics")


def is_timed(rule: Document) -> bool:
    return (time_of(rule) or {}).get("Status") == "Enabled"


def numbered(member: str, make: Callable[[int], Any]) -> Callable[[Document], None]:
    def mend(document: Document) -> None:
        for number, rule in enumerate(document["Rules"]):
            if member in rule:
                rule[member] = make(number)

    return mend


def to_v2(document: Document) -> None:
    for number, rule in enumerate(document["Rules"]):
        rule.pop("Prefix", None)
        rule.setdefault("Filter", {})
        rule.setdefault("Priority", number)
        rule.setdefault("DeleteMarkerReplication", {"Status": "Disabled"})


def one_owner(document: Document) -> None:
    for rule in document["Rules"]:
        if "Account" in rule["Destination"]:
            rule["Destination"]["Account"] = ACCOUNT


def with_filter(member: str, made: Any) -> Demand:
    return of_each(
        f"{member} with Filter",
        REQUEST,
        lambda rule: not is_v1(rule) and member not in rule,
        lambda rule: rule.update({member: deepcopy(made)}),
    )


def not_with_prefix(member: str) -> Demand:
    return of_each(
        f"no {member} with Prefix",
        REQUEST,
        lambda rule: is_v1(rule) and member in rule,
        lambda rule: rule.pop(member),
    )


DEMANDS: Final = [
    Demand(
        "a rule",
        MALFORMED,
        lambda d: not d["Rules"],
        lambda d: d["Rules"].append(
            {
                "Status": "Enabled",
                "Prefix": "",
                DESTINATION: {"Bucket": ARN},
            }
        ),
    ),
    of_each(
        *("no existing objects", MALFORMED, lambda rule: "ExistingObjectReplication" in rule),
        lambda rule: rule.pop("ExistingObjectReplication"),
    ),
    # the two forms
    of_each(
        *("Filter or Prefix", MALFORMED, lambda rule: is_v1(rule) == ("Prefix" not in rule)),
        lambda rule: rule.update(Prefix="a/") if is_v1(rule) else rule.pop("Prefix"),
    ),
    Demand("one form", REQUEST, lambda d: len({is_v1(rule) for rule in d["Rules"]}) > 1, to_v2),
    with_filter("Priority", 7),
    with_filter("DeleteMarkerReplication", {"Status": "Disabled"}),
    not_with_prefix("Priority"),
    not_with_prefix("DeleteMarkerReplication"),
    of_each(
        "no ReplicaModifications with Prefix",
        REQUEST,
        lambda rule: is_v1(rule) and "ReplicaModifications" in rule.get(CRITERIA, {}),
        lambda rule: rule[CRITERIA].pop("ReplicaModifications"),
    ),
    # ID and Priority
    value("an ID of 255 characters", ARGUMENT, "ID", lambda name: len(name) <= 255),
    value("an ID in ASCII", ARGUMENT, "ID", str.isascii),
    Demand(
        "an ID of its own",
        REQUEST,
        lambda d: any(
            one.get("ID") and one.get("ID") == other.get("ID") for one, other in combinations(d["Rules"], 2)
        ),
        numbered("ID", lambda number: f"rule {number}"),
    ),
    value("a Priority", MALFORMED, "Priority", lambda number: 0 <= number < 2**31),
    Demand(
        "a Priority of its own",
        REQUEST,
        lambda d: any(
            "Priority" in one and one["Priority"] == other.get("Priority") for one, other in pairs(d)
        ),
        numbered("Priority", lambda number: number),
    ),
    Demand(
        "a Prefix of its own",
        REQUEST,
        lambda d: any(overlap(one, other) for one, other in pairs(d)),
        numbered("Prefix", lambda number: f"{number}/"),
    ),
    # which objects
    *(
        value(f"{path} of 1024 characters", ARGUMENT, path, lambda prefix: len(prefix) <= 1024)
        for path in ("Prefix", "Filter.Prefix", "Filter.And.Prefix")
    ),
    of_each(
        *("one of Prefix, Tag and And", MALFORMED, lambda rule: len(rule.get("Filter", {})) > 1),
        lambda rule: rule["Filter"].popitem(),
    ),
    of_each(
        "something to combine",
        MALFORMED,
        lambda rule: (
            "And" in rule.get("Filter", {})
            and not rule["Filter"]["And"].get("Tags")
            and "Prefix" not in rule["Filter"]["And"]
        ),
        lambda rule: rule["Filter"]["And"].update(Prefix="a/"),
    ),
    of_each(
        "short tags",
        ARGUMENT,
        lambda rule: any(len(tag["Key"]) > 128 or len(tag["Value"]) > 256 for tag in tags(rule)),
        lambda rule: [tag.update(Key=tag["Key"][:128], Value=tag["Value"][:256]) for tag in tags(rule)],
    ),
    of_each(
        *("a tag key once", REQUEST, lambda rule: len({t["Key"] for t in tags(rule)}) < len(tags(rule))),
        lambda rule: [tag.update(Key=f"k{number}") for number, tag in enumerate(tags(rule))],
    ),
    # delete markers
    of_each(
        "a status of delete markers",
        MALFORMED,
        lambda rule: "Status" not in rule.get("DeleteMarkerReplication", {"Status": ""}),
        lambda rule: rule["DeleteMarkerReplication"].update(Status="Disabled"),
    ),
    of_each(
        "no delete markers with tags",
        REQUEST,
        lambda rule: bool(tags(rule)) and within(rule, "DeleteMarkerReplication").get("Status") == "Enabled",
        lambda rule: rule["DeleteMarkerReplication"].update(Status="Disabled"),
    ),
    # encryption
    of_each(
        "criteria",
        *(REQUEST, lambda rule: rule.get(CRITERIA) == {}, lambda rule: rule.pop(CRITERIA)),
    ),
    of_each(
        *("a key to encrypt with", REQUEST, lambda rule: asks_for_kms(rule) and key_of(rule) is None),
        lambda rule: rule[DESTINATION].update(EncryptionConfiguration={"ReplicaKmsKeyID": KMS_KEY}),
    ),
    of_each(
        "a reason to encrypt",
        REQUEST,
        lambda rule: (
            "EncryptionConfiguration" in rule[DESTINATION]
            and (not asks_for_kms(rule) or key_of(rule) is None)
        ),
        lambda rule: rule[DESTINATION].pop("EncryptionConfiguration"),
    ),
    value(
        "the ARN of a key",
        *(
            ARGUMENT,
            "Destination.EncryptionConfiguration.ReplicaKmsKeyID",
            lambda key: key.startswith("arn:"),
        ),
    ),
    # the bucket and its owner
    value("the ARN of a bucket", ARGUMENT, "Destination.Bucket", lambda bucket: bucket.startswith("arn:")),
    value("another bucket", REQUEST, "Destination.Bucket", lambda bucket: not bucket.endswith(SOURCE)),
    value(
        "a storage class of general purpose buckets",
        *(MALFORMED, "Destination.StorageClass"),
        lambda name: name in (*STORED, "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"),
    ),
    value("an Account", ARGUMENT, "Destination.Account", lambda account: len(account) == 12),
    Demand(
        "one Account of a bucket",
        ARGUMENT,
        lambda d: any(
            len({rule[DESTINATION].get("Account") for rule in pair} - {None}) > 1 for pair in pairs(d)
        ),
        one_owner,
    ),
    of_each(
        "an Account that owns",
        REQUEST,
        lambda rule: "AccessControlTranslation" in rule[DESTINATION] and "Account" not in rule[DESTINATION],
        lambda rule: rule[DESTINATION].pop("AccessControlTranslation"),
    ),
    # time and metrics
    of_each(
        *(
            "a time of 15 minutes",
            ARGUMENT,
            lambda rule: (time_of(rule) or {"Time": {"Minutes": 15}})["Time"] != {"Minutes": 15},
        ),
        lambda rule: rule[DESTINATION]["ReplicationTime"].update(Time={"Minutes": 15}),
    ),
    of_each(
        "a threshold of 15 minutes",
        ARGUMENT,
        lambda rule: (metrics_of(rule) or {}).get("EventThreshold", {"Minutes": 15}) != {"Minutes": 15},
        lambda rule: rule[DESTINATION]["Metrics"].update(EventThreshold={"Minutes": 15}),
    ),
    of_each(
        *(
            "Metrics beside ReplicationTime",
            REQUEST,
            lambda rule: bool(time_of(rule)) and not metrics_of(rule),
        ),
        lambda rule: rule[DESTINATION].update(
            Metrics={"Status": rule[DESTINATION]["ReplicationTime"]["Status"]}
        ),
    ),
    of_each(
        "the same Status",
        REQUEST,
        lambda rule: (
            bool(time_of(rule) and metrics_of(rule))
            and rule[DESTINATION]["ReplicationTime"]["Status"] != rule[DESTINATION]["Metrics"]["Status"]
        ),
        lambda rule: rule[DESTINATION]["Metrics"].update(
            Status=rule[DESTINATION]["ReplicationTime"]["Status"]
        ),
    ),
    of_each(
        "a threshold where there is a time",
        ARGUMENT,
        lambda rule: (
            bool(metrics_of(rule)) and ("EventThreshold" in rule[DESTINATION]["Metrics"]) != is_timed(rule)
        ),
        lambda rule: rule[DESTINATION].update(
            Metrics={
                "Status": rule[DESTINATION]["Metrics"]["Status"],
                **({"EventThreshold": {"Minutes": 15}} if is_timed(rule) else {}),
            }
        ),
    ),
]
