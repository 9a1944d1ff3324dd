"""Bronze intents of bank messages."""

from __future__ import annotations

from typing import Any


def test_intents_in_the_order_of_their_authors(bronze: Any) -> None:
    rows = bronze("banking77_categories", {"categories.json": b'[\n  "card_arrival",\n  "Refund_not_showing_up"\n]'})
    assert [(r.ordinal, r.line, r.intent) for r in rows] == [(0, 2, "card_arrival"), (1, 3, "Refund_not_showing_up")]
