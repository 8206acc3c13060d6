"""Messages and documents that are spoiled at random: whatever they say, nothing of ours is surprised.

``python -m tests.unit.fuzz --messages 10000 --documents 10000``; a test tries a few. What is tried follows
from a seed, and whatever surprises is printed.
"""

import argparse
import json
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from s3replicator.adapters.configuration_document import parse, parse_in_force
from s3replicator.decisions.configuration import InvalidConfiguration
from s3replicator.decisions.job import InvalidJob, parse_job
from s3replicator.decisions.manifest import PLAIN, InvalidManifest, entries
from s3replicator.decisions.plan import SINGLE_COPY_LIMIT
from s3replicator.usecases.job_manifest import examine
from tests.unit.places import OTHER, REPLICA, SOURCE, Places, rule
from tests.unit.protocol.memory_queues import Queue
from tests.unit.test_configuration_robustness import FULL
from tests.unit.test_job import EVERYTHING
from tests.unit.test_manifest import COLUMNS, INVENTORY

SEED: Final = 1

#: So many messages come to one stack, which then has to bring everything where it belongs.
_TOGETHER: Final = 20

_EVENTS: Final = Path(__file__).parents[2] / "events"

_RULES: Final = (
    rule("in/", number=1, deletes=1000),
    rule("other/", number=2),
    rule("in/", to="x/", bucket=OTHER, number=3),
)
_KEYS: Final = ("in/x", "in/y", "other/z", "nobody's")
_NAMES: Final = (
    *_KEYS,
    *("eu/x", "x/x", "eu/z", SOURCE, REPLICA, OTHER, "made-up", f"{REPLICA}#eu", "null"),
    *("ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete", "ObjectTagging:Put"),
    *("ObjectAcl:Put", "ObjectRetention:Put", "ObjectAnnotation:Put", "Object Created", "aws.s3", "aws:s3"),
    *("Enabled", "Disabled", "backfill", "reconcile", "NONE", "COMPLETED", "REPLICA", "FAILED", "STANDARD"),
    *("2026-11-22T09:15:04.123Z", "0055AED6DCD90281E5", "upload-1", "w1-1", "OutOfOrder", "LateVersion"),
    *("a%2Bb", "%zz", "k" * 1100, "\ud800", "\x00", "ünï/☃", "\U0001f600", "s3replicator", "Records"),
)
_NUMBERS: Final = (0, 1, -1, 1.5, 2**31, 2**63, 10**30, -1e300, float("inf"), float("nan"))


class Spoiler:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        kinds: list[Callable[[], Any]] = [
            lambda: self.chance.choice((None, True, False)),
            lambda: self.chance.choice(_NUMBERS),
            lambda: self.chance.choice(_NAMES),
            lambda: self.chance.choice(_NAMES),
            lambda: self.text(12),
        ]
        if depth < 3:
            kinds += [
                lambda: [self.value(depth + 1) for _ in range(self.chance.randrange(3))],
                lambda: {self.name(): self.value(depth + 1) for _ in range(self.chance.randrange(3))},
            ]
        return self.chance.choice(kinds)()

    def name(self) -> str:
        return self.chance.choice((self.chance.choice(_NAMES), self.text(6)))

    def text(self, longest: int) -> str:
        letters = (
            self.chance.choice((127, 255, 0x2FFF, 0x10FFFF)) for _ in range(self.chance.randrange(longest))
        )
        return "".join(chr(self.chance.randint(0, most)) for most in letters)

    def document(self, document: Any, most: int = 2) -> Any:
        """With some of its values replaced, left out, moved or doubled."""
        spoiled = deepcopy(document)
        for _ in range(self.chance.randint(0, most)):
            holders = [one for one in _within(spoiled) if one]
            if not holders:
                break
            self._spoil(self.chance.choice(holders), holders)
        return spoiled

    def _spoil(self, holder: Any, holders: Sequence[Any]) -> None:
        place = self.chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match self.chance.randrange(6):
            case 0:
                del holder[place]
            case 1:
                holder[place] = deepcopy(self.chance.choice(holders))
            case 2 if isinstance(holder, dict):
                holder[self.name()] = holder[place]
            case 3 if isinstance(holder, list):
                holder.append(deepcopy(holder[place]))
            case _:
                holder[place] = self.value()

    def writing(self, text: str) -> str:
        """Now and then cut off, or with other letters in it."""
        for _ in range(self.chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2))):
            at = self.chance.randrange(len(text) + 1)
            match self.chance.randrange(3):
                case 0:
                    text = text[:at]
                case 1:
                    text = text[:at] + self.text(4) + text[at:]
                case _:
                    text = text[:at] + text[at + 1 :]
        return text


def _within(document: Any) -> list[Any]:
    """All objects and lists in it, and itself."""
    if isinstance(document, dict):
        return [document, *(each for one in document.values() for each in _within(one))]
    if isinstance(document, list):
        return [document, *(each for one in document for each in _within(one))]
    return []


@dataclass(slots=True)
class Verdicts:
    """``ended``: how many ended how; ``surprises``: what was tried, and what became of it."""

    tried: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    surprises: list[tuple[str, str]] = field(default_factory=list)


# -- messages


def messages(count: int, seed: int = SEED) -> Verdicts:
    verdicts = Verdicts()
    for number in range(0, count, _TOGETHER):
        spoiler = Spoiler(seed * 1_000_003 + number)
        sent: list[str] = []
        try:
            places = _stack(spoiler, min(_TOGETHER, count - number), sent, verdicts)
            _is_where_it_belongs(places)
        except Exception:
            verdicts.surprises.append((json.dumps(sent, indent=1), traceback.format_exc(limit=-6)))
    return verdicts


def _stack(spoiler: Spoiler, count: int, sent: list[str], verdicts: Verdicts) -> Places:
    """One that has been sent so many messages among others."""
    places, chance = Places(*_RULES), spoiler.chance
    records = [_written(places, chance) for _ in range(4)]
    for record in records:
        if chance.random() < 0.5:
            places.deliver(record)
    for _ in range(count):
        lanes = (Queue.INGEST, Queue.INGEST, Queue.DEAD_LETTER, Queue.LARGE)
        queue = chance.choice(lanes)
        body = spoiler.writing(json.dumps(spoiler.document(_message(places, records, spoiler))))
        sent.append(f"{queue}: {body}")
        verdicts.tried += 1
        outcomes = places.process([body], queue).outcomes
        verdicts.ended.update([str(outcome.result) for outcome in outcomes] or ["nothing to do"])
    return places


def _written(places: Places, chance: random.Random) -> dict[str, Any]:
    key, what = chance.choice(_KEYS), chance.randrange(6)
    if what == 0:
        return places.mark(key)
    size = SINGLE_COPY_LIMIT + 1 if what == 1 else 1
    record = places.put(key, f"body {len(places.heard)}", size=size)
    return places.purge(record) if what == 2 else record


def _message(places: Places, records: Sequence[Mapping[str, Any]], spoiler: Spoiler) -> Any:
    """Something that was sent, or could have been: of S3, of a topic, of a bus, of ours."""
    chance = spoiler.chance
    record = dict(chance.choice(records))
    ours = (Queue.LARGE, Queue.DEAD_LETTER)
    waiting = [letter.body for queue in ours for letter in places.queues.letters[queue]]
    match chance.randrange(8):
        case 0:
            return json.loads(chance.choice(_files()))
        case 1 if waiting:
            return json.loads(chance.choice(waiting))
        case 2:
            return {"Type": "Notification", "Message": json.dumps({"Records": [record]})}
        case 3:
            return {"Records": [{**record, "eventName": chance.choice(_NAMES)}]}
        case 4 | 5:
            return {"Records": [{**record, "s3replicator": _envelope(spoiler)}]}
        case 6:
            return {"Records": [record, *chance.choices(records, k=2)]}
    return {"Records": [record]}


def _envelope(spoiler: Spoiler) -> dict[str, Any]:
    chance = spoiler.chance
    upload = {"id": chance.choice(("upload-1", "gone")), "nonce": "n", "started": 1_800_000_000.0}
    whole = {
        "destination": chance.choice((REPLICA, OTHER, "made-up")),
        "replicaKey": chance.choice(("eu/x", "x/x", "eu/z", "in/x", "nobody's")),
        "upload": {**upload, "tagged": True},
        "prepare": True,
        "settle": True,
        "missed": True,
        "replica": spoiler.name(),
        "reason": "OutOfOrder",
        "rule": "rule-1",
        "origin": "onward",
    }
    return {name: value for name, value in whole.items() if chance.random() < 0.5}


@cache
def _files() -> Sequence[str]:
    return [file.read_text() for file in sorted(_EVENTS.glob("*.json"))]


def _is_where_it_belongs(places: Places) -> None:
    """S3's own events come, what is parked is sent round: then every live version has its replica."""
    for heard in places.heard:
        places.deliver(heard)
    for _ in range(12):
        places.process([letter.body for letter in places.take(Queue.PARKED)])
        places.drain()
        places.clock.sleep(7200)
        places.sweep()
    for key, add in (("in/x", "eu/x"), ("in/y", "eu/y"), ("other/z", "eu/z")):
        live = [one for one in places.source.versions(key) if one.contents]
        there = places.bodies(add)
        lacking = [one.contents.body for one in live if one.contents and one.contents.body not in there]
        assert not lacking, f"{lacking} of {key}: {there}, {places.rows()}"


# -- documents


def documents(count: int, seed: int = SEED) -> Verdicts:
    """Configurations, jobs, manifests and inventories, in turns."""
    verdicts = Verdicts()
    kinds = (_configuration, _job, _manifest, _inventory)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        spoiler = Spoiler(seed * 1_000_003 + number)
        written, read, refusal = kind(spoiler)
        verdicts.tried += 1
        try:
            read()
        except refusal:
            verdicts.ended[f"{kind.__name__[1:]} refused"] += 1
        except Exception:
            verdicts.surprises.append((str(written), traceback.format_exc(limit=-4)))
        else:
            verdicts.ended[f"{kind.__name__[1:]} read"] += 1
    return verdicts


#: What was written, what reads it, and how that may refuse.
_Trial = tuple[object, Callable[[], object], type[Exception]]


def _configuration(spoiler: Spoiler) -> _Trial:
    text = spoiler.writing(json.dumps(spoiler.document(FULL)))
    reading = spoiler.chance.choice((parse, parse_in_force))
    return text, partial(reading, text, SOURCE), InvalidConfiguration


def _job(spoiler: Spoiler) -> _Trial:
    document = spoiler.document(EVERYTHING)
    return document, partial(parse_job, spoiler.chance.choice(("id", spoiler.name())), document), InvalidJob


def _manifest(spoiler: Spoiler) -> _Trial:
    keys = ("a", "a%20b", "a+b", "%E2%98%83", "x" * 1100, "k", "k", "k", "k", spoiler.name())
    lines = (
        f"{spoiler.chance.choice((SOURCE,) * 20 + (spoiler.name(),))},{spoiler.chance.choice(keys)},{end}"
        for end in (
            "v1\n",
            "\n",
            '"v1"\r\n',
            "v.2\n",
            f"{spoiler.chance.choice(('', '', spoiler.text(5)))}\n",
        )
    )
    body = spoiler.writing("".join(lines)).encode("utf-8", "surrogatepass")
    return body, partial(examine, _Files(body), "manifest.csv", SOURCE), InvalidManifest


def _inventory(spoiler: Spoiler) -> _Trial:
    if spoiler.chance.random() < 0.5:
        body = spoiler.writing(json.dumps(spoiler.document(INVENTORY))).encode("utf-8", "surrogatepass")
        return body, partial(examine, _Files(body), "manifest.json", SOURCE), InvalidManifest
    values = [SOURCE, "a", "v1", "true", "false", "3", "2026-11-22T10:00:00.000Z", "e1", "STANDARD"]
    rows = [spoiler.document(values, most=1) for _ in range(2)]
    text = spoiler.writing("".join(",".join(f'"{value}"' for value in row) + "\n" for row in rows))
    columns = spoiler.chance.choice((COLUMNS, PLAIN, COLUMNS[:6]))
    lines = text.splitlines(keepends=True)
    return text, lambda: list(entries(lines, columns, SOURCE)), InvalidManifest


@dataclass(frozen=True, slots=True)
class _Files:
    body: bytes

    def read(self, _where: str) -> bytes:
        return self.body

    def copy(self, bucket: str, key: str, to: str) -> None:
        raise AssertionError((bucket, key, to))


# -- both


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.unit.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="so many (default: %(default)s)")
    parser.add_argument("--documents", type=int, default=10_000, help="so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args(arguments)
    both = {
        "messages": messages(given.messages, given.seed),
        "documents": documents(given.documents, given.seed),
    }
    for name, found in both.items():
        print(f"{found.tried} {name}, {len(found.surprises)} surprises")
        for end, times in sorted(found.ended.items()):
            print(f"{times:>7} {end}")
        for tried, surprise in found.surprises[:3]:
            print(tried, surprise, sep="\n")
    return 1 if any(found.surprises for found in both.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
