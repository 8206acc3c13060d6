"""Whole buckets, listed page by page: moto's, which are told to list as Amazon S3 does."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

import pytest
from moto import mock_aws

from s3replicator.adapters.bucket_listing import S3Lister
from s3replicator.adapters.clients import Clients
from s3replicator.adapters.runtime import SystemClock, Threads
from s3replicator.adapters.source import S3Source
from s3replicator.decisions.failures import Reason, ReplicationError, RetryableError, TerminalError
from s3replicator.decisions.versions import Kind, ListedVersion
from s3replicator.ports import Position
from s3replicator.usecases.listing import (
    Buckets,
    Checkpoint,
    KeyRange,
    KeyVersions,
    Walk,
    groups,
)
from tests.functional.faults import Fault, faults
from tests.functional.moto_listing import list_as_s3_does
from tests.functional.recorder import recording
from tests.functional.test_s3_adapters import tell
from tests.unit.strategies import AWKWARD_KEYS

BUCKET: Final = "bucket"

Listed = list[tuple[str, ListedVersion]]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    list_as_s3_does(monkeypatch)
    with mock_aws():
        client = Clients("us-east-1", connections=8).s3("us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def versioned(s3: Any) -> Any:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


def put(s3: Any, key: str) -> str:
    """The id of a new version."""
    return str(s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())["VersionId"])


def mark(s3: Any, key: str) -> str:
    """The id of a new delete marker."""
    return str(s3.delete_object(Bucket=BUCKET, Key=key)["VersionId"])


def read(lister: S3Lister, most: int, prefix: str = "", after: Position | None = None) -> list[Listed]:
    """Page by page."""
    pages: list[Listed] = []
    while True:
        page = lister.page(prefix, after, most)
        pages.append(list(page.versions))
        if page.after is None:
            return pages
        after = page.after


def ids(pages: list[Listed]) -> list[tuple[str, str]]:
    return [(key, version.version_id) for page in pages for key, version in page]


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_keys_of_any_characters_are_listed_in_the_order_of_their_bytes(versioned: Any, most: int) -> None:
    keys = sorted(AWKWARD_KEYS, key=str.encode)
    made = [(key, put(versioned, key)) for key in keys]
    lister = S3Lister(versioned, BUCKET)
    assert ids(read(lister, most)) == made
    for index, key in enumerate(keys):
        assert lister.page("", Position(key), 1).versions == read(lister, 1000)[0][index + 1 :][:1]
        assert all(found.startswith(key) for found, _ in ids(read(lister, most, prefix=key)))


def test_a_page_may_begin_after_a_key_that_does_not_exist(versioned: Any) -> None:
    put(versioned, "a")
    last = put(versioned, "c")
    lister = S3Lister(versioned, BUCKET)
    assert ids(read(lister, 10, after=Position("b"))) == [("c", last)]
    assert ids(read(lister, 10, after=Position("c"))) == []


@pytest.mark.parametrize("most", [1, 2, 4, 5])
def test_versions_and_markers_are_listed_newest_first_wherever_a_page_ends(versioned: Any, most: int) -> None:
    made = {
        key: [put(versioned, key), mark(versioned, key), put(versioned, key), mark(versioned, key)]
        for key in ("a", "b")
    }
    lister = S3Lister(versioned, BUCKET)
    pages = read(lister, most)
    assert ids(pages) == [(key, one) for key in made for one in reversed(made[key])]
    assert [len(page) for page in pages[:-1]] == [most] * (len(pages) - 1)
    versions = [version for page in pages for _, version in page]
    assert [version.kind for version in versions] == [Kind.MARKER, Kind.OBJECT] * 4
    assert [version.latest for version in versions] == [True, False, False, False] * 2


def test_what_was_written_in_one_second_keeps_the_order_it_is_listed_in(s3: Any) -> None:
    time = "<LastModified>2026-11-22T16:30:00.000Z</LastModified>"
    entries = "".join(
        f"<{kind}><Key>{key}</Key><VersionId>{age}</VersionId><IsLatest>false</IsLatest>{time}</{kind}>"
        for key, kinds in (("a%2Bb", "DVDDV"), ("c+d", "VDV"))
        for age, letter in enumerate(kinds)
        for kind in ("DeleteMarker" if letter == "D" else "Version",)
    )
    tell(
        s3,
        "ListObjectVersions",
        200,
        {},
        '<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{entries}"
        "<NextKeyMarker>c+d</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker></ListVersionsResult>",
    )
    page = S3Lister(s3, BUCKET).page("", None)
    assert ids([list(page.versions)]) == [
        *(("a+b", str(age)) for age in range(5)),
        *(("c d", str(age)) for age in range(3)),
    ]
    assert page.after == Position("c d", "2")


def test_after_a_key_comes_none_of_its_versions(versioned: Any) -> None:
    for _ in range(3):
        put(versioned, "a")
    other = put(versioned, "b")
    assert ids(read(S3Lister(versioned, BUCKET), 1, after=Position("a"))) == [("b", other)]


def test_more_than_a_page_of_a_thousand(versioned: Any) -> None:
    made = [(key, put(versioned, key)) for key in (f"{number:04d}" for number in range(1005))]
    with recording() as calls:
        pages = read(S3Lister(versioned, BUCKET), 1000)
    assert [len(page) for page in pages] == [1000, 5]
    assert ids(pages) == made
    assert calls.sent == {"ListObjectVersions": 2}


def test_null_versions_have_their_names_at_the_source_and_their_ids_at_a_destination(s3: Any) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    newer = put(s3, "a")
    source = S3Source(s3)
    names = [(key, one.version_id) for key in ("a", "b") for one in source.versions(BUCKET, key)]
    assert [name.partition("@")[0] for _, name in names] == [newer, "null", "null"]
    for most in (1, 2, 1000):
        assert ids(read(S3Lister(s3, BUCKET, source=True), most)) == names
        assert ids(read(S3Lister(s3, BUCKET), most)) == [("a", newer), ("a", "null"), ("b", "null")]


def test_all_that_is_listed_of_a_version_is_told(versioned: Any) -> None:
    stored = versioned.put_object(Bucket=BUCKET, Key="key", Body=b"12345", StorageClass="GLACIER_IR")
    modified = versioned.head_object(Bucket=BUCKET, Key="key")["LastModified"].timestamp()
    [(key, version)] = S3Lister(versioned, BUCKET).page("", None).versions
    assert (key, int(version.last_modified)) == ("key", modified)
    assert (version.version_id, version.etag) == (stored["VersionId"], stored["ETag"])
    assert (version.size, version.latest, version.storage_class) == (5, True, "GLACIER_IR")


def test_a_version_that_vanishes_between_pages_takes_no_other_with_it(versioned: Any) -> None:
    first, second = put(versioned, "a"), put(versioned, "b")
    lister = S3Lister(versioned, BUCKET)
    page = lister.page("", None, 1)
    versioned.delete_object(Bucket=BUCKET, Key="a", VersionId=first)
    assert ids(read(lister, 1, after=page.after)) == [("b", second)]


def test_an_empty_bucket_has_one_empty_page(s3: Any) -> None:
    assert read(S3Lister(s3, BUCKET), 10) == [[]]


@pytest.mark.parametrize(
    ("source", "reason"), [(True, Reason.SRC_LIST_NOT_PERMITTED), (False, Reason.DST_LIST_NOT_PERMITTED)]
)
def test_a_refusal_says_whose_listing_it_is(s3: Any, source: bool, reason: Reason) -> None:
    lister = S3Lister(s3, BUCKET, source=source)
    with (
        faults(Fault("ListObjectVersions", status=403, code="AccessDenied")),
        pytest.raises(TerminalError) as refused,
    ):
        lister.page("", None)
    assert refused.value.reason is reason


def test_a_listing_that_is_throttled_can_be_repeated(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    lister = S3Lister(s3, BUCKET)
    slow = Fault("ListObjectVersions", status=503, code="SlowDown", times=9)
    with faults(slow), pytest.raises(ReplicationError) as refused:
        lister.page("", None)
    assert isinstance(refused.value, RetryableError)
    assert lister.page("", None).versions == []


def test_key_by_key_through_many_pages(versioned: Any) -> None:
    chance = Random(5)
    made: dict[str, list[str]] = {}
    for key in sorted(chance.sample(AWKWARD_KEYS, 12)):
        made[key] = [put(versioned, key)]
        made[key] += [chance.choice([put, mark])(versioned, key) for _ in range(chance.choice([0, 1, 6]))]
    lister = S3Lister(versioned, BUCKET)
    for page_size in (1, 2, 5, 1000):
        found = list(groups(lister, "", KeyRange(), 5, page_size))
        assert [(one.key, [v.version_id for v in one.versions], one.complete) for one in found] == [
            (key, wanted[::-1][:5], len(wanted) <= 5) for key, wanted in sorted(made.items())
        ]


def test_threads_walk_through_a_bucket(versioned: Any) -> None:
    chance = Random(6)
    wanted = sorted({f"data/{chance.getrandbits(32):08x}" for _ in range(150)})
    for key in wanted:
        put(versioned, key)
    walked: list[str] = []
    names: list[str] = []

    class Visitor:
        def key(self, key: str, found: Sequence[KeyVersions]) -> None:
            assert [len(one.versions) for one in found] == [1]
            walked.append(key)

        def flush(self) -> None:
            pass

    def visitor(name: str) -> Visitor:
        names.append(name)
        return Visitor()

    lister = S3Lister(versioned, BUCKET, source=True)
    walk = Walk(Buckets([lister], "data/", 5, page_size=5), Threads(4), 4, SystemClock())
    saved: list[Checkpoint] = []
    assert walk.run(visitor, saved.append, Checkpoint(), deadline=1e12).finished
    assert sorted(walked) == wanted
    assert len(names) > 1
