"""Values as they occur in the field, for property-based tests."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from s3replicator.decisions.events import ChangeKind, Origin, Upload
from s3replicator.decisions.ledger import Head, Intent, Lease, OrderFacts, Row, Status
from s3replicator.decisions.versions import NULL, Kind, Tag, version_name

#: Keys that one decoding too many or too few would change, or that look like something else.
AWKWARD_KEYS = [
    *("myobj", "_myobj", ":", "&", ".", "..", "...", ".o", ".o."),
    *("a b", "a+b", "a%20b", "a%2Bb", "a%252Bb", "%", "%%", "%zz", "+", " ", "  ", "\n", "\r\n", "\t"),
    *(
        "q?x=1",
        "hash#x",
        "e=1&f",
        "semi;colon",
        "trailing ",
        "/",
        "//",
        "/a",
        "a/",
        "quote\"'",
        "back\\slash",
    ),
    *("ünï/☃", "e\u0301", "é", "\U0001f600", "\u202e", "\x00", "\x7f", "\ufeff", "\uffff", "k" * 1024),
]

keys = st.sampled_from(AWKWARD_KEYS) | st.text(min_size=1, max_size=60)

# Drawn as bytes, which is far quicker than letter by letter.

#: Thirty-two characters, as Amazon S3 makes them.
version_ids = st.binary(min_size=24, max_size=24).map(lambda drawn: b64encode(drawn, b"._").decode())
_etags = st.just("") | st.binary(min_size=16, max_size=16).map(bytes.hex)
version_names = version_ids | st.builds(version_name, st.just(NULL), st.integers(0, 2**32), _etags)
sequencers = st.builds(
    lambda drawn, odd: drawn.hex().upper()[odd:], st.binary(min_size=1, max_size=10), st.integers(0, 1)
)
buckets = st.binary(min_size=2, max_size=10).map(bytes.hex)

#: Seconds since the epoch with milliseconds, the precision of an event and of the ledger.
times = st.integers(0, 4_102_444_800_000).map(lambda milliseconds: milliseconds / 1000)

tags = st.builds(Tag, st.text(min_size=1, max_size=20), st.text(max_size=20))

uploads = st.builds(Upload, st.text(min_size=1, max_size=60), st.uuids().map(str), times)
orders = st.builds(OrderFacts, st.none() | sequencers, times, st.booleans())

_ids = st.lists(version_ids, max_size=3).map(tuple)
_words = st.none() | st.text(max_size=40)
rows = st.builds(
    Row,
    kind=st.sampled_from(Kind),
    status=st.sampled_from(Status),
    order=orders,
    replica=st.none() | version_ids,
    nonce=st.none() | st.uuids().map(str),
    doubt=st.booleans(),
    lost=st.booleans(),
    purged=st.booleans(),
    acl=st.booleans(),
    left=_ids,
    blocked=_ids,
    stray=_ids,
    rule=_words,
    reason=_words,
    detail=_words,
    request_id=_words,
    attempts=st.integers(0, 1000),
    first_failure=st.none() | times,
    last_failure=st.none() | times,
    due=st.none() | times,
    event_time=st.none() | times,
    completed=st.none() | times,
    threshold=st.none() | times,
    missed=st.booleans(),
    upload=st.none() | uploads,
    origin=st.none() | st.sampled_from(Origin),
)
intents = st.builds(
    Intent,
    nonce=st.uuids().map(str),
    version_id=version_names,
    kind=st.sampled_from(Kind),
    at=times,
    order=orders,
    unstamped_size=st.none() | st.integers(0, 2**40),
    unstamped_etag=st.none() | st.just('"5d41402abc4b2a76b9719d911017c592"'),
)
changes_to_follow = st.sampled_from(
    [ChangeKind.TAGGED, ChangeKind.ACL_CHANGED, ChangeKind.LOCK_CHANGED, ChangeKind.ANNOTATED]
)
heads = st.builds(
    Head,
    source=st.builds("{}/{}".format, buckets, keys),
    lease=st.none() | st.builds(Lease, st.uuids().map(str), times),
    intent=st.none() | intents,
    unsettled=st.booleans(),
    rows=st.dictionaries(version_names, rows, max_size=4),
    spilled=st.booleans(),
    top=st.none() | st.tuples(version_names, orders),
    generation=st.integers(0, 2**40),
    heard=st.dictionaries(version_names, st.frozensets(changes_to_follow, min_size=1), max_size=3),
)

#: Whatever JSON can say, numbers that Python alone takes included.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def spoiled(document: Any) -> st.SearchStrategy[Any]:
    """``document`` with one value somewhere in it replaced by any other, or left out."""
    places = list(_places(document))
    return st.builds(
        _put, st.just(document), st.sampled_from(places), json_values | st.just(_NOTHING)
    ).filter(lambda result: result is not _NOTHING)


_NOTHING = object()

#: A way into a document: names of members and indices of elements.
_Place = tuple[Any, ...]


def _places(document: Any, above: _Place = ()) -> list[_Place]:
    below: list[_Place] = [above]
    if isinstance(document, Mapping):
        for name, value in document.items():
            below += _places(value, (*above, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            below += _places(value, (*above, index))
    return below


def _put(document: Any, place: _Place, value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    copy: Any = list(document) if isinstance(document, list) else dict(document)
    put = _put(copy[first], tuple(rest), value)
    if put is _NOTHING:
        del copy[first]
    else:
        copy[first] = put
    return copy
