"""Objects arrive, and are at the destination what they are at the source: scenarios A."""

import json
import random
import urllib.request
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from s3replicator.decisions.ledger import Status
from s3replicator.decisions.stamp import Stamp
from tests.e2e.world import FAR, NEAR, SOURCE, World, wait_until

MIB: Final = 1 << 20

ATTRIBUTES: Final[Mapping[str, Any]] = {
    "CacheControl": "max-age=60, must-revalidate",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-AT, en",
    "ContentType": "text/plain; charset=utf-8",
    "Expires": datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC),
    "WebsiteRedirectLocation": "/elsewhere.html",
    "Metadata": {"colour": "blue", "with-dash": "1"},
    "Tagging": "team=a%20b&stage=%C3%A4",
}
HEADERS: Final = {
    "cache-control": "max-age=60, must-revalidate",
    "content-disposition": 'attachment; filename="a b.txt"',
    "content-encoding": "gzip",
    "content-language": "de-AT, en",
    "content-type": "text/plain; charset=utf-8",
    "expires": "Tue, 06 May 2031 07:08:09 GMT",
    "x-amz-website-redirect-location": "/elsewhere.html",
}
TAGS: Final = {"team": "a b", "stage": "ä"}


def test_a_new_object_arrives_everywhere_and_says_where_it_came_from(world: World) -> None:
    """Scenarios 1 and 176."""
    key = world.folder("both") + "hello.txt"
    version = world.put(key, b"hello", **ATTRIBUTES)
    for destination in (NEAR, FAR):
        replica = world.arrives_exactly(destination, key, version)
        assert [each.version_id for each in world.versions(destination, key)] == [replica]
        arrived = world.contents(destination, key, replica)
        assert (arrived.headers, arrived.tags) == (HEADERS, TAGS)
        assert arrived.metadata == ATTRIBUTES["Metadata"]
        metadata = world.s3.head_object(Bucket=destination, Key=key)["Metadata"]
        stamp = Stamp.read(metadata)
        assert stamp is not None
        assert (stamp.source_bucket, stamp.version_id) == (SOURCE, version)


def test_the_operator_sees_an_object_that_has_arrived(world: World) -> None:
    """Scenario 205."""
    key = world.folder("both") + "a b+c"
    version = world.put(key, b"hello")
    replicas = {destination: world.arrives(destination, key, version) for destination in (NEAR, FAR)}
    told = json.loads(world.s3rctl("status", f"s3://{SOURCE}/{key}", "--json"))
    for destination, replica in replicas.items():
        assert replica in json.dumps(told)
        assert destination in json.dumps(told)
    assert "COMPLETED" in world.s3rctl("status", f"s3://{SOURCE}/{key}")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["myobj", "_myobj", ":", "&", ".", "..", "...", ".o", ".o."], id="scenario 2"),
        pytest.param(["a b", "a+b", "a%20b", "a%2Bb", "trailing "], id="scenario 4, spaces and pluses"),
        pytest.param(["?", "what?versionId=1", "#", "=", "a&b=c", "\\", "//", "end/"], id="scenario 4, URLs"),
        pytest.param(["tab\there", "line\nbreak", "quote'\"", "<&>", "a\rb"], id="scenario 4, control"),
        pytest.param(["grün/☃", "日本語", "🎉", "e\u0301", "é"], id="scenario 4, unicode"),
    ],
)
def test_every_key_arrives_under_exactly_its_own_name(world: World, names: list[str]) -> None:
    folder = world.folder("one")
    versions = {folder + name: world.put(folder + name, name.encode()) for name in names}
    for key, version in versions.items():
        world.arrives_exactly(NEAR, key, version)


def test_a_key_may_be_as_long_as_s3_allows(world: World) -> None:
    """Scenario 4."""
    folder = world.folder("one")
    for letter in ("k", "é"):
        key = folder + letter * ((1024 - len(folder)) // len(letter.encode()))
        world.arrives_exactly(NEAR, key, world.put(key, b"long"))


@pytest.mark.parametrize("size", [0, 1, 5 * MIB], ids=["scenario 7", "scenario 8", "5 MiB"])
def test_an_object_of_any_size_arrives(world: World, size: int) -> None:
    key = world.folder("one") + "sized"
    world.arrives_exactly(NEAR, key, world.put(key, random.Random(size).randbytes(size)))


def test_two_quick_writes_of_one_key_arrive_in_order(world: World) -> None:
    """Scenario 5."""
    key = world.folder("one") + "twice"
    first, second = world.put(key, b"first"), world.put(key, b"second")
    world.converges(NEAR, key)
    listed = [each.version_id for each in world.versions(NEAR, key)]
    assert listed == [world.arrives(NEAR, key, second), world.arrives(NEAR, key, first)]


def test_however_an_object_is_made_it_arrives_once(world: World) -> None:
    """Scenarios 10 and 11."""
    folder = world.folder("one")
    keys = {name: folder + name for name in ("put", "copied", "in place", "parts", "form")}
    made = {
        keys["put"]: [world.put(keys["put"], b"put", Metadata={"a": "1"})],
        keys["parts"]: [world.put_parts(keys["parts"], [b"x" * 5 * MIB, b"y"])],
        keys["in place"]: [world.put(keys["in place"], b"in place")],
    }
    for target, source in ((keys["copied"], keys["put"]), (keys["in place"], keys["in place"])):
        answer = world.s3.copy_object(
            Bucket=SOURCE,
            Key=target,
            CopySource={"Bucket": SOURCE, "Key": source},
            MetadataDirective="REPLACE",
            Metadata={"b": "2"},
        )
        made.setdefault(target, []).append(answer["VersionId"])
    post_form(world, keys["form"], b"form")
    [posted] = world.versions(SOURCE, keys["form"])
    made[keys["form"]] = [posted.version_id]
    for key, versions in made.items():
        world.converges(NEAR, key)
        for version in versions:
            world.arrives_exactly(NEAR, key, version)


def post_form(world: World, key: str, body: bytes) -> None:
    """As a browser uploads a file."""
    form = world.s3.generate_presigned_post(SOURCE, key)
    line = f"--{uuid.uuid4().hex}"
    fields = [
        f'{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    ]
    file = f'{line}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    data = "".join([*fields, file]).encode() + body + f"\r\n{line}--\r\n".encode()
    kind = f"multipart/form-data; boundary={line.removeprefix('--')}"
    request = urllib.request.Request(form["url"], data, {"Content-Type": kind})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status in (200, 201, 204)


def test_metadata_that_leaves_no_room_for_our_stamp_arrives_untouched(world: World) -> None:
    """Scenario 16."""
    key = world.folder("one") + "full"
    version = world.put(key, b"x", **{**ATTRIBUTES, "Metadata": {"a": "v" * 2047}})
    replica = world.arrives_exactly(NEAR, key, version)
    arrived = world.contents(NEAR, key, replica)
    assert (arrived.headers, arrived.tags) == (HEADERS, TAGS)
    answer = world.s3.head_object(Bucket=NEAR, Key=key, VersionId=replica)
    assert answer["Metadata"] == {"a": "v" * 2047}


@pytest.mark.parametrize(
    "value",
    ["=?UTF-8?B?Z3LDvG4=?=", "=?UTF-8?Q?gr=C3=BCn?=", "100 % \"quoted\" \\ 'single'", "=?broken?="],
)
def test_encoded_metadata_arrives_as_it_is(world: World, value: str) -> None:
    """Scenario 17: S3 shows what is not ASCII as RFC 2047 says."""
    key = world.folder("one") + "encoded"
    replica = world.arrives_exactly(NEAR, key, world.put(key, b"x", Metadata={"colour": value}))
    assert world.contents(NEAR, key, replica).metadata.keys() == {"colour"}


def test_the_storage_class_of_the_source_is_kept(world: World) -> None:
    """Scenario 142."""
    key = world.folder("one") + "cold"
    replica = world.arrives_exactly(NEAR, key, world.put(key, b"x", StorageClass="STANDARD_IA"))
    answer = world.s3.head_object(Bucket=NEAR, Key=key, VersionId=replica)
    assert answer["StorageClass"] == "STANDARD_IA"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_the_checksum_of_the_source_is_kept(world: World, algorithm: Any) -> None:
    """Scenario 140."""
    key = world.folder("one") + "checked"
    version = world.put(key, b"checked", ChecksumAlgorithm=algorithm)
    replica = world.arrives_exactly(NEAR, key, version)
    ours, theirs = (
        world.s3.head_object(Bucket=bucket, Key=key, VersionId=name, ChecksumMode="ENABLED")
        for bucket, name in ((NEAR, replica), (SOURCE, version))
    )
    assert ours.get(f"Checksum{algorithm}") == theirs.get(f"Checksum{algorithm}") is not None


def test_a_large_object_arrives_with_all_its_attributes(world: World) -> None:
    """Scenarios 16, 119, 130, 142: 360 MiB, copied part by part."""
    key = world.folder("one") + "large.bin"
    buffer = memoryview(random.Random(1).randbytes(66 * MIB))
    # Every part begins elsewhere, so that parts which changed places would be seen.
    parts = [buffer[n * MIB : (60 + n) * MIB] for n in range(6)]
    version = world.put_parts(key, parts, **ATTRIBUTES, StorageClass="STANDARD_IA")
    replica = world.arrives_exactly(NEAR, key, version)
    arrived = world.contents(NEAR, key, replica)
    assert (arrived.headers, arrived.tags) == (HEADERS, TAGS)
    assert (arrived.metadata, arrived.storage_class) == (ATTRIBUTES["Metadata"], "STANDARD_IA")
    assert [each.version_id for each in world.versions(NEAR, key)] == [replica]
    assert not world.s3.list_multipart_uploads(Bucket=NEAR).get("Uploads")
    world.settles(NEAR, key)


def test_a_large_object_and_small_ones_of_the_same_key_end_with_the_newest_on_top(world: World) -> None:
    """Scenario 91, across the two lanes."""
    key = world.folder("one") + "mixed"
    world.put(key, b"small")
    world.put(key, bytes(129 * MIB))
    world.put(key, b"small again")
    world.converges(NEAR, key)


def test_a_key_that_no_rule_selects_leaves_no_trace(world: World) -> None:
    """Scenario 206."""
    key = world.folder("nothing") + "unselected"
    version = world.put(key, b"x")
    world.delete(key)
    selected = world.folder("both") + "selected"
    world.arrives(FAR, selected, world.put(selected, b"x"))
    world.becomes_quiet()
    for destination in (NEAR, FAR):
        assert not world.versions(destination, key)
        assert world.head(destination, key) is None
    told = json.loads(world.s3rctl("status", f"s3://{SOURCE}/{key}", "--json"))
    assert version in json.dumps(told)
    assert "COMPLETED" not in json.dumps(told)


def test_ten_versions_of_one_key_in_a_second_end_with_the_newest_on_top(world: World) -> None:
    """Scenarios 5 and 82: each of the others has arrived in its place."""
    key = world.folder("both") + "busy"
    versions = [world.put(key, f"version {n}".encode()) for n in range(10)]
    for destination in (NEAR, FAR):
        world.converges(destination, key)
        rows = world.rows(destination, key)
        assert rows.keys() == set(versions)
        assert {row.status for row in rows.values()} == {Status.COMPLETED}
        assert not any(row.open for row in rows.values())
    wait_until(lambda: not world.parked(world.folder("both")), "nothing is parked")
