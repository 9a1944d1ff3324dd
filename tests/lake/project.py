"""A project of five small addresses, and a lake of it: what the tests of the flow run on.

raw.readings -> bronze.readings -> silver.readings (rows) -> gold.daily (slices of a day, 1 day back), gold.totals (whole)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from lake import ops
from lake.lake import Lake
from lake.plan import plan
from lake.run import Again, Outcome, load, run
from lake.settings import Settings
from lake.store import Store
from lake.table import Table

ORDER = ("bronze.readings", "silver.readings", "gold.daily", "gold.totals")

LOGICAL = {
    "string": "string",
    "int": "integer",
    "bigint": "integer",
    "double": "number",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
}
ORIGIN = [
    {"name": "row_id", "type": "string", "key": 1},
    {"name": "file", "type": "string", "required": True},
    {"name": "edition", "type": "int", "required": True},
    {"name": "sha256", "type": "string", "required": True},
    {"name": "ordinal", "type": "bigint", "required": True},
    {"name": "line", "type": "bigint", "required": True},
    {"name": "offset", "type": "bigint", "required": True},
    {"name": "length", "type": "int", "required": True},
]
FIELDS = [{"name": "station", "type": "string"}, {"name": "day", "type": "date"}, {"name": "value", "type": "double"}]
VALUE = {"name": "value", "type": "double", "required": True, "minimum": -50, "maximum": 60}
COLUMNS: dict[str, list[dict[str, Any]]] = {
    "bronze.readings": [*ORIGIN, *FIELDS],
    "silver.readings": [
        {"name": "row_id", "type": "string", "key": 1},
        {"name": "station", "type": "string", "required": True, "allowed": ["north", "south"]},
        {"name": "day", "type": "date", "required": True, "partitioned": True},
        VALUE,
    ],
    "gold.daily": [
        {"name": "station", "type": "string", "key": 1},
        {"name": "day", "type": "date", "key": 2, "partitioned": True},
        {"name": "total", "type": "double", "required": True},
        {"name": "rise", "type": "double"},
    ],
    "gold.totals": [
        {"name": "station", "type": "string", "key": 1},
        {"name": "readings", "type": "bigint", "required": True},
        {"name": "total", "type": "double"},
    ],
}
JOBS = {
    "bronze.readings": '''"""Bronze readings: one row per line."""

from lake import Job, main
from lake.sources.read import ORIGIN

JOB = Job(writes="bronze.readings", reads=("raw.readings",))


def build(records):
    """As it was written."""
    return records.select(*ORIGIN, "station", "day", "value")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
''',
    "silver.readings": '''"""Silver readings: rows that keep the contract."""

from lake import Job, main

JOB = Job(writes="silver.readings", reads=("bronze.readings",))


def build(readings):
    """The same rows with fewer columns."""
    return readings.select("row_id", "station", "day", "value")


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
''',
    "gold.daily": '''"""Gold daily: the total of each station and day, and its rise over the day before."""

from pyspark.sql import functions as F

from lake import Job, main

JOB = Job(writes="gold.daily", reads=("silver.readings",), grain="slice", look_back="1 day")


def build(readings):
    """A day without the day before it has no rise."""
    days = readings.groupBy("station", "day").agg(F.sum("value").alias("total"))
    before = days.select("station", F.date_add("day", 1).alias("day"), F.col("total").alias("before"))
    return days.join(before, ["station", "day"], "left").select("station", "day", "total", (F.col("total") - F.col("before")).alias("rise"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
''',
    "gold.totals": '''"""Gold totals: one row per station."""

from pyspark.sql import functions as F

from lake import Job, main

JOB = Job(writes="gold.totals", reads=("silver.readings",), grain="whole")


def build(readings):
    """Every reading counts."""
    return readings.groupBy("station").agg(F.count("*").alias("readings"), F.sum("value").alias("total"))


if __name__ == "__main__":
    raise SystemExit(main(JOB, build))
''',
}
# Of the rows that are kept: what refuses a row would be asked of those that are set aside, too.
SUITE = {"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column": "value", "max_value": 50}}]}


def contract(
    address: str, columns: Sequence[Mapping[str, Any]], *, retention: int | None = None, server: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The ODCS document of an address, from columns in a short form."""
    slices = [c["name"] for c in columns if c.get("partitioned")]
    document: dict[str, Any] = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": address, "name": address, "version": "1.0.0", "status": "active", "domain": "sensors",
        "schema": [{"name": address, "physicalType": "table", "description": "Test rows.", "properties": [_property(c) for c in columns]}],
    }  # fmt: skip
    if slices:
        document["customProperties"] = [{"property": "slice", "value": slices[0]}]
    if retention is not None:
        document["slaProperties"] = [{"property": "retention", "value": retention, "unit": "d"}]
    if server is not None:
        document["servers"] = [{"server": "landing", "type": "local", **server}]
    return document


def write_contract(project: Path, document: Mapping[str, Any]) -> None:
    write(project / "schemas" / f"{document['id'].replace('.', '/')}.yaml", yaml.safe_dump(document, sort_keys=False))


def write_suite(project: Path, address: str, document: Mapping[str, Any]) -> Path:
    return write(project / "expectations" / f"{address.replace('.', '/')}.yaml", yaml.safe_dump(document, sort_keys=False))


def write(path: Path, text: str) -> Path:
    """Write a file; its time goes forward even where the clock's step is coarse, since contracts are kept by their time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    last = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    if path.stat().st_mtime_ns <= last:
        os.utime(path, ns=(last + 1_000_000, last + 1_000_000))
    return path


def write_project(project: Path) -> Path:
    """The project's files, without any raw data."""
    write(project / "pyproject.toml", "[tool.lake]\n")
    options = {"property": "options", "value": {"formats": {"day": "yyyy-MM-dd"}}}
    write_contract(
        project, contract("raw.readings", FIELDS, server={"path": "raw/readings/*.csv", "format": "delimited", "customProperties": [options]})
    )
    for address, columns in COLUMNS.items():
        write_contract(project, contract(address, columns))
        write(project / "jobs" / f"{address.replace('.', '/')}.py", JOBS[address])
    write_suite(project, "silver.readings", SUITE)
    return project


class Died(BaseException):
    """The process ends here, as by kill -9: nothing of ours may catch it."""


@dataclass(frozen=True)
class Place:
    """A project and a lake of it in a folder; runs share the suite's Spark."""

    project: Path
    lake: Lake

    @classmethod
    def at(cls, folder: Path, home: Path, spark: SparkSession) -> Place:
        """The place in a folder, as it lies there."""
        settings = Settings(root=str(folder / "root"), home=home)  # pyright: ignore[reportCallIssue]
        return cls(folder / "project", Lake(settings, Store(settings.root), listener=lambda *_: None, _spark=spark))

    @property
    def root(self) -> Path:
        return Path(self.lake.store.root)

    @property
    def spark(self) -> SparkSession:
        return self.lake.spark()

    def file(self, name: str, *rows: tuple[str, str, Any]) -> Path:
        """Land (or change) a raw file of (station, day, value)."""
        return write(self.root / "raw" / "readings" / name, "station,day,value\n" + "".join(f"{s},{d},{v}\n" for s, d, v in rows))

    def run(self, address: str, *, full: bool = False, again: Again | None = None) -> Outcome:
        step = plan(self.project).step(address)
        return run(step, load(step), self.lake, full=full, again=again)

    def dies(self, point: str, address: str) -> None:
        """Run a job until it reaches a point, and let its process die there."""

        def reached(now: str) -> None:
            if now == f"{point}:{address}":
                raise Died

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
            patch.setattr("lake.run.tables.reached", reached)
            self.run(address)

    def night(self) -> dict[str, Outcome]:
        """Every job in order; all must end well."""
        outcomes = {address: self.run(address) for address in ORDER}
        for outcome in outcomes.values():
            if outcome.error:
                raise outcome.error
        return outcomes

    def table(self, address: str) -> Table:
        return Table(address, self.lake.store)

    def rows(self, address: str, *columns: str) -> list[tuple[Any, ...]]:
        """Rows of a table, sorted, read without Spark; dates as text."""
        found = self.table(address).delta().to_pyarrow_table(columns=list(columns)).to_pylist()
        return sorted((tuple(str(r[c]) if c == "day" else r[c] for c in columns) for r in found), key=repr)

    def versions(self) -> dict[str, int | None]:
        """Versions of every table there is, the books among them."""
        return {a: self.table(a).version() for a in (*ORDER, "ops.runs", "ops.files", "ops.checks", "ops.rejects")}

    def standing(self, address: str) -> ops.Standing:
        return ops.standing(ops.events(self.lake.store, address), self.table(address).last_run())

    def change(self, path: str, old: str, new: str) -> None:
        """Change the text of one of the project's files."""
        text = (self.project / path).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{path} has no {old!r}")
        write(self.project / path, text.replace(old, new))


def copied(place: Path, to: Path) -> Path:
    """A copy of a whole place: tables name their files by relative paths, so the copy is a lake of its own."""
    shutil.copytree(place, to, symlinks=True)
    return to


def _property(column: Mapping[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {
        "name": column["name"],
        "physicalType": column["type"],
        "logicalType": LOGICAL.get(column["type"], "array"),
        "description": f"{column['name']} of a test row",
    }
    if column.get("required") or column.get("key"):
        node["required"] = True
    if column.get("key"):
        node |= {"primaryKey": True, "primaryKeyPosition": column["key"]}
    if column.get("partitioned"):
        node |= {"partitioned": True, "partitionKeyPosition": 1}
    if "classification" in column:
        node["classification"] = column["classification"]
    ends = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")
    options = {k: column[k] for k in ends if k in column}
    if "unique" in column:
        node["unique"] = column["unique"]
    if "finite" in column:
        node["customProperties"] = [{"property": "finite", "value": column["finite"]}]
    if options:
        node["logicalTypeOptions"] = options
    if "allowed" in column:
        node["quality"] = [
            {"type": "library", "metric": "invalidValues", "arguments": {"validValues": column["allowed"]}, "mustBe": 0, "unit": "rows"}
        ]
    return node
