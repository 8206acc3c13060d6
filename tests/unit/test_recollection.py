"""Rows for replicas that say by themselves what they are."""

from dataclasses import replace

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.recollection import Recognised, recollect, users_copies
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.versions import ListedVersion
from tests.unit.test_settling import listed, row


def recalled(
    known: dict[str, Row],
    source: tuple[ListedVersion, ...],
    destination: tuple[ListedVersion, ...],
    markers: bool = True,
    **of: str,
) -> dict[str, Row]:
    recognised = {replica: Recognised(vid, f"nonce of {replica}") for replica, vid in of.items()}
    return recollect(known, Sides(source, destination), recognised, markers=markers)


def replicas(found: dict[str, Row]) -> dict[str, str | None]:
    return {vid: one.replica for vid, one in found.items()}


def test_an_empty_ledger_is_filled_from_the_stamps() -> None:
    found = recalled({}, listed("a", "b"), listed("ra", "rb"), ra="a", rb="b")
    assert replicas(found) == {"a": "ra", "b": "rb"}
    assert {one.status for one in found.values()} == {Status.COMPLETED}
    assert found["b"].order.last_modified == 1
    assert not any(one.doubt for one in found.values())


def test_markers_are_recognised_by_their_places() -> None:
    source = listed("m0", "a", "m1", "m2", "b", "m3")
    destination = listed("mA", "ra", "mB", "mC", "rb", "mD")
    found = recalled({}, source, destination, ra="a", rb="b")
    assert replicas(found) == {"a": "ra", "b": "rb", "m0": "mA", "m1": "mB", "m2": "mC", "m3": "mD"}
    # A marker says nothing of its own, so none is ever removed.
    assert {vid for vid, one in found.items() if one.doubt} == {"m0", "m1", "m2", "m3"}


def test_markers_that_cannot_be_told_apart_stay_unknown() -> None:
    found = recalled({}, listed("a", "m1", "m2"), listed("ra", "mB"), ra="a")
    assert replicas(found) == {"a": "ra"}


def test_no_markers_where_none_are_replicated() -> None:
    assert replicas(recalled({}, listed("a", "m1"), listed("ra", "mB"), markers=False, ra="a")) == {"a": "ra"}


def test_a_second_replica_is_never_removed() -> None:
    """A user's copy of our replica, in its own place, bears its stamp."""
    found = recalled({"a": row("a", "ra")}, listed("a"), listed("ra", "again"), again="a")
    assert found == {"a": replace(row("a", "ra"), stray=("again",))}


def test_of_several_replicas_of_an_unknown_version_the_oldest_counts() -> None:
    found = recalled({}, listed("a"), listed("r1", "r2"), r1="a", r2="a")
    assert found["a"].replica == "r1"
    assert found["a"].stray == ("r2",)


def test_a_copy_of_a_replica_that_is_gone_is_in_doubt() -> None:
    lost = replace(row("a", status=Status.COMPLETED), lost=True, nonce="nonce of copy")
    found = recalled({"a": lost}, listed("a"), listed("copy"), copy="a")
    assert found["a"].replica == "copy"
    assert found["a"].doubt
    assert not found["a"].lost


def test_what_waited_to_be_copied_is_there() -> None:
    waiting = replace(row("a"), reason="Throttled", due=5.0, attempts=3)
    found = recalled({"a": waiting}, listed("a"), listed("ra"), ra="a")
    assert (found["a"].status, found["a"].due, found["a"].reason) == (Status.COMPLETED, None, None)


def test_the_replica_of_a_version_that_is_gone_stays_unknown() -> None:
    assert recalled({}, listed("b"), listed("ra"), ra="a") == {}


def test_replicas_of_amazons_own_are_adopted_and_never_removed() -> None:
    source = listed("a", "m1")
    recognised = {"a": Recognised("a")}
    found = recollect({}, Sides(source, listed("a", "m1")), recognised, markers=True)
    assert replicas(found) == {"a": "a", "m1": "m1"}
    assert all(one.doubt for one in found.values())


def copies(size: int = 1, digest: str | None = "bytes", etag: str = "bytes") -> dict[str, str]:
    """What of an object with the nonce of a replica of one byte, and this ETag, is a user's copy of it."""
    known = {"a": replace(row("a", "ra"), nonce="nonce")}
    [replica] = listed("ra")
    copy = replace(replica, version_id="copy", size=size)
    recognised = {"copy": Recognised("a", "nonce", digest)}
    return users_copies(known, (copy, replace(replica, etag=etag)), recognised)


def test_a_copy_has_the_nonce_and_the_bytes_of_a_replica() -> None:
    assert copies() == {"copy": "a"}
    assert copies(size=2) == copies(digest="other") == {}
    # One of the two tells nothing of its bytes.
    assert copies(digest=None) == copies(digest="other", etag="parts-2") == {"copy": "a"}


def test_what_nobody_could_compare_is_in_doubt_and_not_copied_from() -> None:
    unproven = {"ra": Recognised("a", "nonce", proven=False)}
    found = recollect({}, Sides(listed("a"), listed("ra")), unproven, markers=True)["a"]
    assert (found.replica, found.doubt, found.proven, found.copyable) == ("ra", True, False, False)


def test_of_several_the_oldest_that_is_proven_counts() -> None:
    recognised = {"r1": Recognised("a", "1", proven=False), "r2": Recognised("a", "2"), "r3": Recognised("a")}
    found = recollect({}, Sides(listed("a"), listed("r1", "r2", "r3")), recognised, markers=True)["a"]
    assert (found.replica, found.doubt) == ("r2", False)
    assert set(found.stray) == {"r1", "r3"}


def test_what_amazon_replicated_is_in_doubt_and_holds_what_it_should() -> None:
    found = recollect({}, Sides(listed("a"), listed("a")), {"a": Recognised("a")}, markers=True)["a"]
    assert (found.doubt, found.proven, found.copyable) == (True, True, True)


def test_a_marker_is_never_proven() -> None:
    found = recalled({}, listed("a", "m1"), listed("ra", "mB"), ra="a")["m1"]
    assert (found.doubt, found.proven) == (True, False)
