"""A deployed stack as the operator tool sees it: its outputs, read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from s3replicator.decisions.configuration import Configuration, InvalidConfiguration

#: The longest a function works with a configuration before it looks for a newer one, in seconds.
LONGEST_CACHE: Final = 60

#: The outputs of a stack that the tool works by.
OUTPUTS: Final = frozenset(
    {
        "SourceBucketName",
        "DestinationBuckets",
        "LedgerTableName",
        "ControlBucketName",
        "IngestQueueUrl",
        "ParkedQueueUrl",
        "DeadLetterQueueUrl",
        "RetryFunctionName",
    }
)

#: An output that stacks of a former release lack: they have no jobs, and all else works.
JOB_MACHINE: Final = "BackfillStateMachineArn"


class StackUnusable(Exception):
    """The stack cannot be found or worked with; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """``configuration_cache`` is in seconds. ``remote``: the destinations in other regions than the stack,
    whose region is the source's. ``job_machine``: the ARN of the state machine that does the jobs."""

    name: str
    source_bucket: str
    destinations: tuple[str, ...]
    ledger_table: str
    control_bucket: str
    ingest_queue_url: str
    parked_queue_url: str
    dead_letter_queue_url: str
    retry_function: str
    configuration_cache: int
    remote: frozenset[str] = frozenset()
    job_machine: str | None = None

    @classmethod
    def read(
        cls,
        name: str,
        region: str,
        status: str,
        outputs: Mapping[str, str],
        parameters: Mapping[str, str],
    ) -> "Stack":
        """Raises ``StackUnusable``, which names every output that is missing."""
        missing = sorted(OUTPUTS - outputs.keys())
        if missing:
            raise StackUnusable(
                f"stack {name!r} ({status}) lacks the outputs {', '.join(missing)}: it is another kind of"
                " stack, or not deployed completely (--stack NAME chooses one)"
            )
        regions = {
            entry.partition(":")[0]: entry.partition(":")[2]
            for entry in outputs["DestinationBuckets"].split(",")
            if entry
        }
        return cls(
            name=name,
            source_bucket=outputs["SourceBucketName"],
            destinations=tuple(regions),
            ledger_table=outputs["LedgerTableName"],
            control_bucket=outputs["ControlBucketName"],
            ingest_queue_url=outputs["IngestQueueUrl"],
            parked_queue_url=outputs["ParkedQueueUrl"],
            dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
            retry_function=outputs["RetryFunctionName"],
            configuration_cache=int(parameters.get("ConfigurationCacheSeconds", LONGEST_CACHE)),
            remote=frozenset(bucket for bucket, its in regions.items() if its not in ("", region)),
            job_machine=outputs.get(JOB_MACHINE),
        )

    def check(self, configuration: Configuration) -> None:
        """Raises ``InvalidConfiguration`` if a rule names a destination the functions cannot reach."""
        for index, rule in enumerate(configuration.rules):
            bucket = rule.destination.bucket
            if bucket not in self.destinations:
                raise InvalidConfiguration(
                    "InvalidRequest",
                    f"Rules[{index}].Destination.Bucket",
                    f"{bucket!r} is not a destination of stack {self.name!r}, which has"
                    f" {', '.join(self.destinations)}; name one of them, or deploy the stack with the"
                    " bucket in its parameter Destinations first",
                )
