"""gold.log_hourly: events and stack traces an hour."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import functions as F

pytestmark = pytest.mark.timeout(300)


def test_events_and_stack_traces_are_counted_by_component_level_and_hour(spark, build, shape):
    day = date(2016, 12, 19)
    events = spark.createDataFrame(
        [
            (
                "1",
                "kafka",
                "kafka0",
                datetime(2016, 12, 19, 16, 0, tzinfo=UTC),
                day,
                "ERROR",
                "controller",
                "m",
                "trace",
            ),
            (
                "2",
                "kafka",
                "kafka0",
                datetime(2016, 12, 19, 16, 59, 59, tzinfo=UTC),
                day,
                "ERROR",
                "controller",
                "m",
                None,
            ),
            ("3", "kafka", "kafka0", datetime(2016, 12, 19, 17, 0, tzinfo=UTC), day, "ERROR", "controller", "m", None),
            ("4", "kafka", "kafka0", datetime(2016, 12, 19, 17, 0, tzinfo=UTC), day, "INFO", "controller", "m", None),
        ],
        "row_id string, source string, host string, time timestamp, date date, level string, component string, message string, exception string",
    )
    hours = build(events)
    assert hours.dtypes == shape
    assert sorted((r.level, r.at, r.events, r.exceptions) for r in hours.select("*", F.hour("hour").alias("at")).collect()) == [
        ("ERROR", 16, 2, 1),
        ("ERROR", 17, 1, 0),
        ("INFO", 17, 1, 0),
    ]
