"""Training examples: no text in two splits, whatever the texts."""

from __future__ import annotations

import random

import pytest
from pyspark.sql import functions as F

from lake.columns.examples import examples
from lake.columns.hashing import hashed

pytestmark = pytest.mark.timeout(300)


def test_no_folded_text_stands_in_two_splits_and_none_is_lost_wholly(spark):
    seeded = random.Random(7)
    rows = [(f"t{n:04}", "s", "en", f"text {seeded.randrange(150)}", seeded.choice(["train", "test", None]), "x") for n in range(400)]
    frame = spark.createDataFrame(rows, "text_id string, source string, language string, text string, split string, label string")
    made = examples(frame.withColumn("folded_id", hashed(F.col("text"))), F.col("label")).select("example_id", "text", "split").collect()

    splits = {}
    for row in made:
        splits.setdefault(row.text, set()).add(row.split)
    assert all(len(s) == 1 for s in splits.values())
    assert set(splits) == {text for _, _, _, text, _, _ in rows}
    own_test = {i for i, _, _, _, split, _ in rows if split == "test"}
    assert own_test <= {r.example_id for r in made}
    others = [r.text for r in made if r.example_id not in own_test]
    assert len(others) == len(set(others))
