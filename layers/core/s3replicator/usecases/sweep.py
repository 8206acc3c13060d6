"""The sweep: open work whose time has come is sent round again, through the dead-letter queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions import letters
from s3replicator.ports import Clock, DueItem, Ledger, Outbox

#: What has been swept is left alone for this many seconds, while its messages are under way.
_RESPITE: Final = 900.0

#: Nothing new is begun in the last seconds of a sweep.
_MARGIN: Final = 15.0


@dataclass(frozen=True, slots=True)
class Swept:
    """By destination: how many versions were sent round, and how much open work there is."""

    sent: Mapping[str, int]
    open: Mapping[str, int]


class Sweep:
    def __init__(self, ledger: Ledger, outbox: Outbox, clock: Clock) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock

    def run(self, destinations: list[str], deadline: float) -> Swept:
        """What there is no time for stays due, and is swept next time."""
        sent = dict.fromkeys(destinations, 0)
        for destination in destinations:
            for item in self._ledger.due(destination, self._clock.now()):
                if self._clock.now() + _MARGIN > deadline:
                    break
                sent[destination] += self._send_round(item)
        open_work = {name: self._ledger.count_open(name) for name in destinations}
        return Swept(sent, open_work)

    def _send_round(self, item: DueItem) -> int:
        now = self._clock.now()
        due = [
            (version_id, row)
            for version_id, row in item.rows.items()
            if row.due is not None and row.due <= now
        ]
        if item.spilled and self._is_outdated(item):
            self._ledger.close(item)
            return 0
        for version_id, row in due:
            self._outbox.hand_over(letters.from_row(item.source, version_id, row, item.key.destination))
        # After the messages: if this write is lost they are sent twice, and the second is a duplicate.
        self._ledger.postpone(item, now + _RESPITE)
        return len(due)

    def _is_outdated(self, item: DueItem) -> bool:
        """Whoever moved the row out of the head died before the head said so, and others went on."""
        head = self._ledger.head(item.key)
        return head is not None and not head.rows.keys().isdisjoint(item.rows)
