"""What the last accepted batches of an address were like: figures that a suite names as GX's suite parameters.

`min_value: {$PARAMETER: "rows_median * 0.5"}` asks for half as many rows as usual. A rule that names one is not asked before there are enough
accepted batches (`meta.history`, 5 unless it says otherwise): the verdict says so.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lake import ops
from lake.store import Store
from lake.table import Table

LAST = 20  # batches: a month of working days; older ones tell of another season
FIGURES = ("mean", "median", "min", "max", "stdev")
_OF = {"mean": statistics.fmean, "median": statistics.median, "min": min, "max": max, "stdev": statistics.stdev}
_NAME = re.compile(rf"(?P<of>rows|rejected_share|mean_of_(?P<column>\w+))_(?P<figure>{'|'.join(FIGURES)})|seen_(?P<seen>\w+)|batches")
# Of GX's expressions.
_FUNCTIONS = frozenset({
    "sin", "cos", "tan", "exp", "abs", "trunc", "round", "sgn", "PI", "E",
    "now", "datetime", "timedelta", "weeks", "days", "hours", "minutes", "seconds",
})  # fmt: skip
MEAN = "expect_column_mean_to_be_between"


@dataclass(frozen=True, slots=True)
class History:
    """Figures of the last accepted batches, by the names of their parameters."""

    batches: int
    values: Mapping[str, Any]


NONE = History(0, {})


def parameters(given: Any) -> set[str]:
    """The names in the `$PARAMETER` expressions of some arguments."""
    if isinstance(given, Mapping):
        if set(given) == {"$PARAMETER"}:
            return set(re.findall(r"[A-Za-z_]\w*", str(given["$PARAMETER"]))) - _FUNCTIONS
        return {name for part in given.values() for name in parameters(part)}
    if isinstance(given, list | tuple):
        return {name for part in given for name in parameters(part)}
    return set()


def unknown(names: Iterable[str], columns: Iterable[str]) -> list[str]:
    """Those that no history has."""
    there, wrong = set(columns), list[str]()
    for name in sorted(names):
        found = _NAME.fullmatch(name)
        column = found and (found["column"] or found["seen"])
        if found is None or (column and column not in there):
            wrong.append(name)
    return wrong


def history(store: Store, address: str, published: frozenset[int], names: Iterable[str]) -> History:
    """The last accepted batches, as far as these names ask for them; `seen_<column>` are all values that the table holds."""
    runs = {e.run: e for e in ops.events(store, address) if e.status == "published" and e.run in published and e.rows_kept}
    last = [runs[n] for n in sorted(runs)[-LAST:]]
    figures: dict[str, Sequence[float]] = {
        "rows": [float(e.rows_kept or 0) for e in last],
        "rejected_share": [(e.rows_rejected or 0) / ((e.rows_kept or 0) + (e.rows_rejected or 0)) for e in last],
    }
    values: dict[str, Any] = {"batches": len(last)}
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        if found["seen"]:
            values[name] = _seen(Table(address, store), found["seen"])
        elif found["of"]:
            of = found["of"]
            if found["column"] and of not in figures:
                figures[of] = _means(store, address, [e.run for e in last], found["column"])
            if len(figures[of]) > (found["figure"] == "stdev"):
                values[name] = _OF[found["figure"]](figures[of])
    return History(len(last), values)


def _means(store: Store, address: str, runs: Sequence[int], column: str) -> list[float]:
    """The means of a column as the verdicts of these runs saw them: a rule about the mean notes it also while it waits for history."""
    asked = [("address", "=", address), ("rule", "=", MEAN), ("column", "=", column)]
    seen = {row["run"]: row["observed"] for row in ops.read(store, "checks", asked, columns=["run", "observed"])}
    return [float(seen[run]) for run in runs if seen.get(run) not in (None, "null", "not asked")]


def _seen(table: Table, column: str) -> list[Any]:
    if not table.exists():
        return []
    values = set[Any]()
    for batch in table.delta().to_pyarrow_dataset().to_batches(columns=[column]):
        values.update(pa.array(batch.column(0)).unique().to_pylist())
    return sorted((v for v in values if v is not None), key=repr)
