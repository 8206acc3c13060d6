"""A deployed stack as the operator tool sees it: its outputs, read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from s3replicator.decisions.configuration import Configuration, InvalidConfiguration
from s3replicator.decisions.notifications import EventSource

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

#: Likewise: what they cannot do is look after the source's notifications.
INGEST_QUEUE: Final = "IngestQueueArn"

#: And likewise: what they cannot do is check themselves. The roles are each name=ARN, separated by commas.
REPLICATE_FUNCTION: Final = "ReplicateFunctionName"
ROLE_ARNS: Final = "RoleArns"

#: The parameters that say what the functions may reach.
_DESTINATIONS: Final = "Destinations"
_SOURCE_KEYS: Final = "SourceKmsKeys"
_REPLICA_KEYS: Final = "ReplicaKmsKeys"
_PEERS: Final = "PeerPrincipals"

#: In the ARN of a KMS key that is named by an alias; and the end of that of the key that AWS manages for S3,
#: which everybody in its account may use.
_ALIAS: Final = ":alias/"
_MANAGED_KEY: Final = ":alias/aws/s3"


class StackUnusable(Exception):
    """The stack cannot be found or worked with; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """``configuration_cache`` is in seconds. ``remote``: the destinations in other regions than the stack,
    whose region is the source's. ``job_machine``: the ARN of the state machine that does the jobs.
    ``event_source``: the way events come by. ``roles``: the ARNs of the roles that reach into destinations,
    by the names that the template gives them. ``source_keys`` and ``replica_keys``: the ARNs of the KMS keys
    that these roles may decrypt sources, and encrypt replicas, with."""

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
    ingest_queue_arn: str | None = None
    event_source: EventSource = EventSource.NOTIFICATION
    replicate_function: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    source_keys: tuple[str, ...] = ()
    replica_keys: tuple[str, ...] = ()
    peers: frozenset[str] = frozenset()

    @property
    def partition(self) -> str:
        """As its roles' ARNs have it."""
        arn = next(iter(self.roles.values()), "arn:aws")
        return arn.split(":")[1]

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
            ingest_queue_arn=outputs.get(INGEST_QUEUE),
            event_source=EventSource(parameters.get("EventSource", EventSource.NOTIFICATION)),
            replicate_function=outputs.get(REPLICATE_FUNCTION),
            roles=dict(entry.split("=", 1) for entry in outputs.get(ROLE_ARNS, "").split(",") if entry),
            source_keys=_listed(parameters.get(_SOURCE_KEYS, "")),
            replica_keys=_listed(parameters.get(_REPLICA_KEYS, "")),
            peers=frozenset(_listed(parameters.get(_PEERS, ""))),
        )

    def check(self, configuration: Configuration) -> None:
        """Raises ``InvalidConfiguration`` if a rule names a destination that the functions cannot reach, or a
        key that they may not use; with the parameter of the stack that has to name it."""
        for index, rule in enumerate(configuration.rules):
            bucket, key = rule.destination.bucket, rule.destination.kms_key
            if bucket not in self.destinations:
                named = dict.fromkeys([*self.destinations, *buckets_of(configuration)])
                raise InvalidConfiguration(
                    "InvalidRequest",
                    f"Rules[{index}].Destination.Bucket",
                    f"{bucket!r} is not a destination of stack {self.name!r}, which has"
                    f" {', '.join(self.destinations)}; name one of them, or deploy the stack with the"
                    f" parameter {_DESTINATIONS}={','.join(named)} first",
                )
            if rule.kms and key is not None and not self._may_use(key):
                named = dict.fromkeys([*self.replica_keys, *replica_keys_of(configuration)])
                raise InvalidConfiguration(
                    "InvalidRequest",
                    f"Rules[{index}].Destination.EncryptionConfiguration.ReplicaKmsKeyID",
                    f"stack {self.name!r} may not use {key!r}; deploy it with the parameter"
                    f" {_REPLICA_KEYS}={','.join(named)} first",
                )

    def doubt(self, configuration: Configuration) -> str | None:
        """What cannot be told to work, and cannot be told not to."""
        asking = [rule.id for rule in configuration.rules if rule.enabled and rule.kms]
        if not asking or self.source_keys:
            return None
        return (
            f"rule {asking[0]!r} replicates what KMS keys encrypt, and the stack's parameter {_SOURCE_KEYS}"
            " names none: only what AWS's own key (aws/s3) encrypts can be read. For the rest deploy"
            " the stack with the ARNs of the keys in that parameter"
        )

    def _may_use(self, key: str) -> bool:
        if key.endswith(_MANAGED_KEY):
            return True
        # Policies name keys, and nothing here tells which of them an alias stands for.
        return bool(self.replica_keys) if _ALIAS in key else key in self.replica_keys


def _listed(parameter: str) -> tuple[str, ...]:
    return tuple(part for part in parameter.split(",") if part)


def buckets_of(configuration: Configuration) -> list[str]:
    """What the parameter Destinations has to name."""
    return list(dict.fromkeys(rule.destination.bucket for rule in configuration.rules))


def replica_keys_of(configuration: Configuration) -> list[str]:
    """What the parameter ReplicaKmsKeys has to name; of an alias, what has to be put in its place."""
    keys = [rule.destination.kms_key for rule in configuration.rules if rule.kms and rule.destination.kms_key]
    return [
        key if _ALIAS not in key else f"<the ARN of the key {key.rpartition(':')[2]}>"
        for key in dict.fromkeys(keys)
        if not key.endswith(_MANAGED_KEY)
    ]
