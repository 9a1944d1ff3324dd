"""Cells of text that are plainly numbers, cast where they are read, a column of a batch at once.

Spark casts a cell by a chain of expressions, which says what it is, trims it, and tells a number that its type can't hold from
what is none: some 1 us a cell. Most cells are plain: digits, a sign, a decimal mark. These are cast here, by the same rules of
IEEE 754; what is not plain for certain (a plus, an exponent, blanks around it, 1e999) stays text, and Spark's select judges it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute

from lake.contract import Column

compute: Any = pyarrow.compute  # its functions are made when it is imported: no type checker sees them

TYPES: Mapping[str, pa.DataType] = {"double": pa.float64(), "int": pa.int32(), "bigint": pa.int64(), "smallint": pa.int16()}
"""Types whose plain cells are cast here; a float would be rounded twice."""

_DIGITS = {"double": 15, "int": 9, "bigint": 18, "smallint": 4}  # that every number of the type can hold


@dataclass(frozen=True, slots=True)
class Numbers:
    """Which columns of a batch are numbers, by their place among the fields, and how they are written."""

    kinds: tuple[str | None, ...]
    missing: tuple[str, ...]
    decimal: str
    all_text: bool  # no other type needs a cast: what is a number here, or a string, can't be wrong any more

    @classmethod
    def of(cls, fields: Sequence[Column], options: Mapping[str, Any]) -> Numbers:
        """The numbers of a source."""
        kinds = tuple(c.type if c.type in TYPES else None for c in fields)
        missing = ("", *(str(mark) for mark in options.get("missing", ())))
        decimal = str(options.get("decimal", "."))
        return cls(kinds, missing, decimal, all(c.type == "string" or c.type in TYPES for c in fields))

    @property
    def places(self) -> list[int]:
        """Where they stand among the fields."""
        return [i for i, kind in enumerate(self.kinds) if kind]

    def ddl(self) -> str:
        """The columns of `cast`, for Spark."""
        cells = "".join(f"number{i} {kind}, " if kind else f"cell{i} string, " for i, kind in enumerate(self.kinds))
        odd = ", ".join(f"cell{i}: string" for i in self.places)
        origin = "row_id string, file string, edition int, sha256 string, ordinal bigint, line bigint, `offset` bigint, length int"
        return f"{origin}, {cells}_problem string, _raw binary" + (f", _odd struct<{odd}>" if odd else "")

    def cast(self, batch: pa.RecordBatch, ids: pa.Array) -> pa.RecordBatch:
        """The batch with its row ids before it, numbers in place of their cells, and `_odd` behind it: the cells that are no plain numbers.

        `_odd` is null of a row that has none; a plain number, or a mark of a missing one, is null in it. `_raw`, which Spark needs
        where a cast fails, is empty where none can.
        """
        columns, names = [ids, *batch.columns], ["row_id", *batch.schema.names]
        texts: list[pa.Array] = []
        odd: pa.Array | None = None
        for i in self.places:
            at = names.index(f"cell{i}")
            names[at] = f"number{i}"
            columns[at], text = self.plain(columns[at], self.kinds[i] or "")
            texts.append(text)
            if text.null_count < len(batch):
                has = compute.is_valid(text)
                odd = has if odd is None else compute.or_(odd, has)
        if texts:
            mask = pa.repeat(pa.scalar(True), len(batch)) if odd is None else compute.invert(odd)
            columns.append(pa.StructArray.from_arrays(texts, [f"cell{i}" for i in self.places], mask=mask))
            names.append("_odd")
        if odd is None and self.all_text and batch.column("_problem").null_count == len(batch):
            columns[names.index("_raw")] = pa.nulls(len(batch), pa.binary())
        return pa.RecordBatch.from_arrays(columns, names=names)

    def plain(self, cells: pa.Array, kind: str) -> tuple[pa.Array, pa.Array]:
        """(the numbers of a column, the text of what is none plainly)."""
        as_type = TYPES[kind]
        gone = compute.is_in(cells, value_set=pa.array(self.missing, pa.string()))
        if compute.any(gone).as_py():
            cells = compute.if_else(gone, pa.scalar(None, pa.string()), cells)
        mark = self.decimal if kind == "double" else ""
        if not _octets(cells).translate(None, f"0123456789-{mark}".encode()):
            number = _cast(cells, as_type, mark)
            if number is not None:
                return number, pa.nulls(len(cells), pa.string())
        digits = _DIGITS[kind]
        fraction = rf"(?:[{mark}][0-9]{{0,{digits}}})?" if mark else ""
        is_plain = compute.match_substring_regex(cells, rf"\A-?[0-9]{{1,{digits}}}{fraction}\z")
        number = _cast(compute.if_else(is_plain, cells, pa.scalar(None, pa.string())), as_type, mark)
        if number is None:
            return pa.nulls(len(cells), as_type), cells
        return number, compute.if_else(is_plain, pa.scalar(None, pa.string()), cells)


def row_ids(source: str, path: str, ordinals: pa.Array, base: int = 1) -> pa.Array:
    """The first 32 hex digits of SHA-256 over source, path and ordinal, 1F between them: of records, which stay when their file grows.

    A content that stands beside older ones of its file (`base`, the edition in which it began) has that number before the ordinal.
    Some 0.7 to 1 us each; sha2() over concat_ws() in Spark took no less, and made the generated code longer.
    """
    of_content = f"{base}\x1f" if base > 1 else ""
    prefix = f"{source}\x1f{path}\x1f{of_content}".encode()
    digests = b"".join([sha256(b"%b%d" % (prefix, n), usedforsecurity=False).digest()[:16] for n in ordinals.to_pylist()])
    ends = pa.array(range(0, 32 * len(ordinals) + 1, 32), pa.int32())
    return pa.Array.from_buffers(pa.string(), len(ordinals), [None, ends.buffers()[1], pa.py_buffer(digests.hex().encode())])


def _cast(cells: pa.Array, to: pa.DataType, mark: str) -> pa.Array | None:
    """The cells as numbers; None when one of them is none, or not a finite one."""
    if mark not in ("", "."):
        cells = compute.replace_substring(cells, mark, ".")
    try:
        number = compute.cast(cells, to)
    except pa.ArrowInvalid:
        return None
    if pa.types.is_floating(to) and not compute.all(compute.is_finite(number), skip_nulls=True).as_py():
        return None
    return number


def _octets(cells: pa.Array) -> bytes:
    """The bytes of all cells of a column."""
    octets, at = cells.buffers()[2], cells.buffers()[1]
    if octets is None or not len(cells):
        return b""
    ends = pa.Array.from_buffers(pa.int32(), len(cells) + 1, [None, at], offset=cells.offset)
    return octets[ends[0].as_py() : ends[-1].as_py()].to_pybytes()
