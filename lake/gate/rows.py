"""Keep or reject, row by row: all row rules as bits of one column, computed in the pass that writes the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.contract import Bound, RowRule
from lake.contract import Column as Ruled

BROKEN = "_broken"
_BITS = 62  # rules to a long column: its sign stays out of it


@dataclass(frozen=True, slots=True)
class Tagged:
    """Rows with the rules that they break as bits of a few long columns; `names` are the rules, in the order of their bits.

    `beside` are columns of the gate's own that ride along; what is kept has neither.
    """

    rows: DataFrame
    names: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @property
    def _columns(self) -> list[str]:
        return [f"{BROKEN}{n}" for n in range(-(-len(self.names) // _BITS))]

    @property
    def broken(self) -> Column:
        """Whether a row breaks any rule; never null."""
        return reduce(or_, [F.col(c) != 0 for c in self._columns], F.lit(False))

    @property
    def reasons(self) -> Column:
        """The names of the rules that a row breaks, in their order, as array<string>."""
        named = [F.when(self._bit(n) != 0, F.lit(name)) for n, name in enumerate(self.names)]
        return F.array_compact(F.array(*named)) if named else F.array().cast("array<string>")

    @property
    def bits(self) -> list[Column]:
        """The rules that a row breaks, as `named` takes them: an array of their names is a hundred expressions for Spark to plan."""
        return [F.col(c) for c in self._columns]

    def named(self, rows: pa.Table) -> pa.Table:
        """Rows that were collected with `bits`, with `reasons` in their place."""
        whole = [rows[c].to_pylist() for c in self._columns]
        reasons: dict[tuple[int, ...], list[str]] = {}
        for broken in set(zip(*whole, strict=True)):
            reasons[broken] = [name for n, name in enumerate(self.names) if broken[n // _BITS] >> (n % _BITS) & 1]
        column = pa.array([reasons[broken] for broken in zip(*whole, strict=True)], pa.list_(pa.string()))
        return rows.drop_columns(self._columns).append_column("reasons", column)

    @property
    def counts(self) -> list[Column]:
        """How many rows break each rule, by its place in `names`; asked of rows that break one: over all rows 40 sums cost more than the rules."""
        return [F.sum(F.when(self._bit(n) != 0, 1).otherwise(0)).alias(f"rule{n}") for n in range(len(self.names))]

    def kept(self, rows: DataFrame) -> DataFrame:
        """Of these rows with their bits, those that break no rule, without the bits."""
        return rows.where(~self.broken).drop(*self._columns, *self.beside)

    def _bit(self, n: int) -> Column:
        return F.col(f"{BROKEN}{n // _BITS}").bitwiseAND(F.lit(1 << (n % _BITS)).cast("bigint"))


def tag_rows(rows: DataFrame, rules: Sequence[tuple[str, Column]]) -> Tagged:
    """Rows with the rules that they break; a rule is its name, and whether a row breaks it: true or false, never null."""
    columns: dict[str, Column] = {}
    for n in range(0, len(rules), _BITS):
        some = [broken for _, broken in rules[n : n + _BITS]]
        bits = [F.when(broken, F.lit(1 << i).cast("bigint")).otherwise(F.lit(0).cast("bigint")) for i, broken in enumerate(some)]
        # Asked as one condition first: most rows break none, and need no bits of their own.
        columns[f"{BROKEN}{n // _BITS}"] = F.when(reduce(or_, some), reduce(lambda a, b: a.bitwiseOR(b), bits)).otherwise(F.lit(0).cast("bigint"))
    return Tagged(rows.withColumns(columns) if columns else rows, tuple(name for name, _ in rules))


def broken(rule: RowRule) -> Column:
    """Whether a row breaks the rule: true or false, never null.

    NULL breaks only `missing`: an absent value is neither out of range nor of a wrong shape. NaN is out of every range.
    """
    column, value = rule.column, F.col(rule.column.name)
    if rule.kind == "missing":
        return value.isNull()
    if rule.kind == "not_allowed":
        wrong = ~value.isin(*(column.allowed or ()))
    elif rule.kind == "wrong_shape":
        wrong = F.lit(False)
        if column.pattern is not None:
            wrong = wrong | ~value.rlike(rf"\A(?:{column.pattern})\z")  # `$` would let a line end at the end pass
        if column.shortest is not None:
            wrong = wrong | (_length(column) < column.shortest)
        if column.longest is not None:
            wrong = wrong | (_length(column) > column.longest)
    else:
        wrong = F.lit(False)
        if column.minimum is not None:
            wrong = wrong | (value < _end(column, column.minimum))
        if column.above is not None:
            wrong = wrong | (value <= _end(column, column.above))
        if column.maximum is not None:
            wrong = wrong | (value > _end(column, column.maximum))  # NaN is larger than every number in Spark
        if column.below is not None:
            wrong = wrong | (value >= _end(column, column.below))
        if column.floating:  # a range that is open to one side does not hold Infinity
            wrong = wrong | F.isnan(value) | (F.abs(value) == F.lit(float("inf")))
    return F.coalesce(wrong, F.lit(False))


def _end(column: Ruled, end: Bound) -> Column:
    return F.lit(end).cast(column.type) if column.type in ("date", "timestamp") else F.lit(end)


def _length(column: Ruled) -> Column:
    return F.size(column.name) if column.type.startswith("array") else F.char_length(column.name)
