"""What a comparison of both sides with the ledger finds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.drift import Drift, Finding, compare, foreign_on_top, unknown_objects
from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.settling import Sides
from tests.unit.test_settling import listed, row, rows


def found(
    known: dict[str, Row], sides: Sides, *wanted: str, interrupted: bool = False, shared: bool = False
) -> list[tuple[Drift, str]]:
    findings = compare(known, sides, wanted, interrupted=interrupted, shared=shared)
    return [(finding.drift, finding.version_id) for finding in findings]


@given(st.lists(st.sampled_from(["object", "marker"]), max_size=6))
def test_a_key_in_order_shows_no_drift(kinds: list[str]) -> None:
    names = [f"{'m' if kind == 'marker' else 'v'}{number}" for number, kind in enumerate(kinds)]
    known = {name: row(name, f"{name}r", age=age) for age, name in enumerate(names)}
    sides = Sides(listed(*names), listed(*(f"{name}r" for name in names)))
    assert found(known, sides, *names) == []


def test_a_version_that_no_row_knows_is_missing() -> None:
    sides = Sides(listed("a", "b", "c"), listed("ra"))
    assert found(rows(a="ra"), sides, "a", "b") == [(Drift.MISSING, "b")]


def test_a_replica_that_is_not_there_is_lost() -> None:
    sides = Sides(listed("a", "b"), listed("rb"))
    assert found(rows(a="ra", b="rb"), sides) == [(Drift.LOST, "a")]


def test_what_is_known_to_be_lost_is_no_news() -> None:
    known = {"a": replace(row("a", status=Status.COMPLETED), lost=True)}
    assert compare(known, Sides(listed("a"), ()), (), interrupted=False, shared=False) == [
        Finding(Drift.LOST, "a", known=True)
    ]


def test_the_replica_of_a_version_that_is_gone_is_no_drift() -> None:
    """Its source was deleted, and the destination keeps it; or both sides' lifecycles removed it."""
    assert found(rows(a="ra", b="rb"), Sides(listed("b"), listed("ra", "rb"))) == []
    assert found(rows(a="ra", b="rb"), Sides(listed("b"), listed("rb"))) == []


def test_replicas_in_another_order_than_their_sources() -> None:
    sides = Sides(listed("a", "b"), listed("rb", "ra"))
    assert found(rows(a="ra", b="rb"), sides) == [(Drift.WRONG_ORDER, "b")]


def test_a_former_copy_that_is_still_there() -> None:
    known = {"a": replace(row("a", "new"), left=("old",))}
    assert found(known, Sides(listed("a"), listed("old", "new"))) == [(Drift.TWICE, "a")]


def test_a_repair_that_nobody_goes_on_with() -> None:
    sides = Sides(listed("a", "b"), listed("ra", "rb"))
    assert found(rows(a="ra", b="rb"), sides, interrupted=True) == [(Drift.UNSETTLED, "b")]


def test_what_waits_for_its_time_is_no_drift() -> None:
    known = {"a": replace(row("a"), reason="Throttled", due=5.0), "b": row("b", "rb", age=1)}
    assert found(known, Sides(listed("a", "b"), listed("rb"))) == []


def test_somebody_else_has_written_on_top() -> None:
    sides = Sides(listed("a"), listed("ra", "foreign"))
    assert found(rows(a="ra"), sides) == [(Drift.OVERWRITTEN, "a")]
    # Where a peer replicates to the same bucket, that is as it should be.
    assert found(rows(a="ra"), sides, shared=True) == []
    assert foreign_on_top(rows(a="ra"), sides) == ("a", ["foreign"])
    assert found(rows(a="ra"), Sides(listed("a"), listed("foreign", "ra"))) == []


def test_objects_that_no_row_knows_have_to_be_looked_at() -> None:
    known = {"a": replace(row("a", "ra"), left=("left",), stray=("stray",))}
    assert unknown_objects(known, listed("left", "stray", "other", "m1", "ra")) == ["other"]
