"""``make local-stop``: ends the emulator of this clone and all its functions."""

import sys

from local import server
from local.home import Home


def main() -> int:
    stopped = server.stop(Home())
    if stopped is None:
        print("The embedded AWS of this clone is not running.")
    else:
        print(f"Stopped the embedded AWS at {stopped.endpoint}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
