"""Contract: what one dataset is, read from its Open Data Contract Standard (ODCS v3.1) file.

`schemas/<zone>/<name>.yaml` of the project; those of `ops` come with the library. A contract holds an Arrow schema and
converts when asked, so that reading one costs milliseconds and pulls in no Spark.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import yaml

from lake.errors import ContractBroken
from lake.job import check_address
from lake.settings import project_root

RuleKind = Literal["missing", "not_allowed", "out_of_range", "wrong_shape"]
ChangeKind = Literal["wider", "narrower", "breaking"]
Bound = float | str
"""One end of a range: a number, or an ISO date or time as text."""

_FLOATING = frozenset({"double", "float"})
_DATED = frozenset({"date", "timestamp"})
# Of logicalTypeOptions: what becomes a rule, and what is for people only. Any other is refused: nobody would hold it.
_RULED = {
    "minimum": "minimum", "maximum": "maximum", "exclusiveMinimum": "above", "exclusiveMaximum": "below",
    "minLength": "shortest", "maxLength": "longest", "minItems": "shortest", "maxItems": "longest", "pattern": "pattern",
}  # fmt: skip
_TOLD = frozenset({"format", "timezone", "defaultTimezone"})
PARTITIONED = frozenset({"date", "string", "int", "bigint", "smallint"})  # whose values stand in Delta's log, and in paths, in one way only


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Spark type as a simple string (`array<int>`), and what is true of each value.

    `above` and `below` are ends that a range leaves out (ODCS: exclusiveMinimum, exclusiveMaximum); `shortest` and `longest`
    count characters of a text, elements of an array. A number that has a range is finite: NaN and Infinity lie in none;
    `finite` says so where there is no range.
    """

    name: str
    type: str
    required: bool
    description: str
    key_position: int | None = None
    unit: str | None = None
    classification: str | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None
    above: Bound | None = None
    below: Bound | None = None
    shortest: int | None = None
    longest: int | None = None
    finite: bool = False
    unique: bool = False

    @property
    def ranged(self) -> bool:
        """Whether some values of its type lie outside."""
        return self.finite or any(end is not None for end in (self.minimum, self.maximum, self.above, self.below))

    @property
    def floating(self) -> bool:
        """Whether NaN and Infinity are values of its type."""
        return self.type in _FLOATING

    def span(self) -> str:
        """Its range in the notation of intervals: `[0, 1)`."""
        low = f"[{self.minimum}" if self.minimum is not None else f"({self.above}" if self.above is not None else "(-"
        high = f"{self.maximum}]" if self.maximum is not None else f"{self.below})" if self.below is not None else "-)"
        return f"{low}, {high}" if self.ranged else "any"


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
class Change:
    """One difference between a contract and an older one.

    `wider`: what stands obeys it as it is, and readers read on: an optional column more, a looser rule, another description.
    `narrower`: rows that stand may break it: they have to be asked (`rule`; None: whether `column` is unique).
    `breaking`: only a rebuild makes rows of that shape.
    """

    kind: ChangeKind
    what: str
    column: Column | None = None
    rule: RowRule | None = None


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
    freshness: timedelta | None = None
    owner: str = ""

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
            if column.ranged:
                yield RowRule("out_of_range", column)
            if column.pattern is not None or column.shortest is not None or column.longest is not None:
                yield RowRule("wrong_shape", column)

    def uniques(self) -> tuple[tuple[str, ...], ...]:
        """Columns whose values together stand in one row only: the key, and each column that is unique by itself."""
        alone = tuple((c.name,) for c in self.columns if c.unique and self.key != (c.name,))
        return (self.key, *alone) if self.key else alone

    def checks(self) -> dict[str, str]:
        """CHECK constraints of the Delta table: the ranges, which also keep NaN and Infinity out, open to one side or not."""
        return {f"{c.name}_in_range": _check(c) for c in self.columns if c.ranged}

    def terms(self) -> str:
        """What its rows obey, as JSON: what a table made by it keeps, to be compared with a later contract."""
        left = ("description", "unit")
        columns = [{k: v for k, v in asdict(c).items() if k not in left and v is not None and v is not False} for c in self.columns]
        return json.dumps({"columns": columns, "key": self.key, "partition": self.partition}, separators=(",", ":"))

    @property
    def reading(self) -> str:
        """Hash of what the rows of a raw source depend on: a description, a place or what becomes of older editions makes no row another."""
        if self.source is None:
            return ""
        s = self.source
        said = json.dumps([s.format, s.options, s.copies, [(c.name, c.type) for c in s.fields]], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def changes(self, older: Contract) -> list[Change]:
        """What differs from the contract that a table was made by, in the order of the columns."""
        mine, theirs = {c.name: c for c in self.columns}, {c.name: c for c in older.columns}
        found = [Change("breaking", f"column removed: {name}") for name in theirs if name not in mine]
        for new in self.columns:
            old = theirs.get(new.name)
            if old is None:
                kind: ChangeKind = "breaking" if new.required else "wider"
                found.append(Change(kind, f"{'required ' if new.required else ''}column added: {new.name} {new.type}", new))
            elif _plain(old.type) != _plain(new.type):
                found.append(Change("breaking", f"type changed: {new.name} {old.type} -> {new.type}", new))
            else:
                found += _column_changes(old, new)
        if self.key != older.key:
            found.append(Change("breaking", f"key changed: {', '.join(older.key) or 'none'} -> {', '.join(self.key) or 'none'}"))
        if self.partition != older.partition:
            found.append(Change("breaking", f"partition changed: {older.partition or 'none'} -> {self.partition or 'none'}"))
        return found


def of_terms(address: str, terms: str) -> Contract:
    """The contract that `terms` told of, as far as it is told there."""
    said: Any = json.loads(terms)
    columns: list[Column] = []
    for facts in said["columns"]:
        facts: dict[str, Any] = {"required": False, "description": "", **facts}
        if "allowed" in facts:
            facts["allowed"] = tuple(facts["allowed"])
        columns.append(Column(**facts))
    return Contract(address, address, "", "", tuple(columns), tuple(said["key"]), None, said["partition"], None, None)


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


def simple_type(arrow: pa.DataType) -> str:
    """The Spark simple type string of an Arrow type: what `arrow_type` takes, and its like in other widths of offsets."""
    t = pa.types
    if t.is_list(arrow) or t.is_large_list(arrow) or t.is_list_view(arrow):
        return f"array<{simple_type(arrow.value_type)}>"
    if t.is_map(arrow):
        return f"map<{simple_type(arrow.key_type)},{simple_type(arrow.item_type)}>"
    if t.is_struct(arrow):
        return f"struct<{','.join(f'{f.name}:{simple_type(f.type)}' for f in arrow.fields)}>"
    if t.is_string(arrow) or t.is_large_string(arrow) or t.is_string_view(arrow):
        return "string"
    if t.is_binary(arrow) or t.is_large_binary(arrow) or t.is_binary_view(arrow):
        return "binary"
    names = {"int32": "int", "int64": "bigint", "int16": "smallint", "bool": "boolean", "date32[day]": "date"}
    return "timestamp" if t.is_timestamp(arrow) and arrow.tz else names.get(str(arrow), str(arrow))


def _plain(simple: str) -> str:
    return simple.replace(" ", "")


def _check(column: Column) -> str:
    """A range as SQL. NaN is larger than every number in Spark, so that an upper end keeps it out, Infinity too where it is below that."""
    name = column.name
    if column.minimum is not None and column.maximum is not None:
        return f"{name} IS NULL OR {name} BETWEEN {_literal(column, column.minimum)} AND {_literal(column, column.maximum)}"
    ends = [f"{name} {op} {_literal(column, end)}" for op, end in _ends(column) if end is not None]
    if column.floating:
        ends += [f"{name} > CAST('-Infinity' AS DOUBLE)"] if column.minimum is None and column.above is None else []
        ends += [f"{name} < CAST('Infinity' AS DOUBLE)"] if column.maximum is None and column.below is None else []
    return f"{name} IS NULL OR ({' AND '.join(ends)})"


def _ends(column: Column) -> tuple[tuple[str, Bound | None], ...]:
    return (">=", column.minimum), (">", column.above), ("<=", column.maximum), ("<", column.below)


def _literal(column: Column, end: Bound) -> str:
    return f"{column.type.upper()} '{end}'" if column.type in _DATED else repr(end)


def _column_changes(old: Column, new: Column) -> Iterator[Change]:
    """Differences of one column that kept its name and type."""
    name = new.name
    if old.required != new.required:
        missing = RowRule("missing", new) if new.required else None
        yield Change("narrower" if missing else "wider", f"{'may not be null any more' if missing else 'may be null now'}: {name}", new, missing)
    if (old.allowed and set(old.allowed)) != (new.allowed and set(new.allowed)):
        gone = sorted(set(old.allowed or ()) - set(new.allowed or ())) if new.allowed is not None else []
        came = sorted(set(new.allowed or ()) - set(old.allowed or ())) if old.allowed is not None else []
        fewer = new.allowed is not None and (old.allowed is None or bool(gone))
        of = ", ".join([*(f"+{v}" for v in came[:5]), *(f"-{v}" for v in gone[:5])]) or f"{', '.join((new.allowed or ('any',))[:5])}"
        yield Change(*_narrower(fewer), f"allowed values changed: {name} {of}", new, RowRule("not_allowed", new) if fewer else None)
    if old.span() != new.span():
        yield Change(
            *_narrower(fewer := _within(new, old)),
            f"range changed: {name} {old.span()} -> {new.span()}",
            new,
            RowRule("out_of_range", new) if fewer else None,
        )
    if old.pattern != new.pattern:
        fewer = new.pattern is not None
        yield Change(
            *_narrower(fewer),
            f"pattern changed: {name} {old.pattern or 'any'} -> {new.pattern or 'any'}",
            new,
            RowRule("wrong_shape", new) if fewer else None,
        )
    if (old.shortest, old.longest) != (new.shortest, new.longest):
        fewer = (new.shortest or 0) > (old.shortest or 0) or (new.longest is not None and (old.longest is None or new.longest < old.longest))
        told = f"length changed: {name} {old.shortest or 0} to {old.longest or 'any'} -> {new.shortest or 0} to {new.longest or 'any'}"
        yield Change(*_narrower(fewer), told, new, RowRule("wrong_shape", new) if fewer else None)
    if old.unique != new.unique:
        yield Change(*_narrower(new.unique), f"{'must be unique now' if new.unique else 'need not be unique any more'}: {name}", new)
    if old.classification != new.classification:
        yield Change("wider", f"classification changed: {name} {old.classification or 'none'} -> {new.classification or 'none'}", new)


def _narrower(fewer: bool) -> tuple[ChangeKind]:
    return ("narrower" if fewer else "wider",)


def _within(new: Column, old: Column) -> bool:
    """Whether the new range leaves out something that the old one held."""
    if not new.ranged:
        return False
    if not old.ranged:
        return True
    (low, low_open), (old_low, old_low_open) = _low(new), _low(old)
    (high, high_open), (old_high, old_high_open) = _high(new), _high(old)
    below = low is not None and (old_low is None or low > old_low or (low == old_low and low_open and not old_low_open))  # pyright: ignore[reportOperatorIssue]
    above = high is not None and (old_high is None or high < old_high or (high == old_high and high_open and not old_high_open))  # pyright: ignore[reportOperatorIssue]
    return below or above


def _low(column: Column) -> tuple[Bound | None, bool]:
    return (column.minimum, False) if column.minimum is not None else (column.above, True)


def _high(column: Column) -> tuple[Bound | None, bool]:
    return (column.maximum, False) if column.maximum is not None else (column.below, True)


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
            freshness=_freshness(document),
            owner=str((document.get("team") or {}).get("name", "")),
        )
    except KeyError as error:
        raise ContractBroken(f"{path} lacks {error}: it is no ODCS v3.1 contract", next_step="see schemas/silver/ for a whole one") from None
    except (TypeError, IndexError, AttributeError, ValueError) as error:
        raise ContractBroken(f"{path} is no ODCS v3.1 contract: {error}", next_step="see schemas/silver/ for a whole one") from None


def _custom(node: Mapping[str, Any]) -> dict[str, Any]:
    return {c["property"]: c["value"] for c in node.get("customProperties") or ()}


def _column(node: Mapping[str, Any]) -> Column:
    options: Mapping[str, Any] = node.get("logicalTypeOptions") or {}
    if unread := sorted(options.keys() - _RULED.keys() - _TOLD):
        raise ValueError(f"{node['name']} has {', '.join(unread)} in its logicalTypeOptions, which nothing would hold")
    ruled = {name: options[said] for said, name in _RULED.items() if said in options}
    for name in {"minimum", "maximum", "above", "below"} & ruled.keys():
        ruled[name] = _bound(node, ruled[name])
    if {"minimum", "above"} <= ruled.keys() or {"maximum", "below"} <= ruled.keys():
        raise ValueError(f"{node['name']} has two ends on one side of its range")
    custom = _custom(node)
    finite = bool(custom.get("finite", False))
    if finite and node["physicalType"] not in _FLOATING:
        raise ValueError(f"{node['name']} is {node['physicalType']}, and finite by that")
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
        unit=custom.get("unit"),
        classification=node.get("classification"),
        allowed=tuple(map(str, allowed[0])) if allowed else None,
        finite=finite,
        unique=bool(node.get("unique", False)),
        **ruled,
    )


def _bound(node: Mapping[str, Any], end: Any) -> Bound:
    """An end of a range in the type of its column: what stands in a CHECK must compare as the value does."""
    kind, name = node["physicalType"], node["name"]
    if kind == "date":
        return end.isoformat() if type(end) is date else date.fromisoformat(str(end)).isoformat()
    if kind == "timestamp":
        at = end if isinstance(end, datetime) else datetime.fromisoformat(str(end))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
        raise ValueError(f"{name} has a range that ends at {end!r}: write a number")
    return end


def _source(document: Mapping[str, Any], fields: tuple[Column, ...]) -> Source:
    server = document["servers"][0]
    location = server.get("location") or server["path"]
    said = _custom(server)
    options = dict(said.pop("options", None) or {})
    if "shapes" in options:
        raise ValueError("shapes is no option of a raw server: the fields of its schema tell them")
    options["shapes"] = {p["name"]: _shape(p) for p in document["schema"][0]["properties"]}
    copies, editions = said.pop("copies", "read"), said.pop("editions", "replace")
    if said or copies not in ("read", "skip") or editions not in ("replace", "keep"):
        wrong = f"no customProperty {', '.join(said)}" if said else f"copies is {copies!r}, editions is {editions!r}"
        raise ValueError(f"{wrong}: a raw server has `options`, `copies` (read or skip), and `editions` (replace or keep)")
    address = document["id"]
    return Source(address, address.split(".")[1], str(location), str(server["format"]), options, fields, copies, editions)


def _shape(node: Mapping[str, Any]) -> dict[str, Any]:
    """What a raw contract says of a value and of what is nested in it, for the readers of JSON."""
    shape: dict[str, Any] = {"type": node.get("logicalType"), "required": bool(node.get("required", False))}
    if node.get("properties"):
        shape["properties"] = {p["name"]: _shape(p) for p in node["properties"]}
    if node.get("items"):
        shape["items"] = _shape(node["items"])
    return shape


def _retention(document: Mapping[str, Any], address: str, columns: Sequence[Column]) -> timedelta | None:
    """How long rows are kept, by their column `at`: of ops and reports only, which nobody makes again."""
    kept = _promised(document, "retention")
    # Rows of data that went would come back with the next rebuild from their raw files: no promise is better than that one.
    if kept is not None and (not address.startswith(("ops.", "reports.")) or "at" not in {c.name for c in columns}):
        raise ContractBroken(
            f"{address} promises a retention that nothing carries out: upkeep lets rows of ops and reports go, by their column `at`",
            next_step=f"take `retention` out of slaProperties in schemas/{address.replace('.', '/')}.yaml",
        )
    return kept


def _freshness(document: Mapping[str, Any]) -> timedelta | None:
    """How old the newest commit of a table may be: `freshness`, or `latency` as ODCS's periodic table calls it."""
    found = _promised(document, "freshness")
    return _promised(document, "latency") if found is None else found


def _promised(document: Mapping[str, Any], name: str) -> timedelta | None:
    """A time that slaProperties promise."""
    day = {"d": 24, "m": 720, "y": 8760}
    hours = {"h": 1, "hour": 1, "hours": 1, **day, "day": 24, "days": 24, "month": 720, "months": 720, "yr": 8760, "year": 8760, "years": 8760}
    for sla in document.get("slaProperties") or ():
        if sla["property"] == name:
            unit = sla.get("unit", "d")
            if unit not in hours:
                raise ValueError(f"{name} in {unit!r}, known units are {', '.join(hours)}")
            return timedelta(hours=int(sla["value"]) * hours[unit])
    return None


def _no_column(contract: Contract, name: str) -> Column:
    raise KeyError(f"{contract.address} has no column {name}")
