"""The slow path: look at both sides and the ledger, take the step ``decide`` names, and look again.

Everything the fast path cannot decide ends here, and every repair that was interrupted begins here. It may
be abandoned anywhere: the key stays unsettled, and the next holder of its lease goes on.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions import letters
from s3replicator.decisions.configuration import Configuration, LateVersions, Rule
from s3replicator.decisions.events import Upload
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    NotEligible,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
    TerminalError,
    reason_told,
)
from s3replicator.decisions.ledger import OrderFacts, Row, Status, recency, source_ref
from s3replicator.decisions.order import decidedly_newer
from s3replicator.decisions.plan import plan_copy
from s3replicator.decisions.removal import Removal, is_locked, refusal
from s3replicator.decisions.settling import (
    WAITING_FOR_ORDER,
    Publish,
    Record,
    Remove,
    Replays,
    Sides,
    Step,
    Wish,
    left_in_hour,
    plan,
    removed_by_others,
    tombstone,
)
from s3replicator.decisions.versions import (
    NULL,
    Kind,
    ListedVersion,
    SourceMarker,
    SourceObject,
    is_null,
)
from s3replicator.usecases.endings import (
    being_prepared,
    failed_row,
    is_being_prepared,
    is_given_up,
    stuck_row,
    under_way,
    unhindered,
    waiting_row,
)
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.leased_key import LeasedKey, adopt, retired
from s3replicator.usecases.refresh import is_news, pay
from s3replicator.usecases.routing import Router
from s3replicator.usecases.uploads import complete_upload, discard_upload
from s3replicator.usecases.work import Work

#: How often one version's visible write is tried before the key waits.
_TRIES: Final = 2

#: Details are for people; the head must stay small.
_DETAIL: Final = 300

#: So many former copies that dead workers have left are removed in an hour at one destination.
MOST_COPIES: Final = 1000

#: Deletes that the breaker holds back are looked at again after this many seconds.
_HALTED: Final = 3600.0


class Unfinished(Exception):
    """The key cannot be settled now; ``failure`` says why. It stays unsettled."""

    def __init__(self, failure: ReplicationError) -> None:
        super().__init__(failure)
        self.failure = failure


class _NeedsUpload(Exception):
    """The next step is a multipart copy, which the large lane has to prepare. ``work`` is what to send
    there, None if it has been sent before."""

    def __init__(self, work: Work | None) -> None:
        super().__init__()
        self.work = work


@dataclass(slots=True)
class Settlement:
    """Settles one leased key. ``works`` are versions to be tried now, by version id.

    Afterwards ``published`` are the versions that had no replica and have got one, ``removed`` those whose
    replica was deleted; ``to_prepare`` is to be sent to the large lane, and ``parked`` to the operators.
    ``spares``: late versions are left out that would have more copied again than an hour allows.
    ``only_orders``: no change, and nobody, asks for it; what waits for an operator is left to wait.
    """

    engine: Engine
    leased: LeasedKey
    configuration: Configuration
    deadline: float
    spares: bool = False
    only_orders: bool = False
    works: dict[str, Work] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    to_prepare: list[Work] = field(default_factory=list)
    parked: list[tuple[Work, Row]] = field(default_factory=list)
    #: The versions of ``to_prepare``.
    awaited: set[str] = field(default_factory=set)
    _sides: Sides | None = None
    #: What has been published on top of these sides since, the newest last, and what has been removed.
    _above: dict[str, ListedVersion] = field(default_factory=dict)
    _removed: set[str] = field(default_factory=set)
    #: What this run has written.
    _made: set[str] = field(default_factory=set)
    #: Whether any replica of the key is in doubt, once that has been looked for.
    _in_doubt: bool | None = None
    #: New copies for which a former one has been removed.
    _replaced: set[str] = field(default_factory=set)
    _asked: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _kept: set[str] = field(default_factory=set)
    _tries: Counter[str] = field(default_factory=Counter)
    #: Why something is not as it should be, and whose rows say so.
    _held_up: ReplicationError | None = None
    _stuck: dict[str, Row] = field(default_factory=dict)
    #: Of which versions something was not removed, and why.
    _disowned: dict[str, str] = field(default_factory=dict)
    #: Something is known here that the ledger does not say yet.
    _unsaid: bool = True

    def run(self) -> None:
        """Raises ``Unfinished``, the key left unsettled, and what reading the lists or the ledger raises."""
        self.leased.unsettle()
        self._ask()
        late = self._late_versions()
        while steps := plan(self.leased.rows(), self.sides(), self._wish(late)):
            for step in steps:
                if not self._take(step):
                    break
        self._pay()
        if self._held_up is not None:
            self._say_why()
            self._say_what_stays()
            raise Unfinished(self._held_up)
        self._finish()

    def sides(self) -> Sides:
        if self._sides is None:
            self._sides = self.leased.sides()
        elif self._above or self._removed:
            listed = [*reversed(self._above.values()), *self._sides.destination]
            left = [one for one in listed if one.version_id not in self._removed]
            self._sides = replace(self._sides, destination=left)
        self._above, self._removed = {}, set()
        return self._sides

    # -- what is asked for

    def ask(self, work: Work) -> None:
        """Try this version now, whatever its row says."""
        self._bring(work)
        self._asked.add(work.version_id)

    def complete(self, work: Work) -> None:
        """An upload has been prepared for a version whose replica has to be copied again."""
        self._bring(work)
        row = self.leased.row(work.version_id)
        if row is not None and row.reason == Reason.OUT_OF_ORDER:
            self._remember(work, row)
            if row.lost:
                self._asked.add(work.version_id)

    def _bring(self, work: Work) -> None:
        """Two messages may tell of one version: the upload that one of them brings counts."""
        self.leased.check(work)
        before = self.works.get(work.version_id)
        if before is not None and work.change.upload is None:
            work = work.with_upload(before.change.upload)
        row = self.leased.row(work.version_id)
        if row is not None and row.upload is not None and self._is_outdone(work, row.upload):
            work = work.with_upload(row.upload)
        self.works[work.version_id] = work

    def _is_outdone(self, work: Work, known: Upload) -> bool:
        """Whether two have prepared an upload: one has been chosen, and the other, which the message brings,
        aborted."""
        upload = work.change.upload
        if upload is None or upload == known:
            return False
        try:
            return self.leased.bucket.parts(work.key.key, upload.upload_id) is None
        except ReplicationError:
            return False

    def _remember(self, work: Work, row: Row) -> None:
        """The upload a message has brought: from now on the message is only a hint."""
        upload = work.change.upload
        if upload is not None and row.upload != upload:
            self._set(work.version_id, replace(row, upload=upload))

    def forget_asked(self) -> None:
        """Others will be asked for: what has been read of these is not needed any more."""
        self._asked.clear()
        self.works.clear()

    def ask_again(self, version_id: str, row: Row) -> None:
        work = self._work(version_id, row)
        still = isinstance(work.failure, NotEligible) and work.failure.reason == row.reason
        if row.status is Status.NOT_ELIGIBLE and still:
            # Whether it would come late does not matter.
            return
        self.ask(work)

    def is_lost(self, row: Row) -> bool:
        """Whether others have removed the replica, recorded or not."""
        return row.lost or (row.live and not self.sides().has(row.replica))

    def forget(self, work: Work) -> str:
        """Somebody deleted this version at the source: if the rules replicate that, its replica goes.
        Returns the version's name."""
        self.leased.check(work)
        rows = self.leased.rows()
        vid = self._deleted_null(rows, work.order) if is_null(work.version_id) else work.version_id
        if not self.sides().lists(vid) and vid != NULL:
            self.purge(vid, rows.get(vid) or tombstone(work.row(Status.PENDING)))
        return vid

    def _deleted_null(self, rows: Mapping[str, Row], deleted: OrderFacts) -> str:
        """The newest before it was deleted. Those older still were overwritten, which deletes nothing."""
        gone = [
            vid
            for vid, row in rows.items()
            if is_null(vid) and not self.sides().lists(vid) and not decidedly_newer(row.order, deleted)
        ]
        return max(gone, key=lambda vid: recency(rows[vid].order), default=NULL)

    def purge(self, version_id: str, row: Row) -> None:
        if self._limit(row) is not None:
            self._set(version_id, replace(row, purged=True))

    def _ask(self) -> None:
        """Whatever is tried has a row, which carries what orders it, and is due should nobody come back."""
        self.leased.rows()
        for vid in sorted(self._asked):
            self.leased.save()
            row, work = self.leased.row(vid), self.works[vid]
            if row is None or not (row.final or row.reason in WAITING_FOR_ORDER):
                self._set(vid, waiting_row(self.engine, work, row, Reason.UNSETTLED))
            elif row.final and self.is_lost(row) and (row.live or row.reason is None):
                wanted_back = replace(removed_by_others(row), reason=Reason.UNSETTLED)
                self._set(vid, under_way(self.engine, wanted_back))
            else:
                self._remember(work, row)

    def _wish(self, late: LateVersions) -> Wish:
        replays = left_in_hour(self.leased.head.spent, self.engine.clock.now()) if self.spares else Replays()
        return Wish(frozenset(self._asked), late, frozenset(self._failed), frozenset(self._kept), replays)

    def _late_versions(self) -> LateVersions:
        asked = (self.works[vid].rule for vid in self._asked)
        rule = next((rule for rule in asked if rule), next(iter(self._contending()), None))
        return rule.late_versions if rule else LateVersions.REPLAY

    def _contending(self) -> Sequence[Rule]:
        return self.leased.contending(self.configuration)

    def _limit(self, row: Row) -> int | None:
        """How many version deletes an hour the version's rule allows; None if it replicates none."""
        rules = [rule for rule in self._contending() if rule.id == row.rule] or self._contending()
        return next((rule.version_deletes for rule in rules if rule.version_deletes is not None), None)

    # -- steps

    def _take(self, step: Step) -> bool:
        """Whether it has come to what it is there for: then what was planned to follow it still holds."""
        match step:
            case Record(rows):
                self._record(rows)
                return False
            case Publish(version_id):
                return self._publish(version_id)
            case Remove(version_id, replica):
                self._check_time()
                return self._remove(version_id, replica)

    def _set(self, version_id: str, row: Row) -> None:
        self.leased.set_row(version_id, row)
        self._unsaid = True

    def _record(self, rows: Mapping[str, Row]) -> None:
        """Takes effect with the next write; nothing is lost if there is none."""
        for vid, row in rows.items():
            self.leased.save()
            # What was called gone is open again: should this be abandoned, somebody comes back.
            is_reopened = not row.final and row.due is None
            self._set(vid, under_way(self.engine, row) if is_reopened else row)

    def _publish(self, version_id: str) -> bool:
        self._check_time()
        row = self.leased.row(version_id)
        assert row is not None
        if row.live and row.full:
            self._give_up(self._as_told(version_id, row), row, _FULL)
            return False
        work, had_none, order = self._work(version_id, row), not row.live, row.order
        try:
            row = self._send(work)
        except _NeedsUpload as needed:
            self._have_prepared(work, needed.work)
        except SourceGone as failure:
            # The list shows it no longer, or will soon.
            self.works.pop(version_id, None)
            self._look_again(version_id, failure)
        except AmbiguousWrite as failure:
            self._find_out(work, failure, had_none=had_none)
        except ReplicationError as failure:
            if failure.reason is Reason.LEDGER_UNAVAILABLE:
                raise
            may_copy = row.live and row.final and row.copyable and work.may_copy_replica
            if may_copy and not isinstance(failure, RetryableError):
                self.works[version_id] = replace(work, failure=failure)
            else:
                self._give_up(work, row, failure)
        else:
            self._unsaid = True
            if had_none and row.final:
                self.published.add(version_id)
            if not had_none:
                self.leased.spend(work.size or 0)
            return self._published(work, row) and row.order == order
        return False

    def _published(self, work: Work, row: Row) -> bool:
        """Whether it lies on top, as it should be."""
        if row.status is Status.FAILED:
            self._failed.add(work.version_id)
            self._park(work, row)
        assert row.replica is not None
        self._made.add(row.replica)
        if work.large:
            # Where it came to lie, only the list can tell.
            self._sides = None
            return False
        made = ListedVersion(row.replica, row.kind, self.engine.clock.now(), size=work.size or 0)
        self._above[row.replica] = made
        if not work.change.follows:
            # It is not needed any more, and thousands of them take their room.
            self.works.pop(work.version_id, None)
        return row.status is Status.COMPLETED

    def _find_out(self, work: Work, failure: AmbiguousWrite, *, had_none: bool) -> None:
        found = self.leased.resolve()
        if found is None:
            self._look_again(work.version_id, failure)
            self.engine.clock.sleep(self.engine.dice.random())
            return
        adopt(self.leased, work, found)
        if had_none:
            self.published.add(work.version_id)
        self._sides = None
        self._in_doubt = None

    def _check_time(self) -> None:
        try:
            self.engine.check_time(self.deadline)
        except RetryableError as late:
            raise Unfinished(late) from None

    def _send(self, work: Work) -> Row:
        if work.failure is not None:
            raise work.failure
        return self._complete(work) if work.large else self.leased.publish(work)

    def _look_again(self, version_id: str, failure: ReplicationError) -> None:
        self._sides = None
        self._tries[version_id] += 1
        if self._tries[version_id] < _TRIES:
            return
        retry = RetryableError(failure.reason, failure.detail, failure.request_id)
        row = self.leased.row(version_id)
        assert row is not None
        self._give_up(self._work(version_id, row), row, retry)

    def _give_up(self, work: Work, row: Row, failure: ReplicationError) -> None:
        """The version is left out for now. One that has a replica in the wrong place, and will not be refused
        for long, is waited for: what should stand above it would have to be copied twice."""
        self._failed.add(work.version_id)
        if row.lost and failure.reason == Reason.RULE_GONE:
            # Who wanted the replica back has since had the rules put it elsewhere.
            self._set(work.version_id, removed_by_others(row))
            return
        if row.live and not row.copyable and isinstance(failure, NotEligible):
            # It may be anybody's, and what it should be cannot be copied: nothing stands for the version.
            row = retired(row)
        elif row.status is Status.COMPLETED:
            self._hold_up(work, row, failure)
            if row.live and isinstance(failure, RetryableError):
                raise Unfinished(failure)
            return
        if row.status is Status.SUPERSEDED and isinstance(failure, NotEligible):
            return
        failed = failed_row(self.engine, work, row, failure)
        if failed.status is not Status.PENDING:
            discard_upload(self.engine, work, row)
        self._set(work.version_id, failed)
        if failed.status is Status.FAILED:
            self._park(work, failed)

    def _hold_up(self, work: Work, row: Row, failure: ReplicationError) -> None:
        stuck = stuck_row(self.engine, row, failure)
        self._set(work.version_id, stuck)
        self._held_up = failure
        self._stuck[work.version_id] = stuck
        # Once is enough: it is looked at again with every change of the key.
        is_new = row.due is not None or row.reason != failure.reason
        if stuck.due is None and is_new:
            self._park(work, stuck)

    def _park(self, work: Work, row: Row) -> None:
        """By whoever had the key settled."""
        self.leased.untold.add(work.version_id)
        self.parked.append((work, row))

    def _say_why(self) -> None:
        """In the rows, whatever else has become of them since."""
        for vid, stuck in self._stuck.items():
            row = self.leased.row(vid)
            if row is not None and row.reason is None:
                told = replace(row, reason=stuck.reason, detail=stuck.detail, due=stuck.due)
                self._set(vid, replace(told, attempts=stuck.attempts))

    def _have_prepared(self, work: Work, needed: Work | None) -> None:
        """What has no replica yet is left out until its upload is ready; what has one is waited for."""
        self._failed.add(work.version_id)
        row = self.leased.row(work.version_id)
        assert row is not None
        if needed is not None:
            self.to_prepare.append(needed)
            self.awaited.add(needed.version_id)
            row = being_prepared(self.engine, row)
            self._set(work.version_id, row)
        if row.final:
            self._held_up = RetryableError(Reason.OUT_OF_ORDER, "an upload is being prepared")
            if row.live:
                raise Unfinished(self._held_up)

    def _remove(self, version_id: str, replica: str) -> bool:
        row = self.leased.row(version_id)
        assert row is not None
        removal = self._removal(version_id, row, replica)
        try:
            doubt = self._doubt(removal)
            if doubt is not None:
                return self._disown(version_id, row, replica, doubt)
        except ReplicationError as failure:
            return self._keep(version_id, row, replica, failure)
        if not self._may_delete(version_id, removal):
            return False
        self.leased.save()
        if self._unsaid:
            # What takes its place must be known before it goes.
            self.leased.write()
            self._unsaid = False
        try:
            self.leased.bucket.remove(self.leased.key.key, replica)
        except ReplicationError as failure:
            return self._keep(version_id, row, replica, failure)
        self._set(version_id, _without(row, replica))
        self._removed.add(replica)
        if replica == row.replica:
            self.removed.add(version_id)
        return True

    def _keep(self, version_id: str, row: Row, replica: str, failure: ReplicationError) -> bool:
        """It could not be removed, or not be looked at."""
        if failure.reason is Reason.DST_OBJECT_LOCKED:
            blocked = replace(_without(row, replica), blocked=(*row.blocked, replica))
            self._set(version_id, replace(blocked, reason=failure.reason, detail=failure.detail))
        else:
            self._hold_up(self._as_told(version_id, row), row, failure)
            self._kept.add(replica)
        return False

    def _removal(self, version_id: str, row: Row, replica: str) -> Removal:
        key = self.leased.key
        return Removal(
            source_ref(self.leased.head.source, version_id),
            row,
            replica,
            bucket=key.destination,
            key=key.key,
            listed=self._listed(replica),
            newer=self._listed(row.replica),
            just_made=row.replica in self._made,
            in_doubt=self._is_any_in_doubt(),
        )

    def _doubt(self, removal: Removal) -> str | None:
        """Why it may be somebody else's. Raises what looking at it does, and if it is locked: then nothing is
        asked for, and nothing counted."""
        newer = removal.row.replica
        found = self._look_at(removal.replica) if removal.is_object else None
        replacing = self._look_at(newer) if newer is not None and removal.needs_newer(found) else None
        doubt = removal.doubt(found, replacing)
        if doubt is None and found is not None and is_locked(found.lock, self.engine.clock.now()):
            raise TerminalError(Reason.DST_OBJECT_LOCKED, "a retention or a legal hold keeps the version")
        return doubt

    def _look_at(self, replica: str) -> SourceObject:
        """What is listed: if it is said not to be there, it has been removed a moment ago, or will be found
        the next time. Neither proves anything."""
        found = self.leased.bucket.head(self.leased.key.key, replica)
        if found is None:
            self._sides = None
            raise RetryableError(Reason.UNAVAILABLE, f"{replica} is listed at the destination, and not found")
        return found

    def _listed(self, replica: str | None) -> ListedVersion | None:
        """As the destination lists it, without listing it anew for each step."""
        return self._above.get(replica or "") or (self._sides.find(replica) if self._sides else None)

    def _is_any_in_doubt(self) -> bool:
        """Looked for once in a run, and again when something has been adopted."""
        if self._in_doubt is None:
            self._in_doubt = any(row.doubt for row in self.leased.rows().values())
        return self._in_doubt

    def _disown(self, version_id: str, row: Row, replica: str, doubt: str) -> bool:
        """It stays, whatever the ledger says: another version of ours is put above it where it matters."""
        self._disowned[version_id] = refusal(replica, doubt)[:_DETAIL]
        self._set(version_id, _without(row, replica).with_stray(replica))
        return False

    def _may_delete(self, version_id: str, removal: Removal) -> bool:
        """Every delete by id is counted, but for one of a former copy for each new one: without that no late
        version could be put in its place."""
        row, limit, now = removal.row, self._limit(removal.row), self.engine.clock.now()
        destination = self.leased.key.destination
        if removal.replaced:
            if row.replica is not None and row.replica not in self._replaced:
                self._replaced.add(row.replica)
                return True
            if self.engine.ledger.allow_copy_delete(destination, MOST_COPIES, now):
                return True
            return self._halt(version_id, removal, _FORMER_COPIES)
        if limit is None:
            # The rule has been changed meanwhile.
            self._kept.add(removal.replica)
            self._set(version_id, replace(row, purged=False))
            return False
        if self.engine.ledger.allow_version_delete(destination, limit, now):
            return True
        return self._halt(version_id, removal, _HALT)

    def _halt(self, version_id: str, removal: Removal, why: ReplicationError) -> bool:
        self._kept.add(removal.replica)
        self._held_up = why
        due = self.engine.clock.now() + _HALTED
        self._set(version_id, replace(removal.row, reason=why.reason, detail=why.detail, due=due))
        return False

    def _pay(self) -> None:
        """What replicas are owed: the order of the key does not depend on it. What there is no time for is
        left to the sweep."""
        for vid, row in self.leased.rows().items():
            if not (row.owed and row.live and row.final):
                continue
            try:
                self.engine.check_time(self.deadline)
            except RetryableError as late:
                if row.reason is None:
                    self._set(vid, stuck_row(self.engine, row, late))
                continue
            fresh = vid in self.published
            failure = pay(self.engine, self.leased, vid, self.configuration, self.deadline, fresh=fresh)
            now, work = self.leased.row(vid), self.works.get(vid)
            assert now is not None
            if failure is not None and is_news(work.change.kind if work else None, row, now):
                self._park(self._as_told(vid, now), now)

    def _say_what_stays(self) -> None:
        """Whatever has become of the version since: it may have been copied again."""
        for vid, detail in self._disowned.items():
            row = self.leased.row(vid)
            if row is not None and row.reason is None:
                self._set(vid, replace(row, reason=Reason.NOT_OURS, detail=detail))

    def _finish(self) -> None:
        for vid, row in self.leased.rows().items():
            if not row.final:
                continue
            if (row.due is not None or row.attempts) and not (row.owed and row.live):
                self._set(vid, replace(unhindered(row), upload=None))
            elif row.upload is not None:
                self._set(vid, replace(row, upload=None))
        self._say_what_stays()
        head = self.leased.head.with_top_of(self.leased.rows())
        self.leased.head = replace(head, unsettled=False)

    # -- what a version is made of

    def _work(self, version_id: str, row: Row) -> Work:
        """What has been read of the version, or is read now."""
        work = self.works.get(version_id)
        if work is None:
            change = self._as_told(version_id, row).change
            works = Router.of(self.engine).route(change, self.configuration)
            here = (work for work in works if work.key == self.leased.key)
            work = next(here, None) or self._unwanted(version_id, row, works)
        is_refused = work.failure is not None and not isinstance(work.failure, RetryableError)
        if is_refused and row.live and row.final and row.copyable:
            work = self._from_replica(work, row)
        self.works[version_id] = work
        return work

    def _unwanted(self, version_id: str, row: Row, works: Sequence[Work]) -> Work:
        """The rules put the version elsewhere by now, or nowhere; or it could not be looked at."""
        unread = next((work.failure for work in works if work.failure is not None), None)
        gone = NotEligible(Reason.RULE_GONE, "no enabled rule selects this version for this place any more")
        return replace(self._as_told(version_id, row), failure=unread or gone)

    def _as_told(self, version_id: str, row: Row) -> Work:
        """The version as the ledger knows it."""
        key = self.leased.key
        change = letters.change_of(self.leased.head.source, version_id, row, key)
        return Work(change, key.destination, None)

    def _from_replica(self, work: Work, row: Row) -> Work:
        """The source version cannot be copied any more: our own replica can."""
        if row.kind is Kind.MARKER:
            return replace(work, source=SourceMarker(work.change.ref, row.order.last_modified), failure=None)
        assert row.replica is not None
        try:
            replica = self.leased.bucket.head(work.key.key, row.replica)
        except ReplicationError as failure:
            return replace(work, failure=failure, again=row)
        if replica is None:
            self._sides = None
            lost = RetryableError(Reason.UNAVAILABLE, "the replica to copy again is gone")
            return replace(work, failure=lost)
        change = replace(work.change, replica=row.replica)
        return replace(work, change=change, source=replica, failure=None, again=row)

    # -- uploads

    def _complete(self, work: Work) -> Row:
        """Publish a large version from the upload that was prepared for it. Raises ``_NeedsUpload``."""
        assert isinstance(work.source, SourceObject)
        row = self.leased.row(work.version_id)
        upload = work.change.upload or (row.upload if row else None)
        parts = self.leased.bucket.parts(work.key.key, upload.upload_id) if upload else None
        if upload is None or parts is None or len(parts) < plan_copy(work.source.size).part_count:
            assert row is not None
            is_dead = upload is not None and parts is None
            if (upload is None or (is_dead and row.upload is None)) and is_being_prepared(self.engine, row):
                raise _NeedsUpload(None)
            if is_dead and row.upload == upload:
                # Somebody has aborted it: what a message brings may be older than that.
                self._set(work.version_id, replace(row, upload=None))
            if self.only_orders and is_given_up(row):
                # Else what has been refused would be asked for again at once, and for ever.
                raise TerminalError(reason_told(row.reason), row.detail or "")
            again = replace(work.change, prepare=True, upload=upload if parts else None)
            raise _NeedsUpload(replace(work, change=again))
        self.leased.announce(work, upload)
        with self.leased.sending():
            published = complete_upload(self.leased.bucket, work, upload, parts)
        return self.leased.account(work, upload.nonce, published, tagged=upload.tagged)


_HALT: Final = RetryableError(
    Reason.VERSION_DELETES_HALTED,
    "more versions were deleted in an hour than the rule allows: s3rctl breaker shows it, and closes it",
)


_FORMER_COPIES: Final = RetryableError(
    Reason.VERSION_DELETES_HALTED,
    f"{MOST_COPIES} former copies have been removed at the destination in this hour: the rest follows",
)


_FULL: Final = TerminalError(
    Reason.TOO_MANY_COPIES,
    "so many former copies of this version cannot be removed that it is not copied again",
)


def _without(row: Row, replica: str) -> Row:
    """The row, one of its ids gone from the destination."""
    if replica == row.replica:
        return tombstone(row)
    return replace(row, left=tuple(one for one in row.left if one != replica))
