"""A bucket's own replication configuration, taken over: as it is, but for what cannot be taken."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from s3replicator.decisions.configuration import InvalidConfiguration

_RULE: Final = re.compile(r"Rules\[(\d+)\]")

#: In the schema of old, and no longer taken by Amazon S3 itself.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ExistingObjectReplication.html
_EXISTING: Final = "ExistingObjectReplication"


@dataclass(frozen=True, slots=True)
class Remark:
    """What was not taken: a field, of the bucket's own configuration, and what to do instead."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """``document`` is None if nothing is left. ``complete``: no rule had to be left out, so that it does what
    the bucket's own does."""

    document: dict[str, Any] | None
    remarks: tuple[Remark, ...]
    complete: bool


def take_over(native: Mapping[str, Any], check: Callable[[Mapping[str, Any]], object]) -> TakenOver:
    """``check`` raises ``InvalidConfiguration`` of a document that cannot be used. A rule that it names is
    left out as a whole: without a part of it, it would select something else."""
    remarks = [
        Remark(f"Rules[{index}].{_EXISTING}", _backfill(rule))
        for index, rule in enumerate(native["Rules"])
        if _EXISTING in rule
    ]
    rules = {
        index: {name: value for name, value in rule.items() if name != _EXISTING}
        for index, rule in enumerate(native["Rules"])
    }
    complete = True
    while rules:
        document = {**native, "Rules": list(rules.values())}
        try:
            check(document)
        except InvalidConfiguration as error:
            named = _RULE.match(error.field)
            # What is about no rule in particular is about all of them.
            left_out = [list(rules)[int(named[1])]] if named else list(rules)
            complete = False
            field = error.field if not named else f"Rules[{left_out[0]}]{error.field[named.end() :]}"
            remarks.append(Remark(field, f"{error.problem}. The rule is left out"))
            for index in left_out:
                del rules[index]
        else:
            return TakenOver(document, tuple(remarks), complete)
    return TakenOver(None, tuple(remarks), complete=False)


def _backfill(rule: Mapping[str, Any]) -> str:
    of_rule = f"rule {rule['ID']!r}: " if rule.get("ID") else ""
    return f"{of_rule}is not taken; what is there already is brought over by `s3rctl backfill start`"
