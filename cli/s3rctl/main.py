"""The command line: what there is to ask, and the exit code of the answer."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from s3rctl import backfill, breaker, check, config, failed, parked, policy, reconcile, settle, status
from s3rctl.common import (
    CANNOT_WORK,
    INTERRUPTED,
    NOT_DONE,
    CannotWork,
    complain,
    shared_options,
    subcommands,
)
from s3replicator.decisions.failures import ReplicationError
from s3replicator.decisions.stack import StackUnusable

_DESCRIPTION: Final = """\
Ask a deployed s3-replicator where an object is, why it is not there, and get it there.

The tool finds everything by the outputs of the stack. Credentials, profile and endpoint are those of any
AWS tool (AWS_PROFILE, AWS_ENDPOINT_URL, ...). It reads only, unless a command says otherwise."""

_EPILOG: Final = """\
examples:
  s3rctl status s3://my-bucket/some/key
  s3rctl settle s3://my-bucket/some/key
  s3rctl check
  s3rctl config validate rules.json
  s3rctl config explain s3://my-bucket/some/key
  s3rctl backfill start --dry-run --yes --watch
  s3rctl reconcile start --yes --watch
  s3rctl failed count
  s3rctl parked list
  s3rctl parked retry --reason DstPutObjectNotPermitted --yes
  s3rctl breaker show

exit codes:
  0    it did, or found, what was asked
  1    it did not: nothing was found, a document is invalid, something failed or remains to be done
  2    it was asked wrongly, or cannot work: no credentials, no such stack, ...
  130  it was interrupted"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="s3rctl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"s3rctl {version('s3-replicator')}")
    shared_options(
        top,
        stack=os.environ.get("STACK_NAME") or "s3-replicator",
        region=os.environ.get("AWS_REGION") or None,
    )
    commands = subcommands(top)
    status.add_to(commands)
    settle.add_to(commands)
    check.add_to(commands)
    policy.add_to(commands)
    config.add_to(commands)
    failed.add_to(commands)
    parked.add_to(commands)
    backfill.add_to(commands)
    reconcile.add_to(commands)
    breaker.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; wrong usage and ``--help`` leave through ``SystemExit``, as argparse does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character of a key shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
    except (CannotWork, StackUnusable, ReplicationError) as problem:
        complain(str(problem))
        return CANNOT_WORK
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is left of it must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
