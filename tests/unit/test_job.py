"""What a job may be asked for, what it selects, and what is said about a document that is wrong."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.job import (
    Filters,
    InvalidJob,
    Job,
    JobKind,
    Scope,
    Standing,
    job_document,
    parse_job,
)
from s3replicator.decisions.versions import Kind, ListedVersion
from tests.unit.strategies import json_values, keys, spoiled, times

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()

_texts = st.lists(st.text(min_size=1, max_size=20), max_size=3)
filters = st.builds(
    Filters,
    created_after=st.none() | times,
    created_before=st.none() | times,
    larger_than=st.none() | st.integers(0, 2**50),
    smaller_than=st.none() | st.integers(0, 2**50),
    storage_classes=_texts.map(frozenset),
    prefixes=_texts.map(tuple),
    suffixes=_texts.map(tuple),
    substrings=_texts.map(tuple),
)
jobs = st.builds(
    Job,
    id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    kind=st.sampled_from(JobKind),
    prefix=st.just("") | keys,
    scope=st.sampled_from(Scope),
    filters=filters,
    standings=st.frozensets(st.sampled_from(Standing), min_size=1),
    repair=st.booleans(),
    restore_lost=st.booleans(),
    deep=st.booleans(),
    grace=st.integers(0, 10**6),
    failed_only=st.booleans(),
)

EVERYTHING: dict[str, Any] = {
    "Kind": "backfill",
    "Prefix": "reports/",
    "Scope": "current",
    "CreatedAfter": "2026-01-01T00:00:00Z",
    "CreatedBefore": "2026-01-31T12:00:00Z",
    "ObjectSizeGreaterThanBytes": 0,
    "ObjectSizeLessThanBytes": 1024,
    "MatchAnyStorageClass": ["GLACIER", "STANDARD"],
    "MatchAnyPrefix": ["a", "b"],
    "MatchAnySuffix": [".csv"],
    "MatchAnySubstring": ["2026"],
    "ObjectReplicationStatuses": ["COMPLETED", "FAILED", "NONE", "REPLICA"],
    "DryRun": True,
    "RestoreLost": True,
    "Deep": True,
    "GraceSeconds": 900,
    "ReportScope": "FailedTasksOnly",
}


def version(**differs: Any) -> ListedVersion:
    return ListedVersion(
        **{"version_id": "v", "kind": Kind.OBJECT, "last_modified": NOON, "size": 100, **differs}
    )


# -- the document


@given(jobs)
def test_a_job_is_read_back_as_it_was_written(job: Job) -> None:
    assert parse_job(job.id, json.loads(json.dumps(job_document(job)))) == job


def test_a_document_can_say_everything() -> None:
    job = parse_job("id", EVERYTHING)
    assert job_document(job) == EVERYTHING
    assert job == Job(
        id="id",
        kind=JobKind.BACKFILL,
        prefix="reports/",
        scope=Scope.CURRENT,
        filters=Filters(
            created_after=datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
            created_before=NOON,
            larger_than=0,
            smaller_than=1024,
            storage_classes=frozenset({"STANDARD", "GLACIER"}),
            prefixes=("a", "b"),
            suffixes=(".csv",),
            substrings=("2026",),
        ),
        standings=frozenset(Standing),
        repair=False,
        restore_lost=True,
        deep=True,
        grace=900,
        failed_only=True,
    )


def test_a_document_need_say_no_more_than_its_kind() -> None:
    assert parse_job("id", {"Kind": "reconcile"}) == Job("id", JobKind.RECONCILE)
    assert Job("id", JobKind.RECONCILE).standings == {Standing.NONE, Standing.FAILED}
    assert Job("some-id", JobKind.RECONCILE).folder == "jobs/some-id/"


@pytest.mark.parametrize(
    "written", ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00"]
)
def test_a_time_without_a_zone_is_in_utc(written: str) -> None:
    assert parse_job("id", {"Kind": "backfill", "CreatedAfter": written}).filters.created_after == NOON


def parsed(document: dict[str, Any]) -> Job | InvalidJob:
    try:
        return parse_job("id", document)
    except InvalidJob as refused:
        return refused


@given(spoiled(EVERYTHING))
def test_whatever_is_written_is_a_job_or_refused(document: Any) -> None:
    if isinstance(document, dict):
        found = parsed(document)
        if isinstance(found, InvalidJob):
            assert found.problems
        else:
            assert parse_job("id", job_document(found)) == found


@given(st.dictionaries(st.sampled_from([*EVERYTHING, "Unknown"]), json_values))
def test_a_value_is_told_of_at_most_once(document: dict[str, Any]) -> None:
    found = parsed(document)
    if isinstance(found, InvalidJob):
        fields = [problem.split()[0] for problem in found.problems]
        assert len(set(fields)) == len(fields)
        assert str(found) == "; ".join(found.problems)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"Kind": "copy"}, "Kind is 'copy'; it must be backfill or reconcile"),
        ({"Kind": None}, "Kind is missing; it must be backfill or reconcile"),
        ({"Kind": []}, "Kind is []; it must be backfill or reconcile"),
        ({"Prefix": 1}, "Prefix is 1; it must be text"),
        ({"Prefix": "\ud800"}, r"Prefix is '\ud800'; it must be text"),
        (
            {"MatchAnyPrefix": ["a", "\udfff"]},
            r"MatchAnyPrefix is ['a', '\udfff']; it must be a list of texts",
        ),
        ({"Scope": "some"}, "Scope is 'some'; it must be current or all"),
        ({"CreatedAfter": "soon"}, "CreatedAfter is 'soon'; it must be a time such as 2026-01-31T00:00:00Z"),
        ({"CreatedBefore": 5}, "CreatedBefore is 5; it must be a time such as 2026-01-31T00:00:00Z"),
        (
            {"CreatedAfter": "0001-01-01T00:00:00+14:00"},
            "CreatedAfter is '0001-01-01T00:00:00+14:00'; it must be a time such as",
        ),
        (
            {"ObjectSizeGreaterThanBytes": -1},
            "ObjectSizeGreaterThanBytes is -1; it must be a whole number of bytes, 0 or more",
        ),
        (
            {"ObjectSizeLessThanBytes": True},
            "ObjectSizeLessThanBytes is True; it must be a whole number of bytes, 0 or more",
        ),
        (
            {"MatchAnyStorageClass": "GLACIER"},
            "MatchAnyStorageClass is 'GLACIER'; it must be a list of texts, none of them empty",
        ),
        ({"MatchAnyPrefix": [""]}, "MatchAnyPrefix is ['']; it must be a list of texts, none of them empty"),
        ({"MatchAnySuffix": [1]}, "MatchAnySuffix is [1]; it must be a list of texts, none of them empty"),
        (
            {"MatchAnySubstring": {}},
            "MatchAnySubstring is {}; it must be a list of texts, none of them empty",
        ),
        (
            {"ObjectReplicationStatuses": ["replica"]},
            "ObjectReplicationStatuses is ['replica']; it must be a list of NONE, FAILED, COMPLETED, REPLICA",
        ),
        (
            {"ObjectReplicationStatuses": []},
            "ObjectReplicationStatuses is []; it must be a list of NONE, FAILED, COMPLETED, REPLICA",
        ),
        (
            {"ObjectReplicationStatuses": [[]]},
            "ObjectReplicationStatuses is [[]]; it must be a list of NONE, FAILED, COMPLETED, REPLICA",
        ),
        ({"DryRun": "yes"}, "DryRun is 'yes'; it must be true or false"),
        ({"RestoreLost": 1}, "RestoreLost is 1; it must be true or false"),
        ({"Deep": 0}, "Deep is 0; it must be true or false"),
        ({"GraceSeconds": -1}, "GraceSeconds is -1; it must be a whole number of seconds, 0 or more"),
        ({"ReportScope": "None"}, "ReportScope is 'None'; it must be AllTasks or FailedTasksOnly"),
        ({"prefix": "a/"}, "prefix is unknown; known are CreatedAfter, CreatedBefore,"),
    ],
)
def test_a_problem_names_the_field_the_value_and_the_fix(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        parse_job("id", {"Kind": "backfill", **wrong})
    [problem] = refused.value.problems
    assert problem.startswith(told)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidJob) as refused:
        parse_job("an id", {"Scope": "some", "Deep": "x", "Else": 1})
    fields = [problem.split()[0] for problem in refused.value.problems]
    assert fields == ["the", "Kind", "Scope", "Deep", "Else"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "a" * 65, "a\n", "../x"])
def test_an_id_is_part_of_other_names(name: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        parse_job(name, {"Kind": "backfill"})
    assert "1 to 64 letters, digits, hyphens and underscores" in str(refused.value)


# -- what it selects


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (Filters(), True),
        (Filters(prefixes=("b", "a/")), True),
        (Filters(prefixes=("b",)), False),
        (Filters(suffixes=(".txt", ".csv")), True),
        (Filters(suffixes=("csv/",)), False),
        (Filters(substrings=("nothing", "/b")), True),
        (Filters(substrings=("B",)), False),
        (Filters(prefixes=("a",), suffixes=(".csv",), substrings=("/",)), True),
        (Filters(prefixes=("a",), suffixes=(".csv",), substrings=("//",)), False),
    ],
)
def test_keys_are_selected_by_their_parts(filters: Filters, selected: bool) -> None:
    assert filters.selects_key("a/b.csv") is selected


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (Filters(), True),
        (Filters(created_after=NOON - 1, created_before=NOON + 1), True),
        (Filters(created_after=NOON), False),
        (Filters(created_before=NOON), False),
        (Filters(larger_than=99, smaller_than=101), True),
        (Filters(larger_than=100), False),
        (Filters(smaller_than=100), False),
        (Filters(storage_classes=frozenset({"STANDARD"})), True),
        (Filters(storage_classes=frozenset({"GLACIER", "STANDARD_IA"})), False),
        (Filters(larger_than=99, storage_classes=frozenset({"GLACIER"})), False),
    ],
)
def test_versions_are_selected_by_what_the_list_tells(filters: Filters, selected: bool) -> None:
    assert filters.selects(version()) is selected


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (Filters(), True),
        (Filters(created_after=NOON - 1), True),
        (Filters(created_after=NOON), False),
        (Filters(created_before=NOON), False),
        (Filters(larger_than=0), False),
        (Filters(smaller_than=10**9), False),
        (Filters(storage_classes=frozenset({"STANDARD"})), False),
    ],
)
def test_a_delete_marker_has_a_time_and_nothing_else(filters: Filters, selected: bool) -> None:
    assert filters.selects(version(kind=Kind.MARKER, size=0)) is selected


@given(
    filters, st.builds(version, last_modified=times, size=st.integers(0, 2**40), kind=st.sampled_from(Kind))
)
def test_a_filter_more_selects_no_more(filters: Filters, listed: ListedVersion) -> None:
    if filters.selects(listed):
        assert Filters(created_after=filters.created_after).selects(listed)
        assert Filters(smaller_than=filters.smaller_than).selects(listed)
        assert Filters().selects(listed)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("jobs/id/batches/1-2-000003.jsonl", True),
        ("jobs/id/batches/00000-000000.jsonl", True),
        ("jobs/other/batches/1-2-000003.jsonl", False),
        ("jobs/id/batches/a/batches/1-2-000003.jsonl", False),
        ("jobs/id/batches/../../1.jsonl", False),
        ("jobs/id/batches/1.jsonl\n", False),
        ("replication-configuration.json", False),
    ],
)
def test_a_batch_is_known_by_its_name(name: str, is_one: bool) -> None:
    assert Job("id", JobKind.BACKFILL).is_batch(name) is is_one
