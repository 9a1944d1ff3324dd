"""Text columns: what folding keeps, and which language a text is in."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.columns.text import folded, language, language_of, normalise, normalised

TEXTS = st.text(max_size=80)


@given(TEXTS)
def test_normalising_twice_is_normalising_once_and_leaves_nothing_to_fold(text):
    once = normalise(text)
    assert normalise(once) == once
    if once is not None:
        assert once == once.strip()
        assert unicodedata.is_normalized("NFC", once)
        assert not any(unicodedata.category(c) == "Cc" or (c.isspace() and c != " ") for c in once)
        assert "  " not in once


@given(TEXTS)
def test_normalising_never_loses_a_letter_or_a_digit(text):
    def said(t):
        return unicodedata.normalize("NFC", "".join(c for c in t if c.isalnum()))

    assert said(normalise(text) or "") == said(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\u0085b\u00a0 c\r\n", "a b c"),
        ("\ufeffcaf\u0065\u0301\u200b!", "cafe\u0301!".replace("e\u0301", "\u00e9")),
        ("a\x00\x1bb", "ab"),
        ("全角\u3000空格", "全角 空格"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u0085 \t", None),
        (None, None),
    ],
)
def test_unicode_white_space_is_one_space_and_control_characters_go(raw, clean):
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I still have not received my new card", "en"),
        ("Ich habe meine neue Karte noch nicht bekommen", "de"),
        ("Je n'ai toujours pas reçu ma nouvelle carte", "fr"),
        ("Todavía no he recibido mi tarjeta nueva", "es"),
        ("我的新卡还没有到", "zh"),
        ("NFC pay 不好用 why", "zh"),
        ("優の良品很好吃", "zh"),
        ("新しいカードがまだ届きません", "ja"),
        ("새 카드를 아직 받지 못했어요", "ko"),
        ("Я ещё не получил новую карту", "ru"),
        ("U 2.", "en"),
        (":-) 12345", "en"),
        (None, None),
    ],
)
def test_the_language_is_told_by_script_first_and_doubt_means_english(text, code):
    assert language_of(text) == code


@pytest.mark.timeout(300)
def test_columns_do_what_their_cores_do(spark):
    rows = [("  Wo\u0085IST  meine\u00a0neue Karte geblieben? ",), ("我的卡",), (None,)]
    frame = spark.createDataFrame(rows, "raw string").select(normalised("raw").alias("text"), folded(normalised("raw")), language("raw"))
    assert [tuple(r) for r in frame.collect()] == [
        ("Wo IST meine neue Karte geblieben?", "wo ist meine neue karte geblieben?", "de"),
        ("我的卡", "我的卡", "zh"),
        (None, None, None),
    ]
