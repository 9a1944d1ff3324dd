"""Bronze sentences of WNUT-17."""

from __future__ import annotations

from typing import Any


def test_words_entities_and_the_split_of_a_file(bronze: Any) -> None:
    data = b"Eve\tB-person\nLee\tI-person\nhums\tO\n\t\nlol\tO\n\n\nno tag\n"
    rows = bronze("wnut17", {"emerging.dev.conll": data, "emerging.test.annotated": b"a\tO\n", "other.conll": b"", "wnut17train.conll": b"b\tO\n"})
    assert [(r.split, r.line, r.text, r.tokens, r.tags) for r in rows] == [
        ("validation", 1, "Eve Lee hums", ["Eve", "Lee", "hums"], ["B-person", "I-person", "O"]),
        ("validation", 5, "lol", ["lol"], ["O"]),
        ("test", 1, "a", ["a"], ["O"]),
        ("train", 1, "b", ["b"], ["O"]),
    ]
