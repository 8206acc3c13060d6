"""Our way into one bucket's notification configuration: put in, taken out, and looked after. What others have
there stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from s3replicator.decisions.deployment import SetupRefused
from s3replicator.decisions.notifications import Configuration, Rival, Wiring, remove, rivals

PAUSE: Final = 2.0  # seconds: S3 shows a change of a bucket's settings to all readers a bit later


class Notifications(Protocol):
    """What S3 refuses is raised as ``BucketRefused``."""

    def notifications(self, bucket: str) -> Configuration: ...

    def put_notifications(self, bucket: str, configuration: Configuration) -> None:
        """Replaces the whole configuration; the targets of other people are not validated."""


@dataclass(frozen=True, slots=True)
class NotificationWiring:
    """``pause`` waits for so many seconds. Every method may raise ``BucketRefused``, and those that change
    something ``SetupRefused``."""

    buckets: Notifications
    bucket: str
    wiring: Wiring
    pause: Callable[[float], None]

    def problem(self) -> str | None:
        """What keeps events from coming, or makes them come twice, and what to do; None if all is well."""
        found = self.wiring.problem(self.buckets.notifications(self.bucket))
        return found and f"Bucket {self.bucket} {found}: s3rctl check --fix puts it right."

    def repair(self) -> None:
        """Put right what ``problem`` tells of.

        What makes events come twice is taken out only if nothing was missing: S3 takes about five minutes to
        begin with a way that has just been put in. So after a repair there may be a smaller problem.
        """
        found = self.buckets.notifications(self.bucket)
        if self.wiring.begun(found) is found:
            self.finish()
        else:
            self.begin()

    def begin(self) -> None:
        """Put in the way that is wanted, beside a former one."""
        self._change(self._begun)

    def is_finished(self) -> bool:
        """Whether no way of ours is left but the one that is wanted."""
        found = self.buckets.notifications(self.bucket)
        return self.wiring.finished(found) is found

    def finish(self) -> None:
        """Take out a former way."""
        self._change(self.wiring.finished)

    def leave(self) -> None:
        """Take out our entry. EventBridge stays switched on: others may live on it."""
        self._change(lambda found: remove(found, self.wiring.entry.identifier))

    def _begun(self, found: Configuration) -> Configuration:
        begun = self.wiring.begun(found)
        if begun is not found and self.wiring.is_an_entry:
            in_the_way = rivals(found, self.wiring.entry.identifier)
            if in_the_way:
                raise SetupRefused(_refusal(self.bucket, in_the_way))
        return begun

    def _change(self, change: Callable[[Configuration], Configuration]) -> None:
        """Read, change, write the whole, read back.

        S3 has no conditional write for this. Whoever read before our write and wrote after it has
        undone the change, which the second reading shows; then it is made once more, on what they
        wrote.
        """
        for _ in range(2):
            found = self.buckets.notifications(self.bucket)
            changed = change(found)
            if changed == found:
                return
            self.buckets.put_notifications(self.bucket, changed)
            written = self.buckets.notifications(self.bucket)
            if change(written) == written:
                return
            self.pause(PAUSE)
        if (last := self.buckets.notifications(self.bucket)) != change(last):
            raise SetupRefused(
                f"The notification configuration of bucket {self.bucket} was overwritten twice while"
                " this stack changed it. Deploy again when nothing else changes it."
            )


def _refusal(bucket: str, in_the_way: list[Rival]) -> str:
    """S3 would say only that configurations overlap."""
    listed = "; ".join(map(str, in_the_way))
    stacks = [rival.stack for rival in in_the_way if rival.stack]
    if stacks:
        way_out = (
            f"Stack {stacks[0]} replicates from this bucket already: give it the further destinations, or"
            " deploy one of the two stacks with EventSource=EventBridge"
        )
    else:
        way_out = (
            "Deploy with EventSource=EventBridge, which leaves them as they are; or take them out, and let"
            " their targets be served by EventBridge"
        )
    return (
        f"Bucket {bucket} sends events that this stack needs elsewhere already, and S3 allows no two entries"
        f" that overlap. In the way: {listed}. {way_out}. To see all: aws s3api"
        f" get-bucket-notification-configuration --bucket {bucket}"
    )
