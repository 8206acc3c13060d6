"""Tags, ACLs, locks and annotations that change after a version was written: what the source has now, on the
mapped replica."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from s3replicator.adapters.runtime import SystemClock
from s3replicator.adapters.source import S3Source
from s3replicator.decisions.versions import SourceVersion, VersionRef
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import let_time_pass
from tests.functional.world import ONE, SOURCE, Event, World

DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}

TODAY: Final = datetime.now(UTC).replace(microsecond=0)
SOON, LATER = TODAY + timedelta(days=1), TODAY + timedelta(days=9)


@pytest.fixture
def one(world: World) -> World:
    world.rules({"DeleteMarkerReplication": {"Status": "Enabled"}})
    return world


def replica(world: World, number: int = 0, key: str = "key") -> str:
    found = world.rows(key)[number].replica
    assert found is not None
    return found


def test_tags_follow_and_make_no_new_version(one: World) -> None:
    """F97."""
    put = one.put("key")
    one.deliver(put)
    tagged = one.tag(put, colour="red")
    assert one.deliver(tagged).failed == []

    assert one.tags("key", replica(one)) == {"colour": "red"}
    assert one.versions("key") == ["content"]
    assert one.at_rest("key")


def test_tags_of_a_noncurrent_version_follow_and_the_current_one_is_untouched(one: World) -> None:
    """F98."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    one.deliver(first, second)
    one.deliver(one.tag(first, colour="red"))

    assert one.tags("key", replica(one, 0)) == {"colour": "red"}
    assert one.tags("key", replica(one, 1)) == {}


def test_it_is_the_state_that_counts_and_not_the_event(one: World) -> None:
    """E86: two changes, told of in the wrong order."""
    put = one.put("key")
    one.deliver(put)
    red = one.tag(put, colour="red")
    blue = one.tag(put, colour="blue")
    one.deliver(blue)
    one.deliver(red)

    assert one.tags("key", replica(one)) == {"colour": "blue"}


def test_a_tag_change_that_overtakes_its_object_copies_it(one: World) -> None:
    """E86, F100: there is no replica yet, so the whole object is copied, tags included."""
    put = one.put("key")
    tagged = one.tag(put, colour="red")
    one.deliver(tagged)
    one.deliver(put)
    one.drain()

    assert one.versions("key") == ["content"]
    assert one.tags("key", replica(one)) == {"colour": "red"}


def test_a_tag_change_on_a_late_version_brings_it_to_its_place(one: World) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    one.deliver(second)
    one.deliver(first)
    one.deliver(one.tag(first, colour="red"))
    one.drain()

    assert one.versions("key") == ["second", "first"]
    tagged = [row for row in one.rows("key") if one.tags("key", str(row.replica))]
    assert len(tagged) == 1
    assert one.content("key", version_id=tagged[0].replica) == "first"


def test_a_tag_change_on_a_version_that_failed_copies_it(one: World) -> None:
    """F100: instead of failing for ever."""
    put = one.put("key")
    with faults(Fault("CopyObject", when=to_bucket(ONE), **DENIED)):
        one.deliver(put)
    assert one.row("key").status == "FAILED"
    one.deliver(one.tag(put, colour="red"))
    one.drain()

    assert one.row("key").status == "COMPLETED"
    assert one.tags("key", replica(one)) == {"colour": "red"}


def test_an_object_that_loses_the_tag_a_rule_asks_for_keeps_its_replica_as_it_is(world: World) -> None:
    """F101: the rule selects it no longer, so nothing more is done about it."""
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}})
    put = world.put("key", Tagging="copy=yes")
    world.deliver(put)
    world.deliver(world.tag(put, colour="red"))

    assert world.versions("key") == ["content"]
    assert world.tags("key", replica(world)) == {"copy": "yes"}


@pytest.mark.parametrize("status", ["Enabled", "Disabled"])
def test_an_object_that_gets_the_tag_a_rule_asks_for_is_copied_where_the_rule_says_so(
    world: World, status: str
) -> None:
    later = {"TagLater": {"Status": status}}
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}, "Extensions": later})
    put = world.put("key")
    world.deliver(put)
    assert world.versions("key") == []
    world.deliver(world.tag(put, copy="yes"))

    assert world.versions("key") == (["content"] if status == "Enabled" else [])


def test_a_tag_change_of_a_superseded_or_gone_version_does_nothing(world: World) -> None:
    world.rules({"Extensions": {"LateVersions": "Skip"}})
    first, second = world.put("key", b"first"), world.put("key", b"second")
    world.deliver(second)
    world.deliver(first)
    world.drain()
    assert world.rows("key")[0].status == "SUPERSEDED"
    world.deliver(world.tag(first, colour="red"))
    world.drain()

    assert world.versions("key") == ["second"]
    assert world.rows("key")[0].status == "SUPERSEDED"


def test_tags_that_may_not_be_written_are_parked_and_come_with_the_retry(one: World) -> None:
    """F107."""
    put = one.put("key")
    one.deliver(put)
    tagged = one.tag(put, colour="red")
    with faults(Fault("PutObjectTagging", **DENIED)):
        assert one.deliver(tagged).failed == []
    [body] = one.take("parked")
    assert one.row("key").reason == "DstPutTaggingNotPermitted"
    assert one.row("key").status == "COMPLETED"

    one.deliver(body)
    one.drain()
    assert one.tags("key", replica(one)) == {"colour": "red"}
    assert one.row("key").reason is None


def test_tags_that_cannot_be_written_now_are_owed(one: World) -> None:
    """The message is done with: the row says it, and the sweep asks for it."""
    put = one.put("key")
    one.deliver(put)
    tagged = one.tag(put, colour="red")
    with faults(Fault("PutObjectTagging", status=503, code="SlowDown", times=9)):
        assert one.deliver(tagged).failed == []
    assert one.row("key").reason == "Throttled"
    let_time_pass(one)
    assert one.tags("key", replica(one)) == {"colour": "red"}
    assert one.row("key").reason is None
    assert one.at_rest("key")


def test_tags_that_may_not_be_read_fail_the_copy(world: World) -> None:
    """F106: as native replication does, and never without its tags."""
    world.rules({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}})
    with faults(Fault("GetObjectTagging", when=to_bucket(SOURCE), **DENIED)):
        world.deliver(world.put("key", Tagging="copy=yes"))

    [parked] = world.parked()
    assert parked["reason"] == "SrcGetTaggingNotPermitted"
    assert world.versions("key") == []


def test_an_acl_follows(one: World) -> None:
    """F103."""
    put = one.put("key")
    one.deliver(put)
    version_id = one.version_of(put)
    one.s3.put_object_acl(Bucket=SOURCE, Key="key", VersionId=version_id, ACL="public-read")
    changed = one.event("ObjectAcl:Put", "key", version_id)
    assert one.deliver(changed).failed == []

    grants = one.s3.get_object_acl(Bucket=ONE, Key="key", VersionId=replica(one))["Grants"]
    readers = {grant["Grantee"].get("URI") for grant in grants if grant["Permission"] == "READ"}
    assert readers == {"http://acs.amazonaws.com/groups/global/AllUsers"}


def test_by_hand_tags_are_compared_and_put_right(one: World) -> None:
    """A lost tag event is healed only by looking at both sides."""
    put = one.put("key")
    one.deliver(put)
    one.tag(put, colour="red")
    one.settle("key")
    assert one.tags("key", replica(one)) == {"colour": "red"}

    before = len([call for call in one.calls["retry"] if call.operation == "PutObjectTagging"])
    one.settle("key")
    after = len([call for call in one.calls["retry"] if call.operation == "PutObjectTagging"])
    assert before == after == 1


def grant(world: World, put: Event) -> Event:
    version_id = world.version_of(put)
    world.s3.put_object_acl(Bucket=SOURCE, Key="key", VersionId=version_id, ACL="public-read")
    return world.event("ObjectAcl:Put", "key", version_id)


def is_public(world: World, number: int = 0) -> bool:
    answer = world.s3.get_object_acl(Bucket=ONE, Key="key", VersionId=replica(world, number))
    return "READ" in {grant["Permission"] for grant in answer["Grants"]}


@pytest.mark.parametrize("fault", [None, {**DENIED}, {"status": 503, "code": "SlowDown", "times": 5}])
def test_an_acl_is_carried_over_when_its_version_is_copied_again(
    one: World, fault: dict[str, Any] | None
) -> None:
    first, second = one.put("key", b"first"), one.put("key", b"second")
    one.deliver(second)
    one.deliver(grant(one, second))
    one.deliver(first)
    with faults(*([Fault("PutObjectAcl", **fault)] if fault else [])):
        one.drain()
    for parked in one.take("parked"):
        one.deliver(parked)
    let_time_pass(one)

    assert one.versions("key") == ["second", "first"]
    assert is_public(one, 0) != is_public(one, 1)
    assert one.at_rest("key")
    assert all(row.reason is None for row in one.rows("key"))


def test_an_acl_is_remembered_while_its_version_waits(one: World) -> None:
    put = one.put("key")
    with faults(Fault("CopyObject", status=503, code="SlowDown", times=9)):
        one.deliver(put)
        assert one.deliver(grant(one, put)).failed == []
    assert one.row("key").status == "PENDING"
    let_time_pass(one)
    assert is_public(one)
    assert one.at_rest("key")


def test_an_acl_is_remembered_for_a_replica_that_is_lost(one: World) -> None:
    put = one.put("key")
    one.deliver(put)
    one.s3.delete_object(Bucket=ONE, Key="key", VersionId=replica(one))
    one.settle("key")
    assert one.row("key").lost
    one.deliver(grant(one, put))

    one.settle("key", restoreLost=True)
    assert is_public(one)


def test_an_acl_of_a_version_that_no_rule_selects_any_more_stays(one: World) -> None:
    """A denied change is sent round again by an operator, and the rules have changed meanwhile."""
    put = one.put("key")
    one.deliver(put)
    granted = grant(one, put)
    with faults(Fault("PutObjectAcl", **DENIED)):
        one.deliver(granted)
    one.rules({"Filter": {"Prefix": "elsewhere/"}})
    one.settings()  # new environments read the rules anew
    one.deliver(*one.take("parked"))
    let_time_pass(one)

    assert not is_public(one)
    assert one.row("key").reason is None


def test_by_hand_a_key_of_many_versions_is_settled_in_several_calls(
    one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        one.put("key", str(number).encode())
    passed: list[float] = []
    head, now = S3Source.head, SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + sum(passed))

    def slow(source: S3Source, ref: VersionRef) -> SourceVersion:
        passed.append(20)
        return head(source, ref)

    monkeypatch.setattr(S3Source, "head", slow)
    answers = 0
    while any(told["reason"] == "KeyBusy" for told in one.settle("key")["outcomes"]):
        passed.clear()
        answers += 1
        assert answers < 10

    assert answers > 0
    assert one.versions("key") == [str(number) for number in reversed(range(12))]


def retention(world: World, number: int = 0) -> tuple[str, datetime]:
    """Of a replica."""
    head = world.s3.head_object(Bucket=ONE, Key="key", VersionId=replica(world, number))
    return head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]


def locked(world: World, until: datetime = SOON, body: bytes = b"content") -> Event:
    """A version with a retention, and its replica. It is given one afterwards, since moto does not copy what
    has one."""
    put = world.put("key", body)
    world.deliver(put)
    world.deliver(world.retain(put, until))
    return put


def test_a_retention_that_is_made_longer_is_made_longer_at_the_replica(one: World) -> None:
    """G115."""
    first, _ = locked(one), locked(one, body=b"second")
    assert one.deliver(one.retain(first, LATER)).failed == []

    assert retention(one, 0) == ("GOVERNANCE", LATER)
    assert retention(one, 1) == ("GOVERNANCE", SOON)
    assert one.versions("key") == ["second", "content"]
    assert one.at_rest("key")


def test_a_retention_brings_along_a_legal_hold_of_which_no_event_told(one: World) -> None:
    put = locked(one)
    one.s3.put_object_legal_hold(Bucket=SOURCE, Key="key", LegalHold={"Status": "ON"})
    one.deliver(one.retain(put, LATER, "COMPLIANCE"))

    assert retention(one) == ("COMPLIANCE", LATER)
    assert one.head("key")["ObjectLockLegalHoldStatus"] == "ON"


def test_a_retention_that_is_there_already_is_not_written_again(one: World) -> None:
    """Two events, and the first of them finds what both tell of."""
    put = locked(one)
    between, last = one.retain(put, SOON + timedelta(days=1)), one.retain(put, LATER)
    one.deliver(between)
    one.deliver(last)

    assert retention(one) == ("GOVERNANCE", LATER)
    writes = [call for call in one.calls["replicate"] if call.operation == "PutObjectRetention"]
    assert len(writes) == 2, "the first retention, and the last one"


def test_a_retention_that_is_made_shorter_is_refused_and_told_of(one: World) -> None:
    """Only who may bypass governance could do that; moto lets everybody, so it says what S3 would say."""
    put = locked(one, LATER)
    with faults(Fault("PutObjectRetention", when=to_bucket(ONE), **DENIED)):
        one.deliver(one.retain(put, SOON))

    [parked] = one.parked()
    assert parked["reason"] == "DstPutRetentionNotPermitted"
    assert one.row("key").status == "COMPLETED"
    assert retention(one) == ("GOVERNANCE", LATER)


def test_what_is_refused_holds_up_nothing_else_that_is_owed(one: World) -> None:
    """A public grant is refused for good; whatever changes after that still follows."""
    put = one.put("key")
    one.deliver(put)
    granted = grant(one, put)
    with faults(Fault("PutObjectAcl", times=9, **DENIED)):
        one.deliver(granted)
        assert one.row("key").reason == "DstPutAclNotPermitted"
        one.deliver(one.tag(put, colour="red"))
        assert one.deliver(one.annotate(put, caption="a flower")).failed == []

    assert one.tags("key", replica(one)) == {"colour": "red"}
    assert one.annotations("key", replica(one)) == {"caption": "a flower"}
    assert one.row("key").owed == {"acl_changed"}
    one.deliver(*one.take("parked"))
    assert is_public(one)
    assert one.row("key").reason is None


def test_what_was_refused_is_parked_once_and_not_with_every_other_change(one: World) -> None:
    put = one.put("key")
    one.deliver(put)
    granted = grant(one, put)
    with faults(Fault("PutObjectAcl", times=99, **DENIED)):
        one.deliver(granted)
        [parked] = one.take("parked")
        one.deliver(one.tag(put, colour="red"))
        one.deliver(one.tag(put, colour="blue"))
        one.settle("key")
        assert one.parked() == []
        # Whoever sends it round again is told.
        one.deliver(parked)
        assert len(one.parked()) == 1
    assert one.tags("key", replica(one)) == {"colour": "blue"}
    assert one.row("key").reason == "DstPutAclNotPermitted"


def test_what_was_refused_leaves_other_changes_their_retries(one: World) -> None:
    put = one.put("key")
    one.deliver(put)
    granted = grant(one, put)
    with faults(Fault("PutObjectAcl", times=99, **DENIED)):
        one.deliver(granted)
        for number in range(5):
            one.deliver(one.tag(put, number=str(number)))
        tagged = one.tag(put, colour="red")
        with faults(Fault("PutObjectTagging", status=503, code="SlowDown", times=9)):
            one.deliver(tagged)
        assert (one.row("key").reason, one.row("key").attempts) == ("Throttled", 1)
        assert one.row("key").due is not None
        let_time_pass(one)
    assert one.tags("key", replica(one)) == {"colour": "red"}


def test_what_may_work_later_is_tried_again_though_something_else_is_refused(one: World) -> None:
    put = one.put("key")
    one.deliver(put)
    tagged, granted = one.tag(put, colour="red"), grant(one, put)
    slow: dict[str, Any] = {"status": 503, "code": "SlowDown", "times": 9}
    with faults(Fault("PutObjectAcl", times=99, **DENIED), Fault("PutObjectTagging", **slow)):
        one.deliver(tagged)
        one.deliver(granted)
        assert one.row("key").due is not None
        let_time_pass(one)

    assert one.tags("key", replica(one)) == {"colour": "red"}
    assert one.row("key").owed == {"acl_changed"}
    assert one.row("key").reason == "DstPutAclNotPermitted"


def test_an_annotation_follows_and_is_taken_away_again(one: World) -> None:
    """F110."""
    put = one.put("key")
    one.deliver(put)
    assert one.deliver(one.annotate(put, caption="a flower", mood="calm")).failed == []
    assert one.annotations("key", replica(one)) == {"caption": "a flower", "mood": "calm"}

    one.deliver(one.annotate(put, caption="a leaf", mood=None))
    assert one.annotations("key", replica(one)) == {"caption": "a leaf"}
    assert one.versions("key") == ["content"]
    assert one.at_rest("key")


def test_a_replica_has_its_annotations_before_it_is_locked(one: World) -> None:
    """S3 takes none of what is locked, and tells of annotations and retentions in any order."""
    put = one.put("key")
    one.deliver(put)
    annotated = one.annotate(put, caption="a flower")
    one.deliver(one.retain(put, LATER))
    written = [call.operation for call in one.calls["replicate"] if call.operation.startswith("PutObject")]
    assert written == ["PutObjectAnnotation", "PutObjectRetention"]
    one.deliver(annotated)

    assert one.annotations("key", replica(one)) == {"caption": "a flower"}
    assert retention(one) == ("GOVERNANCE", LATER)
    assert one.at_rest("key")


def test_an_annotation_of_a_noncurrent_version_follows(one: World) -> None:
    """F110."""
    first, second = one.put("key", b"first"), one.put("key", b"second")
    one.deliver(first, second)
    one.deliver(one.annotate(first, caption="old"))

    assert one.annotations("key", replica(one, 0)) == {"caption": "old"}
    assert one.annotations("key", replica(one, 1)) == {}


def test_annotations_come_along_with_a_copy(one: World) -> None:
    put = one.put("key")
    one.annotate(put, caption="a flower")
    one.deliver(put)
    assert one.annotations("key", replica(one)) == {"caption": "a flower"}
    assert not {"PutObjectAnnotation", "ListObjectAnnotations"} & {
        call.operation for call in one.calls["replicate"]
    }


#: As many as S3 takes, and as long: 34 KB in a header, of which S3 takes 8.
MOST_TAGS: Final = {f"{number}" + "中" * 99: "文" * 100 for number in range(10)}


def tagged_large(world: World, small_parts: int) -> Event:
    put = world.put_parts("key", [bytes(small_parts), b"rest"])
    world.tag(put, **MOST_TAGS)
    return put


def test_tags_without_room_in_a_header_are_given_when_the_parts_are_there(
    one: World, small_parts: int
) -> None:
    one.deliver(tagged_large(one, small_parts))
    one.drain()

    [begun] = [call for call in one.calls["replicate_large"] if call.operation == "CreateMultipartUpload"]
    assert "Tagging" not in begun.arguments
    assert one.tags("key", replica(one)) == MOST_TAGS
    assert one.row("key").status == "COMPLETED"
    assert one.at_rest("key")


@pytest.mark.parametrize("status", [403, 503])
def test_a_large_object_is_not_completed_before_its_tags_are_there(
    one: World, small_parts: int, status: int
) -> None:
    put = tagged_large(one, small_parts)
    code = "AccessDenied" if status == 403 else "SlowDown"
    with faults(Fault("PutObjectTagging", status=status, code=code, times=99, when=to_bucket(ONE))):
        one.deliver(put)
        one.drain()
        assert one.tags("key", replica(one)) == {}
        row = one.row("key")
        assert row.owed == {"tagged"}
        assert row.standing == ("FAILED" if status == 403 else "PENDING")
    for parked in one.take("parked"):
        one.deliver(parked)
    let_time_pass(one)

    assert one.tags("key", replica(one)) == MOST_TAGS
    assert one.at_rest("key")


def test_tags_without_room_are_given_to_a_replica_that_was_found_again(one: World, small_parts: int) -> None:
    put = tagged_large(one, small_parts)
    with faults(Fault("CompleteMultipartUpload", effect=True)):
        one.deliver(put)
        one.drain()
    let_time_pass(one)

    assert one.tags("key", replica(one)) == MOST_TAGS
    assert one.at_rest("key")


def test_tags_with_room_cost_no_further_request(one: World, small_parts: int) -> None:
    one.deliver(one.put_parts("key", [bytes(small_parts), b"rest"], Tagging="colour=red"))
    one.drain()
    assert one.tags("key", replica(one)) == {"colour": "red"}
    sent = [call.operation for call in one.calls["replicate_large"]]
    assert sent.count("PutObjectTagging") == 0
    assert sent.count("GetObjectTagging") == 1


def annotated_large(world: World, small_parts: int) -> Event:
    put = world.put_parts("key", [bytes(small_parts), b"rest"])
    world.annotate(put, caption="a flower", mood="calm", place="a garden")
    return put


def test_annotations_of_a_large_object_are_added_when_its_parts_are_there(
    one: World, small_parts: int
) -> None:
    """F109."""
    one.deliver(annotated_large(one, small_parts))
    one.drain()

    wanted = {"caption": "a flower", "mood": "calm", "place": "a garden"}
    assert one.annotations("key", replica(one)) == wanted
    assert one.row("key").status == "COMPLETED"
    assert one.at_rest("key")


@pytest.mark.parametrize("status", [403, 503])
def test_a_large_object_is_not_completed_before_its_annotations_are_there(
    one: World, small_parts: int, status: int
) -> None:
    """F109: nobody is told that all of it is there."""
    code = "AccessDenied" if status == 403 else "SlowDown"
    put = annotated_large(one, small_parts)
    with faults(Fault("PutObjectAnnotation", status=status, code=code, times=99)):
        one.deliver(put)
        one.drain()
        assert one.annotations("key", replica(one)) == {}
        assert one.row("key").owed == {"annotated"}
    for parked in one.take("parked"):
        one.deliver(parked)
    let_time_pass(one)

    assert len(one.annotations("key", replica(one))) == 3
    assert one.at_rest("key")


def test_what_has_been_annotated_is_not_annotated_again(one: World, small_parts: int) -> None:
    """Of many annotations, as many as there is time for at a time."""
    put = annotated_large(one, small_parts)
    second = Fault("PutObjectAnnotation", status=503, code="SlowDown", times=9, after=1)
    with faults(second):
        one.deliver(put)
        one.drain()
        assert len(one.annotations("key", replica(one))) == 1
    let_time_pass(one)

    assert len(one.annotations("key", replica(one))) == 3
    written = [
        call.arguments["AnnotationName"]
        for function in one.calls.values()
        for call in function
        if call.operation == "PutObjectAnnotation"
    ]
    assert written.count(written[0]) == 1


def test_an_annotation_that_cannot_be_read_is_told_of(one: World) -> None:
    put = one.put("key")
    one.deliver(put)
    with faults(Fault("GetObjectAnnotation", when=to_bucket(SOURCE), **DENIED)):
        one.deliver(one.annotate(put, caption="a flower"))
    [parked] = one.parked()
    assert parked["reason"] == "SrcGetAnnotationNotPermitted"


def test_by_hand_annotations_and_locks_are_compared_and_put_right(one: World) -> None:
    put = locked(one)
    one.annotate(put, caption="a flower")
    one.retain(put, LATER)
    one.settle("key")

    assert one.annotations("key", replica(one)) == {"caption": "a flower"}
    assert retention(one) == ("GOVERNANCE", LATER)
