"""``s3rctl parked``: the messages that wait for an operator."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

from s3rctl.arguments import at_most
from s3rctl.common import (
    CANNOT_WORK,
    DONE,
    NOT_DONE,
    NOTHING,
    Commands,
    command,
    complain,
    connect,
    group,
    iso,
    moment,
    note,
    plural,
    print_json,
    print_table,
    safe,
)
from s3replicator.decisions.parked import (
    AmbiguousId,
    NoSuchMessage,
    ParkedMessage,
    is_whole_id,
    matching,
    named,
    short_ids,
)
from s3replicator.decisions.versions import id_for_s3
from s3replicator.usecases.parked import Handled, Look

#: How many messages a command looks at. SQS hands out no more than 120,000 of a queue at a time.
_MOST: Final = 100_000

#: How many a command retries or drops, unless they are named; the next one goes on with the others.
_MOST_AT_ONCE: Final = 10_000

_GROUP: Final = """\
A message is parked when a version cannot be replicated until somebody changes something, or when nobody can
understand it: it says what it is about, why, and since when. The ledger says the same of every version, for
as long as it takes; the message is the convenient way to try again.

A queue cannot be read without taking from it: while a command looks, the messages are invisible to others,
and they are given back when it ends. If it is killed they come back after two minutes. What another
operator is looking at this moment is not seen.

Of a queue that is longer than can be looked at in a minute only a part is seen; then that is said, and
nothing is denied.

An ID is the beginning of a message's id, as long as it is that of one message only."""

_LIST: Final = """\
One line per message, the oldest first: why it is parked, and what it is about. A message that cannot be
read as an event is listed with the reason it was parked with."""

_SHOW: Final = """\
Everything a message says: the reason with S3's own words and request id, the attempts, and the body."""

_RETRY: Final = """\
After the cause has been removed. The body is sent to the queue where the source's notifications arrive, as
it is, and the message is removed when that has been accepted, never before. It is then worked on like any
other, for its destination only; what fails again is parked again, as a new message.

Nothing is sent without --yes: without it, the messages are listed and left alone."""

_DROP: Final = """\
The messages are removed, and nothing else happens: the ledger keeps the status and the reason of their
versions, which stay unreplicated.

Nothing is removed without --yes: without it, the messages are listed and left alone."""


def add_to(commands: Commands) -> None:
    own = group(
        commands, "parked", summary="see, retry and drop what waits for an operator", description=_GROUP
    )
    listing = command(
        own,
        "list",
        summary="list what is parked",
        description=_LIST,
        examples="  s3rctl parked list\n  s3rctl parked list --reason DstPutObjectNotPermitted --json",
    )
    _filters(listing)
    at_most(listing, 1000, "list at most N messages")
    listing.set_defaults(run=run_list)
    show = command(
        own,
        "show",
        summary="show one parked message in full",
        description=_SHOW,
        examples="  s3rctl parked show 6f1c2d9e",
    )
    show.add_argument("id", metavar="ID", help="the beginning of its id")
    show.set_defaults(run=run_show)
    for name, summary, description, run in (
        ("retry", "send parked messages round again", _RETRY, run_retry),
        ("drop", "remove parked messages for good", _DROP, run_drop),
    ):
        acting = command(
            own,
            name,
            summary=summary,
            description=f"{description}\n\nExits with 1 if nothing matches, or if some messages failed.",
            examples=f"  s3rctl parked {name} 6f1c2d9e --yes\n"
            f"  s3rctl parked {name} --reason DstPutObjectNotPermitted --destination my-replicas\n"
            f"  s3rctl parked {name} --all --yes",
        )
        _selection(acting)
        acting.set_defaults(run=run)


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="CODE", help="only what is parked for this reason")
    parser.add_argument("--destination", metavar="BUCKET", help="only what is meant for this destination")


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="these messages")
    parser.add_argument("--all", action="store_true", help="all messages")
    _filters(parser)
    parser.add_argument("--yes", action="store_true", help="do it, instead of saying what would be done")
    # To refuse a selection that contradicts itself the way argparse refuses anything else.
    parser.set_defaults(refuse=parser.error)


# -- list and show


def run_list(given: argparse.Namespace) -> int:
    narrowed = given.reason is not None or given.destination is not None
    with connect(given).parked().look(_MOST if narrowed else given.limit) as look:
        seen = look.messages
        chosen = matching(seen, given.reason, given.destination)
        complete = look.complete and len(chosen) <= given.limit
    shown = chosen[: given.limit]
    if given.json:
        print_json({"messages": [_document(message) for message in shown], "complete": complete})
        return DONE
    if shown:
        _print_messages(shown, seen)
    elif not look.complete:
        print("Nothing that was looked at matches")
    else:
        print("Nothing parked matches" if seen else "Nothing is parked")
    if not look.complete and narrowed:
        note(f"Only {_looked_at(len(seen))}: there may be more that match")
    elif not complete:
        note(f"There is more than the {plural(len(shown), 'message')} shown")
    return DONE


def run_show(given: argparse.Namespace) -> int:
    with connect(given).parked().look(_MOST, lambda look: _has(look, [given.id])) as look:
        seen = look.messages
        try:
            [message] = named(seen, [given.id])
        except (NoSuchMessage, AmbiguousId) as problem:
            return _cannot_choose(problem, len(seen), complete=look.complete)
    if given.json:
        print_json({**_document(message), "body": message.body, "attributes": dict(message.attributes)})
    else:
        for name, value in _document(message).items():
            print(f"{name + ':':<14} {NOTHING if value is None else safe(str(value))}")
        print(f"\n{safe(message.body)}")
    if not look.complete and not is_whole_id(given.id):
        note(f"Only {_looked_at(len(seen))}: the id of another one may begin like this")
    return DONE


def _has(look: Look, ids: Sequence[str]) -> bool:
    """Whether the messages of these ids are among those that are held, and no others can be meant."""
    return all(is_whole_id(each) and look.holds(each) for each in ids)


def _looked_at(count: int) -> str:
    return f"{plural(count, 'message')} of the queue {'was' if count == 1 else 'were'} looked at"


def _document(message: ParkedMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "readable": message.readable,
        "records": message.records,
        "reason": message.reason,
        "detail": message.detail,
        "destination": message.destination,
        "bucket": message.bucket,
        "key": message.key,
        "versionId": _version_id(message),
        "rule": message.rule,
        "attempts": message.attempts,
        "firstFailure": message.first_failure,
        "lastFailure": message.last_failure,
        "requestId": message.request_id,
        "parkedAt": iso(message.parked_at),
    }


def _print_messages(messages: Sequence[ParkedMessage], among: Sequence[ParkedMessage]) -> None:
    short = short_ids([message.id for message in among])
    print_table(
        ["ID", "PARKED", "REASON", "DESTINATION", "ATTEMPTS", "VERSION", "KEY"],
        [
            [
                short[message.id],
                moment(message.parked_at),
                message.reason,
                message.destination,
                str(message.attempts) if message.attempts is not None else None,
                _version_id(message),
                _subject(message),
            ]
            for message in messages
        ],
    )


def _version_id(message: ParkedMessage) -> str | None:
    return id_for_s3(message.version_id) if message.version_id else None


def _subject(message: ParkedMessage) -> str:
    if message.key is None:
        return f"(unreadable: {message.detail})"
    return message.key if message.records == 1 else f"{message.key} (and {message.records - 1} more)"


def _cannot_choose(problem: NoSuchMessage | AmbiguousId, seen: int, *, complete: bool) -> int:
    if isinstance(problem, AmbiguousId):
        complain(f"several parked messages have ids that begin with {problem}: give more of it")
        return CANNOT_WORK
    if not complete:
        # There are more than can be looked at: nobody can say that it is not there.
        complain(
            f"no message with an id that begins with {problem} was found, but only {_looked_at(seen)}:"
            " it may be among the others; run this again, or first retry or drop some of them"
        )
        return NOT_DONE
    complain(f"no parked message has an id that begins with {problem}, or another operator looks at it now")
    return NOT_DONE


# -- retry and drop


def run_retry(given: argparse.Namespace) -> int:
    return _act(given, "retried", Look.retry)


def run_drop(given: argparse.Namespace) -> int:
    return _act(given, "dropped", Look.drop)


def _act(
    given: argparse.Namespace, done: str, action: Callable[[Look, Sequence[ParkedMessage]], list[Handled]]
) -> int:
    narrowed = given.reason is not None or given.destination is not None
    if given.ids and (given.all or narrowed):
        given.refuse("name messages, or select them by --all, --reason, --destination: not both")
    if not given.ids and not given.all and not narrowed:
        given.refuse("which messages? Name them, or select them by --all, --reason, --destination")
    most = _MOST if given.ids else _MOST_AT_ONCE
    with connect(given).parked().look(most, lambda look: bool(given.ids) and _has(look, given.ids)) as look:
        seen = look.messages
        more = not look.complete
        try:
            chosen = named(seen, given.ids) if given.ids else matching(seen, given.reason, given.destination)
        except (NoSuchMessage, AmbiguousId) as problem:
            return _cannot_choose(problem, len(seen), complete=look.complete)
        unsure = next((each for each in given.ids if more and not is_whole_id(each)), None)
        if unsure is not None:
            complain(
                f"only {_looked_at(len(seen))}, and the id of another one may begin with {unsure}:"
                " give the whole id"
            )
            return CANNOT_WORK
        handled = action(look, chosen) if given.yes else []
    failed = [each for each in handled if each.problem is not None]
    if given.json:
        _print_action_json(given, done, chosen, handled, complete=not more)
    elif not chosen:
        print("Nothing that was looked at matches" if more else "Nothing parked matches")
    elif given.yes:
        print(f"{plural(len(handled) - len(failed), 'message')} {done}")
    else:
        _print_messages(chosen, seen)
        print(f"{plural(len(chosen), 'message')} would be {done}; nothing is done without --yes")
    for each in failed:
        kept = "sent, but it is still parked as well" if each.sent else "it stays parked"
        complain(f"{each.message.id}: {kept}: {each.problem}")
    if more and not given.ids:
        note(f"Only {_looked_at(len(seen))}; run this again for the others")
    return NOT_DONE if failed or not chosen else DONE


def _print_action_json(
    given: argparse.Namespace,
    done: str,
    chosen: Sequence[ParkedMessage],
    handled: Sequence[Handled],
    *,
    complete: bool,
) -> None:
    results = {each.message.id: each for each in handled}
    print_json(
        {
            "done": given.yes,
            "complete": complete,
            "messages": [
                {**_document(message), "result": _result(done, results.get(message.id))} for message in chosen
            ],
        }
    )


def _result(done: str, handled: Handled | None) -> dict[str, Any]:
    if handled is None:
        return {"status": f"not {done}: --yes was not given"}
    status = done if handled.problem is None else "failed"
    return {"status": status, "sent": handled.sent, "removed": handled.removed, "problem": handled.problem}
