"""The queues between the functions: messages that wait until a test hands them out, in any order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any


class Queue(StrEnum):
    INGEST = "ingest"
    LARGE = "large"
    DEAD_LETTER = "dead-letter"
    PARKED = "parked"


@dataclass(slots=True)
class Letter:
    """A message. ``received`` counts how often it has been handed out; ``taken`` is true while it is."""

    id: str
    body: str
    attributes: Mapping[str, str]
    received: int = 0
    taken: bool = False


@dataclass(slots=True)
class MemoryQueues:
    """An ``Outbox``, and what comes out at the other ends. Delays are the test's business."""

    letters: dict[Queue, list[Letter]] = field(default_factory=lambda: {queue: [] for queue in Queue})
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    # -- the outbox

    def to_large_lane(self, body: Mapping[str, Any], delay: float = 0) -> None:
        assert delay >= 0
        self.send(Queue.LARGE, body)

    def hand_over(self, body: Mapping[str, Any]) -> None:
        self.send(Queue.DEAD_LETTER, body)

    def park(self, body: Mapping[str, Any] | str, attributes: Mapping[str, str]) -> None:
        self.send(Queue.PARKED, body, attributes)

    # -- the other ends

    def send(
        self, queue: Queue, body: Mapping[str, Any] | str, attributes: Mapping[str, str] | None = None
    ) -> Letter:
        text = body if isinstance(body, str) else json.dumps(body)
        letter = Letter(f"{queue[:2]}{next(self._numbers)}", text, attributes or {})
        self.letters[queue].append(letter)
        return letter

    def waiting(self, queue: Queue) -> list[Letter]:
        """What can be received now."""
        return [letter for letter in self.letters[queue] if not letter.taken]

    def take(self, letter: Letter) -> None:
        letter.taken = True
        letter.received += 1

    def give_back(self, letter: Letter) -> None:
        letter.taken = False

    def delete(self, queue: Queue, letter: Letter) -> None:
        self.letters[queue].remove(letter)
