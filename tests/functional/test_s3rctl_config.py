"""The configuration checked, shown and put in force: ``s3rctl config``."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from s3replicator.adapters.configuration_object import ConfigurationObject, Overtaken
from s3replicator.decisions import collisions
from s3replicator.decisions.configuration import OBJECT_KEY
from tests.functional.configurations import COLLIDING, MEETING, document
from tests.functional.s3rctl_tool import CACHE_SECONDS, Tool, deploy, sign_out
from tests.functional.world import CONTROL, ONE, SOURCE, TWO, World


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


ACCOUNT = "arn:aws:kms:us-east-1:123456789012"
KEY, OTHER_KEY = f"{ACCOUNT}:key/0d2f6b1e", f"{ACCOUNT}:key/77aa01bc"


def encrypted(*keys: str) -> dict[str, Any]:
    """For each key a rule that encrypts replicas with it."""
    rules = [
        document(
            ONE,
            ID=f"with-{number}",
            Priority=number,
            SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            Destination={
                "Bucket": f"arn:aws:s3:::{ONE}",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
            },
        )["Rules"][0]
        for number, key in enumerate(keys)
    ]
    return {"Rules": rules}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(document(ONE)))
    return path


def in_force(world: World) -> bytes:
    body: bytes = world.s3.get_object(Bucket=CONTROL, Key=OBJECT_KEY)["Body"].read()
    return body


def history(world: World) -> int:
    return len(world.s3.list_object_versions(Bucket=CONTROL, Prefix=OBJECT_KEY)["Versions"])


# -- validate


def test_a_valid_file_is_summed_up(alone: Tool, file: Path) -> None:
    tagged = {"And": {"Prefix": "in/", "Tags": [{"Key": "team", "Value": "a"}]}}
    file.write_text(json.dumps(document("replicas", "others", Filter=tagged, Status="Disabled")))
    answer = alone("config", "validate", str(file))
    assert answer.code == 0
    assert "valid, 2 rules" in answer.out
    for told in ("to-replicas", "Disabled", "in/", "team=a", "others"):
        assert told in answer.out
    rules = alone("config", "validate", str(file), "--json").json
    assert rules["valid"] is True
    assert rules["rules"][1] == {
        "id": "to-others",
        "enabled": False,
        "priority": 2,
        "prefix": "in/",
        "keyNames": {
            "matchAnyPrefix": [],
            "matchAnySuffix": [],
            "matchAnySubstring": [],
            "excludePrefix": [],
            "excludeSuffix": [],
        },
        "tags": [{"key": "team", "value": "a"}],
        "largerThan": None,
        "smallerThan": None,
        "storageClasses": [],
        "deleteMarkers": False,
        "encryptedWithKms": False,
        "replicaModifications": False,
        "replicasOnward": False,
        "tagLater": False,
        "destination": "others",
        "account": None,
        "ownerOverride": False,
        "storageClass": None,
        "kmsKey": None,
        "metrics": False,
        "timeControl": False,
        "keyTransform": {"stripPrefix": "", "addPrefix": ""},
        "lateVersions": "Replay",
        "versionDeletesPerHour": None,
    }


def test_the_table_has_columns_for_what_is_used(alone: Tool, file: Path) -> None:
    usual = ["RULE", "STATUS", "PRIORITY", "PREFIX", "DELETE MARKERS", "DESTINATION"]
    plain = alone("config", "validate", str(file)).out.splitlines()[1]
    assert re.split("  +", plain) == usual
    key = "arn:aws:kms:eu-west-1:123456789012:key/0d2f6b1e"
    file.write_text(
        json.dumps(
            document(
                "replicas",
                Filter={"And": {"Prefix": "in/", "Tags": [{"Key": "team", "Value": "a"}]}},
                SourceSelectionCriteria={
                    "SseKmsEncryptedObjects": {"Status": "Enabled"},
                    "ReplicaModifications": {"Status": "Enabled"},
                },
                Destination={
                    "Bucket": "arn:aws:s3:::replicas",
                    "StorageClass": "STANDARD_IA",
                    "Account": "123456789012",
                    "AccessControlTranslation": {"Owner": "Destination"},
                    "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
                    "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                    "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
                },
                Extensions={
                    "KeyNameConstraint": {
                        "MatchAnyPrefix": ["in/a", "in/b"],
                        "MatchAnySuffix": [".csv"],
                        "MatchAnySubstring": ["x"],
                        "ExcludePrefix": ["in/ab"],
                        "ExcludeSuffix": [".tmp"],
                    },
                    "ObjectSizeGreaterThanBytes": 10,
                    "ObjectSizeLessThanBytes": 2000,
                    "MatchAnyStorageClass": ["STANDARD"],
                    "KeyTransform": {"StripPrefix": "in/", "AddPrefix": "eu/"},
                    "LateVersions": "Skip",
                    "VersionDeletes": {"Status": "Enabled", "MaxPerHour": 20},
                },
            )
        )
    )
    _, headings, row = alone("config", "validate", str(file)).out.splitlines()
    cells = dict(zip(re.split("  +", headings), re.split("  +", row), strict=True))
    assert cells == {
        "RULE": "to-replicas",
        "STATUS": "Enabled",
        "PRIORITY": "1",
        "PREFIX": "in/",
        "KEYS": "begins with 'in/a' or 'in/b'; ends in '.csv'; contains 'x';"
        " does not begin with 'in/ab'; does not end in '.tmp'",
        "TAGS": "team=a",
        "SIZE": "> 10 B, < 2000 B",
        "CLASSES": "STANDARD",
        "DELETE MARKERS": "no",
        "DESTINATION": "replicas",
        "KEY THERE": "in/* -> eu/*",
        "CLASS THERE": "STANDARD_IA",
        "ACCOUNT": "123456789012, owns replicas",
        "KMS KEY": key,
        "TIME CONTROL": "15 min",
        "REPLICA CHANGES": "yes",
        "LATE VERSIONS": "Skip",
        "VERSION DELETES": "20 an hour",
    }


def test_what_amazon_has_no_words_for_is_summed_up_too(alone: Tool, file: Path) -> None:
    extensions = {"LateVersions": "Skip", "VersionDeletes": {"Status": "Enabled", "MaxPerHour": 20}}
    file.write_text(json.dumps(document("replicas", Extensions=extensions)))
    told = alone("config", "validate", str(file)).out
    assert "Skip" in told
    assert "20 an hour" in told
    [rule] = alone("config", "validate", str(file), "--json").json["rules"]
    assert (rule["lateVersions"], rule["versionDeletesPerHour"]) == ("Skip", 20)


def test_an_invalid_file_is_refused_with_the_field_and_the_fix(alone: Tool, file: Path) -> None:
    file.write_text(json.dumps(document("replicas", Status="enabled")))
    answer = alone("config", "validate", str(file))
    assert answer.code == 1
    assert answer.out == ""
    assert "Rules[0].Status" in answer.err
    assert "Enabled" in answer.err
    told = alone("config", "validate", str(file), "--json")
    assert told.code == 1
    assert (told.json["valid"], told.json["code"]) == (False, "MalformedXML")
    assert told.json["field"] == "Rules[0].Status"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b"[]", b"null"])
def test_what_is_no_document_is_refused(alone: Tool, file: Path, body: bytes) -> None:
    file.write_bytes(body)
    assert alone("config", "validate", str(file)).code == 1


def test_standard_input_is_a_file_too(alone: Tool, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert alone("config", "validate", "-").code == 0


def test_a_file_that_cannot_be_read_is_another_kind_of_failure(alone: Tool, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        answer = alone("config", "validate", str(path))
        assert answer.code == 2
        assert str(path) in answer.err


# -- show


def test_the_document_in_force_is_shown_as_it_was_written(world: World, s3rctl: Tool, file: Path) -> None:
    file.write_text(json.dumps(document(TWO), indent=7))
    version = s3rctl("config", "put", str(file), "--json").json["versionId"]
    answer = s3rctl("config", "show")
    assert answer.code == 0
    assert answer.out.rstrip("\n") == file.read_text()
    assert version in answer.err
    told = s3rctl("config", "show", "--json").json
    assert told["document"] == document(TWO)
    assert (told["versionId"], told["problem"]) == (version, None)
    assert told["uri"] == f"s3://{CONTROL}/{OBJECT_KEY}"


def test_nothing_in_force_is_said(world: World, s3rctl: Tool) -> None:
    world.s3.delete_object(Bucket=CONTROL, Key=OBJECT_KEY)
    answer = s3rctl("config", "show")
    assert answer.code == 1
    assert "config put" in answer.err


@pytest.mark.parametrize("body", ["no json", json.dumps(document(SOURCE)), json.dumps(document("unknown"))])
def test_an_unusable_document_in_force_is_shown_and_complained_of(
    world: World, s3rctl: Tool, body: str
) -> None:
    world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=body)
    answer = s3rctl("config", "show")
    assert answer.code == 1
    assert answer.out.rstrip("\n") == body
    assert "cannot be used" in answer.err
    assert s3rctl("config", "show", "--json").json["problem"]


# -- put


def test_a_document_is_put_in_force_without_further_ado(world: World, s3rctl: Tool, file: Path) -> None:
    answer = s3rctl("config", "put", str(file))
    assert answer.code == 0
    assert in_force(world) == file.read_bytes()
    assert world.s3.head_object(Bucket=CONTROL, Key=OBJECT_KEY)["VersionId"] in answer.out
    assert f"within {CACHE_SECONDS} seconds" in answer.out
    world.deliver(world.put("key"))
    assert world.versions("key", ONE) == ["content"]
    assert world.versions("key", TWO) == []


def test_the_first_document_is_put_where_there_is_none(world: World, s3rctl: Tool, file: Path) -> None:
    world.s3.delete_object(Bucket=CONTROL, Key=OBJECT_KEY)
    assert s3rctl("config", "put", str(file)).code == 0
    assert in_force(world) == file.read_bytes()


def test_what_is_in_force_already_is_not_written_again(world: World, s3rctl: Tool, file: Path) -> None:
    first = s3rctl("config", "put", str(file), "--json").json
    before = history(world)
    second = s3rctl("config", "put", str(file), "--json")
    assert second.code == 0
    assert second.json == {**first, "written": False}
    assert history(world) == before


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (document(ONE, Status="on"), "Rules[0].Status"),
        (document(ONE, SOURCE), "Rules[1].Destination.Bucket"),
        (document(ONE, "somewhere", "else"), f"Destinations={ONE},{TWO},somewhere,else first"),
        (encrypted(KEY), f"ReplicaKmsKeys={KEY} first"),
    ],
)
def test_what_the_stack_cannot_do_is_refused(
    world: World, s3rctl: Tool, file: Path, refused: dict[str, Any], told: str
) -> None:
    before = in_force(world)
    file.write_text(json.dumps(refused))
    answer = s3rctl("config", "put", str(file))
    assert answer.code == 1
    assert told in answer.err
    assert in_force(world) == before


@pytest.mark.parametrize(
    ("granted", "used", "parameter"),
    [
        (KEY, [KEY], None),
        (KEY, [KEY, OTHER_KEY], f"ReplicaKmsKeys={KEY},{OTHER_KEY} first"),
        # Policies name keys: which one an alias stands for is not known here.
        (KEY, [f"{ACCOUNT}:alias/mine"], None),
        ("", [f"{ACCOUNT}:alias/mine"], "ReplicaKmsKeys=<the ARN of the key alias/mine> first"),
        # Whoever is in its account may use the key that AWS manages.
        ("", [f"{ACCOUNT}:alias/aws/s3"], None),
    ],
)
def test_only_keys_that_the_stack_may_use_are_taken(
    world: World, s3rctl: Tool, file: Path, *, granted: str, used: list[str], parameter: str | None
) -> None:
    deploy(world, "with-keys", {"SourceKmsKeys": OTHER_KEY, "ReplicaKmsKeys": granted})
    file.write_text(json.dumps(encrypted(*used)))
    answer = s3rctl("config", "put", str(file), "--stack", "with-keys")
    if parameter is None:
        assert (answer.code, answer.err) == (0, "")
    else:
        assert answer.code == 1
        assert "Destination.EncryptionConfiguration.ReplicaKmsKeyID" in answer.err
        assert parameter in answer.err


def test_what_may_not_be_readable_is_said_and_put_in_force(world: World, s3rctl: Tool, file: Path) -> None:
    deploy(world, "without-keys", {"SourceKmsKeys": "", "ReplicaKmsKeys": KEY})
    file.write_text(json.dumps(encrypted(KEY)))
    answer = s3rctl("config", "put", str(file), "--stack", "without-keys")
    assert answer.code == 0
    assert "SourceKmsKeys" in answer.err
    told = s3rctl("config", "put", str(file), "--stack", "without-keys", "--json").json
    assert "SourceKmsKeys" in told["warning"]


def test_a_file_that_cannot_be_read_changes_nothing(world: World, s3rctl: Tool, tmp_path: Path) -> None:
    before = history(world)
    assert s3rctl("config", "put", str(tmp_path / "missing")).code == 2
    assert history(world) == before


def test_a_document_replaces_only_the_version_it_was_made_from(
    world: World, s3rctl: Tool, file: Path
) -> None:
    started_from = s3rctl("config", "show", "--json").json["versionId"]
    world.configure(document(TWO))
    before = in_force(world)
    answer = s3rctl("config", "put", str(file), "--replacing", started_from)
    assert answer.code == 1
    assert started_from in answer.err
    assert in_force(world) == before
    now = s3rctl("config", "show", "--json").json["versionId"]
    assert s3rctl("config", "put", str(file), "--replacing", now).code == 0
    assert in_force(world) == file.read_bytes()


@pytest.mark.parametrize("there", [True, False])
def test_of_two_writers_at_once_one_is_told_so(
    world: World, s3rctl: Tool, file: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if not there:
        world.s3.delete_object(Bucket=CONTROL, Key=OBJECT_KEY)
    read = ConfigurationObject.read

    def read_and_be_overtaken(self: ConfigurationObject) -> object:
        found = read(self)
        world.configure(document(TWO))
        return found

    monkeypatch.setattr(ConfigurationObject, "read", read_and_be_overtaken)
    answer = s3rctl("config", "put", str(file))
    assert answer.code == 1
    assert "somebody else" in answer.err
    assert json.loads(in_force(world)) == document(TWO)


def test_a_write_names_what_it_replaces(world: World) -> None:
    where = ConfigurationObject(world.s3, CONTROL)
    former = where.read()
    where.replace(former, b"one")
    for outdated in (former, None):
        with pytest.raises(Overtaken):
            where.replace(outdated, b"another")
    assert in_force(world) == b"one"


# -- history and rollback


def put(s3rctl: Tool, file: Path, *buckets: str, **rule: Any) -> str:
    """A document in force; its version."""
    file.write_text(json.dumps(document(*buckets, **rule)))
    version: str = s3rctl("config", "put", str(file), "--json").json["versionId"]
    return version


def test_every_version_is_listed_the_newest_first(world: World, s3rctl: Tool, file: Path) -> None:
    put(s3rctl, file, ONE)
    newest = put(s3rctl, file, TWO)
    # What only begins like the document is none of its versions.
    world.s3.put_object(Bucket=CONTROL, Key=f"{OBJECT_KEY}.old", Body=b"")
    told = s3rctl("config", "history", "--json")
    assert told.code == 0
    assert (told.json["uri"], told.json["complete"]) == (f"s3://{CONTROL}/{OBJECT_KEY}", True)
    first, *others = told.json["versions"]
    assert first == {
        "versionId": newest,
        "written": first["written"],
        "bytes": len(file.read_bytes()),
        "deleted": False,
        "inForce": True,
    }
    assert len(others) == 2
    assert not any(version["inForce"] for version in others)
    heading, line, *_ = s3rctl("config", "history").out.splitlines()
    assert heading.split() == ["VERSION", "WRITTEN", "SIZE", "STATE"]
    assert newest in line
    assert line.endswith("in force")


def test_a_history_can_be_short_and_says_so(s3rctl: Tool, file: Path) -> None:
    put(s3rctl, file, ONE)
    answer = s3rctl("config", "history", "--limit", "1", "--json")
    assert len(answer.json["versions"]) == 1
    assert answer.json["complete"] is False
    assert "There are 1 older ones: --limit 2" in answer.err


def test_a_deleted_document_has_a_history(world: World, s3rctl: Tool) -> None:
    world.s3.delete_object(Bucket=CONTROL, Key=OBJECT_KEY)
    newest, former = s3rctl("config", "history", "--json").json["versions"]
    assert (newest["deleted"], newest["bytes"], newest["inForce"]) == (True, None, True)
    assert (former["deleted"], former["inForce"]) == (False, False)
    assert "deleted" in s3rctl("config", "history").out
    assert s3rctl("config", "rollback", former["versionId"], "--yes").code == 0
    assert s3rctl("config", "show").code == 0
    assert s3rctl("config", "rollback", newest["versionId"], "--yes").code == 1


def test_where_none_was_written_there_is_no_history(world: World, s3rctl: Tool) -> None:
    for version in world.s3.list_object_versions(Bucket=CONTROL)["Versions"]:
        world.s3.delete_object(Bucket=CONTROL, Key=version["Key"], VersionId=version["VersionId"])
    answer = s3rctl("config", "history")
    assert answer.code == 1
    assert "does not exist" in answer.err
    assert s3rctl("config", "history", "--json").json["versions"] == []


def test_a_former_version_is_shown(s3rctl: Tool, file: Path) -> None:
    former = put(s3rctl, file, ONE)
    body = file.read_text()
    put(s3rctl, file, TWO)
    answer = s3rctl("config", "show", "--version-id", former)
    assert answer.code == 0
    assert answer.out.rstrip("\n") == body
    assert former in answer.err
    missing = s3rctl("config", "show", "--version-id", "no-such-version")
    assert missing.code == 1
    assert "config history" in missing.err


def test_a_former_version_is_written_anew(world: World, s3rctl: Tool, file: Path) -> None:
    former = put(s3rctl, file, ONE)
    body = file.read_bytes()
    put(s3rctl, file, TWO)
    before = history(world)
    told = s3rctl("config", "rollback", former, "--yes", "--json")
    assert told.code == 0
    assert told.json["written"] is True
    assert told.json["versionId"] != former
    assert in_force(world) == body
    assert history(world) == before + 1
    again = s3rctl("config", "rollback", former, "--yes", "--json")
    assert (again.code, again.json["written"]) == (0, False)


def test_nothing_is_brought_back_without_yes(world: World, s3rctl: Tool, file: Path) -> None:
    former = put(s3rctl, file, ONE)
    put(s3rctl, file, TWO)
    before = history(world)
    answer = s3rctl("config", "rollback", former)
    assert (answer.code, answer.out) == (0, "")
    for told in (former, f"to-{ONE}", "Nothing is done without --yes"):
        assert told in answer.err
    told = s3rctl("config", "rollback", former, "--json").json
    assert told == {"versionId": former, "written": False}
    assert history(world) == before


@pytest.mark.parametrize("body", [b"no json", json.dumps(document("unknown")).encode()])
def test_a_version_that_cannot_be_used_is_not_brought_back(world: World, s3rctl: Tool, body: bytes) -> None:
    answer = world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=body)
    world.configure(document(ONE))
    before = history(world)
    refused = s3rctl("config", "rollback", answer["VersionId"])
    assert refused.code == 1
    assert f"version {answer['VersionId']}: " in refused.err
    assert history(world) == before


def colliding() -> dict[str, Any]:
    """What a former release let in."""
    both = zip(document(ONE, TWO)["Rules"], COLLIDING, strict=True)
    to_one = {"Destination": {"Bucket": f"arn:aws:s3:::{ONE}"}}
    return {"Rules": [{**rule, **to_one, **more} for rule, more in both]}


def test_rules_that_collide_are_refused_with_two_keys_wherever_they_would_be_put_in_force(
    world: World, s3rctl: Tool, file: Path
) -> None:
    former = world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=json.dumps(colliding()))
    world.configure(document(ONE))
    before = history(world)
    file.write_text(json.dumps(colliding()))
    for refused in (
        s3rctl("config", "validate", str(file)),
        s3rctl("config", "put", str(file)),
        s3rctl("config", "rollback", former["VersionId"], "--yes"),
    ):
        assert refused.code == 1
        for key in MEETING:
            assert repr(key) in refused.err
    assert history(world) == before


def test_rules_in_force_that_collide_are_shown_and_compared_and_said_to_be_refused_now(
    world: World, s3rctl: Tool, file: Path
) -> None:
    world.configure(colliding())
    answer = s3rctl("config", "show")
    assert answer.code == 0
    assert "would both be replicated to 'ab'" in answer.err
    assert "refuse these rules now" in answer.err
    told = s3rctl("config", "show", "--json").json
    assert told["problem"] is None
    assert "'bbb'" in told["warning"]
    assert s3rctl("config", "diff", "current", str(file)).code == 0
    assert s3rctl("config", "explain", f"s3://{SOURCE}/bbb", "--size", "1").code == 0
    assert s3rctl("config", "put", str(file)).code == 0


def test_rules_that_are_too_many_to_compare_are_put_in_force_and_that_is_said(
    s3rctl: Tool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collisions, "MOST_LOOKS", 5)
    file.write_text(json.dumps(colliding()))
    validated = s3rctl("config", "validate", str(file))
    assert validated.code == 0
    assert "DestinationKeyConflict" in validated.err
    assert "too many" in s3rctl("config", "validate", str(file), "--json").json["warning"]
    answer = s3rctl("config", "put", str(file), "--json")
    assert answer.code == 0
    assert "too many" in answer.json["warning"]


def test_a_version_is_brought_back_only_in_the_place_of_the_one_that_was_seen(
    world: World, s3rctl: Tool, file: Path
) -> None:
    former, seen = put(s3rctl, file, ONE), put(s3rctl, file, TWO)
    put(s3rctl, file, ONE, TWO)
    before = in_force(world)
    answer = s3rctl("config", "rollback", former, "--replacing", seen, "--yes")
    assert answer.code == 1
    assert seen in answer.err
    assert in_force(world) == before


def test_a_version_nobody_wrote_is_said_to_be_unknown(world: World, s3rctl: Tool) -> None:
    before = history(world)
    answer = s3rctl("config", "rollback", "no-such-version")
    assert answer.code == 1
    assert "config history" in answer.err
    assert history(world) == before


# -- one reader of the document

PREFIX = "r\u00e9gle \u6587/"
VALID = document(ONE, Filter={"Prefix": PREFIX})
WRITTEN = json.dumps(VALID, indent=2, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_document_in_any_encoding_of_json_is_stored_and_shown_readably(
    world: World, s3rctl: Tool, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(WRITTEN.encode(encoding))
    assert s3rctl("config", "validate", str(file)).code == 0
    assert s3rctl("config", "put", str(file)).code == 0
    assert s3rctl("config", "show").out.rstrip("\n") == WRITTEN
    assert s3rctl("config", "show", "--json").json["document"] == VALID
    # In UTF-8, which every release and every tool reads.
    assert world.s3.get_object(Bucket=CONTROL, Key=OBJECT_KEY)["Body"].read() == WRITTEN.encode()
    world.deliver(world.put(f"{PREFIX}key"))
    assert world.versions(f"{PREFIX}key", ONE) == ["content"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_what_others_have_stored_in_another_encoding_is_shown_and_used(
    world: World, s3rctl: Tool, encoding: str
) -> None:
    world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=WRITTEN.encode(encoding))
    version = s3rctl("config", "history", "--json").json["versions"][0]["versionId"]
    assert s3rctl("config", "show").out.rstrip("\n") == WRITTEN
    assert s3rctl("config", "show", "--json").json["document"] == VALID
    assert s3rctl("config", "diff", "current", version).code == 0
    assert WRITTEN.splitlines()[1].strip() in s3rctl("config", "rollback", version).err
    world.deliver(world.put(f"{PREFIX}key"))
    assert world.versions(f"{PREFIX}key", ONE) == ["content"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (bytes(range(128, 256)), "no text in UTF-8"),
        (WRITTEN.encode("latin-1", "replace"), "no text in UTF-8"),
        (WRITTEN.encode("utf-16")[:-1], "no text in UTF-16"),
        (b"PK\x03\x04", "not JSON"),
        (b"", "not JSON"),
        (WRITTEN.replace("\u6587", "\\ud800").encode(), "half of a character"),
        (WRITTEN.replace('"Priority": 1', '"Priority": NaN').encode(), "NaN is no number"),
    ],
)
def test_what_is_no_text_is_refused_with_a_sentence(
    world: World, s3rctl: Tool, tmp_path: Path, body: bytes, told: str
) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(body)
    for command in ("validate", "put"):
        answer = s3rctl("config", command, str(file))
        assert answer.code == 1
        assert told in answer.err


@pytest.mark.parametrize("more", [{}, {"ResponseMetadata": {"HTTPStatusCode": 200}}])
def test_the_wrapper_of_amazons_own_tools_is_taken_off(
    world: World, s3rctl: Tool, tmp_path: Path, more: dict[str, Any]
) -> None:
    file = tmp_path / "rules.json"
    inner = {"Role": "arn:aws:iam::123456789012:role/replication", **VALID}
    file.write_text(json.dumps({"ReplicationConfiguration": inner, **more}))
    assert s3rctl("config", "validate", str(file)).code == 0
    assert s3rctl("config", "put", str(file)).code == 0
    # A former release does not know the wrapper.
    assert json.loads(world.s3.get_object(Bucket=CONTROL, Key=OBJECT_KEY)["Body"].read()) == inner
    # Where others have stored it, it is read as well.
    world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=file.read_bytes())
    assert s3rctl("config", "show").code == 0
    world.deliver(world.put(f"{PREFIX}key"))
    assert world.versions(f"{PREFIX}key", ONE) == ["content"]


@pytest.mark.parametrize(
    ("member", "field"),
    [
        ({"Filter": {"Prefix": None}}, "Rules[0].Filter.Prefix"),
        ({"Priority": None}, "Rules[0].Priority"),
        ({"Status": None}, "Rules[0].Status"),
        ({"Destination": None}, "Rules[0].Destination"),
        ({"Extensions": {"ObjectSizeLessThanBytes": None}}, "Rules[0].Extensions.ObjectSizeLessThanBytes"),
    ],
)
def test_null_is_named_as_null(s3rctl: Tool, tmp_path: Path, member: dict[str, Any], field: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(document(ONE, **member)))
    told = s3rctl("config", "validate", str(file), "--json").json
    assert told["field"] == field
    assert "null says nothing" in told["problem"]
    assert "shorten" not in told["problem"]


def test_what_is_stored_reaches_no_terminal_as_it_is(world: World, s3rctl: Tool) -> None:
    hidden = "prefix \x7f\x9b31m\u202e\u2066\u00a0"
    written = json.dumps(document(ONE, Filter={"Prefix": hidden}), ensure_ascii=False).replace(",", ",\r\n")
    for body in (written.encode(), b"\x1b]0;title\x07\x1b[2J{\xff", b"\x1b[2J"):
        version = world.s3.put_object(Bucket=CONTROL, Key=OBJECT_KEY, Body=body)["VersionId"]
        for command in (["show"], ["show", "--json"], ["rollback", version], ["diff", "current", version]):
            answer = s3rctl("config", *command)
            assert all(c.isprintable() or c == "\n" for c in answer.out + answer.err), command
        if body == written.encode():
            # And says the same.
            assert json.loads(s3rctl("config", "show").out) == json.loads(written)
