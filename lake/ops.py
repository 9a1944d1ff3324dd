"""Our own book-keeping: the ops tables, written and read through delta-rs, so that a quiet night starts no Spark.

Every table is append-only; the newest event of a run, a file edition or a model version tells how it stands. Rows of
ops.rejects and ops.checks carry their run's number and count when that run is published.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from lake.contract import Contract
from lake.errors import SourceMissing
from lake.store import Store
from lake.table import Table

# ops tables only ever append, so two writers can land in either order; 30 days of log, checkpoints every 10 commits as Delta has it.
_PROPERTIES = {"delta.logRetentionDuration": "interval 30 days", "delta.deletedFileRetentionDuration": "interval 7 days"}


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def fate(on_fail: str | None, severity: str) -> str:
    """What the failure of a check did: as recorded, else as its severity was taken when verdicts had severities only."""
    return on_fail or ("refuse" if severity == "critical" else "warn")


def told(message: str, why: str | None) -> str:
    """The sentence of a check that failed, with what that means where its suite says it."""
    return f"{message} ({why})" if why else message


def append(store: Store, name: str, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
    """Append rows to `ops.<name>`, with nulls in columns that they lack; the table is made at its first row."""
    append_to(store, f"ops.{name}", rows)


def append_to(store: Store, address: str, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
    """Append rows to a small table that the driver writes by itself (ops, reports), made at its first row."""
    if not len(rows):
        return
    table, schema = _opened(store, address) or _made(store, address), Contract.load(address).schema
    if isinstance(rows, pa.Table):
        have: pa.Table = rows
        batch = pa.table([have[f.name].cast(f.type) if f.name in have.column_names else pa.nulls(len(have), f.type) for f in schema], schema=schema)
    else:
        batch = pa.Table.from_pylist([dict(r) for r in rows], schema=schema)
    older = set(batch.column_names) - {f.name for f in table.schema().fields}  # made before these columns were
    write_deltalake(table, batch, mode="append", schema_mode="merge" if older else None)


def made(store: Store, name: str) -> Table:
    """The table `ops.<name>`, made empty when it is not there."""
    address = f"ops.{name}"
    if _opened(store, address) is None:
        _made(store, address)
    return Table(address, store)


def read(store: Store, name: str, filters: Sequence[tuple[str, str, Any]] = (), columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of `ops.<name>` that meet all filters (`("address", "=", "silver.texts")`); empty when there is no table yet.

    A column that the table was made without is None in each of them.
    """
    return arrow(store, name, filters, columns).to_pylist()


def arrow(store: Store, name: str, filters: Sequence[tuple[str, str, Any]] = (), columns: Sequence[str] | None = None) -> pa.Table:
    """The same as an Arrow table: 100,000 files of the ledger as Python's dictionaries take 2 s."""
    table, schema = _opened(store, f"ops.{name}"), Contract.load(f"ops.{name}").schema
    wanted = list(columns) if columns else schema.names
    if table is None:
        return schema.empty_table().select(wanted)
    there = {f.name for f in table.schema().fields}
    found = table.to_pyarrow_table(filters=list(filters) or None, columns=[c for c in wanted if c in there])
    for column in (c for c in wanted if c not in there):
        found = found.append_column(column, pa.nulls(len(found), schema.field(column).type))
    return found.select(wanted)


def erase(store: Store, name: str, address: str, run: int) -> None:
    """Take out rows of an attempt at run `run` of `address` that never was published: its repeat writes them anew."""
    table = _opened(store, f"ops.{name}")
    if table is not None:
        table.delete(f"address = '{address}' AND run = {int(run)}")


# A night appends some 80 times to ops.runs and asks it as often: opened anew, each time reads every commit so far (3,000 requests a
# night at 100 a second); kept open, it reads what is new.
_open: dict[tuple[str, int], DeltaTable] = {}


def _opened(store: Store, address: str) -> DeltaTable | None:
    """The table as it stands now, kept open by this process; None when it is not there."""
    place = store.delta_uri(address), os.getpid()
    table = _open.get(place)
    if table is not None:
        try:
            table.update_incremental()
            return table
        except DeltaError:  # its log was cleaned, or the whole place is gone
            del _open[place]
    try:
        table = Table(address, store).delta()
    except SourceMissing:
        return None
    _open[place] = table
    return table


def _made(store: Store, address: str) -> DeltaTable:
    contract = Contract.load(address)
    table = DeltaTable.create(
        store.delta_uri(address),
        schema=contract.schema,
        mode="ignore",
        partition_by=[contract.partition] if contract.partition else None,
        description=contract.description,
        configuration=_PROPERTIES,
        storage_options=store.delta_options(),
    )
    return _open.setdefault((store.delta_uri(address), os.getpid()), table)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run, as ops.runs holds it."""

    address: str
    run: int
    status: str
    at: datetime
    inputs: Mapping[str, Any]
    full: bool
    code: str
    contract: str
    night: str | None
    seconds: float | None
    rows_in: int | None
    rows_kept: int | None
    rows_rejected: int | None
    version: int | None
    back_to: int | None
    message: str | None


def events(store: Store, address: str | None = None) -> list[Event]:
    """Events of one address (or of all), oldest first."""
    rows = read(store, "runs", [("address", "=", address)] if address else ())
    found = [Event(**{**r, "inputs": json.loads(r["inputs"])}) for r in rows]
    return sorted(found, key=lambda e: (e.at, e.run))


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands by its events: the inputs it has taken in, an intent left open, the next free number."""

    taken: Mapping[str, Any]
    published: frozenset[int]
    undone: frozenset[int]  # planned once, and not in the table: never committed, or taken back by a restore
    open: Event | None
    next_run: int
    last: Event | None
    made: Event | None  # the run that last made the whole table: later ones only added to what its code and contract made


def standing(found: Iterable[Event], reached: int) -> Standing:
    """How an address stands, given its events and the run number that its table has reached.

    A run whose commit is in the table counts as published, also when the process died before it could say so. Only the
    newest run can be open: an older intent that never ended was given up for it (its code was mended, or a rebuild came).
    """
    taken: Mapping[str, Any] = {}
    published: frozenset[int] = frozenset()
    last: Event | None = None
    made: Event | None = None
    then: dict[int, tuple[frozenset[int], Event | None]] = {}  # how it stood after each run: where a restore goes back to
    planned: dict[int, Event] = {}
    ended: set[int] = set()
    ever: set[int] = set()
    # By number, not by clock: two drivers' clocks differ, and a later run's events count after an earlier one's.
    for event in sorted(found, key=lambda e: (e.run, e.status != "planned", e.at)):
        if event.status == "planned":
            planned[event.run] = event
            continue
        ended.add(event.run)
        if event.status in ("published", "nothing", "restored"):
            taken, last = event.inputs, event
        if event.status == "restored":
            published, made = then.get(event.back_to or 0, (frozenset[int](), None))
        if event.status in ("published", "restored"):
            published |= {event.run}
            made = event if event.full else made
            then[event.run] = published, made
            ever.add(event.run)
    newest = max([*planned, *ended, 0])
    published |= {newest} & planned.keys() - ended if newest == reached else frozenset()
    still_open = planned.get(newest) if newest not in ended else None
    return Standing(taken, published, frozenset((ever | planned.keys()) - published), still_open, max(newest, reached) + 1, last, made)
