"""Objects that were there before the rules: by the functions of a job, as its state machine calls them."""

import csv
import gzip
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from functions.backfill.app import Unfinished
from s3replicator.adapters.destination import S3Destination
from s3replicator.adapters.job_store import S3JobStore
from s3replicator.adapters.runtime import SystemClock
from s3replicator.decisions.failures import RetryableError
from s3replicator.decisions.job import InvalidJob, job_document, parse_job
from s3replicator.decisions.manifest import InvalidManifest
from s3replicator.decisions.stamp import place_of
from s3replicator.usecases.survey import SurveyUnderWay
from tests.functional import jobs
from tests.functional.faults import Fault, faults, to_bucket
from tests.functional.passing_time import let_leases_run_out, let_time_pass
from tests.functional.recorder import Recording, recording_all
from tests.functional.world import CONTROL, ONE, SOURCE, TABLE, TWO, World

DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}
MARKERS: dict[str, Any] = {"DeleteMarkerReplication": {"Status": "Enabled"}}


@pytest.fixture
def one(world: World) -> World:
    world.rules(MARKERS)
    return world


def test_every_version_arrives_in_its_order(one: World) -> None:
    """Scenario 181; markers between versions are a matter for the end-to-end tests, since moto lists them
    apart."""
    for number in range(5):
        one.put("key", str(number).encode())
    one.put("gone", b"content")
    one.mark("gone")

    done = jobs.run(one)

    assert one.versions("key") == ["4", "3", "2", "1", "0"]
    assert one.versions("gone") == ["marker", "content"]
    assert done.summary["statuses"] == {"SUCCEEDED": 7, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
    assert one.at_rest("key")
    assert one.at_rest("gone")


def test_a_second_run_copies_nothing_and_asks_nothing_of_the_keys(one: World) -> None:
    for key in "abc":
        one.put(key)
    assert jobs.run(one, "first").count("CopyObject") == 3

    again = jobs.run(one, "second")
    assert again.batches == 0
    assert again.writes() == []
    assert {call.operation for call in again.calls} == {
        "ListObjectVersions",
        "ListObjectsV2",
        "BatchGetItem",
        "GetObject",
        "PutObject",
    }


def test_the_same_job_again_does_nothing(one: World) -> None:
    one.put("key")
    jobs.run(one, "job")
    one.put("later")
    again = jobs.run(one, "job")
    assert again.writes() == []
    assert one.versions("later") == []


def test_an_id_belongs_to_one_request(one: World) -> None:
    jobs.run(one, "job")
    with pytest.raises(InvalidJob, match="choose another id"):
        jobs.run(one, "job", Prefix="other/")


def test_a_live_write_during_the_run_stays_on_top(one: World) -> None:
    """Scenario 182: its event comes first."""
    for number in range(3):
        one.put("key", str(number).encode())
    one.deliver(one.put("key", b"live"))

    jobs.run(one)

    assert one.versions("key") == ["live", "2", "1", "0"]


def test_current_versions_only(one: World) -> None:
    one.put("key", b"old")
    one.put("key", b"new")
    one.put("gone")
    one.mark("gone")

    done = jobs.run(one, Scope="current")

    assert one.versions("key") == ["new"]
    assert one.versions("gone") == []
    assert len(done.tasks) == 1


@pytest.mark.parametrize(
    ("request_", "selected"),
    [
        ({"Prefix": "in/"}, {"in/small.txt", "in/large.bin"}),
        ({"MatchAnySuffix": [".txt", ".csv"]}, {"in/small.txt", "out/small.csv"}),
        ({"MatchAnySubstring": ["large"]}, {"in/large.bin"}),
        ({"MatchAnyPrefix": ["out/", "in/l"]}, {"in/large.bin", "out/small.csv"}),
        ({"ObjectSizeGreaterThanBytes": 10}, {"in/large.bin"}),
        ({"ObjectSizeLessThanBytes": 10}, {"in/small.txt", "out/small.csv"}),
        ({"MatchAnyStorageClass": ["STANDARD_IA"]}, {"in/large.bin"}),
        ({"CreatedBefore": "2020-01-01T00:00:00Z"}, set()),
        ({"CreatedAfter": "2020-01-01T00:00:00Z"}, {"in/small.txt", "in/large.bin", "out/small.csv"}),
    ],
)
def test_filters(one: World, request_: dict[str, Any], selected: set[str]) -> None:
    """Scenario 184: exactly that set."""
    one.put("in/small.txt", b"x")
    one.put("in/large.bin", b"x" * 100, StorageClass="STANDARD_IA")
    one.put("out/small.csv", b"x")

    done = jobs.run(one, **request_)

    assert {key for key in ("in/small.txt", "in/large.bin", "out/small.csv") if one.versions(key)} == selected
    assert set(done.told("key")) == selected


@pytest.mark.parametrize(
    ("name", "selected"), [("CreatedBefore", {"older"}), ("CreatedAfter", {"newer", "newest"})]
)
def test_versions_are_selected_by_when_they_were_made(
    one: World, name: str, selected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 184. A version of that very moment was made neither before it nor after."""
    for day, key in enumerate(("older", "at that moment", "newer", "newest"), start=1):
        made = datetime(2026, 11, day)  # noqa: DTZ001 - as moto has it
        monkeypatch.setattr("moto.s3.models.utcnow", lambda made=made: made)
        one.put(key)
    request: dict[str, Any] = {name: "2026-11-02T00:00:00Z"}
    done = jobs.run(one, **request)
    assert set(done.told("key")) == selected


def test_odd_keys(one: World) -> None:
    """Scenario 199."""
    keys = ["with space+plus", "percent%25%zz", "ünïcödé/\U0001f4be", "line\nbreak", "a//b/", "&<>'\""]
    for key in keys:
        one.put(key)
    jobs.run(one)
    assert all(one.versions(key) == ["content"] for key in keys)


def test_whatever_the_ledger_says_is_unfinished_is_tried(one: World) -> None:
    """Scenario 187: PENDING, FAILED, and never tried."""
    with faults(Fault("CopyObject", status=503, code="SlowDown", times=9)):
        one.deliver(one.put("pending"))
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=9)):
        one.deliver(one.put("failed"))
    one.put("never")
    assert [one.row(key).status for key in ("pending", "failed")] == ["PENDING", "FAILED"]

    done = jobs.run(one)

    assert all(one.versions(key) == ["content"] for key in ("pending", "failed", "never"))
    assert done.summary["statuses"]["SUCCEEDED"] == 3


def test_what_was_written_while_the_rule_was_off_is_caught_up_with(one: World) -> None:
    """Scenario 190."""
    for number in range(1, 5):
        one.deliver(one.put(f"{number}"))
    one.rules({**MARKERS, "Status": "Disabled"})
    one.settings()
    for number in range(5, 9):
        one.deliver(one.put(f"{number}"))
    assert jobs.run(one, "off").tasks == []
    assert [one.versions(f"{number}") for number in range(5, 9)] == [[]] * 4

    one.rules(MARKERS)
    one.settings()
    done = jobs.run(one, "on")
    assert done.told("key") == ["5", "6", "7", "8"]
    assert all(one.versions(f"{number}") == ["content"] for number in range(1, 9))


def test_what_is_written_after_a_rule_was_off_for_a_moment_arrives(one: World) -> None:
    """Scenario 191."""
    one.rules({**MARKERS, "Status": "Disabled"})
    one.settings()
    one.deliver(one.put("off"))
    one.rules(MARKERS)
    one.settings()
    one.deliver(one.put("on"))
    assert (one.versions("off"), one.versions("on")) == ([], ["content"])


def test_a_marker_comes_after_the_versions_it_hides(one: World) -> None:
    """Scenario 200: a lifecycle rule at the destination may remove a marker that hides nothing, and whatever
    came after it would be seen."""
    for key in ("a", "b"):
        for number in range(3):
            one.put(key, str(number).encode())
        one.mark(key)
    done = jobs.run(one)
    for key in ("a", "b"):
        made = [call.operation for call in done.calls if call.arguments.get("Key") == key]
        assert [name for name in made if name in ("CopyObject", "DeleteObject")] == [
            *["CopyObject"] * 3,
            "DeleteObject",
        ]
        assert one.versions(key)[0] == "marker"


def test_only_what_failed(one: World) -> None:
    with faults(Fault("CopyObject", status=403, code="AccessDenied", times=9)):
        one.deliver(one.put("failed"))
    one.put("never")
    jobs.run(one, ObjectReplicationStatuses=["FAILED"])
    assert (one.versions("failed"), one.versions("never")) == (["content"], [])


def test_a_destination_emptied_by_hand_is_filled_again_if_asked(one: World) -> None:
    """Scenario 188, where native replication refuses."""
    for key in "ab":
        one.deliver(one.put(key))
        one.s3.delete_object(Bucket=ONE, Key=key, VersionId=one.row(key).replica)

    jobs.run(one, "first")
    assert (one.versions("a"), one.versions("b")) == ([], [])

    done = jobs.run(one, "second", RestoreLost=True)
    assert (one.versions("a"), one.versions("b")) == (["content"], ["content"])
    assert done.summary["statuses"]["SUCCEEDED"] == 2
    assert jobs.run(one, "third", RestoreLost=True).writes() == []


def test_replicas_that_are_there_are_not_copied_again(one: World) -> None:
    """The ledger was lost: what a replica is stands in its stamp."""
    for number in range(3):
        one.deliver(one.put("key", str(number).encode()))
    for item in one.dynamodb.scan(TableName=TABLE)["Items"]:
        one.dynamodb.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    one.put("key", b"3")

    done = jobs.run(one)

    assert done.count("CopyObject") == 1
    assert one.versions("key") == ["3", "2", "1", "0"]
    assert done.summary["statuses"]["SUCCEEDED"] == 4
    assert one.at_rest("key")


def test_what_cannot_be_copied_is_reported_and_is_no_failure(one: World) -> None:
    """Scenario 194, without restoring."""
    one.put("archived", StorageClass="GLACIER")
    one.put("fine")

    done = jobs.run(one)

    [skipped] = [task for task in done.tasks if task["key"] == "archived"]
    assert (skipped["status"], skipped["reason"]) == ("SKIPPED", "SrcObjectNotEligible")
    assert done.summary["statuses"] == {"SUCCEEDED": 1, "FAILED": 0, "SKIPPED": 1, "PENDING": 0}


def test_what_its_owner_has_restored_is_copied(one: World) -> None:
    """Scenario 194: restoring is for the owner to do, and to pay for."""
    one.put("archived", StorageClass="GLACIER")
    jobs.run(one, "first")
    one.s3.restore_object(Bucket=SOURCE, Key="archived", RestoreRequest={"Days": 1})
    done = jobs.run(one, "second")
    assert done.summary["statuses"] == {"SUCCEEDED": 1, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
    assert one.head("archived")["StorageClass"] == "GLACIER"


def with_a_key_of_its_owner(key: str) -> tuple[Fault, ...]:
    """As Amazon S3 answers who reads an SSE-C object without its key; moto knows no such objects.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
    """
    message = (
        "The object was stored using a form of Server Side Encryption. The correct parameters must be"
        " provided to retrieve the object."
    )
    return tuple(
        Fault(
            operation,
            status=400,
            code="InvalidRequest",
            message=message,
            times=99,
            when=lambda request: f"/{key}?" in request.url,
        )
        for operation in ("HeadObject", "GetObject")
    )


@pytest.mark.parametrize("manifest", [False, True], ids=["listed", "by a manifest"])
def test_what_only_its_owner_can_read_is_reported_and_is_no_failure(one: World, manifest: bool) -> None:
    """SSE-C. A second run asks again, as its owner may have stored it differently."""
    request: dict[str, Any] = {}
    events = [one.put("secret", b"older"), one.put("fine"), one.put("secret")]
    if manifest:
        rows = "".join(f"{SOURCE},{one.key_of(event)},{one.version_of(event)}\n" for event in events)
        for job in ("first", "second"):
            give_manifest(one, job, **{"00000.csv": rows.encode()})
        request = {"ManifestColumns": ["Bucket", "Key", "VersionId"]}
    for job in ("first", "second"):
        with faults(*with_a_key_of_its_owner("secret")):
            done = jobs.run(one, job, **request)
        told = [task for task in done.tasks if task["key"] == "secret"]
        assert {task["version"] for task in told} == {one.version_of(event) for event in events[::2]}
        assert {(task["status"], task["reason"]) for task in told} == {("SKIPPED", "SrcObjectNotEligible")}
        assert all("SSE-C" in task["detail"] for task in told)
        assert done.summary["statuses"]["FAILED"] == done.summary["statuses"]["PENDING"] == 0
        assert done.summary["batchesFailed"] == 0
        reported = jobs.document(one, f"jobs/{job}/report/manifest.json")["Results"]
        assert {result["TaskExecutionStatus"] for result in reported} <= {"succeeded", "skipped"}

    assert one.versions("fine") == ["content"]
    assert one.versions("secret") == []
    assert {row.status for row in one.rows("secret")} == {"NOT_ELIGIBLE"}
    assert one.parked() == []


def test_what_its_owner_stores_differently_later_arrives(one: World) -> None:
    one.put("secret")
    with faults(*with_a_key_of_its_owner("secret")):
        jobs.run(one, "first")
    assert jobs.run(one, "second").summary["statuses"]["SUCCEEDED"] == 1
    assert one.versions("secret") == ["content"]


def test_a_failure_of_one_object_is_reported_and_stops_nothing(one: World) -> None:
    for key in "abc":
        one.put(key)
    denied = Fault(
        "CopyObject", status=403, code="AccessDenied", when=lambda request: request.url.endswith("/b")
    )
    with faults(denied):
        done = jobs.run(one)

    assert done.summary["statuses"] == {"SUCCEEDED": 2, "FAILED": 1, "SKIPPED": 0, "PENDING": 0}
    assert done.summary["reasons"]["FAILED"] == {"DstPutObjectNotPermitted": 1}
    # It goes the usual way, too.
    assert one.row("b").status == "FAILED"
    assert len(one.parked()) == 1


def test_what_is_delayed_is_waited_for(one: World) -> None:
    one.put("key")
    with faults(Fault("CopyObject", status=503, code="SlowDown")):
        done = jobs.run(one, between=lambda: (let_time_pass(one, rounds=1), None)[1])
    assert done.summary["statuses"]["SUCCEEDED"] == 1
    assert one.versions("key") == ["content"]


def test_large_objects_go_through_their_lane(one: World, small_parts: int) -> None:
    one.put_parts("key", [bytes(small_parts), b"rest"])
    done = jobs.run(one, between=one.drain)
    assert [len(content) for content in one.versions("key")] == [small_parts + 4]
    assert done.summary["statuses"]["SUCCEEDED"] == 1


def test_the_completion_report(one: World) -> None:
    """Scenario 197."""
    one.put("in order")
    one.put("archived", StorageClass="GLACIER")
    jobs.run(one, "job")

    manifest = jobs.document(one, "jobs/job/report/manifest.json")
    rows = []
    for result in manifest["Results"]:
        body = jobs.text(one, result["Key"])
        told = list(csv.reader(io.StringIO(body)))
        assert {row[3] for row in told} == {result["TaskExecutionStatus"]}
        rows += told
    named = {row[1]: row for row in rows}
    assert manifest["Format"] == "Report_CSV_20180820"
    assert named["in%20order"][0] == SOURCE
    assert named["in%20order"][3] == "succeeded"
    assert json.loads(named["in%20order"][6])["replica"] == one.row("in order").replica
    assert named["archived"][3:5] == ["skipped", "SrcObjectNotEligible"]


def test_a_report_of_failures_only(one: World) -> None:
    one.put("fine")
    jobs.run(one, "job", ReportScope="FailedTasksOnly")
    assert jobs.document(one, "jobs/job/report/manifest.json")["Results"] == []


def test_a_dry_run_changes_nothing(one: World) -> None:
    one.put("key")
    done = jobs.run(one, DryRun=True)
    assert done.writes() == []
    assert done.told("status") == ["SKIPPED"]
    assert one.versions("key") == []


def test_a_key_of_more_versions_than_a_line_takes(one: World) -> None:
    for number in range(520):
        one.put("key", str(number).encode())
    jobs.run(one)
    listed = one.s3.get_paginator("list_object_versions").paginate(Bucket=ONE)
    assert sum(len(page.get("Versions", [])) for page in listed) == 520
    assert one.content("key") == "519"


def test_a_key_that_takes_several_calls(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up in the middle of its versions; what is done is neither copied nor looked at again."""
    for number in range(30):
        one.put("key", str(number).encode())
    passed: list[float] = []
    now, copy = SystemClock.now, S3Destination.copy
    monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + sum(passed))

    def slow(*arguments: Any) -> Any:
        passed.append(60)
        return copy(*arguments)

    monkeypatch.setattr(S3Destination, "copy", slow)
    jobs.survey(one, "job", {"Kind": "backfill"})
    [name] = jobs.names(one, "jobs/job/batches/")
    calls = 0
    while True:
        calls += 1
        try:
            jobs.invoke(one, "backfill", {"job": "job", "batch": name})
            break
        except Unfinished:
            passed.clear()
    done = jobs.run(one, "job")

    assert 2 < calls < 6
    assert one.versions("key") == [str(number) for number in reversed(range(30))]
    assert done.summary["statuses"]["SUCCEEDED"] == len(done.tasks) == 30
    made = [call.operation for call in one.calls["backfill"]]
    assert made.count("CopyObject") == 30
    assert made.count("HeadObject") <= 30 * calls


def test_a_worker_that_dies_is_gone_on_with(one: World) -> None:
    """What is COMPLETED is not copied again."""
    for number in range(30):
        one.put(f"key-{number:02}")
    jobs.survey(one, "job", {"Kind": "backfill"})
    [name] = jobs.names(one, "jobs/job/batches/")
    killed = Fault(
        "PutObject", when=lambda request: "/partial/" in request.url, status=503, code="SlowDown", times=99
    )
    with faults(killed), pytest.raises(RetryableError):
        jobs.invoke(one, "backfill", {"job": "job", "batch": name})
    done = jobs.run(one, "job")

    assert done.count("CopyObject") == 0
    assert done.summary["statuses"]["SUCCEEDED"] == 30


def test_a_batch_that_comes_to_no_end_is_counted(one: World) -> None:
    one.put("key")
    jobs.survey(one, "job", {"Kind": "backfill"})
    report = {"step": "report", "job": "job", "attempt": 0}
    assert jobs.invoke(one, "survey", report)["failed"] == 1
    assert jobs.document(one, "jobs/job/report/summary.json")["batchesFailed"] == 1
    assert jobs.run(one, "job").summary["batchesFailed"] == 0


def test_two_runs_at_once_do_not_copy_twice(one: World) -> None:
    """Both have seen that everything is missing."""
    for number in range(5):
        one.put("key", str(number).encode())
    for job in ("first", "second"):
        jobs.survey(one, job, {"Kind": "backfill"})
    done = [jobs.run(one, job) for job in ("first", "second")]

    assert [run.count("CopyObject") for run in done] == [5, 0]
    assert [run.summary["statuses"]["SUCCEEDED"] for run in done] == [5, 5]
    assert one.versions("key") == ["4", "3", "2", "1", "0"]


def test_a_destination_that_refuses_does_not_hold_up_the_other(world: World) -> None:
    world.rules({}, {"Destination": {"Bucket": f"arn:aws:s3:::{TWO}"}})
    for key in "ab":
        world.put(key)
    with faults(Fault("CopyObject", times=9, when=to_bucket(TWO), **DENIED)):
        done = jobs.run(world, "first")
    assert sorted((task["destination"], task["status"]) for task in done.tasks) == [
        (ONE, "SUCCEEDED"),
        (ONE, "SUCCEEDED"),
        (TWO, "FAILED"),
        (TWO, "FAILED"),
    ]

    again = jobs.run(world, "second")
    assert again.count("CopyObject") == 2
    assert (world.versions("a"), world.versions("a", TWO)) == (["content"], ["content"])
    assert jobs.run(world, "third").batches == 0


# -- several at once


def fill(world: World, keys: int = 12, versions: int = 4) -> list[str]:
    names = [f"key-{number:02}" for number in range(keys)]
    for key in names:
        for number in range(versions):
            world.put(key, str(number).encode())
    return names


def assert_arrived(world: World, keys: list[str], recorded: Recording) -> None:
    """Once each, in order, the ledger at rest."""
    assert [world.versions(key) for key in keys] == [["3", "2", "1", "0"]] * len(keys)
    assert all(world.at_rest(key) for key in keys)
    assert sum(call.operation == "CopyObject" for call in recorded.calls) == 4 * len(keys)


def assert_told_of(world: World, done: jobs.Run, keys: list[str]) -> None:
    """Every version once, with the replica it has."""
    told = {(task["key"], task["version"]): task["replica"] for task in done.tasks}
    assert len(told) == len(done.tasks) == 4 * len(keys)
    for key in keys:
        listed = world.s3.list_object_versions(Bucket=ONE, Prefix=key)["Versions"]
        assert {told[name] for name in told if name[0] == key} == {one["VersionId"] for one in listed}
    assert done.summary["statuses"] == {"SUCCEEDED": len(told), "FAILED": 0, "SKIPPED": 0, "PENDING": 0}


def test_runs_at_once_copy_nothing_twice(one: World) -> None:
    keys = fill(one)
    with recording_all() as recorded, ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda job: jobs.run(one, job, between=lambda: time.sleep(0.1)), "abcd"))
    assert_arrived(one, keys, recorded)
    for done in runs:
        assert_told_of(one, done, keys)


def test_workers_of_one_batch_copy_nothing_twice(one: World) -> None:
    """The ones of an execution that was stopped work on."""
    keys = fill(one)
    jobs.survey(one, "job", {"Kind": "backfill"})
    [name] = jobs.names(one, "jobs/job/batches/")
    with recording_all() as recorded:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: jobs.work(one, "job", name, beside=True), range(4)))
        done = jobs.run(one, "job")
    assert_arrived(one, keys, recorded)
    assert_told_of(one, done, keys)


def test_a_batch_is_one_workers_at_a_time(one: World) -> None:
    fill(one, keys=1)
    jobs.survey(one, "job", {"Kind": "backfill"})
    [name] = jobs.names(one, "jobs/job/batches/")
    store, now = S3JobStore(one.s3, CONTROL), SystemClock().now()
    claim = store.claim(name.replace("/batches/", "/claims/"), now, now + 900)
    assert claim is not None
    with pytest.raises(Unfinished):
        jobs.invoke(one, "backfill", {"job": "job", "batch": name})
    assert one.versions("key-00") == []

    store.release(name.replace("/batches/", "/claims/"), claim)
    assert jobs.run(one, "job").summary["statuses"]["SUCCEEDED"] == 4


def test_surveys_of_one_job_at_once_write_one_set_of_batches(one: World) -> None:
    keys = fill(one)
    with ThreadPoolExecutor(4) as pool:
        surveys = pool.map(lambda _: jobs.survey(one, "job", {"Kind": "backfill"}, beside=True), range(4))
        told = list(surveys)
    assert {answer["batches"] for answer in told} == {1}
    with recording_all() as recorded:
        done = jobs.run(one, "job")
    assert_arrived(one, keys, recorded)
    assert_told_of(one, done, keys)


def test_a_run_beside_the_events_copies_nothing_twice(one: World) -> None:
    events = [one.put(key, str(number).encode()) for key in "abc" for number in range(4)]
    with ThreadPoolExecutor(2) as pool:
        live = pool.submit(lambda: [one.deliver(event) for event in events])
        done = jobs.run(one, "job", between=lambda: time.sleep(0.1))
        live.result()
    let_time_pass(one)
    assert [one.versions(key) for key in "abc"] == [["3", "2", "1", "0"]] * 3
    assert done.summary["statuses"]["FAILED"] == 0
    again = jobs.run(one, "again", Kind="reconcile")
    assert (again.tasks, again.writes()) == ([], [])


def test_a_key_that_another_worker_holds_is_come_back_to(one: World) -> None:
    one.put("key")
    with faults(Fault("UpdateItem", status=500, code="InternalServerError", times=99)):
        jobs.survey(one, "job", {"Kind": "backfill"})
        [name] = jobs.names(one, "jobs/job/batches/")
        with pytest.raises(Unfinished):
            jobs.invoke(one, "backfill", {"job": "job", "batch": name})
    assert jobs.run(one, "job").summary["statuses"]["SUCCEEDED"] == 1
    assert one.versions("key") == ["content"]


def test_what_another_worker_does_meanwhile_is_told_of(one: World) -> None:
    """A batch is given out again while the one who had it, of an execution that was stopped, still works."""
    for number in range(3):
        one.put("key", str(number).encode())
    jobs.survey(one, "job", {"Kind": "backfill"})
    jobs.survey(one, "other", {"Kind": "backfill"})
    [name] = jobs.names(one, "jobs/job/batches/")
    with (
        faults(Fault("UpdateItem", status=500, code="InternalServerError", times=99)),
        pytest.raises(Unfinished),
    ):
        jobs.invoke(one, "backfill", {"job": "job", "batch": name})
    jobs.run(one, "other")

    done = jobs.run(one, "job")
    assert done.summary["statuses"] == {"SUCCEEDED": 3, "FAILED": 0, "SKIPPED": 0, "PENDING": 0}
    assert done.count("CopyObject") == 0
    assert all(done.told("replica"))


def test_a_survey_that_outlives_its_execution_is_waited_for(one: World) -> None:
    """Both would name their batches alike."""
    one.put("key")
    name = "jobs/job/survey.claim"
    store = S3JobStore(one.s3, CONTROL)
    now = SystemClock().now()
    claim = store.claim(name, now, now + 900)
    assert claim is not None
    with pytest.raises(SurveyUnderWay):
        jobs.invoke(one, "survey", {"step": "survey", "job": "job", "request": {"Kind": "backfill"}})
    assert jobs.names(one, "jobs/job/") == [name]

    store.release(name, claim)
    assert jobs.run(one, "job").summary["statuses"]["SUCCEEDED"] == 1


#: Every request that a job makes in these tests, and with which kinds.
BOTH = ("backfill", "reconcile")
REQUESTS = {
    "ListObjectVersions": BOTH,
    "ListObjectsV2": BOTH,
    "ListMultipartUploads": ("reconcile",),
    "GetObject": BOTH,
    "PutObject": BOTH,
    "HeadObject": BOTH,
    "CopyObject": BOTH,
    "BatchGetItem": BOTH,
    "Query": ("reconcile",),
    "UpdateItem": BOTH,
    "PutItem": BOTH,
}


@pytest.mark.parametrize("effect", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize(
    ("operation", "kind"), [(name, kind) for name, kinds in REQUESTS.items() for kind in kinds]
)
def test_whatever_request_fails_a_job_ends_right(
    one: World, operation: str, kind: str, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several times, so that what the SDK repeats by itself is not enough."""
    let_leases_run_out(one, monkeypatch, "a +%2B\n", "b")
    for key in ("a +%2B\n", "b"):
        for number in range(3):
            one.put(key, str(number).encode())
    how: dict[str, Any] = {} if effect else {"status": 503, "code": "SlowDown"}
    with faults(Fault(operation, effect=effect, times=6, **how)):
        jobs.run(one, "job", Kind=kind, between=one.drain)
    let_time_pass(one)

    assert [one.versions(key) for key in ("a +%2B\n", "b")] == [["2", "1", "0"]] * 2
    done = jobs.run(one, "again", Kind="reconcile")
    assert done.tasks == []
    assert done.writes() == []


# -- manifests


def give_manifest(world: World, job: str, **files: bytes) -> None:
    for name, body in files.items():
        world.s3.put_object(Bucket=CONTROL, Key=f"jobs/{job}/manifest/{name}", Body=body)


def test_a_manifest_of_versions(one: World) -> None:
    """Scenario 185: those versions only, keys percent-encoded."""
    old, new = one.put("a key+ü", b"old"), one.put("a key+ü", b"new")
    one.put("other")
    rows = f"{SOURCE},a%20key%2B%C3%BC,{one.version_of(old)}\n"
    give_manifest(one, "job", **{"00000.csv": rows.encode()})
    done = jobs.run(one, ManifestColumns=["Bucket", "Key", "VersionId"])
    assert one.versions("a key+ü") == ["old"]
    assert one.versions("other") == []
    assert done.told("version") == [one.version_of(old)] != [one.version_of(new)]


def test_a_manifest_without_version_ids_means_current_versions(one: World) -> None:
    for body in (b"old", b"new"):
        one.put("key", body)
    give_manifest(one, "job", **{"00000.csv": f"{SOURCE},key\n".encode()})
    jobs.run(one, ManifestColumns=["Bucket", "Key"])
    assert one.versions("key") == ["new"]


def test_a_manifest_may_name_a_key_in_several_places(one: World) -> None:
    events = [one.put("key", str(number).encode()) for number in range(4)]
    one.put("other")
    first, second = (one.version_of(event) for event in events[:2])
    rows = [f"{SOURCE},key,{second}", f"{SOURCE},other,", f"{SOURCE},key,{first}", f"{SOURCE},key,"]
    give_manifest(one, "job", **{"00000.csv": "\n".join(rows).encode()})
    done = jobs.run(one, ManifestColumns=["Bucket", "Key", "VersionId"])
    assert one.versions("key") == ["3", "1", "0"]
    assert one.versions("other") == ["content"]
    assert done.summary["statuses"]["SUCCEEDED"] == 4


NO_ID: Any = {"status": 400, "code": "InvalidArgument", "message": "Invalid version id specified"}


def test_versions_that_a_manifest_names_and_the_source_has_not_are_told_of(one: World) -> None:
    """Whether they have been deleted meanwhile, or there never can have been one."""
    there = one.version_of(one.put("key"))
    rows = [f"{SOURCE},key,{there}", f"{SOURCE},key,latest", f"{SOURCE},key,7", f"{SOURCE},gone,"]
    for job in ("plan", "job"):
        give_manifest(one, job, **{"00000.csv": "\n".join(rows).encode()})
    columns = ["Bucket", "Key", "VersionId"]
    plan = jobs.run(one, "plan", ManifestColumns=columns, DryRun=True)
    done = jobs.run(one, ManifestColumns=columns)
    for run in (plan, done):
        missing = [task for task in run.tasks if task.get("reason") == "SrcVersionNotFound"]
        told = {(task["key"], task.get("version"), task["status"]) for task in missing}
        assert told == {("key", "latest", "SKIPPED"), ("key", "7", "SKIPPED"), ("gone", None, "SKIPPED")}
    assert done.summary["statuses"]["SUCCEEDED"] == 1
    assert one.take("parked") == []


def test_ids_of_an_inventory_that_no_version_can_have_are_told_of_once_and_not_parked(one: World) -> None:
    """Without a list nobody knows before S3 is asked, which refuses to look for them."""
    put = one.put("key")
    row = '"{}","key","{}","false","false","6","2026-11-22T10:00:0{}.000Z"\n'
    ids = (one.version_of(put), "latest", "7")
    lines = "".join(row.format(SOURCE, version, number) for number, version in enumerate(ids))
    give_manifest(one, "job", **{"00000.csv.gz": gzip.compress(lines.encode())})

    def is_malformed(request: Any) -> bool:
        return str(request.url).endswith(("versionId=latest", "versionId=7"))

    with faults(*(Fault(name, **NO_ID, when=is_malformed, times=99) for name in ("HeadObject", "GetObject"))):
        done = jobs.run(one, ManifestColumns=INVENTORY)
    told = {task["version"]: (task["status"], task.get("reason")) for task in done.tasks}
    assert told.pop(one.version_of(put))[0] == "SUCCEEDED"
    assert set(told.values()) == {("SKIPPED", "Gone")}
    assert one.take("parked") == []
    assert done.count("HeadObject") == len(ids)


INVENTORY = ["Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate"]


def test_an_inventory(one: World) -> None:
    """Gzipped files, with enough in them to go without listing the source."""
    events = [one.put("key", b"old"), one.put("key", b"newest"), one.put("small", b"x")]
    rows = [
        f'"{SOURCE}","key","{one.version_of(events[1])}","true","false","6","2026-11-22T10:00:01.000Z"',
        f'"{SOURCE}","key","{one.version_of(events[0])}","false","false","3","2026-11-22T10:00:00.000Z"',
        f'"{SOURCE}","small","{one.version_of(events[2])}","true","false","1","2026-11-22T10:00:00.000Z"',
    ]
    files = {f"{n:05}.csv.gz": gzip.compress(f"{row}\n".encode()) for n, row in enumerate(rows)}
    give_manifest(one, "job", **files)
    done = jobs.run(one, ManifestColumns=INVENTORY, ObjectSizeGreaterThanBytes=1)
    assert one.versions("key") == ["newest", "old"]
    assert one.versions("small") == []
    assert done.summary["survey"]["versions"] == 3
    assert jobs.run(one, "again").tasks != []


def test_a_manifest_of_another_bucket_is_refused(one: World) -> None:
    give_manifest(one, "job", **{"00000.csv": b"elsewhere,key\n"})
    with pytest.raises(InvalidManifest, match="line 1 is of the bucket 'elsewhere'"):
        jobs.run(one, ManifestColumns=["Bucket", "Key"])


def test_nobody_listens_to_versions_of_peers(world: World) -> None:
    """Replicas that a peer wrote into the source are not replicated onward."""
    world.rules(MARKERS)
    world.settings(PEER_PRINCIPALS="AROAEXAMPLEPEER00000")
    stamp = {"s3replicator-source": "elsewhere", "s3replicator-version": "v", "s3replicator-nonce": "n"}
    world.put("replica", Metadata={**stamp, "s3replicator-place": place_of(SOURCE, "replica")})
    world.put("gone")
    world.mark("gone")
    done = jobs.run(world)
    assert world.versions("replica") == []
    # Who wrote a delete marker, only its event tells.
    assert world.versions("gone") == ["content"]
    assert done.summary["reasons"] == {"SUCCEEDED": {"": 1}, "SKIPPED": {"SrcObjectIsReplica": 1}}


@pytest.mark.parametrize(
    "body",
    [b"\x1f\x8bnonsense", gzip.compress(b"x" * 100_000)[:50], gzip.compress(b"\xff\xfe"), b""],
    ids=["no gzip", "cut off", "no text", "empty"],
)
def test_a_file_of_an_inventory_that_cannot_be_read_is_named(one: World, body: bytes) -> None:
    give_manifest(one, "job", **{"00000.csv.gz": body})
    with pytest.raises(InvalidManifest, match=r"jobs/job/manifest/00000\.csv\.gz"):
        jobs.run(one, ManifestColumns=["Bucket", "Key"])


def test_a_line_that_cannot_be_read_is_named_with_its_file(one: World) -> None:
    give_manifest(one, "job", **{"00000.csv": f'{SOURCE},a\n{SOURCE},"b\n{SOURCE},c\n'.encode()})
    with pytest.raises(InvalidManifest, match=r"jobs/job/manifest/00000\.csv: line 2 has a quotation"):
        jobs.run(one, ManifestColumns=["Bucket", "Key"])


POINTLESS: list[dict[str, Any]] = [{"MatchAnyStorageClass": ["standard"]}, {"ObjectSizeLessThanBytes": 0}]


@pytest.mark.parametrize("asked", POINTLESS, ids=str)
def test_a_job_that_can_match_nothing_is_refused_before_it_begins(one: World, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob):
        jobs.run(one, **asked)
    assert jobs.names(one, "jobs/job/job.json") == []


def test_one_that_a_former_release_began_goes_on(one: World) -> None:
    asked: dict[str, Any] = {"Kind": "backfill", "MatchAnyStorageClass": ["standard"]}
    document = job_document(parse_job("job", asked))
    one.s3.put_object(Bucket=CONTROL, Key="jobs/job/job.json", Body=json.dumps(document))
    assert jobs.run(one, **asked).tasks == []


@pytest.mark.parametrize(
    "name",
    [
        *("replication-configuration.json", "jobs/other/batches/1-1-000000.jsonl", "jobs/job/batches/"),
        *("jobs/job/batches/../../x.jsonl", "jobs/job/batches/a/batches/b.jsonl", "jobs/job/batches/x.json"),
    ],
)
def test_only_a_batch_of_the_job_is_worked_through(one: World, name: str) -> None:
    jobs.run(one)
    before = jobs.names(one, "")
    with pytest.raises(InvalidJob, match="none of the job's batches"):
        jobs.work(one, "job", name, 900)
    assert jobs.names(one, "") == before


def test_what_others_put_beside_the_batches_stops_no_survey(one: World) -> None:
    one.s3.put_object(Bucket=CONTROL, Key="jobs/job/batches/planted.jsonl", Body=b"")
    one.put("key")
    jobs.survey(one, "job", {"Kind": "backfill"}, 900)
    assert len(jobs.names(one, "jobs/job/batches/")) == 2
