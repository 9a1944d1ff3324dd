"""Frames of different sources under one shape."""

from __future__ import annotations

import pytest

from lake.columns.shape import shared

pytestmark = pytest.mark.timeout(300)


def test_a_column_is_cast_where_it_is_and_null_where_it_is_not(spark):
    frame = spark.createDataFrame([(1, "x")], "stars int, extra string")
    wanted = frame.select(*shared(frame, [("stars", "double"), ("split", "string")]))
    assert wanted.dtypes == [("stars", "double"), ("split", "string")]
    assert [tuple(r) for r in wanted.collect()] == [(1.0, None)]
