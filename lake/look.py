"""Looking at a lake without Spark: SQL by DuckDB over delta-rs, a table's card, its rejects, its models, the lineage of a row."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, cast

import duckdb
import pyarrow as pa
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text
from rich.tree import Tree

from lake import ops
from lake.contract import Contract
from lake.errors import ContractBroken, SourceMissing
from lake.ops import Event
from lake.rejects import STATES, Fate, State, Which, fates
from lake.report.origin import maker, reader, writer
from lake.report.rejects import shown, whole
from lake.run.repairs import REPAIRS
from lake.settings import ZONES
from lake.store import Store
from lake.table import Table

_ADDRESS = re.compile(rf"\b({'|'.join(z for z in ZONES if z not in ('raw', 'models'))})\.([a-z][a-z0-9_]*)\b")


def query(store: Store, sql: str) -> pa.Table:
    """The result of a query whose tables are addresses; only the columns and files that it needs are read.

    Raises:
        SourceMissing: a table that it names is not there.
        ContractBroken: DuckDB refuses the query.
    """
    missing: list[Table] = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for address in sorted({m[0] for m in _ADDRESS.finditer(sql)}):
            zone, name = address.split(".")
            table = Table(address, store)
            if not table.exists():  # perhaps no table at all, but a value: ... where address = 'silver.texts'
                missing.append(table)
                continue
            connection.register(f"{zone}__{name}", table.delta().to_pyarrow_dataset())
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {zone}; CREATE VIEW {zone}.{name} AS SELECT * FROM {zone}__{name}")
        try:
            relation = cast("duckdb.DuckDBPyRelation | None", connection.sql(sql))
            if relation is None:
                raise ContractBroken("the query gives no rows", next_step="write a SELECT: tables are written by jobs only")
            return relation.to_arrow_table()
        except duckdb.Error as error:
            for table in missing if isinstance(error, duckdb.CatalogException) else ():
                if table.address.split(".")[1] in str(error):
                    next_step = f"lake run {table.address}, or `lake plan` for what there is"
                    raise SourceMissing(f"{table.address} is not there yet ({table.uri})", next_step=next_step) from None
            if isinstance(error, duckdb.ParserException) and re.search(r"\bat\b", sql):
                raise ContractBroken(
                    f"DuckDB: {error}", next_step='write "at" in quotes, or runs.at: a bare at begins DuckDB\'s AT (VERSION ...)'
                ) from None
            raise ContractBroken(f"DuckDB: {error}", next_step="mend the query; `lake show ADDRESS` lists columns") from None


def describe(store: Store, address: str, rows: int = 5) -> list[RenderableType]:
    """A table's card: what it is, how it stands, its columns, its last verdict, a few rows with personal data hidden."""
    if address.startswith("models."):
        return [model_versions(store, address.partition(".")[2])]
    contract = Contract.load(address)
    table = Table(address, store)
    parts: list[RenderableType] = [Text.assemble((address, "bold"), "  ", contract.description or contract.name)]
    if contract.source:
        return [*parts, Text(f"raw files: {contract.source.location}, read as {contract.source.format}"), _columns(contract)]
    if not table.exists():
        return [*parts, Text(f"not there yet: lake run {address}", style="yellow")]
    snapshot = table.snapshot()
    found = ops.events(store, address)
    last = next((e for e in reversed(found) if e.status in ("published", "restored")), None)
    age = f", last published {last.at:%Y-%m-%d %H:%M} UTC by run {last.run}" if last else ""
    promised, old = contract.freshness, ops.now() - last.at if last else None
    late = f"older than the {promised} that its contract promises" if promised and old and old > promised else ""
    size = sum(f.size for f in snapshot.files) / 1e6
    parts.append(Text(f"version {snapshot.version}, {snapshot.rows:,} rows in {len(snapshot.files)} files, {size:.1f} MB{age}"))
    if contract.owner or promised:
        parts.append(Text(f"owner: {contract.owner or 'nobody'}" + (f", at most {promised} old" if promised else "")))
    if late:
        parts.append(Text(late, style="yellow"))
    waits = [f"{c.what} ({'with the next run' if c.kind == 'wider' else 'lake contract migrate ' + address})" for c in table.changes() or ()]
    if waits:
        parts.append(Text(f"its contract has changed: {'; '.join(waits)}", style="yellow"))
    if found and found[-1].status in ("refused", "failed"):
        parts.append(Text(f"run {found[-1].run} {found[-1].status}: {found[-1].message}", style="red"))
    parts.append(_columns(contract))
    if judged := [e.run for e in found if e.status in ("published", "refused")]:
        parts.append(_verdict(store, address, judged[-1]))
    parts.append(_rows(store, contract, rows))
    return parts


def rejected(
    store: Store,
    address: str | None = None,
    rows: int = 0,
    *,
    by: Literal["rule", "source", "day"] = "rule",
    everything: bool = False,
    which: Which | None = None,
    plain: bool = False,
) -> list[RenderableType]:
    """Rows set aside about which nobody has decided (or `everything`, with what became of each), counted by rule, source or day; some of them."""
    told = [f for f in fates(store, address, back=everything) if which is None or which.holds(f)]
    found = [f for f in told if everything or f.state in ("open", "moot")]
    groups: dict[tuple[str, str, str], int] = {}
    for fate in found:
        row = fate.reject
        names: list[str] = row["reasons"] if by == "rule" else [fate.source] if by == "source" else [f"{row['at']:%Y-%m-%d}"]
        for name in names:
            group = fate.address, name, fate.state if everything else ""
            groups[group] = groups.get(group, 0) + 1
    table = RichTable(box=None, pad_edge=False)
    for name in ("address", "reason" if by == "rule" else by, *(("state",) if everything else ())):
        table.add_column(name)
    table.add_column("rows", justify="right")
    for (where, name, state), n in sorted(groups.items(), key=lambda g: (g[0][0], -g[1], g[0][1:])):
        table.add_row(where, name, *((state,) if everything else ()), f"{n:,}")
    parts: list[RenderableType] = [table if groups else Text("nothing was rejected" if not told else "nothing is open")]
    if others := Counter[State](f.state for f in told if not everything and f.state not in ("open", "moot")):
        parts.append(Text("; ".join(f"{n:,} {state}: {STATES[state]}" for state, n in sorted(others.items())) + "   (--all lists them)"))
    newest = sorted(found, key=lambda f: f.reject["at"], reverse=True)[:rows]
    for fate in newest:
        row = fate.reject
        origin = f"{row['source'] or row['address']} {row['file'] or ''}:{row['line'] or ''}"
        name = f"  [{fate.id}]" if which else ""
        decided = f"\n{fate.state}: {_decision(fate)}" if fate.decision else ""
        text = whole(row) if plain else shown(row, 500)
        parts.append(Text.assemble((f"{origin}  {', '.join(row['reasons'])}{name}{decided}\n", "yellow"), text))
    if newest and not plain:
        where = f" where address = '{address}'" if address else ""
        parts.append(Text(f'personal data is hidden or masked here; as it was read: lake sql "select file, line, row, raw from ops.rejects{where}"'))
    return parts


def _decision(fate: Fate) -> str:
    d: Mapping[str, Any] = fate.decision or {}
    return f"{d['how']} on {d['at']:%Y-%m-%d} by {d['by']}: {d['because']}"


def model_versions(store: Store, name: str | None = None) -> RenderableType:
    """Every model version with its figures and the newest decision about it."""
    rows = ops.read(store, "models", [("name", "=", name)] if name else ())
    newest: dict[tuple[str, int], Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda r: r["at"]):
        newest[row["name"], row["version"]] = row
    table = RichTable(box=None, pad_edge=False)
    for title in ("model", "version", "status", "trained on", "accuracy", "macro F1", "why"):
        table.add_column(title)
    for (model, version), row in sorted(newest.items()):
        figures = json.loads(row["metrics"])
        shown = [f"{figures[k]:.4f}" if isinstance(figures.get(k), float) else "" for k in ("accuracy", "macro_f1")]
        table.add_row(model, str(version), row["status"], f"{row['table']} version {row['table_version']}", *shown, Text(row["reason"]))
    return table if newest else Text(f"no model yet: lake run models.{name or 'intent'}")


def lineage(store: Store, address: str, key: str) -> RenderableType:
    """The chain behind one row: run, verdicts, input versions, model, and the raw file it came from.

    Raises:
        SourceMissing: no row has that key.
        ContractBroken: its contract names no key.
    """
    contract = Contract.load(address)
    if not contract.key:
        raise ContractBroken(f"{address} has no key: its rows can't be told apart", next_step=f'lake sql "select * from {address} limit 5"')
    first = contract.key[0]
    escaped = key.replace("'", "''")
    found = query(store, f"SELECT * FROM {address} WHERE CAST({first} AS VARCHAR) = '{escaped}' LIMIT 1").to_pylist()
    if not found:
        raise SourceMissing(f"{address} has no row with {first} = {key}", next_step=f'lake sql "select {first} from {address} limit 5"')
    row = found[0]
    told = {k: v for k, v in row.items() if contract.column(k).classification is None and not isinstance(v, list | dict)}
    tree = Tree(Text.assemble((f"{address} {first}={key}", "bold"), "  ", json.dumps(told, default=str, ensure_ascii=False)[:400]))
    _grow(store, tree, address, key, None, set(), row.get("run"))
    return tree


def _grow(store: Store, tree: Tree, address: str, key: str, version: int | None, seen: set[tuple[str, int | None]], run: int | None = None) -> None:
    """Add what the rows of an address depend on, back to the raw files; each address as the run that read it saw it."""
    if (address, version) in seen:
        return
    seen.add((address, version))
    events = ops.events(store, address)
    raw = _raw_row(store, address, key)
    if run is None and raw:
        read = reader(store, events, address, raw["file"], raw["edition"], version) or reader(store, events, address, raw["file"], None, version)
        run = read["run"] if read else None
    event = maker(events, address, version) if run is None else writer(events, address, run)
    if event is None:
        return
    # A run that made the whole table wrote every row; another one only those that were new.
    doubt = "" if run is not None or event.full else " (the last one by then; the row may be of a run before it)"
    checks = ops.read(store, "checks", [("address", "=", address), ("run", "=", event.run)])
    held = sum(c["success"] for c in checks)
    verdict = f"the gate: {held} of {len(checks)} checks held"
    tree = tree.add(f"{address} run {event.run}{doubt}, {event.at:%Y-%m-%d %H:%M} UTC, version {event.version}, code {event.code}; {verdict}")
    for name, vector in event.inputs.items():
        if name == REPAIRS:
            tree.add(f"decisions about its rejects, up to number {vector[1]}: lake rejects {address} --all")
        elif isinstance(vector, list):
            if not name.startswith("models.") and not _holds(store, name, key):
                continue
            branch = tree.add(f"{name} version {vector[1]}")
            if name.startswith("models."):
                told = ops.read(store, "models", [("name", "=", name.split(".")[1]), ("version", "=", vector[1])])
                for model in sorted(told, key=lambda m: (m["status"] == "champion", m["at"]))[-1:]:  # why it scores, not why it ceased to
                    branch.add(Text(f"trained on {model['table']} version {model['table_version']}; {model['reason']}"))
            else:
                _grow(store, branch, name, key, vector[1], seen)
        else:
            tree.add(Text(_raw_file(store, events, address, name, raw, version, vector)))


def _holds(store: Store, address: str, key: str) -> bool:
    """Whether a table may hold the row that a key came from: false only when it has row ids and this is none of them."""
    names = {c.name for c in Contract.load(address).columns} & {"row_id", "text_id"}
    if not names or not re.fullmatch(r"[0-9a-f]{32}", key):
        return True
    return bool(query(store, f"SELECT 1 FROM {address} WHERE {min(names)} = '{key}' LIMIT 1").num_rows)


def _raw_row(store: Store, address: str, key: str) -> Mapping[str, Any] | None:
    """Where a row of bronze stands in its raw file; None when the address is no bronze table, or has no such row."""
    if not address.startswith("bronze.") or not Table(address, store).exists():
        return None
    found = query(store, f"SELECT file, edition, sha256, line FROM {address} WHERE row_id = '{key.replace(chr(39), chr(39) * 2)}' LIMIT 1")
    return next(iter(found.to_pylist()), None)


def _raw_file(
    store: Store, events: list[Event], address: str, source: str, row: Mapping[str, Any] | None, version: int | None, vector: Mapping[str, Any]
) -> str:
    """The raw file of a row, when the bronze table knows the key; else how many files its run read."""
    if row is None:
        return f"{source}: {vector.get('files')} files"
    before = None
    if reader(store, events, address, row["file"], row["edition"], version) is None:
        before = reader(store, events, address, row["file"], None, version)
    now = f"line {row['line']}, edition {row['edition']}, sha256 {row['sha256'][:16]}"
    if before is None:
        return f"{source} {row['file']} {now}"
    return f"{source} {row['file']} edition {before['edition']}, sha256 {before['sha256'][:16]}; replaced since, it now stands in {now}"


def _columns(contract: Contract) -> RichTable:
    table = RichTable(box=None, pad_edge=False, title="columns", title_justify="left")
    for name in ("name", "type", "meaning"):
        table.add_column(name)
    for c in contract.columns:
        marks = [f"key {c.key_position}" if c.key_position else "", "unique" if c.unique else "", c.unit or ""]
        marks += [f"in {c.span()}" if c.ranged else "", f"[{c.classification}]" if c.classification else ""]
        table.add_row(c.name, c.type + ("" if c.required else " ?"), Text(" ".join([c.description, *filter(None, marks)])))
    return table


def _verdict(store: Store, address: str, run: int) -> RenderableType:
    checks = ops.read(store, "checks", [("address", "=", address), ("run", "=", run)])
    if not checks:
        return Text(f"no verdict of run {run}")
    text = Text(f"verdict of run {run}: {sum(c['success'] for c in checks)} of {len(checks)} checks held")
    for c in checks:
        if not c["success"]:
            fate = ops.fate(c["on_fail"], c["severity"])
            text.append(f"\n{fate}: {ops.told(c['message'], c['why'])}", style="red" if fate == "refuse" else "yellow")
    return text


def _rows(store: Store, contract: Contract, rows: int) -> RenderableType:
    columns = [c for c in contract.columns if c.classification is None][:12]
    table = RichTable(box=None, pad_edge=False, title="a few rows", title_justify="left")
    for c in columns:
        table.add_column(c.name, overflow="ellipsis", max_width=40, no_wrap=True)
    names = ", ".join(f'"{c.name}"' for c in columns)
    for row in query(store, f"SELECT {names} FROM {contract.address} LIMIT {int(rows)}").to_pylist():
        table.add_row(*[Text("" if v is None else str(v)) for v in row.values()])  # a bare str would be read as markup: [x] is no tag here
    return table
