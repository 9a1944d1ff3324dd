"""silver.sensor_readings: long form, with repeats and holes marked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lake.contract import Contract

pytestmark = pytest.mark.timeout(300)

JOB_READS = ("bronze.nab", "bronze.air_quality_it", "bronze.beijing_air", "bronze.occupancy")
MIDNIGHT = datetime(2014, 1, 1, tzinfo=UTC)


@pytest.fixture
def built(spark, build):
    """The readings made of NAB rows (sensor, time, value) and of air_quality_it rows (time, {metric: value})."""

    def frame(address, rows):
        contract = Contract.load(address)
        ddl = ", ".join(f"{c.name} {c.type}" for c in contract.columns)
        names = [c.name for c in contract.columns]
        return spark.createDataFrame([tuple(r.get(n) for n in names) for r in rows], ddl)

    def make(nab=(), air=()):
        def origin(n, sensor, time):
            return {
                "row_id": f"{sensor}#{n}",
                "file": "f.csv",
                "ordinal": n,
                "sensor": sensor,
                "time": time,
                "month": date(time.year, time.month, 1),
            }

        given = {
            "bronze.nab": [origin(n, s, t) | {"value": v} for n, (s, t, v) in enumerate(nab)],
            "bronze.air_quality_it": [origin(n, "air_quality_it/station", t) | m for n, (t, m) in enumerate(air)],
        }
        return build(*[frame(a, given.get(a, [])) for a in JOB_READS])

    return make


def minutes(*at):
    return [MIDNIGHT + timedelta(minutes=m) for m in at]


def test_each_metric_of_a_wide_row_is_a_reading_and_a_missing_one_is_none(built, shape):
    rows = built(
        air=[
            (MIDNIGHT, {"temperature": 13.6, "humidity": 48.9}),
            (MIDNIGHT + timedelta(hours=1), {"temperature": 13.3}),
        ]
    )
    assert rows.dtypes == shape
    assert sorted((r.metric, r.value, r.unit, r.source) for r in rows.collect()) == [
        ("humidity", 48.9, "%", "air_quality_it"),
        ("temperature", 13.3, "degC", "air_quality_it"),
        ("temperature", 13.6, "degC", "air_quality_it"),
    ]


def test_the_first_reading_after_a_hole_is_marked_and_no_row_is_invented(built):
    rows = built(nab=[("nab/a", t, 1.0) for t in minutes(0, 5, 10, 15, 40, 45)]).orderBy("time").collect()
    assert [r.after_gap for r in rows] == [None, False, False, False, True, False]


def test_a_step_of_one_and_a_half_is_no_hole_yet(built):
    rows = (
        built(nab=[("nab/a", t, 1.0) for t in [*minutes(0, 10, 20, 30, 45), MIDNIGHT + timedelta(minutes=60, microseconds=1)]])
        .orderBy("time")
        .collect()
    )
    assert [r.after_gap for r in rows] == [None, False, False, False, False, True]


def test_readings_of_one_time_are_numbered_in_file_order_and_are_no_hole(built):
    rows = built(nab=[("nab/a", t, v) for t, v in zip(minutes(0, 5, 5, 10), (1.0, 2.0, 9.0, 3.0), strict=True)]).orderBy("time", "repeat").collect()
    assert [(r.value, r.repeat, r.after_gap) for r in rows] == [
        (1.0, 0, None),
        (2.0, 0, False),
        (9.0, 1, False),
        (3.0, 0, False),
    ]


def test_a_month_comes_out_the_same_whether_or_not_older_months_are_at_hand(built):
    old = [("nab/a", MIDNIGHT - timedelta(days=400) + timedelta(minutes=m), 0.0) for m in range(50)]
    past = [("nab/a", MIDNIGHT - timedelta(days=2) + timedelta(hours=6 * h), 0.0) for h in range(8)]
    now = [("nab/a", MIDNIGHT + timedelta(hours=h), 0.0) for h in (0, 1, 2, 9)]

    def january(rows):
        return [(r.time, r.after_gap) for r in built(nab=rows).where("month = '2014-01-01'").orderBy("time").collect()]

    assert january(old + past + now) == january(past + now)
    assert [gap for _, gap in january(past + now)] == [
        False,
        False,
        False,
        False,
    ]  # the usual step is the six hours of December


def test_a_reading_older_than_the_look_back_counts_as_none(built):
    rows = built(
        nab=[
            ("nab/a", datetime(2013, 11, 30, 23, 59, tzinfo=UTC), 0.0),
            ("nab/a", MIDNIGHT, 0.0),
            ("nab/b", datetime(2013, 12, 1, tzinfo=UTC), 0.0),
            ("nab/b", MIDNIGHT, 0.0),
        ]
    )
    assert {r.sensor: r.after_gap for r in rows.where("month = '2014-01-01'").collect()} == {
        "nab/a": None,
        "nab/b": False,
    }
