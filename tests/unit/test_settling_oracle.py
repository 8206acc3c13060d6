"""The quick ``decide`` says what the one says that looks at everything, and foretells what it will say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import OrderFacts, Row, Status
from s3replicator.decisions.settling import (
    Publish,
    Record,
    Remove,
    Replays,
    Sides,
    Step,
    Wish,
    decide,
    plan,
    tombstone,
)
from s3replicator.decisions.versions import Kind, ListedVersion
from tests.unit import settling_oracle

#: What is found is told at once: a key of 150 versions takes minutes to be made smaller.
UNSHRUNK = [Phase.explicit, Phase.generate]

STATUSES = [Status.COMPLETED] * 5 + list(Status)
REASONS = [
    None,
    None,
    None,
    Reason.LATE_VERSION,
    Reason.UNSETTLED,
    Reason.THROTTLED,
    Reason.DST_OBJECT_LOCKED,
]


@dataclass
class Key:
    rows: dict[str, Row]
    source: Sequence[ListedVersion]
    destination: list[ListedVersion]
    wish: Wish

    @property
    def sides(self) -> Sides:
        return Sides(self.source, self.destination)

    def take(self, step: Step, number: int) -> None:
        """As it is meant to end."""
        match step:
            case Record(changed):
                self.rows |= changed
            case Publish(vid):
                self._publish(vid, f"published-{number}")
            case Remove(vid, replica):
                self.destination = [one for one in self.destination if one.version_id != replica]
                row = self.rows[vid]
                left = tuple(one for one in row.left if one != replica)
                self.rows[vid] = tombstone(row) if replica == row.replica else replace(row, left=left)

    def _publish(self, vid: str, replica: str) -> None:
        row = self.rows[vid]
        old = (row.replica,) if row.replica is not None else ()
        self.rows[vid] = replace(
            row,
            status=Status.COMPLETED,
            replica=replica,
            stray=row.stray + (old if row.doubt else ()),
            left=row.left + (() if row.doubt else old),
            doubt=False,
            lost=False,
            reason=None,
        )
        self.destination = [ListedVersion(replica, row.kind, 0.0, size=1), *self.destination]


@st.composite
def orders(draw: st.DrawFn, latest: int) -> OrderFacts:
    sequencer = draw(st.sampled_from([None, None, "1", "10", "2", "20", "A", "0"]))
    return OrderFacts(sequencer, float(draw(st.integers(0, latest))), multipart=draw(st.integers(0, 4)) == 0)


@st.composite
def keys(draw: st.DrawFn, most: int = 9, times: int = 3) -> Key:
    """Whatever rows may say, whatever is listed."""
    names = [f"v{n}" for n in range(draw(st.integers(1, most)))]
    listed = [name for name in draw(st.permutations(names)) if draw(st.booleans())]
    kinds = {name: draw(st.sampled_from([Kind.OBJECT, Kind.OBJECT, Kind.MARKER])) for name in names}
    rows, there = dict[str, Row](), ["foreign"]
    for name in names:
        if draw(st.integers(0, 7)) == 0:
            continue
        ids = {one: f"{one}-{name}" for one in ("replica", "left", "blocked", "stray")}
        has = {one for one in ids if draw(st.integers(0, 3 if one == "replica" else 1)) != 0} - (
            {"blocked"} if draw(st.booleans()) else set()
        )
        # What is blocked or stray, and not there any more, is forgotten first.
        there += [ids[one] for one in has if one in ("blocked", "stray") or draw(st.integers(0, 5))]
        status = draw(st.sampled_from(STATUSES))
        rows[name] = Row(
            kinds[name],
            status,
            draw(orders(times)),
            replica=ids["replica"] if "replica" in has and status is not Status.TOMBSTONE else None,
            left=(ids["left"],) if "left" in has else (),
            blocked=(ids["blocked"],) if "blocked" in has else (),
            stray=(ids["stray"],) if "stray" in has else (),
            doubt=draw(st.integers(0, 5)) == 0,
            lost=draw(st.integers(0, 7)) == 0,
            purged=name not in listed and draw(st.integers(0, 2)) == 0,
            reason=draw(st.sampled_from(REASONS)),
        )
    some = st.sets(st.sampled_from(names), max_size=3).map(frozenset)
    destination = draw(st.permutations(there))
    return Key(
        rows,
        [ListedVersion(name, kinds[name], 0.0) for name in listed],
        [ListedVersion(one, Kind.OBJECT, 0.0, size=draw(st.integers(0, 3))) for one in destination],
        Wish(
            asked=draw(some),
            late=draw(st.sampled_from(LateVersions)),
            failed=draw(some),
            kept=frozenset(draw(st.sets(st.sampled_from(there), max_size=2))),
            replays=draw(st.sampled_from([Replays(), Replays(1, 100), Replays(100, 2)])),
        ),
    )


@settings(max_examples=500, deadline=None, phases=UNSHRUNK)
@given(keys())
def test_the_same_step_as_by_looking_at_everything(key: Key) -> None:
    for number in range(60):
        step = decide(key.rows, key.sides, key.wish)
        assert step == settling_oracle.decide(key.rows, key.sides, key.wish)
        if step is None:
            return
        key.take(step, number)


@settings(max_examples=500, deadline=None, phases=UNSHRUNK)
@given(keys())
def test_what_is_planned_is_what_would_be_decided_when_its_time_has_come(key: Key) -> None:
    for number in range(20):
        steps = plan(key.rows, key.sides, key.wish)
        for turn, step in enumerate(steps):
            assert step == settling_oracle.decide(key.rows, key.sides, key.wish)
            key.take(step, 100 * number + turn)
        if not steps:
            return


@settings(max_examples=20, deadline=None, phases=UNSHRUNK)
@given(keys(most=150, times=12))
def test_the_same_step_where_there_are_many_versions(key: Key) -> None:
    for number in range(12):
        step = decide(key.rows, key.sides, key.wish)
        assert step == settling_oracle.decide(key.rows, key.sides, key.wish)
        if step is None:
            return
        key.take(step, number)
