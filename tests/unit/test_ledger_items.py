"""The ledger's values survive DynamoDB, and fit into what one write unit pays for."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.model import StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.adapters.ledger_items import (
    HEAD,
    SCHEMA,
    Item,
    breaker_key,
    head_item,
    head_key,
    is_row,
    key_of,
    partition,
    read_breaker,
    read_head,
    read_row,
    row_item,
    row_key,
)
from s3replicator.decisions.events import Origin, Upload
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.ledger import (
    NEVER,
    Head,
    Intent,
    Lease,
    LedgerKey,
    OrderFacts,
    Row,
    Spent,
    Status,
)
from s3replicator.decisions.versions import Kind
from tests.unit.strategies import buckets, heads, keys, rows, version_names

KEY = LedgerKey("replica-bucket", "reports/2026/11/22/0001-of-0128.csv.gz")

ledger_keys = st.builds(LedgerKey, buckets, keys)


# -- there and back


@given(ledger_keys, heads)
def test_a_head_is_read_back_as_it_was_written(key: LedgerKey, head: Head) -> None:
    item = head_item(key, head)
    assert read_head(item) == head
    assert key_of(item) == key


@given(ledger_keys, version_names, rows)
def test_a_row_is_read_back_as_it_was_written(key: LedgerKey, version_id: str, row: Row) -> None:
    item = row_item(key, "source-bucket/key", 1, version_id, row)
    assert read_row(item) == (version_id, row)
    assert key_of(item) == key


def test_no_field_of_a_row_is_left_out() -> None:
    """A field that is added to the ledger has to be added to its items, and here."""
    full = Row(
        Kind.MARKER,
        Status.PENDING,
        OrderFacts("0A", 1.0, multipart=True),
        replica="replica",
        nonce="nonce",
        doubt=True,
        lost=True,
        purged=True,
        acl=True,
        left=("left",),
        blocked=("blocked",),
        stray=("stray", "another"),
        rule="rule",
        reason="Throttled",
        detail="detail",
        request_id="request",
        attempts=3,
        first_failure=2.0,
        last_failure=3.0,
        due=4.0,
        event_time=5.0,
        completed=6.0,
        threshold=8.0,
        missed=True,
        proven=True,
        upload=Upload("upload", "nonce", 7.0),
        origin=Origin.USER,
    )
    for field in fields(Row):
        assert getattr(full, field.name) not in (None, (), 0, False), field.name
    assert read_row(row_item(KEY, "b/k", 1, "v", full)) == ("v", full)


def test_of_an_upload_that_a_former_release_wrote_nobody_knows_whether_it_has_its_tags() -> None:
    order = OrderFacts("1", 1.0)
    row = Row(Kind.OBJECT, Status.PENDING, order, upload=Upload("upload", "nonce", 7.0))
    item = row_item(KEY, "b/k", 1, "v", row)
    assert read_row(item) == ("v", row)
    del item["row"]["M"]["upload"]["M"]["tagged"]
    assert read_row(item) == ("v", replace(row, upload=Upload("upload", "nonce", 7.0, tagged=False)))
    untold = replace(row, upload=Upload("upload", "nonce", 7.0, tagged=False))
    assert read_row(row_item(KEY, "b/k", 1, "v", untold)) == ("v", untold)


@given(st.floats(0, 4e9))
def test_times_keep_their_milliseconds(moment: float) -> None:
    head = Head("source-bucket/key", lease=Lease("token", moment))
    read = read_head(head_item(KEY, head))
    assert read.lease == Lease("token", round(moment, 3))


# -- what DynamoDB takes


@cache
def _put_item() -> StructureShape:
    shape = (
        botocore.session.get_session().get_service_model("dynamodb").operation_model("PutItem").input_shape
    )
    assert isinstance(shape, StructureShape)
    return shape


def check_types(value: Any) -> None:
    """A typed attribute: one type, of those that a head needs, and no number DynamoDB cannot hold."""
    [(kind, held)] = value.items()
    match kind:
        case "S":
            assert isinstance(held, str)
            assert type(held) is str
        case "N":
            assert Decimal(held).is_finite()
            assert len(Decimal(held).as_tuple().digits) <= 38
        case "BOOL":
            assert held is True
        case "L":
            for each in held:
                check_types(each)
        case "M":
            for name, each in held.items():
                assert isinstance(name, str)
                check_types(each)
        case _:
            pytest.fail(f"the type {kind}")


def check_item(item: Item) -> None:
    report = ParamValidator().validate({"TableName": "ledger", "Item": item}, _put_item())
    assert not report.has_errors(), report.generate_report()
    for attribute in item.values():
        check_types(attribute)
    assert item["pk"]["S"]
    assert item["sk"]["S"]


@given(ledger_keys, heads)
def test_dynamodb_takes_any_head(key: LedgerKey, head: Head) -> None:
    check_item(head_item(key, head))


@given(ledger_keys, version_names, rows)
def test_dynamodb_takes_any_row(key: LedgerKey, version_id: str, row: Row) -> None:
    check_item(row_item(key, "source-bucket/key", 1, version_id, row))


# -- keys


@pytest.mark.parametrize("key", ["a", "a#b", "#", "HEAD", "ünï/☃"])
def test_the_first_number_sign_ends_the_destination(key: str) -> None:
    ledger_key = LedgerKey("replica-bucket", key)
    assert partition(ledger_key) == f"replica-bucket#{key}"
    assert key_of(head_key(ledger_key)) == ledger_key


@given(ledger_keys, version_names)
def test_a_row_never_takes_the_place_of_its_head(key: LedgerKey, version_id: str) -> None:
    assert head_key(key)["sk"] == {"S": HEAD}
    assert row_key(key, version_id) != head_key(key)
    assert row_key(key, version_id)["pk"] == head_key(key)["pk"]
    assert is_row(row_key(key, version_id))
    assert not is_row(head_key(key))


@given(ledger_keys)
def test_a_breaker_is_in_the_partition_of_no_key(key: LedgerKey) -> None:
    assert breaker_key(key.destination)["pk"] != head_key(key)["pk"]
    assert not is_row(breaker_key(key.destination))


def test_the_place_of_a_row_shows_its_version_unless_that_is_too_long() -> None:
    assert row_key(KEY, "v" * 200)["sk"] == {"S": "V#" + "v" * 200}
    hashed = row_key(KEY, "v" * 201)["sk"]["S"]
    assert len(hashed) == len("V#") + 64
    assert hashed != row_key(KEY, "v" * 202)["sk"]["S"]
    assert len(row_key(KEY, "☃" * 67)["sk"]["S"]) == len("V#") + 64


def test_a_row_that_was_hashed_still_knows_its_version() -> None:
    item = row_item(KEY, "source-bucket/key", 1, "v" * 1000, _row())
    assert read_row(item) == ("v" * 1000, _row())


# -- the index of open work


def test_a_settled_key_is_not_in_the_index() -> None:
    item = head_item(KEY, Head("source-bucket/key", rows={"v": _row()}))
    assert not {"open", "due"} & set(item)


def test_work_that_is_due_is_in_the_shard_of_its_key() -> None:
    row = replace(_row(), status=Status.PENDING, reason="Throttled", due=1795338904.25)
    item = head_item(KEY, Head("source-bucket/key", rows={"v": row}))
    assert item["open"] == {"S": KEY.shard}
    assert item["due"] == {"N": "1795338904.25"}


def test_work_that_waits_for_somebody_is_in_the_index_and_due_in_the_year_3000() -> None:
    row = replace(_row(), status=Status.FAILED, reason="DstBucketNotFound")
    item = head_item(KEY, Head("source-bucket/key", rows={"v": row}))
    assert item["open"] == {"S": KEY.shard}
    assert float(item["due"]["N"]) == NEVER
    assert datetime.fromtimestamp(NEVER, UTC) == datetime(3000, 1, 1, tzinfo=UTC)


@given(ledger_keys, heads)
def test_the_index_agrees_with_the_head(key: LedgerKey, head: Head) -> None:
    item = head_item(key, head)
    due = head.due()
    assert ("open" in item) == ("due" in item) == (due is not None)
    assert due is None or float(item["due"]["N"]) == due


# -- size


def size_of(value: Any) -> int:
    """As DynamoDB counts it; see "DynamoDB item sizes and formats" in its developer guide."""
    [(kind, held)] = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            digits = len(Decimal(held).normalize().as_tuple().digits)
            return (digits + 1) // 2 + 1
        case "L":
            return 3 + sum(1 + size_of(each) for each in held)
        case "M":
            return 3 + sum(1 + len(name.encode()) + size_of(each) for name, each in held.items())
        case _:
            return 1


def item_size(item: Item) -> int:
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


NONCE = "0b1f7a3e-6f0f-4a39-8d43-9f0f6ad0f2aa"
SOURCE = f"my-companys-production-reports/{KEY.key}"
ORDER = OrderFacts("0069217AD8DCD90281", 1795338904.0)


def _row() -> Row:
    return Row(
        Kind.OBJECT,
        Status.COMPLETED,
        ORDER,
        replica="3HL4kqtJvjVBH40Nrjfkd3ZrZ9lHGmQx",
        nonce=NONCE,
        rule="everything-to-replica-bucket",
        event_time=1795338904.123,
        completed=1795338905.456,
    )


def test_a_head_with_two_rows_costs_one_write_unit_at_every_step() -> None:
    versions = ["096fKKXTRTtl3on89fVO.nfljtsv6qko", "UIORUnfndfiufdisojhr398493jfdkjF"]
    at_rest = Head(SOURCE, rows=dict.fromkeys(versions, _row()), spilled=True, generation=123_456)
    lease = Lease(NONCE, 1795339264.123)
    intent = Intent(NONCE, "Xo8sVQ2y1mZ0dT7uJk5rLw9cBn3hFgEa", Kind.OBJECT, 1795338904.789, ORDER)

    assert item_size(head_item(KEY, at_rest)) <= 1024
    assert item_size(head_item(KEY, replace(at_rest, lease=lease, intent=intent))) <= 1024


# -- other releases


def test_a_head_of_the_release_that_did_not_count_leases_is_read() -> None:
    head = Head("source-bucket/key", rows={"v": _row()})
    item = head_item(KEY, head) | {"schema": {"N": "1"}}
    assert "generation" not in item
    assert read_head(item) == head


def test_what_a_head_may_lose_is_read_back() -> None:
    """``compare`` leaves it out: a head is the same without."""
    key, order = LedgerKey("replica", "key"), OrderFacts("1A", 1.0)
    head = Head("source/key", top=("v", order), top_ranks=True, spent=Spent(500_000, 3, 4096))
    read = read_head(head_item(key, head))
    assert (read.top_ranks, read.spent) == (True, Spent(500_000, 3, 4096))


def test_a_head_that_a_former_release_has_written_has_lost_what_it_may_lose() -> None:
    key = LedgerKey("replica", "key")
    head = Head("source/key", top_ranks=True, spent=Spent(500_000, 3, 4096))
    item = {name: value for name, value in head_item(key, head).items() if name not in ("ranks", "spent")}
    assert head_item(key, head)["schema"] == {"N": "2"}
    assert (read_head(item).top_ranks, read_head(item).spent) == (False, None)


def test_an_item_of_a_newer_schema_is_refused_rather_than_misread() -> None:
    head = head_item(KEY, Head("source-bucket/key")) | {"schema": {"N": str(SCHEMA + 1)}}
    row = row_item(KEY, "source-bucket/key", 1, "v", _row()) | {"schema": {"N": str(SCHEMA + 1)}}
    breaker = breaker_key("replica-bucket") | {"schema": {"N": str(SCHEMA + 1)}}
    for read, item in ((read_head, head), (read_row, row), (read_breaker, breaker)):
        with pytest.raises(RetryableError, match="finish the deployment") as refused:
            read(item)
        assert refused.value.reason is Reason.LEDGER_UNAVAILABLE


def test_an_attribute_nobody_knows_yet_does_not_disturb() -> None:
    head = Head("source-bucket/key", rows={"v": _row()})
    item = head_item(KEY, head) | {"news": {"M": {"a": {"L": [{"NULL": True}]}}}}
    assert read_head(item) == head
