"""Replication configurations for tests that need one."""

from typing import Any, Final


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


#: What a former release let in, and is refused now: keys that end in "bb" go by the weaker rule, so that
#: "bbb" and "ab" get one key.
COLLIDING: Final[tuple[dict[str, Any], ...]] = (
    {
        "Filter": {"Prefix": "bb"},
        "Extensions": {"KeyTransform": {"StripPrefix": "bb", "AddPrefix": "a"}},
    },
    {"Extensions": {"KeyNameConstraint": {"ExcludeSuffix": ["a", "bb"]}}},
)
#: Two such keys, and what they would both be replicated to.
MEETING: Final = ("bbb", "ab", "ab")
