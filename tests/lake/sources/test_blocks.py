"""Records by column: what `blocks` gives is what `rows` gives, whatever the bytes."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.sources import delimited, lines, records
from lake.sources.records import Ahead, Block, Row, line_ends

PATTERN: dict[str, Any] = {"pattern": r"(?P<a>[^, ]*)[, ](?P<b>[^,]*)"}
DATED: dict[str, Any] = {"pattern": r"(?P<a>\w{3} \d)[, ](?P<b>[^,]*)", "year": {"field": "a", "first": 2026}}


def unrolled(found: list[Row | Block]) -> list[Row]:
    """Blocks as the rows that they stand for."""
    every: list[Row] = []
    for one in found:
        if not isinstance(one, Block):
            every.append(one)
            continue
        line, begins = one.line, 0
        counts = [1] * len(one.lengths) if one.lines is None else one.lines.tolist()
        columns = [column.to_pylist() for column in one.cells]
        for n, (length, end, count) in enumerate(zip(one.lengths.tolist(), one.ends.tolist(), counts, strict=True)):
            raw = one.raw[begins : begins + length]
            assert one.raw[begins + length : end] in (b"\n", b"\r\n")
            every.append((one.ordinal + n, line, one.offset + begins, length, count, tuple(c[n] for c in columns), None, raw))
            line, begins = line + count, end
    return every


def same(reader: ModuleType, data: bytes, options: dict[str, Any]) -> list[Row | Block]:
    found = list(reader.blocks(io.BytesIO(data), options, ("a", "b")))
    assert unrolled(found) == list(reader.rows(io.BytesIO(data), options, ("a", "b")))
    return found


# Runs of what is plain, so that blocks begin and end anywhere; and of what is not, between them.
PLAIN = [b"a,b\n", b"one,two\r\n", b'"q",x\n', b'x,"q q"\n', b'1,"say ""so"""\n', b'"two\nlines",z\n', "é,ü\n".encode(), b"Mar 1,x\n", b"Feb 2,y\n"]
ODD = [b"a,b,c\n", b"a", b'"', b",", b"\n", b"\r\n", b"\r", b" ", b"\xff", b"\xc2\x85", b"\0", b"\xef\xbb\xbf", b'"a"b,c\n', b"Dec 3,z\n", b"\t\n"]
DATA = st.lists(st.tuples(st.sampled_from(PLAIN), st.integers(1, 30)).map(lambda p: p[0] * p[1]) | st.sampled_from(ODD), max_size=20).map(b"".join)


@pytest.fixture(autouse=True, params=["as large as they are", "of some lines"])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "of some lines":
        monkeypatch.setattr(delimited, "LARGE", 64)
        monkeypatch.setattr(delimited, "SMALL", 16)
        monkeypatch.setattr(lines, "BLOCK", 32)
        monkeypatch.setattr(records, "ROW_BY_ROW", 8)
        for module in (delimited, lines):
            monkeypatch.setattr(module, "FEWEST", 2)


fixed = settings(deadline=None, max_examples=300)  # a loaded machine is not a slow reader


@fixed
@given(
    data=DATA,
    header=st.sampled_from([False, ["a", "b"]]),
    quote=st.sampled_from(['"', "'", None]),
    trailing=st.sampled_from([0, 1]),
    encoding=st.sampled_from(["utf-8", "latin-1", "ascii", "gbk"]),
    longest=st.sampled_from([12, 2**20]),
    delimiter=st.sampled_from([",", " ", "\t"]),
)
def test_delimited_blocks_are_its_rows(data: bytes, **options: Any) -> None:
    same(delimited, data, options)
    same(delimited, b"a,b\n" + data, options)


@fixed
@given(
    data=DATA,
    options=st.sampled_from([PATTERN, DATED, PATTERN | {"begins": "a"}]),
    encoding=st.sampled_from(["utf-8", "latin-1", "gbk"]),
    longest=st.sampled_from([12, 2**20]),
)
def test_blocks_of_lines_are_their_rows(data: bytes, options: dict[str, Any], **more: Any) -> None:
    same(lines, data, options | more)


@fixed
@given(data=st.binary(max_size=200) | st.text(alphabet='",\r\n ab\0', max_size=200).map(str.encode), look_ahead=st.sampled_from([8, 2**20]))
def test_any_bytes_give_the_same_rows(data: bytes, look_ahead: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delimited, "LOOK_AHEAD", look_ahead)
        same(delimited, data, {"header": False})
    same(lines, data, PATTERN)


def test_what_is_plain_comes_by_column() -> None:
    """Else the tests above compare rows with rows."""
    data = b"a,b\n" + b"1,2\n" * 500 + b'"3","4 \xc3\xa9"\r\n' * 500 + b'"5\n6","""7"""\n' * 500
    assert sum(len(b.lengths) for b in same(delimited, data, {}) if isinstance(b, Block)) >= 1_400
    found = same(lines, b"1,2\n" * 500 + b"odd\n" + b"3,4\r\n" * 500, PATTERN)
    assert sum(len(b.lengths) for b in found if isinstance(b, Block)) >= 900


@fixed
@given(data=DATA, sizes=st.lists(st.integers(1, 40), min_size=1))
def test_what_is_taken_ahead_can_be_given_back(data: bytes, sizes: list[int]) -> None:
    ahead, seen = Ahead(io.BytesIO(data)), b""
    for n, size in enumerate(sizes * (len(data) + 1)):
        block = ahead.whole_lines(size)
        assert not block or (block.endswith(b"\n") and len(block) <= size)
        if back := block.find(b"\n") + 1 if n % 2 else 0:
            ahead.back(len(block) - back)
            block = block[:back]
        line = ahead.readline(size if n % 3 else -1)
        seen += block + line
        assert ahead.position == len(seen)
        if not block and not line:
            break
    assert seen == data


@given(st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\r", b"\r\r"])).map(lambda parts: b"".join(p + b"\n" for p in parts)))
def test_ends_and_lengths_of_lines(block: bytes) -> None:
    ends, lengths = line_ends(block)
    content = [part.removesuffix(b"\r") for part in block.split(b"\n")[:-1]]
    assert lengths.tolist() == [len(c) for c in content]
    assert [int(e) for e in ends] == [n + 1 for n, octet in enumerate(block) if octet == 10]
