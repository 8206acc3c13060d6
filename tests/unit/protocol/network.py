"""Several stacks, and what they have in common; of one stack it is the wider world."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from s3replicator.decisions.job import JobKind
from tests.unit.protocol.invariants import Past
from tests.unit.protocol.scheduler import Worker
from tests.unit.protocol.stack import Feature, Stack
from tests.unit.protocol.world import Part, Site, Terms, Topology, Violation

#: What one stack replicates is news for the next, so often at most.
_ROUNDS: Final = 12


class Network:
    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.site = Site.of(terms)
        pairs = terms.topology.pairs
        roles = [f"AROASTACK{number}" for number in range(len(pairs))]
        self.stacks: list[Stack] = []
        for role, (source, replica) in zip(roles, pairs, strict=True):
            peers = {other for other, (_, there) in zip(roles, pairs, strict=True) if there == source}
            known = frozenset(peers) if terms.declared else frozenset()
            self.stacks.append(Stack(terms, self.site, Part(source, replica, role, known)))
        if terms.topology.fails_over:
            self.stacks[1].down = True

    @property
    def up(self) -> list[Stack]:
        return [stack for stack in self.stacks if not stack.down]

    @property
    def workers(self) -> list[tuple[Stack, Worker]]:
        return [(stack, worker) for stack in self.up for worker in stack.scheduler.workers]

    @property
    def seen(self) -> Counter[Feature]:
        found = Counter[Feature]()
        for stack in self.stacks:
            found.update(stack.seen)
        if len(self.up) > 1 and any(one.by_stack for stack in self.up for one in _pasts(stack)):
            found[Feature.PEERS] += 1
        return found

    def fail_over(self) -> None:
        """The first source is lost, and what was its destination becomes a source."""
        first, second = self.stacks[:2]
        if first.down:
            return
        first.go_down()
        second.down = False
        if self.terms.topology is Topology.FAILBACK:
            # Lost, and there is a new one of the same name.
            first.source.uploads.clear()
            for key in first.known_keys():
                for version in list(first.source.versions(key)):
                    first.source.drop(key, version.version_id)
        second.seen[Feature.FAILOVER] += 1
        first.scheduler.note(f"{first.source.name} is lost")

    def rest(self) -> None:
        """No more faults, and time enough: everything that waits is worked on, and what comes of it."""
        for stack in self.up:
            stack.rest()
        for _ in range(_ROUNDS):
            for stack in self.up:
                stack.run_dry()
            if not any(stack.has_news() for stack in self.up):
                return
        raise Violation("something goes round")

    def copy_what_was_lost(self) -> None:
        """After a failover: a job replicates the replicas, too."""
        if not self.terms.topology.fails_over or self.stacks[1].down:
            return
        self.stacks[1].onward = True
        for worker in self.stacks[1].begin_job(JobKind.BACKFILL):
            self.stacks[1].finish(worker)
        self.rest()

    def close(self) -> None:
        for stack in self.stacks:
            stack.close()


def _pasts(stack: Stack) -> Iterator[Past]:
    return (past for versions in stack.past.values() for past in versions.values())
