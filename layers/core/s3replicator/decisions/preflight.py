"""What a deployment's buckets, keys and rules say, judged: facts in, findings out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions import problems
from s3replicator.decisions.collisions import search_collision
from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.deployment import Presence
from s3replicator.decisions.findings import Check, Finding, fine
from s3replicator.decisions.key_ranges import ranges_of
from s3replicator.decisions.probe import MOST, Plan

ENABLED: Final = "Enabled"
#: Object Ownership settings: https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
ACLS_OFF: Final = "BucketOwnerEnforced"
WRITER_OWNS: Final = "ObjectWriter"


@dataclass(frozen=True, slots=True)
class Unseen:
    """A setting that could not be looked at: the permission it takes, and what AWS said."""

    action: str
    told: str


@dataclass(frozen=True, slots=True)
class LockSetting:
    """Object Lock is enabled. ``retention`` is what new objects get, for example ``GOVERNANCE for 30 days``;
    empty if nothing."""

    retention: str = ""


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """An enabled lifecycle rule. ``removes`` says what versions it removes, empty if none."""

    id: str
    prefix: str
    removes: str
    aborts_uploads: bool


@dataclass(frozen=True, slots=True)
class NativeRule:
    """An enabled rule of Amazon S3's own replication of a bucket; ``tagged`` if it selects by tags."""

    to: str
    prefix: str
    tagged: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """``versioning`` is empty if it was never switched on; ``lock`` None if Object Lock is not enabled.
    ``ours`` says whether it belongs to the stack's account; ``not_of`` are accounts that rules name as its
    owner and that are not. Of a bucket that is not found, or may not be listed, the rest may be missing."""

    name: str
    presence: Presence
    region: str = ""
    versioning: str | Unseen = ""
    lock: LockSetting | Unseen | None = None
    ownership: str | Unseen = ACLS_OFF
    native: tuple[NativeRule, ...] | Unseen = ()
    lifecycle: tuple[LifecycleRule, ...] | Unseen = ()
    ours: bool = True
    not_of: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key: ``state`` as DescribeKey tells it; ``unfit`` says what it is for, if not for S3."""

    state: str
    unfit: str = ""


#: By the name that rules give it; None if there is no such key.
Keys = Mapping[str, Key | Unseen | None]


# -- the rules


def about_configuration(configuration: Configuration, destinations: Iterable[str]) -> Iterator[Finding]:
    """``destinations`` are those of the stack."""
    known = set(destinations)
    for bucket in dict.fromkeys(rule.destination.bucket for rule in configuration.ranked):
        if bucket not in known:
            [rule, *_] = _rules(configuration, bucket)
            yield problems.NOT_IN_STACK.at(bucket, rule=rule.id)
    yield _about_collisions(configuration)


def _about_collisions(configuration: Configuration) -> Finding:
    """A former release let some in that collide; they replicate, so it is no failure."""
    search = search_collision(configuration)
    if search.collision is not None:
        bucket = search.collision.rule.destination.bucket
        return problems.RULES_COLLIDE.at(bucket, told=str(search.collision))
    if not search.complete:
        return problems.NOT_COMPARED.at("configuration")
    return fine(Check.COLLISIONS, "configuration", "the rules keep keys apart")


def _rules(configuration: Configuration, bucket: str) -> list[Rule]:
    return [rule for rule in configuration.ranked if rule.destination.bucket == bucket]


# -- the source


def about_source(source: Bucket, region: str, destinations: Iterable[str]) -> Iterator[Finding]:
    """``region`` is the stack's."""
    name = source.name
    if source.presence is Presence.MISSING:
        yield problems.SOURCE_MISSING.at(name)
        return
    if source.presence is Presence.FORBIDDEN:
        yield problems.SOURCE_HIDDEN.at(name)
    else:
        yield fine(Check.EXISTENCE, name, "exists")
    if source.region not in ("", region):
        yield problems.SOURCE_ELSEWHERE.at(name, region=source.region, expected=region)
    elif source.region:
        yield fine(Check.REGION, name, source.region)
    yield _versioning(source, problems.SOURCE_UNVERSIONED)
    if isinstance(source.lock, Unseen):
        yield _unseen(Check.OBJECT_LOCK, name, source.lock)
    if isinstance(source.ownership, Unseen):
        yield _unseen(Check.OWNERSHIP, name, source.ownership)
    yield from _native(source, destinations)


def _native(source: Bucket, destinations: Iterable[str]) -> Iterator[Finding]:
    if isinstance(source.native, Unseen):
        yield _unseen(Check.NATIVE, source.name, source.native)
        return
    theirs = {rule.to for rule in source.native}
    for bucket in destinations:
        if bucket in theirs:
            yield problems.REPLICATED_TWICE.at(bucket, source=source.name)


# -- a destination


def about_destination(
    bucket: Bucket, region: str, source: Bucket, configuration: Configuration, keys: Keys
) -> Iterator[Finding]:
    """``region`` is where the stack looks for it; ``keys`` are those that the rules name for it."""
    name, rules = bucket.name, _rules(configuration, bucket.name)
    if bucket.presence is Presence.MISSING:
        yield problems.DESTINATION_MISSING.at(name, region=region)
        return
    if bucket.presence is Presence.FORBIDDEN:
        yield problems.DESTINATION_HIDDEN.at(name)
    else:
        yield fine(Check.EXISTENCE, name, "exists")
    if bucket.region not in ("", region):
        yield problems.DESTINATION_ELSEWHERE.at(name, region=bucket.region, expected=region)
    elif bucket.region:
        yield fine(Check.REGION, name, region)
    yield from _owner(bucket, rules)
    yield _versioning(bucket, problems.DESTINATION_UNVERSIONED)
    yield from _object_lock(bucket, source)
    yield from _ownership(bucket, source, rules)
    yield from _keys(bucket, region, rules, keys)
    yield from _lifecycle(bucket, rules)


def _versioning(bucket: Bucket, problem: problems.Problem) -> Finding:
    if isinstance(bucket.versioning, Unseen):
        return _unseen(Check.VERSIONING, bucket.name, bucket.versioning)
    if bucket.versioning != ENABLED:
        return problem.at(bucket.name, status=bucket.versioning or "off", region=bucket.region)
    return fine(Check.VERSIONING, bucket.name, ENABLED)


def _owner(bucket: Bucket, rules: Iterable[Rule]) -> Iterator[Finding]:
    named = {rule.destination.account: rule for rule in rules if rule.destination.account}
    for account, rule in named.items():
        if account in bucket.not_of:
            yield problems.OTHER_OWNER.at(bucket.name, rule=rule.id, account=account)
        else:
            yield fine(Check.OWNER, bucket.name, account)


def _object_lock(bucket: Bucket, source: Bucket) -> Iterator[Finding]:
    if isinstance(bucket.lock, Unseen):
        yield _unseen(Check.OBJECT_LOCK, bucket.name, bucket.lock)
    elif isinstance(source.lock, Unseen):
        return
    elif bucket.lock is None and source.lock is not None:
        yield problems.NO_OBJECT_LOCK.at(bucket.name, region=bucket.region)
    elif bucket.lock is not None and bucket.lock.retention and source.lock is None:
        yield problems.LOCKED_BY_DEFAULT.at(bucket.name, retention=bucket.lock.retention)
    else:
        told = "as at the source" if (bucket.lock is None) == (source.lock is None) else "here only"
        yield fine(Check.OBJECT_LOCK, bucket.name, told)


def _ownership(bucket: Bucket, source: Bucket, rules: list[Rule]) -> Iterator[Finding]:
    setting = bucket.ownership
    if isinstance(setting, Unseen):
        yield _unseen(Check.OWNERSHIP, bucket.name, setting)
        return
    overriding = [rule for rule in rules if rule.destination.owner_override]
    as_written = len(overriding) < len(rules) or not rules
    if as_written and setting == ACLS_OFF and source.ownership in (WRITER_OWNS, "BucketOwnerPreferred"):
        yield problems.ACLS_DISABLED.at(bucket.name)
    if as_written and setting != ACLS_OFF and not bucket.ours:
        yield problems.REPLICAS_ARE_OURS.at(bucket.name, ownership=setting)
    if overriding and setting == WRITER_OWNS and not bucket.ours:
        yield problems.OWNER_KEPT.at(
            bucket.name, rule=overriding[0].id, ownership=setting, region=bucket.region
        )
    # Whatever is wrong takes its place.
    yield fine(Check.OWNERSHIP, bucket.name, setting)


def _keys(bucket: Bucket, region: str, rules: Iterable[Rule], keys: Keys) -> Iterator[Finding]:
    named = {rule.destination.kms_key: rule for rule in rules if rule.kms and rule.destination.kms_key}
    for name, rule in named.items():
        assert name is not None
        yield _key(bucket.name, region, rule.id, name, keys.get(name))


def _key(bucket: str, region: str, rule: str, name: str, key: Key | Unseen | None) -> Finding:
    if region_of_key(name) not in ("", region):
        return problems.KEY_ELSEWHERE.at(bucket, rule=rule, key=name, region=region)
    if isinstance(key, Unseen):
        return _unseen(Check.KEY, bucket, key)
    if key is None:
        return problems.KEY_MISSING.at(bucket, rule=rule, key=name, region=region)
    if key.unfit:
        return problems.KEY_UNFIT.at(bucket, rule=rule, key=name, state=key.unfit)
    if key.state != ENABLED:
        return problems.KEY_UNUSABLE.at(bucket, rule=rule, key=name, state=key.state, region=region)
    return fine(Check.KEY, bucket, name)


def region_of_key(name: str) -> str:
    """Of an ARN; empty for an id or an alias, which S3 looks up in the bucket's region."""
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") > 4 else ""


def _lifecycle(bucket: Bucket, rules: Iterable[Rule]) -> Iterator[Finding]:
    if isinstance(bucket.lifecycle, Unseen):
        yield _unseen(Check.UPLOADS, bucket.name, bucket.lifecycle)
        return
    places = list(dict.fromkeys(each.replica for rule in rules for each in ranges_of(rule))) or [""]
    aborting = tuple(rule.prefix for rule in bucket.lifecycle if rule.aborts_uploads)
    if all(place.startswith(aborting) for place in places):
        yield fine(Check.UPLOADS, bucket.name, "aborted by a lifecycle rule")
    else:
        yield problems.UPLOADS_STAY.at(bucket.name)
    for rule in bucket.lifecycle:
        meets = any(rule.prefix.startswith(place) or place.startswith(rule.prefix) for place in places)
        if rule.removes and meets:
            yield problems.EXPIRES.at(bucket.name, rule=rule.id, what=rule.removes)
    yield fine(Check.EXPIRATION, bucket.name, "no lifecycle rule removes replicas")


def _unseen(check: Check, bucket: str, unseen: Unseen) -> Finding:
    return problems.UNSEEN.at(bucket, check=check, told=unseen.told, action=unseen.action)


# -- the probe


#: So many prefixes are named in one sentence, each of so many letters at most.
_NAMED, _SHOWN = 20, 80


def about_left_out(plan: Plan) -> Iterator[Finding]:
    for bucket, prefixes in plan.left_out.items():
        named = ", ".join(_quoted(prefix) for prefix in prefixes[:_NAMED])
        more = f" and {len(prefixes) - _NAMED} more" if len(prefixes) > _NAMED else ""
        yield problems.PLACES_NOT_PROBED.at(bucket, places=named + more, most=str(MOST))


def _quoted(prefix: str) -> str:
    return repr(prefix if len(prefix) <= _SHOWN else f"{prefix[: _SHOWN - 3]}...")


def onward(bucket: Bucket, key: str) -> str | None:
    """The bucket that Amazon's own replication would carry a probe to."""
    if isinstance(bucket.native, Unseen):
        return None
    return next((rule.to for rule in bucket.native if not rule.tagged and key.startswith(rule.prefix)), None)


def may_be_probed(bucket: Bucket) -> bool:
    """Whether a probe tells anything more than is known already, and can be deleted again by its id."""
    versioned = isinstance(bucket.versioning, Unseen) or bucket.versioning == ENABLED
    return bucket.presence is not Presence.MISSING and versioned and not bucket.not_of
