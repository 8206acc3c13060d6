"""Whether a job can match anything at all: a slip in its filters must not look like success.

What contradicts itself is refused where a job begins, by the operator tool and by the functions alike. A job
that has begun is read as it was asked for, whatever release has begun it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from s3replicator.decisions.collisions import STORAGE_CLASSES
from s3replicator.decisions.configuration import MAX_KEY, Configuration, Filter, KeyNames
from s3replicator.decisions.job import Filters, InvalidJob, Job, JobKind, parse_job
from s3replicator.decisions.key_ranges import admitted_prefixes

#: The day on which Amazon S3 opened, in seconds since the epoch: nothing in it is older.
_FIRST_DAY: Final = datetime(2006, 3, 14, tzinfo=UTC).timestamp()


def new_job(job_id: str, document: Mapping[str, Any]) -> Job:
    """A job that is to begin, as ``parse_job`` reads it. Raises ``InvalidJob`` also for one that can match
    nothing."""
    job = parse_job(job_id, document)
    problems = list(contradictions(job))
    if problems:
        raise InvalidJob(problems)
    return job


def contradictions(job: Job) -> Iterator[str]:
    """Why no version whatever can be selected."""
    yield from _of_versions(job.filters)
    yield from _of_keys(job)


def _of_versions(filters: Filters) -> Iterator[str]:
    larger, smaller = filters.larger_than, filters.smaller_than
    if smaller == 0:
        yield "ObjectSizeLessThanBytes is 0, and no object is smaller than that; give 1 or more"
    elif larger is not None and smaller is not None and smaller <= larger + 1:
        yield (
            f"ObjectSizeLessThanBytes is {smaller} and ObjectSizeGreaterThanBytes {larger}, and no size is"
            " between them; give a larger and a smaller number, or leave one of them out"
        )
    after, before = filters.created_after, filters.created_before
    if before is not None and before <= _FIRST_DAY:
        first = _day(_FIRST_DAY)
        yield f"CreatedBefore is {_day(before)}, and S3 has nothing older than {first}; give a later time"
    elif after is not None and before is not None and before <= after:
        yield (
            f"CreatedBefore is {_day(before)} and CreatedAfter {_day(after)}, and no time is between them;"
            " give the later one as CreatedBefore"
        )
    for name in sorted(filters.storage_classes.difference(STORAGE_CLASSES)):
        known = ", ".join(sorted(STORAGE_CLASSES))
        meant = f"write {name.upper()}" if name.upper() in STORAGE_CLASSES else f"there are {known}"
        yield f"MatchAnyStorageClass names {name!r}, which is no storage class of a bucket; {meant}"


def _of_keys(job: Job) -> Iterator[str]:
    filters = job.filters
    members = {
        "Prefix": (job.prefix,),
        "MatchAnyPrefix": filters.prefixes,
        "MatchAnySuffix": filters.suffixes,
        "MatchAnySubstring": filters.substrings,
    }
    for name, parts in members.items():
        longest = max((len(part.encode()) for part in parts), default=0)
        if longest > MAX_KEY:
            yield f"{name} has {longest} bytes, and no key in S3 has more than {MAX_KEY}; shorten it"
    if not admitted_prefixes(_keys_of(job)):
        yield (
            f"Prefix is {job.prefix!r}, and none of MatchAnyPrefix begins so"
            f" ({', '.join(map(repr, filters.prefixes))}); give prefixes that can both hold"
        )


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


# -- beside the rules


def beyond_rules(job: Job, configuration: Configuration) -> str | None:
    """Why the rules give a backfill nothing to do, whatever there is at the source; None if they may. A
    reconcile also puts right what former rules have left."""
    if job.kind is not JobKind.BACKFILL:
        return None
    if not configuration.ranked:
        return "no rule is enabled, so that nothing would be replicated: see `s3rctl config put`"
    asked = _keys_of(job)
    if any(_meet(asked, rule.filter) for rule in configuration.ranked):
        return None
    told = ", ".join(f"{rule.id!r}" for rule in configuration.ranked[:5])
    more = f" and {len(configuration.ranked) - 5} others" if len(configuration.ranked) > 5 else ""
    return (
        f"no enabled rule selects anything that these filters do ({told}{more}), so that nothing would be"
        " replicated: widen the filters, or see `s3rctl config show`"
    )


def _keys_of(job: Job) -> Filter:
    """What the job selects, as a rule would."""
    filters = job.filters
    return Filter(
        prefix=job.prefix,
        names=KeyNames(prefixes=filters.prefixes, suffixes=filters.suffixes, substrings=filters.substrings),
        larger_than=filters.larger_than,
        smaller_than=filters.smaller_than,
        storage_classes=filters.storage_classes,
    )


def _meet(asked: Filter, rule: Filter) -> bool:
    """False if certainly no object fits both. Delete markers fit no filter by size or class."""
    return (
        _prefixes_meet(asked, rule)
        and _suffixes_meet(asked.names, rule.names)
        and _sizes_meet(asked, rule)
        and not (
            asked.storage_classes
            and rule.storage_classes
            and asked.storage_classes.isdisjoint(rule.storage_classes)
        )
    )


def _prefixes_meet(asked: Filter, rule: Filter) -> bool:
    pairs = product(admitted_prefixes(asked), admitted_prefixes(rule))
    return any(
        longer.startswith(shorter) and not longer.startswith(rule.names.not_prefixes)
        for one, other in pairs
        for shorter, longer in [sorted((one, other), key=len)]
    )


def _suffixes_meet(asked: KeyNames, rule: KeyNames) -> bool:
    pairs = product(asked.suffixes or ("",), rule.suffixes or ("",))
    return any(
        longer.endswith(shorter) and not longer.endswith(rule.not_suffixes)
        for one, other in pairs
        for shorter, longer in [sorted((one, other), key=len)]
    )


def _sizes_meet(asked: Filter, rule: Filter) -> bool:
    largest = max(each.larger_than if each.larger_than is not None else -1 for each in (asked, rule))
    bounds = [each.smaller_than for each in (asked, rule) if each.smaller_than is not None]
    return not bounds or largest + 1 < min(bounds)
