"""Lines and multi-line events by a pattern."""

from __future__ import annotations

import io
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import ContractBroken
from lake.sources import lines
from lake.sources.records import LIMIT

EVENTS: dict[str, Any] = {
    "begins": r"\[\d\d:\d\d\] ",
    "pattern": r"\[(?P<time>[\d:]+)\] (?P<text>[^\n]*)(?:\n(?P<more>[\s\S]*))?",
}
FIELDS = ("time", "text", "more")


def test_stack_trace_belongs_to_its_event(must_reconcile: Any) -> None:
    data = b"[10:00] fine\n[10:01] broke\njava.io.IOException: x\n\tat a.b(C.java:1)\n[10:02] fine again\n"
    read = must_reconcile(lines, data, EVENTS, FIELDS)
    assert [r.fields for r in read] == [
        ("10:00", "fine", None),
        ("10:01", "broke", "java.io.IOException: x\n\tat a.b(C.java:1)"),
        ("10:02", "fine again", None),
    ]
    assert [(r.line, r.lines, r.offset) for r in read] == [(1, 1, 0), (2, 3, 13), (5, 1, 68)]


def test_lines_before_the_first_event_are_one_reject(must_reconcile: Any) -> None:
    read = must_reconcile(lines, b"\tat a.b(C.java:1)\n\tat d.e(F.java:2)\n[10:00] fine", EVENTS, FIELDS)
    assert [(r.problem, r.lines) for r in read] == [("no_begin", 2), (None, 1)]


def test_wrong_bytes_and_wrong_shape_keep_their_bytes(must_reconcile: Any) -> None:
    read = must_reconcile(lines, b"[10:00] \xff\n[10:01]\n\n", {"pattern": EVENTS["pattern"]}, FIELDS)
    assert [(r.problem, r.raw) for r in read] == [
        ("encoding", b"[10:00] \xff"),
        ("pattern", b"[10:01]"),
        ("empty_row", b""),
    ]


def test_a_byte_order_mark_before_a_line_is_no_part_of_it_whatever_the_pattern_begins_with(must_reconcile: Any) -> None:
    read = must_reconcile(lines, b"- a\n\xef\xbb\xbf- b\n- \xef\xbb\xbfc\n", {"pattern": r"(?P<label>\S+) (?P<text>.*)"}, ("label", "text"))
    assert [(r.problem, r.fields) for r in read] == [(None, ("-", "a")), ("pattern", (None, None)), (None, ("-", "\ufeffc"))]


def test_years_are_counted_on_at_new_year_and_a_late_line_keeps_its_own() -> None:
    data = b"Nov 30 00:00:01 a\nJan  1 00:00:02 b\nDec 31 23:59:59 late\nFeb 28 00:00:00 c\n"
    options: dict[str, Any] = {
        "pattern": r"(?P<time>\w+ +\d+ \S+) (?P<text>.*)",
        "year": {"field": "time", "first": 2019},
    }
    read = [r.fields[0] for r in lines.records(io.BytesIO(data), options, ("time", "text"))]
    assert read == ["2019 Nov 30 00:00:01", "2020 Jan 1 00:00:02", "2019 Dec 31 23:59:59", "2020 Feb 28 00:00:00"]


YEARS: dict[str, Any] = {"pattern": r"(?P<time>.*)", "year": {"field": "time", "first": 2026}}


def dated(*times: str) -> list[str | None]:
    """The times with their years, for a file that begins in 2026."""
    return [r.fields[0] for r in lines.records(io.BytesIO("\n".join(times).encode()), YEARS, ("time",))]


def test_a_quiet_host_is_dated_by_the_order_of_its_lines() -> None:
    assert dated("Jan 5", "Mar 1", "Sep 2", "Dec 31", "Jan 1") == ["2026 Jan 5", "2026 Mar 1", "2026 Sep 2", "2026 Dec 31", "2027 Jan 1"]
    assert dated("Sep 2", "Jun 1", "Apr 1") == ["2026 Sep 2", "2027 Jun 1", "2028 Apr 1"]


def test_lines_that_come_late_over_the_end_of_a_month_leave_the_year_alone() -> None:
    late = ["Mar 1", "Feb 28", "Feb 28", "Mar 1", "Dec 31", "Jan 1", "Dec 31", "Jan 1"]
    assert dated(*late) == [f"{2027 if n in (5, 7) else 2026} {t}" for n, t in enumerate(late)]


@given(first=st.dates(date(2026, 1, 1), date(2026, 12, 31)), gaps=st.lists(st.integers(0, 303)))
def test_any_file_in_order_without_a_silence_of_ten_months_is_dated_right(first: date, gaps: list[int]) -> None:
    days = list(accumulate(gaps, lambda day, gap: day + timedelta(gap), initial=first))
    assert dated(*[f"{d:%b} {d.day}" for d in days]) == [f"{d:%Y %b} {d.day}" for d in days]


@pytest.mark.parametrize(
    ("path", "first"),
    [("auth.log", "2019 Dec 30"), ("auth.log-20260105", "2025 Dec 30"), ("auth.log-20251230.gz", "2025 Dec 30")],
)
def test_day_of_rotation_in_the_name_tells_the_year(path: str, first: str) -> None:
    options: dict[str, Any] = {
        "pattern": r"(?P<time>.*)",
        "year": {"field": "time", "first": 2019, "rotated": r"-(\d{4})(\d\d)(\d\d)"},
    }
    read = [r.fields[0] for r in lines.records(io.BytesIO(b"Dec 30\nJan 2\n"), options, ("time",), path)]
    assert read == [first, f"{int(first[:4]) + 1} Jan 2"]


def test_event_without_end_is_bounded() -> None:
    data = b"[10:00] begins\n" + (b"x" * 1023 + b"\n") * (LIMIT // 1024 + 10)
    (event,) = lines.records(io.BytesIO(data), EVENTS, FIELDS)
    assert (event.problem, event.length, len(event.raw)) == ("too_long", len(data) - 1, LIMIT)


def test_pattern_without_a_field_is_refused() -> None:
    with pytest.raises(ContractBroken, match="no group for level"):
        list(lines.records(io.BytesIO(b""), EVENTS, ("time", "level")))


PIECES = st.sampled_from(
    [
        b"[10:00] ",
        b"[10:00] a",
        b"\n",
        b"\r\n",
        b"\r",
        b"\tat x",
        b"\xff",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\x00",
        b"\xef\xbb\xbf",
    ]
)


@settings(deadline=None)  # a loaded machine is not a slow reader
@given(data=st.lists(PIECES).map(b"".join), multi=st.booleans())
def test_every_byte_lies_in_one_record(must_reconcile: Any, data: bytes, multi: bool) -> None:
    must_reconcile(lines, data, EVENTS if multi else {"pattern": EVENTS["pattern"]}, FIELDS)


@pytest.mark.parametrize(
    ("name", "size", "events", "continued", "rejects"),
    [
        ("kafka", 2_415_493, 7_158 + 3_671, 2_284 + 306, 0),
        ("access", 2_370_789, 9_999, 0, 1),
        ("auth", 797_637, 7_121, 0, 0),
        ("bgl", 317_150, 2_000, 0, 0),
        ("hdfs", 287_848, 2_000, 0, 0),
        ("linux", 216_485, 2_000, 0, 0),
    ],
)
def test_real_files(real_files: Any, name: str, size: int, events: int, continued: int, rejects: int) -> None:
    source, files = real_files(name, size)
    good = bad = more = 0
    for file in files:
        with open(file.uri, "rb") as stream:
            for row in lines.rows(stream, source.options, [c.name for c in source.fields]):
                good, bad, more = good + (row[6] is None), bad + (row[6] is not None), more + row[4] - 1
    assert (good, more, bad) == (events, continued, rejects)


def test_real_brokers_one_by_one(real_files: Any) -> None:
    source, files = real_files("kafka", 2_415_493)
    counts = {"kafka0": [0, 0], "kafka1": [0, 0]}
    for file in files:
        with open(file.uri, "rb") as stream:
            for row in lines.rows(stream, source.options, [c.name for c in source.fields]):
                count = counts[file.path.split("/")[0]]
                count[0], count[1] = count[0] + 1, count[1] + row[4] - 1
    assert counts == {"kafka0": [7_158, 2_284], "kafka1": [3_671, 306]}  # events, and the lines that continue them
