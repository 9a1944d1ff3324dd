"""Sensor columns: the mean that is the same in every run."""

from __future__ import annotations

import math
import random

import pytest
from pyspark.sql import functions as F

from lake.columns.sensors import same_mean, seconds_between

pytestmark = pytest.mark.timeout(300)


def test_a_mean_is_right_and_the_same_for_every_order(spark):
    seeded = random.Random(7)
    lists = [[seeded.uniform(-1e6, 1e6) for _ in range(seeded.randint(1, 9))] for _ in range(200)]
    rows = [(n, seeded.sample(values, len(values))) for n, values in enumerate(lists) for _ in range(3)]
    means = spark.createDataFrame(rows, "n int, v array<double>").groupBy("n").agg(F.collect_set(same_mean(F.col("v"))).alias("means")).collect()
    for row in means:
        assert len(row.means) == 1
        assert math.isclose(row.means[0], math.fsum(lists[row.n]) / len(lists[row.n]), rel_tol=1e-9, abs_tol=1e-6)
        assert min(lists[row.n]) <= row.means[0] <= max(lists[row.n])


def test_seconds_are_exact_to_the_microsecond(spark):
    frame = spark.sql("select timestamp'2014-01-01 00:00:00.000001' as a, timestamp'2014-01-01 00:05:00.25' as b")
    assert frame.select(seconds_between(F.col("a"), F.col("b"))).first()[0] == 300.249999
