"""Everything at once: users, messages in any order, workers interleaved at every call, faults, deaths.

Hypothesis draws what happens, and what is needed for a counterexample.
"""

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from s3replicator.decisions.configuration import LateVersions
from tests.unit.protocol.acts import CHOICES, Acts
from tests.unit.protocol.memory_bucket import UploadOrder
from tests.unit.protocol.memory_queues import Queue
from tests.unit.protocol.scheduler import Fate
from tests.unit.protocol.world import Terms

TERMS: Final = st.builds(
    Terms,
    markers=st.sampled_from([True, True, False]),
    most_deletes=st.sampled_from([None, None, 1000, 1]),
    late=st.sampled_from(LateVersions),
    order=st.sampled_from(UploadOrder),
    locked=st.sampled_from([False, False, False, True]),
)


def _any(name: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(CHOICES[name])


class Machine(RuleBasedStateMachine):
    acts: Acts

    @initialize(terms=TERMS)
    def begin(self, terms: Terms) -> None:
        self.acts = Acts(terms)

    @rule(key=_any("key"), large=_any("large"), crowded=_any("crowded"))
    def put(self, key: str, large: bool, crowded: bool) -> None:
        self._do("put", key, large, crowded)

    @rule(key=_any("key"))
    def mark(self, key: str) -> None:
        self._do("mark", key)

    @rule(key=_any("key"), large=_any("large"))
    def begin_upload(self, key: str, large: bool) -> None:
        self._do("begin_upload", key, large)

    @rule(which=_any("which"))
    def end_upload(self, which: int) -> None:
        self._do("end_upload", which)

    @rule(key=_any("key"), which=_any("which"))
    def purge(self, key: str, which: int) -> None:
        self._do("purge", key, which)

    @rule(key=_any("key"), which=_any("which"))
    def expire(self, key: str, which: int) -> None:
        self._do("expire", key, which)

    @rule(key=_any("key"), which=_any("which"), colour=_any("colour"))
    def tag(self, key: str, which: int, colour: str) -> None:
        self._do("tag", key, which, colour)

    @rule(key=_any("key"), which=_any("which"), colour=_any("colour"))
    def grant(self, key: str, which: int, colour: str) -> None:
        self._do("grant", key, which, colour)

    @rule(key=_any("key"), which=_any("which"), colour=_any("colour"))
    def annotate(self, key: str, which: int, colour: str) -> None:
        self._do("annotate", key, which, colour)

    @rule(versioning=_any("versioning"))
    def switch(self, versioning: bool) -> None:
        self._do("switch", versioning)

    @rule(key=_any("key"), marker=_any("marker"))
    def write_foreign(self, key: str, marker: bool) -> None:
        self._do("write_foreign", key, marker)

    @rule(key=_any("key"), which=_any("which"), copy=_any("copy"))
    def meddle(self, key: str, which: int, copy: bool) -> None:
        self._do("meddle", key, which, copy)

    @rule(queue=_any("queue"), which=_any("which"))
    def handle(self, queue: Queue, which: int) -> None:
        self._do("handle", queue, which)

    @rule(
        queue=_any("queue"), which=_any("which"), count=_any("count"), steps=_any("steps"), fate=_any("fate")
    )
    def work(self, queue: Queue, which: int, count: int, steps: int, fate: Fate) -> None:
        self._do("work", queue, which, count, steps, fate)

    @rule(steps=_any("steps"), fate=_any("fate"))
    def sweep(self, steps: int, fate: Fate) -> None:
        self._do("sweep", steps, fate)

    @rule(
        key=_any("key"),
        restore=_any("restore"),
        purge=_any("purge"),
        steps=_any("steps"),
        fate=_any("fate"),
    )
    def settle(self, key: str, restore: bool, purge: bool, steps: int, fate: Fate) -> None:
        self._do("settle", key, restore, purge, steps, fate)

    @precondition(lambda self: self.acts.world.scheduler.workers)
    @rule(which=_any("which"), steps=_any("steps"), fate=_any("fate"))
    def go_on(self, which: int, steps: int, fate: Fate) -> None:
        self._do("go_on", which, steps, fate)

    @precondition(lambda self: self.acts.world.scheduler.workers)
    @rule(which=_any("which"))
    def finish(self, which: int) -> None:
        self._do("finish", which)

    @rule(queue=_any("queue"), which=_any("which"))
    def duplicate(self, queue: Queue, which: int) -> None:
        self._do("duplicate", queue, which)

    @rule(which=_any("which"))
    def lose(self, which: int) -> None:
        self._do("lose", which)

    @precondition(lambda self: self.acts.world.scheduler.zombies)
    @rule(which=_any("which"))
    def land(self, which: int) -> None:
        self._do("land", which)

    @rule(seconds=_any("seconds"), amid=_any("amid"))
    def wait(self, seconds: float, amid: bool) -> None:
        self._do("wait", seconds, amid)

    def teardown(self) -> None:
        if hasattr(self, "acts"):
            try:
                self._do("come_to_rest")
            finally:
                self.acts.world.close()

    def _do(self, name: str, *arguments: object) -> None:
        self.acts.told(lambda: getattr(self.acts, name)(*arguments))
