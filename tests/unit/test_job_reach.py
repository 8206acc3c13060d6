"""A job that can match nothing says so before it begins."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.configuration import Configuration, Destination, Filter, KeyNames, Rule
from s3replicator.decisions.job import Filters, InvalidJob, Job, JobKind, job_document, parse_job
from s3replicator.decisions.job_reach import beyond_rules, new_job
from s3replicator.decisions.rules import Facts, matches
from s3replicator.decisions.versions import Kind, ListedVersion

NOW = 1_800_000_000.0
JOB = Job("id", JobKind.BACKFILL)


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (
            {"MatchAnyStorageClass": ["standard"]},
            "'standard', which is no storage class of a bucket; write STANDARD",
        ),
        (
            {"MatchAnyStorageClass": ["STANDARD", "COLD"]},
            "'COLD', which is no storage class of a bucket; there are",
        ),
        ({"ObjectSizeLessThanBytes": 0}, "ObjectSizeLessThanBytes is 0"),
        ({"ObjectSizeGreaterThanBytes": 10, "ObjectSizeLessThanBytes": 5}, "no size is between them"),
        ({"ObjectSizeGreaterThanBytes": 10, "ObjectSizeLessThanBytes": 11}, "no size is between them"),
        ({"CreatedAfter": "2026-02-01", "CreatedBefore": "2026-01-01"}, "no time is between them"),
        ({"CreatedAfter": "2026-02-01", "CreatedBefore": "2026-02-01"}, "no time is between them"),
        ({"CreatedBefore": "1999-01-01"}, "nothing older than 2006-03-14"),
        ({"Prefix": "x" * 1025}, "Prefix has 1025 bytes"),
        ({"MatchAnySuffix": ["\u00e9" * 513]}, "MatchAnySuffix has 1026 bytes"),
        ({"MatchAnySubstring": ["x" * 1025]}, "MatchAnySubstring has 1025 bytes"),
        ({"Prefix": "a/", "MatchAnyPrefix": ["b/"]}, "Prefix is 'a/', and none of MatchAnyPrefix begins so"),
    ],
)
@pytest.mark.parametrize("kind", JobKind)
def test_filters_that_contradict_themselves_are_refused_where_a_job_begins(
    kind: JobKind, member: dict[str, Any], problem: str
) -> None:
    document = {"Kind": kind, **member}
    with pytest.raises(InvalidJob, match=problem):
        new_job("id", document)
    # One that was begun by a former release goes on.
    assert parse_job("id", document).kind is kind


@pytest.mark.parametrize(
    "member",
    [
        {},
        {"MatchAnyStorageClass": ["STANDARD", "GLACIER_IR"]},
        {"ObjectSizeGreaterThanBytes": 10, "ObjectSizeLessThanBytes": 12},
        {"ObjectSizeLessThanBytes": 1},
        {"CreatedAfter": "2026-01-01", "CreatedBefore": "2026-01-01T00:00:01"},
        {"Prefix": "a/b", "MatchAnyPrefix": ["a/", "x"]},
        {"MatchAnySuffix": [".csv"], "MatchAnySubstring": [".parquet"]},
    ],
)
def test_filters_that_can_hold_are_taken(member: dict[str, Any]) -> None:
    document = {"Kind": "backfill", **member}
    assert new_job("id", document) == parse_job("id", document)


def rule(**filter_: Any) -> Rule:
    names = KeyNames(**{name: filter_.pop(name) for name in list(filter_) if name in KeyNames.__slots__})
    return Rule("r", 1, True, Filter(names=names, **filter_), True, Destination("replicas"))


def backfill(prefix: str = "", **filters: Any) -> Job:
    return replace(JOB, prefix=prefix, filters=Filters(**filters))


@pytest.mark.parametrize(
    ("job", "selecting"),
    [
        (backfill("q/"), rule(prefix="p/")),
        (backfill("p/x"), rule(prefix="p/", not_prefixes=("p/x",))),
        (backfill(prefixes=("q/", "r/")), rule(prefix="p/")),
        (backfill("q/"), rule(prefixes=("p/", "r/"))),
        (backfill(suffixes=(".csv",)), rule(suffixes=(".parquet",))),
        (backfill(suffixes=(".csv",)), rule(not_suffixes=("csv",))),
        (backfill(larger_than=10), rule(smaller_than=11)),
        (backfill(smaller_than=10), rule(larger_than=9)),
        (backfill(storage_classes=frozenset({"GLACIER"})), rule(storage_classes=frozenset({"STANDARD"}))),
    ],
)
def test_a_backfill_beside_every_rule_is_told(job: Job, selecting: Rule) -> None:
    told = beyond_rules(job, Configuration((selecting,)))
    assert told is not None
    assert "no enabled rule selects anything that these filters do" in told
    assert beyond_rules(replace(job, kind=JobKind.RECONCILE), Configuration((selecting,))) is None
    assert beyond_rules(job, Configuration((selecting, replace(rule(), id="all", priority=2)))) is None


def test_a_backfill_without_an_enabled_rule_is_told() -> None:
    for configuration in (Configuration(()), Configuration((replace(rule(), enabled=False),))):
        assert "no rule is enabled" in (beyond_rules(JOB, configuration) or "")


_parts = st.lists(st.text("ab/", min_size=1, max_size=3), max_size=2).map(tuple)
_sizes = st.none() | st.integers(0, 4)
_classes = st.frozensets(st.sampled_from(["STANDARD", "GLACIER"]))


@given(
    st.builds(
        Filters,
        larger_than=_sizes,
        smaller_than=_sizes,
        storage_classes=_classes,
        prefixes=_parts,
        suffixes=_parts,
    ),
    st.text("ab/", max_size=2),
    st.builds(
        Filter,
        prefix=st.text("ab/", max_size=2),
        names=st.builds(KeyNames, prefixes=_parts, suffixes=_parts, not_prefixes=_parts, not_suffixes=_parts),
        larger_than=_sizes,
        smaller_than=_sizes,
        storage_classes=_classes,
    ),
    st.tuples(
        st.text("ab/", min_size=1, max_size=6), st.integers(0, 6), st.sampled_from(["STANDARD", "GLACIER"])
    ),
)
def test_what_fits_both_is_never_called_beyond_the_rules(
    filters: Filters, prefix: str, asked: Filter, stored: tuple[str, int, str]
) -> None:
    key, size, storage_class = stored
    job = Job("id", JobKind.BACKFILL, prefix=prefix, filters=filters)
    selecting = Rule("r", 1, True, asked, True, Destination("replicas"))
    version = ListedVersion("v", Kind.OBJECT, NOW, size=size, storage_class=storage_class)
    facts = Facts(size=size, storage_class=storage_class)
    by_job = key.startswith(prefix) and filters.selects_key(key) and filters.selects(version)
    if by_job and asked.admits(key) and matches(asked, facts):
        assert beyond_rules(job, Configuration((selecting,))) is None
        assert new_job("id", job_document(job)) == job
