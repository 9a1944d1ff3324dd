"""What a page may show of personal data and secrets: nothing.

Wider than lake.columns.pii on purpose. A row that was set aside often holds a broken number, which no checksum and no numbering
plan knows; on a page it is better to hide an order number than to show half a card. Needs no Spark, so that a quiet night stays quick.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from markupsafe import escape

MOST_CHARACTERS = 200  # of one example: enough to see what is wrong with a row, and a line or two on a page
_HIDDEN_BELOW = 8  # a "secret" shorter than this would turn half the page into stars, and guards nothing

# Full-width characters and the many dashes look the same to a person, so they must to the patterns; same length, so that places stay places.
_PLAIN = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212], ord("-")),
    **dict.fromkeys([0xA0, 0x2009, 0x202F, 0x3000], ord(" ")),
}

# Tried in this order at every place. What is a time or a hash is kept, so that an example of a log line stays readable.
_KINDS = {
    "KEEP": (
        r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:[.,]\d{1,9})?)?",
        r"\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?",
        r"\d{1,2}/\w{2,9}/\d{4}(?::\d{2}:\d{2}:\d{2})?",
        r"\b[0-9a-f]{32,64}\b",
    ),
    "SECRET": (
        r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)",
        r"(?i:(?<=password=)|(?<=secret=)|(?<=token=)|(?<=signature=)|(?<=api_key=)|(?<=authorization: bearer ))[^\s&\"',;]+",
        r"AKIA[0-9A-Z]{16}",
    ),
    "EMAIL": (r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+",),
    "IBAN": (r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?(?![A-Za-z0-9])",),
    "IP": (
        r"(?<![A-Za-z0-9_.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)",
        r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f:]+",
        r"(?<![\w:])[0-9A-Fa-f]{0,4}::(?:[0-9A-Fa-f]{1,4}:?){1,6}",
    ),
    "CARD": (r"(?<![A-Za-z0-9_.])\d(?:[ -]?\d){12,18}(?!\d)",),
    "PHONE": (r"(?<![A-Za-z0-9_.,])(?:\+|00)?\(?\d(?:[ ()/-]{0,2}\d){8,13}(?!\d|\.\d)",),
}
# From the first quote to the last one: what is quoted may have quotes in it.
_QUOTED = re.compile(r"""(?<!\w)'.*'(?!\w)|"[^"]*'[^"]*\"""", re.DOTALL)
_PATTERNS = re.compile("|".join(f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in _KINDS.items()))


def masked(text: str) -> str:
    """The text with [EMAIL], [PHONE] and the like in place of what could be a person's, and [SECRET] for what looks like a key."""

    def stand_in(found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        return text[found.start() : found.end()] if kind == "KEEP" else f"[{kind}]"

    plain = text if text.isascii() else text.translate(_PLAIN)
    parts, last = list[str](), 0
    for found in _PATTERNS.finditer(plain):
        parts += [text[last : found.start()], stand_in(found)]
        last = found.end()
    return "".join([*parts, text[last:]])


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters, with a sign that there was more."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def shown_text(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text as a page shows it: masked before it is cut, since half a number is not known as one; control characters as escapes."""
    # Masking is linear, but a 100 MB line is a line too: what lies far behind the cut is not looked at.
    return cut(escaped(masked(text[: most * 8])), most)


def shown_bytes(raw: bytes, most: int = MOST_CHARACTERS) -> str:
    r"""Raw bytes as a page shows them: what is no UTF-8 as \xNN, then as a text."""
    return shown_text(raw[: most * 8].decode("utf-8", errors="backslashreplace"), most)


def shown_row(row: str, classified: Iterable[str] | None, most: int = MOST_CHARACTERS) -> str:
    """A row (JSON) as a page shows it: values of classified columns hidden, the others masked; `None`: every value is hidden."""
    hidden = None if classified is None else frozenset(classified)
    try:
        values = json.loads(row)
    except ValueError:
        values = None
    if not isinstance(values, Mapping):  # cut off, or no row at all: nobody can tell which part of it is of a classified column
        return shown_text(row, most) if not row or hidden == frozenset() else f"[hidden, {len(row):,} characters]"

    def one(name: str, value: Any) -> str:
        if hidden is None or name in hidden:
            return f"{name}: [hidden]"
        return f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"

    return shown_text(" · ".join(one(str(k), v) for k, v in values.items() if v is not None), most)


def escaped(text: str) -> str:
    r"""Control characters as \n, \t or \xNN, and marks that turn the direction of writing likewise: what is shown is what is there."""
    if text.isprintable():
        return text
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    write: Callable[[str], str] = lambda c: named.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")  # noqa: E731
    return "".join(c if c.isprintable() else write(c) for c in text)


def without_values(message: str) -> str:
    """The message of an error without what it quotes: Spark and Python quote the value that they could not read."""
    return _QUOTED.sub("'[hidden]'", message)


def without(page: str, secrets: Iterable[str]) -> str:
    """The page without any of these strings, whatever way they came into it: as they are, as HTML, or in a web address."""
    known = {s for s in secrets if len(s) >= _HIDDEN_BELOW}
    written = known | {form for s in known for form in (str(escape(s)), html.escape(s), quote(s, safe=""), quote(s))}
    for secret in sorted(written, key=len, reverse=True):
        page = page.replace(secret, "[SECRET]")
    return page
