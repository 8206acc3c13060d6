"""Walks by the thousand, on several processes, and what they come to; the program of walk.py."""

import argparse
import json
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from multiprocessing import Pool
from typing import Any, Final

from tests.unit.protocol.stack import Feature
from tests.unit.protocol.walk import PROFILES, broken, kind_of, shortened, walked

_LONGEST: Final = 130
_AT_ONCE: Final = 50


@dataclass(slots=True)
class Tally:
    """``seen`` counts walks in which a feature occurred; ``broken`` has the seeds of each kind of violation,
    ``raised`` those at which the tests themselves failed."""

    walks: int = 0
    seconds: float = 0.0
    seen: Counter[Feature] = field(default_factory=Counter)
    broken: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: "Tally") -> None:
        self.walks += other.walks
        self.seconds += other.seconds
        self.seen.update(other.seen)
        for kind, seeds in other.broken.items():
            self.broken[kind] += seeds

    def document(self) -> dict[str, Any]:
        return {
            "walks": self.walks,
            "secondsOfProcesses": round(self.seconds, 1),
            "seen": {feature.value: self.seen[feature] for feature in Feature},
            "violations": {kind: sorted(seeds) for kind, seeds in self.broken.items()},
        }

    def table(self) -> str:
        rate = self.walks / self.seconds if self.seconds else 0.0
        lines = [f"{self.walks} walks, {rate:.0f} a second and process", "", "walks in which it occurred:"]
        lines += [f"{self.seen[feature]:8} {feature}" for feature in Feature]
        lines += ["", f"{sum(map(len, self.broken.values()))} violations" + ":" * bool(self.broken)]
        for kind, seeds in sorted(self.broken.items(), key=lambda entry: -len(entry[1])):
            lines.append(f"{len(seeds):8} {kind}")
            lines.append(f"{'':8} seeds {', '.join(map(str, sorted(seeds)[:8]))}")
        return "\n".join(lines)


def walk(profile: str, seeds: range) -> Tally:
    tally, began = Tally(), time.process_time()
    for seed in seeds:
        tally.walks += 1
        try:
            result = walked(PROFILES[profile](seed))
        except Exception as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            kind = f"the tests fail: {type(failure).__name__} {failure} in {where.name}"
            tally.broken[kind[:_LONGEST]].append(seed)
            continue
        tally.seen.update({feature: 1 for feature, times in result.seen.items() if times})
        if result.violation is not None:
            tally.broken[kind_of(result.violation)[:_LONGEST]].append(seed)
    tally.seconds = time.process_time() - began
    return tally


def _chunk(told: tuple[str, range]) -> Tally:
    return walk(*told)


def _chunks(options: argparse.Namespace) -> Iterator[tuple[str, range]]:
    if options.walks is None:
        firsts = count(options.first, _AT_ONCE)
        yield from ((options.profile, range(first, first + _AT_ONCE)) for first in firsts)
    else:
        last = options.first + options.walks
        for first in range(options.first, last, _AT_ONCE):
            yield options.profile, range(first, min(first + _AT_ONCE, last))


def _walked(options: argparse.Namespace) -> Tally:
    tally, until = Tally(), time.monotonic() + (options.seconds or float("inf"))
    chunks = _chunks(options)
    with Pool(options.processes) as pool:
        # A few at a time, so that time can be up.
        while time.monotonic() < until and (some := list(islice(chunks, 2 * options.processes))):
            for part in pool.imap_unordered(_chunk, some):
                tally.add(part)
    return tally


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.unit.protocol.walk", description=__doc__)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="wide")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--walks", type=int, help="how many walks")
    length.add_argument("--seconds", type=float, default=None, help="for how long")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the closing table as JSON")
    parser.add_argument("--shorten", type=int, metavar="SEED", help="the shortest script that breaks as much")
    return parser.parse_args()


def main() -> None:
    options = _options()
    if options.shorten is not None:
        script = PROFILES[options.profile](options.shorten)
        if broken(script) is None:
            sys.exit(f"seed {options.shorten} breaks nothing")
        script = shortened(script)
        sys.exit(f"seed {options.shorten}\n{broken(script)}\n\n{script}")
    if options.walks is None and options.seconds is None:
        options.seconds = 60.0
    tally = _walked(options)
    sys.stdout.write((json.dumps(tally.document(), indent=2) if options.json else tally.table()) + "\n")
    sys.exit(1 if tally.broken else 0)
