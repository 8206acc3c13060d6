"""``s3rctl breaker``: what stops a mass of version deletes, seen and closed."""

import argparse
from collections.abc import Mapping
from typing import Any, Final

from s3rctl.arguments import chosen_destinations, some_destinations
from s3rctl.common import (
    DONE,
    NOT_DONE,
    Commands,
    command,
    connect,
    group,
    iso,
    moment,
    print_json,
    print_table,
)
from s3replicator.decisions.breaker import Breaker
from s3replicator.ports import Ledger

_GROUP: Final = """\
Where a rule has VersionDeletes enabled, a version that somebody deletes at the source is deleted at the
destination as well. A mistake at the source must not empty the destination: of each destination the deletes
are counted by the hour, and the first one above the rule's MaxPerHour opens its breaker. From then on no
version is deleted there, in that hour or later, until an operator closes it. Everything else goes on."""

_SHOW: Final = """\
One line per destination: whether its breaker is open and since when, and how many versions were deleted in
the hour, in UTC, of the last one.

Exits with 1 if a breaker is open."""

_CLOSE: Final = """\
After somebody has looked at who deletes what at the source, and why. If it was a mistake, first write
"VersionDeletes": {"Status": "Disabled"} into the rule (`s3rctl config put`): what waits is then not deleted.

Counting begins anew. What was held back is tried again within the hour, or at once, for one key, with
`s3rctl settle`; the first delete above MaxPerHour opens the breaker again.

Nothing is closed without --yes: without it, the open breakers are listed and left alone.

Exits with 1 if none is open."""


def add_to(commands: Commands) -> None:
    own = group(
        commands, "breaker", summary="see and close the breaker on version deletes", description=_GROUP
    )
    show = command(
        own,
        "show",
        summary="show whether version deletes have been halted",
        description=_SHOW,
        examples="  s3rctl breaker show\n  s3rctl breaker show --destination my-replicas --json",
    )
    some_destinations(show)
    show.set_defaults(run=run_show)
    close = command(
        own,
        "close",
        summary="let versions be deleted again",
        description=_CLOSE,
        examples="  s3rctl breaker close\n  s3rctl breaker close --destination my-replicas --yes",
    )
    some_destinations(close)
    close.add_argument("--yes", action="store_true", help="do it, instead of saying what would be done")
    close.set_defaults(run=run_close)


def run_show(given: argparse.Namespace) -> int:
    operator = connect(given)
    found = _read(operator.ledger(), chosen_destinations(operator.stack, given))
    if given.json:
        print_json({"breakers": _documents(found)})
    else:
        _print(found)
    return NOT_DONE if _opened(found) else DONE


def run_close(given: argparse.Namespace) -> int:
    operator = connect(given)
    ledger = operator.ledger()
    opened = _opened(_read(ledger, chosen_destinations(operator.stack, given)))
    if given.yes:
        for destination in opened:
            ledger.close_breaker(destination)
    if given.json:
        print_json({"done": given.yes, "breakers": _documents(opened)})
    elif not opened:
        print("No breaker is open")
    elif given.yes:
        print(f"Closed at {', '.join(opened)}. What was held back there is tried again within the hour;")
        print("for one key at once: s3rctl settle s3://BUCKET/KEY")
    else:
        _print(opened)
        print(f"The breaker at {', '.join(opened)} would be closed; nothing is done without --yes")
    return DONE if opened else NOT_DONE


def _read(ledger: Ledger, destinations: tuple[str, ...]) -> dict[str, Breaker | None]:
    return {destination: ledger.breaker(destination) for destination in destinations}


def _opened(found: Mapping[str, Breaker | None]) -> dict[str, Breaker | None]:
    return {name: breaker for name, breaker in found.items() if breaker and breaker.opened is not None}


def _documents(found: Mapping[str, Breaker | None]) -> list[dict[str, Any]]:
    return [
        {
            "destination": destination,
            "open": breaker is not None and breaker.opened is not None,
            "opened": iso(breaker.opened) if breaker else None,
            "hour": breaker.hour if breaker else None,
            "count": breaker.count if breaker else 0,
        }
        for destination, breaker in found.items()
    ]


def _print(found: Mapping[str, Breaker | None]) -> None:
    print_table(
        ["DESTINATION", "BREAKER", "SINCE", "HOUR", "DELETED"],
        [
            [
                destination,
                "open" if breaker and breaker.opened is not None else "closed",
                moment(breaker.opened) if breaker else None,
                breaker.hour if breaker else None,
                str(breaker.count) if breaker else "0",
            ]
            for destination, breaker in found.items()
        ],
    )
