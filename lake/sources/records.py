"""One record of a raw file with its place in it, and the physical lines that records are made of.

Places are counted in bytes of the (unpacked) file: `data[offset : offset + length]` is the record as it was written.
Only `\n` ends a line: U+0085, U+2028, form feeds and a lone `\r` are data (splitlines() makes 1,002 of 1,000 rows). A byte
order mark at the start of a file is dropped; anywhere else it is data. The last line of a file may lack its end.

What every format finds wrong with a record, beside what its own module names:
    too_long   it has more bytes than the option `longest` allows; its first ones are kept, and its true length.
    encoding   its bytes are not of the contract's encoding.
    nul        it holds a NUL byte, which no text has: UTF-16 read as UTF-8, a hole that a crash or a cut log left behind.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa

from lake.errors import ContractBroken

LIMIT = 16 * 1024 * 1024
"""Bytes of one record that are kept unless option `longest` says otherwise: a 100 MB line must not fill a worker's memory."""

BOM = b"\xef\xbb\xbf"

Line: TypeAlias = tuple[int, bytes, int, int]
"""Offset, content without its end, length of the content (beyond LIMIT more than is kept), size with the end."""

Row: TypeAlias = tuple[int, int, int, int, int, tuple[str | None, ...], str | None, bytes]
"""A record as a plain tuple, in the order of `Record`'s fields: making it costs a tenth of the dataclass."""

NO_RECORD = -1
"""The ordinal of lines that are no record (a header): a reader gives them as well, so that every line of a file is accounted for."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its place, its fields as text (all None when there is a problem), and its bytes.

    `length` leaves the record's own line end out; `raw` is those `length` bytes (the first that are kept when `too_long`).
    """

    ordinal: int
    line: int
    offset: int
    length: int
    lines: int
    fields: tuple[str | None, ...]
    problem: str | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Records without a problem that follow each other, by column: some 20 times as fast to make as their rows.

    A reader that has `blocks(stream, options, fields, path)` beside its `rows` gives what is plain in this form, and the same
    rows as `rows` for all else. `raw` are the block's bytes; `ends[i]` is where record i's last line end stops in them, and
    where record i + 1 begins.
    """

    ordinal: int
    line: int
    lines: np.ndarray | None
    offset: int
    lengths: np.ndarray
    ends: np.ndarray
    cells: Sequence[pa.Array]
    raw: bytes

    @property
    def lines_held(self) -> int:
        """Lines of all its records; `lines` is None where each has one."""
        return len(self.lengths) if self.lines is None else int(self.lines.sum())


class Ahead:
    """A stream of which blocks of whole lines can be taken, and given back to be read line by line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._held, self._at, self._ended = stream, b"", 0, False
        self.position = 0  # bytes that were taken and not given back

    def whole_lines(self, size: int) -> bytes:
        """Some `size` bytes that end with a line's end; none at the end of the stream, and before a line that is longer."""
        if len(self._held) - self._at < size and not self._ended:
            more = self._stream.read(max(size, READ_AT_ONCE))
            self._ended = not more
            self._held, self._at = self._held[self._at :] + more, 0
        end = self._held.rfind(b"\n", self._at, self._at + size) + 1
        if end <= self._at:
            return b""
        block = self._held[self._at : end]
        self.position += len(block)
        self._at = end
        return block

    def back(self, size: int) -> None:
        """Give back the last `size` bytes of the block that was taken last."""
        self._at -= size
        self.position -= size

    def readline(self, limit: int = -1, /) -> bytes:
        """As a buffered stream's."""
        held, at = self._held, self._at
        limit = limit if limit >= 0 else len(held) + 2**62
        end = held.find(b"\n", at, at + limit) + 1 or min(len(held), at + limit)
        line = held[at:end]
        self._at = end
        if len(line) < limit and line[-1:] != b"\n":
            line += self._stream.readline(min(limit - len(line), 2**62))
        self.position += len(line)
        return line


READ_AT_ONCE = 1024 * 1024
FEWEST = 64  # records of a block: fewer, before one that is not plain, cost more by column than by row
ROW_BY_ROW = 16 * 1024  # bytes that are read row by row before the next block is tried: where much is wrong, trying costs more than it gains


@dataclass(slots=True)
class At:
    """Where reading stands: the next record's ordinal, and the lines before it."""

    ordinal: int = 0
    line: int = 0


def row_by_row_or_block(
    ahead: Ahead, at: At, rows: Callable[[], Iterator[Row]], plain: Callable[[bytes], Block | None], size: Callable[[], int], may: Callable[[], bool]
) -> Iterator[Row | Block]:
    """All records of a stream: row by row, and by blocks from where they `may` be taken for as long as they are plain.

    `rows` reads on from where `at` stands; of whole lines of some `size()` bytes, `plain` gives the records of their beginning, None where
    these are few or not plain: then some way is gone row by row.
    """
    until = 1  # the first row is always read alone: a header, a byte order mark
    while True:
        for row in rows():
            yield row
            if ahead.position >= until and may():
                break
        else:
            return
        until = ahead.position + 1
        while taken := ahead.whole_lines(size()):
            block = plain(taken)
            if block is not None:
                at.ordinal, at.line = at.ordinal + len(block.lengths), at.line + block.lines_held
                yield block
            if left := len(taken) - (len(block.raw) if block is not None else 0):
                ahead.back(left)
                until = ahead.position + (ROW_BY_ROW if block is None else 1)
                break
            until = ahead.position + 1


def line_ends(block: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Of each line of a block that ends with one: where it ends with its line end, and its length without."""
    octets = np.frombuffer(block, np.uint8)
    at = np.flatnonzero(octets == 10)
    ends = at + 1
    lengths = np.diff(ends, prepend=0) - 1
    if b"\r\n" in block:
        lengths -= (octets[at - 1] == 13) & (at > 0)
    return ends, lengths


def is_by_the_byte(encoding: str) -> bool:
    """Whether text of many lines is decoded as its lines one by one are: what an encoding does with a line depends on no other."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        return False
    return name in ("utf-8", "ascii") or name.startswith(("iso8859-", "cp125"))


def physical_lines(stream: BinaryIO | Ahead, limit: int = LIMIT, offset: int = 0) -> Iterator[Line]:
    """Lines of a buffered stream, with bounded memory; a byte order mark at the start belongs to no line.

    `offset` is where the stream stands in its file.
    """
    readline = stream.readline
    while piece := readline(limit):
        size = len(piece)
        if piece[-1] == 10:  # "\n"
            content = piece[:-2] if piece[-2:] == b"\r\n" else piece[:-1]
            length = len(content)
        elif size < limit:
            content, length = piece, size
        else:
            content, length, size = _long_line(stream, piece, limit)
        if offset == 0 and content.startswith(BOM):
            offset, content, length, size = 3, content[3:], length - 3, size - 3
            if not size:
                return
        yield offset, content, length, size
        offset += size


def line_end(line: Line) -> bytes:
    """The bytes that end a line: `\\n`, `\\r\\n`, or nothing at the end of a file."""
    return (b"", b"\n", b"\r\n")[line[3] - line[2]]


def check_options(options: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Refuse an option that nobody reads: a typo would change what is read in silence.

    Raises:
        ContractBroken: names the option and those that there are.
    """
    every = (*(name for name in known if name != "shapes"), "encoding", "longest", *CASTING)
    for name in options:
        if name not in every and name != "shapes":  # which the contract itself tells, to who asks for it
            raise ContractBroken(f"{where}: no option {name!r}", next_step=f"options are {', '.join(every)}")
    encoding = str(options.get("encoding", "utf-8"))
    try:
        plain = '\r\n\t ",;'.encode(encoding) == b'\r\n\t ",;'
    except LookupError:
        raise ContractBroken(f"{where}: no encoding {encoding!r}", next_step="e.g. encoding: utf-8") from None
    if not plain:
        raise ContractBroken(
            f"{where}: {encoding} does not write a line end as the one byte \\n",
            next_step="convert the files to UTF-8 before they are landed",
        )


CASTING = ("formats", "zone", "fold", "missing", "decimal", "unpacked", "facts")
"""Options that lake/sources/read.py reads, whatever the format; `facts` is for the bronze job."""


def longest(options: Mapping[str, Any]) -> int:
    """Bytes of one record that are kept.

    Raises:
        ContractBroken: the option is no number of bytes.
    """
    limit = options.get("longest", LIMIT)
    if not isinstance(limit, int) or limit < 1:
        raise ContractBroken(f"option longest is {limit!r}", next_step=f"longest is a number of bytes, e.g. {LIMIT}")
    return limit


def _long_line(stream: BinaryIO | Ahead, piece: bytes, limit: int) -> tuple[bytes, int, int]:
    size, tail = len(piece), piece[-2:]
    while tail[-1:] != b"\n" and (rest := stream.readline(limit)):
        size, tail = size + len(rest), (tail + rest)[-2:]
    length = size - (2 if tail == b"\r\n" else 1 if tail[-1:] == b"\n" else 0)
    return piece[:length], length, size
