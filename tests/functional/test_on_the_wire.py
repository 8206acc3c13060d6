"""The adapters with the real SDK, through real HTTP: what S3 is asked, and told, byte by byte."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from s3replicator.adapters.bucket_admin import BucketAdmin
from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.adapters.clients import Clients
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.s3_answers import readable
from s3replicator.adapters.source import S3Source
from s3replicator.decisions.configuration import Destination, Filter, Rule
from s3replicator.decisions.deployment import BucketRefused, SetupRefused
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    NotEligible,
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
    TerminalError,
)
from s3replicator.decisions.notifications import Entry, EventSource, Wiring
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest, check_eligible, copy_request, upload_request
from s3replicator.decisions.stamp import Stamp, without_stamp
from s3replicator.decisions.versions import Checksum, Grant, Lock, SourceObject, Tag, VersionRef
from s3replicator.ports import CopiedPart
from s3replicator.usecases.notification_wiring import NotificationWiring
from tests.conftest import set_environment
from tests.functional.wire import MAX_HEADERS, MODIFIED, SYSTEM, Answer, Stored, WireS3
from tests.functional.wire_http import serving

SOURCE: Final = "source-bucket"
REPLICA: Final = "replica-bucket"
NOTHING_SPECIAL: Final = ReplicaRequest({}, {}, stamped=False)
NOTHING_SPECIAL_COPIED: Final = ReplicaRequest({"MetadataDirective": "COPY"}, {}, stamped=False)
RULE: Final = Rule("everything", 1, True, Filter(), True, Destination(REPLICA))

#: Keys with what XML cannot carry, and with what is written otherwise in a URL or in XML.
KEYS: Final = (
    "KM\x08.bin",
    "".join(map(chr, range(1, 0x20))) + "\x7f",
    "\ufffe\uffff",
    "a b+c%41&lt;<'\"é🙂//",
    "a/../b/./c",
    "plain",
)
GONE: Final = "9" * 32


@dataclass
class Wire:
    """Both sides, on one store."""

    store: WireS3
    s3: Any
    publisher: Any

    def __post_init__(self) -> None:
        self.source = S3Source(self.s3)
        self.destination = S3Destination(REPLICA, self.s3, self.publisher)
        self.lister = S3Lister(self.s3, REPLICA)

    def head(self, stored: Stored, key: str = "key", bucket: str = SOURCE) -> SourceObject:
        found = self.source.head(VersionRef(bucket, key, stored.version_id))
        assert isinstance(found, SourceObject)
        return found

    def copy(self, stored: Stored, key: str = "key", bucket: str = SOURCE) -> Stored:
        """A replica of it, as the functions make it."""
        found = self.head(stored, key, bucket)
        check_eligible(found, RULE)
        request = copy_request(found, RULE, stamp_of(found))
        published = self.destination.copy(found.ref, key, request)
        made = self.store.newest(REPLICA, key)
        assert made.version_id == published.version_id
        return made

    def copy_by_parts(self, stored: Stored, key: str = "key", bucket: str = SOURCE) -> Stored:
        found = self.head(stored, key, bucket)
        check_eligible(found, RULE, large=True)
        request = upload_request(found, RULE, stamp_of(found), self.source.tags(found.ref))
        upload = self.destination.create_upload(key, request)
        part = self.destination.copy_part(found.ref, found.etag, key, upload, Part(1, 0, found.size - 1))
        assert self.destination.parts(key, upload) == {1: part}
        published = self.destination.complete(key, upload, [part], None, None)
        made = self.store.newest(REPLICA, key)
        assert made.version_id == published.version_id
        return made


@pytest.fixture(scope="module")
def on_the_wire() -> Iterator[Wire]:
    """Making a client takes long. A session of a role has a long token."""
    with pytest.MonkeyPatch.context() as patch, serving(WireS3()) as (store, address):
        set_environment(patch)
        patch.setenv("AWS_SESSION_TOKEN", "t" * 1400)
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
        clients = Clients("us-east-1", connections=2)
        s3, publisher = clients.s3("us-east-1"), clients.s3_publisher("us-east-1", read_timeout=5)
        yield Wire(store, s3, publisher)
        s3.close()
        publisher.close()


@pytest.fixture
def wire(on_the_wire: Wire) -> Wire:
    on_the_wire.store.empty()
    return on_the_wire


def stamp_of(source: SourceObject) -> Stamp:
    return Stamp.of(source.ref, "0123456789abcdef0123456789abcdef", REPLICA, source.ref.key)


def refused(error: pytest.ExceptionInfo[ReplicationError]) -> tuple[type[ReplicationError], Reason]:
    return type(error.value), error.value.reason


# -- keys that XML cannot carry

ANY_KEY = pytest.mark.parametrize(
    "key", KEYS, ids=["backspace", "controls", "noncharacters", "odd", "dots", "plain"]
)


@ANY_KEY
def test_a_large_object_is_copied_whatever_its_key(wire: Wire, key: str) -> None:
    made = wire.copy_by_parts(wire.store.put(SOURCE, key, b"large"), key)
    assert made.body == b"large"
    assert [request.key for request in wire.store.sent("CompleteMultipartUpload")] == [key]
    assert len(wire.store.sent("CreateMultipartUpload")) == 1
    assert not wire.store.uploads


@ANY_KEY
def test_a_small_object_is_copied_whatever_its_key(wire: Wire, key: str) -> None:
    assert wire.copy(wire.store.put(SOURCE, key, b"small"), key).body == b"small"


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_open_uploads_are_listed_whatever_their_keys(wire: Wire, page: int) -> None:
    wire.store.page = page
    begun = {(key, wire.destination.create_upload(key, NOTHING_SPECIAL)) for key in KEYS for _ in range(2)}
    assert {(upload.key, upload.upload_id) for upload in wire.lister.uploads("")} == begun


@pytest.mark.parametrize("page", [1, 1000])
def test_open_uploads_below_a_prefix_that_xml_cannot_carry_are_listed(wire: Wire, page: int) -> None:
    wire.store.page = page
    for key in ("a\x01/1", "a\x01/2", "b"):
        wire.destination.create_upload(key, NOTHING_SPECIAL)
    assert [upload.key for upload in wire.lister.uploads("a\x01/")] == ["a\x01/1", "a\x01/2"]


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_versions_are_listed_whatever_their_keys(wire: Wire, page: int) -> None:
    wire.store.page = page
    written = sorted((key, wire.store.put(REPLICA, key).version_id) for key in KEYS for _ in range(2))
    listed, after = [], None
    while True:
        found = wire.lister.page("", after)
        listed += [(key, version.version_id) for key, version in found.versions]
        if (after := found.after) is None:
            break
    assert sorted(listed) == written
    for key in KEYS:
        ids = [version.version_id for version in wire.destination.versions(key)]
        assert sorted(ids) == sorted(one for name, one in written if name == key)


@ANY_KEY
def test_an_upload_that_is_gone_is_known_to_be_gone_whatever_its_key(wire: Wire, key: str) -> None:
    assert wire.destination.parts(key, "gone") is None
    wire.destination.abort(key, "gone")
    ref = VersionRef(SOURCE, key, wire.store.put(SOURCE, key).version_id)
    with pytest.raises(RetryableError, match="NoSuchUpload"):
        wire.destination.copy_part(ref, "", key, "gone", Part(1, 0, 0))


def test_what_is_read_to_be_written_again_is_never_made_readable(wire: Wire) -> None:
    stored = wire.store.put(SOURCE, "key", tags=(("key", "back\x08space"),))
    with pytest.raises(RetryableError):
        wire.source.tags(VersionRef(SOURCE, "key", stored.version_id))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"<a>&#x8;&#8;&#x1F;&#x1f;&#xFFFE;&#65535;&#xD800;&#x110000;&#0;</a>", "\ufffd" * 9),
        (b"<a>\x08\x00\xef\xbf\xbe\xef\xbf\xbf\xed\xa0\x80</a>", "\ufffd" * 5),
        (
            b"<a>&#x9;&#10;&#xD;&#x20;&#233;&#x1F642;&amp;#x8;\x7f\xc3\xa9</a>",
            "\t\n\r \xe9\U0001f642&#x8;\x7f\xe9",
        ),
    ],
    ids=["references", "bytes", "what XML knows"],
)
def test_what_xml_does_not_know_is_replaced_and_nothing_else(sent: bytes, read: str) -> None:
    assert ElementTree.fromstring(readable(sent)).text == read  # noqa: S314 - written above


@pytest.mark.parametrize("sent", [b"", b'{"a": "&#x8;\x08"}', b"<a>plain</a>", b"<a>&#x1F642;</a>"])
def test_what_can_be_read_stays_as_it_is(sent: bytes) -> None:
    assert readable(sent) == sent


# -- what an error is about


@ANY_KEY
def test_a_version_that_is_gone_is_known_to_be_gone_whatever_its_key(wire: Wire, key: str) -> None:
    wire.store.put(SOURCE, key)
    gone = VersionRef(SOURCE, key, GONE)
    for read in (wire.source.head, wire.source.tags, wire.source.acl):
        with pytest.raises(SourceGone):
            read(gone)
    with pytest.raises(SourceGone):
        wire.destination.copy(gone, key, NOTHING_SPECIAL_COPIED)
    assert wire.destination.head(key, GONE) is None
    with pytest.raises(ReplicaLost):
        wire.destination.put_tags(key, GONE, frozenset({Tag("key", "value")}))


@ANY_KEY
def test_a_source_that_was_replaced_under_a_copy_is_read_again_whatever_its_key(wire: Wire, key: str) -> None:
    ref = VersionRef(SOURCE, key, wire.store.put(SOURCE, key).version_id)
    upload = wire.destination.create_upload(key, NOTHING_SPECIAL)
    with pytest.raises(RetryableError, match="PreconditionFailed"):
        wire.destination.copy_part(ref, '"other"', key, upload, Part(1, 0, 0))


#: An error that says nothing, in an XML that can be read.
EMPTY: Final = (
    b"<Error><Code></Code><Message></Message></Error>",
    b"<Error><Code/><Message/></Error>",
    b"<Error/>",
)


@pytest.mark.parametrize("body", [b"", b"<html><head><title>Not this</title>", b"\x00", *EMPTY])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (403, (TerminalError, Reason.SRC_GET_TAGGING_NOT_PERMITTED)),
        # Nothing says what is missing, so nothing is taken to be gone.
        (404, (RetryableError, Reason.UNAVAILABLE)),
        (412, (RetryableError, Reason.UNAVAILABLE)),
        (500, (RetryableError, Reason.UNAVAILABLE)),
        (503, (RetryableError, Reason.THROTTLED)),
    ],
)
def test_of_an_error_without_a_code_the_status_tells(
    wire: Wire, status: int, body: bytes, expected: tuple[type[ReplicationError], Reason]
) -> None:
    wire.store.told["GetObjectTagging"] = Answer(status, body=body)
    with pytest.raises(ReplicationError) as error:
        wire.source.tags(VersionRef(SOURCE, "key", GONE))
    assert refused(error) == expected


def test_a_copy_refused_by_its_precondition_did_not_happen_even_without_a_body(wire: Wire) -> None:
    wire.store.told["CopyObject"] = Answer(412)
    with pytest.raises(RetryableError) as error:
        wire.destination.copy(VersionRef(SOURCE, "key", GONE), "key", NOTHING_SPECIAL_COPIED)
    assert refused(error) == (RetryableError, Reason.UNAVAILABLE)


@pytest.mark.parametrize("version_id", ["latest", "../key", "7", "nul", GONE + "0"])
def test_an_id_that_no_version_can_have_is_that_of_no_version(wire: Wire, version_id: str) -> None:
    wire.store.put(SOURCE, "key")
    with pytest.raises(SourceGone, match="Invalid version id"):
        wire.source.head(VersionRef(SOURCE, "key", version_id))


ERROR_IN_200: Final = b"<Error><Code>%s</Code><Message>We encountered it.</Message><Key>k&#x8;</Key></Error>"
DECLARED: Final = b'<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize("code", [b"InternalError", b"SlowDown", b"NoSuchUpload"])
def test_an_error_inside_of_a_success_is_an_error_whatever_the_key(wire: Wire, code: bytes) -> None:
    chunks = [DECLARED, b"\r\n", b"    ", ERROR_IN_200 % code]
    for operation in ("CopyObject", "CompleteMultipartUpload"):
        wire.store.told[operation] = Answer(200, {"x-amz-version-id": b"1"}, chunks=chunks)
    with pytest.raises(AmbiguousWrite, match=code.decode()):
        wire.destination.copy(VersionRef(SOURCE, "key", GONE), "key", NOTHING_SPECIAL_COPIED)
    with pytest.raises(AmbiguousWrite, match=code.decode()):
        wire.destination.complete("key", "upload", [CopiedPart(1, '"etag"', None)], None, None)


@pytest.mark.parametrize("body", [b"", b"<CopyObjectResult><ETag>", b"nothing like it"])
def test_a_copy_whose_answer_cannot_be_read_may_have_happened(wire: Wire, body: bytes) -> None:
    wire.store.told["CopyObject"] = Answer(200, {"x-amz-version-id": b"1"}, body)
    with pytest.raises(AmbiguousWrite):
        wire.destination.copy(VersionRef(SOURCE, "key", GONE), "key", NOTHING_SPECIAL_COPIED)
    wire.store.told["CompleteMultipartUpload"] = Answer(200, {"x-amz-version-id": b"1"}, body)
    with pytest.raises(AmbiguousWrite):
        wire.destination.complete("key", "upload", [CopiedPart(1, '"etag"', None)], None, None)


@pytest.mark.parametrize("body", [b"<InitiateMultipartUploadResult><Uplo", b"nothing like it"])
def test_what_cannot_be_read_is_asked_for_again(wire: Wire, body: bytes) -> None:
    wire.store.told["CreateMultipartUpload"] = wire.store.told["ListObjectVersions"] = Answer(200, body=body)
    with pytest.raises(RetryableError):
        wire.destination.create_upload("key", NOTHING_SPECIAL)
    with pytest.raises(RetryableError):
        wire.destination.versions("key")


# -- headers that are read and sent again

UTF8: Final = 'attachment; filename="Übung 中文 à.pdf"'.encode()
LATIN1: Final = 'attachment; filename="\xdcbung \xa9 \xa0.pdf"'.encode("latin-1")


def three_times(wire: Wire, stored: Stored, copy: Callable[[Stored, str, str], Stored]) -> Stored:
    """A copy of a copy of a copy."""
    bucket = SOURCE
    for _ in range(3):
        stored, bucket = copy(stored, "key", bucket), REPLICA
    return stored


def carried(stored: Stored) -> tuple[dict[str, bytes], dict[str, str]]:
    """Without the stamp, which every copy has of its own."""
    return dict(stored.headers), without_stamp(stored.metadata)


@pytest.mark.parametrize("value", [UTF8, LATIN1], ids=["utf-8", "latin-1"])
@pytest.mark.parametrize("name", [*SYSTEM, "x-amz-website-redirect-location"])
def test_a_header_that_is_not_ascii_is_copied_byte_by_byte(wire: Wire, name: str, value: bytes) -> None:
    if name.startswith("x-amz-"):
        value = b"/" + value.replace(b"\xa0", b"")
    stored = wire.store.put(SOURCE, "key", headers={"content-type": b"text/plain", name: value})
    for copy in (wire.copy, wire.copy_by_parts):
        assert carried(three_times(wire, stored, copy)) == carried(stored)
        assert Stamp.read(wire.head(wire.store.newest(REPLICA, "key"), bucket=REPLICA).metadata) is not None


@pytest.mark.parametrize("value", ["grün", "中文", "\xc3\x9c", "=?UTF-8?B?broken", "x" * 1500, "Ã\xa0 \x85"])
def test_metadata_stays_the_text_that_s3_keeps(wire: Wire, value: str) -> None:
    stored = wire.store.put(
        SOURCE, "key", headers={"content-type": b"text/plain"}, metadata={"name": value, "plain": "plain"}
    )
    for copy in (wire.copy, wire.copy_by_parts):
        assert carried(three_times(wire, stored, copy)) == carried(stored)


def test_metadata_that_s3_does_not_show_is_copied_by_s3_itself(wire: Wire) -> None:
    stored = wire.store.put(
        SOURCE, "key", headers={"content-disposition": UTF8}, metadata={"hidden": "a\x01b", "shown": "c"}
    )
    assert carried(three_times(wire, stored, wire.copy)) == carried(stored)
    with pytest.raises(NotEligible, match="cannot be read"):
        wire.copy_by_parts(stored)


@pytest.mark.parametrize("value", ["Übung".encode(), "\xa9".encode("latin-1"), "中文".encode()])
def test_a_store_that_shows_metadata_as_it_came_gets_the_same_bytes(wire: Wire, value: bytes) -> None:
    wire.store.decodes = False
    metadata = {"name": value.decode("latin-1"), "mail": "=?UTF-8?B?w7w=?="}
    stored = wire.store.put(SOURCE, "key", headers={"content-type": b"x"}, metadata=metadata)
    for copy in (wire.copy, wire.copy_by_parts):
        assert carried(three_times(wire, stored, copy)) == carried(stored)


def test_what_cannot_be_signed_is_copied_by_s3_itself_or_refused(wire: Wire) -> None:
    """The SDK takes a no-break space for white space, and signs something else than is sent."""
    wire.store.decodes = False
    headers = {"content-type": b"x", "content-disposition": UTF8}
    stored = wire.store.put(SOURCE, "key", headers=headers, metadata={"name": "a\xa0b"})
    assert carried(three_times(wire, stored, wire.copy)) == carried(stored)
    with pytest.raises(NotEligible, match="metadata"):
        wire.copy_by_parts(stored)
    redirected = wire.store.put(SOURCE, "key", headers={"x-amz-website-redirect-location": "/à".encode()})
    for copy in (wire.copy, wire.copy_by_parts):
        with pytest.raises(NotEligible, match="redirect"):
            copy(redirected)


#: What HTTP carries in a header.
HEADER_BYTES = st.binary(min_size=1, max_size=60).map(
    lambda value: b"".join(bytes([byte]) for byte in value if byte not in b"\x00\r\n").strip(b" \t")
)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map(str.strip)


@given(
    headers=st.dictionaries(st.sampled_from(SYSTEM), HEADER_BYTES.filter(bool)),
    metadata=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), TEXT.filter(bool), max_size=3
    ),
    by_parts=st.booleans(),
)
@example(headers={"expires": b"5d", "content-encoding": b"\xa0"}, metadata={}, by_parts=True)
@example(headers={"expires": "Übermorgen".encode(), "content-type": b"\x7f\x01"}, metadata={}, by_parts=False)
@settings(
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_copy_of_a_copy_of_a_copy_has_the_same_bytes(
    wire: Wire, headers: dict[str, bytes], metadata: dict[str, str], by_parts: bool
) -> None:
    headers = {"content-type": b"text/plain", **headers}
    stored = wire.store.put(SOURCE, "key", headers=headers, metadata=metadata)
    copy = wire.copy_by_parts if by_parts else wire.copy
    assert carried(three_times(wire, stored, copy)) == carried(stored)


# -- what the SDK makes something else of


@pytest.mark.parametrize(
    "value", [b"5d", b"Invalid Date", b"0", b"-1", b"Thu, 01 Dec 2033 16:00:00 GMT", b"2033"]
)
def test_a_time_of_expiry_is_copied_as_it_was_written(wire: Wire, value: bytes) -> None:
    stored = wire.store.put(SOURCE, "key", headers={"content-type": b"x", "expires": value})
    for copy in (wire.copy, wire.copy_by_parts):
        assert carried(three_times(wire, stored, copy)) == carried(stored)


def head_told(wire: Wire, **headers: bytes) -> SourceObject:
    """What is made of such headers of a HEAD."""
    told = {
        "Last-Modified": MODIFIED.encode(),
        "ETag": b'"etag"',
        "Content-Length": b"7",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    wire.store.told["HeadObject"] = Answer(200, told)
    found = wire.source.head(VersionRef(SOURCE, "key", GONE))
    assert isinstance(found, SourceObject)
    return found


def test_what_the_sdk_does_not_know_is_kept(wire: Wire) -> None:
    found = head_told(wire, x_amz_storage_class=b"GLACIER_FUTURE", x_amz_server_side_encryption=b"aws:future")
    assert (found.storage_class, found.encryption) == ("GLACIER_FUTURE", "aws:future")
    found = head_told(wire, x_amz_checksum_crc32=b"AAAAAA==", x_amz_checksum_type=b"FUTURE")
    assert found.checksum == Checksum("CRC32", "AAAAAA==", full_object=False)
    assert head_told(wire, x_amz_checksum_future=b"AAAA").checksum is None
    assert head_told(wire, x_amz_replication_status=b"REPLICA").native_replica
    assert not head_told(wire, x_amz_replication_status=b"FUTURE").native_replica


def test_a_checksum_without_its_type_is_of_the_parts_if_it_counts_them(wire: Wire) -> None:
    assert head_told(wire, x_amz_checksum_sha256=b"AAAA-3").checksum == Checksum(
        "SHA256", "AAAA-3", full_object=False
    )
    assert head_told(wire, x_amz_checksum_sha256=b"AAAA").checksum == Checksum(
        "SHA256", "AAAA", full_object=True
    )


def test_a_restored_object_is_one_whose_restore_has_ended(wire: Wire) -> None:
    begun = b'ongoing-request="true"'
    ended = b'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"'
    assert not head_told(wire, x_amz_storage_class=b"GLACIER", x_amz_restore=begun).restored
    assert head_told(wire, x_amz_storage_class=b"GLACIER", x_amz_restore=ended).restored
    assert head_told(wire, x_amz_archive_status=b"ARCHIVE_ACCESS").archive_status == "ARCHIVE_ACCESS"


def test_a_retention_keeps_its_end(wire: Wire) -> None:
    for told in (b"2035-01-02T03:04:05Z", b"2035-01-02T03:04:05.678Z"):
        found = head_told(
            wire, x_amz_object_lock_mode=b"COMPLIANCE", x_amz_object_lock_retain_until_date=told
        )
        until = datetime.fromisoformat(told.decode()).timestamp()
        assert found.lock == Lock("COMPLIANCE", until)


@pytest.mark.parametrize("etag", ['"etag"', '"etag-3"', "etag"])
def test_a_copy_is_pinned_to_the_etag_as_it_was_told(wire: Wire, etag: str) -> None:
    assert head_told(wire, ETag=etag.encode()).etag == etag


# -- what was stored by a body is sent again by a header

CJK: Final = tuple((f"{number}" + "中" * 99, "文" * 100) for number in range(10))
ASCII: Final = tuple((f"{number}" + "k" * 127, "v" * 256) for number in range(10))


@pytest.mark.parametrize(
    ("tags", "room", "owed"),
    [
        ((), 1800, False),
        (CJK[:1], 1800, False),
        (CJK[:4], 0, True),
        (CJK, 0, True),
        (ASCII, 0, False),
        (ASCII, 1800, True),
    ],
    ids=["none", "one", "more than 4 KB", "most", "ascii", "ascii beside metadata"],
)
@pytest.mark.parametrize("key", ["key", "中" * 341], ids=["short", "long"])
def test_what_is_sent_by_headers_fits_into_8_kb(
    wire: Wire, tags: tuple[tuple[str, str], ...], room: int, owed: bool, key: str
) -> None:
    headers = {"content-type": b"text/plain", "content-disposition": UTF8, "cache-control": b"c" * 100}
    metadata = {"name": "x" * room} if room else {}
    stored = wire.store.put(SOURCE, key, headers=headers, metadata=metadata, tags=tuple(sorted(tags)))
    for copy in (wire.copy, wire.copy_by_parts):
        replica = copy(stored, key)
        assert carried(replica) == carried(stored)
        assert replica.tags == (() if owed and copy == wire.copy_by_parts else stored.tags)
        wanted = wire.source.tags(VersionRef(SOURCE, key, stored.version_id))
        wire.destination.put_tags(key, replica.version_id, wanted)
        assert wire.store.newest(REPLICA, key).tags == stored.tags
    assert wire.store.largest <= MAX_HEADERS


def test_what_nobody_could_give_later_is_no_part_of_a_copy_of_a_replica(wire: Wire) -> None:
    source = wire.head(wire.store.put(SOURCE, "key", tags=CJK))
    tags = wire.source.tags(source.ref)
    assert upload_request(source, RULE, stamp_of(source), tags).owes_tags
    with pytest.raises(NotEligible, match="8 KB"):
        upload_request(source, RULE, stamp_of(source), tags, again=True)


def test_everything_at_once_fits_into_8_kb(wire: Wire) -> None:
    """As much of each as the rules let through."""
    key = "中" * 341
    arn = "arn:aws:kms:us-east-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"
    there = Destination(REPLICA, "INTELLIGENT_TIERING", "123456789012", True, arn)
    rule = Rule("everything", 1, True, Filter(), True, there, kms=True)
    stored = wire.store.put(SOURCE, key, tags=ASCII)
    found = wire.head(stored, key)
    tags = wire.source.tags(found.ref)
    for length, entries in itertools.product(range(0, 6000, 250), range(0, 80, 10)):
        source = replace(
            found,
            content_disposition="d" * length,
            metadata={f"a-long-name-of-an-entry-{number}": "v" for number in range(entries)},
            encryption="aws:kms",
            checksum=Checksum("CRC64NVME", "AAAAAAAAAAA=", full_object=True),
            lock=Lock("GOVERNANCE", 1900000000.0, "ON"),
        )
        try:
            check_eligible(source, rule, large=True)
        except NotEligible:
            continue
        wire.destination.create_upload(key, upload_request(source, rule, stamp_of(source), tags))
        wire.destination.copy(source.ref, key, copy_request(source, rule, stamp_of(source)))
    assert 7000 < wire.store.largest <= MAX_HEADERS


def test_many_small_entries_of_metadata_are_copied_by_s3_itself_or_refused(wire: Wire) -> None:
    """A form stores 2 KB of them without the names of headers; and what a signature covers is named in it."""
    metadata = {f"a-long-name-of-an-entry-{number}": "v" for number in range(75)}
    stored = wire.store.put(SOURCE, "key", headers={"content-type": b"x"}, metadata=metadata)
    assert carried(three_times(wire, stored, wire.copy)) == carried(stored)
    with pytest.raises(NotEligible, match="8 KB"):
        wire.copy_by_parts(stored)


def test_a_stamp_never_makes_a_replica_unreadable(wire: Wire) -> None:
    """Python reads a hundred headers at most."""
    metadata = {f"k{number}": "v" for number in range(90)}
    stored = wire.store.put(SOURCE, "key", headers={"content-type": b"x"}, metadata=metadata)
    for copy in (wire.copy, wire.copy_by_parts):
        assert carried(three_times(wire, stored, copy)) == carried(stored)


def test_more_metadata_than_can_be_read_is_said_to_be_so(wire: Wire) -> None:
    metadata = {f"k{number}": "v" for number in range(100)}
    stored = wire.store.put(SOURCE, "key", metadata=metadata)
    with pytest.raises(NotEligible, match="100 headers"):
        wire.head(stored)


def test_a_long_header_costs_the_stamp_before_the_object(wire: Wire) -> None:
    for length in (500, 3000, 4500, 6000):
        headers = {"content-type": b"x", "content-disposition": b"d" * length}
        stored = wire.store.put(SOURCE, "key", headers=headers)
        assert carried(three_times(wire, stored, wire.copy)) == carried(stored)
        if length <= 4500:
            assert carried(wire.copy_by_parts(stored)) == carried(stored)
        else:
            with pytest.raises(NotEligible, match="8 KB"):
                wire.copy_by_parts(stored)


@pytest.mark.parametrize("number", [1, 20, 100])
def test_an_acl_is_put_however_many_grants_it_has(wire: Wire, number: int) -> None:
    made = wire.store.put(REPLICA, "key")
    everybody = Grant("READ", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"')
    ids = [f'id="{number:064x}"' for number in range(number - 1)]
    grants = frozenset(
        {
            everybody,
            *(Grant("READ", one) for one in ids[::2]),
            *(Grant("WRITE_ACP", one) for one in ids[1::2]),
        }
    )
    wire.destination.put_acl("key", made.version_id, grants)
    assert wire.destination.acl("key", made.version_id) == grants
    assert wire.store.largest <= MAX_HEADERS


# -- notifications of others

NOTIFICATIONS: Final = """<?xml version="1.0" encoding="UTF-8"?>
<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration>
<Id>theirs</Id><Queue>arn:aws:sqs:us-east-1:123456789012:theirs</Queue><Event>s3:ObjectRestore:*</Event>
<Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/</Value></FilterRule>%s</S3Key></Filter>%s
</QueueConfiguration><EventBridgeConfiguration/>%s</NotificationConfiguration>"""

WIRING: Final = Wiring(
    Entry("s3-replicator-x", "arn:aws:sqs:us-east-1:123456789012:x"), EventSource.NOTIFICATION
)


def notified(wire: Wire, *unknown: str) -> NotificationWiring:
    told = NOTIFICATIONS % unknown
    wire.store.told["GetBucketNotificationConfiguration"] = Answer(200, body=told.encode())
    wire.store.told["PutBucketNotificationConfiguration"] = Answer(200)
    return NotificationWiring(BucketAdmin(wire.s3, lambda _: None), SOURCE, WIRING, lambda _: None)


@pytest.mark.parametrize(
    ("unknown", "name"),
    [
        (("", "", "<StreamConfiguration><Id>theirs</Id></StreamConfiguration>"), "StreamConfiguration"),
        (("", "<Delay>5</Delay>", ""), "Delay"),
        (("<SizeRule><Over>5</Over></SizeRule>", "", ""), "SizeRule"),
    ],
    ids=["kind of entry", "part of an entry", "part of a filter"],
)
def test_notifications_with_what_is_not_known_are_never_written_again(
    wire: Wire, unknown: tuple[str, str, str], name: str
) -> None:
    """The SDK does not tell of it, so it would be lost."""
    way = notified(wire, *unknown)
    assert "has no notification entry" in str(way.problem())
    for change in (way.begin, way.repair):
        with pytest.raises(BucketRefused, match=f"holds {name}, which this release does not know"):
            change()
    way.leave()
    assert wire.store.sent("PutBucketNotificationConfiguration") == []


def test_notifications_with_all_that_is_known_are_written_again_with_ours(wire: Wire) -> None:
    with pytest.raises(SetupRefused, match="overwritten twice"):  # it is answered as before
        notified(wire, "", "", "").begin()
    written = wire.store.sent("PutBucketNotificationConfiguration")[0].body.decode()
    for text in ("theirs", "s3:ObjectRestore:*", "in/", "EventBridgeConfiguration", "s3-replicator-x"):
        assert text in written
