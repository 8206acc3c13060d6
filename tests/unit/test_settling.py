"""``decide``: one step at a time, from what is to what should be."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions import settling
from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.ledger import OrderFacts, Row, Status
from s3replicator.decisions.settling import Publish, Record, Remove, Sides, Step, Wish, decide
from s3replicator.decisions.versions import Kind, ListedVersion

SKIP = Wish(late=LateVersions.SKIP)


def listed(*names: str, size: int = 1) -> tuple[ListedVersion, ...]:
    """Given oldest first, as people think; a name that begins with m is a delete marker."""
    return tuple(
        ListedVersion(name, kind_of(name), float(age), size=size, latest=age == len(names) - 1)
        for age, name in reversed(list(enumerate(names)))
    )


def kind_of(name: str) -> Kind:
    return Kind.MARKER if name.startswith("m") else Kind.OBJECT


def row(name: str, replica: str | None = None, status: Status | None = None, age: float = 0) -> Row:
    """COMPLETED with a replica, PENDING without."""
    status = status or (Status.COMPLETED if replica else Status.PENDING)
    return Row(kind_of(name), status, OrderFacts(None, age), replica=replica)


def rows(**replicas: str | None) -> dict[str, Row]:
    """By version; the order of the arguments is their age."""
    return {name: row(name, replica, age=age) for age, (name, replica) in enumerate(replicas.items())}


def asked(*names: str, late: LateVersions = LateVersions.REPLAY) -> Wish:
    return Wish(asked=frozenset(names), late=late)


def test_a_key_in_order_needs_nothing() -> None:
    assert decide(rows(a="ra", b="rb"), Sides(listed("a", "b"), listed("ra", "rb")), Wish()) is None


def test_what_is_asked_for_is_published() -> None:
    assert decide(rows(a=None), Sides(listed("a"), ()), asked("a")) == Publish("a")


def test_what_nobody_has_asked_for_is_not_touched() -> None:
    """A rule without existing objects does not pull old versions in."""
    assert decide(rows(b="rb"), Sides(listed("a", "b"), listed("rb")), Wish()) is None
    assert decide(rows(a=None, b="rb"), Sides(listed("a", "b"), listed("rb")), Wish()) is None


def test_a_late_version_goes_below_the_newer_ones() -> None:
    """Scenario 80: the late one, then every newer one again, then what that leaves behind."""
    known = rows(a=None, b="rb")
    source = listed("a", "b")
    assert decide(known, Sides(source, listed("rb")), asked("a")) == Publish("a")
    known["a"] = row("a", "ra")
    assert decide(known, Sides(source, listed("rb", "ra")), Wish()) == Publish("b")
    known["b"] = replace(row("b", "rb2", age=1), left=("rb",))
    assert decide(known, Sides(source, listed("rb", "ra", "rb2")), Wish()) == Remove("b", "rb")
    known["b"] = row("b", "rb2", age=1)
    assert decide(known, Sides(source, listed("ra", "rb2")), Wish()) is None


def test_a_late_version_that_waits_is_taken_along() -> None:
    """Several late ones are replayed together: whoever settles first does it for all of them."""
    waiting = replace(row("b", age=1), reason="LateVersion")
    known = {"a": row("a"), "b": waiting, "c": row("c", "rc", age=2)}
    sides = Sides(listed("a", "b", "c"), listed("rc", "ra"))
    known["a"] = row("a", "ra")
    assert decide(known, sides, asked("a")) == Publish("b")


def test_a_version_that_backs_off_is_not_taken_along() -> None:
    backing_off = replace(row("a"), reason="Throttled", due=1.0)
    assert (
        decide({"a": backing_off, "b": row("b", "rb")}, Sides(listed("a", "b"), listed("rb")), Wish()) is None
    )


def test_what_was_tried_in_vain_holds_up_nothing() -> None:
    wish = replace(asked("a", "b"), failed=frozenset({"a"}))
    assert decide(rows(a=None, b=None), Sides(listed("a", "b"), ()), wish) == Publish("b")


@pytest.mark.parametrize("late", ["a", "m"])
def test_a_late_version_is_left_out_where_the_rule_says_so_and_a_late_marker_always(late: str) -> None:
    known = {late: row(late), "b": row("b", "rb", age=1)}
    step = decide(known, Sides(listed(late, "b"), listed("rb")), asked(late, late=LateVersions.SKIP))
    assert isinstance(step, Record)
    assert step.rows[late].status is Status.SUPERSEDED
    if late == "m":
        assert decide(known, Sides(listed(late, "b"), listed("rb")), asked(late)) == step


def test_what_was_left_out_is_wanted_again_when_nothing_newer_is_left() -> None:
    """Otherwise the source shows it and the destination shows nothing."""
    known = {"a": row("a", status=Status.SUPERSEDED)}
    assert decide(known, Sides(listed("a"), ()), SKIP) == Publish("a")


def test_only_the_newest_of_those_left_out_comes_back() -> None:
    known = {name: row(name, status=Status.SUPERSEDED) for name in ("a", "b")}
    assert decide(known, Sides(listed("a", "b"), ()), SKIP) == Publish("b")


def test_what_was_left_out_stays_so_while_something_newer_is_there() -> None:
    known = {"a": row("a", status=Status.SUPERSEDED), "b": row("b", "rb", age=1)}
    assert decide(known, Sides(listed("a", "b"), listed("rb")), Wish()) is None


def test_a_replay_of_too_many_versions_is_left_out_and_says_why() -> None:
    newer = [f"n{number}" for number in range(settling.MOST_NEWER_VERSIONS + 1)]
    known = {"a": row("a")} | {name: row(name, f"r{name}") for name in newer}
    sides = Sides(listed("a", *newer), listed(*(f"r{name}" for name in newer)))
    step = decide(known, sides, asked("a"))
    assert isinstance(step, Record)
    assert (step.rows["a"].status, step.rows["a"].reason) == (Status.SUPERSEDED, "ReplayTooLarge")

    fewer = Sides(listed("a", *newer[1:]), listed(*(f"r{name}" for name in newer[1:])))
    known.pop(newer[0])
    assert decide(known, fewer, asked("a")) == Publish("a")


def test_a_replay_of_too_many_bytes_is_left_out() -> None:
    source = listed("a", "b")
    for size, left_out in ((settling.MOST_NEWER_BYTES, False), (settling.MOST_NEWER_BYTES + 1, True)):
        step = decide(rows(a=None, b="rb"), Sides(source, listed("rb", size=size)), asked("a"))
        assert isinstance(step, Record) is left_out


def test_a_version_that_is_gone_and_has_no_replica_leaves_a_tombstone() -> None:
    for status in (Status.PENDING, Status.FAILED, Status.SUPERSEDED, Status.NOT_ELIGIBLE):
        step = decide({"a": row("a", status=status)}, Sides((), ()), Wish())
        assert isinstance(step, Record)
        assert step.rows["a"].status is Status.TOMBSTONE


def test_a_version_that_is_gone_keeps_its_replica() -> None:
    """Its deletion is not replicated, or nobody has told of it: a lifecycle expiration never is."""
    assert decide(rows(a="ra", b="rb"), Sides(listed("b"), listed("ra", "rb")), Wish()) is None


def test_what_is_gone_and_was_tried_in_vain_is_not_tried_for_ever() -> None:
    wish = replace(SKIP, failed=frozenset({"g"}))
    known = {"a": row("a", "ra"), "g": row("g", "rg", age=1), "b": row("b", "rb", age=2)}
    sides = Sides(listed("a", "b"), listed("rg", "ra", "rb"))
    assert decide(known, sides, SKIP) == Publish("g")
    assert decide(known, sides, wish) is None


def test_what_was_left_out_does_not_move_what_is_gone() -> None:
    """All of one second. Else what is in order would be copied again, over what others have written above."""
    known = {"a": row("a", status=Status.SUPERSEDED), "b": row("b", "rb"), "g": row("g", "rg")}
    known["c"] = row("c", "rc")
    assert decide(known, Sides(listed("a", "b", "c"), listed("rb", "rg", "rc")), SKIP) is None


def test_a_replica_whose_source_is_gone_is_copied_again_in_its_place() -> None:
    """b is gone, a comes late: without b on top again, a would become current."""
    known = {"a": row("a", "ra", age=1), "b": row("b", "rb", age=2)}
    assert decide(known, Sides(listed("a"), listed("rb", "ra")), Wish()) == Publish("b")


def test_a_version_that_somebody_deleted_loses_its_replica() -> None:
    """Scenarios 62, 68: noncurrent, current, or a delete marker."""
    for name in ("a", "b", "m"):
        known = rows(a="ra", b="rb", m="rm")
        known[name] = replace(known[name], purged=True)
        rest = [other for other in known if other != name]
        step = decide(known, Sides(listed(*rest), listed("ra", "rb", "rm")), Wish())
        assert step == Remove(name, f"r{name}")


def test_a_delete_that_is_held_back_changes_nothing() -> None:
    known = {"a": row("a", "ra"), "b": replace(row("b", "rb", age=1), purged=True)}
    wish = Wish(kept=frozenset({"rb"}))
    assert decide(known, Sides(listed("a"), listed("ra", "rb")), wish) is None


def test_a_replica_that_others_removed_is_lost_and_not_copied_again() -> None:
    """A destination's lifecycle rule would be fought otherwise."""
    step = decide(rows(a="ra", b="rb"), Sides(listed("a", "b"), listed("rb")), Wish())
    assert isinstance(step, Record)
    lost = step.rows["a"]
    assert (lost.status, lost.lost, lost.replica) == (Status.COMPLETED, True, None)
    known = {"a": lost, "b": row("b", "rb", age=1)}
    assert decide(known, Sides(listed("a", "b"), listed("rb")), Wish()) is None
    assert decide(known, Sides(listed("a", "b"), listed("rb")), asked("a")) == Publish("a")


def test_what_is_older_than_a_lost_replica_is_late() -> None:
    known = {"a": row("a"), "b": replace(row("b", age=1), status=Status.COMPLETED, lost=True)}
    step = decide(known, Sides(listed("a", "b"), ()), asked("a", late=LateVersions.SKIP))
    assert isinstance(step, Record)
    assert step.rows["a"].status is Status.SUPERSEDED


def test_a_marker_that_may_be_foreign_is_never_removed_but_covered() -> None:
    """Undelete after a crash: the key shows its object again, and nobody else's marker is gone."""
    doubtful = replace(row("m", "rm", age=1), doubt=True, purged=True)
    sides = Sides(listed("a"), listed("ra", "rm"))
    step = decide({"a": row("a", "ra"), "m": doubtful}, sides, Wish())
    assert isinstance(step, Record)
    assert (step.rows["m"].status, step.rows["m"].stray) == (Status.TOMBSTONE, ("rm",))
    assert decide({"a": row("a", "ra"), "m": step.rows["m"]}, sides, Wish()) == Publish("a")
    again = replace(row("a", "ra2"), left=("ra",))
    covered = Sides(listed("a"), listed("ra", "rm", "ra2"))
    assert decide({"a": again, "m": step.rows["m"]}, covered, Wish()) == Remove("a", "ra")


def test_what_the_destination_refuses_to_remove_is_covered() -> None:
    blocked = replace(row("b", status=Status.TOMBSTONE, age=1), blocked=("rb",))
    sides = Sides(listed("a"), listed("ra", "rb"))
    assert decide({"a": row("a", "ra"), "b": blocked}, sides, Wish()) == Publish("a")


def test_what_is_foreign_is_left_where_it_is() -> None:
    sides = Sides(listed("a"), listed("foreign", "ra", "another"))
    assert decide(rows(a="ra"), sides, Wish()) is None


def test_an_id_to_be_removed_that_is_gone_already_is_forgotten() -> None:
    known = {"a": replace(row("a", "ra"), left=("rb",))}
    step = decide(known, Sides(listed("a"), listed("ra")), Wish())
    assert isinstance(step, Record)
    assert step.rows["a"].left == ()


# -- whatever state a key is in, following the steps ends, and ends right


@st.composite
def keys(draw: st.DrawFn) -> tuple[dict[str, Row], list[str], list[str], Wish]:
    """Rows, the source's versions and the destination's, oldest first."""
    names = [f"v{n}" for n in range(draw(st.integers(1, 5)))]
    source = [name for name in names if draw(st.integers(0, 3))]
    replicas: list[str] = []
    known: dict[str, Row] = {}
    for age, name in enumerate(names):
        status = draw(st.sampled_from([Status.COMPLETED, Status.PENDING, Status.SUPERSEDED, Status.FAILED]))
        replica = f"r{name}" if status is Status.COMPLETED else None
        left = (f"x{name}",) if draw(st.booleans()) else ()
        here = [one for one in (replica, *left) if one is not None and draw(st.integers(0, 4))]
        replicas += here
        purged = name not in source and draw(st.booleans())
        known[name] = replace(row(name, replica, status, age), left=left, purged=purged)
        if draw(st.integers(0, 4)) == 0:
            del known[name]
    replicas += ["foreign"]
    wish = Wish(
        asked=frozenset(name for name in known if draw(st.booleans())),
        late=draw(st.sampled_from(LateVersions)),
    )
    return known, source, draw(st.permutations(replicas)), wish


@given(keys())
def test_following_the_steps_ends_with_every_replica_in_the_order_of_the_source(
    key: tuple[dict[str, Row], list[str], list[str], Wish],
) -> None:
    known, source, destination, wish = key
    names = sorted({*known, *source})
    facts = {name: age for age, name in enumerate(names)}
    for number in range(200):
        step = decide(known, Sides(_with_ages(source, facts), listed(*destination)), wish)
        if step is None:
            break
        _take(step, known, destination, number)
    else:
        raise AssertionError("it does not end")

    assert "foreign" in destination
    live = [name for name in names if name in known and known[name].live]
    places = [destination.index(str(known[name].replica)) for name in live]
    assert places == sorted(places), "the replicas stand in the order of their sources"
    assert not any(one.left for one in known.values())
    for name, one in known.items():
        if one.purged:
            assert one.status is Status.TOMBSTONE
        if name in wish.asked and name in source:
            superseded = one.status is Status.SUPERSEDED
            assert one.live or superseded or one.lost
            if superseded or one.lost:
                assert wish.late is LateVersions.SKIP or one.lost or superseded
        if one.status is Status.SUPERSEDED:
            newer = [other for other in names if facts[other] > facts[name] and other in known]
            assert any(known[other].live or known[other].lost for other in newer), "something newer stands"


def _with_ages(names: Sequence[str], facts: dict[str, int]) -> tuple[ListedVersion, ...]:
    return tuple(ListedVersion(name, Kind.OBJECT, float(facts[name])) for name in sorted(names, reverse=True))


def _take(step: Step, known: dict[str, Row], destination: list[str], number: int) -> None:
    match step:
        case Record(changed):
            for name, one in changed.items():
                assert one != known[name], "a step changes something"
                before = known[name].status
                if before is Status.COMPLETED:
                    assert one.status in (Status.COMPLETED, Status.TOMBSTONE)
                known[name] = one
        case Publish(name):
            old = known[name]
            left = (*old.left, old.replica) if old.replica else old.left
            replica = f"p{number}"
            known[name] = replace(old, status=Status.COMPLETED, replica=replica, left=left, lost=False)
            destination.append(replica)
        case Remove(name, replica):
            assert replica in known[name].ids(), "only what the ledger knows as ours is removed"
            destination.remove(replica)
            old = known[name]
            if replica == old.replica:
                known[name] = settling.tombstone(old)
            else:
                known[name] = replace(old, left=tuple(one for one in old.left if one != replica))
