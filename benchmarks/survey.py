"""What the survey of a job costs, and in how much memory: a bucket of which nothing has been replicated.

Run it: ``python -m benchmarks.survey``. The bucket is made up as it is listed, and batches are thrown away as
they are written. The memory is what is allocated at most, made-up pages included.
"""

import tracemalloc
from typing import Final

from benchmarks.listing import Names
from s3replicator.decisions.prices import REQUESTS, STATE_TRANSITION
from tests.unit.test_survey import Ledger, Lister, Stage, Store

SIZES: Final = (1_000, 10_000, 100_000)
#: Transitions of a batch; a run has a few more.
TRANSITIONS: Final = 2


class Sink(Store):
    """Keeps no batch."""

    def write(self, name: str, body: bytes) -> None:
        super().write(name, b"" if "/batches/" in name else body)


def main() -> None:
    print("   keys   listings   reads of the ledger   batches   USD a million   peak MiB")
    for keys in SIZES:
        stage = Stage(0, Ledger(), Sink())
        stage.source = Lister(Names(keys))
        tracemalloc.start()
        told = stage.run()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        listings, batches = stage.source.calls + stage.replica.calls, told["batches"]
        usd = (
            listings * REQUESTS["ListObjectVersions"]
            + keys * REQUESTS["GetItem"] / 2  # a read that may be a moment old costs half
            + batches * TRANSITIONS * STATE_TRANSITION
        ) / keys
        asked = len(stage.ledger.asked)
        print(f"{keys:>7}   {listings:>8}   {asked:>19}   {batches:>7}   {usd:>13.4f}   {most / 2**20:>8.2f}")


if __name__ == "__main__":
    main()
