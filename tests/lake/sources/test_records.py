"""Physical lines: only \\n ends one, places are bytes, memory is bounded."""

from __future__ import annotations

import io

import pytest

from lake.errors import ContractBroken
from lake.sources.records import LIMIT, check_options, line_end, longest, physical_lines


def test_only_newline_ends_a_line() -> None:
    data = b"a\x85b\xc2\x85\rc\r\nd\x0be\n\nlast\r"
    lines = list(physical_lines(io.BytesIO(data)))
    assert [line[1] for line in lines] == [b"a\x85b\xc2\x85\rc", b"d\x0be", b"", b"last\r"]
    assert [line_end(line) for line in lines] == [b"\r\n", b"\n", b"\n", b""]
    assert [data[at : at + length] for at, _, length, _ in lines] == [line[1] for line in lines]


def test_byte_order_mark_belongs_to_no_line() -> None:
    assert list(physical_lines(io.BytesIO(b"\xef\xbb\xbfa\nb"))) == [(3, b"a", 1, 2), (5, b"b", 1, 1)]
    assert list(physical_lines(io.BytesIO(b"\xef\xbb\xbf"))) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_long_line_is_counted_and_cut(end: bytes) -> None:
    data = b"0123456789abcdefghij" + end
    assert next(physical_lines(io.BytesIO(data + b"x" * bool(end)), limit=8)) == (0, b"01234567", 20, len(data))


def test_line_end_across_the_limit() -> None:
    assert list(physical_lines(io.BytesIO(b"1234567\r\nb"), limit=8)) == [(0, b"1234567", 7, 9), (9, b"b", 1, 1)]


def test_empty_file_has_no_line() -> None:
    assert list(physical_lines(io.BytesIO(b""))) == []


def test_option_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ContractBroken, match="no option 'delimeter'"):
        check_options({"delimeter": ";"}, ("delimiter",), "raw.x")
    with pytest.raises(ContractBroken, match="line end"):
        check_options({"encoding": "utf-16"}, (), "raw.x")


def test_what_is_kept_of_a_record_is_a_number_of_bytes() -> None:
    assert (longest({}), longest({"longest": 1})) == (LIMIT, 1)
    for wrong in (0, -1, "16 MB", None, 1.5):
        with pytest.raises(ContractBroken, match="option longest is"):
            longest({"longest": wrong})
