"""Rows set aside: which of them still stand beside their table, and what of them may be shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from lake import ops
from lake.contract import Contract
from lake.errors import ContractBroken
from lake.ops import Standing
from lake.report.masks import MOST_CHARACTERS, escaped, shown_bytes, shown_row
from lake.run.repairs import REPAIRS, Repairs
from lake.store import Store
from lake.table import Table

Row = Mapping[str, Any]
_BRONZE_ID = re.compile(r"[0-9a-f]{32}(?:,|$)")


def classified(address: str) -> tuple[str, ...] | None:
    """Columns of an address that hold personal or confidential data; None when nobody says which they are."""
    try:
        return tuple(c.name for c in Contract.load(address).columns if c.classification not in (None, "masked"))
    except ContractBroken:
        return None


def guarded(*addresses: str | None) -> bool:
    """Whether any of these addresses has classified columns, or a contract that can't be asked."""
    return any(classified(a) != () for a in addresses if a)


def shown(reject: Row, most: int = MOST_CHARACTERS) -> str:
    """A row of ops.rejects as it may be shown.

    In the bytes of a record nobody can tell a name from the rest: where its table or its source has classified columns, none are shown.
    """
    raw: bytes | None = reject["raw"]
    if raw is None:
        return shown_row(reject["row"] or "", classified(reject["address"]), most)
    return f"[hidden, {len(raw):,} bytes]" if guarded(reject["address"], reject["source"]) else shown_bytes(raw, most)


def whole(reject: Row) -> str:
    """A row of ops.rejects as it is, for who may see it: its control characters alone are escaped."""
    if reject["raw"] is None:
        return escaped(reject["row"] or f"[record of sha256 {reject.get('sha256')}]")
    return escaped(bytes(reject["raw"]).decode("utf-8", errors="backslashreplace"))


def counted(store: Store, address: str | None = None) -> list[dict[str, Any]]:
    """Rows set aside that stand beside their table as it is: rows and rejects add up to what was read.

    Those of the run that made the whole table and of runs after it; of a row judged several times the last verdict; none of a file's
    content that another has replaced.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in ops.read(store, "rejects", [("address", "=", address)] if address else ()):
        found.setdefault(row["address"], []).append(row)
    ledger = ops.read(store, "files", columns=["address", "source", "path", "edition", "run", "status", "base", "begin_offset"]) if found else []
    return [row for a, rows in sorted(found.items()) for row in _counted(store, a, rows, ledger)]


def _counted(store: Store, address: str, rows: Iterable[dict[str, Any]], ledger: Sequence[Row]) -> list[dict[str, Any]]:
    events = ops.events(store, address)
    standing = ops.standing(events, Table(address, store).last_run())
    whole = standing.made.run if standing.made else 0
    if standing.open and standing.open.full and standing.open.run in standing.published:  # it committed, and died before it could say so
        whole = standing.open.run
    runs = {run for run in standing.published if run >= whole}
    readings: dict[str, dict[str, dict[int, Row]]] = {}
    for line in sorted(ledger, key=lambda line: line["status"] == "read"):  # what was read counts before what was planned
        if line["address"] == address and line["status"] != "copy" and line["run"] in runs:
            readings.setdefault(line["path"], {}).setdefault(line["source"], {})[line["run"]] = line

    def replaced(row: Row) -> bool:
        """Whether each source that has a file of that path has read that place of it again since."""
        # a row of bronze, unlike a raw record, does not name its source
        sources = [lines for source, lines in readings.get(row["file"], {}).items() if row["source"] in (None, source)]
        return row["edition"] is not None and bool(sources) and all(any(read_again(row, line) for line in lines.values()) for lines in sources)

    def read_again(row: Row, line: Row) -> bool:
        return line["run"] > row["run"] and (line["base"] or 1) <= row["edition"] and (line["begin_offset"] or 0) <= (row["offset"] or 0)

    found = [r for r in rows if r["run"] in runs and not replaced(r)]
    if not readings:  # of raw files the ledger tells what was read again; of other rows each run says which decisions it took in
        taken = {e.run: (e.inputs.get(REPAIRS) or (None, 0))[1] for e in events if e.run in runs}
        repairs = Repairs.of(store, address)
        found = [r for r in found if not _judged_again(r, repairs.numbers(r["row_id"]), taken)]
    key = _key(address)
    last: dict[tuple[Any, ...], int] = {}
    for r in found:
        last[_place(r, key)] = max(r["run"], last.get(_place(r, key), 0))
    found = [r for r in found if r["run"] == last[_place(r, key)]]
    # Two drivers that took up one intent both set its rows aside; one of them committed.
    once = {_place(r, key): r for r in reversed(found) if r["offset"] is not None}
    found = [r for r in found if once.get(_place(r, key), r) is r]
    reads = Counter((line["address"], line["source"], line["path"]) for line in ledger if line["status"] == "read")
    if any(times > 1 for times in reads.values()):  # else no row can be gone or mended; asking costs a look at every id
        settled = _settled(store, address, standing, {r["row_id"] for r in found if r["row_id"] and r["edition"] is None})
        found = [r for r in found if r["row_id"] not in settled]
    return found


def _place(reject: Row, key: Sequence[str]) -> tuple[Any, ...]:
    """What makes it the same row in two runs: its id, else its place in a file, else all that it holds."""
    whole_id = reject["row_id"] and not {f"missing:{k}" for k in key} & set(reject["reasons"])
    if whole_id or reject["offset"] is not None or reject["line"] is not None:
        return reject["source"], reject["file"], *((reject["row_id"],) if whole_id else (reject["line"], reject["offset"]))
    return reject["source"], reject["file"], reject["row_id"], reject["row"], reject["raw"]


def _judged_again(reject: Row, decided: Sequence[int], taken: Mapping[int, int]) -> bool:
    """Whether a later run took in a decision about the row, and so has judged it again; `taken` is the last decision that each run took in."""
    then = taken.get(reject["run"], 0)
    return any(reject["run"] < run and any(then < number <= to for number in decided) for run, to in taken.items())


def _key(address: str) -> tuple[str, ...]:
    try:
        return Contract.load(address).key
    except ContractBroken:
        return ()


def _settled(store: Store, address: str, standing: Standing, ids: set[str]) -> set[str]:
    """Ids of rows that were set aside once, and since were either kept, for their line was mended, or are gone with it."""
    ids = {i for i in ids if _BRONZE_ID.match(i)}
    own, key = Table(address, store), _key(address)
    if not ids or not key or key[0] not in ("row_id", "text_id") or not own.exists():
        return set()
    if any(own.contract.column(k).type != "string" for k in key):  # Spark wrote the id, and writes a time otherwise than DuckDB
        return set()
    kept = _among(own, key, ids)
    inputs = [Table(a, store) for a, read in standing.taken.items() if isinstance(read, list) and not a.startswith(("models.", "ops."))]
    names = [next((n for n in ("row_id", "text_id") if t.exists() and n in {c.name for c in t.contract.columns}), None) for t in inputs]
    one = _one(own, key[0])
    if not inputs or None in names or one is None:
        return kept
    asked = {i.partition(",")[0] for i in ids} | {one}
    there = set[str]().union(*(_among(t, (n,), asked) for t, n in zip(inputs, names, strict=True) if n))
    if one not in there:  # a job that makes ids of its own: nothing follows from theirs
        return kept
    return kept | {i for i in ids if i.partition(",")[0] not in there}


def _among(table: Table, key: Sequence[str], ids: set[str]) -> set[str]:
    """Which of the ids a table holds."""
    with duckdb.connect() as connection:
        connection.register("rows", table.delta().to_pyarrow_dataset())
        connection.register("asked", pa.table({"id": pa.array(sorted(ids), pa.string())}))
        joined = ", ".join(f'"{k}"' for k in key)
        return {r[0] for r in connection.execute(f"select id from asked where id in (select concat_ws(',', {joined}) from rows)").fetchall()}


def _one(table: Table, column: str) -> str | None:
    with duckdb.connect() as connection:
        connection.register("rows", table.delta().to_pyarrow_dataset())
        found = connection.execute(f'select "{column}" from rows limit 1').fetchone()
    return found[0] if found else None
