"""A bucket's own configuration is taken over whole, or what is not is named."""

from collections.abc import Mapping
from typing import Any

from s3replicator.decisions.configuration import InvalidConfiguration
from s3replicator.decisions.native_replication import take_over

ROLE = "arn:aws:iam::123456789012:role/replication"


def native(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"Role": ROLE, "Rules": [{"ID": f"rule-{n}", **rule} for n, rule in enumerate(rules)]}


def refusing(*names: str) -> Any:
    """A check that refuses rules with these members; "document": one that cannot be used at all."""

    def check(document: Mapping[str, Any]) -> None:
        if "document" in names:
            raise InvalidConfiguration("InvalidRequest", "", "too much")
        for index, rule in enumerate(document["Rules"]):
            for name in names:
                if name in rule:
                    raise InvalidConfiguration("InvalidArgument", f"Rules[{index}].{name}", "is unknown")

    return check


def test_what_can_be_used_is_taken_as_it_is() -> None:
    document = native({"Priority": 1}, {"Priority": 2})
    taken = take_over(document, refusing())
    assert (taken.document, taken.remarks, taken.complete) == (document, (), True)


def test_what_is_about_objects_that_are_there_is_a_backfill() -> None:
    document = native({}, {"ExistingObjectReplication": {"Status": "Enabled"}})
    taken = take_over(document, refusing("ExistingObjectReplication"))
    assert taken.document == native({}, {})
    [remark] = taken.remarks
    assert remark.field == "Rules[1].ExistingObjectReplication"
    assert "s3rctl backfill start" in remark.problem
    assert taken.complete


def test_a_rule_that_cannot_be_used_is_left_out_as_a_whole_and_named_by_its_old_place() -> None:
    taken = take_over(native({"New": 1}, {}, {"New": 2}, {"Newer": 3}), refusing("New", "Newer"))
    assert taken.document == {"Role": ROLE, "Rules": [{"ID": "rule-1"}]}
    assert [remark.field for remark in taken.remarks] == ["Rules[0].New", "Rules[2].New", "Rules[3].Newer"]
    assert "is unknown. The rule is left out" in taken.remarks[0].problem
    assert not taken.complete


def test_nothing_may_be_left() -> None:
    for taken in (
        take_over(native({"New": 1}), refusing("New")),
        take_over(native({}), refusing("document")),
    ):
        assert (taken.document, taken.complete, len(taken.remarks)) == (None, False, 1)
