"""What a job keeps, in the control bucket: read, written and listed, and what it means if S3 will not."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from s3replicator.adapters.job_store import S3JobStore
from s3replicator.decisions.failures import Reason, RetryableError, TerminalError
from tests.functional.faults import Fault, faults

BUCKET = "control-bucket"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def store(s3: Any) -> S3JobStore:
    return S3JobStore(s3, BUCKET)


def test_a_document_is_read_back_as_it_was_written(store: S3JobStore) -> None:
    store.write("jobs/one/job.json", b"first")
    store.write("jobs/one/job.json", b"second")
    assert store.read("jobs/one/job.json") == b"second"


def test_what_was_never_written_is_none(store: S3JobStore) -> None:
    assert store.read("jobs/one/job.json") is None
    assert list(store.names("jobs/one/")) == []


def test_names_come_in_order_page_after_page(store: S3JobStore) -> None:
    names = [f"jobs/one/results/{number:04}.jsonl" for number in range(1100)]
    for name in reversed(names):
        store.write(name, b"")
    store.write("jobs/another/results/0.jsonl", b"")
    assert list(store.names("jobs/one/results/")) == names


def test_a_name_is_had_by_one(store: S3JobStore) -> None:
    first = store.claim("jobs/one/survey.claim", now=100.0, until=200.0)
    assert first is not None
    assert store.claim("jobs/one/survey.claim", now=199.0, until=300.0) is None

    store.release("jobs/one/survey.claim", first)
    assert store.claim("jobs/one/survey.claim", now=150.0, until=250.0) is not None


def test_a_claim_runs_out_and_its_release_then_does_nothing(store: S3JobStore) -> None:
    first = store.claim("jobs/one/survey.claim", now=100.0, until=200.0)
    assert first is not None
    assert store.claim("jobs/one/survey.claim", now=201.0, until=300.0) is not None

    store.release("jobs/one/survey.claim", first)
    assert store.claim("jobs/one/survey.claim", now=250.0, until=350.0) is None


@pytest.mark.parametrize("now", [100.0, 500.0])
def test_of_two_who_claim_at_once_one_has_it(store: S3JobStore, s3: Any, now: float) -> None:
    """Both have read that nobody does, or that it has run out."""
    if now > 100.0:
        store.claim("name", 100.0, 200.0)
    before = s3.get_object
    taken: list[str | None] = []

    def get_object(**arguments: Any) -> Any:
        s3.get_object = before
        try:
            return before(**arguments)
        finally:
            taken.append(S3JobStore(s3, BUCKET).claim("name", now, now + 100))

    s3.get_object = get_object
    assert store.claim("name", now, now + 100) is None
    assert taken != [None]


def test_a_claim_whose_answer_was_lost_is_known_again(
    store: S3JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK sends it again, and S3 refuses the second."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    patient = S3JobStore(boto3.client("s3"), BUCKET)
    with faults(Fault("PutObject", effect=True)):
        claim = patient.claim("name", 100.0, 200.0)
    assert claim is not None
    patient.release("name", claim)
    assert store.claim("name", 150.0, 250.0) is not None


def test_what_s3_may_accept_later_is_worth_another_try(store: S3JobStore) -> None:
    for code, status in (("SlowDown", 503), ("InternalError", 500), ("RequestTimeout", 400)):
        with faults(Fault("GetObject", status=status, code=code, times=9)):
            with pytest.raises(RetryableError) as failure:
                store.read("jobs/one/job.json")
            assert failure.value.reason is Reason.UNAVAILABLE
            assert f"s3://{BUCKET}/jobs/one/job.json" in failure.value.detail
        with (
            faults(Fault("PutObject", status=status, code=code, times=9)),
            pytest.raises(RetryableError),
        ):
            store.write("jobs/one/job.json", b"")
        with (
            faults(Fault("ListObjectsV2", status=status, code=code, times=9)),
            pytest.raises(RetryableError),
        ):
            list(store.names("jobs/one/"))


def test_what_s3_will_refuse_again_is_not(store: S3JobStore, s3: Any) -> None:
    with faults(Fault("PutObject", status=403, code="AccessDenied")), pytest.raises(TerminalError) as failure:
        store.write("jobs/one/job.json", b"")
    assert failure.value.reason is Reason.REQUEST_REFUSED
    elsewhere = S3JobStore(s3, "no-such-bucket")
    with pytest.raises(TerminalError):
        elsewhere.read("jobs/one/job.json")
    with pytest.raises(TerminalError):
        list(elsewhere.names("jobs/"))
    with pytest.raises(TerminalError):
        store.read("")
