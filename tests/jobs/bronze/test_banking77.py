"""Bronze messages of bank customers."""

from __future__ import annotations

from typing import Any


def test_split_is_the_files_name(bronze: Any) -> None:
    data = b'text,category\r\n"Where is\r\nmy card?",card_arrival\r\n'
    rows = bronze("banking77", {"train.csv": data, "test.csv": data, "more.csv": data})
    assert [(r.split, r.text, r.intent) for r in rows] == [(s, "Where is\r\nmy card?", "card_arrival") for s in (None, "test", "train")]
