"""A few of the spoiled messages and documents of fuzz.py, which tries as many as it is told."""

import pytest

from s3replicator.usecases.batch import Batch
from tests.unit import fuzz


def test_no_message_surprises_a_worker_and_none_keeps_a_version_from_its_place() -> None:
    found = fuzz.messages(300)
    assert found.surprises == []
    assert found.tried == 300
    assert {"Replicated", "Parked", "NotSelected", "SentToLargeLane"} <= set(found.ended)


def test_every_document_is_read_or_refused() -> None:
    found = fuzz.documents(1000)
    assert found.surprises == []
    kinds = ("configuration", "job", "manifest", "inventory")
    assert set(found.ended) == {f"{kind} {end}" for kind in kinds for end in ("read", "refused")}


def test_a_surprise_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def surprised(*_: object) -> None:
        raise KeyError("nobody has thought of this")

    monkeypatch.setattr(Batch, "_route", surprised)
    monkeypatch.setattr(fuzz, "parse_job", surprised)
    assert fuzz.main(["--messages", "20", "--documents", "4"]) == 1
    told = capsys.readouterr().out
    assert " messages, 1 surprises" in told
    assert "4 documents, 1 surprises" in told
    assert "nobody has thought of this" in told
