"""What has been added to a record is believed as far as the rules or the ledger bear it out.

Whoever may send to the queue can add what they like. So nothing that was added makes a head: it may narrow
what the rules ask for, and name a place that the ledger knows as this source key's. The record itself is
S3's, and the source says whether it is true.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from s3replicator.decisions.configuration import Configuration
from s3replicator.decisions.events import Change, ChangeKind
from s3replicator.decisions.failures import NotEligible, Reason
from s3replicator.decisions.rules import places
from s3replicator.usecases.engine import Engine
from s3replicator.usecases.uploads import discard_upload
from s3replicator.usecases.work import Work


@dataclass(frozen=True, slots=True)
class Envelopes:
    engine: Engine

    def proven(self, change: Change, configuration: Configuration) -> Change:
        """The change with its envelope, or as S3 told of it, for the destination that the envelope named.
        Raises ``RetryableError`` if the ledger cannot be read."""
        if change.destination is None:
            return change.as_s3_told()
        named = Work(change, change.destination, None)
        if named.key in places(configuration, change.key):
            if change.kind is not ChangeKind.SETTLE or self._is_ours(named):
                return change
        elif self._is_ours(named):
            return change
        else:
            # Where no rule puts the version any more, it is not kept out, and nobody waits for its parts.
            self.engine.ledger.close_conflict(named.key, named.source_key, named.version_id)
            discard_upload(self.engine, named)
        return change.as_s3_told()

    def _is_ours(self, work: Work) -> bool:
        head = self.engine.ledger.head(work.key)
        return head is not None and head.is_of(work.source_key)

    def without_unknown(self, works: Sequence[Work]) -> list[Work]:
        """The works, but for those that would only close a row which is not there."""
        return [work for work in works if not _closes(work) or self._has_row(work)]

    def _has_row(self, work: Work) -> bool:
        row = self.engine.ledger.peek(work.key, work.source_key, work.version_id)
        if row is not None or self._is_left_behind(work):
            return True
        discard_upload(self.engine, work)
        return False

    def _is_left_behind(self, work: Work) -> bool:
        """Whether somebody moved a row out of the head and died before the head said so: nobody believes it,
        but it is swept until the head has a row of its own."""
        row = self.engine.ledger.row(work.key, work.source_key, work.version_id)
        return row is not None and row.open and self._is_ours(work)


def _closes(work: Work) -> bool:
    """Whether it is about a place that no rule selects the version for any more."""
    return isinstance(work.failure, NotEligible) and work.failure.reason is Reason.RULE_GONE
