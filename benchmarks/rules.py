"""How long it takes to find the rules that decide for one object, in the largest documents there can be.

Run it: ``python -m benchmarks.rules``. Every document has 1000 rules, the most that Amazon S3 takes; the time
is the processor's, on average over many objects. The peer is a loop that asks every rule of every object, as
one writes it down at first; it also has to know the object's tags, size and class each time.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

from s3replicator.adapters.configuration_document import parse
from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.rules import Facts, contenders, winner
from s3replicator.decisions.versions import Tag

RULES: Final = 1000
OBJECTS: Final = 500
TEAMS: Final = 250
FACTS: Final = Facts(frozenset({Tag("class", "7"), Tag("stage", "live")}), 4096)


def rule(number: int, bucket: int, asked: Mapping[str, Any], **extensions: Any) -> dict[str, Any]:
    return {
        "ID": f"rule-{number:04d}",
        "Priority": number,
        "Filter": asked,
        "Status": "Enabled",
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::replicas-{bucket}"},
        **({"Extensions": extensions} if extensions else {}),
    }


def tag(value: int) -> dict[str, str]:
    return {"Key": "class", "Value": str(value)}


def mixed(number: int) -> dict[str, Any]:
    """Four destinations; a prefix for each team, some of it by tags or size, and some for all teams."""
    prefix, bucket = f"team-{number % TEAMS}/", number % 4
    match number % 10:
        case 0 | 1 | 2 | 3:
            return rule(number, bucket, {"Prefix": prefix})
        case 4 | 5 | 6:
            return rule(number, bucket, {"And": {"Prefix": prefix, "Tags": [tag(number)]}})
        case 7:
            return rule(number, bucket, {"Tag": tag(number)})
        case 8:
            names = {"MatchAnySuffix": [".csv", ".json"], "ExcludePrefix": [f"{prefix}tmp/"]}
            return rule(number, bucket, {"Prefix": prefix}, KeyNameConstraint=names)
        case _:
            return rule(number, bucket, {"Prefix": prefix}, ObjectSizeGreaterThanBytes=number)


def by_prefix(number: int) -> dict[str, Any]:
    return rule(number, 0, {"Prefix": f"team-{number}/"})


def by_tag(number: int) -> dict[str, Any]:
    """The hardest: every key fits every rule, and none covers another."""
    return rule(number, 0, {"Tag": tag(number)})


def moved(number: int) -> dict[str, Any]:
    """The hardest to read: each stands in the way of the weakest, and none of them collide."""
    if number == 0:
        return rule(0, 0, {"Prefix": "team-"})
    prefix = f"team-{number}/"
    return rule(
        number, 0, {"Prefix": prefix}, KeyTransform={"StripPrefix": prefix, "AddPrefix": f"{prefix}new/"}
    )


def by_suffix(number: int) -> dict[str, Any]:
    """Half of them are put below a prefix, so that only their suffixes keep keys apart."""
    names = {"MatchAnySuffix": [f"{number}.csv", f"{number}.json"]}
    transform = {"AddPrefix": "a/" if number % 2 else ""}
    return rule(number, 0, {}, KeyNameConstraint=names, KeyTransform=transform)


DOCUMENTS: Final[Mapping[str, Callable[[int], dict[str, Any]]]] = {
    "mixed, 4 destinations": mixed,
    "a prefix each": by_prefix,
    "a tag each": by_tag,
    "a prefix each, moved": moved,
    "a suffix each, two places": by_suffix,
}


def document(kind: Callable[[int], dict[str, Any]]) -> str:
    return json.dumps({"Rules": [kind(number) for number in range(RULES)]})


def keys() -> Iterator[str]:
    endings = cycle(("csv", "tmp", "parquet"))
    return (f"team-{number % TEAMS}/2026/part-{number:05d}.{next(endings)}" for number in range(OBJECTS))


def chosen(configuration: Configuration, key: str) -> dict[str, Rule | None]:
    return {bucket: winner(rules, FACTS) for bucket, rules in contenders(configuration, key).items()}


def plainly(configuration: Configuration, key: str) -> dict[str, Rule | None]:
    """The peer."""
    best: dict[str, Rule | None] = {}
    for each in configuration.rules:
        asked, bucket = each.filter, each.destination.bucket
        if not each.enabled or not key.startswith(asked.prefix) or not asked.names.admit(key):
            continue
        if asked.storage_classes and FACTS.storage_class not in asked.storage_classes:
            continue
        if not all(one in FACTS.tags for one in asked.tags):
            continue
        if asked.larger_than is not None and FACTS.size <= asked.larger_than:
            continue
        if asked.smaller_than is not None and FACTS.size >= asked.smaller_than:
            continue
        former = best.get(bucket)
        if former is None or each.priority > former.priority:
            best[bucket] = each
    return best


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of the processor: to read the document, and for one object on average."""

    size: int
    read: float
    ours: float
    plain: float


def average(
    choose: Callable[[Configuration, str], object], configuration: Configuration, objects: Sequence[str]
) -> float:
    """The best of three runs, in milliseconds for one object: others work on this machine, too."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for key in objects:
            choose(configuration, key)
        best = min(best, (time.process_time() - begun) / len(objects))
    return best * 1000


def measure(kind: Callable[[int], dict[str, Any]], objects: int = OBJECTS) -> Times:
    text = document(kind)
    parse(text)  # the schema is compiled once
    begun = time.process_time()
    configuration = parse(text)
    read = (time.process_time() - begun) * 1000
    names = list(islice(keys(), objects))
    for key in names:
        decided = {bucket: rule for bucket, rule in chosen(configuration, key).items() if rule is not None}
        assert decided == plainly(configuration, key)
    ours, plain = (average(choose, configuration, names) for choose in (chosen, plainly))
    return Times(len(text), read, ours, plain)


def main() -> None:
    print(f"{RULES} rules, {OBJECTS} objects, milliseconds of the processor\n")
    print(
        f"  {'document':<28}{'size':>9}{'reading it':>12}{'one object':>12}{'a plain loop':>14}{'ratio':>8}"
    )
    for name, kind in DOCUMENTS.items():
        times = measure(kind)
        print(
            f"  {name:<28}{times.size // 1024:>5} KiB{times.read:>12.0f}{times.ours:>12.3f}"
            f"{times.plain:>14.3f}{times.ours / times.plain:>8.2f}"
        )


if __name__ == "__main__":
    main()
