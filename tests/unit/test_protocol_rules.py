"""The rules of the ledger protocol, each by the story that it is there for.

First what needs several things to happen at certain moments. Then stories in which any one request may go
wrong: each is told again for every request that its workers send, and whatever has become of that one, the
key has to come to rest. See docs/architecture.md, "The ledger".
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.ledger import LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.decisions.settling import Publish, Sides, Wish, decide
from s3replicator.decisions.versions import Kind, ListedVersion, Tag
from tests.unit.protocol.invariants import problems_of
from tests.unit.protocol.memory_bucket import MemoryBucket, UploadOrder, Version
from tests.unit.protocol.memory_queues import Letter, Queue
from tests.unit.protocol.scheduler import Fate, Worker
from tests.unit.protocol.world import REPLICA, Terms, World

KEY: Final = "key"
LARGE: Final = SINGLE_COPY_LIMIT + 1

#: What may become of one request. What has been parked is sent round again by an operator.
FAULTS: Final = (Fate.REFUSED, Fate.DENIED, Fate.LOST, Fate.DIES_BEFORE, Fate.DIES_AFTER)


class FaultyWorld(World):
    """One request goes wrong in it, the one with the number ``at``; ``sent`` counts them. And so do those
    whose names are in ``refused``, every time."""

    def __init__(self, terms: Terms, fault: Fate = Fate.DONE, at: int = -1) -> None:
        super().__init__(terms)
        self.sent = 0
        self.refused: dict[str, Fate] = {}
        self._fault, self._at = fault, at

    def step(self, worker: Worker, fate: Fate = Fate.DONE) -> None:
        if self.sent == self._at and fate is Fate.DONE:
            fate = self._fault
        if worker.call is not None:
            fate = self.refused.get(worker.call.name, fate)
        self.sent += 1
        super().step(worker, fate)


@dataclass(frozen=True)
class Stage:
    """One key of a world."""

    world: FaultyWorld

    @classmethod
    def of(cls, **terms: Any) -> "Stage":
        return cls(FaultyWorld(Terms(**terms)))

    # -- the source; every act is answered by the letter that tells of it

    def put(self, size: int = 1, *, crowded: bool = False) -> Letter:
        self.world.put(KEY, size, crowded=crowded)
        return self._latest()

    def mark(self) -> Letter:
        self.world.mark(KEY)
        return self._latest()

    def begin(self, size: int = 2) -> str:
        return self.world.begin(KEY, size)

    def end(self, upload_id: str) -> Letter:
        self.world.end(upload_id)
        return self._latest()

    def tag(self, number: int, colour: str) -> Letter:
        self.world.tag(KEY, self.source()[number].version_id, colour)
        return self._latest()

    def grant(self, number: int, grantee: str) -> Letter:
        self.world.grant(KEY, self.source()[number].version_id, grantee)
        return self._latest()

    def annotate(self, number: int, colour: str) -> Letter:
        """The last of its letters: there is one for each annotation."""
        self.world.annotate(KEY, self.source()[number].version_id, colour)
        return self._latest()

    def purge(self, number: int = 0) -> Letter:
        """Somebody deletes a version by its id: 0 is the newest."""
        self.world.purge(KEY, self.source()[number].version_id)
        return self._latest()

    def expire(self, number: int) -> Letter:
        self.world.expire(KEY, self.source()[number].version_id)
        return self._latest()

    def _latest(self) -> Letter:
        return self.world.queues.letters[Queue.INGEST][-1]

    # -- workers

    def take(self, *letters: Letter, queue: Queue = Queue.INGEST) -> Worker:
        return self.world.take(queue, letters)

    def deliver(self, *letters: Letter, queue: Queue = Queue.INGEST) -> None:
        """One batch; whatever becomes of it."""
        self.world.finish(self.take(*letters, queue=queue))

    def drain(self) -> None:
        """The other functions do what has been sent to them."""
        for _ in range(10):
            for queue in (Queue.LARGE, Queue.DEAD_LETTER):
                for letter in self.world.queues.waiting(queue):
                    self.deliver(letter, queue=queue)

    def settle(self, *, restore_lost: bool = False) -> None:
        """An operator has the key settled."""
        self.world.finish(self.world.settle(KEY, restore_lost=restore_lost))

    def remove_foreign(self, number: int = 0) -> None:
        """Somebody removes a replica, if it is there: 0 is the newest."""
        for version in self.replicas()[number : number + 1]:
            self.world.remove_foreign(KEY, version.version_id)

    def until(self, worker: Worker, request: str, times: int = 1) -> Worker:
        """Let a worker go on until it is about to send a request for the so-manyth time, or has ended."""
        while worker.call is not None:
            times -= worker.call.name == request
            if not times:
                break
            self.world.step(worker)
        return worker

    def dies_before(self, worker: Worker, request: str, times: int = 1) -> None:
        self.world.step(self.until(worker, request, times), Fate.DIES_BEFORE)

    def dies_after(self, worker: Worker, request: str, times: int = 1) -> None:
        self.world.step(self.until(worker, request, times), Fate.DIES_AFTER)

    def lease_runs_out(self) -> None:
        self.world.wait(2000)

    # -- what is so

    def source(self) -> list[Version]:
        return self.world.source.versions(KEY)

    def replicas(self) -> list[Version]:
        return self.world.replica.versions(KEY)

    def rows(self) -> list[Row]:
        """The newest version's first."""
        rows = self.world.ledger.history(LedgerKey(REPLICA, KEY))[1]
        return [rows[vid] for vid in sorted(rows, key=lambda vid: -self.world.past[KEY][vid].place)]

    def comes_to_rest(self) -> None:
        """Everything waiting is worked on, and what must be so then is so."""
        self.lease_runs_out()
        self.world.run_dry()
        assert problems_of(self.world.quiet(KEY, reconciled=False)) == []


def shown(bucket: MemoryBucket) -> list[str]:
    """What a bucket holds of the key, newest first."""
    return [version.contents.body if version.contents else "marker" for version in bucket.versions(KEY)]


# -- several things at certain moments


def test_a_nonce_is_never_used_twice() -> None:
    """Two replays copy the newest version again. If both had one nonce, the second copy would count as
    accounted for when its worker died."""
    stage = Stage.of()
    letters = [stage.put() for _ in range(3)]
    stage.deliver(letters[2])
    stage.deliver(letters[1])
    stage.drain()
    stage.deliver(letters[0])
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    stage.dies_after(stage.take(sent, queue=Queue.DEAD_LETTER), "copy", times=3)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_what_is_published_is_announced_though_an_answer_was_lost() -> None:
    """The lease announced one version, another is to be published first: whether that has been announced
    instead, its worker does not know."""
    stage = Stage.of()
    large, late, new = stage.put(LARGE), stage.put(), stage.put()
    for letter in (new, large):
        stage.deliver(letter)
    for letter in stage.world.queues.waiting(Queue.LARGE):
        stage.deliver(letter, queue=Queue.LARGE)
    stage.deliver(late)
    sent = stage.world.queues.waiting(Queue.DEAD_LETTER)[-1]
    worker = stage.until(stage.take(sent, queue=Queue.DEAD_LETTER), "write")
    stage.world.step(worker, Fate.LOST)
    stage.world.finish(worker)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_an_intent_says_where_its_version_stands() -> None:
    """Its worker dies, and the source forgets the version: nothing else can tell any more."""
    stage = Stage.of()
    old, new = stage.put(), stage.put()
    everything = shown(stage.world.source)
    stage.dies_after(stage.take(new), "copy")
    stage.expire(0)
    stage.lease_runs_out()
    stage.deliver(old)
    stage.drain()
    stage.comes_to_rest()
    assert shown(stage.world.replica) == everything


def test_a_copy_of_our_replica_is_not_taken_for_it() -> None:
    """A user's copy in place carries the stamp along, but is the younger one."""
    stage = Stage.of()
    letter = stage.put()
    stage.dies_after(stage.take(letter), "copy")
    [ours] = stage.replicas()
    stage.world.copy_foreign(KEY, ours.version_id)
    stage.comes_to_rest()
    assert [row.replica for row in stage.rows()] == [ours.version_id]


def test_a_copy_of_an_earlier_replica_is_not_taken_for_a_later_one() -> None:
    """It has the version in its stamp, but not the nonce of what was announced."""
    stage = Stage.of()
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.world.copy_foreign(KEY, stage.replicas()[0].version_id)
    stage.deliver(old)
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    stage.dies_before(stage.take(sent, queue=Queue.DEAD_LETTER), "copy", times=2)
    stage.comes_to_rest()
    ours = {version.version_id for version in stage.replicas() if version.truth.ours}
    assert {row.replica for row in stage.rows()} == ours


def test_what_a_row_accounts_for_is_not_looked_for_again() -> None:
    """The row has spilled, the head still says intent: a worker died in between. A copy of the replica
    would be taken for it, and the replica removed as the one before."""
    stage = Stage.of()
    letters = [stage.put() for _ in range(5)]
    for letter in letters[1:]:
        stage.deliver(letter)
    stage.deliver(letters[0])
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    worker = stage.until(stage.take(sent, queue=Queue.DEAD_LETTER), "copy")
    stage.dies_after(worker, "put_rows")
    late = stage.replicas()[0].version_id
    stage.world.copy_foreign(KEY, late)
    stage.comes_to_rest()
    assert stage.rows()[-1].replica == late


def test_a_marker_is_looked_for_above_what_is_known() -> None:
    """Somebody's marker lies below a replica; ours, whose answer was lost, above it."""
    stage = Stage.of()
    stage.world.mark_foreign(KEY)
    stage.deliver(stage.put())
    stage.world.step(stage.until(stage.take(stage.mark()), "put_marker"), Fate.LOST)
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [True, True, False]
    assert [row.replica for row in stage.rows()] == [one.version_id for one in stage.replicas()[:2]]


def test_a_marker_older_than_its_intent_is_not_ours() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.world.mark_foreign(KEY)
    stage.world.wait(60)
    stage.dies_before(stage.take(stage.mark()), "put_marker")
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [True, False, True]


def test_what_has_another_size_is_not_ours() -> None:
    """Nothing else tells, where there is no room for a stamp."""
    stage = Stage.of()
    stage.dies_before(stage.take(stage.put(2, crowded=True)), "copy")
    stage.world.put_foreign(KEY)
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [True, False]
    assert [row.replica for row in stage.rows()] == [stage.replicas()[0].version_id]


def test_what_holds_something_else_is_not_ours() -> None:
    """It has the size of what was to be copied, and came in the same moment."""
    stage = Stage.of()
    stage.dies_before(stage.take(stage.put(crowded=True)), "copy")
    stage.world.put_foreign(KEY)
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [True, False]
    assert [row.replica for row in stage.rows()] == [stage.replicas()[0].version_id]


@pytest.mark.parametrize("restored", [False, True])
def test_what_others_have_marked_is_not_taken_for_what_was_left_out(restored: bool) -> None:
    """Settling by hand twice does nothing the second time."""
    stage = Stage.of(late=LateVersions.SKIP)
    mark, put = stage.mark(), stage.put()
    stage.deliver(put)
    stage.world.mark_foreign(KEY)
    stage.deliver(mark)
    stage.comes_to_rest()
    for _ in range(2):
        stage.settle(restore_lost=restored)
    late = stage.rows()[1]
    assert (late.status, late.replica) == (Status.SUPERSEDED, None)


def test_what_others_have_marked_is_not_taken_for_what_they_removed() -> None:
    stage = Stage.of()
    stage.deliver(stage.mark())
    stage.world.mark_foreign(KEY)
    stage.remove_foreign(1)
    lost = stage.mark()
    stage.world.lose(lost)
    for _ in range(2):
        stage.settle()
    newest, removed = stage.rows()
    assert newest.live
    assert removed.lost


def test_a_marker_is_ours_though_its_clock_is_behind() -> None:
    """S3 tells whole seconds only."""
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.world.wait(0.7)
    stage.world.step(stage.until(stage.take(stage.mark()), "put_marker"), Fate.LOST)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def with_a_foreign_marker(stage: Stage, mark: Letter) -> None:
    """A worker dies before it writes its marker; somebody else's is there when the next one looks."""
    stage.dies_before(stage.take(mark), "put_marker")
    stage.world.mark_foreign(KEY)
    stage.lease_runs_out()
    stage.deliver(mark)
    stage.drain()


def test_a_marker_that_may_be_foreign_is_covered_and_not_deleted() -> None:
    """Undelete: the source shows its object again, and so does the destination."""
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put())
    with_a_foreign_marker(stage, stage.mark())
    stage.deliver(stage.purge())
    stage.comes_to_rest()
    assert shown(stage.world.replica)[:2] == [*shown(stage.world.source), "marker"]


def test_a_marker_that_may_be_foreign_stays_when_its_own_is_written_again() -> None:
    stage = Stage.of()
    late, put = stage.put(), stage.put()
    stage.deliver(put)
    with_a_foreign_marker(stage, stage.mark())
    stage.deliver(late)
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [True, True, True, False]
    assert shown(stage.world.replica)[:3] == shown(stage.world.source)


def test_an_upload_whose_place_nobody_has_looked_at_is_not_settled() -> None:
    """It is recorded, and its worker dies before it asks the list: it came to lie below."""
    stage = Stage.of()
    small, large = stage.put(), stage.put(LARGE)
    stage.deliver(large)
    [sent] = stage.world.queues.waiting(Queue.LARGE)
    worker = stage.until(stage.take(sent, queue=Queue.LARGE), "lease")
    stage.deliver(small)
    stage.until(worker, "complete")
    stage.dies_after(worker, "write")
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_an_upload_that_came_to_lie_below_is_copied_again_when_settling() -> None:
    """The upload was started before what stands below it was copied, and completed in a repair."""
    stage = Stage.of(order=UploadOrder.INITIATION)
    first, large, last = stage.put(), stage.put(LARGE), stage.put()
    stage.deliver(last)
    stage.deliver(large)
    for letter in stage.world.queues.waiting(Queue.LARGE):
        stage.deliver(letter, queue=Queue.LARGE)
    stage.deliver(first)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_a_key_is_held_by_one_worker() -> None:
    stage = Stage.of()
    letter = stage.put()
    stage.world.duplicate(Queue.INGEST, letter)
    one, other = (stage.take(each) for each in stage.world.queues.waiting(Queue.INGEST))
    stage.until(one, "copy")
    stage.world.finish(other)
    assert stage.replicas() == []
    stage.world.finish(one)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_a_message_whose_key_is_held_comes_again() -> None:
    stage = Stage.of()
    first, second = stage.put(), stage.put()
    worker = stage.until(stage.take(first), "copy")
    stage.deliver(second)
    assert stage.world.queues.waiting(Queue.INGEST) == [second]
    stage.world.finish(worker)
    stage.comes_to_rest()


def test_settling_by_hand_waits_for_the_lease() -> None:
    stage = Stage.of()
    worker = stage.until(stage.take(stage.put()), "copy")
    stage.world.reconcile(KEY)
    assert stage.replicas() == []
    stage.world.finish(worker)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_a_version_gone_after_its_worker_died_closes_its_intent() -> None:
    stage = Stage.of()
    letter = stage.put()
    stage.dies_after(stage.take(letter), "copy")
    stage.expire(0)
    stage.comes_to_rest()
    assert [row.replica for row in stage.rows()] == [one.version_id for one in stage.replicas()]


def test_tags_are_those_of_the_moment_they_are_written() -> None:
    """Two changes, two workers: the one with the older event writes last."""
    stage = Stage.of()
    stage.deliver(stage.put())
    red = stage.until(stage.take(stage.tag(0, "red")), "lease")
    stage.deliver(stage.tag(0, "green"))
    stage.world.finish(red)
    [replica] = stage.replicas()
    assert replica.contents is not None
    assert replica.contents.tags == {Tag("colour", "green")}


def test_nothing_is_published_that_may_outlive_its_worker() -> None:
    """S3 may take as long as the client waits; then the lease must still be ours."""
    stage = Stage.of()
    worker = stage.until(stage.take(stage.put()), "lease")
    stage.world.clock.sleep(40)
    stage.world.finish(worker)
    assert stage.replicas() == []
    stage.comes_to_rest()


def test_a_lease_outlives_its_worker() -> None:
    """Its last request may still be under way at S3."""
    stage = Stage.of()
    letter = stage.put()
    worker = stage.until(stage.take(letter), "copy")
    stage.world.wait(70)
    assert worker.dead
    stage.deliver(letter)
    assert stage.world.queues.waiting(Queue.INGEST) == [letter]
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_whoever_resolves_has_the_key_looked_after() -> None:
    """The copy whose answer was lost may not be all that went wrong: the second function looks."""
    stage = Stage.of()
    stage.world.step(stage.until(stage.take(stage.put()), "copy"), Fate.LOST)
    for worker in list(stage.world.scheduler.workers):
        stage.world.finish(worker)
    assert len(stage.world.queues.waiting(Queue.DEAD_LETTER)) == 1
    stage.comes_to_rest()


def test_what_takes_the_place_of_a_replica_is_known_before_it_goes() -> None:
    stage = Stage.of()
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(old)
    [sent] = stage.world.queues.waiting(Queue.DEAD_LETTER)
    worker = stage.until(stage.take(sent, queue=Queue.DEAD_LETTER), "remove")
    top, _, before = stage.replicas()
    newest = stage.rows()[0]
    assert (newest.replica, newest.left) == (top.version_id, (before.version_id,))
    stage.world.finish(worker)
    stage.comes_to_rest()


def test_a_delete_that_overtakes_its_create_is_remembered() -> None:
    """A worker has read the marker and stops; when it goes on, the marker is long deleted."""
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put())
    worker = stage.until(stage.take(stage.mark()), "lease")
    stage.deliver(stage.purge())
    stage.drain()
    stage.world.finish(worker)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_what_others_removed_is_not_copied_again() -> None:
    """A lifecycle rule at the destination would be fought otherwise, one replay after the other."""
    stage = Stage.of()
    late, old, new = stage.put(), stage.put(), stage.put()
    stage.deliver(old, new)
    stage.remove_foreign(1)
    stage.deliver(late)
    stage.comes_to_rest()
    newest, _, oldest = shown(stage.world.source)
    assert shown(stage.world.replica) == [newest, oldest]


def test_what_others_removed_is_not_waited_for() -> None:
    """It was due, because its ACL could not be written in the meantime."""
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.world.refused = {"put_acl": Fate.REFUSED}
    stage.deliver(stage.grant(0, "reader"))
    stage.world.refused = {}
    stage.remove_foreign()
    stage.comes_to_rest()
    assert stage.replicas() == []


def test_nothing_the_ledger_does_not_know_is_removed() -> None:
    """The world itself refuses to let go of what is foreign, even if a stamp says otherwise."""
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put(), stage.put())
    stage.world.copy_foreign(KEY, stage.replicas()[0].version_id)
    stage.world.put_foreign(KEY)
    stage.deliver(stage.purge())
    stage.comes_to_rest()
    assert [version.truth.ours for version in stage.replicas()] == [False, False, True]


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_a_lifecycle_rule_expires_at_the_source_stays(by_hand: bool) -> None:
    stage = Stage.of(most_deletes=1000)
    stage.deliver(stage.put(), stage.put())
    everything = shown(stage.world.source)
    stage.deliver(stage.expire(1))
    stage.drain()
    if by_hand:
        stage.world.reconcile(KEY)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == everything


def test_late_is_what_is_older_than_a_live_replica() -> None:
    """The newest version was applied and has been deleted since: nothing stands above the late one."""
    stage = Stage.of(most_deletes=1000, late=LateVersions.SKIP)
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(stage.purge())
    stage.drain()
    stage.deliver(late)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_a_version_that_waits_is_no_reason_to_leave_an_older_one_out() -> None:
    """Neither has a replica; the newer one may never get one."""
    waiting = {
        name: Row(Kind.OBJECT, Status.PENDING, OrderFacts(None, age)) for name, age in (("a", 1), ("b", 2))
    }
    source = [ListedVersion(name, Kind.OBJECT, 0) for name in ("b", "a")]
    wish = Wish(asked=frozenset({"a", "b"}), late=LateVersions.SKIP)
    assert decide(waiting, Sides(source, ()), wish) == Publish("a")


def test_the_newest_replica_is_known_though_its_row_has_spilled() -> None:
    """Tombstones fill the head; what is late below the spilled ones is late all the same."""
    stage = Stage.of(most_deletes=1000)
    late = stage.put()
    for _ in range(4):
        stage.deliver(stage.put())
    for _ in range(2):
        stage.deliver(stage.purge())
        stage.drain()
    for _ in range(2):
        gone = stage.put()
        stage.purge()
        stage.deliver(gone)
    stage.deliver(late)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_the_newest_replica_whose_row_has_spilled_is_not_told_by_time() -> None:
    """Four of one second, the newest of them without a sequencer: a change of its tags came first."""
    stage = Stage.of()
    for _ in range(3):
        stage.deliver(stage.put())
    late = stage.end(stage.begin())
    stage.put()
    stage.deliver(stage.tag(0, "red"))
    stage.deliver(late)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_an_event_of_a_null_version_does_not_order_another() -> None:
    """There is one null version at a time, and an event of an earlier one finds the latest."""
    stage = Stage.of()
    stage.world.switch(False)
    first, second = stage.put(), stage.put()
    stage.deliver(second)
    stage.put()
    stage.deliver(first)
    stage.drain()
    stage.comes_to_rest()
    assert shown(stage.world.replica)[:1] == shown(stage.world.source)


def test_an_event_of_a_null_version_does_not_order_another_that_is_gone() -> None:
    """An old event finds it, and it is deleted while the key waits to be repaired. Of the two versions that
    were deleted the first event is about the first."""
    stage = Stage.of(most_deletes=1000)
    stage.world.switch(False)
    upload_id = stage.begin()
    stage.world.wait(2)
    marked = stage.mark()
    stage.dies_after(stage.take(stage.end(upload_id)), "copy")
    first = stage.purge()
    stage.lease_runs_out()
    stage.put(LARGE)
    stage.deliver(marked)
    second = stage.purge()
    stage.drain()
    for letter in (first, second):
        stage.deliver(letter)
        stage.drain()
    assert shown(stage.world.replica) == []
    stage.comes_to_rest()


def test_what_a_null_version_is_owed_is_not_forgotten_where_it_cannot_be_looked_at() -> None:
    """Its message does not name it: when it comes again, another one has taken its place."""
    stage = Stage.of()
    stage.world.switch(False)
    stage.deliver(stage.put())
    worker = stage.until(stage.take(stage.tag(0, "red")), "head", times=2)
    stage.world.step(worker, Fate.REFUSED)
    stage.world.finish(worker)
    [row] = stage.rows()
    assert row.owed
    assert row.due is not None
    stage.put()
    stage.comes_to_rest()


def test_a_null_marker_is_left_out_though_the_event_of_an_object_finds_it() -> None:
    stage = Stage.of(markers=False)
    stage.world.switch(False)
    put = stage.put()
    stage.mark()
    stage.deliver(put)
    stage.comes_to_rest()
    assert stage.replicas() == []


def test_a_null_version_gone_after_its_worker_died_closes_its_intent() -> None:
    """Its message does not name it, but its key."""
    stage = Stage.of()
    stage.world.switch(False)
    stage.dies_after(stage.take(stage.put()), "copy")
    stage.expire(0)
    stage.comes_to_rest()
    assert [row.replica for row in stage.rows()] == [one.version_id for one in stage.replicas()]


def test_an_upload_of_a_null_version_is_not_filled_up_from_the_next_one() -> None:
    """Another one of the same size takes its place while a message with its upload is under way."""
    stage = Stage.of()
    stage.world.switch(False)
    stage.deliver(stage.put(LARGE))
    [sent] = stage.world.queues.waiting(Queue.LARGE)
    copying = stage.until(stage.take(sent, queue=Queue.LARGE), "copy_part", times=3)
    stage.dies_before(stage.world.settle(KEY), "write")
    stage.world.step(copying, Fate.REFUSED)
    stage.world.finish(copying)
    stage.put(LARGE)
    stage.comes_to_rest()
    assert shown(stage.world.replica) == shown(stage.world.source)


def test_an_upload_that_is_not_needed_any_more_is_not_left_open() -> None:
    """Two workers have begun one; the row remembers the first when the second is completed."""
    stage = Stage.of()
    stage.world.duplicate(Queue.INGEST, stage.put(LARGE))
    for letter in stage.world.queues.waiting(Queue.INGEST):
        stage.deliver(letter)
    copying = [stage.take(letter, queue=Queue.LARGE) for letter in stage.world.queues.waiting(Queue.LARGE)]
    one, other = (stage.until(worker, "copy_part") for worker in copying)
    stage.until(other, "lease")
    stage.world.step(one, Fate.REFUSED)
    stage.world.finish(one)
    stage.world.finish(other)
    stage.comes_to_rest()
    assert stage.world.replica.uploads == {}


@pytest.mark.parametrize("call", ["acl", "put_acl", "tags", "put_tags"])
@pytest.mark.parametrize("fate", [Fate.REFUSED, Fate.DENIED])
@pytest.mark.parametrize("late", [False, True])
def test_what_a_replica_is_owed_it_is_given_when_an_operator_tries_again(
    call: str, fate: Fate, late: bool
) -> None:
    """However often it was tried in vain, before its version was copied again or after."""
    stage = Stage.of()
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.world.refused = {call: fate}
    stage.deliver(stage.tag(0, "red"), stage.grant(0, "reader"))
    if late:
        stage.deliver(old)
    for _ in range(10):
        stage.drain()
        stage.world.wait(4000)
        stage.world.finish(stage.world.sweep())
    assert stage.world.queues.waiting(Queue.PARKED)
    assert stage.rows()[0].owed
    stage.world.refused = {}
    stage.comes_to_rest()
    assert not stage.rows()[0].owed


@pytest.mark.parametrize("dies", [False, True])
def test_annotations_of_a_large_version_need_no_event(dies: bool) -> None:
    """Not even if the worker that made the replica died, and somebody else had to find it."""
    stage = Stage.of()
    put = stage.put(LARGE)
    stage.annotate(0, "red")
    for letter in stage.world.queues.waiting(Queue.INGEST):
        if letter is not put:
            stage.world.lose(letter)
    stage.deliver(put)
    if dies:
        [sent] = stage.world.queues.waiting(Queue.LARGE)
        stage.dies_after(stage.take(sent, queue=Queue.LARGE), "complete")
    stage.comes_to_rest()
    [source], [replica] = stage.source(), stage.replicas()
    assert source.contents is not None
    assert replica.contents is not None
    assert replica.contents.annotations == source.contents.annotations != {}


def test_what_a_replaced_null_version_is_owed_is_not_given_from_the_next_one() -> None:
    """Its replica is kept, with what it had."""
    stage = Stage.of()
    stage.world.switch(False)
    stage.deliver(stage.put())
    tagged = stage.tag(0, "red")
    stage.world.refused = {"put_tags": Fate.REFUSED}
    stage.deliver(tagged)
    assert stage.rows()[0].owed
    stage.put()
    stage.tag(0, "green")
    stage.annotate(0, "green")
    for letter in stage.world.queues.waiting(Queue.INGEST):
        stage.world.lose(letter)
    stage.world.refused = {}
    stage.world.wait(4000)
    stage.world.finish(stage.world.sweep())
    stage.comes_to_rest()
    [kept] = stage.replicas()
    assert kept.contents is not None
    assert (kept.contents.tags, kept.contents.annotations) == (frozenset(), {})
    assert not stage.rows()[0].owed


def test_what_an_unverified_replica_replaced_is_kept() -> None:
    """It may be the only good one."""
    row = Row(
        Kind.OBJECT, Status.FAILED, OrderFacts(None, 1), replica="new", left=("old",), reason="Verification"
    )
    listed = [ListedVersion(name, Kind.OBJECT, 0) for name in ("new", "old")]
    assert decide({"a": row}, Sides([ListedVersion("a", Kind.OBJECT, 0)], listed), Wish()) is None


def gone(at: float, replica: str, sequencer: str | None = None) -> Row:
    """Of a version that the source no longer lists; without a sequencer only its time orders it."""
    return Row(Kind.OBJECT, Status.COMPLETED, OrderFacts(sequencer, at), replica=replica)


def test_in_a_tie_what_the_source_shows_is_shown() -> None:
    """Within a second nobody can tell which was newer, the version that is gone or the newest listed one."""
    rows = {"gone": gone(1, "rg"), "listed": gone(1, "rl")}
    destination = [ListedVersion(name, Kind.OBJECT, 0) for name in ("rg", "rl")]
    sides = Sides([ListedVersion("listed", Kind.OBJECT, 0)], destination)
    assert decide(rows, sides, Wish()) == Publish("listed")


def test_a_tie_with_one_version_does_not_undo_what_is_known_of_another() -> None:
    """The marker is newer than the late version, and both were there in the same second as an upload."""
    rows = {
        "upload": gone(1, "ru"),
        "late": Row(Kind.OBJECT, Status.COMPLETED, OrderFacts("0A", 1), replica="rl"),
        "marker": gone(1, "rm", sequencer="0B"),
    }
    destination = [ListedVersion(name, Kind.OBJECT, 0) for name in ("rl", "ru", "rm")]
    sides = Sides([ListedVersion("late", Kind.OBJECT, 0)], destination)
    assert decide(rows, sides, Wish()) == Publish("marker")


# -- any one request


@dataclass(frozen=True)
class Story:
    """Tells what happens; answers what the destination shows if nothing went wrong, newest first, or None
    if that is what the source shows."""

    tell: Callable[[Stage], list[str] | None]
    terms: Terms = field(default_factory=Terms)


def one_version(stage: Stage) -> None:
    stage.deliver(stage.put())


def one_after_the_other(stage: Stage) -> None:
    for _ in range(5):
        stage.deliver(stage.put())


def a_batch(stage: Stage) -> None:
    stage.deliver(stage.put(), stage.put(), stage.mark())


def a_late_version(stage: Stage) -> None:
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(old)
    stage.drain()


def late_versions(stage: Stage) -> None:
    letters = [stage.put() for _ in range(3)]
    for letter in reversed(letters):
        stage.deliver(letter)
        stage.drain()


def a_late_and_a_new_version_at_once(stage: Stage) -> None:
    old, middle, new = stage.put(), stage.put(), stage.put()
    stage.deliver(middle)
    stage.deliver(old, new)
    stage.drain()


def a_marker(stage: Stage) -> None:
    stage.deliver(stage.put())
    stage.deliver(stage.mark())
    stage.deliver(stage.put())


def a_marker_on_a_marker(stage: Stage) -> None:
    """Without a marker of its own the second one could not be told from the first."""
    for letter in (stage.put(), stage.mark(), stage.mark()):
        stage.deliver(letter)
    stage.deliver(stage.purge())
    stage.drain()


def a_marker_that_is_deleted(stage: Stage) -> None:
    stage.deliver(stage.put(), stage.mark())
    stage.deliver(stage.purge())
    stage.drain()


def a_late_marker(stage: Stage) -> list[str]:
    old, marker, new = stage.put(), stage.mark(), stage.put()
    stage.deliver(old)
    stage.deliver(new)
    stage.deliver(marker)
    stage.drain()
    return [*shown(stage.world.source)[:1], *shown(stage.world.source)[2:]]


def a_deleted_version(stage: Stage) -> None:
    for _ in range(3):
        stage.deliver(stage.put())
    for number in (1, 0):
        stage.deliver(stage.purge(number))
        stage.drain()


def a_locked_version(stage: Stage) -> list[str]:
    """The replica of a deleted version cannot be removed: what the source shows is put on top of it."""
    stage.deliver(stage.put(), stage.put())
    second, first = shown(stage.world.source)
    stage.deliver(stage.purge())
    stage.drain()
    return [first, second, first]


def a_version_gone_before_it_was_copied(stage: Stage) -> None:
    first, second = stage.put(), stage.put()
    gone = stage.purge(1)
    for letter in (first, second, gone):
        stage.deliver(letter)
    stage.drain()


def a_late_version_left_out(stage: Stage) -> list[str]:
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(old)
    stage.drain()
    return shown(stage.world.source)[:1]


def left_out_and_then_the_newest(stage: Stage) -> None:
    """What was left out is all there is when the newer one has been deleted."""
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(old)
    stage.drain()
    stage.deliver(stage.purge())
    stage.drain()


def late_below_what_the_source_has_lost(stage: Stage) -> list[str]:
    """The source shows less than the destination keeps, and cannot be asked for it again."""
    late = stage.put()
    for marker in (False, False, True):
        stage.world.wait(2)
        stage.deliver(stage.mark() if marker else stage.end(stage.begin()))
    everything = shown(stage.world.source)
    for _ in range(3):
        stage.deliver(stage.expire(0))
    stage.deliver(late)
    stage.drain()
    return everything


def an_upload_that_was_started_first(stage: Stage) -> None:
    """It is completed last, so its event has the highest sequencer; S3 ranks it by its start."""
    upload_id = stage.begin()
    put = stage.put()
    stage.deliver(put)
    stage.deliver(stage.end(upload_id))
    stage.drain()


def a_large_version(stage: Stage) -> None:
    stage.deliver(stage.put(LARGE))
    stage.drain()


def a_late_large_version(stage: Stage) -> None:
    large, small = stage.put(LARGE), stage.put()
    stage.deliver(small)
    stage.deliver(large)
    stage.drain()


def late_below_a_large_version(stage: Stage) -> None:
    """The large one is copied again: its upload is started after the late one is there."""
    late, large = stage.put(), stage.put(LARGE)
    stage.deliver(large)
    stage.drain()
    stage.deliver(late)
    stage.drain()


def late_below_a_large_version_that_is_gone(stage: Stage) -> list[str]:
    late, large = stage.put(), stage.put(LARGE)
    everything = shown(stage.world.source)
    stage.deliver(large)
    stage.drain()
    stage.deliver(stage.purge())
    stage.deliver(late)
    stage.drain()
    return everything


def large_and_overtaken(stage: Stage) -> None:
    """Its upload is older than the replica below it: the destination ranks it by its start."""
    small, large = stage.put(), stage.put(LARGE)
    stage.deliver(large)
    for sent in stage.world.queues.waiting(Queue.LARGE):
        copying = stage.until(stage.take(sent, queue=Queue.LARGE), "lease")
        stage.deliver(small)
        stage.world.finish(copying)
    stage.drain()


def tags(stage: Stage) -> None:
    stage.deliver(stage.put())
    for colour in ("red", "green"):
        stage.deliver(stage.tag(0, colour))


def tags_of_what_is_being_copied(stage: Stage) -> None:
    """The upload has been started with the tags from before."""
    stage.deliver(stage.put(LARGE))
    for sent in stage.world.queues.waiting(Queue.LARGE):
        copying = stage.until(stage.take(sent, queue=Queue.LARGE), "copy_part")
        stage.deliver(stage.tag(0, "red"))
        stage.world.finish(copying)
    stage.drain()


def annotations(stage: Stage) -> None:
    """They are added, changed, and taken away again."""
    stage.deliver(stage.put())
    for colour in ("red", "green", "green"):
        stage.deliver(stage.annotate(0, colour))


def an_annotated_large_version(stage: Stage) -> None:
    """No event tells of the annotations, and no copy part by part takes them along."""
    put, annotated = stage.put(LARGE), stage.annotate(0, "red")
    stage.deliver(put)
    stage.drain()
    stage.deliver(annotated)


def an_annotated_large_version_and_a_late_one(stage: Stage) -> None:
    """The large one is copied again."""
    late, large = stage.put(), stage.put(LARGE)
    annotated = stage.annotate(0, "red")
    for letter in (large, late, annotated):
        stage.deliver(letter)
        stage.drain()


def an_acl_and_a_late_version(stage: Stage) -> None:
    """The newer one is copied again, and no copy carries an ACL along."""
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(stage.grant(0, "reader"))
    stage.deliver(late)
    stage.drain()


def an_acl_of_what_others_removed(stage: Stage) -> None:
    """An operator has the version copied again, long after the event."""
    stage.deliver(stage.put())
    stage.remove_foreign()
    stage.deliver(stage.grant(0, "reader"))
    stage.drain()
    stage.settle(restore_lost=True)
    stage.drain()


def an_acl_of_what_was_left_out(stage: Stage) -> None:
    old, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(old)
    stage.drain()
    stage.deliver(stage.grant(1, "reader"))
    stage.drain()
    stage.deliver(stage.purge())
    stage.drain()


def an_acl_of_what_is_being_copied(stage: Stage) -> None:
    """Each of two workers makes an upload, and neither carries the ACL."""
    stage.deliver(stage.put(LARGE))
    stage.deliver(stage.grant(0, "reader"))
    for sent in stage.world.queues.waiting(Queue.LARGE):
        stage.until(stage.take(sent, queue=Queue.LARGE), "lease")
    for worker in list(stage.world.scheduler.workers):
        stage.world.finish(worker)
    stage.drain()


def tags_and_an_acl_before_their_version(stage: Stage) -> None:
    put, tagged, granted = stage.put(), stage.tag(0, "red"), stage.grant(0, "reader")
    stage.deliver(granted, tagged)
    stage.deliver(put)


def a_large_version_is_restored(stage: Stage) -> None:
    """Something else has the key settled before its upload is there."""
    late, large = stage.put(), stage.put(LARGE)
    stage.deliver(large)
    stage.drain()
    stage.remove_foreign()
    stage.settle(restore_lost=True)
    stage.deliver(late)
    for sent in stage.world.queues.waiting(Queue.DEAD_LETTER):
        stage.deliver(sent, queue=Queue.DEAD_LETTER)
    stage.drain()


def a_large_version_is_restored_below_another(stage: Stage) -> None:
    large, new = stage.put(LARGE), stage.put()
    stage.deliver(large)
    stage.drain()
    stage.deliver(new)
    stage.remove_foreign(1)
    stage.settle(restore_lost=True)
    stage.deliver(stage.tag(0, "red"))
    stage.deliver(stage.grant(1, "reader"))
    stage.drain()


def several_are_restored(stage: Stage) -> None:
    """Between them stands a large one, which has to be copied again above the first."""
    for letter in (stage.put(), stage.put(LARGE), stage.put(), stage.put()):
        stage.deliver(letter)
        stage.drain()
    stage.remove_foreign(3)
    stage.remove_foreign(1)
    stage.settle(restore_lost=True)
    stage.drain()


def without_room_for_a_stamp(stage: Stage) -> None:
    late, new = stage.put(crowded=True), stage.put(crowded=True)
    stage.deliver(new)
    stage.deliver(late)
    stage.drain()
    stage.deliver(stage.put(LARGE, crowded=True))
    stage.drain()


def null_versions(stage: Stage) -> list[str]:
    """Each that was seen keeps its replica."""
    stage.deliver(stage.put())
    stage.world.switch(False)
    for letter in (stage.put(), stage.mark()):
        stage.world.wait(2)
        stage.deliver(letter)
    everything = shown(stage.world.replica)
    stage.world.switch(True)
    stage.deliver(stage.put())
    return [*shown(stage.world.source)[:1], *everything]


def a_null_version_that_is_replaced(stage: Stage) -> list[str]:
    """While it is worked on, by one that no rule selects."""
    stage.world.switch(False)
    worker = stage.until(stage.take(stage.put()), "write")
    stage.deliver(stage.mark())
    stage.world.finish(worker)
    return ["body 1"]


def a_null_version_that_is_deleted(stage: Stage) -> None:
    stage.deliver(stage.put())
    stage.world.switch(False)
    stage.deliver(stage.put())
    stage.deliver(stage.purge())
    stage.drain()


def tags_of_a_late_version(stage: Stage) -> None:
    late, new = stage.put(), stage.put()
    stage.deliver(new)
    stage.deliver(stage.tag(1, "red"))
    stage.deliver(late)
    stage.drain()


def settled_by_hand(stage: Stage) -> None:
    """Nobody has told of anything, and whoever asks in vain asks again."""
    for letter in (stage.put(), stage.put(LARGE), stage.put(), stage.mark()):
        stage.world.lose(letter)
    for _ in range(2):
        stage.settle()
        stage.lease_runs_out()
        stage.drain()


DELETES: Final = Terms(most_deletes=1000)
SKIP: Final = Terms(most_deletes=1000, late=LateVersions.SKIP)

STORIES: Final = {
    "one version": Story(one_version),
    "one after the other": Story(one_after_the_other),
    "a batch": Story(a_batch),
    "a late version": Story(a_late_version),
    "late versions": Story(late_versions),
    "a late and a new version at once": Story(a_late_and_a_new_version_at_once),
    "a marker": Story(a_marker),
    "a marker on a marker": Story(a_marker_on_a_marker, DELETES),
    "a marker that is deleted": Story(a_marker_that_is_deleted, DELETES),
    "a late marker": Story(a_late_marker),
    "a deleted version": Story(a_deleted_version, DELETES),
    "a locked version": Story(a_locked_version, replace(DELETES, locked=True)),
    "a version gone before it was copied": Story(a_version_gone_before_it_was_copied),
    "a version deleted before it was copied": Story(a_version_gone_before_it_was_copied, DELETES),
    "a late version left out": Story(a_late_version_left_out, SKIP),
    "left out, and then the newest": Story(left_out_and_then_the_newest, SKIP),
    "late below what the source has lost": Story(late_below_what_the_source_has_lost),
    "an upload that was started first": Story(an_upload_that_was_started_first),
    "a large version": Story(a_large_version),
    "a late large version": Story(a_late_large_version),
    "late below a large version": Story(late_below_a_large_version),
    "late below a large version that is gone": Story(late_below_a_large_version_that_is_gone),
    "large and overtaken": Story(large_and_overtaken),
    "tags": Story(tags),
    "tags of what is being copied": Story(tags_of_what_is_being_copied),
    "tags of a late version": Story(tags_of_a_late_version),
    "annotations": Story(annotations),
    "an annotated large version": Story(an_annotated_large_version),
    "an annotated large version, and a late one": Story(an_annotated_large_version_and_a_late_one),
    "an ACL, and a late version": Story(an_acl_and_a_late_version),
    "an ACL of what others removed": Story(an_acl_of_what_others_removed),
    "an ACL of what was left out": Story(an_acl_of_what_was_left_out, SKIP),
    "an ACL of what is being copied": Story(an_acl_of_what_is_being_copied),
    "tags and an ACL before their version": Story(tags_and_an_acl_before_their_version),
    "a large version is restored": Story(a_large_version_is_restored),
    "a large version is restored below another": Story(a_large_version_is_restored_below_another),
    "several are restored": Story(several_are_restored),
    "without room for a stamp": Story(without_room_for_a_stamp),
    "null versions": Story(null_versions),
    "a null version that is replaced": Story(a_null_version_that_is_replaced, Terms(markers=False)),
    "a null version that is deleted": Story(a_null_version_that_is_deleted, DELETES),
    "settled by hand": Story(settled_by_hand),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_whatever_request_goes_wrong_the_key_converges(story: Story, fault: Fate) -> None:
    at = 0
    while True:
        stage = Stage(FaultyWorld(story.terms, fault, at))
        expected = story.tell(stage)
        stage.comes_to_rest()
        if stage.world.sent <= at:
            assert shown(stage.world.replica) == (expected or shown(stage.world.source))
            return
        at += 1
