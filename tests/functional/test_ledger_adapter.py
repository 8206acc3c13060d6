"""The ledger in DynamoDB: who may write what, and what becomes of repeated and belated requests."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from moto import mock_aws

from s3replicator.adapters.clients import Clients
from s3replicator.adapters.ledger import DynamoLedger
from s3replicator.adapters.ledger_items import SCHEMA, head_key, row_key
from s3replicator.decisions.breaker import Breaker
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.versions import Kind
from s3replicator.ports import Conflict, Duplicate, Granted, Held, LeaseAnswer, LeaseLost
from tests.functional.faults import Fault, faults
from tests.functional.recorder import recording

TABLE: Final = "ledger"
DESTINATION: Final = "replica-bucket"
KEY: Final = LedgerKey(DESTINATION, "key")
SOURCE: Final = "source-bucket/key"

ORDER: Final = OrderFacts("0A", 1.0)
COMPLETED: Final = Row(Kind.OBJECT, Status.COMPLETED, ORDER, replica="replica")
TOMBSTONE: Final = Row(Kind.OBJECT, Status.TOMBSTONE, ORDER)
INTENT: Final = Intent("nonce", "v1", Kind.OBJECT, 1.0, ORDER)

#: Half past four in the afternoon.
NOW: Final = 1795365000.0
HOUR: Final = "2026-11-22T16"
LATER: Final = NOW + 3600


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client as the functions have it, and the table without its index."""
    with mock_aws():
        client = Clients("us-east-1", connections=2).dynamodb()
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield client


@pytest.fixture
def ledger(dynamodb: Any) -> DynamoLedger:
    return DynamoLedger(dynamodb, TABLE)


def take(
    ledger: DynamoLedger,
    token: str,
    version_id: str | None = None,
    *,
    now: float = NOW,
    intent: Intent | None = None,
    source: str = SOURCE,
) -> LeaseAnswer:
    """Ask for a lease of a minute."""
    return ledger.lease(KEY, source, version_id, lease=Lease(token, now + 60), intent=intent, now=now)


def taken(ledger: DynamoLedger, token: str, now: float = NOW) -> Head:
    answer = take(ledger, token, now=now)
    assert isinstance(answer, Granted)
    return answer.head


def stored(ledger: DynamoLedger) -> Head:
    head, _ = ledger.history(KEY)
    assert head is not None
    return head


def repeated(operation: str) -> Any:
    """The request takes effect, its answer is lost, and the SDK sends it again."""
    return faults(Fault(operation, effect=True))


# -- leases, and how they are counted


def test_every_lease_is_counted(ledger: DynamoLedger) -> None:
    generations = []
    for number in range(1, 4):
        head = taken(ledger, f"token-{number}")
        ledger.write(KEY, f"token-{number}", replace(head, lease=None))
        generations.append(head.generation)
    assert generations == [1, 2, 3]
    assert stored(ledger) == Head(SOURCE, generation=3)


def test_a_lease_that_was_only_asked_for_is_not_counted(ledger: DynamoLedger) -> None:
    taken(ledger, "one")
    assert take(ledger, "two") == Held()
    assert take(ledger, "three", source="another-bucket/key") == Conflict(SOURCE)
    assert stored(ledger).generation == 1


def test_a_lease_asked_for_twice_by_the_sdk_is_granted_and_counted_once(ledger: DynamoLedger) -> None:
    with repeated("UpdateItem"):
        assert taken(ledger, "one").generation == 1
    assert stored(ledger).generation == 1


def test_a_head_of_an_older_release_is_counted_from_now_on(ledger: DynamoLedger, dynamodb: Any) -> None:
    old = {"schema": {"N": "1"}, "source": {"S": SOURCE}, "rows": {"M": {}}}
    dynamodb.put_item(TableName=TABLE, Item={**head_key(KEY), **old})
    assert taken(ledger, "one").generation == 1


def test_a_head_of_a_newer_release_is_left_alone(ledger: DynamoLedger, dynamodb: Any) -> None:
    item = {
        **head_key(KEY),
        "schema": {"N": str(SCHEMA + 1)},
        "source": {"S": SOURCE},
        "rows": {"M": {}},
        "news": {"S": "of the newer release"},
    }
    dynamodb.put_item(TableName=TABLE, Item=item)

    with pytest.raises(RetryableError) as refused:
        take(ledger, "one")

    assert refused.value.reason is Reason.LEDGER_UNAVAILABLE
    assert dynamodb.get_item(TableName=TABLE, Key=head_key(KEY))["Item"] == item


def settle(ledger: DynamoLedger, row: Row, *, unsettled: bool = False) -> None:
    """Leave a row of version v1 in the head."""
    head = taken(ledger, "settling").with_row("v1", row)
    ledger.write(KEY, "settling", replace(head, lease=None, unsettled=unsettled))


@pytest.mark.parametrize("row", [COMPLETED, TOMBSTONE], ids=lambda row: row.status)
def test_a_settled_version_is_a_duplicate_unless_the_key_itself_is_asked_for(
    ledger: DynamoLedger, row: Row
) -> None:
    settle(ledger, row)
    assert take(ledger, "one", "v1") == Duplicate(row)
    assert isinstance(take(ledger, "two"), Granted)


def test_a_lease_on_the_key_itself_is_refused_for_the_other_reasons(ledger: DynamoLedger) -> None:
    taken(ledger, "one")
    assert take(ledger, "two") == Held()
    assert take(ledger, "two", source="another-bucket/key") == Conflict(SOURCE)
    assert isinstance(take(ledger, "two", now=NOW + 61), Granted), "the lease has expired"


def test_a_lease_on_the_key_itself_announces_what_comes_first(ledger: DynamoLedger) -> None:
    answer = take(ledger, "one", intent=INTENT)
    assert isinstance(answer, Granted)
    assert answer.head.intent == stored(ledger).intent == INTENT


def test_an_open_intent_is_never_overwritten(ledger: DynamoLedger) -> None:
    take(ledger, "one", "v1", intent=INTENT)
    another = replace(INTENT, nonce="another")
    answer = take(ledger, "two", now=NOW + 61, intent=another)
    assert isinstance(answer, Granted)
    assert answer.head.intent == INTENT


# -- rows that have spilled


def test_what_a_row_says_survives(ledger: DynamoLedger) -> None:
    row = replace(COMPLETED, lost=True, purged=True)
    head = taken(ledger, "one")
    ledger.put_rows(KEY, SOURCE, head.generation, {"v1": row})
    ledger.write(KEY, "one", replace(head, rows={"v2": row}, spilled=True, lease=None))
    assert (
        ledger.row(KEY, SOURCE, "v1")
        == ledger.peek(KEY, SOURCE, "v1")
        == ledger.peek(KEY, SOURCE, "v2")
        == row
    )
    assert ledger.history(KEY)[1] == {"v1": row, "v2": row}


def test_a_worker_that_has_lost_its_lease_overwrites_no_row_of_a_later_one(ledger: DynamoLedger) -> None:
    """It does not know: between its look at the clock and its write it slept for longer than its lease."""
    asleep = taken(ledger, "asleep")
    later = taken(ledger, "later", now=NOW + 61)
    ledger.put_rows(KEY, SOURCE, later.generation, {"v1": TOMBSTONE})

    with pytest.raises(LeaseLost):
        ledger.put_rows(KEY, SOURCE, asleep.generation, {"v1": COMPLETED})
    with pytest.raises(LeaseLost):
        ledger.write(KEY, "asleep", asleep.with_row("v1", COMPLETED))

    assert ledger.row(KEY, SOURCE, "v1") == TOMBSTONE


def test_a_completed_row_becomes_a_tombstone_under_a_later_lease(ledger: DynamoLedger) -> None:
    ledger.put_rows(KEY, SOURCE, 1, {"v1": COMPLETED})
    ledger.put_rows(KEY, SOURCE, 2, {"v1": TOMBSTONE})
    assert ledger.row(KEY, SOURCE, "v1") == TOMBSTONE


def test_a_row_is_written_again_under_the_same_lease(ledger: DynamoLedger) -> None:
    with repeated("PutItem"):
        ledger.put_rows(KEY, SOURCE, 1, {"v1": TOMBSTONE})
    ledger.put_rows(KEY, SOURCE, 1, {"v1": COMPLETED})
    assert ledger.row(KEY, SOURCE, "v1") == COMPLETED


def test_a_row_of_an_older_release_is_overwritten(ledger: DynamoLedger, dynamodb: Any) -> None:
    ledger.put_rows(KEY, SOURCE, 7, {"v1": COMPLETED})
    place = row_key(KEY, "v1")
    dynamodb.update_item(TableName=TABLE, Key=place, UpdateExpression="REMOVE generation")
    ledger.put_rows(KEY, SOURCE, 1, {"v1": TOMBSTONE})
    assert ledger.row(KEY, SOURCE, "v1") == TOMBSTONE


def test_null_versions_have_rows_of_their_own(ledger: DynamoLedger) -> None:
    names = ["null@1795365000-9a0364b9e99bb480dd25e1f0284c8555", "null@1795365001"]
    ledger.put_rows(KEY, SOURCE, 1, {names[0]: COMPLETED, names[1]: TOMBSTONE})
    assert ledger.history(KEY)[1] == {names[0]: COMPLETED, names[1]: TOMBSTONE}


def test_what_else_lies_beside_a_head_is_no_row(ledger: DynamoLedger, dynamodb: Any) -> None:
    settle(ledger, COMPLETED)
    item = {**head_key(KEY), "sk": {"S": "SOMETHING"}, "schema": {"N": "1"}}
    dynamodb.put_item(TableName=TABLE, Item=item)
    assert ledger.history(KEY)[1] == {"v1": COMPLETED}


# -- the breaker on version deletes


def delete(ledger: DynamoLedger, times: int, *, limit: int = 3, now: float = NOW) -> list[bool]:
    return [ledger.allow_version_delete(DESTINATION, limit, now) for _ in range(times)]


def test_as_many_deletes_as_the_limit_are_allowed_and_the_next_opens_the_breaker(
    ledger: DynamoLedger,
) -> None:
    assert ledger.breaker(DESTINATION) is None
    assert delete(ledger, 3) == [True] * 3
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3)
    assert delete(ledger, 2) == [False] * 2
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3, opened=NOW)


def test_an_open_breaker_stays_open_whatever_the_hour_and_the_limit(ledger: DynamoLedger) -> None:
    delete(ledger, 4)
    assert delete(ledger, 1, limit=1000) == [False]
    assert delete(ledger, 1, now=LATER) == [False]
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3, opened=NOW)


def test_a_breaker_that_was_closed_begins_to_count_anew(ledger: DynamoLedger) -> None:
    delete(ledger, 4)
    ledger.close_breaker(DESTINATION)
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 0)
    assert delete(ledger, 4) == [True, True, True, False]


def test_a_breaker_is_closed_once_however_often_it_is_said(ledger: DynamoLedger) -> None:
    delete(ledger, 4)
    with repeated("UpdateItem"):
        ledger.close_breaker(DESTINATION)
    delete(ledger, 1)
    ledger.close_breaker(DESTINATION)
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 1)


def test_closing_what_has_never_been_opened_leaves_nothing(ledger: DynamoLedger) -> None:
    ledger.close_breaker(DESTINATION)
    assert ledger.breaker(DESTINATION) is None


def test_every_hour_is_counted_for_itself(ledger: DynamoLedger) -> None:
    delete(ledger, 3)
    assert delete(ledger, 3, now=LATER) == [True] * 3
    assert ledger.breaker(DESTINATION) == Breaker("2026-11-22T17", 3)


def test_a_worker_whose_clock_is_behind_counts_with_the_others(ledger: DynamoLedger) -> None:
    delete(ledger, 2, now=LATER)
    assert delete(ledger, 2) == [True, False]
    assert ledger.breaker(DESTINATION) == Breaker("2026-11-22T17", 3, opened=NOW)


def test_a_limit_of_none_at_all_allows_nothing(ledger: DynamoLedger) -> None:
    assert delete(ledger, 1, limit=0) == [False]


def test_destinations_are_counted_apart_and_their_keys_do_not_notice(ledger: DynamoLedger) -> None:
    delete(ledger, 4)
    settle(ledger, COMPLETED)
    assert ledger.breaker("another-bucket") is None
    assert ledger.allow_version_delete("another-bucket", 1, NOW)
    assert ledger.history(KEY)[1] == {"v1": COMPLETED}


def test_in_the_same_hour_a_delete_is_counted_in_one_request(ledger: DynamoLedger) -> None:
    delete(ledger, 1)
    with recording() as recorded:
        delete(ledger, 1)
    assert recorded.sent == {"UpdateItem": 1}


@pytest.mark.parametrize("before", range(4))
def test_a_count_repeated_by_the_sdk_counts_once(ledger: DynamoLedger, before: int) -> None:
    delete(ledger, before)
    with repeated("UpdateItem"):
        allowed = delete(ledger, 1)
    assert allowed == [before < 3]
    breaker = ledger.breaker(DESTINATION)
    assert breaker is not None
    assert breaker.count == min(before + 1, 3)


class Overtaken:
    """A client before whose first request with a given expression somebody else is quicker."""

    def __init__(self, client: Any, expression: str, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self._expression = expression
        self._meanwhile: Callable[[], object] | None = meanwhile

    def update_item(self, **arguments: Any) -> Any:
        if self._meanwhile is not None and self._expression in arguments["UpdateExpression"]:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return self._client.update_item(**arguments)

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)


def test_two_workers_that_begin_an_hour_count_together(ledger: DynamoLedger, dynamodb: Any) -> None:
    slow = DynamoLedger(Overtaken(dynamodb, "SET #hour", lambda: delete(ledger, 2)), TABLE)
    assert delete(slow, 1) == [True]
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3)


def test_two_workers_never_allow_more_than_the_limit(ledger: DynamoLedger, dynamodb: Any) -> None:
    delete(ledger, 2)
    slow = DynamoLedger(Overtaken(dynamodb, "ADD #count", lambda: delete(ledger, 1)), TABLE)
    assert delete(slow, 1) == [False]
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3, opened=NOW)


def test_a_worker_does_not_open_the_breaker_of_an_hour_that_is_over(
    ledger: DynamoLedger, dynamodb: Any
) -> None:
    delete(ledger, 3)
    slow = DynamoLedger(Overtaken(dynamodb, "SET #opened", lambda: delete(ledger, 1, now=LATER)), TABLE)
    assert delete(slow, 1) == [True]
    assert ledger.breaker(DESTINATION) == Breaker("2026-11-22T17", 2)


def test_a_breaker_that_has_opened_again_meanwhile_stays_open(ledger: DynamoLedger, dynamodb: Any) -> None:
    def close_and_open_again() -> None:
        ledger.close_breaker(DESTINATION)
        delete(ledger, 4, now=NOW + 1)

    delete(ledger, 4)
    DynamoLedger(Overtaken(dynamodb, "REMOVE #opened", close_and_open_again), TABLE).close_breaker(
        DESTINATION
    )
    assert ledger.breaker(DESTINATION) == Breaker(HOUR, 3, opened=NOW + 1)
