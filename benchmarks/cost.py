"""What a million objects cost, computed from the calls that tests/functional/test_api_calls.py counts.

Run it: ``python -m benchmarks.cost``. The calls are exact; the prices are the table below; the batches and
the time a batch takes are assumptions, said with the result.
"""

from collections.abc import Mapping
from typing import Final

from tests.functional.test_api_calls import PATHS

#: USD per million, us-east-1, same region; S3 does not charge for deletes. From the public price lists of
#: S3, DynamoDB (on demand, items up to 1 KB), SQS and Lambda (arm64).
REQUESTS: Final[Mapping[str, float]] = {
    "CopyObject": 5.00,
    "CreateMultipartUpload": 5.00,
    "UploadPartCopy": 5.00,
    "CompleteMultipartUpload": 5.00,
    "ListObjectVersions": 5.00,
    "HeadObject": 0.40,
    "GetObject": 0.40,
    "GetObjectTagging": 0.40,
    "ListParts": 0.40,
    "DeleteObject": 0.00,
    "UpdateItem": 0.625,
    "PutItem": 0.625,
    "GetItem": 0.125,
    "SendMessage": 0.40,
}
SQS_REQUEST: Final = 0.40
LAMBDA_REQUEST: Final = 0.20
LAMBDA_GB_SECOND: Final = 13.3334  # a million of them

#: Assumed: full batches, and 60 ms for a copy, 25 ms for a HEAD, 5 ms for a write of the ledger.
BATCH: Final = 10
BATCH_SECONDS: Final = 0.1
MEMORY_GB: Final = 0.5


def usd_per_million(calls: Mapping[str, int]) -> float:
    """All in but storage and transfer: the calls, the notification's queue, the function."""
    requests = sum(REQUESTS[operation] * count for operation, count in calls.items())
    queue = SQS_REQUEST * (1 + 2 / BATCH)  # S3 sends one by one; receive and delete share the batch's
    function = (LAMBDA_REQUEST + BATCH_SECONDS * MEMORY_GB * LAMBDA_GB_SECOND) / BATCH
    return requests + queue + function


def main() -> None:
    print(f"USD per million, batches of {BATCH} taking {BATCH_SECONDS} s, without storage and transfer\n")
    for name in ("small", "tag rule", "marker", "multipart source", "duplicate"):
        print(f"  {name:<18} {usd_per_million(PATHS[name].calls):6.2f}")


if __name__ == "__main__":
    main()
