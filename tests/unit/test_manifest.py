"""Lists of versions that somebody else has made."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3replicator.decisions.manifest import PLAIN, Entry, InvalidManifest, entries, inventory
from s3replicator.decisions.versions import Kind
from tests.unit.strategies import keys

SOURCE = "source-bucket"
COLUMNS = (
    "Bucket",
    "Key",
    "VersionId",
    "IsLatest",
    "IsDeleteMarker",
    "Size",
    "LastModifiedDate",
    "ETag",
    "StorageClass",
)
INVENTORY: dict[str, Any] = {
    "sourceBucket": SOURCE,
    "destinationBucket": "arn:aws:s3:::inventories",
    "fileFormat": "CSV",
    "fileSchema": ", ".join(COLUMNS),
    "files": [{"key": "data/1.csv.gz", "size": 10, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}],
}


def read(text: str, columns: tuple[str, ...] = PLAIN) -> list[Entry]:
    return list(entries(text.splitlines(keepends=True), columns, SOURCE))


@given(keys)
def test_a_key_is_decoded_once(key: str) -> None:
    assert read(f"{SOURCE},{quote(key)},v1\n") == [Entry(key, ids=("v1",))]


def test_a_space_may_be_a_plus() -> None:
    assert read(f"{SOURCE},a+b%2Bc,v1\n") == [Entry("a b+c", ids=("v1",))]


def test_versions_of_one_key_that_follow_each_other_are_one_entry() -> None:
    told = read(f"{SOURCE},a,v1\n{SOURCE},a,v2\n{SOURCE},b,v3\n\n{SOURCE},a,v4\n")
    assert told == [Entry("a", ids=("v1", "v2")), Entry("b", ids=("v3",)), Entry("a", ids=("v4",))]


def test_without_a_version_id_the_current_one_is_meant() -> None:
    assert read(f"{SOURCE},a\n", PLAIN[:2]) == [Entry("a", ids=("",))]
    assert read(f"{SOURCE},a\n{SOURCE},b,\n") == [Entry("a", ids=("",)), Entry("b", ids=("",))]


def test_an_inventory_says_enough_to_judge_a_version() -> None:
    [entry] = read(
        f'"{SOURCE}","a","old","false","false","3","2026-11-22T10:00:00.000Z","e1","STANDARD_IA"\n'
        f'"{SOURCE}","a","marker","true","true","","2026-11-22T10:00:00.000Z","",""\n',
        COLUMNS,
    )
    assert [(one.version_id, one.kind, one.latest) for one in entry.versions] == [
        ("marker", Kind.MARKER, True),
        ("old", Kind.OBJECT, False),
    ]
    assert (entry.versions[1].size, entry.versions[1].storage_class) == (3, "STANDARD_IA")
    assert entry.versions[1].etag == '"e1"'


def test_a_null_version_of_an_inventory_has_its_name() -> None:
    [entry] = read(f"{SOURCE},a,,true,false,3,2026-11-22T10:00:00.000Z,e1,STANDARD\n", COLUMNS)
    assert entry.versions[0].version_id == "null@1795341600-e1"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("elsewhere,a,v1", "line 1 is of the bucket 'elsewhere'"),
        (f"{SOURCE},a,v1,more", "line 1 has 4 columns, not Bucket, Key, VersionId"),
        (SOURCE, "line 1 has 1 columns"),
        ("Bucket,Key", "leave the names of the columns out"),
        (f"{SOURCE},,v1", "line 1 has the key ''; it must be URL-encoded UTF-8"),
        (f"{SOURCE},%ff,v1", "line 1 has the key '%ff'"),
    ],
)
def test_a_line_that_cannot_be_meant(line: str, problem: str) -> None:
    with pytest.raises(InvalidManifest, match=problem):
        read(line + "\n")


def test_a_line_that_is_no_csv() -> None:
    with pytest.raises(InvalidManifest, match="line 2 is no CSV"):
        list(entries([f"{SOURCE},a\n", f"{SOURCE},a\r{SOURCE},b\n"], PLAIN, SOURCE))


@pytest.mark.parametrize("lines", [3, 20_000])
@pytest.mark.parametrize("before", [0, 2])
def test_a_quotation_that_is_not_closed_is_named_by_its_line(before: int, lines: int) -> None:
    good = f"{SOURCE},a%20longer%20key,v1\n"
    text = good * before + f'{SOURCE},"a,v1\n' + good * lines
    for columns in (PLAIN, PLAIN[:2]) if not before else (PLAIN,):
        with pytest.raises(InvalidManifest, match=f"^line {before + 1} has a quotation that does not end"):
            read(text, columns)
    with pytest.raises(InvalidManifest, match=f"^line {before + 1} has a quotation that does not end"):
        read(text + f'{SOURCE},b",v1\n')


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f'{SOURCE},"a"b,v1', "line 1 is no CSV"),
        (f'{SOURCE},"a\nb",v1', "line 1 has a quotation that does not end on it"),
        (f"{SOURCE},100%,v1", "line 1 has the key '100%'; it must be URL-encoded UTF-8, with %25"),
        (f"{SOURCE},a%2,v1", "it must be URL-encoded"),
        (f"{SOURCE},a%zz,v1", "it must be URL-encoded"),
        (f"{SOURCE},a, v1", "line 1 has the version id ' v1', which is none of S3's"),
        (f"{SOURCE},a,v\u00e9", "which is none of S3's"),
        (f"{SOURCE},a,{'v' * 1025}", "which is none of S3's"),
        (f"{SOURCE},{'a' * 5000},v1,more", r"'source-bucket,aaa[a]*\.\.\.'$"),
    ],
)
def test_what_csv_and_url_encoding_would_let_pass_is_refused(line: str, problem: str) -> None:
    with pytest.raises(InvalidManifest, match=problem):
        read(line + "\n")


@pytest.mark.parametrize(
    "facts",
    [
        "TRUE,false,3,2026-11-22T10:00:00.000Z,e1,STANDARD",
        "true,,3,2026-11-22T10:00:00.000Z,e1,STANDARD",
        "true,false,-3,2026-11-22T10:00:00.000Z,e1,STANDARD",
        "true,false,1_000,2026-11-22T10:00:00.000Z,e1,STANDARD",
        "true,false,3,1926-11-22T10:00:00.000Z,e1,STANDARD",
        "true,false,3,2026-11-22T10:00:00.000Z,e1",
    ],
)
def test_an_inventory_is_not_guessed_at(facts: str) -> None:
    with pytest.raises(InvalidManifest, match="line 1: what is said of the key 'a' cannot be read"):
        read(f"{SOURCE},a,v1,{facts}\n", COLUMNS)


def test_an_inventory_without_facts_means_the_null_version_where_it_names_none() -> None:
    columns = ("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker")
    told = read(f"{SOURCE},a,v1,true,false\n{SOURCE},a,,false,false\n", columns)
    assert told == [Entry("a", ids=("v1", "null"))]


@pytest.mark.parametrize("rest", ["3,soon", "much,2026-11-22T10:00:00.000Z", "3"])
def test_an_inventory_that_says_what_cannot_be_read(rest: str) -> None:
    with pytest.raises(InvalidManifest, match="what is said of the key 'a'"):
        read(f"{SOURCE},a,v1,true,false,{rest}\n", COLUMNS)


def test_an_inventory_names_its_files_and_columns() -> None:
    found = inventory(INVENTORY, SOURCE)
    assert found.bucket == "inventories"
    assert found.columns == COLUMNS
    assert found.files == (("data/1.csv.gz", "f11166069f1990abeb9c97ace9cdfabc"),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sourceBucket": "elsewhere"}, "of 'elsewhere'; the stack replicates from 'source-bucket'"),
        ({"fileFormat": "ORC"}, "format is ORC; only CSV"),
        ({"fileSchema": "Key, Size"}, "Bucket and Key must be among them"),
        ({"files": None}, "no manifest.json of an S3 Inventory"),
        ({"files": [{"key": 5, "MD5checksum": ""}]}, "has the key 5, which is none"),
        ({"destinationBucket": "inventories"}, "it must be the ARN of a bucket"),
        ({"destinationBucket": ["arn:aws:s3:::a"]}, "it must be the ARN of a bucket"),
        ({"fileSchema": "Bucket, Key, Size, Size"}, "the column Size is there twice"),
    ],
)
def test_an_inventory_that_cannot_be_read(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidManifest, match=problem):
        inventory(INVENTORY | change, SOURCE)


@given(st.dictionaries(st.text(), st.text()))
def test_what_is_no_inventory_is_refused(document: dict[str, str]) -> None:
    with pytest.raises(InvalidManifest):
        inventory(document, SOURCE)
