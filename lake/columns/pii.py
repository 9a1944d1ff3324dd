"""Personal data in texts: found, replaced by placeholders such as [EMAIL], and kept as keyed tokens beside the text.

Found are e-mail addresses, IP addresses, IBANs, payment cards and phone numbers. The order matters: what one finder has
taken is hidden from the next, so that a card number is no phone number. Web addresses stay: a site is no person.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import phonenumbers
import pyarrow as pa

from lake.columns.arrow import by_batch
from lake.columns.keys import read_key, require_key

if TYPE_CHECKING:
    from pyspark.sql import Column

KINDS = ("EMAIL", "IP", "IBAN", "CARD", "PHONE")
# The suite of silver.texts holds this same pattern against the masked text: what it matches must all be masked.
EMAIL_PATTERN = (
    r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)

_TOKEN = pa.struct([("kind", pa.string()), ("token", pa.string())])
_MASKED = pa.struct([("text", pa.string()), ("pii", pa.list_(_TOKEN))])

# Of the same length, so that a place in the plain form is the place in the text: full-width characters, dashes, spaces.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], ord("-"))
_SPACES = dict.fromkeys([0xA0, 0x2009, 0x202F, 0x3000], ord(" "))
_PLAIN = _FULL_WIDTH | _DASHES | _SPACES
_TAKEN = "\ufffc"  # hides what was found from the finders that follow: neither letter, digit nor white space

_EMAIL = re.compile(EMAIL_PATTERN)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", re.ASCII)
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}")
_CARD = re.compile(r"(?<![\w.])(?<!\d[ -])\d(?:[ -]?\d){12,18}(?![ -]?\d)(?![A-Za-z])", re.ASCII)
_DIGIT = re.compile(r"\d")
_SEVEN_DIGITS = re.compile(r"\d(?:[^\w]{0,3}\d){6}")

# How a number must be written, by country, most certain first. Valid is not enough: ten digits in a row are an order
# number as well as an American phone, and 83039 62735 are two codes. Numbers of the right length with + or 07 count
# though nobody holds them yet: number plans grow, and 07700 900123 is kept for examples.
_PHONE_FORMS = tuple(
    (region, leniency, re.compile(form))
    for region, leniency, form in (
        ("GB", phonenumbers.Leniency.VALID, r"\+|\(?0|44"),
        ("GB", phonenumbers.Leniency.POSSIBLE, r"\+\d[\d ().-]{8,}$|07\d{3}[ -]?\d{3}[ -]?\d{3}$"),
        ("CN", phonenumbers.Leniency.VALID, r"(?:86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}$|(?:\(?0|400|800)\d*\D+\d"),
        ("US", phonenumbers.Leniency.VALID, r"(?:1[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]\d{4}$"),
    )
)

# ISO 13616: how long the IBANs of each country are.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT SC",
    32: "LC",
}
_IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}
# Issuer prefixes and lengths of the card networks: with Luhn alone, one order number in ten would be a card.
_CARD_NETWORKS = re.compile(
    r"4(?:\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|(?:50|5[6-8]|6[37])\d{10,17}"
)


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of personal data in a text: its kind, its place, and the one spelling that its token is made of."""

    kind: str
    start: int
    end: int
    canonical: str


def masked(text: Column) -> Column:
    """struct<text, pii array<struct<kind, token>>>: placeholders in the text, a keyed token for each thing replaced.

    Only the path of the key is in the plan; the key is read in the worker (lake.columns.keys).

    Raises:
        SettingsWrong: there is no key; says how to make one.
    """
    path = str(require_key())
    return by_batch(lambda texts: _mask_all(texts, read_key(path)), _MASKED)(text)


def mask(text: str, key: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The core of `masked`: the text with placeholders, and (kind, token) of what was replaced, each once, in order."""
    tokens: dict[tuple[str, str], None] = {}
    while found := find(text):  # again, until nothing is found: a placeholder may part two numbers that stood as one
        for f in found:
            tokens[f.kind, token(key, f.kind, f.canonical)] = None
        for f in reversed(found):
            text = f"{text[: f.start]}[{f.kind}]{text[f.end :]}"
    return text, list(tokens)


def token(key: bytes, kind: str, canonical: str) -> str:
    """First 32 hex digits of HMAC-SHA256(key, kind + canonical spelling): no way back without the key."""
    return hmac.new(key, (kind + canonical).encode(), hashlib.sha256).hexdigest()[:32]


def find(text: str) -> list[Found]:
    """Every piece of personal data in a text, by place; pieces never overlap."""
    plain, found = text if text.isascii() else text.translate(_PLAIN), list[Found]()
    if "@" not in plain and not _DIGIT.search(plain):
        return []
    for finder in _FINDERS:
        for hit in finder(plain):
            found.append(hit)
            plain = plain[: hit.start] + _TAKEN * (hit.end - hit.start) + plain[hit.end :]
    return sorted(found, key=lambda f: f.start)


def _emails(text: str) -> Iterator[Found]:
    if "@" in text:
        for m in _EMAIL.finditer(text):
            yield Found("EMAIL", m.start(), m.end(), m[0].lower())


def _ip_addresses(text: str) -> Iterator[Found]:
    for pattern in (_IPV4, _IPV6):
        for m in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(m[0])
            except ValueError:
                continue  # 1.2.3.400, 10:30:59
            if address.version == 4 or _written_as_ipv6(m[0]):
                yield Found("IP", m.start(), m.end(), address.compressed)


def _written_as_ipv6(raw: str) -> bool:
    """Whether it could be nothing else: 12::30 is a mistyped time, add::bed is code."""
    letters, groups = any(c.isalpha() for c in raw), [g for g in raw.split(":") if g]
    return any(c.isdigit() for c in raw) and (letters or len(groups) >= 4)


def _ibans(text: str) -> Iterator[Found]:
    for m in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(m[0][:2].upper())
        if length is None:
            continue
        end, letters = m.start(), ""
        while end < len(text) and len(letters) < length:
            c = text[end]
            if c.isascii() and c.isalnum():
                letters += c.upper()
            elif c not in " -" or not text[end - 1].isalnum():
                break
            end += 1
        whole = len(letters) == length and not (end < len(text) and text[end].isascii() and text[end].isalnum())
        if whole and int("".join(str(int(c, 36)) for c in letters[4:] + letters[:4])) % 97 == 1:
            yield Found("IBAN", m.start(), end, letters)


def _cards(text: str) -> Iterator[Found]:
    for m in _CARD.finditer(text):
        digits = m[0].replace(" ", "").replace("-", "")
        if _CARD_NETWORKS.fullmatch(digits) and _luhn(digits):
            yield Found("CARD", m.start(), m.end(), digits)


def _luhn(digits: str) -> bool:
    doubled = (int(d) * 2 for d in digits[-2::-2])
    return (sum(int(d) for d in digits[-1::-2]) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


def _phones(text: str) -> Iterator[Found]:
    if not _SEVEN_DIGITS.search(text):  # no number has fewer, and the matcher costs 20 times the rest
        return
    taken: list[tuple[int, int]] = []
    for region, leniency, plausible in _PHONE_FORMS:
        for m in phonenumbers.PhoneNumberMatcher(text, region, leniency):
            raw = m.raw_string
            if plausible.match(raw) and not any(start < m.end and m.start < end for start, end in taken):
                taken.append((m.start, m.end))
                yield Found("PHONE", m.start, m.end, phonenumbers.format_number(m.number, phonenumbers.PhoneNumberFormat.E164))


_FINDERS: tuple[Callable[[str], Iterator[Found]], ...] = (_emails, _ip_addresses, _ibans, _cards, _phones)


def _mask_all(texts: list[str | None], key: bytes) -> list[dict[str, Any]]:
    made = [(None, []) if t is None else mask(t, key) for t in texts]
    return [{"text": text, "pii": [{"kind": kind, "token": value} for kind, value in tokens]} for text, tokens in made]
