"""The two ways over a key: the fast path of ``replicate``, and the second function's."""

from dataclasses import replace

from s3replicator.decisions.failures import Reason, TerminalError
from s3replicator.usecases.leased_key import LeasedKey


class FastPath:
    """New versions in order. Everything else goes to the second function."""

    def enter(self, _leased: LeasedKey) -> Reason | None:
        return Reason.UNSETTLED

    def hands_over_late(self) -> bool:
        return True

    def leave(self, leased: LeasedKey) -> Reason | None:
        return Reason.UNSETTLED if leased.head.unsettled else None


class SettlingPath:
    """Resolves what others left in doubt, and lets late versions wait in the ledger."""

    def enter(self, leased: LeasedKey) -> Reason | None:
        if leased.in_doubt:
            leased.resolve()
        return None

    def hands_over_late(self) -> bool:
        return False

    def leave(self, leased: LeasedKey) -> Reason | None:
        if leased.head.unsettled and not leased.in_doubt:
            try:
                leased.report_order()
            except TerminalError:
                # Nobody may look; the key stays unsettled, which only makes its next change slower.
                return None
            leased.head = replace(leased.head, unsettled=False)
        return None
