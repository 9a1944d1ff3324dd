"""Ids and splits by hash."""

from __future__ import annotations

import hashlib

import pytest
from pyspark.sql import functions as F

from lake.columns.hashing import hashed, percentile, split_of

pytestmark = pytest.mark.timeout(300)


def test_an_id_is_the_sha256_of_its_parts_in_utf8(spark):
    row = (
        spark.createDataFrame([("kafka", "日志", None)], "a string, b string, c string")
        .select(hashed(F.col("a"), F.col("b")), hashed(F.col("a"), F.col("c")))
        .first()
    )
    assert tuple(row) == (hashlib.sha256("kafka\x1f日志".encode()).hexdigest()[:32], None)


def test_splits_hold_their_shares_and_texts_keep_theirs_whatever_stands_beside_them(spark):
    ids = spark.range(20_000).select(hashed(F.col("id").cast("string")).alias("id"))
    own = F.lit(None).cast("string")
    shares = {(r[0], r[1]): r[2] for r in ids.groupBy(split_of(own, F.col("id")), split_of(F.lit("train"), F.col("id"))).count().collect()}
    assert set(shares) == {("train", "train"), ("test", "train"), ("validation", "validation")}
    assert all(
        abs(shares[k] / 20_000 - share) < 0.01
        for k, share in {("train", "train"): 0.8, ("test", "train"): 0.1, ("validation", "validation"): 0.1}.items()
    )
    assert ids.select(F.min(percentile(F.col("id"))), F.max(percentile(F.col("id")))).first() == (0, 99)
