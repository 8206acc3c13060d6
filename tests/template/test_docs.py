"""The documents, held against what they tell of: headings, links, commands, tables and examples."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import pytest

from s3rctl.main import parser
from s3replicator import telemetry
from s3replicator.adapters.configuration_document import parse
from s3replicator.adapters.ledger_items import head_item, row_item
from s3replicator.decisions.configuration import MAX_VERSION_DELETES, Configuration, LateVersions
from s3replicator.decisions.events import ChangeKind, Origin, Upload
from s3replicator.decisions.failures import Reason
from s3replicator.decisions.ledger import Head, Intent, Lease, LedgerKey, OrderFacts, Row, Status
from s3replicator.decisions.settling import MOST_NEWER_BYTES, MOST_NEWER_VERSIONS
from s3replicator.decisions.versions import Kind
from tests.template.test_template import ALARMS, TEMPLATE

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
RUNBOOK: Final = ROOT / "docs/runbook.md"
ARCHITECTURE: Final = ROOT / "docs/architecture.md"
DOCUMENTS: Final = sorted([README, *ROOT.glob("docs/**/*.md")])
RECORDS: Final = sorted(ROOT.glob("docs/adr/*.md"))

_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^]]+\]\(([^)\s]+)\)")
_SHELL: Final = re.compile(r"&&|[|;<>]")

documents: Final = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def prose(document: Path) -> str:
    return _FENCED.sub("", document.read_text())


def headings(document: Path) -> list[str]:
    return re.findall(r"^#+ +(.+?) *$", prose(document), re.MULTILINE)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def blocks(document: Path, language: str) -> list[str]:
    return [text for found, text in _FENCED.findall(document.read_text()) if found == language]


def commands(program: str) -> Iterator[list[str]]:
    """The arguments of every command of that name, in a block or in the text, of any document."""
    for document in DOCUMENTS:
        lines = "".join(blocks(document, "sh")).replace("\\\n", " ").splitlines()
        for line in [*lines, *_INLINE.findall(prose(document))]:
            if program in line:
                yield from _arguments(line, program)


def _arguments(line: str, program: str) -> Iterator[list[str]]:
    for part in _SHELL.split(line.partition(" #")[0]):
        words = part.split()
        if words and words[0].rpartition("/")[2] == program:
            yield shlex.split(part)[1:]


def table(document: Path, first_heading: str) -> list[list[str]]:
    """The rows of the table whose first column has that heading."""
    found: list[list[str]] = []
    inside = False
    for line in prose(document).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith(f"| {first_heading} |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(cells)
    return found


def names(cell: str) -> list[str]:
    return _INLINE.findall(cell)


# Headings and links


@pytest.mark.parametrize("reason", Reason)
def test_the_runbook_says_what_to_do_about_a_reason(reason: Reason) -> None:
    [section] = re.findall(rf"^### {reason}\n(.*?)(?=^#|\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\*\*(\w+)\*\*", section, re.MULTILINE) == ["Means", "Look", "Fix", "Verify"]


def test_the_runbook_has_no_reason_there_is_not() -> None:
    _, _, section = prose(RUNBOOK).partition("\n## Reason codes\n")
    assert sorted(re.findall(r"^### (.+)$", section, re.MULTILINE)) == sorted(Reason)


@documents
def test_no_two_headings_of_a_document_have_the_same_anchor(document: Path) -> None:
    anchors = [anchor(heading) for heading in headings(document)]
    assert len(set(anchors)) == len(anchors)


@documents
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in _LINK.findall(prose(document)):
        if link.startswith("https://"):
            continue
        name, _, fragment = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        if fragment:
            assert fragment in map(anchor, headings(target)), link


def test_the_readme_leads_to_every_document() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(README))}
    assert set(DOCUMENTS) - set(RECORDS) - {README} <= linked
    assert RECORDS[0].parent in linked


# Commands


def test_every_make_target_and_variable_there_is_talk_of_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    words = {word for command in commands("make") for word in command}
    targets = {word for word in words if "=" not in word}
    assert {"demo", "test", "local", "local-stop"} <= targets
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for variable in {word.partition("=")[0] for word in words - targets}:
        assert f"$({variable})" in makefile


def test_every_s3rctl_command_there_is_talk_of_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    told = [command for command in commands("s3rctl") if command]
    assert len(told) > 40
    refused = [command for command in told if not _is_understood(command)]
    assert refused == [], capsys.readouterr().err


def _is_understood(command: list[str]) -> bool:
    only_named = all(re.fullmatch("[a-z]+", word) for word in command)
    try:
        parser().parse_args([*command, "--help"] if only_named else command)
    except SystemExit as left:
        return left.code == 0
    return True


@documents
def test_nothing_of_the_machine_it_was_written_on_is_in_a_document(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", document.read_text())


# Tables


def test_the_readme_tells_every_parameter_with_its_default() -> None:
    told = {names(row[0])[0]: row[1] for row in table(README, "parameter")}
    assert list(told) == list(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        default = parameter.get("Default")
        assert told[name] == ("required" if default is None else f"`{default}`" if default else "empty"), name


def test_the_readme_tells_the_range_of_every_parameter_that_has_one() -> None:
    told = {names(row[0])[0]: row[2] for row in table(README, "parameter")}
    for name, parameter in TEMPLATE["Parameters"].items():
        if "MinValue" in parameter:
            assert told[name] == f"{parameter['MinValue']} to {parameter['MaxValue']}", name


def test_the_readme_leads_from_every_alarm_to_the_heading_the_alarm_names() -> None:
    told: dict[str, str] = {}
    for alarms, _, runbook in table(README, "alarm"):
        [link] = _LINK.findall(runbook)
        told |= dict.fromkeys(names(alarms), link)
    assert told == {name: alarm["AlarmDescription"].split()[-1] for name, alarm in ALARMS.items()}


def test_the_readme_tells_every_metric() -> None:
    assert {names(row[0])[0] for row in table(README, "metric")} == {
        telemetry.LATENCY,
        telemetry.REPLICATED,
        telemetry.FAILED,
        telemetry.NOT_ELIGIBLE,
        telemetry.PENDING,
        telemetry.DRIFT,
        telemetry.CONFIGURATION_UNREADABLE,
        telemetry.RULES_COLLIDE,
        telemetry.THRESHOLD_MISSED,
        telemetry.PASSED_OVER,
        telemetry.SOURCE_UNVERSIONED,
        telemetry.VERSION_DELETES_HALTED,
    }


# Examples


def configurations() -> list[Configuration]:
    return [parse(block, "source-bucket") for block in blocks(README, "json") if '"Rules"' in block]


def test_the_configurations_in_the_readme_are_valid() -> None:
    plain, extended = configurations()
    assert len(plain.rules) == 2
    [rule] = extended.rules
    assert (rule.late_versions, rule.version_deletes) == (LateVersions.SKIP, 200)


def test_the_readme_tells_every_extension_with_its_default() -> None:
    rule = configurations()[0].rules[0]
    assert (rule.late_versions, rule.version_deletes) == (LateVersions.REPLAY, None)
    told = {names(row[0])[0]: row[1] for row in table(README, "extension") if names(row[0])}
    assert told == {
        "LateVersions": "`Replay` (default)",
        "VersionDeletes": '`{"Status": "Disabled"}` (default)',
        "MaxPerHour": f"1 or more, default {MAX_VERSION_DELETES}",
    }


@pytest.mark.parametrize("document", [README, ARCHITECTURE, RUNBOOK], ids=lambda path: path.name)
def test_what_is_too_much_to_replay_is_told(document: Path) -> None:
    text = " ".join(prose(document).split())
    assert re.search(f"(more than|Above) {MOST_NEWER_VERSIONS} newer versions", text)
    assert re.search(rf"\b{MOST_NEWER_BYTES >> 30} GiB of them", text)


def test_every_attribute_of_the_ledger_is_told_of() -> None:
    order = OrderFacts("1A", 1.0, multipart=True)
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(Row)), 1.0)
    values |= dict.fromkeys(("left", "blocked", "stray"), ("id",))
    values |= {
        "owed": frozenset({ChangeKind.ACL_CHANGED}),
        "kind": Kind.OBJECT,
        "status": Status.PENDING,
        "order": order,
        "upload": Upload("id", "nonce", 1.0),
        "origin": Origin.USER,
    }
    row = Row(**values)
    intent = Intent("nonce", "version", Kind.OBJECT, 1.0, order, unstamped_size=1)
    head = Head("source", Lease("token", 1.0), intent, True, {"version": row}, True, ("other", order), 1)
    head = replace(head.hearing("third", ChangeKind.TAGGED), stray=("id",))
    key = LedgerKey("bucket", "key")
    about_items = {"pk", "sk", "schema"}
    assert told_of("attribute of the head") == set(head_item(key, head)) - about_items
    assert told_of("attribute of a row") == set(row_item(key, "source", 1, "version", row)["row"]["M"])


def told_of(first_heading: str) -> set[str]:
    return {name for row in table(ARCHITECTURE, first_heading) for name in names(row[0])}


@pytest.mark.parametrize("event", sorted(path.name for path in (ROOT / "events").iterdir()))
def test_every_event_is_of_use(event: str) -> None:
    readers = [path for path in ROOT.glob("tests/**/*.py") if path != Path(__file__)]
    assert any(event in path.read_text() for path in [*DOCUMENTS, *readers])


# Decisions


def test_decisions_are_numbered_one_after_the_other() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_is_short_and_has_its_three_parts(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {int(record.name[:4])}. ")
    parts = re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequence"]
    assert len(text.splitlines()) <= 15
