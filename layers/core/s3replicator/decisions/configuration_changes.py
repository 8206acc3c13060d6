"""What one configuration says otherwise than another: of its rules, and of a key."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.rule_fields import Value, fields_of, treatment_of
from s3replicator.decisions.rules import Facts, contenders, winner

# -- of rules


@dataclass(frozen=True, slots=True)
class FieldChange:
    """``before`` and ``after``: None where the document says nothing."""

    field: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """``changed``: by ID, what is said otherwise; rules are known by their IDs."""

    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    changed: Mapping[str, tuple[FieldChange, ...]]

    @property
    def none(self) -> bool:
        return not (self.added or self.removed or self.changed)


def rule_changes(before: Configuration, after: Configuration) -> RuleChanges:
    old, new = _by_id(before), _by_id(after)
    both = {
        name: tuple(_differences(fields_of(old[name]), fields_of(new[name]))) for name in old if name in new
    }
    return RuleChanges(
        added=tuple(rule for name, rule in new.items() if name not in old),
        removed=tuple(rule for name, rule in old.items() if name not in new),
        changed={name: changes for name, changes in both.items() if changes},
    )


def _by_id(configuration: Configuration) -> dict[str, Rule]:
    return {rule.id: rule for rule in configuration.rules}


def _differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[FieldChange]:
    return (FieldChange(name, before[name], after[name]) for name in before if before[name] != after[name])


# -- of a key

SELECTED: Final = "newly selected"
DROPPED: Final = "no longer selected"
ANOTHER_RULE: Final = "another rule"
ANOTHER_KEY: Final = "another replica key"


@dataclass(frozen=True, slots=True)
class Change:
    """What is said otherwise of an object at a destination: one of the above, or a field. ``before`` and
    ``after`` are IDs of rules, or values of the field."""

    bucket: str
    what: str
    before: Value = None
    after: Value = None


@dataclass(frozen=True, slots=True)
class Example:
    """A key, and those of its replica, before and after; None where there is none."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What two configurations say of one key: by bucket, the rules that could decide. Only of buckets of
    which they may say something else."""

    key: str
    before: Mapping[str, tuple[Rule, ...]]
    after: Mapping[str, tuple[Rule, ...]]

    @classmethod
    def of(cls, before: Configuration, after: Configuration, key: str) -> "Difference":
        old, new = contenders(before, key), contenders(after, key)
        buckets = [bucket for bucket in {**old, **new} if old.get(bucket) != new.get(bucket)]
        return cls(
            key,
            {bucket: old.get(bucket, ()) for bucket in buckets},
            {bucket: new.get(bucket, ()) for bucket in buckets},
        )

    @property
    def asking(self) -> dict[str, tuple[Rule, ...]]:
        """The rules that may have something to ask of the object."""
        return {bucket: self.before[bucket] + self.after[bucket] for bucket in self.before}

    def changes(self, facts: Facts) -> list[tuple[Change, Example]]:
        return [
            change
            for bucket in self.before
            for change in self._at(
                bucket, winner(self.before[bucket], facts), winner(self.after[bucket], facts)
            )
        ]

    def _at(self, bucket: str, before: Rule | None, after: Rule | None) -> Iterator[tuple[Change, Example]]:
        example = Example(
            self.key,
            before.transform.of(self.key) if before else None,
            after.transform.of(self.key) if after else None,
        )
        if before is None or after is None:
            if after is not None:
                yield Change(bucket, SELECTED, after=after.id), example
            if before is not None:
                yield Change(bucket, DROPPED, before=before.id), example
            return
        if before.id != after.id:
            yield Change(bucket, ANOTHER_RULE, before.id, after.id), example
        if example.before != example.after:
            yield Change(bucket, ANOTHER_KEY), example
        for each in _differences(treatment_of(before), treatment_of(after)):
            yield Change(bucket, each.field, each.before, each.after), example


#: Of each change, this many keys are kept.
_EXAMPLES: Final = 3


@dataclass(slots=True)
class Tally:
    """What is said otherwise, counted. ``compared`` keys were looked at, of which ``changed`` are concerned;
    ``missing`` could not be judged, since there is no such object."""

    compared: int = 0
    changed: int = 0
    missing: int = 0
    counts: dict[Change, int] = field(default_factory=dict)
    examples: dict[Change, list[Example]] = field(default_factory=dict)

    def add(self, changes: Iterable[tuple[Change, Example]]) -> None:
        """What is said of one key."""
        concerned = False
        for change, example in changes:
            concerned = True
            self.counts[change] = self.counts.get(change, 0) + 1
            kept = self.examples.setdefault(change, [])
            if len(kept) < _EXAMPLES:
                kept.append(example)
        self.compared += 1
        self.changed += concerned
