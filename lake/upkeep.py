"""Upkeep: many small files become few, old log and data files go, retention is kept; pinned versions stay readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from deltalake import DeltaTable

from lake import ops
from lake.contract import Contract, addresses
from lake.lake import Lake
from lake.table import Table

# Under 8 small files a reader does not notice; each night's ops tables get a handful of one-row files.
_SMALL_FILES, _SMALL_BYTES = 8, 32 * 2**20


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done to one table."""

    address: str
    compacted: int
    vacuumed: int
    expired: int


def tend(lake: Lake, only: Sequence[str] = ()) -> list[Tended]:
    """Compact, expire and vacuum every table that a contract describes and that is there; says what it did.

    Compaction makes a version whose rows are the same: readers downstream see that nothing changed.
    """
    pinned = _pins(lake)
    done = [_tend(lake, a, pinned.get(a, frozenset())) for a in addresses() if not a.startswith(("raw.", "models.")) and (not only or a in only)]
    return [t for t in done if t is not None and (t.compacted or t.vacuumed or t.expired)]


def _tend(lake: Lake, address: str, pins: Set[str]) -> Tended | None:
    table = Table(address, lake.store)
    if not table.exists():
        return None
    contract = Contract.load(address)
    delta = table.delta()
    expired = 0
    if contract.retention and any(c.name == "at" for c in contract.columns):
        before = datetime.now(UTC) - contract.retention
        old = f"at < '{before.isoformat()}'" + (f" AND ({_superseded(lake)})" if address == "ops.runs" else "")
        expired = int(delta.delete(old).get("num_deleted_rows") or 0) if _older(table, before) else 0
    # Files are small per partition, not per table: many days with one file each are as they should be.
    small = Counter(f.path.rsplit("/", 1)[0] for f in table.snapshot().files if f.size < _SMALL_BYTES)
    # Training tables keep their row groups as Spark made them: one file more or less says nothing, their groups do.
    compacted = 0
    if max(small.values(), default=0) >= _SMALL_FILES and "rowsPerGroup" not in contract.properties:
        delta.update_incremental()
        compacted = int(delta.optimize.compact()["numFilesRemoved"])
        delta.create_checkpoint()
    delta.update_incremental()
    vacuumed = _vacuum(lake, address, delta, pins)
    return Tended(address, compacted, vacuumed, expired)


def _vacuum(lake: Lake, address: str, delta: DeltaTable, pins: Set[str]) -> int:
    """Remove files that no version within the retention names, staged ones of runs that died too, but none that is pinned; how many went.

    delta-rs says which; removing them is ours. Its own vacuum commits two versions, names again each night what went before,
    and keeps pins by version, which it can't read any more when the log's 30 days are over.
    """
    going = [p for p in delta.vacuum(dry_run=True, full=True) if not {p, unquote(p)} & pins]
    folder = address.replace(".", "/")
    there = set(lake.store.keys(f"{folder}/")) if going else set[str]()
    gone = [key for p in going if (key := f"{folder}/{p}") in there]
    for key in gone:
        lake.store.delete(key)
    return len(gone)


def _superseded(lake: Lake) -> str:
    """Events that no run needs any more: those before the last one of each address, and before the one that made its whole table."""
    events = ops.events(lake.store)
    parts = ["run = 0"]
    for address in sorted({e.address for e in events}):
        standing = ops.standing([e for e in events if e.address == address], 0)
        needed = [e.run for e in (standing.last, standing.made) if e is not None]
        parts.append(f"address = '{address}'" + (f" AND run < {min(needed)}" if needed else ""))
    return " OR ".join(f"({p})" for p in parts)


def _older(table: Table, before: datetime) -> bool:
    """Whether any row is older, by the statistics of the files first: a delete that finds nothing still costs a scan."""
    rows = table.delta().to_pyarrow_table(filters=[("at", "<", before)], columns=["at"])
    return rows.num_rows > 0


def _pins(lake: Lake) -> dict[str, Set[str]]:
    """Data files that some model was trained on, below their table's folder, by address: these stay."""
    from lake.models.registry import Registry

    registry, pins = Registry(lake.store), dict[str, Set[str]]()
    for name in sorted({key.split("/")[1] for key in lake.store.keys("models/")}):
        for version in registry.versions(name):
            manifest = registry.version(name, version).facts["manifest"]
            files = {path.removeprefix(manifest["uri"]).lstrip("/") for path, _, _ in manifest["files"]}
            pins[manifest["address"]] = pins.get(manifest["address"], frozenset()) | files
    return pins
