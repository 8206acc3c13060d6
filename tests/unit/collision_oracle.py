"""Random rule sets, and an oracle that tries many keys on each: do two of them get one key at a destination?

The oracle reads the documents itself and knows nothing of how the validator searches. In the suite some
hundred sets are judged. All of them: ``python -m tests.unit.collision_oracle --sets 20000``.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, islice, product
from random import Random
from typing import Any, Final

from s3replicator.adapters.configuration_document import parse_in_force
from s3replicator.decisions.collisions import Collision, search_collision
from s3replicator.decisions.configuration import InvalidConfiguration

SEED: Final = 20_261_130
LONGEST: Final = 1024
BUCKETS: Final = ("one-bucket", "one-bucket", "one-bucket", "two-bucket")
CLASSES: Final = ("STANDARD", "STANDARD_IA", "GLACIER")
TAGS: Final = tuple({"Key": key, "Value": value} for key in "kl" for value in "12")

#: So many keys made of all letters, and of all parts of the rules, are tried on one set at most.
_WORDS, _COMPOSED = 1400, 2500


# -- random rule sets


def documents(seed: int) -> Iterator[dict[str, Any]]:
    """Without end. Some contradict themselves: who reads them skips those."""
    chance = Random(seed)
    while True:
        yield _document(chance)


def _document(chance: Random) -> dict[str, Any]:
    words = _Words(chance)
    older = chance.random() < 0.05
    count = chance.choice((1, 2, 2, 3, 3, 4, 6))
    priorities = chance.sample(range(20), count)
    return {"Rules": [_rule(chance, words, number, priorities[number], older) for number in range(count)]}


class _Words:
    """Few letters and few words to a set, so that its rules meet."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._letters = chance.choice(("ab", "ab/", "ab/", "a/é", "a\N{GRINNING FACE}", "abcdef/"))
        self._known = [self._new(1, 3) for _ in range(3)]
        if chance.random() < 0.03:
            self._known.append("a" * chance.randrange(1015, 1025))

    def _new(self, shortest: int, longest: int) -> str:
        length = self._chance.randint(shortest, longest)
        return "".join(self._chance.choice(self._letters) for _ in range(length))

    def one(self, shortest: int = 0) -> str:
        return self._chance.choice(self._known) if self._chance.random() < 0.7 else self._new(shortest, 3)

    def some(self, likely: float) -> list[str] | None:
        if self._chance.random() >= likely:
            return None
        return [self.one(1) for _ in range(self._chance.choice((0, 1, 1, 2, 3)))]


def _rule(chance: Random, words: _Words, number: int, priority: int, older: bool) -> dict[str, Any]:
    prefix = words.one() if chance.random() < 0.6 else ""
    tags = chance.sample(TAGS, chance.choice((0, 0, 0, 0, 1, 1, 2))) if not older else []
    extensions = _extensions(chance, words, prefix)
    rule: dict[str, Any] = {
        "ID": f"rule-{number}",
        "Status": "Disabled" if chance.random() < 0.1 else "Enabled",
        "Destination": {"Bucket": f"arn:aws:s3:::{chance.choice(BUCKETS)}"},
        **({"Extensions": extensions} if extensions else {}),
    }
    if older:
        return {**rule, "Prefix": prefix}
    markers = "Disabled" if tags or chance.random() < 0.5 else "Enabled"
    return {
        **rule,
        "Priority": priority,
        "Filter": _filter(chance, prefix, tags),
        "DeleteMarkerReplication": {"Status": markers},
    }


def _filter(chance: Random, prefix: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    if len(tags) == 1 and not prefix and chance.random() < 0.5:
        return {"Tag": tags[0]}
    if tags or chance.random() < 0.2:
        return {"And": {"Prefix": prefix, "Tags": tags}}
    return {"Prefix": prefix} if prefix or chance.random() < 0.5 else {}


def _extensions(chance: Random, words: _Words, prefix: str) -> dict[str, Any]:
    names: dict[str, list[str]] = {}
    if chance.random() < 0.7:
        for member in ("MatchAnySuffix", "MatchAnySubstring", "ExcludePrefix", "ExcludeSuffix"):
            if (parts := words.some(0.4)) is not None:
                names[member] = parts
        if (parts := words.some(0.2)) is not None:
            names["MatchAnyPrefix"] = [prefix + part for part in parts]
    sizes = {}
    if chance.random() < 0.1:
        sizes["ObjectSizeGreaterThanBytes"] = chance.choice((0, 3, 6))
    if chance.random() < 0.1:
        sizes["ObjectSizeLessThanBytes"] = chance.choice((1, 4, 7, 9))
    classes = {}
    if chance.random() < 0.15:
        classes["MatchAnyStorageClass"] = chance.sample(CLASSES, chance.choice((0, 1, 2)))
    transform = {}
    if chance.random() < 0.6:
        transform["StripPrefix"] = prefix[: chance.randint(0, len(prefix))]
    if chance.random() < 0.6:
        transform["AddPrefix"] = words.one()
    return {
        **({"KeyNameConstraint": names} if names else {}),
        **sizes,
        **classes,
        **({"KeyTransform": transform} if transform else {}),
    }


# -- the oracle


@dataclass(frozen=True, slots=True)
class _Rule:
    """One that is in force, as the oracle reads it."""

    id: str
    bucket: str
    priority: int
    prefix: str
    tags: frozenset[tuple[str, str]]
    any_prefix: tuple[str, ...]
    any_suffix: tuple[str, ...]
    any_part: tuple[str, ...]
    no_prefix: tuple[str, ...]
    no_suffix: tuple[str, ...]
    above: int
    below: float
    classes: tuple[str, ...]
    strip: str
    add: str

    def takes_key(self, key: str) -> bool:
        return (
            key.startswith(self.prefix)
            and (not self.any_prefix or key.startswith(self.any_prefix))
            and (not self.any_suffix or key.endswith(self.any_suffix))
            and (not self.any_part or any(part in key for part in self.any_part))
            and not key.startswith(self.no_prefix)
            and not key.endswith(self.no_suffix)
        )

    def takes_object(self, tags: frozenset[tuple[str, str]], size: int, storage_class: str) -> bool:
        return (
            self.tags <= tags
            and self.above < size < self.below
            and (not self.classes or storage_class in self.classes)
        )

    def replica(self, key: str) -> str | None:
        """None if S3 would not take it, or would not take the source's key."""
        replica = self.add + (key[len(self.strip) :] if key.startswith(self.strip) else key)
        return replica if _exists(key) and _exists(replica) else None


def _exists(key: str) -> bool:
    return 0 < len(key.encode()) <= LONGEST


def _read(rule: dict[str, Any]) -> _Rule:
    asked = rule.get("Filter", {})
    both = asked.get("And", asked)
    tags = [*both.get("Tags", []), *([asked["Tag"]] if "Tag" in asked else [])]
    more = rule.get("Extensions", {})
    names, transform = more.get("KeyNameConstraint", {}), more.get("KeyTransform", {})
    return _Rule(
        rule["ID"],
        rule["Destination"]["Bucket"],
        rule.get("Priority", 0),
        both.get("Prefix", rule.get("Prefix", "")),
        frozenset((tag["Key"], tag["Value"]) for tag in tags),
        tuple(names.get("MatchAnyPrefix", ())),
        tuple(names.get("MatchAnySuffix", ())),
        tuple(names.get("MatchAnySubstring", ())),
        tuple(names.get("ExcludePrefix", ())),
        tuple(names.get("ExcludeSuffix", ())),
        more.get("ObjectSizeGreaterThanBytes", -1),
        more.get("ObjectSizeLessThanBytes", float("inf")),
        tuple(more.get("MatchAnyStorageClass", ())),
        transform.get("StripPrefix", ""),
        transform.get("AddPrefix", ""),
    )


class Oracle:
    """Says of keys where their replicas may lie: by every rule that decides for some object of that name."""

    def __init__(self, document: dict[str, Any]) -> None:
        enabled = [_read(rule) for rule in document["Rules"] if rule["Status"] == "Enabled"]
        self.rules = sorted(enabled, key=lambda rule: -rule.priority)
        self._deciding: dict[tuple[str, ...], list[_Rule]] = {}

    def deciding(self, key: str) -> list[_Rule]:
        taking = [rule for rule in self.rules if rule.takes_key(key)]
        names = tuple(rule.id for rule in taking)
        if names not in self._deciding:
            self._deciding[names] = [
                rule
                for bucket in dict.fromkeys(rule.bucket for rule in taking)
                for rule in self._winners([rule for rule in taking if rule.bucket == bucket])
            ]
        return self._deciding[names]

    def _winners(self, taking: list[_Rule]) -> list[_Rule]:
        """The strongest come first."""
        tag_sets = {
            frozenset(chain.from_iterable(rule.tags for rule in some))
            for count in range(min(len(taking), 3) + 1)
            for some in combinations(taking, count)
        }
        edges = {0, *(rule.above for rule in taking), *(rule.below for rule in taking)}
        sizes = {int(edge) + more for edge in edges if edge != float("inf") for more in (-1, 0, 1)}
        found = {
            next((rule.id for rule in taking if rule.takes_object(tags, size, storage_class)), None)
            for tags, size, storage_class in product(tag_sets, sizes, CLASSES)
            if size >= 0
        }
        return [rule for rule in taking if rule.id in found]

    def places(self, key: str) -> Iterator[tuple[str, str]]:
        for rule in self.deciding(key):
            replica = rule.replica(key)
            if replica is not None:
                yield rule.bucket, replica

    def meeting(self) -> tuple[str, str, str] | None:
        """Two keys, and the one that both get."""
        first: dict[tuple[str, str], str] = {}
        for key in chain(self._keys(), self._keys_back()):
            for place in self.places(key):
                other = first.setdefault(place, key)
                if other != key:
                    return other, key, place[1]
        return None

    def confirms(self, found: Collision) -> bool:
        """Whether these two keys do meet."""
        pairs = ((found.rule.id, found.key), (found.other_rule.id, found.other_key))
        places = [
            (rule.bucket, rule.replica(key))
            for name, key in pairs
            for rule in self.deciding(key)
            if rule.id == name
        ]
        return (
            found.key != found.other_key
            and len(places) == 2
            and len(set(places)) == 1
            and places[0][1] == found.replica
        )

    # -- which keys are tried

    def _keys(self) -> Iterator[str]:
        letters = self._letters()
        for length in range(1, 20):
            if len(letters) ** length > _WORDS:
                break
            yield from map("".join, product(letters, repeat=length))
        yield from islice(self._composed(letters[0]), _COMPOSED)

    def _letters(self) -> list[str]:
        """One that no rule names, and those that they name."""
        named = Counter("".join(part for rule in self.rules for part in _parts(rule)))
        return ["z", *(letter for letter, _ in named.most_common(3))]

    def _composed(self, neutral: str) -> Iterator[str]:
        heads = {""} | {part for rule in self.rules for part in _heads(rule)}
        middles = {"", neutral} | {part for rule in self.rules for part in rule.any_part}
        tails = {""} | {part for rule in self.rules for part in (*rule.any_suffix, *rule.no_suffix)}
        listed = (sorted(heads), ["", neutral], sorted(middles), ["", neutral], sorted(tails))
        for pieces in product(*listed):
            yield "".join(pieces)

    def _keys_back(self) -> Iterator[str]:
        """The keys that another rule would put where one of the tried keys gets."""
        for key in list(self._keys()):
            for bucket, replica in list(self.places(key)):
                for rule in self.rules:
                    if rule.bucket == bucket and replica.startswith(rule.add):
                        yield rule.strip + replica[len(rule.add) :]


def _heads(rule: _Rule) -> Iterable[str]:
    return (rule.prefix, rule.strip, rule.add, *rule.any_prefix, *rule.no_prefix)


def _parts(rule: _Rule) -> Iterable[str]:
    return (*_heads(rule), *rule.any_suffix, *rule.any_part, *rule.no_suffix)


# -- both, on many sets


@dataclass(slots=True)
class Verdicts:
    """``unreported``: sets in which the oracle found two keys that meet, and the validator none.
    ``unconfirmed``: those in which it was the other way round, and the oracle denies what was shown.
    ``unfinished``: those that the validator gave up on."""

    sets: int = 0
    meeting: int = 0
    beyond: int = 0
    unreported: list[dict[str, Any]] = field(default_factory=list)
    unconfirmed: list[dict[str, Any]] = field(default_factory=list)
    unfinished: int = 0
    seconds: float = 0.0


def judge(sets: int, seed: int = SEED) -> Verdicts:
    verdicts = Verdicts()
    for document in documents(seed):
        try:
            configuration = parse_in_force(json.dumps(document))
        except InvalidConfiguration:
            continue
        begun = time.process_time()
        search = search_collision(configuration)
        verdicts.seconds += time.process_time() - begun
        oracle = Oracle(document)
        found = oracle.meeting()
        verdicts.sets += 1
        verdicts.unfinished += not search.complete
        if search.collision is not None:
            verdicts.meeting += 1
            verdicts.beyond += found is None
            if not oracle.confirms(search.collision):
                verdicts.unconfirmed.append(document)
        elif found is not None:
            verdicts.unreported.append({"keys": found, **document})
        if verdicts.sets == sets:
            return verdicts
    raise AssertionError


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.unit.collision_oracle", description=__doc__)
    parser.add_argument("--sets", type=int, default=20_000, help="so many rule sets (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args(arguments)
    found = judge(given.sets, given.seed)
    print(f"{found.sets} rule sets, {found.seconds:.1f} s of the validator")
    print(f"{found.meeting:>7} with keys that meet, each shown and confirmed unless said below")
    print(f"{found.beyond:>7} of them with a pair that the oracle's own keys did not have")
    print(f"{len(found.unreported):>7} with keys that meet, and not reported")
    print(f"{len(found.unconfirmed):>7} reported, and not confirmed")
    print(f"{found.unfinished:>7} given up as too large")
    for each in (*found.unreported, *found.unconfirmed)[:5]:
        print(json.dumps(each, ensure_ascii=False))
    return 1 if found.unreported or found.unconfirmed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
