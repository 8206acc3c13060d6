"""The sweep: open work whose time has come is sent round again, through the dead-letter queue; and what is
late is found, once, where a rule asks for that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from s3replicator.decisions import letters
from s3replicator.decisions.announcements import Announcement, of_missed
from s3replicator.decisions.ledger import NEVER
from s3replicator.ports import Clock, DueItem, Ledger, Outbox

#: What has been swept is left alone for this many seconds, while its messages are under way.
_RESPITE: Final = 900.0

#: Nothing new is begun in the last seconds of a sweep.
_MARGIN: Final = 15.0


@dataclass(frozen=True, slots=True)
class Swept:
    """By destination: how many versions were sent round, and how much open work there is. ``missed`` is to be
    told, and only now."""

    sent: Mapping[str, int]
    open: Mapping[str, int]
    missed: list[Announcement] = field(default_factory=list)


class Sweep:
    def __init__(self, ledger: Ledger, outbox: Outbox, clock: Clock) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock

    def run(self, destinations: list[str], deadline: float) -> Swept:
        """What there is no time for stays due, and is swept next time."""
        sent = dict.fromkeys(destinations, 0)
        missed: list[Announcement] = []
        for destination in destinations:
            for item in self._ledger.due(destination, self._clock.now()):
                if self._clock.now() + _MARGIN > deadline:
                    break
                sent[destination] += self._send_round(item, missed)
        open_work = {name: self._ledger.count_open(name) for name in destinations}
        return Swept(sent, open_work, missed)

    def _send_round(self, item: DueItem, missed: list[Announcement]) -> int:
        now = self._clock.now()
        due = {vid: row for vid, row in item.rows.items() if row.due is not None and row.due <= now}
        late = {vid: row for vid, row in item.rows.items() if row.late_at is not None and row.late_at <= now}
        if item.spilled and self._is_outdated(item):
            self._ledger.close(item)
            return 0
        for version_id, row in due.items():
            self._outbox.hand_over(letters.from_row(item.source, version_id, row, item.key))
        # After the messages: if this write is lost they are sent twice, and the second is a duplicate.
        if self._ledger.postpone(item, _next_look(item, now), late):
            destination = item.key.destination
            missed += [of_missed(item.source, vid, destination, row) for vid, row in late.items()]
        return len(due)

    def _is_outdated(self, item: DueItem) -> bool:
        """Whoever moved the row out of the head died before the head said so, and others went on; or another
        source key has got the place since."""
        head = self._ledger.head(item.key)
        if head is None:
            return False
        return not head.is_of(item.source) or not head.rows.keys().isdisjoint(item.rows)


def _next_look(item: DueItem, now: float) -> float:
    """When what has been sent round should be done, or something else of the item is late or due."""
    moments = [NEVER]
    for row in item.rows.values():
        told = replace(row, missed=row.missed or (row.late_at is not None and row.late_at <= now))
        sent = told.due is not None and told.due <= now
        moments += [now + _RESPITE] if sent else []
        moment = told.late_at if sent else told.swept_at
        moments += [moment] if moment is not None else []
    return min(moments)
