"""Whether a version is the newest is found with few rows, as if all of them had been read."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.ledger import Head, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.order import Place, place_by_list, place_by_sequencer
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.usecases.leased_key import LeasedKey

KEY = LedgerKey("replica", "key")


class _Ledger:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.read = 0

    def put_rows(self, _key: object, _source: object, _generation: object, rows: dict[str, Row]) -> None:
        self.rows |= rows

    def write(self, _key: object, _token: object, _head: object) -> None: ...

    def spilled(self, _key: object, _source: object, _in_time: object) -> dict[str, Row]:
        self.read += len(self.rows)
        return dict(self.rows)


class _Source:
    def __init__(self, listed: list[ListedVersion]) -> None:
        self.listed = listed

    def versions(self, *_: object) -> list[ListedVersion]:
        return self.listed


class _Engine:
    def __init__(self, listed: list[ListedVersion]) -> None:
        self.ledger, self.source = _Ledger(), _Source(listed)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], dict[str, OrderFacts]]:
    """In the order of the source, oldest first: S3 dates no version before an older one, and its sequencers
    rise; an upload has none that counts, and what was there before has none at all."""
    names = [f"v{n}" for n in range(draw(st.integers(2, 9)))]
    moment, facts = 0, {}
    for number, name in enumerate(names):
        moment += draw(st.sampled_from([0, 0, 0, 1]))
        sequencer = draw(st.sampled_from([f"0A{number:02X}", f"0A{number:02X}", None]))
        facts[name] = OrderFacts(sequencer, float(moment), multipart=draw(st.integers(0, 4)) == 0)
    return names, facts


def row_of(order: OrderFacts, *, live: bool) -> Row:
    return Row(Kind.OBJECT, Status.COMPLETED, order, replica="replica" if live else None)


def leased_with(known: list[tuple[str, Row]], listed: list[ListedVersion], under_this: int = 0) -> LeasedKey:
    """Rows that came one after the other, and have spilled as they do: so many of them ``under_this`` lease,
    the others under one before."""
    engine: Any = _Engine(listed)
    head = Head("source/key", lease=Lease("token", 1.0))
    leased = LeasedKey(engine, KEY, "source/key", "token", head, announced=None)
    before = len(known) - under_this
    for number, (vid, row) in enumerate(known):
        if number == before:
            leased = LeasedKey(engine, KEY, "source/key", "token", leased.head, announced=None)
        leased.set_row(vid, row)
        leased.write()
    if under_this:
        return leased
    return LeasedKey(engine, KEY, "source/key", "token", leased.head, announced=None)


@given(histories(), st.data())
def test_few_rows_tell_what_all_of_them_do(
    history: tuple[list[str], dict[str, OrderFacts]], data: st.DataObject
) -> None:
    names, facts = history
    asked = data.draw(st.sampled_from(names))
    come = [name for name in data.draw(st.permutations(names)) if name != asked]
    known = [(name, row_of(facts[name], live=data.draw(st.integers(0, 4)) > 0)) for name in come]
    there = {name for name in names if data.draw(st.integers(0, 3)) > 0} | {asked}
    listed = [ListedVersion(name, Kind.OBJECT, facts[name].last_modified) for name in reversed(names)]
    listed = [one for one in listed if one.version_id in there]
    leased = leased_with(known, listed, data.draw(st.integers(0, len(known))))
    work: Any = _Work(asked, facts[asked])

    live = {name: row.order for name, row in known if row.live}
    everything = place_by_sequencer(facts[asked], live)
    if everything is Place.UNKNOWN:
        everything = place_by_list(asked, facts[asked], live, listed)
    assert leased.place(work) is everything


class _Work:
    def __init__(self, version_id: str, order: OrderFacts) -> None:
        self.version_id, self.order = version_id, order


def test_what_no_sequencer_ranks_is_not_passed_over_within_a_second() -> None:
    """``a`` and ``b`` have spilled; ``a``, an upload, is the newest of all."""
    facts = {
        "a": OrderFacts(None, 1.0, multipart=True),
        "b": OrderFacts("0A01", 1.0),
        "c": OrderFacts("0A02", 1.0),
        "d": OrderFacts("0B", 1.0, multipart=True),
        "e": OrderFacts("0C", 1.0, multipart=True),
    }
    listed = [ListedVersion(name, Kind.OBJECT, 1.0) for name in ("a", "c", "b", "d", "e")]
    leased = leased_with([(name, row_of(facts[name], live=True)) for name in "deba"], listed)
    assert set(leased.head.rows) == {"d", "e"}
    work: Any = _Work("c", facts["c"])
    assert leased.place(work) is Place.LATE


@pytest.mark.parametrize("under_this", [0, 1, 2])
def test_what_spilled_within_a_second_before_this_lease_is_not_passed_over(under_this: int) -> None:
    """``a``, the newest of all, was written by who held the key before; nothing but the list orders them."""
    facts = OrderFacts(None, 1.0)
    listed = [ListedVersion(name, Kind.OBJECT, 1.0) for name in "aedcb"]
    known = [(name, row_of(facts, live=True)) for name in "abcd"]
    leased = leased_with(known, listed, under_this)
    assert "a" not in leased.head.live()
    work: Any = _Work("e", facts)
    assert leased.place(work) is Place.LATE


def test_of_a_second_that_began_under_this_lease_nothing_is_read() -> None:
    earlier = [(f"e{n}", row_of(OrderFacts(None, 1.0), live=True)) for n in range(10)]
    later = [(f"l{n}", row_of(OrderFacts(None, 2.0), live=True)) for n in range(10)]
    names = ["new", *(name for name, _ in reversed([*earlier, *later]))]
    listed = [ListedVersion(name, Kind.OBJECT, 1.0 + (name[0] != "e")) for name in names]
    leased = leased_with([*earlier, *later], listed, len(later))
    work: Any = _Work("new", OrderFacts(None, 2.0))
    assert leased.place(work) is Place.NEWEST
    engine: Any = leased._engine
    assert engine.ledger.read == 0


def test_what_ranks_within_a_second_is_not_read_again() -> None:
    facts = [OrderFacts(f"0A{number:02X}", 1.0) for number in range(50)]
    leased = leased_with([(f"v{n}", row_of(one, live=True)) for n, one in enumerate(facts)], [])
    assert leased.head.top_ranks
    work: Any = _Work("new", OrderFacts("0B", 1.0))
    assert leased.place(work) is Place.NEWEST
    engine: Any = leased._engine
    assert engine.ledger.read == 0


def test_what_has_been_lost_of_a_head_is_found_again() -> None:
    """A former release wrote the head: it knows nothing of the sequencers of a second."""
    facts = [OrderFacts(f"0A{number:02X}", 1.0) for number in range(50)]
    leased = leased_with([(f"v{n}", row_of(one, live=True)) for n, one in enumerate(facts)], [])
    former = replace(leased.head, top_ranks=False, lease=Lease("token", 1.0))
    engine: Any = leased._engine
    again = LeasedKey(engine, KEY, "source/key", "token", former, announced=None)
    work: Any = _Work("new", OrderFacts("0B", 1.0))
    assert again.place(work) is Place.NEWEST
    assert engine.ledger.read == 48
    assert again.head.top_ranks
