"""Replication configurations for tests that need one."""

from typing import Any


def document(*buckets: str, **rule: Any) -> dict[str, Any]:
    """A rule for each bucket, ``to-BUCKET``, with these members; the later one is the stronger."""
    return {
        "Rules": [
            {
                "ID": f"to-{bucket}",
                "Priority": number,
                "Filter": {},
                "Status": "Enabled",
                "DeleteMarkerReplication": {"Status": "Disabled"},
                "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"},
                **rule,
            }
            for number, bucket in enumerate(buckets, start=1)
        ]
    }
