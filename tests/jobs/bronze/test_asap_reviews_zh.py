"""Bronze restaurant reviews in Chinese."""

from __future__ import annotations

from typing import Any

from lake.contract import Contract


def test_byte_order_mark_stars_and_aspects(bronze: Any) -> None:
    names = [c.name for c in Contract.load("raw.asap_reviews_zh").columns]
    data = ("\ufeff" + ",".join(names) + "\n28729,好吃，很近,5.0," + ",".join(["-2"] * 18) + "\n").encode()
    rows = bronze("asap_reviews_zh", {"train_sample.csv": data, "dev_sample.csv": data})
    assert [(r.split, r.stars, r.review, r.dish_taste) for r in rows] == [
        (None, 5.0, 28729, -2),
        ("train", 5.0, 28729, -2),
    ]
    assert rows[0].text == "好吃，很近"
