"""Text columns: normalised, folded for comparison, and the language they are written in."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from lake.columns.arrow import by_batch

if TYPE_CHECKING:
    from pyspark.sql import Column

DEFAULT_LANGUAGE = "en"
LATIN_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl")
LANGUAGES = (*LATIN_LANGUAGES, "ru", "uk", "el", "he", "ar", "hi", "th")
MIN_CONFIDENCE = 0.6

# Invisible characters that hide a word from every comparison: soft hyphen, zero-width space, marks of direction, word
# joiner, byte order mark. The joiners U+200C and U+200D stay: Persian words and emoji are written with them.
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF])
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()}
_DROPPED = _INVISIBLE | _CONTROL

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3041-\u309f\u30a1-\u30fa\u30fd-\u30ff]")
_HANGUL = re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W\d_\u1100-\u11ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")


def normalised(text: Column) -> Column:
    """The text in NFC, white space folded to single spaces, control characters dropped; null when nothing is left."""
    return by_batch(_normalise_all, pa.string())(text)


def folded(text: Column) -> Column:
    """In lower case and with single spaces: texts that differ in nothing else are equal."""
    return F.lower(F.trim(F.regexp_replace(text, r"[\s\p{Z}\x{85}]+", " ")))


def language(text: Column) -> Column:
    """The language as ISO 639-1, see `language_of`."""
    return by_batch(_languages_of, pa.string())(text)


def normalise(text: str | None) -> str | None:
    """The core of `normalised`: U+0085, U+00A0 and U+3000 are white space as the ASCII ones are."""
    if text is None:
        return None
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", text.translate(_DROPPED))
    return " ".join(text.split()) or None


def language_of(text: str | None) -> str | None:
    """The language of a text: by its script where the script tells (zh, ja, ko), else by py3langid over LANGUAGES.

    A doubtful guess among the languages in Latin letters counts as English, and so does a text without letters.
    Measured on 21,957 real texts (banking77, sms_spam and sentiment_sentences in English, asap_reviews_zh in Chinese):
    10 wrong, 99.95 % right, and 99.84 % of the worst source, sms_spam. py3langid alone, over all of its 140 languages,
    gets 98.0 %, and 93.8 % of sms_spam.
    """
    if text is None:
        return None
    # One Han character weighs as much as one Latin word: a brand name in Latin letters makes no review English.
    han, kana, hangul = (len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL))
    words = _WORD.findall(text)
    if hangul and hangul >= max(len(words), han):
        return "ko"
    if han + kana and han + kana >= len(words):
        return "ja" if kana * 5 >= han + kana else "zh"  # Chinese signs borrow a lone kana
    if not words:
        return DEFAULT_LANGUAGE
    guess, confidence = _identifier().classify(text)
    latin = sum(word[0] < "\u0250" for word in words) * 2 >= len(words)
    return DEFAULT_LANGUAGE if latin and (guess not in LATIN_LANGUAGES or confidence < MIN_CONFIDENCE) else guess


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # loads in 0.7 s: once per Python worker

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier


def _normalise_all(texts: list[str | None]) -> list[str | None]:
    return [normalise(t) for t in texts]


def _languages_of(texts: list[str | None]) -> list[str | None]:
    return [language_of(t) for t in texts]
