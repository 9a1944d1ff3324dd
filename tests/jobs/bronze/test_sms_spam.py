"""Bronze text messages."""

from __future__ import annotations

from typing import Any


def test_quotes_are_text(bronze: Any) -> None:
    rows = bronze("sms_spam", {"sms.tsv": b'ham\t"Ok lar\nspam\tFree "entry\n'})
    assert [(r.spam, r.text, r.split) for r in rows] == [("ham", '"Ok lar', None), ("spam", 'Free "entry', None)]
