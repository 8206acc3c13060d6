"""Open work, as an operator sees it: looked through, and sent round again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from s3replicator.decisions import letters
from s3replicator.decisions.open_work import OpenRow, Wanted
from s3replicator.ports import Clock, DueItem, Ledger


class Items(Protocol):
    def items(self, destination: str, after: str | None = None) -> Iterable[tuple[DueItem, str]]:
        """Each with its place in the list, to go on ``after`` it."""
        ...

    def destination_of(self, token: str) -> str:
        """Whose list a place is in. Raises ``ValueError`` for what is none."""
        ...


class DeadLetters(Protocol):
    def hand_over(self, body: Mapping[str, Any]) -> None:
        """An event, to the function that settles."""
        ...


@dataclass(frozen=True, slots=True)
class OpenWork:
    work: Items
    ledger: Ledger
    outbox: DeadLetters
    clock: Clock

    def rows(
        self, destinations: Sequence[str], wanted: Wanted, after: str | None = None
    ) -> Iterator[OpenRow]:
        """``after`` is the token of a row that was seen. Raises ``ValueError`` if it is no place in the list
        of any of these destinations."""
        begin = destinations.index(self.work.destination_of(after)) if after is not None else 0
        for number, destination in enumerate(destinations[begin:]):
            for item, place in self.work.items(destination, after if number == 0 else None):
                found = [
                    OpenRow(item.key, item.source, version_id, row, place)
                    for version_id, row in item.rows.items()
                ]
                chosen = [row for row in found if wanted.selects(row)]
                if chosen and not self._is_outdated(item):
                    yield from chosen

    def page(
        self, destinations: Sequence[str], wanted: Wanted, most: int, after: str | None = None
    ) -> tuple[list[OpenRow], str | None]:
        """About ``most`` rows, and where the next page begins; None if there is none."""
        page: list[OpenRow] = []
        for found in self.rows(destinations, wanted, after):
            # Rows of one head have one place: they stay together.
            if len(page) >= most and found.token != page[-1].token:
                return page, page[-1].token
            page.append(found)
        return page, None

    def _is_outdated(self, item: DueItem) -> bool:
        """A row that has spilled, of which the head has a newer one."""
        if not item.spilled:
            return False
        head = self.ledger.head(item.key)
        return head is not None and not head.rows.keys().isdisjoint(item.rows)

    def retry(self, rows: Iterable[OpenRow], rate: float, sent: Callable[[OpenRow], object]) -> int:
        """Send the events of versions to the function that settles, at most ``rate`` a second; how many.
        ``sent`` hears of each."""
        count, next_one = 0, self.clock.now()
        for found in rows:
            if not found.can_be_retried:
                continue
            self.clock.sleep(max(0.0, next_one - self.clock.now()))
            next_one = self.clock.now() + 1 / rate
            destination = found.key.destination
            self.outbox.hand_over(letters.from_row(found.source, found.version_id, found.row, destination))
            count += 1
            sent(found)
        return count
