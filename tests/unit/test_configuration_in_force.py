"""Documents that a former release let in and that would be refused now: they are read as before."""

import json
from typing import Any

import pytest

from s3replicator.adapters.configuration_document import parse, parse_in_force
from s3replicator.decisions.configuration import InvalidConfiguration
from tests.unit.replication_documents import RED, SOURCE, document, extended, rule


def ranked(priority: int, **members: Any) -> dict[str, Any]:
    return {"ID": f"rule-{priority}", "Priority": priority, **members}


def under(prefix: str) -> dict[str, Any]:
    return {"Filter": {"Prefix": prefix}}


def moving(strip: str, add: str, **names: list[str]) -> dict[str, Any]:
    transform = {"KeyTransform": {"StripPrefix": strip, "AddPrefix": add}}
    return extended(**transform, **({"KeyNameConstraint": names} if names else {}))


#: Each as the release of November 2026 accepted it. Recorded: they stay as they are.
ACCEPTED: dict[str, dict[str, Any]] = {
    "a tag rule, and one that leaves out how many keys end": document(
        moving("b/", "a/") | {"Filter": {"And": {"Prefix": "b/", "Tags": [RED]}}} | ranked(3),
        moving("", "a/", ExcludeSuffix=["x", "0", "~"]) | ranked(2),
    ),
    "what ends in a way goes by the weaker rule": document(
        rule(Extensions={"KeyNameConstraint": {"ExcludeSuffix": ["a", "bb"]}}) | ranked(2),
        moving("bb", "a") | under("bb") | ranked(1),
    ),
    "a substring in the prefix that is added": document(
        rule(Extensions={"KeyNameConstraint": {"MatchAnySubstring": ["ab"]}}) | ranked(2),
        moving("", "a") | ranked(1),
    ),
    "a suffix that begins in the prefix": document(
        moving("", "", MatchAnySuffix=["in/a"]) | ranked(1),
        moving("x", "in/", MatchAnySuffix=["a"], ExcludeSuffix=["n/a"]) | under("x") | ranked(2),
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_a_former_release_accepted_is_still_read(name: str) -> None:
    written = json.dumps(ACCEPTED[name])
    configuration = parse_in_force(written, SOURCE)
    assert len(configuration.rules) == len(ACCEPTED[name]["Rules"])


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_not_put_in_force_again_and_two_keys_are_shown(name: str) -> None:
    with pytest.raises(InvalidConfiguration) as refusal:
        parse(json.dumps(ACCEPTED[name]), SOURCE)
    assert refusal.value.code == "InvalidRequest"
    assert "would both be replicated to" in refusal.value.problem


@pytest.mark.parametrize("wrong", [{"Status": "On"}, {"Destination": {}}, {"Priority": 3, "ID": "rule-3"}])
def test_what_no_release_accepted_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration):
        parse_in_force(json.dumps(document(rule(**wrong), rule(**ranked(3)))), SOURCE)
