"""Upkeep: many small files become few, old log and data files go, our own books keep their retention; pinned versions stay readable.

Rows of data tables never expire: their raw files would bring them back at the next rebuild (lake/contract.py refuses the promise).
What is wrong with one table is told in its line and holds up no other: a night reports whatever happened here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from deltalake import DeltaTable

from lake import ops
from lake.contract import Contract, addresses
from lake.errors import ContractBroken, LakeError
from lake.lake import Lake
from lake.settings import reached
from lake.store import Object
from lake.table import Table

if TYPE_CHECKING:
    from lake.models.registry import Registry

# Under 8 small files a reader does not notice; each night's ops tables get a handful of one-row files.
_SMALL_FILES, _SMALL_BYTES = 8, 32 * 2**20
# No publish takes a week: what it left by then without a card is of a process that died.
_DEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done to one table, or to the files of one model."""

    address: str
    compacted: int = 0
    vacuumed: int = 0
    expired: int = 0
    problem: str = ""  # why it was not tended to the end

    def sentence(self) -> str:
        """What was done, in a line."""
        done = f"{self.compacted} files compacted, {self.vacuumed} removed, {self.expired} rows expired"
        return f"{done}; then: {self.problem}" if self.problem else done


def tend(lake: Lake, only: Sequence[str] = ()) -> list[Tended]:
    """Compact, expire and vacuum every table that a contract describes and that is there, and remove what dead publishes of models left.

    Returns what was done, and what could not be: an entry with a `problem`. Compaction makes a version whose rows are the
    same: readers downstream see that nothing changed.
    """
    done = list[Tended]()
    models: list[str] = []
    pinned: Mapping[str, Set[str]] | None = None  # None: nobody knows what is pinned, so no data file is removed

    def pins(_: Counter[str]) -> None:
        nonlocal models, pinned
        models = sorted({key.split("/")[1] for key in lake.store.keys("models/")})
        pinned = _pins(lake, models)

    done.append(_told("models", pins))
    for address in addresses():
        if not address.startswith(("raw.", "models.")) and (not only or address in only):
            kept = None if pinned is None else pinned.get(address, frozenset[str]())
            done.append(_told(address, partial(_tend, lake, address, kept)))
    done += [_told(f"models.{m}", partial(_remove_orphans, lake, m)) for m in models if not only or f"models.{m}" in only]
    return [t for t in done if t.compacted or t.vacuumed or t.expired or t.problem]


def _told(address: str, work: Callable[[Counter[str]], None]) -> Tended:
    """What some work did, as it counted it, and what ended it early if anything did."""
    done, problem = Counter[str](), ""
    try:
        work(done)
    except Exception as error:  # noqa: BLE001  told with the night; the other tables and the report must not miss theirs
        first = next(iter(str(error).strip().splitlines()), "")
        problem = error.what if isinstance(error, LakeError) else f"{type(error).__name__}: {first[:300]}"
    return Tended(address, done["compacted"], done["vacuumed"], done["expired"], problem)


def _tend(lake: Lake, address: str, pins: Set[str] | None, done: Counter[str]) -> None:
    table = Table(address, lake.store)
    if not table.exists():
        return
    contract = Contract.load(address)
    delta = table.delta()
    if contract.retention:
        before = datetime.now(UTC) - contract.retention
        old = f"at < '{before.isoformat()}'" + (f" AND ({_superseded(lake)})" if address == "ops.runs" else "")
        done["expired"] = int(delta.delete(old).get("num_deleted_rows") or 0) if _older(table, before) else 0
    # Files are small per partition, not per table: many days with one file each are as they should be.
    small = Counter(f.path.rsplit("/", 1)[0] for f in table.snapshot().files if f.size < _SMALL_BYTES)
    # Training tables keep their row groups as Spark made them: one file more or less says nothing, their groups do.
    if max(small.values(), default=0) >= _SMALL_FILES and "rowsPerGroup" not in contract.properties:
        delta.update_incremental()
        done["compacted"] = int(delta.optimize.compact()["numFilesRemoved"])
        reached(f"compacted:{address}")
        delta.create_checkpoint()
    if pins is not None:
        delta.update_incremental()
        done["vacuumed"] = _vacuum(lake, address, delta, pins)


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
        reached(f"removed:{address}")
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


def _pins(lake: Lake, models: Sequence[str]) -> dict[str, Set[str]]:
    """Data files that some model was trained on, below their table's folder, by address: these stay.

    Raises:
        ContractBroken: a card does not say which.
    """
    from lake.models.registry import Registry

    registry, pins = Registry(lake.store), dict[str, Set[str]]()
    for name in models:
        for version in registry.versions(name):
            try:
                manifest = registry.version(name, version).facts["manifest"]
                files = {path.removeprefix(manifest["uri"]).lstrip("/") for path, _, _ in manifest["files"]}
                pins[manifest["address"]] = pins.get(manifest["address"], frozenset()) | files
            except (KeyError, TypeError, ValueError) as error:
                raise ContractBroken(
                    f"models.{name} version {version} has a card that can't be read ({type(error).__name__}: {error}), so no data file is removed",
                    next_step=f"put models/{name}/{version}/card.json back from a copy, or remove the version",
                ) from error
    return pins


def _remove_orphans(lake: Lake, name: str, done: Counter[str]) -> None:
    """Remove what publishes that died left under models/<name>/<version>/<content hash>/: named by no card, the newest of a version a week old."""
    from lake.models.registry import Registry

    registry = Registry(lake.store)
    if not _orphans(lake, registry, name):
        return
    with lake.writing(f"models.{name}"):  # a training that is publishing now may be about to name them
        for key in _orphans(lake, registry, name):
            lake.store.delete(key)
            done["vacuumed"] += 1


def _orphans(lake: Lake, registry: Registry, name: str) -> list[str]:
    landed: dict[str, list[Object]] = {}
    for found in lake.store.list(f"models/{name}/"):
        if parts := re.fullmatch(r"models/[^/]+/(\d+)/[0-9a-f]{16}/.+", found.key):
            landed.setdefault(parts[1], []).append(found)
    # Listed before the cards are read: a card that is written meanwhile is seen.
    named = {file.key for version in registry.versions(name) for file in registry.version(name, version).files}
    left = [[f for f in files if f.key not in named] for files in landed.values()]
    before = datetime.now(UTC) - _DEAD
    return [f.key for files in left if files and max(f.modified for f in files) < before for f in files]
