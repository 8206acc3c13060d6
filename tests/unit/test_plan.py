"""Every plan is one that S3 carries out, and copies every byte once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.plan import (
    GIB,
    MAX_OBJECT,
    MAX_PART,
    MAX_PARTS,
    MIB,
    MIN_PART,
    SINGLE_COPY_LIMIT,
    is_large,
    plan_copy,
)

TIB = 1024**4

# Uniform numbers are nearly all huge, so every order of magnitude gets its share.
magnitudes = st.integers(0, MAX_OBJECT.bit_length()).flatmap(lambda bits: st.integers(0, 2**bits))
edges = st.builds(
    lambda edge, near: edge + near,
    st.sampled_from([0, MIN_PART, SINGLE_COPY_LIMIT, MAX_PART, 64 * GIB, 640 * GIB, MAX_OBJECT]),
    st.integers(-2, 2),
)
sizes = (magnitudes | edges | st.integers(0, MAX_OBJECT)).filter(lambda size: 0 <= size <= MAX_OBJECT)


@given(sizes)
def test_every_plan_is_within_the_limits_of_s3_and_covers_every_byte_once(size: int) -> None:
    plan = plan_copy(size)
    assert plan.size == size
    if plan.part_size is None:
        assert size <= 5 * GIB
        return
    assert 5 * MIB <= plan.part_size <= 5 * GIB
    assert 1 <= plan.part_count <= 10_000
    next_byte = 0
    number = 0
    for number, part in enumerate(plan.parts(), start=1):
        length = part.last - part.first + 1
        assert (part.number, part.first) == (number, next_byte)
        assert 1 <= length <= plan.part_size
        # Only the last one may be shorter.
        assert length == plan.part_size or number == plan.part_count
        next_byte = part.last + 1
    assert next_byte == size
    assert number == plan.part_count


@given(sizes.filter(lambda size: size <= SINGLE_COPY_LIMIT))
def test_what_one_request_copies_within_seconds_has_no_parts(size: int) -> None:
    plan = plan_copy(size)
    assert (plan.part_size, plan.part_count, list(plan.parts())) == (None, 0, [])


@pytest.mark.parametrize(
    ("size", "part_size", "parts"),
    [
        pytest.param(0, None, 0, id="empty"),
        pytest.param(1, None, 0, id="1 byte"),
        pytest.param(128 * MIB, None, 0, id="128 MiB"),
        pytest.param(128 * MIB + 1, 64 * MIB, 3, id="128 MiB + 1"),
        pytest.param(211 * MIB, 64 * MIB, 4, id="211 MiB"),
        pytest.param(5 * GIB, 64 * MIB, 80, id="5 GiB"),
        pytest.param(8 * GIB, 64 * MIB, 128, id="8 GiB"),
        pytest.param(5 * 1000**4, 4769 * MIB, 1000, id="5 TB"),
        pytest.param(5 * TIB, 5 * GIB, 1024, id="5 TiB"),
        pytest.param(int(48.8 * TIB), 5 * GIB, 9995, id="48.8 TiB"),
        pytest.param(MAX_OBJECT, 5 * GIB, 10_000, id="the largest"),
    ],
)
def test_known_sizes(size: int, part_size: int | None, parts: int) -> None:
    """I133."""
    plan = plan_copy(size)
    assert (plan.part_size, plan.part_count) == (part_size, parts)


@given(sizes)
def test_what_is_large_is_what_is_copied_in_parts(size: int) -> None:
    assert is_large(size) == (plan_copy(size).part_size is not None)


def test_a_range_is_written_as_s3_reads_it() -> None:
    first, *_, last = plan_copy(128 * MIB + 1).parts()
    assert first.range == "bytes=0-67108863"
    assert last.range == "bytes=134217728-134217728"


@given(st.integers(min_value=MAX_OBJECT + 1) | st.integers(max_value=-1))
def test_what_s3_cannot_store_has_no_plan(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        plan_copy(size)


def test_the_limits_are_those_of_s3() -> None:
    assert (MAX_PARTS, MIN_PART, MAX_PART) == (10_000, 5_242_880, 5_368_709_120)
