"""What a page may show: nothing of a person, no key, no control character."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from lake.report.masks import MOST_CHARACTERS, masked, shown_bytes, shown_row, shown_text, without


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("write to bob.smith@mail.example.com now", "write to [EMAIL] now"),
        ("call +44 7700 900123", "call [PHONE]"),
        ("(202) 555-0101 or 020 7946 0123", "[PHONE] or [PHONE]"),
        ("手机13800138000，谢谢", "手机[PHONE]，谢谢"),
        ("手机１３８００１３８０００", "手机[PHONE]"),
        ("card 4111 1111 1111 1111", "card [CARD]"),
        ("a mistyped card 4111-1111-1111-1112", "a mistyped card [CARD]"),
        ("to GB82 WEST 1234 5698 7654 32 please", "to [IBAN] please"),
        ("from 203.0.113.7 and 2001:db8:0:1::5", "from [IP] and [IP]"),
        ("https://user:pa55word@host/x?token=abc&y=1", "https://[SECRET]@host/x?token=[SECRET]&y=1"),
        # Kept: what makes a log line readable and is nobody's
        ("[2026-03-11 14:07:31,300] ERROR at 12.3456789", "[2026-03-11 14:07:31,300] ERROR at 12.3456789"),
        ('[11/Mar/2026:14:07:31 +0000] "GET /a/b"', '[11/Mar/2026:14:07:31 +0000] "GET /a/b"'),
        ("452 of 886 rows (51.0%)", "452 of 886 rows (51.0%)"),
        ("1,2026,3,10,0,37,53,5,30,500", "1,2026,3,10,0,37,53,5,30,500"),
        ("id 9d5ed678fe57bcca610140957afab571", "id 9d5ed678fe57bcca610140957afab571"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_number_is_masked_before_it_is_cut() -> None:
    text = "x" * (MOST_CHARACTERS - 10) + " 4111 1111 1111 1111"
    assert "4111" not in shown_text(text)


def test_bytes_are_shown_as_they_are() -> None:
    assert shown_bytes(b"a\xff\x00\tb\r\n") == "a\\xff\\x00\\tb\\r\\n"
    assert shown_bytes("Grüße\u202e".encode()) == "Grüße\\u202e"
    assert len(shown_bytes(b"x" * 10_000_000)) == MOST_CHARACTERS


def test_classified_columns_are_hidden() -> None:
    row = json.dumps({"id": "7", "message": "secret words", "level": "INFO", "gone": None})
    assert shown_row(row, ("message",)) == "id: 7 · message: [hidden] · level: INFO"
    assert shown_row(row, None) == "id: [hidden] · message: [hidden] · level: [hidden]"
    assert shown_row("no json a@b.example", ()) == "no json [EMAIL]"
    assert shown_row(row[:-4], ("message",)) == f"[hidden, {len(row) - 4} characters]"  # cut off: which column a word is of can't be told


def test_secrets_are_taken_out_wherever_they_stand() -> None:
    assert without("a hunter2hunter2 b", ["hunter2hunter2", "a", ""]) == "a [SECRET] b"


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=8, max_size=40))
def test_a_secret_is_taken_out_however_it_was_written(secret: str) -> None:
    for written in (secret, str(escape(secret)), html.escape(secret), quote(secret, safe=""), quote(secret)):
        assert without(f"<p>{written}</p>", [secret]) == "<p>[SECRET]</p>"


@given(st.text())
def test_shown_text_is_short_and_printable(text: str) -> None:
    shown = shown_text(text)
    assert len(shown) <= MOST_CHARACTERS
    assert shown.isprintable()


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["ann@mail.example.com", "+44 7700 900123", "4111111111111111"]),
)
def test_no_words_around_it_bring_it_through(words: str, personal: str) -> None:
    assert personal not in shown_text(f"{words} {personal}")
