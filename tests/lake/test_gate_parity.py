"""Our gate and stock Great Expectations say the same of the same rows, rule by rule: every type of expectation, on random suites."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lake.gate import gx
from tests.parity.judged import compare
from tests.parity.suites import TYPES, rows, rule

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
SUITES = 20
COMPARED_BY_THE_CONTRACT = ("expect_column_to_exist", "expect_table_column")


def test_every_type_that_runs_on_spark_is_compared() -> None:
    assert [t for t in gx.types() if t not in TYPES and not t.startswith(COMPARED_BY_THE_CONTRACT)] == []


@pytest.mark.parametrize("seed", range(1, SUITES + 1))
def test_a_random_suite_is_judged_as_stock_gx_judges_it(seed: int, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_PROJECT", str(tmp_path))
    found = compare(spark, tmp_path, seed, rules=5)
    assert [one for one in found if not one.same] == []


def test_a_seed_gives_the_same_rows_and_rules() -> None:
    def drawn(seed: int) -> str:
        return repr((rows(random.Random(seed)), [rule(t, random.Random(seed)) for t in TYPES]))

    assert drawn(3) == drawn(3) != drawn(4)
