"""JSON Lines: one object a line."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.sources import json_lines
from lake.sources.json_lines import DEPTH

FIELDS = ("a", "b")


def read(data: bytes | str, options: dict[str, Any] | None = None) -> list[tuple[str | None, ...] | str]:
    """Fields of each line, or its problem."""
    given = data.encode() if isinstance(data, str) else data
    return [r.problem or r.fields for r in json_lines.records(io.BytesIO(given), options or {}, FIELDS)]


def test_values_are_texts_and_lose_nothing() -> None:
    assert read('{"a":"x\\n\\u00e9 \\ud83d\\ude00","b":12345678901234567890123.4500}\n {"b": -0, "a": 1E-7}\r\n{"a":true,"b":null}\n{}\n') == [
        ("x\né \U0001f600", "12345678901234567890123.4500"),
        ("1E-7", "-0"),
        ("true", None),
        (None, None),
    ]
    assert read('{"a": {"c": [1, 2.50, "é", null, false, {}]}, "b": []}') == [('{"c":[1,2.50,"é",null,false,{}]}', "[]")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "empty_row"),
        (" \t", "empty_row"),
        ('{"a":1', "json"),
        ('{"a":1}{"a":2}', "json"),
        ('{"a":1},', "json"),
        ("{'a':1}", "json"),
        ('{"a":01}', "json"),
        ('{"a":"\t"}', "json"),
        ('\u00a0{"a":1}', "json"),
        ("[1]", "not_an_object"),
        ("7", "not_an_object"),
        ('{"a":1,"b":2,"a":1}', "duplicate_key:a"),
        ('{"a":{"x":[{"y":1,"y":2}]}}', "duplicate_key:y"),
        ('{"A":1}', "key_case:A"),
        ('{"a":1,"c;d":2}', "unknown_key:c?d"),
        ('{"a":NaN}', "not_json_number"),
        ('{"a":[-Infinity]}', "not_json_number"),
        ('{"a":"\\u0000"}', "nul"),
        ('{"a":"\0"}', "nul"),
        ('{"a":"\\uD800"}', "surrogate"),
        ('{"\\udfff":1}', "surrogate"),
        ('{"a":' + "[" * DEPTH + "]" * DEPTH + "}", "depth"),
        ('{"a":' + "[" * 1_000_000, "depth"),
    ],
)
def test_what_is_wrong_with_a_line_is_its_own_affair(line: str, why: str) -> None:
    assert read(f'{{"a":1}}\n{line}\n{{"b":2}}') == [("1", None), why, (None, "2")]


def test_depth_does_not_hang_on_who_calls(must_reconcile: Any) -> None:
    fits = '{"a":' + "[" * (DEPTH - 1) + '"[{"' + "]" * (DEPTH - 1) + "}"
    assert read(fits) == [("[" * (DEPTH - 1) + '"[{"' + "]" * (DEPTH - 1), None)]
    brackets_in_text = json.dumps({"a": "[{" * 500 + '\\"'})
    assert read(brackets_in_text) == [("[{" * 500 + '\\"', None)]
    assert sys.getrecursionlimit() > 4 * DEPTH


@pytest.mark.timeout(30)  # 1 s
def test_a_name_that_stands_twice_is_found_among_many() -> None:
    names = ",".join(f'"n{n}":1' for n in range(200_000))
    assert read(f'{{{names},"n199999":2}}\n{{"a":1}}') == ["duplicate_key:n199999", ("1", None)]


def test_unknown_names_are_refused_kept_or_passed_over() -> None:
    line = '{"a":"x","z":1.0,"y":{"A":[]}}'
    assert read(line) == ["unknown_key:z"]
    assert read(line, {"unknown": "ignore"}) == [("x", None)]
    assert read(f'{line}\n{{"a":1}}\n{{"b":5}}', {"unknown": {"field": "b"}}) == [("x", '{"z":1.0,"y":{"A":[]}}'), ("1", None), (None, '{"b":5}')]
    assert read('{"B":1}', {"unknown": "ignore"}) == ["key_case:B"]
    for wrong in ("keep", {"field": "c"}, None, {"field": "b", "more": 1}):
        with pytest.raises(ContractBroken, match="unknown is"):
            read("", {"unknown": wrong})


def test_long_lines_and_wrong_bytes_are_kept() -> None:
    found = list(json_lines.records(io.BytesIO(b'{"a":"' + b"x" * 50 + b'"}\n{"a":"\xe9"}\n'), {"longest": 20}, FIELDS))
    assert [(r.problem, r.raw, r.length) for r in found] == [("too_long", b'{"a":"' + b"x" * 14, 58), ("encoding", b'{"a":"\xe9"}', 9)]


PIECES = st.sampled_from(
    [b'{"a":', b"1", b"}", b'"', b"\\", b"\n", b"\r\n", b"\r", b" ", b"[", b"]", b",", b"\xff", b"\x00", b"\xef\xbb\xbf", b'{"b":2}\n', b"NaN"]
)


@settings(deadline=None)  # a loaded machine is not a slow reader
@given(data=st.lists(PIECES).map(b"".join))
def test_every_byte_lies_in_one_record(must_reconcile: Any, data: bytes) -> None:
    must_reconcile(json_lines, data, {}, FIELDS)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(a=VALUES, b=VALUES, ascii_only=st.booleans())
def test_reads_what_the_json_module_writes(a: Any, b: Any, ascii_only: bool) -> None:
    ((one, two),) = read(json.dumps({"b": b, "a": a}, ensure_ascii=ascii_only) + "\n")
    for found, written in ((one, a), (two, b)):
        if written is None or isinstance(written, str):
            assert found == written
        else:
            assert found is not None and json.loads(found) == written
