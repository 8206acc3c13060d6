"""What walks have found, each as the shortest script that broke a promise, under the promise's name.

A wider model draws other walks from the same seed: so the steps are kept, not the seeds. They name versions
and messages by their place, and say nothing of how many calls a worker makes.
"""

from collections.abc import Mapping
from typing import Any, Final

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.job import JobKind
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Fate
from tests.unit.protocol.stack import Forgery
from tests.unit.protocol.walk import Script
from tests.unit.protocol.world import Terms, Topology

#: More calls than any worker makes.
_ALL: Final = 999


def _script(terms: Terms, *acts: tuple[Any, ...]) -> Script:
    return Script(terms, tuple((act[0], act[1:]) for act in acts), wide=True)


def _put(key: str = "a", *, large: bool = False, crowded: bool = False) -> tuple[Any, ...]:
    return "put", key, large, crowded


def _handle(queue: Queue = Queue.INGEST, which: int = 0) -> tuple[Any, ...]:
    return "handle", queue, which


def _together(*, count: int) -> tuple[Any, ...]:
    """A worker gets so many messages in one batch."""
    return "work", Queue.INGEST, 0, count, _ALL, Fate.DONE


def _settle(key: str = "a", *, restore: bool = False, purge: bool = False) -> tuple[Any, ...]:
    return "settle", key, restore, purge, _ALL, Fate.DONE


_DIES_AFTER_ITS_COPY: Final = (("fail", "copy", Fate.DIES_AFTER), _handle(), ("heal",))
_TWO_WAY: Final = Terms(topology=Topology.TWO_WAY, markers=False)
_MEETING: Final = Terms(stripped="x/", most_deletes=1000)

TRACES: Final[Mapping[str, Script]] = {
    # -- several source keys at one place
    "no_place_mixes_the_versions_of_two_source_keys": _script(
        _MEETING, _put("a"), _put("x/a"), _together(count=2)
    ),
    "no_live_version_loses_its_replica_to_another_source_key": _script(
        _MEETING, _put("a"), _put("x/a"), _together(count=2), _settle("a", purge=True)
    ),
    "a_place_that_nothing_is_left_of_can_be_taken_over": _script(
        _MEETING, _put("a"), ("purge", "a", 0), _handle(), _handle(), _handle(Queue.DEAD_LETTER), _put("x/a")
    ),
    "a_conflict_is_seen_after_its_message_has_expired": _script(
        _MEETING, _put("a"), _handle(), _put("x/a"), _handle(), ("expire_parked",)
    ),
    "what_is_taken_for_a_replica_waits_for_no_place": _script(
        _MEETING, _put("a"), _handle(), ("put_stamped", "x/a"), _handle()
    ),
    "what_was_heard_of_a_version_outlives_another_key_in_its_place": _script(
        _MEETING,
        *(_put("a", large=True), ("grant", "a", 0, "green"), _put("x/a", large=True)),
        *(("annotate", "x/a", 0, "red"), _handle(), _handle(which=1), _handle(which=2), _handle()),
    ),
    "what_was_heard_of_a_version_outlives_the_settling_of_another_key_in_its_place": _script(
        Terms(stripped="x/"), ("mark", "a"), ("put_before", "x/a"), ("grant", "x/a", 0, "green")
    ),
    "nothing_is_wanted_back_where_no_rule_puts_it_any_more": _script(
        Terms(late=LateVersions.SKIP),
        *(_put("x/a"), _handle(), ("meddle", "x/a", 3, False), ("fail", "copy", Fate.DIES_BEFORE)),
        *(_settle("x/a", restore=True), ("heal",), ("reconfigure", "stripped", True)),
    ),
    "what_is_taken_for_a_replica_takes_no_place_over": _script(
        _MEETING, ("mark", "x/a"), ("reconfigure", "markers", False), ("put_stamped", "a")
    ),
    "a_backfill_ends_where_a_key_finds_its_place_taken": _script(
        _MEETING, _put("a"), _handle(), ("put_before", "x/a"), ("finish_job", JobKind.BACKFILL)
    ),
    # -- what is taken for a replica
    "a_stamp_that_anybody_can_write_suppresses_nothing_in_silence": _script(Terms(), ("put_stamped", "a")),
    "a_version_restored_in_place_goes_to_the_other_side": _script(
        _TWO_WAY, _put(), _handle(), _put(), _handle(), ("turn", 1), ("copy_at_source", "a", 1)
    ),
    "a_version_restored_in_place_goes_to_a_declared_peer": _script(
        Terms(topology=Topology.TWO_WAY, declared=True),
        *(_put(), _handle(), ("turn", 1), ("copy_at_source", "a", 0)),
    ),
    "after_a_failover_everything_is_replicated_onward": _script(
        Terms(topology=Topology.FAILOVER), _put(), _handle(), ("fail_over",)
    ),
    "after_a_failover_everything_is_brought_back": _script(
        Terms(topology=Topology.FAILBACK), _put(), _handle(), ("fail_over",)
    ),
    "a_peers_replica_without_a_stamp_is_not_carried_onward_by_hand": _script(
        Terms(topology=Topology.TWO_WAY, declared=True), _put(crowded=True), _handle()
    ),
    "a_peers_replica_without_a_stamp_is_not_carried_onward_by_a_job": _script(
        Terms(topology=Topology.TWO_WAY, declared=True),
        *(_put(crowded=True), _handle(), ("turn", 1), ("finish_job", JobKind.BACKFILL)),
    ),
    # -- wrong absences
    "a_listed_version_is_not_given_up": _script(Terms(), _put(), ("hide", "a", 0), _handle()),
    "a_listed_version_is_not_given_up_when_its_copy_finds_it_gone": _script(
        Terms(), _put(), ("work", Queue.INGEST, 0, 1, 2, Fate.ABSENT), ("finish", 0)
    ),
    "a_job_reports_as_replicated_only_what_is": _script(
        Terms(), _put(), ("hide", "a", 0), _handle(), _put(), ("finish_job", JobKind.BACKFILL)
    ),
    # -- what changes about a version that nobody was told of
    "a_tag_creates_no_version": _script(
        Terms(), ("put_before", "a"), ("put_before", "a"), ("tag", "a", 1, "red"), _handle()
    ),
    "an_acl_creates_no_version": _script(Terms(), ("put_before", "a"), ("grant", "a", 0, "red"), _handle()),
    "an_annotation_creates_no_version": _script(
        Terms(), ("put_before", "a"), ("annotate", "a", 0, "red"), _handle()
    ),
    "an_acl_is_kept_whose_version_is_said_not_to_be_there": _script(
        Terms(), _put(), ("grant", "a", 0, "red"), ("hide", "a", 0), _handle(which=1), _handle()
    ),
    "an_acl_is_kept_that_overtakes_a_version_without_a_stamp_among_peers": _script(
        Terms(topology=Topology.TWO_WAY, declared=True),
        *(_put(large=True, crowded=True), ("grant", "a", 0, "red"), _handle(which=1), _handle()),
    ),
    # -- adoption
    "no_stamp_alone_makes_a_replica_of_a_planted_object": _script(
        Terms(), ("put_before", "a"), ("plant", "a", 0, 4), _settle()
    ),
    "a_worker_whose_clock_is_ahead_knows_its_own_copy": _script(
        Terms(skews=(7.0,)), _put(), *_DIES_AFTER_ITS_COPY
    ),
    "a_worker_whose_clock_is_minutes_ahead_knows_its_own_copy": _script(
        Terms(skews=(90.0, -90.0)), _put(), *_DIES_AFTER_ITS_COPY
    ),
    "a_replica_in_doubt_is_not_copied_without_its_doubt": _script(
        Terms(late=LateVersions.REPLAY),
        *(_put(), _handle(), ("begin_upload", "a", False), ("wait", 7, False), _put(crowded=True)),
        *(("fail", "copy", Fate.DIES_BEFORE), _handle(), ("write_foreign", "a", False), ("heal",)),
        *(("wait", 1300, False), _handle(), _handle(Queue.DEAD_LETTER), ("expire", "a", 0)),
        ("end_upload", 0),
    ),
    "no_foreign_marker_is_adopted_for_one_that_was_left_out": _script(
        Terms(late=LateVersions.REPLAY),
        *(("mark", "a"), ("begin_upload", "a", False), _put(), _handle(which=1), _handle()),
        *(_handle(Queue.DEAD_LETTER), ("write_foreign", "a", True), ("end_upload", 0)),
    ),
    # -- copies in place at the destination
    "a_storage_class_that_a_user_has_changed_is_not_undone": _script(
        Terms(), _put(), _handle(), ("store_otherwise", "a", 0)
    ),
    "settling_twice_after_a_copy_in_place_is_settling_once": _script(
        Terms(late=LateVersions.REPLAY),
        *(("put_before", "a"), _put(), _handle(), ("store_otherwise", "a", 0)),
    ),
    # -- costs
    "late_versions_of_a_key_cost_a_bounded_number_of_copies_an_hour": _script(
        Terms(late=LateVersions.REPLAY),
        *(("burst", "a", 50, 3), ("end_upload", 0), _handle(), _handle(Queue.DEAD_LETTER)),
        *(("end_upload", 0), _handle(), _handle(Queue.DEAD_LETTER)),
        *(("end_upload", 0), _handle(), _handle(Queue.DEAD_LETTER)),
    ),
    # -- what a dead worker leaves
    "a_row_of_a_dead_worker_that_no_head_tells_of_is_not_swept_for_ever": _script(
        Terms(),
        *(_put(), _put(), _put(), ("fail", "put_rows", Fate.DIES_AFTER), _settle(), ("heal",)),
        ("reconfigure", "added", True),
    ),
    "a_row_that_no_head_tells_of_is_closed_though_others_have_worked_on_the_key_since": _script(
        Terms(late=LateVersions.SKIP),
        *(_put(), _put(), _put(), ("fail", "put_rows", Fate.DIES_AFTER), _settle(), ("heal",)),
        *(("wait", 1300, False), ("mark", "a"), _handle(which=3), ("reconfigure", "added", True)),
    ),
    "what_was_prepared_for_a_replica_that_is_removed_is_given_up": _script(
        Terms(most_deletes=1000, late=LateVersions.REPLAY),
        *(_put(), _put(large=True), _handle(which=1), _put(), _handle(Queue.LARGE), _put(), ("mark", "a")),
        *(("purge", "a", 3), _put(large=True)),
    ),
    # -- what is not eligible
    "what_is_not_eligible_says_so_however_often_its_key_is_settled": _script(
        Terms(late=LateVersions.SKIP),
        *(("put_stamped", "a"), ("fail", "head", Fate.REFUSED), _handle(), ("heal",), ("put_before", "a")),
    ),
    "no_replica_goes_onward_because_it_could_not_be_looked_at": _script(
        Terms(topology=Topology.TWO_WAY, markers=False, declared=True),
        *(_put(crowded=True), _handle(), ("turn", 1), ("settle", "a", False, False, 6, Fate.LOST)),
    ),
    "a_job_that_cannot_ask_the_ledger_sends_no_replica_onward": _script(
        Terms(topology=Topology.CHAIN, declared=True),
        *(_put(crowded=True), _handle(), ("turn", 1), ("fail", "peek", Fate.REFUSED)),
        *(("job", JobKind.BACKFILL, _ALL, Fate.DONE), ("heal",)),
    ),
    "what_was_begun_is_found_though_its_version_is_passed_over_later": _script(
        Terms(),
        *(("put_stamped", "a"), ("put_stamped", "a"), ("fail", "copy", Fate.DIES_AFTER), _handle(which=1)),
        *(("heal",), _handle(), ("purge", "a", 1)),
    ),
    "what_was_begun_is_found_though_another_null_version_is_passed_over": _script(
        Terms(), ("switch", False), _put(), *_DIES_AFTER_ITS_COPY, ("put_stamped", "a")
    ),
    "what_failed_is_closed_though_its_version_is_passed_over_when_it_comes_again": _script(
        Terms(),
        *(("burst", "a", 4, 3), ("put_stamped", "a"), ("put_stamped", "a")),
        *(("work", Queue.INGEST, 2, 3, 0, Fate.DENIED), ("go_on", 0, 6, Fate.DIES_AMID)),
    ),
    "an_acl_that_changed_while_its_version_was_kept_out_comes_with_it": _script(
        Terms(stripped="x/", added="eu/"),
        *(_put("a"), _handle(), _put("x/a"), ("grant", "x/a", 0, "red"), _handle(), _handle()),
        *(("purge", "a", 0), ("meddle", "a", 0, False)),
    ),
    # -- what is given up
    "a_debt_that_only_an_operator_can_pay_is_parked_once_it_can_be": _script(
        Terms(),
        *(_put(large=True), _handle(), ("fail", "annotations", Fate.DENIED), ("fail", "park", Fate.REFUSED)),
        *(_handle(Queue.LARGE), ("heal",)),
    ),
    "a_failed_version_whose_name_is_used_again_is_parked_once_it_can_be": _script(
        Terms(),
        *(_put(), _handle(), ("switch", False), _put(), ("fail", "copy", Fate.DENIED)),
        *(("fail", "park", Fate.REFUSED), _handle(), ("heal",), _put()),
    ),
    "a_failed_version_that_turns_out_to_be_a_replica_does_not_stay_open": _script(
        Terms(topology=Topology.CHAIN, markers=False),
        *(_put(), _handle(), ("turn", 1), ("fail", "versions", Fate.DENIED), ("fail", "write", Fate.LOST)),
        *(_handle(), ("heal",)),
    ),
    "a_large_copy_that_failed_comes_again_if_nobody_can_be_asked_to_repair_its_key": _script(
        Terms(),
        *(_put(), _put(), _put(large=True), _handle(which=1), _handle(), _handle()),
        *(("fail", "versions", Fate.DENIED), _handle(Queue.DEAD_LETTER), ("heal",)),
        *(("fail", "tags", Fate.REFUSED), ("fail", "hand_over", Fate.REFUSED), _handle(Queue.LARGE)),
        ("heal",),
    ),
    "no_row_remembers_an_upload_that_was_aborted": _script(
        Terms(),
        *(_put(), _put(large=True), _handle(which=1), _handle(Queue.LARGE), _handle()),
        *(_handle(Queue.DEAD_LETTER), _handle(Queue.LARGE)),
        *(("meddle", "a", 0, False), ("meddle", "a", 0, False), _handle(Queue.DEAD_LETTER)),
    ),
    # -- whoever may send messages, or write to the ledger
    "no_message_surprises_a_worker": _script(
        Terms(), ("mark", "a"), ("forge", Forgery.PREPARE, "a", 0, "b", Queue.LARGE), _handle(Queue.LARGE)
    ),
    "no_message_takes_a_place_from_a_key": _script(
        Terms(), _put("a"), ("forge", Forgery.CREATED, "a", 0, "b", Queue.INGEST), _handle(which=1), _put("b")
    ),
    "no_message_publishes_somebody_elses_upload": _script(
        Terms(), _put(large=True), ("forge", Forgery.UPLOAD, "a", 0, "b", Queue.LARGE), _handle(Queue.LARGE)
    ),
    "no_message_makes_a_marker_of_an_object": _script(
        Terms(),
        *(_put(), ("forge", Forgery.MARKED, "a", 0, "b", Queue.INGEST), ("lose", 0)),
        *(("fail", "copy", Fate.DENIED), _handle(), ("heal",), ("reconfigure", "markers", False)),
    ),
    "no_foreign_version_is_removed_on_the_word_of_a_row": _script(
        Terms(),
        *(_put(), _handle(), ("write_foreign", "a", False), ("forge_left", "a", 0), _settle()),
    ),
}

#: Those that are broken today, and what goes wrong. Who keeps one takes it off.
NOT_YET_KEPT: Final[Mapping[str, str]] = {
    "no_message_publishes_somebody_elses_upload": "The upload that a message names is completed.",
}
