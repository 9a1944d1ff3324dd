"""Time columns, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from lake.columns.time import FIRST, LAST, day, hour, month, readable, since_1970

pytestmark = pytest.mark.timeout(300)


def test_day_month_and_hour_are_those_of_utc(spark):
    frame = spark.sql("select timestamp'2016-12-31 23:59:59.999 UTC' as t")
    assert tuple(frame.select(day(F.col("t")), month(F.col("t")), hour(F.col("t")).cast("string")).first()) == (
        date(2016, 12, 31),
        date(2016, 12, 1),
        "2016-12-31 23:00:00",
    )


def test_a_time_of_a_year_that_readers_do_not_hold_is_null(spark):
    years = spark.createDataFrame([(0,), (1,), (2026,), (9999,), (10_000,), (20_260,)], "y int")
    time = readable(F.try_make_timestamp("y", F.lit(3), F.lit(10), F.lit(0), F.lit(0), F.lit(0), F.lit("UTC")))
    assert [r.t for r in years.select(F.date_format(time, "yyyy").alias("t")).collect()] == [None, "0001", "2026", "9999", None, None]


SECONDS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(FIRST - 3, FIRST + 3), st.integers(LAST - 3, LAST + 3), st.integers(0, 2**32))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(SECONDS, st.integers(0, 999_999)), min_size=1, max_size=50))
def test_no_number_of_seconds_ends_the_job_and_each_that_python_holds_is_its_time(spark, rows):
    found = spark.createDataFrame(rows, "s bigint, m bigint").select(F.unix_micros(since_1970(F.col("s"), F.col("m"))).alias("t"), "s", "m")
    for row in found.collect():
        assert row.t == (row.s * 1_000_000 + row.m if FIRST <= row.s <= LAST else None)
    assert (datetime.fromtimestamp(LAST, UTC).year, datetime.fromtimestamp(FIRST, UTC).year) == (9999, 1)
