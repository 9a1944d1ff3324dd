"""Bad raw files, each with its fate: which rows it gives, which records are set aside and why, or that it is set aside whole.

    python tests/corpus/make.py FOLDER        writes every file below FOLDER/raw/<source>/ and says what becomes of it

A record is a row or a reject, never both and never neither. A reject has its reason, the line of the file on which its
record begins, and the record's bytes; `header` and `unreadable` stand for the whole file. The same script makes the same
files every time.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.contract import Column, Source

Value = str | float | int | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is set aside: where it begins, its bytes, and its true length where fewer of them are kept."""

    reason: str
    line: int
    raw: bytes
    length: int | None = None

    @property
    def whole(self) -> bool:
        """Whether it stands for the whole file."""
        return self.reason.split(":")[0] in ("header", "unreadable")


@dataclass(frozen=True, slots=True)
class Case:
    """One file. The reason of an unreadable one begins with the expected words: the rest is the unpacker's own."""

    source: str
    path: str
    data: bytes | Callable[[], bytes]
    rows: tuple[tuple[Value, ...], ...] = ()
    rejects: tuple[Reject, ...] = ()

    def content(self) -> bytes:
        """The file's bytes."""
        return self.data if isinstance(self.data, bytes) else self.data()


def _source(name: str, format: str, options: dict[str, Any], **fields: str) -> Source:
    columns = tuple(Column(field, kind, required=False, description="") for field, kind in fields.items())
    return Source(f"raw.{name}", name, f"raw/{name}/**", format, options, columns)


TIMES = {"formats": {"time": "yyyy-MM-dd HH:mm:ss"}}
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        _source("readings", "delimited", {**TIMES, "missing": ["NA"]}, time="timestamp", value="double", count="int", note="string"),
        _source("berlin", "delimited", {**TIMES, "header": False, "zone": "Europe/Berlin"}, time="timestamp", note="string"),
        _source("berlin_later", "delimited", {**TIMES, "header": False, "zone": "Europe/Berlin", "fold": "later"}, time="timestamp", note="string"),
        _source(
            "italian",
            "delimited",
            {
                "delimiter": ";",
                "quote": None,
                "header": ["Data", "Valore"],
                "trailing": 2,
                "decimal": ",",
                "formats": {"day": "dd/MM/yyyy"},
                "longest": 64,
                "unpacked": {"most": 1000},
            },
            day="date",
            value="double",
        ),
        _source(
            "app",
            "lines",
            {
                "begins": r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] [A-Z]+ ",
                "pattern": r"\[(?P<time>[^\]]+)\] (?P<level>[A-Z]+) (?P<message>[^\n]*?)\r?(?:\n(?P<more>[\s\S]*))?",
                **TIMES,
            },
            time="timestamp",
            level="string",
            message="string",
            more="string",
        ),
        _source(
            "syslog",
            "lines",
            {
                "pattern": r"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<host>\S+) (?P<program>[^\s:\[]+)"
                r"(?:\[(?P<pid>\d+)\])?: (?P<message>.*)",
                "year": {"field": "time", "first": 2026, "rotated": r"-(\d{4})(\d\d)(\d\d)"},
                "formats": {"time": "yyyy MMM d HH:mm:ss"},
            },
            time="timestamp",
            host="string",
            program="string",
            pid="int",
            message="string",
        ),
        _source("events", "json_lines", TIMES, time="timestamp", value="double", count="bigint", note="string"),
        _source("events_open", "json_lines", {"unknown": {"field": "more"}, "longest": 64}, value="double", more="string"),
        _source("windows", "json_document", {**TIMES, "rows": ["series", "[]"]}, series="string", time="timestamp", value="double"),
        _source("answers", "json_document", {"rows": [".data", "[]"], "unknown": "ignore", "longest": 128}, value="double", note="string"),
        _source("tagged", "conll", {}, tokens="string", tags="string"),
        _source("tagged_words", "conll", {"separator": " ", "longest": 64}, tokens="string", parts="string", tags="string"),
    )
}

# readings: a header, two lines that are right, and the rows that they are
H = b"time,value,count,note\n"
A, ROW_A = b"2024-03-01 07:00:00,1.5,7,ok\n", ("2024-03-01 07:00:00", 1.5, 7, "ok")
B, ROW_B = b"2024-03-01 08:00:00,-2,8,well\n", ("2024-03-01 08:00:00", -2.0, 8, "well")
GOOD, GOOD_ROWS = H + A + B, (ROW_A, ROW_B)

ZSTD_WITH_CHECKSUM = bytes.fromhex(  # GOOD by zstd --check: Arrow's zstd writes no checksum
    "28b52ffd04583d0200d40374696d652c76616c75652c636f756e742c6e6f74650a323032342d30332d30312030373a30303a30302c312e352c372c6f"
    "6b382d322c382c77656c6c0a02002013020e050593bc9180"
)


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zst(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def flipped(data: bytes, at: int) -> bytes:
    """The bytes with one of them changed."""
    changed = bytearray(data)
    changed[at] ^= 0xFF
    return bytes(changed)


def readings(path: str, data: bytes | Callable[[], bytes], rows: tuple[tuple[Value, ...], ...] = (), *rejects: Reject) -> Case:
    return Case("readings", path, data, rows, rejects)


def aside(path: str, data: bytes | Callable[[], bytes], why: str) -> Case:
    """An archive that is set aside whole."""
    return Case("readings", path, data, (), (Reject(f"unreadable:{why}", 1, b""),))


def other_header(path: str, header: bytes, rest: bytes = A + B) -> Case:
    """A file that is set aside whole for its header."""
    return Case("readings", path, header + b"\n" + rest, (), (Reject("header", 1, header),))


def one(path: str, line: bytes, reason: str) -> Case:
    """A wrong line between two that are right."""
    return Case("readings", path, H + A + line + b"\n" + B, GOOD_ROWS, (Reject(reason, 3, line),))


def noted(path: str, line: bytes, note: str) -> Case:
    """A line between two others whose note looks odd and is right."""
    return Case("readings", path, H + A + line + b"\n" + B, (ROW_A, ("2024-03-01 07:30:00", 1.0, 1, note), ROW_B))


ENDED = "Compressed file ended before the end-of-stream marker"
BEFORE = b"2024-03-01 07:30:00,1,1,"

ARCHIVES = (
    readings("archives/good.csv.gz", gz(GOOD), GOOD_ROWS),
    readings("archives/good.csv.bz2", bz2.compress(GOOD), GOOD_ROWS),
    readings("archives/good.csv.zst", zst(GOOD), GOOD_ROWS),
    readings("archives/with a checksum.csv.zst", ZSTD_WITH_CHECKSUM, GOOD_ROWS),
    readings("archives/put together.csv.gz", gz(H + A) + gz(B), GOOD_ROWS),
    readings("archives/put together.csv.bz2", bz2.compress(H + A) + bz2.compress(B), GOOD_ROWS),
    readings("archives/put together.csv.zst", zst(H + A) + zst(B), GOOD_ROWS),
    readings("archives/empty.csv.gz", b""),
    readings("archives/packed nothing.csv.gz", gz(b"")),
    aside("archives/truncated.csv.gz", gz(GOOD)[:-9], ENDED),
    aside("archives/truncated.csv.bz2", bz2.compress(GOOD)[:-9], ENDED),
    aside("archives/truncated.csv.zst", zst(GOOD)[:-9], "Truncated compressed stream"),
    aside("archives/header cut.csv.gz", gz(GOOD)[:6], ENDED),
    aside("archives/second part cut.csv.gz", gz(H + A) + gz(B)[:-3], ENDED),
    aside("archives/second part cut.csv.bz2", bz2.compress(H + A) + bz2.compress(B)[:-3], ENDED),
    aside("archives/wrong checksum.csv.gz", flipped(gz(GOOD), -6), "CRC check failed"),
    aside("archives/wrong length.csv.gz", flipped(gz(GOOD), -1), "Incorrect length of data"),
    aside("archives/corrupt.csv.gz", flipped(gz(GOOD), 10), "Error -3 while decompressing"),
    aside("archives/corrupt.csv.bz2", flipped(bz2.compress(GOOD), 40), "Invalid data stream"),
    aside("archives/wrong checksum.csv.zst", flipped(ZSTD_WITH_CHECKSUM, 50), "ZSTD decompress failed"),
    aside("archives/corrupt.csv.zst", flipped(zst(GOOD), 2), "ZSTD decompress failed"),
    aside("archives/plain text.csv.gz", GOOD, "Not a gzipped file"),
    aside("archives/plain text.csv.bz2", GOOD, "Invalid data stream"),
    aside("archives/plain text.csv.zst", GOOD, "ZSTD decompress failed"),
    aside("archives/garbage behind.csv.gz", gz(GOOD) + b"garbage", "Not a gzipped file"),
    aside("archives/garbage behind.csv.bz2", bz2.compress(GOOD) + b"garbage", "Invalid data stream"),
    aside("archives/garbage behind.csv.zst", zst(GOOD) + b"garbage", "ZSTD decompress failed"),
    aside("archives/bomb.csv.gz", lambda: gz(H + b"0" * (65 * 1024**2)), ""),
    aside("archives/bomb.csv.bz2", lambda: bz2.compress(H + b"\n" * (65 * 1024**2)), ""),
    aside("archives/bomb.csv.zst", lambda: zst(H + b"0" * (65 * 1024**2)), ""),
    readings("archives/packed, not named so.csv", gz(GOOD), (), Reject("header", 1, gz(GOOD).split(b"\n")[0])),
    readings("archives/other packer.csv.xz", lzma.compress(GOOD), (), Reject("header", 1, lzma.compress(GOOD).split(b"\n")[0])),
    readings("archives/UPPER.CSV.GZ", gz(GOOD), (), Reject("header", 1, gz(GOOD).split(b"\n")[0])),
    readings("archives/packed twice.csv.gz", gz(gz(GOOD)), (), Reject("header", 1, gz(GOOD).split(b"\n")[0])),
)

SHAPES = (
    readings("shapes/empty.csv", b""),
    readings("shapes/header only.csv", H),
    readings("shapes/header only, no line end.csv", H[:-1]),
    readings("shapes/byte order mark only.csv", b"\xef\xbb\xbf"),
    readings("shapes/blank lines only.csv", b"\n\n\n", (), Reject("header", 1, b"")),
    readings("shapes/crlf.csv", GOOD.replace(b"\n", b"\r\n"), GOOD_ROWS),
    readings("shapes/crlf and lf mixed.csv", H + A.replace(b"\n", b"\r\n") + B, GOOD_ROWS),
    readings("shapes/no last line end.csv", GOOD[:-1], GOOD_ROWS),
    readings("shapes/byte order mark.csv", b"\xef\xbb\xbf" + GOOD, GOOD_ROWS),
    readings("shapes/cr only.csv", GOOD.replace(b"\n", b"\r"), (), Reject("header", 1, GOOD.replace(b"\n", b"\r"))),
    noted("shapes/lone cr.csv", BEFORE + b"a\rb", "a\rb"),
    noted("shapes/line ends of other alphabets.csv", BEFORE + "a\x85b\u2028c\x0bd".encode(), "a\x85b\u2028c\x0bd"),
    one("shapes/blank line.csv", b"", "empty_row"),
    one("shapes/delimiters only.csv", b" ,,,", "empty_row"),
    one("shapes/too few.csv", b"2024-03-01 07:30:00,1,1", "fields"),
    one("shapes/too many.csv", BEFORE + b"a,b", "fields"),
    one("shapes/delimiter at the end.csv", BEFORE + b"a,", "fields"),
    readings("shapes/cut off.csv", GOOD + BEFORE[:-4], GOOD_ROWS, Reject("fields", 4, BEFORE[:-4])),
    one("shapes/put together.csv", H[:-1], "header_again"),
    one("shapes/put together with its mark.csv", b"\xef\xbb\xbf" + H[:-1], "not_a_timestamp:time;not_a_number:value;not_a_number:count"),
)

HEADERS = (
    other_header("headers/one more.csv", b"time,value,count,note,more"),
    other_header("headers/one less.csv", b"time,value,count"),
    other_header("headers/reordered.csv", b"time,count,value,note"),
    other_header("headers/renamed.csv", b"time,value,count,remark"),
    other_header("headers/duplicated.csv", b"time,value,count,count"),
    other_header("headers/other case.csv", b"Time,VALUE,count,note"),
    other_header("headers/blanks.csv", b"time, value, count, note"),
    other_header("headers/other delimiter.csv", b"time;value;count;note"),
    other_header("headers/none.csv", A[:-1], B),
    other_header("headers/blank line before.csv", b"", H + A),
    other_header("headers/unclosed quote.csv", b'time,value,count,"note'),
    other_header("headers/nul.csv", b"\0\0\0\0" + H[:-1]),
    readings("headers/quoted.csv", b'"time","value","count","note"\n' + A + B, GOOD_ROWS),
)


def stray_quote_above_doubled_ones() -> bytes:
    """1.2 MB: more than the look-ahead, and a minute of work for a reader that parses it anew with every line."""
    return H + BEFORE + b'"never closed\n' + (BEFORE + b'a ""b"" ' + b"x" * 76 + b"\n") * 11_000


QUOTES = (
    noted("quotes/doubled.csv", BEFORE + b'"a ""b"", c"', 'a "b", c'),
    noted("quotes/two lines.csv", BEFORE + b'"a\r\nb\n"', "a\r\nb\n"),
    noted("quotes/within a cell.csv", BEFORE + b'5" pipe', '5" pipe'),
    noted("quotes/typographic.csv", BEFORE + "“a”".encode(), "“a”"),
    noted("quotes/single.csv", BEFORE + b"'a'", "'a'"),
    noted("quotes/empty.csv", BEFORE + b'""', ""),
    one("quotes/text behind.csv", BEFORE + b'"a"b', "quote"),
    one("quotes/backslash.csv", BEFORE + rb'"a \"b\" c"', "quote"),
    one("quotes/single, with a delimiter.csv", BEFORE + b"'a,b'", "fields"),
    one("quotes/blank before.csv", BEFORE + b' "a,b"', "fields"),
    one("quotes/never closed.csv", BEFORE + b'"a', "quote"),
    readings("quotes/never closed, at the end.csv", GOOD + BEFORE + b'"a', GOOD_ROWS, Reject("quote", 4, BEFORE + b'"a')),
    readings("quotes/last byte.csv", GOOD + BEFORE + b'"', GOOD_ROWS, Reject("quote", 4, BEFORE + b'"')),
    readings(
        "quotes/closed wrongly by another row.csv",
        H + BEFORE + b'"a\n' + A + BEFORE + b'"b"\n' + B,
        (ROW_B,),
        Reject("quote", 2, BEFORE + b'"a\n' + A + BEFORE + b'"b"'),
    ),
    readings(
        "quotes/closed too late.csv",
        H + BEFORE + b'"a\n' + A + b'1,2"\n' + B,  # nothing tells it from a cell of three lines
        (("2024-03-01 07:30:00", 1.0, 1, "a\n" + A.decode() + "1,2"), ROW_B),
    ),
    readings(
        "quotes/above doubled ones.csv",
        stray_quote_above_doubled_ones,
        (("2024-03-01 07:30:00", 1.0, 1, 'a ""b"" ' + "x" * 76),) * 11_000,
        Reject("quote", 2, BEFORE + b'"never closed'),
    ),
)

SIXTEEN = A.decode().encode("utf-16-le")
ENCODINGS = (
    noted("encodings/utf-8.csv", BEFORE + "é 微 \U0001f600".encode(), "é 微 \U0001f600"),
    one("encodings/latin-1.csv", BEFORE + b"caf\xe9", "encoding"),
    one("encodings/windows-1252.csv", BEFORE + b"\x93a\x94", "encoding"),
    one("encodings/surrogate.csv", BEFORE + b"\xed\xa0\x80", "encoding"),
    one("encodings/overlong.csv", BEFORE + b"\xc0\xaf", "encoding"),
    one("encodings/within quotes.csv", BEFORE + b'"caf\xe9\nau lait"', "encoding"),
    readings("encodings/cut within a letter.csv", GOOD + BEFORE + b"caf\xc3", GOOD_ROWS, Reject("encoding", 4, BEFORE + b"caf\xc3")),
    readings("encodings/utf-16.csv", GOOD.decode().encode("utf-16"), (), Reject("header", 1, GOOD.decode().encode("utf-16").split(b"\n")[0])),
    readings("encodings/utf-16-be.csv", GOOD.decode().encode("utf-16-be"), (), Reject("header", 1, b"\0" + H[:-1].decode().encode("utf-16-le"))),
    readings(
        "encodings/utf-16 behind utf-8.csv",
        GOOD + SIXTEEN * 2,
        GOOD_ROWS,
        Reject("nul", 4, SIXTEEN[:-2]),
        Reject("nul", 5, b"\0" + SIXTEEN[:-2]),
        Reject("nul", 6, b"\0"),
    ),
    one("encodings/nul in text.csv", BEFORE + b"a\0b", "nul"),
    one("encodings/nul in a number.csv", b"2024-03-01 07:30:00,1\x000,1,a", "nul"),
    one("encodings/nul within quotes.csv", BEFORE + b'"a\n\0"', "nul"),
    readings("encodings/hole at the end.csv", GOOD + b"\0" * 4096, GOOD_ROWS, Reject("nul", 4, b"\0" * 4096)),
)


def number(path: str, cell: bytes, reason: str) -> Case:
    return one(f"numbers/{path}.csv", b"2024-03-01 07:30:00," + cell + b",1,a", f"{reason}:value")


def count(path: str, cell: bytes, reason: str) -> Case:
    return one(f"numbers/{path}.csv", b"2024-03-01 07:30:00,1," + cell + b",a", f"{reason}:count")


def valued(path: str, cell: bytes, value: float | None) -> Case:
    line = b"2024-03-01 07:30:00," + cell + b",1,a\n"
    return readings(f"numbers/{path}.csv", H + A + line + B, (ROW_A, ("2024-03-01 07:30:00", value, 1, "a"), ROW_B))


NUMBERS = (
    number("nan", b"NaN", "not_a_number"),
    number("infinity", b"Infinity", "not_a_number"),
    number("minus inf", b"-inf", "not_a_number"),
    number("too large", b"1e999", "out_of_range"),
    number("too large, minus", b"-1e309", "out_of_range"),
    number("hexadecimal", b"0x10", "not_a_number"),
    number("java's suffix", b"1.5d", "not_a_number"),
    number("underscore", b"1_000", "not_a_number"),
    number("thousands", b'"1,000"', "not_a_number"),
    number("other digits", "１".encode(), "not_a_number"),
    number("unit", b"21 C", "not_a_number"),
    number("word", b"n/a", "not_a_number"),
    count("beyond int", b"2147483648", "out_of_range"),
    count("beyond bigint", b"9" * 30, "out_of_range"),
    count("fraction", b"7.0", "not_a_number"),
    count("power of ten", b"1e3", "not_a_number"),
    valued("empty", b"", None),
    valued("missing", b"NA", None),
    valued("padded", b"  1.25 ", 1.25),
    valued("plus", b"+.5", 0.5),
    valued("too small", b"1e-999", 0.0),
    valued("largest", b"1.7976931348623157e308", 1.7976931348623157e308),
    one("numbers/all wrong.csv", b"x,y,z,a", "not_a_timestamp:time;not_a_number:value;not_a_number:count"),
)


def timed(path: str, cell: bytes) -> Case:
    return one(f"times/{path}.csv", cell + b",1,1,a", "not_a_timestamp:time")


TIMES_WRONG = (
    timed("no such day", b"2024-02-30 07:30:00"),
    timed("no leap year", b"2023-02-29 07:30:00"),
    timed("hour 24", b"2024-03-01 24:00:00"),
    timed("leap second", b"2016-12-31 23:59:60"),
    timed("month 13", b"2024-13-01 07:30:00"),
    timed("day first", b"01/03/2024 07:30"),
    timed("iso", b"2024-03-01T07:30:00Z"),
    timed("no seconds", b"2024-03-01 07:30"),
    timed("one digit", b"2024-3-1 7:30:00"),
    timed("text behind", b"2024-03-01 07:30:00 foo"),
    timed("year 0", b"0000-03-01 07:30:00"),
    timed("seconds since 1970", b"1709278200"),
    readings("times/out of order.csv", H + B + A, (ROW_B, ROW_A)),
    readings("times/repeated.csv", H + A + A + B, (ROW_A, ROW_A, ROW_B)),
    Case(
        "berlin",
        "set forward.csv",
        b"2024-03-31 01:59:59,a\n2024-03-31 02:00:00,b\n2024-03-31 02:59:59,c\n2024-03-31 03:00:00,d\n",
        (("2024-03-31 00:59:59", "a"), ("2024-03-31 01:00:00", "d")),
        (Reject("no_such_time:time", 2, b"2024-03-31 02:00:00,b"), Reject("no_such_time:time", 3, b"2024-03-31 02:59:59,c")),
    ),
    Case(
        "berlin",
        "set back.csv",
        b"2024-10-27 01:59:59,a\n2024-10-27 02:00:00,b\n2024-10-27 02:59:59,c\n2024-10-27 03:00:00,d\n2024-02-30 00:00:00,e\n",
        (("2024-10-26 23:59:59", "a"), ("2024-10-27 02:00:00", "d")),
        (
            Reject("ambiguous_time:time", 2, b"2024-10-27 02:00:00,b"),
            Reject("ambiguous_time:time", 3, b"2024-10-27 02:59:59,c"),
            Reject("not_a_timestamp:time", 5, b"2024-02-30 00:00:00,e"),
        ),
    ),
    Case(
        "berlin_later",
        "set back.csv",
        b"2024-10-27 01:59:59,a\n2024-10-27 02:30:00,b\n2024-10-27 03:00:00,c\n2024-03-31 02:30:00,d\n",
        (("2024-10-26 23:59:59", "a"), ("2024-10-27 01:30:00", "b"), ("2024-10-27 02:00:00", "c")),
        (Reject("no_such_time:time", 4, b"2024-03-31 02:30:00,d"),),
    ),
)

NAMES = tuple(
    readings(f"names/{name}", GOOD, GOOD_ROWS)
    for name in (
        "with blanks.csv",
        " blank before.csv",
        "50%2F50.csv",
        "100%.csv",
        "hash#tag.csv",
        "what?.csv",
        "a&b=c;d+e.csv",
        "two..dots.csv",
        "up../dots behind.csv",
        "back`tick.csv",
        'it\'s "quoted".csv',
        "back\\slash.csv",
        "{brace}[1]*.csv",
        "$HOME.csv",
        "new\nline.csv",
        "_under.csv",
        "-rf.csv",
        "a:b.csv",
        "déjà vu 微博.csv",
        "day=2024-03-01/part.csv",
    )
)

# italian: unquoted, decimal commas, two empty cells behind, a record of 64 bytes, an archive of 1,000
IH = b"Data;Valore;;\n"
IA, IROW = b"01/03/2004;1,5;;\n", ("2004-03-01", 1.5)


def italian(path: str, line: bytes, reason: str) -> Case:
    return Case("italian", path, IH + IA + line + b"\n" + IA, (IROW, IROW), (Reject(reason, 3, line),))


ITALIAN = (
    italian("decimal point.csv", b"02/03/2004;1.5;;", "not_a_number:value"),
    italian("too few.csv", b"02/03/2004;1,5;", "fields"),
    italian("cell behind.csv", b"02/03/2004;1,5;x;", "fields"),
    italian("delimiters only.csv", b";;;", "empty_row"),
    italian("no such day.csv", b"31/02/2004;1,5;;", "not_a_date:day"),
    italian("quoted.csv", b'"02/03/2004";1,5;;', "not_a_date:day"),
    Case(
        "italian",
        "long line.csv",
        IH + IA + b"x" * 65 + b"\n" + IA,
        (IROW, IROW),
        (Reject("too_long", 3, b"x" * 64, 65),),
    ),
    Case("italian", "long line at the end.csv", IH + IA + b"x" * 5000, (IROW,), (Reject("too_long", 3, b"x" * 64, 5000),)),
    Case("italian", "long header.csv", b"x" * 100 + b"\n" + IA, (), (Reject("header", 1, b"x" * 64, 100),)),
    Case("italian", "large archive.csv.gz", gz(IH + IA * 60), (), (Reject("unreadable:", 1, b""),)),
    Case("italian", "small archive.csv.gz", gz(IH + IA * 50), (IROW,) * 50),
)

# app: events of several lines
E1, EVENT_1 = b"[2016-12-19 16:00:01] INFO starts\n", ("2016-12-19 16:00:01", "INFO", "starts", None)
E2, EVENT_2 = b"[2016-12-19 16:00:02] ERROR fails\n", ("2016-12-19 16:00:02", "ERROR", "fails", None)
TRACE = b"java.io.IOException: gone\n\tat kafka.log.Log\n\tat kafka.Main\n"
EVENT_2_TRACE = ("2016-12-19 16:00:02", "ERROR", "fails", TRACE.decode()[:-1])
MEGA_20 = 20 * 1024**2
KEPT = 16 * 1024**2


def app(path: str, data: bytes | Callable[[], bytes], rows: tuple[tuple[Value, ...], ...], *rejects: Reject) -> Case:
    return Case("app", path, data, rows, rejects)


LOGS = (
    app("empty.log", b"", ()),
    app("events.log", E1 + E2 + TRACE + E1, (EVENT_1, EVENT_2_TRACE, EVENT_1)),
    app("trace without a head.log", TRACE + E1, (EVENT_1,), Reject("no_begin", 1, TRACE[:-1])),
    app("nothing but a trace.log", TRACE, (), Reject("no_begin", 1, TRACE[:-1])),
    app("trace cut off.log", E1 + E2 + TRACE[:40], (EVENT_1, (*EVENT_2[:3], TRACE.decode()[:40]))),
    app("head cut off.log", E1 + E2[:15], ((*EVENT_1[:3], E2.decode()[:15]),)),
    app("head cut off, alone.log", E2[:15], (), Reject("no_begin", 1, E2[:15])),
    app("no last line end.log", E1 + E2[:-1], (EVENT_1, EVENT_2)),
    app("crlf.log", (E1 + E2).replace(b"\n", b"\r\n"), (EVENT_1, EVENT_2)),
    app("blank lines only.log", b"\n\r\n\n", (), Reject("no_begin", 1, b"\n\r\n")),
    app("blank lines before.log", b"\n\n" + E1, (EVENT_1,), Reject("no_begin", 1, b"\n")),
    app("blank line within.log", E2 + b"\n" + E1, ((*EVENT_2[:3], ""), EVENT_1)),
    app("byte order mark.log", b"\xef\xbb\xbf" + E1 + E2, (EVENT_1, EVENT_2)),
    app("put together.log", E1 + b"\xef\xbb\xbf" + E2 + E1, (EVENT_1, EVENT_1), Reject("pattern", 2, b"\xef\xbb\xbf" + E2[:-1])),
    app("latin-1 in a trace.log", E1 + E2 + b"caf\xe9\n" + E1, (EVENT_1, EVENT_1), Reject("encoding", 2, E2 + b"caf\xe9")),
    app("nul.log", E1 + E2 + b"\0\0\n" + E1, (EVENT_1, EVENT_1), Reject("nul", 2, E2 + b"\0\0")),
    app("hole at the start.log", b"\0" * 512 + E1 + E2, (EVENT_2,), Reject("no_begin", 1, b"\0" * 512 + E1[:-1])),
    app("utf-16.log", (E1 + E2).decode().encode("utf-16"), (), Reject("no_begin", 1, (E1 + E2).decode().encode("utf-16"))),
    app("no such time.log", E1 + b"[2016-02-30 16:00:00] INFO a\n", (EVENT_1,), Reject("not_a_timestamp:time", 2, b"[2016-02-30 16:00:00] INFO a")),
    app("separators in a message.log", E1[:-1] + "\u2028\x85\r\x1b[0m\n".encode(), ((*EVENT_1[:2], "starts\u2028\x85\r\x1b[0m", None),)),
    app("out of order, repeated.log", E2 + E1 + E1, (EVENT_2, EVENT_1, EVENT_1)),
    app("truncated.log.gz", gz(E1 + E2)[:-4], (), Reject(f"unreadable:{ENDED}", 1, b"")),
    app(
        "long line.log",
        lambda: E1 + E2[:-1] + b"x" * MEGA_20 + b"\n" + E1,
        (EVENT_1, EVENT_1),
        Reject("too_long", 2, E2[:-1] + b"x" * (KEPT - len(E2) + 1), MEGA_20 + len(E2) - 1),
    ),
    app(
        "long event.log",
        lambda: E1 + E2 + (b"x" * 1023 + b"\n") * (MEGA_20 // 1024) + E1,
        (EVENT_1, EVENT_1),
        Reject("too_long", 2, (E2 + (b"x" * 1023 + b"\n") * (KEPT // 1024))[:KEPT], MEGA_20 + len(E2) - 1),
    ),
)


# syslog: a line per event, times without a year
def said(time: str, year: int, month: int) -> tuple[bytes, tuple[Value, ...]]:
    row = (f"{year}-{month:02}-{time[4:6].strip():0>2} {time[7:]}", "gate", "sshd", 7, "hello")
    return f"{time} gate sshd[7]: hello\n".encode(), row


def syslog(path: str, *lines: tuple[bytes, tuple[Value, ...] | str]) -> Case:
    """Lines with the row or the reason of each."""
    data = b"".join(line for line, _ in lines)
    rows = tuple(fate for _, fate in lines if not isinstance(fate, str))
    rejects = tuple(Reject(fate, n, line.rstrip(b"\n")) for n, (line, fate) in enumerate(lines, 1) if isinstance(fate, str))
    return Case("syslog", path, data, rows, rejects)


SYSLOGS = (
    syslog("auth.log", said("Mar  1 07:00:00", 2026, 3), said("Mar 27 13:06:56", 2026, 3)),
    syslog("new year.log", said("Dec 31 23:59:59", 2026, 12), said("Jan  1 00:00:00", 2027, 1)),
    syslog("auth.log-20260105", said("Dec 31 23:59:59", 2025, 12), said("Jan  1 00:00:00", 2026, 1)),
    syslog("late.log", said("Dec 31 23:59:59", 2026, 12), said("Jan  1 00:00:00", 2027, 1), said("Dec 31 23:59:58", 2026, 12)),
    syslog("no leap year.log", said("Feb 28 00:00:00", 2026, 2), (b"Feb 29 00:00:00 gate sshd[7]: hello\n", "not_a_timestamp:time")),
    syslog("leap year.log-20240301", said("Feb 29 00:00:00", 2024, 2)),
    syslog("other month.log", (b"Mai  1 00:00:00 gate sshd[7]: hello\n", "not_a_timestamp:time"), said("May  1 00:00:00", 2026, 5)),
    syslog("no syslog.log", said("Mar  1 07:00:00", 2026, 3), (b"--- log rotated ---\n", "pattern"), (b"\n", "empty_row"), (b" \t\n", "empty_row")),
    syslog("large pid.log", (b"Mar  1 07:00:00 gate sshd[99999999999]: hello\n", "out_of_range:pid"), said("Mar  1 07:00:01", 2026, 3)),
    syslog("nul.log", (b"Mar  1 07:00:00 gate sshd[7]: he\0llo\n", "nul"), said("Mar  1 07:00:01", 2026, 3)),
    syslog("latin-1.log", (b"Mar  1 07:00:00 gate sshd[7]: caf\xe9\n", "encoding"), said("Mar  1 07:00:01", 2026, 3)),
    syslog("blank lines only.log", (b"\n", "empty_row"), (b"\n", "empty_row")),
)

# events: JSON Lines
J1, EVENT_J1 = b'{"time":"2024-03-01 07:00:00","value":1.5,"count":7,"note":"ok"}\n', ("2024-03-01 07:00:00", 1.5, 7, "ok")
J2, EVENT_J2 = b'{"note":"well","count":8,"value":-2e0,"time":"2024-03-01 08:00:00"}\n', ("2024-03-01 08:00:00", -2.0, 8, "well")


def event(path: str, line: bytes, reason: str) -> Case:
    """A wrong line between two that are right."""
    return Case("events", path, J1 + line + b"\n" + J2, (EVENT_J1, EVENT_J2), (Reject(reason, 2, line),))


def said_of(path: str, line: bytes, row: tuple[Value, ...]) -> Case:
    """A line between two others that looks odd and is right."""
    return Case("events", path, J1 + line + b"\n" + J2, (EVENT_J1, row, EVENT_J2))


EVENTS = (
    Case("events", "empty.json", b""),
    Case("events", "byte order mark.json", b"\xef\xbb\xbf" + J1 + J2, (EVENT_J1, EVENT_J2)),
    Case("events", "crlf, no last line end.json", J1[:-1] + b"\r\n" + J2[:-1], (EVENT_J1, EVENT_J2)),
    Case("events", "packed.json.gz", gz(J1 + J2), (EVENT_J1, EVENT_J2)),
    Case("events", "truncated.json.gz", gz(J1 + J2)[:-9], (), (Reject(f"unreadable:{ENDED}", 1, b""),)),
    Case("events", "cut off.json", J1 + J2[:30], (EVENT_J1,), (Reject("json", 2, J2[:30]),)),
    Case("events", "put together.json", J1 + b"\xef\xbb\xbf" + J2, (EVENT_J1,), (Reject("json", 2, b"\xef\xbb\xbf" + J2[:-1]),)),
    Case(
        "events", "utf-16.json", J1.decode().encode("utf-16"), (), (Reject("encoding", 1, J1.decode().encode("utf-16")[:-2]), Reject("nul", 2, b"\0"))
    ),
    Case("events", "hole at the end.json", J1 + b"\0" * 4096, (EVENT_J1,), (Reject("nul", 2, b"\0" * 4096),)),
    said_of("nothing in it.json", b"{}", (None, None, None, None)),
    said_of("null.json", b'{"value":null,"note":null}', (None, None, None, None)),
    said_of("blanks.json", b' { "note" : "a" }\t', (None, None, None, "a")),
    said_of("escapes.json", b'{"note":"a\\n\\u00e9\\ud83d\\ude00\\/"}', (None, None, None, "a\n\u00e9\U0001f600/")),
    said_of("line ends of other alphabets.json", '{"note":"a\x85\u2028b"}'.encode(), (None, None, None, "a\x85\u2028b")),
    said_of("an object as text.json", b'{"note":{"a": [1, 2.50]}}', (None, None, None, '{"a":[1,2.50]}')),
    said_of("a number as text.json", b'{"note":12345678901234567890.10}', (None, None, None, "12345678901234567890.10")),
    said_of("largest bigint.json", b'{"count":9223372036854775807}', (None, None, 2**63 - 1, None)),
    said_of("text as a number.json", b'{"value":"1.25"}', (None, 1.25, None, None)),
    event("blank line.json", b"", "empty_row"),
    event("no json.json", b"time=1", "json"),
    event("python's.json", b"{'note': 'a'}", "json"),
    event("two values.json", b'{"note":"a"}{"note":"b"}', "json"),
    event("garbage behind.json", b'{"note":"a"} x', "json"),
    event("comma behind.json", b'{"note":"a",}', "json"),
    event("comment.json", b'{"note":"a"} // b', "json"),
    event("an array.json", b'[{"note":"a"}]', "not_an_object"),
    event("a number.json", b"7", "not_an_object"),
    event("name twice.json", b'{"value":1,"value":2}', "duplicate_key:value"),
    event("name twice, within.json", b'{"note":{"a":1,"a":1}}', "duplicate_key:a"),
    event("other case.json", b'{"Value":1}', "key_case:Value"),
    event("unknown name.json", b'{"value":1,"unit":"C"}', "unknown_key:unit"),
    event("nan.json", b'{"value":NaN}', "not_json_number"),
    event("infinity.json", b'{"value":-Infinity}', "not_json_number"),
    event("too large.json", b'{"value":1e999}', "out_of_range:value"),
    event("beyond bigint.json", b'{"count":9223372036854775808}', "out_of_range:count"),
    event("digits without end.json", b'{"count":' + b"9" * 5000 + b"}", "out_of_range:count"),  # Python's int() takes 4,300
    event("fraction.json", b'{"count":7.0}', "not_a_number:count"),
    event("a word for a number.json", b'{"value":true}', "not_a_number:value"),
    event("an array for a number.json", b'{"value":[1]}', "not_a_number:value"),
    event("no such day.json", b'{"time":"2024-02-30 00:00:00"}', "not_a_timestamp:time"),
    event("nul.json", b'{"note":"a\\u0000b"}', "nul"),
    event("half a pair.json", b'{"note":"\\ud83d"}', "surrogate"),
    event("latin-1.json", b'{"note":"caf\xe9"}', "encoding"),
    event("line end in text.json", b'{"note":"a\tb"}', "json"),
    event("depth bomb.json", b'{"note":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "depth"),
    Case(
        "events_open",
        "more.json",
        b'{"value":1,"b":{"c": 1.0},"a":"x"}\n{"value":2}\n{"VALUE":3}\n{"value":4,"note":"' + b"x" * 60 + b'"}\n{"more":5}\n',
        ((1.0, '{"b":{"c":1.0},"a":"x"}'), (2.0, None), (None, '{"more":5}')),
        (Reject("key_case:VALUE", 3, b'{"VALUE":3}'), Reject("too_long", 4, (b'{"value":4,"note":"' + b"x" * 60)[:64], 81)),
    ),
)

# windows, answers: JSON documents
WINDOWS = b"""{
  "a": [["2024-03-01 07:00:00", 1.5], ["2024-03-01 08:00:00", -2]],
  "b": [],
  "c": [
    ["2024-03-01 09:00:00", null]
  ]
}
"""
WINDOW_ROWS = (("a", "2024-03-01 07:00:00", 1.5), ("a", "2024-03-01 08:00:00", -2.0), ("c", "2024-03-01 09:00:00", None))


def no_document(path: str, data: bytes, reason: str) -> Case:
    """A document that is set aside whole."""
    return Case("windows", path, data, (), (Reject(reason, 1, data.removesuffix(b"\n")),))


DOCUMENTS = (
    Case("windows", "windows.json", WINDOWS, WINDOW_ROWS),
    Case("windows", "byte order mark.json", b"\xef\xbb\xbf" + WINDOWS, WINDOW_ROWS),
    Case("windows", "on one line.json", WINDOWS.replace(b"\n", b""), WINDOW_ROWS),
    Case("windows", "crlf.json.bz2", bz2.compress(WINDOWS.replace(b"\n", b"\r\n")), WINDOW_ROWS),
    Case("windows", "empty.json", b""),
    Case("windows", "nothing in it.json", b"{}\n"),
    no_document("blank.json", b" \n\n", "json"),
    no_document("cut off.json", WINDOWS[:-4], "json"),
    no_document("garbage behind.json", WINDOWS + b"x\n", "json"),
    no_document("put together.json", WINDOWS + WINDOWS, "json"),
    no_document("no comma.json", WINDOWS.replace(b"[],", b"[]"), "json"),
    no_document("depth bomb.json", b'{"a":' * 50_000, "depth"),
    no_document("nul.json", WINDOWS + b"\0" * 64, "nul"),
    no_document("latin-1.json", WINDOWS.replace(b'"b"', b'"\xe9"'), "encoding"),
    Case("windows", "an array.json", b"[1, 2]\n", (), (Reject("rows", 1, b"[1, 2]"),)),
    Case(
        "windows",
        "wrong records.json",
        b'{"a": [["2024-03-01 07:00:00", 1.5],\n["x", 1], ["2024-03-01 07:00:00"],\n["2024-03-01 07:00:00", 1e999], [null, NaN]],\n"b": 7, "a": []}',
        (("a", "2024-03-01 07:00:00", 1.5),),
        (
            Reject("not_a_timestamp:time", 2, b'["x", 1]'),
            Reject("fields", 2, b'["2024-03-01 07:00:00"]'),
            Reject("out_of_range:value", 3, b'["2024-03-01 07:00:00", 1e999]'),
            Reject("not_json_number", 3, b"[null, NaN]"),
            Reject("rows", 4, b"7"),
            Reject("duplicate_key:a", 4, b"[]"),
        ),
    ),
    Case(
        "answers",
        "page 1.json",
        '{"next": {"data": 2}, "data": [{"value": 1, "id": 7},\n{"note": "é"}, {"Note": "x"}]}'.encode(),
        ((1.0, None), (None, "é")),
        (Reject("key_case:Note", 2, b'{"Note": "x"}'),),
    ),
    Case("answers", "an error.json", b'{"error": "gone"}\n', (), (Reject("rows", 1, b'{"error": "gone"}'),)),
    Case(
        "answers", "too long.json", b'{"data": [' + b"1,\n" * 50 + b"1]}\n", (), (Reject("too_long", 1, (b'{"data": [' + b"1,\n" * 50)[:128], 163),)
    ),
)

# tagged: CoNLL
S1, SENTENCE_1 = b"Eve\tB-person\nhums\tO\n\n", ("Eve hums", "B-person O")
S2, SENTENCE_2 = b"lol\tO\n\n", ("lol", "O")


def tagged(path: str, sentence: bytes, reason: str) -> Case:
    """A wrong sentence between two that are right."""
    return Case("tagged", path, S1 + sentence + b"\n\n" + S2, (SENTENCE_1, SENTENCE_2), (Reject(reason, 4, sentence),))


TAGGED = (
    Case("tagged", "empty.conll", b""),
    Case("tagged", "blank lines only.conll", b"\n\t\n \n"),
    Case("tagged", "sentences.conll", S1 + S2, (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "many blank lines.conll", b"\n\n" + S1 + b"\n \t\n" + S2 + b"\n", (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "no last line end.conll", S1 + S2[:-2], (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "crlf.conll", (S1 + S2).replace(b"\n", b"\r\n"), (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "byte order mark.conll", b"\xef\xbb\xbf" + S1 + S2, (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "packed.conll.zst", zst(S1 + S2), (SENTENCE_1, SENTENCE_2)),
    Case("tagged", "no-break space.conll", "a\u00a0b\tO\n\u3000\tO\n".encode(), (("a\u00a0b \u3000", "O O"),)),
    tagged("no tag.conll", b"a\tO\nb\nc\tO", "no_tag"),
    tagged("empty tag.conll", b"a\t", "no_tag"),
    tagged("mark on a line of its own.conll", b"a\tO\n\xef\xbb\xbf", "no_tag"),
    tagged("no token.conll", b"a\tO\n\tO", "no_token"),
    tagged("a column more.conll", b"a\tNN\tO", "columns"),
    tagged("separated by a blank.conll", b"a O", "no_tag"),
    tagged("blank in a token.conll", b"New York\tO", "space"),
    tagged("blank behind.conll", b"a\tO ", "space"),
    tagged("latin-1.conll", b"a\tO\ncaf\xe9\tO", "encoding"),
    tagged("nul.conll", b"a\0\tO", "nul"),
    Case("tagged", "cut off.conll", S1 + b"a\tO\nb", (SENTENCE_1,), (Reject("no_tag", 4, b"a\tO\nb"),)),
    Case(
        "tagged_words",
        "long sentence.conll",
        b"EU NNP B-ORG\nrejects VBZ O\n\n" + b"a DT O\n" * 1000 + b"\na DT O\n",
        (("EU rejects", "NNP VBZ", "B-ORG O"), ("a", "DT", "O")),
        (Reject("too_long", 4, (b"a DT O\n" * 10)[:64], 6999),),
    ),
    Case("tagged_words", "long token.conll", b"x" * 100 + b" DT O\n\na DT O\n", (("a", "DT", "O"),), (Reject("too_long", 1, b"x" * 64, 105),)),
)

CASES: tuple[Case, ...] = (
    *ARCHIVES,
    *SHAPES,
    *HEADERS,
    *QUOTES,
    *ENCODINGS,
    *NUMBERS,
    *TIMES_WRONG,
    *NAMES,
    *ITALIAN,
    *LOGS,
    *SYSLOGS,
    *EVENTS,
    *DOCUMENTS,
    *TAGGED,
)


def write(folder: Path) -> None:
    """Every file of the corpus below folder/raw/<source>/."""
    for case in CASES:
        path = folder / "raw" / case.source / case.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.content())


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("python tests/corpus/make.py FOLDER")
    write(Path(sys.argv[1]))
    for case in CASES:
        reasons = ", ".join(sorted({reject.reason.split(":")[0] for reject in case.rejects}))
        print(f"{case.source + '/' + case.path!r:62}{len(case.rows):>7} rows{len(case.rejects):>4} rejects  {reasons}")


if __name__ == "__main__":
    main()
