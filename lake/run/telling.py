"""Rows that a pass over others tells the driver: what was set aside comes back with the figures, and nothing is read a second time.

They ride on an Observation, as the rows of an aggregate. A few rows of any usual size fit, or many small ones; where they do not, the caller
reads them by a pass of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lake.contract import Contract

if TYPE_CHECKING:
    from pyspark.sql import Column, Observation, SparkSession


@dataclass(frozen=True, slots=True)
class Telling:
    """So many rows at most of each task, none of them larger than so many bytes, and so many bytes of all tasks."""

    name: str
    rows: int
    bytes: int
    of_all: int

    def column(self, columns: Sequence[Column], where: Column, tasks: int) -> Column:
        """An aggregate: rows where a condition holds; null in place of one whose last column is larger."""
        from pyspark.sql import functions as F

        small = F.coalesce(F.octet_length(columns[-1]) <= self.bytes, F.lit(True))
        number = max(1, min(self.rows, self.of_all // tasks // self.bytes))
        return F.max_by(F.when(where & small, F.struct(*columns)), F.when(where, F.lit(1)), number).alias(self.name)


# max_by takes 100,000 at most. All tasks together send no more than half of what Spark lets a driver take (spark.driver.maxResultSize, 1 GB),
# beyond which it would end the job.
TELLINGS = (Telling("few", 1_000, 16 * 1024, 128 * 1024**2), Telling("many", 100_000, 512, 384 * 1024**2))


def telling(columns: Sequence[Column], where: Column, tasks: int) -> list[Column]:
    """Aggregates by which a pass of about so many tasks tells the rows where a condition holds; its first column is never null."""
    return [one.column(columns, where, tasks) for one in TELLINGS]


def told_by(spark: SparkSession, tells: Observation, number: int) -> pa.Table | None:
    """The rows that a pass has told, if they are all of `number` of them, one at least: columns of `ops.rejects`."""
    from pyspark.sql import DataFrame

    if number <= TELLINGS[0].rows:
        all_told = [rows for one in TELLINGS if len(rows := tells.get[one.name] or ()) == number and all(rows)]
        return _table(all_told[0]) if all_told else None
    # By py4j 10,000 rows take 0.4 s, by Arrow 0.1 s.
    jvm, ours, row = (getattr(of, name) for of, name in ((spark, "_jvm"), (spark, "_jsparkSession"), (tells, "_jo")))
    row = row.getRow()
    frame = ours.createDataFrame(jvm.java.util.Collections.singletonList(row), row.schema())
    for n, one in enumerate(TELLINGS):
        if not row.isNullAt(n) and row.getList(n).size() == number:
            told = DataFrame(frame, spark).selectExpr(f"inline({one.name})").toArrow()
            if not told.column(0).null_count:  # nor is one in its place that was too large
                return told
    return None


def some_told(tells: Observation) -> pa.Table:
    """Some of the rows that a pass has told; none where all of them were large."""
    return _table([row for row in tells.get[TELLINGS[0].name] or () if row])


def _table(rows: Sequence[Any]) -> pa.Table:
    schema = Contract.load("ops.rejects").schema
    return pa.Table.from_pylist([row.asDict() for row in rows], schema=pa.schema([f for f in schema if not rows or f.name in rows[0]]))
