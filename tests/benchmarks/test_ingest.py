"""The benchmark of ingestion: its three ways give the same rows, and its verdict is the one that its figures bear."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from benchmarks.ingest import WAYS, Measured, side_by_side, verdicts
from lake.settings import project_root


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in; the roots of its lakes are forgotten at the end."""
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "first"))
    return tmp_path


def test_bare_spark_millrace_and_millrace_without_its_ledger_give_the_same_rows(elsewhere: Path, spark: SparkSession) -> None:
    said = list[str]()
    found = side_by_side(spark, project_root() / "samples" / "raw", elsewhere, [1], 1, ["banking77"], WAYS, said.append)
    assert {m.way: (m.files, m.rows, len(m.seconds), len(m.phases)) for m in found} == dict.fromkeys(WAYS, (2, 545, 1, 1))
    assert len(said) == 6 and all("(not timed)" in line for line in said[:3])


@pytest.mark.parametrize(
    "size, lake, bare, without, told",
    [
        (10, 5.0, 2.0, 4.5, ("2.50", "+11%", "yes")),
        (10, 5.2, 2.0, 4.5, ("2.60", "+16%", "no")),
        (10, 2.5, 2.0, 2.0, ("1.25", "+25%", "no")),
        (1, 3.0, 1.0, 3.0, ("3.00", "+0%", "no: fixed costs")),
    ],
)
def test_a_size_holds_where_the_whole_and_the_ledger_keep_their_marks(
    size: int, lake: float, bare: float, without: float, told: tuple[str, ...]
) -> None:
    measured = [Measured("access", size, way, seconds=[s]) for way, s in (("lake", lake), ("bare", bare), ("without", without))]
    ((*_, beside, _, _, ledger, _, holds),) = verdicts(measured)
    assert (beside, ledger, holds) == told
