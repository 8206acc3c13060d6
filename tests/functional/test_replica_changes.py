"""Tags, ACL and lock that somebody changes on a replica, given to the version it was made of: two stacks,
one in each direction, between two buckets.

Both keep one ledger table here; their keys lie at different buckets.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import VersionRef
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.recorder import ApiCall
from tests.functional.world import CONTROL, ONE, SOURCE, Event, World

BACK_CONTROL: Final = "control-of-the-other-direction"
DENIED: Final[dict[str, Any]] = {"status": 403, "code": "AccessDenied"}
EVERYBODY: Final = "http://acs.amazonaws.com/groups/global/AllUsers"
SYNC: Final[dict[str, Any]] = {
    "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}},
    "DeleteMarkerReplication": {"Status": "Enabled"},
}


@dataclass
class TwoWay:
    """``there``: the stack from the source to ``ONE``; ``back``: that from ``ONE`` to the source."""

    world: World

    def __post_init__(self) -> None:
        self.world.s3.create_bucket(Bucket=BACK_CONTROL)
        self.rules(SYNC, SYNC)

    def rules(self, there: dict[str, Any], back: dict[str, Any]) -> None:
        for control, rule, to in ((CONTROL, there, ONE), (BACK_CONTROL, back, SOURCE)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tests.functional.world.CONTROL", control)
                destination = {"Bucket": f"arn:aws:s3:::{to}", **rule.get("Destination", {})}
                self.world.rules({**rule, "Destination": destination})

    @contextmanager
    def back(self) -> Iterator[World]:
        """The functions of the other direction."""
        self.world.settings(
            SOURCE_BUCKET=ONE, DESTINATIONS=f"{SOURCE}:us-east-1", CONTROL_BUCKET=BACK_CONTROL
        )
        yield self.world
        self.world.settings()

    def replicated(self, key: str = "key", **arguments: Any) -> tuple[Event, str]:
        """A new version at the source, and the id of its replica."""
        put = self.world.put(key, **arguments)
        self.world.deliver(put)
        [row] = self.world.rows(key)
        assert row.replica is not None
        return put, row.replica

    def tag(self, bucket: str, key: str, version_id: str, **tags: str) -> Event:
        """Somebody changes the tags; the event."""
        tagging = {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
        self.world.s3.put_object_tagging(Bucket=bucket, Key=key, VersionId=version_id, Tagging=tagging)
        return self.event("ObjectTagging:Put", bucket, key, version_id)

    def event(self, name: str, bucket: str, key: str, version_id: str) -> Event:
        event = self.world.event(name, key, version_id)
        event["Records"][0]["s3"]["bucket"] = {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}
        del event["Records"][0]["s3"]["object"]["sequencer"]
        return event

    def writes(self) -> list[ApiCall]:
        """What the functions of either stack have changed so far."""
        made = [call for calls in self.world.calls.values() for call in calls]
        return [call for call in made if call.service == "s3" and call.operation.startswith(("Put", "Copy"))]


@pytest.fixture
def two_way(world: World) -> TwoWay:
    return TwoWay(world)


def test_tags_that_are_changed_on_a_replica_come_back_to_its_origin(two_way: TwoWay) -> None:
    put, replica = two_way.replicated(Tagging="colour=red")
    origin = two_way.world.version_of(put)
    with two_way.back() as world:
        world.deliver(two_way.tag(ONE, "key", replica, colour="blue"))

    assert two_way.world.tags("key", origin, SOURCE) == {"colour": "blue"}
    assert two_way.world.versions("key", SOURCE) == two_way.world.versions("key", ONE) == ["content"]
    assert two_way.world.at_rest("key", SOURCE)


def test_what_comes_back_as_an_event_ends(two_way: TwoWay) -> None:
    """Though neither stack knows the roles of the other."""
    put, replica = two_way.replicated()
    origin = two_way.world.version_of(put)
    changed = two_way.tag(ONE, "key", replica, colour="blue")
    with two_way.back() as world:
        world.deliver(changed)
    two_way.world.deliver(two_way.event("ObjectTagging:Put", SOURCE, "key", origin))
    before = len(two_way.writes())
    with two_way.back() as world:
        world.deliver(two_way.event("ObjectTagging:Put", ONE, "key", replica))

    assert len(two_way.writes()) == before
    assert (
        two_way.world.tags("key", origin, SOURCE) == two_way.world.tags("key", replica) == {"colour": "blue"}
    )


def test_the_last_change_wins_whichever_side_it_is_made_on(two_way: TwoWay) -> None:
    put, replica = two_way.replicated()
    origin = two_way.world.version_of(put)
    first = two_way.tag(ONE, "key", replica, colour="blue")
    with two_way.back() as world:
        world.deliver(first)
    second = two_way.tag(SOURCE, "key", origin, colour="green")
    two_way.world.deliver(second)
    with two_way.back() as world:
        world.deliver(first)  # once more, and late

    assert (
        two_way.world.tags("key", origin, SOURCE) == two_way.world.tags("key", replica) == {"colour": "green"}
    )


def test_an_acl_comes_back(two_way: TwoWay) -> None:
    put, replica = two_way.replicated()
    world = two_way.world
    world.s3.put_object_acl(Bucket=ONE, Key="key", VersionId=replica, ACL="public-read")
    changed = two_way.event("ObjectAcl:Put", ONE, "key", replica)
    with two_way.back():
        world.deliver(changed)
        before = len(two_way.writes())
        world.deliver(changed)

    grants = world.s3.get_object_acl(Bucket=SOURCE, Key="key", VersionId=world.version_of(put))["Grants"]
    assert EVERYBODY in {grant["Grantee"].get("URI") for grant in grants}
    assert len(two_way.writes()) == before


def test_with_owner_override_an_acl_does_not(two_way: TwoWay) -> None:
    owned = {"Account": "123456789012", "AccessControlTranslation": {"Owner": "Destination"}}
    two_way.rules(SYNC, {**SYNC, "Destination": owned})
    _, replica = two_way.replicated()
    world = two_way.world
    world.s3.put_object_acl(Bucket=ONE, Key="key", VersionId=replica, ACL="public-read")
    before = len(two_way.writes())
    with two_way.back():
        world.deliver(two_way.event("ObjectAcl:Put", ONE, "key", replica))
    assert len(two_way.writes()) == before


def test_a_retention_comes_back_and_a_hold_with_it(two_way: TwoWay) -> None:
    """Of the hold S3 tells nobody."""
    put, replica = two_way.replicated()
    world, until = two_way.world, datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    named: Any = {"Bucket": ONE, "Key": "key", "VersionId": replica}
    world.s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    world.s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    changed = two_way.event("ObjectRetention:Put", ONE, "key", replica)
    with two_way.back():
        world.deliver(changed)
        before = len(two_way.writes())
        world.deliver(changed)

    origin = world.s3.head_object(Bucket=SOURCE, Key="key", VersionId=world.version_of(put))
    assert (origin["ObjectLockMode"], origin["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert origin["ObjectLockLegalHoldStatus"] == "ON"
    assert len(two_way.writes()) == before


def test_an_annotation_does_not_come_back(two_way: TwoWay) -> None:
    """Replica modifications are tags, ACLs and locks; and a replica is not replicated onward."""
    put, replica = two_way.replicated()
    world = two_way.world
    named: Any = {"Bucket": ONE, "Key": "key", "VersionId": replica}
    world.s3.put_object_annotation(**named, AnnotationName="caption", AnnotationPayload=b"a flower")
    before = len(two_way.writes())
    with two_way.back():
        assert world.deliver(two_way.event("ObjectAnnotation:Put", ONE, "key", replica)).failed == []

    assert world.annotations("key", world.version_of(put), SOURCE) == {}
    assert len(two_way.writes()) == before


def test_a_key_that_was_transformed_on_its_way_is_found_again(two_way: TwoWay) -> None:
    def moved(strip: str, add: str) -> dict[str, Any]:
        transform = {"KeyTransform": {"StripPrefix": strip, "AddPrefix": add}}
        return {**SYNC, "Filter": {"Prefix": strip}, "Extensions": transform}

    two_way.rules(moved("in/", "out/"), moved("out/", "in/"))
    world = two_way.world
    put = world.put("in/key")
    world.deliver(put)
    replica = world.row("out/key").replica
    with two_way.back():
        world.deliver(two_way.tag(ONE, "out/key", str(replica), colour="blue"))
    assert world.tags("in/key", world.version_of(put), SOURCE) == {"colour": "blue"}


@pytest.mark.parametrize("there", [SYNC, {}], ids=["on there only", "off"])
def test_without_it_a_replica_is_nobodys_business(two_way: TwoWay, there: dict[str, Any]) -> None:
    """K169."""
    two_way.rules(there, {})
    put, replica = two_way.replicated()
    before = len(two_way.writes())
    with two_way.back() as world:
        assert world.deliver(two_way.tag(ONE, "key", replica, colour="blue")).failed == []

    assert two_way.world.tags("key", two_way.world.version_of(put), SOURCE) == {}
    assert len(two_way.writes()) == before


def test_a_users_copy_of_a_replica_is_an_object_of_its_own(two_way: TwoWay) -> None:
    """It carries the stamp along, and lies elsewhere."""
    put, _ = two_way.replicated()
    world = two_way.world
    copied = world.s3.copy_object(Bucket=ONE, Key="copy", CopySource={"Bucket": ONE, "Key": "key"})
    with two_way.back():
        world.deliver(two_way.event("ObjectCreated:Copy", ONE, "copy", copied["VersionId"]))
        world.deliver(two_way.tag(ONE, "copy", copied["VersionId"], colour="blue"))
        world.drain()

    assert world.tags("key", world.version_of(put), SOURCE) == {}
    assert world.versions("copy", SOURCE) == ["content"]


def test_a_replica_of_another_bucket_is_not_brought_there(two_way: TwoWay) -> None:
    stamp = Stamp.of(VersionRef("third-bucket", "key", "version"), "nonce", ONE, "key")
    world = two_way.world
    stranger = world.s3.put_object(Bucket=ONE, Key="key", Body=b"theirs", Metadata=stamp.metadata())
    with two_way.back():
        world.deliver(two_way.tag(ONE, "key", stranger["VersionId"], colour="blue"))
    assert world.versions("key", SOURCE) == []
    assert two_way.writes() == []


def test_an_origin_that_is_gone_stays_gone(two_way: TwoWay) -> None:
    put, replica = two_way.replicated()
    two_way.world.purge(put)
    with two_way.back() as world:
        assert world.deliver(two_way.tag(ONE, "key", replica, colour="blue")).failed == []
        assert world.take("parked") == []
    assert two_way.world.versions("key", SOURCE) == []


def test_a_change_of_a_users_own_object_goes_the_usual_way(two_way: TwoWay) -> None:
    world = two_way.world
    own = world.s3.put_object(Bucket=ONE, Key="own", Body=b"content")
    with two_way.back():
        created = two_way.event("ObjectCreated:Put", ONE, "own", own["VersionId"])
        world.deliver(created)
        world.deliver(two_way.tag(ONE, "own", own["VersionId"], colour="blue"))
    [replica] = [row.replica for row in world.rows("own", SOURCE)]
    assert world.tags("own", str(replica), SOURCE) == {"colour": "blue"}


@pytest.mark.parametrize("operation", ["HeadObject", "GetObjectTagging", "PutObjectTagging"])
def test_what_cannot_be_read_or_written_now_comes_again(two_way: TwoWay, operation: str) -> None:
    put, replica = two_way.replicated()
    changed = two_way.tag(ONE, "key", replica, colour="blue")
    with two_way.back() as world:
        with faults(Fault(operation, status=503, code="SlowDown", times=4)):
            assert world.deliver(changed).failed == [0]
        assert world.deliver(changed).failed == []
    assert two_way.world.tags("key", two_way.world.version_of(put), SOURCE) == {"colour": "blue"}
    assert two_way.world.at_rest("key", SOURCE)


def test_what_may_not_be_written_is_parked_and_comes_with_the_retry(two_way: TwoWay) -> None:
    put, replica = two_way.replicated()
    changed = two_way.tag(ONE, "key", replica, colour="blue")
    with two_way.back() as world:
        with faults(Fault("PutObjectTagging", when=to_bucket(SOURCE), **DENIED)):
            assert world.deliver(changed).failed == []
        [body] = world.take("parked")
        assert '"DstPutTaggingNotPermitted"' in body
        world.deliver(body)
    assert two_way.world.tags("key", two_way.world.version_of(put), SOURCE) == {"colour": "blue"}


# -- what a stamp alone does not prove


def forged(two_way: TwoWay, origin: str, body: bytes) -> str:
    """An object of somebody's, at the place of a replica, that says it is one of that version; its id."""
    stamp = Stamp.of(VersionRef(SOURCE, "key", origin), "made-up", ONE, "key")
    put = two_way.world.s3.put_object(Bucket=ONE, Key="key", Body=body, Metadata=stamp.metadata())
    return str(put["VersionId"])


@pytest.mark.parametrize("body", [b"CONTENT", b"another size"])
def test_a_stamp_that_anybody_can_write_changes_no_version(two_way: TwoWay, body: bytes) -> None:
    put, _ = two_way.replicated()
    origin = two_way.world.version_of(put)
    planted = forged(two_way, origin, body)
    with two_way.back() as world:
        assert world.deliver(two_way.tag(ONE, "key", planted, colour="blue")).failed == []
    assert two_way.world.tags("key", origin, SOURCE) == {}


def test_what_came_from_here_is_no_origin(two_way: TwoWay) -> None:
    """A replica at the other side, whose place is named by a stamp on this one."""
    own = two_way.world.s3.put_object(Bucket=ONE, Key="key", Body=b"content")
    with two_way.back() as world:
        world.deliver(two_way.event("ObjectCreated:Put", ONE, "key", own["VersionId"]))
    [row] = two_way.world.rows("key", SOURCE)
    planted = forged(two_way, str(row.replica), b"content")
    before = len(two_way.writes())
    with two_way.back() as world:
        assert world.deliver(two_way.tag(ONE, "key", planted, colour="blue")).failed == []
    assert len(two_way.writes()) == before


@pytest.mark.parametrize("forge", [False, True])
def test_no_hold_is_taken_off_and_no_retention_shortened(two_way: TwoWay, forge: bool) -> None:
    """Not by whoever may change a replica, nor by what says it is one."""
    put, replica = two_way.replicated()
    world, origin = two_way.world, two_way.world.version_of(put)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    held: Any = {"Bucket": SOURCE, "Key": "key", "VersionId": origin}
    world.s3.put_object_legal_hold(**held, LegalHold={"Status": "ON"})
    world.s3.put_object_retention(**held, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    theirs = forged(two_way, origin, b"content") if forge else replica
    named: Any = {"Bucket": ONE, "Key": "key", "VersionId": theirs}
    shorter = until - timedelta(days=8)
    world.s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    world.s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": shorter})
    with two_way.back():
        world.deliver(two_way.tag(ONE, "key", theirs, colour="blue"))
        world.deliver(two_way.event("ObjectRetention:Put", ONE, "key", theirs))

    locked = world.s3.head_object(**held)
    assert (locked["ObjectLockMode"], locked["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert locked["ObjectLockLegalHoldStatus"] == "ON"
