"""Open work, as an operator sees it: looked through, and sent round again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from s3replicator.decisions import letters
from s3replicator.decisions.open_work import NoSuchPlace, OpenRow, Wanted
from s3replicator.ports import Clock, DueItem, Ledger


class Items(Protocol):
    def items(self, destination: str, after: str | None = None) -> Iterable[tuple[DueItem, str]]:
        """Each with its place in the list, to go on ``after`` it."""
        ...

    def destination_of(self, token: str) -> str:
        """Whose list a place is in. Raises ``NoSuchPlace``."""
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
        """``after`` is the token of a row that was seen. Raises ``NoSuchPlace``."""
        begin = self._begin(destinations, after) if after is not None else 0
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

    def _begin(self, destinations: Sequence[str], after: str) -> int:
        destination = self.work.destination_of(after)
        if destination not in destinations:
            raise NoSuchPlace(f"this place is in the list of {destination}, which was not asked for")
        return destinations.index(destination)

    def _is_outdated(self, item: DueItem) -> bool:
        """A row that has spilled, of which the head has a newer one, or which is of a source key that had the
        place before."""
        if not item.spilled:
            return False
        head = self.ledger.head(item.key)
        if head is None:
            return False
        return not head.is_of(item.source) or not head.rows.keys().isdisjoint(item.rows)

    def retry(self, rows: Iterable[OpenRow], rate: float, sent: Callable[[OpenRow], object]) -> None:
        """Send the events of versions to the function that settles, at most ``rate`` a second. ``sent`` hears
        of each."""
        next_one = self.clock.now()
        for found in rows:
            self.clock.sleep(max(0.0, next_one - self.clock.now()))
            next_one = self.clock.now() + 1 / rate
            self.outbox.hand_over(letters.from_row(found.source, found.version_id, found.row, found.key))
            sent(found)
