"""Rows on their way through the gate, without a table: what a run does while it writes them, done by aggregates."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate.batch import Gate, Verdict, open_gate
from lake.gate.history import NONE, History


def through(rows: DataFrame, contract: Contract, *, emptied: bool = False, past: History = NONE) -> tuple[DataFrame, Verdict]:
    """The rows that are kept, and the verdict."""
    gate = open_gate(rows, contract, past)
    try:
        return _through(gate, emptied)
    except ContractBroken:
        raise
    except Exception:
        if broken := gate.breaks():
            raise broken from None
        raise


def _through(gate: Gate, emptied: bool) -> tuple[DataFrame, Verdict]:
    tagged = gate.tagged
    seen = _passed(gate, F.count(F.lit(1)).alias("rows"))
    broken = tagged.rows.where(tagged.broken)
    counts = broken.agg(F.count(F.lit(1)).alias("rejected"), *tagged.counts).collect()[0].asDict()
    by_reason, rejected = {name: int(counts[f"rule{n}"] or 0) for n, name in enumerate(tagged.names)}, int(counts["rejected"])
    kept = tagged.kept(tagged.rows)
    repeated = gate.repeated(kept, seen["rows"] - rejected)
    if any(r.rule is None or r.rule.on_fail == "quarantine" for r in repeated):
        again = gate.without(kept, repeated)
        rejected += again.tagged.rows.where(again.tagged.broken).count()
        kept = again.tagged.kept(again.tagged.rows)
        seen |= _passed(again, F.count(F.lit(1)).alias("once more"))
    return kept, gate.verdict(seen, by_reason, kept, rows=seen["rows"], rejected=rejected, repeated=repeated, emptied=emptied)


def _passed(gate: Gate, *more: Column) -> dict[str, Any]:
    """The figures of a pass that writes nothing, observed as a run observes them."""
    of_all, of_kept = Observation(), Observation()
    kept = gate.tagged.kept(gate.tagged.rows.observe(of_all, *more, *gate.of_all))
    if gate.of_kept:
        kept = kept.observe(of_kept, *gate.of_kept)
    kept.write.format("noop").mode("overwrite").save()
    return of_all.get | (of_kept.get if gate.of_kept else {})
