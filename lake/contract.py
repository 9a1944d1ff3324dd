"""Contract: what one dataset is, read from its Open Data Contract Standard (ODCS v3.1) file.

`schemas/<zone>/<name>.yaml` of the project; those of `ops` come with the library. A contract holds an Arrow schema and
converts when asked, so that reading one costs milliseconds and pulls in no Spark.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import yaml

from lake.errors import ContractBroken
from lake.job import check_address
from lake.settings import project_root

RuleKind = Literal["missing", "not_allowed", "out_of_range", "wrong_shape"]
PARTITIONED = frozenset({"date", "string", "int", "bigint", "smallint"})  # whose values stand in Delta's log, and in paths, in one way only


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Spark type as a simple string (`array<int>`), and what is true of each value."""

    name: str
    type: str
    required: bool
    description: str
    key_position: int | None = None
    unit: str | None = None
    classification: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RowRule:
    """A truth of each row: `name` is what a rejected row carries as its reason, e.g. `not_allowed:level`."""

    kind: RuleKind
    column: Column

    @property
    def name(self) -> str:
        """`<kind>:<column>`."""
        return f"{self.kind}:{self.column.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where raw files of one source lie and how they are read: `format` names the module lake/sources/<format>.py.

    `copies` says what a file is whose bytes are held under another name already: `read` like any other (its path may be
    data: a sensor, a split), or `skip`, where nothing in a path is data. `editions` says what becomes of a file's rows
    when it is overwritten: `replace`, the new content's take their place, or `keep`, they stand beside them.
    """

    address: str
    name: str
    location: str
    format: str
    options: Mapping[str, Any]
    fields: tuple[Column, ...]
    copies: Literal["read", "skip"] = "read"
    editions: Literal["replace", "keep"] = "replace"


@dataclass(frozen=True)
class Contract:
    """What a dataset is: columns, key, slice, rules, retention; made by `Contract.load(address)`."""

    address: str
    name: str
    description: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    slice: str | None
    partition: str | None
    source: Source | None
    retention: timedelta | None
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    hash: str = ""

    @classmethod
    def load(cls, address: str) -> Contract:
        """The contract of an address.

        Raises:
            ContractBroken: no such file, or the file does not say what a contract must.
        """
        return _load(address, _path(address))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema: columns in contract order, required ones non-nullable, timestamps in UTC microseconds."""
        return pa.schema([pa.field(c.name, arrow_type(c.type), nullable=not c.required) for c in self.columns])

    def column(self, name: str) -> Column:
        """One column by its name; KeyError when the contract lacks it."""
        return next(c for c in self.columns if c.name == name) if name in {c.name for c in self.columns} else _no_column(self, name)

    def rules(self) -> Iterator[RowRule]:
        """Every truth that can be judged on one row alone."""
        for column in self.columns:
            if column.required:
                yield RowRule("missing", column)
            if column.allowed is not None:
                yield RowRule("not_allowed", column)
            if column.minimum is not None or column.maximum is not None:
                yield RowRule("out_of_range", column)
            if column.pattern is not None:
                yield RowRule("wrong_shape", column)

    def checks(self) -> dict[str, str]:
        """CHECK constraints of the Delta table: the closed ranges, which also keep NaN and Infinity out."""
        return {
            f"{c.name}_in_range": f"{c.name} IS NULL OR {c.name} BETWEEN {c.minimum!r} AND {c.maximum!r}"
            for c in self.columns
            if c.minimum is not None and c.maximum is not None
        }

    def breaks(self, older: Contract) -> list[str]:
        """What this contract takes away from readers of the older one, a line each; empty when it only adds."""
        mine, lines = {c.name: c for c in self.columns}, list[str]()
        for old in older.columns:
            new = mine.get(old.name)
            if new is None:
                lines.append(f"column removed: {old.name}")
            elif new.type != old.type:
                lines.append(f"type changed: {old.name} {old.type} -> {new.type}")
            elif old.required and not new.required:
                lines.append(f"may be null now: {old.name}")
        lines += [f"required column added: {c.name}" for c in self.columns if c.required and c.name not in {o.name for o in older.columns}]
        if self.key != older.key:
            lines.append(f"key changed: {', '.join(older.key)} -> {', '.join(self.key)}")
        if self.partition != older.partition:
            lines.append(f"partition changed: {older.partition} -> {self.partition}")
        return lines


def addresses(zone: str | None = None) -> list[str]:
    """Every address that has a contract in this project, and those of ops; sorted."""
    folders = [(p.parent.name, p) for p in sorted((project_root() / "schemas").glob("*/*.yaml")) if p.parent.name != "ops"]
    folders += [("ops", p) for p in sorted((Path(__file__).parent / "schemas" / "ops").glob("*.yaml"))]
    return sorted({f"{z}.{p.stem}" for z, p in folders if zone in (None, z)})


def arrow_type(simple: str) -> pa.DataType:
    """The Arrow type of a Spark simple type string (`array<struct<kind:string,token:string>>`).

    Raises:
        ContractBroken: the string is none that every reader of the table can read.
    """
    plain = {
        "string": pa.string(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "smallint": pa.int16(),
        "double": pa.float64(),
        "float": pa.float32(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "binary": pa.binary(),
    }
    simple = simple.strip()
    if simple in plain:
        return plain[simple]
    if found := re.fullmatch(r"(array|map|struct)<(.*)>", simple):
        parts = _split(found[2])
        if found[1] == "array" and len(parts) == 1:
            return pa.list_(arrow_type(parts[0]))
        if found[1] == "map" and len(parts) == 2:
            return pa.map_(arrow_type(parts[0]), arrow_type(parts[1]))
        if found[1] == "struct":
            return pa.struct([(name.strip(), arrow_type(kind)) for name, _, kind in (p.partition(":") for p in parts)])
    raise ContractBroken(
        f"physicalType {simple!r} is not one we write", next_step=f"use one of {', '.join(plain)}, array<>, map<,>, struct<name:type>"
    )


def _split(inner: str) -> list[str]:
    """Parts of `a:int,b:array<int>` at the commas of the outermost level."""
    parts, depth, last = list[str](), 0, 0
    for i, c in enumerate(inner):
        depth += (c == "<") - (c == ">")
        if c == "," and depth == 0:
            parts.append(inner[last:i])
            last = i + 1
    return [*parts, inner[last:]]


def _path(address: str) -> Path:
    zone, name = check_address(address).split(".")
    home = Path(__file__).parent if zone == "ops" else project_root()
    return home / "schemas" / zone / f"{name}.yaml"


@cache
def _read(path: Path, modified_ns: int) -> tuple[dict[str, Any], str]:
    text = path.read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractBroken(f"{path} is not YAML: {error}", next_step="mend the line it names") from None
    if not isinstance(document, dict):
        raise ContractBroken(f"{path} holds no contract", next_step="see schemas/ of the example project")
    # The hash is over what it says, not how it is written: a comment or a new order of keys changes no table.
    said = json.dumps(document, sort_keys=True, default=str)
    return cast(dict[str, Any], document), hashlib.sha256(said.encode()).hexdigest()[:16]


def _load(address: str, path: Path) -> Contract:
    if not path.is_file():
        raise ContractBroken(
            f"{address} has no contract: {path} is not there",
            next_step=f"write schemas/{address.replace('.', '/')}.yaml (see README, 'Add a dataset')",
        )
    document, said = _read(path, path.stat().st_mtime_ns)
    try:
        if document["id"] != address:
            raise ContractBroken(f"{path} says id: {document['id']}, but its place says {address}", next_step=f"set id: {address}")
        table = document["schema"][0]
        columns = tuple(_column(p) for p in table["properties"])
        custom = _custom(document)
        partitions = [p["name"] for p in table["properties"] if p.get("partitioned")]
        if wrong := [f"{c.name} {c.type}" for c in columns if c.name in partitions and c.type not in PARTITIONED]:
            raise ContractBroken(f"{path} partitions by {', '.join(wrong)}", next_step=f"partition by a column of {', '.join(sorted(PARTITIONED))}")
        keyed = sorted((c.key_position, c.name) for c in columns if c.key_position is not None)
        return Contract(
            address=address,
            name=str(document.get("name", address)),
            description=str(table.get("description", "")),
            version=str(document["version"]),
            columns=columns,
            key=tuple(name for _, name in keyed),
            slice=custom.pop("slice", None),
            partition=partitions[0] if partitions else None,
            source=_source(document, columns) if address.startswith("raw.") else None,
            retention=_retention(document, address, columns),
            properties={k: str(v) for k, v in custom.items()},
            hash=said,
        )
    except KeyError as error:
        raise ContractBroken(f"{path} lacks {error}: it is no ODCS v3.1 contract", next_step="see schemas/silver/ for a whole one") from None
    except (TypeError, IndexError, AttributeError, ValueError) as error:
        raise ContractBroken(f"{path} is no ODCS v3.1 contract: {error}", next_step="see schemas/silver/ for a whole one") from None


def _custom(node: Mapping[str, Any]) -> dict[str, Any]:
    return {c["property"]: c["value"] for c in node.get("customProperties") or ()}


def _column(node: Mapping[str, Any]) -> Column:
    options: Mapping[str, Any] = node.get("logicalTypeOptions") or {}
    allowed = [
        q["arguments"]["validValues"]
        for q in node.get("quality") or ()
        if q.get("metric") == "invalidValues" and "validValues" in q.get("arguments", {})
    ]
    return Column(
        name=node["name"],
        type=node["physicalType"],
        required=bool(node.get("required", False) or node.get("primaryKey", False)),
        description=str(node.get("description", "")),
        key_position=int(node.get("primaryKeyPosition", 1)) if node.get("primaryKey") else None,
        unit=_custom(node).get("unit"),
        classification=node.get("classification"),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        pattern=options.get("pattern"),
        allowed=tuple(map(str, allowed[0])) if allowed else None,
    )


def _source(document: Mapping[str, Any], fields: tuple[Column, ...]) -> Source:
    server = document["servers"][0]
    location = server.get("location") or server["path"]
    said = _custom(server)
    options = said.pop("options", None) or {}
    copies, editions = said.pop("copies", "read"), said.pop("editions", "replace")
    if said or copies not in ("read", "skip") or editions not in ("replace", "keep"):
        wrong = f"no customProperty {', '.join(said)}" if said else f"copies is {copies!r}, editions is {editions!r}"
        raise ValueError(f"{wrong}: a raw server has `options`, `copies` (read or skip), and `editions` (replace or keep)")
    address = document["id"]
    return Source(address, address.split(".")[1], str(location), str(server["format"]), options, fields, copies, editions)


def _retention(document: Mapping[str, Any], address: str, columns: Sequence[Column]) -> timedelta | None:
    """How long rows are kept, by their column `at`: of ops and reports only, which nobody makes again."""
    for sla in document.get("slaProperties") or ():
        if sla["property"] == "retention":
            days = {"d": 1, "day": 1, "days": 1, "m": 30, "month": 30, "months": 30, "y": 365, "yr": 365, "year": 365, "years": 365}
            unit = sla.get("unit", "d")
            if unit not in days:
                raise ValueError(f"retention in {unit!r}, known units are {', '.join(days)}")
            kept = timedelta(days=int(sla["value"]) * days[unit])
            # Rows of data that went would come back with the next rebuild from their raw files: no promise is better than that one.
            if not address.startswith(("ops.", "reports.")) or "at" not in {c.name for c in columns}:
                raise ContractBroken(
                    f"{address} promises a retention that nothing carries out: upkeep lets rows of ops and reports go, by their column `at`",
                    next_step=f"take `retention` out of slaProperties in schemas/{address.replace('.', '/')}.yaml",
                )
            return kept
    return None


def _no_column(contract: Contract, name: str) -> Column:
    raise KeyError(f"{contract.address} has no column {name}")
