"""Records of raw files as a Spark DataFrame: origin, typed fields, and what is wrong with a record that can't be typed.

The workers open, unpack, check and split the files (mapInArrow, a file is never split); one select of built-in
functions then casts their text to the contract's types. A file's bytes are the ledger's, or the run ends: no more than
its listed size is read (a log may have grown since), and the sha256 of that is taken while reading. Options of the raw
contract that every format has:
    formats   {field: pattern} of dates and timestamps, in Spark's datetime patterns; a timestamp always needs one.
    zone      zone of timestamps that carry none: a name (Asia/Shanghai) or an offset (+01:00); default UTC. A time that
              its clocks never showed is a reject, `no_such_time`; so is one that they showed twice, `ambiguous_time`,
              unless
    fold      `earlier` or `later` says which of the two it is.
    missing   texts that mean that there is no value (-200, NA); so does an empty cell where the type is not string.
    decimal   `,` where numbers are written with a decimal comma.
    unpacked  {most, ratio}: what a compressed file (.gz, .bz2, .zst) may unpack to, in bytes and in multiples of its own
              size; default 64 GiB, and 200 times where that is more than 64 MiB. A file beyond them is set aside whole.

A compressed file that can't be unpacked to its end, or has other bytes behind its end, is set aside whole: a part of it
would count as all of it. (A zstd file that was written without checksums can't show that its bytes have changed.) What a
store can't give us is no fault of the file: the run ends, and the next one reads it.

Of a file that has grown, only what its last edition left open is parsed, where the format allows it (its module says how
far before a file's end bytes to come may still change a record: `looks_ahead`). All of its bytes pass by and are hashed.

What comes out is reconciled with what went in: while a file's bytes pass, its line ends are counted apart from its reader,
and the records (and the header) have to hold exactly that many lines, each line one of them.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import heapq
import importlib
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from lake.contract import Column, Source
from lake.errors import ContractBroken, FileChanged, RunFailed, StoreUnreachable
from lake.sources.cells import TYPES, Numbers, row_ids
from lake.sources.drift import NOTES
from lake.sources.files import COMPRESSED, FileEdition, Mark, place_of
from lake.sources.records import BOM, NO_RECORD, Block, Row
from lake.store import Store

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

ORIGIN = ("row_id", "file", "edition", "sha256", "ordinal", "line", "offset", "length")
BATCH_ROWS = 8192
BATCH_BYTES = 8 * 1024 * 1024  # of raw bytes; with their fields beside them a batch stays below 32 MiB
TASKS_PER_CORE = 4
BYTES_PER_TASK = 4 * 1024 * 1024  # as text; a task of less costs more to start than to do, and leaves small data files
UNPACKED_MOST = 64 * 1024**3  # bytes of one file: at 50 MB/s some 20 minutes of one task
UNPACKED_RATIO = 200  # real logs come to 10 to 100; gzip can do 1,032, the others any number
UNPACKED_FREE = 64 * 1024**2  # bytes in which no ratio is asked for: a small file of blanks is no bomb
HELD = 64 * 1024**2  # bytes of an unpacked file that are held, so that it is not unpacked twice
_BLOCK = 1024 * 1024
_INT = 2**31 - 1

_Rows = Callable[..., Iterator[Row | Block]]  # (stream, options, fields, path), and resumed=True at a record further down


_TOP = Mark(0, 0)


@dataclass(slots=True)
class Given:
    """What reading a file gave: how many records, where they begin, the first one that bytes to come may still change, and notes on drift."""

    records: int = 0
    begins: Mark = _TOP
    open: Mark | None = None
    notes: tuple[str, ...] = ()


def counting(spark: SparkSession) -> Any:
    """An accumulator where `read` leaves what each file gave, by path: its value is a dict[str, Given]."""
    return spark.sparkContext.accumulator(dict[str, Given](), cast(Any, _Counts()))


class _Counts:
    """How counts of several tasks come together, as Spark's AccumulatorParam; a task that ran twice says the same twice."""

    def zero(self, value: dict[str, Given]) -> dict[str, Given]:
        return {}

    def addInPlace(self, value1: dict[str, Given], value2: dict[str, Given]) -> dict[str, Given]:
        value1.update(value2)
        return value1


def read(spark: SparkSession, files: Sequence[FileEdition], source: Source, store: Store, counts: Any = None) -> DataFrame:
    """Records of some file editions: the origin columns, the contract's fields, `_problem` (null: all is well), `_raw`.

    `_problem` joins reasons by `;`: what the format's reader found (see lake/sources/<format>.py),
    `not_a_number:<field>` and its like when a cell can't be cast (`out_of_range:<field>` when it is a number that the type
    can't hold), `unreadable:<why>` for a damaged archive and `header` for a file whose columns are others: these two are
    one row for the whole file, and nothing else of it is read. `_raw` holds the record's bytes where there is a problem.
    `counts` (see `counting`) gets what each file gave when the DataFrame is computed.

    Raises:
        ContractBroken: no such format, or options that nobody reads.
        FileChanged: (by the workers, when the DataFrame is computed) a file is no longer the edition that was planned.
        RunFailed: (by the workers) a reader's records do not hold each line of a file once.
    """
    names = [column.name for column in source.fields]
    if clash := sorted({*ORIGIN, "_problem", "_raw"} & set(names)):
        raise ContractBroken(f"{source.address}: {', '.join(clash)} is a name of ours", next_step="call the field otherwise")
    # Options are wrong or right for every file alike: an empty one shows it here, before any task starts.
    _most_unpacked(0, source.options)
    list(_reader(source.format)(io.BytesIO(), source.options, names, ""))
    groups = _groups(files, _tasks(files, _cores(spark)))
    numbers = Numbers.of(source.fields, source.options)
    task = _Task(place_of(store, source), source.format, dict(source.options), names, numbers, groups, counts, source.name)
    found = spark.range(0, len(groups), 1, max(1, len(groups))).mapInArrow(task, numbers.ddl())
    return _typed(found, source)


class _Task:
    """What a worker does: its groups of files -> Arrow batches. Holds no secret: a Store pickles without its keys."""

    def __init__(
        self,
        place: Store,
        format: str,
        options: Mapping[str, Any],
        names: Sequence[str],
        numbers: Numbers,
        groups: Sequence[Sequence[FileEdition]],
        counts: Any,
        source: str,
    ) -> None:
        self.place, self.format, self.options, self.names, self.groups, self.counts = place, format, options, names, groups, counts
        self.numbers, self.source = numbers, source

    def __call__(self, ids: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows, schema, files = _reader(self.format), _schema(len(self.names)), self.place.arrow()
        for batch in ids:
            for group in batch.column(0).to_pylist():
                for file in self.groups[group]:
                    opened, given = partial(_opened, files, self.place.arrow_path(file.uri)), Given()
                    for read in _batches(file, opened, rows, self.options, self.names, schema, given):
                        yield self.numbers.cast(read, row_ids(self.source, file.path, read.column("ordinal"), file.base))
                    if self.counts is not None:
                        self.counts.add({file.path: given})


def _batches(
    file: FileEdition,
    opened: Callable[[], BinaryIO],
    rows: _Rows,
    options: Mapping[str, Any],
    names: Sequence[str],
    schema: pa.Schema,
    given: Given | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of one file; its size and hash are compared with the edition's when its last byte has been read.

    Of a file that has grown come the records that its last edition did not have, or had otherwise. `given` gets what came.
    """
    given = given or Given()
    # A damaged archive is known before its first record is given on: else a part of it would count as the whole.
    lines: _LineEnds | None = None
    unpacked: bytes | None = None
    if file.path.endswith(COMPRESSED):
        damage, lines, unpacked = _damage(file, opened, _most_unpacked(file.size, options))
        if damage:
            whole: Row = (0, 1, 0, min(file.size, _INT), 0, (None,) * len(names), f"unreadable:{damage}", b"")
            given.records = 1
            yield _batch([whole], file, schema)
            return
    waiting, held, first = list[Row](), 0, _TOP if file.begins is None else None
    with closing(_Checked(opened(), file.size, file.head or 0) if unpacked is None else io.BytesIO(unpacked)) as checked:
        # Held by name: a buffered reader that is collected closes what lies below it.
        content = checked if isinstance(checked, io.BytesIO) else _unpacked(file.path if file.size else "", checked)
        if file.begins is None:
            every = _Followed(file, rows, options)
            came = every.records(rows(content, options, names, file.path))
        else:
            every = _Followed(file, rows, options, _passed(content, file.begins.offset))
            moved = _moved(rows(content, options, names, file.path, resumed=True), file.begins, every.lines)
            came = _new(every.records(moved), file.head or 0, lambda: isinstance(checked, _Checked) and checked.head_ends_line)
        for row in came:
            first = first or _mark(row)
            if not isinstance(row, Block):
                waiting.append(row)
                held += len(row[7])
            if waiting and (isinstance(row, Block) or len(waiting) >= BATCH_ROWS or held >= BATCH_BYTES):
                given.records += len(waiting)
                yield _batch(waiting, file, schema)
                waiting, held = [], 0
            if isinstance(row, Block):
                given.records += len(row.lengths)
                yield from _block_batches(row, file, schema)
        if isinstance(checked, _Checked):
            checked.must_be(file)
            lines = lines or checked.lines
    assert lines is not None
    every.must_hold(lines.count)
    given.notes = every.notes
    given.begins, given.open = first or Mark(every.ordinal + 1, file.size), every.mark
    given.records += len(waiting)
    if waiting:
        yield _batch(waiting, file, schema)


class _Followed:
    """What goes by of a file's records: their lines, each in one of them, and the first record that bytes to come may still change.

    That is the last one, or one set aside so near to the end that its reader met it.
    """

    def __init__(self, file: FileEdition, rows: _Rows, options: Mapping[str, Any], lines: int = 0) -> None:
        asked = getattr(importlib.import_module(rows.__module__), "looks_ahead", None)
        self._ahead: int | None = None if asked is None or file.path.endswith(COMPRESSED) else asked(options)
        self._file, self._first, self._last, self._problem, self.lines, self.ordinal = file, None, None, None, lines, -1
        self.notes: tuple[str, ...] = ()

    def records(self, rows: Iterator[Row | Block]) -> Iterator[Row | Block]:
        """Those of the rows that are records.

        Raises:
            RunFailed: one does not begin at the line that is to come.
        """
        for row in rows:
            if not isinstance(row, Block) and row[6] == NOTES:
                self.notes = tuple(note for note in row[5] if note)
                if self.ordinal < 0:  # on its header: who reads on further down would not know how its columns lie
                    self._ahead = None
                continue
            line, lines_held = (row.line, row.lines_held) if isinstance(row, Block) else (row[1], row[4])
            if lines_held and line != self.lines + 1:  # the records of a document have no lines of their own
                raise _unaccounted(self._file, f"a record begins at line {line}, where line {self.lines + 1} is to come")
            self.lines += lines_held
            if isinstance(row, Block) or row[0] != NO_RECORD:
                self._past(row)
                yield row

    def _past(self, row: Row | Block) -> None:
        if isinstance(row, Block):
            place = int(row.ends[-2]) if len(row.ends) > 1 else 0  # of its last record
            mark, raw, self._problem = Mark(row.ordinal + len(row.ends) - 1, place + row.offset), row.raw[place:], None
        else:
            mark, raw, self._problem = Mark(row[0], row[2]), row[7], row[6]
        self.ordinal = mark.ordinal
        if self._ahead is None or self._first is not None:
            return
        if self._problem == "header" or raw.startswith(BOM):  # a whole file; a mark that would be taken for the file's own
            self._ahead = None
            return
        self._last = mark
        if self._problem and self._ahead and mark.offset + len(raw) + self._ahead > self._file.size:
            self._first = mark

    def must_hold(self, lines: int) -> None:
        """Compare with the lines of the file, counted apart.

        Raises:
            RunFailed: the records hold more or fewer.
        """
        if self._problem != "header" and self.lines != lines:
            raise _unaccounted(self._file, f"it has {lines:,} lines, and its records hold {self.lines:,}")

    @property
    def mark(self) -> Mark | None:
        """None where it can't be told, or is the first of all: what grows is read as a whole."""
        mark = self._first or self._last
        return None if self._ahead is None or mark is None or mark.ordinal == 0 else mark


def _new(rows: Iterator[Row | Block], head: int, ends_line: Callable[[], bool]) -> Iterator[Row | Block]:
    """Records of a file that has grown which its last edition, its first `head` bytes, did not have or had otherwise."""
    same = list[Row]()
    for row in (rows := _one_by_one(rows, head)):
        if not isinstance(row, Block) and row[2] + row[3] < head:
            same.append(row)
            continue
        # A last line that had no end may have made another record of itself, and of those before it.
        yield from () if ends_line() else same
        yield row
        yield from rows
        return
    yield from () if ends_line() else same


def _passed(content: BinaryIO, size: int) -> int:
    """Read the first bytes of a file and return the lines that end in them."""
    lines = 0
    while size and (block := content.read(min(size, _BLOCK))):
        lines, size = lines + block.count(b"\n"), size - len(block)
    return lines


def _one_by_one(rows: Iterator[Row | Block], until: int) -> Iterator[Row | Block]:
    """The same records; blocks that begin before a byte of the file row by row."""
    for row in rows:
        if not isinstance(row, Block) or row.offset >= until:
            yield row
            continue
        begin, line = 0, row.line
        for n, cells in enumerate(zip(*[column.to_pylist() for column in row.cells], strict=True)):
            length, lines = int(row.lengths[n]), 1 if row.lines is None else int(row.lines[n])
            yield row.ordinal + n, line, row.offset + begin, length, lines, cells, None, row.raw[begin : begin + length]
            begin, line = int(row.ends[n]), line + lines


def _mark(row: Row | Block) -> Mark:
    return Mark(row.ordinal, row.offset) if isinstance(row, Block) else Mark(row[0], row[2])


def _moved(rows: Iterator[Row | Block], begins: Mark, lines: int) -> Iterator[Row | Block]:
    """Rows of a part of a file by their places in the whole of it."""
    for row in rows:
        if isinstance(row, Block):
            yield replace(row, ordinal=row.ordinal + begins.ordinal, line=row.line + lines, offset=row.offset + begins.offset)
            continue
        yield (row[0] if row[0] == NO_RECORD else row[0] + begins.ordinal, row[1] + lines, row[2] + begins.offset, *row[3:])


def _unaccounted(file: FileEdition, what: str) -> RunFailed:
    mend = "mend its reader (lake/sources), then run again: nothing of this run is visible"
    return RunFailed(f"{file.uri} does not reconcile: {what}", next_step=mend)


class _LineEnds:
    """The lines of a file, counted by their ends while its content passes: apart from any reader."""

    def __init__(self) -> None:
        self._ends, self._open, self._begins = 0, False, b""

    def pass_by(self, block: bytes) -> None:
        self._ends += block.count(b"\n")
        self._open = not block.endswith(b"\n") if block else self._open
        self._begins = (self._begins + block)[:4] if len(self._begins) < 4 else self._begins

    @property
    def count(self) -> int:
        """Lines, the last one also when it lacks its end; a byte order mark alone is none."""
        return self._ends + (self._open and self._begins != BOM)


def _most_unpacked(size: int, options: Mapping[str, Any]) -> int:
    """Bytes that a compressed file of this size may unpack to.

    Raises:
        ContractBroken: the option is wrong.
    """
    limits: dict[str, Any] = {"most": UNPACKED_MOST, "ratio": UNPACKED_RATIO}
    given: Any = options.get("unpacked", {})
    if not isinstance(given, dict) or given.keys() - limits or not all(isinstance(limit, int) and limit > 0 for limit in given.values()):
        example = f"e.g. unpacked: {{most: {UNPACKED_MOST}, ratio: {UNPACKED_RATIO}}}"
        raise ContractBroken(f"option unpacked is {given!r}", next_step=example)
    limits.update(given)
    return min(limits["most"], max(UNPACKED_FREE, limits["ratio"] * size))


def _damage(file: FileEdition, opened: Callable[[], BinaryIO], most: int) -> tuple[str | None, _LineEnds, bytes | None]:
    """Why a compressed file can't be unpacked whole, None when it can; its lines; and its content where that is small enough to be held."""
    lines, held = _LineEnds(), list[bytes]()
    with closing(_Checked(opened(), file.size)) as checked:
        damage, size = None, 0
        try:
            unpacked = _unpacked(file.path if file.size else "", checked)
            while damage is None and (block := unpacked.read(_BLOCK)):
                size += len(block)
                lines.pass_by(block)
                if size <= HELD:
                    held.append(block)
                else:
                    held.clear()
                if size > most:
                    damage = f"{file.size} bytes unpack to more than {most}"
        except (OSError, EOFError, zlib.error, ValueError) as error:
            damage = str(error).replace(";", ",") or type(error).__name__
        checked.must_be(file)
    return damage, lines, b"".join(held) if size <= HELD and not damage else None


class _Checked(io.RawIOBase):
    """The first `size` bytes of a stream, counted and hashed while they pass, and their line ends counted."""

    def __init__(self, stream: BinaryIO, size: int, head: int = 0) -> None:
        self._stream, self._hash, self._size, self._most, self.lines = stream, hashlib.sha256(), 0, size, _LineEnds()
        self._head, self.head_ends_line = head, False  # whether the first `head` bytes end with a line end, once they have passed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(min(len(buffer), self._most - self._size))
        except OSError as error:  # told apart from what an unpacker raises, which is the file's fault
            raise StoreUnreachable(f"a raw file can't be read on: {error}", next_step="run again: nothing of this run is visible") from error
        self._hash.update(block)
        self.lines.pass_by(block)
        if self._size < self._head <= self._size + len(block):
            self.head_ends_line = block[self._head - self._size - 1] == 10
        self._size += len(block)
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def must_be(self, file: FileEdition) -> None:
        """Read what is left and compare.

        Raises:
            FileChanged: these are other bytes than the edition's.
        """
        while self.read(_BLOCK):
            pass
        if (self._size, self._hash.hexdigest()) != (file.size, file.sha256):
            raise FileChanged(
                f"{file.uri} changed while it was read: edition {file.edition} has {file.size} bytes, "
                f"sha256 {file.sha256[:12]}; found {self._size} bytes, sha256 {self._hash.hexdigest()[:12]}",
                next_step="run again: what lies there now is its next edition",
            )


def _opened(files: Any, path: str) -> BinaryIO:
    try:
        return files.open_input_stream(path, compression=None)
    except FileNotFoundError:
        raise FileChanged(f"{path} was listed, and is gone now", next_step="run again when its writer is done") from None


def _unpacked(path: str, stream: io.RawIOBase) -> BinaryIO:
    """The stream of a file's content, buffered; unpacked by the ending of its name."""
    packed = io.BufferedReader(stream, _BLOCK)
    if path.endswith(".gz"):
        return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=packed), _BLOCK))  # pyright: ignore[reportArgumentType]
    if path.endswith(".bz2"):
        return io.BufferedReader(_Bunzipped(packed), _BLOCK)
    if path.endswith(".zst"):
        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd"), _BLOCK))
    return packed


class _Bunzipped(io.RawIOBase):
    """Content of a bz2 file: bz2.BZ2File takes whatever lies behind a stream's end for the end of the file, in silence."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed, self._stream = packed, bz2.BZ2Decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            more = b""
            if self._stream.eof or self._stream.needs_input:
                more = self._stream.unused_data or self._packed.read(_BLOCK)
            if self._stream.eof:
                if not more:
                    return 0
                self._stream = bz2.BZ2Decompressor()  # files that were packed apart and put together
            elif not more and self._stream.needs_input:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            content = self._stream.decompress(more, len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _batch(rows: Sequence[Row], file: FileEdition, schema: pa.Schema) -> pa.RecordBatch:
    ordinals, lines, offsets, lengths, _, fields, problems, raws = zip(*rows, strict=True)
    if max(lengths) > _INT:  # a record beyond 2 GiB, of which LIMIT bytes are kept
        lengths = tuple(min(length, _INT) for length in lengths)
    columns = (ordinals, lines, offsets, lengths, *zip(*fields, strict=True), problems, raws)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, list(schema)[3:], strict=True)]
    return pa.RecordBatch.from_arrays([*_of_file(file, len(rows), schema), *arrays], schema=schema)


def _block_batches(block: Block, file: FileEdition, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The records of a block. Their `_raw` holds their line ends as well: `length` says how much of it is the record's."""
    n = len(block.lengths)
    ends = np.concatenate([[0], block.ends])
    lines = np.arange(n) if block.lines is None else np.cumsum(block.lines) - block.lines
    raw = pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(block.raw)])
    numbers = (block.ordinal + np.arange(n), block.line + lines, block.offset + ends[:-1])
    arrays = [*(pa.array(column, pa.int64()) for column in numbers), pa.array(block.lengths, pa.int32()), *block.cells, pa.nulls(n, pa.string()), raw]
    whole = pa.RecordBatch.from_arrays([*_of_file(file, n, schema), *arrays], schema=schema)
    for at in range(0, n, BATCH_ROWS):
        yield whole.slice(at, BATCH_ROWS)


def _of_file(file: FileEdition, n: int, schema: pa.Schema) -> list[pa.Array]:
    return [pa.repeat(pa.scalar(v, f.type), n) for v, f in zip((file.path, file.edition, file.sha256), schema, strict=False)]


def _schema(width: int) -> pa.Schema:
    text, long = pa.string(), pa.int64()
    return pa.schema(
        [
            ("file", text),
            ("edition", pa.int32()),
            ("sha256", text),
            ("ordinal", long),
            ("line", long),
            ("offset", long),
            ("length", pa.int32()),
        ]
        + [(f"cell{i}", text) for i in range(width)]
        + [("_problem", text), ("_raw", pa.binary())]
    )


def _typed(found: DataFrame, source: Source) -> DataFrame:
    """Cells of text -> the contract's types, and the reasons where that fails."""
    from pyspark.sql import functions as F

    # Cells that are plainly numbers came as such. What is left of a row is judged where there is any: the same expressions, once for
    # all columns of a type. One for each column made generated code of a size that the JVM never compiles.
    of_type = {kind: [i for i, c in enumerate(source.fields) if c.type == kind] for kind in TYPES}
    judged: dict[int, SparkColumn] = {}
    odd = F.col("_odd").isNotNull()
    for kind, places in of_type.items():
        if places:
            cells = F.array(*[F.col(f"_odd.cell{i}") for i in places])
            each = F.when(odd, F.transform(cells, partial(_judged, source.fields[places[0]], source)))
            found = found.withColumn(f"_{kind}", each)
            judged |= {i: F.col(f"_{kind}")[n] for n, i in enumerate(places)}
    fields: list[SparkColumn] = []
    failed: list[tuple[SparkColumn, SparkColumn]] = [(F.col("_problem").isNotNull(), F.col("_problem"))]
    for i, column in enumerate(source.fields):
        if i in judged:
            fields.append(F.coalesce(F.col(f"number{i}"), judged[i]["value"]).alias(column.name))
            wrong = judged[i]["wrong"]
            failed.append((odd & wrong.isNotNull(), F.concat(wrong, F.lit(f":{column.name}"))))
            continue
        text, value, wrong = _value(F.col(f"cell{i}"), column, source)
        fields.append(value.alias(column.name))
        if wrong is not None:
            failed.append((text.isNotNull() & value.isNull(), F.concat(wrong, F.lit(f":{column.name}"))))
    # Asked as one condition first: most records have no problem, and need no text made of none.
    problem = F.when(reduce(or_, [bad for bad, _ in failed]), F.concat_ws(";", *[F.when(bad, reason) for bad, reason in failed]))
    return found.select(
        *ORIGIN,
        *fields,
        problem.alias("_problem"),
        F.when(problem.isNotNull(), F.substring("_raw", F.lit(1), F.col("length"))).alias("_raw"),
    )


def _judged(column: Column, source: Source, cell: SparkColumn) -> SparkColumn:
    """A cell's value and, where it has none but text, the reason."""
    from pyspark.sql import functions as F

    text, value, wrong = _value(cell, column, source)
    reason = F.lit(None).cast("string") if wrong is None else F.when(text.isNotNull() & value.isNull(), wrong)
    return F.struct(value.alias("value"), reason.alias("wrong"))


# Spark casts 'NaN', 'Infinity', '1d' and '0x1p3' to double as well; a sensor that writes them has no number to tell.
_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
_WHOLE = r"^[+-]?[0-9]+$"


def _value(cell: SparkColumn, column: Column, source: Source) -> tuple[SparkColumn, SparkColumn, SparkColumn | None]:
    """The cell's text (null when missing), its typed value, and the reason if only the first is there."""
    from pyspark.sql import functions as F

    options, kind = source.options, column.type
    missing = [str(mark) for mark in options.get("missing", ())]
    if kind == "string":
        text = F.when(~cell.isin(missing), cell) if missing else cell
        return text, text, None
    text = F.trim(cell)
    text = F.when(~text.isin(["", *missing]), text)
    if kind in ("double", "float") or kind.startswith("decimal"):
        decimal = str(options.get("decimal", "."))
        written = text.rlike(_NUMBER.replace("[.]", f"[{decimal}]"))
        number = F.when(written, F.replace(text, F.lit(decimal), F.lit("."))).try_cast(kind)
        # 1e999 becomes Infinity in silence
        return text, F.when(F.abs(number) < F.lit(float("inf")), number), _not_a_number(written)
    if kind in ("int", "bigint", "smallint"):
        return text, text.try_cast(kind), _not_a_number(text.rlike(_WHOLE))
    if kind == "boolean":
        return text, text.try_cast(kind), F.lit("not_a_boolean")
    pattern = options.get("formats", {}).get(column.name)
    if kind == "date":
        return text, _of_our_years(F.try_to_date(text, str(pattern or "yyyy-MM-dd"))), F.lit("not_a_date")
    if kind != "timestamp" or pattern is None:
        raise ContractBroken(
            f"{source.address}: field {column.name} ({kind}) has no format"
            if kind == "timestamp"
            else f"{source.address}: {kind} can't be read from text",
            next_step=f"write formats: {{{column.name}: yyyy-MM-dd HH:mm:ss}} into the options of its server",
        )
    if re.search(r"[VvzOXxZ]", re.sub(r"'[^']*'", "", pattern)):
        return text, _of_our_years(F.try_to_timestamp(text, F.lit(pattern))), F.lit("not_a_timestamp")
    zone, written = str(options.get("zone", "UTC")), F.concat(text, F.lit(" UTC"))
    return text, *_instant(_of_our_years(F.try_to_timestamp(written, F.lit(f"{pattern} VV"))), zone, _fold(options, source))


def _not_a_number(written: SparkColumn) -> SparkColumn:
    """Why a cell has no number: it is `written` as one that its type can't hold, or it is none."""
    from pyspark.sql import functions as F

    return F.when(written, F.lit("out_of_range")).otherwise(F.lit("not_a_number"))


def _of_our_years(time: SparkColumn) -> SparkColumn:
    """Null outside the years 1 to 9999: Spark takes 0000-03-01 and +20260-03-01 for days, Python and Arrow's readers can't hold them.

    One such day as a partition, and delta-rs opens the whole table no more.
    """
    from pyspark.sql import functions as F

    return F.when(F.year(time).between(1, 9999), time)


def _instant(shown: SparkColumn, zone: str, fold: str | None) -> tuple[SparkColumn, SparkColumn]:
    """The instant at which a zone's clocks showed a time (given as if it were UTC), and the reason if there is not one."""
    from pyspark.sql import functions as F

    if re.fullmatch(r"UTC|GMT|Z|[+-][0-9:]+", zone):
        return F.to_utc_timestamp(shown, zone), F.lit("not_a_timestamp")
    day = F.expr("INTERVAL 24 HOURS")
    # By the offset before a change and by the one after it: the same instant but for the hours that a change takes or gives.
    earlier = F.to_utc_timestamp(shown, zone)
    later = F.to_utc_timestamp(shown + day, zone) - day
    one, two = (F.from_utc_timestamp(at, zone) == shown for at in (earlier, later))
    meant = {"earlier": earlier, "later": F.when(two, later).otherwise(earlier)}.get(fold or "", F.when((earlier == later) | ~two, earlier))
    wrong = F.when(shown.isNull(), F.lit("not_a_timestamp")).when(~one, F.lit("no_such_time")).otherwise(F.lit("ambiguous_time"))
    return F.when(one, meant), wrong


def _fold(options: Mapping[str, Any], source: Source) -> str | None:
    fold = options.get("fold")
    if fold not in (None, "earlier", "later"):
        raise ContractBroken(f"{source.address}: option fold is {fold!r}", next_step="fold: earlier or fold: later")
    return fold


def _reader(format: str) -> _Rows:
    """The reader of a format: the module of its name in lake/sources, by blocks if it can. A new format is a new file there."""
    try:
        module = importlib.import_module(f"lake.sources.{format}")
        return getattr(module, "blocks", module.rows)
    except (ModuleNotFoundError, AttributeError):
        raise ContractBroken(
            f"no reader for format {format!r}",
            next_step=f"formats are lines, delimited, conll, json_lines and json_document; a new one is lake/sources/{format}.py with rows()",
        ) from None


def _tasks(files: Sequence[FileEdition], cores: int) -> int:
    """Tasks for some files, each of which writes a data file: one more for each BYTES_PER_TASK, up to TASKS_PER_CORE of them a core."""
    size = sum(f.size * (8 if f.path.endswith(COMPRESSED) else 1) for f in files)
    return max(1, min(cores * TASKS_PER_CORE, -(-size // BYTES_PER_TASK)))


def _groups(files: Sequence[FileEdition], most: int) -> list[list[FileEdition]]:
    """Files dealt out to tasks, the largest first to the lightest: one file a task when there are few."""
    groups: list[list[FileEdition]] = [[] for _ in range(min(len(files), most))]
    light = [(0, i) for i in range(len(groups))]
    for file in sorted(files, key=lambda f: (-f.size, f.path)):
        weight, i = heapq.heappop(light)
        groups[i].append(file)
        heapq.heappush(light, (weight + file.size + 4096, i))
    return [sorted(group, key=lambda f: f.path) for group in groups]


def _cores(spark: SparkSession) -> int:
    from pyspark.errors import PySparkException

    try:
        return int(spark.sparkContext.defaultParallelism)
    except PySparkException:  # a Connect session has no context to ask
        return 2
