"""JSON documents: the records of one value."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.sources import json_document
from lake.sources.records import NO_RECORD


def read(data: bytes | str, fields: tuple[str, ...] = ("a",), **options: Any) -> list[tuple[int, str, tuple[str | None, ...] | str]]:
    """First line, bytes, and fields (or problem) of each record."""
    given = data.encode() if isinstance(data, str) else data
    return [(r.line, r.raw.decode("latin-1"), r.problem or r.fields) for r in json_document.records(io.BytesIO(given), options, fields)]


def test_elements_are_records_of_any_kind() -> None:
    assert read('[\n  "x",\n  1.50, {"a": [7, 8]},\n  {"b": 1}, [2], [1, 2]\n]\n') == [
        (2, '"x"', ("x",)),
        (3, "1.50", ("1.50",)),
        (3, '{"a": [7, 8]}', ("[7,8]",)),
        (4, '{"b": 1}', "unknown_key:b"),
        (4, "[2]", ("2",)),
        (4, "[1, 2]", "fields"),
    ]


def test_names_on_the_way_are_fields() -> None:
    data = '{"s1": [[1, 2], [3, 4]],\n "s2": [], "s3": 5, "s1": [[1, 1]]}'
    assert read(data, ("x", "series", "y"), rows=["series", "[]"]) == [
        (1, "[1, 2]", ("1", "s1", "2")),
        (1, "[3, 4]", ("3", "s1", "4")),
        (2, "5", "rows"),
        (2, "[[1, 1]]", "duplicate_key:s1"),
    ]


def test_records_deep_in_an_answer() -> None:
    data = '{"next": null, "data": {"items": [{"a": "é"}, {"a": 2}], "n": 2}}'
    assert [fields for *_, fields in read(data, rows=[".data", ".items", "[]"])] == [("é",), ("2",)]
    assert read('{"data": {"n": 2}}', rows=[".data", ".items", "[]"]) == [(1, '{"n": 2}', "rows")]
    assert read('[{"n": 2,\n"n": "é"},\n{"data": 7}]', rows=["[]", ".data"]) == [
        (2, '"Ã©"', "duplicate_key:n"),
        (1, '{"n": 2,\n"n": "Ã©"}', "rows"),
        (3, "7", ("7",)),
    ]
    assert read('{"a": 1}\n', rows=[]) == [(1, '{"a": 1}', ("1",))]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[1, 2", "json"),
        (b"[1,]", "json"),
        (b"[1 2]", "json"),
        (b"[1]]", "json"),
        (b"[1]\n[2]\n", "json"),
        (b" \n ", "json"),
        (b"\xef\xbb\xbf\n", "json"),
        (b'["\xe9"]', "encoding"),
        (b"[1]\0", "nul"),
        (b"[" * 100_000, "depth"),
        (b"[" + b"1," * 50 + b"1]", "too_long"),
    ],
)
def test_a_file_that_is_no_json_is_set_aside_whole(data: bytes, why: str) -> None:
    limit = 100 if why == "too_long" else 1_000_000
    (one,) = json_document.records(io.BytesIO(data), {"longest": limit}, ("a",))
    text = data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n")
    assert (one.ordinal, one.line, one.problem, one.raw, one.length) == (0, 1, why, text[:limit], len(text))
    assert one.lines == data.count(b"\n") + (not data.endswith(b"\n"))


def test_an_object_takes_no_names_but_strings() -> None:
    assert [problem for *_, problem in read("{1: [2]}", ("k", "a"), rows=["k", "[]"])] == ["json"]
    assert [problem for *_, problem in read('{"k" [2]}', ("k", "a"), rows=["k", "[]"])] == ["json"]


def test_what_is_wrong_with_a_record_is_its_own_affair() -> None:
    data = '["x", NaN, "\\u0000", "\\ud800", {"a":1,"a":2}, {"A":1}, "y"]'
    problems = [fields for *_, fields in read(data)]
    assert problems == [("x",), "not_json_number", "nul", "surrogate", "duplicate_key:a", "key_case:A", ("y",)]


def test_files_without_records() -> None:
    assert read(b"") == read(b"\xef\xbb\xbf") == read("[]") == read(" [ ] \n") == read("{}", ("k", "a"), rows=["k", "[]"]) == []


@pytest.mark.parametrize("wrong", ["[]", ["[0]"], ["k", "k"], ["nobody"], ["."], [7], None])
def test_a_way_that_leads_nowhere_is_refused(wrong: Any) -> None:
    with pytest.raises(ContractBroken, match="rows is"):
        read("", ("k", "a"), rows=wrong)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)


@settings(deadline=None)
@given(series=st.dictionaries(TEXTS, st.lists(st.tuples(TEXTS, st.integers()), max_size=3), max_size=3), indent=st.sampled_from([None, 0, 2]))
def test_reads_what_the_json_module_writes_and_where(series: dict[str, list[tuple[str, int]]], indent: int | None) -> None:
    data = b"\xef\xbb\xbf" + json.dumps(series, indent=indent, ensure_ascii=False).encode()
    whole, *rows = json_document.rows(io.BytesIO(data), {"rows": ["name", "[]"]}, ("name", "text", "number"))
    assert (whole[0], whole[1], whole[4]) == (NO_RECORD, 1, data.count(b"\n") + 1)
    assert [(row[5], row[6]) for row in rows] == [((name, text, str(n)), None) for name, pairs in series.items() for text, n in pairs]
    for ordinal, line, offset, length, lines, _, _, raw in rows:
        assert (data[offset : offset + length], lines, line) == (raw, 0, data.count(b"\n", 0, offset) + 1), ordinal


@pytest.mark.timeout(30)  # 1.5 s; a look at the whole text for each record made it minutes
def test_a_document_of_many_records_is_read_in_one_pass() -> None:
    data = b"[" + b",\n".join(b'{"a": "%s"}' % (b"x" * 90) for _ in range(60_000)) + b"]"
    found = list(json_document.rows(io.BytesIO(data), {}, ("a",)))
    assert (len(found), found[-1][1], found[-1][6]) == (60_001, 60_000, None)


@pytest.mark.parametrize(("name", "size", "count"), [("nab_windows", 3_058, 28), ("banking77_categories", 2_036, 77)])
def test_real_files(real_files: Any, name: str, size: int, count: int) -> None:
    source, (file,) = real_files(name, size)
    with open(file.uri, "rb") as stream:
        found = list(json_document.records(stream, source.options, [c.name for c in source.fields]))
    assert (len(found), {r.problem for r in found}, len({r.fields for r in found})) == (count, {None}, count)
