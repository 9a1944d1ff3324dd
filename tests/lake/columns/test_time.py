"""Time columns, in UTC."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import functions as F

from lake.columns.time import day, hour, month

pytestmark = pytest.mark.timeout(300)


def test_day_month_and_hour_are_those_of_utc(spark):
    frame = spark.sql("select timestamp'2016-12-31 23:59:59.999 UTC' as t")
    assert tuple(frame.select(day(F.col("t")), month(F.col("t")), hour(F.col("t")).cast("string")).first()) == (
        date(2016, 12, 31),
        date(2016, 12, 1),
        "2016-12-31 23:00:00",
    )
