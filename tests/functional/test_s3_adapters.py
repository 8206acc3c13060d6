"""What is asked of S3, and what is made of its answers, where moto knows them; where it does not, it is told.

Moto differs from Amazon S3 in this: a delete refused by a lock says "Access Denied" only; the ACL of a
version is that of the key, and of the grantees in one header it shows the first; a bucket whose
versioning is suspended loses all versions but the last, and answers 400 to requests that name one; and
it takes a copy whose precondition does not hold.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.s3.responses import S3Response

from s3replicator.adapters.clients import Clients
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.source import S3Source
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
    TerminalError,
)
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import (
    Grant,
    Kind,
    ListedVersion,
    Lock,
    SourceMarker,
    SourceObject,
    Tag,
    VersionRef,
)
from tests.functional.faults import Fault, faults
from tests.functional.recorder import recording

SOURCE: Final = "source-bucket"
REPLICA: Final = "replica-bucket"
NOTHING_SPECIAL: Final = ReplicaRequest({}, {}, stamped=False)

DENIED: Final[dict[str, Any]] = {"status": 403, "code": "AccessDenied"}
LOCKED: Final = "Access Denied because object protected by object lock."
EVERYBODY: Final = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'


@dataclass
class Buckets:
    """A source and a destination, with clients as the functions have them."""

    s3: Any
    publisher: Any

    def __post_init__(self) -> None:
        self.source = S3Source(self.s3)
        self.destination = S3Destination(REPLICA, self.s3, self.publisher)

    def put(self, body: bytes = b"content", bucket: str = REPLICA, key: str = "key", **headers: Any) -> str:
        """The id of a new version."""
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=body, **headers)["VersionId"])

    def ids(self, bucket: str = REPLICA) -> list[str]:
        """Newest first, delete markers included."""
        return [version.version_id for version in self.source.versions(bucket, "key")]

    def content(self, version_id: str) -> bytes:
        body = self.s3.get_object(Bucket=REPLICA, Key="key", VersionId=version_id)["Body"].read()
        assert isinstance(body, bytes)
        return body


@pytest.fixture
def buckets() -> Iterator[Buckets]:
    with mock_aws():
        clients = Clients("us-east-1", connections=2)
        made = Buckets(clients.s3("us-east-1"), clients.s3_publisher("us-east-1", read_timeout=5))
        made.s3.create_bucket(Bucket=SOURCE)
        made.s3.create_bucket(Bucket=REPLICA, ObjectLockEnabledForBucket=True)
        yield made


def soon() -> float:
    """The end of a retention, in seconds since the epoch. Some are made before the first test begins, and
    have to outlast all of them."""
    return round((datetime.now(UTC) + timedelta(days=30)).timestamp())


def refused(error: pytest.ExceptionInfo[ReplicationError]) -> tuple[type[ReplicationError], Reason]:
    return type(error.value), error.value.reason


# -- a replica


def test_a_replica_is_looked_at_like_a_source_version(buckets: Buckets) -> None:
    until = soon()
    replica = buckets.put(
        Metadata={"owner": "me"},
        CacheControl="no-cache",
        StorageClass="STANDARD_IA",
        ChecksumAlgorithm="SHA256",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=datetime.fromtimestamp(until, UTC),
    )
    found = buckets.destination.head("key", replica)
    assert found is not None
    assert found.ref == VersionRef(REPLICA, "key", replica)
    assert (found.size, found.etag) == (7, '"9a0364b9e99bb480dd25e1f0284c8555"')
    assert (found.metadata, found.cache_control) == ({"owner": "me"}, "no-cache")
    assert (found.storage_class, found.lock) == ("STANDARD_IA", Lock("GOVERNANCE", until))


def test_a_replica_that_is_not_there_any_more_is_nothing_to_look_at(buckets: Buckets) -> None:
    buckets.put()
    assert buckets.destination.head("key", "gone") is None


# -- removing a replica


def test_one_version_is_removed_and_nothing_else(buckets: Buckets) -> None:
    first, second, third = (buckets.put(body) for body in (b"1", b"2", b"3"))
    buckets.destination.remove("key", second)
    assert buckets.ids() == [third, first]


def test_a_marker_is_removed_by_its_id(buckets: Buckets) -> None:
    replica = buckets.put()
    marker = buckets.destination.put_marker("key").version_id
    assert buckets.ids() == [marker, replica]
    buckets.destination.remove("key", marker)
    assert buckets.ids() == [replica]


@pytest.mark.parametrize("key", ["key", "another"])
def test_a_version_that_is_gone_already_is_fine(buckets: Buckets, key: str) -> None:
    replica = buckets.put()
    buckets.destination.remove(key, "gone")
    assert buckets.ids() == [replica], "no delete marker either"


def test_a_store_that_tells_of_versions_gone_already_is_fine_as_well(buckets: Buckets) -> None:
    with faults(Fault("DeleteObject", status=404, code="NoSuchVersion")):
        buckets.destination.remove("key", "gone")


def test_a_removal_whose_answer_was_lost_is_repeated(buckets: Buckets) -> None:
    replica = buckets.put()
    with faults(Fault("DeleteObject", effect=True)):
        buckets.destination.remove("key", replica)
    assert buckets.ids() == []


@pytest.mark.parametrize(
    "lock", [Lock("GOVERNANCE", soon()), Lock(legal_hold="ON")], ids=["retained", "held"]
)
def test_a_locked_replica_stays_and_is_said_to_be_locked(buckets: Buckets, lock: Lock) -> None:
    replica = buckets.put()
    buckets.destination.put_lock("key", replica, lock)
    with pytest.raises(ReplicationError) as error:
        buckets.destination.remove("key", replica)
    assert refused(error) == (TerminalError, Reason.DST_OBJECT_LOCKED)
    assert buckets.ids() == [replica]


def test_amazon_says_itself_that_a_replica_is_locked(buckets: Buckets) -> None:
    replica = buckets.put()
    fault = Fault("DeleteObject", **DENIED, message=LOCKED)
    with faults(fault), recording() as recorded, pytest.raises(ReplicationError) as error:
        buckets.destination.remove("key", replica)
    assert refused(error) == (TerminalError, Reason.DST_OBJECT_LOCKED)
    assert recorded.sent == {"DeleteObject": 1}


@pytest.mark.parametrize("lock", [Lock(), Lock("GOVERNANCE", soon())], ids=["free", "locked"])
def test_a_missing_permission_to_remove_is_told_from_a_lock(buckets: Buckets, lock: Lock) -> None:
    replica = buckets.put()
    buckets.destination.put_lock("key", replica, lock)
    bare, named = "Access Denied", "User: me is not authorized to perform: s3:DeleteObjectVersion on it"
    fault = Fault("DeleteObject", **DENIED, message=named if lock.mode else bare)
    with faults(fault), pytest.raises(ReplicationError) as error:
        buckets.destination.remove("key", replica)
    assert refused(error) == (TerminalError, Reason.DST_DELETE_NOT_PERMITTED)


# -- tags


def test_tags_are_those_of_one_version(buckets: Buckets) -> None:
    first, second = buckets.put(Tagging="old=1"), buckets.put(Tagging="old=2")
    tags = frozenset({Tag("team", "a + b/c"), Tag("empty", "")})
    buckets.destination.put_tags("key", first, tags)
    assert buckets.destination.tags("key", first) == tags
    assert buckets.destination.tags("key", second) == {Tag("old", "2")}


def test_an_empty_set_removes_all_tags_with_the_permission_to_put_them(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = S3Response._tagging_from_xml
    monkeypatch.setattr(
        S3Response, "_tagging_from_xml", lambda self: read(self) if b"<Tag>" in self.body else {}
    )
    replica = buckets.put(Tagging="old=1")
    with recording() as recorded:
        buckets.destination.put_tags("key", replica, frozenset())
    assert buckets.destination.tags("key", replica) == frozenset()
    assert recorded.sent == {"PutObjectTagging": 1}


def test_tags_of_a_replica_that_others_removed_are_told_apart(buckets: Buckets) -> None:
    buckets.put()
    with pytest.raises(ReplicaLost):
        buckets.destination.put_tags("key", "gone", frozenset({Tag("a", "b")}))


# -- ACLs


def test_an_acl_is_read_as_it_is_given_in_headers(buckets: Buckets) -> None:
    replica = buckets.put()
    grants = frozenset(
        {
            Grant("FULL_CONTROL", 'id="me"'),
            Grant("READ", EVERYBODY),
            Grant("READ_ACP", 'id="reader"'),
            Grant("WRITE_ACP", 'id="writer"'),
        }
    )
    buckets.destination.put_acl("key", replica, grants)
    assert buckets.source.acl(VersionRef(REPLICA, "key", replica)) == grants


def test_grantees_of_one_permission_share_a_header(buckets: Buckets) -> None:
    replica = buckets.put()
    grants = frozenset({Grant("READ", EVERYBODY), Grant("READ", 'id="a"'), Grant("READ", 'id="b"')})
    with recording() as recorded:
        buckets.destination.put_acl("key", replica, grants)
    [call] = recorded.calls
    assert call.arguments == {
        "Bucket": REPLICA,
        "Key": "key",
        "VersionId": replica,
        "GrantRead": f'id="a", id="b", {EVERYBODY}',
    }


def test_an_acl_without_any_grant_leaves_the_owner(buckets: Buckets) -> None:
    replica = buckets.put(ACL="public-read")
    buckets.destination.put_acl("key", replica, frozenset())
    [grant] = buckets.source.acl(VersionRef(REPLICA, "key", replica))
    assert grant.permission == "FULL_CONTROL"


def test_where_acls_are_disabled_nothing_happens(buckets: Buckets) -> None:
    replica = buckets.put()
    grants = frozenset({Grant("READ", EVERYBODY)})
    with faults(Fault("PutObjectAcl", status=400, code="AccessControlListNotSupported")):
        buckets.destination.put_acl("key", replica, grants)
    with faults(Fault("PutObjectAcl", **DENIED)), pytest.raises(ReplicationError) as error:
        buckets.destination.put_acl("key", replica, grants)
    assert refused(error) == (TerminalError, Reason.DST_PUT_ACL_NOT_PERMITTED)


# -- Object Lock


@pytest.mark.parametrize(
    "lock",
    [Lock("GOVERNANCE", soon()), Lock("COMPLIANCE", soon(), "ON"), Lock(legal_hold="ON"), Lock()],
    ids=["governance", "compliance and legal hold", "legal hold", "none"],
)
def test_a_lock_is_set_as_far_as_it_is_given(buckets: Buckets, lock: Lock) -> None:
    replica, other = buckets.put(b"1"), buckets.put(b"2")
    buckets.destination.put_lock("key", replica, lock)
    for version_id, expected in ((replica, lock), (other, Lock())):
        found = buckets.destination.head("key", version_id)
        assert found is not None
        assert found.lock == expected


def test_what_is_not_given_of_a_lock_stays(buckets: Buckets) -> None:
    replica, until = buckets.put(), soon()
    buckets.destination.put_lock("key", replica, Lock("GOVERNANCE", until, "ON"))
    buckets.destination.put_lock("key", replica, Lock(legal_hold="OFF"))
    found = buckets.destination.head("key", replica)
    assert found is not None
    assert found.lock == Lock("GOVERNANCE", until, "OFF")


def test_a_retention_that_may_not_be_shortened_is_a_lock(buckets: Buckets) -> None:
    replica = buckets.put()
    fault = Fault("PutObjectRetention", **DENIED, message=LOCKED)
    with faults(fault), pytest.raises(ReplicationError) as error:
        buckets.destination.put_lock("key", replica, Lock("GOVERNANCE", soon()))
    assert refused(error) == (TerminalError, Reason.DST_OBJECT_LOCKED)


def test_a_bucket_without_object_lock_says_so(buckets: Buckets) -> None:
    replica = buckets.put()
    message = "Bucket is missing Object Lock Configuration"
    fault = Fault("PutObjectLegalHold", status=400, code="InvalidRequest", message=message)
    with faults(fault), pytest.raises(ReplicationError) as error:
        buckets.destination.put_lock("key", replica, Lock(legal_hold="ON"))
    assert refused(error) == (TerminalError, Reason.DST_LOCK_CONFIG_MISSING)


# -- copies that were refused, and copies in doubt


def source_version(buckets: Buckets) -> VersionRef:
    enable_versioning(buckets)
    return VersionRef(SOURCE, "key", buckets.put(bucket=SOURCE))


def test_a_copy_whose_source_was_replaced_did_not_happen(buckets: Buckets) -> None:
    ref = source_version(buckets)
    precondition: dict[str, Any] = {"status": 412, "code": "PreconditionFailed"}
    with faults(Fault("CopyObject", **precondition)), pytest.raises(RetryableError) as error:
        buckets.destination.copy(ref, "key", NOTHING_SPECIAL)
    assert refused(error) == (RetryableError, Reason.UNAVAILABLE)

    upload = buckets.destination.create_upload("key", NOTHING_SPECIAL)
    with faults(Fault("UploadPartCopy", **precondition)), pytest.raises(RetryableError):
        buckets.destination.copy_part(ref, '"etag"', "key", upload, Part(1, 0, 7))


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_copy_without_a_clear_answer_may_have_happened(buckets: Buckets, status: int | None) -> None:
    ref = source_version(buckets)
    with faults(Fault("CopyObject", effect=True, status=status)), pytest.raises(AmbiguousWrite):
        buckets.destination.copy(ref, "key", NOTHING_SPECIAL)
    assert len(buckets.ids()) == 1, "sent once"


def test_what_never_reached_s3_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    clients = Clients("us-east-1", connections=1)
    nobody_there = S3Destination(
        REPLICA, clients.s3("us-east-1"), clients.s3_publisher("us-east-1", read_timeout=1)
    )
    with pytest.raises(RetryableError) as error:
        nobody_there.put_marker("key")
    assert refused(error) == (RetryableError, Reason.UNAVAILABLE)


# -- null versions


def enable_versioning(buckets: Buckets) -> None:
    buckets.s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Enabled"})


def put_null(buckets: Buckets, body: bytes = b"content") -> VersionRef:
    """A version written before versioning was enabled."""
    buckets.s3.put_object(Bucket=SOURCE, Key="key", Body=body, Tagging="null=version")
    enable_versioning(buckets)
    return VersionRef(SOURCE, "key", "null")


def seen(buckets: Buckets, version_id: str) -> SourceObject | SourceMarker:
    return buckets.source.head(VersionRef(SOURCE, "key", version_id))


def test_a_null_version_is_found_by_its_id_and_by_its_name_alike(buckets: Buckets) -> None:
    found = buckets.source.head(put_null(buckets))
    assert isinstance(found, SourceObject)
    assert found.ref.version_id == f"null@{found.last_modified:.0f}-9a0364b9e99bb480dd25e1f0284c8555"
    assert seen(buckets, found.ref.version_id) == found


def test_a_null_version_is_listed_by_the_name_it_is_found_by(buckets: Buckets) -> None:
    found = buckets.source.head(put_null(buckets))
    newest = buckets.put(bucket=SOURCE)
    assert buckets.ids(SOURCE) == [newest, found.ref.version_id]


@pytest.mark.parametrize(
    "other", ["null@1-9a0364b9e99bb480dd25e1f0284c8555", "null@{now}-aaaa", "null@{now}"]
)
def test_a_null_version_that_was_replaced_is_gone(buckets: Buckets, other: str) -> None:
    found = buckets.source.head(put_null(buckets))
    with pytest.raises(SourceGone):
        seen(buckets, other.format(now=round(found.last_modified)))


def test_a_null_version_that_was_deleted_is_gone(buckets: Buckets) -> None:
    found = buckets.source.head(put_null(buckets))
    buckets.s3.delete_object(Bucket=SOURCE, Key="key", VersionId="null")
    for version_id in ("null", found.ref.version_id):
        with pytest.raises(SourceGone):
            seen(buckets, version_id)


def test_the_tags_and_the_acl_of_a_null_version_are_read_by_name(buckets: Buckets) -> None:
    ref = buckets.source.head(put_null(buckets)).ref
    buckets.put(bucket=SOURCE, Tagging="newer=version")
    assert buckets.source.tags(ref) == {Tag("null", "version")}
    assert {grant.permission for grant in buckets.source.acl(ref)} == {"FULL_CONTROL"}


def test_a_null_version_is_copied_by_name(buckets: Buckets) -> None:
    ref = buckets.source.head(put_null(buckets, b"null")).ref
    buckets.put(b"newer", bucket=SOURCE)
    published = buckets.destination.copy(ref, "key", NOTHING_SPECIAL)
    assert buckets.content(published.version_id) == b"null"

    upload = buckets.destination.create_upload("key", NOTHING_SPECIAL)
    part = buckets.destination.copy_part(ref, published.etag, "key", upload, Part(1, 0, 4))
    completed = buckets.destination.complete("key", upload, [part], None, None)
    assert buckets.content(completed.version_id) == b"null"


class Body(io.BytesIO):
    """As much of a response stream as botocore reads."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def tell(s3: Any, operation: str, status: int, headers: Mapping[str, str], body: str = "") -> None:
    """Let S3 answer like this to every request of an operation."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers), Body(body.encode()))

    s3.meta.events.register_first(f"before-send.s3.{operation}", answer)


MINUTE: Final = 1795365000
WRITTEN: Final = {"last-modified": "Sun, 22 Nov 2026 16:30:00 GMT", "x-amz-version-id": "null"}


def test_a_null_version_of_a_suspended_bucket_has_the_name_of_what_it_is_now(buckets: Buckets) -> None:
    tell(buckets.s3, "HeadObject", 200, {**WRITTEN, "etag": '"second"', "content-length": "6"})
    assert seen(buckets, "null").ref.version_id == f"null@{MINUTE}-second"
    with pytest.raises(SourceGone, match=f"replaced by null@{MINUTE}-second"):
        seen(buckets, f"null@{MINUTE}-first")


def test_a_null_marker_has_a_name_as_well(buckets: Buckets) -> None:
    tell(buckets.s3, "HeadObject", 405, {**WRITTEN, "x-amz-delete-marker": "true", "allow": "DELETE"})
    name = f"null@{MINUTE}"
    marker = SourceMarker(VersionRef(SOURCE, "key", name), MINUTE)
    assert seen(buckets, "null") == seen(buckets, name) == marker
    with pytest.raises(SourceGone):
        seen(buckets, f"null@{MINUTE}-content")


def test_a_null_marker_is_listed_by_the_name_it_is_found_by(buckets: Buckets) -> None:
    listed = """<?xml version="1.0" encoding="UTF-8"?>
        <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>
        <DeleteMarker><Key>key</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>
        <LastModified>2026-11-22T16:30:00.000Z</LastModified></DeleteMarker>
        <Version><Key>key</Key><VersionId>older</VersionId><IsLatest>false</IsLatest><Size>1</Size>
        <LastModified>2026-11-22T16:30:00.000Z</LastModified><ETag>"etag"</ETag></Version>
        </ListVersionsResult>"""
    tell(buckets.s3, "ListObjectVersions", 200, {}, listed)
    marker = ListedVersion(f"null@{MINUTE}", Kind.MARKER, MINUTE, latest=True)
    older = ListedVersion("older", Kind.OBJECT, MINUTE, '"etag"', size=1)
    assert buckets.source.versions(SOURCE, "key") == [marker, older]


def test_a_destination_lists_the_ids_that_s3_knows(buckets: Buckets) -> None:
    put_null(buckets)
    listed = S3Destination(SOURCE, buckets.s3, buckets.publisher).versions("key")
    assert [version.version_id for version in listed] == ["null"]
