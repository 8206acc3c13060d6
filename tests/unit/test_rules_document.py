"""docs/rules.md: it tells of every member, and its examples are documents."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from s3replicator.adapters.configuration_document import SCHEMA, parse
from s3replicator.decisions.configuration import Configuration, InvalidConfiguration, Rule
from s3replicator.decisions.rules import Facts, contenders, winner
from s3replicator.decisions.versions import Tag

TEXT: Final = (Path(__file__).parents[2] / "docs/rules.md").read_text()
EXAMPLES: Final = re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
REFUSALS: Final = re.findall(r"^```\n(\w+: Rules.*?)\n```$", TEXT, re.MULTILINE)

#: What an example cannot have: Amazon S3 does not take it, we do not yet, or it says nothing.
NOT_SHOWN: Final = {"Role", "ExistingObjectReplication", "Extensions.PreserveParts", "Extensions.Destination"}


def members(schema: dict[str, Any], top: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    """Every member of a rule, by its path, with what the schema says of it."""
    found: dict[str, dict[str, Any]] = {}
    here = {**top["definitions"][schema["$ref"].rpartition("/")[2]], **schema} if "$ref" in schema else schema
    for name, inside in here.get("properties", {}).items():
        below = f"{path}.{name}".removeprefix(".")
        found |= {below: inside, **members(inside, top, below)}
    if "items" in here:
        found |= members(here["items"], top, f"{path}[]")
    return found


SCHEMA_DOCUMENT: Final = json.loads(files("s3replicator").joinpath(SCHEMA).read_text())
OF_RULE: Final = members(SCHEMA_DOCUMENT["definitions"]["Rule"], SCHEMA_DOCUMENT)
ALL: Final = {"Role", "Rules", *OF_RULE}


def shown(written: Any, path: str = "") -> set[str]:
    """Paths of all members of a document."""
    if isinstance(written, list):
        return {each for one in written for each in shown(one, f"{path}[]")}
    if not isinstance(written, dict):
        return set()
    found = {f"{path}.{name}".removeprefix(".") for name in written}
    return found | {
        each for name, one in written.items() for each in shown(one, f"{path}.{name}".removeprefix("."))
    }


def example(name: str) -> Configuration:
    """The example with a rule of that ID."""
    [text] = [text for text in EXAMPLES if f'"{name}"' in text]
    return parse(text, "source-bucket")


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_document(text: str) -> None:
    assert parse(text, "source-bucket").rules


def test_every_member_is_told_of_in_a_row() -> None:
    cells = [line.split(" | ")[0] for line in TEXT.splitlines() if line.startswith("| `")]
    told = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    codes = {"MalformedXML", "InvalidArgument", "InvalidRequest", "NotImplemented"}
    assert len(told) == len(set(told))
    assert set(told) - codes == ALL


def test_every_member_is_shown_in_an_example() -> None:
    found = {path.removeprefix("Rules[].") for text in EXAMPLES for path in shown(json.loads(text))}
    assert ALL - found == NOT_SHOWN


def test_every_member_has_a_description_for_editors() -> None:
    described = {**OF_RULE, **SCHEMA_DOCUMENT["properties"], **SCHEMA_DOCUMENT["definitions"]}
    definitions = SCHEMA_DOCUMENT["definitions"]
    refusing = {"NotInV1", "NotYet"}
    for name, schema in described.items():
        referred = definitions.get(schema.get("$ref", "").rpartition("/")[2], {})
        assert name in refusing or schema.get("description") or referred.get("description"), name


def decided(name: str, key: str, facts: Facts) -> dict[str, Rule]:
    won = {bucket: winner(rules, facts) for bucket, rules in contenders(example(name), key).items()}
    return {bucket: rule for bucket, rule in won.items() if rule is not None}


def test_the_reports_go_where_the_text_says() -> None:
    public, final = Tag("class", "public"), Tag("state", "final")
    both = decided("reports to Europe", "reports/a", Facts(frozenset({public, final})))
    assert {bucket: rule.destination.storage_class for bucket, rule in both.items()} == {
        "replica-bucket-eu": None,
        "replica-bucket-asia": None,
    }
    other = decided("reports to Europe", "reports/a", Facts(frozenset({final})))
    assert {bucket: rule.destination.storage_class for bucket, rule in other.items()} == {
        "replica-bucket-eu": "STANDARD_IA"
    }


def test_the_log_goes_where_the_text_says() -> None:
    won = decided("finished logs", "logs/web/2026/a.log.gz", Facts(size=1))
    assert won["all-logs"].transform.of("logs/web/2026/a.log.gz") == "team-a/web/2026/a.log.gz"
    assert "all-logs" not in decided("finished logs", "logs/web/test/2026/a.log.gz", Facts(size=1))


def refusal(*rules: dict[str, Any]) -> str:
    plain: dict[str, Any] = {
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "Destination": {"Bucket": "arn:aws:s3:::replica-bucket"},
    }
    with pytest.raises(InvalidConfiguration) as failure:
        parse(json.dumps({"Rules": [plain | rule for rule in rules]}), "source-bucket")
    return str(failure.value)


def test_refusals_read_as_the_text_says() -> None:
    bucket = {"Bucket": "arn:aws:s3:::replica-bucket"}
    unowned = {**bucket, "AccessControlTranslation": {"Owner": "Destination"}}
    europe = {
        "Filter": {"Prefix": "in/"},
        "Extensions": {"KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"}},
    }
    assert [
        refusal({}, {"ID": "logs", "Priority": 2, "Destination": unowned}),
        refusal({}, {"ID": "europe", "Priority": 2, **europe}),
    ] == REFUSALS
