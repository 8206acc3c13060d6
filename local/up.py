"""``make local``: the embedded AWS with the real stack in it, left running in the background."""

import argparse
import sys
from pathlib import Path

from local import server, stack
from local.home import Home, LocalError, Progress


def up(
    home: Home, wanted: stack.Wanted, port: int | None = None, progress: Progress | None = None
) -> stack.Stack:
    """Start the emulator unless it runs, and bring the stack to what is wanted."""
    progress = progress or Progress()
    found = server.running(home)
    if found is None:
        progress.say("starting the emulator")
        found = server.start(home, port or server.DEFAULT_PORT)
        progress.say(f"the emulator answers at {found.endpoint}")
    elif port not in (None, found.port):
        raise LocalError(
            f"The embedded AWS of this clone runs on port {found.port}: make local-stop comes first"
        )
    else:
        progress.say(f"the emulator runs at {found.endpoint}")
    deployed = stack.deploy(home, found, wanted, progress)
    progress.say("ready")
    return deployed


def main(arguments: list[str] | None = None) -> int:
    default = stack.Wanted()
    parser = argparse.ArgumentParser(prog="make local", description=__doc__)
    parser.add_argument("--source", default=default.source, help="the source bucket")
    parser.add_argument(
        "--destinations",
        default=",".join(default.destinations),
        help="comma separated, each bucket or bucket:region",
    )
    parser.add_argument("--config", type=Path, help="a replication configuration file")
    parser.add_argument("--port", type=int, help=f"default: {server.DEFAULT_PORT}")
    given = parser.parse_args(arguments)
    try:
        if given.config is not None and not given.config.is_file():
            raise LocalError(f"There is no file {given.config}")
        home = Home()
        wanted = stack.Wanted(
            source=given.source,
            destinations=tuple(name.strip() for name in given.destinations.split(",")),
            configuration=given.config,
        )
        deployed = up(home, wanted, given.port)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    width = max(map(len, deployed.outputs), default=0)
    for name, value in sorted(deployed.outputs.items()):
        print(f"  {name:<{width}}  {value}")
    print(f"For a shell: set -a; . {home.environment.relative_to(Path.cwd())}; set +a")
    return 0


if __name__ == "__main__":
    sys.exit(main())
