"""Tagged sentences (CoNLL and its cousins): a token with its tags on each line, one record per sentence, blank lines between them.

The contract's fields are the columns of a line, in order: the token first, then its tag or tags. A field of a record holds its
column of the whole sentence, with one space between (no token holds a space): `F.split` makes arrays of them, all of one length.
Options of the raw contract:
    separator  the one character between columns, default a tab.
    encoding   default utf-8; bytes that are not: `encoding`, and the bytes are kept.
    longest    bytes of one sentence; default 16 MiB. A longer one is a reject, `too_long`, its first bytes are kept.
A line of white space only is blank: any number of them end a sentence and are no record, the end of the file ends one as well.
What is wrong with one line is wrong with its sentence, which is set aside whole, all of its lines:
    no_tag     a token stands without a tag (a byte order mark on a line of its own is such a token).
    no_token   a tag stands without a token.
    columns    a line has more columns than the contract has fields.
    space      a token or tag holds a space: it would count as two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from lake.errors import ContractBroken
from lake.sources.records import NO_RECORD, Record, Row, check_options, line_end, longest, physical_lines


def records(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "") -> Iterator[Record]:
    """Records of one file, in file order.

    Raises:
        ContractBroken: the options are wrong.
    """
    return (Record(*row) for row in rows(stream, options, fields, path) if row[0] != NO_RECORD)


def looks_ahead(options: Mapping[str, Any]) -> int:
    """0: of a file that grows only the last sentence may change."""
    return 0


def rows(stream: BinaryIO, options: Mapping[str, Any], fields: Sequence[str], path: str = "", *, resumed: bool = False) -> Iterator[Row]:
    """The same as plain tuples, and the blank lines between them, as NO_RECORD.

    `resumed` at a sentence further down changes nothing here, and a file's path tells nothing of its sentences.
    """
    check_options(options, ("separator",), "format conll")
    separator = options.get("separator", "\t")
    if not isinstance(separator, str) or len(separator) != 1 or separator in "\r\n":
        raise ContractBroken(f"format conll: separator is {separator!r}", next_step="separator is one character, e.g. ' '")
    encoding, width = str(options.get("encoding", "utf-8")), len(fields)
    nothing: tuple[str | None, ...] = (None,) * width
    ordinal = 0
    for line, offset, length, count, contents, raw in _blocks(stream, longest(options)):
        if not contents:
            yield NO_RECORD, line, offset, length, count, nothing, None, b""
            continue
        values, problem = nothing, "too_long" if length > len(raw) else None
        if problem is None:
            try:
                text = b"\n".join(contents).decode(encoding)
            except UnicodeDecodeError:
                problem = "encoding"
            else:
                cells = [one.split(separator) for one in text.split("\n")]
                problem = "nul" if "\0" in text else next((wrong for one in cells if (wrong := _wrong(one, width))), None)
                if problem is None:
                    values = tuple(map(" ".join, zip(*cells, strict=True)))
        yield ordinal, line, offset, length, count, values, problem, raw
        ordinal += 1


def _blocks(stream: BinaryIO, limit: int) -> Iterator[tuple[int, int, int, int, list[bytes], bytes]]:
    """Each run of lines that are blank, or are not: first line number, offset, length, lines, contents (none of blank ones), bytes."""
    contents: list[bytes] = []
    parts: list[bytes] = []  # contents and line ends so far, never more than `limit` bytes and a line
    line, start, length, count, end, kept, was_blank = 1, 0, 0, 0, b"", 0, False
    for number, physical in enumerate(physical_lines(stream, limit), 1):
        offset, content, size, _ = physical
        blank = size == len(content) and not content.strip()
        if count and blank != was_blank:
            yield line, start, length, count, contents, b"".join(parts)[:limit]
            contents, parts, length, count, end, kept = [], [], 0, 0, b"", 0
        if not count:
            line, start, was_blank = number, offset, blank
        length += len(end) + size
        count += 1
        if not blank and kept <= limit:
            contents.append(content)
            parts += (end, content)
            kept += len(end) + len(content)
        end = line_end(physical)
    if count:
        yield line, start, length, count, contents, b"".join(parts)[:limit]


def _wrong(cells: Sequence[str], width: int) -> str | None:
    if len(cells) > width:
        return "columns"
    if not cells[0]:
        return "no_token"
    if len(cells) < width or "" in cells:
        return "no_tag"
    return "space" if any(" " in cell for cell in cells) else None
