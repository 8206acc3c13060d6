"""Whether an object at the source is a replica, and whether it is replicated nevertheless: one decision, the
same for events, jobs, ``status``, ``explain`` and dry runs.

A stamp is a hint and no proof: anybody who writes an object can give it one. So whatever else there is to
find out is asked first, and no replica is passed over in silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from s3replicator.decisions.events import Origin
from s3replicator.decisions.ledger import Row
from s3replicator.decisions.plan import is_large
from s3replicator.decisions.replica import bears_stamp
from s3replicator.decisions.stamp import MOST_TRACED, Stamp, bucket_digest
from s3replicator.decisions.versions import Kind, ListedVersion, SourceObject, VersionRef

#: How many older versions are looked at to find the one that an object is a copy of.
MOST_LOOKED_AT: Final = 20

#: As long as every nonce, to see whether a stamp has room.
_NONCE: Final = "-" * 36

#: As long as any may be: the name of a bucket, and that of a null version that was uploaded in 10,000 parts.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_LONGEST_BUCKET: Final = "-" * 63
_LONGEST_VERSION: Final = "-" * 55


class Writer(StrEnum):
    """Who wrote a version, as its event says."""

    PEER = "a declared peer"
    OTHER = "no declared peer, though the stack declares some"
    UNKNOWN = "unknown"


class Ground(StrEnum):
    """What the decision rests on, as a sentence for people."""

    NO_STAMP = "nothing about it says that it is a replica"
    DECIDED = "it has been decided before"
    PEER = "a peer that the stack declares wrote it"
    NATIVE = "Amazon S3's own replication wrote it"
    OTHER_WRITER = "its event names a writer who is none of the declared peers"
    COPIED_IN_PLACE = "it is a copy in place of an older version of its key"
    CAME_FROM_THERE = "its stamp says that it is itself a replica, and that it came through the destination"
    STAMPED = "its stamp says that it is itself a replica"
    NO_ROOM_ONWARD = "it is itself a replica, and its metadata has no room to say where it has been"
    MARKER = "nothing in a delete marker says who wrote it, so it may be the replica of a peer"
    MAY_BE_PEERS = "its metadata has no room for a stamp, so it may be the replica of a peer"


#: Of versions that somebody wrote here, whatever their stamps say.
_USERS: Final = frozenset({Ground.NO_STAMP, Ground.OTHER_WRITER, Ground.COPIED_IN_PLACE})


@dataclass(frozen=True, slots=True)
class JobAsks:
    """What a job asks for, of versions that the ledger does not know: ``replicas``, even to buckets they have
    come through, and ``others``."""

    replicas: bool = False
    others: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an object at the source.

    ``decided`` is what a message or a row of ours says. ``copied_in_place``: an older listed version of the
    key bears the same nonce, which no two replicas do. ``may_be_peers``: the stack declares peers, and nobody
    knows who wrote this version.
    """

    version: SourceObject
    writer: Writer = Writer.UNKNOWN
    decided: Origin | None = None
    copied_in_place: bool = False
    may_be_peers: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``replica``: it is one, or may be one. ``wanted``: it is replicated. ``origin`` has to be remembered by
    whoever tries it again, since the version itself will not tell; None if it does."""

    ground: Ground
    replica: bool
    wanted: bool
    origin: Origin | None = None

    @property
    def passed_over(self) -> bool:
        return self.replica and not self.wanted

    @property
    def expected(self) -> bool:
        """Passed over as it should be: nobody need look after it."""
        return self.ground is Ground.PEER

    @property
    def told(self) -> str:
        """Why it is passed over."""
        return f"{self.ground}; replicas are not replicated onward unless a rule or a job asks for it"


def judge(
    evidence: Evidence, destination: str, *, rule_asks: bool = False, job: JobAsks | None = None
) -> Verdict:
    """``rule_asks``: the rule for this destination carries replicas onward. ``job`` is the job that brings
    the version, if one does.

    The first that applies decides: what was decided before; who wrote it; whether it was copied in place;
    whether it came through the destination, where no event brings it back; whether it is asked for.
    """
    asks = job or JobAsks()
    if evidence.decided is not None:
        return Verdict(Ground.DECIDED, False, True, evidence.decided)
    ground = _ground(evidence)
    if ground in _USERS:
        # What has no room for a stamp may be the replica that a job asks for.
        wanted = asks.others or (ground is Ground.NO_STAMP and may_lack_stamp(evidence.version))
        return Verdict(ground, False, wanted, None if ground is Ground.NO_STAMP else Origin.USER)
    if asks.replicas:
        return Verdict(ground, True, True, Origin.ONWARD)
    if bucket_digest(destination) in trace_of(evidence.version):
        return Verdict(Ground.CAME_FROM_THERE, True, False)
    if not rule_asks or ground is Ground.MAY_BE_PEERS:
        return Verdict(ground, True, False)
    if not can_be_stamped(evidence.version, trace_of(evidence.version)):
        # Nobody would know it for a replica there: it might go round for ever.
        return Verdict(Ground.NO_ROOM_ONWARD, True, False)
    return Verdict(ground, True, True, Origin.ONWARD)


def _ground(evidence: Evidence) -> Ground:
    version = evidence.version
    if evidence.writer is Writer.PEER:
        return Ground.PEER
    if version.native_replica:
        return Ground.NATIVE
    if stamp_here(version) is None:
        unknown = evidence.may_be_peers and may_lack_stamp(version)
        return Ground.MAY_BE_PEERS if unknown else Ground.NO_STAMP
    if evidence.writer is Writer.OTHER:
        return Ground.OTHER_WRITER
    return Ground.COPIED_IN_PLACE if evidence.copied_in_place else Ground.STAMPED


#: What a job makes of a delete marker that the ledger does not know, where peers are declared.
MARKER_MAY_BE_PEERS: Final = Verdict(Ground.MARKER, replica=True, wanted=False)


# -- evidence


def stamp_here(version: SourceObject) -> Stamp | None:
    """The stamp of a version, if it names the place where the version is. One that a user's copy has carried
    along from elsewhere says nothing."""
    stamp = Stamp.read(version.metadata)
    return stamp if stamp is not None and stamp.names(version.ref.bucket, version.ref.key) else None


def says_replica(version: SourceObject) -> bool:
    """Whether the version says of itself that it is a replica, which may be a lie."""
    return version.native_replica or stamp_here(version) is not None


def is_in_doubt(evidence: Evidence) -> bool:
    """Whether it matters what has been decided before."""
    version = evidence.version
    return says_replica(version) or (evidence.may_be_peers and may_lack_stamp(version))


def needs_history(evidence: Evidence) -> bool:
    """Whether older versions of the key have to be looked at."""
    undecided = evidence.decided is None and evidence.writer is Writer.UNKNOWN
    version = evidence.version
    return undecided and not version.native_replica and stamp_here(version) is not None


def may_be_copied(version: SourceObject, newest_first: Sequence[ListedVersion]) -> list[ListedVersion]:
    """Of a listed key: the older versions that this one may be a copy in place of, the likeliest first. A
    copy has the size of its original; its ETag too, unless it is encrypted or was uploaded another way."""
    ids = [listed.version_id for listed in newest_first]
    if version.ref.version_id not in ids:
        return []
    below = newest_first[ids.index(version.ref.version_id) + 1 :]
    alike = [one for one in below if one.kind is Kind.OBJECT and one.size == version.size]
    return sorted(alike, key=lambda one: one.etag != version.etag)[:MOST_LOOKED_AT]


def is_original_of(original: SourceObject, copy: SourceObject) -> bool:
    """Whether both bear the same stamp: every copy that we make has a nonce of its own."""
    stamp, carried = Stamp.read(original.metadata), stamp_here(copy)
    return stamp is not None and carried is not None and stamp.nonce == carried.nonce


def decided_by(row: Row, version: SourceObject) -> Origin | None:
    """What a row says about a version of which something is in doubt. A row alone is no proof for what bears
    a stamp: it may have been made before the version could be looked at."""
    if row.origin is not None and row.origin.is_decision:
        return row.origin
    if not says_replica(version):
        return Origin.USER if row.live or row.origin is None else None
    return Origin.ONWARD if row.live else None


# -- the trace


def trace_of(version: SourceObject) -> frozenset[str]:
    """The digests of the buckets that a replica came through. Amazon's own replication carries a stamp along,
    so there the trace counts though the stamp names another place."""
    stamp = Stamp.read(version.metadata) if version.native_replica else stamp_here(version)
    return stamp.came_through if stamp is not None else frozenset()


def may_lack_stamp(version: SourceObject) -> bool:
    """Whether a replica that another stack made may have had no room for a stamp. It named another bucket and
    another version, with as many bytes as that may have."""
    here, there = version.ref, VersionRef(_LONGEST_BUCKET, version.ref.key, _LONGEST_VERSION)
    stamp = Stamp.of(there, _NONCE, here.bucket, here.key)
    return not bears_stamp(replace(version, ref=there), stamp, by_parts=is_large(version.size))


def can_be_stamped(version: SourceObject, trace: frozenset[str] = frozenset()) -> bool:
    """Whether a replica of it has room for a stamp that says where it has been."""
    ref = version.ref
    stamp = Stamp.of(ref, _NONCE, ref.bucket, ref.key, trace)
    return len(trace) <= MOST_TRACED and bears_stamp(version, stamp, by_parts=is_large(version.size))
