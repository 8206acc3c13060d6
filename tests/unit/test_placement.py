"""A destination's keys, seen from the source: what a listing under transformed keys shows."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    AS_IT_IS,
    Configuration,
    Destination,
    Filter,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.placement import Placement, placements
from s3replicator.ports import OpenUpload, Position
from s3replicator.usecases.placed_listing import PlacedLister
from tests.unit.memory_listing import MemoryLister

SHORT = st.text("ab/", max_size=3)
KEYS = st.lists(st.text("ab/", min_size=1, max_size=5), max_size=12, unique=True).map(sorted)


class Lister(MemoryLister):
    def uploads(self, prefix: str) -> Iterable[OpenUpload]:
        return [OpenUpload(key, "upload", 0.0) for key in self.keys if key.startswith(prefix)]


def rule(name: str, bucket: str, transform: KeyTransform = AS_IT_IS, *, enabled: bool = True) -> Rule:
    return Rule(name, 1, enabled, Filter(), True, Destination(bucket), transform=transform)


@given(SHORT, SHORT, SHORT)
def test_a_key_comes_back_from_where_it_is_put(strip: str, add: str, rest: str) -> None:
    placement = Placement("bucket", KeyTransform(strip, add))
    there = placement.place(strip + rest)
    if add + rest:
        assert there == LedgerKey("bucket", add + rest)
        assert placement.source_key(there.key) == strip + rest
    else:
        assert there == LedgerKey("bucket", strip)


def test_a_listing_goes_on_from_a_place_that_is_too_long_for_a_key() -> None:
    lister = PlacedLister(Lister(["eu/" + "k" * 1021, "eu/l"]), Placement("bucket", KeyTransform("", "eu/")))
    page = lister.page("", Position("k" * 1023))
    assert [key for key, _ in page.versions] == ["l"]
    assert lister.page("", Position("k" * 1020 + "éé")).after is None


@given(KEYS, st.builds(KeyTransform, SHORT, SHORT), SHORT, st.none() | SHORT, st.integers(1, 4))
def test_a_listing_shows_what_lies_where_the_sources_keys_are_put(
    keys: list[str], transform: KeyTransform, prefix: str, after: str | None, most: int
) -> None:
    """Every page of it, whatever the place it begins at and the prefix."""
    strip, add = transform.strip, transform.add
    placement = Placement("bucket", transform)
    lister = PlacedLister(Lister(keys), placement)
    of_sources = sorted(strip + key.removeprefix(add) for key in keys if key.startswith(add))
    expected = [key for key in of_sources if key.startswith(prefix) and (after is None or key > after)]

    found: list[str] = []
    place = None if after is None else Position(after)
    for _ in range(len(keys) + 1):
        page = lister.page(prefix, place, most)
        found += [key for key, _ in page.versions]
        if page.after is None:
            break
        place = page.after
    assert found == expected
    assert [one.key for one in lister.uploads(prefix)] == [k for k in of_sources if k.startswith(prefix)]


def test_every_way_of_putting_replicas_into_a_bucket_is_one_placement() -> None:
    moved = KeyTransform("in/", "eu/")
    configuration = Configuration(
        (
            rule("a", "one", moved),
            rule("b", "one", moved),
            rule("c", "one"),
            rule("off", "two", moved, enabled=False),
        )
    )
    assert placements(configuration, ["one", "two"]) == [
        Placement("one", moved),
        Placement("one"),
        Placement("two"),
    ]
