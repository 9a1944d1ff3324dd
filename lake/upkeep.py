"""Upkeep: many small files become few, old log and data files go, retention is kept; pinned versions stay readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

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
    done = [_tend(lake, a, pinned.get(a, [])) for a in addresses() if not a.startswith(("raw.", "models.")) and (not only or a in only)]
    return [t for t in done if t is not None and (t.compacted or t.vacuumed or t.expired)]


def _tend(lake: Lake, address: str, pins: Sequence[int]) -> Tended | None:
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
    # Asked first: a vacuum that finds nothing would still commit a version. `full`, or files staged by runs that died would stay for ever.
    vacuumed = len(delta.vacuum(dry_run=True, full=True, keep_versions=sorted(pins) or None))
    if vacuumed:
        delta.vacuum(dry_run=False, full=True, keep_versions=sorted(pins) or None)
    return Tended(address, compacted, vacuumed, expired)


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


def _pins(lake: Lake) -> dict[str, list[int]]:
    """Versions that some model was trained on, by address: these stay readable."""
    from lake.models.registry import Registry

    registry, pins = Registry(lake.store), dict[str, list[int]]()
    for name in sorted({key.split("/")[1] for key in lake.store.keys("models/")}):
        for version in registry.versions(name):
            data = registry.version(name, version).facts["data"]
            pins.setdefault(data["address"], []).append(data["version"])
    return pins
