"""Delimited text (CSV, TSV and their cousins): one record per row, quoted or not.

Options of the raw contract:
    delimiter  one character, default `,`.
    quote      one character, default `"`; null: nothing is quoted, each line is a row (sentences with free quotes).
               A quoted cell may hold delimiters, line ends and doubled quotes (RFC 4180); a quote that does not close
               within LOOK_AHEAD bytes, or the file, rejects its own line only, `quote`, and reading goes on at the next
               line. One that closes with text behind it rejects the row, all of its lines, `quote`: what is in them can't
               be told. A quote within an unquoted cell is data.
    header     true (default): the first row holds the names of the contract's fields; a list: it holds exactly these
               names (where the file calls its columns otherwise, or names fewer than it has); false: there is none.
               Anything else there (a column more or less, in another order or case, twice, a blank line) sets the whole
               file aside: one reject, `header`, and no value in a wrong column. lake/sources/drift.py has the options by
               which some of that is let in: then each column is read by its name. A row that is the header once more (files
               were put together), or the first one where there is to be none, is a reject, `header_again`.
    trailing   number of empty cells that end every row, header included; default 0.
    encoding   default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest    bytes of one record; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A row with another number of cells is a reject, `fields`; one of delimiters and blanks only, `empty_row`.
An empty file has no rows and nothing wrong, nor has a file that holds its header only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pa_csv

from lake.errors import ContractBroken
from lake.sources.drift import NOTES, OPTIONS, Drift, laid_out, rest_of, set_aside
from lake.sources.records import (
    BOM,
    FEWEST,
    NO_RECORD,
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

compute: Any = pyarrow.compute  # its functions are made when it is imported: no type checker sees them

LOOK_AHEAD = 1024 * 1024
"""Bytes in which a quote has to close: one stray quote must not swallow the rest of a file."""


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong.
    """
    return (Record(*row) for row in rows(stream, options, fields, path) if row[0] != NO_RECORD)


def looks_ahead(options: Mapping[str, Any]) -> int:
    """Bytes before a file's end in which a record set aside may be a good one when more bytes come: the quote that it opens may close."""
    return 0 if options.get("quote", '"') is None else LOOK_AHEAD


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row]:
    """The same as plain tuples, and the header before them, as NO_RECORD; `resumed` at a record further down, there is none.

    A file's path tells nothing of its rows in this format.
    """
    return _rows(stream, _At(form=_Form.of(options, fields), top=not resumed))


def blocks(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row | Block]:
    """The same records, those that are plain by column: first by Arrow's reader, else by the csv module, else row by row.

    Arrow's reader gets blocks of lines whose quotes stand around whole cells only, the csv module all others; what either
    can't tell for certain (another number of cells, blanks only, an open quote, wrong bytes) is read by `rows`.
    """
    at, ahead, small = _At(form=_Form.of(options, fields), top=not resumed), Ahead(stream), 0

    def plain(taken: bytes) -> Block | None:
        nonlocal small
        offset = ahead.position - len(taken)
        block = None if small else _by_arrow(taken, at.form, at, offset)
        if block is None:
            small = small - 1 if small else LARGE // SMALL
            block = _by_csv(taken, at.form, at, offset)
        return block

    def may() -> bool:
        headed = at.top and at.form.header is not None  # nothing is read behind a wrong header
        return at.form.by_blocks and not at.waiting and not headed

    return row_by_row_or_block(ahead, at, lambda: _rows(ahead, at), plain, lambda: SMALL if small else LARGE, may)


@dataclass(frozen=True, slots=True)
class _Form:
    """The options, checked; and how the columns of one file lie, where that is not as the contract has them."""

    delimiter: str
    quote: str | None
    header: list[str] | None  # with its empty cells at the end
    encoding: str
    width: int  # cells of a row, those at the end apart
    trailing: int
    limit: int
    drift: Drift
    rest_at: int | None  # the field that gets columns without a field
    places: tuple[int, ...] | None = None  # of each field among the cells, -1: it has none; None: they are the fields
    extras: tuple[tuple[str, int], ...] = ()  # columns that go to the rest

    @classmethod
    def of(cls, options: Mapping[str, Any], fields: Sequence[str]) -> _Form:
        check_options(options, ("delimiter", "quote", "header", "trailing", "order", *OPTIONS), "format delimited")
        delimiter = _character(options.get("delimiter", ","), "delimiter")
        quote = None if options.get("quote", '"') is None else _character(options.get("quote", '"'), "quote")
        trailing, drift = int(options.get("trailing", 0)), Drift.of(options, fields, "format delimited")
        header = _header(options.get("header", True), drift.fields, trailing)
        if not drift.strict and (header is None or len(header) != len(drift.fields) + trailing):
            raise ContractBroken(
                "format delimited: unknown, absent, order and aliases are about names, and the header does not name each field",
                next_step="header: true, or a list of as many names as there are fields; else leave these options out",
            )
        rest_at = None if drift.rest is None else fields.index(drift.rest)
        form = cls(delimiter, quote, header, str(options.get("encoding", "utf-8")), len(drift.fields), trailing, longest(options), drift, rest_at)
        return form if rest_at is None else form.laid(range(len(drift.fields)))

    def laid(self, places: Sequence[int], **changes: Any) -> _Form:
        """The same with fields elsewhere; `places` leave the rest out."""
        every = list(places)
        if self.rest_at is not None:
            every.insert(self.rest_at, -1)
        return replace(self, places=tuple(every), **changes)

    def of_file(self, cells: Sequence[str]) -> tuple[_Form | None, tuple[str, ...]]:
        """How the columns of a file lie by another header than the contract's (None: it is set aside), and the notes on that."""
        header = (self.header or [])[: self.width]
        names, ends = (cells[: -self.trailing], cells[-self.trailing :]) if self.trailing else (cells, ())
        layout = None if self.drift.strict or any(ends) else laid_out(names, header, self.drift)
        if layout is None:
            return None, (set_aside(names, header),)
        extras = layout.extras if self.rest_at is not None else ()
        return self.laid(layout.places, header=list(cells), width=len(names), extras=extras), layout.notes

    def values(self, cells: Sequence[str]) -> tuple[str | None, ...]:
        """The fields of a row."""
        if self.places is None:
            return tuple(cells[: self.width])
        found = [cells[place] if place >= 0 else None for place in self.places]
        if self.extras and self.rest_at is not None:
            found[self.rest_at] = rest_of(self.extras, cells)
        return tuple(found)

    def columns(self, cells: Sequence[pa.Array]) -> list[pa.Array]:
        """The fields of a block."""
        if self.places is None:
            return list(cells[: self.width])
        return [cells[place] if place >= 0 else pa.nulls(len(cells[0]), pa.string()) for place in self.places]

    @property
    def wanted(self) -> int:
        """Cells of a row."""
        return self.width + self.trailing

    @property
    def blank(self) -> str:
        """Characters of a row that holds nothing."""
        return self.delimiter + " \t\r"

    @property
    def by_blocks(self) -> bool:
        """Whether blocks of lines may be read at once. A delimiter that is blank or a quote is for the slow way."""
        return (
            not self.extras
            and is_by_the_byte(self.encoding)
            and self.delimiter != self.quote
            and self.delimiter not in "\0 "
            and self.quote not in ("\0", " ", "\t")
        )


@dataclass(slots=True)
class _At(At):
    """And whether a header is to come, how the columns of this file lie, and lines that a look-ahead took in vain."""

    form: _Form = field(kw_only=True)
    waiting: deque[Line] = field(default_factory=deque[Line])
    top: bool = True


def _rows(stream: BinaryIO | Ahead, at: _At) -> Iterator[Row]:
    form = at.form
    nothing: tuple[str | None, ...] = (None,) * (len(form.places) if form.places is not None else form.width)
    header, width, wanted = form.header, form.width, form.wanted
    for line, offset, length, count, cells, problem, raw in _cells(stream, at):
        at.line = line + count - 1
        if at.top and form.header is not None:
            if problem is None and cells != form.header:
                other, notes = form.of_file(cells)
                if notes:
                    yield NO_RECORD, line, offset, 0, 0, notes, NOTES, b""
                form = at.form = other or form
                header, width, wanted = form.header, form.width, form.wanted
                problem = "header" if other is None else None
            if problem is not None:
                yield 0, line, offset, length, count, nothing, "header", raw
                return
            at.top = False
            yield NO_RECORD, line, offset, length, count, nothing, None, raw
            continue
        values = nothing
        if problem is None:
            if cells == header or (at.top and cells == [*form.drift.fields]):
                problem = "header_again"
            elif len(cells) != wanted or (form.trailing and any(cells[width:])):
                problem = "fields"
            elif form.places is None:
                values = tuple(cells[:width]) if form.trailing else tuple(cells)
            else:
                values = form.values(cells)
        at.top = False
        at.ordinal += 1
        yield at.ordinal - 1, line, offset, length, count, values, problem, raw


LARGE, SMALL = 1024 * 1024, 64 * 1024  # bytes of a block; where a large one is not plain, the next ones are small


def _by_arrow(block: bytes, form: _Form, at: _At, offset: int) -> Block | None:
    """The records of a block by Arrow's reader; None where that could read it otherwise than row by row."""
    crs = block.count(b"\r")
    if b"\0" in block or block.startswith(BOM) or (crs and crs != block.count(b"\r\n")):
        return None
    if form.encoding.lower() not in ("utf-8", "utf8") and not block.isascii():
        return None
    ends, lengths = line_ends(block)
    if int(np.diff(ends, prepend=0).max()) > form.limit:
        return None
    quoted = form.quote is not None and form.quote.encode() in block
    if quoted and not _around_cells(block, ends, form):
        return None
    names = [str(i) for i in range(form.wanted)]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            pa_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            pa_csv.ParseOptions(delimiter=form.delimiter, quote_char=form.quote if quoted else False, ignore_empty_lines=False),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), null_values=[], strings_can_be_null=False),
        )
    except pa.ArrowInvalid:
        return None
    cells = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
    if len(table) != len(ends) or not _plain(cells, form):
        return None
    return Block(at.ordinal, at.line + 1, None, offset, lengths, ends, form.columns(cells), block)


def _around_cells(block: bytes, ends: np.ndarray, form: _Form) -> bool:
    """Whether each quote of a block opens a cell or closes the one that the quote before it opened, in one line, with nothing behind it."""
    octets = np.frombuffer(block, np.uint8)
    at = np.flatnonzero(octets == ord(form.quote or ""))
    if len(at) % 2:
        return False
    opens, closes = at[::2], at[1::2]
    before, behind = octets[opens - 1], octets[closes + 1]  # a block ends with a line end: before its first byte stands one, so to say
    delimiter = ord(form.delimiter)
    return bool(
        ((before == delimiter) | (before == 10)).all()
        and ((behind == delimiter) | (behind == 10) | (behind == 13)).all()
        and (np.searchsorted(ends, opens, "right") == np.searchsorted(ends, closes, "right")).all()
    )


def _plain(cells: Sequence[pa.Array], form: _Form) -> bool:
    """Whether no row is the header once more or holds blanks only, and every trailing cell is empty."""
    if form.header and compute.any(compute.equal(cells[0], form.header[0])).as_py():
        return False
    if any(compute.max(compute.binary_length(column)).as_py() for column in cells[form.width :]):
        return False
    return not _blanks(cells, form.blank).any()


def _by_csv(block: bytes, form: _Form, at: _At, offset: int) -> Block | None:
    """The first records of a block, as far as the csv module reads them as `rows` does; None when it has none of these."""
    crs = block.count(b"\r")
    if b"\0" in block or (crs and crs != block.count(b"\r\n")):
        return None
    try:
        text = block.decode(form.encoding)
    except UnicodeDecodeError:
        return None
    ends, lengths = line_ends(block)
    if int(np.diff(ends, prepend=0).max()) > form.limit:
        return None
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if form.quote is None else {"quotechar": form.quote, "strict": True}
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=form.delimiter, **quoting)
    found, wanted = list[list[str]](), form.wanted
    with contextlib.suppress(csv.Error):  # the rows before it stand
        found.extend(reader)
    if found and set(map(len, found)) != {wanted}:
        del found[next(n for n, row in enumerate(found) if len(row) != wanted) :]
    if form.header in found:
        del found[found.index(form.header) :]
    if not found:
        return None
    cells = [pa.array(column, pa.string()) for column in zip(*found, strict=True)]
    lines = np.ones(len(found), np.int64)
    if len(found) < len(ends):
        for column in cells:  # within a record, line ends stand in its cells only
            lines += compute.count_substring(column, "\n").to_numpy()
    last = np.cumsum(lines)
    stop = ends[last - 1]
    start = np.concatenate([[0], stop[:-1]])
    wrong = _blanks(cells, form.blank) | (lines > 1) & (stop - start > min(LOOK_AHEAD, form.limit))  # beyond the look-ahead it is a reject
    for column in cells[form.width :]:
        wrong |= compute.binary_length(column).to_numpy() > 0
    n = int(wrong.argmax()) if wrong.any() else len(found)
    if n < FEWEST and (not n or last[n - 1] < len(ends)):
        return None
    final = last[:n] - 1  # the last line of each record; its own end is no part of the record
    sizes = (stop - start)[:n] - (np.diff(ends, prepend=0)[final] - lengths[final])
    several = None if last[n - 1] == n else lines[:n]
    cells = [column.slice(0, n) for column in form.columns(cells)]
    return Block(at.ordinal, at.line + 1, several, offset, sizes, stop[:n], cells, block[: int(stop[n - 1])])


def _blanks(cells: Sequence[pa.Array], blank: str) -> np.ndarray:
    """Which rows hold nothing but blanks."""
    found = np.ones(len(cells[0]), np.bool_)
    for column in cells:
        found &= compute.equal(compute.binary_length(compute.utf8_trim(column, blank)), 0).to_numpy(zero_copy_only=False)
        if not found.any():
            break
    return found


_Found: TypeAlias = tuple[int, int, int, int, list[str], str | None, bytes]
_Parse: TypeAlias = Callable[[str], tuple[list[str] | None, str | None]]


def _cells(stream: BinaryIO | Ahead, at: _At) -> Iterator[_Found]:
    """Each row from where `at` stands: first line number, offset, length, lines, cells, problem, bytes."""
    form = at.form
    delimiter, quote, encoding, limit, blank = form.delimiter, form.quote, form.encoding, form.limit, form.blank
    parse = None if quote is None else _parser(delimiter, quote)
    lines, most = physical_lines(stream, limit, stream.position if isinstance(stream, Ahead) else 0), min(LOOK_AHEAD, limit)
    waiting = at.waiting
    number, none = at.line, list[str]()
    while True:
        physical = waiting.popleft() if waiting else next(lines, None)
        if physical is None:
            return
        number += 1
        offset, raw, length, _ = physical
        if length > len(raw):
            yield number, offset, length, 1, none, "too_long", raw
            continue
        wrong = None
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            text, wrong = _text(raw, encoding)
        if parse is None or quote is None or quote not in text:
            if wrong:
                yield number, offset, length, 1, none, wrong, raw
            elif text.strip(blank):
                yield number, offset, length, 1, text.split(delimiter), "nul" if "\0" in text else None, raw
            else:
                yield number, offset, length, 1, none, "empty_row", raw
            continue
        cells, problem = parse(text)
        taken = [physical]
        if cells is None and problem is None:
            cells, problem, raw = _closed(physical, taken, waiting, lines, parse, quote, encoding, most, at.form.wanted)
        last, problem = taken[-1], wrong or problem or ("nul" if b"\0" in raw else None)
        yield number, offset, last[0] + last[2] - offset, len(taken), cells or none, problem, raw
        number += len(taken) - 1


def _closed(
    first: Line,
    taken: list[Line],
    waiting: deque[Line],
    lines: Iterator[Line],
    parse: _Parse,
    quote: str,
    encoding: str,
    most: int,
    wanted: int,
) -> tuple[list[str] | None, str | None, bytes]:
    """The row that `first` leaves with an open quote: lines go to `taken` until it closes, or back to `waiting`.

    The row is parsed only where a quote closes in the line that joined it, and no more often than it has cells: else one
    stray quote above doubled ones has the whole look-ahead parsed once a line.
    """
    parts, held, q = [first[1]], first[2], re.escape(quote.encode(encoding))
    closes = re.compile(rb"(?<!%b)(?:%b%b)*%b(?!%b)" % (q, q, q, q, q)).search
    while wanted >= 0:
        following = waiting.popleft() if waiting else next(lines, None)
        if following is None:
            break
        parts += (line_end(taken[-1]), following[1])
        taken.append(following)
        held += following[3]
        if held > most or following[2] > len(following[1]):
            break
        if closes(following[1]):
            wanted -= 1
            raw = b"".join(parts)
            text, wrong = _text(raw, encoding)
            cells, problem = parse(text)
            if cells is not None or problem is not None:
                return cells, wrong or problem, raw
    waiting.extendleft(reversed(taken[1:]))
    del taken[1:]
    return None, "quote", first[1]


def _text(raw: bytes, encoding: str) -> tuple[str, str | None]:
    """The text of some bytes, and what is wrong with them: its quotes tell where a row ends all the same."""
    try:
        return raw.decode(encoding), None
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), "encoding"


def _parser(delimiter: str, quote: str) -> _Parse:
    """Text of a row -> its cells, or a problem; (None, None) while a quote is open.

    The csv module in its strict mode does nearly all rows, at three times the speed of the expression below; it can't
    tell an open quote from a wrong one, drops a lone carriage return at the end and refuses it elsewhere: those rows go
    the slow way.
    """
    q, d = re.escape(quote), re.escape(delimiter)
    cell = re.compile(rf"(?:{q}((?:[^{q}]|{q}{q})*+){q}|((?:[^{q}{d}][^{d}]*+)?))({d}|\Z)")
    opened = re.compile(rf"{q}(?:[^{q}]|{q}{q})*+\Z")
    reader = csv.reader

    def parse(text: str) -> tuple[list[str] | None, str | None]:
        if "\r" not in text:
            try:
                return next(reader((text,), delimiter=delimiter, quotechar=quote, strict=True)), None
            except (csv.Error, StopIteration):
                pass
        cells, at = list[str](), 0
        while True:
            found = cell.match(text, at)
            if found is None:
                return None, None if opened.match(text, at) else "quote"
            quoted, plain, end = found.groups()
            cells.append(plain if quoted is None else quoted.replace(quote * 2, quote))
            at = found.end()
            if not end:
                return cells, None

    return parse


def _header(option: object, fields: Sequence[str], trailing: int) -> list[str] | None:
    if option is False:
        return None
    if option is not True and not isinstance(option, (list, tuple)):
        raise ContractBroken(
            f"format delimited: header is {option!r}",
            next_step="header: true, false, or the list of names that stand in the file",
        )
    names = fields if option is True else [str(name) for name in option]  # pyright: ignore[reportUnknownVariableType]
    return [*names, *[""] * trailing]


def _character(option: object, name: str) -> str:
    if not isinstance(option, str) or len(option) != 1 or ord(option) > 127 or option in "\r\n":
        raise ContractBroken(f"format delimited: {name} is {option!r}", next_step=f"{name} is one ASCII character, e.g. ','")
    return option
