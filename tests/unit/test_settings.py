"""The environment is read completely, and everything wrong in it is told at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.backoff import RetryPolicy
from s3replicator.settings import InvalidSettings, Settings

ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "SOURCE_BUCKET": "source-bucket",
    "DESTINATIONS": "replica-one:us-east-1,replica-two:eu-west-1",
    "LEDGER_TABLE": "ledger",
    "CONTROL_BUCKET": "control-bucket",
    "INGEST_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/ingest",
    "LARGE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/large",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letter",
    "PARKED_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/parked",
    "LEASE_GRACE_SECONDS": "300",
    "CONFIGURATION_CACHE_SECONDS": "60",
    "DEFER_SECONDS": "5",
    "RETRY_BASE_SECONDS": "30",
    "RETRY_MAXIMUM_SECONDS": "3600.5",
    "RETRY_MAXIMUM_ATTEMPTS": "8",
}
#: What may be left out or empty.
OPTIONAL = {"PEER_PRINCIPALS": "AROAEXAMPLEONE,AROAEXAMPLETWO"}
NUMBERS = [name for name, value in ENVIRONMENT.items() if value.replace(".", "").isdigit()]


def test_a_complete_environment_is_read() -> None:
    settings = Settings.from_env({**ENVIRONMENT, **OPTIONAL, "PATH": "/usr/bin"})
    assert settings == Settings(
        region="us-east-1",
        source_bucket="source-bucket",
        destinations={"replica-one": "us-east-1", "replica-two": "eu-west-1"},
        ledger_table="ledger",
        control_bucket="control-bucket",
        ingest_queue_url=ENVIRONMENT["INGEST_QUEUE_URL"],
        large_queue_url=ENVIRONMENT["LARGE_QUEUE_URL"],
        dead_letter_queue_url=ENVIRONMENT["DEAD_LETTER_QUEUE_URL"],
        parked_queue_url=ENVIRONMENT["PARKED_QUEUE_URL"],
        lease_grace=300,
        configuration_cache=60,
        defer=5,
        retry=RetryPolicy(base=30, maximum=3600.5, attempts=8),
        peer_principals=frozenset({"AROAEXAMPLEONE", "AROAEXAMPLETWO"}),
    )


@pytest.mark.parametrize("environment", [{}, {"PEER_PRINCIPALS": ""}, {"PEER_PRINCIPALS": ","}])
def test_there_need_be_no_peer(environment: dict[str, str]) -> None:
    assert Settings.from_env({**ENVIRONMENT, **environment}).peer_principals == frozenset()


@pytest.mark.parametrize(
    "entry",
    ["arn:aws:iam::123456789012:role/replicate", "AWS:AROAEXAMPLE", "AROAEXAMPLE:session", "role/x", " "],
)
def test_what_is_no_unique_id_would_match_nobody_and_is_refused(entry: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env({**ENVIRONMENT, "PEER_PRINCIPALS": f"AROAEXAMPLE,{entry}"})
    assert f"PEER_PRINCIPALS has {entry!r}, not the unique id" in str(refused.value)
    assert "'AROAEXAMPLE'" not in str(refused.value)


@given(st.sets(st.sampled_from(sorted(ENVIRONMENT)), min_size=1))
def test_everything_that_is_missing_is_named_at_once(missing: set[str]) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in missing}
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env(environment)
    for name in ENVIRONMENT:
        assert (f"{name} is not set" in str(refused.value)) == (name in missing)


def test_what_is_set_to_nothing_is_not_set() -> None:
    with pytest.raises(InvalidSettings, match="LEDGER_TABLE is not set"):
        Settings.from_env({**ENVIRONMENT, "LEDGER_TABLE": ""})


def test_everything_that_is_wrong_is_named_at_once_with_its_value() -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env(
            {
                **ENVIRONMENT,
                "DESTINATIONS": "replica-one,replica-two:eu-west-1,:us-east-1",
                "DEFER_SECONDS": "soon",
                "RETRY_MAXIMUM_ATTEMPTS": "eight",
                "SOURCE_BUCKET": "",
            }
        )
    told = str(refused.value)
    for problem in (
        "SOURCE_BUCKET is not set",
        "DESTINATIONS has 'replica-one', not bucket:region",
        "DESTINATIONS has ':us-east-1', not bucket:region",
        "DEFER_SECONDS is 'soon', not a number",
        "RETRY_MAXIMUM_ATTEMPTS is 'eight', not a number",
    ):
        assert problem in told
    assert "replica-two" not in told


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_number_has_to_be_finite(value: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env({**ENVIRONMENT, **dict.fromkeys(NUMBERS, value)})
    for name in NUMBERS:
        assert f"{name} is '{value}'" in str(refused.value)


@pytest.mark.parametrize("value", [",", " ", ", ,"])
def test_a_stack_without_destinations_is_refused(value: str) -> None:
    with pytest.raises(InvalidSettings, match="DESTINATIONS"):
        Settings.from_env({**ENVIRONMENT, "DESTINATIONS": value})


@given(st.sampled_from(sorted([*ENVIRONMENT, *OPTIONAL])), st.text(max_size=20))
def test_no_value_does_worse_than_to_be_refused(name: str, value: str) -> None:
    told = name
    try:
        assert Settings.from_env({**ENVIRONMENT, name: value}).destinations
    except InvalidSettings as refused:
        told = str(refused)
    assert name in told
