"""Event records as Amazon S3 writes them; see events/ for real ones."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus


def sequencer(number: int) -> str:
    """Sequencers differ in length: to be compared, the shorter is padded on the right with zeros."""
    return f"00{number:010X}" + ("", "5E", "A1F03C")[number % 3]


def record(
    event: str,
    bucket: str,
    key: str,
    version_id: str,
    *,
    at: float,
    principal: str,
    sequencer: str | None,
    etag: str = "",
    size: int | None = None,
) -> dict[str, Any]:
    """``at`` in seconds since the epoch. Events about tags and ACLs have no sequencer."""
    stored: dict[str, Any] = {"key": quote_plus(key, safe="/"), "versionId": version_id}
    if etag:
        stored["eTag"] = etag.strip('"')
    if size is not None:
        stored["size"] = size
    if sequencer is not None:
        stored["sequencer"] = sequencer
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return {
        "eventVersion": "2.3",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": moment.replace("+00:00", "Z"),
        "eventName": event,
        "userIdentity": {"principalId": principal},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "s3-replicator",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": stored,
        },
    }
