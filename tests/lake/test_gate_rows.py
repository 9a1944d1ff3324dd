"""Rows are kept or set aside by the contract's rules, each with all of its reasons; none is lost and none appears twice."""

from __future__ import annotations

import math
import operator
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from lake.contract import Column, Contract, RowRule
from lake.gate.rows import broken, tag_rows

COLUMNS = (
    Column("id", "string", True, "", key_position=1),
    Column("level", "string", False, "", allowed=("INFO", "WARN")),
    Column("value", "double", False, "", minimum=-50, maximum=60),
    Column("least", "double", False, "", minimum=0),
    Column("count", "bigint", False, "", maximum=9),
    Column("code", "string", False, "", pattern="[A-Z]{2}[0-9]|none"),
    Column("share", "double", False, "", above=0, below=1),
    Column("free", "double", False, "", finite=True),
    Column("note", "string", False, "", shortest=2, longest=3),
    Column("marks", "array<int>", False, "", shortest=2, longest=2),
    Column("day", "date", False, "", minimum="2026-01-01"),
    Column("at", "timestamp", False, "", below="2026-02-01T00:00:00+00:00"),
)
CONTRACT = Contract("silver.things", "things", "", "1.0.0", COLUMNS, ("id",), None, None, None, None)
DDL = ", ".join(f"{c.name} {c.type}" for c in COLUMNS)
NAN, INF = float("nan"), float("inf")
FINE = {"id": "a", "level": "INFO", "value": 1.0, "least": 0.0, "count": 9, "code": "AB1"} | dict.fromkeys(
    ("share", "free", "note", "marks", "day", "at")
)

ROWS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a row that keeps every rule", {}, []),
    ("both ends of a closed range are inside", {"value": -50.0, "least": 0.0}, []),
    ("an absent value breaks no rule but 'missing'", {"level": None, "value": None, "least": None, "count": None, "code": None}, []),
    ("a required value is absent", {"id": None}, ["missing:id"]),
    ("an empty text is a value", {"id": ""}, []),
    ("a value that is not in the list", {"level": "info"}, ["not_allowed:level"]),
    ("below the least", {"value": -50.000001}, ["out_of_range:value"]),
    ("above the most", {"count": 10}, ["out_of_range:count"]),
    ("NaN is out of a closed range", {"value": NAN}, ["out_of_range:value"]),
    ("NaN is out of a range without an upper end, too", {"least": NAN}, ["out_of_range:least"]),
    ("infinity is above the most", {"value": INF}, ["out_of_range:value"]),
    ("infinity is out of a range without an upper end, too", {"least": INF}, ["out_of_range:least"]),
    ("an end that is left out", {"share": 1.0}, ["out_of_range:share"]),
    ("and the other one", {"share": 0.0}, ["out_of_range:share"]),
    ("between them", {"share": 0.5, "free": -1e308}, []),
    ("what is to be finite is no infinity", {"free": -INF}, ["out_of_range:free"]),
    ("and a number", {"free": NAN}, ["out_of_range:free"]),
    ("too short", {"note": "é"}, ["wrong_shape:note"]),
    ("characters count, not bytes", {"note": "ééé"}, []),
    ("too long", {"note": "abcd"}, ["wrong_shape:note"]),
    ("an array of another length", {"marks": [1]}, ["wrong_shape:marks"]),
    ("an array as long as it has to be, a null in it", {"marks": [1, None]}, []),
    ("a day before the first", {"day": date(2025, 12, 31)}, ["out_of_range:day"]),
    ("the first day", {"day": date(2026, 1, 1)}, []),
    ("a moment too late", {"at": datetime(2026, 2, 1, tzinfo=UTC)}, ["out_of_range:at"]),
    ("the last moment", {"at": datetime(2026, 1, 31, 23, 59, tzinfo=UTC)}, []),
    ("the whole text has the shape", {"code": "xAB1x"}, ["wrong_shape:code"]),
    ("each branch of a pattern is the whole text", {"code": "none1"}, ["wrong_shape:code"]),
    ("a line end is no part of a shape", {"code": "AB1\n"}, ["wrong_shape:code"]),
    ("reasons come in the contract's order", {"code": "", "value": 61.0, "id": None}, ["missing:id", "out_of_range:value", "wrong_shape:code"]),
]  # fmt: skip


REASONS = "_reasons"


def split_rows(rows: DataFrame, contract: Contract) -> tuple[DataFrame, DataFrame]:
    """Rows that keep the contract's rules, and the others with their reasons, as the gate takes them apart."""
    tagged = tag_rows(rows, [(rule.name, broken(rule)) for rule in contract.rules()])
    rejected = tagged.rows.where(tagged.broken).withColumn(REASONS, tagged.reasons).select(*rows.columns, REASONS)
    return tagged.kept(tagged.rows), rejected


@pytest.fixture(scope="module")
def judged(spark: SparkSession) -> dict[str, list[str]]:
    """What became of each of ROWS, in one pass."""
    rows = [(name, *{**FINE, **change}.values()) for name, change, _ in ROWS]
    split = split_rows(spark.createDataFrame(rows, f"name string, {DDL}"), CONTRACT)
    kept, rejected = (rows.collect() for rows in split)
    assert REASONS not in split[0].columns
    assert len(kept) + len(rejected) == len(ROWS)
    return {r["name"]: [] for r in kept} | {r["name"]: r[REASONS] for r in rejected}


@pytest.mark.parametrize("name, reasons", [(name, reasons) for name, _, reasons in ROWS])
def test_a_row_is_judged(name: str, reasons: list[str], judged: dict[str, list[str]]) -> None:
    assert judged[name] == reasons


def test_a_contract_without_rules_keeps_everything(spark: SparkSession) -> None:
    contract = Contract("silver.free", "free", "", "1.0.0", (Column("a", "int", False, ""),), (), None, None, None, None)
    kept, rejected = split_rows(spark.createDataFrame([(1,), (None,)], "a int"), contract)
    assert (kept.count(), rejected.count(), rejected.columns) == (2, 0, ["a", REASONS])


values = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "", None]),
        "level": st.sampled_from(["INFO", "WARN", "warn", None]),
        "value": st.none() | st.floats(-51, 61) | st.sampled_from([NAN, INF, -INF, -0.0]),
        "least": st.none() | st.floats(-1, 1) | st.sampled_from([NAN, INF]),
        "count": st.none() | st.integers(8, 10),
        "code": st.sampled_from(["AB1", "none", "AB12", "ab1", "AB1\n", None]),
        "share": st.none() | st.sampled_from([0.0, 5e-324, 0.5, 1.0, NAN]),
        "free": st.none() | st.floats(),
        "note": st.sampled_from(["", "é", "éé", "abc", "abcd", None]),
        "marks": st.none() | st.lists(st.integers(0, 9), max_size=3),
        "day": st.none() | st.dates(date(2025, 12, 30), date(2026, 1, 2)),
        "at": st.none() | st.sampled_from([datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]),
    }
)


@settings(max_examples=3, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(values, min_size=20, max_size=60))
def test_kept_and_rejected_are_the_rows_and_a_row_is_rejected_for_what_it_breaks(rows: list[dict[str, Any]], spark: SparkSession) -> None:
    given_rows = [(n, *(row[c.name] for c in COLUMNS)) for n, row in enumerate(rows)]
    kept, set_aside = split_rows(spark.createDataFrame(given_rows, f"n int, {DDL}"), CONTRACT)
    found = {r["n"]: [] for r in kept.select("n").collect()}
    rejected = {r["n"]: r[REASONS] for r in set_aside.collect()}
    assert not found.keys() & rejected.keys()
    assert found | rejected == {n: [rule.name for rule in CONTRACT.rules() if breaks(rule, row[rule.column.name])] for n, row in enumerate(rows)}


def breaks(rule: RowRule, value: Any) -> bool:
    """The rule in plain Python."""
    column = rule.column
    if value is None:
        return rule.kind == "missing"
    if rule.kind == "not_allowed":
        return value not in (column.allowed or ())
    if rule.kind == "wrong_shape":
        wrong = column.pattern is not None and re.fullmatch(column.pattern, value) is None
        return wrong or not (column.shortest or 0) <= len(value) <= (column.longest or math.inf)
    if rule.kind == "out_of_range":
        said = value.isoformat() if isinstance(value, date) else value
        if isinstance(said, float) and not math.isfinite(said):
            return True
        ends = ((column.minimum, "__ge__"), (column.above, "__gt__"), (column.maximum, "__le__"), (column.below, "__lt__"))
        return not all(end is None or getattr(operator, op)(said, end) for end, op in ends)
    return False
