"""Replica or not: what decides, in which order, and what is remembered of it."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.events import Origin
from s3replicator.decisions.ledger import OrderFacts, Row, Status
from s3replicator.decisions.provenance import (
    MOST_LOOKED_AT,
    Evidence,
    Ground,
    JobAsks,
    Writer,
    can_be_stamped,
    decided_by,
    is_original_of,
    judge,
    may_be_copied,
    trace_of,
)
from s3replicator.decisions.replica import bears_stamp
from s3replicator.decisions.stamp import (
    METADATA_LIMIT,
    MOST_TRACED,
    Stamp,
    bucket_digest,
    has_room,
    without_stamp,
)
from s3replicator.decisions.versions import Kind, ListedVersion, SourceObject, VersionRef, version_name

A, B, C = "bucket-a", "bucket-b", "bucket-c"
KEY: Final = "reports/2026.csv"
NONCE: Final = "0b1f7a3e-6f0f-4a39-8d43-9f0f6ad0f2aa"
FULL: Final = {"note": "x" * 2000}


def version(
    metadata: Mapping[str, str] | None = None, bucket: str = B, *, native: bool = False
) -> SourceObject:
    ref = VersionRef(bucket, KEY, "v1")
    return SourceObject(ref, 10, '"etag"', 1.0, metadata=metadata or {}, native_replica=native)


def stamp_from(bucket: str, to: str = B, *, key: str = KEY, trace: frozenset[str] = frozenset()) -> Stamp:
    return Stamp.of(VersionRef(bucket, KEY, "origin"), NONCE, to, key, trace)


REPLICA: Final = version(stamp_from(A).metadata())
ASKED: Final = JobAsks(replicas=True)
ONLY_REPLICAS: Final = JobAsks(replicas=True, others=False)


# -- the rule, word for word


def test_a_stamp_that_names_another_place_says_nothing() -> None:
    copied = version(stamp_from(A, key="elsewhere").metadata())
    assert judge(Evidence(copied), A).ground is Ground.NO_STAMP
    assert judge(Evidence(copied), A).wanted


@pytest.mark.parametrize("object_", [REPLICA, version()])
def test_what_a_declared_peer_wrote_is_a_replica_whatever_it_bears(object_: SourceObject) -> None:
    verdict = judge(Evidence(object_, Writer.PEER), C)
    assert (verdict.ground, verdict.passed_over) == (Ground.PEER, True)


@pytest.mark.parametrize("writer", [Writer.OTHER, Writer.UNKNOWN])
def test_what_amazons_own_replication_wrote_is_a_replica(writer: Writer) -> None:
    assert judge(Evidence(version(native=True), writer), C).ground is Ground.NATIVE


def test_what_anybody_else_wrote_is_a_users_where_peers_are_declared_whatever_its_stamp_says() -> None:
    verdict = judge(Evidence(REPLICA, Writer.OTHER), A)
    assert (verdict.ground, verdict.wanted, verdict.replica) == (Ground.OTHER_WRITER, True, False)
    assert verdict.origin is Origin.USER


def test_a_copy_in_place_is_a_users_even_to_where_its_original_came_from() -> None:
    verdict = judge(Evidence(REPLICA, copied_in_place=True), A)
    assert (verdict.ground, verdict.wanted, verdict.origin) == (Ground.COPIED_IN_PLACE, True, Origin.USER)


@pytest.mark.parametrize("rule_asks", [True, False])
def test_no_event_takes_a_replica_to_where_it_came_through(rule_asks: bool) -> None:
    verdict = judge(Evidence(REPLICA), A, rule_asks=rule_asks)
    assert (verdict.ground, verdict.passed_over) == (Ground.CAME_FROM_THERE, True)


def test_any_other_is_carried_onward_only_if_it_is_asked_for() -> None:
    assert judge(Evidence(REPLICA), C).passed_over
    asked = judge(Evidence(REPLICA), C, rule_asks=True)
    assert (asked.wanted, asked.origin) == (True, Origin.ONWARD)


@pytest.mark.parametrize("destination", [A, C])
def test_a_job_that_asks_carries_it_even_to_where_it_came_through(destination: str) -> None:
    verdict = judge(Evidence(REPLICA), destination, job=ASKED)
    assert (verdict.wanted, verdict.origin) == (True, Origin.ONWARD)


@pytest.mark.parametrize("rule_asks", [True, False])
def test_a_job_that_does_not_ask_is_like_an_event(rule_asks: bool) -> None:
    for destination in (A, C):
        assert judge(Evidence(REPLICA), destination, rule_asks=rule_asks, job=JobAsks()) == judge(
            Evidence(REPLICA), destination, rule_asks=rule_asks
        )


@pytest.mark.parametrize("origin", [Origin.USER, Origin.ONWARD])
@pytest.mark.parametrize("writer", Writer)
def test_what_was_decided_stays_decided(origin: Origin, writer: Writer) -> None:
    verdict = judge(Evidence(REPLICA, writer, origin), A)
    assert (verdict.wanted, verdict.origin) == (True, origin)


# -- what cannot bear a stamp


def test_in_a_stack_with_peers_what_may_be_a_peers_replica_is_no_jobs_unless_it_asks() -> None:
    evidence = Evidence(version(FULL), may_be_peers=True)
    for job in (None, JobAsks()):
        verdict = judge(evidence, C, rule_asks=True, job=job)
        assert (verdict.ground, verdict.passed_over) == (Ground.MAY_BE_PEERS, True)
    assert judge(evidence, C, job=ASKED).wanted


@pytest.mark.parametrize("bucket", ["ab", "b" * 63])
@pytest.mark.parametrize("name", ["v" * 32, version_name("null", 1.0, f"{'e' * 32}-10000")])
def test_what_a_peer_had_no_room_to_stamp_may_be_a_peers(bucket: str, name: str) -> None:
    """Its bucket has a longer name than this one, or its version had."""
    for size in range(METADATA_LIMIT - 300, METADATA_LIMIT):
        metadata = {"n": "x" * size}
        original = replace(version(metadata, bucket), ref=VersionRef(bucket, KEY, name))
        if not bears_stamp(original, Stamp.of(original.ref, NONCE, "ab", KEY), by_parts=False):
            evidence = Evidence(version(metadata, "ab"), may_be_peers=True)
            assert judge(evidence, C).ground is Ground.MAY_BE_PEERS


def test_whoever_wrote_it_what_has_room_and_no_stamp_is_a_users() -> None:
    assert judge(Evidence(version({"note": "short"}), may_be_peers=True), C).ground is Ground.NO_STAMP


def test_a_job_for_replicas_alone_takes_what_cannot_say_that_it_is_one() -> None:
    assert judge(Evidence(version(FULL)), C, job=ONLY_REPLICAS).wanted
    left = judge(Evidence(version()), C, job=ONLY_REPLICAS)
    assert (left.wanted, left.passed_over) == (False, False)


def test_what_has_no_room_to_say_where_it_has_been_is_carried_by_no_event() -> None:
    room = METADATA_LIMIT - sum(len(n) + len(v) for n, v in stamp_from(A).metadata().items())
    crowded = version({**stamp_from(A).metadata(), "n": "x" * (room - 20)})
    assert can_be_stamped(crowded)
    verdict = judge(Evidence(crowded), C, rule_asks=True)
    assert (verdict.ground, verdict.passed_over) == (Ground.NO_ROOM_ONWARD, True)
    assert judge(Evidence(crowded), C, job=ASKED).wanted


def test_an_unreadable_piece_of_metadata_leaves_no_room() -> None:
    assert not can_be_stamped(replace(version(), missing_metadata=1))


# -- the trace


def test_an_old_stamp_has_its_source_bucket_as_its_trace() -> None:
    assert trace_of(REPLICA) == {bucket_digest(A)}
    assert set(stamp_from(A).metadata()) == {
        f"s3replicator-{name}" for name in ("source", "version", "nonce", "place")
    }


def test_what_is_carried_onward_adds_to_the_trace_and_is_read_back() -> None:
    stamp = stamp_from(B, C, trace=trace_of(REPLICA))
    there = version(stamp.metadata(), C)
    assert trace_of(there) == {bucket_digest(A), bucket_digest(B)}
    assert Stamp.read({**stamp.metadata(), "other": "x"}) == stamp
    assert without_stamp({**stamp.metadata(), "other": "x"}) == {"other": "x"}


def test_of_what_amazons_replication_carried_along_the_trace_counts() -> None:
    carried = version(stamp_from(A, C).metadata(), B, native=True)
    assert judge(Evidence(carried), A, rule_asks=True).ground is Ground.CAME_FROM_THERE
    assert judge(Evidence(carried), C, rule_asks=True).wanted


def test_a_trace_that_makes_no_sense_is_as_good_as_none() -> None:
    metadata = {**stamp_from(A).metadata(), "s3replicator-trace": "☃, nothing,{}"}
    assert trace_of(version(metadata)) == {bucket_digest(A)}


def test_the_longest_trace_leaves_most_of_the_room_to_the_user() -> None:
    longest = VersionRef("b" * 63, KEY, "v" * 64)
    trace = frozenset(bucket_digest(f"bucket-{number}") for number in range(MOST_TRACED))
    stamp = Stamp.of(longest, NONCE, C, KEY, trace)
    assert has_room({"n": "x" * (METADATA_LIMIT // 2)}, stamp)
    assert not can_be_stamped(version(), trace | {bucket_digest("one-more")})


@given(st.permutations([A, B, C, "bucket-d"]), st.booleans())
def test_whatever_way_a_replica_goes_no_event_brings_it_back(way: list[str], full: bool) -> None:
    """Each bucket has a rule to each other one, and carries replicas onward."""
    metadata: Mapping[str, str] = {"note": "x" * 1700} if full else {}
    visited = [way[0]]
    here = version(metadata, way[0])
    for there in itertools.islice(itertools.cycle(way[1:] + way[:1]), 20):
        verdict = judge(Evidence(here), there, rule_asks=True)
        if there == here.ref.bucket or not verdict.wanted:
            continue
        assert there not in visited
        trace = trace_of(here) if verdict.origin is Origin.ONWARD else frozenset()
        stamp = Stamp.of(here.ref, NONCE, there, KEY, trace)
        assert has_room(without_stamp(metadata), stamp)
        here = version({**metadata, **stamp.metadata()}, there)
        visited.append(there)


# -- evidence


def listed(
    version_id: str, *, size: int = 10, etag: str = '"etag"', kind: Kind = Kind.OBJECT
) -> ListedVersion:
    return ListedVersion(version_id, kind, 1.0, etag, size)


def test_only_older_objects_of_its_size_can_be_what_a_version_is_a_copy_of() -> None:
    newest_first = [
        listed("newer"),
        listed("v1"),
        listed("marker", kind=Kind.MARKER, size=0),
        listed("encrypted", etag='"other"'),
        listed("larger", size=11),
        listed("alike"),
    ]
    assert [one.version_id for one in may_be_copied(REPLICA, newest_first)] == ["alike", "encrypted"]


def test_no_more_than_a_few_are_looked_at() -> None:
    many = [listed("v1"), *(listed(f"o{number}") for number in range(1000))]
    assert len(may_be_copied(REPLICA, many)) == MOST_LOOKED_AT


def test_a_version_that_is_not_listed_is_a_copy_of_nothing() -> None:
    assert may_be_copied(REPLICA, [listed("other")]) == []


def test_a_copy_has_the_nonce_of_its_original_and_no_other_replica_has() -> None:
    other = replace(stamp_from(A), nonce="another")
    assert is_original_of(REPLICA, REPLICA)
    assert not is_original_of(version(other.metadata()), REPLICA)
    assert not is_original_of(version(), REPLICA)
    assert not is_original_of(REPLICA, version())


@pytest.mark.parametrize(
    ("object_", "row", "decided"),
    [
        (REPLICA, {"origin": Origin.USER}, Origin.USER),
        (REPLICA, {"status": Status.PENDING}, None),
        (REPLICA, {"replica": "r"}, Origin.ONWARD),
        (version(FULL), {"status": Status.FAILED}, Origin.USER),
        (version(FULL), {"status": Status.PENDING, "origin": Origin.UNDECIDED}, None),
        (version(FULL), {"replica": "r", "origin": Origin.UNDECIDED}, Origin.USER),
        (REPLICA, {"status": Status.PENDING, "origin": Origin.UNDECIDED}, None),
        (REPLICA, {"replica": "r", "origin": Origin.UNDECIDED}, Origin.ONWARD),
    ],
)
def test_what_a_row_says(object_: SourceObject, row: dict[str, str], decided: Origin | None) -> None:
    """Rows of today's release say nothing; one without a replica may have been made before a look."""
    fresh = Row(Kind.OBJECT, Status.COMPLETED, OrderFacts(None, 1.0))
    assert decided_by(replace(fresh, **row), object_) is decided  # type: ignore[arg-type]  # by name


pieces = st.builds(
    Evidence,
    st.sampled_from([REPLICA, version(), version(FULL), version(native=True)]),
    st.sampled_from(Writer),
    copied_in_place=st.booleans(),
    may_be_peers=st.booleans(),
)


@given(pieces, st.booleans(), st.sampled_from([None, JobAsks(), ASKED, ONLY_REPLICAS]))
def test_nothing_is_left_out_in_silence(evidence: Evidence, rule: bool, job: JobAsks | None) -> None:
    """It is replicated, or passed over and told of; only a job for replicas alone leaves out the rest."""
    verdict = judge(evidence, C, rule_asks=rule, job=job)
    assert verdict.wanted or verdict.passed_over or job == ONLY_REPLICAS
    assert not (verdict.wanted and verdict.replica and verdict.origin is None)
    assert verdict.told.startswith(verdict.ground)
