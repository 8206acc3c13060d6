"""A replica says whose it is, in as little room as S3 leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.stamp import METADATA_LIMIT, RESERVED, Stamp, has_room, without_stamp
from s3replicator.decisions.versions import VersionRef
from tests.unit.strategies import buckets, keys, version_ids

NONCE = "0b1f7a3e-6f0f-4a39-8d43-9f0f6ad0f2aa"
SOURCE = VersionRef("source-bucket", "in/report.csv", "096fKKXTRTtl3on89fVO.nfljtsv6qko")
STAMP = Stamp.of(SOURCE, NONCE, "replica-bucket", "in/report.csv")

refs = st.builds(VersionRef, buckets, keys, version_ids)
stamps = st.builds(Stamp.of, refs, st.uuids().map(str), buckets, keys)
user_metadata = st.dictionaries(
    st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True).filter(lambda name: not name.startswith(RESERVED)),
    st.text(max_size=20),
    max_size=4,
)


@given(stamps, user_metadata)
def test_a_stamp_is_read_back_from_among_the_users_metadata(stamp: Stamp, metadata: dict[str, str]) -> None:
    merged = {**metadata, **stamp.metadata()}
    assert Stamp.read(merged) == stamp
    assert without_stamp(merged) == metadata


@given(stamps)
def test_a_stamp_fits_into_headers_whatever_the_key_is(stamp: Stamp) -> None:
    for name, value in stamp.metadata().items():
        assert name.startswith(RESERVED)
        assert name == name.lower()
        assert value.isascii()
        assert value.isprintable()


def test_a_stamp_leaves_most_of_the_room_to_the_user() -> None:
    longest = VersionRef("b" * 63, "k" * 1024, "v" * 64)
    stamp = Stamp.of(longest, NONCE, "d" * 63, "k" * 1024)
    assert sum(len(name) + len(value) for name, value in stamp.metadata().items()) <= METADATA_LIMIT // 6


@pytest.mark.parametrize("lost", STAMP.metadata())
def test_a_stamp_with_a_piece_missing_is_none(lost: str) -> None:
    rest = {name: value for name, value in STAMP.metadata().items() if name != lost}
    assert Stamp.read(rest) is None


def test_an_object_of_a_user_has_none() -> None:
    assert Stamp.read({"owner": "me"}) is None
    assert Stamp.read({}) is None


@given(st.tuples(buckets, keys), st.tuples(buckets, keys))
def test_a_users_copy_of_a_replica_lies_elsewhere_than_its_stamp_says(
    written_for: tuple[str, str], found_at: tuple[str, str]
) -> None:
    carried = Stamp.of(SOURCE, NONCE, *written_for)
    here = Stamp.of(SOURCE, NONCE, *found_at)
    assert (carried == here) == (written_for == found_at)


def _filling(characters: int, character: str) -> dict[str, str]:
    """Metadata that leaves no byte free beside the stamp when ``characters`` is right."""
    return {"n": character * characters}


@pytest.mark.parametrize("character", ["x", "é", "☃"])
def test_there_is_room_up_to_the_last_byte_of_what_s3_stores(character: str) -> None:
    used = sum(len(name) + len(value) for name, value in STAMP.metadata().items()) + len("n")
    most = (2048 - used) // len(character.encode())
    assert has_room(_filling(most, character), STAMP)
    assert not has_room(_filling(most + 1, character), STAMP)


def test_an_old_stamp_takes_no_room_from_a_new_one() -> None:
    other = Stamp.of(VersionRef("source-bucket", "k", "v" * 32), NONCE, "elsewhere", "k")
    assert has_room(other.metadata(), STAMP)
