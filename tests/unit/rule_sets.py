"""Rule sets, and objects that they may or may not select, for property-based tests."""

from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.rules import Facts
from s3replicator.decisions.versions import Tag

BUCKETS = ["one", "two"]
CLASSES = ["STANDARD", "STANDARD_IA", "GLACIER"]

# Few letters, sizes and conditions at a time, so that rules, objects and other rules meet.
words = st.text("ab/", max_size=4)
_parts = st.lists(st.text("ab/", min_size=1, max_size=2), min_size=1, max_size=2).map(tuple)
tag_sets = st.dictionaries(st.sampled_from("kl"), st.sampled_from("12")).map(
    lambda tags: frozenset(Tag(key, value) for key, value in tags.items())
)
_sizes = st.integers(0, 3)
facts = st.builds(Facts, tag_sets, _sizes, st.sampled_from(CLASSES))
_names = st.one_of(
    *([st.just(KeyNames())] * 3),
    st.builds(KeyNames, prefixes=_parts),
    st.builds(KeyNames, suffixes=_parts),
    st.builds(KeyNames, substrings=_parts),
    st.builds(KeyNames, not_prefixes=_parts),
    st.builds(KeyNames, not_suffixes=_parts),
    st.builds(KeyNames, _parts, _parts, _parts, _parts, _parts),
)
_prefixes = st.just("") | st.text("ab/", max_size=2)
_classes = st.frozensets(st.sampled_from(CLASSES), max_size=2)
_filters = st.one_of(
    # What every document can say.
    st.builds(Filter, _prefixes, tag_sets),
    st.builds(Filter, names=_names, larger_than=st.none() | _sizes),
    st.builds(Filter, tags=tag_sets, smaller_than=st.none() | _sizes, storage_classes=_classes),
    st.builds(Filter, _prefixes, tag_sets, _names, st.none() | _sizes, st.none() | _sizes, _classes),
)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    places = draw(st.lists(st.tuples(st.sampled_from(BUCKETS), st.integers(0, 9)), unique=True, max_size=10))
    return Configuration(
        tuple(
            Rule(
                id=f"rule-{number}",
                priority=priority,
                enabled=draw(st.booleans() | st.just(value=True)),
                filter=draw(_filters),
                delete_markers=draw(st.booleans()),
                destination=Destination(bucket),
                transform=draw(st.builds(KeyTransform, words, words)),
                kms=draw(st.booleans()),
            )
            for number, (bucket, priority) in enumerate(places)
        )
    )
