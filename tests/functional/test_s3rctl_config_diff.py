"""What another configuration would change: ``s3rctl config diff``."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.configurations import document
from tests.functional.s3rctl_tool import Tool, deploy, sign_out
from tests.functional.world import CONTROL, ONE, SOURCE, TWO, World

BIG = {"Extensions": {"ObjectSizeGreaterThanBytes": 5}}
PUBLIC = {"Filter": {"Tag": {"Key": "class", "Value": "public"}}}


@pytest.fixture
def s3rctl(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("STACK_NAME", raising=False)
    deploy(world)
    return Tool(capsys)


@pytest.fixture
def alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    """The tool where there is no AWS, and nobody is signed in."""
    sign_out(monkeypatch)
    return Tool(capsys)


class Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, rules: dict[str, Any]) -> str:
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(rules))
        return str(path)

    def keys(self, *keys: str) -> str:
        path = self._folder / "keys.txt"
        path.write_text("\n".join(keys) + "\n")
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def to(bucket: str, **members: Any) -> dict[str, Any]:
    rule: dict[str, Any] = document(bucket, **members)["Rules"][0]
    return rule


# -- of rules


def test_rules_are_compared_field_by_field_without_aws(alone: Tool, files: Files) -> None:
    old = files("old", {"Rules": [to("kept", ID="same"), to("gone"), to("one", ID="moved", Priority=3)]})
    moved = to("one", ID="moved", Priority=4, Filter={"Prefix": "in/"}, Status="Disabled")
    new = files("new", {"Rules": [moved, to("new", Filter={"Prefix": "x"}), to("kept", ID="same")]})
    answer = alone("config", "diff", old, new)
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert lines == [
        ["RULE", "CHANGE", "BEFORE", "AFTER"],
        ["to-new", "added", "-", "'x'", "to", "new,", "priority", "1"],
        ["to-gone", "removed", "every", "key", "to", "gone,", "priority", "1", "-"],
        ["moved", "Status", "Enabled", "Disabled"],
        ["moved", "Priority", "3", "4"],
        ["moved", "Filter.Prefix", "-", "in/"],
    ]
    told = alone("config", "diff", old, new, "--json").json
    assert [rule["id"] for rule in told["rules"]["added"]] == ["to-new"]
    assert [rule["id"] for rule in told["rules"]["removed"]] == ["to-gone"]
    assert told["rules"]["changed"] == [
        {
            "id": "moved",
            "fields": [
                {"field": "Status", "before": "Enabled", "after": "Disabled"},
                {"field": "Priority", "before": 3, "after": 4},
                {"field": "Filter.Prefix", "before": None, "after": "in/"},
            ],
        }
    ]
    assert told["keys"] is None


def test_another_way_to_write_the_same_is_no_difference(alone: Tool, files: Files) -> None:
    old = files("old", document(ONE, Filter={"Prefix": "in/"}))
    new = files("new", {"Role": "arn:aws:iam::1:role/r", **document(ONE, Filter={"And": {"Prefix": "in/"}})})
    answer = alone("config", "diff", old, new)
    assert (answer.code, answer.out) == (0, "The rules are the same\n")


def test_one_of_the_two_can_come_from_standard_input(
    alone: Tool, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(document(ONE)).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert "the same" in alone("config", "diff", files("old", document(ONE)), "-").out
    assert alone("config", "diff", "-", "-").code == 2


def test_what_is_in_force_and_what_was_can_be_compared(world: World, s3rctl: Tool, files: Files) -> None:
    world.configure(document(ONE))
    former = world.s3.head_object(Bucket=CONTROL, Key="replication-configuration.json")["VersionId"]
    world.configure(document(TWO))
    told = s3rctl("config", "diff", former, "current", "--json").json["rules"]
    assert [rule["id"] for rule in told["added"]] == [f"to-{TWO}"]
    told = s3rctl("config", "diff", "current", files("new", document(TWO)), "--json").json["rules"]
    assert told == {"added": [], "removed": [], "changed": []}


def test_what_is_no_configuration_cannot_be_compared(world: World, s3rctl: Tool, files: Files) -> None:
    good, bad = files("good", document(ONE)), files("bad", document(ONE, Status="on"))
    refused = s3rctl("config", "diff", good, bad)
    assert refused.code == 1
    assert "bad.json: MalformedXML: Rules[0].Status" in refused.err
    assert s3rctl("config", "diff", good, "no-such-version").code == 1
    assert s3rctl("config", "diff", good, "no-such-file.json").code == 2
    world.s3.delete_object(Bucket=CONTROL, Key="replication-configuration.json")
    missing = s3rctl("config", "diff", "current", good)
    assert missing.code == 1
    assert "does not exist" in missing.err


# -- of keys


def test_keys_are_judged_by_both_without_aws(alone: Tool, files: Files) -> None:
    old = files("old", {"Rules": [to("one", Filter={"Prefix": "in/"}), to("two")]})
    moved = {"Extensions": {"KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"}}}
    cold = {"Destination": {"Bucket": "arn:aws:s3:::one", "StorageClass": "GLACIER"}}
    new = files("new", {"Rules": [to("one", Filter={"Prefix": "in/"}, **moved, **cold), to("three")]})
    keys = files.keys("in/a", "in/b", "out/c", "in/d", "in/e")
    answer = alone("config", "diff", old, new, "--keys", keys)
    assert answer.code == 0
    for told in ("Of 5 keys 5 would be treated otherwise", "in/a -> eu/a, in/b -> eu/b, in/d -> eu/d"):
        assert told in answer.out
    found = alone("config", "diff", old, new, "--keys", keys, "--json").json["keys"]
    assert {name: found[name] for name in ("complete", "compared", "changed", "missing")} == {
        "complete": True,
        "compared": 5,
        "changed": 5,
        "missing": 0,
    }
    counts = {(each["destination"], each["change"]): each["count"] for each in found["changes"]}
    assert counts == {
        ("one", "another replica key"): 4,
        ("one", "Destination.StorageClass"): 4,
        ("two", "no longer selected"): 5,
        ("three", "newly selected"): 5,
    }
    [selected] = [each for each in found["changes"] if each["change"] == "newly selected"]
    assert (selected["before"], selected["after"]) == (None, "to-three")
    assert selected["examples"][0] == {"key": "in/a", "replicaKeyBefore": None, "replicaKeyAfter": "in/a"}


def test_another_rule_that_decides_is_told(alone: Tool, files: Files) -> None:
    weak, strong = to("one", ID="weak"), to("one", ID="strong", Priority=2, Filter={"Prefix": "in/"})
    old, new = files("old", {"Rules": [weak]}), files("new", {"Rules": [weak, strong]})
    keys = files.keys("in/a", "out/b")
    [change] = alone("config", "diff", old, new, "--keys", keys, "--json").json["keys"]["changes"]
    assert {name: change[name] for name in ("change", "before", "after", "count")} == {
        "change": "another rule",
        "before": "weak",
        "after": "strong",
        "count": 1,
    }


@pytest.mark.parametrize(("rule", "changed"), [(BIG, ["large"]), (PUBLIC, ["tagged"])])
def test_objects_are_looked_at_where_rules_ask_for_more_than_a_key(
    world: World, s3rctl: Tool, files: Files, rule: dict[str, Any], changed: list[str]
) -> None:
    world.s3.put_object(Bucket=SOURCE, Key="large", Body=b"0123456789")
    world.s3.put_object(Bucket=SOURCE, Key="small", Body=b"0")
    world.s3.put_object(Bucket=SOURCE, Key="tagged", Body=b"0", Tagging="class=public")
    world.s3.put_object(Bucket=SOURCE, Key="deleted", Body=b"0123456789", Tagging="class=public")
    world.s3.delete_object(Bucket=SOURCE, Key="deleted")
    world.configure(document(ONE))
    new = files("new", {"Rules": [to(ONE), to(TWO, **rule)]})
    keys = files.keys("large", "small", "tagged", "deleted", "not-there")
    by_list = s3rctl("config", "diff", "current", new, "--keys", keys, "--json").json["keys"]
    by_listing = s3rctl("config", "diff", "current", new, "--prefix", "", "--json").json["keys"]
    for found, missing in ((by_list, 2), (by_listing, 0)):
        assert (found["compared"], found["changed"], found["missing"]) == (3, len(changed), missing)
        [change] = found["changes"]
        assert (change["destination"], change["change"]) == (TWO, "newly selected")
        assert [example["key"] for example in change["examples"]] == changed
    assert "2 keys could not be judged" in s3rctl("config", "diff", "current", new, "--keys", keys).err


def test_a_listing_is_read_so_far(world: World, s3rctl: Tool, files: Files) -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        world.s3.put_object(Bucket=SOURCE, Key=key, Body=b"")
    world.configure(document(ONE))
    new = files("new", document(TWO))
    for prefix, limit, compared, complete in (("a/", 2, 2, False), ("a/", 3, 3, True), ("", 9, 4, True)):
        answer = s3rctl("config", "diff", "current", new, "--prefix", prefix, "--limit", str(limit), "--json")
        found = answer.json["keys"]
        assert (found["compared"], found["changed"], found["complete"]) == (compared, compared, complete)
    assert "--limit" in s3rctl("config", "diff", "current", new, "--prefix", "", "--limit", "1").err


def test_what_has_to_be_looked_at_needs_a_stack(alone: Tool, files: Files) -> None:
    old, new = files("old", document(ONE)), files("new", document(ONE, **BIG))
    assert alone("config", "diff", old, new, "--keys", files.keys("a")).code == 2


def test_keys_that_are_no_text_are_refused(alone: Tool, files: Files, tmp_path: Path) -> None:
    odd = tmp_path / "odd.txt"
    odd.write_bytes(b"\xff\n")
    old = files("old", document(ONE))
    answer = alone("config", "diff", old, old, "--keys", str(odd))
    assert answer.code == 2
    assert "UTF-8" in answer.err
