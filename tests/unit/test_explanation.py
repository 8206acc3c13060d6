"""What is said of rules is what the engine does with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s3replicator.decisions.configuration import (
    Configuration,
    Destination,
    Filter,
    KeyNames,
    KeyTransform,
    Rule,
)
from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.explanation import AtBucket, asked_of, explain
from s3replicator.decisions.failures import NotEligible, Reason, SourceGone
from s3replicator.decisions.probe import BODY, FOLDER, Probe, probe_request
from s3replicator.decisions.rules import Facts, contenders, needs_object, winner
from s3replicator.decisions.versions import (
    Annotation,
    Grant,
    Kind,
    ListedVersion,
    SourceMarker,
    SourceObject,
    SourceVersion,
    Tag,
    VersionRef,
)
from s3replicator.ports import InTime, unhurried
from s3replicator.usecases.explanation import Imagined, Subject, Subjects, imagine
from s3replicator.usecases.routing import Router
from tests.unit.rule_sets import BUCKETS, CLASSES, configurations, facts, tag_sets, words

SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the only key there is. ``secret``: encrypted with a key of its owner's (SSE-C)."""

    kind: Kind
    tags: frozenset[Tag] = frozenset()
    size: int = 0
    storage_class: str = "STANDARD"
    encryption: str | None = None
    replica: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class OneKey:
    """A source bucket with the versions of one key, newest first; their ids are their places."""

    held: Sequence[Version]

    def head(self, ref: VersionRef) -> SourceVersion:
        version = self.held[int(ref.version_id)]
        if version.kind is Kind.MARKER:
            return SourceMarker(ref, 1.0)
        if version.secret:
            raise NotEligible(Reason.SRC_OBJECT_NOT_ELIGIBLE, "the object is encrypted with its owner's key")
        return SourceObject(
            ref,
            version.size,
            "etag",
            1.0,
            storage_class=version.storage_class,
            encryption=version.encryption,
            native_replica=version.replica,
        )

    def tags(self, ref: VersionRef) -> frozenset[Tag]:
        return self.held[int(ref.version_id)].tags

    def acl(self, ref: VersionRef) -> frozenset[Grant]:
        return frozenset()

    def annotations(self, ref: VersionRef) -> Mapping[str, Annotation]:
        return {}

    def annotation(self, ref: VersionRef, name: str) -> bytes | None:
        return None

    def versions(
        self,
        bucket: str,
        key: str,
        in_time: InTime = unhurried,
        until: Collection[str] = (),
        above: str | None = None,
    ) -> Sequence[ListedVersion]:
        return [
            ListedVersion(str(place), held.kind, 1.0, "etag", held.size, place == 0, held.storage_class)
            for place, held in enumerate(self.held)
        ]


objects = st.builds(
    Version,
    st.just(Kind.OBJECT),
    tag_sets,
    st.integers(0, 4),
    st.sampled_from(CLASSES),
    st.sampled_from([None, "AES256", "aws:kms"]),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, False, True]),
)
histories = st.lists(objects | st.just(Version(Kind.MARKER)), min_size=1, max_size=4)


Done = dict[str, tuple[str, str, str | None]]


def explained(rules: Configuration, subject: Subject) -> Done:
    """By bucket, where something is done: by which rule, under which key, and why it fails."""
    marker = isinstance(subject.version, SourceMarker)
    return {
        at.bucket: (at.rule.id, at.replica_key or subject.version.ref.key, at.problem)
        for at in explain(rules, subject.version, subject.facts, problem=subject.problem)
        if at.rule is not None and not (marker and not at.rule.delete_markers)
    }


def routed(source: OneKey, change: Change, rules: Configuration) -> Done:
    return {
        work.destination: (
            work.rule.id,
            work.change.replica_key or change.key,
            work.failure.detail if work.failure else None,
        )
        for work in Router(source, lambda *_: None).route(change, rules)
        if work.rule is not None
    }


@settings(max_examples=400)
@given(configurations(), words.filter(bool), histories, st.data())
def test_what_is_explained_is_what_the_engine_does(
    rules: Configuration, key: str, held: list[Version], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(held) - 1))
    version, source = held[place], OneKey(held)
    # What cannot be looked at has a size and class in the listing only, which the engine does not ask for.
    assume(not (version.secret and needs_object(contenders(rules, key))))
    kind = ChangeKind.MARKED if version.kind is Kind.MARKER else ChangeKind.CREATED
    change = Change(kind, "", SOURCE, key, str(place), sequencer=None, event_time=1.0)
    subject = Subjects(source).find(SOURCE, key, Imagined(), asked_of(rules, key), str(place))
    assert subject is not None
    told, done = explained(rules, subject), routed(source, change, rules)
    assert told == done


@given(configurations(), words.filter(bool), facts)
def test_a_rule_that_does_not_decide_has_a_reason_and_one_that_decides_has_none(
    rules: Configuration, key: str, facts: Facts
) -> None:
    contending = contenders(rules, key)
    told = explain(rules, SourceObject(VersionRef(SOURCE, key, "v"), 0, "", 0.0), facts, destinations=BUCKETS)
    assert {at.bucket for at in told} == set(BUCKETS)
    for at in told:
        decides = winner(contending.get(at.bucket, ()), facts)
        assert at.rule == decides
        assert [each.rule for each in at.rules if each.decides] == [decides] * (decides is not None)
        assert [each.rule.priority for each in at.rules] == sorted(
            (rule.priority for rule in rules.rules if rule.destination.bucket == at.bucket), reverse=True
        )
        for each in at.rules:
            alone = Configuration((replace(each.rule, enabled=True),))
            assert each.selects == (winner(contenders(alone, key).get(at.bucket, ()), facts) is not None)


@given(configurations(), words.filter(bool), facts)
def test_facts_that_no_rule_asks_for_change_nothing(rules: Configuration, key: str, facts: Facts) -> None:
    """What is not lacking need not be read."""
    lacking = Imagined().lacks(asked_of(rules, key))
    known = Facts(
        facts.tags if "tags" in lacking else frozenset(),
        facts.size if "size" in lacking else 0,
        facts.storage_class if "storage class" in lacking else "STANDARD",
    )
    version = SourceObject(VersionRef(SOURCE, key, "v"), 0, "", 0.0)
    assert explain(rules, version, facts) == explain(rules, version, known)


# -- in words

OBJECT = SourceObject(VersionRef(SOURCE, "in/a.tmp", "v"), 10, "", 0.0)
MARKER = SourceMarker(OBJECT.ref, 0.0)
RED = Tag("colour", "red")


def rule(name: str = "rule", priority: int = 1, **asked: Any) -> Rule:
    return Rule(
        name,
        priority,
        enabled=True,
        filter=Filter(**asked),
        delete_markers=False,
        destination=Destination("one"),
        transform=KeyTransform("in/", "eu/"),
    )


def at_one(*rules: Rule, version: SourceVersion = OBJECT, **more: Any) -> AtBucket:
    about = Facts(frozenset({RED}), 10, "STANDARD")
    [at] = explain(Configuration(rules), version, about, **more)
    return at


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ({}, []),
        ({"prefix": "in/"}, []),
        ({"prefix": "out/"}, ["the key does not begin with 'out/'"]),
        ({"names": KeyNames(prefixes=("b", "c"))}, ["the key does not begin with 'b' or 'c'"]),
        ({"names": KeyNames(suffixes=(".jpg",))}, ["the key does not end in '.jpg'"]),
        ({"names": KeyNames(substrings=("x", "y"))}, ["the key does not contain 'x' or 'y'"]),
        (
            {"names": KeyNames(not_prefixes=("out/", "in/a"), not_suffixes=(".bak", ".tmp"))},
            ["keys that begin with 'in/a' are excluded", "keys that end in '.tmp' are excluded"],
        ),
        ({"tags": frozenset({RED})}, []),
        ({"tags": frozenset({RED, Tag("team", "a")})}, ["tag team=a is missing"]),
        ({"tags": frozenset({Tag("colour", "blue")})}, ["tag colour=blue is missing: colour is 'red'"]),
        ({"larger_than": 9, "smaller_than": 11}, []),
        ({"larger_than": 10}, ["its size, 10 bytes, is not larger than 10"]),
        ({"smaller_than": 10}, ["its size, 10 bytes, is not smaller than 10"]),
        (
            {"storage_classes": frozenset({"ONEZONE_IA", "GLACIER"})},
            ["its storage class, STANDARD, is not 'GLACIER' or 'ONEZONE_IA'"],
        ),
        # The object is of no account where the key is wrong already: nobody has looked at it.
        ({"prefix": "out/", "larger_than": 10}, ["the key does not begin with 'out/'"]),
    ],
)
def test_what_a_rule_asks_for_in_vain_is_told(asked: dict[str, Any], reasons: list[str]) -> None:
    at = at_one(rule(**asked))
    assert list(at.rules[0].reasons) == reasons
    assert at.rules[0].selects is at.replicated is not bool(reasons)
    off = at_one(replace(rule(**asked), enabled=False))
    assert list(off.rules[0].reasons) == ["it is disabled", *reasons]
    assert off.rules[0].selects is not bool(reasons)
    assert off.rule is None


def test_the_stronger_rule_is_named_and_so_is_the_key_it_gives() -> None:
    at = at_one(rule("weak", 1), rule("strong", 7, prefix="in/"), rule("elsewhere", 9, prefix="out/"))
    assert [each.rule.id for each in at.rules] == ["elsewhere", "strong", "weak"]
    assert at.rules[2].reasons == ("rule 'strong' is stronger, with priority 7",)
    assert at.rules[2].selects
    assert (at.rule, at.replica_key, at.problem) == (at.rules[1].rule, "eu/a.tmp", None)


def test_a_key_that_cannot_be_another_is_told() -> None:
    at = at_one(replace(rule(), transform=KeyTransform("in/a.tmp")))
    assert at.problem == "nothing is left of the key without 'in/a.tmp'"
    assert (at.replica_key, at.replicated) == (None, False)


def test_a_delete_marker_is_only_replicated_where_the_rule_says_so() -> None:
    at = at_one(rule(), version=MARKER)
    assert (
        at.problem
        == "rule 'rule' does not replicate delete markers (DeleteMarkerReplication.Status Disabled)"
    )
    assert not at.replicated
    assert at_one(replace(rule(), delete_markers=True), version=MARKER).replicated


PROBE_KEY = f"in/{FOLDER}abcdefghijklmnop-1"
PROBE = replace(
    OBJECT,
    ref=replace(OBJECT.ref, key=PROBE_KEY),
    size=len(BODY),
    metadata=probe_request(Probe(OBJECT.ref.bucket, PROBE_KEY), "nonce", None).arguments["Metadata"],
)


@pytest.mark.parametrize(
    "version",
    [
        replace(PROBE, metadata={}),
        replace(PROBE, metadata={"own": "metadata"}),
        replace(PROBE, size=PROBE.size + 1, metadata={}),
        replace(MARKER, ref=PROBE.ref),
    ],
)
def test_an_object_of_a_user_with_the_key_of_a_probe_is_like_any_other(
    version: SourceObject | SourceMarker,
) -> None:
    assert at_one(replace(rule(), delete_markers=True), version=version).replicated


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (replace(OBJECT, encryption="aws:kms"), "SseKmsEncryptedObjects"),
        (replace(OBJECT, storage_class="DEEP_ARCHIVE"), "restore it first"),
        (replace(OBJECT, native_replica=True), "replicas are not replicated onward"),
        (PROBE, "probes"),
    ],
)
def test_what_is_not_replicated_although_a_rule_decides_is_told(version: SourceObject, told: str) -> None:
    at = at_one(rule(), version=version)
    assert told in (at.problem or "")
    assert (at.rules[0].decides, at.replicated) == (True, False)


def test_what_keeps_it_from_being_looked_at_is_said_where_a_rule_wants_it() -> None:
    assert at_one(rule(), problem="secret").problem == "secret"
    assert at_one(rule(prefix="out/"), problem="secret").problem is None


def test_a_destination_that_no_rule_names_is_listed_too() -> None:
    one, two = explain(Configuration((rule(),)), OBJECT, Facts(), destinations=["two", "one"])[::-1]
    assert (one.bucket, two.bucket) == ("one", "two")
    assert (two.rules, two.rule, two.replicated) == ((), None, False)


# -- what is asked about

KEY = "key"


def test_nothing_is_read_of_what_is_imagined() -> None:
    given = Imagined(frozenset({RED}), 5, "GLACIER", "aws:kms")
    subject = imagine(OBJECT.ref, given)
    assert isinstance(subject.version, SourceObject)
    assert (subject.version.encryption, subject.version.storage_class) == ("aws:kms", "GLACIER")
    assert (subject.facts, subject.imagined) == (Facts(frozenset({RED}), 5, "GLACIER"), True)
    marker = imagine(OBJECT.ref, replace(given, marker=True))
    assert isinstance(marker.version, SourceMarker)
    assert marker.facts == subject.facts


def test_what_is_given_goes_before_what_is_there() -> None:
    source = OneKey([Version(Kind.OBJECT, frozenset({RED}), 3, "STANDARD_IA")])
    asking = {"one": [rule(tags=frozenset({RED}), larger_than=1)]}
    subject = Subjects(source).find(SOURCE, KEY, Imagined(size=7), asking)
    assert subject is not None
    assert (subject.facts, subject.imagined) == (Facts(frozenset({RED}), 7, "STANDARD_IA"), False)
    bare = Subjects(source).find(SOURCE, KEY, Imagined(tags=frozenset(), storage_class="GLACIER"), asking)
    assert bare is not None
    assert bare.facts == Facts(frozenset(), 3, "GLACIER")


def test_a_delete_marker_written_now_hides_the_newest_object() -> None:
    source = OneKey([Version(Kind.MARKER), Version(Kind.OBJECT, size=4), Version(Kind.OBJECT, size=5)])
    subject = Subjects(source).find(SOURCE, KEY, Imagined(marker=True), {})
    assert subject is not None
    assert (type(subject.version), subject.facts.size) == (SourceMarker, 4)


def test_the_newest_version_is_meant_unless_one_is_named() -> None:
    source = OneKey([Version(Kind.OBJECT, size=4), Version(Kind.OBJECT, size=5)])
    for version_id, size in ((None, 4), ("1", 5)):
        subject = Subjects(source).find(SOURCE, KEY, Imagined(), {}, version_id)
        assert subject is not None
        assert subject.facts.size == size
    assert Subjects(source).find(SOURCE, KEY, Imagined(), {}, "2") is None
    assert Subjects(OneKey([])).find(SOURCE, KEY, Imagined(), {}) is None


def test_what_is_gone_by_the_time_it_is_looked_at_is_not_there() -> None:
    class Vanishing(OneKey):
        def head(self, ref: VersionRef) -> SourceVersion:
            raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, "gone")

    assert Subjects(Vanishing([Version(Kind.OBJECT)])).find(SOURCE, KEY, Imagined(), {}) is None
