"""What must be true of a key once it is quiet, each in plain words when it is not.

Quiet: no message left, nobody at work, all leases over. See docs/architecture.md, "The ledger".
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

from s3replicator.decisions.configuration import LateVersions
from s3replicator.decisions.ledger import Head, Row, Status
from s3replicator.decisions.settling import MOST_NEWER_VERSIONS
from s3replicator.decisions.stamp import Stamp
from s3replicator.decisions.versions import Kind, is_null
from tests.unit.protocol.memory_bucket import Contents, Version


@dataclass(slots=True)
class Past:
    """A source version that is, or has been. Times in seconds since the epoch.

    ``body`` is None for a delete marker; ``crowded``: its metadata has no room for a stamp; ``twice``:
    another null version of the same second has the same name; ``deleted``: when somebody deleted it;
    ``expired``: it went without anybody deleting it; ``unheard``: names of the events about it that have been
    lost; ``by_peers``: those of what declared peers did to it; ``by_stack``: a stack wrote it, so it is a
    replica itself; ``stamped``: it bears a stamp, whoever wrote it; ``copied``: a user made it of this
    version of the key.
    """

    kind: Kind
    place: int
    modified: float
    body: str | None
    crowded: bool = False
    twice: bool = False
    deleted: float | None = None
    expired: bool = False
    unheard: set[str] = field(default_factory=set)
    by_peers: set[str] = field(default_factory=set)
    by_stack: bool = False
    stamped: bool = False
    copied: str | None = None

    def has_missed(self, *kinds: str) -> bool:
        return any(event.startswith(kinds) for event in self.unheard)

    def is_peers_alone(self, *kinds: str) -> bool:
        """What a peer changes of a version, whoever wrote it, counts as done to a replica of its own."""
        return any(event.startswith(kinds) for event in self.by_peers)


@dataclass(frozen=True, slots=True)
class Quiet:
    """All there is to know about one key. Versions newest first.

    ``foreign`` is what others did at the destination, ``restored`` are the versions whose replicas they
    removed and an operator has asked for since, ``reconciled`` whether the key has been settled by hand
    since, ``tidy`` whether no worker died and no request was lost.

    In a wider world: ``changed`` whether the rules have been, ``skewed`` whether clocks are apart,
    ``shared`` whether stacks know each other as peers,
    ``onward`` whether replicas are to be replicated, too. ``named`` are versions of which somebody was
    told why they have no row, ``passed_over`` those of them that were taken for replicas, ``waiting`` those
    that an operator can see waiting; ``told`` those whose making somebody was told of, or that were asked
    for (None: no matter). ``rival`` is the source key that has the place, if another has; ``empty``: nothing
    is left of that, ``rightful``: a rule gives it the place, or did. ``forged`` are ids that somebody wrote
    into rows.
    """

    source: Sequence[Version]
    destination: Sequence[Version]
    uploads: int
    head: Head | None
    rows: Mapping[str, Row]
    past: Mapping[str, Past]
    foreign: frozenset[str]
    restored: frozenset[str]
    markers: bool
    version_deletes: bool
    late: LateVersions
    reconciled: bool
    tidy: bool
    now: float
    changed: bool = False
    skewed: bool = False
    shared: bool = False
    onward: bool = False
    named: frozenset[str] = frozenset()
    passed_over: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    told: frozenset[str] | None = None
    rival: str | None = None
    empty: bool = False
    rightful: bool = True
    forged: frozenset[str] = frozenset()

    # -- words

    def is_known_deleted(self, vid: str) -> bool:
        """Whether somebody deleted it, and anybody can know: a delete of the null version does not say which
        one it meant, so it is taken for the newest before, and LastModified has steps of a second."""
        past = self.past[vid]
        if past.deleted is None or past.expired or past.twice or past.has_missed("ObjectRemoved:Delete"):
            return False
        moments = {past.modified, float(int(past.deleted))}
        others = (one for other, one in self.past.items() if is_null(other) and other != vid)
        return not is_null(vid) or all(one.modified not in moments for one in others)

    def listed(self) -> set[str]:
        return {version.name for version in self.source}

    def selected(self) -> Iterator[Version]:
        """What the rule selects, and somebody was told of."""
        for version in self.source:
            past = self.past[version.name]
            if past.by_stack and not self.onward:
                continue
            # By hand nobody can tell whose a delete marker is.
            asked = self.reconciled and not (self.shared and version.kind is Kind.MARKER)
            told = asked or not (self.changed or past.has_missed(*MAKING))
            if told and (version.kind is Kind.OBJECT or self.markers) and not self.is_taken_for_replica(past):
                yield version

    def is_left_out(self, vid: str) -> bool:
        """Whether somebody was told that this version is not replicated: it may be a replica, or the rules
        have changed since, or never selected it."""
        row, past = self.rows.get(vid), self.past[vid]
        if row is None:
            return vid in self.named
        unselected = past.kind is Kind.MARKER and not self.markers
        # Without room for a stamp, and without its event, nobody can tell it from a peer's.
        may_be_peers = past.crowded and self.shared
        return row.status is Status.NOT_ELIGIBLE and (
            past.stamped
            or past.by_stack
            or unselected
            or may_be_peers
            or (self.changed and not self.reconciled)
        )

    def is_taken_for_replica(self, past: Past) -> bool:
        """Whether nothing tells a user's copy of a replica from the replica any more: what it was copied from
        is gone, and nobody heard, or knows, who made it."""
        if past.copied is None or any(one.version_id == past.copied for one in self.source):
            return False
        return not self.shared or past.has_missed(*MAKING)

    @property
    def is_dropped(self) -> bool:
        """Whether something was begun by other rules, and nobody has come back to it."""
        return self.changed and self.head is not None and not self.head.clean and not self.reconciled

    def claimed(self) -> dict[str, str]:
        """The source versions of replicas, by their rows."""
        return {row.replica: vid for vid, row in self.rows.items() if row.replica is not None}

    def standing(self) -> list[str]:
        """The source versions with a replica that is there, newest on top."""
        claimed = self.claimed()
        return [claimed[one.version_id] for one in self.destination if one.version_id in claimed]

    def unremovable(self) -> set[str]:
        return {one for row in self.rows.values() for one in (*row.blocked, *row.stray)}

    def was_removed(self, vid: str) -> bool:
        """Whether others removed the replica, noticed or not. Of a name that two null versions have had, what
        became of the first counts for the second."""
        row = self.rows.get(vid)
        there = {one.version_id for one in self.destination}
        if row is None or row.replica in there:
            return False
        return self.past[vid].twice or ((row.lost or row.live) and "remove" in self.foreign)

    def is_copy_of(self, replica: str | None, vid: str) -> bool:
        """Whether a user made this version in place, of a replica of that one."""
        copy = next((one for one in self.destination if one.version_id == replica), None)
        if copy is None or copy.truth.copied is None or copy.contents is None:
            return False
        return copy.contents.body == self.past[vid].body

    def place(self, vid: str) -> int:
        return self.past[vid].place

    def is_decidable(self, one: str, other: str) -> bool:
        """Whether anybody can know which is the newer: S3 no longer lists both, and LastModified has steps
        of a second. Of a name that two null versions have had, only the list tells that there is a second."""
        listed = self.listed()
        if (self.past[one].twice or self.past[other].twice) and not self.reconciled:
            return False
        if one in listed and other in listed:
            return True
        if one not in self.rows or other not in self.rows:
            # What has no row is told of elsewhere.
            return False
        facts = [self.rows[vid].order for vid in (one, other)]
        if all(fact.sequencer is not None and not fact.multipart for fact in facts):
            return True
        return facts[0].last_modified != facts[1].last_modified


#: Events that make a version known.
MAKING: Final = ("ObjectCreated:", "ObjectRemoved:DeleteMarkerCreated")

Problems = Iterator[str]
Invariant = Callable[[Quiet], Problems]


def every_version_once(key: Quiet) -> Problems:
    """(c) Every selected version has exactly one replica, or is superseded by a newer one."""
    counted = Counter(key.standing())
    for version in key.selected():
        vid = version.name
        row = key.rows.get(vid)
        if counted[vid] > 1:
            yield f"{vid} has {counted[vid]} replicas"
        elif counted[vid] == 1 or key.was_removed(vid):
            continue
        elif row is None:
            if vid not in key.named:
                yield f"{vid} has no row, and nobody was told why"
        elif key.is_left_out(vid):
            continue
        elif row.status is not Status.SUPERSEDED:
            yield f"{vid} has no replica and is {row.status}"
        elif version.kind is Kind.OBJECT and key.late is not LateVersions.SKIP and row.reason is None:
            yield f"{vid} is SUPERSEDED, and late versions are to be replayed"
        elif not any(
            key.place(other) > version.place
            for other in key.rows
            if other in counted or key.was_removed(other)
        ):
            yield f"{vid} is SUPERSEDED by nothing"


def deleted_versions_are_gone(key: Quiet) -> Problems:
    """What somebody deleted at the source is deleted, where the rule replicates that."""
    if not key.version_deletes:
        return
    for vid in set(key.standing()) - key.listed():
        if key.is_known_deleted(vid):
            yield f"{vid} was deleted at the source, and its replica is still there"


def what_was_lost_is_restored(key: Quiet) -> Problems:
    """What came late stays out, as it would have the first time."""
    for vid in key.restored & key.listed() - set(key.standing()):
        newer = sum(key.place(other) > key.place(vid) for other in key.standing())
        if newer > MOST_NEWER_VERSIONS:
            # Too much would have to be copied again.
            continue
        if key.past[vid].kind is Kind.OBJECT and key.late is not LateVersions.SKIP:
            yield f"{vid} was to be copied again, and has no replica"


def nothing_unselected(key: Quiet) -> Problems:
    if not key.markers and not key.changed:
        for vid in key.standing():
            if key.past[vid].kind is Kind.MARKER:
                yield f"the marker {vid} is replicated, and the rule replicates none"


def in_order(key: Quiet) -> Problems:
    """(b) Replicas stand in the order of their sources."""
    for above, below in combinations(key.standing(), 2):
        if key.place(above) < key.place(below) and key.is_decidable(above, below):
            yield f"the replica of {above} stands above that of {below}, which is newer"


def the_newest_is_current(key: Quiet) -> Problems:
    """(a) Of what we wrote, the replica of the newest version is on top."""
    removed = [key.place(vid) for vid in key.rows if key.was_removed(vid)]
    # What is superseded by a replica that others removed stays out, too.
    wanted = {
        *(
            version.name
            for version in key.selected()
            if version.place > max(removed, default=-1) and not key.is_left_out(version.name)
        ),
        *key.standing(),
    }
    if not wanted:
        return
    claimed, unremovable = key.claimed(), key.unremovable()
    ours = (one.version_id for one in key.destination if one.version_id in {*claimed, *unremovable})
    top = next(ours, None)
    newest = max(wanted, key=key.place)
    if top in unremovable and claimed.get(top or "") != newest:
        if not key.is_copy_of(top, newest):
            yield f"{top}, which cannot be removed, hides the newest replica"
    elif top is None:
        yield f"nothing stands for {newest}"
    elif claimed[top] != newest and key.is_decidable(claimed[top], newest):
        yield f"{claimed[top]} is current, and {newest} is the newest"


def nothing_unknown(key: Quiet) -> Problems:
    """(c) The ledger knows every version that we wrote."""
    known = {one for row in key.rows.values() for one in row.ids()}
    if key.is_dropped:
        return
    for version in key.destination:
        if version.version_id in known or not version.truth.ours:
            continue
        # After a crash nothing at S3 tells a marker of ours from another, nor what has no room for a stamp.
        crowded = key.past[version.truth.source].crowded if version.truth.source else True
        if key.skewed and not key.tidy and (crowded or version.kind is Kind.MARKER):
            # When it was written is all there was to know it by.
            continue
        if crowded and "-" in version.etag and not key.tidy:
            # From an upload, so that it may lie anywhere.
            continue
        if key.forged and (crowded or version.kind is Kind.MARKER):
            # What a forged row names counts as ours, and what lies below that as seen.
            continue
        mistaken = {"mark"} if version.kind is Kind.MARKER else {"put", "copy"} if crowded else set()
        if not mistaken & key.foreign:
            yield f"{version.version_id}, which we wrote for {version.truth.source}, is in no row"


def rows_tell_the_truth(key: Quiet) -> Problems:
    there = {version.version_id: version for version in key.destination}
    for vid, row in key.rows.items():
        # Who removed it died over that, and by other rules nobody comes back.
        begun = row.purged and key.is_dropped
        if (row.lost or (row.live and row.replica not in there)) and not (key.was_removed(vid) or begun):
            yield f"the row of {vid} misses its replica {row.replica}, and nobody removed it"
        version = there.get(row.replica or "")
        if version is None:
            continue
        if not version.truth.ours:
            if not row.doubt:
                yield f"the row of {vid} claims {row.replica}, which is foreign"
        elif version.truth.source != vid and not row.doubt:
            yield f"the row of {vid} claims {row.replica}, a replica of {version.truth.source}"
        elif version.contents is not None:
            stamp = Stamp.read(version.contents.metadata)
            if version.contents.body != key.past[vid].body:
                yield f"the replica of {vid} holds other bytes"
            elif stamp.version_id != vid if stamp else not key.past[vid].crowded:
                yield f"the replica of {vid} has the stamp {stamp}"


def _is_told(key: Quiet, name: str, kind: str) -> bool:
    past = key.past[name]
    return (key.reconciled or not past.has_missed(kind)) and not past.is_peers_alone(kind)


def tags_agree(key: Quiet) -> Problems:
    for name, version, replica in _pairs(key):
        told = _is_told(key, name, "ObjectTagging:")
        if told and replica.tags != version.tags:
            yield f"the replica of {name} has other tags"


def annotations_agree(key: Quiet) -> Problems:
    for name, version, replica in _pairs(key):
        told = _is_told(key, name, "ObjectAnnotation:")
        if told and replica.annotations != version.annotations:
            yield f"the replica of {name} has other annotations: {dict(replica.annotations)}"


def acls_agree(key: Quiet) -> Problems:
    """ACLs follow their events: settling by hand does not look for changes that no event told of, or that
    were told of a version that was passed over."""
    if key.changed:
        return
    for name, version, replica in _pairs(key):
        missed = key.past[name].has_missed("ObjectAcl:") or key.past[name].is_peers_alone("ObjectAcl:")
        told = name not in key.passed_over and not missed
        if told and replica.grants != version.grants:
            yield f"the replica of {name} has another ACL"


def _pairs(key: Quiet) -> Iterator[tuple[str, Contents, Contents]]:
    """What versions hold, and what our replicas of them hold."""
    there = {version.version_id: version for version in key.destination}
    for version in key.selected():
        row = key.rows.get(version.name)
        replica = there.get(row.replica or "") if row else None
        if version.contents is None or replica is None or replica.contents is None:
            continue
        if replica.truth.ours:
            yield version.name, version.contents, replica.contents


def at_rest(key: Quiet) -> Problems:
    """(e) Nothing is open, in doubt, or left to be done."""
    if key.head is None:
        return
    if key.head.lease is not None and (key.reconciled or key.head.lease.expires > key.now):
        yield f"the lease is held by {key.head.lease.token}"
    # Where the rules have changed, who comes again may have nothing to do there any more.
    dropped = key.changed and not key.reconciled
    if key.head.intent is not None and not dropped:
        yield f"an intent is open: {key.head.intent}"
    if key.head.unsettled and not dropped:
        yield "the key is unsettled"
    for vid, row in key.rows.items():
        if not row.final and not key.is_left_out(vid):
            yield f"the row of {vid} is {row.status} ({row.reason}: {row.detail})"
        if left := [one for one in row.left if one not in key.forged]:
            yield f"superseded replicas of {vid} are left: {', '.join(left)}"
        if row.due is not None:
            yield f"the row of {vid} is due"
        if row.upload is not None:
            yield f"the row of {vid} remembers an upload"
        if row.live and row.owed:
            yield f"the replica of {vid} is owed {', '.join(sorted(row.owed))} ({row.reason}: {row.detail})"
    if key.uploads and key.tidy and not key.changed:
        yield f"{key.uploads} uploads are open"


def only_what_was_told_of(key: Quiet) -> Problems:
    """A version is created by the event of its making, or because somebody asks for it: never by an event of
    what changed about it later."""
    told = key.told
    if told is None:
        return
    for vid in key.standing():
        # What a null version's event told of may have been replaced since.
        if vid not in told and not is_null(vid):
            yield f"{vid} is replicated, and nobody was told that it was made"


INVARIANTS: Final[tuple[Invariant, ...]] = (
    at_rest,
    every_version_once,
    nothing_unknown,
    nothing_unselected,
    deleted_versions_are_gone,
    what_was_lost_is_restored,
    in_order,
    the_newest_is_current,
    rows_tell_the_truth,
    tags_agree,
    annotations_agree,
    acls_agree,
    only_what_was_told_of,
)


def rows_are_the_keys_own(key: Quiet) -> Problems:
    """No place mixes the versions of two source keys."""
    for vid, row in key.rows.items():
        if vid not in key.past and (row.live or row.left or row.blocked or not row.final):
            yield f"the row of {vid}, which is none of the key's versions, is {row.status}"


def a_conflict_can_be_seen(key: Quiet) -> Problems:
    """Whoever finds its place taken by another source key waits where an operator sees it. Who asks by hand
    is answered. What is passed over as a replica wants no place."""
    for version in key.selected() if not key.reconciled else ():
        if version.name not in key.waiting | key.passed_over:
            yield f"{version.name} has no place, which {key.rival} has, and nothing says so"


def a_claim_ends(key: Quiet) -> Problems:
    """Where nothing is left of a source key, another can have the place; and none has it but by a rule."""
    if all(version.name in key.passed_over for version in key.selected()):
        return
    if not key.rightful:
        yield f"the place is {key.rival}'s, to which no rule has ever given it"
    elif key.reconciled and key.empty:
        yield f"the place is {key.rival}'s, of which nothing is left"


_OF_A_FORMER_PLACE: Final = (rows_tell_the_truth,)
_OF_A_RIVALS_PLACE: Final = (a_claim_ends, a_conflict_can_be_seen)


def problems_of(key: Quiet) -> list[str]:
    return _problems(key, INVARIANTS)


def problems_of_place(key: Quiet, *, former: bool) -> list[str]:
    """In a wider world, of one place where replicas of the key lie, or did."""
    if key.rival is not None:
        return [] if former else _problems(key, _OF_A_RIVALS_PLACE)
    mixed = _problems(key, (rows_are_the_keys_own,))
    if mixed:
        return mixed
    known = replace(key, rows={vid: row for vid, row in key.rows.items() if vid in key.past})
    return _problems(known, _OF_A_FORMER_PLACE if former else INVARIANTS)


def _problems(key: Quiet, invariants: Sequence[Invariant]) -> list[str]:
    return [f"{invariant.__name__}: {problem}" for invariant in invariants for problem in invariant(key)]
