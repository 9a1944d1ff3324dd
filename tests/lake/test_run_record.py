"""What a run records: the contract identity covers how its raw files were read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.contract import Contract
from lake.run.record import contract_hash
from tests.lake.project import write, write_project


def test_a_mended_raw_contract_is_another_contract_of_the_table_that_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_project(tmp_path / "project")
    monkeypatch.setenv("LAKE_PROJECT", str(project))

    def bronze() -> str:
        return contract_hash(Contract.load("bronze.readings"), ["raw.readings"])

    silver = Contract.load("silver.readings")
    before = bronze()
    raw = project / "schemas" / "raw" / "readings.yaml"
    write(raw, raw.read_text() + "# a comment is no change\n")
    assert bronze() == before
    write(raw, raw.read_text().replace("yyyy-MM-dd", "dd.MM.yyyy"))
    assert bronze() != before
    assert contract_hash(silver, ["bronze.readings"]) == silver.hash  # what a table holds is its own contract's matter
