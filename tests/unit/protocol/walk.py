"""Random scripts of acts: many more in the same time than Hypothesis draws, and as easily repeated.

The plain profile is what the tests run, over and over; the wide one draws a wider world, where each walk has
some features of its own. As a program it counts what it finds:

    python -m tests.unit.protocol.walk [--profile wide] [--first SEED] [--walks N | --seconds S]
        [--processes P] [--json]
    python -m tests.unit.protocol.walk --shorten SEED
"""

import inspect
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from s3replicator.decisions.configuration import LateVersions
from tests.unit.protocol import wide_acts
from tests.unit.protocol.acts import CHOICES, Acts
from tests.unit.protocol.memory_bucket import UploadOrder
from tests.unit.protocol.scheduler import Fate
from tests.unit.protocol.stack import Feature
from tests.unit.protocol.wide_acts import MEETING_KEYS, STRIPPED, WideActs
from tests.unit.protocol.world import Terms, Topology, Violation

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


#: What each feature of a wide walk adds to that.
_ADDED: Final[Mapping[Feature, Mapping[str, float]]] = {
    Feature.MEETING: {"work": 6, "settle": 3, "purge": 2, "expire_parked": 1, "reconfigure": 1},
    Feature.RULES: {"reconfigure": 3},
    Feature.SLOW: {"work": 4},
    Feature.PAGES: {"work": 4, "settle": 2},
    Feature.ABSENCE: {"hide": 5, "handle": 4},
    Feature.SKEW: {"work": 4},
    Feature.PEERS: {"turn": 12, "copy_at_source": 3, "settle": 1},
    Feature.IN_PLACE: {"store_otherwise": 3, "copy_at_source": 2},
    Feature.JOB: {"job": 2, "finish_job": 2},
    Feature.MESSAGE: {"forge": 4},
    Feature.ROW: {"forge_left": 4, "write_foreign": 1, "handle": 6},
    Feature.STAMP: {"put_stamped": 2, "plant": 3, "settle": 1},
    Feature.FOLLOWING: {"put_before": 5, "tag": 4, "annotate": 2, "grant": 1},
    Feature.FAILING: {"fail": 12, "heal": 3, "handle": 12, "tag": 1, "annotate": 1},
    Feature.BURST: {"burst": 1.5, "end_upload": 3, "handle": 6},
    Feature.FAILOVER: {"fail_over": 1.5, "turn": 4},
}
#: Features of which a walk has one at most, as they say which stacks and keys there are.
_SHAPES: Final = (Feature.MEETING, Feature.PEERS, Feature.FAILOVER)
#: Leanings of some walks: what has no room for a stamp, answers that never come, and what others write just
#: then; and late versions, below which the doubtful ones have to be copied again.
_DOUBTFUL: Final[Mapping[str, Sequence[object]]] = {
    "key": ("a",),
    "large": (False,),
    "marker": (False, False, True),
    "crowded": (True, True, False),
    "request": ("copy",),
    "how": (Fate.DIES_BEFORE, Fate.REFUSED),
}
_DOUBTING: Final = {
    "put": 10,
    "begin_upload": 5,
    "end_upload": 6,
    "expire": 5,
    "purge": 1,
    "mark": 1,
    "write_foreign": 8,
    "fail": 6,
    "heal": 7,
    "handle": 24,
    "work": 4,
    "go_on": 3,
    "wait": 8,
    "sweep": 2,
}
_SKEWS: Final = ((0.0, 7.0), (-40.0, 25.0), (0.0, 0.0, 8.0), (90.0, -90.0, 0.0), (-5.0, 4.0))
_DURATIONS: Final = ((0.05, 0.4, 1.0), (0.0, 0.0, 9.0, 0.0, 33.0), (2.0, 5.0), (0.2, 0.0, 0.0, 0.0, 61.0))


#: What differs between two violations of one kind.
_NAMES: Final = re.compile(
    r"null@\S+|[0-9a-f]{6}\.[sdt]\d+|\bw\d+(-\d+)?\b|(?:[a-z-]+-bucket/)?(?:eu/)?(?:x/)?\b[ab]\b|\d+"
)


@dataclass(frozen=True, slots=True)
class Script:
    terms: Terms
    acts: tuple[tuple[str, tuple[Any, ...]], ...]
    wide: bool = False

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


def drawn_wide(seed: int) -> Script:
    chance = random.Random(seed)
    features = _features(chance)
    choices = dict(_choices(chance, features))
    terms = _terms(chance, features)
    weights: dict[str, float] = dict(_WEIGHTS)
    if chance.random() < 0.1:
        choices |= _DOUBTFUL
        weights |= _DOUBTING
    # Each walk has its own leanings: some acts never happen in it.
    for name in chance.sample(list(weights), chance.randint(0, 8)):
        del weights[name]
    if terms.topology is not Topology.ONE or Feature.MEETING in features:
        weights.pop("switch", None)
    for feature in features:
        for name, weight in _ADDED[feature].items():
            weights[name] = weights.get(name, 0) + weight
    names = chance.choices(list(weights), list(weights.values()), k=chance.randint(5, 60))
    acts = [
        (name, tuple(chance.choice(choices[parameter]) for parameter in _WIDE_PARAMETERS[name]))
        for name in names
    ]
    return Script(terms, tuple(acts), wide=True)


def _features(chance: random.Random) -> list[Feature]:
    found = chance.sample(list(Feature), chance.choice((1, 2, 2, 3, 4)))
    shapes = [feature for feature in found if feature in _SHAPES]
    return [feature for feature in found if feature not in shapes[1:]]


def _choices(chance: random.Random, features: Sequence[Feature]) -> Mapping[str, Sequence[object]]:
    choices = dict(wide_acts.CHOICES)
    if Feature.MEETING in features:
        choices["key"] = MEETING_KEYS
    if chance.random() < 0.3:
        # What is owed cannot be given, nor can anybody be told.
        choices["request"] = ("park", "park", "annotations", "put_annotation", "put_tags", "put_acl")
        choices["how"] = (Fate.DENIED, Fate.DENIED, Fate.REFUSED, Fate.DIES_BEFORE)
    if chance.random() < 0.3:
        # What goes wrong now and then only is found again by what follows.
        choices["fate"] = (*[Fate.DONE] * 6, *choices["fate"])
    return choices


def _terms(chance: random.Random, features: Sequence[Feature]) -> Terms:
    topology = Topology.ONE
    if Feature.PEERS in features:
        topology = chance.choice((Topology.TWO_WAY, Topology.TWO_WAY, Topology.CHAIN, Topology.RING))
    elif Feature.FAILOVER in features:
        topology = chance.choice((Topology.FAILOVER, Topology.FAILBACK))
    alone = topology is Topology.ONE
    declared = not topology.fails_over and not alone and chance.random() < 0.5
    meeting = Feature.MEETING in features
    # A breaker that lets one delete an hour through would hold up many versions for days.
    few = alone and Feature.BURST not in features
    return Terms(
        markers=chance.random() < 0.8 and not Terms(topology=topology, declared=declared).circling,
        most_deletes=chance.choice([None, None, 1000, 1] if few else [None, None, 1000]),
        late=chance.choice(list(LateVersions)),
        order=chance.choice(list(UploadOrder)),
        locked=alone and chance.random() < 0.1,
        added="eu/" if alone and chance.random() < 0.2 else "",
        stripped=STRIPPED if meeting and chance.random() < 0.7 else "",
        skews=chance.choice(_SKEWS) if Feature.SKEW in features else (),
        takes=chance.choice(_DURATIONS) if Feature.SLOW in features else (),
        paged=Feature.PAGES in features,
        topology=topology,
        declared=declared,
    )


_WIDE_PARAMETERS: Final = {
    name: list(inspect.signature(getattr(WideActs, name)).parameters)[1:]
    for name in {*_WEIGHTS, *(act for added in _ADDED.values() for act in added)}
}

PROFILES: Final = {"plain": drawn, "wide": drawn_wide}


@dataclass(frozen=True, slots=True)
class Walked:
    """What a script breaks, if anything, and what it has seen of the wider world."""

    violation: Violation | None
    seen: Counter[Feature]


def broken(script: Script) -> Violation | None:
    """What a script breaks, if anything."""
    return walked(script).violation


def walked(script: Script) -> Walked:
    acts = WideActs(script.terms) if script.wide else Acts(script.terms)
    violation = None
    try:
        for name, told in script.acts:
            acts.told(lambda name=name, told=told: getattr(acts, name)(*told))  # type: ignore[misc]  # a lambda with defaults
        acts.told(acts.come_to_rest)
    except Violation as found:
        violation = found
    finally:
        acts.close()
    return Walked(violation, acts.seen)


def shortened(script: Script) -> Script:
    """The same, without whatever is not needed to break the same promise."""
    kind = _kind_broken(script)
    size = len(script.acts) // 2
    while size:
        start = 0
        while start < len(script.acts):
            shorter = replace(script, acts=script.acts[:start] + script.acts[start + size :])
            if _kind_broken(shorter) == kind:
                script = shorter
            else:
                start += size
        size //= 2
    return script


def _kind_broken(script: Script) -> str | None:
    violation = broken(script)
    return kind_of(violation) if violation is not None else None


def kind_of(violation: Violation) -> str:
    """What is broken, whatever it is called."""
    return _NAMES.sub("X", first_line(violation))


def first_line(violation: Violation) -> str:
    """What is broken, in one line."""
    lines = str(violation).split("\n")
    if "surprised" in lines[0]:
        where = (line.strip() for line in lines if line.strip().endswith("Error"))
        return f"a worker was surprised: {next(where, '')}"
    return lines[1].strip() if lines[0].endswith(":") else lines[0]


if __name__ == "__main__":
    from tests.unit.protocol.walking import main

    main()
