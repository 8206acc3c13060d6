"""The command line, read: what argparse refuses without saying why is taken, or told what to do about."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

#: Names of files may be any bytes, as the system has it; all else is sent somewhere.
_FILES: Final = frozenset({"file", "keys", "manifest", "download", "old", "new"})

_LACKING: Final = re.compile(r"argument (?P<option>\S+): expected one argument")


class Parser(argparse.ArgumentParser):
    """Takes a value that looks like an option (``--prefix -x/``) unless it is one."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if args is not None:
            args = self._given = self._joined(list(args))
        return super().parse_known_args(args, namespace)

    def print_help(self, file: Any = None) -> None:
        # argparse would pass over what cannot be written.
        print(self.format_help(), end="", file=file)

    def error(self, message: str) -> NoReturn:
        told = f"{message}{self._hint(message)}"
        super().error("".join(c if c.isprintable() else f"{c!a}"[1:-1] for c in told))

    def _joined(self, given: list[str]) -> list[str]:
        """With ``--name=-value`` in the place of ``--name -value``."""
        joined: list[str] = []
        for index, one in enumerate(given):
            if one == "--":
                return joined + given[index:]
            if joined and self._takes_one(joined[-1]) and self._looks_like_an_option(one):
                joined[-1] = f"{joined[-1]}={one}"
            else:
                joined.append(one)
        return joined

    def _takes_one(self, option: str) -> bool:
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs is None and option.startswith("--")

    def _looks_like_an_option(self, text: str) -> bool:
        """As ``-x/`` does, though it is none. Two hyphens are a mistyped option more often than a value."""
        return (
            len(text) > 1
            and text.startswith("-")
            and not text.startswith("--")
            and text[:2] not in self._option_string_actions
        )

    def _hint(self, message: str) -> str:
        """What to do, where a word of the command line has been taken for an option."""
        if lacking := _LACKING.match(message):
            option = lacking["option"].rpartition("/")[2]
            value = self._behind(option)
            if value is not None and value.startswith("-"):
                return f"; if {value!r} is meant as its value, write {option}={value}"
        elif message.startswith(("unrecognized arguments: -", "the following arguments are required")):
            for text in self._given:
                if self._looks_like_an_option(text):
                    return f"; write ./{text} for a file of that name, and -- {text} for anything else"
        return ""

    def _behind(self, option: str) -> str | None:
        """What stands behind an option, which may have been given in short."""
        following = zip(self._given, self._given[1:], strict=False)
        return next((value for name, value in following if len(name) > 2 and option.startswith(name)), None)


def not_utf8(given: argparse.Namespace) -> str | None:
    """What is wrong with the first argument that cannot be sent to AWS; None if all can."""
    for name, value in vars(given).items():
        for text in value if isinstance(value, list) else [value]:
            if name not in _FILES and isinstance(text, str) and not _is_utf8(text):
                return f"{name} is {text!a}, which is not UTF-8, as everything in AWS is: give it in UTF-8"
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
