"""What a world holds, as a document: versions of objects under their own ids, open uploads, the ledger, the
queues, and what lies in the control bucket. And back again, in another world.
"""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeMultipart, s3_backends

from tests.functional.world import CONTROL, DESTINATIONS, SOURCE, TABLE, World

_BUCKETS: Final = (SOURCE, *DESTINATIONS)
#: Of what HeadObject answers, what PutObject takes.
_SENT_AGAIN: Final = ("ContentType", "CacheControl", "Metadata")


def taken(world: World) -> dict[str, Any]:
    """The messages are received, and deleted."""
    return {
        "versions": {name: [*_versions(world, name)] for name in _BUCKETS},
        "uploads": {name: [*_uploads(name)] for name in _BUCKETS},
        "ledger": world.dynamodb.scan(TableName=TABLE)["Items"],
        "messages": {name: [_message(one) for one in world.messages(name)] for name in world.queues},
        "control": {name: _text(world, name) for name in _names(world)},
        "sequence": world.sequence,
    }


def restore(world: World, document: Mapping[str, Any]) -> None:
    for name in _BUCKETS:
        for version in document["versions"][name]:
            _write(world, name, version)
        for upload in document["uploads"][name]:
            _begin(world, name, upload)
    for item in document["ledger"]:
        world.dynamodb.put_item(TableName=TABLE, Item=item)
    for name, messages in document["messages"].items():
        for message in messages:
            attributes = {
                title: {"DataType": "String", "StringValue": value}
                for title, value in message["attributes"].items()
            }
            world.sqs.send_message(
                QueueUrl=world.queues[name], MessageBody=message["body"], MessageAttributes=attributes
            )
    for name, text in document["control"].items():
        world.s3.put_object(Bucket=CONTROL, Key=name, Body=text.encode())
    world.sequence = document["sequence"]


# -- buckets


def _versions(world: World, name: str) -> Iterator[dict[str, Any]]:
    """The oldest of each key first."""
    bucket = _bucket(name)
    for key in sorted(bucket.keys):
        for version in bucket.keys.getlist(key):
            told = {"key": key, "id": version.version_id, "at": version.last_modified.isoformat()}
            if isinstance(version, FakeDeleteMarker):
                yield {**told, "marker": True}
                continue
            named = {"Bucket": name, "Key": key, "VersionId": version.version_id}
            head = world.s3.head_object(**named)
            yield {
                **told,
                "etag": version.etag,
                "body": _packed(version.value),
                "headers": {header: head[header] for header in _SENT_AGAIN if header in head},
                "tags": world.s3.get_object_tagging(**named)["TagSet"],
            }


def _write(world: World, name: str, version: Mapping[str, Any]) -> None:
    named = {"Bucket": name, "Key": version["key"]}
    if version.get("marker"):
        world.s3.delete_object(**named)
    else:
        world.s3.put_object(**named, Body=_unpacked(version["body"]), **version["headers"])
    written = _bucket(name).keys.getlist(version["key"])[-1]
    written._version_id = version["id"]
    written.last_modified = datetime.fromisoformat(version["at"])
    if not version.get("marker"):
        written._etag = version["etag"].strip('"')
        tagging = {"TagSet": version["tags"]}
        world.s3.put_object_tagging(**named, VersionId=version["id"], Tagging=tagging)


def _uploads(name: str) -> Iterator[dict[str, Any]]:
    for upload in _bucket(name).multiparts.values():
        yield {
            "id": upload.id,
            "key": upload.key_name,
            "metadata": dict(upload.metadata),
            "tags": upload.tags,
            "parts": {number: _packed(part.value) for number, part in upload.parts.items()},
        }


def _begin(world: World, name: str, upload: Mapping[str, Any]) -> None:
    bucket = _bucket(name)
    answer = world.s3.create_multipart_upload(Bucket=name, Key=upload["key"])
    begun: FakeMultipart = bucket.multiparts.pop(answer["UploadId"])
    begun.id = upload["id"]
    begun.metadata.update(upload["metadata"])
    begun.tags = upload["tags"]
    for number, part in upload["parts"].items():
        begun.set_part(int(number), _unpacked(part))
    bucket.multiparts[begun.id] = begun


def _bucket(name: str) -> FakeBucket:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[name]


def _packed(body: bytes) -> str:
    return b64encode(zlib.compress(body, 9)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(b64decode(text))


# -- the rest


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "body": message["Body"],
        "attributes": {name: value["StringValue"] for name, value in attributes.items()},
    }


def _names(world: World) -> Sequence[str]:
    answer = world.s3.list_objects_v2(Bucket=CONTROL)
    return [one["Key"] for one in answer.get("Contents", [])]


def _text(world: World, name: str) -> str:
    return str(world.s3.get_object(Bucket=CONTROL, Key=name)["Body"].read().decode())
