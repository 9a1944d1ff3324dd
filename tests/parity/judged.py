"""One random suite on one random batch, judged twice: by our gate, and by stock Great Expectations on the same rows."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from lake.contract import Contract
from lake.errors import ContractBroken
from lake.gate import gx
from lake.gate.batch import Check, Verdict
from lake.gate.suite import Rule as AskedRule
from lake.gate.suite import written
from tests.lake.gate import through
from tests.lake.project import contract, write_contract, write_suite
from tests.parity.suites import COLUMNS, DDL, TYPES, Rule, rows, rule

ADDRESS = "silver.parity"


@dataclass(frozen=True, slots=True)
class Compared:
    """A rule of a suite: what stock GX says of it, what we say, and who judged it with us."""

    type: str
    kwargs: dict[str, Any]
    stock: str
    ours: str
    judged_by: str

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.stock == self.ours


def compare(spark: SparkSession, project: Path, seed: int, rules: int) -> list[Compared]:
    """A suite of so many rules and its rows by a seed. Where a rule breaks, all of the suite is broken with us: it is compared by that.

    Half of the suites only tell; in the others row rules quarantine, and rules of a batch are asked of stock GX for the rows that are kept.
    """
    random_ = random.Random(seed)
    some = [rule(type_, random_) for type_ in random_.sample(TYPES, rules)]
    batch = spark.createDataFrame(rows(random_), DDL).coalesce(1)
    quarantines = random_.random() < 0.5
    write_contract(project, contract(ADDRESS, COLUMNS))
    found: list[Compared] = []
    taken = [r for r in some if _taken(project, r)]
    broken = {n: why for n, why in enumerate(stock(batch, r)[1] for r in taken) if why}
    for n in broken:
        _suite(project, [taken[n]], "warn")
        found.append(Compared(taken[n]["type"], taken[n]["kwargs"], "broken", _breaks(batch), ""))
    good = [r for n, r in enumerate(taken) if n not in broken]
    if not good:
        return found
    _suite(project, good, "" if quarantines else "warn")
    kept, verdict = through(batch, Contract.load(ADDRESS))
    for r, asked in zip(good, written(ADDRESS).rules, strict=True):
        set_aside = asked.kind == "unique" and asked.on_fail == "quarantine"
        on_all = asked.kind == "row" or not quarantines
        if not on_all and kept.isEmpty():
            continue  # an empty batch is asked nothing with us
        check = _check_of(verdict, asked)
        result = stock(batch if on_all else kept, r)[0]
        unexpected = result["result"].get("unexpected_count")
        if set_aside:
            # Rows that share a value are set aside, all of them: none is left for stock GX to find.
            said, mine = str(unexpected), "0"
        elif "unexpected_count" in result["result"]:  # None where a row_condition leaves no row: none is unexpected
            said, mine = f"{result['success']} {unexpected or 0}", f"{check.success} {check.unexpected or 0}"
        else:
            seen = result["result"].get("observed_value")
            said = f"{result['success']} {json.dumps(seen, default=str) if 'observed_value' in result['result'] else None}"
            mine = f"{check.success} {check.observed if 'observed_value' in result['result'] else None}"
        found.append(Compared(r["type"], r["kwargs"], said, mine, check.judged_by))
    return found


def stock(batch: DataFrame, rule: Rule) -> tuple[dict[str, Any], str]:
    """Stock GX's result of a rule by itself, and what it broke by."""
    library = gx.library()
    context = _context()
    source = context.data_sources.add_or_update_spark(name="stock", persist=False)
    source.get_execution_engine().spark = batch.sparkSession
    suite = library.ExpectationSuite(name="stock", expectations=[rule])
    definition = source.add_dataframe_asset(name="rows").add_batch_definition_whole_dataframe("all")
    result = definition.get_batch({"dataframe": batch}).validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    [one] = [r.to_json_dict() for r in result.results]
    info = one.get("exception_info") or {}
    raised = info if "raised_exception" in info else next((v for v in info.values() if isinstance(v, dict) and v.get("raised_exception")), {})
    return one, str(raised.get("exception_message", "")) if raised.get("raised_exception") else ""


def _context() -> Any:
    context = gx.library().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context


def _suite(project: Path, rules: list[Rule], fate: str) -> None:
    write_suite(
        project, ADDRESS, {"expectations": [r | ({"meta": {"on_fail": fate}} if fate else {}) for r in rules], "meta": {"max_rejected_share": 1}}
    )


def _taken(project: Path, rule: Rule) -> bool:
    """Whether our suite takes the rule: what repeats the contract it refuses, and what quarantines under a row_condition but names no rows."""
    try:
        for fate in ("warn", ""):
            _suite(project, [rule], fate)
            written(ADDRESS)
    except ContractBroken:
        return False
    return True


def _breaks(batch: DataFrame) -> str:
    try:
        through(batch, Contract.load(ADDRESS))
    except ContractBroken:
        return "broken"
    return "judged"


def _check_of(verdict: Verdict, rule: AskedRule) -> Check:
    limits = {k: v for k, v in rule.kwargs.items() if k not in ("column", "column_A", "column_B")}
    asked = ("{}",) if rule.kind == "unique" and rule.on_fail == "quarantine" else (json.dumps(limits, default=str)[:2000],)
    [found] = [c for c in verdict.checks if (c.rule, c.column) == (rule.type, ", ".join(rule.columns) or None) and c.threshold in asked]
    return found
