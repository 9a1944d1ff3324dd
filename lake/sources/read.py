"""Records of raw files as a Spark DataFrame: origin, typed fields, and what is wrong with a record that can't be typed.

The workers open, unpack, check and split the files (mapInArrow, a file is never split); one select of built-in
functions then casts their text to the contract's types. A file's bytes are the ledger's, or the run ends: no more than
its listed size is read (a log may have grown since), and the sha256 of that is taken while reading. Options of the raw
contract that belong to the cast:
    formats   {field: pattern} of dates and timestamps, in Spark's datetime patterns; a timestamp always needs one.
    zone      zone of timestamps that carry none: a name (Asia/Shanghai) or an offset (+01:00); default UTC.
    missing   texts that mean that there is no value (-200, NA); so does an empty cell where the type is not string.
    decimal   `,` where numbers are written with a decimal comma.
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
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

from lake.contract import Column, Source
from lake.errors import ContractBroken, FileChanged
from lake.sources.files import COMPRESSED, FileEdition, place_of
from lake.sources.records import Row
from lake.store import Store

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame, SparkSession

ORIGIN = ("row_id", "file", "edition", "sha256", "ordinal", "line", "offset", "length")
BATCH_ROWS = 8192
BATCH_BYTES = 8 * 1024 * 1024  # of raw bytes; with their fields beside them a batch stays below 32 MiB
TASKS_PER_CORE = 4
_BLOCK = 1024 * 1024
_INT = 2**31 - 1

_Rows = Callable[[BinaryIO, Mapping[str, Any], Sequence[str], str], Iterator[Row]]


def read(spark: SparkSession, files: Sequence[FileEdition], source: Source, store: Store) -> DataFrame:
    """Records of some file editions: the origin columns, the contract's fields, `_problem` (null: all is well), `_raw`.

    `_problem` joins reasons by `;`: what the format's reader found (see lake/sources/<format>.py),
    `not_a_number:<field>` and its like when a cell can't be cast, `unreadable:<why>` for a damaged archive and `header`
    for a file whose columns are others: these two are one row for the whole file, and nothing else of it is read.
    `_raw` holds the record's bytes where there is a problem.

    Raises:
        ContractBroken: no such format, or options that nobody reads.
        FileChanged: (by the workers, when the DataFrame is computed) a file is no longer the edition that was planned.
    """
    names = [column.name for column in source.fields]
    if clash := sorted({*ORIGIN, "_problem", "_raw"} & set(names)):
        raise ContractBroken(f"{source.address}: {', '.join(clash)} is a name of ours", next_step="call the field otherwise")
    # Options are wrong or right for every file alike: an empty one shows it here, before any task starts.
    list(_reader(source.format)(io.BytesIO(), source.options, names, ""))
    groups = _groups(files, max(1, _cores(spark) * TASKS_PER_CORE))
    task = _Task(place_of(store, source), source.format, dict(source.options), names, groups)
    found = spark.range(0, len(groups), 1, max(1, len(groups))).mapInArrow(task, _ddl(len(names)))
    return _typed(found, source)


class _Task:
    """What a worker does: its groups of files -> Arrow batches. Holds no secret: a Store pickles without its keys."""

    def __init__(
        self,
        place: Store,
        format: str,
        options: Mapping[str, Any],
        names: Sequence[str],
        groups: Sequence[Sequence[FileEdition]],
    ) -> None:
        self.place, self.format, self.options, self.names, self.groups = place, format, options, names, groups

    def __call__(self, ids: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows, schema, files = _reader(self.format), _schema(len(self.names)), self.place.arrow()
        for batch in ids:
            for group in batch.column(0).to_pylist():
                for file in self.groups[group]:
                    opened = partial(_opened, files, self.place.arrow_path(file.uri))
                    yield from _batches(file, opened, rows, self.options, self.names, schema)


def _batches(
    file: FileEdition,
    opened: Callable[[], BinaryIO],
    rows: _Rows,
    options: Mapping[str, Any],
    names: Sequence[str],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    """Batches of one file; its size and hash are compared with the edition's when its last byte has been read."""
    # A damaged archive is known before its first record is given on: else a part of it would count as the whole.
    if file.path.endswith(COMPRESSED) and (damage := _damage(file, opened)):
        whole: Row = (0, 1, 0, min(file.size, _INT), 0, (None,) * len(names), f"unreadable:{damage}", b"")
        yield _batch([whole], file, schema)
        return
    waiting, held = list[Row](), 0
    with closing(_Checked(opened(), file.size)) as checked:
        content = _unpacked(file.path if file.size else "", checked)  # held by name: a buffered reader that is collected closes what lies below it
        for row in rows(content, options, names, file.path):
            waiting.append(row)
            held += len(row[7])
            if len(waiting) >= BATCH_ROWS or held >= BATCH_BYTES:
                yield _batch(waiting, file, schema)
                waiting, held = [], 0
        checked.must_be(file)
    if waiting:
        yield _batch(waiting, file, schema)


def _damage(file: FileEdition, opened: Callable[[], BinaryIO]) -> str | None:
    """Why a compressed file can't be unpacked whole; None when it can."""
    with closing(_Checked(opened(), file.size)) as checked:
        damage = None
        try:
            unpacked = _unpacked(file.path if file.size else "", checked)
            while unpacked.read(_BLOCK):
                pass
        except (OSError, EOFError, zlib.error, ValueError) as error:
            damage = str(error).replace(";", ",") or type(error).__name__
        checked.must_be(file)
    return damage


class _Checked(io.RawIOBase):
    """The first `size` bytes of a stream, counted and hashed while they pass."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._hash, self._size, self._most = stream, hashlib.sha256(), 0, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(min(len(buffer), self._most - self._size))
        self._hash.update(block)
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
        return cast(BinaryIO, io.BufferedReader(bz2.BZ2File(packed), _BLOCK))  # pyright: ignore[reportArgumentType]
    if path.endswith(".zst"):
        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd"), _BLOCK))
    return packed


def _batch(rows: Sequence[Row], file: FileEdition, schema: pa.Schema) -> pa.RecordBatch:
    ordinals, lines, offsets, lengths, _, fields, problems, raws = zip(*rows, strict=True)
    if max(lengths) > _INT:  # a record beyond 2 GiB, of which LIMIT bytes are kept
        lengths = tuple(min(length, _INT) for length in lengths)
    n = len(rows)
    columns = (ordinals, lines, offsets, lengths, *zip(*fields, strict=True), problems, raws)
    arrays = [pa.repeat(pa.scalar(v, f.type), n) for v, f in zip((file.path, file.edition, file.sha256), schema, strict=False)]
    arrays += [pa.array(values, field.type) for values, field in zip(columns, list(schema)[3:], strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


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


def _ddl(width: int) -> str:
    cells = "".join(f"cell{i} string, " for i in range(width))
    origin = "file string, edition int, sha256 string, ordinal bigint, line bigint, `offset` bigint, length int"
    return f"{origin}, {cells}_problem string, _raw binary"


def _typed(found: DataFrame, source: Source) -> DataFrame:
    """Cells of text -> the contract's types, and the reasons where that fails."""
    from pyspark.sql import functions as F

    fields: list[SparkColumn] = []
    problems = [F.col("_problem")]
    for i, column in enumerate(source.fields):
        text, value, wrong = _value(F.col(f"cell{i}"), column, source)
        fields.append(value.alias(column.name))
        if wrong:
            problems.append(F.when(text.isNotNull() & value.isNull(), F.lit(f"{wrong}:{column.name}")))
    problem = F.nullif(F.concat_ws(";", *problems), F.lit(""))
    row_id = F.substring(F.sha2(F.concat_ws("\x1f", F.lit(source.name), F.col("file"), F.col("ordinal").cast("string")), 256), 1, 32)
    return found.select(
        row_id.alias("row_id"),
        *ORIGIN[1:],
        *fields,
        problem.alias("_problem"),
        F.when(problem.isNotNull(), F.col("_raw")).alias("_raw"),
    )


# Spark casts 'NaN', 'Infinity', '1d' and '0x1p3' to double as well; a sensor that writes them has no number to tell.
_NUMBER = r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"


def _value(cell: SparkColumn, column: Column, source: Source) -> tuple[SparkColumn, SparkColumn, str | None]:
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
        number = F.when(text.rlike(_NUMBER.replace("[.]", f"[{decimal}]")), F.replace(text, F.lit(decimal), F.lit("."))).try_cast(kind)
        # 1e999 becomes Infinity in silence
        return text, F.when(F.abs(number) < F.lit(float("inf")), number), "not_a_number"
    if kind in ("int", "bigint", "smallint"):
        return text, text.try_cast(kind), "not_a_number"
    if kind == "boolean":
        return text, text.try_cast(kind), "not_a_boolean"
    pattern = options.get("formats", {}).get(column.name)
    if kind == "date":
        return text, F.try_to_date(text, str(pattern or "yyyy-MM-dd")), "not_a_date"
    if kind != "timestamp" or pattern is None:
        raise ContractBroken(
            f"{source.address}: field {column.name} ({kind}) has no format"
            if kind == "timestamp"
            else f"{source.address}: {kind} can't be read from text",
            next_step=f"write formats: {{{column.name}: yyyy-MM-dd HH:mm:ss}} into the options of its server",
        )
    if re.search(r"[VvzOXxZ]", re.sub(r"'[^']*'", "", pattern)):
        return text, F.try_to_timestamp(text, F.lit(pattern)), "not_a_timestamp"
    zoned = F.concat_ws(" ", text, F.lit(str(options.get("zone", "UTC"))))
    return text, F.when(text.isNotNull(), F.try_to_timestamp(zoned, F.lit(f"{pattern} VV"))), "not_a_timestamp"


def _reader(format: str) -> _Rows:
    """The reader of a format: the module of its name in lake/sources. A new format is a new file there."""
    try:
        return importlib.import_module(f"lake.sources.{format}").rows
    except (ModuleNotFoundError, AttributeError):
        raise ContractBroken(
            f"no reader for format {format!r}",
            next_step=f"formats are lines and delimited; a new one is lake/sources/{format}.py with rows()",
        ) from None


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
