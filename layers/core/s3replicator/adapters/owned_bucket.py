"""A bucket that has to belong to a certain account: its name alone does not say whose it is.

Whoever deletes a bucket lets its name go, and anybody may make another one of it.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
"""

from collections.abc import Callable
from dataclasses import dataclass


def unknown() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class OwnedBucket:
    """``owner`` tells the account as it is known at the moment; None if it is not."""

    name: str
    owner: Callable[[], str | None] = unknown

    def named(self) -> dict[str, str]:
        """The arguments of a request that name the bucket, and whose it has to be."""
        owner = self.owner()
        return {"Bucket": self.name, **({"ExpectedBucketOwner": owner} if owner else {})}
