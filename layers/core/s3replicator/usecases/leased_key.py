"""A key under our lease: what the head says, and the writes that change it.

While the lease is ours nobody else writes the head, so the value here is the truth as soon as it is
written. Every write is conditional on the lease; every visible write at the destination is announced by an
intent before, and accounted for after.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import inf
from typing import Final

from s3replicator.decisions.configuration import Configuration, Rule
from s3replicator.decisions.events import ChangeKind, Upload
from s3replicator.decisions.failures import (
    AmbiguousWrite,
    PassedOver,
    Reason,
    ReplicationError,
    RetryableError,
    SourceGone,
    blamed,
)
from s3replicator.decisions.ledger import (
    Head,
    Intent,
    Lease,
    LedgerKey,
    OrderFacts,
    Row,
    Spent,
    Status,
    hour_of,
    source_ref,
)
from s3replicator.decisions.order import Place, newer_by_sequencer, place_by_list, place_by_sequencer
from s3replicator.decisions.replica import copy_request, is_disproven, is_proven, matches
from s3replicator.decisions.rules import contenders_at
from s3replicator.decisions.settling import Sides
from s3replicator.decisions.stamp import Stamp, place_of
from s3replicator.decisions.versions import Kind, ListedVersion, Published, SourceObject
from s3replicator.ports import Conflict, DestinationBucket, Granted, LeaseAnswer
from s3replicator.usecases.absence import judged
from s3replicator.usecases.endings import under_way
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.source_list import SourceList
from s3replicator.usecases.uploads import abort_upload
from s3replicator.usecases.work import Work

#: How far our clock and S3's are taken to be apart where nothing but time tells whose a version is, in
#: seconds; S3 tells whole seconds only, hence one more.
SKEW: Final = 6.0

#: How far they may be apart at all: S3 refuses requests of a clock that is further off.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList (RequestTimeTooSkewed)
_MOST_SKEW: Final = 901.0

#: So many rows are changed before they are written, at most.
_MANY: Final = 25


class NotOurs(Exception):
    """A head, or a work, is of another source key than the lease that was asked for."""


class LeasedKey:
    """A held lease on behalf of one key at the source, ``source``: there is none on the head of another.

    ``announced`` is our own intent, while the head carries it and nothing has been published for it.
    """

    def __init__(
        self,
        engine: Engine,
        key: LedgerKey,
        source: str,
        token: str,
        head: Head,
        *,
        announced: Intent | None,
        deadline: float = inf,
        above: str | None = None,
    ) -> None:
        """``deadline`` is when its worker's time is up; ``above`` as of a ``Work``."""
        if not head.is_of(source):
            raise NotOurs(f"{key} belongs to {head.source}, not to {source}")
        self._engine = engine
        self.key = key
        self._token = token
        self._deadline = deadline
        self._have(head)
        ours = announced and head.intent and announced.nonce == head.intent.nonce
        self._announced = head.intent if ours else None
        self._fetched: dict[str, Row | None] = {}
        self._fetched_all = False
        #: Versions of which an operator has still to be told: see ``park_recorded``.
        self.untold: set[str] = set()
        #: Versions whose conflicts are over as soon as the ledger says what has become of them.
        self._let_in: set[str] = set()
        #: What orders the live replicas whose rows have spilled, by the seconds of their versions: those that
        #: have under this lease; and the others, once they have been read.
        self._seconds: dict[int, dict[str, OrderFacts]] = defaultdict(dict)
        self._seconds_read = False
        #: No row of a later second had spilled before.
        self._known_since = head.top[1].second if head.top else inf if head.spilled else -inf
        self._above = above
        self._source_list = self._nothing_listed()

    def check(self, work: Work) -> None:
        """Raises ``NotOurs``: one head never holds the rows of two source keys."""
        if work.key != self.key or not self.head.is_of(work.source_key):
            raise NotOurs(f"{work.source_key} at {work.key} under the lease of {self.head.source}")

    def _have(self, head: Head) -> None:
        """The rows are this value's own: one of thousands can be changed without copying the others."""
        self._rows = dict(head.rows)
        self.head = replace(head, rows=self._rows)

    def in_time(self) -> None:
        """Raises ``RetryableError`` when it is too late for another request."""
        self._engine.check_time(self._deadline)

    @property
    def bucket(self) -> DestinationBucket:
        return self._engine.destination(self.key.destination)

    def contending(self, configuration: Configuration) -> Sequence[Rule]:
        """The rules that could select a version of the key for this place, the strongest first."""
        return contenders_at(configuration, source_ref(self.head.source, "").key, self.key)

    # -- rows

    def row(self, version_id: str) -> Row | None:
        """The row of a version, wherever it is; one read of the ledger at most."""
        row = self.head.rows.get(version_id)
        if row is not None or not self.head.spilled:
            return row
        if version_id not in self._fetched and not self._fetched_all:
            self._fetched[version_id] = self._engine.ledger.row(self.key, self.head.source, version_id)
        return self._fetched.get(version_id)

    def rows(self) -> dict[str, Row]:
        """Every row of the key; one query at most. Raises ``RetryableError`` if there is no time for it."""
        if self.head.spilled and not self._fetched_all:
            spilled = self._engine.ledger.spilled(self.key, self.head.source, self.in_time)
            self._fetched = {**spilled, **self._fetched}
            self._fetched_all = True
        spilled = {vid: row for vid, row in self._fetched.items() if row is not None}
        return {**spilled, **self.head.rows}

    def set_row(self, version_id: str, row: Row) -> Row:
        """The row as it is recorded: what has been heard of the version is owed to it. An upload that it
        remembers no longer is aborted, unless its replica is made of that."""
        self._give_up_upload(version_id, row)
        if version_id in self.head.heard:
            self._have(self.head.with_row(version_id, row))
        else:
            self._rows[version_id] = row
        return self._rows[version_id]

    def _give_up_upload(self, version_id: str, row: Row) -> None:
        before = self._rows.get(version_id) or self._fetched.get(version_id)
        upload = before.upload if before is not None else None
        if upload is not None and upload != row.upload and upload.nonce != row.nonce:
            abort_upload(self._engine, self.key, upload)

    def save(self) -> None:
        """Write what has changed, if that is much. Raises ``RetryableError`` if there is no time for it: the
        next one goes on from what has been written."""
        if len(self._rows) > _MANY:
            self.in_time()
            self.write()

    def let_in(self) -> None:
        """Versions that were kept out while the place was another source key's get rows, which are due."""
        for version_id, row in self._engine.ledger.conflicts(self.key, self.head.source).items():
            if self.row(version_id) is None:
                due = self._engine.clock.now()
                self.set_row(version_id, replace(row, status=Status.PENDING, attempts=0, due=due))
            self._let_in.add(version_id)

    def hear(self, work: Work) -> None:
        """Of a change to follow: from now on the row says so, and its message need not. Without a row the
        head does, if a rule selects the version: its creation event may come later, or a job."""
        self.check(work)
        kind, version_id = work.change.kind, work.version_id
        if work.change.kept_out:
            self._let_in.add(version_id)
        if not work.change.follows:
            return
        row = self.row(version_id)
        if row is None:
            if self._as_confirmed(work).may_come:
                self.head = self.head.hearing(version_id, kind)
        elif kind not in row.owed:
            self.set_row(version_id, row.owing(kind))

    def _as_confirmed(self, work: Work) -> Work:
        return work if work.failure is None else replace(work, failure=self.confirmed(work, work.failure))

    def creates(self, work: Work) -> bool:
        """Whether a work may make a version. A change that follows may not, unless the version waits already,
        or its rule asks for tags, and wants what is given them later."""
        if not work.change.follows:
            return True
        row = self.row(work.version_id)
        if row is not None:
            return row.final or not isinstance(work.failure, PassedOver)
        if not work.gains_tags or work.failure is not None:
            return False
        newest = next(iter(self._source_list.with_newest({work.version_id})), None)
        return newest is not None and newest.version_id == work.version_id

    def place(self, work: Work) -> Place:
        """Where the version stands among the live replicas. Lists the source only if it must."""
        place = self._place_among(work, self.head.live())
        if place is Place.LATE or self._is_above_spilled(work.order):
            return place
        return self._place_among(work, self._rivals(work.order))

    def _is_above_spilled(self, order: OrderFacts) -> bool:
        """Whether a version that is above ``top`` is above every replica whose row has spilled."""
        top = self.head.top
        if top is None or order.second > top[1].second:
            return True
        # Within a second times tell nothing, so ``top`` need not be the newest that has spilled.
        is_ranked = self.head.top_ranks and order.second == top[1].second
        return is_ranked and bool(newer_by_sequencer(order, top[1]))

    def _rivals(self, order: OrderFacts) -> dict[str, OrderFacts]:
        """The live replicas, without those of earlier seconds than the version and ``top`` are of."""
        is_known = self.head.top is not None and self._known_since < order.second
        if not (self._seconds_read or is_known):
            self._read_seconds()
        if self.head.top is not None and order.second < self.head.top[1].second:
            return {vid: row.order for vid, row in self.rows().items() if row.live}
        return {**self._seconds[order.second], **self.head.live()}

    def _read_seconds(self) -> None:
        self.head = self.head.with_top_of(self.rows())
        for vid, row in self.rows().items():
            self._note(vid, row)
        self._seconds_read = True

    def _note(self, version_id: str, row: Row) -> None:
        if row.live:
            self._seconds[row.order.second][version_id] = row.order

    def _place_among(self, work: Work, live: dict[str, OrderFacts]) -> Place:
        live.pop(work.version_id, None)
        place = place_by_sequencer(work.order, live)
        if place is not Place.UNKNOWN:
            return place
        listed = self._source_list.among({work.version_id, *live})
        return place_by_list(work.version_id, work.order, live, listed)

    def _nothing_listed(self) -> SourceList:
        ref = source_ref(self.head.source, "")

        def listed(above: str | None, ids: Collection[str]) -> Sequence[ListedVersion]:
            return self._engine.source.versions(ref.bucket, ref.key, self.in_time, ids, above)

        return SourceList(listed, self._above)

    def sides(self) -> Sides:
        """What both sides list now. Raises ``RetryableError`` if there is no time for it."""
        ref = source_ref(self.head.source, "")
        source = self._engine.source.versions(ref.bucket, ref.key, self.in_time)
        return Sides(source, self.bucket.versions(self.key.key, self.in_time))

    def confirmed(self, work: Work, failure: ReplicationError) -> ReplicationError:
        """Why a work failed: its version is gone only if the source's list says so, too; see ``absence``.
        What was answered before the lease was taken may be judged by a list that was made under it."""
        if not isinstance(failure, SourceGone):
            return failure
        if failure is not work.failure:
            self._source_list = self._nothing_listed()
        try:
            return judged(self._source_list.with_newest({work.version_id}), work.version_id, failure)
        except ReplicationError as unread:
            return unread

    # -- writes of the head

    @property
    def fit(self) -> bool:
        """True if nothing of anybody else's is in doubt, and no earlier repair is unfinished."""
        return self.head.intent == self._announced and not self.head.unsettled

    @property
    def in_doubt(self) -> bool:
        """True if an open intent has to be resolved: somebody's write may or may not have happened."""
        return self.head.intent is not None and self.head.intent != self._announced

    def announce(self, work: Work, upload: Upload | None = None) -> Intent:
        """Say what is about to be published; one write, unless the lease said so already. The nonce of an
        ``upload`` has been in its stamp since it was created."""
        self.check(work)
        assert not self.in_doubt, "an intent is never overwritten before it is resolved"
        intent = self._announced
        if intent is None or intent.version_id != work.version_id or upload is not None:
            # Whether the next write takes effect or not: what was announced before is not, any more.
            self.withdraw()
            nonce, at = self._engine.dice.token(), self._engine.clock.now()
            intent = work.intent(upload.nonce, upload.started) if upload else work.intent(nonce, at)
            self._put(replace(self.head, intent=intent))
            self._announced = intent
        return intent

    def unsettle(self) -> None:
        """From here on a crash must lead to settling; with the next write."""
        self.head = replace(self.head, unsettled=True)

    def spend(self, size: int) -> None:
        """A replica of so many bytes has been copied again; with the next write."""
        now = self._engine.clock.now()
        spent = (self.head.spent or Spent(hour_of(now))).and_one_more(size, now)
        self.head = replace(self.head, spent=spent)

    def withdraw(self) -> None:
        """Take back our own intent, for a write that certainly did not happen; with the next write."""
        if self._announced is not None:
            self._announced = None
            self.head = replace(self.head, intent=None)

    def write(self) -> None:
        self._put(self.head)

    def release(self) -> None:
        """Record what has changed and give the lease up, in one write."""
        self._put(replace(self.head, lease=None))
        # One that cannot be closed stays open, for an operator to retry.
        with suppress(RetryableError):
            for version_id in self._let_in:
                self._engine.ledger.close_conflict(self.key, self.head.source, version_id)

    def _put(self, head: Head) -> None:
        small, out = head.spill()
        out |= self._outdated(small)
        self._fetched |= out
        if out:
            # First the rows, then the head without them: while both exist, the head's own copy counts.
            self._engine.ledger.put_rows(self.key, head.source, head.generation, self._until_told(out))
        self._engine.ledger.write(self.key, self._token, replace(small, rows=self._until_told(small.rows)))
        for vid, row in out.items():
            self._note(vid, row)
        self._have(small)

    def _until_told(self, rows: Mapping[str, Row]) -> Mapping[str, Row]:
        """As they are written: due, since whoever is to tell an operator of them may die before."""
        if not self.untold:
            return rows
        return {
            vid: under_way(self._engine, row) if vid in self.untold and row.open and row.due is None else row
            for vid, row in rows.items()
        }

    def _outdated(self, head: Head) -> dict[str, Row]:
        """Rows of the head whose open copies, spilled before, would keep them in the index of open work."""
        return {
            version_id: row
            for version_id, row in head.rows.items()
            if (spilled := self._fetched.get(version_id)) is not None and spilled.open and spilled != row
        }

    # -- visible writes

    def publish(self, work: Work) -> Row:
        """Announce, and copy the version or write the marker; the row of the new replica takes effect with
        the next write. Raises the failures of ``DestinationBucket.copy``; after ``AmbiguousWrite`` the
        intent stays open until it is resolved, after any other it is withdrawn.
        """
        intent = self.announce(work)
        with self.sending():
            published = self._send(work, intent.nonce)
        return self.account(work, intent.nonce, published)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around a visible write for our intent: whatever goes wrong from here on, the intent stays open,
        unless the write has been refused."""
        intent = self._announced
        self._announced = None
        try:
            yield
        except AmbiguousWrite:
            raise
        except ReplicationError:
            self._announced = intent
            self.withdraw()
            raise

    def _send(self, work: Work, nonce: str) -> Published:
        if not isinstance(work.source, SourceObject):
            return self.bucket.put_marker(work.key.key)
        again = work.again is not None
        request = copy_request(work.source, work.rule, work.stamp(nonce), again=again)
        try:
            return self.bucket.copy(work.source.ref, work.key.key, request)
        except ReplicationError as failure:
            raise blamed(failure, work.source.kms_key) from failure

    def account(self, work: Work, nonce: str, published: Published, *, tagged: bool = True) -> Row:
        """The row of a replica that has just been made, verified, ``tagged`` or to be. Takes effect with the
        next write."""
        old = self.row(work.version_id)
        row = replace(
            retired(work.row(Status.COMPLETED, old)).copied_anew(by_parts=work.large, tagged=tagged),
            replica=published.version_id,
            nonce=nonce,
            doubt=False,
            proven=False,
            completed=self._engine.clock.now(),
        )
        row = self.set_row(work.version_id, self._verified(row, work, published))
        self.head = replace(self.head, intent=None)
        return row

    def is_on_top(self, replica: str | None) -> bool:
        """Whether the destination lists this replica above every other one we know of."""
        listed = self.bucket.versions(self.key.key, self.in_time, [replica] if replica else ())
        if listed and listed[0].version_id == replica:
            return True
        known = self._known_ids()
        first = next((v.version_id for v in listed if v.version_id in known), None)
        return first == replica

    def _verified(self, row: Row, work: Work, published: Published) -> Row:
        """Verified from the answer where it can be compared, else by one look at the replica."""
        if not isinstance(work.source, SourceObject) or is_proven(work.source, published):
            return row
        reason = Reason.VERIFICATION_FAILED
        if is_disproven(work.source, published):
            return replace(row, status=Status.FAILED, reason=reason, detail="the checksums differ")
        try:
            replica = self.bucket.head(work.key.key, published.version_id)
        except ReplicationError as failure:
            # S3 has confirmed the copy, so it stands; that nobody could look is said in the row.
            return replace(row, reason=reason, detail=failure.detail)
        if replica is not None and matches(work.source, replica):
            return row
        found = f"{replica.size} bytes" if replica else "no such version"
        detail = f"the replica should have {work.source.size} bytes; found {found}"
        return replace(row, status=Status.FAILED, reason=reason, detail=detail)

    def resolve(self) -> Row | None:
        """Find out what became of the open intent: adopt its replica, or know that there is none.

        Whoever resolves must also settle, so the key is marked unsettled. Takes effect with the next
        write; returns the row of the adopted replica.
        """
        intent = self.head.intent
        assert intent is not None
        adopted = self._find(intent)
        row = None
        if adopted is not None:
            replica, doubt = adopted
            row = self.set_row(intent.version_id, self._adopted_row(intent, replica, doubt=doubt))
        self._announced = None
        self.head = replace(self.head, intent=None, unsettled=True)
        return row

    def _adopted_row(self, intent: Intent, replica: ListedVersion, *, doubt: bool) -> Row:
        old = self.row(intent.version_id)
        fresh = old or Row(kind=intent.kind, status=Status.PENDING, order=intent.order)
        return replace(
            retired(fresh).copied_anew(by_parts=replica.multipart, tagged=_is_tagged(old, intent)),
            status=Status.COMPLETED,
            # From when the source was read; an event that came later knows less.
            order=intent.order,
            # What was announced had been decided.
            origin=fresh.origin if fresh.origin is not None and fresh.origin.is_decision else None,
            replica=replica.version_id,
            nonce=intent.nonce,
            doubt=doubt,
            proven=doubt and intent.unstamped_etag is not None,
            lost=False,
            reason=None,
            detail=None,
            due=None,
            attempts=0,
            upload=None,
            completed=self._engine.clock.now(),
        )

    def _find(self, intent: Intent) -> tuple[ListedVersion, bool] | None:
        """The version the intent made, and whether that is in doubt."""
        accounted = self.row(intent.version_id)
        if accounted is not None and accounted.nonce == intent.nonce:
            return None
        listed = self.bucket.versions(self.key.key, self.in_time)
        known = self._known_ids()
        unknown = [
            version
            for version in reversed(listed)
            if version.version_id not in known and version.kind is intent.kind
        ]
        if intent.kind is Kind.OBJECT and intent.unstamped_size is None:
            return self._find_stamped(intent, unknown)
        # Nothing in the version says whose it is: what came after all that we know of may be ours.
        above = _above(listed, known)
        for version in unknown:
            is_younger = version.last_modified >= intent.at - SKEW
            if version.version_id in above and is_younger and self._may_be_of(version, intent):
                return version, True
        return None

    def _find_stamped(
        self, intent: Intent, unknown: Sequence[ListedVersion]
    ) -> tuple[ListedVersion, bool] | None:
        """The oldest that bears the nonce: a user's copy of it bears it, too. The nonce is proof enough;
        times only spare a look at what cannot bear it."""
        since = intent.at - _MOST_SKEW
        for version in unknown:
            if version.last_modified < since:
                continue
            stamp = self._stamp_of(version)
            if stamp and (stamp.version_id, stamp.nonce) == (intent.version_id, intent.nonce):
                return version, False
        return None

    def _may_be_of(self, version: ListedVersion, intent: Intent) -> bool:
        """Whether a version can be what the intent made without a stamp: it has the size and the ETag, as far
        as those are known, and is no other replica of this key, or a copy of one."""
        if version.kind is Kind.MARKER:
            return True
        size, etag = intent.unstamped_size, intent.unstamped_etag
        if size != version.size or etag not in (None, version.etag):
            return False
        stamp = self._stamp_of(version)
        return stamp is None or stamp.place != place_of(self.key.destination, self.key.key)

    def _stamp_of(self, version: ListedVersion) -> Stamp | None:
        replica = self.bucket.head(self.key.key, version.version_id)
        return Stamp.read(replica.metadata) if replica else None

    def _known_ids(self) -> set[str]:
        known = {version_id for row in self.rows().values() for version_id in row.ids()}
        return known | set(self.head.stray)


def _is_tagged(row: Row | None, intent: Intent) -> bool:
    """Whether the upload that the intent was for is known to have been given all tags."""
    upload = row.upload if row else None
    return upload is not None and upload.nonce == intent.nonce and upload.tagged


def retired(row: Row) -> Row:
    """The row, its replica about to be replaced: ours is to be removed, a doubtful one never is."""
    if row.replica is None:
        return row
    if row.doubt:
        return replace(row.with_stray(row.replica), replica=None)
    return replace(row, replica=None, left=(*row.left, row.replica))


def _above(listed: Sequence[ListedVersion], known: set[str]) -> set[str]:
    """The ids of what stands above every known id in a list, newest first."""
    above = set()
    for version in listed:
        if version.version_id in known:
            break
        above.add(version.version_id)
    return above


def take_lease(
    engine: Engine, work: Work, deadline: float, intent: Intent | None = None
) -> tuple[LeaseAnswer, LeasedKey | None]:
    """Ask for the lease, announcing what will be published first (``intent``, if it has been made)."""
    creates = work.change.kind in (ChangeKind.CREATED, ChangeKind.MARKED)
    if intent is None and creates and work.publishable and not work.large and not work.change.prepare:
        intent = work.intent(engine.dice.token(), engine.clock.now())
    return lease_key(
        engine,
        work.key,
        work.source_key,
        deadline,
        version_id=work.version_id if creates else None,
        intent=intent,
        above=work.above,
    )


def lease_key(
    engine: Engine,
    key: LedgerKey,
    source: str,
    deadline: float,
    *,
    version_id: str | None = None,
    intent: Intent | None = None,
    above: str | None = None,
) -> tuple[LeaseAnswer, LeasedKey | None]:
    """Ask for the lease of a key; with a ``version_id``, unless that version is settled. A place that another
    source key has, and nothing of it is left there, is taken over. ``above`` as of a ``Work``."""
    lease = Lease(engine.dice.token(), deadline + engine.timing.grace)
    now = engine.clock.now()
    answer = engine.ledger.lease(key, source, version_id, lease=lease, intent=intent, now=now)
    taken_over = isinstance(answer, Conflict)
    if isinstance(answer, Conflict):
        answer = _take_over(engine, key, source, answer, lease=lease, intent=intent)
    if not isinstance(answer, Granted):
        return answer, None
    head = answer.head
    leased = LeasedKey(
        engine, key, source, lease.token, head, announced=intent, deadline=deadline, above=above
    )
    if taken_over:
        leased.let_in()
    return answer, leased


def _take_over(
    engine: Engine, key: LedgerKey, source: str, found: Conflict, *, lease: Lease, intent: Intent | None
) -> LeaseAnswer:
    """The lease of a place that was another source key's, if that claims nothing any more."""
    head, now = found.head, engine.clock.now()
    if head is None or not head.is_vacant(head.rows, now):
        return found
    spilled = engine.ledger.spilled(key, head.source) if head.spilled else {}
    rows = {**spilled, **head.rows}
    # What has spilled stays where it is: nothing that is open may be left there.
    if not head.is_vacant(rows, now) or any(row.open for row in spilled.values()):
        return found
    return engine.ledger.take_over(
        key, head, head.taken_over(source, rows), lease=lease, intent=intent, now=now
    )


def adopt(leased: LeasedKey, work: Work, found: Row) -> Row:
    """Our own publish, found again: the row may say what the intent did not."""
    row = replace(found, rule=work.rule.id if work.rule else found.rule, event_time=work.change.event_time)
    return leased.set_row(work.version_id, row)
