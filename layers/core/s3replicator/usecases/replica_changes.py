"""What others change about a replica, given to the version that it was made of.

The replica lies in our source bucket: the stack of the other direction has made it, and its stamp says of
which version. Where a rule has ``ReplicaModifications``, that version gets the tags, the ACL and the lock
that the replica has now. Both are compared first, so what comes back as an event of its own ends here.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-for-metadata-changes.html
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.failures import (
    Reason,
    ReplicaLost,
    ReplicationError,
    RetryableError,
    SourceGone,
)
from s3replicator.decisions.ledger import LedgerKey
from s3replicator.decisions.outcome import Outcome, Result
from s3replicator.decisions.replica import has_same_content
from s3replicator.decisions.rules import Facts, contenders, needs_tags, winner
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import SourceObject, is_null
from s3replicator.ports import Conflict, DestinationBucket, LeaseLost
from s3replicator.usecases.conflicts import keep_out
from s3replicator.usecases.endings import busy, deferred, failed_row, park
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import lease_key
from s3replicator.usecases.refresh import Pair
from s3replicator.usecases.work import Work


@dataclass(frozen=True, slots=True)
class _Origin:
    """The version a replica was made of. ``work`` is the replica's change, at the place of that version."""

    work: Work
    version_id: str


@dataclass(frozen=True, slots=True)
class ReplicaChanges:
    engine: Engine

    def follow(self, change: Change, configuration: Configuration, deadline: float) -> Outcome | None:
        """None if the change is not one of a replica, or no rule asks for it."""
        syncing = _syncing(change, configuration)
        if not syncing:
            return None
        try:
            origin = self._origin(change, syncing)
        except RetryableError as failure:
            return _unknown(change, failure)
        except ReplicationError:
            # It cannot be looked at, and others will say so.
            return None
        return self._give(origin, deadline) if origin is not None else None

    def _origin(self, change: Change, syncing: Mapping[str, Sequence[Rule]]) -> _Origin | None:
        version = self.engine.source.head(change.ref)
        stamp = Stamp.read(version.metadata) if isinstance(version, SourceObject) else None
        if stamp is None or stamp.place != place_of(change.bucket, change.key):
            return None
        # Nothing tells whether a null version is still the one that was copied.
        if stamp.source_bucket not in syncing or is_null(stamp.version_id):
            return None
        if change.destination not in (None, stamp.source_bucket):
            return None
        assert isinstance(version, SourceObject)
        rules = syncing[stamp.source_bucket]
        tags = self.engine.source.tags(change.ref) if needs_tags(syncing) else frozenset()
        rule = winner(rules, Facts(tags, version.size, version.storage_class))
        if rule is None or not rule.replica_modifications or rule.transform.problem(change.key) is not None:
            return None
        there = LedgerKey(stamp.source_bucket, rule.transform.of(change.key)).other_than(change.key)
        change = replace(change, version_id=version.ref.version_id, replica_key=there)
        return _Origin(Work(change, stamp.source_bucket, rule, source=version), stamp.version_id)

    def _give(self, origin: _Origin, deadline: float) -> Outcome:
        """Under the lease of the key at the other side: two events of one replica must not overtake each
        other."""
        work, engine = origin.work, self.engine
        try:
            answer, leased = lease_key(engine, work.key, work.source_key, deadline)
            if isinstance(answer, Conflict):
                return keep_out(engine, work, answer.source)
            if leased is None:
                return busy(work)
            try:
                if work.change.kept_out:
                    engine.ledger.close_conflict(work.key, work.source_key, work.version_id)
                return work.outcome(self._bring(origin, deadline))
            finally:
                # A lease that cannot be given up runs out.
                with contextlib.suppress(RetryableError, LeaseLost):
                    leased.release()
        except (SourceGone, ReplicaLost):
            return work.outcome(Result.GONE)
        except RetryableError as failure:
            return deferred(work, failure)
        except ReplicationError as failure:
            return park(engine, work, failed_row(engine, work, None, failure))

    def _bring(self, origin: _Origin, deadline: float) -> Result:
        work, engine = origin.work, self.engine
        bucket, key, version_id = engine.destination(work.destination), work.key.key, origin.version_id
        if not self._is_origin(work, bucket, version_id):
            return Result.NOT_SELECTED
        pair = Pair(engine, work.key, work.change.ref, version_id, may_loosen=False)
        found = pair.difference(deadline, annotations=False)
        if found is None:
            return Result.GONE
        failures = pair.put_right(found, deadline)
        if failures:
            raise failures[0]
        changed = found.tags is not None or found.lock is not None
        assert work.rule is not None
        if work.change.kind is ChangeKind.ACL_CHANGED and not work.rule.destination.owner_override:
            grants = engine.source.acl(work.change.ref)
            if bucket.acl(key, version_id) != grants:
                bucket.put_acl(key, version_id, grants)
                changed = True
        return Result.UPDATED if changed else Result.DUPLICATE

    @staticmethod
    def _is_origin(work: Work, bucket: DestinationBucket, version_id: str) -> bool:
        """Whether the replica was made of that version. Anybody can write a stamp, so the contents have to be
        the same, which S3 says of both; and what came from here itself is no origin."""
        replica, key = work.source, work.key.key
        assert isinstance(replica, SourceObject)
        origin = bucket.head(key, version_id)
        if origin is None:
            raise SourceGone(Reason.SRC_VERSION_NOT_FOUND, f"there is no version {version_id} any more")
        stamp = Stamp.read(origin.metadata)
        if stamp is not None and stamp.place == place_of(work.destination, key):
            return False
        same = has_same_content(replica, origin)
        if same is None:
            origin = replace(origin, checksum=bucket.checksum(key, version_id))
            same = has_same_content(replica, origin)
        return same is True


def _unknown(change: Change, failure: RetryableError) -> Outcome:
    """Nobody can say now whether it is a replica: the message comes again."""
    return Outcome(
        Result.DEFERRED,
        key=change.key,
        version_id=change.version_id,
        reason=failure.reason,
        detail=failure.detail,
    )


def _syncing(change: Change, configuration: Configuration) -> Mapping[str, Sequence[Rule]]:
    """By destination, the rules that could decide, where any of them asks for such changes. Annotations are
    none of what ``ReplicaModifications`` is about."""
    if not change.follows or change.kind is ChangeKind.ANNOTATED:
        return {}
    return {
        bucket: rules
        for bucket, rules in contenders(configuration, change.key).items()
        if any(rule.replica_modifications for rule in rules)
    }
