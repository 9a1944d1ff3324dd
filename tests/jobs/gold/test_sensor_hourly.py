"""gold.sensor_hourly: mean, extremes, holes and repeats an hour."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

pytestmark = pytest.mark.timeout(300)

DDL = (
    "row_id string, source string, sensor string, metric string, time timestamp, month date, value double, unit string, repeat int, after_gap boolean"
)


def reading(minute, value, *, repeat=0, gap=False):
    return (
        f"r{minute}",
        "nab",
        "nab/a",
        "value",
        datetime(2014, 1, 1, 10, minute, tzinfo=UTC),
        date(2014, 1, 1),
        value,
        "degC",
        repeat,
        gap,
    )


def test_an_hour_has_its_mean_extremes_holes_and_repeats(spark, build, shape):
    hours = build(spark.createDataFrame([reading(0, 1.0, gap=None), reading(30, 2.0, gap=True), reading(30, 6.0, repeat=1)], DDL))
    assert hours.dtypes == shape
    [row] = hours.collect()
    assert (row.readings, row.mean, row.minimum, row.maximum, row.gaps, row.repeats) == (3, 3.0, 1.0, 6.0, 1, 1)


def test_the_mean_is_the_same_to_the_last_bit_in_whatever_order_readings_come(spark, build):
    readings = [reading(n, v) for n, v in enumerate([1e16, 1.0, -1e16, 0.1, 0.7, 3.3])]
    means = {
        build(spark.createDataFrame(order, DDL).repartition(n)).first().mean
        for n, order in ((1, readings), (3, readings[::-1]), (2, sorted(readings, key=str)))
    }
    assert len(means) == 1


def test_rounding_never_takes_the_mean_out_of_its_extremes(spark, build):
    row = build(spark.createDataFrame([reading(n, 0.1) for n in range(3)], DDL)).first()
    assert row.minimum <= row.mean <= row.maximum
