"""Faults while a key is being settled: each of these once lost work, went round for ever, or left something
behind. Whatever goes wrong, time and the sweep must be enough to bring the key to rest.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from s3replicator import telemetry
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.usecases import leased_key
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import let_time_pass, make_all_due
from tests.functional.world import ONE, SOURCE, Event, World

MARKERS: dict[str, Any] = {"DeleteMarkerReplication": {"Status": "Enabled"}}
DELETES: dict[str, Any] = {**MARKERS, "Extensions": {"VersionDeletes": {"Status": "Enabled"}}}
SLOW: dict[str, Any] = {"status": 503, "code": "SlowDown"}
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}
UNREACHABLE: dict[str, Any] = {"status": 500, "code": "InternalError"}


@pytest.fixture
def one(world: World) -> World:
    world.rules(DELETES)
    return world


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Every outcome that has been counted."""
    outcomes: list[Outcome] = []
    report = telemetry.report

    def record(listed: Iterable[Outcome], source: str) -> None:
        listed = list(listed)
        outcomes.extend(listed)
        report(listed, source)

    monkeypatch.setattr(telemetry, "report", record)
    return outcomes


def deliver(world: World, *events: Event) -> None:
    for event in events:
        assert world.deliver(event).failed == []
        world.drain()


def large_that_is_late(world: World, size: int) -> Event:
    """A large object below a newer one, whose first upload came to nothing, swept: it waits for the retry
    function."""
    large, newer = world.put_parts("key", [bytes(size), b"rest"]), world.put("key", b"newer")
    deliver(world, newer)
    world.deliver(large)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        world.drain()
    make_all_due(world)
    world.sweep()
    return newer


def large_to_be_copied_again(world: World, size: int) -> None:
    """A large object that must be put above a late one: its upload waits to be prepared."""
    late, large = world.put("key", b"late"), world.put_parts("key", [bytes(size), b"rest"])
    deliver(world, large)
    world.deliver(late)
    world.deliver(*world.take("dead-letter"), to="retry")


# -- work that only its message knows of


def test_a_version_delete_is_not_lost_when_the_key_cannot_be_looked_at(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    deliver(one, first, second)
    one.deliver(one.purge(first))
    bodies = one.take("dead-letter")
    with faults(Fault("ListObjectVersions", times=9, **SLOW)):
        assert one.deliver(*bodies, to="retry").failed == [0]
    one.deliver(*bodies, to="retry")

    assert one.versions("key") == ["second"]
    assert let_time_pass(one) == 0
    assert one.ledger.count_open(ONE) == 0


def test_a_tag_change_is_not_lost_when_the_key_cannot_be_looked_at(one: World) -> None:
    first = one.put("key", b"first")
    deliver(one, first)
    with faults(Fault("CopyObject", effect=True), Fault("ListObjectVersions", times=9, **SLOW)):
        one.deliver(one.put("key", b"second"))
    one.deliver(one.tag(first, colour="blue"))
    bodies = one.take("dead-letter")
    with faults(Fault("ListObjectVersions", times=9, **SLOW)):
        assert one.deliver(*bodies, to="retry").failed
    one.deliver(*bodies, to="retry")
    let_time_pass(one)

    assert one.tags("key", str(one.rows("key")[0].replica)) == {"colour": "blue"}


def test_a_tag_change_that_may_not_be_read_is_parked(one: World) -> None:
    first = one.put("key", b"first")
    deliver(one, first)
    tagged = one.tag(first, colour="blue")
    with faults(Fault("GetObjectTagging", times=9, when=to_bucket(SOURCE), **DENIED)):
        one.deliver(tagged)
    [parked] = one.take("parked")
    assert one.row("key").reason == "SrcGetTaggingNotPermitted"

    one.deliver(parked)
    assert one.tags("key", one.row("key").replica or "") == {"colour": "blue"}
    assert one.row("key").reason is None


def test_a_tag_change_of_an_unreadable_object_follows(one: World) -> None:
    first = one.put("key", b"first")
    deliver(one, first)
    tagged = one.tag(first, colour="blue")
    unreadable = Fault("GetObject", times=9, when=to_bucket(SOURCE), **DENIED)
    with faults(Fault("HeadObject", times=9, **DENIED), unreadable):
        one.deliver(tagged)
    assert one.tags("key", one.row("key").replica or "") == {"colour": "blue"}


def test_a_tag_change_of_an_archived_object_follows(one: World) -> None:
    """Its content cannot be read, its tags can."""
    first = one.put("key", b"first", StorageClass="GLACIER_IR")
    deliver(one, first)
    tagged = one.tag(first, colour="blue")
    archived = Fault("HeadObject", status=403, code="InvalidObjectState", times=9)
    refused = Fault("GetObject", times=9, when=to_bucket(SOURCE), status=403, code="InvalidObjectState")
    with faults(archived, refused):
        one.deliver(tagged)

    assert one.tags("key", one.row("key").replica or "") == {"colour": "blue"}


def test_a_tag_change_of_a_replica_that_others_removed_ends(one: World) -> None:
    first = one.put("key", b"first")
    deliver(one, first)
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=one.row("key").replica)
    tagged = one.tag(first, colour="blue")
    with faults(Fault("PutObjectTagging", status=404, code="NoSuchVersion")):
        assert one.deliver(tagged).failed == []

    assert one.row("key").lost


# -- large objects


def test_a_large_copy_that_is_refused_while_its_key_is_settled_is_parked_once(
    one: World, small_parts: int
) -> None:
    large_that_is_late(one, small_parts)
    with faults(Fault("UploadPartCopy", times=999, **DENIED)):
        one.drain()

    assert len(one.take("parked")) == 1
    assert one.open_uploads() == 0


def test_a_prepared_upload_that_nobody_waits_for_any_more_ends(one: World, small_parts: int) -> None:
    newer = large_that_is_late(one, small_parts)
    one.deliver(*one.take("dead-letter"), to="retry")
    prepare = one.take("large")
    with faults(Fault("UploadPartCopy", times=8, **SLOW)):
        one.deliver(*prepare, to="replicate_large")
    deliver(one, one.purge(newer))
    one.deliver(*prepare, to="replicate_large")
    one.drain()
    let_time_pass(one)

    assert len(one.versions("key")) == 1
    assert one.open_uploads() == 0
    assert one.at_rest("key")


def test_only_one_upload_is_prepared_at_a_time(one: World, small_parts: int) -> None:
    large_to_be_copied_again(one, small_parts)
    for number in range(3):
        one.deliver(one.put("key", f"more{number}".encode()))
        one.deliver(*one.take("dead-letter"), to="retry")
    prepare = one.take("large")
    assert len(prepare) == 1
    one.deliver(*prepare, to="replicate_large")
    one.drain()
    let_time_pass(one)

    assert [content[-5:] for content in one.versions("key")] == ["more2", "more1", "more0", "\0rest", "late"]
    assert one.open_uploads() == 0


def test_a_completion_that_is_refused_leaves_no_upload(one: World, small_parts: int) -> None:
    large_that_is_late(one, small_parts)
    with faults(Fault("CompleteMultipartUpload", times=999, **DENIED)):
        one.drain()

    assert one.open_uploads() == 0
    assert len(one.take("parked")) == 1


@pytest.mark.parametrize("answer", [SLOW, DENIED])
def test_parts_that_fail_once_or_for_good_leave_no_upload(
    one: World, small_parts: int, answer: dict[str, Any]
) -> None:
    large_to_be_copied_again(one, small_parts)
    with faults(Fault("UploadPartCopy", times=8, **answer)):
        one.deliver(*one.take("large"), to="replicate_large")
    if answer is SLOW:
        let_time_pass(one)
        assert [content[-4:] for content in one.versions("key")] == ["rest", "late"]

    assert one.open_uploads() == 0


def test_a_spilled_large_row_is_left_alone_while_it_is_copied(one: World, small_parts: int) -> None:
    deliver(one, *(one.put("key", content) for content in (b"1", b"2", b"3")))
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"]))
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        one.drain()
    make_all_due(one)
    one.sweep()
    one.deliver(*one.take("dead-letter"), to="retry")

    [row] = [row for row in one.rows("key") if row.status == "PENDING"]
    assert row.due is not None
    assert row.due > time.time() + 1000


# -- by hand


def test_by_hand_another_bucket_is_refused(one: World) -> None:
    """It would take the key away from its source for ever."""
    answer = one.settle("key", bucket="typo-bucket")
    assert [told["reason"] for told in answer["outcomes"]] == ["WrongSourceBucket"]
    deliver(one, one.put("key"))
    assert one.versions("key") == ["content"]


def test_by_hand_small_versions_beside_a_large_one_arrive(one: World, small_parts: int) -> None:
    one.put_parts("key", [bytes(small_parts), b"rest"])
    one.put("key", b"1")
    one.put("key", b"2")
    one.settle("key")
    one.drain()
    let_time_pass(one)

    assert [content[-4:] for content in one.versions("key")] == ["2", "1", "rest"]
    assert one.at_rest("key")


def test_by_hand_what_cannot_be_finished_is_finished_by_others(one: World) -> None:
    one.put("key", b"1")
    copied: list[int] = []

    def once(_request: Any) -> bool:
        copied.append(1)
        return True

    unlisted = Fault("ListObjectVersions", times=8, when=lambda _: bool(copied), **SLOW)
    with faults(Fault("CopyObject", effect=True, when=once), unlisted):
        one.settle("key")
    one.drain()
    let_time_pass(one)

    assert one.versions("key") == ["1"]
    assert one.at_rest("key")


def test_by_hand_a_lost_replica_that_cannot_be_restored_stays_lost(one: World) -> None:
    deliver(one, one.put("key", b"1"))
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=one.row("key").replica)
    one.settle("key")
    assert one.row("key").lost
    with faults(Fault("CopyObject", **DENIED)):
        answer = one.settle("key", restoreLost=True)

    told = [(outcome["result"], outcome["reason"]) for outcome in answer["outcomes"]]
    assert told == [("Failed", "DstPutObjectNotPermitted"), ("Parked", "DstPutObjectNotPermitted")]
    assert (one.row("key").status, one.row("key").lost) == ("COMPLETED", True)
    one.settle("key", restoreLost=True)
    assert one.versions("key") == ["1"]
    assert one.at_rest("key")


def test_by_hand_a_hold_that_is_off_asks_nothing_of_a_bucket_without_locks(one: World) -> None:
    deliver(one, one.put("key", ObjectLockLegalHoldStatus="OFF"))
    assert one.settle("key")["outcomes"] == []
    assert not [call for call in one.calls["retry"] if call.operation == "PutObjectLegalHold"]


# -- rows


def test_rows_that_never_spilled_leave_nothing_in_the_index(one: World) -> None:
    events = [one.put("key", b"0")]
    one.purge(events[0])
    time.sleep(1.1)
    events += [one.put("key", b"1"), one.put("key", b"2")]
    with faults(Fault("CopyObject", times=99, **SLOW)):
        one.deliver(*events)
        make_all_due(one)
        one.sweep()
        one.drain()
    sent = let_time_pass(one)

    assert sent == 0
    assert one.ledger.count_open(ONE) == 0


def test_one_version_that_cannot_be_copied_again_does_not_keep_the_newest_away(one: World) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    version, replica = one.version_of(newer), str(one.rows("key")[1].replica)

    def of_newer(request: Any) -> bool:
        copied = str(request.headers.get("x-amz-copy-source", ""))
        return version in copied or replica in copied

    with faults(Fault("CopyObject", times=999, when=of_newer, **DENIED)):
        one.drain()
        deliver(one, one.put("key", b"newest"))
        parked = [len(one.take("parked"))]
        for _ in range(4):
            let_time_pass(one, 1)
            parked.append(len(one.take("parked")))

    assert one.versions("key")[0] == "newest"
    assert sum(parked) == 1


def test_a_version_that_may_not_be_read_again_is_copied_from_its_replica(one: World) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    version = one.version_of(newer)
    unreadable = Fault("CopyObject", when=lambda r: version in str(r.headers), **DENIED)
    with faults(unreadable):
        one.drain()

    assert one.versions("key") == ["newer", "late"]
    assert one.at_rest("key")
    assert one.parked() == []


def test_an_unverified_replica_is_not_called_gone(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put = one.put("key")
    with monkeypatch.context() as unverified:
        unverified.setattr(leased_key, "is_proven", lambda *_: False)
        unverified.setattr(leased_key, "is_disproven", lambda *_: True)
        one.deliver(put)
    bodies = one.take("parked")
    one.purge(put)
    one.deliver(*bodies)
    one.drain()

    assert one.row("key").status == "FAILED"


# -- what is counted, and what is sent


def test_a_version_is_counted_once_as_replicated(one: World, told: list[Outcome]) -> None:
    first, second = one.put("key", b"1"), one.put("key", b"2")
    deliver(one, second)
    one.deliver(first, one.tag(first, a="b"))
    one.deliver(*one.take("dead-letter"), to="retry")

    assert Counter(outcome.result for outcome in told)[Result.REPLICATED] == 2


def test_a_version_copied_again_is_not_counted_again(one: World, told: list[Outcome]) -> None:
    first, second = one.put("key", b"1"), one.put("key", b"2")
    deliver(one, second)
    one.deliver(first)
    one.deliver(second, *one.take("dead-letter"), to="retry")

    assert Counter(outcome.result for outcome in told)[Result.REPLICATED] == 2


def test_what_cannot_be_sent_to_the_large_lane_comes_again(one: World, small_parts: int) -> None:
    late, large = one.put("key", b"late"), one.put_parts("key", [bytes(small_parts), b"rest"])
    deliver(one, large)
    one.deliver(late)
    bodies = one.take("dead-letter")
    with faults(Fault("SendMessage", times=99, **UNREACHABLE)):
        assert one.deliver(*bodies, to="retry").failed == [0]


def test_what_cannot_be_parked_comes_again(one: World) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    bodies = one.take("dead-letter")
    removal = Fault("DeleteObject", times=9, **DENIED)
    with faults(removal, Fault("SendMessage", times=99, **UNREACHABLE)):
        assert one.deliver(*bodies, to="retry").failed == [0]


def test_an_upload_that_has_to_wait_its_turn_is_used_when_it_comes(one: World, small_parts: int) -> None:
    first, second = (one.put_parts("key", [bytes(small_parts), name]) for name in (b"one", b"two"))
    deliver(one, one.put("key", b"newer"))
    one.deliver(first)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        one.drain()
    one.deliver(second)
    one.deliver(*one.take("large"), to="replicate_large")
    ready = one.take("dead-letter")
    make_all_due(one)
    one.sweep()
    one.deliver(*one.take("dead-letter"), to="retry")
    one.deliver(*ready, to="retry")
    one.drain()
    let_time_pass(one)

    assert [content[-3:] for content in one.versions("key")] == ["wer", "two", "one"]
    assert one.open_uploads() == 0


def test_of_two_messages_of_one_version_the_upload_counts(one: World, small_parts: int) -> None:
    large = one.put_parts("key", [bytes(small_parts), b"rest"])
    deliver(one, one.put("key", b"newer"))
    one.deliver(large)
    one.deliver(*one.take("large"), to="replicate_large")
    make_all_due(one)
    one.sweep()
    bodies = sorted(one.take("dead-letter"), key=lambda body: '"upload": {' not in body)
    one.deliver(*bodies, to="retry")
    one.drain()

    assert one.open_uploads() == 0
    copied = [call for call in one.calls["replicate_large"] if call.operation == "UploadPartCopy"]
    assert len(copied) == 2


def test_a_replica_nobody_could_look_at_is_verified_by_hand(one: World) -> None:
    with faults(Fault("HeadObject", times=8, when=to_bucket(ONE), **SLOW)):
        one.deliver(one.put_parts("key", [b"small"]))
    assert one.row("key").reason == "VerificationFailed"
    one.settle("key")
    assert one.row("key").reason is None
    assert one.ledger.count_open(ONE) == 0


def replicas_of(version: str, *, proven: bool) -> Any:
    """Whether the answer to a copy of this version shows that it is exact."""
    return lambda source, *_: (source.ref.version_id == version) is proven


def test_the_last_good_replica_stays_while_an_unverified_one_stands_above_it(one: World) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    version = one.version_of(newer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leased_key, "is_proven", replicas_of(version, proven=False))
        patch.setattr(leased_key, "is_disproven", replicas_of(version, proven=True))
        one.drain()
    good = one.rows("key")[1].left
    assert len(good) == 1
    with faults(Fault("CopyObject", times=99, **SLOW)):
        one.settle("key")
    assert one.rows("key")[1].left == good


def test_an_unverified_replica_is_never_certified_by_itself(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = one.put("key")
    with monkeypatch.context() as unverified:
        unverified.setattr(leased_key, "is_proven", lambda *_: False)
        unverified.setattr(leased_key, "is_disproven", lambda *_: True)
        one.deliver(put)
    unreadable = Fault("GetObject", times=99, when=to_bucket(SOURCE), **DENIED)
    with faults(Fault("HeadObject", times=99, when=to_bucket(SOURCE), **DENIED), unreadable):
        one.settle("key")
    assert one.row("key").status == "FAILED"


@pytest.mark.parametrize("operation", ["CopyObject", "DeleteObject"])
def test_what_cannot_be_put_right_in_all_its_attempts_is_parked_once(one: World, operation: str) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    version = one.version_of(newer)

    def when(request: Any) -> bool:
        return operation == "DeleteObject" or version in str(request.headers)

    with faults(Fault(operation, times=9999, when=when, **SLOW)):
        bodies = one.take("dead-letter")
        for _ in range(8):
            failed = one.deliver(*bodies, to="retry").failed if bodies else []
            bodies = [bodies[number] for number in failed]
            make_all_due(one)
            one.sweep()
            bodies += one.take("dead-letter")
    assert len(one.parked()) == 1
    assert not bodies


def test_what_was_left_out_and_is_no_longer_selected_stays_so(world: World) -> None:
    world.rules(
        {
            "Extensions": {"VersionDeletes": {"Status": "Enabled"}, "LateVersions": "Skip"},
            "Filter": {"Tag": {"Key": "k", "Value": "v"}},
        }
    )
    first, second = world.put("key", b"first", Tagging="k=v"), world.put("key", b"second", Tagging="k=v")
    deliver(world, second, first)
    world.tag(first, k="other")
    deliver(world, world.purge(second))
    let_time_pass(world)

    assert world.at_rest("key")
    assert [row.status for row in world.rows("key")] == ["SUPERSEDED", "TOMBSTONE"]
    assert world.parked() == []


def test_a_prepared_upload_that_comes_twice_leaves_the_row_as_it_is(one: World, small_parts: int) -> None:
    large_to_be_copied_again(one, small_parts)
    [prepare] = one.take("large")
    one.deliver(prepare, to="replicate_large")
    one.drain()
    for number in range(3):
        deliver(one, one.put("key", str(number).encode()))
    with faults(Fault("HeadObject", times=99, **SLOW)):
        one.deliver(prepare, to="replicate_large")

    assert let_time_pass(one) == 0
    assert one.ledger.count_open(ONE) == 0


def test_a_duplicate_that_fails_keeps_the_upload_of_the_row(one: World, small_parts: int) -> None:
    event = one.put_parts("key", [bytes(small_parts), b"rest"])
    one.deliver(event)
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        one.drain()
    with faults(Fault("HeadObject", times=99, **SLOW)):
        one.deliver(event)
    let_time_pass(one)

    assert one.open_uploads() == 0
    assert one.row("key").status == "COMPLETED"


def test_a_large_version_that_was_left_out_and_is_wanted_again_arrives(
    world: World, small_parts: int
) -> None:
    world.rules({**MARKERS, "Extensions": {"VersionDeletes": {"Status": "Enabled"}, "LateVersions": "Skip"}})
    large, newer = world.put_parts("key", [bytes(small_parts), b"rest"]), world.put("key", b"newer")
    deliver(world, newer, large)
    assert [row.status for row in world.rows("key")] == ["SUPERSEDED", "COMPLETED"]
    deliver(world, world.purge(newer))
    let_time_pass(world)

    assert [content[-4:] for content in world.versions("key")] == ["rest"]
    assert world.open_uploads() == 0
    assert world.at_rest("key")


def test_by_hand_a_large_replica_that_was_lost_is_restored(one: World, small_parts: int) -> None:
    deliver(one, one.put_parts("key", [bytes(small_parts), b"rest"]))
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=one.row("key").replica)
    one.settle("key", restoreLost=True)
    one.drain()

    assert [content[-4:] for content in one.versions("key")] == ["rest"]
    assert not one.row("key").lost
    assert one.open_uploads() == 0
    assert one.at_rest("key")


def test_a_version_that_may_be_read_on_neither_side_is_given_up(one: World) -> None:
    late, newer = one.put("key", b"late"), one.put("key", b"newer")
    deliver(one, newer)
    one.deliver(late)
    version = one.version_of(newer)

    def of_newer(request: Any) -> bool:
        return version in request.url and to_bucket(SOURCE)(request)

    unreadable = Fault("GetObject", times=99999, when=of_newer, **DENIED)
    replica = Fault("HeadObject", times=99999, when=to_bucket(ONE), **DENIED)
    with faults(Fault("HeadObject", times=99999, when=of_newer, **DENIED), unreadable, replica):
        delivery = one.deliver(*one.take("dead-letter"), to="retry", seconds=65)

    assert delivery.recording.sent["HeadObject"] < 20
    assert len(one.take("parked")) == 1


# -- several uploads of one version


def test_an_upload_that_another_one_has_overtaken_is_aborted(one: World, small_parts: int) -> None:
    """Two messages have had the same version prepared; the row remembers the one that failed half-way."""
    large_to_be_copied_again(one, small_parts)
    [prepare] = one.take("large")
    one.deliver(prepare, to="replicate_large")
    with faults(Fault("UploadPartCopy", times=99, **SLOW)):
        one.deliver(prepare, to="replicate_large")
    one.drain()
    let_time_pass(one)

    assert [len(content) for content in one.versions("key")] == [small_parts + 4, 4]
    assert one.open_uploads() == 0
    assert one.at_rest("key")


def test_a_large_replica_that_is_being_restored_is_not_forgotten(one: World, small_parts: int) -> None:
    """Something else has the key settled before its upload is ready."""
    deliver(one, one.put_parts("key", [bytes(small_parts), b"rest"]))
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=one.row("key").replica)
    one.settle("key", restoreLost=True)
    one.deliver(one.put("key", b"new"))
    one.deliver(*one.take("dead-letter"), to="retry")
    assert one.content("key") == "new"

    one.drain()
    let_time_pass(one)
    assert [len(content) for content in one.versions("key")] == [3, small_parts + 4]
    assert one.open_uploads() == 0
    assert one.at_rest("key")
