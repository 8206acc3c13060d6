"""The replication configuration as it is at this moment, for a check: the functions cache theirs."""

from s3replicator.adapters.configuration_document import parse_in_force
from s3replicator.adapters.configuration_object import ConfigurationObject
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration
from s3replicator.decisions.failures import Reason, TerminalError


class RulesInForce:
    def __init__(self, where: ConfigurationObject, source_bucket: str) -> None:
        self._where = where
        self._source_bucket = source_bucket

    def read(self) -> Configuration | None:
        """None if none has been written. Raises ``ReplicationError`` with ConfigurationUnreadable."""
        stored = self._where.read()
        if stored is None:
            return None
        try:
            return parse_in_force(stored.body, self._source_bucket)
        except InvalidConfiguration as error:
            raise TerminalError(Reason.CONFIGURATION_UNREADABLE, f"{self._where.uri}: {error}") from error
