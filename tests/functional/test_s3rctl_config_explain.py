"""Which rule decides for an object, and why the others do not: ``s3rctl config explain``."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.configurations import document
from tests.functional.s3rctl_tool import Tool, deploy, sign_out
from tests.functional.world import ONE, SOURCE, TWO, World

KEY = f"s3://{SOURCE}/in/a.csv"
PUBLIC = {"Key": "class", "Value": "public"}
TAGGED = {"And": {"Prefix": "in/", "Tags": [PUBLIC]}}


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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.json"


def put(world: World, **more: Any) -> str:
    version: str = world.s3.put_object(Bucket=SOURCE, Key="in/a.csv", Body=b"0123456789", **more)["VersionId"]
    return version


def two_rules(strong: dict[str, Any]) -> dict[str, Any]:
    """``weak`` takes everything to ONE; ``strong`` has these members."""
    weak = {**document(ONE)["Rules"][0], "ID": "weak"}
    return {"Rules": [weak, {**weak, "ID": "strong", "Priority": 7, **strong}]}


# -- by the rules in force


def test_the_rules_are_asked_about_the_object_as_it_is(world: World, s3rctl: Tool) -> None:
    world.configure(two_rules({"Filter": TAGGED}))
    version = put(world, Tagging="class=public")
    answer = s3rctl("config", "explain", KEY)
    assert answer.code == 0
    for told in (
        f"{KEY}: an object, version {version}, 10 B, STANDARD, tags class=public",
        f"{ONE}: replicated by rule 'strong', as s3://{ONE}/in/a.csv",
        f"{TWO}: not replicated: no rule names this bucket",
        "rule 'strong' is stronger, with priority 7",
    ):
        assert told in answer.out
    told = s3rctl("config", "explain", KEY, "--json").json
    assert told == {
        "bucket": SOURCE,
        "key": "in/a.csv",
        "versionId": version,
        "kind": "object",
        "tags": [{"key": "class", "value": "public"}],
        "size": 10,
        "storageClass": "STANDARD",
        "encryption": None,
        "replicated": True,
        "destinations": [
            {
                "destination": ONE,
                "replicated": True,
                "rule": "strong",
                "replicaKey": "in/a.csv",
                "problem": None,
                "rules": [
                    {
                        "id": "strong",
                        "priority": 7,
                        "enabled": True,
                        "selects": True,
                        "decides": True,
                        "reasons": [],
                    },
                    {
                        "id": "weak",
                        "priority": 1,
                        "enabled": True,
                        "selects": True,
                        "decides": False,
                        "reasons": ["rule 'strong' is stronger, with priority 7"],
                    },
                ],
            },
            {
                "destination": TWO,
                "replicated": False,
                "rule": None,
                "replicaKey": None,
                "problem": None,
                "rules": [],
            },
        ],
    }


def test_what_is_explained_is_what_happens(world: World, s3rctl: Tool) -> None:
    extended = {"Extensions": {"KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"}}}
    world.configure({"Rules": document(ONE, Filter={"Prefix": "in/"}, **extended)["Rules"]})
    event = world.put("in/a.csv")
    [one, two] = s3rctl("config", "explain", KEY, "--json").json["destinations"]
    world.deliver(event)
    assert (one["replicaKey"], two["replicaKey"]) == ("eu/a.csv", None)
    assert world.versions("eu/a.csv", ONE) == ["content"]
    assert world.versions("in/a.csv", TWO) == []


def test_a_former_version_can_be_asked_about(world: World, s3rctl: Tool) -> None:
    world.configure(two_rules({"Filter": TAGGED}))
    former = put(world, Tagging="class=public")
    put(world)
    rules = [
        s3rctl("config", "explain", KEY, *which, "--json").json["destinations"][0]["rule"]
        for which in ((), ("--version-id", former))
    ]
    assert rules == ["weak", "strong"]
    unknown = s3rctl("config", "explain", KEY, "--version-id", "no-such-version")
    assert unknown.code == 2
    assert "has no version no-such-version" in unknown.err


def test_a_delete_marker_is_judged_by_what_it_hides(world: World, s3rctl: Tool) -> None:
    kept = {"DeleteMarkerReplication": {"Status": "Enabled"}}
    small = {"Extensions": {"ObjectSizeLessThanBytes": 5}}
    world.configure({"Rules": [{**document(ONE)["Rules"][0], **kept, **small}]})
    put(world)
    # As if it were deleted now, and then it is.
    for asked in (("--marker",), ()):
        if not asked:
            world.s3.delete_object(Bucket=SOURCE, Key="in/a.csv")
        answer = s3rctl("config", "explain", KEY, *asked)
        assert answer.code == 1
        assert "hiding an object (10 B, STANDARD)" in answer.out
        assert "its size, 10 bytes, is not smaller than 5" in answer.out
    assert s3rctl("config", "explain", KEY, "--size", "4", "--json").json["kind"] == "marker"
    assert s3rctl("config", "explain", KEY, "--size", "4").code == 0


def test_a_rule_that_decides_and_leaves_delete_markers_out_is_named(world: World, s3rctl: Tool) -> None:
    world.configure(document(ONE))
    put(world)
    answer = s3rctl("config", "explain", KEY, "--marker")
    assert answer.code == 1
    assert f"rule 'to-{ONE}' does not replicate delete markers" in answer.out


def test_what_is_given_is_taken_in_place_of_what_is_there(world: World, s3rctl: Tool) -> None:
    world.configure(two_rules({"Filter": TAGGED}))
    put(world)
    told = s3rctl("config", "explain", KEY, "--tags", "class=public,team=a=b", "--json").json
    assert told["tags"] == [{"key": "class", "value": "public"}, {"key": "team", "value": "a=b"}]
    assert told["destinations"][0]["rule"] == "strong"
    archived = s3rctl("config", "explain", KEY, "--storage-class", "GLACIER")
    assert archived.code == 1
    assert "restore it first" in archived.out


def test_an_object_that_is_not_there_can_be_imagined(world: World, s3rctl: Tool) -> None:
    world.configure(two_rules({"Filter": TAGGED}))
    refused = s3rctl("config", "explain", KEY)
    assert refused.code == 2
    assert "rules ask for its tags: give --tags" in refused.err
    answer = s3rctl("config", "explain", KEY, "--tags", "")
    assert answer.code == 0
    assert "does not exist" in answer.err
    assert f"{KEY}: an object, no tags" in answer.out
    assert s3rctl("config", "explain", f"s3://{SOURCE}/out/b").code == 0


def test_another_bucket_than_the_source_is_wrong(s3rctl: Tool) -> None:
    answer = s3rctl("config", "explain", f"s3://{ONE}/key")
    assert answer.code == 2
    assert SOURCE in answer.err


# -- by those of a file


def test_a_file_is_judged_by_without_aws_where_nothing_is_asked_of_it(alone: Tool, file: Path) -> None:
    file.write_text(json.dumps(two_rules({"Filter": TAGGED})))
    answer = alone("config", "explain", KEY, "--file", str(file), "--tags", "class=private")
    assert answer.code == 0
    assert "tag class=public is missing: class is 'private'" in answer.out
    assert f"replicated by rule 'weak', as s3://{ONE}/in/a.csv" in answer.out
    # Only rules that the key fits ask for anything.
    assert alone("config", "explain", f"s3://{SOURCE}/out/b", "--file", str(file)).code == 0
    kms = alone("config", "explain", f"s3://{SOURCE}/b", "--file", str(file), "--encryption", "aws:kms")
    assert kms.code == 1
    assert "SseKmsEncryptedObjects" in kms.out


def test_what_only_the_object_can_tell_needs_aws(alone: Tool, file: Path) -> None:
    file.write_text(json.dumps(two_rules({"Filter": TAGGED})))
    answer = alone("config", "explain", KEY, "--file", str(file))
    assert answer.code == 2
    assert "credentials" in answer.err


def test_of_a_file_that_asks_the_object_is_read_without_a_stack(
    world: World, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text(json.dumps(two_rules({"Extensions": {"ObjectSizeGreaterThanBytes": 9}})))
    put(world)
    told = Tool(capsys)("config", "explain", KEY, "--file", str(file), "--json").json
    assert (told["size"], told["destinations"][0]["rule"]) == (10, "strong")


def test_an_invalid_file_is_refused(alone: Tool, file: Path) -> None:
    file.write_text(json.dumps(document(SOURCE)))
    answer = alone("config", "explain", KEY, "--file", str(file))
    assert answer.code == 1
    assert "Rules[0].Destination.Bucket" in answer.err
    assert alone("config", "explain", KEY, "--file", str(file.parent / "missing")).code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ("--tags", "class"),
        ("--tags", "=public"),
        ("--tags", "a=1,a=2"),
        ("--size", "big"),
        ("--marker", "--version-id", "x"),
    ],
)
def test_wrong_usage_is_told(alone: Tool, file: Path, wrong: tuple[str, ...]) -> None:
    file.write_text(json.dumps(document(ONE)))
    assert alone("config", "explain", KEY, "--file", str(file), *wrong).code == 2
