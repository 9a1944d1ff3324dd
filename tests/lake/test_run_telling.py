"""What a pass tells the driver of some of its rows is all of them, or nothing: never a part that is taken for the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

from lake.run import telling
from lake.run.telling import TELLINGS, some_told, told_by


def told(spark: SparkSession, texts: list[str | None], bad: set[int], tasks: int = 2) -> tuple[Observation, int]:
    rows = spark.createDataFrame(list(enumerate(texts)), "id bigint, text string").repartition(2)
    tells, text = Observation("told"), F.col("id").cast("string")
    columns = [text.alias("row_id"), F.array(F.lit("a"), text).alias("reasons"), F.col("text").alias("row")]
    number = rows.observe(tells, *telling.telling(columns, F.col("id").isin(sorted(bad)), tasks)).count()
    assert number == len(texts)
    return tells, len(bad)


def as_rows(table: Any) -> list[tuple[str, list[str], str | None]]:
    return sorted((r["row_id"], r["reasons"], r["row"]) for r in table.to_pylist())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.one_of(st.none(), st.sampled_from([0, 3, 9, 11, 60])), min_size=1, max_size=8),
    bad=st.sets(st.integers(0, 7), min_size=1),
    by_py4j=st.booleans(),
)
def test_all_of_the_rows_are_told_or_none(
    spark: SparkSession, sizes: list[int | None], bad: set[int], by_py4j: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (3 if by_py4j else 0, 40), (6, 10)
    monkeypatch.setattr(telling, "TELLINGS", tuple(replace(t, rows=n, bytes=b) for t, (n, b) in zip(TELLINGS, (few, many), strict=True)))
    texts, bad = [None if n is None else "é" * (n // 2) + "x" * (n % 2) for n in sizes], {n for n in bad if n < len(sizes)}
    if not bad:
        return
    tells, number = told(spark, texts, bad)
    expected = sorted((str(n), ["a", str(n)], texts[n]) for n in bad)
    largest = max(len((texts[n] or "").encode()) for n in bad)
    found = told_by(spark, tells, number)
    fits = (number <= max(1, few[0]) and largest <= few[1]) or (number <= many[0] and largest <= many[1])
    assert (found is not None) == fits
    if found is not None:
        assert as_rows(found) == expected
    assert set(map(str, as_rows(some_told(spark, tells)))) <= set(map(str, expected))


def test_all_tasks_together_tell_no_more_than_a_driver_takes(spark: SparkSession) -> None:
    tells, number = told(spark, ["x" * 100] * 9, set(range(9)), tasks=10**6)  # each may tell one row
    assert told_by(spark, tells, number) is None and some_told(spark, tells).num_rows == 1
    assert sum(t.of_all for t in TELLINGS) <= 2**29


def test_100_000_small_rows_are_told_and_one_more_is_not(spark: SparkSession) -> None:
    for number, is_told in ((100_000, True), (100_001, False)):
        tells = Observation("told")
        spark.range(number).observe(
            tells, *telling.telling([F.col("id").cast("string").alias("row_id"), F.lit("a text").alias("row")], F.lit(True), 4)
        ).count()
        found = told_by(spark, tells, number)
        assert (found is not None) == is_told
        if found is not None:
            assert {int(n) for n in found.column("row_id").to_pylist()} == set(range(number))
