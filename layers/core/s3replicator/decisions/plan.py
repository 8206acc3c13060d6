"""Decide how to copy an object of a given size. Arithmetic only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024**2
GIB: Final = 1024**3

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PARTS: Final = 10_000
MIN_PART: Final = 5 * MIB
MAX_PART: Final = 5 * GIB
MAX_OBJECT: Final = MAX_PARTS * MAX_PART

#: Up to here one CopyObject. S3 would take 5 GiB, but a request that takes minutes can outlive the lease
#: of the worker that sent it, and what lands after that is a second replica.
SINGLE_COPY_LIMIT: Final = 128 * MIB

# Large parts cost less, small parts run in parallel; a thousand parts keep a hundred connections busy.
_PART: Final = 64 * MIB
_PARTS_WANTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``first`` to ``last``, both included, as part ``number`` (from 1)."""

    number: int
    first: int
    last: int

    @property
    def range(self) -> str:
        """The value of ``CopySourceRange``."""
        return f"bytes={self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """One ``CopyObject`` where ``part_size`` is None, else parts of that size, the last one shorter."""

    size: int
    part_size: int | None

    @property
    def part_count(self) -> int:
        return 0 if self.part_size is None else -(-self.size // self.part_size)

    def parts(self) -> Iterator[Part]:
        if self.part_size is None:
            return
        for index in range(self.part_count):
            first = index * self.part_size
            yield Part(index + 1, first, min(first + self.part_size, self.size) - 1)


def is_large(size: int) -> bool:
    """True for what is copied in parts."""
    return size > SINGLE_COPY_LIMIT


def plan_copy(size: int) -> CopyPlan:
    """Plan the copy of ``size`` bytes within S3's limits.

    Raises ``ValueError`` above 10,000 parts of 5 GiB, more than S3 can store.
    """
    if not 0 <= size <= MAX_OBJECT:
        raise ValueError(f"S3 stores objects of 0 to {MAX_OBJECT} bytes, not {size}")
    if not is_large(size):
        return CopyPlan(size, None)
    # Parts of 5 GiB at most, ten thousand of which hold the largest object.
    return CopyPlan(size, min(max(_PART, _whole_mib(size, _PARTS_WANTED)), MAX_PART))


def _whole_mib(size: int, parts: int) -> int:
    """The smallest part size in whole MiB with which ``parts`` parts hold ``size`` bytes."""
    return -(-size // (parts * MIB)) * MIB
