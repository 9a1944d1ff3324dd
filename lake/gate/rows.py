"""Keep or reject, row by row: the contract's row rules as one column of reasons, computed in the pass that writes the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lake.contract import Bound, Contract, RowRule
from lake.contract import Column as Ruled

REASONS = "_reasons"


@dataclass(frozen=True, slots=True)
class Split:
    """The same rows twice, lazily: those that keep every rule, and those that break one, with `_reasons array<string>`."""

    kept: DataFrame
    rejected: DataFrame
    rules: tuple[RowRule, ...]


def split_rows(rows: DataFrame, contract: Contract) -> Split:
    """Split rows by the contract's rules; a row that breaks several carries all of its reasons.

    NULL breaks only `missing`: an absent value is neither out of range nor of a wrong shape. NaN is out of every range.
    """
    rules = tuple(contract.rules())
    if not rules:
        return Split(rows, rows.limit(0).withColumn(REASONS, F.array().cast("array<string>")), rules)
    tagged = rows.withColumn(REASONS, reasons(rules))
    return Split(tagged.where(F.size(REASONS) == 0).drop(REASONS), tagged.where(F.size(REASONS) > 0), rules)


def reasons(rules: Sequence[RowRule]) -> Column:
    """The names of the rules that a row breaks, in the contract's order, as array<string>."""
    # Asked as one condition first: most rows break none, and need no array of their own.
    found = F.array_compact(F.array(*[F.when(broken(rule), F.lit(rule.name)) for rule in rules]))
    return F.when(reduce(or_, map(broken, rules)), found).otherwise(F.array().cast("array<string>"))


def broken(rule: RowRule) -> Column:
    """Whether a row breaks the rule: true or false, never null."""
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
