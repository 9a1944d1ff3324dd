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
               file aside: one reject, `header`, and no value in a wrong column. A row further down that is the header once
               more (files were put together) is a reject, `header_again`.
    trailing   number of empty cells that end every row, header included; default 0.
    encoding   default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest    bytes of one record; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A row with another number of cells is a reject, `fields`; one of delimiters and blanks only, `empty_row`.
An empty file has no rows and nothing wrong, nor has a file that holds its header only.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

from lake.errors import ContractBroken
from lake.sources.records import NO_RECORD, Line, Record, Row, check_options, line_end, longest, physical_lines

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
    check_options(options, ("delimiter", "quote", "header", "trailing"), "format delimited")
    delimiter = _character(options.get("delimiter", ","), "delimiter")
    quote = None if options.get("quote", '"') is None else _character(options.get("quote", '"'), "quote")
    trailing = int(options.get("trailing", 0))
    header, top = _header(options.get("header", True), fields, trailing), not resumed
    width, wanted = len(fields), len(fields) + trailing
    nothing: tuple[str | None, ...] = (None,) * width

    ordinal = 0
    found = _cells(stream, delimiter, quote, str(options.get("encoding", "utf-8")), wanted, longest(options))
    for line, offset, length, count, cells, problem, raw in found:
        if top and header is not None:
            if problem is not None or cells != header:
                yield 0, line, offset, length, count, nothing, "header", raw
                return
            top = False
            yield NO_RECORD, line, offset, length, count, nothing, None, raw
            continue
        values = nothing
        if problem is None:
            if cells == header:
                problem = "header_again"
            elif len(cells) != wanted or (trailing and any(cells[width:])):
                problem = "fields"
            else:
                values = tuple(cells[:width]) if trailing else tuple(cells)
        yield ordinal, line, offset, length, count, values, problem, raw
        ordinal += 1


_Found: TypeAlias = tuple[int, int, int, int, list[str], str | None, bytes]
_Parse: TypeAlias = Callable[[str], tuple[list[str] | None, str | None]]


def _cells(stream: BinaryIO, delimiter: str, quote: str | None, encoding: str, wanted: int, limit: int) -> Iterator[_Found]:
    """Each row: first line number, offset, length, lines, cells, problem, bytes."""
    parse = None if quote is None else _parser(delimiter, quote)
    blank = delimiter + " \t\r"
    lines, most = physical_lines(stream, limit), min(LOOK_AHEAD, limit)
    waiting: deque[Line] = deque()  # lines that a look-ahead took in vain
    number, none = 0, list[str]()
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
            cells, problem, raw = _closed(physical, taken, waiting, lines, parse, quote, encoding, most, wanted)
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
