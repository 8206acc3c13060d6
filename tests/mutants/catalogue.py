"""Every rule of the protocol as the change that breaks it.

A mutant names the text it replaces. Where that text has moved, ``tests/unit/test_mutants.py`` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PACKAGE: Final = "layers/core/s3replicator"

# Where a mutant is looked for: files, the quick ones first.
DECISIONS: Final = (
    "tests/unit/test_settling.py",
    "tests/unit/test_order.py",
    "tests/unit/test_ledger.py",
)
RULES: Final = ("tests/unit/test_protocol_rules.py",)
MANY: Final = ("tests/unit/test_one_key.py",)
LONG_KEYS: Final = ("tests/unit/test_long_keys.py",)
LONGER_RUN: Final = ("tests/mutants/longer_run.py",)
#: What runs the use cases in memory.
IN_MEMORY: Final = (*RULES, *LONGER_RUN)
#: The real functions on a world that is mocked below the SDK.
FUNCTIONS: Final = ("tests/functional/test_protocol_rules.py",)
LEDGER: Final = ("tests/functional/test_ledger_adapter.py",)
ABSENCE: Final = ("tests/unit/test_wrong_absence.py",)
FOLLOW_UPS: Final = ("tests/unit/test_follow_ups.py",)
UPLOADS: Final = ("tests/unit/test_uploads.py",)
PARKED: Final = ("tests/unit/test_parked_for_certain.py",)
ADOPTION: Final = ("tests/unit/test_adoption.py",)
#: What walks have found.
WRITTEN: Final = ("tests/unit/protocol/test_traces.py",)
RECALL: Final = ("tests/unit/test_recall.py",)
RECOLLECTION: Final = ("tests/unit/test_recollection.py",)
REPLICA_CHANGES: Final = ("tests/functional/test_replica_changes.py",)
THREADS: Final = ("tests/functional/test_threads.py",)
S3: Final = ("tests/functional/test_s3_adapters.py",)
CALLS: Final = ("tests/functional/test_api_calls.py",)
CHANGES: Final = ("tests/functional/test_after_creation.py",)
COLLISIONS: Final = ("tests/unit/test_collisions.py",)
IN_FORCE: Final = ("tests/unit/test_configuration_in_force.py",)
PREFLIGHT: Final = ("tests/unit/test_preflight.py",)
#: The adapters through HTTP.
WIRE: Final = ("tests/functional/test_on_the_wire.py",)
INTAKE: Final = ("tests/functional/test_intake.py",)
#: Several source keys and one place; and what is added to records.
IDENTITY: Final = ("tests/unit/test_identity.py",)
ENVELOPES: Final = ("tests/unit/test_envelopes.py",)
CONFORMANCE: Final = ("tests/functional/test_conformance.py",)
KEPT_OUT: Final = ("tests/functional/test_identity.py",)
PROVENANCE: Final = ("tests/unit/test_provenance.py",)
REPLICAS: Final = ("tests/functional/test_replicas.py",)
COPIES: Final = ("tests/functional/test_copies_of_replicas.py",)
RECONCILE: Final = ("tests/functional/test_reconcile.py",)
REMOVAL: Final = ("tests/unit/test_removal.py",)
FAILOVER: Final = ("tests/functional/test_failover.py",)


@dataclass(frozen=True, slots=True)
class Edit:
    """``file`` is relative to the package."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Raises ``ValueError`` unless there is exactly one place to change."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file} holds this {found} times, not once: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mutant:
    """``rule`` is what the protocol says and the mutant does not obey."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def _mutant(name: str, rule: str, *edits: Edit, tests: Sequence[str] = IN_MEMORY) -> Mutant:
    return Mutant(name, rule, edits, tuple(tests))


MUTANTS: Final = (
    # -- whose a place is
    _mutant(
        "grouped-by-place-alone",
        "what is worked on under one lease is of one source key",
        Edit(
            "usecases/batch.py",
            "places[work.key][work.source_key].append(placed)",
            'places[work.key][""].append(placed)',
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "lease-on-another-head",
        "there is no lease on the head of another source key",
        Edit("usecases/leased_key.py", "if not head.is_of(source):", "if False:"),
        tests=IDENTITY,
    ),
    _mutant(
        "work-of-another-key",
        "a lease takes no work of another source key",
        Edit(
            "usecases/leased_key.py",
            "if work.key != self.key or not self.head.is_of(work.source_key):",
            "if False:",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "claims-overlooked",
        "a place is not taken over while anything of the former key is there",
        Edit("decisions/ledger.py", "and not here and self.due is None", ""),
        tests=IDENTITY,
    ),
    _mutant(
        "taken-over-unread",
        "what has spilled decides whether a place is empty, too",
        Edit(
            "usecases/leased_key.py",
            "    spilled = engine.ledger.spilled(key, head.source) if head.spilled else {}\n",
            "    spilled = {}\n",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "taken-over-unseen",
        "a place is taken over only as it was seen",
        Edit(
            "adapters/ledger.py",
            '    " AND (attribute_not_exists(#generation) OR #generation = :generation)"\n',
            '    " AND :generation = :generation"\n',
        ),
        tests=CONFORMANCE,
    ),
    _mutant(
        "strays-forgotten",
        "ids that may be foreign stay known when a place changes hands",
        Edit("usecases/leased_key.py", "return known | set(self.head.stray)", "return known"),
        tests=IDENTITY,
    ),
    _mutant(
        "former-rows-read",
        "rows of a source key that had the place before are nobody's",
        Edit(
            "adapters/ledger.py",
            "for item in items if source_of(item) == source)",
            "for item in items)",
        ),
        tests=CONFORMANCE,
    ),
    _mutant(
        "former-rows-swept",
        "the sweep sends nothing round for a source key that had the place before",
        Edit("usecases/sweep.py", "return not head.is_of(item.source) or not ", "return not "),
        tests=IDENTITY,
    ),
    _mutant(
        "another-head-interrupted",
        "a null version that is gone has nothing settled for another source key",
        Edit("usecases/null_changes.py", "head.is_of(work.source_key) and not", "not"),
        tests=IDENTITY,
    ),
    _mutant(
        "another-key-compared",
        "a reconcile compares nothing of another source key",
        Edit(
            "usecases/reconcile.py",
            "another = head is not None and not head.is_of(self._source)",
            "another = False",
        ),
        tests=KEPT_OUT,
    ),
    _mutant(
        "conflict-looked-at-for-ever",
        "a job is done with a place of another source key",
        Edit(
            "usecases/by_hand.py",
            "                    continue\n                if leased is None:",
            "                    return False\n                if leased is None:",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "conflict-unrecorded",
        "a version that is kept out is open work",
        Edit(
            "usecases/conflicts.py",
            "    if outcome.result is Result.PARKED:\n        _record(engine, work, row)\n",
            "",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "conflict-recorded-first",
        "a conflict is in the ledger after it has been parked, so that it is parked at least once",
        Edit(
            "usecases/conflicts.py",
            "    outcome = park(engine, work, row)\n",
            "    _record(engine, work, row)\n    outcome = park(engine, work, row)\n",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "conflict-parked-again",
        "a conflict is parked once",
        Edit(
            "usecases/conflicts.py",
            "if known is not None and known.status is Status.FAILED and work.change.destination is None:",
            "if False:",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "conflict-left-open",
        "a conflict ends when its version has a row",
        Edit(
            "usecases/leased_key.py",
            "self._engine.ledger.close_conflict(self.key, self.head.source, version_id)",
            "pass",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "kept-out-for-good",
        "what was kept out comes in when the place is free",
        Edit("usecases/leased_key.py", "    if taken_over:\n        leased.let_in()\n", ""),
        tests=IDENTITY,
    ),
    # -- what is added to records
    _mutant(
        "envelope-believed",
        "what is added to a record claims no place",
        Edit(
            "usecases/envelopes.py",
            "        named = Work(change, change.destination, None)\n",
            "        return change\n        named = Work(change, change.destination, None)\n",
        ),
        tests=ENVELOPES,
    ),
    _mutant(
        "envelope-closes-anything",
        "what is added to a record closes only rows that are there",
        Edit(
            "usecases/envelopes.py",
            "return [work for work in works if not _closes(work) or self._has_row(work)]",
            "return list(works)",
        ),
        tests=ENVELOPES,
    ),
    _mutant(
        "envelope-prepares-anything",
        "an upload is prepared for what waits for one",
        Edit("usecases/large_copy.py", "            work = self._as_asked_for(work, known)\n", ""),
        Edit(
            "usecases/large_copy.py",
            "            if not (work.large or work.failure):\n",
            "            if False:\n",
        ),
        tests=ENVELOPES,
    ),
    _mutant(
        "envelope-names-another-place",
        "what is no name of a bucket names no destination",
        Edit("decisions/events.py", 'if name is not None and ("#" in name or "/" in name):', "if False:"),
        tests=("tests/unit/test_events.py",),
    ),
    # -- replica or not
    _mutant(
        "stamp-outweighs-the-writer",
        "where peers are declared, what anybody else wrote is replicated whatever stamp it bears",
        Edit("decisions/provenance.py", "if evidence.writer is Writer.OTHER:", "if False:"),
        tests=PROVENANCE,
    ),
    _mutant(
        "later-change-names-the-writer",
        "only the event of a new version says who wrote it",
        Edit(
            "usecases/evidence.py",
            " or change.kind not in (ChangeKind.CREATED, ChangeKind.MARKED):",
            ":",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "copy-in-place-is-a-replica",
        "a copy in place of an older version is a user's write",
        Edit(
            "decisions/provenance.py",
            "return Ground.COPIED_IN_PLACE if evidence.copied_in_place else Ground.STAMPED",
            "return Ground.STAMPED",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "any-older-version-is-the-original",
        "only a version that bears the same nonce is what another was copied from",
        Edit(
            "decisions/provenance.py",
            "carried is not None and stamp.nonce == carried.nonce",
            "carried is not None",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "back-to-where-it-came-through",
        "no event takes a replica to a bucket in its trace",
        Edit(
            "decisions/provenance.py",
            "if bucket_digest(destination) in trace_of(evidence.version):",
            "if False:",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "trace-begins-anew",
        "what is carried onward adds to its trace",
        Edit(
            "usecases/work.py",
            "return trace_of(self.source) if self.change.origin is Origin.ONWARD else frozenset()",
            "return frozenset()",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "onward-without-a-trace",
        "what has no room to say where it has been is carried onward by no event",
        Edit(
            "decisions/provenance.py",
            "if not can_be_stamped(evidence.version, trace_of(evidence.version)):",
            "if False:",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "replicas-always-onward",
        "a replica is carried onward only if a rule or a job asks for it",
        Edit("decisions/provenance.py", "if not rule_asks or ground is", "if ground is"),
        tests=PROVENANCE,
    ),
    _mutant(
        "unstamped-replicas-by-jobs",
        "in a stack with peers no job carries what may be a peer's and bears no stamp",
        Edit(
            "decisions/provenance.py",
            "unknown = evidence.may_be_peers and may_lack_stamp(version)\n        return",
            "unknown = False\n        return",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "decision-forgotten",
        "what was decided of a version is remembered by its row",
        Edit(
            "usecases/work.py",
            "origin=self._origin(old),",
            "origin=None,",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "a-row-made-unseen-decides",
        "a row that was made before its version could be looked at decides nothing",
        Edit(
            "decisions/provenance.py",
            "return Origin.USER if row.live or row.origin is None else None",
            "return Origin.USER",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "unseen-and-sent-round",
        "what could not be looked at is decided when it can be, though we sent it round",
        Edit(
            "usecases/evidence.py",
            "if change.destination is not None and not is_undecided:",
            "if change.destination is not None:",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "unseen-and-forgotten",
        "what could not be looked at is remembered as undecided",
        Edit(
            "usecases/routing.py",
            "            change = self._in_case_it_cannot_be_read(change)",
            "            pass",
        ),
        tests=WRITTEN,
    ),
    _mutant(
        "a-users-becomes-undecided",
        "of what somebody else wrote nothing is undecided, though it could not be looked at",
        Edit(
            "usecases/routing.py",
            "is_others = writer_of(change, self.peers) is Writer.OTHER",
            "is_others = False",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "undecided-for-ever",
        "what has been read at last is decided at last",
        Edit(
            "usecases/work.py",
            "return known if told is Origin.UNDECIDED else told",
            "return known",
        ),
        tests=("tests/unit/test_origin_stored.py",),
    ),
    _mutant(
        "passed-over-in-silence",
        "a replica that is passed over is counted and named",
        Edit(
            "usecases/routing.py",
            "return _work(change, bucket, rule, failure=_why_passed_over(verdict))",
            "return None",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "failover-by-halves",
        "a job for replicas goes on with those that it began",
        Edit("decisions/selection.py", "is_replica = row.origin is Origin.ONWARD or", "is_replica ="),
        tests=REPLICAS,
    ),
    _mutant(
        "markers-left-behind",
        "where peers are declared a job for replicas brings their delete markers, too",
        Edit(
            "decisions/job.py",
            "return bool(peers) and Standing.REPLICA not in self.standings",
            "return bool(peers)",
        ),
        tests=FAILOVER,
    ),
    _mutant(
        "copies-in-place-covered",
        "a user's copy of our replica in its place is left alone",
        Edit(
            "decisions/recollection.py",
            "if listed.version_id in recognised and listed.version_id not in copies",
            "if listed.version_id in recognised",
        ),
        Edit(
            "usecases/reconcile.py",
            "copies = users_copies(rows, sides.destination, recognised)",
            "copies: dict[str, str] = {}",
        ),
        tests=COPIES,
    ),
    _mutant(
        "other-bytes-are-a-copy",
        "only what has the bytes of a replica is a copy of it",
        Edit(
            "decisions/recollection.py",
            "same_nonce and may_hold_the_same(replica, copy.size, found.digest)",
            "same_nonce",
        ),
        tests=RECOLLECTION,
    ),
    _mutant(
        "heard-forgotten",
        "what has been heard of a version outlives another key in its place",
        Edit("decisions/ledger.py", "stray=ids, heard=self.heard)", "stray=ids)"),
        Edit("adapters/ledger.py", '["#spilled", "#top", "#open"', '["#spilled", "#top", "#heard", "#open"'),
        tests=(*DECISIONS, *LEDGER),
    ),
    _mutant(
        "left-behind-and-swept",
        "a row that no head tells of is closed where no rule selects its version any more",
        Edit(
            "usecases/envelopes.py",
            "if row is not None or self._is_left_behind(work):",
            "if row is not None:",
        ),
        tests=WRITTEN,
    ),
    _mutant(
        "ineligible-and-late",
        "what is not eligible says so however often its key is settled",
        Edit("usecases/settling.py", "if row.status is Status.NOT_ELIGIBLE and still:", "if False:"),
        tests=WRITTEN,
    ),
    # -- what a stamp does not prove
    _mutant(
        "stamp-alone",
        "what holds other bytes is no replica, whatever its stamp says",
        Edit("usecases/recall.py", "if alike is not False:", "if True:"),
        tests=RECALL,
    ),
    _mutant(
        "size-unlooked-at",
        "a replica has the size of its source version, and is no marker's",
        Edit(
            "decisions/replica.py",
            "if listed.kind is Kind.MARKER or listed.size != replica.size:",
            "if False:",
        ),
        tests=RECALL,
    ),
    _mutant(
        "uncompared-unread",
        "where the lists do not tell what an object holds, its version is looked at",
        Edit("usecases/recall.py", "if told is None and listed is not None:", "if False:"),
        tests=RECALL,
    ),
    _mutant(
        "uncompared-in-no-doubt",
        "what nobody could compare is adopted in doubt",
        Edit(
            "decisions/recollection.py", "doubt = not found.proven or nonce is None", "doubt = nonce is None"
        ),
        tests=RECOLLECTION,
    ),
    _mutant(
        "uncompared-copied",
        "nothing is copied from what nobody could compare",
        Edit("decisions/recollection.py", "proven=doubt and found.proven", "proven=doubt"),
        tests=RECOLLECTION,
    ),
    _mutant(
        "doubtful-before-proven",
        "what is proven is adopted before what is in doubt",
        Edit("decisions/recollection.py", "key=lambda one: not one[1].proven", "key=lambda one: False"),
        tests=RECOLLECTION,
    ),
    _mutant(
        "checksum-unread",
        "where ETags tell nothing the checksum of the replica is read",
        Edit("usecases/recall.py", "if same is None and version.checksum is not None:", "if False:"),
        tests=RECALL,
    ),
    _mutant(
        "replica-uncompared",
        "what differs from the replica of its version is no second one",
        Edit("usecases/recall.py", "return False if told is None and", "return False if False and"),
        tests=RECALL,
    ),
    _mutant(
        "absence-disproves",
        "that a listed version is not found for once says nothing of what an object holds",
        Edit("usecases/recall.py", "if isinstance(answer, RetryableError):", "if False:"),
        tests=RECALL,
    ),
    # -- the intent
    _mutant(
        "intent-overwritten",
        "an open intent is never overwritten by the next holder of the lease",
        Edit("adapters/ledger.py", "#intent = if_not_exists(#intent, :intent)", "#intent = :intent"),
        tests=LEDGER,
    ),
    _mutant(
        "intent-of-another-version",
        "every visible write has an intent of its own",
        Edit(
            "usecases/leased_key.py",
            "if intent is None or intent.version_id != work.version_id or upload is not None:",
            "if intent is None:",
        ),
    ),
    _mutant(
        "intent-kept-in-memory",
        "a visible write is announced in the ledger before it is sent",
        Edit(
            "usecases/leased_key.py",
            "self._put(replace(self.head, intent=intent))",
            "self.head = replace(self.head, intent=intent)",
        ),
    ),
    _mutant(
        "intent-after-lost-answer",
        "after an announcement whose answer was lost nothing counts as announced",
        Edit(
            "usecases/leased_key.py",
            "            self.withdraw()\n            nonce, at =",
            "            nonce, at =",
        ),
        # Twice secured: the ledger's failure also ends a repair.
        Edit("usecases/settling.py", "if failure.reason is Reason.LEDGER_UNAVAILABLE:", "if False:"),
    ),
    _mutant(
        "nonce-per-version",
        "every visible write has a nonce of its own",
        Edit(
            "usecases/leased_key.py",
            "nonce, at = self._engine.dice.token(), self._engine.clock.now()\n            intent =",
            'nonce, at = f"of-{work.version_id}", self._engine.clock.now()\n            intent =',
        ),
    ),
    _mutant(
        "intent-without-order",
        "the intent carries what orders its version",
        Edit(
            "usecases/work.py",
            "kind=self.kind, at=at, order=self.order)",
            "kind=self.kind, at=at, order=OrderFacts(None, 0.0))",
        ),
    ),
    _mutant(
        "intent-dropped-in-doubt",
        "an intent stays open until it is known what became of its write",
        Edit(
            "usecases/leased_key.py",
            "        except AmbiguousWrite:\n            raise\n        except ReplicationError:",
            "        except ReplicationError:",
        ),
    ),
    # -- adopting what an intent has made
    _mutant(
        "adopted-by-version",
        "a replica is adopted by the nonce of its intent, not by its version alone",
        Edit(
            "usecases/leased_key.py",
            "(stamp.version_id, stamp.nonce) == (intent.version_id, intent.nonce)",
            "stamp.version_id == intent.version_id",
        ),
    ),
    _mutant(
        "newest-adopted",
        "of several versions with the stamp the oldest is ours: the others are copies of it",
        Edit("usecases/leased_key.py", "for version in reversed(listed)\n", "for version in listed\n"),
    ),
    _mutant(
        "accounted-twice",
        "an intent whose nonce a row has already is accounted for",
        Edit(
            "usecases/leased_key.py",
            "if accounted is not None and accounted.nonce == intent.nonce:",
            "if False:",
        ),
    ),
    _mutant(
        "marker-adopted-anywhere",
        "a marker is adopted only from above everything the ledger knows",
        Edit("usecases/leased_key.py", "if version.version_id in above and is_younger", "if is_younger"),
    ),
    _mutant(
        "adopted-whatever-its-size",
        "a replica without a stamp is adopted only if it has the size of its version",
        Edit(
            "usecases/leased_key.py",
            "if size != version.size or etag not in (None, version.etag):",
            "if False:",
        ),
    ),
    _mutant(
        "adopted-whatever-it-holds",
        "nor if its ETag shows that it holds something else",
        Edit("usecases/leased_key.py", " or etag not in (None, version.etag)", ""),
    ),
    _mutant(
        "another-replica-adopted",
        "nor if its stamp says that it is another replica, or a copy of one",
        Edit(
            "usecases/leased_key.py",
            "return stamp is None or stamp.place != place_of(self.key.destination, self.key.key)",
            "return True",
        ),
        tests=ADOPTION,
    ),
    _mutant(
        "nonce-only-of-the-moment",
        "a nonce is proof, however far S3's clock is from ours",
        Edit("usecases/leased_key.py", "since = intent.at - _MOST_SKEW", "since = intent.at - SKEW"),
        tests=ADOPTION,
    ),
    _mutant(
        "copied-from-doubt",
        "nothing is copied from a replica that may hold other bytes",
        Edit("decisions/settling.py", "(row.purged or not row.copyable)", "row.purged"),
        tests=ADOPTION,
    ),
    _mutant(
        "copied-from-doubt-though-listed",
        "nothing is copied from a replica that may hold other bytes, though its source may not be copied",
        Edit(
            "usecases/settling.py",
            "if is_refused and row.live and row.final and row.copyable:",
            "if is_refused and row.live and row.final:",
        ),
        tests=ADOPTION,
    ),
    _mutant(
        "unread-and-owed-for-ever",
        "what a null version is owed stays due where it cannot be looked at",
        Edit(
            "usecases/refresh.py",
            "failures = dict.fromkeys(row.owed, unread)",
            "raise unread",
        ),
        tests=RULES,
    ),
    _mutant(
        "kept-out-and-owed-nothing",
        "what is kept out stays owed what has changed of it, however often it is tried",
        Edit(
            "usecases/conflicts.py",
            "row = failed_row(engine, work, known, conflict(owner, work.source_key))",
            "row = failed_row(engine, work, None, conflict(owner, work.source_key))",
        ),
        tests=IDENTITY,
    ),
    _mutant(
        "peers-measured-by-ours",
        "a peer's replica may have had no room for a stamp that this bucket's would have",
        Edit(
            "decisions/provenance.py",
            "evidence.may_be_peers and may_lack_stamp(version)\n        return",
            "evidence.may_be_peers and not can_be_stamped(version)\n        return",
        ),
        tests=PROVENANCE,
    ),
    _mutant(
        "undone-by-what-was-sent-before",
        "what has been decided since is not undone by what was sent round before",
        Edit(
            "usecases/routing.py",
            "if self.job is not None or change.follows or change.origin is Origin.UNDECIDED:",
            "if self.job is not None or change.follows:",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "published-and-undecided",
        "what has been published had been decided",
        Edit(
            "usecases/leased_key.py",
            "origin=fresh.origin if fresh.origin is not None and fresh.origin.is_decision else None,",
            "origin=fresh.origin,",
        ),
        tests=REPLICAS,
    ),
    _mutant(
        "kept-out-and-undecided",
        "an event decides for a version that is kept out, too",
        Edit("usecases/conflicts.py", "if known.origin is not row.origin:", "if False:"),
        tests=IDENTITY,
    ),
    _mutant(
        "ended-as-a-replica-for-ever",
        "a job for replicas brings what ended as one",
        Edit("decisions/selection.py", " or row.reason == Reason.SRC_IS_REPLICA", ""),
        tests=REPLICAS,
    ),
    _mutant(
        "any-number-is-a-time",
        "a null version of a time that is none surprises nobody",
        Edit("decisions/versions.py", " and len(seconds) <= _MOST_DIGITS", ""),
        tests=REPLICAS,
    ),
    _mutant(
        "lost-and-forgotten-in-doubt",
        "a lost replica that was in doubt stays lost",
        Edit(
            "usecases/settling.py",
            "if row.live and not row.copyable and isinstance",
            "if not row.copyable and isinstance",
        ),
        tests=ADOPTION,
    ),
    _mutant(
        "refused-and-asked-for-again",
        "what has been refused waits for an operator, and is not asked for by who only orders",
        Edit("usecases/settling.py", "if self.only_orders and is_given_up(row):", "if False:"),
        tests=FUNCTIONS,
    ),
    _mutant(
        "gone-and-tried-for-ever",
        "what is gone and was tried in vain is not tried for ever",
        Edit(
            "decisions/settling.py",
            "return self._stays(version_id) and version_id not in self.wish.failed",
            "return self._stays(version_id)",
        ),
        tests=DECISIONS,
    ),
    _mutant(
        "a-marker-by-message",
        "no message makes a marker of an object",
        Edit("usecases/work.py", "kind=old.kind if self.source is None else fresh.kind,", ""),
        tests=WRITTEN,
    ),
    _mutant(
        "untold-and-written",
        "what has failed for good is due until an operator has been told, whatever is written in between",
        Edit("usecases/leased_key.py", "if not self.untold:", "if True:"),
        tests=PARKED,
    ),
    _mutant(
        "left-out-and-in-the-way",
        "what was left out does not move the replica of a version that is gone",
        Edit("decisions/settling.py", "-inf if is_left_out else inf", "inf"),
        tests=DECISIONS,
    ),
    _mutant(
        "passed-over-and-left-open",
        "what was begun is looked after though its version is passed over when it comes again",
        Edit(
            "usecases/batch.py",
            "left = self._left_behind(work, work.failure)",
            "left = None",
        ),
        tests=WRITTEN,
    ),
    _mutant(
        "not-listed-yet-and-unlike",
        "of what has just been written no ETag is known, so nothing is unlike it",
        Edit(
            "decisions/replica.py",
            'comparable = digest is not None and replica.etag != "" and not replica.multipart',
            "comparable = digest is not None and not replica.multipart",
        ),
        tests=RECALL,
    ),
    _mutant(
        "order-of-another-null-version",
        "an event of a null version does not order the one that it finds, though that is gone again",
        Edit("usecases/work.py", "if replaced is not None:", "if False:"),
        tests=RULES,
    ),
    _mutant(
        "proof-forgotten",
        "what has the ETag that was foretold holds the version's bytes",
        Edit("usecases/leased_key.py", "proven=doubt and intent.unstamped_etag is not None", "proven=False"),
        tests=ADOPTION,
    ),
    _mutant(
        "left-out-and-adopted",
        "a marker that was left out is not found in what others have written",
        Edit("decisions/recollection.py", "if listed.version_id not in self.rows]", "]"),
    ),
    _mutant(
        "marker-adopted-from-before",
        "nothing is adopted that is older than its intent",
        Edit("usecases/leased_key.py", "version.last_modified >= intent.at - SKEW", "True"),
    ),
    _mutant(
        "clocks-agree",
        "the destination's clock may be behind ours by a few seconds, and tells whole seconds only",
        Edit(
            "usecases/leased_key.py",
            "version.last_modified >= intent.at - SKEW",
            "version.last_modified >= intent.at",
        ),
    ),
    _mutant(
        "doubt-forgotten",
        "a marker adopted by its place alone is in doubt",
        Edit("usecases/leased_key.py", "return version, True", "return version, False"),
    ),
    _mutant(
        "doubtful-marker-deleted",
        "a replica in doubt is never removed, even if its version was deleted",
        Edit("decisions/settling.py", "if row.doubt and (row.purged", "if False and (row.purged"),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "doubtful-replica-left",
        "a replica in doubt that is replaced is kept as a stray, not removed",
        Edit("usecases/leased_key.py", "    if row.doubt:\n", "    if False:\n"),
    ),
    # -- versions that are said to be gone
    _mutant(
        "one-answer-is-enough",
        "a version is gone only if the source's list, made after that answer, says so, too",
        Edit(
            "usecases/absence.py",
            "if not any(_is_meant(version, version_id) for version in listed):",
            "if True:",
        ),
        tests=ABSENCE,
    ),
    _mutant(
        "judged-by-an-old-list",
        "the list is made after the answer",
        Edit("usecases/leased_key.py", "if failure is not work.failure:", "if False:"),
        tests=ABSENCE,
    ),
    _mutant(
        "gone-before-listing",
        "who cannot list does not call it gone",
        Edit(
            "usecases/leased_key.py",
            "        except ReplicationError as unread:\n            return unread\n\n    # -- writes",
            "        except ReplicationError:\n            return failure\n\n    # -- writes",
        ),
        tests=ABSENCE,
    ),
    _mutant(
        "owed-and-forgotten",
        "what a replica is owed is not forgotten for one wrong answer",
        Edit("usecases/refresh.py", "{} if answer is gone else", "{} if answer else"),
        tests=ABSENCE,
    ),
    _mutant(
        "gone-for-good",
        "what is called gone and is listed is opened again by whoever lists",
        Edit("decisions/settling.py", "return reopened(row)", "return row"),
        tests=ABSENCE,
    ),
    # -- changes of versions that have no row
    _mutant(
        "changed-and-so-copied",
        "no change of a version makes a version",
        Edit(
            "usecases/leased_key.py",
            "        if not work.change.follows:\n            return True\n        row =",
            "        if work:\n            return True\n        row =",
        ),
        tests=FOLLOW_UPS,
    ),
    _mutant(
        "heard-and-forgotten",
        "what was heard before a version came is owed to it",
        Edit("decisions/ledger.py", "row = row.owing(change)", "pass"),
        tests=FOLLOW_UPS,
    ),
    _mutant(
        "heard-without-end",
        "what is heard of many versions does not fill the ledger",
        Edit("decisions/ledger.py", "(version_id, changes)][-MOST_HEARD:]", "(version_id, changes)]"),
        tests=FOLLOW_UPS,
    ),
    _mutant(
        "tagged-when-old",
        "only what is current is replicated for tags that it is given later",
        Edit("usecases/leased_key.py", "newest.version_id == work.version_id", "newest.version_id != ''"),
        tests=FOLLOW_UPS,
    ),
    # -- failures that only an operator can help with
    _mutant(
        "parked-or-not",
        "a row is due until the message is known to be parked",
        Edit("usecases/pass_state.py", "    if waiting:\n        leased.write()\n", ""),
        tests=PARKED,
    ),
    _mutant(
        "parked-again",
        "what has been parked is not due any more",
        Edit("usecases/pass_state.py", "leased.set_row(work.version_id, replace(row, due=None))", "pass"),
        tests=PARKED,
    ),
    # -- what others change about replicas
    _mutant(
        "stamp-is-proof",
        "a stamp alone does not say of which version something is a replica",
        Edit("usecases/replica_changes.py", "return same is True", "return True"),
        tests=REPLICA_CHANGES,
    ),
    _mutant(
        "origin-from-here",
        "what came from here itself is no origin",
        Edit(
            "usecases/replica_changes.py",
            "if stamp is not None and stamp.place == place_of(work.destination, key):",
            "if False:",
        ),
        tests=REPLICA_CHANGES,
    ),
    _mutant(
        "loosened-from-afar",
        "no hold is taken off, and no retention shortened, by what happens to a replica",
        Edit("usecases/replica_changes.py", "may_loosen=False", "may_loosen=True"),
        tests=REPLICA_CHANGES,
    ),
    _mutant(
        "waits-for-its-own-pool",
        "what a thread of the pool asks to be done in parallel it does itself",
        Edit("adapters/runtime.py", 'getattr(self._ours, "is_worker", False)', "False"),
        tests=THREADS,
    ),
    # -- unsettled
    _mutant(
        "settling-unmarked",
        "a key is marked unsettled before the first step of a repair",
        Edit(
            "usecases/leased_key.py",
            "self.head = replace(self.head, unsettled=True)",
            "self.head = replace(self.head)",
        ),
    ),
    _mutant(
        "resolved-and-settled",
        "whoever resolves an intent leaves the key unsettled",
        Edit("usecases/leased_key.py", "intent=None, unsettled=True)", "intent=None)"),
    ),
    _mutant(
        "upload-unmarked",
        "a key is marked unsettled before an upload is completed",
        Edit(
            "usecases/upload_pass.py",
            "        leased.unsettle()\n        leased.write()\n",
            "        leased.write()\n",
        ),
    ),
    _mutant(
        "duplicate-of-unclean-key",
        "a duplicate is acknowledged only if nothing of its key is in doubt or unsettled",
        Edit(
            "adapters/ledger.py",
            '    " AND attribute_not_exists(#intent) AND attribute_not_exists(#unsettled))"\n',
            '    ")"\n',
        ),
        Edit("adapters/ledger.py", "row.final and head.clean:", "row.final:"),
        tests=(*LEDGER, *FUNCTIONS),
    ),
    _mutant(
        "clean-whatever-is-open",
        "a key is clean only without an intent and without an unfinished repair",
        Edit(
            "decisions/ledger.py",
            "return self.intent is None and not self.unsettled",
            "return True",
        ),
    ),
    _mutant(
        "nobody-called",
        "a key that is left unsettled sends for the function that may settle it",
        Edit(
            "usecases/key_pass.py",
            "        if not self._settles and not leased.fit:\n",
            "        if False:\n",
        ),
    ),
    # -- the lease
    _mutant(
        "lease-not-exclusive",
        "one worker at a time holds a key",
        Edit("adapters/ledger.py", "OR #lease.#expires < :now)", "OR NOT #lease.#expires = :now)"),
        tests=LEDGER,
    ),
    _mutant(
        "lease-shared",
        "who does not get the lease does not work on the key",
        Edit(
            "usecases/leased_key.py",
            "    if not isinstance(answer, Granted):\n        return answer, None\n",
            "    if isinstance(answer, Held):\n"
            "        head = engine.ledger.history(key)[0]\n"
            "        return Granted(head), LeasedKey(\n"
            "            engine, key, source, head.lease.token, head, announced=intent\n"
            "        )\n"
            "    if not isinstance(answer, Granted):\n        return answer, None\n",
        ),
        Edit("usecases/leased_key.py", "DestinationBucket, Granted, ", "DestinationBucket, Granted, Held, "),
    ),
    _mutant(
        "settled-by-hand-without-lease",
        "settling by hand takes the lease, too",
        Edit(
            "usecases/by_hand.py",
            "        if isinstance(answer, Conflict):\n            self._review(",
            "        head = self.engine.ledger.history(key)[0]\n"
            "        if leased is None and head is not None and head.lease is not None:\n"
            "            leased = LeasedKey(\n"
            "                self.engine, key, source, head.lease.token, head, announced=None\n"
            "            )\n"
            "        if isinstance(answer, Conflict):\n"
            "            self._review(",
        ),
    ),
    _mutant(
        "held-acknowledged",
        "a message whose key is held comes again",
        Edit(
            "usecases/key_pass.py",
            "return done + [(later, busy(later)) for later in rest]",
            "return done + [(later, later.outcome(Result.DUPLICATE)) for later in rest]",
        ),
    ),
    _mutant(
        "gone-acknowledged",
        "a version that is gone takes the lease all the same: an intent for it may be open",
        Edit(
            "usecases/key_pass.py",
            "            answer, leased = take_lease(self._engine, work, deadline)\n",
            "            gone = Reason.SRC_VERSION_NOT_FOUND\n"
            "            if work.failure is not None and work.failure.reason is gone:\n"
            "                done.append((work, work.outcome(Result.GONE)))\n"
            "                continue\n"
            "            answer, leased = take_lease(self._engine, work, deadline)\n",
        ),
    ),
    _mutant(
        "tags-from-before-the-lease",
        "tags are read under the lease",
        Edit(
            "usecases/key_pass.py",
            "            answer, leased = take_lease(self._engine, work, deadline)\n",
            "            is_read = work.change.kind is ChangeKind.TAGGED and work.publishable\n"
            "            early = self._engine.source.tags(work.change.ref) if is_read else None\n"
            "            answer, leased = take_lease(self._engine, work, deadline)\n"
            "            if leased is not None:\n"
            "                leased.early = early\n",
        ),
        Edit(
            "usecases/refresh.py",
            "                pair.give(change, deadline)\n",
            '                early = getattr(leased, "early", None)\n'
            "                if change is ChangeKind.TAGGED and early is not None:\n"
            "                    leased.bucket.put_tags(leased.key.key, row.replica, early)\n"
            "                else:\n"
            "                    pair.give(change, deadline)\n",
        ),
        tests=RULES,
    ),
    _mutant(
        "past-the-deadline",
        "no visible write begins that may outlive its worker",
        Edit(
            "usecases/engine.py", "return self.clock.now() + self.timing.publish <= deadline", "return True"
        ),
    ),
    _mutant(
        "lease-without-grace",
        "a lease outlives its worker until whatever it has sent is over",
        Edit("usecases/leased_key.py", "deadline + engine.timing.grace)", "deadline)"),
    ),
    _mutant(
        "ledger-written-without-lease",
        "the head is written only by whoever holds the lease",
        Edit(
            "adapters/ledger.py",
            '_HOLDS: Final = "#lease.#token = :token"',
            '_HOLDS: Final = "(#lease.#token = :token OR NOT #lease.#token = :token)"',
        ),
        tests=LEDGER,
    ),
    _mutant(
        "rows-without-generation",
        "a row that has spilled is not overwritten by a worker that has lost its lease",
        Edit(
            "adapters/ledger.py",
            "OR #generation <= :generation",
            "OR #generation <= :generation OR #generation > :generation",
        ),
        tests=LEDGER,
    ),
    _mutant(
        "generations-uncounted",
        "every lease begins a new generation",
        Edit("adapters/ledger.py", 'update += " ADD #generation :one"', "values.pop(':one')"),
        tests=LEDGER,
    ),
    _mutant(
        "failed-record-swallowed",
        "nothing is acknowledged before the ledger says so",
        Edit(
            "usecases/pass_state.py",
            "        self.leased.release()\n        sent +=",
            "        try:\n"
            "            self.leased.release()\n"
            "        except Exception:\n"
            "            pass\n"
            "        sent +=",
        ),
    ),
    _mutant(
        "head-before-rows",
        "rows are spilled before the head lets go of them",
        Edit(
            "usecases/leased_key.py",
            "self._engine.ledger.put_rows(self.key, head.source, head.generation, self._until_told(out))\n",
            "pass\n",
        ),
        Edit(
            "usecases/leased_key.py",
            "        for vid, row in out.items():\n            self._note(vid, row)\n",
            "        for vid, row in out.items():\n            self._note(vid, row)\n"
            "        if out:\n"
            "            self._engine.ledger.put_rows(self.key, head.source, head.generation, out)\n",
        ),
    ),
    _mutant(
        "removed-before-recorded",
        "what takes the place of a replica is recorded before the replica is removed",
        Edit("usecases/settling.py", "        if self._unsaid:\n", "        if False:\n"),
    ),
    # -- what a replica is owed
    _mutant(
        "tags-left-to-another-upload",
        "a change of tags is not done with because another worker has completed an upload",
        Edit("usecases/upload_pass.py", "        leased.hear(self.work)\n", ""),
        tests=FOLLOW_UPS,
    ),
    _mutant(
        "acl-left-behind",
        "an ACL is carried over with every further copy",
        Edit(
            "decisions/ledger.py",
            "row = self.owing(ChangeKind.ACL_CHANGED) if self.acl else self",
            "row = self",
        ),
    ),
    _mutant(
        "change-forgotten-without-replica",
        "a change of tags or ACL is remembered for the copy that comes later",
        Edit("usecases/leased_key.py", "elif kind not in row.owed:", "elif False:"),
    ),
    _mutant(
        "debt-forgotten",
        "what could not be given to a replica stays owed",
        Edit(
            "usecases/refresh.py",
            "replace(stuck_row(engine, row, failure), owed=frozenset(failures))",
            "owing_nothing(row)",
        ),
    ),
    _mutant(
        "held-up-by-what-is-refused",
        "what is refused holds up nothing else that a replica is owed",
        Edit(
            "usecases/refresh.py",
            "failures[change] = reason\n",
            "failures[change] = reason\n                break\n",
        ),
        tests=CHANGES,
    ),
    _mutant(
        "annotations-left-behind",
        "a replica made part by part is owed its annotations",
        Edit("decisions/ledger.py", "        row = row.owing(ChangeKind.ANNOTATED)\n", ""),
    ),
    _mutant(
        "tags-left-behind",
        "a replica made part by part is owed its tags, unless its upload is known to have them",
        Edit(
            "decisions/ledger.py",
            "return row if tagged else row.owing(ChangeKind.TAGGED)",
            "return row",
        ),
        tests=CHANGES,
    ),
    _mutant(
        "tags-left-by-an-adopted-upload",
        "so is one that was found again after its worker died",
        Edit("usecases/leased_key.py", "tagged=_is_tagged(old, intent)", "tagged=True"),
        tests=CHANGES,
    ),
    _mutant(
        "tags-beyond-the-header",
        "what S3 does not take as headers is not sent as headers",
        Edit("decisions/replica.py", "min(_TAGS_BY_HEADER, _ROOM - _size(request))", "100_000"),
        tests=WIRE,
    ),
    _mutant(
        "stamp-beyond-the-header",
        "a stamp is left out before the headers of a request are too long",
        Edit("decisions/replica.py", "    return size <= _ROOM\n", "    return True\n"),
        tests=WIRE,
    ),
    _mutant(
        "headers-in-utf-8",
        "a header is sent in the bytes it was read in",
        Edit("adapters/destination.py", 'return value.encode("latin-1")', "return value.encode()"),
        tests=WIRE,
    ),
    _mutant(
        "answers-as-they-come",
        "an answer is read whatever characters the key in it has",
        Edit("adapters/s3_answers.py", "_NO_XML.sub(_REPLACEMENT, _REFERENCE.sub(_known, body))", "body"),
        tests=WIRE,
    ),
    _mutant(
        "tags-made-readable",
        "what is read to be written again is never replaced",
        Edit("adapters/s3_answers.py", "operation_model.name not in _TAKEN_OVER", "True"),
        tests=WIRE,
    ),
    _mutant(
        "gone-by-a-status",
        "a 404 that does not say what is missing proves nothing",
        Edit(
            "decisions/failures.py",
            '_CODE_OF_STATUS: Final[Mapping[str, str]] = {"405"',
            '_CODE_OF_STATUS: Final[Mapping[str, str]] = {"404": "NoSuchVersion", "405"',
        ),
        tests=WIRE,
    ),
    _mutant(
        "notifications-without-what-is-unknown",
        "a notification configuration with what the SDK does not know is never written",
        Edit("adapters/bucket_admin.py", "        parsed[UNKNOWN] = unknown\n", "        pass\n"),
        tests=WIRE,
    ),
    _mutant(
        "annotations-left-by-an-adopted-upload",
        "so is one that was found again after its worker died",
        Edit(
            "usecases/leased_key.py", "copied_anew(by_parts=replica.multipart", "copied_anew(by_parts=False"
        ),
    ),
    _mutant(
        "surplus-annotations-kept",
        "an annotation that was taken away at the source is taken away",
        Edit("usecases/annotations.py", "in differing.surplus:", "in ():"),
    ),
    _mutant(
        "debt-swept-as-a-version",
        "a due row that owes something sends for what it owes",
        Edit("decisions/letters.py", "if row.final and row.live and row.owed:", "if False:"),
    ),
    _mutant(
        "debt-parked-as-a-version",
        "what is parked for a settled version asks for what its replica is owed",
        Edit("decisions/letters.py", "_named(change) | _asking_for(row)", "_named(change)"),
    ),
    _mutant(
        "second-upload-left-open",
        "an upload that a row remembers no longer is aborted, as when another one has been completed",
        Edit(
            "usecases/leased_key.py",
            "if upload is not None and upload != row.upload and upload.nonce != row.nonce:",
            "if False:",
        ),
    ),
    _mutant(
        "remembered-upload-aborted",
        "what a message brings is not aborted while the row remembers it",
        Edit(
            "usecases/uploads.py",
            "if row is not None and (row.upload == upload or row.nonce == upload.nonce):",
            "if False:",
        ),
        tests=UPLOADS,
    ),
    _mutant(
        "upload-of-what-is-settled-remembered",
        "the rows of a settled key remember no upload",
        Edit("usecases/settling.py", "elif row.upload is not None:", "elif False:"),
        tests=UPLOADS,
    ),
    _mutant(
        "refused-upload-remembered",
        "an upload whose parts cannot be copied is forgotten with its abort",
        Edit("usecases/pass_state.py", "            row = replace(row, upload=None)\n", ""),
        tests=UPLOADS,
    ),
    _mutant(
        "aborted-upload-brought-back",
        "an upload that a message brings, and that is gone, is not remembered",
        Edit("usecases/settling.py", "if is_dead and row.upload == upload:", "if False:"),
        tests=UPLOADS,
    ),
    _mutant(
        "first-outcome-counts",
        "a large copy's message comes again if nobody could be asked to repair its key",
        Edit("usecases/large_copy.py", "return [outcome for _, outcome in done]", "return [done[0][1]]"),
        tests=UPLOADS,
    ),
    # -- visible writes
    _mutant(
        "publish-repeated-by-sdk",
        "the SDK sends a visible write once",
        Edit(
            "adapters/clients.py",
            "attempts=1, read_timeout=read_timeout)",
            "attempts=4, read_timeout=read_timeout)",
        ),
        tests=FUNCTIONS,
    ),
    _mutant(
        "version-id-from-list",
        "the id of a replica comes from the answer, not from a look afterwards",
        Edit(
            "adapters/destination.py",
            '            etag = told(Call.DST_COPY, result, "ETag")\n',
            '            etag = told(Call.DST_COPY, result, "ETag")\n'
            '        answer["VersionId"] = self.versions(key)[0].version_id\n',
        ),
        Edit(
            "adapters/destination.py",
            '        return self._published(answer, "", None)\n',
            '        answer["VersionId"] = self.versions(key)[0].version_id\n'
            '        return self._published(answer, "", None)\n',
        ),
        Edit(
            "adapters/destination.py",
            "        return self._published(answer, etag, checksum_of(answer))\n",
            '        answer["VersionId"] = self.versions(key)[0].version_id\n'
            "        return self._published(answer, etag, checksum_of(answer))\n",
        ),
        tests=FUNCTIONS,
    ),
    _mutant(
        "hidden-already",
        "every marker at the source has a marker of its own",
        Edit(
            "usecases/leased_key.py",
            "            return self.bucket.put_marker(work.key.key)\n",
            "            top = self.bucket.versions(work.key.key)[:1]\n"
            "            if top and top[0].kind is Kind.MARKER:\n"
            "                return Published(top[0].version_id)\n"
            "            return self.bucket.put_marker(work.key.key)\n",
        ),
    ),
    _mutant(
        "upload-taken-to-be-on-top",
        "after an upload was completed the list says where it stands",
        Edit("usecases/upload_pass.py", "if self._stands_on_top(row):", "if True:"),
    ),
    _mutant(
        "upload-taken-to-be-on-top-when-settling",
        "after an upload was completed the list says where it stands, in a repair, too",
        Edit(
            "usecases/settling.py",
            "        if work.large:\n            # Where",
            "        if False:\n            # Where",
        ),
    ),
    # -- order
    _mutant(
        "uploads-by-sequencer",
        "a sequencer does not order a multipart upload",
        Edit(
            "decisions/order.py",
            "if one.multipart or other.multipart or one.sequencer is None",
            "if one.sequencer is None",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "high-water-mark",
        "a version is late below a live replica, not below whatever was applied once",
        Edit(
            "decisions/ledger.py",
            "for vid, row in self.rows.items() if row.live}",
            "for vid, row in self.rows.items()}",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "late-without-anything-newer",
        "a version is left out only if something newer stands",
        Edit(
            "decisions/settling.py",
            "if above.here:",
            "if above.versions:",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "top-forgotten",
        "the head knows the newest of the replicas whose rows have spilled",
        Edit(
            "decisions/ledger.py",
            "everything = [*live, *([self.top] if self.top else [])]",
            "everything = [*live]",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "top-trusted-within-a-second",
        "of replicas of one second whose rows have spilled, times do not tell the newest",
        Edit(
            "usecases/leased_key.py",
            "return is_ranked and bool(newer_by_sequencer(order, top[1]))",
            "return True",
        ),
        tests=("tests/unit/test_placing.py",),
    ),
    _mutant(
        "superseded-for-ever",
        "what was left out is wanted again when nothing newer is left",
        Edit(
            "decisions/settling.py",
            "        if row.status is Status.SUPERSEDED:\n            return True\n",
            "        if row.status is Status.SUPERSEDED:\n            return False\n",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "late-markers-replayed",
        "a late marker is left out: replaying it would show a deletion that is not so",
        Edit("decisions/settling.py", "return row.kind is Kind.MARKER or self", "return self"),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "replay-unbounded",
        "a replay is bounded",
        Edit(
            "decisions/settling.py",
            "            return Reason.REPLAY_TOO_LARGE\n",
            "            return None\n",
        ),
        tests=DECISIONS,
    ),
    _mutant(
        "gone-forgotten-in-a-replay",
        "a replica whose source version is gone is copied again from itself",
        Edit(
            "usecases/settling.py",
            "if is_refused and row.live and row.final and row.copyable:",
            "if False:",
        ),
    ),
    _mutant(
        "gone-by-guess",
        "what the source no longer lists is ordered by its time where sequencers cannot tell",
        Edit(
            "decisions/order.py",
            "    if newer is None and one.last_modified != other.last_modified:\n",
            "    if False:\n",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "gone-on-top",
        "a version that is gone stands below what is newer",
        Edit(
            "decisions/in_order.py",
            "halves = _insert(self._root, highest, leaf)",
            "halves = _insert(self._root, self._root.count, leaf)",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "tie-lost",
        "in a tie of times the newest listed version stands above one that is gone",
        Edit("decisions/settling.py", "if version_id != newest and self._is_here(", "if self._is_here("),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "tie-before-facts",
        "what can be told from facts is not decided by a tie with another version",
        Edit("decisions/in_order.py", "_first(self._root, lowest, lambda", "_first(self._root, 0, lambda"),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "ties-trusted",
        "of replicas of one second the newest is known only if each has a sequencer that ranks it",
        Edit(
            "decisions/ledger.py",
            "ranks = not unsure and all(order.rank is not None for _, order in of_second)",
            "ranks = True",
        ),
        tests=("tests/unit/test_placing.py",),
    ),
    # -- many versions of a key
    _mutant(
        "planned-though-it-moves-others",
        "a step is not planned that the one before it may change",
        Edit("decisions/settling.py", "alone = self._tied or any(", "alone = any("),
        tests=("tests/unit/test_settling_oracle.py",),
    ),
    _mutant(
        "planned-past-what-becomes-removable",
        "what may be removed only now is removed in its turn",
        Edit("decisions/settling.py", "if row.left and not row.final:", "if False:"),
        tests=("tests/unit/test_settling_oracle.py",),
    ),
    _mutant(
        "listed-out-of-time",
        "whoever has no time to list a key lets it go",
        Edit(
            "usecases/leased_key.py",
            "source = self._engine.source.versions(ref.bucket, ref.key, self.in_time)",
            "source = self._engine.source.versions(ref.bucket, ref.key)",
        ),
        tests=MANY,
    ),
    _mutant(
        "place-looked-for-out-of-time",
        "whoever has no time to look for a version's place leaves it to the second function",
        Edit(
            "usecases/leased_key.py", "ref.key, self.in_time, ids, above)", "ref.key, until=ids, above=above)"
        ),
        tests=MANY,
    ),
    _mutant(
        "rows-written-at-the-end",
        "rows are written in portions, as long as there is time",
        Edit("usecases/leased_key.py", "if len(self._rows) > _MANY:", "if False:"),
        tests=MANY,
    ),
    _mutant(
        "late-without-a-budget",
        "what late versions have copied again is limited by the hour",
        Edit("decisions/settling.py", "COPIES_AN_HOUR - spent.versions", "COPIES_AN_HOUR"),
        tests=MANY,
    ),
    _mutant(
        "late-without-an-hour",
        "an hour later late versions are put in their place again",
        Edit("decisions/settling.py", "if spent is None or spent.hour != hour_of(now):", "if spent is None:"),
        tests=MANY,
    ),
    _mutant(
        "job-with-a-budget",
        "what a job asks for is not limited by the hour",
        Edit(
            "usecases/lanes.py",
            "    return KeyPass(engine, settles=True).run\n",
            "    return KeyPass(engine, settles=True, spares=True).run\n",
        ),
        tests=MANY,
    ),
    _mutant(
        "gone-ids-remembered",
        "a row forgets what is not there any more",
        Edit("decisions/settling.py", "        row = self._trimmed(row)\n", ""),
        tests=MANY,
    ),
    _mutant(
        "strays-without-end",
        "a row remembers a bounded number of ids",
        Edit("decisions/ledger.py", "(*self.stray, *ids)[-MOST_IDS:]", "(*self.stray, *ids)"),
        tests=MANY,
    ),
    _mutant(
        "full-copied-again",
        "a version is not copied again while its former copies cannot be removed",
        Edit("decisions/settling.py", "above.size > most.size or above.full:", "above.size > most.size:"),
        tests=MANY,
    ),
    _mutant(
        "portion-passed-over",
        "nothing newer is copied while an older version has to come again",
        Edit(
            "usecases/job_batch.py",
            "for version in left], deadline, progress, portion.above):",
            "for version in left], deadline, progress, portion.above) and False:",
        ),
        tests=MANY,
    ),
    _mutant(
        "window-taken-for-the-list",
        "what is not found below a version is looked for in the whole list",
        Edit(
            "usecases/source_list.py",
            "return self._window.keys() >= set(ids)",
            "return bool(self._window)",
        ),
        tests=LONG_KEYS,
    ),
    _mutant(
        "window-that-must-begin",
        "a list that cannot begin below a version is read from its beginning",
        Edit("usecases/source_list.py", "suppress(TerminalError, SourceGone)", "suppress()"),
        tests=LONG_KEYS,
    ),
    _mutant(
        "newest-of-a-window",
        "who asks for the newest version is told the newest of all",
        Edit(
            "usecases/source_list.py",
            "newest = next(iter(self._top), None)",
            "newest = next(iter(self._window or self._top), None)",
        ),
        tests=LONG_KEYS,
    ),
    _mutant(
        "second-known-too-early",
        "rows of a second that has begun before this lease are read",
        Edit(
            "usecases/leased_key.py", "self._known_since < order.second", "self._known_since <= order.second"
        ),
        tests=("tests/unit/test_placing.py",),
    ),
    _mutant(
        "portion-within-a-second",
        "a portion ends with a second",
        Edit(
            "decisions/selection.py",
            "end < min(begin + most + most // 2, len(versions)) and (",
            "False and (",
        ),
        tests=LONG_KEYS,
    ),
    _mutant(
        "portion-begun-in-vain",
        "a portion that cannot be ended in time is not begun",
        Edit("usecases/job_batch.py", "self._has_time(deadline - took)", "self._has_time(deadline)"),
        tests=LONG_KEYS,
    ),
    _mutant(
        "portion-done-before-it-is-told",
        "a portion is done when its tasks are kept",
        Edit(
            "usecases/job_progress.py",
            '        self.store.write(self._beside("tasks",',
            "        self.divided[key] = replace(one, done=one.done + 1)\n"
            "        self._tasks, kept = {}, self._tasks\n"
            "        self.save()\n"
            "        self._tasks = kept\n"
            '        self.store.write(self._beside("tasks",',
        ),
        tests=LONG_KEYS,
    ),
    _mutant(
        "divided-before-it-is-written",
        "a key is divided when its portions are kept",
        Edit(
            "usecases/job_progress.py",
            "        number, count = len(self.divided), 0\n",
            "        number, count = len(self.divided), 0\n"
            "        self.divided[key] = Divided(number, sum(1 for _ in portions(versions, most)))\n"
            "        self.save()\n"
            "        del self.divided[key]\n",
        ),
        tests=LONG_KEYS,
    ),
    _mutant(
        "half-recognised",
        "nothing is copied before every replica has been recognised",
        Edit("usecases/by_hand.py", "            if recalled.complete:\n", "            if True:\n"),
        tests=MANY,
    ),
    _mutant(
        "time-spent-as-a-failure",
        "that there was no time for a version is no failure of its own",
        Edit("usecases/settle_pass.py", "if failure.reason is Reason.BUSY:", "if False:"),
        tests=MANY,
    ),
    # -- removing
    _mutant(
        "blocked-uncovered",
        "a replica that cannot be removed and hides the newest one is covered",
        Edit("decisions/settling.py", "for one in (*row.stray, *row.blocked))", "for one in row.stray)"),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "stray-uncovered",
        "a replica that may be foreign and hides the newest one is covered",
        Edit("decisions/settling.py", "for one in (*row.stray, *row.blocked))", "for one in row.blocked)"),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "lock-fought",
        "a removal that a lock refuses is not tried again by itself",
        Edit("usecases/settling.py", "if failure.reason is Reason.DST_OBJECT_LOCKED:", "if False:"),
    ),
    _mutant(
        "no-tombstone",
        "a delete that overtakes its create leaves a tombstone",
        Edit(
            "usecases/settling.py",
            "if not self.sides().lists(vid) and vid != NULL:",
            "if vid in rows and not self.sides().lists(vid) and vid != NULL:",
        ),
    ),
    _mutant(
        "lost-copied-again",
        "what others removed at the destination is not copied again",
        Edit(
            "decisions/settling.py",
            "return removed_by_others(row) if row.live and not here else row",
            "return row",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "lost-and-due",
        "a replica that others removed is not tried again for what it was waiting for",
        Edit(
            "decisions/settling.py",
            "return replace(lost, reason=None, detail=None, due=None, attempts=0)",
            "return lost",
        ),
    ),
    _mutant(
        "restore-forgotten",
        "what an operator wants restored stays wanted until it is there",
        Edit(
            "decisions/settling.py",
            "return row.lost and row.reason not in (None, Reason.DST_OBJECT_LOCKED, Reason.NOT_OURS)",
            "return False",
        ),
    ),
    _mutant(
        "restore-unwritten",
        "what an operator wants restored is written down before anything is done",
        Edit(
            "usecases/settling.py",
            "elif row.final and self.is_lost(row) and (row.live or row.reason is None):",
            "elif False:",
        ),
    ),
    _mutant(
        "unknown-removed",
        "only ids the ledger knows are removed",
        Edit(
            "decisions/settling.py",
            "    def removable(self) -> Iterator[Remove]:\n",
            "    def removable(self) -> Iterator[Remove]:\n"
            "        known = {one for row in self.rows.values() for one in row.ids()}\n"
            "        for vid in [*self.rows][:1]:\n"
            "            yield from (Remove(vid, one) for one in self._place if one not in known)\n",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "unlisted-purged",
        "a version that nobody deleted keeps its replica",
        Edit(
            "decisions/settling.py",
            "        return row.live and not row.purged\n",
            "        return False\n",
        ),
        tests=(*DECISIONS, *IN_MEMORY),
    ),
    _mutant(
        "expiration-replicated",
        "a lifecycle expiration is not replicated",
        Edit(
            "decisions/events.py",
            '    "ObjectRemoved:Delete": ChangeKind.REMOVED,\n',
            '    "ObjectRemoved:Delete": ChangeKind.REMOVED,\n'
            '    "LifecycleExpiration:Delete": ChangeKind.REMOVED,\n',
        ),
    ),
    _mutant(
        "deletes-unlimited",
        "the breaker is asked before a version is deleted",
        Edit(
            "adapters/ledger.py", "AND #count < :limit AND", "AND (#count < :limit OR #count >= :limit) AND"
        ),
        tests=LEDGER,
    ),
    _mutant(
        "only-good-replica-removed",
        "what an unverified replica replaced is kept",
        Edit("decisions/settling.py", "if row.live and not row.final:\n", "if False:\n"),
    ),
    # -- null versions
    _mutant(
        "null-marker-unselected",
        "the rules are asked about the null version that is there, whatever the event was about",
        Edit("usecases/routing.py", "if kind is self.change.version_kind:", "if True:"),
    ),
    _mutant(
        "null-gone-unresolved",
        "a null version that is gone leaves no intent open",
        Edit("usecases/null_changes.py", "head.is_of(work.source_key) and not head.clean", "False"),
    ),
    _mutant(
        "null-without-name",
        "a letter names the null version it is about",
        Edit("decisions/letters.py", "if not is_null(change.version_id):", "if True:"),
    ),
    _mutant(
        "null-ordered-by-event",
        "an event of a null version does not order the one it finds",
        Edit(
            "usecases/work.py",
            "sequencer = None if is_null(self.version_id) else self.change.sequencer",
            "sequencer = self.change.sequencer",
        ),
    ),
    _mutant(
        "null-is-a-version",
        "a null version has a name that tells it from the next one",
        Edit("decisions/versions.py", "    if version_id != NULL:\n", "    if version_id:\n"),
        tests=S3,
    ),
    # -- rules that collide, and probes
    _mutant(
        "collision-refused-in-force",
        "what a former release accepted is read, though its rules collide",
        Edit(
            "adapters/configuration_document.py",
            "return _parsed(text, source_bucket, in_force=True)",
            "return _parsed(text, source_bucket, in_force=False)",
        ),
        tests=IN_FORCE,
    ),
    _mutant(
        "collision-let-in",
        "rules that collide are not put in force",
        Edit("decisions/replication_document.py", "    if not in_force:\n", "    if False:\n"),
        tests=IN_FORCE,
    ),
    _mutant(
        "collision-heads-left-out",
        "a stronger rule may leave only keys that begin in some way",
        Edit("decisions/collisions.py", 'return dict.fromkeys(["", *rests, *begun])', 'return {"": None}'),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-substring-at-the-seam",
        "what a rule asks for may begin in the prefix",
        Edit(
            "decisions/collisions.py",
            'return dict.fromkeys(["", *rests, *begun])',
            'return dict.fromkeys(["", *rests])',
        ),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-tails-left-out",
        "keys that meet may have to end in some way",
        Edit("decisions/collisions.py", 'return dict.fromkeys(["", *ends])', 'return {"": None}'),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-bare-words-left-out",
        "a suffix may begin in the prefix",
        Edit("decisions/collisions.py", "    yield from _bare(one, other)\n", ""),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-substring-of-one-side",
        "what one rule asks for may be in its prefix, and must not be in the other's key",
        Edit(
            "decisions/collisions.py",
            'pairs = product([*here, ""], [*there, ""])',
            'pairs = product(here or [""], there or [""])',
        ),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-by-a-hidden-rule",
        "of a rule that never decides no key meets another",
        Edit(
            "decisions/collisions.py",
            "        return self.rule.filter.admits(key) and _object(",
            "        return self.rule.filter.admits(key) or _object(",
        ),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-search-without-end",
        "the search for collisions has a limit",
        Edit("decisions/collisions.py", "        if self.left < 0:\n", "        if False:\n"),
        tests=COLLISIONS,
    ),
    _mutant(
        "collision-in-force-not-told",
        "of rules in force that collide a metric tells",
        Edit(
            "adapters/configuration_store.py",
            "        if self._collision is not None:\n",
            "        if False:\n",
        ),
        tests=("tests/functional/test_key_transform.py",),
    ),
    _mutant(
        "collision-stops-an-update",
        "a running stack is not kept from a new release by rules that collide",
        Edit(
            "usecases/deployment_check.py",
            'new=request["RequestType"] == "Create"',
            "new=True",
        ),
        tests=("tests/functional/test_deployment_check.py",),
    ),
    _mutant(
        "probe-at-the-root",
        "a probe lies where replicas of its rule lie",
        Edit("decisions/probe.py", "_key(self.prefix, nonce, number)", '_key("", nonce, number)'),
        tests=PREFLIGHT,
    ),
    _mutant(
        "probes-without-number",
        "no more than twenty probes are written to a bucket",
        Edit("decisions/probe.py", "if _has_room(place)][:MOST]", "if _has_room(place)]"),
        tests=PREFLIGHT,
    ),
    _mutant(
        "left-out-in-silence",
        "prefixes that are not probed are named",
        Edit("usecases/preflight.py", "        report.findings += about_left_out(plan)\n", ""),
        tests=("tests/functional/test_preflight.py",),
    ),
    _mutant(
        "marker-probed-anywhere",
        "a delete marker is tried only where a rule would write one",
        Edit(
            "decisions/probe.py",
            "_Place(prefix, kind, rule, kms, rule.delete_markers)",
            "_Place(prefix, kind, rule, kms, True)",
        ),
        tests=PREFLIGHT,
    ),
    _mutant(
        "probe-by-key",
        "an object of a user that has the key of a probe is replicated",
        Edit(
            "usecases/probes.py",
            "return isinstance(version, SourceObject) and is_written_by_a_check(version)",
            "return True",
        ),
        tests=INTAKE,
    ),
    _mutant(
        "probe-replicated",
        "a probe of another stack is not replicated onward, nor is its delete marker",
        Edit("usecases/probes.py", "if not is_probe(change.key) or", "if is_probe(change.key) or"),
        tests=INTAKE,
    ),
    _mutant(
        "any-number-of-records",
        "a message of more records than anybody sends leaves nothing but itself, parked",
        Edit("decisions/events.py", "if len(records) > MOST_RECORDS:", "if len(records) < 0:"),
        tests=INTAKE,
    ),
    _mutant(
        "parked-in-one-form",
        "what a queue refuses for its size is said again in less room",
        Edit("adapters/queues.py", "ensure_ascii=False, separators", "ensure_ascii=True, separators"),
        tests=INTAKE,
    ),
    _mutant(
        "sns-in-sns",
        "an envelope of SNS is opened once",
        Edit(
            "decisions/events.py",
            "is_from_sns(document):\n            raise",
            "not document:\n            raise",
        ),
        tests=("tests/unit/test_sns.py",),
    ),
    _mutant(
        "any-name-of-a-report",
        "only a plain name becomes a file where an operator saves a report",
        Edit("decisions/job_report.py", "return _FILE_NAME.fullmatch(text) is not None", "return bool(text)"),
        tests=("tests/unit/test_job_report.py",),
    ),
    _mutant(
        "any-batch",
        "a worker writes only what belongs to a batch of its job",
        Edit("decisions/job.py", "and _BATCH.fullmatch(name, len(folder)) is not None", ""),
        tests=("tests/unit/test_job.py",),
    ),
    _mutant(
        "pointless-job",
        "a job that can match nothing does not begin",
        Edit("decisions/job_reach.py", "if problems:", "if len(problems) > 9:"),
        tests=("tests/unit/test_job_reach.py",),
    ),
    _mutant(
        "lenient-manifest",
        "a quotation of a manifest ends where its line does",
        Edit("decisions/manifest.py", "csv.reader(lines, strict=True)", "csv.reader(lines)"),
        tests=("tests/unit/test_manifest.py",),
    ),
    # -- what may be removed
    _mutant(
        "removed-unproven",
        "what does not bear out itself that it is ours stays",
        Edit(
            "usecases/settling.py",
            "if doubt is not None:\n                return",
            "if False:\n                return",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-without-stamp",
        "an object without a stamp that has room for one is not ours",
        Edit(
            "decisions/removal.py",
            'return "it bears no stamp, and has room for one"',
            "return None",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-from-elsewhere",
        "a stamp of another place proves nothing",
        Edit(
            "decisions/removal.py",
            "if stamp.place != place_of(self.bucket, self.key):",
            "if False:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-for-another",
        "a stamp of another version proves nothing",
        Edit(
            "decisions/removal.py",
            "if (stamp.source_bucket, stamp.version_id) != (self.ref.bucket, self.ref.version_id):",
            "if False:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-in-doubt",
        "what says nothing itself stays while anything of the key is in doubt",
        Edit(
            "decisions/removal.py",
            "if self.in_doubt:",
            "if False:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-too-old",
        "a marker older than the version at the source is no copy of it",
        Edit(
            "decisions/removal.py",
            'return "it is older than the version at the source" if is_too_old else None',
            "return None",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-at-another-time",
        "what says nothing itself was written when its row says so",
        Edit(
            "decisions/removal.py",
            "return None if self._is_of_its_time(self.listed) else",
            "return None if True else",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-of-another-kind",
        "a marker is no copy of an object, nor an object of a marker",
        Edit(
            "decisions/removal.py",
            "if self.listed is None or self.listed.kind is not self.row.kind:",
            "if self.listed is None:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-with-no-newer",
        "a former copy goes only when a newer one is there",
        Edit(
            "decisions/removal.py",
            "if doubt is None and self.replaced:",
            "if False:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-for-a-younger",
        "what is younger than a copy was not replaced by it",
        Edit(
            "decisions/removal.py",
            "if listed.last_modified > newer.last_modified and not self.just_made:",
            "if False:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-for-anything",
        "what replaces a former copy bears out itself that it is of the same version",
        Edit(
            "decisions/removal.py",
            "return None if is_copy else",
            "return None if True else",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-uncounted",
        "one former copy for each new one is not counted, and no other",
        Edit(
            "usecases/settling.py",
            " and row.replica not in self._replaced:",
            ":",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-without-limit",
        "former copies that are left have a limit of their own",
        Edit(
            "usecases/settling.py",
            "            if self.engine.ledger.allow_copy_delete(destination, MOST_COPIES, now):",
            "            if True:",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-though-locked",
        "what is seen to be locked is not asked for, and not counted",
        Edit(
            "decisions/removal.py",
            'return lock.legal_hold == "ON" or (lock.until is not None and lock.until > now)',
            "return False",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-with-other-metadata",
        "what has no room for a stamp is no copy of what bears one",
        Edit(
            "decisions/removal.py",
            "self._doubt_of_stamp(newer_found) is None and not self._may_be_unstamped(found)",
            "self._doubt_of_stamp(newer_found) is None",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-though-newer-is-gone",
        "what is listed and said not to be there proves nothing",
        Edit(
            "usecases/settling.py",
            "        if found is None:\n            self._sides",
            "        if False:\n            self._sides",
        ),
        tests=REMOVAL,
    ),
    _mutant(
        "removed-by-a-clock",
        "the clock of a worker does not say which of two copies is newer",
        Edit("decisions/removal.py", " and not self.just_made:", ":"),
        tests=REMOVAL,
    ),
    _mutant(
        "refusal-forgotten",
        "a refusal is told until what it names is gone",
        Edit("usecases/by_hand.py", " and not settlement.sides().has(named_in(row.detail)):", ":"),
        tests=REMOVAL,
    ),
    _mutant(
        "outdone-upload-taken",
        "of two uploads prepared for one version the one that was chosen is used",
        Edit(
            "usecases/settling.py",
            "upload.upload_id) is None\n        except",
            "upload.upload_id) == ()\n        except",
        ),
        tests=UPLOADS,
    ),
    _mutant(
        "repair-never-begun",
        "what was not even begun to be put right is no success",
        Edit("usecases/reconcile.py", "is_left and not seen.is_open:", "False:"),
        tests=RECONCILE,
    ),
    _mutant(
        "told-in-two-portions",
        "a version that two portions tell of counts once",
        Edit("usecases/job_progress.py", "{task.version} {task.finding}", "{task.version} {task.status}"),
        tests=LONG_KEYS,
    ),
)
