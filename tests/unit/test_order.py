"""Which version is newer, told by sequencers where they can tell and by the source's list where not."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3replicator.decisions.ledger import OrderFacts, sequencer_rank
from s3replicator.decisions.order import Place, place_by_list, place_by_sequencer
from s3replicator.decisions.versions import Kind, ListedVersion
from tests.unit.strategies import sequencers

EARLY, LATER = "0055AED6DCD90281E5", "0055AED6DCD90281F0"


Facts = Callable[[str | None], OrderFacts]


def plain(sequencer: str | None, last_modified: float = 0.0) -> OrderFacts:
    return OrderFacts(sequencer, last_modified)


def uploaded(sequencer: str | None, last_modified: float = 0.0) -> OrderFacts:
    return OrderFacts(sequencer, last_modified, multipart=True)


def listing(*newest_first: str) -> list[ListedVersion]:
    return [ListedVersion(version_id, Kind.OBJECT, 0.0) for version_id in newest_first]


# -- sequencers


def as_documented(sequencer: str) -> int:
    """Amazon: right pad the shorter value with zeros, and then do a lexicographical comparison."""
    return int(sequencer.ljust(64, "0"), 16)


@given(sequencers, sequencers)
@example("0A", "0A00")
@example("0", "000")
def test_sequencers_compare_as_documented_whatever_their_length(one: str, other: str) -> None:
    assert (sequencer_rank(one) < sequencer_rank(other)) == (as_documented(one) < as_documented(other))
    assert (sequencer_rank(one) == sequencer_rank(other)) == (as_documented(one) == as_documented(other))
    assert sequencer_rank(one.lower()) == sequencer_rank(one)


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [("0055AED6DCD90281E5", "0055AED6DCD90281E5A"), ("9", "A0"), ("0A", "0A01"), ("00", "0001")],
)
def test_a_longer_sequencer_is_not_a_greater_number_but_a_finer_one(shorter: str, longer: str) -> None:
    assert place_by_sequencer(plain(longer), {"v": plain(shorter)}) is Place.NEWEST
    assert place_by_sequencer(plain(shorter), {"v": plain(longer)}) is Place.LATE


@pytest.mark.parametrize(
    ("order", "others", "place"),
    [
        pytest.param(plain(EARLY), [], Place.NEWEST, id="the first of its key"),
        pytest.param(plain(None), [], Place.NEWEST, id="the first, without a sequencer"),
        pytest.param(uploaded(EARLY), [], Place.NEWEST, id="the first, an upload"),
        pytest.param(plain(LATER), [plain(EARLY)], Place.NEWEST, id="newer"),
        pytest.param(plain(EARLY), [plain(LATER)], Place.LATE, id="older"),
        pytest.param(plain("F0"), [plain("A0"), plain("E0")], Place.NEWEST, id="newer than all"),
        pytest.param(plain("B0"), [plain("A0"), plain("E0")], Place.LATE, id="older than one"),
        pytest.param(uploaded(LATER), [plain(EARLY)], Place.UNKNOWN, id="an upload is ranked by its start"),
        pytest.param(plain(LATER), [uploaded(EARLY)], Place.UNKNOWN, id="after an upload"),
        pytest.param(plain(EARLY), [uploaded(LATER)], Place.UNKNOWN, id="before an upload"),
        pytest.param(plain(None), [plain(EARLY)], Place.UNKNOWN, id="found by a list, not by an event"),
        pytest.param(plain(LATER), [plain(None)], Place.UNKNOWN, id="after one found by a list"),
        pytest.param(plain("B0"), [plain("E0"), uploaded("A0")], Place.LATE, id="older than one is enough"),
        pytest.param(plain("F0"), [plain("E0"), uploaded("A0")], Place.UNKNOWN, id="newer than one is not"),
    ],
)
def test_sequencers_decide_between_plain_writes_only(
    order: OrderFacts, others: list[OrderFacts], place: Place
) -> None:
    live = {str(number): other for number, other in enumerate(others)}
    assert place_by_sequencer(order, live) is place


# -- the list


@pytest.mark.parametrize("facts", [plain, uploaded])
def test_the_list_decides_where_sequencers_cannot(facts: Facts) -> None:
    listed = listing("new", "old")
    assert place_by_list("new", facts(None), {"old": facts(None)}, listed) is Place.NEWEST
    assert place_by_list("old", facts(None), {"new": facts(None)}, listed) is Place.LATE


def test_an_upload_completed_last_is_not_the_newest_if_it_was_started_first() -> None:
    """Start upload a, put b, complete a: a has the highest sequencer, and b is current."""
    listed = listing("b", "a")
    assert place_by_list("a", uploaded(LATER), {"b": plain(EARLY)}, listed) is Place.LATE
    assert place_by_list("b", plain(EARLY), {"a": uploaded(LATER)}, listed) is Place.NEWEST


def test_what_the_source_no_longer_lists_is_placed_by_its_time() -> None:
    purged = {"purged": uploaded(None, last_modified=50.0)}
    assert place_by_list("new", plain(None, 51.0), purged, listing("new")) is Place.NEWEST
    assert place_by_list("old", plain(None, 49.0), purged, listing("new", "old")) is Place.LATE


def test_in_a_tie_of_times_the_newest_of_the_source_wins_and_the_rest_stay() -> None:
    purged = {"purged": plain(None, last_modified=50.0)}
    listed = listing("new", "old")
    assert place_by_list("new", plain(None, 50.0), purged, listed) is Place.NEWEST
    assert place_by_list("old", plain(None, 50.0), purged, listed) is Place.LATE
    assert place_by_list("unlisted", plain(None, 50.0), purged, listed) is Place.LATE


def test_two_plain_writes_need_no_list_even_if_one_is_gone() -> None:
    assert place_by_list("v", plain(LATER), {"purged": plain(EARLY)}, []) is Place.NEWEST
    assert place_by_list("v", plain(EARLY), {"purged": plain(LATER)}, []) is Place.LATE


# -- against histories as S3 makes them


@dataclass(frozen=True)
class Written:
    """A version: S3 ranks and dates it by ``started``, its event's sequencer comes from ``ended``."""

    version_id: str
    started: int
    ended: int
    facts: OrderFacts


@st.composite
def histories(draw: st.DrawFn) -> list[Written]:
    """Versions of a key in the order S3 gives them, oldest first."""
    count = draw(st.integers(2, 16))
    moments = draw(st.permutations(range(1, count + 1)))
    written = []
    while moments:
        started = ended = moments.pop()
        interrupted: bool = draw(st.booleans())
        if moments and interrupted:
            started, ended = sorted((started, moments.pop()))
        padding = draw(st.sampled_from(["", "0", "00"]))
        sequencer = draw(st.sampled_from([None, f"{ended:04X}{padding}"]))
        facts = OrderFacts(sequencer, float(started // 3), multipart=started != ended)
        written.append(Written(f"v{started}", started, ended, facts))
    return sorted(written, key=lambda version: version.started)


@given(st.data(), histories())
def test_every_version_finds_the_place_s3_gave_it(data: st.DataObject, history: list[Written]) -> None:
    version = data.draw(st.sampled_from(history))
    live = data.draw(st.sets(st.sampled_from(history))) - {version}
    orders = {other.version_id: other.facts for other in live}
    listed = listing(*(each.version_id for each in reversed(history)))

    truth = Place.NEWEST if all(version.started > other.started for other in live) else Place.LATE
    assert place_by_sequencer(version.facts, orders) in (truth, Place.UNKNOWN)
    assert place_by_list(version.version_id, version.facts, orders, listed) is truth
