"""Delimited rows, quoted and not."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.sources import delimited
from lake.sources.records import NO_RECORD

BARE: dict[str, Any] = {"header": False}


def read(data: bytes, options: dict[str, Any], fields: tuple[str, ...] = ("a", "b")) -> list[tuple[tuple[str | None, ...] | None, str | None]]:
    return [(None if r.problem else r.fields, r.problem) for r in delimited.records(io.BytesIO(data), options, fields)]


def test_quoted_row_over_several_lines_keeps_its_place() -> None:
    data = b'\xef\xbb\xbfa,b\r\n"one, ""two""\r\nthree",x\r\nfour,y\r\n'
    rows = list(delimited.records(io.BytesIO(data), {}, ("a", "b")))
    assert [r.fields for r in rows] == [('one, "two"\r\nthree', "x"), ("four", "y")]
    assert [(r.line, r.lines, data[r.offset : r.offset + r.length]) for r in rows] == [
        (2, 2, b'"one, ""two""\r\nthree",x'),
        (4, 1, b"four,y"),
    ]


def test_unquoted_text_may_hold_quotes_and_next_line_marks() -> None:
    options = {"delimiter": "\t", "quote": None, "header": False}
    assert read('ham\t"so he\x85 said\r\nspam\tfree\n'.encode(), options) == [
        (("ham", '"so he\x85 said'), None),
        (("spam", "free"), None),
    ]


def test_decimal_rows_with_empty_trailing_cells() -> None:
    options = {"delimiter": ";", "quote": None, "header": ["A", "B(GT)"], "trailing": 2}
    assert read(b"A;B(GT);;\n1,5;2;;\n;;;\n1;2;3;\n1;2\n", options) == [
        (("1,5", "2"), None),
        (None, "empty_row"),
        (None, "fields"),
        (None, "fields"),
    ]


def test_header_may_name_fewer_columns_than_rows_have() -> None:
    assert read(b'"date"\n"1","2015"\n', {"header": ["date"]}) == [(("1", "2015"), None)]


@pytest.mark.parametrize("header", [b"b,a\n", b"a,b,c\n", b"A,b\n", b"\n", b"1,2\n", b"a,\xff\n"])
def test_other_header_sets_the_whole_file_aside(header: bytes) -> None:
    rows = list(delimited.records(io.BytesIO(header + b"1,2\n3,4\n"), {}, ("a", "b")))
    assert [(r.problem, r.fields, r.raw + b"\n") for r in rows] == [("header", (None, None), header)]


def test_stray_quote_rejects_its_own_line_only(monkeypatch: pytest.MonkeyPatch, must_reconcile: Any) -> None:
    assert read(b'1,2\n"3,4\n5,6\n7,8\n', BARE) == [
        (("1", "2"), None),
        (None, "quote"),
        (("5", "6"), None),
        (("7", "8"), None),
    ]
    monkeypatch.setattr(delimited, "LOOK_AHEAD", 8)
    rows = must_reconcile(delimited, b'"3,4\n5,6\n7,8\n9,0\n"a\nb",c\n', BARE, ("a", "b"))
    assert [r.problem for r in rows] == ["quote", None, None, None, None]


def test_text_after_a_closing_quote_is_no_row() -> None:
    assert read(b'"a"b,c\n"d",e\n', BARE) == [(None, "quote"), (("d", "e"), None)]


def test_wrong_bytes_are_kept() -> None:
    (row,) = delimited.records(io.BytesIO(b"a,\xe9\n"), BARE, ("a", "b"))
    assert (row.problem, row.raw) == ("encoding", b"a,\xe9")
    assert read(b"a,\xe9\n", {**BARE, "encoding": "latin-1"}) == [(("a", "é"), None)]


def test_files_without_records() -> None:
    assert read(b"", {}) == read(b"a,b\n", {}) == []


def test_options_are_checked() -> None:
    with pytest.raises(ContractBroken, match="delimiter is ';;'"):
        read(b"", {"delimiter": ";;"})


PIECES = st.sampled_from(
    [
        b"a",
        b'"',
        b'""',
        b",",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\xff",
        b"\xc2\x85",
        b"\x00",
        b"\xef\xbb\xbf",
        b'"x\n y",z\n',
    ]
)


@settings(deadline=None)  # a loaded machine is not a slow reader
@given(data=st.lists(PIECES).map(b"".join), quote=st.sampled_from(['"', None]))
def test_every_byte_lies_in_one_record(must_reconcile: Any, data: bytes, quote: str | None) -> None:
    must_reconcile(delimited, data, {"header": False, "quote": quote}, ("a", "b"))


@settings(deadline=None)  # a loaded machine is not a slow reader
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6), st.text(alphabet='",\r\n é\x85x', max_size=8)
        ),
        max_size=6,
    )
)
def test_reads_what_the_csv_module_writes(rows: list[tuple[str, str]]) -> None:
    rows = [("x" + a, b) for a, b in rows]  # no empty row
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    assert read(written.getvalue().encode(), BARE) == [(row, None) for row in rows]


@pytest.mark.parametrize(
    ("name", "size", "rows"),
    [
        ("nab", 1_724_264, {None: 58_519}),
        ("air_quality_it", 775_593, {None: 9_357, "empty_row": 114}),
        ("occupancy", 797_440, {None: 8_143 + 2_665}),
        ("beijing_air", 5_257_338, {None: 2 * 35_064}),
        ("banking77", 1_079_034, {None: 10_003 + 3_080}),
        ("sms_spam", 477_907, {None: 5_574}),
        ("sentiment_sentences", 204_831, {None: 3_000}),
        ("asap_reviews_zh", 311_923, {None: 300}),
        ("e2e_nlg", 1_161_305, {None: 4_672}),
        ("bgl_structured", 425_129, {None: 2_000}),
        ("hdfs_structured", 414_635, {None: 2_000}),
        ("linux_structured", 327_804, {None: 2_000}),
        ("loghub_templates", 8_663 + 837 + 5_469, {None: 120 + 14 + 118}),
    ],
)
def test_real_files(real_files: Any, name: str, size: int, rows: dict[str | None, int]) -> None:
    source, files = real_files(name, size)
    found: Counter[str | None] = Counter()
    each: list[int] = []
    for file in files:
        with open(file.uri, "rb") as stream:
            fields = [c.name for c in source.fields]
            counts = Counter(row[6] for row in delimited.rows(stream, source.options, fields) if row[0] != NO_RECORD)
        found, each = found + counts, [*each, counts[None]]
    assert found == rows
    expected = {
        "banking77": [3_080, 10_003],
        "occupancy": [2_665, 8_143],
        "beijing_air": [35_064] * 2,
        "sentiment_sentences": [1_000] * 3,
        "loghub_templates": [120, 14, 118],
    }
    assert each == expected.get(name, each)
    assert name != "nab" or len(files) == 13
