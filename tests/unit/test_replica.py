"""A replica is asked for as exactly what its source is, in arguments that S3's own model takes."""

import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.model import StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.configuration import Destination, Filter, Rule
from s3replicator.decisions.failures import NotEligible, Reason
from s3replicator.decisions.replica import (
    ReplicaRequest,
    check_eligible,
    copy_request,
    expected_upload_checksum,
    is_disproven,
    is_proven,
    matches,
    upload_request,
)
from s3replicator.decisions.stamp import METADATA_LIMIT, Stamp
from s3replicator.decisions.versions import (
    Checksum,
    Lock,
    Published,
    SourceObject,
    Tag,
    VersionRef,
)
from tests.unit.strategies import tags

NONCE = "0b1f7a3e-6f0f-4a39-8d43-9f0f6ad0f2aa"
REF = VersionRef("source-bucket", "in/report.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko")
STAMP = Stamp.of(REF, NONCE, "replica-bucket", "in/report.csv")
ETAG, OTHER_ETAG, PARTS_ETAG = (
    f'"{value}"' for value in ("d41d8cd9" * 4, "9b2cf535" * 4, "d41d8cd9" * 4 + "-25")
)

SOURCE = SourceObject(REF, size=1024, etag=ETAG, last_modified=1795338904.0, encryption="AES256")
HEADERS = {
    "cache_control": ("CacheControl", "max-age=60, private"),
    "content_disposition": ("ContentDisposition", 'attachment; filename="a b.txt"'),
    "content_encoding": ("ContentEncoding", "gzip"),
    "content_language": ("ContentLanguage", "de-CH"),
    "content_type": ("ContentType", "text/x-test; charset=utf-8"),
    "website_redirect": ("WebsiteRedirectLocation", "/elsewhere"),
}
DESCRIBED = SourceObject(
    REF,
    size=1024,
    etag=ETAG,
    last_modified=1795338904.0,
    cache_control="max-age=60, private",
    content_disposition='attachment; filename="a b.txt"',
    content_encoding="gzip",
    content_language="de-CH",
    content_type="text/x-test; charset=utf-8",
    website_redirect="/elsewhere",
    expires="Thu, 01 Dec 2033 16:00:00 GMT",
    metadata={"owner": "me"},
    storage_class="STANDARD_IA",
    encryption="AES256",
    checksum=Checksum("CRC64NVME", "AAAAAAAAAAA=", full_object=True),
    lock=Lock("GOVERNANCE", 1900000000.0, "ON"),
)
SOURCE_KEY = "arn:aws:kms:us-east-1:123456789012:key/1111aaaa-22bb-33cc-44dd-555555eeeeee"
REPLICA_KEY = "arn:aws:kms:eu-west-1:210987654321:key/6666ffff-77aa-88bb-99cc-000000dddddd"
CROWDED = replace(DESCRIBED, metadata={"much": "x" * (METADATA_LIMIT - len("much"))})


def rule(storage_class: str | None = None, *, kms_key: str | None = None, owner: str | None = None) -> Rule:
    """With a ``kms_key``, a rule that opts in to what KMS encrypts; with an ``owner``, one whose replicas
    shall be the owner's."""
    there = Destination("replica-bucket", storage_class, owner, owner is not None, kms_key)
    return Rule("everything", 1, True, Filter(), True, there, kms=kms_key is not None)


def copied(source: SourceObject, storage_class: str | None = None, **by: Any) -> ReplicaRequest:
    return copy_request(source, rule(storage_class, **by), STAMP)


def uploaded(source: SourceObject, *tags: Tag, storage_class: str | None = None, **by: Any) -> ReplicaRequest:
    return upload_request(source, rule(storage_class, **by), STAMP, tags)


BOTH = pytest.mark.parametrize("request_of", [copied, uploaded])


# -- S3's own model


@cache
def input_of(operation: str) -> StructureShape:
    shape = botocore.session.get_session().get_service_model("s3").operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return shape


def check_arguments(operation: str, arguments: Mapping[str, Any]) -> None:
    """No unknown argument, none of a wrong type, no value S3 does not list."""
    shape = input_of(operation)
    place = {"Bucket": "replica-bucket", "Key": "in/report.csv"}
    if operation == "CopyObject":
        place |= {"CopySource": "source-bucket/in/report.csv"}
    report = ParamValidator().validate({**arguments, **place}, shape)
    assert not report.has_errors(), report.generate_report()
    for name, value in arguments.items():
        known = getattr(shape.members[name], "enum", [])
        assert not known or value in known, f"{name}={value}"


header_values = st.none() | st.text(string.printable.strip(), min_size=1, max_size=30)
ALGORITHMS = input_of("CopyObject").members["ChecksumAlgorithm"].metadata["enum"]
checksums = st.builds(
    Checksum, st.sampled_from(ALGORITHMS), st.sampled_from(["AAAAAA==", "BBBBBB=="]), st.booleans()
)
sources = st.builds(
    SourceObject,
    ref=st.just(REF),
    size=st.integers(0, 5 * 1024**4),
    etag=st.sampled_from([ETAG, PARTS_ETAG]),
    last_modified=st.just(1795338904.0),
    content_type=header_values,
    content_encoding=header_values,
    content_language=header_values,
    content_disposition=header_values,
    cache_control=header_values,
    expires=st.none() | st.sampled_from(["0", "-1", "Thu, 01 Dec 2033 16:00:00 GMT", "never"]),
    website_redirect=header_values,
    metadata=st.dictionaries(
        st.from_regex(r"(s3replicator-)?[a-z]{1,8}", fullmatch=True),
        st.text(string.ascii_letters, max_size=20) | st.just("x" * 2000),
        max_size=3,
    ),
    missing_metadata=st.integers(0, 2),
    storage_class=st.sampled_from(["STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "GLACIER"]),
    encryption=st.none() | st.sampled_from(["AES256", "aws:kms", "aws:kms:dsse"]),
    kms_key=st.none() | st.just(SOURCE_KEY),
    bucket_key=st.booleans(),
    checksum=st.none() | checksums,
    lock=st.builds(
        Lock,
        st.none() | st.sampled_from(["GOVERNANCE", "COMPLIANCE"]),
        st.none() | st.floats(0, 4e9),
        st.none() | st.sampled_from(["ON", "OFF"]),
    ),
)
rules = st.none() | st.builds(
    rule,
    st.none() | st.sampled_from(["STANDARD", "INTELLIGENT_TIERING", "DEEP_ARCHIVE"]),
    kms_key=st.none() | st.just(REPLICA_KEY),
    owner=st.none() | st.just("123456789012"),
)


@given(sources, rules)
def test_s3_takes_the_arguments_of_any_copy(source: SourceObject, by: Rule | None) -> None:
    check_arguments("CopyObject", copy_request(source, by, STAMP).arguments)


@given(sources, rules, st.frozensets(tags, max_size=4))
def test_s3_takes_the_arguments_of_any_upload(
    source: SourceObject, by: Rule | None, tags: frozenset[Tag]
) -> None:
    check_arguments("CreateMultipartUpload", upload_request(source, by, STAMP, tags).arguments)


@given(sources, rules)
def test_a_copy_and_an_upload_describe_the_same_object(source: SourceObject, by: Rule | None) -> None:
    """Save for what only one of the two requests can say."""
    copy, upload = copy_request(source, by, STAMP), upload_request(source, by, STAMP, ())
    assert copy.stamped == upload.stamped
    if copy.stamped:
        only_copy = {"MetadataDirective", "TaggingDirective", "CopySourceIfMatch"}
        assert {n: v for n, v in copy.arguments.items() if n not in only_copy} == {
            n: v for n, v in upload.arguments.items() if n != "ChecksumType"
        }
        assert copy.raw_headers == upload.raw_headers


# -- headers and metadata


@BOTH
@pytest.mark.parametrize(("field", "argument", "value"), [(f, a, v) for f, (a, v) in HEADERS.items()])
def test_every_header_is_set(request_of: Any, field: str, argument: str, value: str) -> None:
    """A16."""
    change: dict[str, Any] = {field: value}
    assert request_of(replace(SOURCE, **change)).arguments[argument] == value
    assert argument not in request_of(SOURCE).arguments


@BOTH
@pytest.mark.parametrize("expires", ["Thu, 01 Dec 2033 16:00:00 GMT", "0", "never"])
def test_expires_is_passed_on_as_it_is_written(request_of: Any, expires: str) -> None:
    """The SDK would turn a date into another form, and refuse what is none."""
    request = request_of(replace(SOURCE, expires=expires))
    assert request.raw_headers == {"Expires": expires}
    assert "Expires" not in request.arguments
    assert request_of(SOURCE).raw_headers == {}


@BOTH
def test_the_users_metadata_is_kept_and_stamped(request_of: Any) -> None:
    request = request_of(replace(SOURCE, metadata={"owner": "me"}))
    assert request.stamped
    assert request.arguments["Metadata"] == {"owner": "me", **STAMP.metadata()}


@BOTH
def test_a_stamp_the_source_carries_is_not_handed_down(request_of: Any) -> None:
    old = Stamp.of(VersionRef("other", "k", "v" * 32), "another-nonce", "source-bucket", "in/report.csv")
    carried = {"owner": "me", **old.metadata(), "s3replicator-more": "x"}
    request = request_of(replace(SOURCE, metadata=carried))
    assert request.arguments["Metadata"] == {"owner": "me", **STAMP.metadata()}


def test_a_copy_replaces_the_metadata_and_copies_the_tags() -> None:
    arguments = copied(DESCRIBED).arguments
    assert arguments["MetadataDirective"] == "REPLACE"
    assert arguments["TaggingDirective"] == "COPY"
    assert "Tagging" not in arguments


def test_a_copy_is_of_the_very_bytes_that_were_looked_at() -> None:
    assert copied(SOURCE).arguments["CopySourceIfMatch"] == ETAG


# -- no room for a stamp


def metadata_that_leaves(free: int) -> dict[str, str]:
    """User metadata that leaves so many bytes beside the stamp."""
    used = sum(len(name) + len(value) for name, value in STAMP.metadata().items())
    return {"much": "x" * (METADATA_LIMIT - used - len("much") - free)}


@BOTH
def test_up_to_the_last_byte_there_is_room_for_a_stamp(request_of: Any) -> None:
    full = request_of(replace(SOURCE, metadata=metadata_that_leaves(0)))
    assert full.stamped
    assert sum(len(n) + len(v) for n, v in full.arguments["Metadata"].items()) == METADATA_LIMIT
    assert not request_of(replace(SOURCE, metadata=metadata_that_leaves(-1))).stamped


@pytest.mark.parametrize(
    "source",
    [CROWDED, replace(DESCRIBED, missing_metadata=1)],
    ids=["no room", "metadata the API does not show"],
)
def test_what_must_not_be_touched_is_copied_by_s3_itself(source: SourceObject) -> None:
    """A16: 2 KB of user metadata."""
    request = copied(source)
    assert not request.stamped
    assert request.arguments["MetadataDirective"] == "COPY"
    assert request.raw_headers == {}
    described = {argument for argument, _ in HEADERS.values()} - {"WebsiteRedirectLocation"}
    assert not {"Metadata", "Expires", *described} & set(request.arguments)
    # S3 copies everything but the redirect, and nothing of how the object is stored.
    assert request.arguments["WebsiteRedirectLocation"] == "/elsewhere"
    assert request.arguments["StorageClass"] == "STANDARD_IA"
    assert request.arguments["ServerSideEncryption"] == "AES256"
    assert request.arguments["ObjectLockMode"] == "GOVERNANCE"
    assert request.arguments["ChecksumAlgorithm"] == "CRC64NVME"
    assert request.arguments["TaggingDirective"] == "COPY"
    assert request.arguments["CopySourceIfMatch"] == ETAG


def test_without_a_redirect_none_is_set() -> None:
    assert "WebsiteRedirectLocation" not in copied(replace(CROWDED, website_redirect=None)).arguments


def test_an_upload_without_room_for_a_stamp_has_the_users_metadata_alone() -> None:
    request = uploaded(CROWDED)
    assert not request.stamped
    assert request.arguments["Metadata"] == CROWDED.metadata
    assert request.arguments["ContentType"] == CROWDED.content_type
    assert request.raw_headers == {"Expires": CROWDED.expires}


# -- how it is stored


@BOTH
def test_a_replica_has_its_sources_storage_class_unless_the_rule_names_one(request_of: Any) -> None:
    """I142; the default of both requests would be STANDARD."""
    source = replace(SOURCE, storage_class="STANDARD_IA")
    assert request_of(source).arguments["StorageClass"] == "STANDARD_IA"
    assert request_of(source, storage_class="GLACIER_IR").arguments["StorageClass"] == "GLACIER_IR"
    assert request_of(SOURCE).arguments["StorageClass"] == "STANDARD"


@BOTH
def test_encryption_is_the_sources(request_of: Any) -> None:
    assert request_of(SOURCE).arguments["ServerSideEncryption"] == "AES256"
    # An old object without encryption gets the destination's default, as with Amazon's replication.
    assert "ServerSideEncryption" not in request_of(replace(SOURCE, encryption=None)).arguments


def encryption_of(request: ReplicaRequest) -> dict[str, Any]:
    names = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
    return {name: request.arguments[name] for name in names if name in request.arguments}


@BOTH
@pytest.mark.parametrize("bucket_key", [True, False])
def test_what_a_kms_key_encrypts_is_encrypted_by_the_replicas_key(request_of: Any, bucket_key: bool) -> None:
    """H122."""
    source = replace(SOURCE, encryption="aws:kms", kms_key=SOURCE_KEY, bucket_key=bucket_key)
    assert encryption_of(request_of(source, kms_key=REPLICA_KEY)) == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": REPLICA_KEY,
        "BucketKeyEnabled": bucket_key,
    }


@BOTH
def test_two_layers_of_encryption_stay_two_and_have_no_bucket_key(request_of: Any) -> None:
    source = replace(SOURCE, encryption="aws:kms:dsse", kms_key=SOURCE_KEY)
    assert encryption_of(request_of(source, kms_key=REPLICA_KEY)) == {
        "ServerSideEncryption": "aws:kms:dsse",
        "SSEKMSKeyId": REPLICA_KEY,
    }


@BOTH
def test_the_key_of_replicas_is_for_what_a_kms_key_encrypts_only(request_of: Any) -> None:
    """What is encrypted with S3's own keys is replicated as it is, as with Amazon's replication."""
    assert encryption_of(request_of(SOURCE, kms_key=REPLICA_KEY)) == {"ServerSideEncryption": "AES256"}
    assert encryption_of(request_of(replace(SOURCE, encryption=None), kms_key=REPLICA_KEY)) == {}


@pytest.mark.parametrize("make", [copy_request, partial(upload_request, tags=())], ids=["copy", "upload"])
@pytest.mark.parametrize("by", [None, rule("GLACIER_IR", kms_key=SOURCE_KEY, owner="123456789012")])
def test_our_own_replica_stays_as_it_is_stored(make: Any, by: Rule | None) -> None:
    """And the bucket's owner's, if the rule says so: nothing tells whose a replica is."""
    replica = replace(SOURCE, encryption="aws:kms", kms_key=REPLICA_KEY, bucket_key=True)
    request = make(replica, by, STAMP, again=True)
    assert encryption_of(request) == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": REPLICA_KEY,
        "BucketKeyEnabled": True,
    }
    assert request.arguments["StorageClass"] == "STANDARD"
    assert request.arguments.get("ACL") == ("bucket-owner-full-control" if by else None)


# -- whose it is


@BOTH
@pytest.mark.parametrize("source", [SOURCE, CROWDED], ids=["stamped", "no room"])
def test_with_owner_override_a_replica_is_given_to_the_owner_of_the_bucket(
    request_of: Any, source: SourceObject
) -> None:
    """N211."""
    assert request_of(source, owner="123456789012").arguments["ACL"] == "bucket-owner-full-control"
    assert "ACL" not in request_of(source).arguments


@BOTH
@pytest.mark.parametrize(
    ("lock", "arguments"),
    [
        (Lock(), {}),
        (
            Lock("COMPLIANCE", 1900000000.0),
            {
                "ObjectLockMode": "COMPLIANCE",
                "ObjectLockRetainUntilDate": datetime(2030, 3, 17, 17, 46, 40, tzinfo=UTC),
            },
        ),
        (Lock(legal_hold="ON"), {"ObjectLockLegalHoldStatus": "ON"}),
        (Lock(legal_hold="OFF"), {}),
        (Lock("GOVERNANCE", None), {}),
        (Lock(None, 1900000000.0), {}),
    ],
)
def test_lock_settings_are_the_sources(request_of: Any, lock: Lock, arguments: dict[str, Any]) -> None:
    made = request_of(replace(SOURCE, lock=lock)).arguments
    assert {name: value for name, value in made.items() if name.startswith("ObjectLock")} == arguments


# -- tags of an upload


def test_tags_are_sorted_and_encoded_like_a_query() -> None:
    request = uploaded(SOURCE, Tag("b c", "1+1=2"), Tag("a", ""), Tag("ü", "&"))
    assert request.arguments["Tagging"] == "a=&b+c=1%2B1%3D2&%C3%BC=%26"
    assert "Tagging" not in uploaded(SOURCE).arguments
    assert "TaggingDirective" not in request.arguments


@given(st.frozensets(tags, max_size=10))
def test_tags_are_read_back_as_they_were(tags: frozenset[Tag]) -> None:
    tagging = uploaded(SOURCE, *tags).arguments.get("Tagging", "")
    assert parse_qsl(tagging, keep_blank_values=True) == [(tag.key, tag.value) for tag in sorted(tags)]


# -- checksums


@BOTH
def test_the_checksum_algorithm_is_the_sources(request_of: Any) -> None:
    """I140."""
    for algorithm in ALGORITHMS:
        source = replace(SOURCE, checksum=Checksum(algorithm, "AAAA", full_object=True))
        assert request_of(source).arguments["ChecksumAlgorithm"] == algorithm
    assert "ChecksumAlgorithm" not in request_of(SOURCE).arguments


# Only CRCs of parts can be combined into the CRC of the whole; CRC64NVME has no other form.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
BOTH_TYPES = {"CRC32", "CRC32C"}
FULL_OBJECT_ONLY = {"CRC64NVME"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("full_object", [True, False], ids=["full object", "composite"])
def test_the_checksum_type_of_an_upload_is_one_s3_offers(algorithm: str, full_object: bool) -> None:
    checksum = Checksum(algorithm, "AAAA", full_object=full_object)
    source = replace(SOURCE, checksum=checksum)
    full = algorithm in FULL_OBJECT_ONLY or (algorithm in BOTH_TYPES and full_object)
    assert uploaded(source).arguments["ChecksumType"] == ("FULL_OBJECT" if full else "COMPOSITE")
    assert expected_upload_checksum(source) == (checksum if full and full_object else None)


def test_without_a_checksum_none_is_asked_for_or_expected() -> None:
    assert not {"ChecksumAlgorithm", "ChecksumType"} & set(uploaded(SOURCE).arguments)
    assert expected_upload_checksum(SOURCE) is None


# -- what cannot be replicated


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"encryption": None}, None),
        ({"storage_class": "GLACIER_IR"}, None),
        ({"storage_class": "GLACIER"}, "archived (GLACIER)"),
        ({"storage_class": "DEEP_ARCHIVE"}, "archived (DEEP_ARCHIVE)"),
        ({"storage_class": "GLACIER", "restored": True}, None),
        (
            {"storage_class": "INTELLIGENT_TIERING", "archive_status": "DEEP_ARCHIVE_ACCESS"},
            "archived (DEEP_ARCHIVE_ACCESS)",
        ),
        ({"storage_class": "INTELLIGENT_TIERING"}, None),
        ({"encryption": "aws:kms"}, "encrypted with aws:kms, and rule 'everything' does not opt in"),
        ({"encryption": "aws:kms:dsse"}, "encrypted with aws:kms:dsse, and rule 'everything'"),
        ({"encryption": "aws:kms"}, "SourceSelectionCriteria.SseKmsEncryptedObjects.Status Enabled"),
        ({"missing_metadata": 2}, None),
    ],
)
def test_an_object_is_eligible_or_says_why_not(change: dict[str, Any], problem: str | None) -> None:
    source = replace(SOURCE, **change)
    if problem is None:
        check_eligible(source, rule())
        return
    for large in (False, True):
        with pytest.raises(NotEligible) as refused:
            check_eligible(source, rule(), large=large)
        assert refused.value.reason is Reason.SRC_OBJECT_NOT_ELIGIBLE
        assert problem in refused.value.detail


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_an_object_that_a_kms_key_encrypts_is_eligible_where_the_rule_opts_in(encryption: str) -> None:
    source = replace(SOURCE, encryption=encryption, kms_key=SOURCE_KEY)
    check_eligible(source, rule(kms_key=REPLICA_KEY))
    with pytest.raises(NotEligible, match="archived"):
        check_eligible(replace(source, storage_class="GLACIER"), rule(kms_key=REPLICA_KEY))


def test_our_own_replica_is_eligible_however_it_is_encrypted() -> None:
    check_eligible(replace(SOURCE, encryption="aws:kms", kms_key=REPLICA_KEY), None)


def test_a_large_object_whose_metadata_cannot_be_read_is_not_copied_without_it() -> None:
    with pytest.raises(NotEligible, match="2 entries of user metadata"):
        check_eligible(replace(SOURCE, missing_metadata=2), rule(), large=True)
    check_eligible(SOURCE, rule(), large=True)


# -- proof

FULL = Checksum("CRC64NVME", "AAAAAAAAAAA=", full_object=True)
OTHER = Checksum("CRC64NVME", "BBBBBBBBBBB=", full_object=True)
OTHER_ALGORITHM = Checksum("CRC32", "AAAAAA==", full_object=True)
COMPOSITE = Checksum("CRC32", "AAAAAA==-25", full_object=False)


@pytest.mark.parametrize(
    ("source", "answer", "proven"),
    [
        # Two full-object checksums decide, whatever the ETags say.
        pytest.param((FULL, PARTS_ETAG), (FULL, OTHER_ETAG), True, id="equal checksums"),
        pytest.param((FULL, ETAG), (OTHER, ETAG), False, id="other bytes, whatever the ETag"),
        pytest.param((FULL, PARTS_ETAG), (OTHER_ALGORITHM, OTHER_ETAG), False, id="other algorithm"),
        # Else the ETag of an object written at once is the MD5 of its bytes.
        pytest.param((None, ETAG), (None, ETAG), True, id="equal ETags"),
        pytest.param((None, ETAG), (FULL, ETAG), True, id="equal ETags, S3 added a checksum"),
        pytest.param((FULL, ETAG), (None, ETAG), True, id="equal ETags, no checksum in the answer"),
        pytest.param((COMPOSITE, ETAG), (OTHER_ALGORITHM, ETAG), True, id="a composite says nothing"),
        pytest.param((None, ETAG), (None, OTHER_ETAG), False, id="other ETags"),
        pytest.param((None, PARTS_ETAG), (None, OTHER_ETAG), False, id="the ETag of an upload"),
        pytest.param((None, PARTS_ETAG), (None, PARTS_ETAG), False, id="equal, but no MD5"),
        pytest.param((COMPOSITE, PARTS_ETAG), (COMPOSITE, PARTS_ETAG), False, id="equal composites"),
    ],
)
def test_an_answer_proves_the_bytes_or_does_not(
    source: tuple[Checksum | None, str], answer: tuple[Checksum | None, str], proven: bool
) -> None:
    ours = replace(SOURCE, checksum=source[0], etag=source[1])
    assert is_proven(ours, Published("replica", answer[1], "AES256", answer[0])) is proven


@pytest.mark.parametrize(
    ("ours", "theirs", "disproven"),
    [
        pytest.param(FULL, OTHER, True, id="other bytes"),
        pytest.param(FULL, FULL, False, id="the same bytes"),
        pytest.param(FULL, OTHER_ALGORITHM, False, id="other algorithm"),
        pytest.param(FULL, COMPOSITE, False, id="a composite answer"),
        pytest.param(COMPOSITE, replace(OTHER_ALGORITHM, value="BBBBBB=="), False, id="a composite source"),
        pytest.param(None, FULL, False, id="no checksum at the source"),
        pytest.param(FULL, None, False, id="no checksum in the answer"),
    ],
)
def test_only_a_checksum_that_can_be_compared_tells_of_other_bytes(
    ours: Checksum | None, theirs: Checksum | None, disproven: bool
) -> None:
    """An ETag that differs tells nothing: other encryption, other parts."""
    source = replace(SOURCE, checksum=ours)
    for etag in (ETAG, OTHER_ETAG):
        assert is_disproven(source, Published("replica", etag, "AES256", theirs)) is disproven


@given(st.none() | checksums, st.none() | checksums, st.sampled_from([ETAG, OTHER_ETAG]))
def test_no_answer_proves_and_disproves(ours: Checksum | None, theirs: Checksum | None, etag: str) -> None:
    source, published = replace(SOURCE, checksum=ours), Published("replica", etag, "AES256", theirs)
    assert not (is_proven(source, published) and is_disproven(source, published))


@pytest.mark.parametrize("encryption", ["aws:kms", None])
def test_the_etag_of_another_encryption_is_no_md5(encryption: str | None) -> None:
    assert not is_proven(SOURCE, Published("replica", ETAG, encryption, None))


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_the_etag_of_what_a_kms_key_encrypts_is_no_md5(encryption: str) -> None:
    source = replace(SOURCE, encryption=encryption)
    assert not is_proven(source, Published("replica", ETAG, encryption, None))


@pytest.mark.parametrize("encryption", ["aws:kms", "AES256", None])
def test_a_checksum_is_one_of_the_bytes_however_they_are_encrypted(encryption: str | None) -> None:
    source = replace(SOURCE, encryption="aws:kms", checksum=FULL)
    assert is_proven(source, Published("replica", OTHER_ETAG, encryption, FULL))
    assert is_disproven(source, Published("replica", OTHER_ETAG, encryption, OTHER))


def test_without_encryption_on_both_sides_an_etag_is_as_good() -> None:
    source = replace(SOURCE, encryption=None)
    assert is_proven(source, Published("replica", ETAG, None, None))


def test_what_cannot_be_compared_otherwise_is_compared_by_size() -> None:
    replica = SourceObject(VersionRef("replica-bucket", "key", "replica"), 1024, OTHER_ETAG, 1795338905.0)
    assert matches(SOURCE, replica)
    assert not matches(SOURCE, replace(replica, size=1023, etag=ETAG))


def test_a_source_with_parts_in_its_etag_came_from_an_upload() -> None:
    assert replace(SOURCE, etag=PARTS_ETAG).multipart
    assert not SOURCE.multipart
