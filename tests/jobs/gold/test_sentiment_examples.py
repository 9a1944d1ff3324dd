"""gold.sentiment_examples: labels out of words and out of stars."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.timeout(300)

DDL = "text_id string, source string, language string, text string, folded_id string, split string, intent string, sentiment string, stars double"


def test_the_sources_label_counts_else_the_stars_and_three_stars_say_neither(spark, build, shape):
    given = [
        ("a", "positive", None),
        ("b", "negative", None),
        ("c", None, 5.0),
        ("d", None, 4.0),
        ("e", None, 3.0),
        ("f", None, 2.0),
        ("g", None, 1.0),
        ("h", None, None),
    ]
    texts = spark.createDataFrame(
        [(i, "s", "zh", f"文 {i}", f"0000000{n}", None, None, label, stars) for n, (i, label, stars) in enumerate(given)],
        DDL,
    )
    rows = build(texts)
    assert rows.dtypes == shape
    assert {r.example_id: r.label for r in rows.collect()} == {
        "a": "positive",
        "b": "negative",
        "c": "positive",
        "d": "positive",
        "f": "negative",
        "g": "negative",
    }
