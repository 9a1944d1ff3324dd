"""Bronze sentences with sentiment."""

from __future__ import annotations

from typing import Any


def test_labels_and_next_line_marks(bronze: Any) -> None:
    rows = bronze("sentiment_sentences", {"imdb_labelled.txt": "Not\x85good.  \t0\nGreat\t1\n".encode()})
    assert [(r.sentiment, r.text, r.site) for r in rows] == [
        ("negative", "Not\x85good.  ", "imdb"),
        ("positive", "Great", "imdb"),
    ]
