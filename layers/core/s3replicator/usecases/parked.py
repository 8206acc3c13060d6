"""Parked messages: looked at, sent round again, dropped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.parked import ParkedMessage, oldest_first
from s3replicator.ports import Clock, Parallel

#: Looking at a long queue ends here, in seconds, while what was seen first is still held.
LOOK: Final = 60.0

#: How many requests a long queue is asked by at a time.
_AT_ONCE: Final = 16

#: So many messages are in an answer at most.
_FULL: Final = 10


class Queue(Protocol):
    """A queue cannot be read without taking: what ``take`` returns is invisible to others for a while."""

    def take(self) -> Sequence[ParkedMessage]:
        """Some messages; none if there is none left that nobody holds."""
        ...

    def send_round(self, message: ParkedMessage) -> None:
        """Send the body, as it is, to where the source's notifications arrive."""
        ...

    def remove(self, message: ParkedMessage) -> None: ...

    def give_back(self, messages: Sequence[ParkedMessage]) -> None: ...


@dataclass(frozen=True, slots=True)
class Handled:
    """``sent`` and ``removed`` say how far it came; ``problem`` why no further."""

    message: ParkedMessage
    sent: bool
    removed: bool
    problem: str | None = None


class Look:
    """The messages that are held, oldest first; ``complete`` if there are no others."""

    def __init__(self, queue: Queue, parallel: Parallel) -> None:
        self._queue = queue
        self._parallel = parallel
        self._held: dict[str, ParkedMessage] = {}
        self.complete = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def messages(self) -> list[ParkedMessage]:
        return oldest_first(self._held.values())

    def holds(self, message_id: str) -> bool:
        return message_id in self._held

    def hold(self, messages: Sequence[ParkedMessage]) -> bool:
        """False if there is nothing new among them: the queue has been seen."""
        fresh = {message.id: message for message in messages}
        is_news = not fresh.keys() <= self._held.keys()
        self._held |= fresh
        return is_news

    def retry(self, messages: Sequence[ParkedMessage]) -> list[Handled]:
        """Send messages round again; one is removed only after its successor has been accepted."""
        return self._parallel.map(self._retry, messages)

    def drop(self, messages: Sequence[ParkedMessage]) -> list[Handled]:
        """Remove messages; the ledger keeps what it knows of their versions."""
        return self._parallel.map(lambda message: self._remove(message, sent=False), messages)

    def give_back(self) -> None:
        # What cannot be given back comes back by itself.
        with suppress(ReplicationError):
            self._queue.give_back(list(self._held.values()))

    def _retry(self, message: ParkedMessage) -> Handled:
        try:
            self._queue.send_round(message)
        except ReplicationError as failure:
            return Handled(message, sent=False, removed=False, problem=failure.detail)
        return self._remove(message, sent=True)

    def _remove(self, message: ParkedMessage, *, sent: bool) -> Handled:
        try:
            self._queue.remove(message)
        except ReplicationError as failure:
            return Handled(message, sent=sent, removed=False, problem=failure.detail)
        del self._held[message.id]
        return Handled(message, sent=sent, removed=True)


@dataclass(frozen=True, slots=True)
class Parked:
    queue: Queue
    parallel: Parallel
    clock: Clock

    @contextmanager
    def look(self, limit: int, found: Callable[[Look], bool] = lambda _look: False) -> Iterator[Look]:
        """At most about ``limit`` messages, or until what is looked for has been ``found``; at the end
        whatever has not been removed is given back."""
        look = Look(self.queue, self.parallel)
        until = self.clock.now() + LOOK
        try:
            requests = 1
            while len(look) < limit and self.clock.now() < until and not found(look):
                answers = self._take(requests)
                # Every answer is held, also where another one brings nothing new.
                news = [look.hold(answer) for answer in answers]
                if not any(news):
                    look.complete = True
                    break
                # A queue that fills every answer is a long one.
                is_long = all(len(answer) >= _FULL for answer in answers)
                requests = min(2 * requests, _AT_ONCE) if is_long else 1
            yield look
        finally:
            look.give_back()

    def _take(self, requests: int) -> list[Sequence[ParkedMessage]]:
        if requests == 1:
            return [self.queue.take()]
        return self.parallel.map(lambda _: self.queue.take(), range(requests))
