"""Rules of the ledger protocol that only the requests themselves can keep or break."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from moto import mock_aws

from s3replicator.adapters.clients import Clients
from s3replicator.adapters.destination import S3Destination
from s3replicator.decisions.failures import AmbiguousWrite
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest
from s3replicator.decisions.versions import Published, VersionRef
from tests.functional.faults import Fault, faults
from tests.functional.world import World

SOURCE: Final = "source-bucket"
REPLICA: Final = "replica-bucket"

NOTHING_SPECIAL: Final = ReplicaRequest({}, {}, stamped=False)


@dataclass
class Buckets:
    s3: Any
    publisher: Any
    ref: VersionRef
    etag: str

    def destination(self, publisher: Any = None) -> S3Destination:
        return S3Destination(REPLICA, self.s3, publisher or self.publisher)

    def contents(self) -> list[str]:
        """What the destination holds, in no order: contents, and "marker" for a delete marker."""
        found = self.s3.list_object_versions(Bucket=REPLICA)
        bodies = [self.content(version["VersionId"]) for version in found["Versions"]]
        return sorted(bodies + ["marker"] * len(found.get("DeleteMarkers", [])))

    def content(self, version_id: str) -> str:
        answer = self.s3.get_object(Bucket=REPLICA, Key="key", VersionId=version_id)
        return str(answer["Body"].read().decode())


@pytest.fixture
def buckets() -> Iterator[Buckets]:
    with mock_aws():
        clients = Clients("us-east-1", connections=2)
        s3 = clients.s3("us-east-1")
        for name in (SOURCE, REPLICA):
            s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=REPLICA, Key="key", Body=b"before")
        made = s3.put_object(Bucket=SOURCE, Key="key", Body=b"ours")
        ref = VersionRef(SOURCE, "key", made["VersionId"])
        publisher = clients.s3_publisher("us-east-1", read_timeout=5)
        yield Buckets(s3, publisher, ref, made["ETag"])


# -- every visible write


def copy(buckets: Buckets, destination: S3Destination) -> Published:
    return destination.copy(buckets.ref, "key", NOTHING_SPECIAL)


def mark(buckets: Buckets, destination: S3Destination) -> Published:
    return destination.put_marker("key")


def complete(buckets: Buckets, destination: S3Destination) -> Published:
    upload_id = destination.create_upload("key", NOTHING_SPECIAL)
    copied = destination.copy_part(buckets.ref, buckets.etag, "key", upload_id, Part(1, 0, 3))
    return destination.complete("key", upload_id, [copied], None, None)


Publish = Callable[[Buckets, S3Destination], Published]

VISIBLE: Final = {"CopyObject": copy, "DeleteObject": mark, "CompleteMultipartUpload": complete}


@pytest.mark.parametrize(("operation", "publish"), VISIBLE.items(), ids=VISIBLE.keys())
def test_a_visible_write_whose_answer_was_lost_is_not_sent_again(
    buckets: Buckets, operation: str, publish: Publish
) -> None:
    """It may have taken effect. Sent again it would make a second version that nobody knows."""
    with faults(Fault(operation, effect=True)), pytest.raises(AmbiguousWrite):
        publish(buckets, buckets.destination())
    assert len(buckets.contents()) == 2


class Meddling:
    """Somebody else writes the same key between our write and whatever comes next."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name == "meta":
            return method

        def send(**arguments: Any) -> Any:
            answer = method(**arguments)
            self._client.put_object(Bucket=REPLICA, Key="key", Body=b"foreign")
            return answer

        return send


@pytest.mark.parametrize("publish", VISIBLE.values(), ids=VISIBLE.keys())
def test_the_id_of_what_was_written_comes_from_its_own_answer(buckets: Buckets, publish: Publish) -> None:
    published = publish(buckets, buckets.destination(Meddling(buckets.publisher)))

    assert len(buckets.contents()) == 3
    buckets.destination().remove("key", published.version_id)
    assert buckets.contents() == ["before", "foreign"]


# -- duplicates


def test_a_duplicate_is_acknowledged_only_if_its_key_is_clean(world: World) -> None:
    """The version is replicated, its key is not looked after yet, and the message about that is lost."""
    world.rules({})
    event = world.put("key")
    with faults(Fault("CopyObject", effect=True)):
        world.deliver(event)
    assert world.take("dead-letter")
    world.deliver(event)
    world.drain()
    assert world.at_rest("key")


@pytest.mark.parametrize("refused", ["CreateMultipartUpload", "UploadPartCopy"])
def test_a_large_replica_that_may_not_be_put_in_its_place_is_parked_once(
    world: World, small_parts: int, refused: str
) -> None:
    """And again when somebody has it tried again, until it works."""
    world.rules({})
    old = world.put("key", b"old")
    large = b"x" * (small_parts + 1)
    world.deliver(world.put("key", large))
    world.drain()
    world.deliver(old)
    with faults(Fault(refused, status=403, code="AccessDenied", times=1000)):
        world.drain()
        [parked] = world.take("parked")
        world.deliver(parked)
        world.drain()
        [parked] = world.take("parked")
    world.deliver(parked)
    world.drain()
    assert world.versions("key") == [large.decode(), "old"]
    assert world.at_rest("key")
