"""The command line: what there is to ask, and the exit code of the answer."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from s3rctl import (
    backfill,
    breaker,
    check,
    config,
    failed,
    parked,
    policy,
    reconcile,
    settle,
    status,
    streams,
)
from s3rctl.command_line import Parser, not_utf8
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

#: What says in a sentence why something cannot be done.
_REFUSALS: Final = (CannotWork, StackUnusable, ReplicationError)

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
    top = Parser(
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
    try:
        streams.prepare()
        try:
            return _run(parser().parse_args(sys.argv[1:] if arguments is None else arguments))
        finally:
            # Here, and not when Python ends: it would say so in words of its own.
            streams.finish()
    except _REFUSALS as problem:
        complain(str(problem))
        return CANNOT_WORK
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        streams.give_up()
        return NOT_DONE
    except OSError as error:
        # Files are read and written where something can be said of them: what is left is the answer.
        streams.give_up()
        complain(f"standard output cannot be written: {error.strerror or error}")
        return CANNOT_WORK
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(given: argparse.Namespace) -> int:
    problem = not_utf8(given)
    if problem is not None:
        raise CannotWork(problem)
    code: int = given.run(given)
    return code


if __name__ == "__main__":
    sys.exit(main())
