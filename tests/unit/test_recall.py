"""What is taken for a replica by its stamp, which anybody can write, and on what proof."""

from collections.abc import Mapping
from typing import Any

import pytest

from s3replicator.decisions.ledger import Row, Status
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import VersionRef
from tests.unit.protocol.memory_bucket import Version, checksum_of
from tests.unit.protocol.scheduler import Fate, Port
from tests.unit.protocol.world import REPLICA, SOURCE, Terms
from tests.unit.test_protocol_rules import KEY, FaultyWorld, Stage, shown


def stamp_of(version: Version, nonce: str = "made up") -> Mapping[str, str]:
    return Stamp.of(VersionRef(SOURCE, KEY, version.name), nonce, REPLICA, KEY).metadata()


def plant(stage: Stage, version: Version, body: str = "planted", **contents: Any) -> str:
    """Somebody writes an object at the destination with the stamp of a replica of this version."""
    stage.world.foreign[KEY].add("put")
    return stage.world.replica.put(KEY, body, metadata=stamp_of(version), **contents)


def plant_upload(stage: Stage, version: Version, body: str, **contents: Any) -> str:
    """The same, as an upload of two parts."""
    stage.world.foreign[KEY].add("put")
    upload_id = stage.world.replica.begin(KEY, body, metadata=stamp_of(version), **contents)
    return stage.world.replica.end(upload_id)


def recalled(stage: Stage) -> Row:
    """The row of the only version once the key has been settled by hand."""
    stage.settle()
    [row] = stage.rows()
    return row


def reads(stage: Stage) -> list[str]:
    """Settle, and say what single versions are looked at, and where, before both sides are compared."""
    worker, found = stage.world.settle(KEY), list[str]()
    while worker.call is not None and worker.call.name != "tags":
        if worker.call.name in ("head", "checksum") and worker.call.port is not Port.LEDGER:
            found.append(f"{worker.call.name} at the {worker.call.port}")
        stage.world.step(worker)
    stage.world.finish(worker)
    # That of the source, which comes before its tags.
    return found[:-1]


@pytest.mark.parametrize("size", [4, 1, 0])
def test_an_object_of_other_bytes_is_no_replica_whatever_its_stamp_says(size: int) -> None:
    """Of another size, and of the same."""
    stage = Stage.of()
    stage.put()
    [version] = stage.source()
    planted = plant(stage, version, size=size)
    row = recalled(stage)
    assert shown(stage.world.replica) == [*shown(stage.world.source), "planted"]
    assert (row.status, row.doubt, row.replica) == (Status.COMPLETED, False, stage.replicas()[0].version_id)
    assert planted not in row.ids()


def test_an_object_is_no_replica_of_a_marker_whatever_its_stamp_says() -> None:
    stage = Stage.of()
    stage.put()
    stage.mark()
    planted = plant(stage, stage.source()[0], size=0)
    stage.settle()
    assert shown(stage.world.replica) == [*shown(stage.world.source), "planted"]
    assert not any(planted in row.ids() for row in stage.rows())


def test_a_lost_replica_is_not_what_others_planted() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    stage.remove_foreign()
    plant(stage, stage.source()[0])
    row = recalled(stage)
    assert (row.lost, row.replica, row.stray) == (True, None, ())


def test_what_waits_to_be_copied_is_not_what_others_planted() -> None:
    stage = Stage(FaultyWorld(Terms()))
    stage.world.refused = {"copy": Fate.REFUSED}
    stage.deliver(stage.put())
    stage.world.refused = {}
    plant(stage, stage.source()[0])
    row = recalled(stage)
    assert shown(stage.world.replica) == [*shown(stage.world.source), "planted"]
    assert not row.doubt


def test_what_the_lists_prove_costs_no_look_at_the_source() -> None:
    """A ledger that was lost is rebuilt by one look at each replica."""
    stage = Stage.of()
    letters = [stage.put() for _ in range(3)]
    for letter in letters:
        stage.deliver(letter)
    stage.world.ledger.lose()
    assert reads(stage) == ["head at the destination"] * 3
    assert {(row.status, row.doubt) for row in stage.rows()} == {(Status.COMPLETED, False)}
    assert len(stage.replicas()) == 3


def test_another_size_costs_no_look_at_the_source() -> None:
    stage = Stage.of()
    version = upload(stage)
    for _ in range(2):
        plant(stage, version, size=3)
    assert reads(stage)[:3] == ["head at the destination"] * 2 + ["head at the source"]
    assert shown(stage.world.replica)[0] == "uploaded"


def upload(stage: Stage, **contents: Any) -> Version:
    """A version whose ETag says nothing of its bytes."""
    stage.world.source.end(stage.world.source.begin(KEY, "uploaded", size=2, **contents))
    [version] = stage.source()
    return version


def test_what_nobody_can_compare_is_adopted_in_doubt() -> None:
    """An upload of the same size, and no checksum: never removed, and nothing is copied from it."""
    stage = Stage.of()
    planted = plant(stage, upload(stage), "uploaded", size=2)
    row = recalled(stage)
    assert (row.replica, row.doubt, row.proven, row.copyable) == (planted, True, False, False)


def test_what_has_no_checksum_at_the_source_is_not_asked_for_one() -> None:
    stage = Stage.of()
    plant(stage, upload(stage), "uploaded", size=2)
    assert reads(stage) == ["head at the destination", "head at the source"]


def test_what_cannot_be_compared_without_it_is_asked_for_its_checksum() -> None:
    stage = Stage.of()
    plant(stage, upload(stage, checksum=checksum_of("SHA256", "uploaded")), "uploaded", size=2)
    at_both = ["head at the destination", "head at the source"]
    assert reads(stage) == [*at_both, "checksum at the destination"]


def test_a_checksum_proves_what_an_etag_cannot() -> None:
    stage = Stage.of()
    version = upload(stage, checksum=checksum_of("CRC64NVME", "uploaded"))
    planted = plant(stage, version, "uploaded", size=2, checksum=checksum_of("CRC64NVME", "uploaded"))
    row = recalled(stage)
    assert (row.replica, row.doubt) == (planted, False)


def test_a_checksum_disproves_what_an_etag_cannot() -> None:
    stage = Stage.of()
    version = upload(stage, checksum=checksum_of("CRC64NVME", "uploaded"))
    planted = plant(stage, version, "planted", size=2, checksum=checksum_of("CRC64NVME", "planted"))
    row = recalled(stage)
    assert planted not in row.ids()
    assert shown(stage.world.replica) == ["uploaded", "planted"]
    assert not row.doubt


def test_an_upload_of_the_same_parts_is_proven_by_its_etag() -> None:
    stage = Stage.of()
    planted = plant_upload(stage, upload(stage), "uploaded", size=2)
    row = recalled(stage)
    assert (row.replica, row.doubt) == (planted, False)


def refused_at_source(stage: Stage, fate: Fate) -> Row | None:
    """Settle, while the first look at the source for a comparison comes to this."""
    worker = stage.world.settle(KEY)
    while worker.call is not None and not (worker.call.port is Port.SOURCE and worker.call.name == "head"):
        stage.world.step(worker)
    stage.world.step(worker, fate)
    stage.world.finish(worker)
    return next(iter(stage.rows()), None)


def test_what_may_not_be_read_at_the_source_is_in_doubt() -> None:
    stage = Stage.of()
    planted = plant(stage, upload(stage), "uploaded", size=2)
    row = refused_at_source(stage, Fate.DENIED)
    assert row is not None
    assert (row.replica, row.doubt) == (planted, True)


@pytest.mark.parametrize("fate", [Fate.REFUSED, Fate.LOST, Fate.ABSENT])
def test_what_cannot_be_read_now_is_looked_at_again(fate: Fate) -> None:
    """Nothing is adopted, and nothing is copied, which might be there already."""
    stage = Stage.of()
    planted = plant(stage, upload(stage), "uploaded", size=2)
    assert refused_at_source(stage, fate) is None
    assert [one.version_id for one in stage.replicas()] == [planted]
    assert recalled(stage).replica == planted


def test_a_second_object_is_a_second_replica_only_if_it_may_hold_the_same() -> None:
    stage = Stage.of()
    stage.deliver(stage.put())
    [version] = stage.source()
    plant(stage, version)
    same = plant(stage, version, str(shown(stage.world.source)[0]))
    assert recalled(stage).stray == (same,)


def test_other_bytes_than_the_replica_holds_are_no_second_replica() -> None:
    """Of an upload without a checksum the source's ETag tells nothing, the replica's does."""
    stage = Stage.of()
    stage.deliver(stage.end(stage.begin()))
    [version] = stage.source()
    plant(stage, version, size=2)
    assert recalled(stage).stray == ()


def test_what_differs_from_a_replica_in_doubt_may_be_the_right_one() -> None:
    stage = Stage.of()
    version = upload(stage)
    planted = plant(stage, version, size=2)
    assert recalled(stage).replica == planted
    right = plant(stage, version, "uploaded", size=2)
    assert right in recalled(stage).stray


def test_a_proven_replica_comes_before_an_older_one_in_doubt() -> None:
    stage = Stage.of()
    version = upload(stage)
    older = plant(stage, version, "planted", size=2)
    proven = plant_upload(stage, version, "uploaded", size=2)
    row = recalled(stage)
    assert (row.replica, row.doubt, row.stray) == (proven, False, (older,))


def test_a_copy_of_a_replica_that_is_gone_holds_its_bytes_all_the_same() -> None:
    """Whose it is stays in doubt; what it holds may be copied."""
    stage = Stage.of()
    stage.deliver(stage.put())
    [ours] = stage.replicas()
    stage.world.copy_foreign(KEY, ours.version_id)
    stage.remove_foreign(1)
    row = recalled(stage)
    assert (row.doubt, row.proven, row.copyable) == (True, True, True)


def test_a_users_copy_of_what_is_copied_again_is_known_for_what_it_is_at_once() -> None:
    """Of a replica that has just been made again nobody has listed the ETag yet."""
    stage = Stage.of()
    letter, marked = stage.end(stage.begin()), stage.mark()
    stage.deliver(letter)
    [replica] = stage.replicas()
    stage.world.copy_foreign(KEY, replica.version_id)
    [copy, _] = stage.replicas()
    marking = stage.until(stage.take(marked), "put_marker")
    stage.expire(0)
    stage.world.finish(marking)
    stage.settle()
    once = stage.rows()
    assert once[1].stray == (copy.version_id,)
    stage.settle()
    assert stage.rows() == once
