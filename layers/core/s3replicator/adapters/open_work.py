"""The ledger's index of open work, read from end to end; and where its events are sent for another try."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from s3replicator.adapters.ledger import INDEX
from s3replicator.adapters.ledger_items import encode, key_of, read_due
from s3replicator.decisions.failures import Reason, RetryableError
from s3replicator.decisions.ledger import SHARDS, shard_name
from s3replicator.decisions.open_work import NoSuchPlace
from s3replicator.ports import DueItem


class DynamoOpenWork:
    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def items(self, destination: str, after: str | None = None) -> Iterator[tuple[DueItem, str]]:
        """Each with a token that says where it stands: to go on ``after`` it. What waits for somebody comes
        last in each of the shards. Raises ``NoSuchPlace``."""
        start = _place(after) if after is not None else None
        first = int(start["open"]["S"].rpartition("#")[2]) if start is not None else 0
        for number in range(first, SHARDS):
            for item in self._shard(shard_name(destination, number), start):
                yield read_due(item), _token(item)
            start = None

    def destination_of(self, token: str) -> str:
        """Whose list a place is in. Raises ``NoSuchPlace``."""
        return key_of(_place(token)).destination

    def _shard(self, shard: str, start: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
        where = {"ExclusiveStartKey": start} if start is not None else {}
        while True:
            try:
                page = self._client.query(
                    TableName=self._table,
                    IndexName=INDEX,
                    KeyConditionExpression="#open = :shard",
                    ExpressionAttributeNames={"#open": "open"},
                    ExpressionAttributeValues=encode({":shard": shard}),
                    **where,
                )
            except (ClientError, BotoCoreError) as error:
                raise RetryableError(Reason.LEDGER_UNAVAILABLE, str(error)) from error
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            where = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


class DeadLetterQueue:
    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def hand_over(self, body: Mapping[str, Any]) -> None:
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps(body))
        except (ClientError, BotoCoreError) as error:
            raise RetryableError(Reason.QUEUE_UNAVAILABLE, str(error)) from error


def _token(item: Mapping[str, Any]) -> str:
    place = [item["pk"]["S"], item["sk"]["S"], item["due"]["N"]]
    return urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place(token: str) -> dict[str, Any]:
    try:
        pk, sk, due = json.loads(urlsafe_b64decode(token))
        float(due)
        key = key_of({"pk": {"S": pk}})
    except (ValueError, TypeError, AttributeError) as error:
        raise NoSuchPlace(f"{token!r} is no place in the list") from error
    return {"pk": {"S": pk}, "sk": {"S": sk}, "open": {"S": key.shard}, "due": {"N": due}}
