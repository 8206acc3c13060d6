"""The mutants of tests/mutants still fit the code."""

import ast
from collections import Counter

import pytest

from tests.mutants.catalogue import MUTANTS, PACKAGE, Mutant
from tests.mutants.laboratory import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies_and_is_python(mutant: Mutant) -> None:
    """A refactoring that moves the text must move the mutant with it."""
    texts = {edit.file: (ROOT / PACKAGE / edit.file).read_text() for edit in mutant.edits}
    for edit in mutant.edits:
        texts[edit.file] = edit.apply(texts[edit.file])
    for file, text in texts.items():
        ast.parse(text, filename=file)
    assert all((ROOT / file).is_file() for file in mutant.tests)


def test_no_two_mutants_have_a_name_in_common() -> None:
    names = Counter(mutant.name for mutant in MUTANTS)
    assert [name for name, times in names.items() if times > 1] == []
