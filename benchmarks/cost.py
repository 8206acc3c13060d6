"""What a million objects cost, computed from the calls that tests/functional/test_api_calls.py counts.

Run it: ``python -m benchmarks.cost``. The calls are exact; the prices are those of
``s3replicator.decisions.prices``; the batches and the time a batch takes are assumptions, said with the
result.
"""

from collections.abc import Mapping
from typing import Final

from s3replicator.decisions import prices
from tests.functional.test_api_calls import PATHS

#: Assumed: full batches, and 60 ms for a copy, 25 ms for a HEAD, 5 ms for a write of the ledger.
BATCH: Final = 10
BATCH_SECONDS: Final = prices.SECONDS * BATCH


def usd_per_million(calls: Mapping[str, int]) -> float:
    """All in but storage and transfer: the calls, the notification's queue, the function."""
    requests = prices.usd(calls) * 1e6
    queue = prices.SQS_REQUEST * (1 + 2 / BATCH)  # S3 sends one by one; receive and delete share the batch's
    gb_seconds = BATCH_SECONDS * prices.MEMORY_GIB * prices.LAMBDA_GB_SECOND
    function = (prices.LAMBDA_REQUEST + gb_seconds) / BATCH
    return requests + queue + function


def main() -> None:
    print(f"USD per million, batches of {BATCH} taking {BATCH_SECONDS} s, without storage and transfer\n")
    for name in ("small", "tag rule", "marker", "multipart source", "duplicate"):
        print(f"  {name:<18} {usd_per_million(PATHS[name].calls):6.2f}")


if __name__ == "__main__":
    main()
