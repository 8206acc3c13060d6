"""What the memory claims to do as Amazon S3 and DynamoDB do it, case by case.

Cases are written against the ports and a few words for what users do, so that any implementation can be
held against them: the memory, moto, the embedded AWS. Where one of those two differs from AWS, or from what
AWS documents, ``DIFFERENCES`` says how; the tests insist that it still does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import pytest

from s3replicator.decisions.configuration import Destination, Filter, Rule
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    Reason,
    RetryableError,
    SourceGone,
    TerminalError,
)
from s3replicator.decisions.plan import Part
from s3replicator.decisions.replica import ReplicaRequest, copy_request, upload_request
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import (
    Grant,
    Kind,
    Lock,
    Published,
    SourceMarker,
    SourceObject,
    Tag,
    VersionRef,
)
from s3replicator.ports import (
    DestinationBucket,
    Source,
)

GREEN: Final = frozenset({Tag("colour", "green")})
RED: Final = frozenset({Tag("colour", "red")})


class User(Protocol):
    """Somebody who works with a bucket. Answers are version ids."""

    @property
    def name(self) -> str:
        """The bucket's."""
        ...

    def put(self, key: str, body: str, *, tags: frozenset[Tag] = ...) -> str: ...

    def begin(self, key: str, body: str) -> str:
        """Start a multipart upload, and send its parts; returns its id."""
        ...

    def end(self, upload_id: str) -> str: ...

    def mark(self, key: str) -> str: ...

    def purge(self, key: str, version_id: str) -> None: ...

    def tag(self, key: str, version_id: str, tags: Iterable[Tag]) -> None: ...

    def suspend(self) -> None:
        """Suspend versioning."""
        ...

    def enable(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A source and a destination, both versioned and with Object Lock enabled, and a key of the case's own.

    ``wait`` lets a second pass, so that times differ.
    """

    source: Source
    destination: DestinationBucket
    user: User
    stranger: User
    key: str
    wait: Callable[[], None]

    # -- words for what happens at the source

    def ref(self, version_id: str) -> VersionRef:
        return VersionRef(self.user.name, self.key, version_id)

    def put(self, body: str = "body", tags: frozenset[Tag] = frozenset()) -> str:
        return self.user.put(self.key, body, tags=tags)

    def head(self, version_id: str) -> SourceObject:
        found = self.source.head(self.ref(version_id))
        assert isinstance(found, SourceObject)
        return found

    def listed(self) -> list[str]:
        return [one.version_id for one in self.source.versions(self.user.name, self.key)]

    # -- and at the destination

    def copy(self, version_id: str) -> Published:
        """A replica, as the engine makes one."""
        return self.copy_of(self.head(version_id))

    def copy_of(self, source: SourceObject) -> Published:
        return self.destination.copy(source.ref, self.key, self.request(source))

    def request(self, source: SourceObject) -> ReplicaRequest:
        return copy_request(source, _RULE, self._stamp(source))

    def upload(self, source: SourceObject) -> str:
        tags = self.source.tags(source.ref)
        request = upload_request(source, _RULE, self._stamp(source), tags)
        return self.destination.create_upload(self.key, request)

    def complete(self, source: SourceObject, upload_id: str) -> Published:
        whole = Part(1, 0, source.size - 1)
        part = self.destination.copy_part(source.ref, source.etag, self.key, upload_id, whole)
        return self.destination.complete(self.key, upload_id, [part], None, None)

    def replicas(self) -> list[str]:
        return [one.version_id for one in self.destination.versions(self.key)]

    def replica(self, version_id: str) -> SourceObject:
        found = self.destination.head(self.key, version_id)
        assert found is not None
        return found

    def _stamp(self, source: SourceObject) -> Stamp:
        return Stamp.of(source.ref, "nonce", self.stranger.name, self.key)


_RULE: Final = Rule("rule", 1, True, Filter(), True, Destination("anywhere"))

_MARKERS_APART: Final = "markers are listed apart, and within a second nothing tells their places"
_COMPLETION: Final = "an upload is placed and dated by when it was completed"
_BY_COMPLETION: Final = {"moto": _COMPLETION, "MiniStack": _COMPLETION}
_MILLISECONDS: Final = "lists tell milliseconds, HEAD whole seconds"
_FORGETFUL: Final = "a bucket whose versioning is suspended forgets its versions, and refuses to tell of null"
_NO_CONDITIONS: Final = "CopySourceIfMatch is ignored"

#: By case and implementation: what it does instead.
DIFFERENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "a_marker_is_listed_in_its_place": {"moto": _MARKERS_APART},
    "times_are_whole_seconds": {"MiniStack": _MILLISECONDS},
    "head_and_list_agree": {"MiniStack": _MILLISECONDS},
    "an_upload_is_listed_where_it_was_started": _BY_COMPLETION,
    "an_upload_is_dated_by_its_start": _BY_COMPLETION,
    "a_replica_from_an_upload_is_listed_where_it_was_started": _BY_COMPLETION,
    "a_marker_says_when": {"moto": "a delete marker has no Last-Modified"},
    "a_copy_of_an_upload_is_none": {"MiniStack": "the copy of an upload has the upload's ETag"},
    "a_suspended_bucket_has_one_null_version": {"moto": _FORGETFUL},
    "a_null_version_that_was_replaced_is_gone": {"moto": _FORGETFUL},
    "a_null_marker_replaces_the_null_version": {"moto": _FORGETFUL},
    "a_null_version_that_was_replaced_is_not_copied": {"moto": _FORGETFUL},
    "another_etag_is_not_copied": {"moto": _NO_CONDITIONS},
    "a_part_of_another_etag_is_not_copied": {"moto": _NO_CONDITIONS},
    "a_key_without_versions_can_be_hidden": {"moto": "nothing is deleted, and no marker written"},
    "a_hidden_key_can_be_hidden_again": {"moto": _MARKERS_APART},
    "an_aborted_upload_is_gone": {"moto": "a part for an upload that is gone is a server error"},
    "an_upload_is_of_its_key": {"moto": "an upload is known by its id alone"},
    "a_purged_version_has_no_parts": {"moto": "404 without a code"},
}


def against(implementation: str, cases: Iterable[Callable[..., None]]) -> list[Any]:
    """The cases as parameters of a test. One that is known to differ has to: what is fixed is noticed."""
    parameters = []
    for case in cases:
        differs = DIFFERENCES.get(case.__name__, {}).get(implementation)
        marks = [pytest.mark.xfail(reason=differs, strict=True)] if differs else []
        parameters.append(pytest.param(case, id=case.__name__, marks=marks))
    return parameters


S3Case = Callable[[Stage], None]
S3_CASES: Final[list[S3Case]] = []


def _case(case: S3Case) -> S3Case:
    S3_CASES.append(case)
    return case


@contextmanager
def _suspended(stage: Stage) -> Iterator[None]:
    """While versioning is suspended at the source."""
    stage.user.suspend()
    try:
        yield
    finally:
        stage.user.enable()


# -- what a list shows


@_case
def versions_are_listed_newest_first(stage: Stage) -> None:
    first, second, third = stage.put("1"), stage.put("2"), stage.put("3")
    assert stage.listed() == [third, second, first]


@_case
def the_newest_is_marked_as_latest(stage: Stage) -> None:
    stage.put(), stage.put(), stage.user.mark(stage.key)
    latest = [one.latest for one in stage.source.versions(stage.user.name, stage.key)]
    assert latest == [True, False, False]


@_case
def a_marker_is_listed_in_its_place(stage: Stage) -> None:
    below, marker, above = stage.put(), stage.user.mark(stage.key), stage.put()
    assert stage.listed() == [above, marker, below]


@_case
def a_list_is_of_one_key(stage: Stage) -> None:
    mine = stage.put()
    stage.user.put(f"{stage.key}-too", "body")
    assert stage.listed() == [mine]


@_case
def a_list_can_begin_below_a_version(stage: Stage) -> None:
    oldest, below, marked = stage.put("1"), stage.put("2"), stage.put("3")
    stage.put("4")
    listed = stage.source.versions(stage.user.name, stage.key, above=marked)
    assert [one.version_id for one in listed] == [below, oldest]


@_case
def a_list_that_begins_below_a_version_ends_with_the_key(stage: Stage) -> None:
    oldest = stage.put()
    stage.user.put(f"{stage.key}-too", "body")
    assert list(stage.source.versions(stage.user.name, stage.key, above=oldest)) == []


@_case
def times_are_whole_seconds(stage: Stage) -> None:
    version_id, marker = stage.put(), stage.user.mark(stage.key)
    times = [one.last_modified for one in stage.source.versions(stage.user.name, stage.key)]
    times += [stage.source.head(stage.ref(one)).last_modified for one in (version_id, marker)]
    assert all(moment == int(moment) for moment in times)


@_case
def head_and_list_agree(stage: Stage) -> None:
    for version_id in (stage.put(), stage.user.end(stage.user.begin(stage.key, "parts"))):
        listed = stage.source.versions(stage.user.name, stage.key)
        [one] = [one for one in listed if one.version_id == version_id]
        head = stage.head(version_id)
        assert (one.last_modified, one.etag, one.size) == (head.last_modified, head.etag, head.size)


@_case
def an_upload_is_listed_where_it_was_started(stage: Stage) -> None:
    below = stage.put()
    upload_id = stage.user.begin(stage.key, "parts")
    stage.wait()
    above = stage.put()
    uploaded = stage.user.end(upload_id)
    assert stage.listed() == [above, uploaded, below]


@_case
def an_upload_is_dated_by_its_start(stage: Stage) -> None:
    before = stage.head(stage.put()).last_modified
    upload_id = stage.user.begin(stage.key, "parts")
    stage.wait()
    stage.wait()
    uploaded = stage.head(stage.user.end(upload_id))
    assert uploaded.last_modified <= before + 1


@_case
def a_replica_from_an_upload_is_listed_where_it_was_started(stage: Stage) -> None:
    source = stage.head(stage.put())
    upload_id = stage.upload(source)
    stage.wait()
    above = stage.copy_of(source).version_id
    completed = stage.complete(source, upload_id).version_id
    assert stage.replicas() == [above, completed]


# -- what a version tells


@_case
def an_upload_shows_in_the_etag(stage: Stage) -> None:
    assert not stage.head(stage.put()).multipart
    assert stage.head(stage.user.end(stage.user.begin(stage.key, "parts"))).multipart


@_case
def a_marker_says_when(stage: Stage) -> None:
    stage.put()
    marker = stage.source.head(stage.ref(stage.user.mark(stage.key)))
    [listed, _] = stage.source.versions(stage.user.name, stage.key)
    assert isinstance(marker, SourceMarker)
    assert listed.kind is Kind.MARKER
    assert marker.ref.version_id == listed.version_id
    assert marker.last_modified == int(listed.last_modified)


@_case
def a_purged_version_is_gone(stage: Stage) -> None:
    kept, purged = stage.put("kept"), stage.put("purged")
    stage.user.purge(stage.key, purged)
    for read in (stage.source.head, stage.source.tags, stage.source.acl):
        with pytest.raises(SourceGone):
            read(stage.ref(purged))
    assert stage.listed() == [kept]


@_case
def the_only_version_of_a_key_can_be_gone(stage: Stage) -> None:
    purged = stage.put()
    stage.user.purge(stage.key, purged)
    with pytest.raises(SourceGone):
        stage.source.head(stage.ref(purged))
    assert stage.listed() == []


@_case
def purging_a_marker_shows_what_it_hid(stage: Stage) -> None:
    hidden = stage.put()
    stage.user.purge(stage.key, stage.user.mark(stage.key))
    [shown] = stage.source.versions(stage.user.name, stage.key)
    assert (shown.version_id, shown.latest) == (hidden, True)


@_case
def purging_twice_is_fine(stage: Stage) -> None:
    version_id = stage.put()
    stage.user.purge(stage.key, version_id)
    stage.user.purge(stage.key, version_id)


@_case
def tags_are_of_one_version(stage: Stage) -> None:
    first, second = stage.put(tags=GREEN), stage.put()
    assert stage.source.tags(stage.ref(first)) == GREEN
    assert stage.source.tags(stage.ref(second)) == frozenset()


@_case
def tags_change_without_a_new_version(stage: Stage) -> None:
    version_id = stage.put(tags=GREEN)
    before = stage.head(version_id)
    stage.user.tag(stage.key, version_id, RED)
    assert stage.source.tags(stage.ref(version_id)) == RED
    assert stage.head(version_id) == before
    assert stage.listed() == [version_id]


# -- null versions


@_case
def a_suspended_bucket_has_one_null_version(stage: Stage) -> None:
    kept = stage.put("kept")
    with _suspended(stage):
        stage.put("first")
        first = stage.head("null").ref.version_id
        stage.put("second")
        second = stage.head("null").ref.version_id
    assert stage.listed() == [second, kept]
    assert first != second


@_case
def a_null_version_that_was_replaced_is_gone(stage: Stage) -> None:
    with _suspended(stage):
        stage.put("first")
        first = stage.head("null").ref
        stage.put("second")
    with pytest.raises(SourceGone):
        stage.source.head(first)


@_case
def a_null_marker_replaces_the_null_version(stage: Stage) -> None:
    kept = stage.put("kept")
    with _suspended(stage):
        stage.put("null")
        stage.user.mark(stage.key)
    marker = stage.source.head(stage.ref("null"))
    assert isinstance(marker, SourceMarker)
    assert stage.listed() == [marker.ref.version_id, kept]


@_case
def a_null_version_stays_when_versioning_is_enabled_again(stage: Stage) -> None:
    with _suspended(stage):
        stage.put("null")
    null = stage.head("null").ref.version_id
    above = stage.put("above")
    assert stage.listed() == [above, null]


@_case
def a_null_version_is_copied_by_its_name(stage: Stage) -> None:
    with _suspended(stage):
        stage.put("null")
    source = stage.head("null")
    replica = stage.replica(stage.copy_of(source).version_id)
    stamp = Stamp.read(replica.metadata)
    assert stamp is not None
    assert stamp.version_id == source.ref.version_id


@_case
def a_null_version_that_was_replaced_is_not_copied(stage: Stage) -> None:
    with _suspended(stage):
        stage.put("first")
        first = stage.head("null")
        stage.put("second")
    _is_refused(stage, first)


# -- copies


def _is_refused(stage: Stage, source: SourceObject) -> None:
    """For now, and without a doubt: what was pinned is not there."""
    with pytest.raises(RetryableError) as refusal:
        stage.copy_of(source)
    assert not isinstance(refusal.value, AmbiguousWrite)
    assert stage.replicas() == []


@_case
def a_copy_has_the_stamp_and_the_tags_of_the_moment(stage: Stage) -> None:
    version_id = stage.put(tags=GREEN)
    replica = stage.copy(version_id).version_id
    stage.user.tag(stage.key, version_id, RED)
    stamp = Stamp.read(stage.replica(replica).metadata)
    assert stamp is not None
    assert (stamp.version_id, stamp.nonce) == (version_id, "nonce")
    assert stage.destination.tags(stage.key, replica) == GREEN


@_case
def a_copy_answers_with_its_etag(stage: Stage) -> None:
    published = stage.copy(stage.put())
    assert published.etag == stage.replica(published.version_id).etag == stage.head(stage.listed()[0]).etag


@_case
def a_copy_of_an_upload_is_none(stage: Stage) -> None:
    published = stage.copy(stage.user.end(stage.user.begin(stage.key, "parts")))
    assert "-" not in published.etag


@_case
def every_copy_is_a_version_of_its_own(stage: Stage) -> None:
    version_id = stage.put()
    first, second = stage.copy(version_id), stage.copy(version_id)
    assert stage.replicas() == [second.version_id, first.version_id]


@_case
def a_purged_version_is_not_copied(stage: Stage) -> None:
    source = stage.head(stage.put("purged"))
    stage.put("another")
    stage.user.purge(stage.key, source.ref.version_id)
    with pytest.raises(SourceGone):
        stage.copy_of(source)
    assert stage.replicas() == []


@_case
def the_only_version_of_a_key_is_not_copied_once_purged(stage: Stage) -> None:
    source = stage.head(stage.put())
    stage.user.purge(stage.key, source.ref.version_id)
    with pytest.raises(SourceGone):
        stage.copy_of(source)


@_case
def another_etag_is_not_copied(stage: Stage) -> None:
    source = replace(stage.head(stage.put("one")), etag=stage.head(stage.put("other")).etag)
    _is_refused(stage, source)


@_case
def a_marker_is_not_copied(stage: Stage) -> None:
    source = stage.head(stage.put())
    marker = stage.user.mark(stage.key)
    with pytest.raises(SourceGone):
        stage.copy_of(replace(source, ref=stage.ref(marker)))
    assert stage.replicas() == []


@_case
def a_replica_can_be_copied_again(stage: Stage) -> None:
    version_id = stage.put("body", tags=GREEN)
    first = stage.replica(stage.copy(version_id).version_id)
    stage.user.purge(stage.key, version_id)
    again = stage.copy_of(first).version_id
    assert stage.replica(again).etag == first.etag
    assert stage.destination.tags(stage.key, again) == GREEN
    assert stage.replicas() == [again, first.ref.version_id]


# -- markers


@_case
def a_marker_hides_what_is_below(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    marker = stage.destination.put_marker(stage.key).version_id
    [top, below] = stage.destination.versions(stage.key)
    assert (top.version_id, top.kind, top.latest) == (marker, Kind.MARKER, True)
    assert below.version_id == replica


@_case
def a_key_without_versions_can_be_hidden(stage: Stage) -> None:
    marker = stage.destination.put_marker(stage.key).version_id
    assert stage.replicas() == [marker]


@_case
def a_hidden_key_can_be_hidden_again(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    first = stage.destination.put_marker(stage.key).version_id
    second = stage.destination.put_marker(stage.key).version_id
    assert stage.replicas() == [second, first, replica]


# -- changes of a replica


@_case
def removing_a_marker_shows_the_replica(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    stage.destination.remove(stage.key, stage.destination.put_marker(stage.key).version_id)
    [shown] = stage.destination.versions(stage.key)
    assert (shown.version_id, shown.latest) == (replica, True)


@_case
def removing_a_replica_is_for_good(stage: Stage) -> None:
    version_id = stage.put()
    kept, removed = stage.copy(version_id).version_id, stage.copy(version_id).version_id
    stage.destination.remove(stage.key, removed)
    assert stage.replicas() == [kept]
    assert stage.destination.head(stage.key, removed) is None


@_case
def removing_twice_is_fine(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    stage.destination.remove(stage.key, replica)
    stage.destination.remove(stage.key, replica)
    assert stage.replicas() == []


@_case
def a_held_version_cannot_be_removed(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    stage.destination.put_lock(stage.key, replica, Lock(legal_hold="ON"))
    with pytest.raises(TerminalError) as refusal:
        stage.destination.remove(stage.key, replica)
    assert refusal.value.reason is Reason.DST_OBJECT_LOCKED
    assert stage.replicas() == [replica]
    stage.destination.put_lock(stage.key, replica, Lock(legal_hold="OFF"))
    stage.destination.remove(stage.key, replica)
    assert stage.replicas() == []


@_case
def a_held_version_can_be_hidden(stage: Stage) -> None:
    replica = stage.copy(stage.put()).version_id
    stage.destination.put_lock(stage.key, replica, Lock(legal_hold="ON"))
    stage.destination.put_marker(stage.key)
    assert stage.replicas()[1:] == [replica]
    stage.destination.put_lock(stage.key, replica, Lock(legal_hold="OFF"))


@_case
def tags_are_replaced_as_a_whole(stage: Stage) -> None:
    replica = stage.copy(stage.put(tags=GREEN)).version_id
    tags = frozenset({Tag("shape", "round"), Tag("size", "")})
    stage.destination.put_tags(stage.key, replica, tags)
    assert stage.destination.tags(stage.key, replica) == tags
    assert stage.replicas() == [replica]


@_case
def tags_can_be_taken_away(stage: Stage) -> None:
    replica = stage.copy(stage.put(tags=GREEN)).version_id
    stage.destination.put_tags(stage.key, replica, frozenset())
    assert stage.destination.tags(stage.key, replica) == frozenset()


@_case
def an_acl_is_replaced_as_a_whole(stage: Stage) -> None:
    version_id = stage.put()
    [owner] = private = stage.source.acl(stage.ref(version_id))
    replica = VersionRef(stage.stranger.name, stage.key, stage.copy(version_id).version_id)
    for grants in (private | {Grant("READ_ACP", owner.grantee)}, private):
        stage.destination.put_acl(stage.key, replica.version_id, grants)
        assert stage.source.acl(replica) == grants
        assert stage.destination.acl(stage.key, replica.version_id) == grants


# -- uploads


@_case
def an_upload_is_seen_when_it_is_completed(stage: Stage) -> None:
    source = stage.head(stage.put("body", tags=GREEN))
    upload_id = stage.upload(source)
    assert stage.replicas() == []
    published = stage.complete(source, upload_id)
    assert stage.replicas() == [published.version_id]
    assert published.etag.endswith('-1"')
    replica = stage.replica(published.version_id)
    assert (replica.etag, replica.size) == (published.etag, source.size)
    assert Stamp.read(replica.metadata) is not None
    assert stage.destination.tags(stage.key, published.version_id) == GREEN


@_case
def an_upload_has_the_tags_it_was_started_with(stage: Stage) -> None:
    source = stage.head(stage.put("body", tags=GREEN))
    upload_id = stage.upload(source)
    stage.user.tag(stage.key, source.ref.version_id, RED)
    published = stage.complete(source, upload_id)
    assert stage.destination.tags(stage.key, published.version_id) == GREEN


@_case
def parts_are_known_by_number(stage: Stage) -> None:
    source = stage.head(stage.put("body"))
    upload_id = stage.upload(source)
    assert stage.destination.parts(stage.key, upload_id) == {}
    parts = [Part(number, 0, source.size - 1) for number in (2, 1)]
    copied = [
        stage.destination.copy_part(source.ref, source.etag, stage.key, upload_id, part) for part in parts
    ]
    listed = stage.destination.parts(stage.key, upload_id)
    assert listed == {part.number: part for part in copied}
    stage.destination.abort(stage.key, upload_id)


@_case
def an_aborted_upload_is_gone(stage: Stage) -> None:
    source = stage.head(stage.put())
    upload_id = stage.upload(source)
    whole = Part(1, 0, source.size - 1)
    part = stage.destination.copy_part(source.ref, source.etag, stage.key, upload_id, whole)
    stage.destination.abort(stage.key, upload_id)
    stage.destination.abort(stage.key, upload_id)
    assert stage.destination.parts(stage.key, upload_id) is None
    with pytest.raises(RetryableError):
        stage.destination.copy_part(source.ref, source.etag, stage.key, upload_id, whole)
    with pytest.raises(AmbiguousWrite):
        stage.destination.complete(stage.key, upload_id, [part], None, None)
    assert stage.replicas() == []


@_case
def an_upload_is_of_its_key(stage: Stage) -> None:
    upload_id = stage.upload(stage.head(stage.put()))
    stage.destination.abort(f"{stage.key} and more", upload_id)
    assert stage.destination.parts(f"{stage.key} and more", upload_id) is None
    assert stage.destination.parts(stage.key, upload_id) == {}
    stage.destination.abort(stage.key, upload_id)


@_case
def a_completed_upload_is_gone(stage: Stage) -> None:
    source = stage.head(stage.put())
    upload_id = stage.upload(source)
    stage.complete(source, upload_id)
    assert stage.destination.parts(stage.key, upload_id) is None
    stage.destination.abort(stage.key, upload_id)
    assert len(stage.replicas()) == 1


@_case
def a_purged_version_has_no_parts(stage: Stage) -> None:
    source = stage.head(stage.put("purged"))
    stage.put("another")
    upload_id = stage.upload(source)
    stage.user.purge(stage.key, source.ref.version_id)
    with pytest.raises(SourceGone):
        stage.complete(source, upload_id)
    stage.destination.abort(stage.key, upload_id)


@_case
def an_upload_outlives_its_source(stage: Stage) -> None:
    source = stage.head(stage.put())
    upload_id = stage.upload(source)
    whole = Part(1, 0, source.size - 1)
    part = stage.destination.copy_part(source.ref, source.etag, stage.key, upload_id, whole)
    stage.user.purge(stage.key, source.ref.version_id)
    published = stage.destination.complete(stage.key, upload_id, [part], None, None)
    assert stage.replicas() == [published.version_id]


@_case
def a_part_of_another_etag_is_not_copied(stage: Stage) -> None:
    source = stage.head(stage.put("one"))
    other = stage.head(stage.put("other"))
    upload_id = stage.upload(source)
    whole = Part(1, 0, source.size - 1)
    with pytest.raises(RetryableError):
        stage.destination.copy_part(source.ref, other.etag, stage.key, upload_id, whole)
    stage.destination.abort(stage.key, upload_id)
