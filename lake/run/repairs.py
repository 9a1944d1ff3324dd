"""Repairs: what people decided about the rejects of a table, taken in by its runs as its other inputs are.

A run is a function of (code, contract, inputs, corrections). A decision (ops.repairs) names a row by its id and by its content as
it was set aside, and says what its columns become. Each run that builds such a row puts these values into it before the gate
judges it: a replay, a backfill and a rebuild come to the same rows, nothing is doubled, and what is still wrong is set
aside again. Rows of another content are left alone: a decision about an overwritten file is moot.

How far a run has taken the decisions in stands beside its other inputs (`"ops.repairs": [since, to]`), so that any next run
takes in what an earlier process decided and had no time to do, and a restore gives it back to be taken in again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from lake import ops
from lake.contract import Column as ContractColumn
from lake.contract import Contract
from lake.sources.read import ORIGIN
from lake.store import Store

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

REPAIRS = "ops.repairs"
# As Spark writes a row so that reading it gives the same row: its default keeps milliseconds, and leaves out what is null.
EXACT = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX", "ignoreNullFields": "false"}
# Which attempt wrote a row is no part of what it says.
_OF_THE_RUN = frozenset({"run", "input_version"})

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Repairs:
    """Decisions about the rejects of one address, oldest first."""

    address: str
    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, store: Store, address: str) -> Repairs:
        """All decisions about the rejects of an address."""
        rows = ops.read(store, "repairs", [("address", "=", address)])
        return cls(address, tuple(sorted(rows, key=lambda r: r["number"])))

    @property
    def number(self) -> int:
        """That of the last decision that changes rows; 0 where none does. One that waives has nothing to take in."""
        return max((r["number"] for r in self.rows if r["becomes"] is not None), default=0)

    def between(self, since: int | None, to: int) -> Repairs:
        """Those that change rows, after one number and up to another."""
        return Repairs(self.address, tuple(r for r in self.rows if r["becomes"] is not None and (since or 0) < r["number"] <= to))

    @property
    def files(self) -> frozenset[str]:
        """Raw files that hold what they are about."""
        return frozenset(r["file"] for r in self.rows if r["file"] is not None)

    @property
    def ids(self) -> list[str]:
        """Ids of the rows that they are about."""
        return sorted({r["row_id"] for r in self.rows if r["row"] is not None and r["row_id"]})

    def slices(self, column: str) -> frozenset[str]:
        """Slices that hold the rows that they are about."""
        values = (json.loads(r["row"]).get(column) for r in self.rows if r["row"] is not None)
        return frozenset(str(value) for value in values if value is not None)

    def about(self, reject: Row) -> Row | None:
        """The newest decision about a reject (of ops.rejects) with the content that it has."""
        return next((r for r in reversed(self._by_id.get(reject["row_id"], ())) if same(r, reject, self.address)), None)

    def numbers(self, row_id: str | None) -> list[int]:
        """Decisions that change the row of an id: a run that takes one in builds it, and judges it, once more."""
        return [r["number"] for r in self._by_id.get(row_id, ()) if r["becomes"] is not None]

    @cached_property
    def _by_id(self) -> dict[str | None, list[Row]]:
        found: dict[str | None, list[Row]] = {}
        for r in self.rows:
            found.setdefault(r["row_id"], []).append(r)
        return found

    def mended(self, spark: SparkSession, rows: DataFrame) -> DataFrame:
        """Rows of the address, those that a decision is about with what their columns become."""
        mine = [r for r in self.rows if r["row"] is not None and r["becomes"] is not None]
        if not mine:
            return rows
        from pyspark.sql import functions as F

        contract = Contract.load(self.address)
        names = [c.name for c in contract.columns]
        compared = [n for n in names if n not in _volatile(contract)]

        def fits(repair: Column) -> Column:
            return reduce(and_, [~F.array_contains(repair["told"], n) | (_json(F.col(n), n) == _json(repair["was"][n], n)) for n in compared])

        found = rows.withColumn("_id", row_key(contract)).join(F.broadcast(_known(spark, mine, contract.columns)), "_id", "left")
        found = found.withColumn("_fits", F.filter("_repairs", fits)).withColumn("_repair", F.get("_fits", F.size("_fits") - 1))
        return found.select(*[_set(F.col("_repair"), n) for n in names])

    def mended_records(self, spark: SparkSession, records: DataFrame, fields: Sequence[ContractColumn]) -> DataFrame:
        """Records of a source as their readers gave them: those that a decision is about with what their fields become.

        A problem stands until its field is set, one of the whole record until all of its fields are.
        """
        mine = [r for r in self.rows if r["sha256"] is not None and r["becomes"] is not None]
        if not mine:
            return records
        from pyspark.sql import functions as F

        names = [c.name for c in fields]
        problem = F.col("_problem")
        sha256 = F.when(problem.isNotNull() & ~problem.rlike(OF_A_FILE), F.sha2("_raw", 256))
        found = records.withColumn("_sha256", sha256).withColumnRenamed("row_id", "_id")
        found = found.join(F.broadcast(_known(spark, mine, fields)), "_id", "left").withColumnRenamed("_id", "row_id")
        found = found.withColumn("_fits", F.filter("_repairs", lambda r: r["sha256"] == F.col("_sha256")))
        found = found.withColumn("_repair", F.get("_fits", F.size("_fits") - 1))
        given = F.col("_repair.set")
        whole = F.size(F.array_except(F.array(*map(F.lit, names)), given)) == 0

        def stands(reason: Column) -> Column:
            return ~(whole | (F.contains(reason, F.lit(":")) & F.array_contains(given, F.substring_index(reason, ":", -1))))

        left = F.filter(F.split("_problem", ";"), stands)
        mended = {"_problem": F.when(F.col("_repair").isNull(), problem).when(F.size(left) > 0, F.concat_ws(";", left)).alias("_problem")}
        mended |= {n: _set(F.col("_repair"), n) for n in names}
        return found.select(*[mended.get(n, F.col(n)) for n in records.columns])


# What is wrong with a file as a whole: one row of ops.rejects stands for all that it holds, and no row can be put in its place.
OF_A_FILE = r"^(unreadable:|header$)"


def same(decision: Row, reject: Row, address: str) -> bool:
    """Whether a reject has the content that a decision is about: each column that both have, or the bytes of the record."""
    if decision["sha256"] is not None or reject["raw"] is not None:
        return reject["raw"] is not None and decision["sha256"] == sha256_of(reject["raw"])
    return same_values(json.loads(decision["row"] or "{}"), json.loads(reject["row"] or "{}"), address)


def same_values(was: Row, now: Row, address: str) -> bool:
    """Whether two rows say the same, where both were written with the columns that the contract has now."""
    contract = Contract.load(address)
    names = {c.name for c in contract.columns} - _volatile(contract)
    return all(now.get(name) == value for name, value in was.items() if name in names)


def sha256_of(raw: bytes) -> str:
    """What a raw record is known by."""
    return hashlib.sha256(raw).hexdigest()


def content_of(reject: Row, address: str) -> str:
    """What a reject (or a decision about one) says, without where and when: the same for the same row in every run."""
    if known := reject.get("sha256"):
        return str(known)
    if reject["raw"] is not None:
        return sha256_of(reject["raw"])
    contract = Contract.load(address)
    said = {k: v for k, v in json.loads(reject["row"] or "{}").items() if v is not None and k not in _volatile(contract)}
    return json.dumps(said, sort_keys=True)


def row_key(contract: Contract) -> Column:
    """A row's id as ops.rejects has it: the values of its key, joined by a comma."""
    from pyspark.sql import functions as F

    return F.concat_ws(",", *[F.col(k).cast("string") for k in contract.key])


def only(spark: SparkSession, rows: DataFrame, contract: Contract, ids: Iterable[str], *, others: bool = False) -> DataFrame:
    """Rows with these ids, or all the `others`."""
    from pyspark.sql import functions as F

    asked = spark.createDataFrame([(i,) for i in ids], "_id string")
    return rows.withColumn("_id", row_key(contract)).join(F.broadcast(asked), "_id", "left_anti" if others else "left_semi").drop("_id")


def unfit(becomes: Column, columns: Sequence[ContractColumn]) -> Column:
    """Names of the columns whose value in a JSON text is none of their type: from_json takes it for null in silence."""
    from pyspark.sql import functions as F

    text, typed = F.from_json(becomes, "map<string,string>"), F.from_json(becomes, ddl(columns))
    return F.array_compact(F.array(*[F.when(text[c.name].isNotNull() & typed[c.name].isNull(), F.lit(c.name)) for c in columns]))


def ddl(columns: Iterable[ContractColumn]) -> str:
    """Columns as Spark's DDL has them."""
    return ", ".join(f"`{c.name}` {c.type}" for c in columns)


def _volatile(contract: Contract) -> frozenset[str]:
    """Columns that are no part of what a row says: of bronze also where it lies, which its id stands for."""
    names = {c.name for c in contract.columns}
    return _OF_THE_RUN | (frozenset(ORIGIN) if names.issuperset(ORIGIN) else frozenset[str]())


def _known(spark: SparkSession, mine: Iterable[Row], columns: Sequence[ContractColumn]) -> DataFrame:
    """`_id`, and `_repairs`: the decisions about it, oldest first, parsed; without those whose values fit their columns no more."""
    from pyspark.sql import functions as F

    by_id: dict[str, list[tuple[Any, ...]]] = {}
    for r in mine:
        by_id.setdefault(r["row_id"], []).append((r["row"], r["sha256"], r["becomes"]))
    told = "array<struct<row: string, sha256: string, becomes: string>>"
    frame = spark.createDataFrame([*by_id.items()], f"_id string, _told {told}")
    types = ddl(columns)

    def parsed(r: Column) -> Column:
        was = F.from_json(r["row"], types).alias("was")
        becomes = F.from_json(r["becomes"], types).alias("becomes")
        keys = F.json_object_keys(r["row"]).alias("told"), F.json_object_keys(r["becomes"]).alias("set")
        return F.struct(was, becomes, *keys, r["sha256"].alias("sha256"))

    sound: Callable[[Column], Column] = lambda r: F.size(unfit(r["becomes"], columns)) == 0  # noqa: E731
    return frame.select("_id", F.transform(F.filter("_told", sound), parsed).alias("_repairs"))


def _json(value: Column, name: str) -> Column:
    """A value as text that is equal where the values are: NaN to NaN, null to null, a map to a map."""
    from pyspark.sql import functions as F

    return F.to_json(F.struct(value.alias(name)), EXACT)


def _set(repair: Column, name: str) -> Column:
    from pyspark.sql import functions as F

    return F.when(F.array_contains(repair["set"], name), repair["becomes"][name]).otherwise(F.col(name)).alias(name)
