"""Random scripts of acts: many more in the same time than Hypothesis draws, and as easily repeated.

Run as a program it goes on until something breaks, and prints the shortest script it can find:
``python -m tests.unit.protocol.walk [first seed]``.
"""

import inspect
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from s3replicator.decisions.configuration import LateVersions
from tests.unit.protocol.acts import CHOICES, Acts
from tests.unit.protocol.memory_bucket import UploadOrder
from tests.unit.protocol.world import Terms, Violation

#: How often an act is drawn, compared with the others.
_WEIGHTS: Final = {
    "put": 8,
    "mark": 4,
    "begin_upload": 2,
    "end_upload": 3,
    "purge": 3,
    "expire": 1,
    "tag": 2,
    "grant": 1,
    "annotate": 1,
    "switch": 1,
    "write_foreign": 1,
    "meddle": 1,
    "handle": 8,
    "work": 12,
    "sweep": 1,
    "settle": 1,
    "go_on": 10,
    "finish": 4,
    "duplicate": 1,
    "lose": 1,
    "land": 2,
    "wait": 3,
}
_PARAMETERS: Final = {name: list(inspect.signature(getattr(Acts, name)).parameters)[1:] for name in _WEIGHTS}


@dataclass(frozen=True, slots=True)
class Script:
    terms: Terms
    acts: tuple[tuple[str, tuple[Any, ...]], ...]

    def __str__(self) -> str:
        lines = [f"{name}({', '.join(map(repr, told))})" for name, told in self.acts]
        return "\n".join([str(self.terms), *lines])


def drawn(seed: int) -> Script:
    chance = random.Random(seed)
    terms = Terms(
        markers=chance.random() < 0.8,
        most_deletes=chance.choice([None, None, 1000, 1]),
        late=chance.choice(list(LateVersions)),
        order=chance.choice(list(UploadOrder)),
        locked=chance.random() < 0.2,
        added="eu/" if seed % 4 == 0 else "",
    )
    names = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=chance.randint(5, 60))
    # Each walk has its own leanings: some acts never happen in it.
    left_out = set(chance.sample(list(_WEIGHTS), chance.randint(0, 8)))
    acts = [
        (name, tuple(chance.choice(CHOICES[parameter]) for parameter in _PARAMETERS[name]))
        for name in names
        if name not in left_out
    ]
    return Script(terms, tuple(acts))


def broken(script: Script) -> Violation | None:
    """What a script breaks, if anything."""
    acts = Acts(script.terms)
    try:
        for name, told in script.acts:
            acts.told(lambda name=name, told=told: getattr(acts, name)(*told))  # type: ignore[misc]
        acts.told(acts.come_to_rest)
    except Violation as violation:
        return violation
    finally:
        acts.world.close()
    return None


def shortened(script: Script) -> Script:
    """The same, without whatever is not needed to break anything."""
    size = len(script.acts) // 2
    while size:
        start = 0
        while start < len(script.acts):
            shorter = replace(script, acts=script.acts[:start] + script.acts[start + size :])
            if broken(shorter):
                script = shorter
            else:
                start += size
        size //= 2
    return script


def main(arguments: Sequence[str]) -> None:
    for seed in count(int(arguments[0]) if arguments else 0):
        if broken(drawn(seed)):
            script = shortened(drawn(seed))
            sys.exit(f"seed {seed}\n{broken(script)}\n\n{script}")


if __name__ == "__main__":
    main(sys.argv[1:])
