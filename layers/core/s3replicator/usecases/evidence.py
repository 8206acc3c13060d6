"""What there is to find out about an object that looks like a replica. It costs requests for those only."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from s3replicator.decisions.events import Change, ChangeKind, Origin
from s3replicator.decisions.failures import ReplicationError, RetryableError
from s3replicator.decisions.ledger import LedgerKey, Row, source_name
from s3replicator.decisions.provenance import (
    Evidence,
    JobAsks,
    Writer,
    decided_by,
    is_in_doubt,
    is_original_of,
    may_be_copied,
    needs_history,
)
from s3replicator.decisions.versions import SourceObject, VersionRef
from s3replicator.ports import Source
from s3replicator.usecases.absence import confirmed

#: What the ledger says of a version, without a lease.
Peek = Callable[[LedgerKey, str, str], Row | None]


def evidence_of(version: SourceObject, change: Change, peers: frozenset[str]) -> Evidence:
    """As far as the version and its event tell. What we send round ourselves has a row, by which somebody
    decided; but what bears a stamp is decided once more if its row does not say how."""
    writer = Writer.OTHER if change.origin is Origin.NO_PEER else writer_of(change, peers)
    is_undecided = change.origin is not None and not change.origin.is_decision
    if change.destination is not None and not is_undecided:
        return Evidence(version, writer, change.origin)
    suspected = is_undecided or bool(peers)
    return Evidence(version, writer, may_be_peers=suspected and writer is Writer.UNKNOWN)


def writer_of(change: Change, peers: frozenset[str]) -> Writer:
    """The event of a new version names who wrote it, that of a later change who changed it."""
    if not peers or change.principal is None or change.kind not in (ChangeKind.CREATED, ChangeKind.MARKED):
        return Writer.UNKNOWN
    return Writer.PEER if change.is_by(peers) else Writer.OTHER


def remembered(evidence: Evidence, key: LedgerKey, peek: Peek, job: JobAsks | None) -> Evidence:
    """With what the ledger says, if that matters: one read. A job that does not ask for all that the ledger
    does not know has to know whether it does."""
    undecided = evidence.decided is None and evidence.writer is Writer.UNKNOWN
    matters = is_in_doubt(evidence) or (job is not None and not job.others)
    if not (undecided and matters):
        return evidence
    ref = evidence.version.ref
    row = peek(key, source_name(ref), ref.version_id)
    if row is None:
        return evidence
    if row.origin is Origin.NO_PEER:
        evidence = replace(evidence, writer=Writer.OTHER, may_be_peers=False)
    return replace(evidence, decided=decided_by(row, evidence.version))


@dataclass(frozen=True, slots=True)
class OlderVersions:
    """The older versions of a key at the source."""

    source: Source

    def of(self, evidence: Evidence) -> Evidence:
        """With what they say, if it matters: one list, and a few HEADs. Raises ``RetryableError``."""
        if not needs_history(evidence):
            return evidence
        return replace(evidence, copied_in_place=self._is_copied_in_place(evidence.version))

    def _is_copied_in_place(self, version: SourceObject) -> bool:
        ref = version.ref
        listed = self.source.versions(ref.bucket, ref.key)
        return any(
            self._is_original(VersionRef(ref.bucket, ref.key, older.version_id), version)
            for older in may_be_copied(version, listed)
        )

    def _is_original(self, ref: VersionRef, version: SourceObject) -> bool:
        try:
            older = self.source.head(ref)
        except ReplicationError as failure:
            answer = confirmed(self.source, ref, failure)
            if isinstance(answer, RetryableError):
                raise answer from failure
            # What may not be read, or is gone, proves nothing.
            return False
        return isinstance(older, SourceObject) and is_original_of(older, version)
