"""Bronze messages of Weibo."""

from __future__ import annotations

from typing import Any


def test_characters_without_their_places(bronze: Any) -> None:
    data = "东0\tB-GPE.NAM\n港1\tI-GPE.NAM\n700\tO\n\ufffd\ufffd0\tO\n\n好0\tO\n".encode()
    rows = bronze("weibo_ner", {"weiboNER_2nd_conll.dev": data, "weiboNER_2nd_conll.train": data[:14]})
    assert [(r.split, r.text, r.tokens, r.places, r.tags) for r in rows] == [
        ("validation", "东港70\ufffd\ufffd", ["东", "港", "70", "\ufffd\ufffd"], [0, 1, 0, 0], ["B-GPE.NAM", "I-GPE.NAM", "O", "O"]),
        ("validation", "好", ["好"], [0], ["O"]),
        ("train", "东", ["东"], [0], ["B-GPE.NAM"]),
    ]
