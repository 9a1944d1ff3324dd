"""The kinds of damage: what each does to a record or a file, for which sources, and where it must be caught with which reason.

A kind looks at a sheet and gives every way in which it can damage it, none where it does not apply; the planter takes some by chance.
Reasons are the product's own words (lake/sources/<format>.py, lake/sources/read.py, lake/contract.py), a set of them for each record.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.damage.sheets import BOM, Sheet

Where = Literal["behind", "top", "end", "file", "archive", "job"]
"""`behind` its good record; `top` or `end` of a file of its own; in place of a whole `file`, or of an `archive` of it; by a `job`."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged record, or file: its bytes, the good record it was made of, and what must become of it."""

    kind: str
    raw: bytes
    reasons: frozenset[str]
    record: int = 0
    where: Where = "behind"
    address: str | None = None  # None: the source's bronze table
    row: bool = False  # set aside by a rule: as a row, in place of its bytes


Ways = Callable[[Sheet, Random], Iterator[Damage]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of damage: its name, what it is, and the ways in which it can damage a sheet."""

    name: str
    about: str
    ways: Ways


KINDS: dict[str, Kind] = {}

# What bronze makes of a source's field, where its name is another one.
BECOMES: dict[str, dict[str, tuple[str, ...]]] = {
    "air_quality_it": {"date": ("time",), "time_of_day": ("time",)},
    "asap_reviews_zh": {"index": ("review",), "reviewbody": ("text",), "star": ("stars",)},
    "banking77": {"category": ("intent",)},
    "banking77_categories": {"category": ("intent",)},
    "beijing_air": {"year": ("time",), "month": ("time",), "day": ("time",), "hour": ("time",), "station": ("sensor",), "number": ()},
    "bgl": {"node": ("host",), "local": ("local_time",), "second": ("time",), "label": (), "node_again": (), "day": (), "type": ()},
    "bgl_structured": {"second": ("time",), "node": ("host",), "day": (), "local": (), "node_again": (), "type": (), "label": ()},
    "hdfs_structured": {"day": ("time",), "clock": ("time",)},
    "linux": {"program": ("component",)},
    "auth": {"program": ("component",)},
    "linux_structured": {"program": ("component",), "month": (), "day": (), "clock": ()},
    "nab_windows": {"series": ("sensor",)},
    "occupancy": {"number": ()},
    "sentiment_sentences": {"label": ("sentiment",)},
    "sms_spam": {"label": ("spam",)},
}

# A field whose wrong value makes no value in bronze: what is not 0 or 1 is no sentiment.
TRANSLATED = {("sentiment_sentences", "label")}

NUMBERS = ("double", "int", "bigint")
TIMES = {  # parts of a time, by the letters of Spark's patterns
    "yyyy": r"(?P<y>\d{4})", "yy": r"(?P<y>\d\d)", "MMM": r"(?P<M>[A-Z][a-z]{2})", "MM": r"(?P<M>\d\d)", "dd": r"(?P<d>\d\d)", "d": r"(?P<d>[ \d]\d)",
    "HH": r"(?P<H>\d\d)", "mm": r"(?P<m>\d\d)", "ss": r"(?P<s>\d\d)", "SSSSSS": r"\d{6}", "SSS": r"\d{3}", "Z": r"(?P<Z>[+-]\d{4})",
}  # fmt: skip


def kind(name: str, about: str) -> Callable[[Ways], Ways]:
    def register(ways: Ways) -> Ways:
        KINDS[name] = Kind(name, about, ways)
        return ways

    return register


def bronze_of(s: Sheet, field: str) -> tuple[str, ...]:
    """The columns of bronze that a field becomes."""
    return BECOMES.get(s.source.name, {}).get(field, (field,) if field in {c.name for c in s.bronze.columns} else ())


def without(s: Sheet, field: str) -> frozenset[str]:
    """What is missing in bronze when a field is: a time takes its day and its month with it."""
    columns = bronze_of(s, field)
    if "time" in columns:
        columns = (*columns, "date", "month")
    return frozenset(f"missing:{c.name}" for c in s.bronze.columns if c.name in columns and c.required)


def of_rule(s: Sheet, rule: str, field: str) -> frozenset[str]:
    return frozenset(f"{rule}:{column}" for column in bronze_of(s, field))


def cells(s: Sheet, rng: Random, name: str, field: str, text: str, *reasons: str, row: bool = False) -> Iterator[Damage]:
    """A record with another text in one field."""
    n = s.any(rng, field)
    if n is not None and reasons:
        yield Damage(name, s.put(n, **{field: text}), frozenset(reasons), n, row=row)


def numbers(s: Sheet, *types: str) -> list[str]:
    return s.of_type(*types) if s.source.format == "delimited" else []


# -- numbers --------------------------------------------------------------------------------------------------------------


@kind("word for a number", "letters where a number is asked")
def word(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, *NUMBERS):
        yield from cells(s, rng, "word for a number", f, rng.choice(["abc", "--", "12.3.4", "error"]), f"not_a_number:{f}")
    if s.source.format == "lines" and "begins" not in s.source.options:
        for f in s.of_type("int", "bigint"):
            yield from cells(s, rng, "word for a number", f, "1x7", "pattern")


@kind("NaN", "a computer's word for no number")
def nan(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, "double"):
        yield from cells(s, rng, "NaN", f, rng.choice(["NaN", "nan", "NAN"]), f"not_a_number:{f}")


@kind("infinity", "a number without an end")
def infinity(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, "double"):
        yield from cells(s, rng, "infinity", f, rng.choice(["Infinity", "-inf", "+Infinity", "∞"]), f"not_a_number:{f}")


@kind("beyond its type", "1e999, or a count of 20 digits")
def beyond(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, "double"):
        yield from cells(s, rng, "beyond its type", f, rng.choice(["1e999", "-1e400"]), f"out_of_range:{f}")
    if s.source.format in ("delimited", "lines") and "begins" not in s.source.options:
        for f in s.of_type("int", "bigint"):
            if (s.source.name, f) != ("access", "status"):  # three digits are asked of it
                yield from cells(s, rng, "beyond its type", f, "98765432109876543210", f"out_of_range:{f}")


@kind("fraction of a count", "3.5 where whole numbers are counted")
def fraction(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, "int", "bigint"):
        yield from cells(s, rng, "fraction of a count", f, "3.5", f"not_a_number:{f}")


@kind("other decimal mark", "a comma for a point, a point for a comma, or both")
def decimal(s: Sheet, rng: Random) -> Iterator[Damage]:
    texts = ["20.4", "1.020,7"] if s.source.options.get("decimal") == "," else ["20,4", "1.020,7"]
    for f in numbers(s, "double"):
        text = rng.choice(texts)
        if s.is_quoted or s.source.options.get("delimiter", ",") not in text:
            yield from cells(s, rng, "other decimal mark", f, text, f"not_a_number:{f}")


@kind("unit in the cell", "21.5 C where 21.5 is asked")
def unit(s: Sheet, rng: Random) -> Iterator[Damage]:
    for f in numbers(s, *NUMBERS):
        yield from cells(s, rng, "unit in the cell", f, rng.choice(["21 C", "5%", "7 ppm", "$3"]), f"not_a_number:{f}")


@kind("negative count", "less than none of what is counted or measured")
def negative(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.bronze.columns:
        f = field_of(s, c.name)
        if s.source.format == "delimited" and f in s.of_type(*NUMBERS) and c.minimum is not None and c.minimum >= 0:
            yield from cells(s, rng, "negative count", f, "-3", f"out_of_range:{c.name}", row=True)
    if s.source.name == "access":
        yield from cells(s, rng, "negative count", "bytes", "-5", "pattern")
    if s.source.name == "hdfs":
        yield from cells(s, rng, "negative count", "thread", "-5", "pattern")


FAHRENHEIT = ("temperature", "dew_point")


@kind("unit slip", "Fahrenheit for Celsius, a thousand times too much; seen where no such thing is")
def slip(s: Sheet, rng: Random) -> Iterator[Damage]:
    comma = s.source.options.get("decimal") == ","
    for c in s.bronze.columns:
        if c.name not in s.of_type("double") or c.maximum is None:
            continue
        found = dict[int, float]()
        for n in s.having(c.name):
            with contextlib.suppress(ValueError):  # a mark of a missing one
                value = float(s.cells(n)[c.name].replace(",", ".") if comma else s.cells(n)[c.name])
                found[n] = value * 9 / 5 + 32 if c.name in FAHRENHEIT else value * 1000
        beyond = [n for n, value in found.items() if value > c.maximum]
        if beyond:
            n = rng.choice(beyond)
            text = f"{found[n]:.1f}".replace(".", ",") if comma else f"{found[n]:.1f}"
            yield Damage("unit slip", s.put(n, **{c.name: text}), frozenset([f"out_of_range:{c.name}"]), n, row=True)


@kind("out of range", "a value that its thing can't have: status 999, nine stars, 150 % of humidity")
def out_of_range(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.bronze.columns:
        f = field_of(s, c.name)
        if f in s.of_type(*NUMBERS) and c.maximum is not None:
            text = "999" if s.source.format == "lines" else str(int(c.maximum) + rng.randint(1, 9))
            yield from cells(s, rng, "out of range", f, text, f"out_of_range:{c.name}", row=True)
    if s.source.name == "asap_reviews_zh":
        for damage in cells(s, rng, "out of range", "star", rng.choice(["9.0", "0.0", "-1"]), "out_of_range:stars", row=True):
            yield _at("silver.texts", damage)
    if s.source.name == "nab":
        for damage in cells(s, rng, "out of range", "value", "1e300", "out_of_range:value", row=True):
            yield _at("silver.sensor_readings", damage)


# -- what must be there, and what may stand there -------------------------------------------------------------------------


@kind("missing value", "nothing where something is asked")
def missing(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.source.fields:
        if not c.required or not without(s, c.name):
            continue
        if s.source.format == "delimited" and c.type != "string":
            yield from cells(s, rng, "missing value", c.name, rng.choice(["", " "]), *without(s, c.name), row=True)
        elif s.source.format == "json_document" and c.name in s.own_fields:
            yield from cells(s, rng, "missing value", c.name, "null", *without(s, c.name), row=True)
        elif c.type == "string" and (marks := s.source.options.get("missing")) and s.source.format in ("lines", "delimited"):
            yield from cells(s, rng, "missing value", c.name, marks[0], *without(s, c.name), row=True)


@kind("blank text", "an empty text or label, or one of blanks")
def blank(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.source.fields:
        if c.required and c.type == "string" and s.source.format in ("delimited", "json_document") and c.name not in s.source.options.get("rows", ()):
            text = rng.choice(["", "  "])
            reasons = [("wrong_shape" if s.bronze.column(b).pattern else "not_allowed" if s.bronze.column(b).allowed else "missing") + f":{b}"
                       for b in bronze_of(s, c.name) if s.bronze.column(b).required]  # fmt: skip
            if "time" in bronze_of(s, c.name):
                reasons = [*without(s, c.name)]
            yield from cells(s, rng, "blank text", c.name, json.dumps(text) if s.source.format == "json_document" else text, *reasons, row=True)


@kind("unknown category", "a word that is none of the allowed ones")
def category(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.bronze.columns:
        f = field_of(s, c.name)
        if f is None or c.allowed is None or s.source.format not in ("delimited", "lines"):
            continue
        if (s.source.name, f) in TRANSLATED:
            yield from cells(s, rng, "unknown category", f, "7", f"missing:{c.name}", row=True)
        else:
            also = [f"not_allowed:{b}" for b in both(s, f) if b != c.name]
            yield from cells(s, rng, "unknown category", f, "LOUD", f"not_allowed:{c.name}", *also, row=True)
    for f in s.of_type("boolean"):
        yield from cells(s, rng, "unknown category", f, rng.choice(["2", "maybe"]), f"not_a_boolean:{f}")


@kind("label in other form", "a known label in another case, or with a blank behind it")
def label(s: Sheet, rng: Random) -> Iterator[Damage]:
    for c in s.bronze.columns:
        f = field_of(s, c.name)
        if f is None or f not in s.of_type("string") or s.source.format not in ("delimited", "json_document"):
            continue
        n = s.any(rng, f)
        if n is None or (c.allowed is None and c.name not in ("intent", "event")):
            continue
        written = s.cells(n)[f]
        bare = written.strip('"')
        if bare.lower() == "na" or not bare:
            continue
        other = rng.choice([bare.swapcase(), bare + " "])
        also = [f"not_allowed:{b}" for b in both(s, f) if b != c.name]
        rule = f"{'not_allowed' if c.allowed else 'wrong_shape'}:{c.name}"
        text = json.dumps(other) if s.source.format == "json_document" else other
        yield Damage("label in other form", s.put(n, **{f: text}), frozenset([rule, *also]), n, row=True)
    for f in ("level", "severity"):
        if s.source.format == "lines" and "begins" not in s.source.options and f in s.fields:
            yield from cells(s, rng, "label in other form", f, "Info", "pattern")


@kind("address out of range", "an IP address with a number beyond 255")
def address(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.source.name == "access":
        text = rng.choice(["999.1.2.3", "203.0.113.256", "10.0.0"])
        yield from cells(s, rng, "address out of range", "client", text, "wrong_shape:client", row=True)


# -- times ----------------------------------------------------------------------------------------------------------------


def timed(s: Sheet) -> Iterator[tuple[str, re.Pattern[str], str]]:
    """Fields with a time or a date: the parts of its text, and the reason that the reader gives."""
    for c in s.source.fields:
        if c.type in ("timestamp", "date"):
            pattern = str(s.source.options["formats"][c.name])
            if "year" in s.source.options:  # the text has none: its reader puts it there
                pattern = pattern.removeprefix("yyyy ")
            found = re.sub(r"y+|M+|d+|H+|m+|s+|S+|Z", lambda part: TIMES[part[0]], pattern)
            yield c.name, re.compile(found), f"not_a_{c.type}:{c.name}"


def moved(s: Sheet, rng: Random, name: str, **parts: str) -> Iterator[Damage]:
    """A record whose time has other parts (y, M, d, H, m, s, Z), as wide as they were."""
    for field, pattern, reason in timed(s):
        n = s.any(rng, field)
        if n is None:
            continue
        text = s.cells(n)[field]
        found = pattern.search(text)
        if found is None or not set(parts) <= set(found.groupdict()):
            continue
        for part, new in sorted(parts.items(), key=lambda p: -found.start(p[0])):
            wide = found.end(part) - found.start(part)
            told = {"02": "Feb", "25": "Foo"}.get(new, new) if part == "M" and wide == 3 else new[-wide:].rjust(wide, "0")
            text = text[: found.start(part)] + told + text[found.end(part) :]
        yield Damage(name, s.put(n, **{field: text.strip('"') if s.is_quoted else text}), frozenset([reason]), n)


def local(s: Sheet, rng: Random, name: str, **fields: str) -> Iterator[Damage]:
    """A record whose time stands in fields that only its job puts together."""
    n = s.any(rng, *fields)
    if n is not None and set(fields) <= set(s.fields):
        reasons = frozenset[str]().union(*(without(s, f) if "time" in bronze_of(s, f) else of_rule(s, "wrong_shape", f) for f in fields))
        if reasons:
            yield Damage(name, s.put(n, **fields), reasons, n, row=True)


@kind("day that is none", "the 30th of February, the 32nd of March")
def no_day(s: Sheet, rng: Random) -> Iterator[Damage]:
    name = "day that is none"
    if "year" in s.source.options:
        yield from moved(s, rng, name, d="32")  # its month is that of the line above: another one would be another year
    else:
        yield from moved(s, rng, name, M="02", d="30")
    if s.source.name == "beijing_air":
        yield from local(s, rng, name, month="2", day="30")
    if s.source.name == "hdfs_structured":
        yield from local(s, rng, name, day="260230")
    if s.source.name == "bgl":
        yield from local(s, rng, name, local="2026-03-32-17.21.56.806000")


@kind("day and month swapped", "2026-25-03: seen where the day is beyond 12")
def swapped(s: Sheet, rng: Random) -> Iterator[Damage]:
    name = "day and month swapped"
    yield from moved(s, rng, name, M="25", d="03")
    if s.source.name == "beijing_air":
        yield from local(s, rng, name, month="25", day="3")
    if s.source.name == "hdfs_structured":
        yield from local(s, rng, name, day="262503")
    if s.source.name == "bgl":
        yield from local(s, rng, name, local="2026-25-03-17.21.56.806000")


@kind("hour that is none", "25 o'clock")
def no_hour(s: Sheet, rng: Random) -> Iterator[Damage]:
    name = "hour that is none"
    yield from moved(s, rng, name, H="25")
    if s.source.name == "beijing_air":
        yield from local(s, rng, name, hour="25")
    if s.source.name == "hdfs_structured":
        yield from local(s, rng, name, clock="256100")
    if s.source.name == "air_quality_it":
        yield from local(s, rng, name, time_of_day="25.00.00")
    if s.source.name == "bgl":
        yield from local(s, rng, name, local="2026-03-09-25.21.56.806000")


@kind("year that is none", "year 0, or one of five digits, which no reader of the table can hold")
def no_year(s: Sheet, rng: Random) -> Iterator[Damage]:
    name = "year that is none"
    if not any(re.search(r"(?<!y)yy(?!y)", str(p)) for p in s.source.options.get("formats", {}).values()):
        yield from moved(s, rng, name, y="0000")
        if s.source.format != "lines":  # there its own pattern lets no sign through
            for field, pattern, reason in timed(s):
                n = s.any(rng, field)
                found = pattern.search(s.cells(n)[field]) if n is not None else None
                if n is not None and found is not None and "y" in found.groupdict():
                    text = found[0][: found.start("y") - found.start()] + "+20260" + found[0][found.end("y") - found.start() :]
                    yield Damage(name, s.put(n, **{field: json.dumps(text) if s.source.format == "json_document" else text}), frozenset([reason]), n)
    if s.source.name == "beijing_air":
        yield from local(s, rng, name, year=rng.choice(["0", "20260"]))
    if s.source.name in ("bgl", "bgl_structured"):
        yield from local(s, rng, name, second=rng.choice(["253402300800", "99999999999999", "9223372036854775807"]))


@kind("time in another form", "the right time as another program writes it")
def other_form(s: Sheet, rng: Random) -> Iterator[Damage]:
    for field, pattern, reason in timed(s):
        text = rng.choice([t for t in ("2026-03-10T11:12:13Z", "03/10/26 11:12 PM", "1773141133", "10. März 2026") if not pattern.fullmatch(t)])
        n = s.any(rng, field)
        if n is None:
            continue
        raw = s.put(n, **{field: json.dumps(text) if s.source.format == "json_document" else text})
        if s.source.format == "lines":
            # Brackets hold any text; where the pattern asks for a time's own form, it is no line of this log.
            found = re.fullmatch(s.source.options["pattern"], raw.decode())
            begins = s.source.options.get("begins")
            if begins and not re.match(begins, raw.decode()):
                continue  # it would belong to the event above: nothing tells that it does not
            reason = reason if found else "pattern"
        yield Damage("time in another form", raw, frozenset([reason]), n)
    if s.source.name == "air_quality_it":
        yield from local(s, rng, "time in another form", time_of_day="11:00:00")
    if s.source.name == "hdfs_structured":
        yield from local(s, rng, "time in another form", day="2026-03-10")


@kind("time zone that is none", "+9900")
def no_zone(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from moved(s, rng, "time zone that is none", Z=rng.choice(["+9900", "-4500"]))


@kind("hour that clocks skip or show twice", "half past two on the night of the change")
def skipped(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.source.options.get("zone") == "Europe/Brussels":
        for text, reason in (("2026-03-29 02:30:00", "no_such_time"), ("2026-10-25 02:30:00", "ambiguous_time")):
            yield from cells(s, rng, "hour that clocks skip or show twice", "time", text, f"{reason}:time")


# -- the form of records --------------------------------------------------------------------------------------------------


@kind("too few cells", "a cell is gone")
def few(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "too few cells", rng.randrange(len(s.records))
    if s.source.format == "delimited":
        tokens = s.tokens(n)
        del tokens[rng.randrange(len(tokens))]
        yield Damage(name, s.joined(tokens), frozenset(["empty_row" if not any(t.strip() for t in tokens) else "fields"]), n)
    elif s.source.format == "conll":
        lines = s.records[n].split(b"\n")
        at = rng.randrange(len(lines))
        lines[at] = lines[at].split(b"\t")[0]
        yield Damage(name, b"\n".join(lines), frozenset(["no_tag"]), n)
    elif s.source.format == "json_document" and len(s.own_fields) > 1:
        yield Damage(name, b'["2026-03-10 00:00:00.000000"]', frozenset(["fields"]), n)
    elif s.source.format == "lines" and (cut := HEADLESS.get(s.source.name)):
        text = s.text(n)
        yield Damage(name, re.sub(cut, "", text, count=1).encode(), frozenset(["pattern"]), n)


# What a line of a log loses so that it is no line of that log any more.
HEADLESS = {
    "access": r'" \d{3} (?:\d+|-) "',
    "auth": r"(?<=:\d\d) \S+(?= )",
    "bgl": r" \d{4}\.\d\d\.\d\d",
    "hdfs": r"(?<=\d{6} \d{6}) \d+",
    "linux": r": ",
}


@kind("too many cells", "a cell stands twice")
def many(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "too many cells", rng.randrange(len(s.records))
    if s.source.format == "delimited":
        tokens = s.tokens(n)
        tokens.insert(rng.randrange(len(tokens)), "7")
        yield Damage(name, s.joined(tokens), frozenset(["fields"]), n)
    elif s.source.format == "conll":
        lines = s.records[n].split(b"\n")
        lines[rng.randrange(len(lines))] += b"\tO"
        yield Damage(name, b"\n".join(lines), frozenset(["columns"]), n)
    elif s.source.format == "json_document" and len(s.own_fields) > 1:
        yield Damage(name, s.records[n][:-1] + b", 3]", frozenset(["fields"]), n)


@kind("text behind a quote", "a quoted cell that goes on behind its closing quote")
def behind_quote(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.is_quoted:
        n = rng.randrange(len(s.records))
        tokens = s.tokens(n)
        tokens[rng.randrange(len(tokens))] = '"one" two'
        yield Damage("text behind a quote", s.joined(tokens), frozenset(["quote"]), n)


@kind("quote that never closes", "an opening quote in the last row")
def open_quote(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.is_quoted:
        n = rng.choice([n for n in range(len(s.records)) if b"\n" not in s.records[n]])
        tokens = s.tokens(n)
        tokens[-1] = '"' + tokens[-1].replace('"', "")
        yield Damage("quote that never closes", s.joined(tokens), frozenset(["quote"]), n, "end")


@kind("broken UTF-8", "bytes of another encoding")
def encoding(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield _within(s, rng, "broken UTF-8", rng.choice([b"\xe9", b"\xff\xfe", b"\xc3"]), "encoding")


@kind("NUL byte", "a hole that a crash left behind")
def nul(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield _within(s, rng, "NUL byte", b"\0" * rng.choice([1, 8]), "nul")


def _within(s: Sheet, rng: Random, name: str, what: bytes, reason: str) -> Damage:
    """A record with bytes within that no text has; a JSON document is one text, and is set aside whole."""
    n = rng.randrange(len(s.records))
    raw = s.records[n]
    if s.source.format == "json_document":
        return Damage(name, raw[:-2] + what + raw[-2:], frozenset([reason]), n, "file")
    at = len(raw) if s.source.format != "delimited" or not raw.endswith(b'"') else raw.rindex(b'"')
    if s.source.format == "conll":
        at = raw.index(b"\t")
    return Damage(name, raw[:at] + what + raw[at:], frozenset([reason]), n)


@kind("byte order mark within", "two files put together")
def bom(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "byte order mark within", rng.randrange(len(s.records))
    first = s.source.fields[0]
    if s.source.format == "lines":
        yield Damage(name, BOM + s.records[n], frozenset(["pattern"]), n)
    elif s.source.format == "conll":
        yield Damage(name, BOM + s.records[n], frozenset(["wrong_shape:text"]), n, row=True)
        yield Damage(name, BOM + b"\n" + s.records[n], frozenset(["no_tag"]), n)
    elif s.source.format == "json_document":
        yield Damage(name, BOM + s.records[n], frozenset(["json"]), n, "file")
    elif first.type in NUMBERS:
        yield Damage(name, BOM + s.records[n], frozenset([f"not_a_number:{first.name}"]), n)
    elif first.type != "string":
        yield Damage(name, BOM + s.records[n], frozenset([f"not_a_{first.type}:{first.name}"]), n)
    else:
        column = s.bronze.column(bronze_of(s, first.name)[0])
        plain = [k for k in range(len(s.records)) if not s.records[k].startswith(b'"')]
        rule = f"{'not_allowed' if column.allowed else 'wrong_shape'}:{column.name}"
        if plain:
            n = rng.choice(plain)
            yield Damage(name, BOM + s.records[n], frozenset([rule]), n, row=True)
        if column.allowed is None and s.head:  # the head of a file that was put behind another
            names = dict(zip(s.fields, _names(s), strict=True))
            more = [of for f in s.fields[1:] if names[f] and (of := _shape_broken(s, f, names[f]))]
            yield Damage(name, BOM + s.head.removeprefix(BOM).rstrip(b"\r\n"), frozenset([rule, *more]), 0, row=True)


def _names(s: Sheet) -> list[str]:
    return s.head.removeprefix(BOM).decode().strip().replace('"', "").split(s.source.options.get("delimiter", ","))


def _shape_broken(s: Sheet, field: str, text: str) -> str | None:
    """The rule of bronze that a text breaks in a field, if one does."""
    for b in bronze_of(s, field):
        pattern = s.bronze.column(b).pattern
        if pattern and not re.fullmatch(pattern, text):
            return f"wrong_shape:{b}"
    return None


@kind("header again", "two files put together")
def header_again(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.head and s.source.format == "delimited":
        yield Damage("header again", s.head.removeprefix(BOM).rstrip(b"\r\n"), frozenset(["header_again"]), rng.randrange(len(s.records)))


@kind("header in another order", "two columns changed their places: nothing of the file can be told")
def header_order(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.head and s.source.format == "delimited":
        names = s.head.removeprefix(BOM).rstrip(b"\r\n").split(s.source.options.get("delimiter", ",").encode())
        names[0], names[1] = names[1], names[0]
        yield Damage("header in another order", s.source.options.get("delimiter", ",").encode().join(names), frozenset(["header"]), 0, "top")


@kind("row without content", "an empty line, or one of delimiters")
def empty(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "row without content", rng.randrange(len(s.records))
    if s.source.format == "lines" and "begins" not in s.source.options:
        yield Damage(name, rng.choice([b"", b"  ", b"\t"]), frozenset(["empty_row"]), n)
    if s.source.format == "delimited":
        delimiter = s.source.options.get("delimiter", ",").encode()
        yield Damage(name, rng.choice([b"", b" ", delimiter * (s.width - 1)]), frozenset(["empty_row"]), n)


@kind("last line cut", "the file ends in the middle of a record")
def cut(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "last line cut", rng.randrange(len(s.records))
    raw = s.records[n]
    if s.source.format == "lines" and "begins" not in s.source.options:
        yield Damage(name, raw[: rng.randint(6, 14)], frozenset(["pattern"]), n, "end")
    elif s.source.format == "conll":
        yield Damage(name, raw[: raw.rindex(b"\t")], frozenset(["no_tag"]), n, "end")
    elif s.source.format == "json_document":
        yield Damage(name, b"", frozenset(["json"]), n, "file")
    elif s.source.format == "delimited":
        plain = [k for k in range(len(s.records)) if b"\n" not in s.records[k] and not s.records[k].startswith(b'"')]
        if plain:
            n = rng.choice(plain)
            first = s.text(n).split(s.source.options.get("delimiter", ","))[0]  # whole characters: half a one is broken UTF-8
            yield Damage(name, first[: max(1, len(first) - 1)].encode(), frozenset(["fields"]), n, "end")


@kind("line of another log", "two programs write into one file")
def other_log(s: Sheet, rng: Random) -> Iterator[Damage]:
    name, n = "line of another log", rng.randrange(len(s.records))
    line = rng.choice([k for k in OTHERS if not k.startswith(b"Mar") or s.source.name not in ("auth", "linux")])
    if s.source.format == "lines":
        if "begins" in s.source.options:  # anywhere else it would belong to the event above
            yield Damage(name, line, frozenset(["no_begin"]), 0, "top")
        else:
            yield Damage(name, line, frozenset(["pattern"]), n)
    elif s.source.format == "conll":
        yield Damage(name, line, frozenset(["no_tag"]), n)
    elif s.source.format == "delimited":
        yield Damage(name, line, frozenset(["fields"]), n)


OTHERS = (
    b"<134>1 2026-03-10T00:00:03Z gate-4 dhclient 812 - - bound to 10.20.0.5 -- renewal in 1432 seconds.",
    b"Mar 10 00:00:03 gate-4 kernel: eth0: link is up at 1000 Mbps",
    b"level=info ts=2026-03-10T00:00:03Z msg=ready",
)


TOO_LONG = "record beyond all measure"


@kind(TOO_LONG, "17 MiB without a line end")
def too_long(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.source.name in ("access", "sms_spam", "wnut17"):
        n = 0
        yield Damage(TOO_LONG, s.records[n] + b"x" * (17 * 1024 * 1024), frozenset(["too_long"]), n)


# -- JSON -----------------------------------------------------------------------------------------------------------------


def _json(s: Sheet, rng: Random, name: str, text: str, *reasons: str, row: bool = False) -> Iterator[Damage]:
    if s.source.format == "json_document":
        yield Damage(name, text.encode(), frozenset(reasons), rng.randrange(len(s.records)), row=row)


@kind("no JSON", "text behind the value, or a comma too many")
def no_json(s: Sheet, rng: Random) -> Iterator[Damage]:
    if s.source.format == "json_document":
        n = rng.randrange(len(s.records))
        yield Damage("no JSON", s.records[n] + rng.choice([b",,", b"]]]", b" oops"]), frozenset(["json"]), n, "file")


@kind("key in other case", "a name that differs from a field's in case only")
def key_case(s: Sheet, rng: Random) -> Iterator[Damage]:
    f = s.own_fields[0]
    yield from _json(s, rng, "key in other case", json.dumps({f.upper(): "x"}), f"key_case:{f.upper()}")


@kind("key twice", "readers differ in which of the two they take")
def key_twice(s: Sheet, rng: Random) -> Iterator[Damage]:
    f = s.own_fields[0]
    yield from _json(s, rng, "key twice", f'{{"{f}": "x", "{f}": "y"}}', f"duplicate_key:{f}")


@kind("unknown key", "a name that the contract lacks")
def key_unknown(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from _json(s, rng, "unknown key", json.dumps({s.own_fields[0]: "x", "colour": "red"}), "unknown_key:colour")


@kind("NaN in JSON", "which JSON has not")
def json_nan(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from _json(s, rng, "NaN in JSON", f'{{"{s.own_fields[0]}": NaN}}', "not_json_number")


@kind("half a character", "one of a pair of surrogates")
def surrogate(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from _json(s, rng, "half a character", f'{{"{s.own_fields[0]}": "a\\ud800"}}', "surrogate")


# -- archives -------------------------------------------------------------------------------------------------------------


@kind("archive cut", "a compressed file without its end: a part of it would count as all")
def archive(s: Sheet, rng: Random) -> Iterator[Damage]:
    packed = gzip.compress(b"".join(raw + s.end for raw in s.records), mtime=0)
    yield Damage("archive cut", packed[: -rng.randint(4, 20)], frozenset(["unreadable:"]), 0, "archive")


@kind("archive with more behind it", "bytes behind the end of a compressed file")
def archive_more(s: Sheet, rng: Random) -> Iterator[Damage]:
    packed = gzip.compress(s.head + b"".join(raw + s.end for raw in s.records), mtime=0)
    yield Damage("archive with more behind it", packed + b"and more", frozenset(["unreadable:"]), 0, "archive")


# -- by a job, not by a source: tests/damage/place.py does it -------------------------------------------------------------


@kind("e-mail unmasked", "an address that the masking let through: refused whole, for a leak can't be called back")
def unmasked(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from ()


@kind("row doubled by its job", "a key that stands twice")
def doubled(s: Sheet, rng: Random) -> Iterator[Damage]:
    yield from ()


# -- of one source, told by its table -------------------------------------------------------------------------------------


def field_of(s: Sheet, column: str) -> str | None:
    """The field that a column of bronze is made of, as it is."""
    return next((f for f in s.fields if bronze_of(s, f) == (column,)), None)


def both(s: Sheet, field: str) -> list[str]:
    """All columns of bronze with allowed values that a field shows in: Blue Gene's severity is its level as well."""
    shown = {("bgl", "severity"): ["level", "severity"]}.get((s.source.name, field))
    return shown if shown is not None else list(bronze_of(s, field))


def _at(place: str, damage: Damage) -> Damage:
    return Damage(damage.kind, damage.raw, damage.reasons, damage.record, damage.where, place, damage.row)
