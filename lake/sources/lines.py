"""Text lines by a pattern: one record per line, or per event when an event goes over several lines (stack traces).

Options of the raw contract:
    begins    regular expression; a physical line that it matches at its start begins a record, any other continues the
              record before it. Without it every line is a record. Lines before the first beginning are one reject,
              `no_begin`.
    pattern   regular expression with a named group per field, over the record's whole text; no match: `pattern`.
    year      {field, first, rotated}: the field is a time without a year (BSD syslog). `first` is the year of a file's
              first record; where the file's path holds the day of its rotation (`auth.log-20260312`), the expression
              `rotated`, with a group each for year, month and day, finds it, and the first record is of the last year
              that is not after it. Each record follows the one before it, into the next year when its month is an
              earlier one; only a step of one month back (also January to December) is a line that came late. The year
              is put before the field's text: `2017 Mar 27 13:06:56`. A file's modified time is no help: copying
              changes it.
    encoding  default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest   bytes of one record; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
An empty line is a reject, `empty_row`, unless it continues an event. An event that is cut off with its file is an event; a
byte order mark within a file (files were put together) ends the event before it and is no part of the pattern: `pattern`.
What is wrong with one line of an event is wrong with the event: its record holds all of its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from lake.errors import ContractBroken
from lake.sources.records import (
    BOM,
    FEWEST,
    Ahead,
    At,
    Block,
    Line,
    Record,
    Row,
    check_options,
    is_by_the_byte,
    line_end,
    line_ends,
    longest,
    physical_lines,
    row_by_row_or_block,
)

MONTHS = {name: n for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong, or the pattern lacks a group for a field.
    """
    return (Record(*row) for row in rows(stream, options, fields, path))


def looks_ahead(options: Mapping[str, Any]) -> int | None:
    """0: of a file that grows only the last record may change; None: where a year follows from all records before, it is read whole."""
    return None if options.get("year") else 0


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row]:
    """The same as plain tuples; `resumed` at a record further down changes nothing here."""
    return _rows(stream, _Form(options, fields, path), At())


def blocks(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row | Block]:
    """The same records; where each line is one, those that match the pattern by column, as far as they go without another."""
    form, at, ahead = _Form(options, fields, path), At(), Ahead(stream)
    by_blocks = form.begins is None and is_by_the_byte(form.encoding)

    def plain(taken: bytes) -> Block | None:
        return _matched(taken, form, at, ahead.position - len(taken))

    return row_by_row_or_block(ahead, at, lambda: _rows(ahead, form, at), plain, lambda: BLOCK, lambda: by_blocks)


BLOCK = 256 * 1024  # bytes: what lies behind a line that does not match is looked at twice


class _Form:
    """The options, checked; and the year of the next record of a file."""

    def __init__(self, options: Mapping[str, Any], fields: Sequence[str], path: str) -> None:
        check_options(options, ("begins", "pattern", "year"), "format lines")
        self.encoding, begins = str(options.get("encoding", "utf-8")), options.get("begins")
        self.pattern = _compiled(str(options.get("pattern", "")))
        self.groups = _groups(self.pattern, fields)
        self.year = _Years(options["year"], fields, path) if options.get("year") else None
        self.limit = longest(options)
        self.begins: bytes | None = None if begins is None else _compiled(str(begins)).pattern.encode(self.encoding)
        self.nothing: tuple[str | None, ...] = (None,) * len(fields)

    def values(self, found: re.Match[str]) -> tuple[str | None, ...]:
        """The fields of a record; to be asked in file order."""
        values: tuple[str | None, ...] = (found[self.groups[0]],) if len(self.groups) == 1 else found.group(*self.groups)
        return values if self.year is None else self.year.dated(values)


def _matched(block: bytes, form: _Form, at: At, offset: int) -> Block | None:
    """The first lines of a block, up to one that is not plain; None when that is the first."""
    try:
        text = block.decode(form.encoding)
    except UnicodeDecodeError:
        return None
    ends, lengths = line_ends(block)
    if "\0" in text or _MARK in text or int(np.diff(ends, prepend=0).max()) > form.limit:
        return None
    fullmatch, found = form.pattern.fullmatch, list[re.Match[str]]()
    for content in text.replace("\r\n", "\n")[:-1].split("\n"):
        match = fullmatch(content)
        if match is None or not content.strip(_BLANK):
            break
        found.append(match)
    n = len(found)
    if n < min(FEWEST, len(ends)):
        return None
    cells = [pa.array(column, pa.string()) for column in zip(*map(form.values, found), strict=True)]
    return Block(at.ordinal, at.line + 1, None, offset, lengths[:n], ends[:n], cells, block[: int(ends[n - 1])])


_MARK = "\ufeff"  # before a line, even where the pattern begins with any text: Blue Gene's `-`, no alert, would be one with a mark before it
_BLANK = " \t\n\r\x0b\x0c"  # what bytes.strip() takes


def _rows(stream: BinaryIO | Ahead, form: _Form, at: At) -> Iterator[Row]:
    """Records from where `at` stands."""
    before, fullmatch, encoding, nothing = at.line, form.pattern.fullmatch, form.encoding, form.nothing
    begun = stream.position if isinstance(stream, Ahead) else 0
    physical = physical_lines(stream, form.limit, begun)
    events = _lines(physical) if form.begins is None else _events(physical, form.begins, form.limit)
    for n, (number, offset, length, count, raw, problem) in enumerate(events, at.ordinal):
        values = nothing
        if problem is None:
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError:
                problem = "encoding"
            else:
                if "\0" in text:
                    problem = "nul"
                elif text.startswith(_MARK) or (found := fullmatch(text)) is None:
                    problem = "pattern"
                else:
                    values = form.values(found)
        at.ordinal, at.line = n + 1, before + number + count - 1
        yield n, before + number, offset, length, count, values, problem, raw


def _lines(physical: Iterator[Line]) -> Iterator[tuple[int, int, int, int, bytes, str | None]]:
    """Each line: line number, offset, length, 1, bytes, problem."""
    for number, (offset, content, length, _) in enumerate(physical, 1):
        problem = "too_long" if length > len(content) else None if content.strip() else "empty_row"
        yield number, offset, length, 1, content, problem


def _events(lines: Iterator[Line], begins: bytes, limit: int) -> Iterator[tuple[int, int, int, int, bytes, str | None]]:
    """Each event: first line number, offset, length, lines, bytes, problem."""
    is_first = re.compile(begins).match
    parts: list[bytes] = []  # contents and line ends of the event so far, never more than `limit` bytes and a line
    line, start, length, count, end, kept = 1, 0, 0, 0, b"", 0
    problem: str | None = None
    for number, physical in enumerate(lines, 1):
        offset, content, size, _ = physical
        first = is_first(content.removeprefix(BOM)) is not None
        if first or not count:
            if count:
                yield line, start, length, count, b"".join(parts)[:limit], problem
            parts = [content]
            line, start, length, count, kept = number, offset, size, 1, len(content)
            problem = None if first else "no_begin"
        else:
            length += len(end) + size
            count += 1
            if kept <= limit:
                parts += (end, content)
                kept += len(end) + len(content)
        if length > limit and problem is None:
            problem = "too_long"
        end = line_end(physical)
    if count:
        yield line, start, length, count, b"".join(parts)[:limit], problem


class _Years:
    """The year of times that are written without one, from their order in the file.

    Right for any file in order whose host was never silent for ten months: a silence of eleven looks like a late line. A
    clock that jumps back by more than a month looks like a new year.
    """

    def __init__(self, option: Mapping[str, Any], fields: Sequence[str], path: str) -> None:
        try:
            self._at, self._year = list(fields).index(str(option["field"])), int(option["first"])
        except (KeyError, ValueError, TypeError):
            raise ContractBroken(
                "format lines: option year needs `field`, a field of the contract, and `first`, a year",
                next_step="e.g. year: {field: time, first: 2017}",
            ) from None
        found = _compiled(str(option["rotated"])).search(path) if "rotated" in option else None
        self._until = tuple(int(part) for part in found.groups()) if found else None
        self._month = 0

    def dated(self, values: tuple[str | None, ...]) -> tuple[str | None, ...]:
        """The record's values, the year put before its time; to be asked in file order."""
        text, year = " ".join((values[self._at] or "").split()), self._year
        month = MONTHS.get(text[:3])
        if month is not None:
            if not self._month and self._until:
                after = (month, _day(text)) > self._until[1:]
                self._year = year = self._until[0] - after
            if self._month and (month - self._month) % 12 == 11:  # a line of the month before came late: time does not go on by it
                year -= month > self._month
            else:
                self._year = year = year + (month < self._month)
                self._month = month
        return (*values[: self._at], f"{year} {text}", *values[self._at + 1 :])


def _day(text: str) -> int:
    found = re.match(r"\w+ (\d+)", text)
    return int(found[1]) if found else 0


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ContractBroken(
            f"format lines: {pattern!r} is no regular expression: {error}",
            next_step="mend `begins` or `pattern` of the raw contract",
        ) from None


def _groups(pattern: re.Pattern[str], fields: Sequence[str]) -> tuple[str, ...]:
    if lacking := [f for f in fields if f not in pattern.groupindex]:
        raise ContractBroken(
            f"format lines: the pattern has no group for {', '.join(lacking)}",
            next_step="write (?P<name>...) for each field of the raw contract",
        )
    return tuple(fields)
